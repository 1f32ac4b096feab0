//! Columns scaled to `[0, 1]`, for submissions that are judged by rank and refused outside that interval.

use super::{Info, PostStep};
use crate::block::Block;

pub(super) const INFO: Info = Info {
    name: "min_max",
    yaml: "min_max",
    formula: "(x - lowest of the column) / (highest - lowest); 0 in a column of equal values",
    idempotent: true,
    row_local: false,
    examples: || vec![PostStep::MinMax],
};

pub(super) fn apply(values: &mut Block) {
    for output in 0..values.n_outputs() {
        let column = values.column_mut(output);
        let low = column.iter().copied().fold(f64::INFINITY, f64::min);
        let high = column.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        // Halves first where the span of finite values would be infinite.
        let half = if (high - low).is_finite() { 1.0 } else { 0.5 };
        let span = high * half - low * half;
        column.iter_mut().for_each(|x| *x = if span > 0.0 { (*x * half - low * half) / span } else { 0.0 });
    }
}

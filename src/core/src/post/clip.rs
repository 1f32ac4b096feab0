//! Values moved into an interval.

use super::{Info, PostStep};
use crate::block::Block;

pub(super) const INFO: Info = Info {
    name: "clip",
    yaml: "clip: [0.001, 0.999]",
    formula: "min(max(x, low), high)",
    idempotent: true,
    row_local: true,
    examples: || [(0.1, 0.6), (-1.0, 0.0), (0.5, 0.5)].map(|(low, high)| PostStep::Clip { low, high }).to_vec(),
};

pub(super) fn fault(low: f64, high: f64) -> Option<String> {
    // NaN fails every comparison.
    (!(low <= high && low.is_finite() && high.is_finite()))
        .then(|| format!("[{low}, {high}] is no interval: the lower bound first, both finite"))
}

pub(super) fn apply(low: f64, high: f64, values: &mut Block) {
    // Not `clamp`, which panics on bounds in the wrong order; adding 0 makes -0 the 0 that a reader expects.
    values.values_mut().iter_mut().for_each(|x| *x = x.max(low).min(high) + 0.0);
}

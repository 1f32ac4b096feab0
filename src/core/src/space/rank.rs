//! Average ranks within a column, scaled to (0, 1): for metrics that see only the order.

use super::{Info, NUMBERS, Space, decode};
use crate::{block::Block, compare::Ranks, judge::Preparation, output::Encoding};

pub(super) struct RankSpace;

impl Space for RankSpace {
    fn info(&self) -> &'static Info {
        &Info {
            name: "rank",
            formula: "enter (average rank - 0.5) / N within the rows judged; leave u",
            usage: "AUC and other metrics of order",
            accepts: NUMBERS,
            row_local: false,
            returns_members: false,
        }
    }

    fn enter(&self, encoding: Encoding, _preparation: Preparation, values: &mut Block) {
        decode(encoding, values);
        for output in 0..values.n_outputs() {
            rank(values.column_mut(output));
        }
    }

    fn leave(&self, _values: &mut Block) {}
}

/// Values to `(average rank - 0.5) / N`, ranks from 1, ties sharing their mean.
pub(super) fn rank(column: &mut [f64]) {
    let n = column.len() as f64;
    let centered = Ranks::of(column).centered();
    column.iter_mut().zip(centered).for_each(|(x, rank)| *x = (rank + n / 2.0) / n);
}

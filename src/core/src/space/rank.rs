//! Average ranks within a column, scaled to (0, 1): for metrics that see only the order.

use super::{Info, NUMBERS, Space, decode};
use crate::{block::Block, judge::Preparation, output::Encoding};

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
pub(crate) fn rank(column: &mut [f64]) {
    let n = column.len() as f64;
    let mut order: Vec<u32> = (0..column.len() as u32).collect();
    order.sort_unstable_by(|&a, &b| column[a as usize].total_cmp(&column[b as usize]).then(a.cmp(&b)));
    let mut start = 0;
    let mut ranks = vec![0.0; column.len()];
    while start < order.len() {
        let value = column[order[start] as usize];
        // At least one: NaN equals nothing, not even itself.
        let tied = order[start..].iter().take_while(|&&row| column[row as usize] == value).count().max(1);
        // Ranks start+1 ..= start+tied have this mean; minus the half that centres them.
        let centred = start as f64 + tied as f64 / 2.0;
        order[start..start + tied].iter().for_each(|&row| ranks[row as usize] = centred / n);
        start += tied;
    }
    column.copy_from_slice(&ranks);
}

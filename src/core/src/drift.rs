//! How far apart test predictions and OOF predictions are distributed, output by output.
//!
//! The Kolmogorov-Smirnov distance `D = max |F(x) - G(x)|`, in [0, 1], and the population stability index
//! `sum_i (a_i - b_i) ln(a_i / b_i)` over ten bins with equal shares `a_i` of the OOF values, at least 0. OOF values come
//! from one fold's model, test values from the mean of all, so that small distances are usual.

use crate::{
    block::Block,
    compare::Ranks,
    num,
    prediction::{Oof, Predictions, Test},
    scope::RowSet,
};
use rayon::prelude::*;

/// How far apart two samples are; 0 and 0 where they are the same.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Drift {
    /// Kolmogorov-Smirnov distance.
    pub distance: f64,
    /// Population stability index.
    pub index: f64,
}

/// Rows that are compared at most, of each sample.
pub(crate) const ROWS: usize = 20_000;

/// One per output: the model's OOF outputs over `rows` against its test outputs; of many rows a part, evenly spread.
#[must_use]
pub fn drift(oof: &Predictions<Oof>, rows: &RowSet, test: &Predictions<Test>) -> Vec<Drift> {
    between(&oof.natural(&thinned(rows)), &test.natural(&thinned(&RowSet::all(test.rows().len()))))
}

/// At most [`ROWS`] of the rows.
fn thinned(rows: &RowSet) -> RowSet {
    let mut kept = vec![false; rows.n_total()];
    rows.iter().step_by(rows.len().div_ceil(ROWS)).for_each(|row| kept[row] = true);
    RowSet::from_mask(&kept).unwrap_or_else(|_| rows.clone())
}

/// One per output of two samples of the same outputs.
pub(crate) fn between(a: &Block, b: &Block) -> Vec<Drift> {
    (0..a.n_outputs()).into_par_iter().map(|output| distances(a.column(output), b.column(output))).collect()
}

/// What the distance of two samples of one distribution stays below 99 % of the time (Smirnov 1939); their sizes.
#[must_use]
pub fn noise(n: usize, m: usize) -> f64 {
    1.63 * libm::sqrt(1.0 / n.min(ROWS) as f64 + 1.0 / m.min(ROWS) as f64)
}

fn distances(a: &[f64], b: &[f64]) -> Drift {
    let ranks = Ranks::of(&[a, b].concat());
    let (n, m) = (a.len() as f64, b.len() as f64);
    let (mut in_a, mut in_b, mut distance, mut index) = (0_usize, 0_usize, 0.0_f64, 0.0);
    let (mut bin_a, mut bin_b, mut bins) = (0, 0, 0);
    for values in ranks.ties() {
        let of_a = values.iter().filter(|row| (**row as usize) < a.len()).count();
        (in_a, in_b) = (in_a + of_a, in_b + values.len() - of_a);
        (bin_a, bin_b) = (bin_a + of_a, bin_b + values.len() - of_a);
        distance = distance.max((in_a as f64 / n - in_b as f64 / m).abs());
        let last = in_a + in_b == a.len() + b.len();
        if last || (bins < 9 && bin_a > 0 && in_a * 10 >= a.len() * (bins + 1)) {
            // An empty share counts as half a row.
            let (share_a, share_b) = ((bin_a as f64).max(0.5) / n, (bin_b as f64).max(0.5) / m);
            index += (share_a - share_b) * num::ln(share_a / share_b);
            (bin_a, bin_b, bins) = (0, 0, in_a * 10 / a.len());
        }
    }
    Drift { distance, index }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Values of `scipy.stats.ks_2samp`, and by hand.
    #[test]
    fn distances_by_hand() {
        let a = [0.1, 0.2, 0.2, 0.5, 0.9];
        assert_eq!(distances(&a, &a), Drift { distance: 0.0, index: 0.0 });
        let it = distances(&a, &[0.2, 0.6, 0.7, 0.9]);
        assert!((it.distance - 0.55).abs() < 1e-12, "{it:?}");
        let first: Vec<f64> = (0..100).map(f64::from).collect();
        let second: Vec<f64> = (0..100).map(|i| f64::from(i) + 20.0).collect();
        let it = distances(&first, &second);
        assert!((it.distance - 0.2).abs() < 1e-12);
        // The first two bins hold nothing (half a row), the last 30 in place of 10.
        let wanted = 2.0 * (0.1 - 0.005) * num::ln(0.1 / 0.005) + (0.1 - 0.3) * num::ln(0.1 / 0.3);
        assert!((it.index - wanted).abs() < 1e-12, "{it:?} {wanted}");
    }

    #[test]
    fn many_rows_are_thinned_evenly() {
        let few = RowSet::all(ROWS);
        assert_eq!(thinned(&few), few);
        let rows = RowSet::all(3 * ROWS).filter(|row| row % 2 == 1).unwrap();
        let kept: Vec<usize> = thinned(&rows).iter().take(3).collect();
        assert_eq!((kept, thinned(&rows).len()), (vec![1, 5, 9], ROWS * 3 / 4));
    }
}

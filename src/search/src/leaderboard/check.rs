//! Could any labels have given these scores? Bounds that hold whatever the labels are, and whichever rows are public.

use super::{LbError, identity::Family, identity::Pair};
use blend_core::{Block, ScoredFile, num};
use rayon::prelude::*;

/// Cells of all pairs of files above which only single files are looked at.
const MOST_CELLS: usize = 2_000_000_000;

/// What the rows' losses are looked at for.
pub(super) struct Check<'a> {
    pub(super) pair: &'a Pair,
    pub(super) files: &'a [ScoredFile],
    /// The files' values on the rows that can be public.
    pub(super) natural: &'a [Block],
    pub(super) entered: &'a [Block],
    /// How many of them are.
    pub(super) n_public: usize,
}

impl Check<'_> {
    pub(super) fn run(&self) -> Result<(), LbError> {
        (0..self.files.len()).try_for_each(|file| self.single(file))?;
        let n = self.files.len();
        let cells = self.entered[0].values().len();
        if n * n / 2 * cells > MOST_CELLS {
            return Ok(());
        }
        let pairs: Vec<(usize, usize)> = (0..n).flat_map(|a| (0..a).map(move |b| (b, a))).collect();
        let found: Vec<Result<(), LbError>> = pairs.par_iter().map(|&(a, b)| self.pair(a, b)).collect();
        // The first in order, whatever thread found it.
        found.into_iter().collect()
    }

    fn single(&self, file: usize) -> Result<(), LbError> {
        let it = &self.files[file];
        let (low, high) = match self.pair.family {
            Family::Squares => (0.0, f64::INFINITY),
            _ => self.mean_range(|low, high| self.losses(file, None, low, high)),
        };
        if it.score >= low - slack(it.half_unit, low) && it.score <= high + slack(it.half_unit, high) {
            return Ok(());
        }
        Err(LbError::Impossible { name: it.name.clone(), score: it.score, low, high })
    }

    fn pair(&self, a: usize, b: usize) -> Result<(), LbError> {
        let (first, second) = (&self.files[a], &self.files[b]);
        let difference = first.score - second.score;
        let (low, high) = match self.pair.family {
            Family::Squares => {
                let farthest = self.distance(a, b);
                (-farthest, farthest)
            }
            _ => self.mean_range(|low, high| self.losses(a, Some(b), low, high)),
        };
        let slack = slack(first.half_unit + second.half_unit, low.abs().max(high.abs()));
        if difference >= low - slack && difference <= high + slack {
            return Ok(());
        }
        Err(LbError::ImpossiblePair {
            first: first.name.clone(),
            first_score: first.score,
            second: second.name.clone(),
            second_score: second.score,
            low,
            high,
        })
    }

    /// The lowest and highest mean over any `n_public` rows of what `fill` gives for each row.
    fn mean_range(&self, fill: impl Fn(&mut [f64], &mut [f64])) -> (f64, f64) {
        let n_rows = self.entered[0].n_rows();
        let (mut low, mut high) = (vec![0.0; n_rows], vec![0.0; n_rows]);
        fill(&mut low, &mut high);
        low.sort_unstable_by(f64::total_cmp);
        high.sort_unstable_by(|a, b| b.total_cmp(a));
        let mean = |values: &[f64]| num::sum(&values[..self.n_public]) / self.n_public as f64;
        (mean(&low), mean(&high))
    }

    /// Each row's lowest and highest loss of file `a`, less that of `b`, over all labels of the row.
    fn losses(&self, a: usize, b: Option<usize>, low: &mut [f64], high: &mut [f64]) {
        let a = &self.entered[a];
        let b = b.map(|b| &self.entered[b]);
        let n_outputs = a.n_outputs();
        match self.pair.family {
            Family::Binary => {
                for output in 0..n_outputs {
                    for row in 0..a.n_rows() {
                        let of = |z: f64| (num::softplus(z), num::softplus(z) - z);
                        let (zero, one) = of(a.get(output, row));
                        let (other_zero, other_one) = b.map_or((0.0, 0.0), |b| of(b.get(output, row)));
                        let (zero, one) = (zero - other_zero, one - other_one);
                        low[row] += zero.min(one) / n_outputs as f64;
                        high[row] += zero.max(one) / n_outputs as f64;
                    }
                }
            }
            Family::Classes => {
                low.fill(f64::INFINITY);
                high.fill(f64::NEG_INFINITY);
                for output in 0..n_outputs {
                    for row in 0..a.n_rows() {
                        let loss = b.map_or(0.0, |b| b.get(output, row)) - a.get(output, row);
                        low[row] = low[row].min(loss);
                        high[row] = high[row].max(loss);
                    }
                }
                // The labels' own entropy is taken off a divergence.
                if self.pair.sums_to_one && b.is_none() {
                    low.fill(0.0);
                }
            }
            Family::Squares => {}
        }
    }

    /// How far two files' scores can lie apart: the triangle inequality of (root) mean squares and mean absolutes.
    fn distance(&self, a: usize, b: usize) -> f64 {
        use super::identity::Unit;
        let (a, b) = (&self.natural[a], &self.natural[b]);
        let absolute = self.pair.unit == Unit::MeanAbsolute;
        let n_outputs = a.n_outputs() as f64;
        let (_, farthest) = self.mean_range(|_, high| {
            for output in 0..a.n_outputs() {
                for (high, (x, y)) in high.iter_mut().zip(a.column(output).iter().zip(b.column(output))) {
                    *high += if absolute { (x - y).abs() } else { (x - y) * (x - y) } / n_outputs;
                }
            }
        });
        match self.pair.unit {
            Unit::MeanAbsolute => farthest,
            Unit::Root => farthest.sqrt(),
            // |MSE_a - MSE_b| has no bound of its own: roots differ by the distance at most.
            Unit::Same => f64::INFINITY,
        }
    }
}

/// What rounding allows: of the score, and of sums.
fn slack(half_unit: f64, size: f64) -> f64 {
    half_unit * (1.0 + 1e-9) + 1e-9 * if size.is_finite() { size.abs() } else { 0.0 }
}

//! Paired bootstrap: is a gain more than the noise of the rows it was measured on?
//!
//! Rows (or whole groups of rows, where the competition names them) are drawn with replacement, both predictions are
//! scored on the same draw, and the percentiles of the difference are the interval (Efron 1979).

use super::row_scores::RowScores;
use crate::random::Random;
use blend_core::{
    Direction, Score,
    judge::{Bound, Judge},
};
use rayon::prelude::*;

/// A gain with its 95 % interval, in the metric's unit: positive where the blend is better.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Interval {
    /// The gain on the rows themselves.
    pub gain: f64,
    /// 2.5th percentile over replicates.
    pub low: f64,
    /// 97.5th percentile.
    pub high: f64,
}

impl Interval {
    /// Whether the gain could be noise: the interval holds 0.
    #[must_use]
    pub fn is_noise(&self) -> bool {
        self.low <= 0.0 && self.high >= 0.0
    }
}

/// Units that are drawn at most: above that, units are pooled at random, which costs no precision that shows.
const MAX_UNITS: usize = 50_000;

/// The same for means over rows: an interval's length is known to a hundredth, and its ends vary by more from one set of
/// replicates to another.
const MAX_UNITS_OF_SUMS: usize = 5_000;

/// Replicates of a metric that needs all rows for each.
const WHOLE_REPLICATES: usize = 200;

/// The gains of `blend` over each of `others`, with intervals; none where all rows are one unit. `unit` numbers the
/// unit that each row belongs to.
pub(crate) fn gains(
    bound: &dyn Bound,
    blend: &RowScores,
    others: &[&RowScores],
    unit: &[u32],
    replicates: usize,
    seed: u64,
) -> Vec<Interval> {
    let n_units = unit.iter().max().map_or(0, |&last| last as usize + 1);
    if n_units < 2 {
        return Vec::new(); // one unit alone says nothing of its noise
    }
    let most = if matches!(bound.judge(), Judge::Additive(_)) { MAX_UNITS_OF_SUMS } else { MAX_UNITS };
    let pooled: Vec<u32> = if n_units > most {
        unit.iter().map(|&u| (Random::new(u64::from(u)).bits() % most as u64) as u32).collect()
    } else {
        unit.to_vec()
    };
    let n_units = n_units.min(most);
    let all: Vec<&RowScores> = std::iter::once(blend).chain(others.iter().copied()).collect();
    let scores: Vec<Vec<f64>> = match bound.judge() {
        Judge::Additive(additive) => {
            let n_terms = additive.n_terms();
            let width = all.len() * n_terms + 1;
            // Per unit: each prediction's weighted terms, then the weight.
            let mut sums = vec![0.0; n_units * width];
            for (row, &u) in pooled.iter().enumerate() {
                let weight = additive.row_weights().map_or(1.0, |w| w[row]);
                let cell = &mut sums[u as usize * width..(u as usize + 1) * width];
                for (prediction, scores) in all.iter().enumerate() {
                    let RowScores::Terms(terms) = scores else { continue };
                    for term in 0..n_terms {
                        cell[prediction * n_terms + term] += weight * terms.get(term, row);
                    }
                }
                cell[width - 1] += weight;
            }
            (0..replicates)
                .into_par_iter()
                .map(|replicate| {
                    let mut random = Random::new(seed ^ ((replicate as u64 + 1) << 20));
                    let mut total = vec![0.0; width];
                    for _ in 0..n_units {
                        let at = random.below(n_units) * width;
                        total.iter_mut().zip(&sums[at..at + width]).for_each(|(t, s)| *t += s);
                    }
                    let mass = total[width - 1];
                    (0..all.len())
                        .map(|p| {
                            let means: Vec<f64> =
                                total[p * n_terms..(p + 1) * n_terms].iter().map(|t| t / mass).collect();
                            additive.finish(&means)
                        })
                        .collect()
                })
                .collect()
        }
        Judge::Whole(whole) => {
            let judges: Vec<_> = all
                .iter()
                .map(|scores| match scores {
                    RowScores::Predictions(block) => Some(whole.resampled(block)),
                    RowScores::Terms(_) => None,
                })
                .collect();
            (0..replicates.min(WHOLE_REPLICATES))
                .into_par_iter()
                .map(|replicate| {
                    let mut random = Random::new(seed ^ ((replicate as u64 + 1) << 20));
                    let mut drawn = vec![0_u32; n_units];
                    (0..n_units).for_each(|_| drawn[random.below(n_units)] += 1);
                    let counts: Vec<u32> = pooled.iter().map(|&u| drawn[u as usize]).collect();
                    judges.iter().map(|judge| judge.as_ref().map_or(f64::NAN, |judge| judge(&counts))).collect()
                })
                .collect()
        }
    };
    let direction = bound.direction();
    let own = blend.score(bound);
    others
        .iter()
        .enumerate()
        .map(|(i, other)| {
            let mut gains: Vec<f64> = scores.iter().map(|s| gain(direction, s[0], s[i + 1])).collect();
            gains.sort_by(f64::total_cmp);
            Interval {
                gain: gain(direction, own, other.score(bound)),
                low: percentile(&gains, 0.025),
                high: percentile(&gains, 0.975),
            }
        })
        .collect()
}

fn gain(direction: Direction, a: f64, b: f64) -> f64 {
    direction.gain(Score(a), Score(b))
}

/// Linear interpolation between order statistics (numpy's default).
pub(crate) fn percentile(sorted: &[f64], p: f64) -> f64 {
    let Some(last) = sorted.len().checked_sub(1) else { return f64::NAN };
    let at = p * last as f64;
    let below = at as usize;
    let above = (below + 1).min(last);
    sorted[below] + (at - below as f64) * (sorted[above] - sorted[below])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_numpys() {
        let sorted = [1.0, 2.0, 4.0, 8.0];
        assert_eq!(percentile(&sorted, 0.5), 3.0);
        assert!((percentile(&sorted, 0.025) - 1.075).abs() < 1e-12);
        assert_eq!(percentile(&sorted, 1.0), 8.0);
        assert!(percentile(&[], 0.5).is_nan());
    }

    #[test]
    fn an_interval_that_holds_zero_is_noise() {
        assert!(Interval { gain: 0.1, low: -0.1, high: 0.3 }.is_noise());
        assert!(!Interval { gain: 0.2, low: 0.1, high: 0.3 }.is_noise());
    }
}

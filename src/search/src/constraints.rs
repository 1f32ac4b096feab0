//! The set of allowed weights as a solver sees it, and the gap that proves an answer.

use blend_core::{Domain, num};

/// Bounds on each weight and, for some domains, a sum of one.
#[derive(Debug, Clone, PartialEq)]
pub struct Constraints {
    /// Lowest weight.
    pub low: f64,
    /// Highest weight.
    pub high: f64,
    /// Whether the weights sum to one.
    pub sums_to_one: bool,
    /// Number of weights.
    pub n: usize,
}

impl Constraints {
    /// The constraints of `domain` on `n` weights.
    #[must_use]
    pub fn of(domain: Domain, n: usize) -> Self {
        let (low, high) = domain.bounds();
        // The sum and the lower bound already keep simplex weights below one; a second bound there would only add
        // degenerate corners to the active-set method.
        let high = if domain == Domain::Simplex { f64::INFINITY } else { high };
        Self { low, high, sums_to_one: domain.sums_to_one(), n }
    }

    /// Whether the set is bounded.
    #[must_use]
    pub fn is_compact(&self) -> bool {
        self.low.is_finite() && (self.high.is_finite() || self.sums_to_one)
    }

    /// `max over v of gradient . (weights - v)`: for a convex loss an upper bound on how much better any allowed weights
    /// could be (Jaggi, ICML 2013). Infinite where the set is not bounded.
    #[must_use]
    pub fn gap(&self, weights: &[f64], gradient: &[f64]) -> f64 {
        if !self.is_compact() {
            return f64::INFINITY;
        }
        let gap = if self.sums_to_one {
            // The best corner puts all weight that the lower bounds leave on the member with the lowest slope.
            let lowest = gradient.iter().copied().fold(f64::INFINITY, f64::min);
            let free = 1.0 - self.low * self.n as f64;
            num::dot(gradient, weights) - self.low * num::sum(gradient) - free * lowest
        } else {
            let cells = weights.iter().zip(gradient);
            cells.map(|(w, g)| g * (w - if *g > 0.0 { self.low } else { self.high })).sum()
        };
        gap.max(0.0)
    }

    /// The allowed weights nearest to `weights` in a simple sense: clamped, then scaled or shifted to sum to one.
    #[must_use]
    pub fn mend(&self, weights: &[f64]) -> Vec<f64> {
        let mut mended: Vec<f64> = weights.iter().map(|w| w.clamp(self.low, self.high)).collect();
        if self.sums_to_one {
            let sum: f64 = mended.iter().sum();
            if self.low == 0.0 && sum > 0.0 {
                mended.iter_mut().for_each(|w| *w /= sum);
            } else {
                let shift = (1.0 - sum) / self.n as f64;
                mended.iter_mut().for_each(|w| *w += shift);
            }
        }
        mended
    }

    /// Equal weights.
    #[must_use]
    pub fn equal(&self) -> Vec<f64> {
        vec![1.0 / self.n as f64; self.n]
    }

    /// All weight on one member.
    #[must_use]
    pub fn corner(&self, member: usize) -> Vec<f64> {
        let mut weights = vec![0.0; self.n];
        weights[member] = 1.0;
        weights
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_gap_is_zero_only_at_the_optimum() {
        let simplex = Constraints::of(Domain::Simplex, 3);
        assert_eq!(simplex.gap(&[1.0, 0.0, 0.0], &[1.0, 2.0, 3.0]), 0.0);
        assert_eq!(simplex.gap(&[0.0, 1.0, 0.0], &[1.0, 2.0, 3.0]), 1.0);
        let unit_box = Constraints::of(Domain::Box, 2);
        assert_eq!(unit_box.gap(&[0.0, 1.0], &[0.5, -2.0]), 0.0);
        assert_eq!(unit_box.gap(&[1.0, 0.0], &[0.5, -2.0]), 2.5);
        assert_eq!(Constraints::of(Domain::Free, 2).gap(&[0.0, 0.0], &[0.0, 0.0]), f64::INFINITY);
    }

    #[test]
    fn mended_weights_are_allowed() {
        let simplex = Constraints::of(Domain::Simplex, 3);
        assert_eq!(simplex.mend(&[2.0, -1.0, 2.0]), [0.5, 0.0, 0.5]);
        let affine = Constraints::of(Domain::Affine, 2);
        assert_eq!(affine.mend(&[2.0, -2.0]), [2.5, -1.5]);
    }
}

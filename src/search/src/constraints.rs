//! The set of allowed weights as a solver sees it, and the gap that proves an answer.

use blend_core::{Domain, num};

/// Bounds on each weight and, for some domains, a sum of one. Never empty.
#[derive(Debug, Clone, PartialEq)]
pub struct Constraints {
    /// Lowest weight of each member.
    pub low: Vec<f64>,
    /// Highest weight of each member.
    pub high: Vec<f64>,
    /// Whether the weights sum to one.
    pub sums_to_one: bool,
    /// Number of weights.
    pub n: usize,
    /// Whether the bounds are the domain's own, the same for all.
    plain: bool,
    /// The allowed weights nearest to equal ones.
    equal: Vec<f64>,
}

/// Why no weights are allowed at all.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum EmptyDomain {
    /// A bound that no weight of the domain meets.
    #[error("weight {member} would have to be at least {low} and at most {high}")]
    Crossed {
        /// Position of the member.
        member: usize,
        /// The highest of its lower bounds.
        low: f64,
        /// The lowest of its upper bounds.
        high: f64,
    },
    /// Bounds that leave no sum of one.
    #[error("weights within these bounds sum to between {low} and {high}, never to 1")]
    Sum {
        /// The lowest sum.
        low: f64,
        /// The highest sum.
        high: f64,
    },
}

/// How far sums of bounds may miss one: the bounds were typed as decimals.
const SLACK: f64 = 1e-12;

impl Constraints {
    /// The constraints of `domain` on `n` weights.
    #[must_use]
    pub fn of(domain: Domain, n: usize) -> Self {
        let (low, high) = domain.bounds();
        // The sum and the lower bound already keep simplex weights below one; a second bound there would only add
        // degenerate corners to the active-set method.
        let high = if domain == Domain::Simplex { f64::INFINITY } else { high };
        let equal = vec![1.0 / n as f64; n];
        Self { low: vec![low; n], high: vec![high; n], sums_to_one: domain.sums_to_one(), n, plain: true, equal }
    }

    /// The constraints of `domain`, narrowed by a lowest and a highest weight for each member; a weight is fixed where
    /// the two are equal.
    pub fn within(domain: Domain, bounds: &[(f64, f64)]) -> Result<Self, EmptyDomain> {
        let mut it = Self::of(domain, bounds.len());
        for (member, &(low, high)) in bounds.iter().enumerate() {
            let low = low.max(it.low[member]);
            let high = if domain == Domain::Simplex && high >= 1.0 { f64::INFINITY } else { high.min(it.high[member]) };
            if low > high || low > 1.0 && it.sums_to_one && it.low.iter().all(|low| *low >= 0.0) {
                return Err(EmptyDomain::Crossed { member, low, high: if high.is_finite() { high } else { 1.0 } });
            }
            it.plain &= low == it.low[member] && high == it.high[member];
            (it.low[member], it.high[member]) = (low, high);
        }
        let (low, high) = (it.low.iter().sum::<f64>(), it.high.iter().sum::<f64>());
        if it.sums_to_one && (low > 1.0 + SLACK || high < 1.0 - SLACK) {
            return Err(EmptyDomain::Sum { low, high });
        }
        if !it.plain {
            it.equal = it.project(&it.equal);
        }
        Ok(it)
    }

    /// Constraints with a lone offset behind the members: a last weight of any size that counts in no sum. Only for
    /// domains whose weights need not sum to one.
    #[must_use]
    pub fn with_offset(mut self) -> Self {
        debug_assert!(!self.sums_to_one);
        self.low.push(f64::NEG_INFINITY);
        self.high.push(f64::INFINITY);
        self.equal.push(0.0);
        self.n += 1;
        self.plain = false;
        self
    }

    /// The same set with one member left out; `None` where the others' bounds leave no sum of one.
    #[must_use]
    pub fn without(&self, member: usize) -> Option<Self> {
        self.only(|other| other != member)
    }

    /// The same set with weights for those members alone that `keep` names, all others held at 0.
    #[must_use]
    pub fn only(&self, keep: impl Fn(usize) -> bool) -> Option<Self> {
        let mut it = Self { plain: false, ..self.clone() };
        for member in (0..self.n).filter(|&member| !keep(member)) {
            if self.low[member] > 0.0 || self.high[member] < 0.0 {
                return None;
            }
            (it.low[member], it.high[member]) = (0.0, 0.0);
        }
        let (low, high) = (it.low.iter().sum::<f64>(), it.high.iter().sum::<f64>());
        if it.sums_to_one && (low > 1.0 + SLACK || high < 1.0 - SLACK) {
            return None;
        }
        it.equal = it.project(&it.equal);
        Some(it)
    }

    /// The constraints of some members alone, the others gone (and so at 0).
    #[must_use]
    pub fn select(&self, members: &[usize]) -> Self {
        let pick = |all: &[f64]| members.iter().map(|&member| all[member]).collect::<Vec<f64>>();
        let mut it = Self {
            low: pick(&self.low),
            high: pick(&self.high),
            n: members.len(),
            equal: vec![1.0 / members.len() as f64; members.len()],
            ..self.clone()
        };
        if !it.plain {
            it.equal = it.project(&it.equal);
        }
        it
    }

    /// The same set with every weight at least `least`; `None` where nothing is left of it.
    #[must_use]
    pub fn at_least(&self, least: f64) -> Option<Self> {
        let mut it = self.clone();
        for member in 0..it.n {
            if it.low[member] < least {
                it.low[member] = least;
                it.plain = false;
            }
        }
        let crossed = (0..it.n).any(|member| it.low[member] > it.high[member]);
        if crossed || it.sums_to_one && it.low.iter().sum::<f64>() > 1.0 + SLACK {
            return None;
        }
        if !it.plain {
            it.equal = it.project(&it.equal);
        }
        Some(it)
    }

    /// Whether the bounds are the domain's own: then equal weights and every corner are allowed.
    #[must_use]
    pub fn is_plain(&self) -> bool {
        self.plain
    }

    /// Whether a member's weight is given.
    #[must_use]
    pub fn is_fixed(&self, member: usize) -> bool {
        self.low[member] >= self.high[member]
    }

    /// Whether `weights` are allowed, up to rounding.
    #[must_use]
    pub fn allow(&self, weights: &[f64]) -> bool {
        let inside = |(i, w): (usize, &f64)| *w >= self.low[i] - SLACK && *w <= self.high[i] + SLACK;
        let sum: f64 = weights.iter().sum();
        weights.iter().enumerate().all(inside) && (!self.sums_to_one || (sum - 1.0).abs() <= self.n as f64 * SLACK)
    }

    /// Whether the set is bounded.
    #[must_use]
    pub fn is_compact(&self) -> bool {
        self.low.iter().all(|low| low.is_finite())
            && (self.sums_to_one || self.high.iter().all(|high| high.is_finite()))
    }

    /// `max over v of gradient . (weights - v)`: for a convex loss an upper bound on how much better any allowed weights
    /// could be (Jaggi, ICML 2013). Infinite where the set is not bounded.
    #[must_use]
    pub fn gap(&self, weights: &[f64], gradient: &[f64]) -> f64 {
        if !self.is_compact() {
            return f64::INFINITY;
        }
        let gap = if self.sums_to_one {
            // Weight above the lower bounds goes to the lowest slopes first, as much as each can take.
            let mut order: Vec<usize> = (0..self.n).collect();
            if !self.plain {
                order.sort_by(|&a, &b| gradient[a].total_cmp(&gradient[b]));
            } else if let Some(best) = order.iter().copied().min_by(|&a, &b| gradient[a].total_cmp(&gradient[b])) {
                order = vec![best];
            }
            let mut lowest = num::dot(&self.low, gradient);
            let mut free = 1.0 - num::sum(&self.low);
            for member in order {
                let part = (self.high[member] - self.low[member]).min(free).max(0.0);
                lowest += part * gradient[member];
                free -= part;
            }
            num::dot(gradient, weights) - lowest
        } else {
            let cells = weights.iter().zip(gradient).enumerate();
            cells.map(|(i, (w, g))| g * (w - if *g > 0.0 { self.low[i] } else { self.high[i] })).sum()
        };
        gap.max(0.0)
    }

    /// The allowed weights nearest to `weights`: within the domain's own bounds in a simple sense (clamped, then scaled or
    /// shifted to sum to one), else the nearest of all.
    #[must_use]
    pub fn mend(&self, weights: &[f64]) -> Vec<f64> {
        if !self.plain {
            return self.project(weights);
        }
        let mut mended: Vec<f64> =
            weights.iter().enumerate().map(|(i, w)| w.clamp(self.low[i], self.high[i])).collect();
        if self.sums_to_one {
            let sum: f64 = mended.iter().sum();
            if self.low[0] == 0.0 && sum > 0.0 {
                mended.iter_mut().for_each(|w| *w /= sum);
            } else {
                let shift = (1.0 - sum) / self.n as f64;
                mended.iter_mut().for_each(|w| *w += shift);
            }
        }
        mended
    }

    /// The nearest allowed weights: `clamp(w - t)` with the one `t` that makes the sum one, found by bisection.
    fn project(&self, weights: &[f64]) -> Vec<f64> {
        let at = |t: f64| -> Vec<f64> {
            weights.iter().enumerate().map(|(i, w)| (w - t).clamp(self.low[i], self.high[i])).collect()
        };
        if !self.sums_to_one {
            return at(0.0);
        }
        let excess = |t: f64| at(t).iter().sum::<f64>() - 1.0;
        // The sum falls as t grows: doubling finds both sides of its root, for the set is not empty.
        let (mut below, mut above) = (-1.0, 1.0);
        while excess(below) < 0.0 && below > -1e12 {
            below *= 2.0;
        }
        while excess(above) > 0.0 && above < 1e12 {
            above *= 2.0;
        }
        for _ in 0..200 {
            let middle = 0.5 * (below + above);
            if excess(middle) > 0.0 { below = middle } else { above = middle }
        }
        let mut projected = at(above);
        let rest = 1.0 - projected.iter().sum::<f64>();
        // What rounding left of the sum goes where there is room for it.
        let room = |i: &usize| (projected[*i] + rest).clamp(self.low[*i], self.high[*i]) == projected[*i] + rest;
        if let Some(i) = (0..self.n).filter(room).max_by(|&a, &b| projected[a].total_cmp(&projected[b])) {
            projected[i] += rest;
        }
        projected
    }

    /// Equal weights, or the allowed ones nearest to them.
    #[must_use]
    pub fn equal(&self) -> Vec<f64> {
        self.equal.clone()
    }

    /// All weight on one member, or the allowed ones nearest to that.
    #[must_use]
    pub fn corner(&self, member: usize) -> Vec<f64> {
        let mut weights = vec![0.0; self.n];
        weights[member] = 1.0;
        if self.plain { weights } else { self.project(&weights) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    #[test]
    fn the_gap_is_zero_only_at_the_optimum() {
        let simplex = Constraints::of(Domain::Simplex, 3);
        assert_eq!(simplex.gap(&[1.0, 0.0, 0.0], &[1.0, 2.0, 3.0]), 0.0);
        assert_eq!(simplex.gap(&[0.0, 1.0, 0.0], &[1.0, 2.0, 3.0]), 1.0);
        let unit_box = Constraints::of(Domain::Box, 2);
        assert_eq!(unit_box.gap(&[0.0, 1.0], &[0.5, -2.0]), 0.0);
        assert_eq!(unit_box.gap(&[1.0, 0.0], &[0.5, -2.0]), 2.5);
        assert_eq!(Constraints::of(Domain::Free, 2).gap(&[0.0, 0.0], &[0.0, 0.0]), f64::INFINITY);
        // At most 0.4 fits on the best member, and the last one has its weight.
        let bounded = Constraints::within(Domain::Simplex, &[(0.0, 0.4), (0.0, 1.0), (0.1, 0.1)]).unwrap();
        assert!(bounded.gap(&[0.4, 0.5, 0.1], &[1.0, 2.0, 0.0]) < 1e-15);
        assert!((bounded.gap(&[0.0, 0.9, 0.1], &[1.0, 2.0, 0.0]) - 0.4).abs() < 1e-15);
        let affine = Constraints::within(Domain::Affine, &[(-0.5, 1.5); 2]).unwrap();
        assert!(affine.is_compact());
        assert!((affine.gap(&[0.5, 0.5], &[0.0, 1.0]) - 1.0).abs() < 1e-15);
    }

    #[test]
    fn mended_weights_are_allowed() {
        let simplex = Constraints::of(Domain::Simplex, 3);
        assert_eq!(simplex.mend(&[2.0, -1.0, 2.0]), [0.5, 0.0, 0.5]);
        let affine = Constraints::of(Domain::Affine, 2);
        assert_eq!(affine.mend(&[2.0, -2.0]), [2.5, -1.5]);
        let mut random = Random::new(1);
        for domain in [Domain::Simplex, Domain::Affine, Domain::Box, Domain::Nonnegative, Domain::Free] {
            let bounds = [(-0.2, 0.7), (0.15, 0.15), (f64::NEG_INFINITY, f64::INFINITY), (0.1, 0.6)];
            let constraints = Constraints::within(domain, &bounds).unwrap();
            assert!(constraints.allow(&constraints.equal()), "{domain:?} {:?}", constraints.equal());
            for member in 0..4 {
                assert!(constraints.allow(&constraints.corner(member)), "{domain:?}");
                let raw: Vec<f64> = (0..4).map(|_| 4.0 * random.unit() - 2.0).collect();
                let mended = constraints.mend(&raw);
                assert!(constraints.allow(&mended), "{domain:?} {mended:?}");
                let distance = |to: &[f64]| raw.iter().zip(to).map(|(a, b)| (a - b) * (a - b)).sum::<f64>();
                for other in 0..4 {
                    assert!(distance(&mended) <= distance(&constraints.corner(other)) + 1e-9, "{domain:?}");
                }
            }
        }
    }

    #[test]
    fn bounds_that_leave_nothing_are_refused() {
        let within = |bounds: &[(f64, f64)]| Constraints::within(Domain::Simplex, bounds);
        assert!(matches!(within(&[(0.0, 1.0), (1.2, 1.2)]), Err(EmptyDomain::Crossed { member: 1, .. })));
        assert!(matches!(within(&[(-0.5, -0.1), (0.0, 1.0)]), Err(EmptyDomain::Crossed { member: 0, .. })));
        assert!(matches!(within(&[(0.7, 1.0), (0.6, 1.0)]), Err(EmptyDomain::Sum { .. })));
        assert!(matches!(within(&[(0.0, 0.3), (0.0, 0.6)]), Err(EmptyDomain::Sum { .. })));
        assert!(within(&[(0.0, 0.4), (0.0, 0.6)]).is_ok());
        let simplex = Constraints::of(Domain::Simplex, 2);
        assert_eq!(within(&[(0.0, 1.0), (0.0, 1.0)]).unwrap(), simplex);
        assert_eq!(simplex.without(0).unwrap().corner(0), [0.0, 1.0]);
        assert!(within(&[(0.2, 1.0), (0.0, 1.0)]).unwrap().without(0).is_none());
    }
}

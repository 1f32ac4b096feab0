//! Weights and the domains they must lie in.

use std::str::FromStr;

/// Which weights are allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Domain {
    /// Not negative, summing to one.
    Simplex,
    /// Each in [0, 1], any sum.
    Box,
    /// Not negative.
    Nonnegative,
    /// Summing to one, any sign.
    Affine,
    /// Any numbers.
    Free,
}

/// All domains with their names in YAML and on the command line.
pub const DOMAINS: [(&str, Domain); 5] = [
    ("simplex", Domain::Simplex),
    ("box", Domain::Box),
    ("nonnegative", Domain::Nonnegative),
    ("affine", Domain::Affine),
    ("free", Domain::Free),
];

impl Domain {
    /// The name in YAML and on the command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        DOMAINS.iter().find(|(_, domain)| *domain == self).map_or("", |(name, _)| name)
    }

    /// Lowest and highest weight allowed, infinite where there is no bound.
    #[must_use]
    pub fn bounds(self) -> (f64, f64) {
        match self {
            Self::Simplex | Self::Box => (0.0, 1.0),
            Self::Nonnegative => (0.0, f64::INFINITY),
            Self::Affine | Self::Free => (f64::NEG_INFINITY, f64::INFINITY),
        }
    }

    /// Whether the weights must sum to one.
    #[must_use]
    pub fn sums_to_one(self) -> bool {
        matches!(self, Self::Simplex | Self::Affine)
    }

    /// Whether the set is bounded and closed: only there is a gap a proof without further structure.
    #[must_use]
    pub fn is_compact(self) -> bool {
        matches!(self, Self::Simplex | Self::Box)
    }
}

impl FromStr for Domain {
    type Err = ();
    fn from_str(name: &str) -> Result<Self, ()> {
        DOMAINS.iter().find(|(known, _)| *known == name).map(|(_, domain)| *domain).ok_or(())
    }
}

/// How far hand-written weights may miss their domain: the MoA winners' sum to 1.00000001.
pub const WEIGHT_TOLERANCE: f64 = 1e-6;

/// A sum of 1.000001 is 1e-6 too high as it is written, and a little more in binary.
const ROUNDING: f64 = 1e-12;

/// Weights that were checked once to lie in their domain, within [`WEIGHT_TOLERANCE`]. Never renormalised.
#[derive(Debug, Clone, PartialEq)]
pub struct Weights {
    domain: Domain,
    values: Vec<f64>,
}

/// How weights miss their domain.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum WeightsError {
    /// No members.
    #[error("a blend needs at least one member")]
    Empty,
    /// NaN or infinite.
    #[error("weight {index} is {value}, not a number")]
    NotFinite {
        /// Position of the member.
        index: usize,
        /// Its weight.
        value: f64,
    },
    /// Outside the bounds.
    #[error("weight {index} is {value}, outside [{low}, {high}]")]
    OutOfBounds {
        /// Position of the member.
        index: usize,
        /// Its weight.
        value: f64,
        /// Lowest allowed.
        low: f64,
        /// Highest allowed.
        high: f64,
    },
    /// Another sum than one.
    #[error("weights sum to {sum}, not to 1")]
    Sum {
        /// Their sum.
        sum: f64,
    },
}

impl Weights {
    /// Checks `values` against `domain`.
    pub fn new(domain: Domain, values: Vec<f64>) -> Result<Self, WeightsError> {
        if values.is_empty() {
            return Err(WeightsError::Empty);
        }
        let (low, high) = domain.bounds();
        for (index, &value) in values.iter().enumerate() {
            if !value.is_finite() {
                return Err(WeightsError::NotFinite { index, value });
            }
            if value < low - WEIGHT_TOLERANCE || value > high + WEIGHT_TOLERANCE {
                return Err(WeightsError::OutOfBounds { index, value, low, high });
            }
        }
        let sum: f64 = values.iter().sum();
        if domain.sums_to_one() && (sum - 1.0).abs() > WEIGHT_TOLERANCE + ROUNDING {
            return Err(WeightsError::Sum { sum });
        }
        Ok(Self { domain, values })
    }

    /// `1/n` each. Panics where `n` is 0.
    #[must_use]
    pub fn equal(domain: Domain, n: usize) -> Self {
        assert!(n > 0, "equal weights of no members");
        Self { domain, values: vec![1.0 / n as f64; n] }
    }

    /// The domain they were checked against.
    #[must_use]
    pub fn domain(&self) -> Domain {
        self.domain
    }

    /// One per member, in the members' order.
    #[must_use]
    pub fn values(&self) -> &[f64] {
        &self.values
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn winners_rounding_passes_and_a_lost_weight_does_not() {
        let best_cv = vec![0.36704255, 0.0808577, 0.17120266, 0.10876667, 0.27213043];
        assert!(Weights::new(Domain::Simplex, best_cv).is_ok());
        assert_eq!(
            Weights::new(Domain::Simplex, vec![0.5, 0.25, 0.2363]).unwrap_err(),
            WeightsError::Sum { sum: 0.9863 }
        );
        assert!(Weights::new(Domain::Simplex, vec![0.500_001, 0.5]).is_ok());
        assert!(Weights::new(Domain::Simplex, vec![1.2, -0.2]).is_err());
        assert!(Weights::new(Domain::Affine, vec![1.2, -0.2]).is_ok());
        assert!(Weights::new(Domain::Box, vec![0.9, 0.9]).is_ok());
        assert!(Weights::new(Domain::Free, vec![f64::NAN]).is_err());
    }
}

//! Scores in the metric's unit, losses that are always better when lower.

use std::cmp::Ordering;

/// Which way a metric is better.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// Lower scores are better.
    Lower,
    /// Higher scores are better.
    Higher,
}

/// A metric's value in its own unit. It has no order: whether more is better is the metric's to say, see [`Loss`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Score(pub f64);

/// An oriented score: lower is better, never NaN.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Loss(f64);

impl Loss {
    /// Keeps `value`; NaN becomes infinity, the worst loss.
    #[must_use]
    pub fn new(value: f64) -> Self {
        Self(if value.is_nan() { f64::INFINITY } else { value })
    }

    /// The number.
    #[must_use]
    pub fn value(self) -> f64 {
        self.0
    }
}

impl Eq for Loss {}

impl PartialOrd for Loss {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Loss {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.total_cmp(&other.0)
    }
}

impl Direction {
    /// The oriented form of `score`.
    #[must_use]
    pub fn loss(self, score: Score) -> Loss {
        Loss::new(match self {
            Self::Lower => score.0,
            Self::Higher => -score.0,
        })
    }

    /// The score whose oriented form is `loss`.
    #[must_use]
    pub fn score(self, loss: Loss) -> Score {
        Score(match self {
            Self::Lower => loss.0,
            Self::Higher => -loss.0,
        })
    }

    /// How much better `a` is than `b`, in the metric's unit: positive where `a` wins.
    #[must_use]
    pub fn gain(self, a: Score, b: Score) -> f64 {
        self.loss(b).value() - self.loss(a).value()
    }
}

/// How scores over folds become one number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Aggregation {
    /// One score over all OOF rows.
    PooledOof,
    /// The mean of the folds' scores.
    MeanOfFolds,
}

/// A score and what it is a score of: two of them compare only where metric, scope, aggregation and rows agree.
#[derive(Debug, Clone, PartialEq)]
pub struct Scored {
    /// The value.
    pub score: Score,
    /// The metric with its options, as `log_loss(clip=1e-15)`.
    pub metric: String,
    /// The scope's name.
    pub scope: String,
    /// Pooled OOF or mean of folds.
    pub aggregation: Aggregation,
    /// Rows judged.
    pub n_rows: usize,
}

impl Scored {
    /// How much better `self` is than `other`, `None` where they were measured on different things.
    #[must_use]
    pub fn gain_over(&self, other: &Self, direction: Direction) -> Option<f64> {
        let comparable = self.metric == other.metric
            && self.scope == other.scope
            && self.aggregation == other.aggregation
            && self.n_rows == other.n_rows;
        comparable.then(|| direction.gain(self.score, other.score))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orientation_is_decided_once() {
        assert!(Direction::Higher.loss(Score(0.9)) < Direction::Higher.loss(Score(0.8)));
        assert!(Direction::Lower.loss(Score(0.1)) < Direction::Lower.loss(Score(f64::NAN)));
        assert!((Direction::Higher.gain(Score(0.9), Score(0.8)) - 0.1).abs() < 1e-12);
    }

    #[test]
    fn different_scopes_do_not_compare() {
        let a = Scored {
            score: Score(0.01615),
            metric: "log_loss".into(),
            scope: "all".into(),
            aggregation: Aggregation::PooledOof,
            n_rows: 23_814,
        };
        let b = Scored { n_rows: 21_948, scope: "treated".into(), ..a.clone() };
        assert_eq!(a.gain_over(&b, Direction::Lower), None);
        assert_eq!(a.gain_over(&a, Direction::Lower), Some(0.0));
    }
}

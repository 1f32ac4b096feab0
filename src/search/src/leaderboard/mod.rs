//! The public leaderboard as a target, from submitted values and rounded scores alone: no test label is seen, asked for
//! or reconstructed.
//!
//! * [`Board`]: metrics whose loss is linear in the label for entered predictions. There a blend's public score follows
//!   from its members' (`identity`), and any other prediction's by regression on theirs (`regression`).
//! * Any other metric: `binormal` for AUC, `noise_matched` for the rest, `moment_matched` for absolute errors
//!   without out-of-fold rows, with error bars that a `rehearsal` earned.
//! * `check`: scores that no labels could have given are refused.
//! * [`search()`]: best LB, and pooled with cross-validation.
//!
//! Every predicted score comes with its method, its standard error, and the parts of it.

mod binormal;
mod board;
mod check;
pub mod finals;
mod identity;
mod moment_matched;
mod noise_matched;
pub mod plan;
mod predictor;
mod regression;
mod rehearsal;
mod search;

#[cfg(test)]
mod laws;

pub use board::Board;
pub use search::{LbOutcome, LbProblem, Target, canonical_space, predict, search};

use crate::search::SearchError;
use blend_core::leaderboard::PublicLbError;

/// How a public score is predicted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// From the members' scores by the identity, on public rows that are known: wrong by the rounding at most.
    Exact,
    /// By the identity, with all test rows in the place of the unknown public ones.
    Identity,
    /// By regression on the scored files.
    Regression,
    /// Absolute errors taken for those of normal residuals.
    MomentMatched,
    /// AUC, both classes' scores taken for normal.
    Binormal,
    /// CV of out-of-fold predictions that were blurred until they are as bad as their public scores.
    NoiseMatched,
}

impl Method {
    /// Its name in recipes and JSON.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Exact => "exact",
            Self::Identity => "identity",
            Self::Regression => "regression",
            Self::MomentMatched => "moment_matched",
            Self::Binormal => "binormal",
            Self::NoiseMatched => "noise_matched",
        }
    }
}

/// A predicted public score, in the metric's unit.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Predicted {
    /// The score.
    pub score: f64,
    /// Its standard error, all parts together.
    pub standard_error: f64,
    /// How it was predicted.
    pub method: Method,
    /// What the standard error is made of.
    pub parts: Parts,
}

impl Predicted {
    /// Whether the score follows from those of scored files: they leave no more of it open than their rounding does, or
    /// the digits of single precision.
    #[must_use]
    pub fn is_told(&self) -> bool {
        self.parts.regression <= self.parts.rounding_bound.max(1e-6 * self.score.abs())
    }
}

/// Parts of a standard error, in the metric's unit; their squares add up.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Parts {
    /// The scores are rounded.
    pub rounding: f64,
    /// What rounding can do at most: not a standard error but a bound.
    pub rounding_bound: f64,
    /// Which rows are public is not known.
    pub public_rows: f64,
    /// The prediction is no blend of scored files.
    pub regression: f64,
    /// What the method got wrong in rehearsals: rounding and public rows are in it, and zero then.
    pub rehearsed: f64,
    /// Members have moved from their CV by more or less than all of them have, and what of it a blend keeps is not known.
    pub luck: f64,
    /// Mean of predicted less actual scores in rehearsals. It is said, not taken off.
    pub bias: f64,
}

/// Why a leaderboard cannot be used.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum LbError {
    /// The scores and rows make no leaderboard.
    #[error(transparent)]
    Board(#[from] PublicLbError),
    /// A score that no labels could have given.
    #[error("no labels give `{name}` the public score {score}: it would lie in [{low}, {high}]")]
    Impossible {
        /// The file.
        name: String,
        /// Its score.
        score: f64,
        /// The lowest there could be.
        low: f64,
        /// The highest.
        high: f64,
    },
    /// Two scores that no labels could have given together.
    #[error(
        "no labels give `{first}` {first_score} and `{second}` {second_score}: their predictions allow a difference in \
         [{low}, {high}]"
    )]
    ImpossiblePair {
        /// A file.
        first: String,
        /// Its score.
        first_score: f64,
        /// Another file.
        second: String,
        /// Its score.
        second_score: f64,
        /// The lowest difference there could be.
        low: f64,
        /// The highest.
        high: f64,
    },
    /// A blend of the files would have a score that is better than perfect.
    #[error("the scores contradict each other: a blend of these files would have the loss {0}, below zero")]
    BelowZero(f64),
    /// Nothing here predicts this metric's public scores from what there is.
    #[error("no method predicts public scores of {metric} {why}")]
    NoMethod {
        /// The metric.
        metric: String,
        /// What would be needed.
        why: &'static str,
    },
    /// Weights of any sum in a metric whose identity needs a sum of one.
    #[error("the public score of {metric} is known for weights that sum to one, not for domain `{domain}`")]
    Domain {
        /// The metric.
        metric: String,
        /// The domain.
        domain: &'static str,
    },
    /// A member without a public score, where each needs one.
    #[error("`{model}` has no public score, which {method} needs of every member")]
    NotScored {
        /// The member.
        model: String,
        /// The method.
        method: &'static str,
    },
    /// As in any search.
    #[error(transparent)]
    Search(#[from] SearchError),
}

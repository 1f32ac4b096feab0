//! What the numbers are and how they are judged.
//!
//! This room has no files, no clock, no environment and prints nothing. It holds the types that refuse a mistake by
//! not being constructible from it ([`RowIndex`], [`Folds`], [`Predictions`], [`Weights`], ...) and the shelves
//! [`metric`], [`space`], [`post`] and [`audit`], where one variant is one file.
//!
//! Shapes are written `(n_models, n_rows, n_outputs)`; a score is in the metric's own unit, a loss is oriented so that
//! lower is better.

mod absolutes;
pub mod audit;
pub mod blend;
pub mod block;
pub mod calibration;
pub mod compare;
mod concordance;
mod confusion;
pub mod drift;
pub mod ensemble;
pub mod fingerprint;
pub mod folds;
pub mod id;
pub mod judge;
pub mod leaderboard;
pub mod manifest;
pub mod metric;
pub mod num;
mod order;
pub mod output;
pub mod pool;
pub mod post;
pub mod prediction;
mod ranking;
pub mod rows;
pub mod scope;
pub mod score;
pub mod scorer;
pub mod source;
pub mod space;
mod squares;
pub mod survey;
pub mod truth;
pub mod weights;

pub use blend::{Blend, Member};
pub use block::Block;
pub use fingerprint::Fingerprint;
pub use folds::Folds;
pub use id::{BlendName, CompetitionId, ModelId};
pub use leaderboard::{PublicLb, PublicPart, ScoredFile};
pub use output::{Frame, OutputKind};
pub use prediction::{Oof, PredictionMatrix, Predictions, Split, Test};
pub use rows::RowIndex;
pub use scope::{RowSet, Scope};
pub use score::{Direction, Loss, Score, Scored};
pub use source::{BLOCK_ROWS, BlockSource, Slice, TableSource};
pub use truth::Truth;
pub use weights::{Domain, Weights};

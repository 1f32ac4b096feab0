//! How weights are found: an [`Objective`](objective::Objective) made from predictions, labels, a metric and a space; a
//! shelf of [`solver`]s that see nothing but it; and [`honest`] scores beside the flattering one.
//!
//! A metric that is convex in the weights ends with a certificate: a number that no allowed weights can beat the
//! answer by. Everything else says what it is.

pub mod calibrate;
pub mod constraints;
pub mod drive;
mod fit;
pub mod granular;
pub mod honest;
pub mod leaderboard;
pub mod limits;
pub mod objective;
pub mod quadratic_program;
pub mod random;
mod sample;
pub mod search;
mod selection;
pub mod solver;

#[cfg(test)]
mod testing;

pub use calibrate::Calibrate;
pub use granular::{Parts, PartsFound};
pub use limits::{Budget, Limits};
pub use search::{Control, Interval, Nested, Options, Outcome, Problem, SearchError, search};
pub use solver::SolverName;

//! Scores that do not flatter: of rows that took no part in the choice of the weights, and with their noise.

pub(crate) mod around;
pub mod bootstrap;
#[cfg(test)]
mod fair;
#[cfg(test)]
mod laws;
mod lockstep;
pub mod nested;
pub(crate) mod refit;
pub(crate) mod row_scores;
pub mod spread;
pub mod without;
#[cfg(test)]
mod worth;

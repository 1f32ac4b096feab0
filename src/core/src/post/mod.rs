//! Post steps: what is done to a blend, on the scale of the submission, before it is written.
//!
//! To add one: a variant of [`PostStep`], a file with its entry and its `apply`, and the lines below (`mod`, the
//! catalogue, the three matches). The laws in `laws.rs` then test it. Only portable arithmetic is allowed here (see
//! [`crate::num`]), because a submission must regenerate byte for byte anywhere.

pub mod calibrate;
mod clip;
mod min_max;
mod round;
mod thresholds;
mod zero_rows;

#[cfg(test)]
mod laws;

pub use calibrate::{Calibration, Link};
pub use thresholds::Scale;

use crate::block::Block;

/// A step after the blend, on the scale of the submission. Steps run in the order written, the competition's first.
#[derive(Debug, Clone, PartialEq)]
pub enum PostStep {
    /// Rows that a file marks are set to 0 in every column (the control rows of MoA).
    ZeroRows {
        /// Table with ids.
        file: std::path::PathBuf,
        /// Its column.
        column: String,
        /// The value that marks a row, as it is written.
        equals: String,
    },
    /// Values outside `[low, high]` are moved to the nearer end.
    Clip {
        /// Lowest value.
        low: f64,
        /// Highest value.
        high: f64,
    },
    /// Values are rounded to this many decimals, halves to even.
    Round(u32),
    /// Each column is scaled to `[0, 1]`.
    MinMax,
    /// Values become labels: one scale for all outputs, or one for each.
    Thresholds(Vec<Scale>),
    /// Confidence is set right by a line on the scale of a link.
    Calibrate(Calibration),
}

/// A step's entry in the catalogue.
#[derive(Debug)]
pub struct Info {
    /// Name in YAML.
    pub name: &'static str,
    /// How it stands in YAML.
    pub yaml: &'static str,
    /// What it does to a value `x`.
    pub formula: &'static str,
    /// Whether doing it twice is doing it once.
    pub idempotent: bool,
    /// Whether a row is changed without looking at other rows. Where not, a block must hold all rows.
    pub row_local: bool,
    /// Some legal steps of this kind, for the laws.
    pub examples: fn() -> Vec<PostStep>,
}

/// All steps.
pub const CATALOGUE: [&Info; 6] =
    [&zero_rows::INFO, &clip::INFO, &round::INFO, &min_max::INFO, &thresholds::INFO, &calibrate::INFO];

/// Why a step cannot be done.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("post step {step}: {why}")]
pub struct PostError {
    /// The step's name in YAML.
    pub step: &'static str,
    /// What is wrong with it.
    pub why: String,
}

impl PostStep {
    /// The catalogue's entry.
    #[must_use]
    pub fn info(&self) -> &'static Info {
        match self {
            Self::ZeroRows { .. } => &zero_rows::INFO,
            Self::Clip { .. } => &clip::INFO,
            Self::Round(_) => &round::INFO,
            Self::MinMax => &min_max::INFO,
            Self::Thresholds(_) => &thresholds::INFO,
            Self::Calibrate(_) => &calibrate::INFO,
        }
    }

    /// How many outputs a step is for, where it is not for any number of them.
    #[must_use]
    pub fn outputs(&self) -> Option<usize> {
        match self {
            Self::Thresholds(scales) if scales.len() > 1 => Some(scales.len()),
            _ => None,
        }
    }

    /// Refuses bounds in the wrong order, thresholds that do not ascend, more decimals than a number has.
    pub fn check(&self) -> Result<(), PostError> {
        let why = match self {
            Self::ZeroRows { .. } | Self::MinMax => None,
            Self::Clip { low, high } => clip::fault(*low, *high),
            Self::Round(decimals) => round::fault(*decimals),
            Self::Thresholds(scales) => thresholds::fault(scales),
            Self::Calibrate(calibration) => calibrate::fault(calibration),
        };
        why.map_or(Ok(()), |why| Err(PostError { step: self.info().name, why }))
    }
}

/// Does one step to `values`, shape `(n_outputs, n_rows)`: all rows where the step is not row-local. `marked` has one
/// mark per row of the block for [`PostStep::ZeroRows`]; other steps do not look at it.
///
/// Total for steps that pass [`PostStep::check`]. Panics where `ZeroRows` comes without marks, or with another number
/// of them than rows: forgotten marks must not become unmarked rows; and where thresholds of several outputs meet
/// another number of outputs, see [`PostStep::outputs`].
pub fn apply(step: &PostStep, values: &mut Block, marked: Option<&[bool]>) {
    match step {
        PostStep::ZeroRows { file, column, equals } => {
            let marked = marked.unwrap_or_else(|| panic!("no marks for {column} = {equals} of {}", file.display()));
            zero_rows::apply(marked, values);
        }
        PostStep::Clip { low, high } => clip::apply(*low, *high, values),
        PostStep::Round(decimals) => round::apply(*decimals, values),
        PostStep::MinMax => min_max::apply(values),
        PostStep::Thresholds(scales) => thresholds::apply(scales, values),
        PostStep::Calibrate(calibration) => calibrate::apply(calibration, values),
    }
}

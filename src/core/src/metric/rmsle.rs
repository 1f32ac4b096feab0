//! Root of the mean squared error of ln(1 + x).

use super::{BindError, Info, Metric, Target, numbers};
use crate::{
    judge::{Bound, Combine},
    output::OutputKind,
    score::Direction,
    space::SpaceName,
    squares::{BoundSquares, Scale},
    truth::Labels,
};

pub(super) const INFO: Info = Info {
    name: "rmsle",
    formula: "square root of the mean over rows and columns of (ln(1 + p) - ln(1 + y))^2, p kept above -1",
    unit: "1",
    range: (0.0, f64::INFINITY),
    optimum: 0.0,
    direction: Direction::Lower,
    source: "scikit-learn root of mean_squared_log_error",
    target: Target::NonNegative,
    options: &[],
    space: SpaceName::Linear,
    predictions: &[OutputKind::Value, OutputKind::Probability],
};

pub(super) struct Rmsle;

impl Metric for Rmsle {
    fn info(&self) -> &'static Info {
        &INFO
    }

    fn bind(&self, labels: Labels) -> Result<Box<dyn Bound>, BindError> {
        let (targets, weights) = numbers(&INFO, labels)?;
        if let Some(y) = targets.iter().flatten().find(|y| **y <= -1.0) {
            return Err(BindError::Undefined { metric: INFO.name, why: format!("a label is {y}, not above -1") });
        }
        Ok(Box::new(BoundSquares::new(targets, weights, Scale::Log1p, Combine::RootOfMean)))
    }
}

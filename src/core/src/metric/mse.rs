//! Mean squared error over rows and columns.

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
    name: "mse",
    formula: "mean over rows and columns of (p - y)^2",
    unit: "target squared",
    range: (0.0, f64::INFINITY),
    optimum: 0.0,
    direction: Direction::Lower,
    source: "scikit-learn mean_squared_error",
    target: Target::Number,
    options: &[],
    space: SpaceName::Linear,
    predictions: &[OutputKind::Value, OutputKind::Probability],
};

pub(super) struct Mse;

impl Metric for Mse {
    fn info(&self) -> &'static Info {
        &INFO
    }

    fn bind(&self, labels: Labels) -> Result<Box<dyn Bound>, BindError> {
        let (targets, weights) = numbers(&INFO, labels)?;
        Ok(Box::new(BoundSquares::new(targets, weights, Scale::Plain, Combine::Mean)))
    }
}

//! Mean over columns of the root of each column's mean squared error.

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
    name: "mcrmse",
    formula: "mean over columns of the square root of the column's mean (p - y)^2",
    unit: "target",
    range: (0.0, f64::INFINITY),
    optimum: 0.0,
    direction: Direction::Lower,
    source: "Kaggle commonlit-evaluate-student-summaries, stanford-covid-vaccine",
    target: Target::Number,
    options: &[],
    space: SpaceName::Linear,
    predictions: &[OutputKind::Value, OutputKind::Probability],
};

pub(super) struct Mcrmse;

impl Metric for Mcrmse {
    fn info(&self) -> &'static Info {
        &INFO
    }

    fn bind(&self, labels: Labels) -> Result<Box<dyn Bound>, BindError> {
        let (targets, weights) = numbers(&INFO, labels)?;
        Ok(Box::new(BoundSquares::new(targets, weights, Scale::Plain, Combine::MeanOfRoots)))
    }
}

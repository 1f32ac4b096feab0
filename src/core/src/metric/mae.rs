//! Mean absolute error over rows and columns.

use super::{BindError, Info, Metric, Target, numbers};
use crate::{
    absolutes::BoundAbsolute, judge::Bound, output::OutputKind, score::Direction, space::SpaceName, truth::Labels,
};

pub(super) const INFO: Info = Info {
    name: "mae",
    formula: "mean over rows and columns of |p - y|",
    unit: "target",
    range: (0.0, f64::INFINITY),
    optimum: 0.0,
    direction: Direction::Lower,
    source: "scikit-learn mean_absolute_error",
    target: Target::Number,
    options: &[],
    space: SpaceName::Linear,
    predictions: &[OutputKind::Value, OutputKind::Probability],
};

pub(super) struct Mae;

impl Metric for Mae {
    fn info(&self) -> &'static Info {
        &INFO
    }

    fn bind(&self, labels: Labels) -> Result<Box<dyn Bound>, BindError> {
        let (targets, weights) = numbers(&INFO, labels)?;
        Ok(Box::new(BoundAbsolute { targets, weights, scale: 1.0, tilt: 0.0, factors: None }))
    }
}

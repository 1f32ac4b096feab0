//! Mean absolute percentage error over rows and columns, as a share: 0.1 is ten percent.

use super::{BindError, Info, Metric, Target, numbers};
use crate::{
    absolutes::BoundAbsolute, judge::Bound, output::OutputKind, score::Direction, space::SpaceName, truth::Labels,
};

pub(super) const INFO: Info = Info {
    name: "mape",
    formula: "mean over rows and columns of |p - y| / |y|",
    unit: "1",
    range: (0.0, f64::INFINITY),
    optimum: 0.0,
    direction: Direction::Lower,
    source: "scikit-learn mean_absolute_percentage_error",
    target: Target::Nonzero,
    options: &[],
    space: SpaceName::Linear,
    predictions: &[OutputKind::Value, OutputKind::Probability],
};

pub(super) struct Mape;

impl Metric for Mape {
    fn info(&self) -> &'static Info {
        &INFO
    }

    fn bind(&self, labels: Labels) -> Result<Box<dyn Bound>, BindError> {
        let (targets, weights) = numbers(&INFO, labels)?;
        let factors: Vec<Vec<f64>> = targets.iter().map(|t| t.iter().map(|y| 1.0 / y.abs()).collect()).collect();
        if factors.iter().flatten().any(|factor| !factor.is_finite()) {
            return Err(BindError::Undefined {
                metric: INFO.name,
                why: "a label is 0: no share of it is an error".to_owned(),
            });
        }
        Ok(Box::new(BoundAbsolute { targets, weights, scale: 1.0, tilt: 0.0, factors: Some(factors) }))
    }
}

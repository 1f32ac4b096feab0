//! Pinball loss of a quantile, over rows and columns.

use super::{BindError, Info, Metric, MetricSpec, SpecError, Target, numbers};
use crate::{
    absolutes::BoundAbsolute, judge::Bound, output::OutputKind, score::Direction, space::SpaceName, truth::Labels,
};

pub(super) const INFO: Info = Info {
    name: "pinball",
    formula: "mean over rows and columns of max(q (y - p), (q - 1) (y - p)), q the quantile",
    unit: "target",
    range: (0.0, f64::INFINITY),
    optimum: 0.0,
    direction: Direction::Lower,
    source: "Koenker and Bassett 1978; scikit-learn mean_pinball_loss",
    target: Target::Number,
    options: &["quantile"],
    space: SpaceName::Linear,
    predictions: &[OutputKind::Value, OutputKind::Probability],
};

/// `quantile` is the median where none is given.
pub(super) fn build(spec: &MetricSpec) -> Result<Box<dyn Metric>, SpecError> {
    let quantile = spec.quantile.unwrap_or(0.5);
    if quantile > 0.0 && quantile < 1.0 {
        return Ok(Box::new(Pinball { quantile }));
    }
    let value = quantile.to_string();
    Err(SpecError::Value { metric: INFO.name, option: "quantile", value, wanted: "above 0, below 1" })
}

struct Pinball {
    quantile: f64,
}

impl Metric for Pinball {
    fn info(&self) -> &'static Info {
        &INFO
    }

    fn label(&self) -> String {
        format!("pinball(quantile={})", self.quantile)
    }

    fn bind(&self, labels: Labels) -> Result<Box<dyn Bound>, BindError> {
        let (targets, weights) = numbers(&INFO, labels)?;
        // q (y - p) where p is below, (1 - q) (p - y) above: half the absolute error, tilted.
        Ok(Box::new(BoundAbsolute { targets, weights, scale: 0.5, tilt: 0.5 - self.quantile, factors: None }))
    }
}

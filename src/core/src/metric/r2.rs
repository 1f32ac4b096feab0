//! Coefficient of determination, averaged over columns.

use super::{BindError, Info, Metric, Target, numbers};
use crate::{
    judge::{Bound, Combine},
    output::OutputKind,
    score::Direction,
    space::SpaceName,
    squares::{BoundSquares, Scale, variances},
    truth::Labels,
};

pub(super) const INFO: Info = Info {
    name: "r2",
    formula: "mean over columns of 1 - mean (p - y)^2 / mean (y - mean y)^2",
    unit: "1",
    range: (f64::NEG_INFINITY, 1.0),
    optimum: 1.0,
    direction: Direction::Higher,
    source: "scikit-learn r2_score (uniform_average)",
    target: Target::Number,
    options: &[],
    space: SpaceName::Linear,
    predictions: &[OutputKind::Value, OutputKind::Probability],
};

pub(super) struct R2;

impl Metric for R2 {
    fn info(&self) -> &'static Info {
        &INFO
    }

    fn bind(&self, labels: Labels) -> Result<Box<dyn Bound>, BindError> {
        let (targets, weights) = numbers(&INFO, labels)?;
        let variances = variances(&targets, weights.as_deref());
        for (t, (column, variance)) in targets.iter().zip(&variances).enumerate() {
            // The mean of equal numbers may be off by a rounding, so a constant column need not have variance 0.
            let constant = column.iter().all(|y| *y == column[0]) || *variance <= 0.0;
            if constant || !variance.is_finite() {
                let what = if constant { "is constant" } else { "is too large to be squared" };
                return Err(BindError::Undefined { metric: INFO.name, why: format!("target {t} {what}") });
            }
        }
        Ok(Box::new(BoundSquares::new(targets, weights, Scale::Plain, Combine::MinusR2(variances))))
    }
}

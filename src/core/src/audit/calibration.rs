//! Predictions that do not mean what they say.

use super::{Check, Context, Finding, Part, Severity};
use crate::calibration::Scale;

pub(super) const CHECK: Check = Check {
    name: "calibration",
    severities: &[Severity::Note],
    does: "the slope of truth on prediction lies between 0.5 and 2 (of log odds, for probabilities)",
    run,
};

/// Slopes outside are a matter for a calibration step, or for a look at the model.
const SLOPES: std::ops::RangeInclusive<f64> = 0.5..=2.0;

fn run(context: &Context) -> Vec<Finding> {
    let Some(survey) = context.evidence().survey else { return Vec::new() };
    let each = |(model, it): (&crate::ModelId, &Option<crate::calibration::Calibration>)| {
        let it = it.as_ref().filter(|it| !SLOPES.contains(&it.slope))?;
        let stored = context.find(model, Part::Oof)?;
        let (of, how) = match it.scale {
            Scale::Probability if it.slope < 1.0 => ("log odds", "too sure of itself"),
            Scale::Probability => ("log odds", "too timid"),
            _ if it.slope < 1.0 => ("values", "spread too wide"),
            _ => ("values", "spread too narrow"),
        };
        let cause = format!(
            "{how}: slope {:.2} and intercept {:.2} of {of}, {:.4} off on average",
            it.slope, it.intercept, it.error
        );
        let hint =
            "a blend on the logit scale, or a calibration step, can mend it; a fault upstream cannot be excluded";
        Some(Finding::of(stored, &CHECK, Severity::Note).because(cause, hint, it.curve.len()))
    };
    survey.models.iter().zip(&survey.calibration).filter_map(each).collect()
}

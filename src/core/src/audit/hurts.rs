//! Members without which the equal-weights blend is better, in every fold.

use super::{Check, Context, Finding, Part, Severity, leak::median};

pub(super) const CHECK: Check = Check {
    name: "hurts",
    severities: &[Severity::Note],
    does: "no model makes the equal-weights blend worse by 1 % or more and in every fold",
    run,
};

/// Least loss, relative to the blend's score, that is worth a line.
const LEAST: f64 = 0.01;
/// How many times what the middle model changes: beside a model that is far ahead every other one hurts.
const TIMES: f64 = 3.0;

fn run(context: &Context) -> Vec<Finding> {
    let Some(survey) = context.evidence().survey else { return Vec::new() };
    let Some(contributions) = &survey.contributions else { return Vec::new() };
    let usual = median(contributions.iter().map(|it| it.gain.abs()).collect());
    let each = |(model, it): (&crate::ModelId, &crate::ensemble::Contribution)| {
        let lost = -it.gain;
        if it.better_in > 0 || survey.n_parts < 2 || lost < LEAST * it.without.abs() || lost < TIMES * usual {
            return None;
        }
        let stored = context.find(model, Part::Oof)?;
        let cause = format!(
            "the equal-weights blend is better by {lost:.2e} without it ({:.6}), in each of {} parts",
            it.without, survey.n_parts
        );
        let hint = "a search gives such a member no weight; leave it out where weights are equal";
        Some(Finding::of(stored, &CHECK, Severity::Note).because(cause, hint, survey.n_parts))
    };
    survey.models.iter().zip(contributions).filter_map(each).collect()
}

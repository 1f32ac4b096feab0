//! Outputs that were made from graphs or data that have changed since.

use super::{Check, Context, Finding, Part, Severity, State};

pub(super) const CHECK: Check = Check {
    name: "stale",
    severities: &[Severity::Fault, Severity::Warning, Severity::Note],
    does: "graphs and data are those that the outputs were made from, by fingerprint",
    run,
};

fn run(context: &Context) -> Vec<Finding> {
    let each = |it: &super::Changed| {
        let stored = context.find(&it.model, Part::Oof).or_else(|| context.find(&it.model, Part::Test))?;
        let (severity, cause, hint) = match it.state {
            State::Differs => (
                Severity::Fault,
                format!("the {} changed since the outputs were made", it.what),
                format!("make them again: `blend predict {0}` or `blend import {0}`", it.model),
            ),
            State::Absent => (
                Severity::Warning,
                format!("the {} used to make the outputs cannot be found", it.what),
                "put it back, or the outputs cannot be made again".to_owned(),
            ),
            State::SourceDiffers => (
                Severity::Note,
                format!("the {} has changed since the outputs were taken from it", it.what),
                format!("if the new content is meant: `blend import {}`", it.model),
            ),
        };
        let finding = Finding::of(stored, &CHECK, severity);
        Some(Finding { place: it.place.clone(), ..finding }.because(cause, hint, 1))
    };
    context.evidence().changed.iter().filter_map(each).collect()
}

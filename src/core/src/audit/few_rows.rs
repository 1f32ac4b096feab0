//! More models than the rows can tell apart.

use super::{Check, Context, Finding, Part, Severity, many};

pub(super) const CHECK: Check = Check {
    name: "few_rows",
    severities: &[Severity::Warning],
    does: "there are at least five rows per model: fewer let weights fit noise",
    run,
};

/// Rows per model below which unrestricted weights fit nearly anything.
const ROWS_PER_MODEL: usize = 5;

fn run(context: &Context) -> Vec<Finding> {
    let readers = context.complete(Part::Oof);
    let (Some(first), Some(wanted)) = (readers.first(), context.wanted(Part::Oof)) else { return Vec::new() };
    let (models, rows) = (readers.len(), wanted.scope.len());
    if models < 2 || rows >= models * ROWS_PER_MODEL {
        return Vec::new();
    }
    let cause = format!("{} for {}: weights fit noise", many(rows, "row"), many(models, "model"));
    let hint = "keep to the simplex, trust the nested score only, and try fewer models: `blend search --members`";
    let finding = Finding::of(first.stored, &CHECK, Severity::Warning);
    let place = format!("all {}", many(models, "model"));
    vec![Finding { model: None, place, ..finding }.because(cause, hint, models)]
}

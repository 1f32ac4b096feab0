//! Numbers and names of columns, and values for every row and column.

use super::{Check, Context, Finding, Severity, Stored, Wanted, many};
use crate::output::OutputKind;

pub(super) const CHECK: Check = Check {
    name: "shape",
    severities: &[Severity::Fault],
    does: "columns are those of the competition, in its order, with a value for every row",
    run,
};

fn run(context: &Context) -> Vec<Finding> {
    context
        .stored()
        .iter()
        .flat_map(|stored| {
            [inside(stored), context.wanted(stored.part).and_then(|wanted| names(stored, wanted))].into_iter().flatten()
        })
        .collect()
}

/// What the file says of itself must agree.
fn inside(stored: &Stored) -> Option<Finding> {
    let (n_rows, n_outputs) = (stored.values.n_rows(), stored.values.n_outputs());
    let (ids, names) = (stored.rows.len(), stored.columns.len());
    let finding = Finding::of(stored, &CHECK, Severity::Fault);
    let hint = format!("write it again: `blend predict {0} --force` or `blend import {0}`", stored.model);
    if n_rows != ids {
        let cause = format!("{} of values for {}", many(n_rows, "row"), many(ids, "id"));
        return Some(finding.because(cause, hint, n_rows.abs_diff(ids)));
    }
    if n_outputs != names {
        let cause = format!("{} of values under {}", many(n_outputs, "column"), many(names, "name"));
        return Some(finding.because(cause, hint, n_outputs.abs_diff(names)));
    }
    if stored.encoding.kind == OutputKind::Vector && names != 3 {
        let cause = format!("{} for vectors, which have 3 components", many(names, "column"));
        let hint = "name the three components with `--columns`, or correct `output:` in model.yaml";
        return Some(finding.because(cause, hint, names));
    }
    None
}

/// The competition's columns, in its order.
fn names(stored: &Stored, wanted: &Wanted) -> Option<Finding> {
    if stored.columns == *wanted.columns {
        return None;
    }
    let finding = Finding::of(stored, &CHECK, Severity::Fault);
    let missing: Vec<&String> = wanted.columns.iter().filter(|name| !stored.columns.contains(name)).collect();
    let unknown: Vec<&String> = stored.columns.iter().filter(|name| !wanted.columns.contains(name)).collect();
    let first = |names: &[&String]| names.first().map_or_else(String::new, |name| format!(" (first `{name}`)"));
    if stored.columns.len() == wanted.columns.len() && missing.is_empty() && unknown.is_empty() {
        let moved = |i: &usize| stored.columns[*i] != wanted.columns[*i];
        let places: Vec<usize> = (0..wanted.columns.len()).filter(moved).collect();
        let at = places.first().copied().unwrap_or_default();
        let cause = format!(
            "columns in another order: `{}` stands where `{}` is wanted",
            stored.columns[at], wanted.columns[at]
        );
        let hint = format!("`blend import {}` puts them in order", stored.model);
        return Some(finding.at(Some(&stored.columns[at]), None).because(cause, hint, places.len()));
    }
    let cause = format!(
        "{} wanted, {} there: {} missing{}, {} unknown{}",
        many(wanted.columns.len(), "column"),
        stored.columns.len(),
        missing.len(),
        first(&missing),
        unknown.len(),
        first(&unknown)
    );
    let hint = if missing.is_empty() && unknown.is_empty() {
        format!("a column stands twice: remove it and run `blend import {}`", stored.model)
    } else {
        format!("name the columns to take, in order: `blend import {} --columns ...`", stored.model)
    };
    Some(finding.because(cause, hint, (missing.len() + unknown.len()).max(1)))
}

//! Ids: those that are wanted, no others. Another order is no fault, rows are lined up by id.

use super::{Check, Context, Finding, Part, Severity, Stored, Wanted, many};

pub(super) const CHECK: Check = Check {
    name: "alignment",
    severities: &[Severity::Fault, Severity::Note],
    does: "every row of the truth and of the sample submission is there, and no other",
    run,
};

fn run(context: &Context) -> Vec<Finding> {
    context
        .stored()
        .iter()
        .flat_map(|stored| match context.wanted(stored.part) {
            Some(wanted) if wanted.rows != stored.rows => compare(context, stored, wanted),
            _ => Vec::new(),
        })
        .collect()
}

fn compare(context: &Context, stored: &Stored, wanted: &Wanted) -> Vec<Finding> {
    let found = wanted.rows.find_in(&stored.rows);
    let in_scope = wanted.scope.mask();
    let missing: Vec<usize> = (0..found.len()).filter(|&row| found[row].is_none()).collect();
    let counted: Vec<usize> = missing.iter().copied().filter(|&row| in_scope[row]).collect();
    let n_found = found.len() - missing.len();
    let unknown = stored.rows.len() - n_found;
    let first_unknown = (unknown > 0)
        .then(|| stored.rows.find_in(&wanted.rows).iter().position(Option::is_none))
        .flatten()
        .map(|row| stored.rows.id(row).into_owned());
    let of = match stored.part {
        Part::Oof => "the truth",
        Part::Test => "the sample submission",
    };
    let fault = || Finding::of(stored, &CHECK, Severity::Fault);
    let again = format!("`blend predict {0} --force` or `blend import {0}`", stored.model);
    if n_found == 0 {
        let (cause, hint) = strangers(context, stored, wanted, of);
        return vec![fault().at(None, first_unknown.as_deref()).because(cause, hint, unknown)];
    }
    let mut findings = Vec::new();
    if let Some(&first) = counted.first() {
        let cause = format!("{} of {of} missing, of {} that count", many(counted.len(), "row"), wanted.scope.len());
        let hint = format!("every row needs a prediction, a gap is not filled: {again}");
        findings.push(fault().at(None, Some(&wanted.rows.id(first))).because(cause, hint, counted.len()));
    }
    if let Some(id) = first_unknown {
        let cause = format!("{} that {of} does not have", many(unknown, "row"));
        let hint = format!("remove them, or name the right file: {again}");
        findings.push(fault().at(None, Some(&id)).because(cause, hint, unknown));
    }
    let n_beyond = missing.len() - counted.len();
    let note = || Finding::of(stored, &CHECK, Severity::Note);
    if n_beyond > 0 {
        let cause = format!("{} of {of} missing, none of which counts", many(n_beyond, "row"));
        findings.push(note().because(cause, "nothing to do unless the scope widens", n_beyond));
    }
    if missing.is_empty() && unknown == 0 {
        let moved = found.iter().enumerate().filter(|(row, at)| **at != Some(*row as u32)).count();
        let cause = format!("{} in another order than {of}", many(moved, "row"));
        findings.push(note().because(cause, "nothing to do: rows are lined up by id", moved));
    }
    findings
}

/// Why no id at all is common.
fn strangers(context: &Context, stored: &Stored, wanted: &Wanted, of: &str) -> (String, String) {
    let other = match stored.part {
        Part::Oof => Part::Test,
        Part::Test => Part::Oof,
    };
    let common = context.wanted(other).map_or(0, |other| stored.rows.find_in(&other.rows).iter().flatten().count());
    if common == stored.rows.len() {
        let cause = format!("no row of {of}: all ids are those of the {} rows", other.name());
        return (cause, format!("the files of `{}` are exchanged: import them again", stored.model));
    }
    let shown = |rows: &crate::RowIndex| rows.id(0).into_owned();
    let cause = format!("no row of {of}: ids as `{}`, wanted as `{}`", shown(&stored.rows), shown(&wanted.rows));
    let hint = if stored.rows.len() == wanted.rows.len() {
        "if the rows stand in the wanted order and only their ids are lost, import with `--rows`"
    } else {
        "name the file's id column, or the rows' ids with `--rows`"
    };
    (cause, hint.to_owned())
}

//! Rows that are zero in every output: a gap that was filled, unless the competition says so.

use super::{Check, Context, Finding, Part, Severity, context::Reader, many};
use crate::OutputKind;

pub(super) const CHECK: Check = Check {
    name: "zero_rows",
    severities: &[Severity::Fault, Severity::Note],
    does: "no row is zero in every output but those that a post step sets to zero, and those are",
    run,
};

fn run(context: &Context) -> Vec<Finding> {
    let several = |reader: &Reader<'_>| {
        let kind = reader.stored.encoding.kind;
        reader.n_outputs() > 1 && !matches!(kind, OutputKind::Vector | OutputKind::Label)
    };
    let mut findings = Vec::new();
    for part in [Part::Oof, Part::Test] {
        let marked = context.evidence().zero_rows.as_deref().filter(|_| part == Part::Test);
        for reader in context.complete(part).iter().filter(|reader| several(reader)) {
            findings.extend(check(reader, marked));
        }
    }
    findings
}

fn check(reader: &Reader<'_>, marked: Option<&[bool]>) -> Vec<Finding> {
    let zero = zero_rows(reader);
    let is_marked = |row: usize| marked.is_some_and(|marked| marked.get(row) == Some(&true));
    let filled: Vec<usize> = (0..zero.len()).filter(|&row| zero[row] && !is_marked(row)).collect();
    let mut findings = Vec::new();
    // A row or two may come out as zero by itself where outputs are few and rounded.
    if let Some(&first) = filled.first() {
        let cause = format!("0 in all {}: {}", many(reader.n_outputs(), "output"), many(filled.len(), "row"));
        let hint = "a missing row that was filled with 0 is no prediction: find out why the model has none for it";
        let finding = Finding::of(reader.stored, &CHECK, Severity::Fault);
        findings.push(finding.at(None, Some(&reader.id(first))).because(cause, hint, filled.len()));
    }
    let predicted: Vec<usize> = (0..zero.len()).filter(|&row| is_marked(row) && !zero[row]).collect();
    if let Some(&first) = predicted.first() {
        let n_marked = (0..zero.len()).filter(|&row| is_marked(row)).count();
        // Models that were never told of such rows predict all of them.
        if predicted.len() < n_marked {
            let cause = format!("{} of {n_marked} that are to be zero are not", many(predicted.len(), "row"));
            let hint = "the post step sets them to zero in every submission; the file was zeroed by another list";
            let finding = Finding::of(reader.stored, &CHECK, Severity::Note);
            findings.push(finding.at(None, Some(&reader.id(first))).because(cause, hint, predicted.len()));
        }
    }
    findings
}

fn zero_rows(reader: &Reader<'_>) -> Vec<bool> {
    let mut zero = vec![true; reader.n_rows()];
    let mut column = Vec::new();
    for output in 0..reader.n_outputs() {
        for rows in reader.chunks() {
            reader.read(output, rows.clone(), &mut column);
            zero[rows].iter_mut().zip(&column).for_each(|(zero, x)| *zero &= *x == 0.0);
        }
    }
    zero
}

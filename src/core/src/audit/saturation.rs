//! Numbers at the end of their format: certainties that are wrong, logits cut off, values rounded to half precision.

use super::{Check, Context, Finding, Part, Severity, context::Reader, many};
use crate::{
    OutputKind,
    judge::{self, DEFAULT_CLIP},
    num,
    truth::LabelValues,
};
use rayon::prelude::*;

pub(super) const CHECK: Check = Check {
    name: "saturation",
    severities: &[Severity::Warning, Severity::Note],
    does: "no certainty that is wrong, no logits cut off at one value, no values rounded to half precision",
    run,
};

/// Share of values at the very same extreme from which logits count as cut off.
const CUT_OFF: f64 = 0.01;
/// Share of the loss that wrong certainties have to cost to be more than a note.
const LEAST_COST: f64 = 0.02;
/// Distinct values that a file must have before its rounding says anything.
const DISTINCT: usize = 1000;

fn run(context: &Context) -> Vec<Finding> {
    let complete = context.complete(Part::Oof);
    let mut findings: Vec<Finding> =
        complete.par_iter().filter_map(|reader| wrong_certainty(context, reader)).collect();
    let readers = context.readers();
    findings.par_extend(readers.par_iter().filter_map(|reader| cut_off(reader).or_else(|| halved(reader))));
    findings
}

/// Probabilities of exactly 0 or 1 on the wrong side of the label: the clip of a log loss decides what they cost.
fn wrong_certainty(context: &Context, reader: &Reader<'_>) -> Option<Finding> {
    let judgement = context.evidence().judgement.as_ref()?;
    let kind = reader.stored.encoding.kind;
    if !matches!(kind, OutputKind::Probability | OutputKind::ClassProbabilities) {
        return None;
    }
    let values = &judgement.labels().values;
    let wrong = |output: usize, row: usize, p: f64| match values {
        LabelValues::Binary(columns) => p == 1.0 - f64::from(columns[output][row]),
        LabelValues::Class { labels, .. } => labels[row] as usize == output && p == 0.0,
        _ => false,
    };
    let (mut count, mut first) = (0, None);
    let mut column = Vec::new();
    for output in 0..reader.n_outputs().min(judgement.labels().n_outputs()) {
        for rows in reader.chunks() {
            reader.read(output, rows.clone(), &mut column);
            let certain = column.iter().zip(rows).filter(|(p, _)| **p == 0.0 || **p == 1.0);
            for (&p, row) in certain.filter(|(p, row)| wrong(output, *row, **p)) {
                count += 1;
                first.get_or_insert((output, row, p));
            }
        }
    }
    let (output, row, p) = first?;
    // What they cost at the clip, as a share of the model's whole loss; the clip is all that keeps it finite.
    let cells =
        (reader.n_rows() * if matches!(values, LabelValues::Class { .. }) { 1 } else { reader.n_outputs() }) as f64;
    let cost = -num::ln(judgement.spec.clip.unwrap_or(DEFAULT_CLIP)) * count as f64 / cells;
    let own = judge::score(judgement.bound(), &reader.finite()?);
    let is_log_loss = judgement.metric.info().options.contains(&"clip");
    let severity = if is_log_loss && cost > LEAST_COST * own { Severity::Warning } else { Severity::Note };
    let cause = format!(
        "{p} where the label says the opposite, the first of {} that are certain and wrong",
        many(count, "value")
    );
    let hint = "a log loss charges each as much as its clip allows; blend in linear space, or clip before the import";
    let finding = Finding::of(reader.stored, &CHECK, severity);
    Some(finding.at(Some(&reader.stored.columns[output]), Some(&reader.id(row))).because(cause, hint, count))
}

/// Logits of which many have the same extreme value.
fn cut_off(reader: &Reader<'_>) -> Option<Finding> {
    if !reader.stored.encoding.kind.is_logit() {
        return None;
    }
    let (mut n, mut ends) = (0_usize, [(f64::INFINITY, 0_usize), (f64::NEG_INFINITY, 0)]);
    for_each(reader, |x| {
        n += 1;
        let [low, high] = ends;
        ends = [extreme(low, x, x < low.0), extreme(high, x, x > high.0)];
    });
    let (value, count) = ends.into_iter().max_by_key(|(_, count)| *count)?;
    if count < 2 || (count as f64) < CUT_OFF * n as f64 {
        return None;
    }
    let cause = format!(
        "{value} is the extreme of {}, {:.1} % of all: cut off",
        many(count, "logit"),
        100.0 * count as f64 / n as f64
    );
    let hint = "beyond it the model's order is lost; export logits before they are clipped, or in a wider format";
    Some(Finding::of(reader.stored, &CHECK, Severity::Warning).because(cause, hint, count))
}

/// Values that all have the eleven bits of half precision.
fn halved(reader: &Reader<'_>) -> Option<Finding> {
    let mut distinct = std::collections::HashSet::new();
    let mut all = true;
    for_each(reader, |x| {
        all = all && is_half(x);
        if all && distinct.len() <= DISTINCT {
            distinct.insert(x.to_bits());
        }
    });
    // Labels, and values with few decimals, have few bits anyway.
    if !all || distinct.len() <= DISTINCT {
        return None;
    }
    let cause = "every value has the eleven bits of half precision";
    let hint = "computed or stored in f16: steps of 0.05 % at any size; export in f32 where the last digits count";
    Some(Finding::of(reader.stored, &CHECK, Severity::Note).because(cause, hint, reader.n_rows()))
}

/// An extreme and how often it was met, after one more value.
fn extreme((value, count): (f64, usize), x: f64, beyond: bool) -> (f64, usize) {
    match (beyond, x == value) {
        (true, _) => (x, 1),
        (_, true) => (value, count + 1),
        _ => (value, count),
    }
}

/// Every value that is a number, in no promised order.
fn for_each(reader: &Reader<'_>, mut each: impl FnMut(f64)) {
    let mut column = Vec::new();
    for output in 0..reader.n_outputs() {
        for rows in reader.chunks() {
            reader.read(output, rows, &mut column);
            column.iter().filter(|x| x.is_finite()).for_each(|&x| each(x));
        }
    }
}

/// Whether an IEEE half holds it: eleven significant bits down to 2^-14, multiples of 2^-24 below, 65,504 at most.
fn is_half(x: f64) -> bool {
    const SMALLEST_NORMAL: f64 = 6.103_515_625e-5;
    const STEP_BELOW: f64 = 5.960_464_477_539_063e-8;
    if x.abs() < SMALLEST_NORMAL {
        return (x / STEP_BELOW).fract() == 0.0;
    }
    x.abs() <= 65_504.0 && x.to_bits().trailing_zeros() >= 52 - 10
}

//! Values that are not what the model says they are. Values that are no numbers are left to `finite`.

use super::{Check, Context, Finding, Severity, context::Reader, many};
use crate::{output::OutputKind, prediction::PROBABILITY_SLACK};
use rayon::prelude::*;

pub(super) const CHECK: Check = Check {
    name: "range",
    severities: &[Severity::Fault, Severity::Warning],
    does: "values fit the model's `output:`: probabilities in [0, 1], classes that sum to one, vectors with a length",
    run,
};

/// How far the class probabilities of a row may miss a sum of one: what rounding to three decimals leaves.
const SUM_TOLERANCE: f64 = 2e-3;

fn run(context: &Context) -> Vec<Finding> {
    context
        .readers()
        .par_iter()
        .flat_map_iter(|reader| {
            let kind = reader.stored.encoding.kind;
            let finding = match kind {
                OutputKind::Probability => outside(reader),
                OutputKind::ClassProbabilities => outside(reader).or_else(|| sums(reader)),
                OutputKind::Logit | OutputKind::ClassLogits => squashed(reader),
                OutputKind::Vector => lengths(reader),
                OutputKind::Label => fractions(reader),
                OutputKind::Value | OutputKind::Rank => None,
            };
            finding.into_iter()
        })
        .collect()
}

/// Values of a file in short.
struct Spread {
    low: f64,
    high: f64,
    count: usize,
    n_negative: usize,
    /// Output, row and value of the first value that is `bad`, and how many there are.
    first_bad: Option<(usize, usize, f64)>,
    n_bad: usize,
}

fn spread(reader: &Reader<'_>, bad: impl Fn(f64) -> bool) -> Spread {
    let mut it =
        Spread { low: f64::INFINITY, high: f64::NEG_INFINITY, count: 0, n_negative: 0, first_bad: None, n_bad: 0 };
    let mut values = Vec::new();
    for output in 0..reader.n_outputs() {
        for rows in reader.chunks() {
            reader.read(output, rows.clone(), &mut values);
            for (&value, row) in values.iter().zip(rows).filter(|(value, _)| value.is_finite()) {
                it.low = it.low.min(value);
                it.high = it.high.max(value);
                it.count += 1;
                it.n_negative += usize::from(value < -PROBABILITY_SLACK);
                if bad(value) {
                    it.n_bad += 1;
                    it.first_bad.get_or_insert((output, row, value));
                }
            }
        }
    }
    it
}

/// Probabilities outside [0, 1].
fn outside(reader: &Reader<'_>) -> Option<Finding> {
    let it = spread(reader, |p| !(-PROBABILITY_SLACK..=1.0 + PROBABILITY_SLACK).contains(&p));
    let (output, row, value) = it.first_bad?;
    let stored = reader.stored;
    let span = format!("values from {} to {}", it.low, it.high);
    // Log odds of rare targets are nearly all negative, of balanced ones half of them.
    let (looks, hint) = if it.n_negative * 10 > it.count && it.low < -1.0 {
        let logit = stored.encoding.kind.as_logit().name();
        ("; looks like logits given as probabilities", format!("say `output: {logit}` in model.yaml"))
    } else if it.n_negative == 0 && it.high > 2.0 && it.high <= 100.0 * (1.0 + PROBABILITY_SLACK) {
        ("; looks like percent", "divide by 100 before the import".to_owned())
    } else if it.low >= -0.1 && it.high <= 1.1 {
        // A regression onto 0 and 1, or a blend with negative weights.
        ("", "clip them before the import, or say `output: value` in model.yaml".to_owned())
    } else {
        ("", "correct `output:` in model.yaml, or import the right columns".to_owned())
    };
    let cause = format!("{value} is no probability: {} outside [0, 1], {span}{looks}", many(it.n_bad, "value"));
    let finding = Finding::of(stored, &CHECK, Severity::Fault);
    Some(finding.at(Some(&stored.columns[output]), Some(&reader.id(row))).because(cause, hint, it.n_bad))
}

/// Logits that are all in [0, 1].
fn squashed(reader: &Reader<'_>) -> Option<Finding> {
    let it = spread(reader, |x| !(0.0..=1.0).contains(&x));
    if it.n_bad > 0 || it.count < 2 {
        return None;
    }
    let stored = reader.stored;
    let cause = format!("all values lie from {} to {}; looks like probabilities given as logits", it.low, it.high);
    let hint = format!("say `output: {}` in model.yaml", stored.encoding.kind.as_probability().name());
    Some(Finding::of(stored, &CHECK, Severity::Warning).because(cause, hint, it.count))
}

/// Labels between whole numbers.
fn fractions(reader: &Reader<'_>) -> Option<Finding> {
    let it = spread(reader, |x| x.round_ties_even() != x);
    let (output, row, value) = it.first_bad?;
    let stored = reader.stored;
    let cause = format!("{value} is no label: {} between whole numbers", many(it.n_bad, "value"));
    let finding = Finding::of(stored, &CHECK, Severity::Warning);
    let hint = "say `output: value` in model.yaml; thresholds are a post step";
    Some(finding.at(Some(&stored.columns[output]), Some(&reader.id(row))).because(cause, hint, it.n_bad))
}

/// A check of whole rows: counts rows for which `bad` of the row's values is some, and keeps the first.
fn rows(reader: &Reader<'_>, bad: impl Fn(&[f64]) -> Option<f64>) -> Option<(usize, f64, usize)> {
    let (mut count, mut first) = (0, None);
    let mut row_values = vec![0.0; reader.n_outputs()];
    let mut columns = vec![Vec::new(); reader.n_outputs()];
    for rows in reader.chunks() {
        columns.iter_mut().enumerate().for_each(|(output, out)| reader.read(output, rows.clone(), out));
        for (i, row) in rows.enumerate() {
            row_values.iter_mut().zip(&columns).for_each(|(value, column)| *value = column[i]);
            if let Some(value) = bad(&row_values) {
                count += 1;
                first.get_or_insert((row, value));
            }
        }
    }
    first.map(|(row, value)| (row, value, count))
}

/// Class probabilities whose row does not sum to one.
fn sums(reader: &Reader<'_>) -> Option<Finding> {
    let (row, sum, count) = rows(reader, |p| {
        let sum: f64 = p.iter().sum();
        (sum.is_finite() && (sum - 1.0).abs() > SUM_TOLERANCE).then_some(sum)
    })?;
    let stored = reader.stored;
    let cause = format!("class probabilities sum to {sum}; so {}", many(count, "row"));
    let hint = "say `renormalize: true` in the metric, or `output: probability` where targets are independent";
    let finding = Finding::of(stored, &CHECK, Severity::Warning);
    Some(finding.at(None, Some(&reader.id(row))).because(cause, hint, count))
}

/// Vectors without a direction.
fn lengths(reader: &Reader<'_>) -> Option<Finding> {
    if reader.n_outputs() != 3 {
        return None;
    }
    let (row, _, count) = rows(reader, |v| v.iter().all(|x| *x == 0.0).then_some(0.0))?;
    let cause = format!("a vector of length zero has no direction; so {}", many(count, "row"));
    let hint = "such rows count as straight up (0, 0, 1); find out why the model has no answer for them";
    let finding = Finding::of(reader.stored, &CHECK, Severity::Warning);
    Some(finding.at(None, Some(&reader.id(row))).because(cause, hint, count))
}

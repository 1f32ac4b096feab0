//! Test outputs that are distributed otherwise than OOF outputs.
//!
//! Per output: the Kolmogorov-Smirnov distance `D = max |F(x) - G(x)|`, and the population stability index
//! `sum_i (a_i - b_i) ln(a_i / b_i)` over ten bins with equal shares `a_i` of the OOF values. OOF values come from one fold's model, test
//! values from the mean of all, so that small distances are usual: a model is told by those of the other models.

use super::{Check, Context, Finding, Part, Severity, context::Reader, leak::median, many};
use crate::{compare::Ranks, num};
use rayon::prelude::*;

pub(super) const CHECK: Check = Check {
    name: "drift",
    severities: &[Severity::Warning, Severity::Note],
    does: "test outputs are distributed as OOF outputs are, or as far off as those of the other models",
    run,
};

/// Rows that are compared at most, of each part.
const ROWS: usize = 20_000;
/// Distance in the middle output, beyond noise, that is worth a line.
const LEAST: f64 = 0.15;
/// The same where there are no other models to compare with.
const LEAST_ALONE: f64 = 0.3;
/// How many times the middle model's distance.
const TIMES: f64 = 2.5;

/// One model's distances.
struct Apart<'a> {
    test: Reader<'a>,
    /// Distance in the middle output, less what chance makes of it.
    middle: f64,
    /// The output that is farthest off, with its distance and index.
    worst: (usize, f64, f64),
}

fn run(context: &Context) -> Vec<Finding> {
    let tests = context.complete(Part::Test);
    let pairs: Vec<(Reader<'_>, Reader<'_>)> = context
        .complete(Part::Oof)
        .into_iter()
        .filter_map(|oof| Some((oof, *tests.iter().find(|test| test.stored.model == oof.stored.model)?)))
        .collect();
    let apart: Vec<Apart<'_>> = pairs.par_iter().filter_map(|(oof, test)| compare(oof, test)).collect();
    let usual = median(apart.iter().map(|it| it.middle).collect());
    let alone = apart.len() < 3;
    let is_odd = |it: &&Apart<'_>| {
        if alone { it.middle > LEAST_ALONE } else { it.middle > LEAST && it.middle > TIMES * usual.max(0.0) }
    };
    let mut findings: Vec<Finding> =
        apart.iter().filter(is_odd).map(|it| tell(it, (!alone).then_some(usual))).collect();
    if !alone && usual > LEAST_ALONE {
        let cause =
            format!("test outputs of all models are off, by {usual:.2} in the middle: the test rows are others");
        let hint = "what was measured on the training rows may not hold: trust public scores more";
        let finding = Finding::of(apart[0].test.stored, &CHECK, Severity::Note);
        let place = format!("all {}", many(apart.len(), "model"));
        findings.push(Finding { model: None, place, ..finding }.because(cause, hint, apart.len()));
    }
    findings
}

fn tell(it: &Apart<'_>, usual: Option<f64>) -> Finding {
    let (output, distance, index) = it.worst;
    let column = &it.test.stored.columns[output];
    let others = usual.map_or(String::new(), |usual| format!(", of the middle model by {:.2}", usual.max(0.0)));
    let cause = format!(
        "distributed otherwise than the OOF outputs, by {:.2} (Kolmogorov-Smirnov) in the middle output{others}; worst: \
         {distance:.2}, stability index {index:.2}",
        it.middle
    );
    let hint = "is the test file of the same model, on the same scale, with its features computed the same way?";
    let finding = Finding::of(it.test.stored, &CHECK, Severity::Warning);
    finding.at(Some(column), None).because(cause, hint, it.test.n_outputs())
}

fn compare<'a>(oof: &Reader<'a>, test: &Reader<'a>) -> Option<Apart<'a>> {
    let thin = |reader: &Reader<'_>| {
        let step = reader.n_rows().div_ceil(ROWS).max(1);
        reader.natural((0..reader.n_rows()).step_by(step))
    };
    let (a, b) = (thin(oof), thin(test));
    let finite = |block: &crate::Block| block.values().iter().all(|x| x.is_finite());
    if a.n_rows() < 20 || b.n_rows() < 20 || !finite(&a) || !finite(&b) || !oof.tells_rows_apart(&a) {
        return None;
    }
    let all: Vec<(f64, f64)> = (0..a.n_outputs()).map(|output| distances(a.column(output), b.column(output))).collect();
    let worst = (0..all.len()).max_by(|x, y| all[*x].0.total_cmp(&all[*y].0))?;
    // What chance stays below 99 % of the time (Smirnov 1939).
    let noise = 1.63 * libm::sqrt(1.0 / a.n_rows() as f64 + 1.0 / b.n_rows() as f64);
    let middle = median(all.iter().map(|it| it.0).collect()) - noise;
    Some(Apart { test: *test, middle, worst: (worst, all[worst].0, all[worst].1) })
}

/// Kolmogorov-Smirnov distance and population stability index.
fn distances(a: &[f64], b: &[f64]) -> (f64, f64) {
    let ranks = Ranks::of(&[a, b].concat());
    let (n, m) = (a.len() as f64, b.len() as f64);
    let (mut in_a, mut in_b, mut distance, mut index) = (0_usize, 0_usize, 0.0_f64, 0.0);
    let (mut bin_a, mut bin_b, mut bins) = (0, 0, 0);
    for values in ranks.ties() {
        let of_a = values.iter().filter(|row| (**row as usize) < a.len()).count();
        (in_a, in_b) = (in_a + of_a, in_b + values.len() - of_a);
        (bin_a, bin_b) = (bin_a + of_a, bin_b + values.len() - of_a);
        distance = distance.max((in_a as f64 / n - in_b as f64 / m).abs());
        let last = in_a + in_b == a.len() + b.len();
        if last || (bins < 9 && bin_a > 0 && in_a * 10 >= a.len() * (bins + 1)) {
            // An empty share counts as half a row.
            let (share_a, share_b) = ((bin_a as f64).max(0.5) / n, (bin_b as f64).max(0.5) / m);
            index += (share_a - share_b) * num::ln(share_a / share_b);
            (bin_a, bin_b, bins) = (0, 0, in_a * 10 / a.len());
        }
    }
    (distance, index)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Values of `scipy.stats.ks_2samp`, and by hand.
    #[test]
    fn distances_by_hand() {
        let a = [0.1, 0.2, 0.2, 0.5, 0.9];
        assert_eq!(distances(&a, &a), (0.0, 0.0));
        let (distance, _) = distances(&a, &[0.2, 0.6, 0.7, 0.9]);
        assert!((distance - 0.55).abs() < 1e-12, "{distance}");
        let first: Vec<f64> = (0..100).map(f64::from).collect();
        let second: Vec<f64> = (0..100).map(|i| f64::from(i) + 20.0).collect();
        let (distance, index) = distances(&first, &second);
        assert!((distance - 0.2).abs() < 1e-12);
        // The first two bins hold nothing (half a row), the last 30 in place of 10.
        let wanted = 2.0 * (0.1 - 0.005) * num::ln(0.1 / 0.005) + (0.1 - 0.3) * num::ln(0.1 / 0.3);
        assert!((index - wanted).abs() < 1e-12, "{index} {wanted}");
    }
}

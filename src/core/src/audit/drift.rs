//! Test outputs that are distributed otherwise than OOF outputs.
//!
//! By the distances of [`crate::drift`]. OOF values come from one fold's model, test values from the mean of all, so that
//! small distances are usual: a model is told by those of the other models.

use super::{Check, Context, Finding, Part, Severity, context::Reader, leak::median, many};
use crate::drift::{self, Drift, ROWS};
use rayon::prelude::*;

pub(super) const CHECK: Check = Check {
    name: "drift",
    severities: &[Severity::Warning, Severity::Note],
    does: "test outputs are distributed as OOF outputs are, or as far off as those of the other models",
    run,
};

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
    /// The output that is farthest off.
    worst: (usize, Drift),
}

fn run(context: &Context) -> Vec<Finding> {
    let tests = context.complete(Part::Test);
    let pairs: Vec<(Reader<'_>, Reader<'_>)> = context
        .complete(Part::Oof)
        .into_iter()
        .filter_map(|oof| Some((oof, *tests.iter().find(|test| test.stored.model == oof.stored.model)?)))
        .collect();
    let apart: Vec<Apart<'_>> = pairs.par_iter().filter_map(|(oof, test)| compare(context, oof, test)).collect();
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
    let (output, Drift { distance, index }) = it.worst;
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

fn compare<'a>(context: &Context, oof: &Reader<'a>, test: &Reader<'a>) -> Option<Apart<'a>> {
    let thin = |reader: &Reader<'_>| {
        let step = reader.n_rows().div_ceil(ROWS).max(1);
        reader.natural((0..reader.n_rows()).step_by(step))
    };
    let (a, b) = (thin(oof), thin(test));
    let finite = |block: &crate::Block| block.values().iter().all(|x| x.is_finite());
    if a.n_rows() < 20 || b.n_rows() < 20 || !finite(&a) || !finite(&b) || !oof.tells_rows_apart(&a) {
        return None;
    }
    let surveyed = context.evidence().survey.and_then(|survey| survey.drift_of(&oof.stored.model));
    let all: Vec<Drift> = surveyed.map_or_else(|| drift::between(&a, &b), <[Drift]>::to_vec);
    let worst = (0..all.len()).max_by(|x, y| all[*x].distance.total_cmp(&all[*y].distance))?;
    let noise = drift::noise(a.n_rows(), b.n_rows());
    let middle = median(all.iter().map(|it| it.distance).collect()) - noise;
    Some(Apart { test: *test, middle, worst: (worst, all[worst]) })
}

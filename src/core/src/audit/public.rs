//! Public scores that do not fit: two for one file, or one that the OOF score is too good for.

use super::{Check, Context, Finding, Part, Public, Severity, leak::median};
use crate::Score;

pub(super) const CHECK: Check = Check {
    name: "public",
    severities: &[Severity::Fault, Severity::Warning],
    does: "the same test outputs have one public score, and OOF scores stand to public ones as the other models' do",
    run,
};

/// Models below which nothing is usual.
const RELATIVES: usize = 4;
/// How many usual distances the difference of public and OOF score may be off.
const DISTANCES: f64 = 6.0;

fn run(context: &Context) -> Vec<Finding> {
    let public = &context.evidence().public;
    let mut findings = contradictions(context, public);
    findings.extend(outliers(context, public));
    findings
}

/// One file under two names with two scores.
fn contradictions(context: &Context, public: &[Public]) -> Vec<Finding> {
    let stored: Vec<_> = public.iter().map(|it| context.find(&it.model, Part::Test)).collect();
    let mut findings = Vec::new();
    for (b, it) in public.iter().enumerate() {
        let Some(own) = stored[b] else { continue };
        let twin = (0..b).find(|&a| {
            let same = stored[a].is_some_and(|other| other.fingerprint == own.fingerprint);
            same && (public[a].score - it.score).abs() > public[a].rounding + it.rounding
        });
        if let Some(a) = twin {
            let other = &public[a];
            let cause = format!(
                "public score {}, but `{}` has the same test outputs and {}",
                it.score, other.model, other.score
            );
            let hint =
                "one of the two was noted wrongly, or another file was submitted: correct it with `blend lb add`";
            findings.push(Finding::of(own, &CHECK, Severity::Fault).because(cause, hint, 2));
        }
    }
    findings
}

/// Models whose OOF score is better than their public score lets expect, measured by the others.
fn outliers(context: &Context, public: &[Public]) -> Vec<Finding> {
    let Some(survey) = context.evidence().survey else { return Vec::new() };
    let loss = |score: f64| survey.direction.loss(Score(score)).value();
    let known: Vec<(&Public, f64, f64)> = public
        .iter()
        .filter_map(|it| {
            let at = survey.models.iter().position(|model| *model == it.model)?;
            let overall = survey.scores[at].overall?;
            Some((it, overall, loss(it.score) - loss(overall)))
        })
        .collect();
    if known.len() < RELATIVES {
        return Vec::new();
    }
    let middle = median(known.iter().map(|it| it.2).collect());
    let rounding = known.iter().map(|it| it.0.rounding).fold(0.0, f64::max);
    let usual = median(known.iter().map(|it| (it.2 - middle).abs()).collect()).max(2.0 * rounding);
    known
        .into_iter()
        .filter(|(.., apart)| apart - middle > DISTANCES * usual)
        .filter_map(|(it, overall, apart)| {
            let stored = context.find(&it.model, Part::Oof)?;
            let cause = format!(
                "OOF {overall:.6}, public {}: worse by {:.2e} than the other models let expect ({:.0} usual distances)",
                it.score,
                apart - middle,
                (apart - middle) / usual
            );
            let hint = "the OOF score is too good: a leak, other folds, or a test file of another model";
            Some(Finding::of(stored, &CHECK, Severity::Warning).because(cause, hint, 1))
        })
        .collect()
}

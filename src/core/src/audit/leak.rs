//! Scores that are too good to be out-of-fold: the labels themselves, a model far ahead of all its relatives, a fold far
//! ahead of all others.
//!
//! None of it is proof. A leak as small as the gain of a good model leaves no trace in scores; only the record of the
//! fold map does (check `folds`).

use super::{Check, Context, Finding, Part, Severity, baseline};
use crate::{ModelId, Score, survey::Survey};

pub(super) const CHECK: Check = Check {
    name: "leak",
    severities: &[Severity::Fault, Severity::Warning],
    does: "no OOF score is nearly perfect, far ahead of all other models', or far better in one fold",
    run,
};

/// Distance from a perfect score below which predictions are the labels, as a share of the constant's distance.
const PERFECT: f64 = 1e-3;
/// Models below which relatives say nothing.
const RELATIVES: usize = 5;
/// How many times the usual step between neighbors the gap behind the leaders may be.
const STEPS: f64 = 10.0;
/// Least gap, as a share of the best follower's loss.
const LEAST: f64 = 0.02;
/// A fold that differs from what model and fold let expect by so many times the usual difference.
const DIFFERENCES: f64 = 10.0;
/// Least difference of a fold, as a share of the model's own loss.
const LEAST_IN_FOLD: f64 = 0.1;

fn run(context: &Context) -> Vec<Finding> {
    let Some(survey) = context.evidence().survey else { return Vec::new() };
    let optimum = context.evidence().judgement.as_ref().map(|judgement| judgement.metric.info().optimum);
    let constant = context.evidence().judgement.as_ref().and_then(baseline::constant);
    let losses: Vec<(usize, f64)> = survey
        .scores
        .iter()
        .enumerate()
        .filter_map(|(at, scores)| Some((at, survey.direction.loss(Score(scores.overall?)).value())))
        .collect();
    let finding = |model: &ModelId, severity| Some(Finding::of(context.find(model, Part::Oof)?, &CHECK, severity));
    let mut findings = Vec::new();
    let mut perfect = Vec::new();
    if let (Some(optimum), Some(constant)) = (optimum, constant) {
        for &(at, loss) in &losses {
            let score = survey.direction.score(crate::Loss::new(loss)).0;
            if (score - optimum).abs() < PERFECT * (constant - optimum).abs() {
                perfect.push(at);
                let cause = format!("scores {score:.6}: the predictions are the labels");
                let hint = "the truth was stored as a prediction, or the target is among the features";
                findings.extend(finding(&survey.models[at], Severity::Fault).map(|it| it.because(cause, hint, 1)));
            }
        }
    }
    let honest: Vec<(usize, f64)> = losses.into_iter().filter(|(at, _)| !perfect.contains(at)).collect();
    if let Some((leaders, follower, ratio)) = far_ahead(honest) {
        for &(at, loss) in &leaders {
            let cause = format!(
                "scores {:.6}, far ahead of the other {} models (the best of them {:.6}: {ratio:.0} times the usual step)",
                survey.direction.score(crate::Loss::new(loss)).0,
                survey.models.len() - leaders.len(),
                survey.direction.score(crate::Loss::new(follower)).0,
            );
            let hint = "was it trained on other folds, on held-out rows, or on more data? If it is that good: `allow: {leak: \"why\"}`";
            findings.extend(finding(&survey.models[at], Severity::Warning).map(|it| it.because(cause, hint, 1)));
        }
    }
    for (at, fold, own, expected) in better_folds(survey) {
        let cause = format!("fold {} scores {own:.6} where {expected:.6} was to be expected", survey.folds[fold]);
        let hint = "were the rows of this fold in the training data of its model?";
        findings.extend(finding(&survey.models[at], Severity::Warning).map(|it| it.because(cause, hint, 1)));
    }
    findings
}

type Leaders = (Vec<(usize, f64)>, f64, f64);

/// The largest group of leaders, at most a fifth of the models, that is apart from all others; with the best follower's
/// loss and how many usual steps lie between.
fn far_ahead(mut losses: Vec<(usize, f64)>) -> Option<Leaders> {
    let n = losses.len();
    if n < RELATIVES {
        return None;
    }
    losses.sort_by(|a, b| a.1.total_cmp(&b.1));
    (1..=n.div_ceil(5)).rev().find_map(|k| {
        let (leaders, followers) = losses.split_at(k);
        let (gap, best) = (followers[0].1 - leaders[k - 1].1, followers[0].1);
        let middle = followers.len() / 2;
        let step = (followers[middle].1 - best) / middle as f64;
        let ratio = gap / step.max(f64::MIN_POSITIVE);
        (ratio >= STEPS && gap >= LEAST * best.abs()).then(|| (leaders.to_vec(), best, ratio))
    })
}

/// Model, fold, score there and the score that the model's and the fold's usual level let expect.
fn better_folds(survey: &Survey) -> Vec<(usize, usize, f64, f64)> {
    let (n_models, n_folds) = (survey.models.len(), survey.folds.len());
    let complete = survey.scores.iter().all(|scores| scores.folds.iter().all(Option::is_some));
    if n_models < RELATIVES || n_folds < 3 || !complete {
        return Vec::new();
    }
    let loss: Vec<Vec<f64>> = survey
        .scores
        .iter()
        .map(|scores| scores.folds.iter().flatten().map(|score| survey.direction.loss(Score(*score)).value()).collect())
        .collect();
    let level: Vec<f64> = loss.iter().map(|folds| median(folds.clone())).collect();
    let of_fold: Vec<f64> =
        (0..n_folds).map(|fold| median((0..n_models).map(|m| loss[m][fold] - level[m]).collect())).collect();
    let expected = |m: usize, fold: usize| level[m] + of_fold[fold];
    let cells = || (0..n_models).flat_map(|m| (0..n_folds).map(move |fold| (m, fold)));
    let usual = median(cells().map(|(m, fold)| (loss[m][fold] - expected(m, fold)).abs()).collect());
    cells()
        .filter(|&(m, fold)| {
            let ahead = expected(m, fold) - loss[m][fold];
            // Bad models vary most; one that has seen a fold is the best there.
            let best = (0..n_models).all(|other| other == m || loss[m][fold] < loss[other][fold]);
            best && ahead > DIFFERENCES * usual && ahead > LEAST_IN_FOLD * level[m].abs()
        })
        .map(|(m, fold)| {
            let score = |loss: f64| survey.direction.score(crate::Loss::new(loss)).0;
            (m, fold, score(loss[m][fold]), score(expected(m, fold)))
        })
        .collect()
}

/// The middle value, the upper of two.
pub(super) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ahead(losses: &[f64]) -> Vec<usize> {
        let found = far_ahead(losses.iter().copied().enumerate().collect());
        found.map_or_else(Vec::new, |(leaders, ..)| leaders.into_iter().map(|(at, _)| at).collect())
    }

    #[test]
    fn leaders_are_apart_from_all_others() {
        assert_eq!(ahead(&[0.564, 0.517, 0.560, 0.570, 0.565, 0.568, 0.563]), [1]);
        assert_eq!(ahead(&[0.125, 0.119, 0.122, 0.127, 0.126, 0.152]), []);
        assert_eq!(ahead(&[0.1, 0.5, 0.51, 0.52]), [], "too few to tell");
        assert_eq!(ahead(&[-0.9, -0.5, -0.51, -0.505, -0.502, -0.508]), [0], "a score that is better when higher");
        let mut many: Vec<f64> = (0..50).map(|i| 0.5 + 0.001 * f64::from(i)).collect();
        assert_eq!(ahead(&many), []);
        many.extend([0.45, 0.46]);
        assert_eq!(ahead(&many), [50, 51]);
    }
}

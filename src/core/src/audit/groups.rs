//! The best model overall that is among the worst in a group of rows: what it knows may not hold on the test rows.

use super::{Check, Context, Finding, Part, Severity, leak::median, many};
use crate::{Score, survey::Survey};

pub(super) const CHECK: Check = Check {
    name: "groups",
    severities: &[Severity::Warning],
    does: "no model is among the best overall and far behind the others in a group",
    run,
};

/// Models below which ranks say nothing.
const RELATIVES: usize = 4;
/// Rows below which a group's score is noise, and the least share of all rows.
const ROWS: usize = 200;
const SHARE: f64 = 0.05;
/// How far behind the group's middle model, in usual distances from it.
const DISTANCES: f64 = 3.0;

fn run(context: &Context) -> Vec<Finding> {
    let Some(survey) = context.evidence().survey else { return Vec::new() };
    let all: usize = survey.group_rows.iter().sum();
    let large = |group: &usize| {
        let rows = survey.group_rows[*group];
        rows >= ROWS && rows as f64 >= SHARE * all as f64
    };
    let of = |(model, group, own, middle): (usize, usize, f64, f64)| {
        let stored = context.find(&survey.models[model], Part::Oof)?;
        let score = |loss: f64| survey.direction.score(crate::Loss::new(loss)).0;
        let cause = format!(
            "among the best overall, but scores {:.6} in group `{}` ({}) where the middle model scores {:.6}",
            score(own),
            survey.groups[group],
            many(survey.group_rows[group], "row"),
            score(middle)
        );
        let hint = "if the test rows are like that group, search with a `scope` of it; what does the model know of the others?";
        Some(Finding::of(stored, &CHECK, Severity::Warning).because(cause, hint, survey.group_rows[group]))
    };
    (0..survey.groups.len()).filter(large).flat_map(|group| behind(survey, group)).filter_map(of).collect()
}

/// Models that are among the best fifth overall and far behind in `group`: model, group, its loss, the middle loss.
fn behind(survey: &Survey, group: usize) -> Vec<(usize, usize, f64, f64)> {
    let loss = |score: Option<f64>| score.map(|score| survey.direction.loss(Score(score)).value());
    let known: Vec<(usize, f64, f64)> = survey
        .scores
        .iter()
        .enumerate()
        .filter_map(|(model, scores)| Some((model, loss(scores.overall)?, loss(scores.groups[group])?)))
        .collect();
    if known.len() < RELATIVES {
        return Vec::new();
    }
    let mut overall: Vec<f64> = known.iter().map(|it| it.1).collect();
    overall.sort_by(f64::total_cmp);
    let best = overall[known.len().div_ceil(5) - 1];
    let middle = median(known.iter().map(|it| it.2).collect());
    let usual = median(known.iter().map(|it| (it.2 - middle).abs()).collect());
    known
        .into_iter()
        .filter(|(_, overall, own)| *overall <= best && own - middle > DISTANCES * usual)
        .map(|(model, _, own)| (model, group, own, middle))
        .collect()
}

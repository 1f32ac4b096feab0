//! Nested cross-validation of any way to find weights: it is repeated without each part, and the part is judged.

use super::{
    nested::{Nested, Outer, Part, Run, labels},
    row_scores::RowScores,
};
use crate::{
    drive::Stop,
    fit::{Fitted, blended},
    objective::Effort,
    search::{Problem, SearchError},
};
use blend_core::{RowSet, judge::Bound};
use std::time::{Duration, Instant};

/// A way to fit a blend to some rows and the metric bound to their labels, within a time of its own.
pub(crate) type Fit<'a> = dyn Fn((&RowSet, &dyn Bound), Option<Instant>) -> Result<Fitted, SearchError> + 'a;

/// Fits without each part and scores the part. Nothing of a part reaches its own weights. Each part may take its share
/// of `budget`; the answer says whether one was cut short.
pub(crate) fn run(
    problem: &Problem<'_>,
    bound: &dyn Bound,
    fit: &Fit<'_>,
    budget: Option<Duration>,
) -> Result<(Run, bool), SearchError> {
    let started = Instant::now();
    let (labels, by) = labels(problem);
    let mut rows = RowScores::empty(bound);
    let (mut parts, mut effort, mut interrupted, mut cut) = (Vec::new(), Effort::default(), false, false);
    let outer = Outer::all(problem, &labels)?;
    let n_parts = outer.len() as u32;
    for (i, outer) in outer.into_iter().enumerate() {
        let train = outer.train(problem)?;
        let train_bound = problem.metric.bind(problem.truth.on(&train))?;
        let deadline = budget.map(|budget| started + budget * (i as u32 + 1) / n_parts);
        let Fitted { found, post, effort: mut spent } = fit((&train, &*train_bound), deadline)?;
        interrupted |= found.stop == Stop::Interrupted;
        cut |= found.stop == Stop::Budget;
        spent.passes *= train.len() as f64 / problem.scope.rows.len() as f64;
        effort += spent;
        let blend = blended(problem, bound, &found.weights, &outer.held_out, &post);
        let score = if let Ok(part_bound) = problem.metric.bind(problem.truth.on(&outer.held_out)) {
            let judged = RowScores::of_block(&*part_bound, blend);
            rows.scatter(&outer.inside, &judged);
            Some(judged.score(&*part_bound))
        } else {
            // A part on which the metric is undefined still takes part in the pooled score.
            rows.judge_each(bound, &outer.inside, &blend);
            None
        };
        parts.push(Part { label: outer.label, weights: found.weights, post, score, n_rows: outer.inside.len() });
        if interrupted {
            break;
        }
    }
    Ok((Run { nested: Nested { score: rows.score(bound), by, parts }, rows, effort, interrupted }, cut))
}

//! Nested cross-validation of any way to find weights: it is repeated without each part, and the part is judged.

use super::{
    nested::{Nested, Part, Run, labels},
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
    let outer = outer_parts(problem, &labels)?;
    let n_parts = outer.len() as u32;
    for (i, outer) in outer.into_iter().enumerate() {
        let train_bound = problem.metric.bind(problem.truth.on(&outer.train))?;
        let deadline = budget.map(|budget| started + budget * (i as u32 + 1) / n_parts);
        let Fitted { found, post, effort: mut spent } = fit((&outer.train, &*train_bound), deadline)?;
        interrupted |= found.stop == Stop::Interrupted;
        cut |= found.stop == Stop::Budget;
        spent.passes *= outer.train.len() as f64 / problem.scope.rows.len() as f64;
        effort += spent;
        let blend = blended(problem, bound, &found.weights, &outer.held_out, &post);
        let score = if let Ok(part_bound) = problem.metric.bind(problem.truth.on(&outer.held_out)) {
            let judged = RowScores::of_block(&*part_bound, &blend);
            rows.scatter(&outer.inside, &judged);
            Some(judged.score(&*part_bound))
        } else {
            // A part on which the metric is undefined still takes part in the pooled score.
            rows.judge_each(bound, &outer.inside, &blend);
            None
        };
        parts.push(Part { label: outer.label, weights: found.weights, score, n_rows: outer.inside.len() });
        if interrupted {
            break;
        }
    }
    Ok((Run { nested: Nested { score: rows.score(bound), by, parts }, rows, effort, interrupted }, cut))
}

/// One part and the rows without it.
pub(crate) struct Outer {
    pub(crate) label: i64,
    pub(crate) train: RowSet,
    pub(crate) held_out: RowSet,
    /// The part's rows in the scope's numbering.
    pub(crate) inside: Vec<usize>,
}

/// The parts by the label of each row of the scope.
pub(crate) fn outer_parts(problem: &Problem<'_>, labels: &[i64]) -> Result<Vec<Outer>, SearchError> {
    let mut distinct = labels.to_vec();
    distinct.sort_unstable();
    distinct.dedup();
    let positions: Vec<usize> = problem.scope.rows.iter().collect();
    let part = |label: i64| {
        let rows = |held_out: bool| {
            let mut mask = vec![false; problem.scope.rows.n_total()];
            labels.iter().zip(&positions).for_each(|(&own, &row)| mask[row] = (own == label) == held_out);
            RowSet::from_mask(&mask).map_err(|_| SearchError::OnePart)
        };
        let inside = (0..labels.len()).filter(|&i| labels[i] == label).collect();
        Ok(Outer { label, train: rows(false)?, held_out: rows(true)?, inside })
    };
    distinct.into_iter().map(part).collect()
}

//! Nested cross-validation: every row scored with weights that were chosen without its fold.

use super::row_scores::RowScores;
use crate::{
    drive::Stop,
    objective::{Effort, cv},
    sample::Sample,
    search::{Problem, SearchError},
    solver::{SolverName, Task, solve},
};
use blend_core::{Fingerprint, Oof, Predictions, RowSet, judge::Bound, pool::Pool};

/// Nested scores of a search.
#[derive(Debug, Clone, PartialEq)]
pub struct Nested {
    /// The score over all rows, each with the weights of the part it was left out of.
    pub score: f64,
    /// What the parts are: `folds`, or `hash5` where there are fewer than two folds.
    pub by: &'static str,
    /// The parts.
    pub parts: Vec<Part>,
}

/// One outer part.
#[derive(Debug, Clone, PartialEq)]
pub struct Part {
    /// Its fold's label, or its number.
    pub label: i64,
    /// Weights chosen on the other parts.
    pub weights: Vec<f64>,
    /// Their score on this part, where the metric is defined on it.
    pub score: Option<f64>,
    /// Rows of this part.
    pub n_rows: usize,
}

/// Parts by BLAKE3 of the group or id where there are no folds.
const HASH_PARTS: u8 = 5;

/// A label per row of the scope and what the labels are.
pub(crate) fn labels(problem: &Problem<'_>) -> (Vec<i64>, &'static str) {
    if let Some(folds) = problem.folds {
        let labels: Vec<i64> = problem.scope.rows.iter().map(|row| folds.labels()[row]).collect();
        if labels.iter().any(|&label| label != labels[0]) {
            return (labels, "folds");
        }
    }
    let label = |row: usize| {
        let hash = match problem.groups {
            Some(groups) => Fingerprint::of(&groups[row].to_le_bytes()),
            None => Fingerprint::of(problem.truth.rows().id(row).as_bytes()),
        };
        // 256 is no multiple of 5; the parts differ by less than half a percent.
        i64::from(hash.as_bytes()[0] % HASH_PARTS)
    };
    (problem.scope.rows.iter().map(label).collect(), "hash5")
}

/// Everything nested cross-validation gives.
pub(crate) struct Run {
    pub(crate) nested: Nested,
    /// Rows judged with their part's weights.
    pub(crate) rows: RowScores,
    pub(crate) effort: Effort,
    pub(crate) interrupted: bool,
}

/// A gap at which a part's search may end: an outer score needs no more digits than its noise has.
const TOLERANCE: f64 = 1e-7;

/// Searches again without each part and scores the part. Nothing of a part reaches its own weights: not even the start,
/// which would choose the valley of a loss that has several.
pub(crate) fn run(
    problem: &Problem<'_>,
    bound: &dyn Bound,
    solver: SolverName,
    task: &Task<'_>,
    sample: Option<&Sample>,
) -> Result<Run, SearchError> {
    let (labels, by) = labels(problem);
    let mut distinct = labels.clone();
    distinct.sort_unstable();
    distinct.dedup();
    let positions: Vec<usize> = problem.scope.rows.iter().collect();
    let members: Vec<&Predictions<Oof>> = problem.members.members().iter().collect();
    let row_local = problem.space.get().info().row_local;
    let mut rows = RowScores::empty(bound);
    let mut parts = Vec::with_capacity(distinct.len());
    let mut effort = Effort::default();
    let mut interrupted = false;
    for &label in &distinct {
        let outside = |keep: bool| {
            let mut mask = vec![false; problem.scope.rows.n_total()];
            labels.iter().zip(&positions).for_each(|(&l, &row)| mask[row] = (l == label) != keep);
            RowSet::from_mask(&mask).map_err(|_| SearchError::OnePart)
        };
        let (train, held_out) = (outside(true)?, outside(false)?);
        let train_bound = problem.metric.bind(problem.truth.on(&train))?;
        let sums_to_one = problem.domain.sums_to_one();
        let objective = cv::objective(&members, &train, &*train_bound, problem.space, sums_to_one);
        let inner = Task { objective: &*objective, tolerance: task.tolerance.max(TOLERANCE), start: None, ..*task };
        let mut sampling = Effort::default();
        let start = sample.and_then(|sample| sample.start(problem, &train, solver, &inner, &mut sampling));
        let found = solve(solver, &Task { start: start.as_deref(), ..inner });
        interrupted |= found.stop == Stop::Interrupted;
        let mut spent = objective.effort();
        spent += sampling;
        spent.passes *= train.len() as f64 / problem.scope.rows.len() as f64;
        effort += spent;

        let inside: Vec<usize> = (0..labels.len()).filter(|&i| labels[i] == label).collect();
        let weighted: Vec<_> = members.iter().copied().zip(found.weights.iter().copied()).collect();
        let pool = Pool::new(&weighted, problem.space, bound.preparation());
        // A part on which the metric is undefined (one class only) still takes part in the pooled score.
        let part_labels = problem.truth.on(&held_out);
        let score = if let Ok(part_bound) = problem.metric.bind(part_labels.clone()) {
            let judged = RowScores::of(&*part_bound, &pool, &held_out, row_local);
            rows.scatter(&inside, &judged);
            Some(judged.score(&*part_bound))
        } else {
            rows.judge_each(bound, &inside, &pool.whole(&held_out));
            None
        };
        parts.push(Part { label, weights: found.weights, score, n_rows: inside.len() });
        if interrupted {
            break;
        }
    }
    let nested = Nested { score: rows.score(bound), by, parts };
    Ok(Run { nested, rows, effort, interrupted })
}

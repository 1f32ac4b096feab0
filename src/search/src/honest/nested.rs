//! Nested cross-validation: every row scored with weights that were chosen without its fold.

use super::{
    lockstep,
    row_scores::{RowScores, fitted_step},
};
use crate::{
    drive::{Stop, Watch},
    objective::{Effort, Mean, Objective, Remembered, cv},
    sample::Sample,
    search::{Problem, SearchError},
    solver::{Found, SolverName, Task, has_walls, solve},
};
use blend_core::{
    Fingerprint, Oof, Predictions, RowSet,
    judge::Bound,
    pool::Pool,
    post::{self, PostStep},
};

use std::time::{Duration, Instant};

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
    /// Steps fitted with them.
    pub post: Vec<PostStep>,
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
const TOLERANCE: f64 = 1e-8;

/// The gap of a search that starts from the optimum of all rows. Labels of the held-out part chose that start; this
/// close to the optimum of the other rows, which is one whatever the start, they no longer show in any digit.
const WARM_TOLERANCE: f64 = 1e-10;

/// The rows that one label holds out, and the others.
pub(crate) struct Outer {
    pub(crate) label: i64,
    /// Held-out rows, in the numbering of the scope's rows.
    pub(crate) inside: Vec<usize>,
    pub(crate) held_out: RowSet,
}

impl Outer {
    /// The row sets of every label.
    pub(crate) fn all(problem: &Problem<'_>, labels: &[i64]) -> Result<Vec<Self>, SearchError> {
        let positions: Vec<usize> = problem.scope.rows.iter().collect();
        let mut distinct = labels.to_vec();
        distinct.sort_unstable();
        distinct.dedup();
        distinct
            .into_iter()
            .map(|label| {
                let inside: Vec<usize> = (0..labels.len()).filter(|&i| labels[i] == label).collect();
                let held_out = rows(problem, inside.iter().map(|&i| positions[i]))?;
                Ok(Self { label, inside, held_out })
            })
            .collect()
    }

    /// The step that a metric of labels fits to a pool of the other rows.
    fn step(
        &self,
        problem: &Problem<'_>,
        bound: &dyn Bound,
        pool: &Pool<'_, Oof>,
    ) -> Result<Option<PostStep>, SearchError> {
        if bound.cuts().is_none() {
            return Ok(None);
        }
        let train = self.train(problem)?;
        let bound = problem.metric.bind(problem.truth.on(&train))?;
        Ok(fitted_step(&*bound, pool, &train))
    }

    /// Judges a blend of the part's rows, with the cuts that the other rows choose, into `rows`; the score of the part,
    /// where it has one of its own, and the cuts. A part without a score still takes part in that of all rows.
    fn judge(
        &self,
        problem: &Problem<'_>,
        (bound, own): (&dyn Bound, Option<&dyn Bound>),
        weights: &[f64],
        rows: &mut RowScores,
    ) -> Result<(Option<f64>, Option<PostStep>), SearchError> {
        let weighted: Vec<_> = problem.members.members().iter().zip(weights.iter().copied()).collect();
        let pool = Pool::new(&weighted, problem.space, bound.preparation());
        let step = self.step(problem, bound, &pool)?;
        if let Some(own) = own {
            let row_local = problem.space.get().info().row_local;
            let judged = RowScores::after(own, &pool, &self.held_out, row_local, step.as_ref());
            rows.scatter(&self.inside, &judged);
            return Ok((Some(judged.score(own)), step));
        }
        let mut blend = pool.whole(&self.held_out);
        step.iter().for_each(|step| post::apply(step, &mut blend, None));
        rows.judge_each(bound, &self.inside, &blend);
        Ok((None, step))
    }

    /// The rows of the scope outside the part.
    pub(crate) fn train(&self, problem: &Problem<'_>) -> Result<RowSet, SearchError> {
        let held_out = self.held_out.mask();
        rows(problem, problem.scope.rows.iter().filter(|&row| !held_out[row]))
    }
}

fn rows(problem: &Problem<'_>, rows: impl Iterator<Item = usize>) -> Result<RowSet, SearchError> {
    let mut mask = vec![false; problem.scope.rows.n_total()];
    rows.for_each(|row| mask[row] = true);
    RowSet::from_mask(&mask).map_err(|_| SearchError::OnePart)
}

/// What the search over all rows leaves to the nested ones.
pub(crate) struct Before<'a> {
    pub(crate) solver: SolverName,
    pub(crate) sample: Option<&'a Sample>,
    /// The optimum of all rows, where it is certified: of a convex loss.
    pub(crate) certified: Option<&'a [f64]>,
    /// The time that it had, which each part has too.
    pub(crate) time_limit: Option<Duration>,
}

/// Searches again without each part and scores the part. Nothing of a part reaches its own weights: a loss that may
/// have several valleys is searched from a start of the other rows' own, and one that has a single optimum is searched
/// until nothing of its start is left.
pub(crate) fn run(
    problem: &Problem<'_>,
    bound: &dyn Bound,
    task: &Task<'_>,
    before: &Before<'_>,
) -> Result<Run, SearchError> {
    let (labels, by) = labels(problem);
    let outers = Outer::all(problem, &labels)?;
    let members: Vec<&Predictions<Oof>> = problem.members.members().iter().collect();
    let row_local = problem.space.get().info().row_local;
    // A metric may be undefined on a part alone (one class only).
    let bounds: Vec<Option<Box<dyn Bound>>> =
        outers.iter().map(|outer| problem.metric.bind(problem.truth.on(&outer.held_out)).ok()).collect();
    // Nothing can start from an optimum that is not proven: it could be one of several.
    let start = before.certified.filter(|_| row_local && !has_walls(task));
    let lockstep = start.and_then(|start| in_lockstep(problem, &members, &outers, task, start));
    let apart = match lockstep {
        None => start.and_then(|start| parts(problem, &members, &outers, &bounds, start)),
        Some(_) => None,
    };
    let (together, spent) = lockstep.unwrap_or_default();
    let mut together = together.into_iter();

    let mut run = Run {
        nested: Nested { score: f64::NAN, by, parts: Vec::with_capacity(outers.len()) },
        rows: RowScores::empty(bound),
        effort: spent,
        interrupted: false,
    };
    for (number, outer) in outers.iter().enumerate() {
        let warm = || apart.as_ref().and_then(|apart| warm(apart, number, task, before));
        let found = match together.next().flatten().or_else(warm) {
            Some(found) => found,
            None => cold(problem, &members, outer, task, before, &mut run.effort)?,
        };
        run.interrupted |= found.stop == Stop::Interrupted;
        let (score, step) = outer.judge(problem, (bound, bounds[number].as_deref()), &found.weights, &mut run.rows)?;
        let (n_rows, post) = (outer.inside.len(), step.into_iter().collect());
        run.nested.parts.push(Part { label: outer.label, weights: found.weights, post, score, n_rows });
        if run.interrupted {
            break;
        }
    }
    for (part, outer) in apart.iter().flatten().zip(&outers) {
        let mut spent = part.effort();
        spent.passes *= outer.inside.len() as f64 / labels.len() as f64;
        run.effort += spent;
    }
    run.nested.score = run.rows.score(bound);
    Ok(run)
}

/// Every row judged with `weights`, and with the cuts that the rows outside its part choose: what a blend whose cuts are
/// chosen so may be compared with. `None` where the metric has no cuts.
pub(crate) fn with_cuts_of_others(
    problem: &Problem<'_>,
    bound: &dyn Bound,
    weights: &[f64],
) -> Result<Option<RowScores>, SearchError> {
    if bound.cuts().is_none() {
        return Ok(None);
    }
    let mut rows = RowScores::empty(bound);
    for outer in Outer::all(problem, &labels(problem).0)? {
        let own = problem.metric.bind(problem.truth.on(&outer.held_out)).ok();
        outer.judge(problem, (bound, own.as_deref()), weights, &mut rows)?;
    }
    Ok(Some(rows))
}

/// The searches without each part from the optimum of all rows, side by side, where the loss is one of single cells;
/// `None` for parts that are not certified. Beside them what they cost.
fn in_lockstep(
    problem: &Problem<'_>,
    members: &[&Predictions<Oof>],
    outers: &[Outer],
    task: &Task<'_>,
    start: &[f64],
) -> Option<(Vec<Option<Found>>, Effort)> {
    let mut part_of = vec![0; problem.scope.rows.n_total()];
    for (part, outer) in outers.iter().enumerate() {
        outer.held_out.iter().for_each(|row| part_of[row] = part);
    }
    let sorted = problem.scope.rows.sorted_in_blocks(|row| part_of[row]);
    let parts: Vec<usize> = sorted.iter().map(|row| part_of[row]).collect();
    let labels = problem.truth.on(&sorted);
    let weights = labels.weights.clone();
    let bound = problem.metric.bind(labels).ok()?;
    let sums_to_one = problem.domain.sums_to_one();
    let apart = cv::apart(members, &sorted, &*bound, problem.space, sums_to_one, (&parts, weights.as_deref()))?;
    if !apart.is_convex() || !task.constraints.is_compact() {
        return None;
    }
    let found = lockstep::search(&apart, start, task, (TOLERANCE, WARM_TOLERANCE));
    Some((found, apart.effort()))
}

/// The loss over each part alone, where the losses over the other parts add up to what a part's weights are chosen by.
fn parts<'a>(
    problem: &Problem<'a>,
    members: &[&'a Predictions<Oof>],
    outers: &'a [Outer],
    bounds: &'a [Option<Box<dyn Bound>>],
    at: &[f64],
) -> Option<Vec<Remembered<'a>>> {
    let sums_to_one = problem.domain.sums_to_one();
    let parts = outers
        .iter()
        .zip(bounds)
        .map(|(outer, bound)| {
            let bound = bound.as_deref().filter(|bound| bound.judges_rows_alone())?;
            let objective = cv::objective(members, &outer.held_out, bound, problem.space, sums_to_one);
            objective.mass().is_some_and(|mass| mass > 0.0).then(|| Remembered::new(objective, at))
        })
        .collect::<Option<Vec<_>>>()?;
    (parts.len() > 1).then_some(parts)
}

/// The search without part `number`, from the optimum of all rows; `None` where its result is not certified.
fn warm(apart: &[Remembered<'_>], number: usize, task: &Task<'_>, before: &Before<'_>) -> Option<Found> {
    let others = (0..apart.len()).filter(|&other| other != number).map(|other| &apart[other] as &dyn Objective);
    let objective = Mean::new(others.collect())?;
    let tolerance = task.tolerance.max(WARM_TOLERANCE);
    let found = solve(before.solver, &Task { objective: &objective, tolerance, start: before.certified, ..*task });
    let done = matches!(found.stop, Stop::Certified { .. } | Stop::Interrupted);
    done.then_some(found)
}

/// The search without a part as if there had been none before.
fn cold(
    problem: &Problem<'_>,
    members: &[&Predictions<Oof>],
    outer: &Outer,
    task: &Task<'_>,
    before: &Before<'_>,
    effort: &mut Effort,
) -> Result<Found, SearchError> {
    let train = outer.train(problem)?;
    let bound = problem.metric.bind(problem.truth.on(&train))?;
    let objective = cv::objective(members, &train, &*bound, problem.space, problem.domain.sums_to_one());
    let deadline = before.time_limit.map(|limit| Instant::now() + limit);
    let watch = Watch { deadline, ..task.watch };
    let tolerance = task.tolerance.max(TOLERANCE);
    let inner = Task { objective: &*objective, tolerance, start: None, watch, ..*task };
    let mut spent = Effort::default();
    let start = before.sample.and_then(|sample| sample.start(problem, &train, before.solver, &inner, &mut spent));
    let found = solve(before.solver, &Task { start: start.as_deref(), ..inner });
    spent += objective.effort();
    spent.passes *= train.len() as f64 / problem.scope.rows.len() as f64;
    *effort += spent;
    Ok(found)
}

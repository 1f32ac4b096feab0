//! Weights that differ from part to part of the predictions: per target, per named group of targets or of rows.
//!
//! Every part is drawn toward the weights of all parts together: it minimizes
//! `L_t(w) + (lambda / 2) (w - w0)' H0 (w - w0)`, `w0` the optimum of all parts and `H0` the second derivatives there, so
//! that lambda counts in units of an average part's own evidence. Without limit it gives one set of weights for all,
//! at 0 every part stands alone. Lambda is chosen from a grid by cross-validation, and again inside every outer training
//! part of the nested score, so no label of a held-out row has a say in what is judged on it.

mod piece;
mod pooled;

#[cfg(test)]
mod laws;

use crate::{
    drive::{Stop, Watch},
    honest::{
        nested::{Nested, Outer, Part, Run},
        row_scores::RowScores,
    },
    objective::{Effort, Objective, cv},
    search::{Options, Problem, SearchError},
    solver::{Found, SolverName, Task, lowest, solve},
};
use blend_core::{
    Oof, Predictions, RowSet,
    judge::{Bound, Judge},
    pool::{Pool, Weighing, is_cell_local},
};
use piece::{Order, Piece};
use pooled::{Loss, Pooled, Prior};
use rayon::prelude::*;

/// The parts that have weights of their own.
#[derive(Debug, Clone, PartialEq)]
pub enum Parts {
    /// The part of each output.
    Outputs(Vec<u32>),
    /// The part of each row of the table.
    Rows(Vec<u32>),
}

impl Parts {
    /// Number of parts.
    #[must_use]
    pub fn n(&self) -> usize {
        let (Self::Outputs(part) | Self::Rows(part)) = self;
        part.iter().max().map_or(0, |&last| last as usize + 1)
    }

    /// The weighing that gives each part its weights, shape `(n_parts, n_members)`.
    fn weighing(&self, weights: &[Vec<f64>]) -> Weighing<'_> {
        match self {
            Self::Outputs(part) => {
                Weighing::ByOutput(part.iter().map(|&part| weights[part as usize].clone()).collect())
            }
            Self::Rows(part) => Weighing::ByRow(part, weights.to_vec()),
        }
    }
}

/// Strengths that are tried, from one set of weights for all to none in common.
const LAMBDAS: [f64; 11] = [f64::INFINITY, 100.0, 30.0, 10.0, 3.0, 1.0, 0.3, 0.1, 0.03, 0.01, 0.0];

/// A gap at which a search may end whose rows are all of them, without an outer part, or without an inner one too: that
/// one decides between strengths and nothing else.
const TOLERANCES: [f64; 3] = [0.0, 1e-8, 1e-6];

/// Weights by part and how they were chosen.
#[derive(Debug, Clone, PartialEq)]
pub struct PartsFound {
    /// Shape `(n_parts, n_members)`.
    pub weights: Vec<Vec<f64>>,
    /// How strongly parts are drawn together; infinite where all have the same weights.
    pub lambda: f64,
    /// The strengths that were tried with their cross-validated losses; empty where it was given.
    pub tried: Vec<(f64, f64)>,
    /// The strength chosen without each outer part.
    pub nested_lambdas: Vec<f64>,
    /// Nested score of one set of weights for all.
    pub global_nested: Option<f64>,
}

/// What a search by part gives.
pub(crate) struct Granular {
    /// The optimum of all parts together, with the stop and gap of the parts' own searches.
    pub(crate) found: Found,
    pub(crate) parts: PartsFound,
    pub(crate) rows: RowScores,
    pub(crate) run: Option<Run>,
    /// Rows judged with one set of weights for all, nested.
    pub(crate) global_rows: Option<RowScores>,
    pub(crate) effort: Effort,
}

/// Labels that a training part leaves out: none, an outer part, or an outer and an inner one.
type Without = Vec<i64>;

/// The answers of one part, by training part.
struct Answers {
    /// For every training part and lambda the weights.
    weights: Vec<Vec<Vec<f64>>>,
    /// Per context (all rows, then each outer part left out) and lambda the cross-validated loss.
    losses: Vec<Vec<f64>>,
    /// Stop and gap of the search on all rows, per lambda.
    ends: Vec<(Stop, Option<f64>)>,
    share: f64,
    effort: Effort,
}

/// Searches weights by part. `labels` has the nested part of each row of the scope, `by` says what they are.
pub(crate) fn run(
    problem: &Problem<'_>,
    bound: &dyn Bound,
    options: &Options,
    parts: &Parts,
    task: &Task<'_>,
    (labels, by): (&[i64], &'static str),
) -> Result<Granular, SearchError> {
    let unfit = || SearchError::Parts { metric: problem.metric.info().name };
    let local = |member: &Predictions<Oof>| match parts {
        Parts::Outputs(_) => is_cell_local(problem.space, member.encoding(), bound.preparation()),
        Parts::Rows(_) => problem.space.get().info().row_local,
    };
    if matches!(bound.judge(), Judge::Whole(_)) || !problem.members.members().iter().all(local) {
        return Err(unfit());
    }
    let outer = Outer::all(problem, labels)?;
    let lambdas: Vec<f64> = options.lambda.map_or_else(|| LAMBDAS.to_vec(), |lambda| vec![f64::INFINITY, lambda]);
    let choose = options.lambda.is_none();
    let mut sets: Vec<Without> = vec![vec![]];
    if choose || options.honest {
        sets.extend(outer.iter().map(|outer| vec![outer.label]));
    }
    if choose && options.honest {
        for (i, a) in outer.iter().enumerate() {
            sets.extend(outer[i + 1..].iter().map(|b| vec![a.label, b.label]));
        }
        if outer.len() < 3 {
            return Err(SearchError::FewParts); // an inner choice needs two parts beside the outer one
        }
    }
    let mut effort = Effort::default();
    let priors: Vec<Prior> = sets
        .iter()
        .map(|without| prior(problem, options, without, labels, task, &mut effort))
        .collect::<Result<_, _>>()?;
    let outer_labels: Vec<i64> = outer.iter().map(|outer| outer.label).collect();
    let order = Order::new(problem, labels)?;
    let piece_search = |part: usize| -> Result<(PieceSearch<'_>, f64), SearchError> {
        let (piece, share) = match parts {
            Parts::Outputs(all) => {
                let outputs: Vec<usize> = (0..all.len()).filter(|&t| all[t] as usize == part).collect();
                (Piece::of_outputs(problem, &outputs, &order)?, outputs.len() as f64 / all.len() as f64)
            }
            Parts::Rows(all) => {
                let piece = Piece::of_rows(problem, |row| all[row] as usize == part);
                let share = piece.n_rows() as f64 / problem.scope.rows.len() as f64;
                (piece, share)
            }
        };
        // A part of rows weighs as much as it has rows: the same evidence in common draws a small one more.
        let scale = match parts {
            Parts::Outputs(_) => 1.0,
            Parts::Rows(_) => 1.0 / (share * parts.n() as f64).max(f64::MIN_POSITIVE),
        };
        Ok((PieceSearch { piece, labels, lambdas: &lambdas, scale, task }, share))
    };
    // Without a choice nothing is cross-validated.
    let judged: &[i64] = if choose { &outer_labels } else { &[] };
    let mut answers: Vec<Answers> = (0..parts.n())
        .into_par_iter()
        .map(|part| piece_search(part).map(|(search, share)| search.answers(&sets, &priors, judged, share)))
        .collect::<Result<_, _>>()?;

    // One lambda for all parts, in every context.
    let n_contexts = if choose && options.honest { 1 + outer.len() } else { 1 };
    let criteria: Vec<Vec<f64>> = (0..if choose { n_contexts } else { 0 })
        .map(|context| {
            (0..lambdas.len()).map(|l| answers.iter().map(|a| a.share * a.losses[context][l]).sum()).collect()
        })
        .collect();
    let given = vec![lambdas.len() - 1; n_contexts];
    let chosen = if choose { criteria.iter().map(|losses| lowest(losses)).collect() } else { given };
    if choose {
        // What was good enough to choose by is searched to the end at what was chosen.
        answers.par_iter_mut().enumerate().try_for_each(|(part, answers)| {
            let (search, _) = piece_search(part)?;
            for (set, &lambda) in chosen.iter().enumerate().filter(|(_, lambda)| lambdas[**lambda].is_finite()) {
                let start = &answers.weights[set][lambda];
                let found = search.settle((&sets[set], &priors[set]), lambdas[lambda], start, &mut answers.effort);
                if let Some(found) = found {
                    answers.weights[set][lambda] = found.weights;
                    if set == 0 {
                        answers.ends[lambda] = (found.stop, found.gap);
                    }
                }
            }
            Ok::<(), SearchError>(())
        })?;
    }
    answers.iter().for_each(|answers| effort += answers.effort);
    let weights = |set: usize, lambda: usize| -> Vec<Vec<f64>> {
        answers.iter().map(|answers| answers.weights[set][lambda].clone()).collect()
    };
    let members: Vec<&Predictions<Oof>> = problem.members.members().iter().collect();
    let judge = |weighing: Weighing<'_>, set: &RowSet, bound: &dyn Bound| {
        let pool = Pool::weighed(&members, weighing, problem.space, bound.preparation());
        RowScores::of(bound, &pool, set, problem.space.get().info().row_local)
    };
    let best = weights(0, chosen[0]);
    let rows = judge(parts.weighing(&best), &problem.scope.rows, bound);
    let ends = answers.iter().map(|answers| answers.ends[chosen[0]]);
    let gap = ends.clone().zip(&answers).map(|((_, gap), a)| gap.map(|gap| a.share * gap)).sum::<Option<f64>>();
    let certified = ends.clone().all(|(stop, _)| matches!(stop, Stop::Certified { .. }));
    let stop = match (certified, gap) {
        (true, Some(gap)) => Stop::Certified { gap },
        _ => ends.map(|(stop, _)| stop).find(|stop| !matches!(stop, Stop::Certified { .. })).unwrap_or(Stop::Converged),
    };
    let stop = task.watch.cut().unwrap_or(stop);
    let loss = bound.direction().loss(blend_core::Score(rows.score(bound))).value();
    let found = Found { weights: priors[0].weights.clone(), loss, stop, gap };
    let tried = criteria.first().map(|losses| lambdas.iter().copied().zip(losses.iter().copied()).collect());
    let tried = tried.unwrap_or_default();
    let mut parts_found = PartsFound {
        weights: best,
        lambda: lambdas[chosen[0]],
        tried,
        nested_lambdas: Vec::new(),
        global_nested: None,
    };
    if !options.honest {
        return Ok(Granular { found, parts: parts_found, rows, run: None, global_rows: None, effort });
    }

    let (mut nested_rows, mut global_rows) = (RowScores::empty(bound), RowScores::empty(bound));
    let mut nested_parts = Vec::new();
    for (i, outer) in outer.iter().enumerate() {
        let lambda = chosen.get(1 + i).copied().unwrap_or(chosen[0]);
        parts_found.nested_lambdas.push(lambdas[lambda]);
        let own = weights(1 + i, lambda);
        let common = priors[1 + i].weights.clone();
        let mut score = None;
        for (weighing, rows) in
            [(parts.weighing(&own), &mut nested_rows), (Weighing::Same(common.clone()), &mut global_rows)]
        {
            if let Ok(held_out) = problem.metric.bind(problem.truth.on(&outer.held_out)) {
                let judged = judge(weighing, &outer.held_out, &*held_out);
                rows.scatter(&outer.inside, &judged);
                score.get_or_insert(judged.score(&*held_out));
            } else {
                let pool = Pool::weighed(&members, weighing, problem.space, bound.preparation());
                rows.judge_each(bound, &outer.inside, &pool.whole(&outer.held_out));
            }
        }
        nested_parts.push(Part {
            label: outer.label,
            weights: common,
            post: Vec::new(),
            score,
            n_rows: outer.inside.len(),
        });
    }
    parts_found.global_nested = Some(global_rows.score(bound));
    let nested = Nested { score: nested_rows.score(bound), by, parts: nested_parts };
    let interrupted = task.watch.cut() == Some(Stop::Interrupted);
    let run = Run { nested, rows: nested_rows, effort: Effort::default(), interrupted };
    Ok(Granular { found, parts: parts_found, rows, run: Some(run), global_rows: Some(global_rows), effort })
}

/// The optimum of all parts together on the rows that `without` leaves, and the second derivatives there.
fn prior(
    problem: &Problem<'_>,
    options: &Options,
    without: &[i64],
    labels: &[i64],
    task: &Task<'_>,
    effort: &mut Effort,
) -> Result<Prior, SearchError> {
    let mut mask = vec![false; problem.scope.rows.n_total()];
    problem.scope.rows.iter().zip(labels).for_each(|(row, label)| mask[row] = !without.contains(label));
    let set = RowSet::from_mask(&mask).map_err(|_| SearchError::OnePart)?;
    let bound = problem.metric.bind(problem.truth.on(&set))?;
    let members: Vec<&Predictions<Oof>> = problem.members.members().iter().collect();
    let objective = cv::objective(&members, &set, &*bound, problem.space, problem.domain.sums_to_one());
    let solver = options.solver.unwrap_or_else(|| SolverName::suited_to(&*objective));
    let tolerance = task.tolerance.max(TOLERANCES[without.len()]);
    // What decides between strengths may be drawn toward an optimum that is a step away.
    let seen = objective.preview().filter(|_| without.len() > 1).unwrap_or(&*objective);
    let found = solve(solver, &Task { objective: seen, start: None, tolerance, ..*task });
    let curve = seen.curve(&found.weights);
    let curve = curve.or_else(|| objective.smoothed(0.1).and_then(|smooth| smooth.curve(&found.weights)));
    let hessian = curve.ok_or(SearchError::Parts { metric: problem.metric.info().name })?.hessian;
    let mut spent = objective.effort();
    spent.passes *= set.len() as f64 / problem.scope.rows.len() as f64;
    *effort += spent;
    Ok(Prior::new(found.weights, hessian))
}

/// The searches of one part.
struct PieceSearch<'a> {
    piece: Piece<'a>,
    labels: &'a [i64],
    lambdas: &'a [f64],
    /// What lambda is multiplied by.
    scale: f64,
    task: &'a Task<'a>,
}

/// Weights along the grid with the end of each search.
struct Path {
    weights: Vec<Vec<f64>>,
    ends: Vec<(Stop, Option<f64>)>,
}

impl PieceSearch<'_> {
    fn answers(&self, sets: &[Without], priors: &[Prior], outer: &[i64], share: f64) -> Answers {
        let mut effort = Effort::default();
        let paths: Vec<Path> =
            sets.iter().zip(priors).map(|(without, prior)| self.path(without, prior, &mut effort)).collect();
        let losses = self.cross_validated(sets, &paths, outer);
        let ends = paths[0].ends.clone();
        Answers { weights: paths.into_iter().map(|path| path.weights).collect(), losses, ends, share, effort }
    }

    /// Weights for every lambda, each search from the answer of the one before.
    fn path(&self, without: &[i64], prior: &Prior, effort: &mut Effort) -> Path {
        let n = prior.weights.len();
        let same = |_: &f64| (prior.weights.clone(), (Stop::Converged, None));
        let train = self.piece.rows(|row| !without.contains(&self.labels[row]));
        let bound = train.as_ref().and_then(|set| self.piece.bind(set));
        let (Some(set), Some(bound)) = (&train, &bound) else {
            // A part without evidence of its own follows the others.
            let (weights, ends) = self.lambdas.iter().map(same).unzip();
            return Path { weights, ends };
        };
        let loss = self.piece.objective(set, &**bound);
        // To choose a strength by, a sketch is enough.
        let sketch = if self.lambdas.len() > 2 { loss.sketch() } else { None };
        let seen = sketch.as_deref().unwrap_or(&*loss);
        let tolerance = self.task.tolerance.max(TOLERANCES[if sketch.is_some() { 2 } else { without.len() }]);
        let mut at = prior.weights.clone();
        let (mut weights, mut ends) = (Vec::with_capacity(n), Vec::with_capacity(n));
        for lambda in self.lambdas {
            if lambda.is_infinite() {
                let (prior, end) = same(lambda);
                weights.push(prior);
                ends.push(end);
                continue;
            }
            let found = self.search(seen, prior, *lambda, &at, tolerance);
            if found.loss.is_finite() {
                at = found.weights;
            }
            weights.push(at.clone());
            ends.push((found.stop, found.gap));
        }
        *effort += Effort { passes: 0.0, evaluations: loss.effort().evaluations };
        Path { weights, ends }
    }

    /// The search at one lambda, from `start`.
    fn search(&self, loss: &dyn Objective, prior: &Prior, lambda: f64, start: &[f64], tolerance: f64) -> Found {
        let pooled = Pooled { loss: Loss::Borrowed(loss), prior, strength: lambda * self.scale };
        let solver = match SolverName::suited_to(&pooled) {
            SolverName::Quadratic => SolverName::Quadratic,
            // From next to the optimum one descent is enough.
            _ => SolverName::Newton,
        };
        // Thousands of short searches, side by side: their iterations tell nobody anything.
        let watch = Watch { tick: &|_| {}, ..self.task.watch };
        solver.get().run(&Task { objective: &pooled, start: Some(start), tolerance, watch, ..*self.task })
    }

    /// Weights at one lambda with all their digits; `None` where the part has no evidence of
    /// its own.
    fn settle(
        &self,
        (without, prior): (&Without, &Prior),
        lambda: f64,
        start: &[f64],
        effort: &mut Effort,
    ) -> Option<Found> {
        let set = self.piece.rows(|row| !without.contains(&self.labels[row]))?;
        let bound = self.piece.bind(&set)?;
        let loss = self.piece.objective(&set, &*bound);
        let tolerance = self.task.tolerance.max(TOLERANCES[without.len()]);
        let found = self.search(&*loss, prior, lambda, start, tolerance);
        *effort += Effort { passes: 0.0, evaluations: loss.effort().evaluations };
        found.loss.is_finite().then_some(found)
    }

    /// The loss of each lambda on rows that were left out, for every context: all rows, judged by the outer parts, then
    /// each outer part left out, judged by the others.
    fn cross_validated(&self, sets: &[Without], paths: &[Path], outer: &[i64]) -> Vec<Vec<f64>> {
        let place = |without: &[i64]| {
            sets.iter().position(|set| set.len() == without.len() && without.iter().all(|label| set.contains(label)))
        };
        let n = self.lambdas.len();
        let mut totals = vec![vec![0.0; n]; 1 + outer.len()];
        let mut masses = vec![0.0; 1 + outer.len()];
        for &label in outer {
            let Some(held_out) = self.piece.rows(|row| self.labels[row] == label) else { continue };
            let Some(bound) = self.piece.bind(&held_out) else { continue };
            let loss = self.piece.objective(&held_out, &*bound);
            let mass = loss.mass().unwrap_or(held_out.len() as f64);
            let contexts = std::iter::once(None).chain(outer.iter().map(|&context| Some(context)));
            for (at, context) in contexts.enumerate().filter(|(_, context)| *context != Some(label)) {
                let without: Vec<i64> = context.into_iter().chain([label]).collect();
                let Some(path) = place(&without) else { continue };
                masses[at] += mass;
                for (total, weights) in totals[at].iter_mut().zip(&paths[path].weights) {
                    *total += mass * loss.value(weights);
                }
            }
        }
        for (totals, mass) in totals.iter_mut().zip(masses) {
            totals.iter_mut().for_each(|total| *total = if mass > 0.0 { *total / mass } else { 0.0 });
        }
        totals
    }
}

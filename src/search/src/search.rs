//! One search from end to end: weights, what proves them, and honest scores beside the flattering one.

pub use crate::honest::{bootstrap::Interval, nested::Nested};
use crate::{
    constraints::Constraints,
    drive::{Stop, Tick, Watch},
    honest::{
        bootstrap,
        nested::{self, Before},
        row_scores::{RowScores, fitted_step},
    },
    objective::{Effort, cv},
    sample::Sample,
    solver::{Found, SolverName, Task, fallen_back, solve},
};
use blend_core::{
    Domain, Folds, ModelId, Oof, OutputKind, PredictionMatrix, Predictions, RowSet, Scope, Truth, Weights,
    judge::Bound,
    metric::{BindError, Metric},
    pool::Pool,
    post::PostStep,
    space::SpaceName,
    weights::WeightsError,
};
use std::{
    collections::HashMap,
    sync::atomic::AtomicBool,
    time::{Duration, Instant},
};

/// What is searched: members, labels, and the three choices space, domain and (here always global) granularity.
#[derive(Clone, Copy)]
pub struct Problem<'a> {
    /// Members on the rows of the truth.
    pub members: &'a PredictionMatrix<Oof>,
    /// Labels of all rows.
    pub truth: &'a Truth,
    /// Rows that count.
    pub scope: &'a Scope,
    /// The metric.
    pub metric: &'a dyn Metric,
    /// The scale of averaging.
    pub space: SpaceName,
    /// The allowed weights.
    pub domain: Domain,
    /// The competition's fold map, on the rows of the truth.
    pub folds: Option<&'a Folds>,
    /// A group number per row of the truth: the unit of resampling.
    pub groups: Option<&'a [u32]>,
}

/// How to search.
#[derive(Debug, Clone, PartialEq)]
pub struct Options {
    /// The solver; the one that suits the problem where absent.
    pub solver: Option<SolverName>,
    /// Seed of samples, random starts and the bootstrap.
    pub seed: u64,
    /// Picks of the greedy selection.
    pub max_picks: usize,
    /// Gap at which a certified search ends, in units of a loss of size one.
    pub tolerance: f64,
    /// Bootstrap replicates.
    pub replicates: usize,
    /// Longest time of the search proper.
    pub time_limit: Option<Duration>,
    /// Whether to compute nested scores and intervals.
    pub honest: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            solver: None,
            seed: 0,
            max_picks: 100,
            tolerance: 1e-12,
            replicates: 1000,
            time_limit: None,
            honest: true,
        }
    }
}

/// Interruption and progress.
#[derive(Clone, Copy)]
pub struct Control<'a> {
    /// Set to stop with the best so far.
    pub interrupted: &'a AtomicBool,
    /// Called after every iteration.
    pub tick: &'a (dyn Fn(&Tick) + Sync),
}

/// Everything a search found. Scores are in the metric's own unit.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// The weights, in the members' order.
    pub weights: Weights,
    /// Steps after the blend that were fitted with it: the cuts of a metric of labels.
    pub post: Vec<PostStep>,
    /// The solver that found them.
    pub solver: SolverName,
    /// Score of the blend as it will be written, on the rows it was chosen on.
    pub score: f64,
    /// Score of equal weights.
    pub equal_weights: f64,
    /// The best member alone and its score.
    pub single_best: (ModelId, f64),
    /// Score of every member alone, in the members' order.
    pub members: Vec<f64>,
    /// Scores of weights chosen without the rows they are judged on.
    pub nested: Option<Nested>,
    /// Gain over equal weights, of the nested prediction where there is one.
    pub gain_over_equal: Option<Interval>,
    /// Gain over the single best, of the nested prediction where there is one.
    pub gain_over_single: Option<Interval>,
    /// Why the search ended.
    pub stop: Stop,
    /// How much better any allowed weights could be at most, where that is known.
    pub gap: Option<f64>,
    /// What the search cost.
    pub effort: Effort,
    /// What nested scores cost.
    pub honest_effort: Effort,
    /// Seconds of the search.
    pub search_seconds: f64,
    /// Seconds of the honest scores.
    pub honest_seconds: f64,
}

/// Why a search cannot run.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum SearchError {
    /// The metric cannot judge these labels.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// The space takes no outputs of this kind.
    #[error("space {space} takes no {kind} (member `{model}`)")]
    Space {
        /// The space.
        space: &'static str,
        /// The member.
        model: ModelId,
        /// What it predicts.
        kind: &'static str,
    },
    /// The metric judges no predictions of this kind.
    #[error("metric {metric} judges no {kind} (member `{model}`)")]
    Kind {
        /// The metric.
        metric: &'static str,
        /// The member.
        model: ModelId,
        /// What it predicts.
        kind: &'static str,
    },
    /// Predictions and labels have different numbers of columns.
    #[error("predictions have {got} outputs, the truth wants {wanted}")]
    Outputs {
        /// Outputs of the members.
        got: usize,
        /// Outputs that the labels want.
        wanted: usize,
    },
    /// The solver cannot solve this.
    #[error("solver {solver} does not fit: {why}")]
    Unfit {
        /// The solver.
        solver: &'static str,
        /// Why.
        why: &'static str,
    },
    /// A solver left its domain: a bug of ours, and no weights to write.
    #[error("the solver's weights are outside the domain: {0}")]
    Weights(#[from] WeightsError),
    /// Nested scores need two parts.
    #[error("all rows fall into one part: nested scores need two")]
    OnePart,
}

/// Searches.
pub fn search(problem: &Problem<'_>, options: &Options, control: &Control<'_>) -> Result<Outcome, SearchError> {
    let started = Instant::now();
    let set = &problem.scope.rows;
    let bound = problem.metric.bind(problem.truth.on(set))?;
    check(problem, &*bound)?;
    let members: Vec<&Predictions<Oof>> = problem.members.members().iter().collect();
    let n = members.len();
    let constraints = Constraints::of(problem.domain, n);
    let objective = cv::objective(&members, set, &*bound, problem.space, problem.domain.sums_to_one());
    let solver = options.solver.unwrap_or_else(|| SolverName::suited_to(&*objective));
    let watch = Watch {
        interrupted: control.interrupted,
        deadline: options.time_limit.map(|limit| started + limit),
        tick: control.tick,
    };
    let mut task = Task {
        objective: &*objective,
        constraints: &constraints,
        start: None,
        seed: options.seed,
        tolerance: options.tolerance,
        max_picks: options.max_picks,
        watch,
    };
    if let Err(why) = solver.get().fits(&task) {
        return Err(SearchError::Unfit { solver: solver.name(), why });
    }
    let mut effort = Effort::default();
    // A loss that has a preview starts from that one's optimum, without a copy of rows.
    let foreseen = solver == SolverName::Newton && objective.preview().is_some();
    let sample = if foreseen { None } else { Sample::new(problem, solver, options.seed) };
    let start = sample.as_ref().and_then(|sample| sample.start(problem, set, solver, &task, &mut effort));
    task.start = start.as_deref();
    let found = solve(solver, &task);

    // What will be written is judged, not what the solver saw.
    let row_local = problem.space.get().info().row_local;
    let pool = |weights: &[f64]| {
        let weighted: Vec<_> = members.iter().copied().zip(weights.iter().copied()).collect();
        Pool::new(&weighted, problem.space, bound.preparation())
    };
    // A baseline gets cuts of its own, as a member alone does.
    let judge = |weights: &[f64]| {
        let pool = pool(weights);
        RowScores::after(&*bound, &pool, set, row_local, fitted_step(&*bound, &pool, set).as_ref())
    };
    let scores = judge_members(problem, &members, &*bound);
    let direction = bound.direction();
    let losses: Vec<f64> = scores.iter().map(|&score| direction.loss(blend_core::Score(score)).value()).collect();
    let single = crate::solver::lowest(&losses);
    let (equal_rows, single_rows) = (judge(&constraints.equal()), judge(&constraints.corner(single)));
    let loss = |rows: &RowScores| direction.loss(blend_core::Score(rows.score(&*bound))).value();
    let (found, rows) =
        settle(found, &judge, &loss, &[(constraints.equal(), &equal_rows), (constraints.corner(single), &single_rows)]);
    let post = fitted_step(&*bound, &pool(&found.weights), set).into_iter().collect();
    effort += objective.effort();
    let search_seconds = started.elapsed().as_secs_f64();

    let honest_started = Instant::now();
    let mut stop = found.stop;
    let run = if options.honest && stop != Stop::Interrupted {
        let inner = Task { start: None, watch: Watch { deadline: None, ..watch }, ..task };
        let certified = matches!(stop, Stop::Certified { .. }).then_some(found.weights.as_slice());
        Some(nested::run(problem, &*bound, &inner, &Before { solver, sample: sample.as_ref(), certified })?)
    } else {
        None
    };
    if run.as_ref().is_some_and(|run| run.interrupted) {
        stop = Stop::Interrupted;
    }
    let run = run.filter(|run| !run.interrupted);
    let (mut over_equal, mut over_single) = (None, None);
    if let Some(run) = &run {
        let gains = bootstrap::gains(
            &*bound,
            &run.rows,
            &[&equal_rows, &single_rows],
            &units(problem, set),
            options.replicates,
            options.seed,
        );
        (over_equal, over_single) = (gains.first().copied(), gains.get(1).copied());
    }
    Ok(Outcome {
        score: rows.score(&*bound),
        equal_weights: equal_rows.score(&*bound),
        single_best: (members[single].model().clone(), scores[single]),
        members: scores,
        weights: Weights::new(problem.domain, found.weights)?,
        post,
        solver,
        gain_over_equal: over_equal,
        gain_over_single: over_single,
        stop,
        gap: found.gap,
        effort,
        honest_effort: run.as_ref().map_or_else(Effort::default, |run| run.effort),
        nested: run.map(|run| run.nested),
        search_seconds,
        honest_seconds: honest_started.elapsed().as_secs_f64(),
    })
}

/// Whether members, space, metric and labels fit each other.
fn check(problem: &Problem<'_>, bound: &dyn Bound) -> Result<(), SearchError> {
    let (space, metric) = (problem.space.get().info(), problem.metric.info());
    for member in problem.members.members() {
        let kind: OutputKind = member.encoding().kind;
        if !metric.predictions.contains(&kind.as_probability()) {
            return Err(SearchError::Kind { metric: metric.name, model: member.model().clone(), kind: kind.name() });
        }
        if !space.accepts.contains(&kind) {
            return Err(SearchError::Space { space: space.name, model: member.model().clone(), kind: kind.name() });
        }
    }
    let (got, wanted) = (problem.members.columns().len(), bound.n_outputs());
    if got == wanted { Ok(()) } else { Err(SearchError::Outputs { got, wanted }) }
}

/// Keeps the solver's word only as far as the written blend bears it out: a baseline that scores better replaces the
/// answer, and a certificate needs the written loss to be the certified one.
fn settle(
    mut found: Found,
    judge: &dyn Fn(&[f64]) -> RowScores,
    loss: &dyn Fn(&RowScores) -> f64,
    baselines: &[(Vec<f64>, &RowScores)],
) -> (Found, RowScores) {
    let mut rows = judge(&found.weights);
    let mut written = loss(&rows);
    let slack = found.gap.unwrap_or(0.0).max(1e-10 * written.abs().max(1.0));
    if matches!(found.stop, Stop::Certified { .. }) && (written - found.loss).abs() > slack {
        // What is certified is another loss than the written one.
        (found.stop, found.gap) = (Stop::Converged, None);
    }
    for (weights, baseline) in baselines {
        let other = loss(baseline);
        let tie = if matches!(found.stop, Stop::Certified { .. }) { slack } else { 0.0 };
        if other < written - tie {
            (found.weights, found.loss, found.stop, found.gap) =
                (weights.clone(), other, fallen_back(found.stop), None);
            (written, rows) = (other, (*baseline).clone());
        }
    }
    (found, rows)
}

/// Every member's own score, with cuts of its own where the metric has them.
fn judge_members(problem: &Problem<'_>, members: &[&Predictions<Oof>], bound: &dyn Bound) -> Vec<f64> {
    use rayon::prelude::*;
    let set = &problem.scope.rows;
    let score = |member: &&Predictions<Oof>| match bound.cuts() {
        Some(cuts) => cuts.best(&member.natural(set)),
        None => score_member(member, set, bound),
    };
    members.par_iter().map(score).collect()
}

/// The score of one member as it is on the rows of `set`, to which `bound` is bound.
#[must_use]
pub fn score_member(member: &Predictions<Oof>, set: &RowSet, bound: &dyn Bound) -> f64 {
    let ends: Vec<usize> = (0..set.n_blocks()).map(|block| set.offset(block) + set.block(block).len()).collect();
    blend_core::judge::score_blocks(bound, &ends, |block, out| member.read_natural(block, set.block(block), out))
}

/// The resampling unit of each row in scope: its group, or itself.
fn units(problem: &Problem<'_>, set: &RowSet) -> Vec<u32> {
    let Some(groups) = problem.groups else { return (0..set.len() as u32).collect() };
    let mut numbers: HashMap<u32, u32> = HashMap::new();
    set.iter()
        .map(|row| {
            let next = numbers.len() as u32;
            *numbers.entry(groups[row]).or_insert(next)
        })
        .collect()
}

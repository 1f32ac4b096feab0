//! One search from end to end: weights, what proves them, and honest scores beside the flattering one.

pub use crate::honest::{bootstrap::Interval, nested::Nested};
use crate::{
    calibrate::Calibrate,
    constraints::Constraints,
    drive::{Phase, Stop, Tick, Watch},
    fit::{self, Rows},
    granular::{self, Parts, PartsFound},
    honest::{
        around::{Around, Asked, around},
        bootstrap,
        nested::{self, Before},
        refit,
        row_scores::{RowScores, fitted_step},
        spread::Spread,
        without::Without,
    },
    limits::Limits,
    objective::{Effort, cv},
    sample::Sample,
    solver::{Found, SolverName, Task, fallen_back},
};
use blend_core::{
    Domain, Folds, ModelId, Oof, OutputKind, PredictionMatrix, Predictions, RowSet, Scope, Truth, Weights,
    judge::{self, Bound},
    metric::{BindError, Metric},
    pool::Pool,
    post::PostStep,
    scope::BlockRows,
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
    /// Bounds on weights and on the choice of members.
    pub limits: Limits,
    /// What is fitted after the blend.
    pub calibrate: Option<Calibrate>,
    /// Whether a number is added to every output on the scale of averaging.
    pub intercept: bool,
    /// The parts that have weights of their own; one set of weights for all where absent.
    pub parts: Option<Parts>,
    /// How strongly parts are drawn together; chosen by cross-validation where absent.
    pub lambda: Option<f64>,
    /// Longest time of nested scores; a metric of steps may need it.
    pub honest_budget: Option<Duration>,
}

impl Options {
    /// Whether a search is a solver's run and nothing more.
    fn is_plain(&self) -> bool {
        !self.limits.are_sparse() && self.calibrate.is_none()
    }
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
            limits: Limits::default(),
            calibrate: None,
            intercept: false,
            parts: None,
            lambda: None,
            honest_budget: None,
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
    /// Weights by part, where they were asked for; `weights` are then those of all parts together.
    pub parts: Option<PartsFound>,
    /// Gain over one set of weights for all, of the nested predictions.
    pub gain_over_global: Option<Interval>,
    /// What is done after the blend, fitted with it: a calibration, or the cuts of a metric of labels.
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
    /// What is added to every output, where an intercept was asked for.
    pub intercept: Option<f64>,
    /// Scores of weights chosen without the rows they are judged on.
    pub nested: Option<Nested>,
    /// Gain over equal weights, of the nested prediction where there is one.
    pub gain_over_equal: Option<Interval>,
    /// Gain over the single best, of the nested prediction where there is one.
    pub gain_over_single: Option<Interval>,
    /// How far each weight is known; `None` without nested scores.
    pub spread: Option<Vec<Spread>>,
    /// By what: `bootstrap` (a step of every replicate) or, where the loss allows none, `jackknife` (the outer parts).
    pub spread_by: Option<&'static str>,
    /// The best blend without each member; `None` for those without weight, empty where honest scores are left out.
    pub without: Vec<Option<Without>>,
    /// Why the search ended.
    pub stop: Stop,
    /// How much better any allowed weights could be at most, where that is known.
    pub gap: Option<f64>,
    /// What the search cost.
    pub effort: Effort,
    /// What nested scores cost.
    pub honest_effort: Effort,
    /// Whether the time for nested scores ran out before every part had its best weights.
    pub honest_cut: bool,
    /// Seconds of the search.
    pub search_seconds: f64,
    /// Those of them until the weights were found and, where that can be, proven; what is left judges the members and
    /// the baselines.
    pub solve_seconds: f64,
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
    /// Bounds that leave a member no weight.
    #[error("no weight of `{model}` is allowed: it would have to be at least {low} and at most {high}")]
    Crossed {
        /// The member.
        model: ModelId,
        /// The highest of its lower bounds.
        low: f64,
        /// The lowest of its upper bounds.
        high: f64,
    },
    /// Bounds that leave no sum of one.
    #[error("no weights are allowed: within their bounds they sum to between {low} and {high}, never to 1")]
    NoSum {
        /// The lowest sum.
        low: f64,
        /// The highest sum.
        high: f64,
    },
    /// A metric, space or kind of target that has no parts.
    #[error("metric {metric} in this space has no weights by part")]
    Parts {
        /// The metric.
        metric: &'static str,
    },
    /// A choice inside every outer part needs parts.
    #[error("the choice of lambda inside each outer part needs three parts or more")]
    FewParts,
    /// An intercept where it has no meaning.
    #[error(
        "an intercept goes with weights of a free sum in space linear or logit, not with domain {domain} in space {space}"
    )]
    Intercept {
        /// The domain.
        domain: &'static str,
        /// The space.
        space: &'static str,
    },
    /// Two options that do not go together.
    #[error(
        "weights by part and an intercept go together with neither limits on members nor each other, nor parts with a calibration"
    )]
    Together,
    /// A metric without a smooth form on the scale of a calibration.
    #[error("metric {metric} of these members has nothing to calibrate by")]
    Uncalibrated {
        /// The metric.
        metric: &'static str,
    },
    /// Limits that no set of members obeys.
    #[error("no set of members obeys the limits on their number, their weights and their inference time")]
    NoSet,
    /// A lowest weight beside weights below zero.
    #[error("domain {domain} allows weights below 0, a lowest weight does not")]
    SignedMinimum {
        /// The domain.
        domain: &'static str,
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
    let n = problem.members.members().len();
    let models: Vec<&ModelId> = problem.members.members().iter().map(|member| member.model()).collect();
    let mut constraints = options.limits.constraints(problem.domain, &models)?;
    let with_offset;
    let problem = if options.intercept {
        if options.parts.is_some() || options.limits.are_sparse() {
            return Err(SearchError::Together);
        }
        with_offset = offset(problem)?;
        constraints = constraints.with_offset();
        &Problem { members: &with_offset, ..*problem }
    } else {
        problem
    };
    let members: Vec<&Predictions<Oof>> = problem.members.members().iter().collect();
    if options.parts.is_some() && (options.limits.are_sparse() || options.calibrate.is_some()) {
        return Err(SearchError::Together);
    }
    if options.limits.min_weight.is_some() && constraints.low.iter().any(|low| *low < 0.0) {
        return Err(SearchError::SignedMinimum { domain: problem.domain.name() });
    }
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
    // A loss that has a preview or a sample of its own starts from that one's optimum, without a copy of rows.
    let foreseen = solver == SolverName::Newton && (objective.sampled().is_some() || objective.preview().is_some());
    let sample = if foreseen { None } else { Sample::new(problem, solver, options.seed) };
    let start = sample.as_ref().and_then(|sample| sample.start(problem, set, solver, &task, &mut effort));
    task.start = start.as_deref();
    let here = Rows { problem, set, bound: &*bound, objective: &*objective };
    let labels = nested::labels(problem);
    let mut granular = match &options.parts {
        Some(parts) => Some(granular::run(problem, &*bound, options, parts, &task, (&labels.0, labels.1))?),
        None => None,
    };
    let found = match &mut granular {
        Some(it) => {
            effort += it.effort;
            it.found.clone()
        }
        // What is written is held against the baselines below.
        None if options.is_plain() && constraints.is_plain() => solver.get().run(&task),
        None => fit::within_limits(&here, &options.limits, solver, &task, &mut effort)?,
    };
    let solve_seconds = started.elapsed().as_secs_f64();

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
    let single = crate::solver::lowest(&losses[..n]);
    let plain = Constraints::of(problem.domain, n);
    // An intercept has no part in the baselines.
    let baselines = [plain.equal(), plain.corner(single)].map(|mut weights| {
        weights.resize(members.len(), 0.0);
        weights
    });
    let [equal_rows, single_rows] = baselines.each_ref().map(|weights| judge(weights));
    let loss = |rows: &RowScores| direction.loss(blend_core::Score(rows.score(&*bound))).value();
    let allowed: Vec<(&[f64], &RowScores)> = baselines
        .iter()
        .map(Vec::as_slice)
        .zip([&equal_rows, &single_rows])
        .filter(|(weights, _)| constraints.allow(weights) && options.limits.allow(weights))
        .collect();
    let (found, mut rows) = match &granular {
        Some(it) => (found, it.rows.clone()),
        None => settle(found, &judge, &loss, &allowed),
    };
    let post = fit::after(problem, (set, &*bound), options, &found.weights, &task)?;
    if options.calibrate.is_some() && !post.is_empty() {
        rows = RowScores::of_block(&*bound, fit::blended(problem, &*bound, &found.weights, set, &post));
    }
    effort += objective.effort();
    let search_seconds = started.elapsed().as_secs_f64();

    let honest_started = Instant::now();
    let mut stop = found.stop;
    let mut honest_cut = false;
    let tick = |tick: &Tick| (control.tick)(&Tick { phase: Phase::Honest, ..tick.clone() });
    let watch = Watch { deadline: None, tick: &tick, ..watch };
    let run = if let Some(it) = &mut granular {
        it.run.take()
    } else if options.honest && stop != Stop::Interrupted {
        let inner = Task { start: None, watch, ..task };
        let certified = matches!(stop, Stop::Certified { .. }).then_some(found.weights.as_slice());
        Some(if options.is_plain() && (certified.is_some() || options.honest_budget.is_none()) {
            let (sample, time_limit) = (sample.as_ref(), options.time_limit);
            nested::run(problem, &*bound, &inner, &Before { solver, sample, certified, time_limit })?
        } else {
            let fit = |rows: (&RowSet, &dyn Bound), deadline: Option<Instant>| {
                let own = options.time_limit.map(|limit| Instant::now() + limit);
                let deadline = deadline.into_iter().chain(own).min();
                let task = Task { watch: Watch { deadline, ..watch }, ..inner };
                fit::fit(problem, rows, options, solver, &task, sample.as_ref())
            };
            let (run, cut) = refit::run(problem, &*bound, &fit, options.honest_budget)?;
            honest_cut = cut;
            run
        })
    } else {
        None
    };
    if run.as_ref().is_some_and(|run| run.interrupted) {
        stop = Stop::Interrupted;
    }
    let run = run.filter(|run| !run.interrupted);
    let (mut over_equal, mut over_single, mut over_global) = (None, None, None);
    let mut known = Around { spread: None, without: Vec::new() };
    if let Some(run) = &run {
        let unit = units(problem, set);
        let global_rows = granular.as_ref().and_then(|it| it.global_rows.as_ref());
        let by_part = |weights: &[f64]| nested::with_cuts_of_others(problem, &*bound, weights);
        let own = [by_part(&baselines[0])?, by_part(&baselines[1])?];
        let others = [own[0].as_ref().unwrap_or(&equal_rows), own[1].as_ref().unwrap_or(&single_rows)];
        let others: Vec<&RowScores> = others.into_iter().chain(global_rows).collect();
        let gains = bootstrap::gains(&*bound, &run.rows, &others, &unit, options.replicates, options.seed);
        (over_equal, over_single) = (gains.first().copied(), gains.get(1).copied());
        over_global = gains.get(2).copied();
        let most = (20_000 / members.len()).clamp(50, SPREAD_REPLICATES);
        let deadline = options.honest_budget.map(|budget| honest_started + budget);
        let task = Task { watch: Watch { deadline, ..watch }, ..task };
        let again = |constraints: &Constraints| {
            let task = Task { constraints, start: None, ..task };
            fit::within_limits(&here, &options.limits, solver, &task, &mut Effort::default()).ok()
        };
        let asked = Asked {
            replicates: options.replicates.min(most),
            seed: options.seed,
            unit: &unit,
            parts: if granular.is_some() { &[] } else { &run.nested.parts },
            // Weights by part, and a calibrated blend, have no such neighbors.
            leave_out: granular.is_none() && options.calibrate.is_none() && members.len() <= MOST_LEFT_OUT,
            again: options.limits.are_sparse().then_some(&again),
        };
        known = around(&here, solver, &task, &found, &asked);
    }
    Ok(Outcome {
        score: rows.score(&*bound),
        equal_weights: equal_rows.score(&*bound),
        single_best: (members[single].model().clone(), scores[single]),
        members: scores[..n].to_vec(),
        intercept: options.intercept.then(|| found.weights[n]),
        weights: Weights::new(problem.domain, found.weights[..n].to_vec())?,
        parts: granular.map(|it| it.parts),
        gain_over_global: over_global,
        post,
        solver,
        gain_over_equal: over_equal,
        gain_over_single: over_single,
        spread_by: known.spread.as_ref().map(|(_, by)| *by),
        spread: known.spread.map(|(spread, _)| spread),
        without: known.without,
        stop,
        gap: found.gap,
        effort,
        honest_effort: run.as_ref().map_or_else(Effort::default, |run| run.effort),
        honest_cut,
        nested: run.map(|run| run.nested),
        search_seconds,
        solve_seconds,
        honest_seconds: honest_started.elapsed().as_secs_f64(),
    })
}

/// Members up to which each is left out in turn: of more, it would cost more than the search itself.
const MOST_LEFT_OUT: usize = 200;

/// Replicates of the weights' spread: standard deviations need fewer than the ends of intervals.
const SPREAD_REPLICATES: usize = 200;

/// The members, and behind them the one whose weight is the intercept.
fn offset(problem: &Problem<'_>) -> Result<PredictionMatrix<Oof>, SearchError> {
    let refused = || SearchError::Intercept { domain: problem.domain.name(), space: problem.space.get().info().name };
    let matrix = problem.members;
    let ones = Predictions::ones(matrix.rows().clone(), matrix.columns().clone(), problem.space);
    let ones = ones.filter(|_| !problem.domain.sums_to_one()).ok_or_else(refused)?;
    PredictionMatrix::new(matrix.members().iter().cloned().chain([ones]).collect()).map_err(|_| refused())
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
    baselines: &[(&[f64], &RowScores)],
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
                (weights.to_vec(), other, fallen_back(found.stop), None);
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
    let most = BlockRows::in_cache(member.columns().len());
    let block = |block| set.block(block).pieces(most).map(move |(before, rows)| (block, before, rows));
    let pieces: Vec<(usize, usize, BlockRows<'_>)> = (0..set.n_blocks()).flat_map(block).collect();
    let end = |(block, before, rows): &(usize, usize, BlockRows<'_>)| set.offset(*block) + before + rows.len();
    let ends: Vec<usize> = pieces.iter().map(end).collect();
    judge::score_blocks(bound, &ends, |piece, out| member.read_natural(pieces[piece].0, pieces[piece].2, out))
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

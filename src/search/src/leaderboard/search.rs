//! Best LB and pooled: the objective, a solver of the shelf, and what is said of the answer.

use super::{LbError, Predicted, identity::Pair, predictor::Predictor};
use crate::{
    constraints::Constraints,
    drive::{Stop, Watch},
    objective::{Effort, Objective, cv, pooled::PooledObjective},
    search::{Control, Options, Problem, SearchError},
    solver::{self, SolverName, Task, solve},
};
use blend_core::{
    Block, Domain, Loss, ModelId, Oof, Predictions, PublicLb, Score, Weights, metric::MetricSpec, output::Encoding,
    pool::Pool, space::SpaceName,
};
use std::time::Instant;

/// What is searched.
#[derive(Clone, Copy)]
pub struct LbProblem<'a> {
    /// Members with their values on all test rows, as they would be submitted, each of shape
    /// `(n_outputs, n_test_rows)`.
    pub members: &'a [(ModelId, Block)],
    /// What the values are.
    pub encoding: Encoding,
    /// Scored files.
    pub lb: &'a PublicLb,
    /// The metric.
    pub spec: &'a MetricSpec,
    /// The scale of averaging.
    pub space: SpaceName,
    /// The allowed weights.
    pub domain: Domain,
    /// The same members out of fold, where they have such predictions.
    pub oof: Option<Problem<'a>>,
    /// What is minimised.
    pub target: Target,
}

/// What is minimised.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Target {
    /// The predicted public score.
    Lb,
    /// `(n_oof CV + kappa n_public LB) / (n_oof + kappa n_public)`.
    Pooled {
        /// What a public row is worth, in out-of-fold rows: not negative, finite.
        kappa: f64,
    },
}

/// Everything a search found. Scores are in the metric's unit.
#[derive(Debug, Clone, PartialEq)]
pub struct LbOutcome {
    /// The weights, in the members' order.
    pub weights: Weights,
    /// The solver that found them.
    pub solver: SolverName,
    /// Predicted public score of the blend, before the competition's own post steps.
    pub predicted: Predicted,
    /// Predicted public score of equal weights.
    pub equal_weights: Predicted,
    /// The member with the best predicted public score alone.
    pub single_best: (ModelId, Predicted),
    /// Predicted public score of every member alone, in the members' order.
    pub members: Vec<Predicted>,
    /// The blend's score on out-of-fold rows, where it has one.
    pub cv: Option<f64>,
    /// The pooled loss, of a pooled search.
    pub pooled: Option<f64>,
    /// Why the search ended.
    pub stop: Stop,
    /// How much better any allowed weights could be predicted to be, at most.
    pub gap: Option<f64>,
    /// What the search cost.
    pub effort: Effort,
    /// Seconds of the search.
    pub seconds: f64,
}

/// Searches.
pub fn search(problem: &LbProblem<'_>, options: &Options, control: &Control<'_>) -> Result<LbOutcome, LbError> {
    let started = Instant::now();
    let n = problem.members.len();
    let constraints = Constraints::of(problem.domain, n);
    let predictor = Predictor::of(problem, options.seed)?;
    check(problem, &predictor)?;
    let sums_to_one = problem.domain.sums_to_one();
    let bound = problem.oof.as_ref().map(|oof| oof.metric.bind(oof.truth.on(&oof.scope.rows))).transpose();
    let bound = bound.map_err(SearchError::from)?;
    let public = predictor.objective(problem);
    let objective: Box<dyn Objective + '_> = match (problem.target, &problem.oof, &bound) {
        (Target::Lb, ..) => public,
        (Target::Pooled { kappa }, Some(oof), Some(bound)) => {
            let members: Vec<&Predictions<Oof>> = oof.members.members().iter().collect();
            let cv = cv::objective(&members, &oof.scope.rows, &**bound, problem.space, sums_to_one);
            let public_rows = kappa * problem.lb.part().n_public() as f64;
            let oof_rows = oof.scope.rows.len() as f64;
            Box::new(PooledObjective::new(cv, public, public_rows / (oof_rows + public_rows)))
        }
        (Target::Pooled { .. }, ..) => {
            return Err(LbError::NoMethod {
                metric: problem.spec.name.clone(),
                why: "pooled with out-of-fold rows: there are none",
            });
        }
    };
    let solver = options.solver.unwrap_or_else(|| SolverName::suited_to(&*objective));
    let task = Task {
        objective: &*objective,
        constraints: &constraints,
        start: None,
        seed: options.seed,
        tolerance: options.tolerance,
        max_picks: options.max_picks,
        watch: Watch {
            interrupted: control.interrupted,
            deadline: options.time_limit.map(|limit| started + limit),
            tick: control.tick,
        },
    };
    if let Err(why) = solver.get().fits(&task) {
        return Err(SearchError::Unfit { solver: solver.name(), why }.into());
    }
    let own = match (problem.target, options.solver, problem.domain) {
        (Target::Lb, None, Domain::Simplex) => predictor.solve(&task),
        _ => None,
    };
    let (solver, mut found) = match own {
        Some(found) => (SolverName::Quadratic, found),
        None => (solver, solve(solver, &task)),
    };
    let effort = objective.effort();

    let mut queries = vec![found.weights.clone(), constraints.equal()];
    queries.extend((0..n).map(|k| constraints.corner(k)));
    let mut predicted = predictor.predict(problem, &queries, options.seed);
    let members = predicted.split_off(2);
    let (blend, equal) = (predicted[0], predicted[1]);
    // A certificate is one of what was minimised: of a predicted score it has to be that very number.
    if let (Target::Lb, Stop::Certified { gap }) = (problem.target, found.stop) {
        let loss = predictor.direction().loss(Score(blend.score)).value();
        if (loss - found.loss - predictor.shift()).abs() > gap.max(1e-9 * loss.abs()) {
            (found.stop, found.gap) = (Stop::Converged, None);
        }
    }
    let losses: Vec<f64> = members.iter().map(|it| predictor.direction().loss(Score(it.score)).value()).collect();
    let single = solver::lowest(&losses);
    Ok(LbOutcome {
        predicted: blend,
        equal_weights: equal,
        single_best: (problem.members[single].0.clone(), members[single]),
        members,
        cv: problem.oof.as_ref().zip(bound.as_ref()).map(|(oof, bound)| {
            let weighted: Vec<_> = oof.members.members().iter().zip(found.weights.iter().copied()).collect();
            let pool = Pool::new(&weighted, problem.space, bound.preparation());
            blend_core::judge::score(&**bound, &pool.whole(&oof.scope.rows))
        }),
        pooled: matches!(problem.target, Target::Pooled { .. })
            .then(|| predictor.direction().score(Loss::new(found.loss)).0),
        weights: Weights::new(problem.domain, found.weights).map_err(SearchError::from)?,
        solver,
        stop: found.stop,
        gap: found.gap,
        effort,
        seconds: started.elapsed().as_secs_f64(),
    })
}

/// Predicted public scores of blends of the members, each with the `weights` of one blend in the members' order.
pub fn predict(problem: &LbProblem<'_>, weights: &[Vec<f64>], seed: u64) -> Result<Vec<Predicted>, LbError> {
    Ok(Predictor::of(problem, seed)?.predict(problem, weights, seed))
}

/// The space in which a metric's public scores follow from each other; `None` where there is none.
#[must_use]
pub fn canonical_space(spec: &MetricSpec) -> Option<SpaceName> {
    Pair::of(spec).map(|pair| pair.space)
}

fn check(problem: &LbProblem<'_>, predictor: &Predictor<'_>) -> Result<(), LbError> {
    let (space, kind) = (problem.space.get().info(), problem.encoding.kind);
    if !space.accepts.contains(&kind) {
        let model = problem.members[0].0.clone();
        return Err(SearchError::Space { space: space.name, model, kind: kind.name() }.into());
    }
    let Some(board) = predictor.board().filter(|board| board.sums_to_one()) else { return Ok(()) };
    if !problem.domain.sums_to_one() {
        return Err(LbError::Domain { metric: problem.spec.name.clone(), domain: problem.domain.name() });
    }
    if problem.space != board.space() {
        let why = "public scores of squared errors and divergences follow in their own space only";
        return Err(SearchError::Unfit { solver: "lb", why }.into());
    }
    Ok(())
}

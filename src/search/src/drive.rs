//! The one place that starts an argmin executor: budget, interruption, progress and the reason a search stopped.

use crate::{constraints::Constraints, objective::Objective};
use argmin::core::{
    CostFunction, Error, Executor, IterState, KV, Problem, Solver, TerminationReason, TerminationStatus,
};
use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::Instant,
};

/// argmin's state of a search over weights.
pub type State = IterState<Vec<f64>, (), (), (), (), f64>;

/// What an argmin solver here is given: the objective, and the weights that are allowed.
pub struct Seen<'a> {
    /// The loss.
    pub objective: &'a dyn Objective,
    /// The allowed weights.
    pub constraints: &'a Constraints,
}

impl CostFunction for Seen<'_> {
    type Param = Vec<f64>;
    type Output = f64;

    /// The loss of the nearest allowed weights: for solvers of argmin's own, which know no constraints.
    fn cost(&self, weights: &Vec<f64>) -> Result<f64, Error> {
        // Nelder-Mead gives up on infinity; a number that is merely bad, and whose square is finite, keeps it going.
        Ok(self.objective.value(&self.constraints.mend(weights)).min(1e150))
    }
}

/// Why a search ended.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Stop {
    /// Proven: no allowed weights have a loss lower by more than `gap`.
    Certified {
        /// The bound.
        gap: f64,
    },
    /// The solver's own test of convergence passed; nothing is proven.
    Converged,
    /// Evaluations, picks or time ran out.
    Budget,
    /// Steps no longer improved anything before the test of convergence passed.
    Stalled,
    /// The user asked to stop; the best so far is given.
    Interrupted,
}

impl Stop {
    /// The word in recipes and JSON.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Certified { .. } => "certified",
            Self::Converged => "converged",
            Self::Budget => "budget",
            Self::Stalled => "stalled",
            Self::Interrupted => "interrupted",
        }
    }
}

/// One iteration, for a live line or a trace.
#[derive(Debug, Clone, PartialEq)]
pub struct Tick {
    /// What the iteration is for.
    pub phase: Phase,
    /// The solver.
    pub solver: &'static str,
    /// Iterations so far.
    pub iteration: u64,
    /// Best loss so far.
    pub loss: f64,
    /// The gap, where the solver knows one.
    pub gap: Option<f64>,
    /// Calls of the loss so far; of a smooth one, each reads all predictions.
    pub calls: u64,
}

/// What an iteration is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// First steps of a search, on a relative of its loss: no scores of this one.
    Start,
    /// The weights.
    Search,
    /// Scores of weights chosen without the rows they are judged on.
    Honest,
}

impl Phase {
    /// The word in traces.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Search => "search",
            Self::Honest => "honest",
        }
    }
}

/// What is watched while a search runs.
#[derive(Clone, Copy)]
pub struct Watch<'a> {
    /// Set by a signal handler: stop at the next iteration.
    pub interrupted: &'a AtomicBool,
    /// Stop at this time.
    pub deadline: Option<Instant>,
    /// Called after every iteration.
    pub tick: &'a (dyn Fn(&Tick) + Sync),
}

impl Watch<'_> {
    /// Why the search must end now, if it must.
    #[must_use]
    pub fn cut(&self) -> Option<Stop> {
        if self.interrupted.load(Ordering::Relaxed) {
            Some(Stop::Interrupted)
        } else {
            self.deadline.is_some_and(|deadline| Instant::now() >= deadline).then_some(Stop::Budget)
        }
    }
}

impl<'a> Watch<'a> {
    /// The same, told to `tick`.
    pub(crate) fn with_tick<'b>(self, tick: &'b (dyn Fn(&Tick) + Sync)) -> Watch<'b>
    where
        'a: 'b,
    {
        Watch { tick, ..self }
    }
}

/// A tick of first steps: a search's own become those of [`Phase::Start`].
pub(crate) fn starting(tick: &Tick) -> Tick {
    let phase = if tick.phase == Phase::Search { Phase::Start } else { tick.phase };
    Tick { phase, ..tick.clone() }
}

/// What every solver here says of itself beside argmin's own trait.
pub trait Verdict {
    /// Its name in the catalogue.
    fn label(&self) -> &'static str;
    /// The gap at the current weights, where it knows one.
    fn gap(&self) -> Option<f64> {
        None
    }
    /// Why it ended, once it has.
    fn stop(&self) -> Option<Stop>;
}

struct Watched<'a, S> {
    solver: S,
    watch: Watch<'a>,
    cut: Option<Stop>,
    iteration: u64,
}

impl<O, S: Solver<O, State> + Verdict> Solver<O, State> for Watched<'_, S> {
    fn name(&self) -> &str {
        self.solver.name()
    }

    fn init(&mut self, problem: &mut Problem<O>, state: State) -> Result<(State, Option<KV>), Error> {
        self.solver.init(problem, state)
    }

    fn next_iter(&mut self, problem: &mut Problem<O>, state: State) -> Result<(State, Option<KV>), Error> {
        self.cut = self.watch.cut();
        if self.cut.is_some() {
            return Ok((state, None));
        }
        let (state, kv) = self.solver.next_iter(problem, state)?;
        self.iteration += 1;
        let calls = problem.counts.values().sum();
        (self.watch.tick)(&Tick {
            phase: Phase::Search,
            solver: self.solver.label(),
            iteration: self.iteration,
            loss: state.get_best_cost().min(state.get_cost()),
            gap: self.solver.gap(),
            calls,
        });
        Ok((state, kv))
    }

    fn terminate(&mut self, state: &State) -> TerminationStatus {
        if self.cut.is_some() || self.solver.stop().is_some() {
            return TerminationStatus::Terminated(TerminationReason::SolverConverged);
        }
        self.solver.terminate(state)
    }
}

/// The outcome of one executor run.
pub struct Driven<S> {
    /// The solver in its last state.
    pub solver: S,
    /// The best weights it saw.
    pub weights: Vec<f64>,
    /// Their loss as the solver computed it.
    pub loss: f64,
    /// Why it ended.
    pub stop: Stop,
}

/// Runs `solver` on `seen` from `start` (where it wants one) for at most `max_iterations`.
pub fn run<'a, S>(
    seen: Seen<'a>,
    solver: S,
    start: Option<Vec<f64>>,
    max_iterations: u64,
    watch: Watch<'_>,
) -> Driven<S>
where
    S: Solver<Seen<'a>, State> + Verdict + Clone,
{
    let fallback = start.clone().unwrap_or_else(|| seen.constraints.equal());
    execute(seen, solver, start, fallback, max_iterations, watch)
}

/// Runs `solver` on any problem.
///
/// The solvers here never fail and the objective is total, so argmin's error cannot occur; should it, the fallback is
/// returned as stalled.
pub(crate) fn execute<O, S>(
    problem: O,
    solver: S,
    start: Option<Vec<f64>>,
    fallback: Vec<f64>,
    max_iterations: u64,
    watch: Watch<'_>,
) -> Driven<S>
where
    S: Solver<O, State> + Verdict + Clone,
{
    let unchanged = solver.clone();
    let watched = Watched { solver, watch, cut: None, iteration: 0 };
    let executor = Executor::new(problem, watched)
        .configure(|state| match start {
            Some(start) => state.param(start).max_iters(max_iterations),
            None => state.max_iters(max_iterations),
        })
        .ctrlc(false)
        .timer(false);
    match executor.run() {
        Ok(mut result) => {
            let loss = result.state.get_best_cost();
            let weights = result.state.take_best_param().unwrap_or(fallback);
            let Watched { solver, cut, .. } = result.solver;
            let stop = cut.or_else(|| solver.stop()).unwrap_or(Stop::Budget);
            Driven { solver, weights, loss, stop }
        }
        Err(_) => Driven { solver: unchanged, weights: fallback, loss: f64::INFINITY, stop: Stop::Stalled },
    }
}

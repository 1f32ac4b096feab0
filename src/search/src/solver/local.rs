//! Exchange of weight between pairs of members on the true metric, in ever smaller amounts: for metrics that are steps.
//! It starts from the optimum of a smooth relative, a greedy selection and the baselines, and claims no certificate.

use super::{Found, GreedyStart, Info, SolverName, Strategy, Task, alone, lowest};
use crate::{
    constraints::Constraints,
    drive::{self, Seen, State, Stop, Tick, Verdict, Watch, starting},
    objective::Move,
    random::Random,
};
use argmin::core::{Error, KV, Problem, Solver};

pub(super) struct LocalStrategy;

/// Picks of the greedy selection that is one of the starts.
const PICKS: usize = 40;
/// Of the starts the best ones, this many.
const STARTS: usize = 3;
/// How often the best answer is shaken and searched from again.
const SHAKES: usize = 3;
/// How much weight a shake moves, and between how many pairs.
const SHAKE: (f64, usize) = (0.1, 3);

impl Strategy for LocalStrategy {
    fn info(&self) -> &'static Info {
        &Info {
            name: "local",
            does: "moves weight between pairs of members on the true metric, in halving amounts, from several starts",
            source: "pattern search: Hooke and Jeeves 1961",
            certifies: false,
        }
    }

    fn run(&self, task: &Task<'_>) -> Found {
        let mut best: Option<Found> = None;
        let mut random = Random::new(task.seed);
        let search = |best: &mut Option<Found>, start: Vec<f64>, amount: f64| {
            let found = exchange(task, start, amount);
            let cut = matches!(found.stop, Stop::Interrupted | Stop::Budget).then_some(found.stop);
            if best.as_ref().is_none_or(|best| found.loss < best.loss) {
                *best = Some(found);
            }
            if let (Some(stop), Some(best)) = (cut, best.as_mut()) {
                best.stop = stop;
            }
            cut.is_some()
        };
        let mut cut = false;
        for start in starts(task) {
            cut = cut || search(&mut best, start, AMOUNTS.0);
        }
        for _ in 0..SHAKES {
            let from = best.as_ref().map_or_else(|| task.constraints.equal(), |best| best.weights.clone());
            cut = cut || search(&mut best, shaken(task.constraints, from, &mut random), SHAKE.0);
        }
        best.unwrap_or_else(|| {
            let weights = task.constraints.equal();
            Found { loss: task.objective.value(&weights), weights, stop: Stop::Stalled, gap: None }
        })
    }
}

/// The best few of the optimum of the smooth relative, a greedy selection, the baselines and what the caller knows.
fn starts(task: &Task<'_>) -> Vec<Vec<f64>> {
    let losses = alone(task.objective);
    let mut starts = vec![task.constraints.equal(), task.constraints.corner(lowest(&losses))];
    starts.extend(task.start.map(<[f64]>::to_vec));
    starts.push(GreedyStart::weights(task, PICKS));
    if let Some(smooth) = task.objective.surrogate() {
        let solver = SolverName::suited_to(smooth);
        let tick = |tick: &Tick| (task.watch.tick)(&starting(tick));
        let watch = task.watch.with_tick(&tick);
        let task = Task { objective: smooth, tolerance: 1e-6, start: None, watch, ..*task };
        starts.push(solver.get().run(&task).weights);
    }
    let mut ranked: Vec<(f64, Vec<f64>)> =
        starts.into_iter().map(|start| (task.objective.value(&start), start)).collect();
    ranked.sort_by(|a, b| a.0.total_cmp(&b.0));
    ranked.dedup_by(|a, b| a.1 == b.1);
    ranked.into_iter().take(STARTS).map(|(_, start)| start).collect()
}

/// Weights after a few moves between members taken at random.
fn shaken(constraints: &Constraints, mut weights: Vec<f64>, random: &mut Random) -> Vec<f64> {
    for _ in 0..SHAKE.1 {
        let (from, to) = (random.below(weights.len()), random.below(weights.len()));
        if let Some(step) = allowed(constraints, &weights, Some(from), Some(to), SHAKE.0) {
            weights = step.of(&weights);
        }
    }
    weights
}

/// The move of `amount`, or of as much as the bounds leave; `None` where that is nothing.
fn allowed(
    constraints: &Constraints,
    weights: &[f64],
    from: Option<usize>,
    to: Option<usize>,
    amount: f64,
) -> Option<Move> {
    let down = from.map_or(f64::INFINITY, |i| weights[i] - constraints.low[i]);
    let up = to.map_or(f64::INFINITY, |i| constraints.high[i] - weights[i]);
    let amount = amount.min(down).min(up);
    (amount > 0.0 && from != to).then_some(Move { from, to, amount })
}

/// One search from `start`, beginning with moves of `amount`.
fn exchange(task: &Task<'_>, start: Vec<f64>, amount: f64) -> Found {
    let solver = Exchange { constraints: task.constraints.clone(), amount, watch: task.watch, stop: None };
    let seen = Seen { objective: task.objective, constraints: task.constraints };
    let driven = drive::run(seen, solver, Some(start), 2_000, task.watch);
    Found { weights: driven.weights, loss: driven.loss, stop: driven.stop, gap: None }
}

#[derive(Clone)]
struct Exchange<'w> {
    constraints: Constraints,
    amount: f64,
    /// A round takes `n^2` losses: too long to be asked only between rounds.
    watch: Watch<'w>,
    stop: Option<Stop>,
}

/// The first amount of weight that is moved, and the last.
const AMOUNTS: (f64, f64) = (0.25, 1e-4);

impl Exchange<'_> {
    /// Moves of the current amount to one member from every other; where the sum is free also up and down alone.
    fn moves(&self, weights: &[f64], to: usize) -> Vec<Move> {
        let others = (0..self.constraints.n).map(|from| (Some(from), Some(to)));
        let alone = [(None, Some(to)), (Some(to), None)].into_iter().filter(|_| !self.constraints.sums_to_one);
        others
            .chain(alone)
            .filter_map(|(from, to)| allowed(&self.constraints, weights, from, to, self.amount))
            .collect()
    }
}

impl Verdict for Exchange<'_> {
    fn label(&self) -> &'static str {
        "local"
    }

    fn stop(&self) -> Option<Stop> {
        self.stop
    }
}

impl<'a> Solver<Seen<'a>, State> for Exchange<'_> {
    fn name(&self) -> &str {
        self.label()
    }

    fn init(&mut self, problem: &mut Problem<Seen<'a>>, mut state: State) -> Result<(State, Option<KV>), Error> {
        let weights = state.take_param().unwrap_or_else(|| self.constraints.equal());
        let loss = problem.problem("value", |seen| Ok(seen.objective.value(&weights)))?;
        Ok((state.param(weights).cost(loss), None))
    }

    /// Each member in turn takes weight from the one that it helps most to take it from, as long as that helps.
    fn next_iter(&mut self, problem: &mut Problem<Seen<'a>>, mut state: State) -> Result<(State, Option<KV>), Error> {
        let mut loss = state.get_cost();
        let mut weights = state.take_param().unwrap_or_else(|| self.constraints.equal());
        let before = loss;
        for to in 0..self.constraints.n {
            let moves = self.moves(&weights, to);
            if moves.is_empty() {
                continue;
            }
            self.stop = self.watch.cut();
            if self.stop.is_some() {
                return Ok((state.param(weights).cost(loss), None));
            }
            let losses = problem.problem("moved", |seen| Ok(seen.objective.moved(&weights, &moves)))?;
            let best = lowest(&losses);
            if losses[best] < loss {
                let moved = moves[best].of(&weights);
                let exact = problem.problem("value", |seen| Ok(seen.objective.value(&moved)))?;
                if exact < loss {
                    (loss, weights) = (exact, moved);
                }
            }
        }
        if loss >= before {
            self.amount *= 0.5;
            if self.amount < AMOUNTS.1 {
                self.stop = Some(Stop::Converged);
            }
        }
        Ok((state.param(weights).cost(loss), None))
    }
}

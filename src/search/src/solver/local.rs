//! Exchange of weight between pairs of members on the true metric, in ever smaller amounts: for metrics that are steps.
//! It claims no certificate.

use super::{Found, GreedyStart, Info, Strategy, Task, alone, lowest};
use crate::{
    constraints::Constraints,
    drive::{self, Seen, State, Stop, Verdict, Watch},
};
use argmin::core::{Error, KV, Problem, Solver};

pub(super) struct LocalStrategy;

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
        let losses = alone(task.objective);
        let mut starts = vec![task.constraints.equal(), task.constraints.corner(lowest(&losses))];
        starts.extend(task.start.map(<[f64]>::to_vec));
        starts.push(GreedyStart::weights(task, 20));
        let mut best: Option<Found> = None;
        for start in starts {
            let solver =
                Exchange { constraints: task.constraints.clone(), amount: AMOUNTS.0, watch: task.watch, stop: None };
            let seen = Seen { objective: task.objective, constraints: task.constraints };
            let driven = drive::run(seen, solver, Some(start), 2_000, task.watch);
            let found = Found { weights: driven.weights, loss: driven.loss, stop: driven.stop, gap: None };
            let cut = matches!(found.stop, Stop::Interrupted | Stop::Budget);
            if best.as_ref().is_none_or(|best| found.loss < best.loss) {
                best = Some(found);
            }
            if let (true, Some(best)) = (cut, best.as_mut()) {
                best.stop = driven.stop;
                break;
            }
        }
        best.unwrap_or_else(|| {
            let weights = task.constraints.equal();
            Found { loss: task.objective.value(&weights), weights, stop: Stop::Stalled, gap: None }
        })
    }
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
    /// All moves of the current amount: from one member to another, and where the sum is free also up and down alone.
    fn moves(&self) -> Vec<(Option<usize>, Option<usize>)> {
        let n = self.constraints.n;
        let pairs =
            (0..n).flat_map(|to| (0..n).filter(move |&from| from != to).map(move |from| (Some(from), Some(to))));
        let mut moves: Vec<_> = pairs.collect();
        if !self.constraints.sums_to_one {
            moves.extend((0..n).flat_map(|i| [(None, Some(i)), (Some(i), None)]));
        }
        moves
    }

    fn apply(&self, weights: &[f64], (from, to): (Option<usize>, Option<usize>)) -> Option<Vec<f64>> {
        let down = from.map_or(f64::INFINITY, |i| weights[i] - self.constraints.low[i]);
        let up = to.map_or(f64::INFINITY, |i| self.constraints.high[i] - weights[i]);
        let amount = self.amount.min(down).min(up);
        if amount <= 0.0 {
            return None;
        }
        let mut moved = weights.to_vec();
        if let Some(from) = from {
            moved[from] -= amount;
        }
        if let Some(to) = to {
            moved[to] += amount;
        }
        Some(moved)
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

    fn next_iter(&mut self, problem: &mut Problem<Seen<'a>>, mut state: State) -> Result<(State, Option<KV>), Error> {
        let mut loss = state.get_cost();
        let mut weights = state.take_param().unwrap_or_else(|| self.constraints.equal());
        let before = loss;
        for step in self.moves() {
            let Some(moved) = self.apply(&weights, step) else { continue };
            self.stop = self.watch.cut();
            if self.stop.is_some() {
                return Ok((state.param(weights).cost(loss), None));
            }
            let candidate = problem.problem("value", |seen| Ok(seen.objective.value(&moved)))?;
            if candidate < loss {
                (loss, weights) = (candidate, moved);
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

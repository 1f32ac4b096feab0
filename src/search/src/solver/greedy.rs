//! Caruana's selection with replacement: start from the best member, add again and again the member that helps most,
//! keep the best prefix. Sparse, monotone up to its end, and the field's standard.

use super::{Found, Info, Strategy, Task, alone, lowest};
use crate::{
    constraints::Constraints,
    drive::{self, Seen, State, Stop, Verdict},
};
use argmin::core::{Error, KV, Problem, Solver};

pub(super) struct GreedyStrategy;

impl Strategy for GreedyStrategy {
    fn info(&self) -> &'static Info {
        &Info {
            name: "greedy",
            does: "selection with replacement from the best member on, ties to the first, best prefix kept",
            source: "Caruana et al., ICML 2004",
            certifies: false,
        }
    }

    fn fits(&self, task: &Task<'_>) -> Result<(), &'static str> {
        if task.constraints.is_plain() { Ok(()) } else { Err("its picks know no bounds (try `newton` or `local`)") }
    }

    fn run(&self, task: &Task<'_>) -> Found {
        let solver = Greedy {
            constraints: task.constraints.clone(),
            picks: vec![0; task.constraints.n],
            n_picks: 0,
            max_picks: task.max_picks.max(1),
            reach: Vec::new(),
            stop: None,
        };
        let seen = Seen { objective: task.objective, constraints: task.constraints };
        let driven = drive::run(seen, solver, None, task.max_picks as u64 + 1, task.watch);
        // Rounding along the way can break ties of a metric of ranks: the weights' own loss counts.
        let loss = task.objective.value(&driven.weights);
        Found { weights: driven.weights, loss, stop: driven.stop, gap: None }
    }
}

#[derive(Clone)]
struct Greedy {
    constraints: Constraints,
    picks: Vec<u32>,
    n_picks: usize,
    max_picks: usize,
    /// What the loss remembers from pick to pick.
    reach: Vec<f64>,
    stop: Option<Stop>,
}

impl Greedy {
    fn weights(&self) -> Vec<f64> {
        self.picks.iter().map(|&picks| f64::from(picks) / self.n_picks as f64).collect()
    }

    fn pick(&mut self, (best, loss): (usize, f64)) -> (Vec<f64>, f64) {
        self.picks[best] += 1;
        self.n_picks += 1;
        if self.n_picks >= self.max_picks {
            // All picks were asked for and made: the end of the method, not of a budget.
            self.stop = Some(Stop::Converged);
        }
        (self.weights(), loss)
    }
}

impl Verdict for Greedy {
    fn label(&self) -> &'static str {
        "greedy"
    }

    fn stop(&self) -> Option<Stop> {
        self.stop
    }
}

impl<'a> Solver<Seen<'a>, State> for Greedy {
    fn name(&self) -> &str {
        self.label()
    }

    fn init(&mut self, problem: &mut Problem<Seen<'a>>, state: State) -> Result<(State, Option<KV>), Error> {
        let losses = problem.problem("toward", |seen| Ok(alone(seen.objective)))?;
        let best = lowest(&losses);
        let (weights, loss) = self.pick((best, losses[best]));
        Ok((state.param(weights).cost(loss), None))
    }

    fn next_iter(&mut self, problem: &mut Problem<Seen<'a>>, state: State) -> Result<(State, Option<KV>), Error> {
        let weights = self.weights();
        let step = 1.0 / (self.n_picks + 1) as f64;
        let reach = &mut self.reach;
        let best = problem.problem("pick", |seen| Ok(seen.objective.pick(&weights, step, reach)))?;
        let (weights, loss) = self.pick(best);
        debug_assert_eq!(weights.len(), self.constraints.n);
        Ok((state.param(weights).cost(loss), None))
    }
}

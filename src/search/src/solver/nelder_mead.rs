//! argmin's Nelder-Mead simplex on weights that are mended before they are judged: for comparison and odd metrics.

use super::{Found, Info, Strategy, Task};
use crate::drive::{self, Seen, State, Stop, Verdict};
use argmin::{
    core::{Error, KV, Problem, Solver, TerminationStatus},
    solver::neldermead::NelderMead,
};

pub(super) struct NelderMeadStrategy;

impl Strategy for NelderMeadStrategy {
    fn info(&self) -> &'static Info {
        &Info {
            name: "nelder_mead",
            does: "argmin's simplex of K + 1 points; no derivatives, no proof",
            source: "Nelder and Mead 1965",
            certifies: false,
        }
    }

    fn run(&self, task: &Task<'_>) -> Found {
        let n = task.constraints.n;
        let center = task.start.map_or_else(|| task.constraints.equal(), <[f64]>::to_vec);
        // Half way to every corner; where the sum is free each weight moves alone, or the simplex would be flat.
        let keep = if task.constraints.sums_to_one { 0.5 } else { 1.0 };
        let corners = (0..n).map(|member| {
            let shift = if !task.constraints.sums_to_one && center[member] > 0.5 { -0.5 } else { 0.5 };
            center.iter().enumerate().map(|(i, w)| keep * w + if i == member { shift } else { 0.0 }).collect()
        });
        let points: Vec<Vec<f64>> = std::iter::once(center.clone()).chain(corners).collect();
        // The standard deviation must be positive; with this one the simplex ends when its values agree to 1e-12.
        let Ok(inner) = NelderMead::new(points).with_sd_tolerance(1e-12) else {
            let loss = task.objective.value(&center);
            return Found { weights: center, loss, stop: Stop::Stalled, gap: None };
        };
        let seen = Seen { objective: task.objective, constraints: task.constraints };
        let driven = drive::run(seen, Simplex { inner, ended: false }, None, 200 * n as u64 + 200, task.watch);
        let weights = task.constraints.mend(&driven.weights);
        Found { loss: task.objective.value(&weights), weights, stop: driven.stop, gap: None }
    }
}

#[derive(Clone)]
struct Simplex {
    inner: NelderMead<Vec<f64>, f64>,
    ended: bool,
}

impl Verdict for Simplex {
    fn label(&self) -> &'static str {
        "nelder_mead"
    }

    fn stop(&self) -> Option<Stop> {
        self.ended.then_some(Stop::Converged)
    }
}

impl<'a> Solver<Seen<'a>, State> for Simplex {
    fn name(&self) -> &str {
        self.label()
    }

    fn init(&mut self, problem: &mut Problem<Seen<'a>>, state: State) -> Result<(State, Option<KV>), Error> {
        self.inner.init(problem, state)
    }

    fn next_iter(&mut self, problem: &mut Problem<Seen<'a>>, state: State) -> Result<(State, Option<KV>), Error> {
        self.inner.next_iter(problem, state)
    }

    fn terminate(&mut self, state: &State) -> TerminationStatus {
        let status = Solver::<Seen<'a>, State>::terminate(&mut self.inner, state);
        self.ended = status.terminated();
        status
    }
}

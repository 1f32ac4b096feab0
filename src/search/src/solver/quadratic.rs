//! Squared errors: the exact optimum of a quadratic form over the domain, with its own gap.

use super::{Found, Info, Strategy, Task};
use crate::{
    constraints::Constraints,
    drive::{self, Seen, State, Stop, Verdict},
    objective::Quadratic,
    quadratic_program,
};
use argmin::core::{Error, KV, Problem, Solver};

pub(super) struct QuadraticStrategy;

impl Strategy for QuadraticStrategy {
    fn info(&self) -> &'static Info {
        &Info {
            name: "quadratic",
            does: "the exact optimum of squared errors from their Gram matrix, proven in every domain",
            source: "Nocedal and Wright, Numerical Optimization, 16.5 (active set)",
            certifies: true,
        }
    }

    fn fits(&self, task: &Task<'_>) -> Result<(), &'static str> {
        if task.objective.quadratic().is_some() {
            return Ok(());
        }
        Err("it needs squared errors under one common square root (mse, rmse, r2); try `newton`")
    }

    fn run(&self, task: &Task<'_>) -> Found {
        let start = task.start.map_or_else(|| task.constraints.equal(), <[f64]>::to_vec);
        let Some(form) = task.objective.quadratic() else {
            let loss = task.objective.value(&start);
            return Found { weights: start, loss, stop: Stop::Stalled, gap: None };
        };
        let solver = ActiveSet {
            hessian: form.gram.iter().map(|g| 2.0 * g).collect(),
            form,
            constraints: task.constraints.clone(),
            tolerance: task.tolerance,
            gap: f64::INFINITY,
            idle: 0,
            stop: None,
        };
        let seen = Seen { objective: task.objective, constraints: task.constraints };
        let driven = drive::run(seen, solver, Some(start), 100, task.watch);
        let gap = driven.solver.gap;
        Found { weights: driven.weights, loss: driven.loss, stop: driven.stop, gap: Some(gap) }
    }
}

/// The active-set solution, repeated from its own answer until rounding (and the ridge that keeps a singular form
/// solvable) no longer shows in the gap.
#[derive(Clone)]
struct ActiveSet {
    form: Quadratic,
    hessian: Vec<f64>,
    constraints: Constraints,
    tolerance: f64,
    gap: f64,
    idle: u32,
    stop: Option<Stop>,
}

impl ActiveSet {
    fn measure(&self, weights: &[f64]) -> f64 {
        let gradient = self.form.gradient(weights);
        let gap = if self.constraints.is_compact() {
            self.constraints.gap(weights, &gradient)
        } else {
            quadratic_program::dual_gap(weights, &gradient, &self.hessian, &self.constraints)
        };
        self.form.loss_gap(weights, gap)
    }
}

impl Verdict for ActiveSet {
    fn label(&self) -> &'static str {
        "quadratic"
    }

    fn gap(&self) -> Option<f64> {
        self.gap.is_finite().then_some(self.gap)
    }

    fn stop(&self) -> Option<Stop> {
        self.stop
    }
}

impl<'a> Solver<Seen<'a>, State> for ActiveSet {
    fn name(&self) -> &str {
        self.label()
    }

    fn init(&mut self, problem: &mut Problem<Seen<'a>>, mut state: State) -> Result<(State, Option<KV>), Error> {
        let weights = state.take_param().unwrap_or_else(|| self.constraints.equal());
        let value = problem.problem("value", |seen| Ok(seen.objective.value(&weights)))?;
        Ok((state.param(weights).cost(value), None))
    }

    fn next_iter(&mut self, problem: &mut Problem<Seen<'a>>, mut state: State) -> Result<(State, Option<KV>), Error> {
        let weights = state.take_param().unwrap_or_else(|| self.constraints.equal());
        let gradient = self.form.gradient(&weights);
        let moved = quadratic_program::solve(&weights, &gradient, &self.hessian, &self.constraints);
        let value = problem.problem("value", |seen| Ok(seen.objective.value(&moved)))?;
        let gap = self.measure(&moved);
        self.idle = if gap < 0.5 * self.gap { 0 } else { self.idle + 1 };
        self.gap = self.gap.min(gap);
        let scale = value.abs().max(1.0);
        if gap <= self.tolerance * scale || (self.idle >= 3 && self.gap <= 1e-9 * scale) {
            self.gap = gap;
            self.stop = Some(Stop::Certified { gap });
        } else if self.idle >= 3 {
            self.stop = Some(Stop::Stalled);
        }
        Ok((state.param(moved).cost(value), None))
    }
}

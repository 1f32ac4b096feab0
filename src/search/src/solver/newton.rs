//! Sequential quadratic steps on the domain, with the gap that proves the answer.
//!
//! One pass over the data gives value, gradient and Hessian; the K x K program of the model gives the step; the gap
//! `max_v gradient . (w - v)` ends it. Log losses are self-concordant and need 5 to 9 passes from anywhere, 2 or 3 from
//! the optimum of a sample (mixsqp: Kim, Carbonetto, Stephens and Anitescu, JCGS 2020).

use super::{Found, Info, Strategy, Task};
use crate::{
    constraints::Constraints,
    drive::{self, Driven, Seen, State, Stop, Verdict},
    objective::{Curve, Objective},
    quadratic_program,
};
use argmin::core::{Error, KV, Problem, Solver};
use blend_core::num;

pub(super) struct NewtonStrategy;

impl Strategy for NewtonStrategy {
    fn info(&self) -> &'static Info {
        &Info {
            name: "newton",
            does: "sequential quadratic steps; proves the optimum of convex losses on bounded domains",
            source: "Kim et al., JCGS 2020 (mixsqp); Jaggi, ICML 2013 (the gap)",
            certifies: true,
        }
    }

    fn fits(&self, task: &Task<'_>) -> Result<(), &'static str> {
        let start = task.constraints.equal();
        if task.objective.smoothed(1.0).is_some() || task.objective.slope(&start).is_some() {
            return Ok(());
        }
        Err("it needs a loss with derivatives; this one is a step function (try `local` or `greedy`)")
    }

    fn run(&self, task: &Task<'_>) -> Found {
        let start = task.start.map_or_else(|| task.constraints.equal(), <[f64]>::to_vec);
        if task.objective.smoothed(1.0).is_some() {
            return through_kinks(task, start);
        }
        descend(task, task.objective, start)
    }
}

/// One descent from `start`.
pub(super) fn descend(task: &Task<'_>, objective: &dyn Objective, start: Vec<f64>) -> Found {
    descend_to(task, objective, start, task.tolerance)
}

fn descend_to(task: &Task<'_>, objective: &dyn Objective, start: Vec<f64>, tolerance: f64) -> Found {
    let newton = Newton::new(task.constraints.clone(), objective.is_convex(), tolerance);
    let seen = Seen { objective, constraints: task.constraints };
    let Driven { solver, weights, loss, stop } = drive::run(seen, newton, Some(start), 300, task.watch);
    let gap = solver.convex.then_some(solver.gap).filter(|gap| gap.is_finite());
    Found { weights, loss, stop, gap }
}

/// A loss with kinks: ever sharper smooth relatives, each from the last one's optimum. A smooth relative lies above the
/// loss by at most its width, so its own gap plus that width bounds the loss's.
fn through_kinks(task: &Task<'_>, start: Vec<f64>) -> Found {
    let mut weights = start;
    let mut best =
        Found { loss: task.objective.value(&weights), weights: weights.clone(), stop: Stop::Stalled, gap: None };
    for exponent in 1..=7 {
        let Some(smooth) = task.objective.smoothed(10.0_f64.powi(-exponent)) else { break };
        let found = descend_to(task, &*smooth, weights, (smooth.smoothing() * 0.1).max(task.tolerance));
        weights = found.weights;
        let loss = task.objective.value(&weights);
        let gap = found.gap.map(|gap| gap + smooth.smoothing() + (loss - found.loss).max(0.0));
        let lower = loss < best.loss;
        if lower || gap.is_some_and(|gap| best.gap.is_none_or(|known| gap < known)) {
            let weights = if lower { weights.clone() } else { best.weights };
            best = Found { weights, loss: loss.min(best.loss), stop: Stop::Converged, gap };
        }
        if matches!(found.stop, Stop::Interrupted | Stop::Budget) {
            best.stop = found.stop;
            break;
        }
    }
    best
}

/// The argmin solver.
#[derive(Clone)]
pub(super) struct Newton {
    constraints: Constraints,
    convex: bool,
    tolerance: f64,
    at: Option<Curve>,
    gap: f64,
    without_progress: u32,
    stop: Option<Stop>,
}

/// A gap below this, relative to the loss's size, is called a certificate.
const CERTIFIED_GAP: f64 = 1e-9;

impl Newton {
    fn new(constraints: Constraints, convex: bool, tolerance: f64) -> Self {
        Self { constraints, convex, tolerance, at: None, gap: f64::INFINITY, without_progress: 0, stop: None }
    }

    /// What to say when no step improves anything any more.
    fn end(&self, value: f64, decrease: f64) -> Stop {
        if self.convex && self.gap <= CERTIFIED_GAP * value.abs().max(1.0) {
            Stop::Certified { gap: self.gap }
        } else if decrease <= 1e-10 * value.abs().max(1e-300) {
            Stop::Converged
        } else {
            Stop::Stalled
        }
    }

    fn measure(&mut self, weights: &[f64], curve: &Curve) {
        self.gap = self.constraints.gap(weights, &curve.gradient);
        if self.convex && self.gap <= self.tolerance * curve.value.abs().max(1.0) {
            self.stop = Some(Stop::Certified { gap: self.gap });
        }
    }
}

impl Verdict for Newton {
    fn label(&self) -> &'static str {
        "newton"
    }

    fn gap(&self) -> Option<f64> {
        (self.convex && self.gap.is_finite()).then_some(self.gap)
    }

    fn stop(&self) -> Option<Stop> {
        self.stop
    }
}

impl<'a> Solver<Seen<'a>, State> for Newton {
    fn name(&self) -> &str {
        self.label()
    }

    fn init(&mut self, problem: &mut Problem<Seen<'a>>, mut state: State) -> Result<(State, Option<KV>), Error> {
        let weights = state.take_param().unwrap_or_else(|| self.constraints.equal());
        let curve = problem.problem("curve", |seen| Ok(seen.objective.curve(&weights)))?;
        let Some(curve) = curve else {
            self.stop = Some(Stop::Stalled);
            return Ok((state.param(weights).cost(f64::INFINITY), None));
        };
        self.measure(&weights, &curve);
        let value = curve.value;
        self.at = Some(curve);
        Ok((state.param(weights).cost(value), None))
    }

    fn next_iter(&mut self, problem: &mut Problem<Seen<'a>>, mut state: State) -> Result<(State, Option<KV>), Error> {
        let (Some(weights), Some(curve)) = (state.take_param(), self.at.take()) else {
            self.stop = Some(Stop::Stalled);
            return Ok((state, None));
        };
        let target = quadratic_program::solve(&weights, &curve.gradient, &curve.hessian, &self.constraints);
        let direction: Vec<f64> = target.iter().zip(&weights).map(|(to, from)| to - from).collect();
        let slope = num::dot(&curve.gradient, &direction);
        let n = weights.len();
        let bend: f64 = (0..n).map(|i| direction[i] * num::dot(&curve.hessian[i * n..(i + 1) * n], &direction)).sum();
        let decrease = -(slope + 0.5 * bend);
        // Close to the end the Hessian no longer changes: the last passes take the gradient only.
        let keep_hessian = self.convex && decrease < 1e-6 * curve.value.abs();
        let mut length = 1.0;
        for _ in 0..40 {
            let moved: Vec<f64> = if length == 1.0 {
                target.clone()
            } else {
                weights.iter().zip(&direction).map(|(w, d)| w + length * d).collect()
            };
            let next = problem.problem("curve", |seen| {
                Ok(if keep_hessian {
                    let slope = seen.objective.slope(&moved);
                    slope.map(|s| Curve { value: s.value, gradient: s.gradient, hessian: curve.hessian.clone() })
                } else {
                    seen.objective.curve(&moved)
                })
            })?;
            let Some(next) = next else { break };
            // Rounding of a mean: differences below this say nothing.
            let noise = 4e-16 * curve.value.abs();
            if next.value <= curve.value + 1e-4 * length * slope + noise {
                let (before, value) = (self.gap, next.value);
                self.measure(&moved, &next);
                let progress = value < curve.value - noise || self.gap < 0.5 * before;
                self.without_progress = if progress { 0 } else { self.without_progress + 1 };
                let settled = !self.convex && decrease <= 1e-13 * value.abs();
                if self.stop.is_none() && (self.without_progress >= 3 || settled) {
                    self.stop = Some(self.end(value, decrease));
                }
                self.at = Some(next);
                return Ok((state.param(moved).cost(value), None));
            }
            length *= 0.5;
        }
        self.stop = Some(self.end(curve.value, decrease));
        let value = curve.value;
        self.at = Some(curve);
        Ok((state.param(weights).cost(value), None))
    }
}

//! Sequential quadratic steps on the domain, with the gap that proves the answer.
//!
//! One pass over the data gives value, gradient and Hessian; the K x K program of the model gives the step; the gap
//! `max_v gradient . (w - v)` ends it. Log losses are self-concordant and need 5 to 9 passes from anywhere, 2 or 3 from
//! the optimum of a sample (mixsqp: Kim, Carbonetto, Stephens and Anitescu, JCGS 2020).

pub(super) mod faces;
pub(super) mod walls;

use super::{Found, Info, Strategy, Task};
use crate::{
    constraints::Constraints,
    drive::{self, Driven, Seen, State, Stop, Tick, Verdict},
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
        if task.objective.smoothed(1.0).is_some() || task.objective.is_smooth() {
            return Ok(());
        }
        Err("it needs a loss with derivatives; this one is a step function (try `local` or `greedy`)")
    }

    fn run(&self, task: &Task<'_>) -> Found {
        let start = task.start.map(<[f64]>::to_vec).or_else(|| foreseen(task));
        descend(task, start.unwrap_or_else(|| first(task, task.objective)))
    }
}

/// The optimum of the loss's preview, or of its sample, where it has one.
fn foreseen(task: &Task<'_>) -> Option<Vec<f64>> {
    let (known, tolerance) = match (task.objective.preview(), task.objective.sampled()) {
        (Some(preview), _) => (preview, task.tolerance),
        (None, Some(sample)) => (sample, 1e-7),
        (None, None) => return None,
    };
    let tick = |tick: &Tick| (task.watch.tick)(&drive::starting(tick));
    let task = &Task { watch: task.watch.with_tick(&tick), ..*task };
    let found = descend_to(task, known, first(task, known), tolerance, 60);
    found.loss.is_finite().then_some(found.weights)
}

/// Where a search starts that knows nothing yet: at equal weights, of the best few where many members make steps dear.
fn first(task: &Task<'_>, objective: &dyn Objective) -> Vec<f64> {
    if !faces::suit(objective, task.constraints) {
        return task.constraints.equal();
    }
    let losses = super::alone(objective);
    let mut order: Vec<usize> = (0..losses.len()).collect();
    order.sort_by(|&a, &b| losses[a].total_cmp(&losses[b]));
    let mut weights = vec![0.0; losses.len()];
    order[..FEW].iter().for_each(|&member| weights[member] = 1.0 / FEW as f64);
    weights
}

/// Members that a search of many starts with.
const FEW: usize = 8;

/// One descent from `start`.
pub(super) fn descend(task: &Task<'_>, start: Vec<f64>) -> Found {
    if task.objective.smoothed(1.0).is_some() {
        return through_kinks(task, start);
    }
    if walls::stand(task) {
        return walls::descend(task, start);
    }
    descend_to(task, task.objective, start, task.tolerance, 300)
}

fn descend_to(task: &Task<'_>, objective: &dyn Objective, start: Vec<f64>, tolerance: f64, steps: u64) -> Found {
    if faces::suit(objective, task.constraints)
        && let Some(found) = faces::descend(task, objective, &start, tolerance)
    {
        return found;
    }
    plainly(task, objective, start, tolerance, steps)
}

/// A descent with the weights of all members at a time.
fn plainly(task: &Task<'_>, objective: &dyn Objective, start: Vec<f64>, tolerance: f64, steps: u64) -> Found {
    let newton = Newton::new(task.constraints.clone(), objective.is_convex(), tolerance);
    let seen = Seen { objective, constraints: task.constraints };
    let Driven { solver, weights, loss, stop } = drive::run(seen, newton, Some(start), steps, task.watch);
    // The steps' own limit is nobody's budget.
    let stop = if stop == Stop::Budget && task.watch.cut().is_none() { Stop::Stalled } else { stop };
    let gap = solver.convex.then_some(solver.gap).filter(|gap| gap.is_finite());
    // What is proven is proven of the last weights: others may tie with their loss within its rounding.
    let (weights, loss) = solver.measured.filter(|_| gap.is_some()).unwrap_or((weights, loss));
    Found { weights, loss, stop, gap }
}

/// A loss with kinks: ever sharper smooth relatives, each from the last one's optimum. A smooth relative lies above the
/// loss by at most its width, so its own gap plus that width bounds the loss's.
fn through_kinks(task: &Task<'_>, start: Vec<f64>) -> Found {
    let mut weights = start;
    let mut best =
        Found { loss: task.objective.value(&weights), weights: weights.clone(), stop: Stop::Stalled, gap: None };
    // Every smooth relative's gap gives a bound from below on the loss of any weights.
    let mut bound = f64::NEG_INFINITY;
    for exponent in 1..=7 {
        let Some(smooth) = task.objective.smoothed(10.0_f64.powi(-exponent)) else { break };
        let found = descend_to(task, &*smooth, weights, (smooth.smoothing() * 0.1).max(task.tolerance), 60);
        weights = found.weights;
        let loss = task.objective.value(&weights);
        if let Some(gap) = found.gap {
            bound = bound.max(found.loss - gap - smooth.smoothing());
        }
        if loss < best.loss {
            (best.loss, best.weights) = (loss, weights.clone());
        }
        best.stop = match found.stop {
            Stop::Certified { .. } => Stop::Converged,
            stop => stop,
        };
        if matches!(found.stop, Stop::Interrupted | Stop::Budget) {
            break;
        }
    }
    best.gap = bound.is_finite().then(|| (best.loss - bound).max(0.0));
    best
}

/// The argmin solver.
#[derive(Clone)]
pub(super) struct Newton {
    constraints: Constraints,
    convex: bool,
    tolerance: f64,
    at: Option<Curve>,
    /// The weights that the gap is of, and their loss.
    measured: Option<(Vec<f64>, f64)>,
    /// Whether the Hessian is that of the weights and not one of a step before.
    fresh: bool,
    gap: f64,
    without_progress: u32,
    stop: Option<Stop>,
}

/// A gap below this, relative to the loss's size, is called a certificate.
const CERTIFIED_GAP: f64 = 1e-9;

/// Rounding of a mean, relative to it: differences below this say nothing.
const NOISE: f64 = 1e-14;

/// Without a certificate a search has converged when the model promises less than this, relative to the loss.
const SETTLED: f64 = 1e-13;

impl Newton {
    fn new(constraints: Constraints, convex: bool, tolerance: f64) -> Self {
        let (gap, fresh) = (f64::INFINITY, true);
        Self { constraints, convex, tolerance, at: None, measured: None, fresh, gap, without_progress: 0, stop: None }
    }

    fn certifies(&self) -> bool {
        self.convex && self.constraints.is_compact()
    }

    /// The least decrease, relative to the loss, that is progress. A loss with valleys may have kinks at their bottoms
    /// (the angle of members that cancel each other), where steps shrink without end.
    fn least(&self) -> f64 {
        if self.convex { NOISE } else { NOISE.max(1e2 * self.tolerance) }
    }

    /// The shortest step that is tried.
    fn shortest(&self) -> f64 {
        if self.convex { 1e-12 } else { 1e-4 }
    }

    /// What to say when no step improves anything any more.
    fn end(&self, value: f64, decrease: f64) -> Stop {
        if self.certifies() && self.gap <= CERTIFIED_GAP * value.abs().max(1.0) {
            Stop::Certified { gap: self.gap }
        } else if decrease <= 1e-10 * value.abs() {
            Stop::Converged
        } else {
            Stop::Stalled
        }
    }

    fn measure(&mut self, weights: &[f64], curve: &Curve) {
        self.gap = self.constraints.gap(weights, &curve.gradient);
        self.measured = Some((weights.to_vec(), curve.value));
        if self.certifies() && self.gap <= self.tolerance * curve.value.abs().max(1.0) {
            self.stop = Some(Stop::Certified { gap: self.gap });
        }
    }

    /// One quadratic step from `weights`, shortened until it improves; `None` where it does not.
    fn step(
        &mut self,
        objective: &dyn Objective,
        weights: &[f64],
        curve: &Curve,
        target: &[f64],
        decrease: f64,
    ) -> Option<(Vec<f64>, Curve)> {
        let direction: Vec<f64> = target.iter().zip(weights).map(|(to, from)| to - from).collect();
        let slope = num::dot(&curve.gradient, &direction);
        let noise = NOISE * curve.value.abs();
        // Close to the end the Hessian no longer changes: the last passes take the gradient only.
        // Where few digits are wanted that end is near from the start.
        let near = (1e3 * self.tolerance).max(1e-6);
        // And where the Hessian is a stand-in for another one, what gradients tell of that is better from the start.
        let known = if self.convex { decrease < near * curve.value.abs() } else { true };
        let keep_hessian = known && !objective.bends_cheaply();
        // Of the way to the edge of the loss's domain nearly all: a barrier tells how near is too near.
        let room = 0.99 * objective.room(weights, target);
        let mut length = if room < 1.0 { room } else { 1.0 };
        loop {
            let moved: Vec<f64> = if length == 1.0 {
                target.to_vec()
            } else {
                weights.iter().zip(&direction).map(|(w, d)| w + length * d).collect()
            };
            let next = if keep_hessian {
                let mut next = curve.clone();
                next.follow(weights, &moved, objective.slope(&moved)?);
                next
            } else {
                objective.curve(&moved)?
            };
            if next.value <= curve.value + 1e-4 * length * slope + noise {
                // Within rounding the value cannot tell better from worse; the gap can.
                let silent = -length * slope <= 10.0 * noise;
                if silent && self.certifies() && self.constraints.gap(&moved, &next.gradient) >= self.gap {
                    return None;
                }
                self.fresh = !keep_hessian;
                return Some((moved, next));
            }
            length *= 0.5;
            if -length * slope <= noise || length < self.shortest() {
                return None;
            }
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
        let mut weights = state.take_param().unwrap_or_else(|| self.constraints.equal());
        let mut curve = problem.problem("curve", |seen| Ok(seen.objective.curve(&weights)))?;
        if curve.as_ref().is_some_and(|curve| !curve.value.is_finite()) {
            // A start from other rows may lie outside this loss's domain; equal weights never do.
            weights = self.constraints.equal();
            curve = problem.problem("curve", |seen| Ok(seen.objective.curve(&weights)))?;
        }
        let Some(curve) = curve.filter(|curve| curve.value.is_finite()) else {
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
        let n = weights.len();
        let target = quadratic_program::solve(&weights, &curve.gradient, &curve.hessian, &self.constraints);
        let direction: Vec<f64> = target.iter().zip(&weights).map(|(to, from)| to - from).collect();
        let slope = num::dot(&curve.gradient, &direction);
        let bend: f64 = (0..n).map(|i| direction[i] * num::dot(&curve.hessian[i * n..(i + 1) * n], &direction)).sum();
        let decrease = -(slope + 0.5 * bend);
        let size = curve.value.abs();
        let enough = (SETTLED * size).max(0.01 * self.tolerance * size.max(1.0));
        // A stand-in that gradients have corrected is no worse for being of a step before.
        let settled = !self.certifies() && (self.fresh || !self.convex) && decrease <= enough;
        let step = if settled {
            None
        } else {
            problem.problem("step", |seen| Ok(self.step(seen.objective, &weights, &curve, &target, decrease)))?
        };
        if let Some((moved, next)) = step {
            let (before, value) = (self.gap, next.value);
            self.measure(&moved, &next);
            let progress = value < curve.value - self.least() * curve.value.abs() || self.gap < 0.5 * before;
            self.without_progress = if progress { 0 } else { self.without_progress + 1 };
            if self.stop.is_none() && self.without_progress >= 3 {
                self.stop = Some(self.end(value, decrease));
            }
            self.at = Some(next);
            return Ok((state.param(moved).cost(value), None));
        }
        let value = curve.value;
        if self.fresh {
            self.stop = Some(if settled { Stop::Converged } else { self.end(value, decrease) });
            self.at = Some(curve);
        } else {
            // A Hessian of a step before leads no further: take the one of here before giving up.
            self.fresh = true;
            self.at = problem.problem("curve", |seen| Ok(seen.objective.curve(&weights)))?;
        }
        Ok((state.param(weights).cost(value), None))
    }
}

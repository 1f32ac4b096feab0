//! Nested searches side by side: one read of the data serves every outer part's next step.
//!
//! Where positives are rare every part starts from the optimum of its own stand-in; elsewhere all start from the optimum
//! of all rows, a step or two from each part's own, with curves from one common pass and secants after it. A part whose
//! steps stop improving before its certificate is left to a search of its own.

use crate::{
    constraints::Constraints,
    drive::{self, State, Stop, Verdict},
    objective::{Apart, Curve, Objective, Slope},
    quadratic_program,
    solver::{Found, SolverName, Task, face, solve, suit_faces},
};
use argmin::core::{Error, KV, Problem, Solver};

/// Choices of members after which parts are left to searches of their own.
const FACES: usize = 5;

/// Rounds after which a part is left to a search of its own.
const ROUNDS: u64 = 8;

/// Weights of every part; `None` for parts that could not be certified. `start` are weights near all of them: the
/// optimum of all rows, which only a loss without a preview needs, and which takes a closer tolerance to forget.
pub(super) fn search(
    apart: &Apart<'_>,
    start: &[f64],
    task: &Task<'_>,
    (cold, warm): (f64, f64),
) -> Vec<Option<Found>> {
    if suit_faces(task.objective, task.constraints) {
        return on_faces(apart, start, task, task.tolerance.max(warm));
    }
    let starts = previews(apart, task);
    let tolerance = task.tolerance.max(if starts.is_some() { cold } else { warm });
    let parts = match starts {
        Some(starts) => {
            let at: Vec<Option<Vec<f64>>> = starts.into_iter().map(Some).collect();
            let slopes = apart.slopes(&at);
            let parts = at.into_iter().flatten().zip(slopes.into_iter().flatten()).enumerate();
            let parts = parts.map(|(number, (weights, Slope { value, gradient }))| {
                let hessian = bend(apart, number, &weights).unwrap_or_default();
                Part::new(&weights, Curve { value, gradient, hessian }, task.constraints, tolerance)
            });
            parts.collect()
        }
        None => from(apart, start, task.constraints, tolerance),
    };
    side_by_side(apart, parts, task, tolerance)
}

/// All parts at `start`.
fn from(apart: &Apart<'_>, start: &[f64], constraints: &Constraints, tolerance: f64) -> Vec<Part> {
    apart.curves(start).into_iter().map(|curve| Part::new(start, curve, constraints, tolerance)).collect()
}

/// Steps of all parts until each is certified or stuck.
fn side_by_side(apart: &Apart<'_>, parts: Vec<Part>, task: &Task<'_>, tolerance: f64) -> Vec<Option<Found>> {
    let solver = Lockstep { parts, constraints: task.constraints.clone(), tolerance };
    let joined: Vec<f64> = solver.parts.iter().flat_map(|part: &Part| part.weights.iter().copied()).collect();
    let driven = drive::execute(apart, solver, Some(joined.clone()), joined, ROUNDS, task.watch);
    let interrupted = driven.stop == Stop::Interrupted;
    let found = driven.solver.parts.into_iter().map(|part| {
        let stop = match part.standing {
            Standing::Certified => Stop::Certified { gap: part.gap },
            _ if interrupted => Stop::Interrupted,
            _ => return None,
        };
        Some(Found { weights: part.weights, loss: part.curve.value, stop, gap: Some(part.gap) })
    });
    found.collect()
}

/// Of many members the few that have weight or are about to have some, in any part; then a slope of all of them says
/// whether one is missing.
fn on_faces(apart: &Apart<'_>, start: &[f64], task: &Task<'_>, tolerance: f64) -> Vec<Option<Found>> {
    let n = start.len();
    let mut at = vec![Some(start.to_vec()); apart.n_parts()];
    let mut found: Vec<Option<Found>> = vec![None; apart.n_parts()];
    let mut members: Vec<usize> = Vec::new();
    for _ in 0..FACES {
        let mut missing = false;
        for (number, slope) in apart.slopes(&at).into_iter().enumerate() {
            let (Some(weights), Some(Slope { value, gradient })) = (at[number].take(), slope) else { continue };
            let gap = task.constraints.gap(&weights, &gradient);
            if gap <= tolerance * value.abs().max(1.0) {
                let stop = Stop::Certified { gap };
                found[number] = Some(Found { weights, loss: value, stop, gap: Some(gap) });
            } else {
                members.extend(face(&weights, &gradient));
                missing = true;
            }
        }
        if !missing || task.watch.cut().is_some() {
            break;
        }
        members.sort_unstable();
        members.dedup();
        let constraints = task.constraints.select(&members);
        let few = apart.only(&members);
        let from =
            from(&few, &members.iter().map(|&member| start[member]).collect::<Vec<_>>(), &constraints, 0.5 * tolerance);
        let task = Task { constraints: &constraints, ..*task };
        for (number, few) in side_by_side(&few, from, &task, 0.5 * tolerance).into_iter().enumerate() {
            let Some(few) = few.filter(|_| found[number].is_none()) else { continue };
            let mut weights = vec![0.0; n];
            members.iter().zip(&few.weights).for_each(|(&member, weight)| weights[member] = *weight);
            at[number] = Some(weights);
        }
    }
    found
}

/// The optimum of each part's preview, which knows the other parts alone.
fn previews(apart: &Apart<'_>, task: &Task<'_>) -> Option<Vec<Vec<f64>>> {
    let optimum = |part: usize| {
        let preview = apart.preview(part)?;
        let found = solve(SolverName::Newton, &Task { objective: &preview, tolerance: 1e-9, start: None, ..*task });
        found.loss.is_finite().then_some(found.weights)
    };
    (0..apart.n_parts()).map(optimum).collect()
}

/// The Hessian of a part's preview.
fn bend(apart: &Apart<'_>, part: usize, weights: &[f64]) -> Option<Vec<f64>> {
    Some(apart.preview(part)?.curve(weights)?.hessian)
}

/// How far a part has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    Open,
    Certified,
    /// Its last step did not improve it.
    Stuck,
}

#[derive(Debug, Clone)]
struct Part {
    weights: Vec<f64>,
    curve: Curve,
    gap: f64,
    standing: Standing,
}

impl Part {
    fn new(weights: &[f64], curve: Curve, constraints: &Constraints, tolerance: f64) -> Self {
        let gap = constraints.gap(weights, &curve.gradient);
        let mut part = Self { weights: weights.to_vec(), curve, gap, standing: Standing::Open };
        part.rise(tolerance);
        part
    }

    fn rise(&mut self, tolerance: f64) {
        if self.gap <= tolerance * self.curve.value.abs().max(1.0) {
            self.standing = Standing::Certified;
        }
    }

    /// The optimum of the quadratic model.
    fn target(&self, constraints: &Constraints) -> Vec<f64> {
        quadratic_program::solve(&self.weights, &self.curve.gradient, &self.curve.hessian, constraints)
    }
}

#[derive(Clone)]
struct Lockstep {
    parts: Vec<Part>,
    constraints: Constraints,
    tolerance: f64,
}

impl Verdict for Lockstep {
    fn label(&self) -> &'static str {
        "nested newton"
    }

    fn stop(&self) -> Option<Stop> {
        let open = self.parts.iter().any(|part| part.standing == Standing::Open);
        (!open).then_some(Stop::Converged)
    }
}

impl<'p, 'a> Solver<&'p Apart<'a>, State> for Lockstep {
    fn name(&self) -> &str {
        self.label()
    }

    fn next_iter(&mut self, problem: &mut Problem<&'p Apart<'a>>, state: State) -> Result<(State, Option<KV>), Error> {
        let open = |part: &Part| (part.standing == Standing::Open).then(|| part.target(&self.constraints));
        let targets: Vec<Option<Vec<f64>>> = self.parts.iter().map(open).collect();
        let slopes = problem.problem("slopes", |apart| Ok(apart.slopes(&targets)))?;
        for (number, ((part, target), slope)) in self.parts.iter_mut().zip(targets).zip(slopes).enumerate() {
            let (Some(target), Some(slope)) = (target, slope) else { continue };
            let gap = self.constraints.gap(&target, &slope.gradient);
            // Close to the end the loss is all rounding; the gap tells better from worse.
            if !(slope.value.is_finite() && gap < 0.5 * part.gap) {
                part.standing = Standing::Stuck;
                continue;
            }
            let bend = problem.problem("bend", |apart| Ok(bend(apart, number, &target)))?;
            match bend {
                Some(hessian) => part.curve = Curve { value: slope.value, gradient: slope.gradient, hessian },
                None => part.curve.follow(&part.weights, &target, slope),
            }
            (part.weights, part.gap) = (target, gap);
            part.rise(self.tolerance);
        }
        let cost = self.parts.iter().map(|part| part.curve.value).sum::<f64>() / self.parts.len() as f64;
        let joined = self.parts.iter().flat_map(|part| part.weights.iter().copied()).collect();
        Ok((state.param(joined).cost(cost), None))
    }
}

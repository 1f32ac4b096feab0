//! Many members, of which an optimum keeps few: second derivatives of those alone that have weight or are about to.
//!
//! A slope of all members tells who would lower the loss; the loss of blends of these and of those with weight is
//! minimised, and the next slope says who is still missing, until the gap over all members is closed (Kim et al., JCGS
//! 2020, drop members in the same way).

use super::{CERTIFIED_GAP, plainly};
use crate::{
    constraints::Constraints,
    drive::{Stop, Tick, Watch},
    objective::Objective,
    solver::{Found, Task},
};
use std::sync::atomic::{AtomicU64, Ordering};

/// Members from which on steps are taken on faces.
const MANY: usize = 24;

/// Members that join at a time, at least; as many as have weight, where those are more.
const JOIN: usize = 8;

/// Rounds without progress after which a search ends.
const PATIENCE: usize = 3;

/// Whether this way suits the loss: the optimum is proven by the gap of the simplex.
pub(crate) fn suit(objective: &dyn Objective, constraints: &Constraints) -> bool {
    many(constraints) && objective.is_convex() && objective.has_faces()
}

/// Whether the weights are those of many members on the simplex, of which an optimum keeps few.
pub(crate) fn many(constraints: &Constraints) -> bool {
    constraints.n >= MANY && constraints.is_plain() && constraints.sums_to_one && constraints.is_compact()
}

/// One descent from `start`; `None` where the loss is not finite there.
pub(super) fn descend(task: &Task<'_>, objective: &dyn Objective, start: &[f64], tolerance: f64) -> Option<Found> {
    let mut weights = start.to_vec();
    let mut slope = objective.slope(&weights).filter(|slope| slope.value.is_finite())?;
    let mut gap = task.constraints.gap(&weights, &slope.gradient);
    let (mut rounds, iterations) = (0, AtomicU64::new(0));
    let stop = loop {
        let size = slope.value.abs().max(1.0);
        if gap <= tolerance * size {
            break Stop::Certified { gap };
        }
        if let Some(cut) = task.watch.cut() {
            break cut;
        }
        if rounds >= PATIENCE {
            break if gap <= CERTIFIED_GAP * size { Stop::Certified { gap } } else { Stop::Stalled };
        }
        let members = face(&weights, &slope.gradient);
        let (before, known) = (iterations.load(Ordering::Relaxed), gap);
        // What a face's own gap says of the whole is what the last slope of all said.
        let tick = |tick: &Tick| {
            iterations.store(before + tick.iteration, Ordering::Relaxed);
            (task.watch.tick)(&Tick { iteration: before + tick.iteration, gap: Some(known), ..tick.clone() });
        };
        let constraints = task.constraints.select(&members);
        let inner = Task { constraints: &constraints, watch: Watch { tick: &tick, ..task.watch }, ..*task };
        let from = members.iter().map(|&member| weights[member]).collect();
        let found = plainly(&inner, &*objective.only(&members)?, from, 0.5 * tolerance, 60);
        let mut moved = vec![0.0; weights.len()];
        members.iter().zip(&found.weights).for_each(|(&member, weight)| moved[member] = *weight);
        let next = objective.slope(&moved)?;
        let next_gap = task.constraints.gap(&moved, &next.gradient);
        // Within rounding the value cannot tell better from worse; the gap can.
        if next_gap < gap || next.value < slope.value {
            rounds = if next_gap < 0.5 * gap { 0 } else { rounds + 1 };
            (weights, slope, gap) = (moved, next, next_gap);
        } else {
            rounds = PATIENCE;
        }
    };
    if stop == Stop::Stalled {
        // What faces leave open may be a matter of rounding on each: all members together have the last word.
        let all = plainly(task, objective, weights.clone(), tolerance, 60);
        if all.loss <= slope.value {
            return Some(all);
        }
    }
    Some(Found { weights, loss: slope.value, stop, gap: Some(gap) })
}

/// The members with weight, and of the others those whose slopes are the lowest and low enough to gain weight.
pub(crate) fn face(weights: &[f64], gradient: &[f64]) -> Vec<usize> {
    let mut members: Vec<usize> = (0..weights.len()).filter(|&member| weights[member] > 0.0).collect();
    let level = weights.iter().zip(gradient).map(|(w, g)| w * g).sum::<f64>();
    let mut others: Vec<usize> =
        (0..weights.len()).filter(|&member| weights[member] == 0.0 && gradient[member] < level).collect();
    others.sort_by(|&a, &b| gradient[a].total_cmp(&gradient[b]));
    others.truncate(JOIN.max(members.len()));
    members.extend(others);
    members.sort_unstable();
    members
}

//! Blends of probabilities that need not be means: on every scored cell they must stay between 0 and 1, and an optimum
//! often leans on that wall.
//!
//! The loss plus ever less of a barrier, `-width (ln(1 - u) + ln u)` on the average over cells, is minimised again and
//! again (Fiacco and McCormick 1968; Nocedal and Wright, Numerical Optimization, chapter 19). By convexity no allowed
//! weights beat those of a width by more than the gap of that loss and two widths.

use super::{CERTIFIED_GAP, descend_to, plainly};
use crate::{
    constraints::Constraints,
    drive::Stop,
    solver::{Found, Task},
};
use blend_core::Domain;

/// The widths, one after the other.
struct Widths {
    /// The first one: from anywhere, and from next to an optimum.
    cold: f64,
    warm: f64,
    /// What each is multiplied by.
    factor: f64,
    /// The least, whose own gap is a part of what may be called proven.
    last: f64,
}

const WIDTHS: Widths = Widths { cold: 1e-2, warm: 1e-5, factor: 0.1, last: 0.099 * CERTIFIED_GAP };

/// A width whose optimum is the loss's own as far as digits are read.
const SETTLED: f64 = 1e-8;

/// Steps at one width.
const STEPS: u64 = 60;

/// Whether weights may leave the members' range: then there are walls.
pub(crate) fn stand(task: &Task<'_>) -> bool {
    let means = task.constraints.sums_to_one && task.constraints.low.iter().all(|low| *low >= 0.0);
    !means && task.objective.is_convex() && task.objective.walled(1.0).is_some()
}

/// One descent between the walls. A start that is given is taken to be near the optimum.
pub(super) fn descend(task: &Task<'_>, start: Vec<f64>) -> Found {
    let middle = inside(task, &start);
    let near: Vec<f64> = start.iter().zip(&middle).map(|(start, middle)| 0.99 * start + 0.01 * middle).collect();
    let warm = task.start.is_some() && task.constraints.allow(&near) && task.objective.value(&near).is_finite();
    let (mut weights, first) = if warm { (near, WIDTHS.warm) } else { (middle, WIDTHS.cold) };
    let mut best =
        Found { loss: task.objective.value(&weights), weights: weights.clone(), stop: Stop::Stalled, gap: None };
    let mut bound = f64::NEG_INFINITY;
    let mut width = first;
    loop {
        let Some(walled) = task.objective.walled(width) else { break };
        let tolerance = (0.1 * width).max(task.tolerance);
        let found = plainly(task, &*walled, weights.clone(), tolerance, STEPS);
        let loss = task.objective.value(&found.weights);
        if let Some(gap) = found.gap {
            bound = bound.max(loss - gap - 2.0 * width);
        }
        if loss.is_finite() {
            weights = found.weights;
        }
        if loss < best.loss {
            (best.loss, best.weights) = (loss, weights.clone());
        }
        // Rounding ends the steps at the last widths, where nothing that shows is left to gain.
        best.stop = match found.stop {
            Stop::Certified { .. } | Stop::Converged => Stop::Converged,
            Stop::Stalled if best.stop == Stop::Converged && width < SETTLED => Stop::Converged,
            stop => stop,
        };
        width *= WIDTHS.factor;
        if matches!(found.stop, Stop::Interrupted | Stop::Budget) || width < WIDTHS.last {
            break;
        }
    }
    if bound.is_finite() {
        let gap = (best.loss - bound).max(0.0);
        if best.stop == Stop::Converged && gap <= CERTIFIED_GAP * best.loss.abs().max(1.0) {
            best.stop = Stop::Certified { gap };
        }
        best.gap = Some(gap);
    }
    best
}

/// Weights away from the walls: the best mean of members, which lies between them, and of domains that allow it a part
/// of it, which no member that is certain holds at a wall.
fn inside(task: &Task<'_>, start: &[f64]) -> Vec<f64> {
    let simplex = Constraints::of(Domain::Simplex, task.constraints.n);
    let inner = Task { constraints: &simplex, ..*task };
    let mean = descend_to(&inner, task.objective, simplex.equal(), 1e-6, STEPS).weights;
    let part: Vec<f64> = mean.iter().map(|weight| 0.9 * weight).collect();
    [part, mean, task.constraints.equal()]
        .into_iter()
        .find(|weights| task.constraints.allow(weights) && task.objective.value(weights).is_finite())
        .unwrap_or_else(|| start.to_vec())
}

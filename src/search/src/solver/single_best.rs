//! The baseline: all weight on the member with the lowest loss.

use super::{Found, Info, Strategy, Task, alone, lowest};
use crate::drive::Stop;

pub(super) struct SingleBest;

impl Strategy for SingleBest {
    fn info(&self) -> &'static Info {
        &Info {
            name: "single_best",
            does: "all weight on the member with the best score, the first of equals",
            source: "-",
            certifies: false,
        }
    }

    fn run(&self, task: &Task<'_>) -> Found {
        let losses = alone(task.objective);
        let best = lowest(&losses);
        let weights = task.constraints.corner(best);
        let loss = if task.constraints.is_plain() { losses[best] } else { task.objective.value(&weights) };
        Found { weights, loss, stop: Stop::Converged, gap: None }
    }
}

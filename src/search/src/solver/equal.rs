//! The baseline: the same weight for every member.

use super::{Found, Info, Strategy, Task};
use crate::drive::Stop;

pub(super) struct Equal;

impl Strategy for Equal {
    fn info(&self) -> &'static Info {
        &Info {
            name: "equal",
            does: "the same weight for every member: the baseline that a search must beat",
            source: "-",
            certifies: false,
        }
    }

    fn run(&self, task: &Task<'_>) -> Found {
        let weights = task.constraints.equal();
        Found { loss: task.objective.value(&weights), weights, stop: Stop::Converged, gap: None }
    }
}

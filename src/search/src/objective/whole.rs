//! Any metric in any space: the blend is made whole and scored. Values only, for solvers that need no more.

use super::{Effort, Meter, Objective};
use blend_core::{
    Block,
    judge::{self, Bound},
    space::SpaceName,
};
use rayon::prelude::*;

pub(crate) struct WholeObjective<'a> {
    members: Vec<Block>,
    bound: &'a dyn Bound,
    space: SpaceName,
    meter: Meter,
}

impl<'a> WholeObjective<'a> {
    /// Holds the entered members, each of shape `(n_outputs, n_rows)`.
    pub(crate) fn new(members: Vec<Block>, bound: &'a dyn Bound, space: SpaceName) -> Self {
        Self { members, bound, space, meter: Meter::default() }
    }

    fn loss(&self, weights: &[f64]) -> f64 {
        let mut blend = Block::new(self.members[0].n_outputs(), self.members[0].n_rows());
        for (member, &weight) in self.members.iter().zip(weights).filter(|(_, w)| **w != 0.0) {
            blend.add_scaled(weight, member);
        }
        self.space.get().leave(&mut blend);
        let score = judge::score(self.bound, &blend);
        self.bound.direction().loss(blend_core::Score(score)).value()
    }
}

impl Objective for WholeObjective<'_> {
    fn n_weights(&self) -> usize {
        self.members.len()
    }

    fn value(&self, weights: &[f64]) -> f64 {
        self.meter.pass(1);
        self.loss(weights)
    }

    fn toward(&self, weights: &[f64], step: f64) -> Vec<f64> {
        self.meter.pass(weights.len());
        (0..weights.len())
            .into_par_iter()
            .map(|member| {
                let mut moved: Vec<f64> = weights.iter().map(|w| (1.0 - step) * w).collect();
                moved[member] += step;
                self.loss(&moved)
            })
            .collect()
    }

    fn is_convex(&self) -> bool {
        false
    }

    fn effort(&self) -> Effort {
        self.meter.effort()
    }
}

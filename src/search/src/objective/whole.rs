//! Any metric in any space: the blend is made whole and scored, with the cuts that suit it best where the metric judges
//! labels. Values only, for solvers that need no more; a smooth relative tells them where to start.

use super::{Effort, Meter, Move, Objective};
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
    surrogate: Option<Box<dyn Objective + 'a>>,
    meter: Meter,
}

impl<'a> WholeObjective<'a> {
    /// Holds the entered members, each of shape `(n_outputs, n_rows)`.
    pub(crate) fn new(
        members: Vec<Block>,
        bound: &'a dyn Bound,
        space: SpaceName,
        surrogate: Option<Box<dyn Objective + 'a>>,
    ) -> Self {
        Self { members, bound, space, surrogate, meter: Meter::default() }
    }

    /// The weighted sum of the members, in their order.
    fn mix(&self, weights: &[f64]) -> Block {
        let mut sum = Block::new(self.members[0].n_outputs(), self.members[0].n_rows());
        for (member, &weight) in self.members.iter().zip(weights).filter(|(_, w)| **w != 0.0) {
            sum.add_scaled(weight, member);
        }
        sum
    }

    /// The loss of a weighted sum.
    fn loss(&self, blend: &mut Block) -> f64 {
        self.space.get().leave(blend);
        let score = match self.bound.cuts() {
            Some(cuts) => cuts.best(blend),
            None => judge::score(self.bound, blend),
        };
        self.bound.direction().loss(blend_core::Score(score)).value()
    }
}

impl Objective for WholeObjective<'_> {
    fn n_weights(&self) -> usize {
        self.members.len()
    }

    fn value(&self, weights: &[f64]) -> f64 {
        self.meter.pass(1);
        self.loss(&mut self.mix(weights))
    }

    fn toward(&self, weights: &[f64], step: f64) -> Vec<f64> {
        self.meter.pass(weights.len());
        (0..weights.len())
            .into_par_iter()
            .map(|member| {
                let mut moved: Vec<f64> = weights.iter().map(|w| (1.0 - step) * w).collect();
                moved[member] += step;
                self.loss(&mut self.mix(&moved))
            })
            .collect()
    }

    /// Two members are added to one sum, however many members there are.
    fn moved(&self, weights: &[f64], moves: &[Move]) -> Vec<f64> {
        self.meter.pass(moves.len());
        let sum = self.mix(weights);
        moves
            .par_iter()
            .map_init(Block::default, |blend, step| {
                blend.clone_from(&sum);
                for (member, change) in step.changes() {
                    blend.add_scaled(change, &self.members[member]);
                }
                self.loss(blend)
            })
            .collect()
    }

    fn is_convex(&self) -> bool {
        false
    }

    fn surrogate(&self) -> Option<&dyn Objective> {
        self.surrogate.as_deref()
    }

    fn effort(&self) -> Effort {
        let mut effort = self.meter.effort();
        if let Some(surrogate) = &self.surrogate {
            effort += surrogate.effort();
        }
        effort
    }
}

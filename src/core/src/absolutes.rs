//! Absolute errors, plain, tilted or relative: what mae, pinball and mape have in common.

use crate::{
    block::Block,
    judge::{Absolute, Additive, Bound, Judge, Smooth},
    score::Direction,
    space::SpaceName,
};

/// The mean over rows and columns of `factor (scale |p - y| + tilt (p - y))`.
pub(crate) struct BoundAbsolute {
    pub(crate) targets: Vec<Vec<f64>>,
    pub(crate) weights: Option<Vec<f64>>,
    pub(crate) scale: f64,
    pub(crate) tilt: f64,
    /// Per cell, shaped as `targets`; 1 where absent.
    pub(crate) factors: Option<Vec<Vec<f64>>>,
}

impl Bound for BoundAbsolute {
    fn n_rows(&self) -> usize {
        self.targets[0].len()
    }

    fn n_outputs(&self) -> usize {
        self.targets.len()
    }

    fn direction(&self) -> Direction {
        Direction::Lower
    }

    fn judges_rows_alone(&self) -> bool {
        true
    }

    fn judge(&self) -> Judge<'_> {
        Judge::Additive(self)
    }

    fn smooth(&self, space: SpaceName) -> Option<Smooth<'_>> {
        space.leaves_as_is().then(|| {
            Smooth::Absolute(Absolute {
                targets: &self.targets,
                weights: self.weights.as_deref(),
                scale: self.scale,
                tilt: self.tilt,
                factors: self.factors.as_deref(),
            })
        })
    }
}

impl Additive for BoundAbsolute {
    fn n_terms(&self) -> usize {
        1
    }

    fn terms(&self, start: usize, prediction: &Block, out: &mut Block) {
        let n_rows = prediction.n_rows();
        let out = out.column_mut(0);
        out.fill(0.0);
        for (output, target) in self.targets.iter().enumerate() {
            let factors = self.factors.as_ref().map(|factors| &factors[output][start..start + n_rows]);
            let cells = prediction.column(output).iter().zip(&target[start..start + n_rows]).enumerate();
            for (out, (row, (p, y))) in out.iter_mut().zip(cells) {
                let error = p - y;
                // (A huge error has a product beyond numbers: both signs together, it would be none at all.)
                let tilted = (self.scale + if error < 0.0 { -self.tilt } else { self.tilt }) * error.abs();
                *out += factors.map_or(1.0, |factors| factors[row]) * tilted;
            }
        }
        let n_outputs = self.targets.len() as f64;
        out.iter_mut().for_each(|out| *out /= n_outputs);
    }

    fn row_weights(&self) -> Option<&[f64]> {
        self.weights.as_deref()
    }

    fn finish(&self, means: &[f64]) -> f64 {
        means[0]
    }
}

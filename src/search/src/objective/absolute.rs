//! Mean absolute error: convex, with kinks that are rounded off for the smooth steps.

use super::{Curve, Effort, Objective, Slope, cells::CellObjective, feed::Feed};
use blend_core::{
    Oof, Predictions, RowSet,
    judge::{Absolute, Cells, Preparation},
    num,
    space::SpaceName,
};

/// `|u - y|`, or `sqrt((u - y)^2 + width^2)`, which is above it by at most `width`.
struct AbsoluteCells<'a> {
    targets: &'a [Vec<f64>],
    weights: Option<&'a [f64]>,
    width: f64,
}

impl Cells for AbsoluteCells<'_> {
    fn mass(&self) -> f64 {
        self.weights.map_or(self.targets[0].len() as f64, num::sum) * self.targets.len() as f64
    }

    fn member_range(&self) -> Option<(f64, f64)> {
        None
    }

    fn value(&self, output: usize, start: usize, u: &[f64]) -> f64 {
        self.run(output, start, u, |_, _, _, _| {})
    }

    fn slope(&self, output: usize, start: usize, u: &[f64], d: &mut [f64]) -> f64 {
        self.run(output, start, u, |i, s, r, root| d[i] = if root > 0.0 { s * r / root } else { 0.0 })
    }

    fn curve(&self, output: usize, start: usize, u: &[f64], d: &mut [f64], h: &mut [f64]) -> f64 {
        let square = self.width * self.width;
        self.run(output, start, u, |i, s, r, root| {
            d[i] = if root > 0.0 { s * r / root } else { 0.0 };
            h[i] = if root > 0.0 { s * square / (root * root * root) } else { 0.0 };
        })
    }

    fn is_convex(&self) -> bool {
        true
    }
}

impl AbsoluteCells<'_> {
    fn run(&self, output: usize, start: usize, u: &[f64], mut write: impl FnMut(usize, f64, f64, f64)) -> f64 {
        let y = &self.targets[output][start..start + u.len()];
        let mut total = 0.0;
        for (i, (&u, &y)) in u.iter().zip(y).enumerate() {
            let s = self.weights.map_or(1.0, |w| w[start + i]);
            let r = u - y;
            let root = (r * r + self.width * self.width).sqrt();
            total += s * root;
            write(i, s, r, root);
        }
        total
    }
}

/// The exact loss, and on request its smoothed relatives.
pub(crate) struct AbsoluteObjective<'a> {
    members: Vec<&'a Predictions<Oof>>,
    set: &'a RowSet,
    preparation: Preparation,
    targets: &'a [Vec<f64>],
    weights: Option<&'a [f64]>,
    inner: CellObjective<'a>,
    width: f64,
    /// Mean absolute error of equal weights: the scale of `width`.
    scale: f64,
}

impl<'a> AbsoluteObjective<'a> {
    pub(crate) fn new(
        members: Vec<&'a Predictions<Oof>>,
        set: &'a RowSet,
        preparation: Preparation,
        loss: &Absolute<'a>,
    ) -> Self {
        let mut it = Self::with_width(members, set, preparation, loss.targets, loss.weights, 0.0, 0.0);
        it.scale = it.inner.value(&vec![1.0 / it.members.len() as f64; it.members.len()]);
        it
    }

    fn with_width(
        members: Vec<&'a Predictions<Oof>>,
        set: &'a RowSet,
        preparation: Preparation,
        targets: &'a [Vec<f64>],
        weights: Option<&'a [f64]>,
        width: f64,
        scale: f64,
    ) -> Self {
        let feed = Feed::new(&members, set, SpaceName::Linear, preparation);
        let inner = CellObjective::new(feed, Box::new(AbsoluteCells { targets, weights, width }));
        Self { members, set, preparation, targets, weights, inner, width, scale }
    }
}

impl Objective for AbsoluteObjective<'_> {
    fn n_weights(&self) -> usize {
        self.members.len()
    }

    fn value(&self, weights: &[f64]) -> f64 {
        self.inner.value(weights)
    }

    fn slope(&self, weights: &[f64]) -> Option<Slope> {
        (self.width > 0.0).then(|| self.inner.slope(weights)).flatten()
    }

    fn curve(&self, weights: &[f64]) -> Option<Curve> {
        (self.width > 0.0).then(|| self.inner.curve(weights)).flatten()
    }

    fn toward(&self, weights: &[f64], step: f64) -> Vec<f64> {
        self.inner.toward(weights, step)
    }

    fn is_convex(&self) -> bool {
        true
    }

    fn is_smooth(&self) -> bool {
        self.width > 0.0
    }

    fn smoothing(&self) -> f64 {
        self.width
    }

    fn smoothed(&self, width: f64) -> Option<Box<dyn Objective + '_>> {
        let width = width * self.scale.max(f64::MIN_POSITIVE);
        Some(Box::new(AbsoluteObjective::with_width(
            self.members.clone(),
            self.set,
            self.preparation,
            self.targets,
            self.weights,
            width,
            self.scale,
        )))
    }

    fn effort(&self) -> Effort {
        self.inner.effort()
    }
}

//! Mean absolute errors, plain, tilted or relative: convex, with kinks that are rounded off for the smooth steps.

use super::{Curve, Effort, Objective, Slope, cells::CellObjective, feed::Feed};
use blend_core::{
    Oof, Predictions, RowSet,
    judge::{Absolute, Cells, Preparation},
    num,
    space::SpaceName,
};

/// `scale |u - y| + tilt (u - y)`, or with `sqrt((u - y)^2 + width^2)`, which is above `|u - y|` by at most `width`.
struct AbsoluteCells<'a> {
    loss: Absolute<'a>,
    width: f64,
}

impl Cells for AbsoluteCells<'_> {
    fn mass(&self) -> f64 {
        let targets = self.loss.targets;
        self.loss.weights.map_or(targets[0].len() as f64, num::sum) * targets.len() as f64
    }

    fn member_range(&self) -> Option<(f64, f64)> {
        None
    }

    fn value(&self, output: usize, start: usize, u: &[f64]) -> f64 {
        self.run(output, start, u, |_, _, _, _| {})
    }

    fn slope(&self, output: usize, start: usize, u: &[f64], d: &mut [f64]) -> f64 {
        self.run(output, start, u, |i, s, r, root| d[i] = s * self.slant(r, root))
    }

    fn curve(&self, output: usize, start: usize, u: &[f64], d: &mut [f64], h: &mut [f64]) -> f64 {
        let square = self.loss.scale * self.width * self.width;
        self.run(output, start, u, |i, s, r, root| {
            d[i] = s * self.slant(r, root);
            h[i] = if root > 0.0 { s * square / (root * root * root) } else { 0.0 };
        })
    }

    fn is_convex(&self) -> bool {
        true
    }
}

impl AbsoluteCells<'_> {
    /// The derivative at an error `r`; of those that a kink has the one in the middle.
    fn slant(&self, r: f64, root: f64) -> f64 {
        self.loss.tilt + if root > 0.0 { self.loss.scale * r / root } else { 0.0 }
    }

    fn run(&self, output: usize, start: usize, u: &[f64], mut write: impl FnMut(usize, f64, f64, f64)) -> f64 {
        let y = &self.loss.targets[output][start..start + u.len()];
        let mut total = 0.0;
        for (i, (&u, &y)) in u.iter().zip(y).enumerate() {
            let s = self.loss.factor(output, start + i);
            let r = u - y;
            let root = (r * r + self.width * self.width).sqrt();
            total += s * (self.loss.scale * root + self.loss.tilt * r);
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
    space: SpaceName,
    loss: Absolute<'a>,
    inner: CellObjective<'a>,
    width: f64,
    /// Mean absolute error of equal weights, without tilt and factors: the scale of `width`.
    scale: f64,
    /// Mean over cells of what the errors are multiplied by.
    mean_factor: f64,
}

impl<'a> AbsoluteObjective<'a> {
    pub(crate) fn new(
        members: Vec<&'a Predictions<Oof>>,
        set: &'a RowSet,
        space: SpaceName,
        preparation: Preparation,
        loss: Absolute<'a>,
    ) -> Self {
        let plain = Absolute { scale: 1.0, tilt: 0.0, factors: None, ..loss };
        let of = |loss| Self::with_width(members.clone(), set, (space, preparation), loss, 0.0, 0.0);
        let scale = of(plain).inner.value(&vec![1.0 / members.len() as f64; members.len()]);
        Self { scale, ..of(loss) }
    }

    fn with_width(
        members: Vec<&'a Predictions<Oof>>,
        set: &'a RowSet,
        (space, preparation): (SpaceName, Preparation),
        loss: Absolute<'a>,
        width: f64,
        scale: f64,
    ) -> Self {
        let feed = Feed::new(&members, set, space, preparation);
        let cells = AbsoluteCells { loss, width };
        let mass = cells.mass();
        let factor = |output: usize| (0..set.len()).map(|row| loss.factor(output, row)).sum::<f64>();
        let mean_factor = (0..loss.targets.len()).map(factor).sum::<f64>() / mass;
        let inner = CellObjective::new(feed, Box::new(cells));
        Self { members, set, preparation, space, loss, inner, width, scale, mean_factor }
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
        self.width * self.loss.scale * self.mean_factor
    }

    fn smoothed(&self, width: f64) -> Option<Box<dyn Objective + '_>> {
        let width = width * self.scale.max(f64::MIN_POSITIVE);
        let how = (self.space, self.preparation);
        Some(Box::new(AbsoluteObjective::with_width(self.members.clone(), self.set, how, self.loss, width, self.scale)))
    }

    fn effort(&self) -> Effort {
        self.inner.effort()
    }
}

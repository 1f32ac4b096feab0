//! The public score as a function of the weights: a loss judged by made-up labels, and what the scores say beyond it.

use super::{
    Curve, Effort, Objective, Quadratic, Slope, cells::CellObjective, feed::Feed, rows::RowObjective,
    squares::SquareObjective, whole::WholeObjective,
};
use blend_core::{
    Block,
    judge::{Bound, Smooth},
    num,
    space::SpaceName,
};

/// The loss of blends of members that are held in memory, already on the scale of averaging.
pub(crate) fn held<'a>(
    entered: Vec<Block>,
    bound: &'a dyn Bound,
    space: SpaceName,
    sums_to_one: bool,
) -> Box<dyn Objective + 'a> {
    let smooth = if bound.preparation().renormalize && !sums_to_one { None } else { bound.smooth(space) };
    match smooth {
        Some(Smooth::Cells(cells)) => Box::new(CellObjective::new(Feed::held(entered), cells)),
        Some(Smooth::Rows(loss)) => Box::new(RowObjective::new(Feed::held(entered), loss)),
        Some(Smooth::Squares(loss)) => Box::new(SquareObjective::new(&Feed::held(entered), &loss, sums_to_one)),
        // Made-up labels are shares and numbers: neither hard classes nor absolute errors come here.
        Some(Smooth::TrueClass(_) | Smooth::Absolute(_)) | None => {
            Box::new(WholeObjective::new(entered, bound, space, None))
        }
    }
}

/// `scale * (inner(w) + shift . w)`, or its square root. Under the root the shift is of second degree,
/// `(shift . w)(1 . w)`: the same where weights sum to one, and as the inner form is of second degree there too, the root
/// is a norm, convex in every direction and not along the simplex alone, which Newton's steps need.
pub(crate) struct LeaderboardObjective<'a> {
    inner: Box<dyn Objective + 'a>,
    shift: Vec<f64>,
    scale: f64,
    rooted: bool,
}

impl<'a> LeaderboardObjective<'a> {
    pub(crate) fn new(inner: Box<dyn Objective + 'a>, shift: Vec<f64>, scale: f64, rooted: bool) -> Self {
        Self { inner, shift, scale, rooted }
    }

    /// What the shift adds to a value.
    fn shifted(&self, weights: &[f64]) -> f64 {
        num::dot(&self.shift, weights) * if self.rooted { num::sum(weights) } else { 1.0 }
    }

    /// Adds the shift's derivatives.
    fn bend(&self, weights: &[f64], gradient: &mut [f64], hessian: &mut [f64]) {
        let n = self.shift.len();
        let (sum, along) = if self.rooted { (num::sum(weights), num::dot(&self.shift, weights)) } else { (1.0, 0.0) };
        gradient.iter_mut().zip(&self.shift).for_each(|(g, s)| *g += sum * s + along);
        if self.rooted {
            hessian.iter_mut().enumerate().for_each(|(cell, h)| *h += self.shift[cell / n] + self.shift[cell % n]);
        }
    }

    /// The scaled sum, with its derivatives, under the root.
    fn outer(&self, mut curve: Curve) -> Curve {
        let n = self.shift.len();
        if !self.rooted {
            return curve;
        }
        let root = curve.value.max(0.0).sqrt();
        let half = 0.5 / root.max(1e-150);
        curve.gradient.iter_mut().for_each(|g| *g *= half);
        curve.hessian.iter_mut().for_each(|h| *h *= half);
        for cell in 0..curve.hessian.len() {
            curve.hessian[cell] -= curve.gradient[cell / n] * curve.gradient[cell % n] / root.max(1e-150);
        }
        Curve { value: root, ..curve }
    }
}

impl Objective for LeaderboardObjective<'_> {
    fn n_weights(&self) -> usize {
        self.shift.len()
    }

    fn value(&self, weights: &[f64]) -> f64 {
        let value = self.scale * (self.inner.value(weights) + self.shifted(weights));
        if self.rooted { value.max(0.0).sqrt() } else { value }
    }

    fn slope(&self, weights: &[f64]) -> Option<Slope> {
        let Slope { value, mut gradient } = self.inner.slope(weights)?;
        self.bend(weights, &mut gradient, &mut []);
        gradient.iter_mut().for_each(|g| *g *= self.scale);
        let value = self.scale * (value + self.shifted(weights));
        let curve = self.outer(Curve { value, gradient, hessian: Vec::new() });
        Some(Slope { value: curve.value, gradient: curve.gradient })
    }

    fn curve(&self, weights: &[f64]) -> Option<Curve> {
        let Curve { value, mut gradient, mut hessian } = self.inner.curve(weights)?;
        self.bend(weights, &mut gradient, &mut hessian);
        gradient.iter_mut().for_each(|g| *g *= self.scale);
        hessian.iter_mut().for_each(|h| *h *= self.scale);
        Some(self.outer(Curve { value: self.scale * (value + self.shifted(weights)), gradient, hessian }))
    }

    fn is_convex(&self) -> bool {
        self.inner.is_convex()
    }

    fn is_smooth(&self) -> bool {
        self.inner.is_smooth()
    }

    fn quadratic(&self) -> Option<Quadratic> {
        let mut form = self.inner.quadratic().filter(|form| !form.rooted)?;
        form.gram.iter_mut().for_each(|g| *g *= self.scale);
        form.linear.iter_mut().zip(&self.shift).for_each(|(b, s)| *b = self.scale * (*b - 0.5 * s));
        form.constant *= self.scale;
        form.rooted = self.rooted;
        Some(form)
    }

    fn effort(&self) -> Effort {
        self.inner.effort()
    }
}

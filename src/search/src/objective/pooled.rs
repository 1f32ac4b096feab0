//! Two losses of the same weights, as a weighted mean.

use super::{Curve, Effort, Objective, Quadratic, Slope};

/// `(1 - share) first(w) + share second(w)`.
pub(crate) struct PooledObjective<'a> {
    first: Box<dyn Objective + 'a>,
    second: Box<dyn Objective + 'a>,
    share: f64,
}

impl<'a> PooledObjective<'a> {
    /// `share`, in [0, 1], is the weight of `second`.
    pub(crate) fn new(first: Box<dyn Objective + 'a>, second: Box<dyn Objective + 'a>, share: f64) -> Self {
        Self { first, second, share }
    }

    fn mean(&self, a: f64, b: f64) -> f64 {
        // Infinity times a share of zero is no number.
        match self.share {
            share if share <= 0.0 => a,
            share if share >= 1.0 => b,
            share => (1.0 - share) * a + share * b,
        }
    }

    fn means(&self, a: &[f64], b: &[f64]) -> Vec<f64> {
        a.iter().zip(b).map(|(a, b)| self.mean(*a, *b)).collect()
    }
}

impl Objective for PooledObjective<'_> {
    fn n_weights(&self) -> usize {
        self.first.n_weights()
    }

    fn value(&self, weights: &[f64]) -> f64 {
        self.mean(self.first.value(weights), self.second.value(weights))
    }

    fn slope(&self, weights: &[f64]) -> Option<Slope> {
        let (a, b) = (self.first.slope(weights)?, self.second.slope(weights)?);
        Some(Slope { value: self.mean(a.value, b.value), gradient: self.means(&a.gradient, &b.gradient) })
    }

    fn curve(&self, weights: &[f64]) -> Option<Curve> {
        let (a, b) = (self.first.curve(weights)?, self.second.curve(weights)?);
        Some(Curve {
            value: self.mean(a.value, b.value),
            gradient: self.means(&a.gradient, &b.gradient),
            hessian: self.means(&a.hessian, &b.hessian),
        })
    }

    fn toward(&self, weights: &[f64], step: f64) -> Vec<f64> {
        self.means(&self.first.toward(weights, step), &self.second.toward(weights, step))
    }

    fn is_convex(&self) -> bool {
        self.first.is_convex() && self.second.is_convex()
    }

    fn is_smooth(&self) -> bool {
        self.first.is_smooth() && self.second.is_smooth()
    }

    fn quadratic(&self) -> Option<Quadratic> {
        let (a, b) = (self.first.quadratic()?, self.second.quadratic()?);
        (!a.rooted && !b.rooted).then(|| Quadratic {
            gram: self.means(&a.gram, &b.gram),
            linear: self.means(&a.linear, &b.linear),
            constant: self.mean(a.constant, b.constant),
            rooted: false,
        })
    }

    fn effort(&self) -> Effort {
        let mut effort = self.first.effort();
        effort += self.second.effort();
        effort
    }
}

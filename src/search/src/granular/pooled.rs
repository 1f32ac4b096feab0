//! The loss of one part of the predictions, drawn toward the weights of all parts together.

use crate::objective::{Curve, Effort, Objective, Quadratic, Slope};

/// What the parts have in common: the optimum of all of them and the loss's second derivatives there.
#[derive(Debug, Clone)]
pub(crate) struct Prior {
    pub(crate) weights: Vec<f64>,
    /// `n x n`, positive definite.
    pub(crate) hessian: Vec<f64>,
}

impl Prior {
    /// Adds what keeps a singular matrix of second derivatives from leaving directions undrawn.
    pub(crate) fn new(weights: Vec<f64>, mut hessian: Vec<f64>) -> Self {
        const RIDGE: f64 = 1e-8;
        let n = weights.len();
        let trace: f64 = (0..n).map(|i| hessian[i * n + i]).sum();
        (0..n).for_each(|i| hessian[i * n + i] += RIDGE * trace / n as f64);
        Self { weights, hessian }
    }

    /// `H (w - w0)`.
    fn pull(&self, weights: &[f64]) -> Vec<f64> {
        let n = weights.len();
        let away: Vec<f64> = weights.iter().zip(&self.weights).map(|(w, w0)| w - w0).collect();
        (0..n).map(|i| (0..n).map(|j| self.hessian[i * n + j] * away[j]).sum()).collect()
    }
}

/// A part's own loss.
pub(crate) enum Loss<'a> {
    Borrowed(&'a dyn Objective),
    Owned(Box<dyn Objective + 'a>),
}

impl Loss<'_> {
    fn get(&self) -> &dyn Objective {
        match self {
            Self::Borrowed(loss) => *loss,
            Self::Owned(loss) => &**loss,
        }
    }
}

/// `L(w) + strength / 2 (w - w0)' H (w - w0)`.
pub(crate) struct Pooled<'a> {
    pub(crate) loss: Loss<'a>,
    pub(crate) prior: &'a Prior,
    pub(crate) strength: f64,
}

impl Pooled<'_> {
    /// The penalty and its gradient.
    fn penalty(&self, weights: &[f64]) -> (f64, Vec<f64>) {
        let pull = self.prior.pull(weights);
        let away = weights.iter().zip(&self.prior.weights).map(|(w, w0)| w - w0);
        let value = 0.5 * self.strength * away.zip(&pull).map(|(a, p)| a * p).sum::<f64>();
        (value.max(0.0), pull.into_iter().map(|p| self.strength * p).collect())
    }
}

impl Objective for Pooled<'_> {
    fn n_weights(&self) -> usize {
        self.loss.get().n_weights()
    }

    fn value(&self, weights: &[f64]) -> f64 {
        self.loss.get().value(weights) + self.penalty(weights).0
    }

    fn slope(&self, weights: &[f64]) -> Option<Slope> {
        let mut slope = self.loss.get().slope(weights)?;
        let (value, gradient) = self.penalty(weights);
        slope.value += value;
        slope.gradient.iter_mut().zip(gradient).for_each(|(a, b)| *a += b);
        Some(slope)
    }

    fn curve(&self, weights: &[f64]) -> Option<Curve> {
        let mut curve = self.loss.get().curve(weights)?;
        let (value, gradient) = self.penalty(weights);
        curve.value += value;
        curve.gradient.iter_mut().zip(gradient).for_each(|(a, b)| *a += b);
        curve.hessian.iter_mut().zip(&self.prior.hessian).for_each(|(a, b)| *a += self.strength * b);
        Some(curve)
    }

    fn is_convex(&self) -> bool {
        self.loss.get().is_convex()
    }

    fn is_smooth(&self) -> bool {
        self.loss.get().is_smooth()
    }

    fn quadratic(&self) -> Option<Quadratic> {
        // A root of a form plus a form is no form.
        let mut form = self.loss.get().quadratic().filter(|form| !form.rooted || self.strength == 0.0)?;
        let n = self.prior.weights.len();
        let half = 0.5 * self.strength;
        let toward = self.prior.pull(&vec![0.0; n]);
        form.gram.iter_mut().zip(&self.prior.hessian).for_each(|(gram, h)| *gram += half * h);
        form.linear.iter_mut().zip(&toward).for_each(|(linear, toward)| *linear -= half * toward);
        form.constant -= half * toward.iter().zip(&self.prior.weights).map(|(t, w)| t * w).sum::<f64>();
        Some(form)
    }

    fn smoothing(&self) -> f64 {
        self.loss.get().smoothing()
    }

    fn smoothed(&self, width: f64) -> Option<Box<dyn Objective + '_>> {
        let loss = self.loss.get().smoothed(width)?;
        Some(Box::new(Pooled { loss: Loss::Owned(loss), prior: self.prior, strength: self.strength }))
    }

    fn effort(&self) -> Effort {
        self.loss.get().effort()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Label, Shape, World};
    use blend_core::{Domain, space::SpaceName::Linear};

    #[test]
    fn the_penalty_has_its_own_derivatives() {
        let shape = Shape { n_members: 3, n_rows: 80, seed: 4, ..Shape::default() };
        for kind in [("log_loss", Linear, Label::Binary), ("mse", Linear, Label::Number)] {
            let world = World::new(kind, shape);
            let bound = world.bound();
            let prior = Prior::new(vec![0.2, 0.5, 0.3], vec![2.0, 0.5, 0.0, 0.5, 1.0, 0.0, 0.0, 0.0, 3.0]);
            let loss = world.objective(&*bound, Domain::Simplex);
            let plain = &*loss;
            let pooled = Pooled { loss: Loss::Borrowed(plain), prior: &prior, strength: 0.7 };
            assert_eq!(pooled.value(&prior.weights), plain.value(&prior.weights));
            let at = [0.3, 0.3, 0.4];
            // (0.1, -0.2, 0.1): 0.7 / 2 * (2 * 0.01 + 2 * 0.5 * -0.02 + 0.04 + 3 * 0.01)
            assert!((pooled.value(&at) - plain.value(&at) - 0.35 * 0.07).abs() < 1e-7);
            let curve = pooled.curve(&at).unwrap();
            for i in 0..3 {
                let moved = |step: f64| {
                    let mut moved = at;
                    moved[i] += step;
                    pooled.value(&moved)
                };
                let finite = (moved(1e-5) - moved(-1e-5)) / 2e-5;
                assert!(
                    (curve.gradient[i] - finite).abs() < 1e-6 * finite.abs().max(1.0),
                    "{} {finite}",
                    curve.gradient[i]
                );
            }
            if let Some(form) = pooled.quadratic() {
                assert!((form.value(&at) - pooled.value(&at)).abs() < 1e-10);
                let gradient = form.gradient(&at);
                assert!(gradient.iter().zip(&curve.gradient).all(|(a, b)| (a - b).abs() < 1e-9));
            } else {
                assert_eq!(kind.0, "log_loss");
            }
        }
    }
}

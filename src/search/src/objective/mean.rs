//! Losses over disjoint sets of rows as one loss over all of them: what nested cross-validation trains on.

use super::{Curve, Effort, Objective, Quadratic, Slope};
use std::sync::OnceLock;

/// The mean of losses, each with the weight of its rows. What its parts cost is counted by them.
pub(crate) struct Mean<'a> {
    /// Losses and their shares, which sum to one.
    parts: Vec<(&'a dyn Objective, f64)>,
    quadratic: Option<Quadratic>,
}

impl<'a> Mean<'a> {
    /// Of losses that are means over rows; `None` where one is not, or where only the squares under a root would add up
    /// and there are none.
    pub(crate) fn new(parts: Vec<&'a dyn Objective>) -> Option<Self> {
        let masses = parts.iter().map(|part| part.mass()).collect::<Option<Vec<_>>>()?;
        let total: f64 = masses.iter().sum();
        let parts: Vec<_> = parts.into_iter().zip(masses.iter().map(|mass| mass / total)).collect();
        let quadratic = add_forms(&parts);
        Some(Self { parts, quadratic })
    }
}

/// The sum of the parts' forms, where every part is one.
fn add_forms(parts: &[(&dyn Objective, f64)]) -> Option<Quadratic> {
    let mut sum: Option<Quadratic> = None;
    for (part, share) in parts {
        let mut form = part.quadratic()?;
        form.gram.iter_mut().chain(&mut form.linear).for_each(|x| *x *= share);
        form.constant *= share;
        sum = Some(match sum {
            None => form,
            Some(mut sum) => {
                sum.gram.iter_mut().zip(form.gram).for_each(|(a, b)| *a += b);
                sum.linear.iter_mut().zip(form.linear).for_each(|(a, b)| *a += b);
                sum.constant += form.constant;
                sum
            }
        });
    }
    sum
}

impl Objective for Mean<'_> {
    fn n_weights(&self) -> usize {
        self.parts[0].0.n_weights()
    }

    fn value(&self, weights: &[f64]) -> f64 {
        match &self.quadratic {
            Some(form) => form.loss(weights),
            None => self.parts.iter().map(|(part, share)| share * part.value(weights)).sum(),
        }
    }

    fn slope(&self, weights: &[f64]) -> Option<Slope> {
        if let Some(form) = &self.quadratic {
            let Curve { value, gradient, .. } = form.curve(weights);
            return Some(Slope { value, gradient });
        }
        let mut mean = Slope { value: 0.0, gradient: vec![0.0; weights.len()] };
        for (part, share) in &self.parts {
            let slope = part.slope(weights)?;
            mean.value += share * slope.value;
            mean.gradient.iter_mut().zip(slope.gradient).for_each(|(a, b)| *a += share * b);
        }
        Some(mean)
    }

    fn curve(&self, weights: &[f64]) -> Option<Curve> {
        if let Some(form) = &self.quadratic {
            return Some(form.curve(weights));
        }
        let n = weights.len();
        let mut mean = Curve { value: 0.0, gradient: vec![0.0; n], hessian: vec![0.0; n * n] };
        for (part, share) in &self.parts {
            let curve = part.curve(weights)?;
            mean.value += share * curve.value;
            mean.gradient.iter_mut().zip(curve.gradient).for_each(|(a, b)| *a += share * b);
            mean.hessian.iter_mut().zip(curve.hessian).for_each(|(a, b)| *a += share * b);
        }
        Some(mean)
    }

    fn is_convex(&self) -> bool {
        self.parts.iter().all(|(part, _)| part.is_convex())
    }

    fn is_smooth(&self) -> bool {
        self.parts.iter().all(|(part, _)| part.is_smooth())
    }

    fn mass(&self) -> Option<f64> {
        self.parts.iter().map(|(part, _)| part.mass()).sum()
    }

    fn quadratic(&self) -> Option<Quadratic> {
        self.quadratic.clone()
    }

    fn effort(&self) -> Effort {
        Effort::default()
    }
}

/// A loss that is asked again and again for its derivatives at one point, and computes them once.
pub(crate) struct Remembered<'a> {
    inner: Box<dyn Objective + 'a>,
    at: Vec<f64>,
    curve: OnceLock<Option<Curve>>,
}

impl<'a> Remembered<'a> {
    pub(crate) fn new(inner: Box<dyn Objective + 'a>, at: &[f64]) -> Self {
        Self { inner, at: at.to_vec(), curve: OnceLock::new() }
    }
}

impl Objective for Remembered<'_> {
    fn n_weights(&self) -> usize {
        self.inner.n_weights()
    }

    fn value(&self, weights: &[f64]) -> f64 {
        self.inner.value(weights)
    }

    fn slope(&self, weights: &[f64]) -> Option<Slope> {
        self.inner.slope(weights)
    }

    fn curve(&self, weights: &[f64]) -> Option<Curve> {
        if weights == self.at {
            return self.curve.get_or_init(|| self.inner.curve(weights)).clone();
        }
        self.inner.curve(weights)
    }

    fn is_convex(&self) -> bool {
        self.inner.is_convex()
    }

    fn is_smooth(&self) -> bool {
        self.inner.is_smooth()
    }

    fn mass(&self) -> Option<f64> {
        self.inner.mass()
    }

    fn quadratic(&self) -> Option<Quadratic> {
        self.inner.quadratic()
    }

    fn effort(&self) -> Effort {
        self.inner.effort()
    }
}

//! A loss of some of the members, all others without weight: for losses whose evaluation reads no data.

use super::{Curve, Effort, Objective, Quadratic, Slope};

pub(crate) struct Part<'a> {
    whole: &'a dyn Objective,
    members: Vec<usize>,
}

impl<'a> Part<'a> {
    /// `members` are positions in `whole`.
    pub(crate) fn new(whole: &'a dyn Objective, members: Vec<usize>) -> Self {
        Self { whole, members }
    }

    fn spread(&self, weights: &[f64]) -> Vec<f64> {
        let mut all = vec![0.0; self.whole.n_weights()];
        self.members.iter().zip(weights).for_each(|(&member, weight)| all[member] = *weight);
        all
    }

    fn pick(&self, vector: &[f64]) -> Vec<f64> {
        self.members.iter().map(|&member| vector[member]).collect()
    }

    fn pick_square(&self, matrix: &[f64]) -> Vec<f64> {
        let n = self.whole.n_weights();
        self.members.iter().flat_map(|&i| self.members.iter().map(move |&j| matrix[i * n + j])).collect()
    }
}

impl Objective for Part<'_> {
    fn n_weights(&self) -> usize {
        self.members.len()
    }

    fn value(&self, weights: &[f64]) -> f64 {
        self.whole.value(&self.spread(weights))
    }

    fn slope(&self, weights: &[f64]) -> Option<Slope> {
        let slope = self.whole.slope(&self.spread(weights))?;
        Some(Slope { gradient: self.pick(&slope.gradient), ..slope })
    }

    fn curve(&self, weights: &[f64]) -> Option<Curve> {
        let Curve { value, gradient, hessian } = self.whole.curve(&self.spread(weights))?;
        Some(Curve { value, gradient: self.pick(&gradient), hessian: self.pick_square(&hessian) })
    }

    fn is_convex(&self) -> bool {
        self.whole.is_convex()
    }

    fn is_smooth(&self) -> bool {
        self.whole.is_smooth()
    }

    fn quadratic(&self) -> Option<Quadratic> {
        let form = self.whole.quadratic()?;
        Some(Quadratic { gram: self.pick_square(&form.gram), linear: self.pick(&form.linear), ..form })
    }

    /// Its evaluations are counted where they happen.
    fn effort(&self) -> Effort {
        Effort::default()
    }
}

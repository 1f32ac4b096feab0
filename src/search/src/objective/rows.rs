//! Means over rows of losses that see all outputs of a row: softmax of logarithms, angles between vectors.

use super::{Curve, Effort, Meter, Objective, Slope, feed::Feed};
use blend_core::{
    Block,
    judge::{RowCurvature, RowLoss},
    num,
};
use rayon::prelude::*;

pub(crate) struct RowObjective<'a> {
    feed: Feed<'a>,
    loss: Box<dyn RowLoss + 'a>,
    meter: Meter,
}

struct Sums {
    value: f64,
    gradient: Vec<f64>,
    hessian: Vec<f64>,
}

impl<'a> RowObjective<'a> {
    pub(crate) fn new(feed: Feed<'a>, loss: Box<dyn RowLoss + 'a>) -> Self {
        Self { feed, loss, meter: Meter::default() }
    }

    fn blocks<T: Send>(&self, each: impl Fn(&[Block], usize) -> T + Sync) -> Vec<T> {
        let members = self.feed.n_members();
        (0..self.feed.n_blocks())
            .into_par_iter()
            .map_init(
                || vec![Block::default(); members],
                |entered, block| {
                    for (member, out) in entered.iter_mut().enumerate() {
                        self.feed.columns(member, block, out);
                    }
                    each(entered, self.feed.extent(block).0)
                },
            )
            .collect()
    }

    fn sums(&self, weights: &[f64], want_hessian: bool) -> Sums {
        self.meter.pass(1);
        let k = weights.len();
        let parts = self.blocks(|entered, start| {
            let u = mix(entered, weights);
            let mut d = Block::default();
            let mut curvature = want_hessian.then(RowCurvature::default);
            let value = self.loss.slope(start, &u, &mut d, curvature.as_mut());
            let gradient = entered.iter().map(|x| num::dot(d.values(), x.values())).collect();
            let hessian = curvature.map_or_else(Vec::new, |curvature| hessian(entered, &curvature));
            Sums { value, gradient, hessian }
        });
        let mut total =
            Sums { value: 0.0, gradient: vec![0.0; k], hessian: vec![0.0; if want_hessian { k * k } else { 0 }] };
        for part in parts {
            total.value += part.value;
            total.gradient.iter_mut().zip(part.gradient).for_each(|(a, b)| *a += b);
            total.hessian.iter_mut().zip(part.hessian).for_each(|(a, b)| *a += b);
        }
        let mass = self.loss.mass();
        total.value /= mass;
        total.gradient.iter_mut().chain(&mut total.hessian).for_each(|x| *x /= mass);
        total
    }
}

fn mix(entered: &[Block], weights: &[f64]) -> Block {
    let mut u = Block::new(entered[0].n_outputs(), entered[0].n_rows());
    for (x, &w) in entered.iter().zip(weights).filter(|(_, w)| **w != 0.0) {
        u.add_scaled(w, x);
    }
    u
}

/// `sum over rows of X' (diag + sigma c c') X`.
fn hessian(entered: &[Block], curvature: &RowCurvature) -> Vec<f64> {
    let k = entered.len();
    let (n_outputs, n_rows) = (entered[0].n_outputs(), entered[0].n_rows());
    let along: Vec<Vec<f64>> = entered
        .iter()
        .map(|x| {
            let mut along = vec![0.0; n_rows];
            for output in 0..n_outputs {
                let cells = curvature.c.column(output).iter().zip(x.column(output));
                along.iter_mut().zip(cells).for_each(|(a, (c, x))| *a += c * x);
            }
            along
        })
        .collect();
    let mut hessian = vec![0.0; k * k];
    let mut scaled = Block::new(n_outputs, n_rows);
    for i in 0..k {
        let cells = curvature.diagonal.values().iter().zip(entered[i].values());
        scaled.values_mut().iter_mut().zip(cells).for_each(|(s, (h, x))| *s = h * x);
        let weighted: Vec<f64> = curvature.sigma.iter().zip(&along[i]).map(|(s, a)| s * a).collect();
        for j in 0..=i {
            let value = num::dot(scaled.values(), entered[j].values()) + num::dot(&weighted, &along[j]);
            hessian[i * k + j] = value;
            hessian[j * k + i] = value;
        }
    }
    hessian
}

impl Objective for RowObjective<'_> {
    fn n_weights(&self) -> usize {
        self.feed.n_members()
    }

    fn value(&self, weights: &[f64]) -> f64 {
        self.meter.pass(1);
        let parts = self.blocks(|entered, start| self.loss.value(start, &mix(entered, weights)));
        parts.into_iter().sum::<f64>() / self.loss.mass()
    }

    fn slope(&self, weights: &[f64]) -> Option<Slope> {
        let sums = self.sums(weights, false);
        Some(Slope { value: sums.value, gradient: sums.gradient })
    }

    fn curve(&self, weights: &[f64]) -> Option<Curve> {
        let sums = self.sums(weights, true);
        Some(Curve { value: sums.value, gradient: sums.gradient, hessian: sums.hessian })
    }

    fn toward(&self, weights: &[f64], step: f64) -> Vec<f64> {
        let k = weights.len();
        self.meter.pass(k);
        let parts = self.blocks(|entered, start| {
            let u = mix(entered, weights);
            let mut moved = u.clone();
            entered
                .iter()
                .map(|x| {
                    let cells = u.values().iter().zip(x.values());
                    moved.values_mut().iter_mut().zip(cells).for_each(|(m, (u, x))| *m = (1.0 - step) * u + step * x);
                    self.loss.value(start, &moved)
                })
                .collect::<Vec<f64>>()
        });
        let mut totals = vec![0.0; k];
        parts.into_iter().for_each(|part| totals.iter_mut().zip(part).for_each(|(a, b)| *a += b));
        totals.iter_mut().for_each(|total| *total /= self.loss.mass());
        totals
    }

    fn is_convex(&self) -> bool {
        self.loss.is_convex()
    }

    fn is_smooth(&self) -> bool {
        true
    }

    fn mass(&self) -> Option<f64> {
        Some(self.loss.mass())
    }

    fn effort(&self) -> Effort {
        self.meter.effort()
    }
}

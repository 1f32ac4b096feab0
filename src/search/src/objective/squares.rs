//! Squared errors from Gram matrices: one pass over the data, after which an evaluation costs K^2.

use super::{
    Curve, Effort, Meter, Objective, Quadratic, Slope,
    feed::{Feed, Reader},
    kernels,
};
use blend_core::{
    judge::{Combine, Squares},
    num,
};
use rayon::prelude::*;

/// One column's mean squared error `w' G w - 2 b . w + c`.
struct Form {
    gram: Vec<f64>,
    linear: Vec<f64>,
    constant: f64,
}

/// Bytes that partial sums may take.
const PARTIAL_BYTES: usize = 8 << 20;

pub(crate) struct SquareObjective {
    forms: Vec<Form>,
    combine: Combine,
    n: usize,
    mass: f64,
    meter: Meter,
}

impl SquareObjective {
    /// Takes the Gram matrices. With `sums_to_one` they are those of the errors `x_k - y` themselves: as the weights
    /// sum to one, so do the errors, and no digits are lost to the size of the targets.
    pub(crate) fn new(feed: &Feed<'_>, loss: &Squares<'_>, sums_to_one: bool) -> Self {
        let k = feed.n_members();
        let meter = Meter::default();
        meter.pass(0);
        let mass = loss.weights.map_or(loss.targets[0].len() as f64, num::sum);
        let side = (k + 2).next_multiple_of(kernels::TILE);
        let n_outputs = loss.targets.len();
        // Each column's sums in several parts, whose number is a function of the problem alone.
        let n_parts = (PARTIAL_BYTES / (8 * side * side * n_outputs)).clamp(1, feed.n_blocks().max(1));
        let local = feed.is_cell_local();
        let parts: Vec<Vec<f64>> = (0..n_outputs * n_parts)
            .into_par_iter()
            .map(|unit| {
                let (output, part) = (unit / n_parts, unit % n_parts);
                let target = &loss.targets[output];
                let shift = if sums_to_one { 0.0 } else { num::sum(target) / target.len() as f64 };
                let mut scratch = Scratch::new(k, side, shift);
                for block in part * feed.n_blocks() / n_parts..(part + 1) * feed.n_blocks() / n_parts {
                    scratch.block(feed, (block, output), local, target, loss.weights, sums_to_one);
                }
                scratch.gram
            })
            .collect();
        let forms = parts
            .chunks(n_parts)
            .map(|parts| {
                let mut gram = vec![0.0; side * side];
                parts.iter().for_each(|part| gram.iter_mut().zip(part).for_each(|(a, b)| *a += b));
                gram.iter_mut().for_each(|x| *x /= mass);
                Form::new(&kernels::symmetric(&gram, side, k + 2), k)
            })
            .collect();
        Self { forms, combine: loss.combine.clone(), n: k, mass, meter }
    }

    fn means(&self, weights: &[f64]) -> Vec<f64> {
        self.forms.iter().map(|form| form.value(weights)).collect()
    }
}

/// Sums of one column's products over some blocks. Rows of `x`: members, target, one; all less the target (or its
/// mean), so that numbers stay small.
struct Scratch {
    x: Vec<f64>,
    stride: usize,
    n_members: usize,
    side: usize,
    shift: f64,
    weights: Vec<f64>,
    scaled: Vec<f64>,
    reader: Reader,
    gram: Vec<f64>,
}

impl Scratch {
    fn new(n_members: usize, side: usize, shift: f64) -> Self {
        let stride = kernels::chunk_cells(side);
        Self {
            x: vec![0.0; side * stride],
            stride,
            n_members,
            side,
            shift,
            weights: vec![0.0; stride],
            scaled: vec![0.0; kernels::TILE * stride],
            reader: Reader::default(),
            gram: vec![0.0; side * side],
        }
    }

    fn block(
        &mut self,
        feed: &Feed<'_>,
        (block, output): (usize, usize),
        local: bool,
        target: &[f64],
        weights: Option<&[f64]>,
        sums_to_one: bool,
    ) {
        let (start, n) = feed.extent(block);
        let (k, stride) = (self.n_members, self.stride);
        for from in (0..n).step_by(stride) {
            let rows = from..(from + stride).min(n);
            let judged = start + rows.start..start + rows.end;
            let y = &target[judged.clone()];
            for member in 0..k {
                let out = &mut self.x[member * stride..member * stride + y.len()];
                if local {
                    let everywhere = (f64::NEG_INFINITY, f64::INFINITY);
                    feed.cells(member, (block, output), rows.clone(), everywhere, &mut self.reader, out);
                } else {
                    feed.columns(member, block, &mut self.reader.column);
                    out.copy_from_slice(&self.reader.column.column(output)[rows.clone()]);
                }
                if sums_to_one {
                    out.iter_mut().zip(y).for_each(|(x, y)| *x -= y);
                } else {
                    out.iter_mut().for_each(|x| *x -= self.shift);
                }
            }
            for (i, y) in y.iter().enumerate() {
                self.x[k * stride + i] = if sums_to_one { 0.0 } else { y - self.shift };
                self.x[(k + 1) * stride + i] = self.shift;
            }
            self.weights.fill(0.0);
            match weights {
                Some(weights) => self.weights[..y.len()].copy_from_slice(&weights[judged]),
                None => self.weights[..y.len()].fill(1.0),
            }
            let whole = kernels::padded(y.len());
            kernels::add_hessian(&self.x, stride, &self.weights[..whole], &mut self.scaled, &mut self.gram, self.side);
        }
    }
}

impl Form {
    /// `u - y = sum_k w_k (x_k - m) - (y - m) - m (1 - sum_k w_k)`: with `x` the first k rows of the Gram matrix, `y` the
    /// next and the constant `m` the last.
    fn new(gram: &[f64], k: usize) -> Self {
        let (y, m) = (k, k + 1);
        let at = |i: usize, j: usize| gram[i * (k + 2) + j];
        let member = |i: usize, j: usize| at(i, j) + (at(i, m) + at(j, m)) + at(m, m);
        Self {
            gram: (0..k * k).map(|cell| member(cell / k, cell % k)).collect(),
            linear: (0..k).map(|i| at(i, y) + at(m, y) + at(i, m) + at(m, m)).collect(),
            constant: at(y, y) + 2.0 * at(y, m) + at(m, m),
        }
    }

    fn value(&self, weights: &[f64]) -> f64 {
        let n = weights.len();
        let mut total = self.constant;
        for i in (0..n).filter(|&i| weights[i] != 0.0) {
            let row: f64 = (0..n).map(|j| self.gram[i * n + j] * weights[j]).sum();
            total += weights[i] * (row - 2.0 * self.linear[i]);
        }
        total.max(0.0)
    }

    fn gradient(&self, weights: &[f64]) -> Vec<f64> {
        let n = weights.len();
        (0..n)
            .map(|i| 2.0 * ((0..n).map(|j| self.gram[i * n + j] * weights[j]).sum::<f64>() - self.linear[i]))
            .collect()
    }
}

impl Objective for SquareObjective {
    fn n_weights(&self) -> usize {
        self.n
    }

    fn value(&self, weights: &[f64]) -> f64 {
        self.meter.free();
        self.combine.value(&self.means(weights))
    }

    fn slope(&self, weights: &[f64]) -> Option<Slope> {
        self.curve(weights).map(|curve| Slope { value: curve.value, gradient: curve.gradient })
    }

    fn curve(&self, weights: &[f64]) -> Option<Curve> {
        self.meter.free();
        let (n, columns) = (self.n, self.forms.len() as f64);
        let means = self.means(weights);
        let mut curve = Curve { value: self.combine.value(&means), gradient: vec![0.0; n], hessian: vec![0.0; n * n] };
        let total: f64 = means.iter().sum::<f64>() / columns;
        for (t, form) in self.forms.iter().enumerate() {
            // The loss's first and second derivative by this column's mean.
            let (first, second) = match &self.combine {
                Combine::Mean => (1.0 / columns, 0.0),
                Combine::RootOfMean => (0.5 / (total.sqrt().max(1e-150) * columns), 0.0),
                Combine::MeanOfRoots => {
                    let root = means[t].sqrt().max(1e-150);
                    (0.5 / (root * columns), -0.25 / (root * means[t].max(1e-300) * columns))
                }
                Combine::MinusR2(variances) => (1.0 / (variances[t] * columns), 0.0),
            };
            let gradient = form.gradient(weights);
            curve.gradient.iter_mut().zip(&gradient).for_each(|(out, g)| *out += first * g);
            for i in 0..n {
                for j in 0..n {
                    curve.hessian[i * n + j] +=
                        first * 2.0 * form.gram[i * n + j] + second * (gradient[i] * gradient[j]);
                }
            }
        }
        if self.combine == Combine::RootOfMean {
            // d2 sqrt(m) = m''/(2 sqrt m) - m' m' / (4 m^1.5), and the gradient already is m' / (2 sqrt m).
            let value = curve.value.max(1e-150);
            for i in 0..n {
                for j in 0..n {
                    curve.hessian[i * n + j] -= curve.gradient[i] * curve.gradient[j] / value;
                }
            }
        }
        Some(curve)
    }

    fn is_convex(&self) -> bool {
        true
    }

    fn is_smooth(&self) -> bool {
        true
    }

    fn mass(&self) -> Option<f64> {
        self.combine.linear_weights(self.forms.len()).map(|_| self.mass)
    }

    fn quadratic(&self) -> Option<Quadratic> {
        let shares = self.combine.linear_weights(self.forms.len())?;
        let n = self.n;
        let mut total = Quadratic { gram: vec![0.0; n * n], linear: vec![0.0; n], constant: 0.0, rooted: false };
        for (form, share) in self.forms.iter().zip(&shares) {
            total.gram.iter_mut().zip(&form.gram).for_each(|(out, g)| *out += share * g);
            total.linear.iter_mut().zip(&form.linear).for_each(|(out, b)| *out += share * b);
            total.constant += share * form.constant;
        }
        total.rooted = matches!(self.combine, Combine::RootOfMean | Combine::MeanOfRoots);
        if matches!(self.combine, Combine::MinusR2(_)) {
            total.constant -= 1.0;
        }
        Some(total)
    }

    fn effort(&self) -> Effort {
        self.meter.effort()
    }
}

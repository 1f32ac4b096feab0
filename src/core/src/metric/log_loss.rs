//! Binary log loss, averaged over rows and columns.
//!
//! `-(y ln p + (1 - y) ln(1 - p))`, p clipped to `[clip, 1 - clip]`, in nats. The mean over columns equals the mean of
//! column-wise losses because every column has all rows. Labels may be shares in [0, 1].
//!
//! Sums of logarithms are taken as logarithms of products: with probabilities of at least 1e-15, sixteen factors stay
//! above 1e-240, so one logarithm serves sixteen cells.

use super::{BindError, Info, Metric, MetricSpec, SpecError, Target, clip, wrong_kind};
use crate::{
    block::Block,
    judge::{Additive, Bound, Cells, Judge, Preparation, Smooth},
    num::{self, LANES},
    output::OutputKind,
    score::Direction,
    space::SpaceName,
    truth::{LabelValues, Labels},
};
use multiversion::multiversion;

pub(super) const INFO: Info = Info {
    name: "log_loss",
    formula: "mean over rows and columns of -(y ln p + (1 - y) ln(1 - p)), p clipped to [clip, 1 - clip]",
    unit: "nats",
    range: (0.0, f64::INFINITY),
    optimum: 0.0,
    direction: Direction::Lower,
    source: "Good 1952; scikit-learn log_loss; Kaggle lish-moa",
    target: Target::Binary,
    options: &["clip"],
    space: SpaceName::Linear,
    predictions: &[OutputKind::Probability],
};

pub(super) fn build(spec: &MetricSpec) -> Result<Box<dyn Metric>, SpecError> {
    let clip = clip(spec, INFO.name)?;
    // Below half an epsilon 1 - clip is 1, and the logarithm of what is left of it has no value.
    if 1.0 - clip == 1.0 {
        let wanted = "above 1e-16, below 0.5";
        return Err(SpecError::Value { metric: INFO.name, option: "clip", value: clip.to_string(), wanted });
    }
    Ok(Box::new(LogLoss { clip }))
}

struct LogLoss {
    clip: f64,
}

impl Metric for LogLoss {
    fn info(&self) -> &'static Info {
        &INFO
    }

    fn label(&self) -> String {
        format!("log_loss(clip={:e})", self.clip)
    }

    fn bind(&self, labels: Labels) -> Result<Box<dyn Bound>, BindError> {
        let targets = match labels.values {
            LabelValues::Binary(columns) => Targets::Hard(columns),
            LabelValues::Real(columns) => {
                if let Some(y) = columns.iter().flatten().find(|y| !(0.0..=1.0).contains(*y)) {
                    return Err(BindError::Undefined {
                        metric: INFO.name,
                        why: format!("a label is {y}, outside [0, 1]"),
                    });
                }
                let hard = columns.iter().flatten().all(|y| *y == 0.0 || *y == 1.0);
                if hard {
                    Targets::Hard(columns.into_iter().map(|c| c.into_iter().map(|y| y as u8).collect()).collect())
                } else {
                    Targets::Soft(columns)
                }
            }
            _ => return Err(wrong_kind(&INFO, &labels)),
        };
        Ok(Box::new(BoundLogLoss { targets, weights: labels.weights, clip: self.clip }))
    }
}

enum Targets {
    Hard(Vec<Vec<u8>>),
    Soft(Vec<Vec<f64>>),
}

struct BoundLogLoss {
    targets: Targets,
    weights: Option<Vec<f64>>,
    clip: f64,
}

impl BoundLogLoss {
    fn mass(&self) -> f64 {
        let rows = self.weights.as_ref().map_or(self.n_rows() as f64, |w| num::sum(w));
        rows * self.n_outputs() as f64
    }

    fn row_weights(&self, start: usize, n: usize) -> Option<&[f64]> {
        self.weights.as_ref().map(|w| &w[start..start + n])
    }
}

impl Bound for BoundLogLoss {
    fn n_rows(&self) -> usize {
        match &self.targets {
            Targets::Hard(columns) => columns[0].len(),
            Targets::Soft(columns) => columns[0].len(),
        }
    }

    fn n_outputs(&self) -> usize {
        match &self.targets {
            Targets::Hard(columns) => columns.len(),
            Targets::Soft(columns) => columns.len(),
        }
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

    fn preparation(&self) -> Preparation {
        Preparation { clip: self.clip, renormalize: false }
    }

    fn smooth(&self, space: SpaceName) -> Option<Smooth<'_>> {
        match space {
            SpaceName::Linear => Some(Smooth::Cells(Box::new(Linear(self)))),
            SpaceName::Logit => Some(Smooth::Cells(Box::new(Logit(self)))),
            _ => None,
        }
    }
}

impl Additive for BoundLogLoss {
    fn n_terms(&self) -> usize {
        1
    }

    fn terms(&self, start: usize, prediction: &Block, out: &mut Block) {
        let n = prediction.n_rows();
        let total = out.column_mut(0);
        total.fill(0.0);
        let (low, high) = (self.clip, 1.0 - self.clip);
        match &self.targets {
            // One logarithm for the likelihoods of several outputs.
            Targets::Hard(columns) => {
                let mut product = vec![1.0; n];
                for (output, y) in columns.iter().enumerate() {
                    multiply(prediction.column(output), &y[start..start + n], (low, high), &mut product);
                    if (output + 1) % FACTORS == 0 || output + 1 == columns.len() {
                        num::ln_all(&mut product);
                        total.iter_mut().zip(&product).for_each(|(t, log)| *t -= log);
                        product.fill(1.0);
                    }
                }
            }
            Targets::Soft(columns) => {
                for (output, y) in columns.iter().enumerate() {
                    let cells = prediction.column(output).iter().zip(&y[start..start + n]);
                    for (t, (&p, &y)) in total.iter_mut().zip(cells) {
                        let p = p.clamp(low, high);
                        *t -= y * num::ln(p) + (1.0 - y) * num::ln(1.0 - p);
                    }
                }
            }
        }
        let n_outputs = prediction.n_outputs() as f64;
        total.iter_mut().for_each(|t| *t /= n_outputs);
    }

    fn row_weights(&self) -> Option<&[f64]> {
        self.weights.as_deref()
    }

    fn finish(&self, means: &[f64]) -> f64 {
        means[0]
    }
}

/// The loss as a function of the blended probability: `d = (u - y) / (u (1 - u))`, `h = y / u^2 + (1 - y) / (1 - u)^2`.
struct Linear<'a>(&'a BoundLogLoss);

/// The loss as a function of the blended log odds: `softplus(u) - y u`, `d = sigmoid(u) - y`, `h = sigmoid(u)(1 - sigmoid(u))`.
struct Logit<'a>(&'a BoundLogLoss);

/// Derivatives are wanted or not.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Want {
    Value,
    Slope,
    Curve,
}

impl Linear<'_> {
    fn run(&self, output: usize, start: usize, u: &[f64], d: &mut [f64], h: &mut [f64], want: Want) -> f64 {
        let n = u.len();
        let weights = self.0.row_weights(start, n);
        match &self.0.targets {
            Targets::Hard(columns) => {
                let y = &columns[output][start..start + n];
                match weights {
                    None => hard_linear(u, y, d, h, want),
                    Some(s) => soft_linear(u, |i| f64::from(y[i]), |i| s[i], d, h, want),
                }
            }
            Targets::Soft(columns) => {
                let y = &columns[output][start..start + n];
                match weights {
                    None => soft_linear(u, |i| y[i], |_| 1.0, d, h, want),
                    Some(s) => soft_linear(u, |i| y[i], |i| s[i], d, h, want),
                }
            }
        }
    }
}

/// Multiplies each row's product by the likelihood of one output's label.
#[multiversion(targets("x86_64+avx512f+avx512dq+avx512vl+avx512bw", "x86_64+avx2"))]
fn multiply(p: &[f64], y: &[u8], (low, high): (f64, f64), product: &mut [f64]) {
    for ((product, &p), &y) in product.iter_mut().zip(p).zip(y) {
        let p = if p < low { low } else { p };
        let p = if p > high { high } else { p };
        let y = f64::from(y);
        *product *= (1.0 - y) - (1.0 - 2.0 * y) * p;
    }
}

/// Factors of a product before its logarithm is taken: 1e-15 to the 16th is far above the smallest number.
const FACTORS: usize = 16;

/// Hard labels, equal weights: the hot loop.
#[multiversion(targets("x86_64+avx512f+avx512dq+avx512vl+avx512bw", "x86_64+avx2"))]
fn hard_linear(u: &[f64], y: &[u8], d: &mut [f64], h: &mut [f64], want: Want) -> f64 {
    match want {
        Want::Value => products::<VALUE>(u, y, d, h),
        Want::Slope => products::<SLOPE>(u, y, d, h),
        Want::Curve => products::<CURVE>(u, y, d, h),
    }
}

const VALUE: u8 = 0;
const SLOPE: u8 = 1;
const CURVE: u8 = 2;

#[inline(always)]
fn products<const WANT: u8>(u: &[f64], y: &[u8], d: &mut [f64], h: &mut [f64]) -> f64 {
    const GROUP: usize = FACTORS * LANES;
    let mut total = [0.0; LANES];
    let mut extremes = ([f64::INFINITY; LANES], [0.0; LANES]);
    for (group, (u, y)) in u.chunks(GROUP).zip(y.chunks(GROUP)).enumerate() {
        let mut product = [1.0; LANES];
        let ((u_lanes, u_rest), (y_lanes, y_rest)) = (u.as_chunks::<LANES>(), y.as_chunks::<LANES>());
        let mut at = group * GROUP;
        for (u, y) in u_lanes.iter().zip(y_lanes) {
            let slope = lanes(u, y, &mut product, &mut extremes);
            if WANT != VALUE {
                d[at..at + LANES].copy_from_slice(&slope);
            }
            if WANT == CURVE {
                h[at..at + LANES].iter_mut().zip(&slope).for_each(|(h, slope)| *h = slope * slope);
            }
            at += LANES;
        }
        if !u_rest.is_empty() {
            // Filled up with certain negatives, whose likelihood is 1.
            let (mut u_last, mut y_last) = ([0.0; LANES], [0; LANES]);
            u_last[..u_rest.len()].copy_from_slice(u_rest);
            y_last[..y_rest.len()].copy_from_slice(y_rest);
            let slope = lanes(&u_last, &y_last, &mut product, &mut extremes);
            if WANT != VALUE {
                d[at..].copy_from_slice(&slope[..u_rest.len()]);
            }
            if WANT == CURVE {
                h[at..].iter_mut().zip(&slope).for_each(|(h, slope)| *h = slope * slope);
            }
        }
        // Members stay above the clip, a blend with weights near zero need not: then cell by cell.
        if product.iter().any(|p| *p < f64::MIN_POSITIVE) {
            product.fill(0.0);
            for (cell, (&u, &y)) in u.iter().zip(y).enumerate() {
                let likelihood: f64 = if y == 1 { u } else { 1.0 - u };
                product[cell % LANES] += num::ln(likelihood.max(0.0));
            }
        } else {
            num::ln_all(&mut product);
        }
        for lane in 0..LANES {
            total[lane] -= product[lane];
        }
    }
    let (lowest, highest) = extremes;
    let outside = lowest.iter().any(|l| *l <= 0.0) || highest.iter().any(|h| *h > 1.0);
    if outside { f64::INFINITY } else { num::fold(&total) }
}

/// Takes the likelihoods of some cells into the products and gives the derivatives of their loss.
#[inline(always)]
fn lanes(
    u: &[f64; LANES],
    y: &[u8; LANES],
    product: &mut [f64; LANES],
    (lowest, highest): &mut ([f64; LANES], [f64; LANES]),
) -> [f64; LANES] {
    let mut slope = [0.0; LANES];
    for lane in 0..LANES {
        // y = 1: u, y = 0: 1 - u; the sign is that of the derivative.
        let y = f64::from(y[lane]);
        let sign = 1.0 - 2.0 * y;
        let likelihood = (1.0 - y) - sign * u[lane];
        product[lane] *= likelihood;
        lowest[lane] = if likelihood < lowest[lane] { likelihood } else { lowest[lane] };
        highest[lane] = if likelihood > highest[lane] { likelihood } else { highest[lane] };
        slope[lane] = sign / likelihood;
    }
    slope
}

fn soft_linear(
    u: &[f64],
    y: impl Fn(usize) -> f64,
    s: impl Fn(usize) -> f64,
    d: &mut [f64],
    h: &mut [f64],
    want: Want,
) -> f64 {
    let mut total = 0.0;
    for (i, &u) in u.iter().enumerate() {
        let (y, s) = (y(i), s(i));
        if !(u > 0.0 && u < 1.0) {
            return f64::INFINITY;
        }
        total -= s * (y * num::ln(u) + (1.0 - y) * num::ln(1.0 - u));
        if want != Want::Value {
            d[i] = s * ((1.0 - y) / (1.0 - u) - y / u);
        }
        if want == Want::Curve {
            h[i] = s * (y / (u * u) + (1.0 - y) / ((1.0 - u) * (1.0 - u)));
        }
    }
    total
}

impl Cells for Linear<'_> {
    fn mass(&self) -> f64 {
        self.0.mass()
    }

    fn member_range(&self) -> Option<(f64, f64)> {
        Some((self.0.clip, 1.0 - self.0.clip))
    }

    fn value(&self, output: usize, start: usize, u: &[f64]) -> f64 {
        self.run(output, start, u, &mut [], &mut [], Want::Value)
    }

    fn slope(&self, output: usize, start: usize, u: &[f64], d: &mut [f64]) -> f64 {
        self.run(output, start, u, d, &mut [], Want::Slope)
    }

    fn curve(&self, output: usize, start: usize, u: &[f64], d: &mut [f64], h: &mut [f64]) -> f64 {
        self.run(output, start, u, d, h, Want::Curve)
    }

    fn is_convex(&self) -> bool {
        true
    }

    fn hard_labels(&self, output: usize) -> Option<&[u8]> {
        match &self.0.targets {
            Targets::Hard(columns) if self.0.weights.is_none() => Some(&columns[output]),
            _ => None,
        }
    }
}

impl Logit<'_> {
    fn run(&self, output: usize, start: usize, u: &[f64], d: &mut [f64], h: &mut [f64], want: Want) -> f64 {
        let n = u.len();
        let weights = self.0.row_weights(start, n);
        match &self.0.targets {
            Targets::Hard(columns) => logit(u, Column::Hard(&columns[output][start..start + n]), weights, d, h, want),
            Targets::Soft(columns) => logit(u, Column::Soft(&columns[output][start..start + n]), weights, d, h, want),
        }
    }
}

enum Column<'a> {
    Hard(&'a [u8]),
    Soft(&'a [f64]),
}

#[multiversion(targets("x86_64+avx512f+avx512dq+avx512vl+avx512bw", "x86_64+avx2"))]
fn logit(u: &[f64], y: Column<'_>, weights: Option<&[f64]>, d: &mut [f64], h: &mut [f64], want: Want) -> f64 {
    const CHUNK: usize = 256;
    let mut total = 0.0;
    let (mut e, mut target, mut loss) = ([0.0; CHUNK], [0.0; CHUNK], [0.0; CHUNK]);
    for start in (0..u.len()).step_by(CHUNK) {
        let n = CHUNK.min(u.len() - start);
        let u = &u[start..start + n];
        match &y {
            Column::Hard(y) => target[..n].iter_mut().zip(&y[start..]).for_each(|(t, &y)| *t = f64::from(y)),
            Column::Soft(y) => target[..n].copy_from_slice(&y[start..start + n]),
        }
        e[..n].iter_mut().zip(u).for_each(|(e, &u)| *e = -u.abs());
        num::exp_all(&mut e[..n]);
        if want != Want::Value {
            for i in 0..n {
                let small = e[i] / (1.0 + e[i]);
                let sigma = if u[i] >= 0.0 { 1.0 - small } else { small };
                d[start + i] = sigma - target[i];
                if want == Want::Curve {
                    h[start + i] = small * (1.0 - small);
                }
            }
        }
        // softplus(u) - y u = ln(1 + e^-|u|) + max(u, 0) - y u; the logarithm keeps the small e by log1p's correction.
        for i in 0..n {
            loss[i] = 1.0 + e[i];
            e[i] -= loss[i] - 1.0;
        }
        for i in 0..n {
            e[i] = e[i] / loss[i] + u[i].max(0.0) - target[i] * u[i];
        }
        num::ln_all(&mut loss[..n]);
        for i in 0..n {
            loss[i] += e[i];
        }
        match weights {
            None => total += num::sum(&loss[..n]),
            Some(s) => {
                let s = &s[start..start + n];
                total += num::dot(&loss[..n], s);
                if want != Want::Value {
                    d[start..start + n].iter_mut().zip(s).for_each(|(d, s)| *d *= s);
                }
                if want == Want::Curve {
                    h[start..start + n].iter_mut().zip(s).for_each(|(h, s)| *h *= s);
                }
            }
        }
    }
    total
}

impl Cells for Logit<'_> {
    fn mass(&self) -> f64 {
        self.0.mass()
    }

    fn member_range(&self) -> Option<(f64, f64)> {
        None
    }

    fn value(&self, output: usize, start: usize, u: &[f64]) -> f64 {
        self.run(output, start, u, &mut [], &mut [], Want::Value)
    }

    fn slope(&self, output: usize, start: usize, u: &[f64], d: &mut [f64]) -> f64 {
        self.run(output, start, u, d, &mut [], Want::Slope)
    }

    fn curve(&self, output: usize, start: usize, u: &[f64], d: &mut [f64], h: &mut [f64]) -> f64 {
        self.run(output, start, u, d, h, Want::Curve)
    }

    fn is_convex(&self) -> bool {
        true
    }
}

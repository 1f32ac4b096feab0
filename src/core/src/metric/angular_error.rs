//! Mean angle between the predicted and the true direction.

// Lanes of several arrays are walked side by side.
#![allow(clippy::needless_range_loop)]

use super::{BindError, Info, Metric, Target, wrong_kind};
use crate::{
    block::Block,
    judge::{Additive, Bound, Judge, RowCurvature, RowLoss, Smooth},
    num,
    output::OutputKind,
    score::Direction,
    space::{SpaceName, tame},
    truth::{LabelValues, Labels},
};
use multiversion::multiversion;
use std::ops::Range;

pub(super) const INFO: Info = Info {
    name: "angular_error",
    formula: "mean over rows of the angle between v and n: atan2(|v x n|, v . n)",
    unit: "radians",
    range: (0.0, std::f64::consts::PI),
    optimum: 0.0,
    direction: Direction::Lower,
    source: "Kaggle icecube-neutrinos-in-deep-ice",
    target: Target::Direction,
    options: &[],
    space: SpaceName::Vector,
    predictions: &[OutputKind::Vector],
};

pub(super) struct AngularError;

impl Metric for AngularError {
    fn info(&self) -> &'static Info {
        &INFO
    }

    fn bind(&self, labels: Labels) -> Result<Box<dyn Bound>, BindError> {
        let LabelValues::Directions(truth) = labels.values else { return Err(wrong_kind(&INFO, &labels)) };
        let component = |i: usize| truth.iter().map(|n| n[i]).collect();
        let truth = Block::from_columns(&[component(0), component(1), component(2)]);
        Ok(Box::new(BoundAngle { truth, weights: labels.weights }))
    }
}

struct BoundAngle {
    /// Shape `(3, n_rows)`.
    truth: Block,
    weights: Option<Vec<f64>>,
}

/// Rows that are judged side by side.
const WIDTH: usize = 16;

/// A vector of each of these rows, component by component.
type Vectors = [[f64; WIDTH]; 3];

/// Rows of a block of vectors; those behind the last are z.
#[inline(always)]
fn vectors(block: &Block, from: usize) -> Vectors {
    let n = WIDTH.min(block.n_rows() - from);
    let mut vectors = [[0.0; WIDTH], [0.0; WIDTH], [1.0; WIDTH]];
    for (output, component) in vectors.iter_mut().enumerate() {
        component[..n].copy_from_slice(&block.column(output)[from..from + n]);
    }
    vectors
}

/// [`vectors`] whose squares neither overflow nor vanish; 1 for each that is as it was, 0 for those that were changed.
#[inline(always)]
fn tamed(block: &Block, from: usize) -> (Vectors, [f64; WIDTH]) {
    let (mut v, mut same) = (vectors(block, from), [1.0; WIDTH]);
    let mut tame_already = true;
    for row in 0..WIDTH {
        let largest = v[0][row].abs().max(v[1][row].abs()).max(v[2][row].abs());
        tame_already &= (1e-100..1e100).contains(&largest);
    }
    if !tame_already {
        for row in 0..WIDTH {
            let (before, after) = (at(&v, row), tame(at(&v, row)));
            same[row] = f64::from(u8::from(before == after));
            (0..3).for_each(|i| v[i][row] = after[i]);
        }
    }
    (v, same)
}

/// Where a vector `v` points relative to the true direction `n`.
struct Seen {
    /// `v x n`.
    cross: [f64; 3],
    /// Its length: `|v|` times the sine of the angle.
    across: f64,
    /// In [0, pi]; the two-argument arc tangent keeps its digits near 0 and pi where the arc cosine loses them.
    angle: f64,
}

#[inline(always)]
fn seen(v: [f64; 3], n: [f64; 3]) -> Seen {
    let cross = cross(v, n);
    let across = dot(cross, cross).sqrt();
    Seen { cross, across, angle: num::polar_angle(across, dot(v, n)) }
}

#[inline(always)]
fn cross(a: [f64; 3], b: [f64; 3]) -> [f64; 3] {
    [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]]
}

#[inline(always)]
fn dot(a: [f64; 3], b: [f64; 3]) -> f64 {
    a[0] * b[0] + a[1] * b[1] + a[2] * b[2]
}

#[inline(always)]
fn at(vectors: &Vectors, row: usize) -> [f64; 3] {
    [vectors[0][row], vectors[1][row], vectors[2][row]]
}

/// The angles between `v` and the rows of `n` from `start`.
#[multiversion(targets("x86_64+avx512f+avx512dq+avx512vl+avx512bw", "x86_64+avx2"))]
fn angles(v: &Block, n: &Block, start: usize, out: &mut [f64]) {
    for (group, out) in out.chunks_mut(WIDTH).enumerate() {
        let ((v, _), n) = (tamed(v, group * WIDTH), vectors(n, start + group * WIDTH));
        let mut angle = [0.0; WIDTH];
        for row in 0..WIDTH {
            angle[row] = seen(at(&v, row), at(&n, row)).angle;
        }
        out.copy_from_slice(&angle[..out.len()]);
    }
}

impl Bound for BoundAngle {
    fn n_rows(&self) -> usize {
        self.truth.n_rows()
    }

    fn n_outputs(&self) -> usize {
        3
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

    fn smooth(&self, space: SpaceName) -> Option<Smooth<'_>> {
        matches!(space, SpaceName::Vector | SpaceName::UnitVector).then(|| Smooth::Rows(Box::new(Angle(self))))
    }
}

impl Additive for BoundAngle {
    fn n_terms(&self) -> usize {
        1
    }

    fn terms(&self, start: usize, prediction: &Block, out: &mut Block) {
        angles(prediction, &self.truth, start, out.column_mut(0));
    }

    fn row_weights(&self) -> Option<&[f64]> {
        self.weights.as_deref()
    }

    fn finish(&self, means: &[f64]) -> f64 {
        means[0]
    }
}

/// The angle as a function of the blended vector, of any length.
///
/// With `t` the unit tangent at `v / |v|` towards `n` the gradient is `-t / |v|`. The angle itself has a kink at 0 and
/// its second derivatives are positive on hardly any row, so the curvature handed to the solver is that of half the
/// squared angle divided by the angle (iteratively reweighted least squares): `t t' / (angle |v|^2)`.
struct Angle<'a>(&'a BoundAngle);

/// Below this angle (radians) the curvature is capped.
const SMALLEST_ANGLE: f64 = 1e-3;

/// Losses and slopes of the rows from `start`, weighted by `weights`; curvature where asked.
#[multiversion(targets("x86_64+avx512f+avx512dq+avx512vl+avx512bw", "x86_64+avx2"))]
fn slopes(
    u: &Block,
    n: &Block,
    weights: Option<&[f64]>,
    start: usize,
    d: &mut Block,
    mut curvature: Option<&mut RowCurvature>,
) -> f64 {
    let mut total = [0.0; WIDTH];
    for from in (0..u.n_rows()).step_by(WIDTH) {
        let rows = from..(from + WIDTH).min(u.n_rows());
        let ((v, same), n) = (tamed(u, from), vectors(n, start + from));
        let mut s = [1.0; WIDTH];
        if let Some(weights) = weights {
            s[..rows.len()].copy_from_slice(&weights[start + rows.start..start + rows.end]);
        }
        s[rows.len()..].fill(0.0);
        let (mut tangent, mut size, mut angle) = ([[0.0; WIDTH]; 3], [0.0; WIDTH], [0.0; WIDTH]);
        for row in 0..WIDTH {
            let v = at(&v, row);
            let seen = seen(v, at(&n, row));
            let length = dot(v, v).sqrt();
            let towards = cross(seen.cross, v);
            // At 0 and pi, and where members cancel, there is no direction and 0 is as good as any.
            let sound = same[row] > 0.0 && seen.across > 1e-12 * length;
            size[row] = if sound { 1.0 / length } else { 0.0 };
            let scale = if sound { size[row] / seen.across } else { 0.0 };
            for i in 0..3 {
                tangent[i][row] = towards[i] * scale;
            }
            angle[row] = seen.angle;
        }
        for row in 0..WIDTH {
            total[row] += s[row] * angle[row];
        }
        if let Some(curvature) = curvature.as_deref_mut() {
            put(&mut curvature.c, rows.clone(), &tangent);
            for (row, sigma) in curvature.sigma[rows.clone()].iter_mut().enumerate() {
                *sigma = s[row] * size[row] * size[row] / angle[row].max(SMALLEST_ANGLE);
            }
        }
        for component in &mut tangent {
            for row in 0..WIDTH {
                component[row] *= -s[row] * size[row];
            }
        }
        put(d, rows, &tangent);
    }
    num::fold(&total)
}

#[inline(always)]
fn put(block: &mut Block, rows: Range<usize>, from: &Vectors) {
    for (i, component) in from.iter().enumerate() {
        block.column_mut(i)[rows.clone()].copy_from_slice(&component[..rows.len()]);
    }
}

impl RowLoss for Angle<'_> {
    fn mass(&self) -> f64 {
        self.0.weights.as_ref().map_or(self.0.truth.n_rows() as f64, |w| num::sum(w))
    }

    fn value(&self, start: usize, u: &Block) -> f64 {
        let mut each = vec![0.0; u.n_rows()];
        angles(u, &self.0.truth, start, &mut each);
        let weights = self.0.weights.as_ref().map(|weights| &weights[start..start + each.len()]);
        weights.map_or_else(|| num::sum(&each), |weights| num::dot(&each, weights))
    }

    fn slope(&self, start: usize, u: &Block, d: &mut Block, mut curvature: Option<&mut RowCurvature>) -> f64 {
        d.reshape(3, u.n_rows());
        if let Some(curvature) = curvature.as_deref_mut() {
            curvature.diagonal.reshape(0, u.n_rows());
            curvature.c.reshape(3, u.n_rows());
            curvature.sigma.resize(u.n_rows(), 0.0);
        }
        slopes(u, &self.0.truth, self.0.weights.as_deref(), start, d, curvature)
    }

    fn is_convex(&self) -> bool {
        false
    }
}

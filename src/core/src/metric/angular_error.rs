//! Mean angle between the predicted and the true direction.

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
        Ok(Box::new(BoundAngle { truth, weights: labels.weights }))
    }
}

struct BoundAngle {
    truth: Vec<[f64; 3]>,
    weights: Option<Vec<f64>>,
}

/// The angle in [0, pi]; the two-argument arc tangent keeps its digits near 0 and pi where the arc cosine loses them.
fn angle(v: [f64; 3], n: [f64; 3]) -> f64 {
    let v = tame(v);
    let cross = [v[1] * n[2] - v[2] * n[1], v[2] * n[0] - v[0] * n[2], v[0] * n[1] - v[1] * n[0]];
    libm::atan2(libm::sqrt(dot(cross, cross)), dot(v, n))
}

fn dot(a: [f64; 3], b: [f64; 3]) -> f64 {
    a[0] * b[0] + a[1] * b[1] + a[2] * b[2]
}

fn vector(block: &Block, row: usize) -> [f64; 3] {
    [block.get(0, row), block.get(1, row), block.get(2, row)]
}

impl BoundAngle {
    fn weight(&self, row: usize) -> f64 {
        self.weights.as_ref().map_or(1.0, |w| w[row])
    }
}

impl Bound for BoundAngle {
    fn n_rows(&self) -> usize {
        self.truth.len()
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
        for (row, out) in out.column_mut(0).iter_mut().enumerate() {
            *out = angle(vector(prediction, row), self.truth[start + row]);
        }
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
/// `d angle / dv = -(n - (n . e) e) / (|v| sin)`, `e = v / |v|`. The angle itself has a kink at 0, so the curvature
/// handed to the solver is that of half the squared angle divided by the angle (iteratively reweighted least squares):
/// `g g' / angle`, positive semidefinite.
struct Angle<'a>(&'a BoundAngle);

/// Below this angle (radians) the curvature is capped.
const SMALLEST_ANGLE: f64 = 1e-3;

impl RowLoss for Angle<'_> {
    fn mass(&self) -> f64 {
        self.0.weights.as_ref().map_or(self.0.truth.len() as f64, |w| num::sum(w))
    }

    fn value(&self, start: usize, u: &Block) -> f64 {
        let mut total = 0.0;
        for row in 0..u.n_rows() {
            total += self.0.weight(start + row) * angle(vector(u, row), self.0.truth[start + row]);
        }
        total
    }

    fn slope(&self, start: usize, u: &Block, d: &mut Block, mut curvature: Option<&mut RowCurvature>) -> f64 {
        d.reshape(3, u.n_rows());
        if let Some(curvature) = curvature.as_deref_mut() {
            curvature.diagonal.reshape(3, u.n_rows());
            curvature.diagonal.fill(0.0);
            curvature.sigma.clear();
        }
        let mut total = 0.0;
        for row in 0..u.n_rows() {
            let (v, n, s) = (vector(u, row), self.0.truth[start + row], self.0.weight(start + row));
            let theta = angle(v, n);
            total += s * theta;
            let length = libm::sqrt(dot(v, v));
            let e = v.map(|x| x / length.max(f64::MIN_POSITIVE));
            let cosine = dot(e, n);
            let across = [n[0] - cosine * e[0], n[1] - cosine * e[1], n[2] - cosine * e[2]];
            // |across| is the sine; at 0 and pi, and where members cancel, the derivative has no direction and 0 is as
            // good as any.
            let sine = libm::sqrt(dot(across, across));
            let scale = if sine > 1e-12 && length > 1e-100 { -s / (sine * length) } else { 0.0 };
            (0..3).for_each(|i| d.set(i, row, scale * across[i]));
            if let Some(curvature) = curvature.as_deref_mut() {
                // sigma c c' with c the weighted gradient.
                curvature.sigma.push(if s > 0.0 { 1.0 / (s * theta.max(SMALLEST_ANGLE)) } else { 0.0 });
            }
        }
        if let Some(curvature) = curvature {
            curvature.c.clone_from(d);
        }
        total
    }

    fn is_convex(&self) -> bool {
        false
    }
}

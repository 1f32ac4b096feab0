//! Whether predictions mean what they say: slope, intercept and reliability curve.
//!
//! For probabilities the recalibration is Cox's (1958): `ln(q / (1 - q)) = intercept + slope ln(p / (1 - p))` by maximum
//! likelihood, so slope 1 and intercept 0 are perfect, a slope below 1 is overconfidence. For values it is the least
//! squares line of the truth on the prediction. With several targets values are taken in standard deviations of their
//! target from its mean, so that targets of any unit lie on one curve.

use crate::{
    block::Block,
    num,
    prediction::{Predictions, Split},
    scope::RowSet,
    truth::{LabelValues, Labels},
};

/// How well predictions are calibrated.
#[derive(Debug, Clone, PartialEq)]
pub struct Calibration {
    /// What the curve is drawn on.
    pub scale: Scale,
    /// 1 is perfect.
    pub slope: f64,
    /// 0 is perfect.
    pub intercept: f64,
    /// Mean distance between what was predicted and what was observed, over the curve's points weighted by mass.
    pub error: f64,
    /// The reliability curve by ascending prediction, at most [`POINTS`] points of about equal information.
    pub curve: Vec<Point>,
}

/// What a reliability curve is drawn on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scale {
    /// Probabilities; slope and intercept are those of log odds.
    Probability,
    /// The target's own unit.
    Value,
    /// Standard deviations of each target from its mean.
    Standardized,
}

/// A point of a reliability curve.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Point {
    /// Mean prediction.
    pub predicted: f64,
    /// Mean truth.
    pub observed: f64,
    /// Sum of row weights; the number of cells where there are none.
    pub mass: f64,
}

/// Most points of a curve.
pub const POINTS: usize = 10;
/// Log odds are gathered in cells of this width; the means within a cell are kept, so what is lost is of second order.
const CELLS_PER_UNIT: f64 = 16.0;
/// Log odds beyond this are taken as this: probabilities next to 0 or 1 by less than 1e-15.
const WIDEST: f64 = 35.0;

/// The calibration of a member over `rows`, whose labels are `labels`; `None` where it has no meaning (directions,
/// ranks) or there is nothing to fit.
#[must_use]
pub fn calibration<S: Split>(member: &Predictions<S>, rows: &RowSet, labels: &Labels) -> Option<Calibration> {
    use crate::OutputKind::{ClassProbabilities, Probability, Value};
    let kind = member.encoding().kind.as_probability();
    match (&labels.values, kind) {
        (LabelValues::Binary(columns), Probability) => {
            probabilities(member, rows, labels, |output, row| f64::from(columns[output][row]))
        }
        (LabelValues::Real(columns), Probability | ClassProbabilities) => {
            probabilities(member, rows, labels, |output, row| columns[output][row])
        }
        (LabelValues::Class { labels: classes, .. }, Probability | ClassProbabilities) => {
            probabilities(member, rows, labels, |output, row| f64::from(u8::from(classes[row] as usize == output)))
        }
        (LabelValues::Real(columns), Value) => values(&member.natural(rows), columns, labels.weights.as_deref()),
        _ => None,
    }
}

/// Sums over cells of nearly equal log odds.
#[derive(Clone, Copy, Default)]
struct Cell {
    mass: f64,
    truth: f64,
    logit: f64,
    predicted: f64,
    /// Sum of `p (1 - p)`: what the cell tells about its rate.
    information: f64,
}

impl Cell {
    fn add(&mut self, other: &Self) {
        self.mass += other.mass;
        self.truth += other.truth;
        self.logit += other.logit;
        self.predicted += other.predicted;
        self.information += other.information;
    }

    fn point(&self) -> Point {
        Point { predicted: self.predicted / self.mass, observed: self.truth / self.mass, mass: self.mass }
    }
}

fn probabilities<S: Split>(
    member: &Predictions<S>,
    rows: &RowSet,
    labels: &Labels,
    truth: impl Fn(usize, usize) -> f64,
) -> Option<Calibration> {
    let mut cells = vec![Cell::default(); (2.0 * WIDEST * CELLS_PER_UNIT) as usize + 2];
    let (mut block, mut logits) = (Block::default(), Vec::new());
    for b in 0..rows.n_blocks() {
        member.read_natural(b, rows.block(b), &mut block);
        let start = rows.offset(b);
        for output in 0..block.n_outputs().min(labels.n_outputs()) {
            let column = block.column(output);
            logits.clear();
            logits.extend(column.iter().map(|p| (p / (1.0 - p)).clamp(1e-15, 1e15)));
            num::ln_all(&mut logits);
            for (row, (&p, &logit)) in column.iter().zip(&logits).enumerate() {
                let weight = labels.weights.as_ref().map_or(1.0, |w| w[start + row]);
                cells[((logit + WIDEST) * CELLS_PER_UNIT) as usize].add(&Cell {
                    mass: weight,
                    truth: weight * truth(output, start + row),
                    logit: weight * logit,
                    predicted: weight * p,
                    information: weight * p * (1.0 - p),
                });
            }
        }
    }
    cells.retain(|cell| cell.mass > 0.0);
    let (slope, intercept) = recalibration(&cells)?;
    Some(finish(Scale::Probability, slope, intercept, curve(&cells)))
}

/// Cox's slope and intercept by Newton's method; `None` where they do not exist.
fn recalibration(cells: &[Cell]) -> Option<(f64, f64)> {
    let (mut intercept, mut slope) = (0.0_f64, 1.0_f64);
    let loss = |intercept: f64, slope: f64| {
        let of = |cell: &Cell| {
            let u = intercept + slope * cell.logit / cell.mass;
            cell.mass * num::softplus(u) - cell.truth * u
        };
        cells.iter().map(of).sum::<f64>()
    };
    let mut best = loss(intercept, slope);
    for _ in 0..100 {
        let (mut g0, mut g1, mut h00, mut h01, mut h11) = (0.0, 0.0, 0.0, 0.0, 0.0);
        for cell in cells {
            let x = cell.logit / cell.mass;
            let q = num::sigmoid(intercept + slope * x);
            let (d, h) = (cell.mass * q - cell.truth, cell.mass * q * (1.0 - q));
            (g0, g1) = (g0 + d, g1 + d * x);
            (h00, h01, h11) = (h00 + h, h01 + h * x, h11 + h * x * x);
        }
        let determinant = h00 * h11 - h01 * h01;
        if determinant.is_nan() || determinant <= 1e-12 * h00 * h11 {
            return None;
        }
        let step = ((h11 * g0 - h01 * g1) / determinant, (h00 * g1 - h01 * g0) / determinant);
        let mut size = 1.0;
        let next = loop {
            let next = (intercept - size * step.0, slope - size * step.1);
            if loss(next.0, next.1) <= best || size < 1e-6 {
                break next;
            }
            size /= 2.0;
        };
        (intercept, slope) = next;
        let now = loss(intercept, slope);
        // Separable data have no finite slope.
        if !slope.is_finite() || slope.abs() > 1e3 {
            return None;
        }
        if best - now <= 1e-14 * best.abs() {
            return Some((slope, intercept));
        }
        best = now;
    }
    None
}

/// Cells by ascending prediction to points of about equal information.
fn curve(cells: &[Cell]) -> Vec<Point> {
    let all: f64 = cells.iter().map(|cell| cell.information).sum();
    let mut points = Vec::new();
    let (mut open, mut gone) = (Cell::default(), 0.0);
    for cell in cells {
        open.add(cell);
        if gone + open.information >= all * (points.len() + 1) as f64 / POINTS as f64 {
            gone += open.information;
            points.push(open.point());
            open = Cell::default();
        }
    }
    if open.mass > 0.0 {
        points.push(open.point());
    }
    points
}

fn values(natural: &Block, targets: &[Vec<f64>], weights: Option<&[f64]>) -> Option<Calibration> {
    if natural.n_outputs() != targets.len() {
        return None;
    }
    let weight = |row: usize| weights.map_or(1.0, |w| w[row]);
    let mut pairs = Vec::with_capacity(natural.values().len());
    for (output, target) in targets.iter().enumerate() {
        let mass: f64 = (0..target.len()).map(weight).sum();
        let mean = target.iter().enumerate().map(|(row, y)| weight(row) * y).sum::<f64>() / mass;
        let square = |(row, y): (usize, &f64)| weight(row) * (y - mean) * (y - mean);
        let deviation = libm::sqrt(target.iter().enumerate().map(square).sum::<f64>() / mass);
        let (shift, unit) = if targets.len() == 1 { (0.0, 1.0) } else { (mean, deviation) };
        if deviation == 0.0 {
            continue;
        }
        let cells = natural.column(output).iter().zip(target).enumerate();
        pairs.extend(cells.map(|(row, (x, y))| ((x - shift) / unit, (y - shift) / unit, weight(row))));
    }
    let mass: f64 = pairs.iter().map(|(.., w)| w).sum();
    let (x, y) = pairs.iter().fold((0.0, 0.0), |(sx, sy), (x, y, w)| (sx + w * x, sy + w * y));
    let (x, y) = (x / mass, y / mass);
    let (xx, xy) = pairs.iter().fold((0.0, 0.0), |(xx, xy), (a, b, w)| {
        let dx = a - x;
        (xx + w * dx * dx, xy + w * dx * (b - y))
    });
    if !(xx > 0.0 && xx.is_finite()) {
        return None;
    }
    let slope = xy / xx;
    // Equal masses by ascending prediction; rows of equal predictions stay in their order.
    pairs.sort_by(|a, b| a.0.total_cmp(&b.0));
    let cells: Vec<Cell> = pairs
        .into_iter()
        .map(|(x, y, w)| Cell { mass: w, truth: w * y, predicted: w * x, information: w, logit: 0.0 })
        .collect();
    let scale = if targets.len() == 1 { Scale::Value } else { Scale::Standardized };
    Some(finish(scale, slope, y - slope * x, curve(&cells)))
}

fn finish(scale: Scale, slope: f64, intercept: f64, curve: Vec<Point>) -> Calibration {
    let mass: f64 = curve.iter().map(|point| point.mass).sum();
    let apart = curve.iter().map(|point| point.mass * (point.predicted - point.observed).abs()).sum::<f64>();
    Calibration { scale, slope, intercept, error: apart / mass, curve }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Fingerprint, ModelId, Oof, OutputKind, RowIndex, output::Encoding, source::OwnedBlocks};
    use std::sync::Arc;

    const A: [f64; 8] = [0.3, 0.1, 0.3, 0.9, 0.45, 0.7, 0.1, 0.62];
    const B: [f64; 8] = [0.2, 0.1, 0.35, 0.8, 0.35, 0.9, 0.15, 0.35];
    const Y: [u8; 8] = [0, 0, 1, 1, 0, 1, 0, 1];

    fn member(kind: OutputKind, columns: Vec<Vec<f64>>) -> Predictions<Oof> {
        let rows = RowIndex::positions(columns[0].len()).unwrap();
        let names = (0..columns.len()).map(|i| format!("c{i}")).collect();
        let model = ModelId::new("m").unwrap();
        let values = Arc::new(OwnedBlocks::F64(columns));
        Predictions::unchecked(model, rows, names, Encoding::plain(kind), values, Fingerprint::of(b"")).unwrap()
    }

    fn near(got: f64, wanted: f64) {
        assert!((got - wanted).abs() < 1e-6, "{got}, wanted {wanted}");
    }

    /// Values of scipy, printed by `tests/relations.py`.
    #[test]
    fn slope_and_intercept() {
        let rows = RowSet::all(8);
        let binary = Labels { values: LabelValues::Binary(vec![Y.to_vec()]), weights: None };
        let it = calibration(&member(OutputKind::Probability, vec![A.to_vec()]), &rows, &binary).unwrap();
        assert_eq!(it.scale, Scale::Probability);
        near(it.slope, 2.055032062992815);
        near(it.intercept, 0.816358439376093);
        let real = Labels { values: LabelValues::Real(vec![B.to_vec()]), weights: None };
        let it = calibration(&member(OutputKind::Value, vec![A.to_vec()]), &rows, &real).unwrap();
        assert_eq!(it.scale, Scale::Value);
        near(it.slope, 0.9049695980061447);
        near(it.intercept, 0.007469436864834755);
        // A row of weight 2 is the row twice.
        let weights = |weights: Vec<f64>| Labels { weights: Some(weights), ..binary.clone() };
        let member_of = |p: &[f64]| member(OutputKind::Probability, vec![p.to_vec()]);
        let doubled = calibration(&member_of(&A), &rows, &weights([vec![2.0], vec![1.0; 7]].concat())).unwrap();
        let twice = Labels { values: LabelValues::Binary(vec![[&[0], &Y[..]].concat()]), weights: None };
        let twice = calibration(&member_of(&[&[0.3], &A[..]].concat()), &RowSet::all(9), &twice).unwrap();
        near(doubled.slope, twice.slope);
    }

    #[test]
    fn a_curve_tells_what_was_done_to_a_model() {
        // Labels drawn at exactly the rate that is predicted, then predictions with their log odds doubled.
        let n = 20_000;
        let p: Vec<f64> = (0..n).map(|i| 0.02 + 0.96 * f64::from(i * 7919 % n) / f64::from(n)).collect();
        let noise = |i: usize| ((i * 104_729) % 20_011) as f64 / 20_011.0;
        let y: Vec<u8> = p.iter().enumerate().map(|(i, p)| u8::from(noise(i) < *p)).collect();
        let labels = Labels { values: LabelValues::Binary(vec![y]), weights: None };
        let rows = RowSet::all(n as usize);
        let honest = calibration(&member(OutputKind::Probability, vec![p.clone()]), &rows, &labels).unwrap();
        assert!(
            (honest.slope - 1.0).abs() < 0.05 && honest.intercept.abs() < 0.05 && honest.error < 0.02,
            "{honest:?}"
        );
        assert_eq!(honest.curve.len(), POINTS);
        assert!((honest.curve.iter().map(|point| point.mass).sum::<f64>() - f64::from(n)).abs() < 1e-6);
        let doubled = p.iter().map(|p| num::sigmoid(2.0 * num::ln(p / (1.0 - p)))).collect();
        let doubled = calibration(&member(OutputKind::Probability, vec![doubled]), &rows, &labels).unwrap();
        // Cells of log odds are as wide for both: what is lost in them is not the same.
        assert!((2.0 * doubled.slope - honest.slope).abs() < 1e-3, "{doubled:?}");
        assert!(doubled.error > 3.0 * honest.error);
    }

    #[test]
    fn what_has_no_calibration_has_none() {
        let rows = RowSet::all(8);
        let one_class = Labels { values: LabelValues::Binary(vec![vec![0; 8]]), weights: None };
        assert_eq!(calibration(&member(OutputKind::Probability, vec![A.to_vec()]), &rows, &one_class), None);
        let real = Labels { values: LabelValues::Real(vec![B.to_vec()]), weights: None };
        assert_eq!(calibration(&member(OutputKind::Value, vec![vec![1.0; 8]]), &rows, &real), None);
        let directions = Labels { values: LabelValues::Directions(vec![[0.0, 0.0, 1.0]; 8]), weights: None };
        assert_eq!(calibration(&member(OutputKind::Vector, vec![A.to_vec(); 3]), &rows, &directions), None);
    }
}

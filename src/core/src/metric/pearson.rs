//! Pearson's correlation of predictions and truth, averaged over columns.

use super::{BindError, Info, Metric, Target, numbers, plain};
use crate::{
    block::Block,
    judge::{Bound, Judge, Whole},
    num,
    output::OutputKind,
    score::Direction,
    space::SpaceName,
    squares::variances,
    truth::Labels,
};

pub(super) const INFO: Info = Info {
    name: "pearson",
    formula: "mean over columns of cov(p, y) / sqrt(var(p) var(y)); 0 for a constant prediction",
    unit: "1",
    range: (-1.0, 1.0),
    optimum: 1.0,
    direction: Direction::Higher,
    source: "scipy.stats.pearsonr",
    target: Target::Number,
    options: &[],
    space: SpaceName::Linear,
    predictions: &[OutputKind::Value, OutputKind::Probability, OutputKind::Rank],
};

pub(super) struct Pearson;

impl Metric for Pearson {
    fn info(&self) -> &'static Info {
        &INFO
    }

    fn bind(&self, labels: Labels) -> Result<Box<dyn Bound>, BindError> {
        let surrogate = plain("mse").bind(labels.clone())?;
        let (targets, weights) = numbers(&INFO, labels)?;
        check_spread(&INFO, &targets, weights.as_deref())?;
        Ok(Box::new(BoundPearson { targets, weights, surrogate }))
    }
}

/// Refuses columns without two different values, or whose squares overflow.
pub(super) fn check_spread(
    info: &'static Info,
    targets: &[Vec<f64>],
    weights: Option<&[f64]>,
) -> Result<(), BindError> {
    for (t, (column, variance)) in targets.iter().zip(variances(targets, weights)).enumerate() {
        let constant = column.iter().all(|y| *y == column[0]) || variance <= 0.0;
        if constant || !variance.is_finite() {
            let what = if constant { "is constant" } else { "is too large to be squared" };
            return Err(BindError::Undefined { metric: info.name, why: format!("target {t} {what}") });
        }
    }
    Ok(())
}

struct BoundPearson {
    targets: Vec<Vec<f64>>,
    weights: Option<Vec<f64>>,
    surrogate: Box<dyn Bound>,
}

impl Bound for BoundPearson {
    fn n_rows(&self) -> usize {
        self.targets[0].len()
    }

    fn n_outputs(&self) -> usize {
        self.targets.len()
    }

    fn direction(&self) -> Direction {
        Direction::Higher
    }

    fn judge(&self) -> Judge<'_> {
        Judge::Whole(self)
    }

    fn surrogate(&self) -> Option<&dyn Bound> {
        Some(&*self.surrogate)
    }
}

impl Whole for BoundPearson {
    fn score(&self, prediction: &Block, counts: Option<&[u32]>) -> f64 {
        let weights = row_weights(self.n_rows(), self.weights.as_deref(), counts);
        let of_column = |(output, y): (usize, &Vec<f64>)| correlation(prediction.column(output), y, &weights);
        self.targets.iter().enumerate().map(of_column).sum::<f64>() / self.targets.len() as f64
    }
}

/// A weight per row: its own times how often it counts.
pub(super) fn row_weights(n_rows: usize, weights: Option<&[f64]>, counts: Option<&[u32]>) -> Vec<f64> {
    let weight = |row: usize| weights.map_or(1.0, |w| w[row]) * counts.map_or(1.0, |counts| f64::from(counts[row]));
    (0..n_rows).map(weight).collect()
}

/// The weighted correlation of two columns; 0 where either does not vary.
pub(super) fn correlation(p: &[f64], y: &[f64], weights: &[f64]) -> f64 {
    let mass = num::sum(weights);
    let centred = |column: &[f64]| -> Vec<f64> {
        let mean = num::dot(column, weights) / mass;
        column.iter().map(|x| x - mean).collect()
    };
    let size = |column: &[f64]| column.iter().fold(0.0_f64, |size, x| size.max(x.abs()));
    let (largest, p, y) = (size(p), centred(p), centred(y));
    // What is left of a constant is rounding; scaled, squares of the rest neither overflow nor vanish.
    let spread = size(&p);
    if !(spread > 1e-13 * largest && spread.is_finite()) {
        return 0.0;
    }
    let p: Vec<f64> = p.iter().map(|x| x / spread).collect();
    let mean = |a: &[f64], b: &[f64]| {
        let products: Vec<f64> = a.iter().zip(b).map(|(a, b)| a * b).collect();
        num::dot(&products, weights) / mass
    };
    let (pp, yy, py) = (mean(&p, &p), mean(&y, &y), mean(&p, &y));
    let root = libm::sqrt(pp) * libm::sqrt(yy);
    if root > 0.0 && root.is_finite() { (py / root).clamp(-1.0, 1.0) } else { 0.0 }
}

//! Symmetric mean absolute percentage error over rows and columns, as a share of two: 200 percent are 2.

use super::{BindError, Info, Metric, Target, numbers, plain};
use crate::{
    block::Block,
    judge::{Additive, Bound, Judge},
    output::OutputKind,
    score::Direction,
    space::SpaceName,
    truth::Labels,
};

pub(super) const INFO: Info = Info {
    name: "smape",
    formula: "mean over rows and columns of 2 |p - y| / (|p| + |y|); 0 where both are 0",
    unit: "1",
    range: (0.0, 2.0),
    optimum: 0.0,
    direction: Direction::Lower,
    source: "Makridakis 1993; Kaggle web-traffic-time-series-forecasting (times 100)",
    target: Target::Number,
    options: &[],
    space: SpaceName::Linear,
    predictions: &[OutputKind::Value, OutputKind::Probability],
};

pub(super) struct Smape;

impl Metric for Smape {
    fn info(&self) -> &'static Info {
        &INFO
    }

    fn bind(&self, labels: Labels) -> Result<Box<dyn Bound>, BindError> {
        let surrogate = plain("mae").bind(labels.clone())?;
        let (targets, weights) = numbers(&INFO, labels)?;
        Ok(Box::new(BoundSmape { targets, weights, surrogate }))
    }
}

struct BoundSmape {
    targets: Vec<Vec<f64>>,
    weights: Option<Vec<f64>>,
    surrogate: Box<dyn Bound>,
}

impl Bound for BoundSmape {
    fn n_rows(&self) -> usize {
        self.targets[0].len()
    }

    fn n_outputs(&self) -> usize {
        self.targets.len()
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

    fn surrogate(&self) -> Option<&dyn Bound> {
        Some(&*self.surrogate)
    }
}

impl Additive for BoundSmape {
    fn n_terms(&self) -> usize {
        1
    }

    fn terms(&self, start: usize, prediction: &Block, out: &mut Block) {
        let out = out.column_mut(0);
        out.fill(0.0);
        for (output, target) in self.targets.iter().enumerate() {
            let cells = prediction.column(output).iter().zip(&target[start..start + prediction.n_rows()]);
            for (out, (p, y)) in out.iter_mut().zip(cells) {
                // Halves, so that the largest numbers do not add up to infinity.
                let size = 0.5 * p.abs() + 0.5 * y.abs();
                *out += if size > 0.0 { (0.5 * p / size - 0.5 * y / size).abs() * 2.0 } else { 0.0 };
            }
        }
        let n_outputs = self.targets.len() as f64;
        out.iter_mut().for_each(|out| *out /= n_outputs);
    }

    fn row_weights(&self) -> Option<&[f64]> {
        self.weights.as_deref()
    }

    fn finish(&self, means: &[f64]) -> f64 {
        means[0]
    }
}

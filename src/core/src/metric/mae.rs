//! Mean absolute error over rows and columns.

use super::{BindError, Info, Metric, Target, numbers};
use crate::{
    block::Block,
    judge::{Absolute, Additive, Bound, Judge, Smooth},
    output::OutputKind,
    score::Direction,
    space::SpaceName,
    truth::Labels,
};

pub(super) const INFO: Info = Info {
    name: "mae",
    formula: "mean over rows and columns of |p - y|",
    unit: "target",
    range: (0.0, f64::INFINITY),
    optimum: 0.0,
    direction: Direction::Lower,
    source: "scikit-learn mean_absolute_error",
    target: Target::Number,
    options: &[],
    space: SpaceName::Linear,
    predictions: &[OutputKind::Value, OutputKind::Probability],
};

pub(super) struct Mae;

impl Metric for Mae {
    fn info(&self) -> &'static Info {
        &INFO
    }

    fn bind(&self, labels: Labels) -> Result<Box<dyn Bound>, BindError> {
        let (targets, weights) = numbers(&INFO, labels)?;
        Ok(Box::new(BoundMae { targets, weights }))
    }
}

struct BoundMae {
    targets: Vec<Vec<f64>>,
    weights: Option<Vec<f64>>,
}

impl Bound for BoundMae {
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

    fn smooth(&self, space: SpaceName) -> Option<Smooth<'_>> {
        (space == SpaceName::Linear)
            .then(|| Smooth::Absolute(Absolute { targets: &self.targets, weights: self.weights.as_deref() }))
    }
}

impl Additive for BoundMae {
    fn n_terms(&self) -> usize {
        1
    }

    fn terms(&self, start: usize, prediction: &Block, out: &mut Block) {
        let out = out.column_mut(0);
        out.fill(0.0);
        for (output, target) in self.targets.iter().enumerate() {
            let cells = prediction.column(output).iter().zip(&target[start..start + prediction.n_rows()]);
            out.iter_mut().zip(cells).for_each(|(out, (p, y))| *out += (p - y).abs());
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

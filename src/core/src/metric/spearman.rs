//! Spearman's correlation: Pearson's of the ranks, ties sharing their mean, averaged over columns.

use super::{
    BindError, Info, Metric, Target, numbers,
    pearson::{check_spread, correlation, row_weights},
    plain,
};
use crate::{
    block::Block,
    judge::{Bound, Judge, Whole},
    order::{ascending, runs},
    output::OutputKind,
    score::Direction,
    space::SpaceName,
    truth::Labels,
};

pub(super) const INFO: Info = Info {
    name: "spearman",
    formula: "mean over columns of the correlation of average ranks; 0 for a constant prediction",
    unit: "1",
    range: (-1.0, 1.0),
    optimum: 1.0,
    direction: Direction::Higher,
    source: "Spearman 1904; scipy.stats.spearmanr",
    target: Target::Number,
    options: &[],
    space: SpaceName::Rank,
    predictions: &[OutputKind::Value, OutputKind::Probability, OutputKind::Rank],
};

pub(super) struct Spearman;

impl Metric for Spearman {
    fn info(&self) -> &'static Info {
        &INFO
    }

    fn bind(&self, labels: Labels) -> Result<Box<dyn Bound>, BindError> {
        let surrogate = plain("mse").bind(labels.clone())?;
        let (targets, weights) = numbers(&INFO, labels)?;
        check_spread(&INFO, &targets, weights.as_deref())?;
        let orders = targets.iter().map(|target| ascending(target)).collect();
        Ok(Box::new(BoundSpearman { targets, orders, weights, surrogate }))
    }
}

struct BoundSpearman {
    targets: Vec<Vec<f64>>,
    /// Rows of each column by ascending truth.
    orders: Vec<Vec<u32>>,
    weights: Option<Vec<f64>>,
    surrogate: Box<dyn Bound>,
}

impl Bound for BoundSpearman {
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

/// Ranks as shares of everything: what lies below a row, and half of what ties with it.
fn ranks(values: &[f64], order: &[u32], weights: &[f64]) -> Vec<f64> {
    let mut ranks = vec![0.0; values.len()];
    let mut below = 0.0;
    for run in runs(values, order) {
        let rows = &order[run];
        let mass: f64 = rows.iter().map(|&row| weights[row as usize]).sum();
        rows.iter().for_each(|&row| ranks[row as usize] = below + 0.5 * mass);
        below += mass;
    }
    ranks.iter_mut().for_each(|rank| *rank /= below);
    ranks
}

impl Whole for BoundSpearman {
    fn score(&self, prediction: &Block, counts: Option<&[u32]>) -> f64 {
        let weights = row_weights(self.n_rows(), self.weights.as_deref(), counts);
        let of_column = |output: usize| {
            let (p, y) = (prediction.column(output), &self.targets[output]);
            correlation(&ranks(p, &ascending(p), &weights), &ranks(y, &self.orders[output], &weights), &weights)
        };
        (0..self.targets.len()).map(of_column).sum::<f64>() / self.targets.len() as f64
    }
}

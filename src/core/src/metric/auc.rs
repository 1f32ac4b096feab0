//! Area under the ROC curve, averaged over columns: the chance that a positive row outranks a negative one, ties
//! counting half.

use super::{BindError, Info, Metric, Target, wrong_kind};
use crate::{
    block::Block,
    judge::{Bound, Judge, Whole},
    output::OutputKind,
    score::Direction,
    space::SpaceName,
    truth::{LabelValues, Labels},
};

pub(super) const INFO: Info = Info {
    name: "auc",
    formula: "mean over columns of P(p of a positive > p of a negative) + P(equal) / 2",
    unit: "1",
    range: (0.0, 1.0),
    optimum: 1.0,
    direction: Direction::Higher,
    source: "Hanley and McNeil 1982; scikit-learn roc_auc_score (macro)",
    target: Target::Binary,
    options: &[],
    space: SpaceName::Rank,
    predictions: &[OutputKind::Probability, OutputKind::Value, OutputKind::Rank],
};

pub(super) struct Auc;

impl Metric for Auc {
    fn info(&self) -> &'static Info {
        &INFO
    }

    fn bind(&self, labels: Labels) -> Result<Box<dyn Bound>, BindError> {
        let columns: Vec<Vec<u8>> = match labels.values {
            LabelValues::Binary(columns) => columns,
            LabelValues::Real(columns) if columns.iter().flatten().all(|y| *y == 0.0 || *y == 1.0) => {
                columns.into_iter().map(|c| c.into_iter().map(|y| y as u8).collect()).collect()
            }
            _ => return Err(wrong_kind(&INFO, &labels)),
        };
        for (column, labels) in columns.iter().enumerate() {
            let positives = labels.iter().filter(|y| **y == 1).count();
            if positives == 0 || positives == labels.len() {
                let missing = if positives == 0 { "positive" } else { "negative" };
                let why = format!("target {column} has no {missing} row");
                return Err(BindError::Undefined { metric: INFO.name, why });
            }
        }
        Ok(Box::new(BoundAuc { columns, weights: labels.weights }))
    }
}

struct BoundAuc {
    columns: Vec<Vec<u8>>,
    weights: Option<Vec<f64>>,
}

impl Bound for BoundAuc {
    fn n_rows(&self) -> usize {
        self.columns[0].len()
    }

    fn n_outputs(&self) -> usize {
        self.columns.len()
    }

    fn direction(&self) -> Direction {
        Direction::Higher
    }

    fn judge(&self) -> Judge<'_> {
        Judge::Whole(self)
    }
}

impl BoundAuc {
    /// AUC of one column, `weight` per row. Replicates that drew no positive or no negative row give 0.5.
    fn column(labels: &[u8], p: &[f64], weight: impl Fn(usize) -> f64) -> f64 {
        let mut order: Vec<u32> = (0..p.len() as u32).collect();
        order.sort_unstable_by(|&a, &b| p[a as usize].total_cmp(&p[b as usize]));
        let (mut below, mut wins, mut positives) = (0.0, 0.0, 0.0);
        let mut start = 0;
        while start < order.len() {
            let value = p[order[start] as usize];
            let (mut tied_positive, mut tied_negative) = (0.0, 0.0);
            loop {
                let row = order[start] as usize;
                if labels[row] == 1 {
                    tied_positive += weight(row);
                } else {
                    tied_negative += weight(row);
                }
                start += 1;
                // Compared after the step, so that NaN, equal to nothing, cannot stop the walk.
                if start == order.len() || p[order[start] as usize] != value {
                    break;
                }
            }
            wins += tied_positive * (below + 0.5 * tied_negative);
            below += tied_negative;
            positives += tied_positive;
        }
        let pairs = positives * below;
        if pairs > 0.0 { wins / pairs } else { 0.5 }
    }
}

impl Whole for BoundAuc {
    fn score(&self, prediction: &Block, counts: Option<&[u32]>) -> f64 {
        let weight = |row: usize| {
            self.weights.as_ref().map_or(1.0, |w| w[row]) * counts.map_or(1.0, |counts| f64::from(counts[row]))
        };
        let total: f64 =
            self.columns.iter().enumerate().map(|(t, y)| Self::column(y, prediction.column(t), weight)).sum();
        total / self.columns.len() as f64
    }
}

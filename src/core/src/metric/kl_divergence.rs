//! Kullback-Leibler divergence from predicted to true shares of classes, averaged over rows.

use super::{
    BindError, Info, Metric, MetricSpec, SpecError, Target, check_shares, clip, multiclass_log_loss::CrossEntropy,
    wrong_kind,
};
use crate::{
    block::Block,
    judge::{Additive, Bound, Judge, Preparation, Smooth},
    num,
    output::OutputKind,
    score::Direction,
    space::SpaceName,
    truth::{LabelValues, Labels},
};

pub(super) const INFO: Info = Info {
    name: "kl_divergence",
    formula: "mean over rows of sum_c y_c ln(y_c / p_c), p clipped from below at clip; 0 ln 0 = 0",
    unit: "nats",
    range: (0.0, f64::INFINITY),
    optimum: 0.0,
    direction: Direction::Lower,
    source: "Kullback and Leibler 1951; scipy.special.rel_entr; Kaggle hms-harmful-brain-activity",
    target: Target::Shares,
    options: &["clip"],
    space: SpaceName::Linear,
    predictions: &[OutputKind::ClassProbabilities, OutputKind::Probability],
};

pub(super) fn build(spec: &MetricSpec) -> Result<Box<dyn Metric>, SpecError> {
    Ok(Box::new(KlDivergence { clip: clip(spec, INFO.name)? }))
}

struct KlDivergence {
    clip: f64,
}

impl Metric for KlDivergence {
    fn info(&self) -> &'static Info {
        &INFO
    }

    fn label(&self) -> String {
        format!("kl_divergence(clip={:e})", self.clip)
    }

    fn bind(&self, labels: Labels) -> Result<Box<dyn Bound>, BindError> {
        let columns = match labels.values {
            LabelValues::Real(columns) => columns,
            LabelValues::Binary(columns) => {
                columns.into_iter().map(|c| c.into_iter().map(f64::from).collect()).collect()
            }
            LabelValues::Class { labels: classes, names } => (0..names.len() as u32)
                .map(|class| classes.iter().map(|&label| f64::from(u8::from(label == class))).collect())
                .collect(),
            _ => return Err(wrong_kind(&INFO, &labels)),
        };
        check_shares(&INFO, &columns)?;
        Ok(Box::new(BoundKl { shares: columns, weights: labels.weights, clip: self.clip }))
    }
}

struct BoundKl {
    shares: Vec<Vec<f64>>,
    weights: Option<Vec<f64>>,
    clip: f64,
}

fn entropy(y: f64) -> f64 {
    if y > 0.0 { y * num::ln(y) } else { 0.0 }
}

impl Bound for BoundKl {
    fn n_rows(&self) -> usize {
        self.shares[0].len()
    }

    fn n_outputs(&self) -> usize {
        self.shares.len()
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
        if space != SpaceName::Linear {
            return None;
        }
        let weight = |row: usize| self.weights.as_ref().map_or(1.0, |w| w[row]);
        let total: f64 = self
            .shares
            .iter()
            .map(|column| column.iter().enumerate().map(|(row, &y)| weight(row) * entropy(y)).sum::<f64>())
            .sum();
        let mass = self.weights.as_ref().map_or(self.n_rows() as f64, |w| num::sum(w));
        Some(Smooth::Cells(Box::new(CrossEntropy {
            shares: &self.shares,
            weights: self.weights.as_deref(),
            clip: self.clip,
            mass,
            entropy: total / (self.n_rows() * self.n_outputs()) as f64,
        })))
    }
}

impl Additive for BoundKl {
    fn n_terms(&self) -> usize {
        1
    }

    fn terms(&self, start: usize, prediction: &Block, out: &mut Block) {
        let out = out.column_mut(0);
        out.fill(0.0);
        for (output, column) in self.shares.iter().enumerate() {
            let cells = prediction.column(output).iter().zip(&column[start..start + prediction.n_rows()]);
            for (out, (&p, &y)) in out.iter_mut().zip(cells) {
                *out += entropy(y) - y * num::ln(p.clamp(self.clip, 1.0));
            }
        }
    }

    fn row_weights(&self) -> Option<&[f64]> {
        self.weights.as_deref()
    }

    fn finish(&self, means: &[f64]) -> f64 {
        means[0]
    }
}

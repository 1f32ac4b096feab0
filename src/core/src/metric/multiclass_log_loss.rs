//! Multi-class log loss: `-ln p` of the true class, or its expectation under shares.
//!
//! `clip` bounds probabilities from below, `renormalize` divides each row by its sum first, `class_weights` weigh the
//! rows of a class, and `aggregation: class_mean` averages within classes before it averages over them (the weighted
//! log loss of PLAsTiCC).

use super::{BindError, Info, Metric, MetricSpec, SpecError, Target, check_shares, clip, wrong_kind};
use crate::{
    block::Block,
    judge::{Additive, Bound, Cells, Judge, Preparation, RowCurvature, RowLoss, Smooth, TrueClass},
    num,
    output::OutputKind,
    score::Direction,
    space::{SpaceName, normalize_rows, softmax},
    truth::{LabelValues, Labels},
};
use std::collections::BTreeMap;

pub(super) const INFO: Info = Info {
    name: "multiclass_log_loss",
    formula: "mean over rows of -sum_c y_c ln p_c, p clipped from below at clip",
    unit: "nats",
    range: (0.0, f64::INFINITY),
    optimum: 0.0,
    direction: Direction::Lower,
    source: "Good 1952; scikit-learn log_loss; Kaggle spooky-author-identification, PLAsTiCC-2018",
    target: Target::Classes,
    options: &["clip", "renormalize", "aggregation", "class_weights"],
    space: SpaceName::Linear,
    predictions: &[OutputKind::ClassProbabilities, OutputKind::Probability],
};

pub(super) fn build(spec: &MetricSpec) -> Result<Box<dyn Metric>, SpecError> {
    let class_mean = match spec.aggregation.as_deref() {
        None | Some("row_mean") => false,
        Some("class_mean") => true,
        Some(other) => {
            return Err(SpecError::Value {
                metric: INFO.name,
                option: "aggregation",
                value: other.to_owned(),
                wanted: "row_mean or class_mean",
            });
        }
    };
    if let Some((class, weight)) = spec.class_weights.iter().find(|(_, w)| !(w.is_finite() && **w >= 0.0)) {
        return Err(SpecError::Value {
            metric: INFO.name,
            option: "class_weights",
            value: format!("{class}: {weight}"),
            wanted: "not negative",
        });
    }
    Ok(Box::new(MulticlassLogLoss {
        clip: clip(spec, INFO.name)?,
        renormalize: spec.renormalize.unwrap_or(false),
        class_mean,
        class_weights: spec.class_weights.clone(),
    }))
}

struct MulticlassLogLoss {
    clip: f64,
    renormalize: bool,
    class_mean: bool,
    class_weights: BTreeMap<String, f64>,
}

impl MulticlassLogLoss {
    /// Row weights that make a mean over rows the wanted mean over classes.
    fn class_row_weights(
        &self,
        labels: &[u32],
        names: &[String],
        rows: Option<Vec<f64>>,
    ) -> Result<Option<Vec<f64>>, BindError> {
        let undefined = |why: String| BindError::Undefined { metric: INFO.name, why };
        if let Some(class) = labels.iter().find(|class| **class as usize >= names.len()) {
            return Err(undefined(format!("a label is class {class}, there are {} classes", names.len())));
        }
        if let Some(unknown) = self.class_weights.keys().find(|class| !names.contains(class)) {
            return Err(undefined(format!("class_weights names `{unknown}`, the classes are {}", names.join(", "))));
        }
        if self.class_weights.is_empty() && !self.class_mean {
            return Ok(rows);
        }
        let row = |i: usize| rows.as_ref().map_or(1.0, |w| w[i]);
        let mut mass = vec![0.0; names.len()];
        labels.iter().enumerate().for_each(|(i, &class)| mass[class as usize] += row(i));
        let weight: Vec<f64> = names
            .iter()
            .zip(&mass)
            .map(|(name, mass)| {
                let weight = self.class_weights.get(name).copied().unwrap_or(1.0);
                if self.class_mean && *mass > 0.0 { weight / mass } else { weight }
            })
            .collect();
        let weights: Vec<f64> = labels.iter().enumerate().map(|(i, &class)| row(i) * weight[class as usize]).collect();
        if num::sum(&weights) > 0.0 { Ok(Some(weights)) } else { Err(undefined("every row has weight 0".to_owned())) }
    }
}

impl Metric for MulticlassLogLoss {
    fn info(&self) -> &'static Info {
        &INFO
    }

    fn label(&self) -> String {
        let mut label = format!("multiclass_log_loss(clip={:e}", self.clip);
        if self.renormalize {
            label.push_str(", renormalize");
        }
        if self.class_mean {
            label.push_str(", class_mean");
        }
        for (class, weight) in &self.class_weights {
            label.push_str(&format!(", {class}={weight}"));
        }
        label + ")"
    }

    fn bind(&self, labels: Labels) -> Result<Box<dyn Bound>, BindError> {
        let (targets, weights) = match labels.values {
            LabelValues::Class { labels: classes, names } => {
                let weights = self.class_row_weights(&classes, &names, labels.weights)?;
                (Targets::Hard { labels: classes, n_classes: names.len() }, weights)
            }
            LabelValues::Real(columns) => (shares(self, columns)?, labels.weights),
            LabelValues::Binary(columns) => {
                let columns = columns.into_iter().map(|c| c.into_iter().map(f64::from).collect()).collect();
                (shares(self, columns)?, labels.weights)
            }
            _ => return Err(wrong_kind(&INFO, &labels)),
        };
        let alone = self.class_weights.is_empty() && !self.class_mean;
        Ok(Box::new(BoundMulticlass { targets, weights, clip: self.clip, renormalize: self.renormalize, alone }))
    }
}

fn shares(metric: &MulticlassLogLoss, columns: Vec<Vec<f64>>) -> Result<Targets, BindError> {
    let undefined = |why: &str| Err(BindError::Undefined { metric: INFO.name, why: why.to_owned() });
    if metric.class_mean || !metric.class_weights.is_empty() {
        return undefined("classes are weighed only where each row has one class");
    }
    check_shares(&INFO, &columns)?;
    Ok(Targets::Soft(columns))
}

enum Targets {
    Hard { labels: Vec<u32>, n_classes: usize },
    Soft(Vec<Vec<f64>>),
}

struct BoundMulticlass {
    targets: Targets,
    weights: Option<Vec<f64>>,
    clip: f64,
    renormalize: bool,
    /// Weights of rows do not depend on how many rows their class has.
    alone: bool,
}

impl BoundMulticlass {
    fn mass(&self) -> f64 {
        self.weights.as_ref().map_or(self.n_rows() as f64, |w| num::sum(w))
    }

    fn weight(&self, row: usize) -> f64 {
        self.weights.as_ref().map_or(1.0, |w| w[row])
    }
}

impl Bound for BoundMulticlass {
    fn n_rows(&self) -> usize {
        match &self.targets {
            Targets::Hard { labels, .. } => labels.len(),
            Targets::Soft(columns) => columns[0].len(),
        }
    }

    fn n_outputs(&self) -> usize {
        match &self.targets {
            Targets::Hard { n_classes, .. } => *n_classes,
            Targets::Soft(columns) => columns.len(),
        }
    }

    fn direction(&self) -> Direction {
        Direction::Lower
    }

    fn judges_rows_alone(&self) -> bool {
        self.alone
    }

    fn judge(&self) -> Judge<'_> {
        Judge::Additive(self)
    }

    fn preparation(&self) -> Preparation {
        Preparation { clip: self.clip, renormalize: self.renormalize }
    }

    fn smooth(&self, space: SpaceName) -> Option<Smooth<'_>> {
        match (space, &self.targets) {
            (SpaceName::Linear, Targets::Hard { labels, .. }) => {
                Some(Smooth::TrueClass(TrueClass { labels, weights: self.weights.as_deref(), clip: self.clip }))
            }
            (SpaceName::Linear, Targets::Soft(columns)) => Some(Smooth::Cells(Box::new(CrossEntropy {
                shares: columns,
                weights: self.weights.as_deref(),
                clip: self.clip,
                mass: self.mass(),
                entropy: 0.0,
            }))),
            (SpaceName::Log, _) => Some(Smooth::Rows(Box::new(Softmax(self)))),
            _ => None,
        }
    }
}

impl Additive for BoundMulticlass {
    fn n_terms(&self) -> usize {
        1
    }

    fn terms(&self, start: usize, prediction: &Block, out: &mut Block) {
        let n = prediction.n_rows();
        let mut clipped = prediction.clone();
        clipped.values_mut().iter_mut().for_each(|p| *p = p.clamp(self.clip, 1.0));
        if self.renormalize {
            normalize_rows(&mut clipped);
        }
        let out = out.column_mut(0);
        match &self.targets {
            Targets::Hard { labels, .. } => {
                for (row, (out, &label)) in out.iter_mut().zip(&labels[start..start + n]).enumerate() {
                    *out = clipped.get(label as usize, row);
                }
                num::ln_all(out);
                out.iter_mut().for_each(|log| *log = -*log);
            }
            Targets::Soft(columns) => {
                out.fill(0.0);
                num::ln_all(clipped.values_mut());
                for (output, column) in columns.iter().enumerate() {
                    let logs = clipped.column(output).iter().zip(&column[start..start + n]);
                    out.iter_mut().zip(logs).for_each(|(out, (log, y))| *out -= y * log);
                }
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

/// `-y ln u` per cell: cross entropy with shares in the linear space. Also the Kullback-Leibler divergence, less the
/// shares' own entropy, a constant.
pub(super) struct CrossEntropy<'a> {
    pub(super) shares: &'a [Vec<f64>],
    pub(super) weights: Option<&'a [f64]>,
    pub(super) clip: f64,
    pub(super) mass: f64,
    /// Sum over all cells of the weighted `y ln y`, shared out equally over the cells.
    pub(super) entropy: f64,
}

impl Cells for CrossEntropy<'_> {
    fn mass(&self) -> f64 {
        self.mass
    }

    fn member_range(&self) -> Option<(f64, f64)> {
        Some((self.clip, 1.0))
    }

    fn value(&self, output: usize, start: usize, u: &[f64]) -> f64 {
        self.run(output, start, u, |_, _, _| {})
    }

    fn slope(&self, output: usize, start: usize, u: &[f64], d: &mut [f64]) -> f64 {
        self.run(output, start, u, |i, y, u| d[i] = -y / u)
    }

    fn curve(&self, output: usize, start: usize, u: &[f64], d: &mut [f64], h: &mut [f64]) -> f64 {
        self.run(output, start, u, |i, y, u| {
            d[i] = -y / u;
            h[i] = y / (u * u);
        })
    }

    fn is_convex(&self) -> bool {
        true
    }
}

impl CrossEntropy<'_> {
    fn run(&self, output: usize, start: usize, u: &[f64], mut write: impl FnMut(usize, f64, f64)) -> f64 {
        let mut total = 0.0;
        for (i, &u) in u.iter().enumerate() {
            let y = self.shares[output][start + i] * self.weights.map_or(1.0, |w| w[start + i]);
            if u <= 0.0 {
                return f64::INFINITY;
            }
            total += self.entropy - y * num::ln(u);
            write(i, y, u);
        }
        total
    }
}

/// `ln sum_c e^u_c - sum_c y_c u_c` per row: the loss in the log space.
struct Softmax<'a>(&'a BoundMulticlass);

impl Softmax<'_> {
    /// Shares' total and their product with `u`, for a row.
    fn target(&self, row: usize, at: impl Fn(usize) -> f64) -> (f64, f64) {
        match &self.0.targets {
            Targets::Hard { labels, .. } => (1.0, at(labels[row] as usize)),
            Targets::Soft(columns) => columns
                .iter()
                .enumerate()
                .fold((0.0, 0.0), |(total, sum), (c, column)| (total + column[row], sum + column[row] * at(c))),
        }
    }
}

impl RowLoss for Softmax<'_> {
    fn mass(&self) -> f64 {
        self.0.mass()
    }

    fn value(&self, start: usize, u: &Block) -> f64 {
        let n_classes = u.n_outputs();
        let mut logs = vec![0.0; u.n_rows()];
        for (row, log) in logs.iter_mut().enumerate() {
            let highest = (0..n_classes).fold(f64::NEG_INFINITY, |high, c| high.max(u.get(c, row)));
            let sum: f64 = (0..n_classes).map(|c| num::exp(u.get(c, row) - highest)).sum();
            let (total, product) = self.target(start + row, |c| u.get(c, row));
            *log = self.0.weight(start + row) * (total * (num::ln(sum) + highest) - product);
        }
        num::sum(&logs)
    }

    fn slope(&self, start: usize, u: &Block, d: &mut Block, curvature: Option<&mut RowCurvature>) -> f64 {
        let (n_classes, n_rows) = (u.n_outputs(), u.n_rows());
        let value = self.value(start, u);
        d.reshape(n_classes, n_rows);
        d.values_mut().copy_from_slice(u.values());
        softmax(d);
        if let Some(curvature) = curvature {
            curvature.c.clone_from(d);
            curvature.diagonal.clone_from(d);
            curvature.sigma.clear();
            for row in 0..n_rows {
                let (total, _) = self.target(start + row, |_| 0.0);
                let mass = total * self.0.weight(start + row);
                curvature.sigma.push(-mass);
                (0..n_classes).for_each(|c| curvature.diagonal.set(c, row, mass * d.get(c, row)));
            }
        }
        for row in 0..n_rows {
            let s = self.0.weight(start + row);
            match &self.0.targets {
                Targets::Hard { labels, .. } => {
                    let label = labels[start + row] as usize;
                    for c in 0..n_classes {
                        d.set(c, row, s * (d.get(c, row) - f64::from(u8::from(c == label))));
                    }
                }
                Targets::Soft(columns) => {
                    let total: f64 = columns.iter().map(|column| column[start + row]).sum();
                    for (c, column) in columns.iter().enumerate() {
                        d.set(c, row, s * (total * d.get(c, row) - column[start + row]));
                    }
                }
            }
        }
        value
    }

    fn is_convex(&self) -> bool {
        true
    }
}

//! Numbers cut into labels, for grades and decisions.

use super::{Info, PostStep};
use crate::block::Block;

/// Cut points of one output, and the labels below, between and above them.
#[derive(Debug, Clone, PartialEq)]
pub struct Scale {
    /// Ascending; a value that equals one has reached it.
    pub cuts: Vec<f64>,
    /// One more than cuts.
    pub labels: Vec<f64>,
}

impl Scale {
    /// A value becomes the number of cuts that it reaches.
    #[must_use]
    pub fn counting(cuts: Vec<f64>) -> Self {
        Self { labels: (0..=cuts.len()).map(|n| n as f64).collect(), cuts }
    }

    /// Whether the labels are the number of cuts reached.
    #[must_use]
    pub fn counts(&self) -> bool {
        self.labels.iter().enumerate().all(|(n, label)| *label == n as f64)
    }

    /// The label of `value`.
    #[must_use]
    pub fn label(&self, value: f64) -> f64 {
        self.labels[self.cuts.partition_point(|cut| *cut <= value)]
    }

    fn fault(&self) -> Option<String> {
        if self.labels.len() != self.cuts.len() + 1 {
            return Some(format!(
                "{} cuts part {} labels, not {}",
                self.cuts.len(),
                self.cuts.len() + 1,
                self.labels.len()
            ));
        }
        if let Some(t) = self.cuts.iter().chain(&self.labels).find(|t| !t.is_finite()) {
            return Some(format!("a threshold or label is {t}"));
        }
        let pair = self.cuts.windows(2).find(|pair| pair[0] >= pair[1])?;
        Some(format!("thresholds ascend; {} stands before {}", pair[0], pair[1]))
    }
}

pub(super) const INFO: Info = Info {
    name: "thresholds",
    yaml: "thresholds: [1.5, 2.5], or {cuts: [1.5, 2.5], labels: [1, 2, 3]}, or a list of such maps, one per output",
    formula: "the label at place n, n the number of cuts c with c <= x; n itself where no labels are given",
    idempotent: false,
    row_local: true,
    examples: || {
        let labelled = Scale { cuts: vec![-1.0, 0.5], labels: vec![3.0, 1.0, 7.5] };
        let each = vec![labelled.clone(), Scale::counting(vec![0.25]), Scale::counting(vec![])];
        let counting = [vec![0.5], vec![-1.0, 0.0, 0.25], vec![1.5, 2.5, 3.5, 4.5, 5.5]].map(Scale::counting);
        let mut steps: Vec<PostStep> = counting.into_iter().map(|scale| PostStep::Thresholds(vec![scale])).collect();
        steps.extend([PostStep::Thresholds(vec![labelled]), PostStep::Thresholds(each)]);
        steps
    },
};

pub(super) fn fault(scales: &[Scale]) -> Option<String> {
    if scales.is_empty() {
        return Some("no thresholds".to_owned());
    }
    scales.iter().find_map(Scale::fault)
}

pub(super) fn apply(scales: &[Scale], values: &mut Block) {
    let n_outputs = values.n_outputs();
    assert!(scales.len() == 1 || scales.len() == n_outputs, "{} scales for {n_outputs} outputs", scales.len());
    for output in 0..n_outputs {
        let scale = &scales[if scales.len() == 1 { 0 } else { output }];
        values.column_mut(output).iter_mut().for_each(|x| *x = scale.label(*x));
    }
}

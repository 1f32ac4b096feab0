//! Share of rows with a relevant item among the first k.

use super::{BindError, Info, Metric, MetricSpec, SpecError, Target, places};
use crate::{
    judge::Bound,
    output::OutputKind,
    ranking::{BoundRanking, Worth},
    score::Direction,
    space::SpaceName,
    truth::Labels,
};

pub(super) const INFO: Info = Info {
    name: "top_k_accuracy",
    formula: "share of rows whose true class is among the k with the highest values",
    unit: "1",
    range: (0.0, 1.0),
    optimum: 1.0,
    direction: Direction::Higher,
    source: "scikit-learn top_k_accuracy_score",
    target: Target::Relevance,
    options: &["k"],
    space: SpaceName::Linear,
    predictions: &[OutputKind::ClassProbabilities, OutputKind::Probability, OutputKind::Value, OutputKind::Rank],
};

/// `k` is 2 where none is given.
pub(super) fn build(spec: &MetricSpec) -> Result<Box<dyn Metric>, SpecError> {
    Ok(Box::new(TopKAccuracy { k: places(spec, &INFO, 2)? }))
}

struct TopKAccuracy {
    k: usize,
}

impl Metric for TopKAccuracy {
    fn info(&self) -> &'static Info {
        &INFO
    }

    fn label(&self) -> String {
        format!("{}(k={})", INFO.name, self.k)
    }

    fn bind(&self, labels: Labels) -> Result<Box<dyn Bound>, BindError> {
        BoundRanking::bind(&INFO, Worth::Hit, self.k, labels)
    }
}

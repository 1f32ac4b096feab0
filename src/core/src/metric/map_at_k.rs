//! Mean average precision of the first k items.

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
    name: "map_at_k",
    formula: "mean over rows of sum_i<=k P(i) rel(i) / min(k, relevant items), P(i) the share of relevant items among the first i",
    unit: "1",
    range: (0.0, 1.0),
    optimum: 1.0,
    direction: Direction::Higher,
    source: "Kaggle MAP@K; with one relevant item the mean of 1 / place",
    target: Target::Relevance,
    options: &["k"],
    space: SpaceName::Linear,
    predictions: &[OutputKind::ClassProbabilities, OutputKind::Probability, OutputKind::Value, OutputKind::Rank],
};

/// `k` is 3 where none is given.
pub(super) fn build(spec: &MetricSpec) -> Result<Box<dyn Metric>, SpecError> {
    Ok(Box::new(MapAtK { k: places(spec, &INFO, 3)? }))
}

struct MapAtK {
    k: usize,
}

impl Metric for MapAtK {
    fn info(&self) -> &'static Info {
        &INFO
    }

    fn label(&self) -> String {
        format!("{}(k={})", INFO.name, self.k)
    }

    fn bind(&self, labels: Labels) -> Result<Box<dyn Bound>, BindError> {
        BoundRanking::bind(&INFO, Worth::AveragePrecision, self.k, labels)
    }
}

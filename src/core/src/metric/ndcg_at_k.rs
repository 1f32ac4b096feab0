//! Normalized discounted cumulative gain of the first k items.

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
    name: "ndcg_at_k",
    formula: "mean over rows of DCG / highest DCG, DCG = sum_i<=k rel(i) / log2(1 + i); items of one value share their places",
    unit: "1",
    range: (0.0, 1.0),
    optimum: 1.0,
    direction: Direction::Higher,
    source: "Järvelin and Kekäläinen 2002; scikit-learn ndcg_score",
    target: Target::Relevance,
    options: &["k"],
    space: SpaceName::Linear,
    predictions: &[OutputKind::ClassProbabilities, OutputKind::Probability, OutputKind::Value, OutputKind::Rank],
};

/// `k` is 5 where none is given.
pub(super) fn build(spec: &MetricSpec) -> Result<Box<dyn Metric>, SpecError> {
    Ok(Box::new(NdcgAtK { k: places(spec, &INFO, 5)? }))
}

struct NdcgAtK {
    k: usize,
}

impl Metric for NdcgAtK {
    fn info(&self) -> &'static Info {
        &INFO
    }

    fn label(&self) -> String {
        format!("{}(k={})", INFO.name, self.k)
    }

    fn bind(&self, labels: Labels) -> Result<Box<dyn Bound>, BindError> {
        BoundRanking::bind(&INFO, Worth::DiscountedGain, self.k, labels)
    }
}

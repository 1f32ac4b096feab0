//! Harrell's concordance index of risks: censored times, the higher risk the earlier event.

use super::{BindError, Info, Metric, Target};
use crate::{
    concordance::BoundConcordance, judge::Bound, output::OutputKind, score::Direction, space::SpaceName, truth::Labels,
};

pub(super) const INFO: Info = Info {
    name: "c_index",
    formula: "share of comparable pairs in which the earlier event has the higher risk, equal risks counting half",
    unit: "1",
    range: (0.0, 1.0),
    optimum: 1.0,
    direction: Direction::Higher,
    source: "Harrell et al. 1982; scikit-survival concordance_index_censored",
    target: Target::Survival,
    options: &[],
    space: SpaceName::Rank,
    predictions: &[OutputKind::Value, OutputKind::Rank, OutputKind::Probability],
};

pub(super) struct CIndex;

impl Metric for CIndex {
    fn info(&self) -> &'static Info {
        &INFO
    }

    fn bind(&self, labels: Labels) -> Result<Box<dyn Bound>, BindError> {
        BoundConcordance::bind(&INFO, false, labels)
    }
}

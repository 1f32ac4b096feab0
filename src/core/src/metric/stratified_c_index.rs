//! Concordance index within strata, their mean less their standard deviation: high only where it is high in all.

use super::{BindError, Info, Metric, Target};
use crate::{
    concordance::BoundConcordance, judge::Bound, output::OutputKind, score::Direction, space::SpaceName, truth::Labels,
};

pub(super) const INFO: Info = Info {
    name: "stratified_c_index",
    formula: "mean over strata of c_index - its standard deviation over strata",
    unit: "1",
    range: (-1.0, 1.0),
    optimum: 1.0,
    direction: Direction::Higher,
    source: "Kaggle equity-post-HCT-survival-predictions",
    target: Target::Survival,
    options: &["strata"],
    space: SpaceName::Rank,
    predictions: &[OutputKind::Value, OutputKind::Rank, OutputKind::Probability],
};

pub(super) struct StratifiedCIndex;

impl Metric for StratifiedCIndex {
    fn info(&self) -> &'static Info {
        &INFO
    }

    fn bind(&self, labels: Labels) -> Result<Box<dyn Bound>, BindError> {
        BoundConcordance::bind(&INFO, true, labels)
    }
}

//! Mean over classes of the share of a class's rows that are predicted to be of it.

use super::{BindError, Info, Metric, Target};
use crate::{
    confusion::{BoundRate, Rate, Tally},
    judge::Bound,
    output::OutputKind,
    score::Direction,
    space::SpaceName,
    truth::Labels,
};

pub(super) const INFO: Info = Info {
    name: "balanced_accuracy",
    formula: "mean over the classes of the truth of hits / rows of the class, averaged over columns of 0 and 1",
    unit: "1",
    range: (0.0, 1.0),
    optimum: 1.0,
    direction: Direction::Higher,
    source: "scikit-learn balanced_accuracy_score",
    target: Target::Labels,
    options: &[],
    space: SpaceName::Linear,
    predictions: &[OutputKind::Probability, OutputKind::ClassProbabilities, OutputKind::Value, OutputKind::Rank],
};

pub(super) struct BalancedAccuracy;

impl Metric for BalancedAccuracy {
    fn info(&self) -> &'static Info {
        &INFO
    }

    fn bind(&self, labels: Labels) -> Result<Box<dyn Bound>, BindError> {
        BoundRate::bind(&INFO, Rate { classes: rate, positive_only: false, needs: 2 }, labels)
    }
}

/// Classes without rows have no share.
fn rate(classes: &[Tally]) -> f64 {
    let recalls = classes.iter().filter(|class| class.actual > 0.0).map(|class| class.hit / class.actual);
    let (sum, n) = recalls.fold((0.0, 0), |(sum, n), recall| (sum + recall, n + 1));
    if n > 0 { sum / f64::from(n) } else { 0.0 }
}

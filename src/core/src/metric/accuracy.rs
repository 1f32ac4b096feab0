//! Share of rows whose label is predicted, averaged over columns.

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
    name: "accuracy",
    formula: "share of rows whose predicted label is the true one, averaged over columns of 0 and 1",
    unit: "1",
    range: (0.0, 1.0),
    optimum: 1.0,
    direction: Direction::Higher,
    source: "scikit-learn accuracy_score",
    target: Target::Labels,
    options: &[],
    space: SpaceName::Linear,
    predictions: &[OutputKind::Probability, OutputKind::ClassProbabilities, OutputKind::Value, OutputKind::Rank],
};

pub(super) struct Accuracy;

impl Metric for Accuracy {
    fn info(&self) -> &'static Info {
        &INFO
    }

    fn bind(&self, labels: Labels) -> Result<Box<dyn Bound>, BindError> {
        BoundRate::bind(&INFO, Rate { classes: rate, positive_only: false, needs: 1 }, labels)
    }
}

fn rate(classes: &[Tally]) -> f64 {
    classes.iter().map(|class| class.hit).sum()
}

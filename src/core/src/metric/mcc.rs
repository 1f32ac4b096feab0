//! Matthews' correlation coefficient of predicted and true labels, averaged over columns.

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
    name: "mcc",
    formula: "(hits - sum_c predicted_c actual_c) / sqrt((1 - sum_c predicted_c^2) (1 - sum_c actual_c^2)), averaged over columns of 0 and 1",
    unit: "1",
    range: (-1.0, 1.0),
    optimum: 1.0,
    direction: Direction::Higher,
    source: "Matthews 1975; Gorodkin 2004; scikit-learn matthews_corrcoef",
    target: Target::Labels,
    options: &[],
    space: SpaceName::Linear,
    predictions: &[OutputKind::Probability, OutputKind::ClassProbabilities, OutputKind::Value, OutputKind::Rank],
};

pub(super) struct Mcc;

impl Metric for Mcc {
    fn info(&self) -> &'static Info {
        &INFO
    }

    fn bind(&self, labels: Labels) -> Result<Box<dyn Bound>, BindError> {
        BoundRate::bind(&INFO, Rate { classes: rate, positive_only: false, needs: 2 }, labels)
    }
}

/// 0 where one label is all that is predicted.
fn rate(classes: &[Tally]) -> f64 {
    let sum = |term: fn(&Tally) -> f64| classes.iter().map(term).sum::<f64>();
    let together = sum(|class| class.hit - class.predicted * class.actual);
    let predicted = 1.0 - sum(|class| class.predicted * class.predicted);
    let actual = 1.0 - sum(|class| class.actual * class.actual);
    if predicted.min(actual) < ROUNDING {
        return 0.0;
    }
    (together / (libm::sqrt(predicted) * libm::sqrt(actual))).clamp(-1.0, 1.0)
}

/// What is left of one less a sum of shares that is one: less than any row's share.
const ROUNDING: f64 = 1e-12;

//! Harmonic mean of precision and recall: of label 1 averaged over columns, or averaged over classes.

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
    name: "f1",
    formula: "2 hits / (predicted + actual), of label 1 and averaged over columns, or averaged over classes (macro)",
    unit: "1",
    range: (0.0, 1.0),
    optimum: 1.0,
    direction: Direction::Higher,
    source: "van Rijsbergen 1979; scikit-learn f1_score (binary, macro)",
    target: Target::Labels,
    options: &[],
    space: SpaceName::Linear,
    predictions: &[OutputKind::Probability, OutputKind::ClassProbabilities, OutputKind::Value, OutputKind::Rank],
};

pub(super) struct F1;

impl Metric for F1 {
    fn info(&self) -> &'static Info {
        &INFO
    }

    fn bind(&self, labels: Labels) -> Result<Box<dyn Bound>, BindError> {
        BoundRate::bind(&INFO, Rate { classes: rate, positive_only: true, needs: 1 }, labels)
    }
}

/// Classes that are neither predicted nor there do not count.
fn rate(classes: &[Tally]) -> f64 {
    let seen = classes.iter().filter(|class| class.predicted + class.actual > 0.0);
    let (sum, n) =
        seen.fold((0.0, 0), |(sum, n), class| (sum + 2.0 * class.hit / (class.predicted + class.actual), n + 1));
    if n > 0 { sum / f64::from(n) } else { 0.0 }
}

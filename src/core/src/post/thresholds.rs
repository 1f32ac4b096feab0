//! Numbers cut into classes, for grades.

use super::{Info, PostStep};
use crate::block::Block;

pub(super) const INFO: Info = Info {
    name: "thresholds",
    yaml: "thresholds: [1.5, 2.5, 3.5, 4.5, 5.5]",
    // The plain count, from 0: which label the lowest class has is the competition's to say.
    formula: "the number of thresholds t with t <= x, from 0 to n",
    idempotent: false,
    row_local: true,
    examples: || [vec![0.5], vec![-1.0, 0.0, 0.25], vec![1.5, 2.5, 3.5, 4.5, 5.5]].map(PostStep::Thresholds).to_vec(),
};

pub(super) fn fault(thresholds: &[f64]) -> Option<String> {
    if thresholds.is_empty() {
        return Some("no thresholds".to_owned());
    }
    if let Some(t) = thresholds.iter().find(|t| !t.is_finite()) {
        return Some(format!("a threshold is {t}"));
    }
    let pair = thresholds.windows(2).find(|pair| pair[0] >= pair[1])?;
    Some(format!("thresholds ascend; {} stands before {}", pair[0], pair[1]))
}

pub(super) fn apply(thresholds: &[f64], values: &mut Block) {
    values.values_mut().iter_mut().for_each(|x| *x = thresholds.partition_point(|t| t <= x) as f64);
}

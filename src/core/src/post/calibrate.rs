//! A blend's confidence set right: a line on the scale of log odds, of logarithms, or of the values themselves.

use super::{Info, PostStep};
use crate::{block::Block, judge::DEFAULT_CLIP, num, space::softmax};

/// On which scale the line is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Link {
    /// Values as they are.
    Identity,
    /// Log odds of each probability.
    Logit,
    /// Logarithms of a row's class probabilities, which sum to one again afterwards.
    Softmax,
}

/// All links with their names in YAML.
pub const LINKS: [(&str, Link); 3] = [("identity", Link::Identity), ("logit", Link::Logit), ("softmax", Link::Softmax)];

/// `slope * z + shift` on the link's scale. A temperature is the inverse of the slope.
#[derive(Debug, Clone, PartialEq)]
pub struct Calibration {
    /// The scale.
    pub link: Link,
    /// The slope, above 0.
    pub slope: f64,
    /// One shift for all outputs, or one for each.
    pub shift: Vec<f64>,
}

pub(super) const INFO: Info = Info {
    name: "calibrate",
    yaml: "calibrate: {link: logit, slope: 1.08, shift: -0.02}",
    formula: "link^-1(slope * link(x) + shift); link is identity, logit or softmax; probabilities of exactly 0 and 1 stay",
    idempotent: false,
    row_local: true,
    examples: || {
        let step = |link, slope, shift: &[f64]| PostStep::Calibrate(Calibration { link, slope, shift: shift.to_vec() });
        vec![
            step(Link::Identity, 0.5, &[1.0]),
            step(Link::Identity, 0.5, &[1.0, -2.0, 0.0]),
            step(Link::Logit, 1.2, &[-0.1]),
            step(Link::Softmax, 0.8, &[0.0]),
            step(Link::Softmax, 1.5, &[0.0, 0.1, -0.2]),
        ]
    },
};

pub(super) fn fault(it: &Calibration) -> Option<String> {
    if !(it.slope > 0.0 && it.slope.is_finite()) {
        return Some(format!("a slope of {}: it is above 0", it.slope));
    }
    if it.shift.is_empty() {
        return Some("no shift; 0 is none".to_owned());
    }
    it.shift.iter().find(|shift| !shift.is_finite()).map(|shift| format!("a shift is {shift}"))
}

pub(super) fn apply(it: &Calibration, values: &mut Block) {
    // Too few shifts for the outputs: the last one serves the rest.
    let shift = |output: usize| it.shift.get(output).or(it.shift.last()).copied().unwrap_or(0.0);
    match it.link {
        Link::Identity => {
            for output in 0..values.n_outputs() {
                let shift = shift(output);
                values.column_mut(output).iter_mut().for_each(|x| *x = it.slope * *x + shift);
            }
        }
        Link::Logit => {
            for output in 0..values.n_outputs() {
                let shift = shift(output);
                // What is sure stays sure: rows that a step before this one set to 0, and values that are no probabilities.
                for x in values.column_mut(output).iter_mut().filter(|x| **x > 0.0 && **x < 1.0) {
                    *x = num::sigmoid(it.slope * (num::ln(*x) - num::ln(1.0 - *x)) + shift);
                }
            }
        }
        Link::Softmax => {
            for output in 0..values.n_outputs() {
                let shift = shift(output);
                let line = |x: &mut f64| *x = it.slope * num::ln(x.clamp(DEFAULT_CLIP, 1.0)) + shift;
                values.column_mut(output).iter_mut().for_each(line);
            }
            softmax(values);
        }
    }
}

//! From what a graph emits to what is averaged: in f64, with the workspace's portable functions.

use blend_core::{OutputKind, manifest::Average, num};

/// Probabilities are kept this far from 0 and 1 before a logarithm: the clip of the usual log loss.
const CLIP: f64 = 1e-15;

/// A value that is no probability: its position in the row-major values.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct NoProbability {
    pub(crate) at: usize,
    pub(crate) value: f64,
}

/// Whether what a graph emits is averaged as it is.
pub(crate) fn is_plain(emitted: OutputKind, average: Average) -> bool {
    let (probability, logit) = (Average::Probability, Average::Logit);
    match emitted {
        OutputKind::Logit | OutputKind::ClassLogits => average != probability,
        OutputKind::Probability | OutputKind::ClassProbabilities => average != logit,
        _ => true,
    }
}

/// Turns emitted values, row-major of shape `(n_rows, width)` and finite, into what is averaged.
///
/// Errors where `average: logit` meets a value outside [0, 1].
pub(crate) fn enter(
    values: &mut [f64],
    width: usize,
    emitted: OutputKind,
    average: Average,
) -> Result<(), NoProbability> {
    if is_plain(emitted, average) {
        return Ok(());
    }
    match (average, emitted) {
        (Average::Probability, OutputKind::Logit) => num::sigmoid_all(values),
        (Average::Probability, OutputKind::ClassLogits) => values.chunks_exact_mut(width).for_each(softmax),
        (Average::Logit, OutputKind::Probability) => {
            refuse_outside(values)?;
            for value in values {
                // ln(p) - ln(1 - p); 1 - p is exact enough on both sides since p came as f32.
                let p = value.clamp(CLIP, 1.0 - CLIP);
                *value = num::ln(p) - num::ln(1.0 - p);
            }
        }
        (Average::Logit, OutputKind::ClassProbabilities) => {
            refuse_outside(values)?;
            values.iter_mut().for_each(|value| *value = value.max(CLIP));
            num::ln_all(values);
        }
        _ => {}
    }
    Ok(())
}

fn softmax(row: &mut [f64]) {
    let highest = row.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    row.iter_mut().for_each(|value| *value -= highest);
    num::exp_all(row);
    let sum: f64 = row.iter().sum();
    row.iter_mut().for_each(|value| *value /= sum);
}

fn refuse_outside(values: &[f64]) -> Result<(), NoProbability> {
    // Runtimes overshoot by a rounding error.
    let outside = |value: &f64| *value < -1e-6 || *value > 1.0 + 1e-6;
    match values.iter().position(outside) {
        Some(at) => Err(NoProbability { at, value: values[at] }),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logits_and_probabilities_undo_each_other() {
        let logits = [-30.0, -2.0, 0.0, 0.5, 30.0];
        let mut values = logits;
        enter(&mut values, 5, OutputKind::Logit, Average::Probability).unwrap();
        enter(&mut values, 5, OutputKind::Probability, Average::Logit).unwrap();
        for (value, logit) in values.iter().zip(logits) {
            assert!((value - logit).abs() < 0.05 * logit.abs().max(1e-9), "{value} {logit}");
        }
    }

    #[test]
    fn extremes_stay_finite() {
        let mut values = [0.0, 1.0];
        enter(&mut values, 2, OutputKind::Probability, Average::Logit).unwrap();
        assert!(values.iter().all(|value| value.is_finite()) && values[0] < -34.0 && values[1] > 34.0);
        let mut values = [1000.0, -1000.0, 0.0, 0.0];
        enter(&mut values, 2, OutputKind::ClassLogits, Average::Probability).unwrap();
        assert_eq!(values, [1.0, 0.0, 0.5, 0.5]);
        let mut values = [0.0, 1.0];
        enter(&mut values, 2, OutputKind::ClassProbabilities, Average::Logit).unwrap();
        assert!(values[0].is_finite() && values[1] == 0.0);
        let bad = enter(&mut [0.5, 1.5], 2, OutputKind::Probability, Average::Logit).unwrap_err();
        assert_eq!(bad, NoProbability { at: 1, value: 1.5 });
    }

    #[test]
    fn raw_is_left_alone() {
        let mut values = [7.0, -7.0];
        enter(&mut values, 1, OutputKind::Logit, Average::Raw).unwrap();
        enter(&mut values, 1, OutputKind::Vector, Average::Probability).unwrap();
        assert_eq!(values, [7.0, -7.0]);
    }
}

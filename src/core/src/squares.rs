//! Squared errors by column: what mse, rmse, mcrmse, rmsle and r2 have in common.

use crate::{
    block::Block,
    judge::{Additive, Bound, Combine, Judge, Smooth, Squares},
    num,
    score::Direction,
    space::SpaceName,
};
use std::borrow::Cow;

/// The scale on which errors are squared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scale {
    /// The target's own.
    Plain,
    /// ln(1 + x); predictions at or below -1 count as the number next to -1.
    Log1p,
}

/// The smallest prediction whose ln(1 + x) is taken as it is.
pub(crate) const LOWEST: f64 = -1.0 + f64::EPSILON / 2.0;

/// Bound squared errors; the score is [`Combine`]'s value, negated for R2.
pub(crate) struct BoundSquares {
    targets: Vec<Vec<f64>>,
    weights: Option<Vec<f64>>,
    scale: Scale,
    combine: Combine,
}

impl BoundSquares {
    /// `targets` on their own scale.
    pub(crate) fn new(mut targets: Vec<Vec<f64>>, weights: Option<Vec<f64>>, scale: Scale, combine: Combine) -> Self {
        if scale == Scale::Log1p {
            targets.iter_mut().flatten().for_each(|y| *y = libm::log1p(*y));
        }
        Self { targets, weights, scale, combine }
    }
}

impl Bound for BoundSquares {
    fn n_rows(&self) -> usize {
        self.targets[0].len()
    }

    fn n_outputs(&self) -> usize {
        self.targets.len()
    }

    fn direction(&self) -> Direction {
        if matches!(self.combine, Combine::MinusR2(_)) { Direction::Higher } else { Direction::Lower }
    }

    fn judges_rows_alone(&self) -> bool {
        !matches!(self.combine, Combine::MinusR2(_))
    }

    fn judge(&self) -> Judge<'_> {
        Judge::Additive(self)
    }

    fn smooth(&self, space: SpaceName) -> Option<Smooth<'_>> {
        // Logarithms of members are what this metric squares, so there it is a plain square.
        let fits = if self.scale == Scale::Plain { space.leaves_as_is() } else { space == SpaceName::Log1p };
        fits.then(|| {
            Smooth::Squares(Squares {
                targets: Cow::Borrowed(&self.targets),
                weights: self.weights.as_deref(),
                combine: self.combine.clone(),
            })
        })
    }
}

impl Additive for BoundSquares {
    fn n_terms(&self) -> usize {
        self.targets.len()
    }

    fn terms(&self, start: usize, prediction: &Block, out: &mut Block) {
        for (output, target) in self.targets.iter().enumerate() {
            let cells = prediction.column(output).iter().zip(&target[start..start + prediction.n_rows()]);
            for (out, (&p, &y)) in out.column_mut(output).iter_mut().zip(cells) {
                let p = if self.scale == Scale::Log1p { libm::log1p(p.max(LOWEST)) } else { p };
                *out = (p - y) * (p - y);
            }
        }
    }

    fn row_weights(&self) -> Option<&[f64]> {
        self.weights.as_deref()
    }

    fn finish(&self, means: &[f64]) -> f64 {
        self.direction().score(crate::score::Loss::new(self.combine.value(means))).0
    }
}

/// Weighted variance of each column around its weighted mean.
pub(crate) fn variances(targets: &[Vec<f64>], weights: Option<&[f64]>) -> Vec<f64> {
    targets
        .iter()
        .map(|column| {
            let mass = weights.map_or(column.len() as f64, num::sum);
            let total = |values: &[f64]| weights.map_or_else(|| num::sum(values), |w| num::dot(values, w));
            let mean = total(column) / mass;
            let squares: Vec<f64> = column.iter().map(|y| (y - mean) * (y - mean)).collect();
            total(&squares) / mass
        })
        .collect()
}

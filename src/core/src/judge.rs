//! What a metric is once it is bound to labels: a way to score predictions and, where it has one, a smooth form that
//! solvers can differentiate.
//!
//! Everything that can fail fails in [`Metric::bind`](crate::metric::Metric::bind); the methods here are total and
//! never return NaN for finite predictions.

use crate::{block::Block, post::Scale, score::Direction, space::SpaceName};

/// A metric bound to the labels of some rows.
pub trait Bound: Send + Sync {
    /// Rows it judges.
    fn n_rows(&self) -> usize;
    /// Columns a prediction must have.
    fn n_outputs(&self) -> usize;
    /// Which way is better.
    fn direction(&self) -> Direction;
    /// How a score is computed.
    fn judge(&self) -> Judge<'_>;
    /// Whether a row is judged the same whatever other rows are bound beside it: no share of a class, variance or rank
    /// among all rows enters its terms.
    fn judges_rows_alone(&self) -> bool {
        false
    }
    /// What the metric asks of members before they are averaged.
    fn preparation(&self) -> Preparation {
        Preparation::default()
    }
    /// For metrics of labels whose predictions are numbers: how the numbers are cut into labels. A search fits the cuts
    /// on the rows that it fits weights on; a number that nobody cut counts as the nearest label.
    fn cuts(&self) -> Option<&dyn Cuts> {
        None
    }
    /// A smooth metric of the same labels, where this one moves in steps: its optimum is where a search starts.
    fn surrogate(&self) -> Option<&dyn Bound> {
        None
    }
    /// The differentiable form of the loss of a blend in `space`, as a function of the blend `u` in that space.
    fn smooth(&self, space: SpaceName) -> Option<Smooth<'_>> {
        let _ = space;
        None
    }
}

/// What a metric asks of members before they are averaged.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Preparation {
    /// Probabilities are clipped to `[clip, 1 - clip]` before a logarithm is taken.
    pub clip: f64,
    /// Rows of class probabilities are divided by their sum.
    pub renormalize: bool,
}

impl Default for Preparation {
    fn default() -> Self {
        Self { clip: DEFAULT_CLIP, renormalize: false }
    }
}

/// The clip of log losses where none is given: Kaggle's and scikit-learn's old one.
pub const DEFAULT_CLIP: f64 = 1e-15;

/// How a score is computed.
pub enum Judge<'a> {
    /// From sums over rows.
    Additive(&'a dyn Additive),
    /// From all rows at once.
    Whole(&'a dyn Whole),
}

/// A score that is a function of weighted means over rows.
pub trait Additive: Send + Sync {
    /// Number of means.
    fn n_terms(&self) -> usize;
    /// Terms of the rows `start..start + prediction.n_rows()` (in the bound rows' numbering), shape
    /// `(n_terms, n_rows)`, not yet weighted. `prediction` is on the target's scale. A row's terms are the same whichever
    /// other rows are bound.
    fn terms(&self, start: usize, prediction: &Block, out: &mut Block);
    /// A weight per row; equal where absent.
    fn row_weights(&self) -> Option<&[f64]>;
    /// The score from the weighted means of the terms.
    fn finish(&self, means: &[f64]) -> f64;
}

/// The score of one prediction as a function of how often each row counts.
pub type Resampled<'a> = Box<dyn Fn(&[u32]) -> f64 + Send + Sync + 'a>;

/// A score that needs all rows at once.
pub trait Whole: Send + Sync {
    /// The score of `prediction`, shape `(n_outputs, n_rows)`; `counts` says how often each row counts (a bootstrap
    /// replicate), once where absent.
    fn score(&self, prediction: &Block, counts: Option<&[u32]>) -> f64;
    /// The score of `prediction` as a function of `counts`, for many replicates: what they share is done once.
    fn resampled<'a>(&'a self, prediction: &'a Block) -> Resampled<'a> {
        Box::new(move |counts: &[u32]| self.score(prediction, Some(counts)))
    }
}

/// Cut points for numbers that are judged as labels.
pub trait Cuts: Send + Sync {
    /// The cuts of `prediction`, shape `(n_outputs, n_rows)` over the bound rows, that score best: a scale per output.
    fn fit(&self, prediction: &Block) -> Vec<Scale>;
    /// The score of `prediction` with the cuts that [`Self::fit`] gives.
    fn best(&self, prediction: &Block) -> f64;
}

/// A differentiable loss of a blend `u` in some space. Losses here are oriented (lower is better).
pub enum Smooth<'a> {
    /// A mean over cells of a loss of that cell alone.
    Cells(Box<dyn Cells + 'a>),
    /// A mean over rows of `-ln u` of the row's true class: only one column per row is ever read.
    TrueClass(TrueClass<'a>),
    /// A mean over rows of a loss of all outputs of the row.
    Rows(Box<dyn RowLoss + 'a>),
    /// A function of the columns' mean squared errors.
    Squares(Squares<'a>),
    /// Mean absolute errors, also tilted (quantiles) and relative: convex, with kinks.
    Absolute(Absolute<'a>),
}

/// A loss of single cells. All slices have one length; `start` is the first row in the bound rows' numbering.
///
/// Sums are weighted by row and not divided by [`Cells::mass`]; a blend outside the loss's domain gives infinity.
pub trait Cells: Send + Sync {
    /// What the sums are divided by.
    fn mass(&self) -> f64;
    /// Members are moved into this interval as they enter, where there is one.
    fn member_range(&self) -> Option<(f64, f64)>;
    /// Sum of losses.
    fn value(&self, output: usize, start: usize, u: &[f64]) -> f64;
    /// Sum of losses; derivatives to `d`.
    fn slope(&self, output: usize, start: usize, u: &[f64], d: &mut [f64]) -> f64;
    /// Sum of losses; first derivatives to `d`, second to `h`.
    fn curve(&self, output: usize, start: usize, u: &[f64], d: &mut [f64], h: &mut [f64]) -> f64;
    /// Whether the loss is convex in `u`.
    fn is_convex(&self) -> bool;
    /// Whether the loss of a cell is `-ln u`, weighed or not.
    fn is_minus_log(&self) -> bool {
        false
    }
    /// The labels 0 and 1 of one output, where the loss of a cell is `-ln u` of a 1 and `-ln(1 - u)` of a 0, and all
    /// cells weigh the same.
    fn hard_labels(&self, output: usize) -> Option<&[u8]> {
        let _ = output;
        None
    }
}

impl<T: Cells + ?Sized> Cells for &T {
    fn mass(&self) -> f64 {
        (**self).mass()
    }

    fn member_range(&self) -> Option<(f64, f64)> {
        (**self).member_range()
    }

    fn value(&self, output: usize, start: usize, u: &[f64]) -> f64 {
        (**self).value(output, start, u)
    }

    fn slope(&self, output: usize, start: usize, u: &[f64], d: &mut [f64]) -> f64 {
        (**self).slope(output, start, u, d)
    }

    fn curve(&self, output: usize, start: usize, u: &[f64], d: &mut [f64], h: &mut [f64]) -> f64 {
        (**self).curve(output, start, u, d, h)
    }

    fn is_convex(&self) -> bool {
        (**self).is_convex()
    }

    fn is_minus_log(&self) -> bool {
        (**self).is_minus_log()
    }

    fn hard_labels(&self, output: usize) -> Option<&[u8]> {
        (**self).hard_labels(output)
    }
}

/// The labels of a hard multi-class log loss in the linear space.
pub struct TrueClass<'a> {
    /// Column of the true class, per row.
    pub labels: &'a [u32],
    /// A weight per row; equal where absent.
    pub weights: Option<&'a [f64]>,
    /// Lowest probability of a member.
    pub clip: f64,
}

/// A loss of all outputs of a row together.
pub trait RowLoss: Send + Sync {
    /// What the sums are divided by.
    fn mass(&self) -> f64;
    /// Sum of weighted losses of the rows from `start`; `u` has shape `(n_outputs, n_rows)`.
    fn value(&self, start: usize, u: &Block) -> f64;
    /// Sum of losses; derivatives to `d`, same shape as `u`; curvature where asked.
    fn slope(&self, start: usize, u: &Block, d: &mut Block, curvature: Option<&mut RowCurvature>) -> f64;
    /// Whether the loss is convex in `u`.
    fn is_convex(&self) -> bool;
}

/// Second derivatives of a row's loss: `diag(diagonal) + sigma * c c'` (a positive semidefinite stand-in where the
/// loss is not convex).
#[derive(Debug, Default)]
pub struct RowCurvature {
    /// Shape `(n_outputs, n_rows)`, or of no outputs where it is zero.
    pub diagonal: Block,
    /// One per row.
    pub sigma: Vec<f64>,
    /// Shape `(n_outputs, n_rows)`.
    pub c: Block,
}

/// Squared errors by column.
pub struct Squares<'a> {
    /// Targets, on the scale of the blend, one column per output.
    pub targets: std::borrow::Cow<'a, [Vec<f64>]>,
    /// A weight per row; equal where absent.
    pub weights: Option<&'a [f64]>,
    /// How column means become a loss.
    pub combine: Combine,
}

/// How the columns' mean squared errors `m_t` become a loss.
#[derive(Debug, Clone, PartialEq)]
pub enum Combine {
    /// Their mean.
    Mean,
    /// The root of their mean.
    RootOfMean,
    /// The mean of their roots.
    MeanOfRoots,
    /// The mean of `m_t / v_t` minus one, `v_t` the column's variance: minus R2.
    MinusR2(Vec<f64>),
}

impl Combine {
    /// The loss and its first and second derivatives by each column's mean. (Second derivatives are diagonal except
    /// for the root of the mean, where `second[t]` is the common value of the full matrix.)
    #[must_use]
    pub fn value(&self, means: &[f64]) -> f64 {
        let n = means.len() as f64;
        match self {
            Self::Mean => means.iter().sum::<f64>() / n,
            Self::RootOfMean => libm::sqrt(means.iter().map(|m| m.max(0.0)).sum::<f64>() / n),
            Self::MeanOfRoots => means.iter().map(|m| libm::sqrt(m.max(0.0))).sum::<f64>() / n,
            Self::MinusR2(variances) => means.iter().zip(variances).map(|(m, v)| m / v - 1.0).sum::<f64>() / n,
        }
    }

    /// Whether the loss is a fixed weighted sum of the means, and if so with which weights.
    #[must_use]
    pub fn linear_weights(&self, n_columns: usize) -> Option<Vec<f64>> {
        let n = n_columns as f64;
        match self {
            // The root is monotone: the mean has the same optimum.
            Self::Mean | Self::RootOfMean => Some(vec![1.0 / n; n_columns]),
            Self::MinusR2(variances) => Some(variances.iter().map(|v| 1.0 / (v * n)).collect()),
            Self::MeanOfRoots => (n_columns == 1).then(|| vec![1.0]),
        }
    }
}

/// The mean over rows and columns of `scale |u - y| + tilt (u - y)`.
#[derive(Clone, Copy)]
pub struct Absolute<'a> {
    /// Targets, one column per output.
    pub targets: &'a [Vec<f64>],
    /// A weight per row; equal where absent.
    pub weights: Option<&'a [f64]>,
    /// Factor of the absolute value.
    pub scale: f64,
    /// Factor of the error itself, of absolute value at most `scale`.
    pub tilt: f64,
    /// A factor per cell on both, shaped as `targets`; 1 where absent.
    pub factors: Option<&'a [Vec<f64>]>,
}

impl Absolute<'_> {
    /// The factor of a cell: its row's weight times its own.
    #[must_use]
    pub fn factor(&self, output: usize, row: usize) -> f64 {
        self.weights.map_or(1.0, |w| w[row]) * self.factors.map_or(1.0, |f| f[output][row])
    }
}

/// The score of a prediction given block by block: `read(block, out)` fills the bound rows of one block, on the
/// target's scale. `ends` are the numbers of bound rows up to and including each block.
pub fn score_blocks(bound: &dyn Bound, ends: &[usize], mut read: impl FnMut(usize, &mut Block)) -> f64 {
    match bound.judge() {
        Judge::Additive(additive) => {
            let (mut prediction, mut terms) = (Block::default(), Block::default());
            let mut sums = vec![0.0; additive.n_terms()];
            let mut mass = 0.0;
            let mut start = 0;
            for (block, &end) in ends.iter().enumerate() {
                if end == start {
                    continue;
                }
                read(block, &mut prediction);
                terms.reshape(additive.n_terms(), end - start);
                additive.terms(start, &prediction, &mut terms);
                let weights = additive.row_weights().map(|w| &w[start..end]);
                mass += weights.map_or((end - start) as f64, crate::num::sum);
                for (term, total) in sums.iter_mut().enumerate() {
                    *total += match weights {
                        Some(weights) => crate::num::dot(terms.column(term), weights),
                        None => crate::num::sum(terms.column(term)),
                    };
                }
                start = end;
            }
            sums.iter_mut().for_each(|sum| *sum /= mass);
            additive.finish(&sums)
        }
        Judge::Whole(whole) => {
            let n_rows = ends.last().copied().unwrap_or(0);
            let mut all = Block::new(bound.n_outputs(), n_rows);
            let mut part = Block::default();
            let mut start = 0;
            for (block, &end) in ends.iter().enumerate() {
                if end == start {
                    continue;
                }
                read(block, &mut part);
                all.put(start, &part);
                start = end;
            }
            whole.score(&all, None)
        }
    }
}

/// The score of a prediction held whole, shape `(n_outputs, n_rows)` over the bound rows.
#[must_use]
pub fn score(bound: &dyn Bound, prediction: &Block) -> f64 {
    match bound.judge() {
        Judge::Whole(whole) => whole.score(prediction, None),
        Judge::Additive(_) => {
            let step = crate::source::BLOCK_ROWS;
            let n_rows = prediction.n_rows();
            let ends: Vec<usize> = (0..n_rows.div_ceil(step)).map(|b| ((b + 1) * step).min(n_rows)).collect();
            score_blocks(bound, &ends, |block, out| {
                let (start, end) = (block * step, ends[block]);
                out.reshape(prediction.n_outputs(), end - start);
                for output in 0..prediction.n_outputs() {
                    out.column_mut(output).copy_from_slice(&prediction.column(output)[start..end]);
                }
            })
        }
    }
}

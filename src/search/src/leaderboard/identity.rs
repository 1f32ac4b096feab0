//! Pairs of metric and space in which a blend's public score follows from its members' scores without a label.
//!
//! Where the label enters a loss only through a term linear in the entered prediction `z`, for any made-up labels `y~`
//!
//! ```text
//! LB(w) = L~(w) + sum_k w_k (s_k - L~(e_k))
//! ```
//!
//! with `L~` the metric's own loss of blends judged by `y~`, `s_k` the public score of member k and `sum w = 1` (any sum
//! for the two log losses): `L~` carries the curvature, which needs no label, and the differences carry what the scores
//! say. With `y~ = z-bar` this is the ambiguity decomposition of Krogh and Vedelsby (1995); for Bregman losses see Wood
//! et al., JMLR 2023.

use blend_core::{
    Block, OutputKind,
    judge::{self, Bound, Judge, Preparation},
    metric::{self, Metric, MetricSpec},
    num,
    output::Encoding,
    space::SpaceName,
    truth::{LabelValues, Labels},
};

/// How the label enters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Family {
    /// 0 or 1 in each cell, entered as log odds.
    Binary,
    /// One class per row, entered as logarithms.
    Classes,
    /// A number per cell, entered as it is (of RMSLE: its logarithm).
    Squares,
}

/// How the metric's unit follows from the additive loss.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unit {
    /// It is the loss.
    Same,
    /// The loss is its square.
    Root,
    /// A mean absolute error `s` of normal errors has the mean square `(pi/2) s^2`.
    MeanAbsolute,
}

impl Unit {
    /// The additive loss of a score.
    pub(crate) fn additive(self, score: f64) -> f64 {
        match self {
            Self::Same => score,
            Self::Root => score * score,
            Self::MeanAbsolute => std::f64::consts::FRAC_PI_2 * score * score,
        }
    }

    /// The score of an additive loss; rounding may have brought one that is near zero below it.
    pub(crate) fn score(self, loss: f64) -> f64 {
        match self {
            Self::Same => loss,
            Self::Root => loss.max(0.0).sqrt(),
            Self::MeanAbsolute => (std::f64::consts::FRAC_2_PI * loss.max(0.0)).sqrt(),
        }
    }

    /// The score's change per change of the additive loss, at `loss`.
    pub(crate) fn slope(self, loss: f64) -> f64 {
        match self {
            Self::Same => 1.0,
            Self::Root => 0.5 / loss.max(1e-300).sqrt(),
            Self::MeanAbsolute => 0.5 * (std::f64::consts::FRAC_2_PI / loss.max(1e-300)).sqrt(),
        }
    }

    /// Half a unit of the last digit of `score`, in the additive loss.
    pub(crate) fn half_unit(self, score: f64, half: f64) -> f64 {
        self.additive(score.abs() + half) - self.additive(score.abs())
    }
}

/// A canonical pair.
pub(crate) struct Pair {
    pub(crate) family: Family,
    /// The metric whose means are additive: squared errors for their root.
    pub(crate) metric: Box<dyn Metric>,
    pub(crate) space: SpaceName,
    pub(crate) unit: Unit,
    /// Whether weights must sum to one, because a part of the labels that is the same for all files is not known.
    pub(crate) sums_to_one: bool,
}

impl Pair {
    /// The pair of a metric; `None` where it has none.
    pub(crate) fn of(spec: &MetricSpec) -> Option<Self> {
        let (family, space, unit, sums_to_one) = match spec.name.as_str() {
            "log_loss" => (Family::Binary, SpaceName::Logit, Unit::Same, false),
            // Where classes are weighed, a row's weight is a function of its label.
            "multiclass_log_loss"
                if spec.class_weights.is_empty() && spec.aggregation.as_deref() != Some("class_mean") =>
            {
                (Family::Classes, SpaceName::Log, Unit::Same, false)
            }
            // The entropy of the labels is common to all files.
            "kl_divergence" => (Family::Classes, SpaceName::Log, Unit::Same, true),
            "mse" => (Family::Squares, SpaceName::Linear, Unit::Same, true),
            "rmse" => (Family::Squares, SpaceName::Linear, Unit::Root, true),
            // Root mean squared errors of logarithms, which are what is blended.
            "rmsle" => (Family::Squares, SpaceName::Log1p, Unit::Root, true),
            _ => return None,
        };
        let spec = match family {
            Family::Squares => named("mse"),
            // A divergence is a log loss less that entropy.
            Family::Classes => MetricSpec { name: "multiclass_log_loss".to_owned(), ..spec.clone() },
            Family::Binary => spec.clone(),
        };
        Some(Self { family, metric: metric::build(&spec).ok()?, space, unit, sums_to_one })
    }

    /// Absolute errors taken for those of normal residuals: an approximation that needs nothing but scores.
    pub(crate) fn of_absolute_errors() -> Option<Self> {
        let metric = metric::build(&named("mse")).ok()?;
        let (family, space) = (Family::Squares, SpaceName::Linear);
        Some(Self { family, metric, space, unit: Unit::MeanAbsolute, sums_to_one: true })
    }

    /// What submitted values are.
    pub(crate) fn encoding(&self) -> Encoding {
        Encoding::plain(match self.family {
            Family::Binary => OutputKind::Probability,
            Family::Classes => OutputKind::ClassProbabilities,
            Family::Squares => OutputKind::Value,
        })
    }

    /// Submitted values as the additive metric judges them: as they are, or as the logarithms that RMSLE squares.
    pub(crate) fn judged(&self, mut values: Block) -> Block {
        if self.space != self.inner() {
            self.space.get().enter(self.encoding(), Preparation::default(), &mut values);
        }
        values
    }

    /// The space in which judged values are averaged.
    pub(crate) fn inner(&self) -> SpaceName {
        if self.space == SpaceName::Log1p { SpaceName::Linear } else { self.space }
    }

    /// Judged values on the scale of averaging.
    pub(crate) fn enter(&self, judged: &Block, preparation: Preparation) -> Block {
        let mut entered = judged.clone();
        self.inner().get().enter(self.encoding(), preparation, &mut entered);
        entered
    }

    /// The metric bound to made-up labels: probabilities, shares, numbers. `None` where it refuses them, which it does
    /// not for labels that are means of predictions.
    pub(crate) fn bind(&self, labels: &Block) -> Option<Box<dyn Bound>> {
        let mut columns: Vec<Vec<f64>> = (0..labels.n_outputs()).map(|t| labels.column(t).to_vec()).collect();
        match self.family {
            Family::Binary => columns.iter_mut().flatten().for_each(|y| *y = y.clamp(0.0, 1.0)),
            Family::Classes => normalize(&mut columns),
            Family::Squares => {}
        }
        self.metric.bind(Labels { values: LabelValues::Real(columns), weights: None }).ok()
    }
}

fn named(name: &str) -> MetricSpec {
    MetricSpec { name: name.to_owned(), ..MetricSpec::default() }
}

/// Shares of each row, not negative and summing to one.
fn normalize(columns: &mut [Vec<f64>]) {
    for row in 0..columns.first().map_or(0, Vec::len) {
        let total: f64 = columns.iter().map(|column| column[row].max(0.0)).sum();
        let n = columns.len() as f64;
        for column in columns.iter_mut() {
            column[row] = if total > 0.0 { column[row].max(0.0) / total } else { 1.0 / n };
        }
    }
}

/// The loss of every row under the labels that `bound` is bound to, in the additive unit.
pub(crate) fn row_losses(bound: &dyn Bound, values: &Block) -> Vec<f64> {
    let Judge::Additive(additive) = bound.judge() else { return vec![0.0; values.n_rows()] };
    let mut terms = Block::new(additive.n_terms(), values.n_rows());
    additive.terms(0, values, &mut terms);
    let mut means = vec![0.0; additive.n_terms()];
    (0..values.n_rows())
        .map(|row| {
            means.iter_mut().enumerate().for_each(|(term, mean)| *mean = terms.get(term, row));
            additive.finish(&means)
        })
        .collect()
}

/// The mean loss, in the additive unit.
pub(crate) fn loss(bound: &dyn Bound, values: &Block) -> f64 {
    judge::score(bound, values)
}

/// Labels' spread given the made-up labels, and each file's lever on it, both of the cells' shape: the covariance of
/// what the scores of files i and j say beyond `L~` is proportional to `sum_c v_c x_ic x_jc`.
pub(crate) struct Levers {
    pub(crate) v: Block,
    labels: Block,
    family: Family,
}

impl Levers {
    /// `spread` is the variance of a number around its made-up label; of no meaning for probabilities.
    pub(crate) fn new(family: Family, labels: &Block, spread: f64) -> Self {
        let mut v = labels.clone();
        v.values_mut().iter_mut().for_each(|p| {
            *p = match family {
                Family::Binary => *p * (1.0 - *p),
                Family::Classes => *p,
                Family::Squares => spread,
            }
        });
        Self { v, labels: labels.clone(), family }
    }

    /// The lever of an entered prediction.
    pub(crate) fn of(&self, entered: &Block) -> Block {
        let mut x = entered.clone();
        match self.family {
            Family::Binary => {}
            // A constant added to a row's logarithms changes nothing: measured from the row's mean.
            Family::Classes => {
                let mut mean = vec![0.0; x.n_rows()];
                for output in 0..x.n_outputs() {
                    let cells = self.labels.column(output).iter().zip(x.column(output));
                    mean.iter_mut().zip(cells).for_each(|(mean, (p, z))| *mean += p * z);
                }
                for output in 0..x.n_outputs() {
                    x.column_mut(output).iter_mut().zip(&mean).for_each(|(z, mean)| *z -= mean);
                }
            }
            Family::Squares => {
                x.values_mut().iter_mut().zip(self.labels.values()).for_each(|(z, y)| *z = 2.0 * (*z - y));
            }
        }
        x
    }

    /// `v x`, cell by cell.
    pub(crate) fn weighted(&self, x: &Block) -> Vec<f64> {
        self.v.values().iter().zip(x.values()).map(|(v, x)| v * x).collect()
    }
}

/// Weighted sum of blocks of one shape.
pub(crate) fn mix(blocks: &[Block], weights: &[f64]) -> Block {
    let mut sum = Block::new(blocks[0].n_outputs(), blocks[0].n_rows());
    for (block, &weight) in blocks.iter().zip(weights).filter(|(_, weight)| **weight != 0.0) {
        sum.add_scaled(weight, block);
    }
    sum
}

/// Variance of a row's value and its mean, with `n - 1` below.
pub(crate) fn variance(values: &[f64]) -> f64 {
    let n = values.len() as f64;
    if values.len() < 2 {
        return 0.0;
    }
    let mean = num::sum(values) / n;
    let squares: Vec<f64> = values.iter().map(|x| (x - mean) * (x - mean)).collect();
    num::sum(&squares) / (n - 1.0)
}

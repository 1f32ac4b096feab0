//! Metrics: how predictions are judged.
//!
//! To add one: a file with its formula, unit, range, optimum and source, and two lines below (`mod` and the
//! catalogue). The laws in `laws.rs` then test it: a perfect prediction attains the optimum, rows may be permuted, a
//! weight of 2 is the row twice, derivatives equal finite differences, block by block equals whole.

mod accuracy;
mod angular_error;
mod auc;
mod balanced_accuracy;
mod c_index;
mod f1;
mod kl_divergence;
mod log_loss;
mod mae;
mod map_at_k;
mod mape;
mod mcc;
mod mcrmse;
mod mse;
mod multiclass_log_loss;
mod ndcg_at_k;
mod pearson;
mod pinball;
mod qwk;
mod r2;
mod rmse;
mod rmsle;
mod smape;
mod spearman;
mod stratified_c_index;
mod top_k_accuracy;

#[cfg(test)]
mod golden;
#[cfg(test)]
mod laws;

use crate::{
    judge::{Bound, DEFAULT_CLIP},
    manifest::ColumnFile,
    output::OutputKind,
    score::Direction,
    space::SpaceName,
    truth::{LabelValues, Labels},
};
use std::{collections::BTreeMap, path::PathBuf};

/// A metric with its options, not yet bound to labels.
pub trait Metric: Send + Sync {
    /// What the catalogue says of it.
    fn info(&self) -> &'static Info;
    /// Its name with the options that are set, as `log_loss(clip=1e-15)`.
    fn label(&self) -> String {
        self.info().name.to_owned()
    }
    /// What went wrong while it was asked, of a metric that is computed elsewhere and can fail.
    fn fault(&self) -> Option<String> {
        None
    }
    /// Binds it to labels. Errors where the labels are of another kind or leave the metric undefined.
    fn bind(&self, labels: Labels) -> Result<Box<dyn Bound>, BindError>;
}

/// A metric's entry in the catalogue.
#[derive(Debug)]
pub struct Info {
    /// Name in YAML and on the command line.
    pub name: &'static str,
    /// The formula.
    pub formula: &'static str,
    /// Its unit.
    pub unit: &'static str,
    /// Lowest and highest value.
    pub range: (f64, f64),
    /// The value of a perfect prediction.
    pub optimum: f64,
    /// Which way is better.
    pub direction: Direction,
    /// Where the definition comes from.
    pub source: &'static str,
    /// Labels it judges.
    pub target: Target,
    /// Options it takes, of those in [`MetricSpec`].
    pub options: &'static [&'static str],
    /// The space that suits it where a competition names none.
    pub space: SpaceName,
    /// What predictions it judges after decoding, first the one assumed where nothing is said.
    pub predictions: &'static [OutputKind],
}

/// Kinds of labels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// 0 or 1 per column.
    Binary,
    /// One class per row, or one column of shares per class.
    Classes,
    /// One column of shares per class.
    Shares,
    /// A number per column.
    Number,
    /// A number above -1 per column.
    NonNegative,
    /// A number other than 0 per column.
    Nonzero,
    /// A whole number per column.
    Grade,
    /// 0 or 1 per column, or one class per row.
    Labels,
    /// One class per row, or the relevance of each item in a column of its own.
    Relevance,
    /// A time, and whether it ended in an event (1) or was censored (0).
    Survival,
    /// A unit vector.
    Direction,
}

impl Target {
    /// In words, for messages.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::Binary => "0 or 1 in each column",
            Self::Classes => "one class per row, or one column of shares per class",
            Self::Shares => "one column of shares per class",
            Self::Number => "a number in each column",
            Self::NonNegative => "a number above -1 in each column",
            Self::Nonzero => "a number other than 0 in each column",
            Self::Grade => "a whole number in each column",
            Self::Labels => "0 or 1 in each column, or one class per row",
            Self::Relevance => "one class per row, or the relevance of each item in its column, not negative",
            Self::Survival => "two columns: a time, and 1 for an event or 0 for a censored time",
            Self::Direction => "a direction",
        }
    }
}

/// A metric as a competition names it, with its options. Unchecked: [`build`] checks.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct MetricSpec {
    /// Its name in the catalogue.
    pub name: String,
    /// Probabilities are clipped to `[clip, 1 - clip]`.
    pub clip: Option<f64>,
    /// Rows of class probabilities are divided by their sum first.
    pub renormalize: Option<bool>,
    /// `row_mean` (default) or `class_mean`.
    pub aggregation: Option<String>,
    /// Weight of each class, by the class's name; 1 where not named.
    pub class_weights: BTreeMap<String, f64>,
    /// Places that count.
    pub k: Option<u32>,
    /// Which quantile is predicted, in (0, 1).
    pub quantile: Option<f64>,
    /// The stratum of each row.
    pub strata: Option<ColumnFile>,
    /// The graph that computes it, in place of a name.
    pub graph: Option<GraphSpec>,
}

/// A metric that a graph computes, see [`crate::scorer`].
#[derive(Debug, Clone, PartialEq)]
pub struct GraphSpec {
    /// The ONNX file.
    pub file: PathBuf,
    /// Which way is better.
    pub better: Direction,
    /// Whether the truth is one class per row; numbers per column otherwise.
    pub classes: bool,
}

/// Why a metric cannot be bound to labels.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum BindError {
    /// Labels of another kind.
    #[error("{metric} judges {wanted}; the truth holds {got}")]
    Kind {
        /// The metric.
        metric: &'static str,
        /// What it judges.
        wanted: &'static str,
        /// What was given.
        got: &'static str,
    },
    /// Labels that leave the metric undefined.
    #[error("{metric} is undefined here: {why}")]
    Undefined {
        /// The metric.
        metric: &'static str,
        /// What is missing.
        why: String,
    },
}

/// Why a metric cannot be built.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum SpecError {
    /// No such metric.
    #[error("no metric is called `{0}`")]
    Unknown(String),
    /// A metric that a graph computes: only who can run graphs can build it.
    #[error("metric {} is a graph, and none of the catalogue", .0.display())]
    Graph(PathBuf),
    /// An option that the metric does not take.
    #[error("metric {metric} takes no option `{option}` (it takes {takes})")]
    Option {
        /// The metric.
        metric: &'static str,
        /// The option.
        option: &'static str,
        /// Those it takes.
        takes: String,
    },
    /// An option with a value outside its range.
    #[error("option `{option}` of {metric} is {value}: {wanted}")]
    Value {
        /// The metric.
        metric: &'static str,
        /// The option.
        option: &'static str,
        /// Its value.
        value: String,
        /// What is allowed.
        wanted: &'static str,
    },
}

type Build = fn(&MetricSpec) -> Result<Box<dyn Metric>, SpecError>;

/// All metrics.
pub const CATALOGUE: [(&Info, Build); 26] = [
    (&log_loss::INFO, log_loss::build),
    (&multiclass_log_loss::INFO, multiclass_log_loss::build),
    (&kl_divergence::INFO, kl_divergence::build),
    (&rmse::INFO, |_| Ok(Box::new(rmse::Rmse))),
    (&mse::INFO, |_| Ok(Box::new(mse::Mse))),
    (&mcrmse::INFO, |_| Ok(Box::new(mcrmse::Mcrmse))),
    (&rmsle::INFO, |_| Ok(Box::new(rmsle::Rmsle))),
    (&mae::INFO, |_| Ok(Box::new(mae::Mae))),
    (&mape::INFO, |_| Ok(Box::new(mape::Mape))),
    (&smape::INFO, |_| Ok(Box::new(smape::Smape))),
    (&pinball::INFO, pinball::build),
    (&r2::INFO, |_| Ok(Box::new(r2::R2))),
    (&pearson::INFO, |_| Ok(Box::new(pearson::Pearson))),
    (&spearman::INFO, |_| Ok(Box::new(spearman::Spearman))),
    (&auc::INFO, |_| Ok(Box::new(auc::Auc))),
    (&c_index::INFO, |_| Ok(Box::new(c_index::CIndex))),
    (&stratified_c_index::INFO, |_| Ok(Box::new(stratified_c_index::StratifiedCIndex))),
    (&qwk::INFO, |_| Ok(Box::new(qwk::Qwk))),
    (&f1::INFO, |_| Ok(Box::new(f1::F1))),
    (&mcc::INFO, |_| Ok(Box::new(mcc::Mcc))),
    (&accuracy::INFO, |_| Ok(Box::new(accuracy::Accuracy))),
    (&balanced_accuracy::INFO, |_| Ok(Box::new(balanced_accuracy::BalancedAccuracy))),
    (&top_k_accuracy::INFO, top_k_accuracy::build),
    (&map_at_k::INFO, map_at_k::build),
    (&ndcg_at_k::INFO, ndcg_at_k::build),
    (&angular_error::INFO, |_| Ok(Box::new(angular_error::AngularError))),
];

/// The metric that `spec` names, with its options checked.
pub fn build(spec: &MetricSpec) -> Result<Box<dyn Metric>, SpecError> {
    if let Some(graph) = &spec.graph {
        return Err(SpecError::Graph(graph.file.clone()));
    }
    let (info, build) = CATALOGUE
        .iter()
        .find(|(info, _)| info.name == spec.name)
        .ok_or_else(|| SpecError::Unknown(spec.name.clone()))?;
    let given = [
        ("clip", spec.clip.is_some()),
        ("renormalize", spec.renormalize.is_some()),
        ("aggregation", spec.aggregation.is_some()),
        ("class_weights", !spec.class_weights.is_empty()),
        ("k", spec.k.is_some()),
        ("quantile", spec.quantile.is_some()),
        ("strata", spec.strata.is_some()),
    ];
    if let Some((option, _)) = given.iter().find(|(option, given)| *given && !info.options.contains(option)) {
        let takes = if info.options.is_empty() { "none".to_owned() } else { info.options.join(", ") };
        return Err(SpecError::Option { metric: info.name, option, takes });
    }
    build(spec)
}

/// The clip of a spec, checked.
fn clip(spec: &MetricSpec, metric: &'static str) -> Result<f64, SpecError> {
    let clip = spec.clip.unwrap_or(DEFAULT_CLIP);
    if clip > 0.0 && clip < 0.5 {
        return Ok(clip);
    }
    Err(SpecError::Value { metric, option: "clip", value: clip.to_string(), wanted: "above 0, below 0.5" })
}

/// The places of a spec, checked.
fn places(spec: &MetricSpec, info: &'static Info, default: usize) -> Result<usize, SpecError> {
    match spec.k {
        Some(0) => {
            Err(SpecError::Value { metric: info.name, option: "k", value: "0".to_owned(), wanted: "at least 1" })
        }
        k => Ok(k.map_or(default, |k| k as usize)),
    }
}

/// A metric of the catalogue without options: the smooth relative of another one. Panics on any other name.
pub(crate) fn plain(name: &'static str) -> Box<dyn Metric> {
    let spec = MetricSpec { name: name.to_owned(), ..MetricSpec::default() };
    build(&spec).unwrap_or_else(|error| panic!("{error}"))
}

fn words(values: &LabelValues) -> &'static str {
    match values {
        LabelValues::Binary(_) => "0 or 1 in each column",
        LabelValues::Real(_) => "numbers",
        LabelValues::Class { .. } => "classes",
        LabelValues::Directions(_) => "directions",
        LabelValues::Survival { .. } => "times and events",
    }
}

pub(crate) fn wrong_kind(info: &'static Info, labels: &Labels) -> BindError {
    BindError::Kind { metric: info.name, wanted: info.target.words(), got: words(&labels.values) }
}

/// Numbers per column, and a weight per row.
pub(crate) type Weighted = (Vec<Vec<f64>>, Option<Vec<f64>>);

/// Numbers per column and the row weights, from labels that are numbers (or 0 and 1).
pub(crate) fn numbers(info: &'static Info, labels: Labels) -> Result<Weighted, BindError> {
    match labels.values {
        LabelValues::Real(columns) => Ok((columns, labels.weights)),
        LabelValues::Binary(columns) => {
            Ok((columns.into_iter().map(|c| c.into_iter().map(f64::from).collect()).collect(), labels.weights))
        }
        _ => Err(wrong_kind(info, &labels)),
    }
}

/// Columns of 0 and 1, from labels that are that or numbers equal to them.
pub(crate) fn zeros_and_ones(info: &'static Info, labels: Labels) -> Result<Vec<Vec<u8>>, BindError> {
    match labels.values {
        LabelValues::Binary(columns) => Ok(columns),
        LabelValues::Real(columns) if columns.iter().flatten().all(|y| *y == 0.0 || *y == 1.0) => {
            Ok(columns.into_iter().map(|c| c.into_iter().map(|y| y as u8).collect()).collect())
        }
        _ => Err(wrong_kind(info, &labels)),
    }
}

/// How far a row's shares may miss a sum of one: shares that were written with two decimals.
const SHARE_TOLERANCE: f64 = 0.02;

/// Refuses columns that are no shares of classes: fewer than two, outside [0, 1], or rows that do not sum to one.
fn check_shares(info: &'static Info, columns: &[Vec<f64>]) -> Result<(), BindError> {
    let undefined = |why: String| Err(BindError::Undefined { metric: info.name, why });
    if columns.len() < 2 {
        return undefined("shares need a column per class, two at least".to_owned());
    }
    if let Some(y) = columns.iter().flatten().find(|y| !(0.0..=1.0).contains(*y)) {
        return undefined(format!("a share is {y}, outside [0, 1]"));
    }
    let sum = |row: usize| columns.iter().map(|column| column[row]).sum::<f64>();
    if let Some(sum) = (0..columns[0].len()).map(sum).find(|sum| (sum - 1.0).abs() > SHARE_TOLERANCE) {
        return undefined(format!("the shares of a row sum to {sum}, not to 1"));
    }
    Ok(())
}

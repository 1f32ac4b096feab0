//! What is known besides the files: labels, scores, claims, records.

use crate::{
    fingerprint::Fingerprint,
    folds::Folds,
    id::ModelId,
    judge::Bound,
    manifest::Claimed,
    metric::{BindError, Metric, MetricSpec},
    scope::RowSet,
    survey::Survey,
    truth::{LabelValues, Labels, Truth},
};

/// What is known besides the files, as far as it is known. A check that lacks what it needs is silent.
#[derive(Default)]
pub struct Evidence<'a> {
    /// Labels and how they judge.
    pub judgement: Option<Judgement<'a>>,
    /// What the survey of the same models found.
    pub survey: Option<&'a Survey>,
    /// Scores as their authors state them.
    pub claims: Vec<(ModelId, Claimed)>,
    /// Public scores of models that were submitted alone.
    pub public: Vec<Public>,
    /// Files that are not what a model's run record says.
    pub changed: Vec<Changed>,
    /// Fold maps that outputs were made with, where they are recorded.
    pub fold_maps: Vec<FoldMap>,
    /// Test rows that a post step sets to zero, in the order of the sample submission.
    pub zero_rows: Option<Vec<bool>>,
}

/// A public score, in the metric's unit.
#[derive(Debug, Clone, PartialEq)]
pub struct Public {
    /// The model whose test outputs were submitted.
    pub model: ModelId,
    /// Its score, as the leaderboard shows it.
    pub score: f64,
    /// Half a unit of the last digit that the leaderboard shows.
    pub rounding: f64,
}

/// A file that is not what a run record says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Changed {
    /// The model.
    pub model: ModelId,
    /// What the file is, as `graph` or `data`.
    pub what: &'static str,
    /// The file, as it is to be shown.
    pub place: String,
    /// How it stands.
    pub state: State,
}

/// How a recorded file stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Outputs were made from it and it holds something else now.
    Differs,
    /// Outputs were made from it and it is gone.
    Absent,
    /// It was only copied from, so the outputs stand; it holds something else now.
    SourceDiffers,
}

/// The fold map that a model's outputs were made with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoldMap {
    /// The model.
    pub model: ModelId,
    /// The run record, as it is to be shown.
    pub place: String,
    /// The map in the run record.
    pub recorded: Fingerprint,
    /// The competition's map now.
    pub competition: Fingerprint,
    /// Whether the model's manifest names a map of its own.
    pub own: bool,
}

/// Labels and how they judge.
pub struct Judgement<'a> {
    /// The metric.
    pub metric: &'a dyn Metric,
    /// Its name and options.
    pub spec: &'a MetricSpec,
    /// Labels of all rows.
    pub truth: &'a Truth,
    /// The rows that count.
    pub rows: &'a RowSet,
    /// The fold map, on all rows.
    pub folds: Option<&'a Folds>,
    labels: Labels,
    bound: Box<dyn Bound>,
}

impl<'a> Judgement<'a> {
    /// Binds the metric to the labels of `rows`.
    pub fn new(
        metric: &'a dyn Metric,
        spec: &'a MetricSpec,
        truth: &'a Truth,
        rows: &'a RowSet,
        folds: Option<&'a Folds>,
    ) -> Result<Self, BindError> {
        let labels = truth.on(rows);
        let bound = metric.bind(labels.clone())?;
        Ok(Self { metric, spec, truth, rows, folds, labels, bound })
    }

    /// Labels of the rows that count.
    pub(in crate::audit) fn labels(&self) -> &Labels {
        &self.labels
    }

    /// The metric bound to them.
    pub(in crate::audit) fn bound(&self) -> &dyn Bound {
        &*self.bound
    }

    /// The labels of the rows that count as numbers on the scale of predictions, one column per output: classes as 0
    /// and 1, directions as unit vectors, times as risks.
    pub(in crate::audit) fn columns(&self) -> Vec<Vec<f64>> {
        match &self.labels.values {
            LabelValues::Binary(columns) => columns.iter().map(|c| c.iter().map(|y| f64::from(*y)).collect()).collect(),
            LabelValues::Real(columns) => columns.clone(),
            LabelValues::Class { labels, names } => (0..names.len())
                .map(|class| labels.iter().map(|label| f64::from(u8::from(*label as usize == class))).collect())
                .collect(),
            LabelValues::Directions(vectors) => (0..3).map(|axis| vectors.iter().map(|v| v[axis]).collect()).collect(),
            LabelValues::Survival { time, .. } => vec![time.iter().map(|time| -time).collect()],
        }
    }
}

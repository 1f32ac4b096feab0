//! `competition.yaml`: what is predicted and how it is judged.

mod check;
mod write;

use crate::{
    error::DocumentError,
    publish::publish,
    workspace::Workspace,
    yaml::{Doc, text_of},
};
use blend_core::{CompetitionId, manifest::ColumnFile, metric::MetricSpec, post::PostStep, space::SpaceName};
use std::path::{Path, PathBuf};

/// A competition. Paths are absolute, inside the workspace unless others are allowed, and not yet looked at.
#[derive(Debug, Clone, PartialEq)]
pub struct Competition {
    /// Its name, also its folder's.
    pub id: CompetitionId,
    /// Its `competition.yaml`.
    pub file: PathBuf,
    /// Whether it is meant where several are there and none is named.
    pub default: bool,
    /// How predictions are judged; the name is not yet looked up.
    pub metric: MetricSpec,
    /// Default space of searches.
    pub space: Option<SpaceName>,
    /// The true values of the training rows.
    pub truth: Option<PathBuf>,
    /// The id column of truth, folds, tables and sample.
    pub id_column: String,
    /// Columns of the truth that are predicted.
    pub targets: Targets,
    /// The fold map.
    pub folds: Option<ColumnFile>,
    /// The unit of resampling.
    pub groups: Option<ColumnFile>,
    /// Weight of each row in the metric.
    pub weights: Option<ColumnFile>,
    /// Which rows are scored; all where absent.
    pub scope: Option<ScopeRule>,
    /// The sample submission.
    pub sample_submission: Option<PathBuf>,
    /// Steps after every blend, in order.
    pub post: Vec<PostStep>,
    /// What is known of the public leaderboard.
    pub leaderboard: Option<Leaderboard>,
    /// Directions: the columns of truth and submission that hold angles.
    pub decode: Option<Decode>,
    /// Names of the classes of a multi-class truth, in the order of the outputs' columns.
    pub classes: Option<Vec<String>>,
}

/// All columns but the id, or those named, in that order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Targets {
    /// `"*"`.
    All,
    /// A list, not empty, without repetition.
    Named(Vec<String>),
}

/// Rows whose `column` in `file` reads `equals`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mark {
    /// A table with ids.
    pub file: PathBuf,
    /// Its column.
    pub column: String,
    /// The value, as it is written.
    pub equals: String,
}

/// Which rows are scored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScopeRule {
    /// How it is called in reports.
    pub name: String,
    /// Whether the marked rows are the scored ones, or those left out.
    pub include: bool,
    /// The marked rows.
    pub mark: Mark,
}

/// What is known of the public leaderboard.
#[derive(Debug, Clone, PartialEq)]
pub struct Leaderboard {
    /// Decimals of the scores that it shows.
    pub decimals: u32,
    /// Which test rows the public score is computed on; unknown where absent.
    pub public_rows: Option<PublicRows>,
}

/// Test rows behind the public score.
#[derive(Debug, Clone, PartialEq)]
pub enum PublicRows {
    /// All of them.
    All,
    /// An unknown part of this size, in (0, 1].
    Fraction(f64),
    /// This many, unknown which, at least 1.
    Count(u64),
    /// The ids in this file.
    Ids(PathBuf),
    /// The rows that a file marks.
    Marked(Mark),
}

/// Columns of a direction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decode {
    /// Azimuth in [0, 2 pi).
    pub azimuth: String,
    /// Zenith in [0, pi].
    pub zenith: String,
}

impl Competition {
    /// Reads and checks `models/<id>/competition.yaml`.
    pub fn read(workspace: &Workspace, id: &CompetitionId) -> Result<Self, DocumentError> {
        let file = workspace.competition_file(id);
        Self::parse(workspace, id, &text_of(&file)?)
    }

    /// Checks `text` as the `competition.yaml` of `id`.
    pub fn parse(workspace: &Workspace, id: &CompetitionId, text: &str) -> Result<Self, DocumentError> {
        let file = workspace.competition_file(id);
        let doc = Doc { workspace, file: &file, text, form: &check::FORM };
        check::check(&doc, id, doc.parse()?)
    }

    /// Its folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.file.parent().unwrap_or(Path::new(""))
    }

    /// Writes `competition.yaml`, whole or not at all.
    pub fn write(&self, workspace: &Workspace) -> Result<(), DocumentError> {
        Ok(publish(&self.file, self.to_yaml(workspace).as_bytes())?)
    }
}

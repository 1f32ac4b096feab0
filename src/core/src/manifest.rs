//! A base model as its `model.yaml` describes it, checked.

use crate::{
    id::ModelId,
    output::{Encoding, OutputKind},
};
use std::{collections::BTreeMap, path::PathBuf};

/// A base model: what its graphs emit, how they are run and where its inputs lie. Paths are absolute or relative to
/// the current folder, already checked to stay where they may.
#[derive(Debug, Clone, PartialEq)]
pub struct Manifest {
    /// Its name, also its folder's.
    pub model: ModelId,
    /// Its folder.
    pub folder: PathBuf,
    /// What the last stage's graphs emit.
    pub encoding: Encoding,
    /// What is averaged over seeds and folds, stored, and fed to the next stage.
    pub average: Average,
    /// The score its authors state.
    pub claimed: Option<Claimed>,
    /// Chained graphs; empty for a model whose outputs were imported.
    pub stages: Vec<Stage>,
    /// The fold map, where it is not the competition's.
    pub folds: Option<ColumnFile>,
    /// Input tables by name.
    pub tables: BTreeMap<String, TableSpec>,
    /// Rows per run of a graph, at least 1.
    pub batch_size: usize,
    /// Number format of the graphs.
    pub precision: Precision,
    /// Operator domains allowed besides the standard ones.
    pub allowed_domains: Vec<String>,
    /// Findings of the audit that are known and accepted: check name and reason.
    pub allow: BTreeMap<String, String>,
}

impl Manifest {
    /// The kind of the stored outputs, after averaging.
    #[must_use]
    pub fn stored_kind(&self) -> OutputKind {
        self.average.stored_kind(self.encoding.kind)
    }
}

/// What is averaged over seeds and folds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Average {
    /// Probabilities: sigmoid or softmax first where the graph emits logits.
    Probability,
    /// Logits: the logarithm first where the graph emits probabilities.
    Logit,
    /// What the graph emits, as it is.
    Raw,
}

impl Average {
    /// What is stored of a graph that emits `emitted`.
    #[must_use]
    pub fn stored_kind(self, emitted: OutputKind) -> OutputKind {
        match self {
            Self::Probability => emitted.as_probability(),
            Self::Logit => emitted.as_logit(),
            Self::Raw => emitted,
        }
    }
}

/// Number format of a graph's weights and inputs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Precision {
    /// 32-bit.
    #[default]
    F32,
    /// 16-bit.
    F16,
}

/// A score as somebody states it.
#[derive(Debug, Clone, PartialEq)]
pub struct Claimed {
    /// In the metric's unit.
    pub score: f64,
    /// On what, in their words.
    pub scope: String,
}

/// One stage: graphs that are run on the same inputs and averaged.
#[derive(Debug, Clone, PartialEq)]
pub struct Stage {
    /// Its name, by which later stages take its output.
    pub name: String,
    /// File name pattern relative to the model's folder, with `{fold}` and `{seed}` where it has those axes.
    pub graphs: String,
    /// Seeds; empty where the pattern has no `{seed}`.
    pub seeds: Vec<i64>,
    /// Graph input name to what is fed.
    pub inputs: BTreeMap<String, InputSpec>,
    /// The graph's output to take; the first float tensor where not named.
    pub output: Option<String>,
    /// What this stage's graphs emit, where it differs from the model's `output`.
    pub kind: Option<OutputKind>,
}

/// What one graph input is fed with.
#[derive(Debug, Clone, PartialEq)]
pub enum InputSpec {
    /// Columns of a table: all of it, or those named, as one `(batch, n_columns)` tensor; a tensor of rank 1 or
    /// `(batch, 1)` where there is one column.
    Table {
        /// Name in [`Manifest::tables`].
        table: String,
        /// Columns, in order; the table's own choice where absent.
        columns: Option<Vec<String>>,
    },
    /// The averaged output of an earlier stage, shape `(batch, n_outputs)`.
    Stage {
        /// Its name.
        stage: String,
        /// A graph to run it through first, relative to the model's folder.
        transform: Option<String>,
    },
}

/// An input table: one file for training rows, one for test rows.
#[derive(Debug, Clone, PartialEq)]
pub struct TableSpec {
    /// Rows of the truth.
    pub train: Option<PathBuf>,
    /// Rows of the sample submission.
    pub test: Option<PathBuf>,
    /// Columns to feed, in order; all but the id where absent.
    pub columns: Option<Vec<String>>,
}

/// A column of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ColumnFile {
    /// The file.
    pub file: PathBuf,
    /// The column's name.
    pub column: String,
}

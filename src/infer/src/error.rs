//! What can go wrong between a manifest and its predictions. Variants hold data; the door makes sentences and hints.

use crate::{request::Split, runtime::RuntimeError, scan::ScanError};
use blend_core::{Fingerprint, rows::AlignError};
use std::path::{Path, PathBuf};

/// Whose turn it is, which is also the exit code of the door.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// What was typed or written in YAML is wrong: 2.
    Usage,
    /// The data or a graph is wrong: 3.
    Data,
    /// The machine refused: a file that is absent, no runtime, no such device: 4.
    Machine,
    /// Our mistake: 5.
    Bug,
    /// The caller asked to stop; the door knows the signal.
    Interrupted,
    /// It may go better next time, from where it stopped: 75.
    Temporary,
}

impl Kind {
    /// The exit code of the door; that of an interrupt is the signal's.
    #[must_use]
    pub fn exit(self) -> u8 {
        match self {
            Self::Usage => 2,
            Self::Data => 3,
            Self::Machine => 4,
            Self::Bug => 5,
            Self::Interrupted => 130,
            Self::Temporary => 75,
        }
    }

    fn of_exit(exit: u8) -> Self {
        let all = [Self::Usage, Self::Data, Self::Machine, Self::Interrupted, Self::Temporary];
        all.into_iter().find(|kind| kind.exit() == exit).unwrap_or(Self::Bug)
    }
}

/// Why a model could not be run.
#[derive(Debug, thiserror::Error)]
pub enum InferError {
    /// A model whose outputs are imported has nothing to run.
    #[error("model `{model}` has no stages")]
    NoStages {
        /// The model.
        model: String,
    },
    /// Neither out-of-fold nor test predictions were asked for.
    #[error("no split was asked for")]
    NothingAsked,
    /// A graph pattern that cannot be expanded.
    #[error("stage `{stage}` of model `{model}`: pattern `{pattern}` {reason}")]
    Pattern {
        /// The model.
        model: String,
        /// The stage.
        stage: String,
        /// The pattern as written.
        pattern: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A pattern names `{fold}` and no fold map was given.
    #[error("stage `{stage}` of model `{model}`: pattern `{pattern}` names {{fold}} and there is no fold map")]
    NoFoldMap {
        /// The model.
        model: String,
        /// The stage.
        stage: String,
        /// The pattern as written.
        pattern: String,
    },
    /// A fold map that is not the one that the graphs were trained with.
    #[error("the fold map of model `{model}` is {given}, its graphs were trained with {expected}")]
    OtherFolds {
        /// The model.
        model: String,
        /// The fingerprint that the manifest states.
        expected: Fingerprint,
        /// That of the map at hand.
        given: Fingerprint,
    },
    /// A scored row that every graph has seen.
    #[error("row `{id}` is scored and no graph of stage `{stage}` of model `{model}` holds it out")]
    NotHeldOut {
        /// The model.
        model: String,
        /// The stage.
        stage: String,
        /// The row's id.
        id: String,
    },
    /// A row that graphs of two folds of one seed would predict.
    #[error(
        "row `{id}` is held out by two folds of stage `{stage}` of model `{model}`: one of their graphs has seen it"
    )]
    HeldOutTwice {
        /// The model.
        model: String,
        /// The stage.
        stage: String,
        /// The row's id.
        id: String,
    },
    /// Out-of-fold predictions of a graph that has seen every training row.
    #[error(
        "stage `{stage}` of model `{model}`: graph `{pattern}` has no {{fold}}, so it may have seen the rows that it would \
         predict; only a stage fed by earlier stages alone may do without"
    )]
    Leakage {
        /// The model.
        model: String,
        /// The stage.
        stage: String,
        /// The pattern as written.
        pattern: String,
    },
    /// An input names a stage that does not come before.
    #[error("input `{input}` of stage `{stage}` of model `{model}`: there is no earlier stage `{wanted}`")]
    UnknownStage {
        /// The model.
        model: String,
        /// The stage.
        stage: String,
        /// The graph input.
        input: String,
        /// The stage that was named.
        wanted: String,
    },
    /// Inputs of one stage over pulses of two kinds.
    #[error("stage `{stage}` of model `{model}` takes tensors of two `events`; one is what a stage can take")]
    TwoEvents {
        /// The model.
        model: String,
        /// The stage.
        stage: String,
    },
    /// A table that no file was given for.
    #[error("model `{model}` needs the {split} rows of table `{table}`, which names no file for them")]
    NoTable {
        /// The model.
        model: String,
        /// The table.
        table: String,
        /// Which file.
        split: Split,
    },
    /// Nobody says which rows are wanted.
    #[error("model `{model}`: which {split} rows to predict is not known")]
    NoRows {
        /// The model.
        model: String,
        /// Of which split.
        split: Split,
    },
    /// A column that a table has not.
    #[error("table `{table}` at {place} has no column `{column}`, wanted by model `{model}`")]
    NoColumn {
        /// The model.
        model: String,
        /// The table's name.
        table: String,
        /// Where it lies.
        place: Box<str>,
        /// The column.
        column: String,
        /// The columns it has.
        known: Vec<String>,
    },
    /// Rows that a table or a fold map lacks.
    #[error("{what} does not line up with the {split} rows of model `{model}`")]
    Alignment {
        /// The model.
        model: String,
        /// The table and its place, or the fold map.
        what: String,
        /// Which rows.
        split: Split,
        /// Counts and first ids.
        #[source]
        source: Box<AlignError>,
    },
    /// A table that could not be read.
    #[error("table `{table}` of model `{model}` could not be read: {reason}")]
    Read {
        /// The model.
        model: String,
        /// The table's name.
        table: String,
        /// One line with the place.
        reason: String,
    },
    /// A pulse that cannot be made a number of a graph's input.
    #[error("event `{event}`, wanted by model `{model}`: {reason}")]
    Pulse {
        /// The model.
        model: String,
        /// The event's id.
        event: String,
        /// What is wrong, in words.
        reason: String,
    },
    /// A graph that failed in another process.
    #[error("graph `{graph}` of model `{model}`: {message}")]
    Remote {
        /// The model.
        model: String,
        /// The graph file.
        graph: String,
        /// What the process said.
        message: String,
        /// The exit code that it deserves.
        exit: u8,
    },
    /// A graph whose process died, twice: what was done before is kept, the next run goes on there.
    #[error("graph `{graph}` of model `{model}` took its process with it twice: {reason}")]
    Lost {
        /// The model.
        model: String,
        /// The graph file.
        graph: String,
        /// What is known about the end.
        reason: String,
    },
    /// What was left by an interrupted run cannot be written.
    #[error("{path} could not be written")]
    Partial {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// There is no room for what a run keeps in files.
    #[error("no file for intermediate values could be made in {path}")]
    Scratch {
        /// The folder.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A graph file that the manifest names and nobody wrote.
    #[error("graph `{path}` of model `{model}` is not there (pattern `{pattern}`)")]
    MissingGraph {
        /// The model.
        model: String,
        /// The file.
        path: PathBuf,
        /// The pattern as written.
        pattern: String,
        /// What to do, see [`Manifest::how_to_get_graphs`](blend_core::manifest::Manifest::how_to_get_graphs).
        next: String,
    },
    /// A file that could not be read.
    #[error("{path} could not be read")]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A graph file that changed between its inspection and its run.
    #[error("graph `{path}` of model `{model}` changed while it was in use")]
    Changed {
        /// The model.
        model: String,
        /// The file.
        path: PathBuf,
    },
    /// A graph that was refused before an engine saw it.
    #[error("graph `{path}` of model `{model}` is refused")]
    Scan {
        /// The model.
        model: String,
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: ScanError,
    },
    /// The manifest names an input that the graph has not.
    #[error("graph `{graph}` of model `{model}` has no input `{input}`: it has {}", list(known))]
    UnknownInput {
        /// The model.
        model: String,
        /// The graph file.
        graph: String,
        /// The input as written.
        input: String,
        /// The inputs it has.
        known: Vec<String>,
    },
    /// The graph has an input that the manifest does not name.
    #[error("input `{input}` of graph `{graph}` of model `{model}` is fed with nothing")]
    UnfedInput {
        /// The model.
        model: String,
        /// The graph file.
        graph: String,
        /// The input.
        input: String,
    },
    /// What is fed does not fit what the graph declares.
    #[error("input `{input}` of graph `{graph}` of model `{model}` wants {expected}, given {given}")]
    InputMismatch {
        /// The model.
        model: String,
        /// The graph file.
        graph: String,
        /// The input.
        input: String,
        /// Type and shape that it declares.
        expected: Box<str>,
        /// Type and shape that would be fed.
        given: Box<str>,
    },
    /// A table's value that the graph's number format cannot hold.
    #[error("column `{column}` of {place}, row `{id}`: the value cannot be fed as {dtype}")]
    Value {
        /// The column.
        column: String,
        /// The table.
        place: String,
        /// The row's id.
        id: String,
        /// The graph's type.
        dtype: String,
    },
    /// No output of the graph can be taken.
    #[error("graph `{graph}` of model `{model}` has no usable output{}: {}", named(wanted), list(known))]
    NoOutput {
        /// The model.
        model: String,
        /// The graph file.
        graph: String,
        /// The output as written, where it was.
        wanted: Option<String>,
        /// The outputs it has, with type and shape.
        known: Vec<String>,
    },
    /// An output of an unexpected shape.
    #[error("output `{output}` of graph `{graph}` of model `{model}` has shape {given:?}, expected {expected}")]
    OutputShape {
        /// The model.
        model: String,
        /// The graph file.
        graph: String,
        /// The output.
        output: String,
        /// What was expected, in words.
        expected: Box<str>,
        /// What came.
        given: Vec<usize>,
    },
    /// NaN or infinity came out.
    #[error("graph `{graph}` of model `{model}` gave {value} for row `{id}`, output {output}")]
    NotFinite {
        /// The model.
        model: String,
        /// The graph file.
        graph: String,
        /// The row's id.
        id: String,
        /// Which output, counted from 0.
        output: usize,
        /// The value.
        value: f64,
    },
    /// `average: logit` of something that is no probability.
    #[error("graph `{graph}` of model `{model}` gave {value} for row `{id}`, which is no probability")]
    NoProbability {
        /// The model.
        model: String,
        /// The graph file.
        graph: String,
        /// The row's id.
        id: String,
        /// The value.
        value: f64,
    },
    /// The engine could not load or run a graph.
    #[error("graph `{graph}` of model `{model}`")]
    Engine {
        /// The model.
        model: String,
        /// The graph file.
        graph: String,
        /// Why.
        #[source]
        source: EngineError,
    },
    /// No engine, or no such device.
    #[error(transparent)]
    Runtime(#[from] RuntimeError),
    /// The caller asked to stop.
    #[error("interrupted")]
    Interrupted,
    /// What must not happen.
    #[error("internal: {0}")]
    Bug(String),
}

/// Why an engine refused a graph or its inputs. The text is the engine's own.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EngineError {
    /// The graph is no graph, or not a sound one.
    #[error("{engine} cannot load it: {message}")]
    Load {
        /// The engine's name.
        engine: &'static str,
        /// Its words.
        message: String,
    },
    /// The graph is sound and this engine cannot run it; ONNX Runtime may.
    #[error("the embedded engine cannot run it: {message}")]
    Unsupported {
        /// The engine's words.
        message: String,
    },
    /// A run failed.
    #[error("{engine} failed: {message}")]
    Run {
        /// The engine's name.
        engine: &'static str,
        /// Its words.
        message: String,
    },
    /// The device refused, or a node would have fallen back to the CPU.
    #[error("{device}: {message}")]
    Device {
        /// The device that was asked for.
        device: String,
        /// The engine's words.
        message: String,
    },
    /// The engine panicked, which is a bug in it.
    #[error("{engine} panicked: {message}")]
    Panicked {
        /// The engine's name.
        engine: &'static str,
        /// The panic's text.
        message: String,
    },
}

impl InferError {
    /// Whose turn it is.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            Self::NoStages { .. }
            | Self::NothingAsked
            | Self::Pattern { .. }
            | Self::NoFoldMap { .. }
            | Self::Leakage { .. }
            | Self::UnknownStage { .. }
            | Self::TwoEvents { .. }
            | Self::NoTable { .. }
            | Self::NoRows { .. }
            | Self::NoColumn { .. }
            | Self::UnknownInput { .. }
            | Self::UnfedInput { .. }
            | Self::NoOutput { .. } => Kind::Usage,
            Self::OtherFolds { .. }
            | Self::NotHeldOut { .. }
            | Self::HeldOutTwice { .. }
            | Self::Alignment { .. }
            | Self::Read { .. }
            | Self::InputMismatch { .. }
            | Self::Value { .. }
            | Self::Pulse { .. }
            | Self::OutputShape { .. }
            | Self::NotFinite { .. }
            | Self::NoProbability { .. } => Kind::Data,
            Self::MissingGraph { .. }
            | Self::Io { .. }
            | Self::Changed { .. }
            | Self::Partial { .. }
            | Self::Scratch { .. } => Kind::Machine,
            Self::Remote { exit, .. } => Kind::of_exit(*exit),
            Self::Lost { .. } => Kind::Temporary,
            Self::Scan { source, .. } => source.kind(),
            Self::Engine { source, .. } => source.kind(),
            Self::Runtime(error) => error.kind(),
            Self::Interrupted => Kind::Interrupted,
            Self::Bug(_) => Kind::Bug,
        }
    }

    pub(crate) fn scratch(folder: Option<&Path>, source: std::io::Error) -> Self {
        Self::Scratch { path: folder.unwrap_or_else(|| Path::new(".")).to_owned(), source }
    }

    /// Whether ONNX Runtime would help: the embedded engine met something it cannot run.
    #[must_use]
    pub fn wants_onnx_runtime(&self) -> bool {
        matches!(self, Self::Engine { source: EngineError::Unsupported { .. }, .. })
    }
}

impl EngineError {
    /// Whose turn it is.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            Self::Load { .. } | Self::Run { .. } => Kind::Data,
            Self::Unsupported { .. } | Self::Device { .. } => Kind::Machine,
            Self::Panicked { .. } => Kind::Bug,
        }
    }
}

fn list(names: &[String]) -> String {
    match names {
        [] => "none".to_owned(),
        names => names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", "),
    }
}

fn named(wanted: &Option<String>) -> String {
    wanted.as_ref().map_or_else(String::new, |name| format!(" `{name}`"))
}

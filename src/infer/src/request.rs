//! What is asked of a run and what comes back.

use crate::{
    events::BoundEvents,
    runtime::{Device, RanOn},
    scan::Limits,
    table::BoundTable,
};
use blend_core::{
    BlockSource, Fingerprint, Folds, RowIndex, TableSource,
    manifest::{Manifest, Precision},
};
use std::{
    collections::BTreeMap,
    fmt,
    ops::Range,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

/// The rows that a prediction is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Split {
    /// Training rows, each predicted by graphs that have not seen it.
    Oof,
    /// Test rows.
    Test,
}

impl fmt::Display for Split {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Oof => "training",
            Self::Test => "test",
        })
    }
}

/// Which predictions are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Splits {
    /// Out-of-fold predictions of the training rows.
    pub oof: bool,
    /// Predictions of the test rows.
    pub test: bool,
}

/// The opened files of an input table.
#[derive(Clone, Copy, Default)]
pub struct Tables<'a> {
    /// Training rows, in any order, possibly with others.
    pub train: Option<&'a dyn TableSource>,
    /// Test rows, likewise.
    pub test: Option<&'a dyn TableSource>,
}

/// The opened files of events.
#[derive(Clone)]
pub struct EventTables<'a> {
    /// Training events.
    pub train: Option<PulseTables<'a>>,
    /// Test events.
    pub test: Option<PulseTables<'a>>,
    /// The sensors: ids are `sensor_id`, columns `x`, `y`, `z` in metres, possibly `qe`.
    pub geometry: &'a dyn TableSource,
    /// The ice, where it is needed: columns `depth`, then scattering and absorption length.
    pub ice: Option<&'a dyn TableSource>,
}

/// The pulses of a split. Rows are pulses, an event's together: their own ids do not count.
#[derive(Clone, Default)]
pub struct PulseTables<'a> {
    /// Columns `event_id`, `sensor_id`, `time`, `charge`, `auxiliary`.
    pub pulses: Vec<&'a dyn TableSource>,
    /// Of each file of pulses, or none: ids are event ids, columns `first_pulse_index`, `last_pulse_index`.
    pub meta: Vec<&'a dyn TableSource>,
}

/// How far a run is.
#[derive(Debug, Clone, Copy)]
pub struct Progress<'a> {
    /// The stage.
    pub stage: &'a str,
    /// The graph file, relative to the model's folder.
    pub graph: &'a str,
    /// Rows run so far, over all stages and graphs.
    pub rows_done: u64,
    /// Rows to run, over all stages and graphs.
    pub rows_total: u64,
}

/// The fold maps of a model or of a stage.
#[derive(Debug, Clone, Default)]
pub struct FoldMaps<'a> {
    /// The map of all seeds that have none of their own.
    pub all: Option<&'a Folds>,
    /// Maps of single seeds.
    pub by_seed: BTreeMap<i64, &'a Folds>,
}

impl<'a> FoldMaps<'a> {
    /// One map for all seeds.
    #[must_use]
    pub fn one(folds: &'a Folds) -> Self {
        Self { all: Some(folds), by_seed: BTreeMap::new() }
    }

    /// The identity of the maps, as a manifest states it; `None` where there is no map.
    #[must_use]
    pub fn fingerprint(&self) -> Option<Fingerprint> {
        Folds::fingerprint_of_all(self.all.into_iter().chain(self.by_seed.values().copied()))
    }
}

/// What to run, and on what.
#[derive(Clone)]
pub struct Request<'a> {
    /// The model.
    pub manifest: &'a Manifest,
    /// Its fold map, or maps by seed; needed where a pattern names `{fold}`.
    pub folds: FoldMaps<'a>,
    /// Fold maps of single stages, where they have their own.
    pub stage_folds: BTreeMap<String, FoldMaps<'a>>,
    /// Of each row of [`Self::train_rows`] whether it will be scored: such a row must be held out by a graph of each
    /// seed at least once. Rows of label -1 are not asked about where this is absent.
    pub scored: Option<&'a [bool]>,
    /// Input tables by the name that the manifest gives them.
    pub tables: BTreeMap<String, Tables<'a>>,
    /// Events by the name that the manifest gives them.
    pub events: BTreeMap<String, EventTables<'a>>,
    /// Training rows, in the order of the truth; the fold map's where absent.
    pub train_rows: Option<&'a RowIndex>,
    /// Test rows, in the order of the sample submission; those of the first test table where absent.
    pub test_rows: Option<&'a RowIndex>,
    /// What is asked for.
    pub splits: Splits,
    /// Rows per run of a graph, instead of the manifest's.
    pub batch_size: Option<usize>,
    /// Threads of a processor, at least 1.
    pub threads: usize,
    /// How long a run has to take on one thread, about, for a measurement to decide how many of [`Self::threads`] are
    /// taken; all are where absent.
    pub measure_threads: Option<Duration>,
    /// Where to run.
    pub device: Device,
    /// How large a graph may be.
    pub limits: Limits,
    /// Where an interrupted run leaves what it has, and finds it again.
    pub partial: Option<Partial>,
    /// A folder for what is too large for memory; memory takes it all where absent.
    pub scratch: Option<&'a Path>,
    /// Where graphs run, if not in this process.
    pub executor: Option<&'a dyn Executor>,
    /// Told after every batch, from any thread.
    pub progress: &'a (dyn Fn(Progress<'_>) + Sync),
    /// Asked before every batch.
    pub cancelled: &'a (dyn Fn() -> bool + Sync),
}

impl<'a> Request<'a> {
    /// A request for both splits of `manifest` on one thread of the CPU, without tables, folds and rows.
    #[must_use]
    pub fn new(manifest: &'a Manifest) -> Self {
        Self {
            manifest,
            folds: FoldMaps::default(),
            stage_folds: BTreeMap::new(),
            scored: None,
            tables: BTreeMap::new(),
            events: BTreeMap::new(),
            train_rows: None,
            test_rows: None,
            splits: Splits { oof: true, test: true },
            batch_size: None,
            threads: 1,
            measure_threads: None,
            device: Device::Auto,
            limits: Limits::default(),
            partial: None,
            scratch: None,
            executor: None,
            progress: &|_| {},
            cancelled: &|| false,
        }
    }
}

/// A file for what is done so far.
#[derive(Debug, Clone)]
pub struct Partial {
    /// The file. It is replaced while the run goes on and taken away when it is done.
    pub path: PathBuf,
    /// The identity of everything that the run itself does not see: the manifest, the bytes of the tables. What was
    /// left by a run over anything else is not taken up.
    pub inputs: Fingerprint,
    /// Longest time between two writes; they come more often where they are cheap, at most every twentieth of the
    /// time that they cost.
    pub every: Duration,
}

/// A piece of a run: some batches of one graph.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shard {
    /// Which stage, counted from 0.
    pub stage: usize,
    /// Which of its graphs, seeds outer and folds inner.
    pub graph: usize,
    /// Which of its batches.
    pub batches: Range<usize>,
}

/// Why a shard did not come back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ShardError {
    /// Its process is gone, or not to be understood. Another one may do better.
    Lost(String),
    /// It ran and failed, with the exit code that this deserves.
    Failed {
        /// One line.
        message: String,
        /// The exit code.
        exit: u8,
    },
}

/// Other processes to run graphs in.
pub trait Executor: Sync {
    /// How many at a time, at least 1.
    fn workers(&self) -> usize;
    /// Starts one for worker number `worker`, below [`Self::workers`]. Its first answer may take as long as opening the
    /// tables does.
    fn start(&self, worker: usize) -> Result<Box<dyn Remote>, ShardError>;
}

/// One process.
pub trait Remote {
    /// Runs a shard there and gives what [`serve`](crate::serve) answered.
    fn run(&mut self, shard: &Shard) -> Result<Vec<u8>, ShardError>;
}

/// Values of a split, shape `(n_rows, n_outputs)`.
#[derive(Clone)]
pub struct Values {
    /// The rows, in order.
    pub rows: RowIndex,
    /// Columns of f32. Rows of label -1 are NaN in every column.
    pub columns: Arc<dyn BlockSource>,
}

impl fmt::Debug for Values {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Values").field("rows", &self.rows).finish_non_exhaustive()
    }
}

/// A graph file that ran (or the external data of one).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GraphFile {
    /// The file.
    pub path: PathBuf,
    /// Relative to the model's folder, as the manifest's pattern names it.
    pub name: String,
    /// BLAKE3 of its bytes.
    pub fingerprint: Fingerprint,
}

/// How long a graph took, summed over threads.
#[derive(Debug, Clone, PartialEq)]
pub struct GraphTime {
    /// The stage.
    pub stage: String,
    /// The graph file, relative to the model's folder.
    pub graph: String,
    /// Rows that it ran.
    pub rows: u64,
    /// Seconds from its first load to its last output; of other processes all that is known.
    pub seconds: f64,
    /// Seconds of loading, among [`Self::seconds`].
    pub load_seconds: f64,
    /// Seconds of reading and feature building, of threads of their own.
    pub build_seconds: f64,
    /// Seconds of the sessions' runs alone, among [`Self::seconds`].
    pub run_seconds: f64,
}

/// A number of threads, and what it does.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Pace {
    /// Threads.
    pub workers: usize,
    /// Rows per second of all together.
    pub rows_per_second: f64,
}

/// What really happened.
#[derive(Debug, Clone, PartialEq)]
pub struct RunReport {
    /// `onnxruntime` or `rten`.
    pub engine: String,
    /// Its version.
    pub version: String,
    /// The library, where one was loaded.
    pub library: Option<PathBuf>,
    /// The device that really ran.
    pub device: RanOn,
    /// The number format of the graphs' inputs: f16 where any takes it.
    pub precision: Precision,
    /// Rows over all graphs of all stages.
    pub rows: u64,
    /// Graphs that ran at a time: threads of a processor, devices, or processes.
    pub workers: usize,
    /// What was measured to decide that; nothing where the number was given, or the work too small.
    pub paces: Vec<Pace>,
    /// Bytes that lay in files without a name at most, of sums and results.
    pub filed_bytes: u64,
    /// Graphs whose results were taken up from an interrupted run.
    pub resumed: usize,
    /// Per graph, in the order of the sums.
    pub graphs: Vec<GraphTime>,
    /// What a person should know, each once.
    pub notes: Vec<String>,
}

/// A model's predictions.
#[derive(Debug, Clone)]
pub struct Prediction {
    /// Out-of-fold predictions, where asked for.
    pub oof: Option<Values>,
    /// Test predictions, where asked for.
    pub test: Option<Values>,
    /// Outputs per row.
    pub n_outputs: usize,
    /// Every file that ran, each once, in order of name.
    pub graphs: Vec<GraphFile>,
    /// What happened.
    pub report: RunReport,
}

/// The rows of a split with what is needed to run them.
pub(crate) struct SplitRows<'a> {
    pub(crate) split: Split,
    pub(crate) rows: RowIndex,
    pub(crate) tables: BTreeMap<&'a str, BoundTable<'a>>,
    pub(crate) events: BTreeMap<&'a str, BoundEvents<'a>>,
}

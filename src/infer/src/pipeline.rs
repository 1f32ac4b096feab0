//! A model's graphs over the rows of its tables: stage after stage, seeds and folds averaged.
//!
//! The out-of-fold rule: a training row is predicted only by graphs whose fold holds that row out; test rows by all.
//! Sums are f64 and run over graphs in one order (seeds outer, folds inner), so the number of threads changes nothing.

mod stage;

use crate::{
    batch::StageRows,
    error::InferError,
    plan::{self, StagePlan},
    runtime::{Device, RanOn, Runtime},
    scan::Limits,
    table::BoundTable,
};
use blend_core::{
    Fingerprint, Folds, RowIndex, TableSource,
    manifest::{InputSpec, Manifest, Precision},
    source::OwnedBlocks,
};
use std::{collections::BTreeMap, fmt, path::PathBuf, sync::Mutex, time::Duration};

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

/// What to run, and on what.
#[derive(Clone)]
pub struct Request<'a> {
    /// The model.
    pub manifest: &'a Manifest,
    /// Its fold map; needed where a pattern names `{fold}`.
    pub folds: Option<&'a Folds>,
    /// Fold maps of single seeds, where each seed has its own; the others take [`Self::folds`].
    pub seed_folds: BTreeMap<i64, &'a Folds>,
    /// Input tables by the name that the manifest gives them.
    pub tables: BTreeMap<String, Tables<'a>>,
    /// Training rows, in the order of the truth; the fold map's where absent.
    pub train_rows: Option<&'a RowIndex>,
    /// Test rows, in the order of the sample submission; those of the first test table where absent.
    pub test_rows: Option<&'a RowIndex>,
    /// What is asked for.
    pub splits: Splits,
    /// Rows per run of a graph, instead of the manifest's.
    pub batch_size: Option<usize>,
    /// Threads, at least 1.
    pub threads: usize,
    /// Where to run.
    pub device: Device,
    /// How large a graph may be.
    pub limits: Limits,
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
            folds: None,
            seed_folds: BTreeMap::new(),
            tables: BTreeMap::new(),
            train_rows: None,
            test_rows: None,
            splits: Splits { oof: true, test: true },
            batch_size: None,
            threads: 1,
            device: Device::Auto,
            limits: Limits::default(),
            progress: &|_| {},
            cancelled: &|| false,
        }
    }
}

/// Values of a split, shape `(n_rows, n_outputs)`.
#[derive(Debug, Clone)]
pub struct Values {
    /// The rows, in order.
    pub rows: RowIndex,
    /// Columns of f32. Rows of label -1 are NaN in every column.
    pub columns: OwnedBlocks,
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

/// How long a graph took, its loads included, summed over threads.
#[derive(Debug, Clone, PartialEq)]
pub struct GraphTime {
    /// The stage.
    pub stage: String,
    /// The graph file, relative to the model's folder.
    pub graph: String,
    /// Rows that it ran.
    pub rows: u64,
    /// Seconds.
    pub seconds: f64,
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
}

/// Runs a model.
///
/// Errors before anything runs where a file, table, column or row is missing; afterwards where a graph fails or gives
/// NaN. Nothing is written.
pub fn predict(runtime: &Runtime, request: &Request<'_>) -> Result<Prediction, InferError> {
    let manifest = request.manifest;
    let model = manifest.model.to_string();
    if manifest.stages.is_empty() {
        return Err(InferError::NoStages { model });
    }
    if !request.splits.oof && !request.splits.test {
        return Err(InferError::NothingAsked);
    }
    let plans = plan::plan(request)?;
    let mut notes = Vec::new();
    let train = if request.splits.oof { Some(bind(request, &model, Split::Oof, &mut notes)?) } else { None };
    let test = if request.splits.test { Some(bind(request, &model, Split::Test, &mut notes)?) } else { None };
    let placed = runtime.place(request.device)?;
    notes.extend(placed.note.clone());

    let setup = stage::Setup::new(runtime, request, &model, placed, &plans, train.as_ref(), test.as_ref())?;
    let mut done: BTreeMap<&str, stage::StageOutput> = BTreeMap::new();
    let mut times = Vec::new();
    for plan in &plans {
        let (output, more) = setup.run(plan, &done)?;
        times.extend(more);
        done.insert(&plan.stage.name, output);
    }
    notes.extend(setup.notes());
    let device = setup.device();
    let given = precision(&plans);
    if given != manifest.precision {
        notes.push(format!("the manifest says {:?}, the graphs take {given:?}", manifest.precision).to_lowercase());
    }
    let last = plans.last().and_then(|plan| done.remove(plan.stage.name.as_str()));
    let last = last.ok_or_else(|| InferError::Bug("no stage ran".to_owned()))?;
    let n_outputs = last.train.as_ref().or(last.test.as_ref()).map_or(0, |rows| rows.width);
    let values = |rows: Option<StageRows>, split: Option<&SplitRows<'_>>| {
        Some(Values { columns: columns(&rows?), rows: split?.rows.clone() })
    };
    let mut once = Vec::new();
    notes.into_iter().for_each(|note| {
        if !once.contains(&note) {
            once.push(note)
        }
    });
    Ok(Prediction {
        oof: values(last.train, train.as_ref()),
        test: values(last.test, test.as_ref()),
        n_outputs,
        graphs: files(&plans),
        report: RunReport {
            engine: runtime.engine_name().to_owned(),
            version: runtime.version().to_owned(),
            library: runtime.library().map(ToOwned::to_owned),
            device,
            precision: given,
            rows: times.iter().map(|time| time.rows).sum(),
            graphs: times,
            notes: once,
        },
    })
}

/// Finds the rows of a split and lines its tables up with them.
fn bind<'a>(
    request: &Request<'a>,
    model: &str,
    split: Split,
    notes: &mut Vec<String>,
) -> Result<SplitRows<'a>, InferError> {
    let mut wanted: Vec<&'a str> = Vec::new();
    for stage in &request.manifest.stages {
        for spec in stage.inputs.values() {
            if let InputSpec::Table { table, .. } = spec
                && !wanted.contains(&table.as_str())
            {
                wanted.push(table);
            }
        }
    }
    let source = |table: &str| {
        let tables = request.tables.get(table).copied().unwrap_or_default();
        let source = if split == Split::Oof { tables.train } else { tables.test };
        source.ok_or_else(|| InferError::NoTable { model: model.to_owned(), table: table.to_owned(), split })
    };
    let rows = match split {
        Split::Oof => request.train_rows.or(request.folds.map(Folds::rows)),
        Split::Test => request.test_rows,
    };
    let rows = match (rows, wanted.first()) {
        (Some(rows), _) => rows.clone(),
        (None, Some(table)) => source(table)?.rows().clone(),
        (None, None) => return Err(InferError::NoRows { model: model.to_owned(), split }),
    };
    let mut tables = BTreeMap::new();
    for table in wanted {
        let (bound, note) = BoundTable::bind(request.manifest.model.as_str(), table, split, source(table)?, &rows)?;
        notes.extend(note);
        tables.insert(table, bound);
    }
    Ok(SplitRows { split, rows, tables })
}

/// Row-major values to columns, some rows at a time so that they are still in the cache for the next column.
fn columns(rows: &StageRows) -> OwnedBlocks {
    let width = rows.width.max(1);
    let mut columns = vec![Vec::with_capacity(rows.values.len() / width); rows.width];
    for block in rows.values.chunks(256 * width) {
        for (output, column) in columns.iter_mut().enumerate() {
            column.extend(block.iter().skip(output).step_by(width));
        }
    }
    OwnedBlocks::F32(columns)
}

fn files(plans: &[StagePlan<'_>]) -> Vec<GraphFile> {
    let mut files: BTreeMap<String, GraphFile> = BTreeMap::new();
    for graph in plans.iter().flat_map(|plan| plan.graphs.iter().chain(&plan.transforms)) {
        let folder = |name: &str| std::path::Path::new(&graph.name).with_file_name(name).to_string_lossy().into_owned();
        let mut add = |name: String, path: PathBuf, fingerprint| {
            files.insert(name.clone(), GraphFile { path, name, fingerprint });
        };
        add(graph.name.clone(), graph.path.clone(), graph.fingerprint);
        for (location, fingerprint) in &graph.external {
            add(folder(location), graph.path.with_file_name(location), *fingerprint);
        }
    }
    files.into_values().collect()
}

fn precision(plans: &[StagePlan<'_>]) -> Precision {
    let half = plans
        .iter()
        .flat_map(|plan| &plan.graphs)
        .any(|graph| graph.scan.inputs.iter().any(|port| port.dtype == crate::engine::DType::F16));
    if half { Precision::F16 } else { Precision::F32 }
}

/// Seconds and rows of the graphs of a stage.
pub(crate) type Times = Mutex<Vec<(Duration, u64)>>;

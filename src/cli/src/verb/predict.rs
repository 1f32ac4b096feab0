//! `blend predict`: graphs over their inputs to stored outputs, OOF by the fold map and test by all.

use crate::{
    INTERRUPTED,
    args::{Arguments, Predict, SplitName},
    context::{Context, file_fingerprint},
    failure::Failure,
    labels, outputs,
    report::{self, Screen, table::TextTable},
    verb::doctor::runtime_search,
};
use blend_core::{
    Fingerprint, Folds, ModelId, Oof, OutputKind, RowIndex, Split, Test,
    manifest::{ColumnFile, InputSpec, Manifest},
    output::Encoding,
    source::OwnedBlocks,
};
use blend_infer::{Device, EngineChoice, Progress, Request, Runtime, RuntimeError, Splits, Tables, Values};
use blend_record::{RunKind, RunRecord};
use blend_store::{Table, feather};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, HashMap},
    path::{Path, PathBuf},
    sync::{Arc, atomic::Ordering},
    time::Instant,
};

/// Everything the models of a run share.
struct Shared<'a> {
    context: &'a Context,
    arguments: &'a Arguments,
    it: &'a Predict,
    screen: &'a Screen,
    device: Device,
    splits: Splits,
    train_rows: Option<RowIndex>,
    test_rows: Option<RowIndex>,
    names: Option<Vec<String>>,
    tables: HashMap<PathBuf, Arc<Table>>,
    folds: HashMap<(PathBuf, String), Arc<Folds>>,
    runtime: Option<Runtime>,
    notes: Vec<String>,
    /// Models that ONNX Runtime is needed for, where it was not found.
    refused: Vec<ModelId>,
}

pub(crate) fn run(arguments: &Arguments, it: &Predict, screen: &Screen) -> Result<bool, Failure> {
    let context = Context::open(arguments)?;
    let id = context.competition.id.clone();
    let device: Device = it.device.parse().map_err(|error: String| {
        Failure::usage(error).at(format!("--device {}", it.device)).hint("`blend doctor` shows what there is")
    })?;
    let mut models =
        outputs::chosen(&context, &it.models, |model| context.workspace.manifest_file(&id, model).exists())?;
    let mut manifests = BTreeMap::new();
    for model in &models {
        manifests.insert(model.clone(), outputs::manifest_of(&context, model)?);
    }
    models.retain(|model| !manifests[model].stages.is_empty() || !it.models.is_empty());
    if models.is_empty() {
        return Err(Failure::usage(format!("no model of `{id}` has graphs"))
            .at(context.show(&context.workspace.competition_folder(&id)))
            .hint("describe graphs in models/<competition>/<model>/model.yaml, or `blend import` finished outputs"));
    }
    let truth_rows = match &context.competition.truth {
        Some(path) => {
            let table = context.read(path, "`truth` of competition.yaml", &[])?;
            Some(blend_core::TableSource::rows(&table).clone())
        }
        None => None,
    };
    let sample = context.sample()?;
    let judged_names = if truth_rows.is_some() {
        let judged = context.judged()?;
        labels::output_names(&context, Some(&judged.truth), sample.as_ref().map(blend_record::Sample::columns))
    } else {
        labels::output_names(&context, None, sample.as_ref().map(blend_record::Sample::columns))
    };
    let wants = |split| it.split.is_empty() || it.split.contains(&split);
    let mut shared = Shared {
        context: &context,
        arguments,
        it,
        screen,
        device,
        splits: Splits { oof: wants(SplitName::Oof), test: wants(SplitName::Test) },
        train_rows: truth_rows,
        test_rows: sample.as_ref().map(|sample| sample.rows().clone()),
        names: judged_names,
        tables: HashMap::new(),
        folds: HashMap::new(),
        runtime: None,
        notes: Vec::new(),
        refused: Vec::new(),
    };
    // What was named is had or refused, also where every prediction is there already and nothing would run.
    let runtime = runtime_search(arguments, &it.engine);
    if runtime.engine == Some(EngineChoice::Ort)
        || runtime.library.is_some()
        || (runtime.env_library.is_some() && runtime.engine.is_none())
        || matches!(device, Device::Cuda(_))
    {
        shared.open_runtime()?;
    }
    let mut table = TextTable::new(&["model", ">graphs", ">rows", ">seconds", ">rows/s", "engine", "device", ""]);
    let mut values = Vec::new();
    let mut refusal: Option<Failure> = None;
    for model in &models {
        match shared.model(&manifests[model]) {
            Ok(done) => {
                table.row(done.cells);
                values.push(done.value);
            }
            // What the embedded engine cannot run does not keep it from running the others.
            Err(failure) if shared.refused.last() == Some(model) => refusal = refusal.or(Some(failure)),
            Err(failure) => return Err(failure),
        }
        if INTERRUPTED.load(Ordering::Relaxed) {
            break;
        }
    }
    if let Some(failure) = refusal {
        if !values.is_empty() {
            table.lines().iter().for_each(|line| screen.note(line));
        }
        let refused: Vec<&str> = shared.refused.iter().map(ModelId::as_str).collect();
        let stored = if values.is_empty() { "none".to_owned() } else { values.len().to_string() };
        let details = format!("refused: {}; of the others, {stored} ran and are stored", refused.join(", "));
        return Err(failure.details(details));
    }
    for (i, line) in table.lines().iter().enumerate() {
        screen.line(if i == 0 { screen.dim(line) } else { line.clone() });
    }
    screen.object(json!({
        "competition": id.as_str(),
        "models": values,
        "notes": shared.notes,
        "peak_rss_bytes": report::peak_rss_bytes(),
    }));
    Ok(false)
}

struct Done {
    cells: Vec<String>,
    value: Value,
}

impl Shared<'_> {
    fn model(&mut self, manifest: &Manifest) -> Result<Done, Failure> {
        let model = &manifest.model;
        let splits = self.splits_of(manifest)?;
        let folds = self.folds_of(manifest)?;
        let mut record = RunRecord::new(model.clone(), RunKind::Predict);
        record.manifest =
            Some(file_fingerprint(&self.context.workspace.manifest_file(&self.context.competition.id, model))?);
        record.folds = folds.as_ref().map(|folds| folds.fingerprint());
        for path in paths(manifest, splits) {
            let print = file_fingerprint(&path).map_err(|failure| {
                let place =
                    self.context.show(&self.context.workspace.manifest_file(&self.context.competition.id, model));
                failure.hint_instead(format!("it is named by `tables` of {place}"))
            })?;
            record.data.insert(path, print);
        }
        if !self.it.force
            && let Some(done) = self.already(manifest, &record, splits)
        {
            return Ok(done);
        }
        let prediction = self.predict(manifest, folds.as_deref(), splits)?;
        let (prediction, seconds) = prediction;
        record.graphs = prediction.graphs.iter().map(|graph| (graph.path.clone(), graph.fingerprint)).collect();
        // Outputs of a split that was not asked for are kept only where they were made from the same inputs.
        let id = &self.context.competition.id;
        let before =
            RunRecord::read(&self.context.workspace, id, model).ok().filter(|before| before.same_inputs(&record));
        let encoding = Encoding { kind: manifest.stored_kind(), ..manifest.encoding };
        record.oof = match &prediction.oof {
            Some(values) => Some(self.store::<Oof>(model, values, encoding)?),
            None => before.as_ref().and_then(|before| before.oof),
        };
        record.test = match &prediction.test {
            Some(values) => Some(self.store::<Test>(model, values, encoding)?),
            None => before.as_ref().and_then(|before| before.test),
        };
        let report = &prediction.report;
        let rows =
            [&prediction.oof, &prediction.test].into_iter().flatten().map(|values| values.rows.len() as u64).sum();
        let per_second = report.rows as f64 / seconds.max(1e-9);
        record.engine = Some(report.engine.clone());
        record.library = Some(report.version.clone());
        record.device = Some(report.device.to_string());
        record.precision = Some(report.precision);
        record.rows = Some(rows);
        record.seconds = Some(seconds);
        record.rows_per_second = Some(per_second);
        record.peak_memory_bytes = report::peak_rss_bytes();
        record.write(&self.context.workspace, id)?;
        for note in &report.notes {
            self.say(note);
        }
        Ok(Done {
            cells: vec![
                model.to_string(),
                report.graphs.len().to_string(),
                rows.to_string(),
                format!("{seconds:.2}"),
                format!("{per_second:.0}"),
                format!("{} {}", report.engine, report.version),
                report.device.to_string(),
                String::new(),
            ],
            value: json!({
                "model": model.as_str(),
                "skipped": false,
                "graphs": report.graphs.iter().map(|graph| json!({
                    "stage": graph.stage, "graph": graph.graph, "rows": graph.rows, "seconds": graph.seconds,
                })).collect::<Vec<_>>(),
                "rows": rows,
                "outputs": prediction.n_outputs,
                "seconds": seconds,
                "rows_per_second": per_second,
                "engine": report.engine,
                "library": report.version,
                "device": report.device.to_string(),
                "oof": record.oof.map(|print| print.to_string()),
                "test": record.test.map(|print| print.to_string()),
            }),
        })
    }

    /// What is there already for the same manifest, fold map, data and graphs.
    fn already(&self, manifest: &Manifest, record: &RunRecord, splits: Splits) -> Option<Done> {
        let (workspace, id) = (&self.context.workspace, &self.context.competition.id);
        let before = RunRecord::read(workspace, id, &manifest.model).ok()?;
        let graphs_stand = before
            .graphs
            .iter()
            .all(|(path, print)| blend_record::fingerprint_of_file(path).is_ok_and(|now| now == *print));
        let mut wanted = record.clone();
        wanted.graphs = before.graphs.clone();
        // A record of more splits than are asked for now has more data files.
        wanted.data.extend(
            before.data.iter().filter(|(path, _)| !record.data.contains_key(*path)).map(|(p, f)| (p.clone(), *f)),
        );
        if before.graphs.is_empty() || !graphs_stand || !before.same_inputs(&wanted) {
            return None;
        }
        let stands = |wanted: bool, path: PathBuf, recorded: Option<Fingerprint>| {
            !wanted || feather::open(&path).is_ok_and(|outputs| Some(outputs.fingerprint) == recorded)
        };
        let model = &manifest.model;
        if !stands(splits.oof, outputs::file::<Oof>(self.context, model), before.oof)
            || !stands(splits.test, outputs::file::<Test>(self.context, model), before.test)
        {
            return None;
        }
        let dash = || "-".to_owned();
        Some(Done {
            cells: vec![
                model.to_string(),
                before.graphs.len().to_string(),
                before.rows.map_or_else(dash, |rows| rows.to_string()),
                dash(),
                dash(),
                before.engine.clone().unwrap_or_else(dash),
                before.device.clone().unwrap_or_else(dash),
                "already there (`--force` runs it again)".to_owned(),
            ],
            value: json!({
                "model": model.as_str(),
                "skipped": true,
                "rows": before.rows,
                "engine": before.engine,
                "device": before.device,
                "oof": before.oof.map(|print| print.to_string()),
                "test": before.test.map(|print| print.to_string()),
            }),
        })
    }

    /// The splits asked for that the model can make: those whose tables it names.
    fn splits_of(&self, manifest: &Manifest) -> Result<Splits, Failure> {
        let named = |train: bool| {
            used_tables(manifest).all(|name| {
                manifest
                    .tables
                    .get(name)
                    .is_some_and(|table| if train { table.train.is_some() } else { table.test.is_some() })
            })
        };
        let splits = Splits { oof: self.splits.oof && named(true), test: self.splits.test && named(false) };
        if splits.oof || splits.test {
            return Ok(splits);
        }
        Err(Failure::usage(format!("model `{}` names no table for what is asked", manifest.model))
            .at(manifest.folder.join("model.yaml").display())
            .hint("give its tables `train:` (for OOF) and `test:` files"))
    }

    fn folds_of(&mut self, manifest: &Manifest) -> Result<Option<Arc<Folds>>, Failure> {
        let Some(file) = manifest.folds.as_ref().or(self.context.competition.folds.as_ref()) else { return Ok(None) };
        let key = (file.file.clone(), file.column.clone());
        if let Some(folds) = self.folds.get(&key) {
            return Ok(Some(folds.clone()));
        }
        let rows = match &self.train_rows {
            Some(rows) => rows.clone(),
            None => rows_of(self.context, file)?,
        };
        let folds = Arc::new(self.context.fold_map(file, &rows)?);
        self.folds.insert(key, folds.clone());
        Ok(Some(folds))
    }

    fn table(&mut self, path: &Path) -> Result<Arc<Table>, Failure> {
        if let Some(table) = self.tables.get(path) {
            return Ok(table.clone());
        }
        let table = Arc::new(self.context.read(path, "a model.yaml", &[])?);
        self.tables.insert(path.to_owned(), table.clone());
        Ok(table)
    }

    /// Finds the engine, once; errors where what was named cannot be had.
    fn open_runtime(&mut self) -> Result<(), Failure> {
        if self.runtime.is_some() {
            return Ok(());
        }
        let search = runtime_search(self.arguments, &self.it.engine);
        let runtime = Runtime::open(&search).map_err(|error| {
            let place = match (&search.library, &search.env_library) {
                (Some(library), _) => format!("--ort-lib {}", library.display()),
                (None, Some(library)) => format!("ORT_DYLIB_PATH={}", library.display()),
                (None, None) => "--engine ort".to_owned(),
            };
            Failure::from(error).at(place)
        })?;
        if let Device::Cuda(index) = self.device {
            runtime.cuda_usable(index).map_err(|reason| {
                let device = self.device.to_string();
                Failure::from(RuntimeError::Device { device, reason }).at(format!("--device {}", self.it.device))
            })?;
        }
        if let Some(note) = runtime.note() {
            let note = format!("{note}; `blend runtime install` fetches ONNX Runtime");
            self.say(&note);
        }
        self.runtime = Some(runtime);
        Ok(())
    }

    fn predict(
        &mut self,
        manifest: &Manifest,
        folds: Option<&Folds>,
        splits: Splits,
    ) -> Result<(blend_infer::Prediction, f64), Failure> {
        let mut opened: BTreeMap<String, [Option<Arc<Table>>; 2]> = BTreeMap::new();
        for name in used_tables(manifest) {
            let spec = &manifest.tables[name];
            let train = spec.train.as_ref().filter(|_| splits.oof).map(|path| self.table(path)).transpose()?;
            let test = spec.test.as_ref().filter(|_| splits.test).map(|path| self.table(path)).transpose()?;
            opened.insert(name.to_owned(), [train, test]);
        }
        self.open_runtime()?;
        let Some(runtime) = &self.runtime else { return Err(Failure::new(5, "no runtime after opening one")) };
        let bar = self.bar(&manifest.model);
        let progress = |progress: Progress<'_>| {
            bar.set_length(progress.rows_total);
            bar.set_position(progress.rows_done);
        };
        let cancelled = || INTERRUPTED.load(Ordering::Relaxed);
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let request = Request {
            folds,
            tables: opened
                .iter()
                .map(|(name, [train, test])| {
                    let tables = Tables {
                        train: train.as_deref().map(|table| table as &dyn blend_core::TableSource),
                        test: test.as_deref().map(|table| table as &dyn blend_core::TableSource),
                    };
                    (name.clone(), tables)
                })
                .collect(),
            train_rows: self.train_rows.as_ref(),
            test_rows: self.test_rows.as_ref(),
            splits,
            batch_size: self.it.batch_size.map(std::num::NonZero::get),
            threads: self.arguments.threads.map_or(cores, std::num::NonZero::get),
            device: self.device,
            progress: &progress,
            cancelled: &cancelled,
            ..Request::new(manifest)
        };
        let started = Instant::now();
        let prediction = blend_infer::predict(runtime, &request);
        bar.finish_and_clear();
        if prediction.as_ref().is_err_and(blend_infer::InferError::wants_onnx_runtime) {
            self.refused.push(manifest.model.clone());
        }
        let prediction = prediction.map_err(|error| {
            let interrupted = INTERRUPTED.load(Ordering::Relaxed);
            let failure = Failure::from(error).at(self.context.show(&manifest.folder));
            if interrupted { Failure { exit: 130, ..failure } } else { failure }
        })?;
        Ok((prediction, started.elapsed().as_secs_f64()))
    }

    fn bar(&self, model: &ModelId) -> ProgressBar {
        if !self.screen.is_live() {
            return ProgressBar::hidden();
        }
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
        let style = ProgressStyle::with_template("{prefix:<20} {wide_bar} {pos}/{len} rows {elapsed}");
        if let Ok(style) = style {
            bar.set_style(style);
        }
        bar.with_prefix(model.to_string())
    }

    fn store<S: Split>(&self, model: &ModelId, values: &Values, encoding: Encoding) -> Result<Fingerprint, Failure> {
        let path = outputs::file::<S>(self.context, model);
        let n_outputs = blend_core::BlockSource::n_outputs(&values.columns);
        let names = match (&self.names, encoding.kind) {
            (Some(names), _) if names.len() == n_outputs => names.clone(),
            (Some(names), kind) if kind != OutputKind::Vector => {
                return Err(Failure::data(format!(
                    "the graphs of `{model}` give {n_outputs} outputs, the competition has {}",
                    names.len()
                ))
                .at(self.context.show(&path))
                .hint("name the graph's output with `output:` on the stage, or check the export"));
            }
            _ => (0..n_outputs).map(|output| format!("output_{output}")).collect(),
        };
        let metadata = super::import::outputs_metadata::<S>(self.context, model, encoding);
        let values_of: &OwnedBlocks = &values.columns;
        let id = &self.context.competition.id_column;
        feather::write(&path, &values.rows, id, &names, values_of, &metadata)
            .map_err(|error| Failure::from(error).at(self.context.show(&path)))
    }

    fn say(&mut self, note: &str) {
        if !self.notes.iter().any(|said| said == note) {
            self.screen.note(note);
            self.notes.push(note.to_owned());
        }
    }
}

/// Names of the tables that the stages read, each once.
fn used_tables(manifest: &Manifest) -> impl Iterator<Item = &str> {
    let names: std::collections::BTreeSet<&str> = manifest
        .stages
        .iter()
        .flat_map(|stage| stage.inputs.values())
        .filter_map(|input| match input {
            InputSpec::Table { table, .. } => Some(table.as_str()),
            InputSpec::Stage { .. } => None,
        })
        .collect();
    names.into_iter()
}

/// The files that a model's inputs come from.
fn paths(manifest: &Manifest, splits: Splits) -> Vec<PathBuf> {
    used_tables(manifest)
        .filter_map(|name| manifest.tables.get(name))
        .flat_map(|table| [table.train.clone().filter(|_| splits.oof), table.test.clone().filter(|_| splits.test)])
        .flatten()
        .collect()
}

/// The rows of a fold map, for a competition without truth.
fn rows_of(context: &Context, file: &ColumnFile) -> Result<RowIndex, Failure> {
    let table = context.read(&file.file, "`folds`", &[])?;
    Ok(blend_core::TableSource::rows(&table).clone())
}

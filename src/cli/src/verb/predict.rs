//! `blend predict`: graphs over their inputs to stored outputs, OOF by the fold map and test by all.

mod estimate;
pub(crate) mod inputs;
pub(crate) mod local;
mod progress;

use crate::{
    args::{Arguments, Predict, SplitName},
    context::{Context, file_fingerprint},
    failure::Failure,
    labels, outputs,
    report::{self, Screen, table::TextTable},
    signals,
    verb::doctor::runtime_search,
};
use blend_core::{Fingerprint, ModelId, Oof, OutputKind, RowIndex, Split, Test, manifest::Manifest, output::Encoding};
use blend_infer::{Device, EngineChoice, Executor, Partial, Prediction, Progress, Request, Runtime, Splits, Values};
use blend_record::{RunKind, RunRecord};
use blend_store::feather;
use inputs::{Files, Inputs, Known, Maps};
use serde_json::{Value, json};
use std::{
    io::Write,
    path::PathBuf,
    time::{Duration, Instant},
};

/// Longest time between two writes of what an interrupted run leaves behind.
const KEEP_EVERY: Duration = Duration::from_secs(60);
/// A run that takes less on one thread is nearly over before the best number of threads is found.
const WORTH_MEASURING: Duration = Duration::from_secs(8);

/// Everything the models of a run share.
struct Shared<'a> {
    context: &'a Context,
    arguments: &'a Arguments,
    it: &'a Predict,
    screen: &'a Screen,
    device: Device,
    splits: Splits,
    train_rows: Option<RowIndex>,
    /// Which training rows are scored, where there is truth.
    scored: Option<Vec<bool>>,
    test_rows: Option<RowIndex>,
    names: Option<Vec<String>>,
    files: Files,
    runtime: Option<Runtime>,
    notes: Vec<String>,
    /// When the time is up.
    deadline: Option<Instant>,
    /// CUDA devices that were asked for, as far as the runtime is open.
    gpus: Vec<u32>,
    /// Models that ONNX Runtime is needed for, where it was not found.
    refused: Vec<ModelId>,
}

/// A model with everything that its run needs.
struct Prepared {
    manifest: Manifest,
    splits: Splits,
    maps: Maps,
    record: RunRecord,
}

pub(crate) fn run(arguments: &Arguments, it: &Predict, screen: &Screen) -> Result<bool, Failure> {
    let context = Context::open(arguments)?;
    let id = context.competition.id.clone();
    let mut shared = Shared::new(&context, arguments, it, screen)?;
    let models = shared.models()?;
    shared.named_runtime()?;
    if it.dry_run {
        return estimate::run(&mut shared, models);
    }
    let mut table = TextTable::new(&["model", ">graphs", ">rows", ">seconds", ">rows/s", "engine", "device", ""]);
    let mut values = Vec::new();
    let mut lost = None;
    let mut refusal: Option<Failure> = None;
    for manifest in models {
        let model = manifest.model.clone();
        match shared.model(manifest) {
            Ok(done) => {
                table.row(done.cells);
                values.push(done.value);
            }
            // A process died: the other models are none the worse for it.
            Err(failure) if failure.exit == 75 && shared.deadline.is_none_or(|deadline| Instant::now() < deadline) => {
                screen.note(&failure.message);
                lost = Some(failure);
            }
            // What the embedded engine cannot run does not keep it from running the others.
            Err(failure) if shared.refused.last() == Some(&model) => refusal = refusal.or(Some(failure)),
            Err(failure) => return Err(failure),
        }
        if signals::interrupted() {
            break;
        }
    }
    if let Some(failure) = refusal {
        if !values.is_empty() {
            table.lines().iter().for_each(|line| screen.note(line));
        }
        let refused: Vec<&str> = shared.refused.iter().map(ModelId::as_str).collect();
        let details = format!("refused: {}; of the others, {} ran and are stored", refused.join(", "), values.len());
        return Err(failure.details(details));
    }
    screen.table(table);
    if let Some(failure) = lost {
        return Err(failure);
    }
    screen.object(json!({
        "competition": id.as_str(),
        "models": values,
        "notes": shared.notes,
        "peak_rss_bytes": report::peak_rss_bytes(),
    }));
    Ok(false)
}

/// The hidden verb: runs the shards that standard input names.
pub(crate) fn serve(arguments: &Arguments, it: &Predict, screen: &Screen) -> Result<bool, Failure> {
    let context = Context::open(arguments)?;
    let mut shared = Shared::new(&context, arguments, it, screen)?;
    let manifest = shared.models()?.into_iter().next().ok_or_else(|| Failure::usage("no model"))?;
    let prepared = shared.prepare(manifest)?;
    let inputs = shared.inputs(&prepared)?;
    let runtime = shared.runtime()?;
    let (mut input, mut output) = (std::io::stdin().lock(), std::io::stdout().lock());
    let mut next = || local::next(&mut input);
    let mut answer = |result: Result<Vec<u8>, blend_infer::InferError>| {
        let sent = match result {
            Ok(bytes) => local::answer(&mut output, 0, &bytes),
            Err(error) => {
                let failure = Failure::from(error);
                local::answer(&mut output, failure.exit, failure.message.as_bytes())
            }
        };
        if sent.is_err() {
            // Nobody listens any more.
            std::process::exit(0);
        }
    };
    let request = shared.request(&prepared, &inputs);
    let served = blend_infer::serve(&runtime, &request, &mut next, &mut answer);
    if let Err(error) = served {
        let failure = Failure::from(error);
        let _ = local::answer(&mut output, failure.exit, failure.message.as_bytes());
        let _ = output.flush();
    }
    Ok(false)
}

struct Done {
    cells: Vec<String>,
    value: Value,
}

impl<'a> Shared<'a> {
    fn new(
        context: &'a Context,
        arguments: &'a Arguments,
        it: &'a Predict,
        screen: &'a Screen,
    ) -> Result<Self, Failure> {
        let device: Device = it.device.parse().map_err(|error: String| {
            Failure::usage(error).at(format!("--device {}", it.device)).hint("`blend doctor` shows what there is")
        })?;
        let sample = context.sample()?;
        let columns = sample.as_ref().map(blend_record::Sample::columns);
        let judged = context.competition.truth.as_ref().map(|_| context.judged()).transpose()?;
        let train_rows = match &context.competition.truth {
            Some(path) => {
                let table = context.read(path, "`truth` of competition.yaml", &[])?;
                Some(blend_core::TableSource::rows(&table).clone())
            }
            None => None,
        };
        let wants = |split| it.split.is_empty() || it.split.contains(&split);
        Ok(Self {
            context,
            arguments,
            it,
            screen,
            device,
            splits: Splits { oof: wants(SplitName::Oof), test: wants(SplitName::Test) },
            train_rows,
            names: labels::output_names(context, judged.as_ref().map(|judged| &judged.truth), columns),
            scored: judged.map(|judged| judged.scope.rows.mask()),
            test_rows: sample.as_ref().map(|sample| sample.rows().clone()),
            files: Files::default(),
            runtime: None,
            notes: Vec::new(),
            deadline: it.time_budget.map(|budget| Instant::now() + budget),
            gpus: Vec::new(),
            refused: Vec::new(),
        })
    }

    /// The models that were asked for, or all that have graphs: of the others that say how to export theirs, a note.
    fn models(&mut self) -> Result<Vec<Manifest>, Failure> {
        let (context, id) = (self.context, &self.context.competition.id);
        let exists = |model: &ModelId| context.workspace.manifest_file(id, model).exists();
        let models = outputs::chosen(context, &self.it.models, exists)?;
        let manifests = models.iter().map(|model| outputs::manifest_of(context, model));
        let mut manifests = manifests.collect::<Result<Vec<Manifest>, Failure>>()?;
        manifests.retain(|manifest| !manifest.stages.is_empty() || !self.it.models.is_empty());
        let absent = |it: &Manifest| self.it.models.is_empty() && it.export.is_some() && outputs::lacks_graphs(it);
        if !manifests.iter().all(absent) {
            for it in manifests.iter().filter(|it| absent(it)) {
                let note = format!("`{}` is left out, graphs absent: {}", it.model, it.how_to_get_graphs());
                self.screen.note(&note);
                self.notes.push(note);
            }
            manifests.retain(|it| !absent(it));
        }
        if !manifests.is_empty() {
            return Ok(inputs::after_what_they_read(manifests));
        }
        Err(Failure::usage(format!("no model of `{id}` has graphs"))
            .at(context.show(&context.workspace.competition_folder(id)))
            .hint("describe graphs in models/<competition>/<model>/model.yaml, or `blend import` finished outputs"))
    }

    fn prepare(&mut self, manifest: Manifest) -> Result<Prepared, Failure> {
        let (context, model) = (self.context, &manifest.model);
        let splits = self.splits_of(&manifest)?;
        let maps = self.files.maps(context, &manifest, self.train_rows.as_ref())?;
        let mut record = RunRecord::new(model.clone(), RunKind::Predict);
        record.manifest = Some(file_fingerprint(&context.workspace.manifest_file(&context.competition.id, model))?);
        record.folds = maps.fingerprint();
        for path in inputs::paths(&manifest, splits) {
            let print = file_fingerprint(&path).map_err(|failure| {
                let place = context.show(&context.workspace.manifest_file(&context.competition.id, model));
                failure.hint_instead(format!("it is named by {place}"))
            })?;
            record.data.insert(path, print);
        }
        Ok(Prepared { manifest, splits, maps, record })
    }

    fn model(&mut self, manifest: Manifest) -> Result<Done, Failure> {
        let mut prepared = self.prepare(manifest)?;
        if !self.it.force
            && let Some(done) = self.already(&prepared.manifest, &prepared.record, prepared.splits)
        {
            return Ok(done);
        }
        let (prediction, seconds) = self.predict(&prepared)?;
        let (manifest, record) = (&prepared.manifest, &mut prepared.record);
        let model = &manifest.model;
        record.graphs = prediction.graphs.iter().map(|graph| (graph.path.clone(), graph.fingerprint)).collect();
        // Outputs of a split that was not asked for are kept only where they were made from the same inputs.
        let id = &self.context.competition.id;
        let before =
            RunRecord::read(&self.context.workspace, id, model).ok().filter(|before| before.same_inputs(record));
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
        record.workers = Some(report.workers as u64);
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
                    "load_seconds": graph.load_seconds, "build_seconds": graph.build_seconds,
                    "run_seconds": graph.run_seconds,
                })).collect::<Vec<_>>(),
                "rows": rows,
                "outputs": prediction.n_outputs,
                "resumed": report.resumed,
                "workers": report.workers,
                "measured": report.paces.iter().map(|pace| json!({
                    "workers": pace.workers, "rows_per_second": pace.rows_per_second,
                })).collect::<Vec<_>>(),
                "filed_bytes": report.filed_bytes,
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
        let splits = Splits {
            oof: self.splits.oof && inputs::names_files(manifest, true),
            test: self.splits.test && inputs::names_files(manifest, false),
        };
        if splits.oof || splits.test {
            return Ok(splits);
        }
        Err(Failure::usage(format!("model `{}` names no table for what is asked", manifest.model))
            .at(manifest.folder.join("model.yaml").display())
            .hint("give its tables `train:` (for OOF) and `test:` files"))
    }

    /// A library or device that was named is had or refused, also where every prediction is there already and nothing
    /// would run.
    fn named_runtime(&mut self) -> Result<(), Failure> {
        let search = runtime_search(self.arguments, &self.it.engine);
        let variable = search.env_library.is_some() && search.engine.is_none();
        let ort = search.engine == Some(EngineChoice::Ort) || search.library.is_some() || variable;
        if ort || matches!(self.device, Device::Cuda(_)) {
            self.runtime = Some(self.runtime()?);
        }
        Ok(())
    }

    /// The engine, opened once.
    fn runtime(&mut self) -> Result<Runtime, Failure> {
        if let Some(runtime) = self.runtime.take() {
            return Ok(runtime);
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
        if matches!(self.device, Device::Cuda(_)) {
            self.gpus = runtime
                .cuda_devices(self.device)
                .map_err(|error| Failure::from(error).at(format!("--device {}", self.it.device)))?;
        }
        if let Some(note) = runtime.note() {
            let note = format!("{note}; `blend runtime install` fetches ONNX Runtime");
            self.say(&note);
        }
        Ok(runtime)
    }

    /// Opens what a model is fed with.
    fn inputs(&mut self, prepared: &Prepared) -> Result<Inputs, Failure> {
        let known = Known { train: self.train_rows.as_ref(), test: self.test_rows.as_ref() };
        self.files.inputs(self.context, &prepared.manifest, prepared.splits, known)
    }

    fn request<'b>(&'b self, prepared: &'b Prepared, inputs: &'b Inputs) -> Request<'b> {
        let Prepared { manifest, splits, maps, record } = prepared;
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        Request {
            folds: maps.model(),
            stage_folds: maps.stages(),
            scored: self.scored.as_deref(),
            tables: inputs.tables(),
            events: inputs.events(),
            train_rows: self.train_rows.as_ref(),
            test_rows: self.test_rows.as_ref(),
            splits: *splits,
            batch_size: self.it.batch_size.map(std::num::NonZero::get),
            threads: self.arguments.threads.map_or(cores, std::num::NonZero::get),
            measure_threads: self.arguments.threads.is_none().then_some(WORTH_MEASURING),
            device: self.device,
            partial: Some(Partial {
                path: manifest.folder.join(".partial"),
                inputs: inputs::fingerprint_of(record.manifest, &record.data),
                every: KEEP_EVERY,
            }),
            scratch: Some(&manifest.folder),
            ..Request::new(manifest)
        }
    }

    fn predict(&mut self, prepared: &Prepared) -> Result<(Prediction, f64), Failure> {
        let manifest = &prepared.manifest;
        let inputs = self.inputs(prepared)?;
        let runtime = self.runtime()?;
        let started = Instant::now();
        let needs_onnx_runtime;
        let prediction = {
            let shown = progress::Shown::new(self.screen, &manifest.model);
            let progress = |progress: Progress<'_>| shown.tell(progress);
            let late = || self.deadline.is_some_and(|deadline| Instant::now() > deadline);
            let cancelled = || signals::interrupted() || late();
            let competition = self.context.competition.id.as_str();
            let local = self
                .it
                .executor
                .map(|n| local::Local::new(n, self.arguments, self.it, &self.gpus, competition, &manifest.model));
            let request = Request {
                progress: &progress,
                cancelled: &cancelled,
                executor: local.as_ref().map(|local| local as &dyn Executor),
                ..self.request(prepared, &inputs)
            };
            let prediction = blend_infer::predict(&runtime, &request);
            shown.finish();
            needs_onnx_runtime = prediction.as_ref().is_err_and(blend_infer::InferError::wants_onnx_runtime);
            prediction.map_err(|error| {
                let stopped = matches!(error, blend_infer::InferError::Interrupted);
                let failure = Failure::from(error).at(self.context.show(&manifest.folder));
                match (signals::interrupted(), stopped && late()) {
                    (true, _) => Failure { exit: signals::exit_code(), ..failure },
                    (false, true) => Failure { exit: 75, ..failure.because("the time budget is used up") }
                        .hint("run it again: it goes on at the graph where it stopped"),
                    (false, false) if failure.exit == 75 => failure
                        .hint("run it again: it goes on at that graph; fewer processes leave more memory to each"),
                    (false, false) => failure,
                }
            })
        };
        self.runtime = Some(runtime);
        if needs_onnx_runtime {
            self.refused.push(manifest.model.clone());
        }
        let prediction = prediction?;
        if prediction.report.resumed > 0 {
            let n = prediction.report.resumed;
            let graphs = if n == 1 { "graph" } else { "graphs" };
            let note = format!("`{}`: taken up after {n} {graphs} of an interrupted run", manifest.model);
            self.say(&note);
        }
        Ok((prediction, started.elapsed().as_secs_f64()))
    }

    fn store<S: Split>(&self, model: &ModelId, values: &Values, encoding: Encoding) -> Result<Fingerprint, Failure> {
        let path = outputs::file::<S>(self.context, model);
        let n_outputs = blend_core::BlockSource::n_outputs(&*values.columns);
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
        let id = &self.context.competition.id_column;
        feather::write(&path, &values.rows, id, &names, &*values.columns, &metadata)
            .map_err(|error| Failure::from(error).at(self.context.show(&path)))
    }

    fn say(&mut self, note: &str) {
        if !self.notes.iter().any(|said| said == note) {
            self.screen.note(note);
            self.notes.push(note.to_owned());
        }
    }
}

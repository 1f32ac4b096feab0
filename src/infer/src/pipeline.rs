//! A model's graphs over the rows of its tables: stage after stage, seeds and folds averaged.
//!
//! The out-of-fold rule: a training row is predicted only by graphs whose fold holds that row out; test rows by all.
//! Sums are f64 and run over graphs in one order (seeds outer, folds inner), so the number of threads changes nothing.

mod estimate;
mod pace;
mod setup;
mod shards;
mod stage;

pub use estimate::{Estimate, StageEstimate, estimate};
pub use shards::serve;

use crate::{
    error::InferError,
    events::OpenEvents,
    partial::{Keeper, State},
    plan::{self, StagePlan},
    request::{GraphFile, Prediction, Request, RunReport, Split, SplitRows, Values},
    runtime::Runtime,
    sums::{Blocks, Sums},
    table::BoundTable,
};
use blend_core::{
    BlockSource, Folds,
    manifest::{InputSpec, Precision},
};
use setup::Setup;
use std::{collections::BTreeMap, path::PathBuf, sync::Arc};

/// Runs a model.
///
/// Errors before anything runs where a file, table, column or row is missing; afterwards where a graph fails or gives
/// NaN. Nothing is written but the request's partial file.
pub fn predict(runtime: &Runtime, request: &Request<'_>) -> Result<Prediction, InferError> {
    prepared(runtime, request, |setup| {
        let manifest = request.manifest;
        let key = setup.key();
        let (mut keeper, state) = Keeper::open(request.partial.as_ref(), key, request.scratch);
        setup.skip(stage::rows_of(setup, &state));
        let resumed =
            setup.plans[..state.done.len()].iter().map(|plan| plan.graphs.len()).sum::<usize>() + state.graphs;
        let State { mut done, mut graphs, mut sums } = state;
        let (mut times, mut filed) = (Vec::new(), 0);
        let (mut paces, mut workers) = (Vec::new(), 0);
        let mut stored = [None, None];
        for at in done.len()..setup.plans.len() {
            let is_last = at + 1 == setup.plans.len();
            let mut output = [None, None];
            {
                let mut job = stage::Job::new(setup, at, &done)?;
                let cuts = job.cuts();
                paces.extend(job.measure(&cuts)?);
                workers = workers.max(job.workers());
                let (graphs, sums) = (std::mem::take(&mut graphs), std::mem::take(&mut sums));
                let (both, more) = job.run(&cuts, &mut keeper, &done, graphs, sums)?;
                times.extend(more);
                let summed = both.iter().map(Sums::filed).sum::<u64>();
                for ((sums, split), at) in both.into_iter().zip([Split::Oof, Split::Test]).zip(0..) {
                    let Some(owner) = job.owner_of_sums(split) else { continue };
                    if is_last {
                        stored[at] = Some(sums.stored(owner)?);
                    } else {
                        output[at] = Some(sums.average(owner)?);
                    }
                }
                // The last stage's lie where its sums did.
                filed = summed.max(filed) + output.iter().flatten().map(|rows| rows.values.filed()).sum::<u64>();
            }
            done.push(output);
            // Other processes read finished stages from there.
            if !is_last {
                keeper.keep(&done, 0, [&sums[0], &sums[1]], request.executor.is_some())?;
            }
        }
        let given = precision(setup.plans);
        if given != manifest.precision {
            setup.note(format!("the manifest says {:?}, the graphs take {given:?}", manifest.precision).to_lowercase());
        }
        let n_outputs = stored.iter().flatten().next().map_or(0, BlockSource::n_outputs);
        let [train, test] = stored;
        let values = |blocks: Option<Blocks>, split: Option<&SplitRows<'_>>| {
            Some(Values { columns: Arc::new(blocks?), rows: split?.rows.clone() })
        };
        keeper.forget();
        Ok(Prediction {
            oof: values(train, setup.train),
            test: values(test, setup.test),
            n_outputs,
            graphs: files(setup.plans),
            report: RunReport {
                engine: runtime.engine_name().to_owned(),
                version: runtime.version().to_owned(),
                library: runtime.library().map(ToOwned::to_owned),
                device: setup.device(),
                precision: given,
                rows: times.iter().map(|time| time.rows).sum(),
                workers,
                paces,
                filed_bytes: filed,
                resumed,
                graphs: times,
                notes: once(setup.notes()),
            },
        })
    })
}

/// Finds graphs and rows, decides where to run, and goes on with that.
fn prepared<T>(
    runtime: &Runtime,
    request: &Request<'_>,
    then: impl FnOnce(&Setup<'_>) -> Result<T, InferError>,
) -> Result<T, InferError> {
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
    let setup = Setup::new(runtime, request, &model, placed, &plans, [train.as_ref(), test.as_ref()])?;
    notes.into_iter().for_each(|note| setup.note(note));
    then(&setup)
}

fn once(notes: Vec<String>) -> Vec<String> {
    let mut once = Vec::new();
    notes.into_iter().for_each(|note| {
        if !once.contains(&note) {
            once.push(note);
        }
    });
    once
}

/// Any fold map: all are of the same rows.
fn any_folds<'a>(request: &Request<'a>) -> Option<&'a Folds> {
    let mut maps = std::iter::once(&request.folds).chain(request.stage_folds.values());
    maps.find_map(|maps| maps.all.or_else(|| maps.by_seed.values().next().copied()))
}

/// Finds the rows of a split and lines its tables and events up with them.
fn bind<'a>(
    request: &Request<'a>,
    model: &str,
    split: Split,
    notes: &mut Vec<String>,
) -> Result<SplitRows<'a>, InferError> {
    let manifest = request.manifest;
    let name = manifest.model.as_str();
    let (mut wanted, mut wanted_events) = (Vec::<&'a str>::new(), BTreeMap::<&'a str, bool>::new());
    for spec in manifest.stages.iter().flat_map(|stage| stage.inputs.values()) {
        match spec {
            InputSpec::Table { table, .. } if !wanted.contains(&table.as_str()) => wanted.push(table),
            InputSpec::Events { events, tensor } => *wanted_events.entry(events).or_default() |= tensor.needs_ice(),
            InputSpec::Table { .. } | InputSpec::Stage { .. } => {}
        }
    }
    let absent = |table: &str| InferError::NoTable { model: model.to_owned(), table: table.to_owned(), split };
    let source = |table: &str| {
        let tables = request.tables.get(table).copied().unwrap_or_default();
        let source = if split == Split::Oof { tables.train } else { tables.test };
        source.ok_or_else(|| absent(table))
    };
    let mut opened = BTreeMap::new();
    for (events, with_ice) in wanted_events {
        let (tables, spec) =
            request.events.get(events).zip(manifest.events.get(events)).ok_or_else(|| absent(events))?;
        opened.insert(events, (OpenEvents::open(name, events, split, tables, spec, with_ice)?, spec));
    }
    let rows = match split {
        Split::Oof => request.train_rows.or_else(|| any_folds(request).map(Folds::rows)),
        Split::Test => request.test_rows,
    };
    let rows = match (rows, wanted.first(), opened.values().next()) {
        (Some(rows), ..) => rows.clone(),
        (None, Some(table), _) => source(table)?.rows().clone(),
        (None, None, Some((events, _))) => events.rows().clone(),
        (None, None, None) => return Err(InferError::NoRows { model: model.to_owned(), split }),
    };
    let (mut tables, mut events) = (BTreeMap::new(), BTreeMap::new());
    for table in wanted {
        let (bound, note) = BoundTable::bind(name, table, split, source(table)?, &rows)?;
        notes.extend(note);
        tables.insert(table, bound);
    }
    for (table, (open, spec)) in opened {
        let (bound, note) = open.bind(name, table, split, spec, &rows)?;
        notes.extend(note);
        events.insert(table, bound);
    }
    Ok(SplitRows { split, rows, tables, events })
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

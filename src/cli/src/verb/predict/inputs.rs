//! What a model's graphs are fed with: tables, events and fold maps, each file read once per run.

use crate::{context::Context, failure::Failure};
use blend_core::{
    Fingerprint, Folds, RowIndex, TableSource,
    fingerprint::Fingerprinter,
    manifest::{ColumnFile, EventsSpec, InputSpec, Manifest, PulseFiles},
};
use blend_infer::{EventTables, FoldMaps, PulseTables, Splits, Tables};
use blend_store::{IdSpec, StreamOptions};
use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    path::{Path, PathBuf},
    sync::Arc,
};

/// A table that was opened; several models may read it.
type Table = Arc<dyn TableSource>;

/// What was asked of a file.
#[derive(PartialEq, Eq, Hash)]
struct Key {
    path: PathBuf,
    id: Option<String>,
    array: Option<String>,
    /// The rows that it was said to have where it names none.
    rows: Option<Fingerprint>,
}

/// The rows of either split, where they are known.
#[derive(Clone, Copy)]
pub(crate) struct Known<'a> {
    pub(crate) train: Option<&'a RowIndex>,
    pub(crate) test: Option<&'a RowIndex>,
}

/// Files that were read, by what was asked of them.
#[derive(Default)]
pub(crate) struct Files {
    tables: HashMap<Key, Table>,
    folds: HashMap<(PathBuf, String), Arc<Folds>>,
}

/// What one model is fed with.
pub(crate) struct Inputs {
    tables: BTreeMap<String, [Option<Table>; 2]>,
    events: BTreeMap<String, Events>,
}

struct Events {
    splits: [Option<Pulses>; 2],
    geometry: Table,
    ice: Option<Table>,
}

struct Pulses {
    pulses: Vec<Table>,
    meta: Vec<Table>,
}

/// A model's fold maps, and those of its stages.
#[derive(Default)]
pub(crate) struct Maps {
    model: Owned,
    stages: BTreeMap<String, Owned>,
}

#[derive(Default)]
struct Owned {
    all: Option<Arc<Folds>>,
    by_seed: BTreeMap<i64, Arc<Folds>>,
}

impl Owned {
    fn borrowed(&self) -> FoldMaps<'_> {
        FoldMaps {
            all: self.all.as_deref(),
            by_seed: self.by_seed.iter().map(|(seed, folds)| (*seed, folds.as_ref())).collect(),
        }
    }
}

impl Maps {
    pub(crate) fn model(&self) -> FoldMaps<'_> {
        self.model.borrowed()
    }

    pub(crate) fn stages(&self) -> BTreeMap<String, FoldMaps<'_>> {
        self.stages.iter().map(|(stage, maps)| (stage.clone(), maps.borrowed())).collect()
    }

    /// The identity of all maps of the model: that of the map where there is one.
    pub(crate) fn fingerprint(&self) -> Option<Fingerprint> {
        let owned = std::iter::once(&self.model).chain(self.stages.values());
        Folds::fingerprint_of_all(owned.flat_map(|it| it.all.iter().chain(it.by_seed.values())).map(Arc::as_ref))
    }
}

impl Inputs {
    pub(crate) fn tables(&self) -> BTreeMap<String, Tables<'_>> {
        let mut tables = BTreeMap::new();
        for (name, [train, test]) in &self.tables {
            tables.insert(name.clone(), Tables { train: source(train.as_ref()), test: source(test.as_ref()) });
        }
        tables
    }

    pub(crate) fn events(&self) -> BTreeMap<String, EventTables<'_>> {
        let mut events = BTreeMap::new();
        for (name, it) in &self.events {
            let [train, test] = it.splits.each_ref().map(|it| it.as_ref().map(Pulses::borrowed));
            let tables = EventTables { train, test, geometry: it.geometry.as_ref(), ice: source(it.ice.as_ref()) };
            events.insert(name.clone(), tables);
        }
        events
    }
}

impl Pulses {
    fn borrowed(&self) -> PulseTables<'_> {
        fn all(tables: &[Table]) -> Vec<&dyn TableSource> {
            tables.iter().filter_map(|table| source(Some(table))).collect()
        }
        PulseTables { pulses: all(&self.pulses), meta: all(&self.meta) }
    }
}

fn source(table: Option<&Table>) -> Option<&dyn TableSource> {
    table.map(AsRef::as_ref)
}

impl Files {
    /// Opens what `splits` of a model need; what has no ids has the `known` rows.
    pub(crate) fn inputs(
        &mut self,
        context: &Context,
        manifest: &Manifest,
        splits: Splits,
        known: Known<'_>,
    ) -> Result<Inputs, Failure> {
        let mut inputs = Inputs { tables: BTreeMap::new(), events: BTreeMap::new() };
        for name in used_tables(manifest) {
            let spec = &manifest.tables[name];
            let mut open = |path: &Option<PathBuf>, asked: bool, rows| {
                let path = path.as_ref().filter(|_| asked);
                path.map(|path| self.by_id(context, path, spec.array.as_deref(), rows)).transpose()
            };
            let tables = [open(&spec.train, splits.oof, known.train)?, open(&spec.test, splits.test, known.test)?];
            inputs.tables.insert(name.to_owned(), tables);
        }
        for name in used_events(manifest) {
            let events = self.events(context, &manifest.events[name], splits)?;
            inputs.events.insert(name.to_owned(), events);
        }
        Ok(inputs)
    }

    fn events(&mut self, context: &Context, spec: &EventsSpec, splits: Splits) -> Result<Events, Failure> {
        let mut pulses = |files: &Option<PulseFiles>, asked: bool| -> Result<Option<Pulses>, Failure> {
            let Some(files) = files.as_ref().filter(|_| asked) else { return Ok(None) };
            let meta = files.meta.iter().map(|path| self.by_id(context, path, None, None));
            let meta = meta.collect::<Result<_, _>>()?;
            let pulses = files.pulses.iter().map(|path| self.open(context, path, None, None, None));
            Ok(Some(Pulses { pulses: pulses.collect::<Result<_, _>>()?, meta }))
        };
        Ok(Events {
            splits: [pulses(&spec.train, splits.oof)?, pulses(&spec.test, splits.test)?],
            geometry: self.open(context, &spec.geometry, Some("sensor_id"), None, None)?,
            ice: spec.ice.as_ref().map(|path| self.open(context, path, None, None, None)).transpose()?,
        })
    }

    fn by_id(
        &mut self,
        context: &Context,
        path: &Path,
        array: Option<&str>,
        rows: Option<&RowIndex>,
    ) -> Result<Table, Failure> {
        let id = context.competition.id_column.clone();
        self.open(context, path, Some(&id), array, rows)
    }

    fn open(
        &mut self,
        context: &Context,
        path: &Path,
        id: Option<&str>,
        array: Option<&str>,
        rows: Option<&RowIndex>,
    ) -> Result<Table, Failure> {
        let owned = |text: Option<&str>| text.map(ToOwned::to_owned);
        let rows_are = rows.map(RowIndex::fingerprint);
        let key = Key { path: path.to_owned(), id: owned(id), array: owned(array), rows: rows_are };
        if let Some(table) = self.tables.get(&key) {
            return Ok(table.clone());
        }
        let spec = id.map_or(IdSpec::Positions, |id| IdSpec::Column(id.to_owned()));
        let folder = context.workspace.competition_folder(&context.competition.id);
        let options = StreamOptions { rows: rows.cloned(), array: owned(array), ..StreamOptions::new(spec, folder) };
        let table = blend_store::stream::open(path, &options)
            .map_err(|error| Failure::from(error).at(context.show(path)).details("named by a model.yaml"))?;
        self.tables.insert(key, table.clone());
        Ok(table)
    }

    /// The fold maps of a model: its own, else the competition's.
    pub(crate) fn maps(
        &mut self,
        context: &Context,
        manifest: &Manifest,
        rows: Option<&RowIndex>,
    ) -> Result<Maps, Failure> {
        let seeds: BTreeSet<i64> = manifest.stages.iter().flat_map(|stage| stage.seeds.iter().copied()).collect();
        let mut maps = Maps::default();
        if let Some(file) = manifest.folds.as_ref().or(context.competition.folds.as_ref()) {
            maps.model = self.map(context, file, &seeds, rows)?;
        }
        for stage in &manifest.stages {
            if let Some(file) = &stage.folds {
                let seeds = stage.seeds.iter().copied().collect();
                maps.stages.insert(stage.name.clone(), self.map(context, file, &seeds, rows)?);
            }
        }
        Ok(maps)
    }

    fn map(
        &mut self,
        context: &Context,
        file: &ColumnFile,
        seeds: &BTreeSet<i64>,
        rows: Option<&RowIndex>,
    ) -> Result<Owned, Failure> {
        if !file.column.contains("{seed}") {
            return Ok(Owned { all: Some(self.fold_map(context, file, rows)?), by_seed: BTreeMap::new() });
        }
        let mut owned = Owned::default();
        for &seed in seeds {
            let column = file.column.replace("{seed}", &seed.to_string());
            let file = ColumnFile { file: file.file.clone(), column };
            owned.by_seed.insert(seed, self.fold_map(context, &file, rows)?);
        }
        Ok(owned)
    }

    fn fold_map(
        &mut self,
        context: &Context,
        file: &ColumnFile,
        rows: Option<&RowIndex>,
    ) -> Result<Arc<Folds>, Failure> {
        let key = (file.file.clone(), file.column.clone());
        if let Some(folds) = self.folds.get(&key) {
            return Ok(folds.clone());
        }
        let rows = match rows {
            Some(rows) => rows.clone(),
            // A competition without truth: the map says which rows there are.
            None => TableSource::rows(&context.read(&file.file, "`folds`", &[])?).clone(),
        };
        let folds = Arc::new(context.fold_map(file, &rows)?);
        self.folds.insert(key, folds.clone());
        Ok(folds)
    }
}

fn used<'a>(manifest: &'a Manifest, of: impl Fn(&'a InputSpec) -> Option<&'a str>) -> BTreeSet<&'a str> {
    manifest.stages.iter().flat_map(|stage| stage.inputs.values()).filter_map(of).collect()
}

/// Names of the tables that the stages read, each once.
pub(crate) fn used_tables(manifest: &Manifest) -> BTreeSet<&str> {
    used(manifest, |input| match input {
        InputSpec::Table { table, .. } => Some(table.as_str()),
        _ => None,
    })
}

/// Names of the events that the stages read, each once.
pub(crate) fn used_events(manifest: &Manifest) -> BTreeSet<&str> {
    used(manifest, |input| match input {
        InputSpec::Events { events, .. } => Some(events.as_str()),
        _ => None,
    })
}

/// Whether the model names files for the training rows (or the test rows) of all that it reads.
pub(crate) fn names_files(manifest: &Manifest, train: bool) -> bool {
    let tables = used_tables(manifest).into_iter().all(|name| {
        let table = manifest.tables.get(name);
        table.is_some_and(|table| if train { table.train.is_some() } else { table.test.is_some() })
    });
    let events = used_events(manifest).into_iter().all(|name| {
        let events = manifest.events.get(name);
        events.is_some_and(|events| if train { events.train.is_some() } else { events.test.is_some() })
    });
    tables && events
}

/// The files that a model's inputs come from.
pub(crate) fn paths(manifest: &Manifest, splits: Splits) -> Vec<PathBuf> {
    let mut paths = Vec::new();
    for table in used_tables(manifest).into_iter().filter_map(|name| manifest.tables.get(name)) {
        paths.extend(table.train.clone().filter(|_| splits.oof));
        paths.extend(table.test.clone().filter(|_| splits.test));
    }
    for events in used_events(manifest).into_iter().filter_map(|name| manifest.events.get(name)) {
        let train = events.train.iter().filter(|_| splits.oof);
        let test = events.test.iter().filter(|_| splits.test);
        paths.extend(train.chain(test).flat_map(|files| files.pulses.iter().chain(&files.meta).cloned()));
        paths.push(events.geometry.clone());
        paths.extend(events.ice.clone());
    }
    paths
}

/// The models in the order given, but those that read the stored outputs of others after these. Models that read each other
/// stay where they are.
pub(crate) fn after_what_they_read(manifests: Vec<Manifest>) -> Vec<Manifest> {
    let both = Splits { oof: true, test: true };
    let with_paths = |it: Manifest| {
        let paths = paths(&it, both);
        (it, paths)
    };
    let mut waiting: Vec<(Manifest, Vec<PathBuf>)> = manifests.into_iter().map(with_paths).collect();
    let mut ordered = Vec::with_capacity(waiting.len());
    while !waiting.is_empty() {
        let waits = |(it, paths): &(Manifest, Vec<PathBuf>)| {
            let mut others = waiting.iter().filter(|(other, _)| other.model != it.model);
            others.any(|(other, _)| paths.iter().any(|path| path.starts_with(&other.folder)))
        };
        let next = waiting.iter().position(|it| !waits(it)).unwrap_or(0);
        ordered.push(waiting.remove(next).0);
    }
    ordered
}

/// One fingerprint of many files, for what an interrupted run leaves behind.
pub(crate) fn fingerprint_of(manifest: Option<Fingerprint>, data: &BTreeMap<PathBuf, Fingerprint>) -> Fingerprint {
    let mut hash = Fingerprinter::new("inputs");
    for print in manifest.iter().chain(data.values()) {
        hash.bytes(print.as_bytes());
    }
    hash.finish()
}

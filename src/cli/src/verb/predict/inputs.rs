//! What a model's graphs are fed with: tables, events and fold maps, each file read once per run.

use crate::{context::Context, failure::Failure};
use blend_core::{
    Fingerprint, Folds, RowIndex, TableSource,
    fingerprint::Fingerprinter,
    manifest::{ColumnFile, EventsSpec, InputSpec, Manifest, PulseFiles},
};
use blend_infer::{EventTables, FoldMaps, PulseTables, Splits, Tables};
use blend_store::{IdSpec, ReadOptions, Table};
use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    path::{Path, PathBuf},
    sync::Arc,
};

/// Files that were read, by what was asked of them.
#[derive(Default)]
pub(crate) struct Files {
    tables: HashMap<(PathBuf, Option<String>), Arc<Table>>,
    folds: HashMap<(PathBuf, String), Arc<Folds>>,
}

/// What one model is fed with.
pub(crate) struct Inputs {
    tables: BTreeMap<String, [Option<Arc<Table>>; 2]>,
    events: BTreeMap<String, Events>,
}

struct Events {
    splits: [Option<Pulses>; 2],
    geometry: Arc<Table>,
    ice: Option<Arc<Table>>,
}

struct Pulses {
    pulses: Vec<Arc<Table>>,
    meta: Vec<Arc<Table>>,
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
        fn all(tables: &[Arc<Table>]) -> Vec<&dyn TableSource> {
            tables.iter().filter_map(|table| source(Some(table))).collect()
        }
        PulseTables { pulses: all(&self.pulses), meta: all(&self.meta) }
    }
}

fn source(table: Option<&Arc<Table>>) -> Option<&dyn TableSource> {
    table.map(|table| table.as_ref() as &dyn TableSource)
}

impl Files {
    /// Opens what `splits` of a model need.
    pub(crate) fn inputs(&mut self, context: &Context, manifest: &Manifest, splits: Splits) -> Result<Inputs, Failure> {
        let mut inputs = Inputs { tables: BTreeMap::new(), events: BTreeMap::new() };
        for name in used_tables(manifest) {
            let spec = &manifest.tables[name];
            let train = spec.train.as_ref().filter(|_| splits.oof).map(|path| self.by_id(context, path)).transpose()?;
            let test = spec.test.as_ref().filter(|_| splits.test).map(|path| self.by_id(context, path)).transpose()?;
            inputs.tables.insert(name.to_owned(), [train, test]);
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
            Ok(Some(Pulses {
                pulses: files.pulses.iter().map(|path| self.by_position(context, path)).collect::<Result<_, _>>()?,
                meta: files.meta.iter().map(|path| self.by_id(context, path)).collect::<Result<_, _>>()?,
            }))
        };
        Ok(Events {
            splits: [pulses(&spec.train, splits.oof)?, pulses(&spec.test, splits.test)?],
            geometry: self.read(context, &spec.geometry, Some("sensor_id"))?,
            ice: spec.ice.as_ref().map(|path| self.by_position(context, path)).transpose()?,
        })
    }

    fn by_id(&mut self, context: &Context, path: &Path) -> Result<Arc<Table>, Failure> {
        let without_ids = path.extension().is_some_and(|extension| extension == "npy");
        let id = context.competition.id_column.clone();
        self.read(context, path, (!without_ids).then_some(id.as_str()))
    }

    fn by_position(&mut self, context: &Context, path: &Path) -> Result<Arc<Table>, Failure> {
        self.read(context, path, None)
    }

    fn read(&mut self, context: &Context, path: &Path, id: Option<&str>) -> Result<Arc<Table>, Failure> {
        let key = (path.to_owned(), id.map(ToOwned::to_owned));
        if let Some(table) = self.tables.get(&key) {
            return Ok(table.clone());
        }
        let spec = id.map_or(IdSpec::Positions, |id| IdSpec::Column(id.to_owned()));
        let table = Table::read(path, &ReadOptions { id: spec, ..ReadOptions::default() })
            .map_err(|error| Failure::from(error).at(context.show(path)).details("named by a model.yaml"))?;
        let table = Arc::new(table);
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

/// One fingerprint of many files, for what an interrupted run leaves behind.
pub(crate) fn fingerprint_of(manifest: Option<Fingerprint>, data: &BTreeMap<PathBuf, Fingerprint>) -> Fingerprint {
    let mut hash = Fingerprinter::new("inputs");
    for print in manifest.iter().chain(data.values()) {
        hash.bytes(print.as_bytes());
    }
    hash.finish()
}

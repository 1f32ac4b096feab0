//! Which graphs a stage has: patterns to files, all looked into before the first of them runs.

use crate::{
    error::InferError,
    request::{FoldMaps, Request},
    scan::{Scan, ScanFileError, scan_file},
};
use blend_core::{
    Fingerprint, Folds, OutputKind,
    manifest::{EventTensor, InputSpec, Stage},
};
use std::{
    collections::BTreeMap,
    path::{Component, Path, PathBuf},
    sync::Arc,
};

/// A graph file that was found and scanned.
#[derive(Debug)]
pub(crate) struct Graph {
    pub(crate) path: PathBuf,
    /// Relative to the model's folder.
    pub(crate) name: String,
    pub(crate) seed: Option<i64>,
    pub(crate) fold: Option<i64>,
    pub(crate) scan: Scan,
    pub(crate) fingerprint: Fingerprint,
    /// External files with their fingerprints, relative to the graph's folder.
    pub(crate) external: Vec<(String, Fingerprint)>,
    /// Bytes of the file and of its external data.
    pub(crate) bytes: u64,
    /// The file itself, of the first few graphs: what was looked into is what runs, and is not read again.
    pub(crate) held: Option<Arc<Vec<u8>>>,
}

/// Bytes of graphs that are held in memory from look to run.
const HELD: usize = 32 << 20;

impl Graph {
    /// Rows that a run takes, where the graph fixes them.
    pub(crate) fn fixed_rows(&self) -> Option<usize> {
        self.scan.inputs.iter().find_map(|port| port.dims.as_ref()?.first().copied().flatten())
    }
}

impl Graph {
    /// Pulses of an event that a run takes, where the graph fixes them: the second dimension of an input that has one
    /// for each pulse.
    pub(crate) fn fixed_pulses(&self, stage: &Stage) -> Option<usize> {
        self.scan.inputs.iter().find_map(|port| match stage.inputs.get(&port.name)? {
            InputSpec::Events { tensor: EventTensor::Length | EventTensor::Event, .. } => None,
            InputSpec::Events { .. } => port.dims.as_ref()?.get(1).copied().flatten(),
            _ => None,
        })
    }
}

/// A stage with its graphs, seeds outer and folds inner.
pub(crate) struct StagePlan<'a> {
    pub(crate) stage: &'a Stage,
    /// What its graphs emit.
    pub(crate) kind: OutputKind,
    pub(crate) graphs: Vec<Graph>,
    /// Transform graphs, each once.
    pub(crate) transforms: Vec<Graph>,
    /// For each graph: input name to position in `transforms`.
    pub(crate) transform_of: Vec<BTreeMap<String, usize>>,
}

/// The fold map of `seed` in a stage: the stage's own, else the model's.
pub(crate) fn folds_of<'a>(request: &Request<'a>, stage: &str, seed: Option<i64>) -> Option<&'a Folds> {
    let of = |maps: &FoldMaps<'a>| seed.and_then(|seed| maps.by_seed.get(&seed).copied()).or(maps.all);
    request.stage_folds.get(stage).and_then(of).or_else(|| of(&request.folds))
}

/// Refuses a fold map that is not the one that the graphs were trained with.
fn check_fingerprints(request: &Request<'_>) -> Result<(), InferError> {
    let manifest = request.manifest;
    let stages = manifest.stages.iter().map(|stage| (stage.folds_fingerprint, request.stage_folds.get(&stage.name)));
    for (expected, maps) in stages.chain([(manifest.folds_fingerprint, Some(&request.folds))]) {
        let (Some(expected), Some(maps)) = (expected, maps) else { continue };
        match maps.fingerprint() {
            Some(given) if given != expected => {
                return Err(InferError::OtherFolds { model: manifest.model.to_string(), expected, given });
            }
            _ => {}
        }
    }
    Ok(())
}

/// Finds and scans all graphs of all stages.
pub(crate) fn plan<'a>(request: &Request<'a>) -> Result<Vec<StagePlan<'a>>, InferError> {
    let manifest = request.manifest;
    check_fingerprints(request)?;
    let mut known = Known::new();
    let mut plans: Vec<StagePlan<'a>> = Vec::with_capacity(manifest.stages.len());
    for (at, stage) in manifest.stages.iter().enumerate() {
        check_inputs(request, stage, &manifest.stages[..at])?;
        let kind = stage.kind.unwrap_or(manifest.encoding.kind);
        let mut plan = StagePlan { stage, kind, graphs: Vec::new(), transforms: Vec::new(), transform_of: Vec::new() };
        for (seed, fold) in axes(request, stage)? {
            let mut transforms = BTreeMap::new();
            for (input, spec) in &stage.inputs {
                let Some(pattern) = spec.transform() else { continue };
                let name = expand(request, stage, pattern, seed, fold)?;
                let position = match plan.transforms.iter().position(|graph| graph.name == name) {
                    Some(position) => position,
                    None => {
                        plan.transforms.push(find(request, &mut known, name, pattern, None, None)?);
                        plan.transforms.len() - 1
                    }
                };
                transforms.insert(input.clone(), position);
            }
            let name = expand(request, stage, &stage.graphs, seed, fold)?;
            plan.graphs.push(find(request, &mut known, name, &stage.graphs, seed, fold)?);
            plan.transform_of.push(transforms);
        }
        plans.push(plan);
    }
    Ok(plans)
}

fn check_inputs(request: &Request<'_>, stage: &Stage, earlier: &[Stage]) -> Result<(), InferError> {
    let model = request.manifest.model.to_string();
    let mut only_stages = !stage.inputs.is_empty();
    let mut first_events = None;
    for (input, spec) in &stage.inputs {
        match spec {
            InputSpec::Table { .. } => only_stages = false,
            InputSpec::Events { events, .. } => {
                only_stages = false;
                if *first_events.get_or_insert(events) != events {
                    return Err(InferError::TwoEvents { model, stage: stage.name.clone() });
                }
            }
            InputSpec::Stage { stage: wanted, .. } => {
                if !earlier.iter().any(|other| other.name == *wanted) {
                    let (input, wanted) = (input.clone(), wanted.clone());
                    return Err(InferError::UnknownStage { model, stage: stage.name.clone(), input, wanted });
                }
            }
        }
    }
    if request.splits.oof && !stage.graphs.contains("{fold}") && !only_stages {
        return Err(InferError::Leakage { model, stage: stage.name.clone(), pattern: stage.graphs.clone() });
    }
    Ok(())
}

/// Seed and fold of a graph, where it has them.
type Axes = (Option<i64>, Option<i64>);

/// Seeds and folds of a stage's graphs, seeds outer.
fn axes(request: &Request<'_>, stage: &Stage) -> Result<Vec<Axes>, InferError> {
    let model = || request.manifest.model.to_string();
    let (has_seed, has_fold) = (stage.graphs.contains("{seed}"), stage.graphs.contains("{fold}"));
    if has_seed && stage.seeds.is_empty() {
        return Err(pattern_error(request, stage, &stage.graphs, "names {seed} and there are no seeds"));
    }
    let seeds: Vec<Option<i64>> = if has_seed { stage.seeds.iter().copied().map(Some).collect() } else { vec![None] };
    let mut axes = Vec::new();
    for seed in seeds {
        if !has_fold {
            axes.push((seed, None));
            continue;
        }
        let folds = folds_of(request, &stage.name, seed).ok_or_else(|| InferError::NoFoldMap {
            model: model(),
            stage: stage.name.clone(),
            pattern: stage.graphs.clone(),
        })?;
        axes.extend(folds.distinct().iter().map(|&fold| (seed, Some(fold))));
    }
    Ok(axes)
}

fn pattern_error(request: &Request<'_>, stage: &Stage, pattern: &str, reason: &str) -> InferError {
    InferError::Pattern {
        model: request.manifest.model.to_string(),
        stage: stage.name.clone(),
        pattern: pattern.to_owned(),
        reason: reason.to_owned(),
    }
}

/// The file that `pattern` names for one seed and fold.
fn expand(
    request: &Request<'_>,
    stage: &Stage,
    pattern: &str,
    seed: Option<i64>,
    fold: Option<i64>,
) -> Result<String, InferError> {
    let mut name = pattern.to_owned();
    for (key, value) in [("{seed}", seed), ("{fold}", fold)] {
        if let Some(value) = value {
            name = name.replace(key, &value.to_string());
        }
    }
    if name.contains(['{', '}']) {
        let reason = "names more than the {seed} and {fold} of the stage's graphs";
        return Err(pattern_error(request, stage, pattern, reason));
    }
    let plain = |part| matches!(part, Component::Normal(_) | Component::CurDir);
    if name.is_empty() || !Path::new(&name).components().all(plain) {
        return Err(pattern_error(request, stage, pattern, "leaves the model's folder"));
    }
    Ok(name)
}

/// What was found out about a file: stages may share one.
type Known = BTreeMap<PathBuf, Found>;

#[derive(Clone)]
struct Found {
    scan: Scan,
    fingerprint: Fingerprint,
    external: Vec<(String, Fingerprint)>,
    bytes: u64,
    held: Option<Arc<Vec<u8>>>,
}

fn find(
    request: &Request<'_>,
    known: &mut Known,
    name: String,
    pattern: &str,
    seed: Option<i64>,
    fold: Option<i64>,
) -> Result<Graph, InferError> {
    let model = || request.manifest.model.to_string();
    let path = request.manifest.folder.join(&name);
    if !known.contains_key(&path) {
        if !path.exists() {
            let next = request.manifest.how_to_get_graphs();
            return Err(InferError::MissingGraph { model: model(), path, pattern: pattern.to_owned(), next });
        }
        let (scan, bytes) =
            scan_file(&path, &request.manifest.allowed_domains, request.limits).map_err(|error| match error {
                ScanFileError::Io { path, source } => InferError::Io { path, source },
                ScanFileError::Refused { path, source } => InferError::Scan { model: model(), path, source },
            })?;
        let (mut total, mut external) = (bytes.len() as u64, Vec::new());
        let folder = path.parent().unwrap_or_else(|| Path::new("."));
        for location in &scan.external {
            let path = folder.join(location);
            let bytes = std::fs::read(&path).map_err(|source| InferError::Io { path, source })?;
            total += bytes.len() as u64;
            external.push((location.clone(), Fingerprint::of(&bytes)));
        }
        let fingerprint = Fingerprint::of(&bytes);
        let before: usize = known.values().flat_map(|found| &found.held).map(|held| held.len()).sum();
        let held = (before + bytes.len() <= HELD).then(|| Arc::new(bytes));
        known.insert(path.clone(), Found { scan, fingerprint, external, bytes: total, held });
    }
    let Found { scan, fingerprint, external, bytes, held } = known[&path].clone();
    Ok(Graph { path, name, seed, fold, scan, fingerprint, external, bytes, held })
}

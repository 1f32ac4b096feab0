//! `run.yaml`: what a model's stored outputs were made from.

use crate::{
    error::DocumentError,
    manifest::PRECISIONS,
    publish::publish,
    workspace::{Workspace, join},
    yaml::{
        At, Doc, Form, text_of,
        write::{self, Page},
    },
};
use blend_core::{CompetitionId, Fingerprint, ModelId, manifest::Precision};
use serde::Deserialize;
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

/// What a model's stored outputs were made from. Paths are absolute; in the file they are relative to it.
#[derive(Debug, Clone, PartialEq)]
pub struct RunRecord {
    /// The model.
    pub model: ModelId,
    /// By running graphs, or from files of others.
    pub kind: RunKind,
    /// Fingerprint of `model.yaml`.
    pub manifest: Option<Fingerprint>,
    /// Fingerprint of the fold map.
    pub folds: Option<Fingerprint>,
    /// The graphs, by their bytes.
    pub graphs: BTreeMap<PathBuf, Fingerprint>,
    /// Tables, truth, imported files, by their bytes.
    pub data: BTreeMap<PathBuf, Fingerprint>,
    /// Fingerprint of `oof.feather`.
    pub oof: Option<Fingerprint>,
    /// Fingerprint of `test.feather`.
    pub test: Option<Fingerprint>,
    /// The engine that ran the graphs.
    pub engine: Option<String>,
    /// Its version.
    pub library: Option<String>,
    /// The device that really ran them.
    pub device: Option<String>,
    /// Graphs that ran at a time.
    pub workers: Option<u64>,
    /// Number format of the graphs.
    pub precision: Option<Precision>,
    /// Rows predicted, OOF and test together.
    pub rows: Option<u64>,
    /// Wall-clock seconds.
    pub seconds: Option<f64>,
    /// Rows per second.
    pub rows_per_second: Option<f64>,
    /// Peak resident memory.
    pub peak_memory_bytes: Option<u64>,
}

/// How outputs came to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RunKind {
    /// The model's graphs were run here.
    Predict,
    /// They were imported.
    Import,
}

const KINDS: [(&str, RunKind); 2] = [("predict", RunKind::Predict), ("import", RunKind::Import)];

const FORM: Form = Form(&[
    ("model", "by `blend predict` and `blend import`"),
    ("kind", "`kind: predict` or `kind: import`"),
    ("manifest", "by the program"),
    ("folds", "by the program"),
    ("graphs", "as lines `PATH: \"blake3:...\"`"),
    ("data", "as lines `PATH: \"blake3:...\"`"),
    ("oof", "by the program"),
    ("test", "by the program"),
    ("engine", "by the program"),
    ("library", "by the program"),
    ("device", "by the program"),
    ("workers", "by the program"),
    ("precision", "`precision: f32` or `f16`"),
    ("rows", "by the program"),
    ("seconds", "by the program"),
    ("rows_per_second", "by the program"),
    ("peak_memory_bytes", "by the program"),
]);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    model: At<String>,
    kind: At<String>,
    manifest: Option<At<String>>,
    folds: Option<At<String>>,
    #[serde(default)]
    graphs: BTreeMap<String, At<String>>,
    #[serde(default)]
    data: BTreeMap<String, At<String>>,
    oof: Option<At<String>>,
    test: Option<At<String>>,
    engine: Option<String>,
    library: Option<String>,
    device: Option<String>,
    workers: Option<u64>,
    precision: Option<At<String>>,
    rows: Option<u64>,
    seconds: Option<f64>,
    rows_per_second: Option<f64>,
    peak_memory_bytes: Option<u64>,
}

impl RunRecord {
    /// A record of `model` without anything in it.
    #[must_use]
    pub fn new(model: ModelId, kind: RunKind) -> Self {
        Self {
            model,
            kind,
            manifest: None,
            folds: None,
            graphs: BTreeMap::new(),
            data: BTreeMap::new(),
            oof: None,
            test: None,
            engine: None,
            library: None,
            device: None,
            workers: None,
            precision: None,
            rows: None,
            seconds: None,
            rows_per_second: None,
            peak_memory_bytes: None,
        }
    }

    /// Whether both were made from the same: model, kind, manifest, fold map, graphs and data. What the outputs are
    /// and how they were computed does not count.
    #[must_use]
    pub fn same_inputs(&self, other: &Self) -> bool {
        let inputs = |it: &Self| (it.model.clone(), it.kind, it.manifest, it.folds);
        inputs(self) == inputs(other) && self.graphs == other.graphs && self.data == other.data
    }

    /// Reads and checks `models/<competition>/<model>/run.yaml`.
    pub fn read(workspace: &Workspace, competition: &CompetitionId, model: &ModelId) -> Result<Self, DocumentError> {
        let file = workspace.run_file(competition, model);
        let text = text_of(&file)?;
        let doc = Doc { workspace, file: &file, text: &text, form: &FORM };
        check(&doc, model, doc.parse()?)
    }

    /// Writes `run.yaml` into the model's folder, whole or not at all.
    pub fn write(&self, workspace: &Workspace, competition: &CompetitionId) -> Result<(), DocumentError> {
        let file = workspace.run_file(competition, &self.model);
        Ok(publish(&file, self.to_yaml(workspace, file.parent().unwrap_or(Path::new(""))).as_bytes())?)
    }

    fn to_yaml(&self, workspace: &Workspace, folder: &Path) -> String {
        let text = |it: &Option<String>| it.as_deref().map(write::text);
        let fingerprint = |it: Option<Fingerprint>| it.map(|it| write::text(&it.to_string()));
        let precision = PRECISIONS.iter().find(|(_, precision)| Some(*precision) == self.precision);
        let mut page = Page::default();
        page.line("model", Some(write::text(self.model.as_str())));
        page.line("kind", KINDS.iter().find(|(_, kind)| *kind == self.kind).map(|(name, _)| (*name).into()));
        page.line("manifest", fingerprint(self.manifest));
        page.line("folds", fingerprint(self.folds));
        page.block("graphs", write_files(workspace, folder, &self.graphs));
        page.block("data", write_files(workspace, folder, &self.data));
        page.line("oof", fingerprint(self.oof));
        page.line("test", fingerprint(self.test));
        page.line("engine", text(&self.engine));
        page.line("library", text(&self.library));
        page.line("device", text(&self.device));
        page.line("workers", self.workers.map(|it| it.to_string()));
        page.line("precision", precision.map(|(name, _)| (*name).into()));
        page.line("rows", self.rows.map(|it| it.to_string()));
        page.line("seconds", self.seconds.map(write::number));
        page.line("rows_per_second", self.rows_per_second.map(write::number));
        page.line("peak_memory_bytes", self.peak_memory_bytes.map(|it| it.to_string()));
        page.finish()
    }
}

/// Files and fingerprints as lines, sorted by what is written.
pub(crate) fn write_files(
    workspace: &Workspace,
    folder: &Path,
    files: &BTreeMap<PathBuf, Fingerprint>,
) -> BTreeMap<String, String> {
    files.iter().map(|(path, it)| (workspace.written(folder, path), write::text(&it.to_string()))).collect()
}

/// Files that a record names. Records are written by the program and say only what was read once, so they may name
/// files outside: an import from a download folder stays on record.
pub(crate) fn read_files(
    doc: &Doc<'_>,
    raw: &BTreeMap<String, At<String>>,
) -> Result<BTreeMap<PathBuf, Fingerprint>, DocumentError> {
    raw.iter().map(|(path, it)| Ok((join(doc.file, path), doc.fingerprint(it)?))).collect()
}

fn check(doc: &Doc<'_>, model: &ModelId, raw: Raw) -> Result<RunRecord, DocumentError> {
    doc.name_of_place("model", &raw.model, model)?;
    let fingerprint = |it: &Option<At<String>>| it.as_ref().map(|it| doc.fingerprint(it)).transpose();
    Ok(RunRecord {
        model: model.clone(),
        kind: doc.choice("kind", &raw.kind, &KINDS)?,
        manifest: fingerprint(&raw.manifest)?,
        folds: fingerprint(&raw.folds)?,
        graphs: read_files(doc, &raw.graphs)?,
        data: read_files(doc, &raw.data)?,
        oof: fingerprint(&raw.oof)?,
        test: fingerprint(&raw.test)?,
        engine: raw.engine,
        library: raw.library,
        device: raw.device,
        workers: raw.workers,
        precision: raw.precision.as_ref().map(|at| doc.choice("precision", at, &PRECISIONS)).transpose()?,
        rows: raw.rows,
        seconds: raw.seconds,
        rows_per_second: raw.rows_per_second,
        peak_memory_bytes: raw.peak_memory_bytes,
    })
}

//! `model.yaml`: a base model, to and from [`Manifest`].

mod events;

use crate::{
    error::DocumentError,
    publish::publish,
    workspace::Workspace,
    yaml::{
        At, Doc, Form,
        parts::{Finite, Names, write_names},
        text_of,
        write::{self, Page},
    },
};
use blend_core::{
    CompetitionId, Fingerprint, Frame, ModelId, OutputKind,
    manifest::{Average, Claimed, ColumnFile, EventsSpec, InputSpec, Manifest, Precision, Stage, TableSpec},
    output::{Encoding, OUTPUT_KINDS, Transform},
};
use serde::Deserialize;
use std::{collections::BTreeMap, path::Path};

use crate::competition::Targets;

/// Rows per run of a graph where the manifest does not say: processors are fastest with a few hundred.
pub const DEFAULT_BATCH_SIZE: usize = 256;

const AVERAGES: [(&str, Average); 3] =
    [("probability", Average::Probability), ("logit", Average::Logit), ("raw", Average::Raw)];
const FRAMES: [(&str, Frame); 2] = [("xyz", Frame::Xyz), ("yxz", Frame::Yxz)];
const TRANSFORMS: [(&str, Transform); 2] = [("exp", Transform::Exp), ("expm1", Transform::Expm1)];
pub(crate) const PRECISIONS: [(&str, Precision); 2] = [("f32", Precision::F32), ("f16", Precision::F16)];

const FORM: Form = Form(&[
    ("model", "`model: NAME`, the folder's name"),
    ("output", "`output: probability`, what the graph emits"),
    ("average", "`average: probability`, `logit` or `raw`: what is averaged over seeds and folds"),
    ("transform", "`transform: exp` or `expm1`, for `output: value`"),
    ("frame", "`frame: xyz` or `yxz`, for `output: vector`"),
    ("claimed", "`claimed: {score: 0.01561, scope: \"as stated by the authors\"}`"),
    ("export", "`export: COMMAND`, one line: what makes the graphs where they are absent"),
    (
        "stages",
        "as a list of `- {name: main, graphs: \"seed{seed}_fold{fold}.onnx\", inputs: {features: {table: features}}}`; \
         an input is {table: T, columns: [..], shape: [..], transform: GRAPH}, {stage: S, transform: GRAPH} or \
         {events: E, tensor: pos} or {events: E, features: [x, y, z]}",
    ),
    ("seeds", "`seeds: [0, 1, 2]`"),
    (
        "folds",
        "`folds: {file: ../data/folds.csv, column: fold}`; `column: \"fold_seed{seed}\"` where each seed has its own map, \
         `fingerprint: \"blake3:...\"` to refuse any other map",
    ),
    (
        "tables",
        "`tables: {features: {train: ../data/train.csv, test: ../data/test.csv, columns: \"*\"}}`, `array: NAME` of npz files",
    ),
    ("events", events::FORM),
    ("batch_size", "`batch_size: 256`"),
    ("precision", "`precision: f32` or `f16`"),
    ("allowed_domains", "`allowed_domains: [ai.onnx.ml]`"),
    ("allow", "`allow: {CHECK: \"why it is known and accepted\"}`"),
]);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    model: At<String>,
    output: At<String>,
    average: Option<At<String>>,
    transform: Option<At<String>>,
    frame: Option<At<String>>,
    claimed: Option<ClaimedRaw>,
    export: Option<At<String>>,
    #[serde(default)]
    stages: Vec<At<StageRaw>>,
    seeds: Option<At<Vec<i64>>>,
    folds: Option<FoldsRaw>,
    #[serde(default)]
    tables: BTreeMap<String, At<TableRaw>>,
    #[serde(default)]
    events: BTreeMap<String, At<events::EventsRaw>>,
    batch_size: Option<At<usize>>,
    precision: Option<At<String>>,
    #[serde(default)]
    allowed_domains: Vec<String>,
    #[serde(default)]
    allow: BTreeMap<String, String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ClaimedRaw {
    score: Finite,
    #[serde(default)]
    scope: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct StageRaw {
    name: At<String>,
    graphs: At<String>,
    inputs: BTreeMap<String, At<InputRaw>>,
    seeds: Option<At<Vec<i64>>>,
    folds: Option<FoldsRaw>,
    output: Option<String>,
    kind: Option<At<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FoldsRaw {
    file: At<String>,
    column: At<String>,
    fingerprint: Option<At<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct InputRaw {
    table: Option<At<String>>,
    columns: Option<At<Names>>,
    shape: Option<At<Vec<usize>>>,
    stage: Option<At<String>>,
    transform: Option<At<String>>,
    events: Option<At<String>>,
    tensor: Option<At<String>>,
    features: Option<At<Vec<At<String>>>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TableRaw {
    train: Option<At<String>>,
    test: Option<At<String>>,
    columns: Option<At<Names>>,
    array: Option<String>,
}

/// Reads and checks `models/<competition>/<model>/model.yaml`.
pub fn read(workspace: &Workspace, competition: &CompetitionId, model: &ModelId) -> Result<Manifest, DocumentError> {
    parse(workspace, competition, model, &text_of(&workspace.manifest_file(competition, model))?)
}

/// Checks `text` as the `model.yaml` of `model`.
pub fn parse(
    workspace: &Workspace,
    competition: &CompetitionId,
    model: &ModelId,
    text: &str,
) -> Result<Manifest, DocumentError> {
    let file = workspace.manifest_file(competition, model);
    let doc = Doc { workspace, file: &file, text, form: &FORM };
    check(&doc, model, doc.parse()?)
}

/// Writes `model.yaml` into the manifest's folder, whole or not at all.
pub fn write(workspace: &Workspace, manifest: &Manifest) -> Result<(), DocumentError> {
    Ok(publish(&manifest.folder.join("model.yaml"), to_yaml(workspace, manifest).as_bytes())?)
}

/// Raw to checked.
fn check(doc: &Doc<'_>, model: &ModelId, raw: Raw) -> Result<Manifest, DocumentError> {
    doc.name_of_place("model", &raw.model, model)?;
    let kind = doc.choice("output", &raw.output, &OUTPUT_KINDS)?;
    let encoding = check_encoding(doc, kind, &raw)?;
    let average = check_average(doc, kind, raw.average.as_ref())?;
    let folds = raw.folds.as_ref().map(|folds| check_folds(doc, folds)).transpose()?;
    let (folds, folds_fingerprint) = folds.map_or((None, None), |(folds, print)| (Some(folds), print));
    let tables = raw.tables.iter().map(|(name, raw)| Ok((name.clone(), check_table(doc, name, raw)?)));
    let tables = tables.collect::<Result<BTreeMap<_, _>, DocumentError>>()?;
    let events = raw.events.iter().map(|(name, raw)| Ok((name.clone(), events::check(doc, name, raw)?)));
    let events = events.collect::<Result<BTreeMap<_, _>, DocumentError>>()?;
    let mut stages: Vec<Stage> = vec![];
    for stage in &raw.stages {
        let known = Known { earlier: &stages, tables: &tables, events: &events };
        let checked = check_stage(doc, &stage.value, raw.seeds.as_ref(), &known)?;
        stages.push(checked);
    }
    let (folds, folds_fingerprint) = hoist_folds(folds, folds_fingerprint, &mut stages);
    if let Some(at) = raw.batch_size.as_ref().filter(|at| at.value == 0) {
        return Err(doc.fault(at.referenced, "`batch_size` is 0"));
    }
    Ok(Manifest {
        model: model.clone(),
        folder: doc.file.parent().unwrap_or(Path::new("")).to_owned(),
        encoding,
        average,
        claimed: raw.claimed.map(|raw| Claimed { score: raw.score.0, scope: raw.scope }),
        export: raw.export.as_ref().map(|at| check_export(doc, at)).transpose()?,
        stages,
        folds,
        folds_fingerprint,
        tables,
        events,
        batch_size: raw.batch_size.map_or(DEFAULT_BATCH_SIZE, |at| at.value),
        precision: raw.precision.as_ref().map_or(Ok(Precision::F32), |at| doc.choice("precision", at, &PRECISIONS))?,
        allowed_domains: raw.allowed_domains,
        allow: raw.allow,
    })
}

/// A command to print: one line without control characters.
fn check_export(doc: &Doc<'_>, at: &At<String>) -> Result<String, DocumentError> {
    let command = at.value.trim();
    if command.is_empty() || command.chars().any(char::is_control) {
        return Err(doc.fault(at.referenced, "`export` is no command on one line"));
    }
    Ok(command.to_owned())
}

fn check_encoding(doc: &Doc<'_>, kind: OutputKind, raw: &Raw) -> Result<Encoding, DocumentError> {
    if let Some(at) = raw.frame.as_ref().filter(|_| kind != OutputKind::Vector) {
        return Err(doc.fault(at.referenced, format!("`frame` stands beside `output: {}`, not a vector", kind.name())));
    }
    if let Some(at) = raw.transform.as_ref().filter(|_| kind != OutputKind::Value) {
        let message = format!("`transform` stands beside `output: {}`, not a value", kind.name());
        return Err(doc.fault(at.referenced, message));
    }
    Ok(Encoding {
        kind,
        frame: raw
            .frame
            .as_ref()
            .map_or_else(|| Ok(events::default_frame(kind, &raw.events)), |at| doc.choice("frame", at, &FRAMES))?,
        transform: raw.transform.as_ref().map(|at| doc.choice("transform", at, &TRANSFORMS)).transpose()?,
    })
}

fn is_probability_like(kind: OutputKind) -> bool {
    kind.as_probability() != kind || kind.as_logit() != kind
}

fn check_average(doc: &Doc<'_>, kind: OutputKind, raw: Option<&At<String>>) -> Result<Average, DocumentError> {
    let Some(at) = raw else {
        return Ok(if is_probability_like(kind) { Average::Probability } else { Average::Raw });
    };
    let average = doc.choice("average", at, &AVERAGES)?;
    if average != Average::Raw && !is_probability_like(kind) {
        let message = format!("`average: {}` of `output: {}`, which is no probability", at.value, kind.name());
        return Err(doc.fault(at.referenced, message));
    }
    Ok(average)
}

/// A fold map and the fingerprint that it must have.
fn check_folds(doc: &Doc<'_>, raw: &FoldsRaw) -> Result<(ColumnFile, Option<Fingerprint>), DocumentError> {
    if raw.column.value.replace("{seed}", "").contains(['{', '}']) {
        let message = format!("column `{}` has braces that are not `{{seed}}`", raw.column.value);
        return Err(doc.fault(raw.column.referenced, message));
    }
    let map = ColumnFile { file: doc.path(&raw.file)?, column: raw.column.value.clone() };
    Ok((map, raw.fingerprint.as_ref().map(|print| doc.fingerprint(print)).transpose()?))
}

/// A map that every stage names is the model's.
fn hoist_folds(
    folds: Option<ColumnFile>,
    fingerprint: Option<Fingerprint>,
    stages: &mut [Stage],
) -> (Option<ColumnFile>, Option<Fingerprint>) {
    for stage in &mut *stages {
        if folds.is_some() && stage.folds == folds && stage.folds_fingerprint == fingerprint {
            (stage.folds, stage.folds_fingerprint) = (None, None);
        }
    }
    let Some(first) = stages.first().map(|stage| (stage.folds.clone(), stage.folds_fingerprint)) else {
        return (folds, fingerprint);
    };
    let shared = stages.iter().all(|stage| (&stage.folds, stage.folds_fingerprint) == (&first.0, first.1));
    if folds.is_some() || first.0.is_none() || !shared {
        return (folds, fingerprint);
    }
    stages.iter_mut().for_each(|stage| (stage.folds, stage.folds_fingerprint) = (None, None));
    first
}

fn check_table(doc: &Doc<'_>, name: &str, raw: &At<TableRaw>) -> Result<TableSpec, DocumentError> {
    let path = |text: &Option<At<String>>| text.as_ref().map(|text| doc.path(text)).transpose();
    let table = TableSpec {
        train: path(&raw.value.train)?,
        test: path(&raw.value.test)?,
        columns: columns(doc, raw.value.columns.as_ref())?,
        array: raw.value.array.clone(),
    };
    if table.train.is_none() && table.test.is_none() {
        return Err(doc.fault(raw.referenced, format!("table `{name}` has neither `train` nor `test`")));
    }
    Ok(table)
}

fn columns(doc: &Doc<'_>, raw: Option<&At<Names>>) -> Result<Option<Vec<String>>, DocumentError> {
    Ok(match raw.map(|raw| doc.names(raw)).transpose()? {
        None | Some(Targets::All) => None,
        Some(Targets::Named(names)) => Some(names),
    })
}

/// What a stage may name.
struct Known<'a> {
    earlier: &'a [Stage],
    tables: &'a BTreeMap<String, TableSpec>,
    events: &'a BTreeMap<String, EventsSpec>,
}

fn check_stage(
    doc: &Doc<'_>,
    raw: &StageRaw,
    model_seeds: Option<&At<Vec<i64>>>,
    known: &Known<'_>,
) -> Result<Stage, DocumentError> {
    let name = &raw.name.value;
    if known.earlier.iter().any(|stage| stage.name == *name) {
        return Err(doc.fault(raw.name.referenced, format!("stage `{name}` stands twice")));
    }
    inside_folder(doc, &raw.graphs)?;
    let has_seed = check_placeholders(doc, &raw.graphs)?;
    let seeds = match (&raw.seeds, model_seeds) {
        (Some(at), _) if !has_seed => {
            return Err(doc.fault(at.referenced, format!("stage `{name}` has seeds and no `{{seed}}` in `graphs`")));
        }
        (Some(at), _) | (None, Some(at)) if has_seed => {
            let texts: Vec<String> = at.value.iter().map(ToString::to_string).collect();
            doc.distinct(&texts, at.referenced)?;
            at.value.clone()
        }
        (None, None) if has_seed => {
            let message = format!("stage `{name}` has `{{seed}}` in `graphs` and there are no `seeds`");
            return Err(doc.fault(raw.graphs.referenced, message));
        }
        _ => vec![],
    };
    let inputs = raw
        .inputs
        .iter()
        .map(|(input, at)| Ok((input.clone(), check_input(doc, input, at, &raw.graphs.value, known)?)));
    let folds = raw.folds.as_ref().map(|folds| check_folds(doc, folds)).transpose()?;
    let (folds, folds_fingerprint) = folds.map_or((None, None), |(folds, print)| (Some(folds), print));
    Ok(Stage {
        name: name.clone(),
        graphs: raw.graphs.value.clone(),
        seeds,
        inputs: inputs.collect::<Result<_, DocumentError>>()?,
        output: raw.output.clone(),
        kind: raw.kind.as_ref().map(|at| doc.choice("kind", at, &OUTPUT_KINDS)).transpose()?,
        folds,
        folds_fingerprint,
    })
}

/// Whether the pattern has `{seed}`. Anything in braces but `{seed}` and `{fold}` is a fault.
fn check_placeholders(doc: &Doc<'_>, graphs: &At<String>) -> Result<bool, DocumentError> {
    let rest = graphs.value.replace("{fold}", "").replace("{seed}", "");
    if rest.contains(['{', '}']) {
        let message = format!("`{}` has braces that are neither `{{seed}}` nor `{{fold}}`", graphs.value);
        return Err(doc.fault(graphs.referenced, message));
    }
    Ok(graphs.value.contains("{seed}"))
}

/// Graphs come with the model: they lie in its folder.
fn inside_folder(doc: &Doc<'_>, path: &At<String>) -> Result<(), DocumentError> {
    let whole = Path::new(&path.value);
    let plain = whole.components().all(|part| matches!(part, std::path::Component::Normal(_)));
    if path.value.is_empty() || !plain {
        let message = format!("`{}` is no path inside the model's folder", path.value);
        return Err(doc.fault(path.referenced, message));
    }
    Ok(())
}

/// A graph to run an input through first; its placeholders are those of the stage's graphs.
fn check_transform(doc: &Doc<'_>, transform: &At<String>, graphs: &str) -> Result<String, DocumentError> {
    inside_folder(doc, transform)?;
    check_placeholders(doc, transform)?;
    match ["{seed}", "{fold}"].iter().find(|it| transform.value.contains(**it) && !graphs.contains(**it)) {
        None => Ok(transform.value.clone()),
        Some(it) => {
            let message = format!("`{}` has `{it}`, which `graphs: {graphs}` has not", transform.value);
            Err(doc.fault(transform.referenced, message))
        }
    }
}

fn check_input(
    doc: &Doc<'_>,
    input: &str,
    raw: &At<InputRaw>,
    graphs: &str,
    known: &Known<'_>,
) -> Result<InputSpec, DocumentError> {
    let transform = |it: &Option<At<String>>| it.as_ref().map(|it| check_transform(doc, it, graphs)).transpose();
    let pick = |what: &str, name: &At<String>, names: &mut dyn Iterator<Item = &str>| {
        let names: Vec<(&str, ())> = names.map(|name| (name, ())).collect();
        doc.choice(what, name, &names)
    };
    match &raw.value {
        InputRaw {
            table: Some(table),
            columns: names,
            shape,
            stage: None,
            transform: graph,
            events: None,
            tensor: None,
            features: None,
        } => {
            pick("table", table, &mut known.tables.keys().map(String::as_str))?;
            if let Some(at) = shape.as_ref().filter(|at| at.value.is_empty() || at.value.contains(&0)) {
                return Err(doc.fault(at.referenced, "`shape` is the sizes of a row's tensor, each at least 1"));
            }
            Ok(InputSpec::Table {
                table: table.value.clone(),
                columns: columns(doc, names.as_ref())?,
                shape: shape.as_ref().map(|at| at.value.clone()),
                transform: transform(graph)?,
            })
        }
        InputRaw {
            table: None,
            columns: None,
            shape: None,
            stage: Some(stage),
            transform: graph,
            events: None,
            tensor: None,
            features: None,
        } => {
            pick("earlier stage", stage, &mut known.earlier.iter().map(|stage| stage.name.as_str()))?;
            Ok(InputSpec::Stage { stage: stage.value.clone(), transform: transform(graph)? })
        }
        InputRaw {
            table: None,
            columns: None,
            shape: None,
            stage: None,
            transform: None,
            events: Some(events),
            tensor,
            features,
        } => {
            pick("events", events, &mut known.events.keys().map(String::as_str))?;
            let spec = &known.events[&events.value];
            events::check_input(doc, input, raw.referenced, events, spec, tensor.as_ref(), features.as_ref())
        }
        _ => Err(doc.fault(
            raw.referenced,
            format!("input `{input}` is neither {{table, columns}} nor {{stage, transform}} nor {{events, tensor}}"),
        )),
    }
}

fn name_in<T: PartialEq>(known: &[(&'static str, T)], it: &T) -> String {
    known.iter().find(|(_, known)| known == it).map_or("", |(name, _)| name).to_owned()
}

/// The document. Same value, same bytes.
#[must_use]
pub fn to_yaml(workspace: &Workspace, manifest: &Manifest) -> String {
    let folder = &manifest.folder;
    let Encoding { kind, frame, transform } = manifest.encoding;
    let mut page = Page::default();
    page.line("model", Some(write::text(manifest.model.as_str())));
    page.line("output", Some(kind.name().into()));
    page.line("average", Some(name_in(&AVERAGES, &manifest.average)));
    page.line("transform", transform.map(|it| name_in(&TRANSFORMS, &it)));
    let usual = events::usual_frame(kind, manifest.events.values().map(|events| events.compatibility));
    page.line("frame", (frame != usual).then(|| name_in(&FRAMES, &frame)));
    let claimed = manifest.claimed.as_ref().map(|it| {
        let scope = (!it.scope.is_empty()).then(|| write::text(&it.scope));
        write::map([("score", Some(write::number(it.score))), ("scope", scope)])
    });
    page.line("claimed", claimed);
    page.line("export", manifest.export.as_deref().map(write::text));
    if !manifest.stages.is_empty() {
        page.items("stages", manifest.stages.iter().map(|stage| write_stage(workspace, folder, stage)));
        page.line("batch_size", Some(manifest.batch_size.to_string()));
        page.line("precision", Some(name_in(&PRECISIONS, &manifest.precision)));
    }
    page.line("folds", write_folds(workspace, folder, manifest.folds.as_ref(), manifest.folds_fingerprint));
    if !manifest.tables.is_empty() {
        let path = |path: &std::path::PathBuf| write::text(&workspace.written(folder, path));
        let tables = manifest.tables.iter().map(|(name, it)| {
            let columns = write_names(&it.columns.clone().map_or(Targets::All, Targets::Named));
            let files = [("train", it.train.as_ref().map(path)), ("test", it.test.as_ref().map(path))];
            let array = it.array.as_deref().map(write::text);
            (name.clone(), write::map(files.into_iter().chain([("columns", Some(columns)), ("array", array)])))
        });
        page.block("tables", tables);
    }
    events::write(&mut page, workspace, folder, &manifest.events);
    if !manifest.allowed_domains.is_empty() {
        page.line("allowed_domains", Some(write::list(manifest.allowed_domains.iter().map(|it| write::text(it)))));
    }
    if !manifest.allow.is_empty() {
        page.block("allow", manifest.allow.iter().map(|(check, why)| (check.clone(), write::text(why))));
    }
    page.finish()
}

fn write_folds(
    workspace: &Workspace,
    folder: &Path,
    folds: Option<&ColumnFile>,
    fingerprint: Option<Fingerprint>,
) -> Option<String> {
    let it = folds?;
    Some(write::map([
        ("file", Some(write::text(&workspace.written(folder, &it.file)))),
        ("column", Some(write::text(&it.column))),
        ("fingerprint", fingerprint.map(|print| write::text(&print.to_string()))),
    ]))
}

fn write_stage(workspace: &Workspace, folder: &Path, stage: &Stage) -> String {
    let texts = |names: &Vec<String>| write::list(names.iter().map(|name| write::text(name)));
    let inputs = stage.inputs.iter().map(|(name, input)| {
        let input = match input {
            InputSpec::Table { table, columns, shape, transform } => write::map([
                ("table", Some(write::text(table))),
                ("columns", columns.as_ref().map(texts)),
                ("shape", shape.as_ref().map(|shape| write::list(shape.iter().map(ToString::to_string)))),
                ("transform", transform.as_deref().map(write::text)),
            ]),
            InputSpec::Events { events, tensor } => events::write_input(events, tensor),
            InputSpec::Stage { stage, transform } => {
                write::map([("stage", Some(write::text(stage))), ("transform", transform.as_deref().map(write::text))])
            }
        };
        (name.as_str(), Some(input))
    });
    write::map([
        ("name", Some(write::text(&stage.name))),
        ("graphs", Some(write::text(&stage.graphs))),
        ("inputs", Some(write::map(inputs))),
        ("seeds", (!stage.seeds.is_empty()).then(|| write::list(stage.seeds.iter().map(ToString::to_string)))),
        ("output", stage.output.as_deref().map(write::text)),
        ("kind", stage.kind.map(|kind| kind.name().into())),
        ("folds", write_folds(workspace, folder, stage.folds.as_ref(), stage.folds_fingerprint)),
    ])
}

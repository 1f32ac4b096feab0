//! `blend import`: a model's predictions from files of any origin, aligned by id, checked and stored.

use crate::{
    args::{Arguments, Dtype, Import},
    context::{Context, Judged, file_fingerprint},
    failure::{Failure, shortened},
    labels, outputs,
    report::Screen,
};
use blend_core::{
    BlockSource, Fingerprint, ModelId, Oof, OutputKind, Predictions, RowIndex, RowSet, Split, TableSource, Test,
    manifest::Manifest,
    output::{Encoding, Frame, OUTPUT_KINDS, Transform},
};
use blend_record::{RunKind, RunRecord, manifest};
use blend_store::{IdSpec, ReadOptions, StoreError, Table, Width, align, concat_parts, feather};
use serde_json::json;
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
};

/// Checked predictions of one split, not yet written.
struct Ready {
    rows: RowIndex,
    columns: Arc<[String]>,
    values: Arc<dyn BlockSource>,
}

pub(crate) fn run(arguments: &Arguments, it: &Import, screen: &Screen) -> Result<bool, Failure> {
    let context = Context::open(arguments)?;
    let model = ModelId::new(&it.model).map_err(|error| Failure::from(error).at(format!("model `{}`", it.model)))?;
    let id = context.competition.id.clone();
    let known = outputs::manifest_of(&context, &model)?;
    if !known.stages.is_empty() && !it.force {
        return Err(Failure::usage(format!(
            "model `{model}` has graphs; its outputs come from `blend predict {model}`"
        ))
        .at(context.show(&context.workspace.manifest_file(&id, &model)))
        .hint("give the imported model another name, or `--force`"));
    }
    let encoding = encoding(it, &known)?;
    let judged = if context.competition.truth.is_some() { Some(context.judged()?) } else { None };
    let sample = context.sample()?;
    let names = labels::output_names(
        &context,
        judged.as_ref().map(|judged| &judged.truth),
        sample.as_ref().map(blend_record::Sample::columns),
    );

    // Everything is read and checked before anything is written.
    let oof = if it.oof.is_empty() {
        None
    } else {
        let judged = judged.as_ref().ok_or_else(|| {
            Failure::usage(format!("competition `{id}` names no truth to align OOF predictions with"))
                .at(context.competition.file.display())
                .hint("add `truth: FILE`, or import test predictions alone with `--test`")
        })?;
        let ready = read(&context, it, &it.oof, Some(judged.truth.rows()), names.as_deref())?;
        check::<Oof>(&model, &ready, encoding, &judged.scope.rows, &it.oof[0])?;
        Some(ready)
    };
    let test = match &it.test {
        None => None,
        Some(path) => {
            let rows = sample.as_ref().map(blend_record::Sample::rows);
            let ready = read(&context, it, std::slice::from_ref(path), rows, names.as_deref())?;
            let all = RowSet::all(ready.rows.len());
            check::<Test>(&model, &ready, encoding, &all, path)?;
            Some(ready)
        }
    };

    let mut record = RunRecord::new(model.clone(), RunKind::Import);
    for path in it.oof.iter().chain(&it.test) {
        let absolute = std::path::absolute(path).unwrap_or_else(|_| path.clone());
        record.data.insert(absolute, file_fingerprint(path)?);
    }
    record.folds = judged.as_ref().and_then(|judged| judged.folds.as_ref()).map(blend_core::Folds::fingerprint);
    // A split that is not imported now keeps what was stored of it before.
    let before = RunRecord::read(&context.workspace, &id, &model).ok();
    record.oof = oof
        .as_ref()
        .map(|ready| store::<Oof>(&context, &model, ready, encoding))
        .transpose()?
        .or(before.as_ref().and_then(|before| before.oof));
    record.test = test
        .as_ref()
        .map(|ready| store::<Test>(&context, &model, ready, encoding))
        .transpose()?
        .or(before.as_ref().and_then(|before| before.test));
    let manifest = Manifest { encoding, ..outputs::plain_manifest(&context, model.clone(), encoding) };
    let manifest = Manifest { claimed: known.claimed, allow: known.allow, ..manifest };
    manifest::write(&context.workspace, &manifest)?;
    record.manifest = Some(file_fingerprint(&context.workspace.manifest_file(&id, &model))?);
    record.write(&context.workspace, &id)?;

    let score = score(&context, judged.as_ref(), &model, oof.as_ref(), encoding);
    report(&context, screen, &model, encoding, &record, score, [oof.as_ref(), test.as_ref()]);
    Ok(false)
}

fn encoding(it: &Import, known: &Manifest) -> Result<Encoding, Failure> {
    let mut encoding = Encoding { kind: known.stored_kind(), ..known.encoding };
    if let Some(name) = &it.output {
        encoding.kind = name
            .parse::<OutputKind>()
            .map_err(|()| crate::failure::unknown("output kind", name, OUTPUT_KINDS.iter().map(|(name, _)| *name)))
            .map_err(|failure| failure.at(format!("--output {name}")))?;
    }
    encoding.transform = match it.transform.as_deref() {
        None => encoding.transform,
        Some("exp") => Some(Transform::Exp),
        Some("expm1") => Some(Transform::Expm1),
        Some(other) => {
            let known = ["exp", "expm1"].into_iter();
            return Err(crate::failure::unknown("transform", other, known).at(format!("--transform {other}")));
        }
    };
    encoding.frame = match it.frame.as_deref() {
        None => encoding.frame,
        Some("xyz") => Frame::Xyz,
        Some("yxz") => Frame::Yxz,
        Some(other) => {
            let known = ["xyz", "yxz"].into_iter();
            return Err(crate::failure::unknown("frame", other, known).at(format!("--frame {other}")));
        }
    };
    Ok(encoding)
}

/// Reads the files of one split and lines them up with `wanted`, or takes the file's own rows where nothing is known
/// of the split.
fn read(
    context: &Context,
    it: &Import,
    paths: &[PathBuf],
    wanted: Option<&RowIndex>,
    names: Option<&[String]>,
) -> Result<Ready, Failure> {
    let tables = paths
        .iter()
        .map(|path| table(context, it, path, wanted, names).map_err(|failure| failure.at(path.display())))
        .collect::<Result<Vec<_>, Failure>>()?;
    let rows = wanted.unwrap_or_else(|| tables[0].rows()).clone();
    let columns = if it.columns.is_empty() {
        matching(&tables[0], names).map_err(|failure| failure.at(paths[0].display()))?
    } else {
        if let Some(names) = names
            && names.len() != it.columns.len()
        {
            let (got, wanted) = (it.columns.len(), names.len());
            return Err(Failure::usage(format!("--columns names {got} columns, the competition has {wanted} outputs"))
                .at(format!("--columns {}", it.columns.join(",")))
                .hint(format!("in this order: {}", shortened(names))));
        }
        it.columns.clone()
    };
    let width = if it.dtype == Dtype::F64 { Width::F64 } else { Width::F32 };
    let values = if tables.len() == 1 {
        align(&tables[0], &rows, &columns, width)
    } else {
        concat_parts(&tables, &rows, &columns, width)
    };
    let values = values.map_err(|error| {
        let hint = match &error {
            StoreError::Align { .. } => {
                Some("ids must be those of the truth (OOF) or the sample submission (test), each once")
            }
            StoreError::Overflow { .. } => Some("check the scale of the numbers, or store them with `--dtype f64`"),
            _ => None,
        };
        let failure = Failure::from(error).at(paths[0].display());
        match hint {
            Some(hint) => failure.hint_instead(hint),
            None => failure,
        }
    })?;
    let names: Vec<String> = names.map_or(columns, <[String]>::to_vec);
    Ok(Ready { rows, columns: names.into(), values: Arc::new(values) })
}

/// One file, with the ids it has or is given.
fn table(
    context: &Context,
    it: &Import,
    path: &Path,
    wanted: Option<&RowIndex>,
    names: Option<&[String]>,
) -> Result<Table, Failure> {
    let id_column = context.competition.id_column.clone();
    let no_names = path.extension().is_some_and(|extension| extension == "npy" || extension == "npz");
    let id = match it.rows.as_deref() {
        None if path.extension().is_some_and(|extension| extension == "npy") => {
            return Err(Failure::usage("an npy file has no ids, so its row order must be said").hint(
                "`--rows truth` if it is the truth's (for test files, the sample submission's), or `--rows FILE`",
            ));
        }
        None => IdSpec::Column(id_column),
        Some("truth") => IdSpec::Rows(
            wanted
                .ok_or_else(|| {
                    Failure::usage("`--rows truth` needs a truth (for test files, a sample submission)")
                        .at(context.competition.file.display())
                        .hint("name it in competition.yaml, or give the row order with `--rows FILE`")
                })?
                .clone(),
        ),
        Some(file) => {
            let options = ReadOptions { id: IdSpec::Column(id_column), ..ReadOptions::default() };
            IdSpec::Rows(Table::read(Path::new(file), &options).map_err(|e| Failure::from(e).at(file))?.rows().clone())
        }
    };
    let given = matches!(id, IdSpec::Rows(_));
    let options = ReadOptions {
        n_rows: match &id {
            IdSpec::Rows(rows) => Some(rows.len()),
            _ => None,
        },
        columns: if no_names { names.map(<[String]>::to_vec) } else { None },
        n_columns: if no_names { names.map(<[String]>::len) } else { None },
        id,
        ..ReadOptions::default()
    };
    Table::read(path, &options).map_err(|error| {
        let no_ids = matches!(error, StoreError::NoIds { .. } | StoreError::UnknownColumn { .. });
        let failure = Failure::from(error);
        if no_ids && !given {
            failure.hint_instead(
                "name the id column with `id:` in competition.yaml, or say `--rows truth` if the file has none",
            )
        } else {
            failure
        }
    })
}

/// The file's columns that hold the outputs `names`: by name, by a class's name at the end (`class_3`, `prob_3`), or
/// by count where only one assignment is possible.
fn matching(table: &Table, names: Option<&[String]>) -> Result<Vec<String>, Failure> {
    let own = table.names();
    let Some(names) = names else { return Ok(own) };
    if names.iter().all(|name| own.contains(name)) {
        return Ok(names.to_vec());
    }
    let last = |text: &str| text.rsplit('_').next().unwrap_or(text).to_owned();
    let by_class = |name: &String| {
        let mut candidates = own.iter().filter(|column| *column == name || last(column) == last(name));
        candidates.next().filter(|_| candidates.next().is_none()).cloned()
    };
    if let Some(columns) = names.iter().map(by_class).collect::<Option<Vec<_>>>() {
        let mut distinct = columns.clone();
        distinct.sort();
        distinct.dedup();
        if distinct.len() == names.len() {
            return Ok(columns);
        }
    }
    if names.len() == 1 && own.len() == 1 {
        return Ok(own);
    }
    Err(Failure::data("the columns are not those of the competition")
        .details(format!("wanted {}; the file has {}", shortened(names), shortened(&own)))
        .hint("name the file's columns in the competition's order with `--columns A,B,...`"))
}

fn predictions<S: Split>(
    model: &ModelId,
    ready: &Ready,
    encoding: Encoding,
    counts: &RowSet,
) -> Result<Predictions<S>, blend_core::prediction::PredictionError> {
    let fingerprint = Fingerprint::of(&[]);
    Predictions::new(
        model.clone(),
        ready.rows.clone(),
        ready.columns.clone(),
        encoding,
        ready.values.clone(),
        fingerprint,
        counts,
    )
}

fn check<S: Split>(
    model: &ModelId,
    ready: &Ready,
    encoding: Encoding,
    counts: &RowSet,
    path: &Path,
) -> Result<(), Failure> {
    predictions::<S>(model, ready, encoding, counts).map(|_| ()).map_err(|error| {
        use blend_core::prediction::PredictionError;
        let failure = Failure::data(format!("the {} predictions of `{model}` cannot be stored", S::NAME))
            .at(path.display())
            .details(&error);
        match error {
            PredictionError::OutOfRange { value, .. } => failure.hint(format!(
                "the numbers are taken for {}: {}say otherwise with `--output logit` (or value, ...)",
                encoding.kind.name(),
                if (1.0..=100.0).contains(&value) { "divide percent by 100, or " } else { "" }
            )),
            PredictionError::NotFinite { .. } => failure.hint(
                "fill or drop those rows where they were made, or leave them out with `scope` in competition.yaml",
            ),
            _ => failure.hint("say what the numbers are with `--output KIND`"),
        }
    })
}

fn store<S: Split>(
    context: &Context,
    model: &ModelId,
    ready: &Ready,
    encoding: Encoding,
) -> Result<Fingerprint, Failure> {
    let path = outputs::file::<S>(context, model);
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)
            .map_err(|error| Failure::new(crate::failure::MACHINE, error.to_string()).at(folder.display()))?;
    }
    let metadata = outputs_metadata::<S>(context, model, encoding);
    let id = &context.competition.id_column;
    Ok(feather::write(&path, &ready.rows, id, &ready.columns, &*ready.values, &metadata)?)
}

/// What a stored file says of itself, for readers elsewhere.
pub(crate) fn outputs_metadata<S: Split>(
    context: &Context,
    model: &ModelId,
    encoding: Encoding,
) -> BTreeMap<String, String> {
    BTreeMap::from([
        ("blend.competition".to_owned(), context.competition.id.to_string()),
        ("blend.model".to_owned(), model.to_string()),
        ("blend.split".to_owned(), S::NAME.to_owned()),
        ("blend.output".to_owned(), encoding.kind.name().to_owned()),
    ])
}

/// The OOF score of what was stored, where the metric is defined on it.
fn score(
    context: &Context,
    judged: Option<&Judged>,
    model: &ModelId,
    oof: Option<&Ready>,
    encoding: Encoding,
) -> Option<f64> {
    let (judged, oof) = (judged?, oof?);
    let member = predictions::<Oof>(model, oof, encoding, &judged.scope.rows).ok()?;
    let bound = context.metric.bind(judged.truth.on(&judged.scope.rows)).ok()?;
    (bound.n_outputs() == member.columns().len())
        .then(|| blend_search::search::score_member(&member, &judged.scope.rows, &*bound))
}

fn report(
    context: &Context,
    screen: &Screen,
    model: &ModelId,
    encoding: Encoding,
    record: &RunRecord,
    score: Option<f64>,
    stored: [Option<&Ready>; 2],
) {
    let metric = context.metric.info().name;
    screen.line(format!("imported {} as {}", screen.bold(model.as_str()), encoding.kind.name()));
    for (ready, (name, file)) in stored
        .iter()
        .zip([("oof", outputs::file::<Oof>(context, model)), ("test", outputs::file::<Test>(context, model))])
    {
        if let Some(ready) = ready {
            screen.line(format!(
                "  {name:<5} {} rows x {}  {}",
                ready.rows.len(),
                ready.columns.len(),
                context.show(&file)
            ));
        }
    }
    if let Some(score) = score {
        screen.line(format!("  {metric} {}", crate::report::score(score)));
    }
    screen.object(json!({
        "competition": context.competition.id.as_str(),
        "model": model.as_str(),
        "output": encoding.kind.name(),
        "metric": metric,
        "score": score,
        "oof": stored[0].map(|ready| json!({"rows": ready.rows.len(), "outputs": ready.columns.len(), "fingerprint": record.oof.map(|f| f.to_string())})),
        "test": stored[1].map(|ready| json!({"rows": ready.rows.len(), "outputs": ready.columns.len(), "fingerprint": record.test.map(|f| f.to_string())})),
    }));
}

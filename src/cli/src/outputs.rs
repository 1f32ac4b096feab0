//! Stored outputs to predictions on the rows and columns of the competition.

use crate::{
    context::{Context, Judged},
    failure::{self, Failure},
};
use blend_core::{
    BlockSource, ModelId, Oof, PredictionMatrix, Predictions, RowIndex, RowSet, Split, Test,
    manifest::{Average, Manifest, Precision},
    output::Encoding,
    prediction::MatrixError,
    source::OwnedBlocks,
};
use blend_record::manifest;
use blend_store::{Outputs, feather};
use rayon::prelude::*;
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
};

/// Stored outputs as they are on disk, with the manifest that says what they mean.
pub(crate) struct Stored {
    pub(crate) outputs: Outputs,
    pub(crate) encoding: Encoding,
}

/// A model's manifest; one that says nothing but the metric's default where there is no model.yaml.
pub(crate) fn manifest_of(context: &Context, model: &ModelId) -> Result<Manifest, Failure> {
    let id = &context.competition.id;
    if context.workspace.manifest_file(id, model).exists() {
        return Ok(manifest::read(&context.workspace, id, model)?);
    }
    Ok(plain_manifest(context, model.clone(), Encoding::plain(crate::labels::default_kind(context))))
}

/// The manifest of a model whose outputs come from elsewhere.
pub(crate) fn plain_manifest(context: &Context, model: ModelId, encoding: Encoding) -> Manifest {
    Manifest {
        folder: context.workspace.model_folder(&context.competition.id, &model),
        model,
        encoding,
        average: Average::Raw,
        claimed: None,
        export: None,
        stages: Vec::new(),
        folds: None,
        folds_fingerprint: None,
        events: BTreeMap::new(),
        tables: BTreeMap::new(),
        batch_size: 2048,
        precision: Precision::F32,
        allowed_domains: Vec::new(),
        allow: BTreeMap::new(),
    }
}

/// Whether a stage of a model has none of its graphs.
pub(crate) fn lacks_graphs(manifest: &Manifest) -> bool {
    let parts = |pattern: &str| pattern.split('/').map(str::to_owned).collect::<Vec<String>>();
    manifest.stages.iter().any(|stage| !any_file(&manifest.folder, &parts(&stage.graphs)))
}

/// Whether a file below `folder` fits a pattern, given as its path's parts.
fn any_file(folder: &Path, parts: &[String]) -> bool {
    let Some((first, rest)) = parts.split_first() else { return folder.is_file() };
    if !first.contains('{') {
        return any_file(&folder.join(first), rest);
    }
    let mut entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries.any(|it| fits(&it.file_name().to_string_lossy(), first) && any_file(&it.path(), rest))
}

/// Whether a name is a pattern with something in the place of `{seed}` and `{fold}`.
fn fits(name: &str, pattern: &str) -> bool {
    let pattern = pattern.replace("{seed}", "{fold}");
    let parts: Vec<&str> = pattern.split("{fold}").collect();
    let [start, middle @ .., end] = &parts[..] else { return name == pattern };
    let Some(mut rest) = name.strip_prefix(start) else { return false };
    for part in middle {
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
    }
    rest.ends_with(end)
}

/// Whether there are manifests alone: no model has a graph or stored outputs. Then nobody needs the contest's files.
pub(crate) fn bare(context: &Context, models: &[ModelId]) -> Result<bool, Failure> {
    for model in models {
        let stored = [file::<Oof>(context, model), file::<Test>(context, model)].iter().any(|path| path.exists());
        if stored || !lacks_graphs(&manifest_of(context, model)?) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// What to do about a model without stored outputs.
pub(crate) fn how_to_get(manifest: &Manifest) -> String {
    let model = &manifest.model;
    if lacks_graphs(manifest) {
        return format!("graphs absent: {}, then `blend predict {model}`", manifest.how_to_get_graphs());
    }
    format!("make them with `blend predict {model}` or `blend import {model}`")
}

/// The file of a model's stored outputs.
pub(crate) fn file<S: Split>(context: &Context, model: &ModelId) -> PathBuf {
    let id = &context.competition.id;
    match S::NAME {
        "oof" => context.workspace.oof_file(id, model),
        _ => context.workspace.test_file(id, model),
    }
}

/// Opens a model's stored outputs; refuses content that is not what was recorded.
pub(crate) fn open<S: Split>(context: &Context, model: &ModelId) -> Result<Stored, Failure> {
    let path = file::<S>(context, model);
    let outputs = feather::open(&path).map_err(|error| explain::<S>(context, model, &path, error.into()))?;
    outputs.verify(&path).map_err(|error| explain::<S>(context, model, &path, error.into()))?;
    let manifest = manifest_of(context, model)?;
    Ok(Stored { outputs, encoding: Encoding { kind: manifest.stored_kind(), ..manifest.encoding } })
}

fn explain<S: Split>(context: &Context, model: &ModelId, path: &Path, failure: Failure) -> Failure {
    let hint = if path.exists() {
        format!("re-create it with `blend predict {model} --force` or `blend import {model}`")
    } else {
        format!("make it with `blend predict {model}` or `blend import {model} --{} FILE`", S::NAME)
    };
    let message = format!("the {} outputs of `{model}` cannot be used", S::NAME);
    failure.at(context.show(path)).because(message).hint_instead(hint)
}

/// Values in another order of rows or columns, copied; in the stored order, shared.
fn arranged(
    outputs: &Outputs,
    rows: &RowIndex,
    columns: &[String],
) -> Result<Arc<dyn BlockSource>, (String, &'static str)> {
    let order = rows.align(&outputs.rows).map_err(|error| (error.to_string(), "rows"))?;
    let places = columns
        .iter()
        .map(|name| outputs.columns.iter().position(|own| own == name))
        .collect::<Option<Vec<usize>>>()
        .filter(|_| columns.len() == outputs.columns.len())
        .ok_or_else(|| {
            let (stored, wanted) = (failure::shortened(&outputs.columns), failure::shortened(columns));
            (format!("outputs wanted: {wanted}; stored: {stored}"), "columns")
        })?;
    if order.is_none() && places.iter().enumerate().all(|(at, place)| at == *place) {
        return Ok(outputs.values.clone());
    }
    let row = |at: usize| order.as_ref().map_or(at, |order| order[at] as usize);
    let value = |output: usize, at: usize| {
        let (block, local) = (row(at) / blend_core::BLOCK_ROWS, row(at) % blend_core::BLOCK_ROWS);
        outputs.values.slice(block, output).get(local)
    };
    let column = |output: usize| (0..rows.len()).map(move |at| (output, at)).map(|(output, at)| value(output, at));
    Ok(Arc::new(if outputs.values.value_bytes() == 4 {
        OwnedBlocks::F32(places.iter().map(|&place| column(place).map(|x| x as f32).collect()).collect())
    } else {
        OwnedBlocks::F64(places.iter().map(|&place| column(place).collect()).collect())
    }))
}

/// A model's predictions in the order of `rows` and `columns`, finite and in range on the rows of `counts`.
fn predictions<S: Split>(
    context: &Context,
    model: &ModelId,
    rows: &RowIndex,
    columns: &Arc<[String]>,
    counts: &RowSet,
) -> Result<Predictions<S>, Failure> {
    let stored = open::<S>(context, model)?;
    let place = context.show(&file::<S>(context, model));
    let values = arranged(&stored.outputs, rows, columns).map_err(|(cause, what)| {
        let with = if S::NAME == "oof" { "the truth" } else { "the sample submission" };
        // A column of numbers makes a class of every value.
        let many = what == "columns" && columns.len() > stored.outputs.columns.len();
        let by_class = many
            && crate::labels::may_be_classes(context.metric.info().target)
            && matches!(&context.competition.targets, blend_record::Targets::Named(names) if names.len() == 1);
        let hint = if by_class {
            format!(
                "{with} has {} classes, each value of the target one of them: where they are numbers choose another \
                 `metric:`, else re-create the outputs with a column for each",
                columns.len()
            )
        } else {
            format!("re-create it with `blend predict {model} --force` or `blend import {model}`")
        };
        Failure::data(format!("{} of `{model}` do not line up with {with}", what_of::<S>(what)))
            .at(&place)
            .details(cause)
            .hint(hint)
    })?;
    let fingerprint = stored.outputs.fingerprint;
    Predictions::new(model.clone(), rows.clone(), columns.clone(), stored.encoding, values, fingerprint, counts)
        .map_err(|error| {
            Failure::data(format!("the {} outputs of `{model}` cannot be used", S::NAME))
                .at(&place)
                .details(error)
                .hint(format!("`blend audit {model}` lists everything that is wrong with them"))
        })
}

fn what_of<S: Split>(what: &str) -> String {
    format!("{what} of the {} outputs", S::NAME)
}

/// The members' OOF predictions on the rows of the truth. Shapes `(n_models, n_rows, n_outputs)`.
pub(crate) fn oof_matrix(
    context: &Context,
    judged: &Judged,
    models: &[ModelId],
    columns: &Arc<[String]>,
) -> Result<PredictionMatrix<Oof>, Failure> {
    let rows = judged.truth.rows();
    all(context, rows, models, columns, &judged.scope.rows)
}

/// The members' test predictions in the order of `rows`.
pub(crate) fn test_matrix(
    context: &Context,
    rows: &RowIndex,
    models: &[ModelId],
    columns: &Arc<[String]>,
) -> Result<PredictionMatrix<Test>, Failure> {
    all(context, rows, models, columns, &RowSet::all(rows.len()))
}

/// The predictions of `models`, read side by side; of several faults, the first model's is told, on any machine.
fn all<S: Split>(
    context: &Context,
    rows: &RowIndex,
    models: &[ModelId],
    columns: &Arc<[String]>,
    counts: &RowSet,
) -> Result<PredictionMatrix<S>, Failure> {
    let members: Vec<Result<Predictions<S>, Failure>> =
        models.par_iter().map(|model| predictions(context, model, rows, columns, counts)).collect();
    let members = members.into_iter().collect::<Result<Vec<_>, _>>()?;
    PredictionMatrix::new(members).map_err(|error| unfit::<S>(context, error))
}

/// Members that cannot stand beside each other, at the file of the second of them.
fn unfit<S: Split>(context: &Context, error: MatrixError) -> Failure {
    let id = &context.competition.id;
    let place = match &error {
        MatrixError::Empty => context.workspace.competition_folder(id),
        MatrixError::Rows(_, model) | MatrixError::Columns(_, model) | MatrixError::Same(_, model, _) => {
            file::<S>(context, model)
        }
    };
    Failure::from(error).at(context.show(&place))
}

/// Models that are named, or all of the competition that `has` accepts.
pub(crate) fn chosen(
    context: &Context,
    named: &[String],
    has: impl Fn(&ModelId) -> bool,
) -> Result<Vec<ModelId>, Failure> {
    let id = &context.competition.id;
    if named.is_empty() {
        return Ok(context.workspace.models(id)?.into_iter().filter(has).collect());
    }
    let mut models = Vec::with_capacity(named.len());
    for name in named {
        let model = context.workspace.model(id, name)?;
        if models.contains(&model) {
            return Err(Failure::usage(format!("model `{model}` is named twice"))
                .at(context.show(&context.workspace.model_folder(id, &model)))
                .hint("name it once"));
        }
        models.push(model);
    }
    Ok(models)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn graphs_are_found_by_their_pattern() {
        assert!(fits("seed3_fold0.onnx", "seed{seed}_fold{fold}.onnx"));
        assert!(fits("fold12.onnx", "fold{fold}.onnx") && fits("g.onnx", "g.onnx"));
        assert!(!fits("fold1.pt", "fold{fold}.onnx") && !fits("seed1.onnx", "seed{seed}_fold{fold}.onnx"));
        let folder = tempfile::tempdir().expect("folder");
        let parts = |pattern: &str| pattern.split('/').map(str::to_owned).collect::<Vec<String>>();
        let there = |pattern: &str| any_file(folder.path(), &parts(pattern));
        assert!(!there("main/seed{seed}/fold{fold}.onnx"));
        std::fs::create_dir_all(folder.path().join("main/seed7")).expect("folder");
        assert!(!there("main/seed{seed}/fold{fold}.onnx"));
        std::fs::write(folder.path().join("main/seed7/fold0.onnx"), "").expect("file");
        assert!(there("main/seed{seed}/fold{fold}.onnx") && !there("other/fold{fold}.onnx"));
    }
}

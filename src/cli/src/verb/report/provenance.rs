//! Files, fingerprints, and how each model's outputs were made.

use crate::{
    audit::Audited,
    context::{Context, Judged, file_fingerprint},
    failure::Failure,
    outputs,
    report::html::facts::{Made, Provenance},
};
use blend_core::ModelId;
use blend_record::{RunKind, RunRecord};
use std::path::Path;

pub(super) fn gather(context: &Context, judged: Option<&Judged>, models: &[Audited]) -> Result<Provenance, Failure> {
    let mut files = Vec::new();
    let mut file = |what: &str, path: &Path| -> Result<(), Failure> {
        files.push((what.to_owned(), context.show(path), file_fingerprint(path)?.to_string()));
        Ok(())
    };
    let competition = &context.competition;
    file("competition", &competition.file)?;
    if let (Some(path), None) = (&competition.truth, judged) {
        file("truth", path)?;
    }
    if let Some(path) = &competition.sample_submission {
        file("sample submission", path)?;
    }
    for name in context.workspace.blends(&competition.id)? {
        file("recipe", &context.workspace.recipe_file(&competition.id, &name))?;
    }
    for name in context.workspace.submissions(&competition.id)? {
        file("submission", &context.workspace.submission_csv(&competition.id, &name))?;
    }
    if let (Some(path), Some(judged)) = (&competition.truth, judged) {
        files.insert(1, ("truth".to_owned(), context.show(path), judged.fingerprint.to_string()));
        if let (Some(folds), Some(map)) = (&judged.folds, &competition.folds) {
            let place = format!("{}, column {}", context.show(&map.file), map.column);
            files.insert(2, ("fold map".to_owned(), place, folds.fingerprint().to_string()));
        }
    }
    Ok(Provenance {
        program: format!("blend {}", env!("CARGO_PKG_VERSION")),
        files,
        models: models.iter().map(|it| made(context, &it.model)).collect(),
    })
}

/// What a model's numbers are, in words.
pub(super) fn output_of(context: &Context, model: &ModelId) -> String {
    outputs::manifest_of(context, model)
        .map_or_else(|_| String::new(), |manifest| manifest.stored_kind().name().replace('_', " "))
}

/// How a model's outputs were made, as far as its record says.
fn made(context: &Context, model: &ModelId) -> Made {
    let name = model.to_string();
    let Ok(record) = RunRecord::read(&context.workspace, &context.competition.id, model) else {
        return Made { model: name, how: "no record".to_owned(), ..Made::default() };
    };
    let print = |it: Option<blend_core::Fingerprint>| it.map_or_else(String::new, |it| it.to_string());
    let parts = [record.engine.clone(), record.library.clone(), record.device.as_ref().map(|it| format!("on {it}"))];
    Made {
        model: name,
        how: match record.kind {
            RunKind::Predict => "predict",
            RunKind::Import => "import",
        }
        .to_owned(),
        engine: parts.into_iter().flatten().collect::<Vec<_>>().join(" "),
        graphs: record.graphs.len(),
        seconds: record.seconds,
        oof: print(record.oof),
        test: print(record.test),
    }
}

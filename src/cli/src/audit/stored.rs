//! Stored outputs as they lie on disk, whatever they hold.

use crate::{context::Context, failure::Failure, outputs};
use blend_core::{
    Oof, Test,
    audit::{Finding, Part, Severity, Stored},
    manifest::Manifest,
    output::Encoding,
};
use blend_store::feather;
use std::path::Path;

/// The stored outputs of the models, and a finding for each file that cannot be opened or changed since it was written.
pub(super) fn read(context: &Context, manifests: &[Manifest]) -> Result<(Vec<Stored>, Vec<Finding>), Failure> {
    let mut all = Vec::new();
    let mut findings = Vec::new();
    for manifest in manifests {
        let model = &manifest.model;
        let files =
            [(Part::Oof, outputs::file::<Oof>(context, model)), (Part::Test, outputs::file::<Test>(context, model))];
        let there: Vec<_> = files.into_iter().filter(|(_, path)| path.exists()).collect();
        for (part, path) in &there {
            let (stored, found) = open(context, manifest, *part, path);
            all.extend(stored);
            findings.extend(found);
        }
        if there.is_empty() {
            findings.push(Finding {
                check: "readable",
                severity: Severity::Note,
                model: Some(model.clone()),
                place: context.show(&context.workspace.model_folder(&context.competition.id, model)),
                cause: "no stored outputs".to_owned(),
                hint: outputs::how_to_get(manifest),
                count: 1,
            });
        }
    }
    Ok((all, findings))
}

fn open(context: &Context, manifest: &Manifest, part: Part, path: &Path) -> (Option<Stored>, Option<Finding>) {
    let place = context.show(path);
    let finding = |cause: String, hint: String| Finding {
        check: "readable",
        severity: Severity::Fault,
        model: Some(manifest.model.clone()),
        place: place.clone(),
        cause,
        hint,
        count: 1,
    };
    let again = || "predict or import it again".to_owned();
    match feather::open(path) {
        Ok(it) => {
            let changed = it.verify(path).err().map(|error| finding(error.to_string(), again()));
            let stored = Stored {
                model: manifest.model.clone(),
                part,
                place: place.clone(),
                rows: it.rows,
                columns: it.columns,
                encoding: Encoding { kind: manifest.stored_kind(), ..manifest.encoding },
                values: it.values,
                fingerprint: it.fingerprint,
            };
            (Some(stored), changed)
        }
        Err(error) => {
            let failure = Failure::from(error);
            (None, Some(finding(failure.message, failure.hint.unwrap_or_else(again))))
        }
    }
}

//! What is known of the models besides their stored outputs: labels, claims, and what run records say.

use crate::{
    context::{Context, Judged},
    failure::Failure,
};
use blend_core::{
    Fingerprint,
    audit::{Changed, Evidence, FoldMap, Judgement, State, Stored},
    manifest::Manifest,
    post::PostStep,
};
use blend_record::{Link, LinkKind, LinkState, Mark, RunRecord, Sample, Verifier};
use std::{collections::HashMap, path::PathBuf};

/// Everything but the survey and public scores.
pub(super) fn gather<'a>(
    context: &'a Context,
    judged: Option<&'a Judged>,
    sample: Option<&Sample>,
    manifests: &[Manifest],
    stored: &[Stored],
) -> Result<Evidence<'a>, Failure> {
    let judgement = judged.and_then(|it| {
        let (metric, spec) = (&*context.metric, &context.competition.metric);
        Judgement::new(metric, spec, &it.truth, &it.scope.rows, it.folds.as_ref()).ok()
    });
    Ok(Evidence {
        judgement,
        claims: manifests.iter().filter_map(|it| Some((it.model.clone(), it.claimed.clone()?))).collect(),
        changed: changed(context, manifests, stored)?,
        fold_maps: fold_maps(context, judged, manifests),
        zero_rows: zero_rows(context, sample)?,
        ..Evidence::default()
    })
}

/// Files that run records name and that are not what they were.
fn changed(context: &Context, manifests: &[Manifest], stored: &[Stored]) -> Result<Vec<Changed>, Failure> {
    let id = &context.competition.id;
    // Stored outputs are open already; what is damaged about them is another check's finding.
    let known: HashMap<PathBuf, Fingerprint> =
        stored.iter().map(|it| (context.workspace.root().join(&it.place), it.fingerprint)).collect();
    let mut verifier = Verifier::new(&context.workspace, id, |path| known.get(path).copied());
    for manifest in manifests {
        verifier.model(&manifest.model)?;
    }
    let of = |link: Link| {
        let state = match (link.kind, link.state()) {
            (LinkKind::Graph | LinkKind::Data, LinkState::Differs) => State::Differs,
            (LinkKind::Graph | LinkKind::Data, LinkState::Absent) => State::Absent,
            (LinkKind::Source, LinkState::Differs) => State::SourceDiffers,
            _ => return None,
        };
        Some(Changed { model: link.model?, what: link.kind.name(), place: context.show(&link.path), state })
    };
    Ok(verifier.finish().into_iter().filter_map(of).collect())
}

/// The fold maps on record, where the competition has one.
fn fold_maps(context: &Context, judged: Option<&Judged>, manifests: &[Manifest]) -> Vec<FoldMap> {
    let Some(folds) = judged.and_then(|judged| judged.folds.as_ref()) else { return Vec::new() };
    let id = &context.competition.id;
    let of = |manifest: &Manifest| {
        let recorded = RunRecord::read(&context.workspace, id, &manifest.model).ok()?.folds?;
        Some(FoldMap {
            model: manifest.model.clone(),
            place: context.show(&context.workspace.run_file(id, &manifest.model)),
            recorded,
            competition: folds.fingerprint(),
            own: manifest.folds.is_some() || manifest.stages.iter().any(|stage| stage.folds.is_some()),
        })
    };
    manifests.iter().filter_map(of).collect()
}

/// The test rows that the competition's post steps set to zero.
fn zero_rows(context: &Context, sample: Option<&Sample>) -> Result<Option<Vec<bool>>, Failure> {
    let mut marked: Option<Vec<bool>> = None;
    for step in &context.competition.post {
        let (PostStep::ZeroRows { file, column, equals }, Some(sample)) = (step, sample) else { continue };
        let mark = Mark { file: file.clone(), column: column.clone(), equals: equals.clone() };
        let it = context.marked(&mark, sample.rows(), "`post`")?;
        marked = Some(match marked {
            None => it,
            Some(before) => before.iter().zip(&it).map(|(a, b)| *a || *b).collect(),
        });
    }
    Ok(marked)
}

//! Weights that differ from part to part: `granularity` and `weights` of a recipe.

use super::Ordered;
use crate::{
    error::DocumentError,
    workspace::Workspace,
    yaml::{
        At, Doc,
        parts::{ColumnRaw, Expected, Finite, ScalarOr, write_column},
        write,
    },
};
use blend_core::{
    Blend, Member,
    blend::{Granularity, PartWeights},
};
use serde::Deserialize;
use std::path::Path;

/// The accepted form of `granularity`.
pub(super) const GRANULARITY_FORM: &str = "`granularity: per_target`, `{targets: {GROUP: [TARGET, TARGET]}}` or \
    `{rows: {file: F, column: C}}`";
/// The accepted form of `weights`.
pub(super) const WEIGHTS_FORM: &str = "beside `granularity`, as lines `PART: {MODEL: 0.36, MODEL: 0.64}`";

/// Weights by part and model.
pub(super) type WeightsRaw = Ordered<Ordered<Finite>>;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct GranularityRaw {
    targets: Option<Ordered<Vec<String>>>,
    rows: Option<ColumnRaw>,
}

impl Expected for GranularityRaw {
    const EXPECTED: &'static str = "global, per_target, or a map with `targets` or `rows`";
}

/// `blend` with the weights of its parts.
pub(super) fn check(
    doc: &Doc<'_>,
    blend: Blend,
    granularity: Option<&At<ScalarOr<GranularityRaw>>>,
    weights: Option<&At<WeightsRaw>>,
) -> Result<Blend, DocumentError> {
    let fault = |at: serde_yaml::Location, message: String| Err(doc.fault(at, message));
    let (granularity, place) = match granularity {
        None => (Granularity::Global, None),
        Some(at) => {
            let granularity = match &at.value {
                ScalarOr::Text(text) if text == "global" => Granularity::Global,
                ScalarOr::Text(text) if text == "per_target" => Granularity::PerTarget,
                ScalarOr::Map(GranularityRaw { targets: Some(groups), rows: None }) => {
                    let group = |(name, targets): &(At<String>, Vec<String>)| {
                        doc.distinct(targets, name.referenced)?;
                        Ok((name.value.clone(), targets.clone()))
                    };
                    Granularity::Targets(groups.0.iter().map(group).collect::<Result<_, DocumentError>>()?)
                }
                ScalarOr::Map(GranularityRaw { targets: None, rows: Some(rows) }) => {
                    Granularity::Rows(doc.column(rows)?)
                }
                _ => return fault(at.referenced, format!("`granularity` is {}", GranularityRaw::EXPECTED)),
            };
            (granularity, Some(at.referenced))
        }
    };
    let place = weights.map(|at| at.referenced).or(place);
    let mut parts = Vec::new();
    for (part, own) in weights.map(|at| at.value.0.iter()).into_iter().flatten() {
        let mut of_members = vec![0.0; blend.members().len()];
        for (model, weight) in &own.0 {
            let Some(place) = blend.members().iter().position(|member| member.model.as_str() == model.value) else {
                return fault(model.referenced, format!("`{}` is none of the recipe's `members`", model.value));
            };
            of_members[place] = weight.0;
        }
        parts.push(PartWeights { part: part.value.clone(), weights: of_members });
    }
    let Some(place) = place else { return Ok(blend) };
    blend.with_parts(granularity, parts).or_else(|error| fault(place, error.to_string()))
}

/// `granularity` as it is written; `None` where there is one set of weights.
pub(super) fn write_granularity(workspace: &Workspace, folder: &Path, it: &Granularity) -> Option<String> {
    match it {
        Granularity::Global => None,
        Granularity::PerTarget => Some("per_target".to_owned()),
        Granularity::Targets(groups) => {
            let list = |targets: &[String]| write::list(targets.iter().map(|target| write::text(target)));
            let groups = write::map(groups.iter().map(|(name, targets)| (name.as_str(), Some(list(targets)))));
            Some(write::map([("targets", Some(groups))]))
        }
        Granularity::Rows(file) => Some(write::map([("rows", Some(write_column(workspace, folder, file)))])),
    }
}

/// The lines of `weights`: members without weight in a part are left out of it.
pub(super) fn write_weights(blend: &Blend) -> Vec<(String, String)> {
    let line = |PartWeights { part, weights }: &PartWeights| {
        let pairs = blend.members().iter().zip(weights).filter(|(_, weight)| **weight != 0.0);
        let pairs = pairs.map(|(Member { model, .. }, weight)| (model.as_str(), Some(write::number(*weight))));
        (part.clone(), write::map(pairs))
    };
    blend.parts().iter().map(line).collect()
}

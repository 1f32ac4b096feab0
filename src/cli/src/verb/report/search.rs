//! What a search said of its weights that no recipe holds: how far they move, and what is lost without each member.
//! From the object that `blend search --json` printed.

use crate::{
    context::Context,
    failure::{self, Failure},
    report::html::facts::{Blend, Leaving, Metric, Without},
};
use serde_json::Value;
use std::path::Path;

/// Adds what the object in `file` says to the blend that it is about; returns what is lost without each member.
pub(super) fn add(
    context: &Context,
    file: &Path,
    metric: &Metric,
    blends: &mut [Blend],
) -> Result<Option<Leaving>, Failure> {
    let hint = "give the file that `blend search --json > FILE` wrote";
    let text = std::fs::read_to_string(file).map_err(|error| {
        Failure::new(failure::MACHINE, format!("cannot read what the search said: {error}"))
            .at(file.display())
            .hint(hint)
    })?;
    let wrong = |why: String| Failure::data(why).at(file.display());
    let said: Value =
        serde_json::from_str(&text).map_err(|error| wrong(format!("this is no JSON: {error}")).hint(hint))?;
    let name =
        said["blend"].as_str().ok_or_else(|| wrong("no search said this: it names no blend".to_owned()).hint(hint))?;
    let competition = said["competition"].as_str().unwrap_or_default();
    let found = said["score"].as_f64();
    let blend = blends
        .iter_mut()
        .find(|blend| blend.name == name && blend.found.is_some() && blend.found == found)
        .filter(|_| competition == context.competition.id.as_str())
        .ok_or_else(|| {
            wrong(format!(
                "the search of blend `{name}` of `{competition}` is not the one that wrote the recipe that is there"
            ))
            .hint("search again with `--json`, and keep what it prints")
        })?;
    for weight in &mut blend.weights {
        let spread = &said["weights_spread"][&weight.model];
        weight.interval = spread["low"].as_f64().zip(spread["high"].as_f64());
    }
    let Some(score) = found else { return Ok(None) };
    let without = said["leave_one_out"].as_object().into_iter().flatten().filter_map(|(model, left)| {
        let loss = metric.gain(score, left["score"].as_f64()?);
        Some(Without { model: model.clone(), loss, worse_in: 0 })
    });
    let models: Vec<Without> = without.collect();
    let of = format!("`{name}` scores on its own rows without each member, the other weights found again");
    Ok((!models.is_empty()).then_some(Leaving { of, models, parts: 0 }))
}

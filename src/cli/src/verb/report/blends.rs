//! The recipes, judged again on the stored outputs.

use crate::{
    audit::{self, AuditReport},
    context::{Context, Judged},
    failure::Failure,
    labels, outputs, parts,
    report::{
        html::facts::{Blend, Weight},
        small,
    },
};
use blend_core::{
    BlendName, Fingerprint, ModelId, Oof, PredictionMatrix, Predictions,
    calibration::{self, Calibration},
    output::Encoding,
    source::OwnedBlocks,
    survey,
};
use blend_record::{Fault, Recipe, SearchBlock};
use rayon::prelude::*;
use std::sync::Arc;

/// OOF predictions of every model that a recipe may name, or why they cannot be used.
pub(super) struct Members<'a> {
    audited: &'a audit::Members,
    /// Models that are not under audit.
    others: audit::Members,
}

impl<'a> Members<'a> {
    /// What the audit read, and what it was not asked for.
    pub(super) fn gather(context: &Context, audited: &'a AuditReport) -> Result<Self, Failure> {
        let mut others = audit::Members::new();
        let rest = outputs::chosen(context, &[], |model| !audited.oof.contains_key(model))?;
        if let (Some(judged), false) = (&audited.judged, rest.is_empty()) {
            let sample = context.sample()?;
            let columns = sample.as_ref().map(blend_record::Sample::columns);
            let columns = labels::output_names(context, Some(&judged.truth), columns).unwrap_or_default();
            others = audit::members(context, judged, &columns.into(), &rest);
        }
        Ok(Self { audited: &audited.oof, others })
    }

    fn get(&self, model: &ModelId) -> Result<&Predictions<Oof>, String> {
        match self.audited.get(model).or_else(|| self.others.get(model)) {
            Some(Ok(member)) => Ok(member),
            Some(Err(why)) => Err(why.clone()),
            None => Err(format!("there is no model `{model}`")),
        }
    }
}

/// What is known of the lead blend only.
#[derive(Default)]
pub(super) struct OfLead {
    /// Its score on each target.
    pub(super) targets: Vec<Option<f64>>,
    /// Its score on each group.
    pub(super) groups: Vec<Option<f64>>,
    pub(super) calibration: Option<(String, Calibration)>,
}

/// All recipes of the competition, and which of them leads: `best_cv`, else the first that a search wrote.
pub(super) fn read(
    context: &Context,
    judged: Option<&Judged>,
    members: &Members<'_>,
) -> Result<(Vec<Blend>, Option<usize>, OfLead), Failure> {
    let id = &context.competition.id;
    let names = context.workspace.blends(id)?;
    let recipes: Vec<(BlendName, Result<Recipe, String>)> = names
        .into_iter()
        .map(|name| {
            let recipe = Recipe::read(&context.workspace, id, &name);
            let recipe = recipe.map_err(|error| match error.place() {
                Some(place) => format!("{error} ({place})"),
                None => error.to_string(),
            });
            (name, recipe)
        })
        .collect();
    let lead = recipes
        .iter()
        .position(|(name, recipe)| recipe.is_ok() && name.as_str() == "best_cv")
        .or_else(|| recipes.iter().position(|(_, recipe)| recipe.as_ref().is_ok_and(|recipe| recipe.search.is_some())));
    let mut of_lead = OfLead::default();
    let mut blends = Vec::with_capacity(recipes.len());
    for (at, (name, recipe)) in recipes.into_iter().enumerate() {
        let recipe = match recipe {
            Ok(recipe) => recipe,
            Err(problem) => {
                blends.push(Blend { name: name.to_string(), problem: Some(problem), ..Blend::default() });
                continue;
            }
        };
        let mut blend = described(&recipe);
        if let Some(judged) = judged {
            match predictions(context, judged, &recipe, members) {
                Ok(prediction) => {
                    judge(context, judged, &mut blend, prediction, (lead == Some(at)).then_some(&mut of_lead))
                }
                Err(problem) => blend.problem = Some(problem),
            }
        }
        blends.push(blend);
    }
    Ok((blends, lead, of_lead))
}

/// What a recipe says of itself.
fn described(recipe: &Recipe) -> Blend {
    let it = &recipe.blend;
    let search = recipe.search.as_ref();
    Blend {
        name: it.name().to_string(),
        space: it.space().name().to_owned(),
        domain: it.domain().name().to_owned(),
        by: search
            .map_or_else(|| "by hand".to_owned(), |search| format!("{} search, {}", search.target, search.solver)),
        weights: it
            .members()
            .iter()
            .map(|member| Weight {
                model: member.model.to_string(),
                weight: member.weight,
                interval: search.and_then(|search| {
                    search.weights_interval.iter().find(|(model, _)| *model == member.model).map(|(_, it)| *it)
                }),
            })
            .collect(),
        recorded: search.filter(|search| search.target == "cv").and_then(|search| search.score),
        found: search.and_then(|search| search.score),
        nested: search.and_then(|search| search.nested_score),
        equal_weights: search.and_then(|search| search.equal_weights),
        single_best: search.and_then(|search| {
            Some((search.single_best.as_ref()?.model.to_string(), search.single_best.as_ref()?.score))
        }),
        gain: search.and_then(|search| search.gain_interval),
        stop: search.map(stop),
        predicted: search.and_then(|search| search.predicted_public.as_ref()).map(|it| (it.score, it.standard_error)),
        ..Blend::default()
    }
}

/// Why a search ended, in words.
fn stop(search: &SearchBlock) -> String {
    match (search.stop.as_str(), search.gap) {
        ("certified", Some(gap)) => format!("certified: no allowed weights score better by more than {}", small(gap)),
        (stop, Some(gap)) => format!("{stop}, at most {} from the optimum", small(gap)),
        (stop, None) => stop.to_owned(),
    }
}

/// The blend's own OOF predictions, with the steps that were fitted with it, as those of a model.
fn predictions(
    context: &Context,
    judged: &Judged,
    recipe: &Recipe,
    members: &Members<'_>,
) -> Result<Predictions<Oof>, String> {
    let mut all = Vec::new();
    for member in recipe.blend.members() {
        let predictions = members.get(&member.model)?;
        let space = recipe.blend.space().get().info();
        if !space.accepts.contains(&predictions.encoding().kind) {
            return Err(format!(
                "space {} takes no {} (`{}`)",
                space.name,
                predictions.encoding().kind.name(),
                member.model
            ));
        }
        all.push(predictions);
    }
    let Some(first) = all.first() else { return Err("it has no member".to_owned()) };
    let bound = context.metric.bind(judged.truth.on(&judged.scope.rows)).map_err(|error| error.to_string())?;
    let set = &judged.scope.rows;
    let natural =
        parts::judged(context, &recipe.blend, &all, set, bound.preparation()).map_err(|failure| failure.message)?;
    let columns: Vec<Vec<f64>> = (0..natural.n_outputs())
        .into_par_iter()
        .map(|output| {
            let mut column = vec![0.0; set.n_total()];
            set.iter().zip(natural.column(output)).for_each(|(row, value)| column[row] = *value);
            column
        })
        .collect();
    let kind = first.encoding().kind.as_probability();
    let model = ModelId::new(recipe.blend.name().as_str()).map_err(|error| error.to_string())?;
    let print = Fingerprint::of(recipe.blend.name().as_str().as_bytes());
    let rows = judged.truth.rows().clone();
    let values = Arc::new(OwnedBlocks::F64(columns));
    Predictions::unchecked(model, rows, first.columns().clone(), Encoding::plain(kind), values, print)
        .map_err(|error| error.to_string())
}

/// Scores overall and by fold; by target, and calibration, where `lead` is asked for.
fn judge(
    context: &Context,
    judged: &Judged,
    blend: &mut Blend,
    prediction: Predictions<Oof>,
    lead: Option<&mut OfLead>,
) {
    if let Some(lead) = lead {
        let labels = judged.truth.on(&judged.scope.rows);
        let curve = calibration::calibration(&prediction, &judged.scope.rows, &labels);
        lead.calibration = curve.map(|curve| (blend.name.clone(), curve));
        let scores = scores(context, judged, prediction);
        (blend.score, blend.folds) = (scores.overall, scores.folds);
        (lead.targets, lead.groups) = (scores.targets, scores.groups);
    } else {
        let scores = scores(context, judged, prediction);
        (blend.score, blend.folds) = (scores.overall, scores.folds);
    }
}

fn scores(context: &Context, judged: &Judged, prediction: Predictions<Oof>) -> survey::Scores {
    let Ok(matrix) = PredictionMatrix::new(vec![prediction]) else { return survey::Scores::default() };
    survey::scores_of(&audit::ground(context, judged), &matrix).pop().unwrap_or_default()
}

//! Predicted public scores of targets: from the scored files where they tell them, else from out-of-fold rows, which
//! needs to know what a target is made of.

use super::{
    TestRows,
    board::{self, Known},
    resolve::Target,
    search::{held, problem, space_of_order},
    values::of_model,
};
use crate::{context::Context, failure::Failure, labels, outputs};
use blend_core::{Block, Domain, ModelId, Oof, output::Encoding, space::SpaceName};
use blend_search::leaderboard::{self, LbError, LbProblem, Predicted};
use std::collections::BTreeMap;

/// The predicted public score of each target.
pub(crate) fn predict(
    context: &Context,
    test: &TestRows,
    known: &Known,
    targets: &[Target],
    seed: u64,
) -> Result<Vec<Predicted>, Failure> {
    // Absolute errors have two methods; rows whose truth is known tell more than moments do, as in a search.
    if context.competition.metric.name == "mae" && have_rows(context, targets) {
        return of_blends(context, test, known, targets, seed);
    }
    match board::of_metric(context, &known.lb) {
        Ok(board) => Ok(targets.iter().map(|target| board.predict(&target.values)).collect()),
        Err(LbError::NoMethod { .. }) => of_blends(context, test, known, targets, seed),
        Err(error) => Err(board::failure(context, error)),
    }
}

/// Whether all targets are made of members with out-of-fold rows.
fn have_rows(context: &Context, targets: &[Target]) -> bool {
    let has = |(model, _): &(ModelId, f64)| outputs::file::<Oof>(context, model).exists();
    let made_of = |target: &Target| target.blend.as_ref().is_some_and(|blend| blend.members.iter().all(has));
    context.competition.truth.is_some() && targets.iter().all(made_of)
}

fn of_blends(
    context: &Context,
    test: &TestRows,
    known: &Known,
    targets: &[Target],
    seed: u64,
) -> Result<Vec<Predicted>, Failure> {
    let own = space_of_order(context, context.space());
    let own = targets.iter().find_map(|target| target.blend.as_ref()?.space).unwrap_or(own);
    // Blends in one space are predicted together: every member counts for the shift that is common to all.
    let mut by_space: BTreeMap<&str, (SpaceName, Vec<usize>)> = BTreeMap::new();
    for (i, target) in targets.iter().enumerate() {
        let Some(blend) = &target.blend else {
            return Err(Failure::usage(format!("`{}` is no average of models with one set of weights", target.what))
                .at(context.show(&context.competition.file))
                .hint(format!(
                    "public scores of {} are predicted from out-of-fold rows: name a model or a recipe",
                    context.metric.label()
                )));
        };
        let space = blend.space.unwrap_or(own);
        by_space.entry(space.name()).or_insert((space, Vec::new())).1.push(i);
    }
    let mut all: Vec<Option<Predicted>> = vec![None; targets.len()];
    for (space, places) in by_space.into_values() {
        let blends: Vec<&[(ModelId, f64)]> =
            places.iter().filter_map(|&i| Some(&targets[i].blend.as_ref()?.members[..])).collect();
        let mut models: Vec<ModelId> = blends.iter().flat_map(|it| it.iter().map(|(model, _)| model.clone())).collect();
        models.sort_unstable();
        models.dedup();
        let members: Vec<(ModelId, Block)> = models
            .iter()
            .map(|model| Ok((model.clone(), of_model(context, test, model)?)))
            .collect::<Result<_, Failure>>()?;
        let held = held(context, &models)?;
        let asked = LbProblem {
            members: &members,
            encoding: Encoding::plain(labels::default_kind(context)),
            lb: &known.lb,
            spec: &context.competition.metric,
            space,
            domain: Domain::Simplex,
            oof: held.as_ref().map(|held| problem(context, space, Domain::Simplex, held)),
            target: leaderboard::Target::Lb,
        };
        let weights_of = |blend: &&[(ModelId, f64)]| -> Vec<f64> {
            models.iter().map(|it| blend.iter().filter(|(model, _)| model == it).map(|(_, w)| w).sum()).collect()
        };
        let weights: Vec<Vec<f64>> = blends.iter().map(weights_of).collect();
        let predicted = leaderboard::predict(&asked, &weights, seed).map_err(|error| board::failure(context, error))?;
        places.iter().zip(predicted).for_each(|(&i, it)| all[i] = Some(it));
    }
    Ok(all.into_iter().flatten().collect())
}

//! `blend lb plan`: which scores would teach most.

use crate::{
    args::{Arguments, leaderboard::LbPlan},
    context::Context,
    failure::Failure,
    leaderboard::{self, TestRows, board},
    outputs,
    report::{Screen, small, table::TextTable},
};
use blend_core::{Block, PublicLb, Test};
use blend_record::Recipe;
use blend_search::leaderboard::plan;
use serde_json::json;

pub(crate) fn run(arguments: &Arguments, it: &LbPlan, screen: &Screen) -> Result<bool, Failure> {
    let context = Context::open(arguments)?;
    let id = &context.competition.id;
    let ledger = leaderboard::ledger(&context)?;
    let test = TestRows::of(&context)?;
    let part = board::public_part(&context, &test)?;
    let known = match ledger.standings(0).iter().any(|it| it.public.known().is_some()) {
        true => Some(board::known(&context, &test, &ledger, Vec::new())?.lb),
        false => None,
    };
    let scored =
        |values: &Block| known.as_ref().map_or(&[][..], PublicLb::files).iter().any(|file| file.values == *values);
    let mut candidates: Vec<(String, Block)> = Vec::new();
    let models = outputs::chosen(&context, &[], |model| outputs::file::<Test>(&context, model).exists())?;
    for model in models {
        candidates.push((model.to_string(), leaderboard::of_model(&context, &test, &model)?));
    }
    if test.sample.is_some() {
        for name in context.workspace.blends(id)? {
            // A recipe that cannot be submitted cannot be planned; it is not this command's to judge.
            let recipe = Recipe::read(&context.workspace, id, &name).map_err(Failure::from);
            if let Ok(values) = recipe.and_then(|recipe| leaderboard::of_recipe(&context, &test, &recipe)) {
                candidates.push((name.to_string(), values));
            }
        }
    }
    let mut open: Vec<(String, Block)> = Vec::new();
    for (name, values) in candidates {
        if !scored(&values) && open.iter().all(|(_, other)| *other != values) {
            open.push((name, values));
        }
    }
    let blocks: Vec<&Block> = open.iter().map(|(_, values)| values).collect();
    let half = board::half_unit(leaderboard::decimals(&context));
    let steps = plan::plan(known.as_ref(), &part, &context.competition.metric, &blocks, half, it.budget.get())
        .map_err(|error| board::failure(&context, error))?;
    if steps.is_empty() {
        screen.line("every model's and recipe's public score is known or follows from those that are");
    }
    let mut table = TextTable::new(&["send", ">its own +- before", ">of all variance left"]);
    for step in &steps {
        table.row(vec![
            open[step.candidate].0.clone(),
            small(step.standard_error),
            format!("{:.0} %", 100.0 * step.left),
        ]);
    }
    if !table.is_empty() {
        screen.table(table);
    }
    screen.object(json!({
        "competition": id.as_str(),
        "budget": it.budget,
        "plan": steps.iter().map(|step| json!({
            "what": open[step.candidate].0,
            "standard_error_before": step.standard_error,
            "variance_left": step.left,
        })).collect::<Vec<_>>(),
    }));
    Ok(false)
}

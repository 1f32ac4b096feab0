//! `blend select`: two finals, and what speaks for them.

use crate::{
    args::{Arguments, leaderboard::Select},
    context::{Context, Judged},
    failure::Failure,
    labels,
    leaderboard::{self, TestRows, board},
    outputs, parts,
    report::{Screen, score, small, table::TextTable},
};
use blend_core::{BlendName, Block, Domain, ModelId, Oof};
use blend_record::{Recipe, ledger::Predicted as Expected};
use blend_search::{
    Problem,
    leaderboard::finals::{Finals, finals},
};
use serde_json::json;
use std::sync::Arc;

/// What is chosen from where nothing is named.
const USUAL: [&str; 3] = ["best_cv", "best_lb", "best_pooled"];

pub(crate) fn run(arguments: &Arguments, it: &Select, screen: &Screen) -> Result<bool, Failure> {
    let context = Context::open(arguments)?;
    let id = &context.competition.id;
    let names: Vec<BlendName> = if it.blends.is_empty() {
        context.workspace.blends(id)?.into_iter().filter(|name| USUAL.contains(&name.as_str())).collect()
    } else {
        it.blends.iter().map(|name| Ok(context.workspace.blend(id, name)?)).collect::<Result<_, Failure>>()?
    };
    if names.len() < 2 {
        return Err(Failure::usage("two finals are chosen from two recipes at least")
            .at(format!("blends/{id}"))
            .hint("make them with `blend search --target cv`, `lb` and `pooled`, or name them"));
    }
    let judged = context.judged()?;
    let recipes: Vec<Recipe> =
        names.iter().map(|name| Recipe::read(&context.workspace, id, name)).collect::<Result<_, _>>()?;
    let blends =
        recipes.iter().map(|recipe| held_out(&context, &judged, recipe)).collect::<Result<Vec<_>, Failure>>()?;
    let test = TestRows::of(&context)?;
    // Private are the rows that are not public; all of them where that is not said, or all are public.
    let n_public = board::public_part(&context, &test).map_or(0, |part| part.n_public());
    let n_private = Some(test.rows.len() - n_public).filter(|n| *n > 0).unwrap_or(test.rows.len());
    let models = members(&recipes[0]);
    let matrix = outputs::oof_matrix(&context, &judged, &models, &columns(&context, &judged)?)?;
    let problem = Problem {
        members: &matrix,
        truth: &judged.truth,
        scope: &judged.scope,
        metric: &*context.metric,
        space: recipes[0].blend.space(),
        domain: Domain::Simplex,
        folds: judged.folds.as_ref(),
        groups: judged.groups.as_deref(),
    };
    let found = finals(&problem, &blends, n_private, arguments.seed)?;
    let ledger = leaderboard::ledger(&context)?;
    let predicted: Vec<Option<Expected>> = recipes
        .iter()
        .map(|recipe| {
            let values = leaderboard::of_recipe(&context, &test, recipe).ok()?;
            board::forecast(&context, &test, &ledger, &values, recipe)
        })
        .collect();
    report(screen, &context, &names, &found, &predicted, n_private);
    Ok(false)
}

fn members(recipe: &Recipe) -> Vec<ModelId> {
    recipe.blend.members().iter().map(|member| member.model.clone()).collect()
}

fn columns(context: &Context, judged: &Judged) -> Result<Arc<[String]>, Failure> {
    let sample = context.sample()?;
    let names = labels::output_names(context, Some(&judged.truth), sample.as_ref().map(blend_record::Sample::columns));
    Ok(names.unwrap_or_default().into())
}

/// A recipe's blend of out-of-fold rows in scope, with the steps that were fitted with it.
fn held_out(context: &Context, judged: &Judged, recipe: &Recipe) -> Result<Block, Failure> {
    let matrix = outputs::oof_matrix(context, judged, &members(recipe), &columns(context, judged)?)?;
    let bound = context.metric.bind(judged.truth.on(&judged.scope.rows)).map_err(|error| context.unjudged(error))?;
    let all: Vec<&blend_core::Predictions<Oof>> = matrix.members().iter().collect();
    parts::judged(context, &recipe.blend, &all, &judged.scope.rows, bound.preparation())
}

fn report(
    screen: &Screen,
    context: &Context,
    names: &[BlendName],
    found: &Finals,
    predicted: &[Option<Expected>],
    n_private: usize,
) {
    let (a, b) = found.pair;
    let percent = |share: f64| format!("{:.0} %", 100.0 * share);
    screen.line(screen.bold(&format!("{}: {} and {}", context.competition.id, names[a], names[b])));
    let mut table = TextTable::new(&["recipe", ">CV", ">public, predicted", ">+-", ">beats the first final"]);
    for (i, name) in names.iter().enumerate() {
        let it = predicted[i].as_ref();
        table.row(vec![
            name.to_string(),
            score(found.scores[i]),
            it.map_or("-".to_owned(), |it| score(it.score)),
            it.map_or("-".to_owned(), |it| small(it.standard_error)),
            if i == a { "-".to_owned() } else { percent(found.wins[i][a]) },
        ]);
    }
    screen.table(table);
    screen.line("");
    screen.line(format!(
        "  on {n_private} rows drawn like the private ones, {} beats {} in {} of draws",
        names[a],
        names[b],
        percent(found.wins[a][b])
    ));
    screen.line(format!(
        "  their scores move together by {:.4}; the better of the two is {} on average, of no pair better",
        found.correlation[a][b],
        score(found.best_of_two[a][b])
    ));
    screen.line("  weights that were chosen on out-of-fold rows look a little too good here");
    screen.object(json!({
        "competition": context.competition.id.as_str(),
        "finals": [names[a].as_str(), names[b].as_str()],
        "private_rows": n_private,
        "candidates": names.iter().enumerate().map(|(i, name)| json!({
            "blend": name.as_str(),
            "cv": found.scores[i],
            "predicted_public": predicted[i].as_ref().map(|it| json!({
                "score": it.score, "standard_error": it.standard_error, "method": it.method,
            })),
        })).collect::<Vec<_>>(),
        "pairs": (0..names.len()).flat_map(|i| (i + 1..names.len()).map(move |j| (i, j))).map(|(i, j)| json!({
            "first": names[i].as_str(),
            "second": names[j].as_str(),
            "first_beats_second": found.wins[i][j],
            "correlation": found.correlation[i][j],
            "better_of_two": found.best_of_two[i][j],
        })).collect::<Vec<_>>(),
    }));
}

//! `blend lb`: public scores in, predicted public scores out.

mod add;
mod import;
mod plan;
mod predict;
mod show;

use crate::{
    args::{
        Arguments,
        leaderboard::{Lb, LbAction},
    },
    context::Context,
    failure::Failure,
    leaderboard::{self, names},
    report::{Screen, score},
};
use blend_record::{
    Ledger,
    ledger::{PublicState, Standing},
};
use serde_json::{Value, json};

pub(crate) fn run(arguments: &Arguments, it: &Lb, screen: &Screen) -> Result<bool, Failure> {
    match &it.action {
        LbAction::Add(it) => add::run(arguments, it, screen),
        LbAction::Import(it) => import::run(arguments, it, screen),
        LbAction::Show(it) => show::run(arguments, it, screen),
        LbAction::Predict(it) => predict::run(arguments, it, screen),
        LbAction::Plan(it) => plan::run(arguments, it, screen),
    }
}

/// Contents with scores that cannot all be right.
fn conflicts(context: &Context, ledger: &Ledger) -> Vec<Standing> {
    let standings = ledger.standings(leaderboard::decimals(context));
    standings.into_iter().filter(|it| matches!(it.public, PublicState::Conflict(_))).collect()
}

/// Says which files have two scores; whether there are any.
fn tell_conflicts(screen: &Screen, conflicts: &[Standing]) -> bool {
    for standing in conflicts {
        let PublicState::Conflict(given) = &standing.public else { continue };
        let scores: Vec<String> = given.iter().map(|it| format!("{} (line {})", score(it.score), it.line)).collect();
        screen.line(screen.red(&format!("the same predictions have several scores: {}", names(standing))));
        screen.line(format!("  for  {}", scores.join(", ")));
        screen.line(format!(
            "hint: searches leave it out until `blend lb add {} SCORE --correct` says which one holds",
            standing.names[0]
        ));
    }
    !conflicts.is_empty()
}

fn conflict_values(conflicts: &[Standing]) -> Vec<Value> {
    conflicts
        .iter()
        .map(|standing| {
            let given = if let PublicState::Conflict(given) = &standing.public { given.as_slice() } else { &[] };
            json!({
                "names": standing.names.iter().map(ToString::to_string).collect::<Vec<_>>(),
                "scores": given.iter().map(|it| json!({"score": it.score, "line": it.line})).collect::<Vec<_>>(),
            })
        })
        .collect()
}

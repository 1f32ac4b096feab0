//! `blend lb predict`: a public score before anything is sent.

use crate::{
    args::{Arguments, leaderboard::LbPredict},
    context::Context,
    failure::Failure,
    leaderboard::{self, TestRows, board, search::predicted_value},
    report::{Screen, score, small, table::TextTable},
};
use serde_json::json;

pub(crate) fn run(arguments: &Arguments, it: &LbPredict, screen: &Screen) -> Result<bool, Failure> {
    let context = Context::open(arguments)?;
    let ledger = leaderboard::ledger(&context)?;
    let test = TestRows::of(&context)?;
    let targets = it
        .what
        .iter()
        .map(|word| leaderboard::resolve(&context, &test, &ledger, word))
        .collect::<Result<Vec<_>, Failure>>()?;
    let known = board::known(&context, &test, &ledger, Vec::new())?;
    known.left_out.iter().for_each(|why| screen.note(format!("left out: {why}")));
    let predictions = leaderboard::predict(&context, &test, &known, &targets, arguments.seed)?;
    let mut table = TextTable::new(&["", ">public score", ">+-", "method"]);
    let mut values = Vec::new();
    for (word, predicted) in it.what.iter().zip(&predictions) {
        table.row(vec![
            word.clone(),
            score(predicted.score),
            small(predicted.standard_error),
            predicted.method.name().to_owned(),
        ]);
        values.push(json!({"what": word, "predicted_public": predicted_value(predicted)}));
    }
    screen.table(table);
    screen.object(json!({
        "competition": context.competition.id.as_str(),
        "scored_files": known.lb.files().len(),
        "left_out": known.left_out,
        "predictions": values,
    }));
    Ok(false)
}

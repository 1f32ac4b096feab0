//! What the leaderboard verbs share: test rows, submitted values, and what a word on the command line means.

mod blends;
pub(crate) mod board;
mod made;
mod resolve;
pub(crate) mod search;
mod values;

pub(crate) use blends::predict;
pub(crate) use made::{record_made, send_command};
pub(crate) use resolve::{Target, resolve};
pub(crate) use values::{TestRows, of_model, of_recipe, post_steps};

use crate::{context::Context, failure::Failure};
use blend_record::{
    Ledger,
    ledger::{LedgerError, Standing},
};

/// Decimals of scores where a competition says nothing of its leaderboard: Kaggle's.
const DECIMALS: u32 = 5;

/// Decimals of the competition's public scores.
pub(crate) fn decimals(context: &Context) -> u32 {
    context.competition.leaderboard.as_ref().map_or(DECIMALS, |it| it.decimals)
}

/// The competition's ledger.
pub(crate) fn ledger(context: &Context) -> Result<Ledger, Failure> {
    Ledger::read(&context.workspace.ledger_file(&context.competition.id)).map_err(|error| shown(context, error))
}

/// Names of a content, as `a = b`.
pub(crate) fn names(standing: &Standing) -> String {
    let names: Vec<String> = standing.names.iter().map(ToString::to_string).collect();
    names.join(" = ")
}

/// Appends to the competition's ledger.
pub(crate) fn append(context: &Context, events: &[blend_record::ledger::Event]) -> Result<(), Failure> {
    if events.is_empty() {
        return Ok(());
    }
    let path = context.workspace.ledger_file(&context.competition.id);
    Ledger::append(&path, events, std::time::SystemTime::now()).map_err(|error| shown(context, error))
}

/// The error with its place as it reads from the workspace.
fn shown(context: &Context, error: LedgerError) -> Failure {
    let line = if let LedgerError::Damaged { line, .. } = &error { format!(":{line}") } else { String::new() };
    let path = context.workspace.ledger_file(&context.competition.id);
    Failure { place: Some(context.show(&path) + &line), ..Failure::from(error) }
}

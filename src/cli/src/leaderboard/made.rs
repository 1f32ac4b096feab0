//! What `submit` leaves in the ledger, and the command that sends a file.

use super::{TestRows, append, board, ledger, values};
use crate::{context::Context, failure::Failure, verb::submit};
use blend_core::{Block, Fingerprint};
use blend_record::{
    Recipe, Sample,
    ledger::{Event, Made},
};

/// Appends the line of a submission that was made, unless the last line of that name says the same.
pub(crate) fn record_made(
    context: &Context,
    recipe: &Recipe,
    csv: Fingerprint,
    natural: &Block,
    sample: &Sample,
) -> Result<(), Failure> {
    let names = submit::names(context, sample)?;
    let test = TestRows { rows: sample.rows().clone(), names, sample: Some(sample.clone()) };
    let mut values = natural.clone();
    values::as_submitted(context, &mut values);
    let before = ledger(context)?;
    // The same file again, with more scores known, is no other submission.
    let same = |other: &Made| other.name == *recipe.blend.name();
    if before.made(same).is_some_and(|other| other.csv == csv) {
        return Ok(());
    }
    let made = Made {
        name: recipe.blend.name().clone(),
        csv,
        content: test.content(&values),
        recipe: recipe.to_yaml(&context.workspace),
        cv: recipe.search.as_ref().filter(|search| search.target == "cv").and_then(|search| search.score),
        predicted: board::forecast(context, &test, &before, &values, recipe),
    };
    append(context, &[Event::Made(made)])
}

/// The command that sends a submission to Kaggle with our id in its message.
pub(crate) fn send_command(context: &Context, recipe: &Recipe, file: &str, csv: Fingerprint) -> String {
    let search = recipe.search.as_ref().filter(|search| search.target == "cv");
    let cv = search.and_then(|search| search.score).map_or_else(String::new, |score| format!(" cv={score:.6}"));
    let (id, name) = (&context.competition.id, recipe.blend.name());
    let file = if file.contains([' ', '\'']) { format!("'{}'", file.replace('\'', "'\\''")) } else { file.to_owned() };
    format!("kaggle competitions submit {id} -f {file} -m \"blend:{} {name}{cv}\"", csv.short())
}

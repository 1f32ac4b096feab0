//! What a word means: a model, a submission, its id, or a file.

use super::values::{self, TestRows};
use crate::{context::Context, failure::Failure, outputs};
use blend_core::{BlendName, Block, Fingerprint, Test};
use blend_record::{
    Ledger, Recipe,
    ledger::{Made, What},
    nearest,
};
use std::path::{Path, PathBuf};

/// Something that can have a score, with the values that were or would be submitted.
pub(crate) struct Target {
    pub(crate) what: What,
    pub(crate) content: Fingerprint,
    pub(crate) values: Block,
}

/// What `word` means.
pub(crate) fn resolve(context: &Context, test: &TestRows, ledger: &Ledger, word: &str) -> Result<Target, Failure> {
    let what = meaning(context, ledger, word)?;
    let values = match &what {
        Meaning::Model(model) => values::of_model(context, test, model)?,
        Meaning::Made(made) => of_made(context, test, made)?,
        Meaning::Recipe(name) => {
            let recipe = Recipe::read(&context.workspace, &context.competition.id, name)?;
            values::of_recipe(context, test, &recipe)?
        }
        Meaning::File(path) => values::of_file(context, test, path)?,
    };
    let what = match what {
        Meaning::Model(model) => What::Model(model),
        Meaning::Made(made) => What::Submission(made.name),
        Meaning::Recipe(name) => What::Submission(name),
        Meaning::File(path) => What::File(context.workspace.show(&path).to_owned()),
    };
    Ok(Target { content: test.content(&values), what, values })
}

enum Meaning {
    Model(blend_core::ModelId),
    /// A submission that was made: its file, or the recipe that makes it again.
    Made(Made),
    /// A recipe that was not submitted.
    Recipe(BlendName),
    File(PathBuf),
}

/// The 12 digits of an id.
fn id_digits(word: &str) -> Option<&str> {
    let digits = word.strip_prefix("blend:").unwrap_or(word);
    (digits.len() == 12 && digits.bytes().all(|b| b.is_ascii_hexdigit() && !b.is_ascii_uppercase())).then_some(digits)
}

fn meaning(context: &Context, ledger: &Ledger, word: &str) -> Result<Meaning, Failure> {
    let id = &context.competition.id;
    if let Some(digits) = id_digits(word)
        && let Some(made) = ledger.made(|made| made.csv.short() == digits)
    {
        return Ok(Meaning::Made(made.clone()));
    }
    let models: Vec<_> =
        context.workspace.models(id)?.into_iter().filter(|it| outputs::file::<Test>(context, it).exists()).collect();
    let model = models.iter().find(|model| model.as_str() == word);
    let made = ledger.made(|made| made.name.as_str() == word);
    let recipes = context.workspace.blends(id)?;
    let recipe = recipes.iter().find(|name| name.as_str() == word);
    if model.is_some() && (made.is_some() || recipe.is_some()) {
        return Err(Failure::usage(format!("`{word}` is both a model and a blend"))
            .at(word)
            .hint(format!("name the blend by its file, submissions/{id}/{word}.csv, or by its id")));
    }
    if let Some(model) = model {
        return Ok(Meaning::Model(model.clone()));
    }
    if let Some(made) = made {
        return Ok(Meaning::Made(made.clone()));
    }
    if let Some(name) = recipe {
        return Ok(Meaning::Recipe(name.clone()));
    }
    let path = Path::new(word);
    if path.is_file() {
        let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        // A submission of ours is known by its bytes, wherever it lies.
        let of_ours = ledger.made(|made| values::is_unchanged(&path, made.csv));
        return Ok(of_ours.map_or(Meaning::File(path), |made| Meaning::Made(made.clone())));
    }
    let known: Vec<String> = models
        .iter()
        .map(ToString::to_string)
        .chain(recipes.iter().map(ToString::to_string))
        .chain(ledger.made(|_| true).map(|made| made.name.to_string()))
        .collect();
    let failure = Failure::usage(format!("`{word}` is no model, no submission and no file"))
        .at(context.show(&context.workspace.competition_folder(id)));
    Err(match nearest(word, known.iter().map(String::as_str)) {
        Some(near) => failure.hint(format!("did you mean `{near}`?")),
        None => failure.hint("name a model with test outputs, a submission, its id (`blend:...`), or a file"),
    })
}

/// The values of a submission that was made: read from its file while that still is the file, else made again.
pub(crate) fn of_made(context: &Context, test: &TestRows, made: &Made) -> Result<Block, Failure> {
    let id = &context.competition.id;
    let path = context.workspace.submission_csv(id, &made.name);
    if values::is_unchanged(&path, made.csv) {
        return values::of_file(context, test, &path);
    }
    let recipe = Recipe::parse(&context.workspace, id, &made.name, &made.recipe)?;
    let values = values::of_recipe(context, test, &recipe)?;
    if test.content(&values) == made.content {
        return Ok(values);
    }
    Err(Failure::data(format!("submission `{}` cannot be made again as it was sent", made.name))
        .at(context.show(&path))
        .details(format!("the file with id blend:{} is gone, and its members' outputs have changed", made.csv.short()))
        .hint("bring back the file, or the outputs that it was made from"))
}

/// The values of a line's `what`, where they still have the recorded content.
pub(crate) fn of_line(
    context: &Context,
    test: &TestRows,
    ledger: &Ledger,
    what: &What,
    content: Fingerprint,
) -> Option<Block> {
    let values = match what {
        What::Model(model) => values::of_model(context, test, model).ok()?,
        What::Submission(_) => of_made(context, test, ledger.made(|made| made.content == content)?).ok()?,
        What::File(path) => values::of_file(context, test, &context.workspace.root().join(path)).ok()?,
    };
    (test.content(&values) == content).then_some(values)
}

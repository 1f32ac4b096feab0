//! What a word means: a model, a submission, its id, or a file.

use super::values::{self, TestRows};
use crate::{context::Context, failure::Failure, outputs};
use blend_core::{BlendName, Block, Fingerprint, ModelId, Test, space::SpaceName};
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
    /// What it is an average of, which nobody knows of a file.
    pub(crate) blend: Option<Blended>,
}

/// What a blend is made of.
pub(crate) struct Blended {
    /// That of a model alone is any.
    pub(crate) space: Option<SpaceName>,
    pub(crate) members: Vec<(ModelId, f64)>,
}

impl Blended {
    /// `None` of a recipe whose weights differ from part to part, or which has an intercept.
    fn of(recipe: &Recipe) -> Option<Self> {
        let blend = &recipe.blend;
        let members = blend.members().iter().map(|member| (member.model.clone(), member.weight)).collect();
        let plain = blend.parts().is_empty() && blend.intercept() == 0.0;
        plain.then(|| Self { space: Some(blend.space()), members })
    }
}

/// What `word` means.
pub(crate) fn resolve(context: &Context, test: &TestRows, ledger: &Ledger, word: &str) -> Result<Target, Failure> {
    let id = &context.competition.id;
    let (what, values, blend) = match meaning(context, ledger, word)? {
        Meaning::Model(model) => {
            let values = values::of_model(context, test, &model)?;
            let alone = Blended { space: None, members: vec![(model.clone(), 1.0)] };
            (What::Model(model), values, Some(alone))
        }
        Meaning::Made(made) => {
            let recipe = Recipe::parse(&context.workspace, id, &made.name, &made.recipe).ok();
            let values = of_made(context, test, &made)?;
            (What::Submission(made.name), values, recipe.as_ref().and_then(Blended::of))
        }
        Meaning::Recipe(name) => {
            let recipe = Recipe::read(&context.workspace, id, &name)?;
            let values = values::of_recipe(context, test, &recipe)?;
            (What::Submission(name), values, Blended::of(&recipe))
        }
        Meaning::File(path) => {
            let values = values::of_file(context, test, &path)?;
            (What::File(context.workspace.show(&path).to_owned()), values, None)
        }
    };
    Ok(Target { content: test.content(&values), what, values, blend })
}

enum Meaning {
    Model(ModelId),
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

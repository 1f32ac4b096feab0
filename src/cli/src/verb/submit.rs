//! `blend submit`: recipes and stored outputs to submissions, byte for byte the same on every machine.

use crate::{
    args::{Arguments, Submit},
    context::{Context, file_fingerprint},
    failure::{self, Failure},
    labels, leaderboard, outputs, parts,
    report::{Screen, score, table::TextTable},
};
use blend_core::{
    BlendName, Block, ModelId, OutputKind, PredictionMatrix, Predictions, RowSet, Test,
    blend::Granularity,
    judge,
    judge::Preparation,
    post::PostStep,
    truth::{Labels, angles},
};
use blend_record::{Provenance, Recipe, Sample, Submission};
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
};

/// A submission's values before and after they take the form of the file.
pub(crate) struct Made {
    /// On the target's scale, post steps done, shape `(n_outputs, n_rows)`.
    pub(crate) natural: Block,
    members: PredictionMatrix<Test>,
    /// Files that post steps read.
    data: BTreeMap<PathBuf, blend_core::Fingerprint>,
    steps: Vec<PostStep>,
}

pub(crate) fn run(arguments: &Arguments, it: &Submit, screen: &Screen) -> Result<bool, Failure> {
    let context = Context::open(arguments)?;
    let id = &context.competition.id;
    let sample = context.sample()?.ok_or_else(|| {
        Failure::usage(format!("competition `{id}` names no sample submission"))
            .at(context.competition.file.display())
            .hint("add `sample_submission: FILE`: ids, order and header come from it")
    })?;
    let blends = if it.blends.is_empty() {
        let known = context.workspace.blends(id)?;
        let finals: Vec<BlendName> =
            known.into_iter().filter(|name| matches!(name.as_str(), "best_cv" | "best_lb")).collect();
        if finals.is_empty() {
            return Err(Failure::usage(format!("there is no recipe `best_cv` for `{id}` yet"))
                .at(format!("blends/{id}"))
                .hint("make it with `blend search --target cv`, or name a recipe"));
        }
        finals
    } else {
        it.blends.iter().map(|name| Ok(context.workspace.blend(id, name)?)).collect::<Result<_, Failure>>()?
    };
    let mut values = Vec::new();
    for name in &blends {
        values.push(submit(&context, name, &sample, it.labels.as_deref(), screen)?);
    }
    screen.object(json!({"competition": id.as_str(), "submissions": values}));
    Ok(false)
}

fn submit(
    context: &Context,
    name: &BlendName,
    sample: &Sample,
    label_file: Option<&Path>,
    screen: &Screen,
) -> Result<Value, Failure> {
    let (workspace, id) = (&context.workspace, &context.competition.id);
    let mut recipe = Recipe::read(workspace, id, name)?;
    let made = make(context, &recipe, sample)?;
    fill_in(context, &mut recipe, &made)?;

    let columns = file_columns(context, sample, &made.natural)?;
    let range = range(&made);
    let draft = Submission::new(sample.rows().clone(), sample.columns().to_vec(), columns);
    let checked = draft.check(sample, range)?;
    let path = workspace.submission_csv(id, name);
    let csv = checked.write(&path)?;
    let provenance = Provenance {
        submission: name.clone(),
        competition: id.clone(),
        csv,
        recipe: file_fingerprint(&workspace.recipe_file(id, name))?,
        competition_file: file_fingerprint(&context.competition.file)?,
        sample: (sample.path().to_owned(), sample.fingerprint()),
        members: made.members.members().iter().map(|m| (m.model().clone(), m.fingerprint())).collect(),
        data: made.data.clone(),
        post: made.steps.clone(),
    };
    provenance.write(workspace)?;
    leaderboard::record_made(context, &recipe, csv, &made.natural, sample)?;

    let place = context.show(&path);
    screen.line(format!("wrote {place}"));
    screen.line(format!(
        "  {} rows x {} from {} members, id blend:{}",
        sample.rows().len(),
        sample.columns().len(),
        made.members.members().len(),
        csv.short()
    ));
    let send = leaderboard::send_command(context, &recipe, &place, csv);
    screen.command(format!("  {send}"));
    let scores = label_file.map(|file| known_scores(context, file, sample, &made)).transpose()?;
    context.refuse_fault()?;
    if let Some(scores) = &scores {
        let mut table = TextTable::new(&["rows", ">n", &format!(">{}", context.metric.info().name)]);
        for (rows, n, value) in scores {
            table.row(vec![rows.clone(), n.to_string(), score(*value)]);
        }
        screen.line("  what it scores on the labels given:");
        table.lines().iter().for_each(|line| screen.line(format!("  {line}")));
    }
    Ok(json!({
        "blend": name.as_str(),
        "file": place,
        "provenance": context.show(&workspace.submission_yaml(id, name)),
        "fingerprint": csv.to_string(),
        "id": format!("blend:{}", csv.short()),
        "send": send,
        "rows": sample.rows().len(),
        "columns": sample.columns().len(),
        "scores": scores.map(|scores| scores.into_iter().map(|(rows, n, value)| json!({
            "rows": rows, "n": n, "score": value,
        })).collect::<Vec<_>>()),
    }))
}

/// The blend on the rows of the sample, with all post steps done.
pub(crate) fn make(context: &Context, recipe: &Recipe, sample: &Sample) -> Result<Made, Failure> {
    let blend = &recipe.blend;
    let models: Vec<ModelId> = blend.members().iter().map(|member| member.model.clone()).collect();
    for model in &models {
        context.workspace.model(&context.competition.id, model.as_str()).map_err(|error| {
            let recipe = context.workspace.recipe_file(&context.competition.id, blend.name());
            Failure { place: Some(context.show(&recipe)), ..Failure::from(error) }
                .because(format!("recipe `{}` names a model that is not there", blend.name()))
        })?;
    }
    let names = names(context, sample)?;
    let members = outputs::test_matrix(context, sample.rows(), &models, &names)?;
    for (member, predictions) in blend.members().iter().zip(members.members()) {
        if let Some(recorded) = member.test
            && recorded != predictions.fingerprint()
        {
            return Err(Failure::data(format!("the test outputs of `{}` are not those of the recipe", member.model))
                .at(context.show(&outputs::file::<Test>(context, &member.model)))
                .details(format!("recipe {recorded}, stored {}", predictions.fingerprint()))
                .hint(format!("search again, or bring back the outputs that `{}` was made from", blend.name())));
        }
    }
    let set = RowSet::all(sample.rows().len());
    let all: Vec<&Predictions<Test>> = members.members().iter().collect();
    let mut natural = parts::blended(context, blend, &all, &set, preparation(context))?;
    let mut data = BTreeMap::new();
    if let Granularity::Rows(file) = blend.granularity() {
        data.insert(file.file.clone(), file_fingerprint(&file.file)?);
    }
    let steps = leaderboard::post_steps(context, blend.post(), sample.rows(), &mut natural, |file| {
        data.insert(file.to_owned(), file_fingerprint(file)?);
        Ok(())
    })?;
    Ok(Made { natural, members, data, steps })
}

/// Names of the outputs that members have.
pub(crate) fn names(context: &Context, sample: &Sample) -> Result<Arc<[String]>, Failure> {
    let truth = match (&context.competition.truth, context.metric.info().target) {
        // Only classes can differ from the sample's columns, and only the truth knows their number.
        (Some(_), target) if labels::may_be_classes(target) => Some(context.judged()?.truth),
        _ => None,
    };
    Ok(labels::output_names(context, truth.as_ref(), Some(sample.columns())).unwrap_or_default().into())
}

/// What the metric asks of members before they are averaged: options of the metric, not of any labels.
fn preparation(context: &Context) -> Preparation {
    let spec = &context.competition.metric;
    Preparation { clip: spec.clip.unwrap_or(judge::DEFAULT_CLIP), renormalize: spec.renormalize.unwrap_or(false) }
}

/// Fingerprints of members that a hand-written recipe leaves out are filled in.
fn fill_in(context: &Context, recipe: &mut Recipe, made: &Made) -> Result<(), Failure> {
    if recipe.blend.members().iter().all(|member| member.test.is_some()) {
        return Ok(());
    }
    let mut prints = BTreeMap::new();
    for (member, predictions) in recipe.blend.members().iter().zip(made.members.members()) {
        let oof = outputs::file::<blend_core::Oof>(context, &member.model);
        let oof = if oof.exists() {
            Some(outputs::open::<blend_core::Oof>(context, &member.model)?.outputs.fingerprint)
        } else {
            None
        };
        prints.insert(member.model.clone(), (member.oof.or(oof), Some(predictions.fingerprint())));
    }
    recipe.blend = recipe.blend.clone().with_fingerprints(|model| prints.get(model).copied().unwrap_or_default())?;
    Ok(recipe.write(&context.workspace)?)
}

/// What a value of the file can be.
fn range(made: &Made) -> (f64, f64) {
    const SLACK: f64 = blend_core::prediction::PROBABILITY_SLACK;
    let probabilities = made.members.members().iter().all(|member| {
        matches!(member.encoding().kind.as_probability(), OutputKind::Probability | OutputKind::ClassProbabilities)
    });
    let labels = made.steps.iter().any(|step| matches!(step, PostStep::Thresholds(_)));
    if probabilities && !labels { (-SLACK, 1.0 + SLACK) } else { (f64::NEG_INFINITY, f64::INFINITY) }
}

/// The blend in the columns of the file: angles of directions, else as it is.
fn file_columns(context: &Context, sample: &Sample, natural: &Block) -> Result<Vec<Vec<f64>>, Failure> {
    let Some(decode) = &context.competition.decode else {
        return Ok((0..natural.n_outputs()).map(|output| natural.column(output).to_vec()).collect());
    };
    let (azimuth, zenith): (Vec<f64>, Vec<f64>) = (0..natural.n_rows())
        .map(|row| angles([natural.get(0, row), natural.get(1, row), natural.get(2, row)]))
        .unzip();
    sample
        .columns()
        .iter()
        .map(|column| match column {
            it if *it == decode.azimuth => Ok(azimuth.clone()),
            it if *it == decode.zenith => Ok(zenith.clone()),
            other => Err(Failure::data(format!("the sample submission has a column `{other}`"))
                .at(sample.path().display())
                .hint(format!("`decode` of competition.yaml names `{}` and `{}`", decode.azimuth, decode.zenith))),
        })
        .collect()
}

/// Scores on labels of the test rows: over all of them, and apart for each value of a column `usage`.
fn known_scores(
    context: &Context,
    file: &Path,
    sample: &Sample,
    made: &Made,
) -> Result<Vec<(String, usize, f64)>, Failure> {
    let table = context.read(file, "--labels", &labels::text_columns(context))?;
    let rows = blend_core::TableSource::rows(&table);
    let order = sample.rows().find_in(rows);
    let place = file.display();
    if let Some(row) = order.iter().position(Option::is_none) {
        return Err(Failure::data(format!("no label for row `{}`", sample.rows().id(row)))
            .at(place)
            .hint("labels are wanted for every row of the sample submission"));
    }
    let order: Vec<usize> = order.into_iter().flatten().map(|row| row as usize).collect();
    let (_, values) = labels::labels(context, &table, None).map_err(|failure| failure.at(place))?;
    let all = Labels { values, weights: None }.select(&order);
    let usage =
        table.texts(labels::USAGE).ok().map(|texts| order.iter().map(|&row| texts[row].clone()).collect::<Vec<_>>());
    let mut parts: Vec<(String, Vec<usize>)> = vec![("all".to_owned(), (0..order.len()).collect())];
    if let Some(usage) = &usage {
        let mut kinds = usage.clone();
        kinds.sort();
        kinds.dedup();
        // Public before private, as a leaderboard shows them.
        kinds.sort_by_key(|kind| kind.to_lowercase() != "public");
        for kind in kinds {
            let rows = (0..usage.len()).filter(|&row| usage[row] == kind).collect();
            parts.push((kind, rows));
        }
    }
    parts
        .into_iter()
        .map(|(name, rows)| {
            let bound =
                context.metric.bind(all.select(&rows)).map_err(|error| Failure::from(error).at(file.display()))?;
            let block = made.natural.select(&rows);
            if block.n_outputs() != bound.n_outputs() {
                return Err(Failure::new(failure::DATA, "the labels have other columns than the submission")
                    .at(file.display())
                    .hint("they have the columns of the truth, and may have `usage`"));
            }
            Ok((name, rows.len(), judge::score(&*bound, &block)))
        })
        .collect()
}

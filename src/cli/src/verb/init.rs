//! `blend init`: a competition.yaml, checked against the files that it names.

use crate::{
    args::{Arguments, Init},
    context::Context,
    failure::{self, Failure},
    report::Screen,
};
use blend_core::{
    CompetitionId,
    manifest::ColumnFile,
    metric::{self, MetricSpec},
    space::{self, SpaceName},
};
use blend_record::{Competition, Targets, Workspace};
use blend_store::{IdSpec, ReadOptions, Table};
use serde_json::json;
use std::path::{Path, PathBuf};

pub(crate) fn run(arguments: &Arguments, it: &Init, screen: &Screen) -> Result<bool, Failure> {
    let id =
        CompetitionId::new(&it.name).map_err(|error| Failure::from(error).at(format!("competition `{}`", it.name)))?;
    // A first competition makes the workspace where the command was typed.
    let workspace = Workspace::find(&arguments.directory, arguments.allow_outside).or_else(|_| {
        Workspace::at(&arguments.directory, arguments.allow_outside)
            .map_err(|error| Failure::new(failure::MACHINE, error.to_string()).at(arguments.directory.display()))
    })?;
    let file = workspace.competition_file(&id);
    if file.exists() && !it.force {
        return Err(Failure::usage(format!("competition `{id}` is there already"))
            .at(workspace.show(&file).display())
            .hint("edit it, or replace it with `--force`"));
    }
    let competition = competition(&workspace, &file, id, it)?;
    let metric = metric::build(&competition.metric).map_err(|error| failure::of_spec(&error, "--metric"))?;
    // Everything is read once before anything is written: a competition.yaml that is written works.
    let context = Context { workspace, competition, metric };
    let judged = context.judged()?;
    let sample = context.sample()?;
    let bound = context.metric.bind(judged.truth.on(&judged.scope.rows)).map_err(|error| context.unjudged(error))?;
    context.competition.write(&context.workspace)?;
    for folder in ["models", "blends", "submissions"] {
        let folder = context.workspace.root().join(folder);
        std::fs::create_dir_all(&folder)
            .map_err(|error| Failure::new(failure::MACHINE, error.to_string()).at(folder.display()))?;
    }
    let place = context.show(&file);
    let n_folds = judged.folds.as_ref().map_or(0, |folds| folds.distinct().len());
    screen.line(format!("wrote {place}"));
    screen.line(format!(
        "  {} rows, {} outputs, {}, {}",
        judged.truth.rows().len(),
        bound.n_outputs(),
        if n_folds > 0 { format!("{n_folds} folds") } else { "no folds".to_owned() },
        sample.as_ref().map_or("no sample submission".to_owned(), |s| format!("{} test rows", s.rows().len())),
    ));
    screen.line(format!("next: blend -c {} import MODEL --oof FILE --test FILE", context.competition.id));
    screen.object(json!({
        "competition": context.competition.id.as_str(),
        "file": place,
        "rows": judged.truth.rows().len(),
        "scored_rows": judged.scope.rows.len(),
        "outputs": bound.n_outputs(),
        "folds": n_folds,
        "test_rows": sample.map(|sample| sample.rows().len()),
    }));
    Ok(false)
}

fn competition(workspace: &Workspace, file: &Path, id: CompetitionId, it: &Init) -> Result<Competition, Failure> {
    let space = match &it.space {
        None => None,
        Some(name) => Some(name.parse::<SpaceName>().map_err(|()| {
            failure::unknown("space", name, space::CATALOGUE.iter().map(|(_, space)| space.info().name))
                .at(format!("--space {name}"))
        })?),
    };
    let path = |path: &Path| -> Result<PathBuf, Failure> {
        let absolute = std::path::absolute(path)
            .map_err(|error| Failure::new(failure::MACHINE, error.to_string()).at(path.display()))?;
        let written = workspace.written(file.parent().unwrap_or(Path::new("")), &absolute);
        workspace.resolve(file, &written).map_err(|error| {
            Failure::usage(error.to_string())
                .at(path.display())
                .hint("copy the file into the workspace, or give `--allow-outside`")
        })
    };
    let truth = path(&it.truth)?;
    let folds = it
        .folds
        .as_ref()
        .map(|text| {
            // A colon may also stand in a path; what follows the last one is a column only where the rest is a file.
            let (name, column) = match text.rsplit_once(':') {
                Some((name, column)) if Path::new(name).exists() => (name, column),
                _ => (text.as_str(), "fold"),
            };
            Ok::<_, Failure>(ColumnFile { file: path(Path::new(name))?, column: column.to_owned() })
        })
        .transpose()?;
    let id_column = match &it.id {
        Some(id) => id.clone(),
        None => first_column(&truth)?,
    };
    Ok(Competition {
        id,
        file: file.to_owned(),
        default: false,
        metric: MetricSpec { name: it.metric.clone(), ..MetricSpec::default() },
        space,
        truth: Some(truth),
        id_column,
        targets: if it.targets.is_empty() { Targets::All } else { Targets::Named(it.targets.clone()) },
        folds,
        groups: None,
        weights: None,
        scope: None,
        sample_submission: it.sample_submission.as_deref().map(path).transpose()?,
        post: Vec::new(),
        leaderboard: None,
        decode: None,
        classes: None,
    })
}

/// The id column where none is named: the first of the truth; `id` in a file without names.
fn first_column(truth: &Path) -> Result<String, Failure> {
    if truth.extension().is_some_and(|extension| extension == "npy") {
        return Ok("id".to_owned());
    }
    let options = ReadOptions { id: IdSpec::FirstColumn, ..ReadOptions::default() };
    let table = Table::read(truth, &options).map_err(|error| Failure::from(error).at(truth.display()))?;
    Ok(table.id_name().unwrap_or("id").to_owned())
}

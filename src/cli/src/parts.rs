//! Weights by part: which outputs and rows share a set of weights, as it is typed and as a recipe says it.

use crate::{
    context::Context,
    failure::{self, Failure},
};
use blend_core::{
    Blend, Block, Predictions, RowIndex, RowSet, Split,
    blend::Granularity,
    judge::Preparation,
    manifest::ColumnFile,
    pool::{Pool, Weighing},
    post::{self, PostStep},
};
use blend_search::Parts;
use blend_store::{IdSpec, ReadOptions, Table};
use std::path::{Path, PathBuf};

/// What was asked for: where weights differ, which part each output or row belongs to, and the parts' names.
pub(crate) struct Asked {
    pub(crate) granularity: Granularity,
    pub(crate) parts: Option<Parts>,
    pub(crate) names: Vec<String>,
}

/// The column of a table of targets that names their groups.
const GROUP: &str = "group";

/// `--granularity` as typed: `global`, `per-target`, `targets:FILE` or `rows:FILE:COLUMN`. `columns` are the outputs,
/// `rows` those of the truth, of which `scope` counts.
pub(crate) fn asked(
    context: &Context,
    text: &str,
    columns: &[String],
    rows: &RowIndex,
    scope: &RowSet,
) -> Result<Asked, Failure> {
    let place = || format!("--granularity {text}");
    match text.split_once(':') {
        None if text == "global" => Ok(Asked { granularity: Granularity::Global, parts: None, names: Vec::new() }),
        None if text == "per-target" || text == "per_target" => {
            let parts = Some(Parts::Outputs((0..columns.len() as u32).collect()));
            Ok(Asked { granularity: Granularity::PerTarget, parts, names: columns.to_vec() })
        }
        Some(("targets", file)) => targets(columns, Path::new(file)).map_err(|failure| failure.at(place())),
        Some(("rows", rest)) => {
            let Some((file, column)) = rest.rsplit_once(':') else {
                return Err(Failure::usage("a table of rows and its column are wanted")
                    .at(place())
                    .hint("as `--granularity rows:lengths.csv:length`"));
            };
            let file = std::path::absolute(file).unwrap_or_else(|_| PathBuf::from(file));
            let file = ColumnFile { file, column: column.to_owned() };
            let texts = context.row_groups(&file, rows)?;
            let mut names: Vec<String> = scope.iter().map(|row| texts[row].clone()).collect();
            names.sort_unstable();
            names.dedup();
            // Rows that do not count may be of any group.
            let part = texts.iter().map(|text| names.binary_search(text).unwrap_or(0) as u32).collect();
            Ok(Asked { granularity: Granularity::Rows(file), parts: Some(Parts::Rows(part)), names })
        }
        _ => {
            let known = ["global", "per-target", "targets:FILE", "rows:FILE:COLUMN"];
            Err(failure::unknown("granularity", text, known.into_iter()).at(place()))
        }
    }
}

/// Groups of targets from a table: a line per target, with its name and its `group`.
fn targets(columns: &[String], path: &Path) -> Result<Asked, Failure> {
    let options = ReadOptions { id: IdSpec::FirstColumn, text: vec![GROUP.to_owned()], ..ReadOptions::default() };
    let table = Table::read(path, &options)?;
    let groups = table.texts(GROUP)?;
    let listed: Vec<String> = blend_core::TableSource::rows(&table).iter().map(std::borrow::Cow::into_owned).collect();
    if let Some(other) = listed.iter().find(|target| !columns.contains(target)) {
        return Err(failure::unknown("target", other, columns.iter().map(String::as_str)));
    }
    let mut named: Vec<(String, Vec<String>)> = Vec::new();
    let mut part = Vec::with_capacity(columns.len());
    for column in columns {
        let Some(at) = listed.iter().position(|target| target == column) else {
            return Err(Failure::usage(format!("target `{column}` is in no group"))
                .hint(format!("one line per target: its name, and a column `{GROUP}`")));
        };
        let group = &groups[at];
        let place = named.iter().position(|(name, _)| name == group).unwrap_or_else(|| {
            named.push((group.clone(), Vec::new()));
            named.len() - 1
        });
        named[place].1.push(column.clone());
        part.push(place as u32);
    }
    let names = named.iter().map(|(name, _)| name.clone()).collect();
    Ok(Asked { granularity: Granularity::Targets(named), parts: Some(Parts::Outputs(part)), names })
}

/// A recipe's blend on the rows of `set`, before its post steps: shape `(n_outputs, set.len())`, on the target's scale.
/// `members` are the recipe's, in its order.
pub(crate) fn blended<S: Split>(
    context: &Context,
    blend: &Blend,
    members: &[&Predictions<S>],
    set: &RowSet,
    preparation: Preparation,
) -> Result<Block, Failure> {
    let place = || context.show(&context.workspace.recipe_file(&context.competition.id, blend.name()));
    let mut members = members.to_vec();
    let Some(first) = members.first() else {
        return Err(Failure::usage(format!("recipe `{}` has no members", blend.name())).at(place()));
    };
    let (rows, columns) = (first.rows().clone(), first.columns().clone());
    let part = of_rows(context, blend, &rows)?;
    let mut weighing = weighing(blend, &columns, &part).map_err(|failure| failure.at(place()))?;
    let ones = Predictions::<S>::ones(rows, columns, blend.space());
    if blend.intercept() != 0.0 {
        let (Some(ones), Weighing::Same(weights)) = (&ones, &mut weighing) else {
            return Err(Failure::usage(format!("an intercept has no place in space `{}`", blend.space().name()))
                .at(place())
                .hint("leave `intercept` out, or blend in space linear or logit"));
        };
        members.push(ones);
        weights.push(blend.intercept());
    }
    Ok(Pool::weighed(&members, weighing, blend.space(), preparation).whole(set))
}

/// As [`blended`], after the steps that were fitted with the weights: what the recipe's own scores are of.
pub(crate) fn judged<S: Split>(
    context: &Context,
    blend: &Blend,
    members: &[&Predictions<S>],
    set: &RowSet,
    preparation: Preparation,
) -> Result<Block, Failure> {
    let mut natural = blended(context, blend, members, set, preparation)?;
    let fitted = |step: &&PostStep| matches!(step, PostStep::Calibrate(_) | PostStep::Thresholds(_));
    blend.post().iter().filter(fitted).for_each(|step| post::apply(step, &mut natural, None));
    Ok(natural)
}

/// The part of each of `rows` in a recipe with weights by row; nothing in other recipes. A group without weights of its
/// own gets the number after the last part.
fn of_rows(context: &Context, blend: &Blend, rows: &RowIndex) -> Result<Vec<u32>, Failure> {
    let Granularity::Rows(file) = blend.granularity() else { return Ok(Vec::new()) };
    let place = |text: &String| blend.parts().iter().position(|part| part.part == *text);
    let texts = context.row_groups(file, rows)?;
    Ok(texts.iter().map(|text| place(text).unwrap_or(blend.parts().len()) as u32).collect())
}

/// The weights of a recipe where they hold: `columns` are the outputs, `part` is what [`of_rows`] says.
fn weighing<'a>(blend: &Blend, columns: &[String], part: &'a [u32]) -> Result<Weighing<'a>, Failure> {
    let of_part = |name: &str| blend.parts().iter().find(|part| part.part == name).map(|part| part.weights.clone());
    let of_column = |column: &String| {
        let group = match blend.granularity() {
            Granularity::Targets(groups) => groups.iter().find(|(_, targets)| targets.contains(column)),
            _ => None,
        };
        let name = group.map_or(column, |(name, _)| name);
        of_part(name).ok_or_else(|| {
            Failure::usage(format!("recipe `{}` has no weights for target `{column}`", blend.name()))
                .hint("add a line for it under `weights`, or search again")
        })
    };
    Ok(match blend.granularity() {
        Granularity::Global => Weighing::Same(blend.weights()),
        Granularity::PerTarget | Granularity::Targets(_) => {
            Weighing::ByOutput(columns.iter().map(of_column).collect::<Result<_, _>>()?)
        }
        Granularity::Rows(_) => {
            let own = blend.parts().iter().map(|part| part.weights.clone());
            Weighing::ByRow(part, own.chain([blend.weights()]).collect())
        }
    })
}

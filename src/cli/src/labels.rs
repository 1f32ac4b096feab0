//! A table of labels to a truth: which columns are targets, what kind they are, and how outputs are named.

use crate::{
    context::Context,
    failure::{self, Failure},
};
use blend_core::{
    OutputKind, Scope, TableSource, Truth,
    manifest::ColumnFile,
    metric::Target,
    source::Column,
    truth::{LabelValues, Labels, direction},
};
use blend_record::Targets;
use blend_store::Table;

/// Columns of the truth that are read as they are written: class labels.
pub(crate) fn text_columns(context: &Context) -> Vec<String> {
    match (&context.competition.targets, context.metric.info().target) {
        (Targets::Named(names), target) if names.len() == 1 && may_be_classes(target) => names.clone(),
        _ => Vec::new(),
    }
}

/// Whether one column of labels may hold classes, with an output for each.
pub(crate) fn may_be_classes(target: Target) -> bool {
    matches!(target, Target::Classes | Target::Labels | Target::Relevance)
}

/// The column of a table of test labels that says which part of a leaderboard a row belongs to.
pub(crate) const USAGE: &str = "usage";

/// Names of the target columns of a table of labels, of the training or of the test rows, in order.
fn targets(context: &Context, table: &Table, of_test: bool) -> Vec<String> {
    if let Some(decode) = &context.competition.decode {
        return vec![decode.azimuth.clone(), decode.zenith.clone()];
    }
    match &context.competition.targets {
        Targets::Named(names) => names.clone(),
        // A column that the same file lends to folds, groups or weights is no target.
        Targets::All => {
            let competition = &context.competition;
            let lent: Vec<&ColumnFile> =
                [&competition.folds, &competition.groups, &competition.weights].into_iter().flatten().collect();
            let is_lent = |name: &String| lent.iter().any(|it| it.column == *name && it.file == table.path());
            let is_usage = |name: &String| of_test && name == USAGE;
            table.names().into_iter().filter(|name| !is_lent(name) && !is_usage(name)).collect()
        }
    }
}

/// The truth in a table of labels. Labels outside `scope` may be NaN; they are never read.
pub(crate) fn truth(context: &Context, table: &Table, scope: &Scope) -> Result<Truth, Failure> {
    let place = context.show(table.path());
    let (names, values) = labels(context, table, Some(scope)).map_err(|failure| failure.at(&place))?;
    let weights = match &context.competition.weights {
        Some(file) => {
            let mut weights = context.numbers(file, table.rows(), "`weights`")?;
            outside(scope, &mut weights, 1.0);
            Some(weights)
        }
        None => None,
    };
    Truth::new(table.rows().clone(), names, Labels { values, weights }).map_err(|error| Failure::from(error).at(place))
}

/// Replaces values outside the scope, which are never read, by one that passes every check.
fn outside(scope: &Scope, values: &mut [f64], by: f64) {
    if !scope.rows.is_all() {
        values.iter_mut().zip(scope.rows.mask()).filter(|(_, inside)| !inside).for_each(|(value, _)| *value = by);
    }
}

/// Names and labels of a table, of the kind that the metric judges. Labels of test rows have no `scope`.
pub(crate) fn labels(
    context: &Context,
    table: &Table,
    scope: Option<&Scope>,
) -> Result<(Vec<String>, LabelValues), Failure> {
    let names = targets(context, table, scope.is_none());
    if names.is_empty() {
        return Err(Failure::data("the truth has no target columns")
            .hint("name them with `targets: [a, b]` in competition.yaml"));
    }
    let number = |name: &String| -> Result<Vec<f64>, Failure> {
        let mut values = table.numbers(name)?;
        if let Some(scope) = scope {
            outside(scope, &mut values, 0.0);
        }
        Ok(values)
    };
    let target = context.metric.info().target;
    match target {
        _ if names.len() == 1 && may_be_classes(target) => {
            let texts = table.texts(&names[0])?;
            // Zeros and ones are one probability to a metric that takes either, unless classes are named.
            if target == Target::Labels
                && context.competition.classes.is_none()
                && let Some(column) = zeros_and_ones(&texts)
            {
                return Ok((names, LabelValues::Binary(vec![column])));
            }
            refuse_numbers(context, &names[0], &texts)?;
            let (labels, names) = classes(context, &texts)?;
            Ok((names.clone(), LabelValues::Class { labels, names }))
        }
        Target::Survival => survival(context, table, names, number),
        Target::Direction => {
            let columns = names.iter().map(number).collect::<Result<Vec<_>, _>>()?;
            Ok((names, directions(&columns, context.competition.decode.is_some())?))
        }
        Target::Binary | Target::Labels => {
            let columns = names
                .iter()
                .map(|name| {
                    let column = table.column(name)?;
                    binary(&column, || number(name))
                })
                .collect::<Result<Vec<_>, Failure>>()?;
            let values = match columns.iter().cloned().collect::<Option<Vec<_>>>() {
                Some(columns) => LabelValues::Binary(columns),
                None => LabelValues::Real(names.iter().map(number).collect::<Result<Vec<_>, _>>()?),
            };
            Ok((names, values))
        }
        _ => {
            let columns = names.iter().map(number).collect::<Result<Vec<_>, _>>()?;
            Ok((names, LabelValues::Real(columns)))
        }
    }
}

/// Texts that are all 0 or 1, as numbers.
fn zeros_and_ones(texts: &[String]) -> Option<Vec<u8>> {
    texts.iter().map(|text| text.parse::<f64>().ok().filter(|y| *y == 0.0 || *y == 1.0).map(|y| y as u8)).collect()
}

/// Times and events, with the strata that the metric names.
fn survival(
    context: &Context,
    table: &Table,
    names: Vec<String>,
    number: impl Fn(&String) -> Result<Vec<f64>, Failure>,
) -> Result<(Vec<String>, LabelValues), Failure> {
    let [time, event] = &names[..] else {
        return Err(Failure::usage(format!(
            "{} wants two target columns, not {}",
            context.metric.info().name,
            names.len()
        ))
        .hint("name the time and the event, in this order: `targets: [time, event]` in competition.yaml"));
    };
    let time = number(time)?;
    let column = table.column(event)?;
    let event = binary(&column, || number(event))?.ok_or_else(|| {
        Failure::data(format!("column `{event}` holds something else than 0 and 1"))
            .hint("1 is an event, 0 a time that was censored; `targets: [time, event]`, in this order")
    })?;
    let strata = match &context.competition.metric.strata {
        Some(file) => Some(context.numbered(file, table.rows(), "`strata`")?),
        None => None,
    };
    // The prediction is one column: how soon, not when and whether.
    Ok((vec![RISK.to_owned()], LabelValues::Survival { time, event, strata }))
}

/// The output of a model of survival, where no sample submission names it.
const RISK: &str = "risk";

/// A column of zeros and ones in a byte each; `None` where it holds anything else.
fn binary(column: &Column, numbers: impl Fn() -> Result<Vec<f64>, Failure>) -> Result<Option<Vec<u8>>, Failure> {
    let small = |values: &mut dyn Iterator<Item = Option<u8>>| values.collect::<Option<Vec<u8>>>();
    Ok(match column {
        Column::I64(values) => small(&mut values.iter().map(|&y| u8::try_from(y).ok().filter(|y| *y <= 1))),
        Column::Bool(values) => Some(values.iter().map(|&y| u8::from(y)).collect()),
        _ => {
            let byte = |y: f64| (y == 0.0 || y == 1.0).then_some(y as u8);
            small(&mut numbers()?.into_iter().map(byte))
        }
    })
}

/// Values up to which numbers with a fraction may be names of classes: half grades are.
const FRACTIONAL_CLASSES: usize = 20;

/// Refuses a column of measurements where classes are wanted: each value would be a class of its own.
fn refuse_numbers(context: &Context, column: &str, texts: &[String]) -> Result<(), Failure> {
    let fractional = |text: &String| text.parse::<f64>().is_ok_and(|y| y.is_finite() && y.fract() != 0.0);
    let are_numbers = texts.iter().any(fractional) && texts.iter().all(|text| text.parse::<f64>().is_ok());
    if context.competition.classes.is_some() || !are_numbers {
        return Ok(());
    }
    let distinct = texts.iter().collect::<std::collections::HashSet<_>>().len();
    if distinct <= FRACTIONAL_CLASSES {
        return Ok(());
    }
    let info = context.metric.info();
    Err(Failure::data(format!("target `{column}` holds numbers ({distinct} distinct values), not classes"))
        .details(format!("{} judges {}", info.name, info.target.words()))
        .hint(
            "choose a metric of numbers (`blend list metrics`), or name another column with `targets:` in \
             competition.yaml; numbers that are names of classes are listed under `classes:`",
        ))
}

/// Class labels as positions, and the classes' names: those of competition.yaml, else in ascending order (by number
/// where all are numbers).
fn classes(context: &Context, texts: &[String]) -> Result<(Vec<u32>, Vec<String>), Failure> {
    let names = context.competition.classes.clone().unwrap_or_else(|| {
        let mut names: Vec<String> = texts.to_vec();
        let numbers = names.iter().all(|name| name.parse::<f64>().is_ok());
        if numbers {
            let value = |name: &String| name.parse::<f64>().unwrap_or(0.0);
            names.sort_by(|a, b| value(a).total_cmp(&value(b)));
        } else {
            names.sort();
        }
        names.dedup();
        names
    });
    let place: std::collections::HashMap<&str, u32> =
        names.iter().enumerate().map(|(place, name)| (name.as_str(), place as u32)).collect();
    let labels = texts
        .iter()
        .enumerate()
        .map(|(row, text)| {
            place.get(text.as_str()).copied().ok_or_else(|| {
                Failure::data(format!("row {row} has the label `{text}`, which is none of the classes"))
                    .hint(format!("`classes` of competition.yaml has {}", failure::shortened(&names)))
            })
        })
        .collect::<Result<Vec<_>, _>>()?;
    Ok((labels, names))
}

/// Angles or components to unit vectors.
fn directions(columns: &[Vec<f64>], angles: bool) -> Result<LabelValues, Failure> {
    match columns {
        [azimuth, zenith] if angles => {
            Ok(LabelValues::Directions(azimuth.iter().zip(zenith).map(|(&az, &ze)| direction(az, ze)).collect()))
        }
        [x, y, z] => Ok(LabelValues::Directions(
            x.iter()
                .zip(y)
                .zip(z)
                .map(|((&x, &y), &z)| {
                    let length = (x * x + y * y + z * z).sqrt();
                    if length > 0.0 { [x / length, y / length, z / length] } else { [0.0, 0.0, 1.0] }
                })
                .collect(),
        )),
        _ => Err(Failure::usage("directions need three target columns, or two angles")
            .hint("add `decode: {azimuth: COLUMN, zenith: COLUMN}` to competition.yaml")),
    }
}

/// Names of the outputs that stored predictions have, in order: the sample submission's where there is one, else those
/// of the labels; x, y, z for directions.
pub(crate) fn output_names(context: &Context, truth: Option<&Truth>, sample: Option<&[String]>) -> Option<Vec<String>> {
    if context.metric.info().target == Target::Direction {
        return Some(["x", "y", "z"].map(str::to_owned).to_vec());
    }
    let wanted = truth.map(|truth| truth.labels().n_outputs());
    match sample {
        // A sample with another number of columns is for a derived value (a class label); outputs are the classes.
        Some(columns) if wanted.is_none_or(|wanted| wanted == columns.len()) => Some(columns.to_vec()),
        _ => truth.map(|truth| truth.names().to_vec()),
    }
}

/// What a model's numbers are taken for where nothing is said.
pub(crate) fn default_kind(context: &Context) -> OutputKind {
    let info = context.metric.info();
    match context.competition.classes {
        Some(_) if info.target == Target::Labels => OutputKind::ClassProbabilities,
        _ => info.predictions[0],
    }
}

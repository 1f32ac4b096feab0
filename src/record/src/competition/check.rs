//! The mirror of `competition.yaml` and how it becomes a [`Competition`].

use super::{Competition, Decode, Leaderboard, PublicRows, ScopeRule, Targets, write::default_scope_name};
use crate::{
    error::{DocumentError, did_you_mean},
    yaml::{
        At, Doc, Form,
        parts::{ColumnRaw, Expected, Finite, MarkRaw, Names, POST_FORM, PostRaw, ScalarOr},
    },
};
use blend_core::{
    CompetitionId, Direction,
    metric::{self, GraphSpec, MetricSpec, SpecError},
};
use serde::Deserialize;
use serde_yaml::Location;
use std::collections::BTreeMap;

/// Decimals of Kaggle's leaderboards.
const DECIMALS: u32 = 5;

pub(super) const FORM: Form = Form(&[
    ("competition", "`competition: NAME`, the folder's name"),
    ("default", "`default: true` or `default: false`"),
    ("metric", "`metric: log_loss`, or `metric: {name: log_loss, clip: 1e-15}`; see `blend list metrics`"),
    ("space", "`space: logit`; see `blend list spaces`"),
    ("truth", "`truth: data/train.csv`"),
    ("id", "`id: COLUMN`"),
    ("targets", "`targets: \"*\"`, or `targets: [a, b]`"),
    ("folds", "`folds: {file: data/folds.csv, column: fold}`"),
    ("groups", "`groups: {file: data/groups.csv, column: group}`"),
    ("weights", "`weights: {file: data/weights.csv, column: weight}`"),
    ("scope", "`scope: {exclude: {file: F, column: C, equals: V}}`, or with `include`; `name` is free"),
    ("sample_submission", "`sample_submission: data/sample_submission.csv`"),
    ("post", POST_FORM),
    (
        "leaderboard",
        "`leaderboard: {decimals: 5, public_rows: all}`; public_rows: all, a fraction as 0.25, a count as 1000, a \
         file of ids, or {file: F, column: C, equals: V}",
    ),
    ("decode", "`decode: {azimuth: COLUMN, zenith: COLUMN}`"),
    ("classes", "`classes: [a, b, c]`, in the order of the outputs' columns"),
]);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Raw {
    competition: At<String>,
    #[serde(default)]
    default: bool,
    metric: At<ScalarOr<MetricRaw>>,
    space: Option<At<String>>,
    truth: Option<At<String>>,
    id: At<String>,
    targets: Option<At<Names>>,
    folds: Option<ColumnRaw>,
    groups: Option<ColumnRaw>,
    weights: Option<ColumnRaw>,
    scope: Option<At<ScopeRaw>>,
    sample_submission: Option<At<String>>,
    #[serde(default)]
    post: Vec<At<PostRaw>>,
    leaderboard: Option<LeaderboardRaw>,
    decode: Option<At<DecodeRaw>>,
    classes: Option<At<Vec<String>>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct MetricRaw {
    name: Option<String>,
    clip: Option<Finite>,
    renormalize: Option<bool>,
    aggregation: Option<String>,
    #[serde(default)]
    class_weights: BTreeMap<String, Finite>,
    k: Option<u32>,
    quantile: Option<Finite>,
    strata: Option<ColumnRaw>,
    graph: Option<At<String>>,
    better: Option<At<String>>,
    labels: Option<At<String>>,
}

impl Expected for MetricRaw {
    const EXPECTED: &'static str = "the name of a metric, or a map with its name and options";
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ScopeRaw {
    name: Option<String>,
    exclude: Option<MarkRaw>,
    include: Option<MarkRaw>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LeaderboardRaw {
    decimals: Option<At<u32>>,
    public_rows: Option<At<ScalarOr<MarkRaw>>>,
}

impl Expected for MarkRaw {
    const EXPECTED: &'static str = "all, a fraction, a count, a file of ids, or a map that marks rows";
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DecodeRaw {
    azimuth: String,
    zenith: String,
}

/// Raw to checked.
pub(super) fn check(doc: &Doc<'_>, id: &CompetitionId, raw: Raw) -> Result<Competition, DocumentError> {
    doc.name_of_place("competition", &raw.competition, id)?;
    if raw.id.value.is_empty() {
        return Err(doc.fault(raw.id.referenced, "the name of the id column is empty"));
    }
    let path = |text: &Option<At<String>>| text.as_ref().map(|text| doc.path(text)).transpose();
    let column = |raw: &Option<ColumnRaw>| raw.as_ref().map(|raw| doc.column(raw)).transpose();
    let targets = raw.targets.as_ref().map_or(Ok(Targets::All), |raw| doc.names(raw))?;
    if let (Targets::Named(names), Some(at)) = (&targets, &raw.targets)
        && names.contains(&raw.id.value)
    {
        return Err(doc.fault(at.referenced, format!("the id column `{}` is no target", raw.id.value)));
    }
    if let Some(classes) = &raw.classes {
        doc.distinct(&classes.value, classes.referenced)?;
        if classes.value.len() < 2 {
            return Err(doc.fault(classes.referenced, "one class is nothing to predict"));
        }
    }
    if let Some(decode) = &raw.decode
        && decode.value.azimuth == decode.value.zenith
    {
        return Err(doc.fault(decode.referenced, "azimuth and zenith are the same column"));
    }
    Ok(Competition {
        id: id.clone(),
        file: doc.file.to_owned(),
        default: raw.default,
        metric: check_metric(doc, raw.metric)?,
        space: raw.space.as_ref().map(|text| doc.space(text)).transpose()?,
        truth: path(&raw.truth)?,
        id_column: raw.id.value,
        targets,
        folds: column(&raw.folds)?,
        groups: column(&raw.groups)?,
        weights: column(&raw.weights)?,
        scope: raw.scope.map(|raw| check_scope(doc, raw)).transpose()?,
        sample_submission: path(&raw.sample_submission)?,
        post: doc.post(&raw.post)?,
        leaderboard: raw.leaderboard.map(|raw| check_leaderboard(doc, raw)).transpose()?,
        decode: raw.decode.map(|raw| Decode { azimuth: raw.value.azimuth, zenith: raw.value.zenith }),
        classes: raw.classes.map(|raw| raw.value),
    })
}

fn check_metric(doc: &Doc<'_>, raw: At<ScalarOr<MetricRaw>>) -> Result<MetricSpec, DocumentError> {
    let at = raw.referenced;
    let spec = match raw.value {
        ScalarOr::Text(name) => MetricSpec { name, ..MetricSpec::default() },
        ScalarOr::Map(raw) if raw.graph.is_some() || raw.better.is_some() || raw.labels.is_some() => {
            return check_graph(doc, at, raw);
        }
        ScalarOr::Map(raw) => MetricSpec {
            name: raw.name.ok_or_else(|| doc.missing(at.line() as usize, at.column() as usize, "name"))?,
            clip: raw.clip.map(|clip| clip.0),
            renormalize: raw.renormalize,
            aggregation: raw.aggregation,
            class_weights: raw.class_weights.into_iter().map(|(class, weight)| (class, weight.0)).collect(),
            k: raw.k,
            quantile: raw.quantile.map(|quantile| quantile.0),
            strata: raw.strata.as_ref().map(|strata| doc.column(strata)).transpose()?,
            graph: None,
        },
        ScalarOr::Number(_) | ScalarOr::Count(_) => {
            return Err(doc.fault(at, format!("expected {}, found a number", MetricRaw::EXPECTED)));
        }
    };
    match metric::build(&spec) {
        Ok(_) => Ok(spec),
        Err(SpecError::Unknown(name)) => {
            let known = metric::CATALOGUE.map(|(info, _)| info.name);
            let near = did_you_mean(&name, known);
            Err(doc.fault_as(at, format!("unknown metric `{name}`{near}"), format!("there are: {}", known.join(", "))))
        }
        Err(error) => Err(doc.fault(at, error.to_string())),
    }
}

/// `{graph: metric.onnx, better: higher, labels: classes}`: a metric of the competition's own.
fn check_graph(doc: &Doc<'_>, at: Location, raw: MetricRaw) -> Result<MetricSpec, DocumentError> {
    let Some(graph) = &raw.graph else {
        return Err(doc.fault(at, "`better` and `labels` stand beside `graph`: other metrics know theirs"));
    };
    let spec = MetricSpec {
        graph: Some(GraphSpec {
            file: doc.path(graph)?,
            better: raw.better.as_ref().map_or(Ok(Direction::Lower), |better| {
                doc.choice("direction", better, &[("lower", Direction::Lower), ("higher", Direction::Higher)])
            })?,
            classes: raw.labels.as_ref().map_or(Ok(false), |labels| {
                doc.choice("kind of labels", labels, &[("numbers", false), ("classes", true)])
            })?,
        }),
        ..MetricSpec::default()
    };
    let others = raw.name.is_some()
        || raw.clip.is_some()
        || raw.renormalize.is_some()
        || raw.aggregation.is_some()
        || !raw.class_weights.is_empty()
        || raw.k.is_some()
        || raw.quantile.is_some()
        || raw.strata.is_some();
    if others {
        return Err(doc.fault(at, "a graph is the whole metric: beside it stand `better` and `labels` only"));
    }
    Ok(spec)
}

fn check_scope(doc: &Doc<'_>, raw: At<ScopeRaw>) -> Result<ScopeRule, DocumentError> {
    let (include, mark) = match (&raw.value.exclude, &raw.value.include) {
        (Some(mark), None) => (false, mark),
        (None, Some(mark)) => (true, mark),
        (Some(_), Some(_)) => return Err(doc.fault(raw.referenced, "`exclude` and `include` stand together")),
        (None, None) => return Err(doc.fault(raw.referenced, "neither `exclude` nor `include` is there")),
    };
    let mark = doc.mark(mark)?;
    let name = raw.value.name.unwrap_or_else(|| default_scope_name(include, &mark));
    Ok(ScopeRule { name, include, mark })
}

fn check_leaderboard(doc: &Doc<'_>, raw: LeaderboardRaw) -> Result<Leaderboard, DocumentError> {
    let decimals = match raw.decimals {
        Some(at) if at.value > 15 => {
            return Err(doc.fault(at.referenced, format!("{} decimals: a number holds 15", at.value)));
        }
        at => at.map_or(DECIMALS, |at| at.value),
    };
    let Some(At { value, referenced: at, .. }) = raw.public_rows else {
        return Ok(Leaderboard { decimals, public_rows: None });
    };
    let public_rows = match value {
        ScalarOr::Text(text) if text == "all" => PublicRows::All,
        ScalarOr::Text(text) => PublicRows::Ids(doc.path(&At::new(text, at, at))?),
        ScalarOr::Number(fraction) if fraction > 0.0 && fraction <= 1.0 => PublicRows::Fraction(fraction),
        ScalarOr::Number(number) => {
            return Err(doc.fault(at, format!("{number} is neither a fraction in (0, 1] nor a count")));
        }
        ScalarOr::Count(0) => return Err(doc.fault(at, "no public rows at all")),
        ScalarOr::Count(count) => PublicRows::Count(count),
        ScalarOr::Map(mark) => PublicRows::Marked(doc.mark(&mark)?),
    };
    Ok(Leaderboard { decimals, public_rows: Some(public_rows) })
}

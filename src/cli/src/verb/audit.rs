//! `blend audit`: scores of every model, and everything that is wrong with a file.

use crate::{
    args::{Arguments, Audit},
    context::{Context, Judged, ends},
    failure::Failure,
    labels, outputs,
    report::{Screen, number, score, table::TextTable},
};
use blend_core::{
    Block, ModelId, Oof, OutputKind, PredictionMatrix, Predictions, RowSet, Test,
    audit::{self, Finding, Part, Severity, Stored, Wanted},
    compare, judge,
    output::Encoding,
};
use blend_store::feather;
use rayon::prelude::*;
use serde_json::{Map, Value, json};
use std::sync::Arc;

/// The scores of one model's OOF outputs.
#[derive(Default)]
struct Scores {
    overall: Option<f64>,
    folds: Vec<(i64, Option<f64>)>,
    targets: Vec<(String, Option<f64>)>,
}

pub(crate) fn run(arguments: &Arguments, it: &Audit, screen: &Screen) -> Result<bool, Failure> {
    let context = Context::open(arguments)?;
    let models = outputs::chosen(&context, &it.models, |_| true)?;
    if models.is_empty() {
        return Err(Failure::usage(format!("`{}` has no models yet", context.competition.id))
            .at(context.show(&context.workspace.competition_folder(&context.competition.id)))
            .hint("`blend predict` or `blend import MODEL --oof FILE`"));
    }
    let judged = if context.competition.truth.is_some() { Some(context.judged()?) } else { None };
    if let (Some(judged), Some(path)) = (&judged, &context.competition.truth) {
        // A truth that the metric cannot judge is said once, not as a table without scores.
        let bound = context.metric.bind(judged.truth.on(&judged.scope.rows));
        bound.map_err(|error| Failure::from(error).at(context.show(path)))?;
    }
    let sample = context.sample()?;
    let names = labels::output_names(
        &context,
        judged.as_ref().map(|judged| &judged.truth),
        sample.as_ref().map(blend_record::Sample::columns),
    );
    let columns: Arc<[String]> = names.unwrap_or_default().into();

    let (stored, mut findings) = stored(&context, &models)?;
    let wanted_oof = judged.as_ref().map(|judged| Wanted {
        rows: judged.truth.rows().clone(),
        scope: judged.scope.rows.clone(),
        columns: columns.clone(),
    });
    let wanted_test = sample.as_ref().map(|sample| Wanted {
        rows: sample.rows().clone(),
        scope: RowSet::all(sample.rows().len()),
        columns: columns.clone(),
    });
    findings.extend(audit::run(&audit::Context::new(wanted_oof, wanted_test, stored)));
    findings.sort_by_key(|finding| std::cmp::Reverse(finding.severity));

    let members = judged.as_ref().map_or_else(Vec::new, |judged| usable(&context, judged, &models, &columns));
    let scores: Vec<Scores> = match &judged {
        Some(judged) => members.iter().map(|member| scores(&context, judged, member)).collect(),
        None => Vec::new(),
    };
    let of = |model: &ModelId| members.iter().position(|member| member.model() == model).map(|at| &scores[at]);
    let correlations = judged.as_ref().and_then(|judged| correlations(&members, &judged.scope.rows));

    print(&context, screen, judged.as_ref(), &models, of, &findings)?;
    if let Some((names, pearson, spearman)) = &correlations {
        print_correlations(screen, names, pearson, spearman);
    }
    let faults = findings.iter().filter(|finding| finding.severity == Severity::Fault).count();
    let values: Vec<Value> = models
        .iter()
        .map(|model| model_value(&context, model, of(model), &findings))
        .collect::<Result<_, Failure>>()?;
    screen.object(json!({
        "competition": context.competition.id.as_str(),
        "metric": context.metric.label(),
        "scope": judged.as_ref().map(|judged| judged.scope.name.clone()),
        "rows": judged.as_ref().map(|judged| judged.scope.rows.len()),
        "models": values,
        "correlations": correlations.map(|(names, pearson, spearman)| json!({
            "models": names,
            "pearson": matrix_value(&pearson),
            "spearman": matrix_value(&spearman),
        })),
        "findings": findings.iter().map(finding_value).collect::<Vec<_>>(),
        "faults": faults,
    }));
    Ok(faults > 0)
}

/// Stored outputs as they lie on disk, and a finding for each file that cannot be opened or changed since it was
/// written.
fn stored(context: &Context, models: &[ModelId]) -> Result<(Vec<Stored>, Vec<Finding>), Failure> {
    let mut all = Vec::new();
    let mut findings = Vec::new();
    for model in models {
        let manifest = outputs::manifest_of(context, model)?;
        let encoding = Encoding { kind: manifest.stored_kind(), ..manifest.encoding };
        let files =
            [(Part::Oof, outputs::file::<Oof>(context, model)), (Part::Test, outputs::file::<Test>(context, model))];
        let mut any = false;
        for (part, path) in files {
            if !path.exists() {
                continue;
            }
            any = true;
            let place = context.show(&path);
            let finding = |cause: String, hint: String| Finding {
                check: "readable",
                severity: Severity::Fault,
                model: Some(model.clone()),
                place: place.clone(),
                cause,
                hint,
                count: 1,
            };
            match feather::open(&path) {
                Ok(it) => {
                    if let Err(error) = it.verify(&path) {
                        findings.push(finding(error.to_string(), "predict or import it again".to_owned()));
                    }
                    all.push(Stored {
                        model: model.clone(),
                        part,
                        place,
                        rows: it.rows,
                        columns: it.columns,
                        encoding,
                        values: it.values,
                        fingerprint: it.fingerprint,
                    });
                }
                Err(error) => {
                    let failure = Failure::from(error);
                    let hint = failure.hint.unwrap_or_else(|| "predict or import it again".to_owned());
                    findings.push(finding(failure.message, hint));
                }
            }
        }
        if !any {
            findings.push(Finding {
                check: "readable",
                severity: Severity::Note,
                model: Some(model.clone()),
                place: context.show(&context.workspace.model_folder(&context.competition.id, model)),
                cause: "no stored outputs".to_owned(),
                hint: format!("make them with `blend predict {model}` or `blend import {model}`"),
                count: 1,
            });
        }
    }
    Ok((all, findings))
}

/// The models whose OOF outputs can be scored.
fn usable(context: &Context, judged: &Judged, models: &[ModelId], columns: &Arc<[String]>) -> Vec<Predictions<Oof>> {
    let predictions = metric_kinds(context);
    models
        .par_iter()
        .filter_map(|model| outputs::oof_matrix(context, judged, std::slice::from_ref(model), columns).ok())
        .filter_map(|matrix| matrix.members().first().cloned())
        .filter(|member| predictions.contains(&member.encoding().kind.as_probability()))
        .collect()
}

fn metric_kinds(context: &Context) -> &'static [OutputKind] {
    context.metric.info().predictions
}

fn scores(context: &Context, judged: &Judged, member: &Predictions<Oof>) -> Scores {
    let set = &judged.scope.rows;
    let natural = member.natural(set);
    let part = |labels: blend_core::truth::Labels, block: &Block| {
        let bound = context.metric.bind(labels).ok()?;
        (bound.n_outputs() == block.n_outputs()).then(|| judge::score(&*bound, block))
    };
    let labels = judged.truth.on(set);
    let folds = judged.folds.as_ref().map_or_else(Vec::new, |folds| {
        let inside: Vec<i64> = set.iter().map(|row| folds.labels()[row]).collect();
        folds
            .distinct()
            .iter()
            .map(|&fold| {
                let rows: Vec<usize> = (0..inside.len()).filter(|&row| inside[row] == fold).collect();
                let value = if rows.is_empty() { None } else { part(labels.select(&rows), &natural.select(&rows)) };
                (fold, value)
            })
            .collect()
    });
    let targets = if natural.n_outputs() > 1 {
        judged
            .truth
            .names()
            .par_iter()
            .enumerate()
            .filter_map(|(target, name)| {
                let labels = labels.target(target)?;
                Some((name.clone(), part(labels, &natural.output(target))))
            })
            .collect()
    } else {
        Vec::new()
    };
    let bound = context.metric.bind(labels).ok();
    let overall = bound.filter(|bound| bound.n_outputs() == natural.n_outputs()).map(|bound| {
        judge::score_blocks(&*bound, &ends(set), |block, out| member.read_natural(block, set.block(block), out))
    });
    Scores { overall, folds, targets }
}

type Pairwise = (Vec<String>, compare::Correlations, compare::Correlations);

fn correlations(members: &[Predictions<Oof>], rows: &RowSet) -> Option<Pairwise> {
    // Members with the same outputs are a finding already; one of them stands for both here.
    let mut distinct: Vec<Predictions<Oof>> = Vec::new();
    for member in members {
        if !distinct.iter().any(|other| other.fingerprint() == member.fingerprint()) {
            distinct.push(member.clone());
        }
    }
    if distinct.len() < 2 {
        return None;
    }
    let matrix = PredictionMatrix::new(distinct).ok()?;
    let names = matrix.members().iter().map(|member| member.model().to_string()).collect();
    Some((names, compare::pearson(&matrix, rows), compare::spearman(&matrix, rows)))
}

fn print<'a>(
    context: &Context,
    screen: &Screen,
    judged: Option<&Judged>,
    models: &[ModelId],
    of: impl Fn(&ModelId) -> Option<&'a Scores>,
    findings: &[Finding],
) -> Result<(), Failure> {
    let scope = judged
        .map_or("no truth".to_owned(), |judged| format!("{} ({} rows)", judged.scope.name, judged.scope.rows.len()));
    screen.line(screen.bold(&format!("{}: {} on {scope}", context.competition.id, context.metric.label())));
    let n_folds = judged.and_then(|judged| judged.folds.as_ref()).map_or(0, |folds| folds.distinct().len());
    let mut titles = vec!["model".to_owned(), ">pooled OOF".to_owned()];
    if n_folds > 1 {
        titles.extend([">mean of folds".to_owned(), ">lowest".to_owned(), ">highest".to_owned()]);
    }
    titles.extend([">claimed".to_owned(), "findings".to_owned()]);
    let mut table = TextTable::new(&titles.iter().map(String::as_str).collect::<Vec<_>>());
    for model in models {
        let found = of(model);
        let cell = |value: Option<f64>| value.map_or("-".to_owned(), score);
        let mut row = vec![model.to_string(), cell(found.and_then(|found| found.overall))];
        if n_folds > 1 {
            let folds: Vec<f64> =
                found.map_or_else(Vec::new, |found| found.folds.iter().filter_map(|(_, score)| *score).collect());
            let mean = (!folds.is_empty()).then(|| folds.iter().sum::<f64>() / folds.len() as f64);
            row.extend([
                cell(mean),
                cell(folds.iter().copied().reduce(f64::min)),
                cell(folds.iter().copied().reduce(f64::max)),
            ]);
        }
        let claimed = outputs::manifest_of(context, model)?.claimed;
        row.push(claimed.map_or("-".to_owned(), |claimed| claimed.score.to_string()));
        row.push(tally(findings.iter().filter(|finding| finding.model.as_ref() == Some(model))));
        table.row(row);
    }
    for (i, line) in table.lines().iter().enumerate() {
        screen.line(if i == 0 { screen.dim(line) } else { line.clone() });
    }
    for finding in findings {
        let head = format!("{}: {}", finding.severity.name(), finding.check);
        let head = if finding.severity == Severity::Fault { screen.red(&head) } else { head };
        let model = finding.model.as_ref().map_or_else(String::new, |model| format!(" in `{model}`"));
        screen.line(format!("{head}{model}: {}", finding.cause));
        screen.line(format!("  at   {}", finding.place));
        screen.line(format!("hint: {}", finding.hint));
    }
    screen.line(if findings.is_empty() { "no findings".to_owned() } else { tally(findings.iter()) });
    Ok(())
}

/// `2 faults, 1 note`, or `-`.
fn tally<'a>(findings: impl Iterator<Item = &'a Finding> + Clone) -> String {
    let parts: Vec<String> = [Severity::Fault, Severity::Warning, Severity::Note]
        .into_iter()
        .filter_map(|severity| {
            let n = findings.clone().filter(|finding| finding.severity == severity).count();
            (n > 0).then(|| format!("{n} {}{}", severity.name(), if n == 1 { "" } else { "s" }))
        })
        .collect();
    if parts.is_empty() { "-".to_owned() } else { parts.join(", ") }
}

fn print_correlations(
    screen: &Screen,
    names: &[String],
    pearson: &compare::Correlations,
    spearman: &compare::Correlations,
) {
    let pairs = (0..names.len()).flat_map(|a| (0..a).map(move |b| (a, b)));
    let closest =
        pairs.filter_map(|(a, b)| pearson.get(a, b).map(|value| (value, a, b))).max_by(|x, y| x.0.total_cmp(&y.0));
    let mean = |it: &compare::Correlations| it.mean().map_or("-".to_owned(), |mean| format!("{mean:.3}"));
    screen.line(format!(
        "correlation between models: Pearson {}, Spearman {} on average",
        mean(pearson),
        mean(spearman)
    ));
    if let Some((value, a, b)) = closest {
        screen.line(format!("  closest: {} and {} ({value:.4})", names[b], names[a]));
    }
}

fn matrix_value(it: &compare::Correlations) -> Value {
    let n = it.n_models();
    (0..n).map(|a| (0..n).map(|b| it.get(a, b).map_or(Value::Null, number)).collect::<Value>()).collect()
}

fn finding_value(finding: &Finding) -> Value {
    json!({
        "check": finding.check,
        "severity": finding.severity.name(),
        "model": finding.model.as_ref().map(ToString::to_string),
        "place": finding.place,
        "cause": finding.cause,
        "hint": finding.hint,
        "count": finding.count,
    })
}

fn model_value(
    context: &Context,
    model: &ModelId,
    found: Option<&Scores>,
    findings: &[Finding],
) -> Result<Value, Failure> {
    let claimed = outputs::manifest_of(context, model)?.claimed;
    let score = |value: Option<f64>| value.map_or(Value::Null, number);
    let targets: Map<String, Value> = found.map_or_else(Map::new, |found| {
        found.targets.iter().map(|(name, value)| (name.clone(), score(*value))).collect()
    });
    Ok(json!({
        "model": model.as_str(),
        "score": score(found.and_then(|found| found.overall)),
        "folds": found.map_or_else(Vec::new, |found| found.folds.iter().map(|(fold, value)| json!({
            "fold": fold, "score": score(*value),
        })).collect()),
        "targets": targets,
        "claimed": claimed.map(|claimed| json!({"score": claimed.score, "scope": claimed.scope})),
        "findings": findings.iter().filter(|it| it.model.as_ref() == Some(model)).map(finding_value).collect::<Vec<_>>(),
    }))
}

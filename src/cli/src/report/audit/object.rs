//! An audit as JSON. Scores are in the metric's unit.

use crate::{
    audit::{AuditReport, Audited, Found},
    report::number,
};
use blend_core::{
    ModelId,
    calibration::{Calibration, Scale},
    compare::{Correlations, Relations},
    drift::Drift,
    ensemble::Diversity,
    survey::Survey,
};
use serde_json::{Map, Value, json};

pub(crate) fn object(it: &AuditReport) -> Value {
    let survey = it.survey.as_ref();
    let correlations = survey.and_then(|survey| Some(relations(&survey.models, survey.oof.as_ref()?)));
    let test = survey.and_then(|survey| survey.test.as_ref()).map(|(models, test)| relations(models, test));
    json!({
        "competition": it.competition,
        "metric": it.metric,
        "scope": it.scope.as_ref().map(|(name, _)| name),
        "rows": it.scope.as_ref().map(|(_, rows)| rows),
        "models": it.models.iter().map(|model| of_model(it, model)).collect::<Vec<_>>(),
        "correlations": correlations,
        "test_correlations": test,
        "equal_weights": survey.and_then(|survey| Some(diversity(survey, survey.diversity.as_ref()?))),
        "findings": it.findings.iter().map(finding).collect::<Vec<_>>(),
        "faults": it.faults(),
    })
}

fn score(value: Option<f64>) -> Value {
    value.map_or(Value::Null, number)
}

fn of_model(it: &AuditReport, model: &Audited) -> Value {
    let scores = it.scores(model);
    let survey = it.survey.as_ref().zip(model.surveyed);
    let named = |names: &[String], values: &[Option<f64>]| -> Map<String, Value> {
        names.iter().cloned().zip(values.iter().map(|value| score(*value))).collect()
    };
    let folds = survey.zip(scores).map(|((survey, _), scores)| {
        let fold = |(name, value): (&String, &Option<f64>)| {
            json!({"fold": name.parse::<i64>().unwrap_or_default(), "score": score(*value)})
        };
        survey.folds.iter().zip(&scores.folds).map(fold).collect::<Vec<_>>()
    });
    let over_folds = scores.and_then(|scores| scores.over_folds());
    let adds = survey.and_then(|(survey, at)| Some((survey, survey.contributions.as_ref()?.get(at)?)));
    json!({
        "model": model.model.as_str(),
        "score": score(scores.and_then(|scores| scores.overall)),
        "folds": folds.unwrap_or_default(),
        "mean_of_folds": score(over_folds.map(|(mean, _)| mean)),
        "spread_of_folds": score(over_folds.map(|(_, spread)| spread)),
        "targets": survey.zip(scores).map(|((survey, _), scores)| named(&survey.targets, &scores.targets)).unwrap_or_default(),
        "groups": survey.zip(scores).map(|((survey, _), scores)| named(&survey.groups, &scores.groups)).unwrap_or_default(),
        "claimed": model.claimed.as_ref().map(|claimed| json!({"score": claimed.score, "scope": claimed.scope})),
        "adds": adds.map(|(survey, adds)| json!({
            "without": number(adds.without),
            "gain": number(adds.gain),
            "better_in": adds.better_in,
            "parts": survey.n_parts,
        })),
        "drift": survey.and_then(|(survey, _)| Some(drift(survey, survey.drift_of(&survey.models[model.surveyed?])?))),
        "calibration": survey.and_then(|(survey, at)| survey.calibration[at].as_ref()).map(calibration),
        "findings": it.findings.iter().filter(|it| it.finding.model.as_ref() == Some(&model.model)).map(finding).collect::<Vec<_>>(),
    })
}

/// Distances of test outputs from OOF outputs, by output.
fn drift(survey: &Survey, drift: &[Drift]) -> Value {
    let of = |(name, it): (&String, &Drift)| {
        (name.clone(), json!({"distance": number(it.distance), "index": number(it.index)}))
    };
    survey.outputs.iter().zip(drift).map(of).collect::<Map<String, Value>>().into()
}

fn calibration(it: &Calibration) -> Value {
    json!({
        "scale": match it.scale {
            Scale::Probability => "probability",
            Scale::Value => "value",
            Scale::Standardized => "standardized",
        },
        "slope": number(it.slope),
        "intercept": number(it.intercept),
        "error": number(it.error),
        "curve": it.curve.iter().map(|point| json!({
            "predicted": number(point.predicted),
            "observed": number(point.observed),
            "mass": number(point.mass),
        })).collect::<Vec<_>>(),
    })
}

/// The equal-weights blend: its score, and what it is made of where that can be said exactly.
fn diversity(survey: &Survey, it: &Diversity) -> Value {
    let members: Map<String, Value> = survey
        .models
        .iter()
        .zip(&it.members)
        .map(|(model, member)| {
            let object = json!({
                "score": number(member.score),
                "diversity": score(member.diversity),
                "share": score(member.share),
            });
            (model.to_string(), object)
        })
        .collect();
    json!({
        "metric": it.metric,
        "space": it.space.name(),
        "mean_member": number(it.mean_member),
        "score": number(it.blend),
        "diversity": number(it.gain),
        "exact": it.members.iter().all(|member| member.diversity.is_some()),
        "members": members,
    })
}

fn relations(models: &[ModelId], it: &Relations) -> Value {
    let names = |order: Vec<usize>| order.into_iter().map(|at| models[at].to_string()).collect::<Vec<_>>();
    json!({
        "models": names((0..models.len()).collect()),
        "clustered": names(it.pearson.order()),
        "pearson": matrix(&it.pearson),
        "spearman": matrix(&it.spearman),
        "kendall": matrix(&it.kendall),
    })
}

fn matrix(it: &Correlations) -> Value {
    let n = it.n_models();
    (0..n).map(|a| (0..n).map(|b| score(it.get(a, b))).collect::<Value>()).collect()
}

fn finding(it: &Found) -> Value {
    let finding = &it.finding;
    json!({
        "check": finding.check,
        "severity": finding.severity.name(),
        "model": finding.model.as_ref().map(ToString::to_string),
        "place": finding.place,
        "cause": finding.cause,
        "hint": finding.hint,
        "count": finding.count,
        "accepted": it.accepted,
    })
}

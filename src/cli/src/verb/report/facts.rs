//! From the audit, the recipes, the ledger and the run records to what the page shows.

use super::{
    Files,
    blends::{self, Members},
    ledger, parts, provenance, search, trace,
};
use crate::{
    audit::AuditReport,
    context::Context,
    failure::Failure,
    report::html::facts::{Bin, Calibration, Facts, Finding, Known, Leaving, Matrix, Meaning, Metric, Model, Without},
};
use blend_core::{
    ModelId,
    calibration::{self, Scale},
    compare::Correlations,
    score::Direction,
    survey::Survey,
};

/// Everything on the page.
pub(super) fn gather(context: &Context, audited: &AuditReport, files: &Files<'_>) -> Result<Facts, Failure> {
    let judged = audited.judged.as_ref();
    let survey = audited.survey.as_ref();
    let metric = Metric {
        label: context.metric.label(),
        higher_is_better: context.metric.info().direction == Direction::Higher,
    };
    let members = Members::gather(context, audited)?;
    let (mut blends, lead, found) = blends::read(context, judged, &members)?;
    let mut left_out = Vec::new();
    for file in files.searches {
        left_out.extend(search::add(context, file, &metric, &mut blends)?);
    }
    let models: Vec<Model> = audited
        .models
        .iter()
        .map(|it| {
            let scores = audited.scores(it);
            Model {
                name: it.model.to_string(),
                output: provenance::output_of(context, &it.model),
                score: scores.and_then(|scores| scores.overall),
                folds: scores.map_or_else(Vec::new, |scores| scores.folds.clone()),
                claimed: it.claimed.as_ref().map(|claimed| claimed.score),
                public: None,
            }
        })
        .collect();
    let mut facts = Facts {
        competition: audited.competition.clone(),
        scope: audited.scope.clone(),
        folds: survey.map_or_else(Vec::new, |survey| survey.folds.clone()),
        findings: findings(audited),
        correlations: correlations(survey),
        targets: parts::targets(audited, judged, &found.targets),
        groups: parts::groups(audited, &found.groups),
        diversity: parts::diversity(survey),
        drift: parts::drift(survey),
        calibration: calibrations(audited, survey, found.calibration),
        trace: trace::read(context, files.trace)?,
        without: without(context, survey, left_out),
        ledger: Err(String::new()),
        provenance: provenance::gather(context, judged, &audited.models)?,
        blends,
        lead,
        models,
        metric,
    };
    facts.ledger = ledger::read(context, &mut facts)?;
    Ok(facts)
}

fn findings(audited: &AuditReport) -> Vec<Finding> {
    audited
        .findings
        .iter()
        .map(|it| Finding {
            check: it.finding.check.to_owned(),
            severity: it.finding.severity.name(),
            model: it.finding.model.as_ref().map(ToString::to_string),
            place: it.finding.place.clone(),
            cause: it.finding.cause.clone(),
            hint: it.finding.hint.clone(),
            accepted: it.accepted.clone(),
        })
        .collect()
}

fn correlations(survey: Option<&Survey>) -> Known<Vec<Matrix>> {
    let few = || "Fewer than two models can be judged: there is nothing to correlate.".to_owned();
    let survey = survey.ok_or_else(few)?;
    let oof = survey.oof.as_ref().ok_or_else(few)?;
    let names = |models: &[ModelId]| -> Vec<String> { models.iter().map(ToString::to_string).collect() };
    let matrix = |title: &str, models: &[ModelId], it: &Correlations| {
        let n = it.n_models();
        let values = (0..n * n).map(|at| it.get(at / n, at % n)).collect();
        Matrix { title: title.to_owned(), names: names(models), values }
    };
    let mut all = vec![
        matrix("Pearson, out-of-fold", &survey.models, &oof.pearson),
        matrix("Spearman, out-of-fold", &survey.models, &oof.spearman),
        matrix("Kendall, out-of-fold", &survey.models, &oof.kendall),
    ];
    // One map has one order of models: test outputs are shown where the same models have them.
    if let Some((models, test)) = survey.test.as_ref().filter(|(models, _)| *models == survey.models) {
        all.push(matrix("Pearson, test", models, &test.pearson));
        all.push(matrix("Spearman, test", models, &test.spearman));
    }
    Ok(all)
}

fn calibrations(
    audited: &AuditReport,
    survey: Option<&Survey>,
    blend: Option<(String, calibration::Calibration)>,
) -> Known<Vec<Calibration>> {
    let survey = survey.ok_or("No model can be judged, so none can be held against what happened.")?;
    let mut order: Vec<usize> = (0..survey.models.len()).collect();
    let loss = |at: usize| {
        let score = audited.survey.as_ref().and_then(|survey| survey.scores[at].overall);
        score.map_or(f64::INFINITY, |score| survey.direction.loss(blend_core::Score(score)).value())
    };
    order.sort_by(|&a, &b| loss(a).total_cmp(&loss(b)));
    let models = order
        .into_iter()
        .filter_map(|at| Some((survey.models[at].to_string(), false, survey.calibration[at].as_ref()?)));
    let blend = blend.as_ref().map(|(name, it)| (name.clone(), true, it));
    let all: Vec<Calibration> =
        blend.into_iter().chain(models).map(|(name, is_blend, it)| curve(name, is_blend, it)).collect();
    if all.is_empty() {
        Err("No curve can be drawn: outputs are neither probabilities nor values, or they part the labels without an error.".to_owned())
    } else {
        Ok(all)
    }
}

fn curve(name: String, is_blend: bool, it: &calibration::Calibration) -> Calibration {
    let scale = match it.scale {
        Scale::Probability => Meaning::Probability,
        Scale::Value => Meaning::Value,
        Scale::Standardized => Meaning::Standardized,
    };
    let bin =
        |point: &calibration::Point| Bin { predicted: point.predicted, observed: point.observed, mass: point.mass };
    Calibration {
        name,
        is_blend,
        scale,
        bins: it.curve.iter().map(bin).collect(),
        line: Some((it.slope, it.intercept)).filter(|(slope, intercept)| slope.is_finite() && intercept.is_finite()),
    }
}

/// What searches said, then what the equal-weights blend of all models loses.
fn without(context: &Context, survey: Option<&Survey>, mut all: Vec<Leaving>) -> Known<Vec<Leaving>> {
    all.extend(survey.and_then(|survey| equal_weights(context, survey)));
    if all.is_empty() {
        Err("Leaving one out needs two models that can be judged and averaged.".to_owned())
    } else {
        Ok(all)
    }
}

fn equal_weights(context: &Context, survey: &Survey) -> Option<Leaving> {
    let contributions = survey.contributions.as_ref()?;
    let models = survey.models.iter().zip(contributions).map(|(model, it)| Without {
        model: model.to_string(),
        loss: it.gain,
        worse_in: it.better_in,
    });
    Some(Leaving {
        of: format!(
            "the equal-weights blend in space `{}` scores out-of-fold without each model, the others keeping equal weights",
            context.space().name()
        ),
        models: models.collect(),
        parts: survey.n_parts,
    })
}

//! Scores by target and by group, what averaging gains, and how far test outputs are from OOF outputs.

use crate::{
    audit::AuditReport,
    context::Judged,
    report::html::facts::{Diversity, Drifted, Drifts, Known, MemberShare, Part},
};
use blend_core::{
    survey::{Scores, Survey},
    truth::LabelValues,
};

/// Scores by target; `blend` are the lead blend's.
pub(super) fn targets(audited: &AuditReport, judged: Option<&Judged>, blend: &[Option<f64>]) -> Known<Vec<Part>> {
    let (Some(survey), Some(judged)) = (&audited.survey, judged) else {
        return Err("No model can be judged, so none can be judged by target.".to_owned());
    };
    if survey.targets.is_empty() {
        return Err("There is one target, or the metric judges all outputs of a row together.".to_owned());
    }
    let positives = |target: usize| match &judged.truth.labels().values {
        LabelValues::Binary(columns) => {
            columns.get(target).map(|column| judged.scope.rows.iter().filter(|&row| column[row] == 1).count())
        }
        _ => None,
    };
    Ok(parts(audited, &survey.targets, positives, |scores| &scores.targets, blend))
}

/// The same by group.
pub(super) fn groups(audited: &AuditReport, blend: &[Option<f64>]) -> Known<Vec<Part>> {
    let survey = audited.survey.as_ref().filter(|survey| !survey.groups.is_empty()).ok_or(
        "There are no groups to look at one by one: competition.yaml names none (`groups:`), or more than are a view.",
    )?;
    let rows = |group: usize| survey.group_rows.get(group).copied();
    Ok(parts(audited, &survey.groups, rows, |scores| &scores.groups, blend))
}

fn parts(
    audited: &AuditReport,
    names: &[String],
    count: impl Fn(usize) -> Option<usize>,
    of: fn(&Scores) -> &[Option<f64>],
    blend: &[Option<f64>],
) -> Vec<Part> {
    let part = |(at, name): (usize, &String)| Part {
        name: name.clone(),
        count: count(at),
        models: audited
            .models
            .iter()
            .map(|model| audited.scores(model).and_then(|scores| *of(scores).get(at)?))
            .collect(),
        blend: blend.get(at).copied().flatten(),
    };
    names.iter().enumerate().map(part).collect()
}

/// The equal-weights blend taken apart.
pub(super) fn diversity(survey: Option<&Survey>) -> Known<Diversity> {
    let few = "What averaging gains needs two models that can be judged and averaged.";
    let survey = survey.ok_or(few)?;
    let it = survey.diversity.as_ref().ok_or(few)?;
    let members = survey.models.iter().zip(&it.members).map(|(model, member)| MemberShare {
        model: model.to_string(),
        score: member.score,
        diversity: member.diversity,
        share: member.share,
    });
    Ok(Diversity {
        metric: it.metric.clone(),
        space: it.space.name().to_owned(),
        mean_member: it.mean_member,
        blend: it.blend,
        gain: it.gain,
        members: members.collect(),
    })
}

/// Test outputs against OOF outputs, output by output.
pub(super) fn drift(survey: Option<&Survey>) -> Known<Drifts> {
    let none = "No model has both OOF and test outputs: there is nothing to hold against each other.";
    let survey = survey.filter(|survey| !survey.drift.is_empty()).ok_or(none)?;
    let output = |(at, name): (usize, &String)| Drifted {
        name: name.clone(),
        distances: survey.drift.iter().map(|(_, drift)| drift[at].distance).collect(),
        indices: survey.drift.iter().map(|(_, drift)| drift[at].index).collect(),
    };
    Ok(Drifts {
        models: survey.drift.iter().map(|(model, _)| model.to_string()).collect(),
        outputs: survey.outputs.iter().enumerate().map(output).collect(),
        noise: survey.drift_noise,
    })
}

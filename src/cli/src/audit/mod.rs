//! What an audit knows: the scores of every model, how they relate, and everything that is wrong. `blend audit` prints
//! it, reports draw it.

mod evidence;
mod stored;

use crate::{
    context::{Context, Judged},
    failure::{self, Failure},
    labels, leaderboard, outputs,
};
use blend_core::{
    ModelId, Oof, PredictionMatrix, Predictions, RowSet, Split, Test,
    audit::{self, Evidence, Finding, Public, Severity, Wanted},
    manifest::{Claimed, Manifest},
    survey::{self, Ground, Parts, Scores, Survey},
};
use blend_record::ledger::{PublicState, What};
use rayon::prelude::*;
use std::{collections::BTreeMap, sync::Arc};

/// Everything an audit knows.
pub(crate) struct AuditReport {
    /// The competition's name.
    pub(crate) competition: String,
    /// The metric with its options.
    pub(crate) metric: String,
    /// Name and number of rows of what is scored; `None` without a truth.
    pub(crate) scope: Option<(String, usize)>,
    /// The audited models, by name.
    pub(crate) models: Vec<Audited>,
    /// Scores, correlations, calibration, diversity of the models that can be judged; `None` where there are none.
    pub(crate) survey: Option<Survey>,
    /// What the checks found, the worst first, what was accepted last.
    pub(crate) findings: Vec<Found>,
    /// The labels, where there is something to judge by them.
    pub(crate) judged: Option<Judged>,
    /// The OOF outputs of every audited model over the labels' rows, or why they cannot be used; nothing without labels.
    pub(crate) oof: Members,
}

/// OOF outputs by model, or why they cannot be used.
pub(crate) type Members = BTreeMap<ModelId, Result<Predictions<Oof>, String>>;

/// A model under audit.
pub(crate) struct Audited {
    pub(crate) model: ModelId,
    /// The score that its authors state.
    pub(crate) claimed: Option<Claimed>,
    /// Its place in the survey, where it can be judged.
    pub(crate) surveyed: Option<usize>,
}

/// A finding, and the reason for which it is accepted.
pub(crate) struct Found {
    pub(crate) finding: Finding,
    pub(crate) accepted: Option<String>,
}

/// Groups of rows that are looked at one by one; more are a unit of resampling, not a view.
const MOST_GROUPS: usize = 60;

impl AuditReport {
    /// Audits `models`. Findings of the checks `allow` are accepted, as are those that a model's manifest allows.
    pub(crate) fn gather(context: &Context, models: &[ModelId], allow: &[String]) -> Result<Self, Failure> {
        let manifests: Vec<Manifest> =
            models.iter().map(|model| outputs::manifest_of(context, model)).collect::<Result<_, _>>()?;
        let accepted = Accepted::new(context, &manifests, allow)?;
        let bare = outputs::bare(context, models)?;
        let judged = if context.competition.truth.is_some() && !bare { Some(context.judged()?) } else { None };
        if let Some(judged) = &judged {
            // A truth that the metric cannot judge is said once, not as a table without scores.
            let bound = context.metric.bind(judged.truth.on(&judged.scope.rows));
            bound.map_err(|error| context.unjudged(error))?;
        }
        let sample = if bare { None } else { context.sample()? };
        let names = labels::output_names(
            context,
            judged.as_ref().map(|judged| &judged.truth),
            sample.as_ref().map(blend_record::Sample::columns),
        );
        let columns: Arc<[String]> = names.unwrap_or_default().into();
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
        let oof = judged.as_ref().map_or_else(Members::new, |judged| members(context, judged, &columns, models));
        let (distinct, twins) = distinct(models.iter().filter_map(|model| oof.get(model)?.as_ref().ok()));
        let survey = judged.as_ref().and_then(|judged| {
            let distinct = distinct.into_iter().filter(|member| can_be_judged(context, member)).collect();
            let oof = PredictionMatrix::new(distinct).ok()?;
            let test = sample.as_ref().and_then(|sample| {
                let read = |model: &ModelId| {
                    let matrix = outputs::test_matrix(context, sample.rows(), std::slice::from_ref(model), &columns);
                    matrix.ok()?.members().first().cloned()
                };
                let test: Vec<Predictions<Test>> = models.par_iter().filter_map(read).collect();
                PredictionMatrix::new(self::distinct(test.iter()).0).ok()
            });
            Some(survey::survey(&ground(context, judged), &oof, test.as_ref()))
        });
        let (stored, mut findings) = stored::read(context, &manifests)?;
        let evidence = evidence::gather(context, judged.as_ref(), sample.as_ref(), &manifests, &stored)?;
        let evidence = Evidence { survey: survey.as_ref(), public: public(context)?, ..evidence };
        findings.extend(audit::run(&audit::Context::new(wanted_oof, wanted_test, stored).with(evidence)));
        let mut findings: Vec<Found> = findings.into_iter().map(|finding| accepted.judge(finding)).collect();
        findings.sort_by_key(|it| (it.accepted.is_some(), std::cmp::Reverse(it.finding.severity)));
        let place = |model: &ModelId| {
            // A model with the outputs of another one has its scores, too.
            let model = twins.iter().find(|(twin, _)| twin == model).map_or(model, |(_, first)| first);
            survey.as_ref()?.models.iter().position(|other| other == model)
        };
        Ok(Self {
            competition: context.competition.id.to_string(),
            metric: context.metric.label(),
            scope: judged.as_ref().map(|judged| (judged.scope.name.clone(), judged.scope.rows.len())),
            models: manifests
                .into_iter()
                .map(|it| Audited { surveyed: place(&it.model), model: it.model, claimed: it.claimed })
                .collect(),
            survey,
            findings,
            judged,
            oof,
        })
    }

    /// The scores of a model that can be judged.
    pub(crate) fn scores(&self, model: &Audited) -> Option<&Scores> {
        Some(&self.survey.as_ref()?.scores[model.surveyed?])
    }

    /// Findings that were not accepted.
    pub(crate) fn open(&self) -> impl Iterator<Item = &Finding> + Clone {
        self.findings.iter().filter(|it| it.accepted.is_none()).map(|it| &it.finding)
    }

    /// Faults that were not accepted: what makes an audit fail.
    pub(crate) fn faults(&self) -> usize {
        self.open().filter(|finding| finding.severity == Severity::Fault).count()
    }
}

/// Which findings are known and accepted, and why.
struct Accepted<'a> {
    everywhere: &'a [String],
    by_model: BTreeMap<&'a ModelId, &'a BTreeMap<String, String>>,
}

impl<'a> Accepted<'a> {
    fn new(context: &Context, manifests: &'a [Manifest], everywhere: &'a [String]) -> Result<Self, Failure> {
        let known = || audit::CATALOGUE.iter().map(|check| check.name);
        let unknown = |name: &String| !known().any(|it| it == name);
        if let Some(name) = everywhere.iter().find(|name| unknown(name)) {
            return Err(failure::unknown("check", name, known()).at(format!("--allow {name}")));
        }
        for manifest in manifests {
            if let Some(name) = manifest.allow.keys().find(|name| unknown(name)) {
                let file = context.workspace.manifest_file(&context.competition.id, &manifest.model);
                return Err(failure::unknown("check", name, known()).at(context.show(&file)));
            }
        }
        Ok(Self { everywhere, by_model: manifests.iter().map(|it| (&it.model, &it.allow)).collect() })
    }

    fn judge(&self, finding: Finding) -> Found {
        let by_model = finding.model.as_ref().and_then(|model| self.by_model.get(model)?.get(finding.check)).cloned();
        let everywhere = self.everywhere.iter().any(|name| name == finding.check);
        let accepted = by_model.or_else(|| everywhere.then(|| "--allow".to_owned()));
        Found { finding, accepted }
    }
}

/// The OOF outputs of `models` over the labels' rows, finite and in range where it counts.
pub(crate) fn members(context: &Context, judged: &Judged, columns: &Arc<[String]>, models: &[ModelId]) -> Members {
    let read = |model: &ModelId| {
        let matrix = outputs::oof_matrix(context, judged, std::slice::from_ref(model), columns);
        let member = matrix.map(|matrix| matrix.members()[0].clone());
        (model.clone(), member.map_err(|failure| failure.message))
    };
    models.par_iter().map(read).collect::<Vec<_>>().into_iter().collect()
}

/// Every set of outputs once; and the models left out for that, each with the one that has its outputs.
fn distinct<'a, S: Split + Clone>(
    all: impl Iterator<Item = &'a Predictions<S>>,
) -> (Vec<Predictions<S>>, Vec<(ModelId, ModelId)>) {
    let mut distinct: Vec<Predictions<S>> = Vec::new();
    let mut twins = Vec::new();
    for member in all {
        match distinct.iter().find(|other| other.fingerprint() == member.fingerprint()) {
            None => distinct.push(member.clone()),
            Some(first) if first.encoding() == member.encoding() => {
                twins.push((member.model().clone(), first.model().clone()));
            }
            Some(_) => {}
        }
    }
    (distinct, twins)
}

/// Public scores of models that were submitted alone, as the ledger knows them; all of them, where they contradict each
/// other.
fn public(context: &Context) -> Result<Vec<Public>, Failure> {
    let decimals = leaderboard::decimals(context);
    let mut public = Vec::new();
    for standing in leaderboard::ledger(context)?.standings(decimals) {
        let given = match standing.public {
            PublicState::Unknown => continue,
            PublicState::Known(given) => vec![given],
            PublicState::Conflict(given) => given,
        };
        let models = standing.names.iter().filter_map(|name| match name {
            What::Model(model) => Some(model),
            _ => None,
        });
        for model in models {
            public.extend(given.iter().map(|given| Public {
                model: model.clone(),
                score: given.score,
                rounding: leaderboard::board::half_unit(given.decimals.unwrap_or(decimals)),
            }));
        }
    }
    Ok(public)
}

fn can_be_judged(context: &Context, member: &Predictions<Oof>) -> bool {
    context.metric.info().predictions.contains(&member.encoding().kind.as_probability())
}

/// What predictions are judged on.
pub(crate) fn ground<'a>(context: &'a Context, judged: &'a Judged) -> Ground<'a> {
    let rows = &judged.scope.rows;
    let folds = judged.folds.as_ref().map(|folds| Parts {
        names: folds.distinct().iter().map(ToString::to_string).collect(),
        of: rows
            .iter()
            .filter_map(|row| folds.distinct().binary_search(&folds.labels()[row]).ok())
            .map(|at| at as u32)
            .collect(),
    });
    let groups = judged.groups.as_ref().filter(|_| (2..=MOST_GROUPS).contains(&judged.group_names.len()));
    Ground {
        metric: &*context.metric,
        space: context.space(),
        truth: &judged.truth,
        rows,
        folds,
        groups: groups.map(|groups| Parts {
            names: judged.group_names.clone(),
            of: rows.iter().map(|row| groups[row]).collect(),
        }),
    }
}

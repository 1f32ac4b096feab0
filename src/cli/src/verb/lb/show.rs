//! `blend lb show`: everything that was made and scored, side by side.

use super::{conflict_values, conflicts, tell_conflicts};
use crate::{
    args::{Arguments, leaderboard::LbShow},
    context::Context,
    failure::Failure,
    leaderboard::{self, names},
    outputs,
    report::{Screen, score, small, table::TextTable},
};
use blend_core::{ModelId, Oof, judge, metric::Metric};
use blend_record::ledger::{PublicState, Standing, What};
use blend_search::search::score_member;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Standard errors between a predicted and an actual score from which on it is an alarm.
pub(super) const ALARM: f64 = 2.0;

/// A line of the table.
struct Shown {
    names: String,
    id: Option<String>,
    cv: Option<f64>,
    predicted: Option<(f64, f64, String)>,
    public: Option<f64>,
    conflict: bool,
    private: Option<f64>,
    /// Predicted minus actual public score, in standard errors.
    difference: Option<f64>,
}

pub(crate) fn run(arguments: &Arguments, it: &LbShow, screen: &Screen) -> Result<bool, Failure> {
    let context = Context::open(arguments)?;
    let ledger = leaderboard::ledger(&context)?;
    let cv = cv_of_models(&context);
    let standings = ledger.standings(leaderboard::decimals(&context));
    let shown: Vec<Shown> = standings.iter().map(|standing| line(&context, standing, &cv)).collect();
    if ledger.torn > 0 {
        screen.note(format!("{} torn lines of the ledger were passed over", ledger.torn));
    }
    if it.csv {
        csv(&shown).iter().for_each(|line| screen.line(line));
        return Ok(false);
    }
    table(screen, &context, &shown);
    let alarms: Vec<&Shown> =
        shown.iter().filter(|it| it.difference.is_some_and(|difference| difference.abs() > ALARM)).collect();
    for it in &alarms {
        screen.line(screen.red(&alarm(&it.names, it.difference.unwrap_or_default())));
    }
    let conflicts = conflicts(&context, &ledger);
    let found = tell_conflicts(screen, &conflicts);
    screen.object(json!({
        "competition": context.competition.id.as_str(),
        "metric": context.metric.label(),
        "entries": shown.iter().map(value).collect::<Vec<_>>(),
        "conflicts": conflict_values(&conflicts),
        "torn_lines": ledger.torn,
    }));
    Ok(found)
}

/// The sentence for a submission whose public score is not the predicted one.
pub(super) fn alarm(names: &str, difference: f64) -> String {
    format!(
        "overfit alarm: the public score of {names} is {:.1} standard errors away from its prediction",
        difference.abs()
    )
}

fn line(context: &Context, standing: &Standing, cv: &BTreeMap<ModelId, f64>) -> Shown {
    let made = standing.made.as_ref();
    let of_model = standing.names.iter().find_map(|what| match what {
        What::Model(model) => cv.get(model).copied(),
        _ => None,
    });
    let predicted =
        made.and_then(|made| made.predicted.as_ref()).map(|it| (it.score, it.standard_error, it.method.clone()));
    let public = standing.public.known();
    let difference = predicted.as_ref().zip(public).map(|((score, error, _), given)| {
        // An actual score is rounded: half a unit of its last digit is nobody's error.
        let half = 0.5 * 10f64.powi(-(given.decimals.unwrap_or_else(|| leaderboard::decimals(context)) as i32));
        (score - given.score) / error.hypot(half / 3f64.sqrt()).max(f64::MIN_POSITIVE)
    });
    Shown {
        names: names(standing),
        id: made.map(|made| format!("blend:{}", made.csv.short())),
        cv: made.and_then(|made| made.cv).or(of_model),
        predicted,
        public: public.map(|it| it.score),
        conflict: matches!(standing.public, PublicState::Conflict(_)),
        private: standing.private,
        difference,
    }
}

/// CV scores of models, of those that can be scored.
fn cv_of_models(context: &Context) -> BTreeMap<ModelId, f64> {
    let mut scores = BTreeMap::new();
    let Ok(judged) = context.judged() else { return scores };
    let Ok(models) = context.workspace.models(&context.competition.id) else { return scores };
    let names = crate::labels::output_names(context, Some(&judged.truth), None);
    let sample = context.sample().ok().flatten();
    let names =
        crate::labels::output_names(context, Some(&judged.truth), sample.as_ref().map(|it| it.columns())).or(names);
    let columns = names.unwrap_or_default().into();
    let Ok(bound) = bind(&*context.metric, &judged) else { return scores };
    for model in models.into_iter().filter(|model| outputs::file::<Oof>(context, model).exists()) {
        if let Ok(matrix) = outputs::oof_matrix(context, &judged, std::slice::from_ref(&model), &columns) {
            scores.insert(model, score_member(&matrix.members()[0], &judged.scope.rows, &*bound));
        }
    }
    scores
}

fn bind(metric: &dyn Metric, judged: &crate::context::Judged) -> Result<Box<dyn judge::Bound>, Failure> {
    Ok(metric.bind(judged.truth.on(&judged.scope.rows))?)
}

fn table(screen: &Screen, context: &Context, shown: &[Shown]) {
    if shown.is_empty() {
        screen.line("nothing was made or scored yet");
        return;
    }
    screen.line(screen.bold(&format!("{}: {}", context.competition.id, context.metric.label())));
    let mut table = TextTable::new(&["", ">CV", ">predicted", ">+-", ">public", ">private", ">off by"]);
    for it in shown {
        let cell = |value: Option<f64>| value.map_or("-".to_owned(), score);
        table.row(vec![
            it.names.clone(),
            cell(it.cv),
            cell(it.predicted.as_ref().map(|it| it.0)),
            it.predicted.as_ref().map_or("-".to_owned(), |it| small(it.1)),
            if it.conflict { "several".to_owned() } else { cell(it.public) },
            cell(it.private),
            it.difference.map_or("-".to_owned(), |difference| format!("{difference:+.1} se")),
        ]);
    }
    screen.table(table);
}

fn csv(shown: &[Shown]) -> Vec<String> {
    let header = "name,id,cv,predicted,standard_error,method,public,private,difference_in_standard_errors";
    let number = |value: Option<f64>| value.map_or_else(String::new, |value| value.to_string());
    let line = |it: &Shown| {
        let quoted = format!("\"{}\"", it.names.replace('"', "\"\""));
        [
            if it.names.contains([',', '"']) { quoted } else { it.names.clone() },
            it.id.clone().unwrap_or_default(),
            number(it.cv),
            number(it.predicted.as_ref().map(|it| it.0)),
            number(it.predicted.as_ref().map(|it| it.1)),
            it.predicted.as_ref().map_or_else(String::new, |it| it.2.clone()),
            number(it.public),
            number(it.private),
            number(it.difference),
        ]
        .join(",")
    };
    std::iter::once(header.to_owned()).chain(shown.iter().map(line)).collect()
}

fn value(it: &Shown) -> Value {
    json!({
        "name": it.names,
        "id": it.id,
        "cv": it.cv,
        "predicted_public": it.predicted.as_ref().map(|(score, error, method)| json!({
            "score": score, "standard_error": error, "method": method,
        })),
        "public": it.public,
        "conflict": it.conflict,
        "private": it.private,
        "difference_in_standard_errors": it.difference,
        "alarm": it.difference.map(|difference| difference.abs() > ALARM),
    })
}

//! What a search found, as tables for people and as JSON for programs.

use super::Asked;
use crate::{
    context::{Context, Judged},
    report::{
        self, Screen, number, score, small,
        table::{TextTable, bar},
    },
};
use blend_core::{
    ModelId, Oof, PredictionMatrix,
    post::{Calibration, PostStep, Scale, calibrate},
};
use blend_search::{Interval, Outcome, PartsFound, drive::Stop};
use serde_json::{Value, json};

/// Wall-clock seconds of a whole run.
pub(super) struct Seconds {
    pub(super) load: f64,
    pub(super) total: f64,
}

pub(super) fn report(
    context: &Context,
    screen: &Screen,
    asked: &Asked,
    judged: &Judged,
    matrix: &PredictionMatrix<Oof>,
    outcome: &Outcome,
    seconds: Seconds,
) {
    let path = context.show(&context.workspace.recipe_file(&context.competition.id, &asked.name));
    if screen.json {
        screen.object(value(context, asked, judged, matrix, outcome, &seconds, &path));
        return;
    }
    let (single, single_score) = &outcome.single_best;
    screen.line(screen.bold(&format!("{}: {}", context.competition.id, asked.name)));
    screen.line(format!(
        "  {} on {} ({} rows), space {}, domain {}, solver {}",
        context.metric.label(),
        judged.scope.name,
        judged.scope.rows.len(),
        asked.space.name(),
        asked.domain.name(),
        outcome.solver.name(),
    ));
    screen.line("");
    let mut titles = vec!["member", ">alone", ">weight", ""];
    let spread = outcome.spread.as_deref();
    if spread.is_some() {
        titles.push(">95 %");
    }
    let without = outcome.without.iter().any(Option::is_some);
    if without {
        titles.push(">without");
    }
    let mut table = TextTable::new(&titles);
    let models: Vec<&ModelId> = matrix.members().iter().map(blend_core::Predictions::model).collect();
    let mut order: Vec<usize> = (0..models.len()).collect();
    let weights = outcome.weights.values();
    order.sort_by(|&a, &b| weights[b].total_cmp(&weights[a]));
    let shown = order.iter().take_while(|&&i| weights[i] != 0.0).count().max(order.len().min(20));
    for &i in &order[..shown] {
        let mut cells = vec![
            models[i].to_string(),
            score(outcome.members[i]),
            format!("{:.6}", weights[i]),
            bar(weights[i], screen.bar_width()),
        ];
        cells.extend(spread.map(|spread| format!("{:.2} to {:.2}", spread[i].low, spread[i].high)));
        if without {
            cells.push(outcome.without[i].map_or_else(String::new, |it| {
                format!("{}{}", if it.refitted { "" } else { RESCALED }, score(it.score))
            }));
        }
        table.row(cells);
    }
    screen.table(table);
    if outcome.without.iter().flatten().any(|it| !it.refitted) {
        screen.line(screen.dim(&format!("  {RESCALED} the other weights were not searched again")));
    }
    if outcome.spread_by == Some("jackknife") {
        screen.line(screen.dim("  95 %: from the weights without each fold; this search has no bootstrap of its own"));
    }
    if shown < order.len() {
        screen.line(screen.dim(&format!("  and {} more without weight", order.len() - shown)));
    }
    screen.line("");
    let mut table = TextTable::new(&["", ">score"]);
    table.row(vec![format!("single best ({single})"), score(*single_score)]);
    table.row(vec!["equal weights".to_owned(), score(outcome.equal_weights)]);
    table.row(vec!["blend, on the rows it was chosen on".to_owned(), score(outcome.score)]);
    if let Some(nested) = &outcome.nested {
        let by = if nested.by == "folds" { "nested by folds" } else { "nested by hash5" };
        let by = if outcome.honest_cut { format!("{by}, cut short") } else { by.to_owned() };
        if let Some(global) = outcome.parts.as_ref().and_then(|parts| parts.global_nested) {
            table.row(vec![format!("the same weights everywhere, {by}"), score(global)]);
        }
        table.row(vec![format!("blend, {by}: the honest one"), score(nested.score)]);
    }
    screen.table(table);
    if let Some(intercept) = outcome.intercept {
        screen.line(format!("  then {intercept:+.6} added to every output, on the scale of the space"));
    }
    for line in step_lines(&outcome.post) {
        screen.line(format!("  {line}"));
    }
    if outcome.honest_cut {
        screen.line("  the time for nested scores ran out: some parts were judged with weights that a longer search would better");
    }
    screen.line("");
    if let Some(parts) = &outcome.parts {
        screen.line(format!("  {}", parts_sentence(parts, asked.options.lambda.is_some())));
    }
    for (gain, over) in [
        (outcome.gain_over_equal, "equal weights"),
        (outcome.gain_over_single, "the single best"),
        (outcome.gain_over_global, "the same weights everywhere"),
    ] {
        if let Some(gain) = gain {
            screen.line(format!("  {}", gain_sentence(gain, over)));
        }
    }
    screen.line(format!("  {}", stop_sentence(outcome, asked.options.lambda.is_some())));
    screen.line(screen.dim(&format!(
        "  {:.0} passes over the data, {} evaluations; {:.2} s ({:.2} load, {:.2} search, {:.2} honest scores); {} memory",
        outcome.effort.passes.ceil(),
        outcome.effort.evaluations,
        seconds.total,
        seconds.load,
        outcome.search_seconds,
        outcome.honest_seconds,
        report::peak_rss_bytes().map_or("unknown".to_owned(), report::bytes),
    )));
    screen.line(format!("wrote {path}"));
}

/// Stands before the score without a member where the other weights were not searched again.
const RESCALED: &str = "~";

/// The gain of the nested prediction, and whether it is more than noise.
fn gain_sentence(gain: Interval, over: &str) -> String {
    let numbers = format!("{:+.6} [{:+.6}, {:+.6}]", gain.gain, gain.low, gain.high);
    if gain.is_noise() {
        format!("not better than {over} beyond noise: {numbers}")
    } else if gain.gain > 0.0 {
        format!("better than {over}: {numbers}")
    } else {
        format!("worse than {over}: {numbers}")
    }
}

/// How much the parts have in common, at a strength that was `given` or chosen.
fn parts_sentence(parts: &PartsFound, given: bool) -> String {
    let n = parts.weights.len();
    if parts.lambda.is_infinite() && given {
        format!("all {n} parts have the same weights, as `--lambda inf` asks")
    } else if parts.lambda.is_infinite() {
        format!("all {n} parts have the same weights: nothing was gained by telling them apart")
    } else if parts.lambda == 0.0 {
        format!("{n} parts, each with weights of its own")
    } else {
        format!("{n} parts, drawn together with strength {}; the weights above are those of all of them", parts.lambda)
    }
}

/// A strength in JSON, which has no infinity.
fn strength(lambda: f64) -> Value {
    if lambda.is_infinite() { json!("inf") } else { json!(lambda) }
}

/// Why the search ended; the strength that draws parts together was `given` or chosen.
fn stop_sentence(outcome: &Outcome, given: bool) -> String {
    let same = outcome.parts.as_ref().is_some_and(|parts| parts.lambda.is_infinite());
    match outcome.stop {
        // The parts were not searched at all: nothing of theirs could be proven.
        Stop::Converged if same && given => "converged: one set of weights for all parts".to_owned(),
        Stop::Converged if same => "converged: no strength was better than one set of weights for all".to_owned(),
        Stop::Certified { gap } if outcome.parts.is_some() => {
            format!("certified: at this strength no allowed weights are better by more than {}", small(gap))
        }
        Stop::Certified { gap } if outcome.post.iter().any(|step| matches!(step, PostStep::Calibrate(_))) => {
            format!("certified, before the calibration: no allowed weights score better by more than {}", small(gap))
        }
        Stop::Certified { gap } => format!("certified: no allowed weights score better by more than {}", small(gap)),
        Stop::Converged => match outcome.gap {
            Some(gap) => format!("converged; at most {} from the optimum", small(gap)),
            None => "converged; nothing is proven for this metric and space".to_owned(),
        },
        Stop::Budget => "stopped by the time limit: the best so far".to_owned(),
        Stop::Stalled => "stalled: a baseline was not beaten, or steps no longer improved".to_owned(),
        Stop::Interrupted => "interrupted: the best so far".to_owned(),
    }
}

fn value(
    context: &Context,
    asked: &Asked,
    judged: &Judged,
    matrix: &PredictionMatrix<Oof>,
    outcome: &Outcome,
    seconds: &Seconds,
    path: &str,
) -> Value {
    let per_model = |values: &[f64]| -> Value {
        let models = matrix.members().iter().map(|member| member.model().to_string());
        Value::Object(models.zip(values.iter().map(|&value| number(value))).collect())
    };
    let interval = |gain: Option<Interval>| {
        gain.map(|gain| json!({"gain": gain.gain, "low": gain.low, "high": gain.high, "noise": gain.is_noise()}))
    };
    let (single, single_score) = &outcome.single_best;
    let spent = json!({
        "load": seconds.load,
        "search": outcome.search_seconds,
        "solve": outcome.solve_seconds,
        "honest": outcome.honest_seconds,
        "total": seconds.total,
    });
    json!({
        "blend": asked.name.as_str(),
        "target": "cv",
        "competition": context.competition.id.as_str(),
        "metric": context.metric.label(),
        "scope": judged.scope.name,
        "rows": judged.scope.rows.len(),
        "space": asked.space.name(),
        "domain": asked.domain.name(),
        "granularity": asked.parts.granularity.name(),
        "lambda": outcome.parts.as_ref().map(|parts| strength(parts.lambda)),
        "lambdas_tried": outcome.parts.as_ref().map(|parts| {
            parts.tried.iter().map(|(lambda, loss)| json!([strength(*lambda), number(*loss)])).collect::<Vec<_>>()
        }),
        "nested_lambdas": outcome.parts.as_ref().map(|parts| {
            parts.nested_lambdas.iter().map(|&lambda| strength(lambda)).collect::<Vec<_>>()
        }),
        "global_nested_score": outcome.parts.as_ref().and_then(|parts| parts.global_nested.map(number)),
        "global_weights": outcome.parts.as_ref().map(|_| per_model(outcome.weights.values())),
        "solver": outcome.solver.name(),
        "seed": asked.options.seed,
        "score": number(outcome.score),
        "nested_score": outcome.nested.as_ref().map(|nested| number(nested.score)),
        "nested_by": outcome.nested.as_ref().map(|nested| nested.by),
        "nested_parts": outcome.nested.as_ref().map(|nested| nested.parts.iter().map(|part| json!({
            "part": part.label, "rows": part.n_rows, "score": part.score.map(number), "weights": per_model(&part.weights),
            "post": steps_value(&part.post),
        })).collect::<Vec<_>>()),
        "equal_weights": number(outcome.equal_weights),
        "single_best": {"model": single.as_str(), "score": number(*single_score)},
        "members": per_model(&outcome.members),
        "gain_interval": {
            "over_equal_weights": interval(outcome.gain_over_equal),
            "over_single_best": interval(outcome.gain_over_single),
            "over_global_weights": outcome.parts.as_ref().map(|_| interval(outcome.gain_over_global)),
        },
        "weights": match &outcome.parts {
            None => per_model(outcome.weights.values()),
            Some(parts) => {
                let parts = asked.parts.names.iter().zip(&parts.weights);
                Value::Object(parts.map(|(part, weights)| (part.clone(), per_model(weights))).collect())
            }
        },
        "intercept": outcome.intercept.map(number),
        "weights_spread_by": outcome.spread_by,
        "weights_spread": outcome.spread.as_ref().map(|spread| {
            let models = matrix.members().iter().map(|member| member.model().to_string());
            let spread = spread.iter().map(|it| json!({"deviation": it.deviation, "low": it.low, "high": it.high}));
            Value::Object(models.zip(spread).collect())
        }),
        "leave_one_out": leave_one_out(matrix, outcome),
        "post": steps_value(&outcome.post),
        "options": asked.typed,
        "honest_cut": outcome.honest_cut,
        "stop": outcome.stop.name(),
        "gap": outcome.gap.map(number),
        "passes": outcome.effort.passes,
        "evaluations": outcome.effort.evaluations,
        "honest_passes": outcome.honest_effort.passes,
        "seconds": spent,
        "peak_rss_bytes": report::peak_rss_bytes(),
        "recipe": path,
    })
}

/// The score of the best blend without each member that has a weight.
fn leave_one_out(matrix: &PredictionMatrix<Oof>, outcome: &Outcome) -> Value {
    let members = matrix.members().iter().zip(&outcome.without);
    let left_out = members.filter_map(|(member, without)| {
        let without = (*without)?;
        Some((member.model().to_string(), json!({"score": number(without.score), "refitted": without.refitted})))
    });
    Value::Object(left_out.collect())
}

/// What was fitted beside the weights, in words.
fn step_lines(post: &[PostStep]) -> Vec<String> {
    let list = |values: &[f64]| values.iter().map(|value| score(*value)).collect::<Vec<_>>().join(" ");
    let mut lines = Vec::new();
    for step in post {
        match step {
            PostStep::Thresholds(scales) => lines.extend(scales.iter().map(|scale| {
                let labels = scale.labels.iter().map(f64::to_string).collect::<Vec<_>>().join(" ");
                format!("thresholds {} part the labels {labels}", list(&scale.cuts))
            })),
            PostStep::Calibrate(it) => {
                let shifts: Vec<String> = it.shift.iter().map(|shift| format!("{shift:+.4}")).collect();
                lines.push(format!("then calibrated: slope {:.4}, shift {}", it.slope, shifts.join(" ")));
            }
            _ => {}
        }
    }
    lines
}

/// The steps as they stand in a recipe.
fn steps_value(post: &[PostStep]) -> Value {
    let scale = |scale: &Scale| json!({"cuts": scale.cuts, "labels": scale.labels});
    post.iter()
        .map(|step| match step {
            PostStep::Thresholds(scales) => json!({"thresholds": scales.iter().map(scale).collect::<Vec<_>>()}),
            PostStep::Calibrate(Calibration { link, slope, shift }) => {
                let link = calibrate::LINKS.iter().find(|(_, known)| known == link).map(|(name, _)| name);
                json!({"calibrate": {"link": link, "slope": slope, "shift": shift}})
            }
            other => json!(other.info().name),
        })
        .collect()
}

//! What there is, and how good the blend is on rows that it did not see.

use super::{
    super::{
        charts::{
            rows::{Row, rows},
            strip::Mark,
        },
        facts::{Blend, Facts},
        scale::Scale,
        text::{esc, many, score, score_or_dash, signed, with_code},
    },
    figure,
};
use std::fmt::Write as _;

pub(super) fn section(facts: &Facts, out: &mut String) {
    let _ = write!(out, "<h1>{}</h1><p class=\"deck\">{}</p>", esc(&facts.competition), esc(&deck(facts)));
    let _ = write!(out, "<p class=\"lead\">{}</p>", with_code(&lead(facts)));
    numbers(facts, out);
    if let Some(blend) = facts.lead() {
        ladder(facts, blend, out);
    }
}

/// Metric, rows, folds, models: one line.
fn deck(facts: &Facts) -> String {
    let mut parts = vec![format!("{}, {}", facts.metric.label, facts.metric.orientation())];
    if let Some((scope, rows)) = &facts.scope {
        parts.push(format!("{} ({scope})", many(*rows, "row")));
    }
    if let Ok(targets) = &facts.targets {
        parts.push(many(targets.len(), "target"));
    }
    if facts.folds.len() > 1 {
        parts.push(many(facts.folds.len(), "fold"));
    }
    parts.push(many(facts.models.len(), "model"));
    parts.push(many(facts.blends.len(), "recipe"));
    parts.join(" \u{b7} ")
}

/// The sentence that the page is opened for.
fn lead(facts: &Facts) -> String {
    let Some(blend) = facts.lead() else {
        return match facts.single_best() {
            Some((model, best)) => {
                format!(
                    "The best of {} is `{model}` with {}. There is no blend yet.",
                    many(facts.models.len(), "model"),
                    score(best)
                )
            }
            None => "No model can be scored yet.".to_owned(),
        };
    };
    let (Some(nested), Some((single, single_score))) = (blend.nested, &blend.single_best) else {
        return match blend.score.or(blend.recorded) {
            Some(found) => format!(
                "The blend `{}` scores {} on the rows that its weights were chosen on. No score on unseen rows is recorded.",
                blend.name,
                score(found)
            ),
            None => format!("The blend `{}` has no score of its own yet.", blend.name),
        };
    };
    let gain = facts.metric.gain(nested, *single_score);
    let head = format!("On rows that its weights did not see, the blend `{}` scores {}, ", blend.name, score(nested));
    let than = format!("than the best single model, `{single}`");
    let size = score(gain.abs());
    match blend.gain {
        Some((low, high)) if low <= 0.0 && high >= 0.0 => format!(
            "{head}{size} {} {than}: not more than noise (95 % interval of the gain {} to {}).",
            if gain < 0.0 { "worse" } else { "better" },
            signed(low, 6),
            signed(high, 6)
        ),
        Some((low, high)) => format!(
            "{head}{size} {} {than} (95 % interval of the gain {} to {}).",
            if gain < 0.0 { "worse" } else { "better" },
            signed(low, 6),
            signed(high, 6)
        ),
        None => format!("{head}{size} {} {than}.", if gain < 0.0 { "worse" } else { "better" }),
    }
}

fn numbers(facts: &Facts, out: &mut String) {
    let mut all: Vec<(&str, String, String)> = Vec::new();
    if let Some((model, best)) = facts.single_best() {
        all.push(("Best single model", score(best), format!("`{model}`")));
    }
    if let Some(blend) = facts.lead() {
        all.push(("Blend, unseen rows", score_or_dash(blend.nested), "nested: the honest one".to_owned()));
        all.push(("Blend, own rows", score_or_dash(blend.score.or(blend.recorded)), "flattering".to_owned()));
        let members = blend.weights.iter().filter(|weight| weight.weight != 0.0).count();
        all.push(("Members", members.to_string(), format!("of {}", many(facts.models.len(), "model"))));
    }
    if let Ok(ledger) = &facts.ledger {
        let publics = ledger.iter().filter_map(|entry| Some((entry, entry.public?)));
        let best = publics.max_by(|a, b| facts.metric.gain(a.1, b.1).total_cmp(&0.0));
        if let Some((entry, public)) = best {
            all.push(("Best public score", score(public), format!("`{}`", entry.name)));
        }
    }
    let tally = Facts::tally(facts.open());
    let faults = facts.open().filter(|finding| finding.severity == "fault").count();
    all.push((
        "Audit",
        if faults > 0 { many(faults, "fault") } else { "no faults".to_owned() },
        if tally.is_empty() { "nothing found".to_owned() } else { tally },
    ));
    out.push_str("<dl class=\"facts\">");
    for (name, value, remark) in &all {
        let (name, value, remark) = (esc(name), esc(value), with_code(remark));
        let _ = write!(out, "<div><dt>{name}</dt><dd>{value}<small>{remark}</small></dd></div>");
    }
    out.push_str("</dl>");
}

/// A score on the ladder.
struct Rung {
    label: String,
    score: f64,
    interval: Option<(f64, f64)>,
    is_lead: bool,
}

/// The blend between its two baselines, with the interval of its gain.
fn ladder(facts: &Facts, blend: &Blend, out: &mut String) {
    let rung = |label: &str, score: f64| Rung { label: label.to_owned(), score, interval: None, is_lead: false };
    let mut rungs: Vec<Rung> = Vec::new();
    rungs.extend(blend.single_best.as_ref().map(|(model, best)| rung(&format!("single best ({model})"), *best)));
    rungs.extend(blend.equal_weights.map(|equal| rung("equal weights", equal)));
    rungs.extend(blend.nested.map(|nested| {
        let sign = if facts.metric.higher_is_better { 1.0 } else { -1.0 };
        let interval = blend.gain.zip(blend.single_best.as_ref()).map(|((low, high), (_, best))| {
            let ends = [best + sign * low, best + sign * high];
            (ends[0].min(ends[1]), ends[0].max(ends[1]))
        });
        Rung { interval, is_lead: true, ..rung("blend, unseen rows", nested) }
    }));
    rungs.extend(blend.score.or(blend.recorded).map(|own| rung("blend, own rows", own)));
    let ends = rungs.iter().flat_map(|rung| {
        let (low, high) = rung.interval.unwrap_or((rung.score, rung.score));
        [rung.score, low, high]
    });
    let Some(scale) = Scale::around(ends).filter(|_| rungs.len() > 1) else { return };
    let lines: Vec<Row> = rungs
        .into_iter()
        .map(|rung| {
            let mut marks: Vec<Mark> = Vec::new();
            marks.extend(rung.interval.map(|(low, high)| Mark::Whisker { low, high }));
            marks.push(Mark::Dots { values: vec![rung.score], class: if rung.is_lead { "big hi" } else { "big" } });
            Row { label: rung.label, is_lead: rung.is_lead, marks, value: score(rung.score) }
        })
        .collect();
    let chart = rows(scale, ["", &facts.metric.label, "score"], &lines);
    let interval = if blend.gain.is_some() {
        " The line is the 95 % interval of the gain over the single best, drawn from the single best's score."
    } else {
        ""
    };
    let words = format!(
        "`{}` beside its baselines, {}; the axis does not start at zero.{interval}",
        blend.name,
        facts.metric.orientation()
    );
    figure(out, &chart, &words);
}

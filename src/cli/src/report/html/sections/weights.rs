//! The recipes: weights as bars from zero, and how far they move when rows are drawn again.

use super::{
    super::{
        charts::{
            rows::{Row, rows},
            strip::Mark,
        },
        facts::{Blend, Facts},
        scale::Scale,
        text::{esc, fixed, many, score, with_code},
    },
    absent, note,
};
use std::fmt::Write as _;

pub(super) fn section(facts: &Facts, out: &mut String) {
    if facts.blends.is_empty() {
        absent(out, "There is no recipe yet: `blend search --target cv` writes the first.");
        return;
    }
    let ends = facts.blends.iter().flat_map(|blend| &blend.weights).flat_map(|weight| {
        let (low, high) = weight.interval.unwrap_or((weight.weight, weight.weight));
        [weight.weight, low, high]
    });
    let Some(scale) = Scale::from_zero(ends) else {
        absent(out, "No recipe has a member.");
        return;
    };
    let spread = facts.blends.iter().flat_map(|blend| &blend.weights).any(|weight| weight.interval.is_some());
    note(
        out,
        if spread {
            "Bars start at zero, on one axis for all recipes. The lines over them are 95 % bootstrap intervals: how far a \
             weight moves when the rows are drawn again."
        } else {
            "Bars start at zero, on one axis for all recipes. How far weights move when the rows are drawn again is not \
             recorded in these recipes, so the bars carry no intervals."
        },
    );
    out.push_str("<div class=\"many\">");
    for blend in &facts.blends {
        recipe(facts, blend, scale, out);
    }
    out.push_str("</div>");
}

fn recipe(facts: &Facts, blend: &Blend, scale: Scale, out: &mut String) {
    let is_lead = facts.lead().is_some_and(|lead| lead.name == blend.name);
    let mut weights: Vec<_> = blend.weights.iter().filter(|weight| weight.weight != 0.0).collect();
    weights.sort_by(|a, b| b.weight.total_cmp(&a.weight).then_with(|| a.model.cmp(&b.model)));
    let lines: Vec<Row> = weights
        .iter()
        .map(|weight| {
            let mut marks = vec![Mark::Bar { value: weight.weight, class: if is_lead { "hi" } else { "" } }];
            marks.extend(weight.interval.map(|(low, high)| Mark::Whisker { low, high }));
            Row { label: weight.model.clone(), is_lead: false, marks, value: fixed(weight.weight, 4) }
        })
        .collect();
    let _ = write!(out, "<figure><h3>{}</h3>", esc(&blend.name));
    if !lines.is_empty() {
        let mut about = format!("{}, {}, {}", blend.by, blend.space, blend.domain);
        if blend.varies {
            about.push_str("; weights differ from part to part, these are those of all parts together");
        }
        if let Some(stop) = &blend.stop {
            let _ = write!(about, "; {stop}");
        }
        let _ = write!(out, "<p class=\"note\">{}</p>{}", with_code(&about), rows(scale, ["", "weight", ""], &lines));
    }
    let mut caption = String::new();
    let zero: Vec<&str> = facts
        .models
        .iter()
        .map(|model| model.name.as_str())
        .filter(|name| !weights.iter().any(|weight| weight.model == *name))
        .collect();
    if !zero.is_empty() && !weights.is_empty() {
        let shown: Vec<String> = zero.iter().take(8).map(|name| format!("`{name}`")).collect();
        let more = if zero.len() > 8 { format!(" and {} more", zero.len() - 8) } else { String::new() };
        let _ = write!(caption, "{} without weight: {}{more}. ", many(zero.len(), "model"), shown.join(", "));
    }
    if let Some(nested) = blend.nested {
        let _ = write!(caption, "Unseen rows {}. ", score(nested));
    }
    if let Some(own) = blend.score {
        let _ = write!(caption, "Own rows {}. ", score(own));
    }
    if let Some((predicted, error)) = blend.predicted {
        let error = error.map_or_else(String::new, |error| format!(" \u{b1} {}", score(error)));
        let _ = write!(caption, "Predicted public score {}{error}. ", score(predicted));
    }
    if let Some(public) = blend.public {
        let _ = write!(caption, "Public score {}. ", score(public));
    }
    if let (Some(recorded), Some(now)) = (blend.recorded, blend.score)
        && (recorded - now).abs() > 1e-9 * recorded.abs().max(1.0)
    {
        let _ = write!(caption, "Its search recorded {}: outputs have changed since, search again. ", score(recorded));
    }
    if let Some(problem) = &blend.problem {
        let _ = write!(caption, "It cannot be judged now: {problem}. ");
    }
    let _ = write!(out, "<figcaption>{}</figcaption></figure>", with_code(caption.trim_end()));
}

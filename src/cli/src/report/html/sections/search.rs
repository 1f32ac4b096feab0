//! What the blend loses without each model, and how its search went.

use super::{
    super::{
        charts::{
            lines,
            rows::{Row, rows},
            strip::Mark,
        },
        facts::{Facts, Leaving, Without},
        scale::Scale,
        text::{many, score, signed},
    },
    absent, figure,
};

pub(super) fn without(facts: &Facts, out: &mut String) {
    let all = match &facts.without {
        Ok(all) => all,
        Err(why) => return absent(out, why),
    };
    for it in all {
        leaving(it, out);
    }
}

fn leaving(all: &Leaving, out: &mut String) {
    let Some(scale) = Scale::from_zero(all.models.iter().map(|it| it.loss)) else {
        return absent(out, "The blend has no member to leave out.");
    };
    let mut order: Vec<&Without> = all.models.iter().collect();
    order.sort_by(|a, b| b.loss.total_cmp(&a.loss));
    let lines: Vec<Row> = order
        .iter()
        .map(|it| {
            let parts = if all.parts > 0 { format!(" ({}/{})", it.worse_in, all.parts) } else { String::new() };
            Row {
                label: it.model.clone(),
                is_lead: false,
                marks: vec![Mark::Bar { value: it.loss, class: if it.loss < 0.0 { "bad" } else { "" } }],
                value: format!("{}{parts}", signed(it.loss, 6)),
            }
        })
        .collect();
    let noise = if all.parts > 0 {
        format!(
            " In brackets, in how many of {} parts of the rows it is worse without the model: a loss that is there in \
             few of them is noise.",
            all.parts
        )
    } else {
        String::new()
    };
    figure(
        out,
        &rows(scale, ["", "worse without it, in the metric's unit", ""], &lines),
        &format!("How much worse {}. Bars start at zero; below zero it is better without the model.{noise}", all.of),
    );
}

pub(super) fn trace(facts: &Facts, out: &mut String) {
    let trace = match &facts.trace {
        Ok(trace) => trace,
        Err(why) => return absent(out, why),
    };
    let (Some(first), Some(last)) = (trace.steps.first(), trace.steps.last()) else {
        return absent(out, "The trace has no iteration.");
    };
    let says = format!(
        "{} from a score of {} to {}{}.",
        many(trace.steps.len(), "iteration"),
        score(first.score),
        score(last.score),
        last.gap.map_or_else(String::new, |gap| format!(", at the end a gap of {gap:.1e}"))
    );
    match lines::trace(&trace.steps, &says) {
        Some(chart) => figure(
            out,
            &chart,
            &format!(
                "{says} The gap is a proof: no allowed weights score better by more than that. Iterations at the best score \
                 itself have no place on an axis of powers of ten. From `{}`.",
                trace.file
            ),
        ),
        None => absent(out, &format!("{says} Its first step is its best: there is no line to draw.")),
    }
}

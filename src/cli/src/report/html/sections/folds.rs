//! Scores fold by fold: how much a difference between models is worth.

use super::{
    super::{
        charts::{
            rows::{Row, rows},
            strip::Mark,
        },
        facts::Facts,
        scale::Scale,
        table::{Table, cell, number, text},
        text::score,
    },
    absent, figure,
};

/// Models whose lines are shown; the others stand in the table.
const LINES: usize = 40;

pub(super) fn section(facts: &Facts, out: &mut String) {
    if facts.folds.len() < 2 {
        absent(out, "There are no folds to compare: `folds:` of competition.yaml names none, or only one.");
        return;
    }
    struct Line<'a> {
        name: &'a str,
        score: f64,
        folds: Vec<f64>,
        is_lead: bool,
    }
    let mut all: Vec<Line<'_>> = facts
        .models
        .iter()
        .filter_map(|model| Some((model.name.as_str(), model.score?, &model.folds, false)))
        .chain(facts.lead().and_then(|blend| Some((blend.name.as_str(), blend.score?, &blend.folds, true))))
        .map(|(name, score, folds, is_lead)| Line {
            name,
            score,
            folds: folds.iter().flatten().copied().collect(),
            is_lead,
        })
        .collect();
    all.sort_by(|a, b| facts.metric.gain(b.score, a.score).total_cmp(&0.0));
    let Some(scale) =
        Scale::around(all.iter().take(LINES).flat_map(|line| line.folds.iter().copied().chain([line.score])))
    else {
        absent(out, "No model can be scored by fold.");
        return;
    };
    let lines: Vec<Row> = all
        .iter()
        .take(LINES)
        .map(|line| {
            let class = if line.is_lead { "hi" } else { "" };
            let marks = vec![Mark::Dots { values: line.folds.clone(), class }, Mark::Tick { value: line.score, class }];
            Row { label: line.name.to_owned(), is_lead: line.is_lead, marks, value: score(line.score) }
        })
        .collect();
    let mut caption = format!(
        "One dot for each fold, an upright line for the pooled score; {}, and the axis does not start at zero.",
        facts.metric.orientation()
    );
    if let Some(blend) = facts.lead().filter(|blend| blend.score.is_some()) {
        caption += &format!(" `{}` is judged on the rows that its weights were chosen on.", blend.name);
    }
    if all.len() > LINES {
        caption += &format!(" The best {LINES} of {} are drawn; the table has all.", all.len());
    }
    figure(out, &rows(scale, ["", &facts.metric.label, "pooled"], &lines), &caption);
    numbers(facts, out);
}

/// The same as numbers.
fn numbers(facts: &Facts, out: &mut String) {
    let high = facts.metric.higher_is_better;
    let folds = facts.folds.iter().map(|fold| number(format!("fold {fold}")).high_first(high));
    let mut table = Table::new("fold-table", std::iter::once(text("model")).chain(folds).collect());
    for model in facts.by_score() {
        let it = &facts.models[model];
        let cells: Vec<String> = it.folds.iter().map(|&value| cell(value, score)).collect();
        if !cells.is_empty() {
            table.row("", &it.name, &cells);
        }
    }
    if let Some(blend) = facts.lead().filter(|blend| !blend.folds.is_empty()) {
        let cells: Vec<String> = blend.folds.iter().map(|&value| cell(value, score)).collect();
        table.row("is-blend", &blend.name, &cells);
    }
    out.push_str("<details><summary>Scores by fold as a table</summary>");
    out.push_str(&table.finish("Scores by fold"));
    out.push_str("</details>");
}

//! Scores target by target and group by group, however many there are: one line for each, all on one relative axis.

use super::{
    super::{
        charts::strip::{Mark, axis, strip},
        facts::{Facts, Known, Part},
        scale::{Scale, extent},
        table::{Table, cell, chart, charts, number, text, words},
        text::{score, signed, thousands},
    },
    absent, note,
};
use std::fmt::Write as _;

pub(super) fn section(facts: &Facts, out: &mut String) {
    by_part(facts, &facts.targets, &TARGETS, out);
}

pub(super) fn groups(facts: &Facts, out: &mut String) {
    by_part(facts, &facts.groups, &GROUPS, out);
}

/// What the parts are called.
struct Words {
    table: &'static str,
    caption: &'static str,
    part: &'static str,
    count: &'static str,
    /// Parts with no more of what is counted tell little.
    few: usize,
}

const TARGETS: Words =
    Words { table: "target-table", caption: "Scores by target", part: "target", count: "positives", few: 20 };
const GROUPS: Words = Words { table: "group-table", caption: "Scores by group", part: "group", count: "rows", few: 50 };

fn by_part(facts: &Facts, parts: &Known<Vec<Part>>, named: &Words, out: &mut String) {
    let targets = match parts {
        Ok(parts) => parts,
        Err(why) => return absent(out, why),
    };
    let lines: Vec<Line> = targets.iter().map(|target| line(facts, target)).collect();
    let Some(scale) = common_scale(&lines) else {
        return absent(out, &format!("No model can be scored by {}.", named.part));
    };
    let relative = is_relative(facts);
    let blend = facts.lead().filter(|_| targets.iter().any(|target| target.blend.is_some()));
    let mut words_of = format!(
        "Each line is a {}, each thin mark a model: how far its score is from that of the median model, {}. Left of \
         zero is {}. All lines share one axis, which holds nineteen of twenty marks; what lies beyond stands at its end.",
        named.part,
        if relative { "in percent" } else { "in the metric's unit" },
        if facts.metric.higher_is_better { "worse" } else { "better" },
    );
    if let Some(blend) = blend {
        let _ = write!(words_of, " The strong mark is `{}` on its own rows.", blend.name);
    }
    note(out, &words_of);
    wins(facts, targets, named, out);
    let has_counts = targets.iter().any(|target| target.count.is_some());
    let high = facts.metric.higher_is_better;
    let mut columns = vec![text(named.part), charts("against the median model", axis(scale))];
    if has_counts {
        columns.push(number(named.count));
    }
    columns.extend([text("best model"), number("its score").high_first(high)]);
    if blend.is_some() {
        columns.extend([number("blend").high_first(high), number("blend gains").high_first(true)]);
    }
    let mut table = Table::new(named.table, columns);
    for (target, line) in targets.iter().zip(&lines) {
        let mut marks = vec![Mark::Zero, Mark::Ticks { values: line.models.clone() }];
        marks.extend(line.blend.map(|value| Mark::Tick { value, class: "hi" }));
        let spread = extent(line.models.iter().copied()).map(|(low, high)| high - low);
        let mut cells = vec![chart(&strip(scale, &marks), spread)];
        if has_counts {
            cells.push(cell(target.count.map(|n| n as f64), |n| thousands(n as usize)));
        }
        let best = best(facts, target);
        cells.push(words(best.map_or("", |(model, _)| &facts.models[model].name)));
        cells.push(cell(best.map(|(_, value)| value), score));
        if blend.is_some() {
            cells.push(cell(target.blend, score));
            let gain = target.blend.zip(best).map(|(blend, (_, best))| distance(facts, best, blend));
            cells.push(cell(gain, |value| unit(value, relative)));
        }
        table.row("", &target.name, &cells);
    }
    out.push_str(&table.finish(named.caption));
}

/// A target on the common axis: distances to the median model.
struct Line {
    models: Vec<f64>,
    blend: Option<f64>,
}

/// Scores that are errors compare by ratio; others (AUC, R2) by difference.
fn is_relative(facts: &Facts) -> bool {
    !facts.metric.higher_is_better
}

fn unit(value: f64, relative: bool) -> String {
    if relative { format!("{} %", signed(value, 1)) } else { signed(value, 4) }
}

/// How much better `to` is than `from`, in percent or in the metric's unit.
fn distance(facts: &Facts, from: f64, to: f64) -> f64 {
    let gain = facts.metric.gain(to, from);
    if is_relative(facts) { if from == 0.0 { 0.0 } else { 100.0 * gain / from.abs() } } else { gain }
}

fn line(facts: &Facts, target: &Part) -> Line {
    let mut scores: Vec<f64> = target.models.iter().flatten().copied().filter(|it| it.is_finite()).collect();
    scores.sort_by(f64::total_cmp);
    let Some(&middle) = scores.get(scores.len() / 2) else { return Line { models: Vec::new(), blend: None } };
    // On the axis a score is where its number is: lower errors to the left.
    let away = |value: f64| {
        let gain = distance(facts, middle, value);
        if facts.metric.higher_is_better { gain } else { -gain }
    };
    Line { models: scores.iter().map(|&value| away(value)).collect(), blend: target.blend.map(away) }
}

/// An axis on which nineteen of twenty marks have their place.
fn common_scale(lines: &[Line]) -> Option<Scale> {
    let mut all: Vec<f64> = lines
        .iter()
        .flat_map(|line| line.models.iter().copied().chain(line.blend))
        .filter(|it| it.is_finite())
        .collect();
    all.sort_by(f64::total_cmp);
    let last = all.len().checked_sub(1)?;
    let at = |share: f64| all[(share * last as f64).round() as usize];
    let (low, high) = (at(0.025).min(0.0), at(0.975).max(0.0));
    let room = (high - low) * 0.05;
    Some(Scale::linear(low - room, high + room))
}

fn best(facts: &Facts, target: &Part) -> Option<(usize, f64)> {
    let known = target.models.iter().enumerate().filter_map(|(model, value)| Some((model, (*value)?)));
    known.reduce(|a, b| if facts.metric.gain(b.1, a.1) > 0.0 { b } else { a })
}

/// Which models are best how often, and whether the blend beats the best of them.
fn wins(facts: &Facts, targets: &[Part], named: &Words, out: &mut String) {
    let mut wins = vec![0_usize; facts.models.len()];
    targets.iter().filter_map(|target| best(facts, target)).for_each(|(model, _)| wins[model] += 1);
    let mut order: Vec<usize> = (0..wins.len()).filter(|&model| wins[model] > 0).collect();
    order.sort_by_key(|&model| std::cmp::Reverse(wins[model]));
    let shown: Vec<String> =
        order.iter().take(5).map(|&model| format!("`{}` {}", facts.models[model].name, wins[model])).collect();
    let mut sentence = format!("Best on most {}s: {}.", named.part, shown.join(", "));
    let judged: Vec<(f64, f64)> =
        targets.iter().filter_map(|target| Some((target.blend?, best(facts, target)?.1))).collect();
    if !judged.is_empty() {
        let better = judged.iter().filter(|(blend, best)| facts.metric.gain(*blend, *best) > 0.0).count();
        let _ = write!(
            sentence,
            " The blend is better than each {}'s best model on {better} of {}.",
            named.part,
            judged.len()
        );
    }
    let few = targets.iter().filter(|target| target.count.is_some_and(|n| n <= named.few)).count();
    if few > 0 {
        let _ =
            write!(sentence, " {few} have at most {} {}: differences there are mostly noise.", named.few, named.count);
    }
    note(out, &sentence);
}

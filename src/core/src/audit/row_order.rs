//! Values in another order than their ids: unrelated to what the other models say, until they are put in order.

use super::{Check, Context, Finding, Part, Severity, Stored, Wanted, context::Reader, leak::median};
use crate::{OutputKind, compare::standardize, judge, num};
use rayon::prelude::*;

pub(super) const CHECK: Check = Check {
    name: "row_order",
    severities: &[Severity::Fault, Severity::Warning, Severity::Note],
    does: "values are related to the truth or the other models as they stand, and not better in another order of rows",
    run,
};

/// Rows that are looked at first, at most.
const ROWS: usize = 4096;
/// Correlation that the other models must have for a stranger to be told.
const RELATED: f64 = 0.2;
/// Share of it below which a model is a stranger.
const STRANGER: f64 = 0.25;
/// Share of it that another order has to bring back.
const BACK: f64 = 0.5;
/// And standard errors by which it has to be beyond what stands there.
const CHANCE: f64 = 5.0;

fn run(context: &Context) -> Vec<Finding> {
    [Part::Oof, Part::Test].into_iter().flat_map(|part| strangers(context, part)).collect()
}

/// Some values of a model, column by column, centered and of length one.
struct Standard(Vec<Option<Vec<f64>>>);

impl Standard {
    fn new(columns: impl Iterator<Item = Vec<f64>>) -> Self {
        Self(columns.map(|mut column| standardize(&mut column).then_some(column)).collect())
    }

    /// Mean correlation over the columns that vary in both; 0 where there is none.
    fn correlation(&self, other: &Self) -> f64 {
        let pairs = self.0.iter().zip(&other.0).filter_map(|(a, b)| Some(num::dot(a.as_ref()?, b.as_ref()?)));
        let all: Vec<f64> = pairs.collect();
        if all.is_empty() { 0.0 } else { all.iter().sum::<f64>() / all.len() as f64 }
    }

    fn mean_without(all: &[Self], left_out: usize) -> Self {
        let n_columns = all[0].0.len();
        Self::new((0..n_columns).map(|c| {
            let others = all.iter().enumerate().filter(|(at, _)| *at != left_out);
            let mut others = others.filter_map(|(_, it)| it.0[c].as_ref());
            let mut sum = others.next().cloned().unwrap_or_default();
            others.for_each(|column| sum.iter_mut().zip(column).for_each(|(sum, x)| *sum += x));
            sum
        }))
    }
}

/// The rows of a model that are looked at first: every `step`-th. `None` where they hold no numbers or hardly differ.
fn thinned(reader: &Reader<'_>, step: usize) -> Option<Standard> {
    let block = reader.natural((0..reader.n_rows()).step_by(step));
    let usable = block.values().iter().all(|x| x.is_finite()) && reader.tells_rows_apart(&block);
    usable.then(|| Standard::new((0..block.n_outputs()).map(|c| block.column(c).to_vec())))
}

fn strangers(context: &Context, part: Part) -> Vec<Finding> {
    let Some(wanted) = context.wanted(part) else { return Vec::new() };
    let step = wanted.scope.len().div_ceil(ROWS);
    // Values of one meaning: logits have become probabilities, vectors are in one frame.
    let (readers, all): (Vec<Reader<'_>>, Vec<Standard>) =
        context.complete(part).into_par_iter().filter_map(|reader| Some((reader, thinned(&reader, step)?))).unzip();
    // Labels are the better reference; where there are none, or they are of another shape, the other models are.
    let labels = context.evidence().judgement.as_ref().filter(|_| part == Part::Oof).map(|it| it.columns());
    let labels = labels.filter(|labels| all.iter().all(|it| it.0.len() == labels.len()));
    let truth = labels
        .as_ref()
        .map(|labels| Standard::new(labels.iter().map(|column| column.iter().step_by(step).copied().collect())));
    if truth.is_none() && all.len() < 3 {
        return Vec::new();
    }
    let related_to = |at: usize| match &truth {
        Some(truth) => all[at].correlation(truth),
        None => all[at].correlation(&Standard::mean_without(&all, at)),
    };
    // The same reference on all rows, for the few models that need it.
    let reference = |at: usize| match &labels {
        Some(labels) => Some(Standard::new(labels.iter().cloned())),
        None => {
            let whole = readers.iter().map(|reader| thinned(reader, 1)).collect::<Option<Vec<Standard>>>()?;
            Some(Standard::mean_without(&whole, at))
        }
    };
    let own: Vec<f64> = (0..all.len()).into_par_iter().map(related_to).collect();
    let usual = if own.len() < 3 { None } else { Some(median(own.clone())) };
    (0..all.len())
        .into_par_iter()
        .filter(|&at| match usual {
            Some(usual) => usual > RELATED && own[at] < STRANGER * usual,
            // Nothing to compare with: a stranger to the truth may be a bad model, so only an order is told.
            None => own[at] < STRANGER * RELATED,
        })
        .filter_map(|at| {
            let stored = readers[at].stored;
            let related = usual.unwrap_or(RELATED);
            let tell = |(order, correlation): (String, f64)| {
                let scores = scores(context, stored, &order);
                let cause = format!(
                    "unrelated as it stands (correlation {:.3}), but {correlation:.3} with the rows {order}{scores}",
                    own[at]
                );
                let hint = "import it with `--rows FILE`, the ids in the order of the values";
                let finding = Finding::of(stored, &CHECK, Severity::Fault);
                finding.because(cause, hint, wanted.rows.len())
            };
            let reference = reference(at)?;
            let found = context.whole(stored, |reader| in_order(context, wanted, reader, &reference))?;
            // Values in a wrong order spread as far as in the right one.
            let timid = |spread: f64| usual.is_some_and(|usual| spread < BACK * usual);
            // The best of several orders is related by chance as well.
            let beyond = own[at].max(0.0) + CHANCE / libm::sqrt(wanted.scope.len() as f64);
            match found.filter(|(_, correlation)| *correlation > BACK * related && *correlation > beyond) {
                Some(found) => Some(tell(found)),
                None if labels.as_ref().and_then(|labels| spread(&readers[at], labels, step)).is_some_and(timid) => {
                    let cause = format!(
                        "unrelated to the truth (correlation {:.3}, of the middle model {related:.3}), and hardly \
                         different from row to row: it knows little more than the mean",
                        own[at]
                    );
                    let hint = "a run that stopped early, or inputs that say nothing; another order would not help";
                    Some(Finding::of(stored, &CHECK, Severity::Note).because(cause, hint, wanted.rows.len()))
                }
                None if usual.is_some() => {
                    let cause = format!(
                        "unrelated to {} (correlation {:.3}, of the middle model {related:.3})",
                        if truth.is_some() { "the truth" } else { "the other models" },
                        own[at]
                    );
                    let hint = "rows in another order, another target, or a failed run";
                    Some(Finding::of(stored, &CHECK, Severity::Warning).because(cause, hint, wanted.rows.len()))
                }
                None => None,
            }
        })
        .collect()
}

/// How far values spread over the rows, as a share of how far the labels do, on average over the outputs. Of a calibrated
/// model that is its correlation with them, as then `var p = cov(p, y)`. `None` where values have another scale.
fn spread(reader: &Reader<'_>, labels: &[Vec<f64>], step: usize) -> Option<f64> {
    if !matches!(reader.stored.encoding.kind.as_probability(), OutputKind::Probability | OutputKind::Value) {
        return None;
    }
    let deviation = |values: &[f64]| {
        let mean = num::sum(values) / values.len() as f64;
        let squares: Vec<f64> = values.iter().map(|x| (x - mean) * (x - mean)).collect();
        libm::sqrt(num::sum(&squares) / values.len() as f64)
    };
    let block = reader.natural((0..reader.n_rows()).step_by(step));
    let shares = labels.iter().enumerate().filter_map(|(c, labels)| {
        let of_labels = deviation(labels);
        (of_labels > 0.0).then(|| deviation(block.column(c)) / of_labels)
    });
    let shares: Vec<f64> = shares.collect();
    (!shares.is_empty()).then(|| num::sum(&shares) / shares.len() as f64)
}

/// The order of rows in which the values are most related to the reference: its name and the correlation.
fn in_order(context: &Context, wanted: &Wanted, reader: &Reader<'_>, reference: &Standard) -> Option<(String, f64)> {
    let block = reader.natural(0..reader.n_rows());
    let scope: Vec<usize> = wanted.scope.iter().collect();
    let related = |(name, order): (&'static str, Vec<usize>)| {
        // Value `i` belongs to row `order[i]`.
        let columns = (0..block.n_outputs()).map(|c| {
            let mut column = vec![0.0; block.n_rows()];
            order.iter().zip(block.column(c)).for_each(|(&row, x)| column[row] = *x);
            scope.iter().map(|&row| column[row]).collect()
        });
        (name.to_owned(), Standard::new(columns).correlation(reference))
    };
    orders(context, reader.stored, wanted).into_iter().map(related).max_by(|a, b| a.1.total_cmp(&b.1))
}

/// Orders in which people write rows; `order[i]` is the row that stands at place `i`.
fn orders(context: &Context, stored: &Stored, wanted: &Wanted) -> Vec<(&'static str, Vec<usize>)> {
    let n = wanted.rows.len();
    let sorted = |key: &dyn Fn(usize, usize) -> std::cmp::Ordering| {
        let mut order: Vec<usize> = (0..n).collect();
        order.sort_by(|&a, &b| key(a, b));
        order
    };
    let by_text = sorted(&|a, b| wanted.rows.id(a).cmp(&wanted.rows.id(b)));
    let mut inverse = vec![0; n];
    by_text.iter().enumerate().for_each(|(place, &row)| inverse[row] = place);
    let mut all = vec![
        ("in the order of their ids sorted as text", by_text),
        ("as if the wanted ids had been sorted as text", inverse),
        ("in reverse", (0..n).rev().collect()),
    ];
    if let Some(ids) = wanted.rows.as_ints() {
        all.push(("in the order of their ids sorted as numbers", sorted(&|a, b| ids[a].cmp(&ids[b]))));
    }
    let folds = context.evidence().judgement.as_ref().and_then(|judgement| judgement.folds);
    if let Some(folds) = folds.filter(|folds| stored.part == Part::Oof && folds.labels().len() == n) {
        all.push(("one fold after the other", sorted(&|a, b| folds.labels()[a].cmp(&folds.labels()[b]))));
    }
    if stored.rows != wanted.rows {
        // The values stand as the wanted rows do, only the ids beside them do not.
        let found: Vec<usize> =
            stored.rows.find_in(&wanted.rows).into_iter().flatten().map(|row| row as usize).collect();
        if found.len() == n {
            let mut inverse = vec![0; n];
            found.iter().enumerate().for_each(|(place, &row)| inverse[row] = place);
            all.push(("by position, whatever their ids say", inverse));
        }
    }
    all
}

/// The score by id beside the score by position, where the order is that of positions.
fn scores(context: &Context, stored: &Stored, order: &str) -> String {
    let Some(judgement) = context.evidence().judgement.as_ref().filter(|_| stored.part == Part::Oof) else {
        return String::new();
    };
    let bound = judgement.bound();
    let Some(wanted) = context.wanted(Part::Oof) else { return String::new() };
    let scored = context.whole(stored, |reader| {
        let block = reader.natural(0..reader.n_rows());
        let orders = orders(context, stored, wanted);
        let (_, order) = orders.into_iter().find(|(name, _)| *name == order)?;
        let mut place = vec![0; order.len()];
        order.iter().enumerate().for_each(|(at, &row)| place[row] = at);
        let scope: Vec<usize> = wanted.scope.iter().collect();
        let placed: Vec<usize> = scope.iter().map(|&row| place[row]).collect();
        let score = |rows: &[usize]| {
            let block = block.select(rows);
            (block.n_outputs() == bound.n_outputs()).then(|| judge::score(bound, &block))
        };
        Some((score(&scope)?, score(&placed)?))
    });
    scored.flatten().map_or_else(String::new, |(by_id, other)| format!("; it scores {other:.6} then, {by_id:.6} by id"))
}

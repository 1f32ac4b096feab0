//! Models that are worse than no model, and what they may have been meant as.

use super::{Check, Context, Finding, Judgement, Part, Severity, context::Reader};
use crate::{
    OutputKind,
    block::Block,
    judge, num,
    score::{Direction, Score},
};
use rayon::prelude::*;

pub(super) const CHECK: Check = Check {
    name: "baseline",
    severities: &[Severity::Fault, Severity::Warning],
    does: "every model is better than a constant, and not better when read inverted or on another scale",
    run,
};

/// How much worse than the constant, as a share of the constant's distance from a perfect score.
const WORSE: f64 = 0.1;
/// How much better another reading has to be, the same share.
const BETTER: f64 = 0.2;

fn run(context: &Context) -> Vec<Finding> {
    let Some(judgement) = &context.evidence().judgement else { return Vec::new() };
    let Some(constant) = constant(judgement) else { return Vec::new() };
    context.complete(Part::Oof).par_iter().filter_map(|reader| check(judgement, reader, constant)).collect()
}

/// The score of the labels' own means as a prediction.
pub(super) fn constant(judgement: &Judgement<'_>) -> Option<f64> {
    let info = judgement.metric.info();
    if info.predictions.contains(&OutputKind::Vector) {
        return Some(std::f64::consts::FRAC_PI_2);
    }
    let weights = judgement.labels().weights.as_deref();
    let columns: Vec<Vec<f64>> = judgement
        .columns()
        .into_iter()
        .map(|column| {
            let mass = weights.map_or(column.len() as f64, num::sum);
            let mean = weights.map_or_else(|| num::sum(&column), |weights| num::dot(&column, weights)) / mass;
            vec![mean; column.len()]
        })
        .collect();
    let block = Block::from_columns(&columns);
    let score = (block.n_outputs() == judgement.bound().n_outputs()).then(|| judge::score(judgement.bound(), &block));
    score.filter(|score| score.is_finite())
}

fn check(judgement: &Judgement<'_>, reader: &Reader<'_>, constant: f64) -> Option<Finding> {
    let (bound, info) = (judgement.bound(), judgement.metric.info());
    let kind = reader.stored.encoding.kind.as_probability();
    if !info.predictions.contains(&kind) || reader.n_outputs() != bound.n_outputs() {
        return None;
    }
    let block = reader.finite()?;
    let own = judge::score(bound, &block);
    let scale = (constant - info.optimum).abs();
    let gain = |a: f64, b: f64| bound.direction().gain(Score(a), Score(b));
    if gain(constant, own) <= WORSE * scale {
        return None;
    }
    let better = |it: &(f64, &str, &str)| gain(it.0, own) > BETTER * scale && gain(it.0, constant) > BETTER * scale;
    let readings = readings(kind).into_iter().map(|(what, hint, read)| {
        let mut other = block.clone();
        other.values_mut().iter_mut().for_each(|x| *x = read(*x));
        let finite = other.values().iter().all(|x| x.is_finite());
        let worst = if bound.direction() == Direction::Lower { f64::INFINITY } else { f64::NEG_INFINITY };
        (if finite { judge::score(bound, &other) } else { worst }, what, hint)
    });
    let loss = |it: &(f64, &str, &str)| bound.direction().loss(Score(it.0));
    let finding = |severity| Finding::of(reader.stored, &CHECK, severity);
    if let Some((score, what, hint)) = readings.filter(|it| better(it)).min_by_key(loss) {
        let cause = format!("scores {own:.6}, worse than a constant ({constant:.6}), but {score:.6} {what}");
        return Some(finding(Severity::Fault).because(cause, hint, block.n_rows()));
    }
    let cause = format!("scores {own:.6}, worse than a constant ({constant:.6})");
    let hint = "a failed run, other rows, or another target: leave it out unless a blend proves it useful";
    Some(finding(Severity::Warning).because(cause, hint, block.n_rows()))
}

type Reading = (&'static str, &'static str, fn(f64) -> f64);

/// Other ways to read outputs, with what to do where one of them is right.
fn readings(kind: OutputKind) -> Vec<Reading> {
    match kind {
        OutputKind::Probability => vec![
            ("inverted", "these are probabilities of 0: import 1 - p", |p| 1.0 - p),
            ("as logits", "say `output: logit` in model.yaml", num::sigmoid),
        ],
        OutputKind::Value => vec![
            ("after exp", "predicted on the log scale: import with `--transform exp`", num::exp),
            ("after exp(x) - 1", "predicted as ln(1 + x): import with `--transform expm1`", libm::expm1),
            ("after a logarithm", "the truth is on the log scale: import ln x", |x| num::ln(x.max(f64::MIN_POSITIVE))),
            ("negated", "import with the sign turned", |x| -x),
            ("divided by 100", "given in percent: divide by 100 before the import", |x| x / 100.0),
            ("times 100", "given as a fraction: multiply by 100 before the import", |x| x * 100.0),
        ],
        OutputKind::Rank => vec![("inverted", "the order is turned around: import with the sign turned", |x| -x)],
        _ => Vec::new(),
    }
}

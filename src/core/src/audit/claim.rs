//! Scores as their authors state them, and the convention that makes them so.
//!
//! Where a claim is not what is computed here, the conventions that people use are tried, one change at a time, then
//! two, then three: rows outside the scope counted (as predicted, or as certain and right), columns divided by one more
//! than there are (an id column counted in), the mean of folds, other clips, values rounded to half precision; and the
//! score of one fold or group alone. A convention that reproduces every digit of the claim is named.

use super::{Check, Context, Finding, Judgement, Part, Severity, Stored};
use crate::{
    block::Block,
    judge,
    manifest::Claimed,
    metric::{self, MetricSpec},
    scope::RowSet,
    truth::LabelValues,
};
use rayon::prelude::*;

pub(super) const CHECK: Check = Check {
    name: "claim",
    severities: &[Severity::Warning, Severity::Note],
    does: "the claimed score is the computed one, or a convention that reproduces it is named",
    run,
};

/// Clips that are in use, besides the metric's own.
const CLIPS: [f64; 8] = [1e-15, 1e-12, 1e-7, 1e-6, 1e-5, 1e-4, 5e-4, 1e-3];

fn run(context: &Context) -> Vec<Finding> {
    let evidence = context.evidence();
    let Some(judgement) = &evidence.judgement else { return Vec::new() };
    let each = |(model, claimed): &(crate::ModelId, Claimed)| {
        let stored = context.find(model, Part::Oof)?;
        let all = context.whole(stored, |reader| reader.natural(0..reader.n_rows()))?;
        check(context, judgement, stored, &all, claimed)
    };
    evidence.claims.par_iter().filter_map(each).collect()
}

/// One way to compute a score.
#[derive(Clone, Copy, PartialEq)]
struct Convention {
    rows: Rows,
    clip: Option<f64>,
    half: bool,
    mean_of_folds: bool,
    one_column_more: bool,
}

#[derive(Clone, Copy, PartialEq)]
enum Rows {
    Scope,
    /// All rows, as they are predicted.
    All,
    /// All rows, those outside the scope with no loss.
    AllWithoutLoss,
}

const USUAL: Convention =
    Convention { rows: Rows::Scope, clip: None, half: false, mean_of_folds: false, one_column_more: false };

impl Convention {
    fn changes(&self) -> usize {
        usize::from(self.rows != Rows::Scope)
            + usize::from(self.clip.is_some())
            + usize::from(self.half)
            + usize::from(self.mean_of_folds)
            + usize::from(self.one_column_more)
    }

    fn words(&self, n_columns: usize) -> String {
        let mut words = Vec::new();
        match self.rows {
            Rows::Scope => {}
            Rows::All => words.push("all rows counted, also those outside the scope".to_owned()),
            Rows::AllWithoutLoss => words.push("all rows counted, those outside the scope with no loss".to_owned()),
        }
        if self.one_column_more {
            words.push(format!("the sum over {n_columns} columns divided by {}", n_columns + 1));
        }
        if self.mean_of_folds {
            words.push("the mean of the folds' scores".to_owned());
        }
        words.extend(self.clip.map(|clip| format!("clip {clip:e}")));
        if self.half {
            words.push("values rounded to half precision".to_owned());
        }
        words.join(", ")
    }
}

/// All conventions that differ from the usual in at most three ways, the nearest first.
fn conventions(own_clip: Option<f64>) -> Vec<Convention> {
    let clips = || CLIPS.into_iter().map(Some).filter(move |clip| own_clip.is_some() && *clip != own_clip);
    let mut all = Vec::new();
    for rows in [Rows::Scope, Rows::All, Rows::AllWithoutLoss] {
        for clip in std::iter::once(None).chain(clips()) {
            for half in [false, true] {
                for mean_of_folds in [false, true] {
                    for one_column_more in [false, true] {
                        all.push(Convention { rows, clip, half, mean_of_folds, one_column_more });
                    }
                }
            }
        }
    }
    all.retain(|it| (1..=3).contains(&it.changes()) && !(it.half && it.clip.is_some()));
    all.sort_by_key(Convention::changes);
    all
}

fn check(
    context: &Context,
    judgement: &Judgement<'_>,
    stored: &Stored,
    all: &Block,
    claimed: &Claimed,
) -> Option<Finding> {
    let tolerance = half_unit(claimed.score);
    let agrees = |score: f64| (score - claimed.score).abs() <= tolerance;
    let scorer = Scorer { judgement, all };
    let own = scorer.score(USUAL)?;
    if agrees(own) {
        return None;
    }
    let stated = if claimed.scope.is_empty() { String::new() } else { format!(" ({})", claimed.scope) };
    let head = format!("claimed {}{stated}, computed {own:.6}", claimed.score);
    let finding = |severity| Finding::of(stored, &CHECK, severity);
    let own_clip = scorer.clips().then(|| judgement.spec.clip.unwrap_or(judge::DEFAULT_CLIP));
    let mut tried = 0;
    for convention in conventions(own_clip) {
        let Some(score) = scorer.score(convention) else { continue };
        tried += 1;
        if agrees(score) {
            let cause = format!("{head}; {} gives {score:.6}", convention.words(all.n_outputs()));
            let hint = "another convention, not another model: compare models by the computed scores only";
            return Some(finding(Severity::Note).because(cause, hint, 1));
        }
    }
    if let Some((name, score)) = of_parts(context, stored, &agrees) {
        let cause = format!("{head}; {name} alone gives {score:.6}");
        let hint = "another set of rows, not another model: compare models by the computed scores only";
        return Some(finding(Severity::Note).because(cause, hint, 1));
    }
    let cause = format!("{head}; none of {tried} other conventions gives it");
    let hint = "other rows, other folds or other files than those it was claimed for: which of them is stored here?";
    Some(finding(Severity::Warning).because(cause, hint, 1))
}

/// A fold, target or group whose score alone is the claimed one.
fn of_parts(context: &Context, stored: &Stored, agrees: &impl Fn(f64) -> bool) -> Option<(String, f64)> {
    let survey = context.evidence().survey?;
    let scores = &survey.scores[survey.models.iter().position(|model| *model == stored.model)?];
    let named = |what: &'static str, names: &[String], scores: &[Option<f64>]| -> Vec<(String, f64)> {
        let pairs = names.iter().zip(scores).filter_map(|(name, score)| Some((name, (*score)?)));
        pairs.map(|(name, score)| (format!("{what} `{name}`"), score)).collect()
    };
    let folds = named("fold", &survey.folds, &scores.folds);
    let groups = named("group", &survey.groups, &scores.groups);
    let targets = named("target", &survey.targets, &scores.targets);
    [folds, groups, targets].concat().into_iter().find(|(_, score)| agrees(*score))
}

/// Half a unit of the last digit that is written.
fn half_unit(score: f64) -> f64 {
    let text = format!("{score}");
    let decimals = text.split_once('.').map_or(0, |(_, digits)| digits.len()) as i32;
    // Zeros at the end are lost in a number: 0.0120 reads 0.012. Nothing can be done about that.
    0.5 * libm::pow(10.0, f64::from(-decimals)) * (1.0 + 1e-9)
}

struct Scorer<'a> {
    judgement: &'a Judgement<'a>,
    /// Natural values of all rows of the truth.
    all: &'a Block,
}

impl Scorer<'_> {
    fn clips(&self) -> bool {
        self.judgement.metric.info().options.contains(&"clip")
    }

    /// The score by a convention; `None` where it has no meaning here.
    fn score(&self, it: Convention) -> Option<f64> {
        let n_all = self.all.n_rows();
        let whole_scope = self.judgement.rows.is_all();
        if it.rows != Rows::Scope && whole_scope {
            return None;
        }
        // Divided by one column more: only where the score is a mean over several columns.
        if it.one_column_more && (self.judgement.labels().target(1).is_none() || self.all.n_outputs() < 2) {
            return None;
        }
        let everything;
        let rows = match it.rows {
            Rows::All => {
                everything = RowSet::all(n_all);
                &everything
            }
            _ => self.judgement.rows,
        };
        let positions: Vec<usize> = rows.iter().collect();
        let mut score = if it.mean_of_folds {
            let folds = self.judgement.folds.filter(|folds| folds.distinct().len() > 1)?;
            let of = |fold: &i64| {
                let inside: Vec<usize> =
                    positions.iter().copied().filter(|&row| folds.labels()[row] == *fold).collect();
                self.on(&inside, it)
            };
            let scores = folds.distinct().iter().map(of).collect::<Option<Vec<f64>>>()?;
            scores.iter().sum::<f64>() / scores.len() as f64
        } else {
            self.on(&positions, it)?
        };
        if it.rows == Rows::AllWithoutLoss {
            let is_mean = ["log_loss", "multiclass_log_loss", "mse", "mae", "kl_divergence"];
            if !is_mean.contains(&self.judgement.metric.info().name) {
                return None;
            }
            score *= positions.len() as f64 / n_all as f64;
        }
        if it.one_column_more {
            let n = self.all.n_outputs() as f64;
            score *= n / (n + 1.0);
        }
        score.is_finite().then_some(score)
    }

    fn on(&self, positions: &[usize], it: Convention) -> Option<f64> {
        if positions.is_empty() {
            return None;
        }
        let clipped =
            it.clip.map(|clip| metric::build(&MetricSpec { clip: Some(clip), ..self.judgement.spec.clone() }).ok());
        let metric = match &clipped {
            None => self.judgement.metric,
            Some(metric) => metric.as_deref()?,
        };
        let labels = self.judgement.truth.labels().select(positions);
        if matches!(labels.values, LabelValues::Directions(_)) && it.rows == Rows::All {
            return None;
        }
        let bound = metric.bind(labels).ok()?;
        let mut block = self.all.select(positions);
        if it.half {
            block.values_mut().iter_mut().for_each(|x| *x = to_half(*x));
        }
        let usable = bound.n_outputs() == block.n_outputs() && block.values().iter().all(|x| x.is_finite());
        usable.then(|| judge::score(&*bound, &block))
    }
}

/// Rounded to IEEE half precision, ties to even; beyond its range infinite.
fn to_half(x: f64) -> f64 {
    const SMALLEST_NORMAL: f64 = 6.103_515_625e-5;
    const STEP_BELOW: f64 = 5.960_464_477_539_063e-8;
    if x.abs() < SMALLEST_NORMAL {
        return (x / STEP_BELOW).round_ties_even() * STEP_BELOW;
    }
    // Eleven significant bits: the power of two below x over 2^10 is the unit of the last of them.
    let scale = f64::from_bits(x.abs().to_bits() & (0x7ff << 52)) / 1024.0;
    let rounded = (x / scale).round_ties_even() * scale;
    if rounded.abs() > 65_504.0 { f64::INFINITY.copysign(x) } else { rounded }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_of_a_claim() {
        assert!((half_unit(0.01615) - 5e-6).abs() < 1e-12);
        assert!((half_unit(17.0) - 0.5).abs() < 1e-6);
    }

    /// Values of `numpy.float16`.
    #[test]
    fn half_precision() {
        let pairs = [
            (0.1, 0.0999755859375),
            (1.0 / 3.0, 0.333251953125),
            (2049.0, 2048.0),
            (2051.0, 2052.0),
            (6e-8, 5.960464477539063e-08),
            (1e-9, 0.0),
            (65_519.0, 65_504.0),
            (1e-5, 1.0013580322265625e-05),
        ];
        for (x, half) in pairs {
            assert_eq!(to_half(x), half);
            assert_eq!(to_half(-x), -half);
        }
        assert_eq!(to_half(65_520.0), f64::INFINITY);
    }

    #[test]
    fn near_conventions_come_first() {
        let all = conventions(Some(1e-15));
        assert!(all.windows(2).all(|pair| pair[0].changes() <= pair[1].changes()));
        assert!(!all.contains(&USUAL) && all.iter().all(|it| it.clip != Some(1e-15)));
        assert!(conventions(None).iter().all(|it| it.clip.is_none()));
    }
}

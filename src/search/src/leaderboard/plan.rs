//! Which unsent files' scores would teach most about all the others': one after the other, the file whose score takes
//! most off the sum of their variances (a greedy A-optimal design).

use super::{
    LbError,
    board::Board,
    identity::{Family, Levers, Pair, mix},
};
use blend_core::{Block, PublicLb, PublicPart, metric::MetricSpec, num};

/// A file to send.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Step {
    /// Its position among the candidates.
    pub candidate: usize,
    /// The standard error of its public score before it is sent, in the metric's unit.
    pub standard_error: f64,
    /// The share of the candidates' variance that is left after it, in [0, 1].
    pub left: f64,
}

/// Variance shares below this are not worth a submission.
const NOTHING: f64 = 1e-6;

/// At most `budget` of the `candidates` (values of all test rows), in the order in which to send them. `lb` holds what
/// is scored already.
pub fn plan(
    lb: Option<&PublicLb>,
    part: &PublicPart,
    spec: &MetricSpec,
    candidates: &[&Block],
    half_unit: f64,
    budget: usize,
) -> Result<Vec<Step>, LbError> {
    if candidates.is_empty() {
        return Ok(Vec::new());
    }
    let (mut covariance, slope, half) = match lb {
        Some(lb) => {
            let board = if spec.name == "mae" { Board::moment_matched(lb) } else { Board::new(lb, spec) }?;
            let (covariance, slope) = board.covariance(candidates);
            (covariance, slope, half_unit / slope)
        }
        None => (unscored(part, spec, candidates)?, 1.0, half_unit),
    };
    let n = candidates.len();
    let total = |covariance: &[f64]| (0..n).map(|i| covariance[i * n + i].max(0.0)).sum::<f64>();
    let before = total(&covariance);
    let mut steps: Vec<Step> = Vec::new();
    while steps.len() < budget {
        let gain = |i: usize| {
            let row = &covariance[i * n..(i + 1) * n];
            num::dot(row, row) / (row[i].max(0.0) + half * half / 3.0).max(f64::MIN_POSITIVE)
        };
        let open = (0..n).filter(|i| steps.iter().all(|step| step.candidate != *i));
        // The first of equals.
        let Some(best) = open.reduce(|best, i| if gain(i) > gain(best) { i } else { best }) else { break };
        if gain(best) <= NOTHING * before || before <= 0.0 {
            break;
        }
        let standard_error = slope * covariance[best * n + best].max(0.0).sqrt();
        let row = covariance[best * n..(best + 1) * n].to_vec();
        let pivot = (row[best].max(0.0) + half * half / 3.0).max(f64::MIN_POSITIVE);
        for i in 0..n {
            for j in 0..n {
                covariance[i * n + j] -= row[i] * row[j] / pivot;
            }
        }
        steps.push(Step { candidate: best, standard_error, left: (total(&covariance) / before).clamp(0.0, 1.0) });
    }
    Ok(steps)
}

/// The covariance of public scores where none is known yet: of what labels drawn from the candidates' mean would give.
fn unscored(part: &PublicPart, spec: &MetricSpec, candidates: &[&Block]) -> Result<Vec<f64>, LbError> {
    let absolute = || if spec.name == "mae" { Pair::of_absolute_errors() } else { None };
    let pair = Pair::of(spec)
        .or_else(absolute)
        .ok_or_else(|| LbError::NoMethod { metric: spec.name.clone(), why: "before any file is scored" })?;
    let none = || LbError::NoMethod { metric: pair.metric.label(), why: "of predictions of this shape" };
    let judged: Vec<Block> = candidates.iter().map(|values| pair.judged((*values).clone())).collect();
    let preparation = pair.bind(&judged[0]).ok_or_else(none)?.preparation();
    let entered: Vec<Block> = judged.iter().map(|values| pair.enter(values, preparation)).collect();
    let n = entered.len();
    let mut labels = mix(&entered, &vec![1.0 / n as f64; n]);
    pair.inner().get().leave(&mut labels);
    // Numbers have no scale of their own here: that of the members' differences.
    let spread = if pair.family == Family::Squares {
        let squares = |z: &Block| z.values().iter().zip(labels.values()).map(|(z, y)| (z - y) * (z - y)).sum::<f64>();
        entered.iter().map(squares).sum::<f64>() / (n * labels.values().len()) as f64
    } else {
        1.0
    };
    let levers = Levers::new(pair.family, &labels, spread);
    let x: Vec<Block> = entered.iter().map(|entered| levers.of(entered)).collect();
    let scale = Board::scale(&pair, part.n_public(), labels.n_rows(), labels.n_outputs());
    Ok(x.iter()
        .flat_map(|a| {
            let weighted = levers.weighted(a);
            x.iter().map(move |b| scale * num::dot(&weighted, b.values())).collect::<Vec<_>>()
        })
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;
    use blend_core::{RowSet, ScoredFile, num::sigmoid};

    #[test]
    fn what_is_known_is_not_sent_and_twins_are_sent_once() {
        let mut random = Random::new(3);
        let mut column = || (0..200).map(|_| sigmoid(4.0 * random.unit() - 3.0)).collect::<Vec<f64>>();
        let [a, b, c] = [column(), column(), column()].map(|it| Block::from_columns(&[it]));
        let twin = Block::from_columns(&[b.values().iter().map(|p| p * (1.0 - 1e-9)).collect::<Vec<f64>>()]);
        let spec = MetricSpec { name: "log_loss".into(), ..MetricSpec::default() };
        let part = PublicPart::Known(RowSet::all(200));
        let steps = plan(None, &part, &spec, &[&a, &b, &twin, &c], 5e-6, 9).unwrap();
        let chosen: Vec<usize> = steps.iter().map(|step| step.candidate).collect();
        assert_eq!(chosen.len(), 3, "{steps:?}");
        assert!(!(chosen.contains(&1) && chosen.contains(&2)), "{steps:?}");
        assert!(steps.windows(2).all(|pair| pair[1].left < pair[0].left));
        assert!(steps[2].left < 1e-3, "{steps:?}");
        assert_eq!(plan(None, &part, &spec, &[&a, &b, &c], 5e-6, 1).unwrap().len(), 1);

        let score = -b
            .values()
            .iter()
            .map(|p| (1.0 - p) * blend_core::num::ln(1.0 - p) + p * blend_core::num::ln(*p))
            .sum::<f64>()
            / 200.0;
        let file =
            ScoredFile { name: "b".into(), values: b.clone(), score: (score * 1e5).round() / 1e5, half_unit: 5e-6 };
        let lb = PublicLb::new(200, part.clone(), vec![file]).unwrap();
        let steps = plan(Some(&lb), &part, &spec, &[&a, &twin, &c], 5e-6, 9).unwrap();
        assert!(steps.iter().all(|step| step.candidate != 1), "{steps:?}");
        assert_eq!(steps.len(), 2);
    }
}

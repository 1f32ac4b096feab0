//! Error bars that were earned: leaderboards of the public size are drawn from out-of-fold rows, where the truth is
//! known, and the same estimator is run on them. Errors count in shares of how far the members' scores lie from perfect
//! on the drawn rows: what an easy draw of nearly perfect scores gets wrong says little of a hard one.

use crate::{
    random::Random,
    search::{Problem, score_member},
};
use blend_core::{Oof, Predictions, RowSet, Scope, judge, pool::Pool};
use rayon::prelude::*;

/// Leaderboards that are drawn.
const DRAWS: u64 = 24;

/// How an estimator did, in the metric's unit.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Earned {
    /// Mean of predicted less actual scores.
    pub(super) bias: f64,
    /// Root of the mean square of that difference.
    pub(super) error: f64,
}

/// How `predict` does on the blends `queries` where the members have the public scores `actual`: given the rows that are
/// left as out-of-fold rows, the members' scores on the drawn rows, rounded, and the number of draw, it gives the
/// predicted scores of the blends on the drawn rows. `None` where there are too few rows to draw from.
pub(super) fn rehearse(
    problem: &Problem<'_>,
    n_public: usize,
    actual: &[f64],
    half_unit: f64,
    queries: &[Vec<f64>],
    seed: u64,
    predict: impl Fn(&Problem<'_>, &[f64], u64) -> Option<Vec<f64>> + Sync,
) -> Option<Vec<Earned>> {
    let rows: Vec<usize> = problem.scope.rows.iter().collect();
    // Half the rows at most: the estimator needs the others.
    let n_drawn = n_public.min(rows.len() / 2);
    if n_drawn < 10 {
        return None;
    }
    let members: Vec<&Predictions<Oof>> = problem.members.members().iter().collect();
    let optimum = problem.metric.info().optimum;
    let distance = |scores: &[f64]| scores.iter().map(|score| (score - optimum).abs()).sum::<f64>();
    let run = |draw: u64| -> Option<Vec<f64>> {
        let mut random = Random::new(seed ^ ((draw + 1) << 24));
        let mut order = rows.clone();
        for i in 0..n_drawn {
            let other = i + random.below(order.len() - i);
            order.swap(i, other);
        }
        let mut drawn = vec![false; problem.scope.rows.n_total()];
        order[..n_drawn].iter().for_each(|&row| drawn[row] = true);
        let public = RowSet::from_mask(&drawn).ok()?;
        let rest = problem.scope.rows.filter(|row| !drawn[row]).ok()?;
        let bound = problem.metric.bind(problem.truth.on(&public)).ok()?;
        let unit = 2.0 * half_unit;
        let scores: Vec<f64> =
            members.iter().map(|member| (score_member(member, &public, &*bound) / unit).round() * unit).collect();
        let share = distance(actual) / distance(&scores);
        if !share.is_finite() {
            return None;
        }
        let scope = Scope { name: problem.scope.name.clone(), rows: rest };
        let predicted = predict(&Problem { scope: &scope, ..*problem }, &scores, draw)?;
        let errors = queries.iter().zip(predicted).map(|(weights, predicted)| {
            let weighted: Vec<_> = members.iter().copied().zip(weights.iter().copied()).collect();
            let blend = Pool::new(&weighted, problem.space, bound.preparation()).whole(&public);
            share * (predicted - judge::score(&*bound, &blend))
        });
        Some(errors.collect())
    };
    let errors: Vec<Vec<f64>> = (0..DRAWS).into_par_iter().filter_map(run).collect();
    if errors.len() < 2 {
        return None;
    }
    let n = errors.len() as f64;
    // Fewer rows than the leaderboard's are noisier than it by the root of the ratio.
    let scale = (n_drawn as f64 / n_public as f64).sqrt();
    Some(
        (0..queries.len())
            .map(|query| {
                let bias = errors.iter().map(|draw| draw[query]).sum::<f64>() / n;
                let square = errors.iter().map(|draw| draw[query] * draw[query]).sum::<f64>() / n;
                Earned { bias, error: scale * square.sqrt() }
            })
            .collect(),
    )
}

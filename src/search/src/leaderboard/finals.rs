//! Which two submissions to end with: how often each beats the other on rows like the private ones.

use crate::{random::Random, search::Problem, search::SearchError};
use blend_core::{
    Block, Score,
    judge::{self, Judge},
};
use rayon::prelude::*;
use std::collections::HashMap;

/// Bootstrap replicates.
const REPLICATES: u64 = 2000;

/// Replicates of a metric that looks at all rows at once.
const WHOLE_REPLICATES: u64 = 200;

/// What the bootstrap says of candidates.
#[derive(Debug, Clone, PartialEq)]
pub struct Finals {
    /// Score of each on out-of-fold rows, in the metric's unit.
    pub scores: Vec<f64>,
    /// `wins[i][j]`: how often i has a better score than j, ties counted half; 0.5 on the diagonal.
    pub wins: Vec<Vec<f64>>,
    /// Correlation of the candidates' scores over the replicates, around those of the first two's mean rows: 1 where two
    /// fail together.
    pub correlation: Vec<Vec<f64>>,
    /// Mean over the replicates of the better score of each pair, in the metric's unit.
    pub best_of_two: Vec<Vec<f64>>,
    /// The pair with the best such mean, the first of equals.
    pub pair: (usize, usize),
}

/// Draws sets of `n_private` out-of-fold rows (or whole groups, where the competition names them) with replacement and
/// scores every candidate on them. `candidates` hold values on the rows in scope, on the target's scale, each of shape
/// `(n_outputs, n_rows)`; at least two.
pub fn finals(problem: &Problem<'_>, candidates: &[Block], n_private: usize, seed: u64) -> Result<Finals, SearchError> {
    let set = &problem.scope.rows;
    let bound = problem.metric.bind(problem.truth.on(set))?;
    let direction = bound.direction();
    let units = units(problem);
    let n_units = units.len();
    // As many units as make up the private rows on average.
    let n_drawn = (n_private as f64 * n_units as f64 / set.len() as f64).round().max(1.0) as usize;
    let additive = match bound.judge() {
        Judge::Additive(additive) => Some(additive),
        Judge::Whole(_) => None,
    };
    let terms: Vec<Block> = additive.map_or_else(Vec::new, |additive| {
        let term = |values: &Block| {
            let mut out = Block::new(additive.n_terms(), values.n_rows());
            additive.terms(0, values, &mut out);
            out
        };
        candidates.par_iter().map(term).collect()
    });
    let replicates = if additive.is_some() { REPLICATES } else { WHOLE_REPLICATES };
    let losses: Vec<Vec<f64>> = (0..replicates)
        .into_par_iter()
        .map(|replicate| {
            let mut random = Random::new(seed ^ ((replicate + 1) << 20));
            let mut counts = vec![0_u32; set.len()];
            for _ in 0..n_drawn {
                units[random.below(n_units)].iter().for_each(|&row| counts[row] += 1);
            }
            let score = |i: usize| match (additive, bound.judge()) {
                (Some(additive), _) => {
                    let weight = |row: usize| f64::from(counts[row]) * additive.row_weights().map_or(1.0, |w| w[row]);
                    let mass: f64 = (0..counts.len()).map(weight).sum();
                    let means: Vec<f64> = (0..additive.n_terms())
                        .map(|term| {
                            let cells = terms[i].column(term).iter().enumerate();
                            cells.map(|(row, value)| weight(row) * value).sum::<f64>() / mass
                        })
                        .collect();
                    additive.finish(&means)
                }
                (None, Judge::Whole(whole)) => whole.score(&candidates[i], Some(&counts)),
                (None, Judge::Additive(_)) => f64::NAN,
            };
            (0..candidates.len()).map(|i| direction.loss(Score(score(i))).value()).collect()
        })
        .collect();
    let n = candidates.len();
    let mean = |of: &dyn Fn(&[f64]) -> f64| losses.iter().map(|draw| of(draw)).sum::<f64>() / losses.len() as f64;
    let table = |of: &dyn Fn(usize, usize) -> f64| -> Vec<Vec<f64>> {
        (0..n).map(|i| (0..n).map(|j| of(i, j)).collect()).collect()
    };
    let better = |a: f64, b: f64| if a < b { 1.0 } else { 0.5 * f64::from(u8::from(a == b)) };
    let means: Vec<f64> = (0..n).map(|i| mean(&|draw| draw[i])).collect();
    let covariance = table(&|i, j| mean(&|draw| (draw[i] - means[i]) * (draw[j] - means[j])));
    let best = table(&|i, j| mean(&|draw| draw[i].min(draw[j])));
    let mut pair = (0, 1);
    for i in 0..n {
        for j in i + 1..n {
            if best[i][j] < best[pair.0][pair.1] {
                pair = (i, j);
            }
        }
    }
    Ok(Finals {
        scores: candidates.iter().map(|values| judge::score(&*bound, values)).collect(),
        wins: table(&|i, j| mean(&|draw| better(draw[i], draw[j]))),
        correlation: table(&|i, j| {
            let size = (covariance[i][i] * covariance[j][j]).sqrt();
            if size > 0.0 { covariance[i][j] / size } else { 1.0 }
        }),
        best_of_two: table(&|i, j| direction.score(blend_core::Loss::new(best[i][j])).0),
        pair,
    })
}

/// Rows in scope (in their own numbering) by the unit that is drawn.
fn units(problem: &Problem<'_>) -> Vec<Vec<usize>> {
    let set = &problem.scope.rows;
    let Some(groups) = problem.groups else { return (0..set.len()).map(|row| vec![row]).collect() };
    let mut places: HashMap<u32, usize> = HashMap::new();
    let mut units: Vec<Vec<usize>> = Vec::new();
    for (row, position) in set.iter().enumerate() {
        let place = *places.entry(groups[position]).or_insert_with(|| {
            units.push(Vec::new());
            units.len() - 1
        });
        units[place].push(row);
    }
    units
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Label, Shape, World};
    use blend_core::{Domain, judge::Preparation, pool::Pool, space::SpaceName::Logit};

    #[test]
    fn a_better_one_wins_and_a_twin_adds_nothing() {
        for metric in ["log_loss", "auc"] {
            let shape = Shape { n_members: 3, n_rows: 500, seed: 3, ..Shape::default() };
            let world = World::new((metric, Logit, Label::Binary), shape);
            let blend = |weights: [f64; 3]| {
                let weighted: Vec<_> = world.members.members().iter().zip(weights).collect();
                Pool::new(&weighted, Logit, Preparation::default()).whole(&world.scope.rows)
            };
            let candidates =
                [blend([0.4, 0.3, 0.3]), blend([0.4, 0.3, 0.3]), blend([0.0, 0.0, 1.0]), blend([0.5, 0.5, 0.0])];
            let problem = world.problem(Domain::Simplex);
            let found = finals(&problem, &candidates, 300, 1).unwrap();
            assert_eq!(found.wins[0][1], 0.5, "{metric}");
            assert!(found.wins[0][2] > 0.9 && found.wins[2][0] < 0.1, "{metric}: {:?}", found.wins);
            assert!((found.correlation[0][1] - 1.0).abs() < 1e-9);
            assert_ne!(found.pair, (0, 1), "{metric}: two of one kind");
            assert_eq!(found, finals(&problem, &candidates, 300, 1).unwrap());
        }
    }
}

//! What each member adds to a blend: the blend without it, weights divided by what is left of their sum.

use super::{over_chunks, weighted};
use crate::{
    block::Block,
    judge::{Additive, Bound, Judge},
    num,
    pool::entered,
    prediction::{PredictionMatrix, Predictions, Split},
    scope::RowSet,
    score::Score,
    space::SpaceName,
};
use rayon::prelude::*;

/// What one member adds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Contribution {
    /// The score of the blend without it, in the metric's unit.
    pub without: f64,
    /// How much better the blend is with it, positive where it helps.
    pub gain: f64,
    /// In how many of the parts the blend is better with it.
    pub better_in: usize,
}

/// Scores of a blend over all rows and over each part of them.
struct Scored {
    whole: f64,
    parts: Vec<f64>,
}

/// What each member of the blend with `weights` in `space` adds. `parts` names the part of each row (its fold), numbered
/// from 0: a gain that is there in every part is no accident. Weights sum to one; none is one.
#[must_use]
pub fn contributions<S: Split>(
    matrix: &PredictionMatrix<S>,
    rows: &RowSet,
    bound: &dyn Bound,
    weights: &[f64],
    space: SpaceName,
    parts: &[u32],
) -> Vec<Contribution> {
    let n_parts = parts.iter().max().map_or(0, |last| *last as usize + 1);
    let scored = match bound.judge() {
        Judge::Additive(additive) if space.get().info().row_local => {
            additively(matrix, rows, bound, additive, weights, space, parts, n_parts)
        }
        _ => wholly(matrix, rows, bound, weights, space, parts, n_parts),
    };
    let (with, without) = scored.split_at(1);
    let gain = |with: f64, without: f64| bound.direction().gain(Score(with), Score(without));
    let of = |it: &Scored| Contribution {
        without: it.whole,
        gain: gain(with[0].whole, it.whole),
        better_in: with[0].parts.iter().zip(&it.parts).filter(|(with, without)| gain(**with, **without) > 0.0).count(),
    };
    without.iter().map(of).collect()
}

/// The blend, then the blend without each member, from one pass over the rows.
#[allow(clippy::too_many_arguments)]
fn additively<S: Split>(
    matrix: &PredictionMatrix<S>,
    rows: &RowSet,
    bound: &dyn Bound,
    additive: &dyn Additive,
    weights: &[f64],
    space: SpaceName,
    parts: &[u32],
    n_parts: usize,
) -> Vec<Scored> {
    let (n_models, n_terms) = (weights.len(), additive.n_terms());
    let row_weights = additive.row_weights();
    // Sums of terms of one blend over one chunk, shape (n_parts, n_terms).
    let sums = |start: usize, blend: &Block| {
        let mut terms = Block::new(n_terms, blend.n_rows());
        additive.terms(start, blend, &mut terms);
        let mut sums = vec![0.0; n_parts * n_terms];
        for term in 0..n_terms {
            for (row, value) in terms.column(term).iter().enumerate() {
                let weight = row_weights.map_or(1.0, |weights| weights[start + row]);
                sums[parts[start + row] as usize * n_terms + term] += weight * value;
            }
        }
        sums
    };
    let chunks = over_chunks(matrix, rows, space, bound.preparation(), |start, members| {
        let sum = weighted(members, weights);
        let mut scratch = sum.clone();
        space.get().leave(&mut scratch);
        let mut all = sums(start, &scratch);
        for (member, &weight) in members.iter().zip(weights) {
            rest(&sum, member, weight, &mut scratch);
            space.get().leave(&mut scratch);
            all.extend(sums(start, &scratch));
        }
        all
    });
    let mut totals = vec![0.0; (n_models + 1) * n_parts * n_terms];
    for chunk in &chunks {
        totals.iter_mut().zip(chunk).for_each(|(total, part)| *total += part);
    }
    let mut mass = vec![0.0; n_parts];
    parts.iter().enumerate().for_each(|(row, &part)| mass[part as usize] += row_weights.map_or(1.0, |w| w[row]));
    totals
        .chunks(n_parts * n_terms)
        .map(|blend| {
            let mean = |sums: Vec<f64>, mass: f64| {
                additive.finish(&sums.into_iter().map(|sum| sum / mass).collect::<Vec<f64>>())
            };
            let of_part = |part: usize| blend[part * n_terms..(part + 1) * n_terms].to_vec();
            let column = |term: usize| (0..n_parts).map(|part| blend[part * n_terms + term]).sum();
            Scored {
                whole: mean((0..n_terms).map(column).collect(), mass.iter().sum()),
                parts: (0..n_parts).map(|part| mean(of_part(part), mass[part])).collect(),
            }
        })
        .collect()
}

/// The same for metrics and spaces that look at all rows at once.
fn wholly<S: Split>(
    matrix: &PredictionMatrix<S>,
    rows: &RowSet,
    bound: &dyn Bound,
    weights: &[f64],
    space: SpaceName,
    parts: &[u32],
    n_parts: usize,
) -> Vec<Scored> {
    let enter = |member: &Predictions<S>| entered(member, space, bound.preparation(), rows);
    let mut sum = Block::new(matrix.columns().len(), rows.len());
    for (member, &weight) in matrix.members().iter().zip(weights) {
        sum.add_scaled(weight, &enter(member));
    }
    let members: Vec<_> = std::iter::once(None).chain(matrix.members().iter().zip(weights).map(Some)).collect();
    let score = |member: &Option<(&Predictions<S>, &f64)>| {
        let mut blend = sum.clone();
        if let Some((member, weight)) = member {
            rest(&sum, &enter(member), **weight, &mut blend);
        }
        space.get().leave(&mut blend);
        let of_part = |part: usize| {
            let counts: Vec<u32> = parts.iter().map(|it| u32::from(*it as usize == part)).collect();
            on(bound, &blend, Some(&counts))
        };
        Scored { whole: on(bound, &blend, None), parts: (0..n_parts).map(of_part).collect() }
    };
    members.par_iter().map(score).collect()
}

/// The score of a blend on the rows that count.
fn on(bound: &dyn Bound, blend: &Block, counts: Option<&[u32]>) -> f64 {
    match bound.judge() {
        Judge::Whole(whole) => whole.score(blend, counts),
        Judge::Additive(additive) => {
            let mut terms = Block::new(additive.n_terms(), blend.n_rows());
            additive.terms(0, blend, &mut terms);
            let weight = |row: usize| {
                additive.row_weights().map_or(1.0, |w| w[row]) * counts.map_or(1.0, |counts| f64::from(counts[row]))
            };
            let weights: Vec<f64> = (0..blend.n_rows()).map(weight).collect();
            let mass = num::sum(&weights);
            let means: Vec<f64> =
                (0..additive.n_terms()).map(|term| num::dot(terms.column(term), &weights) / mass).collect();
            additive.finish(&means)
        }
    }
}

/// The weighted sum without one member, weights summing to one again.
fn rest(sum: &Block, member: &Block, weight: f64, out: &mut Block) {
    let left = 1.0 - weight;
    out.reshape(sum.n_outputs(), sum.n_rows());
    let cells = sum.values().iter().zip(member.values());
    out.values_mut().iter_mut().zip(cells).for_each(|(out, (sum, x))| *out = (sum - weight * x) / left);
}

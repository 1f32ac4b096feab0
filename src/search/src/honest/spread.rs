//! How far the weights themselves are known: their bootstrap spread, by one Newton step per replicate.
//!
//! A replicate draws units (rows, or the competition's groups) with replacement. Near the optimum its own optimum is
//! that of the quadratic model with the replicate's gradient and the Hessian of all rows (the one-step bootstrap: Davidson
//! and MacKinnon 1999), so a replicate costs a sum over the units and a K x K program, and no pass over the data.

use super::{bootstrap::percentile, nested::Part};
use crate::{
    constraints::Constraints,
    fit::Rows,
    objective::{Curve, slopes::unit_slopes},
    quadratic_program,
    random::Random,
};
use blend_core::{Oof, Predictions};
use rayon::prelude::*;

/// What a member's weight could as well have been.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Spread {
    /// Standard deviation over replicates.
    pub deviation: f64,
    /// 2.5th percentile.
    pub low: f64,
    /// 97.5th percentile.
    pub high: f64,
}

/// Units that are drawn: above that, units are pooled at random, which costs no precision that shows.
const MAX_UNITS: usize = 2_000;

/// The spread of weights, the optimum over `rows` where the loss has this `curve`; `None` where it has no derivatives by
/// row, or all rows are one unit.
/// `unit` numbers the unit of each row.
pub(crate) fn spread(
    rows: &Rows<'_>,
    constraints: &Constraints,
    (weights, curve): (&[f64], &Curve),
    unit: &[u32],
    replicates: usize,
    seed: u64,
) -> Option<Vec<Spread>> {
    let n_units = unit.iter().max().map_or(0, |&last| last as usize + 1);
    if n_units < 2 || replicates == 0 {
        return None;
    }
    let pooled: Vec<u32> = if n_units > MAX_UNITS {
        unit.iter().map(|&u| (Random::new(u64::from(u)).bits() % MAX_UNITS as u64) as u32).collect()
    } else {
        unit.to_vec()
    };
    let n_units = n_units.min(MAX_UNITS);
    let n = weights.len();
    let members: Vec<&Predictions<Oof>> = rows.problem.members.members().iter().collect();
    let slopes = unit_slopes(&members, rows.set, rows.bound, rows.problem.space, weights, &pooled, n_units)?;
    let drawn: Vec<Vec<f64>> = (0..replicates)
        .into_par_iter()
        .map(|replicate| {
            let mut random = Random::new(seed ^ ((replicate as u64 + 1) << 21));
            let mut counts = vec![0_u32; n_units];
            (0..n_units).for_each(|_| counts[random.below(n_units)] += 1);
            let (mut gradient, mut mass) = (vec![0.0; n], 0.0);
            for (unit, &count) in counts.iter().enumerate().filter(|(_, count)| **count > 0) {
                let count = f64::from(count);
                mass += count * slopes.mass[unit];
                let cells = slopes.gradient[unit * n..(unit + 1) * n].iter();
                gradient.iter_mut().zip(cells).for_each(|(sum, slope)| *sum += count * slope);
            }
            gradient.iter_mut().for_each(|slope| *slope /= mass.max(f64::MIN_POSITIVE));
            quadratic_program::solve(weights, &gradient, &curve.hessian, constraints)
        })
        .collect();
    Some(
        (0..n)
            .map(|member| {
                let mut values: Vec<f64> = drawn.iter().map(|weights| weights[member]).collect();
                values.sort_by(f64::total_cmp);
                let mean = values.iter().sum::<f64>() / values.len() as f64;
                let variance = values.iter().map(|w| (w - mean) * (w - mean)).sum::<f64>() / values.len() as f64;
                Spread { deviation: variance.sqrt(), low: percentile(&values, 0.025), high: percentile(&values, 0.975) }
            })
            .collect(),
    )
}

/// The spread by the weights that were chosen without each outer part: the jackknife that leaves out groups (Quenouille
/// 1956, Tukey 1958), for weights that no step of a model moves. `None` of fewer than two parts.
pub(crate) fn jackknife(parts: &[Part], weights: &[f64], constraints: &Constraints) -> Option<Vec<Spread>> {
    /// Standard deviations on either side of an interval of 95 %.
    const SIDE: f64 = 1.96;
    let n = parts.len() as f64;
    if parts.len() < 2 || parts.iter().any(|part| part.weights.len() != constraints.n) {
        return None;
    }
    let of = |member: usize| {
        let mean = parts.iter().map(|part| part.weights[member]).sum::<f64>() / n;
        let squares = parts.iter().map(|part| (part.weights[member] - mean).powi(2)).sum::<f64>();
        let deviation = ((n - 1.0) / n * squares).sqrt();
        let (low, high) = (constraints.low[member], constraints.high[member]);
        let at = weights[member];
        Spread { deviation, low: (at - SIDE * deviation).max(low), high: (at + SIDE * deviation).min(high) }
    };
    let mut spread: Vec<Spread> = (0..constraints.n).map(of).collect();
    if constraints.sums_to_one && constraints.low.iter().all(|low| *low >= 0.0) {
        spread.iter_mut().for_each(|it| it.high = it.high.min(1.0));
    }
    Some(spread)
}

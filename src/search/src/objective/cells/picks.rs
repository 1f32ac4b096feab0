//! Greedy picks of a loss `-ln u`: most members are ruled out without a logarithm.
//!
//! After a step `s` from the blend `u` toward member `x` the mean loss is `L - ln(1 - s) - mean ln(1 + t x/u)` with
//! `t = s / (1 - s)`, and by Jensen's inequality at least `L - ln(1 - s) - ln(1 + t r)`, where `r = mean(x / u)`. A pick
//! leaves every cell at least `1 - s` of its blend, so that `r` grows by no more than `1 / (1 - s)`: an `r` of picks ago
//! still bounds the loss, and most members need not be looked at again.

use super::{CellObjective, kernels};
use blend_core::num;
use rayon::prelude::*;

/// Members whose bounds are looked at together, and those that are judged.
const TOGETHER: usize = 8;
const JUDGED: usize = 2;

/// Rows that are judged while the nearest cache has them.
const CHUNK: usize = 1024;

impl CellObjective<'_> {
    /// The member toward which a step lowers the loss most, the first of equals, and the loss after it; `None` of other
    /// losses. `reach` has what is known of each member's `r` since the last pick: nothing where it is empty.
    pub(super) fn pick_by_bounds(&self, weights: &[f64], step: f64, reach: &mut Vec<f64>) -> Option<(usize, f64)> {
        let held = self.feed.in_memory().filter(|_| self.cells.is_minus_log() && self.feed.n_outputs() == 1)?;
        let mixture = self.mixture(weights);
        let range = mixture.range.filter(|_| step < 1.0)?;
        let (k, n, mass) = (weights.len(), held.n_rows(), self.cells.mass());
        let mut u = vec![0.0; kernels::padded(n)];
        mixture.mix(held.members(0), held.stride, &mut u, n);
        let (u, mut d) = (&u[..n], vec![0.0; n]);
        let loss = self.cells.slope(0, 0, u, &mut d) / mass;
        let picks = (1.0 / step).round() - 1.0;
        if picks > 1.0 {
            reach.iter_mut().for_each(|reach| *reach *= picks / (picks - 1.0));
        }
        reach.resize(k, f64::INFINITY);
        let (kept, ratio) = (num::ln(1.0 - step), step / (1.0 - step));
        // Rounding must not rule out what ties.
        let least = |reach: f64| loss - kept - num::ln(1.0 + ratio * reach) - 1e-12 * loss.abs().max(1.0);
        let mut order: Vec<usize> = (0..k).collect();
        order.sort_by(|&a, &b| reach[b].total_cmp(&reach[a]));
        let (mut fresh, mut best) = (vec![false; k], (0, f64::INFINITY));
        let mut read = 1;
        while let Some(&first) = order.first() {
            if least(reach[first]) > best.1 {
                break;
            }
            let some: Vec<usize> = order.iter().copied().take(TOGETHER).collect();
            if some.iter().all(|&member| fresh[member]) {
                let after = |&member: &usize| {
                    let (mut moved, mut sum) = ([0.0; CHUNK], 0.0);
                    for (at, (u, x)) in u.chunks(CHUNK).zip(held.column(member, 0).chunks(CHUNK)).enumerate() {
                        kernels::step_toward(u, x, step, range, &mut moved[..u.len()]);
                        sum += self.cells.value(0, at * CHUNK, &moved[..u.len()]);
                    }
                    (member, sum / mass)
                };
                let some = &some[..some.len().min(JUDGED)];
                let losses: Vec<(usize, f64)> = some.par_iter().map(after).collect();
                for (member, loss) in losses {
                    if loss < best.1 || loss == best.1 && member < best.0 {
                        best = (member, loss);
                    }
                }
                read += some.len();
                order.drain(..some.len());
                continue;
            }
            let exact = |&member: &usize| (member, -num::dot(&d, held.column(member, 0)) / mass);
            let known: Vec<(usize, f64)> = some.par_iter().filter(|&&member| !fresh[member]).map(exact).collect();
            read += known.len();
            for (member, known) in known {
                (reach[member], fresh[member]) = (known, true);
            }
            order.sort_by(|&a, &b| reach[b].total_cmp(&reach[a]));
        }
        self.meter.part_of_pass(self.share * read as f64 / k as f64, k);
        Some(best)
    }
}

#[cfg(test)]
mod tests {
    use crate::{
        solver::lowest,
        testing::{Label, Shape, World},
    };
    use blend_core::{Domain, space::SpaceName};

    /// With equal weights of rows and others, and with a member that is there twice.
    #[test]
    fn bounds_rule_out_no_member_that_a_look_at_all_of_them_picks() {
        for (weights, seed) in [(false, 1), (true, 2), (false, 3)] {
            let shape = Shape { n_members: 25, n_rows: 900, weights, duplicate: true, seed, ..Shape::default() };
            let world = World::new(("multiclass_log_loss", SpaceName::Linear, Label::Class), shape);
            let bound = world.bound();
            let objective = world.objective(&*bound, Domain::Simplex);
            let n = world.n();
            let first = lowest(&objective.toward(&vec![0.0; n], 1.0));
            let (mut picks, mut reach) = (vec![0.0; n], Vec::new());
            picks[first] = 1.0;
            for made in 1..60 {
                let weights: Vec<f64> = picks.iter().map(|picks| picks / f64::from(made)).collect();
                let step = 1.0 / f64::from(made + 1);
                let losses = objective.toward(&weights, step);
                let (best, loss) = objective.pick(&weights, step, &mut reach);
                assert_eq!(reach.len(), n, "no bounds were used");
                // Sums in another order tell members apart only where the losses do.
                let least = losses[lowest(&losses)];
                assert!((loss - least).abs() < 1e-12 && (losses[best] - least).abs() < 1e-12, "{best} {losses:?}");
                picks[best] += 1.0;
            }
        }
    }
}

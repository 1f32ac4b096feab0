//! The small quadratic program inside every second-order step.
//!
//! minimise `gradient . d + d' H d / 2` over allowed `x + d`, by a primal active-set method (Nocedal and Wright,
//! Numerical Optimization, algorithm 16.3): exact for the K x K problems of blending, and deterministic.

mod factor;

use crate::constraints::Constraints;
use factor::Factor;

/// Weights from which on a program that begins with all of them off their bounds starts from a corner.
const MANY: usize = 48;

/// Solves for the best allowed point of the model around `x`, which is allowed. `hessian` is `n x n`, row by row,
/// positive semidefinite; a relative ridge keeps it definite, which makes a step from `x` a proximal one and never a
/// wrong one.
#[must_use]
pub fn solve(x: &[f64], gradient: &[f64], hessian: &[f64], constraints: &Constraints) -> Vec<f64> {
    let n = x.len();
    let size = size(hessian, n, |i| !constraints.is_fixed(i));
    let ridge = RIDGE * size;
    let at = |i: usize, j: usize| hessian[i * n + j] + if i == j { ridge } else { 0.0 };
    let (mut point, mut slope) = (x.to_vec(), gradient.to_vec());
    let inside = |i: usize| x[i] > constraints.low[i] && x[i] < constraints.high[i];
    if n > MANY && (0..n).all(inside) && constraints.sums_to_one && constraints.is_compact() {
        // From a corner weights enter one by one; from amid all of them most would leave one by one.
        let lowest = (0..n).fold(0, |best, i| if gradient[i] < gradient[best] { i } else { best });
        point = constraints.corner(lowest);
        for (row, slope) in slope.iter_mut().enumerate() {
            let moved = point.iter().zip(x).map(|(to, from)| to - from);
            *slope += moved.enumerate().map(|(i, d)| at(row, i) * d).sum::<f64>();
        }
    }
    // -1 at the lower bound, 1 at the upper, 0 free.
    let mut side: Vec<i8> = point
        .iter()
        .zip(constraints.low.iter().zip(&constraints.high))
        .map(|(w, (low, high))| i8::from(w >= high) - i8::from(w <= low && w < high))
        .collect();
    // Steps keep the sum, so what is common to all cells changes none of them; but a form that is flat along the weights
    // themselves (the root of a mean square) is not singular with it.
    let common = if constraints.sums_to_one { size } else { 0.0 };
    let mut factor = Factor::new(hessian, n, (ridge, common), (0..n).filter(|&i| side[i] == 0).collect());
    // After a whole step the point is the best of its face as far as rounding lets it be: stepping again would only
    // chase the noise of a singular matrix.
    let mut settled = false;
    for _ in 0..20 * n + 50 {
        let (step, multiplier) = newton_step(&factor, &slope, constraints.sums_to_one);
        let largest = step.iter().fold(0.0_f64, |largest, d| largest.max(d.abs()));
        let scale = point.iter().fold(1.0_f64, |scale, w| scale.max(w.abs()));
        if settled || largest <= 1e-15 * scale {
            // At the best point of this face: release the bound that costs most, if one does.
            let worth = |i: usize| f64::from(side[i]) * (slope[i] + multiplier);
            let bound = (0..n).filter(|&i| side[i] != 0 && !constraints.is_fixed(i));
            let Some(release) = bound.max_by(|&a, &b| worth(a).total_cmp(&worth(b))) else { break };
            let noise = 1e-14 * slope.iter().fold(f64::MIN_POSITIVE, |m, s| m.max(s.abs()));
            if worth(release) <= noise {
                break;
            }
            side[release] = 0;
            factor.join(release);
            settled = false;
            continue;
        }
        let (mut length, mut blocker) = (1.0, None);
        for (&i, &d) in factor.members().iter().zip(&step) {
            let room = if d < 0.0 { (constraints.low[i] - point[i]) / d } else { (constraints.high[i] - point[i]) / d };
            if d != 0.0 && room < length {
                (length, blocker) = (room.max(0.0), Some(i));
            }
        }
        for (&i, &d) in factor.members().iter().zip(&step) {
            point[i] += length * d;
            let column = &hessian[i * n..(i + 1) * n];
            slope.iter_mut().zip(column).for_each(|(slope, cell)| *slope += length * d * cell);
            slope[i] += length * d * ridge;
        }
        settled = blocker.is_none();
        if let Some(i) = blocker {
            let low = (point[i] - constraints.low[i]).abs() <= (constraints.high[i] - point[i]).abs();
            point[i] = if low { constraints.low[i] } else { constraints.high[i] };
            side[i] = if low { -1 } else { 1 };
            factor.leave(i);
        }
    }
    if constraints.sums_to_one {
        // The largest weight that is not fixed takes up what rounding left of the sum.
        let movable = (0..n).filter(|&i| !constraints.is_fixed(i));
        if let Some(largest) = movable.reduce(|best, i| if point[i] > point[best] { i } else { best }) {
            point[largest] += 1.0 - point.iter().sum::<f64>();
        }
    }
    point
}

/// A diagonal, relative to the matrix, that is below rounding for a well-conditioned one and enough for a singular one.
const RIDGE: f64 = 1e-12;

/// How far above the middle one a second derivative counts in [`size`].
const OUTLYING: f64 = 1e3;

/// The size of the second derivatives of some members: their mean, in which none counts that is far above the others. (A
/// loss may be all but a wall toward a member that alone gives something to a cell; that says nothing of the rest.)
fn size(hessian: &[f64], n: usize, counts: impl Fn(usize) -> bool) -> f64 {
    let mut diagonal: Vec<f64> = (0..n).filter(|&i| counts(i)).map(|i| hessian[i * n + i]).collect();
    diagonal.sort_by(f64::total_cmp);
    let most = diagonal.get(diagonal.len() / 2).map_or(f64::INFINITY, |middle| OUTLYING * middle);
    let most = if most > 0.0 { most } else { f64::INFINITY };
    let sum: f64 = diagonal.iter().map(|h| h.min(most)).sum();
    (sum / diagonal.len().max(1) as f64).max(f64::MIN_POSITIVE)
}

/// The unconstrained step on the free weights (their sum kept where asked), in the factor's order, and the multiplier of
/// the sum.
fn newton_step(factor: &Factor<'_>, slope: &[f64], keep_sum: bool) -> (Vec<f64>, f64) {
    let free = factor.members();
    if free.is_empty() {
        // No free weight fixes the multiplier: the least slope can serve as well as any, and releases only a pair.
        return (Vec::new(), 0.0);
    }
    let mut against: Vec<f64> = free.iter().map(|&i| -slope[i]).collect();
    factor.solve(&mut against);
    if !keep_sum {
        return (against, 0.0);
    }
    let mut ones = vec![1.0; free.len()];
    factor.solve(&mut ones);
    let multiplier = against.iter().sum::<f64>() / ones.iter().sum::<f64>();
    against.iter_mut().zip(&ones).for_each(|(d, one)| *d -= multiplier * one);
    // Rounding must not let the sum drift.
    let drift = against.iter().sum::<f64>() / free.len() as f64;
    against.iter_mut().for_each(|d| *d -= drift);
    (against, multiplier)
}

/// An upper bound on how much better any allowed point of a convex quadratic loss is than `x`, from duality, whether
/// or not the set is bounded: with `gradient = r + mu + nu 1`, `mu` the multipliers of the bounds that `x` touches and
/// `nu` that of the sum, `L(x) - min L <= r' H^-1 r / 2 + mu . (x - bound)`.
#[must_use]
pub fn dual_gap(x: &[f64], gradient: &[f64], hessian: &[f64], constraints: &Constraints) -> f64 {
    let n = x.len();
    let inside: Vec<usize> = (0..n).filter(|&i| x[i] > constraints.low[i] && x[i] < constraints.high[i]).collect();
    let nu = if constraints.sums_to_one && !inside.is_empty() {
        inside.iter().map(|&i| gradient[i]).sum::<f64>() / inside.len() as f64
    } else {
        0.0
    };
    let mut residual: Vec<f64> = gradient.iter().map(|g| g - nu).collect();
    for i in 0..n {
        let held =
            (x[i] <= constraints.low[i] && residual[i] > 0.0) || (x[i] >= constraints.high[i] && residual[i] < 0.0);
        if held {
            residual[i] = 0.0; // wholly the multiplier's, and the bound is touched exactly
        }
    }
    let factor = Factor::new(hessian, n, (RIDGE * size(hessian, n, |_| true), 0.0), (0..n).collect());
    let mut solved = residual.clone();
    factor.solve(&mut solved);
    0.5 * residual.iter().zip(&solved).map(|(r, s)| r * s).sum::<f64>()
}

#[cfg(test)]
mod tests {
    use super::*;
    use blend_core::Domain;

    fn model(x: &[f64], gradient: &[f64], hessian: &[f64], to: &[f64]) -> f64 {
        let n = x.len();
        let d: Vec<f64> = to.iter().zip(x).map(|(a, b)| a - b).collect();
        let linear: f64 = gradient.iter().zip(&d).map(|(g, d)| g * d).sum();
        let square: f64 = (0..n).map(|i| (0..n).map(|j| hessian[i * n + j] * d[i] * d[j]).sum::<f64>()).sum();
        linear + 0.5 * square
    }

    #[test]
    fn no_allowed_point_is_better() {
        let mut random = crate::random::Random::new(3);
        for n in [1_usize, 2, 5, 12] {
            for domain in [Domain::Simplex, Domain::Box, Domain::Nonnegative, Domain::Affine, Domain::Free] {
                for _ in 0..40 {
                    let constraints = Constraints::of(domain, n);
                    let root: Vec<f64> = (0..n * n).map(|_| random.unit() - 0.5).collect();
                    let mut hessian = vec![0.0; n * n];
                    for i in 0..n {
                        for j in 0..n {
                            hessian[i * n + j] = (0..n).map(|k| root[k * n + i] * root[k * n + j]).sum::<f64>();
                        }
                        hessian[i * n + i] += 0.01;
                    }
                    let gradient: Vec<f64> = (0..n).map(|_| random.unit() - 0.5).collect();
                    let x = constraints.equal();
                    let best = solve(&x, &gradient, &hessian, &constraints);
                    let at_best = model(&x, &gradient, &hessian, &best);
                    assert!(constraints.mend(&best).iter().zip(&best).all(|(a, b)| (a - b).abs() < 1e-9), "{domain:?}");
                    for _ in 0..50 {
                        let raw: Vec<f64> = (0..n).map(|_| 3.0 * random.unit() - 1.0).collect();
                        let other = model(&x, &gradient, &hessian, &constraints.mend(&raw));
                        assert!(at_best <= other + 1e-9, "{domain:?} n={n}: {at_best} > {other}");
                    }
                    let slope: Vec<f64> = (0..n)
                        .map(|i| gradient[i] + (0..n).map(|j| hessian[i * n + j] * (best[j] - x[j])).sum::<f64>())
                        .collect();
                    assert!(dual_gap(&best, &slope, &hessian, &constraints) < 1e-9, "{domain:?}");
                    if constraints.is_compact() {
                        assert!(constraints.gap(&best, &slope) < 1e-9, "{domain:?}");
                    }
                }
            }
        }
    }

    #[test]
    fn a_wall_toward_one_member_holds_no_other_back() {
        // The last weight is at 0, fixed or not, and its second derivative beyond all measure.
        let hessian = [2.0, 0.5, 3e4, 0.5, 1.0, 3e4, 3e4, 3e4, 3e13].map(|cell: f64| 1e-3 * cell);
        let gradient = [-6e-4, 2e-4, 1.0];
        for high in [0.0, 1.0] {
            let constraints = Constraints::within(Domain::Simplex, &[(0.0, 1.0), (0.0, 1.0), (0.0, high)]).unwrap();
            let best = solve(&[0.2, 0.8, 0.0], &gradient, &hessian, &constraints);
            // Along (1, -1, 0): slope -8e-4, curvature 2e-3.
            assert!((best[0] - 0.6).abs() < 1e-6 && best[2] == 0.0, "{best:?}");
        }
    }
}

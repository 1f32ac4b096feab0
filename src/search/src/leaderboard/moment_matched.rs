//! Mean absolute errors without out-of-fold rows: taken for those of normal residuals, whose mean square is
//! `(pi/2) s^2`, they follow the identity of squared errors, each up to an error of its own. How large those are, the
//! scored files themselves tell: each is predicted from the others.

use super::regression::Regression;

/// Halvings of the range of variances.
const HALVINGS: usize = 16;

/// The variance of what keeps a score from following from its moments, in squares of the additive unit: the least with
/// which files that are left out are as wrong as they are said to be. `gram`, `half_units` and `rho` are a
/// [`Regression`]'s; `level` is the size of a mean square.
pub(super) fn noise(gram: &[f64], half_units: &[f64], rho: &[f64], level: f64) -> f64 {
    let honest = |noise: f64| Regression::new(gram.to_vec(), half_units, noise, true).left_out(rho) <= 1.0;
    if honest(0.0) {
        return 0.0;
    }
    // From a millionth of a mean square to all of it.
    let (mut low, mut high) = (1e-12 * level * level, level * level);
    for _ in 0..HALVINGS {
        let middle = (low * high).sqrt();
        if honest(middle) { high = middle } else { low = middle }
    }
    high
}

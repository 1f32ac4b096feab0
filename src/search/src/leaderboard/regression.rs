//! The best linear guess of what a prediction's score says beyond made-up labels, from what the scored files' scores
//! say: a regression of its lever on theirs, weighted with the labels' spread, with the rounding of scores as noise.
//!
//! A prediction that is a blend of scored files in the canonical space has their levers' blend for its lever, so that
//! the regression returns its weights and nothing is guessed: the identity is the case without a residual. Directions in
//! which files differ by less than their scores are rounded are averaged instead of solved for.

use blend_core::num;

/// Files' covariance, ready to be asked.
pub(crate) struct Regression {
    n: usize,
    /// `G`, covariance of the files' differences, `n x n`.
    gram: Vec<f64>,
    /// What is applied to covariances with the files: a filtered inverse of `G`, `n x n`.
    solve: Vec<f64>,
    /// Variance of each score's rounding.
    rounding: Vec<f64>,
    /// Whether coefficients must sum to one: an offset common to all files is not known.
    sums_to_one: bool,
}

/// Coefficients of one prediction on the scored files, and what they leave open.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Fit {
    pub(crate) coefficients: Vec<f64>,
    /// Variance of the part of the label that no scored file speaks of.
    pub(crate) residual: f64,
    /// Variance that rounding of the scores brings in.
    pub(crate) rounding: f64,
}

/// Directions whose spread is this many times their rounding's variance are solved for exactly; the score of a scored
/// file is then its own.
const WELL_KNOWN: f64 = 100.0;

/// Rounding is never taken for less than this share of a file's own spread: below it is the noise of the sums.
const FLOOR: f64 = 1e-14;

/// Rounding of sums, relative to them.
const NOISE: f64 = 1e-13;

impl Regression {
    /// `gram` is positive semidefinite up to rounding; `half_units` are halves of the scores' last digits.
    pub(crate) fn new(gram: Vec<f64>, half_units: &[f64], sums_to_one: bool) -> Self {
        let n = half_units.len();
        // A rounding error is uniform within half a unit on either side.
        let rounding: Vec<f64> = half_units.iter().map(|half| half * half / 3.0).collect();
        let scale: Vec<f64> =
            (0..n).map(|i| 1.0 / rounding[i].max(FLOOR * gram[i * n + i]).max(1e-300).sqrt()).collect();
        let scaled = (0..n * n).map(|cell| gram[cell] * scale[cell / n] * scale[cell % n]).collect();
        let (values, vectors) = eigen(scaled, n);
        let filter: Vec<f64> = values
            .iter()
            .map(|&value| if value > WELL_KNOWN { 1.0 / value } else { 1.0 / (value.max(0.0) + 1.0) })
            .collect();
        let mut solve = vec![0.0; n * n];
        for i in 0..n {
            for j in 0..n {
                let sum: f64 = (0..n).map(|k| vectors[i * n + k] * filter[k] * vectors[j * n + k]).sum();
                solve[i * n + j] = sum * scale[i] * scale[j];
            }
        }
        Self { n, gram, solve, rounding, sums_to_one }
    }

    /// The filtered inverse applied to `b`.
    pub(crate) fn solved(&self, b: &[f64]) -> Vec<f64> {
        self.solve.chunks(self.n).map(|row| num::dot(row, b)).collect()
    }

    /// The fit of a prediction with covariances `cross` with the files and variance `own`.
    pub(crate) fn fit(&self, cross: &[f64], own: f64) -> Fit {
        let mut coefficients = self.solved(cross);
        if self.sums_to_one {
            let ones = self.solved(&vec![1.0; self.n]);
            let total = num::sum(&ones);
            let missing = 1.0 - num::sum(&coefficients);
            coefficients.iter_mut().zip(&ones).for_each(|(c, one)| *c += missing * one / total);
        }
        let bent: Vec<f64> = self.gram.chunks(self.n).map(|row| num::dot(row, &coefficients)).collect();
        let residual = own - 2.0 * num::dot(cross, &coefficients) + num::dot(&coefficients, &bent);
        let rounding = coefficients.iter().zip(&self.rounding).map(|(c, r)| c * c * r).sum();
        // A difference of sums that cancel holds their rounding, and no residual.
        let residual = if residual <= NOISE * own { 0.0 } else { residual };
        Fit { coefficients, residual, rounding }
    }

    /// The files' differences without the offset that is common to all, where there is one.
    pub(crate) fn centered(&self, rho: &[f64]) -> Vec<f64> {
        if !self.sums_to_one {
            return rho.to_vec();
        }
        let ones = self.solved(&vec![1.0; self.n]);
        let offset = num::dot(&ones, rho) / num::sum(&ones);
        rho.iter().map(|r| r - offset).collect()
    }

    /// How far the files' differences `rho` lie outside what the labels' spread allows: 1 where they do not.
    pub(crate) fn inflation(&self, rho: &[f64]) -> f64 {
        let free = self.n as f64 - f64::from(u8::from(self.sums_to_one));
        if free < 1.0 {
            return 1.0;
        }
        let rho = self.centered(rho);
        (num::dot(&rho, &self.solved(&rho)) / free).max(1.0).sqrt()
    }
}

/// Eigenvalues and eigenvectors (in columns) of a symmetric matrix by Jacobi rotations (Golub and Van Loan, 8.5): slow
/// for thousands, exact to the last digits for the dozens of a leaderboard.
pub(crate) fn eigen(mut a: Vec<f64>, n: usize) -> (Vec<f64>, Vec<f64>) {
    let mut vectors = vec![0.0; n * n];
    (0..n).for_each(|i| vectors[i * n + i] = 1.0);
    for _ in 0..60 {
        let off: f64 = (0..n).flat_map(|i| (0..i).map(move |j| (i, j))).map(|(i, j)| a[i * n + j] * a[i * n + j]).sum();
        let on: f64 = (0..n).map(|i| a[i * n + i] * a[i * n + i]).sum();
        if off <= 1e-32 * on {
            break;
        }
        for p in 0..n {
            for q in p + 1..n {
                let apq = a[p * n + q];
                if apq == 0.0 {
                    continue;
                }
                let theta = (a[q * n + q] - a[p * n + p]) / (2.0 * apq);
                let t = theta.signum() / (theta.abs() + (theta * theta + 1.0).sqrt());
                let c = 1.0 / (t * t + 1.0).sqrt();
                let s = t * c;
                for k in 0..n {
                    let (x, y) = (a[k * n + p], a[k * n + q]);
                    a[k * n + p] = c * x - s * y;
                    a[k * n + q] = s * x + c * y;
                }
                for k in 0..n {
                    let (x, y) = (a[p * n + k], a[q * n + k]);
                    a[p * n + k] = c * x - s * y;
                    a[q * n + k] = s * x + c * y;
                }
                for k in 0..n {
                    let (x, y) = (vectors[k * n + p], vectors[k * n + q]);
                    vectors[k * n + p] = c * x - s * y;
                    vectors[k * n + q] = s * x + c * y;
                }
            }
        }
    }
    ((0..n).map(|i| a[i * n + i]).collect(), vectors)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    fn gram(columns: &[Vec<f64>]) -> Vec<f64> {
        columns.iter().flat_map(|a| columns.iter().map(move |b| num::dot(a, b))).collect()
    }

    fn columns(n: usize, rows: usize, seed: u64) -> Vec<Vec<f64>> {
        let mut random = Random::new(seed);
        (0..n).map(|_| (0..rows).map(|_| random.unit() - 0.5).collect()).collect()
    }

    #[test]
    fn eigenvectors_rebuild_the_matrix() {
        for n in [1_usize, 2, 5, 20] {
            let matrix = gram(&columns(n, 7, n as u64));
            let (values, vectors) = eigen(matrix.clone(), n);
            for i in 0..n {
                for j in 0..n {
                    let built: f64 = (0..n).map(|k| vectors[i * n + k] * values[k] * vectors[j * n + k]).sum();
                    assert!((built - matrix[i * n + j]).abs() < 1e-12, "{n}: {i} {j}");
                }
            }
        }
    }

    #[test]
    fn a_blend_of_files_gets_its_weights_back() {
        let files = columns(4, 50, 1);
        for sums_to_one in [false, true] {
            let regression = Regression::new(gram(&files), &[1e-6; 4], sums_to_one);
            let weights = [0.5, 0.2, 0.4, -0.1];
            let blend: Vec<f64> = (0..50).map(|i| (0..4).map(|k| weights[k] * files[k][i]).sum()).collect();
            let cross: Vec<f64> = files.iter().map(|file| num::dot(file, &blend)).collect();
            let fit = regression.fit(&cross, num::dot(&blend, &blend));
            for (c, w) in fit.coefficients.iter().zip(&weights) {
                assert!((c - w).abs() < 1e-9, "{:?}", fit.coefficients);
            }
            assert!(fit.residual < 1e-12);
            let wanted: f64 = weights.iter().map(|w| w * w * 1e-12 / 3.0).sum();
            assert!((fit.rounding / wanted - 1.0).abs() < 1e-6);
        }
    }

    #[test]
    fn the_same_file_twice_is_averaged() {
        let mut files = columns(2, 50, 2);
        files.push(files[0].clone());
        let regression = Regression::new(gram(&files), &[1e-3; 3], false);
        let cross: Vec<f64> = files.iter().map(|file| num::dot(file, &files[0])).collect();
        let fit = regression.fit(&cross, cross[0]);
        assert!((fit.coefficients[0] - 0.5).abs() < 1e-6 && (fit.coefficients[2] - 0.5).abs() < 1e-6);
        // What is orthogonal to all files keeps its own spread.
        let fit = regression.fit(&[0.0; 3], 2.0);
        assert_eq!((fit.residual, fit.coefficients), (2.0, vec![0.0; 3]));
    }
}

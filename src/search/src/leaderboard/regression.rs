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
    /// What brings each file's covariances to the size of its noise.
    scale: Vec<f64>,
    /// Eigenvectors of the scaled covariance, in columns, `n x n`.
    vectors: Vec<f64>,
    /// Filtered inverses of its eigenvalues.
    filter: Vec<f64>,
    /// Variance of each score's rounding.
    rounding: Vec<f64>,
    /// Whether coefficients must sum to one: an offset common to all files is not known.
    sums_to_one: bool,
    /// The variance that stands for knowing nothing of that offset. What it is changes no coefficients that sum to one,
    /// but with it files whose levers cancel each other are still told apart.
    offset: f64,
}

/// Coefficients of one prediction on the scored files, and what they leave open.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Fit {
    pub(crate) coefficients: Vec<f64>,
    /// Variance of the part of the label that no scored file speaks of.
    pub(crate) residual: f64,
    /// Variance that rounding of the scores brings in.
    pub(crate) rounding: f64,
    /// The size of the terms that the residual is a difference of.
    pub(crate) size: f64,
}

/// Directions whose spread is this many times their rounding's variance are solved for exactly; the score of a scored
/// file is then its own.
const WELL_KNOWN: f64 = 100.0;

/// Rounding is never taken for less than this share of the files' spread: below it is the noise of the sums.
const FLOOR: f64 = 1e-14;

/// Rounding of sums, relative to them.
const NOISE: f64 = 1e-13;

/// The offset's variance, in the rounding's: far more than is averaged away.
const UNKNOWN: f64 = 1e6;

impl Regression {
    /// `gram` is positive semidefinite up to rounding; `half_units` are halves of the scores' last digits; `noise` is the
    /// variance of whatever else keeps a score from following.
    pub(crate) fn new(gram: Vec<f64>, half_units: &[f64], noise: f64, sums_to_one: bool) -> Self {
        let n = half_units.len();
        // A rounding error is uniform within half a unit on either side.
        let rounding: Vec<f64> = half_units.iter().map(|half| half * half / 3.0).collect();
        let mean = |of: &dyn Fn(usize) -> f64| (0..n).map(of).sum::<f64>() / n as f64;
        // The choice of made-up labels may leave a file no lever of its own: its size is that of all.
        let size = if sums_to_one { mean(&|i| gram[i * n + i]) } else { 0.0 };
        let floor = |i: usize| (rounding[i] + noise).max(FLOOR * (gram[i * n + i] + size)).max(1e-300);
        let scale: Vec<f64> = (0..n).map(|i| 1.0 / floor(i).sqrt()).collect();
        let offset = if sums_to_one { size + UNKNOWN * mean(&floor) } else { 0.0 };
        let scaled = (0..n * n).map(|cell| (gram[cell] + offset) * scale[cell / n] * scale[cell % n]).collect();
        let (values, vectors) = eigen(scaled, n);
        let filter: Vec<f64> = values
            .iter()
            .map(|&value| if value > WELL_KNOWN { 1.0 / value } else { 1.0 / (value.max(0.0) + 1.0) })
            .collect();
        Self { n, gram, scale, vectors, filter, rounding, sums_to_one, offset }
    }

    /// The filtered inverse applied to `b`: direction by direction, as the sum of them all would mix what is large in
    /// one into what is small in another.
    pub(crate) fn solved(&self, b: &[f64]) -> Vec<f64> {
        let n = self.n;
        let mut solved = vec![0.0; n];
        for k in 0..n {
            let along: f64 = (0..n).map(|i| self.vectors[i * n + k] * self.scale[i] * b[i]).sum();
            (0..n).for_each(|i| solved[i] += self.vectors[i * n + k] * self.scale[i] * self.filter[k] * along);
        }
        solved
    }

    /// The fit of a prediction with covariances `cross` with the files and variance `own`.
    pub(crate) fn fit(&self, cross: &[f64], own: f64) -> Fit {
        let mut coefficients = self.solved(&cross.iter().map(|c| c + self.offset).collect::<Vec<_>>());
        if self.sums_to_one {
            let ones = self.solved(&vec![1.0; self.n]);
            let total = num::sum(&ones);
            let missing = 1.0 - num::sum(&coefficients);
            coefficients.iter_mut().zip(&ones).for_each(|(c, one)| *c += missing * one / total);
        }
        let bent: Vec<f64> = self.gram.chunks(self.n).map(|row| num::dot(row, &coefficients)).collect();
        let residual = own - 2.0 * num::dot(cross, &coefficients) + num::dot(&coefficients, &bent);
        let rounding = coefficients.iter().zip(&self.rounding).map(|(c, r)| c * c * r).sum();
        let squares: f64 = coefficients.iter().enumerate().map(|(i, c)| c * c * self.gram[i * self.n + i]).sum();
        let size = own + squares;
        // A difference of sums that cancel holds their rounding, and no residual.
        let residual = if residual <= NOISE * size { 0.0 } else { residual };
        Fit { coefficients, residual, rounding, size }
    }

    /// The fit of a scored file that is taken for itself.
    pub(crate) fn alone(&self, file: usize) -> Fit {
        let mut coefficients = vec![0.0; self.n];
        coefficients[file] = 1.0;
        let own = self.gram[file * self.n + file];
        Fit { coefficients, residual: 0.0, rounding: self.rounding[file], size: own }
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

    /// How wrong each file's difference in `rho` is predicted from the others', in squares of what is said of that
    /// error; their mean. 1 where error bars are honest, 0 where no file can be left out.
    pub(crate) fn left_out(&self, rho: &[f64]) -> f64 {
        // What is left of file i is (P rho)_i / P_ii, and its variance 1 / P_ii: P is the inverse, without the offset.
        let ones = if self.sums_to_one { self.solved(&vec![1.0; self.n]) } else { vec![0.0; self.n] };
        let total = num::sum(&ones).max(f64::MIN_POSITIVE);
        let pulled = self.solved(&self.centered(rho));
        let squares = (0..self.n).filter_map(|i| {
            let row = &self.vectors[i * self.n..(i + 1) * self.n];
            let squares: f64 = row.iter().zip(&self.filter).map(|(v, f)| v * v * f).sum();
            let own = self.scale[i] * self.scale[i] * squares;
            let kept = own - ones[i] * ones[i] / total;
            (kept > NOISE * own).then(|| pulled[i] * pulled[i] / kept)
        });
        squares.sum::<f64>() / self.n as f64
    }

    /// What standard errors have to be multiplied by for files that are left out to be as wrong as they are said to be.
    pub(crate) fn inflation(&self, rho: &[f64]) -> f64 {
        self.left_out(rho).max(1.0).sqrt()
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
            let regression = Regression::new(gram(&files), &[1e-6; 4], 0.0, sums_to_one);
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
    fn files_left_out_are_predicted_from_the_others() {
        let (files, rho) = (columns(5, 40, 3), [0.3, -0.2, 0.5, 0.1, -0.4]);
        for sums_to_one in [false, true] {
            let all = Regression::new(gram(&files), &[1e-2; 5], 0.0, sums_to_one);
            let mut squares = 0.0;
            for out in 0..5 {
                let others: Vec<Vec<f64>> = (0..5).filter(|i| *i != out).map(|i| files[i].clone()).collect();
                let known: Vec<f64> = (0..5).filter(|i| *i != out).map(|i| rho[i]).collect();
                let rest = Regression::new(gram(&others), &[1e-2; 4], 0.0, sums_to_one);
                let cross: Vec<f64> = others.iter().map(|file| num::dot(file, &files[out])).collect();
                let fit = rest.fit(&cross, num::dot(&files[out], &files[out]));
                let variance = fit.residual + fit.rounding + 1e-4 / 3.0;
                squares += (rho[out] - num::dot(&fit.coefficients, &known)).powi(2) / variance / 5.0;
            }
            let found = all.left_out(&rho);
            assert!((found / squares - 1.0).abs() < 1e-3, "{found} {squares}");
        }
        assert_eq!(Regression::new(vec![1.0], &[1e-3], 0.0, true).left_out(&[0.7]), 0.0, "nothing to predict from");
    }

    #[test]
    fn the_same_file_twice_is_averaged() {
        let mut files = columns(2, 50, 2);
        files.push(files[0].clone());
        let regression = Regression::new(gram(&files), &[1e-3; 3], 0.0, false);
        let cross: Vec<f64> = files.iter().map(|file| num::dot(file, &files[0])).collect();
        let fit = regression.fit(&cross, cross[0]);
        assert!((fit.coefficients[0] - 0.5).abs() < 1e-6 && (fit.coefficients[2] - 0.5).abs() < 1e-6);
        // What is orthogonal to all files keeps its own spread.
        let fit = regression.fit(&[0.0; 3], 2.0);
        assert_eq!((fit.residual, fit.coefficients), (2.0, vec![0.0; 3]));
    }
}

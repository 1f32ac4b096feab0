//! AUC from AUCs: normal scores of both classes taken for normal with one covariance (the binormal form).
//!
//! Member k's classes lie `d_k = sqrt(2) Phi^-1(AUC_k)` apart in units of the spread within a class, which in units of
//! the spread of all rows is `Delta_k = d_k / sqrt(1 + pi (1 - pi) d_k^2)`, `pi` the share of positives. A blend has
//! `Delta(w) = w' Delta / sqrt(w' Sigma w)`, `Sigma` the covariance of the test rows, and the way back gives its AUC:
//! best where `w` is proportional to `Sigma^-1 Delta` (Su and Liu, JASA 1993).

use crate::{
    drive::Stop,
    objective::{Effort, Objective, Quadratic},
    solver::{Found, SolverName, Task, solve},
};
use blend_core::{Block, num};

/// Members' distances and covariance.
pub(super) struct Binormal {
    delta: Vec<f64>,
    sigma: Vec<f64>,
    /// `pi (1 - pi)`.
    mixed: f64,
}

impl Binormal {
    /// `entered` are the members' single outputs on the scale of averaging; `positives` is the share of positives.
    pub(super) fn new(entered: &[Block], aucs: &[f64], positives: f64) -> Self {
        let n = entered.len();
        let mixed = positives * (1.0 - positives);
        let centered: Vec<Vec<f64>> = entered
            .iter()
            .map(|block| {
                let column = block.column(0);
                let mean = num::sum(column) / column.len() as f64;
                column.iter().map(|x| x - mean).collect()
            })
            .collect();
        let rows = centered[0].len() as f64;
        let sigma: Vec<f64> =
            (0..n * n).map(|cell| num::dot(&centered[cell / n], &centered[cell % n]) / rows).collect();
        // Members' distances are in units of their own spread.
        let delta = (0..n).map(|k| distance(aucs[k], mixed) * sigma[k * n + k].max(0.0).sqrt()).collect();
        Self { delta, sigma, mixed }
    }

    fn spread(&self, weights: &[f64]) -> f64 {
        let bent: Vec<f64> = self.sigma.chunks(weights.len()).map(|row| num::dot(row, weights)).collect();
        num::dot(weights, &bent).max(0.0).sqrt()
    }

    /// The AUC of a blend.
    pub(super) fn score(&self, weights: &[f64]) -> f64 {
        let spread = self.spread(weights);
        if spread == 0.0 {
            return 0.5;
        }
        self.auc(num::dot(&self.delta, weights) / spread)
    }

    fn auc(&self, delta: f64) -> f64 {
        let inside = 1.0 - self.mixed * delta * delta;
        // Farther apart than two classes can be: all that is known is that no pair is out of order.
        if inside <= 0.0 {
            return if delta > 0.0 { 1.0 } else { 0.0 };
        }
        phi(delta / (2.0 * inside).sqrt())
    }

    /// The best weights that sum to one and are not negative.
    pub(super) fn best(&self, task: &Task<'_>) -> Found {
        let n = self.delta.len();
        let able: Vec<usize> = (0..n).filter(|&k| self.delta[k] > 0.0).collect();
        if able.is_empty() {
            let weights = task.constraints.equal();
            return Found { loss: -self.score(&weights), weights, stop: Stop::Stalled, gap: None };
        }
        // With shares `v_k` proportional to `w_k Delta_k` the ratio's numerator is one.
        let m = able.len();
        let at = |i: usize, j: usize| self.sigma[able[i] * n + able[j]] / (self.delta[able[i]] * self.delta[able[j]]);
        let form = Form { gram: (0..m * m).map(|cell| at(cell / m, cell % m)).collect(), n: m };
        let constraints = task.constraints.select(&able);
        let found =
            solve(SolverName::Quadratic, &Task { objective: &form, constraints: &constraints, start: None, ..*task });
        let mut weights = vec![0.0; n];
        able.iter().zip(&found.weights).for_each(|(&k, v)| weights[k] = v / self.delta[k]);
        let total = num::sum(&weights);
        weights.iter_mut().for_each(|w| *w /= total);
        let score = self.score(&weights);
        // The form is one over the square of the distance: what it can lose, the AUC can gain.
        let gap = found.gap.map(|gap| {
            let least = (found.loss - gap).max(f64::MIN_POSITIVE);
            (self.auc(1.0 / least.sqrt()) - score).max(0.0)
        });
        let stop = match (found.stop, gap) {
            (Stop::Certified { .. }, Some(gap)) => Stop::Certified { gap },
            (stop, _) => stop,
        };
        Found { loss: -score, weights, stop, gap }
    }
}

/// `w' G w`.
struct Form {
    gram: Vec<f64>,
    n: usize,
}

impl Objective for Form {
    fn n_weights(&self) -> usize {
        self.n
    }

    fn value(&self, weights: &[f64]) -> f64 {
        self.quadratic().map_or(f64::INFINITY, |form| form.value(weights))
    }

    fn is_convex(&self) -> bool {
        true
    }

    fn quadratic(&self) -> Option<Quadratic> {
        Some(Quadratic { gram: self.gram.clone(), linear: vec![0.0; self.n], constant: 0.0, rooted: false })
    }

    fn effort(&self) -> Effort {
        Effort::default()
    }
}

/// A member's distance in units of its spread over all rows.
fn distance(auc: f64, mixed: f64) -> f64 {
    let d = std::f64::consts::SQRT_2 * phi_inverse(auc.clamp(1e-9, 1.0 - 1e-9));
    d / (1.0 + mixed * d * d).sqrt()
}

/// The standard normal distribution function.
fn phi(x: f64) -> f64 {
    0.5 * libm::erfc(-x * std::f64::consts::FRAC_1_SQRT_2)
}

/// Its inverse, by halving: exact, and asked for a few times only.
fn phi_inverse(p: f64) -> f64 {
    let (mut low, mut high) = (-9.0, 9.0);
    for _ in 0..80 {
        let middle = 0.5 * (low + high);
        if phi(middle) < p { low = middle } else { high = middle }
    }
    0.5 * (low + high)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::constraints::Constraints;
    use crate::{
        random::Random,
        testing::{normal, watch},
    };
    use blend_core::Domain;

    fn auc(scores: &[f64], labels: &[bool]) -> f64 {
        let (mut wins, mut pairs) = (0.0, 0.0);
        for (x, _) in scores.iter().zip(labels).filter(|(_, y)| **y) {
            for (z, _) in scores.iter().zip(labels).filter(|(_, y)| !**y) {
                wins += if x > z { 1.0 } else { 0.5 * f64::from(u8::from(x == z)) };
                pairs += 1.0;
            }
        }
        wins / pairs
    }

    #[test]
    fn normal_classes_are_predicted_and_the_best_blend_found() {
        let mut random = Random::new(4);
        let n = 4000;
        let labels: Vec<bool> = (0..n).map(|_| random.unit() < 0.3).collect();
        let common: Vec<f64> = (0..n).map(|_| 0.5 * normal(&mut random)).collect();
        let members: Vec<Vec<f64>> = [0.9, 0.5, 1.3]
            .iter()
            .map(|d| (0..n).map(|i| d * f64::from(u8::from(labels[i])) + common[i] + normal(&mut random)).collect())
            .collect();
        let blocks: Vec<Block> = members.iter().map(|m| Block::from_columns(std::slice::from_ref(m))).collect();
        let aucs: Vec<f64> = members.iter().map(|m| auc(m, &labels)).collect();
        let positives = labels.iter().filter(|y| **y).count() as f64 / n as f64;
        let binormal = Binormal::new(&blocks, &aucs, positives);
        for k in 0..3 {
            let mut alone = vec![0.0; 3];
            alone[k] = 1.0;
            assert!((binormal.score(&alone) - aucs[k]).abs() < 1e-9, "a member has its own score");
        }
        let constraints = Constraints::of(Domain::Simplex, 3);
        let form = Form { gram: vec![1.0; 9], n: 3 };
        let task = Task {
            objective: &form,
            constraints: &constraints,
            start: None,
            seed: 0,
            tolerance: 1e-12,
            max_picks: 1,
            watch: watch(),
        };
        let found = binormal.best(&task);
        assert!(matches!(found.stop, Stop::Certified { gap } if gap < 1e-9), "{found:?}");
        let actual = |weights: &[f64]| auc(crate::leaderboard::identity::mix(&blocks, weights).column(0), &labels);
        assert!((-found.loss - actual(&found.weights)).abs() < 0.005, "{found:?} {}", actual(&found.weights));
        for _ in 0..300 {
            let raw: Vec<f64> = (0..3).map(|_| random.unit()).collect();
            let total: f64 = raw.iter().sum();
            let weights: Vec<f64> = raw.iter().map(|w| w / total).collect();
            assert!(binormal.score(&weights) <= -found.loss + 1e-12);
            assert!((binormal.score(&weights) - actual(&weights)).abs() < 0.005);
        }
    }
}

//! What a solver sees: a loss of the weights, its derivatives where it has them, and nothing else.

pub mod cv;

mod absolute;
mod cells;
mod feed;
mod kernels;
pub(crate) mod leaderboard;
mod mean;
pub(crate) mod part;
pub(crate) mod pooled;
mod rows;
pub(crate) mod slopes;
mod squares;
mod true_class;
mod whole;

use crate::solver::lowest;
use blend_core::num;
use std::sync::atomic::{AtomicU64, Ordering};

pub(crate) use cells::Apart;
pub(crate) use mean::{Mean, Remembered};

/// A loss of `n_weights` weights. Lower is better; never NaN, infinite where the weights leave the loss's domain.
pub trait Objective: Send + Sync {
    /// Number of weights.
    fn n_weights(&self) -> usize;
    /// The loss.
    fn value(&self, weights: &[f64]) -> f64;
    /// Loss and gradient; `None` where the loss is a step function.
    fn slope(&self, weights: &[f64]) -> Option<Slope> {
        let _ = weights;
        None
    }
    /// Loss, gradient and a positive semidefinite `n x n` matrix of second derivatives (or a stand-in for it).
    fn curve(&self, weights: &[f64]) -> Option<Curve> {
        let _ = weights;
        None
    }
    /// For every member the loss after moving the fraction `step` of the way to all weight on it:
    /// `(1 - step) weights + step e_k`.
    fn toward(&self, weights: &[f64], step: f64) -> Vec<f64> {
        (0..self.n_weights())
            .map(|member| {
                let mut moved: Vec<f64> = weights.iter().map(|w| (1.0 - step) * w).collect();
                moved[member] += step;
                self.value(&moved)
            })
            .collect()
    }
    /// The member toward which [`Self::toward`] is the lowest, the first of equals, and that loss: the next of a chain of
    /// greedy picks. `reach` is the objective's own memory of the chain, empty at its beginning.
    fn pick(&self, weights: &[f64], step: f64, reach: &mut Vec<f64>) -> (usize, f64) {
        let _ = reach;
        let losses = self.toward(weights, step);
        let best = lowest(&losses);
        (best, losses[best])
    }
    /// The loss after each of `moves`, from `weights`: up to rounding, which decides ties in a loss of steps. Good enough
    /// to choose a move by; its loss is for [`Self::value`] to say.
    fn moved(&self, weights: &[f64], moves: &[Move]) -> Vec<f64> {
        moves.iter().map(|step| self.value(&step.of(weights))).collect()
    }
    /// A smooth loss of the same weights whose optimum is a good place to start from, where this one has steps.
    fn surrogate(&self) -> Option<&dyn Objective> {
        None
    }
    /// Whether the loss is convex in the weights: only then is a gap a proof.
    fn is_convex(&self) -> bool;
    /// Whether there are derivatives.
    fn is_smooth(&self) -> bool {
        false
    }
    /// The sum of the rows' weights, where the loss is a mean over rows, or the root of one: means over some of the rows
    /// then add up to the mean over all.
    fn mass(&self) -> Option<f64> {
        None
    }
    /// The loss as a quadratic form under a monotone function, where it is one.
    fn quadratic(&self) -> Option<Quadratic> {
        None
    }
    /// A loss so close that its optimum is a start a step or two away from this one's, and whose values cost next to
    /// nothing.
    fn preview(&self) -> Option<&dyn Objective> {
        None
    }
    /// A cruder one of those, of a loss of any size: good enough to choose between searches by.
    fn sketch(&self) -> Option<Box<dyn Objective + '_>> {
        None
    }
    /// The same loss over some of the rows, for the first steps.
    fn sampled(&self) -> Option<&dyn Objective> {
        None
    }
    /// Whether losses of some members alone are much cheaper than the loss of all: see [`Self::only`].
    fn has_faces(&self) -> bool {
        false
    }
    /// The same loss of blends of some members alone, where [`Self::has_faces`].
    fn only(&self, members: &[usize]) -> Option<Box<dyn Objective + '_>> {
        let _ = members;
        None
    }
    /// Whether second derivatives are taken anew in every step: they cost hardly more than the slope, or change fast.
    fn bends_cheaply(&self) -> bool {
        self.preview().is_some()
    }
    /// How far the loss that is differentiated may lie above the true one (a smoothed absolute value).
    fn smoothing(&self) -> f64 {
        0.0
    }
    /// A smoother relative of the loss: the same data, kinks rounded off over `width` times the errors' own scale.
    fn smoothed(&self, width: f64) -> Option<Box<dyn Objective + '_>> {
        let _ = width;
        None
    }
    /// How much of the way from one vector of weights to another stays inside the loss's domain, where its edge is far
    /// from a minimum of its own accord: more than 1 where all of it does.
    fn room(&self, from: &[f64], to: &[f64]) -> f64 {
        let _ = (from, to);
        f64::INFINITY
    }
    /// The loss with a barrier of this width at the edge of its domain, where blends that are no means of members may
    /// leave it: `2 width` bounds what it hides of the loss of any allowed weights.
    fn walled(&self, width: f64) -> Option<Box<dyn Objective + '_>> {
        let _ = width;
        None
    }
    /// Reads of all the data so far, as a number of full passes, and calls.
    fn effort(&self) -> Effort;
}

/// Weight that is taken from one member and given to another, or only one of the two.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Move {
    /// Who gives.
    pub from: Option<usize>,
    /// Who takes.
    pub to: Option<usize>,
    /// How much.
    pub amount: f64,
}

impl Move {
    /// What each member's weight changes by.
    pub fn changes(self) -> impl Iterator<Item = (usize, f64)> {
        let down = self.from.map(|member| (member, -self.amount));
        down.into_iter().chain(self.to.map(|member| (member, self.amount)))
    }

    /// The weights after it.
    #[must_use]
    pub fn of(self, weights: &[f64]) -> Vec<f64> {
        let mut moved = weights.to_vec();
        self.changes().for_each(|(member, change)| moved[member] += change);
        moved
    }
}

/// Loss and gradient.
#[derive(Debug, Clone, PartialEq)]
pub struct Slope {
    /// The loss.
    pub value: f64,
    /// Its derivative by each weight.
    pub gradient: Vec<f64>,
}

/// Loss, gradient and second derivatives.
#[derive(Debug, Clone, PartialEq)]
pub struct Curve {
    /// The loss.
    pub value: f64,
    /// Its derivative by each weight.
    pub gradient: Vec<f64>,
    /// Second derivatives, `n x n`, row by row.
    pub hessian: Vec<f64>,
}

impl Curve {
    /// Moves from `from` to `to`, where the slope is known: the Hessian is changed so that it explains the change of the
    /// gradient between the two (the update of Broyden, Fletcher, Goldfarb and Shanno, which keeps it positive).
    pub(crate) fn follow(&mut self, from: &[f64], to: &[f64], slope: Slope) {
        let n = from.len();
        let step: Vec<f64> = to.iter().zip(from).map(|(to, from)| to - from).collect();
        let change: Vec<f64> = slope.gradient.iter().zip(&self.gradient).map(|(to, from)| to - from).collect();
        let bent: Vec<f64> = self.hessian.chunks(n).map(|row| num::dot(row, &step)).collect();
        let (model, truth) = (num::dot(&step, &bent), num::dot(&step, &change));
        // Differences that are all rounding teach nothing.
        if model > 0.0 && truth > 0.1 * model && truth < 10.0 * model {
            for (i, row) in self.hessian.chunks_mut(n).enumerate() {
                for (j, h) in row.iter_mut().enumerate() {
                    *h += change[i] * change[j] / truth - bent[i] * bent[j] / model;
                }
            }
        }
        (self.value, self.gradient) = (slope.value, slope.gradient);
    }

    /// The quadratic model's gradient at `to`, the model being that of `from`.
    #[must_use]
    pub fn slope_at(&self, from: &[f64], to: &[f64]) -> Vec<f64> {
        let n = from.len();
        let moved: Vec<(usize, f64)> = (0..n).map(|j| (j, to[j] - from[j])).filter(|(_, d)| *d != 0.0).collect();
        let bend = |i: usize| moved.iter().map(|(j, d)| self.hessian[i * n + j] * d).sum::<f64>();
        (0..n).map(|i| self.gradient[i] + bend(i)).collect()
    }

    /// By how much the quadratic model of `from` rises to `to`.
    #[must_use]
    pub fn rise(&self, from: &[f64], to: &[f64]) -> f64 {
        let end = self.slope_at(from, to);
        let slopes = self.gradient.iter().zip(&end).map(|(a, b)| 0.5 * (a + b));
        slopes.zip(from.iter().zip(to)).map(|(slope, (from, to))| slope * (to - from)).sum()
    }
}

/// `w' G w - 2 b . w + c`, with the function that makes it the loss.
#[derive(Debug, Clone, PartialEq)]
pub struct Quadratic {
    /// `G`, `n x n`, row by row.
    pub gram: Vec<f64>,
    /// `b`.
    pub linear: Vec<f64>,
    /// `c`.
    pub constant: f64,
    /// Whether the loss is the square root of the form.
    pub rooted: bool,
}

impl Quadratic {
    /// The form.
    #[must_use]
    pub fn value(&self, weights: &[f64]) -> f64 {
        let n = weights.len();
        let mut total = self.constant;
        for i in 0..n {
            let row: f64 = (0..n).map(|j| self.gram[i * n + j] * weights[j]).sum();
            total += weights[i] * (row - 2.0 * self.linear[i]);
        }
        total
    }

    /// Its gradient.
    #[must_use]
    pub fn gradient(&self, weights: &[f64]) -> Vec<f64> {
        let n = weights.len();
        (0..n)
            .map(|i| 2.0 * ((0..n).map(|j| self.gram[i * n + j] * weights[j]).sum::<f64>() - self.linear[i]))
            .collect()
    }

    /// The loss: the form, or its root.
    #[must_use]
    pub fn loss(&self, weights: &[f64]) -> f64 {
        let value = self.value(weights).max(0.0);
        if self.rooted { value.sqrt() } else { value }
    }

    /// The loss with its first and second derivatives.
    #[must_use]
    pub fn curve(&self, weights: &[f64]) -> Curve {
        let (value, mut gradient) = (self.loss(weights), self.gradient(weights));
        let mut hessian: Vec<f64> = self.gram.iter().map(|g| 2.0 * g).collect();
        if self.rooted {
            // d sqrt(m) = m' / (2 sqrt m), d2 sqrt(m) = m'' / (2 sqrt m) - m' m' / (4 m^1.5).
            let half = 0.5 / value.max(1e-150);
            gradient.iter_mut().chain(&mut hessian).for_each(|x| *x *= half);
            let n = weights.len();
            for (row, hessian) in hessian.chunks_mut(n).enumerate() {
                hessian.iter_mut().zip(&gradient).for_each(|(h, g)| *h -= 2.0 * half * gradient[row] * g);
            }
        }
        Curve { value, gradient, hessian }
    }

    /// A gap of the form as a gap of the loss: `sqrt(m) - sqrt(m - gap)` where it is rooted.
    #[must_use]
    pub fn loss_gap(&self, weights: &[f64], gap: f64) -> f64 {
        if !self.rooted {
            return gap;
        }
        let value = self.value(weights).max(0.0);
        let sum = value.sqrt() + (value - gap).max(0.0).sqrt();
        if sum > 0.0 { gap / sum } else { gap.max(0.0).sqrt() }
    }
}

/// What a search cost.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Effort {
    /// Full reads of the members' predictions.
    pub passes: f64,
    /// Losses computed.
    pub evaluations: u64,
}

impl std::ops::AddAssign for Effort {
    fn add_assign(&mut self, other: Self) {
        self.passes += other.passes;
        self.evaluations += other.evaluations;
    }
}

/// Counts calls as they happen, from any thread.
#[derive(Debug, Default)]
pub(crate) struct Meter {
    /// In millionths.
    passes: AtomicU64,
    evaluations: AtomicU64,
}

impl Meter {
    /// One read of all data that judged `evaluations` weight vectors.
    pub(crate) fn pass(&self, evaluations: usize) {
        self.part_of_pass(1.0, evaluations);
    }

    /// The same of a share of the data.
    pub(crate) fn part_of_pass(&self, share: f64, evaluations: usize) {
        self.passes.fetch_add((1e6 * share) as u64, Ordering::Relaxed);
        self.evaluations.fetch_add(evaluations as u64, Ordering::Relaxed);
    }

    /// A loss computed from sums that were taken before.
    pub(crate) fn free(&self) {
        self.evaluations.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn effort(&self) -> Effort {
        Effort {
            passes: self.passes.load(Ordering::Relaxed) as f64 / 1e6,
            evaluations: self.evaluations.load(Ordering::Relaxed),
        }
    }
}

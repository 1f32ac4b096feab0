//! Solvers: from an objective to weights.
//!
//! To add one: a file with a [`Strategy`], and two lines below (`mod` and the catalogue). The laws in `laws.rs` then
//! test it: never worse than equal weights nor the single best, inside the domain, the same bits on one thread and on
//! two, no farther from a certified optimum than it says.

mod equal;
mod greedy;
mod local;
mod multistart;
mod nelder_mead;
mod newton;
mod quadratic;
mod single_best;

#[cfg(test)]
mod laws;

use crate::{
    constraints::Constraints,
    drive::{Stop, Watch},
    objective::Objective,
};
use std::str::FromStr;

/// A problem handed to a solver.
#[derive(Clone, Copy)]
pub struct Task<'a> {
    /// The loss.
    pub objective: &'a dyn Objective,
    /// The allowed weights.
    pub constraints: &'a Constraints,
    /// Where to start, where something better than equal weights is known.
    pub start: Option<&'a [f64]>,
    /// Seed of random starts.
    pub seed: u64,
    /// A gap at which a certified search may end, in units of the loss.
    pub tolerance: f64,
    /// Picks of the greedy selection.
    pub max_picks: usize,
    /// Interruption, deadline and progress.
    pub watch: Watch<'a>,
}

/// Weights and how they were found.
#[derive(Debug, Clone, PartialEq)]
pub struct Found {
    /// One per member.
    pub weights: Vec<f64>,
    /// Their loss.
    pub loss: f64,
    /// Why the search ended.
    pub stop: Stop,
    /// The gap at the end, where one is known.
    pub gap: Option<f64>,
}

/// A solver.
pub trait Strategy: Send + Sync {
    /// What the catalogue says of it.
    fn info(&self) -> &'static Info;
    /// Whether it can solve the task at all; if not, why.
    fn fits(&self, task: &Task<'_>) -> Result<(), &'static str> {
        let _ = task;
        Ok(())
    }
    /// Solves the task, which fits.
    fn run(&self, task: &Task<'_>) -> Found;
}

/// A solver's entry in the catalogue.
#[derive(Debug)]
pub struct Info {
    /// Name on the command line.
    pub name: &'static str,
    /// What it does.
    pub does: &'static str,
    /// Where the method comes from.
    pub source: &'static str,
    /// Whether it can prove its answer.
    pub certifies: bool,
}

/// The name of a solver.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SolverName {
    /// The same weight for all.
    Equal,
    /// All weight on the best member.
    SingleBest,
    /// Sequential quadratic steps, certified where the loss is convex.
    Newton,
    /// Squared errors, certified.
    Quadratic,
    /// Caruana's selection with replacement.
    Greedy,
    /// Exchange of weight between pairs on the true metric.
    Local,
    /// Smooth steps from several starts, for losses that are not convex.
    Multistart,
    /// argmin's Nelder-Mead simplex.
    NelderMead,
}

/// All solvers, in the order of their names.
pub const CATALOGUE: [(SolverName, &dyn Strategy); 8] = [
    (SolverName::Equal, &equal::Equal),
    (SolverName::SingleBest, &single_best::SingleBest),
    (SolverName::Newton, &newton::NewtonStrategy),
    (SolverName::Quadratic, &quadratic::QuadraticStrategy),
    (SolverName::Greedy, &greedy::GreedyStrategy),
    (SolverName::Local, &local::LocalStrategy),
    (SolverName::Multistart, &multistart::Multistart),
    (SolverName::NelderMead, &nelder_mead::NelderMeadStrategy),
];

impl SolverName {
    /// The solver.
    #[must_use]
    pub fn get(self) -> &'static dyn Strategy {
        CATALOGUE[self as usize].1
    }

    /// Name on the command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.get().info().name
    }

    /// The solver that suits an objective: exact where it can be, on the true metric where it must be.
    #[must_use]
    pub fn suited_to(objective: &dyn Objective) -> Self {
        if objective.quadratic().is_some() {
            return Self::Quadratic;
        }
        let smooth = objective.smoothed(1.0).is_some() || objective.is_smooth();
        match (smooth, objective.is_convex()) {
            (true, true) => Self::Newton,
            (true, false) => Self::Multistart,
            (false, _) => Self::Local,
        }
    }
}

impl FromStr for SolverName {
    type Err = ();
    fn from_str(name: &str) -> Result<Self, ()> {
        CATALOGUE.iter().find(|(_, solver)| solver.info().name == name).map(|(name, _)| *name).ok_or(())
    }
}

pub(crate) use newton::{
    faces::{face, many, suit as suit_faces},
    walls::stand as has_walls,
};

/// Position of the lowest loss, the first of equals.
pub(crate) fn lowest(losses: &[f64]) -> usize {
    losses.iter().enumerate().fold(0, |best, (i, loss)| if *loss < losses[best] { i } else { best })
}

/// Loss of every member alone.
pub(crate) fn alone(objective: &dyn Objective) -> Vec<f64> {
    objective.toward(&vec![0.0; objective.n_weights()], 1.0)
}

/// Runs a solver and falls back to equal weights or the single best where it did worse than one of them.
#[must_use]
pub fn solve(name: SolverName, task: &Task<'_>) -> Found {
    let found = name.get().run(task);
    let proven = matches!(found.stop, Stop::Certified { .. });
    let mut best = found;
    // A certificate already bounds what either baseline could be better by.
    if !proven {
        let losses = alone(task.objective);
        let single = lowest(&losses);
        let equal = task.constraints.equal();
        let corner = task.constraints.corner(single);
        let at_corner = if task.constraints.is_plain() { losses[single] } else { task.objective.value(&corner) };
        let candidates = [(equal.clone(), task.objective.value(&equal)), (corner, at_corner)];
        for (weights, loss) in candidates {
            if loss < best.loss {
                best = Found { weights, loss, stop: fallen_back(best.stop), gap: None };
            }
        }
    }
    best
}

/// Why a search ended whose answer a baseline beat: it stalled, unless it was cut short.
pub(crate) fn fallen_back(stop: Stop) -> Stop {
    if matches!(stop, Stop::Interrupted | Stop::Budget) { stop } else { Stop::Stalled }
}

/// A short greedy selection as a start for other solvers.
pub(crate) struct GreedyStart;

impl GreedyStart {
    /// Weights after at most `picks` picks.
    pub(crate) fn weights(task: &Task<'_>, picks: usize) -> Vec<f64> {
        let picked = greedy::GreedyStrategy.run(&Task { max_picks: picks, ..*task }).weights;
        if task.constraints.is_plain() { picked } else { task.constraints.mend(&picked) }
    }
}

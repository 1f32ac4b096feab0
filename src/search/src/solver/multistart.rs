//! Smooth steps from several starts, for losses with several valleys (the angular error). It claims no certificate.

use super::{Found, GreedyStart, Info, Strategy, Task, alone, lowest, newton};
use crate::{drive::Stop, random::Random};

pub(super) struct Multistart;

/// Random starts beside equal weights, the single best and a short greedy selection.
const RANDOM_STARTS: usize = 4;

impl Strategy for Multistart {
    fn info(&self) -> &'static Info {
        &Info {
            name: "multistart",
            does: "quadratic steps on a positive stand-in for the curvature, from equal weights, the single best, a greedy selection and random weights",
            source: "iteratively reweighted least squares: Weiszfeld 1937",
            certifies: false,
        }
    }

    fn fits(&self, task: &Task<'_>) -> Result<(), &'static str> {
        newton::NewtonStrategy.fits(task)
    }

    fn run(&self, task: &Task<'_>) -> Found {
        let n = task.constraints.n;
        let mut starts: Vec<Vec<f64>> = task.start.map(<[f64]>::to_vec).into_iter().collect();
        // A start from a sample of the same rows is already in the right valley.
        if starts.is_empty() {
            let single = lowest(&alone(task.objective));
            starts.extend([task.constraints.equal(), task.constraints.corner(single)]);
            starts.push(GreedyStart::weights(task, 10));
            let mut random = Random::new(task.seed);
            for _ in 0..RANDOM_STARTS {
                // Exponential draws, scaled to sum to one, are uniform on the simplex.
                let draws: Vec<f64> = (0..n).map(|_| -blend_core::num::ln(random.unit())).collect();
                let sum: f64 = draws.iter().sum();
                let weights: Vec<f64> = draws.iter().map(|x| x / sum).collect();
                starts.push(if task.constraints.is_plain() { weights } else { task.constraints.mend(&weights) });
            }
        }
        let mut best: Option<Found> = None;
        for start in starts {
            let found = newton::descend(task, start);
            let cut = matches!(found.stop, Stop::Interrupted | Stop::Budget).then_some(found.stop);
            if best.as_ref().is_none_or(|best| found.loss < best.loss) {
                // Where the loss happens to be convex one start alone would prove it: that is `newton`'s to say.
                let stop = if matches!(found.stop, Stop::Certified { .. }) { Stop::Converged } else { found.stop };
                best = Some(Found { gap: None, stop, ..found });
            }
            if let (Some(stop), Some(best)) = (cut, best.as_mut()) {
                best.stop = stop;
                break;
            }
        }
        best.unwrap_or_else(|| {
            let weights = task.constraints.equal();
            Found { loss: task.objective.value(&weights), weights, stop: Stop::Stalled, gap: None }
        })
    }
}

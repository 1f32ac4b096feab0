//! Few members: the best weights among those that obey limits on the number of members, their lowest weight and what
//! they cost.
//!
//! A set of members is judged by the optimum on it, so weights are fitted again whenever the set changes, and never
//! cut. From the members of the optimum without limits the one that is missed least goes, until the limits hold; then
//! members are dropped, added and exchanged as long as that helps. A quadratic model of the loss (its own second
//! derivatives) ranks the candidates, the loss itself decides. The optimum without limits bounds the answer from below.

use crate::{
    constraints::Constraints,
    drive::Stop,
    limits::Limits,
    objective::{Curve, Objective},
    quadratic_program,
    solver::{Found, SolverName, Task, alone, lowest},
};

/// Where losses of some members come from: `make` gives the loss of the members at some positions.
pub(crate) struct Selection<'a> {
    pub(crate) limits: &'a Limits,
    pub(crate) solver: SolverName,
    pub(crate) make: &'a dyn Fn(&[usize]) -> Box<dyn Objective + 'a>,
}

/// Members that may leave or enter at a time, and exchanges that are tried in earnest.
const CANDIDATES: usize = 16;
const TRIED: usize = 4;

/// A set of members with its optimum.
struct Chosen {
    members: Vec<usize>,
    weights: Vec<f64>,
    loss: f64,
    stop: Stop,
}

impl Selection<'_> {
    /// The best weights within the limits that the search finds. `relaxed` is the optimum without them; `None` where no
    /// set of members obeys them.
    pub(crate) fn run(&self, task: &Task<'_>, relaxed: &Found) -> Option<Found> {
        let n = task.constraints.n;
        let support: Vec<usize> = (0..n).filter(|&i| relaxed.weights[i] != 0.0).collect();
        let lightest = support.iter().map(|&i| relaxed.weights[i].abs()).fold(f64::INFINITY, f64::min);
        if self.fits(&support) && self.limits.min_weight.is_none_or(|least| lightest >= least) {
            return Some(relaxed.clone());
        }
        let model = task.objective.curve(&relaxed.weights);
        let start = self.start(task, relaxed, support, model.as_ref());
        let mut best = start.or_else(|| self.single(task, &relaxed.weights))?;
        while let Some(better) = self.step(task, &best) {
            best = better;
        }
        let mut weights = vec![0.0; n];
        best.members.iter().zip(&best.weights).for_each(|(&member, weight)| weights[member] = *weight);
        let bound = relaxed.gap.map(|gap| relaxed.loss - gap);
        let stop = match task.watch.cut() {
            Some(cut) => cut,
            None if matches!(best.stop, Stop::Certified { .. }) => Stop::Converged,
            None => best.stop,
        };
        Some(Found { weights, loss: best.loss, stop, gap: bound.map(|bound| (best.loss - bound).max(0.0)) })
    }

    /// Whether a set obeys the limits, weights aside.
    fn fits(&self, members: &[usize]) -> bool {
        self.over(members) <= 0.0 && self.limits.max_members.is_none_or(|most| members.len() <= most)
    }

    /// Seconds by which the members cost too much.
    fn over(&self, members: &[usize]) -> f64 {
        self.limits.budget.as_ref().map_or(f64::NEG_INFINITY, |budget| {
            members.iter().map(|&member| budget.seconds[member]).sum::<f64>() - budget.limit
        })
    }

    /// The allowed weights of a set: each at least the lowest one. `None` where there are none.
    fn constraints(&self, task: &Task<'_>, members: &[usize]) -> Option<Constraints> {
        if members.is_empty() || (0..task.constraints.n).any(|i| task.constraints.low[i] > 0.0 && !members.contains(&i))
        {
            return None; // a given weight cannot go
        }
        let part = task.constraints.select(members);
        let feasible = !part.sums_to_one || part.high.iter().sum::<f64>() >= 1.0 - 1e-12;
        let part = self.limits.min_weight.map_or(Some(part.clone()), |least| part.at_least(least))?;
        feasible.then_some(part)
    }

    /// The optimum on a set, from `start`.
    fn fit(&self, task: &Task<'_>, members: &[usize], start: &[f64]) -> Option<Chosen> {
        let constraints = self.constraints(task, members)?;
        let objective = (self.make)(members);
        let start: Vec<f64> = members.iter().map(|&member| start[member]).collect();
        let start = constraints.mend(&start);
        let part = Task { objective: &*objective, constraints: &constraints, start: Some(&start), ..*task };
        let found = self.solver.get().run(&part);
        found.loss.is_finite().then(|| Chosen {
            members: members.to_vec(),
            weights: found.weights,
            loss: found.loss,
            stop: found.stop,
        })
    }

    /// Members leave the unlimited optimum, the one that is missed least (for its cost, where that counts) first.
    fn start(
        &self,
        task: &Task<'_>,
        relaxed: &Found,
        mut members: Vec<usize>,
        model: Option<&Curve>,
    ) -> Option<Chosen> {
        let mut weights = relaxed.weights.clone();
        loop {
            if self.fits(&members)
                && let Some(chosen) = self.fit(task, &members, &weights)
            {
                return Some(chosen);
            }
            let costly = self.over(&members) > 0.0;
            let candidates: Vec<(usize, f64, Vec<f64>)> = members
                .iter()
                .filter(|&&member| task.constraints.low[member] <= 0.0)
                .map(|&gone| {
                    let rest: Vec<usize> = members.iter().copied().filter(|&member| member != gone).collect();
                    let (loss, to) = self.missed(task, relaxed, &rest, &weights, gone, model);
                    let cost = self.limits.budget.as_ref().filter(|_| costly).map_or(1.0, |it| it.seconds[gone]);
                    (gone, loss / cost.max(1e-9), to)
                })
                .collect();
            let losses: Vec<f64> = candidates.iter().map(|(_, loss, _)| *loss).collect();
            let (gone, _, to) = candidates.into_iter().nth(lowest(&losses))?;
            members.retain(|&member| member != gone);
            weights = to;
        }
    }

    /// The best member that obeys the limits alone: where none of the unlimited optimum's does.
    fn single(&self, task: &Task<'_>, from: &[f64]) -> Option<Chosen> {
        let losses = alone(task.objective);
        let mut order: Vec<usize> = (0..task.constraints.n).filter(|&member| self.fits(&[member])).collect();
        order.sort_by(|&a, &b| losses[a].total_cmp(&losses[b]));
        order.into_iter().find_map(|member| self.fit(task, &[member], from))
    }

    /// By how much the loss grows without a member, and the weights then: by the quadratic model, or (of a loss without
    /// derivatives) in the order of the weights.
    fn missed(
        &self,
        task: &Task<'_>,
        relaxed: &Found,
        rest: &[usize],
        weights: &[f64],
        gone: usize,
        model: Option<&Curve>,
    ) -> (f64, Vec<f64>) {
        let mut without = weights.to_vec();
        without[gone] = 0.0;
        let (Some(model), Some(face)) = (model, task.constraints.only(|member| rest.contains(&member))) else {
            return (weights[gone].abs(), without);
        };
        let from = face.mend(&without);
        let to = quadratic_program::solve(&from, &model.slope_at(&relaxed.weights, &from), &model.hessian, &face);
        (model.rise(&relaxed.weights, &to), to)
    }

    /// One better set next to `best`, the best of those that are tried.
    fn step(&self, task: &Task<'_>, best: &Chosen) -> Option<Chosen> {
        let n = task.constraints.n;
        let mut at = vec![0.0; n];
        best.members.iter().zip(&best.weights).for_each(|(&member, weight)| at[member] = *weight);
        if task.watch.cut().is_some() {
            return None;
        }
        let model = task.objective.curve(&at);
        let mut order = best.members.clone();
        order.sort_by(|&a, &b| at[a].abs().total_cmp(&at[b].abs()).then(a.cmp(&b)));
        order.truncate(CANDIDATES);
        let mut outside: Vec<usize> =
            (0..n).filter(|i| !best.members.contains(i) && task.constraints.high[*i] > 0.0).collect();
        if let Some(model) = &model {
            outside.sort_by(|&a, &b| model.gradient[a].total_cmp(&model.gradient[b]).then(a.cmp(&b)));
        }
        outside.truncate(CANDIDATES);
        // Members that cost different amounts are worth exchanging one for two as well.
        let pairs = self.limits.budget.is_some();
        let mut sets: Vec<Vec<usize>> = Vec::new();
        for gone in some(&order, pairs) {
            for come in some(&outside, pairs) {
                if gone.len() + come.len() == 0 || gone.len() + come.len() == 4 {
                    continue;
                }
                let mut set: Vec<usize> =
                    best.members.iter().copied().filter(|member| !gone.contains(member)).chain(come).collect();
                set.sort_unstable();
                if self.fits(&set) {
                    sets.push(set);
                }
            }
        }
        let mut ranked: Vec<(f64, Vec<usize>)> = sets
            .into_iter()
            .filter_map(|set| {
                let Some(model) = &model else { return Some((0.0, set)) };
                let part = self.constraints(task, &set)?;
                let from = part.mend(&set.iter().map(|&member| at[member]).collect::<Vec<f64>>());
                let mut wide = vec![0.0; n];
                set.iter().zip(&from).for_each(|(&member, weight)| wide[member] = *weight);
                let slope = model.slope_at(&at, &wide);
                let slope: Vec<f64> = set.iter().map(|&member| slope[member]).collect();
                let hessian: Vec<f64> = set
                    .iter()
                    .flat_map(|&i| set.iter().map(move |&j| (i, j)))
                    .map(|(i, j)| model.hessian[i * n + j])
                    .collect();
                let to = quadratic_program::solve(&from, &slope, &hessian, &part);
                wide.fill(0.0);
                set.iter().zip(&to).for_each(|(&member, weight)| wide[member] = *weight);
                Some((model.rise(&at, &wide), set))
            })
            .collect();
        ranked.sort_by(|a, b| a.0.total_cmp(&b.0));
        // Without derivatives there is nothing to rank by: drops, then exchanges of the lightest.
        ranked.truncate(if model.is_some() { TRIED } else { 2 * TRIED });
        let tried = ranked.into_iter().filter_map(|(_, set)| self.fit(task, &set, &at));
        let better = tried.filter(|tried| tried.loss < best.loss - 1e-12 * best.loss.abs());
        better.reduce(|a, b| if b.loss < a.loss { b } else { a })
    }
}

/// None, each one, and (where asked for) each two of `members`.
fn some(members: &[usize], pairs: bool) -> Vec<Vec<usize>> {
    let single = members.iter().map(|&member| vec![member]);
    let mut all: Vec<Vec<usize>> = std::iter::once(Vec::new()).chain(single).collect();
    if pairs {
        let second = |i: usize| members[i + 1..].iter().copied();
        all.extend((0..members.len()).flat_map(|i| second(i).map(move |other| vec![members[i], other])));
    }
    all
}

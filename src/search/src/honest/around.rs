//! What is known of the weights from the loss around them: how far they are known, and what each member is worth.

use super::{
    nested::Part,
    spread::{Spread, jackknife, spread},
    without::{Without, without},
};
use crate::{
    constraints::Constraints,
    drive::Stop,
    fit::Rows,
    search::Problem,
    solver::{Found, SolverName, Task, has_walls, many, suit_faces},
};
use blend_core::{Oof, PredictionMatrix, Predictions, score::Loss};

/// What is asked.
pub(crate) struct Asked<'a> {
    /// Replicates of the spread; none where 0.
    pub(crate) replicates: usize,
    pub(crate) seed: u64,
    /// The unit of each row.
    pub(crate) unit: &'a [u32],
    /// The weights without each outer part, where they are of the same kind.
    pub(crate) parts: &'a [Part],
    /// Whether members are left out in turn.
    pub(crate) leave_out: bool,
    /// The search within limits on members, where there are some: it chooses anew without the one that leaves.
    pub(crate) again: Option<&'a Again<'a>>,
}

/// A search on other constraints.
pub(crate) type Again<'a> = dyn Fn(&Constraints) -> Option<Found> + 'a;

/// The spread of the weights, by what it is known, and what each member is worth.
pub(crate) struct Around {
    pub(crate) spread: Option<(Vec<Spread>, &'static str)>,
    pub(crate) without: Vec<Option<Without>>,
}

/// What the loss around the weights tells: their spread, where a model does, and what each member is worth.
type Told = (Option<Vec<Spread>>, Vec<Option<Without>>);

/// Of many members, those beside the ones with weight that could have some instead.
const NEAR: usize = 40;

/// The spread of the weights and the best loss without each member, on the constraints of `task`.
pub(crate) fn around(rows: &Rows<'_>, solver: SolverName, task: &Task<'_>, found: &Found, asked: &Asked<'_>) -> Around {
    // With the weights that the limits left the model is one of these alone.
    let chosen = asked.again.and_then(|_| task.constraints.only(|member| found.weights[member] != 0.0));
    let face = Task { constraints: chosen.as_ref().unwrap_or(task.constraints), ..*task };
    // Of members that are far from having weight there is nothing to say, and much to compute.
    let few = suit_faces(rows.objective, face.constraints) || rows.is_of_sums() && many(face.constraints);
    let near = few.then(|| near(rows, &found.weights)).flatten();
    let of_few = near.and_then(|members| of_few(rows, solver, &face, found, asked, &members));
    let (spread, without) = of_few.unwrap_or_else(|| of_all(rows, solver, &face, found, asked));
    let spread = spread.map(|spread| (spread, "bootstrap"));
    let without = match asked.again {
        Some(again) if asked.leave_out => search_without(rows, task, found, again),
        _ => without,
    };
    Around {
        spread: spread.or_else(|| Some((jackknife(asked.parts, &found.weights, task.constraints)?, "jackknife"))),
        without,
    }
}

/// The blend without each member, chosen anew.
fn search_without(rows: &Rows<'_>, task: &Task<'_>, found: &Found, again: &Again<'_>) -> Vec<Option<Without>> {
    let direction = rows.bound.direction();
    let without = |gone: usize| {
        if found.weights[gone] == 0.0 || task.watch.cut().is_some() {
            return None;
        }
        let loss = again(&task.constraints.without(gone)?)?.loss;
        Some(Without { score: direction.score(Loss::new(loss)).0, refitted: true })
    };
    (0..found.weights.len()).map(without).collect()
}

/// What the loss of all its members tells.
fn of_all(rows: &Rows<'_>, solver: SolverName, task: &Task<'_>, found: &Found, asked: &Asked<'_>) -> Told {
    // Only next to an optimum does the model say where the next one is.
    let exact = matches!(solver, SolverName::Newton | SolverName::Quadratic | SolverName::Multistart);
    let at_optimum = exact && matches!(found.stop, Stop::Certified { .. } | Stop::Converged);
    let curve = if at_optimum { rows.objective.curve(&found.weights) } else { None };
    // Where weights lean on the edge of the loss's domain, one step of a replicate's would leave it.
    let stepped = curve.as_ref().filter(|_| !has_walls(task));
    let spread = stepped.and_then(|curve| {
        spread(rows, task.constraints, (&found.weights, curve), asked.unit, asked.replicates, asked.seed)
    });
    let without = if asked.leave_out && asked.again.is_none() {
        without(rows, solver, task, found, curve.as_ref())
    } else {
        Vec::new()
    };
    (spread, without)
}

/// The members with weight, and those others whose slopes are the lowest.
fn near(rows: &Rows<'_>, weights: &[f64]) -> Option<Vec<usize>> {
    let gradient = rows.objective.slope(weights)?.gradient;
    let (mut members, mut others): (Vec<usize>, Vec<usize>) =
        (0..weights.len()).partition(|&member| weights[member] != 0.0);
    others.sort_by(|&a, &b| gradient[a].total_cmp(&gradient[b]));
    members.extend(others.into_iter().take(NEAR));
    members.sort_unstable();
    Some(members)
}

/// The same as [`of_all`] where no other member ever has weight.
fn of_few(
    rows: &Rows<'_>,
    solver: SolverName,
    task: &Task<'_>,
    found: &Found,
    asked: &Asked<'_>,
    few: &[usize],
) -> Option<Told> {
    let all = rows.problem.members.members();
    let members: Vec<Predictions<Oof>> = few.iter().map(|&member| all[member].clone()).collect();
    let members = PredictionMatrix::new(members).ok()?;
    let problem = Problem { members: &members, ..*rows.problem };
    let objective = if rows.is_of_sums() { rows.of_members(few) } else { rows.objective.only(few)? };
    let constraints = task.constraints.select(few);
    let part = Found { weights: few.iter().map(|&member| found.weights[member]).collect(), ..found.clone() };
    let task = Task { objective: &*objective, constraints: &constraints, start: None, ..*task };
    let rows = Rows { problem: &problem, objective: &*objective, ..*rows };
    let (spread, without) = of_all(&rows, solver, &task, &part, asked);
    let spread = spread.map(|few_spread| {
        let mut spread = vec![Spread { deviation: 0.0, low: 0.0, high: 0.0 }; all.len()];
        few.iter().zip(few_spread).for_each(|(&member, of)| spread[member] = of);
        spread
    });
    let mut left_out = vec![None; if without.is_empty() { 0 } else { all.len() }];
    few.iter().zip(without).for_each(|(&member, of)| left_out[member] = of);
    Some((spread, left_out))
}

//! What each member is worth: the loss of the best blend without it.

use crate::{
    fit::Rows,
    objective::Curve,
    quadratic_program,
    solver::{Found, SolverName, Task},
};

/// The blend without one member.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Without {
    /// Its score.
    pub score: f64,
    /// Whether the other weights were searched again; else the member's weight went to the others as it could.
    pub refitted: bool,
}

/// A gap at which such a search may end.
const TOLERANCE: f64 = 1e-9;

/// The oriented loss without each member: `None` for members that cannot go, or that have no weight and so change
/// nothing. The quadratic model of the loss, which is only known next to an optimum, gives the start, and the members
/// that may take the place of the one that leaves; the search then sees those alone.
pub(crate) fn without(
    rows: &Rows<'_>,
    solver: SolverName,
    task: &Task<'_>,
    found: &Found,
    model: Option<&Curve>,
) -> Vec<Option<Without>> {
    // A stand-in, moved so that value and slope at the optimum are the loss's own, is as good as the loss around it.
    let preview = model.and_then(|model| {
        let preview = rows.objective.preview()?;
        let at = preview.slope(&found.weights)?;
        let turn: Vec<f64> = model.gradient.iter().zip(&at.gradient).map(|(loss, preview)| loss - preview).collect();
        Some((preview, model.value - at.value, turn))
    });
    let direction = rows.bound.direction();
    let weights = &found.weights;
    (0..weights.len())
        .map(|gone| {
            if weights[gone] == 0.0 || task.watch.cut().is_some() {
                return None;
            }
            let face = task.constraints.without(gone)?;
            let mut rest = weights.clone();
            rest[gone] = 0.0;
            let from = face.mend(&rest);
            let loss = match (model, &preview) {
                (None, _) => rows.objective.value(&from),
                (Some(_), Some((preview, shift, turn))) => {
                    let task = Task {
                        objective: *preview,
                        constraints: &face,
                        start: Some(&from),
                        tolerance: TOLERANCE,
                        ..*task
                    };
                    let to = SolverName::Newton.get().run(&task).weights;
                    let turned = turn.iter().zip(to.iter().zip(weights)).map(|(turn, (to, from))| turn * (to - from));
                    preview.value(&to) + shift + turned.sum::<f64>()
                }
                (Some(model), _) => {
                    let slope = model.slope_at(weights, &from);
                    let to = quadratic_program::solve(&from, &slope, &model.hessian, &face);
                    let members: Vec<usize> =
                        (0..to.len()).filter(|&i| to[i] != 0.0 || weights[i] != 0.0 && i != gone).collect();
                    let objective = rows.of_members(&members);
                    let constraints = face.select(&members);
                    let start: Vec<f64> = members.iter().map(|&i| to[i]).collect();
                    // One descent from next to the optimum: it needs no other starts.
                    let solver = if solver == SolverName::Quadratic { solver } else { SolverName::Newton };
                    let task = Task {
                        objective: &*objective,
                        constraints: &constraints,
                        start: Some(&start),
                        tolerance: task.tolerance.max(TOLERANCE),
                        ..*task
                    };
                    solver.get().run(&task).loss
                }
            };
            let score = direction.score(blend_core::score::Loss::new(loss)).0;
            Some(Without { score, refitted: model.is_some() })
        })
        .collect()
}

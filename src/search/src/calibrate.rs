//! A calibration of the blend: a search over two or three members more, the blend itself and constants, on the scale of
//! its link. It is convex where the metric is.

use crate::{
    constraints::Constraints,
    objective::cv,
    search::{Problem, SearchError},
    solver::{SolverName, Task},
};
use blend_core::{
    Block, Domain, Fingerprint, ModelId, Oof, OutputKind, Predictions, RowIndex, RowSet,
    judge::Bound,
    output::Encoding,
    post::{Calibration, Link, PostStep},
    source::OwnedBlocks,
    space::SpaceName,
};
use std::sync::Arc;

/// What is fitted after the blend.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Calibrate {
    /// The slope alone: one over the temperature.
    Temperature,
    /// Slope and shift (one per class).
    Affine,
}

/// Slopes that are searched, and shifts on a scale of logarithms.
const SLOPES: (f64, f64) = (0.01, 100.0);
const SHIFTS: (f64, f64) = (-50.0, 50.0);

/// The calibration of `blend`, on the target's scale over the rows that `bound` is bound to; none where the blend cannot
/// be set better.
pub(crate) fn fit(
    problem: &Problem<'_>,
    how: Calibrate,
    blend: &Block,
    bound: &dyn Bound,
    task: &Task<'_>,
) -> Result<Option<PostStep>, SearchError> {
    let link = link(problem, how)?;
    let (n_outputs, n_rows) = (blend.n_outputs(), blend.n_rows());
    let (kind, space) = match link {
        Link::Identity => (OutputKind::Value, SpaceName::Linear),
        Link::Logit => (OutputKind::Probability, SpaceName::Logit),
        Link::Softmax => (OutputKind::ClassProbabilities, SpaceName::Log),
    };
    let unfit = || SearchError::Uncalibrated { metric: problem.metric.info().name };
    let rows = RowIndex::positions(n_rows).map_err(|_| unfit())?;
    let column = |output: usize| blend.column(output).to_vec();
    let mut all = vec![(Encoding::plain(kind), (0..n_outputs).map(column).collect::<Vec<_>>())];
    let ones = |which: Option<usize>| -> Vec<Vec<f64>> {
        (0..n_outputs).map(|output| vec![f64::from(u8::from(which.is_none_or(|it| it == output))); n_rows]).collect()
    };
    if how == Calibrate::Affine {
        match link {
            Link::Identity => all.push((Encoding::plain(OutputKind::Value), ones(None))),
            Link::Logit => all.push((Encoding::plain(OutputKind::Logit), ones(None))),
            // The first class's shift is 0: only differences count.
            Link::Softmax => {
                all.extend((1..n_outputs).map(|it| (Encoding::plain(OutputKind::ClassLogits), ones(Some(it)))))
            }
        }
    }
    let names = problem.members.columns().clone();
    let set = RowSet::all(n_rows);
    let members: Vec<Predictions<Oof>> = all
        .into_iter()
        .enumerate()
        .map(|(i, (encoding, columns))| {
            let name = format!("part{i}");
            let model = ModelId::new(&name).map_err(|_| unfit())?;
            let values = Arc::new(OwnedBlocks::F64(columns));
            let print = Fingerprint::of(name.as_bytes());
            Predictions::unchecked(model, rows.clone(), names.clone(), encoding, values, print).map_err(|_| unfit())
        })
        .collect::<Result<_, _>>()?;
    let members: Vec<&Predictions<Oof>> = members.iter().collect();
    // Rows of a softmax sum to one whatever the weights.
    let objective = cv::objective(&members, &set, bound, space, link == Link::Softmax);
    let solver = SolverName::suited_to(&*objective);
    if !matches!(solver, SolverName::Newton | SolverName::Quadratic) {
        return Err(unfit());
    }
    let shifts = if link == Link::Identity { (f64::NEG_INFINITY, f64::INFINITY) } else { SHIFTS };
    let mut bounds = vec![shifts; members.len()];
    bounds[0] = SLOPES;
    let constraints = Constraints::within(Domain::Free, &bounds).map_err(|_| unfit())?;
    let mut start = vec![0.0; members.len()];
    start[0] = 1.0;
    let before = objective.value(&start);
    let found =
        solver.get().run(&Task { objective: &*objective, constraints: &constraints, start: Some(&start), ..*task });
    if found.loss >= before {
        return Ok(None);
    }
    let shift = match (how, link) {
        (Calibrate::Temperature, _) => vec![0.0],
        (Calibrate::Affine, Link::Softmax) => [&[0.0], &found.weights[1..]].concat(),
        (Calibrate::Affine, _) => found.weights[1..].to_vec(),
    };
    Ok(Some(PostStep::Calibrate(Calibration { link, slope: found.weights[0], shift })))
}

/// The scale that suits what the members predict.
fn link(problem: &Problem<'_>, how: Calibrate) -> Result<Link, SearchError> {
    let kind = problem.members.members()[0].encoding().kind.as_probability();
    match (kind, how) {
        (OutputKind::Probability, _) => Ok(Link::Logit),
        (OutputKind::ClassProbabilities, _) => Ok(Link::Softmax),
        (OutputKind::Value, Calibrate::Affine) => Ok(Link::Identity),
        _ => Err(SearchError::Uncalibrated { metric: problem.metric.info().name }),
    }
}

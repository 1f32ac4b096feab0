//! Weights for some rows, with everything that is asked of them.

use crate::{
    calibrate,
    limits::Limits,
    objective::{Effort, Objective, cv, part::Part},
    sample::Sample,
    search::{Options, Problem, SearchError},
    selection::Selection,
    solver::{Found, SolverName, Task, solve},
};
use blend_core::{
    Block, Oof, Predictions, RowSet,
    judge::{Bound, Smooth},
    pool::Pool,
    post::PostStep,
};

/// Rows with the loss over them.
pub(crate) struct Rows<'a> {
    pub(crate) problem: &'a Problem<'a>,
    pub(crate) set: &'a RowSet,
    pub(crate) bound: &'a dyn Bound,
    pub(crate) objective: &'a dyn Objective,
}

impl<'a> Rows<'a> {
    /// The loss of blends of some members alone.
    pub(crate) fn of_members(&self, members: &[usize]) -> Box<dyn Objective + 'a> {
        if self.is_of_sums() {
            return Box::new(Part::new(self.objective, members.to_vec()));
        }
        let all = self.problem.members.members();
        let some: Vec<&Predictions<Oof>> = members.iter().map(|&member| &all[member]).collect();
        cv::objective(&some, self.set, self.bound, self.problem.space, self.problem.domain.sums_to_one())
    }

    /// Whether the loss is computed from sums that were taken once.
    pub(crate) fn is_of_sums(&self) -> bool {
        matches!(self.bound.smooth(self.problem.space), Some(Smooth::Squares(_)))
    }
}

/// The best weights that obey the limits, on the loss of `task`.
pub(crate) fn within_limits(
    rows: &Rows<'_>,
    limits: &Limits,
    solver: SolverName,
    task: &Task<'_>,
    effort: &mut Effort,
) -> Result<Found, SearchError> {
    let relaxed = solve(solver, task);
    if !limits.are_sparse() {
        return Ok(relaxed);
    }
    let spent = std::cell::RefCell::new(Effort::default());
    let make = |members: &[usize]| {
        *spent.borrow_mut() += Effort { passes: 1.0, evaluations: 1 };
        rows.of_members(members)
    };
    let found = Selection { limits, solver, make: &make }.run(task, &relaxed).ok_or(SearchError::NoSet)?;
    if !rows.is_of_sums() {
        *effort += spent.into_inner();
    }
    Ok(found)
}

/// What is fitted on some rows.
pub(crate) struct Fitted {
    pub(crate) found: Found,
    /// Steps after the blend.
    pub(crate) post: Vec<PostStep>,
    pub(crate) effort: Effort,
}

/// Everything that is fitted on the rows of `set`, to whose labels `bound` is bound.
pub(crate) fn fit(
    problem: &Problem<'_>,
    (set, bound): (&RowSet, &dyn Bound),
    options: &Options,
    solver: SolverName,
    task: &Task<'_>,
    sample: Option<&Sample>,
) -> Result<Fitted, SearchError> {
    let members: Vec<&Predictions<Oof>> = problem.members.members().iter().collect();
    let objective = cv::objective(&members, set, bound, problem.space, problem.domain.sums_to_one());
    let inner = Task { objective: &*objective, start: None, ..*task };
    let mut effort = Effort::default();
    let start = sample.and_then(|sample| sample.start(problem, set, solver, &inner, &mut effort));
    let rows = Rows { problem, set, bound, objective: &*objective };
    let task = Task { start: start.as_deref(), ..inner };
    let found = within_limits(&rows, &options.limits, solver, &task, &mut effort)?;
    effort += objective.effort();
    let post = after(problem, (set, bound), options, &found.weights, &task)?;
    Ok(Fitted { found, post, effort })
}

/// What is fitted after a blend on the rows of `set`: a calibration, where one is asked for and helps, and the cuts of a
/// metric of labels.
pub(crate) fn after(
    problem: &Problem<'_>,
    (set, bound): (&RowSet, &dyn Bound),
    options: &Options,
    weights: &[f64],
    task: &Task<'_>,
) -> Result<Vec<PostStep>, SearchError> {
    let blend = || blended(problem, bound, weights, set, &[]);
    Ok(match (options.calibrate, bound.cuts()) {
        (None, None) => Vec::new(),
        (None, Some(cuts)) => vec![PostStep::Thresholds(cuts.fit(&blend()))],
        // Cuts undo what a line on a scale does.
        (Some(_), Some(_)) => return Err(SearchError::Uncalibrated { metric: problem.metric.info().name }),
        (Some(how), None) => calibrate::fit(problem, how, &blend(), bound, task)?.into_iter().collect(),
    })
}

/// A blend on the target's scale over the rows of `set`, with what comes after it.
pub(crate) fn blended(
    problem: &Problem<'_>,
    bound: &dyn Bound,
    weights: &[f64],
    set: &RowSet,
    post: &[PostStep],
) -> Block {
    let weighted: Vec<_> = problem.members.members().iter().zip(weights.iter().copied()).collect();
    let mut blend = Pool::new(&weighted, problem.space, bound.preparation()).whole(set);
    post.iter().for_each(|step| blend_core::post::apply(step, &mut blend, None));
    blend
}

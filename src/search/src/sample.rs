//! A start two or three passes away from the answer: the optimum of a sample of the rows.

use crate::{
    drive::{Tick, starting},
    objective::{Effort, cv},
    random::Random,
    search::Problem,
    solver::{SolverName, Task},
};
use blend_core::{Oof, Predictions, RowIndex, RowSet, source::OwnedBlocks};
use rayon::prelude::*;
use std::sync::Arc;

/// Cells (member x row x output) from which on the first steps are taken on a sample of rows.
const FROM_CELLS: usize = 4_000_000;

/// The same where several starts are taken, each of many steps: there a sample is worth its copy much earlier.
const FROM_CELLS_OF_STARTS: usize = 400_000;

/// One row of this many is in the sample, at least.
const ONE_IN: u64 = 16;

/// Rows that tell one valley from another, where several starts are taken.
const ROWS_OF_STARTS: usize = 6_000;

/// A fixed sample of the rows in scope. No label has a say in which rows are taken.
pub(crate) struct Sample {
    /// The rows, as positions in the table.
    rows: Vec<usize>,
    members: Vec<Predictions<Oof>>,
}

impl Sample {
    /// Copies a sixteenth of the members' values, for smooth losses of many cells: where they are stored, a pass over
    /// single rows reads nearly every page.
    pub(crate) fn new(problem: &Problem<'_>, solver: SolverName, seed: u64) -> Option<Self> {
        let (members, set) = (problem.members.members(), &problem.scope.rows);
        let cells = members.len() * set.len() * problem.members.columns().len();
        let from = match solver {
            SolverName::Newton => FROM_CELLS,
            SolverName::Multistart => FROM_CELLS_OF_STARTS,
            _ => return None,
        };
        if cells < from {
            return None;
        }
        let one_in = match solver {
            SolverName::Multistart => ONE_IN.max((set.len() / ROWS_OF_STARTS) as u64),
            _ => ONE_IN,
        };
        let few = set.filter(|row| Random::new(seed ^ row as u64).bits().is_multiple_of(one_in)).ok()?;
        let index = RowIndex::positions(few.len()).ok()?;
        let members = members.par_iter().map(|member| copy(member, &few, index.clone())).collect::<Option<_>>()?;
        Some(Self { rows: few.iter().collect(), members })
    }

    /// The optimum of those of its rows that lie in `set`.
    pub(crate) fn start(
        &self,
        problem: &Problem<'_>,
        set: &RowSet,
        solver: SolverName,
        task: &Task<'_>,
        effort: &mut Effort,
    ) -> Option<Vec<f64>> {
        let mask = set.mask();
        let inside = |row: &usize| mask[*row];
        let few = set.filter(|row| self.rows.binary_search(&row).is_ok()).ok()?;
        let local = RowSet::from_mask(&self.rows.iter().map(inside).collect::<Vec<_>>()).ok()?;
        let bound = problem.metric.bind(problem.truth.on(&few)).ok()?;
        let members: Vec<&Predictions<Oof>> = self.members.iter().collect();
        let objective = cv::objective(&members, &local, &*bound, problem.space, problem.domain.sums_to_one());
        let tick = |tick: &Tick| (task.watch.tick)(&starting(tick));
        let watch = task.watch.with_tick(&tick);
        let found = solver.get().run(&Task { objective: &*objective, tolerance: 1e-7, watch, ..*task });
        let mut spent = objective.effort();
        spent.passes *= few.len() as f64 / set.len() as f64;
        *effort += spent;
        found.loss.is_finite().then_some(found.weights)
    }
}

/// A member's stored values on the rows of `few`.
fn copy(member: &Predictions<Oof>, few: &RowSet, rows: RowIndex) -> Option<Predictions<Oof>> {
    let (n_outputs, n_rows) = (member.columns().len(), few.len());
    let read = |output: usize| {
        let mut column = vec![0.0; n_rows];
        for block in 0..few.n_blocks() {
            let (start, rows) = (few.offset(block), few.block(block));
            member.read_column(block, output, rows, &mut column[start..start + rows.len()]);
        }
        column
    };
    let values = if member.values().value_bytes() == 4 {
        OwnedBlocks::F32((0..n_outputs).map(|t| read(t).into_iter().map(|x| x as f32).collect()).collect())
    } else {
        OwnedBlocks::F64((0..n_outputs).map(read).collect())
    };
    let (model, columns) = (member.model().clone(), member.columns().clone());
    Predictions::unchecked(model, rows, columns, member.encoding(), Arc::new(values), member.fingerprint()).ok()
}

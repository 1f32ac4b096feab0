//! The data of one part of the predictions: some targets, or some rows.

use crate::{
    objective::{Objective, cv},
    search::{Problem, SearchError},
};
use blend_core::{BLOCK_ROWS, Oof, Predictions, RowIndex, RowSet, Slice, Truth, judge::Bound, source::OwnedBlocks};
use std::sync::Arc;

/// One part, with rows of its own numbering.
pub(crate) struct Piece<'a> {
    problem: &'a Problem<'a>,
    members: Vec<Predictions<Oof>>,
    truth: Truth,
    /// For each of the piece's rows that count, in their order: the row in the scope's numbering.
    scope_rows: Vec<usize>,
    /// The same rows in the numbering of `truth` and `members`.
    own_rows: Vec<usize>,
}

/// The rows that count with those of a nested part side by side: the same order for every piece.
pub(crate) struct Order {
    scope_rows: Vec<usize>,
    table_rows: Vec<usize>,
    index: RowIndex,
}

impl Order {
    /// `labels` has the nested part of each row of the scope.
    pub(crate) fn new(problem: &Problem<'_>, labels: &[i64]) -> Result<Self, SearchError> {
        let all: Vec<usize> = problem.scope.rows.iter().collect();
        let mut scope_rows: Vec<usize> = (0..all.len()).collect();
        scope_rows.sort_by_key(|&row| labels[row]);
        let table_rows = scope_rows.iter().map(|&row| all[row]).collect();
        let unfit = |_| SearchError::Parts { metric: problem.metric.info().name };
        Ok(Self { scope_rows, table_rows, index: RowIndex::positions(all.len()).map_err(unfit)? })
    }
}

impl<'a> Piece<'a> {
    /// Some outputs, over all rows. They are copied in `order`, so that everything that is asked of them later is read
    /// from the nearest caches.
    pub(crate) fn of_outputs(problem: &'a Problem<'a>, outputs: &[usize], order: &Order) -> Result<Self, SearchError> {
        let unfit = || SearchError::Parts { metric: problem.metric.info().name };
        let Order { scope_rows, table_rows, index: rows } = order;
        let names: Arc<[String]> = outputs.iter().map(|&output| problem.members.columns()[output].clone()).collect();
        let members = problem
            .members
            .members()
            .iter()
            .map(|member| {
                let values = Arc::new(copied(member, outputs, table_rows));
                let (model, encoding, print) = (member.model().clone(), member.encoding(), member.fingerprint());
                Predictions::unchecked(model, rows.clone(), names.clone(), encoding, values, print).map_err(|_| unfit())
            })
            .collect::<Result<_, _>>()?;
        let targets = problem.truth.labels().targets(outputs).ok_or_else(unfit)?;
        let truth = Truth::new(rows.clone(), names.to_vec(), targets.select(table_rows)).map_err(|_| unfit())?;
        let own_rows = (0..scope_rows.len()).collect();
        Ok(Self { problem, members, truth, scope_rows: scope_rows.clone(), own_rows })
    }

    /// Some rows, with all outputs: read where they are stored.
    pub(crate) fn of_rows(problem: &'a Problem<'a>, keep: impl Fn(usize) -> bool) -> Self {
        let table_rows: Vec<usize> = problem.scope.rows.iter().collect();
        let scope_rows: Vec<usize> = (0..table_rows.len()).filter(|&row| keep(table_rows[row])).collect();
        let own_rows = scope_rows.iter().map(|&row| table_rows[row]).collect();
        let members = problem.members.members().to_vec();
        Self { problem, members, truth: problem.truth.clone(), scope_rows, own_rows }
    }

    /// Rows that count.
    pub(crate) fn n_rows(&self) -> usize {
        self.scope_rows.len()
    }

    /// Those rows for which `keep` holds, given the row in the scope's numbering; `None` where there are none.
    pub(crate) fn rows(&self, keep: impl Fn(usize) -> bool) -> Option<RowSet> {
        let mut mask = vec![false; self.truth.rows().len()];
        let rows = self.scope_rows.iter().zip(&self.own_rows);
        rows.filter(|(scope_row, _)| keep(**scope_row)).for_each(|(_, own)| mask[*own] = true);
        RowSet::from_mask(&mask).ok()
    }

    /// The metric on the labels of some rows; `None` where it is not defined on them.
    pub(crate) fn bind(&self, set: &RowSet) -> Option<Box<dyn Bound>> {
        self.problem.metric.bind(self.truth.on(set)).ok()
    }

    /// The loss over the rows of `set`, to whose labels `bound` is bound.
    pub(crate) fn objective<'b>(&'b self, set: &'b RowSet, bound: &'b dyn Bound) -> Box<dyn Objective + 'b> {
        let members: Vec<&Predictions<Oof>> = self.members.iter().collect();
        cv::objective(&members, set, bound, self.problem.space, self.problem.domain.sums_to_one())
    }
}

/// Stored values of some outputs in the order of `rows`.
fn copied(member: &Predictions<Oof>, outputs: &[usize], rows: &[usize]) -> OwnedBlocks {
    let values = member.values();
    let n_blocks = rows.iter().max().map_or(0, |last| last / BLOCK_ROWS + 1);
    let column = |&output: &usize| {
        let blocks: Vec<Slice<'_>> = (0..n_blocks).map(|block| values.slice(block, output)).collect();
        rows.iter().map(move |&row| blocks[row / BLOCK_ROWS].get(row % BLOCK_ROWS))
    };
    if values.value_bytes() == 4 {
        OwnedBlocks::F32(outputs.iter().map(|output| column(output).map(|x| x as f32).collect()).collect())
    } else {
        OwnedBlocks::F64(outputs.iter().map(|output| column(output).collect()).collect())
    }
}

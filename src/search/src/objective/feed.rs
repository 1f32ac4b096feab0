//! Members' values on the scale of averaging, chunk by chunk, for the loops that sum over them.

use super::kernels;
use blend_core::{
    BLOCK_ROWS, Block, Oof, Predictions, RowSet, Slice, judge::Preparation, pool, scope::BlockRows, space::SpaceName,
};
use std::ops::Range;

/// Where entered values come from.
pub(crate) enum Feed<'a> {
    /// From the stored outputs, entered again in every pass: no memory beyond the files' own pages.
    Stream { members: Vec<&'a Predictions<Oof>>, set: &'a RowSet, space: SpaceName, preparation: Preparation },
    /// From memory, entered once: for spaces that need all rows, and for few values.
    Held { members: Vec<Block>, ends: Vec<usize> },
}

/// Buffers for reading.
#[derive(Default)]
pub(crate) struct Reader {
    /// One output of one member.
    pub(crate) column: Block,
    dense: Option<Box<[f32; BLOCK_ROWS]>>,
}

impl<'a> Feed<'a> {
    /// Streams where the space allows it.
    pub(crate) fn new(
        members: &[&'a Predictions<Oof>],
        set: &'a RowSet,
        space: SpaceName,
        preparation: Preparation,
    ) -> Self {
        if space.get().info().row_local {
            return Self::Stream { members: members.to_vec(), set, space, preparation };
        }
        Self::held(members.iter().map(|member| pool::entered(member, space, preparation, set)).collect())
    }

    /// Holds entered members, each of shape `(n_outputs, n_rows)`.
    pub(crate) fn held(members: Vec<Block>) -> Self {
        let n_rows = members.first().map_or(0, Block::n_rows);
        let ends = (0..n_rows.div_ceil(BLOCK_ROWS)).map(|b| ((b + 1) * BLOCK_ROWS).min(n_rows)).collect();
        Self::Held { members, ends }
    }

    pub(crate) fn n_members(&self) -> usize {
        match self {
            Self::Stream { members, .. } => members.len(),
            Self::Held { members, .. } => members.len(),
        }
    }

    pub(crate) fn n_outputs(&self) -> usize {
        match self {
            Self::Stream { members, .. } => members[0].columns().len(),
            Self::Held { members, .. } => members[0].n_outputs(),
        }
    }

    pub(crate) fn n_blocks(&self) -> usize {
        match self {
            Self::Stream { set, .. } => set.n_blocks(),
            Self::Held { ends, .. } => ends.len(),
        }
    }

    /// Rows judged.
    pub(crate) fn n_rows(&self) -> usize {
        match self {
            Self::Stream { set, .. } => set.len(),
            Self::Held { members, .. } => members[0].n_rows(),
        }
    }

    /// Values of all members together.
    pub(crate) fn n_cells(&self) -> usize {
        self.n_members() * self.n_outputs() * self.n_rows()
    }

    /// First row of the block, in the judged rows' numbering, and the number of its rows.
    pub(crate) fn extent(&self, block: usize) -> (usize, usize) {
        match self {
            Self::Stream { set, .. } => (set.offset(block), set.block(block).len()),
            Self::Held { ends, .. } => {
                let start = block * BLOCK_ROWS;
                (start, ends[block] - start)
            }
        }
    }

    /// Whether a cell enters without its row's other outputs. Class logits and rows that are divided by their sum do
    /// not, nor do vectors: those are read with [`Self::columns`], all outputs of a block at once.
    pub(crate) fn is_cell_local(&self) -> bool {
        match self {
            Self::Held { .. } => true,
            Self::Stream { members, space, preparation, .. } => {
                members.iter().all(|member| pool::is_cell_local(*space, member.encoding(), *preparation))
            }
        }
    }

    /// Rows `rows` of a block (counted among the judged ones) of one output of one member, moved into `range`. Only
    /// where cells are local.
    pub(crate) fn cells(
        &self,
        member: usize,
        (block, output): (usize, usize),
        rows: Range<usize>,
        range: (f64, f64),
        scratch: &mut Reader,
        out: &mut [f64],
    ) {
        match self {
            Self::Stream { members, set, space, preparation } => {
                let member = members[member];
                let slice = member.values().slice(block, output);
                let encoding = member.encoding();
                let stored =
                    matches!(space, SpaceName::Linear) && encoding.transform.is_none() && !encoding.kind.is_logit();
                let to: &mut [f64] = if stored {
                    out
                } else {
                    scratch.column.reshape(1, rows.len());
                    scratch.column.column_mut(0)
                };
                // The interval is the blended scale's: values on another one pass as they are.
                let bounds = if stored { range } else { (f64::NEG_INFINITY, f64::INFINITY) };
                read(slice, set.block(block), rows, bounds, &mut scratch.dense, to);
                if !stored {
                    space.get().enter(encoding, *preparation, &mut scratch.column);
                    out.copy_from_slice(scratch.column.column(0));
                    kernels::clamp(out, range);
                }
            }
            Self::Held { members, .. } => {
                let start = block * BLOCK_ROWS;
                out.copy_from_slice(&members[member].column(output)[start + rows.start..start + rows.end]);
                kernels::clamp(out, range);
            }
        }
    }

    /// All outputs of one member in a block.
    pub(crate) fn columns(&self, member: usize, block: usize, out: &mut Block) {
        match self {
            Self::Stream { members, set, space, preparation } => {
                members[member].read_raw(block, set.block(block), out);
                space.get().enter(members[member].encoding(), *preparation, out);
            }
            Self::Held { members, ends } => {
                let (start, end) = (block * BLOCK_ROWS, ends[block]);
                out.reshape(members[member].n_outputs(), end - start);
                for output in 0..members[member].n_outputs() {
                    out.column_mut(output).copy_from_slice(&members[member].column(output)[start..end]);
                }
            }
        }
    }
}

/// Stored values of some of a block's judged rows, moved into an interval.
fn read(
    slice: Slice<'_>,
    judged: BlockRows<'_>,
    rows: Range<usize>,
    bounds: (f64, f64),
    dense: &mut Option<Box<[f32; BLOCK_ROWS]>>,
    out: &mut [f64],
) {
    match (slice, judged) {
        (Slice::F32(values), BlockRows::All(_)) => kernels::widen(&values[rows], bounds, out),
        (Slice::F32(values), BlockRows::Some(local)) => {
            let dense = dense.get_or_insert_with(|| Box::new([0.0; BLOCK_ROWS]));
            kernels::gather(values, &local[rows], bounds, dense, out);
        }
        (Slice::F64(values), BlockRows::All(_)) => {
            out.copy_from_slice(&values[rows]);
            kernels::clamp(out, bounds);
        }
        (Slice::F64(_), BlockRows::Some(local)) => {
            slice.gather(&local[rows], out);
            kernels::clamp(out, bounds);
        }
    }
}

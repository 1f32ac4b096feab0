//! Members' values on the scale of averaging, chunk by chunk, for the loops that sum over them.

use super::kernels;
use blend_core::{
    BLOCK_ROWS, Block, Oof, Predictions, RowSet, Slice, judge::Preparation, pool, scope::BlockRows, space::SpaceName,
};
use rayon::prelude::*;
use std::ops::Range;

/// Where entered values come from.
pub(crate) enum Feed<'a> {
    /// From the stored outputs, entered again in every pass: no memory beyond the files' own pages.
    Stream { members: Vec<&'a Predictions<Oof>>, set: &'a RowSet, space: SpaceName, preparation: Preparation },
    /// From memory, entered once: for spaces that need all rows, and for few values.
    Held(Held),
    /// From memory in single precision: for stand-ins.
    Single(Single),
}

/// One output of members in single precision, a column each.
pub(crate) struct Single {
    values: Vec<f32>,
    n_members: usize,
    n_rows: usize,
}

impl Single {
    /// Of cells with all members of one side by side.
    pub(crate) fn of_cells(cells: &[f32], n_members: usize) -> Self {
        let n_rows = cells.len() / n_members;
        let mut values = vec![0.0; cells.len()];
        for (member, column) in values.chunks_mut(n_rows.max(1)).enumerate() {
            column.iter_mut().zip(cells.iter().skip(member).step_by(n_members)).for_each(|(to, x)| *to = *x);
        }
        Self { values, n_members, n_rows }
    }

    /// Rows of every column.
    pub(crate) fn n_rows(&self) -> usize {
        self.n_rows
    }

    /// A member's values.
    pub(crate) fn column(&self, member: usize) -> &[f32] {
        &self.values[member * self.n_rows..(member + 1) * self.n_rows]
    }
}

/// Entered values in memory, laid out as the loops over cells want them: nothing is copied in a pass.
pub(crate) struct Held {
    values: Vec<f64>,
    n_members: usize,
    n_outputs: usize,
    n_rows: usize,
    /// Distance of two members' columns. What lies behind a column's rows is finite and counts nothing.
    pub(crate) stride: usize,
}

impl Held {
    /// Zeros.
    pub(crate) fn zeros(n_members: usize, n_outputs: usize, n_rows: usize) -> Self {
        let stride = kernels::stride(kernels::padded(n_rows));
        // The Hessian's loops take whole groups of members, the last ones too.
        let values =
            vec![0.0; (n_members * n_outputs).next_multiple_of(kernels::TILE) * stride + kernels::TILE * stride];
        Self { values, n_members, n_outputs, n_rows, stride }
    }

    /// Members of shape `(n_outputs, n_rows)`.
    fn of(members: Vec<Block>) -> Self {
        let (n_outputs, n_rows) = members.first().map_or((0, 0), |first| (first.n_outputs(), first.n_rows()));
        let mut held = Self::zeros(members.len(), n_outputs, n_rows);
        members.iter().enumerate().for_each(|(number, member)| held.put(number, 0, member));
        held
    }

    /// Fills rows of a member from `start` on.
    fn put(&mut self, member: usize, start: usize, rows: &Block) {
        for output in 0..rows.n_outputs() {
            let at = self.at(member, output) + start;
            self.values[at..at + rows.n_rows()].copy_from_slice(rows.column(output));
        }
    }

    /// The values of some members alone.
    fn only(&self, some: &[usize]) -> Self {
        let n_rows = self.n_rows;
        let mut only = Self::zeros(some.len(), self.n_outputs, n_rows);
        for output in 0..self.n_outputs {
            for (number, &member) in some.iter().enumerate() {
                let at = only.at(number, output);
                only.values[at..at + n_rows].copy_from_slice(self.column(member, output));
            }
        }
        only
    }

    /// Rows of every column.
    pub(crate) fn n_rows(&self) -> usize {
        self.n_rows
    }

    fn at(&self, member: usize, output: usize) -> usize {
        (output * self.n_members + member) * self.stride
    }

    /// One output of one member.
    pub(crate) fn column(&self, member: usize, output: usize) -> &[f64] {
        let at = self.at(member, output);
        &self.values[at..at + self.n_rows]
    }

    /// One output of all members, [`Self::stride`] apart.
    pub(crate) fn members(&self, output: usize) -> &[f64] {
        &self.values[self.at(0, output)..]
    }

    /// The only output of every member, to be filled.
    pub(crate) fn columns_mut(&mut self) -> impl IndexedParallelIterator<Item = &mut [f64]> {
        let n_rows = self.n_rows;
        self.values.par_chunks_mut(self.stride).take(self.n_members).map(move |column| &mut column[..n_rows])
    }
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
        Self::Held(Held::of(members))
    }

    /// The values of some members alone.
    pub(crate) fn only(&self, some: &[usize]) -> Self {
        match self {
            Self::Stream { members, set, space, preparation } => {
                let members = some.iter().map(|&member| members[member]).collect();
                Self::Stream { members, set, space: *space, preparation: *preparation }
            }
            Self::Held(held) => Self::Held(held.only(some)),
            Self::Single(single) => {
                let values = some.iter().flat_map(|&member| single.column(member)).copied().collect();
                Self::Single(Single { values, n_members: some.len(), n_rows: single.n_rows })
            }
        }
    }

    /// Entered once and held, where that takes little memory and entering is work: vectors are scaled, logarithms taken.
    pub(crate) fn kept(self) -> Self {
        const HELD_BYTES: usize = 32 << 20;
        match self {
            Self::Stream { .. } if 8 * self.n_cells() <= HELD_BYTES => {
                let mut held = Held::zeros(self.n_members(), self.n_outputs(), self.n_rows());
                for block in 0..self.n_blocks() {
                    let start = self.extent(block).0;
                    let enter = |member: usize| {
                        let mut entered = Block::default();
                        self.columns(member, block, &mut entered);
                        entered
                    };
                    let members: Vec<Block> = (0..self.n_members()).into_par_iter().map(enter).collect();
                    members.iter().enumerate().for_each(|(member, entered)| held.put(member, start, entered));
                }
                Self::Held(held)
            }
            feed => feed,
        }
    }

    /// The entered members over all judged rows, where they are held.
    pub(crate) fn in_memory(&self) -> Option<&Held> {
        match self {
            Self::Stream { .. } | Self::Single(_) => None,
            Self::Held(held) => Some(held),
        }
    }

    /// Moves values that are held into an interval; those of a stream are when they are read.
    pub(crate) fn clamp(&mut self, range: (f64, f64)) {
        if let Self::Held(held) = self {
            let (used, n_rows) = (held.n_members * held.n_outputs, held.n_rows);
            held.values
                .chunks_mut(held.stride)
                .take(used)
                .for_each(|column| kernels::clamp(&mut column[..n_rows], range));
        }
    }

    pub(crate) fn n_members(&self) -> usize {
        match self {
            Self::Stream { members, .. } => members.len(),
            Self::Held(held) => held.n_members,
            Self::Single(single) => single.n_members,
        }
    }

    pub(crate) fn n_outputs(&self) -> usize {
        match self {
            Self::Stream { members, .. } => members[0].columns().len(),
            Self::Held(held) => held.n_outputs,
            Self::Single(_) => 1,
        }
    }

    pub(crate) fn n_blocks(&self) -> usize {
        match self {
            Self::Stream { set, .. } => set.n_blocks(),
            Self::Held(_) | Self::Single(_) => self.n_rows().div_ceil(BLOCK_ROWS),
        }
    }

    /// Rows judged.
    pub(crate) fn n_rows(&self) -> usize {
        match self {
            Self::Stream { set, .. } => set.len(),
            Self::Held(held) => held.n_rows,
            Self::Single(single) => single.n_rows,
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
            Self::Held(_) | Self::Single(_) => {
                let start = block * BLOCK_ROWS;
                (start, BLOCK_ROWS.min(self.n_rows() - start))
            }
        }
    }

    /// Whether a cell enters without its row's other outputs. Class logits and rows that are divided by their sum do
    /// not, nor do vectors: those are read with [`Self::columns`], all outputs of a block at once.
    pub(crate) fn is_cell_local(&self) -> bool {
        match self {
            Self::Held(_) | Self::Single(_) => true,
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
                let stored = is_plain(*space, member);
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
                    space.get().enter(member.encoding(), *preparation, &mut scratch.column);
                    out.copy_from_slice(scratch.column.column(0));
                    kernels::clamp(out, range);
                }
            }
            Self::Held(held) => {
                let start = block * BLOCK_ROWS;
                out.copy_from_slice(&held.column(member, output)[start + rows.start..start + rows.end]);
                kernels::clamp(out, range);
            }
            Self::Single(single) => {
                let start = block * BLOCK_ROWS;
                kernels::widen(&single.column(member)[start + rows.start..start + rows.end], range, out);
            }
        }
    }

    /// The stored columns themselves, where they are averaged as they are: f32 in the linear space.
    pub(crate) fn stored(&self) -> Option<Stored<'_>> {
        let Self::Stream { members, set, space, preparation } = self else { return None };
        let plain = |member: &&Predictions<Oof>| is_plain(*space, member) && member.values().value_bytes() == 4;
        let as_stored = !preparation.renormalize && members.iter().all(plain);
        as_stored.then_some(Stored { members, set })
    }

    /// Of every judged row of a block the output that `by_output` says, where cells enter as they are stored; whether
    /// they do.
    pub(crate) fn pick(&self, member: usize, block: usize, by_output: &ByOutput, out: &mut [f64]) -> bool {
        let Self::Stream { members, space, preparation, .. } = self else { return false };
        if !is_plain(*space, members[member]) || preparation.renormalize {
            return false;
        }
        for (output, places) in by_output.0[block].iter().enumerate() {
            match members[member].values().slice(block, output) {
                Slice::F32(column) => {
                    places.iter().for_each(|&(place, row)| out[place as usize] = f64::from(column[row as usize]));
                }
                Slice::F64(column) => {
                    places.iter().for_each(|&(place, row)| out[place as usize] = column[row as usize]);
                }
            }
        }
        true
    }

    /// Which judged rows of each block belong to which output, by `labels` of all judged rows.
    pub(crate) fn by_output(&self, labels: &[u32]) -> ByOutput {
        let of_block = |block: usize| {
            let (start, n) = self.extent(block);
            let mut places = vec![Vec::new(); self.n_outputs()];
            for (place, &label) in labels[start..start + n].iter().enumerate() {
                let row = match self {
                    Self::Stream { set, .. } => match set.block(block) {
                        BlockRows::All(_) => place as u32,
                        BlockRows::Some(local) => local[place],
                    },
                    Self::Held(_) | Self::Single(_) => place as u32,
                };
                places[label as usize].push((place as u32, row));
            }
            places
        };
        ByOutput((0..self.n_blocks()).map(of_block).collect())
    }

    /// All outputs of one member in a block.
    pub(crate) fn columns(&self, member: usize, block: usize, out: &mut Block) {
        match self {
            Self::Stream { members, set, space, preparation } => {
                members[member].read_raw(block, set.block(block), out);
                space.get().enter(members[member].encoding(), *preparation, out);
            }
            Self::Held(held) => {
                let (start, n) = self.extent(block);
                out.reshape(held.n_outputs, n);
                for output in 0..held.n_outputs {
                    out.column_mut(output).copy_from_slice(&held.column(member, output)[start..start + n]);
                }
            }
            Self::Single(single) => {
                let (start, n) = self.extent(block);
                out.reshape(1, n);
                kernels::widen(&single.column(member)[start..start + n], kernels::EVERYWHERE, out.column_mut(0));
            }
        }
    }
}

/// By block and output the judged rows' places among the block's judged rows, and their places in the block.
pub(crate) struct ByOutput(Vec<Vec<Vec<(u32, u32)>>>);

/// Whether values are averaged as they are stored.
fn is_plain(space: SpaceName, member: &Predictions<Oof>) -> bool {
    let encoding = member.encoding();
    matches!(space, SpaceName::Linear) && encoding.transform.is_none() && !encoding.kind.is_logit()
}

/// Columns of f32 where they are stored.
pub(crate) struct Stored<'a> {
    members: &'a [&'a Predictions<Oof>],
    set: &'a RowSet,
}

impl Stored<'_> {
    /// Whether the judged rows of every block stand in their order.
    pub(crate) fn is_ascending(&self) -> bool {
        (0..self.set.n_blocks()).all(|block| match self.set.block(block) {
            BlockRows::All(_) => true,
            BlockRows::Some(local) => local.is_sorted(),
        })
    }

    /// One output of a block, of every member, all rows whether judged or not.
    pub(crate) fn columns(&self, block: usize, output: usize) -> Vec<&[f32]> {
        let slices = self.members.iter().map(|member| member.values().slice(block, output));
        slices.filter_map(|slice| if let Slice::F32(column) = slice { Some(column) } else { None }).collect()
    }

    /// The judged rows of a block.
    pub(crate) fn rows(&self, block: usize) -> BlockRows<'_> {
        self.set.block(block)
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

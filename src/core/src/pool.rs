//! The blend itself: members entered, weighed, summed and brought back.

use crate::{
    block::Block,
    judge::Preparation,
    num,
    output::{Encoding, OutputKind},
    prediction::{Predictions, Split},
    scope::{BlockRows, RowSet},
    source::BLOCK_ROWS,
    space::SpaceName,
};

/// Which weights hold where. Weights stand in the members' order.
#[derive(Debug, Clone, PartialEq)]
pub enum Weighing<'a> {
    /// The same everywhere.
    Same(Vec<f64>),
    /// Apart for each output, shape `(n_outputs, n_members)`.
    ByOutput(Vec<Vec<f64>>),
    /// Apart for each part of the rows: the part of every row of the table, and weights of shape `(n_parts, n_members)`.
    ByRow(&'a [u32], Vec<Vec<f64>>),
}

impl Weighing<'_> {
    /// Whether a member has a weight anywhere.
    fn uses(&self, member: usize) -> bool {
        match self {
            Self::Same(weights) => weights[member] != 0.0,
            Self::ByOutput(all) | Self::ByRow(_, all) => all.iter().any(|weights| weights[member] != 0.0),
        }
    }

    /// `u += weight * x` for the values of one output of one member; `row` gives the place in the table of each.
    fn add(&self, member: usize, output: usize, row: impl Fn(usize) -> usize, x: &[f64], u: &mut [f64]) {
        let weight = match self {
            Self::Same(weights) => weights[member],
            Self::ByOutput(all) => all[output][member],
            Self::ByRow(part, all) => {
                let cells = u.iter_mut().zip(x).enumerate();
                return cells.for_each(|(i, (u, x))| *u += all[part[row(i)] as usize][member] * x);
            }
        };
        num::add_scaled(weight, x, u);
    }
}

/// Members with their weights in a space: `leave(sum_k w_k enter(x_k))`, shape `(n_rows, n_outputs)`.
///
/// The sum runs in the members' order, element by element, so a row's value depends on nothing but that row (and on
/// its column, in a space of ranks), and has the same bits everywhere.
pub struct Pool<'a, S: Split> {
    members: Vec<(usize, &'a Predictions<S>)>,
    weighing: Weighing<'a>,
    n_outputs: usize,
    space: SpaceName,
    preparation: Preparation,
}

impl<'a, S: Split> Pool<'a, S> {
    /// Members with weight 0 take no part. Panics where `members` is empty.
    #[must_use]
    pub fn new(members: &[(&'a Predictions<S>, f64)], space: SpaceName, preparation: Preparation) -> Self {
        let (members, weights): (Vec<_>, Vec<_>) = members.iter().copied().unzip();
        Self::weighed(&members, Weighing::Same(weights), space, preparation)
    }

    /// Members with weights that need not be the same everywhere. Panics where `members` is empty.
    #[must_use]
    pub fn weighed(
        members: &[&'a Predictions<S>],
        weighing: Weighing<'a>,
        space: SpaceName,
        preparation: Preparation,
    ) -> Self {
        let n_outputs = members[0].columns().len();
        let members = members.iter().copied().enumerate().filter(|(member, _)| weighing.uses(*member)).collect();
        Self { members, weighing, n_outputs, space, preparation }
    }

    /// The blend of the set's rows in one block. Only for spaces that are local to a row.
    pub fn block(&self, block: usize, rows: BlockRows<'_>, scratch: &mut Block, out: &mut Block) {
        debug_assert!(self.space.get().info().row_local);
        out.reshape(self.n_outputs, rows.len());
        out.fill(0.0);
        let row = |i: usize| {
            BLOCK_ROWS * block
                + match rows {
                    BlockRows::All(_) => i,
                    BlockRows::Some(local) => local[i] as usize,
                }
        };
        if self.members.iter().all(|(_, member)| is_cell_local(self.space, member.encoding(), self.preparation)) {
            // Output by output: what is read stays in the nearest cache until it is added.
            for output in 0..self.n_outputs {
                for (place, member) in &self.members {
                    scratch.reshape(1, rows.len());
                    member.read_column(block, output, rows, scratch.column_mut(0));
                    self.space.get().enter(member.encoding(), self.preparation, scratch);
                    self.weighing.add(*place, output, row, scratch.column(0), out.column_mut(output));
                }
            }
            self.space.get().leave(out);
            return;
        }
        for (place, member) in &self.members {
            member.read_raw(block, rows, scratch);
            self.space.get().enter(member.encoding(), self.preparation, scratch);
            for output in 0..self.n_outputs {
                self.weighing.add(*place, output, row, scratch.column(output), out.column_mut(output));
            }
        }
        self.space.get().leave(out);
    }

    /// The blend of all rows of `set`, shape `(n_outputs, set.len())`.
    #[must_use]
    pub fn whole(&self, set: &RowSet) -> Block {
        let mut whole = Block::new(self.n_outputs, set.len());
        if self.space.get().info().row_local {
            let (mut scratch, mut part) = (Block::default(), Block::default());
            for block in 0..set.n_blocks() {
                let rows = set.block(block);
                self.block(block, rows, &mut scratch, &mut part);
                whole.put(set.offset(block), &part);
            }
            return whole;
        }
        let positions: Vec<usize> = match &self.weighing {
            Weighing::ByRow(..) => set.iter().collect(),
            _ => Vec::new(),
        };
        for (place, member) in &self.members {
            let entered = entered(member, self.space, self.preparation, set);
            for output in 0..self.n_outputs {
                let x = entered.column(output);
                self.weighing.add(*place, output, |i| positions[i], x, whole.column_mut(output));
            }
        }
        self.space.get().leave(&mut whole);
        whole
    }
}

/// Whether a cell of a member enters without its row's other outputs: class logits, rows that are divided by their sum
/// and vectors do not.
#[must_use]
pub fn is_cell_local(space: SpaceName, encoding: Encoding, preparation: Preparation) -> bool {
    matches!(space, SpaceName::Linear | SpaceName::Logit)
        && match encoding.kind {
            OutputKind::ClassLogits | OutputKind::Vector => false,
            OutputKind::ClassProbabilities | OutputKind::Probability => !preparation.renormalize,
            _ => true,
        }
}

/// One member's rows of `set` on the scale of averaging, shape `(n_outputs, set.len())`.
#[must_use]
pub fn entered<S: Split>(member: &Predictions<S>, space: SpaceName, preparation: Preparation, set: &RowSet) -> Block {
    let mut whole = Block::new(member.columns().len(), set.len());
    let mut part = Block::default();
    for block in 0..set.n_blocks() {
        member.read_raw(block, set.block(block), &mut part);
        whole.put(set.offset(block), &part);
    }
    space.get().enter(member.encoding(), preparation, &mut whole);
    whole
}

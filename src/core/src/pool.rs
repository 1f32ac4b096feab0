//! The blend itself: members entered, weighed, summed and brought back.

use crate::{
    block::Block,
    judge::Preparation,
    output::{Encoding, OutputKind},
    prediction::{Predictions, Split},
    scope::{BlockRows, RowSet},
    space::SpaceName,
};

/// Members with their weights in a space: `leave(sum_k w_k enter(x_k))`, shape `(n_rows, n_outputs)`.
///
/// The sum runs in the members' order, element by element, so a row's value depends on nothing but that row (and on
/// its column, in a space of ranks), and has the same bits everywhere.
pub struct Pool<'a, S: Split> {
    members: Vec<(&'a Predictions<S>, f64)>,
    n_outputs: usize,
    space: SpaceName,
    preparation: Preparation,
}

impl<'a, S: Split> Pool<'a, S> {
    /// Members with weight 0 take no part. Panics where `members` is empty.
    #[must_use]
    pub fn new(members: &[(&'a Predictions<S>, f64)], space: SpaceName, preparation: Preparation) -> Self {
        let n_outputs = members[0].0.columns().len();
        let members = members.iter().copied().filter(|(_, weight)| *weight != 0.0).collect();
        Self { members, n_outputs, space, preparation }
    }

    /// The blend of the set's rows in one block. Only for spaces that are local to a row.
    pub fn block(&self, block: usize, rows: BlockRows<'_>, scratch: &mut Block, out: &mut Block) {
        debug_assert!(self.space.get().info().row_local);
        out.reshape(self.n_outputs, rows.len());
        out.fill(0.0);
        if self.members.iter().all(|(member, _)| is_cell_local(self.space, member.encoding(), self.preparation)) {
            // Output by output: what is read stays in the nearest cache until it is added.
            for output in 0..self.n_outputs {
                for (member, weight) in &self.members {
                    scratch.reshape(1, rows.len());
                    member.read_column(block, output, rows, scratch.column_mut(0));
                    self.space.get().enter(member.encoding(), self.preparation, scratch);
                    let cells = out.column_mut(output).iter_mut().zip(scratch.column(0));
                    cells.for_each(|(u, x)| *u += *weight * x);
                }
            }
            self.space.get().leave(out);
            return;
        }
        for (member, weight) in &self.members {
            member.read_raw(block, rows, scratch);
            self.space.get().enter(member.encoding(), self.preparation, scratch);
            out.add_scaled(*weight, scratch);
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
        for (member, weight) in &self.members {
            let entered = entered(member, self.space, self.preparation, set);
            whole.add_scaled(*weight, &entered);
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

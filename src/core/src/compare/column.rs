//! One output of a member over the rows that count: read block by block as often as it takes, held only where it is
//! computed.

use super::{Ranks, ranker::Ranker, ranks::Sorter};
use crate::{
    block::Block,
    num,
    output::{Encoding, Frame, OutputKind},
    prediction::{Predictions, Split},
    scope::{BlockRows, RowSet},
    source::{BlockSource, Slice},
    space,
};
use std::{
    ops::Range,
    sync::{Mutex, PoisonError},
};

/// Rows whose mean is taken for that of all. As these rows vary around the true mean at least by their distance from it,
/// sums of squares around the pivot are at most `n / PIVOT_ROWS` times too large: of their 16 digits few are lost.
const PIVOT_ROWS: usize = 512;

/// Numbers over the rows of a set, in the set's own order.
pub(super) enum Column<'a> {
    /// Stored values that are on the target's own scale as they are.
    Stored {
        /// All outputs of the member.
        values: &'a dyn BlockSource,
        /// Which of them.
        output: usize,
    },
    /// Values that had to be decoded.
    Natural(Vec<f64>),
    /// Twice the ranks less twice their mean.
    Ranked(&'a [i32]),
}

impl<'a> Column<'a> {
    /// One output of a member on the target's own scale.
    pub(super) fn of<S: Split>(member: &'a Predictions<S>, output: usize, rows: &RowSet) -> Self {
        let Encoding { kind, frame, transform } = member.encoding();
        // Softmax needs the whole row; everything else is decoded column by column.
        if kind == OutputKind::ClassLogits {
            let mut column = vec![0.0; rows.len()];
            let mut block = Block::default();
            for b in 0..rows.n_blocks() {
                member.read_natural(b, rows.block(b), &mut block);
                column[rows.offset(b)..][..block.n_rows()].copy_from_slice(block.column(output));
            }
            return Self::Natural(column);
        }
        let stored = match (kind, frame, output) {
            (OutputKind::Vector, Frame::Yxz, 0) => 1,
            (OutputKind::Vector, Frame::Yxz, 1) => 0,
            _ => output,
        };
        let column = Self::Stored { values: &**member.values(), output: stored };
        if kind != OutputKind::Logit && transform.is_none() {
            return column;
        }
        let mut whole = Block::new(1, rows.len());
        column.read_all(rows, whole.column_mut(0));
        space::decode(Encoding { frame: Frame::Xyz, ..member.encoding() }, &mut whole);
        Self::Natural(whole.column(0).to_vec())
    }

    /// The values of the `part` of the set's rows in `block`.
    pub(super) fn read(&self, rows: &RowSet, block: usize, part: Range<usize>, out: &mut [f64]) {
        let start = rows.offset(block);
        match self {
            Self::Stored { values, output } => {
                let slice = values.slice(block, *output);
                match rows.block(block) {
                    BlockRows::All(_) => slice.widen(part, out),
                    BlockRows::Some(local) => slice.gather(&local[part], out),
                }
            }
            Self::Natural(values) => out.copy_from_slice(&values[start + part.start..start + part.end]),
            Self::Ranked(ranks) => {
                let ranks = &ranks[start + part.start..start + part.end];
                out.iter_mut().zip(ranks).for_each(|(out, &rank)| *out = f64::from(rank));
            }
        }
    }

    fn read_all(&self, rows: &RowSet, out: &mut [f64]) {
        for block in 0..rows.n_blocks() {
            let n = rows.block(block).len();
            self.read(rows, block, 0..n, &mut out[rows.offset(block)..][..n]);
        }
    }

    /// A number near the mean: the mean of the first rows.
    pub(super) fn pivot(&self, rows: &RowSet) -> f64 {
        if let Self::Ranked(_) = self {
            return 0.0;
        }
        let Some(block) = (0..rows.n_blocks()).find(|block| !rows.block(*block).is_empty()) else { return 0.0 };
        let mut first = vec![0.0; rows.block(block).len().min(PIVOT_ROWS)];
        self.read(rows, block, 0..first.len(), &mut first);
        num::sum(&first) / first.len() as f64
    }

    /// Puts the order of the values into `ranks`.
    pub(super) fn rank(&self, rows: &RowSet, ranks: &mut Ranks, Buffers { narrow, wide, sorter, .. }: &mut Buffers) {
        match self {
            Self::Natural(values) => ranks.put(values, sorter),
            _ if self.read_narrow(rows, narrow) => ranks.put(narrow, sorter),
            _ => {
                wide.resize(rows.len(), 0.0);
                self.read_all(rows, wide);
                ranks.put(wide, sorter);
            }
        }
    }

    /// Puts twice the ranks of the values, less twice their mean, into `doubled`.
    pub(super) fn doubled(&self, rows: &RowSet, doubled: &mut Vec<i32>, buffers: &mut Buffers) {
        if self.read_narrow(rows, &mut buffers.narrow) && buffers.ranker.doubled(&buffers.narrow, doubled) {
            return;
        }
        let mut ranks = std::mem::take(&mut buffers.ranks);
        self.rank(rows, &mut ranks, buffers);
        ranks.doubled(doubled);
        buffers.ranks = ranks;
    }

    /// All values as they are stored, where that is in single precision; else `false`.
    fn read_narrow(&self, rows: &RowSet, narrow: &mut Vec<f32>) -> bool {
        let Self::Stored { values, output } = self else { return false };
        if values.value_bytes() != 4 {
            return false;
        }
        narrow.clear();
        for block in 0..rows.n_blocks() {
            let Slice::F32(slice) = values.slice(block, *output) else { return false };
            match rows.block(block) {
                BlockRows::All(n) => narrow.extend_from_slice(&slice[..n]),
                BlockRows::Some(local) => narrow.extend(local.iter().map(|&row| slice[row as usize])),
            }
        }
        true
    }
}

/// Memory that is used again and again.
#[derive(Default)]
pub(super) struct Buffers {
    narrow: Vec<f32>,
    wide: Vec<f64>,
    sorter: Sorter,
    ranker: Ranker,
    ranks: Ranks,
}

/// Memory for as many threads as ask for it at once: fresh memory costs as much as the ranks of a column.
#[derive(Default)]
pub(super) struct Pool(Mutex<Vec<Buffers>>);

impl Pool {
    pub(super) fn lend(&self, work: impl FnOnce(&mut Buffers)) {
        let free = || self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut buffers = free().pop().unwrap_or_default();
        work(&mut buffers);
        free().push(buffers);
    }
}

/// Centers a column and scales it to length one; `false` where it is constant.
pub(crate) fn standardize(column: &mut [f64]) -> bool {
    let mean = num::sum(column) / column.len() as f64;
    column.iter_mut().for_each(|x| *x -= mean);
    let squares = num::dot(column, column);
    let varies = varies(squares, mean, column.len());
    if varies {
        let length = libm::sqrt(squares);
        column.iter_mut().for_each(|x| *x /= length);
    }
    varies
}

/// Whether a column varies by more than its mean was rounded, and by something finite.
pub(super) fn varies(squares: f64, mean: f64, n_rows: usize) -> bool {
    let rounding = 1e-13 * mean;
    squares > n_rows as f64 * rounding * rounding && squares.is_finite()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        fingerprint::Fingerprint, id::ModelId, output::Transform, prediction::Oof, rows::RowIndex, source::BLOCK_ROWS,
        source::OwnedBlocks,
    };
    use std::sync::Arc;

    #[test]
    fn columns_are_read_as_whole_rows_are() {
        let n = BLOCK_ROWS + 300;
        let value = |c: usize, row: usize| (((row * 37 + c * 11) % 101) as f64 - 50.0) / 16.0;
        let columns: Vec<Vec<f64>> = (0..3).map(|c| (0..n).map(|row| value(c, row)).collect()).collect();
        let narrow = columns.iter().map(|column| column.iter().map(|x| *x as f32).collect()).collect();
        let stores: [Arc<dyn BlockSource>; 2] =
            [Arc::new(OwnedBlocks::F64(columns)), Arc::new(OwnedBlocks::F32(narrow))];
        let sets = [RowSet::all(n), RowSet::all(n).filter(|row| row % 3 != 1).unwrap()];
        let kinds = [OutputKind::Logit, OutputKind::ClassLogits, OutputKind::Vector, OutputKind::Value];
        let encodings = kinds.into_iter().flat_map(|kind| {
            [(Frame::Xyz, None), (Frame::Yxz, None), (Frame::Xyz, Some(Transform::Exp))]
                .map(|(frame, transform)| Encoding { kind, frame, transform })
        });
        for encoding in encodings {
            for (values, set) in stores.iter().zip(&sets) {
                let member = Predictions::<Oof>::unchecked(
                    ModelId::new("m").unwrap(),
                    RowIndex::positions(n).unwrap(),
                    ["a", "b", "c"].map(str::to_owned).into(),
                    encoding,
                    values.clone(),
                    Fingerprint::of(b""),
                )
                .unwrap();
                let whole = member.natural(set);
                for c in 0..3 {
                    let column = Column::of(&member, c, set);
                    let mut read = vec![0.0; set.len()];
                    column.read_all(set, &mut read);
                    assert_eq!(read, whole.column(c), "{encoding:?}");
                    let mut ranks = Ranks::default();
                    column.rank(set, &mut ranks, &mut Buffers::default());
                    assert_eq!(ranks.centered(), Ranks::of(&read).centered());
                    let (mut doubled, mut wanted) = (Vec::new(), Vec::new());
                    column.doubled(set, &mut doubled, &mut Buffers::default());
                    ranks.doubled(&mut wanted);
                    assert_eq!(doubled, wanted);
                }
            }
        }
    }
}

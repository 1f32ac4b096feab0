//! Sums over the graphs of a stage, and what becomes of them.

use crate::{
    batch::{self, StageRows, Values},
    buffer::Buffer,
    error::InferError,
    request::{Split, SplitRows},
};
use blend_core::{BLOCK_ROWS, BlockSource, Slice};
use bytemuck::Pod;
use std::{io, ops::Range, path::Path, sync::Arc};

/// Values of one batch, ready to be averaged.
pub(crate) struct Part {
    pub(crate) split: Split,
    pub(crate) rows: Arc<[u32]>,
    pub(crate) range: Range<usize>,
    pub(crate) values: Values,
    pub(crate) width: usize,
}

/// Sums over graphs, row-major.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Sums {
    pub(crate) width: Option<usize>,
    pub(crate) values: Buffer<f64>,
    pub(crate) counts: Buffer<u32>,
    /// Blocks whose sums gave way to their means, which are f32 and take half the room: from the front on.
    pub(crate) turned: usize,
}

/// Which blocks have all their sums, while the last graph adds to them.
pub(crate) struct Missing {
    /// Of each block, rows that the graph did not add yet.
    rows: Vec<u32>,
    /// Blocks from the front on that miss none.
    complete: usize,
}

impl Missing {
    /// Of `n_rows` rows the graph will add `rows`.
    pub(crate) fn new<'r>(n_rows: usize, rows: impl Iterator<Item = &'r u32>) -> Self {
        let mut missing = vec![0; n_rows.div_ceil(BLOCK_ROWS)];
        rows.for_each(|&row| missing[row as usize / BLOCK_ROWS] += 1);
        Self { rows: missing, complete: 0 }
    }

    /// The graph added `rows`: blocks from the front on that miss none now.
    pub(crate) fn added(&mut self, rows: &[u32]) -> usize {
        rows.iter().for_each(|&row| self.rows[row as usize / BLOCK_ROWS] -= 1);
        self.complete += self.rows[self.complete..].iter().take_while(|missing| **missing == 0).count();
        self.complete
    }
}

/// Who the sums belong to, for messages.
#[derive(Clone, Copy)]
pub(crate) struct Owner<'a> {
    pub(crate) model: &'a str,
    pub(crate) stage: &'a str,
    pub(crate) pattern: &'a str,
    pub(crate) split: &'a SplitRows<'a>,
    /// How often a row may be counted: seeds for training rows.
    pub(crate) most: u32,
    /// Where large arrays lie.
    pub(crate) scratch: Option<&'a Path>,
}

/// Rows that are averaged together and turned to columns, out of a core's nearest cache.
const TOGETHER: usize = 32;

impl Sums {
    /// Makes room for `n_rows` rows of `width` outputs, where there is none yet; the width that there is.
    pub(crate) fn reserve(&mut self, n_rows: usize, width: usize, scratch: Option<&Path>) -> io::Result<usize> {
        if self.counts.is_empty() {
            self.values = Buffer::zeros(n_rows * width, scratch)?;
            self.counts = Buffer::zeros(n_rows, scratch)?;
        }
        Ok(*self.width.get_or_insert(width))
    }

    /// Bytes that lie in files.
    pub(crate) fn filed(&self) -> u64 {
        self.values.filed() + self.counts.filed()
    }

    /// Adds a batch of the sums' width.
    pub(crate) fn add(&mut self, part: &Part) {
        let rows = &part.rows[part.range.clone()];
        match &part.values {
            Values::F32(values) => self.add_rows(rows, values, part.width),
            Values::F64(values) => self.add_rows(rows, values, part.width),
        }
    }

    fn add_rows<T: Copy + Into<f64>>(&mut self, rows: &[u32], values: &[T], width: usize) {
        let (counts, sums) = (&mut *self.counts, &mut *self.values);
        for (&row, values) in rows.iter().zip(values.chunks_exact(width)) {
            let row = row as usize;
            counts[row] += 1;
            let sums = &mut sums[row * width..(row + 1) * width];
            sums.iter_mut().zip(values).for_each(|(sum, &value)| *sum += value.into());
        }
    }

    /// Means over graphs; rows that no graph ran are NaN.
    pub(crate) fn average(self, owner: Owner<'_>) -> Result<StageRows, InferError> {
        let (n_rows, width) = (owner.split.rows.len(), self.width.unwrap_or(1));
        let mut values = owner.zeros(n_rows * width)?;
        let mut predicted = vec![false; n_rows];
        owner.means(0, &self.counts, &self.values, &mut predicted, &mut values)?;
        Ok(StageRows { width, values, predicted })
    }

    /// As [`Self::average`], block after block and there output after output, as it is stored: where the sums lay, of
    /// which they take half.
    pub(crate) fn stored(mut self, owner: Owner<'_>) -> Result<Blocks, InferError> {
        let (n_rows, width) = (owner.split.rows.len(), self.width.unwrap_or(1));
        if self.values.is_empty() {
            self.values = owner.zeros(n_rows * width)?;
        }
        self.turn(owner, n_rows.div_ceil(BLOCK_ROWS))?;
        Ok(Blocks { n_rows, width, values: self.values })
    }

    /// Makes means of the sums of the first `blocks` blocks, to which nothing is added any more.
    pub(crate) fn turn(&mut self, owner: Owner<'_>, blocks: usize) -> Result<(), InferError> {
        let (n_rows, width) = (owner.split.rows.len(), self.width.unwrap_or(1));
        let Self { values, counts, turned, .. } = self;
        let mut means = vec![0.0; TOGETHER * width];
        while *turned < blocks {
            let start = *turned * BLOCK_ROWS;
            let n = BLOCK_ROWS.min(n_rows - start);
            let (done, sums) = values.split_at_mut(start * width);
            // The means of a block go before its sums, but for those of the first.
            let mut first = if start == 0 { owner.zeros::<f32>(n * width)? } else { Buffer::default() };
            let out = match start {
                0 => &mut *first,
                _ => &mut bytemuck::cast_slice_mut(done)[start * width..][..n * width],
            };
            for at in (0..n).step_by(TOGETHER) {
                let together = TOGETHER.min(n - at);
                let means = &mut means[..together * width];
                owner.means(start + at, counts, &sums[at * width..], &mut [false; TOGETHER][..together], means)?;
                for (output, column) in out.chunks_exact_mut(n).enumerate() {
                    let means = means[output..].iter().step_by(width);
                    column[at..at + together].iter_mut().zip(means).for_each(|(value, mean)| *value = *mean);
                }
            }
            bytemuck::cast_slice_mut(values)[..first.len()].copy_from_slice(&first);
            *turned += 1;
        }
        Ok(())
    }
}

impl Owner<'_> {
    fn zeros<T: Pod>(&self, n: usize) -> Result<Buffer<T>, InferError> {
        Buffer::zeros(n, self.scratch).map_err(|source| InferError::scratch(self.scratch, source))
    }

    /// Means of rows, row-major, and which of them were predicted. The first row is number `first`, `sums` start with
    /// it; `counts` are those of all rows.
    fn means(
        &self,
        first: usize,
        counts: &[u32],
        sums: &[f64],
        predicted: &mut [bool],
        out: &mut [f32],
    ) -> Result<(), InferError> {
        let ids = &self.split.rows;
        let (model, id) = (|| self.model.to_owned(), |row: usize| ids.id(row).into_owned());
        let width = out.len() / predicted.len().max(1);
        for (at, (out, predicted)) in out.chunks_exact_mut(width.max(1)).zip(predicted).enumerate() {
            let row = first + at;
            let count = counts.get(row).copied().unwrap_or(0);
            if count == 0 {
                out.fill(f32::NAN);
                continue;
            }
            if count > self.most {
                return Err(InferError::HeldOutTwice { model: model(), stage: self.stage.to_owned(), id: id(row) });
            }
            *predicted = true;
            let sums = &sums[at * width..][..width];
            if count == 1 {
                out.iter_mut().zip(sums).for_each(|(mean, sum)| *mean = *sum as f32);
            } else {
                out.iter_mut().zip(sums).for_each(|(mean, sum)| *mean = (sum / f64::from(count)) as f32);
            }
            if let Some(output) = batch::position(out, |mean| !mean.is_finite()) {
                return Err(InferError::NotFinite {
                    model: model(),
                    graph: self.pattern.to_owned(),
                    id: id(row),
                    output,
                    value: f64::from(out[output]),
                });
            }
        }
        Ok(())
    }
}

/// The averaged output of the last stage, as it is stored.
pub(crate) struct Blocks {
    n_rows: usize,
    width: usize,
    /// As f32, in the first half.
    values: Buffer<f64>,
}

impl BlockSource for Blocks {
    fn n_rows(&self) -> usize {
        self.n_rows
    }

    fn n_outputs(&self) -> usize {
        self.width
    }

    fn slice(&self, block: usize, output: usize) -> Slice<'_> {
        let start = block * BLOCK_ROWS;
        let n = BLOCK_ROWS.min(self.n_rows - start);
        Slice::F32(&bytemuck::cast_slice(&self.values)[start * self.width + output * n..][..n])
    }

    fn value_bytes(&self) -> usize {
        4
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use blend_core::RowIndex;
    use std::collections::BTreeMap;

    /// Sums over several blocks, of which the last is short: what is stored are the means, output after output.
    #[test]
    fn means_take_the_place_of_their_sums() {
        for (n_rows, width) in [(3 * BLOCK_ROWS + 5, 3), (BLOCK_ROWS, 1), (7, 2)] {
            let rows = RowIndex::positions(n_rows).unwrap();
            let split = SplitRows { split: Split::Test, rows, tables: BTreeMap::new(), events: BTreeMap::new() };
            let owner = Owner { model: "m", stage: "main", pattern: "g.onnx", split: &split, most: 3, scratch: None };
            let count = |row: usize| (row % 4) as u32;
            let sum = |row: usize, output: usize| (row * 31 + output) as f64 / 7.0;
            let sums = || Sums {
                width: Some(width),
                values: (0..n_rows * width).map(|at| sum(at / width, at % width)).collect::<Vec<_>>().into(),
                counts: (0..n_rows).map(count).collect::<Vec<_>>().into(),
                turned: 0,
            };
            let mean = |row, output| {
                if count(row) == 0 { f32::NAN } else { (sum(row, output) / f64::from(count(row))) as f32 }
            };
            let mut turning = sums();
            turning.turn(owner, n_rows / 2 / BLOCK_ROWS).unwrap();
            let stored = turning.stored(owner).unwrap();
            let averaged = sums().average(owner).unwrap();
            for row in 0..n_rows {
                assert_eq!(averaged.predicted[row], count(row) > 0);
                for output in 0..width {
                    let Slice::F32(values) = stored.slice(row / BLOCK_ROWS, output) else { panic!("f32") };
                    for given in [values[row % BLOCK_ROWS], averaged.values[row * width + output]] {
                        assert_eq!(given.to_bits(), mean(row, output).to_bits(), "{row} {output}");
                    }
                }
            }
            // Nothing was run.
            let none = Sums::default().stored(owner).unwrap();
            assert!(matches!(none.slice(0, 0), Slice::F32(values) if values.iter().all(|value| value.is_nan())));
        }
    }

    #[test]
    fn blocks_are_complete_from_the_front_on() {
        let block = BLOCK_ROWS as u32;
        // Of the third block nothing is added.
        let rows = [0, 1, block, block + 1, 3 * block];
        let mut missing = Missing::new(3 * BLOCK_ROWS + 1, rows.iter());
        assert_eq!(missing.added(&[block + 1, block]), 0);
        assert_eq!(missing.added(&[1]), 0);
        assert_eq!(missing.added(&[0]), 3);
        assert_eq!(missing.added(&[]), 3);
        assert_eq!(missing.added(&[3 * block]), 4);
    }
}

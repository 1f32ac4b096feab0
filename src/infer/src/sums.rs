//! Sums over the graphs of a stage, and what becomes of them.

use crate::{
    batch::{StageRows, Values},
    buffer::Buffer,
    error::InferError,
    request::{Split, SplitRows},
};
use blend_core::{BLOCK_ROWS, BlockSource, Slice};
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

/// Rows that are averaged together.
const TOGETHER: usize = 64;

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
        let out = &mut *values;
        for start in (0..n_rows).step_by(TOGETHER) {
            let rows = start..n_rows.min(start + TOGETHER);
            self.means(
                owner,
                rows.clone(),
                &mut predicted[rows.clone()],
                &mut out[rows.start * width..rows.end * width],
            )?;
        }
        Ok(StageRows { width, values, predicted })
    }

    /// As [`Self::average`], block after block and there output after output, as it is stored.
    pub(crate) fn stored(self, owner: Owner<'_>) -> Result<Blocks, InferError> {
        let (n_rows, width) = (owner.split.rows.len(), self.width.unwrap_or(1));
        let mut values = owner.zeros(n_rows * width)?;
        let mut means = vec![0.0; TOGETHER * width];
        for (block, out) in values.chunks_mut(BLOCK_ROWS * width).enumerate() {
            let n = out.len() / width;
            for at in (0..n).step_by(TOGETHER) {
                let together = TOGETHER.min(n - at);
                let rows = block * BLOCK_ROWS + at..block * BLOCK_ROWS + at + together;
                self.means(owner, rows, &mut [false; TOGETHER][..together], &mut means[..together * width])?;
                for (output, column) in out.chunks_exact_mut(n).enumerate() {
                    let means = means[output..].iter().step_by(width);
                    column[at..at + together].iter_mut().zip(means).for_each(|(value, mean)| *value = *mean);
                }
            }
        }
        Ok(Blocks { n_rows, width, values })
    }

    /// The means over `rows`, row-major, and which of them were predicted.
    fn means(
        &self,
        owner: Owner<'_>,
        rows: Range<usize>,
        predicted: &mut [bool],
        out: &mut [f32],
    ) -> Result<(), InferError> {
        let ids = &owner.split.rows;
        let (model, id) = (|| owner.model.to_owned(), |row: usize| ids.id(row).into_owned());
        let width = self.width.unwrap_or(1);
        for ((row, out), predicted) in rows.zip(out.chunks_exact_mut(width)).zip(predicted) {
            let count = self.counts.get(row).copied().unwrap_or(0);
            if count == 0 {
                out.fill(f32::NAN);
                continue;
            }
            if count > owner.most {
                return Err(InferError::HeldOutTwice { model: model(), stage: owner.stage.to_owned(), id: id(row) });
            }
            *predicted = true;
            let sums = &self.values[row * width..(row + 1) * width];
            out.iter_mut().zip(sums).for_each(|(mean, sum)| *mean = (sum / f64::from(count)) as f32);
            if let Some(output) = out.iter().position(|mean| !mean.is_finite()) {
                return Err(InferError::NotFinite {
                    model: model(),
                    graph: owner.pattern.to_owned(),
                    id: id(row),
                    output,
                    value: f64::from(out[output]),
                });
            }
        }
        Ok(())
    }
}

impl Owner<'_> {
    fn zeros(&self, n: usize) -> Result<Buffer<f32>, InferError> {
        Buffer::zeros(n, self.scratch).map_err(|source| InferError::scratch(self.scratch, source))
    }
}

/// The averaged output of the last stage, as it is stored.
pub(crate) struct Blocks {
    n_rows: usize,
    width: usize,
    values: Buffer<f32>,
}

impl Blocks {
    /// Bytes that lie in a file.
    pub(crate) fn filed(&self) -> u64 {
        self.values.filed()
    }
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
        Slice::F32(&self.values[start * self.width + output * n..][..n])
    }

    fn value_bytes(&self) -> usize {
        4
    }
}

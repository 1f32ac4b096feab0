//! Sums over the graphs of a stage, and what becomes of them.

use crate::{
    batch::StageRows,
    error::InferError,
    request::{Split, SplitRows},
};
use std::{ops::Range, sync::Arc};

/// Values of one batch, ready to be averaged.
pub(crate) struct Part {
    pub(crate) split: Split,
    pub(crate) rows: Arc<[u32]>,
    pub(crate) range: Range<usize>,
    pub(crate) values: Vec<f64>,
    pub(crate) width: usize,
}

/// Sums over graphs, row-major.
#[derive(Debug, Default, Clone, PartialEq)]
pub(crate) struct Sums {
    pub(crate) width: Option<usize>,
    pub(crate) values: Vec<f64>,
    pub(crate) counts: Vec<u32>,
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
}

impl Sums {
    /// Adds a batch; gives the expected width where it has another.
    pub(crate) fn add(&mut self, part: &Part, n_rows: usize) -> Result<(), usize> {
        let width = *self.width.get_or_insert(part.width);
        if width != part.width {
            return Err(width);
        }
        if self.counts.is_empty() {
            self.values = vec![0.0; n_rows * width];
            self.counts = vec![0; n_rows];
        }
        for (&row, values) in part.rows[part.range.clone()].iter().zip(part.values.chunks_exact(width)) {
            let row = row as usize;
            self.counts[row] += 1;
            self.values[row * width..(row + 1) * width].iter_mut().zip(values).for_each(|(sum, value)| *sum += value);
        }
        Ok(())
    }

    /// Means over graphs; rows that no graph ran are NaN.
    pub(crate) fn average(self, owner: Owner<'_>) -> Result<StageRows, InferError> {
        let rows = &owner.split.rows;
        let width = self.width.unwrap_or(1);
        let mut values = vec![f32::NAN; rows.len() * width];
        let mut predicted = vec![false; rows.len()];
        let (model, id) = (|| owner.model.to_owned(), |row: usize| rows.id(row).into_owned());
        for (row, &count) in self.counts.iter().enumerate().filter(|(_, count)| **count > 0) {
            if count > owner.most {
                return Err(InferError::HeldOutTwice { model: model(), stage: owner.stage.to_owned(), id: id(row) });
            }
            predicted[row] = true;
            for output in 0..width {
                let value = (self.values[row * width + output] / f64::from(count)) as f32;
                if !value.is_finite() {
                    return Err(InferError::NotFinite {
                        model: model(),
                        graph: owner.pattern.to_owned(),
                        id: id(row),
                        output,
                        value: f64::from(value),
                    });
                }
                values[row * width + output] = value;
            }
        }
        Ok(StageRows { width, values, predicted })
    }
}

//! A block of rows of all outputs in f64, output by output: what is entered, blended, judged and reduced in cache.

use crate::num;
use ndarray::{ArrayView2, Axis};

/// Values of shape `(n_outputs, n_rows)`, one output's rows contiguous.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Block {
    n_outputs: usize,
    n_rows: usize,
    data: Vec<f64>,
}

impl Block {
    /// Zeros.
    #[must_use]
    pub fn new(n_outputs: usize, n_rows: usize) -> Self {
        Self { n_outputs, n_rows, data: vec![0.0; n_outputs * n_rows] }
    }

    /// Takes columns of one length.
    #[must_use]
    pub fn from_columns(columns: &[Vec<f64>]) -> Self {
        let n_rows = columns.first().map_or(0, Vec::len);
        Self { n_outputs: columns.len(), n_rows, data: columns.concat() }
    }

    /// Changes the shape; values are unspecified afterwards. Allocates only when it grows.
    pub fn reshape(&mut self, n_outputs: usize, n_rows: usize) {
        self.n_outputs = n_outputs;
        self.n_rows = n_rows;
        self.data.resize(n_outputs * n_rows, 0.0);
    }

    /// Outputs.
    #[must_use]
    pub fn n_outputs(&self) -> usize {
        self.n_outputs
    }

    /// Rows.
    #[must_use]
    pub fn n_rows(&self) -> usize {
        self.n_rows
    }

    /// The rows of one output.
    #[must_use]
    pub fn column(&self, output: usize) -> &[f64] {
        &self.data[output * self.n_rows..(output + 1) * self.n_rows]
    }

    /// The rows of one output, to write.
    pub fn column_mut(&mut self, output: usize) -> &mut [f64] {
        &mut self.data[output * self.n_rows..(output + 1) * self.n_rows]
    }

    /// The values as a matrix of shape `(n_outputs, n_rows)`.
    #[must_use]
    pub fn view(&self) -> ArrayView2<'_, f64> {
        // `data` always has as many values as the shape says: both change together.
        ArrayView2::from_shape((self.n_outputs, self.n_rows), &self.data).unwrap_or_else(|_| ArrayView2::from(&[[]; 0]))
    }

    /// The rows at `rows`, in that order. Panics on a row outside.
    #[must_use]
    pub fn select(&self, rows: &[usize]) -> Self {
        let data = self.view().select(Axis(1), rows).into_iter().collect();
        Self { n_outputs: self.n_outputs, n_rows: rows.len(), data }
    }

    /// One output alone.
    #[must_use]
    pub fn output(&self, output: usize) -> Self {
        Self { n_outputs: 1, n_rows: self.n_rows, data: self.view().row(output).to_vec() }
    }

    /// All values, output after output.
    #[must_use]
    pub fn values(&self) -> &[f64] {
        &self.data
    }

    /// All values, to write.
    pub fn values_mut(&mut self) -> &mut [f64] {
        &mut self.data
    }

    /// The value of one output in one row.
    #[must_use]
    #[inline(always)]
    pub fn get(&self, output: usize, row: usize) -> f64 {
        self.data[output * self.n_rows + row]
    }

    /// Sets the value of one output in one row.
    #[inline(always)]
    pub fn set(&mut self, output: usize, row: usize, value: f64) {
        self.data[output * self.n_rows + row] = value;
    }

    /// Adds `weight * other`, element by element. Shapes are equal.
    pub fn add_scaled(&mut self, weight: f64, other: &Self) {
        debug_assert_eq!((self.n_outputs, self.n_rows), (other.n_outputs, other.n_rows));
        num::add_scaled(weight, &other.data, &mut self.data);
    }

    /// Copies `part`, of as many outputs, to the rows from `start`.
    pub fn put(&mut self, start: usize, part: &Self) {
        for output in 0..self.n_outputs {
            self.column_mut(output)[start..start + part.n_rows].copy_from_slice(part.column(output));
        }
    }

    /// Sets every value.
    pub fn fill(&mut self, value: f64) {
        self.data.fill(value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_and_outputs_are_picked() {
        let block = Block::from_columns(&[vec![1.0, 2.0, 3.0], vec![4.0, 5.0, 6.0]]);
        assert_eq!(block.view()[(1, 2)], 6.0);
        assert_eq!(block.select(&[2, 0]), Block::from_columns(&[vec![3.0, 1.0], vec![6.0, 4.0]]));
        assert_eq!(block.output(1), Block::from_columns(&[vec![4.0, 5.0, 6.0]]));
        assert_eq!(Block::default().select(&[]).n_rows(), 0);
    }
}

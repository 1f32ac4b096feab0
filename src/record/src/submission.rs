//! The submission file: a draft becomes checked against the sample, and only what is checked can be written.

use crate::{
    error::{Fault, Kind},
    publish::{PublishError, finish, publish_with},
    sample::Sample,
};
use blend_core::{Fingerprint, RowIndex, rows::AlignError};
use std::{
    io::{self, Write},
    path::Path,
};

/// Values on their way into a file, `Draft` or `Checked`.
#[derive(Debug, Clone)]
pub struct Submission<S> {
    values: Vec<Vec<f64>>,
    state: S,
}

/// Not yet compared with the sample.
#[derive(Debug, Clone)]
pub struct Draft {
    rows: RowIndex,
    columns: Vec<String>,
}

/// Ids, order and header equal the sample's; finite; in range.
#[derive(Debug, Clone)]
pub struct Checked {
    sample: Sample,
}

/// Why values make no submission.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum SubmissionError {
    /// Another number of columns than the sample.
    #[error("{found} columns where the sample submission has {wanted}")]
    ColumnCount {
        /// Columns of the draft.
        found: usize,
        /// Columns of the sample, without the id.
        wanted: usize,
    },
    /// Another column than the sample's.
    #[error("column {position} is `{found}` where the sample submission has `{wanted}`")]
    Column {
        /// Counted from 1, without the id.
        position: usize,
        /// The draft's.
        found: String,
        /// The sample's.
        wanted: String,
    },
    /// Ids missing or unknown.
    #[error("ids differ from the sample submission's: {0}")]
    Ids(AlignError),
    /// The right ids in another order.
    #[error("ids stand in another order than the sample submission's, first in row {row}: `{found}`, not `{wanted}`")]
    Order {
        /// Counted from 1.
        row: usize,
        /// The draft's.
        found: String,
        /// The sample's.
        wanted: String,
    },
    /// A column of another length than the ids.
    #[error("column `{column}` has {found} values for {wanted} rows")]
    Length {
        /// The column.
        column: String,
        /// Its values.
        found: usize,
        /// Rows of the sample.
        wanted: usize,
    },
    /// NaN or infinite.
    #[error("the value of `{id}` in column `{column}` is {value}")]
    NotFinite {
        /// The column.
        column: String,
        /// The row.
        id: String,
        /// The value.
        value: f64,
    },
    /// Outside what such a value can be.
    #[error("the value of `{id}` in column `{column}` is {value}, outside [{low}, {high}]")]
    OutOfRange {
        /// The column.
        column: String,
        /// The row.
        id: String,
        /// The value.
        value: f64,
        /// Lowest allowed.
        low: f64,
        /// Highest allowed.
        high: f64,
    },
}

impl Fault for SubmissionError {
    fn kind(&self) -> Kind {
        Kind::Data
    }

    fn hint(&self) -> Option<String> {
        Some(
            match self {
                Self::ColumnCount { .. } | Self::Column { .. } => {
                    "compare `targets` with the sample submission's header"
                }
                Self::Ids(_) => "predict the rows of the sample submission, all of them and no others",
                Self::Order { .. } | Self::Length { .. } => "align the values with the sample submission by id",
                Self::NotFinite { .. } => "`blend audit` names the model that it comes from",
                Self::OutOfRange { .. } => "add a `clip` to `post`, or choose a space whose blends stay in range",
            }
            .into(),
        )
    }
}

impl Submission<Draft> {
    /// Values of shape `(n_outputs, n_rows)`, named by `columns` and `rows`.
    #[must_use]
    pub fn new(rows: RowIndex, columns: Vec<String>, values: Vec<Vec<f64>>) -> Self {
        Self { values, state: Draft { rows, columns } }
    }

    /// Compares it with the sample. `range` is what a value can be, infinite where it can be anything.
    pub fn check(self, sample: &Sample, range: (f64, f64)) -> Result<Submission<Checked>, SubmissionError> {
        let Draft { rows, columns } = self.state;
        let wanted = sample.columns();
        for found in [columns.len(), self.values.len()] {
            if found != wanted.len() {
                return Err(SubmissionError::ColumnCount { found, wanted: wanted.len() });
            }
        }
        if let Some(i) = (0..wanted.len()).find(|&i| columns[i] != wanted[i]) {
            let (found, wanted) = (columns[i].clone(), wanted[i].clone());
            return Err(SubmissionError::Column { position: i + 1, found, wanted });
        }
        if sample.rows().align(&rows).map_err(SubmissionError::Ids)?.is_some() {
            let at = (0..rows.len()).find(|&row| rows.id(row) != sample.rows().id(row)).unwrap_or(0);
            let (found, wanted) = (rows.id(at).into_owned(), sample.rows().id(at).into_owned());
            return Err(SubmissionError::Order { row: at + 1, found, wanted });
        }
        for (column, values) in columns.iter().zip(&self.values) {
            check_values(column, values, &rows, range)?;
        }
        Ok(Submission { values: self.values, state: Checked { sample: sample.clone() } })
    }
}

fn check_values(column: &str, values: &[f64], rows: &RowIndex, (low, high): (f64, f64)) -> Result<(), SubmissionError> {
    if values.len() != rows.len() {
        return Err(SubmissionError::Length { column: column.into(), found: values.len(), wanted: rows.len() });
    }
    let Some(row) = values.iter().position(|value| !value.is_finite() || *value < low || *value > high) else {
        return Ok(());
    };
    let (column, id, value) = (column.to_owned(), rows.id(row).into_owned(), values[row]);
    Err(if value.is_finite() {
        SubmissionError::OutOfRange { column, id, value, low, high }
    } else {
        SubmissionError::NotFinite { column, id, value }
    })
}

impl Submission<Checked> {
    /// Writes the csv file, whole or not at all, and gives the fingerprint of its bytes. Header, ids, their quotes and
    /// the line ends are the sample's; the last line ends too.
    pub fn write(&self, path: &Path) -> Result<Fingerprint, PublishError> {
        let mut hasher = blake3::Hasher::new();
        publish_with(path, |out| {
            self.emit(|row| {
                hasher.update(row);
                out.write_all(row)
            })
        })?;
        Ok(finish(&hasher))
    }

    /// The fingerprint that the file has or would have.
    #[must_use]
    pub fn fingerprint(&self) -> Fingerprint {
        let mut hasher = blake3::Hasher::new();
        let hashed = self.emit(|row| {
            hasher.update(row);
            Ok(())
        });
        debug_assert!(hashed.is_ok(), "hashing does not fail");
        finish(&hasher)
    }

    /// Hands out the file row by row.
    fn emit(&self, mut take: impl FnMut(&[u8]) -> io::Result<()>) -> io::Result<()> {
        let sample = &self.state.sample;
        let newline = sample.newline().as_bytes();
        take(&[sample.header(), newline].concat())?;
        let mut line = Vec::with_capacity(32 * (self.values.len() + 1));
        for row in 0..sample.rows().len() {
            line.clear();
            for position in 0..=self.values.len() {
                if position > 0 {
                    line.push(b',');
                }
                // The id stands where it stands in the sample, the values around it.
                match position.cmp(&sample.id_position()) {
                    std::cmp::Ordering::Equal => line.extend_from_slice(sample.raw_id(row)),
                    std::cmp::Ordering::Less => push_number(&mut line, self.values[position][row]),
                    std::cmp::Ordering::Greater => push_number(&mut line, self.values[position - 1][row]),
                }
            }
            line.extend_from_slice(newline);
            take(&line)?;
        }
        Ok(())
    }
}

/// The fewest digits that read back to the same value: `0.25`, `3`, `1e-15`. Whole numbers have no point, so that
/// labels stay labels; below 1e-5 and from 1e16 on an exponent replaces the zeros, as Python and R write it too; the
/// sign of zero is dropped.
fn push_number(out: &mut Vec<u8>, value: f64) {
    let size = value.abs();
    let written = if value == 0.0 {
        out.push(b'0');
        Ok(())
    } else if (1e-5..1e16).contains(&size) {
        write!(out, "{value}")
    } else {
        write!(out, "{value:e}")
    };
    debug_assert!(written.is_ok(), "a vector takes every byte");
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn text(value: f64) -> String {
        let mut out = vec![];
        push_number(&mut out, value);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn numbers_are_short() {
        for (value, written) in [
            (0.25, "0.25"),
            (3.0, "3"),
            (-0.0, "0"),
            (1e-15, "1e-15"),
            (1.25e-7, "1.25e-7"),
            (0.00001, "0.00001"),
            (1e15, "1000000000000000"),
            (1e16, "1e16"),
            (0.1 + 0.2, "0.30000000000000004"),
            (-1.5, "-1.5"),
        ] {
            assert_eq!(text(value), written);
        }
    }

    proptest! {
        #[test]
        fn numbers_come_back(bits: u64) {
            let value = f64::from_bits(bits);
            prop_assume!(value.is_finite());
            let back: f64 = text(value).parse().unwrap();
            prop_assert!(back == value && (back == 0.0 || back.to_bits() == bits));
        }
    }
}

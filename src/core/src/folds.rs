//! Which rows were held out together.

use crate::{
    fingerprint::{Fingerprint, Fingerprinter},
    rows::RowIndex,
};

/// The fold map: every scored row is held out in exactly one fold; -1 marks training-only rows, out of scope.
///
/// A map with one fold (a single hold-out part) is legal.
#[derive(Debug, Clone)]
pub struct Folds {
    rows: RowIndex,
    labels: Vec<i64>,
    distinct: Vec<i64>,
    fingerprint: Fingerprint,
}

/// Why a list of labels is no fold map.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FoldsError {
    /// Another number of labels than rows.
    #[error("{labels} fold labels for {rows} rows")]
    Length {
        /// Labels given.
        labels: usize,
        /// Rows of the index.
        rows: usize,
    },
    /// A label below -1.
    #[error("fold label {label} of row `{id}` is below -1")]
    Label {
        /// The label.
        label: i64,
        /// The row's id.
        id: String,
    },
    /// All rows are -1.
    #[error("every row is training-only (-1): nothing is held out")]
    NothingHeldOut,
}

impl Folds {
    /// Checks `labels`, one per row of `rows`: -1 or a fold's label.
    pub fn new(rows: RowIndex, labels: Vec<i64>) -> Result<Self, FoldsError> {
        if labels.len() != rows.len() {
            return Err(FoldsError::Length { labels: labels.len(), rows: rows.len() });
        }
        if let Some(row) = labels.iter().position(|&label| label < -1) {
            return Err(FoldsError::Label { label: labels[row], id: rows.id(row).into_owned() });
        }
        let mut distinct: Vec<i64> = labels.iter().copied().filter(|&label| label >= 0).collect();
        distinct.sort_unstable();
        distinct.dedup();
        if distinct.is_empty() {
            return Err(FoldsError::NothingHeldOut);
        }
        let mut hash = Fingerprinter::new("folds");
        hash.bytes(rows.fingerprint().as_bytes()).length(labels.len());
        labels.iter().for_each(|label| {
            hash.raw(&label.to_le_bytes());
        });
        Ok(Self { fingerprint: hash.finish(), rows, labels, distinct })
    }

    /// The rows the labels belong to.
    #[must_use]
    pub fn rows(&self) -> &RowIndex {
        &self.rows
    }

    /// One label per row, -1 for training-only.
    #[must_use]
    pub fn labels(&self) -> &[i64] {
        &self.labels
    }

    /// The folds' labels, ascending, without -1.
    #[must_use]
    pub fn distinct(&self) -> &[i64] {
        &self.distinct
    }

    /// BLAKE3 of ids and labels: the identity of a CV scheme.
    #[must_use]
    pub fn fingerprint(&self) -> Fingerprint {
        self.fingerprint
    }

    /// The identity of several maps in their order, as of a model where each seed has its own; that of the map itself
    /// where there is one.
    #[must_use]
    pub fn fingerprint_of_all<'a>(maps: impl IntoIterator<Item = &'a Self>) -> Option<Fingerprint> {
        let all: Vec<Fingerprint> = maps.into_iter().map(Self::fingerprint).collect();
        match all[..] {
            [] => None,
            [only] => Some(only),
            _ => {
                let mut hash = Fingerprinter::new("fold maps");
                hash.length(all.len());
                for one in &all {
                    hash.bytes(one.as_bytes());
                }
                Some(hash.finish())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_map_is_checked() {
        let rows = RowIndex::positions(4).unwrap();
        let folds = Folds::new(rows.clone(), vec![1, 0, -1, 1]).unwrap();
        assert_eq!(folds.distinct(), [0, 1]);
        assert!(matches!(Folds::new(rows.clone(), vec![0]), Err(FoldsError::Length { labels: 1, rows: 4 })));
        assert!(matches!(Folds::new(rows.clone(), vec![-2; 4]), Err(FoldsError::Label { .. })));
        assert_eq!(Folds::new(rows, vec![-1; 4]).unwrap_err(), FoldsError::NothingHeldOut);
    }
}

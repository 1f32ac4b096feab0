//! The public leaderboard as a search may see it: files that were scored, their public scores, and what is known of the
//! rows behind them. A private score has no place here.

use crate::{block::Block, fingerprint::Fingerprint, rows::RowIndex, scope::RowSet};

/// Which test rows public scores are computed on.
#[derive(Debug, Clone, PartialEq)]
pub enum PublicPart {
    /// These.
    Known(RowSet),
    /// This many, drawn at random; which ones nobody knows.
    Unknown {
        /// Their number, at least 1.
        n_public: usize,
    },
}

/// A file that the leaderboard scored.
#[derive(Debug, Clone, PartialEq)]
pub struct ScoredFile {
    /// What it is called.
    pub name: String,
    /// Its values on the target's scale, as they were submitted: shape `(n_outputs, n_test_rows)`.
    pub values: Block,
    /// Its public score, in the metric's unit.
    pub score: f64,
    /// Half a unit of the last digit that the score was rounded to.
    pub half_unit: f64,
}

impl ScoredFile {
    /// Whether these are the file's values, up to what single precision keeps of them.
    #[must_use]
    pub fn holds(&self, values: &Block) -> bool {
        let shape = |block: &Block| (block.n_outputs(), block.n_rows());
        let same = |(a, b): (&f64, &f64)| (a - b).abs() <= f64::from(f32::EPSILON) * a.abs().max(b.abs());
        shape(&self.values) == shape(values) && self.values.values().iter().zip(values.values()).all(same)
    }
}

/// Scored files with different values on one set of test rows. The only leaderboard type that `search` can name.
#[derive(Debug, Clone, PartialEq)]
pub struct PublicLb {
    n_rows: usize,
    part: PublicPart,
    files: Vec<ScoredFile>,
}

/// Why scores and rows make no leaderboard.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum PublicLbError {
    /// No file was scored.
    #[error("no public score is known")]
    Empty,
    /// More public rows than rows.
    #[error("{n_public} public rows of {n_rows} test rows")]
    TooMany {
        /// Public rows.
        n_public: usize,
        /// Test rows.
        n_rows: usize,
    },
    /// No public rows.
    #[error("no public rows among {n_rows} test rows")]
    NoRows {
        /// Test rows.
        n_rows: usize,
    },
    /// A file of another shape.
    #[error("`{name}` has {got_rows} rows and {got_outputs} outputs, {n_rows} and {n_outputs} wanted")]
    Shape {
        /// The file.
        name: String,
        /// Its rows.
        got_rows: usize,
        /// Its outputs.
        got_outputs: usize,
        /// Test rows.
        n_rows: usize,
        /// Outputs of the first file.
        n_outputs: usize,
    },
    /// NaN or infinite.
    #[error("the public score of `{name}` is {score}")]
    NotFinite {
        /// The file.
        name: String,
        /// Its score.
        score: f64,
    },
    /// The same values twice.
    #[error("`{0}` and `{1}` have the same values")]
    Same(String, String),
}

/// Fingerprint of submitted values: ids in the order of the sample, then the bits of every value, output after output.
/// The sign of zero does not count.
#[must_use]
pub fn content(rows: &RowIndex, values: &Block) -> Fingerprint {
    let mut hash = crate::fingerprint::Fingerprinter::new("submitted");
    hash.bytes(rows.fingerprint().as_bytes()).length(values.n_outputs()).length(values.n_rows());
    let mut bytes = Vec::with_capacity(8 * values.n_rows());
    for output in 0..values.n_outputs() {
        bytes.clear();
        for value in values.column(output) {
            let value = if *value == 0.0 { 0.0 } else { *value };
            bytes.extend(value.to_le_bytes());
        }
        hash.raw(&bytes);
    }
    hash.finish()
}

impl PublicPart {
    /// Rows behind a public score.
    #[must_use]
    pub fn n_public(&self) -> usize {
        match self {
            Self::Known(rows) => rows.len(),
            Self::Unknown { n_public } => *n_public,
        }
    }
}

impl PublicLb {
    /// Checks rows, shapes, scores, and that no values stand twice.
    pub fn new(n_rows: usize, part: PublicPart, files: Vec<ScoredFile>) -> Result<Self, PublicLbError> {
        let n_public = part.n_public();
        if n_public == 0 {
            return Err(PublicLbError::NoRows { n_rows });
        }
        if n_public > n_rows || matches!(&part, PublicPart::Known(rows) if rows.n_total() != n_rows) {
            return Err(PublicLbError::TooMany { n_public, n_rows });
        }
        let Some(first) = files.first() else { return Err(PublicLbError::Empty) };
        let n_outputs = first.values.n_outputs();
        for (i, file) in files.iter().enumerate() {
            let (got_rows, got_outputs) = (file.values.n_rows(), file.values.n_outputs());
            if (got_rows, got_outputs) != (n_rows, n_outputs) {
                let name = file.name.clone();
                return Err(PublicLbError::Shape { name, got_rows, got_outputs, n_rows, n_outputs });
            }
            if !file.score.is_finite() {
                return Err(PublicLbError::NotFinite { name: file.name.clone(), score: file.score });
            }
            if let Some(other) = files[..i].iter().find(|other| other.values == file.values) {
                return Err(PublicLbError::Same(other.name.clone(), file.name.clone()));
            }
        }
        // Every test row public is known, however it was said.
        let part = match part {
            PublicPart::Unknown { n_public } if n_public == n_rows => PublicPart::Known(RowSet::all(n_rows)),
            part => part,
        };
        Ok(Self { n_rows, part, files })
    }

    /// Test rows.
    #[must_use]
    pub fn n_rows(&self) -> usize {
        self.n_rows
    }

    /// Outputs of every file.
    #[must_use]
    pub fn n_outputs(&self) -> usize {
        self.files[0].values.n_outputs()
    }

    /// The public rows.
    #[must_use]
    pub fn part(&self) -> &PublicPart {
        &self.part
    }

    /// Scored files, at least one.
    #[must_use]
    pub fn files(&self) -> &[ScoredFile] {
        &self.files
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(name: &str, values: &[f64], score: f64) -> ScoredFile {
        ScoredFile { name: name.into(), values: Block::from_columns(&[values.to_vec()]), score, half_unit: 5e-6 }
    }

    #[test]
    fn rows_and_values_are_checked() {
        let files = || vec![file("a", &[0.1, 0.2], 0.3), file("b", &[0.2, 0.2], 0.4)];
        let unknown = |n_public| PublicPart::Unknown { n_public };
        let lb = PublicLb::new(2, unknown(2), files()).unwrap();
        assert_eq!(lb.part(), &PublicPart::Known(RowSet::all(2)));
        assert_eq!(PublicLb::new(2, unknown(3), files()), Err(PublicLbError::TooMany { n_public: 3, n_rows: 2 }));
        assert_eq!(PublicLb::new(2, unknown(0), files()), Err(PublicLbError::NoRows { n_rows: 2 }));
        assert_eq!(PublicLb::new(2, unknown(1), vec![]), Err(PublicLbError::Empty));
        let twice = vec![file("a", &[0.1, 0.2], 0.3), file("c", &[0.1, 0.2], 0.4)];
        assert_eq!(PublicLb::new(2, unknown(1), twice), Err(PublicLbError::Same("a".into(), "c".into())));
        let nan = vec![file("a", &[0.1, 0.2], f64::NAN)];
        assert!(matches!(PublicLb::new(2, unknown(1), nan), Err(PublicLbError::NotFinite { .. })));
        assert!(matches!(PublicLb::new(3, unknown(1), files()), Err(PublicLbError::Shape { .. })));
    }

    #[test]
    fn a_file_holds_what_is_stored_of_it_in_single_precision() {
        let file = file("a", &[152.234567, 0.1, 0.0], 0.3);
        let stored: Vec<f64> = file.values.values().iter().map(|x| f64::from(*x as f32)).collect();
        assert_ne!(file.values.values(), &stored[..]);
        assert!(file.holds(&file.values) && file.holds(&Block::from_columns(&[stored])));
        assert!(!file.holds(&Block::from_columns(&[vec![152.2346, 0.1, 0.0]])));
        assert!(!file.holds(&Block::from_columns(&[vec![152.234567, 0.1, 1e-30]])));
        assert!(!file.holds(&Block::from_columns(&[vec![152.234567, 0.1]])));
    }

    #[test]
    fn content_is_what_was_submitted() {
        let rows = RowIndex::from_ints(vec![1, 2]).unwrap();
        let of = |values: &[f64]| content(&rows, &Block::from_columns(&[values.to_vec()]));
        assert_eq!(of(&[0.0, 1.0]), of(&[-0.0, 1.0]));
        assert_ne!(of(&[0.0, 1.0]), of(&[1.0, 0.0]));
        let others = RowIndex::from_ints(vec![1, 3]).unwrap();
        assert_ne!(of(&[0.0, 1.0]), content(&others, &Block::from_columns(&[vec![0.0, 1.0]])));
    }
}

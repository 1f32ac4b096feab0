//! Row ids: unique, in one order, shared. Alignment is by id, never by position.

use crate::fingerprint::{Fingerprint, Fingerprinter};
use std::{borrow::Cow, collections::HashMap, fmt, hash::BuildHasherDefault, sync::Arc};

/// The ids of the rows of a table, in its order: unique and not empty.
///
/// Ids that are all canonical whole numbers (`7`, not `007`) are held as numbers, whatever file they came from, so that
/// `7` in a CSV and the integer 7 in a parquet file are the same row. Cheap to clone.
#[derive(Clone)]
pub struct RowIndex(Arc<Inner>);

struct Inner {
    ids: Ids,
    fingerprint: Fingerprint,
}

enum Ids {
    Int(Vec<i64>),
    Text(Vec<Box<str>>),
}

/// Why a list of ids is no row index.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RowIndexError {
    /// A table without rows.
    #[error("no rows")]
    Empty,
    /// An id twice.
    #[error("id `{id}` stands in rows {first} and {second}")]
    Duplicate {
        /// The id.
        id: String,
        /// Its first row, counted from 0.
        first: usize,
        /// Its second row.
        second: usize,
    },
    /// More rows than a 32-bit position can name.
    #[error("{0} rows are more than 4,294,967,295")]
    TooMany(usize),
}

/// What keeps one table's rows from being another's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{wanted} rows wanted: {missing} ids missing{}, {unknown} unknown{}",
    example(first_missing),
    example(first_unknown)
)]
pub struct AlignError {
    /// Rows of the index that was to be filled.
    pub wanted: usize,
    /// Ids wanted and not there.
    pub missing: usize,
    /// The first of them.
    pub first_missing: Option<String>,
    /// Ids there and not wanted.
    pub unknown: usize,
    /// The first of them.
    pub first_unknown: Option<String>,
}

fn example(id: &Option<String>) -> String {
    id.as_ref().map_or_else(String::new, |id| format!(" (first `{id}`)"))
}

type Map<K> = HashMap<K, u32, BuildHasherDefault<std::hash::DefaultHasher>>;

impl RowIndex {
    /// An index over whole-number ids. Errors: empty, duplicate.
    pub fn from_ints(ids: Vec<i64>) -> Result<Self, RowIndexError> {
        Self::build(Ids::Int(ids))
    }

    /// An index over text ids; ids that are all canonical whole numbers become numbers. Errors: empty, duplicate.
    pub fn from_texts<I, T>(ids: I) -> Result<Self, RowIndexError>
    where
        I: IntoIterator<Item = T>,
        T: Into<Box<str>>,
    {
        let texts: Vec<Box<str>> = ids.into_iter().map(Into::into).collect();
        let ints: Option<Vec<i64>> = texts.iter().map(|text| canonical_int(text)).collect();
        Self::build(ints.map_or(Ids::Text(texts), Ids::Int))
    }

    /// The index `0, 1, ..., n_rows - 1`, for tables that have a common order and no ids.
    pub fn positions(n_rows: usize) -> Result<Self, RowIndexError> {
        Self::from_ints((0..n_rows as i64).collect())
    }

    fn build(ids: Ids) -> Result<Self, RowIndexError> {
        let n_rows = match &ids {
            Ids::Int(v) => v.len(),
            Ids::Text(v) => v.len(),
        };
        if n_rows == 0 {
            return Err(RowIndexError::Empty);
        }
        if n_rows > u32::MAX as usize {
            return Err(RowIndexError::TooMany(n_rows));
        }
        let mut hash = Fingerprinter::new("rows");
        hash.length(n_rows);
        match &ids {
            Ids::Int(v) => v.iter().for_each(|id| {
                hash.bytes(id.to_string().as_bytes());
            }),
            Ids::Text(v) => v.iter().for_each(|id| {
                hash.bytes(id.as_bytes());
            }),
        }
        let index = Self(Arc::new(Inner { fingerprint: hash.finish(), ids }));
        index.refuse_duplicates()?;
        Ok(index)
    }

    fn refuse_duplicates(&self) -> Result<(), RowIndexError> {
        let twice = |first: u32, second: usize| RowIndexError::Duplicate {
            id: self.id(second).into_owned(),
            first: first as usize,
            second,
        };
        match &self.0.ids {
            // Sorted ids, the usual case of large integer tables, need no map.
            Ids::Int(v) if v.windows(2).all(|pair| pair[0] < pair[1]) => Ok(()),
            Ids::Int(v) => insert_all(v.iter().copied()).map_or(Ok(()), |(a, b)| Err(twice(a, b))),
            Ids::Text(v) => insert_all(v.iter().map(|id| &**id)).map_or(Ok(()), |(a, b)| Err(twice(a, b))),
        }
    }

    /// Number of rows, at least 1.
    #[must_use]
    #[allow(clippy::len_without_is_empty)]
    pub fn len(&self) -> usize {
        match &self.0.ids {
            Ids::Int(v) => v.len(),
            Ids::Text(v) => v.len(),
        }
    }

    /// The id of `row`. Panics where `row >= len()`.
    #[must_use]
    pub fn id(&self, row: usize) -> Cow<'_, str> {
        match &self.0.ids {
            Ids::Int(v) => Cow::Owned(v[row].to_string()),
            Ids::Text(v) => Cow::Borrowed(&v[row]),
        }
    }

    /// All ids in order.
    pub fn iter(&self) -> impl Iterator<Item = Cow<'_, str>> {
        (0..self.len()).map(|row| self.id(row))
    }

    /// The ids as numbers, where they are.
    #[must_use]
    pub fn as_ints(&self) -> Option<&[i64]> {
        match &self.0.ids {
            Ids::Int(v) => Some(v),
            Ids::Text(_) => None,
        }
    }

    /// BLAKE3 of the ids in order.
    #[must_use]
    pub fn fingerprint(&self) -> Fingerprint {
        self.0.fingerprint
    }

    /// For each row of `self` its position in `other`; `None` where `other` is already in this order.
    ///
    /// Errors where `other` lacks an id of `self` or has one that `self` has not.
    pub fn align(&self, other: &Self) -> Result<Option<Vec<u32>>, AlignError> {
        if self == other {
            return Ok(None);
        }
        let found = self.find_in(other);
        let missing = found.iter().filter(|position| position.is_none()).count();
        let unknown = other.len() - (self.len() - missing);
        if missing == 0 && unknown == 0 {
            return Ok(Some(found.into_iter().flatten().collect()));
        }
        let first_missing = found.iter().position(Option::is_none).map(|row| self.id(row).into_owned());
        let first_unknown = (unknown > 0)
            .then(|| other.find_in(self).iter().position(Option::is_none))
            .flatten()
            .map(|row| other.id(row).into_owned());
        Err(AlignError { wanted: self.len(), missing, first_missing, unknown, first_unknown })
    }

    /// For each row of `self` its position in `other`, where it has one.
    #[must_use]
    pub fn find_in(&self, other: &Self) -> Vec<Option<u32>> {
        match (&self.0.ids, &other.0.ids) {
            (Ids::Int(a), Ids::Int(b)) => {
                let map: Map<i64> = b.iter().enumerate().map(|(row, id)| (*id, row as u32)).collect();
                a.iter().map(|id| map.get(id).copied()).collect()
            }
            (Ids::Text(a), Ids::Text(b)) => {
                let map: Map<&str> = b.iter().enumerate().map(|(row, id)| (&**id, row as u32)).collect();
                a.iter().map(|id| map.get(&**id).copied()).collect()
            }
            // One side has an id that is no number, so numbers are compared as they are written.
            _ => {
                let map: Map<Cow<'_, str>> = other.iter().enumerate().map(|(row, id)| (id, row as u32)).collect();
                self.iter().map(|id| map.get(&id).copied()).collect()
            }
        }
    }

    /// The index of the rows at `positions`, in that order. Panics on a position outside; duplicates are refused.
    pub fn select(&self, positions: &[usize]) -> Result<Self, RowIndexError> {
        Self::build(match &self.0.ids {
            Ids::Int(v) => Ids::Int(positions.iter().map(|&row| v[row]).collect()),
            Ids::Text(v) => Ids::Text(positions.iter().map(|&row| v[row].clone()).collect()),
        })
    }
}

fn canonical_int(text: &str) -> Option<i64> {
    text.parse::<i64>().ok().filter(|value| value.to_string() == text)
}

/// Inserts ids until one stands twice; gives both rows.
fn insert_all<K: std::hash::Hash + Eq>(ids: impl ExactSizeIterator<Item = K>) -> Option<(u32, usize)> {
    let mut seen: Map<K> = Map::with_capacity_and_hasher(ids.len(), BuildHasherDefault::default());
    for (row, id) in ids.enumerate() {
        if let Some(first) = seen.insert(id, row as u32) {
            return Some((first, row));
        }
    }
    None
}

impl PartialEq for RowIndex {
    /// Same ids in the same order.
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0) || self.0.fingerprint == other.0.fingerprint
    }
}

impl Eq for RowIndex {}

impl fmt::Debug for RowIndex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RowIndex({} rows from `{}`)", self.len(), self.id(0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn numbers_are_numbers_wherever_they_come_from() {
        let text = RowIndex::from_texts(["3", "1", "2"]).unwrap();
        assert_eq!(text, RowIndex::from_ints(vec![3, 1, 2]).unwrap());
        let padded = RowIndex::from_texts(["007", "8"]).unwrap();
        assert!(padded.as_ints().is_none());
        assert_eq!(padded.id(0), "007");
    }

    #[test]
    fn duplicates_are_named() {
        let error = RowIndex::from_texts(["a", "b", "a"]).unwrap_err();
        assert_eq!(error, RowIndexError::Duplicate { id: "a".into(), first: 0, second: 2 });
        assert_eq!(RowIndex::from_ints(vec![]).unwrap_err(), RowIndexError::Empty);
    }

    #[test]
    fn what_does_not_line_up_is_counted() {
        let wanted = RowIndex::from_texts(["a", "b", "c"]).unwrap();
        let other = RowIndex::from_texts(["c", "x", "a", "y"]).unwrap();
        let error = wanted.align(&other).unwrap_err();
        assert_eq!((error.missing, error.unknown), (1, 2));
        assert_eq!(error.first_missing.as_deref(), Some("b"));
        assert_eq!(error.first_unknown.as_deref(), Some("x"));
        let mixed = RowIndex::from_ints(vec![1, 2]).unwrap();
        assert_eq!(mixed.align(&wanted).unwrap_err().missing, 2);
    }

    proptest! {
        #[test]
        fn alignment_undoes_any_permutation(ids in proptest::collection::hash_set("[a-z0-9]{1,6}", 1..40), seed: u64) {
            let ids: Vec<String> = ids.into_iter().collect();
            let mut shuffled: Vec<usize> = (0..ids.len()).collect();
            shuffled.sort_by_key(|&i| Fingerprint::of(&[&seed.to_le_bytes()[..], &i.to_le_bytes()].concat()));
            let original = RowIndex::from_texts(ids.clone()).unwrap();
            let other = original.select(&shuffled).unwrap();
            let positions = original.align(&other).unwrap();
            for row in 0..ids.len() {
                let at = positions.as_ref().map_or(row, |p| p[row] as usize);
                prop_assert_eq!(other.id(at), original.id(row));
            }
        }
    }
}

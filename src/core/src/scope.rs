//! Which rows count: sets of rows over the block grid, and the named one a competition is judged on.

use crate::source::BLOCK_ROWS;

/// A sorted, non-empty set of rows of a table, cut along the block grid.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowSet {
    n_total: usize,
    /// Positions within each row's block; empty where the set is all rows.
    local: Vec<u32>,
    /// First position of each block in the set's own numbering, and the set's length at the end.
    offsets: Vec<usize>,
}

/// The rows of a set that lie in one block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BlockRows<'a> {
    /// Every row of the block: this many.
    All(usize),
    /// These, as ascending positions within the block.
    Some(&'a [u32]),
}

impl BlockRows<'_> {
    /// How many.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::All(n) => *n,
            Self::Some(rows) => rows.len(),
        }
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// The rows of a block in order.
static IN_ORDER: [u32; BLOCK_ROWS] = {
    let mut rows = [0; BLOCK_ROWS];
    let mut row = 0;
    while row < BLOCK_ROWS {
        rows[row] = row as u32;
        row += 1;
    }
    rows
};

impl<'a> BlockRows<'a> {
    /// The same rows in pieces of at most `most`, each with the number of rows before it: what is made of a piece with
    /// many outputs stays in a core's own cache.
    pub fn pieces(self, most: usize) -> impl Iterator<Item = (usize, BlockRows<'a>)> {
        let rows = match self {
            Self::All(n) => &IN_ORDER[..n],
            Self::Some(rows) => rows,
        };
        let whole = rows.len() <= most;
        rows.chunks(most).enumerate().map(move |(i, piece)| (i * most, if whole { self } else { Self::Some(piece) }))
    }

    /// How many rows with so many outputs fit a core's second cache as f64.
    #[must_use]
    pub fn in_cache(n_outputs: usize) -> usize {
        const SECOND_CACHE: usize = 1 << 19;
        (SECOND_CACHE / 8 / n_outputs.max(1)).clamp(64, BLOCK_ROWS)
    }
}

/// A set without rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no row is left in scope")]
pub struct EmptySet;

impl RowSet {
    /// All of `n_total` rows. Panics where that is 0.
    #[must_use]
    pub fn all(n_total: usize) -> Self {
        assert!(n_total > 0, "a set of rows of an empty table");
        let mut offsets: Vec<usize> = (0..n_total).step_by(BLOCK_ROWS).collect();
        offsets.push(n_total);
        Self { n_total, local: Vec::new(), offsets }
    }

    /// The rows that `keep` marks. Errors where it marks none.
    pub fn from_mask(keep: &[bool]) -> Result<Self, EmptySet> {
        if keep.iter().all(|&k| k) && !keep.is_empty() {
            return Ok(Self::all(keep.len()));
        }
        let mut local = Vec::new();
        let mut offsets = vec![0];
        for block in keep.chunks(BLOCK_ROWS) {
            local.extend(block.iter().enumerate().filter(|(_, kept)| **kept).map(|(row, _)| row as u32));
            offsets.push(local.len());
        }
        if local.is_empty() {
            return Err(EmptySet);
        }
        Ok(Self { n_total: keep.len(), local, offsets })
    }

    /// Rows in the set.
    #[must_use]
    #[allow(clippy::len_without_is_empty)]
    pub fn len(&self) -> usize {
        self.offsets[self.offsets.len() - 1]
    }

    /// Rows of the table.
    #[must_use]
    pub fn n_total(&self) -> usize {
        self.n_total
    }

    /// Blocks of the table.
    #[must_use]
    pub fn n_blocks(&self) -> usize {
        self.offsets.len() - 1
    }

    /// Whether the set is the whole table.
    #[must_use]
    pub fn is_all(&self) -> bool {
        self.local.is_empty()
    }

    /// The set's rows in `block`.
    #[must_use]
    pub fn block(&self, block: usize) -> BlockRows<'_> {
        let (start, end) = (self.offsets[block], self.offsets[block + 1]);
        if self.local.is_empty() { BlockRows::All(end - start) } else { BlockRows::Some(&self.local[start..end]) }
    }

    /// The place of the block's first row in the set's own numbering `0..len()`.
    #[must_use]
    pub fn offset(&self, block: usize) -> usize {
        self.offsets[block]
    }

    /// The same rows, those of each block in the order of `key` (of the position in the table).
    #[must_use]
    pub fn sorted_in_blocks<K: Ord>(&self, key: impl Fn(usize) -> K) -> Self {
        let mut local = Vec::with_capacity(self.len());
        for block in 0..self.n_blocks() {
            let start = local.len();
            match self.block(block) {
                BlockRows::All(n) => local.extend(0..n as u32),
                BlockRows::Some(rows) => local.extend_from_slice(rows),
            }
            local[start..].sort_by_key(|&row| key(block * BLOCK_ROWS + row as usize));
        }
        Self { n_total: self.n_total, local, offsets: self.offsets.clone() }
    }

    /// The rows as positions in the table: ascending, unless they were sorted otherwise.
    pub fn iter(&self) -> impl Iterator<Item = usize> + '_ {
        (0..self.n_blocks()).flat_map(move |block| {
            let rows = self.block(block);
            (0..rows.len()).map(move |i| {
                block * BLOCK_ROWS
                    + match rows {
                        BlockRows::All(_) => i,
                        BlockRows::Some(local) => local[i] as usize,
                    }
            })
        })
    }

    /// One mark per row of the table.
    #[must_use]
    pub fn mask(&self) -> Vec<bool> {
        let mut mask = vec![self.is_all(); self.n_total];
        if !self.is_all() {
            self.iter().for_each(|row| mask[row] = true);
        }
        mask
    }

    /// The rows of the set for which `keep` holds, given the position in the table.
    pub fn filter(&self, keep: impl Fn(usize) -> bool) -> Result<Self, EmptySet> {
        let mut mask = self.mask();
        mask.iter_mut().enumerate().for_each(|(row, kept)| *kept = *kept && keep(row));
        Self::from_mask(&mask)
    }
}

/// A named, non-empty set of rows that a score is measured on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scope {
    /// Its name, as `all rows` or `cp_type != ctl_vehicle`.
    pub name: String,
    /// Its rows.
    pub rows: RowSet,
}

impl Scope {
    /// Every row.
    #[must_use]
    pub fn all(n_rows: usize) -> Self {
        Self { name: "all rows".to_owned(), rows: RowSet::all(n_rows) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_set_is_its_mask(mask in proptest::collection::vec(any::<bool>(), 1..10_000)) {
            match RowSet::from_mask(&mask) {
                Err(EmptySet) => prop_assert!(mask.iter().all(|kept| !kept)),
                Ok(set) => {
                    prop_assert_eq!(set.mask(), mask.clone());
                    prop_assert_eq!(set.len(), mask.iter().filter(|kept| **kept).count());
                    prop_assert_eq!(set.iter().count(), set.len());
                    prop_assert!(set.iter().all(|row| mask[row]));
                    let blocks: usize = (0..set.n_blocks()).map(|b| set.block(b).len()).sum();
                    prop_assert_eq!(blocks, set.len());
                    let sorted = set.sorted_in_blocks(|row| row % 3);
                    let mut rows: Vec<usize> = sorted.iter().collect();
                    let pairs = rows.windows(2).filter(|pair| pair[0] / BLOCK_ROWS == pair[1] / BLOCK_ROWS);
                    prop_assert!(pairs.into_iter().all(|pair| (pair[0] % 3, pair[0]) < (pair[1] % 3, pair[1])));
                    rows.sort_unstable();
                    prop_assert_eq!(rows, set.iter().collect::<Vec<_>>());
                }
            }
        }
    }
}

//! What the rooms hand to each other: aligned blocks of predictions and typed batches of table columns.
//!
//! `store` implements both, the door hands them in; so search streams and inference reads tables without naming the
//! table library. Reading a block is total: an I/O error is latched in the source and asked for after each pass.

use crate::num;
use std::ops::Range;

/// Rows of a block, the unit of every reduction: sums run within blocks and then over blocks in index order, so the
/// number of threads never changes a bit. A block of one column (16 KiB in f32) of a dozen members fits a core's cache.
pub const BLOCK_ROWS: usize = 4096;

/// Contiguous values of one output over the rows of one block.
#[derive(Debug, Clone, Copy)]
pub enum Slice<'a> {
    /// Stored as f32, the usual case.
    F32(&'a [f32]),
    /// Stored as f64 (`--dtype f64`).
    F64(&'a [f64]),
}

impl Slice<'_> {
    /// Number of values.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::F32(v) => v.len(),
            Self::F64(v) => v.len(),
        }
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The value at `row` of the block.
    #[must_use]
    #[inline]
    pub fn get(&self, row: usize) -> f64 {
        match self {
            Self::F32(v) => f64::from(v[row]),
            Self::F64(v) => v[row],
        }
    }

    /// Copies the values at `rows` (positions within the block) to `out`, as f64.
    pub fn gather(&self, rows: &[u32], out: &mut [f64]) {
        if let (Some(&first), Some(&last)) = (rows.first(), rows.last())
            && last.wrapping_sub(first) as usize == rows.len() - 1
            && rows.is_sorted()
        {
            return self.widen(first as usize..last as usize + 1, out); // no hole
        }
        match self {
            Self::F32(v) => out.iter_mut().zip(rows).for_each(|(o, &row)| *o = f64::from(v[row as usize])),
            Self::F64(v) => out.iter_mut().zip(rows).for_each(|(o, &row)| *o = v[row as usize]),
        }
    }

    /// Copies the values at `range` to `out`, as f64.
    pub fn widen(&self, range: Range<usize>, out: &mut [f64]) {
        match self {
            Self::F32(v) => num::widen(&v[range], out),
            Self::F64(v) => out.copy_from_slice(&v[range]),
        }
    }
}

/// The stored values of one model, shape `(n_rows, n_outputs)`, cut into blocks of [`BLOCK_ROWS`] rows.
pub trait BlockSource: Send + Sync {
    /// Rows.
    fn n_rows(&self) -> usize;
    /// Outputs per row.
    fn n_outputs(&self) -> usize;
    /// The values of `output` in `block`: `BLOCK_ROWS` of them, fewer in the last block.
    fn slice(&self, block: usize, output: usize) -> Slice<'_>;
    /// Bytes per value, 4 or 8.
    fn value_bytes(&self) -> usize;
    /// The first I/O error since the source was opened.
    fn latched(&self) -> Option<String> {
        None
    }
    /// Number of blocks.
    fn n_blocks(&self) -> usize {
        self.n_rows().div_ceil(BLOCK_ROWS)
    }
}

/// Values held in memory, one vector per output.
#[derive(Debug, Clone)]
pub enum OwnedBlocks {
    /// f32 columns.
    F32(Vec<Vec<f32>>),
    /// f64 columns.
    F64(Vec<Vec<f64>>),
}

impl BlockSource for OwnedBlocks {
    fn n_rows(&self) -> usize {
        match self {
            Self::F32(columns) => columns.first().map_or(0, Vec::len),
            Self::F64(columns) => columns.first().map_or(0, Vec::len),
        }
    }

    fn n_outputs(&self) -> usize {
        match self {
            Self::F32(columns) => columns.len(),
            Self::F64(columns) => columns.len(),
        }
    }

    fn slice(&self, block: usize, output: usize) -> Slice<'_> {
        let start = block * BLOCK_ROWS;
        let end = (start + BLOCK_ROWS).min(self.n_rows());
        match self {
            Self::F32(columns) => Slice::F32(&columns[output][start..end]),
            Self::F64(columns) => Slice::F64(&columns[output][start..end]),
        }
    }

    fn value_bytes(&self) -> usize {
        match self {
            Self::F32(_) => 4,
            Self::F64(_) => 8,
        }
    }
}

/// The number 1 everywhere, without the memory that it would take.
#[derive(Debug, Clone)]
pub struct Ones {
    n_rows: usize,
    n_outputs: usize,
    block: Vec<f32>,
}

impl Ones {
    /// Of shape `(n_rows, n_outputs)`.
    #[must_use]
    pub fn new(n_rows: usize, n_outputs: usize) -> Self {
        Self { n_rows, n_outputs, block: vec![1.0; n_rows.min(BLOCK_ROWS)] }
    }
}

impl BlockSource for Ones {
    fn n_rows(&self) -> usize {
        self.n_rows
    }

    fn n_outputs(&self) -> usize {
        self.n_outputs
    }

    fn slice(&self, block: usize, _output: usize) -> Slice<'_> {
        Slice::F32(&self.block[..(self.n_rows - block * BLOCK_ROWS).min(BLOCK_ROWS)])
    }

    fn value_bytes(&self) -> usize {
        4
    }
}

/// The type of a table's column, after reading.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ColumnType {
    /// 32-bit float.
    F32,
    /// 64-bit float.
    F64,
    /// Any whole number.
    I64,
    /// True or false.
    Bool,
    /// Text.
    Text,
}

/// Values of one column over a range of rows. Nothing in it is null: a null float is NaN, any other null is refused
/// when read.
#[derive(Debug, Clone, PartialEq)]
pub enum Column {
    /// 32-bit floats.
    F32(Vec<f32>),
    /// 64-bit floats.
    F64(Vec<f64>),
    /// Whole numbers.
    I64(Vec<i64>),
    /// Booleans.
    Bool(Vec<bool>),
    /// Texts.
    Text(Vec<String>),
}

impl Column {
    /// Number of values.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::F32(v) => v.len(),
            Self::F64(v) => v.len(),
            Self::I64(v) => v.len(),
            Self::Bool(v) => v.len(),
            Self::Text(v) => v.len(),
        }
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The values as f64, `None` for text.
    #[must_use]
    pub fn to_f64(&self) -> Option<Vec<f64>> {
        Some(match self {
            Self::F32(v) => v.iter().map(|&x| f64::from(x)).collect(),
            Self::F64(v) => v.clone(),
            Self::I64(v) => v.iter().map(|&x| x as f64).collect(),
            Self::Bool(v) => v.iter().map(|&x| f64::from(u8::from(x))).collect(),
            Self::Text(_) => return None,
        })
    }

    /// The values as text, as an id or a class name is written.
    #[must_use]
    pub fn to_text(&self) -> Vec<String> {
        match self {
            Self::F32(v) => v.iter().map(ToString::to_string).collect(),
            Self::F64(v) => v.iter().map(ToString::to_string).collect(),
            Self::I64(v) => v.iter().map(ToString::to_string).collect(),
            Self::Bool(v) => v.iter().map(ToString::to_string).collect(),
            Self::Text(v) => v.clone(),
        }
    }

    /// The type.
    #[must_use]
    pub fn column_type(&self) -> ColumnType {
        match self {
            Self::F32(_) => ColumnType::F32,
            Self::F64(_) => ColumnType::F64,
            Self::I64(_) => ColumnType::I64,
            Self::Bool(_) => ColumnType::Bool,
            Self::Text(_) => ColumnType::Text,
        }
    }
}

/// Values of one column over a range of rows, as they lie somewhere in memory.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum ColumnView<'a> {
    /// 32-bit floats.
    F32(&'a [f32]),
    /// 64-bit floats.
    F64(&'a [f64]),
    /// Whole numbers.
    I64(&'a [i64]),
    /// Booleans.
    Bool(&'a [bool]),
    /// Texts.
    Text(&'a [String]),
}

impl Column {
    /// Puts `more` behind; `false`, and nothing done, where it is of another type.
    pub fn extend(&mut self, more: ColumnView<'_>) -> bool {
        match (self, more) {
            (Self::F32(v), ColumnView::F32(more)) => v.extend_from_slice(more),
            (Self::F64(v), ColumnView::F64(more)) => v.extend_from_slice(more),
            (Self::I64(v), ColumnView::I64(more)) => v.extend_from_slice(more),
            (Self::Bool(v), ColumnView::Bool(more)) => v.extend_from_slice(more),
            (Self::Text(v), ColumnView::Text(more)) => v.extend_from_slice(more),
            _ => return false,
        }
        true
    }

    /// The values over `rows`. Panics on a row outside.
    #[must_use]
    pub fn view(&self, rows: Range<usize>) -> ColumnView<'_> {
        match self {
            Self::F32(v) => ColumnView::F32(&v[rows]),
            Self::F64(v) => ColumnView::F64(&v[rows]),
            Self::I64(v) => ColumnView::I64(&v[rows]),
            Self::Bool(v) => ColumnView::Bool(&v[rows]),
            Self::Text(v) => ColumnView::Text(&v[rows]),
        }
    }
}

impl ColumnView<'_> {
    /// Number of values.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::F32(v) => v.len(),
            Self::F64(v) => v.len(),
            Self::I64(v) => v.len(),
            Self::Bool(v) => v.len(),
            Self::Text(v) => v.len(),
        }
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The values, copied.
    #[must_use]
    pub fn to_column(&self) -> Column {
        match self {
            Self::F32(v) => Column::F32(v.to_vec()),
            Self::F64(v) => Column::F64(v.to_vec()),
            Self::I64(v) => Column::I64(v.to_vec()),
            Self::Bool(v) => Column::Bool(v.to_vec()),
            Self::Text(v) => Column::Text(v.to_vec()),
        }
    }
}

/// Takes a piece of a table: its rows, and the values of the columns over them.
pub type TakePiece<'t> = dyn FnMut(Range<usize>, &[ColumnView<'_>]) + 't;

/// Why a batch could not be read: one line with the place.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct SourceError(pub String);

/// A table with named, typed columns and row ids, read in ranges of rows.
pub trait TableSource: Send + Sync {
    /// Rows.
    fn n_rows(&self) -> usize;
    /// Names and types of the columns, without the id column.
    fn columns(&self) -> &[(String, ColumnType)];
    /// The ids of all rows, in the table's order.
    fn rows(&self) -> &crate::rows::RowIndex;
    /// The columns at the positions `columns` (into [`Self::columns`]) over `rows`, in that order.
    fn read(&self, rows: Range<usize>, columns: &[usize]) -> Result<Vec<Column>, SourceError>;
    /// Where the table lies, for messages.
    fn place(&self) -> String;

    /// As [`Self::read`], handed to `take` in pieces, front to back, without a copy where the values are in memory.
    fn visit(&self, rows: Range<usize>, columns: &[usize], take: &mut TakePiece<'_>) -> Result<(), SourceError> {
        let read = self.read(rows.clone(), columns)?;
        if read.iter().any(|column| column.len() != rows.len()) {
            return Err(SourceError(format!("{}: another number of values than asked", self.place())));
        }
        let views: Vec<ColumnView<'_>> = read.iter().map(|column| column.view(0..column.len())).collect();
        take(rows, &views);
        Ok(())
    }

    /// The columns over `rows`, row after row, to `out`; `false`, and nothing done, where the values do not lie in the
    /// file like that. `out` holds a value for each row and column.
    fn read_rows(&self, _rows: Range<usize>, _columns: &[usize], _out: &mut [f32]) -> Result<bool, SourceError> {
        Ok(false)
    }
}

//! Values in an unnamed file, piece after piece: a piece is some rows of all columns, column after column.

use super::array::read_at;
use crate::error::StoreError;
use blend_core::{
    RowIndex, TableSource,
    source::{Column, ColumnType, ColumnView, SourceError, TakePiece},
};
use std::{
    collections::{HashMap, VecDeque},
    fs::File,
    io::{self, Seek, SeekFrom, Write},
    ops::Range,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

/// Bytes of a piece, about: what is read at once, small enough that every thread has one or two in memory.
const PIECE: usize = if cfg!(test) { 1 << 12 } else { 2 << 20 };
/// Bytes that are copied in about the time that asking for them takes.
const ASKING: usize = if cfg!(test) { 1 << 6 } else { 1 << 12 };

/// Where a column's values lie in a piece, and what they are.
#[derive(Debug, Clone, Copy)]
struct Place {
    kind: ColumnType,
    /// Of the first value in a piece; texts have none.
    offset: usize,
}

/// Where everything lies.
#[derive(Debug)]
struct Layout {
    header: Vec<(String, ColumnType)>,
    places: Vec<Place>,
    /// Rows of a piece.
    n_rows: usize,
    /// Bytes of a piece.
    bytes: usize,
}

/// Bytes of a value in a piece; texts have none there.
fn fixed(kind: ColumnType) -> usize {
    if kind == ColumnType::Text { 0 } else { super::width(kind) }
}

impl Layout {
    fn new(header: Vec<(String, ColumnType)>) -> Self {
        let row: usize = header.iter().map(|(_, kind)| fixed(*kind)).sum();
        // A multiple of 8, so that every column starts on one.
        let n_rows = (PIECE / row.max(1)).clamp(64, 1 << 20) / 8 * 8;
        let mut bytes = 0;
        let places = header.iter().map(|(_, kind)| {
            let place = Place { kind: *kind, offset: bytes };
            bytes += fixed(*kind) * n_rows;
            place
        });
        let places = places.collect();
        Self { header, places, n_rows, bytes }
    }
}

/// A table that is being written.
pub(super) struct Spilling {
    layout: Layout,
    file: File,
    scratch: PathBuf,
    /// Rows written of each column.
    written: Vec<usize>,
    nulls: Vec<Option<usize>>,
    texts: Vec<Vec<String>>,
}

impl Spilling {
    pub(super) fn new(header: Vec<(String, ColumnType)>, scratch: &Path) -> Result<Self, StoreError> {
        let file = tempfile::tempfile_in(scratch).map_err(|e| StoreError::io("write into", scratch, e))?;
        let n = header.len();
        let layout = Layout::new(header);
        let (written, nulls, texts) = (vec![0; n], vec![None; n], vec![Vec::new(); n]);
        Ok(Self { layout, file, scratch: scratch.to_owned(), written, nulls, texts })
    }

    /// Puts values of column `nth` behind those that are there; `first_row` is the first one's row, `null` the first
    /// without a value. `false` where the column is of another type, or out of order.
    pub(super) fn write(
        &mut self,
        nth: usize,
        first_row: usize,
        column: &Column,
        null: Option<usize>,
    ) -> Result<bool, StoreError> {
        let place = self.layout.places[nth];
        if column.column_type() != place.kind || self.written[nth] != first_row {
            return Ok(false);
        }
        self.written[nth] += column.len();
        self.nulls[nth] = self.nulls[nth].or(null);
        let flags: Vec<u8>;
        let (bytes, width): (&[u8], usize) = match column {
            Column::F32(v) => (bytemuck::cast_slice(v), 4),
            Column::F64(v) => (bytemuck::cast_slice(v), 8),
            Column::I64(v) => (bytemuck::cast_slice(v), 8),
            Column::Bool(v) => {
                flags = v.iter().map(|&flag| u8::from(flag)).collect();
                (&flags, 1)
            }
            Column::Text(v) => {
                // Of varying length, and rare among what graphs are fed with: these stay in memory.
                self.texts[nth].extend_from_slice(v);
                return Ok(true);
            }
        };
        let (mut row, mut rest) = (first_row, bytes);
        while !rest.is_empty() {
            let (piece, at) = (row / self.layout.n_rows, row % self.layout.n_rows);
            let n = (self.layout.n_rows - at).min(rest.len() / width);
            let (now, later) = rest.split_at(n * width);
            let start = (piece * self.layout.bytes + place.offset + at * width) as u64;
            let done = self.file.seek(SeekFrom::Start(start)).and_then(|_| self.file.write_all(now));
            done.map_err(|e| StoreError::io("write into", &self.scratch, e))?;
            (row, rest) = (row + n, later);
        }
        Ok(true)
    }

    /// Rows, where there are columns.
    pub(super) fn n_rows(&self) -> usize {
        self.written.first().copied().unwrap_or(0)
    }

    /// The table; `None` where a column is not as long as the others.
    pub(super) fn finish(self, path: &Path, rows: RowIndex) -> Option<Spilled> {
        if self.written.iter().any(|&n| n != rows.len()) {
            return None;
        }
        let whole = rows.len().div_ceil(self.layout.n_rows) * self.layout.bytes;
        // The last piece is as long as the others.
        self.file.set_len(whole as u64).ok()?;
        let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        Some(Spilled {
            path: path.to_owned(),
            layout: self.layout,
            file: self.file,
            rows,
            nulls: self.nulls,
            texts: self.texts.into_iter().map(Column::Text).collect(),
            most: (2 * threads).max(4),
            read: Mutex::default(),
        })
    }
}

/// Bytes; as words, so that values of any type are aligned.
type Words = Arc<Vec<u64>>;

/// A table that lies in pieces in a file without a name.
#[derive(Debug)]
pub(super) struct Spilled {
    path: PathBuf,
    layout: Layout,
    file: File,
    rows: RowIndex,
    nulls: Vec<Option<usize>>,
    texts: Vec<Column>,
    /// Pieces that may be in memory.
    most: usize,
    read: Mutex<Pieces>,
}

/// What is in memory, and what was spent on pieces that are not.
#[derive(Debug, Default)]
struct Pieces {
    /// The last used behind.
    held: VecDeque<(usize, Words)>,
    /// Of each piece the cost of what was read of it alone, in bytes.
    spent: HashMap<usize, usize>,
}

/// Some rows of some columns, and the first byte of each column.
struct Window {
    words: Words,
    starts: Vec<usize>,
}

impl Spilled {
    /// The columns over `rows`, which lie in one piece.
    ///
    /// A piece that is not in memory is read whole once what was read of it alone has cost as much: rows front to back
    /// come from whole pieces, those of events here and there by themselves, and nobody pays more than twice.
    fn window(&self, rows: &Range<usize>, columns: &[usize]) -> io::Result<Window> {
        let (piece, at) = (rows.start / self.layout.n_rows, rows.start % self.layout.n_rows);
        let places = || columns.iter().map(|&column| self.layout.places[column]);
        let whole = |words| {
            let starts = places().map(|place| place.offset + at * fixed(place.kind)).collect();
            Window { words, starts }
        };
        let cost: usize = places().map(|place| ASKING + rows.len() * fixed(place.kind)).sum();
        let reused = {
            let mut pieces = self.read.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(held) = pieces.held.iter().position(|(known, _)| *known == piece) {
                let found = pieces.held.remove(held);
                let words = found.map(|(_, words)| words).unwrap_or_default();
                pieces.held.push_back((piece, Arc::clone(&words)));
                return Ok(whole(words));
            }
            let spent = pieces.spent.entry(piece).or_default();
            *spent += cost;
            if *spent < self.layout.bytes {
                None
            } else {
                *spent = 0;
                let oldest = if pieces.held.len() >= self.most { pieces.held.pop_front() } else { None };
                Some(oldest.and_then(|(_, words)| Arc::try_unwrap(words).ok()).unwrap_or_default())
            }
        };
        // Read without the lock: others go on with what is there.
        let start = (piece * self.layout.bytes) as u64;
        let Some(mut words) = reused else {
            let length = |place: Place| (rows.len() * fixed(place.kind)).next_multiple_of(8);
            let mut words = vec![0_u64; places().map(length).sum::<usize>() / 8];
            let bytes: &mut [u8] = bytemuck::cast_slice_mut(&mut words);
            let (mut starts, mut next) = (Vec::with_capacity(columns.len()), 0);
            for place in places() {
                let n = rows.len() * fixed(place.kind);
                read_at(
                    &self.file,
                    start + (place.offset + at * fixed(place.kind)) as u64,
                    &mut bytes[next..next + n],
                )?;
                starts.push(next);
                next += length(place);
            }
            return Ok(Window { words: Arc::new(words), starts });
        };
        words.resize(self.layout.bytes / 8, 0);
        read_at(&self.file, start, bytemuck::cast_slice_mut(&mut words))?;
        let words = Arc::new(words);
        let mut pieces = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        pieces.held.push_back((piece, Arc::clone(&words)));
        drop(pieces);
        Ok(whole(words))
    }

    /// The values of `column` over `rows`, which start with byte `start` of `words`.
    fn view<'v>(
        &'v self,
        column: usize,
        words: &'v [u64],
        start: usize,
        rows: &Range<usize>,
    ) -> Result<ColumnView<'v>, SourceError> {
        let kind = self.layout.places[column].kind;
        let bytes: &[u8] = &bytemuck::cast_slice(words)[start..][..rows.len() * fixed(kind)];
        Ok(match kind {
            ColumnType::F32 => ColumnView::F32(bytemuck::cast_slice(bytes)),
            ColumnType::F64 => ColumnView::F64(bytemuck::cast_slice(bytes)),
            ColumnType::I64 => ColumnView::I64(bytemuck::cast_slice(bytes)),
            ColumnType::Bool => {
                let flags = bytemuck::checked::try_cast_slice(bytes);
                ColumnView::Bool(flags.map_err(|_| SourceError(format!("{}: its copy changed", self.place())))?)
            }
            ColumnType::Text => self.texts[column].view(rows.clone()),
        })
    }
}

impl TableSource for Spilled {
    fn n_rows(&self) -> usize {
        self.rows.len()
    }

    fn columns(&self) -> &[(String, ColumnType)] {
        &self.layout.header
    }

    fn rows(&self) -> &RowIndex {
        &self.rows
    }

    fn read(&self, rows: Range<usize>, columns: &[usize]) -> Result<Vec<Column>, SourceError> {
        let mut all: Vec<Column> = Vec::new();
        self.visit(rows, columns, &mut |_, views| {
            if all.is_empty() {
                all = views.iter().map(ColumnView::to_column).collect();
            } else {
                all.iter_mut().zip(views).for_each(|(column, view)| {
                    // A column's type is the same in every piece.
                    let _ = column.extend(*view);
                });
            }
        })?;
        Ok(all)
    }

    fn visit(&self, rows: Range<usize>, columns: &[usize], take: &mut TakePiece<'_>) -> Result<(), SourceError> {
        if rows.start > rows.end || rows.end > self.rows.len() {
            return Err(SourceError(format!("{} has no rows {rows:?}", self.place())));
        }
        for &column in columns {
            let (name, _) =
                self.layout.header.get(column).ok_or_else(|| SourceError(format!("no column number {column}")))?;
            if let Some(row) = self.nulls[column] {
                let error = StoreError::Null {
                    path: self.path.clone(),
                    column: name.clone(),
                    row,
                    id: self.rows.id(row).into_owned(),
                };
                return Err(SourceError(error.to_string()));
            }
        }
        let mut start = rows.start;
        while start < rows.end {
            let piece = start / self.layout.n_rows;
            let part = start..rows.end.min((piece + 1) * self.layout.n_rows);
            let window = self.window(&part, columns);
            let Window { words, starts } =
                window.map_err(|e| SourceError(format!("the copy of {}: {e}", self.place())))?;
            let each = columns.iter().zip(starts);
            let views = each.map(|(&column, start)| self.view(column, &words, start, &part));
            take(part.clone(), &views.collect::<Result<Vec<_>, _>>()?);
            start = part.end;
        }
        Ok(())
    }

    fn place(&self) -> String {
        self.path.display().to_string()
    }
}

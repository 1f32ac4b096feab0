//! Arrays of any number of dimensions (npy, npz), read where they lie: a row is everything behind the first dimension.

use super::StreamOptions;
use crate::{
    error::StoreError,
    npy::{Array, Header},
    npz,
    table::IdSpec,
};
use blend_core::{
    RowIndex, TableSource,
    source::{Column, ColumnType, SourceError},
};
use std::{
    fs::File,
    io,
    ops::Range,
    path::{Path, PathBuf},
};

/// Longest header that is looked for.
const HEADER: u64 = 1 << 20;

/// Reads `into` from byte `start` of the file on, wherever others read.
pub(super) fn read_at(file: &File, start: u64, into: &mut [u8]) -> io::Result<()> {
    #[cfg(unix)]
    {
        std::os::unix::fs::FileExt::read_exact_at(file, into, start)
    }
    #[cfg(windows)]
    {
        let (mut start, mut rest) = (start, into);
        while !rest.is_empty() {
            match std::os::windows::fs::FileExt::seek_read(file, rest, start)? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                n => (start, rest) = (start + n as u64, &mut rest[n..]),
            }
        }
        Ok(())
    }
}

/// An array in a file.
#[derive(Debug)]
pub(super) struct Rows {
    place: PathBuf,
    file: File,
    /// Where its values start.
    start: u64,
    array: Header,
    rows: RowIndex,
    header: Vec<(String, ColumnType)>,
}

/// Opens the npy file at `path`, or the wanted array of the npz file.
pub(super) fn open(path: &Path, options: &StreamOptions) -> Result<Rows, StoreError> {
    let failed = |e| StoreError::io("open", path, e);
    let file = File::open(path).map_err(failed)?;
    let length = file.metadata().map_err(failed)?.len();
    if length == 0 {
        return Err(StoreError::Empty { path: path.to_owned() });
    }
    if path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("npy")) {
        return Rows::new(path.to_owned(), file, 0..length, options, None);
    }
    let found = npz::find(path, &options.id, options.rows.is_some(), options.array.as_deref())?;
    let (file, range) = match found.stored {
        Some(range) => (file, range),
        None => {
            // Packed: laid out once, without a name.
            let mut plain = tempfile::tempfile_in(&options.scratch)
                .map_err(|e| StoreError::io("write into", &options.scratch, e))?;
            let length = npz::unpack(path, &found.array, &mut plain)?;
            (plain, 0..length)
        }
    };
    let place = PathBuf::from(format!("{}:{}", path.display(), found.array));
    Rows::new(place, file, range, options, found.ids)
}

impl Rows {
    fn new(
        place: PathBuf,
        file: File,
        range: Range<u64>,
        options: &StreamOptions,
        ids: Option<RowIndex>,
    ) -> Result<Self, StoreError> {
        let mut head = vec![0; (range.end - range.start).min(HEADER) as usize];
        read_at(&file, range.start, &mut head).map_err(|e| StoreError::io("read", &place, e))?;
        let (array, at) = Header::parse(&place, &head)?;
        array.check_length(&place, range.end - range.start - at as u64)?;
        let Some((&n_rows, inner)) = array.shape().split_first() else {
            return Err(StoreError::corrupt(&place, "it is a single value, a table has rows"));
        };
        let rows = match (ids, &options.id, &options.rows) {
            (Some(rows), ..) => Ok(rows),
            (None, IdSpec::Rows(rows), _) | (None, _, Some(rows)) => Ok(rows.clone()),
            (None, ..) => RowIndex::positions(n_rows),
        };
        let rows = rows.map_err(|source| StoreError::Ids { path: place.clone(), source })?;
        if rows.len() != n_rows {
            return Err(StoreError::RowCount { path: place, found: n_rows, wanted: rows.len() });
        }
        let kind = array.kind();
        let header = (0..inner.iter().product()).map(|column| (column.to_string(), kind)).collect();
        Ok(Self { place, file, start: range.start + at as u64, array, rows, header })
    }

    fn width(&self) -> usize {
        self.header.len()
    }

    fn check(&self, rows: &Range<usize>, columns: &[usize]) -> Result<(), SourceError> {
        if rows.start > rows.end || rows.end > self.rows.len() {
            return Err(SourceError(format!("{} has no rows {rows:?}", self.place())));
        }
        match columns.iter().find(|column| **column >= self.width()) {
            Some(column) => Err(SourceError(format!("no column number {column}"))),
            None => Ok(()),
        }
    }

    fn bytes(&self, elements: Range<usize>, into: &mut [u8]) -> Result<(), SourceError> {
        let start = self.start + (elements.start * self.array.size()) as u64;
        read_at(&self.file, start, into).map_err(|error| SourceError(format!("{}: {error}", self.place())))
    }
}

impl TableSource for Rows {
    fn n_rows(&self) -> usize {
        self.rows.len()
    }

    fn columns(&self) -> &[(String, ColumnType)] {
        &self.header
    }

    fn rows(&self) -> &RowIndex {
        &self.rows
    }

    fn read(&self, rows: Range<usize>, columns: &[usize]) -> Result<Vec<Column>, SourceError> {
        self.check(&rows, columns)?;
        let (n, width, size) = (rows.len(), self.width(), self.array.size());
        if self.array.is_fortran() {
            // Column after column. Of more than two dimensions the columns' order is another one.
            let order = self.array.column_order();
            let one = |&column: &usize| {
                let mut bytes = vec![0; n * size];
                let first = order(column) * self.rows.len() + rows.start;
                self.bytes(first..first + n, &mut bytes)?;
                Ok(Array::new(&self.array, &bytes).column(0, 1, n))
            };
            return columns.iter().map(one).collect();
        }
        let mut bytes = vec![0; n * width * size];
        self.bytes(rows.start * width..rows.end * width, &mut bytes)?;
        let array = Array::new(&self.array, &bytes);
        Ok(columns.iter().map(|&column| array.column(column, width, n)).collect())
    }

    fn read_rows(&self, rows: Range<usize>, columns: &[usize], out: &mut [f32]) -> Result<bool, SourceError> {
        let whole = columns.iter().copied().eq(0..self.width());
        if !whole || !self.array.is_plain_f32() || out.len() != rows.len() * self.width() {
            return Ok(false);
        }
        self.check(&rows, columns)?;
        self.bytes(rows.start * self.width()..rows.end * self.width(), bytemuck::cast_slice_mut(out))?;
        Ok(true)
    }

    fn place(&self) -> String {
        self.place.display().to_string()
    }
}

//! Parquet, some columns of a row group at a time.

use super::{Part, Parts, together, types_of, width};
use crate::{error::StoreError, frame, table::Raw};
use blend_core::source::ColumnType;
use polars::{
    io::parquet::metadata::FileMetadataRef,
    prelude::{ParallelStrategy, ParquetReader, SerReader},
};
use std::{
    fs::File,
    path::{Path, PathBuf},
};

pub(super) struct Parquet {
    path: PathBuf,
    file: File,
    metadata: FileMetadataRef,
    names: Vec<String>,
    types: Vec<Option<ColumnType>>,
    /// Rows of each row group.
    groups: Vec<usize>,
}

/// Columns whose types are read at a time.
const COLUMNS: usize = 16;

/// The file, where it holds more than `whole` bytes of values; `None` also where it is damaged.
pub(super) fn open(path: &Path, file: File, whole: u64) -> Option<Parquet> {
    let (names, metadata) = frame::guarded(path, || {
        let mut reader = ParquetReader::new(file.try_clone()?);
        let names: Vec<String> = reader.schema()?.iter_names().map(ToString::to_string).collect();
        Ok((names, reader.get_metadata()?.clone()))
    })
    .ok()?;
    let groups = metadata.row_groups.iter().map(|group| group.num_rows()).collect();
    let mut it = Parquet { path: path.to_owned(), file, metadata, types: Vec::new(), names, groups };
    let n_rows: usize = it.groups.iter().sum();
    // Even of the widest values it would be little.
    if n_rows.saturating_mul(it.names.len()).saturating_mul(8) as u64 <= whole {
        return None;
    }
    // Some columns at a time: a row's pages are large, and all columns' together are the file.
    for start in (0..it.names.len()).step_by(COLUMNS) {
        let columns = start..(start + COLUMNS).min(it.names.len());
        it.types.extend(types_of(&it.read((0, 1), columns).ok()?));
    }
    let row: usize = it.types.iter().flatten().map(|kind| width(*kind)).sum();
    (it.types.len() == it.names.len() && (n_rows * row) as u64 > whole).then_some(it)
}

impl Parquet {
    fn read(&self, slice: (usize, usize), columns: std::ops::Range<usize>) -> Result<Vec<Raw>, StoreError> {
        let frame = frame::guarded(&self.path, || {
            let mut reader = ParquetReader::new(self.file.try_clone()?);
            reader.set_metadata(self.metadata.clone());
            reader
                .read_parallel(ParallelStrategy::None)
                .set_rechunk(false)
                .with_slice(Some(slice))
                .with_projection(Some(columns.collect()))
                .finish()
        })?;
        frame::columns(&self.path, &frame)
    }
}

impl Parts for Parquet {
    fn names(&self) -> Vec<String> {
        self.names.clone()
    }

    fn types(&self) -> &[Option<ColumnType>] {
        &self.types
    }

    fn each(&mut self, take: &mut dyn FnMut(Part) -> Result<bool, StoreError>) -> Result<(), StoreError> {
        let widths: Vec<usize> = self.types.iter().map(|kind| kind.map_or(0, width)).collect();
        let mut first_row = 0;
        for &n_rows in &self.groups {
            let mut start = 0;
            while start < self.names.len() {
                let end = start + together(&widths, start, n_rows);
                let raws = self.read((first_row, n_rows), start..end)?;
                if !take(Part { first_row, columns: (start..end).zip(raws).collect() })? {
                    return Ok(());
                }
                start = end;
            }
            first_row += n_rows;
        }
        Ok(())
    }
}

//! Feather v2, some columns of a record batch at a time.

use super::{Part, Parts, together, types_of, width};
use crate::{
    error::StoreError,
    frame,
    table::{Cells, Raw},
};
use blend_core::source::ColumnType;
use polars::prelude::DataFrame;
use polars_arrow::io::ipc::read::{FileMetadata, FileReader, read_file_metadata};
use std::{
    fs::File,
    io::BufReader,
    ops::Range,
    path::{Path, PathBuf},
};

pub(super) struct Feather {
    path: PathBuf,
    file: File,
    metadata: FileMetadata,
    types: Vec<Option<ColumnType>>,
}

/// The file; `None` where it is damaged.
pub(super) fn open(path: &Path, file: File) -> Option<Feather> {
    let metadata = frame::guarded(path, || read_file_metadata(&mut BufReader::new(file.try_clone()?))).ok()?;
    let mut it = Feather { path: path.to_owned(), file, metadata, types: Vec::new() };
    // What the schema's types become is seen of the first row.
    let n = it.metadata.schema.len();
    it.types = types_of(&it.read(0, 0..n, Some(1)).ok()?);
    (it.types.len() == n).then_some(it)
}

impl Feather {
    fn read(&self, batch: usize, columns: Range<usize>, n_rows: Option<usize>) -> Result<Vec<Raw>, StoreError> {
        let frame = frame::guarded(&self.path, || {
            let file = BufReader::new(self.file.try_clone()?);
            let mut reader = FileReader::new(file, self.metadata.clone(), Some(columns.collect()), n_rows);
            reader.set_current_block(batch);
            reader.next().transpose().map(|batch| batch.map(DataFrame::from))
        })?;
        frame.map_or_else(|| Ok(Vec::new()), |frame| frame::columns(&self.path, &frame))
    }
}

impl Parts for Feather {
    fn names(&self) -> Vec<String> {
        self.metadata.schema.iter_names().map(ToString::to_string).collect()
    }

    fn types(&self) -> &[Option<ColumnType>] {
        &self.types
    }

    fn each(&mut self, take: &mut dyn FnMut(Part) -> Result<bool, StoreError>) -> Result<(), StoreError> {
        let widths: Vec<usize> = self.types.iter().map(|kind| kind.map_or(0, width)).collect();
        let mut first_row = 0;
        for batch in 0..self.metadata.blocks.len() {
            // How long the batch is, its first column says.
            let (mut start, mut end, mut n_rows) = (0, 1, 0);
            while start < self.types.len() {
                let raws = self.read(batch, start..end, None)?;
                let rows = raws.iter().find_map(|raw| match &raw.cells {
                    Cells::Small(values) => Some(values.len()),
                    Cells::Typed(column, _) => Some(column.len()),
                    Cells::Other(_) => None,
                });
                n_rows = rows.unwrap_or(n_rows);
                if !take(Part { first_row, columns: (start..end).zip(raws).collect() })? {
                    return Ok(());
                }
                start = end;
                if start < self.types.len() {
                    end = start + together(&widths, start, n_rows.max(1));
                }
            }
            first_row += n_rows;
        }
        Ok(())
    }
}

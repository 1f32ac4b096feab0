//! Parquet.

use crate::{
    error::StoreError,
    frame,
    table::{IdSpec, Raw, ReadOptions},
};
use polars::prelude::{ParallelStrategy, ParquetReader, SerReader};
use std::{fs::File, path::Path};

/// The columns of a parquet file that `options` ask for, the id first among them; all, where they ask for one that is
/// not there (the caller names it) or for the first column as id.
pub(crate) fn read(path: &Path, options: &ReadOptions) -> Result<Vec<Raw>, StoreError> {
    let file = File::open(path).map_err(|e| StoreError::io("open", path, e))?;
    let frame = frame::guarded(path, || {
        // Files are read in parallel by the caller, who knows how many threads there may be.
        let mut reader = ParquetReader::new(file).read_parallel(ParallelStrategy::None).set_rechunk(false);
        let schema = reader.schema()?;
        let id = match &options.id {
            IdSpec::FirstColumn => schema.iter_names().next().map(ToString::to_string),
            IdSpec::Column(name) => Some(name.clone()),
            IdSpec::Rows(_) | IdSpec::Positions => None,
        };
        let wanted: Option<Vec<String>> =
            options.columns.as_ref().map(|columns| id.iter().chain(columns).cloned().collect());
        let wanted = wanted.filter(|wanted| wanted.iter().all(|name| schema.contains(name)));
        reader.with_columns(wanted).finish()
    })?;
    frame::columns(path, &frame)
}

//! Stored outputs of base models: Feather v2, uncompressed, one record batch per block of [`BLOCK_ROWS`] rows, so that
//! a block of an output is one contiguous piece of the file. It is mapped, not read: pages come from the file when a
//! block is used and go when memory is short.

use crate::{
    atomic,
    error::StoreError,
    frame,
    ipc::{self, IdBytes, Layout, Place},
    table::{IdSpec, Raw, ReadOptions, Table},
};
use blend_core::{
    BLOCK_ROWS, BlockSource, Fingerprint, RowIndex, Slice, TableSource,
    fingerprint::Fingerprinter,
    source::{ColumnType, OwnedBlocks},
};
use memmap2::Mmap;
use polars::prelude::{IpcReader, PolarsResult, SerReader};
use polars_arrow::{
    array::{Array, PrimitiveArray, Utf8Array},
    datatypes::{ArrowDataType, ArrowSchema, Field},
    io::ipc::write::{FileWriter, WriteOptions},
    record_batch::RecordBatchT,
};
use rayon::prelude::*;
use std::{
    collections::BTreeMap,
    fs::File,
    io::{BufWriter, Write},
    path::Path,
    sync::Arc,
};

/// The layout's version, in the schema metadata under [`FORMAT_KEY`].
pub const FORMAT: &str = "1";
/// Metadata key of the layout's version.
pub const FORMAT_KEY: &str = "blend.format";
/// Metadata key of the fingerprint recorded when the file was written.
pub const FINGERPRINT_KEY: &str = "blend.fingerprint";

/// The outputs of one model on one set of rows, `(n_rows, n_outputs)`.
#[derive(Clone)]
pub struct Outputs {
    /// Ids, in the file's order.
    pub rows: RowIndex,
    /// Name of the id column.
    pub id_name: String,
    /// Names of the outputs.
    pub columns: Vec<String>,
    /// The values, f32 or f64.
    pub values: Arc<dyn BlockSource>,
    /// Computed from ids, names, type and values as they are now.
    pub fingerprint: Fingerprint,
    /// The fingerprint recorded in the file, `None` in a file from elsewhere.
    pub recorded: Option<Fingerprint>,
    /// All schema metadata.
    pub metadata: BTreeMap<String, String>,
    /// Whether the values are the file's own pages; else they were copied (compressed, or cut into other batches).
    pub mapped: bool,
}

impl Outputs {
    /// Refuses content that is not what was recorded. `path` is for the message.
    ///
    /// Errors: [`StoreError::Changed`].
    pub fn verify(&self, path: &Path) -> Result<(), StoreError> {
        match self.recorded {
            Some(recorded) if recorded != self.fingerprint => {
                Err(StoreError::Changed { path: path.to_owned(), recorded, found: self.fingerprint })
            }
            _ => Ok(()),
        }
    }

    /// The values in the order of `wanted`: these very pages where that is the order already, else a copy. `path` is
    /// for the message.
    ///
    /// Errors: [`StoreError::Align`], where the ids are not the wanted ones.
    pub fn in_order(&self, path: &Path, wanted: &RowIndex) -> Result<Arc<dyn BlockSource>, StoreError> {
        let order = wanted
            .align(&self.rows)
            .map_err(|source| StoreError::Align { place: format!("`{}`", path.display()), source })?;
        let Some(order) = order else { return Ok(self.values.clone()) };
        let column = |output: usize| {
            order.iter().map(move |&row| (row as usize / BLOCK_ROWS, row as usize % BLOCK_ROWS, output))
        };
        let value = |(block, row, output)| self.values.slice(block, output).get(row);
        let outputs = 0..self.columns.len();
        Ok(Arc::new(if self.values.value_bytes() == 8 {
            OwnedBlocks::F64(outputs.map(|output| column(output).map(value).collect()).collect())
        } else {
            OwnedBlocks::F32(outputs.map(|output| column(output).map(|at| value(at) as f32).collect()).collect())
        }))
    }
}

impl std::fmt::Debug for Outputs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Outputs")
            .field("rows", &self.rows)
            .field("columns", &self.columns)
            .field("fingerprint", &self.fingerprint)
            .field("mapped", &self.mapped)
            .finish_non_exhaustive()
    }
}

/// BLAKE3 of ids, output names, type and little-endian values.
///
/// Every block of every output is hashed on its own and then the hashes, block by block: the grid is fixed, so the
/// number of threads changes nothing.
#[must_use]
pub fn fingerprint(rows: &RowIndex, columns: &[String], values: &dyn BlockSource) -> Fingerprint {
    let mut hash = Fingerprinter::new("outputs");
    hash.bytes(rows.fingerprint().as_bytes()).length(columns.len());
    for column in columns {
        hash.bytes(column.as_bytes());
    }
    hash.bytes(if values.value_bytes() == 8 { b"f64" } else { b"f32" }).length(values.n_rows());
    let blocks: Vec<Vec<Fingerprint>> = (0..values.n_blocks())
        .into_par_iter()
        .map(|block| (0..values.n_outputs()).map(|output| of_slice(values.slice(block, output))).collect())
        .collect();
    for block in blocks.iter().flatten() {
        hash.raw(block.as_bytes());
    }
    hash.finish()
}

fn of_slice(slice: Slice<'_>) -> Fingerprint {
    match slice {
        Slice::F32(values) if cfg!(target_endian = "little") => Fingerprint::of(bytemuck::cast_slice(values)),
        Slice::F64(values) if cfg!(target_endian = "little") => Fingerprint::of(bytemuck::cast_slice(values)),
        Slice::F32(values) => Fingerprint::of(&values.iter().flat_map(|x| x.to_le_bytes()).collect::<Vec<u8>>()),
        Slice::F64(values) => Fingerprint::of(&values.iter().flat_map(|x| x.to_le_bytes()).collect::<Vec<u8>>()),
    }
}

/// Publishes `values` (`(rows.len(), columns.len())`, f32 or f64 as they come) at `path`, whole or not at all, with
/// `metadata`, the format's version and the fingerprint in the schema; these two overrule `metadata`.
///
/// Errors: shapes that differ, a name twice, [`StoreError::Io`], [`StoreError::Latched`].
pub fn write(
    path: &Path,
    rows: &RowIndex,
    id_name: &str,
    columns: &[String],
    values: &dyn BlockSource,
    metadata: &BTreeMap<String, String>,
) -> Result<Fingerprint, StoreError> {
    check_to_write(path, rows, id_name, columns, values)?;
    let fingerprint = fingerprint(rows, columns, values);
    let latched = |values: &dyn BlockSource| match values.latched() {
        Some(what) => Err(StoreError::Latched { path: path.to_owned(), what }),
        None => Ok(()),
    };
    latched(values)?;
    let mut metadata = metadata.clone();
    metadata.insert(FORMAT_KEY.to_owned(), FORMAT.to_owned());
    metadata.insert(FINGERPRINT_KEY.to_owned(), fingerprint.to_string());
    atomic::publish(path, |file| {
        let mut out = BufWriter::with_capacity(1 << 20, file);
        frame::guarded(path, || write_batches(&mut out, rows, id_name, columns, values, &metadata))?;
        out.flush().map_err(|e| StoreError::io("write", path, e))?;
        latched(values)
    })?;
    Ok(fingerprint)
}

fn check_to_write(
    path: &Path,
    rows: &RowIndex,
    id_name: &str,
    columns: &[String],
    values: &dyn BlockSource,
) -> Result<(), StoreError> {
    if columns.is_empty() || values.n_outputs() != columns.len() {
        let (found, wanted) = (values.n_outputs(), columns.len());
        return Err(StoreError::ColumnCount { path: path.to_owned(), found, wanted });
    }
    if values.n_rows() != rows.len() {
        return Err(StoreError::RowCount { path: path.to_owned(), found: values.n_rows(), wanted: rows.len() });
    }
    for (i, column) in columns.iter().enumerate() {
        if column == id_name || columns[..i].contains(column) {
            return Err(StoreError::DuplicateColumn { path: path.to_owned(), column: column.clone() });
        }
    }
    Ok(())
}

fn write_batches(
    out: &mut impl Write,
    rows: &RowIndex,
    id_name: &str,
    columns: &[String],
    values: &dyn BlockSource,
    metadata: &BTreeMap<String, String>,
) -> PolarsResult<()> {
    let float = if values.value_bytes() == 8 { ArrowDataType::Float64 } else { ArrowDataType::Float32 };
    let id = if rows.as_ints().is_some() { ArrowDataType::Int64 } else { ArrowDataType::LargeUtf8 };
    let mut schema = ArrowSchema::with_capacity(columns.len() + 1);
    schema.insert(id_name.into(), Field::new(id_name.into(), id, false));
    for column in columns {
        schema.insert(column.as_str().into(), Field::new(column.as_str().into(), float.clone(), false));
    }
    let schema = Arc::new(schema);
    let mut writer = FileWriter::new(out, schema.clone(), None, WriteOptions { compression: None });
    let metadata = metadata.iter().map(|(key, value)| (key.as_str().into(), value.as_str().into())).collect();
    writer.set_custom_schema_metadata(Arc::new(metadata));
    writer.start()?;
    for block in 0..values.n_blocks() {
        let start = block * BLOCK_ROWS;
        let end = (start + BLOCK_ROWS).min(rows.len());
        let ids: Box<dyn Array> = match rows.as_ints() {
            Some(ids) => Box::new(PrimitiveArray::<i64>::from_slice(&ids[start..end])),
            None => Box::new(Utf8Array::<i64>::from_iter_values((start..end).map(|row| rows.id(row)))),
        };
        let mut arrays = Vec::with_capacity(columns.len() + 1);
        arrays.push(ids);
        arrays.extend((0..columns.len()).map(|output| -> Box<dyn Array> {
            match values.slice(block, output) {
                Slice::F32(values) => Box::new(PrimitiveArray::<f32>::from_slice(values)),
                Slice::F64(values) => Box::new(PrimitiveArray::<f64>::from_slice(values)),
            }
        }));
        writer.write(&RecordBatchT::try_new(end - start, schema.clone(), arrays)?, None)?;
    }
    writer.finish()
}

/// Maps the stored outputs at `path` and hashes them. The first column holds the ids, all others are outputs.
///
/// A file from elsewhere (compressed, other batches, integers, both float types) is copied to memory instead:
/// [`Outputs::mapped`] says so. A recorded fingerprint that differs is not an error here: see [`Outputs::verify`].
///
/// Errors: absent, not Feather v2, damaged, ids that do not name the rows, a column that is no number.
pub fn open(path: &Path) -> Result<Outputs, StoreError> {
    let file = File::open(path).map_err(|e| StoreError::io("open", path, e))?;
    let size = file.metadata().map_err(|e| StoreError::io("open", path, e))?;
    if size.is_dir() {
        return Err(StoreError::io("read", path, std::io::ErrorKind::IsADirectory.into()));
    }
    if size.len() == 0 {
        return Err(StoreError::Empty { path: path.to_owned() });
    }
    let map = map(&file).map_err(|e| StoreError::io("map", path, e))?;
    let layout = Layout::of(&map).map_err(|e| damaged(path, e))?;
    if let Some(found) = layout.metadata.get(FORMAT_KEY).filter(|found| *found != FORMAT) {
        return Err(StoreError::FormatVersion { path: path.to_owned(), found: found.clone(), known: FORMAT });
    }
    let recorded = match layout.metadata.get(FINGERPRINT_KEY) {
        Some(text) => Some(text.parse().map_err(|e| StoreError::Corrupt {
            path: path.to_owned(),
            what: "its recorded fingerprint is none".to_owned(),
            source: Some(Box::new(e)),
        })?),
        None => None,
    };
    let Layout { metadata, id_name, columns, place } = layout;
    let (rows, columns, values, mapped): (_, _, Arc<dyn BlockSource>, _) = match place {
        Some(place) if place.n_rows > 0 => {
            let rows = read_ids(path, &map, &place)?;
            (rows, columns, Arc::new(Mapped { map, place }), true)
        }
        _ => {
            drop(map);
            let table = Table::read_as_feather(path, &ReadOptions { id: IdSpec::FirstColumn, ..Default::default() })?;
            let names = table.names();
            let blocks = copy(&table, &names)?;
            (table.rows().clone(), names, Arc::new(blocks), false)
        }
    };
    let fingerprint = fingerprint(&rows, &columns, &*values);
    Ok(Outputs { rows, id_name, columns, values, fingerprint, recorded, metadata, mapped })
}

fn damaged(path: &Path, error: ipc::IpcError) -> StoreError {
    StoreError::Corrupt { path: path.to_owned(), what: error.to_string(), source: Some(Box::new(error)) }
}

#[allow(unsafe_code)]
fn map(file: &File) -> std::io::Result<Mmap> {
    // SAFETY: a mapped file must not be changed while it is mapped. Everything here replaces files by renaming a
    // finished one over them (`atomic::publish`), which leaves the mapped one as it was. A foreign program that
    // truncates the file in place ends this process by a signal; it cannot make it read other memory.
    unsafe { Mmap::map(file) }
}

fn read_ids(path: &Path, bytes: &[u8], place: &Place) -> Result<RowIndex, StoreError> {
    let mut ints: Vec<i64> = Vec::new();
    let mut texts: Vec<Box<str>> = Vec::new();
    for batch in &place.ids {
        match batch {
            IdBytes::Int(range) => {
                ints.reserve(range.len() / 8);
                let (values, _) = bytes[range.clone()].as_chunks::<8>();
                ints.extend(values.iter().map(|value| i64::from_le_bytes(*value)));
            }
            IdBytes::Text { wide, offsets, text } => {
                ipc::texts(bytes, *wide, offsets.clone(), text.clone(), &mut texts).map_err(|e| damaged(path, e))?;
            }
        }
    }
    let index = if texts.is_empty() { RowIndex::from_ints(ints) } else { RowIndex::from_texts(texts) };
    index.map_err(|source| StoreError::Ids { path: path.to_owned(), source })
}

/// f32 where all columns are, else f64.
fn copy(table: &Table, names: &[String]) -> Result<OwnedBlocks, StoreError> {
    let width = if table.columns().iter().all(|(_, kind)| *kind == ColumnType::F32) {
        crate::align::Width::F32
    } else {
        crate::align::Width::F64
    };
    if names.is_empty() {
        return Err(StoreError::ColumnCount { path: table.path().to_owned(), found: 0, wanted: 1 });
    }
    crate::align::align(table, table.rows(), names, width)
}

/// Values that stay in their file.
struct Mapped {
    map: Mmap,
    place: Place,
}

impl BlockSource for Mapped {
    fn n_rows(&self) -> usize {
        self.place.n_rows
    }

    fn n_outputs(&self) -> usize {
        self.place.starts.len() / self.place.ids.len()
    }

    fn slice(&self, block: usize, output: usize) -> Slice<'_> {
        let n_rows = BLOCK_ROWS.min(self.place.n_rows - block * BLOCK_ROWS);
        let start = self.place.starts[block * self.n_outputs() + output];
        // Bounds and alignment were checked when the file was opened; a map starts on a page.
        if self.place.wide {
            Slice::F64(bytemuck::cast_slice(&self.map[start..start + n_rows * 8]))
        } else {
            Slice::F32(bytemuck::cast_slice(&self.map[start..start + n_rows * 4]))
        }
    }

    fn value_bytes(&self) -> usize {
        if self.place.wide { 8 } else { 4 }
    }
}

/// All columns of any Feather v2 file, copied.
pub(crate) fn read_columns(path: &Path) -> Result<Vec<Raw>, StoreError> {
    let file = File::open(path).map_err(|e| StoreError::io("open", path, e))?;
    let frame = frame::guarded(path, || IpcReader::new(file).set_rechunk(false).finish())?;
    frame::columns(path, &frame)
}

//! Tables of any length in bounded memory.
//!
//! A file of columns (parquet, Feather, CSV) is decoded once, some columns of some rows at a time, into an unnamed file
//! of plain values, from which it is then read piece by piece, in any order, as often as it is asked for. An array
//! (npy, npz) lies like that already and is read where it is. What is small is read whole, and so is what is damaged, to
//! say where.

mod array;
mod feather;
mod parquet;
mod spill;
mod text;

use crate::{
    error::StoreError,
    table::{Cells, IdSpec, Raw, ReadOptions, Table},
};
use blend_core::{
    RowIndex, TableSource,
    source::{Column, ColumnType},
};
use spill::{Spilled, Spilling};
use std::{
    fs::File,
    path::{Path, PathBuf},
    sync::Arc,
};

/// Bytes of values that are held in memory as a whole.
const WHOLE: u64 = 16 << 20;
/// Bytes of values that are decoded at a time, about.
const DECODED: usize = if cfg!(test) { 1 << 12 } else { 16 << 20 };

/// How a table is opened.
#[derive(Debug, Clone)]
pub struct StreamOptions {
    /// Where the ids are.
    pub id: IdSpec,
    /// The rows of an array without ids, in its order; called by their positions where absent.
    pub rows: Option<RowIndex>,
    /// The array wanted of an npz file with several.
    pub array: Option<String>,
    /// A folder for unnamed files, with room for the values.
    pub scratch: PathBuf,
    /// Bytes of values that are held in memory as a whole.
    pub whole: u64,
}

impl StreamOptions {
    /// Ids as `id` says, small tables in memory.
    #[must_use]
    pub fn new(id: IdSpec, scratch: PathBuf) -> Self {
        Self { id, rows: None, array: None, scratch, whole: WHOLE }
    }
}

/// Opens the table at `path`: in memory where it is small, else in pieces.
///
/// Errors: as [`Table::read`]; arrays may have any number of dimensions, of which the first is the row and all others
/// together are columns, the last one running fastest.
pub fn open(path: &Path, options: &StreamOptions) -> Result<Arc<dyn TableSource>, StoreError> {
    let name = path.file_name().map(|name| name.to_string_lossy().to_lowercase()).unwrap_or_default();
    if name.ends_with(".npy") || name.ends_with(".npz") {
        return Ok(Arc::new(array::open(path, options)?));
    }
    if let Some(spilled) = spill(path, &name, options)? {
        return Ok(Arc::new(spilled));
    }
    let read = ReadOptions { id: options.id.clone(), array: options.array.clone(), ..ReadOptions::default() };
    Ok(Arc::new(Table::read(path, &read)?))
}

/// Some columns over some rows of a file, by their numbers in the file.
struct Part {
    first_row: usize,
    columns: Vec<(usize, Raw)>,
}

/// A file that is decoded part by part: every column over every row once, rows of a column in order.
trait Parts {
    /// Names of all columns.
    fn names(&self) -> Vec<String>;
    /// Their types; `None` for one that has no place in a table.
    fn types(&self) -> &[Option<ColumnType>];
    /// Hands all parts to `take`, which says whether to go on.
    fn each(&mut self, take: &mut dyn FnMut(Part) -> Result<bool, StoreError>) -> Result<(), StoreError>;
}

/// The table in pieces; `None` where it has to be read whole, be it to say what is wrong with it.
fn spill(path: &Path, name: &str, options: &StreamOptions) -> Result<Option<Spilled>, StoreError> {
    let Ok(file) = File::open(path) else { return Ok(None) };
    let large = file.metadata().is_ok_and(|metadata| metadata.is_file() && metadata.len() > options.whole);
    let parts: Option<Box<dyn Parts>> = if name.ends_with(".parquet") {
        // The values may take more than the file.
        parquet::open(path, file, options.whole).map(|parts| Box::new(parts) as Box<dyn Parts>)
    } else if large && [".feather", ".arrow", ".ipc"].iter().any(|end| name.ends_with(end)) {
        feather::open(path, file).map(|parts| Box::new(parts) as Box<dyn Parts>)
    } else if name.ends_with(".csv") || name.ends_with(".csv.gz") {
        text::open(path, &options.id, options.whole).map(|parts| Box::new(parts) as Box<dyn Parts>)
    } else {
        None
    };
    match parts {
        Some(parts) => decode(path, parts, options),
        None => Ok(None),
    }
}

fn decode(path: &Path, mut parts: Box<dyn Parts>, options: &StreamOptions) -> Result<Option<Spilled>, StoreError> {
    let names = parts.names();
    let repeated = |(at, name): (usize, &String)| names[..at].contains(name);
    let id = match &options.id {
        IdSpec::FirstColumn => Some(0),
        IdSpec::Column(name) => match names.iter().position(|known| known == name) {
            Some(at) => Some(at),
            None => return Ok(None),
        },
        IdSpec::Rows(_) | IdSpec::Positions => None,
    };
    if names.iter().enumerate().any(repeated) {
        return Ok(None);
    }
    let kept: Vec<(usize, ColumnType)> =
        parts.types().iter().enumerate().filter_map(|(at, kind)| Some((at, (*kind)?))).collect();
    let kept: Vec<(usize, ColumnType)> = kept.into_iter().filter(|(at, _)| Some(*at) != id).collect();
    let mut place = vec![None; names.len()];
    kept.iter().enumerate().for_each(|(nth, (at, _))| place[*at] = Some(nth));
    let header = kept.iter().map(|(at, kind)| (names[*at].clone(), *kind)).collect();
    let mut spilling = Spilling::new(header, &options.scratch)?;
    let mut ids = IdColumn::default();
    let (mut whole, mut n_rows) = (true, 0);
    parts.each(&mut |part| {
        for (at, raw) in part.columns {
            let fits = match (raw.cells.widened(), place[at]) {
                (Cells::Typed(column, null), _) if Some(at) == id => {
                    n_rows += column.len();
                    null.is_none() && ids.extend(column)
                }
                (Cells::Typed(column, null), Some(nth)) => {
                    let null = null.map(|row| part.first_row + row);
                    spilling.write(nth, part.first_row, &column, null)?
                }
                _ => true,
            };
            whole = whole && fits;
        }
        Ok(whole)
    })?;
    if !whole {
        return Ok(None);
    }
    let n_rows = if id.is_some() { n_rows } else { spilling.n_rows() };
    let rows = match &options.id {
        IdSpec::Rows(rows) if rows.len() != n_rows => return Ok(None),
        IdSpec::Rows(rows) => Ok(rows.clone()),
        IdSpec::Positions => RowIndex::positions(n_rows),
        IdSpec::FirstColumn | IdSpec::Column(_) => ids.index(),
    };
    let rows = rows.map_err(|source| StoreError::Ids { path: path.to_owned(), source })?;
    Ok(spilling.finish(path, rows))
}

/// Ids as they come: numbers as long as all are, be it as text.
#[derive(Default)]
struct IdColumn {
    ints: Vec<i64>,
    texts: Vec<Box<str>>,
}

impl IdColumn {
    /// Whether the column could be taken.
    fn extend(&mut self, column: Column) -> bool {
        match column {
            Column::I64(ids) if self.texts.is_empty() => self.ints.extend(ids),
            Column::Text(ids) => ids.into_iter().for_each(|id| self.push(id)),
            _ => return false,
        }
        true
    }

    fn push(&mut self, id: String) {
        let int = id.parse::<i64>().ok().filter(|int| int.to_string() == id);
        match int {
            Some(int) if self.texts.is_empty() => self.ints.push(int),
            _ => {
                let before = self.ints.drain(..).map(|int| int.to_string().into_boxed_str());
                self.texts.extend(before);
                self.texts.push(id.into_boxed_str());
            }
        }
    }

    fn index(self) -> Result<RowIndex, blend_core::rows::RowIndexError> {
        if self.texts.is_empty() { RowIndex::from_ints(self.ints) } else { RowIndex::from_texts(self.texts) }
    }
}

/// How many of `widths` (bytes of a value each), from `start` on, are decoded together over `n_rows` rows.
fn together(widths: &[usize], start: usize, n_rows: usize) -> usize {
    let mut bytes = 0;
    let fits = |&&width: &&usize| {
        bytes += width * n_rows;
        bytes <= DECODED
    };
    widths[start..].iter().take_while(fits).count().max(1)
}

/// Bytes of a decoded value; a text's are a guess.
fn width(kind: ColumnType) -> usize {
    match kind {
        ColumnType::F32 => 4,
        ColumnType::F64 | ColumnType::I64 => 8,
        ColumnType::Bool => 1,
        ColumnType::Text => 48,
    }
}

/// The types of columns that were decoded.
fn types_of(raws: &[Raw]) -> Vec<Option<ColumnType>> {
    let kind = |raw: &Raw| match &raw.cells {
        Cells::Small(_) => Some(ColumnType::I64),
        Cells::Typed(column, _) => Some(column.column_type()),
        Cells::Other(_) => None,
    };
    raws.iter().map(kind).collect()
}

#[cfg(test)]
mod tests;

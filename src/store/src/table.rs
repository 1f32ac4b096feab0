//! Any table a person may hand us, typed, in memory.

use crate::{csv, error::StoreError, feather, frame, npy, npz, parquet};
use blend_core::{
    RowIndex, TableSource,
    source::{Column, ColumnType, ColumnView, SourceError, TakePiece},
};
use std::{
    borrow::Cow,
    fs::File,
    io::{self, Read},
    ops::Range,
    path::{Path, PathBuf},
};

/// Where the ids of the rows are.
#[derive(Debug, Clone, Default)]
pub enum IdSpec {
    /// The first column; in an npz file the array called `id`, `ids`, `row_id`, ...
    #[default]
    FirstColumn,
    /// The column (or npz array) of this name. Read as it is written: `007` stays `007`.
    Column(String),
    /// The file has no ids: its rows are those of this index, in this order.
    Rows(RowIndex),
    /// The file has no ids and needs none: rows are called `0`, `1`, ...
    Positions,
}

/// What of a file is wanted, and how.
#[derive(Debug, Clone, Default)]
pub struct ReadOptions {
    /// Where the ids are.
    pub id: IdSpec,
    /// The columns wanted, in this order; all but the id if `None`. For npy and npz, whose columns have no names: the
    /// names of all columns.
    pub columns: Option<Vec<String>>,
    /// Columns to be read as text, as they are written, whatever they look like: class labels, group names.
    pub text: Vec<String>,
    /// The array wanted of an npz file with several.
    pub array: Option<String>,
    /// Rows expected, where known.
    pub n_rows: Option<usize>,
    /// Columns expected (without the id), where known.
    pub n_columns: Option<usize>,
}

/// A table with unique row ids and typed columns.
#[derive(Debug, Clone)]
pub struct Table {
    path: PathBuf,
    id_name: Option<String>,
    rows: RowIndex,
    header: Vec<(String, ColumnType)>,
    cells: Vec<Stored>,
    /// Columns of types that have no place here, with the type: refused when asked for, not before.
    other: Vec<(String, String)>,
}

/// The values of a column and the first row without one, where there is such a row.
#[derive(Debug, Clone)]
enum Stored {
    /// Whole numbers that take a byte each, an eighth of what they take as a column.
    Small(Vec<i8>),
    Wide(Column, Option<usize>),
}

impl Stored {
    fn len(&self) -> usize {
        match self {
            Self::Small(values) => values.len(),
            Self::Wide(column, _) => column.len(),
        }
    }

    fn column_type(&self) -> ColumnType {
        match self {
            Self::Small(_) => ColumnType::I64,
            Self::Wide(column, _) => column.column_type(),
        }
    }

    /// The values at `rows`.
    fn slice(&self, rows: Range<usize>) -> Column {
        match self {
            Self::Small(v) => widened(&v[rows]),
            Self::Wide(Column::F32(v), _) => Column::F32(v[rows].to_vec()),
            Self::Wide(Column::F64(v), _) => Column::F64(v[rows].to_vec()),
            Self::Wide(Column::I64(v), _) => Column::I64(v[rows].to_vec()),
            Self::Wide(Column::Bool(v), _) => Column::Bool(v[rows].to_vec()),
            Self::Wide(Column::Text(v), _) => Column::Text(v[rows].to_vec()),
        }
    }
}

fn widened(small: &[i8]) -> Column {
    Column::I64(small.iter().copied().map(i64::from).collect())
}

/// A column as a file's reader hands it over.
#[derive(Debug)]
pub(crate) struct Raw {
    pub(crate) name: String,
    pub(crate) cells: Cells,
}

#[derive(Debug)]
pub(crate) enum Cells {
    /// Whole numbers from -128 to 127.
    Small(Vec<i8>),
    /// Values and the first row without one (there the value is a placeholder), refused when the column is asked for.
    Typed(Column, Option<usize>),
    /// The name of a type that has no place in a table.
    Other(String),
}

impl Cells {
    /// Without a narrow type.
    pub(crate) fn widened(self) -> Self {
        match self {
            Self::Small(values) => Self::Typed(widened(&values), None),
            cells => cells,
        }
    }
}

impl Table {
    /// Reads the file at `path`; the extension says which format it is in.
    ///
    /// Errors: every [`StoreError`] but those of alignment. A null in a float column is NaN, any other is refused when
    /// its column is asked for.
    pub fn read(path: &Path, options: &ReadOptions) -> Result<Self, StoreError> {
        let format = Format::of(path)?;
        refuse_empty_and_pickled(path)?;
        Self::read_format(path, format, options)
    }

    /// Reads a Feather file whatever it is called.
    pub(crate) fn read_as_feather(path: &Path, options: &ReadOptions) -> Result<Self, StoreError> {
        Self::read_format(path, Format::Feather, options)
    }

    fn read_format(path: &Path, format: Format, options: &ReadOptions) -> Result<Self, StoreError> {
        let (id_name, raws) = match format {
            Format::Csv => csv::read(path, options)?,
            Format::Parquet => frame::with_id(parquet::read(path, options)?, options),
            Format::Feather => frame::with_id(feather::read_columns(path)?, options),
            Format::Npy => (None, npy::read(path, options)?),
            Format::Npz => npz::read(path, options)?,
        };
        Self::assemble(path, id_name, raws, options)
    }

    /// A table made in memory; `place` stands for the file in messages.
    ///
    /// Errors: [`StoreError::DuplicateColumn`], [`StoreError::RowCount`].
    pub fn new(place: &Path, rows: RowIndex, columns: Vec<(String, Column)>) -> Result<Self, StoreError> {
        let raws = columns.into_iter().map(|(name, column)| Raw { name, cells: Cells::Typed(column, None) }).collect();
        Self::assemble(place, None, raws, &ReadOptions { id: IdSpec::Rows(rows), ..ReadOptions::default() })
    }

    /// Checks what a reader found against what was asked for.
    fn assemble(
        path: &Path,
        id_name: Option<String>,
        mut raws: Vec<Raw>,
        options: &ReadOptions,
    ) -> Result<Self, StoreError> {
        for (i, raw) in raws.iter().enumerate() {
            if raws[..i].iter().any(|other| other.name == raw.name) {
                return Err(StoreError::DuplicateColumn { path: path.to_owned(), column: raw.name.clone() });
            }
        }
        let n_rows = raws.iter().find_map(|raw| match &raw.cells {
            Cells::Small(values) => Some(values.len()),
            Cells::Typed(column, _) => Some(column.len()),
            Cells::Other(_) => None,
        });
        let n_rows = n_rows.filter(|&n| n > 0).ok_or_else(|| StoreError::NoRows { path: path.to_owned() })?;
        check_shape(path, n_rows, options, raws.len() - usize::from(id_name.is_some()))?;
        let names: Vec<String> = raws.iter().map(|raw| raw.name.clone()).collect();
        let unknown = |column: &str| StoreError::UnknownColumn {
            path: path.to_owned(),
            column: column.to_owned(),
            known: names.clone(),
        };
        let rows = match (&options.id, &id_name) {
            (IdSpec::Rows(rows), _) => rows.clone(),
            (IdSpec::Positions, _) => {
                RowIndex::positions(n_rows).map_err(|source| StoreError::Ids { path: path.to_owned(), source })?
            }
            (_, Some(name)) => {
                let at = raws.iter().position(|raw| raw.name == *name).ok_or_else(|| unknown(name))?;
                ids(path, raws.remove(at))?
            }
            (_, None) => return Err(StoreError::NoIds { path: path.to_owned() }),
        };
        if let Some(columns) = &options.columns {
            let mut chosen = Vec::with_capacity(columns.len());
            for (i, column) in columns.iter().enumerate() {
                if columns[..i].contains(column) {
                    return Err(StoreError::DuplicateColumn { path: path.to_owned(), column: column.clone() });
                }
                let at = raws.iter().position(|raw| raw.name == *column).ok_or_else(|| unknown(column))?;
                // The order of what is left must stay, it is searched again; names are few.
                chosen.push(raws.remove(at));
            }
            raws = chosen;
        }
        let mut table = Self { path: path.to_owned(), id_name, rows, header: vec![], cells: vec![], other: vec![] };
        for raw in raws {
            let stored = match raw.cells {
                Cells::Small(values) => Stored::Small(values),
                Cells::Typed(column, null) if options.text.contains(&raw.name) => {
                    Stored::Wide(Column::Text(column.to_text()), null)
                }
                Cells::Typed(column, null) => Stored::Wide(column, null),
                Cells::Other(found) if options.columns.is_some() => {
                    return Err(StoreError::ColumnType {
                        path: path.to_owned(),
                        column: raw.name,
                        found,
                        wanted: "a number, a boolean or text",
                    });
                }
                Cells::Other(found) => {
                    table.other.push((raw.name, found));
                    continue;
                }
            };
            let (found, wanted) = (stored.len(), table.rows.len());
            if found != wanted {
                return Err(StoreError::RowCount { path: path.to_owned(), found, wanted });
            }
            table.header.push((raw.name, stored.column_type()));
            table.cells.push(stored);
        }
        Ok(table)
    }

    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The name of the id column, `None` where the file has none.
    #[must_use]
    pub fn id_name(&self) -> Option<&str> {
        self.id_name.as_deref()
    }

    /// Names of the columns in order, without the id.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        self.header.iter().map(|(name, _)| name.clone()).collect()
    }

    /// The values of `column`, one per row of [`TableSource::rows`].
    ///
    /// Errors: unknown, of a type that has no place in a table, with a null that is not a float's.
    pub fn column(&self, column: &str) -> Result<Cow<'_, Column>, StoreError> {
        match self.stored(column)? {
            Stored::Small(values) => Ok(Cow::Owned(widened(values))),
            Stored::Wide(values, _) => Ok(Cow::Borrowed(values)),
        }
    }

    /// As [`Self::column`], the values as they are held.
    fn stored(&self, column: &str) -> Result<&Stored, StoreError> {
        let Some(at) = self.header.iter().position(|(name, _)| name == column) else {
            if let Some((_, found)) = self.other.iter().find(|(name, _)| name == column) {
                return Err(StoreError::ColumnType {
                    path: self.path.clone(),
                    column: column.to_owned(),
                    found: found.clone(),
                    wanted: "a number, a boolean or text",
                });
            }
            return Err(StoreError::UnknownColumn {
                path: self.path.clone(),
                column: column.to_owned(),
                known: self.names(),
            });
        };
        match &self.cells[at] {
            Stored::Wide(_, Some(row)) => Err(StoreError::Null {
                path: self.path.clone(),
                column: column.to_owned(),
                row: *row,
                id: self.rows.id(*row).into_owned(),
            }),
            stored => Ok(stored),
        }
    }

    /// The values of `column` as f64. Errors: as [`Self::column`], and text, naming the first row that is no number.
    pub fn numbers(&self, column: &str) -> Result<Vec<f64>, StoreError> {
        let values = self.column(column)?;
        values.to_f64().ok_or_else(|| self.not_number(column, &values))
    }

    /// The values of `column` as they are written. Errors: as [`Self::column`].
    pub fn texts(&self, column: &str) -> Result<Vec<String>, StoreError> {
        Ok(self.column(column)?.to_text())
    }

    /// The complaint about a text column that should be numbers.
    pub(crate) fn not_number(&self, column: &str, values: &Column) -> StoreError {
        let texts = values.to_text();
        let row = texts.iter().position(|text| csv::number(text).is_none()).unwrap_or(0);
        StoreError::NotNumber {
            path: self.path.clone(),
            column: column.to_owned(),
            row,
            id: self.rows.id(row).into_owned(),
            text: texts.get(row).cloned().unwrap_or_default(),
        }
    }
}

impl TableSource for Table {
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
        if rows.start > rows.end || rows.end > self.rows.len() {
            return Err(SourceError(format!("{} has no rows {rows:?}", self.place())));
        }
        columns
            .iter()
            .map(|&at| {
                let name = &self.header.get(at).ok_or_else(|| SourceError(format!("no column number {at}")))?.0;
                let stored = self.stored(name).map_err(|error| SourceError(error.to_string()))?;
                Ok(stored.slice(rows.clone()))
            })
            .collect()
    }

    fn visit(&self, rows: Range<usize>, columns: &[usize], take: &mut TakePiece<'_>) -> Result<(), SourceError> {
        if rows.start > rows.end || rows.end > self.rows.len() {
            return Err(SourceError(format!("{} has no rows {rows:?}", self.place())));
        }
        let stored = |&at: &usize| match self.cells.get(at) {
            None => Err(SourceError(format!("no column number {at}"))),
            Some(Stored::Wide(_, Some(_))) => {
                self.stored(&self.header[at].0).map_err(|error| SourceError(error.to_string()))
            }
            Some(stored) => Ok(stored),
        };
        let stored = columns.iter().map(stored).collect::<Result<Vec<&Stored>, _>>()?;
        let mut held: Vec<(Cow<'_, Column>, Range<usize>)> = Vec::with_capacity(columns.len());
        for stored in stored {
            held.push(match stored {
                Stored::Small(values) => (Cow::Owned(widened(&values[rows.clone()])), 0..rows.len()),
                Stored::Wide(column, _) => (Cow::Borrowed(column), rows.clone()),
            });
        }
        let views: Vec<ColumnView<'_>> = held.iter().map(|(column, rows)| column.view(rows.clone())).collect();
        take(rows, &views);
        Ok(())
    }

    fn place(&self) -> String {
        self.path.display().to_string()
    }
}

pub(crate) fn ids(path: &Path, raw: Raw) -> Result<RowIndex, StoreError> {
    let wrong = |column: String, found: String| StoreError::ColumnType {
        path: path.to_owned(),
        column,
        found,
        wanted: "whole numbers or text, as ids",
    };
    let index = match raw.cells {
        Cells::Small(ids) => RowIndex::from_ints(ids.into_iter().map(i64::from).collect()),
        Cells::Typed(_, Some(row)) => {
            return Err(StoreError::NullId { path: path.to_owned(), column: raw.name, row });
        }
        Cells::Typed(Column::I64(ids), None) => RowIndex::from_ints(ids),
        Cells::Typed(Column::Text(ids), None) => RowIndex::from_texts(ids),
        Cells::Typed(column, None) => {
            return Err(wrong(raw.name, format!("{:?}", column.column_type()).to_lowercase()));
        }
        Cells::Other(found) => return Err(wrong(raw.name, found)),
    };
    index.map_err(|source| StoreError::Ids { path: path.to_owned(), source })
}

/// Refuses another shape than the expected one, and says so where rows and columns are swapped.
fn check_shape(path: &Path, n_rows: usize, options: &ReadOptions, n_columns: usize) -> Result<(), StoreError> {
    let wanted_rows = options.n_rows.or(match &options.id {
        IdSpec::Rows(rows) => Some(rows.len()),
        _ => None,
    });
    let wanted_columns = options.n_columns.or(options.columns.as_ref().map(Vec::len));
    if let Some(wanted) = wanted_rows.filter(|&wanted| wanted != n_rows) {
        let swapped = n_columns == wanted && wanted_columns.is_none_or(|columns| columns == n_rows);
        return Err(if swapped {
            StoreError::Transposed { path: path.to_owned(), found: (n_rows, n_columns) }
        } else {
            StoreError::RowCount { path: path.to_owned(), found: n_rows, wanted }
        });
    }
    match options.n_columns {
        Some(wanted) if options.columns.is_none() && wanted != n_columns => {
            Err(StoreError::ColumnCount { path: path.to_owned(), found: n_columns, wanted })
        }
        _ => Ok(()),
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    Csv,
    Parquet,
    Feather,
    Npy,
    Npz,
}

impl Format {
    pub(crate) fn of(path: &Path) -> Result<Self, StoreError> {
        let name = path.file_name().map(|name| name.to_string_lossy().to_lowercase()).unwrap_or_default();
        let known = [
            (".csv", Self::Csv),
            (".csv.gz", Self::Csv),
            (".parquet", Self::Parquet),
            (".feather", Self::Feather),
            (".arrow", Self::Feather),
            (".ipc", Self::Feather),
            (".npy", Self::Npy),
            (".npz", Self::Npz),
        ];
        if [".pkl", ".pickle", ".joblib", ".pkl.gz", ".pt", ".pth"].iter().any(|end| name.ends_with(end)) {
            return Err(StoreError::Pickle { path: path.to_owned() });
        }
        known
            .iter()
            .find(|(end, _)| name.ends_with(end))
            .map(|(_, format)| *format)
            .ok_or_else(|| StoreError::UnknownFormat { path: path.to_owned() })
    }
}

/// One look at the first bytes, before any reader: absent, a folder, empty, a pickle under another name.
fn refuse_empty_and_pickled(path: &Path) -> Result<(), StoreError> {
    let mut file = File::open(path).map_err(|e| StoreError::io("open", path, e))?;
    if file.metadata().map_err(|e| StoreError::io("open", path, e))?.is_dir() {
        return Err(StoreError::io("read", path, io::Error::from(io::ErrorKind::IsADirectory)));
    }
    let mut start = Vec::with_capacity(2);
    file.by_ref().take(2).read_to_end(&mut start).map_err(|e| StoreError::io("read", path, e))?;
    match start[..] {
        [] => Err(StoreError::Empty { path: path.to_owned() }),
        [0x80, 2..=5] => Err(StoreError::Pickle { path: path.to_owned() }),
        _ => Ok(()),
    }
}

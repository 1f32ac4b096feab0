//! Rows of an input table, by id, in whatever order the table has them.

use crate::{
    engine::{DType, Data},
    error::InferError,
    request::Split,
};
use blend_core::{
    RowIndex, TableSource,
    rows::AlignError,
    source::{Column, ColumnType},
};
use half::f16;

/// Rows that are turned from columns to rows together.
const TILE: usize = 64;

/// A table whose rows were found for one split.
pub(crate) struct BoundTable<'a> {
    model: &'a str,
    name: &'a str,
    source: &'a dyn TableSource,
    /// Position in the table of each row of the split; `None` where the orders are equal.
    positions: Option<Vec<u32>>,
}

impl<'a> BoundTable<'a> {
    /// Finds `rows` in the table. Errors where one is missing; a table may have more rows, and then says so.
    pub(crate) fn bind(
        model: &'a str,
        name: &'a str,
        split: Split,
        source: &'a dyn TableSource,
        rows: &RowIndex,
    ) -> Result<(Self, Option<String>), InferError> {
        let table_rows = source.rows();
        if table_rows == rows {
            return Ok((Self { model, name, source, positions: None }, None));
        }
        let found = rows.find_in(table_rows);
        let missing = found.iter().filter(|position| position.is_none()).count();
        if missing > 0 {
            let first = found.iter().position(Option::is_none).map(|row| rows.id(row).into_owned());
            return Err(InferError::Alignment {
                model: model.to_owned(),
                what: format!("table `{name}` at {}", source.place()),
                split,
                source: Box::new(AlignError {
                    wanted: rows.len(),
                    missing,
                    first_missing: first,
                    unknown: table_rows.len() + missing - rows.len(),
                    first_unknown: None,
                }),
            });
        }
        let extra = table_rows.len() - rows.len();
        let note = (extra > 0).then(|| {
            format!(
                "table `{name}`: {extra} of {} rows are not among the {split} rows and are left out",
                table_rows.len()
            )
        });
        Ok((Self { model, name, source, positions: Some(found.into_iter().flatten().collect()) }, note))
    }

    /// Where `row` of the split lies in the table.
    pub(crate) fn position(&self, row: u32) -> u32 {
        self.positions.as_ref().map_or(row, |positions| positions[row as usize])
    }

    /// Positions of the named columns; of all where none are named.
    pub(crate) fn columns(&self, names: Option<&[String]>) -> Result<Vec<usize>, InferError> {
        let known = self.source.columns();
        let Some(names) = names else { return Ok((0..known.len()).collect()) };
        let find = |name: &String| {
            known.iter().position(|(column, _)| column == name).ok_or_else(|| InferError::NoColumn {
                model: self.model.to_owned(),
                table: self.name.to_owned(),
                place: self.source.place().into(),
                column: name.clone(),
                known: known.iter().map(|(column, _)| column.clone()).collect(),
            })
        };
        names.iter().map(find).collect()
    }

    /// The first of `columns` that cannot be fed as `dtype`, with its type in words.
    pub(crate) fn unfit(&self, columns: &[usize], dtype: DType) -> Option<String> {
        columns.iter().map(|&column| &self.source.columns()[column]).find_map(|(name, column_type)| {
            (!fits(*column_type, dtype)).then(|| format!("column `{name}` of type {}", type_name(*column_type)))
        })
    }

    /// The values of `columns` at `rows` of the split, row-major, as `dtype`.
    pub(crate) fn read(
        &self,
        columns: &[usize],
        rows: &[u32],
        dtype: DType,
        ids: &RowIndex,
    ) -> Result<Data, InferError> {
        Ok(match dtype {
            DType::F32 => Data::F32(self.cells(columns, rows, dtype, ids)?),
            DType::F64 => Data::F64(self.cells(columns, rows, dtype, ids)?),
            DType::F16 => Data::F16(self.cells(columns, rows, dtype, ids)?),
            DType::I64 => Data::I64(self.cells(columns, rows, dtype, ids)?),
            DType::I32 => Data::I32(self.cells(columns, rows, dtype, ids)?),
            DType::Bool => Data::Bool(self.cells(columns, rows, dtype, ids)?),
            DType::Text => Data::Text(self.cells(columns, rows, dtype, ids)?),
            other => return Err(InferError::Bug(format!("a table cannot be read as {other}"))),
        })
    }

    fn cells<T: Cell>(
        &self,
        columns: &[usize],
        rows: &[u32],
        dtype: DType,
        ids: &RowIndex,
    ) -> Result<Vec<T>, InferError> {
        let width = columns.len();
        let mut cells = vec![T::default(); rows.len() * width];
        let mut wanted: Vec<(u32, u32)> = rows.iter().zip(0..).map(|(&row, at)| (self.position(row), at)).collect();
        wanted.sort_unstable();
        for span in spans(&wanted) {
            let (first, last) = (span[0].0 as usize, span[span.len() - 1].0 as usize);
            let read = self.source.read(first..last + 1, columns).map_err(|error| InferError::Read {
                model: self.model.to_owned(),
                table: self.name.to_owned(),
                reason: error.0,
            })?;
            if read.len() != width || read.iter().any(|column| column.len() != last + 1 - first) {
                return Err(InferError::Bug(format!(
                    "{} gave another number of values than asked",
                    self.source.place()
                )));
            }
            // Some rows at a time, so that what is written stays in the cache for the next column.
            for tile in span.chunks(TILE) {
                let is_run = tile.windows(2).all(|pair| pair[1] == (pair[0].0 + 1, pair[0].1 + 1));
                for (column, values) in read.iter().enumerate() {
                    fill(values, (tile, is_run), first, &mut cells, width, column).map_err(|at| InferError::Value {
                        column: self.source.columns()[columns[column]].0.clone(),
                        place: self.source.place(),
                        id: ids.id(rows[at as usize] as usize).into_owned(),
                        dtype: dtype.to_string(),
                    })?;
                }
            }
        }
        Ok(cells)
    }
}

/// Cuts sorted positions where reading on would mostly read what nobody wants: a fold is every fifth row or so, which
/// is read through; a few rows far apart are read one by one.
fn spans(wanted: &[(u32, u32)]) -> impl Iterator<Item = &[(u32, u32)]> {
    wanted.chunk_by(|a, b| b.0 - a.0 <= 64)
}

/// Copies one column's values to their cells; gives the place in the batch of the first that cannot be held. `is_run`
/// says that the rows follow each other both in the table and in the batch.
fn fill<T: Cell>(
    values: &Column,
    (span, is_run): (&[(u32, u32)], bool),
    first: usize,
    cells: &mut [T],
    width: usize,
    column: usize,
) -> Result<(), u32> {
    macro_rules! copy {
        ($values:expr, $convert:expr) => {{
            if let (true, Some(&(position, at))) = (is_run, span.first()) {
                // The usual case, without a look-up for each value.
                let values = &$values[position as usize - first..][..span.len()];
                let cells = cells[at as usize * width..][..span.len() * width].chunks_exact_mut(width);
                for (row, (value, cells)) in values.iter().zip(cells).enumerate() {
                    cells[column] = $convert(value).ok_or(at + row as u32)?;
                }
                return Ok(());
            }
            for &(position, at) in span {
                cells[at as usize * width + column] = $convert(&$values[position as usize - first]).ok_or(at)?;
            }
        }};
    }
    match values {
        Column::F32(v) => copy!(v, |x: &f32| T::of_f32(*x)),
        Column::F64(v) => copy!(v, |x: &f64| T::of_f64(*x)),
        Column::I64(v) => copy!(v, |x: &i64| T::of_i64(*x)),
        Column::Bool(v) => copy!(v, |x: &bool| T::of_bool(*x)),
        Column::Text(v) => copy!(v, |x: &String| T::of_text(x)),
    }
    Ok(())
}

fn fits(column: ColumnType, dtype: DType) -> bool {
    match dtype {
        DType::F32 | DType::F64 | DType::F16 => column != ColumnType::Text,
        DType::I64 | DType::I32 | DType::Bool => matches!(column, ColumnType::I64 | ColumnType::Bool),
        DType::Text => matches!(column, ColumnType::Text | ColumnType::I64),
        DType::ClassMaps | DType::Other(_) => false,
    }
}

fn type_name(column: ColumnType) -> &'static str {
    match column {
        ColumnType::F32 => "f32",
        ColumnType::F64 => "f64",
        ColumnType::I64 => "i64",
        ColumnType::Bool => "bool",
        ColumnType::Text => "text",
    }
}

/// A tensor element made of a table's value; `None` where it cannot hold it. NaN is a value: trees take it as missing.
trait Cell: Clone + Default {
    fn of_f32(x: f32) -> Option<Self>;
    fn of_f64(x: f64) -> Option<Self>;
    fn of_i64(x: i64) -> Option<Self>;
    fn of_bool(x: bool) -> Option<Self> {
        Self::of_i64(i64::from(x))
    }
    fn of_text(_: &str) -> Option<Self> {
        None
    }
}

macro_rules! float_cell {
    ($type:ty, $f32:expr, $f64:expr) => {
        impl Cell for $type {
            #[inline]
            fn of_f32(x: f32) -> Option<Self> {
                let value: $type = $f32(x);
                (value.is_finite() || !x.is_finite()).then_some(value)
            }
            #[inline]
            fn of_f64(x: f64) -> Option<Self> {
                let value: $type = $f64(x);
                (value.is_finite() || !x.is_finite()).then_some(value)
            }
            #[inline]
            fn of_i64(x: i64) -> Option<Self> {
                Self::of_f64(x as f64)
            }
        }
    };
}
float_cell!(f32, |x| x, |x| x as f32);
float_cell!(f64, f64::from, |x| x);
float_cell!(f16, f16::from_f32, f16::from_f64);

macro_rules! int_cell {
    ($type:ty, $convert:expr) => {
        impl Cell for $type {
            fn of_f32(_: f32) -> Option<Self> {
                None
            }
            fn of_f64(_: f64) -> Option<Self> {
                None
            }
            fn of_i64(x: i64) -> Option<Self> {
                $convert(x)
            }
        }
    };
}
int_cell!(i64, Some);
int_cell!(i32, |x| i32::try_from(x).ok());
int_cell!(bool, |x| match x {
    0 => Some(false),
    1 => Some(true),
    _ => None,
});

impl Cell for String {
    fn of_f32(_: f32) -> Option<Self> {
        None
    }
    fn of_f64(_: f64) -> Option<Self> {
        None
    }
    fn of_i64(x: i64) -> Option<Self> {
        Some(x.to_string())
    }
    fn of_bool(_: bool) -> Option<Self> {
        None
    }
    fn of_text(x: &str) -> Option<Self> {
        Some(x.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn far_rows_are_read_apart() {
        let at = |positions: &[u32]| positions.iter().map(|&p| (p, 0)).collect::<Vec<_>>();
        assert_eq!(spans(&at(&[0, 5, 10, 60])).count(), 1);
        assert_eq!(spans(&at(&[0, 100, 200])).count(), 3);
    }

    #[test]
    fn values_that_do_not_fit_are_refused() {
        assert_eq!(f32::of_f64(1e300), None);
        assert!(f32::of_f64(f64::NAN).is_some_and(f32::is_nan));
        assert_eq!(f16::of_f32(1e6), None);
        assert_eq!(bool::of_i64(2), None);
        assert_eq!(i32::of_i64(1 << 40), None);
        assert_eq!(String::of_i64(7).as_deref(), Some("7"));
        assert!(!fits(ColumnType::Text, DType::F32) && !fits(ColumnType::F32, DType::I64));
    }
}

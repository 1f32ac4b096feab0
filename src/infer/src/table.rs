//! Rows of an input table, by id, in whatever order the table has them.

use crate::{
    engine::{DType, Data},
    error::InferError,
    pool::Pool,
    request::Split,
};
use blend_core::{
    RowIndex, TableSource,
    rows::AlignError,
    source::{ColumnType, ColumnView, SourceError},
};
use half::f16;
use std::ops::Range;

/// Rows and columns that are turned from columns to rows together: whole cache lines of either.
const TILE: usize = 16;
/// Rows whose columns are gone through one after the other, some tiles of each.
const BAND: usize = 8 * TILE;

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
        pool: &Pool,
    ) -> Result<Data, InferError> {
        let n = rows.len() * columns.len();
        Ok(match dtype {
            DType::F32 => Data::F32(self.fill(pool.take(n), columns, rows, dtype, ids)?),
            DType::F64 => Data::F64(self.fill(vec![0.0; n], columns, rows, dtype, ids)?),
            DType::F16 => Data::F16(self.fill(vec![f16::ZERO; n], columns, rows, dtype, ids)?),
            DType::I64 => Data::I64(self.fill(vec![0; n], columns, rows, dtype, ids)?),
            DType::I32 => Data::I32(self.fill(vec![0; n], columns, rows, dtype, ids)?),
            DType::Bool => Data::Bool(self.fill(vec![false; n], columns, rows, dtype, ids)?),
            DType::Text => Data::Text(self.fill(vec![String::new(); n], columns, rows, dtype, ids)?),
            other => return Err(InferError::Bug(format!("a table cannot be read as {other}"))),
        })
    }

    /// Writes every one of `cells`.
    fn fill<T: Cell>(
        &self,
        mut cells: Vec<T>,
        columns: &[usize],
        rows: &[u32],
        dtype: DType,
        ids: &RowIndex,
    ) -> Result<Vec<T>, InferError> {
        let width = columns.len();
        let mut wanted: Vec<(u32, u32)> = rows.iter().zip(0..).map(|(&row, at)| (self.position(row), at)).collect();
        if !wanted.is_sorted() {
            wanted.sort_unstable();
        }
        let refuse = |error: SourceError| InferError::Read {
            model: self.model.to_owned(),
            table: self.name.to_owned(),
            reason: error.0,
        };
        for span in spans(&wanted) {
            let range = span[0].0 as usize..span[span.len() - 1].0 as usize + 1;
            if T::rows(self.source, range.clone(), columns, span, &mut cells).map_err(refuse)? {
                continue;
            }
            let (mut next, mut left, mut unheld) = (range.start, span, None);
            let mut take = |piece: Range<usize>, views: &[ColumnView<'_>]| {
                if piece.start != next || views.len() != width || unheld.is_some() {
                    return;
                }
                let (here, after) = left.split_at(left.partition_point(|(row, _)| (*row as usize) < piece.end));
                (next, left) = (piece.end, after);
                unheld = turn(views, here, piece.start, &mut cells).err();
            };
            self.source.visit(range.clone(), columns, &mut take).map_err(refuse)?;
            if let Some(Unheld { column, at }) = unheld {
                return Err(InferError::Value {
                    column: self.source.columns()[columns[column]].0.clone(),
                    place: self.source.place(),
                    id: ids.id(rows[at as usize] as usize).into_owned(),
                    dtype: dtype.to_string(),
                });
            }
            if next != range.end {
                return Err(InferError::Bug(format!("{} gave other rows than asked", self.source.place())));
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

/// Whether rows follow each other both in the table and in the batch.
fn is_run(rows: &[(u32, u32)]) -> bool {
    rows.windows(2).all(|pair| pair[1] == (pair[0].0 + 1, pair[0].1 + 1))
}

/// A value that cannot be held: which column, and which row of the batch.
struct Unheld {
    column: usize,
    at: u32,
}

/// Turns columns to rows: for each (row of the table, row of the batch) of `span` the value of every view, of which the
/// first is that of row `first` of the table. A batch's rows are as long as there are views.
fn turn<T: Cell>(views: &[ColumnView<'_>], span: &[(u32, u32)], first: usize, cells: &mut [T]) -> Result<(), Unheld> {
    let width = views.len();
    let same = |a: &ColumnView<'_>, b: &ColumnView<'_>| std::mem::discriminant(a) == std::mem::discriminant(b);
    macro_rules! tiles {
        ($run:expr, $band:expr, $start:expr, $variant:ident, $convert:expr) => {{
            for (nth, group) in $run.chunks(TILE).enumerate() {
                let mut columns: [&[_]; TILE] = [&[]; TILE];
                for (column, view) in columns.iter_mut().zip(group) {
                    if let ColumnView::$variant(values) = view {
                        *column = values;
                    }
                }
                let to = Tile { width, first, column: $start + nth * TILE };
                to.band(&columns[..group.len()], $band, cells, $convert)?;
            }
        }};
    }
    for band in span.chunks(BAND) {
        let mut start = 0;
        for run in views.chunk_by(same) {
            match run[0] {
                ColumnView::F32(_) => tiles!(run, band, start, F32, |x: &f32| T::of_f32(*x)),
                ColumnView::F64(_) => tiles!(run, band, start, F64, |x: &f64| T::of_f64(*x)),
                ColumnView::I64(_) => tiles!(run, band, start, I64, |x: &i64| T::of_i64(*x)),
                ColumnView::Bool(_) => tiles!(run, band, start, Bool, |x: &bool| T::of_bool(*x)),
                ColumnView::Text(_) => tiles!(run, band, start, Text, |x: &String| T::of_text(x)),
            }
            start += run.len();
        }
    }
    Ok(())
}

/// Where some columns of one type go.
struct Tile {
    /// Columns of a row of the batch.
    width: usize,
    /// The row of the table that the columns start with.
    first: usize,
    /// The first of the columns.
    column: usize,
}

impl Tile {
    fn band<V, T: Cell>(
        &self,
        columns: &[&[V]],
        band: &[(u32, u32)],
        cells: &mut [T],
        convert: impl Fn(&V) -> Option<T>,
    ) -> Result<(), Unheld> {
        for rows in band.chunks(TILE) {
            let (position, at) = (rows[0].0 as usize - self.first, rows[0].1 as usize);
            if let (Some(columns), true) = (whole(columns, position), rows.len() == TILE && is_run(rows)) {
                // The usual case: sizes that the compiler knows, no look-up for each value.
                for (row, cells) in cells[at * self.width..].chunks_mut(self.width).take(TILE).enumerate() {
                    let Some(cells) = cells[self.column..].first_chunk_mut::<TILE>() else { continue };
                    for column in 0..TILE {
                        cells[column] = convert(&columns[column][row])
                            .ok_or(Unheld { column: self.column + column, at: (at + row) as u32 })?;
                    }
                }
                continue;
            }
            for &(position, at) in rows {
                let cells = &mut cells[at as usize * self.width + self.column..][..columns.len()];
                for (nth, (cell, column)) in cells.iter_mut().zip(columns).enumerate() {
                    let value = convert(&column[position as usize - self.first]);
                    *cell = value.ok_or(Unheld { column: self.column + nth, at })?;
                }
            }
        }
        Ok(())
    }
}

/// Values of a whole tile, where it is one.
fn whole<'v, V>(columns: &[&'v [V]], position: usize) -> Option<[&'v [V; TILE]; TILE]> {
    let columns: &[&'v [V]; TILE] = columns.try_into().ok()?;
    let mut tile = [columns[0].get(position..)?.first_chunk::<TILE>()?; TILE];
    for (tile, column) in tile.iter_mut().zip(columns) {
        *tile = column.get(position..)?.first_chunk::<TILE>()?;
    }
    Some(tile)
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
    /// Reads the rows of `span` as they lie in a file of rows; `false` where they lie in columns.
    fn rows(
        _source: &dyn TableSource,
        _range: Range<usize>,
        _columns: &[usize],
        _span: &[(u32, u32)],
        _cells: &mut [Self],
    ) -> Result<bool, SourceError> {
        Ok(false)
    }
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
    ($type:ty, $f32:expr, $f64:expr $(, $rows:item)?) => {
        impl Cell for $type {
            $($rows)?
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
float_cell!(
    f32,
    |x| x,
    |x| x as f32,
    fn rows(
        source: &dyn TableSource,
        range: Range<usize>,
        columns: &[usize],
        span: &[(u32, u32)],
        cells: &mut [Self],
    ) -> Result<bool, SourceError> {
        let width = columns.len();
        if is_run(span) {
            let start = span[0].1 as usize * width;
            return source.read_rows(range.clone(), columns, &mut cells[start..start + range.len() * width]);
        }
        let mut read = vec![0.0; range.len() * width];
        let done = source.read_rows(range.clone(), columns, &mut read)?;
        for &(row, at) in span.iter().filter(|_| done) {
            let from = (row as usize - range.start) * width;
            cells[at as usize * width..][..width].copy_from_slice(&read[from..from + width]);
        }
        Ok(done)
    }
);
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
    use blend_core::source::Column;

    #[test]
    fn far_rows_are_read_apart() {
        let at = |positions: &[u32]| positions.iter().map(|&p| (p, 0)).collect::<Vec<_>>();
        assert_eq!(spans(&at(&[0, 5, 10, 60])).count(), 1);
        assert_eq!(spans(&at(&[0, 100, 200])).count(), 3);
    }

    #[test]
    fn columns_turn_to_rows_whatever_the_sizes() {
        // Types in turn and alone, whole tiles and parts of them, runs and gaps.
        for (n_rows, width) in [(1, 1), (16, 16), (17, 33), (150, 40), (300, 7)] {
            let value = |row: usize, column: usize| (row * 100 + column) as f32;
            let columns: Vec<Column> = (0..width)
                .map(|column| match column % 20 {
                    17 => Column::F64((0..n_rows).map(|row| f64::from(value(row, column))).collect()),
                    18 => Column::I64((0..n_rows).map(|row| value(row, column) as i64).collect()),
                    _ => Column::F32((0..n_rows).map(|row| value(row, column)).collect()),
                })
                .collect();
            let views: Vec<ColumnView<'_>> = columns.iter().map(|column| column.view(0..n_rows)).collect();
            for step in [1, 3] {
                let span: Vec<(u32, u32)> =
                    (0..n_rows as u32).step_by(step).zip(0..).map(|(row, at)| (row + 1000, at)).collect();
                let mut cells = vec![f32::NAN; span.len() * width];
                assert!(turn(&views, &span, 1000, &mut cells).is_ok());
                for (row, at) in span {
                    for column in 0..width {
                        assert_eq!(cells[at as usize * width + column], value(row as usize - 1000, column));
                    }
                }
            }
        }
        let bad =
            [Column::F64(vec![0.0; 40]), Column::F64((0..40).map(|row| if row == 21 { 1e300 } else { 0.5 }).collect())];
        let span: Vec<(u32, u32)> = (0..40).zip(3..).collect();
        let views: Vec<ColumnView<'_>> = bad.iter().map(|column| column.view(0..40)).collect();
        let unheld = turn(&views, &span, 0, &mut [0.0_f32; 43 * 2]).err().map(|unheld| (unheld.column, unheld.at));
        assert_eq!(unheld, Some((1, 24)));
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

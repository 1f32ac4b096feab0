//! A table's values in the order of a row index: by id, never by position.

use crate::{error::StoreError, table::Table};
use blend_core::{
    RowIndex, TableSource,
    rows::AlignError,
    source::{Column, OwnedBlocks},
};
use rayon::prelude::*;
use std::borrow::Cow;

/// The float type of aligned values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Width {
    /// f32; a finite value too large for it is refused.
    #[default]
    F32,
    /// f64.
    F64,
    /// f32 where every column is f32 in the file, else f64: nothing is lost.
    AsRead,
}

/// The `columns` of `table` in the order of `wanted`, shape `(wanted.len(), columns.len())`.
///
/// Errors: an unknown, null or text column; ids missing or unknown ([`StoreError::Align`]); [`StoreError::Overflow`].
pub fn align(table: &Table, wanted: &RowIndex, columns: &[String], width: Width) -> Result<OwnedBlocks, StoreError> {
    let order = wanted
        .align(table.rows())
        .map_err(|source| StoreError::Align { place: format!("`{}`", table.path().display()), source })?;
    gather(&[table], wanted.len(), columns, width, &|row| (0, order.as_ref().map_or(row, |order| order[row] as usize)))
}

/// The `columns` of several tables (one per fold) that together have every id of `wanted` exactly once, in its order.
///
/// Errors: as [`align()`]; an id in two parts ([`StoreError::Overlap`]); no parts at all.
pub fn concat_parts(
    parts: &[Table],
    wanted: &RowIndex,
    columns: &[String],
    width: Width,
) -> Result<OwnedBlocks, StoreError> {
    let mut found: Vec<Option<(u32, u32)>> = vec![None; wanted.len()];
    let (mut unknown, mut first_unknown) = (0, None);
    for (part, table) in parts.iter().enumerate() {
        for (row, position) in table.rows().find_in(wanted).into_iter().enumerate() {
            let Some(position) = position else {
                unknown += 1;
                first_unknown.get_or_insert_with(|| table.rows().id(row).into_owned());
                continue;
            };
            if let Some((first, _)) = found[position as usize].replace((part as u32, row as u32)) {
                return Err(StoreError::Overlap {
                    id: table.rows().id(row).into_owned(),
                    first: parts[first as usize].path().to_owned(),
                    second: table.path().to_owned(),
                });
            }
        }
    }
    let missing = found.iter().filter(|place| place.is_none()).count();
    if missing > 0 || unknown > 0 {
        let first_missing = found.iter().position(Option::is_none).map(|row| wanted.id(row).into_owned());
        let place = match parts {
            [] => "no file".to_owned(),
            [only] => format!("`{}`", only.path().display()),
            [first, rest @ ..] => format!("`{}` and {} more", first.path().display(), rest.len()),
        };
        let source = AlignError { wanted: wanted.len(), missing, first_missing, unknown, first_unknown };
        return Err(StoreError::Align { place, source });
    }
    let found: Vec<(u32, u32)> = found.into_iter().flatten().collect();
    let tables: Vec<&Table> = parts.iter().collect();
    gather(&tables, wanted.len(), columns, width, &|row| (found[row].0 as usize, found[row].1 as usize))
}

/// Collects values from `place(row)`, the table and its row.
fn gather(
    tables: &[&Table],
    n_rows: usize,
    columns: &[String],
    width: Width,
    place: &(dyn Fn(usize) -> (usize, usize) + Sync),
) -> Result<OwnedBlocks, StoreError> {
    // One list of parts per output.
    let outputs: Vec<Vec<Cow<'_, Column>>> = columns
        .iter()
        .map(|column| {
            tables
                .iter()
                .map(|table| {
                    let values = table.column(column)?;
                    if let Column::Text(_) = &*values { Err(table.not_number(column, &values)) } else { Ok(values) }
                })
                .collect()
        })
        .collect::<Result<_, StoreError>>()?;
    let narrow = match width {
        Width::F32 => true,
        Width::F64 => false,
        Width::AsRead => outputs.iter().flatten().all(|column| matches!(&**column, Column::F32(_))),
    };
    if !narrow {
        let one =
            |parts: &Vec<Cow<'_, Column>>| (0..n_rows).map(place).map(|(part, row)| value(&parts[part], row)).collect();
        return Ok(OwnedBlocks::F64(outputs.par_iter().map(one).collect()));
    }
    let one = |(output, parts): (usize, &Vec<Cow<'_, Column>>)| {
        (0..n_rows)
            .map(place)
            .map(|(part, row)| {
                if let Column::F32(values) = &*parts[part] {
                    return Ok(values[row]);
                }
                let value = value(&parts[part], row);
                let narrow = value as f32;
                if narrow.is_infinite() && value.is_finite() {
                    let (path, column) = (tables[part].path().to_owned(), columns[output].clone());
                    return Err(StoreError::Overflow { path, column, row, value });
                }
                Ok(narrow)
            })
            .collect()
    };
    Ok(OwnedBlocks::F32(outputs.par_iter().enumerate().map(one).collect::<Result<_, _>>()?))
}

fn value(column: &Column, row: usize) -> f64 {
    match column {
        Column::F32(v) => f64::from(v[row]),
        Column::F64(v) => v[row],
        Column::I64(v) => v[row] as f64,
        Column::Bool(v) => f64::from(u8::from(v[row])),
        // Refused before.
        Column::Text(_) => f64::NAN,
    }
}

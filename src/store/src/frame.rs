//! From polars frames to columns, with polars' errors and panics turned into ours.

use crate::{
    error::StoreError,
    table::{Cells, IdSpec, Raw, ReadOptions},
};
use blend_core::source::Column;
use polars::prelude::{ChunkedArray, DataFrame, DataType, PolarsError, PolarsNumericType, PolarsResult};
use std::{
    any::Any,
    cell::Cell,
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
};

thread_local! {
    static GUARDED: Cell<bool> = const { Cell::new(false) };
}

/// Whether a panic of this thread is being turned into an error: polars panics on some damaged files. A panic hook
/// that prints should stay silent then.
#[must_use]
pub fn panic_is_handled() -> bool {
    GUARDED.get()
}

/// Runs a polars reader over `path`. A file it cannot read is [`StoreError::Corrupt`], whether it says so or panics.
pub(crate) fn guarded<T>(path: &Path, read: impl FnOnce() -> PolarsResult<T>) -> Result<T, StoreError> {
    let outer = GUARDED.replace(true);
    let result = catch_unwind(AssertUnwindSafe(read));
    GUARDED.set(outer);
    match result {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(refused(path, error)),
        Err(panic) => Err(StoreError::corrupt(path, format!("its reader gave up: {}", panic_text(&*panic)))),
    }
}

/// A polars error in our terms, as one line.
pub(crate) fn refused(path: &Path, error: PolarsError) -> StoreError {
    match error {
        PolarsError::IO { error, .. } if error.raw_os_error().is_some() => {
            StoreError::io("read", path, std::io::Error::new(error.kind(), error.to_string()))
        }
        PolarsError::NoData(_) => StoreError::NoRows { path: path.to_owned() },
        error => StoreError::Corrupt {
            path: path.to_owned(),
            what: error.to_string().lines().next().unwrap_or_default().to_owned(),
            source: Some(Box::new(error)),
        },
    }
}

fn panic_text(panic: &(dyn Any + Send)) -> &str {
    panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("")
}

/// Adds the id column's name to the columns of a format that has names and no order of its own for ids.
pub(crate) fn with_id(raws: Vec<Raw>, options: &ReadOptions) -> (Option<String>, Vec<Raw>) {
    let id = match &options.id {
        IdSpec::FirstColumn => raws.first().map(|raw| raw.name.clone()),
        IdSpec::Column(name) => Some(name.clone()),
        IdSpec::Rows(_) | IdSpec::Positions => None,
    };
    (id, raws)
}

/// The columns of a frame. 8- to 64-bit integers become i64; a null float becomes NaN; other nulls are marked.
pub(crate) fn columns(path: &Path, frame: &DataFrame) -> Result<Vec<Raw>, StoreError> {
    guarded(path, || {
        let one = |column: &polars::prelude::Column| -> PolarsResult<Raw> {
            let series = column.as_materialized_series();
            let cells = match series.dtype() {
                DataType::Float32 => Cells::Typed(Column::F32(values(series.f32()?, f32::NAN, |x| x)), None),
                DataType::Float64 => Cells::Typed(Column::F64(values(series.f64()?, f64::NAN, |x| x)), None),
                DataType::Int8 => integers(series.i8()?),
                DataType::Int16 => integers(series.i16()?),
                DataType::Int32 => integers(series.i32()?),
                DataType::Int64 => integers(series.i64()?),
                DataType::UInt8 => integers(series.u8()?),
                DataType::UInt16 => integers(series.u16()?),
                DataType::UInt32 => integers(series.u32()?),
                DataType::UInt64 => unsigned(series.u64()?),
                DataType::Boolean => {
                    let cells = series.bool()?;
                    let null = cells.iter().position(|cell| cell.is_none());
                    Cells::Typed(Column::Bool(cells.iter().map(|cell| cell.unwrap_or_default()).collect()), null)
                }
                DataType::String => {
                    let cells = series.str()?;
                    let null = cells.iter().position(|cell| cell.is_none());
                    let texts = cells.iter().map(|cell| cell.unwrap_or_default().to_owned()).collect();
                    Cells::Typed(Column::Text(texts), null)
                }
                other => Cells::Other(other.to_string()),
            };
            Ok(Raw { name: column.name().to_string(), cells })
        };
        frame.columns().iter().map(one).collect()
    })
}

fn values<T: PolarsNumericType, U>(cells: &ChunkedArray<T>, null: T::Native, convert: impl Fn(T::Native) -> U) -> Vec<U>
where
    T::Native: Copy,
{
    let mut out = Vec::with_capacity(cells.len());
    for chunk in cells.downcast_iter() {
        match chunk.validity() {
            Some(valid) if valid.unset_bits() > 0 => {
                out.extend(chunk.values_iter().zip(valid.iter()).map(|(&x, ok)| convert(if ok { x } else { null })));
            }
            _ => out.extend(chunk.values_iter().map(|&x| convert(x))),
        }
    }
    out
}

fn integers<T: PolarsNumericType>(cells: &ChunkedArray<T>) -> Cells
where
    T::Native: Into<i64> + Default + Copy,
{
    let null = cells.iter().position(|cell| cell.is_none());
    Cells::Typed(Column::I64(values(cells, T::Native::default(), Into::into)), null)
}

/// Ids are often hashes in 64 bits without sign: where one is too large for i64, all are taken as they are written.
fn unsigned(cells: &polars::prelude::UInt64Chunked) -> Cells {
    let null = cells.iter().position(|cell| cell.is_none());
    let numbers = values(cells, 0, |x| x);
    let column = match numbers.iter().map(|&x| i64::try_from(x)).collect() {
        Ok(ints) => Column::I64(ints),
        Err(_) => Column::Text(numbers.iter().map(ToString::to_string).collect()),
    };
    Cells::Typed(column, null)
}

//! A table as CSV text, as it stands or as it would be written: for those who repeat a file's header and ids.

use crate::{
    csv,
    error::StoreError,
    table::{Format, IdSpec, ReadOptions, Table},
};
use std::path::Path;

/// The table at `path` as CSV: a CSV file's own bytes, unpacked where they are gzipped; any other table written anew.
///
/// A file whose name says nothing about its format is taken for CSV. Errors: those of [`Table::read`].
pub fn csv_text(path: &Path) -> Result<Vec<u8>, StoreError> {
    match Format::of(path) {
        Ok(Format::Csv) | Err(StoreError::UnknownFormat { .. }) => csv::load(path),
        Ok(_) => written(&Table::read(path, &ReadOptions { id: IdSpec::Positions, ..ReadOptions::default() })?),
        Err(error) => Err(error),
    }
}

/// All columns of `table`, in their order.
fn written(table: &Table) -> Result<Vec<u8>, StoreError> {
    let names = table.names();
    let columns = names.iter().map(|name| table.texts(name)).collect::<Result<Vec<_>, _>>()?;
    let n_rows = columns.first().map_or(0, Vec::len);
    let mut text = String::new();
    line(&mut text, names.iter());
    (0..n_rows).for_each(|row| line(&mut text, columns.iter().map(|column| &column[row])));
    Ok(text.into_bytes())
}

fn line<'a>(text: &mut String, fields: impl Iterator<Item = &'a String>) {
    for (at, field) in fields.enumerate() {
        if at > 0 {
            text.push(',');
        }
        if field.contains([',', '"', '\n', '\r']) {
            text.push('"');
            text.push_str(&field.replace('"', "\"\""));
            text.push('"');
        } else {
            text.push_str(field);
        }
    }
    text.push('\n');
}

//! CSV, gzipped or not, some lines at a time. It is gone through twice: what a column's type is, only its last cell can
//! tell.

use super::{Part, Parts};
use crate::{
    csv,
    error::StoreError,
    table::{Cells, IdSpec, Raw, ReadOptions},
};
use blend_core::source::{Column, ColumnType};
use std::{
    io::{self, BufRead, Read},
    path::{Path, PathBuf},
};

/// Bytes of text that are taken apart at a time.
const TEXT: usize = if cfg!(test) { 1 << 12 } else { 1 << 20 };
/// Bytes that a line may have: a quote that is never closed makes one of the whole text.
const LINE: usize = if cfg!(test) { 1 << 14 } else { 64 << 20 };

pub(super) struct Csv {
    path: PathBuf,
    names: Vec<String>,
    types: Vec<Option<ColumnType>>,
}

/// The file, where it holds more than `whole` bytes of text; `None` also where it is no sound CSV.
pub(super) fn open(path: &Path, id: &IdSpec, whole: u64) -> Option<Csv> {
    // Of a packed file only its text can tell.
    let text = csv::open(path).and_then(|text| io::copy(&mut text.take(whole + 1), &mut io::sink()));
    if text.ok()? <= whole {
        return None;
    }
    let mut known: Vec<(String, ColumnType)> = Vec::new();
    let looked = each_part(path, &[], &mut |raws| {
        let kinds: Vec<(String, ColumnType)> =
            raws.into_iter().filter_map(|raw| Some((raw.name, kind(&raw.cells)?))).collect();
        if known.is_empty() {
            known = kinds;
        } else {
            known.iter_mut().zip(&kinds).for_each(|(known, (_, kind))| known.1 = join(known.1, *kind));
        }
        Ok(true)
    });
    if !looked.is_ok_and(|whole| whole) || known.is_empty() {
        return None;
    }
    let id = match id {
        IdSpec::FirstColumn => Some(0),
        IdSpec::Column(name) => known.iter().position(|(known, _)| known == name),
        IdSpec::Rows(_) | IdSpec::Positions => None,
    };
    let (names, mut types): (Vec<_>, Vec<_>) = known.into_iter().map(|(name, kind)| (name, Some(kind))).unzip();
    if let Some(id) = id {
        // As it is written: `007` stays `007`.
        types[id] = Some(ColumnType::Text);
    }
    Some(Csv { path: path.to_owned(), names, types })
}

fn kind(cells: &Cells) -> Option<ColumnType> {
    match cells {
        Cells::Small(_) => Some(ColumnType::I64),
        Cells::Typed(column, _) => Some(column.column_type()),
        Cells::Other(_) => None,
    }
}

/// What holds the cells of two parts of a column.
fn join(a: ColumnType, b: ColumnType) -> ColumnType {
    use ColumnType::{F64, I64, Text};
    match (a, b) {
        _ if a == b => a,
        (I64, F64) | (F64, I64) => F64,
        _ => Text,
    }
}

/// Where a text stands after some of its bytes. As everywhere here, a quote opens a field only where it is its first byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum At {
    LineStart,
    FieldStart,
    Bare,
    Quoted,
    /// After a quote within quotes: the end of the field, or one of two that stand for one.
    Quote,
}

impl At {
    fn after(self, bytes: &[u8]) -> Self {
        let step = |at, byte: &u8| match (at, byte) {
            (Self::Quoted, b'"') => Self::Quote,
            (Self::Quoted, _) | (Self::LineStart | Self::FieldStart | Self::Quote, b'"') => Self::Quoted,
            (_, b'\n') => Self::LineStart,
            (_, b',') => Self::FieldStart,
            _ => Self::Bare,
        };
        match bytes.last() {
            // Without quotes the last byte says it all.
            Some(last) if !bytes.contains(&b'"') => step(self, last),
            _ => bytes.iter().fold(self, step),
        }
    }
}

/// Reads from `text` to the end of the line that stands `at`, behind what is in `lines`; `false` where it is too long.
fn end_line(text: &mut dyn BufRead, mut at: At, lines: &mut Vec<u8>) -> io::Result<bool> {
    let start = lines.len();
    while at != At::LineStart && lines.len() - start <= LINE {
        let from = lines.len();
        if text.read_until(b'\n', lines)? == 0 {
            break;
        }
        at = at.after(&lines[from..]);
    }
    Ok(lines.len() - start <= LINE)
}

/// Hands all columns over some lines at a time to `take`, those named in `text` as text; `take` says whether to go on.
/// `false` where the file cannot be cut like that.
fn each_part(
    path: &Path,
    text: &[String],
    take: &mut dyn FnMut(Vec<Raw>) -> Result<bool, StoreError>,
) -> Result<bool, StoreError> {
    let failed = |e| csv::unreadable(path, e);
    let options = ReadOptions { id: IdSpec::Positions, text: text.to_vec(), ..ReadOptions::default() };
    let is_blank = |lines: &[u8]| lines.iter().all(|byte| matches!(byte, b'\r' | b'\n'));
    let mut file = csv::open(path).map_err(failed)?;
    let mut lines = Vec::new();
    while is_blank(&lines) {
        lines.clear();
        if file.read_until(b'\n', &mut lines).map_err(failed)? == 0 {
            return Ok(false);
        }
        if lines.starts_with(b"\xEF\xBB\xBF") {
            lines.drain(..3);
        }
    }
    let at = At::LineStart.after(&lines);
    if !end_line(&mut file, at, &mut lines).map_err(failed)? {
        return Ok(false);
    }
    let header = lines.len();
    loop {
        let read = file.by_ref().take(TEXT as u64).read_to_end(&mut lines).map_err(failed)?;
        if read == 0 {
            return Ok(true);
        }
        let at = At::LineStart.after(&lines[header..]);
        if !end_line(&mut file, at, &mut lines).map_err(failed)? {
            return Ok(false);
        }
        if !is_blank(&lines[header..]) {
            let (_, raws) = csv::parse(path, &lines, &options)?;
            if !take(raws)? {
                return Ok(true);
            }
        }
        lines.truncate(header);
    }
}

impl Parts for Csv {
    fn names(&self) -> Vec<String> {
        self.names.clone()
    }

    fn types(&self) -> &[Option<ColumnType>] {
        &self.types
    }

    fn each(&mut self, take: &mut dyn FnMut(Part) -> Result<bool, StoreError>) -> Result<(), StoreError> {
        let is_text = |(_, kind): &(&String, &Option<ColumnType>)| **kind == Some(ColumnType::Text);
        let text: Vec<String> =
            self.names.iter().zip(&self.types).filter(is_text).map(|(name, _)| name.clone()).collect();
        let mut first_row = 0;
        each_part(&self.path, &text, &mut |raws| {
            let mut n_rows = 0;
            let mut columns = Vec::with_capacity(raws.len());
            for (at, Raw { name, cells }) in raws.into_iter().enumerate() {
                let cells = match (cells.widened(), self.types.get(at)) {
                    // Whole numbers here, others elsewhere in the column.
                    (Cells::Typed(Column::I64(values), null), Some(Some(ColumnType::F64))) => {
                        Cells::Typed(Column::F64(values.into_iter().map(|value| value as f64).collect()), null)
                    }
                    (cells, _) => cells,
                };
                if let Cells::Typed(column, _) = &cells {
                    n_rows = column.len();
                }
                columns.push((at, Raw { name, cells }));
            }
            let part = Part { first_row, columns };
            first_row += n_rows;
            take(part)
        })?;
        Ok(())
    }
}

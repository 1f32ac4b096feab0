//! CSV and gzipped CSV, read in two passes: one counts lines and fields and refuses what does not fit, one writes every
//! cell to its place. What a cell means is decided here, so that ids and labels stay as they are written, numbers are
//! read exactly, and what is wrong is named with its place; beside the file's bytes nothing but the values is held.

mod fields;
mod values;

use crate::{
    error::StoreError,
    table::{IdSpec, Raw, ReadOptions},
};
use fields::{Fault, Field, Fields, text_of};
use flate2::bufread::MultiGzDecoder;
use rayon::prelude::*;
use std::{
    fs::File,
    io::{self, BufRead, BufReader},
    path::Path,
};
pub(crate) use values::number;
use values::{Kind, Values};

/// Cells in a block of rows, the unit of work.
const BLOCK_CELLS: usize = 1 << 16;

/// The columns of a CSV file that `options` ask for (all, where they ask for one that is not there: the caller names
/// it), and the name of the id column.
pub(crate) fn read(path: &Path, options: &ReadOptions) -> Result<(Option<String>, Vec<Raw>), StoreError> {
    parse(path, &load(path)?, options)
}

/// As [`read`], of a text in memory; `path` is for messages.
pub(crate) fn parse(
    path: &Path,
    bytes: &[u8],
    options: &ReadOptions,
) -> Result<(Option<String>, Vec<Raw>), StoreError> {
    let text = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes);
    let survey = Survey::of(path, text)?;
    let header = &survey.header;
    let id = match &options.id {
        IdSpec::FirstColumn => header.first().cloned(),
        IdSpec::Column(name) => Some(name.clone()),
        IdSpec::Rows(_) | IdSpec::Positions => None,
    };
    let wanted: Option<Vec<usize>> = options.columns.as_ref().and_then(|columns| {
        columns.iter().chain(&id).map(|column| header.iter().position(|name| name == column)).collect()
    });
    let mut wanted = wanted.unwrap_or_else(|| (0..header.len()).collect());
    wanted.sort_unstable();
    wanted.dedup();
    let as_text = |at: &usize| id.as_deref() == Some(&header[*at]) || options.text.contains(&header[*at]);
    let as_text: Vec<bool> = wanted.iter().map(as_text).collect();
    let columns = survey.columns(path, &wanted, &as_text)?;
    let named = wanted.iter().zip(columns);
    let raws = named.map(|(&at, values)| Raw { name: header[at].clone(), cells: values.into_cells() }).collect();
    Ok((id, raws))
}

/// The file's bytes, unpacked.
pub(crate) fn load(path: &Path) -> Result<Vec<u8>, StoreError> {
    let mut bytes = Vec::new();
    open(path).and_then(|mut text| text.read_to_end(&mut bytes)).map_err(|error| unreadable(path, error))?;
    Ok(bytes)
}

/// The file's bytes, unpacked as they are read.
pub(crate) fn open(path: &Path) -> io::Result<Box<dyn BufRead>> {
    let mut file = reader(File::open(path)?);
    let is_packed = file.fill_buf()?.starts_with(&[0x1F, 0x8B]);
    Ok(if is_packed { Box::new(reader(MultiGzDecoder::new(file))) } else { Box::new(file) })
}

fn reader<R: io::Read>(from: R) -> BufReader<R> {
    BufReader::with_capacity(1 << 16, from)
}

/// What is not the system's refusal is a fault of the packed bytes.
pub(crate) fn unreadable(path: &Path, error: io::Error) -> StoreError {
    match error.raw_os_error() {
        Some(_) => StoreError::io("read", path, error),
        None => StoreError::Corrupt { path: path.to_owned(), what: error.to_string(), source: Some(Box::new(error)) },
    }
}

/// A text of which every line is known to have as many fields as the header.
struct Survey<'a> {
    text: &'a [u8],
    header: Vec<String>,
    n_rows: usize,
    /// Rows in a block; fewer in the last.
    block_rows: usize,
    /// Where each block starts.
    blocks: Vec<usize>,
}

impl<'a> Survey<'a> {
    /// Counts lines and fields; lines without anything in them are no rows.
    fn of(path: &Path, text: &'a [u8]) -> Result<Self, StoreError> {
        let damaged = |what: String| StoreError::corrupt(path, what);
        let no_rows = || StoreError::NoRows { path: path.to_owned() };
        let mut fields = Fields::new(text, 0);
        let field = |fields: &mut Fields<'a>| fields.field().map_err(|fault| damaged(words(text, fault)));
        fields.line().ok_or_else(no_rows)?;
        let mut header: Vec<Field<'_>> = vec![field(&mut fields)?];
        while header.last().is_some_and(|last| !last.is_last) {
            header.push(field(&mut fields)?);
        }
        let block_rows = (BLOCK_CELLS / header.len()).max(1);
        let (mut n_rows, mut blocks) = (0_usize, Vec::new());
        while let Some(start) = fields.line() {
            let mut n_fields = 1;
            while !field(&mut fields)?.is_last {
                n_fields += 1;
            }
            if n_fields != header.len() {
                let (line, wanted) = (line_at(text, start), header.len());
                return Err(damaged(format!("line {line} has {n_fields} fields, the header has {wanted}")));
            }
            if n_rows.is_multiple_of(block_rows) {
                blocks.push(start);
            }
            n_rows += 1;
        }
        if n_rows == 0 {
            return Err(no_rows());
        }
        let mut names: Vec<String> = Vec::with_capacity(header.len());
        for field in header {
            let name = text_of(field.raw).ok_or_else(|| damaged("its header is not UTF-8".to_owned()))?;
            if names.iter().any(|known| *known == name) {
                return Err(StoreError::DuplicateColumn { path: path.to_owned(), column: name.into_owned() });
            }
            names.push(name.into_owned());
        }
        Ok(Self { text, header: names, n_rows, block_rows, blocks })
    }

    /// The values of the columns at `wanted` (ascending), of the narrowest kind or as text.
    fn columns(&self, path: &Path, wanted: &[usize], as_text: &[bool]) -> Result<Vec<Values>, StoreError> {
        // The first rows tell what a column holds, mostly; where a later cell does not fit, all of it is looked at.
        let guess = self.kinds(wanted, &self.blocks[..1]);
        let kinds = guess.iter().zip(as_text).map(|(&kind, &text)| if text { Kind::Text } else { kind });
        let mut columns: Vec<Values> = kinds.map(|kind| Values::new(kind, self.n_rows)).collect();
        let unfit = self.fill(wanted, &mut columns);
        if unfit.is_empty() {
            return Ok(columns);
        }
        let again: Vec<usize> = unfit.iter().map(|&column| wanted[column]).collect();
        let kinds = self.kinds(&again, &self.blocks);
        for (&column, kind) in unfit.iter().zip(kinds) {
            let kind = if as_text[column] { Kind::Text } else { kind };
            // The old values go before room for the new ones is taken.
            columns[column] = Values::Small(Vec::new());
            columns[column] = Values::new(kind, self.n_rows);
        }
        let rest = columns.iter_mut().enumerate().filter(|(column, _)| unfit.contains(column));
        match self.fill(&again, rest.map(|(_, values)| values)).first() {
            None => Ok(columns),
            // Only what is no text fits nowhere.
            Some(&column) => Err(StoreError::corrupt(path, self.not_text(again[column]))),
        }
    }

    /// The kinds of the columns at `wanted` in `blocks`.
    fn kinds(&self, wanted: &[usize], blocks: &[usize]) -> Vec<Kind> {
        let of_block = |start: &usize| {
            let mut kinds: Vec<Option<Kind>> = vec![None; wanted.len()];
            self.cells(*start, wanted, |_, column, field| {
                let kind = Kind::of(field.raw);
                kinds[column] = Some(kinds[column].map_or(kind, |known| known.join(kind)));
            });
            kinds.into_iter().flatten().collect::<Vec<Kind>>()
        };
        let join = |a: Vec<Kind>, b: Vec<Kind>| a.iter().zip(&b).map(|(a, b)| a.join(*b)).collect();
        blocks.par_iter().map(of_block).reduce_with(join).unwrap_or_default()
    }

    /// Writes the columns at `wanted` to `columns`; the positions of those that have a cell which does not fit.
    fn fill<'v>(&self, wanted: &[usize], columns: impl IntoIterator<Item = &'v mut Values>) -> Vec<usize> {
        let mut slots: Vec<_> = columns.into_iter().map(|values| values.slots(self.block_rows).into_iter()).collect();
        let blocks: Vec<_> =
            self.blocks.iter().map(|&start| (start, slots.iter_mut().filter_map(Iterator::next).collect())).collect();
        let unfit = |(start, mut slots): (usize, Vec<values::Slot<'_>>)| {
            let mut unfit = vec![false; wanted.len()];
            self.cells(start, wanted, |row, column, field| unfit[column] |= !slots[column].put(row, field.raw));
            unfit
        };
        let join = |a: Vec<bool>, b: Vec<bool>| a.iter().zip(&b).map(|(a, b)| a | b).collect();
        let unfit = blocks.into_par_iter().map(unfit).reduce_with(join).unwrap_or_default();
        (0..unfit.len()).filter(|&column| unfit[column]).collect()
    }

    /// Shows every cell of the columns at `wanted` in the block at `start`: row of the block, which of `wanted`, field.
    #[inline]
    fn cells(&self, start: usize, wanted: &[usize], mut see: impl FnMut(usize, usize, Field<'a>)) {
        let mut fields = Fields::new(self.text, start);
        for row in 0..self.block_rows {
            if fields.line().is_none() {
                return;
            }
            let mut next = 0;
            for column in 0..self.header.len() {
                // Every field was walked over before.
                let Ok(field) = fields.field() else { return };
                if wanted.get(next) == Some(&column) {
                    see(row, next, field);
                    next += 1;
                }
            }
        }
    }

    /// The place of the first cell of a column that is not UTF-8.
    fn not_text(&self, column: usize) -> String {
        let mut first = None;
        for &start in &self.blocks {
            self.cells(start, &[column], |_, _, field| {
                if first.is_none() && text_of(field.raw).is_none() {
                    first = Some(field.start);
                }
            });
        }
        let line = line_at(self.text, first.unwrap_or_default());
        format!("line {line} is not UTF-8 in column `{}`", self.header[column])
    }
}

fn words(text: &[u8], fault: Fault) -> String {
    match fault {
        Fault::Open(at) => format!("a quote opened in line {} is not closed", line_at(text, at)),
        Fault::AfterQuote(at) => {
            format!("something follows the closing quote of a field in line {}", line_at(text, at))
        }
    }
}

/// The line of byte `at`, counted from 1.
fn line_at(text: &[u8], at: usize) -> usize {
    text[..at].iter().filter(|byte| **byte == b'\n').count() + 1
}

#[cfg(test)]
mod tests;

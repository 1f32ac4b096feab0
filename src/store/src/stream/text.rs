//! CSV, some lines at a time. It is gone through twice: what a column's type is, only its last cell can tell.

use super::{Part, Parts};
use crate::{
    csv::{self, Survey},
    error::StoreError,
    table::{Cells, IdSpec, Raw},
};
use blend_core::source::{Column, ColumnType};
use polars::prelude::{DataFrame, StringChunked};
use std::{
    fs::File,
    io::{BufRead, BufReader, Read},
    path::{Path, PathBuf},
};

/// Bytes of text that are taken apart at a time.
const TEXT: usize = if cfg!(test) { 1 << 12 } else { 1 << 20 };

pub(super) struct Csv {
    path: PathBuf,
    names: Vec<String>,
    types: Vec<Option<ColumnType>>,
}

/// What the cells of a column may be, all of them together.
#[derive(Debug, Clone, Copy)]
struct May {
    int: bool,
    number: bool,
    flag: bool,
}

impl May {
    fn look(&mut self, texts: &StringChunked) {
        let all = |test: &dyn Fn(&str) -> bool| texts.iter().all(|text| test(text.unwrap_or_default()));
        self.int = self.int && all(&|text| text.trim().parse::<i64>().is_ok());
        self.number = self.number && (self.int || all(&|text| csv::number(text).is_some()));
        self.flag = self.flag && !self.number && all(&|text| csv::boolean(text).is_some());
    }

    fn kind(self) -> ColumnType {
        match self {
            Self { int: true, .. } => ColumnType::I64,
            Self { number: true, .. } => ColumnType::F64,
            Self { flag: true, .. } => ColumnType::Bool,
            _ => ColumnType::Text,
        }
    }
}

/// The file; `None` where it has quotes (lines may end within them then) or is no sound CSV.
pub(super) fn open(path: &Path, id: &IdSpec) -> Option<Csv> {
    let mut names: Vec<String> = Vec::new();
    let mut may: Vec<May> = Vec::new();
    let mut plain = true;
    let looked = each_frame(path, &mut |header, frame| {
        if names.is_empty() {
            names = header;
            // `true` is no number: whether a column may hold flags is known once it may not hold numbers.
            may = vec![May { int: true, number: true, flag: true }; names.len()];
        }
        plain = plain && frame.width() == names.len();
        for (may, column) in may.iter_mut().zip(frame.columns()) {
            match column.str() {
                Ok(texts) => may.look(texts),
                Err(_) => plain = false,
            }
        }
        Ok(plain)
    });
    if !looked.is_ok_and(|whole| whole) || !plain || names.is_empty() {
        return None;
    }
    let id = match id {
        IdSpec::FirstColumn => Some(0),
        IdSpec::Column(name) => names.iter().position(|known| known == name),
        IdSpec::Rows(_) | IdSpec::Positions => None,
    };
    // Ids are taken as they are written: `007` stays `007`.
    let kind = |(at, may): (usize, &May)| Some(if Some(at) == id { ColumnType::Text } else { may.kind() });
    let types = may.iter().enumerate().map(kind).collect();
    Some(Csv { path: path.to_owned(), names, types })
}

/// Hands the header and the cells of some lines at a time to `take`, which says whether to go on; `false` where the file
/// cannot be cut like that.
fn each_frame(
    path: &Path,
    take: &mut dyn FnMut(Vec<String>, DataFrame) -> Result<bool, StoreError>,
) -> Result<bool, StoreError> {
    let failed = |e| StoreError::io("read", path, e);
    let mut file = BufReader::with_capacity(1 << 16, File::open(path).map_err(failed)?);
    let mut header = Vec::new();
    while header.iter().all(u8::is_ascii_whitespace) {
        header.clear();
        if file.read_until(b'\n', &mut header).map_err(failed)? == 0 {
            return Ok(false);
        }
    }
    let header = header.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(&header).to_vec();
    let mut text = header.clone();
    loop {
        let read = file.by_ref().take(TEXT as u64).read_to_end(&mut text).map_err(failed)?;
        // To the end of the line that was begun.
        file.read_until(b'\n', &mut text).map_err(failed)?;
        if text.contains(&b'"') {
            return Ok(false);
        }
        if text[header.len()..].iter().all(u8::is_ascii_whitespace) {
            return Ok(read == 0);
        }
        let Survey { header: names, n_rows, blank } = csv::survey(path, &text)?;
        let lines = csv::without(&text, &blank);
        let frame = csv::cells(path, &lines, &(0..names.len()).collect::<Vec<_>>())?;
        if frame.height() != n_rows {
            return Ok(false);
        }
        if !take(names, frame)? {
            return Ok(true);
        }
        text.truncate(header.len());
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
        let mut first_row = 0;
        each_frame(&self.path, &mut |_, frame| {
            let n_rows = frame.height();
            // Each column goes as soon as it is taken: as text they need several times the space of their values.
            for (at, column) in frame.into_columns().into_iter().enumerate() {
                let texts = column.str().map_err(|e| crate::frame::refused(&self.path, e))?;
                let cells = self.types.get(at).copied().flatten().and_then(|kind| cells(texts, kind));
                let Some(cells) = cells else { return Ok(false) };
                let raw = Raw { name: column.name().to_string(), cells };
                if !take(Part { first_row, columns: vec![(at, raw)] })? {
                    return Ok(false);
                }
            }
            first_row += n_rows;
            Ok(true)
        })?;
        Ok(())
    }
}

/// The cells as what the whole column is.
fn cells(texts: &StringChunked, kind: ColumnType) -> Option<Cells> {
    let each = || texts.iter().map(Option::unwrap_or_default);
    let (column, null) = match kind {
        ColumnType::I64 => (Column::I64(csv::all(each(), |text| text.trim().parse().ok())?), None),
        ColumnType::F64 => (Column::F64(csv::all(each(), csv::number)?), None),
        ColumnType::Bool => (Column::Bool(csv::all(each(), csv::boolean)?), None),
        _ => csv::text_column(texts),
    };
    Some(Cells::Typed(column, null))
}

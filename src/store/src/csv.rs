//! CSV and gzipped CSV. polars finds the cells; what a cell means is decided here, so that ids and labels stay as they
//! are written, numbers are read exactly, and what is wrong is named with its line or row.

use crate::{
    error::StoreError,
    frame,
    table::{Cells, IdSpec, Raw, ReadOptions},
};
use blend_core::source::Column;
use polars::{
    io::utils::compression::CompressedReader,
    prelude::{CsvReadOptions, DataFrame, SerReader, StringChunked},
};
use rayon::prelude::*;
use std::{
    borrow::Cow,
    io::{Cursor, Read},
    ops::Range,
    path::Path,
    sync::Arc,
};

/// The columns of a CSV file that `options` ask for (all, where they ask for one that is not there: the caller names
/// it), and the name of the id column.
pub(crate) fn read(path: &Path, options: &ReadOptions) -> Result<(Option<String>, Vec<Raw>), StoreError> {
    let bytes = load(path)?;
    let text = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(&bytes);
    let Survey { header, n_rows, blank } = survey(path, text)?;
    let text = without(text, &blank);
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
    let frame = cells(path, &text, &wanted)?;
    if frame.height() != n_rows || frame.width() != wanted.len() {
        let (rows, columns) = frame.shape();
        let wanted = wanted.len();
        let what = format!("it has {n_rows} rows of {wanted} columns, of which {rows} and {columns} can be told apart");
        return Err(StoreError::corrupt(path, what));
    }
    let as_text = |name: &str| id.as_deref() == Some(name) || options.text.iter().any(|text| text == name);
    // A column as text takes several times the space of its values, so each goes as soon as they are read.
    let raws = frame.into_columns().into_par_iter().zip(wanted).map(|(column, at)| {
        let texts = column.str().map_err(|e| frame::refused(path, e))?;
        let (column, null) = if as_text(&header[at]) { text_column(texts) } else { typed_column(texts) };
        Ok(Raw { name: header[at].clone(), cells: Cells::Typed(column, null) })
    });
    let raws = raws.collect::<Result<_, _>>()?;
    Ok((id, raws))
}

/// The file's bytes, unpacked.
fn load(path: &Path) -> Result<Vec<u8>, StoreError> {
    let bytes = std::fs::read(path).map_err(|e| StoreError::io("read", path, e))?;
    if !bytes.starts_with(&[0x1F, 0x8B]) {
        return Ok(bytes);
    }
    frame::guarded(path, || {
        let mut unpacked = Vec::with_capacity(bytes.len() * 4);
        CompressedReader::try_new(bytes.into())?.read_to_end(&mut unpacked)?;
        Ok(unpacked)
    })
}

/// What the lines of a file are.
struct Survey {
    header: Vec<String>,
    n_rows: usize,
    /// Bytes of the lines without anything in them.
    blank: Vec<Range<usize>>,
}

/// Counts lines and fields. Every line must have as many fields as the header: polars would fill up a line that was
/// cut off, and take a blank one for a row.
fn survey(path: &Path, text: &[u8]) -> Result<Survey, StoreError> {
    let mut blank = Vec::new();
    let (mut n_columns, mut n_rows, mut fields) = (0, 0, 1);
    let (mut line, mut first_line, mut line_start, mut field_start) = (1, 1, 0, 0);
    let (mut quoted, mut closed, mut header) = (false, usize::MAX - 1, text);
    let ends = text.iter().copied().chain((text.last() != Some(&b'\n')).then_some(b'\n'));
    for (at, byte) in ends.enumerate() {
        match byte {
            // Opens at a field's start, closes, and opens again where it was one of a pair.
            b'"' if quoted || at == field_start || at == closed + 1 => {
                closed = if quoted { at } else { usize::MAX - 1 };
                quoted = !quoted;
            }
            b',' if !quoted => {
                fields += 1;
                field_start = at + 1;
            }
            b'\n' => {
                line += 1;
                if quoted {
                    continue;
                }
                if at == line_start || (at == line_start + 1 && text[line_start] == b'\r') {
                    blank.push(line_start..text.len().min(at + 1));
                } else if n_columns == 0 {
                    n_columns = fields;
                    header = &text[line_start..at];
                } else if fields == n_columns {
                    n_rows += 1;
                } else {
                    let what = format!("line {first_line} has {fields} fields, the header has {n_columns}");
                    return Err(StoreError::corrupt(path, what));
                }
                (first_line, fields, line_start, field_start) = (line, 1, at + 1, at + 1);
            }
            _ => {}
        }
    }
    if quoted {
        return Err(StoreError::corrupt(path, format!("a quote opened in line {first_line} is not closed")));
    }
    if n_rows == 0 {
        return Err(StoreError::NoRows { path: path.to_owned() });
    }
    let names = fields_of(header).map_err(|_| StoreError::corrupt(path, "its header is not UTF-8"))?;
    for (i, name) in names.iter().enumerate() {
        if names[..i].contains(name) {
            return Err(StoreError::DuplicateColumn { path: path.to_owned(), column: name.clone() });
        }
    }
    Ok(Survey { header: names, n_rows, blank })
}

fn without<'a>(text: &'a [u8], lines: &[Range<usize>]) -> Cow<'a, [u8]> {
    if lines.is_empty() {
        return Cow::Borrowed(text);
    }
    let mut kept = Vec::with_capacity(text.len());
    let mut start = 0;
    for line in lines {
        kept.extend_from_slice(&text[start..line.start]);
        start = line.end;
    }
    kept.extend_from_slice(&text[start..]);
    Cow::Owned(kept)
}

/// The fields of one line, without their quotes.
fn fields_of(line: &[u8]) -> Result<Vec<String>, std::str::Utf8Error> {
    let line = std::str::from_utf8(line)?.trim_end_matches('\r');
    let mut fields = Vec::new();
    let mut rest = line;
    loop {
        let mut field = String::new();
        let tail = match rest.strip_prefix('"') {
            None => {
                let end = rest.find(',').unwrap_or(rest.len());
                field.push_str(&rest[..end]);
                &rest[end..]
            }
            Some(mut inside) => loop {
                let (before, after) = inside.split_once('"').unwrap_or((inside, ""));
                field.push_str(before);
                match after.strip_prefix('"') {
                    Some(more) => {
                        field.push('"');
                        inside = more;
                    }
                    None => break after,
                }
            },
        };
        fields.push(field);
        match tail.find(',') {
            Some(comma) => rest = &tail[comma + 1..],
            None => return Ok(fields),
        }
    }
}

/// The cells of the columns at `wanted` (ascending) as text.
fn cells(path: &Path, text: &[u8], wanted: &[usize]) -> Result<DataFrame, StoreError> {
    frame::guarded(path, || {
        CsvReadOptions::default()
            .with_infer_schema_length(Some(0))
            .with_n_threads(Some(rayon::current_num_threads()))
            .with_projection(Some(Arc::new(wanted.to_vec())))
            .map_parse_options(|parse| parse.with_missing_is_null(false))
            .into_reader_with_file_handle(Cursor::new(text))
            .finish()
    })
}

/// A column as it is written; an empty cell is missing.
fn text_column(texts: &StringChunked) -> (Column, Option<usize>) {
    let values: Vec<String> = texts.iter().map(|text| text.unwrap_or_default().to_owned()).collect();
    let null = values.iter().position(String::is_empty);
    (Column::Text(values), null)
}

/// The narrowest type that holds every cell: whole numbers, floats (a missing one is NaN), booleans, text.
fn typed_column(texts: &StringChunked) -> (Column, Option<usize>) {
    let cells = || texts.iter().map(Option::unwrap_or_default);
    if let Some(values) = all(cells(), |text| text.trim().parse::<i64>().ok()) {
        return (Column::I64(values), None);
    }
    if let Some(values) = all(cells(), number) {
        return (Column::F64(values), None);
    }
    match all(cells(), boolean) {
        Some(values) => (Column::Bool(values), None),
        None => text_column(texts),
    }
}

fn all<'a, T>(cells: impl ExactSizeIterator<Item = &'a str>, read: impl Fn(&str) -> Option<T>) -> Option<Vec<T>> {
    let mut values = Vec::with_capacity(cells.len());
    for cell in cells {
        values.push(read(cell)?);
    }
    Some(values)
}

/// A float, correctly rounded; the usual marks of a missing value are NaN.
pub(crate) fn number(text: &str) -> Option<f64> {
    let text = text.trim();
    text.parse().ok().or_else(|| {
        let missing = ["", "NA", "N/A", "#N/A", "n/a", "<NA>", "null", "NULL", "None", "-nan", "-NaN"];
        missing.contains(&text).then_some(f64::NAN)
    })
}

fn boolean(text: &str) -> Option<bool> {
    match text.trim() {
        "true" | "True" | "TRUE" => Some(true),
        "false" | "False" | "FALSE" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn numbers_are_exact() {
        // Halfway cases and the ends of the range, where a sloppy parser is one unit off.
        for (text, bits) in [
            ("9007199254740993", 9_007_199_254_740_992.0_f64.to_bits()),
            ("0.1", 0x3FB9_9999_9999_999A),
            ("5e-324", 1),
            ("2.4703282292062327e-324", 0),
            ("2.4703282292062328e-324", 1),
            ("1.7976931348623157e308", f64::MAX.to_bits()),
            ("2.2250738585072011e-308", 0x000F_FFFF_FFFF_FFFF),
            ("6631236846766476e-316", 6_631_236_846_766_476e-316_f64.to_bits()),
            ("8.533e+68", 8.533e68_f64.to_bits()),
            (" -0.0 ", (-0.0_f64).to_bits()),
        ] {
            assert_eq!(number(text).unwrap().to_bits(), bits, "{text}");
        }
        assert!(number("").unwrap().is_nan() && number("NA").unwrap().is_nan() && number("nan").unwrap().is_nan());
        assert!(number("1,5").is_none() && number("abc").is_none() && number("1_0").is_none());
    }

    proptest! {
        #[test]
        fn a_written_number_is_read_back(bits: u64) {
            let value = f64::from_bits(bits);
            prop_assume!(!value.is_nan());
            prop_assert_eq!(number(&value.to_string()).unwrap().to_bits(), bits);
            prop_assert_eq!(number(&format!("{value:e}")).unwrap().to_bits(), bits);
        }
    }
}

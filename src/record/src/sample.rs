//! The sample submission: header, ids and order that every submission repeats, byte for byte.

use crate::error::{Fault, Kind, did_you_mean};
use blend_core::{Fingerprint, RowIndex, rows::RowIndexError};
use std::{
    ops::Range,
    path::{Path, PathBuf},
    sync::Arc,
};

/// A sample submission, read. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Sample(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    path: PathBuf,
    bytes: Vec<u8>,
    fingerprint: Fingerprint,
    header: Range<usize>,
    newline: &'static str,
    id_position: usize,
    columns: Vec<String>,
    rows: RowIndex,
    ids: Vec<Range<usize>>,
}

/// Why a file is no sample submission.
#[derive(Debug, thiserror::Error)]
pub enum SampleError {
    /// It is a zip archive.
    #[error("the sample submission is a zip archive")]
    Archive {
        /// The file.
        path: PathBuf,
    },
    /// A line is no row of a table.
    #[error("the sample submission is damaged: {message}")]
    Csv {
        /// The file.
        path: PathBuf,
        /// Line, counted from 1; 0 where none is to blame.
        line: u64,
        /// What is wrong there.
        message: String,
    },
    /// The id column of `competition.yaml` is not in it.
    #[error("the sample submission has no column `{column}`{}", did_you_mean(column, known.iter().map(String::as_str)))]
    NoIdColumn {
        /// The file.
        path: PathBuf,
        /// The id column wanted.
        column: String,
        /// Its columns.
        known: Vec<String>,
    },
    /// A column's name twice.
    #[error("column `{column}` stands twice in the sample submission")]
    ColumnTwice {
        /// The file.
        path: PathBuf,
        /// The column.
        column: String,
    },
    /// No rows, or an id twice.
    #[error("the ids of the sample submission: {source}")]
    Rows {
        /// The file.
        path: PathBuf,
        /// What is wrong with them.
        source: RowIndexError,
    },
}

impl Fault for SampleError {
    fn kind(&self) -> Kind {
        match self {
            // The name was written in competition.yaml.
            Self::NoIdColumn { .. } => Kind::Usage,
            _ => Kind::Data,
        }
    }

    fn place(&self) -> Option<String> {
        Some(match self {
            Self::Csv { path, line, .. } if *line > 0 => format!("{}:{line}", path.display()),
            Self::Csv { path, .. }
            | Self::Archive { path }
            | Self::NoIdColumn { path, .. }
            | Self::ColumnTwice { path, .. }
            | Self::Rows { path, .. } => path.display().to_string(),
        })
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Archive { .. } => Some("unpack it and name the csv file in competition.yaml".into()),
            Self::NoIdColumn { known, .. } => {
                Some(format!("set `id` of competition.yaml to one of: {}", known.join(", ")))
            }
            Self::Csv { .. } | Self::Rows { .. } | Self::ColumnTwice { .. } => {
                Some("download the sample submission again".into())
            }
        }
    }
}

impl Sample {
    /// The sample in `text`, the file at `path` as unpacked csv; `fingerprint` is that of the file's own bytes. The ids
    /// stand in `id_column`.
    pub fn new(path: &Path, text: Vec<u8>, fingerprint: Fingerprint, id_column: &str) -> Result<Self, SampleError> {
        let (path, bytes) = (path.to_owned(), text);
        if bytes.starts_with(b"PK\x03\x04") {
            return Err(SampleError::Archive { path });
        }
        let damaged = |error: csv::Error| {
            let (line, message) = describe(&error);
            SampleError::Csv { path: path.clone(), line, message }
        };
        let mut reader = csv::Reader::from_reader(&bytes[..]);
        let header: Vec<String> = reader.headers().map_err(damaged)?.iter().map(str::to_owned).collect();
        if let Some((_, column)) = header.iter().enumerate().find(|(i, name)| header[..*i].contains(name)) {
            return Err(SampleError::ColumnTwice { path, column: column.clone() });
        }
        let Some(id_position) = header.iter().position(|name| name == id_column) else {
            return Err(SampleError::NoIdColumn { path, column: id_column.into(), known: header });
        };
        let (mut ids, mut texts): (Vec<Range<usize>>, Vec<Box<str>>) = (vec![], vec![]);
        let mut first_record = None;
        let mut record = csv::StringRecord::new();
        while reader.read_record(&mut record).map_err(damaged)? {
            let start = record.position().map_or(0, |position| position.byte() as usize);
            // The library's position may be before line ends that it skipped.
            let start = start + bytes[start..].iter().take_while(|byte| matches!(byte, b'\n' | b'\r')).count();
            first_record.get_or_insert(start);
            ids.push(raw_field(&bytes, start, id_position));
            texts.push(record[id_position].into());
        }
        let rows = RowIndex::from_texts(texts).map_err(|source| SampleError::Rows { path: path.clone(), source })?;
        let head = &bytes[..first_record.unwrap_or(bytes.len())];
        let text_end = head.iter().rposition(|byte| !matches!(byte, b'\n' | b'\r')).map_or(0, |at| at + 1);
        let newline = if head[text_end..].starts_with(b"\r\n") { "\r\n" } else { "\n" };
        let columns = header.into_iter().enumerate().filter(|(i, _)| *i != id_position).map(|(_, name)| name).collect();
        let header = 0..text_end;
        Ok(Self(Arc::new(Inner { path, bytes, fingerprint, header, newline, id_position, columns, rows, ids })))
    }

    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0.path
    }

    /// The fingerprint of the file's bytes.
    #[must_use]
    pub fn fingerprint(&self) -> Fingerprint {
        self.0.fingerprint
    }

    /// Its ids, in order.
    #[must_use]
    pub fn rows(&self) -> &RowIndex {
        &self.0.rows
    }

    /// Its columns without the id, in order.
    #[must_use]
    pub fn columns(&self) -> &[String] {
        &self.0.columns
    }

    /// The header line as it stands, without the line end.
    pub(crate) fn header(&self) -> &[u8] {
        &self.0.bytes[self.0.header.clone()]
    }

    /// How its lines end.
    pub(crate) fn newline(&self) -> &'static str {
        self.0.newline
    }

    /// The id of `row` as it stands, quotes included.
    pub(crate) fn raw_id(&self, row: usize) -> &[u8] {
        &self.0.bytes[self.0.ids[row].clone()]
    }

    /// The position of the id among all columns.
    pub(crate) fn id_position(&self) -> usize {
        self.0.id_position
    }
}

/// Where field `index` of the record at `start` lies, quotes included.
fn raw_field(bytes: &[u8], start: usize, index: usize) -> Range<usize> {
    let mut begin = start;
    let mut field = 0;
    let mut quoted = false;
    for (at, byte) in bytes.iter().enumerate().skip(start) {
        match byte {
            // Quotes count only in a field that begins with one.
            b'"' if bytes[begin] == b'"' => quoted = !quoted,
            b',' | b'\n' | b'\r' if !quoted => {
                if field == index {
                    return begin..at;
                }
                field += 1;
                begin = at + 1;
            }
            _ => {}
        }
    }
    begin..bytes.len()
}

fn describe(error: &csv::Error) -> (u64, String) {
    let line = |position: &Option<csv::Position>| position.as_ref().map_or(0, csv::Position::line);
    match error.kind() {
        csv::ErrorKind::UnequalLengths { pos, expected_len, len } => {
            (line(pos), format!("{len} fields where the header has {expected_len}"))
        }
        csv::ErrorKind::Utf8 { pos, .. } => (line(pos), "it is not UTF-8".into()),
        _ => (0, error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str, id: &str) -> Result<Sample, SampleError> {
        let bytes = text.as_bytes().to_vec();
        Sample::new(Path::new("sample.csv"), bytes.clone(), Fingerprint::of(&bytes), id)
    }

    fn fault(text: &str) -> (String, String, Kind) {
        let error = parse(text, "id").unwrap_err();
        (error.to_string(), error.place().unwrap(), error.kind())
    }

    #[test]
    fn ids_and_header_are_kept_as_they_stand() {
        let sample = parse("\"b\",id\r\n0.5,\"x,\"\"1\"\"\"\r\n\r\n0.5,007\r\n", "id").unwrap();
        assert_eq!(sample.header(), b"\"b\",id");
        assert_eq!(sample.newline(), "\r\n");
        assert_eq!(sample.columns(), ["b"]);
        assert_eq!(sample.raw_id(0), b"\"x,\"\"1\"\"\"");
        assert_eq!(sample.raw_id(1), b"007");
        assert_eq!(sample.rows().id(0), "x,\"1\"");
        assert_eq!(sample.id_position(), 1);
        let sample = parse("a,id\n5\" pipe,x\n0,y", "id").unwrap();
        assert_eq!((sample.raw_id(0), sample.raw_id(1)), (&b"x"[..], &b"y"[..]));
    }

    #[test]
    fn what_is_no_sample_is_refused_with_its_place() {
        assert_eq!(
            fault("id,a\n1,2\n3\n"),
            (
                "the sample submission is damaged: 1 fields where the header has 2".into(),
                "sample.csv:3".into(),
                Kind::Data
            )
        );
        assert_eq!(fault("id,a\n1,0\n1,0\n").0, "the ids of the sample submission: id `1` stands in rows 0 and 1");
        assert_eq!(fault("id,a\n").0, "the ids of the sample submission: no rows");
        assert_eq!(fault("id,a,a\n1,0,0\n").0, "column `a` stands twice in the sample submission");
        assert_eq!(
            fault("idx,a\n1,0\n"),
            ("the sample submission has no column `id`, did you mean `idx`?".into(), "sample.csv".into(), Kind::Usage)
        );
        let archive = parse("PK\x03\x04", "id").unwrap_err();
        assert_eq!(archive.to_string(), "the sample submission is a zip archive");
        assert_eq!(archive.hint().unwrap(), "unpack it and name the csv file in competition.yaml");
    }
}

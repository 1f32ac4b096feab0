//! npy: one array of numbers or of fixed-width text, with its type and shape in front.

use crate::{
    error::StoreError,
    table::{Cells, Raw, ReadOptions},
};
use blend_core::source::{Column, ColumnType};
use std::path::Path;

/// An array as it lies in a file.
#[derive(Debug)]
pub(crate) struct Array<'a> {
    header: Header,
    data: &'a [u8],
}

/// What an array says about itself.
#[derive(Debug, Clone)]
pub(crate) struct Header {
    kind: u8,
    size: usize,
    big: bool,
    fortran: bool,
    shape: Vec<usize>,
}

/// The columns of an npy file: names from `options.columns`, or `0`, `1`, ...
pub(crate) fn read(path: &Path, options: &ReadOptions) -> Result<Vec<Raw>, StoreError> {
    let bytes = std::fs::read(path).map_err(|e| StoreError::io("read", path, e))?;
    Array::parse(path, &bytes)?.columns(path, options)
}

impl Header {
    /// Reads the start of an array: what it says, and where its values begin. `path` is for messages.
    pub(crate) fn parse(path: &Path, bytes: &[u8]) -> Result<(Self, usize), StoreError> {
        let bad = |what: &str| StoreError::corrupt(path, what);
        if matches!(bytes, [0x80, 2..=5, ..]) {
            return Err(StoreError::Pickle { path: path.to_owned() });
        }
        let rest = bytes.strip_prefix(b"\x93NUMPY").ok_or_else(|| bad("it does not start as an npy file"))?;
        let short = || bad("its header is cut off");
        let (version, rest) = rest.split_first_chunk::<2>().ok_or_else(short)?;
        let (length, rest) = if version[0] == 1 {
            let (length, rest) = rest.split_first_chunk::<2>().ok_or_else(short)?;
            (usize::from(u16::from_le_bytes(*length)), rest)
        } else {
            let (length, rest) = rest.split_first_chunk::<4>().ok_or_else(short)?;
            (u32::from_le_bytes(*length) as usize, rest)
        };
        let (header, rest) = rest.split_at_checked(length).ok_or_else(short)?;
        let header = std::str::from_utf8(header).map_err(|_| bad("its header is no text"))?;
        let unreadable = || bad("its header cannot be understood");
        let descr = after(header, "descr").ok_or_else(unreadable)?;
        if !descr.starts_with('\'') && !descr.starts_with('"') {
            return Err(bad("it holds records, not one type of number"));
        }
        let descr = descr[1..].split(['\'', '"']).next().ok_or_else(unreadable)?;
        let fortran = after(header, "fortran_order").ok_or_else(unreadable)?.starts_with("True");
        let shape = after(header, "shape").and_then(|text| text.strip_prefix('(')).ok_or_else(unreadable)?;
        let shape = shape.split(')').next().ok_or_else(unreadable)?;
        let shape: Vec<usize> = shape
            .split(',')
            .map(str::trim)
            .filter(|n| !n.is_empty())
            .map(|n| n.trim_end_matches('L').parse().map_err(|_| unreadable()))
            .collect::<Result<_, _>>()?;
        let (order, kind) = descr.split_at_checked(1).filter(|(o, _)| "<>|=".contains(o)).unwrap_or(("|", descr));
        let kind_letter = *kind.as_bytes().first().ok_or_else(unreadable)?;
        if kind_letter == b'O' {
            return Err(StoreError::Pickle { path: path.to_owned() });
        }
        let size: usize = kind.get(1..).and_then(|size| size.parse().ok()).unwrap_or(0);
        let sizes: &[usize] = match kind_letter {
            b'f' => &[4, 8],
            b'i' | b'u' => &[1, 2, 4, 8],
            b'b' => &[1],
            b'U' | b'S' => &[],
            _ => return Err(bad(&format!("it holds `{descr}`, not numbers or text"))),
        };
        if size > 1 << 20 || !(sizes.contains(&size) || sizes.is_empty()) {
            let hint = if kind == "f2" { ": convert it to float32" } else { "" };
            return Err(bad(&format!("it holds `{descr}`, which is not read{hint}")));
        }
        let size = if kind_letter == b'U' { size * 4 } else { size };
        if shape.contains(&0) {
            return Err(StoreError::NoRows { path: path.to_owned() });
        }
        let big = order == ">" || (order == "=" && cfg!(target_endian = "big"));
        Ok((Self { kind: kind_letter, size, big, fortran, shape }, bytes.len() - rest.len()))
    }

    /// Refuses values of another length than the shape asks for.
    pub(crate) fn check_length(&self, path: &Path, found: u64) -> Result<(), StoreError> {
        let expected = self.shape.iter().try_fold(self.size, |product, &n| product.checked_mul(n));
        let expected = expected.ok_or_else(|| StoreError::corrupt(path, "its shape is too large"))? as u64;
        if found < expected {
            return Err(StoreError::Truncated { path: path.to_owned(), expected, found });
        }
        if found > expected {
            return Err(StoreError::corrupt(path, format!("{} bytes follow its data", found - expected)));
        }
        Ok(())
    }

    /// Sizes of its dimensions.
    pub(crate) fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// Bytes of a value.
    pub(crate) fn size(&self) -> usize {
        self.size
    }

    /// Whether the first dimension runs fastest.
    pub(crate) fn is_fortran(&self) -> bool {
        self.fortran
    }

    /// Whether its values are f32 as this machine has them, row after row.
    pub(crate) fn is_plain_f32(&self) -> bool {
        self.kind == b'f' && self.size == 4 && !self.fortran && self.big == cfg!(target_endian = "big")
    }

    /// What its values become in a table.
    pub(crate) fn kind(&self) -> ColumnType {
        match (self.kind, self.size) {
            (b'f', 4) => ColumnType::F32,
            (b'f', _) => ColumnType::F64,
            (b'i' | b'u', _) => ColumnType::I64,
            (b'b', _) => ColumnType::Bool,
            _ => ColumnType::Text,
        }
    }

    /// Of an array whose first dimension runs fastest: where a column, counted with the last dimension running fastest,
    /// comes among the columns.
    pub(crate) fn column_order(&self) -> impl Fn(usize) -> usize + '_ {
        |column| {
            let (mut rest, mut at, mut place) = (column, 0, self.shape[1..].iter().product::<usize>());
            for &n in self.shape[1..].iter().rev() {
                place /= n;
                at += rest % n * place;
                rest /= n;
            }
            at
        }
    }
}

impl<'a> Array<'a> {
    /// An array of `header` whose first values are `data`.
    pub(crate) fn new(header: &Header, data: &'a [u8]) -> Self {
        Self { header: header.clone(), data }
    }

    /// Reads the header and checks that the data are as long as it says. `path` is for messages.
    pub(crate) fn parse(path: &Path, bytes: &'a [u8]) -> Result<Self, StoreError> {
        let (header, start) = Header::parse(path, bytes)?;
        header.check_length(path, (bytes.len() - start) as u64)?;
        Ok(Self { header, data: &bytes[start..] })
    }

    /// Rows, `None` for a single value without dimensions.
    pub(crate) fn n_rows(&self) -> Option<usize> {
        self.header.shape.first().copied()
    }

    /// Number of dimensions.
    pub(crate) fn n_dimensions(&self) -> usize {
        self.header.shape.len()
    }

    /// One column per column of the array, named.
    pub(crate) fn columns(&self, path: &Path, options: &ReadOptions) -> Result<Vec<Raw>, StoreError> {
        let (n_rows, n_columns) = match self.header.shape[..] {
            [n] => (n, 1),
            [n, m] => (n, m),
            // Single values per row with needless dimensions, as networks like to write them.
            [n, m, ref rest @ ..] if rest.iter().all(|&k| k == 1) => (n, m),
            _ => {
                let what = format!("it has shape {:?}, a table has rows and columns", self.header.shape);
                return Err(StoreError::corrupt(path, what));
            }
        };
        let names: Vec<String> = match &options.columns {
            Some(names) if names.len() == n_columns => names.clone(),
            Some(names) => {
                // Told apart here, where shapes are known: names cannot be matched to columns.
                let rows = options.n_rows.unwrap_or(n_columns);
                return Err(if names.len() == n_rows && rows == n_columns {
                    StoreError::Transposed { path: path.to_owned(), found: (n_rows, n_columns) }
                } else {
                    StoreError::ColumnCount { path: path.to_owned(), found: n_columns, wanted: names.len() }
                });
            }
            None => (0..n_columns).map(|column| column.to_string()).collect(),
        };
        Ok(names
            .into_iter()
            .enumerate()
            .map(|(column, name)| {
                let (start, step) = if self.header.fortran { (column * n_rows, 1) } else { (column, n_columns) };
                Raw { name, cells: Cells::Typed(self.column(start, step, n_rows), None) }
            })
            .collect())
    }

    /// `n` values from element `start` on, every `step`-th.
    pub(crate) fn column(&self, start: usize, step: usize, n: usize) -> Column {
        macro_rules! numbers {
            ($type:ty) => {
                self.elements(start, step, n).map(|bytes| {
                    let bytes = bytes.try_into().unwrap_or_default();
                    if self.header.big { <$type>::from_be_bytes(bytes) } else { <$type>::from_le_bytes(bytes) }
                })
            };
        }
        match (self.header.kind, self.header.size) {
            (b'f', 4) => Column::F32(numbers!(f32).collect()),
            (b'f', _) => Column::F64(numbers!(f64).collect()),
            (b'i', 1) => Column::I64(numbers!(i8).map(i64::from).collect()),
            (b'i', 2) => Column::I64(numbers!(i16).map(i64::from).collect()),
            (b'i', 4) => Column::I64(numbers!(i32).map(i64::from).collect()),
            (b'i', _) => Column::I64(numbers!(i64).collect()),
            (b'u', 1) => Column::I64(numbers!(u8).map(i64::from).collect()),
            (b'u', 2) => Column::I64(numbers!(u16).map(i64::from).collect()),
            (b'u', 4) => Column::I64(numbers!(u32).map(i64::from).collect()),
            (b'u', _) => match numbers!(u64).map(i64::try_from).collect() {
                Ok(ints) => Column::I64(ints),
                // Hashes as ids: taken as they are written.
                Err(_) => Column::Text(numbers!(u64).map(|x| x.to_string()).collect()),
            },
            (b'b', _) => Column::Bool(self.elements(start, step, n).map(|byte| byte[0] != 0).collect()),
            (b'U', _) => Column::Text(self.elements(start, step, n).map(|bytes| self.utf32(bytes)).collect()),
            _ => Column::Text(self.elements(start, step, n).map(latin).collect()),
        }
    }

    fn elements(&self, start: usize, step: usize, n: usize) -> impl Iterator<Item = &'a [u8]> {
        let (data, size) = (self.data, self.header.size);
        (0..n).map(move |i| &data[(start + i * step) * size..][..size])
    }

    /// Fixed-width text of 4-byte characters, padded with zeros.
    fn utf32(&self, bytes: &[u8]) -> String {
        let (characters, _) = bytes.as_chunks::<4>();
        let text =
            characters.iter().map(|c| if self.header.big { u32::from_be_bytes(*c) } else { u32::from_le_bytes(*c) });
        let text: Vec<u32> = text.collect();
        let end = text.iter().rposition(|&c| c != 0).map_or(0, |last| last + 1);
        text[..end].iter().map(|&c| char::from_u32(c).unwrap_or(char::REPLACEMENT_CHARACTER)).collect()
    }
}

/// Fixed-width bytes, padded with zeros.
fn latin(bytes: &[u8]) -> String {
    let end = bytes.iter().rposition(|&c| c != 0).map_or(0, |last| last + 1);
    String::from_utf8_lossy(&bytes[..end]).into_owned()
}

/// What follows `'key':` in the header, a Python dictionary.
fn after<'a>(header: &'a str, key: &str) -> Option<&'a str> {
    let at = header.find(&format!("'{key}'")).or_else(|| header.find(&format!("\"{key}\"")))?;
    header[at + key.len() + 2..].trim_start().strip_prefix(':').map(str::trim_start)
}

//! What can go wrong between a file and a typed table.

use blend_core::{
    Fingerprint,
    rows::{AlignError, RowIndexError},
};
use std::{
    error::Error,
    io,
    path::{Path, PathBuf},
};

/// Whose turn it is to act.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The machine refused: a file is absent, a permission is lacking, the disk is full.
    Machine,
    /// The data is wrong: corrupt, pickled, null, misaligned.
    Data,
    /// What was asked for does not exist: an unknown column, array or file format.
    Usage,
}

/// Why a table could not be read, aligned, written or mapped. Every variant names the place.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The operating system refused.
    #[error("cannot {action} `{}`", path.display())]
    Io {
        /// What was attempted: `open`, `read`, `write`, ...
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The system's answer.
        #[source]
        source: io::Error,
    },
    /// A file of 0 bytes.
    #[error("`{}` is empty (0 bytes)", path.display())]
    Empty {
        /// The file.
        path: PathBuf,
    },
    /// A header and nothing below it.
    #[error("`{}` has no rows", path.display())]
    NoRows {
        /// The file.
        path: PathBuf,
    },
    /// A Python pickle, or an array of Python objects: reading one would run the code in it.
    #[error("`{}` holds pickled Python objects, which are never loaded", path.display())]
    Pickle {
        /// The file.
        path: PathBuf,
    },
    /// Bytes that are not what the format promises.
    #[error("`{}` is damaged: {what}", path.display())]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// What does not fit, with its place where it has one.
        what: String,
        /// The reader's own words.
        #[source]
        source: Option<Box<dyn Error + Send + Sync>>,
    },
    /// Fewer bytes than the header announces.
    #[error("`{}` is cut off: {found} bytes of data, its header announces {expected}", path.display())]
    Truncated {
        /// The file, or `file:array`.
        path: PathBuf,
        /// Bytes announced.
        expected: u64,
        /// Bytes there.
        found: u64,
    },
    /// A missing value in a column that is not of floats.
    #[error("column `{column}` of `{}` has no value in row {row} (id `{id}`)", path.display())]
    Null {
        /// The file.
        path: PathBuf,
        /// The column.
        column: String,
        /// Row of data, counted from 0.
        row: usize,
        /// The row's id.
        id: String,
    },
    /// An id is missing.
    #[error("id column `{column}` of `{}` has no value in row {row}", path.display())]
    NullId {
        /// The file.
        path: PathBuf,
        /// The id column.
        column: String,
        /// Row of data, counted from 0.
        row: usize,
    },
    /// Text where a number is wanted.
    #[error("column `{column}` of `{}` is no number in row {row} (id `{id}`): `{text}`", path.display())]
    NotNumber {
        /// The file.
        path: PathBuf,
        /// The column.
        column: String,
        /// Row of data, counted from 0.
        row: usize,
        /// The row's id.
        id: String,
        /// What stands there.
        text: String,
    },
    /// A finite number too large for the stored type.
    #[error("column `{column}` of `{}` holds {value:?} in row {row}, too large for f32", path.display())]
    Overflow {
        /// The file.
        path: PathBuf,
        /// The column.
        column: String,
        /// Row of data, counted from 0.
        row: usize,
        /// The number.
        value: f64,
    },
    /// A column of a type that has no place in a table: a date, a list, floats as ids.
    #[error("column `{column}` of `{}` is of type {found}, wanted is {wanted}", path.display())]
    ColumnType {
        /// The file.
        path: PathBuf,
        /// The column.
        column: String,
        /// Its type.
        found: String,
        /// What would do.
        wanted: &'static str,
    },
    /// One column name twice.
    #[error("column `{column}` stands twice in `{}`", path.display())]
    DuplicateColumn {
        /// The file.
        path: PathBuf,
        /// The column.
        column: String,
    },
    /// Ids that are no row index.
    #[error("the ids of `{}` do not name its rows", path.display())]
    Ids {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: RowIndexError,
    },
    /// Rows that are not the wanted ones.
    #[error("the rows of {place} do not line up")]
    Align {
        /// The file, or the first of several.
        place: String,
        /// What is missing and what is unknown.
        #[source]
        source: AlignError,
    },
    /// One id in two parts that should cover every id once.
    #[error("id `{id}` stands in `{}` and in `{}`", first.display(), second.display())]
    Overlap {
        /// The id.
        id: String,
        /// The first part that has it.
        first: PathBuf,
        /// The second.
        second: PathBuf,
    },
    /// Rows and columns swapped.
    #[error("`{}` is transposed: it has shape ({}, {}) where ({}, {}) is wanted", path.display(), found.0, found.1, found.1, found.0)]
    Transposed {
        /// The file.
        path: PathBuf,
        /// Rows and columns found.
        found: (usize, usize),
    },
    /// Another number of rows than known from elsewhere.
    #[error("`{}` has {found} rows, wanted are {wanted}", path.display())]
    RowCount {
        /// The file.
        path: PathBuf,
        /// Rows there.
        found: usize,
        /// Rows wanted.
        wanted: usize,
    },
    /// Another number of columns than wanted.
    #[error("`{}` has {found} columns, wanted are {wanted}", path.display())]
    ColumnCount {
        /// The file.
        path: PathBuf,
        /// Columns there.
        found: usize,
        /// Columns wanted.
        wanted: usize,
    },
    /// Stored outputs in a layout that this program does not know.
    #[error("`{}` is in format {found}, this program reads format {known}", path.display())]
    FormatVersion {
        /// The file.
        path: PathBuf,
        /// The format it names.
        found: String,
        /// The format known.
        known: &'static str,
    },
    /// Content that is not what was recorded when the file was written.
    #[error("the content of `{}` has changed: recorded {recorded}, found {found}", path.display())]
    Changed {
        /// The file.
        path: PathBuf,
        /// Recorded fingerprint.
        recorded: Fingerprint,
        /// Fingerprint of what is there.
        found: Fingerprint,
    },
    /// A block source that failed while it was read.
    #[error("the values for `{}` could not be read: {what}", path.display())]
    Latched {
        /// The file being written.
        path: PathBuf,
        /// The source's first error.
        what: String,
    },
    /// A column that is not there.
    #[error("`{}` has no column `{column}`", path.display())]
    UnknownColumn {
        /// The file.
        path: PathBuf,
        /// The column asked for.
        column: String,
        /// The columns there.
        known: Vec<String>,
    },
    /// An array that is not in an npz file.
    #[error("`{}` has no array `{array}`", path.display())]
    UnknownArray {
        /// The file.
        path: PathBuf,
        /// The array asked for.
        array: String,
        /// The arrays there.
        known: Vec<String>,
    },
    /// An npz file with several arrays and no choice among them.
    #[error("`{}` holds {} arrays ({}): name one", path.display(), known.len(), known.join(", "))]
    AmbiguousArray {
        /// The file.
        path: PathBuf,
        /// The arrays there.
        known: Vec<String>,
    },
    /// A file without ids where ids were asked for.
    #[error("`{}` has no ids", path.display())]
    NoIds {
        /// The file.
        path: PathBuf,
    },
    /// A file name that says nothing about the format.
    #[error("`{}` is in no known table format", path.display())]
    UnknownFormat {
        /// The file.
        path: PathBuf,
    },
}

impl StoreError {
    /// Whether the machine, the data or the request is at fault (exit codes 4, 3 and 2).
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            Self::Io { .. } | Self::Latched { .. } => Kind::Machine,
            Self::UnknownColumn { .. }
            | Self::UnknownArray { .. }
            | Self::AmbiguousArray { .. }
            | Self::NoIds { .. }
            | Self::UnknownFormat { .. } => Kind::Usage,
            _ => Kind::Data,
        }
    }

    /// What to do next, where there is something to say beyond the message.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Pickle { path } => pickle_hint(path),
            Self::Transposed { path, .. } => {
                let file = file_name(path);
                format!("python3 -c \"import numpy as np; np.save('{file}', np.load('{file}').T.copy())\"")
            }
            Self::NoIds { .. } => "name a file with the row order, or say that the order is the truth's".to_owned(),
            Self::UnknownColumn { known, .. } | Self::UnknownArray { known, .. } if !known.is_empty() => {
                const SHOWN: usize = 20;
                let more =
                    if known.len() > SHOWN { format!(", and {} more", known.len() - SHOWN) } else { String::new() };
                format!("it has {}{more}", known[..known.len().min(SHOWN)].join(", "))
            }
            Self::UnknownFormat { .. } => {
                "known are .csv, .csv.gz, .parquet, .feather, .arrow, .ipc, .npy and .npz".to_owned()
            }
            Self::Changed { .. } => "import or predict it again".to_owned(),
            other => other.plain_hint()?.to_owned(),
        })
    }

    /// The next steps that need no detail.
    fn plain_hint(&self) -> Option<&'static str> {
        Some(match self {
            Self::Io { source, .. } => match source.kind() {
                io::ErrorKind::NotFound => "check the path; a relative one begins at the current folder",
                io::ErrorKind::PermissionDenied => "give this user the right to read and write there",
                io::ErrorKind::IsADirectory => "name a file in it",
                io::ErrorKind::StorageFull => "free some space; what stood there before is untouched",
                _ => return None,
            },
            Self::Empty { .. } | Self::NoRows { .. } => "write it again where it was made, with its rows",
            Self::Corrupt { .. } | Self::Truncated { .. } => {
                "copy it again or write it again where it was made; it may have been cut short on its way"
            }
            Self::Null { .. } | Self::NullId { .. } => "fill it in where the file was made",
            Self::NotNumber { .. } => "correct it where the file was made",
            Self::Overflow { .. } => "check the scale of the numbers, or store them as f64",
            Self::ColumnType { .. } => "convert the column where the file was made",
            Self::DuplicateColumn { .. } => "rename one of the two",
            Self::Ids { .. } => {
                "every row needs an id of its own: drop the row that stands twice, or name its id apart"
            }
            Self::Align { .. } => "both need the same ids, each once",
            Self::Overlap { .. } => "a row belongs to one file only: drop it from the other",
            Self::RowCount { .. } => "write one row for each id, in their order",
            Self::ColumnCount { .. } => "write one column for each output",
            Self::FormatVersion { .. } => "import or predict it again, or use the version that wrote it",
            Self::AmbiguousArray { .. } => "save the one that is meant to a file of its own",
            Self::Latched { .. } => "check the disk that the outputs are read from",
            _ => return None,
        })
    }

    pub(crate) fn io(action: &'static str, path: &Path, source: io::Error) -> Self {
        Self::Io { action, path: path.to_owned(), source }
    }

    pub(crate) fn corrupt(path: &Path, what: impl Into<String>) -> Self {
        Self::Corrupt { path: path.to_owned(), what: what.into(), source: None }
    }
}

fn file_name(path: &Path) -> String {
    path.file_name().map_or_else(|| path.display().to_string(), |name| name.to_string_lossy().into_owned())
}

/// The line that turns a pickle, run where it is trusted, into an array.
fn pickle_hint(path: &Path) -> String {
    let file = file_name(path);
    let stem = path.file_stem().map_or_else(|| "x".to_owned(), |stem| stem.to_string_lossy().into_owned());
    if path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("npy")) {
        format!(
            "where you trust the file, convert it: python3 -c \"import numpy as np; \
             np.save('{file}', np.load('{file}', allow_pickle=True).astype('float32'))\""
        )
    } else if path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("npz")) {
        format!(
            "where you trust the file, convert it: python3 -c \"import numpy as np; z = np.load('{file}', allow_pickle=True); \
             np.savez('{file}', **{{k: np.array(z[k].tolist()) for k in z}})\""
        )
    } else {
        format!(
            "where you trust the file, convert it: python3 -c \"import numpy as np, pandas as pd; \
             np.save('{stem}.npy', np.asarray(pd.read_pickle('{file}'), 'float32'))\""
        )
    }
}

//! npz: a zip file of npy arrays, one of which may hold the ids.

use crate::{
    error::StoreError,
    npy::{Array, Header},
    table::{self, IdSpec, Raw, ReadOptions},
};
use blend_core::RowIndex;
use std::{
    fs::File,
    io::{BufReader, Read},
    ops::Range,
    path::{Path, PathBuf},
};
use zip::{CompressionMethod, ZipArchive, result::ZipError};

/// Arrays that are taken for ids when nobody says which.
const ID_NAMES: [&str; 8] = ["id", "ids", "row_id", "row_ids", "event_id", "event_ids", "index", "sig_id"];

/// The columns of the wanted array, preceded by the ids' where there are some; and the ids' name.
pub(crate) fn read(path: &Path, options: &ReadOptions) -> Result<(Option<String>, Vec<Raw>), StoreError> {
    let mut archive = open(path)?;
    let (id, array) = choose(path, &archive, &options.id, options.array.as_deref())?;
    let (place, bytes) = member(path, &mut archive, &array)?;
    let values = parse(path, &place, &bytes)?;
    let mut raws = Vec::new();
    if let Some(name) = &id {
        raws = id_column(path, &mut archive, name, values.n_rows().unwrap_or(1))?;
    }
    raws.extend(values.columns(&place, options)?);
    Ok((id, raws))
}

fn open(path: &Path) -> Result<ZipArchive<BufReader<File>>, StoreError> {
    let file = File::open(path).map_err(|e| StoreError::io("open", path, e))?;
    ZipArchive::new(BufReader::new(file)).map_err(|e| damaged(path, e))
}

/// The column of ids, which has `n_rows` values.
fn id_column(
    path: &Path,
    archive: &mut ZipArchive<BufReader<File>>,
    name: &str,
    n_rows: usize,
) -> Result<Vec<Raw>, StoreError> {
    let (place, bytes) = member(path, archive, name)?;
    let ids = parse(path, &place, &bytes)?;
    if ids.n_dimensions() != 1 || ids.n_rows() != Some(n_rows) {
        return Err(StoreError::RowCount { path: place, found: n_rows, wanted: ids.n_rows().unwrap_or(1) });
    }
    ids.columns(&place, &ReadOptions { columns: Some(vec![name.to_owned()]), ..ReadOptions::default() })
}

/// An array that was found.
#[derive(Debug)]
pub(crate) struct Found {
    /// Its name.
    pub(crate) array: String,
    /// Where it lies in the archive, where it is not packed.
    pub(crate) stored: Option<Range<u64>>,
    /// The ids, where the archive has some.
    pub(crate) ids: Option<RowIndex>,
}

/// Finds an array of the archive at `path`, and the ids, which `may_lack` them.
pub(crate) fn find(path: &Path, id: &IdSpec, may_lack: bool, array: Option<&str>) -> Result<Found, StoreError> {
    let mut archive = open(path)?;
    let lacks = matches!(id, IdSpec::Column(name) if archive.index_for_name(&format!("{name}.npy")).is_none());
    let id = if may_lack && lacks { &IdSpec::FirstColumn } else { id };
    let (id, array) = choose(path, &archive, id, array)?;
    let ids = match &id {
        Some(name) => {
            let n_rows = shape_of(path, &mut archive, &array)?.first().copied().unwrap_or(1);
            let raw = id_column(path, &mut archive, name, n_rows)?.pop();
            Some(table::ids(path, raw.ok_or_else(|| StoreError::NoIds { path: path.to_owned() })?)?)
        }
        None => None,
    };
    let file = archive.by_name(&format!("{array}.npy")).map_err(|e| damaged(path, e))?;
    let start = file.data_start();
    let stored = (file.compression() == CompressionMethod::Stored).then(|| start..start + file.size());
    drop(file);
    Ok(Found { array, stored, ids })
}

/// Sizes of an array's dimensions.
fn shape_of(path: &Path, archive: &mut ZipArchive<BufReader<File>>, array: &str) -> Result<Vec<usize>, StoreError> {
    let place = PathBuf::from(format!("{}:{array}", path.display()));
    let file = archive.by_name(&format!("{array}.npy")).map_err(|e| damaged(path, e))?;
    let mut head = Vec::new();
    file.take(1 << 16).read_to_end(&mut head).map_err(|e| unpacked(&place, e))?;
    Ok(Header::parse(&place, &head)?.0.shape().to_vec())
}

/// Writes an array as an npy file; gives its length.
pub(crate) fn unpack(path: &Path, array: &str, to: &mut File) -> Result<u64, StoreError> {
    let mut archive = open(path)?;
    let place = PathBuf::from(format!("{}:{array}", path.display()));
    let mut file = archive.by_name(&format!("{array}.npy")).map_err(|e| damaged(path, e))?;
    std::io::copy(&mut file, to).map_err(|e| unpacked(&place, e))
}

/// The names of the ids' array, where there is one, and of the values'.
fn choose(
    path: &Path,
    archive: &ZipArchive<BufReader<File>>,
    id: &IdSpec,
    array: Option<&str>,
) -> Result<(Option<String>, String), StoreError> {
    let known: Vec<String> =
        archive.file_names().filter_map(|name| name.strip_suffix(".npy")).map(ToOwned::to_owned).collect();
    let unknown =
        |array: &str| StoreError::UnknownArray { path: path.to_owned(), array: array.to_owned(), known: known.clone() };
    let id = match id {
        IdSpec::Column(name) if known.contains(name) => Some(name.clone()),
        IdSpec::Column(name) => return Err(unknown(name)),
        IdSpec::FirstColumn => ID_NAMES.iter().find(|name| known.iter().any(|k| k == *name)).map(ToString::to_string),
        IdSpec::Rows(_) | IdSpec::Positions => None,
    };
    let array = match array {
        Some(name) if known.iter().any(|known| known == name) => name.to_owned(),
        Some(name) => return Err(unknown(name)),
        None => {
            let mut others = known.iter().filter(|name| Some(*name) != id.as_ref());
            match (others.next(), others.next()) {
                (Some(only), None) => only.clone(),
                (None, _) => return Err(StoreError::NoRows { path: path.to_owned() }),
                _ => return Err(StoreError::AmbiguousArray { path: path.to_owned(), known }),
            }
        }
    };
    Ok((id, array))
}

/// An array of the archive at `path`.
fn parse<'a>(path: &Path, place: &Path, bytes: &'a [u8]) -> Result<Array<'a>, StoreError> {
    Array::parse(place, bytes).map_err(|error| match error {
        // The way out of a pickle is a line about the whole file.
        StoreError::Pickle { .. } => StoreError::Pickle { path: path.to_owned() },
        error => error,
    })
}

/// The bytes of one array, and its place for messages.
fn member(
    path: &Path,
    archive: &mut ZipArchive<BufReader<File>>,
    array: &str,
) -> Result<(PathBuf, Vec<u8>), StoreError> {
    let place = PathBuf::from(format!("{}:{array}", path.display()));
    let mut file = archive.by_name(&format!("{array}.npy")).map_err(|e| damaged(path, e))?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes).map_err(|e| unpacked(&place, e))?;
    Ok((place, bytes))
}

fn unpacked(place: &Path, error: std::io::Error) -> StoreError {
    let what = "it cannot be unpacked".to_owned();
    StoreError::Corrupt { path: place.to_owned(), what, source: Some(Box::new(error)) }
}

fn damaged(path: &Path, error: ZipError) -> StoreError {
    match error {
        ZipError::Io(e) if e.raw_os_error().is_some() => StoreError::io("read", path, e),
        error => StoreError::Corrupt {
            path: path.to_owned(),
            what: "it is no sound npz (zip) file".to_owned(),
            source: Some(Box::new(error)),
        },
    }
}

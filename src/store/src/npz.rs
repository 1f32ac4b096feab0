//! npz: a zip file of npy arrays, one of which may hold the ids.

use crate::{
    error::StoreError,
    npy::Array,
    table::{IdSpec, Raw, ReadOptions},
};
use std::{
    fs::File,
    io::{BufReader, Read},
    path::{Path, PathBuf},
};
use zip::{ZipArchive, result::ZipError};

/// Arrays that are taken for ids when nobody says which.
const ID_NAMES: [&str; 8] = ["id", "ids", "row_id", "row_ids", "event_id", "event_ids", "index", "sig_id"];

/// The columns of the wanted array, preceded by the ids' where there are some; and the ids' name.
pub(crate) fn read(path: &Path, options: &ReadOptions) -> Result<(Option<String>, Vec<Raw>), StoreError> {
    let file = File::open(path).map_err(|e| StoreError::io("open", path, e))?;
    let mut archive = ZipArchive::new(BufReader::new(file)).map_err(|e| damaged(path, e))?;
    let known: Vec<String> =
        archive.file_names().filter_map(|name| name.strip_suffix(".npy")).map(ToOwned::to_owned).collect();
    let unknown =
        |array: &str| StoreError::UnknownArray { path: path.to_owned(), array: array.to_owned(), known: known.clone() };
    let id = match &options.id {
        IdSpec::Column(name) if known.contains(name) => Some(name.clone()),
        IdSpec::Column(name) => return Err(unknown(name)),
        IdSpec::FirstColumn => ID_NAMES.iter().find(|name| known.iter().any(|k| k == *name)).map(ToString::to_string),
        IdSpec::Rows(_) | IdSpec::Positions => None,
    };
    let array = match &options.array {
        Some(name) if known.contains(name) => name.clone(),
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
    let (place, bytes) = member(path, &mut archive, &array)?;
    let values = parse(path, &place, &bytes)?;
    let mut raws = Vec::new();
    if let Some(name) = &id {
        let (place, bytes) = member(path, &mut archive, name)?;
        let ids = parse(path, &place, &bytes)?;
        if ids.n_dimensions() != 1 || ids.n_rows() != values.n_rows() {
            let (found, wanted) = (values.n_rows().unwrap_or(1), ids.n_rows().unwrap_or(1));
            return Err(StoreError::RowCount { path: place, found, wanted });
        }
        raws = ids.columns(&place, &ReadOptions { columns: Some(vec![name.clone()]), ..ReadOptions::default() })?;
    }
    raws.extend(values.columns(&place, options)?);
    Ok((id, raws))
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
    file.read_to_end(&mut bytes).map_err(|e| StoreError::Corrupt {
        path: place.clone(),
        what: "it cannot be unpacked".to_owned(),
        source: Some(Box::new(e)),
    })?;
    Ok((place, bytes))
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

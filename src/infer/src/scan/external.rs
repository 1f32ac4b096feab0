//! Where a tensor lies in another file: only a regular file below the graph's folder, reached without links.

use super::{Limits, ScanError, walk::ExternalData};
use std::{
    collections::{BTreeMap, BTreeSet},
    io::ErrorKind,
    path::{Component, Path},
};

/// Checks every external tensor; gives the files' names, each once.
pub(crate) fn check(
    tensors: &BTreeSet<ExternalData>,
    folder: Option<&Path>,
    limits: Limits,
) -> Result<Vec<String>, ScanError> {
    let mut sizes: BTreeMap<&str, u64> = BTreeMap::new();
    for tensor in tensors {
        let refused =
            |reason: &str| ScanError::External { location: tensor.location.clone(), reason: reason.to_owned() };
        let folder = folder.ok_or_else(|| refused("lies in another file, which is not allowed here"))?;
        let size = match sizes.get(tensor.location.as_str()) {
            Some(&size) => size,
            None => {
                let size = file_size(folder, &tensor.location)?;
                sizes.insert(&tensor.location, size);
                size
            }
        };
        let number = |text: &Option<String>| match text {
            None => Ok(None),
            Some(text) => {
                text.parse::<u64>().map(Some).map_err(|_| refused("has an offset or length that is no number"))
            }
        };
        let (offset, length) = (number(&tensor.offset)?.unwrap_or(0), number(&tensor.length)?.unwrap_or(0));
        if offset.checked_add(length).is_none_or(|end| end > size) {
            return Err(refused(&format!("ends at byte {size}, before the tensor does")));
        }
    }
    let total = sizes.values().fold(0_u64, |sum, &size| sum.saturating_add(size));
    if total > limits.external_bytes {
        return Err(ScanError::TooLarge { bytes: total, limit: limits.external_bytes });
    }
    Ok(sizes.into_keys().map(ToOwned::to_owned).collect())
}

fn file_size(folder: &Path, location: &str) -> Result<u64, ScanError> {
    let refused = |reason: &str| ScanError::External { location: location.to_owned(), reason: reason.to_owned() };
    // A backslash separates on some systems and not on others: no file of ours needs one.
    let plain = Path::new(location).components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
    if location.is_empty() || !plain || location.contains(['\\', '\0']) {
        return Err(refused("is no file below the graph's folder"));
    }
    let mut path = folder.to_owned();
    let mut size = None;
    for part in Path::new(location).components().filter(|part| matches!(part, Component::Normal(_))) {
        path.push(part);
        let metadata = std::fs::symlink_metadata(&path).map_err(|error| match error.kind() {
            ErrorKind::NotFound => ScanError::ExternalMissing { location: location.to_owned() },
            _ => refused(&format!("cannot be looked at: {error}")),
        })?;
        if metadata.file_type().is_symlink() {
            return Err(refused("is reached through a link"));
        }
        size = metadata.is_file().then_some(metadata.len());
    }
    size.ok_or_else(|| refused("is no regular file"))
}

//! A published file is whole or absent.

use crate::error::StoreError;
use std::{
    fs::File,
    path::{Path, PathBuf},
};

/// Writes `path` in one step: `fill` writes a temporary file in the same folder, which is synced, renamed over `path`,
/// and the folder synced. After an error or a crash `path` is what it was before.
///
/// Errors: what `fill` returns, or [`StoreError::Io`].
pub fn publish<T>(path: &Path, fill: impl FnOnce(&mut File) -> Result<T, StoreError>) -> Result<T, StoreError> {
    let folder = folder_of(path);
    let mut builder = tempfile::Builder::new();
    builder.prefix(".").suffix(".tmp");
    #[cfg(unix)]
    {
        // A temporary file is private by default; what is published follows the user's mask.
        use std::os::unix::fs::PermissionsExt;
        builder.permissions(std::fs::Permissions::from_mode(0o666));
    }
    let mut temporary = builder.tempfile_in(&folder).map_err(|e| StoreError::io("write into", &folder, e))?;
    let value = fill(temporary.as_file_mut())?;
    temporary.as_file().sync_all().map_err(|e| StoreError::io("write", path, e))?;
    temporary.persist(path).map_err(|e| StoreError::io("write", path, e.error))?;
    #[cfg(unix)]
    File::open(&folder).and_then(|folder| folder.sync_all()).map_err(|e| StoreError::io("sync", &folder, e))?;
    Ok(value)
}

fn folder_of(path: &Path) -> PathBuf {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder.to_owned(),
        _ => PathBuf::from("."),
    }
}

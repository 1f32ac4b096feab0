//! Files that are whole or absent: a temporary file in the same folder, fsync, rename, fsync of the folder.

use crate::error::{Fault, Kind};
use blend_core::Fingerprint;
use std::{
    fs::{self, File},
    io::{self, BufWriter, Write},
    path::{Path, PathBuf},
};

/// Why a file could not be published. What stood there before is untouched.
#[derive(Debug, thiserror::Error)]
#[error("cannot {action}: {source}")]
pub struct PublishError {
    /// What was tried.
    pub action: &'static str,
    /// On what.
    pub path: PathBuf,
    /// Why not.
    pub source: io::Error,
}

impl Fault for PublishError {
    fn kind(&self) -> Kind {
        Kind::Machine
    }

    fn place(&self) -> Option<String> {
        Some(self.path.display().to_string())
    }

    fn hint(&self) -> Option<String> {
        match self.source.kind() {
            io::ErrorKind::PermissionDenied => Some("give this user the right to write there".into()),
            io::ErrorKind::StorageFull => Some("free some space; what stood there before is untouched".into()),
            io::ErrorKind::NotADirectory | io::ErrorKind::AlreadyExists => {
                Some("a file stands where a folder is wanted: move it away".into())
            }
            io::ErrorKind::IsADirectory => Some("a folder stands where a file is wanted: move it away".into()),
            _ => None,
        }
    }
}

/// Writes `bytes` to `path`, whole or not at all; parent folders are created.
pub fn publish(path: &Path, bytes: &[u8]) -> Result<(), PublishError> {
    publish_with(path, |out| out.write_all(bytes))
}

/// Writes to `path` what `write` writes, whole or not at all; parent folders are created. Where `write` fails, or the
/// program dies, `path` is what it was before.
pub fn publish_with(path: &Path, write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> Result<(), PublishError> {
    let fail = |action, path: &Path| {
        let path = path.to_owned();
        move |source| PublishError { action, path, source }
    };
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    fs::create_dir_all(folder).map_err(fail("create the folder", folder))?;
    let mut builder = tempfile::Builder::new();
    builder.prefix(".blend-").suffix(".tmp");
    // A temporary file is private by default, a published one is as the user's umask says.
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    let mut temporary = builder.tempfile_in(folder).map_err(fail("create a file in the folder", folder))?;
    let mut out = BufWriter::with_capacity(1 << 16, temporary.as_file_mut());
    write(&mut out).and_then(|()| out.flush()).map_err(fail("write the file", path))?;
    drop(out);
    temporary.as_file().sync_all().map_err(fail("write the file", path))?;
    temporary.persist(path).map_err(|error| fail("rename the finished file", path)(error.error))?;
    // The rename itself is durable only when the folder is. Folders cannot be opened as files everywhere.
    #[cfg(unix)]
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(fail("sync the folder", folder))?;
    Ok(())
}

/// The fingerprint of a file's bytes, read in pieces.
pub fn fingerprint_of_file(path: &Path) -> io::Result<Fingerprint> {
    let mut hasher = blake3::Hasher::new();
    hasher.update_reader(File::open(path)?)?;
    Ok(finish(&hasher))
}

/// The fingerprint of what `hasher` has seen.
pub(crate) fn finish(hasher: &blake3::Hasher) -> Fingerprint {
    format!("blake3:{}", hasher.finalize().to_hex()).parse().expect("64 hexadecimal digits are a fingerprint")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_whole_or_what_it_was() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a/b/c.txt");
        publish(&path, b"one").unwrap();
        publish(&path, b"two").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"two");
        let error = publish_with(&path, |out| {
            out.write_all(b"half")?;
            Err(io::Error::other("plug pulled"))
        })
        .unwrap_err();
        assert_eq!(error.to_string(), "cannot write the file: plug pulled");
        assert_eq!(error.kind(), Kind::Machine);
        assert_eq!(fs::read(&path).unwrap(), b"two");
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1, "no temporary file is left");
    }

    #[test]
    fn a_file_in_the_way_of_a_folder_is_named() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("a"), "").unwrap();
        let error = publish(&folder.path().join("a/b.txt"), b"").unwrap_err();
        assert!(error.to_string().starts_with("cannot create the folder: "), "{error}");
        assert!(error.place().unwrap().ends_with("/a"));
    }

    #[cfg(unix)]
    #[test]
    fn published_files_are_readable_by_others_as_the_umask_says() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        publish(&folder.path().join("ours"), b"").unwrap();
        File::create(folder.path().join("theirs")).unwrap();
        let mode = |name| fs::metadata(folder.path().join(name)).unwrap().permissions().mode();
        assert_eq!(mode("ours"), mode("theirs"));
    }

    #[test]
    fn a_file_has_the_fingerprint_of_its_bytes() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x");
        let bytes: Vec<u8> = (0..300_000u32).map(|i| i as u8).collect();
        publish(&path, &bytes).unwrap();
        assert_eq!(fingerprint_of_file(&path).unwrap(), Fingerprint::of(&bytes));
    }
}

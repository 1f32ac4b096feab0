//! A workspace in a temporary folder, and the program run in it as a user runs it.

use blend_core::TableSource;
use blend_store::{IdSpec, ReadOptions, Table};
use serde_json::Value;
use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};
use tempfile::TempDir;

/// What one run of the program left behind.
#[derive(Debug)]
pub(crate) struct Output {
    /// Exit status; -1 where a signal ended the program.
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Output {
    /// The run, which has to have ended with `code`.
    #[track_caller]
    pub(crate) fn expect(self, code: i32) -> Self {
        assert_eq!(self.code, code, "stdout:\n{}\nstderr:\n{}", self.stdout, self.stderr);
        self
    }

    /// The object that `--json` printed.
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.stdout)
            .unwrap_or_else(|error| panic!("{error} in\n{}\nstderr:\n{}", self.stdout, self.stderr))
    }
}

/// A workspace that is gone when the test is over.
#[derive(Debug)]
pub(crate) struct Workspace {
    folder: TempDir,
}

impl Workspace {
    pub(crate) fn new() -> Self {
        let folder = TempDir::new().expect("temporary folder");
        fs::create_dir(folder.path().join("models")).expect("models");
        Self { folder }
    }

    pub(crate) fn root(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn path(&self, relative: impl AsRef<Path>) -> PathBuf {
        self.root().join(relative)
    }

    /// Writes a file, and the folders above it.
    pub(crate) fn write(&self, relative: impl AsRef<Path>, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(relative);
        fs::create_dir_all(path.parent().expect("a folder above")).expect("folder");
        fs::write(&path, content).expect("write");
        path
    }

    pub(crate) fn read(&self, relative: impl AsRef<Path>) -> Vec<u8> {
        let path = self.path(relative);
        fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }

    /// Copies a file from outside to `relative`; the copy can be written to.
    pub(crate) fn copy(&self, from: impl AsRef<Path>, relative: impl AsRef<Path>) -> PathBuf {
        let content = fs::read(from.as_ref()).unwrap_or_else(|error| panic!("{}: {error}", from.as_ref().display()));
        self.write(relative, content)
    }

    /// The program, in this workspace, without what the environment would tell it.
    pub(crate) fn command<S: AsRef<std::ffi::OsStr>>(&self, arguments: &[S]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_blend"));
        command
            .args(arguments)
            .current_dir(self.root())
            .env_remove("BLEND_COMPETITION")
            .env_remove("COLUMNS")
            .stdin(Stdio::null());
        command
    }

    pub(crate) fn blend<S: AsRef<std::ffi::OsStr>>(&self, arguments: &[S]) -> Output {
        let output = self.command(arguments).output().expect("the program starts");
        Output {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

/// A folder of the shared data: under `BLEND_SHARED`, or where the data lies beside the checkout. Where it is absent
/// the test has to return, and says so in a line that is hard to miss.
pub(crate) fn shared(test: &str, name: &str) -> Option<PathBuf> {
    let root = std::env::var_os("BLEND_SHARED")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data"), PathBuf::from);
    let folder = root.join(name);
    folder.canonicalize().inspect_err(|_| skipped(test, "shared data is not here; set BLEND_SHARED")).ok()
}

/// Says that a test, or a part of it, did not run, past the harness, which holds back what a passing test prints.
pub(crate) fn skipped(test: &str, why: &str) {
    let _ = std::io::stderr().lock().write_all(format!("SKIPPED {test}: {why}\n").as_bytes());
}

#[track_caller]
pub(crate) fn near(got: f64, wanted: f64, tolerance: f64, what: &str) {
    assert!((got - wanted).abs() <= tolerance, "{what}: {got}, wanted {wanted} within {tolerance:e}");
}

#[track_caller]
pub(crate) fn table(path: &Path, id: IdSpec) -> Table {
    Table::read(path, &ReadOptions { id, ..ReadOptions::default() }).expect("a table")
}

/// The largest difference between the tables `got` and `wanted`, which have the same ids and columns.
#[track_caller]
pub(crate) fn largest_difference(got: &Table, wanted: &Table) -> f64 {
    assert_eq!(got.names(), wanted.names());
    let order = wanted.rows().find_in(got.rows());
    assert_eq!(got.n_rows(), wanted.n_rows());
    let columns = wanted.names();
    let differences = columns.iter().map(|column| {
        let (got, wanted) = (got.numbers(column).expect("numbers"), wanted.numbers(column).expect("numbers"));
        let pairs = order.iter().zip(&wanted);
        // NaN on either side is no agreement.
        let worse = |a: f64, b: f64| if b.is_nan() { f64::INFINITY } else { a.max(b) };
        pairs.map(|(row, wanted)| (got[row.expect("the id") as usize] - wanted).abs()).fold(0.0, worse)
    });
    differences.fold(0.0, f64::max)
}

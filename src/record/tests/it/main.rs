//! The documents of the contract, and every way in which they can be wrong.

mod competition;
mod manifest;
mod recipe;
mod run;
mod submission;
mod verify;
mod workspace;

use blend_core::{BlendName, CompetitionId, Fingerprint, ModelId};
use blend_record::{Fault, Workspace};
use std::path::Path;

/// An empty workspace in a folder of its own.
fn workspace() -> (tempfile::TempDir, Workspace) {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(folder.path().join("models")).unwrap();
    let workspace = Workspace::at(&folder.path().canonicalize().unwrap(), false).unwrap();
    (folder, workspace)
}

/// Writes a file, with its folders.
fn put(path: &Path, text: impl AsRef<[u8]>) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
}

/// Cause, place, snippet and hint, one below the other, with the workspace's place left out.
fn show(workspace: &Workspace, error: &impl Fault) -> String {
    let parts = [Some(error.to_string()), error.place(), error.snippet(), error.hint()];
    let text = parts.into_iter().flatten().collect::<Vec<_>>().join("\n");
    text.replace(&format!("{}/", workspace.root().display()), "")
}

fn moa() -> CompetitionId {
    CompetitionId::new("moa").unwrap()
}

fn model(name: &str) -> ModelId {
    ModelId::new(name).unwrap()
}

fn blend(name: &str) -> BlendName {
    BlendName::new(name).unwrap()
}

fn print(text: &str) -> Fingerprint {
    Fingerprint::of(text.as_bytes())
}

//! The demo's models in a workspace of their own, and the engines that can run them here.

use crate::{
    support::{Output, Workspace},
    toy,
};
use std::{
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    sync::OnceLock,
};

pub(crate) const MODELS: [&str; 7] = ["boosted", "cnn", "gnn", "logreg", "mlp", "tabnet", "transformer"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// `models/digits` with `models` as they are committed: graphs and manifests, no outputs.
pub(crate) fn workspace(models: &[&str]) -> Workspace {
    let workspace = Workspace::new();
    let from = root().join("models/digits");
    workspace.copy(from.join("competition.yaml"), "models/digits/competition.yaml");
    for folder in models.iter().chain(&["data"]) {
        for entry in fs::read_dir(from.join(folder)).expect("folder") {
            let path = entry.expect("entry").path();
            let name = path.file_name().expect("name").to_string_lossy().into_owned();
            if !name.ends_with(".feather") && name != "run.yaml" {
                workspace.copy(&path, format!("models/digits/{folder}/{name}"));
            }
        }
    }
    workspace
}

/// The ONNX Runtime that `blend doctor` finds for the checkout; a line that is hard to miss where there is none.
pub(crate) fn onnx_runtime() -> Option<&'static str> {
    static FOUND: OnceLock<Option<String>> = OnceLock::new();
    let found = FOUND.get_or_init(|| {
        let output = std::process::Command::new(env!("CARGO_BIN_EXE_blend"))
            .args(["doctor", "--json"])
            .current_dir(root())
            .output()
            .expect("the program starts");
        let report: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
        let path = report["library"]["path"].as_str().map(str::to_owned);
        if path.is_none() {
            // Past the harness, which holds back what a passing test prints.
            let line = b"SKIPPED tests with ONNX Runtime: none is here (`blend runtime install` fetches it)\n";
            let _ = std::io::stderr().lock().write_all(line);
        }
        path
    });
    found.as_deref()
}

/// Options that choose an engine: the embedded one, and ONNX Runtime where it is here.
pub(crate) fn engines() -> Vec<Vec<&'static str>> {
    let mut engines = vec![vec!["--engine", "rten"]];
    engines.extend(onnx_runtime().map(|library| vec!["--ort-lib", library]));
    engines
}

/// `blend predict` with an engine.
pub(crate) fn predict(workspace: &Workspace, engine: &[&str], more: &[&str]) -> Output {
    toy::run(workspace, &[&["predict"], engine, more].concat())
}

//! A small competition, files in every format, and what a refusal has to be.

use crate::support::{Output, Workspace};
use std::{
    collections::BTreeMap,
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

pub(crate) const TRAIN_ROWS: usize = 60;
pub(crate) const TEST_ROWS: usize = 20;
pub(crate) const MODELS: [&str; 3] = ["ada", "bob", "cyd"];

/// The label of a training row.
pub(crate) fn label(row: usize) -> u8 {
    u8::from((row * 7).is_multiple_of(3))
}

/// A model's probability for a row: on the right side more often than not, and apart from those of other models.
pub(crate) fn probability(model: usize, row: usize) -> f64 {
    // A stride that is coprime to the modulus walks through all of its remainders.
    let noise = ((row * (37 + 16 * model) + model * 53) % 101) as f64 / 101.0;
    let truth = f64::from(label(row));
    (0.5 + (truth - 0.5) * 0.5 + (noise - 0.5) * 0.45).clamp(0.02, 0.98)
}

/// `id,y` of the rows `order`, whose ids start with `prefix`.
pub(crate) fn csv(prefix: char, order: impl IntoIterator<Item = usize>, value: impl Fn(usize) -> String) -> String {
    let mut text = "id,y\n".to_owned();
    for row in order {
        let _ = writeln!(text, "{prefix}{row:02},{}", value(row));
    }
    text
}

pub(crate) fn oof(model: usize) -> String {
    csv('r', 0..TRAIN_ROWS, |row| probability(model, row).to_string())
}

/// The OOF predictions of the first model with the line of one row replaced.
pub(crate) fn oof_with(row: usize, line: &str) -> String {
    let mut lines: Vec<String> = oof(0).lines().map(str::to_owned).collect();
    line.clone_into(&mut lines[row + 1]);
    lines.join("\n") + "\n"
}

pub(crate) fn test(model: usize) -> String {
    csv('t', 0..TEST_ROWS, |row| probability(model, row + 1000).to_string())
}

pub(crate) const COMPETITION: &str = "\
competition: toy
metric: log_loss
truth: data/train.csv
id: id
targets: [y]
folds: {file: data/folds.csv, column: fold}
sample_submission: data/sample.csv
";

/// A competition without models: 60 rows in 3 folds, 20 test rows.
pub(crate) fn competition() -> Workspace {
    let workspace = Workspace::new();
    workspace.write("models/toy/competition.yaml", COMPETITION);
    workspace.write("models/toy/data/train.csv", csv('r', 0..TRAIN_ROWS, |row| label(row).to_string()));
    let folds = csv('r', 0..TRAIN_ROWS, |row| (row % 3).to_string()).replace("id,y", "id,fold");
    workspace.write("models/toy/data/folds.csv", folds);
    workspace.write("models/toy/data/sample.csv", csv('t', 0..TEST_ROWS, |_| "0.5".to_owned()));
    workspace
}

/// The competition with three imported models.
pub(crate) fn imported() -> Workspace {
    let workspace = competition();
    for (i, model) in MODELS.iter().enumerate() {
        let oof = workspace.write(format!("in/{model}_oof.csv"), oof(i));
        let test = workspace.write(format!("in/{model}_test.csv"), test(i));
        let [oof, test] = [oof, test].map(|path| path.display().to_string());
        run(&workspace, &["import", model, "--oof", &oof, "--test", &test]).expect(0);
    }
    workspace
}

/// The program, untouched by what this machine's environment says of libraries, colors and logs.
pub(crate) fn command(workspace: &Workspace, arguments: &[&str]) -> Command {
    let mut command = workspace.command(arguments);
    for name in ["ORT_DYLIB_PATH", "VIRTUAL_ENV", "CONDA_PREFIX", "NO_COLOR", "BLEND_LOG"] {
        command.env_remove(name);
    }
    command
}

pub(crate) fn run(workspace: &Workspace, arguments: &[&str]) -> Output {
    finish(&mut command(workspace, arguments))
}

/// Runs `command` to its end.
pub(crate) fn finish(command: &mut Command) -> Output {
    let output = command.output().expect("the program starts");
    Output {
        code: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// Every file below `folder` with its content; a link with where it leads.
pub(crate) fn tree(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut files = BTreeMap::new();
    for entry in fs::read_dir(folder).expect("folder") {
        let path = entry.expect("entry").path();
        if path.is_symlink() {
            let target = fs::read_link(&path).expect("link");
            files.insert(path, target.to_string_lossy().into_owned().into_bytes());
        } else if path.is_dir() {
            files.extend(tree(&path));
        } else {
            let content = fs::read(&path).expect("file");
            files.insert(path, content);
        }
    }
    files
}

/// Runs what has to be refused with `code`: the message has a place, a cause and a next step and says `words`, `--json`
/// says the same, and every file is what it was.
#[track_caller]
pub(crate) fn refused(workspace: &Workspace, code: i32, arguments: &[&str], words: &[&str]) -> Output {
    refused_in(workspace, &[], code, arguments, words)
}

/// As [`refused`], with variables in the environment.
#[track_caller]
pub(crate) fn refused_in(
    workspace: &Workspace,
    environment: &[(&str, &str)],
    code: i32,
    arguments: &[&str],
    words: &[&str],
) -> Output {
    let before = tree(workspace.root());
    let output = finish(command(workspace, arguments).envs(environment.iter().copied())).expect(code);
    let said = &output.stderr;
    assert!(said.contains("error: "), "no `error:` in\n{said}");
    assert!(said.contains("\n  at   "), "no place in\n{said}");
    assert!(said.contains("\nhint: "), "no next step in\n{said}");
    assert!(!said.contains("panicked"), "a panic in\n{said}");
    for word in words {
        assert!(said.contains(word), "no `{word}` in\n{said}");
    }
    assert_eq!(output.stdout, "", "half a result");
    let json = [&["--json"], arguments].concat();
    let object = finish(command(workspace, &json).envs(environment.iter().copied())).expect(code).json();
    assert_eq!(object["error"]["exit_code"], code, "{object}");
    assert_eq!(object["schema_version"], 1, "{object}");
    for key in ["message", "place", "hint"] {
        let text = object["error"][key].as_str().unwrap_or_default();
        assert!(!text.is_empty() && said.contains(text), "`{key}` of {object} is not in\n{said}");
    }
    unchanged(workspace, &before);
    output
}

/// Every file is what it was.
#[track_caller]
pub(crate) fn unchanged(workspace: &Workspace, before: &BTreeMap<PathBuf, Vec<u8>>) {
    let after = tree(workspace.root());
    let names = |files: &BTreeMap<PathBuf, Vec<u8>>| files.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(&after), names(before), "files came or went");
    for (path, content) in before {
        assert!(after[path] == *content, "{} has changed", path.display());
    }
}

/// An npy file: `descr` as `<f4`, `shape` as `(60, 1)`, data as it lies.
pub(crate) fn npy(descr: &str, shape: &str, data: &[u8]) -> Vec<u8> {
    let mut header = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}");
    // Magic, version and length are 10 bytes; numpy pads the header to a multiple of 64.
    while (10 + header.len() + 1) % 64 != 0 {
        header.push(' ');
    }
    header.push('\n');
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend(u16::try_from(header.len()).expect("a short header").to_le_bytes());
    bytes.extend(header.as_bytes());
    bytes.extend(data);
    bytes
}

/// A model's OOF predictions as little-endian f32.
pub(crate) fn oof_bytes(model: usize) -> Vec<u8> {
    (0..TRAIN_ROWS).flat_map(|row| (probability(model, row) as f32).to_le_bytes()).collect()
}

//! A model whose graphs read what another model predicts, under a name that comes first in the alphabet.

use crate::{
    support::{Output, Workspace, table},
    toy,
};
use blend_store::IdSpec;
use std::{fmt::Write as _, path::Path};

const FOLDS: usize = 3;
const PREDICT: [&str; 3] = ["predict", "--engine", "rten"];

fn graph(name: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../infer/tests/graphs").join(name)
}

/// `head` and a line for each of `rows`.
fn csv(head: &str, prefix: char, rows: usize, line: impl Fn(usize) -> String) -> String {
    let mut text = format!("{head}\n");
    for row in 0..rows {
        writeln!(text, "{prefix}{row},{}", line(row)).expect("a string");
    }
    text
}

/// `member` turns four columns into two logits, `first` is fed its probabilities.
fn workspace() -> Workspace {
    let workspace = Workspace::new();
    workspace.write(
        "models/c/competition.yaml",
        "competition: c\nmetric: log_loss\ntruth: data/train.csv\nid: id\ntargets: [a, b]\n\
         folds: {file: data/folds.csv, column: fold}\nsample_submission: data/sample.csv\n",
    );
    let feature = |row: usize, at: usize| ((row * 31 + at * 17) % 23) as f64 / 11.5 - 1.0;
    let features = |row: usize| (0..4).map(|at| feature(row, at).to_string()).collect::<Vec<_>>().join(",");
    workspace.write("models/c/data/train.csv", csv("id,a,b", 'r', 60, |row| format!("{},{}", row % 2, row / 3 % 2)));
    workspace.write("models/c/data/folds.csv", csv("id,fold", 'r', 60, |row| (row % FOLDS).to_string()));
    workspace.write("models/c/data/sample.csv", csv("id,a,b", 't', 20, |_| "0.5,0.5".to_owned()));
    workspace.write("models/c/data/x_train.csv", csv("id,f0,f1,f2,f3", 'r', 60, features));
    workspace.write("models/c/data/x_test.csv", csv("id,f0,f1,f2,f3", 't', 20, |row| features(row + 60)));
    for (model, input, from, files) in [
        ("member", "x", "dense_seed0_fold{fold}.onnx", "train: ../data/x_train.csv, test: ../data/x_test.csv"),
        ("first", "m", "times_ten.onnx", "train: ../member/oof.feather, test: ../member/test.feather"),
    ] {
        for fold in 0..FOLDS {
            let from = graph(&from.replace("{fold}", &fold.to_string()));
            workspace.copy(from, format!("models/c/{model}/fold{fold}.onnx"));
        }
        let manifest = format!(
            "model: {model}\noutput: logit\naverage: probability\nstages:\n  - name: main\n    graphs: \
             \"fold{{fold}}.onnx\"\n    inputs: {{{input}: {{table: fed}}}}\ntables: {{fed: {{{files}, columns: \"*\"}}}}\n"
        );
        workspace.write(format!("models/c/{model}/model.yaml"), manifest);
    }
    workspace
}

/// What `audit` says of files that have changed since outputs were made from them.
#[track_caller]
fn stale(workspace: &Workspace) -> Vec<String> {
    let audit = toy::run(workspace, &["audit", "--json"]).json();
    let models = audit["models"].as_array().expect("models");
    let findings = models.iter().flat_map(|it| it["findings"].as_array().expect("findings"));
    let stale = findings.filter(|it| it["check"] == "stale");
    stale.map(|it| it["model"].as_str().expect("a model").to_owned()).collect()
}

fn predict(workspace: &Workspace, more: &[&str]) -> Output {
    toy::run(workspace, &[&PREDICT, more].concat()).expect(0)
}

#[test]
fn predicted_after_what_it_reads() {
    let workspace = workspace();
    predict(&workspace, &[]);
    let read = |path: &str| table(&workspace.path(path), IdSpec::FirstColumn);
    let (member, first) = (read("models/c/member/oof.feather"), read("models/c/first/oof.feather"));
    for column in ["a", "b"] {
        let fed = member.numbers(column).expect("numbers");
        for (got, fed) in first.numbers(column).expect("numbers").iter().zip(&fed) {
            assert!((got - 1.0 / (1.0 + (-10.0 * fed).exp())).abs() < 1e-6, "{got} of {fed}");
        }
    }
}

#[test]
fn stored_outputs_are_a_link_by_values_and_by_bytes() {
    let workspace = workspace();
    predict(&workspace, &[]);
    assert_eq!(stale(&workspace), [""; 0]);
    toy::run(&workspace, &["search", "--solver", "equal"]).expect(0);
    toy::run(&workspace, &["submit"]).expect(0);
    toy::run(&workspace, &["verify"]).expect(0);
    // Another network in the member: what was made from its old outputs is not what it would be now.
    workspace.copy(graph("dense_seed1_fold0.onnx"), "models/c/member/fold0.onnx");
    predict(&workspace, &["member"]);
    assert_eq!(stale(&workspace), ["first", "first"]);
    let said = toy::run(&workspace, &["verify"]).expect(1).stdout;
    assert!(said.contains("member/oof.feather"), "{said}");
    predict(&workspace, &[]);
    assert_eq!(stale(&workspace), [""; 0]);
}

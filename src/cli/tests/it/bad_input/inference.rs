//! Graphs, libraries and devices that cannot be what was asked for.

use crate::{
    digits,
    support::Workspace,
    toy::{refused, refused_in, run, tree, unchanged},
};

const GRAPH: &str = "models/digits/logreg/fold2.onnx";
const MANIFEST: &str = "models/digits/logreg/model.yaml";

/// A workspace with good outputs of one model; then `spoil` changes its files, and every engine here refuses to predict
/// again, with the good outputs as they were.
#[track_caller]
fn spoiled(code: i32, spoil: impl Fn(&Workspace), words: &[&str]) {
    let workspace = digits::workspace(&["logreg"]);
    digits::predict(&workspace, &["--engine", "rten"], &[]).expect(0);
    spoil(&workspace);
    for engine in digits::engines() {
        refused(&workspace, code, &[&["predict"], &engine[..]].concat(), words);
    }
}

#[track_caller]
fn bad_manifest(code: i32, from: &str, to: &str, words: &[&str]) {
    let replace = |workspace: &Workspace| {
        let text = String::from_utf8(workspace.read(MANIFEST)).expect("text");
        let spoiled = text.replace(from, to);
        assert_ne!(text, spoiled, "`{from}` is in model.yaml");
        workspace.write(MANIFEST, spoiled);
    };
    spoiled(code, replace, words);
}

#[test]
fn graphs_that_are_damaged() {
    let with = |content: Vec<u8>| move |workspace: &Workspace| drop(workspace.write(GRAPH, &content));
    let whole = digits::workspace(&["logreg"]).read(GRAPH);
    let words = ["logreg/fold2.onnx", "`logreg`"];
    spoiled(3, with(whole[..whole.len() / 2].to_vec()), &words);
    spoiled(3, with(whole[..whole.len() - 1].to_vec()), &words);
    spoiled(3, with(vec![]), &words);
    spoiled(3, with(b"this is no graph at all, but it is long enough to look like a file".to_vec()), &words);
    spoiled(3, with(vec![0xff; 1000]), &words);
}

#[test]
fn graphs_that_are_not_there() {
    let remove = |workspace: &Workspace| std::fs::remove_file(workspace.path(GRAPH)).expect("remove");
    spoiled(4, remove, &["fold2.onnx", "fold{fold}.onnx", "`logreg`"]);
    let folder = |workspace: &Workspace| {
        std::fs::remove_file(workspace.path(GRAPH)).expect("remove");
        std::fs::create_dir(workspace.path(GRAPH)).expect("folder");
    };
    spoiled(3, folder, &["fold2.onnx"]);
    bad_manifest(4, "fold{fold}.onnx", "flod{fold}.onnx", &["flod0.onnx", "flod{fold}.onnx"]);
    bad_manifest(2, "fold{fold}.onnx", "fold0.onnx", &["{fold}", "`fold0.onnx`"]);
    bad_manifest(2, "fold{fold}.onnx", "fold{flod}.onnx", &["{flod}"]);
    bad_manifest(
        2,
        "fold{fold}.onnx",
        "../../../../elsewhere/fold{fold}.onnx",
        &["model.yaml:6:13", "inside the model's folder", "^"],
    );
}

#[test]
fn inputs_that_do_not_fit() {
    bad_manifest(2, "{pixels:", "{pixel:", &["no input `pixel`", "`pixels`", "`logreg`"]);
    bad_manifest(3, "\"*\"", "[pixel_00, pixel_01]", &["`pixels`", "64", "2", "`logreg`"]);
    bad_manifest(2, "\"*\"", "[pixel_00, pixle_01]", &["`pixle_01`", "train_features.csv"]);
    bad_manifest(2, "{table: features}", "{table: featrues}", &["featrues", "model.yaml"]);
    bad_manifest(4, "train_features.csv", "train_feature.csv", &["train_feature.csv", "model.yaml"]);
    let text = |workspace: &Workspace| {
        let path = "models/digits/data/train_features.csv";
        let table = String::from_utf8(workspace.read(path)).expect("text");
        workspace.write(path, table.replacen("d0002,0,", "d0002,zero,", 1));
    };
    spoiled(3, text, &["`pixel_00`", "type text", "no number"]);
    let short = |workspace: &Workspace| {
        let path = "models/digits/data/test_features.csv";
        let table = String::from_utf8(workspace.read(path)).expect("text");
        let lines: Vec<&str> = table.lines().collect();
        workspace.write(path, lines[..lines.len() - 1].join("\n"));
    };
    spoiled(3, short, &["test_features.csv", "1 ids missing"]);
}

#[test]
fn libraries_that_cannot_be_loaded() {
    let workspace = digits::workspace(&["logreg"]);
    let nothing = workspace.path("nothing.so").display().to_string();
    let text = workspace.write("text.so", "no library").display().to_string();
    for library in [&nothing, &text] {
        let named = ["predict", "--ort-lib", library];
        refused(&workspace, 4, &named, &["--ort-lib", library, "cannot be loaded", "blend doctor"]);
        let variable = [("ORT_DYLIB_PATH", library.as_str())];
        refused_in(&workspace, &variable, 4, &["predict"], &["ORT_DYLIB_PATH", library, "cannot be loaded"]);
    }
    // Nothing was named, so nothing is missed; but what is there already is not taken for what was asked.
    run(&workspace, &["predict", "--engine", "rten"]).expect(0);
    refused(&workspace, 4, &["predict", "--ort-lib", &nothing], &["cannot be loaded"]);
    let doctor = run(&workspace, &["doctor", "--json", "--ort-lib", &nothing]).expect(1).json();
    assert!(doctor["error"].as_str().is_some_and(|text| text.contains(&nothing)), "{doctor}");
    let found = run(&workspace, &["doctor", "--json"]).json();
    if found["library"].is_null() {
        refused(&workspace, 4, &["predict", "--engine", "ort"], &["no ONNX Runtime", "blend runtime install"]);
        let predict = run(&workspace, &["predict", "--force"]).expect(0);
        let note = predict.stderr.matches("the embedded engine runs the graphs that it can").count();
        assert_eq!(note, 1, "{}", predict.stderr);
        assert!(predict.stderr.contains("blend runtime install"), "{}", predict.stderr);
    }
}

#[test]
fn devices_that_cannot_be_had() {
    let workspace = digits::workspace(&["logreg"]);
    for engine in digits::engines() {
        let doctor = run(&workspace, &[&["doctor", "--json"], &engine[..]].concat()).json();
        if doctor["library"]["cuda"] == true {
            continue;
        }
        let on = |device| [&["predict", "--device", device], &engine[..]].concat();
        refused(&workspace, 4, &on("cuda"), &["cuda:0", "cannot be had", "--device auto"]);
        refused(&workspace, 4, &on("cuda:3"), &["cuda:3", "cannot be had"]);
        refused(&workspace, 2, &on("gpu"), &["`gpu`", "cuda:N", "--device"]);
        let auto = digits::predict(&workspace, &engine, &["--json", "--force"]).expect(0).json();
        assert_eq!(auto["models"][0]["device"], "cpu");
        // Stored outputs that ran elsewhere are no answer to a wish for CUDA.
        let before = tree(workspace.root());
        refused(&workspace, 4, &on("cuda"), &["cuda:0", "cannot be had"]);
        unchanged(&workspace, &before);
        let record = String::from_utf8(workspace.read("models/digits/logreg/run.yaml")).expect("text");
        assert!(record.contains("device: cpu"), "{record}");
    }
}

#[test]
fn a_model_of_trees_needs_onnx_runtime() {
    let workspace = digits::workspace(&["boosted"]);
    let predict = ["predict", "--engine", "rten"];
    refused(&workspace, 4, &predict, &["boosted", "embedded engine", "blend runtime install"]);
}

#[test]
fn predictions_that_have_graphs_are_not_imported_over() {
    let workspace = digits::workspace(&["logreg"]);
    workspace.write("in/oof.csv", "id,class_0\n");
    refused(&workspace, 2, &["import", "logreg", "--oof", "in/oof.csv"], &["blend predict logreg", "--force"]);
}

//! The demo from graphs to a verified submission, with every engine that is here: its numbers, and its bytes.

use crate::{
    digits::{self, MODELS},
    support::Workspace,
    toy::{refused, run, tree, unchanged},
};
use std::{collections::BTreeMap, fs};

const RECIPE: &str = "blends/digits/best_cv.yaml";
const CSV: &str = "submissions/digits/best_cv.csv";

/// Models that an engine can run: the trees need ONNX Runtime.
fn models(engine: &[&str]) -> Vec<&'static str> {
    MODELS.into_iter().filter(|model| *model != "boosted" || !engine.contains(&"rten")).collect()
}

fn predicted(engine: &[&str]) -> Workspace {
    let workspace = digits::workspace(&models(engine));
    digits::predict(&workspace, engine, &[]).expect(0);
    workspace
}

/// A workspace with a submission, made with the embedded engine from the models that the best blend has.
fn submitted() -> Workspace {
    let workspace = digits::workspace(&["cnn", "gnn", "logreg", "mlp"]);
    digits::predict(&workspace, &["--engine", "rten"], &[]).expect(0);
    run(&workspace, &["search"]).expect(0);
    run(&workspace, &["submit"]).expect(0);
    workspace
}

/// Model to its OOF, public and private score, as computed by another program.
fn reference() -> BTreeMap<String, [f64; 3]> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../models/digits/reference_scores.csv");
    let text = fs::read_to_string(path).expect("reference scores");
    let line = |line: &str| {
        let cells: Vec<&str> = line.split(',').collect();
        let number = |cell: usize| cells[cell].parse().expect("a number");
        (cells[0].to_owned(), [number(1), number(2), number(3)])
    };
    text.lines().skip(1).map(line).collect()
}

#[track_caller]
fn close(found: &serde_json::Value, wanted: f64, tolerance: f64) {
    let found = found.as_f64().expect("a number");
    assert!((found - wanted).abs() <= tolerance, "{found} is not {wanted}");
}

#[test]
fn scores_are_those_of_the_reference_and_the_optimum_is_certified() {
    for engine in digits::engines() {
        let workspace = predicted(&engine);
        scores(&workspace, &engine);
        optimum(&workspace, &engine);
    }
}

fn scores(workspace: &Workspace, engine: &[&str]) {
    let reference = reference();
    let audit = run(workspace, &["audit", "--json"]).expect(0).json();
    let audited = audit["models"].as_array().expect("models");
    assert_eq!(audited.len(), models(engine).len());
    for model in audited {
        let name = model["model"].as_str().expect("a name");
        close(&model["score"], reference[name][0], 1e-6);
        assert_eq!(model["folds"].as_array().expect("folds").len(), 5);

        let recipe = format!("blend: one\ncompetition: digits\nmembers: {{{name}: 1}}\n");
        workspace.write("blends/digits/one.yaml", recipe);
        let labels = ["submit", "one", "--json", "--labels", "models/digits/data/test_labels.csv"];
        let submit = run(workspace, &labels).expect(0).json();
        let scores = submit["submissions"][0]["scores"].as_array().expect("scores");
        for (score, (rows, wanted)) in
            scores[1..].iter().zip([("Public", reference[name][1]), ("Private", reference[name][2])])
        {
            assert_eq!(score["rows"], rows);
            close(&score["score"], wanted, 1e-6);
        }
    }
}

fn optimum(workspace: &Workspace, engine: &[&str]) {
    let search = run(workspace, &["search", "--target", "cv", "--json"]).expect(0).json();
    close(&search["score"], 0.057_189_7, 5e-7);
    assert_eq!(search["stop"], "certified");
    assert!(search["gap"].as_f64().is_some_and(|gap| gap < 1e-9), "{search}");
    assert!(search["nested_score"].as_f64() > search["score"].as_f64(), "the honest score is the worse one");
    assert_eq!(search["single_best"]["model"], "logreg");
    if models(engine).len() == MODELS.len() {
        close(&search["equal_weights"], reference()["equal_weights"][0], 1e-6);
    }
}

#[test]
fn recipes_and_submissions_are_the_same_bytes_on_any_number_of_threads() {
    let workspace = submitted();
    let (recipe, csv) = (workspace.read(RECIPE), workspace.read(CSV));
    for threads in ["1", "2", "16"] {
        fs::remove_file(workspace.path(RECIPE)).expect("remove");
        run(&workspace, &["search", "--threads", threads]).expect(0);
        assert!(workspace.read(RECIPE) == recipe, "the recipe on {threads} threads");
        fs::remove_file(workspace.path(CSV)).expect("remove");
        run(&workspace, &["submit", "--threads", threads]).expect(0);
        assert!(workspace.read(CSV) == csv, "the submission on {threads} threads");
    }
    run(&workspace, &["verify"]).expect(0);
}

#[test]
fn a_submission_looks_like_the_sample() {
    let workspace = submitted();
    let text = |file| String::from_utf8(workspace.read(file)).expect("text");
    let (csv, sample) = (text(CSV), text("models/digits/data/sample_submission.csv"));
    let ids = |text: &str| text.lines().map(|line| line.split(',').next().map(str::to_owned)).collect::<Vec<_>>();
    assert_eq!(csv.lines().next(), sample.lines().next());
    assert_eq!(ids(&csv), ids(&sample));
    for line in csv.lines().skip(1) {
        let sum: f64 = line.split(',').skip(1).map(|cell| cell.parse::<f64>().expect("a number")).sum();
        assert!((sum - 1.0).abs() < 1e-6, "{line}");
    }
}

/// One byte somewhere in the chain: `verify` ends with 1, names the file and what it is, and changes nothing.
#[test]
fn verify_names_what_differs() {
    let workspace = submitted();
    run(&workspace, &["verify"]).expect(0);
    run(&workspace, &["verify", "best_cv"]).expect(0);
    run(&workspace, &["verify", CSV]).expect(0);
    for (file, what) in [
        ("models/digits/logreg/fold3.onnx", "graph of `logreg` differs"),
        ("models/digits/gnn/model.yaml", "model.yaml of `gnn` differs"),
        ("models/digits/data/train_features.csv", "data of `cnn` differs"),
        ("models/digits/data/sample_submission.csv", "sample submission differs"),
        ("models/digits/competition.yaml", "competition.yaml differs"),
        (RECIPE, "recipe differs"),
        (CSV, "submission differs"),
    ] {
        let good = workspace.read(file);
        let mut bad = good.clone();
        // A comment in YAML, a digit in a table, a weight in a graph: the last byte that is none of the format's own.
        match file.ends_with("yaml") {
            true => bad.extend(b"# edited\n"),
            false => {
                let at = bad.len() / 2;
                bad[at] ^= 1;
            }
        }
        workspace.write(file, bad);
        let before = tree(workspace.root());
        let verify = run(&workspace, &["verify"]).expect(1);
        for word in [what, file, "blake3:", "links do not hold"] {
            assert!(verify.stdout.contains(word), "no `{word}` in\n{}", verify.stdout);
        }
        let object = run(&workspace, &["verify", "--json"]).expect(1).json();
        assert_eq!(object["verified"], false);
        let links = object["links"].as_array().expect("links");
        assert!(links.iter().any(|link| link["fault"] == true && link["path"] == file && link["state"] == "differs"));
        unchanged(&workspace, &before);
        workspace.write(file, good);
    }
    run(&workspace, &["verify"]).expect(0);
}

#[test]
fn verify_reads_values_and_not_their_recorded_fingerprint() {
    let workspace = submitted();
    for file in ["models/digits/mlp/oof.feather", "models/digits/mlp/test.feather"] {
        let good = workspace.read(file);
        let mut bad = good.clone();
        let at = bad.len() / 2;
        bad[at] ^= 1;
        workspace.write(file, bad);
        let verify = run(&workspace, &["verify"]).expect(1);
        assert!(verify.stdout.contains("outputs of `mlp` differs"), "{}", verify.stdout);
        assert!(verify.stdout.contains(file), "{}", verify.stdout);
        fs::remove_file(workspace.path(file)).expect("remove");
        let verify = run(&workspace, &["verify"]).expect(1);
        assert!(verify.stdout.contains("outputs of `mlp` is absent"), "{}", verify.stdout);
        workspace.write(file, good);
    }
    run(&workspace, &["verify"]).expect(0);
}

#[test]
fn predictions_that_are_there_are_skipped() {
    for engine in digits::engines() {
        let workspace = digits::workspace(&["logreg", "transformer"]);
        let skipped = |more: &[&str]| {
            let object = digits::predict(&workspace, &engine, &[&["--json"], more].concat()).expect(0).json();
            let models = object["models"].as_array().expect("models");
            models.iter().map(|model| model["skipped"].as_bool().expect("a flag")).collect::<Vec<_>>()
        };
        assert_eq!(skipped(&[]), [false, false]);
        let first = tree(&workspace.path("models/digits/logreg"));
        assert_eq!(skipped(&[]), [true, true]);
        assert_eq!(skipped(&["--force", "logreg"]), [false]);
        let again = tree(&workspace.path("models/digits/logreg"));
        for file in ["oof.feather", "test.feather"] {
            let path = workspace.path("models/digits/logreg").join(file);
            assert!(first[&path] == again[&path], "{file} differs on the same machine");
        }
        // Another manifest is another prediction, and one model's is not the other's.
        let manifest = "models/digits/logreg/model.yaml";
        let text = String::from_utf8(workspace.read(manifest)).expect("text");
        workspace.write(manifest, text.replace("batch_size: 256", "batch_size: 100"));
        assert_eq!(skipped(&[]), [false, true]);
        // Outputs that are gone or damaged are made again, from the same graphs.
        fs::remove_file(workspace.path("models/digits/logreg/test.feather")).expect("remove");
        workspace.write("models/digits/transformer/oof.feather", "damaged");
        assert_eq!(skipped(&[]), [false, false]);
        assert_eq!(skipped(&["--split", "oof"]), [true, true]);
    }
}

#[test]
fn one_split_at_a_time_makes_the_same_files() {
    let engine = ["--engine", "rten"];
    let whole = digits::workspace(&["logreg"]);
    digits::predict(&whole, &engine, &[]).expect(0);
    let parts = digits::workspace(&["logreg"]);
    digits::predict(&parts, &engine, &["--split", "oof"]).expect(0);
    assert!(!parts.path("models/digits/logreg/test.feather").exists());
    digits::predict(&parts, &engine, &["--split", "test", "--batch-size", "7", "--threads", "1"]).expect(0);
    for file in ["models/digits/logreg/oof.feather", "models/digits/logreg/test.feather"] {
        let (a, b) = (whole.read(file), parts.read(file));
        assert_eq!(a.len(), b.len(), "{file}");
    }
    assert!(whole.read("models/digits/logreg/oof.feather") == parts.read("models/digits/logreg/oof.feather"));
    run(&parts, &["audit"]).expect(0);
}

#[test]
fn the_embedded_engine_runs_what_it_can_and_refuses_the_rest() {
    let workspace = digits::workspace(&MODELS);
    let predict = digits::predict(&workspace, &["--engine", "rten"], &[]).expect(4);
    for word in ["boosted", "the embedded engine cannot run it", "blend runtime install", "6 ran and are stored"] {
        assert!(predict.stderr.contains(word), "no `{word}` in\n{}", predict.stderr);
    }
    assert!(!workspace.path("models/digits/boosted/oof.feather").exists());
    for model in models(&["rten"]) {
        assert!(workspace.path(format!("models/digits/{model}/oof.feather")).exists(), "{model}");
    }
    // The demo goes on with six.
    run(&workspace, &["audit"]).expect(0);
    run(&workspace, &["search"]).expect(0);
    run(&workspace, &["submit"]).expect(0);
    run(&workspace, &["verify"]).expect(0);
    // And the refusal stays the same when the others are there.
    refused(&workspace, 4, &["predict", "--engine", "rten"], &["boosted", "blend runtime install"]);
}

//! The simulated contest as it is committed: its graphs still say what PyTorch said, and the whole path runs.

use crate::{
    digits,
    support::{Workspace, near, table},
    toy::run,
};
use blend_core::TableSource;
use blend_store::IdSpec;
use std::{fs, path::Path};

/// Engines round in different orders; of a raw vector's length.
const TOLERANCE: f64 = 1e-4;
/// Where two pulses are as near as makes no difference, rounding decides which is the neighbor: one event in so many of a
/// network with a graph encoder may stray, and no further than this.
const EVENTS_PER_TIE: usize = 1000;
const TIE: f64 = 1e-2;

fn committed() -> Workspace {
    let workspace = Workspace::new();
    copy(&workspace, &Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/neutrino"), "models/neutrino");
    workspace
}

/// Copies a folder without stored outputs and run records.
fn copy(workspace: &Workspace, from: &Path, to: &str) {
    for entry in fs::read_dir(from).expect("folder") {
        let path = entry.expect("entry").path();
        let name = path.file_name().expect("name").to_string_lossy().into_owned();
        let target = format!("{to}/{name}");
        if path.is_dir() {
            copy(workspace, &path, &target);
        } else if !name.ends_with(".feather") && name != "run.yaml" {
            workspace.copy(&path, target);
        }
    }
}

/// Its models.
fn models(workspace: &Workspace) -> Vec<String> {
    let entries = fs::read_dir(workspace.path("models/neutrino")).expect("folder").map(|it| it.expect("entry").path());
    let folders = entries.filter(|path| path.join("model.yaml").exists());
    let mut names: Vec<String> =
        folders.map(|path| path.file_name().expect("name").to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

/// Differences between stored and recorded vectors of a model, event by event, relative to their length.
fn differences(workspace: &Workspace, model: &str) -> Vec<f64> {
    let recorded = table(&workspace.path("models/neutrino/data/recorded.parquet"), IdSpec::FirstColumn);
    let wanted = ["x", "y", "z"].map(|axis| recorded.numbers(&format!("{model}_{axis}")).expect("numbers"));
    let mut found = Vec::new();
    for part in ["oof", "test"] {
        let stored = table(&workspace.path(format!("models/neutrino/{model}/{part}.feather")), IdSpec::FirstColumn);
        let names = stored.names();
        assert_eq!(names.len(), 3, "{names:?}");
        let got: Vec<Vec<f64>> = names.iter().map(|name| stored.numbers(name).expect("numbers")).collect();
        for (row, at) in stored.rows().find_in(recorded.rows()).iter().enumerate() {
            let at = at.expect("a recorded event") as usize;
            let length = (0..3).map(|axis| wanted[axis][at].powi(2)).sum::<f64>().sqrt();
            let apart = (0..3).map(|axis| (wanted[axis][at] - got[axis][row]).powi(2)).sum::<f64>().sqrt();
            // NaN is no agreement.
            found.push(if apart.is_nan() { f64::INFINITY } else { apart / length });
        }
    }
    found
}

/// Bytes below a folder.
fn size(folder: &Path) -> u64 {
    let entries = fs::read_dir(folder).expect("folder").map(|it| it.expect("entry").path());
    entries.map(|path| if path.is_dir() { size(&path) } else { path.metadata().expect("metadata").len() }).sum()
}

#[test]
fn the_contest_is_small_enough_to_ship() {
    let bytes = size(&committed().path("models/neutrino"));
    assert!(bytes < 25_000_000, "{bytes} bytes");
}

#[test]
fn graphs_say_what_was_recorded() {
    let workspace = committed();
    let models = models(&workspace);
    assert_eq!(models, ["b-32", "b-4-rel", "b-64", "b-gnn", "line-fit", "s-gnn"]);
    for engine in digits::engines() {
        digits::predict(&workspace, &engine, &["--force"]).expect(0);
        for model in &models {
            let differences = differences(&workspace, model);
            let ties = if model.ends_with("gnn") { differences.len() / EVENTS_PER_TIE } else { 0 };
            let strayed: Vec<f64> = differences.into_iter().filter(|it| *it > TOLERANCE).collect();
            assert!(strayed.len() <= ties, "{model} on {engine:?}: {strayed:?}");
            assert!(strayed.iter().all(|it| *it < TIE), "{model} on {engine:?}: {strayed:?}");
        }
    }
    // Scores are those that were computed in Python.
    let scores = String::from_utf8(workspace.read("models/neutrino/reference_scores.csv")).expect("text");
    let audit = run(&workspace, &["audit", "--json"]).json();
    let audited = audit["models"].as_array().expect("models");
    assert_eq!(audited.len(), models.len());
    for line in scores.lines().skip(1).filter(|line| !line.starts_with("equal")) {
        let (model, rest) = line.split_once(',').expect("a model");
        let wanted: f64 = rest.split(',').next().expect("a score").parse().expect("a number");
        let found = audited.iter().find(|it| it["model"] == model).expect("the model");
        near(found["score"].as_f64().expect("a score"), wanted, 1e-5, model);
    }
    let search = run(&workspace, &["search", "--json"]).expect(0).json();
    let number = |key: &str| search[key].as_f64().expect("a number");
    let best = search["single_best"]["score"].as_f64().expect("a score");
    assert!(number("score") <= best.min(number("equal_weights")), "{search}");
    assert!(number("nested_score") < best + 1e-3, "{search}");
    run(&workspace, &["submit"]).expect(0);
    run(&workspace, &["verify"]).expect(0);
}

//! The models and recipes of two winning solutions, as they are committed: no graphs, no data, nothing broken.

use crate::{digits, support::Workspace, toy};
use serde_json::Value;
use std::{
    fs,
    path::{Path, PathBuf},
};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// A competition's manifests and recipes as they are committed, and nothing else.
fn bare(competition: &str) -> Workspace {
    let workspace = Workspace::new();
    let models = root().join("models").join(competition);
    workspace.copy(models.join("competition.yaml"), format!("models/{competition}/competition.yaml"));
    for entry in fs::read_dir(models).expect("folder") {
        let name = entry.expect("entry").file_name().to_string_lossy().into_owned();
        let manifest = format!("models/{competition}/{name}/model.yaml");
        if root().join(&manifest).exists() {
            workspace.copy(root().join(&manifest), &manifest);
        }
    }
    for entry in fs::read_dir(root().join("blends").join(competition)).expect("folder") {
        let path = entry.expect("entry").path();
        let name = path.file_name().expect("name").to_string_lossy().into_owned();
        workspace.copy(&path, format!("blends/{competition}/{name}"));
    }
    workspace
}

fn blend(workspace: &Workspace, competition: &str, arguments: &[&str]) -> Value {
    toy::run(workspace, &[&["-c", competition, "--json"], arguments].concat()).expect(0).json()
}

#[test]
fn manifests_are_valid_without_their_graphs() {
    for (competition, n_models) in [("moa", 13), ("icecube", 5)] {
        let workspace = bare(competition);
        let list = blend(&workspace, competition, &["list"]);
        let models = list["models"].as_array().expect("models");
        assert_eq!(models.len(), n_models, "{list}");
        assert!(models.iter().all(|model| model["graphs_absent"] == true), "{list}");
        let audit = blend(&workspace, competition, &["audit"]);
        let models = audit["models"].as_array().expect("models");
        assert_eq!(models.len(), n_models);
        for model in models {
            let name = model["model"].as_str().expect("a name");
            let findings = model["findings"].as_array().expect("findings");
            let hint = findings.iter().find_map(|it| it["hint"].as_str()).expect("a next step");
            let command = format!("graphs absent: export them with `python -m zoo export {name}");
            assert!(hint.contains(&command), "{hint}");
            assert!(findings.iter().all(|it| it["severity"] == "note"), "{model}");
        }
        let text = toy::run(&workspace, &["-c", competition, "list"]).expect(0).stdout;
        assert_eq!(text.matches("graphs absent: export them with").count(), n_models, "{text}");
    }
}

#[test]
fn models_that_nobody_has_exported_are_left_out_unless_they_are_named() {
    let workspace = digits::workspace(&["logreg"]);
    let manifest = String::from_utf8(workspace.read("models/digits/logreg/model.yaml")).expect("text");
    let export = "python -m zoo export absent";
    let other = manifest.replace("model: logreg", "model: absent") + &format!("export: {export}\n");
    workspace.write("models/digits/absent/model.yaml", other);
    let predict = ["predict", "--engine", "rten"];
    let said = toy::run(&workspace, &predict).expect(0).stderr;
    assert!(said.contains(&format!("`absent` is left out, graphs absent: export them with `{export}`")), "{said}");
    assert!(workspace.path("models/digits/logreg/test.feather").exists());
    let notes = toy::run(&workspace, &[&predict[..], &["--json"]].concat()).expect(0).json();
    assert!(notes["notes"][0].as_str().is_some_and(|it| it.contains("`absent` is left out")), "{notes}");
    let words = ["absent/fold0.onnx", export];
    toy::refused(&workspace, 4, &[&predict[..], &["absent"]].concat(), &words);
    // One of five graphs is a failed export, not a model that nobody wants.
    workspace.copy(workspace.path("models/digits/logreg/fold0.onnx"), "models/digits/absent/fold0.onnx");
    toy::refused(&workspace, 4, &predict, &["absent/fold1.onnx", export]);
}

#[test]
fn claims_stand_with_their_scope() {
    let audit = blend(&bare("moa"), "moa", &["audit", "three-stage-nn-10f"]);
    let claimed = &audit["models"][0]["claimed"];
    assert_eq!(claimed["score"], 0.015461);
    assert!(claimed["scope"].as_str().is_some_and(|scope| scope.contains("21,948 treated rows")), "{claimed}");
}

/// Test outputs of every model of a competition, so that its recipes can be applied: `value(model, row)`.
fn with_outputs(
    competition: &str,
    members: &[&str],
    sample: &str,
    header: &str,
    value: impl Fn(usize, usize) -> String,
) -> Workspace {
    let workspace = bare(competition);
    // The contest's files are not here: the recipe alone is what is looked at.
    let settings = if competition == "moa" {
        "competition: moa\nmetric: {name: log_loss, clip: 1e-15}\nid: sig_id\nsample_submission: data/sample.csv\n"
    } else {
        "competition: icecube\nmetric: angular_error\nid: event_id\ndecode: {azimuth: azimuth, zenith: zenith}\n\
         sample_submission: data/sample.csv\n"
    };
    workspace.write(format!("models/{competition}/competition.yaml"), settings);
    workspace.write(format!("models/{competition}/data/sample.csv"), sample);
    let kind = if competition == "moa" { "probability" } else { "vector" };
    for (at, model) in members.iter().enumerate() {
        let rows: String = (0..sample.lines().count() - 1).map(|row| value(at, row) + "\n").collect();
        let file = workspace.write(format!("in/{model}.csv"), format!("{header}\n{rows}"));
        // Imported outputs instead of graphs.
        workspace
            .write(format!("models/{competition}/{model}/model.yaml"), format!("model: {model}\noutput: {kind}\n"));
        let file = file.display().to_string();
        toy::run(&workspace, &["-c", competition, "import", model, "--test", &file]).expect(0);
    }
    workspace
}

const BEST_LB: [(&str, f64); 7] = [
    ("three-stage-nn-5f", 0.333),
    ("simple-nn-new", 0.09),
    ("efficientnet-b3", 0.162),
    ("resnest-v2", 0.135),
    ("two-stage-tabnet", 0.1),
    ("simple-nn-old", 0.09),
    ("two-heads-v1", 0.09),
];

/// The submission's numbers of the column `at`.
fn submitted(workspace: &Workspace, competition: &str, name: &str, at: usize) -> Vec<f64> {
    let text = String::from_utf8(workspace.read(format!("submissions/{competition}/{name}.csv"))).expect("text");
    text.lines().skip(1).map(|line| line.split(',').nth(at).expect("a cell").parse().expect("a number")).collect()
}

#[test]
fn the_nested_formula_flattens_to_the_published_weights() {
    // Each model says 1 for one row and 0 elsewhere: the blend is its weight.
    let members: Vec<&str> = BEST_LB.iter().map(|(model, _)| *model).collect();
    let sample = "sig_id,a\n".to_owned() + &(0..7).map(|row| format!("id_{row},0.5\n")).collect::<String>();
    let value = |model: usize, row: usize| format!("id_{row},{}", u8::from(model == row));
    let workspace = with_outputs("moa", &members, &sample, "sig_id,a", value);
    toy::run(&workspace, &["-c", "moa", "submit", "winners_best_lb"]).expect(0);
    let weights = submitted(&workspace, "moa", "winners_best_lb", 1);
    for ((model, wanted), got) in BEST_LB.iter().zip(&weights) {
        assert!((got - wanted).abs() < 1e-9, "{model}: {got}, published {wanted}");
    }
    assert!((weights.iter().sum::<f64>() - 1.0).abs() < 1e-9);
}

#[test]
fn the_other_recipes_are_the_published_ones() {
    let best_cv = ["three-stage-nn-10f", "two-heads-v2", "efficientnet-b3", "resnest-v1", "resnest-v2"];
    let optuna = ["two-stage-tabnet", "nonscored-nn-new", "efficientnet-b3", "resnest-v2"];
    let published: [(&str, &[&str], &[f64]); 3] = [
        ("winners_best_cv", &best_cv, &[0.36704255, 0.0808577, 0.17120266, 0.10876667, 0.27213043]),
        ("winners_optuna", &optuna, &[0.1722, 0.0006, 0.3411, 0.4854]),
        ("equal_weights", &best_cv, &[0.2; 5]),
    ];
    for (name, members, weights) in published {
        let sample =
            "sig_id,a\n".to_owned() + &(0..members.len()).map(|row| format!("id_{row},0.5\n")).collect::<String>();
        let value = |model: usize, row: usize| format!("id_{row},{}", u8::from(model == row));
        let workspace = with_outputs("moa", members, &sample, "sig_id,a", value);
        toy::run(&workspace, &["-c", "moa", "submit", name]).expect(0);
        let got = submitted(&workspace, "moa", name, 1);
        for (row, wanted) in weights.iter().enumerate() {
            assert!((got[row] - wanted).abs() < 1e-9, "{name}, {}: {}, published {wanted}", members[row], got[row]);
        }
    }
}

#[test]
fn the_second_place_sums_raw_vectors() {
    let members = ["b-32", "b-64", "b-4-rel", "s-gnn", "b-gnn"];
    let weights = [0.08254897, 0.15350807, 0.19367443, 0.23597202, 0.3342965];
    let sample = "event_id,azimuth,zenith\n7,1,1\n8,1,1\n";
    // Lengths differ: a vector of length 9 has nine times the say.
    let vector = |model: usize, row: usize| {
        let angle = 0.3 * model as f64 + row as f64;
        let length = 1.0 + 2.0 * model as f64;
        [length * angle.cos(), length * angle.sin(), 0.5 - 0.1 * model as f64]
    };
    let value = |model: usize, row: usize| {
        let [x, y, z] = vector(model, row);
        format!("{},{x},{y},{z}", row + 7)
    };
    let workspace = with_outputs("icecube", &members, sample, "event_id,x,y,z", value);
    toy::run(&workspace, &["-c", "icecube", "submit", "second_place"]).expect(0);
    for row in 0..2 {
        let mut sum = [0.0; 3];
        for (model, weight) in weights.iter().enumerate() {
            vector(model, row).iter().zip(&mut sum).for_each(|(x, sum)| *sum += weight * x);
        }
        let length = sum.iter().map(|x| x * x).sum::<f64>().sqrt();
        let wanted = [sum[1].atan2(sum[0]).rem_euclid(std::f64::consts::TAU), (sum[2] / length).acos()];
        for (column, wanted) in wanted.iter().enumerate() {
            let got = submitted(&workspace, "icecube", "second_place", column + 1)[row];
            assert!((got - wanted).abs() < 1e-6, "event {row}: {got}, wanted {wanted}");
        }
    }
}

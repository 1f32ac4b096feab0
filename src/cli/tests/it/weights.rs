//! Kinds of weights as they are typed: limits on single weights and members, calibration, weights by part, the trace,
//! and what a search says of its weights. What is searched is stored, submitted and verified.

mod limits;
mod parts;
mod said;
mod typed;

use crate::{
    support::Workspace,
    toy::{self, run},
};
use serde_json::Value;

/// A search's object.
#[track_caller]
fn search(workspace: &Workspace, more: &[&str]) -> Value {
    run(workspace, &[&["--json", "search", "--force"], more].concat()).expect(0).json()
}

#[track_caller]
fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or_else(|| panic!("no number: {value}"))
}

/// What was written submits, verifies, and is read back as what was said.
#[track_caller]
fn submits(workspace: &Workspace) {
    run(workspace, &["submit"]).expect(0);
    run(workspace, &["verify"]).expect(0);
}

/// Two columns of ten numbers each for rows that start with `prefix`.
fn two_targets(prefix: char, n: usize, value: impl Fn(usize, usize) -> String) -> String {
    let rows = (0..n).map(|row| format!("{prefix}{row:03},{},{}\n", value(row, 0), value(row, 1)));
    std::iter::once("id,y,z\n".to_owned()).chain(rows).collect()
}

/// A competition of two targets, each of which another model knows better; rows have a length, short or long.
fn of_two_targets() -> Workspace {
    const TRAIN: usize = 240;
    const TEST: usize = 30;
    let label = |row: usize, target: usize| usize::from((row * 7 + target * 11 + row / 9).is_multiple_of(3));
    let workspace = Workspace::new();
    let competition = toy::COMPETITION.replace("targets: [y]", "targets: [y, z]");
    workspace.write("models/toy/competition.yaml", competition);
    workspace.write("models/toy/data/train.csv", two_targets('r', TRAIN, |row, target| label(row, target).to_string()));
    let folds = (0..TRAIN).map(|row| format!("r{row:03},{}\n", row % 4)).collect::<String>();
    workspace.write("models/toy/data/folds.csv", format!("id,fold\n{folds}"));
    workspace.write("models/toy/data/sample.csv", two_targets('t', TEST, |_, _| "0.5".to_owned()));
    let length = |prefix: char, n: usize| -> String {
        (0..n).map(|row| format!("{prefix}{row:03},{}\n", if row % 5 < 2 { "long" } else { "short" })).collect()
    };
    workspace.write("models/toy/data/length.csv", format!("id,length\n{}{}", length('r', TRAIN), length('t', TEST)));
    workspace.write("models/toy/data/groups.csv", "target,group\ny,first\nz,second\n");
    for (model, name) in toy::MODELS.iter().enumerate() {
        // `ada` knows the first target and long rows better, `bob` the second and short ones, `cyd` neither.
        let value = |row: usize, target: usize| {
            let noise = ((row * (37 + 16 * model) + model * 53 + target * 29) % 101) as f64 / 101.0;
            let sure = if model == 2 {
                0.2
            } else if model == target {
                0.8
            } else {
                0.25
            };
            let sure = if model < 2 && (row % 5 < 2) == (model == 0) { sure + 0.1 } else { sure };
            let truth = label(row, target) as f64;
            format!("{:.4}", (0.5 + (truth - 0.5) * sure + (noise - 0.5) * 0.5).clamp(0.02, 0.98))
        };
        let oof = workspace.write(format!("in/{name}_oof.csv"), two_targets('r', TRAIN, value));
        let test =
            workspace.write(format!("in/{name}_test.csv"), two_targets('t', TEST, |row, t| value(row + 1000, t)));
        let [oof, test] = [oof, test].map(|path| path.display().to_string());
        run(&workspace, &["import", name, "--oof", &oof, "--test", &test]).expect(0);
    }
    workspace
}

//! Weights by target, by group of targets, by group of rows: searched, stored, submitted, verified.

use super::{number, of_two_targets, search, submits};
use crate::{
    support::{Workspace, near, table},
    toy::run,
};
use blend_store::IdSpec;
use serde_json::Value;

/// The submission is the blend of the test files with the weights that `weight(row, target, model)` gives.
#[track_caller]
fn check_submission(workspace: &Workspace, weight: impl Fn(usize, &str, &str) -> f64) {
    let id = || IdSpec::Column("id".to_owned());
    let made = table(&workspace.path("submissions/toy/best_cv.csv"), id());
    for target in ["y", "z"] {
        let got = made.numbers(target).expect("numbers");
        for (row, got) in got.iter().enumerate() {
            let of_model = |model: &str| {
                let values = table(&workspace.path(format!("in/{model}_test.csv")), id()).numbers(target);
                weight(row, target, model) * values.expect("numbers")[row]
            };
            near(*got, ["ada", "bob", "cyd"].map(of_model).iter().sum(), 1e-6, target);
        }
    }
}

#[test]
fn targets_have_weights_of_their_own() {
    let workspace = of_two_targets();
    let global = search(&workspace, &["--name", "all"]);
    let own = search(&workspace, &["--granularity", "per-target"]);
    assert_eq!(own["granularity"], "per_target");
    assert!(number(&own["score"]) < number(&global["score"]));
    assert!(number(&own["nested_score"]) < number(&own["global_nested_score"]), "{own}");
    near(
        number(&own["global_nested_score"]),
        number(&global["nested_score"]),
        1e-6,
        "nested score of one set of weights",
    );
    assert!(own["lambdas_tried"].as_array().is_some_and(|tried| tried.len() > 5));
    assert_eq!(own["nested_lambdas"].as_array().map(Vec::len), Some(4));
    assert!(number(&own["weights"]["y"]["ada"]) > number(&own["weights"]["z"]["ada"]));
    submits(&workspace);
    check_submission(&workspace, |_, target, model| number(&own["weights"][target][model]));
    // The recipe reads back as it was written, and a changed weight changes the chain.
    let recipe = workspace.read("blends/toy/best_cv.yaml");
    search(&workspace, &["--granularity", "per-target", "--threads", "1"]);
    assert_eq!(workspace.read("blends/toy/best_cv.yaml"), recipe);
    let text = String::from_utf8(recipe)
        .expect("text")
        .replace("granularity: per_target\nweights", "granularity: global\nweights");
    workspace.write("blends/toy/best_cv.yaml", text);
    let refused = run(&workspace, &["submit"]).expect(2);
    assert!(refused.stderr.contains("do not go together"), "{}", refused.stderr);
}

#[test]
fn groups_of_targets_are_those_of_a_table() {
    let workspace = of_two_targets();
    let file = workspace.path("models/toy/data/groups.csv").display().to_string();
    let groups = search(&workspace, &["--granularity", &format!("targets:{file}"), "--lambda", "0"]);
    let own = search(&workspace, &["--granularity", "per-target", "--lambda", "0", "--name", "own"]);
    for (group, target) in [("first", "y"), ("second", "z")] {
        for model in ["ada", "bob", "cyd"] {
            near(number(&groups["weights"][group][model]), number(&own["weights"][target][model]), 1e-9, model);
        }
    }
    assert_eq!(groups["lambda"], 0.0);
    submits(&workspace);
    check_submission(&workspace, |_, target, model| {
        number(&groups["weights"][if target == "y" { "first" } else { "second" }][model])
    });
}

#[test]
fn rows_have_the_weights_of_their_group() {
    let workspace = of_two_targets();
    let file = workspace.path("models/toy/data/length.csv").display().to_string();
    let rows = search(&workspace, &["--granularity", &format!("rows:{file}:length"), "--lambda", "0.1"]);
    assert!(number(&rows["weights"]["long"]["ada"]) > number(&rows["weights"]["short"]["ada"]), "{rows}");
    submits(&workspace);
    check_submission(&workspace, |row, _, model| {
        number(&rows["weights"][if row % 5 < 2 { "long" } else { "short" }][model])
    });
    // The table is a link of the chain.
    let before = String::from_utf8(workspace.read("models/toy/data/length.csv")).expect("text");
    workspace.write("models/toy/data/length.csv", before.replace("t003,short", "t003,long"));
    run(&workspace, &["verify"]).expect(1);
    // A group that the search never saw has the weights of all rows.
    workspace.write("models/toy/data/length.csv", before.replace("t003,short", "t003,endless"));
    run(&workspace, &["submit"]).expect(0);
    check_submission(&workspace, |row, _, model| {
        let weights: &Value = match row {
            3 => &rows["global_weights"],
            row if row % 5 < 2 => &rows["weights"]["long"],
            _ => &rows["weights"]["short"],
        };
        number(&weights[model])
    });
}

/// Parts that have nothing to tell apart, and a strength that leaves them nothing.
#[test]
fn parts_with_the_same_weights_are_told_as_such() {
    let workspace = of_two_targets();
    let given = run(&workspace, &["search", "--granularity", "per-target", "--lambda", "inf"]).expect(0).stdout;
    assert!(given.contains("as `--lambda inf` asks") && given.contains("one set of weights for all parts"), "{given}");
    // Rows in groups that mean nothing.
    let groups: String = (0..240).map(|row| format!("r{row:03},{}\n", ["a", "b", "c"][row * 7 / 5 % 3])).collect();
    let file = workspace.write("models/toy/data/any.csv", format!("id,any\n{groups}")).display().to_string();
    let by_rows = ["search", "--granularity", &format!("rows:{file}:any")];
    let object = run(&workspace, &[&["--json"], &by_rows[..]].concat()).expect(0).json();
    assert_eq!(object["lambda"], "inf", "{object}");
    let chosen = run(&workspace, &by_rows).expect(0).stdout;
    assert!(chosen.contains("converged: no strength was better than one set of weights for all"), "{chosen}");
    assert!(!given.contains("nothing is proven") && !chosen.contains("nothing is proven"), "{given}{chosen}");
}

//! Scores and settings that cannot be: refused with the contract's exit codes, and nothing is lost. And what is said of those
//! that can.

use crate::{
    support::Workspace,
    toy::{self, refused, run},
};

/// The toy competition with its public rows, and `scores` of models.
fn scored(public_rows: &str, scores: &[(&str, &str)]) -> Workspace {
    let workspace = toy::imported();
    let yaml = format!("{}leaderboard: {{decimals: 5, public_rows: {public_rows}}}\n", toy::COMPETITION);
    workspace.write("models/toy/competition.yaml", yaml);
    for (model, score) in scores {
        run(&workspace, &["lb", "add", model, score]).expect(0);
    }
    workspace
}

#[test]
fn a_score_for_an_unknown_file() {
    let workspace = scored("all", &[("ada", "0.45")]);
    refused(&workspace, 2, &["lb", "add", "in/nowhere.csv", "0.4"], &["`in/nowhere.csv`", "no file"]);
    workspace.write("scores.csv", "file,public\nada,0.45\nnowhere,0.4\n");
    refused(&workspace, 2, &["lb", "import", "scores.csv"], &["scores.csv:3", "`nowhere`"]);
}

#[test]
fn a_score_that_no_prediction_could_have() {
    let workspace = scored("all", &[("ada", "0.45")]);
    // Probabilities of 0.02 and more cannot be as right as that, nor as wrong.
    for score in ["0.00001", "9"] {
        refused(&workspace, 3, &["lb", "add", "bob", score], &["no labels give", "nothing was recorded"]);
    }
    // Alone each can be, beside the other's they cannot.
    refused(&workspace, 3, &["lb", "add", "bob", "1.5"], &["no labels give", "`ada`"]);
}

#[test]
fn scores_whose_identity_goes_negative() {
    let workspace = toy::competition();
    let yaml = toy::COMPETITION.replace("log_loss", "rmse") + "leaderboard: {decimals: 5, public_rows: all}\n";
    workspace.write("models/toy/competition.yaml", yaml);
    for (model, value) in [("up", "1"), ("down", "-1")] {
        let test = workspace.write(format!("in/{model}.csv"), toy::csv('t', 0..toy::TEST_ROWS, |_| value.to_owned()));
        run(&workspace, &["import", model, "--test", &test.display().to_string()]).expect(0);
    }
    run(&workspace, &["lb", "add", "up", "0.5"]).expect(0);
    // No label is within a half of 1 and of -1, on average: their mean's squared error would be below zero.
    let words = ["contradict each other", "below zero", "nothing was recorded"];
    refused(&workspace, 3, &["lb", "add", "down", "0.5"], &words);
    run(&workspace, &["lb", "add", "down", "1.5"]).expect(0);
}

#[test]
fn more_models_than_equations() {
    let workspace = scored("all", &[("ada", "0.45"), ("bob", "0.46")]);
    let output = run(&workspace, &["--json", "search", "--target", "lb"]).expect(0);
    assert!(output.stderr.contains("no public score tells of them: cyd"), "{}", output.stderr);
    let said = output.json();
    assert_eq!(said["weights"].as_object().map(serde_json::Map::len), Some(2), "{said}");
    assert_eq!(said["predicted_public"]["method"], "exact", "{said}");
    // Named, it is taken, and what it scores is guessed and said to be.
    let named = ["--json", "search", "--target", "lb", "--members", "bob,cyd", "--name", "guessed"];
    let said = run(&workspace, &named).expect(0).json();
    let guessed = &said["members"]["cyd"];
    assert_eq!(
        (guessed["method"].as_str(), said["weights"].as_object().map(serde_json::Map::len)),
        (Some("regression"), Some(2))
    );
    assert!(guessed["parts"]["regression"].as_f64().is_some_and(|it| it > 1e-3), "{said}");
    // No equation at all.
    let none = scored("all", &[]);
    refused(&none, 2, &["search", "--target", "lb"], &["no public score is known", "hint:"]);
}

#[test]
fn public_rows_that_contradict_the_test_rows() {
    for (rows, words) in [
        ("21", ["21 public rows", "20 test rows"]),
        ("0.001", ["0.001 is no row", "20 test rows"]),
        ("1.5", ["public_rows", "1.5"]),
        ("0", ["public_rows", "0"]),
    ] {
        let workspace = scored("all", &[("ada", "0.45")]);
        let yaml = format!("{}leaderboard: {{decimals: 5, public_rows: {rows}}}\n", toy::COMPETITION);
        workspace.write("models/toy/competition.yaml", yaml);
        refused(&workspace, 2, &["search", "--target", "lb"], &words);
    }
    let workspace = scored("all", &[("ada", "0.45")]);
    workspace.write("models/toy/public.csv", "id\nt00\nt77\n");
    let yaml = format!("{}leaderboard: {{decimals: 5, public_rows: public.csv}}\n", toy::COMPETITION);
    workspace.write("models/toy/competition.yaml", yaml);
    refused(&workspace, 3, &["search", "--target", "lb"], &["`t77` is no test row"]);
}

#[test]
fn a_gain_below_its_noise_and_a_score_that_was_not_predicted() {
    let workspace = scored("all", &[("ada", "0.45")]);
    let said = run(&workspace, &["lb", "add", "bob", "0.44"]).expect(0).stdout;
    assert!(said.contains("no different from the best before, ada, beyond noise: +1.0e-2 +- "), "{said}");
    let said = run(&workspace, &["lb", "add", "cyd", "0.45"]).expect(0).stdout;
    assert!(said.contains("no different from the best before, bob, beyond noise: -1.0e-2 +- "), "{said}");

    let found = run(&workspace, &["--json", "search", "--target", "lb"]).expect(0).json();
    run(&workspace, &["submit", "best_lb"]).expect(0);
    let predicted = found["predicted_public"]["score"].as_f64().expect("a score");
    let add = |score: f64, more: &[&str]| {
        let score = format!("{score:.5}");
        run(&workspace, &[&["lb", "add", "best_lb", &score], more].concat()).expect(0).stdout
    };
    let said = add(predicted + 0.01, &[]);
    assert!(
        said.contains("overfit alarm: the public score of best_lb is ") && said.contains("standard errors away"),
        "{said}"
    );
    let shown = run(&workspace, &["lb", "show"]).expect(0).stdout;
    assert!(shown.contains("overfit alarm"), "{shown}");
    add(predicted, &["--correct"]);
    let shown = run(&workspace, &["lb", "show"]).expect(0).stdout;
    assert!(!shown.contains("overfit alarm"), "{shown}");
}

#[test]
fn the_plan_names_what_would_teach_and_leaves_out_what_is_known() {
    let plan = |scores: &[(&str, &str)], budget: &str| -> Vec<(String, f64)> {
        let said = run(&scored("all", scores), &["--json", "lb", "plan", "--budget", budget]).expect(0).json();
        let steps = said["plan"].as_array().expect("a plan").iter();
        steps
            .map(|it| (it["what"].as_str().expect("what").to_owned(), it["variance_left"].as_f64().expect("a share")))
            .collect()
    };
    let all = plan(&[], "3");
    assert_eq!(all.len(), 3, "{all:?}");
    // Every score leaves less to be told by the next.
    assert!(all[0].1 < 1.0 && all.windows(2).all(|pair| pair[1].1 <= pair[0].1), "{all:?}");
    assert_eq!(plan(&[], "1"), all[..1]);
    let rest = plan(&[("ada", "0.45")], "3");
    assert!(rest.len() == 2 && rest.iter().all(|(what, _)| what != "ada"), "{rest:?}");
}

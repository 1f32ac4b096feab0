//! What `blend audit` prints: tables that fit, orders that can be asked for, and one object with every number.

use super::small::{self, Kind};
use crate::{
    support::{Output, Workspace, near},
    toy,
};

fn at_width(workspace: &Workspace, columns: &str, arguments: &[&str]) -> Output {
    toy::finish(toy::command(workspace, arguments).env("COLUMNS", columns))
}

/// The lines of the table, the header first.
fn table(output: &Output) -> Vec<&str> {
    output.stdout.lines().skip(1).take_while(|line| line.starts_with("  ")).collect()
}

#[test]
fn tables_fit_the_terminal() {
    let workspace = small::imported(Kind::Targets);
    let long = "a_name_that_nobody_would_choose_but_a_program_with_thirty_options";
    small::import(&workspace, long, &["in/ada_oof.csv"], &[]).expect(0);
    for (columns, width) in [("80", 80), ("120", 120)] {
        for by in ["models", "folds", "targets"] {
            let said = at_width(&workspace, columns, &["audit", "--by", by]).expect(1);
            let widest = table(&said).iter().map(|line| line.chars().count()).max().unwrap_or(0);
            assert!((30..=width).contains(&widest), "{widest} columns of {width}:\n{}", said.stdout);
        }
    }
    let narrow = at_width(&workspace, "80", &["audit"]).stdout;
    let wide = at_width(&workspace, "120", &["audit"]).stdout;
    assert!(!narrow.contains("highest") && wide.contains("highest") && wide.contains("slope"));
    let names: Vec<&str> = narrow.lines().filter(|line| line.starts_with("  a_name_t")).collect();
    assert!(names.len() == 1 && names[0].contains('…') && names[0].contains("options"), "{narrow}");
}

#[test]
fn rows_come_in_the_order_that_is_asked_for() {
    let workspace = small::imported(Kind::Targets);
    let first_column = |arguments: &[&str]| -> Vec<String> {
        let said = toy::run(&workspace, arguments).expect(0);
        let lines = table(&said).into_iter().skip(1);
        lines.map(|line| line.split_whitespace().next().unwrap_or_default().to_owned()).collect()
    };
    assert_eq!(first_column(&["audit"]), small::MODELS);
    let object = toy::run(&workspace, &["audit", "--json"]).expect(0).json();
    let score = |model: &str| {
        let all = object["models"].as_array().expect("models");
        all.iter().find(|it| it["model"] == model).expect("the model")["score"].as_f64().expect("a score")
    };
    let by_score = first_column(&["audit", "--sort", "score"]);
    assert!(by_score.windows(2).all(|pair| score(&pair[0]) <= score(&pair[1])), "{by_score:?}");
    assert_eq!(first_column(&["audit", "--by", "targets"]), ["x", "y", "z"]);
    assert_eq!(first_column(&["audit", "--by", "folds"]), ["0", "1", "2", "3"]);
    let worst_first = first_column(&["audit", "--by", "targets", "--sort", "cyd"]);
    let of = |target: &str| object["models"][2]["targets"][target].as_f64().expect("a score");
    assert!(worst_first.windows(2).all(|pair| of(&pair[0]) >= of(&pair[1])), "{worst_first:?}");
    toy::refused(&workspace, 2, &["audit", "--by", "groups"], &["no scores by group", "competition.yaml"]);
}

/// The object's numbers agree with each other.
#[test]
fn the_object_adds_up() {
    let workspace = small::imported(Kind::Targets);
    let object = toy::run(&workspace, &["audit", "--json"]).expect(0).json();
    let models = object["models"].as_array().expect("models");
    let number = |value: &serde_json::Value| value.as_f64().unwrap_or_else(|| panic!("{value} is no number"));
    for model in models {
        let targets = model["targets"].as_object().expect("targets");
        let mean = targets.values().map(number).sum::<f64>() / targets.len() as f64;
        near(mean, number(&model["score"]), 1e-12, "the mean over targets");
        let folds: Vec<f64> = model["folds"].as_array().expect("folds").iter().map(|it| number(&it["score"])).collect();
        near(folds.iter().sum::<f64>() / 4.0, number(&model["mean_of_folds"]), 1e-12, "the mean of folds");
        near(
            number(&model["adds"]["without"]) - number(&object["equal_weights"]["score"]),
            0.0,
            0.02,
            "near the blend",
        );
        assert!((0.6..1.6).contains(&number(&model["calibration"]["slope"])), "{}", model["calibration"]);
    }
    let equal = &object["equal_weights"];
    assert_eq!((equal["space"].as_str(), equal["exact"].as_bool()), (Some("logit"), Some(true)));
    let shares = equal["members"].as_object().expect("members").values().map(|it| number(&it["share"]));
    near(shares.sum(), number(&equal["score"]), 1e-12, "shares sum to the blend's score");
    near(number(&equal["mean_member"]) - number(&equal["diversity"]), number(&equal["score"]), 1e-12, "the identity");
    for key in ["correlations", "test_correlations"] {
        let it = &object[key];
        let clustered = it["clustered"].as_array().expect("an order");
        assert_eq!(clustered.len(), 5);
        for method in ["pearson", "spearman", "kendall"] {
            for a in 0..5 {
                assert_eq!(it[method][a][a], 1.0);
                assert_eq!(it[method][a][0], it[method][0][a]);
            }
        }
        let (tau, rho) = (number(&it["kendall"][0][1]), number(&it["spearman"][0][1]));
        assert!(0.4 < tau && tau < rho && rho < 1.0, "{tau} {rho}");
    }
}

#[test]
fn a_known_finding_is_accepted_with_its_reason() {
    let workspace = small::imported(Kind::Targets);
    workspace.write("in/bad.csv", small::csv(false, &small::predictions(Kind::Targets, 0, false)));
    small::import(&workspace, "bad", &["in/bad.csv"], &[]).expect(0);
    toy::run(&workspace, &["audit"]).expect(1);
    // For this run.
    let said = toy::run(&workspace, &["audit", "--allow", "duplicate"]).expect(0);
    assert!(said.stdout.contains("accepted fault: duplicate in `bad`"), "{}", said.stdout);
    toy::refused(&workspace, 2, &["audit", "--allow", "duplicates"], &["`duplicates`", "did you mean `duplicate`"]);
    // For good, with the reason.
    let manifest = String::from_utf8(workspace.read("models/c/bad/model.yaml")).expect("text");
    let file = "models/c/bad/model.yaml";
    workspace.write(file, format!("{manifest}allow: {{duplicate: \"kept to show what happens\"}}\n"));
    let said = toy::run(&workspace, &["audit"]).expect(0);
    assert!(said.stdout.contains("(kept to show what happens)"), "{}", said.stdout);
    let object = toy::run(&workspace, &["audit", "--json"]).expect(0).json();
    assert_eq!(
        (&object["faults"], &object["findings"][0]["accepted"]),
        (&0.into(), &"kept to show what happens".into())
    );
    workspace.write(file, format!("{manifest}allow: {{duplicates: \"kept\"}}\n"));
    toy::refused(&workspace, 2, &["audit"], &["models/c/bad/model.yaml", "`duplicates`", "did you mean `duplicate`"]);
}

/// The winners' way to count: rows outside the scope with no loss, and an id column among the columns.
#[test]
fn a_claim_is_explained() {
    let workspace = small::imported(Kind::Targets);
    let yaml = String::from_utf8(workspace.read("models/c/competition.yaml")).expect("text");
    let scope = "scope: {exclude: {file: kinds.csv, column: kind, equals: control}}\n";
    workspace.write("models/c/competition.yaml", yaml + scope);
    let kind = |row: usize| if row.is_multiple_of(10) { "control" } else { "treated" };
    let kinds = (0..small::ROWS).map(|row| format!("{},{}\n", small::id(false, row), kind(row)));
    workspace.write("models/c/kinds.csv", std::iter::once("id,kind\n".to_owned()).chain(kinds).collect::<String>());
    let object = toy::run(&workspace, &["audit", "ada", "--json"]).expect(0).json();
    let score = object["models"][0]["score"].as_f64().expect("a score");
    let claim = |score: f64| {
        let text = format!("{score:.6}");
        let manifest = String::from_utf8(workspace.read("models/c/ada/model.yaml")).expect("text");
        let lines = manifest.lines().filter(|line| !line.starts_with("claimed"));
        let kept: String = lines.map(|line| format!("{line}\n")).collect();
        workspace.write("models/c/ada/model.yaml", format!("{kept}claimed: {{score: {text}, scope: as printed}}\n"));
        let object = toy::run(&workspace, &["audit", "ada", "--json"]).expect(0).json();
        let findings = object["findings"].as_array().expect("findings").clone();
        findings.iter().find(|it| it["check"] == "claim").map(|it| it["cause"].as_str().unwrap_or_default().to_owned())
    };
    assert_eq!(claim(score), None);
    let both = claim(score * 0.9 * 0.75).expect("a finding");
    for words in ["claimed", "(as printed)", "no loss", "the sum over 3 columns divided by 4"] {
        assert!(both.contains(words), "no `{words}` in {both}");
    }
    assert!(claim(score * 0.75).expect("a finding").contains("divided by 4"));
    assert!(claim(score * 0.7123).expect("a finding").contains("none of"));
}

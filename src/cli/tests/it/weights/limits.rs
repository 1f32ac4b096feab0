//! Bounds, given weights, few members, a budget of inference time.

use super::{number, search, submits};
use crate::toy::{self, MODELS, run};

#[test]
fn given_weights_and_bounds_are_kept_and_told() {
    let workspace = toy::imported();
    let free = search(&workspace, &[]);
    let fixed = search(&workspace, &["--fix", "ada=0.2", "--bounds", "bob=:0.3"]);
    assert_eq!(number(&fixed["weights"]["ada"]), 0.2);
    assert!(number(&fixed["weights"]["bob"]) <= 0.3);
    assert_eq!(fixed["stop"], "certified");
    assert!(number(&fixed["score"]) >= number(&free["score"]));
    let sum: f64 = MODELS.iter().map(|model| number(&fixed["weights"][model])).sum();
    assert!((sum - 1.0).abs() < 1e-12);
    submits(&workspace);
    let recipe = String::from_utf8(workspace.read("blends/toy/best_cv.yaml")).expect("text");
    assert!(recipe.contains(r#"options: "--fix ada=0.2 --bounds bob=:0.3""#), "{recipe}");
    // The same search writes the same bytes.
    search(&workspace, &["--fix", "ada=0.2", "--bounds", "bob=:0.3", "--threads", "1"]);
    assert_eq!(String::from_utf8(workspace.read("blends/toy/best_cv.yaml")).expect("text"), recipe);
}

#[test]
fn negative_weights_within_bounds_are_certified() {
    let workspace = toy::imported();
    let affine = search(&workspace, &["--domain", "affine", "--space", "logit", "--bounds", "-0.5:1.5"]);
    assert_eq!(affine["stop"], "certified", "{affine}");
    assert!(MODELS.iter().all(|model| (-0.5..=1.5).contains(&number(&affine["weights"][model]))));
    let simplex = search(&workspace, &["--space", "logit"]);
    assert!(number(&affine["score"]) <= number(&simplex["score"]) + 1e-12);
    submits(&workspace);
}

#[test]
fn few_members_are_fitted_again() {
    let workspace = toy::imported();
    let chosen = |object: &serde_json::Value| -> Vec<f64> {
        MODELS.iter().map(|model| number(&object["weights"][model])).filter(|weight| *weight != 0.0).collect()
    };
    let two = search(&workspace, &["--max-members", "2"]);
    assert!(chosen(&two).len() <= 2);
    submits(&workspace);
    let left = search(&workspace, &["--exclude", "cyd", "--name", "left"]);
    let right = search(&workspace, &["--exclude", "ada", "--name", "right"]);
    let middle = search(&workspace, &["--exclude", "bob", "--name", "middle"]);
    let best = [left, right, middle].iter().map(|it| number(&it["score"])).fold(f64::INFINITY, f64::min);
    assert!((number(&two["score"]) - best).abs() < 1e-9, "{two} {best}");
    let heavy = search(&workspace, &["--min-weight", "0.3"]);
    assert!(chosen(&heavy).iter().all(|weight| *weight >= 0.3 - 1e-12), "{heavy}");
    assert!((chosen(&heavy).iter().sum::<f64>() - 1.0).abs() < 1e-12);
}

#[test]
fn a_budget_needs_measured_times_and_is_kept() {
    let workspace = toy::imported();
    let refused = run(&workspace, &["search", "--inference-budget", "10s"]).expect(2);
    assert!(refused.stderr.contains("how long the inference of `ada` takes"), "{}", refused.stderr);
    assert!(refused.stderr.contains("`seconds: 12.5`"), "{}", refused.stderr);
    assert!(!refused.stderr.contains("blend predict"), "it has no graphs: {}", refused.stderr);
    for (model, seconds) in MODELS.iter().zip([8.0, 3.0, 2.0]) {
        let path = format!("models/toy/{model}/run.yaml");
        let record = String::from_utf8(workspace.read(&path)).expect("text");
        workspace.write(&path, format!("{record}seconds: {seconds:.1}\n"));
    }
    let within = search(&workspace, &["--inference-budget", "6s"]);
    assert_eq!(number(&within["weights"]["ada"]), 0.0, "{within}");
    let others = search(&workspace, &["--exclude", "ada", "--name", "others"]);
    assert!((number(&within["score"]) - number(&others["score"])).abs() < 1e-9);
    let wide = search(&workspace, &["--inference-budget", "1m"]);
    assert_eq!(wide["stop"], "certified");
    run(&workspace, &["search", "--inference-budget", "1s"]).expect(2);
}

#[test]
fn what_cannot_be_is_refused_with_a_hint() {
    let workspace = toy::imported();
    for (arguments, words) in [
        (&["--fix", "ada"][..], "no model with its weight"),
        (&["--fix", "adda=0.2"], "did you mean `ada`"),
        (&["--fix", "ada=1.5"], "no weight of `ada` is allowed"),
        (&["--bounds", "0.5:0.2"], "no range of weights"),
        (&["--bounds", ":0.2"], "never to 1"),
        (&["--bounds", "0:1", "--bounds", "0:2"], "given twice"),
        (&["--min-weight", "2"], "no lowest weight"),
        (&["--min-weight", "0.4", "--fix", "ada=0.1"], "no set of members"),
        (&["--min-weight", "0.2", "--domain", "free"], "weights below 0"),
        (&["--solver", "greedy", "--fix", "ada=0.1"], "no bounds"),
        (&["--exclude", "ada,bob,cyd"], "no model is left"),
        (&["--lambda", "-1"], "no strength"),
        (&["--granularity", "per-row"], "no granularity"),
        (&["--granularity", "per-target", "--max-members", "1"], "go together"),
    ] {
        let refused = run(&workspace, &[&["search"], arguments].concat()).expect(2);
        assert!(
            refused.stderr.contains(words) && refused.stderr.contains("hint:"),
            "{arguments:?}: {}",
            refused.stderr
        );
    }
}

#[test]
fn an_intercept_is_searched_stored_and_submitted() {
    let workspace = toy::imported();
    let free = search(&workspace, &["--domain", "free", "--space", "logit", "--name", "free"]);
    let said = search(&workspace, &["--domain", "free", "--space", "logit", "--intercept"]);
    assert!(number(&said["score"]) <= number(&free["score"]) + 1e-12, "{said}");
    let intercept = number(&said["intercept"]);
    assert!(intercept != 0.0 && number(&said["nested_score"]).is_finite());
    assert_eq!(said["equal_weights"], free["equal_weights"]);
    submits(&workspace);
    let column = |text: &str| -> Vec<f64> {
        text.lines().skip(1).map(|line| line.split(',').nth(1).expect("a value").parse().expect("a number")).collect()
    };
    let read = |path: String| String::from_utf8(workspace.read(path)).expect("text");
    let members = MODELS.map(|model| column(&read(format!("in/{model}_test.csv"))));
    for (row, got) in column(&read("submissions/toy/best_cv.csv".to_owned())).into_iter().enumerate() {
        let terms = MODELS.iter().zip(&members).map(|(model, values)| {
            // Stored as f32, as the import has it.
            let p = f64::from(values[row] as f32);
            number(&said["weights"][model]) * (p / (1.0 - p)).ln()
        });
        let wanted = 1.0 / (1.0 + (-(terms.sum::<f64>() + intercept)).exp());
        assert!((got - wanted).abs() < 1e-9, "{got} {wanted}");
    }
    run(&workspace, &["search", "--intercept"]).expect(2);
}

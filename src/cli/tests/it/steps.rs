//! Metrics that move in steps: labels cut from numbers, classes in order, times and events. What a search fits beside
//! the weights stands in the recipe and reaches the submission.

use crate::{
    support::{Workspace, near, table},
    toy,
};
use blend_store::IdSpec;
use serde_json::Value;
use std::{fmt::Write as _, path::Path};

const ROWS: usize = 240;
const TEST_ROWS: usize = 40;

/// Noise in (-0.5, 0.5) that differs between models.
fn noise(model: usize, row: usize) -> f64 {
    ((row * (37 + 16 * model) + model * 53) % 101) as f64 / 101.0 - 0.5
}

/// What a row is worth, in (0, 6).
fn worth(row: usize) -> f64 {
    6.0 * ((row * 29) % 97) as f64 / 97.0
}

/// A grade from 1 to 5 with unequal steps between grades.
fn grade(row: usize) -> usize {
    1 + [0.8, 1.5, 3.0, 4.9].iter().filter(|cut| **cut <= worth(row)).count()
}

fn lines(head: &str, prefix: char, rows: std::ops::Range<usize>, value: impl Fn(usize) -> String) -> String {
    let mut text = format!("{head}\n");
    for row in rows {
        writeln!(text, "{prefix}{row},{}", value(row)).expect("a string");
    }
    text
}

/// A competition `toy` with three models that know `worth` up to noise. `truth` gives the target columns of a row.
fn workspace(metric: &str, head: &str, truth: impl Fn(usize) -> String, more: &str) -> Workspace {
    let workspace = Workspace::new();
    let yaml = format!(
        "competition: toy\nmetric: {metric}\ntruth: data/train.csv\nid: id\ntargets: [{head}]\n\
         folds: {{file: data/folds.csv, column: fold}}\nsample_submission: data/sample.csv\n{more}"
    );
    workspace.write("models/toy/competition.yaml", yaml);
    let columns = head.replace(", ", ",");
    workspace.write("models/toy/data/train.csv", lines(&format!("id,{columns}"), 'r', 0..ROWS, truth));
    workspace.write("models/toy/data/folds.csv", lines("id,fold", 'r', 0..ROWS, |row| (row % 4).to_string()));
    let stratum = |row: usize| ["a", "b", "c"][row / 7 % 3].to_owned();
    workspace.write("models/toy/data/strata.csv", lines("id,race", 'r', 0..ROWS, stratum));
    workspace.write("models/toy/data/sample.csv", lines("id,y", 't', 0..TEST_ROWS, |_| "1".to_owned()));
    for (i, model) in toy::MODELS.iter().enumerate() {
        // The first two err apart, the third hardly knows.
        let prediction = |row: usize| worth(row) * [0.9, 1.1, 0.2][i] + 3.0 * noise(i, row);
        let file = |prefix: char, from: usize, rows: usize| {
            lines("id,y", prefix, 0..rows, |row| prediction(from + row).to_string())
        };
        let oof = workspace.write(format!("in/{model}_oof.csv"), file('r', 0, ROWS)).display().to_string();
        let test = workspace.write(format!("in/{model}_test.csv"), file('t', 1000, TEST_ROWS)).display().to_string();
        let output = ["--output", "value", "--dtype", "f64"];
        toy::run(&workspace, &[&["import", model, "--oof", &oof, "--test", &test], &output[..]].concat()).expect(0);
    }
    workspace
}

fn search(workspace: &Workspace, more: &[&str]) -> Value {
    toy::run(workspace, &[&["--json", "search", "--target", "cv"], more].concat()).expect(0).json()
}

fn number(value: &Value, key: &str) -> f64 {
    value[key].as_f64().unwrap_or_else(|| panic!("no `{key}` in {value}"))
}

#[test]
fn grades_are_cut_where_the_recipe_says() {
    let workspace = workspace("qwk", "y", |row| grade(row).to_string(), "");
    let found = search(&workspace, &[]);
    assert_eq!(found["solver"], "local");
    let score = number(&found, "score");
    assert!(score > 0.9 && score <= 1.0, "{found}");
    assert!(score >= number(&found, "equal_weights") && score >= found["single_best"]["score"].as_f64().unwrap());
    let nested = number(&found, "nested_score");
    assert!(nested < score && nested > 0.8, "{nested}");
    let scale = &found["post"][0]["thresholds"][0];
    assert_eq!(scale["labels"], serde_json::json!([1.0, 2.0, 3.0, 4.0, 5.0]));
    let cuts: Vec<f64> = scale["cuts"].as_array().unwrap().iter().map(|cut| cut.as_f64().unwrap()).collect();
    // Every outer part has cuts of its own.
    let parts: Vec<&Value> = found["nested_parts"].as_array().unwrap().iter().map(|part| &part["post"]).collect();
    assert!(parts.len() == 4 && parts.iter().any(|part| **part != found["post"]), "{parts:?}");
    let recipe = String::from_utf8(workspace.read("blends/toy/best_cv.yaml")).unwrap();
    assert!(recipe.contains("thresholds: {cuts: ["), "{recipe}");

    // The submission holds the grades of the weighted sum.
    toy::run(&workspace, &["submit", "best_cv"]).expect(0);
    let made = table(&workspace.path("submissions/toy/best_cv.csv"), IdSpec::FirstColumn);
    let weights: Vec<f64> = toy::MODELS.iter().map(|model| number(&found["weights"], model)).collect();
    let inputs: Vec<Vec<f64>> = toy::MODELS
        .iter()
        .map(|model| table(&workspace.path(format!("in/{model}_test.csv")), IdSpec::FirstColumn).numbers("y").unwrap())
        .collect();
    let grades = made.numbers("y").unwrap();
    for (row, got) in grades.iter().enumerate() {
        let blend: f64 = weights.iter().zip(&inputs).map(|(weight, input)| weight * input[row]).sum();
        assert_eq!(*got, 1.0 + cuts.iter().filter(|cut| **cut <= blend).count() as f64);
    }
    assert!(grades.iter().any(|grade| *grade > 3.0) && grades.iter().any(|grade| *grade < 3.0));

    // The audit has no cuts: a number is the nearest grade.
    let audit = toy::run(&workspace, &["--json", "audit"]);
    let plain = audit.json()["models"][0]["score"].as_f64().unwrap();
    assert!(plain < number(&found["members"], "ada"), "{plain}");
}

#[test]
fn the_same_seed_gives_the_same_bytes_on_any_number_of_threads() {
    let workspace = workspace("qwk", "y", |row| grade(row).to_string(), "");
    let recipe = |threads: &str| {
        search(&workspace, &["--threads", threads]);
        workspace.read("blends/toy/best_cv.yaml")
    };
    let one = recipe("1");
    assert_eq!(one, recipe("2"));
    assert_eq!(one, recipe("16"));
}

#[test]
fn thresholds_of_the_competition_leave_none_to_fit() {
    let workspace = workspace("qwk", "y", |row| grade(row).to_string(), "post: [{thresholds: [1, 2]}]\n");
    let refused = toy::run(&workspace, &["search"]).expect(2);
    assert!(refused.stderr.contains("leave `thresholds` out of `post:`"), "{}", refused.stderr);
}

#[test]
fn zeros_and_ones_are_cut_and_classes_are_not() {
    let binary = workspace("mcc", "y", |row| u8::from(worth(row) > 4.0).to_string(), "");
    let found = search(&binary, &[]);
    assert_eq!(found["post"][0]["thresholds"][0]["labels"], serde_json::json!([0.0, 1.0]));
    assert!(number(&found, "score") > 0.7, "{found}");
    toy::run(&binary, &["submit"]).expect(0);
    let made = table(&binary.path("submissions/toy/best_cv.csv"), IdSpec::FirstColumn).numbers("y").unwrap();
    assert!(made.iter().all(|y| *y == 0.0 || *y == 1.0) && made.contains(&1.0) && made.contains(&0.0));
}

#[test]
fn numbers_are_not_taken_for_classes() {
    let workspace = workspace("rmse", "y", |row| worth(row).to_string(), "");
    let yaml = String::from_utf8(workspace.read("models/toy/competition.yaml")).unwrap();
    workspace.write("models/toy/competition.yaml", yaml.replace("rmse", "map_at_k"));
    let again = ["import", "dan", "--oof", "in/ada_oof.csv"];
    for arguments in [&["search"][..], &["audit"], &again] {
        let words = ["`y` holds numbers (97 distinct values), not classes", "train.csv"];
        let said = toy::refused(&workspace, 3, arguments, &words);
        assert!(said.stderr.len() < 600, "{}", said.stderr);
    }
    // Whole numbers may be classes: what is missing then are the outputs, and few of their names are told.
    workspace.write("models/toy/competition.yaml", yaml.replace("rmse", "accuracy"));
    workspace.write("models/toy/data/train.csv", lines("id,y", 'r', 0..ROWS, |row| row.to_string()));
    let said = toy::refused(&workspace, 3, &["search"], &["and 228 more", "has 240 classes", "another `metric:`"]);
    assert!(said.stderr.len() < 600, "{}", said.stderr);
}

#[test]
fn strata_that_nobody_names_are_shown() {
    let truth = |row: usize| format!("{},1", worth(row));
    let workspace = workspace("stratified_c_index", "time, event", truth, "");
    for verb in ["search", "audit"] {
        let words = ["no strata are named", "competition.yaml", "strata: {file: data/train.csv, column: race}"];
        toy::refused(&workspace, 2, &[verb], &words);
    }
}

#[test]
fn risks_are_judged_by_times_events_and_strata() {
    let time = |row: usize| 6.5 - worth(row);
    let event = |row: usize| u8::from(!row.is_multiple_of(3));
    let truth = |row: usize| format!("{},{}", time(row), event(row));
    let metric = "{name: stratified_c_index, strata: {file: data/strata.csv, column: race}}";
    let workspace = workspace(metric, "time, event", truth, "");
    let audit = toy::run(&workspace, &["--json", "audit"]).json();
    // By its definition, pair by pair, of the values that were stored.
    let stored = table(&workspace.path("in/ada_oof.csv"), IdSpec::FirstColumn).numbers("y").unwrap();
    let index = |stratum: usize| {
        let rows: Vec<usize> = (0..ROWS).filter(|row| row / 7 % 3 == stratum).collect();
        let (mut good, mut all) = (0.0, 0.0);
        for &i in rows.iter().filter(|i| event(**i) == 1) {
            for &j in &rows {
                if time(j) > time(i) || time(j) == time(i) && event(j) == 0 {
                    all += 1.0;
                    good += if stored[i] > stored[j] { 1.0 } else { f64::from(u8::from(stored[i] == stored[j])) / 2.0 };
                }
            }
        }
        good / all
    };
    let parts = [0, 1, 2].map(index);
    let mean = parts.iter().sum::<f64>() / 3.0;
    let wanted = mean - (parts.iter().map(|c| (c - mean) * (c - mean)).sum::<f64>() / 3.0).sqrt();
    near(audit["models"][0]["score"].as_f64().unwrap(), wanted, 1e-12, "stratified index");
    let found = search(&workspace, &["--no-nested"]);
    assert!(number(&found, "score") >= found["single_best"]["score"].as_f64().unwrap());
    assert_eq!(found["post"], serde_json::json!([]));
}

/// The competition with a metric of its own: a graph of the engine's tests.
fn with_graph(graph: &str, options: &str) -> Workspace {
    let metric = format!("{{graph: metric.onnx{options}}}");
    let workspace = workspace("rmse", "y", |row| worth(row).to_string(), "");
    let yaml = String::from_utf8(workspace.read("models/toy/competition.yaml")).unwrap();
    workspace.write("models/toy/competition.yaml", yaml.replace("metric: rmse", &format!("metric: {metric}")));
    let graphs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../infer/tests/graphs");
    workspace.copy(graphs.join(format!("{graph}.onnx")), "models/toy/metric.onnx");
    workspace
}

#[test]
fn a_graph_is_a_metric() {
    let workspace = with_graph("metric_rows", "");
    let found = search(&workspace, &[]);
    assert!(found["metric"].as_str().unwrap().starts_with("graph(metric.onnx, "), "{found}");
    // The same as squared errors, to the precision that the graph computes in.
    let plain = self::workspace("mse", "y", |row| worth(row).to_string(), "");
    let wanted = search(&plain, &[]);
    near(number(&found, "score"), number(&wanted, "score"), 1e-5, "score");
    near(number(&found, "nested_score"), number(&wanted, "nested_score"), 1e-4, "nested score");
    assert!(found["gain_interval"]["over_single_best"]["low"].as_f64().is_some());

    let largest = with_graph("metric_score", ", better: lower");
    let found = search(&largest, &[]);
    assert!(number(&found, "score") < found["single_best"]["score"].as_f64().unwrap());
    let error = |row: usize, blend: f64| (blend - worth(row)).abs();
    let inputs: Vec<Vec<f64>> = toy::MODELS
        .iter()
        .map(|model| table(&largest.path(format!("in/{model}_oof.csv")), IdSpec::FirstColumn).numbers("y").unwrap())
        .collect();
    let weights: Vec<f64> = toy::MODELS.iter().map(|model| number(&found["weights"], model)).collect();
    let blend = |row: usize| weights.iter().zip(&inputs).map(|(w, x)| w * x[row]).sum::<f64>();
    let wanted = (0..ROWS).map(|row| error(row, blend(row))).fold(0.0, f64::max);
    near(number(&found, "score"), wanted, 1e-5, "largest error");
}

#[test]
fn a_graph_that_is_no_metric_is_refused() {
    let refused = toy::run(&with_graph("times_ten", ""), &["search"]).expect(3);
    assert!(refused.stderr.contains("takes `truth` and `prediction`; this one takes `m`"), "{}", refused.stderr);
    // ONNX Runtime draws other numbers each time; the embedded engine has no operator that draws any.
    let refused = toy::run(&with_graph("metric_random", ""), &["search"]).expect(3);
    let why = ["another value when it is asked again", "RandomNormalLike"];
    assert!(why.iter().any(|why| refused.stderr.contains(why)), "{}", refused.stderr);
    // The logarithm of a member's negative prediction: the labels themselves would have passed.
    let refused = toy::run(&with_graph("metric_log", ""), &["search"]).expect(3);
    assert!(refused.stderr.contains("the graph gives"), "{}", refused.stderr);
    // NaN for the rows themselves, before any member is looked at: the graph is what to look at.
    let negative = with_graph("metric_log", "");
    negative.write("models/toy/data/train.csv", lines("id,y", 'r', 0..ROWS, |row| (worth(row) - 3.0).to_string()));
    for verb in ["search", "audit"] {
        let words = ["for the rows of the truth: the graph gives NaN", "models/toy/metric.onnx", "clip"];
        let said = toy::refused(&negative, 3, &[verb], &words).stderr;
        assert!(!said.contains("train.csv") && !said.contains("list metrics"), "{said}");
    }
    let absent = with_graph("metric_rows", "");
    std::fs::remove_file(absent.path("models/toy/metric.onnx")).unwrap();
    toy::run(&absent, &["search"]).expect(4);
}

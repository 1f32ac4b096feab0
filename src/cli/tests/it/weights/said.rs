//! What a search says of its weights: spread, members left out, calibration, the trace, and time that ran out.

use super::{number, search, submits};
use crate::toy::{self, MODELS, run};
use serde_json::Value;

#[test]
fn weights_come_with_their_spread_and_members_with_their_worth() {
    let workspace = toy::imported();
    let said = search(&workspace, &[]);
    for model in MODELS {
        let spread = &said["weights_spread"][model];
        let weight = number(&said["weights"][model]);
        assert!(number(&spread["low"]) <= weight + 1e-12 && weight <= number(&spread["high"]) + 1e-12, "{said}");
        if weight == 0.0 {
            assert!(said["leave_one_out"][model].is_null());
            continue;
        }
        let without = search(&workspace, &["--exclude", model, "--name", "without", "--no-nested"]);
        let score = number(&said["leave_one_out"][model]["score"]);
        assert!((score - number(&without["score"])).abs() < 1e-8, "{model}: {score} {without}");
        assert!(score >= number(&said["score"]));
    }
    let people = run(&workspace, &["search"]).expect(0);
    for word in ["95 %", "without", "█", "equal weights", "the honest one"] {
        assert!(people.stdout.contains(word), "no `{word}` in\n{}", people.stdout);
    }
    // Models that are one another's noise are not called better than their mean.
    let few = search(&workspace, &["--members", "ada,bob"]);
    let noise = few["gain_interval"]["over_equal_weights"]["noise"].as_bool().expect("noise or not");
    let people = run(&workspace, &["search", "--members", "ada,bob"]).expect(0);
    assert_eq!(people.stdout.contains("not better than equal weights beyond noise"), noise, "{}", people.stdout);
}

/// Every search knows how far its weights are known: by a step of every replicate, or by the folds.
#[test]
fn every_search_says_by_what_its_weights_are_known() {
    let workspace = toy::imported();
    let greedy: &[&str] = &["--solver", "greedy"];
    let wide: &[&str] = &["--domain", "affine", "--bounds", "-0.5:1.5"];
    for (arguments, by, note) in
        [(&[] as &[&str], "bootstrap", false), (greedy, "jackknife", true), (wide, "jackknife", true)]
    {
        let said = search(&workspace, arguments);
        assert_eq!(said["weights_spread_by"], by, "{said}");
        for model in MODELS {
            let (spread, weight) = (&said["weights_spread"][model], number(&said["weights"][model]));
            assert!(number(&spread["low"]) <= weight + 1e-12 && weight <= number(&spread["high"]) + 1e-12, "{said}");
        }
        let seconds = |of: &str| number(&said["seconds"][of]);
        assert!(0.0 < seconds("solve") && seconds("solve") <= seconds("search"), "{said}");
        let people = run(&workspace, &[&["search"][..], arguments].concat()).expect(0);
        assert_eq!(people.stdout.contains("from the weights without each fold"), note, "{}", people.stdout);
    }
    let without = search(&workspace, &["--no-nested"]);
    assert!(without["weights_spread"].is_null() && without["weights_spread_by"].is_null(), "{without}");
}

/// A search without derivatives does not search again without each member, and says so.
#[test]
fn members_that_were_not_left_out_in_earnest_are_marked() {
    let workspace = toy::imported();
    let said = search(&workspace, &["--solver", "local"]);
    let left_out = said["leave_one_out"].as_object().expect("members");
    assert!(!left_out.is_empty() && left_out.values().all(|it| it["refitted"] == false), "{said}");
    let people = run(&workspace, &["search", "--solver", "local"]).expect(0).stdout;
    assert!(people.lines().any(|line| line.trim_start().starts_with("ada") && line.contains(" ~0.")), "{people}");
    assert!(people.contains("~ the other weights were not searched again"), "{people}");
    let searched = run(&workspace, &["search"]).expect(0).stdout;
    assert!(!searched.contains('~'), "{searched}");
}

#[test]
fn a_calibration_is_stored_and_submitted() {
    let workspace = toy::imported();
    let plain = search(&workspace, &["--name", "plain"]);
    let said = search(&workspace, &["--calibrate", "affine"]);
    assert!(number(&said["score"]) < number(&plain["score"]));
    let step = &said["post"][0]["calibrate"];
    assert_eq!(step["link"], "logit");
    assert_eq!(said["weights"], plain["weights"]);
    assert_ne!(said["nested_score"], plain["nested_score"]);
    submits(&workspace);
    run(&workspace, &["submit", "plain"]).expect(0);
    let column = |name: &str| -> Vec<f64> {
        let text = String::from_utf8(workspace.read(format!("submissions/toy/{name}.csv"))).expect("text");
        text.lines().skip(1).map(|line| line.split(',').nth(1).expect("a value").parse().expect("a number")).collect()
    };
    let (slope, shift) = (number(&step["slope"]), number(&step["shift"][0]));
    for (before, after) in column("plain").into_iter().zip(column("best_cv")) {
        let line = slope * (before / (1.0 - before)).ln() + shift;
        assert!((after - 1.0 / (1.0 + (-line).exp())).abs() < 1e-9, "{before} {after}");
    }
    let recipe = String::from_utf8(workspace.read("blends/toy/best_cv.yaml")).expect("text");
    assert!(recipe.contains("calibrate: {link: logit, slope: "), "{recipe}");
}

#[test]
fn every_iteration_is_in_the_trace() {
    let workspace = toy::imported();
    let said = search(&workspace, &["--trace", "trace.jsonl"]);
    let text = String::from_utf8(workspace.read("trace.jsonl")).expect("text");
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).expect("an object")).collect();
    let search_lines: Vec<&Value> = lines.iter().filter(|line| line["phase"] == "search").collect();
    assert!(search_lines.len() > 1 && lines.len() > search_lines.len(), "{text}");
    let last = search_lines[search_lines.len() - 1];
    assert!((number(&last["score"]) - number(&said["score"])).abs() < 1e-9);
    assert!(number(&last["gap"]) < 1e-9);
    let gaps: Vec<f64> = search_lines.iter().map(|line| number(&line["gap"])).collect();
    assert!(gaps[0] > gaps[gaps.len() - 1]);
    search(&workspace, &["--trace", "trace.csv"]);
    let text = String::from_utf8(workspace.read("trace.csv")).expect("text");
    assert!(text.starts_with("seconds,phase,solver,iteration,calls,score,gap\n"), "{text}");
    assert_eq!(text.lines().count(), lines.len() + 1);
    let refused = run(&workspace, &["search", "--trace", "nowhere/trace.csv"]).expect(4);
    assert!(refused.stderr.contains("--trace FILE"), "{}", refused.stderr);
}

#[test]
fn time_for_nested_scores_can_run_out() {
    let workspace = toy::imported();
    let said = search(&workspace, &["--solver", "local", "--honest-budget", "0s"]);
    assert_eq!(said["honest_cut"], true);
    assert!(said["nested_score"].is_number());
    let people = run(&workspace, &["search", "--solver", "local", "--honest-budget", "0s"]).expect(0);
    assert!(people.stdout.contains("cut short") && people.stdout.contains("ran out"), "{}", people.stdout);
    let enough = search(&workspace, &["--honest-budget", "1h"]);
    assert_eq!(enough["honest_cut"], false);
}

//! Every verb as it is typed: help, lists, JSON, formats, where the workspace is looked for, and how a run ends early.

mod early;
mod formats;
mod init;
mod memory;

use crate::{
    digits,
    support::Workspace,
    toy::{self, MODELS, finish, refused, run, tree, unchanged},
};
use serde_json::Value;
use std::{io::Read as _, process::Stdio};

const VERBS: [&str; 11] =
    ["init", "import", "predict", "list", "audit", "search", "submit", "report", "verify", "doctor", "runtime"];

#[test]
fn help_tells_what_is_built() {
    let workspace = Workspace::new();
    let help = run(&workspace, &["--help"]).expect(0);
    for verb in VERBS {
        assert!(help.stdout.contains(&format!("\n  {verb} ")), "no `{verb}` in\n{}", help.stdout);
        let own = run(&workspace, &[verb, "--help"]).expect(0);
        assert!(own.stdout.contains("Usage: blend ") && own.stderr.is_empty(), "{verb}: {}", own.stdout);
        assert!(own.stdout.contains("--allow-outside"), "{verb} takes what all verbs take");
    }
    // A verb has help exactly when it stands in the list.
    let listed = help.stdout.split("Commands:").nth(1).expect("commands");
    let listed = listed.split("Options:").next().expect("options");
    for word in ["lb", "select", "report", "export", "shard", "schema", "completions", "man"] {
        let is_listed = listed.lines().any(|line| line.split_whitespace().next() == Some(word));
        let has_help = run(&workspace, &[word, "--help"]).code == 0;
        assert_eq!(is_listed, has_help, "`{word}`");
    }
    let version = run(&workspace, &["--version"]).expect(0);
    assert_eq!(version.stdout.trim(), format!("blend {}", env!("CARGO_PKG_VERSION")));
}

#[test]
fn what_is_typed_wrongly_is_exit_code_2() {
    let workspace = toy::imported();
    for arguments in [
        &["frobnicate"][..],
        &["--frobnicate", "audit"],
        &["audit", "--frobnicate"],
        &["search", "--target", "sideways"],
        &["search", "--max-picks", "0"],
        &["search", "--time-limit", "soon"],
        &["list", "modls"],
        &["import"],
        &["import", "ada"],
        &["import", "ada", "--oof"],
        &["predict", "--batch-size", "0"],
        &["predict", "--split", "train"],
        &["--threads", "0", "audit"],
        &["--seed", "-1", "search"],
        &["-q", "-v", "audit"],
        &["--color", "mauve", "audit"],
        &[],
    ] {
        let before = tree(workspace.root());
        let output = run(&workspace, arguments).expect(2);
        assert_eq!(output.stdout, "", "{arguments:?}");
        assert!(!output.stderr.is_empty(), "{arguments:?}");
        unchanged(&workspace, &before);
    }
    let json = run(&workspace, &["--json", "audit", "--frobnicate"]).expect(2);
    let object = json.json();
    assert_eq!(object["schema_version"], 1);
    assert_eq!(object["error"]["exit_code"], 2);
    assert!(object["error"]["message"].as_str().is_some_and(|text| text.contains("--frobnicate")), "{object}");
}

#[track_caller]
fn has(object: &Value, keys: &[&str]) {
    for key in keys {
        assert!(object.get(key).is_some(), "no `{key}` in {object:#}");
    }
}

#[test]
fn every_verb_speaks_json() {
    let workspace = toy::imported();
    for arguments in [
        &["list"][..],
        &["list", "models"],
        &["list", "metrics"],
        &["list", "spaces"],
        &["list", "solvers"],
        &["list", "checks"],
        &["audit"],
        &["audit", "ada"],
        &["search"],
        &["list", "blends"],
        &["submit"],
        &["verify"],
        &["report"],
        &["import", "ada", "--oof", "in/ada_oof.csv"],
    ] {
        let object = run(&workspace, &[&["--json"], arguments].concat()).expect(0).json();
        assert_eq!(object["schema_version"], 1, "{arguments:?}");
        let people = run(&workspace, arguments).expect(0);
        assert!(!people.stdout.is_empty() && !people.stdout.starts_with('{'), "{arguments:?}");
    }
    let doctor = run(&workspace, &["doctor", "--json"]).json();
    has(&doctor, &["schema_version", "engine", "library", "embedded", "tried", "threads"]);
    let graphs = digits::workspace(&["logreg"]);
    let predict = digits::predict(&graphs, &["--engine", "rten"], &["--json"]).expect(0).json();
    has(&predict, &["schema_version", "competition", "models"]);
    has(&predict["models"][0], &["model", "skipped", "rows", "seconds", "rows_per_second", "engine", "device", "oof"]);
}

#[test]
fn lists_hold_what_there_is() {
    let workspace = toy::imported();
    let list = |what: &str| run(&workspace, &["list", what, "--json"]).expect(0).json()[what].clone();
    let names = |what: &str, key: &str| -> Vec<String> {
        let all = list(what);
        all.as_array().expect("a list").iter().map(|it| it[key].as_str().expect("a name").to_owned()).collect()
    };
    assert_eq!(names("models", "model"), MODELS);
    assert!(names("metrics", "metric").contains(&"log_loss".to_owned()));
    assert!(names("spaces", "space").contains(&"logit".to_owned()));
    assert!(names("solvers", "solver").contains(&"newton".to_owned()));
    assert!(names("checks", "check").contains(&"duplicate".to_owned()));
    assert_eq!(names("blends", "blend"), Vec::<String>::new());
    assert_eq!(run(&workspace, &["list", "blends"]).expect(0).stdout, "no blends yet\n");
    run(&workspace, &["search"]).expect(0);
    assert_eq!(names("blends", "blend"), ["best_cv"]);
    // What a catalogue lists can be asked for, and its text for people has every name.
    for (what, key) in [("metrics", "metric"), ("spaces", "space"), ("solvers", "solver"), ("checks", "check")] {
        let text = run(&workspace, &["list", what]).expect(0).stdout;
        for name in names(what, key) {
            assert!(text.contains(&name), "no `{name}` in\n{text}");
        }
    }
    for solver in names("solvers", "solver") {
        let search = run(&workspace, &["search", "--solver", &solver, "--name", &solver]);
        // Some solve one kind of problem only, and say so.
        assert!(search.code == 0 || search.expect(2).stderr.contains("does not fit"), "{solver}");
    }
    // Catalogues need no workspace.
    let elsewhere = tempfile::tempdir().expect("folder");
    let folder = elsewhere.path().display().to_string();
    run(&workspace, &["-C", &folder, "list", "metrics"]).expect(0);
}

#[test]
fn search_reports_what_the_contract_lists() {
    let workspace = toy::imported();
    let search = run(&workspace, &["search", "--target", "cv", "--json"]).expect(0).json();
    has(&search, &["blend", "target", "competition", "metric", "space", "domain", "granularity", "solver", "score"]);
    has(&search, &["nested_score", "equal_weights", "single_best", "gain_interval", "weights", "stop", "gap"]);
    has(&search, &["passes", "evaluations", "seconds", "peak_rss_bytes"]);
    has(&search["single_best"], &["model", "score"]);
    has(&search["seconds"], &["load", "search", "honest", "total"]);
    has(&search["weights"], &MODELS);
    assert_eq!((&search["blend"], &search["target"]), (&"best_cv".into(), &"cv".into()));
    let weights = search["weights"].as_object().expect("weights");
    let sum: f64 = weights.values().map(|weight| weight.as_f64().expect("a number")).sum();
    assert!((sum - 1.0).abs() < 1e-9, "{sum}");
    assert!(search["score"].as_f64() <= search["single_best"]["score"].as_f64());
    assert!(search["score"].as_f64() <= search["equal_weights"].as_f64());
}

#[test]
fn audit_reports_what_the_contract_lists() {
    let workspace = toy::imported();
    let audit = run(&workspace, &["audit", "--json"]).expect(0).json();
    has(&audit, &["models", "correlations", "findings"]);
    for model in audit["models"].as_array().expect("models") {
        has(model, &["model", "score", "folds", "targets", "claimed", "findings"]);
        assert_eq!(model["folds"].as_array().expect("folds").len(), 3);
    }
    has(&audit["correlations"], &["models", "pearson", "spearman"]);
    assert_eq!(audit["correlations"]["pearson"][1][1], 1.0);
}

#[test]
fn the_workspace_is_found_upwards_or_named() {
    let workspace = toy::imported();
    std::fs::create_dir_all(workspace.path("models/toy/deep/down")).expect("folder");
    let all = run(&workspace, &["list", "--json"]).expect(0).stdout;
    let deep = workspace.path("models/toy/deep/down");
    let below = finish(toy::command(&workspace, &["list", "--json"]).current_dir(&deep)).expect(0);
    assert_eq!(below.stdout, all);
    let elsewhere = tempfile::tempdir().expect("folder");
    let root = workspace.root().display().to_string();
    let named =
        |arguments: &[&str]| finish(toy::command(&workspace, arguments).current_dir(elsewhere.path())).expect(0).stdout;
    assert_eq!(named(&["-C", &root, "list", "--json"]), all);
    assert_eq!(named(&["list", "--json", "-C", &deep.display().to_string()]), all);
    finish(toy::command(&workspace, &["list"]).current_dir(elsewhere.path())).expect(2);
}

#[test]
fn a_competition_is_picked_by_flag_variable_or_default() {
    let workspace = toy::imported();
    workspace.write("models/joy/competition.yaml", "competition: joy\nmetric: rmse\nid: id\n");
    let picked = |environment: &[(&str, &str)], arguments: &[&str]| {
        let all = [&["import", "eve", "--test", "in/ada_test.csv", "--json"], arguments].concat();
        let output = finish(toy::command(&workspace, &all).envs(environment.iter().copied())).expect(0);
        output.json()["competition"].as_str().expect("a name").to_owned()
    };
    assert_eq!(picked(&[], &["-c", "joy"]), "joy");
    assert_eq!(picked(&[], &["--competition", "toy"]), "toy");
    assert_eq!(picked(&[("BLEND_COMPETITION", "joy")], &[]), "joy");
    assert_eq!(picked(&[("BLEND_COMPETITION", "joy")], &["-c", "toy"]), "toy", "the flag wins");
    refused(&workspace, 2, &["audit"], &["-c NAME"]);
    workspace.write("models/joy/competition.yaml", "competition: joy\ndefault: true\nmetric: rmse\nid: id\n");
    assert_eq!(picked(&[], &[]), "joy");
    // A faulty competition beside the default one stops nobody.
    workspace.write("models/toy/competition.yaml", "competition: [\n");
    assert_eq!(picked(&[], &[]), "joy");
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let workspace = toy::imported();
    for arguments in [&["--help"][..], &["list", "metrics"], &["audit", "--json"], &["--version"]] {
        let mut child = toy::command(&workspace, arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program starts");
        // Closed before anything is written: the program meets a broken pipe.
        drop(child.stdout.take());
        let mut said = String::new();
        child.stderr.take().expect("stderr").read_to_string(&mut said).expect("text");
        let status = child.wait().expect("an end");
        assert_eq!((status.code(), said.as_str()), (Some(0), ""), "{arguments:?}");
    }
}

#[test]
fn color_is_for_terminals_and_for_who_asks() {
    let workspace = toy::imported();
    let escapes = |environment: &[(&str, &str)], arguments: &[&str]| {
        let output = finish(toy::command(&workspace, arguments).envs(environment.iter().copied())).expect(0);
        output.stdout.contains('\x1b') || output.stderr.contains('\x1b')
    };
    assert!(!escapes(&[], &["audit"]), "not into a pipe");
    assert!(!escapes(&[("NO_COLOR", "1")], &["audit"]));
    assert!(escapes(&[("NO_COLOR", "1")], &["audit", "--color", "always"]), "the flag wins");
    assert!(!escapes(&[], &["audit", "--color", "never"]));
    assert!(!escapes(&[], &["audit", "--json"]));
}

#[test]
fn quiet_is_quiet() {
    let workspace = digits::workspace(&["logreg"]);
    let predict = digits::predict(&workspace, &[], &["-q"]);
    assert_eq!((predict.code, predict.stderr.as_str()), (0, ""));
    let search = run(&workspace, &["search", "-q", "--json"]).expect(0);
    assert_eq!(search.stderr, "");
}

//! `blend init`: a competition.yaml that works, and no other.

use crate::{
    support::Workspace,
    toy::{self, finish, refused, run},
};

/// Files of a competition, and nothing else.
fn files() -> Workspace {
    let workspace = Workspace::new();
    let toy = toy::competition();
    for file in ["train.csv", "folds.csv", "sample.csv"] {
        workspace.copy(toy.path(format!("models/toy/data/{file}")), format!("models/new/data/{file}"));
    }
    workspace.write("in/oof.csv", toy::oof(0));
    workspace.write("in/more.csv", toy::oof(1));
    workspace
}

const TRUTH: [&str; 2] = ["--truth", "models/new/data/train.csv"];

fn init(more: &[&'static str]) -> Vec<&'static str> {
    [&["init", "new", "--metric", "log_loss"], &TRUTH[..], more].concat()
}

#[test]
fn what_it_writes_works() {
    let workspace = files();
    let folds = ["--folds", "models/new/data/folds.csv:fold", "--space", "logit", "--targets", "y"];
    let sample = ["--sample-submission", "models/new/data/sample.csv", "--json"];
    let object = run(&workspace, &[init(&folds), sample.to_vec()].concat()).expect(0).json();
    assert_eq!((&object["rows"], &object["folds"], &object["test_rows"]), (&60.into(), &3.into(), &20.into()));
    let text = String::from_utf8(workspace.read("models/new/competition.yaml")).expect("text");
    for line in ["competition: new", "truth: data/train.csv", "space: logit", "file: data/folds.csv"] {
        assert!(text.contains(line), "no `{line}` in\n{text}");
    }
    run(&workspace, &["import", "ada", "--oof", "in/oof.csv"]).expect(0);
    run(&workspace, &["import", "bob", "--oof", "in/more.csv"]).expect(0);
    run(&workspace, &["audit"]).expect(0);
    let search = run(&workspace, &["search", "--json"]).expect(0).json();
    assert_eq!(search["space"], "logit");
}

#[test]
fn it_makes_a_workspace_where_there_is_none() {
    let folder = tempfile::tempdir().expect("folder");
    std::fs::write(folder.path().join("train.csv"), "id,y\n1,0\n2,1\n").expect("write");
    let workspace = Workspace::new();
    let arguments = ["init", "first", "--metric", "log_loss", "--truth", "train.csv"];
    finish(toy::command(&workspace, &arguments).current_dir(folder.path())).expect(0);
    for name in ["models/first/competition.yaml", "blends", "submissions"] {
        assert!(folder.path().join(name).exists(), "{name}");
    }
    finish(toy::command(&workspace, &["list"]).current_dir(folder.path())).expect(0);
}

#[test]
fn it_overwrites_only_on_request() {
    let workspace = files();
    run(&workspace, &init(&[])).expect(0);
    refused(&workspace, 2, &init(&["--targets", "y"]), &["models/new/competition.yaml", "--force"]);
    run(&workspace, &init(&["--targets", "y", "--force"])).expect(0);
}

#[test]
fn what_cannot_work_is_not_written() {
    let workspace = files();
    let metric = |name| [&["init", "new", "--metric", name], &TRUTH[..]].concat();
    refused(&workspace, 2, &metric("logloss"), &["`logloss`", "did you mean `log_loss`?", "--metric"]);
    refused(&workspace, 2, &metric("auk"), &["`auk`", "did you mean `auc`?"]);
    // A direction has three components or two angles; this truth has one column.
    refused(&workspace, 2, &metric("angular_error"), &["three target columns"]);
    refused(&workspace, 2, &init(&["--targets", "z"]), &["`z`", "train.csv"]);
    refused(&workspace, 2, &init(&["--id", "row"]), &["`row`", "train.csv"]);
    refused(&workspace, 2, &init(&["--space", "lgoit"]), &["`lgoit`", "did you mean `logit`?"]);
    refused(&workspace, 4, &init(&["--folds", "nothing.csv"]), &["nothing.csv"]);
    refused(&workspace, 2, &init(&["--folds", "models/new/data/folds.csv:flod"]), &["`flod`", "folds.csv"]);
    refused(&workspace, 4, &init(&["--sample-submission", "nothing.csv"]), &["nothing.csv"]);
    refused(&workspace, 4, &["init", "new", "--metric", "rmse", "--truth", "nothing.csv"], &["nothing.csv"]);
    for name in ["", "../new", "a/b", "-new"] {
        refused(&workspace, 2, &["init", "--metric", "rmse", TRUTH[0], TRUTH[1], "--", name], &["name"]);
    }
}

//! YAML with mistakes: named with file, line, column, a caret, and the nearest key that exists.

use crate::{
    support::Workspace,
    toy::{self, COMPETITION, refused, refused_in, run},
};

const YAML: &str = "models/toy/competition.yaml";

/// The competition.yaml with one line replaced, refused under every verb that reads it.
#[track_caller]
fn bad_line(code: i32, from: &str, to: &str, words: &[&str]) {
    let workspace = toy::imported();
    let text = COMPETITION.replace(from, to);
    assert_ne!(text, COMPETITION, "`{from}` is in competition.yaml");
    workspace.write(YAML, text);
    refused(&workspace, code, &["search"], words);
    refused(&workspace, code, &["audit"], words);
    refused(&workspace, code, &["import", "ada", "--oof", "in/ada_oof.csv"], words);
}

#[test]
fn typos_in_competition_yaml() {
    bad_line(2, "metric:", "metrc:", &["competition.yaml:2:1", "2 | metrc: log_loss", "^", "did you mean `metric`?"]);
    bad_line(2, "folds: {file", "folds: {fil", &["competition.yaml:6:9", "`fil`", "did you mean `file`?", "^"]);
    bad_line(2, "log_loss", "logloss", &["competition.yaml:2", "`logloss`", "`log_loss`"]);
    bad_line(2, "log_loss", "log_loss\nspace: lgoit", &["competition.yaml:3:8", "`lgoit`", "`logit`", "^"]);
    bad_line(2, "metric: log_loss", "metric: {name: log_loss, clop: 1}", &["competition.yaml:2:26", "`clip`", "^"]);
    bad_line(2, "id: id\n", "", &["competition.yaml:1:1", "`id` is missing"]);
    bad_line(2, "id: id", "id: id\nid: id", &["competition.yaml:5:1", "`id` stands twice"]);
    bad_line(2, "targets: [y]", "targets: [y", &["competition.yaml:6"]);
    bad_line(2, "targets: [y]", "targets: {y: 1}", &["competition.yaml:5:10", "list of columns"]);
    bad_line(2, "targets: [y]", "\ttargets: [y]", &["competition.yaml:4:5", "a tab"]);
    bad_line(2, "competition: toy", "competition: doy", &["competition.yaml:1:14", "`competition: toy`"]);
}

#[test]
fn documents_that_are_no_documents() {
    let workspace = toy::imported();
    for (content, words) in [
        (&b""[..], "competition.yaml"),
        (b"competition: \xff\xfe\n", "not UTF-8"),
        (b"- a\n- b\n", "expected a map"),
        (b"\x00\x01\x02", "competition.yaml"),
        (b"competition: &a [*a, *a]\n", "competition.yaml"),
    ] {
        workspace.write(YAML, content);
        refused(&workspace, 2, &["audit"], &[words]);
    }
}

#[test]
fn typos_in_model_yaml() {
    let workspace = toy::imported();
    workspace.write("models/toy/ada/model.yaml", "model: ada\noutptu: probability\n");
    for verb in ["audit", "search", "predict", "list"] {
        let words = ["ada/model.yaml:2:1", "2 | outptu: probability", "did you mean `output`?", "^"];
        refused(&workspace, 2, &[verb], &words);
    }
    workspace.write("models/toy/ada/model.yaml", "model: ada\noutput: probabilty\n");
    refused(&workspace, 2, &["audit"], &["ada/model.yaml:2:9", "did you mean `probability`?", "^"]);
    workspace.write("models/toy/ada/model.yaml", "model: bob\noutput: probability\n");
    refused(&workspace, 2, &["audit"], &["ada/model.yaml:1:8", "`model: ada`"]);
}

#[test]
fn what_a_column_names_and_is_not_there() {
    bad_line(2, "column: fold", "column: flod", &["data/folds.csv", "`flod`", "it has", "fold"]);
    bad_line(2, "targets: [y]", "targets: [z]", &["data/train.csv", "`z`"]);
    bad_line(2, "id: id", "id: row", &["data/train.csv", "`row`"]);
    let scope = "targets: [y]\nscope: {exclude: {file: data/folds.csv, column: fold, equals: 9}}";
    bad_line(3, "targets: [y]", scope, &["data/folds.csv", "`fold`", "`9`", "0, 1, 2"]);
}

#[test]
fn files_that_yaml_names_and_that_are_absent() {
    bad_line(4, "data/train.csv", "data/trian.csv", &["data/trian.csv", "named by `truth` of competition.yaml"]);
    bad_line(4, "data/folds.csv", "data/flods.csv", &["data/flods.csv", "named by `folds` of competition.yaml"]);
    bad_line(4, "data/sample.csv", "data/smaple.csv", &["named by `sample_submission` of competition.yaml"]);
}

#[test]
fn folds_that_do_not_cover() {
    let workspace = toy::imported();
    let folds = String::from_utf8(workspace.read("models/toy/data/folds.csv")).expect("text");
    for (from, to, words) in [
        ("r59,2\n", "", &["1 ids missing", "`r59`"][..]),
        ("r58,1\n", "r59,1\n", &["`r59`"]),
        ("r59,2\n", "r59,2.5\n", &["2.5", "`r59`"]),
        ("r59,2\n", "r59,\n", &["`r59`"]),
        ("r59,2\n", "r59,two\n", &["`r59`", "`two`"]),
        ("r59,2\n", "r59,-7\n", &["-7"]),
    ] {
        workspace.write("models/toy/data/folds.csv", folds.replace(from, to));
        let words = [&["data/folds.csv"], words].concat();
        refused(&workspace, 3, &["search"], &words);
    }
    // Every row trains only: nothing is left to judge.
    workspace.write("models/toy/data/folds.csv", toy::csv('r', 0..60, |_| "-1".into()).replace("id,y", "id,fold"));
    refused(&workspace, 3, &["search"], &["fold"]);
}

#[test]
fn truths_that_cannot_be_judged() {
    let workspace = toy::imported();
    let truth = String::from_utf8(workspace.read("models/toy/data/train.csv")).expect("text");
    for (to, code, words) in [
        ("r07,2\n", 3, &["data/train.csv"][..]),
        ("r07,nan\n", 3, &["data/train.csv"]),
        ("r07,yes\n", 3, &["data/train.csv", "`r07`", "`yes`"]),
        ("r08,1\n", 3, &["data/train.csv", "`r08`"]),
        ("", 3, &["`r07`"]),
    ] {
        let from = format!("r07,{}\n", toy::label(7));
        workspace.write("models/toy/data/train.csv", truth.replace(&from, to));
        refused(&workspace, code, &["search"], words);
    }
    workspace.write("models/toy/data/train.csv", "id,y\n");
    refused(&workspace, 3, &["search"], &["no rows", "train.csv"]);
    workspace.write("models/toy/data/train.csv", "");
    refused(&workspace, 3, &["search"], &["is empty", "train.csv"]);
}

#[test]
fn competitions_and_workspaces_that_are_not_there() {
    let workspace = toy::imported();
    refused(&workspace, 2, &["-c", "tyo", "audit"], &["`tyo`", "did you mean `toy`?", "  at   models"]);
    refused_in(&workspace, &[("BLEND_COMPETITION", "tyo")], 2, &["audit"], &["`tyo`", "did you mean `toy`?"]);
    refused(&workspace, 2, &["-c", "../toy", "audit"], &["../toy"]);
    refused(&workspace, 2, &["audit", "aad"], &["`aad`", "did you mean `ada`?"]);
    refused(&workspace, 2, &["predict", "aad"], &["`aad`", "did you mean `ada`?"]);
    refused(&workspace, 2, &["search", "--members", "ada,bbo"], &["`bbo`", "did you mean `bob`?"]);
    refused(&workspace, 2, &["submit", "best_vc"], &["`best_vc`"]);
    refused(&workspace, 2, &["submit"], &["blend search"]);
    refused(&workspace, 2, &["verify"], &["blend submit"]);
    refused(&workspace, 2, &["verify", "nix"], &["`nix`"]);
    refused(&workspace, 2, &["-C", "nowhere", "-c", "nix", "audit"], &["`nix`", "there are: toy"]);

    let outside = tempfile::tempdir().expect("folder");
    let folder = outside.path().display().to_string();
    refused(&workspace, 2, &["-C", &folder, "audit"], &["no workspace", "blend init", &folder]);
    std::fs::create_dir(outside.path().join("models")).expect("folder");
    refused(&workspace, 2, &["-C", &folder, "audit"], &["no competition yet", "blend init"]);
}

#[test]
fn several_competitions_and_none_chosen() {
    let workspace = toy::imported();
    workspace.write("models/joy/competition.yaml", "competition: joy\nmetric: rmse\nid: id\n");
    refused(&workspace, 2, &["audit"], &["2 competitions", "joy, toy", "-c NAME"]);
    run(&workspace, &["-c", "toy", "audit"]).expect(0);
    workspace.write("models/joy/competition.yaml", "competition: joy\ndefault: true\nmetric: rmse\nid: id\n");
    workspace.write(YAML, format!("default: true\n{COMPETITION}"));
    refused(&workspace, 2, &["audit"], &["`default: true` stands in 2"]);
}

#[test]
fn paths_that_leave_the_workspace() {
    let outside = tempfile::tempdir().expect("folder");
    let truth = outside.path().join("train.csv");
    let workspace = toy::imported();
    std::fs::copy(workspace.path("models/toy/data/train.csv"), &truth).expect("copy");
    let truth = truth.display().to_string();
    let absolute = COMPETITION.replace("data/train.csv", &truth);
    workspace.write(YAML, &absolute);
    let words = ["competition.yaml:3:8", "leaves the workspace", "--allow-outside", "^"];
    refused(&workspace, 2, &["audit"], &words);
    run(&workspace, &["audit", "--allow-outside"]).expect(0);
    workspace.write(YAML, COMPETITION.replace("data/train.csv", "../../../../../../../../etc/hostname"));
    refused(&workspace, 2, &["audit"], &words);
    let init = ["init", "other", "--metric", "log_loss", "--truth", &truth];
    refused(&workspace, 2, &init, &["leaves the workspace", "--allow-outside"]);
    link_outside(&workspace, &truth, &words);
}

/// A link inside the workspace that leads out of it.
#[track_caller]
fn link_outside(workspace: &Workspace, truth: &str, words: &[&str]) {
    #[cfg(unix)]
    {
        std::os::unix::fs::symlink(truth, workspace.path("models/toy/data/link.csv")).expect("link");
        workspace.write(YAML, COMPETITION.replace("data/train.csv", "data/link.csv"));
        refused(workspace, 2, &["audit"], &[words, &["through a link"]].concat());
        run(workspace, &["audit", "--allow-outside"]).expect(0);
    }
}

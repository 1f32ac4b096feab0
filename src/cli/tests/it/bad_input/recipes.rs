//! Recipes that cannot be right, and recipes that are not ours to overwrite.

use crate::toy::{self, refused, run};

const RECIPE: &str = "blends/toy/mine.yaml";

fn recipe(members: &str) -> String {
    format!("blend: mine\ncompetition: toy\nspace: linear\ndomain: simplex\nmembers:\n{members}")
}

#[track_caller]
fn bad_recipe(code: i32, text: &str, words: &[&str]) {
    let workspace = toy::imported();
    workspace.write(RECIPE, text);
    refused(&workspace, code, &["submit", "mine"], words);
    assert!(!workspace.path("submissions").exists());
}

#[test]
fn weights_that_are_not_allowed() {
    bad_recipe(2, &recipe("  ada: 0.5\n  bob: 0.4\n"), &["mine.yaml:", "sum to 0.9", "simplex"]);
    bad_recipe(2, &recipe("  ada: 0.5\n  bob: 0.50001\n"), &["mine.yaml:", "sum to 1.00001"]);
    bad_recipe(2, &recipe("  ada: 1.5\n  bob: -0.5\n"), &["mine.yaml:", "`ada`", "1.5", "[0, 1]"]);
    bad_recipe(2, &recipe("  ada: .nan\n  bob: 1\n"), &["mine.yaml:6:8", "`.nan`", "^"]);
    bad_recipe(2, &recipe("  ada: much\n  bob: 1\n"), &["mine.yaml:6", "`much`", "^"]);
    bad_recipe(2, &recipe("  ada: 1\n").replace("simplex", "simplx"), &["mine.yaml:4:9", "`simplex`", "^"]);
    bad_recipe(2, "blend: mine\ncompetition: toy\n", &["mine.yaml:1:1", "`members` is missing"]);
    bad_recipe(2, &recipe("  ada: 1\n").replace("members", "member"), &["mine.yaml:5:1", "`members`", "^"]);
    bad_recipe(2, &recipe("  ada: {wieght: 1}\n"), &["mine.yaml:6", "`weight`", "^"]);
    bad_recipe(2, &recipe("  ada: 1\n").replace("blend: mine", "blend: yours"), &["mine.yaml:1:8", "`blend: mine`"]);
}

#[test]
fn a_sum_that_misses_by_what_winners_round_is_taken_as_it_is() {
    let workspace = toy::imported();
    workspace.write(RECIPE, recipe("  ada: 0.5\n  bob: 0.50000001\n"));
    run(&workspace, &["submit", "mine"]).expect(0);
    let text = String::from_utf8(workspace.read(RECIPE)).expect("text");
    assert!(text.contains("0.50000001"), "applied as written: {text}");
}

#[test]
fn formulas_that_are_none() {
    let formula = |text: &str| format!("blend: mine\ncompetition: toy\nformula: {text}\n");
    bad_recipe(2, &formula("0.5*ada + 0.5*"), &["mine.yaml:3", "^"]);
    bad_recipe(2, &formula("0.5*ada + 0.5*ada"), &["mine.yaml:3", "`ada`"]);
    bad_recipe(2, &formula("0.9*(0.5*ada + 0.5*bob"), &["mine.yaml:3", "^"]);
    bad_recipe(2, &formula("0.4*ada + 0.5*bob"), &["mine.yaml:3", "sum to 0.9"]);
    bad_recipe(2, &formula("0.5*ada + 0.5*bbo"), &["`bbo`", "did you mean `bob`?", "mine"]);
}

#[test]
fn members_that_are_not_there() {
    bad_recipe(2, &recipe("  ada: 0.5\n  bbo: 0.5\n"), &["`bbo`", "did you mean `bob`?", "mine"]);
    let workspace = toy::imported();
    workspace.write(RECIPE, recipe("  ada: 0.5\n  bob: 0.5\n"));
    std::fs::remove_file(workspace.path("models/toy/bob/test.feather")).expect("remove");
    refused(&workspace, 4, &["submit", "mine"], &["bob/test.feather", "blend import bob --test"]);
}

#[test]
fn one_file_as_two_members() {
    let workspace = toy::imported();
    let again = ["import", "dan", "--oof", "in/ada_oof.csv", "--test", "in/ada_test.csv"];
    run(&workspace, &again).expect(0);
    refused(&workspace, 3, &["search"], &["`ada`", "`dan`", "leave one out"]);
    workspace.write(RECIPE, recipe("  ada: 0.5\n  dan: 0.5\n"));
    refused(&workspace, 3, &["submit", "mine"], &["`ada`", "`dan`"]);
    let audit = run(&workspace, &["audit"]).expect(1);
    assert!(audit.stdout.contains("fault: duplicate"), "{}", audit.stdout);
}

#[test]
fn outputs_that_changed_after_the_search() {
    let workspace = toy::imported();
    run(&workspace, &["search"]).expect(0);
    run(&workspace, &["submit"]).expect(0);
    workspace.write("in/new.csv", toy::test(0).replace("t03,0.", "t03,0.0"));
    run(&workspace, &["import", "ada", "--test", "in/new.csv"]).expect(0);
    let words = ["ada/test.feather", "not those of the recipe", "blake3:", "search again"];
    refused(&workspace, 3, &["submit"], &words);
    // Searching again makes it whole.
    run(&workspace, &["search"]).expect(0);
    run(&workspace, &["submit"]).expect(0);
}

#[test]
fn a_recipe_written_by_hand_is_not_overwritten() {
    let workspace = toy::imported();
    let by_hand = recipe("  ada: 0.5\n  bob: 0.5\n");
    workspace.write(RECIPE, &by_hand);
    refused(&workspace, 2, &["search", "--name", "mine"], &["mine.yaml", "--force", "--name"]);
    // What cannot be read was not written by a search either.
    workspace.write(RECIPE, "notes: of mine\n");
    refused(&workspace, 2, &["search", "--name", "mine"], &["mine.yaml", "--force"]);
    run(&workspace, &["search", "--name", "mine", "--force"]).expect(0);
    // This one is a search's own, so another search may take its place.
    run(&workspace, &["search", "--name", "mine"]).expect(0);
}

#[test]
fn fingerprints_that_were_edited() {
    let workspace = toy::imported();
    run(&workspace, &["search"]).expect(0);
    let path = "blends/toy/best_cv.yaml";
    let text = String::from_utf8(workspace.read(path)).expect("text");
    let at = text.find("test: \"blake3:").expect("a fingerprint") + "test: \"blake3:".len();
    let other = if text[at..].starts_with('0') { "1" } else { "0" };
    let edited = format!("{}{other}{}", &text[..at], &text[at + 1..]);
    workspace.write(path, edited);
    refused(&workspace, 3, &["submit"], &["test.feather", "not those of the recipe"]);
    workspace.write(path, text.replacen("blake3:", "blake4:", 1));
    refused(&workspace, 2, &["submit"], &["best_cv.yaml:", "^", "written by the program"]);
}

#[test]
fn searches_that_make_no_sense() {
    let workspace = toy::imported();
    refused(&workspace, 2, &["search", "--space", "lgoit"], &["`lgoit`", "did you mean `logit`?", "--space"]);
    refused(&workspace, 2, &["search", "--domain", "simplx"], &["`simplx`", "did you mean `simplex`?", "--domain"]);
    refused(&workspace, 2, &["search", "--solver", "newtn"], &["`newtn`", "did you mean `newton`?", "--solver"]);
    refused(&workspace, 2, &["search", "--members", "ada,ada"], &["`ada`", "twice"]);
    refused(&workspace, 2, &["search", "--name", "../best"], &["`../best`", "--name"]);
    refused(&workspace, 2, &["search", "--space", "unit_vector"], &["unit_vector"]);
    let bare = toy::competition();
    refused(&bare, 2, &["search"], &["no members", "blend import"]);
    refused(&bare, 2, &["audit"], &["no models yet", "blend import"]);
}

//! Options that contradict each other, do nothing, or hold no number that can be: refused before anything is read.

use super::{number, search};
use crate::{
    support::Workspace,
    toy::{self, refused, run},
};

#[test]
fn contradictions_and_idle_options_are_refused() {
    let workspace = toy::imported();
    for (arguments, words) in [
        // Two things are said of one weight.
        (&["--fix", "ada=0.2", "--bounds", "ada=0.3:0.4"][..], &["`ada`", "--bounds ada=0.3:0.4 --fix ada=0.2"][..]),
        (&["--fix", "ada=0.2", "--fix", "ada=0.3"], &["`ada`", "--fix ada=0.2 --fix ada=0.3"]),
        (&["--bounds", "ada=0:0.2", "--bounds", "ada=0:1"], &["`ada`", "--bounds ada=0:0.2 --bounds ada=0:1"]),
        // Nothing would come of it.
        (&["--lambda", "1"], &["`--lambda`", "--granularity"]),
        (&["--max-picks", "5"], &["`--max-picks`", "--solver greedy"]),
        (&["--max-picks", "5", "--solver", "newton"], &["`--max-picks`", "--solver greedy"]),
        (&["--max-picks", "5", "--target", "lb"], &["`--max-picks`", "--solver greedy"]),
        (&["--kappa", "3"], &["`--kappa`", "--target pooled"]),
        (&["--kappa", "3", "--target", "lb"], &["`--kappa`", "--target pooled"]),
        (&["--no-nested", "--honest-budget", "5s"], &["`--honest-budget`", "--no-nested --honest-budget 5s"]),
        // A model that is not searched has no weight.
        (&["--fix", "ada=0.2", "--exclude", "ada"], &["`ada` is excluded", "--fix ada=0.2 --exclude ada"]),
        (&["--bounds", "ada=0:0.2", "--members", "bob,cyd"], &["`ada` is not among `--members`"]),
        // What cannot be searched together is told in pairs.
        (
            &["--granularity", "per-target", "--calibrate", "affine"],
            &["`--granularity per-target` and `--calibrate affine` do not go together"],
        ),
        (&["--granularity", "per-target", "--max-members", "2"], &["`--granularity per-target` and `--max-members 2`"]),
        (
            &["--granularity", "per-target", "--honest-budget", "5"],
            &["`--granularity per-target` and `--honest-budget 5s`", "--time-limit"],
        ),
        (&["--granularity", "per-target", "--intercept"], &["`--granularity per-target` and `--intercept`"]),
        (&["--intercept", "--domain", "free", "--min-weight", "0.1"], &["`--intercept` and `--min-weight 0.1`"]),
    ] {
        refused(&workspace, 2, &[&["search"], arguments].concat(), words);
    }
    // What each is for, it still does.
    let greedy = search(&workspace, &["--solver", "greedy", "--max-picks", "3", "--no-nested"]);
    assert!((number(&greedy["weights"]["ada"]) * 3.0).fract().abs() < 1e-9, "{greedy}");
}

#[test]
fn sums_that_cannot_be_one_are_told_in_round_numbers() {
    let workspace = toy::imported();
    let sum = |arguments: &[&str], words: &[&str]| {
        let said = refused(&workspace, 2, &[&["search"], arguments].concat(), words).stderr;
        assert!(!said.contains("99999") && !said.contains("inf,") && !said.contains("competition.yaml"), "{said}");
    };
    sum(&["--fix", "ada=0.7", "--fix", "bob=0.6"], &["at least 1.3,", "--fix ada=0.7 --fix bob=0.6"]);
    sum(&["--bounds", ":0.2"], &["between 0 and 0.6,", "--bounds :0.2"]);
    sum(&["--domain", "affine", "--bounds", ":0.1"], &["at most 0.3,"]);
}

#[test]
fn numbers_that_cannot_be_are_told_in_words() {
    let workspace = Workspace::new();
    let negative = "must not be negative";
    for (arguments, words) in [
        (&["--max-members", "0"][..], "must be 1 or more"),
        (&["--max-picks", "0"], "must be 1 or more"),
        (&["--threads", "0"], "must be 1 or more"),
        (&["--max-members", "-1"], negative),
        (&["--max-picks", "-2"], negative),
        (&["--min-weight", "-0.1"], negative),
        (&["--kappa", "-1"], negative),
        (&["--honest-budget", "-1"], negative),
        (&["--honest-budget", "-30s"], negative),
        (&["--inference-budget", "-1h"], negative),
        (&["--time-limit", "-1"], negative),
        (&["--time-limit", "nan"], "is no time: seconds, or 90s, 30m, 1.5h"),
        (&["--time-limit", "5d"], "`d` is no unit of time: s, m or h"),
        (&["--max-members", "few"], "must be a whole number, 1 or more"),
        (&["--min-weight", "light"], "must be a number"),
    ] {
        let said = run(&workspace, &[&["search"], arguments].concat()).expect(2).stderr;
        assert!(said.contains(&format!("'{}'", arguments[1])) && said.contains(words), "{arguments:?}: {said}");
    }
}

/// Seconds, or a number with its unit: the same for every time that a search takes.
#[test]
fn times_are_seconds_or_have_a_unit() {
    let workspace = toy::imported();
    for time in ["30", "30s", "0.5m", "1h"] {
        search(&workspace, &["--time-limit", time, "--honest-budget", time]);
    }
    let help = run(&workspace, &["search", "--help"]).expect(0).stdout;
    let (own, global) = help.split_once("Global options:").expect("a heading of its own");
    for flag in ["--target", "--time-limit", "--kappa", "--force"] {
        assert!(
            own.contains(&format!("\n      {flag} ")) || own.contains(&format!("\n      {flag}\n")),
            "{flag}: {own}"
        );
    }
    for flag in ["--json", "--threads", "--seed", "--allow-outside", "-C <DIR>"] {
        assert!(global.contains(flag) && !own.contains(flag), "{flag}: {help}");
    }
}

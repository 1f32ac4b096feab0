//! A corpus of damaged inputs, made here: each is refused with its place, or flagged by the check that is there for it,
//! or taken as it should be.

mod formats;
mod shapes;
mod values;

use super::small::{self, Kind, bytes, csv, import, predictions};
use crate::{support::Workspace, toy::run};
use serde_json::Value;

/// What has to become of an input.
#[derive(Clone, Copy)]
enum Answer {
    /// The import ends with this code and says these words.
    Refused(i32, &'static [&'static str]),
    /// The import takes it, and the audit finds this of the model, as bad as this.
    Flagged(&'static str, &'static str),
    /// Nothing is wrong with it.
    Sound,
}

/// A file that is handed in as the OOF predictions of the model `bad`.
struct Case {
    name: &'static str,
    kind: Kind,
    files: Vec<(&'static str, Vec<u8>)>,
    arguments: Vec<String>,
    answer: Answer,
}

const TARGETS: Kind = Kind::Targets;
const ROWS_OF_TRUTH: &[&str] = &["--rows", "truth"];

fn case(name: &'static str, kind: Kind, file: &'static str, content: impl Into<Vec<u8>>, answer: Answer) -> Case {
    let arguments =
        if file.contains(".np") { ROWS_OF_TRUTH.iter().map(|it| (*it).to_owned()).collect() } else { vec![] };
    Case { name, kind, files: vec![(file, content.into())], arguments, answer }
}

impl Case {
    fn with(mut self, arguments: &[&str]) -> Self {
        self.arguments.extend(arguments.iter().map(|it| (*it).to_owned()));
        self
    }
}

/// A sound model that no other is.
fn own(kind: Kind) -> Vec<Vec<f64>> {
    predictions(kind, 7, false)
}

/// The sound model with every value changed.
fn changed(kind: Kind, change: impl Fn(usize, usize, f64) -> f64) -> Vec<Vec<f64>> {
    let mut columns = own(kind);
    for (c, column) in columns.iter_mut().enumerate() {
        column.iter_mut().enumerate().for_each(|(row, x)| *x = change(c, row, *x));
    }
    columns
}

/// The sound model's file with one line replaced.
fn with_line(row: usize, line: &str) -> String {
    let text = csv(false, &own(TARGETS));
    let mut lines: Vec<&str> = text.lines().collect();
    lines[row + 1] = line;
    lines.join("\n") + "\n"
}

fn lines(text: &str, keep: impl Fn(usize) -> bool) -> String {
    text.lines().enumerate().filter(|(i, _)| *i == 0 || keep(i - 1)).map(|(_, line)| format!("{line}\n")).collect()
}

fn f32_bytes(columns: &[Vec<f64>]) -> Vec<u8> {
    bytes(columns, |x| (x as f32).to_le_bytes())
}

/// The findings of an audit about `bad`, as check and severity; notes about sound models are nobody's business here.
fn findings(audit: &Value) -> Vec<(String, String)> {
    let all = audit["findings"].as_array().expect("findings").iter();
    let of_bad =
        all.filter(|it| it["model"] == "bad" || it["cause"].as_str().is_some_and(|cause| cause.contains("`bad`")));
    let text = |it: &Value, key: &str| it[key].as_str().unwrap_or_default().to_owned();
    of_bad.map(|it| (text(it, "check"), text(it, "severity"))).collect()
}

/// What is wrong with the answer to a case; nothing where it is right.
fn wrong(workspace: &Workspace, case: &Case) -> Option<String> {
    for (name, content) in &case.files {
        workspace.write(format!("in/{name}"), content);
    }
    let paths: Vec<String> = case.files.iter().map(|(name, _)| format!("in/{name}")).collect();
    let paths: Vec<&str> = paths.iter().map(String::as_str).collect();
    let arguments: Vec<&str> = case.arguments.iter().map(String::as_str).collect();
    let said = import(workspace, "bad", &paths, &arguments);
    let folder = workspace.path("models/c/bad");
    let result = match case.answer {
        Answer::Refused(code, words) => {
            let missing = words.iter().find(|word| !said.stderr.contains(**word));
            let formed = ["error: ", "\n  at   ", "\nhint: "].iter().all(|part| said.stderr.contains(part));
            if said.code != code || missing.is_some() || !formed {
                Some(format!("exit {} for {code}, `{missing:?}` not said, in\n{}", said.code, said.stderr))
            } else {
                folder.exists().then(|| "it left something behind".to_owned())
            }
        }
        _ if said.code != 0 => Some(format!("not imported:\n{}", said.stderr)),
        Answer::Sound => {
            let found = findings(&run(workspace, &["audit", "--json"]).json());
            (!found.is_empty()).then(|| format!("a false alarm: {found:?}"))
        }
        Answer::Flagged(check, severity) => {
            let audit = run(workspace, &["audit", "--json"]);
            let found = findings(&audit.json());
            let code = i32::from(found.iter().any(|(_, severity)| severity == "fault"));
            if !found.contains(&(check.to_owned(), severity.to_owned())) {
                Some(format!("not flagged by {check} as {severity}: {found:?}"))
            } else {
                (audit.code != code).then(|| format!("exit {} with {found:?}", audit.code))
            }
        }
    };
    if folder.exists() {
        std::fs::remove_dir_all(&folder).expect("the model goes");
    }
    result.map(|what| format!("{}: {what}", case.name))
}

#[test]
fn every_damaged_input_is_refused_or_flagged() {
    let cases: Vec<Case> = [formats::formats(), shapes::shapes(), values::values()].into_iter().flatten().collect();
    let damaged = cases.iter().filter(|case| !matches!(case.answer, Answer::Sound)).count();
    assert!(damaged >= 60, "{damaged} damaged inputs");
    let mut all_wrong = Vec::new();
    for kind in [Kind::Targets, Kind::Classes, Kind::Directions] {
        let workspace = small::imported(kind);
        let silent = run(&workspace, &["audit", "--json"]).expect(0).json();
        assert_eq!(silent["findings"].as_array().map(Vec::len), Some(0), "{kind:?}: {}", silent["findings"]);
        if kind == TARGETS {
            let test = predictions(TARGETS, 7, true);
            workspace.write("in/short_test.csv", lines(&csv(true, &test), |row| row != 3));
            let mut moved = test.clone();
            moved.iter_mut().flatten().for_each(|p| *p = 1.0 / (1.0 + (-((*p / (1.0 - *p)).ln() + 2.5)).exp()));
            workspace.write("in/shifted_test.csv", csv(true, &moved));
            let mut reversed = test;
            reversed.iter_mut().for_each(|column| column.reverse());
            workspace.write("in/reversed_test.csv", csv(true, &reversed));
        }
        all_wrong.extend(cases.iter().filter(|case| case.kind == kind).filter_map(|case| wrong(&workspace, case)));
    }
    assert!(all_wrong.is_empty(), "{} of {} cases:\n{}", all_wrong.len(), cases.len(), all_wrong.join("\n"));
}

//! The ledger as the program keeps it.

use crate::{
    support::Workspace,
    toy::{self, finish, refused, run},
};
use serde_json::Value;
use std::{fs::File, io::Write, process::Stdio};

const LEDGER: &str = "submissions/toy/ledger.jsonl";

fn lines(workspace: &Workspace) -> Vec<Value> {
    let text = String::from_utf8(workspace.read(LEDGER)).expect("text");
    text.lines().map(|line| serde_json::from_str(line).expect("a line of JSON")).collect()
}

/// A workspace with a submission, and its id.
fn submitted() -> (Workspace, String) {
    let workspace = toy::imported();
    run(&workspace, &["search"]).expect(0);
    let said = run(&workspace, &["--json", "submit"]).expect(0).json();
    let id = said["submissions"][0]["id"].as_str().expect("an id").to_owned();
    (workspace, id)
}

fn imports(workspace: &Workspace, table: &str) -> Value {
    let mut command = toy::command(workspace, &["--json", "lb", "import", "-"]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("start");
    child.stdin.take().expect("input").write_all(table.as_bytes()).expect("write");
    let output = child.wait_with_output().expect("the end");
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("an object")
}

#[test]
fn submit_writes_a_line_once_and_says_how_to_send_the_file() {
    let (workspace, id) = submitted();
    let said = run(&workspace, &["submit"]).expect(0).stdout;
    let wanted = format!("kaggle competitions submit toy -f submissions/toy/best_cv.csv -m \"{id} best_cv cv=0.");
    assert!(said.contains(&wanted), "no `{wanted}` in {said}");
    let lines = lines(&workspace);
    assert_eq!(lines.len(), 1, "made twice, the same: one line");
    assert_eq!((lines[0]["event"].as_str(), lines[0]["id"].as_str()), (Some("made"), Some(id.as_str())));
    assert!(lines[0]["cv"].as_f64().is_some_and(|cv| cv > 0.0 && cv < 1.0));
    assert!(lines[0]["recipe"].as_str().is_some_and(|text| text.contains("members:")));
}

#[test]
fn kaggles_table_is_matched_by_our_id_and_then_by_its_number() {
    let (workspace, id) = submitted();
    let table = format!(
        "Warning: Looks like you're using an outdated API Version\r\n\
         ref,fileName,date,description,status,publicScore,privateScore\r\n\
         102,best_cv.csv,2026-11-21 09:08:07.1,a notebook,SubmissionStatus.COMPLETE,0.1,\r\n\
         101,submission.csv,2026-11-21 09:08:07.1,\"{id} best_cv, \"\"cv\"\"\",SubmissionStatus.COMPLETE,0.41234,\r\n\
         100,submission.csv,2026-11-21 09:08:07,{id},SubmissionStatus.PENDING,,\r\n"
    );
    let said = imports(&workspace, &table);
    assert_eq!((said["recorded"].as_u64(), said["without_score"].as_u64()), (Some(1), Some(1)));
    assert_eq!(said["not_ours"][0]["line"], 3, "a file name says nothing: {said}");
    assert_eq!(imports(&workspace, &table)["recorded"], 0, "the same table again");
    // The message was edited away; the number is still there, and so is the private score now.
    let later =
        "ref,fileName,date,description,status,publicScore,privateScore\n101,x.csv,2026,,complete,0.41234,0.43210\n";
    assert_eq!(imports(&workspace, later)["recorded"], 1);

    let shown = run(&workspace, &["--json", "lb", "show"]).expect(0).json();
    assert_eq!(shown["entries"].as_array().map(Vec::len), Some(1), "{shown}");
    let entry = &shown["entries"][0];
    assert_eq!((entry["public"].as_f64(), entry["private"].as_f64()), (Some(0.41234), Some(0.4321)));
    assert_eq!(entry["name"], "best_cv");
    let csv = run(&workspace, &["lb", "show", "--csv"]).expect(0).stdout;
    let row: Vec<&str> = csv.lines().nth(1).expect("a row").split(',').collect();
    assert_eq!((row[0], row[1], row[6], row[7]), ("best_cv", id.as_str(), "0.41234", "0.4321"));
}

#[test]
fn models_files_ids_and_a_correction() {
    let (workspace, id) = submitted();
    run(&workspace, &["lb", "add", "ada", "0.45678"]).expect(0);
    run(&workspace, &["lb", "add", &id, "0.40001"]).expect(0);
    run(&workspace, &["lb", "add", "in/bob_test.csv", "0.5"]).expect(0);
    let said = run(&workspace, &["lb", "add", "ada", "0.45678"]).expect(0).stdout;
    assert!(said.contains("already"), "{said}");
    assert_eq!(lines(&workspace).len(), 4);

    // The same predictions under another name, with another score: kept, named, and an exit code.
    let output = run(&workspace, &["lb", "add", "in/ada_test.csv", "0.45999"]);
    // Stored as f32 the model's numbers are not quite the file's.
    assert_eq!(output.code, 0, "{}", output.stdout);
    let output = run(&workspace, &["lb", "add", "ada", "0.46"]).expect(1);
    for word in ["ada", "0.456780 (line 2)", "0.460000", "--correct"] {
        assert!(output.stdout.contains(word), "no `{word}` in {}", output.stdout);
    }
    let shown = run(&workspace, &["--json", "lb", "show"]).expect(1).json();
    assert_eq!(shown["conflicts"][0]["scores"].as_array().map(Vec::len), Some(2), "{shown}");
    run(&workspace, &["lb", "add", "ada", "0.46", "--correct"]).expect(0);
    let shown = run(&workspace, &["--json", "lb", "show"]).expect(0).json();
    let of = |name: &str| {
        let entries = shown["entries"].as_array().expect("entries");
        entries.iter().find(|it| it["name"] == name).unwrap_or_else(|| panic!("{name} in {shown}")).clone()
    };
    assert_eq!(of("ada")["public"], 0.46);
    assert!(of("ada")["cv"].as_f64().is_some_and(|cv| cv > 0.0));
    assert_eq!(of("in/bob_test.csv")["public"], 0.5);
    assert_eq!(lines(&workspace).last().expect("a line")["event"], "corrected");
}

#[test]
fn an_older_submission_is_still_known_when_another_has_its_name() {
    let (workspace, id) = submitted();
    run(&workspace, &["search", "--solver", "equal"]).expect(0);
    let said = run(&workspace, &["--json", "submit"]).expect(0).json();
    assert_ne!(said["submissions"][0]["id"], id.as_str());
    run(&workspace, &["lb", "add", &id, "0.4"]).expect(0);
    run(&workspace, &["lb", "add", "best_cv", "0.41"]).expect(0);
    let shown = run(&workspace, &["--json", "lb", "show"]).expect(0).json();
    let entries = shown["entries"].as_array().expect("entries");
    assert_eq!(entries.len(), 2, "{shown}");
    assert_eq!((entries[0]["public"].as_f64(), entries[1]["public"].as_f64()), (Some(0.4), Some(0.41)));
    assert_eq!(entries[0]["id"], id.as_str());
}

#[test]
fn what_cannot_be_recorded_is_refused_and_nothing_is_lost() {
    let (workspace, _) = submitted();
    let bad =
        |code, arguments: &[&str], words: &[&str]| refused(&workspace, code, &[&["lb"], arguments].concat(), words);
    bad(2, &["add", "adda", "0.4"], &["`adda`", "did you mean `ada`?"]);
    bad(2, &["add", "blend:0123456789ab", "0.4"], &["blend:0123456789ab"]);
    bad(2, &["add", "ada", "-0.4"], &["-0.4", "log_loss", "never negated"]);
    bad(2, &["add", "ada", "much"], &["`much`"]);
    workspace.write("scores.csv", "model,public\nada,0.4\nadda,0.5\n");
    bad(2, &["import", "scores.csv"], &["scores.csv:3", "did you mean `ada`?"]);
    workspace.write("scores.csv", "model,public\nada,0.4\nbob,x\n");
    bad(3, &["import", "scores.csv"], &["scores.csv", "`x` in line 3"]);
    workspace.write("scores.csv", "model,value\nada,0.4\n");
    bad(3, &["import", "scores.csv"], &["--score-column"]);
    bad(2, &["import", "scores.csv", "--score-column", "values"], &["`values`"]);
    bad(4, &["import", "absent.csv"], &["absent.csv"]);
}

#[test]
fn a_locked_ledger_is_for_later_and_a_torn_line_for_nobody() {
    let (workspace, _) = submitted();
    let path = workspace.path(LEDGER);
    let holder = File::open(&path).expect("the ledger");
    holder.lock().expect("a lock");
    refused(&workspace, 75, &["lb", "add", "ada", "0.4"], &["locked", "again"]);
    drop(holder);

    let whole = workspace.read(LEDGER);
    workspace.write(LEDGER, [&whole[..], b"{\"event\":\"scored\",\"ti"].concat());
    let output = finish(&mut toy::command(&workspace, &["lb", "add", "ada", "0.4"])).expect(0);
    assert!(output.stdout.contains("recorded `ada`"), "{}", output.stdout);
    let shown = run(&workspace, &["--json", "lb", "show"]).expect(0).json();
    assert_eq!((shown["torn_lines"].as_u64(), shown["entries"].as_array().map(Vec::len)), (Some(1), Some(2)));
    assert!(workspace.read(LEDGER).starts_with(&whole), "what stood there stands there");

    workspace.write(LEDGER, [&whole[..], b"{\"event\":\"scored\"}\n"].concat());
    refused(&workspace, 3, &["lb", "show"], &["line 2", "ledger.jsonl:2"]);
}

//! What is printed fits the terminal, whatever there is to say.

use crate::{
    digits,
    support::{self, Workspace},
    toy::{self, run},
};

/// The demo with outputs, public scores and a blend of them.
fn demo() -> Workspace {
    let models = ["cnn", "gnn", "logreg", "mlp", "tabnet"];
    let workspace = digits::workspace(&models);
    digits::predict(&workspace, &["--engine", "rten"], &[]).expect(0);
    for (model, score) in models.iter().zip(["0.10911", "0.13271", "0.07718", "0.08912", "0.19131"]) {
        run(&workspace, &["lb", "add", model, score]).expect(0);
    }
    // Something to say of each severity, with long names in it.
    let long = "a_name_that_nobody_would_choose_but_a_program_with_many_options";
    let oof = workspace.path("models/digits/mlp/oof.feather").display().to_string();
    run(&workspace, &["import", long, "--oof", &oof]).expect(0);
    workspace
}

#[test]
fn every_line_fits() {
    let workspace = demo();
    let commands: [&[&str]; 15] = [
        &["audit"],
        &["audit", "--by", "folds"],
        &["audit", "--allow", "duplicate"],
        &["search"],
        &["search", "--target", "lb"],
        &["search", "--members", "nobody"],
        &["verify"],
        &["select"],
        &["report"],
        &["lb", "show"],
        &["lb", "predict", "best_cv"],
        &["lb", "plan"],
        &["list", "models"],
        &["list", "checks"],
        &["doctor"],
    ];
    for width in [80, 120] {
        let mut lines = 0;
        for arguments in commands {
            let said = toy::finish(toy::command(&workspace, arguments).env("COLUMNS", width.to_string()));
            for line in said.stdout.lines().chain(said.stderr.lines()) {
                // Only what cannot be broken may be longer: one path, one name.
                let one_word = line.split_whitespace().count() <= 2 && line.contains('/');
                assert!(
                    line.chars().count() <= width || one_word,
                    "{} columns of {width} in `{}`:\n{line}",
                    line.chars().count(),
                    arguments.join(" ")
                );
                lines += 1;
            }
        }
        assert!(lines > 100, "{lines} lines were looked at");
    }
    // Into a pipe a sentence stays one line.
    let piped = run(&workspace, &["audit"]).expect(1).stdout;
    assert!(piped.lines().any(|line| line.chars().count() > 80), "{piped}");
}

/// Runs its arguments with standard error on a terminal, and prints what that terminal was sent.
#[cfg(unix)]
const ON_A_TERMINAL: &str = "
import os, pty, subprocess, sys
ours, theirs = pty.openpty()
child = subprocess.Popen(sys.argv[1:], stdout=subprocess.DEVNULL, stderr=theirs)
os.close(theirs)
seen = b''
while True:
    try:
        part = os.read(ours, 65536)
    except OSError:
        break
    if not part:
        break
    seen += part
sys.stdout.buffer.write(seen)
sys.exit(child.wait())
";

/// A search is seen while it runs, and leaves nothing of that behind.
#[cfg(unix)]
#[test]
fn a_search_is_seen_on_a_terminal() {
    let workspace = toy::imported();
    let on_a_terminal = |arguments: &[&str]| {
        let blend = toy::command(&workspace, arguments);
        let mut python = std::process::Command::new("python3");
        python.args(["-c", ON_A_TERMINAL]).arg(blend.get_program()).args(blend.get_args());
        python.current_dir(workspace.root()).env_remove("BLEND_COMPETITION").env_remove("BLEND_LOG");
        match python.output() {
            Ok(output) if output.status.success() => Some(String::from_utf8_lossy(&output.stdout).into_owned()),
            Ok(output) => {
                panic!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
            }
            Err(error) => {
                support::skipped("terminal::a_search_is_seen_on_a_terminal", &format!("no python3: {error}"));
                None
            }
        }
    };
    let Some(seen) = on_a_terminal(&["search", "--solver", "local"]) else { return };
    for words in ["searching: ", "nested scores: ", " step 1  score 0.", "  pass "] {
        assert!(seen.contains(words), "no `{words}` in {seen:?}");
    }
    assert!(seen.ends_with("\r\x1b[K"), "the line is cleared: {seen:?}");
    for quiet in [&["search", "-q"][..], &["search", "--json"]] {
        assert_eq!(on_a_terminal(quiet).as_deref(), Some(""), "{quiet:?}");
    }
    // Into a pipe there is no such line.
    assert_eq!(run(&workspace, &["search"]).expect(0).stderr, "");
}

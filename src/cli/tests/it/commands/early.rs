//! Work that ends before it is done: by a limit, by a signal.

use crate::{
    digits,
    support::{Output, Workspace},
    toy::{self, finish, run},
};
use blend_core::{RowIndex, source::OwnedBlocks};
use blend_store::feather;
use std::{
    collections::BTreeMap,
    fmt::Write as _,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

const ROWS: usize = 40_000;
const MEMBERS: usize = 30;

/// A pool that a simplex of Nelder and Mead needs minutes for.
fn large() -> Workspace {
    let workspace = Workspace::new();
    workspace.write("models/large/competition.yaml", "competition: large\nmetric: auc\ntruth: train.csv\nid: id\n");
    let mut truth = "id,y\n".to_owned();
    for row in 0..ROWS {
        let _ = writeln!(truth, "{row},{}", row % 2);
    }
    workspace.write("models/large/train.csv", truth);
    let rows = RowIndex::from_ints((0..ROWS as i64).collect()).expect("ids");
    let mut state = 7u64;
    for member in 0..MEMBERS {
        let values: Vec<f32> = (0..ROWS)
            .map(|row| {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                let noise = (state >> 40) as f32 / (1u64 << 24) as f32;
                0.2 * (row % 2) as f32 + 0.8 * noise
            })
            .collect();
        let path = workspace.write(format!("models/large/m{member:02}/oof.feather"), "");
        let columns = ["y".to_owned()];
        feather::write(&path, &rows, "id", &columns, &OwnedBlocks::F32(vec![values]), &BTreeMap::new()).expect("write");
    }
    workspace
}

const SLOW: [&str; 5] = ["search", "--solver", "nelder_mead", "--json", "--no-nested"];

#[test]
fn a_limit_of_time_keeps_the_best_so_far() {
    let workspace = large();
    let started = Instant::now();
    let search = run(&workspace, &[&SLOW[..], &["--time-limit", "0.3"]].concat()).expect(0).json();
    assert!(started.elapsed() < Duration::from_secs(30), "{:?}", started.elapsed());
    assert_eq!(search["stop"], "budget");
    assert!(search["score"].as_f64() >= search["single_best"]["score"].as_f64(), "{search}");
    let recipe = String::from_utf8(workspace.read("blends/large/best_cv.yaml")).expect("text");
    assert!(recipe.contains("stop: budget"), "{recipe}");
    // Without any time at all there are still the baselines.
    let search = run(&workspace, &[&SLOW[..], &["--time-limit", "0"]].concat()).expect(0).json();
    assert_eq!(search["stop"], "budget");
}

#[cfg(unix)]
const SIGNALS: [(&str, i32); 2] = [("INT", 130), ("TERM", 143)];

/// Sends a signal to a child.
#[cfg(unix)]
#[track_caller]
fn kill(child: &std::process::Child, signal: &str) {
    finish(Command::new("kill").args([format!("-{signal}"), child.id().to_string()])).expect(0);
}

/// Starts the program, sends it `signal` when it is well on its way, and waits for its end.
#[cfg(unix)]
#[track_caller]
fn signalled(workspace: &Workspace, arguments: &[&str], signal: &str) -> Output {
    signalled_times(1, workspace, arguments, signal)
}

/// As [`signalled`], with as many signals as follow each other at once.
#[cfg(unix)]
#[track_caller]
fn signalled_times(times: usize, workspace: &Workspace, arguments: &[&str], signal: &str) -> Output {
    let mut command = toy::command(workspace, arguments);
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the program starts");
    // Long enough to be past the arguments on a busy machine; what is asked of the program takes much longer.
    std::thread::sleep(Duration::from_secs(1));
    (0..times).for_each(|_| kill(&child, signal));
    let started = Instant::now();
    let output = child.wait_with_output().expect("an end");
    assert!(started.elapsed() < Duration::from_secs(20), "{:?}", started.elapsed());
    Output {
        code: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

#[cfg(unix)]
#[test]
fn an_interrupted_search_writes_its_best_so_far() {
    let workspace = large();
    for (signal, code) in SIGNALS {
        let recipe = workspace.path("blends/large/best_cv.yaml");
        let _ = std::fs::remove_file(&recipe);
        let object = signalled(&workspace, &SLOW, signal).expect(code).json();
        assert_eq!(object["stop"], "interrupted");
        let text = std::fs::read_to_string(&recipe).expect("a recipe");
        assert!(text.contains("stop: interrupted"), "{text}");
    }
    // It is a search's own recipe, so a search may finish what was begun.
    run(&workspace, &["search", "--solver", "equal"]).expect(0);
}

/// `timeout` sends its signal to the program and to its group: one request, heard twice.
#[cfg(unix)]
#[test]
fn signals_at_once_are_one_request() {
    let workspace = large();
    let object = signalled_times(2, &workspace, &SLOW, "INT").expect(130).json();
    assert_eq!(object["stop"], "interrupted");
    assert!(workspace.path("blends/large/best_cv.yaml").exists());
}

#[cfg(unix)]
#[test]
fn a_later_signal_ends_the_program_at_once() {
    let workspace = toy::imported();
    // It waits for a table that never comes.
    let mut command = toy::command(&workspace, &["lb", "import", "-"]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::null()).spawn().expect("the program starts");
    std::thread::sleep(Duration::from_secs(1));
    kill(&child, "INT");
    kill(&child, "INT");
    std::thread::sleep(Duration::from_secs(1));
    assert!(child.try_wait().expect("a state").is_none(), "signals at once ended it");
    kill(&child, "INT");
    let started = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait().expect("a state") {
            break status;
        }
        assert!(started.elapsed() < Duration::from_secs(10), "it goes on");
        std::thread::sleep(Duration::from_millis(20));
    };
    assert_eq!(status.code(), Some(130));
}

#[cfg(unix)]
#[test]
fn an_interrupted_prediction_stores_nothing_and_names_the_signal() {
    let workspace = digits::workspace(&["transformer"]);
    // Every test row many times, under ids of their own: half a minute and more of work.
    for file in ["test_features.csv", "sample_submission.csv"] {
        let path = format!("models/digits/data/{file}");
        let text = String::from_utf8(workspace.read(&path)).expect("text");
        let (header, rows) = text.split_once('\n').expect("a header");
        let copies = (0..400).map(|copy| rows.lines().map(|row| format!("{copy}_{row}\n")).collect::<String>());
        workspace.write(&path, format!("{header}\n{}", copies.collect::<String>()));
    }
    let predict = ["predict", "--engine", "rten", "--batch-size", "16", "--threads", "1", "--json"];
    for (signal, code) in SIGNALS {
        let object = signalled(&workspace, &predict, signal).expect(code).json();
        assert_eq!(object["error"]["exit_code"], code, "{object}");
        assert!(!workspace.path("models/digits/transformer/test.feather").exists());
    }
}

/// `--threads` is a promise to whoever shares the machine: no library starts threads of its own.
#[cfg(target_os = "linux")]
#[test]
fn a_search_has_the_threads_that_were_asked_for() {
    let workspace = large();
    let yaml = String::from_utf8(workspace.read("models/large/competition.yaml")).expect("text");
    let feather = yaml.replace("train.csv", "m00/oof.feather").replace("auc", "{name: mae}");
    for (yaml, threads) in [(&yaml, 1), (&yaml, 3), (&feather, 1)] {
        workspace.write("models/large/competition.yaml", yaml);
        let mut command = toy::command(&workspace, &[&SLOW[..], &["--threads", &threads.to_string()]].concat());
        let mut child = command.stdout(Stdio::null()).spawn().expect("the program starts");
        let names = || -> Vec<String> {
            let tasks = std::fs::read_dir(format!("/proc/{}/task", child.id())).expect("a process at work");
            let names =
                tasks.filter_map(|task| std::fs::read_to_string(task.expect("a task").path().join("comm")).ok());
            // One more waits for signals and does no work.
            names.filter(|name| name.trim() != "signals").collect()
        };
        // A busy machine takes its time to get as far as the workers; any more of them would come with these.
        let mut most = Vec::new();
        let mut after = 0;
        for _ in 0..600 {
            std::thread::sleep(Duration::from_millis(20));
            let now = names();
            if now.len() > most.len() {
                most = now;
            }
            after += usize::from(most.len() > threads);
            if after == 50 {
                break;
            }
        }
        let names = most;
        finish(Command::new("kill").args(["-TERM", &child.id().to_string()])).expect(0);
        child.wait().expect("an end");
        // The first thread waits for its workers.
        assert_eq!(names.len(), threads + 1, "{names:?}");
    }
}

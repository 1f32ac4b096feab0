//! Searches that end before they are done: by a limit, by a signal.

use crate::{
    support::Workspace,
    toy::{self, finish, run},
};
use blend_core::{RowIndex, source::OwnedBlocks};
use blend_store::feather;
use std::{
    collections::BTreeMap,
    fmt::Write as _,
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
#[test]
fn an_interrupted_search_writes_its_best_so_far() {
    let workspace = large();
    for signal in ["INT", "TERM"] {
        let recipe = workspace.path("blends/large/best_cv.yaml");
        let _ = std::fs::remove_file(&recipe);
        let mut command = toy::command(&workspace, &SLOW);
        let child = command.stdout(std::process::Stdio::piped()).spawn().expect("the program starts");
        // Long enough to be past the arguments on a busy machine; the search itself takes minutes.
        std::thread::sleep(Duration::from_secs(1));
        finish(std::process::Command::new("kill").args([format!("-{signal}"), child.id().to_string()])).expect(0);
        let started = Instant::now();
        let output = child.wait_with_output().expect("an end");
        assert!(started.elapsed() < Duration::from_secs(20), "{:?}", started.elapsed());
        let code = output.status.code();
        assert!(code == Some(130) || (signal == "TERM" && code == Some(143)), "SIG{signal}: {code:?}");
        let object: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
        assert_eq!(object["stop"], "interrupted");
        let text = std::fs::read_to_string(&recipe).expect("a recipe");
        assert!(text.contains("stop: interrupted"), "{text}");
    }
    // It is a search's own recipe, so a search may finish what was begun.
    run(&workspace, &["search", "--solver", "equal"]).expect(0);
}

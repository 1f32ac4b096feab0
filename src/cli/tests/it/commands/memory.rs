//! The promise of memory, on the shape that strains it: a wide csv of labels beside few members; and predictions that
//! would not fit into the memory there is.

use crate::{
    support::Workspace,
    toy::{command, finish, run},
};
use blend_core::{RowIndex, source::OwnedBlocks};
use blend_store::feather;
use std::{collections::BTreeMap, fmt::Write as _};

const TARGETS: usize = 206;

/// Bits that look random, the same ones every time.
fn noise(row: usize, target: usize, seed: usize) -> u64 {
    let mixed = ((row * TARGETS + target) * 7 + seed) as u64;
    let mixed = (mixed ^ (mixed >> 31)).wrapping_mul(0x7fb5_d329_728e_a185);
    (mixed ^ (mixed >> 27)).wrapping_mul(0x81da_def4_bc2d_d44d) >> 40
}

/// Few rows are positive, as in many competitions.
fn label(row: usize, target: usize) -> bool {
    row == target || noise(row, target, 0).is_multiple_of(250)
}

/// A competition of `members` models on `rows` rows.
fn wide(rows: usize, members: usize) -> Workspace {
    let workspace = Workspace::new();
    workspace.write("models/wide/competition.yaml", "competition: wide\nmetric: log_loss\ntruth: train.csv\nid: id\n");
    let columns: Vec<String> = (0..TARGETS).map(|target| format!("t{target}")).collect();
    let mut truth = format!("id,{}\n", columns.join(","));
    for row in 0..rows {
        let _ = write!(truth, "r{row}");
        (0..TARGETS).for_each(|target| truth.push_str(if label(row, target) { ",1" } else { ",0" }));
        truth.push('\n');
    }
    workspace.write("models/wide/train.csv", truth);
    let index = RowIndex::from_texts((0..rows).map(|row| format!("r{row}"))).expect("ids");
    for member in 1..=members {
        let value = |row, target| {
            let noise = noise(row, target, member) as f32 / (1 << 24) as f32;
            if label(row, target) { 0.02 + 0.4 * noise } else { 0.001 + 0.01 * noise }
        };
        let values = (0..TARGETS).map(|target| (0..rows).map(|row| value(row, target)).collect()).collect();
        let path = workspace.write(format!("models/wide/m{member}/oof.feather"), "");
        feather::write(&path, &index, "id", &columns, &OwnedBlocks::F32(values), &BTreeMap::new()).expect("write");
    }
    workspace
}

#[test]
fn a_search_takes_the_memory_that_was_promised() {
    let (rows, members) = (21_948, 2);
    let found = run(&wide(rows, members), &["search", "--json", "--threads", "2"]).expect(0).json();
    assert_eq!(found["rows"], rows);
    // Where the system does not say, there is nothing to hold it to.
    let Some(peak) = found["peak_rss_bytes"].as_f64() else { return };
    let promised = 1.2 * (members * rows * TARGETS * 4) as f64 + f64::from(64 << 20);
    assert!(peak <= promised, "{:.1} of {:.1} MiB", peak / f64::from(1 << 20), promised / f64::from(1 << 20));
}

/// Under a limit on the address space for data of its own (files that are mapped do not count, and the system drops their
/// pages as it needs to), below the size of the predictions.
#[test]
#[cfg(target_os = "linux")]
fn predictions_larger_than_the_memory_there_is_stay_in_their_files() {
    let (rows, members) = (24_000, 8);
    let predictions = members * rows * TARGETS * 4;
    let allowed = predictions / 3 * 2;
    let workspace = wide(rows, members);
    let free = run(&workspace, &["search", "--name", "free", "--no-nested", "--json"]).expect(0).json();
    let plain = command(&workspace, &["search", "--threads", "2", "--json"]);
    let mut limited = std::process::Command::new("sh");
    limited.current_dir(workspace.path(""));
    limited.args(["-c", "ulimit -d \"$0\" && exec \"$@\"", &(allowed >> 10).to_string()]);
    limited.arg(plain.get_program()).args(plain.get_args());
    let found = finish(&mut limited).expect(0).json();
    assert_eq!(found["stop"], "certified");
    assert_eq!(found["weights"], free["weights"]);
    assert!(found["nested_score"].is_number());
}

//! The promise of memory, on the shape that strains it: a wide csv of labels beside few members.

use crate::{support::Workspace, toy::run};
use blend_core::{RowIndex, source::OwnedBlocks};
use blend_store::feather;
use std::{collections::BTreeMap, fmt::Write as _};

const ROWS: usize = 21_948;
const TARGETS: usize = 206;
const MEMBERS: usize = 2;

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

#[test]
fn a_search_takes_the_memory_that_was_promised() {
    let workspace = Workspace::new();
    workspace.write("models/wide/competition.yaml", "competition: wide\nmetric: log_loss\ntruth: train.csv\nid: id\n");
    let columns: Vec<String> = (0..TARGETS).map(|target| format!("t{target}")).collect();
    let mut truth = format!("id,{}\n", columns.join(","));
    for row in 0..ROWS {
        let _ = write!(truth, "r{row}");
        (0..TARGETS).for_each(|target| truth.push_str(if label(row, target) { ",1" } else { ",0" }));
        truth.push('\n');
    }
    workspace.write("models/wide/train.csv", truth);
    let rows = RowIndex::from_texts((0..ROWS).map(|row| format!("r{row}"))).expect("ids");
    for member in 1..=MEMBERS {
        let value = |row, target| {
            let noise = noise(row, target, member) as f32 / (1 << 24) as f32;
            if label(row, target) { 0.02 + 0.4 * noise } else { 0.001 + 0.01 * noise }
        };
        let values = (0..TARGETS).map(|target| (0..ROWS).map(|row| value(row, target)).collect()).collect();
        let path = workspace.write(format!("models/wide/m{member}/oof.feather"), "");
        feather::write(&path, &rows, "id", &columns, &OwnedBlocks::F32(values), &BTreeMap::new()).expect("write");
    }
    let found = run(&workspace, &["search", "--json", "--threads", "2"]).expect(0).json();
    assert_eq!(found["rows"], ROWS);
    // Where the system does not say, there is nothing to hold it to.
    let Some(peak) = found["peak_rss_bytes"].as_f64() else { return };
    let promised = 1.2 * (MEMBERS * ROWS * TARGETS * 4) as f64 + f64::from(64 << 20);
    assert!(peak <= promised, "{:.1} of {:.1} MiB", peak / f64::from(1 << 20), promised / f64::from(1 << 20));
}

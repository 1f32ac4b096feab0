//! `blend predict` on tables that were made up: any rank, any length, devices, what the record says.

use crate::{
    digits,
    support::{Output, Workspace},
};
use flate2::{Compression, write::GzEncoder};
use std::{
    fs::File,
    io::{BufWriter, Seek, Write},
    path::Path,
};

/// The largest sum over a column of an image `(batch, channels, height, width)` of any size.
const IMAGE: &str = "open_image.onnx";

/// A workspace with one model over the test table `table`, fed as an image of one channel.
fn workspace(table: &str, height: usize, width: usize) -> Workspace {
    let workspace = Workspace::new();
    workspace.write("models/toy/competition.yaml", "competition: toy\nmetric: rmse\nid: id\n");
    let graphs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../infer/tests/graphs");
    workspace.copy(graphs.join(IMAGE), format!("models/toy/image/{IMAGE}"));
    workspace.write(
        "models/toy/image/model.yaml",
        format!(
            "model: image\noutput: value\naverage: raw\n\
             stages:\n- name: main\n  graphs: {IMAGE}\n  \
             inputs: {{x: {{table: t, shape: [1, {height}, {width}]}}}}\n\
             tables: {{t: {{test: {table}}}}}\n"
        ),
    );
    workspace
}

fn predict(workspace: &Workspace, more: &[&str]) -> Output {
    workspace.blend(&[&["--json", "--threads", "1", "predict", "--engine", "rten", "--force"], more].concat())
}

/// An npy file of f32: `values`, then zeros that take no room on the disk.
fn npy(path: &Path, shape: &[usize], values: &[f32]) {
    let sizes: Vec<String> = shape.iter().map(|n| format!("{n},")).collect();
    let mut header = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': ({}), }}", sizes.join(" "));
    header += &" ".repeat(63 - (10 + header.len()) % 64);
    header.push('\n');
    let mut file = File::create(path).expect("a file");
    file.write_all(b"\x93NUMPY\x01\x00").expect("magic");
    file.write_all(&(header.len() as u16).to_le_bytes()).expect("length");
    file.write_all(header.as_bytes()).expect("header");
    let start = file.stream_position().expect("position");
    values.iter().for_each(|value| file.write_all(&value.to_le_bytes()).expect("values"));
    file.set_len(start + 4 * shape.iter().product::<usize>() as u64).expect("length");
}

fn outputs(workspace: &Workspace) -> Vec<f64> {
    let table =
        crate::support::table(&workspace.path("models/toy/image/test.feather"), blend_store::IdSpec::FirstColumn);
    table.numbers("output_0").expect("numbers")
}

#[test]
fn arrays_of_three_dimensions_are_fed_as_they_are() {
    let workspace = workspace("x.npy", 2, 3);
    let values: Vec<f32> = (0..30).map(|at| (at * 7 % 11) as f32).collect();
    npy(&workspace.path("models/toy/image/x.npy"), &[5, 2, 3], &values);
    predict(&workspace, &[]).expect(0);
    let largest = |image: &[f32]| (0..3).map(|at| f64::from(image[at] + image[at + 3])).fold(f64::MIN, f64::max);
    assert_eq!(outputs(&workspace), values.chunks(6).map(largest).collect::<Vec<f64>>());
    // The record says how it was made.
    let record = String::from_utf8(workspace.read("models/toy/image/run.yaml")).expect("text");
    for line in ["engine: rten", "device: cpu", "workers: 1", "precision: f32", "rows: 5"] {
        assert!(record.contains(line), "{record}");
    }
    for key in ["library: ", "seconds: ", "rows_per_second: ", "peak_memory_bytes: "] {
        assert!(record.contains(&format!("\n{key}")), "{record}");
    }
    let wrong = predict(&self::workspace("x.npy", 2, 3), &[]);
    assert_eq!(wrong.code, 4, "{}", wrong.stderr);
}

/// Peak memory less the sums and results that lie in files.
fn peak(said: &Output) -> f64 {
    let said = said.json();
    let filed = said["models"][0]["filed_bytes"].as_f64().expect("bytes in files");
    said["peak_rss_bytes"].as_f64().expect("the peak") - filed
}

/// Ten times the rows, far more than what is held, take at most a fifth more memory.
#[test]
fn memory_does_not_grow_with_the_table() {
    let grows = |table: &str, write: &dyn Fn(&Path, usize)| {
        let run = |n: usize| {
            let workspace = workspace(table, 32, 32);
            write(&workspace.path(format!("models/toy/image/{table}")), n);
            let peak = peak(&predict(&workspace, &[]).expect(0));
            assert_eq!(outputs(&workspace).len(), n);
            peak
        };
        let (one, ten) = (run(9_000), run(90_000));
        assert!(ten <= 1.2 * one, "{table}: {ten} bytes at ten times the rows, {one} before");
    };
    // 37 and 370 MB of values.
    grows("x.npy", &|path, n| npy(path, &[n, 1024], &[1.0; 1024]));
    // 18 and 185 MB of text, packed and with quotes, a line feed between two of them.
    grows("x.csv.gz", &|path, n| {
        let packed = GzEncoder::new(File::create(path).expect("a file"), Compression::fast());
        let mut file = BufWriter::new(packed);
        let header: Vec<String> = (0..1024).map(|column| format!("c{column}")).collect();
        writeln!(file, "id,\"\n\",{}", header[1..].join(",")).expect("a header");
        let cells = ",7".repeat(1024);
        (0..n).for_each(|row| writeln!(file, "\"{row}\"{cells}").expect("a line"));
        file.into_inner().expect("flushed").finish().expect("packed");
    });
}

/// Sums and results that are too large for memory lie in files that nobody sees, and nothing else changes.
#[test]
fn large_results_lie_in_files() {
    let workspace = workspace("x.npy", 1, 1);
    let n = 8_400_000;
    npy(&workspace.path("models/toy/image/x.npy"), &[n, 1], &[3.5]);
    let before = std::fs::read_dir(workspace.path("models/toy/image")).expect("the folder").count();
    let said = predict(&workspace, &["--batch-size", "65536"]).expect(0).json();
    let (sums, results) = (8 * n, 0);
    assert_eq!(said["models"][0]["filed_bytes"], sums + results);
    let stored = outputs(&workspace);
    assert_eq!((stored.len(), stored[0], stored[n - 1]), (n, 3.5, 0.0));
    let after = std::fs::read_dir(workspace.path("models/toy/image")).expect("the folder").count();
    assert_eq!(after, before + 2, "the outputs and their record");
}

/// A device that is not there, among several: an error before anything runs, with what to do.
#[test]
fn devices_that_are_not_there() {
    let workspace = digits::workspace(&["logreg"]);
    let run = |device: &str| workspace.blend(&["predict", "--engine", "rten", "--device", device]);
    for device in ["cuda", "cuda:1", "cuda:0,1"] {
        let said = run(device);
        assert_eq!(said.code, 4, "{}", said.stderr);
        assert!(said.stderr.contains("the embedded engine runs on the CPU only"), "{}", said.stderr);
        assert!(said.stderr.contains(&format!("--device {device}")) && said.stderr.contains("hint"), "{}", said.stderr);
    }
    for device in ["cuda:", "cuda:64", "gpu", "cuda:0,x"] {
        let said = run(device);
        assert_eq!(said.code, 2, "{}", said.stderr);
        assert!(said.stderr.contains("cuda:N,M"), "{}", said.stderr);
    }
}

/// A fold map with a row in two folds: one of their graphs has seen it.
#[test]
fn a_row_of_two_folds_is_refused() {
    let workspace = digits::workspace(&["logreg"]);
    let train = String::from_utf8(workspace.read("models/digits/data/train.csv")).expect("text");
    let mut lines = train.lines().map(|line| line.split(',').collect::<Vec<_>>());
    let header = lines.next().expect("a header");
    let at = header.iter().position(|name| *name == "fold").expect("a column of folds");
    let mut folds: Vec<String> = lines.map(|cells| format!("{},{}", cells[0], cells[at])).collect();
    let manifest = "models/digits/logreg/model.yaml";
    let text = String::from_utf8(workspace.read(manifest)).expect("text");
    workspace.write(manifest, format!("{text}\nfolds: {{file: ../data/folds.csv, column: fold}}\n"));
    let map = |folds: &[String]| {
        let text = format!("{},fold\n{}\n", header[0], folds.join("\n"));
        workspace.write("models/digits/data/folds.csv", text);
    };
    let (id, fold) = folds[0].split_once(',').expect("two cells");
    let (id, other) = (id.to_owned(), if fold == "0" { 1 } else { 0 });
    folds.push(format!("{id},{other}"));
    map(&folds);
    let said = workspace.blend(&["predict", "--engine", "rten"]);
    assert_eq!(said.code, 3, "{}", said.stderr);
    assert!(said.stderr.contains(&format!("id `{id}` stands in rows 0 and")), "{}", said.stderr);
    assert!(said.stderr.contains("folds.csv"), "{}", said.stderr);
    assert!(!workspace.path("models/digits/logreg/oof.feather").exists());
    folds.pop();
    map(&folds);
    workspace.blend(&["predict", "--engine", "rten"]).expect(0);
}

const STORED: [&str; 4] = [
    "models/digits/mlp/oof.feather",
    "models/digits/mlp/test.feather",
    "models/digits/logreg/oof.feather",
    "models/digits/logreg/test.feather",
];

/// Two models of the demo on the embedded engine.
fn both(workspace: &Workspace, more: &[&str]) -> Output {
    workspace.blend(&[&["--json", "predict", "--engine", "rten"], more].concat())
}

/// The same bytes whoever runs the graphs, and however often the run was stopped; what is there is run again only by force.
#[test]
fn a_run_in_parts_gives_the_bytes_of_a_run_at_once() {
    let workspace = digits::workspace(&["logreg", "mlp"]);
    let bytes = || STORED.map(|path| workspace.read(path));
    both(&workspace, &["--threads", "1"]).expect(0);
    let at_once = bytes();
    let skipped = |said: &Output| {
        let models = said.json()["models"].as_array().expect("models").clone();
        models.iter().map(|model| model["skipped"].as_bool().expect("a flag")).collect::<Vec<_>>()
    };
    assert_eq!(skipped(&both(&workspace, &[]).expect(0)), [true, true]);
    assert_eq!(skipped(&both(&workspace, &["--force"]).expect(0)), [false, false]);
    assert!(bytes() == at_once);
    for more in [&["--executor", "local:2"][..], &["--threads", "3"]] {
        STORED.iter().for_each(|path| std::fs::remove_file(workspace.path(path)).expect("removed"));
        assert_eq!(skipped(&both(&workspace, more).expect(0)), [false, false]);
        assert!(bytes() == at_once, "{more:?}");
    }
    // The time is up before anything is done: nothing that is stored is touched, and the next run ends it.
    let late = both(&workspace, &["--force", "--time-budget", "0s"]);
    assert_eq!(late.code, 75, "{}", late.stderr);
    assert!(
        late.stderr.contains("the time budget is used up") && late.stderr.contains("run it again"),
        "{}",
        late.stderr
    );
    assert!(bytes() == at_once);
    both(&workspace, &["--force"]).expect(0);
    assert!(bytes() == at_once);
}

/// What a run would cost, and whether there is time for it; nothing is stored.
#[test]
fn a_dry_run_counts_and_measures() {
    let workspace = digits::workspace(&["mlp"]);
    let run = |more: &[&str]| both(&workspace, &[&["--dry-run"], more].concat());
    let said = run(&["--time-budget", "9h"]).expect(0).json();
    let stage = &said["models"][0]["stages"][0];
    let n_rows = |table: &str| {
        let text = workspace.read(format!("models/digits/data/{table}_features.csv"));
        text.iter().filter(|byte| **byte == b'\n').count() - 1
    };
    // Two seeds of five graphs: each held-out row once a seed, each test row ten times.
    assert_eq!((stage["graphs"].as_u64(), stage["outputs"].as_u64()), (Some(10), Some(10)));
    assert_eq!(stage["rows"].as_u64(), Some((2 * n_rows("train") + 10 * n_rows("test")) as u64));
    assert!(stage["batches"].as_u64() >= Some(20) && said["models"][0]["bytes"].as_u64() > Some(0), "{said}");
    assert_eq!((said["within_time_budget"].as_bool(), said["dry_run"].as_bool()), (Some(true), Some(true)));
    let late = run(&["--time-budget", "0s"]);
    assert_eq!(late.code, 1, "{}", late.stderr);
    assert_eq!(late.json()["within_time_budget"], false);
    assert_eq!(run(&["--time-budget", "soon"]).code, 2);
    assert!(!workspace.path(STORED[0]).exists() && !workspace.path("models/digits/mlp/run.yaml").exists());
}

/// A value that is none, wherever it comes from: the model, the graph, the row and what to do.
#[test]
fn outputs_that_are_no_numbers_are_refused() {
    let workspace = workspace("x.csv", 1, 2);
    let graphs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../infer/tests/graphs");
    workspace.copy(graphs.join("dense_seed0_fold0.onnx"), "models/toy/image/dense.onnx");
    workspace.write(
        "models/toy/image/model.yaml",
        "model: image\noutput: value\nstages:\n- {name: main, graphs: dense.onnx, inputs: {x: {table: t}}}\n\
         tables: {t: {test: x.csv}}\n",
    );
    workspace.write("models/toy/image/x.csv", "id,a,b,c,d\nr1,1,2,3,4\nr2,1,,3,4\n");
    let said = predict(&workspace, &[]);
    assert_eq!(said.code, 3, "{}", said.stderr);
    for words in ["dense.onnx", "`image`", "r2", "hint: "] {
        assert!(said.stderr.contains(words), "{words}: {}", said.stderr);
    }
    assert!(!workspace.path("models/toy/image/test.feather").exists());
}

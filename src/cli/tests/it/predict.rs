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

//! Small competitions with models that are honest estimates of known rates: independent targets, classes, directions.

use crate::{
    support::{Output, Workspace},
    toy::run,
};
use std::fmt::Write as _;

pub(super) const ROWS: usize = 600;
pub(super) const TEST_ROWS: usize = 300;
pub(super) const MODELS: [&str; 5] = ["ada", "bea", "cyd", "dot", "eve"];
pub(super) const COLUMNS: [&str; 3] = ["x", "y", "z"];

/// What is predicted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Three independent labels of 0 and 1.
    Targets,
    /// One of three classes.
    Classes,
    /// A direction.
    Directions,
}

/// A number in (0, 1) that looks random.
pub(super) fn noise(a: usize, b: usize, c: usize) -> f64 {
    let mut z = ((a * 64 + b) * 65_536 + c).wrapping_mul(0x9e37_79b9_7f4a_7c15) as u64;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    (((z ^ (z >> 31)) >> 11) as f64 + 0.5) / (1_u64 << 53) as f64
}

/// Ids do not stand in the order of the text.
pub(super) fn id(test: bool, row: usize) -> String {
    let (prefix, n, stride) = if test { ('t', TEST_ROWS, 77) } else { ('r', ROWS, 367) };
    format!("{prefix}{:03}", row * stride % n)
}

fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

/// What labels are drawn from: log odds, log shares, components.
fn signal(kind: Kind, test: bool, column: usize, row: usize) -> f64 {
    let it = noise(usize::from(test), column, row) - 0.5;
    match kind {
        Kind::Targets => 6.0 * it,
        Kind::Classes => 6.0 * it,
        Kind::Directions => 2.0 * it,
    }
}

pub(super) fn label(kind: Kind, column: usize, row: usize) -> f64 {
    let drawn = noise(2, column, row);
    match kind {
        Kind::Targets => f64::from(u8::from(drawn < sigmoid(signal(kind, false, column, row)))),
        Kind::Classes => f64::from(u8::from(class(row) == column)),
        Kind::Directions => {
            let v: Vec<f64> = (0..3).map(|c| signal(kind, false, c, row)).collect();
            v[column] / v.iter().map(|x| x * x).sum::<f64>().sqrt()
        }
    }
}

fn class(row: usize) -> usize {
    // Gumbel's trick: the largest of log shares with noise is drawn by the shares.
    let score = |c: usize| signal(Kind::Classes, false, c, row) - (-noise(2, c, row).ln()).ln();
    (0..3).max_by(|a, b| score(*a).total_cmp(&score(*b))).unwrap_or_default()
}

/// A model's predictions, column by column.
pub(super) fn predictions(kind: Kind, model: usize, test: bool) -> Vec<Vec<f64>> {
    let n = if test { TEST_ROWS } else { ROWS };
    let raw = |c: usize, row: usize| {
        let error = noise(10 + 2 * model + usize::from(test), c, row) - 0.5;
        signal(kind, test, c, row) + 1.6 * error
    };
    let value = |c: usize, row: usize| match kind {
        Kind::Targets => sigmoid(raw(c, row)),
        Kind::Classes => raw(c, row).exp() / (0..3).map(|c| raw(c, row).exp()).sum::<f64>(),
        Kind::Directions => raw(c, row),
    };
    (0..3).map(|c| (0..n).map(|row| value(c, row)).collect()).collect()
}

/// `id,x,y,z` of all rows in the order of the truth.
pub(super) fn csv(test: bool, columns: &[Vec<f64>]) -> String {
    let order: Vec<usize> = (0..columns[0].len()).collect();
    csv_in(test, columns, &order)
}

/// The same, line after line of `order`.
pub(super) fn csv_in(test: bool, columns: &[Vec<f64>], order: &[usize]) -> String {
    let mut text = format!("id,{}\n", COLUMNS.join(","));
    for &row in order {
        let cells: Vec<String> = columns.iter().map(|column| column[row].to_string()).collect();
        let _ = writeln!(text, "{},{}", id(test, row), cells.join(","));
    }
    text
}

/// Row by row as little-endian numbers of `to`.
pub(super) fn bytes<const N: usize>(columns: &[Vec<f64>], to: fn(f64) -> [u8; N]) -> Vec<u8> {
    (0..columns[0].len()).flat_map(|row| columns.iter().flat_map(move |column| to(column[row]))).collect()
}

/// The competition without models.
pub(super) fn competition(kind: Kind) -> Workspace {
    let workspace = Workspace::new();
    let (metric, output) = match kind {
        Kind::Targets => ("log_loss", "targets: [x, y, z]"),
        Kind::Classes => ("multiclass_log_loss", "targets: [class]"),
        Kind::Directions => ("angular_error", "decode: {azimuth: azimuth, zenith: zenith}"),
    };
    let yaml = format!(
        "competition: c\nmetric: {metric}\ntruth: train.csv\nid: id\n{output}\nfolds: {{file: folds.csv, column: fold}}\n\
         sample_submission: sample.csv\n"
    );
    workspace.write("models/c/competition.yaml", yaml);
    let labels: Vec<Vec<f64>> = (0..3).map(|c| (0..ROWS).map(|row| label(kind, c, row)).collect()).collect();
    let mut folds = "id,fold\n".to_owned();
    let mut classes = "id,class\n".to_owned();
    let mut angles = "id,azimuth,zenith\n".to_owned();
    for row in 0..ROWS {
        let id = id(false, row);
        let _ = writeln!(folds, "{id},{}", row % 4);
        let _ = writeln!(classes, "{id},{}", COLUMNS[(0..3).find(|c| labels[*c][row] == 1.0).unwrap_or_default()]);
        let (azimuth, zenith) = blend_core::truth::angles([labels[0][row], labels[1][row], labels[2][row]]);
        let _ = writeln!(angles, "{id},{azimuth},{zenith}");
    }
    workspace.write("models/c/folds.csv", folds);
    let constant = |columns: usize, value: &str| {
        let cells = format!(",{value}").repeat(columns);
        (0..TEST_ROWS).map(|row| format!("{}{cells}\n", id(true, row))).collect::<String>()
    };
    let (truth, sample) = match kind {
        Kind::Targets => (csv(false, &labels), format!("id,x,y,z\n{}", constant(3, "0.5"))),
        Kind::Classes => (classes, format!("id,x,y,z\n{}", constant(3, "0.3"))),
        Kind::Directions => (angles, format!("id,azimuth,zenith\n{}", constant(2, "1"))),
    };
    workspace.write("models/c/train.csv", truth);
    workspace.write("models/c/sample.csv", sample);
    workspace
}

/// The competition with its models, all of them sound.
pub(super) fn imported(kind: Kind) -> Workspace {
    let workspace = competition(kind);
    for (i, model) in MODELS.iter().enumerate() {
        let oof = format!("in/{model}_oof.csv");
        let test = format!("in/{model}_test.csv");
        workspace.write(&oof, csv(false, &predictions(kind, i, false)));
        workspace.write(&test, csv(true, &predictions(kind, i, true)));
        import(&workspace, model, &[&oof], &["--test", &test]).expect(0);
    }
    workspace
}

pub(super) fn import(workspace: &Workspace, model: &str, oof: &[&str], more: &[&str]) -> Output {
    run(workspace, &[&["import", model, "--oof"], oof, more].concat())
}

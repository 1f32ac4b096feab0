//! A table in memory and manifests over the small graphs.

#![allow(dead_code, unreachable_pub)]

use blend_core::{
    OutputKind, RowIndex, TableSource,
    manifest::{Average, InputSpec, Manifest, Precision, Stage, TableSpec},
    output::Encoding,
    source::{Column, ColumnType, SourceError},
};
use std::{
    collections::BTreeMap,
    ops::Range,
    path::{Path, PathBuf},
    sync::atomic::{AtomicUsize, Ordering},
};

pub struct MemTable {
    rows: RowIndex,
    columns: Vec<(String, ColumnType)>,
    values: Vec<Column>,
    /// Rows read so far, wanted or not.
    pub rows_read: AtomicUsize,
}

impl MemTable {
    pub fn new(ids: Vec<i64>, columns: Vec<(&str, Column)>) -> Self {
        let (names, values): (Vec<_>, Vec<_>) = columns.into_iter().unzip();
        let columns = names.into_iter().zip(&values).map(|(n, v): (&str, &Column)| (n.to_owned(), v.column_type()));
        Self {
            columns: columns.collect(),
            values,
            rows: RowIndex::from_ints(ids).unwrap(),
            rows_read: AtomicUsize::new(0),
        }
    }

    /// Columns `a` to `d` of f64 that depend on the id alone.
    pub fn features(ids: Vec<i64>) -> Self {
        let column = |j: usize| Column::F64(ids.iter().map(|&id| features(id)[j]).collect());
        let columns = ["a", "b", "c", "d"].iter().enumerate().map(|(j, name)| (*name, column(j))).collect();
        Self::new(ids.clone(), columns)
    }
}

/// The features of a row, exact in f32.
pub fn features(id: i64) -> [f64; 4] {
    [1.0, 2.0, 3.0, 4.0].map(|j| ((id as f64 * 7.0 + j * 5.0) % 11.0 - 5.0) / 4.0)
}

impl TableSource for MemTable {
    fn n_rows(&self) -> usize {
        self.rows.len()
    }
    fn columns(&self) -> &[(String, ColumnType)] {
        &self.columns
    }
    fn rows(&self) -> &RowIndex {
        &self.rows
    }
    fn read(&self, rows: Range<usize>, columns: &[usize]) -> Result<Vec<Column>, SourceError> {
        self.rows_read.fetch_add(rows.len(), Ordering::Relaxed);
        let cut = |column: &usize| match &self.values[*column] {
            Column::F32(v) => Column::F32(v[rows.clone()].to_vec()),
            Column::F64(v) => Column::F64(v[rows.clone()].to_vec()),
            Column::I64(v) => Column::I64(v[rows.clone()].to_vec()),
            Column::Bool(v) => Column::Bool(v[rows.clone()].to_vec()),
            Column::Text(v) => Column::Text(v[rows.clone()].to_vec()),
        };
        Ok(columns.iter().map(cut).collect())
    }
    fn place(&self) -> String {
        "memory".to_owned()
    }
}

pub fn graphs() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/graphs")
}

/// What the graph `dense_seed{seed}_fold{fold}` gives.
pub fn dense(seed: i64, fold: i64, x: [f64; 4]) -> [f64; 2] {
    let k = seed * 3 + fold + 1;
    let w = |i: i64, j: i64| (k * (i + 1) * (j + 1) % 7 - 3) as f64 / 4.0;
    [0, 1].map(|j| (0..4).map(|i| x[i as usize] * w(i, j)).sum::<f64>() + (seed - fold + j) as f64 / 2.0)
}

pub fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

/// `input` fed with `columns` of the table `features`.
pub fn table(columns: Option<&[&str]>) -> InputSpec {
    let columns = columns.map(|columns| columns.iter().map(|&column| column.to_owned()).collect());
    InputSpec::Table { table: "features".to_owned(), columns, shape: None, transform: None }
}

pub fn stage(name: &str, graphs: &str, inputs: &[(&str, InputSpec)]) -> Stage {
    Stage {
        name: name.to_owned(),
        graphs: graphs.to_owned(),
        seeds: Vec::new(),
        inputs: inputs.iter().map(|(name, spec)| ((*name).to_owned(), spec.clone())).collect(),
        output: None,
        kind: None,
        folds: None,
        folds_fingerprint: None,
    }
}

pub fn manifest(kind: OutputKind, average: Average, stages: Vec<Stage>) -> Manifest {
    let spec = TableSpec { train: None, test: None, columns: None, array: None };
    Manifest {
        model: "model".parse().unwrap(),
        folder: graphs(),
        encoding: Encoding::plain(kind),
        average,
        claimed: None,
        export: None,
        stages,
        folds: None,
        folds_fingerprint: None,
        events: BTreeMap::new(),
        tables: BTreeMap::from([("features".to_owned(), spec)]),
        batch_size: 16,
        precision: Precision::F32,
        allowed_domains: Vec::new(),
        allow: BTreeMap::new(),
    }
}

//! ONNX graphs to predictions: the only room that names `ort` (ONNX Runtime, loaded at run time) and `rten` (the
//! embedded engine, pure Rust).
//!
//! [`Runtime::open`] finds an engine, [`predict`] runs a model's graphs over the rows of its tables and averages them
//! over seeds and folds, [`scan::scan_file`] looks into a graph before any engine does, [`mod@doctor`] and [`install`] serve the
//! verbs of the same names. Nothing here prints: what a person should know comes back as notes, the rest goes to
//! `tracing`.
//!
//! Shapes are `(n_rows, n_outputs)`; values come back column by column.

mod average;
mod batch;
pub mod doctor;
mod engine;
pub mod error;
pub mod install;
pub mod pipeline;
mod plan;
pub mod runtime;
pub mod scan;
mod table;
mod work;

pub use doctor::doctor;
pub use error::{InferError, Kind};
pub use pipeline::{
    GraphFile, GraphTime, Prediction, Progress, Request, RunReport, Split, Splits, Tables, Values, predict,
};
pub use runtime::{Device, EngineChoice, RanOn, Runtime, RuntimeError, Search};

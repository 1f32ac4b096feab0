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
mod buffer;
mod cut;
pub mod doctor;
mod engine;
pub mod error;
mod events;
mod feed;
pub mod install;
pub mod metric;
mod partial;
pub mod pipeline;
mod plan;
mod pool;
pub mod request;
pub mod runtime;
pub mod scan;
mod sums;
mod table;
mod work;

pub use doctor::doctor;
pub use error::{InferError, Kind};
pub use metric::{MetricGraph, MetricGraphError};
pub use pipeline::{Estimate, StageEstimate, estimate, predict, serve};
pub use request::{
    EventTables, Executor, FoldMaps, GraphFile, GraphTime, Pace, Partial, Prediction, Progress, PulseTables, Remote,
    Request, RunReport, Shard, ShardError, Split, Splits, Tables, Values,
};
pub use runtime::{Device, EngineChoice, Gpus, RanOn, Runtime, RuntimeError, Search};

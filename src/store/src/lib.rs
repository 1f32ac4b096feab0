//! Tables on disk and the types of `blend-core`, both ways. The only room that names polars.
//!
//! * [`feather`]: the stored outputs of base models, memory-mapped and fingerprinted.
//! * [`table`]: any table in CSV, parquet, Feather, npy or npz, typed, in memory.
//! * [`stream`]: the same of any length, in pieces.
//! * [`mod@align`]: a table's values in the order of a row index, from one file or from one file per fold.
//! * [`text`]: a table as CSV.
//! * [`atomic`]: a published file is whole or absent.
//!
//! No foreign type stands in a public signature. A file is hostile until read: garbage is a [`StoreError`], never a
//! panic.

pub mod align;
pub mod atomic;
mod csv;
pub mod error;
pub mod feather;
mod frame;
mod ipc;
mod npy;
mod npz;
mod parquet;
pub mod stream;
pub mod table;
pub mod text;

pub use align::{Width, align, concat_parts};
pub use error::{Kind, StoreError};
pub use feather::Outputs;
pub use frame::panic_is_handled;
pub use stream::StreamOptions;
pub use table::{IdSpec, ReadOptions, Table};
pub use text::csv_text;

//! The two engines behind one small trait. One session per graph and worker; tensors are our own, so that nothing of
//! the engines' types leaves this folder.

pub(crate) mod ort;
pub(crate) mod rten;

use crate::{error::EngineError, pool::Pool, scan::Scan};
use half::f16;
use std::{fmt, path::Path};

/// The element type of a tensor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DType {
    F32,
    F64,
    F16,
    I64,
    I32,
    Bool,
    Text,
    /// A sequence of maps from class to probability, as scikit-learn's exports end; comes out as `(n_rows, n_classes)`
    /// in ascending order of the class.
    ClassMaps,
    /// Anything else, by its ONNX name.
    Other(&'static str),
}

impl DType {
    pub(crate) fn is_float(self) -> bool {
        matches!(self, Self::F32 | Self::F64 | Self::F16)
    }
}

impl fmt::Display for DType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::F32 => "f32",
            Self::F64 => "f64",
            Self::F16 => "f16",
            Self::I64 => "i64",
            Self::I32 => "i32",
            Self::Bool => "bool",
            Self::Text => "text",
            Self::ClassMaps => "class maps",
            Self::Other(name) => name,
        })
    }
}

/// An input or output of a graph.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Port {
    pub(crate) name: String,
    pub(crate) dtype: DType,
    /// Sizes, `None` where dynamic; `None` as a whole where the graph does not declare a shape.
    pub(crate) dims: Option<Vec<Option<usize>>>,
}

impl fmt::Display for Port {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.dtype)?;
        let Some(dims) = &self.dims else { return Ok(()) };
        let sizes: Vec<String> = dims.iter().map(|dim| dim.map_or_else(|| "?".to_owned(), |n| n.to_string())).collect();
        write!(f, " ({})", sizes.join(", "))
    }
}

/// A tensor in row-major order.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Tensor {
    pub(crate) shape: Vec<usize>,
    pub(crate) data: Data,
}

/// The values of a tensor.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Data {
    F32(Vec<f32>),
    F64(Vec<f64>),
    F16(Vec<f16>),
    I64(Vec<i64>),
    I32(Vec<i32>),
    Bool(Vec<bool>),
    Text(Vec<String>),
}

macro_rules! each {
    ($data:expr, $v:ident => $body:expr) => {
        match $data {
            Data::F32($v) => $body,
            Data::F64($v) => $body,
            Data::F16($v) => $body,
            Data::I64($v) => $body,
            Data::I32($v) => $body,
            Data::Bool($v) => $body,
            Data::Text($v) => $body,
        }
    };
}

macro_rules! remake {
    ($data:expr, $v:ident => $body:expr) => {
        match $data {
            Data::F32($v) => Data::F32($body),
            Data::F64($v) => Data::F64($body),
            Data::F16($v) => Data::F16($body),
            Data::I64($v) => Data::I64($body),
            Data::I32($v) => Data::I32($body),
            Data::Bool($v) => Data::Bool($body),
            Data::Text($v) => Data::Text($body),
        }
    };
}

impl Data {
    /// Puts `more` behind; `None` where it is of another type.
    pub(crate) fn append(&mut self, more: Self) -> Option<()> {
        match (self, more) {
            (Self::F32(v), Self::F32(more)) => v.extend(more),
            (Self::F64(v), Self::F64(more)) => v.extend(more),
            (Self::F16(v), Self::F16(more)) => v.extend(more),
            (Self::I64(v), Self::I64(more)) => v.extend(more),
            (Self::I32(v), Self::I32(more)) => v.extend(more),
            (Self::Bool(v), Self::Bool(more)) => v.extend(more),
            (Self::Text(v), Self::Text(more)) => v.extend(more),
            _ => return None,
        }
        Some(())
    }

    /// The first `n` values.
    pub(crate) fn truncate(&mut self, n: usize) {
        each!(self, v => v.truncate(n));
    }

    /// Its type.
    pub(crate) fn dtype(&self) -> DType {
        match self {
            Self::F32(_) => DType::F32,
            Self::F64(_) => DType::F64,
            Self::F16(_) => DType::F16,
            Self::I64(_) => DType::I64,
            Self::I32(_) => DType::I32,
            Self::Bool(_) => DType::Bool,
            Self::Text(_) => DType::Text,
        }
    }

    /// As f64, `None` for text and booleans.
    pub(crate) fn to_f64(&self) -> Option<Vec<f64>> {
        Some(match self {
            Self::F32(v) => v.iter().map(|&x| f64::from(x)).collect(),
            Self::F64(v) => v.clone(),
            Self::F16(v) => v.iter().map(|&x| f64::from(x)).collect(),
            Self::I64(v) => v.iter().map(|&x| x as f64).collect(),
            Self::I32(v) => v.iter().map(|&x| f64::from(x)).collect(),
            Self::Bool(_) | Self::Text(_) => return None,
        })
    }
}

impl Tensor {
    /// Rows `start..start + n` of the first dimension; the last row is repeated until there are `pad_to`.
    pub(crate) fn rows(&self, start: usize, n: usize, pad_to: usize) -> Self {
        let width: usize = self.shape[1..].iter().product();
        let data = remake!(&self.data, v => {
            let mut rows = v[start * width..(start + n) * width].to_vec();
            for _ in n..pad_to {
                rows.extend_from_slice(&v[(start + n - 1) * width..(start + n) * width]);
            }
            rows
        });
        let mut shape = self.shape.clone();
        shape[0] = pad_to.max(n);
        Self { shape, data }
    }
}

/// Where a session runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    Cpu,
    /// A CUDA device; `strict` refuses a graph of which a node would run on the CPU.
    Cuda {
        index: u32,
        strict: bool,
    },
}

/// A graph as it is handed to an engine: already scanned.
#[derive(Debug, Clone, Copy)]
pub(crate) struct GraphSource<'a> {
    pub(crate) path: &'a Path,
    pub(crate) bytes: &'a [u8],
    pub(crate) scan: &'a Scan,
}

/// Makes sessions.
pub(crate) trait Engine: Send + Sync {
    /// A session of `graph` with `threads` threads of its own, at `place`.
    fn load(&self, graph: GraphSource<'_>, threads: usize, place: Place) -> Result<Box<dyn Session>, EngineError>;
}

/// A loaded graph.
pub(crate) trait Session: Send {
    /// What must be fed, in the graph's order.
    fn inputs(&self) -> &[Port];
    /// What comes out, in the graph's order.
    fn outputs(&self) -> &[Port];
    /// Runs the graph and gives output number `output`, in a vector of the pool where the engine keeps its own.
    fn run(&mut self, inputs: &[(&str, Tensor)], output: usize, pool: &Pool) -> Result<Tensor, EngineError>;
}

/// Turns a panic of an engine into an error: one bad graph must not end a run over many models.
pub(crate) fn guarded<T>(
    engine: &'static str,
    action: impl FnOnce() -> Result<T, EngineError>,
) -> Result<T, EngineError> {
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(action)).unwrap_or_else(|panic| {
        let message = panic
            .downcast_ref::<&str>()
            .map(ToString::to_string)
            .or_else(|| panic.downcast_ref::<String>().cloned())
            .unwrap_or_default();
        Err(EngineError::Panicked { engine, message })
    })
}

#[cfg(test)]
mod real;
#[cfg(test)]
mod tests;

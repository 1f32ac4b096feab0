//! A look into a graph before any engine sees it.
//!
//! A graph is a file from somewhere. Engines trust it: they open the files that it names and allocate what it asks for.
//! So its bytes are walked first, by a reader that knows only the protobuf wire format and the handful of ONNX fields
//! that matter: sizes, operators and their domains, inputs and outputs, and every place where a tensor may lie in
//! another file (initializers, sparse initializers, attributes, subgraphs, functions, training graphs).
//!
//! Work is linear in the file's size and recursion is bounded; malformed bytes are an error, never a panic.

mod external;
mod walk;
mod wire;

use crate::{engine::Port, error::Kind};
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

pub use wire::WireError;

/// Operator domains that every engine knows; others are refused unless the manifest lists them or the graph itself
/// defines the function.
pub const STANDARD_DOMAINS: [&str; 4] = ["", "ai.onnx", "ai.onnx.ml", "ai.onnx.training"];

/// How large a graph may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of the file. Protobuf itself ends at 2 GiB.
    pub bytes: u64,
    /// Nodes, those of subgraphs and functions counted.
    pub nodes: usize,
    /// Bytes of all external files together.
    pub external_bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { bytes: 2 << 30, nodes: 1_000_000, external_bytes: 64 << 30 }
    }
}

/// What a graph says of itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Scan {
    /// Nodes, those of subgraphs and functions counted.
    pub n_nodes: usize,
    /// Imported operator sets, the highest version of each domain.
    pub opsets: BTreeMap<String, i64>,
    /// Operators used, by domain and type, with how often.
    pub operators: BTreeMap<(String, String), usize>,
    /// External files, relative to the graph's folder, in order of name, each once.
    pub external: Vec<String>,
    /// What must be fed: declared inputs that no initializer fills.
    pub(crate) inputs: Vec<Port>,
    /// What comes out.
    pub(crate) outputs: Vec<Port>,
}

impl Scan {
    /// Names of the inputs that must be fed, with type and shape in words.
    #[must_use]
    pub fn inputs(&self) -> Vec<(String, String)> {
        self.inputs.iter().map(|port| (port.name.clone(), port.to_string())).collect()
    }

    /// Names of the outputs, with type and shape in words.
    #[must_use]
    pub fn outputs(&self) -> Vec<(String, String)> {
        self.outputs.iter().map(|port| (port.name.clone(), port.to_string())).collect()
    }
}

/// Why a graph is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ScanError {
    /// A file that is not regular: a folder, a device, a pipe.
    #[error("it is no regular file")]
    NotRegular,
    /// Too many bytes.
    #[error("{bytes} bytes are more than {limit}")]
    TooLarge {
        /// Bytes.
        bytes: u64,
        /// Allowed.
        limit: u64,
    },
    /// Too many nodes.
    #[error("it has more than {limit} nodes")]
    TooManyNodes {
        /// Allowed.
        limit: usize,
    },
    /// Messages within messages without end.
    #[error("it is nested deeper than {limit} levels")]
    TooDeep {
        /// Allowed.
        limit: usize,
    },
    /// Bytes that are no protobuf.
    #[error("it is no ONNX graph, or damaged")]
    Wire(#[from] WireError),
    /// A protobuf that is no graph.
    #[error("it is no ONNX graph: it has no {0}")]
    NoGraph(&'static str),
    /// An operator of a domain that is not allowed.
    #[error("operator `{operator}` is of domain `{domain}`, which is not allowed")]
    Domain {
        /// The domain.
        domain: String,
        /// The operator.
        operator: String,
    },
    /// An external file outside the graph's folder.
    #[error("its data in `{location}` {reason}")]
    External {
        /// The file as the graph names it.
        location: String,
        /// What is wrong with it.
        reason: String,
    },
    /// An external file that is not there.
    #[error("its data in `{location}` is not there")]
    ExternalMissing {
        /// The file as the graph names it.
        location: String,
    },
}

impl ScanError {
    /// Whose turn it is.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            Self::ExternalMissing { .. } => Kind::Machine,
            Self::Domain { .. } => Kind::Usage,
            _ => Kind::Data,
        }
    }
}

/// Why a file could not be scanned.
#[derive(Debug, thiserror::Error)]
pub enum ScanFileError {
    /// It could not be read.
    #[error("{path} could not be read")]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// It is refused.
    #[error("{path} is refused")]
    Refused {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: ScanError,
    },
}

/// Reads and scans the graph at `path`; gives its bytes, too, so that what was scanned is what is run.
///
/// External files are checked where they lie: below the graph's folder, regular, no links, long enough.
pub fn scan_file(path: &Path, allowed_domains: &[String], limits: Limits) -> Result<(Scan, Vec<u8>), ScanFileError> {
    let io = |source| ScanFileError::Io { path: path.to_owned(), source };
    let refused = |source| ScanFileError::Refused { path: path.to_owned(), source };
    let metadata = std::fs::metadata(path).map_err(io)?;
    if !metadata.is_file() {
        return Err(refused(ScanError::NotRegular));
    }
    if metadata.len() > limits.bytes {
        return Err(refused(ScanError::TooLarge { bytes: metadata.len(), limit: limits.bytes }));
    }
    let bytes = std::fs::read(path).map_err(io)?;
    let folder = path.parent().unwrap_or_else(|| Path::new("."));
    let scan = scan_bytes(&bytes, Some(folder), allowed_domains, limits).map_err(refused)?;
    Ok((scan, bytes))
}

/// Scans the bytes of a graph. Without a `folder` external data is refused.
pub fn scan_bytes(
    bytes: &[u8],
    folder: Option<&Path>,
    allowed_domains: &[String],
    limits: Limits,
) -> Result<Scan, ScanError> {
    if bytes.len() as u64 > limits.bytes {
        return Err(ScanError::TooLarge { bytes: bytes.len() as u64, limit: limits.bytes });
    }
    let mut found = walk::walk(bytes, limits)?;
    found.refuse_domains(allowed_domains)?;
    let external = external::check(&found.external, folder, limits)?;
    let filled = std::mem::take(&mut found.initializers);
    found.scan.inputs.retain(|port| !filled.contains(&port.name));
    Ok(Scan { external, ..found.scan })
}

#[cfg(test)]
mod tests;

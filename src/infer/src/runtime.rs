//! Finding an engine and a device.
//!
//! ONNX Runtime is looked for in one order: `--ort-lib`, `ORT_DYLIB_PATH`, the workspace's `.ort/`, next to the binary,
//! the active virtual environment, the system. A library that was named and cannot be loaded is an error; where none
//! was named and none is found, the embedded engine runs and a note says so.

mod cuda;
mod find;

use crate::{
    engine::{self, Engine, Place, ort::OrtEngine},
    error::Kind,
};
use std::{
    fmt,
    path::{Path, PathBuf},
    str::FromStr,
};

pub use cuda::{CudaFacts, facts as cuda_facts};
pub(crate) use find::candidates;

/// `--engine`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EngineChoice {
    /// ONNX Runtime, or an error.
    Ort,
    /// The embedded engine.
    Rten,
}

/// `--device`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Device {
    /// CUDA where it can be had, else the CPU, with a note.
    #[default]
    Auto,
    /// The CPU.
    Cpu,
    /// A CUDA device by number; an error where it cannot be had or a node would run on the CPU.
    Cuda(u32),
}

impl FromStr for Device {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "auto" => Ok(Self::Auto),
            "cpu" => Ok(Self::Cpu),
            "cuda" => Ok(Self::Cuda(0)),
            _ => {
                let index = text.strip_prefix("cuda:").and_then(|index| index.parse().ok());
                index.map(Self::Cuda).ok_or_else(|| format!("`{text}` is no device: auto, cpu, cuda or cuda:N"))
            }
        }
    }
}

impl fmt::Display for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::Cpu => f.write_str("cpu"),
            Self::Cuda(index) => write!(f, "cuda:{index}"),
        }
    }
}

/// The device that really ran.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RanOn {
    /// The CPU.
    Cpu,
    /// A CUDA device.
    Cuda(u32),
    /// Some graphs on a CUDA device, some on the CPU (`auto` only).
    Mixed(u32),
}

impl fmt::Display for RanOn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cpu => f.write_str("cpu"),
            Self::Cuda(index) => write!(f, "cuda:{index}"),
            Self::Mixed(index) => write!(f, "cuda:{index}+cpu"),
        }
    }
}

/// Where to look for ONNX Runtime. Everything is given, so that a test decides what there is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Search {
    /// `--engine`.
    pub engine: Option<EngineChoice>,
    /// `--ort-lib`: a library, or a folder that holds one.
    pub library: Option<PathBuf>,
    /// `ORT_DYLIB_PATH`.
    pub env_library: Option<PathBuf>,
    /// The workspace's folder.
    pub workspace: Option<PathBuf>,
    /// This program.
    pub exe: Option<PathBuf>,
    /// `VIRTUAL_ENV` and `CONDA_PREFIX`, as far as set.
    pub environments: Vec<PathBuf>,
    /// Whether the system's loader may be asked.
    pub system: bool,
}

impl Search {
    /// What this process's environment says, for a workspace.
    #[must_use]
    pub fn from_env(workspace: Option<&Path>) -> Self {
        let variable = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        Self {
            engine: None,
            library: None,
            env_library: variable("ORT_DYLIB_PATH"),
            workspace: workspace.map(ToOwned::to_owned),
            exe: std::env::current_exe().ok(),
            environments: [variable("VIRTUAL_ENV"), variable("CONDA_PREFIX")].into_iter().flatten().collect(),
            system: true,
        }
    }
}

/// Where a candidate comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// `--ort-lib`.
    Option,
    /// `ORT_DYLIB_PATH`.
    Variable,
    /// The workspace's `.ort/`.
    Workspace,
    /// Next to the program.
    Program,
    /// A virtual environment.
    Environment,
    /// The system's loader.
    System,
}

impl Origin {
    /// Whether a person named it: then it is that library or none.
    #[must_use]
    pub fn is_named(self) -> bool {
        matches!(self, Self::Option | Self::Variable)
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Option => "--ort-lib",
            Self::Variable => "ORT_DYLIB_PATH",
            Self::Workspace => "workspace",
            Self::Program => "next to the program",
            Self::Environment => "virtual environment",
            Self::System => "system",
        })
    }
}

/// A library that was tried.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// Where it comes from.
    pub origin: Origin,
    /// The file.
    pub path: PathBuf,
    /// Why it could not be loaded; `None` where it was.
    pub error: Option<String>,
}

/// Why there is no engine, or not on that device.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RuntimeError {
    /// A library that was named cannot be loaded.
    #[error("the ONNX Runtime named by {origin}, {path}, cannot be loaded: {reason}")]
    Named {
        /// Who named it.
        origin: Origin,
        /// The file.
        path: PathBuf,
        /// The loader's text.
        reason: String,
    },
    /// `--engine ort`, and no library was found.
    #[error("no ONNX Runtime was found")]
    NotFound {
        /// What was tried.
        tried: Vec<Candidate>,
    },
    /// A CUDA device was asked for and cannot be had.
    #[error("device {device} cannot be had: {reason}")]
    Device {
        /// The device.
        device: String,
        /// Why.
        reason: String,
    },
}

impl RuntimeError {
    /// Whose turn it is.
    #[must_use]
    pub fn kind(&self) -> Kind {
        Kind::Machine
    }
}

/// An engine, ready to make sessions.
#[derive(Debug)]
pub struct Runtime {
    ort: Option<&'static OrtEngine>,
    tried: Vec<Candidate>,
    note: Option<String>,
}

/// Where a run goes, and what to say about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Placed {
    pub(crate) place: Place,
    pub(crate) note: Option<String>,
}

impl Runtime {
    /// Finds an engine. A process keeps the first library that it loads; asking for another one is an error.
    pub fn open(search: &Search) -> Result<Self, RuntimeError> {
        if search.engine == Some(EngineChoice::Rten) {
            return Ok(Self { ort: None, tried: Vec::new(), note: None });
        }
        let mut tried = Vec::new();
        for (origin, path) in candidates(search) {
            match engine::ort::open(&path) {
                Ok(ort) => {
                    tried.push(Candidate { origin, path, error: None });
                    return Ok(Self { ort: Some(ort), tried, note: None });
                }
                Err(reason) if origin.is_named() => return Err(RuntimeError::Named { origin, path, reason }),
                Err(reason) => tried.push(Candidate { origin, path, error: Some(reason) }),
            }
        }
        if search.engine == Some(EngineChoice::Ort) {
            return Err(RuntimeError::NotFound { tried });
        }
        let note = "no ONNX Runtime was found: the embedded engine runs the graphs that it can".to_owned();
        Ok(Self { ort: None, tried, note: Some(note) })
    }

    /// `onnxruntime` or `rten`.
    #[must_use]
    pub fn engine_name(&self) -> &'static str {
        if self.ort.is_some() { engine::ort::NAME } else { engine::rten::NAME }
    }

    /// The engine's version.
    #[must_use]
    pub fn version(&self) -> &str {
        self.ort.map_or(engine::rten::VERSION, |ort| &ort.version)
    }

    /// The library, where one was loaded.
    #[must_use]
    pub fn library(&self) -> Option<&Path> {
        self.ort.map(|ort| ort.path.as_path())
    }

    /// The execution providers compiled in, whether or not this machine can use them.
    #[must_use]
    pub fn providers(&self) -> Vec<String> {
        self.ort.map(OrtEngine::providers).unwrap_or_default()
    }

    /// What was tried, in order; the last one was loaded where it has no error.
    #[must_use]
    pub fn tried(&self) -> &[Candidate] {
        &self.tried
    }

    /// What a person should know, to be said once per process: that the embedded engine stands in.
    #[must_use]
    pub fn note(&self) -> Option<&str> {
        self.note.as_deref()
    }

    #[cfg(test)]
    pub(crate) fn ort(&self) -> Option<&'static OrtEngine> {
        self.ort
    }

    pub(crate) fn engine(&self) -> &dyn Engine {
        match &self.ort {
            Some(ort) => ort,
            None => &engine::rten::RtenEngine,
        }
    }

    /// Decides where a run goes. `cuda` cannot be had -> an error; `auto` -> the CPU, with a note where the machine or
    /// the library looked as if CUDA were meant.
    pub(crate) fn place(&self, device: Device) -> Result<Placed, RuntimeError> {
        let refuse = |index, reason: String| RuntimeError::Device { device: format!("cuda:{index}"), reason };
        match (device, self.ort) {
            (Device::Cpu, _) | (Device::Auto, None) => Ok(Placed { place: Place::Cpu, note: None }),
            (Device::Cuda(index), None) => Err(refuse(index, "the embedded engine runs on the CPU only".to_owned())),
            (Device::Cuda(index), Some(ort)) => {
                cuda::usable(ort, index).map_err(|reason| refuse(index, reason))?;
                Ok(Placed { place: Place::Cuda { index, strict: true }, note: None })
            }
            (Device::Auto, Some(ort)) => match cuda::usable(ort, 0) {
                Ok(()) => Ok(Placed { place: Place::Cuda { index: 0, strict: false }, note: None }),
                Err(reason) => {
                    let meant = ort.has_cuda() || cuda::driver().is_ok();
                    let note = meant.then(|| format!("CUDA cannot be had, the CPU runs: {reason}"));
                    Ok(Placed { place: Place::Cpu, note })
                }
            },
        }
    }

    /// Whether a CUDA device can really run a graph, tried on a tiny one.
    pub fn cuda_usable(&self, index: u32) -> Result<(), String> {
        let ort = self.ort.ok_or_else(|| "the embedded engine runs on the CPU only".to_owned())?;
        cuda::usable(ort, index)
    }
}

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

/// CUDA devices by number, or all that there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Gpus(u64);

impl Gpus {
    /// All that there are.
    pub const ALL: Self = Self(0);
    /// One more than the highest number.
    pub const END: u32 = 64;

    /// The devices `numbers`, at least one; `None` where one is not below [`Self::END`].
    #[must_use]
    pub fn of(numbers: &[u32]) -> Option<Self> {
        let add = |set: u64, &number: &u32| (number < Self::END).then(|| set | 1 << number);
        numbers.iter().try_fold(0, add).filter(|set| *set != 0).map(Self)
    }

    /// Their numbers in ascending order; none where all are meant.
    #[must_use]
    pub fn numbers(self) -> Vec<u32> {
        (0..Self::END).filter(|number| self.0 >> number & 1 == 1).collect()
    }
}

impl FromStr for Gpus {
    type Err = ();
    fn from_str(text: &str) -> Result<Self, ()> {
        let numbers: Result<Vec<u32>, _> = text.split(',').map(str::parse).collect();
        numbers.ok().and_then(|numbers| Self::of(&numbers)).ok_or(())
    }
}

impl fmt::Display for Gpus {
    /// `cuda`, `cuda:1`, `cuda:0,1`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let numbers: Vec<String> = self.numbers().iter().map(u32::to_string).collect();
        f.write_str("cuda")?;
        if numbers.is_empty() { Ok(()) } else { write!(f, ":{}", numbers.join(",")) }
    }
}

/// `--device`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Device {
    /// CUDA where it can be had, else the CPU, with a note.
    #[default]
    Auto,
    /// The CPU.
    Cpu,
    /// CUDA devices; an error where one cannot be had or a node would run on the CPU.
    Cuda(Gpus),
}

impl FromStr for Device {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "auto" => Ok(Self::Auto),
            "cpu" => Ok(Self::Cpu),
            "cuda" => Ok(Self::Cuda(Gpus::ALL)),
            _ => {
                let gpus = text.strip_prefix("cuda:").and_then(|numbers| numbers.parse().ok());
                gpus.map(Self::Cuda)
                    .ok_or_else(|| format!("`{text}` is no device: auto, cpu, cuda, cuda:N or cuda:N,M"))
            }
        }
    }
}

impl fmt::Display for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::Cpu => f.write_str("cpu"),
            Self::Cuda(gpus) => write!(f, "{gpus}"),
        }
    }
}

/// The device that really ran.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RanOn {
    /// The CPU.
    Cpu,
    /// CUDA devices.
    Cuda(Gpus),
    /// Some graphs on CUDA devices, some on the CPU (`auto` only).
    Mixed(Gpus),
}

impl fmt::Display for RanOn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cpu => f.write_str("cpu"),
            Self::Cuda(gpus) => write!(f, "{gpus}"),
            Self::Mixed(gpus) => write!(f, "{gpus}+cpu"),
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
    /// The CPU alone, or one or more devices.
    pub(crate) places: Vec<Place>,
    pub(crate) note: Option<String>,
}

impl Placed {
    fn cpu(note: Option<String>) -> Self {
        Self { places: vec![Place::Cpu], note }
    }

    fn cuda(indices: &[u32], strict: bool) -> Self {
        Self { places: indices.iter().map(|&index| Place::Cuda { index, strict }).collect(), note: None }
    }

    pub(crate) fn is_cpu(&self) -> bool {
        self.places[0] == Place::Cpu
    }

    /// The devices; all where there is none.
    pub(crate) fn gpus(&self) -> Gpus {
        let index = |place: &Place| match place {
            Place::Cuda { index, .. } => Some(*index),
            Place::Cpu => None,
        };
        Gpus::of(&self.places.iter().filter_map(index).collect::<Vec<_>>()).unwrap_or_default()
    }
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

    /// Decides where a run goes. A device of `cuda` that cannot be had is an error; `auto` goes to the CPU then, with a
    /// note where the machine or the library looked as if CUDA were meant.
    pub(crate) fn place(&self, device: Device) -> Result<Placed, RuntimeError> {
        let refuse = |index, reason| RuntimeError::Device { device: format!("cuda:{index}"), reason };
        match (device, self.ort) {
            (Device::Cpu, _) | (Device::Auto, None) => Ok(Placed::cpu(None)),
            (Device::Cuda(gpus), _) => {
                let numbers = match &gpus.numbers()[..] {
                    [] => self.all_cuda().map_err(|reason| refuse(0, reason))?,
                    numbers => {
                        let usable = |&index: &u32| self.cuda_usable(index).map_err(|reason| refuse(index, reason));
                        numbers.iter().try_for_each(usable)?;
                        numbers.to_vec()
                    }
                };
                Ok(Placed::cuda(&numbers, true))
            }
            (Device::Auto, Some(ort)) => match self.all_cuda() {
                Ok(numbers) => Ok(Placed::cuda(&numbers, false)),
                Err(reason) => {
                    let meant = ort.has_cuda() || cuda::driver().is_ok();
                    Ok(Placed::cpu(meant.then(|| format!("CUDA cannot be had, the CPU runs: {reason}"))))
                }
            },
        }
    }

    /// Every CUDA device that runs a graph, counted up from 0; why the first does not.
    fn all_cuda(&self) -> Result<Vec<u32>, String> {
        self.cuda_usable(0)?;
        Ok((0..Gpus::END).take_while(|&index| self.cuda_usable(index).is_ok()).collect())
    }

    /// The CUDA devices that a run on `device` would use; an error where one was asked for and cannot be had.
    pub fn cuda_devices(&self, device: Device) -> Result<Vec<u32>, RuntimeError> {
        Ok(self.place(device)?.gpus().numbers())
    }

    /// Whether a CUDA device can really run a graph, tried on a tiny one.
    pub fn cuda_usable(&self, index: u32) -> Result<(), String> {
        let ort = self.ort.ok_or_else(|| "the embedded engine runs on the CPU only".to_owned())?;
        cuda::usable(ort, index)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_are_written_as_they_are_read() {
        for text in ["auto", "cpu", "cuda", "cuda:0", "cuda:3", "cuda:0,1", "cuda:1,5,63"] {
            assert_eq!(text.parse::<Device>().map(|device| device.to_string()).as_deref(), Ok(text));
        }
        assert_eq!("cuda:1,0,1".parse::<Device>().map(|device| device.to_string()).as_deref(), Ok("cuda:0,1"));
        for text in ["gpu", "cuda:", "cuda:x", "cuda:64", "cuda:0;1", "cuda:-1", "CUDA"] {
            assert!(text.parse::<Device>().unwrap_err().contains("cuda:N,M"), "{text}");
        }
        assert_eq!(Gpus::of(&[2, 0]).map(Gpus::numbers), Some(vec![0, 2]));
        assert_eq!((Gpus::of(&[]), Gpus::ALL.numbers()), (None, Vec::new()));
        assert_eq!(RanOn::Mixed(Gpus::of(&[0, 1]).unwrap()).to_string(), "cuda:0,1+cpu");
    }

    #[test]
    fn several_devices_are_several_places() {
        let placed = Placed::cuda(&[0, 2], true);
        let place = |index| Place::Cuda { index, strict: true };
        assert_eq!(placed.places, [place(0), place(2)]);
        assert_eq!((placed.is_cpu(), placed.gpus().numbers()), (false, vec![0, 2]));
        assert!(Placed::cpu(None).is_cpu());
        let runtime = Runtime { ort: None, tried: Vec::new(), note: None };
        for device in ["cuda", "cuda:1", "cuda:0,1"] {
            let error = runtime.place(device.parse().unwrap()).unwrap_err();
            assert!(error.to_string().contains("embedded engine runs on the CPU only"), "{error}");
        }
        assert_eq!(runtime.cuda_devices(Device::Auto), Ok(Vec::new()));
    }
}

//! Whether CUDA can be had. That a library has the provider compiled in says little; a driver, the CUDA libraries and a
//! session that really starts say all.

use crate::{
    engine::{Engine, GraphSource, Place, ort::OrtEngine},
    scan::{Limits, scan_bytes},
};
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    process::Command,
    sync::{Mutex, OnceLock, PoisonError},
};

/// `y = x + x`, f32 of shape (n, 1): the smallest graph with a kernel in it.
const TINY: &[u8] = include_bytes!("../engine/tiny.onnx");

/// What the machine says about CUDA.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CudaFacts {
    /// Whether the driver's library can be loaded, else the loader's text.
    pub driver: Result<(), String>,
    /// Name, memory and driver version of each device, as `nvidia-smi` tells them; none where it is not there.
    pub devices: Vec<String>,
    /// Folders of CUDA and cuDNN libraries beside the ONNX Runtime.
    pub libraries: Vec<PathBuf>,
}

/// Looks at the driver, the devices and the libraries beside `library`.
#[must_use]
pub fn facts(library: Option<&Path>) -> CudaFacts {
    CudaFacts { driver: driver(), devices: devices(), libraries: library.map(beside).unwrap_or_default() }
}

/// Whether the driver's library can be loaded.
pub(crate) fn driver() -> Result<(), String> {
    static DRIVER: OnceLock<Result<(), String>> = OnceLock::new();
    let load = || {
        let name = if cfg!(windows) { "nvcuda.dll" } else { "libcuda.so.1" };
        ort::util::preload_dylib(name)
            .map_err(|error| std::error::Error::source(&error).map_or_else(|| error.to_string(), ToString::to_string))
    };
    DRIVER.get_or_init(load).clone()
}

fn devices() -> Vec<String> {
    let output = Command::new("nvidia-smi")
        .args(["--query-gpu=name,memory.total,driver_version", "--format=csv,noheader"])
        .output();
    match output {
        Ok(output) if output.status.success() => {
            String::from_utf8_lossy(&output.stdout).lines().map(|line| line.trim().to_owned()).collect()
        }
        _ => Vec::new(),
    }
}

/// Folders of `nvidia-*` wheels in the site-packages of `.../onnxruntime/capi/libonnxruntime.so`.
fn beside(library: &Path) -> Vec<PathBuf> {
    let Some(site_packages) = library.ancestors().nth(3) else { return Vec::new() };
    ["nvidia/cu13/lib", "nvidia/cu12/lib", "nvidia/cudnn/lib"]
        .iter()
        .map(|folder| site_packages.join(folder))
        .filter(|folder| folder.is_dir())
        .collect()
}

/// Loads CUDA's and cuDNN's libraries from where their wheels lie, in order of dependency. What is not there is left to
/// the system's loader; the session says what is missing.
fn preload(library: &Path) {
    for folder in beside(library) {
        for name in ort::ep::cuda::CUDA_DYLIBS.iter().chain(ort::ep::cuda::CUDNN_DYLIBS) {
            let path = folder.join(name);
            if path.is_file() {
                match ort::util::preload_dylib(&path) {
                    Ok(()) => tracing::debug!(path = %path.display(), "loaded"),
                    Err(error) => tracing::warn!(path = %path.display(), %error, "not loaded"),
                }
            }
        }
    }
}

/// Whether device `index` runs the tiny graph, else why not. Answers are kept.
pub(crate) fn usable(ort: &'static OrtEngine, index: u32) -> Result<(), String> {
    static KNOWN: Mutex<BTreeMap<u32, Result<(), String>>> = Mutex::new(BTreeMap::new());
    let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    known.entry(index).or_insert_with(|| try_tiny(ort, index)).clone()
}

fn try_tiny(ort: &'static OrtEngine, index: u32) -> Result<(), String> {
    if !ort.has_cuda() {
        return Err(format!("the ONNX Runtime at {} is built without CUDA", ort.path.display()));
    }
    driver().map_err(|error| format!("no NVIDIA driver: {error}"))?;
    preload(&ort.path);
    let scan = scan_bytes(TINY, None, &[], Limits::default()).map_err(|error| error.to_string())?;
    let source = GraphSource { path: Path::new("tiny.onnx"), bytes: TINY, scan: &scan };
    ort.load(source, 1, Place::Cuda { index, strict: true }).map(drop).map_err(|error| error.to_string())
}

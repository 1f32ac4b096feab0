//! What `blend doctor` tells about inference.

use crate::{
    engine,
    runtime::{Candidate, CudaFacts, Runtime, Search, candidates, cuda_facts},
};
use std::path::PathBuf;

/// The library that would run, with what it can do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Library {
    /// The file.
    pub path: PathBuf,
    /// Its version.
    pub version: String,
    /// The execution providers compiled in.
    pub providers: Vec<String>,
    /// Whether CUDA device 0 really runs a graph, else why not.
    pub cuda: Result<(), String>,
}

/// Everything about engines and devices on this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// Libraries in the order in which they are looked for, as far as one was loaded: later ones were not tried.
    pub tried: Vec<Candidate>,
    /// The rest of that order.
    pub untried: Vec<PathBuf>,
    /// The library that runs; none where the embedded engine does.
    pub library: Option<Library>,
    /// Why there is no engine at all: a library was named and cannot be loaded.
    pub error: Option<String>,
    /// Driver, devices and CUDA libraries.
    pub cuda: CudaFacts,
    /// The embedded engine and its version.
    pub embedded: String,
}

/// Looks at everything; loads the library that would be used.
#[must_use]
pub fn doctor(search: &Search) -> Report {
    let opened = Runtime::open(search);
    let all = candidates(search);
    let (tried, library, error) = match &opened {
        Ok(runtime) => {
            let library = runtime.library().map(|path| Library {
                path: path.to_owned(),
                version: runtime.version().to_owned(),
                providers: runtime.providers(),
                cuda: runtime.cuda_usable(0),
            });
            (runtime.tried().to_vec(), library, None)
        }
        Err(crate::RuntimeError::NotFound { tried }) => {
            (tried.clone(), None, opened.as_ref().err().map(ToString::to_string))
        }
        Err(crate::RuntimeError::Named { origin, path, reason }) => {
            let candidate = Candidate { origin: *origin, path: path.clone(), error: Some(reason.clone()) };
            (vec![candidate], None, opened.as_ref().err().map(ToString::to_string))
        }
        Err(error) => (Vec::new(), None, Some(error.to_string())),
    };
    let untried =
        all.into_iter().map(|(_, path)| path).filter(|path| !tried.iter().any(|it| it.path == *path)).collect();
    let cuda = cuda_facts(library.as_ref().map(|library| library.path.as_path()));
    let embedded = format!("{} {}", engine::rten::NAME, engine::rten::VERSION);
    Report { tried, untried, library, error, cuda, embedded }
}

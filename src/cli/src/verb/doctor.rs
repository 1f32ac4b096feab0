//! `blend doctor`: what inference would run on, and what is missing.

use crate::{
    args::{Arguments, Doctor, Engine, EngineName},
    failure::Failure,
    report::Screen,
};
use blend_infer::{EngineChoice, Search};
use blend_record::Workspace;
use serde_json::json;

/// Where to look for ONNX Runtime, from the command line and the environment.
pub(crate) fn runtime_search(arguments: &Arguments, engine: &Engine) -> Search {
    let workspace = Workspace::find(&arguments.directory, arguments.allow_outside).ok();
    Search {
        engine: engine.engine.map(|name| match name {
            EngineName::Ort => EngineChoice::Ort,
            EngineName::Rten => EngineChoice::Rten,
        }),
        library: engine.ort_lib.clone(),
        ..Search::from_env(workspace.as_ref().map(Workspace::root))
    }
}

pub(crate) fn run(arguments: &Arguments, it: &Doctor, screen: &Screen) -> Result<bool, Failure> {
    let report = blend_infer::doctor(&runtime_search(arguments, &it.engine));
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    screen.line(screen.bold("engine"));
    match &report.library {
        Some(library) => {
            screen.line(format!("  ONNX Runtime {}  {}", library.version, library.path.display()));
            screen.line(format!("  providers    {}", library.providers.join(", ")));
            match &library.cuda {
                Ok(()) => screen.line("  cuda         works"),
                Err(why) => screen.line(format!("  cuda         no: {why}")),
            }
        }
        None => screen.line("  no ONNX Runtime: `blend runtime install` fetches it"),
    }
    screen.line(format!("  embedded     {}", report.embedded));
    if let Some(error) = &report.error {
        screen.line(screen.red(&format!("  {error}")));
    }
    screen.line(screen.bold("looked for"));
    for candidate in &report.tried {
        let outcome = candidate.error.as_deref().unwrap_or("loaded");
        screen.line(format!("  {}: {} ({outcome})", candidate.origin, candidate.path.display()));
    }
    for path in &report.untried {
        screen.line(screen.dim(&format!("  not tried: {}", path.display())));
    }
    screen.line(screen.bold("machine"));
    screen.line(format!("  threads      {threads}"));
    screen.line(format!("  gpu driver   {}", if report.cuda.driver.is_ok() { "found" } else { "none" }));
    screen.object(json!({
        "version": env!("CARGO_PKG_VERSION"),
        "engine": if report.library.is_some() { "onnxruntime" } else { "rten" },
        "library": report.library.as_ref().map(|library| json!({
            "path": library.path.display().to_string(),
            "version": library.version,
            "providers": library.providers,
            "cuda": library.cuda.is_ok(),
            "cuda_reason": library.cuda.as_ref().err(),
        })),
        "embedded": report.embedded,
        "error": report.error,
        "tried": report.tried.iter().map(|candidate| json!({
            "origin": candidate.origin.to_string(),
            "path": candidate.path.display().to_string(),
            "error": candidate.error,
        })).collect::<Vec<_>>(),
        "threads": threads,
        "gpu_driver": report.cuda.driver.is_ok(),
    }));
    Ok(report.error.is_some())
}

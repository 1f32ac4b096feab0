//! `blend runtime install`: ONNX Runtime into the workspace.

use crate::{
    args::{Arguments, Runtime, RuntimeAction},
    failure::Failure,
    report::Screen,
};
use blend_record::Workspace;
use serde_json::json;

pub(crate) fn run(arguments: &Arguments, it: &Runtime, screen: &Screen) -> Result<bool, Failure> {
    let RuntimeAction::Install { gpu, python } = &it.action;
    let workspace = Workspace::find(&arguments.directory, arguments.allow_outside)?;
    screen.note("fetching ONNX Runtime with pip ...");
    let installed = blend_infer::install::install(workspace.root(), *gpu, python)?;
    let place = workspace.show(&installed.library).display().to_string();
    let verb = if installed.already { "is there already" } else { "installed" };
    screen.line(format!("{} {verb}: {place}", installed.package));
    screen.object(json!({"package": installed.package, "library": place, "already": installed.already}));
    Ok(false)
}

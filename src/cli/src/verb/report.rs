//! `blend report`: everything there is to know of a competition on one HTML page.

mod blends;
mod facts;
mod ledger;
mod parts;
mod provenance;
mod search;
mod trace;

use crate::{
    args::{Arguments, Report},
    audit::AuditReport,
    context::Context,
    failure::Failure,
    outputs,
    report::{Screen, html},
};
use blend_record::publish;
use serde_json::json;
use std::path::{Path, PathBuf};

pub(crate) fn run(arguments: &Arguments, it: &Report, screen: &Screen) -> Result<bool, Failure> {
    let context = Context::open(arguments)?;
    let models = outputs::chosen(&context, &[], |_| true)?;
    let audited = AuditReport::gather(&context, &models, &[])?;
    let path = it.output.clone().unwrap_or_else(|| {
        let ledger = context.workspace.ledger_file(&context.competition.id);
        ledger.with_file_name("report.html")
    });
    let page = page(&context, &audited, &Files { trace: it.trace.as_deref(), searches: &it.search })?;
    let written = write(&path, &page)?;
    screen.line(format!("wrote {} ({} kB)", context.show(&written), page.len().div_ceil(1000)));
    screen.object(json!({
        "competition": context.competition.id.as_str(),
        "report": context.show(&written),
        "bytes": page.len(),
        "models": audited.models.len(),
        "faults": audited.faults(),
    }));
    Ok(false)
}

/// Files that tell more than the workspace holds.
#[derive(Clone, Copy, Default)]
pub(crate) struct Files<'a> {
    /// What `search --trace` wrote.
    pub(crate) trace: Option<&'a Path>,
    /// What `search --json` printed.
    pub(crate) searches: &'a [PathBuf],
}

/// The page about what an audit found and all that else is known.
pub(crate) fn page(context: &Context, audited: &AuditReport, files: &Files<'_>) -> Result<String, Failure> {
    Ok(html::page(&facts::gather(context, audited, files)?))
}

/// Writes a page, whole or not at all.
pub(crate) fn write(path: &Path, page: &str) -> Result<PathBuf, Failure> {
    // A relative path is the shell's, not the workspace's.
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    publish(&path, page.as_bytes())?;
    Ok(path)
}

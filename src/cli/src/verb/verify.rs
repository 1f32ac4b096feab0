//! `blend verify`: the chain submission, recipe, outputs, graphs and data, hashed again.

use crate::{
    args::{Arguments, Verify},
    context::Context,
    failure::Failure,
    report::{Screen, table::TextTable},
};
use blend_core::BlendName;
use blend_record::{Link, LinkState, Verifier};
use blend_store::feather;
use serde_json::json;
use std::path::Path;

pub(crate) fn run(arguments: &Arguments, it: &Verify, screen: &Screen) -> Result<bool, Failure> {
    let context = Context::open(arguments)?;
    let (workspace, id) = (&context.workspace, &context.competition.id);
    let known = workspace.submissions(id)?;
    let names: Vec<BlendName> = if it.files.is_empty() {
        known.clone()
    } else {
        let at = |failure: Failure| failure.at(format!("submissions/{id}"));
        it.files.iter().map(|file| named(file, &known).map_err(at)).collect::<Result<_, _>>()?
    };
    if names.is_empty() {
        return Err(Failure::usage(format!("there is no submission of `{id}` to verify"))
            .at(format!("submissions/{id}"))
            .hint("make one with `blend submit`"));
    }
    let mut verifier =
        Verifier::new(workspace, id, |path: &Path| feather::open(path).ok().map(|outputs| outputs.fingerprint));
    for name in &names {
        verifier.submission(name)?;
    }
    let links = verifier.finish();
    let faults: Vec<&Link> = links.iter().filter(|link| link.is_fault()).collect();
    for link in &faults {
        let what = if link.state() == LinkState::Absent { "is absent" } else { "differs" };
        let of = link.model.as_ref().map_or_else(String::new, |model| format!(" of `{model}`"));
        screen.line(screen.red(&format!("{}{of} {what}", link.kind.name())));
        screen.line(format!("  at   {}", context.show(&link.path)));
        let print = |it: Option<blend_core::Fingerprint>| it.map_or("nothing".to_owned(), |print| print.to_string());
        screen.line(format!("  for  recorded {} in {}", print(link.recorded), context.show(&link.recorded_in)));
        if let Some(actual) = link.actual {
            screen.line(format!("       found    {actual}"));
        }
    }
    let mut table = TextTable::new(&["", ">links"]);
    let mut kinds: Vec<&str> = Vec::new();
    links.iter().for_each(|link| {
        if !kinds.contains(&link.kind.name()) {
            kinds.push(link.kind.name());
        }
    });
    for kind in kinds {
        table.row(vec![kind.to_owned(), links.iter().filter(|link| link.kind.name() == kind).count().to_string()]);
    }
    table.lines().iter().skip(1).for_each(|line| screen.line(line));
    let submissions: Vec<&str> = names.iter().map(BlendName::as_str).collect();
    screen.line(if faults.is_empty() {
        format!("verified {}: {} links hold", submissions.join(", "), links.len())
    } else {
        format!("{} of {} links do not hold", faults.len(), links.len())
    });
    screen.object(json!({
        "competition": id.as_str(),
        "submissions": submissions,
        "verified": faults.is_empty(),
        "links": links.iter().map(|link| json!({
            "kind": link.kind.name(),
            "model": link.model.as_ref().map(ToString::to_string),
            "path": context.show(&link.path),
            "state": state(link),
            "fault": link.is_fault(),
            "recorded": link.recorded.map(|print| print.to_string()),
            "actual": link.actual.map(|print| print.to_string()),
        })).collect::<Vec<_>>(),
    }));
    Ok(!faults.is_empty())
}

/// A submission by its name or by its file.
fn named(file: &str, known: &[BlendName]) -> Result<BlendName, Failure> {
    let path = Path::new(file);
    let stem = if path.extension().is_some_and(|it| it == "csv" || it == "yaml") {
        path.file_stem()
    } else {
        path.file_name()
    };
    let stem = stem.map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
    known
        .iter()
        .find(|name| name.as_str() == stem)
        .cloned()
        .ok_or_else(|| crate::failure::unknown("submission", &stem, known.iter().map(BlendName::as_str)))
}

fn state(link: &Link) -> &'static str {
    match link.state() {
        LinkState::Same => "same",
        LinkState::Differs => "differs",
        LinkState::Absent => "absent",
    }
}

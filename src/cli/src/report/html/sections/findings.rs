//! What the audit found.

use super::{
    super::{
        facts::{Facts, Finding},
        text::{esc, many, with_code},
    },
    absent, note,
};
use std::fmt::Write as _;

pub(super) fn section(facts: &Facts, out: &mut String) {
    if facts.findings.is_empty() {
        absent(out, "The audit found nothing. `blend list checks` says what it looks for.");
        return;
    }
    let (notes, grave): (Vec<&Finding>, Vec<&Finding>) = facts.open().partition(|finding| finding.severity == "note");
    let accepted: Vec<&Finding> = facts.findings.iter().filter(|finding| finding.accepted.is_some()).collect();
    let tally = Facts::tally(facts.open());
    if grave.is_empty() {
        note(out, "No faults and no warnings.");
    } else {
        note(out, &format!("{tally}. What has a fault must not be blended as it is."));
    }
    list(out, &grave);
    for (findings, what) in [(&notes, "note"), (&accepted, "accepted finding")] {
        if !findings.is_empty() {
            let _ = write!(out, "<details><summary>{}</summary>", many(findings.len(), what));
            list(out, findings);
            out.push_str("</details>");
        }
    }
}

fn list(out: &mut String, findings: &[&Finding]) {
    if findings.is_empty() {
        return;
    }
    out.push_str("<ul class=\"findings\">");
    for finding in findings {
        let model = finding.model.as_ref().map_or_else(String::new, |model| format!(" in <code>{}</code>", esc(model)));
        let _ = write!(
            out,
            "<li><b class=\"{0}\">{0}: {1}</b>{model}: {2}<small>{3}</small>",
            finding.severity,
            esc(&finding.check),
            with_code(&finding.cause),
            esc(&finding.place),
        );
        let _ = match &finding.accepted {
            Some(reason) => write!(out, "<small>Accepted: {}</small></li>", esc(reason)),
            None => write!(out, "<small>Next: {}</small></li>", with_code(&finding.hint)),
        };
    }
    out.push_str("</ul>");
}

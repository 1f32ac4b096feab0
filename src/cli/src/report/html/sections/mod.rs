//! The parts of the page, in their order. Each writes its own section, or the sentence that says why it is empty.

mod calibration;
mod diversity;
mod drift;
mod findings;
mod folds;
mod leaderboard;
mod likeness;
mod models;
mod provenance;
mod search;
mod summary;
mod targets;
mod weights;

use super::facts::Facts;
use std::fmt::Write as _;

type Section = fn(&Facts, &mut String);

/// Anchor, title, writer.
const SECTIONS: [(&str, &str, Section); 15] = [
    ("findings", "Findings", findings::section),
    ("models", "Models", models::section),
    ("weights", "Weights", weights::section),
    ("folds", "Folds", folds::section),
    ("correlation", "Correlation", likeness::section),
    ("diversity", "Diversity", diversity::section),
    ("targets", "Targets", targets::section),
    ("groups", "Groups", targets::groups),
    ("calibration", "Calibration", calibration::section),
    ("drift", "OOF against test", drift::section),
    ("without", "Leave one out", search::without),
    ("search", "Search", search::trace),
    ("leaderboard", "CV and leaderboard", leaderboard::section),
    ("ledger", "Ledger", leaderboard::ledger),
    ("provenance", "Provenance", provenance::section),
];

/// Title, summary, contents, sections.
pub(super) fn all(facts: &Facts, out: &mut String) {
    out.push_str("<header>");
    summary::section(facts, out);
    out.push_str("</header><nav aria-label=\"Contents\"><ul>");
    for (anchor, title, _) in SECTIONS {
        let _ = write!(out, "<li><a href=\"#{anchor}\">{title}</a></li>");
    }
    out.push_str("</ul></nav>");
    for (anchor, title, write) in SECTIONS {
        let _ = write!(
            out,
            "<section id=\"{anchor}\" aria-labelledby=\"{anchor}-title\"><h2 id=\"{anchor}-title\">{title}</h2>"
        );
        write(facts, out);
        out.push_str("</section>");
    }
}

/// A sentence under a title.
fn note(out: &mut String, text: &str) {
    let _ = write!(out, "<p class=\"note\">{}</p>", super::text::with_code(text));
}

/// Why a section is empty.
fn absent(out: &mut String, why: &str) {
    let _ = write!(out, "<p class=\"absent\">{}</p>", super::text::with_code(why));
}

/// A chart with what it shows, in words.
fn figure(out: &mut String, chart: &str, caption: &str) {
    let _ = write!(out, "<figure>{chart}<figcaption>{}</figcaption></figure>", super::text::with_code(caption));
}

//! The report: one HTML file with everything there is to know of a competition's models and blends.
//!
//! It holds its style, its charts and its script, asks for nothing outside itself (a content security policy in the
//! page forbids it) and is the same, byte for byte, for the same facts. Where something is not known, the page says so
//! in a sentence.

mod charts;
pub(crate) mod facts;
mod scale;
mod script;
mod sections;
mod style;
mod table;
mod text;

use facts::Facts;
use std::fmt::Write as _;
use text::esc;

/// What the page may do: show itself.
const POLICY: &str = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'; \
                      base-uri 'none'; form-action 'none'";

/// The page.
pub(crate) fn page(facts: &Facts) -> String {
    let name = esc(&facts.competition);
    let mut out = String::with_capacity(1 << 17);
    let _ = write!(
        out,
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta http-equiv=\"Content-Security-Policy\" content=\"{POLICY}\">\
         <meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\
         <meta name=\"color-scheme\" content=\"light dark\"><link rel=\"icon\" href=\"data:,\">\
         <title>{name}: report</title><style>{}</style></head><body><div class=\"page\">",
        style::sheet()
    );
    sections::all(facts, &mut out);
    let _ = write!(
        out,
        "<footer>Made by {} from stored outputs, recipes and the ledger. The page needs no network and changes only when \
         they do.</footer></div><script>{}</script></body></html>",
        esc(&facts.provenance.program),
        script::SCRIPT
    );
    out
}

//! Where the numbers came from: files and fingerprints.

use super::{
    super::{
        facts::Facts,
        table::{Table, cell, number, prose, text, words},
        text::{esc, fixed, thousands},
    },
    note,
};
use std::fmt::Write as _;

pub(super) fn section(facts: &Facts, out: &mut String) {
    let it = &facts.provenance;
    note(
        out,
        "Fingerprints are BLAKE3, computed while this page was made; stored outputs by ids, names and values, other files \
         by their bytes. `blend verify` follows them from a submission back to the graphs.",
    );
    let _ = write!(
        out,
        "<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"Files\"><table aria-label=\"Files\"><tbody>"
    );
    for (what, file, print) in &it.files {
        let _ = write!(
            out,
            "<tr><th scope=\"row\">{}</th><td><code>{}</code></td><td><code title=\"{}\">{}</code></td></tr>",
            esc(what),
            esc(file),
            esc(print),
            esc(short(print)),
        );
    }
    out.push_str("</tbody></table></div>");
    let columns = vec![
        text("model"),
        text("made by"),
        text("engine"),
        number("graphs"),
        number("seconds"),
        text("OOF"),
        text("test"),
    ];
    let mut table = Table::new("provenance-table", columns);
    for made in &it.models {
        let print = |print: &str| format!("<td><code title=\"{}\">{}</code></td>", esc(print), esc(short(print)));
        table.row(
            "",
            &made.model,
            &[
                words(&made.how),
                prose(&made.engine),
                cell((made.graphs > 0).then_some(made.graphs as f64), |n| thousands(n as usize)),
                cell(made.seconds, |seconds| fixed(seconds, 1)),
                print(&made.oof),
                print(&made.test),
            ],
        );
    }
    out.push_str("<details><summary>How each model's outputs were made</summary>");
    out.push_str(&table.finish("How outputs were made"));
    out.push_str("</details>");
}

/// The first 12 digits of a fingerprint.
fn short(print: &str) -> &str {
    let digits = print.strip_prefix("blake3:").unwrap_or(print);
    digits.get(..12).unwrap_or(digits)
}

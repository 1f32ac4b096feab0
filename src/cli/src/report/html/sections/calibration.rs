//! Whether probabilities mean what they say.

use super::{
    super::{
        charts::reliability,
        facts::{Facts, Meaning},
        text::{esc, fixed},
    },
    absent, note,
};
use std::fmt::Write as _;

/// Curves that are drawn.
const CURVES: usize = 24;

pub(super) fn section(facts: &Facts, out: &mut String) {
    let all = match &facts.calibration {
        Ok(all) => all,
        Err(why) => return absent(out, why),
    };
    let Some(scale) = reliability::axis_of(all) else {
        return absent(out, "No prediction can be held against what happened.");
    };
    let words = match all.first().map(|it| it.scale) {
        Some(Meaning::Value) => {
            "Predictions in bins: the mean truth against the mean prediction. On the dashed line a prediction means what \
             it says. Values carry no intervals: how much the truth scatters in a bin is not recorded."
        }
        Some(Meaning::Standardized) => {
            "Predictions in bins, in standard deviations of each target from its mean: the mean truth against the mean \
             prediction. On the dashed line a prediction means what it says. Values carry no intervals: how much the \
             truth scatters in a bin is not recorded."
        }
        _ if scale.ends().0 > 0.0 => {
            "Predictions in bins: the share that came true against the mean prediction, with 95 % intervals as if cells \
             were independent. On the dashed line a prediction means what it says. Both axes go by ratio, because most \
             predictions are small; bins in which nothing happened stand at the foot."
        }
        _ => {
            "Predictions in bins: the share that came true against the mean prediction, with 95 % intervals as if cells \
             were independent. On the dashed line a prediction means what it says."
        }
    };
    note(out, words);
    out.push_str("<div class=\"many small\">");
    for it in all.iter().take(CURVES) {
        let chart = reliability::reliability(it, scale);
        let line = it.line.map_or_else(String::new, |(slope, intercept)| {
            format!("<p class=\"note\">slope {}, intercept {}</p>", fixed(slope, 2), fixed(intercept, 2))
        });
        let _ = write!(out, "<figure><h3>{}</h3>{line}{chart}</figure>", esc(&it.name));
    }
    out.push_str("</div>");
    if all.len() > CURVES {
        note(out, &format!("The {CURVES} best of {} models are drawn.", all.len()));
    }
}

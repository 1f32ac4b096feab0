//! How alike models are: what blending has to work with.

use super::{
    super::{charts::heatmap, facts::Facts, text::esc},
    absent,
};
use std::fmt::Write as _;

pub(super) fn section(facts: &Facts, out: &mut String) {
    match &facts.correlations {
        Err(why) => absent(out, why),
        Ok(matrices) => {
            out.push_str(&heatmap::heatmap(matrices));
            let _ = write!(
                out,
                "<figcaption>{} Models are numbered alike on both sides and ordered so that like ones are neighbors \
                 (average linkage). Strong color is alike: such models add little to each other. Colors run from the lowest \
                 correlation to 1.</figcaption></figure>",
                esc(&heatmap::sentence(matrices))
            );
        }
    }
}

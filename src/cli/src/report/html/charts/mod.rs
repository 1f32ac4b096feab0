//! Charts: pure functions from plain numbers to HTML with SVG inside.
//!
//! Marks are drawn in a box that stretches with the page, words stand beside it as HTML: text keeps its size at every
//! width. Bars start at zero; what is noisy carries an interval; every chart has a text alternative, a table or a
//! sentence.

pub(crate) mod cluster;
pub(crate) mod heatmap;
pub(crate) mod lines;
pub(crate) mod plot;
pub(crate) mod reliability;
pub(crate) mod rows;
pub(crate) mod scatter;
pub(crate) mod strip;

/// Width and height of the boxes that marks are drawn in.
pub(super) const BOX: f64 = 1000.0;

/// A place in a box, short.
pub(super) fn place(share: f64) -> String {
    let tenths = (share * BOX * 10.0).round() / 10.0;
    format!("{tenths}")
}

//! Two axes with marks between them.

use super::{
    super::{scale::Scale, text::esc},
    BOX, place,
};
use std::fmt::Write as _;

/// An axis with its title.
pub(crate) struct Axis<'a> {
    pub(crate) scale: Scale,
    pub(crate) title: &'a str,
    /// Round numbers wanted.
    pub(crate) ticks: usize,
}

/// A plot under construction.
pub(crate) struct Plot<'a> {
    x: Axis<'a>,
    y: Axis<'a>,
    /// Stretches with the page.
    shapes: String,
    /// Keeps its size.
    marks: String,
}

impl<'a> Plot<'a> {
    pub(crate) fn new(x: Axis<'a>, y: Axis<'a>) -> Self {
        Self { x, y, shapes: String::new(), marks: String::new() }
    }

    /// A line through points.
    pub(crate) fn line(&mut self, class: &str, points: &[(f64, f64)]) {
        let _ = write!(self.shapes, "<path class=\"{class}\" d=\"{}\"/>", self.path(points));
    }

    /// An area between a lower and an upper line over the same places.
    pub(crate) fn band(&mut self, lower: &[(f64, f64)], upper: &[(f64, f64)]) {
        let around: Vec<(f64, f64)> = lower.iter().chain(upper.iter().rev()).copied().collect();
        let _ = write!(self.shapes, "<path class=\"band\" d=\"{}z\"/>", self.path(&around));
    }

    /// An upright interval at `x`.
    pub(crate) fn interval(&mut self, x: f64, (low, high): (f64, f64)) {
        let (x, low, high) = (self.place_x(x), self.place_y(low), self.place_y(high));
        let _ = write!(self.shapes, "<path class=\"whisk\" d=\"M{x} {low}V{high}\"/>");
    }

    /// A dot with what it is, for the pointer.
    pub(crate) fn dot(&mut self, is_lead: bool, radius: f64, (x, y): (f64, f64), what: &str) {
        let class = if is_lead { " class=\"hi\"" } else { "" };
        let (left, top) = self.percent((x, y));
        let _ = write!(
            self.marks,
            "<circle{class} cx=\"{left:.2}%\" cy=\"{top:.2}%\" r=\"{radius}\"><title>{}</title></circle>",
            esc(what)
        );
    }

    /// A word at a point; `(dx, dy)` in pixels, `anchor` start, middle or end.
    pub(crate) fn word(&mut self, class: &str, at: (f64, f64), (dx, dy): (f64, f64), anchor: &str, word: &str) {
        let (left, top) = self.percent(at);
        let _ = write!(
            self.marks,
            "<text class=\"{class}\" x=\"{left:.2}%\" y=\"{top:.2}%\" dx=\"{dx}\" dy=\"{dy}\" text-anchor=\"{anchor}\">{}</text>",
            esc(word)
        );
    }

    /// The plot, `height` in rem or as a ratio; `says` is the text alternative.
    pub(crate) fn finish(self, size: &str, says: &str) -> String {
        let (x_ticks, y_ticks) = (self.x.scale.ticks(self.x.ticks), self.y.scale.ticks(self.y.ticks));
        let mut out = format!("<div class=\"plot\" role=\"img\" aria-label=\"{}\">", esc(says));
        let _ = write!(out, "<div class=\"yt\">{}</div><div class=\"y\">", esc(self.y.title));
        // The widest label, unseen, makes room for all of them.
        let widest = y_ticks.iter().max_by_key(|tick| tick.label.chars().count());
        let _ = write!(out, "<b>{}</b>", widest.map_or("", |tick| &tick.label));
        for tick in &y_ticks {
            let _ = write!(out, "<span style=\"top:{:.2}%\">{}</span>", (1.0 - tick.at) * 100.0, tick.label);
        }
        let _ = write!(out, "</div><div class=\"area\" style=\"{size}\">");
        let _ = write!(out, "<svg viewBox=\"0 0 {BOX} {BOX}\" preserveAspectRatio=\"none\" aria-hidden=\"true\">");
        let mut grid: String = y_ticks.iter().map(|tick| format!("M0 {}H{BOX}", place(1.0 - tick.at))).collect();
        grid.extend(x_ticks.iter().map(|tick| format!("M{} 0V{BOX}", place(tick.at))));
        let _ = write!(out, "<path class=\"grid\" d=\"{grid}\"/>{}</svg>", self.shapes);
        let _ = write!(out, "<svg aria-hidden=\"true\">{}</svg></div><div class=\"x axis\">", self.marks);
        for tick in &x_ticks {
            let _ = write!(out, "<span style=\"left:{:.2}%\">{}</span>", tick.at * 100.0, tick.label);
        }
        let _ = write!(out, "</div><div class=\"xt\">{}</div></div>", esc(self.x.title));
        out
    }

    fn path(&self, points: &[(f64, f64)]) -> String {
        let mut path = String::new();
        for (i, &(x, y)) in points.iter().enumerate() {
            let _ = write!(path, "{}{} {}", if i == 0 { 'M' } else { 'L' }, self.place_x(x), self.place_y(y));
        }
        path
    }

    fn place_x(&self, x: f64) -> String {
        place(self.x.scale.at(x))
    }

    fn place_y(&self, y: f64) -> String {
        place(1.0 - self.y.scale.at(y))
    }

    fn percent(&self, (x, y): (f64, f64)) -> (f64, f64) {
        (self.x.scale.at(x) * 100.0, (1.0 - self.y.scale.at(y)) * 100.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn up_is_more_and_words_are_escaped() {
        let axis = || Axis { scale: Scale::linear(0.0, 1.0), title: "x & y", ticks: 4 };
        let mut plot = Plot::new(axis(), axis());
        plot.line("line", &[(0.0, 0.0), (1.0, 1.0)]);
        plot.dot(true, 4.0, (0.25, 0.75), "<a>");
        let html = plot.finish("height:10rem", "from \"0\" to 1");
        assert!(html.contains("M0 1000L1000 0") && html.contains("cx=\"25.00%\" cy=\"25.00%\""), "{html}");
        assert!(html.contains("&lt;a&gt;") && html.contains("x &amp; y") && html.contains("from &quot;0&quot; to 1"));
    }
}

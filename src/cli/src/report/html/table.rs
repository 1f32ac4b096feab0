//! Tables that can be sorted and filtered; without the script they stand in the order they were written in.

use super::text::{dash, esc, key};
use std::{borrow::Cow, fmt::Write as _};

/// A column.
#[derive(Debug, Clone)]
pub(crate) struct Column {
    title: Cow<'static, str>,
    is_number: bool,
    /// Whether the first click puts the highest first.
    high_first: bool,
    /// Markup under the title.
    axis: String,
}

/// A column of texts.
pub(crate) fn text(title: impl Into<Cow<'static, str>>) -> Column {
    Column { title: title.into(), is_number: false, high_first: false, axis: String::new() }
}

/// A column of numbers, the lowest first.
pub(crate) fn number(title: impl Into<Cow<'static, str>>) -> Column {
    Column { is_number: true, ..text(title) }
}

/// A column of small charts with the axis that they share, the widest first.
pub(crate) fn charts(title: impl Into<Cow<'static, str>>, axis: String) -> Column {
    Column { high_first: true, axis, ..text(title) }
}

impl Column {
    /// With the highest first.
    pub(crate) fn high_first(self, high_first: bool) -> Self {
        Self { high_first, ..self }
    }
}

/// A table under construction.
pub(crate) struct Table {
    id: &'static str,
    columns: Vec<Column>,
    rows: String,
    n_rows: usize,
}

impl Table {
    pub(crate) fn new(id: &'static str, columns: Vec<Column>) -> Self {
        Self { id, columns, rows: String::new(), n_rows: 0 }
    }

    /// A row: its name and its cells, see [`cell`] and its kin. `class` is `is-blend` or nothing.
    pub(crate) fn row(&mut self, class: &str, name: &str, cells: &[String]) {
        let class = if class.is_empty() { String::new() } else { format!(" class=\"{class}\"") };
        let _ = write!(self.rows, "<tr{class}><th scope=\"row\">{}</th>{}</tr>", esc(name), cells.concat());
        self.n_rows += 1;
    }

    /// The table; with a filter where there are enough rows to look for one. `caption` is for screen readers.
    pub(crate) fn finish(self, caption: &str) -> String {
        let id = self.id;
        let mut out = String::new();
        // A long table scrolls in its own box, under its titles.
        let tall = if self.n_rows > 40 { " tall" } else { "" };
        if self.n_rows > 5 {
            let _ = write!(
                out,
                "<p class=\"tools js-only\"><label>Filter <input type=\"search\" data-filters=\"{id}\" autocomplete=\"off\" \
                 aria-describedby=\"{id}-count\"></label><span class=\"count\" id=\"{id}-count\" aria-live=\"polite\"></span></p>"
            );
        }
        let _ = write!(
            out,
            "<div class=\"scroll{tall}\" tabindex=\"0\" role=\"region\" aria-label=\"{0}\"><table class=\"sortable\" id=\"{id}\" \
             aria-label=\"{0}\"><thead><tr>",
            esc(caption)
        );
        for column in &self.columns {
            let class = if column.is_number { " class=\"n\"" } else { "" };
            let first = if column.high_first { " data-first=\"descending\"" } else { "" };
            let (title, axis) = (esc(&column.title), &column.axis);
            let _ = write!(out, "<th scope=\"col\"{class}{first}><button type=\"button\">{title}</button>{axis}</th>");
        }
        let _ = write!(out, "</tr></thead><tbody>{}</tbody></table></div>", self.rows);
        out
    }
}

/// A number as it is read, sorted by its value.
pub(crate) fn cell(value: Option<f64>, shown: impl Fn(f64) -> String) -> String {
    marked(value, shown, "")
}

/// As [`cell`], with a class: `best`, `fault`, ...
pub(crate) fn marked(value: Option<f64>, shown: impl Fn(f64) -> String, class: &str) -> String {
    let space = if class.is_empty() { "" } else { " " };
    let text = value.map_or_else(dash, shown);
    format!("<td class=\"n{space}{class}\" data-v=\"{}\">{}</td>", key(value), esc(&text))
}

/// A text.
pub(crate) fn words(text: &str) -> String {
    format!("<td>{}</td>", esc(text))
}

/// A longer text, which may take several lines.
pub(crate) fn prose(text: &str) -> String {
    format!("<td class=\"w\">{}</td>", esc(text))
}

/// A chart in a cell, sorted by `value`.
pub(crate) fn chart(svg: &str, value: Option<f64>) -> String {
    format!("<td class=\"c\" data-v=\"{}\">{svg}</td>", key(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_escaped_and_carry_their_keys() {
        let mut table = Table::new("t", vec![text("model"), number("score").high_first(true)]);
        table.row("", "<i>", &[cell(Some(0.5), |value| format!("{value:.2}"))]);
        table.row("is-blend", "b", &[cell(None, |value| value.to_string())]);
        let html = table.finish("scores & \"more\"");
        assert!(
            html.contains("&lt;i&gt;") && html.contains("data-v=\"0.5\">0.50</td>") && html.contains("data-v=\"\">")
        );
        assert!(html.contains("data-first=\"descending\"") && html.contains("scores &amp; &quot;more&quot;"));
        assert!(!html.contains("data-filters"), "two rows need no filter");
    }
}

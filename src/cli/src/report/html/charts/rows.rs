//! One line for each name: marks on a common axis between the name and its number.

use super::{
    super::{scale::Scale, text::esc},
    strip::{Mark, axis, strip},
};
use std::fmt::Write as _;

/// A line of a chart of rows.
#[derive(Debug, Clone)]
pub(crate) struct Row {
    pub(crate) label: String,
    /// Whether it stands out.
    pub(crate) is_lead: bool,
    pub(crate) marks: Vec<Mark>,
    /// The number as it is read.
    pub(crate) value: String,
}

/// Rows on one axis; `titles` are those of the names, the axis and the numbers.
pub(crate) fn rows(scale: Scale, titles: [&str; 3], rows: &[Row]) -> String {
    let [name, axis_title, number] = titles.map(|title| esc(title).to_string());
    let mut out = String::from("<div class=\"rows\" role=\"table\">");
    let _ = write!(
        out,
        "<div role=\"row\" style=\"display:contents\"><div class=\"hd\" role=\"columnheader\">{name}</div>\
         <div class=\"hd\" role=\"columnheader\">{axis_title}</div>\
         <div class=\"hd v\" role=\"columnheader\">{number}</div></div>"
    );
    for row in rows {
        let class = if row.is_lead { "l hi" } else { "l" };
        let _ = write!(
            out,
            "<div role=\"row\" style=\"display:contents\"><div class=\"{class}\" role=\"rowheader\">{}</div>\
             <div class=\"c\" role=\"cell\">{}</div><div class=\"v\" role=\"cell\">{}</div></div>",
            esc(&row.label),
            strip(scale, &row.marks),
            esc(&row.value),
        );
    }
    let _ = write!(out, "<div></div>{}<div></div></div>", axis(scale));
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_escaped_and_numbers_stand_beside_them() {
        let row = Row {
            label: "<b>".to_owned(),
            is_lead: true,
            marks: vec![Mark::Tick { value: 0.5, class: "" }],
            value: "0.5".to_owned(),
        };
        let html = rows(Scale::linear(0.0, 1.0), ["model", "weight", ""], &[row]);
        assert!(html.contains("&lt;b&gt;") && !html.contains("<b>"));
        assert_eq!(html.matches("role=\"row\"").count(), 2);
    }
}

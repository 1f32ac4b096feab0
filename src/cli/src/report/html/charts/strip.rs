//! Marks in a row of a table: one small box for each row, all on one axis.

use super::{super::scale::Scale, BOX, place};
use std::fmt::Write as _;

/// A mark on a row.
#[derive(Debug, Clone)]
pub(crate) enum Mark {
    /// A bar from zero.
    Bar { value: f64, class: &'static str },
    /// A line from low to high, with ends.
    Whisker { low: f64, high: f64 },
    /// Small round dots.
    Dots { values: Vec<f64>, class: &'static str },
    /// An upright line.
    Tick { value: f64, class: &'static str },
    /// Many thin upright lines.
    Ticks { values: Vec<f64> },
    /// The line of zero.
    Zero,
}

/// Marks as an SVG that fills the cell it stands in; hidden from screen readers, which get the numbers of the row.
pub(crate) fn strip(scale: Scale, marks: &[Mark]) -> String {
    let mut out = format!(
        "<svg class=\"strip\" viewBox=\"0 0 {BOX} 100\" preserveAspectRatio=\"none\" aria-hidden=\"true\" focusable=\"false\">"
    );
    let grid: String = scale.ticks(5).iter().map(|tick| format!("M{} 0v100", place(tick.at))).collect();
    let _ = write!(out, "<path class=\"grid\" d=\"{grid}\"/>");
    for mark in marks {
        draw(&mut out, scale, mark);
    }
    // What bars are measured from lies over them.
    if marks.iter().any(|mark| matches!(mark, Mark::Bar { .. })) {
        draw(&mut out, scale, &Mark::Zero);
    }
    out.push_str("</svg>");
    out
}

fn draw(out: &mut String, scale: Scale, mark: &Mark) {
    let x = |value: f64| place(scale.at(value));
    let _ = match mark {
        Mark::Bar { value, class } => {
            let (from, to) = (scale.at(value.min(0.0)), scale.at(value.max(0.0)));
            write!(out, "<path class=\"bar {class}\" d=\"M{} 22H{}V78H{}z\"/>", place(from), place(to), place(from))
        }
        Mark::Whisker { low, high } => {
            let (low, high) = (x(*low), x(*high));
            write!(out, "<path class=\"whisk\" d=\"M{low} 50H{high}M{low} 36v28M{high} 36v28\"/>")
        }
        Mark::Dots { values, class } => {
            let dots: String = values.iter().map(|&value| format!("M{} 50h0", x(value))).collect();
            write!(out, "<path class=\"dots {class}\" d=\"{dots}\"/>")
        }
        Mark::Tick { value, class } => write!(out, "<path class=\"tick {class}\" d=\"M{} 15v70\"/>", x(*value)),
        Mark::Zero => write!(out, "<path class=\"zero\" d=\"M{} 0v100\"/>", x(0.0)),
        Mark::Ticks { values } => {
            let ticks: String = values.iter().map(|&value| format!("M{} 28v44", x(value))).collect();
            write!(out, "<path class=\"ticks\" d=\"{ticks}\"/>")
        }
    };
}

/// The axis of strips: its round numbers.
pub(crate) fn axis(scale: Scale) -> String {
    let mut out = String::from("<div class=\"axis\" aria-hidden=\"true\">");
    let ticks = scale.ticks(5);
    let [Some(first), Some(last)] = [ticks.first(), ticks.last()] else { return String::new() };
    for tick in &ticks {
        // Labels at the ends stay inside.
        let inside = if tick.at < 0.06 {
            "e0"
        } else if tick.at > 0.94 {
            "e1"
        } else {
            ""
        };
        // Where there is little room, only the first and the last are shown.
        let ends = tick == first || tick == last;
        let class = format!("{inside}{}", if ends { "" } else { " m" });
        let _ = write!(out, "<span class=\"{class}\" style=\"left:{:.1}%\">{}</span>", tick.at * 100.0, tick.label);
    }
    out.push_str("</div>");
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_starts_at_zero_and_ends_at_its_value() {
        let scale = Scale::from_zero([-0.5, 1.0]).unwrap();
        let (zero, end) = (place(scale.at(0.0)), place(scale.at(1.0)));
        let svg = strip(scale, &[Mark::Bar { value: 1.0, class: "hi" }]);
        assert!(svg.contains(&format!("M{zero} 22H{end}V78H{zero}z")), "{svg}");
        let negative = strip(scale, &[Mark::Bar { value: -0.5, class: "" }]);
        assert!(negative.contains(&format!("H{zero}V78")), "{negative}");
        assert!(svg.contains(&format!("class=\"zero\" d=\"M{zero} 0v100\"")), "the line that bars stand on");
    }

    #[test]
    fn marks_stay_in_the_box() {
        let scale = Scale::linear(0.0, 1.0);
        let svg = strip(scale, &[Mark::Dots { values: vec![-5.0, 0.25, 7.0], class: "" }]);
        assert!(svg.contains("M0 50h0M250 50h0M1000 50h0"), "{svg}");
        assert_eq!(axis(scale).matches("<span").count(), 6);
    }
}

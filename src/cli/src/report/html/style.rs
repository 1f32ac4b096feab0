//! How the page looks: one set of colors for light and one for dark, and a style sheet that names them.

use std::fmt::Write as _;

/// A color by its name in the style sheet, in the light and the dark theme, as `#rrggbb`.
struct Color {
    name: &'static str,
    light: &'static str,
    dark: &'static str,
}

const fn color(name: &'static str, light: &'static str, dark: &'static str) -> Color {
    Color { name, light, dark }
}

/// Text and marks. What stands on what, and how far apart they are, is in the tests.
const COLORS: [Color; 11] = [
    color("paper", "#ffffff", "#161616"),
    color("wash", "#f5f4f1", "#212121"),
    color("rule", "#dcdad5", "#3a3a3a"),
    color("ink", "#1b1b1b", "#ececea"),
    color("soft", "#595959", "#a8a8a4"),
    color("mark", "#0a5a9c", "#6fb3ee"),
    color("other", "#807d77", "#8a8782"),
    color("fault", "#a8201a", "#f58f86"),
    color("warning", "#7a5200", "#e0b04c"),
    color("good", "#1c6b40", "#6cc492"),
    color("band", "#dbe8f3", "#23384a"),
];

/// Steps of the heat map: from far apart to alike. One hue, even steps of lightness.
pub(crate) const STEPS: usize = 9;

/// Ends of the heat map's colors per theme: the step for "far apart" is near the paper, that for "alike" far from it.
const HEAT: [(&str, &str); 2] = [("#f1f5f9", "#08406f"), ("#222a31", "#a5d3f9")];

/// The style sheet.
pub(crate) fn sheet() -> String {
    let mut out = String::new();
    let theme = |dark: bool| {
        let mut colors = String::new();
        for color in &COLORS {
            let _ = write!(colors, "--{}:{};", color.name, if dark { color.dark } else { color.light });
        }
        for step in 0..STEPS {
            let _ = write!(colors, "--h{step}:{};--t{step}:{};", heat(step, dark), on_heat(step, dark));
        }
        colors
    };
    let _ = write!(out, ":root{{color-scheme:light;{}}}", theme(false));
    let _ = write!(out, "@media screen and (prefers-color-scheme:dark){{:root{{color-scheme:dark;{}}}}}", theme(true));
    for step in 0..STEPS {
        let _ = write!(out, ".h{step}{{fill:var(--h{step});background:var(--h{step})}}");
        let _ = write!(out, "text.t{step}{{fill:var(--t{step})}}");
    }
    out.push_str(include_str!("page.css"));
    out
}

/// Black or white: the one that is easier to read on a step of the heat map. On any color one of them is legible.
fn on_heat(step: usize, dark: bool) -> &'static str {
    // The luminance at which both are equally far away.
    if luminance(&heat(step, dark)) > 0.179 { "#000000" } else { "#ffffff" }
}

/// Relative luminance (WCAG 2.2).
fn luminance(color: &str) -> f64 {
    let linear = |value: u8| {
        let value = f64::from(value) / 255.0;
        if value <= 0.04045 { value / 12.92 } else { ((value + 0.055) / 1.055).powf(2.4) }
    };
    let [r, g, b] = channels(color);
    0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b)
}

/// A color of the heat map.
fn heat(step: usize, dark: bool) -> String {
    let (from, to) = HEAT[usize::from(dark)];
    let (from, to) = (channels(from), channels(to));
    let share = step as f64 / (STEPS - 1) as f64;
    let mixed: Vec<String> = (0..3)
        .map(|i| {
            let value = f64::from(from[i]) + share * (f64::from(to[i]) - f64::from(from[i]));
            format!("{:02x}", value.round() as u8)
        })
        .collect();
    format!("#{}", mixed.concat())
}

/// Red, green and blue of `#rrggbb`.
fn channels(color: &str) -> [u8; 3] {
    let channel = |i: usize| color.get(1 + 2 * i..3 + 2 * i).and_then(|hex| u8::from_str_radix(hex, 16).ok());
    [0, 1, 2].map(|i| channel(i).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn contrast(a: &str, b: &str) -> f64 {
        let (a, b) = (luminance(a), luminance(b));
        (a.max(b) + 0.05) / (a.min(b) + 0.05)
    }

    fn named(name: &str, dark: bool) -> &'static str {
        let color = COLORS.iter().find(|color| color.name == name).unwrap();
        if dark { color.dark } else { color.light }
    }

    #[test]
    fn text_and_marks_stand_out_in_both_themes() {
        assert!((contrast("#ffffff", "#000000") - 21.0).abs() < 1e-9);
        for dark in [false, true] {
            for ground in ["paper", "wash"] {
                // Text: level AA.
                for text in ["ink", "soft", "mark", "fault", "warning", "good"] {
                    let got = contrast(named(text, dark), named(ground, dark));
                    assert!(got >= 4.5, "{text} on {ground}, dark {dark}: {got:.2}");
                }
                // Marks of a chart.
                let got = contrast(named("other", dark), named(ground, dark));
                assert!(got >= 3.0, "other on {ground}, dark {dark}: {got:.2}");
            }
            let got = contrast(named("mark", dark), named("band", dark));
            assert!(got >= 3.0, "marks on the band, dark {dark}: {got:.2}");
        }
    }

    #[test]
    fn numbers_on_the_heat_map_are_legible() {
        for dark in [false, true] {
            for step in 0..STEPS {
                let got = contrast(on_heat(step, dark), &heat(step, dark));
                assert!(got >= 4.5, "step {step}, dark {dark}: {got:.2}");
            }
            let far: Vec<f64> = (0..STEPS).map(|step| luminance(&heat(step, dark))).collect();
            assert!(far.windows(2).all(|pair| (pair[1] < pair[0]) != dark), "one direction: {far:?}");
        }
    }

    #[test]
    fn every_color_that_is_used_is_defined() {
        let sheet = sheet();
        for name in sheet.split("var(--").skip(1) {
            let name = name.split(')').next().unwrap();
            assert!(sheet.contains(&format!("--{name}:")), "{name}");
        }
        assert!(!sheet.contains("url(") && !sheet.contains("@import"));
        // Nothing is decorated: a shade only tells that a table goes on behind the edge.
        assert_eq!(sheet.matches("gradient").count(), sheet.matches("linear-gradient(to left,").count());
        assert!(sheet.lines().all(|line| !line.contains("gradient") || line.starts_with(".scroll{")));
    }
}

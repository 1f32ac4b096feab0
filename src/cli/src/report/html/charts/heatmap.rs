//! Correlations of all pairs, like models beside each other.

use super::{
    super::{
        facts::Matrix,
        style::STEPS,
        text::{esc, fixed},
    },
    cluster,
};
use std::fmt::Write as _;

/// Models up to which numbers stand in the cells.
const NUMBERED: usize = 14;

/// The matrices, which are of the same models, as one heat map: the first is drawn, the others can be chosen.
pub(crate) fn heatmap(matrices: &[Matrix]) -> String {
    let Some(first) = matrices.first() else { return String::new() };
    let order = cluster::order(first);
    let n = order.len();
    let low = lowest(first);
    let cell = |a: usize, b: usize| first.get(order[a], order[b]).map(thousandths);
    let mut paths = vec![String::new(); STEPS];
    for a in 0..n {
        for b in 0..n {
            if let Some(value) = cell(a, b) {
                let _ = write!(paths[step(value, low)], "M{b} {a}h1v1h-1z");
            }
        }
    }
    let mut out = String::from("<figure data-heat>");
    if matrices.len() > 1 {
        out.push_str("<p class=\"tools js-only\"><label>Correlation <select>");
        for matrix in matrices {
            let _ = write!(out, "<option>{}</option>", esc(&matrix.title));
        }
        out.push_str("</select></label></p>");
    }
    let _ = write!(
        out,
        "<div class=\"scroll\"><div class=\"heat\" style=\"--n:{n}\"><div class=\"names\" style=\"grid-template-rows:repeat({n},minmax(0,1fr))\">"
    );
    for (at, &model) in order.iter().enumerate() {
        let name = esc(&first.names[model]);
        let _ = write!(out, "<span title=\"{name}\"><b>{name}</b><i>{}</i></span>", at + 1);
    }
    let _ =
        write!(out, "</div><svg viewBox=\"0 0 {n} {n}\" role=\"img\" aria-label=\"{}\">", esc(&says(first, &order)));
    for (step, path) in paths.iter().enumerate() {
        let _ = write!(out, "<path class=\"h{step}\" d=\"{path}\"/>");
    }
    if n <= NUMBERED {
        for a in 0..n {
            for b in (0..n).filter(|&b| b != a) {
                let Some(value) = cell(a, b) else { continue };
                let _ = write!(
                    out,
                    "<text class=\"wide-only t{}\" x=\"{b}.5\" y=\"{a}.62\" data-a=\"{a}\" data-b=\"{b}\">{}</text>",
                    step(value, low),
                    hundredths(value),
                );
            }
        }
    }
    let _ = write!(
        out,
        "</svg><div class=\"nums\" style=\"grid-template-columns:repeat({n},minmax(0,1fr))\" aria-hidden=\"true\">"
    );
    for at in 1..=n {
        // Where columns are narrow, every fifth has its number.
        let number = if n <= 40 || at % 5 == 0 { at.to_string() } else { String::new() };
        let _ = write!(out, "<span>{number}</span>");
    }
    let _ = write!(
        out,
        "</div></div></div><p class=\"key\"><span class=\"low\">{}</span><span class=\"s\">",
        fixed(low as f64 / 1000.0, 3)
    );
    (0..STEPS).for_each(|step| {
        let _ = write!(out, "<b class=\"h{step}\"></b>");
    });
    let _ = write!(out, "</span><span>1</span></p><p class=\"say\" aria-live=\"polite\"></p>");
    let _ = write!(out, "<script type=\"application/json\">{}</script>", data(matrices, &order));
    out
}

/// A correlation as the page's script has it too: both draw the same map from the same whole numbers.
fn thousandths(value: f64) -> i64 {
    (value * 1000.0).round() as i64
}

/// `.95`, as the script writes it.
fn hundredths(thousandths: i64) -> String {
    fixed((thousandths as f64 / 10.0).round() / 100.0, 2).replace("0.", ".")
}

/// The color of a correlation: even steps from the lowest of the matrix to 1. All in thousandths.
fn step(value: i64, low: i64) -> usize {
    let span = if low < 1000 { 1000 - low } else { 1 };
    (((value - low) as f64 / span as f64 * STEPS as f64).floor().max(0.0) as usize).min(STEPS - 1)
}

/// The lowest correlation, rounded down to a tenth or, where all are high, to a hundredth or a thousandth: the low end
/// of the colors, which the legend names.
fn lowest(matrix: &Matrix) -> i64 {
    let low = matrix.values.iter().flatten().map(|value| thousandths(*value)).fold(1000, i64::min);
    let down = [100, 10].into_iter().map(|unit| low.div_euclid(unit) * unit).find(|it| (low - it) * 3 <= 1000 - it);
    down.unwrap_or(low)
}

/// What the map shows, in a sentence.
fn says(matrix: &Matrix, order: &[usize]) -> String {
    let n = order.len();
    let pairs = (0..n).flat_map(|a| (0..a).map(move |b| (a, b)));
    let known: Vec<(f64, usize, usize)> =
        pairs.filter_map(|(a, b)| matrix.get(a, b).map(|value| (value, a, b))).collect();
    let pick = |by: fn(&f64, &f64) -> std::cmp::Ordering| known.iter().max_by(|x, y| by(&x.0, &y.0));
    let (Some(closest), Some(farthest)) = (pick(f64::total_cmp), pick(|x, y| y.total_cmp(x))) else {
        return format!("{}: no pair has a correlation.", matrix.title);
    };
    let name = |model: usize| &matrix.names[model];
    format!(
        "{}: closest are {} and {} ({}), farthest {} and {} ({}).",
        matrix.title,
        name(closest.2),
        name(closest.1),
        fixed(closest.0, 3),
        name(farthest.2),
        name(farthest.1),
        fixed(farthest.0, 3),
    )
}

/// The sentence of [`heatmap`] for who reads on paper.
pub(crate) fn sentence(matrices: &[Matrix]) -> String {
    matrices.first().map_or_else(String::new, |first| says(first, &cluster::order(first)))
}

/// Names and lower triangles in the drawn order, as JSON that cannot end its element.
fn data(matrices: &[Matrix], order: &[usize]) -> String {
    let names: Vec<&str> = matrices[0].names.iter().map(String::as_str).collect();
    let names: Vec<&str> = order.iter().map(|&model| names[model]).collect();
    let values = |matrix: &Matrix| -> Vec<Option<i64>> {
        let pairs = (0..order.len()).flat_map(|a| (0..a).map(move |b| (a, b)));
        pairs.map(|(a, b)| matrix.get(order[a], order[b]).map(thousandths)).collect()
    };
    let matrices: Vec<serde_json::Value> =
        matrices.iter().map(|matrix| serde_json::json!({"low": lowest(matrix), "values": values(matrix)})).collect();
    let json = serde_json::json!({"names": names, "steps": STEPS, "matrices": matrices}).to_string();
    json.replace('<', "\\u003c").replace('>', "\\u003e").replace('&', "\\u0026")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matrix(names: &[&str], r: f64) -> Matrix {
        let n = names.len();
        Matrix {
            title: "Pearson".to_owned(),
            names: names.iter().map(|&name| name.to_owned()).collect(),
            values: (0..n * n).map(|at| Some(if at / n == at % n { 1.0 } else { r })).collect(),
        }
    }

    #[test]
    fn colors_run_from_the_lowest_to_one() {
        assert_eq!((step(1000, 500), step(500, 500), step(740, 500), step(1000, 1000)), (STEPS - 1, 0, 4, 0));
        for (low, wanted) in [(0.43, 400), (-0.31, -400), (0.973, 970), (0.9991, 999)] {
            assert_eq!(lowest(&matrix(&["a", "b"], low)), wanted, "{low}");
        }
        assert_eq!([951, 995, 625, -625, 0].map(hundredths), [".95", "1.00", ".63", "\u{2212}.63", ".00"]);
    }

    #[test]
    fn names_cannot_leave_their_place() {
        let html = heatmap(&[matrix(&["</script><em>", "b\"'"], 0.5)]);
        assert_eq!(html.matches("</script>").count(), 1);
        assert!(!html.contains("<em>") && html.contains("&lt;/script&gt;") && html.contains("\\u003c/script\\u003e"));
    }

    #[test]
    fn every_pair_has_its_cell() {
        let html = heatmap(&[matrix(&["a", "b", "c"], 0.5), matrix(&["a", "b", "c"], 0.1)]);
        assert_eq!(html.matches("h1v1h-1z").count(), 9);
        assert_eq!(html.matches("<option>").count(), 2);
        assert_eq!(html.matches("<text").count(), 6);
    }
}

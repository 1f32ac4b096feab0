//! A search as it went: how far from its best each iteration was, and the bound that proves it.

use super::{
    super::{
        facts::Step,
        scale::{Scale, extent},
    },
    plot::{Axis, Plot},
};

/// Distance of the score to that of the last iteration, the best, and the certified gap over the iterations, on an axis
/// of powers of ten. What is zero has no place there and is left out; `None` where nothing is left.
pub(crate) fn trace(steps: &[Step], says: &str) -> Option<String> {
    let best = steps.last()?.score;
    let placed = |value: &dyn Fn(&Step) -> Option<f64>| -> Vec<(f64, f64)> {
        let values = steps.iter().enumerate().filter_map(|(at, step)| Some(((at + 1) as f64, value(step)?)));
        values.filter(|(_, value)| *value > 0.0 && value.is_finite()).collect()
    };
    let above = placed(&|step| Some((step.score - best).abs()));
    let gap = placed(&|step| step.gap);
    let (low, high) = extent(above.iter().chain(&gap).map(|&(_, value)| value))?;
    let x = Axis { scale: Scale::linear(1.0, steps.len() as f64), title: "iteration", ticks: 8 };
    let y = Axis { scale: Scale::log(low / 2.0, high * 2.0), title: "in the metric's unit, powers of ten", ticks: 7 };
    let mut plot = Plot::new(x, y);
    // Both lines fall: one has its name above it, the other below.
    let lines = [
        (&above, "line", "from the best", "hi", (-8.0, 16.0), "end"),
        (&gap, "line b", "certified gap", "", (8.0, -8.0), "start"),
    ];
    for (points, class, word, text, away, anchor) in lines {
        plot.line(class, points);
        if let Some(&middle) = points.get(points.len() / 2) {
            plot.word(text, middle, away, anchor, word);
        }
    }
    Some(plot.finish("height:18rem", says))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trace_has_both_lines_where_both_are_known() {
        let step = |i: i32| Step { score: 1.0 + 0.1_f64.powi(i), gap: Some(0.1_f64.powi(i)) };
        let steps: Vec<Step> = (0..6).map(step).collect();
        let html = trace(&steps, "a search").unwrap();
        assert!(html.contains("from the best") && html.contains("certified gap"));
        assert_eq!(trace(&[Step { score: 1.0, gap: None }], ""), None, "a step that is the best is no line");
        assert_eq!(trace(&[], ""), None);
    }
}

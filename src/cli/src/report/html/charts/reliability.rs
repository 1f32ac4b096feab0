//! Calibration: how often what is predicted happens.

use super::{
    super::{
        facts::{Bin, Calibration, Meaning},
        scale::{Scale, extent},
        text::{fixed, thousands},
    },
    plot::{Axis, Plot},
};

/// The axis that all curves of a page share: for probabilities by ratio where most are small, else from 0 to 1; for
/// values their range.
pub(crate) fn axis_of(all: &[Calibration]) -> Option<Scale> {
    let bins = || all.iter().flat_map(|it| &it.bins);
    if all.iter().any(|it| it.scale != Meaning::Probability) {
        return Scale::around(bins().flat_map(|bin| [bin.predicted, bin.observed]));
    }
    let mut predicted: Vec<f64> = bins().map(|bin| bin.predicted).filter(|p| p.is_finite()).collect();
    predicted.sort_by(f64::total_cmp);
    let middle = *predicted.get(predicted.len() / 2)?;
    if middle > 0.05 {
        return Some(Scale::linear(0.0, 1.0));
    }
    let positive = predicted.iter().copied().find(|&p| p > 0.0)?;
    let (_, high) = extent(bins().flat_map(|bin| [bin.predicted, bin.observed]))?;
    Some(Scale::log(positive.max(1e-6) / 1.5, (high * 1.5).min(1.0)))
}

/// One curve: predicted against observed, with intervals where they are known, and the diagonal of perfect calibration.
/// Bins in which nothing happened stand at the foot of an axis of ratios.
pub(crate) fn reliability(it: &Calibration, scale: Scale) -> String {
    let x = Axis { scale, title: "predicted", ticks: 3 };
    let y = Axis { scale, title: "observed", ticks: 4 };
    let mut plot = Plot::new(x, y);
    let (low, high) = scale.ends();
    plot.line("ref", &[(low, low), (high, high)]);
    for bin in &it.bins {
        if let Some(interval) = interval(it, bin) {
            plot.interval(bin.predicted, interval);
        }
    }
    for bin in &it.bins {
        plot.dot(it.is_blend, 3.5, (bin.predicted, bin.observed), &what(it, bin));
    }
    plot.finish("aspect-ratio:1", &says(it))
}

/// The 95 % interval of what was observed; the noise of values is not known.
fn interval(it: &Calibration, bin: &Bin) -> Option<(f64, f64)> {
    (it.scale == Meaning::Probability).then(|| wilson(bin.observed, bin.mass))
}

fn what(it: &Calibration, bin: &Bin) -> String {
    let interval =
        interval(it, bin).map_or_else(String::new, |(low, high)| format!(" [{}, {}]", short(low), short(high)));
    format!(
        "predicted {}, observed {}{interval}, {} cells",
        short(bin.predicted),
        short(bin.observed),
        thousands(bin.mass.round() as usize),
    )
}

/// A number to as many digits as a small one needs.
fn short(value: f64) -> String {
    fixed(value, if value.abs() < 0.0995 { 4 } else { 2 })
}

/// What the curve shows, in a sentence.
fn says(it: &Calibration) -> String {
    let known: Vec<(&Bin, (f64, f64))> = it.bins.iter().filter_map(|bin| Some((bin, interval(it, bin)?))).collect();
    let outside = known.iter().filter(|(bin, (low, high))| bin.predicted < *low || bin.predicted > *high).count();
    let mut says = format!("{}: {} bins.", it.name, it.bins.len());
    if !known.is_empty() {
        says = format!(
            "{}: in {outside} of {} bins the prediction lies outside the interval of what happened.",
            it.name,
            known.len()
        );
    }
    if let Some((slope, intercept)) = it.line {
        says += &format!(" Slope {}, intercept {}.", fixed(slope, 2), fixed(intercept, 2));
    }
    says
}

/// The 95 % score interval of a share (Wilson 1927).
fn wilson(share: f64, n: f64) -> (f64, f64) {
    let z2 = 1.959_963_984_540_054_f64.powi(2);
    let middle = share + z2 / (2.0 * n);
    let half = (z2 * (share * (1.0 - share) + z2 / (4.0 * n)) / n).max(0.0).sqrt();
    let scale = 1.0 + z2 / n;
    (((middle - half) / scale).max(0.0), ((middle + half) / scale).min(1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn curve(predicted: &[f64]) -> Calibration {
        let bin = |&predicted: &f64| Bin { predicted, observed: predicted, mass: 10.0 };
        Calibration { name: "m".to_owned(), bins: predicted.iter().map(bin).collect(), ..Calibration::default() }
    }

    #[test]
    fn rare_events_get_an_axis_of_ratios() {
        assert_eq!(axis_of(&[curve(&[0.1, 0.5, 0.9])]), Some(Scale::linear(0.0, 1.0)));
        assert!(axis_of(&[curve(&[0.001, 0.002, 0.3])]).unwrap().ends().0 > 0.0);
        assert_eq!(axis_of(&[]), None);
        let html = reliability(&curve(&[0.1, 0.5]), Scale::linear(0.0, 1.0));
        assert_eq!((html.matches("<circle").count(), html.matches("class=\"whisk\"").count()), (2, 2));
        assert!(html.contains("in 0 of 2 bins"));
    }

    #[test]
    fn intervals_of_shares() {
        // statsmodels.stats.proportion.proportion_confint(8, 10, method="wilson")
        let (low, high) = wilson(0.8, 10.0);
        assert!((low - 0.490_162_472).abs() < 1e-8 && (high - 0.943_317_849).abs() < 1e-8, "{low} {high}");
        assert_eq!(wilson(0.0, 10.0).0, 0.0);
        assert!(wilson(0.0, 10.0).1 > 0.0, "nothing in ten is not never");
    }
}

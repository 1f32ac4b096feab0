//! From numbers to places on an axis, and the round numbers that stand beside it.

use super::text::fixed;

/// An axis: a range of numbers, evenly or by ratio.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Scale {
    low: f64,
    high: f64,
    log: bool,
}

/// A round number on an axis.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Tick {
    /// Its place, from 0 (the axis's low end) to 1.
    pub(crate) at: f64,
    /// As it is read.
    pub(crate) label: String,
}

impl Scale {
    /// From `low` to `high`. Where they are one number, a little on both sides of it.
    pub(crate) fn linear(low: f64, high: f64) -> Self {
        if high > low {
            return Self { low, high, log: false };
        }
        let room = if low == 0.0 { 1.0 } else { low.abs() * 0.01 };
        Self { low: low - room, high: high + room, log: false }
    }

    /// From `low` to `high` by ratio, both positive.
    pub(crate) fn log(low: f64, high: f64) -> Self {
        let low = low.max(f64::MIN_POSITIVE);
        if high > low { Self { low, high, log: true } } else { Self { low: low / 2.0, high: low * 2.0, log: true } }
    }

    /// Around all finite values, with room for marks at both ends; `None` where there is none.
    pub(crate) fn around(values: impl IntoIterator<Item = f64>) -> Option<Self> {
        let (low, high) = extent(values)?;
        let room = (high - low) * 0.04;
        Some(Self::linear(low - room, high + room))
    }

    /// As [`Scale::around`], with zero on it: for bars, whose length is what is read.
    pub(crate) fn from_zero(values: impl IntoIterator<Item = f64>) -> Option<Self> {
        let (low, high) = extent(values)?;
        let (low, high) = (low.min(0.0), high.max(0.0));
        let room = (high - low) * 0.04;
        Some(Self::linear(if low < 0.0 { low - room } else { 0.0 }, if high > 0.0 { high + room } else { 0.0 }))
    }

    /// The low and the high end.
    pub(crate) fn ends(&self) -> (f64, f64) {
        (self.low, self.high)
    }

    /// The place of `value`, from 0 to 1; values beyond an end stand at it.
    pub(crate) fn at(&self, value: f64) -> f64 {
        let place = if self.log {
            (value.max(f64::MIN_POSITIVE) / self.low).ln() / (self.high / self.low).ln()
        } else {
            (value - self.low) / (self.high - self.low)
        };
        place.clamp(0.0, 1.0)
    }

    /// Whether `value` lies between the ends.
    pub(crate) fn holds(&self, value: f64) -> bool {
        (self.low..=self.high).contains(&value)
    }

    /// Round numbers between the ends, `about` that many.
    pub(crate) fn ticks(&self, about: usize) -> Vec<Tick> {
        if self.log { self.powers(about) } else { self.rounds(about) }
    }

    fn rounds(&self, about: usize) -> Vec<Tick> {
        let rough = (self.high - self.low) / about.max(1) as f64;
        let power = rough.log10().floor() as i32;
        let unit = 10_f64.powi(power);
        let step = [1.0, 2.0, 5.0, 10.0].into_iter().find(|step| step * unit >= rough * 0.999).unwrap_or(10.0);
        let digits = (-(power + i32::from(step == 10.0))).max(0) as usize;
        // Steps are counted, not added up: what is labelled 0.3 stands at 0.3.
        let (first, last) = ((self.low / (step * unit)).ceil(), (self.high / (step * unit)).floor());
        (0..=((last - first).max(0.0) as usize).min(4 * about))
            .map(|i| (first + i as f64) * step * unit)
            .filter(|value| self.holds(*value))
            .map(|value| Tick { at: self.at(value), label: fixed(value, digits) })
            .collect()
    }

    fn powers(&self, about: usize) -> Vec<Tick> {
        let (first, last) = (self.low.log10().ceil() as i32, self.high.log10().floor() as i32);
        let n_powers = (last - first + 1).max(0) as usize;
        if n_powers < 2 {
            // Within a decade or so, round numbers are closer together.
            return self.rounds(about);
        }
        let every = n_powers.div_ceil(about.max(1)).max(1) as i32;
        (first..=last)
            .filter(|power| power.rem_euclid(every) == 0)
            .map(|power| {
                let value = 10_f64.powi(power);
                let label = if (-4..=4).contains(&power) {
                    fixed(value, (-power).max(0) as usize)
                } else {
                    format!("1e{}", fixed(f64::from(power), 0))
                };
                Tick { at: self.at(value), label }
            })
            .collect()
    }
}

/// Lowest and highest finite value.
pub(crate) fn extent(values: impl IntoIterator<Item = f64>) -> Option<(f64, f64)> {
    values.into_iter().filter(|value| value.is_finite()).fold(None, |extent, value| {
        Some(extent.map_or((value, value), |(low, high): (f64, f64)| (low.min(value), high.max(value))))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(scale: Scale, about: usize) -> Vec<String> {
        scale.ticks(about).into_iter().map(|tick| tick.label).collect()
    }

    #[test]
    fn ticks_are_round_and_inside() {
        assert_eq!(labels(Scale::linear(0.0, 1.0), 5), ["0.0", "0.2", "0.4", "0.6", "0.8", "1.0"]);
        assert_eq!(labels(Scale::linear(0.01531, 0.01549), 4), ["0.01535", "0.01540", "0.01545"]);
        assert_eq!(labels(Scale::linear(-30.0, 60.0), 4), ["0", "50"]);
        for (low, high) in [(0.0, 1e-9), (-3.0, 7.0), (1e6, 1.1e6), (0.5, 0.5)] {
            let scale = Scale::linear(low, high);
            let ticks = scale.ticks(5);
            assert!((1..=20).contains(&ticks.len()), "{low}..{high}: {ticks:?}");
            assert!(ticks.iter().all(|tick| (0.0..=1.0).contains(&tick.at)), "{ticks:?}");
        }
    }

    #[test]
    fn ratios_have_powers_of_ten() {
        assert_eq!(labels(Scale::log(1e-4, 1.0), 9), ["0.0001", "0.001", "0.01", "0.1", "1"]);
        assert!((Scale::log(1e-4, 1.0).at(0.01) - 0.5).abs() < 1e-12);
        assert_eq!(Scale::log(1e-4, 1.0).at(0.0), 0.0, "beyond the end stands at it");
    }

    #[test]
    fn bars_start_at_zero() {
        assert_eq!(Scale::from_zero([0.2, 0.5]).unwrap().ends().0, 0.0);
        assert_eq!(Scale::from_zero([-0.2, -0.5]).unwrap().ends().1, 0.0);
        assert_eq!(Scale::around([f64::NAN]), None);
    }
}

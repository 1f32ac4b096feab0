//! CV score against public score, with the band in which a next submission is to be expected.

use super::{
    super::{scale::Scale, text::score},
    plot::{Axis, Plot},
};

/// A submission with both scores.
#[derive(Debug, Clone)]
pub(crate) struct Point {
    pub(crate) name: String,
    pub(crate) x: f64,
    pub(crate) y: f64,
    /// Whether it stands out: a blend.
    pub(crate) is_lead: bool,
}

/// A straight line fitted by least squares.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Fit {
    slope: f64,
    mean: (f64, f64),
    /// Sum of squares of x around its mean.
    spread: f64,
    /// Standard deviation of what the line leaves, with n - 2 degrees of freedom.
    rest: f64,
    n: usize,
}

/// Points that a band needs: with fewer, its width is a guess.
pub(crate) const FEWEST: usize = 5;

impl Fit {
    /// The line through `points`; `None` with fewer than [`FEWEST`], or where x does not vary.
    pub(crate) fn of(points: &[Point]) -> Option<Self> {
        let n = points.len();
        if n < FEWEST {
            return None;
        }
        let count = n as f64;
        let mean = (points.iter().map(|p| p.x).sum::<f64>() / count, points.iter().map(|p| p.y).sum::<f64>() / count);
        let spread: f64 = points.iter().map(|p| (p.x - mean.0).powi(2)).sum();
        if spread <= f64::EPSILON * mean.0 * mean.0 {
            return None;
        }
        let slope = points.iter().map(|p| (p.x - mean.0) * (p.y - mean.1)).sum::<f64>() / spread;
        let squares: f64 = points.iter().map(|p| (p.y - mean.1 - slope * (p.x - mean.0)).powi(2)).sum();
        Some(Self { slope, mean, spread, rest: (squares / (count - 2.0)).sqrt(), n })
    }

    /// The line at `x` and half the width of the 95 % prediction interval there (Student's t with n - 2 degrees of
    /// freedom).
    pub(crate) fn at(&self, x: f64) -> (f64, f64) {
        let n = self.n as f64;
        let half = self.rest * (1.0 + 1.0 / n + (x - self.mean.0).powi(2) / self.spread).sqrt();
        (self.mean.1 + self.slope * (x - self.mean.0), student(n - 2.0) * half)
    }
}

/// The 97.5th percentile of Student's t with at least 3 degrees of freedom, by the expansion in powers of 1 / v
/// (Abramowitz and Stegun 26.7.5); within 1 % of the true value at 3, within 0.1 % from 5 on.
fn student(v: f64) -> f64 {
    let z = 1.959_963_984_540_054_f64;
    let g = [
        (z.powi(3) + z) / 4.0,
        (5.0 * z.powi(5) + 16.0 * z.powi(3) + 3.0 * z) / 96.0,
        (3.0 * z.powi(7) + 19.0 * z.powi(5) + 17.0 * z.powi(3) - 15.0 * z) / 384.0,
        (79.0 * z.powi(9) + 776.0 * z.powi(7) + 1482.0 * z.powi(5) - 1920.0 * z.powi(3) - 945.0 * z) / 92_160.0,
    ];
    z + g.iter().enumerate().map(|(i, g)| g / v.powi(i as i32 + 1)).sum::<f64>()
}

/// The points with their names, the line and its band where there are enough of them.
pub(crate) fn scatter(points: &[Point], titles: [&str; 2], says: &str) -> Option<String> {
    let x = Scale::around(points.iter().map(|point| point.x))?;
    let fit = Fit::of(points);
    let (low, high) = x.ends();
    let places: Vec<f64> = (0..=32).map(|i| low + (high - low) * f64::from(i) / 32.0).collect();
    let around = |sign: f64| -> Vec<(f64, f64)> {
        let fit = fit.as_ref();
        places.iter().filter_map(|&x| fit.map(|fit| fit.at(x)).map(|(y, half)| (x, y + sign * half))).collect()
    };
    let (lower, line, upper) = (around(-1.0), around(0.0), around(1.0));
    let heights = points.iter().map(|point| point.y).chain(lower.iter().chain(&upper).map(|&(_, y)| y));
    let y = Scale::around(heights)?;
    let mut plot =
        Plot::new(Axis { scale: x, title: titles[0], ticks: 6 }, Axis { scale: y, title: titles[1], ticks: 6 });
    if fit.is_some() {
        plot.band(&lower, &upper);
        plot.line("ref", &line);
    }
    for point in points {
        let what = format!("{}: {} / {}", point.name, score(point.x), score(point.y));
        plot.dot(point.is_lead, if point.is_lead { 6.0 } else { 4.5 }, (point.x, point.y), &what);
    }
    for (point, (dx, dy), anchor) in places_of_names(points, x, y) {
        plot.word(if point.is_lead { "hi" } else { "wide-only" }, (point.x, point.y), (dx, dy), anchor, &point.name);
    }
    Some(plot.finish("height:24rem", says))
}

/// Where names can stand without covering a point or each other, on a page of usual width; blends come first. Names
/// without a place are left to the pointer and to the table.
fn places_of_names(points: &[Point], x: Scale, y: Scale) -> Vec<(&Point, (f64, f64), &'static str)> {
    const WIDTH: f64 = 640.0;
    const HEIGHT: f64 = 384.0;
    const LINE: f64 = 15.0;
    let center = |point: &Point| (x.at(point.x) * WIDTH, (1.0 - y.at(point.y)) * HEIGHT);
    let mut taken: Vec<[f64; 4]> = points
        .iter()
        .map(|point| {
            let (cx, cy) = center(point);
            [cx - 5.0, cy - 5.0, cx + 5.0, cy + 5.0]
        })
        .collect();
    let mut order: Vec<&Point> = points.iter().collect();
    order.sort_by_key(|point| !point.is_lead);
    let mut placed = Vec::new();
    for point in order {
        let (cx, cy) = center(point);
        let long = point.name.chars().count() as f64 * 7.2;
        let choices = [
            ((9.0, 4.0), "start", cx + 9.0),
            ((-9.0, 4.0), "end", cx - 9.0 - long),
            ((0.0, -10.0), "middle", cx - long / 2.0),
            ((0.0, 19.0), "middle", cx - long / 2.0),
        ];
        for ((dx, dy), anchor, left) in choices {
            let base = cy + dy;
            let area = [left, base - LINE + 3.0, left + long, base + 3.0];
            let inside = area[0] >= 0.0 && area[2] <= WIDTH && area[1] >= 0.0 && area[3] <= HEIGHT;
            let free = taken.iter().all(|t| area[2] < t[0] || t[2] < area[0] || area[3] < t[1] || t[3] < area[1]);
            if inside && free {
                taken.push(area);
                placed.push((point, (dx, dy), anchor));
                break;
            }
        }
    }
    placed
}

#[cfg(test)]
mod tests {
    use super::*;

    fn point(name: &str, x: f64, y: f64) -> Point {
        Point { name: name.to_owned(), x, y, is_lead: false }
    }

    #[test]
    fn students_percentiles() {
        // scipy.stats.t.ppf(0.975, v)
        for (v, wanted) in [(3.0, 3.182_446_305), (5.0, 2.570_581_836), (10.0, 2.228_138_852), (30.0, 2.042_272_456)] {
            let got = student(v);
            assert!((got - wanted).abs() / wanted < if v < 5.0 { 0.01 } else { 1e-3 }, "{v}: {got}");
        }
    }

    #[test]
    fn the_line_and_its_band_by_hand() {
        // y = 2x + 1 with residuals 1, -1, -1, 1, 0 around it, which are uncorrelated with x: slope stays 2.
        let ys = [2.0, 2.0, 4.0, 8.0, 9.0];
        let points: Vec<Point> = ys.iter().enumerate().map(|(i, &y)| point("m", i as f64, y)).collect();
        let fit = Fit::of(&points).unwrap();
        assert!((fit.slope - 2.0).abs() < 1e-12 && (fit.at(2.0).0 - 5.0).abs() < 1e-12, "{fit:?}");
        // sqrt(4 / 3) left with 3 degrees of freedom, times sqrt(1 + 1/5) at the mean.
        assert!((fit.rest - (4.0_f64 / 3.0).sqrt()).abs() < 1e-12);
        assert!((fit.at(2.0).1 - student(3.0) * (1.6_f64).sqrt()).abs() < 1e-12);
        assert!(fit.at(4.0).1 > fit.at(2.0).1, "wider away from the mean");
        assert_eq!(Fit::of(&points[..4]), None);
        assert_eq!(Fit::of(&vec![point("m", 0.5, 1.0); 6]), None, "x does not vary");
    }

    #[test]
    fn names_do_not_cover_each_other() {
        let points: Vec<Point> =
            (0..40).map(|i| point("a-rather-long-name", f64::from(i % 3), f64::from(i % 2))).collect();
        let (x, y) = (Scale::linear(0.0, 2.0), Scale::linear(0.0, 1.0));
        assert!(places_of_names(&points, x, y).len() <= 6, "one name for each place");
        let html = scatter(&points[..2], ["CV", "public"], "two points").unwrap();
        assert_eq!(html.matches("<circle").count(), 2);
        assert!(!html.contains("class=\"band\""), "two points make no band");
        assert_eq!(scatter(&[], ["", ""], ""), None);
    }
}

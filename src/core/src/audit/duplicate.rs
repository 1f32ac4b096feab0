//! One model under two names: the same file, the same values, or the same values on another scale.
//!
//! Pairs are compared on some rows spread over the file; only those that agree there are compared on all of them.

use super::{Check, Context, Finding, Severity, context::Reader, many};
use crate::{block::Block, compare::standardize, num};
use rayon::prelude::*;
use std::cmp::Reverse;

pub(super) const CHECK: Check = Check {
    name: "duplicate",
    severities: &[Severity::Fault, Severity::Warning, Severity::Note],
    does: "no two models have the same outputs, by fingerprint, by value or up to a linear scale",
    run,
};

/// Rows of the first comparison, fewer where there are many columns: every model's sample is held at once.
const SAMPLE: usize = 2048;
/// Values of the first comparison: a megabyte.
const SAMPLE_VALUES: usize = 1 << 17;
/// Values that differ by less, relative to the larger, are the same: ten roundings of an f32.
const SAME: f64 = 1e-6;
/// How far the square of a correlation may be from one where one column is the other on another scale.
const SCALED: f64 = 1e-9;

fn run(context: &Context) -> Vec<Finding> {
    let readers = context.readers();
    let samples: Vec<Sample> = readers.par_iter().map(Sample::new).collect();
    (0..readers.len())
        .into_par_iter()
        .flat_map_iter(|b| {
            // One finding per output is enough: the first twin names the family.
            let twin = |a: usize| pair((&readers[a], &samples[a]), (&readers[b], &samples[b]));
            (0..b).filter_map(twin).min_by_key(|finding| Reverse(finding.severity)).into_iter()
        })
        .collect()
}

/// Some rows of an output on the target's own scale, and the same centered and of length one.
struct Sample {
    values: Block,
    /// `None` where the column is constant or has values that are no numbers.
    standard: Vec<Option<Vec<f64>>>,
}

impl Sample {
    fn new(reader: &Reader<'_>) -> Self {
        let n_rows = (SAMPLE_VALUES / reader.n_outputs().max(1)).clamp(64, SAMPLE);
        let step = reader.n_rows().div_ceil(n_rows).max(1);
        let values = reader.natural((0..reader.n_rows()).step_by(step));
        let standard = (0..values.n_outputs())
            .map(|output| {
                let mut column = values.column(output).to_vec();
                standardize(&mut column).then_some(column)
            })
            .collect();
        Self { values, standard }
    }

    fn same(&self, other: &Self) -> bool {
        self.values.values().iter().zip(other.values.values()).all(|(x, y)| same(*x, *y))
    }

    /// Whether every column that varies is the other's on another scale, and there is one.
    fn scaled(&self, other: &Self) -> bool {
        let mut any = false;
        for pair in self.standard.iter().zip(&other.standard) {
            match pair {
                (Some(x), Some(y)) if proportional(num::dot(x, y)) => any = true,
                (None, None) => {}
                _ => return false,
            }
        }
        // Two points always lie on a line.
        any && self.values.n_rows() > 2
    }
}

fn same(x: f64, y: f64) -> bool {
    (x - y).abs() <= SAME * x.abs().max(y.abs()) || (x.is_nan() && y.is_nan())
}

fn proportional(correlation: f64) -> bool {
    1.0 - correlation * correlation < SCALED
}

fn pair((a, sample_a): (&Reader<'_>, &Sample), (b, sample_b): (&Reader<'_>, &Sample)) -> Option<Finding> {
    let (first, second) = (a.stored, b.stored);
    if first.part != second.part {
        return None;
    }
    let finding = |severity| Finding::of(second, &CHECK, severity);
    let drop_one = format!("keep one of `{}` and `{}`; a blend refuses both", first.model, second.model);
    if first.fingerprint == second.fingerprint {
        let cause = format!("the same outputs as `{}` ({}), to the last bit", first.model, first.fingerprint);
        return Some(finding(Severity::Fault).because(cause, drop_one, b.n_rows()));
    }
    if a.n_outputs() != b.n_outputs() || a.n_rows() != b.n_rows() || a.n_rows() == 0 || a.n_outputs() == 0 {
        return None;
    }
    let (is_same, is_scaled) = (sample_a.same(sample_b), sample_a.scaled(sample_b));
    if !(is_same || is_scaled) || !a.same_rows(b) {
        return None;
    }
    if is_same && all_same(a, b) {
        let cause = format!(
            "the same values as `{}` in {} within rounding ({SAME:e} of the value)",
            first.model,
            many(a.n_rows(), "row")
        );
        let hint =
            format!("keep one of `{}` and `{}`: together they have the weight of one", first.model, second.model);
        return Some(finding(Severity::Warning).because(cause, hint, a.n_rows()));
    }
    if is_scaled && all_scaled(a, b) {
        let cause = format!("`{}` on another scale: every column is a linear function of its column", first.model);
        let hint = "by rank they are one model; keep both only where the scale is meant, as a calibration is";
        return Some(finding(Severity::Note).because(cause, hint, b.n_outputs()));
    }
    None
}

fn all_same(a: &Reader<'_>, b: &Reader<'_>) -> bool {
    a.chunks().all(|rows| {
        let (x, y) = (a.natural(rows.clone()), b.natural(rows));
        x.values().iter().zip(y.values()).all(|(x, y)| same(*x, *y))
    })
}

/// The sample's finding on all rows: sums of products around the first chunk's means, chunk by chunk.
fn all_scaled(a: &Reader<'_>, b: &Reader<'_>) -> bool {
    let n_outputs = a.n_outputs();
    let mut shift: Option<Vec<(f64, f64)>> = None;
    let mut sums = vec![[0.0; 5]; n_outputs];
    for rows in a.chunks() {
        let (x, y) = (a.natural(rows.clone()), b.natural(rows.clone()));
        let n = rows.len() as f64;
        let mean = |t: usize| (num::sum(x.column(t)) / n, num::sum(y.column(t)) / n);
        let shift = shift.get_or_insert_with(|| (0..n_outputs).map(mean).collect());
        for (t, sums) in sums.iter_mut().enumerate() {
            let (mean_x, mean_y) = shift[t];
            for (x, y) in x.column(t).iter().zip(y.column(t)) {
                let (dx, dy) = (x - mean_x, y - mean_y);
                let terms = [dx, dy, dx * dx, dy * dy, dx * dy];
                sums.iter_mut().zip(terms).for_each(|(sum, term)| *sum += term);
            }
        }
    }
    let n = a.n_rows() as f64;
    sums.iter().zip(shift.iter().flatten()).all(|([x, y, xx, yy, xy], (mean_x, mean_y))| {
        let (xx, yy, xy) = (xx - x * x / n, yy - y * y / n, xy - x * y / n);
        let noise = |mean: &f64| (1e-13 * mean) * (1e-13 * mean) * n;
        let varies = xx > noise(mean_x) || yy > noise(mean_y);
        !varies || proportional(xy / libm::sqrt(xx * yy))
    })
}

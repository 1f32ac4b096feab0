//! Multi-class log loss of a linear pool: only the true class's probability of each row and member is ever needed, so
//! the data shrink to `n_models x n_rows` numbers however many classes there are.

use super::feed::{Feed, Held};
use crate::random::Random;
use blend_core::{
    Block,
    judge::{Cells, TrueClass},
    num::{self, LANES},
};
use multiversion::multiversion;
use rayon::prelude::*;

/// `-ln u` per row, `u` the blended probability of the true class.
pub(super) struct MinusLog<'a> {
    pub(super) weights: Option<&'a [f64]>,
    pub(super) n_rows: usize,
    pub(super) clip: f64,
}

/// Rows of a sample, about; of fewer than four times as many none is taken.
const SAMPLE: usize = 2_000;

/// Reads each member's probabilities of the true classes once, and judges blends of them.
pub(crate) fn cells<'a>(feed: &Feed<'_>, loss: &TrueClass<'a>) -> (Feed<'a>, Box<dyn Cells + 'a>) {
    let mut held = Held::zeros(feed.n_members(), 1, loss.labels.len());
    let by_output = feed.by_output(loss.labels);
    held.columns_mut().enumerate().for_each(|(member, likelihood)| {
        let mut part = Block::default();
        for block in 0..feed.n_blocks() {
            let (start, n) = feed.extent(block);
            let (labels, out) = (&loss.labels[start..start + n], &mut likelihood[start..start + n]);
            if feed.pick(member, block, &by_output, out) {
                continue;
            }
            feed.columns(member, block, &mut part);
            for (row, (out, &label)) in out.iter_mut().zip(labels).enumerate() {
                *out = part.get(label as usize, row);
            }
        }
    });
    let cells = MinusLog { weights: loss.weights, n_rows: loss.labels.len(), clip: loss.clip };
    (Feed::Held(held), Box::new(cells))
}

/// The same over some of the rows, where there are many and all weigh the same.
pub(crate) fn sample(feed: &Feed<'_>, loss: &TrueClass<'_>) -> Option<(Feed<'static>, Box<dyn Cells>)> {
    let (held, n) = (feed.in_memory()?, loss.labels.len());
    if loss.weights.is_some() || n < 4 * SAMPLE {
        return None;
    }
    // No label has a say in which rows are taken.
    let one_in = (n / SAMPLE) as u64;
    let rows: Vec<usize> = (0..n).filter(|&row| Random::new(row as u64).bits().is_multiple_of(one_in)).collect();
    let mut few = Held::zeros(feed.n_members(), 1, rows.len());
    few.columns_mut().enumerate().for_each(|(member, to)| {
        let from = held.column(member, 0);
        to.iter_mut().zip(&rows).for_each(|(to, &row)| *to = from[row]);
    });
    let cells = MinusLog { weights: None, n_rows: rows.len(), clip: loss.clip };
    (!rows.is_empty()).then(|| (Feed::Held(few), Box::new(cells) as Box<dyn Cells>))
}

impl Cells for MinusLog<'_> {
    fn mass(&self) -> f64 {
        self.weights.map_or(self.n_rows as f64, num::sum)
    }

    fn member_range(&self) -> Option<(f64, f64)> {
        Some((self.clip, 1.0))
    }

    fn value(&self, _output: usize, start: usize, u: &[f64]) -> f64 {
        match self.weights {
            None => minus_log_sum(u),
            Some(s) => weighted(u, &s[start..start + u.len()]),
        }
    }

    fn slope(&self, output: usize, start: usize, u: &[f64], d: &mut [f64]) -> f64 {
        d.iter_mut().zip(u).for_each(|(d, u)| *d = -1.0 / u);
        if let Some(s) = self.weights {
            d.iter_mut().zip(&s[start..]).for_each(|(d, s)| *d *= s);
        }
        self.value(output, start, u)
    }

    fn curve(&self, output: usize, start: usize, u: &[f64], d: &mut [f64], h: &mut [f64]) -> f64 {
        let value = self.slope(output, start, u, d);
        h.iter_mut().zip(d.iter().zip(u)).for_each(|(h, (d, u))| *h = -d / u);
        value
    }

    fn is_convex(&self) -> bool {
        true
    }

    fn is_minus_log(&self) -> bool {
        true
    }
}

fn weighted(u: &[f64], s: &[f64]) -> f64 {
    if u.iter().any(|u| *u <= 0.0) {
        return f64::INFINITY;
    }
    let mut logs = u.to_vec();
    num::ln_all(&mut logs);
    -num::dot(&logs, s)
}

/// The sum of `-ln u`, sixteen factors to a logarithm: members of at least 1e-15 keep the product above 1e-240.
#[multiversion(targets("x86_64+avx512f+avx512dq+avx512vl+avx512bw", "x86_64+avx2"))]
pub(super) fn minus_log_sum(u: &[f64]) -> f64 {
    let mut total = [0.0; LANES];
    let mut lowest = [f64::INFINITY; LANES];
    for chunk in u.chunks(16 * LANES) {
        let mut product = [1.0; LANES];
        let (groups, rest) = chunk.as_chunks::<LANES>();
        for group in groups {
            for lane in 0..LANES {
                product[lane] *= group[lane];
                lowest[lane] = if group[lane] < lowest[lane] { group[lane] } else { lowest[lane] };
            }
        }
        for ((product, lowest), &u) in product.iter_mut().zip(&mut lowest).zip(rest) {
            *product *= u;
            *lowest = lowest.min(u);
        }
        num::ln_all(&mut product);
        total.iter_mut().zip(&product).for_each(|(total, log)| *total -= log);
    }
    if lowest.iter().all(|lowest| *lowest > 0.0) { num::fold(&total) } else { f64::INFINITY }
}

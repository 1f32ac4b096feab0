//! Means over cells: one pass gives value, gradient and Hessian.
//!
//! A cell's loss depends on nothing but its own blend, so the data are walked by (block, output) in chunks that fit the
//! nearest cache: entered there once, blended, judged and reduced.

use super::{
    Curve, Effort, Meter, Objective, Slope,
    feed::{Feed, Reader},
    kernels,
};
use blend_core::{Block, judge::Cells};
use rayon::prelude::*;
use std::ops::Range;

/// A mean of [`Cells`] over everything a [`Feed`] gives.
pub(crate) struct CellObjective<'a> {
    feed: Feed<'a>,
    cells: Box<dyn Cells + 'a>,
    meter: Meter,
}

/// Bytes that partial sums may take: their number is a function of the problem alone, never of the threads.
const PARTIAL_BYTES: usize = 8 << 20;

/// Partial sums at most, at least, whatever their size.
const PARTS: (usize, usize) = (8, 512);

/// Values of all members together below which one thread does it all.
const SMALL_CELLS: usize = 1 << 15;

/// What a chunk is judged with: buffers of one task.
struct Scratch {
    /// Entered members, a row of `stride` each.
    x: Vec<f64>,
    stride: usize,
    /// Rows that are entered at a time, and rows that are judged at a time.
    stage: usize,
    step: usize,
    u: Vec<f64>,
    d: Vec<f64>,
    h: Vec<f64>,
    scaled: Vec<f64>,
    reader: Reader,
    wide: Vec<Block>,
}

/// A chunk: cells of one output in consecutive judged rows.
struct Chunk {
    output: usize,
    start: usize,
    n: usize,
    /// Where its rows begin in the scratch.
    at: usize,
}

impl Scratch {
    fn new(n_members: usize, n_rows: usize) -> Self {
        let stage = kernels::stage_rows(n_members).min(kernels::padded(n_rows));
        let step = kernels::chunk_cells(n_members).min(stage);
        let stride = kernels::stride(stage);
        Self {
            x: vec![0.0; n_members.next_multiple_of(kernels::TILE) * stride],
            stride,
            stage,
            step,
            u: vec![0.0; step],
            d: vec![0.0; step],
            h: vec![0.0; step],
            scaled: vec![0.0; kernels::TILE * step],
            reader: Reader::default(),
            wide: Vec::new(),
        }
    }
}

/// A weight vector as the loops want it.
struct Mixture {
    /// Members with a weight, in their order.
    terms: Vec<(usize, f64)>,
    /// Where blends lie: a mean lies among its members, which rounding must not undo.
    range: Option<(f64, f64)>,
    /// Other blends of probabilities must not exceed one: beyond it the written blend has another loss, and a loss
    /// that reads the true class alone would have no minimum.
    wall: bool,
}

impl Mixture {
    fn new(weights: &[f64], range: Option<(f64, f64)>) -> Self {
        let mean = weights.iter().all(|w| *w >= 0.0) && (weights.iter().sum::<f64>() - 1.0).abs() < 1e-9;
        Self {
            terms: weights.iter().copied().enumerate().filter(|(_, w)| *w != 0.0).collect(),
            range: range.filter(|_| mean),
            wall: range.is_some() && !mean,
        }
    }

    /// Blends `n` cells; whether they are allowed.
    fn mix(&self, x: &[f64], stride: usize, u: &mut [f64], n: usize) -> bool {
        kernels::mix(x, stride, &self.terms, &mut u[..kernels::padded(n)]);
        if let Some(range) = self.range {
            kernels::clamp(&mut u[..n], range);
        }
        !self.wall || u[..n].iter().all(|u| *u <= 1.0)
    }
}

#[derive(Clone)]
struct Sums {
    value: f64,
    gradient: Vec<f64>,
    hessian: Vec<f64>,
}

impl<'a> CellObjective<'a> {
    pub(crate) fn new(feed: Feed<'a>, cells: Box<dyn Cells + 'a>) -> Self {
        Self { feed, cells, meter: Meter::default() }
    }

    /// Runs `each` over every chunk and adds up what it returns, in grid order.
    fn reduce<T: Send>(
        &self,
        bytes: usize,
        zero: impl Fn() -> T + Sync,
        each: impl Fn(&mut T, &mut Scratch, &Chunk) + Sync,
        add: impl Fn(&mut T, T),
    ) -> T {
        // A unit is one output of a block, or a whole block where outputs enter together.
        let local = self.feed.is_cell_local();
        let n_outputs = self.feed.n_outputs();
        let per_block = if local { n_outputs } else { 1 };
        let n_units = self.feed.n_blocks() * per_block;
        let n_parts = (PARTIAL_BYTES / bytes.max(1)).clamp(PARTS.0, PARTS.1).min(n_units);
        let scratch = || Scratch::new(self.feed.n_members(), self.feed.n_rows());
        let run = |scratch: &mut Scratch, part: usize| {
            let mut sums = zero();
            for unit in part * n_units / n_parts..(part + 1) * n_units / n_parts {
                let block = unit / per_block;
                let outputs = if local { unit % per_block..unit % per_block + 1 } else { 0..n_outputs };
                self.unit(scratch, block, outputs, local, |scratch, chunk| each(&mut sums, scratch, chunk));
            }
            sums
        };
        // Waking another thread takes longer than a small problem.
        let parts: Vec<T> = if self.feed.n_cells() < SMALL_CELLS {
            let mut scratch = scratch();
            (0..n_parts).map(|part| run(&mut scratch, part)).collect()
        } else {
            (0..n_parts).into_par_iter().map_init(scratch, run).collect()
        };
        let mut total = zero();
        parts.into_iter().for_each(|part| add(&mut total, part));
        total
    }

    fn unit(
        &self,
        scratch: &mut Scratch,
        block: usize,
        outputs: Range<usize>,
        local: bool,
        mut each: impl FnMut(&mut Scratch, &Chunk),
    ) {
        let (start, n) = self.feed.extent(block);
        let (members, stride, stage, step) = (self.feed.n_members(), scratch.stride, scratch.stage, scratch.step);
        let range = self.cells.member_range().unwrap_or((f64::NEG_INFINITY, f64::INFINITY));
        if !local && n > 0 {
            scratch.wide.resize_with(members, Block::default);
            for (member, wide) in scratch.wide.iter_mut().enumerate() {
                self.feed.columns(member, block, wide);
                kernels::clamp(wide.values_mut(), range);
            }
        }
        for output in outputs {
            for from in (0..n).step_by(stage) {
                let rows = from..(from + stage).min(n);
                for (member, out) in scratch.x.chunks_mut(stride).take(members).enumerate() {
                    let (out, rest) = out.split_at_mut(rows.len());
                    rest[..kernels::padded(rows.len()) - rows.len()].fill(0.0);
                    if local {
                        self.feed.cells(member, (block, output), rows.clone(), range, &mut scratch.reader, out);
                    } else {
                        out.copy_from_slice(&scratch.wide[member].column(output)[rows.clone()]);
                    }
                }
                for at in (0..rows.len()).step_by(step) {
                    let n = step.min(rows.len() - at);
                    each(scratch, &Chunk { output, start: start + from + at, n, at });
                }
            }
        }
    }

    fn sums(&self, weights: &[f64], want_hessian: bool) -> Sums {
        self.meter.pass(1);
        let k = weights.len();
        let side = if want_hessian { k.next_multiple_of(kernels::TILE) } else { 0 };
        let mixture = Mixture::new(weights, self.cells.member_range());
        let mut sums = self.reduce(
            8 * (1 + k + side * side),
            || Sums { value: 0.0, gradient: vec![0.0; k], hessian: vec![0.0; side * side] },
            |part, scratch, chunk| {
                let (n, whole, stride) = (chunk.n, kernels::padded(chunk.n), scratch.stride);
                let Scratch { x, u, d, h, scaled, .. } = scratch;
                let x = &x[chunk.at..];
                if !mixture.mix(x, stride, u, n) {
                    part.value = f64::INFINITY;
                    return;
                }
                d[n..whole].fill(0.0);
                if want_hessian {
                    h[n..whole].fill(0.0);
                    part.value += self.cells.curve(chunk.output, chunk.start, &u[..n], &mut d[..n], &mut h[..n]);
                    kernels::add_hessian(x, stride, &h[..whole], scaled, &mut part.hessian, side);
                } else {
                    part.value += self.cells.slope(chunk.output, chunk.start, &u[..n], &mut d[..n]);
                }
                kernels::add_gradient(x, stride, &d[..whole], &mut part.gradient);
            },
            |total, part| {
                total.value += part.value;
                total.gradient.iter_mut().zip(part.gradient).for_each(|(a, b)| *a += b);
                total.hessian.iter_mut().zip(part.hessian).for_each(|(a, b)| *a += b);
            },
        );
        let mass = self.cells.mass();
        sums.value /= mass;
        sums.gradient.iter_mut().chain(&mut sums.hessian).for_each(|x| *x /= mass);
        if want_hessian {
            sums.hessian = kernels::symmetric(&sums.hessian, side, k);
        }
        sums
    }
}

impl Objective for CellObjective<'_> {
    fn n_weights(&self) -> usize {
        self.feed.n_members()
    }

    fn value(&self, weights: &[f64]) -> f64 {
        self.meter.pass(1);
        let mixture = Mixture::new(weights, self.cells.member_range());
        let total = self.reduce(
            8,
            || 0.0,
            |part, scratch, chunk| {
                let Scratch { x, stride, u, .. } = scratch;
                *part += if mixture.mix(&x[chunk.at..], *stride, u, chunk.n) {
                    self.cells.value(chunk.output, chunk.start, &u[..chunk.n])
                } else {
                    f64::INFINITY
                };
            },
            |total, part| *total += part,
        );
        total / self.cells.mass()
    }

    fn slope(&self, weights: &[f64]) -> Option<Slope> {
        let sums = self.sums(weights, false);
        Some(Slope { value: sums.value, gradient: sums.gradient })
    }

    fn curve(&self, weights: &[f64]) -> Option<Curve> {
        let sums = self.sums(weights, true);
        Some(Curve { value: sums.value, gradient: sums.gradient, hessian: sums.hessian })
    }

    fn toward(&self, weights: &[f64], step: f64) -> Vec<f64> {
        let k = weights.len();
        self.meter.pass(k);
        let range = self.cells.member_range();
        let mixture = Mixture::new(weights, range);
        let bounded = range.is_some();
        // Steps between means, and the members themselves, stay within the members' range.
        let range = range.filter(|_| mixture.range.is_some() || step == 1.0);
        let mut totals = self.reduce(
            8 * k,
            || vec![0.0; k],
            |part, scratch, chunk| {
                let (n, stride) = (chunk.n, scratch.stride);
                let Scratch { x, u, d, .. } = scratch;
                let x = &x[chunk.at..];
                mixture.mix(x, stride, u, n);
                for (member, total) in part.iter_mut().enumerate() {
                    let moved = &mut d[..n];
                    let x = &x[member * stride..member * stride + n];
                    moved.iter_mut().zip(u.iter().zip(x)).for_each(|(m, (u, x))| *m = (1.0 - step) * u + step * x);
                    if let Some(range) = range {
                        kernels::clamp(moved, range);
                    }
                    let allowed = range.is_some() || !bounded || moved.iter().all(|u| *u <= 1.0);
                    *total += if allowed { self.cells.value(chunk.output, chunk.start, moved) } else { f64::INFINITY };
                }
            },
            |total, part| total.iter_mut().zip(part).for_each(|(a, b)| *a += b),
        );
        totals.iter_mut().for_each(|total| *total /= self.cells.mass());
        totals
    }

    fn is_convex(&self) -> bool {
        self.cells.is_convex()
    }

    fn effort(&self) -> Effort {
        self.meter.effort()
    }
}

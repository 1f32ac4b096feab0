//! Means over cells: one pass gives value, gradient and Hessian.
//!
//! A cell's loss depends on nothing but its own blend, so the data are walked by (block, output) in chunks that fit the
//! nearest cache: entered there once, blended, judged and reduced.

mod apart;
mod direct;
mod picks;
mod rare;
mod walled;

use super::{
    Curve, Effort, Meter, Objective, Slope,
    feed::{Feed, Reader},
    kernels,
};
use crate::solver::lowest;
pub(crate) use apart::{Apart, Runs};
use blend_core::{Block, judge::Cells};
use rare::{Narrow, Rare};
use rayon::prelude::*;
use std::ops::Range;
use std::sync::{Arc, OnceLock};
use walled::Walled;

/// A mean of [`Cells`] over everything a [`Feed`] gives.
pub(crate) struct CellObjective<'a> {
    feed: Feed<'a>,
    cells: Box<dyn Cells + 'a>,
    /// Parts of the rows, whose sums are wanted apart.
    runs: Runs,
    rare: OnceLock<Option<Rare>>,
    sample: Option<Box<CellObjective<'static>>>,
    /// Whether second derivatives change so fast that those of a step before mislead.
    steep: bool,
    /// Counts its reads, and those of the losses that were made of it.
    meter: Arc<Meter>,
    /// The share of the data that one pass reads.
    share: f64,
}

/// Bytes that partial sums may take: their number is a function of the problem alone, never of the threads.
const PARTIAL_BYTES: usize = 8 << 20;

/// Partial sums at most, at least, whatever their size.
const PARTS: (usize, usize) = (8, 512);

/// Values of all members together below which one thread does it all.
const SMALL_CELLS: usize = 1 << 15;

/// What a chunk is judged with: buffers of one task.
struct Scratch {
    /// Entered members, a row of `stride` each; empty where they are held so.
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
    narrow: Narrow,
}

/// A chunk: cells of one output in consecutive judged rows of one part.
struct Chunk<'s> {
    part: usize,
    output: usize,
    start: usize,
    n: usize,
    /// Its members' values, `stride` apart.
    x: &'s [f64],
    stride: usize,
}

impl Scratch {
    fn new(n_members: usize, n_rows: usize, held: bool) -> Self {
        let stage = kernels::stage_rows(n_members).min(kernels::padded(n_rows));
        let step = kernels::chunk_cells(n_members).min(stage);
        let stride = kernels::stride(stage);
        Self {
            x: vec![0.0; if held { 0 } else { n_members.next_multiple_of(kernels::TILE) * stride }],
            stride,
            stage,
            step,
            u: vec![0.0; step],
            d: vec![0.0; step],
            h: vec![0.0; step],
            scaled: vec![0.0; kernels::TILE * step],
            reader: Reader::default(),
            wide: Vec::new(),
            narrow: Narrow::default(),
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
        !self.wall || kernels::wall(&mut u[..n])
    }
}

/// Sums over cells: of losses, and of derivatives by the weights.
#[derive(Clone)]
struct Sums {
    value: f64,
    gradient: Vec<f64>,
    /// Lower triangle, rows `side` apart; none where `side` is 0.
    hessian: Vec<f64>,
    side: usize,
}

impl Sums {
    fn zero(n: usize, want_hessian: bool) -> Self {
        let side = if want_hessian { n.next_multiple_of(kernels::TILE) } else { 0 };
        Self { value: 0.0, gradient: vec![0.0; n], hessian: vec![0.0; side * side], side }
    }

    fn bytes(&self) -> usize {
        8 * (1 + self.gradient.len() + self.hessian.len())
    }

    fn add(&mut self, other: &Self) {
        self.value += other.value;
        self.gradient.iter_mut().zip(&other.gradient).for_each(|(a, b)| *a += b);
        self.hessian.iter_mut().zip(&other.hessian).for_each(|(a, b)| *a += b);
    }

    /// The means over cells of this mass.
    fn over(mut self, mass: f64) -> Curve {
        self.value /= mass;
        self.gradient.iter_mut().chain(&mut self.hessian).for_each(|x| *x /= mass);
        let hessian = match self.side {
            0 => Vec::new(),
            side => kernels::symmetric(&self.hessian, side, self.gradient.len()),
        };
        Curve { value: self.value, gradient: self.gradient, hessian }
    }
}

impl<'a> CellObjective<'a> {
    pub(crate) fn new(mut feed: Feed<'a>, cells: Box<dyn Cells + 'a>) -> Self {
        if let Some(range) = cells.member_range() {
            feed.clamp(range);
        }
        let runs = Runs::one(feed.n_rows());
        let (rare, meter) = (OnceLock::new(), Arc::default());
        Self { feed, cells, runs, rare, sample: None, steep: false, meter, share: 1.0 }
    }

    /// One read that judged `evaluations` weight vectors.
    fn pass(&self, evaluations: usize) {
        self.meter.part_of_pass(self.share, evaluations);
    }

    /// With the same loss over some of the rows.
    pub(crate) fn with_sample(self, sample: Option<CellObjective<'static>>) -> Self {
        let share = |sample: &CellObjective<'_>| sample.feed.n_cells() as f64 / self.feed.n_cells() as f64;
        let sample = sample.map(|it| CellObjective { meter: self.meter.clone(), share: share(&it), ..it });
        Self { sample: sample.map(Box::new), ..self }
    }

    /// The loss of blends of some members alone.
    fn of(&self, members: &[usize]) -> CellObjective<'_> {
        let share = self.share * members.len() as f64 / self.feed.n_members() as f64;
        let of = CellObjective::new(self.feed.only(members), Box::new(&*self.cells));
        // Of few members second derivatives cost little.
        CellObjective { runs: self.runs.clone(), meter: self.meter.clone(), share, steep: true, ..of }
    }

    /// Runs `each` over every chunk and adds up what it returns, in grid order.
    fn reduce<T: Send>(
        &self,
        bytes: usize,
        zero: impl Fn() -> T + Sync,
        each: impl Fn(&mut T, &mut Scratch, &Chunk<'_>) + Sync,
        add: impl Fn(&mut T, T),
    ) -> T {
        // A unit is one output of a block, or a whole block where outputs enter together.
        let local = self.feed.is_cell_local();
        let n_outputs = self.feed.n_outputs();
        let per_block = if local { n_outputs } else { 1 };
        let n_units = self.feed.n_blocks() * per_block;
        let n_parts = (PARTIAL_BYTES / bytes.max(1)).clamp(PARTS.0, PARTS.1).min(n_units);
        let held = self.feed.in_memory().is_some();
        let scratch = || Scratch::new(self.feed.n_members(), self.feed.n_rows(), held);
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
        mut each: impl FnMut(&mut Scratch, &Chunk<'_>),
    ) {
        let (start, n) = self.feed.extent(block);
        if let Some(held) = self.feed.in_memory() {
            let step = scratch.step;
            for output in outputs {
                let members = &held.members(output)[start..];
                self.chunks((output, start), n, step, (members, held.stride), |chunk| each(scratch, chunk));
            }
            return;
        }
        let (members, stride, stage, step) = (self.feed.n_members(), scratch.stride, scratch.stage, scratch.step);
        let range = self.cells.member_range().unwrap_or(kernels::EVERYWHERE);
        if !local && n > 0 {
            scratch.wide.resize_with(members, Block::default);
            for (member, wide) in scratch.wide.iter_mut().enumerate() {
                self.feed.columns(member, block, wide);
                kernels::clamp(wide.values_mut(), range);
            }
        }
        let mut x = std::mem::take(&mut scratch.x);
        for output in outputs {
            for from in (0..n).step_by(stage) {
                let rows = from..(from + stage).min(n);
                for (member, out) in x.chunks_mut(stride).take(members).enumerate() {
                    let (out, rest) = out.split_at_mut(rows.len());
                    rest[..kernels::padded(rows.len()) - rows.len()].fill(0.0);
                    if local {
                        self.feed.cells(member, (block, output), rows.clone(), range, &mut scratch.reader, out);
                    } else {
                        out.copy_from_slice(&scratch.wide[member].column(output)[rows.clone()]);
                    }
                }
                self.chunks((output, start + from), rows.len(), step, (&x, stride), |chunk| each(scratch, chunk));
            }
        }
        scratch.x = x;
    }

    /// Cuts `n` rows from `start` into chunks of at most `step`, each of one part.
    fn chunks(
        &self,
        (output, start): (usize, usize),
        n: usize,
        step: usize,
        (x, stride): (&[f64], usize),
        mut each: impl FnMut(&Chunk<'_>),
    ) {
        let mut at = 0;
        while at < n {
            let (part, end) = self.runs.at(start + at);
            let cells = step.min(n - at).min(end - (start + at));
            each(&Chunk { part, output, start: start + at, n: cells, x: &x[at..], stride });
            at += cells;
        }
    }

    /// Adds a chunk's loss and derivatives at one weight vector.
    fn judge(&self, mixture: &Mixture, scratch: &mut Scratch, chunk: &Chunk<'_>, sums: &mut Sums) {
        let &Chunk { n, x, stride, .. } = chunk;
        let whole = kernels::padded(n);
        let Scratch { u, d, h, scaled, .. } = scratch;
        if !mixture.mix(x, stride, u, n) {
            sums.value = f64::INFINITY;
            return;
        }
        d[n..whole].fill(0.0);
        if sums.side > 0 {
            h[n..whole].fill(0.0);
            sums.value += self.cells.curve(chunk.output, chunk.start, &u[..n], &mut d[..n], &mut h[..n]);
            kernels::add_hessian(x, stride, &h[..whole], scaled, &mut sums.hessian, sums.side);
        } else {
            sums.value += self.cells.slope(chunk.output, chunk.start, &u[..n], &mut d[..n]);
        }
        kernels::add_gradient(x, stride, &d[..whole], &mut sums.gradient);
    }

    fn sums(&self, weights: &[f64], want_hessian: bool) -> Curve {
        let direct = if want_hessian { None } else { self.direct(weights, true) };
        direct.unwrap_or_else(|| self.copied(weights, want_hessian))
    }

    /// Loss and derivatives by way of entered copies.
    fn copied(&self, weights: &[f64], want_hessian: bool) -> Curve {
        self.pass(1);
        let zero = Sums::zero(weights.len(), want_hessian);
        let mixture = self.mixture(weights);
        let sums = self.reduce(
            zero.bytes(),
            || zero.clone(),
            |sums, scratch, chunk| self.judge(&mixture, scratch, chunk, sums),
            |total, part| total.add(&part),
        );
        sums.over(self.cells.mass())
    }

    /// The stand-in, taken when it is first asked for.
    fn rare(&self) -> Option<&Rare> {
        self.rare.get_or_init(|| Rare::preview(self)).as_ref()
    }

    fn mixture(&self, weights: &[f64]) -> Mixture {
        Mixture::new(weights, self.cells.member_range())
    }
}

impl Objective for CellObjective<'_> {
    fn n_weights(&self) -> usize {
        self.feed.n_members()
    }

    fn value(&self, weights: &[f64]) -> f64 {
        if let Some(curve) = self.direct(weights, false) {
            return curve.value;
        }
        self.pass(1);
        let mixture = self.mixture(weights);
        let total = self.reduce(
            8,
            || 0.0,
            |part, scratch, chunk| {
                let u = &mut scratch.u;
                *part += if mixture.mix(chunk.x, chunk.stride, u, chunk.n) {
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
        let Curve { value, gradient, .. } = self.sums(weights, false);
        Some(Slope { value, gradient })
    }

    fn curve(&self, weights: &[f64]) -> Option<Curve> {
        // With rare positives the stand-in's Hessian is as good, and the read is that of a slope.
        let Some(rare) = self.rare() else { return Some(self.sums(weights, true)) };
        Some(Curve { hessian: rare.curve(weights)?.hessian, ..self.sums(weights, false) })
    }

    fn preview(&self) -> Option<&dyn Objective> {
        self.rare().map(|rare| rare as &dyn Objective)
    }

    fn bends_cheaply(&self) -> bool {
        self.steep || self.preview().is_some()
    }

    fn sampled(&self) -> Option<&dyn Objective> {
        self.sample.as_deref().map(|sample| sample as &dyn Objective)
    }

    fn room(&self, from: &[f64], to: &[f64]) -> f64 {
        let mean = |weights: &[f64]| !self.mixture(weights).wall;
        if self.cells.member_range().is_none() || mean(from) && mean(to) {
            return f64::INFINITY;
        }
        self.pass(1);
        let terms = |weights: &[f64]| weights.iter().copied().enumerate().collect::<Vec<_>>();
        let (from, to) = (terms(from), terms(to));
        self.reduce(
            8,
            || f64::INFINITY,
            |room, scratch, chunk| {
                let whole = kernels::padded(chunk.n);
                let Scratch { u, d, .. } = scratch;
                kernels::mix(chunk.x, chunk.stride, &from, &mut u[..whole]);
                kernels::mix(chunk.x, chunk.stride, &to, &mut d[..whole]);
                *room = room.min(kernels::room(&u[..chunk.n], &d[..chunk.n]));
            },
            |total, part| *total = total.min(part),
        )
    }

    fn walled(&self, width: f64) -> Option<Box<dyn Objective + '_>> {
        self.cells.member_range()?;
        let n_cells = (self.feed.n_outputs() * self.feed.n_rows()) as f64;
        let cells = Walled { cells: &*self.cells, width: width * self.cells.mass() / n_cells };
        let every: Vec<usize> = (0..self.feed.n_members()).collect();
        let walled = CellObjective::new(self.feed.only(&every), Box::new(cells));
        Some(Box::new(CellObjective { steep: true, meter: self.meter.clone(), share: self.share, ..walled }))
    }

    /// With rare positives second derivatives are cheap anyway.
    fn has_faces(&self) -> bool {
        self.rare().is_none()
    }

    fn only(&self, members: &[usize]) -> Option<Box<dyn Objective + '_>> {
        Some(Box::new(self.of(members)))
    }

    fn sketch(&self) -> Option<Box<dyn Objective + '_>> {
        Rare::sketch(self).map(|rare| Box::new(rare) as Box<dyn Objective>)
    }

    fn pick(&self, weights: &[f64], step: f64, reach: &mut Vec<f64>) -> (usize, f64) {
        self.pick_by_bounds(weights, step, reach).unwrap_or_else(|| {
            let losses = self.toward(weights, step);
            let best = lowest(&losses);
            (best, losses[best])
        })
    }

    fn toward(&self, weights: &[f64], step: f64) -> Vec<f64> {
        let k = weights.len();
        self.pass(k);
        let range = self.cells.member_range();
        let mixture = Mixture::new(weights, range);
        let bounded = range.is_some();
        // Steps between means, and the members themselves, stay within the members' range.
        let range = range.filter(|_| mixture.range.is_some() || step == 1.0);
        let mut totals = self.reduce(
            8 * k,
            || vec![0.0; k],
            |part, scratch, chunk| {
                let &Chunk { n, x, stride, .. } = chunk;
                let Scratch { u, d, .. } = scratch;
                mixture.mix(x, stride, u, n);
                for (member, total) in part.iter_mut().enumerate() {
                    let moved = &mut d[..n];
                    let x = &x[member * stride..member * stride + n];
                    kernels::step_toward(&u[..n], x, step, range.unwrap_or(kernels::EVERYWHERE), moved);
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

    fn is_smooth(&self) -> bool {
        true
    }

    fn mass(&self) -> Option<f64> {
        Some(self.cells.mass())
    }

    fn effort(&self) -> Effort {
        self.meter.effort()
    }
}

//! Means over rows of losses that see all outputs of a row: softmax of logarithms, angles between vectors.

use super::{
    Curve, Effort, Meter, Objective, Slope,
    feed::{Feed, Held},
    kernels,
};
use blend_core::{
    Block,
    judge::{RowCurvature, RowLoss},
    num,
};
use rayon::prelude::*;

pub(crate) struct RowObjective<'a> {
    feed: Feed<'a>,
    loss: Box<dyn RowLoss + 'a>,
    meter: Meter,
}

/// Rows that are judged at a time: their blend, slopes and curvature stay in the core's own cache.
const CHUNK: usize = 512;

struct Sums {
    value: f64,
    gradient: Vec<f64>,
    /// Lower triangle, rows `side` apart.
    hessian: Vec<f64>,
    side: usize,
}

/// Buffers of one task.
#[derive(Default)]
struct Scratch {
    entered: Vec<Block>,
    u: Block,
    d: Block,
    curvature: RowCurvature,
    /// A number per member and row, and what the Hessian's loops need beside it.
    projected: Vec<f64>,
    sigma: Vec<f64>,
    scaled: Vec<f64>,
}

/// Members' rows: where they lie, and which.
struct Chunk<'s> {
    members: Members<'s>,
    /// The members' number, and that of their outputs.
    shape: (usize, usize),
    /// The first row in the members' columns.
    at: usize,
    /// The first row in the judged rows' numbering.
    start: usize,
    n: usize,
}

#[derive(Clone, Copy)]
enum Members<'s> {
    Held(&'s Held),
    Read(&'s [Block]),
}

impl Chunk<'_> {
    fn column(&self, member: usize, output: usize) -> &[f64] {
        let column = match self.members {
            Members::Held(held) => held.column(member, output),
            Members::Read(blocks) => blocks[member].column(output),
        };
        &column[self.at..self.at + self.n]
    }

    /// The weighted sum, in the members' order.
    fn mix(&self, weights: &[f64], u: &mut Block) {
        u.reshape(self.shape.1, self.n);
        for output in 0..u.n_outputs() {
            let used = weights.iter().enumerate().filter(|(_, weight)| **weight != 0.0);
            let columns: Vec<_> = used.map(|(member, &weight)| (weight, self.column(member, output))).collect();
            kernels::mix_columns(&columns, u.column_mut(output));
        }
    }
}

impl<'a> RowObjective<'a> {
    pub(crate) fn new(feed: Feed<'a>, loss: Box<dyn RowLoss + 'a>) -> Self {
        Self { feed, loss, meter: Meter::default() }
    }

    /// What `each` made of each block's chunks, one after another, in the blocks' order.
    fn blocks<T: Send>(
        &self,
        zero: impl Fn() -> T + Sync,
        each: impl Fn(&mut T, &mut Scratch, &Chunk<'_>) + Sync,
    ) -> Vec<T> {
        let shape = (self.feed.n_members(), self.feed.n_outputs());
        (0..self.feed.n_blocks())
            .into_par_iter()
            .map_init(Scratch::default, |scratch, block| {
                let (start, n_rows) = self.feed.extent(block);
                let mut entered = std::mem::take(&mut scratch.entered);
                let (members, from) = match self.feed.in_memory() {
                    Some(held) => (Members::Held(held), start),
                    None => {
                        entered.resize_with(shape.0, Block::default);
                        for (member, out) in entered.iter_mut().enumerate() {
                            self.feed.columns(member, block, out);
                        }
                        (Members::Read(&entered), 0)
                    }
                };
                let mut sum = zero();
                for row in (0..n_rows).step_by(CHUNK) {
                    let n = CHUNK.min(n_rows - row);
                    each(&mut sum, scratch, &Chunk { members, shape, at: from + row, start: start + row, n });
                }
                scratch.entered = entered;
                sum
            })
            .collect()
    }

    fn sums(&self, weights: &[f64], want_hessian: bool) -> Curve {
        self.meter.pass(1);
        let k = weights.len();
        let side = if want_hessian { k.next_multiple_of(kernels::TILE) } else { 0 };
        let zero = || Sums { value: 0.0, gradient: vec![0.0; k], hessian: vec![0.0; side * side], side };
        let parts = self.blocks(zero, |sums, scratch, chunk| {
            let Scratch { u, d, curvature, .. } = scratch;
            chunk.mix(weights, u);
            sums.value += self.loss.slope(chunk.start, u, d, want_hessian.then_some(curvature));
            for (member, sum) in sums.gradient.iter_mut().enumerate() {
                *sum += (0..d.n_outputs())
                    .map(|output| num::dot(d.column(output), chunk.column(member, output)))
                    .sum::<f64>();
            }
            if want_hessian {
                add_hessian(sums, scratch, chunk);
            }
        });
        let mut total = zero();
        for part in parts {
            total.value += part.value;
            total.gradient.iter_mut().zip(part.gradient).for_each(|(a, b)| *a += b);
            total.hessian.iter_mut().zip(part.hessian).for_each(|(a, b)| *a += b);
        }
        let mass = self.loss.mass();
        let mut hessian = if side > 0 { kernels::symmetric(&total.hessian, side, k) } else { Vec::new() };
        total.gradient.iter_mut().chain(&mut hessian).for_each(|x| *x /= mass);
        Curve { value: total.value / mass, gradient: total.gradient, hessian }
    }
}

/// Adds `sum over rows of X' (diag + sigma c c') X`.
fn add_hessian(sums: &mut Sums, scratch: &mut Scratch, chunk: &Chunk<'_>) {
    let Scratch { curvature, projected, sigma, scaled, .. } = scratch;
    let (k, n) = (sums.gradient.len(), chunk.n);
    let (whole, stride) = (kernels::padded(n), kernels::stride(CHUNK));
    projected.resize(sums.side * stride, 0.0);
    scaled.resize(kernels::TILE * CHUNK, 0.0);
    sigma.resize(CHUNK, 0.0);
    sigma[n..whole].fill(0.0);
    let mut add = |projected: &[f64], of: &[f64]| {
        sigma[..n].copy_from_slice(of);
        kernels::add_hessian(projected, stride, &sigma[..whole], scaled, &mut sums.hessian, sums.side);
    };
    for output in 0..curvature.diagonal.n_outputs() {
        for (member, to) in projected.chunks_mut(stride).take(k).enumerate() {
            to[..n].copy_from_slice(chunk.column(member, output));
            to[n..whole].fill(0.0);
        }
        add(projected, curvature.diagonal.column(output));
    }
    for (member, to) in projected.chunks_mut(stride).take(k).enumerate() {
        to[..whole].fill(0.0);
        for output in 0..curvature.c.n_outputs() {
            num::add_product(curvature.c.column(output), chunk.column(member, output), &mut to[..n]);
        }
    }
    add(projected, &curvature.sigma);
}

impl Objective for RowObjective<'_> {
    fn n_weights(&self) -> usize {
        self.feed.n_members()
    }

    fn value(&self, weights: &[f64]) -> f64 {
        self.meter.pass(1);
        let parts = self.blocks(
            || 0.0,
            |sum, scratch, chunk| {
                chunk.mix(weights, &mut scratch.u);
                *sum += self.loss.value(chunk.start, &scratch.u);
            },
        );
        parts.into_iter().sum::<f64>() / self.loss.mass()
    }

    fn slope(&self, weights: &[f64]) -> Option<Slope> {
        let Curve { value, gradient, .. } = self.sums(weights, false);
        Some(Slope { value, gradient })
    }

    fn curve(&self, weights: &[f64]) -> Option<Curve> {
        Some(self.sums(weights, true))
    }

    fn toward(&self, weights: &[f64], step: f64) -> Vec<f64> {
        let k = weights.len();
        self.meter.pass(k);
        let parts = self.blocks(
            || vec![0.0; k],
            |sums, scratch, chunk| {
                let Scratch { u, d: moved, .. } = scratch;
                chunk.mix(weights, u);
                moved.reshape(u.n_outputs(), u.n_rows());
                for (member, sum) in sums.iter_mut().enumerate() {
                    for output in 0..u.n_outputs() {
                        let (from, to) = (chunk.column(member, output), moved.column_mut(output));
                        kernels::step_toward(u.column(output), from, step, kernels::EVERYWHERE, to);
                    }
                    *sum += self.loss.value(chunk.start, moved);
                }
            },
        );
        let mut totals = vec![0.0; k];
        parts.into_iter().for_each(|part| totals.iter_mut().zip(part).for_each(|(a, b)| *a += b));
        totals.iter_mut().for_each(|total| *total /= self.loss.mass());
        totals
    }

    fn is_convex(&self) -> bool {
        self.loss.is_convex()
    }

    fn is_smooth(&self) -> bool {
        true
    }

    fn mass(&self) -> Option<f64> {
        Some(self.loss.mass())
    }

    fn effort(&self) -> Effort {
        self.meter.effort()
    }
}

//! A pass over values that are averaged as they are stored: f32 columns are read once, widened in registers and never
//! copied. Rows outside of the scope are blended along and count nothing.

use super::{CellObjective, Curve, Mixture, Sums, kernels};
use crate::objective::feed::Stored;
use blend_core::{
    num::{self, LANES},
    scope::BlockRows,
};
use multiversion::multiversion;
use rayon::prelude::*;
use std::ops::Range;

/// Rows that are blended, judged and added up while the nearest cache has them.
const CHUNK: usize = 512;

/// Consecutive rows of one output of a block.
pub(super) struct Piece<'s> {
    /// The block's rows of every member.
    pub(super) columns: &'s [&'s [f32]],
    pub(super) output: usize,
    /// The piece's rows among the block's.
    pub(super) rows: Range<usize>,
    /// The judged ones of them, where not all are.
    pub(super) judged: Option<&'s [u32]>,
    /// The first judged row, in the judged rows' numbering.
    pub(super) first: usize,
    /// The part of all of them.
    pub(super) part: usize,
}

/// Buffers of one task.
struct Scratch {
    /// Blend and slopes of a piece's rows.
    u: [f64; CHUNK],
    d: [f64; CHUNK],
    /// The same of the judged ones among them.
    judged: [f64; CHUNK],
    slopes: [f64; CHUNK],
}

impl Default for Scratch {
    fn default() -> Self {
        let zeros = [0.0; CHUNK];
        Self { u: zeros, d: zeros, judged: zeros, slopes: zeros }
    }
}

impl CellObjective<'_> {
    /// Loss and, where asked, gradient; `None` where values are not averaged as they are stored.
    pub(super) fn direct(&self, weights: &[f64], want_gradient: bool) -> Option<Curve> {
        if self.runs.n_parts() > 1 {
            return None;
        }
        let stored = self.feed.stored().filter(Stored::is_ascending)?;
        let bounds = self.cells.member_range()?;
        self.pass(1);
        let mixture = self.mixture(weights);
        let zero = || Sums::zero(if want_gradient { weights.len() } else { 0 }, false);
        let total = self.pieces(
            &stored,
            zero,
            |sums, scratch: &mut Scratch, piece| self.add_piece(&mixture, bounds, piece, scratch, sums),
            |total, part| total.add(&part),
        );
        Some(total.over(self.cells.mass()))
    }

    /// Runs `each` over all pieces with judged rows and adds up what it returns, in grid order.
    pub(super) fn pieces<T: Send, S: Default>(
        &self,
        stored: &Stored<'_>,
        zero: impl Fn() -> T + Sync,
        each: impl Fn(&mut T, &mut S, &Piece<'_>) + Sync,
        add: impl Fn(&mut T, T),
    ) -> T {
        let n_outputs = self.feed.n_outputs();
        let n_units = self.feed.n_blocks() * n_outputs;
        let n_parts = super::PARTS.1.min(n_units);
        let run = |scratch: &mut Box<S>, part: usize| {
            let mut sums = zero();
            for unit in part * n_units / n_parts..(part + 1) * n_units / n_parts {
                let (block, output) = (unit / n_outputs, unit % n_outputs);
                self.cut(stored, (block, output), |piece| each(&mut sums, scratch, piece));
            }
            sums
        };
        let parts: Vec<T> = if self.feed.n_cells() < super::SMALL_CELLS {
            let mut scratch = Box::<S>::default();
            (0..n_parts).map(|part| run(&mut scratch, part)).collect()
        } else {
            (0..n_parts).into_par_iter().map_init(Box::<S>::default, run).collect()
        };
        let mut total = zero();
        parts.into_iter().for_each(|part| add(&mut total, part));
        total
    }

    /// Cuts one output of one block into pieces: windows of its rows, or, of rows in several parts, runs of a part's.
    fn cut(&self, stored: &Stored<'_>, (block, output): (usize, usize), mut each: impl FnMut(&Piece<'_>)) {
        let columns = stored.columns(block, output);
        let ((start, n_judged), rows) = (self.feed.extent(block), stored.rows(block));
        if self.runs.n_parts() > 1 {
            let mut at = 0;
            while at < n_judged {
                let (part, end) = self.runs.at(start + at);
                let to = (at + CHUNK).min(n_judged).min(end - start);
                let judged = if let BlockRows::Some(local) = rows { Some(&local[at..to]) } else { None };
                each(&Piece { columns: &columns, output, rows: at..to, judged, first: start + at, part });
                at = to;
            }
            return;
        }
        let n = columns[0].len();
        let mut before = 0;
        for from in (0..n).step_by(CHUNK) {
            let to = (from + CHUNK).min(n);
            let (first, judged) = match rows {
                BlockRows::All(_) => (start + from, None),
                BlockRows::Some(local) => {
                    let end = before + local[before..].partition_point(|&row| (row as usize) < to);
                    let judged = &local[before..end];
                    let first = start + before;
                    before = end;
                    if judged.is_empty() {
                        continue;
                    }
                    (first, Some(judged))
                }
            };
            each(&Piece { columns: &columns, output, rows: from..to, judged, first, part: 0 });
        }
    }

    fn add_piece(
        &self,
        mixture: &Mixture,
        bounds: (f64, f64),
        piece: &Piece<'_>,
        scratch: &mut Scratch,
        sums: &mut Sums,
    ) {
        let &Piece { columns, output, ref rows, judged, first, .. } = piece;
        let Scratch { u, d, judged: few, slopes } = scratch;
        let (u, d) = (&mut u[..rows.len()], &mut d[..rows.len()]);
        blend(columns, &mixture.terms, rows.start, bounds, mixture.range.unwrap_or(kernels::EVERYWHERE), u);
        let (of, to_slopes): (&mut [f64], &mut [f64]) = match judged {
            None => (u, &mut *d),
            Some(local) => {
                for (few, &row) in few.iter_mut().zip(local) {
                    *few = u[row as usize - rows.start];
                }
                (&mut few[..local.len()], &mut slopes[..local.len()])
            }
        };
        if mixture.wall && !kernels::wall(of) {
            sums.value = f64::INFINITY;
            return;
        }
        if sums.gradient.is_empty() {
            sums.value += self.cells.value(output, first, of);
            return;
        }
        sums.value += self.cells.slope(output, first, of, to_slopes);
        if let Some(local) = judged {
            d.fill(0.0);
            for (slope, &row) in slopes.iter().zip(local) {
                d[row as usize - rows.start] = *slope;
            }
        }
        for (column, sum) in columns.iter().zip(&mut sums.gradient) {
            *sum += project(&column[rows.clone()], bounds, d);
        }
    }
}

/// Moved into the interval; what is no number, as rows outside of the scope may hold, to its lower end.
#[inline(always)]
fn within(x: f64, (low, high): (f64, f64)) -> f64 {
    let x = if x > low { x } else { low };
    if x > high { high } else { x }
}

/// The weighted sum of rows from `from`, members moved into `bounds` and sums into `range`.
#[multiversion(targets("x86_64+avx512f+avx512dq+avx512vl+avx512bw", "x86_64+avx2"))]
fn blend(
    columns: &[&[f32]],
    terms: &[(usize, f64)],
    from: usize,
    bounds: (f64, f64),
    range: (f64, f64),
    u: &mut [f64],
) {
    let (groups, rest) = u.as_chunks_mut::<LANES>();
    let end = from + groups.len() * LANES;
    for (group, u) in groups.iter_mut().enumerate() {
        let mut sum = [0.0; LANES];
        for &(member, weight) in terms {
            let x = &columns[member][from + group * LANES..][..LANES];
            for lane in 0..LANES {
                sum[lane] += weight * within(f64::from(x[lane]), bounds);
            }
        }
        for lane in 0..LANES {
            u[lane] = within(sum[lane], range);
        }
    }
    for (row, u) in rest.iter_mut().enumerate() {
        let sum = terms
            .iter()
            .fold(0.0, |sum, &(member, weight)| sum + weight * within(f64::from(columns[member][end + row]), bounds));
        *u = within(sum, range);
    }
}

/// The sum of `d` times values moved into `bounds`.
#[multiversion(targets("x86_64+avx512f+avx512dq+avx512vl+avx512bw", "x86_64+avx2"))]
fn project(column: &[f32], bounds: (f64, f64), d: &[f64]) -> f64 {
    let mut sum = [0.0; LANES];
    let ((columns, column_rest), (ds, d_rest)) = (column.as_chunks::<LANES>(), d.as_chunks::<LANES>());
    for (x, d) in columns.iter().zip(ds) {
        for lane in 0..LANES {
            sum[lane] += d[lane] * within(f64::from(x[lane]), bounds);
        }
    }
    for (sum, (x, d)) in sum.iter_mut().zip(column_rest.iter().zip(d_rest)) {
        *sum += d * within(f64::from(*x), bounds);
    }
    num::fold(&sum)
}

#[cfg(test)]
mod tests {
    use super::CellObjective;
    use crate::{
        objective::feed::Feed,
        testing::{Label, Shape, World},
    };
    use blend_core::{judge::Smooth, space::SpaceName};

    /// With all rows in scope and with holes, for means and for weights of any sum.
    #[test]
    fn a_pass_over_what_is_stored_is_the_pass_over_copies() {
        for holes in [false, true] {
            let shape = Shape { n_members: 5, n_rows: 9000, holes, seed: 4, ..Shape::default() };
            let world = World::new(("log_loss", SpaceName::Linear, Label::Binary), shape);
            let bound = world.bound();
            let Some(Smooth::Cells(cells)) = bound.smooth(SpaceName::Linear) else { panic!("no cells") };
            // Every other member is stored in f64.
            let members: Vec<_> = world.members.members().iter().step_by(2).collect();
            let feed = Feed::new(&members, &world.scope.rows, SpaceName::Linear, bound.preparation());
            let objective = CellObjective::new(feed, cells);
            for weights in [[0.25, 0.25, 0.5], [1.0, 0.0, 0.0], [0.5, 0.1, 0.2]] {
                let direct = objective.direct(&weights, true).unwrap();
                let copied = objective.copied(&weights, false);
                assert!((direct.value - copied.value).abs() <= 1e-13 * copied.value.abs(), "{weights:?}");
                for (a, b) in direct.gradient.iter().zip(&copied.gradient) {
                    assert!((a - b).abs() < 1e-11 * b.abs().max(1.0), "{weights:?}: {a} {b}");
                }
                let value = objective.direct(&weights, false).unwrap().value;
                assert!((direct.value - value).abs() <= 1e-13 * value.abs());
            }
            assert_eq!(objective.direct(&[2.0; 3], true).unwrap().value, f64::INFINITY);
        }
    }
}

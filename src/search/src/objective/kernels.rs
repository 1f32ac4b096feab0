//! The inner loops over a chunk of cells: members entered in f64, one row of the scratch per member.
//!
//! Rows of the scratch are `stride` apart, a multiple of [`LANES`]; loops run to the next multiple of it, and what lies
//! there counts nothing because its derivatives are zero. None of them asks for a fused multiply-add, so every
//! instruction set gives the same bits.

use blend_core::{
    BLOCK_ROWS,
    num::{self, LANES},
};
use multiversion::multiversion;

/// Members are taken in groups of this many in the Hessian: the scratch has rows for a multiple of it.
pub(crate) const TILE: usize = 4;

/// Columns of the Hessian that are summed at a time.
const PAIR: usize = 2;

/// Lanes of the Hessian's sums: eight sums of eight lanes fill the registers of the widest machine in use.
const WIDTH: usize = 8;

/// The interval that changes nothing.
pub(crate) const EVERYWHERE: (f64, f64) = (f64::NEG_INFINITY, f64::INFINITY);

/// Blends of probabilities may lie this far above one: by rounding.
const ABOVE: f64 = 1e-12;

/// Whether blends of probabilities are at most one; those that rounding put above it are moved there.
pub(crate) fn wall(u: &mut [f64]) -> bool {
    let highest = u.iter().fold(0.0, |highest, u| if *u > highest { *u } else { highest });
    if highest > 1.0 && highest <= 1.0 + ABOVE {
        clamp(u, (f64::NEG_INFINITY, 1.0));
    }
    highest <= 1.0 + ABOVE
}

/// The least share of the way from `u` to `to` at which a cell reaches 0 or 1.
#[multiversion(targets("x86_64+avx512f+avx512dq+avx512vl+avx512bw", "x86_64+avx2"))]
pub(crate) fn room(u: &[f64], to: &[f64]) -> f64 {
    let mut least = [f64::INFINITY; LANES];
    for (u, to) in u.chunks(LANES).zip(to.chunks(LANES)) {
        for ((least, u), to) in least.iter_mut().zip(u).zip(to) {
            let step = to - u;
            let wall = if step > 0.0 { 1.0 - u } else { -u };
            // Cells that hardly move are held where they are by members that are all certain.
            let share = if step.abs() > ABOVE { wall / step } else { f64::INFINITY };
            *least = if share < *least { share } else { *least };
        }
    }
    least.iter().fold(f64::INFINITY, |least, share| least.min(*share))
}

/// `n` rounded up to whole lanes.
pub(crate) fn padded(n: usize) -> usize {
    n.next_multiple_of(LANES)
}

/// Cells of a chunk: as many as fit a core's nearest cache with all members, in multiples of what log losses take to
/// one logarithm.
pub(crate) fn chunk_cells(n_members: usize) -> usize {
    const NEAREST_CACHE: usize = 32 << 10;
    (NEAREST_CACHE / 8 / n_members.max(1) / 256 * 256).clamp(256, 1024)
}

/// Rows that are read from one member at a time: long runs that the memory can be asked for ahead of their use, short
/// enough that all members' runs fit the core's second cache.
pub(crate) fn stage_rows(n_members: usize) -> usize {
    const SECOND_CACHE: usize = 1 << 20;
    (SECOND_CACHE / 8 / n_members.max(1) / 1024 * 1024).clamp(1024, BLOCK_ROWS)
}

/// The distance of two members' rows of the scratch: not a power of two, or all would compete for the same cache lines.
pub(crate) fn stride(stage_rows: usize) -> usize {
    stage_rows + 5 * LANES
}

/// f32 to f64, moved into an interval.
#[multiversion(targets("x86_64+avx512f+avx512dq+avx512vl+avx512bw", "x86_64+avx2"))]
pub(crate) fn widen(from: &[f32], (low, high): (f64, f64), to: &mut [f64]) {
    for (to, &x) in to.iter_mut().zip(from) {
        let x = f64::from(x);
        let x = if x < low { low } else { x };
        *to = if x > high { high } else { x };
    }
}

/// The values at `rows` of a block, f32 to f64, moved into an interval.
pub(crate) fn gather(from: &[f32], rows: &[u32], bounds: (f64, f64), dense: &mut [f32; BLOCK_ROWS], to: &mut [f64]) {
    let (Some(&first), Some(&last)) = (rows.first(), rows.last()) else { return };
    if last.wrapping_sub(first) as usize == rows.len() - 1 && rows.is_sorted() {
        return widen(&from[first as usize..=last as usize], bounds, to); // no hole
    }
    let (first, last) = rows.iter().fold((first, last), |(low, high), &row| (low.min(row), high.max(row)));
    let from = &from[first as usize..=last as usize];
    // Copied whole first: that has many more reads of memory under way at a time than single values have.
    dense[..from.len()].copy_from_slice(from);
    let mut some = [0.0; 256];
    for (rows, to) in rows.chunks(some.len()).zip(to.chunks_mut(some.len())) {
        for (out, &row) in some.iter_mut().zip(rows) {
            *out = dense[row.wrapping_sub(first) as usize % BLOCK_ROWS];
        }
        widen(&some[..rows.len()], bounds, to);
    }
}

/// Moves values into an interval.
#[multiversion(targets("x86_64+avx512f+avx512dq+avx512vl+avx512bw", "x86_64+avx2"))]
pub(crate) fn clamp(values: &mut [f64], (low, high): (f64, f64)) {
    for x in values {
        let above = if *x < low { low } else { *x };
        *x = if above > high { high } else { above };
    }
}

/// `u = sum of weight * member`, in the members' order as everywhere. `u` is a whole number of lanes long.
#[multiversion(targets("x86_64+avx512f+avx512dq+avx512vl+avx512bw", "x86_64+avx2"))]
pub(crate) fn mix(x: &[f64], stride: usize, terms: &[(usize, f64)], u: &mut [f64]) {
    let (groups, _) = u.as_chunks_mut::<{ 2 * LANES }>();
    let done = groups.len() * 2 * LANES;
    for (group, u) in groups.iter_mut().enumerate() {
        let mut sum = [0.0; 2 * LANES];
        for &(member, weight) in terms {
            let from = member * stride + group * 2 * LANES;
            for (sum, x) in sum.iter_mut().zip(&x[from..from + 2 * LANES]) {
                *sum += weight * x;
            }
        }
        *u = sum;
    }
    let rest = &mut u[done..];
    rest.fill(0.0);
    for &(member, weight) in terms {
        for (u, x) in rest.iter_mut().zip(&x[member * stride + done..]) {
            *u += weight * x;
        }
    }
}

/// `moved = (1 - step) u + step x`, moved into an interval.
#[multiversion(targets("x86_64+avx512f+avx512dq+avx512vl+avx512bw", "x86_64+avx2"))]
pub(crate) fn step_toward(u: &[f64], x: &[f64], step: f64, (low, high): (f64, f64), moved: &mut [f64]) {
    let keep = 1.0 - step;
    for (moved, (u, x)) in moved.iter_mut().zip(u.iter().zip(x)) {
        let at = keep * u + step * x;
        let at = if at < low { low } else { at };
        *moved = if at > high { high } else { at };
    }
}

/// Adds `a * b`, element by element. All three slices have one length.
#[multiversion(targets("x86_64+avx512f+avx512dq+avx512vl+avx512bw", "x86_64+avx2"))]
pub(crate) fn add_product(a: &[f64], b: &[f64], to: &mut [f64]) {
    for ((to, a), b) in to.iter_mut().zip(a).zip(b) {
        *to += a * b;
    }
}

/// The sum of `weight * column`, in the columns' order.
#[multiversion(targets("x86_64+avx512f+avx512dq+avx512vl+avx512bw", "x86_64+avx2"))]
pub(crate) fn mix_columns(columns: &[(f64, &[f64])], u: &mut [f64]) {
    let (groups, rest) = u.as_chunks_mut::<{ 2 * LANES }>();
    for (group, u) in groups.iter_mut().enumerate() {
        let from = group * 2 * LANES;
        let mut sum = [0.0; 2 * LANES];
        for (weight, column) in columns {
            for (sum, x) in sum.iter_mut().zip(&column[from..from + 2 * LANES]) {
                *sum += weight * x;
            }
        }
        *u = sum;
    }
    rest.fill(0.0);
    let from = groups.len() * 2 * LANES;
    for (weight, column) in columns {
        for (u, x) in rest.iter_mut().zip(&column[from..]) {
            *u += weight * x;
        }
    }
}

/// Adds `sum of d * member` to the gradient. `d` is a whole number of lanes long.
#[multiversion(targets("x86_64+avx512f+avx512dq+avx512vl+avx512bw", "x86_64+avx2"))]
pub(crate) fn add_gradient(x: &[f64], stride: usize, d: &[f64], gradient: &mut [f64]) {
    let n = d.len();
    let (d, _) = d.as_chunks::<LANES>();
    let mut member = 0;
    // Two members at a time hide the additions' latency.
    while member + 1 < gradient.len() {
        let (a, _) = x[member * stride..][..n].as_chunks::<LANES>();
        let (b, _) = x[(member + 1) * stride..][..n].as_chunks::<LANES>();
        let (mut first, mut second) = ([0.0; LANES], [0.0; LANES]);
        for ((d, a), b) in d.iter().zip(a).zip(b) {
            for lane in 0..LANES {
                first[lane] += d[lane] * a[lane];
                second[lane] += d[lane] * b[lane];
            }
        }
        gradient[member] += num::fold(&first);
        gradient[member + 1] += num::fold(&second);
        member += 2;
    }
    if member < gradient.len() {
        let (a, _) = x[member * stride..][..n].as_chunks::<LANES>();
        let mut first = [0.0; LANES];
        for (d, a) in d.iter().zip(a) {
            for lane in 0..LANES {
                first[lane] += d[lane] * a[lane];
            }
        }
        gradient[member] += num::fold(&first);
    }
}

/// Adds `X' diag(h) X` to the lower triangle of `hessian`, whose rows are `n` apart, `n` a multiple of [`TILE`]. `h` is
/// a whole number of lanes long, `scaled` has room for [`TILE`] times that.
#[multiversion(targets("x86_64+avx512f+avx512dq+avx512vl+avx512bw", "x86_64+avx2"))]
pub(crate) fn add_hessian(x: &[f64], stride: usize, h: &[f64], scaled: &mut [f64], hessian: &mut [f64], n: usize) {
    let steps = h.len() / WIDTH;
    for i in (0..n).step_by(TILE) {
        for row in 0..TILE {
            let from = &x[(i + row) * stride..(i + row) * stride + h.len()];
            let to = &mut scaled[row * h.len()..(row + 1) * h.len()];
            for ((to, x), h) in to.iter_mut().zip(from).zip(h) {
                *to = h * x;
            }
        }
        let row = |row: usize| scaled[row * h.len()..(row + 1) * h.len()].as_chunks::<WIDTH>().0;
        let (s0, s1, s2, s3) = (&row(0)[..steps], &row(1)[..steps], &row(2)[..steps], &row(3)[..steps]);
        for j in (0..i + TILE).step_by(PAIR) {
            let column = |column: usize| x[(j + column) * stride..][..h.len()].as_chunks::<WIDTH>().0;
            let (x0, x1) = (&column(0)[..steps], &column(1)[..steps]);
            let mut sums = [[0.0; WIDTH]; TILE * PAIR];
            for step in 0..steps {
                for lane in 0..WIDTH {
                    sums[0][lane] += s0[step][lane] * x0[step][lane];
                    sums[1][lane] += s0[step][lane] * x1[step][lane];
                    sums[2][lane] += s1[step][lane] * x0[step][lane];
                    sums[3][lane] += s1[step][lane] * x1[step][lane];
                    sums[4][lane] += s2[step][lane] * x0[step][lane];
                    sums[5][lane] += s2[step][lane] * x1[step][lane];
                    sums[6][lane] += s3[step][lane] * x0[step][lane];
                    sums[7][lane] += s3[step][lane] * x1[step][lane];
                }
            }
            for (cell, lanes) in sums.iter().enumerate() {
                let mut whole = [0.0; LANES];
                whole[..WIDTH].copy_from_slice(lanes);
                hessian[(i + cell / PAIR) * n + j + cell % PAIR] += num::fold(&whole);
            }
        }
    }
}

/// A lower triangle with rows `padded` apart as a full symmetric `n x n` matrix.
pub(crate) fn symmetric(lower: &[f64], padded: usize, n: usize) -> Vec<f64> {
    (0..n * n)
        .map(|cell| {
            let (i, j) = (cell / n, cell % n);
            lower[i.max(j) * padded + i.min(j)]
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    #[test]
    fn rows_are_gathered_whole() {
        let from: Vec<f32> = (0..1000).map(|i| if i % 10 == 9 { f32::NAN } else { i as f32 }).collect();
        let mut dense = Box::new([0.0; BLOCK_ROWS]);
        for rows in
            [(7..907).filter(|i| i % 10 != 9).collect::<Vec<u32>>(), (20..25).collect(), vec![998], vec![7, 3, 5]]
        {
            let wanted: Vec<f64> = rows.iter().map(|&row| f64::from(row).min(250.0)).collect();
            let mut out = vec![-1.0; wanted.len()];
            gather(&from, &rows, (0.0, 250.0), &mut dense, &mut out);
            assert_eq!(out, wanted);
        }
    }

    #[test]
    fn kernels_equal_plain_sums() {
        let mut random = Random::new(1);
        for (k, n) in [(1_usize, 1_usize), (3, 17), (4, 40), (7, 256), (13, 100)] {
            let stride = 256;
            let rows = k.next_multiple_of(TILE);
            let mut x = vec![0.0; rows * stride];
            (0..k).for_each(|i| x[i * stride..i * stride + n].iter_mut().for_each(|x| *x = random.unit() - 0.5));
            let terms: Vec<(usize, f64)> = (0..k).map(|i| (i, random.unit())).collect();
            let at = |i: usize, c: usize| x[i * stride + c];
            let mut u = vec![9.0; padded(n)];
            mix(&x, stride, &terms, &mut u);
            for (c, &u) in u[..n].iter().enumerate() {
                let plain = terms.iter().fold(0.0, |sum, &(i, w)| sum + w * at(i, c));
                assert_eq!(u.to_bits(), plain.to_bits());
            }
            let mut d = vec![0.0; padded(n)];
            d[..n].iter_mut().for_each(|d| *d = random.unit() - 0.5);
            let mut gradient = vec![0.0; k];
            add_gradient(&x, stride, &d, &mut gradient);
            let (mut scaled, mut hessian) = (vec![0.0; TILE * stride], vec![0.0; rows * rows]);
            add_hessian(&x, stride, &d, &mut scaled, &mut hessian, rows);
            let hessian = symmetric(&hessian, rows, k);
            for i in 0..k {
                let plain: f64 = (0..n).map(|c| d[c] * at(i, c)).sum();
                assert!((gradient[i] - plain).abs() < 1e-12);
                for j in 0..k {
                    let plain: f64 = (0..n).map(|c| d[c] * at(i, c) * at(j, c)).sum();
                    assert!((hessian[i * k + j] - plain).abs() < 1e-12);
                }
            }
        }
    }
}

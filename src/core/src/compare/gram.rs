//! Products of all pairs of columns, piece by piece so that what is multiplied stays in the nearest cache.

use super::column::{Column, varies};
use crate::{num, scope::RowSet};
use multiversion::multiversion;
use rayon::prelude::*;

/// Rows that are multiplied at once: a dozen columns of them fit a first-level cache.
const ROWS: usize = 256;
/// Blocks whose sums are held until they are added up.
const HELD_BLOCKS: usize = 64;

/// Correlations of columns over `rows`: the lower triangle with the diagonal, row by row; NaN where a column is
/// constant or overflows.
///
/// One pass: products around pivots near the means, then `sum (x - p) (y - q) - sum (x - p) sum (y - q) / n`.
pub(super) fn correlations(columns: &[Column<'_>], rows: &RowSet) -> Vec<f64> {
    let n_columns = columns.len();
    let pivots: Vec<f64> = columns.par_iter().map(|column| column.pivot(rows)).collect();
    // The products with a last column of ones are the sums; those of ranks less their mean are known.
    let centered = columns.iter().all(|column| matches!(column, Column::Ranked(_)));
    let n_tiles = n_columns + usize::from(!centered);
    let mut products = vec![0.0; n_tiles * (n_tiles + 1) / 2];
    let blocks: Vec<usize> = (0..rows.n_blocks()).collect();
    for wave in blocks.chunks(HELD_BLOCKS) {
        let sums: Vec<Vec<f64>> =
            wave.par_iter().map(|&block| of_block(columns, &pivots, n_tiles, rows, block)).collect();
        for sums in sums {
            products.iter_mut().zip(sums).for_each(|(product, sum)| *product += sum);
        }
    }
    let sums = products.split_off(n_columns * (n_columns + 1) / 2);
    let n_rows = rows.len() as f64;
    for a in 0..sums.len().min(n_columns) {
        let row = &mut products[a * (a + 1) / 2..];
        row.iter_mut().zip(&sums[..=a]).for_each(|(product, sum)| *product -= sums[a] * sum / n_rows);
    }
    let squares: Vec<f64> = (0..n_columns).map(|a| products[a * (a + 1) / 2 + a]).collect();
    let varies: Vec<bool> = squares.iter().zip(&pivots).map(|(it, pivot)| varies(*it, *pivot, rows.len())).collect();
    for a in 0..n_columns {
        for b in 0..=a {
            let product = &mut products[a * (a + 1) / 2 + b];
            *product = match varies[a] && varies[b] {
                true if a == b => 1.0,
                true => (*product / (libm::sqrt(squares[a]) * libm::sqrt(squares[b]))).clamp(-1.0, 1.0),
                false => f64::NAN,
            };
        }
    }
    products
}

/// The products of all pairs of columns less their pivots over the set's rows in one block; a tile more than there are
/// columns is one of ones.
fn of_block(columns: &[Column<'_>], pivots: &[f64], n_tiles: usize, rows: &RowSet, block: usize) -> Vec<f64> {
    let mut tile = vec![[0.0; ROWS]; n_tiles];
    let mut sums = vec![[0.0; num::LANES]; tile.len() * (tile.len() + 1) / 2];
    let n_rows = rows.block(block).len();
    for start in (0..n_rows).step_by(ROWS) {
        let n = ROWS.min(n_rows - start);
        for ((values, column), pivot) in tile.iter_mut().zip(columns).zip(pivots) {
            column.read(rows, block, start..start + n, &mut values[..n]);
            values[n..].fill(*pivot);
        }
        add_products(&mut tile, pivots, &mut sums);
    }
    sums.iter().map(num::fold).collect()
}

#[multiversion(targets("x86_64+avx512f+avx512dq+avx512vl+avx512bw", "x86_64+avx2"))]
fn add_products(tile: &mut [[f64; ROWS]], pivots: &[f64], sums: &mut [[f64; num::LANES]]) {
    let (columns, ones) = tile.split_at_mut(pivots.len());
    columns.iter_mut().zip(pivots).for_each(|(values, pivot)| values.iter_mut().for_each(|x| *x -= pivot));
    ones.iter_mut().for_each(|ones| *ones = [1.0; ROWS]);
    let mut sums = sums.iter_mut();
    for (a, x) in tile.iter().enumerate() {
        for (y, sum) in tile[..=a].iter().zip(&mut sums) {
            let mut lanes = *sum;
            for (x, y) in x.as_chunks::<{ num::LANES }>().0.iter().zip(y.as_chunks::<{ num::LANES }>().0) {
                for lane in 0..num::LANES {
                    lanes[lane] += x[lane] * y[lane];
                }
            }
            *sum = lanes;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The first rows are far from all others, and a column is constant but for rounding.
    #[test]
    fn a_bad_pivot_costs_few_digits() {
        let n = 40_000;
        let far = |row: usize| if row < 512 { 1e3 } else { 0.0 };
        let wave = |row: usize, step: usize| ((row * step) % 1013) as f64 / 1013.0;
        let x: Vec<f64> = (0..n).map(|row| far(row) + wave(row, 7)).collect();
        let y: Vec<f64> = (0..n).map(|row| wave(row, 7) - far(row) + wave(row, 311)).collect();
        let constant = vec![0.1; n];
        let columns = [x.clone(), y.clone(), constant].map(Column::Natural);
        let it = correlations(&columns, &RowSet::all(n));
        let mean = |v: &[f64]| v.iter().sum::<f64>() / n as f64;
        let (mean_x, mean_y) = (mean(&x), mean(&y));
        let sum =
            |of: &dyn Fn(f64, f64) -> f64| -> f64 { x.iter().zip(&y).map(|(x, y)| of(x - mean_x, y - mean_y)).sum() };
        let wanted = sum(&|x, y| x * y) / libm::sqrt(sum(&|x, _| x * x) * sum(&|_, y| y * y));
        assert!((it[1] - wanted).abs() < 1e-12, "{} {wanted}", it[1]);
        assert_eq!((it[0], it[2]), (1.0, 1.0));
        assert!(it[3..].iter().all(|it| it.is_nan()));
    }
}

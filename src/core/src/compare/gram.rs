//! Products of all pairs of columns, block by block so that what is read stays in the nearest cache.

use crate::num;
use rayon::prelude::*;

/// Rows of a block: a dozen columns of it fill a first-level cache.
const ROWS: usize = 512;
/// Columns that meet all others while one thread holds them.
const TILE: usize = 12;

/// Correlations of centered columns of one length: the lower triangle with the diagonal, row by row; NaN where a
/// column is zero throughout or overflows.
pub(super) fn correlations(columns: &[Vec<f64>]) -> Vec<f64> {
    let n_columns = columns.len();
    let n_rows = columns.first().map_or(0, Vec::len);
    let tiles: Vec<usize> = (0..n_columns).step_by(TILE).collect();
    let sums: Vec<Vec<f64>> = tiles
        .par_iter()
        .map(|&start| {
            let tile = start..(start + TILE).min(n_columns);
            // One after the other the products of column `a` with columns `0..=a`.
            let mut sums = vec![0.0; tile.clone().map(|a| a + 1).sum()];
            for rows in (0..n_rows).step_by(ROWS).map(|row| row..(row + ROWS).min(n_rows)) {
                let mut at = 0;
                for a in tile.clone() {
                    let x = &columns[a][rows.clone()];
                    for y in &columns[..=a] {
                        sums[at] += num::dot(x, &y[rows.clone()]);
                        at += 1;
                    }
                }
            }
            sums
        })
        .collect();
    let mut products = sums.concat();
    let squares: Vec<f64> = (0..n_columns).map(|a| products[a * (a + 1) / 2 + a]).collect();
    for a in 0..n_columns {
        for b in 0..=a {
            let product = &mut products[a * (a + 1) / 2 + b];
            let usable = |square: f64| square > 0.0 && square.is_finite();
            *product = match (usable(squares[a]), usable(squares[b])) {
                (true, true) if a == b => 1.0,
                (true, true) => (*product / (libm::sqrt(squares[a]) * libm::sqrt(squares[b]))).clamp(-1.0, 1.0),
                _ => f64::NAN,
            };
        }
    }
    products
}

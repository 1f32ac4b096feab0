//! How alike members are: correlations between their predictions on the target's own scale.
//!
//! Columns are taken one after the other, so that memory is `n_models * n_rows * 8` bytes whatever the number of
//! outputs; within a column members and pairs run in parallel. Every sum has a fixed order: one thread and sixteen
//! give the same bits.

use crate::{
    block::Block,
    num,
    output::{Encoding, Frame, OutputKind},
    prediction::{PredictionMatrix, Predictions, Split},
    scope::{BlockRows, RowSet},
    space,
};
use rayon::prelude::*;

/// Correlations between all pairs of members, in [-1, 1], means over the outputs in which both vary.
#[derive(Debug, Clone, PartialEq)]
pub struct Correlations {
    n_models: usize,
    /// Shape `(n_models, n_models)`; NaN where no output varies in both.
    values: Vec<f64>,
}

impl Correlations {
    /// Members, in the order of the matrix they were computed from.
    #[must_use]
    pub fn n_models(&self) -> usize {
        self.n_models
    }

    /// The correlation of members `a` and `b`; `None` where no output varies in both.
    #[must_use]
    pub fn get(&self, a: usize, b: usize) -> Option<f64> {
        Some(self.values[a * self.n_models + b]).filter(|value| !value.is_nan())
    }

    /// The mean over all pairs of two members that have a correlation; `None` where there is no such pair.
    #[must_use]
    pub fn mean(&self) -> Option<f64> {
        let pairs = (0..self.n_models).flat_map(|a| (0..a).map(move |b| (a, b)));
        let (mut sum, mut count) = (0.0, 0_usize);
        for value in pairs.filter_map(|(a, b)| self.get(a, b)) {
            sum += value;
            count += 1;
        }
        (count > 0).then(|| sum / count as f64)
    }
}

/// Pearson's product-moment correlation over `rows`. Predictions are finite there.
#[must_use]
pub fn pearson<S: Split>(matrix: &PredictionMatrix<S>, rows: &RowSet) -> Correlations {
    correlations(matrix, rows, |_| {})
}

/// Spearman's rank correlation over `rows`, ties sharing their mean rank.
#[must_use]
pub fn spearman<S: Split>(matrix: &PredictionMatrix<S>, rows: &RowSet) -> Correlations {
    correlations(matrix, rows, space::rank)
}

fn correlations<S: Split>(
    matrix: &PredictionMatrix<S>,
    rows: &RowSet,
    prepare: impl Fn(&mut [f64]) + Sync,
) -> Correlations {
    let members = matrix.members();
    let n_models = members.len();
    let n_pairs = n_models * n_models;
    let (mut sums, mut counts) = (vec![0.0; n_pairs], vec![0_u32; n_pairs]);
    for output in 0..matrix.columns().len() {
        let directions: Vec<Option<Vec<f64>>> = members
            .par_iter()
            .map(|member| {
                let mut column = natural_column(member, output, rows);
                prepare(&mut column);
                standardize(&mut column).then_some(column)
            })
            .collect();
        let products: Vec<Vec<Option<f64>>> = (0..n_models)
            .into_par_iter()
            .map(|a| {
                (0..=a)
                    .map(|b| match (&directions[a], &directions[b]) {
                        (Some(_), Some(_)) if a == b => Some(1.0),
                        (Some(x), Some(y)) => Some(num::dot(x, y).clamp(-1.0, 1.0)),
                        _ => None,
                    })
                    .collect()
            })
            .collect();
        for (a, row) in products.iter().enumerate() {
            for (b, product) in row.iter().enumerate() {
                if let Some(product) = product {
                    sums[a * n_models + b] += product;
                    counts[a * n_models + b] += 1;
                }
            }
        }
    }
    let mut values = vec![f64::NAN; n_pairs];
    for a in 0..n_models {
        for b in 0..=a {
            let at = a * n_models + b;
            if counts[at] > 0 {
                values[at] = sums[at] / f64::from(counts[at]);
                values[b * n_models + a] = values[at];
            }
        }
    }
    Correlations { n_models, values }
}

/// One output of the rows of `set`, on the target's own scale.
fn natural_column<S: Split>(member: &Predictions<S>, output: usize, set: &RowSet) -> Vec<f64> {
    let encoding = member.encoding();
    let mut column = vec![0.0; set.len()];
    // Softmax needs the whole row; everything else is decoded column by column.
    let whole_rows = encoding.kind == OutputKind::ClassLogits;
    let stored = match (encoding.kind, encoding.frame, output) {
        (OutputKind::Vector, Frame::Yxz, 0) => 1,
        (OutputKind::Vector, Frame::Yxz, 1) => 0,
        _ => output,
    };
    let mut block = Block::default();
    for b in 0..set.n_blocks() {
        let (rows, start) = (set.block(b), set.offset(b));
        if rows.is_empty() {
            continue;
        }
        let column = &mut column[start..start + rows.len()];
        if whole_rows {
            member.read_natural(b, rows, &mut block);
            column.copy_from_slice(block.column(output));
            continue;
        }
        let slice = member.values().slice(b, stored);
        match rows {
            BlockRows::All(n) => slice.widen(0..n, column),
            BlockRows::Some(local) => slice.gather(local, column),
        }
    }
    if !whole_rows {
        let mut single = Block::from_columns(&[column]);
        space::decode(Encoding { frame: Frame::Xyz, ..encoding }, &mut single);
        column = single.values().to_vec();
    }
    column
}

/// Centers a column and scales it to length one; `false` where it is constant.
pub(crate) fn standardize(column: &mut [f64]) -> bool {
    let n = column.len() as f64;
    let largest = column.iter().fold(0.0_f64, |largest, x| largest.max(x.abs()));
    let mean = num::sum(column) / n;
    column.iter_mut().for_each(|x| *x -= mean);
    let squares = num::dot(column, column);
    // The mean of equal numbers may be off by a rounding, so what is left of a constant is not exactly 0.
    let noise = 1e-13 * largest;
    let varies = squares > noise * noise * n && squares.is_finite();
    if varies {
        let length = libm::sqrt(squares);
        column.iter_mut().for_each(|x| *x /= length);
    }
    varies
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        fingerprint::Fingerprint, id::ModelId, prediction::Oof, rows::RowIndex, source::BLOCK_ROWS, source::OwnedBlocks,
    };
    use std::sync::Arc;

    fn matrix(members: Vec<(OutputKind, Vec<Vec<f64>>)>) -> PredictionMatrix<Oof> {
        let rows = RowIndex::positions(members[0].1[0].len()).unwrap();
        let columns: Arc<[String]> = (0..members[0].1.len()).map(|c| format!("c{c}")).collect();
        let members = members.into_iter().enumerate().map(|(i, (kind, values))| {
            Predictions::unchecked(
                ModelId::new(&format!("m{i}")).unwrap(),
                rows.clone(),
                columns.clone(),
                Encoding::plain(kind),
                Arc::new(OwnedBlocks::F64(values)),
                Fingerprint::of(&[i as u8]),
            )
            .unwrap()
        });
        PredictionMatrix::new(members.collect()).unwrap()
    }

    #[test]
    fn values_by_hand() {
        let a = vec![vec![1.0, 2.0, 3.0, 4.0, 9.0], vec![0.1, 0.1, 0.1, 0.1, 0.1]];
        let b = vec![vec![2.0, 1.0, 4.0, 3.0, 5.0], vec![1.0, 2.0, 3.0, 4.0, 7.0]];
        let c = vec![vec![-1.0, -2.0, -3.0, -4.0, -5.0], vec![1.0, 2.0, 3.0, 4.0, 7.0]];
        let constant = vec![vec![7.0; 5]; 2];
        let members = [a, b, c, constant].map(|values| (OutputKind::Value, values)).to_vec();
        let set = RowSet::from_mask(&[true, true, true, true, false]).unwrap();
        let matrix = matrix(members);
        let it = pearson(&matrix, &set);
        // Over rows 0..4: (1,2,3,4) with (2,1,4,3) is 0.6, with (-1,-2,-3,-4) is -1; the constant column is left out.
        assert!((it.get(0, 1).unwrap() - 0.6).abs() < 1e-15);
        assert!((it.get(0, 2).unwrap() + 1.0).abs() < 1e-15);
        assert!((it.get(1, 2).unwrap() - 0.2).abs() < 1e-15, "mean of -0.6 and 1");
        assert_eq!(it.get(2, 1), it.get(1, 2));
        assert_eq!((it.get(0, 0), it.get(3, 3), it.get(0, 3)), (Some(1.0), None, None));
        assert!((it.mean().unwrap() - (0.6 - 1.0 + 0.2) / 3.0).abs() < 1e-15);
        let all = RowSet::all(5);
        assert!((spearman(&matrix, &all).get(0, 2).unwrap() + 1.0).abs() < 1e-15, "the order alone is opposite");
        assert!(pearson(&matrix, &all).get(0, 2).unwrap() > -0.95);
    }

    #[test]
    fn columns_are_read_as_whole_rows_are() {
        let n = BLOCK_ROWS + 300;
        let value = |c: usize, row: usize| (((row * 37 + c * 11) % 101) as f64 - 50.0) / 20.0;
        let columns: Vec<Vec<f64>> = (0..3).map(|c| (0..n).map(|row| value(c, row)).collect()).collect();
        let set = RowSet::all(n).filter(|row| row % 3 != 1).unwrap();
        for kind in [OutputKind::Logit, OutputKind::ClassLogits, OutputKind::Vector, OutputKind::Value] {
            for frame in [Frame::Xyz, Frame::Yxz] {
                let member = Predictions::<Oof>::unchecked(
                    ModelId::new("m").unwrap(),
                    RowIndex::positions(n).unwrap(),
                    ["a", "b", "c"].map(str::to_owned).into(),
                    Encoding { frame, ..Encoding::plain(kind) },
                    Arc::new(OwnedBlocks::F64(columns.clone())),
                    Fingerprint::of(b""),
                )
                .unwrap();
                let whole = member.natural(&set);
                (0..3).for_each(|c| assert_eq!(natural_column(&member, c, &set), whole.column(c), "{kind:?}"));
            }
        }
    }

    #[test]
    fn ninety_members_take_no_time() {
        let members = (0..91_usize).map(|m| {
            let value = move |c: usize, row: usize| ((row * (m + 3) * 7919 + c * 104_729) % 10_007) as f64;
            let columns = (0..2).map(|c| (0..7165).map(|row| value(c, row)).collect()).collect();
            (OutputKind::Value, columns)
        });
        let matrix = matrix(members.collect());
        let start = std::time::Instant::now();
        let set = RowSet::all(7165);
        assert!(pearson(&matrix, &set).mean().unwrap().abs() < 0.2);
        assert!(spearman(&matrix, &set).mean().unwrap().abs() < 0.2);
        // A tenth of this on one quiet core; the bound only catches an algorithm of another order.
        assert!(start.elapsed().as_secs_f64() < 3.0, "{:?}", start.elapsed());
    }
}

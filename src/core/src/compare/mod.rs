//! How alike members are: correlations between their predictions on the target's own scale.
//!
//! A correlation of two members is the mean over outputs of that output's correlation (the target-wise mean). Outputs,
//! members and pairs run in parallel; every sum has a fixed order: one thread and sixteen give the same bits.

mod clusters;
mod column;
mod gram;
mod kendall;
mod ranker;
mod ranks;

pub(crate) use column::standardize;
pub(crate) use ranks::Ranks;

use crate::{
    prediction::{PredictionMatrix, Split},
    scope::RowSet,
};
use column::{Column, Pool};
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

/// Correlations by three methods, of the same members over the same rows.
#[derive(Debug, Clone, PartialEq)]
pub struct Relations {
    /// Product-moment correlation.
    pub pearson: Correlations,
    /// Rank correlation, ties sharing their mean rank.
    pub spearman: Correlations,
    /// Kendall's tau-b: the excess of pairs of rows in the same order, corrected for ties.
    pub kendall: Correlations,
}

/// A way to say how alike two columns are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// Product-moment correlation.
    Pearson,
    /// Product-moment correlation of ranks.
    Spearman,
    /// Tau-b of Kendall 1945.
    Kendall,
}

/// Bytes of columns and ranks that are held at once, unless one output alone takes more.
const HELD_BYTES: usize = 1 << 27;

/// Pearson's product-moment correlation over `rows`. Predictions are finite there.
#[must_use]
pub fn pearson<S: Split>(matrix: &PredictionMatrix<S>, rows: &RowSet) -> Correlations {
    let [it] = correlate(matrix, rows, [Method::Pearson]);
    it
}

/// Spearman's rank correlation over `rows`, ties sharing their mean rank.
#[must_use]
pub fn spearman<S: Split>(matrix: &PredictionMatrix<S>, rows: &RowSet) -> Correlations {
    let [it] = correlate(matrix, rows, [Method::Spearman]);
    it
}

/// Kendall's tau-b over `rows`, in `O(n log n)` per pair and output.
#[must_use]
pub fn kendall<S: Split>(matrix: &PredictionMatrix<S>, rows: &RowSet) -> Correlations {
    let [it] = correlate(matrix, rows, [Method::Kendall]);
    it
}

/// All three, each column read and sorted once.
#[must_use]
pub fn relations<S: Split>(matrix: &PredictionMatrix<S>, rows: &RowSet) -> Relations {
    let methods = [Method::Pearson, Method::Spearman, Method::Kendall];
    let [pearson, spearman, kendall] = correlate(matrix, rows, methods);
    Relations { pearson, spearman, kendall }
}

fn correlate<S: Split, const N: usize>(
    matrix: &PredictionMatrix<S>,
    rows: &RowSet,
    methods: [Method; N],
) -> [Correlations; N] {
    let n_models = matrix.members().len();
    let mut totals = methods.map(|_| Totals::new(n_models));
    let outputs: Vec<usize> = (0..matrix.columns().len()).collect();
    // Outputs run in parallel as far as memory allows; their means are taken in index order.
    let wave = (HELD_BYTES / (24 * n_models * rows.len()).max(1)).max(1);
    let pool = Pool::default();
    for wave in outputs.chunks(wave) {
        let one = |held: &mut Held, &output: &usize| one_output(matrix, rows, output, methods, held, &pool);
        let found: Vec<[Vec<f64>; N]> = wave.par_iter().map_init(Held::default, one).collect();
        for products in &found {
            totals.iter_mut().zip(products).for_each(|(total, products)| total.add(products));
        }
    }
    totals.map(Totals::finish)
}

/// Memory that is used again for the next output.
#[derive(Default)]
struct Held {
    ranks: Vec<Ranks>,
    doubled: Vec<Vec<i32>>,
}

/// The lower triangles of one output's correlations, row by row with the diagonal; NaN where a column is constant.
fn one_output<S: Split, const N: usize>(
    matrix: &PredictionMatrix<S>,
    rows: &RowSet,
    output: usize,
    methods: [Method; N],
    Held { ranks, doubled }: &mut Held,
    pool: &Pool,
) -> [Vec<f64>; N] {
    let columns: Vec<Column<'_>> = matrix.members().par_iter().map(|member| Column::of(member, output, rows)).collect();
    // Kendall's tau needs the order; ranks alone are found without.
    let ordered = methods.contains(&Method::Kendall);
    if ordered {
        ranks.resize_with(columns.len(), Ranks::default);
        ranks.par_iter_mut().zip(&columns).for_each(|(ranks, column)| pool.lend(|held| column.rank(rows, ranks, held)));
    }
    methods.map(|method| match method {
        Method::Pearson => gram::correlations(&columns, rows),
        Method::Spearman => {
            doubled.resize_with(columns.len(), Vec::new);
            doubled.par_iter_mut().enumerate().for_each(|(at, doubled)| match ordered {
                true => ranks[at].doubled(doubled),
                false => pool.lend(|held| columns[at].doubled(rows, doubled, held)),
            });
            let ranks: Vec<Column<'_>> = doubled.iter().map(|doubled| Column::Ranked(doubled)).collect();
            gram::correlations(&ranks, rows)
        }
        Method::Kendall => {
            let pairs: Vec<(usize, usize)> = (0..ranks.len()).flat_map(|a| (0..=a).map(move |b| (a, b))).collect();
            let taus = pairs.par_iter().map_init(kendall::Scratch::default, |scratch, &(a, b)| match a == b {
                true if ranks[a].is_constant() => f64::NAN,
                true => 1.0,
                false => kendall::tau_b(&ranks[a], &ranks[b], scratch),
            });
            taus.collect()
        }
    })
}

/// Sums over outputs of each pair's correlation.
struct Totals {
    n_models: usize,
    /// Shape of a lower triangle with the diagonal.
    sums: Vec<f64>,
    counts: Vec<u32>,
}

impl Totals {
    fn new(n_models: usize) -> Self {
        let n_pairs = n_models * (n_models + 1) / 2;
        Self { n_models, sums: vec![0.0; n_pairs], counts: vec![0; n_pairs] }
    }

    fn add(&mut self, products: &[f64]) {
        for (at, product) in products.iter().enumerate().filter(|(_, product)| !product.is_nan()) {
            self.sums[at] += product;
            self.counts[at] += 1;
        }
    }

    fn finish(self) -> Correlations {
        let n_models = self.n_models;
        let mut values = vec![f64::NAN; n_models * n_models];
        for a in 0..n_models {
            for b in 0..=a {
                let at = a * (a + 1) / 2 + b;
                if self.counts[at] > 0 {
                    let mean = self.sums[at] / f64::from(self.counts[at]);
                    (values[a * n_models + b], values[b * n_models + a]) = (mean, mean);
                }
            }
        }
        Correlations { n_models, values }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        fingerprint::Fingerprint, id::ModelId, output::Encoding, output::OutputKind, prediction::Oof,
        prediction::Predictions, rows::RowIndex, source::OwnedBlocks,
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

    /// Values of scipy, printed by `tests/relations.py`.
    #[test]
    fn values_of_scipy() {
        let a = vec![0.3, 0.1, 0.3, 0.9, 0.45, 0.7, 0.1, 0.62];
        let b = vec![0.2, 0.1, 0.35, 0.8, 0.35, 0.9, 0.15, 0.35];
        let members = [a, b].map(|column| (OutputKind::Value, vec![column, vec![7.0; 8]])).to_vec();
        let it = relations(&matrix(members), &RowSet::all(8));
        let near = |it: &Correlations, wanted: f64| assert!((it.get(0, 1).unwrap() - wanted).abs() < 1e-15);
        near(&it.pearson, 0.8837944399290856);
        near(&it.spearman, 0.9259964968589903);
        near(&it.kendall, 0.8236877675803729);
        assert_eq!([&it.pearson, &it.spearman, &it.kendall].map(|it| it.get(1, 1)), [Some(1.0); 3]);
    }

    #[test]
    fn any_number_of_threads_gives_the_same_bits() {
        let column = |m: usize, c: usize| {
            (0..9000_usize).map(move |row| ((row * (m + 3) * 7919 + c * 104_729) % 1009) as f64 / 7.0).collect()
        };
        let members = (0..15).map(|m| (OutputKind::Value, (0..3).map(|c| column(m, c)).collect())).collect();
        let (matrix, set) = (matrix(members), RowSet::all(9000));
        let on = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| relations(&matrix, &set))
        };
        let bits = |it: &Correlations| it.values.iter().map(|value| value.to_bits()).collect::<Vec<_>>();
        let all = |it: &Relations| [bits(&it.pearson), bits(&it.spearman), bits(&it.kendall)];
        let one = all(&on(1));
        assert!(one == all(&on(2)) && one == all(&on(16)));
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
        // A hundredth of this on one quiet core; the bound only catches an algorithm of another order.
        assert!(start.elapsed().as_secs_f64() < 10.0, "{:?}", start.elapsed());
    }
}

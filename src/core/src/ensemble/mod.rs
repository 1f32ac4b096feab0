//! What members are worth to each other: what averaging gains ([`diversity()`]) and what each of them adds
//! ([`contributions`]).

mod contribution;
mod diversity;

pub use contribution::{Contribution, contributions};
pub use diversity::{Diversity, MemberShare, diversity};

use crate::{
    block::Block,
    judge::Preparation,
    prediction::{PredictionMatrix, Split},
    scope::{BlockRows, RowSet},
    space::SpaceName,
};
use rayon::prelude::*;

/// Values of all members that one thread holds: 8 MiB.
const HELD_VALUES: usize = 1 << 20;

/// What `each` makes of the entered members over every chunk of a fixed grid of rows, in the grid's order. It is given
/// the chunk's first row in the set's own numbering and a block per member. Only for spaces that are local to a row.
fn over_chunks<S: Split, T: Send>(
    matrix: &PredictionMatrix<S>,
    rows: &RowSet,
    space: SpaceName,
    preparation: Preparation,
    each: impl Fn(usize, &[Block]) -> T + Sync,
) -> Vec<T> {
    let members = matrix.members();
    let n_rows = (HELD_VALUES / (members.len() * matrix.columns().len())).clamp(32, 512);
    let chunks: Vec<(usize, usize, usize)> = (0..rows.n_blocks())
        .flat_map(|block| {
            let n = rows.block(block).len();
            (0..n).step_by(n_rows).map(move |start| (block, start, (start + n_rows).min(n)))
        })
        .collect();
    let run = |entered: &mut Vec<Block>, &(block, start, end): &(usize, usize, usize)| {
        let local: Vec<u32> = match rows.block(block) {
            BlockRows::All(_) => (start as u32..end as u32).collect(),
            BlockRows::Some(local) => local[start..end].to_vec(),
        };
        entered.resize_with(members.len(), Block::default);
        for (member, values) in members.iter().zip(entered.iter_mut()) {
            member.read_raw(block, BlockRows::Some(&local), values);
            space.get().enter(member.encoding(), preparation, values);
        }
        each(rows.offset(block) + start, entered)
    };
    chunks.par_iter().map_init(Vec::new, run).collect()
}

/// `sum_k w_k x_k` of the members' values over one chunk.
fn weighted(members: &[Block], weights: &[f64]) -> Block {
    let mut sum = Block::new(members[0].n_outputs(), members[0].n_rows());
    members.iter().zip(weights).for_each(|(member, &weight)| sum.add_scaled(weight, member));
    sum
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        Fingerprint, ModelId, Oof, OutputKind, Predictions, RowIndex,
        judge::score,
        metric::{self, Metric, MetricSpec},
        output::Encoding,
        pool::Pool,
        score::Score,
        source::OwnedBlocks,
        truth::{LabelValues, Labels},
    };
    use std::{collections::BTreeMap, sync::Arc};

    const N: usize = 5000;

    fn noise(seed: usize, row: usize) -> f64 {
        ((row * (seed * 2 + 7919) + seed * 104_729) % 10_007) as f64 / 10_007.0
    }

    fn matrix(kind: OutputKind, members: Vec<Vec<Vec<f64>>>) -> PredictionMatrix<Oof> {
        let rows = RowIndex::positions(members[0][0].len()).unwrap();
        let columns: Arc<[String]> = (0..members[0].len()).map(|c| format!("c{c}")).collect();
        let members = members.into_iter().enumerate().map(|(i, values)| {
            let model = ModelId::new(&format!("m{i}")).unwrap();
            let values = Arc::new(OwnedBlocks::F64(values));
            let fingerprint = Fingerprint::of(&[i as u8]);
            Predictions::unchecked(model, rows.clone(), columns.clone(), Encoding::plain(kind), values, fingerprint)
                .unwrap()
        });
        PredictionMatrix::new(members.collect()).unwrap()
    }

    fn named(name: &str) -> Box<dyn Metric> {
        metric::build(&MetricSpec { name: name.to_owned(), ..MetricSpec::default() }).unwrap()
    }

    /// Three members with two outputs each, better than chance, and labels of every kind for them.
    fn pool(kind: OutputKind) -> (PredictionMatrix<Oof>, Labels) {
        let truth = |c: usize, row: usize| noise(90 + c, row) < 0.4;
        let p = |m: usize, c: usize, row: usize| {
            0.05 + 0.3 * f64::from(u8::from(truth(c, row))) + 0.5 * noise(m * 2 + c, row)
        };
        let members = (0..3).map(|m| {
            let first: Vec<f64> = (0..N).map(|row| p(m, 0, row)).collect();
            let second = match kind {
                OutputKind::ClassProbabilities => first.iter().map(|p| 1.0 - p).collect(),
                _ => (0..N).map(|row| p(m, 1, row)).collect(),
            };
            vec![first, second]
        });
        let values = match kind {
            OutputKind::ClassProbabilities => LabelValues::Class {
                labels: (0..N).map(|row| u32::from(!truth(0, row))).collect(),
                names: vec!["a".into(), "b".into()],
            },
            OutputKind::Probability => {
                LabelValues::Binary((0..2).map(|c| (0..N).map(|row| u8::from(truth(c, row))).collect()).collect())
            }
            _ => LabelValues::Real((0..2).map(|c| (0..N).map(|row| noise(40 + c, row)).collect()).collect()),
        };
        (matrix(kind, members.collect()), Labels { values, weights: None })
    }

    /// Values of numpy and scipy, printed by `tests/relations.py`.
    #[test]
    fn the_logarithmic_pool_by_hand() {
        let a = vec![0.3, 0.1, 0.3, 0.9, 0.45, 0.7, 0.1, 0.62];
        let b = vec![0.2, 0.1, 0.35, 0.8, 0.35, 0.9, 0.15, 0.35];
        let matrix = matrix(OutputKind::Probability, vec![vec![a], vec![b]]);
        let labels = Labels { values: LabelValues::Binary(vec![vec![0, 0, 1, 1, 0, 1, 0, 1]]), weights: None };
        let it = diversity(&matrix, &RowSet::all(8), &*named("log_loss"), &labels, &[0.5, 0.5], SpaceName::Linear);
        let it = it.unwrap();
        assert_eq!(it.space, SpaceName::Logit);
        let near = |got: f64, wanted: f64| assert!((got - wanted).abs() < 1e-14, "{got}, wanted {wanted}");
        near(it.blend, 0.40396328534951265);
        near(it.mean_member, 0.4162019543379473);
        near(it.members[0].diversity.unwrap(), 0.012763588450495151);
        near(it.members[1].diversity.unwrap(), 0.011713749526374141);
    }

    #[test]
    fn shares_sum_to_the_blend() {
        let rows = RowSet::all(N).filter(|row| row % 7 != 2).unwrap();
        let weighted = [0.5, 0.2, 0.3];
        let by_class = MetricSpec {
            name: "multiclass_log_loss".into(),
            aggregation: Some("class_mean".into()),
            class_weights: BTreeMap::from([("b".to_owned(), 3.0)]),
            ..MetricSpec::default()
        };
        let class = OutputKind::ClassProbabilities;
        let cases: [(OutputKind, Box<dyn Metric>); 7] = [
            (OutputKind::Probability, named("log_loss")),
            (class, named("multiclass_log_loss")),
            (class, metric::build(&by_class).unwrap()),
            (OutputKind::Value, named("mse")),
            (OutputKind::Value, named("rmse")),
            (OutputKind::Value, named("mcrmse")),
            (OutputKind::Value, named("r2")),
        ];
        for (kind, metric) in cases {
            let (matrix, mut labels) = pool(kind);
            labels.weights = (kind != class).then(|| (0..N).map(|row| 0.5 + noise(3, row)).collect());
            let labels = labels.select(&rows.iter().collect::<Vec<_>>());
            let it = diversity(&matrix, &rows, &*metric, &labels, &weighted, SpaceName::Linear).unwrap();
            let share = it.members.iter().map(|member| member.share.expect("exact")).sum::<f64>();
            assert!((share - it.blend).abs() < 1e-12, "{}: {share}, {}", it.metric, it.blend);
            assert!(it.members.iter().all(|member| member.diversity.unwrap() > 0.0));
            assert!(it.blend < it.mean_member);
        }
        // A metric without the identity says what averaging gains and no more.
        let (matrix, labels) = pool(OutputKind::Value);
        let it = diversity(&matrix, &RowSet::all(N), &*named("mae"), &labels, &weighted, SpaceName::Linear).unwrap();
        assert!(it.members.iter().all(|member| member.share.is_none()) && it.blend < it.mean_member);
    }

    #[test]
    fn a_member_adds_what_the_blend_loses_without_it() {
        let rows = RowSet::all(N).filter(|row| row % 7 != 2).unwrap();
        let weights = [0.5, 0.2, 0.3];
        let parts: Vec<u32> = (0..rows.len() as u32).map(|row| row % 4).collect();
        for (kind, name, space) in [
            (OutputKind::Probability, "log_loss", SpaceName::Logit),
            (OutputKind::Probability, "auc", SpaceName::Linear),
            (OutputKind::Probability, "auc", SpaceName::Rank),
            (OutputKind::ClassProbabilities, "multiclass_log_loss", SpaceName::Log),
            (OutputKind::Value, "mcrmse", SpaceName::Linear),
        ] {
            let (matrix, labels) = pool(kind);
            let labels = labels.select(&rows.iter().collect::<Vec<_>>());
            let bound = named(name).bind(labels.clone()).unwrap();
            let found = contributions(&matrix, &rows, &*bound, &weights, space, &parts);
            let members: Vec<_> = matrix.members().iter().zip(weights).collect();
            let blend = |members: &[_]| Pool::new(members, space, bound.preparation()).whole(&rows);
            let all = score(&*bound, &blend(&members));
            for (k, found) in found.iter().enumerate() {
                let rest = members.iter().enumerate().filter(|(i, _)| *i != k);
                let rest: Vec<_> = rest.map(|(_, (member, w))| (*member, w / (1.0 - weights[k]))).collect();
                let (rest, with) = (blend(&rest), blend(&members));
                let without = score(&*bound, &rest);
                // Sums in another order make and break ties, which AUC counts.
                let tolerance = if name == "auc" { 1e-5 } else { 1e-12 };
                assert!((found.without - without).abs() < tolerance, "{name}: {} {without}", found.without);
                let gain = bound.direction().gain(Score(all), Score(without));
                assert!((found.gain - gain).abs() < tolerance, "{name}");
                let better = (0..4).filter(|part| {
                    let of: Vec<usize> = (0..parts.len()).filter(|row| parts[*row] == *part).collect();
                    let bound = named(name).bind(labels.select(&of)).unwrap();
                    let score = |blend: &Block| Score(score(&*bound, &blend.select(&of)));
                    bound.direction().gain(score(&with), score(&rest)) > 0.0
                });
                assert_eq!(found.better_in, better.count(), "{name}");
            }
        }
    }
}

//! Every space of the catalogue obeys these.

use super::{CATALOGUE, Space};
use crate::{
    block::Block,
    judge::Preparation,
    output::{Encoding, OutputKind},
};
use proptest::prelude::*;

/// A block of 60 rows that is legal for `kind`, from any numbers in (0, 1).
fn legal(kind: OutputKind, seeds: &[f64]) -> Block {
    let n_outputs = if kind == OutputKind::Vector { 3 } else { 4 };
    let mut block = Block::new(n_outputs, 60);
    for output in 0..n_outputs {
        for row in 0..60 {
            let x = seeds[(output * 60 + row) % seeds.len()];
            let value = match kind {
                OutputKind::Logit | OutputKind::ClassLogits | OutputKind::Value | OutputKind::Vector => 6.0 * x - 3.0,
                _ => x,
            };
            block.set(output, row, value);
        }
    }
    if kind == OutputKind::ClassProbabilities {
        super::normalize_rows(&mut block);
    }
    block
}

fn blend(space: &dyn Space, encoding: Encoding, members: &[(f64, &Block)]) -> Block {
    let mut sum = Block::new(members[0].1.n_outputs(), members[0].1.n_rows());
    for (weight, member) in members {
        let mut entered = (*member).clone();
        space.enter(encoding, Preparation::default(), &mut entered);
        sum.add_scaled(*weight, &entered);
    }
    space.leave(&mut sum);
    sum
}

fn close(a: &Block, b: &Block) -> bool {
    a.values().iter().zip(b.values()).all(|(x, y)| (x - y).abs() < 1e-9 * (1.0 + x.abs()))
}

#[test]
fn the_catalogue_is_in_the_order_of_its_names() {
    for (position, (name, space)) in CATALOGUE.iter().enumerate() {
        assert_eq!(*name as usize, position);
        assert_eq!(space.info().name.parse(), Ok(*name));
    }
}

proptest! {
    #[test]
    fn laws(
        a in proptest::collection::vec(0.001_f64..0.999, 240),
        b in proptest::collection::vec(0.001_f64..0.999, 240),
        w in 0.0_f64..1.0,
    ) {
        for (_, space) in CATALOGUE {
            for &kind in space.info().accepts {
                let encoding = Encoding::plain(kind);
                let natural = Encoding::plain(kind.as_probability());
                let (x, y) = (legal(kind, &a), legal(kind, &b));
                let mut decoded = x.clone();
                super::decode(encoding, &mut decoded);
                let alone = blend(space, encoding, &[(1.0, &x)]);
                let name = space.info().name;
                if space.info().returns_members {
                    prop_assert!(close(&alone, &decoded), "{name}: one member returns itself");
                } else {
                    prop_assert!(close(&blend(space, natural, &[(1.0, &alone)]), &alone), "{name}: idempotent");
                }
                let equal = blend(space, encoding, &[(w, &x), (1.0 - w, &x)]);
                prop_assert!(close(&equal, &alone), "{name}: equal members return that member");
                let one_way = blend(space, encoding, &[(w, &x), (1.0 - w, &y)]);
                let other_way = blend(space, encoding, &[(1.0 - w, &y), (w, &x)]);
                prop_assert!(close(&one_way, &other_way), "{name}: order of members");
                prop_assert!(one_way.values().iter().all(|v| v.is_finite()), "{name}: finite");
            }
        }
    }
}

#[test]
fn edges_stay_finite() {
    for (_, space) in CATALOGUE {
        for &kind in space.info().accepts {
            let extremes: &[f64] = match kind {
                OutputKind::Probability => &[0.0, 1.0, 1e-300, 1.0 - 1e-16],
                OutputKind::ClassProbabilities => &[0.0, 1.0, 0.0, 0.0],
                OutputKind::Vector => &[0.0, 0.0, 0.0, 0.0],
                _ => &[-80.0, 80.0, 0.0, 1e-300],
            };
            let n_outputs = if kind == OutputKind::Vector { 3 } else { 4 };
            let mut block = Block::new(n_outputs, 4);
            (0..n_outputs).for_each(|o| block.column_mut(o).copy_from_slice(extremes));
            space.enter(Encoding::plain(kind), Preparation::default(), &mut block);
            space.leave(&mut block);
            assert!(block.values().iter().all(|v| v.is_finite()), "{} {kind:?}", space.info().name);
        }
    }
}

#[test]
fn the_swapped_frame_is_undone() {
    let encoding = Encoding { frame: crate::output::Frame::Yxz, ..Encoding::plain(OutputKind::Vector) };
    let mut block = Block::from_columns(&[vec![2.0], vec![1.0], vec![3.0]]);
    super::decode(encoding, &mut block);
    assert_eq!(block.values(), [1.0, 2.0, 3.0]);
}

#[test]
fn ranks_of_damaged_values_come_to_an_end() {
    let mut column = [0.5, f64::NAN, 0.1, f64::NAN];
    super::rank::rank(&mut column);
    assert_eq!(column[2], 0.125);
}

#[test]
fn extreme_vectors_keep_their_direction() {
    let mut block = Block::from_columns(&[vec![3e200, 3e-200, 0.0], vec![4e200, 4e-200, 0.0], vec![0.0; 3]]);
    super::normalize_vectors(&mut block);
    let close = |a: f64, b: f64| (a - b).abs() < 1e-15;
    assert!((0..2).all(|row| close(block.get(0, row), 0.6) && close(block.get(1, row), 0.8)));
    assert_eq!(block.get(2, 2), 1.0);
}

#[test]
fn tied_ranks_share_their_mean() {
    let mut block = Block::from_columns(&[vec![5.0, 1.0, 5.0, 9.0]]);
    super::SpaceName::Rank.get().enter(Encoding::plain(OutputKind::Value), Preparation::default(), &mut block);
    assert_eq!(block.values(), [2.0 / 4.0, 0.5 / 4.0, 2.0 / 4.0, 3.5 / 4.0]);
}

//! Every step of the catalogue obeys these.

use super::{CATALOGUE, Calibration, Link, PostStep, Scale, apply};
use crate::{block::Block, num};
use proptest::prelude::*;

fn every_step(mut law: impl FnMut(&PostStep)) {
    for info in CATALOGUE {
        let examples = (info.examples)();
        assert!(!examples.is_empty(), "{}", info.name);
        for step in examples {
            assert_eq!(step.info().name, info.name);
            step.check().unwrap();
            law(&step);
        }
    }
}

fn done(step: &PostStep, block: &Block, marked: &[bool]) -> Block {
    let mut block = block.clone();
    apply(step, &mut block, Some(marked));
    block
}

proptest! {
    #[test]
    fn laws(
        seeds in proptest::collection::vec(prop_oneof![0.0..1.0, -9.0..9.0, Just(0.5), Just(f64::MAX), Just(-f64::MAX)], 60),
        marked in proptest::collection::vec(any::<bool>(), 20),
        turn in 0_usize..20,
    ) {
        let columns: Vec<Vec<f64>> = seeds.chunks(20).map(<[f64]>::to_vec).collect();
        let block = Block::from_columns(&columns);
        let turned: Vec<Vec<f64>> = columns.iter().map(|c| [&c[turn..], &c[..turn]].concat()).collect();
        let turned_marks = [&marked[turn..], &marked[..turn]].concat();
        every_step(|step| {
            let name = step.info().name;
            let once = done(step, &block, &marked);
            assert_eq!((once.n_outputs(), once.n_rows()), (3, 20), "{name} keeps the shape");
            assert!(once.values().iter().all(|x| x.is_finite()), "{name} keeps finite values finite");
            if step.info().idempotent {
                assert_eq!(done(step, &once, &marked), once, "{name} twice is once");
            }
            let other_way = done(step, &Block::from_columns(&turned), &turned_marks);
            for output in 0..3 {
                let column = once.column(output);
                assert_eq!(other_way.column(output), [&column[turn..], &column[..turn]].concat(), "{name}: order of rows");
            }
            if step.info().row_local {
                for row in 0..20 {
                    let alone = Block::from_columns(&columns.iter().map(|c| vec![c[row]]).collect::<Vec<_>>());
                    let alone = done(step, &alone, &marked[row..=row]);
                    assert!((0..3).all(|o| alone.get(o, 0) == once.get(o, row)), "{name}: a row alone");
                }
            }
        });
    }
}

#[test]
fn what_each_step_does() {
    let block = Block::from_columns(&[vec![-0.5, 0.25, 2.0], vec![1.0, 1.0, 1.0]]);
    let step = |step: PostStep| done(&step, &block, &[false, true, false]).values().to_vec();
    let (file, column, equals) = ("f".into(), "c".to_owned(), "v".to_owned());
    assert_eq!(step(PostStep::ZeroRows { file, column, equals }), [-0.5, 0.0, 2.0, 1.0, 0.0, 1.0]);
    assert_eq!(step(PostStep::Clip { low: 0.0, high: 0.5 }), [0.0, 0.25, 0.5, 0.5, 0.5, 0.5]);
    assert_eq!(step(PostStep::Round(1)), [-0.5, 0.2, 2.0, 1.0, 1.0, 1.0]);
    assert_eq!(step(PostStep::MinMax), [0.0, 0.3, 1.0, 0.0, 0.0, 0.0]);
    let counting = Scale::counting(vec![0.25, 1.0, 3.0]);
    assert_eq!(step(PostStep::Thresholds(vec![counting.clone()])), [0.0, 1.0, 2.0, 2.0, 2.0, 2.0]);
    let grades = Scale { cuts: vec![0.5, 1.5], labels: vec![1.0, 2.0, 4.0] };
    assert_eq!(step(PostStep::Thresholds(vec![grades, counting])), [1.0, 1.0, 4.0, 2.0, 2.0, 2.0]);
}

#[test]
fn calibration_is_a_line_on_the_scale_of_its_link() {
    let block = Block::from_columns(&[vec![0.0, 0.25, 1.0, 0.7], vec![1.0, 0.75, 0.0, 0.3]]);
    let step = |link, slope, shift: &[f64]| {
        let step = PostStep::Calibrate(Calibration { link, slope, shift: shift.to_vec() });
        done(&step, &block, &[false; 4])
    };
    // sklearn.calibration's sigmoid of twice the log odds of 1/4 is 1/10.
    let logit = step(Link::Logit, 2.0, &[0.0]);
    assert!((logit.get(0, 1) - 0.1).abs() < 1e-15 && (logit.get(1, 1) - 0.9).abs() < 1e-15);
    assert_eq!([logit.get(0, 0), logit.get(0, 2)], [0.0, 1.0]);
    let softmax = step(Link::Softmax, 2.0, &[0.0]);
    assert!((softmax.get(0, 1) - 0.1).abs() < 1e-15 && (softmax.get(0, 3) - 0.49 / 0.58).abs() < 1e-15);
    let shifted = step(Link::Softmax, 1.0, &[0.0, num::ln(3.0)]);
    assert!((shifted.get(0, 1) - 0.1).abs() < 1e-15);
    assert_eq!(step(Link::Identity, 2.0, &[1.0, 0.0]).values()[..5], [1.0, 1.5, 3.0, 2.4, 2.0]);
}

#[test]
fn impossible_steps_are_refused() {
    let clip = |low, high| PostStep::Clip { low, high };
    for step in [
        clip(1.0, 0.0),
        clip(f64::NAN, 1.0),
        clip(0.0, f64::INFINITY),
        PostStep::Round(23),
        PostStep::Thresholds(vec![]),
        PostStep::Thresholds(vec![Scale::counting(vec![1.0, 1.0])]),
        PostStep::Thresholds(vec![Scale::counting(vec![1.0, f64::NAN])]),
        PostStep::Thresholds(vec![Scale { cuts: vec![1.0], labels: vec![1.0] }]),
        PostStep::Thresholds(vec![Scale { cuts: vec![1.0], labels: vec![1.0, f64::INFINITY] }]),
        PostStep::Calibrate(Calibration { link: Link::Logit, slope: 0.0, shift: vec![0.0] }),
        PostStep::Calibrate(Calibration { link: Link::Logit, slope: 1.0, shift: vec![] }),
        PostStep::Calibrate(Calibration { link: Link::Logit, slope: 1.0, shift: vec![f64::NAN] }),
    ] {
        let error = step.check().unwrap_err();
        assert_eq!(error.step, step.info().name);
    }
}

#[test]
#[should_panic(expected = "no marks")]
fn forgotten_marks_are_no_unmarked_rows() {
    let step = (CATALOGUE[0].examples)().remove(0);
    apply(&step, &mut Block::new(1, 1), None);
}

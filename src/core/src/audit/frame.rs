//! Directions in another frame: another order or sign of the components scores far better.

use super::{Check, Context, Finding, Part, Severity, context::Reader};
use crate::{Frame, OutputKind, block::Block, judge, score::Score};
use rayon::prelude::*;

pub(super) const CHECK: Check = Check {
    name: "frame",
    severities: &[Severity::Fault],
    does: "no other order or sign of a vector's components scores far better",
    run,
};

/// How much better another frame has to be, as a share of what the best frame is better than chance.
const LEAST: f64 = 0.2;
/// Mean angle between random directions.
const CHANCE: f64 = std::f64::consts::FRAC_PI_2;
/// Standard deviation of that angle: the root of pi^2/4 - 2.
const SPREAD: f64 = 0.6837;
/// Standard errors by which the best of 48 readings of nothing stays below chance, with room.
const ERRORS: f64 = 5.0;

const AXES: [&str; 3] = ["x", "y", "z"];
const ORDERS: [[usize; 3]; 6] = [[0, 1, 2], [1, 0, 2], [0, 2, 1], [2, 1, 0], [1, 2, 0], [2, 0, 1]];

fn run(context: &Context) -> Vec<Finding> {
    let judged = context.evidence().judgement.as_ref().map(|judgement| judgement.bound());
    let Some(bound) = judged.filter(|bound| bound.n_outputs() == 3) else { return Vec::new() };
    let readers = context.complete(Part::Oof);
    let vectors = readers.par_iter().filter(|reader| reader.stored.encoding.kind == OutputKind::Vector);
    vectors.filter_map(|reader| check(reader, bound)).collect()
}

fn check(reader: &Reader<'_>, bound: &dyn judge::Bound) -> Option<Finding> {
    let block = reader.finite()?;
    let turned = |order: [usize; 3], signs: usize| {
        let axis = |i: usize| {
            let sign = if signs >> i & 1 == 1 { -1.0 } else { 1.0 };
            block.column(order[i]).iter().map(|x| sign * x).collect::<Vec<f64>>()
        };
        Block::from_columns(&[axis(0), axis(1), axis(2)])
    };
    let score = |order, signs| judge::score(bound, &turned(order, signs));
    let own = score(ORDERS[0], 0);
    let all = ORDERS.iter().flat_map(|&order| (0..8).map(move |signs| (order, signs)));
    let scored = all.map(|(order, signs)| (score(order, signs), order, signs));
    let (best, order, signs) =
        scored.min_by(|a, b| bound.direction().loss(Score(a.0)).cmp(&bound.direction().loss(Score(b.0))))?;
    let luck = ERRORS * SPREAD / libm::sqrt(block.n_rows() as f64);
    if CHANCE - best < luck || bound.direction().gain(Score(best), Score(own)) < LEAST * (CHANCE - best) {
        return None;
    }
    let axis = |i: usize| format!("{}{}", if signs >> i & 1 == 1 { "-" } else { "" }, AXES[order[i]]);
    let cause = format!("scores {own:.4}, but {best:.4} read as ({}, {}, {})", axis(0), axis(1), axis(2));
    let swapped = order == [1, 0, 2] && signs == 0;
    let hint = match reader.stored.encoding.frame {
        Frame::Xyz if swapped => "say `frame: yxz` in model.yaml".to_owned(),
        Frame::Yxz if swapped => "say `frame: xyz` in model.yaml".to_owned(),
        _ => "turn the components before the import: x = cos az sin ze, y = sin az sin ze, z = cos ze".to_owned(),
    };
    Some(Finding::of(reader.stored, &CHECK, Severity::Fault).because(cause, hint, block.n_rows()))
}

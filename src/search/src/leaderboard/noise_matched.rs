//! Any metric: out-of-fold predictions, blurred until each member is as bad as its public score says.
//!
//! A member whose public score is worse than its CV by more than members' are as a rule has lost something on the test
//! rows that averaging can make up for. Independent noise stands for it: member k's predictions get as much as brings its
//! CV to its public score, less the shift that is common to all, their median. Then plain CV of the blurred members says
//! what blends of them will score. A member that has gained, as one whose test predictions are means over folds, cannot
//! be sharpened: how much of its own share of luck, good or bad, reaches a blend is not known, and is part of the error.

use super::LbError;
use crate::{
    objective::{Objective, cv},
    random::Random,
    search::{Problem, SearchError},
};
use blend_core::{
    Block, Direction, Loss, Oof, OutputKind, Predictions, Score,
    judge::{self, Bound},
    num,
    output::Encoding,
    pool::Pool,
    source::OwnedBlocks,
};
use std::sync::Arc;

/// Steps of the search for the right amount of noise.
const HALVINGS: usize = 30;

/// More noise than this share of a value's own size is no blur any more.
const MOST: f64 = 64.0;

/// Members as bad as their public scores say.
pub(super) struct NoiseMatched<'a> {
    problem: Problem<'a>,
    bound: Box<dyn Bound>,
    blurred: Vec<Predictions<Oof>>,
    /// Public loss less CV loss, common to all.
    shift: f64,
    /// What each member's public loss has beyond its CV loss and the shift.
    beyond: Vec<f64>,
}

impl<'a> NoiseMatched<'a> {
    /// `scores` are the members' public scores, in their order.
    pub(super) fn new(problem: Problem<'a>, scores: &[f64], seed: u64) -> Result<Self, LbError> {
        let set = &problem.scope.rows;
        let rows: Vec<usize> = set.iter().collect();
        let bound = problem.metric.bind(problem.truth.on(set)).map_err(SearchError::from)?;
        let direction = bound.direction();
        let loss = |values: &Block| loss_of(&*bound, direction, values);
        let whole: Vec<Block> = problem.members.members().iter().map(natural).collect();
        let inside: Vec<Block> = whole.iter().map(|values| values.select(&rows)).collect();
        let wanted: Vec<f64> = scores.iter().map(|score| direction.loss(Score(*score)).value()).collect();
        let own: Vec<f64> = inside.iter().map(loss).collect();
        let moved: Vec<f64> = wanted.iter().zip(&own).map(|(s, cv)| s - cv).collect();
        let shift = median(&moved);
        let mut blurred = Vec::new();
        for (k, member) in problem.members.members().iter().enumerate() {
            let kind = member.encoding().kind.as_probability();
            let noise = noise(&whole[k], seed ^ ((k as u64 + 1) << 32));
            let near = noise.select(&rows);
            let size = size(&inside[k], kind);
            let worse = |amount: f64| loss(&blur(&inside[k], &near, kind, amount * size)) >= wanted[k] - shift;
            let amount = if own[k] >= wanted[k] - shift { 0.0 } else { least(worse) };
            let values = blur(&whole[k], &noise, kind, amount * size);
            let columns = (0..values.n_outputs()).map(|t| values.column(t).to_vec()).collect();
            let blurred_member = Predictions::unchecked(
                member.model().clone(),
                member.rows().clone(),
                member.columns().clone(),
                Encoding::plain(kind),
                Arc::new(OwnedBlocks::F64(columns)),
                member.fingerprint(),
            );
            // The shape is the member's own.
            blurred.extend(blurred_member);
        }
        let beyond = moved.iter().map(|it| it - shift).collect();
        Ok(Self { problem, bound, blurred, shift, beyond })
    }

    /// The public score of a blend.
    pub(super) fn score(&self, weights: &[f64]) -> f64 {
        let weighted: Vec<_> = self.blurred.iter().zip(weights.iter().copied()).collect();
        let blend = Pool::new(&weighted, self.problem.space, self.bound.preparation()).whole(&self.problem.scope.rows);
        let direction = self.bound.direction();
        direction.score(Loss::new(loss_of(&*self.bound, direction, &blend) + self.shift)).0
    }

    /// The standard error that members' own luck gives a blend, were all of it the blend's too.
    pub(super) fn luck(&self, weights: &[f64]) -> f64 {
        self.beyond.iter().zip(weights).map(|(it, w)| (it * w) * (it * w)).sum::<f64>().sqrt()
    }

    /// The loss of blends, up to the shift.
    pub(super) fn objective(&self) -> Box<dyn Objective + '_> {
        let members: Vec<&Predictions<Oof>> = self.blurred.iter().collect();
        let sums_to_one = self.problem.domain.sums_to_one();
        cv::objective(&members, &self.problem.scope.rows, &*self.bound, self.problem.space, sums_to_one)
    }

    /// What a predicted score has beyond [`Self::objective`], as a loss.
    pub(super) fn shift(&self) -> f64 {
        self.shift
    }

    pub(super) fn direction(&self) -> Direction {
        self.bound.direction()
    }
}

fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    let n = sorted.len();
    0.5 * (sorted[(n - 1) / 2] + sorted[n / 2])
}

fn loss_of(bound: &dyn Bound, direction: Direction, values: &Block) -> f64 {
    direction.loss(Score(judge::score(bound, values))).value()
}

/// All rows of a member on the target's scale; rows out of scope hold whatever they hold.
fn natural(member: &Predictions<Oof>) -> Block {
    let set = blend_core::RowSet::all(member.rows().len());
    let mut whole = Block::new(member.columns().len(), set.len());
    let mut part = Block::default();
    for block in 0..set.n_blocks() {
        member.read_natural(block, set.block(block), &mut part);
        whole.put(set.offset(block), &part);
    }
    whole
}

/// Standard normal numbers of the shape of `like` (Marsaglia's polar method), from a stream of each row's own.
fn noise(like: &Block, seed: u64) -> Block {
    let mut out = Block::new(like.n_outputs(), like.n_rows());
    for row in 0..like.n_rows() {
        let mut random = Random::new(seed ^ row as u64);
        for output in 0..like.n_outputs() {
            let value = loop {
                let (x, y) = (2.0 * random.unit() - 1.0, 2.0 * random.unit() - 1.0);
                let square = x * x + y * y;
                if square < 1.0 && square > 0.0 {
                    break x * (-2.0 * num::ln(square) / square).sqrt();
                }
            };
            out.set(output, row, value);
        }
    }
    out
}

/// The unit of noise: 1 on logarithmic scales and for directions, a value's spread.
fn size(values: &Block, kind: OutputKind) -> f64 {
    match kind {
        OutputKind::Probability | OutputKind::ClassProbabilities | OutputKind::Vector => 1.0,
        _ => {
            let n = values.values().len() as f64;
            let mean = num::sum(values.values()) / n;
            (values.values().iter().map(|x| (x - mean) * (x - mean)).sum::<f64>() / n).sqrt().max(f64::MIN_POSITIVE)
        }
    }
}

/// Values with `amount` of noise: on log odds, on logarithms of classes, on a direction's components, on values.
fn blur(values: &Block, noise: &Block, kind: OutputKind, amount: f64) -> Block {
    let mut out = values.clone();
    if amount == 0.0 {
        return out;
    }
    const CLIP: f64 = 1e-15;
    match kind {
        OutputKind::Probability => {
            let cells = out.values_mut().iter_mut().zip(noise.values());
            cells.for_each(|(p, z)| {
                let clipped = p.clamp(CLIP, 1.0 - CLIP);
                *p = num::sigmoid(num::ln(clipped / (1.0 - clipped)) + amount * z);
            });
        }
        OutputKind::ClassProbabilities => {
            let cells = out.values_mut().iter_mut().zip(noise.values());
            cells.for_each(|(p, z)| *p = num::ln(p.clamp(CLIP, 1.0)) + amount * z);
            blend_core::space::SpaceName::Log.get().leave(&mut out);
        }
        OutputKind::Vector => {
            for row in 0..out.n_rows() {
                let squares: f64 = (0..out.n_outputs()).map(|t| out.get(t, row) * out.get(t, row)).sum();
                let length = squares.sqrt();
                (0..out.n_outputs()).for_each(|t| {
                    let moved = out.get(t, row) + amount * length * noise.get(t, row);
                    out.set(t, row, moved);
                });
            }
        }
        _ => out.values_mut().iter_mut().zip(noise.values()).for_each(|(x, z)| *x += amount * z),
    }
    out
}

/// The least amount of noise from which on a member is bad enough.
fn least(worse: impl Fn(f64) -> bool) -> f64 {
    let mut high = 1.0 / 64.0;
    while !worse(high) {
        if high >= MOST {
            return MOST;
        }
        high *= 2.0;
    }
    let mut low = 0.0;
    for _ in 0..HALVINGS {
        let middle = 0.5 * (low + high);
        if worse(middle) { high = middle } else { low = middle }
    }
    high
}

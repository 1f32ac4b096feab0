//! The method that suits a metric and what there is, behind one face.

use super::{
    Board, LbError, Method, Parts, Predicted,
    binormal::Binormal,
    identity::mix,
    noise_matched::NoiseMatched,
    rehearsal::{Earned, rehearse},
    search::LbProblem,
};
use crate::{
    objective::{Effort, Objective},
    search::Problem,
    solver::{Found, Task},
};
use blend_core::{
    Block, Direction, Predictions, PublicLb, RowSet, Score,
    judge::{Bound, Preparation},
    pool,
    truth::LabelValues,
};

/// What predicts public scores of blends of the members.
pub(super) enum Predictor<'a> {
    /// From the scored files alone.
    Board {
        board: Box<Board>,
        /// Made-up labels moved to where they give the files their scores, for spaces where nothing follows exactly.
        labels: Box<dyn Bound>,
    },
    /// AUC.
    Binormal { binormal: Binormal, scores: Vec<f64> },
    /// Any metric.
    Noise { noise: Box<NoiseMatched<'a>>, scores: Vec<f64> },
}

impl<'a> Predictor<'a> {
    pub(super) fn of(problem: &LbProblem<'a>, seed: u64) -> Result<Self, LbError> {
        let board = match (problem.spec.name.as_str(), &problem.oof) {
            ("mae", None) => Board::moment_matched(problem.lb),
            _ => Board::new(problem.lb, problem.spec),
        };
        match (board, &problem.oof) {
            (Ok(board), _) => {
                let none = || LbError::NoMethod { metric: problem.spec.name.clone(), why: "from these scores" };
                let labels = board.tilted().ok_or_else(none)?;
                Ok(Self::Board { board: Box::new(board), labels })
            }
            (Err(LbError::NoMethod { .. }), Some(oof)) => match positives(oof) {
                Some(positives) if problem.spec.name == "auc" => {
                    let scores = scores(problem, Method::Binormal)?;
                    let entered = entered(problem);
                    Ok(Self::Binormal { binormal: Binormal::new(&entered, &scores, positives), scores })
                }
                _ => {
                    let scores = scores(problem, Method::NoiseMatched)?;
                    Ok(Self::Noise { noise: Box::new(NoiseMatched::new(*oof, &scores, seed)?), scores })
                }
            },
            (Err(error), _) => Err(error),
        }
    }

    pub(super) fn board(&self) -> Option<&Board> {
        match self {
            Self::Board { board, .. } => Some(board),
            _ => None,
        }
    }

    pub(super) fn direction(&self) -> Direction {
        match self {
            Self::Board { .. } => Direction::Lower,
            Self::Binormal { .. } => Direction::Higher,
            Self::Noise { noise, .. } => noise.direction(),
        }
    }

    /// What a predicted loss has beyond the objective.
    pub(super) fn shift(&self) -> f64 {
        if let Self::Noise { noise, .. } = self { noise.shift() } else { 0.0 }
    }

    /// What is minimised: the predicted public loss, up to [`Self::shift`].
    pub(super) fn objective<'s>(&'s self, problem: &LbProblem<'_>) -> Box<dyn Objective + 's> {
        match self {
            Self::Board { board, labels } => {
                let blocks: Vec<Block> = problem.members.iter().map(|(_, values)| values.clone()).collect();
                board.objective(&blocks, problem.space, problem.domain.sums_to_one(), &**labels)
            }
            Self::Binormal { binormal, scores } => Box::new(BinormalObjective { binormal, n: scores.len() }),
            Self::Noise { noise, .. } => noise.objective(),
        }
    }

    /// The method's own way to the best weights, where it has one.
    pub(super) fn solve(&self, task: &Task<'_>) -> Option<Found> {
        match self {
            Self::Binormal { binormal, .. } => Some(binormal.best(task)),
            _ => None,
        }
    }

    /// Predicted public scores of blends.
    pub(super) fn predict(&self, problem: &LbProblem<'_>, queries: &[Vec<f64>], seed: u64) -> Vec<Predicted> {
        let half_unit = problem.lb.files().iter().map(|file| file.half_unit).fold(f64::INFINITY, f64::min);
        let (method, actual, guesses): (Method, &[f64], Vec<(f64, f64)>) = match self {
            Self::Board { board, .. } => {
                let preparation = board.preparation();
                return queries.iter().map(|weights| board.predict(&written(problem, preparation, weights))).collect();
            }
            Self::Binormal { binormal, scores } => {
                (Method::Binormal, scores, queries.iter().map(|w| (binormal.score(w), 0.0)).collect())
            }
            Self::Noise { noise, scores } => {
                (Method::NoiseMatched, scores, queries.iter().map(|w| (noise.score(w), noise.luck(w))).collect())
            }
        };
        let earned =
            problem.oof.as_ref().and_then(|oof| self.rehearsed(oof, problem.lb, actual, half_unit, queries, seed));
        let one = |(i, (score, luck)): (usize, (f64, f64))| {
            // A member alone has the score that it was given.
            if let Some(own) = alone(&queries[i]) {
                let parts = Parts { rounding: half_unit / 3f64.sqrt(), rounding_bound: half_unit, ..Parts::default() };
                return Predicted { score: actual[own], standard_error: parts.rounding, method, parts };
            }
            // Without rows to rehearse on nothing is known of the error.
            let Earned { bias, error } =
                earned.as_ref().map_or(Earned { bias: 0.0, error: f64::INFINITY }, |all| all[i]);
            let parts = Parts { rehearsed: error, bias, luck, ..Parts::default() };
            Predicted { score, standard_error: error.hypot(luck), method, parts }
        };
        guesses.into_iter().enumerate().map(one).collect()
    }

    fn rehearsed(
        &self,
        oof: &Problem<'_>,
        lb: &PublicLb,
        actual: &[f64],
        half_unit: f64,
        queries: &[Vec<f64>],
        seed: u64,
    ) -> Option<Vec<Earned>> {
        rehearse(oof, lb.part().n_public(), actual, half_unit, queries, seed, |rest, scores, draw| match self {
            Self::Noise { .. } => {
                let noise = NoiseMatched::new(*rest, scores, seed ^ draw).ok()?;
                Some(queries.iter().map(|weights| noise.score(weights)).collect())
            }
            Self::Binormal { .. } => {
                // The covariance of all rows, as the test rows have one; labels only through the share of positives.
                let entered: Vec<Block> =
                    oof.members.members().iter().map(|member| of_rows(member, rest, &oof.scope.rows)).collect();
                let binormal = Binormal::new(&entered, scores, positives(rest)?);
                Some(queries.iter().map(|weights| binormal.score(weights)).collect())
            }
            Self::Board { .. } => None,
        })
    }
}

/// The member that has all the weight.
fn alone(weights: &[f64]) -> Option<usize> {
    let mut heavy = (0..weights.len()).filter(|&k| weights[k] != 0.0);
    heavy.next().filter(|&k| weights[k] == 1.0 && heavy.next().is_none())
}

fn of_rows(member: &Predictions<blend_core::Oof>, problem: &Problem<'_>, set: &RowSet) -> Block {
    pool::entered(member, problem.space, Preparation::default(), set)
}

/// The share of positives among the rows in scope; `None` where there is not one column of zeros and ones.
fn positives(problem: &Problem<'_>) -> Option<f64> {
    match problem.truth.on(&problem.scope.rows).values {
        LabelValues::Binary(columns) if columns.len() == 1 => {
            let count: u32 = columns[0].iter().map(|&y| u32::from(y)).sum();
            Some(f64::from(count) / columns[0].len() as f64)
        }
        _ => None,
    }
}

/// Every member's own public score.
fn scores(problem: &LbProblem<'_>, method: Method) -> Result<Vec<f64>, LbError> {
    let files = problem.lb.files();
    let of = |(model, values): &(blend_core::ModelId, Block)| {
        let own = files.iter().find(|file| file.holds(values));
        let missing = || LbError::NotScored { model: model.to_string(), method: method.name() };
        own.map(|file| file.score).ok_or_else(missing)
    };
    problem.members.iter().map(of).collect()
}

/// The members on the scale of averaging.
fn entered(problem: &LbProblem<'_>) -> Vec<Block> {
    let enter = |(_, values): &(blend_core::ModelId, Block)| {
        let mut values = values.clone();
        problem.space.get().enter(problem.encoding, Preparation::default(), &mut values);
        values
    };
    problem.members.iter().map(enter).collect()
}

/// What a blend's file would hold.
fn written(problem: &LbProblem<'_>, preparation: Preparation, weights: &[f64]) -> Block {
    let space = problem.space.get();
    let entered: Vec<Block> = problem
        .members
        .iter()
        .zip(weights)
        .map(|((_, values), weight)| {
            let mut values = values.clone();
            if *weight != 0.0 {
                space.enter(problem.encoding, preparation, &mut values);
            }
            values
        })
        .collect();
    let mut blend = mix(&entered, weights);
    space.leave(&mut blend);
    blend
}

struct BinormalObjective<'a> {
    binormal: &'a Binormal,
    n: usize,
}

impl Objective for BinormalObjective<'_> {
    fn n_weights(&self) -> usize {
        self.n
    }

    fn value(&self, weights: &[f64]) -> f64 {
        Direction::Higher.loss(Score(self.binormal.score(weights))).value()
    }

    fn is_convex(&self) -> bool {
        false
    }

    fn effort(&self) -> Effort {
        Effort::default()
    }
}

//! A prediction judged row by row, so that it can be scored, resampled and compared.

use blend_core::{
    Block, Oof, RowSet,
    judge::{Bound, Judge},
    num,
    pool::Pool,
    post::{self, PostStep},
    scope::BlockRows,
};
use rayon::prelude::*;

/// The step that a metric of labels fits to a blend of the rows of `set`, to which `bound` is bound.
pub(crate) fn fitted_step(bound: &dyn Bound, pool: &Pool<'_, Oof>, set: &RowSet) -> Option<PostStep> {
    bound.cuts().map(|cuts| PostStep::Thresholds(cuts.fit(&pool.whole(set))))
}

/// What a metric keeps of a prediction, in the numbering of the rows it is bound to.
#[derive(Debug, Clone)]
pub(crate) enum RowScores {
    /// Terms of an additive metric, shape `(n_terms, n_rows)`.
    Terms(Block),
    /// The prediction itself, for metrics that need all rows at once, shape `(n_outputs, n_rows)`.
    Predictions(Block),
}

impl RowScores {
    /// Judges a pool over `set`, to whose rows `bound` is bound.
    pub(crate) fn of(bound: &dyn Bound, pool: &Pool<'_, Oof>, set: &RowSet, row_local: bool) -> Self {
        match bound.judge() {
            Judge::Whole(_) => Self::Predictions(pool.whole(set)),
            Judge::Additive(additive) if row_local => {
                let parts: Vec<Block> = (0..set.n_blocks())
                    .into_par_iter()
                    .map_init(
                        || (Block::default(), Block::default(), Block::default()),
                        |(scratch, blend, some), block| {
                            let rows = set.block(block);
                            let mut terms = Block::new(additive.n_terms(), rows.len());
                            for (before, piece) in rows.pieces(BlockRows::in_cache(bound.n_outputs())) {
                                pool.block(block, piece, scratch, blend);
                                some.reshape(additive.n_terms(), piece.len());
                                additive.terms(set.offset(block) + before, blend, some);
                                terms.put(before, some);
                            }
                            terms
                        },
                    )
                    .collect();
                let mut all = Block::new(additive.n_terms(), set.len());
                parts.iter().enumerate().for_each(|(block, part)| all.put(set.offset(block), part));
                Self::Terms(all)
            }
            Judge::Additive(_) => Self::of_block(bound, pool.whole(set)),
        }
    }

    /// Judges a prediction of all rows that `bound` is bound to.
    pub(crate) fn of_block(bound: &dyn Bound, prediction: Block) -> Self {
        match bound.judge() {
            Judge::Whole(_) => Self::Predictions(prediction),
            Judge::Additive(additive) => {
                let mut terms = Block::new(additive.n_terms(), prediction.n_rows());
                additive.terms(0, &prediction, &mut terms);
                Self::Terms(terms)
            }
        }
    }

    /// Judges a pool after the step that was fitted to it, or to the rows that its weights were.
    pub(crate) fn after(
        bound: &dyn Bound,
        pool: &Pool<'_, Oof>,
        set: &RowSet,
        row_local: bool,
        step: Option<&PostStep>,
    ) -> Self {
        let Some(step) = step else { return Self::of(bound, pool, set, row_local) };
        let mut blend = pool.whole(set);
        post::apply(step, &mut blend, None);
        Self::of_block(bound, blend)
    }

    /// An empty one of the shape that `bound` wants, to be filled part by part.
    pub(crate) fn empty(bound: &dyn Bound) -> Self {
        match bound.judge() {
            Judge::Additive(additive) => Self::Terms(Block::new(additive.n_terms(), bound.n_rows())),
            Judge::Whole(_) => Self::Predictions(Block::new(bound.n_outputs(), bound.n_rows())),
        }
    }

    /// Copies `part` to the rows at `positions`.
    pub(crate) fn scatter(&mut self, positions: &[usize], part: &Self) {
        let ((Self::Terms(to), Self::Terms(from)) | (Self::Predictions(to), Self::Predictions(from))) = (self, part)
        else {
            return;
        };
        for column in 0..to.n_outputs() {
            positions.iter().zip(from.column(column)).for_each(|(&row, &value)| to.set(column, row, value));
        }
    }

    /// Judges `prediction`, whose rows are those at `positions`, one by one: for rows that the metric is not defined on
    /// by themselves.
    pub(crate) fn judge_each(&mut self, bound: &dyn Bound, positions: &[usize], prediction: &Block) {
        match (self, bound.judge()) {
            (Self::Terms(terms), Judge::Additive(additive)) => {
                let (mut row, mut out) = (Block::new(prediction.n_outputs(), 1), Block::new(additive.n_terms(), 1));
                for (i, &position) in positions.iter().enumerate() {
                    (0..prediction.n_outputs()).for_each(|output| row.set(output, 0, prediction.get(output, i)));
                    additive.terms(position, &row, &mut out);
                    (0..additive.n_terms()).for_each(|term| terms.set(term, position, out.get(term, 0)));
                }
            }
            (rows, _) => rows.scatter(positions, &Self::Predictions(prediction.clone())),
        }
    }

    /// The score over all rows.
    pub(crate) fn score(&self, bound: &dyn Bound) -> f64 {
        match (self, bound.judge()) {
            (Self::Terms(terms), Judge::Additive(additive)) => {
                let weights = additive.row_weights();
                let mass = weights.map_or(terms.n_rows() as f64, num::sum);
                let mean = |term: usize| {
                    let column = terms.column(term);
                    weights.map_or_else(|| num::sum(column), |w| num::dot(column, w)) / mass
                };
                additive.finish(&(0..terms.n_outputs()).map(mean).collect::<Vec<_>>())
            }
            (Self::Predictions(block), Judge::Whole(whole)) => whole.score(block, None),
            _ => f64::NAN,
        }
    }
}

//! Sums over the parts of the rows apart, for nested cross-validation: data are read and entered once for all parts.

use super::{CellObjective, Cells, Feed, Mixture, Sums, rare::Without};
use crate::objective::{Curve, Effort, Slope};

/// Which part every judged row belongs to, as runs of rows.
#[derive(Clone)]
pub(crate) struct Runs {
    /// Part and end of each run.
    ends: Vec<(usize, usize)>,
    /// Each part's share of the rows' weights.
    shares: Vec<f64>,
}

impl Runs {
    /// All rows in one part.
    pub(super) fn one(n_rows: usize) -> Self {
        Self { ends: vec![(0, n_rows)], shares: vec![1.0] }
    }

    /// The runs of rows whose parts are `parts`, in the rows' order; `weights` where rows have some.
    pub(crate) fn new(parts: &[usize], weights: Option<&[f64]>) -> Self {
        let mut ends: Vec<(usize, usize)> = Vec::new();
        let mut shares = vec![0.0; parts.iter().max().map_or(0, |last| last + 1)];
        for (row, &part) in parts.iter().enumerate() {
            match ends.last_mut() {
                Some((last, end)) if *last == part => *end = row + 1,
                _ => ends.push((part, row + 1)),
            }
            shares[part] += weights.map_or(1.0, |weights| weights[row]);
        }
        let total: f64 = shares.iter().sum();
        shares.iter_mut().for_each(|share| *share /= total);
        Self { ends, shares }
    }

    pub(super) fn n_parts(&self) -> usize {
        self.shares.len()
    }

    /// The part of a judged row and the end of its run.
    pub(super) fn at(&self, row: usize) -> (usize, usize) {
        self.ends[self.ends.partition_point(|(_, end)| *end <= row)]
    }
}

/// The losses over all rows but those of one part, for each part.
pub(crate) struct Apart<'a>(CellObjective<'a>);

impl<'a> Apart<'a> {
    /// `feed` and `cells` give rows in the order of `runs`; every part has rows of some weight, and so have the others.
    pub(crate) fn new(feed: Feed<'a>, cells: Box<dyn Cells + 'a>, runs: Runs) -> Option<Self> {
        let proper = runs.shares.len() > 1 && runs.shares.iter().all(|share| *share > 0.0 && *share < 1.0);
        proper.then(|| Self(CellObjective { runs, ..CellObjective::new(feed, cells) }))
    }

    pub(crate) fn n_parts(&self) -> usize {
        self.0.runs.n_parts()
    }

    /// The same of blends of some members alone.
    pub(crate) fn only(&self, members: &[usize]) -> Apart<'_> {
        Apart(self.0.of(members))
    }

    /// Whether the losses are convex.
    pub(crate) fn is_convex(&self) -> bool {
        self.0.cells.is_convex()
    }

    pub(crate) fn effort(&self) -> Effort {
        self.0.meter.effort()
    }

    fn mass_without(&self, part: usize) -> f64 {
        self.0.cells.mass() * (1.0 - self.0.runs.shares[part])
    }

    /// A stand-in for the loss without one part, whose optimum is close and whose Hessian is as good: see
    /// [`crate::objective::Objective::preview`].
    pub(crate) fn preview(&self, part: usize) -> Option<Without<'_>> {
        Some(self.0.rare()?.without(part))
    }

    /// For each part the curve of the loss without it, all at the same weights.
    pub(crate) fn curves(&self, weights: &[f64]) -> Vec<Curve> {
        self.0.pass(1);
        let zero = Sums::zero(weights.len(), true);
        let mixture = self.0.mixture(weights);
        let inside = self.0.reduce(
            zero.bytes() * self.n_parts(),
            || vec![zero.clone(); self.n_parts()],
            |sums, scratch, chunk| self.0.judge(&mixture, scratch, chunk, &mut sums[chunk.part]),
            |total, part| total.iter_mut().zip(&part).for_each(|(a, b)| a.add(b)),
        );
        (0..self.n_parts())
            .map(|part| {
                let mut sum = zero.clone();
                inside.iter().enumerate().filter(|(other, _)| *other != part).for_each(|(_, other)| sum.add(other));
                sum.over(self.mass_without(part))
            })
            .collect()
    }

    /// For each part the slope of the loss without it, at the part's own weights, where there are some.
    pub(crate) fn slopes(&self, at: &[Option<Vec<f64>>]) -> Vec<Option<Slope>> {
        let asked: Vec<(usize, Mixture)> = at
            .iter()
            .enumerate()
            .filter_map(|(part, weights)| Some((part, self.0.mixture(weights.as_deref()?))))
            .collect();
        self.0.pass(asked.len());
        let zero = Sums::zero(self.0.feed.n_members(), false);
        let sums = self.0.reduce(
            zero.bytes() * asked.len(),
            || vec![zero.clone(); asked.len()],
            |sums, scratch, chunk| {
                for ((part, mixture), sums) in asked.iter().zip(sums) {
                    if *part != chunk.part {
                        self.0.judge(mixture, scratch, chunk, sums);
                    }
                }
            },
            |total, part| total.iter_mut().zip(&part).for_each(|(a, b)| a.add(b)),
        );
        let mut slopes: Vec<Option<Slope>> = at.iter().map(|_| None).collect();
        for ((part, _), sums) in asked.iter().zip(sums) {
            let Curve { value, gradient, .. } = sums.over(self.mass_without(*part));
            slopes[*part] = Some(Slope { value, gradient });
        }
        slopes
    }
}

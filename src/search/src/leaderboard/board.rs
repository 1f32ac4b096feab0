//! A leaderboard in a canonical pair of metric and space: what its scores say of any prediction.

use super::{
    LbError, Method, Parts, Predicted,
    check::Check,
    identity::{self, Levers, Pair, Unit},
    moment_matched,
    regression::{Fit, Regression},
};
use crate::{
    constraints::Constraints,
    drive::{Tick, Watch},
    objective::{
        Objective,
        leaderboard::{LeaderboardObjective, held},
    },
    solver::{SolverName, Task, solve},
};
use blend_core::{Block, Domain, PublicLb, PublicPart, judge::Bound, metric::MetricSpec, num, space::SpaceName};
use rayon::prelude::*;
use std::sync::atomic::AtomicBool;

/// What scored files say of the public score of any prediction of the same rows.
pub struct Board {
    pair: Pair,
    /// Test rows that can be public, as positions.
    rows: Vec<usize>,
    n_public: usize,
    known: bool,
    /// Made-up labels: the best blend of the scored files, as the scores see it.
    labels: Block,
    bound: Box<dyn Bound>,
    levers: Levers,
    /// Each file's lever.
    x: Vec<Block>,
    /// Each file's loss per row under the made-up labels.
    losses: Vec<Vec<f64>>,
    /// What each score says beyond the made-up labels, in the additive unit.
    rho: Vec<f64>,
    half_units: Vec<f64>,
    regression: Regression,
    inflation: f64,
    /// The best blend's predicted loss, in the additive unit.
    level: f64,
    /// The variance of what keeps a score from following, beside its rounding: of moments that are not quite normal.
    noise: f64,
}

static NEVER: AtomicBool = AtomicBool::new(false);

fn unwatched() -> Watch<'static> {
    fn ignore(_: &Tick) {}
    Watch { interrupted: &NEVER, deadline: None, tick: &ignore }
}

/// Residual variances below this share of a prediction's own are taken from the residual itself.
const CANCELED: f64 = 1e-6;

/// So many standard errors of what a regression leaves open count as its bound, where stored digits are all it leaves.
const SURE: f64 = 5.0;

/// Regression errors whose bound is below this share of the rounding's are nobody's concern.
const NEGLIGIBLE: f64 = 0.05;

impl Board {
    /// The board of a metric that has a canonical space. Errors where it has none, and on scores that cannot be.
    pub fn new(lb: &PublicLb, spec: &MetricSpec) -> Result<Self, LbError> {
        match Pair::of(spec) {
            Some(pair) => Self::of_pair(lb, pair),
            None => Err(LbError::NoMethod {
                metric: spec.name.clone(),
                why: "without out-of-fold predictions of the scored models",
            }),
        }
    }

    /// The board of mean absolute errors, taken for those of normal residuals.
    pub fn moment_matched(lb: &PublicLb) -> Result<Self, LbError> {
        match Pair::of_absolute_errors() {
            Some(pair) => Self::of_pair(lb, pair),
            None => Err(LbError::NoMethod { metric: "mae".to_owned(), why: "here" }),
        }
    }

    pub(super) fn of_pair(lb: &PublicLb, pair: Pair) -> Result<Self, LbError> {
        let (rows, known): (Vec<usize>, bool) = match lb.part() {
            PublicPart::Known(set) => (set.iter().collect(), true),
            PublicPart::Unknown { .. } => ((0..lb.n_rows()).collect(), false),
        };
        let n_public = lb.part().n_public();
        let natural: Vec<Block> = lb.files().par_iter().map(|file| pair.judged(file.values.select(&rows))).collect();
        let none = || LbError::NoMethod { metric: pair.metric.label(), why: "of predictions of this shape" };
        // What a metric asks of members is the same whatever its labels are.
        let preparation = pair.bind(&natural[0]).ok_or_else(none)?.preparation();
        let entered: Vec<Block> = natural.par_iter().map(|values| pair.enter(values, preparation)).collect();
        Check { pair: &pair, files: lb.files(), natural: &natural, entered: &entered, n_public }.run()?;

        let additive: Vec<f64> = lb.files().iter().map(|file| pair.unit.additive(file.score)).collect();
        let half_units: Vec<f64> =
            lb.files().iter().map(|file| pair.unit.half_unit(file.score, file.half_unit)).collect();
        let n = entered.len();
        let made_up = |weights: &[f64]| {
            let mut labels = identity::mix(&entered, weights);
            pair.inner().get().leave(&mut labels);
            labels
        };
        let rho_of = |bound: &dyn Bound| -> Vec<f64> {
            natural.iter().zip(&additive).map(|(values, s)| s - identity::loss(bound, values)).collect()
        };
        // The best blend of the files, as their scores see it, is the best guess of what the labels are like.
        let first = made_up(&vec![1.0 / n as f64; n]);
        let bound = pair.bind(&first).ok_or_else(none)?;
        let rho = rho_of(&*bound);
        let constraints = Constraints::of(Domain::Simplex, n);
        let objective = LeaderboardObjective::new(held(entered.clone(), &*bound, pair.inner(), true), rho, 1.0, false);
        let task = Task {
            objective: &objective,
            constraints: &constraints,
            start: None,
            seed: 0,
            tolerance: 1e-9,
            max_picks: 1,
            watch: unwatched(),
        };
        let best = solve(SolverName::suited_to(&objective), &task);
        let reach: f64 = best.weights.iter().zip(&half_units).map(|(w, half)| w * half).sum();
        // An unknown part of the rows leaves some room; known rows leave that of rounding.
        let room = if known { reach } else { reach + 0.1 * additive.iter().sum::<f64>() / n as f64 };
        if best.loss < -room * (1.0 + 1e-9) {
            return Err(LbError::BelowZero(best.loss));
        }
        drop(objective);

        let labels = made_up(&best.weights);
        let bound = pair.bind(&labels).ok_or_else(none)?;
        let rho = rho_of(&*bound);
        let spread = best.loss.max(1e-12 * additive.iter().sum::<f64>() / n as f64).max(f64::MIN_POSITIVE);
        let levers = Levers::new(pair.family, &labels, spread);
        let x: Vec<Block> = entered.par_iter().map(|entered| levers.of(entered)).collect();
        let losses = natural.par_iter().map(|values| identity::row_losses(&*bound, values)).collect();
        let scale = Self::scale(&pair, n_public, rows.len(), labels.n_outputs());
        let gram: Vec<Vec<f64>> = x
            .par_iter()
            .map(|a| {
                let weighted = levers.weighted(a);
                x.iter().map(|b| scale * num::dot(&weighted, b.values())).collect()
            })
            .collect();
        let mut gram = gram.concat();
        for i in 0..n {
            for j in 0..i {
                gram[j * n + i] = gram[i * n + j]; // the same to the last bit on both sides
            }
        }
        let noise = match pair.unit {
            Unit::MeanAbsolute => moment_matched::noise(&gram, &half_units, &rho, spread),
            Unit::Same | Unit::Root => 0.0,
        };
        let regression = Regression::new(gram, &half_units, noise, pair.sums_to_one);
        let inflation = regression.inflation(&rho);
        Ok(Self {
            pair,
            rows,
            n_public,
            known,
            labels,
            bound,
            levers,
            x,
            losses,
            rho,
            half_units,
            regression,
            inflation,
            level: best.loss,
            noise,
        })
    }

    /// What sums over the looked-at rows are multiplied by to give the covariance of public means.
    pub(super) fn scale(pair: &Pair, n_public: usize, n_rows: usize, n_outputs: usize) -> f64 {
        let per_row = if pair.family == identity::Family::Classes { 1.0 } else { n_outputs as f64 };
        1.0 / (n_public as f64 * n_rows as f64 * per_row * per_row)
    }

    /// The space in which the identity holds.
    #[must_use]
    pub fn space(&self) -> SpaceName {
        self.pair.space
    }

    /// Whether weights must sum to one there.
    #[must_use]
    pub fn sums_to_one(&self) -> bool {
        self.pair.sums_to_one
    }

    /// What the metric asks of members before they are averaged.
    pub(crate) fn preparation(&self) -> blend_core::judge::Preparation {
        self.bound.preparation()
    }

    /// Rows behind a public score.
    #[must_use]
    pub fn n_public(&self) -> usize {
        self.n_public
    }

    /// Values of all test rows as they are judged on the looked-at ones.
    fn judged(&self, values: &Block) -> Block {
        self.pair.judged(values.select(&self.rows))
    }

    /// The fit of a prediction whose judged values are `natural`.
    fn fit(&self, natural: &Block) -> Fit {
        let entered = self.pair.enter(natural, self.bound.preparation());
        let lever = self.levers.of(&entered);
        // A file that was scored has its score, whatever the moments of its errors are.
        if self.noise > 0.0
            && let Some(own) = self.x.iter().position(|x| *x == lever)
        {
            return self.regression.alone(own);
        }
        let weighted = self.levers.weighted(&lever);
        let scale = Self::scale(&self.pair, self.n_public, self.rows.len(), self.labels.n_outputs());
        let cross: Vec<f64> = self.x.par_iter().map(|x| scale * num::dot(&weighted, x.values())).collect();
        let own = scale * num::dot(&weighted, lever.values());
        let mut fit = self.regression.fit(&cross, own);
        // Where hardly anything is left, the difference of large sums cannot tell how much: what is left itself can.
        if fit.residual <= CANCELED * fit.size {
            let mut left = lever;
            self.x.iter().zip(&fit.coefficients).for_each(|(x, c)| left.add_scaled(-c, x));
            fit.residual = scale * num::dot(&self.levers.weighted(&left), left.values());
        }
        // Its own noise, and that of the scores that it is predicted from.
        let squares: f64 = fit.coefficients.iter().map(|c| c * c).sum();
        fit.residual = fit.residual * self.inflation * self.inflation + self.noise * (1.0 + squares);
        fit
    }

    /// The public score of a prediction of all test rows, shape `(n_outputs, n_test_rows)`, on the target's scale and as
    /// it would be submitted.
    #[must_use]
    pub fn predict(&self, values: &Block) -> Predicted {
        let natural = self.judged(values);
        let fit = self.fit(&natural);
        let loss = identity::loss(&*self.bound, &natural) + num::dot(&fit.coefficients, &self.rho);
        let public_rows = if self.known {
            0.0
        } else {
            // A blend's own curve over the rows, less that of its parts: what the unknown choice of rows can move.
            let mut rest = identity::row_losses(&*self.bound, &natural);
            for (losses, c) in self.losses.iter().zip(&fit.coefficients) {
                rest.iter_mut().zip(losses).for_each(|(rest, loss)| *rest -= c * loss);
            }
            let drawn = self.n_public as f64 / self.rows.len() as f64;
            (identity::variance(&rest) / self.n_public as f64 * (1.0 - drawn)).sqrt()
        };
        let slope = self.pair.unit.slope(loss);
        let bound: f64 = fit.coefficients.iter().zip(&self.half_units).map(|(c, half)| c.abs() * half).sum();
        let bound = bound.max(1e-9 * loss.abs());
        let (rounding, regression) = (fit.rounding.sqrt(), fit.residual.sqrt());
        // Digits that a file or a store has cut off leave something open too: with them the bound is still one.
        let open = SURE * regression;
        let follows = open <= bound;
        let regression = if open <= NEGLIGIBLE * bound { 0.0 } else { regression };
        let bound = if follows { bound + open } else { bound };
        let parts = Parts {
            rounding: slope * rounding,
            rounding_bound: slope * bound,
            public_rows: slope * public_rows,
            regression: slope * regression,
            ..Parts::default()
        };
        let method = match (self.pair.unit, follows, self.known) {
            (Unit::MeanAbsolute, ..) => Method::MomentMatched,
            (_, false, _) => Method::Regression,
            (_, true, true) => Method::Exact,
            (_, true, false) => Method::Identity,
        };
        let standard_error = parts.rounding.hypot(parts.public_rows).hypot(parts.regression);
        Predicted { score: self.pair.unit.score(loss), standard_error, method, parts }
    }

    /// What the scored files leave open of predictions' public scores: their covariance in the additive unit, `n x n`,
    /// and the metric's change per that unit.
    pub(super) fn covariance(&self, candidates: &[&Block]) -> (Vec<f64>, f64) {
        let levers: Vec<Block> = candidates
            .par_iter()
            .map(|values| self.levers.of(&self.pair.enter(&self.judged(values), self.bound.preparation())))
            .collect();
        let scale = Self::scale(&self.pair, self.n_public, self.rows.len(), self.labels.n_outputs());
        // Each prediction's lever without what the files say of it.
        let open: Vec<Block> = levers
            .into_par_iter()
            .map(|mut lever| {
                let weighted = self.levers.weighted(&lever);
                let cross: Vec<f64> = self.x.iter().map(|x| scale * num::dot(&weighted, x.values())).collect();
                let own = scale * num::dot(&weighted, lever.values());
                let fit = self.regression.fit(&cross, own);
                if fit.residual == 0.0 {
                    lever.fill(0.0);
                }
                for (x, c) in self.x.iter().zip(&fit.coefficients).filter(|_| fit.residual > 0.0) {
                    lever.add_scaled(-c, x);
                }
                lever
            })
            .collect();
        let square = self.inflation * self.inflation * scale;
        let rows: Vec<Vec<f64>> = open
            .par_iter()
            .map(|a| {
                let weighted = self.levers.weighted(a);
                open.iter().map(|b| square * num::dot(&weighted, b.values())).collect()
            })
            .collect();
        (rows.concat(), self.pair.unit.slope(self.level))
    }

    /// The standard error of the difference between two predictions' public scores, were one to draw public rows and
    /// labels anew: what a gain has to exceed to be more than noise (Blum and Hardt, ICML 2015).
    #[must_use]
    pub fn paired_standard_error(&self, a: &Block, b: &Block) -> f64 {
        let (a, b) = (self.judged(a), self.judged(b));
        let [x, y] = [&a, &b].map(|it| self.levers.of(&self.pair.enter(it, self.bound.preparation())));
        let mut difference = x;
        difference.values_mut().iter_mut().zip(y.values()).for_each(|(x, y)| *x -= y);
        let scale = Self::scale(&self.pair, self.n_public, self.rows.len(), self.labels.n_outputs());
        let labels = scale * num::dot(&self.levers.weighted(&difference), difference.values());
        let mut rows = identity::row_losses(&*self.bound, &a);
        rows.iter_mut().zip(identity::row_losses(&*self.bound, &b)).for_each(|(a, b)| *a -= b);
        let loss = identity::loss(&*self.bound, &a);
        self.pair.unit.slope(loss) * (labels + identity::variance(&rows) / self.n_public as f64).sqrt()
    }

    /// The public score of blends of `members` (values of all test rows, as they would be submitted) as a function of
    /// the weights; `labels` has to outlive it and comes from [`Self::tilted`].
    pub(crate) fn objective<'a>(
        &'a self,
        members: &[Block],
        space: SpaceName,
        sums_to_one: bool,
        labels: &'a dyn Bound,
    ) -> Box<dyn Objective + 'a> {
        let preparation = self.bound.preparation();
        let rooted = self.pair.unit != Unit::Same;
        let scale = if self.pair.unit == Unit::MeanAbsolute { std::f64::consts::FRAC_2_PI } else { 1.0 };
        if space == self.pair.space && (sums_to_one || !self.pair.sums_to_one) {
            let natural: Vec<Block> = members.par_iter().map(|values| self.judged(values)).collect();
            let shift: Vec<f64> =
                natural.iter().map(|values| num::dot(&self.fit(values).coefficients, &self.rho)).collect();
            let entered = natural.into_par_iter().map(|values| self.pair.enter(&values, preparation)).collect();
            let inner = held(entered, &*self.bound, self.pair.inner(), sums_to_one);
            return Box::new(LeaderboardObjective::new(inner, shift, scale, rooted));
        }
        let entered: Vec<Block> = members
            .par_iter()
            .map(|values| {
                let mut values = values.select(&self.rows);
                space.get().enter(self.pair.encoding(), preparation, &mut values);
                values
            })
            .collect();
        let shift = vec![0.0; entered.len()];
        Box::new(LeaderboardObjective::new(held(entered, labels, space, sums_to_one), shift, scale, false))
    }

    /// The metric bound to the made-up labels after they were moved, along the files' levers, to where they give the
    /// files their scores: means over them, never single ones, are what a search may trust.
    pub(crate) fn tilted(&self) -> Option<Box<dyn Bound>> {
        let pull = self.regression.solved(&self.regression.centered(&self.rho));
        let per_row = if self.pair.family == identity::Family::Classes { 1.0 } else { self.labels.n_outputs() as f64 };
        let scale = -1.0 / (self.n_public as f64 * per_row);
        let lever = identity::mix(&self.x, &pull);
        let mut labels = self.labels.clone();
        let moves = self.levers.weighted(&lever);
        labels.values_mut().iter_mut().zip(&moves).for_each(|(y, m)| *y += scale * m);
        self.pair.bind(&labels)
    }
}

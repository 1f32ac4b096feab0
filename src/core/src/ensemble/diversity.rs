//! What averaging gains: the members' mean loss less their diversity is the blend's loss.
//!
//! For a loss and the space in which its label enters linearly (log loss and log odds, multi-class log loss and log
//! probabilities, squared error and values) the identity is exact with weights that sum to one:
//! `L(sum_k w_k z_k) = sum_k w_k (L(z_k) - d_k)`, where `d_k >= 0` is the mean Bregman divergence of member k from the
//! blend: `A(z_k) - A(z) - A'(z) (z_k - z)` with `A` softplus, log-sum-exp or the square. Krogh and Vedelsby 1995 for
//! squared errors (their ambiguity), Wood et al., JMLR 2023 for Bregman losses. So `w_k (L_k - d_k)` is what a member
//! has of the blend's loss, and these shares sum to it.

use super::{over_chunks, weighted};
use crate::{
    block::Block,
    judge::{Bound, Judge, score},
    metric::{self, Metric, MetricSpec},
    num,
    pool::Pool,
    prediction::{PredictionMatrix, Predictions, Split},
    scope::RowSet,
    score::Score,
    space::SpaceName,
    truth::Labels,
};

/// A blend's score taken apart.
#[derive(Debug, Clone, PartialEq)]
pub struct Diversity {
    /// The metric that is taken apart: the competition's, or `mse` where that is a function of squared errors.
    pub metric: String,
    /// The space in which members are averaged.
    pub space: SpaceName,
    /// The weighted mean of the members' scores, in the metric's unit.
    pub mean_member: f64,
    /// The score of the blend.
    pub blend: f64,
    /// How much better the blend is than the mean member: the diversity where the identity is exact.
    pub gain: f64,
    /// One per member.
    pub members: Vec<MemberShare>,
}

/// One member's part.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MemberShare {
    /// Its score alone, as it enters the space.
    pub score: f64,
    /// Its divergence from the blend, in the metric's unit, at least 0; only where the identity is exact.
    pub diversity: Option<f64>,
    /// Its share of the blend's score, `w (score - diversity)`; these sum to the blend's score.
    pub share: Option<f64>,
}

/// The potential whose divergence is the diversity.
#[derive(Clone, Copy)]
enum Potential {
    Softplus,
    LogSumExp,
    Square,
}

/// How far the identity may be missed and still be called exact, relative to the scores.
const EXACT: f64 = 1e-9;

/// Takes the score of the blend with `weights` (which sum to one) apart: in the metric's canonical space where it has
/// one and the members can enter it, else in `space`. `labels` are those of `rows`. `None` where the labels do not suit.
#[must_use]
pub fn diversity<S: Split>(
    matrix: &PredictionMatrix<S>,
    rows: &RowSet,
    metric: &dyn Metric,
    labels: &Labels,
    weights: &[f64],
    space: SpaceName,
) -> Option<Diversity> {
    let canonical = match metric.info().name {
        "log_loss" => Some((Potential::Softplus, SpaceName::Logit, None)),
        "multiclass_log_loss" | "kl_divergence" => Some((Potential::LogSumExp, SpaceName::Log, None)),
        "mse" | "rmse" | "mcrmse" | "r2" => Some((Potential::Square, SpaceName::Linear, Some("mse"))),
        _ => None,
    };
    let enters = |space: SpaceName| {
        matrix.members().iter().all(|member| space.get().info().accepts.contains(&member.encoding().kind))
    };
    let canonical = canonical.filter(|(_, space, _)| enters(*space));
    let (space, other) = canonical.map_or((space, None), |(_, space, other)| (space, other));
    let squared = other.and_then(|name| metric::build(&MetricSpec { name: name.into(), ..MetricSpec::default() }).ok());
    let metric = squared.as_deref().unwrap_or(metric);
    let bound = metric.bind(labels.clone()).ok()?;
    if bound.n_outputs() != matrix.columns().len() || !enters(space) {
        return None;
    }
    let members: Vec<_> = matrix.members().iter().collect();
    let alone = |member| score_of(&[(member, 1.0)], rows, &*bound, space);
    let scores: Vec<f64> = members.iter().map(|member| alone(*member)).collect();
    let all: Vec<_> = members.iter().copied().zip(weights.iter().copied()).collect();
    let blend = score_of(&all, rows, &*bound, space);
    let mean_member = num::dot(&scores, weights);
    let own = canonical.map(|(potential, ..)| divergences(matrix, rows, &*bound, weights, space, potential));
    let exact = own.filter(|own| {
        let missed = mean_member - num::dot(own, weights) - blend;
        missed.abs() <= EXACT * mean_member.abs().max(blend.abs()).max(1e-3)
    });
    let members = scores
        .iter()
        .enumerate()
        .map(|(k, &score)| {
            let diversity = exact.as_ref().map(|own| own[k].max(0.0));
            MemberShare { score, diversity, share: diversity.map(|diversity| weights[k] * (score - diversity)) }
        })
        .collect();
    let gain = bound.direction().gain(Score(blend), Score(mean_member));
    Some(Diversity { metric: metric.label(), space, mean_member, blend, gain, members })
}

fn score_of<S: Split>(members: &[(&Predictions<S>, f64)], rows: &RowSet, bound: &dyn Bound, space: SpaceName) -> f64 {
    score(bound, &Pool::new(members, space, bound.preparation()).whole(rows))
}

/// Each member's mean divergence from the blend.
fn divergences<S: Split>(
    matrix: &PredictionMatrix<S>,
    rows: &RowSet,
    bound: &dyn Bound,
    weights: &[f64],
    space: SpaceName,
    potential: Potential,
) -> Vec<f64> {
    let row_weights = match bound.judge() {
        Judge::Additive(additive) => additive.row_weights(),
        Judge::Whole(_) => None,
    };
    let of_weights = |start: usize, n: usize| row_weights.map(|weights| &weights[start..start + n]);
    let chunks = over_chunks(matrix, rows, space, bound.preparation(), |start, members| {
        let blend = weighted(members, weights);
        let weights = of_weights(start, blend.n_rows());
        let of_blend = Tangent::new(potential, &blend);
        members.iter().map(|member| total(&of_blend.divergence(member), weights)).collect::<Vec<f64>>()
    });
    let mut sums = vec![0.0; matrix.members().len()];
    for chunk in &chunks {
        sums.iter_mut().zip(chunk).for_each(|(sum, part)| *sum += part);
    }
    let mass = row_weights.map_or(rows.len() as f64, num::sum);
    // A multi-class loss is a mean over rows, the others are means over cells.
    let cells = if matches!(potential, Potential::LogSumExp) { 1.0 } else { matrix.columns().len() as f64 };
    sums.iter().map(|sum| sum / (mass * cells)).collect()
}

/// The sum of all values, rows weighted.
fn total(values: &Block, weights: Option<&[f64]>) -> f64 {
    match weights {
        None => num::sum(values.values()),
        Some(weights) => (0..values.n_outputs()).map(|output| num::dot(values.column(output), weights)).sum(),
    }
}

/// The potential and its slope at the blend.
struct Tangent<'a> {
    potential: Potential,
    at: &'a Block,
    value: Block,
    slope: Block,
}

impl<'a> Tangent<'a> {
    fn new(potential: Potential, at: &'a Block) -> Self {
        let mut slope = at.clone();
        match potential {
            Potential::Softplus => num::sigmoid_all(slope.values_mut()),
            Potential::LogSumExp => crate::space::softmax(&mut slope),
            Potential::Square => slope.values_mut().iter_mut().for_each(|x| *x *= 2.0),
        }
        Self { potential, at, value: value(potential, at), slope }
    }

    /// The divergence of `z`, cell by cell; row by row, as one output, where the potential is one of rows.
    fn divergence(&self, z: &Block) -> Block {
        if matches!(self.potential, Potential::Square) {
            let mut squares = z.clone();
            squares.values_mut().iter_mut().zip(self.at.values()).for_each(|(x, u)| *x = (*x - u) * (*x - u));
            return squares;
        }
        let mut divergence = value(self.potential, z);
        divergence.values_mut().iter_mut().zip(self.value.values()).for_each(|(a, b)| *a -= b);
        for output in 0..z.n_outputs() {
            let to = if divergence.n_outputs() == 1 { 0 } else { output };
            let cells = z.column(output).iter().zip(self.at.column(output)).zip(self.slope.column(output));
            let out = divergence.column_mut(to).iter_mut();
            out.zip(cells).for_each(|(d, ((z, u), slope))| *d -= slope * (z - u));
        }
        divergence
    }
}

/// The potential, cell by cell or row by row.
fn value(potential: Potential, z: &Block) -> Block {
    match potential {
        Potential::Square => {
            let mut out = z.clone();
            out.values_mut().iter_mut().for_each(|x| *x *= *x);
            out
        }
        Potential::Softplus => {
            let mut out = z.clone();
            out.values_mut().iter_mut().for_each(|x| *x = -x.abs());
            num::exp_all(out.values_mut());
            out.values_mut().iter_mut().for_each(|x| *x += 1.0);
            num::ln_all(out.values_mut());
            out.values_mut().iter_mut().zip(z.values()).for_each(|(x, z)| *x += z.max(0.0));
            out
        }
        Potential::LogSumExp => {
            let mut high = vec![f64::NEG_INFINITY; z.n_rows()];
            for output in 0..z.n_outputs() {
                high.iter_mut().zip(z.column(output)).for_each(|(high, &x)| *high = high.max(x));
            }
            let mut out = Block::new(1, z.n_rows());
            let mut terms = vec![0.0; z.n_rows()];
            for output in 0..z.n_outputs() {
                terms.iter_mut().zip(z.column(output)).zip(&high).for_each(|((term, x), high)| *term = x - high);
                num::exp_all(&mut terms);
                out.column_mut(0).iter_mut().zip(&terms).for_each(|(sum, term)| *sum += term);
            }
            num::ln_all(out.values_mut());
            out.values_mut().iter_mut().zip(&high).for_each(|(x, high)| *x += high);
            out
        }
    }
}

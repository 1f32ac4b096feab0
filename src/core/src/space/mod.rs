//! Spaces: the scale on which members are averaged, `blend = leave(sum_k w_k enter(x_k))`.
//!
//! To add one: a file with its `enter` and `leave`, and two lines below (`mod` and the catalogue). The laws in
//! `laws.rs` then test it.

mod linear;
mod log;
mod log1p;
mod log_value;
mod logit;
mod normal_score;
mod rank;
mod unit_vector;
mod vector;

#[cfg(test)]
mod laws;

use crate::{
    block::Block,
    judge::Preparation,
    num,
    output::{Encoding, Frame, OutputKind, Transform},
};
use multiversion::multiversion;
use std::str::FromStr;

/// The name of a space.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SpaceName {
    /// As it is: the arithmetic mean.
    Linear,
    /// ln(p / (1 - p)): the logarithmic pool of binary targets.
    Logit,
    /// ln p over the classes of a row: the geometric mean, renormalised.
    Log,
    /// The average rank within its column.
    Rank,
    /// A direction whose length is confidence.
    Vector,
    /// A direction of length one.
    UnitVector,
    /// The normal quantile of the average rank within its column.
    NormalScore,
    /// ln(1 + x).
    Log1p,
    /// ln x.
    LogValue,
}

/// A space: how values enter it and how a blend leaves it.
pub trait Space: Send + Sync {
    /// What the catalogue says of it.
    fn info(&self) -> &'static Info;
    /// Stored values of one member to the scale of averaging.
    fn enter(&self, encoding: Encoding, preparation: Preparation, values: &mut Block);
    /// A weighted sum back to the target's scale.
    fn leave(&self, values: &mut Block);
}

/// A space's entry in the catalogue.
#[derive(Debug)]
pub struct Info {
    /// Name in YAML and on the command line.
    pub name: &'static str,
    /// `enter` and `leave` as formulas.
    pub formula: &'static str,
    /// What it is for.
    pub usage: &'static str,
    /// Which outputs can enter.
    pub accepts: &'static [OutputKind],
    /// Whether a row enters without looking at other rows. Where not, a block must hold all rows.
    pub row_local: bool,
    /// Whether `leave` gives back what entered; spaces that rank or normalise are only idempotent.
    pub returns_members: bool,
}

pub(crate) use OutputKind::{ClassLogits, ClassProbabilities, Logit, Probability, Rank, Value, Vector};
const NUMBERS: &[OutputKind] = &[Probability, Logit, ClassProbabilities, ClassLogits, Value, Rank];

/// All spaces.
pub const CATALOGUE: [(SpaceName, &dyn Space); 9] = [
    (SpaceName::Linear, &linear::Linear),
    (SpaceName::Logit, &logit::LogitSpace),
    (SpaceName::Log, &log::Log),
    (SpaceName::Rank, &rank::RankSpace),
    (SpaceName::Vector, &vector::VectorSpace),
    (SpaceName::UnitVector, &unit_vector::UnitVector),
    (SpaceName::NormalScore, &normal_score::NormalScore),
    (SpaceName::Log1p, &log1p::Log1p),
    (SpaceName::LogValue, &log_value::LogValue),
];

impl SpaceName {
    /// The space.
    #[must_use]
    pub fn get(self) -> &'static dyn Space {
        CATALOGUE[self as usize].1
    }

    /// Name in YAML and on the command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.get().info().name
    }

    /// Whether a weighted sum leaves it unchanged.
    #[must_use]
    pub fn leaves_as_is(self) -> bool {
        matches!(self, Self::Linear | Self::Rank | Self::NormalScore)
    }
}

impl FromStr for SpaceName {
    type Err = ();
    fn from_str(name: &str) -> Result<Self, ()> {
        CATALOGUE.iter().find(|(_, space)| space.info().name == name).map(|(name, _)| *name).ok_or(())
    }
}

/// Stored values to the target's own scale: sigmoid or softmax of logits, `transform` undone, vectors in x, y, z.
pub fn decode(encoding: Encoding, values: &mut Block) {
    match encoding.kind {
        OutputKind::Logit => num::sigmoid_all(values.values_mut()),
        OutputKind::ClassLogits => softmax(values),
        OutputKind::Vector if encoding.frame == Frame::Yxz => {
            for row in 0..values.n_rows() {
                let (y, x) = (values.get(0, row), values.get(1, row));
                values.set(0, row, x);
                values.set(1, row, y);
            }
        }
        _ => match encoding.transform {
            Some(Transform::Exp) => num::exp_all(values.values_mut()),
            Some(Transform::Expm1) => values.values_mut().iter_mut().for_each(|x| *x = libm::expm1(*x)),
            None => {}
        },
    }
}

/// Softmax of each row.
pub(crate) fn softmax(values: &mut Block) {
    let (n_outputs, n_rows) = (values.n_outputs(), values.n_rows());
    let mut highest = vec![f64::NEG_INFINITY; n_rows];
    for output in 0..n_outputs {
        highest.iter_mut().zip(values.column(output)).for_each(|(high, &x)| *high = high.max(x));
    }
    let mut total = vec![0.0; n_rows];
    for output in 0..n_outputs {
        let column = values.column_mut(output);
        column.iter_mut().zip(&highest).for_each(|(x, high)| *x -= high);
        num::exp_all(column);
        total.iter_mut().zip(column.iter()).for_each(|(sum, x)| *sum += x);
    }
    for output in 0..n_outputs {
        values.column_mut(output).iter_mut().zip(&total).for_each(|(x, sum)| *x /= sum);
    }
}

/// Each row divided by its sum; a row that sums to nothing is left as it is.
pub(crate) fn normalize_rows(values: &mut Block) {
    let n_outputs = values.n_outputs();
    let mut total = vec![0.0; values.n_rows()];
    for output in 0..n_outputs {
        total.iter_mut().zip(values.column(output)).for_each(|(sum, x)| *sum += x);
    }
    total.iter_mut().filter(|sum| **sum <= 0.0).for_each(|sum| *sum = 1.0);
    for output in 0..n_outputs {
        values.column_mut(output).iter_mut().zip(&total).for_each(|(x, sum)| *x /= sum);
    }
}

/// Each row scaled to length one; a row of length zero points along z, as good a guess as any other.
#[allow(clippy::needless_range_loop)] // three columns side by side
#[multiversion(targets("x86_64+avx512f+avx512dq+avx512vl+avx512bw", "x86_64+avx2"))]
pub(crate) fn normalize_vectors(values: &mut Block) {
    let n_rows = values.n_rows();
    let (x, rest) = values.values_mut().split_at_mut(n_rows);
    let (y, z) = rest.split_at_mut(n_rows);
    for ((x, y), z) in x.chunks_mut(64).zip(y.chunks_mut(64)).zip(z.chunks_mut(64)) {
        let n = x.len().min(y.len()).min(z.len());
        let mut tame_already = true;
        for row in 0..n {
            let largest = x[row].abs().max(y[row].abs()).max(z[row].abs());
            tame_already &= (1e-100..1e100).contains(&largest);
        }
        if !tame_already {
            for row in 0..n {
                [x[row], y[row], z[row]] = tame([x[row], y[row], z[row]]);
            }
        }
        let mut length = [1.0; 64];
        for row in 0..n {
            length[row] = (x[row] * x[row] + y[row] * y[row] + z[row] * z[row]).sqrt();
        }
        for row in 0..n {
            x[row] /= length[row];
            y[row] /= length[row];
            z[row] /= length[row];
        }
    }
}

/// The vector itself, or a parallel one where squares would overflow or vanish; z where the length is zero.
pub(crate) fn tame(v: [f64; 3]) -> [f64; 3] {
    let largest = v[0].abs().max(v[1].abs()).max(v[2].abs());
    if (1e-100..1e100).contains(&largest) {
        v
    } else if v == [0.0; 3] {
        [0.0, 0.0, 1.0]
    } else {
        v.map(|x| x / largest)
    }
}

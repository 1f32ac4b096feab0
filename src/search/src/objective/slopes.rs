//! The gradient of a loss taken apart: what each unit of rows contributes to it.

use blend_core::{
    Block, Oof, Predictions, RowSet,
    judge::{Bound, Combine, Judge, Smooth},
    num, pool,
    space::SpaceName,
};
use rayon::prelude::*;
use std::ops::Range;

/// Contributions to a gradient by unit: their sum over the units, divided by the sum of the masses, is the gradient.
pub(crate) struct UnitSlopes {
    /// Shape `(n_units, n_members)`.
    pub(crate) gradient: Vec<f64>,
    /// One per unit.
    pub(crate) mass: Vec<f64>,
}

/// Bytes that derivatives of a span of rows may take.
const SPAN_BYTES: usize = 8 << 20;

/// The contributions of units at `weights`; `unit` has the unit of each row of `set`. `None` where the loss has no
/// derivatives in `space`.
pub(crate) fn unit_slopes(
    members: &[&Predictions<Oof>],
    set: &RowSet,
    bound: &dyn Bound,
    space: SpaceName,
    weights: &[f64],
    unit: &[u32],
    n_units: usize,
) -> Option<UnitSlopes> {
    let smooth = bound.smooth(space)?;
    if matches!(smooth, Smooth::Absolute(_)) {
        return None; // a gradient that jumps says little of the next optimum
    }
    let reader = Reader { members, set, space, bound, whole: whole(members, set, space, bound) };
    let n_outputs = members[0].columns().len();
    let per_span = (SPAN_BYTES / (8 * n_outputs * blend_core::BLOCK_ROWS)).clamp(1, 256);
    let spans: Vec<Range<usize>> =
        (0..set.n_blocks()).step_by(per_span).map(|from| from..(from + per_span).min(set.n_blocks())).collect();
    let columns = column_terms(&smooth, &reader, weights);
    let mut by_member = vec![Sums { units: vec![0.0; n_units], columns: vec![0.0; n_outputs] }; members.len()];
    for span in spans {
        let d: Vec<Block> = span
            .clone()
            .into_par_iter()
            .map(|block| {
                let mut u = Block::default();
                reader.mix(weights, block, &mut u);
                derivative(&smooth, set.offset(block), &u, &columns)
            })
            .collect();
        // Members side by side: each adds up its own rows in their order.
        by_member.par_iter_mut().enumerate().for_each(|(member, sums)| {
            let mut x = Block::default();
            for (d, block) in d.iter().zip(span.clone()) {
                reader.read(member, block, &mut x);
                let start = set.offset(block);
                for output in 0..n_outputs {
                    let cells = d.column(output).iter().zip(x.column(output));
                    let before = sums.columns[output];
                    let mut total = 0.0;
                    for (row, (d, x)) in cells.enumerate() {
                        sums.units[unit[start + row] as usize] += d * x;
                        total += d * x;
                    }
                    sums.columns[output] = before + total;
                }
            }
        });
    }
    let row_weights = match bound.judge() {
        Judge::Additive(additive) => additive.row_weights(),
        Judge::Whole(_) => None,
    };
    let weight = |row: usize| row_weights.map_or(1.0, |weights| weights[row]);
    let total_weight: f64 = (0..set.len()).map(weight).sum();
    let total_mass = match &smooth {
        Smooth::Cells(cells) => cells.mass(),
        Smooth::Rows(loss) => loss.mass(),
        Smooth::TrueClass(_) | Smooth::Squares(_) | Smooth::Absolute(_) => total_weight,
    };
    let mut mass = vec![0.0; n_units];
    (0..set.len()).for_each(|row| mass[unit[row] as usize] += weight(row) * (total_mass / total_weight));
    let mut gradient: Vec<f64> =
        (0..n_units).flat_map(|unit| by_member.iter().map(move |sums| sums.units[unit])).collect();
    // Where a column's mean error enters the loss by a bent function, that function's slope moves with the errors drawn.
    for (output, term) in columns.iter().enumerate().filter(|(_, term)| term.second != 0.0) {
        let Smooth::Squares(loss) = &smooth else { continue };
        let scale = term.second / (term.first * total_mass);
        for block in 0..set.n_blocks() {
            let mut u = Block::default();
            reader.mix(weights, block, &mut u);
            let start = set.offset(block);
            for (row, u) in u.column(output).iter().enumerate() {
                let error = u - loss.targets[output][start + row];
                let above = weight(start + row) * (error * error - term.mean) * scale;
                let cells = &mut gradient[unit[start + row] as usize * members.len()..][..members.len()];
                cells.iter_mut().zip(&by_member).for_each(|(cell, sums)| *cell += above * sums.columns[output]);
            }
        }
    }
    Some(UnitSlopes { gradient, mass })
}

/// One member's share of the gradient, by unit and by column.
#[derive(Clone)]
struct Sums {
    units: Vec<f64>,
    columns: Vec<f64>,
}

/// Members' values on the scale of averaging.
struct Reader<'a> {
    members: &'a [&'a Predictions<Oof>],
    set: &'a RowSet,
    space: SpaceName,
    bound: &'a dyn Bound,
    /// Of spaces that need all rows at once.
    whole: Option<Vec<Block>>,
}

fn whole(members: &[&Predictions<Oof>], set: &RowSet, space: SpaceName, bound: &dyn Bound) -> Option<Vec<Block>> {
    let row_local = space.get().info().row_local;
    (!row_local).then(|| members.iter().map(|member| pool::entered(member, space, bound.preparation(), set)).collect())
}

impl Reader<'_> {
    fn read(&self, member: usize, block: usize, out: &mut Block) {
        if let Some(whole) = &self.whole {
            let (start, n) = (self.set.offset(block), self.set.block(block).len());
            out.reshape(whole[member].n_outputs(), n);
            for output in 0..whole[member].n_outputs() {
                out.column_mut(output).copy_from_slice(&whole[member].column(output)[start..start + n]);
            }
            return;
        }
        self.members[member].read_raw(block, self.set.block(block), out);
        self.space.get().enter(self.members[member].encoding(), self.bound.preparation(), out);
    }

    fn mix(&self, weights: &[f64], block: usize, out: &mut Block) {
        let mut x = Block::default();
        out.reshape(self.members[0].columns().len(), self.set.block(block).len());
        out.fill(0.0);
        for (member, &weight) in weights.iter().enumerate().filter(|(_, weight)| **weight != 0.0) {
            self.read(member, block, &mut x);
            out.add_scaled(weight, &x);
        }
    }
}

/// How a column's mean squared error enters the loss.
struct ColumnTerm {
    mean: f64,
    /// First and second derivative of the loss by the mean.
    first: f64,
    second: f64,
}

/// The terms of squared errors; none of other losses.
fn column_terms(smooth: &Smooth<'_>, reader: &Reader<'_>, weights: &[f64]) -> Vec<ColumnTerm> {
    let Smooth::Squares(loss) = smooth else { return Vec::new() };
    let n_outputs = loss.targets.len();
    let mass = loss.weights.map_or(loss.targets[0].len() as f64, num::sum);
    let mut means = vec![0.0; n_outputs];
    for block in 0..reader.set.n_blocks() {
        let mut u = Block::default();
        reader.mix(weights, block, &mut u);
        let start = reader.set.offset(block);
        for (output, mean) in means.iter_mut().enumerate() {
            for (row, u) in u.column(output).iter().enumerate() {
                let error = u - loss.targets[output][start + row];
                *mean += loss.weights.map_or(1.0, |s| s[start + row]) * error * error / mass;
            }
        }
    }
    let n = n_outputs as f64;
    let total: f64 = means.iter().sum::<f64>() / n;
    let term = |(output, &mean): (usize, &f64)| {
        let (first, second) = match &loss.combine {
            Combine::Mean => (1.0 / n, 0.0),
            // One common factor changes no optimum.
            Combine::RootOfMean => (0.5 / (total.sqrt().max(1e-150) * n), 0.0),
            Combine::MeanOfRoots => {
                let root = mean.sqrt().max(1e-150);
                (0.5 / (root * n), -0.25 / (root * mean.max(1e-300) * n))
            }
            Combine::MinusR2(variances) => (1.0 / (variances[output] * n), 0.0),
        };
        ColumnTerm { mean, first, second }
    };
    means.iter().enumerate().map(term).collect()
}

/// Derivatives of the weighted losses by the blend, shape as `u`.
fn derivative(smooth: &Smooth<'_>, start: usize, u: &Block, columns: &[ColumnTerm]) -> Block {
    let mut d = Block::new(u.n_outputs(), u.n_rows());
    match smooth {
        Smooth::Cells(cells) => {
            let mut inside = u.clone();
            if let Some((low, high)) = cells.member_range() {
                inside.values_mut().iter_mut().for_each(|u| *u = u.clamp(low, high));
            }
            for output in 0..u.n_outputs() {
                cells.slope(output, start, inside.column(output), d.column_mut(output));
            }
        }
        Smooth::TrueClass(loss) => {
            for row in 0..u.n_rows() {
                let class = loss.labels[start + row] as usize;
                let weight = loss.weights.map_or(1.0, |s| s[start + row]);
                d.set(class, row, -weight / u.get(class, row).max(loss.clip));
            }
        }
        Smooth::Rows(loss) => {
            loss.slope(start, u, &mut d, None);
        }
        Smooth::Squares(loss) => {
            for (output, term) in columns.iter().enumerate() {
                for row in 0..u.n_rows() {
                    let error = u.get(output, row) - loss.targets[output][start + row];
                    let weight = loss.weights.map_or(1.0, |s| s[start + row]);
                    d.set(output, row, weight * 2.0 * term.first * error);
                }
            }
        }
        Smooth::Absolute(_) => {}
    }
    d
}

//! The gradient of a loss taken apart: what each unit of rows contributes to it.

use super::kernels;
use blend_core::{
    Block, Oof, Predictions, RowSet,
    judge::{Bound, Cells, Combine, Judge, Smooth},
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
const SPAN_BYTES: usize = 4 << 20;

/// Bytes that partial sums may take.
const PARTIAL_BYTES: usize = 4 << 20;

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
    if let Smooth::Cells(cells) = &smooth
        && members.iter().all(|member| pool::is_cell_local(space, member.encoding(), bound.preparation()))
    {
        return Some(UnitSlopes { gradient: reader.cell_slopes(&**cells, weights, unit, n_units), mass });
    }
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
                derivative(&smooth, set.offset(block), u, &columns)
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

    /// The contributions to a loss of single cells, shape `(n_units, n_members)`: every value is read once, and what is
    /// read stays in the nearest caches.
    fn cell_slopes(&self, cells: &dyn Cells, weights: &[f64], unit: &[u32], n_units: usize) -> Vec<f64> {
        let (k, n_outputs) = (self.members.len(), self.members[0].columns().len());
        let range = cells.member_range().unwrap_or((f64::NEG_INFINITY, f64::INFINITY));
        let n_parts = (PARTIAL_BYTES / (8 * k * n_units).max(1)).clamp(1, 16).min(n_outputs);
        let part = |part: usize| {
            let mut sums = vec![0.0; n_units * k];
            let mut members = vec![Block::default(); k];
            let (mut u, mut d) = (Vec::new(), Vec::new());
            // By member the rows' own sums over the outputs: units are looked up once a row.
            let mut by_row = Vec::new();
            for block in 0..self.set.n_blocks() {
                let (start, rows) = (self.set.offset(block), self.set.block(block));
                let n = rows.len();
                by_row.clear();
                by_row.resize(k * n, 0.0);
                for output in part * n_outputs / n_parts..(part + 1) * n_outputs / n_parts {
                    u.clear();
                    u.resize(n, 0.0);
                    d.resize(n, 0.0);
                    for ((x, member), weight) in members.iter_mut().zip(self.members).zip(weights) {
                        x.reshape(1, n);
                        member.read_column(block, output, rows, x.column_mut(0));
                        self.space.get().enter(member.encoding(), self.bound.preparation(), x);
                        kernels::clamp(x.column_mut(0), range);
                        num::add_scaled(*weight, x.column(0), &mut u);
                    }
                    kernels::clamp(&mut u, range);
                    cells.slope(output, start, &u, &mut d);
                    for (member, sums) in members.iter().zip(by_row.chunks_mut(n.max(1))) {
                        kernels::add_product(&d, member.column(0), sums);
                    }
                }
                for (member, rows) in by_row.chunks(n.max(1)).enumerate() {
                    for (row, unit) in rows.iter().zip(&unit[start..start + n]) {
                        sums[*unit as usize * k + member] += row;
                    }
                }
            }
            sums
        };
        let parts: Vec<Vec<f64>> = (0..n_parts).into_par_iter().map(part).collect();
        parts
            .into_iter()
            .reduce(|mut total, part| {
                total.iter_mut().zip(&part).for_each(|(a, b)| *a += b);
                total
            })
            .unwrap_or_default()
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
fn derivative(smooth: &Smooth<'_>, start: usize, mut u: Block, columns: &[ColumnTerm]) -> Block {
    let mut d = Block::new(u.n_outputs(), u.n_rows());
    match smooth {
        Smooth::Cells(cells) => {
            if let Some((low, high)) = cells.member_range() {
                u.values_mut().iter_mut().for_each(|u| *u = u.clamp(low, high));
            }
            for output in 0..u.n_outputs() {
                cells.slope(output, start, u.column(output), d.column_mut(output));
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
            loss.slope(start, &u, &mut d, None);
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

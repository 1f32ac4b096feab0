//! Binary log loss of a linear pool where positives are rare: nearly all of it from a few cells.
//!
//! `-ln u` of the positives is summed as it is. The negatives' `-ln(1 - u) = u + u^2/2 + ...` is known, up to its first
//! term, from the members' sums; what is left of it is small where `u` is, and a sample of the rows tells it. So a loss
//! over millions of cells has a stand-in over some ten thousand, whose optimum lies a step away from its own and whose
//! Hessian serves in its own's place.

use super::{CellObjective, Chunk, Curve, Effort, Feed, Objective, Slope, kernels};
use crate::{objective::true_class::MinusLog, random::Random};
use blend_core::{Block, judge::Cells, num};

/// Values (member x row x output) from which on the stand-in is worth its read.
const FROM_VALUES: usize = 4_000_000;

/// The share of positive cells up to which they are called rare.
const RARE: f64 = 0.05;

/// One row of this many tells of the negatives: in a preview, and in a sketch.
const ONE_IN: [u64; 2] = [64, 16];

/// The stand-ins of the parts of the rows.
pub(super) struct Rare {
    parts: Vec<Part>,
}

/// One part's sums.
struct Part {
    positives: Option<CellObjective<'static>>,
    /// The negatives' sum of each member.
    linear: Vec<f64>,
    rest: Option<CellObjective<'static>>,
    /// Sampled negatives over all negatives, inverted.
    scale: f64,
    n_cells: f64,
}

/// What one read of the data picks.
#[derive(Clone)]
struct Picked {
    linear: Vec<f64>,
    /// Values of the positive cells, all members of a cell side by side.
    positives: Vec<f64>,
    rest: Vec<f64>,
    n_cells: usize,
}

impl Rare {
    /// The stand-in of a large loss.
    pub(super) fn preview(objective: &CellObjective<'_>) -> Option<Self> {
        if objective.feed.n_cells() < FROM_VALUES { None } else { Self::new(objective, ONE_IN[0]) }
    }

    /// The stand-in of a loss of any size: its optimum is close as far as choices go.
    pub(super) fn sketch(objective: &CellObjective<'_>) -> Option<Self> {
        Self::new(objective, ONE_IN[1])
    }

    /// The stand-in of a loss whose cells have labels of 0 and 1 of which few are 1; `None` of any other.
    fn new(objective: &CellObjective<'_>, one_in: u64) -> Option<Self> {
        let (feed, cells) = (&objective.feed, &*objective.cells);
        let (k, clip) = (feed.n_members(), cells.member_range()?.0);
        let labels = (0..feed.n_outputs()).map(|output| cells.hard_labels(output)).collect::<Option<Vec<_>>>()?;
        let n_positive: usize = labels.iter().map(|labels| labels.iter().filter(|y| **y != 0).count()).sum();
        if n_positive as f64 > RARE * (feed.n_outputs() * feed.n_rows()) as f64 {
            return None;
        }
        // No label has a say in which rows are taken.
        let taken: Vec<bool> =
            (0..feed.n_rows()).map(|row| Random::new(row as u64).bits().is_multiple_of(one_in)).collect();
        objective.meter.pass(0);
        let nothing = Picked { linear: vec![0.0; k], positives: Vec::new(), rest: Vec::new(), n_cells: 0 };
        let n_parts = objective.runs.n_parts();
        let picked = objective.reduce(
            8 * k * n_parts,
            || vec![nothing.clone(); n_parts],
            |picked, scratch, chunk| {
                let &Chunk { n, x, stride, .. } = chunk;
                let whole = kernels::padded(n);
                scratch.d[..n].fill(1.0);
                scratch.d[n..whole].fill(0.0);
                let to = &mut picked[chunk.part];
                kernels::add_gradient(x, stride, &scratch.d[..whole], &mut to.linear);
                to.n_cells += n;
                let rows = chunk.start..chunk.start + n;
                for (i, (&y, &taken)) in labels[chunk.output][rows.clone()].iter().zip(&taken[rows]).enumerate() {
                    let cell = || (0..k).map(|member| x[member * stride + i]);
                    if y != 0 {
                        to.positives.extend(cell());
                    } else if taken {
                        to.rest.extend(cell());
                    }
                }
            },
            |total, part| {
                for (total, part) in total.iter_mut().zip(part) {
                    total.linear.iter_mut().zip(part.linear).for_each(|(a, b)| *a += b);
                    total.positives.extend(part.positives);
                    total.rest.extend(part.rest);
                    total.n_cells += part.n_cells;
                }
            },
        );
        Some(Self { parts: picked.into_iter().map(|picked| Part::new(picked, k, clip)).collect() })
    }

    /// The stand-in for the loss over all rows but those of one part.
    pub(super) fn without(&self, part: usize) -> Without<'_> {
        Without { rare: self, part }
    }
}

impl Part {
    fn new(picked: Picked, k: usize, clip: f64) -> Self {
        let Picked { mut linear, positives, rest, n_cells } = picked;
        for cell in positives.chunks(k) {
            linear.iter_mut().zip(cell).for_each(|(sum, x)| *sum -= x);
        }
        let n_negative = n_cells - positives.len() / k;
        let scale = n_negative as f64 / (rest.len() / k).max(1) as f64;
        let held = |cells: &[f64]| {
            let column = |member: usize| cells.chunks(k).map(|cell| cell[member]).collect::<Vec<f64>>();
            Feed::held((0..k).map(|member| Block::from_columns(&[column(member)])).collect())
        };
        let some = |cells: &[f64], loss: fn(usize, f64) -> Box<dyn Cells>| {
            (!cells.is_empty()).then(|| CellObjective::new(held(cells), loss(cells.len() / k, clip)))
        };
        Self {
            positives: some(&positives, |n_rows, clip| Box::new(MinusLog { weights: None, n_rows, clip })),
            linear,
            rest: some(&rest, |n_rows, clip| Box::new(Rest { n_rows, clip })),
            scale,
            n_cells: n_cells as f64,
        }
    }
}

/// `-ln(1 - u) - u`: what is left of a negative's loss without its first term.
struct Rest {
    n_rows: usize,
    clip: f64,
}

impl Cells for Rest {
    fn mass(&self) -> f64 {
        self.n_rows as f64
    }

    fn member_range(&self) -> Option<(f64, f64)> {
        Some((self.clip, 1.0 - self.clip))
    }

    fn value(&self, _output: usize, _start: usize, u: &[f64]) -> f64 {
        if u.iter().any(|u| *u >= 1.0) {
            return f64::INFINITY;
        }
        let mut logs: Vec<f64> = u.iter().map(|u| 1.0 - u).collect();
        num::ln_all(&mut logs);
        -num::sum(&logs) - num::sum(u)
    }

    fn slope(&self, output: usize, start: usize, u: &[f64], d: &mut [f64]) -> f64 {
        d.iter_mut().zip(u).for_each(|(d, u)| *d = u / (1.0 - u));
        self.value(output, start, u)
    }

    fn curve(&self, output: usize, start: usize, u: &[f64], d: &mut [f64], h: &mut [f64]) -> f64 {
        h.iter_mut().zip(u).for_each(|(h, u)| *h = 1.0 / ((1.0 - u) * (1.0 - u)));
        self.slope(output, start, u, d)
    }

    fn is_convex(&self) -> bool {
        true
    }
}

/// The stand-in's loss over all rows but those of one part.
pub(crate) struct Without<'a> {
    rare: &'a Rare,
    part: usize,
}

impl Rare {
    /// Adds up what `of` gives for each sum over cells, handed with its share in the mean; returns the linear terms.
    fn add(&self, without: Option<usize>, weights: &[f64], mut of: impl FnMut(&CellObjective<'static>, f64)) -> Slope {
        let parts = || self.parts.iter().enumerate().filter(|(part, _)| Some(*part) != without).map(|(_, part)| part);
        let n_cells: f64 = parts().map(|part| part.n_cells).sum();
        let mut linear = Slope { value: 0.0, gradient: vec![0.0; weights.len()] };
        for part in parts() {
            if let Some(positives) = &part.positives {
                of(positives, positives.cells.mass() / n_cells);
            }
            if let Some(rest) = &part.rest {
                of(rest, rest.cells.mass() * part.scale / n_cells);
            }
            linear.gradient.iter_mut().zip(&part.linear).for_each(|(a, b)| *a += b / n_cells);
        }
        linear.value = num::dot(&linear.gradient, weights);
        linear
    }

    fn value_without(&self, part: Option<usize>, weights: &[f64]) -> f64 {
        let mut sum = 0.0;
        let linear = self.add(part, weights, |cells, share| sum += share * cells.value(weights));
        sum + linear.value
    }

    fn curve_without(&self, part: Option<usize>, weights: &[f64]) -> Curve {
        let n = weights.len();
        let mut sum = Curve { value: 0.0, gradient: vec![0.0; n], hessian: vec![0.0; n * n] };
        let linear = self.add(part, weights, |cells, share| {
            let curve = cells.sums(weights, true);
            sum.value += share * curve.value;
            sum.gradient.iter_mut().zip(curve.gradient).for_each(|(a, b)| *a += share * b);
            sum.hessian.iter_mut().zip(curve.hessian).for_each(|(a, b)| *a += share * b);
        });
        sum.value += linear.value;
        sum.gradient.iter_mut().zip(linear.gradient).for_each(|(a, b)| *a += b);
        sum
    }
}

impl Objective for Rare {
    fn n_weights(&self) -> usize {
        self.parts[0].linear.len()
    }

    fn value(&self, weights: &[f64]) -> f64 {
        self.value_without(None, weights)
    }

    fn slope(&self, weights: &[f64]) -> Option<Slope> {
        let Curve { value, gradient, .. } = self.curve_without(None, weights);
        Some(Slope { value, gradient })
    }

    fn curve(&self, weights: &[f64]) -> Option<Curve> {
        Some(self.curve_without(None, weights))
    }

    fn is_convex(&self) -> bool {
        true
    }

    fn is_smooth(&self) -> bool {
        true
    }

    fn effort(&self) -> Effort {
        Effort::default()
    }
}

impl Objective for Without<'_> {
    fn n_weights(&self) -> usize {
        self.rare.parts[0].linear.len()
    }

    fn value(&self, weights: &[f64]) -> f64 {
        self.rare.value_without(Some(self.part), weights)
    }

    fn slope(&self, weights: &[f64]) -> Option<Slope> {
        let Curve { value, gradient, .. } = self.rare.curve_without(Some(self.part), weights);
        Some(Slope { value, gradient })
    }

    fn curve(&self, weights: &[f64]) -> Option<Curve> {
        Some(self.rare.curve_without(Some(self.part), weights))
    }

    fn is_convex(&self) -> bool {
        true
    }

    fn is_smooth(&self) -> bool {
        true
    }

    fn effort(&self) -> Effort {
        Effort::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::objective::{Apart, cells::Runs};
    use blend_core::{
        judge::{Bound, Smooth},
        metric::{self, MetricSpec},
        space::SpaceName,
        truth::{LabelValues, Labels},
    };

    const N_MEMBERS: usize = 4;
    const N_OUTPUTS: usize = 50;
    const N_ROWS: usize = 20_480;

    fn bind(positive: f64, random: &mut Random) -> Box<dyn Bound> {
        let column = |_| (0..N_ROWS).map(|_| u8::from(random.unit() < positive)).collect();
        let values = LabelValues::Binary((0..N_OUTPUTS).map(column).collect());
        let metric = metric::build(&MetricSpec { name: "log_loss".into(), ..MetricSpec::default() }).unwrap();
        metric.bind(Labels { values, weights: None }).unwrap()
    }

    fn cells(bound: &dyn Bound) -> Box<dyn Cells + '_> {
        let Some(Smooth::Cells(cells)) = bound.smooth(SpaceName::Linear) else { panic!("no cells") };
        cells
    }

    /// Members whose probabilities are some tenths of a percent, more where the label is 1.
    fn members(bound: &dyn Bound, random: &mut Random) -> Vec<Block> {
        let cells = cells(bound);
        (0..N_MEMBERS)
            .map(|_| {
                let mut block = Block::new(N_OUTPUTS, N_ROWS);
                for output in 0..N_OUTPUTS {
                    let labels = cells.hard_labels(output).unwrap();
                    for (x, y) in block.column_mut(output).iter_mut().zip(labels) {
                        *x = (0.001 + 0.03 * f64::from(*y)) * (0.2 + 2.0 * random.unit());
                    }
                }
                block
            })
            .collect()
    }

    /// The largest relative difference.
    fn apart(a: &[f64], b: &[f64]) -> f64 {
        let size = b.iter().fold(0.0_f64, |size, b| size.max(b.abs()));
        a.iter().zip(b).fold(0.0, |apart, (a, b)| apart.max((a - b).abs() / size))
    }

    #[test]
    fn the_stand_in_is_close_in_value_slope_and_bend() {
        let mut random = Random::new(3);
        let bound = bind(0.004, &mut random);
        let objective = CellObjective::new(Feed::held(members(&*bound, &mut random)), cells(&*bound));
        for weights in [[0.25; 4], [0.7, 0.1, 0.2, 0.0], [0.0, 0.0, 0.0, 1.0]] {
            let (whole, stand_in) =
                (objective.sums(&weights, true), objective.rare().unwrap().curve(&weights).unwrap());
            assert!((whole.value - stand_in.value).abs() < 1e-6 * whole.value);
            assert!(apart(&stand_in.gradient, &whole.gradient) < 1e-5);
            assert!(apart(&stand_in.hessian, &whole.hessian) < 1e-3);
        }
    }

    #[test]
    fn only_rare_positives_have_one() {
        let mut random = Random::new(3);
        let bound = bind(0.2, &mut random);
        let objective = CellObjective::new(Feed::held(members(&*bound, &mut random)), cells(&*bound));
        assert!(objective.preview().is_none());
    }

    #[test]
    fn losses_without_a_part_are_those_of_the_other_rows() {
        let mut random = Random::new(5);
        let bound = bind(0.004, &mut random);
        let members = members(&*bound, &mut random);
        let parts: Vec<usize> = (0..N_ROWS).map(|row| row / 1000 % 3).collect();
        let joined =
            Apart::new(Feed::held(members.clone()), cells(&*bound), Runs::new(&parts, None)).expect("three parts");
        let weights = vec![0.4, 0.3, 0.2, 0.1];
        let slopes = joined.slopes(&[Some(weights.clone()), None, Some(vec![0.25; 4])]);
        assert!(slopes[1].is_none());
        let curves = joined.curves(&weights);
        let inside: Vec<usize> = (0..N_ROWS).filter(|&row| parts[row] != 0).collect();
        let column = |block: &Block, output| inside.iter().map(|&row| block.get(output, row)).collect::<Vec<f64>>();
        let few = members
            .iter()
            .map(|block| Block::from_columns(&(0..N_OUTPUTS).map(|output| column(block, output)).collect::<Vec<_>>()));
        let labels = (0..N_OUTPUTS)
            .map(|output| inside.iter().map(|&row| cells(&*bound).hard_labels(output).unwrap()[row]).collect())
            .collect();
        let metric = metric::build(&MetricSpec { name: "log_loss".into(), ..MetricSpec::default() }).unwrap();
        let bound = metric.bind(Labels { values: LabelValues::Binary(labels), weights: None }).unwrap();
        let alone = CellObjective::new(Feed::held(few.collect()), cells(&*bound));
        let wanted = alone.sums(&weights, true);
        let slope = slopes[0].as_ref().unwrap();
        for (value, gradient) in [(slope.value, &slope.gradient), (curves[0].value, &curves[0].gradient)] {
            assert!((value - wanted.value).abs() < 1e-13);
            assert!(apart(gradient, &wanted.gradient) < 1e-11);
        }
        assert!(apart(&curves[0].hessian, &wanted.hessian) < 1e-11);
        let stand_in = joined.preview(0).unwrap().curve(&weights).unwrap();
        assert!(apart(&stand_in.gradient, &wanted.gradient) < 1e-5);
    }
}

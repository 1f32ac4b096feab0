//! Binary log loss of a linear pool where positives are rare: nearly all of it from a few cells.
//!
//! The positives' `-ln u`, and `-ln(1 - u)` of the few negatives that some member gives much, are summed as they are. For
//! all other negatives `-ln(1 - u) = u + u^2/2 + ...` is known, up to its second term, from the members' sums and their
//! products' sums; what is left of it is small where `u` is, and a sample of the rows tells it. So a loss over millions
//! of cells has a stand-in over some hundred thousand, whose optimum lies a step away from its own and whose Hessian
//! serves in its own's place.

mod pick;

use super::{CellObjective, Curve, Effort, Feed, Objective, Slope, kernels};
use crate::{
    objective::{
        feed::{Single, Stored},
        true_class::{MinusLog, minus_log_sum},
    },
    random::Random,
};
use blend_core::{judge::Cells, num};
pub(super) use pick::Narrow;
use pick::{Picked, Wanted};

/// Values (member x row x output) from which on the stand-in is worth its read.
const FROM_VALUES: usize = 4_000_000;

/// The share of positive cells up to which they are called rare.
const RARE: f64 = 0.05;

/// One row of this many tells of the small negatives: in a preview, and in a sketch.
const ONE_IN: [u64; 2] = [64, 16];

/// The stand-ins of the parts of the rows.
pub(super) struct Rare {
    parts: Vec<Part>,
}

/// One part's sums.
struct Part {
    /// The cells that are summed as they are.
    positives: Option<CellObjective<'static>>,
    large: Option<CellObjective<'static>>,
    /// The small negatives' sum of each member, and of each product of two, `n x n`.
    linear: Vec<f64>,
    square: Vec<f64>,
    /// A sample of the small negatives.
    rest: Option<CellObjective<'static>>,
    /// Small negatives over those sampled.
    scale: f64,
    n_cells: f64,
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
        let taken = (0..feed.n_rows()).map(|row| u8::from(Random::new(row as u64).bits().is_multiple_of(one_in)));
        let wanted = Wanted { labels, taken: taken.collect(), limit: pick::large(objective) };
        objective.pass(0);
        let stored = feed.stored().filter(|stored| objective.runs.n_parts() > 1 || stored.is_ascending());
        let picked = read(objective, stored.as_ref(), &wanted);
        Some(Self { parts: picked.into_iter().map(|picked| Part::new(picked, k, clip)).collect() })
    }

    /// The stand-in for the loss over all rows but those of one part.
    pub(super) fn without(&self, part: usize) -> Without<'_> {
        Without { rare: self, part }
    }
}

/// What each part's rows give: from the columns as they are stored, or from entered members.
fn read(objective: &CellObjective<'_>, stored: Option<&Stored<'_>>, wanted: &Wanted<'_>) -> Vec<Picked> {
    let nothing = Picked::new(objective.feed.n_members());
    let n_parts = objective.runs.n_parts();
    let zero = || vec![nothing.clone(); n_parts];
    let add = |total: &mut Vec<Picked>, part: Vec<Picked>| {
        total.iter_mut().zip(&part).for_each(|(total, part)| total.add(part));
    };
    match stored {
        Some(stored) => objective.pieces(
            stored,
            zero,
            |picked, scratch: &mut Narrow, piece| scratch.of_piece(piece, &mut picked[piece.part], wanted),
            add,
        ),
        None => objective.reduce(
            nothing.bytes() * n_parts,
            zero,
            |picked, scratch, chunk| scratch.narrow.of_chunk(chunk, &mut picked[chunk.part], wanted),
            add,
        ),
    }
}

impl Part {
    fn new(mut picked: Picked, k: usize, clip: f64) -> Self {
        let (positives, large, rest) = (picked.positives(), picked.large(), picked.rest());
        picked.leave_out(&positives);
        picked.leave_out(&large);
        let n_small = picked.n_cells - positives.n_rows() - large.n_rows();
        let scale = n_small as f64 / rest.n_rows().max(1) as f64;
        let some = |cells: Single, loss: fn(usize, f64) -> Box<dyn Cells>| {
            let n_rows = cells.n_rows();
            (n_rows > 0).then(|| CellObjective::new(Feed::Single(cells), loss(n_rows, clip)))
        };
        Self {
            positives: some(positives, |n_rows, clip| Box::new(MinusLog { weights: None, n_rows, clip })),
            large: some(large, |n_rows, clip| Box::new(Negatives { n_rows, clip, known: 0.0 })),
            rest: some(rest, |n_rows, clip| Box::new(Negatives { n_rows, clip, known: 1.0 })),
            square: kernels::symmetric(&picked.square, picked.side, k),
            linear: picked.linear,
            scale,
            n_cells: picked.n_cells as f64,
        }
    }
}

/// The negatives' `-ln(1 - u)`; of small ones what is left of it without its first two terms, `u + u^2/2`.
struct Negatives {
    n_rows: usize,
    clip: f64,
    /// How often the first two terms are known and left out: 0 or 1.
    known: f64,
}

impl Cells for Negatives {
    fn mass(&self) -> f64 {
        self.n_rows as f64
    }

    fn member_range(&self) -> Option<(f64, f64)> {
        Some((self.clip, 1.0 - self.clip))
    }

    fn value(&self, _output: usize, _start: usize, u: &[f64]) -> f64 {
        let mut rest = [0.0; 256];
        let mut sum = 0.0;
        for u in u.chunks(rest.len()) {
            rest.iter_mut().zip(u).for_each(|(rest, u)| *rest = 1.0 - u);
            sum += minus_log_sum(&rest[..u.len()]);
        }
        sum - self.known * (num::sum(u) + 0.5 * num::dot(u, u))
    }

    fn slope(&self, output: usize, start: usize, u: &[f64], d: &mut [f64]) -> f64 {
        d.iter_mut().zip(u).for_each(|(d, u)| *d = 1.0 / (1.0 - u) - self.known * (1.0 + u));
        self.value(output, start, u)
    }

    fn curve(&self, output: usize, start: usize, u: &[f64], d: &mut [f64], h: &mut [f64]) -> f64 {
        for ((d, h), u) in d.iter_mut().zip(h).zip(u) {
            let odds = 1.0 / (1.0 - u);
            *d = odds - self.known * (1.0 + u);
            *h = odds * odds - self.known;
        }
        self.value(output, start, u)
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
    /// The parts that are not left out, and their cells.
    fn parts(&self, without: Option<usize>) -> (Vec<&Part>, f64) {
        let parts = self.parts.iter().enumerate().filter(|(part, _)| Some(*part) != without);
        let parts: Vec<&Part> = parts.map(|(_, part)| part).collect();
        let n_cells = parts.iter().map(|part| part.n_cells).sum();
        (parts, n_cells)
    }

    fn value_without(&self, part: Option<usize>, weights: &[f64]) -> f64 {
        let (parts, n_cells) = self.parts(part);
        parts
            .iter()
            .map(|part| part.sums().map(|(cells, share)| share * cells.value(weights)).sum::<f64>())
            .sum::<f64>()
            / n_cells
            + parts.iter().map(|part| part.known(weights).0).sum::<f64>() / n_cells
    }

    fn curve_without(&self, part: Option<usize>, weights: &[f64]) -> Curve {
        let n = weights.len();
        let (parts, n_cells) = self.parts(part);
        let mut sum = Curve { value: 0.0, gradient: vec![0.0; n], hessian: vec![0.0; n * n] };
        for part in parts {
            for (cells, share) in part.sums() {
                let curve = cells.sums(weights, true);
                sum.value += share * curve.value;
                sum.gradient.iter_mut().zip(curve.gradient).for_each(|(a, b)| *a += share * b);
                sum.hessian.iter_mut().zip(curve.hessian).for_each(|(a, b)| *a += share * b);
            }
            let (value, gradient) = part.known(weights);
            sum.value += value;
            sum.gradient.iter_mut().zip(gradient).for_each(|(a, b)| *a += b);
            sum.hessian.iter_mut().zip(&part.square).for_each(|(a, b)| *a += b);
        }
        sum.value /= n_cells;
        sum.gradient.iter_mut().chain(&mut sum.hessian).for_each(|x| *x /= n_cells);
        sum
    }
}

impl Part {
    /// The sums over cells, each with what its mean is multiplied by.
    fn sums(&self) -> impl Iterator<Item = (&CellObjective<'static>, f64)> {
        [(&self.positives, 1.0), (&self.large, 1.0), (&self.rest, self.scale)]
            .into_iter()
            .filter_map(|(cells, scale)| cells.as_ref().map(|cells| (cells, cells.cells.mass() * scale)))
    }

    /// Value and gradient of the small negatives' first two terms.
    fn known(&self, weights: &[f64]) -> (f64, Vec<f64>) {
        let bent: Vec<f64> = self.square.chunks(weights.len()).map(|row| num::dot(row, weights)).collect();
        let value = num::dot(&self.linear, weights) + 0.5 * num::dot(&bent, weights);
        (value, self.linear.iter().zip(bent).map(|(linear, bent)| linear + bent).collect())
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
    use crate::{
        objective::{Apart, cells::Runs},
        testing::{Label, Shape, World},
    };
    use blend_core::{
        Block,
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

    /// Of all rows, of rows with holes, and of the parts of those, side by side within a block.
    #[test]
    fn what_is_picked_is_the_same_of_stored_columns_and_of_entered_members() {
        for (holes, in_parts) in [(false, false), (true, false), (false, true), (true, true)] {
            let shape = Shape { n_members: 5, n_rows: 9_000, holes, seed: 4, ..Shape::default() };
            let world = World::new(("log_loss", SpaceName::Linear, Label::Binary), shape);
            let part_of = |row: usize| if in_parts { row / 7 % 3 } else { 0 };
            let set = world.scope.rows.sorted_in_blocks(part_of);
            let parts: Vec<usize> = set.iter().map(part_of).collect();
            let bound = world.metric.bind(world.truth.on(&set)).unwrap();
            // Every other member is stored in f64.
            let members: Vec<_> = world.members.members().iter().step_by(2).collect();
            let feed = Feed::new(&members, &set, SpaceName::Linear, bound.preparation());
            let objective = CellObjective { runs: Runs::new(&parts, None), ..CellObjective::new(feed, cells(&*bound)) };
            let labels = (0..objective.feed.n_outputs()).map(|t| objective.cells.hard_labels(t).unwrap()).collect();
            let taken = (0..set.len()).map(|row| u8::from(row % 5 == 0)).collect();
            let wanted = Wanted { labels, taken, limit: 0.7 };
            let stored = objective.feed.stored().unwrap();
            let (a, b) = (read(&objective, Some(&stored), &wanted), read(&objective, None, &wanted));
            assert_eq!((a.len(), b.len()), if in_parts { (3, 3) } else { (1, 1) });
            for (mut a, mut b) in a.into_iter().zip(b) {
                assert_eq!(a.n_cells, b.n_cells);
                assert!(apart(&a.linear, &b.linear) < 1e-5 && apart(&a.square, &b.square) < 1e-5);
                for of in [Picked::positives, Picked::large, Picked::rest] {
                    let (a, b) = (of(&mut a), of(&mut b));
                    assert!(a.n_rows() > 0 && a.n_rows() == b.n_rows());
                    assert!((0..members.len()).all(|member| {
                        a.column(member).iter().zip(b.column(member)).map(|(a, b)| a - b).sum::<f32>().abs() < 1e-3
                    }));
                }
            }
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

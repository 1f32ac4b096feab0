//! Quadratic weighted kappa: agreement of whole-numbered grades beyond chance, averaged over columns.
//!
//! A prediction is a grade, or a number that becomes one: the nearest grade of the truth, until cuts are fitted. With the grades' shares in
//! the truth held fixed, both the squared disagreement `N` and the one expected by chance `D` are sums over rows of
//! what a row's predicted grade costs, so the cuts with the highest `1 - N / D` come from Dinkelbach's iteration on
//! `N - r D`, each step of which is solved exactly along the sorted predictions.

use super::{BindError, Info, Metric, Target, numbers, plain};
use crate::{
    block::Block,
    judge::{Additive, Bound, Cuts, Judge},
    num,
    order::{ascending, between, runs},
    output::OutputKind,
    post::Scale,
    score::Direction,
    space::SpaceName,
    truth::Labels,
};

pub(super) const INFO: Info = Info {
    name: "qwk",
    formula: "1 - mean (g - y)^2 / mean over all pairs of rows of (g_i - y_j)^2, g the predicted grade; mean over columns",
    unit: "1",
    range: (-1.0, 1.0),
    optimum: 1.0,
    direction: Direction::Higher,
    source: "Cohen 1968; scikit-learn cohen_kappa_score(weights='quadratic'); cuts: Dinkelbach 1967",
    target: Target::Grade,
    options: &[],
    space: SpaceName::Linear,
    predictions: &[OutputKind::Value, OutputKind::Label, OutputKind::Probability, OutputKind::Rank],
};

pub(super) struct Qwk;

/// Grades between the lowest and the highest, at most: more are no grades.
const MOST_GRADES: f64 = 1000.0;
/// The largest number whose square keeps enough digits for the difference of two.
const HIGHEST: f64 = 1e6;

impl Metric for Qwk {
    fn info(&self) -> &'static Info {
        &INFO
    }

    fn bind(&self, labels: Labels) -> Result<Box<dyn Bound>, BindError> {
        let undefined = |why: String| Err(BindError::Undefined { metric: INFO.name, why });
        let surrogate = plain("mse").bind(labels.clone())?;
        let (columns, weights) = numbers(&INFO, labels)?;
        let mut ladders = Vec::with_capacity(columns.len());
        for (target, column) in columns.iter().enumerate() {
            if let Some(y) = column.iter().find(|y| y.fract() != 0.0) {
                return undefined(format!("target {target} holds {y}, which is no whole number"));
            }
            let (low, high) =
                column.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), y| (low.min(*y), high.max(*y)));
            if low == high {
                return undefined(format!("every row of target {target} has grade {low}"));
            }
            if high - low >= MOST_GRADES || low.abs() > HIGHEST {
                return undefined(format!("the grades of target {target} go from {low} to {high}"));
            }
            let counted: Vec<f64> = column.iter().map(|y| y - low).collect();
            ladders.push(Ladder::new(low, (high - low) as usize + 1, &counted, weights.as_deref()));
        }
        Ok(Box::new(BoundQwk { columns, ladders, weights, surrogate }))
    }
}

struct BoundQwk {
    columns: Vec<Vec<f64>>,
    ladders: Vec<Ladder>,
    weights: Option<Vec<f64>>,
    surrogate: Box<dyn Bound>,
}

/// The grades of a column.
struct Ladder {
    /// The lowest.
    low: f64,
    /// Mean of `(g - y)^2` over all rows, for each grade `g`, both counted from the lowest.
    chance: Vec<f64>,
}

impl Ladder {
    fn new(low: f64, n_grades: usize, column: &[f64], weights: Option<&[f64]>) -> Self {
        let mass = weights.map_or(column.len() as f64, num::sum);
        let mean = |values: &[f64]| weights.map_or_else(|| num::sum(values), |w| num::dot(values, w)) / mass;
        let squares: Vec<f64> = column.iter().map(|y| y * y).collect();
        let (first, second) = (mean(column), mean(&squares));
        let chance = (0..n_grades).map(|g| g as f64).map(|g| second - 2.0 * first * g + g * g).collect();
        Self { low, chance }
    }

    /// A whole number is a grade, of this truth or of another; any other number becomes the nearest of this one's.
    fn grade(&self, x: f64) -> f64 {
        let highest = self.low + (self.chance.len() - 1) as f64;
        if x.fract() == 0.0 { x } else { (x + 0.5).floor().clamp(self.low, highest) }
    }
}

/// Neighbours in the order of predictions that no cut need part: of one predicted value, or all of one grade.
struct Step {
    /// Their weight.
    mass: f64,
    /// Their weighted sum of grades.
    sum: f64,
    /// The first of them.
    start: usize,
}

/// The grades of sorted steps that have the lowest `N - r D`, step by step.
struct Graded {
    /// `N / D`.
    ratio: f64,
    /// Grade of each step, where asked for.
    grades: Vec<usize>,
}

impl BoundQwk {
    /// The rows of a column in steps, ascending; the sum of squared grades; and the order of the rows.
    fn steps(&self, output: usize, p: &[f64]) -> (Vec<Step>, f64, Vec<u32>) {
        let (y, low) = (&self.columns[output], self.ladders[output].low);
        let order = ascending(p);
        let weight = |row: usize| self.weights.as_ref().map_or(1.0, |w| w[row]);
        let mut squares = 0.0;
        let mut steps: Vec<Step> = Vec::new();
        // The only grade in the last step, where it has but one.
        let mut last = None;
        for run in runs(p, &order) {
            let start = run.start;
            let first = y[order[start] as usize];
            let same = order[run.clone()].iter().all(|&row| y[row as usize] == first).then_some(first);
            // What a row costs is linear in where a cut lies among rows of one grade, so none lies between them.
            if same.is_none() || same != last {
                steps.push(Step { mass: 0.0, sum: 0.0, start });
            }
            last = same;
            let Some(step) = steps.last_mut() else { continue };
            for &row in &order[run] {
                let (s, y) = (weight(row as usize), y[row as usize] - low);
                step.mass += s;
                step.sum += s * y;
                squares += s * y * y;
            }
        }
        (steps, squares, order)
    }

    /// The best grades of a column's steps.
    fn grade(&self, output: usize, steps: &[Step], squares: f64, trace: bool) -> Graded {
        let chance = &self.ladders[output].chance;
        let mut ratio = FIRST_RATIO;
        let mut best = Graded { ratio: f64::INFINITY, grades: Vec::new() };
        for _ in 0..MOST_ROUNDS {
            let found = lowest(steps, squares, chance, ratio, trace);
            if found.ratio >= best.ratio {
                break;
            }
            ratio = found.ratio;
            best = found;
        }
        best
    }
}

/// Where the iteration starts: from any ratio it goes down from its second step on.
const FIRST_RATIO: f64 = 0.2;

/// Dinkelbach's iteration gains digits at a rate that doubles them: four or five rounds in practice.
const MOST_ROUNDS: usize = 30;

/// Ascending grades of `steps` with the lowest `N - ratio D`, by dynamic programming over the highest grade allowed.
fn lowest(steps: &[Step], squares: f64, chance: &[f64], ratio: f64, trace: bool) -> Graded {
    let n = chance.len();
    // A step with mass m and sum s costs m (g^2 - ratio chance_g) - 2 g s, beside its sum of squared grades.
    let per_mass: Vec<f64> = chance.iter().enumerate().map(|(g, chance)| (g * g) as f64 - ratio * chance).collect();
    let mut cost = vec![0.0; n];
    let mut expected = vec![0.0; n];
    let mut stays = vec![false; if trace { n * steps.len() } else { 0 }];
    for (at, step) in steps.iter().enumerate() {
        let (mut below, mut below_expected) = (f64::INFINITY, 0.0);
        for g in 0..n {
            let here = cost[g] + step.mass * per_mass[g] - 2.0 * g as f64 * step.sum;
            let here_expected = expected[g] + step.mass * chance[g];
            // With grades up to g allowed, the step either has g or does with those below.
            let stay = here < below;
            (below, below_expected) = if stay { (here, here_expected) } else { (below, below_expected) };
            (cost[g], expected[g]) = (below, below_expected);
            if trace {
                stays[at * n + g] = stay;
            }
        }
    }
    let (cost, expected) = (cost[n - 1] + squares, expected[n - 1]);
    let mut grades = Vec::new();
    if trace {
        let mut g = n - 1;
        for at in (0..steps.len()).rev() {
            while g > 0 && !stays[at * n + g] {
                g -= 1;
            }
            grades.push(g);
        }
        grades.reverse();
    }
    Graded { ratio: (cost + ratio * expected) / expected, grades }
}

impl Bound for BoundQwk {
    fn n_rows(&self) -> usize {
        self.columns[0].len()
    }

    fn n_outputs(&self) -> usize {
        self.columns.len()
    }

    fn direction(&self) -> Direction {
        Direction::Higher
    }

    fn judge(&self) -> Judge<'_> {
        Judge::Additive(self)
    }

    fn cuts(&self) -> Option<&dyn Cuts> {
        Some(self)
    }

    fn surrogate(&self) -> Option<&dyn Bound> {
        Some(&*self.surrogate)
    }
}

/// Per column: squared disagreement, true grade and its square, predicted grade and its square.
const TERMS: usize = 5;

impl Additive for BoundQwk {
    fn n_terms(&self) -> usize {
        TERMS * self.columns.len()
    }

    fn terms(&self, start: usize, prediction: &Block, out: &mut Block) {
        for (output, (column, ladder)) in self.columns.iter().zip(&self.ladders).enumerate() {
            for row in 0..prediction.n_rows() {
                let (y, g) = (column[start + row], ladder.grade(prediction.get(output, row)));
                let terms = [(g - y) * (g - y), y, y * y, g, g * g];
                (0..TERMS).for_each(|term| out.set(TERMS * output + term, row, terms[term]));
            }
        }
    }

    fn row_weights(&self) -> Option<&[f64]> {
        self.weights.as_deref()
    }

    fn finish(&self, means: &[f64]) -> f64 {
        let kappa = |means: &[f64]| {
            let chance = means[2] - 2.0 * means[1] * means[3] + means[4];
            if chance > 0.0 && chance.is_finite() { 1.0 - means[0] / chance } else { 0.0 }
        };
        means.chunks_exact(TERMS).map(kappa).sum::<f64>() / self.columns.len() as f64
    }
}

impl Cuts for BoundQwk {
    fn fit(&self, prediction: &Block) -> Vec<Scale> {
        let fit = |output: usize| {
            let p = prediction.column(output);
            let (steps, squares, order) = self.steps(output, p);
            let grades = self.grade(output, &steps, squares, true).grades;
            let label = |grade: usize| self.ladders[output].low + grade as f64;
            let mut scale = Scale { cuts: Vec::new(), labels: vec![label(grades[0])] };
            for (at, pair) in grades.windows(2).enumerate().filter(|(_, pair)| pair[0] != pair[1]) {
                let value = |position: usize| p[order[position] as usize];
                let start = steps[at + 1].start;
                scale.cuts.push(between(value(start - 1), value(start)));
                scale.labels.push(label(pair[1]));
            }
            scale
        };
        (0..self.columns.len()).map(fit).collect()
    }

    fn best(&self, prediction: &Block) -> f64 {
        let best = |output: usize| {
            let (steps, squares, _) = self.steps(output, prediction.column(output));
            1.0 - self.grade(output, &steps, squares, false).ratio
        };
        (0..self.columns.len()).map(best).sum::<f64>() / self.columns.len() as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{judge::score, post, truth::LabelValues};
    use proptest::prelude::*;

    proptest! {
        /// No cuts between predictions are better: all of them are tried.
        #[test]
        fn fitted_cuts_are_the_best_there_are(
            rows in proptest::collection::vec((2_i32..5, 0_i32..12, 0.2_f64..3.0), 4..12),
            weighted: bool,
        ) {
            let y: Vec<f64> = rows.iter().map(|row| f64::from(row.0)).collect();
            prop_assume!(y.iter().any(|other| *other != y[0]));
            let p: Vec<f64> = rows.iter().map(|row| 0.5 * f64::from(row.1)).collect();
            let weights = weighted.then(|| rows.iter().map(|row| row.2).collect());
            let bound = Qwk.bind(Labels { values: LabelValues::Real(vec![y.clone()]), weights }).unwrap();
            let prediction = Block::from_columns(&[p]);
            let cuts = bound.cuts().unwrap();
            let cut = |scales: Vec<Scale>| {
                let mut labels = prediction.clone();
                post::apply(&post::PostStep::Thresholds(scales), &mut labels, None);
                score(&*bound, &labels)
            };
            let fitted = cut(cuts.fit(&prediction));
            prop_assert!((fitted - cuts.best(&prediction)).abs() < 1e-12);
            let (low, high) = y.iter().fold((9.0_f64, 0.0_f64), |(low, high), y| (low.min(*y), high.max(*y)));
            let grades = (high - low) as usize + 1;
            // Ascending cuts at quarter steps, equal ones allowed, as numbers in base 25.
            for number in 0..25_usize.pow(grades as u32 - 1) {
                let places: Vec<f64> = (0..grades - 1)
                    .map(|i| 0.25 * ((number / 25_usize.pow(i as u32)) % 25) as f64 + 1e-9 * i as f64)
                    .collect();
                if places.windows(2).all(|pair| pair[0] < pair[1]) {
                    let labels = (0..grades).map(|g| low + g as f64).collect();
                    let other = cut(vec![Scale { cuts: places, labels }]);
                    prop_assert!(other <= fitted + 1e-12, "{other} > {fitted}");
                }
            }
        }
    }
}

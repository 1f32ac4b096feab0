//! How often predicted and true labels meet: all that accuracy, balanced accuracy, F1 and Matthews' coefficient see.
//!
//! Labels are 0 and 1 per column, predicted by a probability that reaches a cut (0.5 until one is fitted), or one class
//! per row, predicted by the highest of the classes' values (the first of equals).

use crate::{
    block::Block,
    judge::{Additive, Bound, Cuts, Judge, Smooth},
    metric::{self, BindError, Info},
    num,
    order::{ascending, between, runs},
    post::Scale,
    score::Direction,
    space::SpaceName,
    truth::{LabelValues, Labels},
};

/// Shares of the rows, for one class.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Tally {
    /// Predicted to be of the class, and of it.
    pub(crate) hit: f64,
    /// Predicted to be of it.
    pub(crate) predicted: f64,
    /// Of it.
    pub(crate) actual: f64,
}

impl Tally {
    /// The other class, where there are two.
    fn other(self) -> Self {
        Self {
            hit: 1.0 - self.predicted - self.actual + self.hit,
            predicted: 1.0 - self.predicted,
            actual: 1.0 - self.actual,
        }
    }
}

/// A score of tallies. Total: where a quotient is 0 / 0 it says what it takes for it.
#[derive(Clone, Copy)]
pub(crate) struct Rate {
    /// Of several classes.
    pub(crate) classes: fn(&[Tally]) -> f64,
    /// Whether of two classes, 0 and 1, only the latter counts.
    pub(crate) positive_only: bool,
    /// How many classes the truth must have for the score to be defined.
    pub(crate) needs: usize,
}

impl Rate {
    /// Of a column of 0 and 1.
    fn binary(&self, positive: Tally) -> f64 {
        if self.positive_only { (self.classes)(&[positive]) } else { (self.classes)(&[positive.other(), positive]) }
    }
}

/// A rate bound to labels.
pub(crate) struct BoundRate {
    truth: Labelled,
    weights: Option<Vec<f64>>,
    rate: Rate,
    surrogate: Box<dyn Bound>,
}

enum Labelled {
    Columns(Vec<Vec<u8>>),
    Classes { labels: Vec<u32>, n_classes: usize },
}

/// Columns in which `rate` is defined.
fn columns(info: &'static Info, rate: Rate, columns: Vec<Vec<u8>>) -> Result<Vec<Vec<u8>>, BindError> {
    for (column, labels) in columns.iter().enumerate() {
        let positives = labels.iter().filter(|y| **y == 1).count();
        let both = rate.needs > 1;
        let which = match positives {
            0 if rate.positive_only || both => "positive",
            n if n == labels.len() && both => "negative",
            _ => continue,
        };
        return Err(BindError::Undefined { metric: info.name, why: format!("target {column} has no {which} row") });
    }
    Ok(columns)
}

/// Where a probability is cut as long as no cut was fitted.
const HALF: f64 = 0.5;

impl BoundRate {
    /// Binds `rate` to labels that are 0 and 1 or classes.
    pub(crate) fn bind(info: &'static Info, rate: Rate, labels: Labels) -> Result<Box<dyn Bound>, BindError> {
        let undefined = |why: String| Err(BindError::Undefined { metric: info.name, why });
        let truth = match &labels.values {
            LabelValues::Class { labels, names } => {
                let mut present = vec![false; names.len()];
                for &class in labels {
                    match present.get_mut(class as usize) {
                        Some(it) => *it = true,
                        None => {
                            return undefined(format!("a label is class {class}, there are {} classes", names.len()));
                        }
                    }
                }
                let classes = present.iter().filter(|it| **it).count();
                if classes < rate.needs {
                    return undefined(format!("{classes} class is in the truth, {} are needed", rate.needs));
                }
                Labelled::Classes { labels: labels.clone(), n_classes: names.len() }
            }
            _ => Labelled::Columns(columns(info, rate, metric::zeros_and_ones(info, labels.clone())?)?),
        };
        let smooth = if matches!(truth, Labelled::Columns(_)) { "log_loss" } else { "multiclass_log_loss" };
        let surrogate = metric::plain(smooth).bind(labels.clone())?;
        Ok(Box::new(Self { truth, weights: labels.weights, rate, surrogate }))
    }

    fn weight(&self, row: usize) -> f64 {
        self.weights.as_ref().map_or(1.0, |w| w[row])
    }

    /// The best score of one column, and the lowest value that counts as 1.
    fn cut(&self, labels: &[u8], p: &[f64]) -> (f64, f64) {
        let order = ascending(p);
        let mass = self.weights.as_deref().map_or(labels.len() as f64, num::sum);
        let actual = (0..labels.len()).filter(|&row| labels[row] == 1).map(|row| self.weight(row)).sum::<f64>() / mass;
        // From all rows below the cut down to all rows at or above it.
        let mut positive = Tally { hit: 0.0, predicted: 0.0, actual };
        let highest = order.last().map_or(HALF, |&row| p[row as usize]);
        let mut best = (self.rate.binary(positive), highest.next_up());
        let bounds: Vec<_> = runs(p, &order).collect();
        for run in bounds.iter().rev() {
            for &row in &order[run.clone()] {
                let share = self.weight(row as usize) / mass;
                positive.predicted += share;
                positive.hit += if labels[row as usize] == 1 { share } else { 0.0 };
            }
            let score = self.rate.binary(positive);
            if score > best.0 {
                let value = p[order[run.start] as usize];
                let below = run.start.checked_sub(1).map(|at| p[order[at] as usize]);
                best = (score, below.map_or(value, |below| between(below, value)));
            }
        }
        best
    }
}

impl Bound for BoundRate {
    fn n_rows(&self) -> usize {
        match &self.truth {
            Labelled::Columns(columns) => columns[0].len(),
            Labelled::Classes { labels, .. } => labels.len(),
        }
    }

    fn n_outputs(&self) -> usize {
        match &self.truth {
            Labelled::Columns(columns) => columns.len(),
            Labelled::Classes { n_classes, .. } => *n_classes,
        }
    }

    fn direction(&self) -> Direction {
        Direction::Higher
    }

    fn judges_rows_alone(&self) -> bool {
        true
    }

    fn judge(&self) -> Judge<'_> {
        Judge::Additive(self)
    }

    fn cuts(&self) -> Option<&dyn Cuts> {
        matches!(self.truth, Labelled::Columns(_)).then_some(self)
    }

    fn surrogate(&self) -> Option<&dyn Bound> {
        Some(&*self.surrogate)
    }

    fn smooth(&self, _space: SpaceName) -> Option<Smooth<'_>> {
        None
    }
}

/// Per column or class: hit, predicted, actual.
const TERMS: usize = 3;

impl Additive for BoundRate {
    fn n_terms(&self) -> usize {
        TERMS * self.n_outputs()
    }

    fn terms(&self, start: usize, prediction: &Block, out: &mut Block) {
        let n = prediction.n_rows();
        match &self.truth {
            Labelled::Columns(columns) => {
                for (output, labels) in columns.iter().enumerate() {
                    for row in 0..n {
                        let (p, y) = (prediction.get(output, row) >= HALF, labels[start + row] == 1);
                        let terms = [p && y, p, y];
                        (0..TERMS)
                            .for_each(|term| out.set(TERMS * output + term, row, f64::from(u8::from(terms[term]))));
                    }
                }
            }
            Labelled::Classes { labels, n_classes } => {
                out.fill(0.0);
                for row in 0..n {
                    let at = |class: usize| prediction.get(class, row);
                    let predicted =
                        (1..*n_classes).fold(0, |best, class| if at(class) > at(best) { class } else { best });
                    let actual = labels[start + row] as usize;
                    out.set(TERMS * predicted + 1, row, 1.0);
                    out.set(TERMS * actual + 2, row, 1.0);
                    if predicted == actual {
                        out.set(TERMS * actual, row, 1.0);
                    }
                }
            }
        }
    }

    fn row_weights(&self) -> Option<&[f64]> {
        self.weights.as_deref()
    }

    fn finish(&self, means: &[f64]) -> f64 {
        let tallies: Vec<Tally> = means
            .chunks_exact(TERMS)
            .map(|terms| Tally { hit: terms[0], predicted: terms[1], actual: terms[2] })
            .collect();
        match &self.truth {
            Labelled::Columns(_) => {
                tallies.iter().map(|tally| self.rate.binary(*tally)).sum::<f64>() / tallies.len() as f64
            }
            Labelled::Classes { .. } => (self.rate.classes)(&tallies),
        }
    }
}

impl Cuts for BoundRate {
    fn fit(&self, prediction: &Block) -> Vec<Scale> {
        let Labelled::Columns(columns) = &self.truth else { return Vec::new() };
        let cut = |(output, labels): (usize, &Vec<u8>)| self.cut(labels, prediction.column(output)).1;
        columns.iter().enumerate().map(cut).map(|cut| Scale::counting(vec![cut])).collect()
    }

    fn best(&self, prediction: &Block) -> f64 {
        let Labelled::Columns(columns) = &self.truth else { return f64::NAN };
        let score = |(output, labels): (usize, &Vec<u8>)| self.cut(labels, prediction.column(output)).0;
        columns.iter().enumerate().map(score).sum::<f64>() / columns.len() as f64
    }
}

//! A metric that is computed outside this room, by a graph: truth and prediction go in, one score of all rows or a loss
//! of each comes out.

use crate::{
    block::Block,
    judge::{Additive, Bound, Judge, Whole},
    metric::{BindError, Info, Metric, Target, wrong_kind},
    output::OutputKind,
    score::{Direction, Loss},
    space::SpaceName,
    truth::{LabelValues, Labels},
};
use std::sync::{Arc, Mutex, PoisonError};

/// What computes the metric.
pub trait Scorer: Send + Sync {
    /// One value for all rows or one for each, of `truth`, shape `(n_targets, n_rows)` (classes: one column of their
    /// positions), and `prediction`, shape `(n_outputs, n_rows)`. An error says why there is none.
    fn values(&self, truth: &Block, prediction: &Block) -> Result<Vec<f64>, String>;
}

/// A [`Scorer`] as a metric.
pub struct Outside {
    label: String,
    info: &'static Info,
    scorer: Arc<dyn Scorer>,
    fault: Arc<Fault>,
}

/// The first thing that went wrong while scores were asked for, which have no way to say so.
#[derive(Default)]
struct Fault(Mutex<Option<String>>);

impl Fault {
    fn latch(&self, why: String) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(why);
    }
}

const fn info(direction: Direction, target: Target) -> Info {
    Info {
        name: "graph",
        formula: "what the graph computes from `truth` and `prediction`: one score, or the mean of a loss per row",
        unit: "the graph's",
        range: (f64::NEG_INFINITY, f64::INFINITY),
        optimum: f64::NAN,
        direction,
        source: "an ONNX graph of the competition",
        target,
        options: &["graph", "better", "labels"],
        space: SpaceName::Linear,
        predictions: match target {
            Target::Classes => &[OutputKind::ClassProbabilities, OutputKind::Probability],
            _ => &[OutputKind::Value, OutputKind::Probability, OutputKind::Rank, OutputKind::Label],
        },
    }
}

static LOWER: Info = info(Direction::Lower, Target::Number);
static HIGHER: Info = info(Direction::Higher, Target::Number);
static LOWER_CLASSES: Info = info(Direction::Lower, Target::Classes);
static HIGHER_CLASSES: Info = info(Direction::Higher, Target::Classes);

impl Outside {
    /// `label` names the metric wherever scores are compared: it says which graph, not only that it is one.
    #[must_use]
    pub fn new(label: String, direction: Direction, classes: bool, scorer: Arc<dyn Scorer>) -> Self {
        let info = match (direction, classes) {
            (Direction::Lower, false) => &LOWER,
            (Direction::Higher, false) => &HIGHER,
            (Direction::Lower, true) => &LOWER_CLASSES,
            (Direction::Higher, true) => &HIGHER_CLASSES,
        };
        Self { label, info, scorer, fault: Arc::default() }
    }
}

impl Metric for Outside {
    fn info(&self) -> &'static Info {
        self.info
    }

    fn label(&self) -> String {
        self.label.clone()
    }

    /// Refuses what gives no number, another number when asked again, or a loss of a row that other rows change.
    fn bind(&self, labels: Labels) -> Result<Box<dyn Bound>, BindError> {
        let undefined = |why: String| BindError::Undefined { metric: self.info.name, why };
        let (truth, likely) = match (&labels.values, self.info.target) {
            (LabelValues::Class { labels, names }, Target::Classes) => {
                let truth = Block::from_columns(&[labels.iter().map(|&class| f64::from(class)).collect()]);
                let n = names.len();
                let share = |class: usize, y: u32| 0.75 * f64::from(u8::from(y as usize == class)) + 0.25 / n as f64;
                let likely: Vec<Vec<f64>> =
                    (0..n).map(|class| labels.iter().map(|&y| share(class, y)).collect()).collect();
                (truth, Block::from_columns(&likely))
            }
            (LabelValues::Real(columns), Target::Number) => (Block::from_columns(columns), toward_mean(columns)),
            (LabelValues::Binary(columns), Target::Number) => {
                let columns: Vec<Vec<f64>> =
                    columns.iter().map(|c| c.iter().map(|&y| f64::from(y)).collect()).collect();
                (Block::from_columns(&columns), toward_mean(&columns))
            }
            _ => return Err(wrong_kind(self.info, &labels)),
        };
        let ask = |truth: &Block, prediction: &Block| asked(&*self.scorer, truth, prediction).map_err(undefined);
        let n_rows = truth.n_rows();
        let turned: Vec<usize> = (0..n_rows).map(|row| (row + 1) % n_rows).collect();
        let mut per_row = true;
        for prediction in [likely.clone(), likely.select(&turned)] {
            let values = ask(&truth, &prediction)?;
            let again = ask(&truth, &prediction)?;
            if values.iter().map(|v| v.to_bits()).ne(again.iter().map(|v| v.to_bits())) {
                return Err(undefined("the graph gives another value when it is asked again".to_owned()));
            }
            per_row = n_rows > 1 && values.len() == n_rows;
            if per_row {
                let half: Vec<usize> = (0..n_rows.div_ceil(2)).collect();
                let alone = ask(&truth.select(&half), &prediction.select(&half))?;
                let close = |(a, b): (&f64, &f64)| (a - b).abs() <= 1e-5 * (1.0 + a.abs());
                if alone.len() != half.len() || !alone.iter().zip(&values).all(close) {
                    let why = "the loss of a row changes with the other rows: let the graph give one value for all";
                    return Err(undefined(why.to_owned()));
                }
            }
        }
        if !per_row && labels.weights.is_some() {
            let why = "rows have weights, and the graph gives one value for all rows, not a loss for each";
            return Err(undefined(why.to_owned()));
        }
        Ok(Box::new(BoundOutside {
            truth,
            n_outputs: likely.n_outputs(),
            per_row,
            weights: labels.weights,
            direction: self.info.direction,
            scorer: self.scorer.clone(),
            fault: self.fault.clone(),
        }))
    }

    fn fault(&self) -> Option<String> {
        self.fault.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Predictions that any metric should have a value for: labels moved a quarter of the way to their mean.
fn toward_mean(columns: &[Vec<f64>]) -> Block {
    let moved = |column: &Vec<f64>| {
        let mean = crate::num::sum(column) / column.len() as f64;
        column.iter().map(|y| 0.75 * y + 0.25 * mean).collect()
    };
    Block::from_columns(&columns.iter().map(moved).collect::<Vec<_>>())
}

/// The values, finite and as many as there can be.
fn asked(scorer: &dyn Scorer, truth: &Block, prediction: &Block) -> Result<Vec<f64>, String> {
    let values = scorer.values(truth, prediction)?;
    if let Some(value) = values.iter().find(|value| !value.is_finite()) {
        return Err(format!("the graph gives {value}"));
    }
    match values.len() {
        1 => Ok(values),
        n if n == truth.n_rows() => Ok(values),
        n => Err(format!("the graph gives {n} values for {} rows: one is wanted, or one for each", truth.n_rows())),
    }
}

struct BoundOutside {
    truth: Block,
    n_outputs: usize,
    per_row: bool,
    weights: Option<Vec<f64>>,
    direction: Direction,
    scorer: Arc<dyn Scorer>,
    fault: Arc<Fault>,
}

impl BoundOutside {
    /// The values, or as many of the worst.
    fn values(&self, truth: &Block, prediction: &Block, n: usize) -> Vec<f64> {
        let values = asked(&*self.scorer, truth, prediction).and_then(|values| {
            if values.len() == n {
                Ok(values)
            } else {
                Err(format!("the graph gives {} values, not {n}", values.len()))
            }
        });
        values.unwrap_or_else(|why| {
            self.fault.latch(why);
            vec![self.worst(); n]
        })
    }

    fn worst(&self) -> f64 {
        self.direction.score(Loss::new(f64::INFINITY)).0
    }
}

impl Bound for BoundOutside {
    fn n_rows(&self) -> usize {
        self.truth.n_rows()
    }

    fn n_outputs(&self) -> usize {
        self.n_outputs
    }

    fn direction(&self) -> Direction {
        self.direction
    }

    fn judges_rows_alone(&self) -> bool {
        self.per_row
    }

    fn judge(&self) -> Judge<'_> {
        if self.per_row { Judge::Additive(self) } else { Judge::Whole(self) }
    }
}

impl Additive for BoundOutside {
    fn n_terms(&self) -> usize {
        1
    }

    fn terms(&self, start: usize, prediction: &Block, out: &mut Block) {
        let rows: Vec<usize> = (start..start + prediction.n_rows()).collect();
        let values = self.values(&self.truth.select(&rows), prediction, rows.len());
        out.column_mut(0).copy_from_slice(&values);
    }

    fn row_weights(&self) -> Option<&[f64]> {
        self.weights.as_deref()
    }

    fn finish(&self, means: &[f64]) -> f64 {
        if means[0].is_finite() { means[0] } else { self.worst() }
    }
}

impl Whole for BoundOutside {
    fn score(&self, prediction: &Block, counts: Option<&[u32]>) -> f64 {
        let Some(counts) = counts else { return self.values(&self.truth, prediction, 1)[0] };
        // A row that was drawn twice stands twice.
        let rows: Vec<usize> =
            counts.iter().enumerate().flat_map(|(row, &n)| std::iter::repeat_n(row, n as usize)).collect();
        self.values(&self.truth.select(&rows), &prediction.select(&rows), 1)[0]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::judge::{score, score_blocks};
    use std::sync::atomic::{AtomicU64, Ordering};

    struct Made<F>(F);

    impl<F: Fn(&Block, &Block) -> Vec<f64> + Send + Sync> Scorer for Made<F> {
        fn values(&self, truth: &Block, prediction: &Block) -> Result<Vec<f64>, String> {
            Ok((self.0)(truth, prediction))
        }
    }

    fn squares(truth: &Block, prediction: &Block) -> Vec<f64> {
        let cells = truth.column(0).iter().zip(prediction.column(0));
        cells.map(|(y, p)| (y - p) * (y - p)).collect()
    }

    fn mean(values: &[f64]) -> f64 {
        values.iter().sum::<f64>() / values.len() as f64
    }

    fn outside(scorer: impl Fn(&Block, &Block) -> Vec<f64> + Send + Sync + 'static) -> Outside {
        Outside::new("graph(made)".to_owned(), Direction::Lower, false, Arc::new(Made(scorer)))
    }

    fn labels(weights: Option<Vec<f64>>) -> Labels {
        Labels { values: LabelValues::Real(vec![vec![1.0, 2.0, 4.0, 0.0, 3.0]]), weights }
    }

    fn prediction() -> Block {
        Block::from_columns(&[vec![1.5, 2.0, 3.0, 1.0, 2.5]])
    }

    #[test]
    fn losses_per_row_are_averaged_with_weights() {
        let weights = vec![1.0, 2.0, 1.0, 0.5, 3.0];
        let mse = crate::metric::plain("mse").bind(labels(Some(weights.clone()))).unwrap();
        let bound = outside(squares).bind(labels(Some(weights))).unwrap();
        let wanted = score(&*mse, &prediction());
        assert!((score(&*bound, &prediction()) - wanted).abs() < 1e-15);
        let parts = score_blocks(&*bound, &[2, 5], |block, out| {
            *out = prediction().select(if block == 0 { &[0, 1] } else { &[2, 3, 4] });
        });
        assert!((parts - wanted).abs() < 1e-15);
    }

    #[test]
    fn one_value_is_the_score_and_rows_may_count_twice() {
        let metric = outside(|truth, prediction| vec![mean(&squares(truth, prediction))]);
        let bound = metric.bind(labels(None)).unwrap();
        let mse = crate::metric::plain("mse").bind(labels(Some(vec![2.0, 1.0, 3.0, 1.0, 1.0]))).unwrap();
        let Judge::Whole(whole) = bound.judge() else { panic!() };
        let counted = whole.score(&prediction(), Some(&[2, 1, 3, 1, 1]));
        assert!((counted - score(&*mse, &prediction())).abs() < 1e-15);
        let refused = metric.bind(labels(Some(vec![1.0; 5]))).err().unwrap();
        assert!(refused.to_string().contains("rows have weights"), "{refused}");
    }

    #[test]
    fn what_is_no_metric_is_refused() {
        let refused = |metric: Outside| metric.bind(labels(None)).err().unwrap().to_string();
        let calls = AtomicU64::new(0);
        let moody = outside(move |_, _| vec![calls.fetch_add(1, Ordering::Relaxed) as f64]);
        assert!(refused(moody).contains("another value when it is asked again"));
        assert!(refused(outside(|_, _| vec![f64::NAN])).contains("gives NaN"));
        assert!(refused(outside(|_, _| vec![1.0, 2.0])).contains("2 values for 5 rows"));
        let relative = outside(|truth, prediction| {
            let losses = squares(truth, prediction);
            let mean = mean(&losses);
            losses.iter().map(|loss| loss / mean).collect()
        });
        assert!(refused(relative).contains("changes with the other rows"));
        let directions = Labels { values: LabelValues::Directions(vec![[1.0, 0.0, 0.0]]), weights: None };
        assert!(matches!(outside(squares).bind(directions), Err(BindError::Kind { .. })));
    }

    #[test]
    fn classes_come_as_positions_and_their_prediction_has_a_column_each() {
        let names = ["a", "b", "c"].map(str::to_owned).to_vec();
        let labels = Labels { values: LabelValues::Class { labels: vec![2, 0, 1], names }, weights: None };
        let likelihood = |truth: &Block, prediction: &Block| -> Vec<f64> {
            truth.column(0).iter().enumerate().map(|(row, class)| prediction.get(*class as usize, row)).collect()
        };
        let metric = Outside::new("graph(made)".to_owned(), Direction::Higher, true, Arc::new(Made(likelihood)));
        let bound = metric.bind(labels).unwrap();
        assert_eq!(bound.n_outputs(), 3);
        let prediction = Block::from_columns(&[vec![0.1, 0.5, 0.3], vec![0.1, 0.3, 0.4], vec![0.8, 0.2, 0.3]]);
        assert!((score(&*bound, &prediction) - (0.8 + 0.5 + 0.4) / 3.0).abs() < 1e-15);
    }

    #[test]
    fn what_goes_wrong_later_is_kept() {
        let roots = |truth: &Block, prediction: &Block| -> Vec<f64> {
            squares(truth, prediction).iter().zip(prediction.column(0)).map(|(x, p)| x + libm::sqrt(*p)).collect()
        };
        let metric = outside(roots);
        let bound = metric.bind(labels(None)).unwrap();
        assert!(score(&*bound, &prediction()).is_finite() && metric.fault().is_none());
        let mut below = prediction();
        below.set(0, 2, -1.0);
        assert_eq!(score(&*bound, &below), f64::INFINITY);
        assert!(metric.fault().unwrap().contains("gives NaN"));
    }
}

//! Items in the order of their predicted values, row by row: what mean average precision, discounted gain and top-k
//! accuracy look at. An item is a class, or a column of the truth; the first of equals stands first.

use crate::{
    block::Block,
    judge::{Additive, Bound, Judge},
    metric::{self, BindError, Info},
    score::Direction,
    truth::{LabelValues, Labels},
};

/// What a row's order is worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Worth {
    /// Mean of the precisions at the places of relevant items.
    AveragePrecision,
    /// Relevance discounted by the logarithm of the place, over the highest that any order has.
    DiscountedGain,
    /// Whether any relevant item is there.
    Hit,
}

/// A worth bound to what is relevant.
pub(crate) struct BoundRanking {
    relevant: Relevant,
    weights: Option<Vec<f64>>,
    worth: Worth,
    /// Places that count.
    k: usize,
    surrogate: Box<dyn Bound>,
}

enum Relevant {
    /// One class per row.
    Class { labels: Vec<u32>, n_classes: usize },
    /// Relevance of each item, not negative.
    Columns(Vec<Vec<f64>>),
}

impl BoundRanking {
    pub(crate) fn bind(
        info: &'static Info,
        worth: Worth,
        k: usize,
        labels: Labels,
    ) -> Result<Box<dyn Bound>, BindError> {
        let undefined = |why: String| Err(BindError::Undefined { metric: info.name, why });
        let smooth = if matches!(labels.values, LabelValues::Class { .. }) { "multiclass_log_loss" } else { "mse" };
        let relevant = match &labels.values {
            LabelValues::Class { labels, names } => {
                if let Some(class) = labels.iter().find(|class| **class as usize >= names.len()) {
                    return undefined(format!("a label is class {class}, there are {} classes", names.len()));
                }
                Relevant::Class { labels: labels.clone(), n_classes: names.len() }
            }
            _ => {
                let (columns, _) = metric::numbers(info, labels.clone())?;
                if let Some(y) = columns.iter().flatten().find(|y| **y < 0.0) {
                    return undefined(format!("a relevance is {y}, below 0"));
                }
                if let Some(row) = (0..columns[0].len()).find(|&row| columns.iter().all(|column| column[row] == 0.0)) {
                    return undefined(format!("row {row} of those judged has no relevant item"));
                }
                Relevant::Columns(columns)
            }
        };
        let surrogate = metric::plain(smooth).bind(labels.clone())?;
        Ok(Box::new(Self { relevant, weights: labels.weights, worth, k, surrogate }))
    }

    /// What the order of one row's items by `p` is worth, the class of `label` being the relevant one.
    fn of_class(&self, label: usize, n_classes: usize, p: impl Fn(usize) -> f64) -> f64 {
        let own = p(label);
        let above = (0..n_classes).filter(|&class| p(class) > own).count();
        let tied = |classes: std::ops::Range<usize>| classes.filter(|&class| p(class) == own).count();
        let place = above + tied(0..label);
        match self.worth {
            Worth::AveragePrecision if place < self.k => 1.0 / (place + 1) as f64,
            Worth::Hit if place < self.k => 1.0,
            Worth::DiscountedGain => {
                let tied = tied(0..n_classes).max(1);
                (above..above + tied).map(|place| self.discount(place)).sum::<f64>() / tied as f64
            }
            _ => 0.0,
        }
    }

    /// The factor of relevance at a place, counted from 0.
    fn discount(&self, place: usize) -> f64 {
        if place < self.k { 1.0 / libm::log2(place as f64 + 2.0) } else { 0.0 }
    }

    /// The same, of a row whose items have relevances.
    fn of_items(&self, relevance: &[f64], p: &[f64], order: &mut Vec<usize>) -> f64 {
        let n = relevance.len();
        let sort = |order: &mut Vec<usize>, values: &[f64]| {
            order.clear();
            order.extend(0..n);
            order.sort_by(|&a, &b| values[b].total_cmp(&values[a]));
        };
        let n_relevant = relevance.iter().filter(|y| **y > 0.0).count();
        if self.worth == Worth::DiscountedGain {
            sort(order, relevance);
            let ideal: f64 =
                order.iter().enumerate().map(|(place, &item)| relevance[item] * self.discount(place)).sum();
            sort(order, p);
            let (mut gain, mut start) = (0.0, 0);
            while start < n {
                // Items of one value share their places.
                let same = order[start..].iter().take_while(|&&item| p[item] == p[order[start]]).count().max(1);
                let places = start..start + same;
                let mean = order[places.clone()].iter().map(|&item| relevance[item]).sum::<f64>() / same as f64;
                gain += mean * places.map(|place| self.discount(place)).sum::<f64>();
                start += same;
            }
            return gain / ideal;
        }
        sort(order, p);
        let top = order.iter().take(self.k).enumerate().filter(|(_, item)| relevance[**item] > 0.0);
        if self.worth == Worth::Hit {
            return f64::from(u8::from(top.count() > 0));
        }
        let precisions = top.enumerate().map(|(before, (place, _))| (before + 1) as f64 / (place + 1) as f64);
        precisions.sum::<f64>() / n_relevant.min(self.k) as f64
    }
}

impl Bound for BoundRanking {
    fn n_rows(&self) -> usize {
        match &self.relevant {
            Relevant::Class { labels, .. } => labels.len(),
            Relevant::Columns(columns) => columns[0].len(),
        }
    }

    fn n_outputs(&self) -> usize {
        match &self.relevant {
            Relevant::Class { n_classes, .. } => *n_classes,
            Relevant::Columns(columns) => columns.len(),
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

    fn surrogate(&self) -> Option<&dyn Bound> {
        Some(&*self.surrogate)
    }
}

impl Additive for BoundRanking {
    fn n_terms(&self) -> usize {
        1
    }

    fn terms(&self, start: usize, prediction: &Block, out: &mut Block) {
        let out = out.column_mut(0);
        match &self.relevant {
            Relevant::Class { labels, n_classes } => {
                for (row, (out, &label)) in out.iter_mut().zip(&labels[start..start + prediction.n_rows()]).enumerate()
                {
                    *out = self.of_class(label as usize, *n_classes, |class| prediction.get(class, row));
                }
            }
            Relevant::Columns(columns) => {
                let (mut order, mut relevance, mut p) = (Vec::new(), Vec::new(), Vec::new());
                for (row, out) in out.iter_mut().enumerate() {
                    relevance.clear();
                    relevance.extend(columns.iter().map(|column| column[start + row]));
                    p.clear();
                    p.extend((0..columns.len()).map(|item| prediction.get(item, row)));
                    *out = self.of_items(&relevance, &p, &mut order);
                }
            }
        }
    }

    fn row_weights(&self) -> Option<&[f64]> {
        self.weights.as_deref()
    }

    fn finish(&self, means: &[f64]) -> f64 {
        means[0]
    }
}

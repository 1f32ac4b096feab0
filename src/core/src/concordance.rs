//! Harrell's concordance index: of the pairs of which one is known to have lived longer, the share whose order is
//! predicted.
//!
//! A pair is comparable where the earlier time ends in an event, or where both times are equal and only one does: then
//! the other one lived longer. Predictions are risks: the higher, the earlier the event; equal risks count half. In
//! O(n log n): rows are taken from the latest time on and put into a tree of counts over the risks.

use crate::{
    block::Block,
    judge::{Bound, Judge, Whole},
    metric::{BindError, Info, wrong_kind},
    num,
    order::{ascending, runs},
    score::Direction,
    truth::{LabelValues, Labels},
};

/// The index over all rows, or the mean over strata less the standard deviation.
pub(crate) struct BoundConcordance {
    /// Rows of each stratum by ascending time.
    strata: Vec<Vec<u32>>,
    time: Vec<f64>,
    event: Vec<u8>,
    weights: Option<Vec<f64>>,
}

impl BoundConcordance {
    pub(crate) fn bind(info: &'static Info, stratified: bool, labels: Labels) -> Result<Box<dyn Bound>, BindError> {
        let undefined = |why: &str| Err(BindError::Undefined { metric: info.name, why: why.to_owned() });
        let LabelValues::Survival { time, event, strata } = labels.values else {
            return Err(wrong_kind(info, &labels));
        };
        let stratum = match (stratified, strata) {
            (false, _) => vec![0; time.len()],
            (true, Some(strata)) => strata,
            (true, None) => return undefined("no strata are named"),
        };
        let n_strata = stratum.iter().max().map_or(0, |&last| last as usize + 1);
        let mut strata = vec![Vec::new(); n_strata];
        ascending(&time).into_iter().for_each(|row| strata[stratum[row as usize] as usize].push(row));
        strata.retain(|rows| !rows.is_empty());
        let bound = Self { strata, time, event, weights: labels.weights };
        if bound.strata.iter().any(|rows| !bound.is_comparable(rows)) {
            return undefined(if stratified {
                "a stratum has no two comparable rows"
            } else {
                "no two rows are comparable"
            });
        }
        Ok(Box::new(bound))
    }

    /// Whether the rows, by ascending time, have a comparable pair.
    fn is_comparable(&self, rows: &[u32]) -> bool {
        let event = |row: &u32| self.event[*row as usize] == 1;
        let last = rows.last().map_or(0.0, |&row| self.time[row as usize]);
        let at_last = rows.iter().filter(|row| self.time[**row as usize] == last);
        rows.iter().any(|row| event(row) && self.time[*row as usize] < last)
            || at_last.clone().any(event) && at_last.clone().any(|row| !event(row))
    }

    /// The index over one stratum; 0.5 where no pair is left to compare.
    fn index(&self, rows: &[u32], risk: &[f64], weight: impl Fn(usize) -> f64) -> f64 {
        // Places of the risks, equal ones alike.
        let risks: Vec<f64> = rows.iter().map(|&row| risk[row as usize]).collect();
        let order = ascending(&risks);
        let mut place = vec![0; rows.len()];
        let mut n_places = 0;
        for run in runs(&risks, &order) {
            order[run].iter().for_each(|&at| place[at as usize] = n_places);
            n_places += 1;
        }
        let mut later = Counts::new(n_places);
        let (mut concordant, mut comparable) = (0.0, 0.0);
        let mut end = rows.len();
        while end > 0 {
            let time = self.time[rows[end - 1] as usize];
            let start = rows[..end].iter().rposition(|&row| self.time[row as usize] < time).map_or(0, |at| at + 1);
            let event = |at: &usize| self.event[rows[*at] as usize] == 1;
            // Who is censored at a time lived longer than who has the event then.
            (start..end).filter(|at| !event(at)).for_each(|at| later.add(place[at], weight(rows[at] as usize)));
            for at in (start..end).filter(event) {
                let own = weight(rows[at] as usize);
                let (below, equal) = (later.below(place[at]), later.at[place[at]]);
                concordant += own * (below + 0.5 * equal);
                comparable += own * later.total;
            }
            (start..end).filter(event).for_each(|at| later.add(place[at], weight(rows[at] as usize)));
            end = start;
        }
        if comparable > 0.0 { concordant / comparable } else { 0.5 }
    }
}

/// Weights by place, with sums of all places below another (Fenwick 1994).
struct Counts {
    tree: Vec<f64>,
    at: Vec<f64>,
    total: f64,
}

impl Counts {
    fn new(n: usize) -> Self {
        Self { tree: vec![0.0; n + 1], at: vec![0.0; n], total: 0.0 }
    }

    fn add(&mut self, place: usize, weight: f64) {
        self.at[place] += weight;
        self.total += weight;
        let mut node = place + 1;
        while node < self.tree.len() {
            self.tree[node] += weight;
            node += node & node.wrapping_neg();
        }
    }

    fn below(&self, place: usize) -> f64 {
        let (mut sum, mut node) = (0.0, place);
        while node > 0 {
            sum += self.tree[node];
            node &= node - 1;
        }
        sum
    }
}

impl Bound for BoundConcordance {
    fn n_rows(&self) -> usize {
        self.time.len()
    }

    fn n_outputs(&self) -> usize {
        1
    }

    fn direction(&self) -> Direction {
        Direction::Higher
    }

    fn judge(&self) -> Judge<'_> {
        Judge::Whole(self)
    }
}

impl Whole for BoundConcordance {
    fn score(&self, prediction: &Block, counts: Option<&[u32]>) -> f64 {
        let weight = |row: usize| {
            self.weights.as_ref().map_or(1.0, |w| w[row]) * counts.map_or(1.0, |counts| f64::from(counts[row]))
        };
        let risk = prediction.column(0);
        let indices: Vec<f64> = self.strata.iter().map(|rows| self.index(rows, risk, weight)).collect();
        let n = indices.len() as f64;
        let mean = num::sum(&indices) / n;
        let squares: Vec<f64> = indices.iter().map(|c| (c - mean) * (c - mean)).collect();
        mean - libm::sqrt(num::sum(&squares) / n)
    }
}

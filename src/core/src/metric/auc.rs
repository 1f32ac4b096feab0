//! Area under the ROC curve, averaged over columns: the chance that a positive row outranks a negative one, ties
//! counting half.

use super::{BindError, Info, Metric, Target, plain, wrong_kind};
use crate::{
    block::Block,
    judge::{Bound, Judge, Resampled, Whole},
    output::OutputKind,
    score::Direction,
    space::SpaceName,
    truth::{LabelValues, Labels},
};

pub(super) const INFO: Info = Info {
    name: "auc",
    formula: "mean over columns of P(p of a positive > p of a negative) + P(equal) / 2",
    unit: "1",
    range: (0.0, 1.0),
    optimum: 1.0,
    direction: Direction::Higher,
    source: "Hanley and McNeil 1982; scikit-learn roc_auc_score (macro)",
    target: Target::Binary,
    options: &[],
    space: SpaceName::Rank,
    predictions: &[OutputKind::Probability, OutputKind::Value, OutputKind::Rank],
};

pub(super) struct Auc;

impl Metric for Auc {
    fn info(&self) -> &'static Info {
        &INFO
    }

    fn bind(&self, labels: Labels) -> Result<Box<dyn Bound>, BindError> {
        let surrogate = plain("mse").bind(labels.clone()).ok();
        let columns: Vec<Vec<u8>> = match labels.values {
            LabelValues::Binary(columns) => columns,
            LabelValues::Real(columns) if columns.iter().flatten().all(|y| *y == 0.0 || *y == 1.0) => {
                columns.into_iter().map(|c| c.into_iter().map(|y| y as u8).collect()).collect()
            }
            _ => return Err(wrong_kind(&INFO, &labels)),
        };
        for (column, labels) in columns.iter().enumerate() {
            let positives = labels.iter().filter(|y| **y == 1).count();
            if positives == 0 || positives == labels.len() {
                let missing = if positives == 0 { "positive" } else { "negative" };
                let why = format!("target {column} has no {missing} row");
                return Err(BindError::Undefined { metric: INFO.name, why });
            }
        }
        Ok(Box::new(BoundAuc { columns, weights: labels.weights, surrogate }))
    }
}

struct BoundAuc {
    columns: Vec<Vec<u8>>,
    weights: Option<Vec<f64>>,
    surrogate: Option<Box<dyn Bound>>,
}

impl Bound for BoundAuc {
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
        Judge::Whole(self)
    }

    fn surrogate(&self) -> Option<&dyn Bound> {
        self.surrogate.as_deref()
    }
}

impl BoundAuc {
    /// The mean over columns of what `one` says of each: its labels and its predictions.
    fn mean(&self, one: impl FnMut((usize, &Vec<u8>)) -> f64) -> f64 {
        let total: f64 = self.columns.iter().enumerate().map(one).sum();
        total / self.columns.len() as f64
    }

    fn weight(&self, row: usize, counts: Option<&[u32]>) -> f64 {
        self.weights.as_ref().map_or(1.0, |w| w[row]) * counts.map_or(1.0, |counts| f64::from(counts[row]))
    }
}

impl Whole for BoundAuc {
    fn score(&self, prediction: &Block, counts: Option<&[u32]>) -> f64 {
        if self.weights.is_none() && counts.is_none() {
            let mut room = Room::new(prediction.n_rows());
            return self.mean(|(column, labels)| of_equal_rows(labels, prediction.column(column), &mut room));
        }
        self.mean(|(column, labels)| {
            Ascending::new(prediction.column(column)).auc(labels, |row| self.weight(row, counts))
        })
    }

    fn resampled<'a>(&'a self, prediction: &'a Block) -> Resampled<'a> {
        let columns: Vec<Ascending> =
            (0..self.columns.len()).map(|column| Ascending::new(prediction.column(column))).collect();
        Box::new(move |counts: &[u32]| {
            self.mean(|(column, labels)| columns[column].auc(labels, |row| self.weight(row, Some(counts))))
        })
    }
}

/// A number whose order is that of the values; the two zeros are one.
fn key(value: f64) -> u64 {
    let bits = (value + 0.0).to_bits();
    // Of a negative value all bits are turned, of another the sign alone.
    bits ^ (((bits as i64) >> 63) as u64 | 1 << 63)
}

/// A place per row for keys, and as many to sort them with.
struct Room {
    keys: Vec<u64>,
    scratch: Vec<u64>,
}

impl Room {
    fn new(n_rows: usize) -> Self {
        Self { keys: vec![0; n_rows], scratch: vec![0; n_rows] }
    }
}

/// Radix sort, the least significant digit first: nearly all the time of a search on AUC is spent here. `scratch` is as
/// long as `keys`.
fn sort(keys: &mut [u64], scratch: &mut [u64]) {
    // More would scatter over more places than a cache keeps open.
    const BITS: usize = 8;
    /// Below that, counting digits takes longer than comparing keys.
    const SHORT: usize = 2_000;
    if keys.len() < SHORT {
        return keys.sort_unstable();
    }
    let digit = |key: u64, place: usize| (key >> (place * BITS)) as usize & ((1 << BITS) - 1);
    let mut starts = vec![[0_u32; 1 << BITS]; (u64::BITS as usize).div_ceil(BITS)];
    for &key in &*keys {
        starts.iter_mut().enumerate().for_each(|(place, counts)| counts[digit(key, place)] += 1);
    }
    let (mut from, mut to, mut moved) = (keys, scratch, false);
    for (place, starts) in starts.iter_mut().enumerate() {
        if starts[digit(from[0], place)] as usize == from.len() {
            continue; // all keys have this digit
        }
        let mut next = 0;
        starts.iter_mut().for_each(|start| next += std::mem::replace(start, next));
        for &key in &*from {
            let start = &mut starts[digit(key, place)];
            to[*start as usize] = key;
            *start += 1;
        }
        std::mem::swap(&mut from, &mut to);
        moved = !moved;
    }
    if moved {
        to.copy_from_slice(from);
    }
}

/// AUC of one column whose rows weigh the same: both classes are sorted by themselves and merged, which counts in whole
/// numbers and carries no row along.
fn of_equal_rows(labels: &[u8], p: &[f64], Room { keys, scratch }: &mut Room) -> f64 {
    // Positives from the front, negatives from the back, without a branch that no processor could foresee.
    let (mut front, mut back) = (0, p.len());
    for (&label, &value) in labels.iter().zip(p) {
        let positive = usize::from(label == 1);
        back -= 1 - positive;
        keys[if label == 1 { front } else { back }] = key(value);
        front += positive;
    }
    let (positives, negatives) = keys.split_at_mut(front);
    sort(positives, &mut scratch[..positives.len()]);
    sort(negatives, &mut scratch[..negatives.len()]);
    let (mut below, mut up_to, mut twice_wins) = (0, 0, 0);
    for positive in &*positives {
        below += negatives[below..].iter().take_while(|negative| *negative < positive).count();
        up_to = below.max(up_to);
        up_to += negatives[up_to..].iter().take_while(|negative| *negative == positive).count();
        twice_wins += (below + up_to) as u64;
    }
    let pairs = positives.len() as f64 * negatives.len() as f64;
    if pairs > 0.0 { twice_wins as f64 / 2.0 / pairs } else { 0.5 }
}

/// The rows of a column in ascending order of their values.
struct Ascending {
    rows: Vec<u32>,
    /// Whether the next row's value is greater.
    is_last: Vec<bool>,
}

impl Ascending {
    fn new(p: &[f64]) -> Self {
        let mut order: Vec<(u64, u32)> = p.iter().map(|&value| key(value)).zip(0..).collect();
        order.sort_unstable();
        let is_last = (0..order.len()).map(|i| order.get(i + 1).is_none_or(|next| next.0 != order[i].0)).collect();
        Self { rows: order.into_iter().map(|(_, row)| row).collect(), is_last }
    }

    /// AUC with a `weight` per row. Replicates that drew no positive or no negative row give 0.5.
    fn auc(&self, labels: &[u8], weight: impl Fn(usize) -> f64) -> f64 {
        let (mut below, mut wins, mut positives) = (0.0, 0.0, 0.0);
        // Of the rows with one value: positive and negative ones.
        let (mut tied_positive, mut tied_negative) = (0.0, 0.0);
        for (&row, &is_last) in self.rows.iter().zip(&self.is_last) {
            let row = row as usize;
            if labels[row] == 1 {
                tied_positive += weight(row);
            } else {
                tied_negative += weight(row);
            }
            if is_last {
                wins += tied_positive * (below + 0.5 * tied_negative);
                below += tied_negative;
                positives += tied_positive;
                (tied_positive, tied_negative) = (0.0, 0.0);
            }
        }
        let pairs = positives * below;
        if pairs > 0.0 { wins / pairs } else { 0.5 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Every pair of a positive and a negative row, as the formula says.
    fn by_pairs(labels: &[u8], p: &[f64], weight: impl Fn(usize) -> f64) -> f64 {
        let (mut wins, mut pairs) = (0.0, 0.0);
        for i in (0..p.len()).filter(|&i| labels[i] == 1) {
            for j in (0..p.len()).filter(|&j| labels[j] == 0) {
                let pair = weight(i) * weight(j);
                pairs += pair;
                wins += pair * if p[i] > p[j] { 1.0 } else { f64::from(p[i] == p[j]) / 2.0 };
            }
        }
        if pairs > 0.0 { wins / pairs } else { 0.5 }
    }

    proptest! {
        #[test]
        fn every_way_to_count_gives_the_same_bits(
            rows in proptest::collection::vec(
                (prop_oneof![any::<f64>(), Just(0.0), Just(-0.0), Just(0.5), Just(-0.5)], 0_u8..2, 0_u32..4),
                1..60,
            ),
        ) {
            prop_assume!(rows.iter().all(|row| !row.0.is_nan()));
            let p: Vec<f64> = rows.iter().map(|row| row.0).collect();
            let labels: Vec<u8> = rows.iter().map(|row| row.1).collect();
            let counts: Vec<u32> = rows.iter().map(|row| row.2).collect();
            // Whole weights: every sum is exact, so that the order of summation cannot show.
            let equal = by_pairs(&labels, &p, |_| 1.0);
            prop_assert_eq!(of_equal_rows(&labels, &p, &mut Room::new(p.len())).to_bits(), equal.to_bits());
            prop_assert_eq!(Ascending::new(&p).auc(&labels, |_| 1.0).to_bits(), equal.to_bits());
            let bound = BoundAuc { columns: vec![labels.clone()], weights: None, surrogate: None };
            let block = Block::from_columns(std::slice::from_ref(&p));
            let drawn = by_pairs(&labels, &p, |row| f64::from(counts[row]));
            prop_assert_eq!(bound.score(&block, Some(&counts)).to_bits(), drawn.to_bits());
            prop_assert_eq!(bound.resampled(&block)(&counts).to_bits(), drawn.to_bits());
        }
    }

    #[test]
    fn long_lists_are_sorted_by_digits() {
        // All digits alike, some alike, none alike.
        for spread in [0, 0xffff, 0x00ff_ff00_0000_0000, u64::MAX] {
            let keys = |n: u64| (0..n).map(|i| (i * i).wrapping_mul(0x9e37_79b9_7f4a_7c15) & spread);
            let (mut got, mut wanted) = (keys(9_000).collect::<Vec<u64>>(), keys(9_000).collect::<Vec<u64>>());
            sort(&mut got, &mut vec![0; 9_000]);
            wanted.sort_unstable();
            assert_eq!(got, wanted, "{spread:x}");
        }
    }

    #[test]
    fn keys_have_the_order_of_values() {
        let values = [f64::NEG_INFINITY, -1.0, -5e-324, 0.0, 5e-324, 0.1, 1.0, f64::INFINITY];
        assert!(values.windows(2).all(|pair| key(pair[0]) < key(pair[1])));
        assert_eq!(key(-0.0), key(0.0));
    }
}

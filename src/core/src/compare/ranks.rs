//! The order of a column's values, found once for every method that looks at nothing else.

use multiversion::multiversion;
use std::ops::Range;

/// Bits of a digit of the radix sort.
const DIGIT_BITS: u32 = 11;
const DIGITS: usize = 1 << DIGIT_BITS;
/// Rows below which a sort by comparisons is done before the digits are counted.
const FEW: usize = 512;

/// The order of a column's values; NaN is the largest.
#[derive(Default)]
pub(crate) struct Ranks {
    /// Rows by ascending value; rows of equal values by row.
    pub(super) order: Vec<u32>,
    /// For each row its position in `order`.
    pub(super) place: Vec<u32>,
    /// The stretches of `order` with equal values, of two rows or more.
    pub(super) runs: Vec<Range<usize>>,
    /// Pairs of rows with equal values.
    pub(super) tied_pairs: u64,
}

impl Ranks {
    pub(crate) fn of(values: &[f64]) -> Self {
        let mut ranks = Self::default();
        ranks.put(values, &mut Sorter::default());
        ranks
    }

    /// Forgets what was and takes the order of `values`: memory is used again.
    pub(super) fn put<T: Value>(&mut self, values: &[T], sorter: &mut Sorter) {
        let exact = sorter.sort(values);
        let items = &sorter.items[..];
        self.order.clear();
        self.order.extend(items.iter().map(|item| *item as u32));
        self.place.resize(items.len(), 0);
        for (&row, at) in self.order.iter().zip(0..) {
            self.place[row as usize] = at;
        }
        let key = |item: u64| if exact { item >> 32 } else { values[item as u32 as usize].key() };
        (self.runs, self.tied_pairs) = (Vec::new(), 0);
        let mut start = 0;
        for at in 1..=items.len() {
            if at < items.len() && key(items[at - 1]) == key(items[at]) {
                continue;
            }
            let n = at - start;
            if n > 1 {
                self.tied_pairs += (n * (n - 1) / 2) as u64;
                self.runs.push(start..at);
            }
            start = at;
        }
    }

    /// Rows of equal values together, by ascending value.
    pub(crate) fn ties(&self) -> impl Iterator<Item = &[u32]> {
        let mut runs = self.runs.iter().peekable();
        let mut start = 0;
        std::iter::from_fn(move || {
            let run = runs.next_if(|run| run.start == start).cloned().unwrap_or(start..start + 1);
            start = run.end;
            self.order.get(run)
        })
    }

    /// Rows.
    pub(super) fn len(&self) -> usize {
        self.order.len()
    }

    /// For each row the number of rows with a smaller value.
    pub(super) fn below(&self) -> Vec<u32> {
        let mut below = self.place.clone();
        for run in &self.runs {
            self.order[run.clone()].iter().for_each(|&row| below[row as usize] = run.start as u32);
        }
        below
    }

    /// For each row how many rows have a smaller value, less how many have a larger one: twice its mean rank less twice
    /// the mean of all ranks. For less than 2^30 rows.
    pub(super) fn doubled(&self, doubled: &mut Vec<i32>) {
        let last = self.len() as i32 - 1;
        doubled.clear();
        doubled.extend(self.place.iter().map(|&place| (2 * place as i32).wrapping_sub(last)));
        for run in &self.runs {
            let mean = (run.start + run.end) as i32 - 1 - last;
            self.order[run.clone()].iter().for_each(|&row| doubled[row as usize] = mean);
        }
    }

    /// Mean ranks less their mean, for each row.
    pub(crate) fn centered(&self) -> Vec<f64> {
        let mut doubled = Vec::new();
        self.doubled(&mut doubled);
        doubled.into_iter().map(|doubled| 0.5 * f64::from(doubled)).collect()
    }

    /// Whether all values are equal.
    pub(super) fn is_constant(&self) -> bool {
        self.runs.first().is_none_or(|run| run.len() == self.len()) && (self.len() < 2 || !self.runs.is_empty())
    }
}

/// A number that is sorted by a whole number.
pub(super) trait Value: Copy {
    /// In the order of the values; 0 and -0 are one, NaN is the largest.
    fn key(self) -> u64;

    /// The keys of all values; the least and the largest of them.
    fn keys(values: &[Self], keys: &mut [u64]) -> (u64, u64);
}

impl Value for f32 {
    #[inline(always)]
    fn key(self) -> u64 {
        let bits = if self.is_nan() { 0x7fff_ffff } else { (self + 0.0).to_bits() };
        u64::from(bits ^ if bits >> 31 == 1 { u32::MAX } else { 1 << 31 })
    }

    fn keys(values: &[Self], keys: &mut [u64]) -> (u64, u64) {
        narrow_keys(values, keys)
    }
}

impl Value for f64 {
    #[inline(always)]
    fn key(self) -> u64 {
        let bits = if self.is_nan() { u64::MAX >> 1 } else { (self + 0.0).to_bits() };
        bits ^ if bits >> 63 == 1 { u64::MAX } else { 1 << 63 }
    }

    fn keys(values: &[Self], keys: &mut [u64]) -> (u64, u64) {
        wide_keys(values, keys)
    }
}

#[multiversion(targets("x86_64+avx512f+avx512dq+avx512vl+avx512bw", "x86_64+avx2"))]
fn narrow_keys(values: &[f32], keys: &mut [u64]) -> (u64, u64) {
    bounded(values.iter().map(|value| value.key()), keys)
}

#[multiversion(targets("x86_64+avx512f+avx512dq+avx512vl+avx512bw", "x86_64+avx2"))]
fn wide_keys(values: &[f64], keys: &mut [u64]) -> (u64, u64) {
    bounded(values.iter().map(|value| value.key()), keys)
}

/// Copies; returns the least and the largest.
#[inline(always)]
fn bounded(from: impl Iterator<Item = u64>, to: &mut [u64]) -> (u64, u64) {
    to.iter_mut().zip(from).fold((u64::MAX, 0), |(low, high), (to, key)| {
        *to = key;
        (low.min(key), high.max(key))
    })
}

/// Keys to items: what exceeds `low` without its last bits, above the row.
#[multiversion(targets("x86_64+avx512f+avx512dq+avx512vl+avx512bw", "x86_64+avx2"))]
fn to_items(keys: &mut [u64], low: u64, dropped: u32) {
    keys.iter_mut().zip(0_u64..).for_each(|(key, row)| *key = (key.wrapping_sub(low) >> (dropped & 63)) << 32 | row);
}

/// Sorts rows by value, with memory that is used again.
pub(super) struct Sorter {
    /// The leading bits of what keys differ in, and below them the row: all different, so that any sort of them is stable.
    items: Vec<u64>,
    other: Vec<u64>,
    counts: Box<[[u32; DIGITS]; 2]>,
}

impl Default for Sorter {
    fn default() -> Self {
        Self { items: Vec::new(), other: Vec::new(), counts: Box::new([[0; DIGITS]; 2]) }
    }
}

impl Sorter {
    /// Sorts rows by value, then by row, into `items`. Whether the upper half of an item tells everything of its key.
    ///
    /// Two digits of the radix sort take the leading 22 of the bits in which keys differ. For predictions that leaves
    /// next to nothing out of order, and what it does leaves near its place.
    fn sort<T: Value>(&mut self, values: &[T]) -> bool {
        self.items.resize(values.len(), 0);
        let (low, high) = T::keys(values, &mut self.items);
        let n_bits = u64::BITS - high.saturating_sub(low).leading_zeros();
        let dropped = n_bits.saturating_sub(u32::BITS);
        let n_bits = n_bits - dropped;
        to_items(&mut self.items, low, dropped);
        if values.len() < FEW {
            self.items.sort_unstable();
        } else {
            let first = n_bits.saturating_sub(2 * DIGIT_BITS);
            self.by_two_digits(32 + first);
            if first > 0 {
                settle(&mut self.items);
            }
        }
        if dropped > 0 {
            let key = |item: u64| (values[item as u32 as usize].key(), item as u32);
            for equal in self.items.chunk_by_mut(|a, b| a >> 32 == b >> 32).filter(|equal| equal.len() > 1) {
                equal.sort_unstable_by_key(|item| key(*item));
            }
        }
        dropped == 0
    }

    /// Sorts by the 22 bits from `first` on; items with equal ones stay as they are.
    fn by_two_digits(&mut self, first: u32) {
        let digit = |item: u64, pass: u32| (item >> (first + DIGIT_BITS * pass)) as usize & (DIGITS - 1);
        let [low, high] = &mut *self.counts;
        (*low, *high) = ([0; DIGITS], [0; DIGITS]);
        for &item in &self.items {
            low[digit(item, 0)] += 1;
            high[digit(item, 1)] += 1;
        }
        self.other.resize(self.items.len(), 0);
        for (pass, counts) in [low, high].into_iter().enumerate() {
            if counts.iter().any(|&count| count as usize == self.items.len()) {
                continue;
            }
            let mut next = 0;
            for count in counts.iter_mut() {
                (*count, next) = (next, next + *count);
            }
            for &item in &self.items {
                let place = &mut counts[digit(item, pass as u32)];
                self.other[*place as usize] = item;
                *place += 1;
            }
            std::mem::swap(&mut self.items, &mut self.other);
        }
    }
}

/// Sorts items that are nearly sorted: each walks to its place, unless they walk too far in sum.
fn settle(items: &mut [u64]) {
    let mut steps_left = 8 * items.len();
    for at in 1..items.len() {
        let item = items[at];
        if items[at - 1] <= item {
            continue;
        }
        let steps = items[..at].iter().rev().take(steps_left).take_while(|other| **other > item).count();
        if steps == steps_left {
            items.sort_unstable();
            return;
        }
        items.copy_within(at - steps..at, at - steps + 1);
        items[at - steps] = item;
        steps_left -= steps;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Rows by value, then by row.
    fn plain(values: &[f64]) -> Vec<u32> {
        let mut order: Vec<u32> = (0..values.len() as u32).collect();
        order.sort_by(|&a, &b| values[a as usize].partial_cmp(&values[b as usize]).unwrap());
        order
    }

    /// All that ranks say, checked against the order and the values.
    fn check(values: &[f64], ranks: &Ranks) {
        assert!(ranks.order == plain(values));
        assert!(ranks.order.iter().enumerate().all(|(at, &row)| ranks.place[row as usize] == at as u32));
        let mut covered = Vec::new();
        for rows in ranks.ties() {
            covered.extend_from_slice(rows);
            assert!(rows.iter().all(|&row| values[row as usize] == values[rows[0] as usize]));
        }
        assert!(covered == ranks.order);
        let distinct = ranks.order.windows(2).filter(|pair| values[pair[0] as usize] != values[pair[1] as usize]);
        assert_eq!(ranks.ties().count(), distinct.count() + 1);
        assert_eq!(ranks.tied_pairs, ranks.ties().map(|rows| (rows.len() * (rows.len() - 1) / 2) as u64).sum::<u64>());
        assert_eq!(ranks.is_constant(), values.iter().all(|x| *x == values[0]));
    }

    proptest! {
        #[test]
        fn any_values_are_sorted(
            values in proptest::collection::vec(
                prop_oneof![-1.0..1.0_f64, (0..4_i32).prop_map(f64::from), 0.3..0.300_000_1_f64, Just(-0.0), Just(1e300)],
                1..1500,
            ),
        ) {
            check(&values, &Ranks::of(&values));
            let narrow: Vec<f32> = values.iter().map(|x| *x as f32).collect();
            let values: Vec<f64> = narrow.iter().map(|x| f64::from(*x)).collect();
            let mut ranks = Ranks::of(&[0.5, 0.5, 0.1]);
            ranks.put(&narrow, &mut Sorter::default());
            check(&values, &ranks);
        }

        #[test]
        fn ranks_are_what_they_are_defined_as(values in proptest::collection::vec(-9_i32..9, 1..60)) {
            let values: Vec<f64> = values.into_iter().map(f64::from).collect();
            let count = |keep: &dyn Fn(f64) -> bool| values.iter().filter(|x| keep(**x)).count() as f64;
            let middle = (values.len() as f64 - 1.0) / 2.0;
            let ranks = Ranks::of(&values);
            for ((x, rank), below) in values.iter().zip(ranks.centered()).zip(ranks.below()) {
                let (smaller, tied) = (count(&|y| y < *x), count(&|y| y == *x));
                prop_assert_eq!(rank, smaller + (tied - 1.0) / 2.0 - middle);
                prop_assert_eq!(f64::from(below), smaller);
            }
        }

        #[test]
        fn what_is_nearly_sorted_settles(items in proptest::collection::vec(0_u64..1000, 0..200), far: bool) {
            let mut items = items;
            if !far {
                items.sort_unstable();
                items.chunks_mut(3).for_each(<[u64]>::reverse);
            }
            let mut wanted = items.clone();
            wanted.sort_unstable();
            settle(&mut items);
            prop_assert_eq!(items, wanted);
        }
    }

    /// Nearly all rows crowd into one place that the leading digits do not tell apart, backwards.
    #[test]
    fn crowded_values_are_sorted() {
        let crowd = |row: usize| if row == 0 { 1e30 } else { 1.0 - row as f64 * 1e-15 };
        let values: Vec<f64> = (0..20_000).map(crowd).collect();
        check(&values, &Ranks::of(&values));
    }

    #[test]
    fn zeros_are_one_value_and_nan_is_last() {
        let ranks = Ranks::of(&[0.0, f64::NAN, -0.0, -1.0, f64::INFINITY]);
        assert_eq!((ranks.order.as_slice(), ranks.tied_pairs), (&[3, 0, 2, 4, 1][..], 1));
        assert_eq!(ranks.below(), [1, 4, 1, 0, 3]);
    }
}

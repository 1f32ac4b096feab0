//! Ranks of single-precision columns, for those who need no order: faster than a sort, for nothing but keys is moved.
//!
//! Rows are parted by the leading bits of their keys, as in the first step of a bucket sort; a row's rank is the start of
//! its part and the number of smaller keys there. These are counted for a dozen neighbors at once, each against all keys
//! of their parts: no branch depends on a key. Ties are found by the sum of the ranks, which they change.
//!
//! No sum here overflows for less than 2^30 rows; checks for that would keep the lanes apart.

use super::ranks::Value;
use multiversion::multiversion;
use std::{hint::black_box, ops::Range};

/// Leading bits of the keys, at most: their counters take most of a first-level cache.
const PART_BITS: u32 = 13;
const PARTS: usize = 1 << PART_BITS;
/// Rows below which clearing the counters takes longer than a sort.
const FEW: usize = 512;
/// Keys that a row is compared with, on average, from which on a sort is faster.
const CROWDED: u64 = 64;
/// Neighbors that are counted for at once.
const LANES: usize = 16;
/// Keys that they are compared with before the next test of the end.
const STEP: usize = 4;
/// Rows, about, whose ranks are summed to see whether there are ties.
const STRETCH: usize = 64;

/// Memory for ranks, used again for the next column.
pub(super) struct Ranker {
    keys: Vec<i32>,
    /// For each part its first place, later the place behind its last.
    parts: Box<[u32; PARTS]>,
    /// Keys, part after part; behind them the largest key.
    parted: Vec<i32>,
    /// For each row the place of its key in `parted`.
    place: Vec<u32>,
    /// For each place twice the mean rank of its key.
    ranks: Vec<u32>,
}

impl Default for Ranker {
    fn default() -> Self {
        let [keys, parted] = [Vec::new(), Vec::new()];
        Self { keys, parts: Box::new([0; PARTS]), parted, place: Vec::new(), ranks: Vec::new() }
    }
}

impl Ranker {
    /// What [`Ranks::doubled`](super::Ranks::doubled) says of these values; `false`, and nothing, where a sort is
    /// faster: for few rows, and for more of one value, or of nearly one value, than can be compared pair by pair.
    pub(super) fn doubled(&mut self, values: &[f32], doubled: &mut Vec<i32>) -> bool {
        let n = values.len();
        if n < FEW {
            return false;
        }
        self.keys.resize(n, 0);
        let (low, high) = signed_keys(values, &mut self.keys);
        let n_bits = u32::BITS - high.wrapping_sub(low).cast_unsigned().leading_zeros();
        let cut = Cut { low, shift: n_bits.saturating_sub(PART_BITS) };
        if tally(&self.keys, cut, &mut self.parts) > CROWDED * n as u64 {
            return false;
        }
        // Behind the last place, what whole lanes and steps read or write.
        self.parted.resize(n + LANES + STEP, i32::MAX);
        self.parted[n..].fill(i32::MAX);
        self.ranks.resize(n + LANES, 0);
        self.place.resize(n, 0);
        spread(&self.keys, cut, &mut self.parts, &mut self.parted, &mut self.place);
        rank(&self.parted, n, cut, &self.parts, &mut self.ranks);
        doubled.resize(n, 0);
        look_up(&self.ranks, &self.place, doubled);
        true
    }
}

/// How keys are parted.
#[derive(Clone, Copy)]
struct Cut {
    /// The least key.
    low: i32,
    /// Bits that are not looked at.
    shift: u32,
}

impl Cut {
    #[inline(always)]
    fn part(self, key: i32) -> usize {
        (key.wrapping_sub(self.low).cast_unsigned() >> (self.shift & 31)) as usize % PARTS
    }
}

/// First places of all parts; returns how many pairs of keys share a part, in either order and each with itself.
#[multiversion(targets("x86_64+avx2+bmi2"))]
fn tally(keys: &[i32], cut: Cut, parts: &mut [u32; PARTS]) -> u64 {
    *parts = [0; PARTS];
    for &key in keys {
        let count = &mut parts[cut.part(key)];
        *count = count.wrapping_add(1);
    }
    let (mut next, mut pairs) = (0_u32, 0_u64);
    for count in parts {
        pairs = pairs.wrapping_add(u64::from(*count) * u64::from(*count));
        (*count, next) = (next, next.wrapping_add(*count));
    }
    pairs
}

/// Puts keys into their parts.
#[multiversion(targets("x86_64+avx2+bmi2"))]
fn spread(keys: &[i32], cut: Cut, parts: &mut [u32; PARTS], parted: &mut [i32], places: &mut [u32]) {
    for (&key, place) in keys.iter().zip(places) {
        let next = &mut parts[cut.part(key)];
        *place = *next;
        *next = next.wrapping_add(1);
        parted[*place as usize] = key;
    }
}

/// Ranks of all rows, less their mean.
#[multiversion(targets("x86_64+avx2+bmi2"))]
fn look_up(ranks: &[u32], places: &[u32], doubled: &mut [i32]) {
    let last = places.len() as i32 - 1;
    for (doubled, &place) in doubled.iter_mut().zip(places) {
        *doubled = ranks[place as usize].cast_signed().wrapping_sub(last);
    }
}

/// Keys of all values, as signed numbers in the order of the values; the least and the largest of them.
#[multiversion(targets("x86_64+avx512f+avx512dq+avx512vl+avx512bw", "x86_64+avx2"))]
fn signed_keys(values: &[f32], keys: &mut [i32]) -> (i32, i32) {
    let (mut low, mut high) = (i32::MAX, i32::MIN);
    for (key, &value) in keys.iter_mut().zip(values) {
        // NaN's key is the largest; what lies behind the last place has to be larger.
        *key = ((value.key() as u32) ^ 1 << 31).cast_signed().min(i32::MAX - 1);
        (low, high) = (low.min(*key), high.max(*key));
    }
    (low, high)
}

/// For each of the `n` places twice the mean rank. Compares give masks as wide as what is compared only up to AVX2; with
/// the masks of AVX-512 the same takes half as many instructions again.
#[multiversion(targets("x86_64+avx2"))]
fn rank(parted: &[i32], n: usize, cut: Cut, ends: &[u32; PARTS], ranks: &mut [u32]) {
    let start_of = |place: usize| cut.part(parted[place]).checked_sub(1).map_or(0, |part| ends[part] as usize);
    let end_of = |place: usize| ends[cut.part(parted[place])] as usize;
    let mut start = 0;
    while start < n {
        // Whole parts, so that their ranks without ties have a known sum.
        let end = match start + STRETCH {
            far if far >= n => n,
            far if start_of(far) > start => start_of(far),
            far => end_of(far),
        };
        let window = |place: usize| start_of(place)..end_of((place + LANES - 1).min(n - 1));
        for place in (start..end).step_by(LANES) {
            count::<false>(parted, place, window(place), ranks);
        }
        let sum: u64 = ranks[start..end].iter().map(|rank| u64::from(*rank)).fold(0, u64::wrapping_add);
        if sum != ((end - start) * (start + end - 1)) as u64 {
            for place in (start..end).step_by(LANES) {
                count::<true>(parted, place, window(place), ranks);
            }
        }
        start = end;
    }
}

/// Twice the ranks of the keys from `place` on: `window` holds all keys of their parts, and all keys before it are
/// smaller. Without `TIES` equal keys get the rank of the first of them.
#[inline(always)]
fn count<const TIES: bool>(parted: &[i32], place: usize, window: Range<usize>, ranks: &mut [u32]) {
    let Some(keys) = parted[place..].first_chunk::<LANES>().copied() else { return };
    let mut counts = [0_u32; LANES];
    let mut at = window.start;
    while at < window.end {
        // What follows the window is larger. The test of the length, here, keeps the lanes together.
        let Some(others) = parted[at..].first_chunk::<STEP>() else { return };
        for &other in others {
            // Unseen by the compiler, which would otherwise compare each lane with all of them and add that up.
            let other = black_box(other);
            for lane in 0..LANES {
                counts[lane] = counts[lane].wrapping_add(u32::from(keys[lane] > other));
                if TIES {
                    counts[lane] = counts[lane].wrapping_add(u32::from(keys[lane] >= other));
                }
            }
        }
        at += STEP;
    }
    let Some(ranks) = ranks[place..].first_chunk_mut::<LANES>() else { return };
    let start = 2 * window.start as u32;
    for (rank, count) in ranks.iter_mut().zip(counts) {
        let twice = if TIES { count.wrapping_sub(1) } else { count << 1 };
        *rank = start.wrapping_add(twice);
    }
}

#[cfg(test)]
mod tests {
    use super::{super::Ranks, *};
    use proptest::prelude::*;

    fn check(ranker: &mut Ranker, values: &[f32]) -> bool {
        let (mut wanted, mut got) = (Vec::new(), Vec::new());
        Ranks::of(&values.iter().map(|x| f64::from(*x)).collect::<Vec<_>>()).doubled(&mut wanted);
        let done = ranker.doubled(values, &mut got);
        assert!(!done || got == wanted);
        done
    }

    proptest! {
        #[test]
        fn ranks_are_those_of_a_sort(
            values in proptest::collection::vec(
                prop_oneof![
                    20 => -1.0..1.0_f32,
                    1 => (0..4_i32).prop_map(|x| x as f32),
                    1 => 0.3..0.300_001_f32,
                    1 => prop_oneof![Just(-0.0_f32), Just(1e30), Just(f32::NAN), Just(f32::NEG_INFINITY)],
                ],
                FEW..3000,
            ),
            more in 0_usize..40,
        ) {
            let mut ranker = Ranker::default();
            check(&mut ranker, &values);
            // The same memory for another length, and behind the last place what is left of the first.
            check(&mut ranker, &values[..FEW.max(values.len() - more)]);
        }
    }

    #[test]
    fn few_digits_are_ranked_and_crowds_are_left_to_a_sort() {
        let mut ranker = Ranker::default();
        let probability = |row: usize| 1.0 / (1.0 + (row * 7919 % 22_003) as f32);
        let values: Vec<f32> = (0..22_003).map(probability).collect();
        assert!(check(&mut ranker, &values));
        let ties: Vec<f32> = values.iter().map(|x| (x * 4e3).round()).collect();
        assert!(!check(&mut ranker, &ties), "half of the rows have one value");
        let few: Vec<f32> = (0..22_003).map(|row| 1.0 + (row * 7919 % 700) as f32 / 1024.0).collect();
        assert!(check(&mut ranker, &few), "thirty rows of each value");
        let far: Vec<f32> =
            values.iter().enumerate().map(|(i, x)| if i == 0 { -1e30 } else { 1.0 + x * 1e-3 }).collect();
        assert!(!check(&mut ranker, &far), "nearly all rows crowd into one part");
        assert!(!check(&mut ranker, &values[..FEW - 1]));
    }

    #[test]
    fn a_column_of_every_exponent() {
        let mut ranker = Ranker::default();
        let values: Vec<f32> = (0..20_000_u32).map(|row| f32::from_bits(row.wrapping_mul(0x9e37_79b1))).collect();
        assert!(check(&mut ranker, &values), "keys use all 32 bits");
    }
}

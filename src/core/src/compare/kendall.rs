//! Kendall's tau-b (Kendall 1945) by counting inversions (Knight 1966): with `P` pairs of rows in the same order, `Q` in
//! the opposite one, `X` and `Y` pairs tied in one column, `T` of them in both, and `N = n (n - 1) / 2`,
//!
//! `tau = (P - Q) / sqrt((N - X) (N - Y))` and `P - Q = N - X - Y + T - 2 Q`.
//!
//! `Q` is the number of inversions of a permutation, counted in one pass: what was seen is kept as a set of bits with
//! counters over groups of 64, 2,048 and 65,536 of them. All of it is whole numbers, so the result has the same bits
//! anywhere.

use super::Ranks;
use multiversion::multiversion;

/// Tied pairs per row up to which they are looked at one by one.
const FEW_TIES: u64 = 2;

/// Memory that one thread uses again and again.
#[derive(Default)]
pub(super) struct Scratch {
    next: Vec<u32>,
    rows: Vec<u32>,
    places: Vec<u32>,
    seen: Seen,
}

/// Tau-b of two columns of one length; NaN where one of them is constant.
pub(super) fn tau_b(x: &Ranks, y: &Ranks, scratch: &mut Scratch) -> f64 {
    if x.is_constant() || y.is_constant() {
        return f64::NAN;
    }
    let n = x.len() as u64;
    let pairs = n * (n - 1) / 2;
    let few = x.tied_pairs + y.tied_pairs <= FEW_TIES * n;
    let Crossings { discordant, tied_in_both } =
        if few { with_few_ties(x, y, scratch) } else { with_many_ties(x, y, scratch) };
    let excess = (pairs + tied_in_both) as i64 - (x.tied_pairs + y.tied_pairs + 2 * discordant) as i64;
    let (free_x, free_y) = ((pairs - x.tied_pairs) as f64, (pairs - y.tied_pairs) as f64);
    (excess as f64 / libm::sqrt(free_x) / libm::sqrt(free_y)).clamp(-1.0, 1.0)
}

/// Pairs of rows that two columns do not order alike.
#[derive(Debug, PartialEq, Eq)]
struct Crossings {
    discordant: u64,
    tied_in_both: u64,
}

/// Counts as if rows broke ties, then takes back the pairs that are tied in one column and inverted in the other.
fn with_few_ties(x: &Ranks, y: &Ranks, Scratch { places, seen, .. }: &mut Scratch) -> Crossings {
    places.clear();
    places.extend(y.order.iter().map(|&row| x.place[row as usize]));
    let inversions = seen.inversions(places);
    let (inverted_in_x, tied_in_both) = tied_and_inverted(y, x);
    let (inverted_in_y, _) = tied_and_inverted(x, y);
    Crossings { discordant: inversions - inverted_in_x - inverted_in_y, tied_in_both }
}

/// Of the pairs of rows with equal values in `tied`: how many `other` has in the opposite order of the rows, and how many
/// are equal there as well.
fn tied_and_inverted(tied: &Ranks, other: &Ranks) -> (u64, u64) {
    let (mut inverted, mut equal) = (0, 0);
    for run in &tied.runs {
        let rows = &tied.order[run.clone()];
        for (at, &later) in rows.iter().enumerate() {
            let later = other.place[later as usize] as usize;
            // What the later row's place shares its value with, itself included.
            let run = other.runs.partition_point(|run| run.end <= later);
            let alike = other.runs.get(run).filter(|run| run.contains(&later));
            for &earlier in &rows[..at] {
                let earlier = other.place[earlier as usize] as usize;
                inverted += u64::from(earlier > later);
                equal += u64::from(alike.is_some_and(|run| run.contains(&earlier)));
            }
        }
    }
    (inverted, equal)
}

/// Sorts rows by y, within one y by x: then ties never look like inversions.
fn with_many_ties(x: &Ranks, y: &Ranks, scratch: &mut Scratch) -> Crossings {
    let Scratch { next, rows, places, seen } = scratch;
    let (below_x, below_y) = (x.below(), y.below());
    rows.clear();
    rows.resize(x.len(), 0);
    restart(next, x.len());
    for &row in &x.order {
        rows[place(next, below_y[row as usize])] = row;
    }
    restart(next, x.len());
    places.clear();
    places.extend(rows.iter().map(|&row| place(next, below_x[row as usize]) as u32));
    // Pairs tied in both stand side by side.
    let (mut tied_in_both, mut run) = (0, 0);
    let key = |row: u32| (below_x[row as usize], below_y[row as usize]);
    for two in rows.windows(2) {
        run = if key(two[0]) == key(two[1]) { run + 1 } else { 0 };
        tied_in_both += run;
    }
    Crossings { discordant: seen.inversions(places), tied_in_both }
}

fn restart(next: &mut Vec<u32>, n: usize) {
    next.clear();
    next.resize(n, 0);
}

/// The next free place among those of equal values, of which `below` are smaller.
fn place(next: &mut [u32], below: u32) -> usize {
    let taken = &mut next[below as usize];
    *taken += 1;
    (below + *taken - 1) as usize
}

/// Groups of the next smaller size in a group, for each size but the smallest.
const PARTS: usize = 32;

/// The numbers of a permutation that were met so far.
#[derive(Default)]
struct Seen {
    bits: Vec<u64>,
    /// Per group of 2,048 numbers: for each of its words of 64, how many were met above that in the group.
    fine: Vec<[u16; PARTS]>,
    /// Per group of 65,536: for each of its groups of 2,048, how many were met above that in the group.
    coarse: Vec<[u16; PARTS]>,
    /// Per group of 65,536: how many were met in the groups above it.
    above: Vec<u32>,
}

impl Seen {
    fn inversions(&mut self, permutation: &[u32]) -> u64 {
        fn clear<T: Copy>(counters: &mut Vec<T>, n: usize, zero: T) {
            counters.clear();
            counters.resize(n, zero);
        }
        let n = permutation.len();
        clear(&mut self.bits, n / 64 + 1, 0);
        clear(&mut self.fine, n / 2048 + 1, [0; PARTS]);
        clear(&mut self.coarse, n / 65_536 + 1, [0; PARTS]);
        clear(&mut self.above, n / 65_536 + 1, 0);
        count(permutation, &mut self.bits, &mut self.fine, &mut self.coarse, &mut self.above)
    }
}

/// For each number of the permutation, how many larger ones stand before it, in sum.
#[multiversion(targets("x86_64+avx512f+avx512vl+avx512bw+popcnt", "x86_64+avx2+popcnt"))]
fn count(
    permutation: &[u32],
    bits: &mut [u64],
    fine: &mut [[u16; PARTS]],
    coarse: &mut [[u16; PARTS]],
    above: &mut [u32],
) -> u64 {
    // Which parts lie below part `i`.
    const BELOW: [[u16; PARTS]; PARTS] = {
        let mut table = [[0; PARTS]; PARTS];
        let mut at = 0;
        while at < PARTS * PARTS {
            table[at / PARTS][at % PARTS] = (at % PARTS < at / PARTS) as u16;
            at += 1;
        }
        table
    };
    let mut inversions = 0_u64;
    for &number in permutation {
        let number = number as usize;
        let (word, group) = ((number >> 6) % PARTS, (number >> 11) % PARTS);
        let (fine, coarse, largest) = (&mut fine[number >> 11], &mut coarse[number >> 16], number >> 16);
        let bits = &mut bits[number >> 6];
        let in_word = u64::from((*bits >> (number & 63)).count_ones());
        let in_larger = [u64::from(above[largest]), u64::from(coarse[group]), u64::from(fine[word])];
        inversions = in_larger.into_iter().fold(inversions.wrapping_add(in_word), u64::wrapping_add);
        // No counter exceeds the numbers of its group; checks for that would keep them from being counted all at once.
        above[..largest].iter_mut().for_each(|count| *count = count.wrapping_add(1));
        coarse.iter_mut().zip(&BELOW[group]).for_each(|(count, below)| *count = count.wrapping_add(*below));
        fine.iter_mut().zip(&BELOW[word]).for_each(|(count, below)| *count = count.wrapping_add(*below));
        *bits |= 1 << (number & 63);
    }
    inversions
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn tau(x: &[f64], y: &[f64]) -> f64 {
        tau_b(&Ranks::of(x), &Ranks::of(y), &mut Scratch::default())
    }

    /// The definition, pair by pair.
    fn plain(x: &[f64], y: &[f64]) -> f64 {
        let (mut excess, mut free_x, mut free_y) = (0.0, 0.0, 0.0);
        for i in 0..x.len() {
            for j in 0..i {
                let sign = |v: &[f64]| f64::from(u8::from(v[i] > v[j])) - f64::from(u8::from(v[i] < v[j]));
                excess += sign(x) * sign(y);
                free_x += sign(x).abs();
                free_y += sign(y).abs();
            }
        }
        excess / libm::sqrt(free_x) / libm::sqrt(free_y)
    }

    proptest! {
        #[test]
        fn pairs_are_counted(pairs in proptest::collection::vec((-6_i32..6, -6_i32..6), 2..120), spread in 1_i32..400) {
            let x: Vec<f64> = pairs.iter().map(|(x, _)| f64::from(*x)).collect();
            let y: Vec<f64> = pairs.iter().enumerate().map(|(i, (_, y))| f64::from(*y * spread + i as i32 % 7)).collect();
            let (got, wanted) = (tau(&x, &y), plain(&x, &y));
            prop_assert!((got - wanted).abs() < 1e-12 || (got.is_nan() && wanted.is_nan()), "{got} {wanted}");
        }
    }

    #[test]
    fn few_and_many_ties_are_counted_alike() {
        let (mut some, mut scratch) = (0, Scratch::default());
        for n_values in [3_u64, 40, 700, 5000] {
            let column = |seed: u64| {
                Ranks::of(&(0..800_u64).map(|row| (row * row * seed % 6151 % n_values) as f64).collect::<Vec<_>>())
            };
            let (x, y) = (column(7), column(31));
            let few = with_few_ties(&x, &y, &mut scratch);
            assert_eq!(few, with_many_ties(&x, &y, &mut scratch));
            some += few.tied_in_both;
        }
        assert!(some > 0);
    }

    #[test]
    fn large_permutations() {
        // A stride that is coprime to the length visits every number once.
        let permutation: Vec<u32> = (0..70_001_u32).map(|i| (u64::from(i) * 7919 % 70_001) as u32).collect();
        // By merging, the other way to count.
        fn merged(part: &mut [u32]) -> u64 {
            let middle = part.len() / 2;
            if middle == 0 {
                return 0;
            }
            let (left, right) = part.split_at_mut(middle);
            let within = merged(left) + merged(right);
            let across = right.iter().map(|b| left.len() - left.partition_point(|a| a < b)).sum::<usize>();
            part.sort_unstable();
            within + across as u64
        }
        assert_eq!(Seen::default().inversions(&permutation), merged(&mut permutation.clone()));
        let reversed: Vec<u32> = (0..10_000).rev().collect();
        assert_eq!(Seen::default().inversions(&reversed), 10_000 * 9_999 / 2);
    }
}

//! Kendall's tau-b (Kendall 1945) by counting inversions (Knight 1966): with `P` pairs of rows in the same order, `Q` in
//! the opposite one, `X` and `Y` pairs tied in one column, `T` of them in both, and `N = n (n - 1) / 2`,
//!
//! `tau = (P - Q) / sqrt((N - X) (N - Y))` and `P - Q = N - X - Y + T - 2 Q`.
//!
//! `Q` is the number of inversions of a permutation, counted in one pass: what was seen is kept as a set of bits with
//! counters over groups of 64, 256 and 4,096 bits. All of it is whole numbers, so the result has the same bits anywhere.

use super::Ranks;
use multiversion::multiversion;

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
    let n = x.len() as u64;
    let pairs = n * n.saturating_sub(1) / 2;
    if x.tied_pairs == pairs || y.tied_pairs == pairs {
        return f64::NAN;
    }
    let Scratch { next, rows, places, seen } = scratch;
    places.clear();
    let tied_in_both = if x.tied_pairs == 0 && y.tied_pairs == 0 {
        places.extend(y.order.iter().map(|&row| x.below[row as usize]));
        0
    } else {
        // Rows by y, within one y by x: then ties never look like inversions.
        rows.clear();
        rows.resize(x.len(), 0);
        restart(next, x.len());
        for &row in &x.order {
            rows[place(next, y.below[row as usize])] = row;
        }
        restart(next, x.len());
        places.extend(rows.iter().map(|&row| place(next, x.below[row as usize]) as u32));
        tied_runs(rows, x, y)
    };
    let discordant = seen.inversions(places);
    let excess = (pairs + tied_in_both) as i64 - (x.tied_pairs + y.tied_pairs + 2 * discordant) as i64;
    let (free_x, free_y) = ((pairs - x.tied_pairs) as f64, (pairs - y.tied_pairs) as f64);
    (excess as f64 / libm::sqrt(free_x) / libm::sqrt(free_y)).clamp(-1.0, 1.0)
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

/// Pairs of rows tied in both columns, of rows sorted by both.
fn tied_runs(rows: &[u32], x: &Ranks, y: &Ranks) -> u64 {
    let key = |row: u32| (x.below[row as usize], y.below[row as usize]);
    let (mut pairs, mut run) = (0, 0);
    for two in rows.windows(2) {
        run = if key(two[0]) == key(two[1]) { run + 1 } else { 0 };
        pairs += run;
    }
    pairs
}

/// The numbers of a permutation that were met so far.
#[derive(Default)]
struct Seen {
    bits: Vec<u64>,
    /// Per group of 4,096 numbers: how many were met in the groups above it.
    coarse: Vec<u32>,
    /// Per group of 4,096: for each of its 16 groups of 256, how many were met above that in the group.
    middle: Vec<[u32; 16]>,
    /// Per group of 256: for each of its 4 words, how many were met above that in the group.
    fine: Vec<[u32; 4]>,
}

impl Seen {
    fn inversions(&mut self, permutation: &[u32]) -> u64 {
        let groups = permutation.len() / 4096 + 1;
        self.bits.clear();
        self.bits.resize(groups * 64, 0);
        self.coarse.clear();
        self.coarse.resize(groups, 0);
        self.middle.clear();
        self.middle.resize(groups, [0; 16]);
        self.fine.clear();
        self.fine.resize(groups * 16, [0; 4]);
        count(permutation, &mut self.bits, &mut self.coarse, &mut self.middle, &mut self.fine)
    }
}

/// For each number of the permutation, how many larger ones stand before it, in sum.
#[multiversion(targets("x86_64+avx512f+avx512vl+popcnt", "x86_64+avx2+popcnt"))]
fn count(
    permutation: &[u32],
    bits: &mut [u64],
    coarse: &mut [u32],
    middle: &mut [[u32; 16]],
    fine: &mut [[u32; 4]],
) -> u64 {
    // Which groups lie below group `i`.
    const BELOW_16: [[u32; 16]; 16] = below();
    const BELOW_4: [[u32; 4]; 4] = below();
    let mut inversions = 0;
    for &number in permutation {
        let number = number as usize;
        let (group, part, word) = (number >> 12, (number >> 8) & 15, (number >> 6) & 3);
        let (middle, fine) = (&mut middle[group], &mut fine[number >> 8]);
        let bits = &mut bits[number >> 6];
        let above = coarse[group] + middle[part] + fine[word] + (*bits >> (number & 63)).count_ones();
        inversions += u64::from(above);
        coarse[..group].iter_mut().for_each(|count| *count += 1);
        middle.iter_mut().zip(&BELOW_16[part]).for_each(|(count, below)| *count += below);
        fine.iter_mut().zip(&BELOW_4[word]).for_each(|(count, below)| *count += below);
        *bits |= 1 << (number & 63);
    }
    inversions
}

const fn below<const N: usize>() -> [[u32; N]; N] {
    let mut table = [[0; N]; N];
    let mut i = 0;
    while i < N {
        let mut j = 0;
        while j < i {
            table[i][j] = 1;
            j += 1;
        }
        i += 1;
    }
    table
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
    fn large_permutations() {
        // A stride that is coprime to the length visits every number once.
        let permutation: Vec<u32> = (0..20_011_u32).map(|i| i * 7919 % 20_011).collect();
        let mut plain = 0_u64;
        for (i, a) in permutation.iter().enumerate() {
            plain += permutation[..i].iter().filter(|b| *b > a).count() as u64;
        }
        assert_eq!(Seen::default().inversions(&permutation), plain);
        let reversed: Vec<u32> = (0..10_000).rev().collect();
        assert_eq!(Seen::default().inversions(&reversed), 10_000 * 9_999 / 2);
    }
}

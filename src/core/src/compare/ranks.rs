//! The order of a column's values, found once for every method that looks at nothing else.

/// Digits of the radix sort: three of them make a 32-bit key.
const DIGIT_BITS: u32 = 11;
const DIGITS: usize = 1 << DIGIT_BITS;

/// The order of a column's values. NaN is the largest and equals nothing.
pub(crate) struct Ranks {
    /// Rows by ascending value; rows of equal values by row.
    pub(super) order: Vec<u32>,
    /// For each row the number of rows with a smaller value.
    pub(super) below: Vec<u32>,
    /// Pairs of rows with equal values.
    pub(super) tied_pairs: u64,
}

impl Ranks {
    pub(crate) fn of(column: &[f64]) -> Self {
        let order = order(column);
        let mut below = vec![0; column.len()];
        let mut tied_pairs = 0;
        let mut start = 0;
        while start < order.len() {
            let value = column[order[start] as usize];
            let mut end = start + 1;
            while end < order.len() && column[order[end] as usize] == value {
                end += 1;
            }
            order[start..end].iter().for_each(|&row| below[row as usize] = start as u32);
            let tied = (end - start) as u64;
            tied_pairs += tied * (tied - 1) / 2;
            start = end;
        }
        Self { order, below, tied_pairs }
    }

    /// Rows of equal values together, by ascending value.
    pub(crate) fn ties(&self) -> impl Iterator<Item = &[u32]> {
        self.order.chunk_by(|a, b| self.below[*a as usize] == self.below[*b as usize])
    }

    /// Rows.
    pub(super) fn len(&self) -> usize {
        self.order.len()
    }

    /// Mean ranks less their mean, for each row: whole and half numbers, so that their products are exact.
    pub(crate) fn centered(&self) -> Vec<f64> {
        let middle = (self.len() as f64 - 1.0) / 2.0;
        if self.tied_pairs == 0 {
            return self.below.iter().map(|&below| f64::from(below) - middle).collect();
        }
        let mut centered = vec![0.0; self.len()];
        for rows in self.ties() {
            let below = f64::from(self.below[rows[0] as usize]);
            let rank = below + (rows.len() as f64 - 1.0) / 2.0 - middle;
            rows.iter().for_each(|&row| centered[row as usize] = rank);
        }
        centered
    }

    /// The correlation of a column with itself by any method of ranks: 1, NaN where it is constant.
    pub(super) fn self_tau(&self) -> f64 {
        let n = self.len() as u64;
        if self.tied_pairs < n * n.saturating_sub(1) / 2 { 1.0 } else { f64::NAN }
    }
}

/// Rows by ascending value, then by row.
fn order(column: &[f64]) -> Vec<u32> {
    // Predictions are stored as f32 as a rule: half of the key, and a sort without comparisons.
    let narrow = column.iter().fold(true, |all, &x| all & (f64::from(x as f32).to_bits() == x.to_bits()));
    if narrow && column.len() > DIGITS {
        return radix(column.iter().map(|&x| narrow_key(x as f32)));
    }
    let mut keyed: Vec<(u64, u32)> = column.iter().enumerate().map(|(row, &x)| (wide_key(x), row as u32)).collect();
    keyed.sort_unstable();
    keyed.into_iter().map(|(_, row)| row).collect()
}

/// Numbers whose order as whole numbers is that of the floats; 0 and -0 are one, NaN is the largest.
fn narrow_key(x: f32) -> u32 {
    let bits = if x.is_nan() { 0x7fff_ffff } else { (x + 0.0).to_bits() };
    bits ^ if bits >> 31 == 1 { u32::MAX } else { 1 << 31 }
}

fn wide_key(x: f64) -> u64 {
    let bits = if x.is_nan() { u64::MAX >> 1 } else { (x + 0.0).to_bits() };
    bits ^ if bits >> 63 == 1 { u64::MAX } else { 1 << 63 }
}

/// Positions by ascending key, stable: the lowest digit first, digits that are all the same left out.
fn radix(keys: impl ExactSizeIterator<Item = u32>) -> Vec<u32> {
    let mut counts = vec![[0_u32; DIGITS]; 3];
    let digit = |key: u32, pass: usize| (key >> (DIGIT_BITS * pass as u32)) as usize & (DIGITS - 1);
    let n = keys.len();
    let mut items: Vec<u64> = keys
        .enumerate()
        .map(|(row, key)| {
            (0..3).for_each(|pass| counts[pass][digit(key, pass)] += 1);
            u64::from(key) << 32 | row as u64
        })
        .collect();
    let mut other = vec![0_u64; n];
    for (pass, counts) in counts.iter_mut().enumerate() {
        if counts.iter().any(|&count| count as usize == n) {
            continue;
        }
        let mut next = 0;
        for count in counts.iter_mut() {
            (*count, next) = (next, next + *count);
        }
        for &item in &items {
            let place = &mut counts[digit((item >> 32) as u32, pass)];
            other[*place as usize] = item;
            *place += 1;
        }
        std::mem::swap(&mut items, &mut other);
    }
    items.into_iter().map(|item| item as u32).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn both_sorts_agree(values in proptest::collection::vec(-50_i32..50, 2..40), scale in -3_i32..3) {
            let values: Vec<f64> = values.iter().map(|x| f64::from(*x as f32 * 1.7_f32.powi(scale))).collect();
            let by_radix = radix(values.iter().map(|&x| narrow_key(x as f32)));
            prop_assert_eq!(&order(&values), &by_radix);
            let key = |row: u32| (values[row as usize], row);
            prop_assert!(by_radix.windows(2).all(|pair| key(pair[0]) < key(pair[1])));
        }

        #[test]
        fn ranks_are_what_they_are_defined_as(values in proptest::collection::vec(-9_i32..9, 1..60)) {
            let values: Vec<f64> = values.into_iter().map(f64::from).collect();
            let count = |keep: &dyn Fn(f64) -> bool| values.iter().filter(|x| keep(**x)).count() as f64;
            let middle = (values.len() as f64 - 1.0) / 2.0;
            for (x, rank) in values.iter().zip(Ranks::of(&values).centered()) {
                let (below, tied) = (count(&|y| y < *x), count(&|y| y == *x));
                prop_assert_eq!(rank, below + (tied - 1.0) / 2.0 - middle);
            }
        }
    }

    #[test]
    fn zeros_are_one_value_and_nan_is_last() {
        let ranks = Ranks::of(&[0.0, f64::NAN, -0.0, -1.0, f64::INFINITY]);
        assert_eq!((ranks.order.as_slice(), ranks.tied_pairs), (&[3, 0, 2, 4, 1][..], 1));
        assert_eq!(ranks.below, [1, 4, 1, 0, 3]);
    }
}

//! Rows in the order of their values: what metrics and spaces of ranks, and cut points, begin with.

/// A bucket with more rows than this is sorted like any other list; below, row by row into its place.
const FEW: usize = 24;

/// Positions of `values` by ascending value, ties by position, NaN last.
///
/// Rows are dealt into as many buckets as there are rows and each bucket is sorted: linear in the number of rows unless
/// nearly all values crowd into a few places, and then no worse than sorting.
pub(crate) fn ascending(values: &[f64]) -> Vec<u32> {
    let n = values.len();
    let (low, high) =
        values.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), x| (low.min(*x), high.max(*x)));
    let scale = (n as f64 - 0.5) / (high - low);
    let finite = values.iter().all(|x| x.is_finite()) && scale.is_finite() && scale > 0.0;
    if n <= FEW || !finite {
        let mut order: Vec<u32> = (0..n as u32).collect();
        order.sort_by(|&a, &b| compare(values[a as usize], values[b as usize]));
        return order;
    }
    // The map to buckets is monotone, so that no row stands before a smaller one of a lower bucket.
    let bucket = |x: f64| (((x - low) * scale) as usize).min(n - 1);
    let mut ends = vec![0_u32; n + 1];
    values.iter().for_each(|&x| ends[bucket(x) + 1] += 1);
    (0..n).for_each(|b| ends[b + 1] += ends[b]);
    let mut next = ends.clone();
    let mut pairs = vec![(0.0, 0_u32); n];
    for (row, &x) in values.iter().enumerate() {
        let place = &mut next[bucket(x)];
        pairs[*place as usize] = (x, row as u32);
        *place += 1;
    }
    for bounds in ends.windows(2) {
        let part = &mut pairs[bounds[0] as usize..bounds[1] as usize];
        if part.len() > FEW {
            part.sort_by(|a, b| compare(a.0, b.0));
            continue;
        }
        for i in 1..part.len() {
            let mut at = i;
            while at > 0 && part[at - 1].0 > part[at].0 {
                part.swap(at - 1, at);
                at -= 1;
            }
        }
    }
    pairs.into_iter().map(|(_, row)| row).collect()
}

/// Numbers by size, -0 equal to 0; NaN after all of them.
fn compare(a: f64, b: f64) -> std::cmp::Ordering {
    a.partial_cmp(&b).unwrap_or_else(|| a.is_nan().cmp(&b.is_nan()))
}

/// Ends of the runs of equal values in `order`.
pub(crate) fn runs<'a>(values: &'a [f64], order: &'a [u32]) -> impl Iterator<Item = std::ops::Range<usize>> + 'a {
    let mut start = 0;
    std::iter::from_fn(move || {
        let first = values[*order.get(start)? as usize];
        // At least one: NaN equals nothing, not even itself.
        let same = order[start..].iter().take_while(|&&row| values[row as usize] == first).count().max(1);
        let run = start..start + same;
        start = run.end;
        Some(run)
    })
}

/// A number above `a` and at most `b`, half way where there is room: a cut between two neighbours in a sorted list.
pub(crate) fn between(a: f64, b: f64) -> f64 {
    let middle = 0.5 * a + 0.5 * b;
    if middle > a && middle <= b { middle } else { b }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn as_sorting_does(
            values in proptest::collection::vec(
                prop_oneof![-1.0..1.0_f64, (0..4_i32).prop_map(f64::from), (0.0..1e-9_f64), Just(-0.0), Just(1e300)],
                0..300,
            ),
            damaged: bool,
        ) {
            let mut values = values;
            if damaged && values.len() > 3 {
                values[1] = f64::NAN;
                values[2] = f64::NEG_INFINITY;
            }
            let mut wanted: Vec<u32> = (0..values.len() as u32).collect();
            wanted.sort_by(|&a, &b| compare(values[a as usize], values[b as usize]));
            let order = ascending(&values);
            prop_assert_eq!(&order, &wanted);
            let mut covered = 0;
            for run in runs(&values, &order) {
                prop_assert_eq!(run.start, covered);
                let first = values[order[run.start] as usize];
                prop_assert!(run.len() == 1 || order[run.clone()].iter().all(|&row| values[row as usize] == first));
                prop_assert!(run.end == order.len() || values[order[run.end] as usize] != first);
                covered = run.end;
            }
            prop_assert_eq!(covered, values.len());
        }

        #[test]
        fn cuts_lie_between(a: f64, b: f64) {
            prop_assume!(a.is_finite() && b.is_finite() && a != b);
            let (a, b) = (a.min(b), a.max(b));
            let cut = between(a, b);
            prop_assert!(a < cut && cut <= b);
        }
    }
}

//! Which pulses an event keeps where it has more than the graph takes.

use blend_core::{Fingerprint, manifest::Compatibility};

/// The rule.
#[derive(Debug, Clone, Copy)]
pub(super) struct Choice {
    pub(super) seed: u64,
    pub(super) compatibility: Compatibility,
}

impl Choice {
    /// Positions of the pulses that are kept, at most `limit` of them, in order of time (of position, where times are
    /// equal).
    ///
    /// Pulses that are not auxiliary come first, among equals a draw that is seeded by the seed and the event's id
    /// alone. In IceCube's second place any pulses are kept: its code draws a permutation and indexes it with the flags.
    pub(super) fn keep(&self, event: &str, auxiliary: &[bool], time: &[f64], limit: usize) -> Vec<u32> {
        let all = 0..auxiliary.len() as u32;
        let mut kept: Vec<u32> = if auxiliary.len() > limit {
            let start = mix(self.seed ^ mix(number_of(event)));
            let draw = |at: u32| mix(start.wrapping_add(u64::from(at).wrapping_mul(GOLDEN)));
            let last = |at: u32| self.compatibility == Compatibility::None && auxiliary[at as usize];
            // Flag, draw and position as one number, the flag first.
            let key = |at: u32| u128::from(last(at)) << 96 | u128::from(draw(at)) << 32 | u128::from(at);
            let mut keys: Vec<u128> = all.map(key).collect();
            keys.select_nth_unstable(limit);
            keys[..limit].iter().map(|&key| key as u32).collect()
        } else {
            all.collect()
        };
        if time.is_sorted_by(|a, b| a.total_cmp(b).is_le()) {
            kept.sort_unstable();
        } else {
            kept.sort_unstable_by(|&a, &b| time[a as usize].total_cmp(&time[b as usize]).then(a.cmp(&b)));
        }
        kept
    }
}

const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

/// The finalizer of splitmix64 (Steele, Lea and Flood 2014): every bit of the input moves every bit of the output.
fn mix(x: u64) -> u64 {
    let x = x.wrapping_add(GOLDEN);
    let x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

/// An event's id as a number, the same whatever type its column has.
fn number_of(event: &str) -> u64 {
    event.parse::<i64>().map_or_else(
        |_| {
            let print = Fingerprint::of(event.as_bytes());
            u64::from_le_bytes(print.as_bytes().first_chunk().copied().unwrap_or_default())
        },
        |id| id as u64,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn times(n: usize) -> Vec<f64> {
        (0..n).map(|at| at as f64).collect()
    }

    #[test]
    fn good_pulses_come_first_and_time_orders_them() {
        let auxiliary: Vec<bool> = (0..100).map(|at| at % 4 != 0).collect();
        let rule = Choice { seed: 3, compatibility: Compatibility::None };
        let kept = rule.keep("17", &auxiliary, &times(100), 40);
        assert_eq!(kept.len(), 40);
        assert!(kept.windows(2).all(|pair| pair[0] < pair[1]));
        assert_eq!(kept.iter().filter(|at| !auxiliary[**at as usize]).count(), 25, "all of them");
        let few = rule.keep("17", &auxiliary, &times(100), 10);
        assert!(few.iter().all(|at| !auxiliary[*at as usize]));
        // Less is a part of more: the draw of a pulse does not depend on the limit.
        assert!(few.iter().all(|at| kept.contains(at)));
        assert_eq!(rule.keep("17", &auxiliary, &times(100), 100), (0..100).collect::<Vec<u32>>());
    }

    #[test]
    fn the_draw_depends_on_event_and_seed_alone() {
        let auxiliary = vec![false; 500];
        let keep = |seed, event: &str| {
            Choice { seed, compatibility: Compatibility::None }.keep(event, &auxiliary, &times(500), 50)
        };
        assert_eq!(keep(0, "5"), keep(0, "5"));
        assert_ne!(keep(0, "5"), keep(1, "5"));
        assert_ne!(keep(0, "5"), keep(0, "6"));
        assert_ne!(keep(0, "a"), keep(0, "b"));
        // Uniform: over many events every pulse is kept about as often.
        let mut counts = vec![0_u32; 500];
        for event in 0..2000 {
            keep(9, &event.to_string()).iter().for_each(|at| counts[*at as usize] += 1);
        }
        // 200 of 2,000 expected, standard deviation 13.4.
        assert!(counts.iter().all(|count| (130..270).contains(count)), "{counts:?}");
    }

    #[test]
    fn the_second_place_kept_any() {
        let auxiliary: Vec<bool> = (0..400).map(|at| at >= 175).collect();
        let rule = Choice { seed: 0, compatibility: Compatibility::IceCubeSecondPlace };
        let good: usize = (0..200)
            .map(|event: u32| rule.keep(&event.to_string(), &auxiliary, &times(400), 192))
            .map(|kept| kept.iter().filter(|at| !auxiliary[**at as usize]).count())
            .sum();
        // 175 of 400 are good, so are 84 of 192 on average.
        assert!((good as f64 / 200.0 - 84.0).abs() < 2.0, "{good}");
    }

    #[test]
    fn pulses_out_of_time_are_put_in_order() {
        let rule = Choice { seed: 0, compatibility: Compatibility::None };
        assert_eq!(rule.keep("1", &[false; 4], &[3.0, 1.0, 1.0, 0.0], 9), [3, 1, 2, 0]);
    }
}

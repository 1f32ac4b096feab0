//! Rounding to decimals, halves to even.

use super::{Info, PostStep};
use crate::block::Block;

pub(super) const INFO: Info = Info {
    name: "round",
    yaml: "round: 5",
    formula: "the nearest number with n decimals, of two the even one",
    idempotent: true,
    row_local: true,
    examples: || [0, 1, 3, 5, MOST_DECIMALS].map(PostStep::Round).to_vec(),
};

/// 10^22 is the highest power of ten that a double holds exactly.
const MOST_DECIMALS: u32 = 22;

pub(super) fn fault(decimals: u32) -> Option<String> {
    (decimals > MOST_DECIMALS).then(|| format!("{decimals} decimals are more than {MOST_DECIMALS}"))
}

/// Exactly what writing the stored binary value with `decimals` decimals and reading it back gives, several times
/// faster. A half is a half only where the binary value is one: 0.125 is, 1.115 (stored as 1.1149999...) is not.
pub(super) fn apply(decimals: u32, values: &mut Block) {
    let scale = power_of_ten(decimals);
    values.values_mut().iter_mut().for_each(|x| *x = round(*x, scale));
}

/// Multiplied one by one: every product up to 10^22 is exact, on every machine.
fn power_of_ten(decimals: u32) -> f64 {
    (0..decimals.min(MOST_DECIMALS)).fold(1.0, |power, _| power * 10.0)
}

fn round(x: f64, scale: f64) -> f64 {
    /// 2^53: from here on neighbors of `x` lie farther apart than decimals do, and `x` is the nearest to its own. Below
    /// it, from 2^52 on, the product was itself rounded to the whole number wanted.
    const WHOLE: f64 = 9_007_199_254_740_992.0;
    let scaled = x * scale;
    if scaled.abs() >= WHOLE || scaled.is_nan() {
        return x;
    }
    let mut whole = scaled.round_ties_even();
    let rest = scaled - whole;
    // The product was rounded. That cannot move it across a half, only onto one: then the exact remainder decides.
    if rest.abs() == 0.5 {
        let lost = libm::fma(x, scale, -scaled);
        if lost > 0.0 {
            whole = scaled + 0.5;
        } else if lost < 0.0 {
            whole = scaled - 0.5;
        }
    }
    // A quotient of two exact numbers is the double nearest to the decimal. Adding 0 turns -0 into 0.
    whole / scale + 0.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn by_text(x: f64, decimals: u32) -> f64 {
        format!("{x:.*}", decimals as usize).parse().unwrap()
    }

    proptest! {
        #[test]
        fn as_text_does(x in -1e3_f64..1e3, units in -20_000_i64..20_000, decimals in 0_u32..12) {
            prop_assert_eq!(round(x, power_of_ten(decimals)), by_text(x, decimals));
            // Near-halves such as 1.115, and true ones such as 0.125.
            for x in [units as f64 / 1000.0, units as f64 / 64.0, units as f64 + 0.5] {
                let decimals = decimals % 6;
                prop_assert_eq!(round(x, power_of_ten(decimals)), by_text(x, decimals), "{} to {}", x, decimals);
            }
        }

        #[test]
        fn any_number_of_any_size(bits: u64, decimals in 0..=MOST_DECIMALS) {
            let x = f64::from_bits(bits);
            prop_assume!(x.is_finite());
            prop_assert_eq!(round(x, power_of_ten(decimals)), by_text(x, decimals));
        }
    }

    #[test]
    fn edges() {
        assert_eq!(power_of_ten(MOST_DECIMALS), 1e22);
        assert_eq!(round(2.5, 1.0), 2.0);
        assert_eq!(round(1.115, 100.0), 1.11, "the product 111.5 only looks like a half");
        let close = f64::from_bits(4_677_610_126_035_372_196);
        assert_eq!(round(close, 1e11), by_text(close, 11), "its product has no fraction, itself has more decimals");
        assert!(round(-0.2, 1.0).is_sign_positive());
        assert_eq!(round(f64::MAX, 1e22), f64::MAX);
    }
}

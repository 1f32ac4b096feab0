//! Elementary functions and sums with the same bits on every machine.
//!
//! A submission must regenerate byte for byte anywhere, so nothing here calls the platform's mathematics: `ln` and `exp`
//! are the classic fdlibm reductions written without branches (so that loops over slices vectorise), everything else
//! comes from the `libm` crate. No fused multiply-add is ever asked for, therefore wider instruction sets change the
//! speed and never a result. Sums have [`LANES`] lanes in a fixed order.
//!
//! Errors against the correctly rounded result: at most 1 ulp for `ln` and `exp` (tested), 2 ulp for `sigmoid`.

// The constants are fdlibm's, digit for digit as published.
#![allow(clippy::excessive_precision)]

use multiversion::multiversion;

/// Accumulators of a sum: a multiple of every vector width in use.
pub const LANES: usize = 16;

const LN2_HI: f64 = 6.931_471_803_691_238_164_90e-01;
const LN2_LO: f64 = 1.908_214_929_270_587_700_02e-10;

#[inline(always)]
fn ln_normal(x: f64) -> f64 {
    // fdlibm e_log.c: x = 2^k (1 + f) with sqrt(1/2) <= 1 + f < sqrt(2), then an odd polynomial in f / (2 + f).
    const L: [f64; 7] = [
        6.666_666_666_666_735_130e-01,
        3.999_999_999_940_941_908e-01,
        2.857_142_874_366_239_149e-01,
        2.222_219_843_214_978_396e-01,
        1.818_357_216_161_805_012e-01,
        1.531_383_769_920_937_332e-01,
        1.479_819_860_511_658_591e-01,
    ];
    const SQRT_HALF: u64 = 0x3fe6_a09e_667f_3bcd;
    let bits = x.to_bits();
    let shifted = bits.wrapping_sub(SQRT_HALF);
    let k = (shifted as i64) >> 52;
    let f = f64::from_bits(bits.wrapping_sub((k as u64) << 52)) - 1.0;
    // The exponent as a float without an integer conversion, which has no vector form on older machines.
    let k = f64::from_bits(0x4338_0000_0000_0000_u64.wrapping_add(k as u64)) - 6_755_399_441_055_744.0;
    let s = f / (2.0 + f);
    let z = s * s;
    let w = z * z;
    let even = w * (L[1] + w * (L[3] + w * L[5]));
    let odd = z * (L[0] + w * (L[2] + w * (L[4] + w * L[6])));
    let half_square = 0.5 * f * f;
    k * LN2_HI - ((half_square - (s * (half_square + (odd + even)) + k * LN2_LO)) - f)
}

#[inline(always)]
fn exp_normal(x: f64) -> f64 {
    // fdlibm e_exp.c: x = k ln 2 + r, |r| <= ln(2)/2, then a rational approximation of exp(r).
    const P: [f64; 5] = [
        1.666_666_666_666_660_190e-01,
        -2.777_777_777_701_559_338e-03,
        6.613_756_321_437_934_361e-05,
        -1.653_390_220_546_525_153e-06,
        4.138_136_797_057_238_460e-08,
    ];
    const ROUND: f64 = 6_755_399_441_055_744.0;
    let shifted = x * std::f64::consts::LOG2_E + ROUND;
    let k = shifted - ROUND;
    let hi = x - k * LN2_HI;
    let lo = k * LN2_LO;
    let r = hi - lo;
    let t = r * r;
    let c = r - t * (P[0] + t * (P[1] + t * (P[2] + t * (P[3] + t * P[4]))));
    let y = 1.0 - ((lo - (r * c) / (2.0 - c)) - hi);
    let exponent = shifted.to_bits().wrapping_sub(ROUND.to_bits());
    f64::from_bits(y.to_bits().wrapping_add(exponent << 52))
}

/// ln x.
#[must_use]
#[inline(always)]
pub fn ln(x: f64) -> f64 {
    if x.is_normal() && x > 0.0 { ln_normal(x) } else { libm::log(x) }
}

/// e^x.
#[must_use]
#[inline(always)]
pub fn exp(x: f64) -> f64 {
    if x.abs() < 708.0 { exp_normal(x) } else { libm::exp(x) }
}

/// 1 / (1 + e^-x).
#[must_use]
#[inline(always)]
pub fn sigmoid(x: f64) -> f64 {
    let e = exp(-x.abs());
    let small = e / (1.0 + e);
    if x >= 0.0 { 1.0 / (1.0 + e) } else { small }
}

/// The angle between the positive x axis and the point (x, y) of the upper half plane, `y >= 0`: in [0, pi]; 0 for the
/// origin. Within 3 ulp (tested).
#[must_use]
#[inline(always)]
pub fn polar_angle(y: f64, x: f64) -> f64 {
    // fdlibm s_atan.c: an odd polynomial up to 7/16, beyond it atan(a) = pi/4 + atan((a - 1) / (a + 1)).
    const A: [f64; 11] = [
        3.333_333_333_333_293_180_27e-01,
        -1.999_999_999_987_648_324_76e-01,
        1.428_571_427_250_346_637_11e-01,
        -1.111_111_040_546_235_578_80e-01,
        9.090_887_133_436_506_561_96e-02,
        -7.691_876_205_044_829_994_95e-02,
        6.661_073_137_387_531_206_69e-02,
        -5.833_570_133_790_573_486_45e-02,
        4.976_877_994_615_932_360_17e-02,
        -3.653_157_274_421_691_552_70e-02,
        1.628_582_011_536_578_236_23e-02,
    ];
    const QUARTER: (f64, f64) = (std::f64::consts::FRAC_PI_4, 3.061_616_997_868_383_017_93e-17);
    let across = x.abs();
    let steep = y > across;
    let (low, high) = if steep { (across, y) } else { (y, across) };
    let far = low > 0.4375 * high;
    let (above, below) = if far { (low - high, low + high) } else { (low, high) };
    let t = above / (if below > 0.0 { below } else { 1.0 });
    let z = t * t;
    let w = z * z;
    let odd = z * (A[0] + w * (A[2] + w * (A[4] + w * (A[6] + w * (A[8] + w * A[10])))));
    let even = w * (A[1] + w * (A[3] + w * (A[5] + w * (A[7] + w * A[9]))));
    let (quarter, rest) = if far { QUARTER } else { (0.0, 0.0) };
    let first = quarter - ((t * (odd + even) - rest) - t);
    let second = if steep { 2.0 * QUARTER.0 - (first - 2.0 * QUARTER.1) } else { first };
    if x < 0.0 { 4.0 * QUARTER.0 - (second - 4.0 * QUARTER.1) } else { second }
}

/// ln(1 + e^x) without overflow.
#[must_use]
#[inline(always)]
pub fn softplus(x: f64) -> f64 {
    x.max(0.0) + libm::log1p(exp(-x.abs()))
}

/// ln of every element.
#[multiversion(targets("x86_64+avx512f+avx512dq+avx512vl+avx512bw", "x86_64+avx2"))]
pub fn ln_all(values: &mut [f64]) {
    for chunk in values.chunks_mut(512) {
        let special = chunk.iter().any(|x| !(*x >= f64::MIN_POSITIVE && *x <= f64::MAX));
        if special {
            chunk.iter_mut().for_each(|x| *x = ln(*x));
        } else {
            chunk.iter_mut().for_each(|x| *x = ln_normal(*x));
        }
    }
}

/// e^x of every element.
#[multiversion(targets("x86_64+avx512f+avx512dq+avx512vl+avx512bw", "x86_64+avx2"))]
pub fn exp_all(values: &mut [f64]) {
    for chunk in values.chunks_mut(512) {
        if chunk.iter().all(|x| x.abs() < 708.0) {
            chunk.iter_mut().for_each(|x| *x = exp_normal(*x));
        } else {
            chunk.iter_mut().for_each(|x| *x = exp(*x));
        }
    }
}

/// 1 / (1 + e^-x) of every element.
#[multiversion(targets("x86_64+avx512f+avx512dq+avx512vl+avx512bw", "x86_64+avx2"))]
pub fn sigmoid_all(values: &mut [f64]) {
    #[inline(always)]
    fn tame(x: f64) -> f64 {
        let e = exp_normal(-x.abs());
        (if x >= 0.0 { 1.0 } else { e }) / (1.0 + e)
    }
    for chunk in values.chunks_mut(512) {
        if chunk.iter().all(|x| x.abs() < 708.0) {
            chunk.iter_mut().for_each(|x| *x = tame(*x));
        } else {
            chunk.iter_mut().for_each(|x| *x = sigmoid(*x));
        }
    }
}

/// Copies numbers of half the width. Both slices have one length.
#[multiversion(targets("x86_64+avx512f+avx512dq+avx512vl+avx512bw", "x86_64+avx2"))]
pub fn widen(from: &[f32], to: &mut [f64]) {
    to.iter_mut().zip(from).for_each(|(to, &x)| *to = f64::from(x));
}

/// The sum, in [`LANES`] lanes.
#[must_use]
#[multiversion(targets("x86_64+avx512f+avx512dq+avx512vl+avx512bw", "x86_64+avx2"))]
pub fn sum(values: &[f64]) -> f64 {
    let mut lanes = [0.0; LANES];
    let (chunks, rest) = values.as_chunks::<LANES>();
    for chunk in chunks {
        lanes.iter_mut().zip(chunk).for_each(|(lane, x)| *lane += x);
    }
    lanes.iter_mut().zip(rest).for_each(|(lane, x)| *lane += x);
    fold(&lanes)
}

/// The sum of products, in [`LANES`] lanes. Both slices have one length.
#[must_use]
#[multiversion(targets("x86_64+avx512f+avx512dq+avx512vl+avx512bw", "x86_64+avx2"))]
pub fn dot(a: &[f64], b: &[f64]) -> f64 {
    let mut lanes = [0.0; LANES];
    let (a_chunks, a_rest) = a.as_chunks::<LANES>();
    let (b_chunks, b_rest) = b.as_chunks::<LANES>();
    for (x, y) in a_chunks.iter().zip(b_chunks) {
        for lane in 0..LANES {
            lanes[lane] += x[lane] * y[lane];
        }
    }
    for (lane, (x, y)) in a_rest.iter().zip(b_rest).enumerate() {
        lanes[lane] += x * y;
    }
    fold(&lanes)
}

/// `to += weight * from`, element by element.
#[multiversion(targets("x86_64+avx512f+avx512dq+avx512vl+avx512bw", "x86_64+avx2"))]
pub fn add_scaled(weight: f64, from: &[f64], to: &mut [f64]) {
    to.iter_mut().zip(from).for_each(|(to, x)| *to += weight * x);
}

/// `to += a * b`, element by element.
#[multiversion(targets("x86_64+avx512f+avx512dq+avx512vl+avx512bw", "x86_64+avx2"))]
pub fn add_product(a: &[f64], b: &[f64], to: &mut [f64]) {
    to.iter_mut().zip(a.iter().zip(b)).for_each(|(to, (a, b))| *to += a * b);
}

/// Lanes to one number, halves first: the order is part of the promise.
#[inline(always)]
#[must_use]
pub fn fold(lanes: &[f64; LANES]) -> f64 {
    let mut tree = *lanes;
    let mut width = LANES / 2;
    while width > 0 {
        for lane in 0..width {
            tree[lane] += tree[lane + width];
        }
        width /= 2;
    }
    tree[0]
}

#[cfg(test)]
#[allow(clippy::disallowed_methods)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn ulps(a: f64, b: f64) -> u64 {
        (a.to_bits() as i64).abs_diff(b.to_bits() as i64)
    }

    proptest! {
        #[test]
        fn ln_is_within_an_ulp(x in 1e-300_f64..1e300, near in 0.5_f64..2.0) {
            prop_assert!(ulps(ln(x), x.ln()) <= 1, "{x}");
            prop_assert!(ulps(ln(near), near.ln()) <= 1, "{near}");
        }

        #[test]
        fn exp_is_within_an_ulp(x in -700.0_f64..700.0) {
            prop_assert!(ulps(exp(x), x.exp()) <= 1, "{x}");
        }

        #[test]
        fn angles_are_within_three_ulps(x in -1.0_f64..1.0, y in 0.0_f64..1.0, small in 0.0_f64..1e-9) {
            for (y, x) in [(y, x), (small, x), (y, small), (y, -small), (0.0, x), (y, y), (y, -y), (0.4375 * x.abs(), x)] {
                prop_assert!(ulps(polar_angle(y, x), libm::atan2(y, x).abs()) <= 3, "{y} {x}");
            }
        }

        #[test]
        fn slices_and_single_values_agree(values in proptest::collection::vec(-800.0_f64..800.0, 0..1200)) {
            let mut all = values.clone();
            exp_all(&mut all);
            prop_assert!(all.iter().zip(&values).all(|(a, x)| a.to_bits() == exp(*x).to_bits()));
            let mut all = values.clone();
            sigmoid_all(&mut all);
            prop_assert!(all.iter().zip(&values).all(|(a, x)| a.to_bits() == sigmoid(*x).to_bits()));
            let positive: Vec<f64> = values.iter().map(|x| x.abs()).collect();
            let mut all = positive.clone();
            ln_all(&mut all);
            prop_assert!(all.iter().zip(&positive).all(|(a, x)| a.to_bits() == ln(*x).to_bits()));
        }

        #[test]
        fn sums_are_sums(values in proptest::collection::vec(-1.0_f64..1.0, 0..300)) {
            let plain: f64 = values.iter().sum();
            prop_assert!((sum(&values) - plain).abs() < 1e-12);
            let squares: f64 = values.iter().map(|x| x * x).sum();
            prop_assert!((dot(&values, &values) - squares).abs() < 1e-12);
        }
    }

    #[test]
    fn edges() {
        assert_eq!(ln(0.0), f64::NEG_INFINITY);
        assert!(ln(-1.0).is_nan());
        assert_eq!(ln(1.0), 0.0);
        assert!(ulps(ln(5e-324), 5e-324_f64.ln()) <= 1);
        assert_eq!(exp(f64::NEG_INFINITY), 0.0);
        assert_eq!(exp(1000.0), f64::INFINITY);
        assert_eq!(polar_angle(0.0, 0.0), 0.0);
        assert_eq!(polar_angle(0.0, -1.0), std::f64::consts::PI);
        assert_eq!(polar_angle(1.0, 0.0), std::f64::consts::FRAC_PI_2);
        assert_eq!(sigmoid(f64::INFINITY), 1.0);
        assert_eq!(sigmoid(-1000.0), 0.0);
        assert!((softplus(0.0) - 2.0_f64.ln()).abs() < 1e-16);
        assert_eq!(softplus(1e4), 1e4);
    }
}

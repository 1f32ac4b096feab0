//! Normal quantiles of the ranks within a column: for metrics of order, where ranks crowd the ends.

use super::{Info, NUMBERS, Space, decode, rank::rank};
use crate::{block::Block, judge::Preparation, num, output::Encoding};

pub(super) struct NormalScore;

impl Space for NormalScore {
    fn info(&self) -> &'static Info {
        &Info {
            name: "normal_score",
            formula: "enter the normal quantile of (average rank - 0.5) / N within the rows judged; leave u",
            usage: "AUC and other metrics of order",
            accepts: NUMBERS,
            row_local: false,
            returns_members: false,
        }
    }

    fn enter(&self, encoding: Encoding, _preparation: Preparation, values: &mut Block) {
        decode(encoding, values);
        for output in 0..values.n_outputs() {
            let column = values.column_mut(output);
            rank(column);
            column.iter_mut().for_each(|x| *x = quantile(*x));
        }
    }

    fn leave(&self, _values: &mut Block) {}
}

/// The standard normal quantile of a probability in (0, 1), to about 1 part in 10^16 (algorithm AS 241, Wichura 1988).
fn quantile(p: f64) -> f64 {
    let q = p - 0.5;
    if q.abs() <= 0.425 {
        let r = 0.180_625 - q * q;
        return q * ratio(r, &CENTRAL);
    }
    let tail = libm::sqrt(-num::ln(if q < 0.0 { p } else { 1.0 - p }));
    let x = if tail <= 5.0 { ratio(tail - 1.6, &MIDDLE) } else { ratio(tail - 5.0, &FAR) };
    if q < 0.0 { -x } else { x }
}

/// Two polynomials, the constant terms first, one over the other.
fn ratio(x: f64, [above, below]: &[[f64; 8]; 2]) -> f64 {
    let value = |terms: &[f64; 8]| terms.iter().rev().fold(0.0, |sum, term| sum * x + term);
    value(above) / value(below)
}

const CENTRAL: [[f64; 8]; 2] = [
    [
        3.387_132_872_796_366_5,
        133.141_667_891_784_38,
        1_971.590_950_306_551_3,
        13_731.693_765_509_46,
        45_921.953_931_549_87,
        67_265.770_927_008_7,
        33_430.575_583_588_13,
        2_509.080_928_730_122_7,
    ],
    [
        1.0,
        42.313_330_701_600_91,
        687.187_007_492_057_9,
        5_394.196_021_424_751,
        21_213.794_301_586_597,
        39_307.895_800_092_71,
        28_729.085_735_721_943,
        5_226.495_278_852_854,
    ],
];

const MIDDLE: [[f64; 8]; 2] = [
    [
        1.423_437_110_749_683_5,
        4.630_337_846_156_546,
        5.769_497_221_460_691,
        3.647_848_324_763_204_5,
        1.270_458_252_452_368_4,
        0.241_780_725_177_450_6,
        0.022_723_844_989_269_184,
        7.745_450_142_783_414e-4,
    ],
    [
        1.0,
        2.053_191_626_637_759,
        1.676_384_830_183_803_8,
        0.689_767_334_985_1,
        0.148_103_976_427_480_08,
        0.015_198_666_563_616_457,
        5.475_938_084_995_345e-4,
        1.050_750_071_644_416_9e-9,
    ],
];

const FAR: [[f64; 8]; 2] = [
    [
        6.657_904_643_501_103,
        5.463_784_911_164_114,
        1.784_826_539_917_291_3,
        0.296_560_571_828_504_87,
        0.026_532_189_526_576_124,
        0.001_242_660_947_388_078_4,
        2.711_555_568_743_487_6e-5,
        2.010_334_399_292_288_1e-7,
    ],
    [
        1.0,
        0.599_832_206_555_888,
        0.136_929_880_922_735_8,
        0.014_875_361_290_850_615,
        7.868_691_311_456_133e-4,
        1.846_318_317_510_054_8e-5,
        1.421_511_758_316_446e-7,
        2.044_263_103_389_939_8e-15,
    ],
];

#[cfg(test)]
mod tests {
    use super::quantile;

    #[test]
    fn quantiles_are_scipys() {
        // scipy.stats.norm.ppf
        for (p, wanted) in QUANTILES {
            let got = quantile(p);
            assert!((got - wanted).abs() <= 4e-15 * wanted.abs().max(1.0), "{p}: {got} instead of {wanted}");
        }
        assert_eq!(quantile(0.5), 0.0);
    }

    const QUANTILES: [(f64, f64); 7] = [
        (0.025, -1.9599639845400545),
        (0.1, -1.2815515655446004),
        (0.3, -0.5244005127080409),
        (0.7, 0.5244005127080407),
        (0.925, 1.4395314709384563),
        (0.9999, 3.719016485455709),
        (1e-12, -7.034483825301131),
    ];
}

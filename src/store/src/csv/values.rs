//! What the cells of a column hold, and their values, written in place by blocks of rows.

use super::fields::text_of;
use crate::table::Cells;
use blend_core::source::Column;

/// The narrowest type that holds some cells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    /// Whole numbers of one byte: labels, folds, flags written as 0 and 1.
    Small,
    /// Whole numbers.
    Whole,
    /// Floats; a missing one is NaN.
    Real,
    /// Booleans.
    Flag,
    /// Text.
    Text,
}

impl Kind {
    /// That of one cell.
    pub(super) fn of(raw: &[u8]) -> Self {
        if small(raw).is_some() {
            Self::Small
        } else if whole(raw).is_some() {
            Self::Whole
        } else if real(raw).is_some() {
            Self::Real
        } else if flag(raw).is_some() {
            Self::Flag
        } else {
            Self::Text
        }
    }

    /// That of the cells of both.
    pub(super) fn join(self, other: Self) -> Self {
        if self == other {
            self
        } else if self.max(other) <= Self::Real {
            self.max(other)
        } else {
            Self::Text
        }
    }
}

/// The values of a column.
#[derive(Debug)]
pub(super) enum Values {
    Small(Vec<i8>),
    Whole(Vec<i64>),
    Real(Vec<f64>),
    Flag(Vec<bool>),
    Text(Vec<String>),
}

/// Room for the values of one column in one block of rows.
pub(super) enum Slot<'a> {
    Small(&'a mut [i8]),
    Whole(&'a mut [i64]),
    Real(&'a mut [f64]),
    Flag(&'a mut [bool]),
    Text(&'a mut [String]),
}

impl Values {
    /// Room for `n_rows` values.
    pub(super) fn new(kind: Kind, n_rows: usize) -> Self {
        match kind {
            Kind::Small => Self::Small(vec![0; n_rows]),
            Kind::Whole => Self::Whole(vec![0; n_rows]),
            Kind::Real => Self::Real(vec![0.0; n_rows]),
            Kind::Flag => Self::Flag(vec![false; n_rows]),
            Kind::Text => Self::Text(vec![String::new(); n_rows]),
        }
    }

    /// Its parts by blocks of `n_rows`, in order.
    pub(super) fn slots(&mut self, n_rows: usize) -> Vec<Slot<'_>> {
        match self {
            Self::Small(values) => values.chunks_mut(n_rows).map(Slot::Small).collect(),
            Self::Whole(values) => values.chunks_mut(n_rows).map(Slot::Whole).collect(),
            Self::Real(values) => values.chunks_mut(n_rows).map(Slot::Real).collect(),
            Self::Flag(values) => values.chunks_mut(n_rows).map(Slot::Flag).collect(),
            Self::Text(values) => values.chunks_mut(n_rows).map(Slot::Text).collect(),
        }
    }

    /// As a table holds them; an empty text is missing.
    pub(super) fn into_cells(self) -> Cells {
        match self {
            Self::Small(values) => Cells::Small(values),
            Self::Whole(values) => Cells::Typed(Column::I64(values), None),
            Self::Real(values) => Cells::Typed(Column::F64(values), None),
            Self::Flag(values) => Cells::Typed(Column::Bool(values), None),
            Self::Text(values) => {
                let null = values.iter().position(String::is_empty);
                Cells::Typed(Column::Text(values), null)
            }
        }
    }
}

impl Slot<'_> {
    /// Writes what a cell says to `row`; `false` where it does not fit.
    #[inline]
    pub(super) fn put(&mut self, row: usize, raw: &[u8]) -> bool {
        fn set<T>(place: &mut T, value: Option<T>) -> bool {
            value.is_some_and(|value| {
                *place = value;
                true
            })
        }
        match self {
            Self::Small(values) => set(&mut values[row], small(raw)),
            Self::Whole(values) => set(&mut values[row], whole(raw)),
            Self::Real(values) => set(&mut values[row], real(raw)),
            Self::Flag(values) => set(&mut values[row], flag(raw)),
            Self::Text(values) => set(&mut values[row], text_of(raw).map(Into::into)),
        }
    }
}

#[inline]
fn small(raw: &[u8]) -> Option<i8> {
    match raw {
        // One digit: nearly every cell of a table of labels.
        [digit @ b'0'..=b'9'] => Some((digit - b'0') as i8),
        _ => i8::try_from(whole(raw)?).ok(),
    }
}

fn whole(raw: &[u8]) -> Option<i64> {
    text_of(raw)?.trim().parse().ok()
}

fn real(raw: &[u8]) -> Option<f64> {
    number(&text_of(raw)?)
}

/// A float, correctly rounded; the usual marks of a missing value are NaN.
pub(crate) fn number(text: &str) -> Option<f64> {
    let text = text.trim();
    text.parse().ok().or_else(|| {
        let missing = ["", "NA", "N/A", "#N/A", "n/a", "<NA>", "null", "NULL", "None", "-nan", "-NaN"];
        missing.contains(&text).then_some(f64::NAN)
    })
}

fn flag(raw: &[u8]) -> Option<bool> {
    match text_of(raw)?.trim() {
        "true" | "True" | "TRUE" => Some(true),
        "false" | "False" | "FALSE" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn numbers_are_exact() {
        // Halfway cases and the ends of the range, where a sloppy parser is one unit off.
        for (text, bits) in [
            ("9007199254740993", 9_007_199_254_740_992.0_f64.to_bits()),
            ("0.1", 0x3FB9_9999_9999_999A),
            ("5e-324", 1),
            ("2.4703282292062327e-324", 0),
            ("2.4703282292062328e-324", 1),
            ("1.7976931348623157e308", f64::MAX.to_bits()),
            ("2.2250738585072011e-308", 0x000F_FFFF_FFFF_FFFF),
            ("6631236846766476e-316", 6_631_236_846_766_476e-316_f64.to_bits()),
            ("8.533e+68", 8.533e68_f64.to_bits()),
            (" -0.0 ", (-0.0_f64).to_bits()),
        ] {
            assert_eq!(number(text).unwrap().to_bits(), bits, "{text}");
        }
        assert!(number("").unwrap().is_nan() && number("NA").unwrap().is_nan() && number("nan").unwrap().is_nan());
        assert!(number("1,5").is_none() && number("abc").is_none() && number("1_0").is_none());
    }

    #[test]
    fn the_narrowest_kind_is_found() {
        use Kind::{Flag, Real, Small, Text, Whole};
        for (raw, kind) in [
            ("0", Small),
            ("-1", Small),
            ("+127", Small),
            ("\" 7 \"", Small),
            ("128", Whole),
            ("-9223372036854775808", Whole),
            ("9223372036854775808", Real),
            ("1e3", Real),
            ("", Real),
            ("\"\"", Real),
            ("NA", Real),
            ("True", Flag),
            ("\"a\"", Text),
            ("1-", Text),
            ("-", Text),
        ] {
            assert_eq!(Kind::of(raw.as_bytes()), kind, "{raw}");
        }
        assert_eq!(Kind::of(b"caf\xE9"), Text);
        assert_eq!((Small.join(Real), Whole.join(Small), Flag.join(Flag)), (Real, Whole, Flag));
        assert_eq!((Small.join(Flag), Flag.join(Real), Text.join(Small)), (Text, Text, Text));
    }

    proptest! {
        #[test]
        fn a_written_number_is_read_back(bits: u64) {
            let value = f64::from_bits(bits);
            prop_assume!(!value.is_nan());
            prop_assert_eq!(number(&value.to_string()).unwrap().to_bits(), bits);
            prop_assert_eq!(number(&format!("{value:e}")).unwrap().to_bits(), bits);
        }
    }
}

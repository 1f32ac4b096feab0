//! Values that are no numbers, of another kind or scale, or too good to be true.

use super::{
    super::small::{Kind, bytes, csv, id, label, noise, predictions},
    Answer::{Flagged, Refused, Sound},
    Case, TARGETS, case, changed, own, with_line,
};
use crate::toy::npy;

/// Values that are not what they are said to be.
pub(super) fn values() -> Vec<Case> {
    let logit = |p: f64| (p / (1.0 - p)).ln();
    let line = |value: &str| with_line(9, &format!("{},0.5,{value},0.5", id(false, 9)));
    let infinite_half = {
        let mut data = bytes(&own(TARGETS), |_| 0x3800_u16.to_le_bytes());
        data[12..14].copy_from_slice(&0x7c00_u16.to_le_bytes());
        npy("<f2", "(600, 3)", &data)
    };
    let of = |change: fn(usize, usize, f64) -> f64| csv(false, &changed(TARGETS, change));
    let classes = |change: fn(usize, usize, f64) -> f64| csv(false, &changed(Kind::Classes, change));
    let directions = |change: fn(usize, usize, f64) -> f64| csv(false, &changed(Kind::Directions, change));
    let swapped = |kind: Kind| {
        let it = own(kind);
        csv(false, &[it[1].clone(), it[0].clone(), it[2].clone()])
    };
    vec![
        case("not a number", TARGETS, "bad.csv", line("nan"), Refused(3, &["bad.csv"])),
        case("infinite", TARGETS, "bad.csv", line("inf"), Refused(3, &["bad.csv"])),
        case("an empty cell", TARGETS, "bad.csv", line(""), Refused(3, &["bad.csv"])),
        case("half precision overflown", TARGETS, "bad.npy", infinite_half, Refused(3, &["<f2"])),
        case("too large for f32", TARGETS, "bad.csv", line("1e300"), Refused(3, &["1e300", "--dtype f64"])),
        case("above one", TARGETS, "bad.csv", line("1.5"), Refused(3, &["1.5", "probability"])),
        case("below zero", TARGETS, "bad.csv", line("-0.25"), Refused(3, &["-0.25", "probability"])),
        case(
            "percent",
            TARGETS,
            "bad.csv",
            of(|_, _, p| 100.0 * p),
            Refused(3, &["probability", "divide percent by 100"]),
        ),
        case(
            "logits as probabilities",
            TARGETS,
            "bad.csv",
            csv(false, &changed(TARGETS, |_, _, p| logit(p))),
            Refused(3, &["--output logit"]),
        ),
        case("probabilities as logits", TARGETS, "bad.csv", of(|_, _, p| p), Flagged("range", "warning"))
            .with(&["--output", "logit"]),
        case("probabilities of 0", TARGETS, "bad.csv", of(|_, _, p| 1.0 - p), Flagged("baseline", "fault")),
        case("one value in all cells", TARGETS, "bad.csv", of(|_, _, _| 0.5), Flagged("constant", "warning")),
        case(
            "one value in a column",
            TARGETS,
            "bad.csv",
            of(|c, _, p| if c == 1 { 0.25 } else { p }),
            Flagged("constant", "warning"),
        ),
        case(
            "gaps filled with 0",
            TARGETS,
            "bad.csv",
            of(|_, row, p| if row % 50 == 7 { 0.0 } else { p }),
            Flagged("zero_rows", "fault"),
        ),
        case(
            "certain and wrong",
            TARGETS,
            "bad.csv",
            csv(false, &changed(TARGETS, |c, row, p| if row < 40 { 1.0 - label(TARGETS, c, row) } else { p })),
            Flagged("saturation", "warning"),
        ),
        case(
            "logits cut off",
            TARGETS,
            "bad.csv",
            csv(false, &changed(TARGETS, |_, _, p| logit(p).clamp(-1.5, 1.5))),
            Flagged("saturation", "warning"),
        )
        .with(&["--output", "logit"]),
        case(
            "half precision",
            TARGETS,
            "bad.csv",
            of(|_, _, p| f64::from_bits(p.to_bits() & !((1 << 42) - 1))),
            Flagged("saturation", "note"),
        ),
        case("the labels", TARGETS, "bad.csv", of(|c, row, _| label(TARGETS, c, row)), Flagged("leak", "fault")),
        case(
            "the labels, softened",
            TARGETS,
            "bad.csv",
            of(|c, row, _| 1e-5 + (1.0 - 2e-5) * label(TARGETS, c, row)),
            Flagged("leak", "fault"),
        ),
        case(
            "rows that were trained on",
            TARGETS,
            "bad.csv",
            of(|c, row, p| 0.5 * p + 0.5 * label(TARGETS, c, row)),
            Flagged("leak", "warning"),
        ),
        case(
            "a fold that was trained on",
            TARGETS,
            "bad.csv",
            of(|c, row, p| if row % 4 == 2 { 0.3 * p + 0.7 * label(TARGETS, c, row) } else { p }),
            Flagged("leak", "warning"),
        ),
        case(
            "noise",
            TARGETS,
            "bad.csv",
            of(|c, row, _| 0.02 + 0.96 * noise(50, c, row)),
            Flagged("baseline", "warning"),
        ),
        case(
            "far too sure",
            TARGETS,
            "bad.csv",
            csv(false, &changed(TARGETS, |_, _, p| 1.0 / (1.0 + (-4.0 * logit(p)).exp()))),
            Flagged("calibration", "note"),
        ),
        case(
            "far too timid",
            TARGETS,
            "bad.csv",
            csv(false, &changed(TARGETS, |_, _, p| 1.0 / (1.0 + (-0.3 * logit(p)).exp()))),
            Flagged("calibration", "note"),
        ),
        case(
            "another model's file",
            TARGETS,
            "bad.csv",
            csv(false, &predictions(TARGETS, 0, false)),
            Flagged("duplicate", "fault"),
        ),
        case(
            "another model's, rounded",
            TARGETS,
            "bad.csv",
            csv(false, &round(predictions(TARGETS, 0, false), 1e8)),
            Flagged("duplicate", "warning"),
        ),
        case(
            "another model's, rescaled",
            TARGETS,
            "bad.csv",
            csv(false, &halve(predictions(TARGETS, 0, false))),
            Flagged("duplicate", "note"),
        ),
        case(
            "another model's, nearly",
            TARGETS,
            "bad.csv",
            csv(false, &round(predictions(TARGETS, 0, false), 100.0)),
            Flagged("redundant", "note"),
        ),
        case(
            "test outputs of another scale",
            TARGETS,
            "bad.csv",
            csv(false, &own(TARGETS)),
            Flagged("drift", "warning"),
        )
        .with(&["--test", "in/shifted_test.csv"]),
        case("test outputs backwards", TARGETS, "bad.csv", csv(false, &own(TARGETS)), Flagged("row_order", "fault"))
            .with(&["--test", "in/reversed_test.csv"]),
        case("classes exchanged", Kind::Classes, "bad.csv", swapped(Kind::Classes), Flagged("columns", "fault")),
        case(
            "classes that do not sum to one",
            Kind::Classes,
            "bad.csv",
            classes(|_, _, p| 0.99 * p),
            Flagged("range", "warning"),
        )
        .with(&["--dtype", "f64"]),
        case(
            "classes without a sum",
            Kind::Classes,
            "bad.csv",
            classes(|c, _, p| if c == 0 { p } else { 0.4 * p }),
            Flagged("range", "warning"),
        ),
        case("sound classes", Kind::Classes, "bad.csv", classes(|_, _, p| p), Sound),
        case("x and y exchanged", Kind::Directions, "bad.csv", swapped(Kind::Directions), Flagged("frame", "fault")),
        case("x and y exchanged and said so", Kind::Directions, "bad.csv", swapped(Kind::Directions), Sound)
            .with(&["--frame", "yxz"]),
        case(
            "from where instead of where to",
            Kind::Directions,
            "bad.csv",
            directions(|_, _, x| -x),
            Flagged("frame", "fault"),
        ),
        case(
            "directions without a length",
            Kind::Directions,
            "bad.csv",
            directions(|_, row, x| if row == 7 { 0.0 } else { x }),
            Flagged("range", "warning"),
        ),
    ]
}

fn round(mut columns: Vec<Vec<f64>>, units: f64) -> Vec<Vec<f64>> {
    columns.iter_mut().flatten().for_each(|x| *x = (*x * units).round() / units);
    columns
}

fn halve(mut columns: Vec<Vec<f64>>) -> Vec<Vec<f64>> {
    columns.iter_mut().flatten().for_each(|x| *x = 0.25 + 0.5 * *x);
    columns
}

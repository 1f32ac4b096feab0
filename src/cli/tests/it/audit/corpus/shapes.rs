//! Rows and columns that are missing, too many, or in another order.

use super::{
    super::small::{ROWS, csv, csv_in, id, predictions},
    Answer::{Flagged, Refused, Sound},
    Case, TARGETS, case, changed, f32_bytes, lines, own, with_line,
};
use crate::toy::npy;

/// Rows and columns that are not those of the competition.
pub(super) fn shapes() -> Vec<Case> {
    let (columns, text) = (own(TARGETS), csv(false, &own(TARGETS)));
    let backwards: Vec<usize> = (0..ROWS).rev().collect();
    let mut by_id: Vec<usize> = (0..ROWS).collect();
    by_id.sort_by_key(|row| id(false, *row));
    let mut by_fold: Vec<usize> = (0..ROWS).collect();
    by_fold.sort_by_key(|row| row % 4);
    let ordered = |order: &[usize]| -> Vec<Vec<f64>> {
        columns.iter().map(|column| order.iter().map(|row| column[*row]).collect()).collect()
    };
    let array = |columns: &[Vec<f64>]| npy("<f4", "(600, 3)", &f32_bytes(columns));
    let strangers: Vec<usize> = (0..ROWS).map(|row| row * 7 % ROWS).map(|row| (row + row * row) % ROWS).collect();
    let shuffled = changed(TARGETS, |c, row, _| columns[c][strangers[row]]);
    let twice = with_line(9, &format!("{},0.5,0.5,0.5", id(false, 10)));
    vec![
        case("lines in another order", TARGETS, "bad.csv", csv_in(false, &columns, &backwards), Sound),
        case("a row missing", TARGETS, "bad.csv", lines(&text, |row| row != 17), Refused(3, &["1 id", "missing"])),
        case(
            "half of the rows missing",
            TARGETS,
            "bad.csv",
            lines(&text, |row| row % 2 == 0),
            Refused(3, &["300 ids missing"]),
        ),
        case(
            "a row too many",
            TARGETS,
            "bad.csv",
            text.clone() + "r999,0.5,0.5,0.5\n",
            Refused(3, &["1 unknown", "r999"]),
        ),
        case("an id twice", TARGETS, "bad.csv", twice, Refused(3, &["stands in rows"])),
        case("an empty id", TARGETS, "bad.csv", with_line(9, ",0.5,0.5,0.5"), Refused(3, &["row 9"])),
        case("ids written otherwise", TARGETS, "bad.csv", text.replace("\nr0", "\nr"), Refused(3, &["missing"])),
        case("no id column", TARGETS, "bad.csv", text.replace("id,x", "key,x"), Refused(2, &["no column `id`"])),
        case(
            "test rows for training rows",
            TARGETS,
            "bad.csv",
            csv(true, &predictions(TARGETS, 7, true)),
            Refused(3, &["600 ids missing"]),
        ),
        case(
            "a column missing",
            TARGETS,
            "bad.csv",
            text.lines().map(|line| line.rsplit_once(',').map_or("", |it| it.0).to_owned() + "\n").collect::<String>(),
            Refused(3, &["columns"]),
        ),
        case(
            "a column that nobody asked for",
            TARGETS,
            "bad.csv",
            text.replace('\n', ",0.5\n").replacen("z,0.5", "z,w", 1),
            Sound,
        ),
        case(
            "columns of other names",
            TARGETS,
            "bad.csv",
            text.replace("id,x,y,z", "id,a,b,c"),
            Refused(3, &["a, b, c"]),
        ),
        case("an array backwards", TARGETS, "bad.npy", array(&ordered(&backwards)), Flagged("row_order", "fault")),
        case("an array sorted by id", TARGETS, "bad.npy", array(&ordered(&by_id)), Flagged("row_order", "fault")),
        case("an array fold after fold", TARGETS, "bad.npy", array(&ordered(&by_fold)), Flagged("row_order", "fault")),
        case("values sorted, ids not", TARGETS, "bad.csv", csv(false, &ordered(&by_id)), Flagged("row_order", "fault")),
        case("values in no order", TARGETS, "bad.csv", csv(false, &shuffled), Flagged("row_order", "warning")),
        case(
            "columns exchanged with their names",
            TARGETS,
            "bad.csv",
            csv(false, &[columns[1].clone(), columns[0].clone(), columns[2].clone()]).replace("id,x,y,z", "id,y,x,z"),
            Sound,
        ),
        case(
            "values of columns exchanged",
            TARGETS,
            "bad.csv",
            csv(false, &[columns[1].clone(), columns[0].clone(), columns[2].clone()]),
            Flagged("columns", "fault"),
        ),
        case(
            "an array with columns exchanged",
            TARGETS,
            "bad.npy",
            array(&[columns[2].clone(), columns[1].clone(), columns[0].clone()]),
            Flagged("columns", "fault"),
        ),
        Case {
            files: vec![
                ("one.csv", lines(&text, |row| row < 300).into()),
                ("two.csv", lines(&text, |row| row >= 300).into()),
            ],
            ..case("a file per part", TARGETS, "one.csv", "", Sound)
        },
        Case {
            files: vec![
                ("one.csv", lines(&text, |row| row < 301).into()),
                ("two.csv", lines(&text, |row| row >= 300).into()),
            ],
            ..case("parts that overlap", TARGETS, "one.csv", "", Refused(3, &["one.csv", "two.csv"]))
        },
        Case {
            files: vec![
                ("one.csv", lines(&text, |row| row < 300).into()),
                ("two.csv", lines(&text, |row| row > 300).into()),
            ],
            ..case("parts with a gap", TARGETS, "one.csv", "", Refused(3, &["1 id"]))
        },
        case("test rows missing", TARGETS, "bad.csv", text.clone(), Refused(3, &["sample submission"]))
            .with(&["--test", "in/short_test.csv"]),
        case("training rows for test rows", TARGETS, "bad.csv", text, Refused(3, &["300 ids missing"]))
            .with(&["--test", "in/bad.csv"]),
    ]
}

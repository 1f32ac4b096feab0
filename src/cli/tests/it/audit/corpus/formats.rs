//! Files that are damaged, or of another format than their name.

use super::{
    super::small::{bytes, csv, id},
    Answer::{Refused, Sound},
    Case, TARGETS, case, f32_bytes, own, with_line,
};
use crate::toy::npy;

/// What is wrong with the file itself.
pub(super) fn formats() -> Vec<Case> {
    let (columns, text) = (own(TARGETS), csv(false, &own(TARGETS)));
    let data = f32_bytes(&columns);
    let whole = npy("<f4", "(600, 3)", &data);
    let fortran = {
        let by_column: Vec<u8> = columns.iter().flatten().flat_map(|x| (*x as f32).to_le_bytes()).collect();
        let mut file = npy("<f4", "(600, 3)", &by_column);
        let at = file.windows(5).position(|word| word == b"False").expect("the order");
        file[at..at + 5].copy_from_slice(b"True ");
        file
    };
    vec![
        case("a sound csv", TARGETS, "bad.csv", text.clone(), Sound),
        case("a sound array", TARGETS, "bad.npy", whole.clone(), Sound),
        case("an array in Fortran's order", TARGETS, "bad.npy", fortran, Sound),
        case(
            "a big-endian array",
            TARGETS,
            "bad.npy",
            npy(">f4", "(600, 3)", &bytes(&columns, |x| (x as f32).to_be_bytes())),
            Sound,
        ),
        case(
            "an array of doubles",
            TARGETS,
            "bad.npy",
            npy("<f8", "(600, 3)", &bytes(&columns, f64::to_le_bytes)),
            Sound,
        ),
        case("an array cut off", TARGETS, "bad.npy", &whole[..whole.len() - 100], Refused(3, &["cut off"])),
        case(
            "an array with bytes to spare",
            TARGETS,
            "bad.npy",
            [&whole[..], b"more"].concat(),
            Refused(3, &["4 bytes follow"]),
        ),
        case("a header cut off", TARGETS, "bad.npy", &whole[..40], Refused(3, &["header"])),
        case(
            "a header that lies",
            TARGETS,
            "bad.npy",
            npy("<f4", "(4000000000000000000, 3)", &data),
            Refused(3, &["too large"]),
        ),
        case(
            "a transposed array",
            TARGETS,
            "bad.npy",
            npy("<f4", "(3, 600)", &data),
            Refused(3, &["transposed", ".T"]),
        ),
        case("too few rows", TARGETS, "bad.npy", npy("<f4", "(599, 3)", &data[12..]), Refused(3, &["599 rows"])),
        case(
            "too many rows",
            TARGETS,
            "bad.npy",
            npy("<f4", "(601, 3)", &[&data[..], &data[..12]].concat()),
            Refused(3, &["601 rows"]),
        ),
        case(
            "an array of objects",
            TARGETS,
            "bad.npy",
            npy("|O", "(600, 3)", b"\x80\x04]\x94."),
            Refused(3, &["pickled", "allow_pickle"]),
        ),
        case(
            "complex numbers",
            TARGETS,
            "bad.npy",
            npy("<c8", "(600, 3)", &[&data[..], &data[..]].concat()),
            Refused(3, &["<c8"]),
        ),
        case("a pickle", TARGETS, "bad.pkl", b"\x80\x04\x95\x0b\x00".to_vec(), Refused(3, &["never loaded"])),
        case("an empty file", TARGETS, "bad.csv", "", Refused(3, &["is empty"])),
        case("a header alone", TARGETS, "bad.csv", "id,x,y,z\n", Refused(3, &["no rows"])),
        case("a ragged csv", TARGETS, "bad.csv", with_line(9, "r001,0.5"), Refused(3, &["bad.csv"])),
        case("semicolons", TARGETS, "bad.csv", text.replace(',', ";"), Refused(2, &["no column `id`"])),
        case("a column twice", TARGETS, "bad.csv", text.replace("id,x,y,z", "id,x,y,y"), Refused(3, &["`y`", "twice"])),
        case(
            "text among numbers",
            TARGETS,
            "bad.csv",
            with_line(9, &format!("{},0.5,high,0.5", id(false, 9))),
            Refused(3, &["high"]),
        ),
        case(
            "bytes that are no text",
            TARGETS,
            "bad.csv",
            [text.as_bytes(), b"r\xff\xfe,0.1,0.1,0.1\n"].concat(),
            Refused(3, &["bad.csv"]),
        ),
        case("parquet in name only", TARGETS, "bad.parquet", text.clone(), Refused(3, &["damaged"])),
        case("feather in name only", TARGETS, "bad.feather", text.clone(), Refused(3, &["damaged"])),
        case(
            "gzip cut off",
            TARGETS,
            "bad.csv.gz",
            b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03\x4b\x4c".to_vec(),
            Refused(3, &["damaged"]),
        ),
        case("zip cut off", TARGETS, "bad.npz", b"PK\x03\x04 and no more".to_vec(), Refused(3, &["damaged"])),
        case("an unknown format", TARGETS, "bad.xlsx", "PK", Refused(2, &["no known table format"])),
        Case {
            arguments: vec![],
            ..case("an array without ids", TARGETS, "bad.npy", whole, Refused(2, &["--rows truth"]))
        },
    ]
}

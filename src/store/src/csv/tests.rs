//! The reader against polars' own, cell by cell, on random tables.

use super::*;
use crate::table::{Cells, Table};
use blend_core::source::Column;
use polars::prelude::{CsvReadOptions, SerReader};
use proptest::prelude::*;
use std::io::Cursor;

/// A file that goes with its folder.
fn file(text: &[u8]) -> (tempfile::TempDir, std::path::PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t.csv");
    std::fs::write(&path, text).unwrap();
    (folder, path)
}

/// The cells of every column as polars finds them.
fn by_polars(text: &str) -> Vec<(String, Vec<String>)> {
    let frame = CsvReadOptions::default()
        .with_infer_schema_length(Some(0))
        .map_parse_options(|parse| parse.with_missing_is_null(false))
        .into_reader_with_file_handle(Cursor::new(text.as_bytes()))
        .finish()
        .unwrap();
    let texts = |column: &polars::prelude::Column| {
        column.str().unwrap().iter().map(|text| text.unwrap_or_default().to_owned()).collect()
    };
    frame.columns().iter().map(|column| (column.name().to_string(), texts(column))).collect()
}

/// The narrowest of the types of a table that holds every text, found by trying one after the other.
fn typed(texts: &[String]) -> Column {
    fn all<T>(texts: &[String], read: impl Fn(&str) -> Option<T>) -> Option<Vec<T>> {
        texts.iter().map(|text| read(text.trim())).collect()
    }
    let flag = |text: &str| match text {
        "true" | "True" | "TRUE" => Some(true),
        "false" | "False" | "FALSE" => Some(false),
        _ => None,
    };
    all(texts, |text| text.parse().ok())
        .map(Column::I64)
        .or_else(|| all(texts, number).map(Column::F64))
        .or_else(|| all(texts, flag).map(Column::Bool))
        .unwrap_or_else(|| Column::Text(texts.to_vec()))
}

/// Equal as bits, so that -0 is not 0 and NaN is NaN.
fn same(a: &Column, b: &Column) -> bool {
    match (a, b) {
        (Column::F64(a), Column::F64(b)) => a.iter().map(|x| x.to_bits()).eq(b.iter().map(|x| x.to_bits())),
        (a, b) => a == b,
    }
}

/// A cell as a file may have it: most of one kind, quoted or not.
fn cell(kind: usize) -> BoxedStrategy<String> {
    let quoted = |text: String| format!("\"{}\"", text.replace('"', "\"\""));
    let bare = match kind {
        0 => (0_u8..2).prop_map(|x| x.to_string()).boxed(),
        1 => any::<i64>().prop_map(|x| x.to_string()).boxed(),
        2 => any::<f64>().prop_map(|x| format!("{x:e}")).boxed(),
        3 => prop_oneof![Just("true"), Just("False")].prop_map(str::to_owned).boxed(),
        4 => "[a-zé .]{0,5}".boxed(),
        _ => return "[a-z\",\r\n ]{0,6}".prop_map(quoted).boxed(),
    };
    let odd = prop_oneof![Just(""), Just("NA"), Just("-0"), Just(" 7 "), Just("+3"), Just("x")];
    prop_oneof![40 => bare.clone(), 3 => bare.prop_map(quoted), 1 => odd.prop_map(str::to_owned)].boxed()
}

/// A table as text: columns of a kind each, either line end, with or without the last.
fn table() -> impl Strategy<Value = String> {
    (proptest::collection::vec(0_usize..6, 2..6), 1_usize..40, any::<bool>(), any::<bool>()).prop_flat_map(
        |(kinds, n_rows, dos, ended)| {
            let row = kinds.iter().map(|&kind| cell(kind)).collect::<Vec<_>>();
            let header = (0..kinds.len()).map(|i| format!("c{i}")).collect::<Vec<_>>().join(",");
            proptest::collection::vec(row, n_rows).prop_map(move |rows| {
                let end = if dos { "\r\n" } else { "\n" };
                let lines = std::iter::once(header.clone()).chain(rows.iter().map(|row| row.join(",")));
                let text = lines.collect::<Vec<_>>().join(end);
                if ended { text + end } else { text }
            })
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]
    #[test]
    fn every_cell_is_what_polars_finds(text in table()) {
        let (_folder, path) = file(text.as_bytes());
        let options = ReadOptions { id: IdSpec::Positions, ..ReadOptions::default() };
        let read = Table::read(&path, &options).unwrap();
        let wanted = by_polars(&text);
        prop_assert_eq!(read.names(), wanted.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>());
        let texts = ReadOptions { text: read.names(), ..options };
        let (_, raws) = super::read(&path, &texts).unwrap();
        for (raw, (name, texts)) in raws.iter().zip(&wanted) {
            let Cells::Typed(Column::Text(found), _) = &raw.cells else { panic!("text was asked for") };
            prop_assert_eq!(found, texts, "{} of {:?}", name, text);
            match (read.column(name), typed(texts)) {
                (Ok(found), typed) => prop_assert!(same(&found, &typed), "{found:?} for {typed:?}"),
                // Text without a value somewhere is refused when it is asked for.
                (Err(error), Column::Text(texts)) => {
                    let null = texts.iter().position(String::is_empty);
                    prop_assert!(matches!(error, StoreError::Null { row, .. } if Some(row) == null), "{error}");
                }
                (Err(error), typed) => prop_assert!(false, "{error} for {typed:?}"),
            }
        }
    }
}

#[test]
fn a_column_that_changes_its_kind_late_is_read_whole() {
    let n_rows = 3 * BLOCK_CELLS / 5;
    let mut text = String::from("id,small,whole,real,text\n");
    for row in 0..n_rows {
        let odd = row == n_rows - 7;
        let (small, whole) = (if odd { "128" } else { "-0" }, if odd { "0.5" } else { "-0" });
        let (real, last) = (if odd { "NA" } else { "0.25" }, if odd { "a \"b\"" } else { "007" });
        text.push_str(&format!("{row},{small},{whole},{real},{last}\n"));
    }
    let (_folder, path) = file(text.as_bytes());
    for threads in [1, 3] {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        let table = pool.install(|| Table::read(&path, &ReadOptions::default())).unwrap();
        for (column, texts) in by_polars(&text).iter().skip(1) {
            assert!(same(&table.column(column).unwrap(), &typed(texts)), "{column}");
        }
        assert_eq!(table.texts("text").unwrap()[0], "007");
    }
}

#[test]
fn what_is_no_text_is_told_by_line_and_column() {
    let mut text = b"id,a,b\r\n".to_vec();
    (0..BLOCK_CELLS).for_each(|row| text.extend_from_slice(format!("{row},1,x\n").as_bytes()));
    text.extend_from_slice(b"last,1,caf\xE9\n");
    let (_folder, path) = file(&text);
    let error = Table::read(&path, &ReadOptions::default()).unwrap_err();
    let place = format!("line {} is not UTF-8 in column `b`", BLOCK_CELLS + 2);
    assert!(error.to_string().ends_with(&place), "{error}");
    // A column that is not asked for is not looked at.
    let options = ReadOptions { columns: Some(vec!["a".to_owned()]), ..ReadOptions::default() };
    assert_eq!(Table::read(&path, &options).unwrap().names(), ["a"]);
}

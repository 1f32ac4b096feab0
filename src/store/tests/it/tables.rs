use crate::{Scratch, names};
use blend_core::{
    RowIndex, TableSource,
    source::{Column, ColumnType},
};
use blend_store::{IdSpec, Kind, ReadOptions, StoreError, Table};
use polars::prelude::{DataFrame, IntoColumn, NamedFrom, ParquetCompression, ParquetWriter, Series};
use proptest::prelude::*;
use std::{fs::File, path::Path};

fn read(path: &Path) -> Result<Table, StoreError> {
    Table::read(path, &ReadOptions::default())
}

fn with_id(id: &str) -> ReadOptions {
    ReadOptions { id: IdSpec::Column(id.to_owned()), ..ReadOptions::default() }
}

#[test]
fn a_csv_file_is_typed() {
    let scratch = Scratch::new();
    let text = "\u{feff}id,whole,real,flag,name,gap,\"quo\"\"ted, name\"\r\n\
                007,1,0.1,true,a,1,\"x,1\"\r\n008,-2,1e-3,False,\"b \"\"c\"\"\",,\"two\nlines\"\r\n";
    let table = read(&scratch.file("t.csv", text)).unwrap();
    assert_eq!(table.rows().iter().collect::<Vec<_>>(), ["007", "008"]);
    assert_eq!(table.id_name(), Some("id"));
    assert_eq!(table.names(), names(&["whole", "real", "flag", "name", "gap", "quo\"ted, name"]));
    assert_eq!(*table.column("whole").unwrap(), Column::I64(vec![1, -2]));
    assert_eq!(*table.column("real").unwrap(), Column::F64(vec![0.1, 1e-3]));
    assert_eq!(*table.column("flag").unwrap(), Column::Bool(vec![true, false]));
    assert_eq!(*table.column("name").unwrap(), Column::Text(names(&["a", "b \"c\""])));
    assert_eq!(*table.column("quo\"ted, name").unwrap(), Column::Text(names(&["x,1", "two\nlines"])));
    let gap = table.numbers("gap").unwrap();
    assert!(gap[0] == 1.0 && gap[1].is_nan());
    let columns = TableSource::read(&table, 1..2, &[2, 0]).unwrap();
    assert_eq!(columns, [Column::Bool(vec![false]), Column::I64(vec![-2])]);
    assert!(TableSource::read(&table, 1..3, &[0]).is_err());
    assert!(TableSource::read(&table, 0..1, &[9]).is_err());
}

#[test]
fn line_ends_are_taken_as_they_come() {
    let scratch = Scratch::new();
    let plain = "id,a\n1,2\n3,4\n";
    for text in
        [plain, "id,a\n1,2\n3,4", "id,a\r\n1,2\r\n3,4\r\n", "id,a\n1,2\n3,4\n\n\n", "\nid,a\r\n\r\n1,2\n\n3,4\n"]
    {
        let table = read(&scratch.file("t.csv", text)).unwrap_or_else(|e| panic!("{text:?}: {e}"));
        assert_eq!(*table.column("a").unwrap(), Column::I64(vec![2, 4]), "{text:?}");
    }
    for text in ["a\n1\n2\n", "a\n\n1\n2\n\n", "a\n1\n2", "a\r\n1\r\n2\r\n"] {
        let options = ReadOptions { id: IdSpec::Positions, ..ReadOptions::default() };
        let table = Table::read(&scratch.file("t.csv", text), &options).unwrap_or_else(|e| panic!("{text:?}: {e}"));
        assert_eq!(*table.column("a").unwrap(), Column::I64(vec![1, 2]), "{text:?}");
    }
    let table = read(&scratch.file("ids.csv", "id\n1\n2\n")).unwrap();
    assert_eq!((table.n_rows(), table.columns().len()), (2, 0));
    // A quote inside a bare field is a character.
    let table = read(&scratch.file("t.csv", "id,a,b\n1,5\" nail,x\n2,3,4\n")).unwrap();
    assert_eq!(table.texts("a").unwrap(), ["5\" nail", "3"]);
}

#[test]
fn columns_are_chosen_and_ordered() {
    let scratch = Scratch::new();
    let path = scratch.file("t.csv", "a,b,key,c\n1,01,x,3\n4,05,y,6\n");
    let columns = Some(names(&["c", "b"]));
    let options = ReadOptions { columns: columns.clone(), text: names(&["b"]), ..with_id("key") };
    let table = Table::read(&path, &options).unwrap();
    assert_eq!(table.names(), names(&["c", "b"]));
    assert_eq!(*table.column("b").unwrap(), Column::Text(names(&["01", "05"])));
    assert_eq!(table.rows().id(1), "y");
    let error = Table::read(&path, &with_id("nope")).unwrap_err();
    assert_eq!((error.kind(), error.hint().unwrap().as_str()), (Kind::Usage, "it has a, b, key, c"));
    let options = ReadOptions { columns: Some(names(&["a", "zzz"])), ..with_id("key") };
    assert!(matches!(Table::read(&path, &options), Err(StoreError::UnknownColumn { column, .. }) if column == "zzz"));
    let positions = ReadOptions { id: IdSpec::Positions, columns, ..ReadOptions::default() };
    assert_eq!(Table::read(&path, &positions).unwrap().rows().id(1), "1");
    let rows = RowIndex::from_texts(["p", "q"]).unwrap();
    let given = ReadOptions { id: IdSpec::Rows(rows), ..ReadOptions::default() };
    assert_eq!(Table::read(&path, &given).unwrap().rows().id(1), "q");
    let rows = RowIndex::from_texts(["p", "q", "r"]).unwrap();
    let given = ReadOptions { id: IdSpec::Rows(rows), ..ReadOptions::default() };
    assert!(matches!(Table::read(&path, &given), Err(StoreError::RowCount { found: 2, wanted: 3, .. })));
}

#[test]
fn nulls_are_refused_where_they_are_asked_for() {
    let scratch = Scratch::new();
    let table = read(&scratch.file("t.csv", "id,label,x\na,cat,1\nb,,2\n")).unwrap();
    assert_eq!(table.numbers("x").unwrap(), [1.0, 2.0]);
    let error = table.column("label").unwrap_err();
    assert!(matches!(&error, StoreError::Null { row: 1, id, .. } if id == "b"), "{error}");
    let error = read(&scratch.file("u.csv", "id,x\na,1\n,2\n")).unwrap_err();
    assert!(matches!(&error, StoreError::NullId { row: 1, .. }), "{error}");
    let error = read(&scratch.file("v.csv", "id,x\na,1\na,2\n")).unwrap_err();
    assert!(matches!(&error, StoreError::Ids { .. }), "{error}");
}

#[test]
fn bad_csv_files_are_refused() {
    let scratch = Scratch::new();
    for (name, bytes) in [
        ("short.csv", &b"id,a,b\n1,2,3\n4,5\n"[..]),
        ("long.csv", b"id,a\n1,2\n3,4,5\n"),
        ("latin.csv", b"id,a\n1,caf\xe9\n"),
        ("twice.csv", b"id,a,a\n1,2,3\n"),
        ("nul.csv", b"\0\0\0\0\0\0\0\0"),
        ("cut.csv", b"id,a\n1,2\n3"),
        ("quote.csv", b"id,a\n1,\"open\n2,3\n"),
        ("after.csv", b"id,a\n1,\"x\"y\n2,3\n"),
        ("gz.csv.gz", b"\x1f\x8b\x08\0\0\0\0\0\0\x03garbage"),
    ] {
        let error = read(&scratch.file(name, bytes)).expect_err(name);
        assert_eq!(error.kind(), Kind::Data, "{name}: {error}");
    }
    let error = read(&scratch.file("short.csv", "id,a,b\n1,\"x\ny\",3\n\n4,5\n")).unwrap_err();
    assert!(error.to_string().ends_with("line 5 has 2 fields, the header has 3"), "{error}");
    assert!(matches!(read(&scratch.file("empty.csv", "")), Err(StoreError::Empty { .. })));
    assert!(matches!(read(&scratch.file("header.csv", "id,a\n")), Err(StoreError::NoRows { .. })));
    assert_eq!(read(&scratch.path("absent.csv")).unwrap_err().kind(), Kind::Machine);
    assert_eq!(read(scratch.folder()).unwrap_err().kind(), Kind::Usage);
    std::fs::create_dir(scratch.path("folder.csv")).unwrap();
    assert_eq!(read(&scratch.path("folder.csv")).unwrap_err().kind(), Kind::Machine);
    assert!(matches!(read(&scratch.file("what.xlsx", "PK")), Err(StoreError::UnknownFormat { .. })));
}

#[test]
fn pickles_are_refused_under_any_name() {
    let scratch = Scratch::new();
    for name in ["oof.pkl", "oof.pickle", "oof.csv", "oof.npy", "oof.parquet", "oof.feather"] {
        for protocol in 2..=5 {
            let error = read(&scratch.file(name, [0x80, protocol, 0x95, 0, 0])).unwrap_err();
            assert!(matches!(error, StoreError::Pickle { .. }), "{name}: {error}");
            assert!(error.hint().unwrap().contains("python3 -c"));
        }
    }
}

fn mixed() -> DataFrame {
    DataFrame::new_infer_height(vec![
        Series::new("id".into(), [3_i32, 1, 2]).into_column(),
        Series::new("f32".into(), [Some(1.5_f32), None, Some(2.5)]).into_column(),
        Series::new("f64".into(), [0.1_f64, 0.2, 0.3]).into_column(),
        Series::new("i8".into(), [1_i8, -1, 0]).into_column(),
        Series::new("i16".into(), [1_i16, -1, 300]).into_column(),
        Series::new("u8".into(), [255_u8, 0, 1]).into_column(),
        Series::new("u64".into(), [u64::MAX, 0, 1]).into_column(),
        Series::new("bool".into(), [true, false, true]).into_column(),
        Series::new("text".into(), ["a", "b", "007"]).into_column(),
        Series::new("holes".into(), [Some(1_i64), None, None]).into_column(),
    ])
    .unwrap()
}

#[test]
fn parquet_columns_keep_their_types() {
    let scratch = Scratch::new();
    let path = scratch.path("t.parquet");
    for compression in [ParquetCompression::Snappy, ParquetCompression::Zstd(None), ParquetCompression::Uncompressed] {
        let file = File::create(&path).unwrap();
        ParquetWriter::new(file).with_compression(compression).finish(&mut mixed()).unwrap();
        let table = read(&path).unwrap();
        assert_eq!(table.rows().as_ints(), Some(&[3, 1, 2][..]));
        let types: Vec<ColumnType> = table.columns().iter().map(|(_, kind)| *kind).collect();
        use ColumnType::{Bool, F32, F64, I64, Text};
        assert_eq!(types, [F32, F64, I64, I64, I64, Text, Bool, Text, I64]);
        assert!(table.numbers("f32").unwrap()[1].is_nan());
        assert_eq!(*table.column("i16").unwrap(), Column::I64(vec![1, -1, 300]));
        assert_eq!(table.texts("u64").unwrap()[0], u64::MAX.to_string());
        assert!(matches!(table.column("holes"), Err(StoreError::Null { row: 1, id, .. }) if id == "1"));
        let options = ReadOptions { columns: Some(names(&["f64", "i8"])), ..with_id("text") };
        let table = Table::read(&path, &options).unwrap();
        assert_eq!(table.names(), names(&["f64", "i8"]));
        assert_eq!(table.rows().id(2), "007");
        assert!(matches!(Table::read(&path, &with_id("f64")), Err(StoreError::ColumnType { .. })));
        assert!(matches!(Table::read(&path, &with_id("nope")), Err(StoreError::UnknownColumn { .. })));
    }
    let whole = std::fs::read(&path).unwrap();
    for length in (1..whole.len()).step_by(37) {
        let error = read(&scratch.file("cut.parquet", &whole[..length])).unwrap_err();
        assert_eq!(error.kind(), Kind::Data, "{length}: {error}");
    }
    for at in (0..whole.len()).step_by(11) {
        let mut bytes = whole.clone();
        bytes[at] ^= 0xFF;
        let _ = read(&scratch.file("flipped.parquet", &bytes));
    }
}

#[test]
fn a_shape_that_was_promised_is_checked() {
    let scratch = Scratch::new();
    let path = scratch.file("t.csv", "id,a,b\n1,2,3\n4,5,6\n7,8,9\n");
    let of = |n_rows, n_columns| Table::read(&path, &ReadOptions { n_rows, n_columns, ..ReadOptions::default() });
    assert!(of(Some(3), Some(2)).is_ok());
    assert!(matches!(of(Some(2), Some(3)), Err(StoreError::Transposed { found: (3, 2), .. })));
    assert!(matches!(of(Some(4), None), Err(StoreError::RowCount { .. })));
    assert!(matches!(of(None, Some(3)), Err(StoreError::ColumnCount { .. })));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn numbers_survive_csv(values in proptest::collection::vec(any::<f64>(), 1..30), precise: bool) {
        let scratch = Scratch::new();
        let mut text = String::from("id,x\n");
        for (row, value) in values.iter().enumerate() {
            let line = if precise { format!("r{row},{value:e}\n") } else { format!("r{row},{value:?}\n") };
            text.push_str(&line);
        }
        let table = read(&scratch.file("t.csv", text)).unwrap();
        let read = table.numbers("x").unwrap();
        for (a, b) in values.iter().zip(read) {
            prop_assert!(a.to_bits() == b.to_bits() || (a.is_nan() && b.is_nan()));
        }
    }

    #[test]
    fn garbage_never_panics(bytes in proptest::collection::vec(any::<u8>(), 1..300)) {
        let scratch = Scratch::new();
        for name in ["t.csv", "t.csv.gz", "t.npy", "t.npz", "t.feather", "t.parquet"] {
            let _ = read(&scratch.file(name, &bytes));
        }
    }
}

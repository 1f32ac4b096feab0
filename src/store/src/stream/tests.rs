//! Tables in pieces are the tables that are read whole.

use super::*;
use crate::{Outputs, feather};
use blend_core::{rows::RowIndex, source::ColumnView};
use ndarray::{ArrayD, IxDyn, ShapeBuilder};
use polars::prelude::{DataFrame, IntoColumn, IpcCompression, IpcWriter, NamedFrom, ParquetWriter, SerWriter, Series};
use std::{collections::BTreeMap, io::Write};
use tempfile::TempDir;

const N: usize = 700;

fn frame(texts: bool) -> DataFrame {
    let at = |f: fn(usize) -> f64| (0..N).map(f).collect::<Vec<f64>>();
    let mut columns = vec![
        Series::new("id".into(), (0..N as i64).map(|row| row * 3 % 1009 + 1).collect::<Vec<_>>()),
        Series::new("small".into(), (0..N).map(|row| row as i8).collect::<Vec<_>>()),
        Series::new("wide".into(), at(|row| row as f64 / 7.0)),
        Series::new("narrow".into(), (0..N).map(|row| row as f32 / 3.0).collect::<Vec<_>>()),
        Series::new("flag".into(), (0..N).map(|row| row % 5 == 0).collect::<Vec<_>>()),
        Series::new("gaps".into(), (0..N).map(|row| (row % 9 != 4).then_some(row as f64)).collect::<Vec<_>>()),
        Series::new("holes".into(), (0..N).map(|row| (row != 333).then_some(row as i64)).collect::<Vec<_>>()),
    ];
    if texts {
        columns.push(Series::new("text".into(), (0..N).map(|row| format!("t{row}")).collect::<Vec<_>>()));
    }
    DataFrame::new(N, columns.into_iter().map(IntoColumn::into_column).collect()).unwrap()
}

fn options(folder: &TempDir) -> StreamOptions {
    StreamOptions { whole: 0, ..StreamOptions::new(IdSpec::Column("id".into()), folder.path().to_owned()) }
}

/// Every column over ranges that lie across pieces, as the table that is read whole has it.
fn check(source: &dyn TableSource, whole: &Table) {
    assert_eq!(source.rows(), whole.rows());
    assert_eq!(source.columns(), whole.columns());
    for column in 0..whole.columns().len() {
        for rows in [0..N, 5..6, 60..200, 0..0, N - 1..N] {
            let given = source.read(rows.clone(), &[column]).map_err(|error| error.0);
            let wanted = whole.read(rows.clone(), &[column]).map_err(|error| error.0);
            let text = |read: &Result<Vec<Column>, String>| match read {
                Ok(columns) => columns.iter().map(|column| format!("{:?}", column.to_text())).collect(),
                Err(error) => error.clone(),
            };
            if !rows.is_empty() || wanted.is_err() {
                assert_eq!(text(&given), text(&wanted), "{:?} {rows:?}", whole.columns()[column]);
            }
        }
    }
    let mut pieces = Vec::new();
    let mut take = |rows: std::ops::Range<usize>, views: &[ColumnView<'_>]| {
        assert!(views.iter().all(|view| view.len() == rows.len()));
        pieces.push(rows);
    };
    source.visit(10..N - 10, &[1, 0], &mut take).unwrap();
    assert_eq!((pieces[0].start, pieces[pieces.len() - 1].end), (10, N - 10));
    assert!(pieces.len() > 2 && pieces.windows(2).all(|pair| pair[0].end == pair[1].start), "{pieces:?}");
    assert!(source.read(0..N + 1, &[0]).is_err() && source.read(0..1, &[99]).is_err());
}

/// What is open has no name: only `n` files are seen.
fn files(folder: &TempDir) -> usize {
    std::fs::read_dir(folder.path()).unwrap().count()
}

#[test]
fn columns_on_disk_are_those_of_the_file() {
    let folder = TempDir::new().unwrap();
    let read = |path: &Path| {
        let id = IdSpec::Column("id".into());
        Table::read(path, &ReadOptions { id, ..ReadOptions::default() }).unwrap()
    };
    let parquet = folder.path().join("t.parquet");
    let file = File::create(&parquet).unwrap();
    ParquetWriter::new(file).with_row_group_size(Some(150)).finish(&mut frame(true)).unwrap();
    check(&*open(&parquet, &options(&folder)).unwrap(), &read(&parquet));
    for compression in [None, Some(IpcCompression::LZ4)] {
        let ipc = folder.path().join("t.feather");
        let mut writer = IpcWriter::new(File::create(&ipc).unwrap()).with_compression(compression);
        writer.finish(&mut frame(true)).unwrap();
        check(&*open(&ipc, &options(&folder)).unwrap(), &read(&ipc));
    }
    assert_eq!(files(&folder), 2);
}

/// Texts of csv: plain; with commas, line ends and quotes within quotes, in the header too.
fn texts() -> [String; 2] {
    let mut texts = ["id,int,float,flag,mixed,word\n", "\u{feff}\"id\",int,float,\"fl\r\nag\",mixed,\"wo\"\"rd\"\r\n"]
        .map(String::from);
    for row in 0..N {
        let float = if row % 8 == 1 { String::new() } else { format!("{}", row as f64 / 7.0) };
        // Whole numbers until late, numbers until late, flags until late.
        let mixed = if row == 650 { "x".to_owned() } else { row.to_string() };
        let cells = format!("{row},{float},{},{mixed}", row % 2 == 0);
        texts[0] += &format!("a{row},{cells},w{row}\r\n");
        let word = match row % 4 {
            0 => format!("\"{}\n,{row}\"", "long\r\n,".repeat(if row == 400 { 1500 } else { 3 })),
            1 => format!("\"\"\"{row}\"\"\""),
            2 => format!("5\" nail {row}"),
            _ => format!("\",\"\"\n{row}\""),
        };
        let blank = if row % 50 == 7 { "\n\r\n" } else { "" };
        texts[1] += &format!("\"a{row}\",{cells},{word}\n{blank}");
    }
    texts[1].pop();
    texts
}

/// Packed in two members, as tools that append do it.
fn gzip(text: &str) -> Vec<u8> {
    let (a, b) = text.as_bytes().split_at(text.len() / 3);
    let member = |bytes: &[u8]| {
        let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        packed.write_all(bytes).unwrap();
        packed.finish().unwrap()
    };
    [member(a), member(b)].concat()
}

#[test]
fn lines_of_any_csv_are_taken_some_at_a_time() {
    let folder = TempDir::new().unwrap();
    let read = |path: &Path| {
        let id = IdSpec::Column("id".into());
        Table::read(path, &ReadOptions { id, ..ReadOptions::default() }).unwrap()
    };
    for text in texts() {
        let (plain, packed) = (folder.path().join("t.csv"), folder.path().join("t.csv.gz"));
        std::fs::write(&plain, &text).unwrap();
        std::fs::write(&packed, gzip(&text)).unwrap();
        let whole = read(&plain);
        for path in [&plain, &packed] {
            check(&*open(path, &options(&folder)).unwrap(), &whole);
        }
        // As long as its text is, not as its file is.
        let short = StreamOptions { whole: text.len() as u64, ..options(&folder) };
        let mut pieces = 0;
        open(&packed, &short).unwrap().visit(0..N, &[0], &mut |_, _| pieces += 1).unwrap();
        assert_eq!(pieces, 1, "in memory");
    }
    assert_eq!(files(&folder), 2);
}

/// Rows here and there, read by themselves or from whole pieces, are those of the table.
#[test]
fn rows_are_found_wherever_they_lie() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("t.csv");
    std::fs::write(&path, &texts()[0]).unwrap();
    let opened = open(&path, &options(&folder)).unwrap();
    let mut state = 1_usize;
    for _ in 0..2000 {
        state = state * 1_103_515_245 % 2_147_483_648 + 12345;
        let (start, n) = (state / 8 % (N - 9), state / 8192 % 9);
        let rows = start..start + n;
        let int = Column::I64(rows.clone().map(|row| row as i64).collect());
        let flag = Column::Bool(rows.clone().map(|row| row % 2 == 0).collect());
        let word = Column::Text(rows.clone().map(|row| format!("w{row}")).collect());
        if n > 0 {
            assert_eq!(opened.read(rows, &[2, 4, 0]).unwrap(), [flag, word, int]);
        }
    }
}

#[test]
fn stored_outputs_are_a_table_like_any_other() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("oof.feather");
    let rows = RowIndex::from_ints((0..N as i64).rev().collect()).unwrap();
    let names = ["a".to_owned(), "b".to_owned()];
    let column = |k: usize| (0..N).map(|row| (row * k) as f32).collect::<Vec<f32>>();
    let values = blend_core::source::OwnedBlocks::F32(vec![column(1), column(2)]);
    feather::write(&path, &rows, "id", &names, &values, &BTreeMap::new()).unwrap();
    let Outputs { rows, .. } = feather::open(&path).unwrap();
    let opened = open(&path, &options(&folder)).unwrap();
    assert_eq!(*opened.rows(), rows);
    assert_eq!(opened.read(17..19, &[1]).unwrap(), [Column::F32(vec![34.0, 36.0])]);
}

#[test]
fn what_is_damaged_is_read_whole() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("t.csv");
    let lines = |quote: &str| (0..N).map(|row| format!("{row},{quote}{row}{quote}\n")).collect::<String>();
    // What is wrong is said as of the whole file.
    for (text, words) in [
        (format!("id,x\n{}7,8,9\n", lines("")), "line 702 has 3 fields"),
        (format!("id,x\n{}5,1\n", lines("")), "id `5` stands in rows 5 and 700"),
        (format!("key,x\n{}", lines("")), "id"),
        (
            format!("id,x\n{}701,\"5\n{}", lines("\""), lines("").replace(',', ";")),
            "a quote opened in line 702 is not closed",
        ),
        (format!("id,x\n{}701,\"5\"6\n", lines("\"")), "something follows the closing quote of a field in line 702"),
    ] {
        std::fs::write(&path, text).unwrap();
        let error = open(&path, &options(&folder)).map(drop).unwrap_err();
        let text = format!("{error} {:?}", std::error::Error::source(&error).map(ToString::to_string));
        assert!(text.contains(words), "{text}");
    }
    let parquet = folder.path().join("t.parquet");
    std::fs::write(&parquet, b"PAR1 nonsense").unwrap();
    assert!(matches!(open(&parquet, &options(&folder)).map(drop), Err(StoreError::Corrupt { .. })));
    assert!(matches!(open(&folder.path().join("no.parquet"), &options(&folder)).map(drop), Err(StoreError::Io { .. })));
}

#[test]
fn arrays_of_any_rank_are_rows_and_columns() {
    let folder = TempDir::new().unwrap();
    let values = |shape: &[usize]| (0..shape.iter().product::<usize>()).map(|x| x as f32).collect::<Vec<f32>>();
    let shape = [20, 3, 4];
    let array = ArrayD::from_shape_vec(IxDyn(&shape), values(&shape)).unwrap();
    let mut turned = ArrayD::zeros(IxDyn(&shape).f());
    turned.assign(&array);
    let path = folder.path().join("x.npy");
    for array in [&array, &turned] {
        ndarray_npy::write_npy(&path, array).unwrap();
        let rows = RowIndex::from_ints((100..120).collect()).unwrap();
        let known = StreamOptions { rows: Some(rows.clone()), ..options(&folder) };
        let opened = open(&path, &known).unwrap();
        assert_eq!((opened.rows(), opened.columns().len()), (&rows, 12));
        // The last dimension runs fastest.
        assert_eq!(opened.read(2..4, &[5, 0]).unwrap(), [Column::F32(vec![29.0, 41.0]), Column::F32(vec![24.0, 36.0])]);
        let mut out = vec![0.0; 24];
        let all: Vec<usize> = (0..12).collect();
        let plain = opened.read_rows(2..4, &all, &mut out).unwrap();
        assert_eq!(plain, array.is_standard_layout());
        assert!(!plain || out == (24..48).map(|x| x as f32).collect::<Vec<_>>());
        assert!(!opened.read_rows(2..4, &[0], &mut out[..2]).unwrap());
        let short = StreamOptions { rows: Some(RowIndex::positions(3).unwrap()), ..options(&folder) };
        assert!(matches!(open(&path, &short).map(drop), Err(StoreError::RowCount { found: 20, wanted: 3, .. })));
    }
    for packed in [false, true] {
        let path = folder.path().join("x.npz");
        let file = File::create(&path).unwrap();
        let mut npz =
            if packed { ndarray_npy::NpzWriter::new_compressed(file) } else { ndarray_npy::NpzWriter::new(file) };
        npz.add_array("id", &ndarray::Array1::from_iter(40..60_i64)).unwrap();
        npz.add_array("x", &array).unwrap();
        npz.add_array("mask", &ndarray::Array2::from_elem((20, 3), true)).unwrap();
        npz.finish().unwrap();
        let of = |name: &str| open(&path, &StreamOptions { array: Some(name.into()), ..options(&folder) });
        let (x, mask) = (of("x").unwrap(), of("mask").unwrap());
        assert_eq!(x.rows().as_ints().map(|ids| ids[3]), Some(43));
        assert_eq!(x.read(19..20, &[11]).unwrap(), [Column::F32(vec![239.0])]);
        assert_eq!(mask.read(0..2, &[2]).unwrap(), [Column::Bool(vec![true, true])]);
        assert!(of("y").is_err());
        let any = open(&path, &StreamOptions { array: None, ..options(&folder) }).map(drop);
        assert!(matches!(any, Err(StoreError::AmbiguousArray { .. })));
    }
}

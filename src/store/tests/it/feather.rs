use crate::{Scratch, names};
use blend_core::{BLOCK_ROWS, BlockSource, RowIndex, Slice, TableSource, source::OwnedBlocks};
use blend_store::{Kind, ReadOptions, StoreError, Table, feather};
use polars::prelude::{
    DataFrame, IntoColumn, IpcCompression, IpcReader, IpcWriter, NamedFrom, SerReader, SerWriter, Series,
};
use proptest::prelude::*;
use std::{collections::BTreeMap, fs::File, path::Path};

fn values(n_rows: usize, n_outputs: usize, wide: bool) -> OwnedBlocks {
    let value = |row: usize, output: usize| ((row * 31 + output * 7919) % 10_007) as f64 / 10_007.0;
    let column = |output: usize| (0..n_rows).map(move |row| value(row, output));
    if wide {
        OwnedBlocks::F64((0..n_outputs).map(|output| column(output).collect()).collect())
    } else {
        OwnedBlocks::F32((0..n_outputs).map(|output| column(output).map(|x| x as f32).collect()).collect())
    }
}

fn outputs(n: usize) -> Vec<String> {
    (0..n).map(|i| format!("target {i}")).collect()
}

fn bits(source: &dyn BlockSource) -> Vec<u64> {
    let mut all = Vec::new();
    for output in 0..source.n_outputs() {
        for block in 0..source.n_blocks() {
            match source.slice(block, output) {
                Slice::F32(v) => all.extend(v.iter().map(|x| u64::from(x.to_bits()))),
                Slice::F64(v) => all.extend(v.iter().map(|x| x.to_bits())),
            }
        }
    }
    all
}

fn texts(n: usize) -> RowIndex {
    RowIndex::from_texts((0..n).map(|i| format!("id_{i:06x}é"))).unwrap()
}

fn frame(n: usize) -> DataFrame {
    let ids: Vec<String> = (0..n).map(|i| format!("r{i}")).collect();
    let a: Vec<f32> = (0..n).map(|i| i as f32 / 3.0).collect();
    let b: Vec<f64> = (0..n).map(|i| i as f64 / 7.0).collect();
    let columns = vec![
        Series::new("id".into(), ids).into_column(),
        Series::new("a".into(), a).into_column(),
        Series::new("b".into(), b).into_column(),
    ];
    DataFrame::new_infer_height(columns).unwrap()
}

#[test]
fn what_is_written_is_mapped() {
    let scratch = Scratch::new();
    for (n_rows, wide) in [(1, false), (BLOCK_ROWS, true), (BLOCK_ROWS * 2 + 17, false), (BLOCK_ROWS + 1, true)] {
        for rows in [RowIndex::positions(n_rows).unwrap(), texts(n_rows)] {
            let path = scratch.path("oof.feather");
            let written = values(n_rows, 3, wide);
            let metadata = BTreeMap::from([("blend.model".to_owned(), "two-heads".to_owned())]);
            let fingerprint = feather::write(&path, &rows, "sig_id", &outputs(3), &written, &metadata).unwrap();
            let read = feather::open(&path).unwrap();
            assert!(read.mapped);
            assert_eq!(read.rows, rows);
            assert_eq!(read.id_name, "sig_id");
            assert_eq!(read.columns, outputs(3));
            assert_eq!(bits(&*read.values), bits(&written));
            assert_eq!(read.values.value_bytes(), if wide { 8 } else { 4 });
            assert_eq!(read.fingerprint, fingerprint);
            assert_eq!(read.recorded, Some(fingerprint));
            read.verify(&path).unwrap();
            assert_eq!(read.metadata["blend.model"], "two-heads");
            assert_eq!(read.metadata[feather::FORMAT_KEY], feather::FORMAT);
            // The only thing left in the folder: no temporary file.
            assert_eq!(std::fs::read_dir(scratch.folder()).unwrap().count(), 1);
        }
    }
}

#[test]
#[cfg(target_os = "linux")]
fn mapped_values_are_pages_of_the_file() {
    let scratch = Scratch::new();
    let path = scratch.path("pages.feather");
    let n_rows = 2 * BLOCK_ROWS + 5;
    let rows = RowIndex::positions(n_rows).unwrap();
    feather::write(&path, &rows, "id", &outputs(2), &values(n_rows, 2, false), &BTreeMap::new()).unwrap();
    let read = feather::open(&path).unwrap();
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    let line = maps.lines().find(|line| line.ends_with("pages.feather")).expect("the file is mapped");
    let (start, end) = line.split(' ').next().unwrap().split_once('-').unwrap();
    let range = usize::from_str_radix(start, 16).unwrap()..usize::from_str_radix(end, 16).unwrap();
    for block in 0..3 {
        for output in 0..2 {
            let Slice::F32(slice) = read.values.slice(block, output) else { panic!("f32 was written") };
            assert!(range.contains(&(slice.as_ptr() as usize)));
        }
    }
}

#[test]
fn others_can_read_it() {
    let scratch = Scratch::new();
    let path = scratch.path("oof.feather");
    let n_rows = BLOCK_ROWS + 3;
    let written = values(n_rows, 2, false);
    feather::write(&path, &texts(n_rows), "sig_id", &outputs(2), &written, &BTreeMap::new()).unwrap();
    let frame = IpcReader::new(File::open(&path).unwrap()).finish().unwrap();
    assert_eq!(frame.shape(), (n_rows, 3));
    let column = frame.column("target 1").unwrap().as_materialized_series().f32().unwrap();
    assert_eq!(column.get(BLOCK_ROWS), Some(written.slice(1, 1).get(0) as f32));
    let ids = frame.column("sig_id").unwrap().as_materialized_series().str().unwrap();
    assert_eq!(ids.get(10), Some("id_00000aé"));
    let table = Table::read(&path, &ReadOptions::default()).unwrap();
    assert_eq!((table.n_rows(), table.names()), (n_rows, outputs(2)));
}

fn write_with_polars(path: &Path, n: usize, compression: Option<IpcCompression>) {
    let mut file = File::create(path).unwrap();
    IpcWriter::new(&mut file).with_compression(compression).finish(&mut frame(n)).unwrap();
}

#[test]
fn foreign_files_are_copied() {
    let scratch = Scratch::new();
    let path = scratch.path("foreign.feather");
    let n = BLOCK_ROWS + 100;
    let mut fingerprints = vec![];
    for compression in [None, Some(IpcCompression::LZ4), Some(IpcCompression::ZSTD(Default::default()))] {
        write_with_polars(&path, n, compression);
        let read = feather::open(&path).unwrap();
        assert!(!read.mapped);
        assert_eq!(read.recorded, None);
        assert_eq!(read.columns, names(&["a", "b"]));
        assert_eq!(read.rows.id(n - 1), format!("r{}", n - 1));
        assert_eq!(read.values.value_bytes(), 8);
        assert_eq!(read.values.slice(1, 1).get(99), (n - 1) as f64 / 7.0);
        fingerprints.push(read.fingerprint);
    }
    assert!(fingerprints.iter().all(|f| *f == fingerprints[0]));
}

#[test]
fn the_fingerprint_is_of_content_only() {
    let of = |rows: &RowIndex, names: &[String], values: &OwnedBlocks| feather::fingerprint(rows, names, values);
    let n_rows = 3 * BLOCK_ROWS + 1;
    let (rows, columns, v) = (RowIndex::positions(n_rows).unwrap(), outputs(2), values(n_rows, 2, false));
    let reference = of(&rows, &columns, &v);
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
    assert_eq!(pool.install(|| of(&rows, &columns, &v)), reference);
    assert_ne!(of(&texts(n_rows), &columns, &v), reference);
    assert_ne!(of(&rows, &names(&["target 0", "target 2"]), &v), reference);
    assert_ne!(of(&rows, &columns, &values(n_rows, 2, true)), reference);
    let OwnedBlocks::F32(mut changed) = v else { unreachable!() };
    changed[1][n_rows - 1] += 1e-6;
    assert_ne!(of(&rows, &columns, &OwnedBlocks::F32(changed)), reference);
}

#[test]
fn changed_values_are_noticed() {
    let scratch = Scratch::new();
    let path = scratch.path("oof.feather");
    let v = values(10, 1, true);
    feather::write(&path, &texts(10), "id", &outputs(1), &v, &BTreeMap::new()).unwrap();
    let mut bytes = std::fs::read(&path).unwrap();
    let needle = v.slice(0, 0).get(7).to_le_bytes();
    let at = bytes.windows(8).position(|window| window == needle).unwrap();
    bytes[at] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    let error = feather::open(&path).unwrap().verify(&path).unwrap_err();
    assert!(matches!(error, StoreError::Changed { .. }));
    assert_eq!(error.kind(), Kind::Data);
}

#[test]
fn damaged_files_are_refused_without_a_panic() {
    let scratch = Scratch::new();
    let path = scratch.path("whole.feather");
    feather::write(&path, &texts(50), "id", &outputs(2), &values(50, 2, false), &BTreeMap::new()).unwrap();
    let whole = std::fs::read(&path).unwrap();
    for length in 0..whole.len() {
        let error = feather::open(&scratch.file("cut.feather", &whole[..length])).unwrap_err();
        assert!(matches!(error, StoreError::Empty { .. } | StoreError::Corrupt { .. }), "{length}: {error}");
    }
    let good = feather::open(&path).unwrap().fingerprint;
    for at in 0..whole.len() {
        let mut bytes = whole.clone();
        bytes[at] ^= [0x01, 0x80, 0xFF][at % 3];
        // Refused, or caught by the fingerprint, or the byte was none of the content.
        if let Ok(read) = feather::open(&scratch.file("flipped.feather", &bytes)) {
            assert!(read.fingerprint == good || read.recorded != Some(read.fingerprint), "byte {at}");
        }
    }
    for garbage in [&b"ARROW1\0\0ARROW1"[..], b"FEA1\0\0\0\0", b"id,a\n1,2\n", &[0xFF; 4096], &whole[8..]] {
        assert!(feather::open(&scratch.file("garbage.feather", garbage)).is_err());
    }
    let absent = feather::open(&scratch.path("absent.feather")).unwrap_err();
    assert_eq!(absent.kind(), Kind::Machine);
    assert!(feather::open(scratch.folder()).is_err());
}

#[test]
fn outputs_are_put_in_order() {
    let scratch = Scratch::new();
    let path = scratch.path("oof.feather");
    let n = BLOCK_ROWS + 2;
    for wide in [false, true] {
        let written = values(n, 2, wide);
        feather::write(&path, &texts(n), "id", &outputs(2), &written, &BTreeMap::new()).unwrap();
        let read = feather::open(&path).unwrap();
        let same = read.in_order(&path, &texts(n)).unwrap();
        assert!(std::sync::Arc::ptr_eq(&same, &read.values));
        let backwards = texts(n).select(&(0..n).rev().collect::<Vec<_>>()).unwrap();
        let turned = read.in_order(&path, &backwards).unwrap();
        assert_eq!(turned.slice(0, 1).get(0), written.slice(1, 1).get(1));
        assert_eq!(turned.slice(1, 0).get(1), written.slice(0, 0).get(0));
        assert!(matches!(read.in_order(&path, &texts(n - 1)), Err(StoreError::Align { .. })));
    }
}

#[test]
fn another_format_version_is_refused() {
    let scratch = Scratch::new();
    let path = scratch.path("oof.feather");
    feather::write(&path, &texts(3), "id", &outputs(1), &values(3, 1, false), &BTreeMap::new()).unwrap();
    let mut bytes = std::fs::read(&path).unwrap();
    let key = feather::FORMAT_KEY.as_bytes();
    let at = bytes.windows(key.len()).position(|window| window == key).unwrap();
    // The value stands beside its key, before or after: the only text "1" of length 1.
    let one = [1, 0, 0, 0, b'1', 0];
    let value = bytes.windows(6).position(|window| window == one).unwrap();
    assert!(at.abs_diff(value) < 200);
    bytes[value + 4] = b'2';
    std::fs::write(&path, bytes).unwrap();
    assert!(matches!(feather::open(&path), Err(StoreError::FormatVersion { .. })));
}

#[test]
fn wrong_shapes_are_not_written() {
    let scratch = Scratch::new();
    let path = scratch.path("oof.feather");
    let write = |rows: usize, columns: &[String]| {
        feather::write(&path, &texts(rows), "id", columns, &values(5, 2, false), &BTreeMap::new())
    };
    assert!(matches!(write(4, &outputs(2)), Err(StoreError::RowCount { .. })));
    assert!(matches!(write(5, &outputs(3)), Err(StoreError::ColumnCount { .. })));
    assert!(matches!(write(5, &names(&["a", "a"])), Err(StoreError::DuplicateColumn { .. })));
    assert!(matches!(write(5, &names(&["a", "id"])), Err(StoreError::DuplicateColumn { .. })));
    assert!(!path.exists());
}

#[test]
fn publishing_is_all_or_nothing() {
    let scratch = Scratch::new();
    let path = scratch.file("it", "before");
    let failed: Result<(), _> = blend_store::atomic::publish(&path, |file| {
        use std::io::Write;
        file.write_all(b"half").unwrap();
        Err(StoreError::NoRows { path: path.clone() })
    });
    assert!(failed.is_err());
    assert_eq!(std::fs::read(&path).unwrap(), b"before");
    assert_eq!(std::fs::read_dir(scratch.folder()).unwrap().count(), 1);
    let absent = blend_store::atomic::publish(&scratch.path("no/such/folder"), |_| Ok(()));
    assert_eq!(absent.unwrap_err().kind(), Kind::Machine);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn any_values_round_trip(
        columns in proptest::collection::vec(proptest::collection::vec(any::<u32>(), 9), 1..5),
        ids in proptest::collection::hash_set(".{0,8}", 9),
    ) {
        let scratch = Scratch::new();
        let path = scratch.path("oof.feather");
        let columns = columns.iter().map(|c| c.iter().map(|x| f32::from_bits(*x)).collect()).collect();
        let written = OwnedBlocks::F32(columns);
        let rows = RowIndex::from_texts(ids).unwrap();
        let metadata = BTreeMap::new();
        feather::write(&path, &rows, "id", &outputs(written.n_outputs()), &written, &metadata).unwrap();
        let read = feather::open(&path).unwrap();
        prop_assert_eq!(bits(&*read.values), bits(&written));
        prop_assert_eq!(read.rows, rows);
        prop_assert_eq!(Some(read.fingerprint), read.recorded);
    }
}

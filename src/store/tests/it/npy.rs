use crate::{Scratch, names};
use blend_core::{RowIndex, TableSource, source::Column};
use blend_store::{IdSpec, Kind, ReadOptions, StoreError, Table};
use ndarray::{Array1, Array2, ShapeBuilder, array};
use ndarray_npy::{NpzWriter, WritableElement, WriteNpyExt};
use std::{io::Write, path::Path};

fn positions() -> ReadOptions {
    ReadOptions { id: IdSpec::Positions, ..ReadOptions::default() }
}

fn npy(descr: &str, fortran: bool, shape: &str, data: &[u8]) -> Vec<u8> {
    let order = if fortran { "True" } else { "False" };
    let mut header = format!("{{'descr': {descr}, 'fortran_order': {order}, 'shape': {shape}, }}");
    while (header.len() + 11) % 64 != 0 {
        header.push(' ');
    }
    header.push('\n');
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend((header.len() as u16).to_le_bytes());
    bytes.extend(header.as_bytes());
    bytes.extend(data);
    bytes
}

fn zip_of(path: &Path) -> zip::ZipWriter<std::fs::File> {
    zip::ZipWriter::new(std::fs::File::create(path).unwrap())
}

fn check<T: WritableElement + Clone>(path: &Path, values: [T; 6], expected: &dyn Fn([usize; 2]) -> Column) {
    let flat = Array1::from(values.to_vec());
    let columns = [expected([0, 2]), expected([1, 2])];
    let row_major = flat.clone().into_shape_with_order((3, 2)).unwrap();
    let mut column_major = Array2::from_shape_fn((3, 2).f(), |at| row_major[at].clone());
    column_major.as_slice_memory_order_mut().unwrap();
    for array in [row_major, column_major] {
        array.write_npy(std::fs::File::create(path).unwrap()).unwrap();
        let table = Table::read(path, &positions()).unwrap();
        assert_eq!(table.names(), names(&["0", "1"]));
        assert_eq!([&*table.column("0").unwrap(), &*table.column("1").unwrap()], [&columns[0], &columns[1]]);
    }
    flat.write_npy(std::fs::File::create(path).unwrap()).unwrap();
    assert_eq!(*Table::read(path, &positions()).unwrap().column("0").unwrap(), expected([0, 1]));
}

#[test]
fn every_number_type_in_either_order() {
    let scratch = Scratch::new();
    let path = scratch.path("a.npy");
    macro_rules! check {
        ($type:ty, $column:ident, $wide:ty) => {
            let values: [$type; 6] = [0, 1, 2, 100, 4, 5].map(|x: u8| x as $type);
            check(&path, values, &|[start, step]| {
                Column::$column(values.iter().skip(start).step_by(step).map(|&x| x as $wide).collect())
            });
        };
    }
    check!(f32, F32, f32);
    check!(f64, F64, f64);
    check!(i8, I64, i64);
    check!(i16, I64, i64);
    check!(i32, I64, i64);
    check!(i64, I64, i64);
    check!(u8, I64, i64);
    check!(u16, I64, i64);
    check!(u32, I64, i64);
    check!(u64, I64, i64);
    let flags = [true, false, false, true, true, false];
    check(&path, flags, &|[start, step]| Column::Bool(flags.iter().skip(start).step_by(step).copied().collect()));
}

#[test]
fn what_is_no_array_of_numbers_is_refused() {
    let scratch = Scratch::new();
    let read = |bytes: &[u8]| Table::read(&scratch.file("a.npy", bytes), &positions());
    assert!(matches!(read(&npy("'|O'", false, "(2,)", b"\x80\x04")), Err(StoreError::Pickle { .. })));
    let error = read(&npy("'|O'", false, "(2,)", b"\x80\x04")).unwrap_err();
    assert!(error.hint().unwrap().contains("np.save('a.npy', np.load('a.npy', allow_pickle=True).astype('float32'))"));
    let whole = npy("'<f4'", false, "(2, 2)", &[0; 16]);
    assert!(read(&whole).is_ok());
    for length in 1..whole.len() {
        assert_eq!(read(&whole[..length]).unwrap_err().kind(), Kind::Data);
    }
    let cut = read(&whole[..whole.len() - 3]).unwrap_err();
    assert!(matches!(cut, StoreError::Truncated { expected: 16, found: 13, .. }));
    for bytes in [
        npy("'<f4'", false, "(2,)", &[0; 9]),
        npy("'<f2'", false, "(2,)", &[0; 4]),
        npy("'<c8'", false, "(2,)", &[0; 16]),
        npy("[('a', '<f4')]", false, "(2,)", &[0; 8]),
        npy("'<f4'", false, "(1, 2, 2)", &[0; 16]),
        npy("'<f4'", false, "(99999999999, 99999999999)", &[0; 16]),
        npy("'<f4'", false, "(0, 3)", &[]),
        npy("'<f4'", false, "()", &[0; 4]),
        npy("'<f4'", false, "(-1,)", &[0; 4]),
    ] {
        assert_eq!(read(&bytes).unwrap_err().kind(), Kind::Data);
    }
    let no_ids = Table::read(&scratch.file("a.npy", &whole), &ReadOptions::default()).unwrap_err();
    assert!(matches!(no_ids, StoreError::NoIds { .. }));
}

#[test]
fn big_endian_and_text() {
    let scratch = Scratch::new();
    let big = npy("'>f8'", false, "(2,)", &[1.5_f64.to_be_bytes(), 2.5_f64.to_be_bytes()].concat());
    let table = Table::read(&scratch.file("a.npy", big), &positions()).unwrap();
    assert_eq!(*table.column("0").unwrap(), Column::F64(vec![1.5, 2.5]));
    let text: Vec<u8> = ['h', 'é', '\0', 'x', '\0', '\0'].iter().flat_map(|&c| (c as u32).to_le_bytes()).collect();
    let table = Table::read(&scratch.file("a.npy", npy("'<U3'", false, "(2,)", &text)), &positions()).unwrap();
    assert_eq!(*table.column("0").unwrap(), Column::Text(names(&["hé", "x"])));
    let table = Table::read(&scratch.file("a.npy", npy("'|S2'", false, "(2,)", b"abc\0")), &positions()).unwrap();
    assert_eq!(*table.column("0").unwrap(), Column::Text(names(&["ab", "c"])));
}

#[test]
fn columns_are_named_and_a_transposed_array_is_noticed() {
    let scratch = Scratch::new();
    let path = scratch.path("a.npy");
    array![[1_f32, 2.0, 3.0], [4.0, 5.0, 6.0]].write_npy(std::fs::File::create(&path).unwrap()).unwrap();
    let options = |columns: &[&str], rows: usize| ReadOptions {
        id: IdSpec::Rows(RowIndex::positions(rows).unwrap()),
        columns: Some(names(columns)),
        ..ReadOptions::default()
    };
    let table = Table::read(&path, &options(&["x", "y", "z"], 2)).unwrap();
    assert_eq!(table.numbers("y").unwrap(), [2.0, 5.0]);
    assert!(matches!(Table::read(&path, &options(&["x", "y"], 3)), Err(StoreError::Transposed { found: (2, 3), .. })));
    assert!(matches!(Table::read(&path, &options(&["x"], 2)), Err(StoreError::ColumnCount { .. })));
    let options = ReadOptions { n_rows: Some(3), n_columns: Some(2), ..positions() };
    let error = Table::read(&path, &options).unwrap_err();
    assert!(error.to_string().contains("shape (2, 3) where (3, 2) is wanted"), "{error}");
    assert!(error.hint().unwrap().contains(".T.copy()"));
}

#[test]
fn npz_arrays_are_picked_by_name() {
    let scratch = Scratch::new();
    let path = scratch.path("a.npz");
    let mut writer = NpzWriter::new_compressed(std::fs::File::create(&path).unwrap());
    writer.add_array("event_id", &array![30_i64, 10, 20]).unwrap();
    writer.add_array("pred", &array![[0.1_f64, 0.9], [0.2, 0.8], [0.3, 0.7]]).unwrap();
    writer.add_array("other", &array![1_i32, 2]).unwrap();
    writer.finish().unwrap();
    let error = Table::read(&path, &ReadOptions::default()).unwrap_err();
    assert_eq!(error.kind(), Kind::Usage);
    assert!(error.to_string().contains("event_id, other, pred") || error.to_string().contains("pred"), "{error}");
    let options = |array: &str, id: IdSpec| ReadOptions { array: Some(array.to_owned()), id, ..ReadOptions::default() };
    let table = Table::read(&path, &options("pred", IdSpec::FirstColumn)).unwrap();
    assert_eq!(table.id_name(), Some("event_id"));
    assert_eq!(table.rows().as_ints(), Some(&[30, 10, 20][..]));
    assert_eq!(table.names(), names(&["0", "1"]));
    let named = ReadOptions { columns: Some(names(&["no", "yes"])), ..options("pred", IdSpec::FirstColumn) };
    assert_eq!(Table::read(&path, &named).unwrap().numbers("yes").unwrap(), [0.9, 0.8, 0.7]);
    let table = Table::read(&path, &options("other", IdSpec::Positions)).unwrap();
    assert_eq!(*table.column("0").unwrap(), Column::I64(vec![1, 2]));
    let error = Table::read(&path, &options("other", IdSpec::Column("event_id".into()))).unwrap_err();
    assert!(matches!(error, StoreError::RowCount { .. }), "{error}");
    let error = Table::read(&path, &options("nope", IdSpec::Positions)).unwrap_err();
    assert!(matches!(error, StoreError::UnknownArray { .. }), "{error}");
    let hidden = scratch.path("objects.npz");
    let mut writer = zip_of(&hidden);
    writer.start_file("p.npy", zip::write::SimpleFileOptions::default()).unwrap();
    writer.write_all(&npy("'|O'", false, "(2,)", b"\x80\x04")).unwrap();
    writer.finish().unwrap();
    let error = Table::read(&hidden, &positions()).unwrap_err();
    assert!(matches!(&error, StoreError::Pickle { path } if *path == hidden), "{error}");
    assert!(error.hint().unwrap().contains("np.savez('objects.npz'"));
    let whole = std::fs::read(&path).unwrap();
    for length in (1..whole.len()).step_by(13) {
        let cut = scratch.file("cut.npz", &whole[..length]);
        assert_eq!(Table::read(&cut, &options("pred", IdSpec::FirstColumn)).unwrap_err().kind(), Kind::Data);
    }
}

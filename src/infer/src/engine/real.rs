//! Real graphs with the outputs that another program stored: `BLEND_SHARED`, or `shared/data` beside the checkout.

#![allow(clippy::print_stderr)]

use super::{DType, Data, Engine, GraphSource, Place, Tensor, ort};
use crate::{
    pool::Pool,
    runtime::{Runtime, Search},
    scan::{Limits, scan_file},
};
use ndarray::{ArrayD, IxDyn, OwnedRepr};
use ndarray_npy::{NpzReader, ReadableElement};
use std::{
    fs::File,
    path::{Path, PathBuf},
};

fn folder(name: &str) -> Option<PathBuf> {
    let shared = std::env::var_os("BLEND_SHARED")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data"), PathBuf::from);
    let folder = shared.join(name);
    if !folder.is_dir() {
        eprintln!("SKIPPED: no {}", folder.display());
        return None;
    }
    Some(folder)
}

fn onnxruntime() -> Option<&'static ort::OrtEngine> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let runtime = Runtime::open(&Search::from_env(Some(&root))).ok()?;
    if runtime.ort().is_none() {
        eprintln!("SKIPPED: no ONNX Runtime was found");
    }
    runtime.ort()
}

fn array<T: ReadableElement + Clone>(npz: &mut NpzReader<File>, name: &str) -> Option<(Vec<usize>, Vec<T>)> {
    let array: ArrayD<T> = npz.by_name::<OwnedRepr<T>, IxDyn>(name).ok()?;
    Some((array.shape().to_vec(), array.iter().cloned().collect()))
}

fn tensor(npz: &mut NpzReader<File>, name: &str, dtype: DType) -> Tensor {
    let (shape, data) = match dtype {
        DType::F32 => array(npz, name).map(|(shape, v)| (shape, Data::F32(v))),
        DType::I64 => array(npz, name).map(|(shape, v)| (shape, Data::I64(v))),
        DType::I32 => array(npz, name).map(|(shape, v)| (shape, Data::I32(v))),
        DType::Bool => array(npz, name).map(|(shape, v)| (shape, Data::Bool(v))),
        _ => None,
    }
    .unwrap_or_else(|| panic!("{name}"));
    Tensor { shape, data }
}

/// Every output of every model within 1e-5 of what is stored, labels exactly.
#[test]
fn seven_models_give_their_stored_outputs() {
    let (Some(folder), Some(engine)) = (folder("onnx-models"), onnxruntime()) else { return };
    let texts = |values: &[&str]| Tensor {
        shape: vec![values.len(), 1],
        data: Data::Text(values.iter().map(ToString::to_string).collect()),
    };
    let mut n = 0;
    for entry in std::fs::read_dir(&folder).unwrap().flatten() {
        let path = entry.path();
        if path.extension().is_none_or(|extension| extension != "onnx") {
            continue;
        }
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        let (scan, bytes) = scan_file(&path, &[], Limits::default()).unwrap();
        let source = GraphSource { path: &path, bytes: &bytes, scan: &scan };
        let mut session = (&engine as &dyn Engine).load(source, 1, Place::Cpu).unwrap();
        let mut npz = NpzReader::new(File::open(path.with_extension("npz")).unwrap()).unwrap();
        let ports = session.inputs().to_vec();
        let inputs: Vec<(&str, Tensor)> = ports
            .iter()
            .map(|port| {
                // Fixed-width text is no array of numbers: written out here.
                let tensor = match port.name.as_str() {
                    "sex" => texts(&["female", "male", "male"]),
                    "embarked" => texts(&["S", "C", "Q"]),
                    input => tensor(&mut npz, &format!("in_{input}"), port.dtype),
                };
                (port.name.as_str(), tensor)
            })
            .collect();
        for output in 0..session.outputs().len() {
            let port = session.outputs()[output].clone();
            let given = session.run(&inputs, output, &Pool::default()).unwrap();
            let dtype = if port.dtype == DType::I64 { DType::I64 } else { DType::F32 };
            let expected = tensor(&mut npz, &format!("out_{}", port.name), dtype);
            assert_eq!(given.shape, expected.shape, "{name} {}", port.name);
            let pairs = given.data.to_f64().unwrap().into_iter().zip(expected.data.to_f64().unwrap());
            let worst = pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
            let allowed = if dtype == DType::I64 { 0.0 } else { 1e-5 };
            assert!(worst <= allowed, "{name} {}: {worst}", port.name);
            n += 1;
        }
    }
    assert_eq!(n, 12, "outputs of seven models");
}

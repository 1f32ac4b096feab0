//! Both engines on the small graphs, and against each other on real ones where those are at hand.

#![allow(clippy::print_stderr)]

use super::*;
use crate::{
    runtime::{Runtime, Search},
    scan::{Limits, scan_bytes, scan_file},
};
use std::path::PathBuf;

fn graphs() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/graphs")
}

/// The engines at hand: the embedded one always.
fn engines() -> Vec<(&'static str, Box<dyn Engine>)> {
    let mut engines: Vec<(&'static str, Box<dyn Engine>)> = vec![(rten::NAME, Box::new(rten::RtenEngine))];
    match onnxruntime() {
        Some(engine) => engines.push((ort::NAME, Box::new(engine))),
        None => eprintln!("SKIPPED: no ONNX Runtime was found, the embedded engine alone is tested"),
    }
    engines
}

fn onnxruntime() -> Option<&'static ort::OrtEngine> {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    Runtime::open(&Search::from_env(Some(&workspace))).unwrap().ort()
}

fn load(engine: &dyn Engine, path: &Path) -> Result<Box<dyn Session>, EngineError> {
    let (scan, bytes) = scan_file(path, &["org.example".to_owned()], Limits::default()).unwrap();
    engine.load(GraphSource { path, bytes: &bytes, scan: &scan }, 1, Place::Cpu)
}

fn floats(shape: &[usize], data: &[f32]) -> Tensor {
    Tensor { shape: shape.to_vec(), data: Data::F32(data.to_vec()) }
}

fn values(tensor: &Tensor) -> Vec<f64> {
    tensor.data.to_f64().unwrap()
}

#[test]
fn a_dense_layer() {
    let x = floats(&[2, 4], &[1.0, 2.0, 3.0, 4.0, 0.0, 0.0, 0.0, -1.0]);
    for (name, engine) in engines() {
        let mut session = load(engine.as_ref(), &graphs().join("dense_seed0_fold0.onnx")).unwrap();
        assert_eq!(session.inputs()[0].to_string(), "f32 (?, 4)", "{name}");
        let y = session.run(&[("x", x.clone())], 0, &Pool::default()).unwrap();
        // w = (k (i + 1) (j + 1) mod 7 - 3) / 4 with k = 1, b = j / 2.
        assert_eq!((&y.shape[..], values(&y)), (&[2, 2][..], vec![0.0, 1.0, -0.25, 1.0]), "{name}");
    }
}

#[test]
fn other_types_are_fed_as_declared() {
    for (name, engine) in engines() {
        let rows = [0.5, -1.0, 2.0, 0.25];
        for graph in ["half", "double"] {
            let mut session = load(engine.as_ref(), &graphs().join(format!("{graph}.onnx"))).unwrap();
            let data = match session.inputs()[0].dtype {
                DType::F16 => Data::F16(rows.map(f16::from_f32).to_vec()),
                DType::F64 => Data::F64(rows.map(f64::from).to_vec()),
                other => panic!("{name} says {other}"),
            };
            let y = session.run(&[("x", Tensor { shape: vec![1, 4], data })], 0, &Pool::default()).unwrap();
            let expected = [0.0625, 1.5];
            values(&y).iter().zip(expected).for_each(|(y, e)| assert!((y - e).abs() < 1e-3, "{name} {graph}: {y} {e}"));
        }
        let mut session = load(engine.as_ref(), &graphs().join("mixed.onnx")).unwrap();
        let inputs = [
            ("k", Tensor { shape: vec![2, 1], data: Data::I64(vec![3, -4]) }),
            ("flag", Tensor { shape: vec![2, 1], data: Data::Bool(vec![true, false]) }),
            ("v", floats(&[2, 1], &[0.5, 0.5])),
        ];
        assert_eq!(values(&session.run(&inputs, 0, &Pool::default()).unwrap()), [4.5, -3.5], "{name}");
        let mut session = load(engine.as_ref(), &graphs().join("image.onnx")).unwrap();
        let y = session
            .run(&[("x", floats(&[2, 1, 2, 2], &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0]))], 0, &Pool::default())
            .unwrap();
        assert_eq!((&y.shape[..], values(&y)), (&[2][..], vec![10.0, 26.0]), "{name}");
    }
}

#[test]
fn functions_branches_and_external_data() {
    for (name, engine) in engines() {
        let x = floats(&[1, 4], &[1.0, 2.0, 3.0, -7.0]);
        let run = |graph: &str| -> Result<Vec<f64>, EngineError> {
            let mut session = load(engine.as_ref(), &graphs().join(graph))?;
            Ok(values(&session.run(&[("x", x.clone())], 0, &Pool::default())?))
        };
        assert_eq!(run("branch.onnx").unwrap(), [-1.0, -2.0, -3.0, 7.0], "{name}");
        assert_eq!(run("external.onnx").unwrap(), [-26.0, -27.0], "{name}");
        if name == ort::NAME {
            assert_eq!(run("function.onnx").unwrap(), [2.0, 4.0, 6.0, -14.0]);
            assert!(matches!(run("foreign.onnx"), Err(EngineError::Load { .. })));
        }
    }
}

#[test]
fn what_the_embedded_engine_lacks_is_said() {
    for graph in ["zipmap.onnx", "text.onnx", "foreign.onnx"] {
        let error = load(&rten::RtenEngine, &graphs().join(graph)).err();
        assert!(matches!(error, Some(EngineError::Unsupported { .. })), "{graph}: {error:?}");
    }
}

#[test]
fn class_maps_come_in_order_of_the_class() {
    let Some(engine) = onnxruntime() else {
        eprintln!("SKIPPED: no ONNX Runtime was found");
        return;
    };
    let mut session = load(&engine, &graphs().join("zipmap.onnx")).unwrap();
    assert_eq!(session.outputs()[1].dtype, DType::ClassMaps);
    // Classes 30, 10, 20 in the graph's order.
    let x = floats(&[2, 3], &[0.0, (2.0_f32).ln(), (5.0_f32).ln(), 0.0, 0.0, 0.0]);
    let p = session.run(&[("x", x)], 1, &Pool::default()).unwrap();
    assert_eq!(p.shape, [2, 3]);
    for (p, e) in values(&p).iter().zip([0.25, 0.625, 0.125, 1.0 / 3.0, 1.0 / 3.0, 1.0 / 3.0]) {
        assert!((p - e).abs() < 1e-6, "{p} {e}");
    }
    let mut session = load(&engine, &graphs().join("text.onnx")).unwrap();
    let text = Tensor { shape: vec![3, 1], data: Data::Text(vec!["b".into(), "a".into(), "z".into()]) };
    assert_eq!(values(&session.run(&[("t", text)], 0, &Pool::default()).unwrap()), [2.0, 1.0, -1.0]);
}

#[test]
fn a_wrong_shape_is_an_error_not_a_crash() {
    for (name, engine) in engines() {
        let mut session = load(engine.as_ref(), &graphs().join("dense_seed0_fold0.onnx")).unwrap();
        let error = session.run(&[("x", floats(&[1, 5], &[0.0; 5]))], 0, &Pool::default()).unwrap_err();
        assert!(matches!(error, EngineError::Run { .. }), "{name}: {error}");
    }
}

#[test]
fn hostile_bytes_are_an_error_not_a_crash() {
    let good = std::fs::read(graphs().join("branch.onnx")).unwrap();
    for (name, engine) in engines() {
        let (mut loaded, mut refused) = (0, 0);
        for at in 0..good.len() {
            for byte in [0x00, 0x7f, 0xff, good[at] ^ 0x01] {
                let mut bytes = good.clone();
                bytes[at] = byte;
                let Ok(scan) = scan_bytes(&bytes, None, &[], Limits::default()) else { continue };
                let source = GraphSource { path: Path::new("x.onnx"), bytes: &bytes, scan: &scan };
                match engine.load(source, 1, Place::Cpu) {
                    Ok(_) => loaded += 1,
                    Err(_) => refused += 1,
                }
            }
        }
        assert!(loaded > 0 && refused > 0, "{name}: {loaded} loaded, {refused} refused");
    }
}

#[test]
fn cuda_is_refused_where_there_is_none() {
    let path = graphs().join("dense_seed0_fold0.onnx");
    let (scan, bytes) = scan_file(&path, &[], Limits::default()).unwrap();
    let source = GraphSource { path: &path, bytes: &bytes, scan: &scan };
    let place = Place::Cuda { index: 0, strict: true };
    let error = rten::RtenEngine.load(source, 1, place).err();
    assert!(matches!(error, Some(EngineError::Device { .. })), "{error:?}");
    if let Some(engine) = onnxruntime().filter(|engine| !engine.has_cuda()) {
        let error = engine.load(source, 1, place).err();
        assert!(matches!(error, Some(EngineError::Device { .. })), "{error:?}");
    }
}

/// The embedded engine's version is written down by hand: the crate does not tell it.
#[test]
fn the_embedded_engine_is_the_locked_one() {
    let lock = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../Cargo.lock")).unwrap();
    assert!(lock.contains(&format!("name = \"rten\"\nversion = \"{}\"", rten::VERSION)));
}

#[test]
fn the_engines_agree_on_real_graphs() {
    let shared = std::env::var_os("BLEND_SHARED")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data"), PathBuf::from);
    let Some(engine) = onnxruntime() else {
        eprintln!("SKIPPED: no ONNX Runtime was found");
        return;
    };
    let mut n = 0;
    for (folder, width) in [("toxcast-moa-like/onnx", 464), ("demo-small/tox21-12/onnx", 104)] {
        let Ok(files) = std::fs::read_dir(shared.join(folder)) else { continue };
        for path in
            files.flatten().map(|entry| entry.path()).filter(|path| path.extension().is_some_and(|e| e == "onnx"))
        {
            let rows = 33;
            let x: Vec<f32> = (0..rows * width).map(|i| ((i * 7919) % 13) as f32 / 13.0 - 0.3).collect();
            let x = floats(&[rows, width], &x);
            let mut outputs = Vec::new();
            for engine in [&engine as &dyn Engine, &rten::RtenEngine] {
                let mut session = load(engine, &path).unwrap();
                let name = session.inputs()[0].name.clone();
                outputs.push(values(&session.run(&[(&name, x.clone())], 0, &Pool::default()).unwrap()));
            }
            let worst = outputs[0].iter().zip(&outputs[1]).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
            assert!(worst < 1e-5, "{}: {worst}", path.display());
            n += 1;
        }
    }
    if n == 0 {
        eprintln!("SKIPPED: no graphs below {}", shared.display());
    }
}

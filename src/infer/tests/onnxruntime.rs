//! What needs a library of ONNX Runtime (found as the program finds it), and what happens where there is none.

#![allow(clippy::print_stderr)]

mod common;

use blend_core::{
    Folds, OutputKind, RowIndex,
    manifest::{Average, Manifest},
    source::Column,
};
use blend_infer::{
    Device, EngineChoice, FoldMaps, Gpus, Kind, Prediction, RanOn, Request, Runtime, RuntimeError, Search, Splits,
    Tables, predict,
};
use common::*;
use std::path::{Path, PathBuf};

fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn onnxruntime() -> Option<Runtime> {
    let runtime = Runtime::open(&Search::from_env(Some(&workspace()))).unwrap();
    if runtime.engine_name() == "onnxruntime" {
        return Some(runtime);
    }
    eprintln!("SKIPPED: no ONNX Runtime was found");
    None
}

fn embedded() -> Runtime {
    Runtime::open(&Search { engine: Some(EngineChoice::Rten), ..Search::default() }).unwrap()
}

#[test]
fn a_library_that_is_named_is_that_one_or_none() {
    let named = Search { library: Some("/nonexistent/libonnxruntime.so".into()), ..Search::default() };
    let error = Runtime::open(&named).unwrap_err();
    assert!(matches!(&error, RuntimeError::Named { path, .. } if path.ends_with("libonnxruntime.so")), "{error}");
    assert_eq!(error.kind(), Kind::Machine);
    assert!(error.to_string().contains("No such file") || error.to_string().contains("no such file"), "{error}");
    // A file that is no library.
    let text = Search { env_library: Some(graphs().join("make.py")), ..Search::default() };
    assert!(matches!(Runtime::open(&text), Err(RuntimeError::Named { .. })));
    let ort = Search { engine: Some(EngineChoice::Ort), ..Search::default() };
    assert!(matches!(Runtime::open(&ort), Err(RuntimeError::NotFound { .. })));
}

#[test]
fn without_a_library_the_embedded_engine_says_so() {
    let runtime = Runtime::open(&Search::default()).unwrap();
    assert_eq!(runtime.engine_name(), "rten");
    assert!(runtime.note().is_some());
    assert!(embedded().note().is_none(), "who asked for it knows");
    let report = blend_infer::doctor(&Search::default());
    assert!(report.library.is_none() && report.embedded.starts_with("rten "));
}

#[test]
fn a_broken_library_in_the_workspace_is_passed_over() {
    let folder = tempfile::tempdir().unwrap();
    let capi = folder.path().join(".ort/onnxruntime/capi");
    std::fs::create_dir_all(&capi).unwrap();
    std::fs::write(capi.join("libonnxruntime.so.1.31.1"), b"not a library").unwrap();
    let search = Search { workspace: Some(folder.path().to_owned()), ..Search::default() };
    let runtime = Runtime::open(&search).unwrap();
    assert_eq!(runtime.engine_name(), "rten");
    assert_eq!(runtime.tried().len(), 1);
    assert!(runtime.tried()[0].error.is_some());
}

#[test]
fn the_doctor_knows_the_library() {
    let Some(runtime) = onnxruntime() else { return };
    assert_eq!(runtime.version().split('.').count(), 3, "{}", runtime.version());
    let report = blend_infer::doctor(&Search::from_env(Some(&workspace())));
    let library = report.library.unwrap();
    assert_eq!(Some(library.path.as_path()), runtime.library());
    assert!(library.providers.contains(&"CPUExecutionProvider".to_owned()));
    assert_eq!(
        library.cuda.is_ok(),
        report.cuda.driver.is_ok() && library.providers.contains(&"CUDAExecutionProvider".to_owned())
    );
}

fn test_only(runtime: &Runtime, manifest: &Manifest, table: &MemTable, device: Device) -> Prediction {
    let mut request = Request { splits: Splits { oof: false, test: true }, device, ..Request::new(manifest) };
    request.tables.insert("features".to_owned(), Tables { train: None, test: Some(table) });
    predict(runtime, &request).unwrap()
}

fn column(prediction: &Prediction, output: usize) -> Vec<f64> {
    let test = prediction.test.as_ref().unwrap();
    (0..test.rows.len()).map(|row| test.columns.slice(0, output).get(row)).collect()
}

#[test]
fn classifiers_with_maps_and_texts_run() {
    let Some(runtime) = onnxruntime() else { return };
    let columns = vec![
        ("a", Column::F64(vec![0.0, 0.0])),
        ("b", Column::F64(vec![2_f64.ln(), 0.0])),
        ("c", Column::F64(vec![5_f64.ln(), 0.0])),
        ("t", Column::Text(vec!["b".into(), "?".into()])),
    ];
    let source = MemTable::new(vec![1, 2], columns);
    let maps = stage("main", "zipmap.onnx", &[("x", table(Some(&["a", "b", "c"])))]);
    let maps = manifest(OutputKind::ClassProbabilities, Average::Probability, vec![maps]);
    let prediction = test_only(&runtime, &maps, &source, Device::Cpu);
    // Classes 30, 10, 20 in the graph, ascending here.
    let first: Vec<f64> = (0..3).map(|output| column(&prediction, output)[0]).collect();
    for (given, expected) in first.iter().zip([0.25, 0.625, 0.125]) {
        assert!((given - expected).abs() < 1e-6, "{first:?}");
    }
    assert_eq!(prediction.report.engine, "onnxruntime");
    assert_eq!(prediction.report.device, RanOn::Cpu);
    let text =
        manifest(OutputKind::Value, Average::Raw, vec![stage("main", "text.onnx", &[("t", table(Some(&["t"])))])]);
    assert_eq!(column(&test_only(&runtime, &text, &source, Device::Auto), 0), [2.0, -1.0]);
}

#[test]
fn both_engines_give_the_same_within_tolerance() {
    let Some(runtime) = onnxruntime() else { return };
    let source = MemTable::features((0..200).collect());
    let rows = RowIndex::from_ints((0..200).collect()).unwrap();
    let folds = Folds::new(rows.clone(), (0..200).map(|id| id % 3).collect()).unwrap();
    let mut main = stage("main", "dense_seed{seed}_fold{fold}.onnx", &[("x", table(None))]);
    main.seeds = vec![0, 1];
    let manifest = manifest(OutputKind::Logit, Average::Probability, vec![main]);
    let run = |runtime: &Runtime, threads| {
        let mut request = Request { folds: FoldMaps::one(&folds), threads, ..Request::new(&manifest) };
        request.tables.insert("features".to_owned(), Tables { train: Some(&source), test: Some(&source) });
        predict(runtime, &request).unwrap()
    };
    let (one, four, other) = (run(&runtime, 1), run(&runtime, 4), run(&embedded(), 2));
    for output in 0..2 {
        assert_eq!(column(&one, output), column(&four, output), "threads");
        for (a, b) in column(&one, output).iter().zip(column(&other, output)) {
            assert!((a - b).abs() < 1e-6, "{a} {b}");
        }
    }
}

#[test]
fn cuda_runs_or_is_refused() {
    let Some(runtime) = onnxruntime() else { return };
    let source = MemTable::features((0..20).collect());
    let manifest =
        manifest(OutputKind::Value, Average::Raw, vec![stage("main", "dense_seed0_fold0.onnx", &[("x", table(None))])]);
    let mut request = Request {
        splits: Splits { oof: false, test: true },
        device: Device::Cuda(Gpus::ALL),
        ..Request::new(&manifest)
    };
    request.tables.insert("features".to_owned(), Tables { train: None, test: Some(&source) });
    match predict(&runtime, &request) {
        Ok(prediction) => {
            assert!(matches!(prediction.report.device, RanOn::Cuda(_)), "{}", prediction.report.device);
            let cpu = test_only(&runtime, &manifest, &source, Device::Cpu);
            for (a, b) in column(&prediction, 1).iter().zip(column(&cpu, 1)) {
                assert!((a - b).abs() < 1e-5, "{a} {b}");
            }
        }
        Err(error) => {
            assert_eq!(error.kind(), Kind::Machine);
            assert!(std::env::var_os("BLEND_REQUIRE_CUDA").is_none(), "{error}");
            eprintln!("SKIPPED: no CUDA here: {error}");
        }
    }
    let auto = test_only(&runtime, &manifest, &source, Device::Auto);
    assert!(matches!(auto.report.device, RanOn::Cpu | RanOn::Cuda(_)));
}

/// The workspace's own models, where they are: convolutions, attention and trees over the same pixels.
#[test]
fn the_engines_agree_on_the_digits() {
    let Some(runtime) = onnxruntime() else { return };
    let folder = workspace().join("models/digits");
    let Ok(text) = std::fs::read_to_string(folder.join("data/test_features.csv")) else {
        eprintln!("SKIPPED: no models below {}", folder.display());
        return;
    };
    let mut lines = text.lines();
    let names: Vec<&str> = lines.next().unwrap().split(',').skip(1).collect();
    let cells: Vec<Vec<i64>> =
        lines.map(|line| line.split(',').skip(1).map(|cell| cell.parse().unwrap()).collect()).collect();
    let columns =
        names.iter().enumerate().map(|(j, &name)| (name, Column::I64(cells.iter().map(|row| row[j]).collect())));
    let source = MemTable::new((0..cells.len() as i64).collect(), columns.collect());
    let folds = Folds::new(RowIndex::positions(5).unwrap(), (0..5).collect()).unwrap();
    for (model, kind) in [
        ("mlp", OutputKind::ClassProbabilities),
        ("cnn", OutputKind::ClassProbabilities),
        ("gnn", OutputKind::ClassProbabilities),
        ("tabnet", OutputKind::ClassProbabilities),
        ("transformer", OutputKind::ClassLogits),
        ("boosted", OutputKind::ClassProbabilities),
    ] {
        let pattern = if model == "mlp" { "seed{seed}_fold{fold}.onnx" } else { "fold{fold}.onnx" };
        let mut main = stage("main", pattern, &[("pixels", table(None))]);
        main.seeds = if model == "mlp" { vec![0, 1] } else { Vec::new() };
        let mut manifest = manifest(kind, Average::Probability, vec![main]);
        manifest.folder = folder.join(model);
        let run = |runtime: &Runtime| {
            let splits = Splits { oof: false, test: true };
            let mut request = Request { folds: FoldMaps::one(&folds), splits, threads: 2, ..Request::new(&manifest) };
            request.tables.insert("features".to_owned(), Tables { train: None, test: Some(&source) });
            predict(runtime, &request)
        };
        let ort = run(&runtime).unwrap();
        assert_eq!(ort.n_outputs, 10, "{model}");
        match run(&embedded()) {
            Ok(rten) => {
                for output in 0..10 {
                    for (a, b) in column(&ort, output).iter().zip(column(&rten, output)) {
                        assert!((a - b).abs() < 1e-5, "{model}: {a} {b}");
                    }
                }
            }
            Err(error) => assert!(model == "boosted" && error.wants_onnx_runtime(), "{model}: {error}"),
        }
    }
}

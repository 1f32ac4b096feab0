//! Models made of the small graphs, run on the embedded engine and checked against arithmetic.

mod common;

use blend_core::{
    BLOCK_ROWS, Folds, OutputKind, RowIndex,
    manifest::{Average, InputSpec, Manifest},
    source::Column,
};
use blend_infer::{
    Device, EngineChoice, FoldMaps, Gpus, InferError, Kind, Prediction, RanOn, Request, Runtime, Search, Splits,
    Tables, Values, predict,
};
use common::*;
use std::{
    collections::BTreeMap,
    ops::Range,
    sync::atomic::{AtomicU64, AtomicUsize, Ordering},
};

fn embedded() -> Runtime {
    Runtime::open(&Search { engine: Some(EngineChoice::Rten), ..Search::default() }).unwrap()
}

/// Training rows 0..50 in the truth's order, folds 0 to 2, every seventh row -1; test rows 100..130. Or more of both.
struct World {
    folds: Folds,
    train: MemTable,
    test: MemTable,
    test_rows: RowIndex,
}

fn label(id: i64) -> i64 {
    if id % 7 == 6 { -1 } else { id * 5 % 3 }
}

impl World {
    fn new() -> Self {
        Self::of(0..50, 100..130)
    }

    fn of(train: Range<i64>, test: Range<i64>) -> Self {
        let ids: Vec<i64> = train.collect();
        let folds = Folds::new(RowIndex::from_ints(ids.clone()).unwrap(), ids.iter().map(|&id| label(id)).collect());
        // Another order, and rows that nobody asks for.
        let train = ids.iter().rev().copied().chain(90_000..90_010).collect();
        Self {
            folds: folds.unwrap(),
            train: MemTable::features(train),
            test: MemTable::features(test.clone().rev().collect()),
            test_rows: RowIndex::from_ints(test.collect()).unwrap(),
        }
    }

    fn request<'a>(&'a self, manifest: &'a Manifest) -> Request<'a> {
        Request {
            folds: FoldMaps::one(&self.folds),
            tables: BTreeMap::from([(
                "features".to_owned(),
                Tables { train: Some(&self.train), test: Some(&self.test) },
            )]),
            test_rows: Some(&self.test_rows),
            ..Request::new(manifest)
        }
    }

    fn run(&self, manifest: &Manifest) -> Prediction {
        predict(&embedded(), &self.request(manifest)).unwrap()
    }

    fn error(&self, manifest: &Manifest) -> InferError {
        predict(&embedded(), &self.request(manifest)).unwrap_err()
    }
}

fn seeded(kind: OutputKind, average: Average) -> Manifest {
    let mut stage = stage("main", "dense_seed{seed}_fold{fold}.onnx", &[("x", table(None))]);
    stage.seeds = vec![0, 1];
    manifest(kind, average, vec![stage])
}

/// A single graph for test rows alone.
fn single(graph: &str, inputs: &[(&str, InputSpec)]) -> Manifest {
    manifest(OutputKind::Value, Average::Raw, vec![stage("main", graph, inputs)])
}

fn cell(values: &Values, row: usize, output: usize) -> f64 {
    values.columns.slice(row / BLOCK_ROWS, output).get(row % BLOCK_ROWS)
}

fn bits(values: &Values) -> Vec<u32> {
    let columns = (0..values.columns.n_outputs())
        .flat_map(|output| (0..values.rows.len()).map(move |row| (cell(values, row, output) as f32).to_bits()));
    columns.collect()
}

fn assert_close(given: f64, expected: f64, what: &str) {
    assert!((given - expected).abs() < 1e-5 * expected.abs().max(1.0), "{what}: {given} instead of {expected}");
}

#[test]
fn a_row_is_predicted_by_the_graphs_that_have_not_seen_it() {
    let world = World::new();
    for (average, enter) in [(Average::Probability, sigmoid as fn(f64) -> f64), (Average::Raw, |x| x)] {
        let manifest = seeded(OutputKind::Logit, average);
        let prediction = world.run(&manifest);
        assert_eq!(prediction.n_outputs, 2);
        let (oof, test) = (prediction.oof.unwrap(), prediction.test.unwrap());
        assert_eq!(oof.rows, *world.folds.rows());
        assert_eq!(test.rows, world.test_rows);
        for row in 0..50 {
            let (id, fold) = (row as i64, label(row as i64));
            for output in 0..2 {
                let given = cell(&oof, row, output);
                if fold < 0 {
                    assert!(given.is_nan(), "row {row} is out of scope");
                    continue;
                }
                let expected: f64 = [0, 1].iter().map(|&seed| enter(dense(seed, fold, features(id))[output])).sum();
                assert_close(given, expected / 2.0, "out of fold");
            }
        }
        for row in 0..30 {
            for output in 0..2 {
                let all = (0..2).flat_map(|seed| (0..3).map(move |fold| (seed, fold)));
                let sum: f64 = all.map(|(s, f)| enter(dense(s, f, features(row as i64 + 100))[output])).sum();
                assert_close(cell(&test, row, output), sum / 6.0, "test");
            }
        }
        let report = prediction.report;
        assert_eq!((report.engine.as_str(), report.device, report.library), ("rten", RanOn::Cpu, None));
        assert_eq!(report.rows, 2 * 43 + 6 * 30);
        assert_eq!(report.graphs.len(), 6);
        assert!(report.notes.iter().any(|note| note.contains("10 of 60 rows")), "{:?}", report.notes);
        assert_eq!(prediction.graphs.len(), 6);
        assert_eq!(prediction.graphs[0].name, "dense_seed0_fold0.onnx");
        assert_eq!(
            prediction.graphs[0].fingerprint,
            blend_core::Fingerprint::of(&std::fs::read(&prediction.graphs[0].path).unwrap())
        );
    }
}

/// Blocks of results are finished while the last graph runs, in the order of its rows: here from the last one on.
#[test]
fn many_rows_are_averaged_like_few() {
    let n = 2 * BLOCK_ROWS as i64 + 99;
    let world = World::of(0..n, 20_000..20_000 + n);
    let manifest = seeded(OutputKind::Logit, Average::Raw);
    let run = |threads| {
        let request = Request { threads, batch_size: Some(1000), ..world.request(&manifest) };
        let prediction = predict(&embedded(), &request).unwrap();
        (prediction.oof.unwrap(), prediction.test.unwrap())
    };
    let (oof, test) = run(1);
    for row in 0..n {
        for output in 0..2 {
            let mean = |id: i64, folds: &[i64]| {
                let of_seed =
                    |seed| folds.iter().map(move |&fold| dense(seed, fold, features(id))[output]).sum::<f64>();
                (of_seed(0) + of_seed(1)) / (2 * folds.len()) as f64
            };
            let given = cell(&oof, row as usize, output);
            match label(row) {
                -1 => assert!(given.is_nan()),
                fold => assert_close(given, mean(row, &[fold]), "out of fold"),
            }
            assert_close(cell(&test, row as usize, output), mean(20_000 + row, &[0, 1, 2]), "test");
        }
    }
    let (more_oof, more_test) = run(3);
    assert!((bits(&oof), bits(&test)) == (bits(&more_oof), bits(&more_test)));
}

#[test]
fn threads_change_no_bit_and_batches_next_to_nothing() {
    let world = World::new();
    let manifest = seeded(OutputKind::Logit, Average::Probability);
    let run = |threads, batch_size| {
        let request = Request { threads, batch_size: Some(batch_size), ..world.request(&manifest) };
        let prediction = predict(&embedded(), &request).unwrap();
        (prediction.oof.unwrap(), prediction.test.unwrap())
    };
    let (oof, test) = run(1, 8);
    for threads in [2, 3, 16] {
        let (more_oof, more_test) = run(threads, 8);
        assert_eq!((bits(&oof), bits(&test)), (bits(&more_oof), bits(&more_test)), "{threads} threads");
    }
    for batch_size in [1, 7, 1000] {
        let (_, other) = run(2, batch_size);
        for row in 0..30 {
            assert_close(cell(&other, row, 1), cell(&test, row, 1), "batch size");
        }
    }
}

#[test]
fn each_seed_may_have_its_own_folds() {
    let world = World::new();
    let manifest = seeded(OutputKind::Logit, Average::Raw);
    let other = |id: i64| (id + 1) % 3;
    let folds = Folds::new(world.folds.rows().clone(), (0..50).map(other).collect()).unwrap();
    let mut request = world.request(&manifest);
    request.folds.by_seed.insert(1, &folds);
    let oof = predict(&embedded(), &request).unwrap().oof.unwrap();
    for id in 0..50 {
        let mut parts = vec![dense(1, other(id), features(id))[0]];
        if label(id) >= 0 {
            parts.push(dense(0, label(id), features(id))[0]);
        }
        assert_close(cell(&oof, id as usize, 0), parts.iter().sum::<f64>() / parts.len() as f64, "own folds");
    }
}

#[test]
fn stages_feed_each_other_through_transforms() {
    let world = World::new();
    let mut first = stage("first", "dense_seed{seed}_fold{fold}.onnx", &[("x", table(None))]);
    first.seeds = vec![0, 1];
    first.kind = Some(OutputKind::Logit);
    for (transform, factor) in [(None, 1.0), (Some("times_ten.onnx".to_owned()), 10.0)] {
        let meta = InputSpec::Stage { stage: "first".to_owned(), transform };
        let second = stage("second", "second_fold{fold}.onnx", &[("x", table(None)), ("meta", meta)]);
        let manifest = manifest(OutputKind::Probability, Average::Probability, vec![first.clone(), second]);
        let second = |fold: i64, x: [f64; 4], meta: [f64; 2]| {
            let own: f64 = (0..4).map(|i| x[i] * (i as f64 + 1.0) * (fold as f64 + 1.0) / 10.0).sum();
            let more: f64 = (0..2).map(|j| factor * meta[j] * (j as f64 - 0.5) * (fold as f64 + 1.0) / 4.0).sum();
            sigmoid(own + more)
        };
        let mean = |id: i64, graphs: &[(i64, i64)]| {
            let of = |j: usize| graphs.iter().map(|&(s, f)| sigmoid(dense(s, f, features(id))[j])).sum::<f64>();
            [0, 1].map(|j| of(j) / graphs.len() as f64)
        };
        let prediction = world.run(&manifest);
        assert_eq!(prediction.n_outputs, 1);
        let (oof, test) = (prediction.oof.unwrap(), prediction.test.unwrap());
        for id in (0..50).filter(|&id| label(id) >= 0) {
            let fold = label(id);
            let meta = mean(id, &[(0, fold), (1, fold)]);
            assert_close(cell(&oof, id as usize, 0), second(fold, features(id), meta), "out of fold");
        }
        assert!(cell(&oof, 6, 0).is_nan());
        for id in 100..130 {
            let meta = mean(id, &[(0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2)]);
            let expected = (0..3).map(|fold| second(fold, features(id), meta)).sum::<f64>() / 3.0;
            assert_close(cell(&test, id as usize - 100, 0), expected, "test");
        }
        assert_eq!(prediction.graphs.len(), if factor > 1.0 { 10 } else { 9 });
    }
}

#[test]
fn a_stage_of_stages_needs_no_folds() {
    let world = World::new();
    let first = stage("first", "dense_seed0_fold{fold}.onnx", &[("x", table(None))]);
    let meta = InputSpec::Stage { stage: "first".to_owned(), transform: None };
    let manifest =
        manifest(OutputKind::Value, Average::Raw, vec![first, stage("ten", "times_ten.onnx", &[("m", meta)])]);
    let oof = world.run(&manifest).oof.unwrap();
    assert_close(cell(&oof, 3, 1), 10.0 * dense(0, label(3), features(3))[1], "out of fold");
    assert!(cell(&oof, 6, 0).is_nan());
}

#[test]
fn graphs_of_fixed_rows_are_padded() {
    let world = World::new();
    let manifest = single("fixed.onnx", &[("x", table(None))]);
    let request = Request { splits: Splits { oof: false, test: true }, ..world.request(&manifest) };
    for batch_size in [3, 4, 10] {
        let request = Request { batch_size: Some(batch_size), ..request.clone() };
        let prediction = predict(&embedded(), &request).unwrap();
        assert!(prediction.oof.is_none());
        let test = prediction.test.unwrap();
        for row in 0..30 {
            assert_close(cell(&test, row, 1), dense(0, 0, features(row as i64 + 100))[1], "padded");
        }
    }
}

#[test]
fn types_and_shapes_follow_the_graph() {
    let ids: Vec<i64> = (0..5).collect();
    let rows = RowIndex::from_ints(ids.clone()).unwrap();
    let source = MemTable::new(
        ids,
        vec![
            ("k", Column::I64(vec![5, 6, 7, 8, 9])),
            ("flag", Column::Bool(vec![true, false, true, false, true])),
            ("v", Column::F32(vec![0.5; 5])),
            ("w", Column::F64(vec![0.25; 5])),
        ],
    );
    let run = |manifest: &Manifest| {
        let mut request =
            Request { splits: Splits { oof: false, test: true }, test_rows: Some(&rows), ..Request::new(manifest) };
        request.tables.insert("features".to_owned(), Tables { train: None, test: Some(&source) });
        predict(&embedded(), &request)
    };
    let inputs = [("k", table(Some(&["k"]))), ("flag", table(Some(&["flag"]))), ("v", table(Some(&["v"])))];
    let mixed = run(&single("mixed.onnx", &inputs)).unwrap().test.unwrap();
    assert_eq!((0..5).map(|row| cell(&mixed, row, 0)).collect::<Vec<_>>(), [6.5, 6.5, 8.5, 8.5, 10.5]);
    // Four columns as an image of 2 x 2; numbers of any type are floats to it.
    let image = run(&single("image.onnx", &[("x", table(None))])).unwrap().test.unwrap();
    assert_eq!(cell(&image, 1, 0), 6.75);
    for graph in ["half.onnx", "double.onnx"] {
        let columns: &[&str] = &["v", "w", "v", "w"];
        let some = run(&single(graph, &[("x", table(Some(columns)))])).unwrap();
        assert_close(cell(&some.test.unwrap(), 0, 0), dense(0, 0, [0.5, 0.25, 0.5, 0.25])[0], graph);
    }
    // The probabilities, not the label before them; the label where it is named.
    let manifest = single("labels.onnx", &[("x", table(Some(&["v", "w", "v", "k"])))]);
    let probabilities = run(&manifest).unwrap();
    assert_eq!(probabilities.n_outputs, 4);
    let mut manifest = manifest;
    manifest.stages[0].output = Some("label".to_owned());
    assert_eq!(cell(&run(&manifest).unwrap().test.unwrap(), 0, 0), 3.0);
    // What does not fit.
    let swapped = [("k", table(Some(&["v"]))), ("flag", table(Some(&["flag"]))), ("v", table(Some(&["v"])))];
    let error = run(&single("mixed.onnx", &swapped)).unwrap_err();
    assert!(matches!(&error, InferError::InputMismatch { input, .. } if input == "k"), "{error}");
    let error =
        run(&single("mixed.onnx", &[inputs[0].clone(), ("flag", table(Some(&["k"]))), inputs[2].clone()])).unwrap_err();
    assert!(matches!(&error, InferError::Value { column, id, .. } if column == "k" && id == "0"), "{error}");
    let error = run(&single("dense_seed0_fold0.onnx", &[("x", table(Some(&["k", "v"])))])).unwrap_err();
    assert!(error.to_string().contains("wants f32 (?, 4), given 2 columns"), "{error}");
    assert_eq!(error.kind(), Kind::Data);
}

#[test]
fn what_is_wrong_in_the_manifest_is_named() {
    let world = World::new();
    let plain = || seeded(OutputKind::Logit, Average::Probability);
    let with = |change: &dyn Fn(&mut Manifest)| {
        let mut manifest = plain();
        change(&mut manifest);
        world.error(&manifest)
    };
    let error = with(&|m| m.stages.clear());
    assert!(matches!(error, InferError::NoStages { .. }));
    let error = with(&|m| m.stages[0].graphs = "absent{fold}.onnx".into());
    assert!(
        matches!(&error, InferError::MissingGraph { path, pattern, .. } if path.ends_with("absent0.onnx") && pattern == "absent{fold}.onnx")
    );
    assert_eq!(error.kind(), Kind::Machine);
    let error = with(&|m| m.stages[0].graphs = "dense_seed{seed}_fold0.onnx".into());
    assert!(matches!(error, InferError::Leakage { .. }), "{error}");
    let error = with(&|m| m.stages[0].seeds.clear());
    assert!(matches!(error, InferError::Pattern { .. }), "{error}");
    for pattern in ["x{fodl}_{fold}.onnx", "../graphs/dense_seed0_fold{fold}.onnx", "/etc/{fold}"] {
        let error = with(&|m| m.stages[0].graphs = pattern.into());
        assert!(matches!(error, InferError::Pattern { .. }), "{error}");
        assert_eq!(error.kind(), Kind::Usage);
    }
    let error = with(&|m| drop(m.stages[0].inputs.insert("y".into(), table(None))));
    assert!(
        matches!(&error, InferError::UnknownInput { input, known, .. } if input == "y" && known == &["x"]),
        "{error}"
    );
    let error = with(&|m| drop(m.stages[0].inputs.remove("x")));
    assert!(matches!(&error, InferError::UnfedInput { input, .. } if input == "x"), "{error}");
    let error = with(&|m| drop(m.stages[0].inputs.insert("x".into(), table(Some(&["a", "nope"])))));
    assert!(
        matches!(&error, InferError::NoColumn { column, known, .. } if column == "nope" && known.len() == 4),
        "{error}"
    );
    let error = with(&|m| m.stages[0].output = Some("nope".into()));
    assert!(matches!(&error, InferError::NoOutput { known, .. } if known == &["logit: f32 (?, 2)"]), "{error}");
    let unknown = InputSpec::Stage { stage: "later".into(), transform: None };
    let error = with(&|m| drop(m.stages[0].inputs.insert("x".into(), unknown.clone())));
    assert!(matches!(error, InferError::UnknownStage { .. }), "{error}");
    let error = with(&|m| drop(m.stages[0].inputs.insert("x".into(), InputSpec::table("t"))));
    assert!(matches!(error, InferError::NoTable { .. }), "{error}");
    let manifest = plain();
    let error = predict(&embedded(), &Request { folds: FoldMaps::default(), ..world.request(&manifest) }).unwrap_err();
    assert!(matches!(error, InferError::NoFoldMap { .. }), "{error}");
    let nothing = Splits { oof: false, test: false };
    let error = predict(&embedded(), &Request { splits: nothing, ..world.request(&manifest) }).unwrap_err();
    assert!(matches!(error, InferError::NothingAsked), "{error}");
    let error =
        predict(&embedded(), &Request { device: Device::Cuda(Gpus::ALL), ..world.request(&manifest) }).unwrap_err();
    assert_eq!(error.kind(), Kind::Machine);
}

#[test]
fn what_is_wrong_in_the_data_is_named() {
    let world = World::new();
    let manifest = seeded(OutputKind::Logit, Average::Probability);
    let rows = RowIndex::from_ints((95..130).collect()).unwrap();
    let error = predict(&embedded(), &Request { test_rows: Some(&rows), ..world.request(&manifest) }).unwrap_err();
    assert_eq!(error.kind(), Kind::Data);
    let InferError::Alignment { what, source, .. } = error else { panic!("{error}") };
    assert_eq!(what, "table `features` at memory");
    assert_eq!((source.missing, source.first_missing.as_deref()), (5, Some("95")));
    let rows = RowIndex::from_ints((0..49).collect()).unwrap();
    let error = predict(&embedded(), &Request { train_rows: Some(&rows), ..world.request(&manifest) }).unwrap_err();
    assert!(matches!(&error, InferError::Alignment { what, .. } if what == "the fold map"), "{error}");
    // 1/x is infinite where a feature is 0.
    let inverse = single("inverse.onnx", &[("x", table(None))]);
    let request = Request { splits: Splits { oof: false, test: true }, ..world.request(&inverse) };
    let error = predict(&embedded(), &request).unwrap_err();
    let InferError::NotFinite { id, output, .. } = &error else { panic!("{error}") };
    assert_eq!(features(id.parse().unwrap())[*output], 0.0);
    // No probabilities, said to be some.
    let error = world.error(&seeded(OutputKind::Probability, Average::Logit));
    assert!(matches!(error, InferError::NoProbability { .. }), "{error}");
    // Graphs of one stage with different widths.
    let folder = tempfile::tempdir().unwrap();
    for (fold, graph) in ["dense_seed0_fold0", "dense_seed0_fold1", "three"].iter().enumerate() {
        std::fs::copy(graphs().join(format!("{graph}.onnx")), folder.path().join(format!("{fold}.onnx"))).unwrap();
    }
    let mut widths = manifest.clone();
    widths.folder = folder.path().to_owned();
    widths.stages[0].graphs = "{fold}.onnx".to_owned();
    let error = world.error(&widths);
    assert!(matches!(&error, InferError::OutputShape { graph, .. } if graph == "2.onnx"), "{error}");
    std::fs::write(folder.path().join("1.onnx"), b"\x08\x08damaged").unwrap();
    let error = world.error(&widths);
    assert!(matches!(&error, InferError::Scan { path, .. } if path.ends_with("1.onnx")), "{error}");
    assert_eq!(error.kind(), Kind::Data);
}

#[test]
fn what_needs_onnx_runtime_says_so() {
    let world = World::new();
    let mut manifest = single("zipmap.onnx", &[("x", table(Some(&["a", "b", "c"])))]);
    manifest.encoding.kind = OutputKind::ClassProbabilities;
    let request = Request { splits: Splits { oof: false, test: true }, ..world.request(&manifest) };
    let error = predict(&embedded(), &request).unwrap_err();
    assert!(error.wants_onnx_runtime() && error.kind() == Kind::Machine, "{error}");
}

#[test]
fn progress_is_told_and_a_stop_is_heard() {
    let world = World::new();
    let manifest = seeded(OutputKind::Logit, Average::Probability);
    let (last, total) = (AtomicU64::new(0), AtomicU64::new(0));
    let progress = |progress: blend_infer::Progress<'_>| {
        last.fetch_max(progress.rows_done, Ordering::Relaxed);
        total.store(progress.rows_total, Ordering::Relaxed);
    };
    predict(&embedded(), &Request { progress: &progress, ..world.request(&manifest) }).unwrap();
    assert_eq!((last.into_inner(), total.into_inner()), (266, 266));
    let asked = AtomicUsize::new(0);
    let cancelled = || asked.fetch_add(1, Ordering::Relaxed) >= 3;
    let error = predict(&embedded(), &Request { cancelled: &cancelled, ..world.request(&manifest) }).unwrap_err();
    assert_eq!(error.kind(), Kind::Interrupted);
    assert_eq!(asked.into_inner(), 4);
}

#[test]
fn tables_are_read_front_to_back() {
    let world = World::new();
    let mut manifest = seeded(OutputKind::Logit, Average::Probability);
    manifest.batch_size = 4;
    world.run(&manifest);
    // Each of six graphs reads the test rows once; training rows, every third of which it wants, at most once.
    assert_eq!(world.test.rows_read.load(Ordering::Relaxed), 6 * 30);
    assert!(world.train.rows_read.load(Ordering::Relaxed) <= 6 * 50);
}

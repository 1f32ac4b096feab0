//! Stages, fold maps, preprocessing, leakage, interrupted runs and other processes, over the small graphs.

mod common;

use blend_core::{
    Fingerprint, Folds, OutputKind, RowIndex,
    manifest::{Average, InputSpec, Manifest},
};
use blend_infer::{
    EngineChoice, Executor, FoldMaps, InferError, Kind, Partial, Prediction, Remote, Request, Runtime, Search, Shard,
    ShardError, Splits, Tables, Values, estimate, predict, serve,
};
use common::*;
use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

fn embedded() -> Runtime {
    Runtime::open(&Search { engine: Some(EngineChoice::Rten), ..Search::default() }).unwrap()
}

struct World {
    train: MemTable,
    test: MemTable,
    rows: RowIndex,
    folds: Folds,
}

impl World {
    fn new() -> Self {
        let rows = RowIndex::from_ints((0..48).collect()).unwrap();
        let folds = folds_of(&rows, |id| id % 3);
        let (train, test) = (MemTable::features((0..48).collect()), MemTable::features((100..120).collect()));
        Self { train, test, rows, folds }
    }

    fn request<'a>(&'a self, manifest: &'a Manifest) -> Request<'a> {
        let tables = Tables { train: Some(&self.train), test: Some(&self.test) };
        Request {
            folds: FoldMaps::one(&self.folds),
            tables: BTreeMap::from([("features".to_owned(), tables)]),
            ..Request::new(manifest)
        }
    }
}

fn folds_of(rows: &RowIndex, label: impl Fn(i64) -> i64) -> Folds {
    Folds::new(rows.clone(), (0..rows.len() as i64).map(label).collect()).unwrap()
}

fn cell(values: &Values, row: usize, output: usize) -> f64 {
    values.columns.slice(0, output).get(row)
}

fn bits(prediction: &Prediction) -> Vec<u32> {
    let all = |values: &Values| {
        let n = values.rows.len();
        let one = |output| (0..n).map(move |row| (output, row));
        let cells: Vec<(usize, usize)> = (0..values.columns.n_outputs()).flat_map(one).collect();
        cells.into_iter().map(|(output, row)| (cell(values, row, output) as f32).to_bits()).collect::<Vec<_>>()
    };
    [&prediction.oof, &prediction.test].into_iter().flatten().flat_map(all).collect()
}

fn close(given: f64, expected: f64) {
    assert!((given - expected).abs() < 1e-5 * expected.abs().max(1.0), "{given} instead of {expected}");
}

fn with_transform(pattern: &str) -> InputSpec {
    InputSpec::Table { table: "features".to_owned(), columns: None, shape: None, transform: Some(pattern.to_owned()) }
}

/// Two seeds, then a second stage of one graph for each fold, fed by both the table and the first stage.
fn two_stages() -> Manifest {
    let mut first = stage("first", "dense_seed{seed}_fold{fold}.onnx", &[("x", table(None))]);
    first.seeds = vec![0, 1];
    first.kind = Some(OutputKind::Logit);
    let meta = InputSpec::Stage { stage: "first".to_owned(), transform: None };
    let second = stage("second", "second_fold{fold}.onnx", &[("x", table(None)), ("meta", meta)]);
    manifest(OutputKind::Probability, Average::Probability, vec![first, second])
}

#[test]
fn each_fold_has_its_own_preprocessing() {
    let world = World::new();
    let graph = stage("main", "dense_seed0_fold{fold}.onnx", &[("x", with_transform("prep_fold{fold}.onnx"))]);
    let manifest = manifest(OutputKind::Value, Average::Raw, vec![graph]);
    let prediction = predict(&embedded(), &world.request(&manifest)).unwrap();
    let scaled = |id: i64, fold: i64| dense(0, fold, features(id).map(|x| x * (fold as f64 + 1.0)))[1];
    for id in 0..48 {
        close(cell(prediction.oof.as_ref().unwrap(), id as usize, 1), scaled(id, id % 3));
    }
    for id in 100..120 {
        let mean = (0..3).map(|fold| scaled(id, fold)).sum::<f64>() / 3.0;
        close(cell(prediction.test.as_ref().unwrap(), id as usize - 100, 1), mean);
    }
    // Every file that ran is on record.
    assert_eq!(prediction.graphs.len(), 6);
}

#[test]
fn a_transform_may_make_an_image() {
    let world = World::new();
    let splits = Splits { oof: false, test: true };
    let run = |graph: &str, input: InputSpec| {
        let manifest = manifest(OutputKind::Value, Average::Raw, vec![stage("main", graph, &[("x", input)])]);
        predict(&embedded(), &Request { splits, ..world.request(&manifest) })
    };
    let image = run("image.onnx", with_transform("to_image.onnx")).unwrap().test.unwrap();
    close(cell(&image, 3, 0), features(103).iter().sum());
    // A graph with open sizes: the manifest says how the columns lie.
    let shaped = |shape: &[usize]| InputSpec::Table {
        table: "features".to_owned(),
        columns: None,
        shape: Some(shape.to_vec()),
        transform: None,
    };
    let open = run("open_image.onnx", shaped(&[1, 2, 2])).unwrap().test.unwrap();
    let [a, b, c, d] = features(105);
    close(cell(&open, 5, 0), (a + c).max(b + d));
    for wrong in [shaped(&[3, 2, 2]), shaped(&[2, 2])] {
        let error = run("open_image.onnx", wrong).unwrap_err();
        assert!(matches!(error, InferError::InputMismatch { .. }), "{error}");
    }
    let error = run("open_image.onnx", table(None)).unwrap_err();
    assert!(error.to_string().contains("wants f32 (?, ?, ?, ?), given 4 columns"), "{error}");
    let error = run("mixed.onnx", with_transform("to_image.onnx")).unwrap_err();
    assert_eq!(error.kind(), Kind::Usage, "{error}");
}

#[test]
fn a_stage_and_a_seed_may_have_their_own_folds() {
    let world = World::new();
    let mut manifest = two_stages();
    manifest.average = Average::Raw;
    let (own, other) = (folds_of(&world.rows, |id| (id + 1) % 3), folds_of(&world.rows, |id| id / 16));
    let mut request = world.request(&manifest);
    let first = FoldMaps { all: Some(&own), by_seed: BTreeMap::from([(1, &other)]) };
    request.stage_folds.insert("first".to_owned(), first);
    let oof = predict(&embedded(), &request).unwrap().oof.unwrap();
    for id in 0..48 {
        let graphs = [dense(0, (id + 1) % 3, features(id)), dense(1, id / 16, features(id))];
        let meta = [0, 1].map(|j| (graphs[0][j] + graphs[1][j]) / 2.0);
        let fold = (id % 3) as f64 + 1.0;
        let own: f64 = (0..4).map(|i| features(id)[i] * (i as f64 + 1.0) * fold / 10.0).sum();
        let more: f64 = (0..2).map(|j| meta[j] * (j as f64 - 0.5) * fold / 4.0).sum();
        close(cell(&oof, id as usize, 0), sigmoid(own + more));
    }
}

#[test]
fn a_map_that_the_graphs_do_not_know_is_refused() {
    let world = World::new();
    let mut manifest = two_stages();
    manifest.folds_fingerprint = Some(world.folds.fingerprint());
    assert!(predict(&embedded(), &world.request(&manifest)).is_ok());
    // One row moved to another fold.
    let moved = folds_of(&world.rows, |id| if id == 7 { 2 } else { id % 3 });
    let request = Request { folds: FoldMaps::one(&moved), ..world.request(&manifest) };
    let error = predict(&embedded(), &request).unwrap_err();
    let InferError::OtherFolds { expected, given, .. } = &error else { panic!("{error}") };
    assert_eq!((*expected, *given), (world.folds.fingerprint(), moved.fingerprint()));
    assert_eq!(error.kind(), Kind::Data);
    // The same of a stage's own maps, where each seed has one.
    let by_seed = FoldMaps { all: None, by_seed: BTreeMap::from([(0, &world.folds), (1, &moved)]) };
    manifest.stages[0].folds_fingerprint = by_seed.fingerprint();
    let mut request = world.request(&manifest);
    request.stage_folds.insert("first".to_owned(), by_seed);
    assert!(predict(&embedded(), &request).is_ok());
    let swapped = FoldMaps { all: None, by_seed: BTreeMap::from([(0, &moved), (1, &world.folds)]) };
    request.stage_folds.insert("first".to_owned(), swapped);
    assert!(matches!(predict(&embedded(), &request), Err(InferError::OtherFolds { .. })));
}

#[test]
fn a_scored_row_that_nobody_holds_out_is_refused() {
    let world = World::new();
    let manifest = two_stages();
    let holes = folds_of(&world.rows, |id| if id == 5 { -1 } else { id % 3 });
    let all = vec![true; 48];
    let scored = |but: usize| (0..48).map(|row| row != but).collect::<Vec<bool>>();
    let run = |maps: FoldMaps<'_>, scored: &[bool]| {
        let request = Request { folds: maps, scored: Some(scored), ..world.request(&manifest) };
        predict(&embedded(), &request).map(drop)
    };
    assert!(run(FoldMaps::one(&world.folds), &all).is_ok());
    let error = run(FoldMaps::one(&holes), &all).unwrap_err();
    assert!(matches!(&error, InferError::NotHeldOut { id, stage, .. } if id == "5" && stage == "first"), "{error}");
    // Out of scope: legal. Held out by another seed's map: the first stage has it, the second has one map for all.
    assert!(run(FoldMaps::one(&holes), &scored(5)).is_ok());
    let by_seed = FoldMaps { all: Some(&world.folds), by_seed: BTreeMap::from([(1, &holes)]) };
    assert!(run(by_seed, &all).is_ok());
}

/// A seed that stands twice under `seeds:` would count every row's graph twice.
#[test]
fn a_row_that_two_graphs_of_a_seed_hold_out_is_refused() {
    let world = World::new();
    let mut manifest = two_stages();
    manifest.stages[0].seeds = vec![0, 1, 0];
    for (oof, stage) in [(true, "first"), (false, "")] {
        let splits = Splits { oof, test: !oof };
        match predict(&embedded(), &Request { splits, ..world.request(&manifest) }) {
            Err(error) => {
                assert!(
                    matches!(&error, InferError::HeldOutTwice { id, stage: at, .. } if id == "0" && at == stage),
                    "{error}"
                );
                assert_eq!(error.kind(), Kind::Data);
            }
            // Test rows are seen by all graphs, as often as they are named.
            Ok(_) => assert!(!oof),
        }
    }
}

#[test]
fn how_many_threads_are_best_is_measured() {
    let world = World::new();
    let manifest = two_stages();
    let run = |threads, measure_threads| {
        let request = Request { threads, measure_threads, ..world.request(&manifest) };
        predict(&embedded(), &request).unwrap()
    };
    let (all, measured) = (run(4, None), run(4, Some(Duration::ZERO)));
    assert_eq!((all.report.workers, all.report.paces.len()), (4, 0));
    // One, two and four in either stage; the best of them was taken, and no bit is another.
    let paces = &measured.report.paces;
    assert_eq!(paces.iter().map(|pace| pace.workers).collect::<Vec<_>>(), [1, 2, 4, 1, 2, 4]);
    assert!(paces.iter().all(|pace| pace.rows_per_second > 0.0));
    assert!([1, 2, 4].contains(&measured.report.workers));
    assert_eq!(bits(&measured), bits(&all));
    assert_eq!(run(1, Some(Duration::ZERO)).report.paces, []);
    assert_eq!(run(4, Some(Duration::from_secs(3600))).report.paces, []);
}

#[test]
fn one_graph_under_two_names_is_told() {
    let world = World::new();
    let folder = tempfile::tempdir().unwrap();
    for fold in 0..3 {
        std::fs::copy(graphs().join("dense_seed0_fold0.onnx"), folder.path().join(format!("{fold}.onnx"))).unwrap();
    }
    let mut manifest =
        manifest(OutputKind::Value, Average::Raw, vec![stage("main", "{fold}.onnx", &[("x", table(None))])]);
    manifest.folder = folder.path().to_owned();
    let prediction = predict(&embedded(), &world.request(&manifest)).unwrap();
    let told = |note: &&String| note.contains("`0.onnx` and `1.onnx` are the same graph");
    assert_eq!(prediction.report.notes.iter().filter(told).count(), 1, "{:?}", prediction.report.notes);
}

#[test]
fn an_interrupted_run_goes_on_with_the_same_bits() {
    let world = World::new();
    let manifest = two_stages();
    let whole = predict(&embedded(), &world.request(&manifest)).unwrap();
    assert_eq!(whole.report.resumed, 0);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(".partial");
    let partial =
        |inputs: &[u8]| Some(Partial { path: path.clone(), inputs: Fingerprint::of(inputs), every: Duration::ZERO });
    // Stopped before every batch in turn: whatever is left, the rest gives the same.
    let mut furthest = 0;
    for stop in 1..200 {
        let asked = AtomicUsize::new(0);
        let cancelled = || asked.fetch_add(1, Ordering::Relaxed) >= stop;
        let request = Request { partial: partial(b"a"), cancelled: &cancelled, ..world.request(&manifest) };
        match predict(&embedded(), &request) {
            Err(error) => assert_eq!(error.kind(), Kind::Interrupted),
            // In the end nothing is left to do, or to keep.
            Ok(done) => {
                assert_eq!(bits(&done), bits(&whole));
                assert!(!path.exists());
                break;
            }
        }
        if path.exists() {
            let other = Request { partial: partial(b"b"), cancelled: &|| true, ..world.request(&manifest) };
            assert!(predict(&embedded(), &other).is_err(), "another run's results are not taken");
            let request = Request { partial: partial(b"a"), threads: 3, ..world.request(&manifest) };
            let kept = std::fs::read(&path).unwrap();
            let done = predict(&embedded(), &request).unwrap();
            assert_eq!(bits(&done), bits(&whole), "stopped at {stop}");
            assert!(done.report.resumed > 0 && !path.exists());
            furthest = furthest.max(done.report.resumed);
            std::fs::write(&path, kept).unwrap();
            std::fs::remove_file(&path).unwrap();
        }
    }
    assert_eq!(furthest, 8, "nine graphs, all but the last");
}

/// Processes that are none: each shard is served here, by a request like the run's own.
struct Near {
    world: &'static World,
    manifest: &'static Manifest,
    splits: Splits,
    partial: Option<Partial>,
    started: &'static AtomicUsize,
    /// Whether to lose a shard, given how many were asked for before.
    lose: fn(&Shard, usize) -> bool,
    asked: &'static AtomicUsize,
}

impl Clone for Near {
    fn clone(&self) -> Self {
        Self { partial: self.partial.clone(), ..*self }
    }
}

impl Executor for Near {
    fn workers(&self) -> usize {
        2
    }
    fn start(&self, _: usize) -> Result<Box<dyn Remote>, ShardError> {
        self.started.fetch_add(1, Ordering::Relaxed);
        Ok(Box::new(self.clone()))
    }
}

impl Remote for Near {
    fn run(&mut self, shard: &Shard) -> Result<Vec<u8>, ShardError> {
        let nth = self.asked.fetch_add(1, Ordering::Relaxed);
        if (self.lose)(shard, nth) {
            return Err(ShardError::Lost("killed by signal 9".to_owned()));
        }
        let mut todo = Some(shard.clone());
        let mut result = Err(ShardError::Lost("no answer".to_owned()));
        let splits = self.splits;
        let request = Request { partial: self.partial.clone(), splits, ..self.world.request(self.manifest) };
        let failed = |error: InferError| ShardError::Failed { message: error.to_string(), exit: error.kind().exit() };
        let mut answer = |answer: Result<Vec<u8>, InferError>| result = answer.map_err(failed);
        serve(&embedded(), &request, &mut || todo.take(), &mut answer).unwrap();
        result
    }
}

fn leak<T>(value: T) -> &'static T {
    Box::leak(Box::new(value))
}

#[test]
fn graphs_in_other_processes_give_the_same_bits() {
    let (world, manifest) = (leak(World::new()), leak(two_stages()));
    let here = predict(&embedded(), &world.request(manifest)).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(".partial");
    let near = |lose| Near {
        world,
        manifest,
        splits: Splits { oof: true, test: true },
        partial: Some(Partial { path: path.clone(), inputs: Fingerprint::of(b"near"), every: Duration::ZERO }),
        started: leak(AtomicUsize::new(0)),
        lose,
        asked: leak(AtomicUsize::new(0)),
    };
    let run = |near: &Near| {
        let request = Request { partial: near.partial.clone(), executor: Some(near), ..world.request(manifest) };
        predict(&embedded(), &request)
    };
    let fine = near(|_, _| false);
    assert_eq!(bits(&run(&fine).unwrap()), bits(&here));
    assert!(fine.started.load(Ordering::Relaxed) <= 4, "two at a time and stage");
    // One that dies is replaced.
    let once = near(|_, nth| nth == 3);
    assert_eq!(bits(&run(&once).unwrap()), bits(&here));
    // One that dies again ends the run; what was done is kept, and the next run goes on there.
    let graph = near(|shard, _| shard.stage == 1 && shard.graph == 1);
    let error = run(&graph).unwrap_err();
    assert!(matches!(&error, InferError::Lost { graph, .. } if graph == "second_fold1.onnx"), "{error}");
    assert_eq!(error.kind(), Kind::Temporary);
    let rest = run(&near(|_, _| false)).unwrap();
    assert_eq!((bits(&rest), rest.report.resumed), (bits(&here), 7));
}

#[test]
fn a_graph_that_fails_elsewhere_says_why() {
    let world = leak(World::new());
    let graph = stage("main", "inverse.onnx", &[("x", with_transform("prep_fold0.onnx"))]);
    let manifest = leak(manifest(OutputKind::Value, Average::Raw, vec![graph]));
    let near = Near {
        world,
        manifest,
        splits: Splits { oof: false, test: true },
        partial: None,
        started: leak(AtomicUsize::new(0)),
        lose: |_, _| false,
        asked: leak(AtomicUsize::new(0)),
    };
    let request = Request { executor: Some(&near), splits: near.splits, ..world.request(manifest) };
    let error = predict(&embedded(), &request).unwrap_err();
    assert!(matches!(error, InferError::Remote { .. }) && error.kind() == Kind::Data, "{error}");
}

#[test]
fn an_estimate_counts_and_measures() {
    let world = World::new();
    let manifest = two_stages();
    let request = Request { batch_size: Some(8), threads: 2, ..world.request(&manifest) };
    let estimate = estimate(&embedded(), &request).unwrap();
    let [first, second] = &estimate.stages[..] else { panic!("{estimate:?}") };
    assert_eq!((first.graphs, first.rows, first.batches, first.width), (6, 2 * 48 + 6 * 20, 12 + 18, 2));
    assert_eq!((second.graphs, second.rows, second.width, second.workers), (3, 48 + 3 * 20, 1, 2));
    assert!(estimate.seconds > 0.0 && estimate.bytes > 0 && first.row_seconds > 0.0 && first.load_seconds > 0.0);
}

#[test]
fn many_graphs_hold_no_more_than_few() {
    // What a run keeps of a graph is its name, its scan and its fingerprint: bytes are let go.
    let world = World::new();
    let folder = tempfile::tempdir().unwrap();
    for seed in 0..50 {
        for fold in 0..3 {
            let from = graphs().join(format!("dense_seed{}_fold{fold}.onnx", seed % 2));
            std::fs::copy(from, folder.path().join(format!("s{seed}_f{fold}.onnx"))).unwrap();
        }
    }
    let mut main = stage("main", "s{seed}_f{fold}.onnx", &[("x", table(None))]);
    main.seeds = (0..50).collect();
    let mut manifest = manifest(OutputKind::Value, Average::Raw, vec![main]);
    manifest.folder = folder.path().to_owned();
    let prediction = predict(&embedded(), &Request { threads: 2, ..world.request(&manifest) }).unwrap();
    assert_eq!(prediction.report.graphs.len(), 150);
    for id in 0..48 {
        let mean = (dense(0, id % 3, features(id))[0] + dense(1, id % 3, features(id))[0]) / 2.0;
        close(cell(prediction.oof.as_ref().unwrap(), id as usize, 0), mean);
    }
}

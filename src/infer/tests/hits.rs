//! Events through graphs: the same whatever the order, the batches and the threads.

mod common;

use blend_core::{
    OutputKind, RowIndex,
    manifest::{Average, Compatibility, EventTensor, EventsSpec, InputSpec, Manifest, PulseFiles},
    source::Column,
};
use blend_infer::{
    EngineChoice, EventTables, InferError, PulseTables, Request, Runtime, Search, Splits, estimate, predict,
};
use common::*;

fn embedded() -> Runtime {
    Runtime::open(&Search { engine: Some(EngineChoice::Rten), ..Search::default() }).unwrap()
}

fn n_pulses(event: i64) -> i64 {
    event * 31 % 47 + 1
}

fn sensor(event: i64, at: i64) -> i64 {
    (event * 977 + at * 131) % 5160
}

fn geometry() -> MemTable {
    let of = |f: fn(f64) -> f64| Column::F64((0..5160).map(|id| f(f64::from(id))).collect());
    let columns = vec![("x", of(|id| id % 60.0 * 10.0)), ("y", of(|id| -id)), ("z", of(|id| 500.0 - id % 60.0 * 17.0))];
    MemTable::new((0..5160).collect(), columns)
}

fn pulses(events: &[i64]) -> MemTable {
    let all: Vec<(i64, i64)> =
        events.iter().flat_map(|&event| (0..n_pulses(event)).map(move |at| (event, at))).collect();
    let columns = vec![
        ("event_id", Column::I64(all.iter().map(|pulse| pulse.0).collect())),
        ("sensor_id", Column::I64(all.iter().map(|&(event, at)| sensor(event, at)).collect())),
        ("time", Column::I64(all.iter().map(|(event, at)| 5000 + event * 3 + at * 11).collect())),
        ("charge", Column::F32(all.iter().map(|(event, at)| 0.25 + ((event + at) % 9) as f32).collect())),
        ("auxiliary", Column::Bool(all.iter().map(|(event, at)| (event + at) % 3 == 0).collect())),
    ];
    MemTable::new((0..all.len() as i64).collect(), columns)
}

fn model(graph: &str, max_pulses: usize) -> Manifest {
    let names = ["pos", "time", "charge", "auxiliary", "qe", "mask", "L0"];
    let input = |name: &'static str| {
        let tensor: EventTensor = name.parse().unwrap();
        (name, InputSpec::Events { events: "hits".to_owned(), tensor })
    };
    let inputs: Vec<(&str, InputSpec)> = names.map(input).to_vec();
    let mut manifest = manifest(OutputKind::Value, Average::Raw, vec![stage("main", graph, &inputs)]);
    let spec = EventsSpec {
        train: None,
        test: Some(PulseFiles { pulses: Vec::new(), meta: Vec::new() }),
        geometry: "geometry.csv".into(),
        ice: None,
        max_pulses,
        seed: 1,
        compatibility: Compatibility::None,
        token_budget: None,
    };
    manifest.events.insert("hits".to_owned(), spec);
    manifest
}

struct Run<'a> {
    manifest: &'a Manifest,
    order: Vec<i64>,
    rows: &'a RowIndex,
    batch_size: usize,
    threads: usize,
}

impl Run<'_> {
    /// Outputs row by row.
    fn values(&self) -> Result<Vec<[f64; 8]>, InferError> {
        let (geometry, pulses) = (geometry(), pulses(&self.order));
        let test = Some(PulseTables { pulses: vec![&pulses], meta: Vec::new() });
        let mut request = Request {
            splits: Splits { oof: false, test: true },
            test_rows: Some(self.rows),
            batch_size: Some(self.batch_size),
            threads: self.threads,
            ..Request::new(self.manifest)
        };
        request.events.insert("hits".to_owned(), EventTables { train: None, test, geometry: &geometry, ice: None });
        let costs = estimate(&embedded(), &request)?;
        assert_eq!(costs.stages[0].rows, self.rows.len() as u64);
        let test = predict(&embedded(), &request)?.test.unwrap();
        let row = |row: usize| std::array::from_fn(|output| test.columns.slice(0, output).get(row));
        Ok((0..self.rows.len()).map(row).collect())
    }
}

#[test]
fn events_give_the_same_in_any_company() {
    let events: Vec<i64> = (0..150).collect();
    let rows = RowIndex::from_ints(events.clone()).unwrap();
    let manifest = model("pulses.onnx", 192);
    let run = |order: &[i64], batch_size, threads, manifest: &Manifest| {
        Run { manifest, order: order.to_vec(), rows: &rows, batch_size, threads }.values().unwrap()
    };
    let one_by_one = run(&events, 1, 1, &manifest);
    for (event, values) in (0_i64..).zip(&one_by_one) {
        let n = n_pulses(event);
        let sum = |of: &dyn Fn(i64) -> f64| (0..n).map(of).sum::<f64>();
        let expected = [
            sum(&|at| (sensor(event, at) % 60) as f64 * 10.0 / 500.0),
            sum(&|at| -sensor(event, at) as f64 / 500.0),
            sum(&|at| (500.0 - (sensor(event, at) % 60) as f64 * 17.0) / 500.0),
            sum(&|at| ((5000 + event * 3 + at * 11) as f64 - 1e4) / 3e4),
            sum(&|at| (0.25 + ((event + at) % 9) as f64).log10() / 3.0),
            sum(&|at| f64::from((event + at) % 3 == 0)),
            sum(&|at| f64::from(sensor(event, at) >= 4680 && sensor(event, at) % 60 >= 10)),
            n as f64,
        ];
        for (given, expected) in values.iter().zip(expected) {
            assert!((given - expected).abs() < 2e-5 * expected.abs().max(1.0), "{event}: {given} {expected}");
        }
    }
    let shuffled: Vec<i64> = (0..150).map(|at| at * 77 % 150).collect();
    let mut wide = manifest.clone();
    wide.events.get_mut("hits").unwrap().token_budget = Some(100_000);
    let mut worst = 0.0_f64;
    for (order, batch_size, threads, manifest) in [
        (&shuffled, 1, 2, &manifest),
        (&events, 64, 1, &manifest),
        (&shuffled, 64, 3, &manifest),
        (&events, 500, 2, &wide),
    ] {
        for (a, b) in run(order, batch_size, threads, manifest).iter().zip(&one_by_one) {
            for (a, b) in a.iter().zip(b) {
                worst = worst.max((a - b).abs() / b.abs().max(1.0));
            }
        }
    }
    assert!(worst <= 1e-6, "{worst}");
}

#[test]
fn long_events_are_cut_and_fixed_lengths_are_filled() {
    let events: Vec<i64> = (0..60).collect();
    let rows = RowIndex::from_ints(events.clone()).unwrap();
    let run = |manifest: &Manifest, batch_size| {
        Run { manifest, order: events.clone(), rows: &rows, batch_size, threads: 2 }.values()
    };
    let free = run(&model("pulses.onnx", 24), 16).unwrap();
    for (event, values) in (0_i64..).zip(&free) {
        assert_eq!(values[7], n_pulses(event) as f64, "before the cut");
        // Pulses that are not auxiliary are kept first: at most what is over is auxiliary.
        let all = (0..n_pulses(event)).filter(|at| (event + at) % 3 == 0).count() as i64;
        let kept = n_pulses(event).min(24);
        assert_eq!(values[5], (kept - (n_pulses(event) - all)).max(0) as f64, "event {event}");
    }
    let fixed = run(&model("pulses_fixed.onnx", 24), 16).unwrap();
    for (a, b) in free.iter().zip(&fixed) {
        assert!(a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-5 * b.abs().max(1.0)), "{a:?} {b:?}");
    }
    let error = run(&model("pulses_fixed.onnx", 40), 16).unwrap_err();
    assert!(error.to_string().contains("`max_pulses` is above the graph's 24"), "{error}");
}

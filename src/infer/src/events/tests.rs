//! Events of a made-up detector, checked against the formulas.

use super::*;
use crate::{
    engine::{DType, Data},
    pool::Pool,
    request::PulseTables,
};
use blend_core::{
    manifest::{Compatibility, EventTensor, PulseFeature, PulseFiles},
    source::{Column, ColumnType, SourceError},
};
use std::ops::Range;

struct Memory {
    rows: RowIndex,
    header: Vec<(String, ColumnType)>,
    columns: Vec<Column>,
}

impl Memory {
    fn new(ids: Vec<i64>, columns: Vec<(&str, Column)>) -> Self {
        let header = columns.iter().map(|(name, column)| ((*name).to_owned(), column.column_type())).collect();
        let columns = columns.into_iter().map(|(_, column)| column).collect();
        Self { rows: RowIndex::from_ints(ids).unwrap(), header, columns }
    }
}

impl TableSource for Memory {
    fn n_rows(&self) -> usize {
        self.rows.len()
    }
    fn columns(&self) -> &[(String, ColumnType)] {
        &self.header
    }
    fn rows(&self) -> &RowIndex {
        &self.rows
    }
    fn read(&self, rows: Range<usize>, columns: &[usize]) -> Result<Vec<Column>, SourceError> {
        let cut = |&at: &usize| match &self.columns[at] {
            Column::F32(v) => Column::F32(v[rows.clone()].to_vec()),
            Column::F64(v) => Column::F64(v[rows.clone()].to_vec()),
            Column::I64(v) => Column::I64(v[rows.clone()].to_vec()),
            Column::Bool(v) => Column::Bool(v[rows.clone()].to_vec()),
            Column::Text(v) => Column::Text(v[rows.clone()].to_vec()),
        };
        Ok(columns.iter().map(cut).collect())
    }
    fn place(&self) -> String {
        "memory".to_owned()
    }
}

/// IceCube's number of sensors, at made-up places.
fn geometry() -> Memory {
    let of = |f: fn(f64) -> f64| Column::F64((0..5160).map(|id| f(f64::from(id))).collect());
    let columns = vec![("x", of(|id| id % 60.0 * 10.0)), ("y", of(|id| -id)), ("z", of(|id| 500.0 - id % 60.0 * 17.0))];
    Memory::new((0..5160).collect(), columns)
}

fn ice() -> Memory {
    let columns = vec![
        ("depth", Column::F64(vec![2450.0, 1450.0, 1950.0])),
        ("scattering_len", Column::F64(vec![30.0, 10.0, 20.0])),
        ("absorption_len", Column::F64(vec![100.0, 90.0, 140.0])),
    ];
    Memory::new(vec![0, 1, 2], columns)
}

fn n_pulses(event: i64) -> usize {
    (event as usize * 7) % 23 + 1
}

/// Pulses of events in the given order; numbers depend on the event and the pulse alone.
fn pulses(events: &[i64]) -> Memory {
    let all: Vec<(i64, i64)> =
        events.iter().flat_map(|&event| (0..n_pulses(event) as i64).map(move |at| (event, at))).collect();
    let of = |f: fn(i64, i64) -> f64| Column::F64(all.iter().map(|&(event, at)| f(event, at)).collect());
    let columns = vec![
        ("event_id", Column::I64(all.iter().map(|pulse| pulse.0).collect())),
        ("sensor_id", Column::I64(all.iter().map(|(event, at)| (event * 977 + at * 131) % 5160).collect())),
        ("time", of(|event, at| (5000 + event * 3 + at * 11) as f64)),
        ("charge", of(|event, at| 0.25 + ((event + at) % 9) as f64)),
        ("auxiliary", Column::Bool(all.iter().map(|(event, at)| (event + at) % 3 == 0).collect())),
    ];
    Memory::new((0..all.len() as i64).collect(), columns)
}

fn spec(max_pulses: usize, compatibility: Compatibility) -> EventsSpec {
    EventsSpec {
        train: None,
        test: Some(PulseFiles { pulses: Vec::new(), meta: Vec::new() }),
        geometry: "geometry.csv".into(),
        ice: None,
        max_pulses,
        seed: 11,
        compatibility,
        token_budget: None,
    }
}

fn open<'a>(pulses: &[&'a Memory], geometry: &'a Memory, ice: &'a Memory, spec: &'a EventsSpec) -> OpenEvents<'a> {
    let pulses = pulses.iter().map(|&it| it as &dyn TableSource).collect();
    let test = Some(PulseTables { pulses, meta: Vec::new() });
    let tables = EventTables { train: None, test, geometry, ice: Some(ice) };
    OpenEvents::open("m", "hits", Split::Test, &tables, spec, true).unwrap()
}

fn f32s(tensor: &crate::engine::Tensor) -> &[f32] {
    match &tensor.data {
        Data::F32(values) => values,
        other => panic!("{other:?}"),
    }
}

fn i64s(tensor: &crate::engine::Tensor) -> &[i64] {
    match &tensor.data {
        Data::I64(values) => values,
        other => panic!("{other:?}"),
    }
}

#[test]
fn tensors_are_those_of_the_second_place() {
    let (geometry, ice, pulses) = (geometry(), ice(), pulses(&[4, 2, 9]));
    let spec = spec(192, Compatibility::None);
    let rows = RowIndex::from_ints(vec![9, 4]).unwrap();
    let (bound, note) = open(&[&pulses], &geometry, &ice, &spec).bind("m", "hits", Split::Test, &spec, &rows).unwrap();
    assert!(note.unwrap().contains("1 of 3"));
    assert_eq!((bound.kept(0), bound.kept(1)), (n_pulses(9), n_pulses(4)));
    let batch = bound.batch(&[0, 1], &rows).unwrap();
    let length = batch.longest();
    assert_eq!(length, 18, "{} and {}", n_pulses(9), n_pulses(4));
    let pool = Pool::default();
    let get = |tensor: EventTensor| batch.tensor(&tensor, length, &pool);
    let (position, time, charge) = (get(EventTensor::Position), get(EventTensor::Time), get(EventTensor::Charge));
    assert_eq!((&position.shape[..], &time.shape[..]), (&[2, 18, 3][..], &[2, 18][..]));
    for (row, event) in [9_i64, 4].into_iter().enumerate() {
        for at in 0..length {
            let cell = row * length + at;
            let real = at < n_pulses(event);
            let pulse = at as i64;
            let sensor = (event * 977 + pulse * 131) % 5160;
            let value = |x: f64| if real { x as f32 } else { 0.0 };
            let z = 500.0 - (sensor % 60) as f64 * 17.0;
            let expected = [(sensor % 60) as f64 * 10.0, -sensor as f64, z].map(|x| value(x / 500.0));
            assert_eq!(f32s(&position)[cell * 3..cell * 3 + 3], expected);
            assert_eq!(f32s(&time)[cell], value(((5000 + event * 3 + pulse * 11) as f64 - 1e4) / 3e4));
            let log = value((0.25 + ((event + pulse) % 9) as f64).log10() / 3.0);
            assert!((f32s(&charge)[cell] - log).abs() < 1e-7);
            assert_eq!(i64s(&get(EventTensor::Sensor))[cell], if real { sensor } else { 0 });
            assert_eq!(i64s(&get(EventTensor::Auxiliary))[cell], i64::from(real && (event + pulse) % 3 == 0));
            let deep = (4690..5160).contains(&sensor) && sensor % 60 >= 10;
            assert_eq!(i64s(&get(EventTensor::QuantumEfficiency))[cell], i64::from(real && deep));
            let Data::Bool(mask) = get(EventTensor::Mask).data else { panic!("mask") };
            assert_eq!(mask[cell], real);
            // Scattering 10, 20, 30 over z = -1, 0, 1: median 20, quartiles 15 and 25.
            let scattering = value((z / 500.0).clamp(-1.0, 1.0) * 10.0 / 10.0);
            assert!((f32s(&get(EventTensor::Ice))[cell * 2] - scattering).abs() < 1e-6);
        }
    }
    assert_eq!(i64s(&get(EventTensor::Length)), [n_pulses(9) as i64, n_pulses(4) as i64]);
    assert_eq!(i64s(&get(EventTensor::Event)), [9, 4]);
    let stacked = get(EventTensor::Features(vec![PulseFeature::Time, PulseFeature::Y]));
    assert_eq!(stacked.shape, [2, 18, 2]);
    assert_eq!(f32s(&stacked)[3], f32s(&position)[3 + 1]);
    assert_eq!(f32s(&stacked)[2], f32s(&time)[1]);
}

#[test]
fn an_event_depends_on_itself_alone() {
    let (geometry, ice, spec) = (geometry(), ice(), spec(6, Compatibility::None));
    let events: Vec<i64> = (0..40).collect();
    let shuffled: Vec<i64> = (0..40).map(|at| at * 17 % 40).collect();
    let (one, other) = (pulses(&events), pulses(&shuffled));
    let (part, rest) = (pulses(&events[..13]), pulses(&events[13..]));
    let rows = RowIndex::from_ints(events).unwrap();
    let bind = |files: [Option<&'_ Memory>; 2]| -> Vec<Vec<f32>> {
        let files: Vec<&Memory> = files.into_iter().flatten().collect();
        let (bound, _) = open(&files, &geometry, &ice, &spec).bind("m", "hits", Split::Test, &spec, &rows).unwrap();
        let features = EventTensor::Features(vec![PulseFeature::X, PulseFeature::Time, PulseFeature::Charge]);
        let values = |row| {
            let alone = bound.batch(&[row], &rows).unwrap().tensor(&features, 6, &Pool::default());
            let among =
                bound.batch(&[39 - row, row, (row + 1) % 40], &rows).unwrap().tensor(&features, 6, &Pool::default());
            assert_eq!(f32s(&among)[18..36], *f32s(&alone), "event {row}");
            f32s(&alone).to_vec()
        };
        (0..40).map(values).collect()
    };
    let expected = bind([Some(&one), None]);
    assert_eq!(expected, bind([Some(&other), None]));
    assert_eq!(expected, bind([Some(&part), Some(&rest)]));
}

#[test]
fn what_is_wrong_with_pulses_is_named() {
    let (geometry, ice, plain) = (geometry(), ice(), spec(192, Compatibility::None));
    let change = |name: &str, column: Column| {
        let mut pulses = pulses(&[1, 2, 3]);
        let at = pulses.header.iter().position(|(known, _)| known == name).unwrap();
        pulses.header[at].1 = column.column_type();
        pulses.columns[at] = column;
        pulses
    };
    let n = pulses(&[1, 2, 3]).rows.len();
    let floats = |value: f64| {
        let mut values = vec![1.0; n];
        values[n - 1] = value;
        Column::F64(values)
    };
    let rows = RowIndex::from_ints(vec![3, 2]).unwrap();
    for (name, column, words) in [
        ("charge", floats(0.0), "a charge is 0, which has no logarithm"),
        ("charge", floats(f64::NAN), "a charge is NaN"),
        ("time", floats(f64::INFINITY), "a time is inf"),
        ("sensor_id", Column::I64(vec![5160; n]), "sensor 5160 is not in the geometry"),
    ] {
        let pulses = change(name, column);
        let open = open(&[&pulses], &geometry, &ice, &plain);
        let (bound, _) = open.bind("m", "hits", Split::Test, &plain, &rows).unwrap();
        let error = bound.batch(&[0, 1], &rows).map(drop).unwrap_err();
        assert!(matches!(&error, InferError::Pulse { event, .. } if event == "3"), "{error}");
        assert!(error.to_string().contains(words), "{error}");
    }
    let refused = |pulses: &Memory, meta: Option<&Memory>| {
        let meta = meta.map(|meta| meta as &dyn TableSource).into_iter().collect();
        let test = Some(PulseTables { pulses: vec![pulses], meta });
        let tables = EventTables { train: None, test, geometry: &geometry, ice: Some(&ice) };
        OpenEvents::open("m", "hits", Split::Test, &tables, &plain, true).map(drop).unwrap_err().to_string()
    };
    let mut apart = vec![1; n];
    apart[1] = 2;
    assert!(refused(&change("event_id", Column::I64(apart)), None).contains("event 1 do not lie together"));
    assert!(refused(&change("time", Column::Text(vec!["x".into(); n])), None).contains("are numbers"));
    let meta = |last: Vec<f64>| {
        let first = Column::F64(vec![0.0, n_pulses(1) as f64, (n_pulses(1) + n_pulses(2)) as f64]);
        Memory::new(vec![1, 2, 3], vec![("first_pulse_index", first), ("last_pulse_index", Column::F64(last))])
    };
    let ends = [n_pulses(1), n_pulses(1) + n_pulses(2), n].map(|end| end as f64 - 1.0);
    let wrong = meta(vec![ends[0], ends[1] + 1.0, ends[2]]);
    assert!(refused(&pulses(&[1, 2, 3]), Some(&wrong)).contains("event 2 is said to have pulses"));
    let right = meta(ends.to_vec());
    let pulses = pulses(&[1, 2, 3]);
    let test = Some(PulseTables { pulses: vec![&pulses], meta: vec![&right] });
    let tables = EventTables { train: None, test, geometry: &geometry, ice: None };
    let open = OpenEvents::open("m", "hits", Split::Test, &tables, &plain, false).unwrap();
    let wanted = RowIndex::from_ints(vec![1, 77]).unwrap();
    let error = open.bind("m", "hits", Split::Test, &plain, &wanted).map(drop).unwrap_err();
    let InferError::Alignment { source, .. } = &error else { panic!("{error}") };
    assert_eq!((source.missing, source.first_missing.as_deref()), (1, Some("77")));
}

#[test]
fn tensors_take_the_type_that_the_graph_declares() {
    let whole = || Data::I64(vec![0, 1, 1]);
    assert_eq!(cast(whole(), DType::Bool), Some(Data::Bool(vec![false, true, true])));
    assert_eq!(cast(whole(), DType::F32), Some(Data::F32(vec![0.0, 1.0, 1.0])));
    assert_eq!(cast(Data::Bool(vec![true]), DType::I32), Some(Data::I32(vec![1])));
    assert_eq!(cast(Data::I64(vec![1 << 40]), DType::I32), None);
    assert_eq!(cast(Data::I64(vec![2]), DType::Bool), None);
    assert_eq!(cast(Data::F32(vec![0.5]), DType::I64), None);
    assert_eq!(cast(Data::F32(vec![0.5]), DType::F64), Some(Data::F64(vec![0.5])));
}

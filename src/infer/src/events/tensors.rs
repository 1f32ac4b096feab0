//! Pulses to tensors: `B` events side by side, padded to `L` pulses with 0.

use super::{Pulses, sensors::Sensors};
use crate::{
    engine::{DType, Data, Tensor},
    pool::Pool,
};
use blend_core::{
    manifest::{EventTensor, PulseFeature},
    num,
};
use half::f16;
use std::ops::Range;

/// Nanoseconds that are time 0, and nanoseconds to the unit.
const TIME: (f64, f64) = (1e4, 3e4);
/// Decades of charge to the unit.
const CHARGE: f64 = 3.0;

/// The events of a batch: the pulses that are kept, event after event, each in order of time.
pub(crate) struct EventBatch<'a> {
    sensors: &'a Sensors,
    /// Where each event begins, and where the last one ends.
    starts: Vec<usize>,
    sensor: Vec<u32>,
    time: Vec<f32>,
    /// In units of the graphs once the batch is finished.
    charge: Vec<f64>,
    auxiliary: Vec<bool>,
    /// Pulses before any were left out.
    n_before: Vec<i64>,
    ids: Vec<i64>,
}

impl<'a> EventBatch<'a> {
    pub(super) fn new(sensors: &'a Sensors) -> Self {
        Self {
            sensors,
            starts: Vec::new(),
            sensor: Vec::new(),
            time: Vec::new(),
            charge: Vec::new(),
            auxiliary: Vec::new(),
            n_before: Vec::new(),
            ids: Vec::new(),
        }
    }

    /// What is pushed from here on is of another event.
    pub(super) fn begin(&mut self, id: i64, n_before: i64) {
        self.starts.push(self.sensor.len());
        self.ids.push(id);
        self.n_before.push(n_before);
    }

    /// Adds the pulses at `kept` of an event whose sensors are all known.
    pub(super) fn extend(&mut self, pulses: &Pulses, kept: impl Iterator<Item = usize> + Clone) {
        self.sensor.extend(kept.clone().map(|at| pulses.sensor[at] as u32));
        self.time.extend(kept.clone().map(|at| ((pulses.time[at] - TIME.0) / TIME.1) as f32));
        self.charge.extend(kept.clone().map(|at| pulses.charge[at]));
        self.auxiliary.extend(kept.map(|at| pulses.auxiliary[at]));
    }

    /// All events are there.
    pub(super) fn finish(&mut self) {
        self.starts.push(self.sensor.len());
        num::ln_all(&mut self.charge);
        self.charge.iter_mut().for_each(|charge| *charge = *charge / std::f64::consts::LN_10 / CHARGE);
    }

    /// Where the pulses of each event lie.
    fn events(&self) -> impl Iterator<Item = Range<usize>> {
        self.starts.windows(2).map(|pair| pair[0]..pair[1])
    }

    /// Pulses of the longest event.
    pub(crate) fn longest(&self) -> usize {
        self.events().map(|event| event.len()).max().unwrap_or(0)
    }

    /// A tensor, padded to `length` pulses, in its own type.
    pub(crate) fn tensor(&self, which: &EventTensor, length: usize, pool: &Pool) -> Tensor {
        let n = self.ids.len();
        let floats = |features: &[PulseFeature], shape: Vec<usize>| {
            let mut values = pool.take(n * length * features.len());
            values.fill(0.0);
            for (nth, &feature) in features.iter().enumerate() {
                self.feature(feature, length, features.len(), &mut values[nth..]);
            }
            Tensor { shape, data: Data::F32(values) }
        };
        let (flat, deep) = (vec![n, length], |features: &[PulseFeature]| vec![n, length, features.len()]);
        let stacked = |features: &[PulseFeature]| floats(features, deep(features));
        match which {
            EventTensor::Position => stacked(&[PulseFeature::X, PulseFeature::Y, PulseFeature::Z]),
            EventTensor::Ice => stacked(&[PulseFeature::Scattering, PulseFeature::Absorption]),
            EventTensor::Features(features) => stacked(features),
            EventTensor::Time => floats(&[PulseFeature::Time], flat),
            EventTensor::Charge => floats(&[PulseFeature::Charge], flat),
            EventTensor::Auxiliary => self.whole(length, |at| i64::from(self.auxiliary[at])),
            EventTensor::QuantumEfficiency => self.whole(length, |at| i64::from(self.sensors.get(self.sensor[at]).qe)),
            EventTensor::Sensor => self.whole(length, |at| i64::from(self.sensor[at])),
            EventTensor::Mask => {
                let mut mask = vec![false; n * length];
                for (event, row) in self.events().zip(mask.chunks_exact_mut(length.max(1))) {
                    row[..event.len()].fill(true);
                }
                Tensor { shape: flat, data: Data::Bool(mask) }
            }
            EventTensor::Length => Tensor { shape: vec![n], data: Data::I64(self.n_before.clone()) },
            EventTensor::Event => Tensor { shape: vec![n], data: Data::I64(self.ids.clone()) },
        }
    }

    fn whole(&self, length: usize, of: impl Fn(usize) -> i64) -> Tensor {
        let n = self.ids.len();
        let mut values = vec![0; n * length];
        for (event, row) in self.events().zip(values.chunks_exact_mut(length.max(1))) {
            event.zip(row).for_each(|(at, value)| *value = of(at));
        }
        Tensor { shape: vec![n, length], data: Data::I64(values) }
    }

    /// Writes one number of every pulse, `step` apart.
    fn feature(&self, feature: PulseFeature, length: usize, step: usize, out: &mut [f32]) {
        let sensor = |at: usize| self.sensors.get(self.sensor[at]);
        match feature {
            PulseFeature::X => self.each(length, step, out, |at| sensor(at).position[0]),
            PulseFeature::Y => self.each(length, step, out, |at| sensor(at).position[1]),
            PulseFeature::Z => self.each(length, step, out, |at| sensor(at).position[2]),
            PulseFeature::Time => self.each(length, step, out, |at| self.time[at]),
            PulseFeature::Charge => self.each(length, step, out, |at| self.charge[at] as f32),
            PulseFeature::Auxiliary => self.each(length, step, out, |at| f32::from(u8::from(self.auxiliary[at]))),
            PulseFeature::QuantumEfficiency => self.each(length, step, out, |at| f32::from(u8::from(sensor(at).qe))),
            PulseFeature::Scattering => self.each(length, step, out, |at| sensor(at).ice[0]),
            PulseFeature::Absorption => self.each(length, step, out, |at| sensor(at).ice[1]),
        }
    }

    fn each(&self, length: usize, step: usize, out: &mut [f32], of: impl Fn(usize) -> f32) {
        for (row, event) in self.events().enumerate() {
            let cells = out[row * length * step..].iter_mut().step_by(step);
            event.zip(cells).for_each(|(at, cell)| *cell = of(at));
        }
    }
}

/// The tensor in the type that a graph declares; `None` where that cannot hold it. Exporters differ in what they make
/// of flags and counts.
pub(crate) fn cast(data: Data, dtype: DType) -> Option<Data> {
    Some(match (data, dtype) {
        (Data::Bool(v), DType::Bool) => Data::Bool(v),
        (Data::Bool(v), dtype) => return cast(Data::I64(v.into_iter().map(i64::from).collect()), dtype),
        (Data::I64(v), DType::I64) => Data::I64(v),
        (Data::I64(v), DType::I32) => Data::I32(v.into_iter().map(|x| i32::try_from(x).ok()).collect::<Option<_>>()?),
        (Data::I64(v), DType::Bool) if v.iter().all(|x| (0..2).contains(x)) => {
            Data::Bool(v.into_iter().map(|x| x != 0).collect())
        }
        (Data::I64(v), DType::F32) => Data::F32(v.into_iter().map(|x| x as f32).collect()),
        (Data::I64(v), DType::F64) => Data::F64(v.into_iter().map(|x| x as f64).collect()),
        (Data::I64(v), DType::F16) if v.iter().all(|x| x.abs() <= 2048) => {
            Data::F16(v.into_iter().map(|x| f16::from_f32(x as f32)).collect())
        }
        (Data::I32(v), dtype) => return cast(Data::I64(v.into_iter().map(i64::from).collect()), dtype),
        (Data::F32(v), DType::F32) => Data::F32(v),
        (Data::F64(v), DType::F64) => Data::F64(v),
        (Data::F16(v), DType::F16) => Data::F16(v),
        (data @ (Data::F32(_) | Data::F64(_) | Data::F16(_)), dtype) => {
            let values = data.to_f64()?;
            match dtype {
                DType::F32 => Data::F32(values.into_iter().map(|x| x as f32).collect()),
                DType::F64 => Data::F64(values),
                DType::F16 => Data::F16(values.into_iter().map(f16::from_f64).collect()),
                _ => return None,
            }
        }
        (Data::Text(v), DType::Text) => Data::Text(v),
        _ => return None,
    })
}

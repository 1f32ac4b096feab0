//! Pulses to tensors: `B` events side by side, padded to `L` pulses with 0.

use super::{Pulses, sensors::Sensors};
use crate::engine::{DType, Data, Tensor};
use blend_core::manifest::{EventTensor, PulseFeature};
use half::f16;

/// Nanoseconds that are time 0, and nanoseconds to the unit.
const TIME: (f64, f64) = (1e4, 3e4);
/// Decades of charge to the unit.
const CHARGE: f64 = 3.0;

/// The events of a batch.
pub(crate) struct EventBatch<'a> {
    sensors: &'a Sensors,
    events: Vec<Pulses>,
    n_before: Vec<i64>,
    ids: Vec<i64>,
}

impl<'a> EventBatch<'a> {
    pub(super) fn new(sensors: &'a Sensors, events: Vec<Pulses>, n_before: Vec<i64>, ids: Vec<i64>) -> Self {
        Self { sensors, events, n_before, ids }
    }

    /// Pulses of the longest event.
    pub(crate) fn longest(&self) -> usize {
        self.events.iter().map(|event| event.sensor.len()).max().unwrap_or(0)
    }

    /// A tensor, padded to `length` pulses, in its own type.
    pub(crate) fn tensor(&self, which: &EventTensor, length: usize) -> Tensor {
        let n = self.events.len();
        let flat = vec![n, length];
        let deep = |width| vec![n, length, width];
        let feature = |feature, scratch: &mut [f32]| self.feature(feature, length, 1, scratch);
        match which {
            EventTensor::Position => {
                self.stacked(&[PulseFeature::X, PulseFeature::Y, PulseFeature::Z], length, deep(3))
            }
            EventTensor::Ice => self.stacked(&[PulseFeature::Scattering, PulseFeature::Absorption], length, deep(2)),
            EventTensor::Features(features) => self.stacked(features, length, deep(features.len())),
            EventTensor::Time | EventTensor::Charge => {
                let which = if *which == EventTensor::Time { PulseFeature::Time } else { PulseFeature::Charge };
                let mut values = vec![0.0; n * length];
                feature(which, &mut values);
                Tensor { shape: flat, data: Data::F32(values) }
            }
            EventTensor::Auxiliary => self.whole(length, |event, at| i64::from(event.auxiliary[at])),
            EventTensor::QuantumEfficiency => {
                self.whole(length, |event, at| i64::from(self.sensors.get(event.sensor[at]).qe))
            }
            EventTensor::Sensor => self.whole(length, |event, at| i64::from(event.sensor[at])),
            EventTensor::Mask => {
                let mut mask = vec![false; n * length];
                for (event, row) in self.events.iter().zip(mask.chunks_exact_mut(length.max(1))) {
                    row[..event.sensor.len()].fill(true);
                }
                Tensor { shape: flat, data: Data::Bool(mask) }
            }
            EventTensor::Length => Tensor { shape: vec![n], data: Data::I64(self.n_before.clone()) },
            EventTensor::Event => Tensor { shape: vec![n], data: Data::I64(self.ids.clone()) },
        }
    }

    fn whole(&self, length: usize, of: impl Fn(&Pulses, usize) -> i64) -> Tensor {
        let mut values = vec![0; self.events.len() * length];
        for (event, row) in self.events.iter().zip(values.chunks_exact_mut(length.max(1))) {
            row.iter_mut().enumerate().take(event.sensor.len()).for_each(|(at, value)| *value = of(event, at));
        }
        Tensor { shape: vec![self.events.len(), length], data: Data::I64(values) }
    }

    fn stacked(&self, features: &[PulseFeature], length: usize, shape: Vec<usize>) -> Tensor {
        let width = features.len();
        let mut values = vec![0.0; self.events.len() * length * width];
        for (at, &feature) in features.iter().enumerate() {
            self.feature(feature, length, width, &mut values[at..]);
        }
        Tensor { shape, data: Data::F32(values) }
    }

    /// Writes one number of every pulse, `step` apart.
    fn feature(&self, feature: PulseFeature, length: usize, step: usize, out: &mut [f32]) {
        let sensors = self.sensors;
        let of = |event: &Pulses, at: usize| {
            let sensor = || sensors.get(event.sensor[at]);
            match feature {
                PulseFeature::X => sensor().position[0],
                PulseFeature::Y => sensor().position[1],
                PulseFeature::Z => sensor().position[2],
                PulseFeature::Time => ((event.time[at] - TIME.0) / TIME.1) as f32,
                PulseFeature::Charge => {
                    (blend_core::num::ln(event.charge[at]) / std::f64::consts::LN_10 / CHARGE) as f32
                }
                PulseFeature::Auxiliary => f32::from(u8::from(event.auxiliary[at])),
                PulseFeature::QuantumEfficiency => f32::from(u8::from(sensor().qe)),
                PulseFeature::Scattering => sensor().ice[0],
                PulseFeature::Absorption => sensor().ice[1],
            }
        };
        for (row, event) in self.events.iter().enumerate() {
            for at in 0..event.sensor.len() {
                out[(row * length + at) * step] = of(event, at);
            }
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

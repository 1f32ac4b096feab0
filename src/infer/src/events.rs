//! Events: pulses of a detector to tensors.
//!
//! An event is a varying number of pulses, each with a sensor, a time, a charge and a flag. [`index`] finds where the
//! events lie, [`sensors`] knows what a sensor adds, [`choice`] decides which pulses a long event keeps, [`tensors`]
//! lays them out. An event's numbers depend on nothing but the event and the seed: not on the batch, the order of the
//! events, or the thread.

mod choice;
mod index;
mod sensors;
mod tensors;

pub(crate) use tensors::{EventBatch, cast};

use crate::{
    error::InferError,
    request::{EventTables, Split},
};
use blend_core::{RowIndex, TableSource, manifest::EventsSpec, source::Column};
use choice::Choice;
use index::{Index, Run};
use sensors::Sensors;

/// Events whose pulses were found for one split.
pub(crate) struct BoundEvents<'a> {
    model: &'a str,
    name: &'a str,
    spec: &'a EventsSpec,
    files: Vec<index::File<'a>>,
    sensors: Sensors,
    /// Where the pulses of each row of the split lie.
    runs: Vec<Run>,
}

/// The pulses of one event, those that are kept, in order of time.
#[derive(Debug, Default)]
pub(crate) struct Pulses {
    sensor: Vec<u32>,
    time: Vec<f64>,
    charge: Vec<f64>,
    auxiliary: Vec<bool>,
}

/// The pulses of one split, before it is known which events are wanted.
pub(crate) struct OpenEvents<'a> {
    index: Index<'a>,
    sensors: Sensors,
}

impl<'a> OpenEvents<'a> {
    /// Finds the events of a split and reads geometry and ice.
    pub(crate) fn open(
        model: &'a str,
        name: &'a str,
        split: Split,
        tables: &EventTables<'a>,
        spec: &EventsSpec,
        with_ice: bool,
    ) -> Result<Self, InferError> {
        let pulses = if split == Split::Oof { &tables.train } else { &tables.test };
        let pulses = pulses.as_ref().ok_or_else(|| InferError::NoTable {
            model: model.to_owned(),
            table: name.to_owned(),
            split,
        })?;
        let sensors = Sensors::read(model, tables.geometry, tables.ice.filter(|_| with_ice), spec.compatibility)?;
        Ok(Self { index: Index::build(model, pulses)?, sensors })
    }

    /// The events, in the order of the files.
    pub(crate) fn rows(&self) -> &RowIndex {
        &self.index.rows
    }

    /// Lines the events up with the rows of the split.
    pub(crate) fn bind(
        self,
        model: &'a str,
        name: &'a str,
        split: Split,
        spec: &'a EventsSpec,
        rows: &RowIndex,
    ) -> Result<(BoundEvents<'a>, Option<String>), InferError> {
        let Self { index, sensors } = self;
        let (runs, note) = index.runs_of(model, name, split, rows)?;
        Ok((BoundEvents { model, name, spec, files: index.files, sensors, runs }, note))
    }
}

impl BoundEvents<'_> {
    pub(crate) fn spec(&self) -> &EventsSpec {
        self.spec
    }

    /// Pulses of `row` that are kept.
    pub(crate) fn kept(&self, row: u32) -> usize {
        (self.runs[row as usize].n as usize).min(self.spec.max_pulses)
    }

    /// Where the pulses of `row` lie among all: reading in this order goes front to back.
    pub(crate) fn position(&self, row: u32) -> (u32, u64) {
        let run = self.runs[row as usize];
        (run.file, run.start)
    }

    /// Reads the events at `rows` of the split.
    pub(crate) fn batch<'s>(&'s self, rows: &[u32], ids: &RowIndex) -> Result<EventBatch<'s>, InferError> {
        let mut events = Vec::with_capacity(rows.len());
        for &row in rows {
            events.push(self.event(row, ids)?);
        }
        let n_before = rows.iter().map(|&row| i64::from(self.runs[row as usize].n)).collect();
        let idx = rows.iter().map(|&row| ids.as_ints().map_or(i64::from(row), |ids| ids[row as usize])).collect();
        Ok(EventBatch::new(&self.sensors, events, n_before, idx))
    }

    fn event(&self, row: u32, ids: &RowIndex) -> Result<Pulses, InferError> {
        let run = self.runs[row as usize];
        let file = &self.files[run.file as usize];
        let (start, n) = (run.start as usize, run.n as usize);
        let refuse = |reason: String| InferError::Pulse {
            model: self.model.to_owned(),
            event: ids.id(row as usize).into_owned(),
            reason,
        };
        let columns = file.source.read(start..start + n, &file.columns).map_err(|error| InferError::Read {
            model: self.model.to_owned(),
            table: self.name.to_owned(),
            reason: error.0,
        })?;
        let [Column::I64(sensor), time, charge, auxiliary] = &columns[..] else {
            return Err(InferError::Bug("pulses came in other types than they said".to_owned()));
        };
        let numbers = |column: &Column| column.to_f64().unwrap_or_default();
        let (time, charge) = (numbers(time), numbers(charge));
        let auxiliary: Vec<bool> = match auxiliary {
            Column::Bool(flags) => flags.clone(),
            other => numbers(other).into_iter().map(|flag| flag != 0.0).collect(),
        };
        if let Some(&unknown) = sensor.iter().find(|id| !self.sensors.has(**id)) {
            return Err(refuse(format!("sensor {unknown} is not in the geometry")));
        }
        if let Some(bad) = time.iter().find(|time| !time.is_finite()) {
            return Err(refuse(format!("a time is {bad}")));
        }
        // Its logarithm is what the graphs want.
        if let Some(bad) = charge.iter().find(|charge| !(charge.is_finite() && **charge > 0.0)) {
            return Err(refuse(format!("a charge is {bad}, which has no logarithm")));
        }
        let keep = Choice { seed: self.spec.seed, compatibility: self.spec.compatibility }.keep(
            &ids.id(row as usize),
            &auxiliary,
            &time,
            self.spec.max_pulses,
        );
        let mut pulses = Pulses::default();
        for at in keep {
            let at = at as usize;
            pulses.sensor.push(sensor[at] as u32);
            pulses.time.push(time[at]);
            pulses.charge.push(charge[at]);
            pulses.auxiliary.push(auxiliary[at]);
        }
        Ok(pulses)
    }
}

/// The positions of named columns; an error names the first that is missing.
fn columns(model: &str, what: &str, source: &dyn TableSource, names: &[&str]) -> Result<Vec<usize>, InferError> {
    let known = source.columns();
    let find = |name: &&str| {
        known.iter().position(|(column, _)| column == name).ok_or_else(|| InferError::NoColumn {
            model: model.to_owned(),
            table: what.to_owned(),
            place: source.place().into(),
            column: (*name).to_owned(),
            known: known.iter().map(|(column, _)| column.clone()).collect(),
        })
    };
    names.iter().map(find).collect()
}

/// All values of columns, as f64.
fn numbers(
    model: &str,
    what: &str,
    source: &dyn TableSource,
    positions: &[usize],
) -> Result<Vec<Vec<f64>>, InferError> {
    let refuse = |reason: String| InferError::Read { model: model.to_owned(), table: what.to_owned(), reason };
    let read = source.read(0..source.n_rows(), positions).map_err(|error| refuse(error.0))?;
    let mut all = Vec::with_capacity(read.len());
    for (column, &at) in read.iter().zip(positions) {
        let name = &source.columns()[at].0;
        let values = column.to_f64().filter(|values| values.iter().all(|value| value.is_finite()));
        all.push(values.ok_or_else(|| refuse(format!("{}: column `{name}` is not all numbers", source.place())))?);
    }
    Ok(all)
}

#[cfg(test)]
mod tests;

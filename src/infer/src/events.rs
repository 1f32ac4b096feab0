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
use blend_core::{RowIndex, TableSource, manifest::EventsSpec, source::ColumnView};
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

/// The pulses of one event as they are read.
#[derive(Debug, Default)]
struct Pulses {
    sensor: Vec<i64>,
    time: Vec<f64>,
    charge: Vec<f64>,
    auxiliary: Vec<bool>,
}

impl Pulses {
    fn clear(&mut self) {
        self.sensor.clear();
        self.time.clear();
        self.charge.clear();
        self.auxiliary.clear();
    }

    /// Puts a piece of the columns sensor, time, charge and auxiliary behind; `None` where one is of another type.
    fn extend(&mut self, views: &[ColumnView<'_>]) -> Option<()> {
        let &[ColumnView::I64(sensor), time, charge, auxiliary] = views else { return None };
        self.sensor.extend_from_slice(sensor);
        extend(&mut self.time, time)?;
        extend(&mut self.charge, charge)?;
        match auxiliary {
            ColumnView::Bool(flags) => self.auxiliary.extend_from_slice(flags),
            ColumnView::I64(flags) => self.auxiliary.extend(flags.iter().map(|&flag| flag != 0)),
            ColumnView::F32(flags) => self.auxiliary.extend(flags.iter().map(|&flag| flag != 0.0)),
            ColumnView::F64(flags) => self.auxiliary.extend(flags.iter().map(|&flag| flag != 0.0)),
            ColumnView::Text(_) => return None,
        }
        Some(())
    }
}

fn extend(values: &mut Vec<f64>, view: ColumnView<'_>) -> Option<()> {
    match view {
        ColumnView::F32(v) => values.extend(v.iter().map(|&x| f64::from(x))),
        ColumnView::F64(v) => values.extend_from_slice(v),
        ColumnView::I64(v) => values.extend(v.iter().map(|&x| x as f64)),
        ColumnView::Bool(v) => values.extend(v.iter().map(|&x| f64::from(u8::from(x)))),
        ColumnView::Text(_) => return None,
    }
    Some(())
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
        let mut batch = EventBatch::new(&self.sensors);
        let mut pulses = Pulses::default();
        for &row in rows {
            self.read(row, ids, &mut pulses)?;
            self.check(row, ids, &pulses)?;
            let id = ids.as_ints().map_or(i64::from(row), |ids| ids[row as usize]);
            batch.begin(id, i64::from(self.runs[row as usize].n));
            let in_order = pulses.time.is_sorted();
            if in_order && pulses.time.len() <= self.spec.max_pulses {
                batch.extend(&pulses, 0..pulses.time.len());
            } else {
                let choice = Choice { seed: self.spec.seed, compatibility: self.spec.compatibility };
                let id = ids.id(row as usize);
                let kept = choice.keep(&id, &pulses.auxiliary, &pulses.time, self.spec.max_pulses);
                batch.extend(&pulses, kept.iter().map(|&at| at as usize));
            }
        }
        batch.finish();
        Ok(batch)
    }

    fn read(&self, row: u32, ids: &RowIndex, pulses: &mut Pulses) -> Result<(), InferError> {
        let run = self.runs[row as usize];
        let file = &self.files[run.file as usize];
        let (start, n) = (run.start as usize, run.n as usize);
        pulses.clear();
        let mut fits = true;
        let read = file.source.visit(start..start + n, &file.columns, &mut |_, views| {
            fits = fits && pulses.extend(views).is_some();
        });
        read.map_err(|error| InferError::Read {
            model: self.model.to_owned(),
            table: self.name.to_owned(),
            reason: error.0,
        })?;
        let all = [pulses.sensor.len(), pulses.time.len(), pulses.charge.len(), pulses.auxiliary.len()];
        if fits && all == [n; 4] {
            return Ok(());
        }
        Err(InferError::Bug(format!("the pulses of event {} came otherwise than they were said", ids.id(row as usize))))
    }

    fn check(&self, row: u32, ids: &RowIndex, pulses: &Pulses) -> Result<(), InferError> {
        let refuse = |reason: String| InferError::Pulse {
            model: self.model.to_owned(),
            event: ids.id(row as usize).into_owned(),
            reason,
        };
        if let Some(&unknown) = pulses.sensor.iter().find(|id| !self.sensors.has(**id)) {
            return Err(refuse(format!("sensor {unknown} is not in the geometry")));
        }
        if let Some(bad) = pulses.time.iter().find(|time| !time.is_finite()) {
            return Err(refuse(format!("a time is {bad}")));
        }
        // Its logarithm is what the graphs want.
        if let Some(bad) = pulses.charge.iter().find(|charge| !(charge.is_finite() && **charge > 0.0)) {
            return Err(refuse(format!("a charge is {bad}, which has no logarithm")));
        }
        Ok(())
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

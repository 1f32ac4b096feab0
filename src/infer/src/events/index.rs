//! Where the pulses of an event lie: files of pulses, an event's pulses together, in any order of the events.

use super::columns;
use crate::{
    error::InferError,
    request::{PulseTables, Split},
};
use blend_core::{
    RowIndex, TableSource,
    rows::{AlignError, RowIndexError},
    source::{Column, ColumnType},
};

/// Pulses read at once while looking for events.
const CHUNK: usize = 1 << 20;

/// The pulses of one event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Run {
    pub(super) file: u32,
    /// First row.
    pub(super) start: u64,
    /// Rows.
    pub(super) n: u32,
}

/// A file of pulses, with the positions of `sensor_id`, `time`, `charge`, `auxiliary`.
pub(super) struct File<'a> {
    pub(super) source: &'a dyn TableSource,
    pub(super) columns: Vec<usize>,
}

/// All events of a split.
pub(super) struct Index<'a> {
    pub(super) files: Vec<File<'a>>,
    pub(super) rows: RowIndex,
    runs: Vec<Run>,
}

enum Ids {
    Int(Vec<i64>),
    Text(Vec<Box<str>>),
}

impl<'a> Index<'a> {
    /// Reads the `event_id` column of every file, and checks the meta files against it.
    pub(super) fn build(model: &str, tables: &PulseTables<'a>) -> Result<Self, InferError> {
        let refuse = |source: &dyn TableSource, reason: String| InferError::Read {
            model: model.to_owned(),
            table: "pulses".to_owned(),
            reason: format!("{}: {reason}", source.place()),
        };
        let (mut files, mut runs, mut ids) = (Vec::new(), Vec::new(), Ids::Int(Vec::new()));
        for (at, &source) in tables.pulses.iter().enumerate() {
            // Some tools make the event's id the table's index: a column like any other here.
            let found = columns(model, "pulses", source, &["sensor_id", "time", "charge", "auxiliary", "event_id"])?;
            let (event, used) = (found[4], found[..4].to_vec());
            let types: Vec<ColumnType> = used.iter().map(|&at| source.columns()[at].1).collect();
            if types[0] != ColumnType::I64 || types[1..].contains(&ColumnType::Text) {
                return Err(refuse(source, "sensor_id is whole, time, charge and auxiliary are numbers".to_owned()));
            }
            let first = runs.len();
            events_of(source, event, at as u32, &mut runs, &mut ids).map_err(|reason| refuse(source, reason))?;
            if let Some(meta) = tables.meta.get(at) {
                check_meta(model, *meta, &runs[first..], &ids, first)?;
            }
            files.push(File { source, columns: used });
        }
        let rows = match ids {
            Ids::Int(ids) => RowIndex::from_ints(ids),
            Ids::Text(ids) => RowIndex::from_texts(ids),
        };
        let rows = rows.map_err(|error| {
            let place = files.first().map_or_else(String::new, |file| file.source.place());
            let reason = match error {
                RowIndexError::Duplicate { id, .. } => {
                    format!("{place}: the pulses of event {id} do not lie together")
                }
                other => format!("{place}: {other}"),
            };
            InferError::Read { model: model.to_owned(), table: "pulses".to_owned(), reason }
        })?;
        Ok(Self { files, rows, runs })
    }

    /// Where the events `rows` lie; an error where one has no pulses.
    pub(super) fn runs_of(
        &self,
        model: &str,
        name: &str,
        split: Split,
        rows: &RowIndex,
    ) -> Result<(Vec<Run>, Option<String>), InferError> {
        if *rows == self.rows {
            return Ok((self.runs.clone(), None));
        }
        let found = rows.find_in(&self.rows);
        let missing = found.iter().filter(|position| position.is_none()).count();
        if missing > 0 {
            let first = found.iter().position(Option::is_none).map(|row| rows.id(row).into_owned());
            return Err(InferError::Alignment {
                model: model.to_owned(),
                what: format!("events `{name}`"),
                split,
                source: Box::new(AlignError {
                    wanted: rows.len(),
                    missing,
                    first_missing: first,
                    unknown: self.rows.len() + missing - rows.len(),
                    first_unknown: None,
                }),
            });
        }
        let extra = self.rows.len() - rows.len();
        let note = (extra > 0).then(|| {
            format!("events `{name}`: {extra} of {} are not among the {split} rows and are left out", self.rows.len())
        });
        Ok((found.into_iter().flatten().map(|position| self.runs[position as usize]).collect(), note))
    }
}

fn events_of(
    source: &dyn TableSource,
    event: usize,
    file: u32,
    runs: &mut Vec<Run>,
    ids: &mut Ids,
) -> Result<(), String> {
    let (first, n_rows) = (runs.len(), source.n_rows());
    for start in (0..n_rows).step_by(CHUNK) {
        let read = source.read(start..(start + CHUNK).min(n_rows), &[event]).map_err(|error| error.0)?;
        let mut add = |row: usize, is_new: bool| -> Result<bool, String> {
            // An event that began in the chunk before goes on.
            let is_new = is_new || runs.len() == first;
            if is_new {
                runs.push(Run { file, start: (start + row) as u64, n: 0 });
            }
            if let Some(run) = runs.last_mut() {
                run.n = run.n.checked_add(1).ok_or("an event has more than 4,294,967,295 pulses")?;
            }
            Ok(is_new)
        };
        match read.into_iter().next() {
            Some(Column::I64(values)) => {
                let Ids::Int(known) = ids else { return Err("event ids are numbers here and texts before".to_owned()) };
                for (row, id) in values.into_iter().enumerate() {
                    if add(row, known.last() != Some(&id))? {
                        known.push(id);
                    }
                }
            }
            Some(Column::Text(values)) => {
                if matches!(ids, Ids::Int(known) if known.is_empty()) {
                    *ids = Ids::Text(Vec::new());
                }
                let Ids::Text(known) = ids else {
                    return Err("event ids are texts here and numbers before".to_owned());
                };
                for (row, id) in values.into_iter().enumerate() {
                    if add(row, known.last().is_none_or(|known| **known != *id))? {
                        known.push(id.into());
                    }
                }
            }
            _ => return Err("event_id is neither whole numbers nor text".to_owned()),
        }
    }
    Ok(())
}

/// The meta table says where each event lies: it must be where it was found.
fn check_meta(model: &str, meta: &dyn TableSource, runs: &[Run], ids: &Ids, from: usize) -> Result<(), InferError> {
    let refuse = |reason: String| InferError::Read {
        model: model.to_owned(),
        table: "meta".to_owned(),
        reason: format!("{}: {reason}", meta.place()),
    };
    let positions = columns(model, "meta", meta, &["first_pulse_index", "last_pulse_index"])?;
    let found = super::numbers(model, "meta", meta, &positions)?;
    let wanted = match ids {
        Ids::Int(ids) => RowIndex::from_ints(ids[from..].to_vec()),
        Ids::Text(ids) => RowIndex::from_texts(ids[from..].to_vec()),
    };
    // Twice the same event is said where the index is made.
    let Ok(wanted) = wanted else { return Ok(()) };
    for (row, at) in wanted.find_in(meta.rows()).into_iter().enumerate() {
        let run = runs[row];
        let Some(at) = at else { return Err(refuse(format!("event {} is not in it", wanted.id(row)))) };
        let (first, last) = (found[0][at as usize], found[1][at as usize]);
        if first != run.start as f64 || last != (run.start + u64::from(run.n) - 1) as f64 {
            return Err(refuse(format!(
                "event {} is said to have pulses {first} to {last}, it has {} to {}",
                wanted.id(row),
                run.start,
                run.start + u64::from(run.n) - 1
            )));
        }
    }
    Ok(())
}

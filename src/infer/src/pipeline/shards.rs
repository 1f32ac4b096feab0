//! Graphs in other processes: what goes over and what comes back.
//!
//! A process answers a shard with its values as they would be added here, in f64, so that where a graph ran changes no
//! bit. One that dies is replaced once.

use super::{Setup, prepared, stage::Job};
use crate::{
    batch::Values,
    cut::{Cut, Item},
    error::InferError,
    partial,
    request::{Executor, Remote, Request, Shard, ShardError},
    runtime::Runtime,
    sums::Part,
};
use std::{ops::Range, sync::Arc};

/// Runs a shard in a worker's process, which is started where there is none; in a second one where it dies.
pub(super) fn run(
    executor: &dyn Executor,
    worker: usize,
    remote: &mut Option<Box<dyn Remote>>,
    shard: &Shard,
) -> Result<Vec<u8>, ShardError> {
    let mut first = true;
    loop {
        let mut process = match remote.take() {
            Some(process) => process,
            None => executor.start(worker)?,
        };
        match process.run(shard) {
            Err(ShardError::Lost(_)) if first => first = false,
            Err(ShardError::Lost(reason)) => return Err(ShardError::Lost(reason)),
            answer => {
                *remote = Some(process);
                return answer;
            }
        }
    }
}

pub(super) fn failure(error: ShardError, model: &str, graph: &str) -> InferError {
    let (model, graph) = (model.to_owned(), graph.to_owned());
    match error {
        ShardError::Lost(reason) => InferError::Lost { model, graph, reason },
        ShardError::Failed { message, exit } => InferError::Remote { model, graph, message, exit },
    }
}

/// For each batch the outputs per row, then the values, little-endian.
fn pack(parts: &[Part]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(parts.iter().map(|part| 8 + 8 * part.values.len()).sum());
    for part in parts {
        bytes.extend_from_slice(&(part.width as u64).to_le_bytes());
        let mut push = |value: f64| bytes.extend_from_slice(&value.to_le_bytes());
        match &part.values {
            Values::F32(values) => values.iter().for_each(|&value| push(value.into())),
            Values::F64(values) => values.iter().for_each(|&value| push(value)),
        }
    }
    bytes
}

/// The batches of a shard as they came back; `None` where the answer is not as long as they are.
pub(super) fn parts(bytes: &[u8], cut: &Cut, batches: &[(usize, Range<usize>)]) -> Option<Vec<Part>> {
    let mut rest = bytes;
    let mut parts = Vec::with_capacity(batches.len());
    for (which, range) in batches {
        let (width, more) = rest.split_first_chunk::<8>()?;
        let width = usize::try_from(u64::from_le_bytes(*width)).ok().filter(|&width| width > 0)?;
        let (values, more) = more.split_at_checked(range.len().checked_mul(width)?.checked_mul(8)?)?;
        rest = more;
        let (values, _) = values.as_chunks::<8>();
        let rows = &cut.rows[*which];
        parts.push(Part {
            split: rows.split,
            rows: Arc::clone(&rows.rows),
            range: range.clone(),
            values: Values::F64(values.iter().map(|value| f64::from_le_bytes(*value)).collect()),
            width,
        });
    }
    rest.is_empty().then_some(parts)
}

/// The other side: runs the shards that `next` names and hands each answer to `answer`, until `next` has no more.
///
/// The request is the one of the run that asks, with the same partial file: there the output of finished stages lies.
/// Errors of a shard are answers, too; what is returned is an error of the request as a whole.
pub fn serve(
    runtime: &Runtime,
    request: &Request<'_>,
    next: &mut dyn FnMut() -> Option<Shard>,
    answer: &mut dyn FnMut(Result<Vec<u8>, InferError>),
) -> Result<(), InferError> {
    prepared(runtime, request, |setup| {
        let key = setup.key();
        let mut shard = next();
        while let Some(first) = shard.take() {
            // Finished stages are there before any graph of the next one is asked for.
            let done = match (first.stage, &request.partial) {
                (0, _) | (_, None) => Vec::new(),
                (_, Some(partial)) => {
                    let read = partial::read(&partial.path, key, request.scratch);
                    let read = read.map_err(|source| InferError::Io { path: partial.path.clone(), source });
                    match read {
                        Ok(Some(state)) => state.done,
                        Ok(None) => Vec::new(),
                        Err(error) => {
                            answer(Err(error));
                            shard = next();
                            continue;
                        }
                    }
                }
            };
            shard = serve_stage(setup, &done, first, next, answer)?;
        }
        Ok(())
    })
}

/// Runs shards of one stage; gives the first of another.
fn serve_stage(
    setup: &Setup<'_>,
    done: &super::stage::Done,
    first: Shard,
    next: &mut dyn FnMut() -> Option<Shard>,
    answer: &mut dyn FnMut(Result<Vec<u8>, InferError>),
) -> Result<Option<Shard>, InferError> {
    let stage = first.stage;
    if stage >= setup.plans.len() || stage > done.len() && stage > 0 {
        return Err(InferError::Bug(format!("shard of stage {stage} before its time")));
    }
    let job = Job::new(setup, stage, done)?;
    let cuts = job.cuts();
    let mut session = None;
    let mut shard = Some(first);
    while let Some(it) = shard.take() {
        if it.stage != stage {
            return Ok(Some(it));
        }
        let known = cuts.get(it.graph).filter(|cut| it.batches.end <= cut.batches.len());
        let item = Item { graph: it.graph, batches: it.batches };
        answer(match known {
            Some(cut) => job.here(&mut session, cut, &item).map(|parts| pack(&parts)),
            None => Err(InferError::Bug("a shard that the run has not".to_owned())),
        });
        shard = next();
    }
    Ok(None)
}

//! What a run would cost, before it is run: counted, and measured on a few rows.

use super::{prepared, stage::Job};
use crate::{
    batch::StageRows,
    cut::Item,
    error::InferError,
    request::{Request, SplitRows},
    runtime::Runtime,
};
use std::time::Instant;

/// What a run would cost.
#[derive(Debug, Clone, PartialEq)]
pub struct Estimate {
    /// Stage by stage.
    pub stages: Vec<StageEstimate>,
    /// Bytes of memory that the run itself holds, about: sums, results and sessions, without the tables.
    pub bytes: u64,
    /// Seconds, all workers at work: loads and runs of what was measured, times what there is.
    pub seconds: f64,
    /// What a person should know, each once.
    pub notes: Vec<String>,
}

/// What a stage would cost.
#[derive(Debug, Clone, PartialEq)]
pub struct StageEstimate {
    /// Its name.
    pub stage: String,
    /// Its graphs.
    pub graphs: usize,
    /// Bytes of the largest graph, external data included.
    pub largest: u64,
    /// Rows over all graphs.
    pub rows: u64,
    /// Batches over all graphs.
    pub batches: u64,
    /// Outputs per row.
    pub width: usize,
    /// Graphs at a time.
    pub workers: usize,
    /// Seconds to load a graph, measured.
    pub load_seconds: f64,
    /// Seconds per row of a session, measured on the batches in the middle.
    pub row_seconds: f64,
}

/// Batches that are run to measure: the first one warms up and is not counted.
const WARM_UP: usize = 4;

/// Counts the work, runs a few batches of the first graph of every stage, and says what the whole would cost. Stages
/// that are fed by others are given zeros.
pub fn estimate(runtime: &Runtime, request: &Request<'_>) -> Result<Estimate, InferError> {
    // Measured here, whatever processes the run itself would use.
    let workers = request.executor.map_or(request.threads.max(1), |executor| executor.workers().max(1));
    let request = &Request { executor: None, ..request.clone() };
    prepared(runtime, request, |setup| {
        let mut done: Vec<[Option<StageRows>; 2]> = Vec::new();
        let mut stages = Vec::new();
        let (mut sums, mut sessions) = (0, 0);
        for (at, plan) in setup.plans.iter().enumerate() {
            let (stage, width) = {
                let job = Job::new(setup, at, &done)?;
                let cuts = job.cuts();
                let stage_workers = job.workers().min(workers);
                let graph = (0..cuts.len()).find(|&graph| !cuts[graph].batches.is_empty()).unwrap_or(0);
                let batches = cuts[graph].batches.len();
                // In the middle: sorted events are longest in front.
                let from = (batches / 2).saturating_sub(WARM_UP / 2);
                let mut held = None;
                let (mut load_seconds, mut timed, mut rows, mut width) = (0.0, 0.0, 0, 1);
                for at in from..(from + WARM_UP).min(batches) {
                    let start = Instant::now();
                    let item = Item { graph, batches: at..at + 1 };
                    let parts = job.here(&mut held, &cuts[graph], &item)?;
                    let seconds = start.elapsed().as_secs_f64();
                    width = parts.first().map_or(1, |part| part.width);
                    if at == from && batches > 1 {
                        load_seconds = seconds;
                    } else {
                        timed += seconds;
                        rows += cuts[graph].batches[at].1.len();
                    }
                }
                let largest = plan.graphs.iter().map(|graph| graph.bytes).max().unwrap_or(0);
                let stage = StageEstimate {
                    stage: plan.stage.name.clone(),
                    graphs: plan.graphs.len(),
                    largest,
                    rows: cuts.iter().flat_map(|cut| &cut.batches).map(|(_, range)| range.len() as u64).sum(),
                    batches: cuts.iter().map(|cut| cut.batches.len() as u64).sum(),
                    width,
                    workers: stage_workers,
                    load_seconds,
                    row_seconds: timed / rows.max(1) as f64,
                };
                (stage, width)
            };
            let n_rows = |split: Option<&SplitRows<'_>>| split.map_or(0, |split| split.rows.len());
            let cells = ((n_rows(setup.train) + n_rows(setup.test)) * width) as u64;
            // f64 sums while the stage runs, f32 results of every stage.
            sums = sums.max(cells * 8) + cells * 4;
            // A session holds the weights and what it made of them.
            sessions = sessions.max(stage.largest * 3 / 2 * stage.workers as u64);
            let zeros = |split: Option<&SplitRows<'_>>| {
                split.map(|split| StageRows {
                    width,
                    values: vec![0.0; split.rows.len() * width].into(),
                    predicted: vec![true; split.rows.len()],
                })
            };
            done.push([zeros(setup.train), zeros(setup.test)]);
            stages.push(stage);
        }
        let seconds = stages.iter().map(|it| {
            let loads = it.graphs as f64 * it.load_seconds;
            (loads + it.rows as f64 * it.row_seconds) / it.workers.clamp(1, it.graphs.max(1)) as f64
        });
        Ok(Estimate { seconds: seconds.sum(), bytes: sums + sessions, notes: super::once(setup.notes()), stages })
    })
}

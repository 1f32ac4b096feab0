//! How many threads a processor is given: measured, not taken for granted. Sessions share caches, memory and often cores,
//! so that more of them may do less.

use super::stage::Job;
use crate::{batch::Runner, cut::Cut, error::InferError, feed::Rows, request::Pace};
use std::{
    sync::Barrier,
    thread,
    time::{Duration, Instant},
};

/// How long a number of threads is measured, about.
const LOOK: Duration = Duration::from_millis(150);
/// What a number of threads must gain over a smaller one to be taken.
const GAIN: f64 = 1.02;

impl<'a> Job<'a> {
    /// Measures a few batches on one thread, on half of the threads there may be and on all, and keeps the best number;
    /// what was measured, or nothing where the work is too small.
    pub(crate) fn measure(&mut self, cuts: &[Cut]) -> Result<Vec<Pace>, InferError> {
        let most = self.workers();
        let graph = (0..cuts.len()).max_by_key(|&graph| cuts[graph].batches.len());
        let (Some(graph), Some(worth)) = (graph.filter(|_| most > 1), self.worth_measuring()) else {
            return Ok(Vec::new());
        };
        let cut = &cuts[graph];
        // In the middle: sorted events are longest in front.
        let middle = cut.batches.len() / 2;
        let Some((_, range)) = cut.batches.get(middle) else { return Ok(Vec::new()) };
        let one = self.pace(cut, graph, middle, 1, 1)?;
        let total: usize = cuts.iter().flat_map(|cut| &cut.batches).map(|(_, range)| range.len()).sum();
        if (total as f64 / one) < worth.as_secs_f64() {
            return Ok(Vec::new());
        }
        let runs = (LOOK.as_secs_f64() * one / range.len() as f64).ceil().clamp(2.0, 1000.0) as usize;
        let mut numbers = vec![1, most.div_ceil(2), most];
        numbers.dedup();
        let mut paces: Vec<Pace> = Vec::with_capacity(numbers.len());
        for workers in numbers {
            let rows_per_second = self.pace(cut, graph, middle, workers, runs)?;
            paces.push(Pace { workers, rows_per_second });
        }
        let best = paces.iter().fold(None, |best: Option<&Pace>, it| match best {
            Some(best) if it.rows_per_second < GAIN * best.rows_per_second => Some(best),
            _ => Some(it),
        });
        if let Some(best) = best {
            self.set_workers(best.workers);
        }
        Ok(paces)
    }

    /// Rows per second of `workers` threads, each with a session of its own, that run one batch `runs` times.
    fn pace(&self, cut: &Cut, graph: usize, batch: usize, workers: usize, runs: usize) -> Result<f64, InferError> {
        let (which, range) = &cut.batches[batch];
        let Rows { split, rows } = &cut.rows[*which];
        let rows = &rows[range.clone()];
        let (_, owner) = self.of(*split)?;
        let ready = Barrier::new(workers);
        let work = || -> Result<Duration, InferError> {
            // A thread that fails still comes to the barrier, or the others would wait for it.
            let prepared = (|| {
                let mut runner: Runner<'_> = self.load(graph)?;
                runner.run(self.inputs(cut, graph, *which, range)?, rows, &owner.rows, self.pool())?;
                Ok::<_, InferError>(runner)
            })();
            ready.wait();
            let mut runner = prepared?;
            let start = Instant::now();
            for _ in 0..runs {
                runner.run(self.inputs(cut, graph, *which, range)?, rows, &owner.rows, self.pool())?;
            }
            Ok(start.elapsed())
        };
        let slowest = thread::scope(|scope| {
            let threads: Vec<_> = (0..workers).map(|_| scope.spawn(work)).collect();
            let join = |thread: thread::ScopedJoinHandle<'_, Result<Duration, InferError>>| {
                thread.join().unwrap_or_else(|_| Err(InferError::Bug("a measurement panicked".to_owned())))
            };
            threads.into_iter().map(join).try_fold(Duration::ZERO, |most, one| one.map(|one| most.max(one)))
        })?;
        Ok((rows.len() * workers * runs) as f64 / slowest.as_secs_f64().max(1e-9))
    }
}

//! What is seen of a search while it runs: a line on a terminal, and the trace.

use crate::{
    failure::{self, Failure},
    report::{Screen, score, small},
};
use blend_core::{Direction, Loss};
use blend_record::{Trace, TraceLine};
use blend_search::drive::{Phase, Tick};
use std::{
    io::{self, Write},
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
    time::Instant,
};

/// Where a search's iterations go.
pub(crate) struct Live<'a> {
    screen: &'a Screen,
    direction: Direction,
    started: Instant,
    trace: Option<Written>,
}

/// The trace's file, and whether all of it could be written so far.
struct Written {
    path: PathBuf,
    state: Mutex<(Trace, io::Result<()>)>,
}

impl<'a> Live<'a> {
    /// Opens the trace where one is asked for.
    pub(crate) fn new(screen: &'a Screen, direction: Direction, trace: Option<&Path>) -> Result<Self, Failure> {
        let trace = match trace {
            None => None,
            Some(path) => {
                let trace = Trace::create(path).map_err(|error| failed(path, &error))?;
                Some(Written { path: path.to_owned(), state: Mutex::new((trace, Ok(()))) })
            }
        };
        Ok(Self { screen, direction, started: Instant::now(), trace })
    }

    /// One iteration.
    pub(crate) fn tick(&self, tick: &Tick) {
        let value =
            (tick.phase != Phase::Start && tick.loss.is_finite()).then(|| self.direction.score(Loss::new(tick.loss)).0);
        if let Some(written) = &self.trace {
            let mut trace = written.state.lock().unwrap_or_else(PoisonError::into_inner);
            if trace.1.is_ok() {
                trace.1 = trace.0.line(&TraceLine {
                    seconds: self.started.elapsed().as_secs_f64(),
                    phase: tick.phase.name().to_owned(),
                    solver: tick.solver.to_owned(),
                    iteration: tick.iteration,
                    calls: tick.calls,
                    score: value,
                    gap: tick.gap,
                });
            }
        }
        if self.screen.is_live() {
            let what = match tick.phase {
                Phase::Start => "first steps",
                Phase::Search => "searching",
                Phase::Honest => "nested scores",
            };
            let gap = tick.gap.map_or_else(String::new, |gap| format!("  gap {}", small(gap)));
            let value = value.map_or_else(|| "-".to_owned(), score);
            let line =
                format!("{what}: {} step {}  score {value}{gap}  pass {}", tick.solver, tick.iteration, tick.calls);
            // A live line that cannot be written is not missed.
            let _ = write!(io::stderr(), "\r\x1b[K{line}");
        }
    }

    /// Clears the line, and closes the trace.
    pub(crate) fn finish(self) -> Result<(), Failure> {
        if self.screen.is_live() {
            let _ = write!(io::stderr(), "\r\x1b[K");
        }
        let Some(Written { path, state }) = self.trace else { return Ok(()) };
        let (trace, written) = state.into_inner().unwrap_or_else(PoisonError::into_inner);
        written.and_then(|()| trace.finish()).map_err(|error| failed(&path, &error))
    }
}

fn failed(path: &Path, error: &io::Error) -> Failure {
    Failure::new(failure::MACHINE, format!("the trace cannot be written: {error}"))
        .at(path.display())
        .hint("name another file with `--trace FILE`, in a folder that is there")
}

//! How far a model is: a bar on a terminal, else a line now and then.

use crate::report::Screen;
use blend_core::ModelId;
use blend_infer::Progress;
use indicatif::{HumanDuration, ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

/// Between two lines of progress where there is no terminal.
const TELL_EVERY: Duration = Duration::from_secs(30);

/// What a person sees of a model's run.
pub(super) struct Shown<'a> {
    screen: &'a Screen,
    model: String,
    bar: ProgressBar,
    started: Instant,
    told: Mutex<Instant>,
}

impl<'a> Shown<'a> {
    pub(super) fn new(screen: &'a Screen, model: &ModelId) -> Self {
        let model = model.to_string();
        let bar = if screen.is_live() { bar(&model) } else { ProgressBar::hidden() };
        Self { screen, model, bar, started: Instant::now(), told: Mutex::new(Instant::now()) }
    }

    /// Says how far the run is, from any thread.
    pub(super) fn tell(&self, progress: Progress<'_>) {
        self.bar.set_length(progress.rows_total);
        self.bar.set_position(progress.rows_done);
        if self.screen.is_live() {
            return;
        }
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if told.elapsed() >= TELL_EVERY {
            *told = Instant::now();
            self.screen.note(line(&self.model, progress, self.started.elapsed()));
        }
    }

    pub(super) fn finish(&self) {
        self.bar.finish_and_clear();
    }
}

fn bar(model: &str) -> ProgressBar {
    let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
    let style = ProgressStyle::with_template(
        "{prefix:<20} {wide_bar} {human_pos}/{human_len} rows {per_sec} {elapsed} left {eta}",
    );
    if let Ok(style) = style {
        bar.set_style(style);
    }
    bar.with_prefix(model.to_owned())
}

/// Rows done, rows per second and the time that is left at that rate.
fn line(model: &str, progress: Progress<'_>, elapsed: Duration) -> String {
    let Progress { rows_done, rows_total, stage, graph } = progress;
    let rate = rows_done as f64 / elapsed.as_secs_f64().max(1e-9);
    let left = rows_total.saturating_sub(rows_done) as f64 / rate.max(1e-9);
    let left = HumanDuration(Duration::try_from_secs_f64(left).unwrap_or(Duration::MAX));
    format!("`{model}` {stage} {graph}: {rows_done} of {rows_total} rows, {rate:.0} rows/s, {left} left")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_rate_and_time_left() {
        let progress = Progress { stage: "main", graph: "g.onnx", rows_done: 2_000, rows_total: 10_000 };
        assert_eq!(
            line("mlp", progress, Duration::from_secs(20)),
            "`mlp` main g.onnx: 2000 of 10000 rows, 100 rows/s, 80 seconds left"
        );
        let none = Progress { rows_done: 0, ..progress };
        assert!(line("mlp", none, Duration::ZERO).contains("0 of 10000 rows"));
    }
}

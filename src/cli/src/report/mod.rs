//! What a person or a program sees: tables and notes, or one JSON object.

pub(crate) mod audit;
pub(crate) mod html;
pub(crate) mod table;
mod wrap;

use self::{table::TextTable, wrap::wrap};
use crate::{
    args::{Arguments, Color},
    failure::Failure,
};
use serde_json::{Map, Value, json};
use std::{
    io::{self, IsTerminal, Write},
    sync::{Mutex, PoisonError},
};

/// Version of the JSON that every verb prints.
const SCHEMA_VERSION: u32 = 1;

/// Where results and messages go. Results are gathered and written at the end, so that a verb that fails half way
/// prints no half result.
pub(crate) struct Screen {
    pub(crate) json: bool,
    quiet: bool,
    color: bool,
    terminal: bool,
    width: usize,
    /// Columns that sentences of results and of messages are broken at.
    wraps: [Option<usize>; 2],
    out: Mutex<String>,
}

/// Columns of a table where nothing tells how many the terminal has.
const DEFAULT_WIDTH: usize = 80;

/// Columns as `COLUMNS` says.
fn told_width() -> Option<usize> {
    std::env::var("COLUMNS").ok().and_then(|columns| columns.trim().parse().ok()).filter(|it| *it >= 40)
}

/// Columns of the terminal: what `COLUMNS` says, else what the terminal says.
fn width() -> usize {
    let terminal = || terminal_size::terminal_size().map(|(terminal_size::Width(width), _)| usize::from(width).max(40));
    told_width().or_else(terminal).unwrap_or(DEFAULT_WIDTH)
}

impl Screen {
    pub(crate) fn new(arguments: &Arguments) -> Self {
        let no_color = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let color = match arguments.color {
            Color::Always => true,
            Color::Never => false,
            Color::Auto => io::stdout().is_terminal() && !no_color && !arguments.json,
        };
        Self {
            json: arguments.json,
            quiet: arguments.quiet,
            color,
            terminal: io::stderr().is_terminal() && !arguments.quiet && !arguments.json,
            width: width(),
            // Into a pipe a sentence stays one line, which is what can be searched.
            wraps: [io::stdout().is_terminal(), io::stderr().is_terminal()]
                .map(|terminal| told_width().or_else(|| terminal.then(width))),
            out: Mutex::new(String::new()),
        }
    }

    fn gathered(&self) -> std::sync::MutexGuard<'_, String> {
        self.out.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A line of the result, for people only.
    pub(crate) fn line(&self, line: impl AsRef<str>) {
        self.command(broken(line.as_ref(), self.wraps[0]));
    }

    /// A table of the result, its header dim; on a terminal names are shortened until it fits.
    pub(crate) fn table(&self, table: TextTable) {
        let table = match self.wraps[0] {
            Some(width) => table.fit(width),
            None => table,
        };
        for (at, line) in table.lines().iter().enumerate() {
            self.line(if at == 0 { self.dim(line) } else { line.clone() });
        }
    }

    /// Columns for bars in a table with a name and half a dozen numbers.
    pub(crate) fn bar_width(&self) -> usize {
        self.width.saturating_sub(72).clamp(6, 24)
    }

    /// A line of the result that is there to be copied: whole, however wide the terminal is.
    pub(crate) fn command(&self, line: impl AsRef<str>) {
        if !self.json {
            let mut out = self.gathered();
            out.push_str(line.as_ref());
            out.push('\n');
        }
    }

    /// The result as JSON, for programs only. `schema_version` is added.
    pub(crate) fn object(&self, object: Value) {
        if !self.json {
            return;
        }
        let mut all = Map::new();
        all.insert("schema_version".to_owned(), json!(SCHEMA_VERSION));
        if let Value::Object(object) = object {
            all.extend(object);
        }
        let text = serde_json::to_string_pretty(&Value::Object(all)).unwrap_or_default();
        let mut out = self.gathered();
        out.push_str(&text);
        out.push('\n');
    }

    /// A note on standard error: progress, warnings.
    pub(crate) fn note(&self, note: impl AsRef<str>) {
        if !self.quiet {
            // A closed standard error leaves nobody to tell.
            let _ = writeln!(io::stderr(), "{}", broken(note.as_ref(), self.wraps[1]));
        }
    }

    /// Whether live lines make sense.
    pub(crate) fn is_live(&self) -> bool {
        self.terminal
    }

    /// Columns that a table may take.
    pub(crate) fn width(&self) -> usize {
        self.width
    }

    /// Bold text where color is on.
    pub(crate) fn bold(&self, text: &str) -> String {
        if self.color { format!("\x1b[1m{text}\x1b[0m") } else { text.to_owned() }
    }

    /// Dim text where color is on.
    pub(crate) fn dim(&self, text: &str) -> String {
        if self.color { format!("\x1b[2m{text}\x1b[0m") } else { text.to_owned() }
    }

    /// Red text where color is on.
    pub(crate) fn red(&self, text: &str) -> String {
        if self.color { format!("\x1b[31m{text}\x1b[0m") } else { text.to_owned() }
    }

    /// Writes the result. A reader that has gone away is success.
    pub(crate) fn flush(&self) -> Result<(), Failure> {
        let text = std::mem::take(&mut *self.gathered());
        let mut stdout = io::stdout().lock();
        match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
                Err(Failure::new(crate::failure::MACHINE, format!("cannot write the result: {error}")))
            }
            _ => Ok(()),
        }
    }

    /// An error: on standard error for people, as JSON on standard output for programs.
    pub(crate) fn failure(&self, failure: &Failure) {
        self.gathered().clear();
        if self.json {
            self.object(json!({
                "error": {
                    "exit_code": failure.exit,
                    "message": failure.message,
                    "place": failure.place,
                    "details": failure.details,
                    "hint": failure.hint,
                }
            }));
            let _ = self.flush();
        }
        let broken = |label: &str, text: &str| broken(&format!("{label}{text}"), self.wraps[1]) + "\n";
        let mut text = broken("error: ", &failure.message);
        if let Some(place) = &failure.place {
            text += &broken("  at   ", place);
        }
        if let Some(details) = &failure.details {
            text += &broken("  for  ", details);
        }
        if let Some(snippet) = &failure.snippet {
            text += &format!("{}\n", snippet.trim_end());
        }
        if let Some(hint) = &failure.hint {
            text += &broken("hint: ", hint);
        }
        let _ = io::stderr().write_all(text.as_bytes());
    }
}

/// Lines that are no longer than the terminal is wide.
fn broken(text: &str, width: Option<usize>) -> String {
    match width {
        Some(width) => text.split('\n').map(|line| wrap(line, width)).collect::<Vec<_>>().join("\n"),
        None => text.to_owned(),
    }
}

/// An error of the command line as JSON on standard output; its words are already on standard error.
pub(crate) fn usage_as_json(text: &str) {
    let message = text.lines().next().unwrap_or_default().trim_start_matches("error: ");
    let object = json!({
        "schema_version": SCHEMA_VERSION,
        "error": {
            "exit_code": crate::failure::USAGE,
            "message": message,
            "place": "command line",
            "details": null,
            "hint": "try `--help`",
        }
    });
    // A reader that has gone away is no error of ours.
    let _ = writeln!(io::stdout(), "{}", serde_json::to_string_pretty(&object).unwrap_or_default());
}

/// A number of the metric's unit, to the digits that a person compares.
pub(crate) fn score(value: f64) -> String {
    let digits = if value.abs() >= 100.0 { 4 } else { 6 };
    format!("{value:.digits$}")
}

/// A small difference or gap.
pub(crate) fn small(value: f64) -> String {
    if value == 0.0 { "0".to_owned() } else { format!("{value:.1e}") }
}

/// JSON of a number that may not be one.
pub(crate) fn number(value: f64) -> Value {
    if value.is_finite() { json!(value) } else { Value::Null }
}

/// Highest resident memory of this process in bytes, file-backed pages counted; known on Linux.
pub(crate) fn peak_rss_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok().map(|kib| kib * 1024)
}

/// Bytes as people read them.
pub(crate) fn bytes(value: u64) -> String {
    let mib = value as f64 / (1024.0 * 1024.0);
    if mib >= 1024.0 { format!("{:.1} GiB", mib / 1024.0) } else { format!("{mib:.0} MiB") }
}

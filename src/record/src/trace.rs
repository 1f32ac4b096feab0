//! A search's trace: every iteration as a line, written as it happens, for plots.

use std::{
    fs::File,
    io::{self, BufWriter, Write},
    path::Path,
};

/// One iteration.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct TraceLine {
    /// Wall-clock seconds since the search began.
    pub seconds: f64,
    /// `search`, or `honest` for the searches of nested scores.
    pub phase: String,
    /// The solver.
    pub solver: String,
    /// Its iterations so far.
    pub iteration: u64,
    /// Calls of the loss so far.
    pub calls: u64,
    /// Best score so far, in the metric's unit.
    pub score: Option<f64>,
    /// How far that can be from the optimum, where it is known.
    pub gap: Option<f64>,
}

/// Where lines go.
#[derive(Debug)]
pub struct Trace(Format);

#[derive(Debug)]
enum Format {
    Csv(Box<csv::Writer<File>>),
    Lines(BufWriter<File>),
}

impl Trace {
    /// Creates the file: CSV where its name ends so, else one JSON object per line.
    pub fn create(path: &Path) -> io::Result<Self> {
        let file = File::create(path)?;
        let is_csv = path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("csv"));
        Ok(Self(if is_csv {
            Format::Csv(Box::new(csv::Writer::from_writer(file)))
        } else {
            Format::Lines(BufWriter::new(file))
        }))
    }

    /// Writes one line.
    pub fn line(&mut self, line: &TraceLine) -> io::Result<()> {
        match &mut self.0 {
            Format::Csv(writer) => writer.serialize(line).map_err(io::Error::other),
            Format::Lines(writer) => {
                serde_json::to_writer(&mut *writer, line)?;
                writer.write_all(b"\n")
            }
        }
    }

    /// Writes what is still in memory.
    pub fn finish(mut self) -> io::Result<()> {
        match &mut self.0 {
            Format::Csv(writer) => writer.flush(),
            Format::Lines(writer) => writer.flush(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_csv_or_json() {
        let folder = tempfile::tempdir().unwrap();
        let line = TraceLine {
            seconds: 0.5,
            phase: "search".into(),
            solver: "newton".into(),
            iteration: 1,
            calls: 2,
            score: Some(0.25),
            gap: None,
        };
        for name in ["trace.csv", "trace.jsonl"] {
            let path = folder.path().join(name);
            let mut trace = Trace::create(&path).unwrap();
            trace.line(&line).unwrap();
            trace.line(&TraceLine { iteration: 2, gap: Some(1e-9), ..line.clone() }).unwrap();
            trace.finish().unwrap();
            let text = std::fs::read_to_string(&path).unwrap();
            if name.ends_with("csv") {
                assert_eq!(
                    text.lines().take(2).collect::<Vec<_>>(),
                    ["seconds,phase,solver,iteration,calls,score,gap", "0.5,search,newton,1,2,0.25,"]
                );
                assert_eq!(text.lines().count(), 3);
            } else {
                let second: serde_json::Value = serde_json::from_str(text.lines().nth(1).unwrap()).unwrap();
                assert_eq!((&second["iteration"], &second["gap"]), (&2.into(), &1e-9.into()));
            }
        }
    }
}

//! `submissions/<competition>/ledger.jsonl`: what was made, scored and corrected, a line each, never rewritten.
//!
//! Lines are appended under a lock on the file. What a crash left of a last line stays where it is and is passed over;
//! a line that is whole and wrong is damage, and is refused by its number. A correction is a new line.

mod line;
mod standing;

pub use standing::{Given, PublicState, Standing};

use crate::error::{Fault, Kind};
use blend_core::{BlendName, Fingerprint, ModelId};
use line::Parsed;
use std::{
    fs::{self, File, TryLockError},
    io::{self, Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

/// A ledger as it stands.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Ledger {
    /// Its lines in order.
    pub lines: Vec<Line>,
    /// Lines that a crash cut off.
    pub torn: usize,
}

/// A line.
#[derive(Debug, Clone, PartialEq)]
pub struct Line {
    /// Its number in the file, counted from 1.
    pub number: usize,
    /// When it was written, in UTC, as `2026-11-22T09:08:07Z`.
    pub time: String,
    /// What happened.
    pub event: Event,
}

/// What a line says.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// A submission was made.
    Made(Made),
    /// A leaderboard gave a score.
    Scored(Scored),
    /// Scores given before were wrong: these hold.
    Corrected(Scored),
}

/// A submission that was made.
#[derive(Debug, Clone, PartialEq)]
pub struct Made {
    /// The recipe's name, and the file's.
    pub name: BlendName,
    /// The csv file's bytes.
    pub csv: Fingerprint,
    /// The values in it, see [`Scored::content`].
    pub content: Fingerprint,
    /// The recipe as it was, so that the file can be made again when another has taken its place.
    pub recipe: String,
    /// Its score on out-of-fold rows, in the metric's unit.
    pub cv: Option<f64>,
    /// Its predicted public score.
    pub predicted: Option<Predicted>,
}

/// A public score as it was predicted, in the metric's unit.
#[derive(Debug, Clone, PartialEq)]
pub struct Predicted {
    /// The score.
    pub score: f64,
    /// Its standard error.
    pub standard_error: f64,
    /// How it was predicted.
    pub method: String,
}

/// Scores of some predictions, in the metric's unit.
#[derive(Debug, Clone, PartialEq)]
pub struct Scored {
    /// What was scored, as it was called.
    pub what: What,
    /// Fingerprint of the values that were scored: two files with the same values are one thing with two names.
    pub content: Fingerprint,
    /// The public score.
    pub public: Option<f64>,
    /// Decimals that the public score was rounded to, where they are not the competition's.
    pub decimals: Option<u32>,
    /// The private score, once it is known. No search ever sees it.
    pub private: Option<f64>,
    /// Kaggle's number of the submission.
    pub reference: Option<String>,
}

/// What a score belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum What {
    /// A model's test outputs, submitted as they are.
    Model(ModelId),
    /// A submission of this workspace.
    Submission(BlendName),
    /// A file of someone else's, relative to the workspace where it lies in it.
    File(PathBuf),
}

impl std::fmt::Display for What {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Model(model) => model.fmt(f),
            Self::Submission(name) => name.fmt(f),
            Self::File(path) => path.display().fmt(f),
        }
    }
}

/// Why a ledger cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// Another program is writing to it.
    #[error("the ledger is locked by another program")]
    Locked {
        /// The ledger.
        path: PathBuf,
    },
    /// A whole line that is none of ours.
    #[error("line {line} of the ledger is damaged: {message}")]
    Damaged {
        /// The ledger.
        path: PathBuf,
        /// Counted from 1.
        line: usize,
        /// What is wrong with it.
        message: String,
    },
    /// The file system refused.
    #[error("cannot {action} the ledger: {source}")]
    Io {
        /// What was tried.
        action: &'static str,
        /// The ledger.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
}

impl Fault for LedgerError {
    fn kind(&self) -> Kind {
        match self {
            Self::Locked { .. } => Kind::Temporary,
            Self::Damaged { .. } => Kind::Data,
            Self::Io { .. } => Kind::Machine,
        }
    }

    fn place(&self) -> Option<String> {
        Some(match self {
            Self::Damaged { path, line, .. } => format!("{}:{line}", path.display()),
            Self::Locked { path } | Self::Io { path, .. } => path.display().to_string(),
        })
    }

    fn hint(&self) -> Option<String> {
        Some(
            match self {
                Self::Locked { .. } => "run the command again when the other one is done; nothing was written",
                Self::Damaged { .. } => "bring the line back from a copy of the ledger, or take it out by hand",
                Self::Io { .. } => "give this user the right to read and write there",
            }
            .to_owned(),
        )
    }
}

/// How long a lock is waited for.
const PATIENCE: Duration = Duration::from_secs(2);

impl Ledger {
    /// Reads the ledger at `path`; one that is not there is empty.
    pub fn read(path: &Path) -> Result<Self, LedgerError> {
        match fs::read(path) {
            Ok(bytes) => Self::parse(path, &bytes),
            Err(source) if source.kind() == io::ErrorKind::NotFound => Ok(Self::default()),
            Err(source) => Err(LedgerError::Io { action: "read", path: path.to_owned(), source }),
        }
    }

    fn parse(path: &Path, bytes: &[u8]) -> Result<Self, LedgerError> {
        let mut ledger = Self::default();
        for (number, text) in bytes.split(|byte| *byte == b'\n').enumerate() {
            let number = number + 1;
            match line::parse(text) {
                Parsed::Nothing => {}
                Parsed::Torn => ledger.torn += 1,
                Parsed::Line(time, event) => ledger.lines.push(Line { number, time, event }),
                Parsed::Damaged(message) => {
                    return Err(LedgerError::Damaged { path: path.to_owned(), line: number, message });
                }
            }
        }
        Ok(ledger)
    }

    /// Appends `events`, all of them or, where the file system fails, at worst a torn last line; what stands in the
    /// file stays. Waits a moment for a lock that another program holds.
    pub fn append(path: &Path, events: &[Event], now: SystemTime) -> Result<(), LedgerError> {
        let io = |action| move |source| LedgerError::Io { action, path: path.to_owned(), source };
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).map_err(io("make the folder of"))?;
        }
        let mut file = File::options().create(true).read(true).append(true).open(path).map_err(io("open"))?;
        lock(&file, path)?;
        let mut bytes = Vec::new();
        if ends_torn(&mut file).map_err(io("read"))? {
            bytes.push(b'\n');
        }
        let time = timestamp(now);
        for event in events {
            bytes.extend(line::write(&time, event).as_bytes());
            bytes.push(b'\n');
        }
        file.write_all(&bytes).and_then(|()| file.sync_all()).map_err(io("write to"))
        // The lock ends with the file's handle.
    }

    /// The latest submission made under each id or name that `wanted` accepts.
    pub fn made(&self, wanted: impl Fn(&Made) -> bool) -> Option<&Made> {
        self.lines.iter().rev().find_map(|line| match &line.event {
            Event::Made(made) if wanted(made) => Some(made),
            _ => None,
        })
    }
}

fn lock(file: &File, path: &Path) -> Result<(), LedgerError> {
    let started = Instant::now();
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(()),
            Err(TryLockError::WouldBlock) if started.elapsed() < PATIENCE => thread::sleep(Duration::from_millis(20)),
            Err(TryLockError::WouldBlock) => return Err(LedgerError::Locked { path: path.to_owned() }),
            Err(TryLockError::Error(source)) => {
                return Err(LedgerError::Io { action: "lock", path: path.to_owned(), source });
            }
        }
    }
}

/// Whether the last line has no end.
fn ends_torn(file: &mut File) -> io::Result<bool> {
    if file.seek(SeekFrom::End(0))? == 0 {
        return Ok(false);
    }
    file.seek(SeekFrom::End(-1))?;
    let mut last = [0];
    file.read_exact(&mut last)?;
    Ok(last[0] != b'\n')
}

/// `2026-11-22T09:08:07Z`.
fn timestamp(now: SystemTime) -> String {
    let seconds = now.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let (days, rest) = (seconds / 86_400, seconds % 86_400);
    // Days to a civil date (Howard Hinnant, chrono-compatible low-level date algorithms): years begin in March, so
    // that the leap day is a year's last.
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * march_month + 2) / 5 + 1;
    let month = if march_month < 10 { march_month + 3 } else { march_month - 9 };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}Z", rest / 3600, rest / 60 % 60, rest % 60)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn scored(public: f64) -> Event {
        Event::Scored(Scored {
            what: What::Model(ModelId::new("a").unwrap()),
            content: Fingerprint::of(b"a"),
            public: Some(public),
            decimals: None,
            private: None,
            reference: None,
        })
    }

    fn made() -> Event {
        Event::Made(Made {
            name: BlendName::new("best_cv").unwrap(),
            csv: Fingerprint::of(b"csv"),
            content: Fingerprint::of(b"values"),
            recipe: "blend: best_cv\nmembers:\n  \"a\": 1.0\n".into(),
            cv: Some(0.25),
            predicted: Some(Predicted { score: 0.26, standard_error: 1e-6, method: "exact".into() }),
        })
    }

    #[test]
    fn times_are_civil() {
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_399, "2000-02-28T23:59:59Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (1_795_338_487, "2026-11-22T09:08:07Z"),
        ] {
            assert_eq!(timestamp(UNIX_EPOCH + Duration::from_secs(seconds)), text);
        }
    }

    #[test]
    fn lines_come_back_in_order() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("submissions/c/ledger.jsonl");
        assert_eq!(Ledger::read(&path).unwrap(), Ledger::default());
        let events = [made(), scored(0.261), scored(0.1 + 0.2)];
        Ledger::append(&path, &events[..1], UNIX_EPOCH).unwrap();
        Ledger::append(&path, &events[1..], UNIX_EPOCH).unwrap();
        let ledger = Ledger::read(&path).unwrap();
        assert_eq!(ledger.lines.iter().map(|line| line.event.clone()).collect::<Vec<_>>(), events);
        assert_eq!(ledger.lines.iter().map(|line| line.number).collect::<Vec<_>>(), [1, 2, 3]);
        assert!(ledger.made(|made| made.name.as_str() == "best_cv").is_some());
    }

    #[test]
    fn whole_lines_that_are_wrong_are_named() {
        let wrong = |text: &str| match Ledger::parse(Path::new("l"), text.as_bytes()) {
            Err(LedgerError::Damaged { line, message, .. }) => (line, message),
            other => panic!("{text}: {other:?}"),
        };
        let good = line::write("t", &scored(1.0));
        assert_eq!(wrong(&format!("{good}\n{{\"event\":\"dreamt\",\"time\":\"t\"}}\n")).0, 2);
        assert_eq!(wrong("{\"event\":\"scored\",\"time\":\"t\"}\n").0, 1);
        assert_eq!(wrong("public 0.3\n").0, 1);
        assert!(wrong(&good.replace("blake3:", "md5:")).1.contains("fingerprint"));
        assert!(wrong(&good.replace("\"a\"", "\"../a\"")).1.contains("not a name"));
    }

    #[test]
    fn a_held_lock_is_waited_for_and_then_said() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ledger.jsonl");
        Ledger::append(&path, &[scored(1.0)], UNIX_EPOCH).unwrap();
        let holder = File::open(&path).unwrap();
        holder.lock().unwrap();
        let before = fs::read(&path).unwrap();
        let error = Ledger::append(&path, &[scored(2.0)], UNIX_EPOCH).unwrap_err();
        assert_eq!((error.kind().exit_code(), fs::read(&path).unwrap()), (75, before));
        drop(holder);
        Ledger::append(&path, &[scored(2.0)], UNIX_EPOCH).unwrap();
        assert_eq!(Ledger::read(&path).unwrap().lines.len(), 2);
    }

    #[test]
    fn writers_side_by_side_lose_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ledger.jsonl");
        thread::scope(|scope| {
            for writer in 0..4 {
                let path = &path;
                scope.spawn(move || {
                    (0..25).for_each(|i| {
                        Ledger::append(path, &[scored(f64::from(writer * 100 + i))], UNIX_EPOCH).unwrap();
                    });
                });
            }
        });
        let ledger = Ledger::read(&path).unwrap();
        assert_eq!((ledger.lines.len(), ledger.torn), (100, 0));
    }

    proptest! {
        #[test]
        fn a_torn_last_line_costs_that_line_only(cut in 0usize..400) {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("ledger.jsonl");
            Ledger::append(&path, &[scored(1.0), made()], UNIX_EPOCH).unwrap();
            let whole = fs::read(&path).unwrap();
            let first = whole.iter().position(|byte| *byte == b'\n').unwrap() + 1;
            let cut = (first + cut).min(whole.len());
            fs::write(&path, &whole[..cut]).unwrap();
            let kept = Ledger::read(&path).unwrap();
            prop_assert!(kept.lines.len() + kept.torn <= 2 && !kept.lines.is_empty());
            Ledger::append(&path, &[scored(3.0)], UNIX_EPOCH).unwrap();
            let after = Ledger::read(&path).unwrap();
            prop_assert_eq!(after.lines.len(), kept.lines.len() + 1);
            prop_assert!(fs::read(&path).unwrap().starts_with(&whole[..cut]), "nothing is rewritten");
        }
    }
}

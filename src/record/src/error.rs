//! What can be wrong with a document, and what the door needs to say about it.

use crate::publish::PublishError;
use std::{fmt, io, path::PathBuf};

/// Whose move it is: the exit code follows from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// What was typed or written in YAML is wrong.
    Usage,
    /// The data is wrong.
    Data,
    /// The machine refused: a named file is absent, no permission, no space.
    Machine,
    /// Not now: someone else holds a lock.
    Temporary,
}

impl Kind {
    /// The exit code of the program: 2, 3, 4 or 75.
    #[must_use]
    pub fn exit_code(self) -> u8 {
        match self {
            Self::Usage => 2,
            Self::Data => 3,
            Self::Machine => 4,
            Self::Temporary => 75,
        }
    }
}

/// An error that knows its kind, its place and a next step. `Display` is the cause alone, in lower case.
pub trait Fault: std::error::Error {
    /// Usage, data or machine.
    fn kind(&self) -> Kind;

    /// `FILE:LINE:COLUMN` or a file.
    fn place(&self) -> Option<String> {
        None
    }

    /// The faulty line with a caret below it, several lines without a final newline.
    fn snippet(&self) -> Option<String> {
        None
    }

    /// What to do, or the accepted form.
    fn hint(&self) -> Option<String> {
        None
    }
}

/// A fault in a YAML file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct YamlFault {
    /// The file.
    pub file: PathBuf,
    /// Line, counted from 1; 0 where the whole file is meant.
    pub line: usize,
    /// Column in characters, counted from 1; 0 where the whole file is meant.
    pub column: usize,
    /// What is wrong, with the nearest known word where one is near.
    pub message: String,
    /// The line with a caret; empty where the whole file is meant.
    pub snippet: String,
    /// How it is written.
    pub form: String,
}

impl fmt::Display for YamlFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for YamlFault {}

/// Why a document could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum DocumentError {
    /// What it says is wrong.
    #[error(transparent)]
    Yaml(Box<YamlFault>),
    /// A file is not there.
    #[error("file is not there")]
    Absent {
        /// The file.
        path: PathBuf,
        /// Where it is named, as "`truth` of competition.yaml".
        named_by: Option<String>,
    },
    /// The file system refused.
    #[error("cannot read the file: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file system refused to take it.
    #[error(transparent)]
    Publish(#[from] PublishError),
}

impl DocumentError {
    /// The error of reading `path`.
    pub(crate) fn reading(path: impl Into<PathBuf>, source: io::Error) -> Self {
        let path = path.into();
        if source.kind() == io::ErrorKind::NotFound {
            Self::Absent { path, named_by: None }
        } else {
            Self::Read { path, source }
        }
    }

    /// Says where an absent file was named.
    #[must_use]
    pub fn named_by(self, place: impl Into<String>) -> Self {
        match self {
            Self::Absent { path, .. } => Self::Absent { path, named_by: Some(place.into()) },
            other => other,
        }
    }
}

impl Fault for DocumentError {
    fn kind(&self) -> Kind {
        match self {
            Self::Yaml(_) => Kind::Usage,
            Self::Absent { .. } | Self::Read { .. } | Self::Publish(_) => Kind::Machine,
        }
    }

    fn place(&self) -> Option<String> {
        Some(match self {
            Self::Yaml(fault) if fault.line == 0 => fault.file.display().to_string(),
            Self::Yaml(fault) => format!("{}:{}:{}", fault.file.display(), fault.line, fault.column),
            Self::Absent { path, .. } | Self::Read { path, .. } => path.display().to_string(),
            Self::Publish(error) => return error.place(),
        })
    }

    fn snippet(&self) -> Option<String> {
        match self {
            Self::Yaml(fault) if !fault.snippet.is_empty() => Some(fault.snippet.clone()),
            _ => None,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Yaml(fault) => Some(fault.form.clone()),
            Self::Absent { named_by: Some(place), .. } => Some(format!("it is named by {place}")),
            Self::Publish(error) => error.hint(),
            Self::Absent { named_by: None, .. } => Some("check its name and its folder".into()),
            Self::Read { .. } => Some("check that it is a file that this user may read".into()),
        }
    }
}

/// The one of `known` that `name` was most likely meant to be, where one is near enough to be worth saying.
pub fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let name = name.to_lowercase();
    let closeness = |other: &str| strsim::normalized_damerau_levenshtein(&name, &other.to_lowercase());
    known
        .into_iter()
        .map(|other| (closeness(other), other))
        .filter(|(closeness, _)| *closeness >= 0.5)
        // The first of equals, so that the answer does not depend on anything but the order of `known`.
        .fold(None, |best: Option<(f64, &str)>, it| best.filter(|best| best.0 >= it.0).or(Some(it)))
        .map(|(_, other)| other)
}

/// `, did you mean ...?` or nothing.
pub(crate) fn did_you_mean<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    nearest(name, known).map_or_else(String::new, |near| format!(", did you mean `{near}`?"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_is_near() {
        let known = ["linear", "logit", "log"];
        assert_eq!(nearest("lgoit", known), Some("logit"));
        assert_eq!(nearest("LOG", known), Some("log"));
        assert_eq!(nearest("quaternion", known), None);
        assert_eq!(did_you_mean("liner", known), ", did you mean `linear`?");
        assert_eq!(did_you_mean("zzz", known), "");
    }

    #[test]
    fn kinds_are_exit_codes() {
        let kinds = [Kind::Usage, Kind::Data, Kind::Machine, Kind::Temporary];
        assert_eq!(kinds.map(Kind::exit_code), [2, 3, 4, 75]);
    }
}

//! The only place that speaks to the YAML library: reading with a place for every fault, and what several documents
//! have in common.

pub(crate) mod parts;
pub(crate) mod write;

use crate::{
    error::{DocumentError, YamlFault, did_you_mean},
    workspace::{PathError, Workspace},
};
use blend_core::{Fingerprint, id::NameError};
use serde::de::DeserializeOwned;
use serde_yaml::{Error as Cause, Location, MessageFormatter, UserMessageFormatter};
use std::{fs, path::Path, path::PathBuf, str::FromStr};

/// A value and where it stands.
pub(crate) type At<T> = serde_yaml::Spanned<T>;

/// How each top-level key of a document is written: `(key, accepted form)`.
pub(crate) struct Form(pub(crate) &'static [(&'static str, &'static str)]);

/// Reads the text of `file`.
pub(crate) fn text_of(file: &Path) -> Result<String, DocumentError> {
    let bytes = fs::read(file).map_err(|source| DocumentError::reading(file, source))?;
    String::from_utf8(bytes).map_err(|error| {
        let good = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        let line = good.iter().filter(|byte| **byte == b'\n').count() + 1;
        let start = good.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        let column = String::from_utf8_lossy(&good[start..]).chars().count() + 1;
        DocumentError::Yaml(Box::new(YamlFault {
            file: file.to_owned(),
            line,
            column,
            message: "the file is not UTF-8".into(),
            snippet: String::new(),
            form: "save it as UTF-8".into(),
        }))
    })
}

/// A document on its way from text to checked type.
pub(crate) struct Doc<'a> {
    pub(crate) workspace: &'a Workspace,
    pub(crate) file: &'a Path,
    pub(crate) text: &'a str,
    pub(crate) form: &'static Form,
}

impl Doc<'_> {
    /// The mirror struct. Unknown and repeated keys are faults.
    pub(crate) fn parse<T: DeserializeOwned>(&self) -> Result<T, DocumentError> {
        let options = serde_yaml::options! { strict_booleans: true };
        serde_yaml::from_str_with_options(self.text, options).map_err(|error| self.translate(&error))
    }

    fn translate(&self, error: &Cause) -> DocumentError {
        let at = error.location().unwrap_or(Location::UNKNOWN);
        let keys = |known: &[&str]| format!("the keys here are: {}", known.join(", "));
        match error.without_snippet() {
            Cause::SerdeUnknownField { field, expected, .. } => {
                let near = did_you_mean(field, expected.iter().copied());
                self.fault_as(at, format!("unknown key `{field}`{near}"), keys(expected))
            }
            Cause::SerdeUnknownVariant { variant, expected, .. } => {
                let near = did_you_mean(variant, expected.iter().copied());
                let known = format!("there are: {}", expected.join(", "));
                self.fault_as(at, format!("unknown step or choice `{variant}`{near}"), known)
            }
            // The library means the document by its last key; the first one says it better.
            Cause::SerdeMissingField { field, .. } if at.column() <= 1 => {
                let first = self.text.lines().position(|line| line.starts_with(|c: char| c.is_ascii_alphabetic()));
                self.missing(first.map_or(1, |line| line + 1), 1, field)
            }
            Cause::SerdeMissingField { field, .. } => self.missing(at.line() as usize, at.column() as usize, field),
            Cause::DuplicateMappingKey { key, .. } => {
                self.fault(at, format!("key `{}` stands twice", key.as_deref().unwrap_or("?")))
            }
            Cause::SerdeInvalidType { unexpected, expected, .. }
            | Cause::SerdeInvalidValue { unexpected, expected, .. } => {
                self.fault(at, format!("expected {expected}, found {unexpected}"))
            }
            other => self.fault(at, plain_words(other)),
        }
    }

    /// A key that must be there and is not.
    pub(crate) fn missing(&self, line: usize, column: usize, key: &str) -> DocumentError {
        let known = self.form.0.iter().any(|(known, _)| *known == key);
        let form = if known { self.form_of(key) } else { self.accepted(line) };
        self.fault_in(line, column, format!("key `{key}` is missing"), form)
    }

    /// A fault at `at`, with the accepted form of the top-level key that it stands under.
    pub(crate) fn fault(&self, at: Location, message: impl Into<String>) -> DocumentError {
        self.fault_as(at, message, self.accepted(at.line() as usize))
    }

    /// A fault at `at` with its own accepted form.
    pub(crate) fn fault_as(&self, at: Location, message: impl Into<String>, form: impl Into<String>) -> DocumentError {
        self.fault_in(at.line() as usize, at.column() as usize, message, form)
    }

    /// A fault at a line and column, both counted from 1.
    pub(crate) fn fault_in(
        &self,
        line: usize,
        column: usize,
        message: impl Into<String>,
        form: impl Into<String>,
    ) -> DocumentError {
        let snippet = self.text.lines().nth(line.wrapping_sub(1)).map(|text| snippet(text, line, column));
        DocumentError::Yaml(Box::new(YamlFault {
            file: self.file.to_owned(),
            line,
            column,
            message: message.into(),
            snippet: snippet.unwrap_or_default(),
            form: form.into(),
        }))
    }

    fn accepted(&self, line: usize) -> String {
        let lines = self.text.lines().take(line);
        let key = lines
            .filter(|line| line.starts_with(|c: char| c.is_ascii_alphabetic()))
            .filter_map(|line| line.split_once(':').map(|(key, _)| key.trim_end()))
            .last();
        self.form_of(key.unwrap_or_default())
    }

    /// How a top-level key is written; all of them where it is none.
    pub(crate) fn form_of(&self, key: &str) -> String {
        match self.form.0.iter().find(|(known, _)| *known == key) {
            Some((key, form)) => format!("`{key}` is written {form}"),
            None => {
                let keys: Vec<&str> = self.form.0.iter().map(|(key, _)| *key).collect();
                format!("the keys here are: {}", keys.join(", "))
            }
        }
    }

    /// A name of a competition, model or blend.
    pub(crate) fn name<T: FromStr<Err = NameError>>(&self, text: &At<String>) -> Result<T, DocumentError> {
        text.value.parse().map_err(|error: NameError| {
            self.fault_as(
                text.referenced,
                error.to_string(),
                "a name has letters, digits, `.`, `_`, `-`, and starts with a letter or digit",
            )
        })
    }

    /// A name that must be the one that the place of the file says.
    pub(crate) fn name_of_place<T>(&self, key: &str, text: &At<String>, place: &T) -> Result<(), DocumentError>
    where
        T: FromStr<Err = NameError> + PartialEq + ToString,
    {
        if self.name::<T>(text)? == *place {
            return Ok(());
        }
        let place = place.to_string();
        Err(self.fault_as(
            text.referenced,
            format!("`{key}: {}` stands where `{place}` is expected", text.value),
            format!("write `{key}: {place}`, or move the file to where its name says"),
        ))
    }

    /// One of several named things.
    pub(crate) fn choice<T: Copy>(
        &self,
        what: &str,
        text: &At<String>,
        known: &[(&str, T)],
    ) -> Result<T, DocumentError> {
        known.iter().find(|(name, _)| *name == text.value).map(|(_, it)| *it).ok_or_else(|| {
            let names: Vec<&str> = known.iter().map(|(name, _)| *name).collect();
            let near = did_you_mean(&text.value, names.iter().copied());
            self.fault_as(
                text.referenced,
                format!("unknown {what} `{}`{near}", text.value),
                if names.is_empty() { "there is none".into() } else { format!("there are: {}", names.join(", ")) },
            )
        })
    }

    /// A file, relative to this one.
    pub(crate) fn path(&self, text: &At<String>) -> Result<PathBuf, DocumentError> {
        self.workspace.resolve(self.file, &text.value).map_err(|error| {
            let form = match error {
                PathError::Empty => self.accepted(text.referenced.line() as usize),
                _ => "paths are relative to the YAML file; `--allow-outside` lets them leave the workspace".into(),
            };
            self.fault_as(text.referenced, error.to_string(), form)
        })
    }

    /// A fingerprint.
    pub(crate) fn fingerprint(&self, text: &At<String>) -> Result<Fingerprint, DocumentError> {
        text.value.parse().map_err(|error: blend_core::fingerprint::FingerprintError| {
            let form = "fingerprints are written by the program; leave the key out in what is written by hand";
            self.fault_as(text.referenced, error.to_string(), form)
        })
    }
}

/// What the library calls by the names of its own types, in words of a YAML file.
fn plain_words(error: &Cause) -> String {
    let message = UserMessageFormatter.format_message(error);
    // Several lines would not fit behind `error: `.
    let message = message.lines().next().unwrap_or_default();
    let words = match error {
        Cause::Unexpected { expected: "mapping start", .. } => "expected a map",
        Cause::Unexpected { expected: "sequence start", .. } => "expected a list",
        Cause::Unexpected { expected: "string scalar", .. } => "expected a text",
        Cause::InvalidScalar { ty: "floating point", .. } => "expected a number",
        Cause::InvalidScalar { ty, .. } if ty.starts_with('u') => "expected a whole number, 0 or more",
        Cause::InvalidScalar { ty, .. } if ty.starts_with('i') => "expected a whole number",
        Cause::UnexpectedValueForUnitEnumVariant { .. } => "this one takes no value",
        Cause::ExpectedMappingEndAfterEnumVariantValue { .. } => "one step in each item of the list",
        Cause::SerdeInvalidLength { len, .. } => return format!("{len} values are too few"),
        _ => message,
    };
    words.to_owned()
}

/// The line with a caret below the column, cut where it is long.
fn snippet(text: &str, line: usize, column: usize) -> String {
    const WIDTH: usize = 100;
    let at = column.saturating_sub(1);
    let skip = if at < WIDTH - 20 { 0 } else { at - WIDTH / 2 };
    let shown: String = text.chars().skip(skip).take(WIDTH).map(|c| if c == '\t' { ' ' } else { c }).collect();
    let number = line.to_string();
    let margin = " ".repeat(number.len());
    format!("{margin} |\n{number} | {}\n{margin} | {}^", shown.trim_end(), " ".repeat(at - skip))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_caret_stands_below_the_column() {
        assert_eq!(snippet("space: lgit", 12, 8), "   |\n12 | space: lgit\n   |        ^");
        let long = snippet(&format!("{}x{}", "a".repeat(500), "b".repeat(500)), 1, 501);
        let rows: Vec<&str> = long.lines().collect();
        assert_eq!(rows[1].chars().nth(rows[2].len() - 1), Some('x'));
        assert!(rows[1].len() < 120);
    }
}

//! Checks of stored outputs, as they were found: each one function from context to findings.
//!
//! To add one: a file with a [`Check`] and two lines below (`mod` and the catalogue). The laws in `laws.rs` then test
//! that it is silent on clean data and that a finding carries place, cause and hint; plant a fault there for it.

mod alignment;
mod baseline;
mod calibration;
mod claim;
mod columns;
mod constant;
mod context;
mod drift;
mod duplicate;
mod few_rows;
mod finite;
mod folds;
mod frame;
mod groups;
mod hurts;
mod leak;
mod public;
mod range;
mod readable;
mod redundant;
mod row_order;
mod saturation;
mod shape;
mod stale;
mod zero_rows;

#[cfg(test)]
mod laws;

pub use context::{Changed, Context, Evidence, FoldMap, Judgement, Part, Public, State, Stored, Wanted};

use crate::id::ModelId;

/// A check's entry in the catalogue.
pub struct Check {
    /// Name on the command line and under `allow:` in YAML.
    pub name: &'static str,
    /// What its findings can be, the worst first.
    pub severities: &'static [Severity],
    /// What it looks for, in one line.
    pub does: &'static str,
    /// The check. Total on damaged outputs.
    pub run: fn(&Context) -> Vec<Finding>,
}

/// How bad a finding is; the worst is the greatest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// Worth knowing.
    Note,
    /// Probably a mistake.
    Warning,
    /// Outputs that must not be blended as they are: `audit` exits with 1.
    Fault,
}

impl Severity {
    /// In lower case, for reports.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Note => "note",
            Self::Warning => "warning",
            Self::Fault => "fault",
        }
    }
}

/// What a check found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The check's name.
    pub check: &'static str,
    /// How bad it is.
    pub severity: Severity,
    /// The model, where it is one's.
    pub model: Option<ModelId>,
    /// Where: the file, and the row and column of the first example.
    pub place: String,
    /// What is wrong there.
    pub cause: String,
    /// What to do about it.
    pub hint: String,
    /// How many values, rows or columns are affected.
    pub count: usize,
}

/// All checks, in the order in which they run: without the rows and columns that are wanted, values mean little, and
/// errors of reading are known after it.
pub const CATALOGUE: [&Check; 24] = [
    &shape::CHECK,
    &alignment::CHECK,
    &finite::CHECK,
    &range::CHECK,
    &row_order::CHECK,
    &columns::CHECK,
    &frame::CHECK,
    &zero_rows::CHECK,
    &constant::CHECK,
    &saturation::CHECK,
    &duplicate::CHECK,
    &baseline::CHECK,
    &leak::CHECK,
    &groups::CHECK,
    &claim::CHECK,
    &public::CHECK,
    &folds::CHECK,
    &stale::CHECK,
    &drift::CHECK,
    &calibration::CHECK,
    &redundant::CHECK,
    &hurts::CHECK,
    &few_rows::CHECK,
    &readable::CHECK,
];

/// Everything that every check finds, faults first, else in the catalogue's order.
#[must_use]
pub fn run(context: &Context) -> Vec<Finding> {
    let mut findings: Vec<Finding> = CATALOGUE.iter().flat_map(|check| (check.run)(context)).collect();
    findings.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
    findings
}

impl Finding {
    /// A finding in the outputs of one model.
    fn of(stored: &Stored, check: &Check, severity: Severity) -> Self {
        debug_assert!(check.severities.contains(&severity));
        Self {
            check: check.name,
            severity,
            model: Some(stored.model.clone()),
            place: stored.place.clone(),
            cause: String::new(),
            hint: String::new(),
            count: 1,
        }
    }

    /// Adds the row and column of the first example to the place.
    fn at(mut self, column: Option<&str>, id: Option<&str>) -> Self {
        if let Some(column) = column {
            self.place.push_str(&format!(", column `{column}`"));
        }
        if let Some(id) = id {
            self.place.push_str(&format!(", row `{id}`"));
        }
        self
    }

    fn because(mut self, cause: impl Into<String>, hint: impl Into<String>, count: usize) -> Self {
        (self.cause, self.hint, self.count) = (cause.into(), hint.into(), count);
        self
    }
}

/// `1 row`, `21,948 rows`: a count as it is read.
fn many(count: usize, what: &str) -> String {
    let digits = count.to_string();
    let mut text = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    format!("{text} {what}{}", if count == 1 { "" } else { "s" })
}

//! Errors in words: what, where, for what, and what to do next. Library rooms hold the data; here they become lines.

use blend_record::Fault;
use std::{error::Error, fmt::Display};

/// An error as a person reads it, with its exit code.
#[derive(Debug, Clone)]
pub(crate) struct Failure {
    /// 2 typed or written wrongly, 3 data, 4 machine, 5 our bug.
    pub(crate) exit: u8,
    /// What went wrong.
    pub(crate) message: String,
    /// The file, with line and column where there is one.
    pub(crate) place: Option<String>,
    /// The numbers behind it.
    pub(crate) details: Option<String>,
    /// The lines of a YAML file with a caret.
    pub(crate) snippet: Option<Box<str>>,
    /// What to do next.
    pub(crate) hint: Option<String>,
}

/// Exit code of a command line or YAML file that is wrong.
pub(crate) const USAGE: u8 = 2;
/// Exit code of wrong data.
pub(crate) const DATA: u8 = 3;
/// Exit code of a machine that refused.
pub(crate) const MACHINE: u8 = 4;
/// What a fold map holds.
pub(crate) const FOLD_LABELS: &str = "labels of folds are whole numbers from 0 on; -1 marks a row that only trains";

impl Failure {
    pub(crate) fn new(exit: u8, message: impl Into<String>) -> Self {
        Self { exit, message: message.into(), place: None, details: None, snippet: None, hint: None }
    }

    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self::new(USAGE, message)
    }

    pub(crate) fn data(message: impl Into<String>) -> Self {
        Self::new(DATA, message)
    }

    pub(crate) fn at(mut self, place: impl Display) -> Self {
        self.place.get_or_insert_with(|| place.to_string());
        self
    }

    pub(crate) fn details(mut self, details: impl Display) -> Self {
        self.details.get_or_insert_with(|| details.to_string());
        self
    }

    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint.get_or_insert_with(|| hint.into());
        self
    }

    /// A better hint than the one that is there: who calls knows what the file is for.
    pub(crate) fn hint_instead(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Puts the error in a context: `message` says what could not be done, the error why.
    pub(crate) fn because(mut self, message: impl Into<String>) -> Self {
        let cause = std::mem::replace(&mut self.message, message.into());
        self.details(cause)
    }

    fn of_fault(fault: &dyn Fault) -> Self {
        Self {
            exit: fault.kind().exit_code(),
            message: with_sources(fault),
            place: fault.place(),
            details: None,
            snippet: fault.snippet().map(String::into_boxed_str),
            hint: fault.hint(),
        }
    }
}

/// The error and the errors beneath it, as one line.
fn with_sources<E: Error + ?Sized>(error: &E) -> String {
    let mut line = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let text = cause.to_string();
        // A wrapper that already quotes its cause is not repeated.
        if !line.contains(&text) {
            line = format!("{line}: {text}");
        }
        source = cause.source();
    }
    line
}

macro_rules! faults {
    ($($error:ty),*) => {
        $(impl From<$error> for Failure {
            fn from(error: $error) -> Self {
                Self::of_fault(&error)
            }
        })*
    };
}

faults!(
    blend_record::DocumentError,
    blend_record::LedgerError,
    blend_record::WorkspaceError,
    blend_record::SampleError,
    blend_record::SubmissionError,
    blend_record::PublishError
);

impl From<blend_store::StoreError> for Failure {
    fn from(error: blend_store::StoreError) -> Self {
        let exit = match error.kind() {
            blend_store::Kind::Usage => USAGE,
            blend_store::Kind::Data => DATA,
            blend_store::Kind::Machine => MACHINE,
        };
        Self { hint: error.hint(), ..Self::new(exit, with_sources(&error)) }
    }
}

fn infer_exit(kind: blend_infer::Kind) -> u8 {
    match kind {
        blend_infer::Kind::Usage => USAGE,
        blend_infer::Kind::Data => DATA,
        blend_infer::Kind::Machine => MACHINE,
        blend_infer::Kind::Bug => 5,
        blend_infer::Kind::Interrupted => 130,
        blend_infer::Kind::Temporary => 75,
    }
}

impl From<blend_infer::InferError> for Failure {
    fn from(error: blend_infer::InferError) -> Self {
        Self { hint: crate::hints::infer(&error), ..Self::new(infer_exit(error.kind()), with_sources(&error)) }
    }
}

impl From<blend_infer::MetricGraphError> for Failure {
    fn from(error: blend_infer::MetricGraphError) -> Self {
        let hint = match &error {
            blend_infer::MetricGraphError::Engine(error) => crate::hints::engine(error),
            _ => "a metric is a graph from `truth` and `prediction` to one score, or to a loss for each row",
        };
        Self::new(infer_exit(error.kind()), with_sources(&error)).hint(hint)
    }
}

impl From<blend_infer::RuntimeError> for Failure {
    fn from(error: blend_infer::RuntimeError) -> Self {
        Self::new(infer_exit(error.kind()), with_sources(&error)).hint(crate::hints::runtime(&error))
    }
}

impl From<blend_infer::install::InstallError> for Failure {
    fn from(error: blend_infer::install::InstallError) -> Self {
        let hint = "without a package index, put the library into `.ort/` yourself or name it with `--ort-lib`";
        Self::new(infer_exit(error.kind()), with_sources(&error)).hint(hint)
    }
}

impl From<blend_core::id::NameError> for Failure {
    fn from(error: blend_core::id::NameError) -> Self {
        Self::usage(error.to_string()).hint("it also names a folder or a file: choose another")
    }
}

impl From<blend_core::metric::BindError> for Failure {
    fn from(error: blend_core::metric::BindError) -> Self {
        Self::data(error.to_string()).hint("see `blend list metrics` for what each metric judges")
    }
}

impl From<blend_core::truth::TruthError> for Failure {
    fn from(error: blend_core::truth::TruthError) -> Self {
        Self::data(error.to_string()).hint("correct the truth, or leave rows out with `scope` in competition.yaml")
    }
}

impl From<blend_core::folds::FoldsError> for Failure {
    fn from(error: blend_core::folds::FoldsError) -> Self {
        Self::data(error.to_string()).hint(FOLD_LABELS)
    }
}

impl From<blend_core::blend::BlendError> for Failure {
    fn from(error: blend_core::blend::BlendError) -> Self {
        use blend_core::blend::BlendError;
        match error {
            BlendError::SameOutputs(..) => Self::data(error.to_string()).hint("leave one of the two out"),
            _ => Self::usage(error.to_string()).hint("correct the recipe's members"),
        }
    }
}

impl From<blend_core::prediction::MatrixError> for Failure {
    fn from(error: blend_core::prediction::MatrixError) -> Self {
        use blend_core::prediction::MatrixError;
        match &error {
            MatrixError::Empty => Self::usage("there are no members to blend")
                .hint("store outputs first: `blend predict` or `blend import MODEL --oof FILE`"),
            MatrixError::Same(..) => {
                Self::data(error.to_string()).hint("one file used as two members: leave one out with `--members`")
            }
            _ => Self::data(error.to_string()).hint("`blend audit` lists what is wrong with each of them"),
        }
    }
}

impl From<blend_search::SearchError> for Failure {
    fn from(error: blend_search::SearchError) -> Self {
        use blend_search::SearchError;
        match &error {
            SearchError::Bind(_) => {
                Self::data(error.to_string()).hint("see `blend list metrics` for what each metric judges")
            }
            SearchError::Outputs { .. } => {
                Self::data(error.to_string()).hint("`blend audit` lists what is wrong with each of them")
            }
            SearchError::OnePart => Self::usage(error.to_string())
                .hint("name `folds:` in competition.yaml, or leave nested scores out with `--no-nested`"),
            SearchError::Crossed { .. } => {
                Self::usage(error.to_string()).hint("loosen `--bounds` or `--fix`, or choose another `--domain`")
            }
            SearchError::NoSum { low, high } => {
                let range = match (low.is_finite(), high.is_finite()) {
                    (_, false) => format!("at least {}", rounded(*low)),
                    (false, true) => format!("at most {}", rounded(*high)),
                    (true, true) => format!("between {} and {}", rounded(*low), rounded(*high)),
                };
                Self::usage(format!("no weights are allowed: within their bounds they sum to {range}, never to 1"))
                    .hint("loosen `--bounds` or `--fix`, or choose a `--domain` without a sum: box, nonnegative, free")
            }
            SearchError::Parts { .. } => Self::usage(error.to_string())
                .hint("weights by part need a metric that is a mean over rows, targets that are columns of their own, and space linear or logit"),
            SearchError::FewParts => Self::usage(error.to_string())
                .hint("give the strength with `--lambda`, or more folds"),
            SearchError::Together => Self::usage(error.to_string())
                .hint("leave `--granularity` or `--intercept` out, or the other"),
            SearchError::Intercept { .. } => Self::usage(error.to_string())
                .hint("add `--domain free`, or leave `--intercept` out"),
            SearchError::NoSet => Self::usage(error.to_string())
                .hint("loosen `--max-members`, `--min-weight` or `--inference-budget`"),
            SearchError::SignedMinimum { .. } => {
                Self::usage(error.to_string()).hint("leave `--min-weight` out, or search `--domain simplex`")
            }
            SearchError::Uncalibrated { .. } => Self::usage(error.to_string())
                .hint("`--calibrate` fits log losses of probabilities, and `affine` squared errors of values"),
            SearchError::Weights(_) => Self::new(5, error.to_string()),
            SearchError::Space { .. } => Self::usage(error.to_string()).hint("see `blend list spaces`"),
            SearchError::Kind { .. } => {
                Self::usage(error.to_string()).hint("say what the model's numbers are with `output:` in its model.yaml")
            }
            _ => Self::usage(error.to_string())
                .hint("see `blend list solvers`; without `--solver` one that fits is taken"),
        }
    }
}

impl From<blend_search::leaderboard::LbError> for Failure {
    fn from(error: blend_search::leaderboard::LbError) -> Self {
        use blend_core::leaderboard::PublicLbError;
        use blend_search::leaderboard::LbError;
        let message = error.to_string();
        match error {
            LbError::Search(error) => error.into(),
            LbError::Board(PublicLbError::Empty) => Self::usage(message)
                .hint("record one with `blend lb add WHAT SCORE`, or many with `blend lb import FILE`"),
            LbError::Board(PublicLbError::TooMany { .. } | PublicLbError::NoRows { .. }) => {
                Self::usage(message).hint("correct `leaderboard: {public_rows: ...}`")
            }
            LbError::Board(_) => Self::data(message).hint("see `blend lb show`"),
            LbError::Impossible { .. } | LbError::ImpossiblePair { .. } | LbError::BelowZero(_) => Self::data(message)
                .hint("a score is mistyped, belongs to another file, or `public_rows` is wrong: `blend lb add WHAT SCORE --correct`"),
            LbError::NoMethod { .. } => {
                Self::usage(message).hint("import out-of-fold predictions and name `truth:` in competition.yaml")
            }
            LbError::NotScored { model, .. } => Self::usage(message)
                .hint(format!("record it with `blend lb add {model} SCORE`, or leave the model out with `--members`")),
            LbError::Domain { .. } => Self::usage(message).hint("`--domain simplex` or `--domain affine`"),
        }
    }
}

/// A failed metric specification of a competition.
pub(crate) fn of_spec(error: &blend_core::metric::SpecError, place: impl Display) -> Failure {
    use blend_core::metric::{CATALOGUE, SpecError};
    let failure = Failure::usage(error.to_string()).at(place);
    match error {
        SpecError::Unknown(name) => {
            let known = CATALOGUE.iter().map(|(info, _)| info.name);
            match blend_record::nearest(name, known) {
                Some(near) => failure.hint(format!("did you mean `{near}`? See `blend list metrics`")),
                None => failure.hint("see `blend list metrics`"),
            }
        }
        _ => failure.hint("see `blend list metrics`"),
    }
}

/// An unknown name of a catalogue, with the nearest ones.
pub(crate) fn unknown<'a>(what: &str, name: &str, known: impl Iterator<Item = &'a str>) -> Failure {
    let known: Vec<&str> = known.collect();
    let some = || shortened(&known);
    let failure = Failure::usage(format!("no {what} is called `{name}`"));
    match blend_record::nearest(name, known.iter().copied()) {
        Some(near) => failure.hint(format!("did you mean `{near}`? There are {}", some())),
        None if known.is_empty() => failure.hint("there is none yet"),
        None => failure.hint(format!("there are {}", some())),
    }
}

/// Names in a message: all of a few, the first of many.
pub(crate) fn shortened<T: AsRef<str>>(names: &[T]) -> String {
    const SHOWN: usize = 12;
    let shown: Vec<&str> = names.iter().take(SHOWN).map(AsRef::as_ref).collect();
    match names.len().saturating_sub(SHOWN) {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

/// A sum of typed numbers without what adding them up in binary left of it.
fn rounded(number: f64) -> f64 {
    (number * 1e9).round() / 1e9
}

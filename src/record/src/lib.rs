//! The project's own small documents: what is written by hand and read back, and what is published.
//!
//! Each document is read through a private mirror struct and checked in one function; what comes out is plain and
//! typed. Every fault in a YAML file carries file, line, column, a caret and the accepted form, see [`YamlFault`].
//! Whatever is written is deterministic, holds paths relative to its own folder, and is published whole or not at all.

pub mod competition;
pub mod error;
mod formula;
pub mod kaggle;
pub mod ledger;
pub mod manifest;
pub mod provenance;
pub mod publish;
pub mod recipe;
pub mod run;
pub mod sample;
pub mod submission;
pub mod trace;
pub mod verify;
pub mod workspace;
mod yaml;

pub use competition::{Competition, Leaderboard, Mark, PublicRows, ScopeRule, Targets};
pub use error::{DocumentError, Fault, Kind, YamlFault, nearest};
pub use ledger::{Ledger, LedgerError};
pub use provenance::Provenance;
pub use publish::{PublishError, fingerprint_of_file, publish};
pub use recipe::{Recipe, SearchBlock};
pub use run::{RunKind, RunRecord};
pub use sample::{Sample, SampleError};
pub use submission::{Checked, Draft, Submission, SubmissionError};
pub use trace::{Trace, TraceLine};
pub use verify::{Link, LinkKind, LinkState, Verifier};
pub use workspace::{Workspace, WorkspaceError};

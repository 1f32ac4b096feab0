//! One file per verb: arguments and workspace to a report. Each returns whether something was found (exit code 1).

pub(crate) mod audit;
pub(crate) mod doctor;
pub(crate) mod import;
pub(crate) mod init;
pub(crate) mod lb;
pub(crate) mod list;
pub(crate) mod predict;
pub(crate) mod report;
pub(crate) mod runtime;
pub(crate) mod search;
pub(crate) mod select;
pub(crate) mod submit;
pub(crate) mod verify;

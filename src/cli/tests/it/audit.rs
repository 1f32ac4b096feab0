//! `blend audit`: damaged inputs are refused or flagged, real pools' traps are found, and the tables fit.

mod behind;
mod corpus;
mod pools;
mod public;
mod small;
mod tables;

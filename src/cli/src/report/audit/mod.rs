//! An audit as tables for people and as one object for programs.

mod object;
mod tables;

pub(crate) use object::object;
pub(crate) use tables::print;

//! The program as a user runs it.

mod audit;
mod bad_input;
mod commands;
mod demo;
mod digits;
mod graphs;
mod house;
mod pools;
mod support;
mod toy;
mod weights;

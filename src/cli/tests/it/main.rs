//! The program as a user runs it.

mod audit;
mod bad_input;
mod commands;
mod demo;
mod digits;
mod graphs;
mod house;
mod leaderboard;
mod metrics;
mod mistakes;
mod neutrino;
mod pools;
mod predict;
mod report;
mod stacked;
mod steps;
mod support;
mod terminal;
mod toy;
mod weights;
mod zoo;

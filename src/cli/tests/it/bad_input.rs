//! What a hostile or hurried user hands in. Each case: the exit code of the contract, a message with place, cause and
//! next step, and nothing that was there before is touched.

mod documents;
mod inference;
mod outputs;
mod recipes;
mod tables;

//! Public scores: kept, predicted, searched.

mod bench;
mod contest;
mod exact;
mod ledger;
mod moneyball;
mod pools;

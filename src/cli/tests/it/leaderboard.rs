//! Public scores: kept, predicted, searched.

mod bad;
mod bench;
mod cases;
mod contest;
mod exact;
mod ledger;
mod moneyball;
mod pools;
mod rehearsed;

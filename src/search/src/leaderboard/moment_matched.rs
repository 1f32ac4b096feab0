//! Mean absolute errors without out-of-fold rows: taken for those of normal residuals, whose mean square is
//! `(pi/2) s^2`, they follow the identity of squared errors. How wrong that is, the scored files themselves tell: each is
//! predicted from the others.

use super::{Board, LbError, identity::Pair};
use blend_core::PublicLb;
use rayon::prelude::*;

/// The board of mean absolute errors, with the error that leaving out each scored file earns.
pub(super) fn board(lb: &PublicLb) -> Result<Board, LbError> {
    let none = || LbError::NoMethod { metric: "mae".to_owned(), why: "here" };
    let of = |lb: &PublicLb| Board::of_pair(lb, Pair::of_absolute_errors().ok_or_else(none)?);
    let board = of(lb)?;
    let errors: Vec<f64> = (0..lb.files().len())
        .into_par_iter()
        .filter_map(|left_out| {
            let others = of(&lb.without(left_out)?).ok()?;
            let file = &lb.files()[left_out];
            Some(others.predict(&file.values).score - file.score)
        })
        .collect();
    let square = errors.iter().map(|error| error * error).sum::<f64>() / (errors.len() as f64).max(1.0);
    Ok(board.with_earned(square.sqrt()))
}

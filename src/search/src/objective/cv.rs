//! The cross-validation objective: a metric's loss of a blend over rows whose truth is known.

use super::{
    Objective,
    absolute::AbsoluteObjective,
    cells::{Apart, CellObjective, Runs},
    feed::Feed,
    rows::RowObjective,
    squares::SquareObjective,
    true_class,
    whole::WholeObjective,
};
use blend_core::{
    Block, Oof, Predictions, RowSet,
    judge::{Bound, Smooth},
    pool,
    space::SpaceName,
};

/// The loss of blends of `members` in `space` over the rows of `set`, to whose labels `bound` is bound.
///
/// `sums_to_one` says that only weights with a sum of one will be asked for.
#[must_use]
pub fn objective<'a>(
    members: &[&'a Predictions<Oof>],
    set: &'a RowSet,
    bound: &'a dyn Bound,
    space: SpaceName,
    sums_to_one: bool,
) -> Box<dyn Objective + 'a> {
    let preparation = bound.preparation();
    // A score of rows that are divided by their sum does not change with the weights' scale, and no smooth form here
    // says so: those are the score only where the weights sum to one.
    let smooth = if preparation.renormalize && !sums_to_one { None } else { bound.smooth(space) };
    match smooth {
        Some(Smooth::Cells(cells)) => Box::new(CellObjective::new(Feed::new(members, set, space, preparation), cells)),
        Some(Smooth::TrueClass(loss)) => {
            let (feed, cells) = true_class::cells(&Feed::new(members, set, space, preparation), &loss);
            let sample = true_class::sample(&feed, &loss).map(|(feed, cells)| CellObjective::new(feed, cells));
            Box::new(CellObjective::new(feed, cells).with_sample(sample))
        }
        Some(Smooth::Rows(loss)) => {
            Box::new(RowObjective::new(Feed::new(members, set, space, preparation).kept(), loss))
        }
        Some(Smooth::Squares(loss)) => {
            Box::new(SquareObjective::new(&Feed::new(members, set, space, preparation), &loss, sums_to_one))
        }
        Some(Smooth::Absolute(loss)) => {
            Box::new(AbsoluteObjective::new(members.to_vec(), set, space, preparation, loss))
        }
        None => {
            let entered: Vec<Block> =
                members.iter().map(|member| pool::entered(member, space, preparation, set)).collect();
            let smooth = bound.surrogate().filter(|it| it.smooth(space).is_some());
            let surrogate = smooth.map(|it| objective(members, set, it, space, sums_to_one));
            Box::new(WholeObjective::new(entered, bound, space, surrogate))
        }
    }
}

/// The losses without one part of the rows, for each part: `set` and `bound` have the rows of a part side by side within
/// a block, as `parts` says of each. `None` where rows are not judged alone, or not cell by cell.
#[must_use]
pub(crate) fn apart<'a>(
    members: &[&'a Predictions<Oof>],
    set: &'a RowSet,
    bound: &'a dyn Bound,
    space: SpaceName,
    sums_to_one: bool,
    (parts, weights): (&[usize], Option<&[f64]>),
) -> Option<Apart<'a>> {
    let preparation = bound.preparation();
    let alone = bound.judges_rows_alone() && space.get().info().row_local && (sums_to_one || !preparation.renormalize);
    if !alone {
        return None;
    }
    let feed = || Feed::new(members, set, space, preparation);
    let (feed, cells) = match bound.smooth(space)? {
        Smooth::Cells(cells) => (feed(), cells),
        Smooth::TrueClass(loss) => true_class::cells(&feed(), &loss),
        Smooth::Rows(_) | Smooth::Squares(_) | Smooth::Absolute(_) => return None,
    };
    Apart::new(feed, cells, Runs::new(parts, weights))
}

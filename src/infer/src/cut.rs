//! The rows of every graph of a stage, cut into batches and handed out in items.
//!
//! The grid depends on the rows, the batch size and the device alone, never on the number of threads, so that a run on
//! any number of them multiplies the same matrices.

use crate::{
    engine::Place,
    events::BoundEvents,
    feed::{Feed, Feeds, Rows},
    plan::{Graph, StagePlan},
    request::Split,
};

use std::{cmp::Reverse, ops::Range, sync::Arc};

/// Events that are sorted by length together: enough for batches without padding, few enough to lie near each other in
/// the files.
const WINDOW: usize = 1 << 14;
/// Pulses of a batch, padding counted, on a processor: what fits its caches (the rate has its peak at 256 to 512 for
/// every length).
const CPU_TOKENS: usize = 512;
/// Pulses of a batch on a device.
const DEVICE_TOKENS: usize = 1 << 16;
/// Values of an item, 16 MiB of f64: a worker holds them until they are added up, while it makes the next ones.
const ITEM_VALUES: usize = 1 << 21;
/// As many as stay in a core's cache until they are added up, which is done at once where a worker is alone.
const ALONE_VALUES: usize = 1 << 16;

/// The rows of a graph and the batches they are cut into, as (position in `rows`, range of rows).
pub(crate) struct Cut {
    pub(crate) rows: Vec<Rows>,
    pub(crate) batches: Vec<(usize, Range<usize>)>,
}

/// Some batches of one graph: what a worker takes at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Item {
    pub(crate) graph: usize,
    pub(crate) batches: Range<usize>,
}

/// How batches are made.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sizes {
    /// Rows, at least 1.
    pub(crate) batch: usize,
    pub(crate) place: Place,
}

/// The rows of one split that a graph runs.
pub(crate) struct Wanted<'a> {
    pub(crate) split: Split,
    pub(crate) rows: Arc<[u32]>,
    pub(crate) feeds: &'a Feeds<'a>,
}

fn events<'a>(feeds: &'a Feeds<'_>) -> Option<&'a BoundEvents<'a>> {
    feeds.values().find_map(|feed| match feed {
        Feed::Events { events, .. } => Some(*events),
        _ => None,
    })
}

/// Puts rows in the order in which they are run: that of the first table, which is read front to back then; events
/// longest first within windows of the files' order, so that batches need no padding and the largest comes first.
pub(crate) fn ordered(plan: &StagePlan<'_>, feeds: &Feeds<'_>, mut rows: Vec<u32>) -> Arc<[u32]> {
    if let Some(events) = events(feeds) {
        rows.sort_unstable_by_key(|&row| events.position(row));
        for window in rows.chunks_mut(WINDOW) {
            window.sort_by_key(|&row| Reverse(events.kept(row)));
        }
        return rows.into();
    }
    let table = plan.stage.inputs.keys().find_map(|input| match feeds.get(input.as_str()) {
        Some(Feed::Table { table, .. }) => Some(*table),
        _ => None,
    });
    if let Some(table) = table {
        rows.sort_unstable_by_key(|&row| table.position(row));
    }
    rows.into()
}

/// Cuts the rows of a graph into batches.
pub(crate) fn cut(graph: &Graph, plan: &StagePlan<'_>, sizes: Sizes, wanted: Vec<Wanted<'_>>) -> Cut {
    let mut batches = Vec::new();
    for (which, wanted) in wanted.iter().enumerate() {
        let ranges = match events(wanted.feeds) {
            Some(events) => by_tokens(graph, plan, sizes, events, &wanted.rows),
            None => by_rows(graph, sizes, wanted.rows.len()),
        };
        batches.extend(ranges.into_iter().map(|range| (which, range)));
    }
    let rows = wanted.into_iter().map(|wanted| Rows { split: wanted.split, rows: wanted.rows });
    Cut { rows: rows.collect(), batches }
}

fn by_rows(graph: &Graph, sizes: Sizes, n_rows: usize) -> Vec<Range<usize>> {
    // A graph of fixed size runs whole multiples, so that padding is met once per split.
    let size = graph.fixed_rows().map_or(sizes.batch, |fixed| sizes.batch.div_ceil(fixed) * fixed);
    (0..n_rows).step_by(size).map(|start| start..(start + size).min(n_rows)).collect()
}

fn by_tokens(
    graph: &Graph,
    plan: &StagePlan<'_>,
    sizes: Sizes,
    events: &BoundEvents<'_>,
    rows: &[u32],
) -> Vec<Range<usize>> {
    let usual = if sizes.place == Place::Cpu { CPU_TOKENS } else { DEVICE_TOKENS };
    let budget = events.spec().token_budget.unwrap_or(usual);
    let fixed = graph.fixed_pulses(plan.stage);
    let (mut ranges, mut start) = (Vec::new(), 0);
    while start < rows.len() {
        // The longest comes first within a window.
        let longest = fixed.unwrap_or_else(|| events.kept(rows[start])).max(1);
        let window_end = (start / WINDOW + 1) * WINDOW;
        let n = graph.fixed_rows().unwrap_or((budget / longest).clamp(1, sizes.batch));
        let end = (start + n).min(window_end).min(rows.len());
        ranges.push(start..end);
        start = end;
    }
    ranges
}

/// Batches to workers: a graph at a time where there are many, else each graph in pieces; never more than a worker may
/// hold.
pub(crate) fn items(cuts: &[Cut], workers: usize, width: usize) -> Vec<Item> {
    let pieces = if workers == 1 { 1 } else { (2 * workers).div_ceil(cuts.len().max(1)) };
    // Alone, a worker keeps its session whatever the item.
    let most_rows = if workers == 1 { ALONE_VALUES } else { ITEM_VALUES } / width.max(1);
    let mut items = Vec::new();
    for (graph, cut) in cuts.iter().enumerate() {
        let n = cut.batches.len();
        let size = n.div_ceil(pieces).max(1);
        let (mut start, mut n_rows) = (0, 0);
        for (at, (_, range)) in cut.batches.iter().enumerate() {
            if at > start && (at - start == size || n_rows + range.len() > most_rows) {
                items.push(Item { graph, batches: start..at });
                (start, n_rows) = (at, 0);
            }
            n_rows += range.len();
        }
        if start < n {
            items.push(Item { graph, batches: start..n });
        }
    }
    items
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut_of(sizes: &[usize]) -> Cut {
        let mut start = 0;
        let batches = sizes.iter().map(|&n| {
            start += n;
            (0, start - n..start)
        });
        Cut { batches: batches.collect(), rows: Vec::new() }
    }

    #[test]
    fn items_are_pieces_that_a_worker_can_hold() {
        let item = |graph, batches| Item { graph, batches };
        let cuts = [cut_of(&[10; 4]), cut_of(&[10; 4])];
        assert_eq!(items(&cuts, 1, 1), [item(0, 0..4), item(1, 0..4)]);
        assert_eq!(items(&cuts, 2, 1), [item(0, 0..2), item(0, 2..4), item(1, 0..2), item(1, 2..4)]);
        // Twenty rows of so many outputs are the most.
        assert_eq!(items(&cuts[..1], 1, ALONE_VALUES / 20), [item(0, 0..2), item(0, 2..4)]);
        assert_eq!(items(&cuts[..1], 1, ITEM_VALUES).len(), 4, "one batch at least");
        assert!(items(&[cut_of(&[])], 4, 1).is_empty());
    }
}

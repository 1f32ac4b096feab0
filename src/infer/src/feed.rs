//! What a batch of rows is fed with: values of tables, of earlier stages and of events, in the type and shape that a
//! graph declares. Built beside the session, so that reading and feature building go on while a graph runs.

use crate::{
    batch::{Context, StageRows, mismatch},
    engine::{DType, Data, Port, Tensor},
    error::InferError,
    events::{BoundEvents, EventBatch, cast},
    plan::{Graph, StagePlan},
    pool::Pool,
    request::Split,
    table::BoundTable,
};
use blend_core::{RowIndex, manifest::EventTensor};
use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

/// What an input of a stage is fed with, over the rows of one split.
pub(crate) enum Feed<'a> {
    Table { table: &'a BoundTable<'a>, columns: Vec<usize>, shape: Option<&'a [usize]> },
    Stage { rows: &'a StageRows },
    Events { events: &'a BoundEvents<'a>, tensor: &'a EventTensor },
}

/// The feeds of a stage's inputs by name, for one split.
pub(crate) type Feeds<'a> = BTreeMap<&'a str, Feed<'a>>;

/// Rows of one split, as one graph runs them.
pub(crate) struct Rows {
    pub(crate) split: Split,
    pub(crate) rows: std::sync::Arc<[u32]>,
}

/// The tensors of a batch, one for each input of its graph (or of the transform before the input), in the graph's order.
pub(crate) struct Inputs {
    pub(crate) tensors: Vec<Tensor>,
    pub(crate) n_rows: usize,
    /// How long they took.
    pub(crate) built_in: Duration,
}

/// Refuses a graph whose inputs are not those that the stage feeds.
pub(crate) fn check_names(model: &str, plan: &StagePlan<'_>, graph: &Graph) -> Result<(), InferError> {
    let (ports, inputs) = (&graph.scan.inputs, &plan.stage.inputs);
    if let Some(input) = inputs.keys().find(|input| !ports.iter().any(|port| port.name == **input)) {
        return Err(InferError::UnknownInput {
            model: model.to_owned(),
            graph: graph.name.clone(),
            input: input.clone(),
            known: ports.iter().map(|port| port.name.clone()).collect(),
        });
    }
    match ports.iter().find(|port| !inputs.contains_key(&port.name)) {
        None => Ok(()),
        Some(port) => {
            Err(InferError::UnfedInput { model: model.to_owned(), graph: graph.name.clone(), input: port.name.clone() })
        }
    }
}

/// Builds the tensors of graph number `graph` of a stage over `rows` of a split.
pub(crate) fn build(
    context: &Context<'_>,
    pool: &Pool,
    graph: usize,
    feeds: &Feeds<'_>,
    rows: &[u32],
    ids: &RowIndex,
) -> Result<Inputs, InferError> {
    let start = Instant::now();
    let plan = context.plan;
    let main = &plan.graphs[graph];
    let events = read_events(context, main, feeds, rows, ids)?;
    let mut tensors = Vec::with_capacity(main.scan.inputs.len());
    for port in &main.scan.inputs {
        let feed =
            feeds.get(port.name.as_str()).ok_or_else(|| InferError::Bug(format!("no feed for {}", port.name)))?;
        let transform = plan.transform_of[graph].get(&port.name).map(|&at| &plan.transforms[at]);
        tensors.push(match (transform, &events, feed) {
            (Some(transform), ..) => {
                let [first] = &transform.scan.inputs[..] else {
                    return Err(mismatch(context, &transform.name, port, "a transform must have one input"));
                };
                gather(context, pool, &transform.name, first, feed, rows, ids)?
            }
            (None, Some((events, length)), Feed::Events { tensor, .. }) => {
                let made = events.tensor(tensor, *length, pool);
                fit(made, port).map_err(|given| mismatch(context, &main.name, port, &given))?
            }
            _ => gather(context, pool, &main.name, port, feed, rows, ids)?,
        });
    }
    Ok(Inputs { tensors, n_rows: rows.len(), built_in: start.elapsed() })
}

/// The pulses of a batch, read once for all inputs, and how far they are padded: to the longest event, or to what the
/// graph fixes.
fn read_events<'b>(
    context: &Context<'_>,
    graph: &Graph,
    feeds: &Feeds<'b>,
    rows: &[u32],
    ids: &RowIndex,
) -> Result<Option<(EventBatch<'b>, usize)>, InferError> {
    let bound = feeds.values().find_map(|feed| match feed {
        Feed::Events { events, .. } => Some(*events),
        _ => None,
    });
    let Some(events) = bound else { return Ok(None) };
    let batch = events.batch(rows, ids)?;
    let (longest, fixed) = (batch.longest(), graph.fixed_pulses(context.plan.stage));
    match (fixed, graph.scan.inputs.first()) {
        (Some(fixed), Some(port)) if fixed < longest => {
            let given = format!("events of {longest} pulses: `max_pulses` is above the graph's {fixed}");
            Err(mismatch(context, &graph.name, port, &given))
        }
        _ => Ok(Some((batch, fixed.unwrap_or(longest)))),
    }
}

/// What is fed to `port` over `rows`.
fn gather(
    context: &Context<'_>,
    pool: &Pool,
    graph: &str,
    port: &Port,
    feed: &Feed<'_>,
    rows: &[u32],
    ids: &RowIndex,
) -> Result<Tensor, InferError> {
    if matches!(port.dtype, DType::Other(_) | DType::ClassMaps) {
        return Err(mismatch(context, graph, port, "a table or a stage"));
    }
    let (width, wanted) = match feed {
        Feed::Table { columns, shape, .. } => (columns.len(), *shape),
        Feed::Stage { rows } => (rows.width, None),
        Feed::Events { .. } => return Err(InferError::Bug("events are no columns".to_owned())),
    };
    // Before anything is read: a wrong width is the usual mistake.
    let shape = shape_as(port, rows.len(), width, wanted);
    let shape = shape.ok_or_else(|| {
        let given = wanted.map_or_else(String::new, |shape| format!(" as {shape:?}"));
        mismatch(context, graph, port, &format!("{width} columns{given}"))
    })?;
    let data = match feed {
        Feed::Table { table, columns, .. } => {
            if let Some(given) = table.unfit(columns, port.dtype) {
                return Err(mismatch(context, graph, port, &given));
            }
            table.read(columns, rows, port.dtype, ids, pool)?
        }
        Feed::Stage { rows: source } => {
            let mut values = pool.take(rows.len() * width);
            for (&row, out) in rows.iter().zip(values.chunks_exact_mut(width.max(1))) {
                out.copy_from_slice(&source.values[row as usize * width..(row as usize + 1) * width]);
            }
            cast(Data::F32(values), port.dtype)
                .ok_or_else(|| mismatch(context, graph, port, "f32, a stage's output"))?
        }
        Feed::Events { .. } => return Err(InferError::Bug("events are no columns".to_owned())),
    };
    Ok(Tensor { shape, data })
}

/// A tensor that was made (of pulses, by a transform) as `port` declares it; what was given, in words, where it cannot
/// be.
pub(crate) fn fit(made: Tensor, port: &Port) -> Result<Tensor, String> {
    let Tensor { shape, data } = made;
    let given = format!("{} {shape:?}", data.dtype());
    let width: usize = shape[1..].iter().product();
    let suits = |dims: &Vec<Option<usize>>| {
        dims.len() == shape.len() && dims.iter().zip(&shape).skip(1).all(|(dim, n)| dim.is_none_or(|dim| dim == *n))
    };
    let shape = match &port.dims {
        Some(dims) if !suits(dims) => shape_of(port, shape[0], width).ok_or_else(|| given.clone())?,
        _ => shape,
    };
    Ok(Tensor { shape, data: cast(data, port.dtype).ok_or(given)? })
}

/// As [`shape_of`], where the manifest may say how a row's values lie.
fn shape_as(port: &Port, n_rows: usize, width: usize, wanted: Option<&[usize]>) -> Option<Vec<usize>> {
    let Some(wanted) = wanted else { return shape_of(port, n_rows, width) };
    let suits = port.dims.as_ref().is_none_or(|dims| {
        dims.len() == wanted.len() + 1 && dims[1..].iter().zip(wanted).all(|(dim, n)| dim.is_none_or(|dim| dim == *n))
    });
    let whole = wanted.iter().product::<usize>() == width;
    (suits && whole).then(|| std::iter::once(n_rows).chain(wanted.iter().copied()).collect())
}

/// The shape in which `n_rows` rows of `width` values are fed to `port`: `(n_rows,)`, `(n_rows, width)`, or the port's
/// own dimensions (an image, say) where they hold `width` values and at most one of them is free.
fn shape_of(port: &Port, n_rows: usize, width: usize) -> Option<Vec<usize>> {
    let Some(dims) = &port.dims else { return Some(vec![n_rows, width]) };
    let (_, inner) = dims.split_first()?;
    let fixed: usize = inner.iter().flatten().product();
    let free = match inner.iter().filter(|dim| dim.is_none()).count() {
        0 if fixed == width => 1,
        1 if width > 0 && width.is_multiple_of(fixed) => width / fixed,
        _ => return None,
    };
    let inner = inner.iter().map(|dim| dim.unwrap_or(free));
    Some(std::iter::once(n_rows).chain(inner).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_take_the_shape_that_the_graph_declares() {
        let port = |dims: &[Option<usize>]| Port { name: "x".into(), dtype: DType::F32, dims: Some(dims.to_vec()) };
        let shape = |dims: &[Option<usize>], width| shape_of(&port(dims), 5, width);
        assert_eq!(shape(&[None, Some(8)], 8), Some(vec![5, 8]));
        assert_eq!(shape(&[None, Some(8)], 7), None);
        assert_eq!(shape(&[None, None], 7), Some(vec![5, 7]));
        assert_eq!(shape(&[None], 1), Some(vec![5]));
        assert_eq!(shape(&[None], 2), None);
        assert_eq!(shape(&[None, Some(1), Some(8), Some(8)], 64), Some(vec![5, 1, 8, 8]));
        assert_eq!(shape(&[None, None, Some(8)], 64), Some(vec![5, 8, 8]));
        assert_eq!(shape(&[None, None, None], 64), None);
        assert_eq!(shape(&[], 1), None);
    }
}

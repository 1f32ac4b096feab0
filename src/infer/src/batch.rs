//! One batch of rows through one graph: inputs gathered and shaped, padded where the graph fixes its rows, the output
//! checked.

use crate::{
    average,
    engine::{DType, Data, Engine, GraphSource, Place, Port, Session, Tensor},
    error::{EngineError, InferError},
    events::{BoundEvents, EventBatch, cast},
    plan::{Graph, StagePlan},
    request::Split,
    table::BoundTable,
};
use blend_core::{
    Fingerprint, OutputKind, RowIndex,
    manifest::{Average, EventTensor},
};
use std::{collections::BTreeMap, ops::Range};

/// The averaged output of a stage over the rows of one split, row-major.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct StageRows {
    pub(crate) width: usize,
    pub(crate) values: Vec<f32>,
    /// Whether a row was predicted by any graph; the values of the others are NaN.
    pub(crate) predicted: Vec<bool>,
}

/// What an input of a stage is fed with, over the rows of one split.
pub(crate) enum Feed<'a> {
    Table { table: &'a BoundTable<'a>, columns: Vec<usize>, shape: Option<&'a [usize]> },
    Stage { rows: &'a StageRows },
    Events { events: &'a BoundEvents<'a>, tensor: &'a EventTensor },
}

/// The feeds of a stage's inputs by name, for one split.
pub(crate) type Feeds<'a> = BTreeMap<&'a str, Feed<'a>>;

/// What stays the same over all graphs of a stage.
pub(crate) struct Context<'a> {
    pub(crate) model: &'a str,
    pub(crate) engine: &'a dyn Engine,
    pub(crate) threads: usize,
    pub(crate) place: Place,
    pub(crate) plan: &'a StagePlan<'a>,
    pub(crate) average: Average,
}

/// A graph with its session.
struct Loaded<'a> {
    graph: &'a Graph,
    session: Box<dyn Session>,
    output: usize,
}

/// A graph of a stage, ready to run, with the transforms before it.
pub(crate) struct Runner<'a> {
    context: &'a Context<'a>,
    main: Loaded<'a>,
    transforms: BTreeMap<&'a str, Loaded<'a>>,
    /// What was read of each input beyond the batch.
    ahead: BTreeMap<String, Ahead>,
}

/// Rows to run together, and the rows that will follow them.
pub(crate) struct Batch<'a> {
    pub(crate) split: Split,
    /// The rows of a graph in the order of its batches.
    pub(crate) rows: &'a [u32],
    /// Those of this batch.
    pub(crate) range: Range<usize>,
    /// Where the batches that follow at once end.
    pub(crate) until: usize,
}

/// Values that are read at once: a table gives its columns one by one, which for a few rows costs more than the rows.
const AHEAD: usize = 1 << 20;

/// Rows of one input that were read and not all run yet.
#[derive(Default)]
struct Ahead {
    read: Option<(Split, Range<usize>, Tensor)>,
}

impl Ahead {
    /// The rows of `batch`, read with those after them where they are not here yet.
    fn take(
        &mut self,
        context: &Context<'_>,
        graph: &str,
        port: &Port,
        feed: &Feed<'_>,
        batch: &Batch<'_>,
        ids: &RowIndex,
    ) -> Result<Tensor, InferError> {
        let Range { start, end } = batch.range;
        let has = |(split, range, _): &(Split, Range<usize>, Tensor)| {
            *split == batch.split && range.start <= start && end <= range.end
        };
        if !self.read.as_ref().is_some_and(has) {
            let width = match feed {
                Feed::Table { columns, .. } => columns.len(),
                // In memory already.
                Feed::Stage { .. } | Feed::Events { .. } => usize::MAX,
            };
            let n = (AHEAD / width.max(1)).max(end - start);
            let until = batch.until.min(start.saturating_add(n)).max(end);
            if until == end {
                self.read = None;
                return gather(context, graph, port, feed, &batch.rows[start..end], ids);
            }
            let tensor = gather(context, graph, port, feed, &batch.rows[start..until], ids)?;
            self.read = Some((batch.split, start..until, tensor));
        }
        let Some((_, range, tensor)) = &self.read else { return Err(InferError::Bug("nothing was read".to_owned())) };
        Ok(tensor.rows(start - range.start, end - start, end - start))
    }
}

impl<'a> Runner<'a> {
    /// Loads graph number `graph` of the stage.
    pub(crate) fn load(context: &'a Context<'a>, graph: usize) -> Result<Self, InferError> {
        let plan = context.plan;
        let main = Loaded::new(context, &plan.graphs[graph], plan.stage.output.as_deref(), Some(plan.kind))?;
        let mut transforms = BTreeMap::new();
        for (input, &position) in &plan.transform_of[graph] {
            let transform = &plan.transforms[position];
            transforms.insert(input.as_str(), Loaded::new(context, transform, None, None)?);
        }
        let runner = Self { context, main, transforms, ahead: BTreeMap::new() };
        runner.check_names()?;
        Ok(runner)
    }

    fn check_names(&self) -> Result<(), InferError> {
        let (ports, inputs) = (self.main.session.inputs(), &self.context.plan.stage.inputs);
        let graph = &self.main.graph.name;
        for input in inputs.keys() {
            if !ports.iter().any(|port| port.name == *input) {
                return Err(InferError::UnknownInput {
                    model: self.context.model.to_owned(),
                    graph: graph.clone(),
                    input: input.clone(),
                    known: ports.iter().map(|port| port.name.clone()).collect(),
                });
            }
        }
        match ports.iter().find(|port| !inputs.contains_key(&port.name)) {
            None => Ok(()),
            Some(port) => Err(InferError::UnfedInput {
                model: self.context.model.to_owned(),
                graph: graph.clone(),
                input: port.name.clone(),
            }),
        }
    }

    /// Runs the graph over `batch`: `(n_rows, width)` row-major values, ready to be averaged, and the width.
    pub(crate) fn run(
        &mut self,
        feeds: &Feeds<'_>,
        batch: &Batch<'_>,
        ids: &RowIndex,
    ) -> Result<(Vec<f64>, usize), InferError> {
        let context = self.context;
        let rows = &batch.rows[batch.range.clone()];
        let ports: Vec<Port> = self.main.session.inputs().to_vec();
        let events = self.events(feeds, rows, ids)?;
        let mut inputs = Vec::with_capacity(ports.len());
        for port in &ports {
            let feed =
                feeds.get(port.name.as_str()).ok_or_else(|| InferError::Bug(format!("no feed for {}", port.name)))?;
            let graph = &self.main.graph.name;
            let ahead = self.ahead.entry(port.name.clone()).or_default();
            let tensor = match (self.transforms.get_mut(port.name.as_str()), &events, feed) {
                (Some(transform), ..) => {
                    let name = transform.graph.name.clone();
                    let [first] = transform.session.inputs() else {
                        return Err(mismatch(context, &name, port, "a transform must have one input"));
                    };
                    let first = first.clone();
                    let tensor = ahead.take(context, &name, &first, feed, batch, ids)?;
                    let made = transform.tensor(context, &[(&first.name, tensor)], rows.len())?;
                    fit(made, port).map_err(|given| mismatch(context, graph, port, &given))?
                }
                (None, Some((events, length)), Feed::Events { tensor, .. }) => {
                    fit(events.tensor(tensor, *length), port).map_err(|given| mismatch(context, graph, port, &given))?
                }
                _ => ahead.take(context, graph, port, feed, batch, ids)?,
            };
            inputs.push((port.name.as_str(), tensor));
        }
        let (mut values, width) = self.main.run(context, &inputs, rows.len())?;
        let id = |at: usize| ids.id(rows[at / width.max(1)] as usize).into_owned();
        let (model, graph) = (|| context.model.to_owned(), || self.main.graph.name.clone());
        if let Some(at) = values.iter().position(|value| !value.is_finite()) {
            let (id, output, value) = (id(at), at % width, values[at]);
            return Err(InferError::NotFinite { model: model(), graph: graph(), id, output, value });
        }
        average::enter(&mut values, width, context.plan.kind, context.average).map_err(|error| {
            InferError::NoProbability { model: model(), graph: graph(), id: id(error.at), value: error.value }
        })?;
        Ok((values, width))
    }

    /// The pulses of a batch, read once for all inputs, and how far they are padded: to the longest event, or to what
    /// the graph fixes.
    fn events<'b>(
        &self,
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
        let (longest, fixed) = (batch.longest(), self.main.graph.fixed_pulses(self.context.plan.stage));
        match (fixed, self.main.session.inputs().first()) {
            (Some(fixed), Some(port)) if fixed < longest => {
                let given = format!("events of {longest} pulses: `max_pulses` is above the graph's {fixed}");
                Err(mismatch(self.context, &self.main.graph.name, port, &given))
            }
            _ => Ok(Some((batch, fixed.unwrap_or(longest)))),
        }
    }
}

impl<'a> Loaded<'a> {
    fn new(
        context: &Context<'a>,
        graph: &'a Graph,
        output: Option<&str>,
        kind: Option<OutputKind>,
    ) -> Result<Self, InferError> {
        let bytes = std::fs::read(&graph.path).map_err(|source| InferError::Io { path: graph.path.clone(), source })?;
        // What was looked into is what runs.
        if Fingerprint::of(&bytes) != graph.fingerprint {
            return Err(InferError::Changed { model: context.model.to_owned(), path: graph.path.clone() });
        }
        let source = GraphSource { path: &graph.path, bytes: &bytes, scan: &graph.scan };
        let session = context
            .engine
            .load(source, context.threads, context.place)
            .map_err(|source| engine_error(context, graph, source))?;
        let found = match kind {
            Some(kind) => select(session.outputs(), output, kind),
            None => select_transformed(session.outputs()),
        };
        let output = found.ok_or_else(|| InferError::NoOutput {
            model: context.model.to_owned(),
            graph: graph.name.clone(),
            wanted: output.map(ToOwned::to_owned),
            known: session.outputs().iter().map(|port| format!("{}: {port}", port.name)).collect(),
        })?;
        Ok(Self { graph, session, output })
    }

    /// Runs `n` rows and gives `(n, width)` row-major numbers, and the width.
    fn run(
        &mut self,
        context: &Context<'_>,
        inputs: &[(&str, Tensor)],
        n: usize,
    ) -> Result<(Vec<f64>, usize), InferError> {
        let tensor = self.tensor(context, inputs, n)?;
        let width = match tensor.shape[..] {
            [_] => 1,
            [_, width] if width > 0 => width,
            _ => return Err(self.shape_error(context, &tensor, format!("({n},) or ({n}, n_outputs)"))),
        };
        let values = tensor.data.to_f64().ok_or_else(|| self.shape_error(context, &tensor, "numbers".to_owned()))?;
        Ok((values, width))
    }

    /// Runs `n` rows, in as many runs as the graph's own number of rows asks for: a tensor of `n` rows.
    fn tensor(&mut self, context: &Context<'_>, inputs: &[(&str, Tensor)], n: usize) -> Result<Tensor, InferError> {
        let Some(fixed) = self.fixed_rows() else { return self.run_once(context, inputs, n, n) };
        let mut all: Option<Tensor> = None;
        for start in (0..n).step_by(fixed) {
            let rows = fixed.min(n - start);
            let part: Vec<(&str, Tensor)> =
                inputs.iter().map(|(name, tensor)| (*name, tensor.rows(start, rows, fixed))).collect();
            let more = self.run_once(context, &part, fixed, rows)?;
            match &mut all {
                None => all = Some(more),
                Some(all) => {
                    let same = all.shape[1..] == more.shape[1..];
                    if !same || all.data.append(more.data).is_none() {
                        return Err(InferError::Bug("runs of one graph gave different shapes".to_owned()));
                    }
                    all.shape[0] += rows;
                }
            }
        }
        all.ok_or_else(|| InferError::Bug("a batch without rows".to_owned()))
    }

    fn fixed_rows(&self) -> Option<usize> {
        self.session.inputs().iter().find_map(|port| port.dims.as_ref()?.first().copied().flatten())
    }

    fn run_once(
        &mut self,
        context: &Context<'_>,
        inputs: &[(&str, Tensor)],
        fed: usize,
        wanted: usize,
    ) -> Result<Tensor, InferError> {
        let mut tensor =
            self.session.run(inputs, self.output).map_err(|source| engine_error(context, self.graph, source))?;
        if tensor.shape.first() != Some(&fed) {
            return Err(self.shape_error(context, &tensor, format!("{fed} rows")));
        }
        tensor.data.truncate(tensor.shape[1..].iter().product::<usize>() * wanted);
        tensor.shape[0] = wanted;
        Ok(tensor)
    }

    fn shape_error(&self, context: &Context<'_>, tensor: &Tensor, expected: String) -> InferError {
        InferError::OutputShape {
            model: context.model.to_owned(),
            graph: self.graph.name.clone(),
            output: self.session.outputs()[self.output].name.clone(),
            expected: expected.into(),
            given: tensor.shape.clone(),
        }
    }
}

/// The output of a transform: the only one, else the first tensor of floats, else the first tensor.
fn select_transformed(ports: &[Port]) -> Option<usize> {
    let tensor = |port: &&Port| !matches!(port.dtype, DType::ClassMaps | DType::Other(_));
    let float = ports.iter().position(|port| port.dtype.is_float());
    float.or_else(|| ports.iter().position(|port| tensor(&port)))
}

/// The output to take: the named one, else (for labels) the first of whole numbers, else the first float tensor of one
/// or two dimensions, else class maps.
fn select(ports: &[Port], wanted: Option<&str>, kind: OutputKind) -> Option<usize> {
    let flat = |port: &Port| port.dims.as_ref().is_none_or(|dims| (1..=2).contains(&dims.len()));
    let whole = |port: &Port| matches!(port.dtype, DType::I64 | DType::I32);
    let usable = |port: &Port| (port.dtype.is_float() || whole(port)) && flat(port) || port.dtype == DType::ClassMaps;
    if let Some(name) = wanted {
        return ports.iter().position(|port| port.name == name && usable(port));
    }
    let first = |test: &dyn Fn(&Port) -> bool| ports.iter().position(test);
    let label = || (kind == OutputKind::Label).then(|| first(&|port| whole(port) && flat(port))).flatten();
    label()
        .or_else(|| first(&|port| port.dtype.is_float() && flat(port)))
        .or_else(|| first(&|port| port.dtype == DType::ClassMaps))
}

fn engine_error(context: &Context<'_>, graph: &Graph, source: EngineError) -> InferError {
    InferError::Engine { model: context.model.to_owned(), graph: graph.name.clone(), source }
}

fn mismatch(context: &Context<'_>, graph: &str, port: &Port, given: &str) -> InferError {
    InferError::InputMismatch {
        model: context.model.to_owned(),
        graph: graph.to_owned(),
        input: port.name.clone(),
        expected: port.to_string().into(),
        given: given.into(),
    }
}

/// What is fed to `port` over `rows`.
fn gather(
    context: &Context<'_>,
    graph: &str,
    port: &Port,
    feed: &Feed<'_>,
    rows: &[u32],
    ids: &RowIndex,
) -> Result<Tensor, InferError> {
    if matches!(port.dtype, DType::Other(_) | DType::ClassMaps) {
        return Err(mismatch(context, graph, port, "a table or a stage"));
    }
    let (table, columns, width, wanted) = match feed {
        Feed::Table { table, columns, shape } => (Some(table), columns.as_slice(), columns.len(), *shape),
        Feed::Stage { rows } => (None, [].as_slice(), rows.width, None),
        Feed::Events { .. } => return Err(InferError::Bug("events are no columns".to_owned())),
    };
    // Before anything is read: a wrong width is the usual mistake.
    let shape = shape_as(port, rows.len(), width, wanted);
    let shape = shape.ok_or_else(|| {
        let given = wanted.map_or_else(String::new, |shape| format!(" as {shape:?}"));
        mismatch(context, graph, port, &format!("{width} columns{given}"))
    })?;
    let data = match (feed, table) {
        (_, Some(table)) => {
            if let Some(given) = table.unfit(columns, port.dtype) {
                return Err(mismatch(context, graph, port, &given));
            }
            table.read(columns, rows, port.dtype, ids)?
        }
        (Feed::Stage { rows: source }, None) => {
            let mut values = Vec::with_capacity(rows.len() * width);
            for &row in rows {
                values.extend_from_slice(&source.values[row as usize * width..(row as usize + 1) * width]);
            }
            cast(Data::F32(values), port.dtype)
                .ok_or_else(|| mismatch(context, graph, port, "f32, a stage's output"))?
        }
        _ => return Err(InferError::Bug("events are no columns".to_owned())),
    };
    Ok(Tensor { shape, data })
}

/// A tensor that was made (of pulses, by a transform) as `port` declares it; what was given, in words, where it cannot
/// be.
fn fit(made: Tensor, port: &Port) -> Result<Tensor, String> {
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

/// Rows of one split, as one graph runs them.
pub(crate) struct Rows {
    pub(crate) split: Split,
    pub(crate) rows: std::sync::Arc<[u32]>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn port(dtype: DType, dims: &[Option<usize>]) -> Port {
        Port { name: "x".into(), dtype, dims: Some(dims.to_vec()) }
    }

    #[test]
    fn rows_take_the_shape_that_the_graph_declares() {
        let shape = |dims: &[Option<usize>], width| shape_of(&port(DType::F32, dims), 5, width);
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

    #[test]
    fn the_output_is_the_first_flat_float_unless_named() {
        let named = |name: &str, dtype, dims: &[Option<usize>]| Port { name: name.into(), ..port(dtype, dims) };
        let ports = [
            named("label", DType::I64, &[None]),
            named("hidden", DType::F32, &[None, Some(4), Some(4)]),
            named("p", DType::F32, &[None, Some(3)]),
            Port { name: "maps".into(), dtype: DType::ClassMaps, dims: None },
        ];
        assert_eq!(select(&ports, None, OutputKind::Probability), Some(2));
        assert_eq!(select(&ports, Some("label"), OutputKind::Label), Some(0));
        assert_eq!(select(&ports, Some("hidden"), OutputKind::Probability), None);
        assert_eq!(select(&[ports[0].clone(), ports[3].clone()], None, OutputKind::ClassProbabilities), Some(1));
        assert_eq!(select(&ports[..1], None, OutputKind::Probability), None);
        assert_eq!(select(&ports[..1], None, OutputKind::Label), Some(0));
    }
}

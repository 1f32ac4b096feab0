//! One batch of rows through one graph: inputs gathered and shaped, padded where the graph fixes its rows, the output
//! checked.

use crate::{
    average,
    engine::{DType, Data, Engine, GraphSource, Place, Port, Session, Tensor},
    error::{EngineError, InferError},
    pipeline::Split,
    plan::{Graph, StagePlan},
    table::BoundTable,
};
use blend_core::{Fingerprint, OutputKind, RowIndex, manifest::Average};
use half::f16;
use std::collections::BTreeMap;

/// The averaged output of a stage over the rows of one split, row-major.
#[derive(Debug, Clone)]
pub(crate) struct StageRows {
    pub(crate) width: usize,
    pub(crate) values: Vec<f32>,
    /// Whether a row was predicted by any graph; the values of the others are NaN.
    pub(crate) predicted: Vec<bool>,
}

/// What an input of a stage is fed with, over the rows of one split.
pub(crate) enum Feed<'a> {
    Table { table: &'a BoundTable<'a>, columns: Vec<usize> },
    Stage { rows: &'a StageRows },
}

impl Feed<'_> {
    fn width(&self) -> usize {
        match self {
            Self::Table { columns, .. } => columns.len(),
            Self::Stage { rows } => rows.width,
        }
    }
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
}

impl<'a> Runner<'a> {
    /// Loads graph number `graph` of the stage.
    pub(crate) fn load(context: &'a Context<'a>, graph: usize) -> Result<Self, InferError> {
        let plan = context.plan;
        let main = Loaded::new(context, &plan.graphs[graph], plan.stage.output.as_deref(), plan.kind)?;
        let mut transforms = BTreeMap::new();
        for (input, &position) in &plan.transform_of[graph] {
            let transform = &plan.transforms[position];
            transforms.insert(input.as_str(), Loaded::new(context, transform, None, OutputKind::Value)?);
        }
        let runner = Self { context, main, transforms };
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

    /// Runs the graph over `rows` of a split: `(n_rows, width)` row-major values, ready to be averaged, and the width.
    pub(crate) fn run(
        &mut self,
        feeds: &Feeds<'_>,
        rows: &[u32],
        ids: &RowIndex,
    ) -> Result<(Vec<f64>, usize), InferError> {
        let context = self.context;
        let ports: Vec<Port> = self.main.session.inputs().to_vec();
        let mut inputs = Vec::with_capacity(ports.len());
        for port in &ports {
            let feed =
                feeds.get(port.name.as_str()).ok_or_else(|| InferError::Bug(format!("no feed for {}", port.name)))?;
            let tensor = match self.transforms.get_mut(port.name.as_str()) {
                None => gather(context, &self.main.graph.name, port, feed, rows, ids)?,
                Some(transform) => {
                    let name = transform.graph.name.clone();
                    let [first] = transform.session.inputs() else {
                        return Err(mismatch(context, &name, port, "a transform must have one input"));
                    };
                    let first = first.clone();
                    let tensor = gather(context, &name, &first, feed, rows, ids)?;
                    let (values, width) = transform.run(context, &[(&first.name, tensor)], rows.len())?;
                    shaped(context, &self.main.graph.name, port, floats(values, port.dtype), rows.len(), width)?
                }
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
}

impl<'a> Loaded<'a> {
    fn new(
        context: &Context<'a>,
        graph: &'a Graph,
        output: Option<&str>,
        kind: OutputKind,
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
        let output = select(session.outputs(), output, kind).ok_or_else(|| InferError::NoOutput {
            model: context.model.to_owned(),
            graph: graph.name.clone(),
            wanted: output.map(ToOwned::to_owned),
            known: session.outputs().iter().map(|port| format!("{}: {port}", port.name)).collect(),
        })?;
        Ok(Self { graph, session, output })
    }

    /// Runs `n` rows, in as many runs as the graph's own number of rows asks for.
    fn run(
        &mut self,
        context: &Context<'_>,
        inputs: &[(&str, Tensor)],
        n: usize,
    ) -> Result<(Vec<f64>, usize), InferError> {
        let Some(fixed) = self.fixed_rows() else { return self.run_once(context, inputs, n, n) };
        let (mut values, mut width) = (Vec::new(), 0);
        for start in (0..n).step_by(fixed) {
            let rows = fixed.min(n - start);
            let part: Vec<(&str, Tensor)> =
                inputs.iter().map(|(name, tensor)| (*name, tensor.rows(start, rows, fixed))).collect();
            let (more, its_width) = self.run_once(context, &part, fixed, rows)?;
            values.extend(more);
            width = its_width;
        }
        Ok((values, width))
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
    ) -> Result<(Vec<f64>, usize), InferError> {
        let tensor =
            self.session.run(inputs, self.output).map_err(|source| engine_error(context, self.graph, source))?;
        let shape_error = |expected: String| InferError::OutputShape {
            model: context.model.to_owned(),
            graph: self.graph.name.clone(),
            output: self.session.outputs()[self.output].name.clone(),
            expected: expected.into(),
            given: tensor.shape.clone(),
        };
        let width = match tensor.shape[..] {
            [rows] if rows == fed => 1,
            [rows, width] if rows == fed && width > 0 => width,
            _ => return Err(shape_error(format!("({fed}, n_outputs) or ({fed},)"))),
        };
        if tensor.data.len() != fed * width {
            return Err(InferError::Bug(format!("an engine gave {} values for {:?}", tensor.data.len(), tensor.shape)));
        }
        let mut values = tensor.data.to_f64().ok_or_else(|| shape_error("numbers".to_owned()))?;
        values.truncate(wanted * width);
        Ok((values, width))
    }
}

/// The output to take: the named one, else the first float tensor of one or two dimensions, else class maps (or, for
/// labels, whole numbers).
fn select(ports: &[Port], wanted: Option<&str>, kind: OutputKind) -> Option<usize> {
    let flat = |port: &Port| port.dims.as_ref().is_none_or(|dims| (1..=2).contains(&dims.len()));
    let whole = |port: &Port| matches!(port.dtype, DType::I64 | DType::I32);
    let usable = |port: &Port| (port.dtype.is_float() || whole(port)) && flat(port) || port.dtype == DType::ClassMaps;
    if let Some(name) = wanted {
        return ports.iter().position(|port| port.name == name && usable(port));
    }
    let first = |test: &dyn Fn(&Port) -> bool| ports.iter().position(test);
    let label = || (kind == OutputKind::Label).then(|| first(&|port| whole(port) && flat(port))).flatten();
    first(&|port| port.dtype.is_float() && flat(port))
        .or_else(|| first(&|port| port.dtype == DType::ClassMaps))
        .or_else(label)
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
    let width = feed.width();
    // Before anything is read: a wrong width is the usual mistake.
    let shape =
        shape_of(port, rows.len(), width).ok_or_else(|| mismatch(context, graph, port, &format!("{width} columns")))?;
    let data = match feed {
        Feed::Table { table, columns } => {
            if let Some(given) = table.unfit(columns, port.dtype) {
                return Err(mismatch(context, graph, port, &given));
            }
            table.read(columns, rows, port.dtype, ids)?
        }
        Feed::Stage { rows: source } => {
            let mut values = Vec::with_capacity(rows.len() * width);
            for &row in rows {
                values.extend_from_slice(&source.values[row as usize * width..(row as usize + 1) * width]);
            }
            match port.dtype {
                DType::F32 => Data::F32(values),
                DType::F64 => Data::F64(values.into_iter().map(f64::from).collect()),
                DType::F16 => Data::F16(values.into_iter().map(f16::from_f32).collect()),
                _ => return Err(mismatch(context, graph, port, "f32, a stage's output")),
            }
        }
    };
    Ok(Tensor { shape, data })
}

fn shaped(
    context: &Context<'_>,
    graph: &str,
    port: &Port,
    data: Option<Data>,
    n_rows: usize,
    width: usize,
) -> Result<Tensor, InferError> {
    let data = data.ok_or_else(|| mismatch(context, graph, port, "floats, a transform's output"))?;
    let shape =
        shape_of(port, n_rows, width).ok_or_else(|| mismatch(context, graph, port, &format!("{width} columns")))?;
    Ok(Tensor { shape, data })
}

fn floats(values: Vec<f64>, dtype: DType) -> Option<Data> {
    Some(match dtype {
        DType::F32 => Data::F32(values.into_iter().map(|x| x as f32).collect()),
        DType::F64 => Data::F64(values),
        DType::F16 => Data::F16(values.into_iter().map(f16::from_f64).collect()),
        _ => return None,
    })
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

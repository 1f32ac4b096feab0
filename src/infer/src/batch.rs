//! One batch of rows through one graph: transforms first, padded where a graph fixes its rows, the output checked.

use crate::{
    average,
    buffer::Buffer,
    engine::{DType, Data, Engine, GraphSource, Place, Port, Session, Tensor},
    error::{EngineError, InferError},
    feed::{Inputs, fit},
    plan::{Graph, StagePlan},
    pool::Pool,
};
use blend_core::{Fingerprint, OutputKind, RowIndex, manifest::Average};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};

/// The averaged output of a stage over the rows of one split, row-major.
#[derive(Debug, PartialEq)]
pub(crate) struct StageRows {
    pub(crate) width: usize,
    pub(crate) values: Buffer<f32>,
    /// Whether a row was predicted by any graph; the values of the others are NaN.
    pub(crate) predicted: Vec<bool>,
}

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
    /// Of each input the transform before it.
    transforms: Vec<Option<Loaded<'a>>>,
    /// How long loading took.
    pub(crate) loaded_in: Duration,
}

/// Row-major values, ready to be averaged: as they came where they are averaged like that.
#[derive(Debug)]
pub(crate) enum Values {
    F32(Vec<f32>),
    F64(Vec<f64>),
}

/// What a batch gave.
pub(crate) struct Ran {
    pub(crate) values: Values,
    /// Outputs per row.
    pub(crate) width: usize,
    /// How long the sessions ran.
    pub(crate) ran_in: Duration,
}

impl Values {
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::F32(values) => values.len(),
            Self::F64(values) => values.len(),
        }
    }
}

impl<'a> Runner<'a> {
    /// Loads graph number `graph` of the stage.
    pub(crate) fn load(context: &'a Context<'a>, graph: usize) -> Result<Self, InferError> {
        let start = Instant::now();
        let plan = context.plan;
        let it = &plan.graphs[graph];
        let main = Loaded::new(context, it, plan.stage.output.as_deref(), Some(plan.kind))?;
        let before = |port: &Port| plan.transform_of[graph].get(&port.name);
        let load = |port| before(port).map(|&at| Loaded::new(context, &plan.transforms[at], None, None)).transpose();
        let transforms = it.scan.inputs.iter().map(load).collect::<Result<_, _>>()?;
        Ok(Self { context, main, transforms, loaded_in: start.elapsed() })
    }

    /// Runs the graph over `rows`, of which `inputs` were built: values ready to be averaged.
    pub(crate) fn run(&mut self, inputs: Inputs, rows: &[u32], ids: &RowIndex, pool: &Pool) -> Result<Ran, InferError> {
        let (context, graph) = (self.context, self.main.graph);
        let n = inputs.n_rows;
        let mut ran_in = Duration::ZERO;
        let mut fed = Vec::with_capacity(inputs.tensors.len());
        for ((port, tensor), transform) in graph.scan.inputs.iter().zip(inputs.tensors).zip(&mut self.transforms) {
            let tensor = match transform {
                None => tensor,
                Some(transform) => {
                    let before = [(transform.graph.scan.inputs[0].name.as_str(), tensor)];
                    let start = Instant::now();
                    let made = transform.tensor(context, &before, n, pool)?;
                    ran_in += start.elapsed();
                    before.into_iter().for_each(|(_, tensor)| pool.give(tensor));
                    fit(made, port).map_err(|given| mismatch(context, &graph.name, port, &given))?
                }
            };
            fed.push((port.name.as_str(), tensor));
        }
        let start = Instant::now();
        let (data, width) = self.main.run(context, &fed, n, pool)?;
        ran_in += start.elapsed();
        fed.into_iter().for_each(|(_, tensor)| pool.give(tensor));
        let values = self.ready(data, width, rows, ids)?;
        Ok(Ran { values, width, ran_in })
    }

    /// Refuses what is not finite, and turns the rest into what is averaged.
    fn ready(&self, data: Data, width: usize, rows: &[u32], ids: &RowIndex) -> Result<Values, InferError> {
        let context = self.context;
        let (model, graph) = (|| context.model.to_owned(), || self.main.graph.name.clone());
        let id = |at: usize| ids.id(rows[at / width] as usize).into_owned();
        let not_finite = |at: usize, value| InferError::NotFinite {
            model: model(),
            graph: graph(),
            id: id(at),
            output: at % width,
            value,
        };
        let emitted = context.plan.kind;
        match data {
            Data::F32(values) if average::is_plain(emitted, context.average) => {
                match position(&values, |value| !value.is_finite()) {
                    Some(at) => Err(not_finite(at, f64::from(values[at]))),
                    None => Ok(Values::F32(values)),
                }
            }
            data => {
                let numbers = data.to_f64();
                let mut values = numbers.ok_or_else(|| InferError::Bug("an output of numbers is none".to_owned()))?;
                if let Some(at) = position(&values, |value| !value.is_finite()) {
                    return Err(not_finite(at, values[at]));
                }
                average::enter(&mut values, width, emitted, context.average).map_err(|error| {
                    InferError::NoProbability { model: model(), graph: graph(), id: id(error.at), value: error.value }
                })?;
                Ok(Values::F64(values))
            }
        }
    }
}

/// Where the first value is that `bad` finds; whole blocks without one are passed over at once.
pub(crate) fn position<T: Copy>(values: &[T], bad: impl Fn(T) -> bool) -> Option<usize> {
    const BLOCK: usize = 1024;
    let any = |block: &[T]| block.iter().fold(false, |any, &value| any | bad(value));
    let block = values.chunks(BLOCK).position(any)?;
    values[block * BLOCK..].iter().position(|&value| bad(value)).map(|at| block * BLOCK + at)
}

impl<'a> Loaded<'a> {
    fn new(
        context: &Context<'a>,
        graph: &'a Graph,
        output: Option<&str>,
        kind: Option<OutputKind>,
    ) -> Result<Self, InferError> {
        let bytes = match &graph.held {
            Some(held) => Arc::clone(held),
            None => {
                let read = std::fs::read(&graph.path);
                let bytes = read.map_err(|source| InferError::Io { path: graph.path.clone(), source })?;
                // What was looked into is what runs.
                if Fingerprint::of(&bytes) != graph.fingerprint {
                    return Err(InferError::Changed { model: context.model.to_owned(), path: graph.path.clone() });
                }
                Arc::new(bytes)
            }
        };
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
        pool: &Pool,
    ) -> Result<(Data, usize), InferError> {
        let tensor = self.tensor(context, inputs, n, pool)?;
        let width = match tensor.shape[..] {
            [_] => 1,
            [_, width] if width > 0 => width,
            _ => return Err(self.shape_error(context, &tensor, format!("({n},) or ({n}, n_outputs)"))),
        };
        if matches!(tensor.data, Data::Bool(_) | Data::Text(_)) {
            return Err(self.shape_error(context, &tensor, "numbers".to_owned()));
        }
        Ok((tensor.data, width))
    }

    /// Runs `n` rows, in as many runs as the graph's own number of rows asks for: a tensor of `n` rows.
    fn tensor(
        &mut self,
        context: &Context<'_>,
        inputs: &[(&str, Tensor)],
        n: usize,
        pool: &Pool,
    ) -> Result<Tensor, InferError> {
        let Some(fixed) = self.fixed_rows() else { return self.run_once(context, inputs, [n; 2], pool) };
        let mut all: Option<Tensor> = None;
        for start in (0..n).step_by(fixed) {
            let rows = fixed.min(n - start);
            let part: Vec<(&str, Tensor)> =
                inputs.iter().map(|(name, tensor)| (*name, tensor.rows(start, rows, fixed))).collect();
            let more = self.run_once(context, &part, [fixed, rows], pool)?;
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
        [fed, wanted]: [usize; 2],
        pool: &Pool,
    ) -> Result<Tensor, InferError> {
        let ran = self.session.run(inputs, self.output, pool);
        let mut tensor = ran.map_err(|source| engine_error(context, self.graph, source))?;
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

pub(crate) fn mismatch(context: &Context<'_>, graph: &str, port: &Port, given: &str) -> InferError {
    InferError::InputMismatch {
        model: context.model.to_owned(),
        graph: graph.to_owned(),
        input: port.name.clone(),
        expected: port.to_string().into(),
        given: given.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn port(dtype: DType, dims: &[Option<usize>]) -> Port {
        Port { name: "x".into(), dtype, dims: Some(dims.to_vec()) }
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

    #[test]
    fn the_first_bad_value_is_found_wherever_it_is() {
        let mut values = vec![0.0_f32; 5000];
        assert_eq!(position(&values, |value| !value.is_finite()), None);
        for at in [4999, 3000, 1024, 1023, 0] {
            values[at] = f32::NAN;
            assert_eq!(position(&values, |value| !value.is_finite()), Some(at));
        }
    }
}

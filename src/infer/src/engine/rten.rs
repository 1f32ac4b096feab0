//! The embedded engine: `rten`, pure Rust, CPU only. It knows f32 and i32 (f64 and f16 are converted, i64 and booleans
//! go in as i32) and none of `ai.onnx.ml`.

use super::{Data, Engine, GraphSource, Place, Port, Session, Tensor, guarded};
use crate::{error::EngineError, pool::Pool};
use rten::{
    DataType, LoadErrorKind, Model, ModelOptions, NodeId, RunOptions, ThreadPool, Value, ValueOrView, ValueType,
};
use rten_tensor::{AsView, Layout};
use std::{error::Error, sync::Arc};

/// Its name.
pub(crate) const NAME: &str = "rten";
/// The version that this program was built with (kept equal to the lock file by a test).
pub(crate) const VERSION: &str = "0.27.0";

/// Makes sessions of the embedded engine.
#[derive(Debug)]
pub(crate) struct RtenEngine;

struct RtenSession {
    model: Model,
    inputs: Vec<Port>,
    outputs: Vec<Port>,
    input_ids: Vec<NodeId>,
    output_ids: Vec<NodeId>,
    pool: Arc<ThreadPool>,
}

impl Engine for RtenEngine {
    fn load(&self, graph: GraphSource<'_>, threads: usize, place: Place) -> Result<Box<dyn Session>, EngineError> {
        if let Place::Cuda { index, .. } = place {
            return Err(EngineError::Device {
                device: format!("cuda:{index}"),
                message: "the embedded engine runs on the CPU only".to_owned(),
            });
        }
        guarded(NAME, || load(graph, threads))
    }
}

fn load(graph: GraphSource<'_>, threads: usize) -> Result<Box<dyn Session>, EngineError> {
    let pool = Arc::new(ThreadPool::with_num_threads(threads.max(1)));
    let mut external_data = Vec::new();
    let folder = graph.path.parent().unwrap_or_else(|| std::path::Path::new("."));
    for external in &graph.scan.external {
        let bytes = std::fs::read(folder.join(external))
            .map_err(|error| EngineError::Load { engine: NAME, message: format!("{external}: {error}") })?;
        external_data.push((external, bytes));
    }
    // Constant folding runs kernels: keep it on our threads, too.
    let model = pool.run(|| {
        let mut options = ModelOptions::with_all_ops();
        for (name, bytes) in external_data {
            options.external_data(name, bytes);
        }
        options.load(graph.bytes.to_vec()).map_err(|error| {
            let message = chain(&error);
            match error.kind() {
                // The scan has already walked the file, so an operator that cannot be read is one that is not there.
                LoadErrorKind::OperatorInvalid => EngineError::Unsupported { message },
                // It takes external data by the usual names only.
                LoadErrorKind::ExternalDataError if message.contains("disallowed") => {
                    EngineError::Unsupported { message }
                }
                LoadErrorKind::GraphError if message.contains("unsupported") => EngineError::Unsupported { message },
                _ => EngineError::Load { engine: NAME, message },
            }
        })
    })?;
    let port = |id: NodeId, declared: &[Port]| {
        let name = model.node_info(id).and_then(|info| info.name().map(ToOwned::to_owned)).unwrap_or_default();
        declared.iter().find(|port| port.name == name).cloned().ok_or_else(|| EngineError::Load {
            engine: NAME,
            message: format!("`{name}` is not among the graph's inputs and outputs"),
        })
    };
    let (input_ids, output_ids) = (model.input_ids().to_vec(), model.output_ids().to_vec());
    let inputs = input_ids.iter().map(|&id| port(id, &graph.scan.inputs)).collect::<Result<_, _>>()?;
    let outputs = output_ids.iter().map(|&id| port(id, &graph.scan.outputs)).collect::<Result<_, _>>()?;
    Ok(Box::new(RtenSession { model, inputs, outputs, input_ids, output_ids, pool }))
}

impl RtenSession {
    /// The value in the type that the engine wants at `id`, whatever the file declares.
    fn value(&self, id: NodeId, tensor: &Tensor) -> Result<Value, EngineError> {
        let wants_int =
            matches!(self.model.node_info(id).and_then(|info| info.dtype()), Some(ValueType::Tensor(DataType::Int32)));
        let shape = tensor.shape.as_slice();
        let value = match &tensor.data {
            Data::Text(_) => return Err(unsupported("text tensors")),
            Data::I64(v) if wants_int => ints(shape, v.iter().map(|&x| i32::try_from(x).ok()))?,
            Data::I32(v) if wants_int => ints(shape, v.iter().map(|&x| Some(x)))?,
            Data::Bool(v) => ints(shape, v.iter().map(|&x| Some(i32::from(x))))?,
            data => {
                let floats = match data {
                    Data::F32(v) => v.clone(),
                    data => data.to_f64().unwrap_or_default().into_iter().map(|x| x as f32).collect(),
                };
                Value::from_shape(shape, floats).map_err(|error| run_error(&error))?
            }
        };
        Ok(value)
    }
}

fn ints(shape: &[usize], values: impl Iterator<Item = Option<i32>>) -> Result<Value, EngineError> {
    let values: Option<Vec<i32>> = values.collect();
    let values = values.ok_or_else(|| unsupported("whole numbers beyond 32 bits"))?;
    Value::from_shape(shape, values).map_err(|error| run_error(&error))
}

impl Session for RtenSession {
    fn inputs(&self) -> &[Port] {
        &self.inputs
    }

    fn outputs(&self) -> &[Port] {
        &self.outputs
    }

    fn run(&mut self, inputs: &[(&str, Tensor)], output: usize, _: &Pool) -> Result<Tensor, EngineError> {
        guarded(NAME, || {
            let mut fed: Vec<(NodeId, ValueOrView<'_>)> = Vec::with_capacity(inputs.len());
            for (port, &id) in self.inputs.iter().zip(&self.input_ids) {
                if let Some((_, tensor)) = inputs.iter().find(|(name, _)| *name == port.name) {
                    fed.push((id, self.value(id, tensor)?.into()));
                }
            }
            let options = RunOptions::default().with_thread_pool(Some(Arc::clone(&self.pool)));
            let mut values =
                self.model.run(fed, &[self.output_ids[output]], Some(options)).map_err(|error| run_error(&error))?;
            let value = values.pop().ok_or_else(|| unsupported("a graph without outputs"))?;
            let shape = value.shape().to_vec();
            let data = match value {
                Value::FloatTensor(tensor) => Data::F32(tensor.to_vec()),
                Value::Int32Tensor(tensor) => Data::I32(tensor.to_vec()),
                Value::Int8Tensor(tensor) => Data::I32(tensor.to_vec().into_iter().map(i32::from).collect()),
                Value::UInt8Tensor(tensor) => Data::I32(tensor.to_vec().into_iter().map(i32::from).collect()),
                _ => return Err(unsupported("an output that is no tensor")),
            };
            Ok(Tensor { shape, data })
        })
    }
}

fn unsupported(what: &str) -> EngineError {
    EngineError::Unsupported { message: format!("{what} are not supported") }
}

fn run_error(error: &dyn Error) -> EngineError {
    EngineError::Run { engine: NAME, message: chain(error) }
}

/// The error and what is behind it, in one line.
fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let more = cause.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        next = cause.source();
    }
    text
}

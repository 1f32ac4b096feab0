//! ONNX Runtime through `ort`, loaded at run time.
//!
//! A process holds at most one library and one environment. `ort::init_from` is the only way in: the bare `ort::init`
//! panics where there is no library.

use super::{DType, Data, Engine, GraphSource, Place, Port, Session, Tensor, guarded};
use crate::{error::EngineError, pool::Pool};
use half::f16;
use ort::{
    environment::Environment,
    ep::{self, ExecutionProvider},
    logging::LogLevel,
    session::{RunOptions, SessionInputValue, builder::SessionBuilder},
    value::{DynMapValueType, DynSequenceValueType, DynValue, TensorElementType, TensorRef, Value, ValueType},
};
use std::{
    error::Error,
    path::{Path, PathBuf},
    sync::{Mutex, OnceLock, PoisonError},
};

/// Its name.
pub(crate) const NAME: &str = "onnxruntime";

static LOADED: OnceLock<OrtEngine> = OnceLock::new();
static LOADING: Mutex<()> = Mutex::new(());

/// A loaded library and its environment.
#[derive(Debug)]
pub(crate) struct OrtEngine {
    environment: Environment,
    pub(crate) path: PathBuf,
    pub(crate) version: String,
}

/// Loads the library at `path` (a bare file name is looked for by the system's loader) and gives the process's engine.
///
/// Errors with one line: the loader's text, a version below 1.24, or another library that is already in this process.
pub(crate) fn open(path: &Path) -> Result<&'static OrtEngine, String> {
    let _one_at_a_time = LOADING.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(engine) = LOADED.get() {
        let same = engine.path == path;
        return if same { Ok(engine) } else { Err(format!("{} is already loaded", engine.path.display())) };
    }
    let builder = guarded(NAME, || {
        ort::init_from(path).map_err(|error| EngineError::Load { engine: NAME, message: load_text(&error) })
    });
    let builder = builder.map_err(|error| message(&error))?;
    let environment = guarded(NAME, || {
        let environment =
            builder.with_name("blend").with_telemetry(false).build().map_err(|error| load_error(&error))?;
        // Its information log is a line per graph rewrite; formatting that costs more than it tells.
        environment.set_log_level(LogLevel::Warning);
        Ok(environment)
    });
    let environment = environment.map_err(|error| message(&error))?;
    let engine = OrtEngine { environment, path: path.to_owned(), version: version(path) };
    tracing::debug!(path = %engine.path.display(), version = %engine.version, "onnxruntime loaded");
    Ok(LOADED.get_or_init(|| engine))
}

/// The message without its frame, for lists of candidates.
fn message(error: &EngineError) -> String {
    match error {
        EngineError::Load { message, .. } | EngineError::Panicked { message, .. } => message.clone(),
        other => other.to_string(),
    }
}

/// The loader's own text, which the error's display hides.
fn load_text(error: &ort::LoadDynamicError) -> String {
    match error {
        ort::LoadDynamicError::Dlopen { error, .. } => {
            error.source().map_or_else(|| error.to_string(), ToString::to_string)
        }
        ort::LoadDynamicError::BadVersion { version_str, .. } => {
            format!("version {version_str} is too old: 1.{}.0 or newer is needed", ort::MINOR_VERSION)
        }
        other => other.to_string(),
    }
}

/// `1.31.1` from `libonnxruntime.so.1.31.1`, `libonnxruntime.1.31.1.dylib` or a link to one; else what the library
/// says, without the patch level.
fn version(path: &Path) -> String {
    let real = std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let name = real.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let digits = name.trim_start_matches(|c: char| !c.is_ascii_digit()).trim_end_matches(".dylib");
    if digits.split('.').count() == 3 && digits.split('.').all(|part| part.parse::<u32>().is_ok()) {
        return digits.to_owned();
    }
    ort::util::probe(path).map_or_else(|| "unknown".to_owned(), |minor| format!("1.{minor}"))
}

/// An execution provider that is only asked for by name.
macro_rules! provider_name {
    ($type:ident, $name:literal) => {
        struct $type;
        impl ExecutionProvider for $type {
            const NAME: &'static str = $name;
            fn register(&self, _: &mut SessionBuilder) -> ort::Result<()> {
                Ok(())
            }
        }
    };
}
provider_name!(TensorRt, "TensorrtExecutionProvider");
provider_name!(CoreMl, "CoreMLExecutionProvider");
provider_name!(Rocm, "ROCMExecutionProvider");
provider_name!(OpenVino, "OpenVINOExecutionProvider");
provider_name!(OneDnn, "DnnlExecutionProvider");
provider_name!(Xnnpack, "XnnpackExecutionProvider");

impl OrtEngine {
    /// The providers compiled into the library, whether or not this machine can use them.
    pub(crate) fn providers(&self) -> Vec<String> {
        fn name<E: ExecutionProvider>() -> Option<String> {
            matches!(E::is_available(), Ok(true)).then(|| E::NAME.to_owned())
        }
        [
            name::<ep::CUDA>(),
            name::<TensorRt>(),
            name::<Rocm>(),
            name::<CoreMl>(),
            name::<OpenVino>(),
            name::<OneDnn>(),
            name::<Xnnpack>(),
            name::<ep::CPU>(),
        ]
        .into_iter()
        .flatten()
        .collect()
    }

    /// Whether CUDA is compiled in.
    pub(crate) fn has_cuda(&self) -> bool {
        matches!(ep::CUDA::is_available(), Ok(true))
    }

    fn session(&self, graph: GraphSource<'_>, threads: usize, place: Place) -> ort::Result<ort::session::Session> {
        let mut builder = ort::session::Session::builder(&self.environment)?
            .with_intra_threads(threads.max(1))?
            .with_inter_threads(1)?
            .with_intra_op_spinning(false)?
            .with_log_level(LogLevel::Warning)?;
        builder = match place {
            Place::Cpu => builder.with_execution_providers([ep::CPU::default().with_arena_allocator(true).build()])?,
            Place::Cuda { index, strict } => {
                // TF32 rounds inputs to ten bits; outputs must stay within the tolerance of a CPU run.
                let cuda = ep::CUDA::default().with_device_id(index as i32).with_tf32(false);
                builder = builder
                    .with_deterministic_compute(true)?
                    .with_execution_providers([cuda.build().error_on_failure()])?;
                if strict { builder.with_disable_cpu_fallback()? } else { builder }
            }
        };
        // From memory, so that what was scanned and hashed is what runs; a graph with external data needs its folder.
        if graph.scan.external.is_empty() {
            builder.commit_from_memory(graph.bytes)
        } else {
            builder.commit_from_file(graph.path)
        }
    }
}

impl Engine for &'static OrtEngine {
    fn load(&self, graph: GraphSource<'_>, threads: usize, place: Place) -> Result<Box<dyn Session>, EngineError> {
        guarded(NAME, || {
            let session = self.session(graph, threads, place).map_err(|error| match place {
                Place::Cpu => load_error(&error),
                Place::Cuda { index, .. } => {
                    EngineError::Device { device: format!("cuda:{index}"), message: one_line(error.message()) }
                }
            })?;
            let inputs = session.inputs().iter().map(|outlet| port(outlet.name(), outlet.dtype())).collect();
            let outputs = session.outputs().iter().map(|outlet| port(outlet.name(), outlet.dtype())).collect();
            Ok(Box::new(OrtSession { session, inputs, outputs }) as Box<dyn Session>)
        })
    }
}

struct OrtSession {
    session: ort::session::Session,
    inputs: Vec<Port>,
    outputs: Vec<Port>,
}

impl Session for OrtSession {
    fn inputs(&self) -> &[Port] {
        &self.inputs
    }

    fn outputs(&self) -> &[Port] {
        &self.outputs
    }

    fn run(&mut self, inputs: &[(&str, Tensor)], output: usize, pool: &Pool) -> Result<Tensor, EngineError> {
        let wanted = &self.outputs[output];
        let session = &mut self.session;
        guarded(NAME, || {
            let fed = inputs.iter().map(|(name, tensor)| Ok((*name, feed(tensor)?))).collect::<ort::Result<Vec<_>>>();
            let fed = fed.map_err(|error| run_error(&error))?;
            let selector = ort::session::OutputSelector::no_default().with(&wanted.name);
            let options = RunOptions::new().map_err(|error| run_error(&error))?.with_outputs(selector);
            let mut outputs = session.run_with_options(fed, &options).map_err(|error| run_error(&error))?;
            let value = outputs.remove(&wanted.name).ok_or_else(|| EngineError::Run {
                engine: NAME,
                message: format!("output `{}` did not come", wanted.name),
            })?;
            if wanted.dtype == DType::ClassMaps { class_maps(value) } else { tensor(&value, pool) }
        })
    }
}

fn feed(tensor: &Tensor) -> ort::Result<SessionInputValue<'_>> {
    let shape: Vec<i64> = tensor.shape.iter().map(|&n| n as i64).collect();
    Ok(match &tensor.data {
        Data::F32(v) => TensorRef::from_array_view((shape, v.as_slice()))?.into(),
        Data::F64(v) => TensorRef::from_array_view((shape, v.as_slice()))?.into(),
        Data::F16(v) => TensorRef::from_array_view((shape, v.as_slice()))?.into(),
        Data::I64(v) => TensorRef::from_array_view((shape, v.as_slice()))?.into(),
        Data::I32(v) => TensorRef::from_array_view((shape, v.as_slice()))?.into(),
        Data::Bool(v) => TensorRef::from_array_view((shape, v.as_slice()))?.into(),
        Data::Text(v) => ort::value::Tensor::from_string_array((shape, v.as_slice()))?.into(),
    })
}

fn tensor(value: &DynValue, pool: &Pool) -> Result<Tensor, EngineError> {
    let ValueType::Tensor { ty, .. } = value.dtype() else {
        return Err(EngineError::Run { engine: NAME, message: format!("{} is no tensor", value.dtype()) });
    };
    macro_rules! take {
        ($variant:ident, $type:ty) => {
            take!($variant, $type, <[$type]>::to_vec)
        };
        ($variant:ident, $type:ty, $copy:expr) => {{
            let (shape, data) = value.try_extract_tensor::<$type>().map_err(|error| run_error(&error))?;
            (shape.iter().map(|&n| n as usize).collect(), Data::$variant($copy(data)))
        }};
    }
    let (shape, data) = match ty {
        TensorElementType::Float32 => take!(F32, f32, |data| pool.copy(data)),
        TensorElementType::Float64 => take!(F64, f64),
        TensorElementType::Float16 => take!(F16, f16),
        TensorElementType::Int64 => take!(I64, i64),
        TensorElementType::Int32 => take!(I32, i32),
        TensorElementType::Bool => take!(Bool, bool),
        other => {
            return Err(EngineError::Run {
                engine: NAME,
                message: format!("an output of type {other} cannot be taken"),
            });
        }
    };
    Ok(Tensor { shape, data })
}

/// `sequence<map<class, probability>>`, one map per row, as `(n_rows, n_classes)` in ascending order of the class.
fn class_maps(value: DynValue) -> Result<Tensor, EngineError> {
    let fail = |message: &str| EngineError::Run { engine: NAME, message: message.to_owned() };
    let sequence = value.downcast::<DynSequenceValueType>().map_err(|error| run_error(&error))?;
    let maps = sequence.try_extract_sequence::<DynMapValueType>().map_err(|error| run_error(&error))?;
    let rows = maps.iter().map(class_map).collect::<Result<Vec<_>, _>>()?;
    let classes: Vec<Class> =
        rows.first().map(|row| row.iter().map(|(class, _)| class.clone()).collect()).unwrap_or_default();
    let mut data = Vec::with_capacity(rows.len() * classes.len());
    for row in &rows {
        if row.len() != classes.len() || row.iter().zip(&classes).any(|((class, _), wanted)| class != wanted) {
            return Err(fail("rows have different classes"));
        }
        data.extend(row.iter().map(|(_, probability)| *probability));
    }
    Ok(Tensor { shape: vec![rows.len(), classes.len()], data: Data::F32(data) })
}

/// A class of a classifier: numbers before texts, each ascending.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Class {
    Number(i64),
    Text(String),
}

fn class_map(map: &Value<DynMapValueType>) -> Result<Vec<(Class, f32)>, EngineError> {
    let ValueType::Map { key, value } = map.dtype() else {
        return Err(EngineError::Run { engine: NAME, message: format!("{} is no map", map.dtype()) });
    };
    let mut pairs: Vec<(Class, f32)> = match (key, value) {
        (TensorElementType::Int64, TensorElementType::Float32) => {
            let pairs = map.try_extract_key_values::<i64, f32>().map_err(|error| run_error(&error))?;
            pairs.into_iter().map(|(class, p)| (Class::Number(class), p)).collect()
        }
        (TensorElementType::String, TensorElementType::Float32) => {
            let pairs = map.try_extract_key_values::<String, f32>().map_err(|error| run_error(&error))?;
            pairs.into_iter().map(|(class, p)| (Class::Text(class), p)).collect()
        }
        _ => {
            return Err(EngineError::Run { engine: NAME, message: format!("{} cannot be taken", map.dtype()) });
        }
    };
    pairs.sort_by(|a, b| a.0.cmp(&b.0));
    Ok(pairs)
}

fn port(name: &str, dtype: &ValueType) -> Port {
    let (dtype, dims) = match dtype {
        ValueType::Tensor { ty, shape, .. } => {
            // A graph that declares no shape looks like a scalar here; nothing of ours feeds or takes scalars.
            let dims: Vec<Option<usize>> = shape.iter().map(|&n| usize::try_from(n).ok()).collect();
            (element(*ty), (!dims.is_empty()).then_some(dims))
        }
        ValueType::Sequence(inner) if inner.is_map() => (DType::ClassMaps, None),
        ValueType::Sequence(_) => (DType::Other("sequence"), None),
        ValueType::Map { .. } => (DType::Other("map"), None),
        ValueType::Optional(_) => (DType::Other("optional"), None),
    };
    Port { name: name.to_owned(), dtype, dims }
}

fn element(ty: TensorElementType) -> DType {
    match ty {
        TensorElementType::Float32 => DType::F32,
        TensorElementType::Float64 => DType::F64,
        TensorElementType::Float16 => DType::F16,
        TensorElementType::Int64 => DType::I64,
        TensorElementType::Int32 => DType::I32,
        TensorElementType::Bool => DType::Bool,
        TensorElementType::String => DType::Text,
        TensorElementType::Uint8 => DType::Other("uint8"),
        TensorElementType::Int8 => DType::Other("int8"),
        TensorElementType::Bfloat16 => DType::Other("bfloat16"),
        _ => DType::Other("an unsupported type"),
    }
}

fn load_error(error: &ort::Error) -> EngineError {
    EngineError::Load { engine: NAME, message: one_line(error.message()) }
}

fn run_error(error: &ort::Error) -> EngineError {
    EngineError::Run { engine: NAME, message: one_line(error.message()) }
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

//! A graph that is a metric: `truth` and `prediction` go in, its first output is one score or a loss per row.

use crate::{
    engine::{DType, Data, GraphSource, Place, Port, Session, Tensor},
    error::{EngineError, Kind},
    pool::Pool,
    runtime::Runtime,
    scan::{Limits, ScanFileError, scan_file},
};
use blend_core::{Block, Fingerprint, scorer::Scorer};
use std::{
    path::Path,
    sync::mpsc::{Receiver, Sender, channel},
    thread,
};

/// Names of what a metric's graph is fed.
pub const INPUTS: [&str; 2] = ["truth", "prediction"];

/// A loaded graph. A thread of its own computes it, value after value, so that the same bits come out however many
/// threads ask; and a thread of a pool that waits for it is not lent to another question meanwhile, which would wait for
/// itself.
pub struct MetricGraph {
    questions: Sender<Question>,
    /// In the order of [`INPUTS`].
    ports: [Port; 2],
    fingerprint: Fingerprint,
}

struct Question {
    inputs: [(&'static str, Tensor); 2],
    answer: Sender<Result<Vec<f64>, String>>,
}

/// Answers until nobody can ask any more.
fn answer(mut session: Box<dyn Session>, questions: &Receiver<Question>) {
    for question in questions {
        let output = session.run(&question.inputs, 0, &Pool::default()).map_err(|error| error.to_string());
        let values = output.and_then(|output| {
            output.data.to_f64().ok_or_else(|| format!("the graph gives {}, no numbers", output.data.dtype()))
        });
        // Who asked may have gone.
        let _ = question.answer.send(values);
    }
}

/// Why a graph is no metric.
#[derive(Debug, thiserror::Error)]
pub enum MetricGraphError {
    /// It cannot be read, or is refused before an engine sees it.
    #[error(transparent)]
    Scan(#[from] ScanFileError),
    /// The engine does not take it.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// Other inputs than truth and prediction.
    #[error("a metric's graph takes `truth` and `prediction`; this one takes {0}")]
    Inputs(String),
    /// An input of a type that no number becomes.
    #[error("input `{name}` is {port}: f32, f64, i64 or i32 is wanted, of one or two dimensions")]
    Port {
        /// The input.
        name: &'static str,
        /// Its type and shape.
        port: String,
    },
}

impl MetricGraphError {
    /// Whose turn it is.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            Self::Scan(ScanFileError::Io { .. }) => Kind::Machine,
            _ => Kind::Data,
        }
    }
}

impl MetricGraph {
    /// Scans and loads the graph at `path`.
    pub fn open(runtime: &Runtime, path: &Path) -> Result<Self, MetricGraphError> {
        let (scan, bytes) = scan_file(path, &[], Limits::default())?;
        let source = GraphSource { path, bytes: &bytes, scan: &scan };
        let session = runtime.engine().load(source, 1, Place::Cpu)?;
        let find = |name: &str| session.inputs().iter().find(|port| port.name == name).cloned();
        let ports = match (find(INPUTS[0]), find(INPUTS[1]), session.inputs().len()) {
            (Some(truth), Some(prediction), 2) => [truth, prediction],
            _ => {
                let names: Vec<String> = session.inputs().iter().map(|port| format!("`{}`", port.name)).collect();
                return Err(MetricGraphError::Inputs(names.join(", ")));
            }
        };
        for (name, port) in INPUTS.into_iter().zip(&ports) {
            let known = matches!(port.dtype, DType::F32 | DType::F64 | DType::I64 | DType::I32);
            if !known || port.dims.as_ref().is_some_and(|dims| !(1..=2).contains(&dims.len())) {
                return Err(MetricGraphError::Port { name, port: port.to_string() });
            }
        }
        let (questions, asked) = channel();
        thread::spawn(move || answer(session, &asked));
        Ok(Self { questions, ports, fingerprint: Fingerprint::of(&bytes) })
    }

    /// Of the graph's bytes.
    #[must_use]
    pub fn fingerprint(&self) -> Fingerprint {
        self.fingerprint
    }
}

impl Scorer for MetricGraph {
    fn values(&self, truth: &Block, prediction: &Block) -> Result<Vec<f64>, String> {
        let [of_truth, of_prediction] = &self.ports;
        let inputs = [(INPUTS[0], tensor(of_truth, truth)?), (INPUTS[1], tensor(of_prediction, prediction)?)];
        let (answer, answered) = channel();
        let lost = || "the engine ended while it computed the metric".to_owned();
        self.questions.send(Question { inputs, answer }).map_err(|_| lost())?;
        answered.recv().map_err(|_| lost())?
    }
}

/// A block as the port wants it: a row of the tensor for each row, or a plain vector.
fn tensor(port: &Port, block: &Block) -> Result<Tensor, String> {
    let (n_rows, n_outputs) = (block.n_rows(), block.n_outputs());
    let flat = port.dims.as_ref().is_some_and(|dims| dims.len() == 1);
    if flat && n_outputs != 1 {
        return Err(format!("input `{}` has one dimension, there are {n_outputs} columns", port.name));
    }
    let values = (0..n_rows).flat_map(|row| (0..n_outputs).map(move |output| block.get(output, row)));
    let data = match port.dtype {
        DType::F64 => Data::F64(values.collect()),
        DType::I64 => Data::I64(values.map(|x| x as i64).collect()),
        DType::I32 => Data::I32(values.map(|x| x as i32).collect()),
        _ => Data::F32(values.map(|x| x as f32).collect()),
    };
    let shape = if flat { vec![n_rows] } else { vec![n_rows, n_outputs] };
    Ok(Tensor { shape, data })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::{EngineChoice, Search};

    fn open(name: &str) -> Result<MetricGraph, MetricGraphError> {
        let runtime = Runtime::open(&Search { engine: Some(EngineChoice::Rten), ..Search::default() }).unwrap();
        MetricGraph::open(&runtime, &Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/graphs").join(name))
    }

    #[test]
    fn rows_or_one_score_come_out() {
        let truth = Block::from_columns(&[vec![1.0, 2.0, 3.0]]);
        let prediction = Block::from_columns(&[vec![1.5, 2.0, 1.0]]);
        let rows = open("metric_rows.onnx").unwrap();
        assert_eq!(rows.values(&truth, &prediction).unwrap(), [0.25, 0.0, 4.0]);
        let score = open("metric_score.onnx").unwrap();
        assert_eq!(score.values(&truth, &prediction).unwrap(), [2.0]);
        assert_ne!(rows.fingerprint(), score.fingerprint());
    }

    #[test]
    fn other_graphs_are_refused() {
        assert!(matches!(open("times_ten.onnx"), Err(MetricGraphError::Inputs(names)) if names == "`m`"));
        let absent = open("absent.onnx").err().unwrap();
        assert_eq!(absent.kind(), Kind::Machine);
    }
}

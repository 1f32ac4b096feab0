//! A base model as its `model.yaml` describes it, checked.

use crate::{
    fingerprint::Fingerprint,
    id::ModelId,
    output::{Encoding, OutputKind},
};
use std::{collections::BTreeMap, path::PathBuf, str::FromStr};

/// A base model: what its graphs emit, how they are run and where its inputs lie. Paths are absolute or relative to
/// the current folder, already checked to stay where they may.
#[derive(Debug, Clone, PartialEq)]
pub struct Manifest {
    /// Its name, also its folder's.
    pub model: ModelId,
    /// Its folder.
    pub folder: PathBuf,
    /// What the last stage's graphs emit.
    pub encoding: Encoding,
    /// What is averaged over seeds and folds, stored, and fed to the next stage.
    pub average: Average,
    /// The score its authors state.
    pub claimed: Option<Claimed>,
    /// The command that makes the graphs, of a model whose graphs are too large to lie beside its manifest.
    pub export: Option<String>,
    /// Chained graphs; empty for a model whose outputs were imported.
    pub stages: Vec<Stage>,
    /// The fold map, where it is not the competition's; a column `fold_seed{seed}` is a map for each seed.
    pub folds: Option<ColumnFile>,
    /// The fold map that the graphs were trained with: another one is refused. Of maps by seed, the fingerprint of
    /// all of them, see [`Folds::fingerprint_of_all`](crate::folds::Folds::fingerprint_of_all).
    pub folds_fingerprint: Option<Fingerprint>,
    /// Input tables by name.
    pub tables: BTreeMap<String, TableSpec>,
    /// Events of a varying number of pulses, by name.
    pub events: BTreeMap<String, EventsSpec>,
    /// Rows per run of a graph, at least 1.
    pub batch_size: usize,
    /// Number format of the graphs.
    pub precision: Precision,
    /// Operator domains allowed besides the standard ones.
    pub allowed_domains: Vec<String>,
    /// Findings of the audit that are known and accepted: check name and reason.
    pub allow: BTreeMap<String, String>,
}

impl Manifest {
    /// The kind of the stored outputs, after averaging.
    #[must_use]
    pub fn stored_kind(&self) -> OutputKind {
        self.average.stored_kind(self.encoding.kind)
    }

    /// What to type where the graphs are absent, after "graphs absent: ".
    #[must_use]
    pub fn how_to_get_graphs(&self) -> String {
        match &self.export {
            Some(command) => format!("export them with `{command}`"),
            None => "put them there, or correct `graphs:` of its model.yaml".to_owned(),
        }
    }
}

/// What is averaged over seeds and folds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Average {
    /// Probabilities: sigmoid or softmax first where the graph emits logits.
    Probability,
    /// Logits: the logarithm first where the graph emits probabilities.
    Logit,
    /// What the graph emits, as it is.
    Raw,
}

impl Average {
    /// What is stored of a graph that emits `emitted`.
    #[must_use]
    pub fn stored_kind(self, emitted: OutputKind) -> OutputKind {
        match self {
            Self::Probability => emitted.as_probability(),
            Self::Logit => emitted.as_logit(),
            Self::Raw => emitted,
        }
    }
}

/// Number format of a graph's weights and inputs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Precision {
    /// 32-bit.
    #[default]
    F32,
    /// 16-bit.
    F16,
}

/// A score as somebody states it.
#[derive(Debug, Clone, PartialEq)]
pub struct Claimed {
    /// In the metric's unit.
    pub score: f64,
    /// On what, in their words.
    pub scope: String,
}

/// One stage: graphs that are run on the same inputs and averaged.
#[derive(Debug, Clone, PartialEq)]
pub struct Stage {
    /// Its name, by which later stages take its output.
    pub name: String,
    /// File name pattern relative to the model's folder, with `{fold}` and `{seed}` where it has those axes.
    pub graphs: String,
    /// Seeds; empty where the pattern has no `{seed}`.
    pub seeds: Vec<i64>,
    /// Graph input name to what is fed.
    pub inputs: BTreeMap<String, InputSpec>,
    /// The graph's output to take; the first float tensor where not named.
    pub output: Option<String>,
    /// What this stage's graphs emit, where it differs from the model's `output`.
    pub kind: Option<OutputKind>,
    /// The stage's own fold map, where it is not the model's; as [`Manifest::folds`].
    pub folds: Option<ColumnFile>,
    /// As [`Manifest::folds_fingerprint`], of the stage's own map.
    pub folds_fingerprint: Option<Fingerprint>,
}

/// What one graph input is fed with.
#[derive(Debug, Clone, PartialEq)]
pub enum InputSpec {
    /// Columns of a table: all of it, or those named, as one `(batch, n_columns)` tensor; a tensor of rank 1 or
    /// `(batch, 1)` where there is one column.
    Table {
        /// Name in [`Manifest::tables`].
        table: String,
        /// Columns, in order; the table's own choice where absent.
        columns: Option<Vec<String>>,
        /// Sizes of a row's tensor where the graph leaves more than one open: `[3, 48, 192]` of an image, its values
        /// in row-major order over the columns.
        shape: Option<Vec<usize>>,
        /// A graph to run it through first, as that of a stage; `{fold}` and `{seed}` where the stage's graphs have
        /// them.
        transform: Option<String>,
    },
    /// The averaged output of an earlier stage, shape `(batch, n_outputs)`.
    Stage {
        /// Its name.
        stage: String,
        /// A graph to run it through first, relative to the model's folder; `{fold}` and `{seed}` where the stage's
        /// graphs have them.
        transform: Option<String>,
    },
    /// A tensor over the pulses of events, `(batch, n_pulses, ...)`.
    Events {
        /// Name in [`Manifest::events`].
        events: String,
        /// Which.
        tensor: EventTensor,
    },
}

impl InputSpec {
    /// All columns of a table, as they are.
    #[must_use]
    pub fn table(table: impl Into<String>) -> Self {
        Self::Table { table: table.into(), columns: None, shape: None, transform: None }
    }

    /// The graph that it is run through first.
    #[must_use]
    pub fn transform(&self) -> Option<&str> {
        match self {
            Self::Table { transform, .. } | Self::Stage { transform, .. } => transform.as_deref(),
            Self::Events { .. } => None,
        }
    }
}

/// Events: pulses of a detector, several to an event, with the detector's geometry.
#[derive(Debug, Clone, PartialEq)]
pub struct EventsSpec {
    /// Events of the truth.
    pub train: Option<PulseFiles>,
    /// Events of the sample submission.
    pub test: Option<PulseFiles>,
    /// Sensors: `sensor_id`, `x`, `y`, `z` in metres, and `qe` (0 or 1) where it is not the rule of IceCube's strings.
    pub geometry: PathBuf,
    /// Ice: `depth` in metres, scattering and absorption length; needed by the tensors that name them.
    pub ice: Option<PathBuf>,
    /// Pulses that an event keeps, at least 1.
    pub max_pulses: usize,
    /// Seed of the choice where an event has more.
    pub seed: u64,
    /// Whose mistakes are repeated.
    pub compatibility: Compatibility,
    /// Pulses of a batch, padding counted; what suits the device where absent.
    pub token_budget: Option<usize>,
}

/// The pulses of one split: `event_id`, `sensor_id`, `time` in ns, `charge`, `auxiliary`, an event's pulses together.
#[derive(Debug, Clone, PartialEq)]
pub struct PulseFiles {
    /// Files, each with whole events.
    pub pulses: Vec<PathBuf>,
    /// `event_id`, `first_pulse_index`, `last_pulse_index`: one file for each of `pulses`, or none. Checked against
    /// the pulses.
    pub meta: Vec<PathBuf>,
}

/// Whose mistakes are repeated, for graphs that were trained with them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Compatibility {
    /// Nobody's: pulses that are not auxiliary are kept first, `qe` is that of the sensor.
    #[default]
    None,
    /// IceCube's second place: any pulses are kept, `qe` is shifted by one sensor.
    IceCubeSecondPlace,
}

/// All compatibilities with their names in YAML.
pub const COMPATIBILITIES: [(&str, Compatibility); 2] =
    [("none", Compatibility::None), ("icecube-2nd-place", Compatibility::IceCubeSecondPlace)];

/// A tensor over the pulses of a batch of events: `B` events, padded to `L` pulses with 0.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EventTensor {
    /// `pos`, f32 `(B, L, 3)`: x, y, z of the sensor, in 500 m.
    Position,
    /// `time`, f32 `(B, L)`: (t - 10,000 ns) / 30,000 ns.
    Time,
    /// `charge`, f32 `(B, L)`: log10(charge) / 3.
    Charge,
    /// `auxiliary`, i64 `(B, L)`: 1 for pulses of lower quality.
    Auxiliary,
    /// `qe`, i64 `(B, L)`: 1 for sensors of high quantum efficiency.
    QuantumEfficiency,
    /// `ice_properties`, f32 `(B, L, 2)`: scattering and absorption length at the sensor's depth, each less its median
    /// and divided by its interquartile range over the ice table.
    Ice,
    /// `mask`, bool `(B, L)`: true for pulses, false for padding.
    Mask,
    /// `L0`, i64 `(B,)`: pulses of the event before any was left out.
    Length,
    /// `sensor_id`, i64 `(B, L)`.
    Sensor,
    /// `idx`, i64 `(B,)`: the event's id.
    Event,
    /// f32 `(B, L, n)`: the features of a pulse side by side, in the units above.
    Features(Vec<PulseFeature>),
}

/// Tensors with the names that IceCube's second place gave them.
pub const EVENT_TENSORS: [(&str, EventTensor); 10] = [
    ("pos", EventTensor::Position),
    ("time", EventTensor::Time),
    ("charge", EventTensor::Charge),
    ("auxiliary", EventTensor::Auxiliary),
    ("qe", EventTensor::QuantumEfficiency),
    ("ice_properties", EventTensor::Ice),
    ("mask", EventTensor::Mask),
    ("L0", EventTensor::Length),
    ("sensor_id", EventTensor::Sensor),
    ("idx", EventTensor::Event),
];

impl EventTensor {
    /// The name in YAML; `None` of features, which are listed.
    #[must_use]
    pub fn name(&self) -> Option<&'static str> {
        EVENT_TENSORS.iter().find(|(_, tensor)| tensor == self).map(|(name, _)| *name)
    }

    /// Whether the ice table is needed.
    #[must_use]
    pub fn needs_ice(&self) -> bool {
        match self {
            Self::Ice => true,
            Self::Features(features) => {
                features.iter().any(|it| matches!(it, PulseFeature::Scattering | PulseFeature::Absorption))
            }
            _ => false,
        }
    }
}

impl FromStr for EventTensor {
    type Err = ();
    fn from_str(name: &str) -> Result<Self, ()> {
        EVENT_TENSORS.iter().find(|(known, _)| *known == name).map(|(_, tensor)| tensor.clone()).ok_or(())
    }
}

/// One number of a pulse, in the units of the [`EventTensor`] of the same name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PulseFeature {
    /// First component of the position.
    X,
    /// Second component.
    Y,
    /// Third component.
    Z,
    /// Time.
    Time,
    /// Charge.
    Charge,
    /// 0 or 1.
    Auxiliary,
    /// 0 or 1.
    QuantumEfficiency,
    /// Scattering length.
    Scattering,
    /// Absorption length.
    Absorption,
}

/// All features with their names in YAML.
pub const PULSE_FEATURES: [(&str, PulseFeature); 9] = [
    ("x", PulseFeature::X),
    ("y", PulseFeature::Y),
    ("z", PulseFeature::Z),
    ("time", PulseFeature::Time),
    ("charge", PulseFeature::Charge),
    ("auxiliary", PulseFeature::Auxiliary),
    ("qe", PulseFeature::QuantumEfficiency),
    ("scattering", PulseFeature::Scattering),
    ("absorption", PulseFeature::Absorption),
];

/// An input table: one file for training rows, one for test rows.
#[derive(Debug, Clone, PartialEq)]
pub struct TableSpec {
    /// Rows of the truth.
    pub train: Option<PathBuf>,
    /// Rows of the sample submission.
    pub test: Option<PathBuf>,
    /// Columns to feed, in order; all but the id where absent.
    pub columns: Option<Vec<String>>,
    /// The array of npz files with several.
    pub array: Option<String>,
}

/// A column of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ColumnFile {
    /// The file.
    pub file: PathBuf,
    /// The column's name.
    pub column: String,
}

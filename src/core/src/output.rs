//! What a model's numbers mean.

use std::str::FromStr;

/// What a graph emits, and what is stored of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum OutputKind {
    /// Probabilities in [0, 1], one per binary target.
    Probability,
    /// ln(p / (1 - p)), one per binary target.
    Logit,
    /// Probabilities of the classes of one target: a row sums to one.
    ClassProbabilities,
    /// Unnormalised logarithms of class probabilities.
    ClassLogits,
    /// A number on the target's scale (or on the scale that the manifest's `transform` undoes).
    Value,
    /// Only the order counts.
    Rank,
    /// A direction, three components; the length is confidence.
    Vector,
    /// A class or integer label.
    Label,
}

/// All kinds with their names in YAML.
pub const OUTPUT_KINDS: [(&str, OutputKind); 8] = [
    ("probability", OutputKind::Probability),
    ("logit", OutputKind::Logit),
    ("class_probabilities", OutputKind::ClassProbabilities),
    ("class_logits", OutputKind::ClassLogits),
    ("value", OutputKind::Value),
    ("rank", OutputKind::Rank),
    ("vector", OutputKind::Vector),
    ("label", OutputKind::Label),
];

impl OutputKind {
    /// The name in YAML.
    #[must_use]
    pub fn name(self) -> &'static str {
        OUTPUT_KINDS.iter().find(|(_, kind)| *kind == self).map_or("", |(name, _)| name)
    }

    /// Whether the values are logarithms of odds or of unnormalised probabilities.
    #[must_use]
    pub fn is_logit(self) -> bool {
        matches!(self, Self::Logit | Self::ClassLogits)
    }

    /// The kind after sigmoid or softmax.
    #[must_use]
    pub fn as_probability(self) -> Self {
        match self {
            Self::Logit => Self::Probability,
            Self::ClassLogits => Self::ClassProbabilities,
            kind => kind,
        }
    }

    /// The kind after the logarithm that undoes sigmoid or softmax.
    #[must_use]
    pub fn as_logit(self) -> Self {
        match self {
            Self::Probability => Self::Logit,
            Self::ClassProbabilities => Self::ClassLogits,
            kind => kind,
        }
    }
}

impl FromStr for OutputKind {
    type Err = ();
    fn from_str(name: &str) -> Result<Self, ()> {
        OUTPUT_KINDS.iter().find(|(known, _)| *known == name).map(|(_, kind)| *kind).ok_or(())
    }
}

/// The order of a vector's components.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Frame {
    /// x, y, z.
    #[default]
    Xyz,
    /// y, x, z: the swapped frame that IceCube's 2nd place trained in.
    Yxz,
}

/// The scale a value was predicted on: applied when stored values become predictions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Transform {
    /// exp(x).
    Exp,
    /// exp(x) - 1.
    Expm1,
}

/// How stored values are to be read: kind, frame and transform together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Encoding {
    /// What the numbers mean.
    pub kind: OutputKind,
    /// Order of the components of a vector.
    pub frame: Frame,
    /// Scale of a value.
    pub transform: Option<Transform>,
}

impl Encoding {
    /// Values of `kind` in the standard frame and scale.
    #[must_use]
    pub fn plain(kind: OutputKind) -> Self {
        Self { kind, frame: Frame::Xyz, transform: None }
    }
}

//! Stored outputs of base models: out-of-fold or test, never confused, finite where they count.

use crate::{
    block::Block,
    fingerprint::Fingerprint,
    id::ModelId,
    output::{Encoding, OutputKind},
    rows::RowIndex,
    scope::{BlockRows, RowSet},
    source::{BLOCK_ROWS, BlockSource, Ones},
    space::{self, SpaceName},
};
use std::{marker::PhantomData, sync::Arc};

mod sealed {
    pub trait Sealed {}
}

/// Out-of-fold or test: a type, so that scoring the test set or submitting OOF does not compile.
pub trait Split: sealed::Sealed + Send + Sync + 'static {
    /// `oof` or `test`, the stem of the stored file.
    const NAME: &'static str;
}

/// Out-of-fold: every row predicted by graphs that never saw it.
#[derive(Debug, Clone, Copy)]
pub struct Oof;
/// Test rows.
#[derive(Debug, Clone, Copy)]
pub struct Test;
impl sealed::Sealed for Oof {}
impl sealed::Sealed for Test {}
impl Split for Oof {
    const NAME: &'static str = "oof";
}
impl Split for Test {
    const NAME: &'static str = "test";
}

/// One model's outputs over rows, shape `(n_rows, n_outputs)`, finite on the rows that count.
#[derive(Clone)]
pub struct Predictions<S: Split> {
    model: ModelId,
    rows: RowIndex,
    columns: Arc<[String]>,
    encoding: Encoding,
    values: Arc<dyn BlockSource>,
    fingerprint: Fingerprint,
    split: PhantomData<S>,
}

/// Why values are no predictions.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum PredictionError {
    /// Shapes differ.
    #[error("values have {got_rows} rows and {got_columns} outputs, {rows} and {columns} wanted")]
    Shape {
        /// Rows of the values.
        got_rows: usize,
        /// Outputs of the values.
        got_columns: usize,
        /// Rows of the index.
        rows: usize,
        /// Names of outputs.
        columns: usize,
    },
    /// NaN or infinite where it counts.
    #[error("output `{column}` of row `{id}` is {value} ({count} such values)")]
    NotFinite {
        /// Output.
        column: String,
        /// Row.
        id: String,
        /// Its value.
        value: f64,
        /// How many in all.
        count: usize,
    },
    /// A value outside the range of its kind.
    #[error("output `{column}` of row `{id}` is {value}, outside [{low}, {high}] ({count} such values)")]
    OutOfRange {
        /// Output.
        column: String,
        /// Row.
        id: String,
        /// Its value.
        value: f64,
        /// Lowest of the kind.
        low: f64,
        /// Highest of the kind.
        high: f64,
        /// How many in all.
        count: usize,
    },
    /// A direction needs three components.
    #[error("a vector has 3 components, not {0}")]
    Components(usize),
}

/// How far a probability may lie outside [0, 1]: rounding of an f32 sum of probabilities.
pub const PROBABILITY_SLACK: f64 = 1e-6;

impl<S: Split> Predictions<S> {
    /// Checks shape, and finiteness and range on the rows of `counts`.
    pub fn new(
        model: ModelId,
        rows: RowIndex,
        columns: Arc<[String]>,
        encoding: Encoding,
        values: Arc<dyn BlockSource>,
        fingerprint: Fingerprint,
        counts: &RowSet,
    ) -> Result<Self, PredictionError> {
        let it = Self::unchecked(model, rows, columns, encoding, values, fingerprint)?;
        it.check(counts)?;
        Ok(it)
    }

    /// What an intercept is the weight of: 1 on the scale of `space`. `None` where a shift of all outputs by one number
    /// has no place on that scale.
    #[must_use]
    pub fn ones(rows: RowIndex, columns: Arc<[String]>, space: SpaceName) -> Option<Self> {
        let kind = match space {
            SpaceName::Linear => OutputKind::Value,
            SpaceName::Logit => OutputKind::Logit,
            _ => return None,
        };
        let model = ModelId::new("intercept").ok()?;
        let values = Arc::new(Ones::new(rows.len(), columns.len()));
        Self::unchecked(model, rows, columns, Encoding::plain(kind), values, Fingerprint::of(b"intercept")).ok()
    }

    /// Checks the shape only: for the audit, which reports every fault instead of stopping at the first.
    pub fn unchecked(
        model: ModelId,
        rows: RowIndex,
        columns: Arc<[String]>,
        encoding: Encoding,
        values: Arc<dyn BlockSource>,
        fingerprint: Fingerprint,
    ) -> Result<Self, PredictionError> {
        if values.n_rows() != rows.len() || values.n_outputs() != columns.len() {
            return Err(PredictionError::Shape {
                got_rows: values.n_rows(),
                got_columns: values.n_outputs(),
                rows: rows.len(),
                columns: columns.len(),
            });
        }
        if encoding.kind == OutputKind::Vector && columns.len() != 3 {
            return Err(PredictionError::Components(columns.len()));
        }
        Ok(Self { model, rows, columns, encoding, values, fingerprint, split: PhantomData })
    }

    /// Finiteness and range on the rows of `counts`.
    pub fn check(&self, counts: &RowSet) -> Result<(), PredictionError> {
        let ranged = matches!(self.encoding.kind, OutputKind::Probability | OutputKind::ClassProbabilities);
        let (low, high) = if ranged { (0.0, 1.0) } else { (f64::NEG_INFINITY, f64::INFINITY) };
        let good =
            |value: f64| value.is_finite() && value >= low - PROBABILITY_SLACK && value <= high + PROBABILITY_SLACK;
        let (mut count, mut first) = (0, None);
        let mut buffer = vec![0.0; BLOCK_ROWS];
        for block in 0..counts.n_blocks() {
            let rows = counts.block(block);
            for output in 0..self.columns.len() {
                let buffer = &mut buffer[..rows.len()];
                self.read_column(block, output, rows, buffer);
                // The common case is decided without a branch per value.
                if buffer.iter().fold(true, |all, &value| all & good(value)) {
                    continue;
                }
                for (i, &value) in buffer.iter().enumerate().filter(|(_, value)| !good(**value)) {
                    count += 1;
                    let local = if let BlockRows::Some(local) = rows { local[i] as usize } else { i };
                    first.get_or_insert((output, block * BLOCK_ROWS + local, value));
                }
            }
        }
        let Some((output, row, value)) = first else { return Ok(()) };
        let (column, id) = (self.columns[output].clone(), self.rows.id(row).into_owned());
        Err(if value.is_finite() {
            PredictionError::OutOfRange { column, id, value, low, high, count }
        } else {
            PredictionError::NotFinite { column, id, value, count }
        })
    }

    /// The stored values of one output for the set's rows in `block`, as they are.
    pub fn read_column(&self, block: usize, output: usize, rows: BlockRows<'_>, out: &mut [f64]) {
        let slice = self.values.slice(block, output);
        match rows {
            BlockRows::All(n) => slice.widen(0..n, out),
            BlockRows::Some(local) => slice.gather(local, out),
        }
    }

    /// The model.
    #[must_use]
    pub fn model(&self) -> &ModelId {
        &self.model
    }

    /// The rows.
    #[must_use]
    pub fn rows(&self) -> &RowIndex {
        &self.rows
    }

    /// Names of the outputs.
    #[must_use]
    pub fn columns(&self) -> &Arc<[String]> {
        &self.columns
    }

    /// How the numbers are to be read.
    #[must_use]
    pub fn encoding(&self) -> Encoding {
        self.encoding
    }

    /// BLAKE3 of ids, names, type and values.
    #[must_use]
    pub fn fingerprint(&self) -> Fingerprint {
        self.fingerprint
    }

    /// The stored values.
    #[must_use]
    pub fn values(&self) -> &Arc<dyn BlockSource> {
        &self.values
    }

    /// The stored values of the set's rows in `block`, as they are.
    pub fn read_raw(&self, block: usize, rows: BlockRows<'_>, out: &mut Block) {
        out.reshape(self.columns.len(), rows.len());
        for output in 0..self.columns.len() {
            self.read_column(block, output, rows, out.column_mut(output));
        }
    }

    /// The predictions of the set's rows in `block` on the target's own scale: probabilities, values, vectors in the
    /// frame x, y, z.
    pub fn read_natural(&self, block: usize, rows: BlockRows<'_>, out: &mut Block) {
        self.read_raw(block, rows, out);
        space::decode(self.encoding, out);
    }

    /// All rows of `set` on the target's own scale.
    #[must_use]
    pub fn natural(&self, set: &RowSet) -> Block {
        let mut whole = Block::new(self.columns.len(), set.len());
        let mut part = Block::default();
        for block in 0..set.n_blocks() {
            let rows = set.block(block);
            self.read_natural(block, rows, &mut part);
            whole.put(set.offset(block), &part);
        }
        whole
    }
}

/// Several models' outputs over the same rows and columns, shape `(n_models, n_rows, n_outputs)`.
#[derive(Clone)]
pub struct PredictionMatrix<S: Split> {
    members: Vec<Predictions<S>>,
}

/// Why models make no matrix.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum MatrixError {
    /// No members.
    #[error("no members")]
    Empty,
    /// Rows differ.
    #[error("`{0}` and `{1}` have different rows")]
    Rows(ModelId, ModelId),
    /// Outputs differ.
    #[error("`{0}` and `{1}` have different outputs")]
    Columns(ModelId, ModelId),
    /// A model twice, under one name or two.
    #[error("`{0}` and `{1}` have the same outputs ({2})")]
    Same(ModelId, ModelId, Fingerprint),
}

impl<S: Split> PredictionMatrix<S> {
    /// Checks that rows and outputs agree and that no member stands twice.
    pub fn new(members: Vec<Predictions<S>>) -> Result<Self, MatrixError> {
        let Some(first) = members.first() else { return Err(MatrixError::Empty) };
        for (i, member) in members.iter().enumerate() {
            if member.rows != first.rows {
                return Err(MatrixError::Rows(first.model.clone(), member.model.clone()));
            }
            if member.columns != first.columns {
                return Err(MatrixError::Columns(first.model.clone(), member.model.clone()));
            }
            if let Some(twin) = members[..i].iter().find(|other| other.fingerprint == member.fingerprint) {
                return Err(MatrixError::Same(twin.model.clone(), member.model.clone(), member.fingerprint));
            }
        }
        Ok(Self { members })
    }

    /// The members, in order.
    #[must_use]
    pub fn members(&self) -> &[Predictions<S>] {
        &self.members
    }

    /// The rows they share.
    #[must_use]
    pub fn rows(&self) -> &RowIndex {
        &self.members[0].rows
    }

    /// The outputs they share.
    #[must_use]
    pub fn columns(&self) -> &Arc<[String]> {
        &self.members[0].columns
    }
}

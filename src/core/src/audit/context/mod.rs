//! What checks look at: outputs as they lie on disk, next to the rows and columns that are wanted of them, and what is
//! known besides.

mod evidence;

pub use evidence::{Changed, Evidence, FoldMap, Judgement, Public, State};

use crate::{
    block::Block,
    fingerprint::Fingerprint,
    id::ModelId,
    output::Encoding,
    rows::RowIndex,
    scope::RowSet,
    source::{BLOCK_ROWS, BlockSource},
    space,
};
use std::{ops::Range, sync::Arc};

/// Out-of-fold or test: a value here, because damaged outputs are no [`Predictions`](crate::Predictions) yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Part {
    /// Out-of-fold.
    Oof,
    /// Test rows.
    Test,
}

impl Part {
    /// `oof` or `test`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Oof => "oof",
            Self::Test => "test",
        }
    }
}

/// What the competition wants of a part.
#[derive(Clone)]
pub struct Wanted {
    /// Rows of the truth, or of the sample submission.
    pub rows: RowIndex,
    /// Those of them that count.
    pub scope: RowSet,
    /// Names of the outputs, in order.
    pub columns: Arc<[String]>,
}

/// Stored outputs as found. Nothing about them is checked: rows, columns and values may disagree.
pub struct Stored {
    /// The model.
    pub model: ModelId,
    /// Out-of-fold or test.
    pub part: Part,
    /// The file, as it is to be shown.
    pub place: String,
    /// The file's ids, in its order.
    pub rows: RowIndex,
    /// The file's columns, in its order.
    pub columns: Vec<String>,
    /// How the model says its numbers are to be read.
    pub encoding: Encoding,
    /// The file's values, shape `(n_rows, n_outputs)`.
    pub values: Arc<dyn BlockSource>,
    /// BLAKE3 of ids, names, type and values.
    pub fingerprint: Fingerprint,
}

/// Everything there is to check.
pub struct Context<'a> {
    oof: Option<Wanted>,
    test: Option<Wanted>,
    stored: Vec<Stored>,
    /// One per stored output: its rows that count.
    counting: Vec<Arc<Counting>>,
    evidence: Evidence<'a>,
}

/// The rows of a file that count, in the wanted order.
enum Counting {
    /// The first so many, as they are.
    All(usize),
    /// These, as positions in the file.
    Some(Vec<u32>),
}

impl<'a> Context<'a> {
    /// Lines stored outputs up with what is wanted; `None` for a part of which nothing is known (a competition
    /// without truth or sample submission): then every row counts.
    #[must_use]
    pub fn new(oof: Option<Wanted>, test: Option<Wanted>, stored: Vec<Stored>) -> Self {
        let mut counting: Vec<Arc<Counting>> = Vec::new();
        for (i, it) in stored.iter().enumerate() {
            let wanted = if it.part == Part::Oof { &oof } else { &test };
            // Most files of a competition have the same rows: line them up once.
            let twin = stored[..i].iter().position(|other| {
                other.part == it.part && other.rows == it.rows && other.values.n_rows() == it.values.n_rows()
            });
            counting.push(match twin {
                Some(twin) => counting[twin].clone(),
                None => Arc::new(Counting::new(wanted.as_ref(), it)),
            });
        }
        Self { oof, test, stored, counting, evidence: Evidence::default() }
    }

    /// The same with what is known besides the files: more checks have something to say.
    #[must_use]
    pub fn with(self, evidence: Evidence<'a>) -> Self {
        Self { evidence, ..self }
    }

    /// What is known besides the files.
    #[must_use]
    pub fn evidence(&self) -> &Evidence<'a> {
        &self.evidence
    }

    /// All stored outputs.
    #[must_use]
    pub fn stored(&self) -> &[Stored] {
        &self.stored
    }

    /// What is wanted of a part.
    #[must_use]
    pub fn wanted(&self, part: Part) -> Option<&Wanted> {
        match part {
            Part::Oof => self.oof.as_ref(),
            Part::Test => self.test.as_ref(),
        }
    }

    /// Every stored output with a reader of its rows that count.
    pub(super) fn readers(&self) -> Vec<Reader<'_>> {
        self.stored.iter().zip(&self.counting).map(|(stored, counting)| Reader { stored, counting }).collect()
    }

    /// Readers of the outputs of one part that have every wanted row and the wanted columns.
    pub(super) fn complete(&self, part: Part) -> Vec<Reader<'_>> {
        let Some(wanted) = self.wanted(part) else { return Vec::new() };
        let mut readers = self.readers();
        readers.retain(|it| {
            it.stored.part == part
                && it.n_rows() == wanted.scope.len()
                && it.stored.columns == *wanted.columns
                && it.n_outputs() == wanted.columns.len()
        });
        readers
    }

    /// A reader of all wanted rows, whether they count or not; `None` where one is missing.
    pub(super) fn whole<T>(&self, stored: &Stored, read: impl FnOnce(&Reader<'_>) -> T) -> Option<T> {
        let wanted = self.wanted(stored.part)?;
        let all = Wanted { scope: RowSet::all(wanted.rows.len()), ..wanted.clone() };
        let counting = Counting::new(Some(&all), stored);
        let reader = Reader { stored, counting: &counting };
        (reader.n_rows() == wanted.rows.len()).then(|| read(&reader))
    }

    /// The stored outputs of a model's part.
    pub(super) fn find(&self, model: &ModelId, part: Part) -> Option<&Stored> {
        self.stored.iter().find(|it| it.part == part && it.model == *model)
    }
}

impl Counting {
    fn new(wanted: Option<&Wanted>, stored: &Stored) -> Self {
        // A file cut short has fewer values than ids.
        let readable = stored.values.n_rows().min(stored.rows.len());
        match wanted {
            None => Self::All(readable),
            Some(wanted) if wanted.rows == stored.rows && wanted.scope.is_all() => Self::All(readable),
            Some(wanted) => {
                let positions: Vec<u32> = if wanted.rows == stored.rows {
                    wanted.scope.iter().map(|row| row as u32).collect()
                } else {
                    let found = wanted.rows.find_in(&stored.rows);
                    wanted.scope.iter().filter_map(|row| found[row]).collect()
                };
                Self::Some(positions.into_iter().filter(|&row| (row as usize) < readable).collect())
            }
        }
    }
}

/// Reads the rows of a stored output that count, in the wanted order.
#[derive(Clone, Copy)]
pub(super) struct Reader<'a> {
    /// What it reads.
    pub(super) stored: &'a Stored,
    counting: &'a Counting,
}

impl Reader<'_> {
    /// Rows that count and are there.
    pub(super) fn n_rows(&self) -> usize {
        match self.counting {
            Counting::All(n) => *n,
            Counting::Some(rows) => rows.len(),
        }
    }

    /// Outputs that have both a name and values.
    pub(super) fn n_outputs(&self) -> usize {
        self.stored.values.n_outputs().min(self.stored.columns.len())
    }

    /// The id of the `i`-th row that counts.
    pub(super) fn id(&self, i: usize) -> String {
        self.stored.rows.id(self.position(i)).into_owned()
    }

    fn position(&self, i: usize) -> usize {
        match self.counting {
            Counting::All(_) => i,
            Counting::Some(rows) => rows[i] as usize,
        }
    }

    /// Whether both read the same ids in the same order.
    pub(super) fn same_rows(&self, other: &Self) -> bool {
        self.n_rows() == other.n_rows() && {
            let aligned = self.stored.rows == other.stored.rows && std::ptr::eq(self.counting, other.counting);
            aligned || (0..self.n_rows()).all(|i| self.id(i) == other.id(i))
        }
    }

    /// All outputs of all rows that count, on the target's own scale; `None` where a value is no number.
    pub(super) fn finite(&self) -> Option<Block> {
        let block = self.natural(0..self.n_rows());
        block.values().iter().all(|value| value.is_finite()).then_some(block)
    }

    /// Whether the middle output has more values than a constant per fold or a rule of thumb would have.
    pub(super) fn tells_rows_apart(&self, block: &Block) -> bool {
        const FEW: usize = 20;
        let column = block.column(block.n_outputs() / 2);
        let mut values: Vec<u64> = column.iter().map(|x| x.to_bits()).collect();
        values.sort_unstable();
        values.dedup();
        values.len() > FEW.min(column.len() / 3)
    }

    /// Ranges of at most [`BLOCK_ROWS`] rows that count.
    pub(super) fn chunks(&self) -> impl Iterator<Item = Range<usize>> + use<> {
        let n = self.n_rows();
        (0..n).step_by(BLOCK_ROWS).map(move |start| start..(start + BLOCK_ROWS).min(n))
    }

    /// One output of some rows, as stored.
    pub(super) fn read(&self, output: usize, rows: Range<usize>, out: &mut Vec<f64>) {
        out.clear();
        self.gather(output, rows, out);
    }

    /// All outputs of some rows, on the target's own scale.
    pub(super) fn natural(&self, rows: impl Iterator<Item = usize> + Clone) -> Block {
        let columns: Vec<Vec<f64>> = (0..self.n_outputs())
            .map(|output| {
                let mut column = Vec::new();
                self.gather(output, rows.clone(), &mut column);
                column
            })
            .collect();
        let mut block = Block::from_columns(&columns);
        // Vectors that lack a component cannot be turned into the standard frame.
        if self.stored.encoding.kind != crate::OutputKind::Vector || block.n_outputs() == 3 {
            space::decode(self.stored.encoding, &mut block);
        }
        block
    }

    fn gather(&self, output: usize, rows: impl Iterator<Item = usize>, out: &mut Vec<f64>) {
        let mut current = None;
        for i in rows {
            let position = self.position(i);
            let block = position / BLOCK_ROWS;
            let slice = match current {
                Some((number, slice)) if number == block => slice,
                _ => self.stored.values.slice(block, output),
            };
            current = Some((block, slice));
            out.push(slice.get(position % BLOCK_ROWS));
        }
    }
}

//! The one read that a stand-in is made of: sums over all cells, and the cells that are kept. In f32, which a stand-in's
//! sample does not tell from f64.

use super::super::{CellObjective, Chunk, direct::Piece, kernels};
use crate::objective::feed::{Reader, Single};
use multiversion::multiversion;

/// The share of cells whose largest value is taken to be large, about: of a stand-in of all rows, and of those without a
/// part of them, which are looked at once only.
const LARGE: [f64; 2] = [0.02, 0.03];

/// Rows of each output that tell where large values begin.
const ROWS_OF_LARGE: usize = 256;

/// Cells that are taken at a time, at most.
const CELLS: usize = 1024;

/// Members are taken in groups of this many, products with them in pairs.
const TILE: usize = 4;
const PAIR: usize = 2;

/// Lanes of the sums.
const WIDTH: usize = 16;

/// No values, for members that fill up a group.
static NOTHING: [f32; CELLS] = [0.0; CELLS];

/// Which cells are kept.
pub(super) struct Wanted<'a> {
    /// 0 or 1 of every cell, by output.
    pub(super) labels: Vec<&'a [u8]>,
    /// 1 for rows whose small negatives are kept.
    pub(super) taken: Vec<u8>,
    /// A negative is large where some member gives it more.
    pub(super) limit: f32,
}

/// What is picked.
#[derive(Clone)]
pub(super) struct Picked {
    /// Members.
    k: usize,
    /// Sums over all cells: of each member, and of each product of two, in a lower triangle with rows `side` apart.
    pub(super) linear: Vec<f64>,
    pub(super) square: Vec<f64>,
    pub(super) side: usize,
    /// Values of the positive cells, of large negatives and of sampled small ones, all members of a cell side by side.
    positives: Vec<f32>,
    large: Vec<f32>,
    rest: Vec<f32>,
    pub(super) n_cells: usize,
}

/// A chunk's values by member.
#[derive(Default)]
pub(in super::super) struct Narrow {
    values: Vec<f32>,
    most: Vec<f32>,
}

impl Narrow {
    /// The judged cells of a piece of stored columns.
    pub(super) fn of_piece(&mut self, piece: &Piece<'_>, to: &mut Picked, wanted: &Wanted<'_>) {
        let at = (piece.output, piece.first);
        let Some(rows) = piece.judged else {
            let columns: Vec<&[f32]> = piece.columns.iter().map(|column| &column[piece.rows.clone()]).collect();
            return to.take(columns, at, wanted, &mut self.most);
        };
        let n = rows.len();
        self.values.resize(n * piece.columns.len(), 0.0);
        for (column, values) in piece.columns.iter().zip(self.values.chunks_mut(n)) {
            values.iter_mut().zip(rows).for_each(|(value, &row)| *value = column[row as usize]);
        }
        to.take(self.values.chunks(n).collect(), at, wanted, &mut self.most);
    }

    /// The cells of a chunk of entered members.
    pub(super) fn of_chunk(&mut self, chunk: &Chunk<'_>, to: &mut Picked, wanted: &Wanted<'_>) {
        let n = chunk.n;
        self.values.resize(n * to.k, 0.0);
        for (member, values) in self.values.chunks_mut(n).enumerate() {
            let from = &chunk.x[member * chunk.stride..];
            values.iter_mut().zip(from).for_each(|(value, &x)| *value = x as f32);
        }
        to.take(self.values.chunks(n).collect(), (chunk.output, chunk.start), wanted, &mut self.most);
    }
}

impl Picked {
    /// Nothing of `k` members.
    pub(super) fn new(k: usize) -> Self {
        let side = k.next_multiple_of(TILE);
        let (linear, square) = (vec![0.0; k], vec![0.0; side * side]);
        Self { k, linear, square, side, positives: vec![], large: vec![], rest: vec![], n_cells: 0 }
    }

    /// Bytes of its sums.
    pub(super) fn bytes(&self) -> usize {
        8 * (self.linear.len() + self.square.len())
    }

    /// Takes cells of one output from the judged row `first` on: of each member a slice, all of one length.
    fn take(
        &mut self,
        mut columns: Vec<&[f32]>,
        (output, first): (usize, usize),
        wanted: &Wanted<'_>,
        most: &mut Vec<f32>,
    ) {
        let n = columns[0].len();
        self.n_cells += n;
        columns.resize(self.side, &NOTHING[..n]);
        add_sums(&columns, &mut self.linear);
        add_products(&columns, &mut self.square);
        let (labels, taken) = (&wanted.labels[output][first..first + n], &wanted.taken[first..first + n]);
        most.resize(n, 0.0);
        mark(&columns[..self.k], labels, taken, wanted.limit, most);
        // Most cells are not kept, and go by eight at a time.
        for (group, marks) in most.chunks(8).enumerate() {
            if marks.iter().all(|mark| *mark == 0.0) {
                continue;
            }
            for (i, mark) in marks.iter().enumerate().filter(|(_, mark)| **mark != 0.0) {
                let cell = group * 8 + i;
                let to = if labels[cell] != 0 {
                    &mut self.positives
                } else if *mark > wanted.limit {
                    &mut self.large
                } else {
                    &mut self.rest
                };
                to.extend(columns[..self.k].iter().map(|column| column[cell]));
            }
        }
    }

    /// The positive cells.
    pub(super) fn positives(&mut self) -> Single {
        Single::of_cells(&std::mem::take(&mut self.positives), self.k)
    }

    /// The large negatives.
    pub(super) fn large(&mut self) -> Single {
        Single::of_cells(&std::mem::take(&mut self.large), self.k)
    }

    /// The sampled small negatives.
    pub(super) fn rest(&mut self) -> Single {
        Single::of_cells(&std::mem::take(&mut self.rest), self.k)
    }

    /// Takes cells out of the sums.
    pub(super) fn leave_out(&mut self, cells: &Single) {
        let mut out = Self::new(self.k);
        for from in (0..cells.n_rows()).step_by(CELLS) {
            let to = (from + CELLS).min(cells.n_rows());
            let mut columns: Vec<&[f32]> = (0..self.k).map(|member| &cells.column(member)[from..to]).collect();
            columns.resize(self.side, &NOTHING[..to - from]);
            add_sums(&columns, &mut out.linear);
            add_products(&columns, &mut out.square);
        }
        self.linear.iter_mut().zip(out.linear).for_each(|(sum, of)| *sum -= of);
        self.square.iter_mut().zip(out.square).for_each(|(sum, of)| *sum -= of);
    }

    /// Puts another's cells behind its own.
    pub(super) fn add(&mut self, other: &Self) {
        self.linear.iter_mut().zip(&other.linear).for_each(|(a, b)| *a += b);
        self.square.iter_mut().zip(&other.square).for_each(|(a, b)| *a += b);
        self.positives.extend(&other.positives);
        self.large.extend(&other.large);
        self.rest.extend(&other.rest);
        self.n_cells += other.n_cells;
    }
}

/// The value that the largest of a cell's members exceeds in a few of the cells, judged by a few rows of each output.
pub(super) fn large(objective: &CellObjective<'_>) -> f32 {
    let (feed, range) = (&objective.feed, objective.cells.member_range().unwrap_or(kernels::EVERYWHERE));
    if !feed.is_cell_local() {
        return 1.0;
    }
    let mut most: Vec<f64> = Vec::new();
    let (mut reader, mut out) = (Reader::default(), Vec::new());
    for output in 0..feed.n_outputs() {
        let block = output % feed.n_blocks();
        let (from, n) = (most.len(), feed.extent(block).1.min(ROWS_OF_LARGE));
        most.resize(from + n, 0.0);
        out.resize(n, 0.0);
        for member in 0..feed.n_members() {
            feed.cells(member, (block, output), 0..n, range, &mut reader, &mut out);
            most[from..].iter_mut().zip(&out).for_each(|(most, x)| *most = most.max(*x));
        }
    }
    let share = LARGE[usize::from(objective.runs.n_parts() > 1)];
    let place = ((1.0 - share) * most.len() as f64) as usize;
    if place < most.len() { *most.select_nth_unstable_by(place, f64::total_cmp).1 as f32 } else { 1.0 }
}

/// The largest of a cell's values where the cell is kept, 0 where it is not. What is kept has no value of 0: those are
/// taken to be the least that is more.
#[multiversion(targets("x86_64+avx512f+avx512dq+avx512vl+avx512bw", "x86_64+avx2"))]
fn mark(columns: &[&[f32]], labels: &[u8], taken: &[u8], limit: f32, most: &mut [f32]) {
    most.fill(f32::MIN_POSITIVE);
    for column in columns {
        for (most, &x) in most.iter_mut().zip(*column) {
            *most = if x > *most { x } else { *most };
        }
    }
    for ((most, label), taken) in most.iter_mut().zip(labels).zip(taken) {
        let kept = (label | taken) != 0 || *most > limit;
        *most = if kept { *most } else { 0.0 };
    }
}

/// Adds up the members' values.
#[multiversion(targets("x86_64+avx512f+avx512dq+avx512vl+avx512bw", "x86_64+avx2"))]
fn add_sums(columns: &[&[f32]], linear: &mut [f64]) {
    for (sum, column) in linear.iter_mut().zip(columns) {
        let (groups, rest) = column.as_chunks::<WIDTH>();
        let mut lanes = [0.0_f32; WIDTH];
        for group in groups {
            for lane in 0..WIDTH {
                lanes[lane] += group[lane];
            }
        }
        lanes.iter_mut().zip(rest).for_each(|(lane, x)| *lane += x);
        *sum += fold(&lanes);
    }
}

/// Adds up the products of every two members, to the lower triangle of `square`, whose rows are as many apart as there
/// are columns, a multiple of [`TILE`].
#[multiversion(targets("x86_64+avx512f+avx512dq+avx512vl+avx512bw", "x86_64+avx2"))]
fn add_products(columns: &[&[f32]], square: &mut [f64]) {
    let side = columns.len();
    let n = columns[0].len();
    let (steps, tail) = (n / WIDTH, n / WIDTH * WIDTH..n);
    for i in (0..side).step_by(TILE) {
        let row = |row: usize| &columns[i + row].as_chunks::<WIDTH>().0[..steps];
        let (a0, a1, a2, a3) = (row(0), row(1), row(2), row(3));
        for j in (0..i + TILE).step_by(PAIR) {
            let column = |column: usize| &columns[j + column].as_chunks::<WIDTH>().0[..steps];
            let (x0, x1) = (column(0), column(1));
            let mut sums = [[0.0_f32; WIDTH]; TILE * PAIR];
            for step in 0..steps {
                for lane in 0..WIDTH {
                    sums[0][lane] += a0[step][lane] * x0[step][lane];
                    sums[1][lane] += a0[step][lane] * x1[step][lane];
                    sums[2][lane] += a1[step][lane] * x0[step][lane];
                    sums[3][lane] += a1[step][lane] * x1[step][lane];
                    sums[4][lane] += a2[step][lane] * x0[step][lane];
                    sums[5][lane] += a2[step][lane] * x1[step][lane];
                    sums[6][lane] += a3[step][lane] * x0[step][lane];
                    sums[7][lane] += a3[step][lane] * x1[step][lane];
                }
            }
            for (cell, lanes) in sums.iter_mut().enumerate() {
                let (row, column) = (i + cell / PAIR, j + cell % PAIR);
                let rest = columns[row][tail.clone()].iter().zip(&columns[column][tail.clone()]);
                lanes.iter_mut().zip(rest).for_each(|(lane, (a, x))| *lane += a * x);
                square[row * side + column] += fold(lanes);
            }
        }
    }
}

/// The sum of the lanes, in f64.
fn fold(lanes: &[f32; WIDTH]) -> f64 {
    lanes.iter().map(|lane| f64::from(*lane)).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    #[test]
    fn sums_and_products_are_those_of_plain_loops() {
        let mut random = Random::new(4);
        for (k, n) in [(1, 5), (4, 16), (7, 100), (12, 512)] {
            let values: Vec<Vec<f32>> = (0..k).map(|_| (0..n).map(|_| random.unit() as f32).collect()).collect();
            let labels: Vec<u8> = (0..n).map(|_| u8::from(random.unit() < 0.1)).collect();
            let taken: Vec<u8> = (0..n).map(|_| u8::from(random.unit() < 0.1)).collect();
            let wanted = Wanted { labels: vec![&labels], taken: taken.clone(), limit: 0.99 };
            let mut picked = Picked::new(k);
            picked.take(values.iter().map(Vec::as_slice).collect(), (0, 0), &wanted, &mut Vec::new());
            let near = |a: f64, b: f64| assert!((a - b).abs() <= 1e-5 * b.abs().max(1.0), "{a} {b}");
            for i in 0..k {
                near(picked.linear[i], values[i].iter().map(|x| f64::from(*x)).sum());
                for j in 0..=i {
                    let product = values[i].iter().zip(&values[j]).map(|(a, b)| f64::from(a * b)).sum();
                    near(picked.square[i * picked.side + j], product);
                }
            }
            let most = |cell: usize| values.iter().map(|column| column[cell]).fold(0.0, f32::max);
            let count = |kept: &dyn Fn(usize) -> bool| k * (0..n).filter(|&cell| kept(cell)).count();
            assert_eq!(picked.positives.len(), count(&|cell| labels[cell] == 1));
            assert_eq!(picked.large.len(), count(&|cell| labels[cell] == 0 && most(cell) > 0.99));
            assert_eq!(picked.rest.len(), count(&|cell| labels[cell] == 0 && most(cell) <= 0.99 && taken[cell] == 1));
            assert_eq!(picked.n_cells, n);
        }
    }
}

//! Columns that were exchanged: each of two outputs knows the other's target better than its own.

use super::{Check, Context, Finding, Part, Severity, context::Reader};
use crate::OutputKind;
use rayon::prelude::*;

pub(super) const CHECK: Check = Check {
    name: "columns",
    severities: &[Severity::Fault],
    does: "no two outputs each predict the other's target or class better than their own",
    run,
};

/// How many standard errors an output has to be better at the other's target.
const ERRORS: f64 = 6.0;
/// And how much of a standard deviation, so that many rows alone are no proof.
const LEAST: f64 = 0.1;

fn run(context: &Context) -> Vec<Finding> {
    let Some(judgement) = &context.evidence().judgement else { return Vec::new() };
    let targets = Targets::new(&judgement.columns());
    let readers = context.complete(Part::Oof);
    let suits = |reader: &&Reader<'_>| reader.stored.encoding.kind != OutputKind::Vector && reader.n_outputs() > 1;
    readers.par_iter().filter(suits).filter_map(|reader| check(reader, &targets)).collect()
}

/// Targets as rows that are above their mean: a target is known by its own rows, so sparse ones cost little.
struct Targets {
    /// Per target: standardized labels that are not zero, with their rows, and what all other rows have.
    cells: Vec<(Vec<(u32, f64)>, f64)>,
    n_rows: usize,
}

impl Targets {
    fn new(columns: &[Vec<f64>]) -> Self {
        let standard = |column: &Vec<f64>| {
            let n = column.len() as f64;
            let mean = column.iter().sum::<f64>() / n;
            let deviation = libm::sqrt(column.iter().map(|y| (y - mean) * (y - mean)).sum::<f64>() / n);
            if deviation == 0.0 {
                return (Vec::new(), 0.0);
            }
            let rest = -mean / deviation;
            let own = column.iter().enumerate().filter(|(_, y)| **y != 0.0);
            (own.map(|(row, y)| (row as u32, (y - mean) / deviation - rest)).collect(), rest)
        };
        Self { cells: columns.iter().map(standard).collect(), n_rows: columns.first().map_or(0, Vec::len) }
    }

    /// Correlation of each target with a standardized column; `sum` is the column's.
    fn correlations(&self, column: &[f64]) -> Vec<f64> {
        let n = self.n_rows as f64;
        let sum: f64 = column.iter().sum();
        let of = |(own, rest): &(Vec<(u32, f64)>, f64)| {
            (own.iter().map(|(row, y)| y * column[*row as usize]).sum::<f64>() + rest * sum) / n
        };
        self.cells.iter().map(of).collect()
    }
}

fn check(reader: &Reader<'_>, targets: &Targets) -> Option<Finding> {
    let block = reader.finite()?;
    let n_outputs = block.n_outputs();
    if n_outputs != targets.cells.len() {
        return None;
    }
    let n = block.n_rows() as f64;
    // known[output][target]
    let known: Vec<Vec<f64>> = (0..n_outputs)
        .map(|output| {
            let mut column = block.column(output).to_vec();
            let varies = crate::compare::standardize(&mut column);
            let scale = if varies { libm::sqrt(n) } else { 0.0 };
            column.iter_mut().for_each(|x| *x *= scale);
            targets.correlations(&column)
        })
        .collect();
    let margin = (ERRORS / libm::sqrt(n)).max(LEAST);
    let pairs = (0..n_outputs).flat_map(|b| (0..b).map(move |a| (a, b)));
    let exchanged: Vec<(usize, usize)> =
        pairs.filter(|&(a, b)| known[a][b] > known[b][b] + margin && known[b][a] > known[a][a] + margin).collect();
    let &(a, b) = exchanged.first()?;
    let (first, second) = (&reader.stored.columns[a], &reader.stored.columns[b]);
    let cause = format!(
        "`{first}` and `{second}` look exchanged: they correlate with their own target by {:.3} and {:.3}, with the \
         other's by {:.3} and {:.3}",
        known[a][a], known[b][b], known[a][b], known[b][a]
    );
    let hint = "import with `--columns` in the order of the file, or correct the export";
    let finding = Finding::of(reader.stored, &CHECK, Severity::Fault);
    Some(finding.at(Some(first), None).because(cause, hint, 2 * exchanged.len()))
}

//! Columns that say the same of every row.

use super::{Check, Context, Finding, Severity, context::Reader, many};
use rayon::prelude::*;

pub(super) const CHECK: Check =
    Check { name: "constant", severities: &[Severity::Warning], does: "no column has one value in all rows", run };

fn run(context: &Context) -> Vec<Finding> {
    context.readers().par_iter().filter(|reader| reader.n_rows() > 1).filter_map(check).collect()
}

fn check(reader: &Reader<'_>) -> Option<Finding> {
    let constant: Vec<(usize, f64)> =
        (0..reader.n_outputs()).filter_map(|output| Some((output, value(reader, output)?))).collect();
    let &(first, value) = constant.first()?;
    let (count, all) = (constant.len(), reader.n_outputs());
    let cause = if count == all {
        format!("every column has one value in all {} (here {value})", many(reader.n_rows(), "row"))
    } else {
        format!("{value} in all {}; so {count} of {}", many(reader.n_rows(), "row"), many(all, "column"))
    };
    let hint = "a constant adds nothing to a blend: was the file filled, or a graph's input left empty?";
    let finding = Finding::of(reader.stored, &CHECK, Severity::Warning);
    Some(finding.at(Some(&reader.stored.columns[first]), None).because(cause, hint, count))
}

/// The one value of a column; `None` where it varies or is no number.
fn value(reader: &Reader<'_>, output: usize) -> Option<f64> {
    let mut values = Vec::new();
    let mut one = None;
    for rows in reader.chunks() {
        reader.read(output, rows, &mut values);
        let first = *one.get_or_insert(values[0]);
        if values.iter().any(|value| *value != first) {
            return None;
        }
    }
    one.filter(|value| value.is_finite())
}

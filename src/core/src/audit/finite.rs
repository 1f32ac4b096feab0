//! NaN and infinity where they count. Outside the scope they are nobody's business.

use super::{Check, Context, Finding, Severity, context::Reader, many};
use rayon::prelude::*;

pub(super) const CHECK: Check = Check {
    name: "finite",
    severities: &[Severity::Fault],
    does: "every value that counts is a number, not NaN or infinite",
    run,
};

fn run(context: &Context) -> Vec<Finding> {
    context.readers().par_iter().filter_map(check).collect()
}

fn check(reader: &Reader<'_>) -> Option<Finding> {
    let (mut count, mut columns, mut first) = (0, 0, None);
    let mut values = Vec::new();
    for output in 0..reader.n_outputs() {
        let before = count;
        for rows in reader.chunks() {
            reader.read(output, rows.clone(), &mut values);
            // The common case is decided without a branch per value.
            if values.iter().fold(true, |all, value| all & value.is_finite()) {
                continue;
            }
            for (value, row) in values.iter().zip(rows).filter(|(value, _)| !value.is_finite()) {
                count += 1;
                first.get_or_insert((output, row, *value));
            }
        }
        columns += usize::from(count > before);
    }
    let (output, row, value) = first?;
    let stored = reader.stored;
    let cause =
        format!("{value}, the first of {} in {} that are no numbers", many(count, "value"), many(columns, "column"));
    let hint =
        format!("find where the model loses them, then `blend predict {0} --force` or import again", stored.model);
    let finding = Finding::of(stored, &CHECK, Severity::Fault);
    Some(finding.at(Some(&stored.columns[output]), Some(&reader.id(row))).because(cause, hint, count))
}

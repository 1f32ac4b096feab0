//! Errors while reading, latched by the source while the other checks read.

use super::{Check, Context, Finding, Severity};

pub(super) const CHECK: Check =
    Check { name: "readable", severities: &[Severity::Fault], does: "stored values can be read to the end", run };

fn run(context: &Context) -> Vec<Finding> {
    let latched = |stored: &super::Stored| {
        let error = stored.values.latched()?;
        let hint = "check the disk, then write the file again with `blend predict` or `blend import`";
        Some(Finding::of(stored, &CHECK, Severity::Fault).because(error, hint, 1))
    };
    context.stored().iter().filter_map(latched).collect()
}

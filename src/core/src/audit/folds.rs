//! OOF outputs that were made with another fold map than the competition's.

use super::{Check, Context, Finding, Part, Severity};

pub(super) const CHECK: Check = Check {
    name: "folds",
    severities: &[Severity::Warning, Severity::Note],
    does: "OOF outputs were made with the competition's fold map, where the map is on record",
    run,
};

fn run(context: &Context) -> Vec<Finding> {
    let other = context.evidence().fold_maps.iter().filter(|it| it.recorded != it.competition);
    other
        .filter_map(|it| {
            let stored = context.find(&it.model, Part::Oof)?;
            let severity = if it.own { Severity::Note } else { Severity::Warning };
            let cause = format!("made with fold map {}, the competition's is {}", it.recorded, it.competition);
            let hint = if it.own {
                "it may be blended; a row's fold is then not the one that its nested score leaves out".to_owned()
            } else {
                format!("the map has changed since: `blend predict {0}` or `blend import {0}` again", it.model)
            };
            let finding = Finding::of(stored, &CHECK, severity);
            Some(Finding { place: it.place.clone(), ..finding }.because(cause, hint, 1))
        })
        .collect()
}

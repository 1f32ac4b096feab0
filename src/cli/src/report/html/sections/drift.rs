//! Test outputs against OOF outputs: whether the test rows look to the models as the training rows did.

use super::{
    super::{
        charts::strip::{Mark, axis, strip},
        facts::{Drifted, Facts},
        scale::Scale,
        table::{Table, cell, chart, charts, number, text, words},
        text::fixed,
    },
    absent, note,
};

/// An index up to which practice speaks of no change, and one from which it speaks of a large one.
const INDEX: (f64, f64) = (0.1, 0.25);

pub(super) fn section(facts: &Facts, out: &mut String) {
    let it = match &facts.drift {
        Ok(it) => it,
        Err(why) => return absent(out, why),
    };
    let all = it.outputs.iter().flat_map(|output| output.distances.iter().copied());
    let Some(scale) = Scale::from_zero(all.chain([it.noise])) else { return absent(out, "There is no output.") };
    let beyond = it.outputs.iter().filter(|output| middle(&output.distances) > it.noise).count();
    note(
        out,
        &format!(
            "Each line is an output, each thin mark a model: the Kolmogorov-Smirnov distance between its test outputs and its \
             out-of-fold outputs, from 0 (alike) to 1. The strong mark, {}, is what chance stays below 99 times of 100; the \
             middle model is beyond it on {beyond} of {} outputs. Out-of-fold values come from one fold's model and test \
             values from the mean of all folds, so that small distances are usual. Stability index: below {} little has \
             changed, above {} much.",
            fixed(it.noise, 3),
            it.outputs.len(),
            INDEX.0,
            INDEX.1,
        ),
    );
    let columns = vec![
        text("output"),
        charts("distance", axis(scale)),
        number("middle model").high_first(true),
        number("farthest").high_first(true),
        text("model"),
        number("its stability index").high_first(true),
    ];
    let mut table = Table::new("drift-table", columns);
    let mut order: Vec<(&Drifted, usize)> =
        it.outputs.iter().filter_map(|output| Some((output, farthest(output)?))).collect();
    order.sort_by(|(a, at), (b, bt)| b.distances[*bt].total_cmp(&a.distances[*at]));
    for (output, worst) in order {
        let marks =
            [Mark::Zero, Mark::Ticks { values: output.distances.clone() }, Mark::Tick { value: it.noise, class: "hi" }];
        let cells = [
            chart(&strip(scale, &marks), Some(output.distances[worst])),
            cell(Some(middle(&output.distances)), |value| fixed(value, 3)),
            cell(Some(output.distances[worst]), |value| fixed(value, 3)),
            words(&it.models[worst]),
            cell(Some(output.indices[worst]), |value| fixed(value, 3)),
        ];
        table.row("", &output.name, &cells);
    }
    out.push_str(&table.finish("Test outputs against OOF outputs"));
}

/// The model whose test outputs are farthest off.
fn farthest(output: &Drifted) -> Option<usize> {
    (0..output.distances.len()).max_by(|a, b| output.distances[*a].total_cmp(&output.distances[*b]))
}

fn middle(values: &[f64]) -> f64 {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(0.0)
}

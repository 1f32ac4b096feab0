//! Every model in one line.

use super::{
    super::{
        facts::{Facts, Model},
        table::{Table, cell, marked, number, text, words},
        text::{fixed, score, signed},
    },
    absent, note,
};

pub(super) fn section(facts: &Facts, out: &mut String) {
    if facts.models.is_empty() {
        absent(out, "There are no models yet: `blend predict`, or `blend import MODEL --oof FILE`.");
        return;
    }
    note(
        out,
        "Pooled out-of-fold score, mean and standard deviation over folds, weight in the leading blend. Columns sort; \
         the best score is bold.",
    );
    let high = facts.metric.higher_is_better;
    let has = |of: fn(&Model) -> bool| facts.models.iter().any(of);
    let (claims, publics, folds) =
        (has(|it| it.claimed.is_some()), has(|it| it.public.is_some()), facts.folds.len() > 1);
    let without = facts.without.as_ref().ok().and_then(|all| all.first());
    let correlations = facts.correlations.as_ref().ok().and_then(|all| all.first());
    let mut columns = vec![text("model"), number("pooled OOF").high_first(high)];
    if folds {
        columns.extend([number("mean of folds").high_first(high), number("sd of folds")]);
    }
    if claims {
        columns.push(number("claimed").high_first(high));
    }
    if publics {
        columns.push(number("public").high_first(high));
    }
    if facts.lead.is_some() {
        columns.push(number("weight").high_first(true));
    }
    if without.is_some() {
        columns.push(number("lost without it").high_first(true));
    }
    if correlations.is_some() {
        columns.push(number("closest, r").high_first(true));
    }
    columns.extend([text("found"), text("output")]);
    let mut table = Table::new("model-table", columns);
    let best = facts.single_best().map(|(name, _)| name.to_owned());
    for model in facts.by_score() {
        let it = &facts.models[model];
        let class = if best.as_deref() == Some(&it.name) { "best" } else { "" };
        let mut cells = vec![marked(it.score, score, class)];
        if folds {
            let scores: Vec<f64> = it.folds.iter().flatten().copied().collect();
            let (mean, deviation) = mean_and_deviation(&scores);
            cells.extend([cell(mean, score), cell(deviation, score)]);
        }
        if claims {
            cells.push(cell(it.claimed, |value| value.to_string()));
        }
        if publics {
            cells.push(cell(it.public, score));
        }
        if let Some(lead) = facts.lead() {
            let weight = lead.weights.iter().find(|weight| weight.model == it.name).map_or(0.0, |weight| weight.weight);
            cells.push(cell(Some(weight), |value| fixed(value, 4)));
        }
        if let Some(without) = without {
            let lost = without.models.iter().find(|without| without.model == it.name).map(|without| without.loss);
            cells.push(cell(lost, |value| signed(value, 6)));
        }
        if let Some(matrix) = correlations {
            let own = matrix.names.iter().position(|name| *name == it.name);
            let others = own.map(|own| {
                (0..matrix.names.len())
                    .filter(move |&other| other != own)
                    .filter_map(move |other| matrix.get(own, other))
            });
            let closest = others.and_then(|others| others.reduce(f64::max));
            cells.push(cell(closest, |value| fixed(value, 3)));
        }
        let findings = facts.open().filter(|finding| finding.model.as_deref() == Some(&it.name));
        cells.extend([words(&Facts::tally(findings)), words(&it.output)]);
        table.row("", &it.name, &cells);
    }
    out.push_str(&table.finish("Models and their scores"));
}

/// Mean, and standard deviation with n - 1, where there are enough numbers.
pub(super) fn mean_and_deviation(values: &[f64]) -> (Option<f64>, Option<f64>) {
    let n = values.len() as f64;
    if values.is_empty() {
        return (None, None);
    }
    let mean = values.iter().sum::<f64>() / n;
    let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    (Some(mean), (values.len() > 1).then(|| (squares / (n - 1.0)).sqrt()))
}

#[cfg(test)]
mod tests {
    use super::mean_and_deviation;

    #[test]
    fn spread_is_that_of_a_sample() {
        assert_eq!(mean_and_deviation(&[1.0, 3.0]), (Some(2.0), Some(2.0_f64.sqrt())));
        assert_eq!(mean_and_deviation(&[1.0]), (Some(1.0), None));
        assert_eq!(mean_and_deviation(&[]), (None, None));
    }
}

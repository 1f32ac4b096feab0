//! Models that are one in all but name.

use super::{Check, Context, Finding, Part, Severity};

pub(super) const CHECK: Check = Check {
    name: "redundant",
    severities: &[Severity::Note],
    does: "no group of models correlates by more than 0.998 (Pearson) and 0.995 (Spearman), every two of them",
    run,
};

/// Correlation above which a second model adds next to nothing: 4 % of the residuals' length at most are its own.
const LEAST: f64 = 0.998;
/// The same of ranks, which are noisier where predictions hardly differ.
const LEAST_OF_RANKS: f64 = 0.995;

fn run(context: &Context) -> Vec<Finding> {
    let Some(survey) = context.evidence().survey else { return Vec::new() };
    let Some(relations) = &survey.oof else { return Vec::new() };
    let close = |cluster: &Vec<usize>| {
        cluster
            .iter()
            .all(|&a| cluster.iter().all(|&b| relations.spearman.get(a, b).is_some_and(|r| r > LEAST_OF_RANKS)))
    };
    let clusters = relations.pearson.clusters(LEAST);
    let name = |cluster: &Vec<usize>| {
        let models: Vec<&crate::ModelId> = cluster.iter().map(|&at| &survey.models[at]).collect();
        let loss = |&&at: &&usize| survey.direction.loss(crate::Score(survey.scores[at].overall.unwrap_or(f64::NAN)));
        let best = cluster.iter().min_by_key(loss).map(|&at| &survey.models[at])?;
        let stored = context.find(models[0], Part::Oof)?;
        let names: Vec<String> = models.iter().map(|model| format!("`{model}`")).collect();
        let cause = format!("{} are alike: every two correlate by more than {LEAST}", names.join(", "));
        let hint = format!("together they weigh as much as one; `{best}` scores best");
        Some(Finding::of(stored, &CHECK, Severity::Note).because(cause, hint, models.len()))
    };
    clusters.iter().filter(|cluster| close(cluster)).filter_map(name).collect()
}

//! Options that contradict each other, or that would do nothing: nobody types one for nothing.

use crate::{
    args::{Calibration, Search, Target},
    failure::Failure,
};
use blend_search::SolverName;

/// Refuses what does not go together. `solver` is the one that was asked for.
pub(crate) fn refuse(it: &Search, solver: Option<SolverName>) -> Result<(), Failure> {
    refuse_idle(it, solver)?;
    let granularity = (it.granularity != "global").then(|| format!("--granularity {}", it.granularity));
    let intercept = it.intercept.then(|| "--intercept".to_owned());
    let of_members = [
        it.max_members.map(|n| format!("--max-members {n}")),
        it.min_weight.map(|weight| format!("--min-weight {weight}")),
        it.inference_budget.map(|limit| format!("--inference-budget {}s", limit.as_secs_f64())),
    ];
    let honest = it.honest_budget.map(|limit| format!("--honest-budget {}s", limit.as_secs_f64()));
    let calibrate = it.calibrate.map(|how| format!("--calibrate {}", name(how)));
    let cases = [
        (&granularity, &intercept, "an intercept is added to one set of weights for all"),
        (&granularity, &honest, "nested scores of weights by part are part of the search, see `--time-limit`"),
        (&granularity, &calibrate, "a calibration is fitted to one set of weights for all"),
        (&granularity, &of_members[0], "weights by part are those of all members"),
        (&granularity, &of_members[1], "weights by part are those of all members"),
        (&granularity, &of_members[2], "weights by part are those of all members"),
        (&intercept, &of_members[0], "an intercept is searched with all members"),
        (&intercept, &of_members[1], "an intercept is searched with all members"),
        (&intercept, &of_members[2], "an intercept is searched with all members"),
    ];
    for (one, other, why) in cases {
        if let (Some(one), Some(other)) = (one, other) {
            return Err(Failure::usage(format!("`{one}` and `{other}` do not go together: {why}"))
                .at(format!("{one} {other}"))
                .hint("leave one of the two out"));
        }
    }
    Ok(())
}

/// Options whose only use is beside another one.
fn refuse_idle(it: &Search, solver: Option<SolverName>) -> Result<(), Failure> {
    if let Some(lambda) = it.lambda
        && it.granularity == "global"
    {
        return Err(Failure::usage(
            "`--lambda` draws weights by part together, and there is one set of weights for all",
        )
        .at(format!("--lambda {lambda}"))
        .hint("add `--granularity per-target` (or `targets:FILE`, `rows:FILE:COLUMN`), or leave `--lambda` out"));
    }
    if let Some(picks) = it.max_picks
        && solver != Some(SolverName::Greedy)
    {
        return Err(Failure::usage("`--max-picks` counts the picks of solver `greedy`, which is not asked for")
            .at(format!("--max-picks {picks}"))
            .hint(
                "add `--solver greedy`, or leave `--max-picks` out; `--max-members` limits the members of any solver",
            ));
    }
    if let Some(kappa) = it.kappa
        && it.target != Target::Pooled
    {
        return Err(Failure::usage(
            "`--kappa` weighs public rows against out-of-fold rows, and only one kind counts here",
        )
        .at(format!("--kappa {kappa}"))
        .hint("add `--target pooled`, or leave `--kappa` out"));
    }
    if let Some(budget) = it.honest_budget
        && it.no_nested
    {
        return Err(Failure::usage("`--honest-budget` limits nested scores, and `--no-nested` leaves them out")
            .at(format!("--no-nested --honest-budget {}s", budget.as_secs_f64()))
            .hint("leave one of the two out"));
    }
    Ok(())
}

/// A calibration as it is typed.
pub(super) fn name(how: Calibration) -> &'static str {
    match how {
        Calibration::Temperature => "temperature",
        Calibration::Affine => "affine",
    }
}

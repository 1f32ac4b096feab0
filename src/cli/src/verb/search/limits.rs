//! What was typed about single weights and the choice of models, checked against the models there are.

use super::together;
use crate::{
    args::Search,
    context::Context,
    failure::{self, Failure},
    outputs,
};
use blend_core::ModelId;
use blend_record::RunRecord;
use blend_search::{Budget, Limits, SearchError};

/// The limits of a search over `models`.
pub(super) fn limits(context: &Context, it: &Search, models: &[ModelId]) -> Result<Limits, Failure> {
    if let Some(weight) = it.min_weight
        && (weight.is_nan() || weight <= 0.0 || weight > 1.0)
    {
        return Err(Failure::usage(format!("{weight} is no lowest weight"))
            .at(format!("--min-weight {weight}"))
            .hint("a number above 0 and at most 1, as `--min-weight 0.02`"));
    }
    let budget = match it.inference_budget {
        Some(limit) => Some(Budget { seconds: seconds(context, models)?, limit: limit.as_secs_f64() }),
        None => None,
    };
    Ok(Limits {
        bounds: bounds(context, it, models)?,
        max_members: it.max_members.map(std::num::NonZeroUsize::get),
        min_weight: it.min_weight,
        budget,
    })
}

/// The options that shape the weights as they are typed, for the recipe; `None` where there are none.
pub(super) fn typed(it: &Search) -> Option<String> {
    let mut words = Vec::new();
    let mut add = |flag: &str, value: Option<String>| words.extend(value.map(|value| format!("--{flag} {value}")));
    it.fix.iter().for_each(|fix| add("fix", Some(fix.clone())));
    it.bounds.iter().for_each(|bounds| add("bounds", Some(bounds.clone())));
    add("max-members", it.max_members.map(|n| n.to_string()));
    add("min-weight", it.min_weight.map(|weight| weight.to_string()));
    add("inference-budget", it.inference_budget.map(|limit| format!("{}s", limit.as_secs_f64())));
    add("calibrate", it.calibrate.map(|how| together::name(how).to_owned()));
    if it.intercept {
        words.push("--intercept".to_owned());
    }
    (!words.is_empty()).then(|| words.join(" "))
}

/// The options that an error of the search is about, as they are typed; `None` where it is about none of them.
pub(super) fn place(it: &Search, error: &SearchError) -> Option<String> {
    let flags = |flag: &str, values: &[String]| -> Vec<String> {
        values.iter().map(|value| format!("--{flag} {value}")).collect()
    };
    let words = match error {
        SearchError::Crossed { .. } | SearchError::NoSum { .. } => {
            [flags("fix", &it.fix), flags("bounds", &it.bounds)].concat()
        }
        SearchError::SignedMinimum { .. } => {
            it.min_weight.map(|weight| format!("--min-weight {weight}")).into_iter().collect()
        }
        SearchError::Uncalibrated { .. } => {
            it.calibrate.map(|how| format!("--calibrate {}", together::name(how))).into_iter().collect()
        }
        SearchError::Unfit { .. } => it.solver.iter().map(|solver| format!("--solver {solver}")).collect(),
        SearchError::Parts { .. } | SearchError::FewParts => vec![format!("--granularity {}", it.granularity)],
        SearchError::NoSet => typed(it).into_iter().collect(),
        _ => Vec::new(),
    };
    (!words.is_empty()).then(|| words.join(" "))
}

/// Lowest and highest weight of each model: those of all, then those of single ones, then those that are given.
fn bounds(context: &Context, it: &Search, models: &[ModelId]) -> Result<Vec<(f64, f64)>, Failure> {
    if it.bounds.is_empty() && it.fix.is_empty() {
        return Ok(Vec::new());
    }
    // What was said of each model: nobody says two things of one.
    let mut said: Vec<Option<String>> = vec![None; models.len()];
    let mut once = |at: usize, flag: String| match &said[at] {
        Some(before) => Err(Failure::usage(format!("two things are said of the weight of `{}`", models[at]))
            .at(format!("{before} {flag}"))
            .hint(
                "keep one of them; `--fix MODEL=WEIGHT` gives a weight, `--bounds MODEL=LOW:HIGH` a range of weights",
            )),
        None => {
            said[at] = Some(flag);
            Ok(())
        }
    };
    let mut bounds = vec![(f64::NEG_INFINITY, f64::INFINITY); models.len()];
    let (single, all): (Vec<&String>, Vec<&String>) = it.bounds.iter().partition(|text| text.contains('='));
    if let [first, second, ..] = all[..] {
        return Err(Failure::usage("bounds of all models are given twice")
            .at(format!("--bounds {first} --bounds {second}"))
            .hint("give them once; those of one model are written `--bounds MODEL=LOW:HIGH`"));
    }
    for text in all {
        bounds.fill(range(text).ok_or_else(|| no_range(text))?);
    }
    for text in single {
        let (name, rest) = text.split_once('=').unwrap_or((text, ""));
        let at = position(context, it, name, models, &format!("--bounds {text}"))?;
        bounds[at] = range(rest).ok_or_else(|| no_range(text))?;
        once(at, format!("--bounds {text}"))?;
    }
    for text in &it.fix {
        let wrong = || {
            Failure::usage(format!("`{text}` is no model with its weight"))
                .at(format!("--fix {text}"))
                .hint("as `--fix tabnet=0.2`")
        };
        let (name, weight) = text.split_once('=').ok_or_else(wrong)?;
        let weight: f64 = weight.parse().ok().filter(|weight: &f64| weight.is_finite()).ok_or_else(wrong)?;
        let at = position(context, it, name, models, &format!("--fix {text}"))?;
        bounds[at] = (weight, weight);
        once(at, format!("--fix {text}"))?;
    }
    Ok(bounds)
}

fn no_range(text: &str) -> Failure {
    Failure::usage(format!("`{text}` is no range of weights"))
        .at(format!("--bounds {text}"))
        .hint("LOW:HIGH, as `--bounds -0.5:1.5`, `--bounds tabnet=0:0.3` or `--bounds tabnet=0.1:`")
}

/// `LOW:HIGH`, either end open where nothing stands there.
fn range(text: &str) -> Option<(f64, f64)> {
    let (low, high) = text.split_once(':')?;
    let end = |text: &str, open: f64| match text {
        "" => Some(open),
        text => text.parse().ok().filter(|end: &f64| end.is_finite()),
    };
    let range = (end(low, f64::NEG_INFINITY)?, end(high, f64::INFINITY)?);
    (range.0 <= range.1).then_some(range)
}

/// The place of a model among those that are searched; `flag` is what names it.
fn position(context: &Context, it: &Search, name: &str, models: &[ModelId], flag: &str) -> Result<usize, Failure> {
    if let Some(at) = models.iter().position(|model| model.as_str() == name) {
        return Ok(at);
    }
    if it.exclude.iter().any(|excluded| excluded == name) {
        return Err(Failure::usage(format!("`{name}` is excluded, so nothing can be said of its weight"))
            .at(format!("{flag} --exclude {}", it.exclude.join(",")))
            .hint("leave one of the two out"));
    }
    let all = context.workspace.models(&context.competition.id)?;
    let Some(model) = all.iter().find(|model| model.as_str() == name) else {
        return Err(failure::unknown("member", name, models.iter().map(ModelId::as_str)).at(flag));
    };
    let (why, hint) = if it.members.is_empty() {
        ("has no out-of-fold outputs", outputs::how_to_get(&outputs::manifest_of(context, model)?))
    } else {
        ("is not among `--members`", "add it to them, or say nothing of its weight".to_owned())
    };
    Err(Failure::usage(format!("`{name}` {why}, so nothing can be said of its weight")).at(flag).hint(hint))
}

/// What each model's inference took when it was run here.
fn seconds(context: &Context, models: &[ModelId]) -> Result<Vec<f64>, Failure> {
    let id = &context.competition.id;
    let seconds = |model: &ModelId| {
        let file = context.workspace.run_file(id, model);
        let record = file.exists().then(|| RunRecord::read(&context.workspace, id, model)).transpose()?;
        record.and_then(|record| record.seconds).ok_or_else(|| {
            // What ran elsewhere can be timed elsewhere only.
            let runs_here = outputs::manifest_of(context, model).is_ok_and(|manifest| !manifest.stages.is_empty());
            let how = if runs_here {
                format!("run it here with `blend predict {model}`")
            } else {
                "it was imported: add what its inference takes to this file, as `seconds: 12.5`".to_owned()
            };
            Failure::usage(format!("nothing says how long the inference of `{model}` takes"))
                .at(context.show(&file))
                .hint(format!("{how}, or leave it out with `--exclude {model}`"))
        })
    };
    models.iter().map(seconds).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_have_open_ends() {
        assert_eq!(range("-0.5:1.5"), Some((-0.5, 1.5)));
        assert_eq!(range("0.1:"), Some((0.1, f64::INFINITY)));
        assert_eq!(range(":0.3"), Some((f64::NEG_INFINITY, 0.3)));
        for text in ["", "1", "0.5:0.2", "a:b", "nan:1", "0:1:2"] {
            assert_eq!(range(text), None, "{text}");
        }
    }
}

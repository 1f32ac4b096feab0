//! What was typed about single weights and the choice of models, checked against the models there are.

use crate::{
    args::Search,
    context::Context,
    failure::{self, Failure},
};
use blend_core::ModelId;
use blend_record::RunRecord;
use blend_search::{Budget, Limits};

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
        bounds: bounds(it, models)?,
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
    add("calibrate", it.calibrate.map(|how| format!("{how:?}").to_lowercase()));
    if it.intercept {
        words.push("--intercept".to_owned());
    }
    (!words.is_empty()).then(|| words.join(" "))
}

/// Lowest and highest weight of each model: those of all, then those of single ones, then those that are given.
fn bounds(it: &Search, models: &[ModelId]) -> Result<Vec<(f64, f64)>, Failure> {
    if it.bounds.is_empty() && it.fix.is_empty() {
        return Ok(Vec::new());
    }
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
        bounds[position(name, models, text, "bounds")?] = range(rest).ok_or_else(|| no_range(text))?;
    }
    for text in &it.fix {
        let wrong = || {
            Failure::usage(format!("`{text}` is no model with its weight"))
                .at(format!("--fix {text}"))
                .hint("as `--fix tabnet=0.2`")
        };
        let (name, weight) = text.split_once('=').ok_or_else(wrong)?;
        let weight: f64 = weight.parse().ok().filter(|weight: &f64| weight.is_finite()).ok_or_else(wrong)?;
        bounds[position(name, models, text, "fix")?] = (weight, weight);
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

/// The place of a model among those that are searched.
fn position(name: &str, models: &[ModelId], text: &str, flag: &str) -> Result<usize, Failure> {
    models.iter().position(|model| model.as_str() == name).ok_or_else(|| {
        failure::unknown("member", name, models.iter().map(ModelId::as_str)).at(format!("--{flag} {text}"))
    })
}

/// What each model's inference took when it was run here.
fn seconds(context: &Context, models: &[ModelId]) -> Result<Vec<f64>, Failure> {
    let id = &context.competition.id;
    let seconds = |model: &ModelId| {
        let file = context.workspace.run_file(id, model);
        let record = file.exists().then(|| RunRecord::read(&context.workspace, id, model)).transpose()?;
        record.and_then(|record| record.seconds).ok_or_else(|| {
            Failure::usage(format!("nothing says how long the inference of `{model}` takes"))
                .at(context.show(&file))
                .hint(format!("run it here with `blend predict {model}`, or leave it out with `--exclude {model}`"))
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

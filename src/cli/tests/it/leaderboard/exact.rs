//! Metrics whose public scores follow from each other: predicted to the rounding, searched with a proof.

use super::contest::{Contest, Part, Said, check_reference, spec};
use crate::support::{near, table};
use blend_core::{
    output::OutputKind,
    space::SpaceName::{self, *},
};
use blend_store::IdSpec;

/// Draws of weights for each case.
pub(super) const DRAWS: usize = 200;

pub(super) fn toxcast(test: &str, public_rows: &str) -> Option<Contest> {
    let yaml = format!(
        "truth: DATA/train_targets.parquet
id: id
targets: \"*\"
folds: {{file: DATA/folds.csv, column: fold}}
sample_submission: sample.csv
leaderboard: {{decimals: 5, public_rows: {public_rows}}}"
    );
    let labels = "test_targets.parquet";
    let mut contest =
        Contest::open(test, "toxcast-moa-like", spec("log_loss"), OutputKind::Probability, labels, &yaml)?;
    let names = table(&contest.data.join("train_targets.parquet"), IdSpec::FirstColumn).names();
    contest.sample("id", &names);
    for model in ["logistic", "mlp128", "mlp192x64_tanh", "naive_bayes", "prior", "svd_ridge"] {
        let [oof, test] = ["oof", "test"].map(|split| contest.data.join(split).join(format!("{model}.parquet")));
        contest.import(model, Some(&oof), &test, &[]);
    }
    check_reference(&contest, "logistic", 0.11739280, 0.11783672);
    contest.record_scores(5);
    Some(contest)
}

pub(super) const MARKED: &str = "{file: DATA/test_targets.parquet, column: usage, equals: Public}";

/// Predictions of `n` random blends against what the labels say; gives the largest error and the share within two
/// standard errors.
pub(super) fn random_blends(contest: &Contest, space: SpaceName, method: &str, n: usize) -> (f64, f64) {
    let drawn = contest.random_recipes(n, space);
    let names: Vec<String> = (0..n).map(|i| format!("r{i}")).collect();
    let mut arguments = vec!["lb", "predict"];
    arguments.extend(names.iter().map(String::as_str));
    let said = contest.json(&arguments);
    let (mut largest, mut inside) = (0.0_f64, 0);
    for (weights, said) in drawn.iter().zip(said["predictions"].as_array().expect("predictions")) {
        let said = Said::of(&said["predicted_public"]);
        let error = (said.score - contest.actual(&contest.blend(space, weights), Part::Public)).abs();
        // Probabilities that are nearly 0 or 1 have lost digits of their log odds: what members leave over of such a blend
        // is unknown, and is said to be.
        assert!(said.method == method || (method == "close" && ["exact", "regression"].contains(&&*said.method)));
        if method == "close" && said.method == "regression" {
            let allowed = said.bound + 4.0 * said.error;
            assert!(error <= allowed, "{error:e} is more than rounding and four standard errors: {allowed:e}");
        }
        if said.method == "exact" {
            assert!(error <= said.bound * (1.0 + 1e-6) + 1e-9, "{error:e} is more than rounding: {:e}", said.bound);
        }
        largest = largest.max(error);
        inside += u32::from(error <= 2.0 * said.error);
    }
    (largest, f64::from(inside) / n as f64)
}

#[test]
fn toxcast_like_moa() {
    let Some(contest) = toxcast("toxcast_like_moa", MARKED) else { return };
    let said = contest.json(&["search", "--target", "lb"]);
    assert_eq!((said["stop"].as_str(), said["space"].as_str()), (Some("certified"), Some("logit")), "{said}");
    assert!(said["gap"].as_f64().expect("a gap") < 1e-9);
    let predicted = Said::of(&said["predicted_public"]);
    assert_eq!(predicted.method, "exact");
    near(predicted.score, 0.113416, 5e-7, "predicted");
    let best = contest.blend(Logit, &contest.weights(&said));
    near(contest.actual(&best, Part::Public), 0.113414, 5e-7, "public");
    near(contest.actual(&best, Part::Private), 0.113960, 5e-7, "private");
    assert!(said["cv"].as_f64().is_some_and(|cv| cv > 0.115 && cv < 0.125));
    let (largest, _) = random_blends(&contest, Logit, "exact", DRAWS);
    assert!(largest < 5e-6, "{largest:e}");

    // The linear pool is another prediction: guessed by regression, and said so.
    let linear = contest.json(&["search", "--target", "lb", "--space", "linear", "--name", "lb_linear"]);
    let said = Said::of(&linear["predicted_public"]);
    assert_eq!(said.method, "regression");
    let blend = contest.blend(Linear, &contest.weights(&linear));
    let actual = contest.actual(&blend, Part::Public);
    assert!((said.score - actual).abs() < 3.0 * said.error, "{} +- {:e}, actual {actual}", said.score, said.error);
    // The best that any linear pool could do, had one the labels.
    assert!(actual < 0.11398297 + 5e-4, "{actual}");
    let (_, inside) = random_blends(&contest, Linear, "regression", DRAWS);
    assert!(inside >= 0.9, "{inside}");

    // What `submit` writes is what was predicted.
    contest.json(&["search", "--target", "cv", "--no-nested"]);
    let made = contest.json(&["submit"]);
    let blends: Vec<&str> =
        made["submissions"].as_array().expect("two").iter().filter_map(|it| it["blend"].as_str()).collect();
    assert_eq!(blends, ["best_cv", "best_lb"]);
    let shown = contest.json(&["lb", "show"]);
    let entries = shown["entries"].as_array().expect("entries");
    let best = entries.iter().find(|it| it["name"] == "best_lb").expect("best_lb");
    near(best["predicted_public"]["score"].as_f64().expect("a score"), predicted.score, 1e-9, "in the ledger");
    // Its actual score is what was predicted; another one would be an alarm.
    contest.json(&["lb", "add", "best_lb", "0.11341"]);
    let shown = contest.json(&["lb", "show"]);
    let of = |name: &str| shown["entries"].as_array().expect("entries").iter().find(|it| it["name"] == name).cloned();
    assert_eq!(of("best_lb").expect("best_lb")["alarm"], false, "{shown}");
}

#[test]
fn toxcast_with_unknown_public_rows() {
    let Some(contest) = toxcast("toxcast_with_unknown_public_rows", "220") else { return };
    assert_eq!(contest.public.iter().filter(|it| **it).count(), 220);
    let (_, inside) = random_blends(&contest, Logit, "identity", DRAWS);
    assert!(inside >= 0.9, "{inside}");
    let said = contest.json(&["search", "--target", "pooled"]);
    assert_eq!(said["stop"], "certified", "{said}");
    assert_eq!(said["kappa"], 1.0);
    assert!(said["predicted_public"]["parts"]["public_rows"].as_f64().is_some_and(|it| it > 0.0));
}

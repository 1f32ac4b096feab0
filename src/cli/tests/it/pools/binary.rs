//! Pools of probabilities of 0 or 1: log loss and AUC.

use super::{Pool, ROUNDING, largest_difference, near, scores, table};
use blend_core::TableSource;
use blend_store::IdSpec;

#[test]
fn adult_automl() {
    let yaml = "
metric: {name: log_loss, clip: 1e-15}
truth: DATA/labels.csv.gz
id: row
targets: [target]";
    let Some(pool) = Pool::open("adult_automl", "adult-automl", yaml) else { return };
    assert_eq!(pool.import_folder("oof", &["--rows", "truth"]).len(), 43);
    pool.check_scores(&scores(&pool.data, "log_loss"), 1e-7);
    let found = pool.quick(&[]);
    found.check_baselines(("model_36", 0.28268221), 0.30571763);
    found.check_certified(0.28025690);
    found.check_weights(
        "model_36 0.327, model_52 0.280, model_44 0.273, model_49 0.059, model_34 0.053, model_32 0.004, model_41 0.004",
        2e-3,
    );
    // The ensemble that MLJAR itself selected, pick for pick.
    let weights = "model_36 0.333, model_44 0.278, model_52 0.278, model_34 0.056, model_49 0.056";
    let greedy = pool.check_greedy("60", 0.28025737, weights, &[]);
    greedy.check_picks(&[("model_34", 2), ("model_36", 12), ("model_44", 10), ("model_49", 2), ("model_52", 10)]);
}

#[test]
fn av_jobathon() {
    let yaml = "
metric: METRIC
truth: DATA/labels.csv.gz
id: ID
targets: [Response]";
    let test = "av_jobathon";
    let Some(pool) = Pool::open(test, "av-jobathon", &yaml.replace("METRIC", "auc")) else { return };
    for (model, path) in super::files(&pool.data.join("oof")) {
        let test = pool.data.join("test").join(path.file_name().expect("a name"));
        let said = pool.import(&model, &[path], &["--test", &test.display().to_string()]);
        assert_eq!(said["test"]["rows"], 21_805);
    }
    pool.check_scores(&scores(&pool.data, "auc"), 1e-7);
    let found = pool.quick(&["--space", "linear"]);
    found.check_baselines(("catboost_1300", 0.80012277), 0.80048423);
    assert!(found.score() >= 0.80049308 - ROUNDING, "{} is below the grid's", found.score());
    let found = pool.quick(&["--space", "normal_score"]);
    assert!(found.score() >= 0.80050, "{} is below what sums of normal scores reach", found.score());
    let found = pool.quick(&["--space", "rank"]);
    // Sums of ranks are full of ties, which the rounding of ranks divided by their number breaks by chance: exact ties
    // give 0.80048072, and the reference's own rounding 0.80048067.
    near(found.number("equal_weights"), 0.80048067, 1e-7, "mean of ranks");
    assert!(found.score() >= found.number("equal_weights"), "{}", found.score());

    // The same files judged by log loss.
    let pool = Pool::open(test, "av-jobathon", &yaml.replace("METRIC", "log_loss")).expect("it was there");
    pool.import_folder("oof", &[]);
    pool.check_scores(&scores(&pool.data, "log_loss"), 1e-7);
    let found = pool.quick(&[]);
    assert_eq!(found.0["stop"], "certified");
    assert!(found.score() < 0.44014324);
}

#[test]
fn breast_cancer() {
    let yaml = "
metric: {name: log_loss, clip: 1e-15}
truth: DATA/train_labels.csv
id: id
targets: [target]
folds: {file: DATA/train_labels.csv, column: fold}";
    let Some(pool) = Pool::open("breast_cancer", "demo-small/breast-cancer", yaml) else { return };
    super::import_demo(&pool, 5);
    let found = pool.search(&[]);
    found.check_baselines(("logreg", 0.06894520), 0.09565636);
    // The optimum is near a corner: the greedy selection never leaves it.
    found.check_certified(0.06894520);
    assert!(found.number("nested_score") >= found.score());
    pool.check_greedy("40", 0.06894520, "logreg 1.000", &[]);
}

#[test]
fn tox21() {
    let yaml = "
metric: {name: log_loss, clip: 1e-15}
truth: DATA/train_labels.csv
id: id
targets: \"*\"
folds: {file: DATA/train_labels.csv, column: fold}";
    let Some(pool) = Pool::open("tox21", "demo-small/tox21-12", yaml) else { return };
    super::import_demo(&pool, 3);
    let found = pool.search(&[]);
    found.check_baselines(("linear", 0.11368934), 0.11401764);
    found.check_certified(0.11280685);
    pool.check_greedy("40", 0.11280685, "linear 0.680, mlp48x16 0.240, mlp24 0.080", &[]);
}

#[test]
fn moa() {
    let yaml = "
metric: {name: log_loss, clip: 1e-15}
truth: DATA/train_targets_scored.parquet
id: sig_id
targets: \"*\"
folds: {file: DATA/folds.csv.gz, column: fold}
groups: {file: DATA/train_drug.parquet, column: drug_id}";
    let Some(pool) = Pool::open("moa", "moa", yaml) else { return };
    assert_eq!(pool.import_folder("oof", &[]).len(), 4);
    pool.check_scores(&scores(&pool.data, "log_loss"), 1e-7);
    let found = pool.quick(&[]);
    found.check_baselines(("drug_memory", 0.01895490), 0.01945276);
    found.check_certified(0.01840749);
    found.check_weights("drug_memory 0.971, prior_smooth 0.029", 1e-3);
    pool.check_greedy("20", 0.01841384, "drug_memory 0.950, prior_smooth 0.050", &[]);
}

#[test]
fn toxcast() {
    let yaml = "
metric: {name: log_loss, clip: 1e-15}
truth: DATA/train_targets.parquet
id: id
targets: \"*\"
folds: {file: DATA/folds.csv, column: fold}
sample_submission: DATA/sample_submission.csv.gz";
    let Some(pool) = Pool::open("toxcast", "toxcast-moa-like", yaml) else { return };
    for (model, path) in super::files(&pool.data.join("oof")) {
        let test = pool.data.join("test").join(path.file_name().expect("a name"));
        pool.import(&model, &[path], &["--test", &test.display().to_string()]);
    }
    pool.check_scores(&scores(&pool.data, "cv"), 1e-7);
    let found = pool.quick(&[]);
    found.check_baselines(("logistic", 0.11886176), 0.11967658);
    found.check_certified(0.11717913);
    found.check_weights("svd_ridge 0.481, logistic 0.385, mlp128 0.120, mlp192x64_tanh 0.014", 1e-3);
    let weights = "svd_ridge 0.480, logistic 0.380, mlp128 0.120, mlp192x64_tanh 0.020";
    pool.check_greedy("50", 0.11718296, weights, &[]);
    let weights = "logistic 0.550, svd_ridge 0.200, mlp192x64_tanh 0.150, mlp128 0.100";
    pool.check_greedy("50", 0.11724446, weights, &["--space", "logit"]);

    // The weights that the pool gives, at full precision, to the submission that it gives.
    let text = std::fs::read_to_string(pool.data.join("weights_best_cv.json")).expect("weights");
    let weights: serde_json::Map<String, serde_json::Value> = serde_json::from_str(&text).expect("weights");
    let weights: Vec<(&str, String)> = weights.iter().map(|(model, w)| (model.as_str(), w.to_string())).collect();
    let weights: Vec<(&str, &str)> = weights.iter().map(|(model, weight)| (*model, weight.as_str())).collect();
    let labels = pool.data.join("test_targets.parquet");
    let (said, made) =
        pool.submit("by_hand", "linear", &weights, &["--labels", labels.to_str().expect("a path in UTF-8")]);
    let wanted = table(&pool.data.join("expected_submission_best_cv.parquet"), IdSpec::FirstColumn);
    assert_eq!((made.n_rows(), made.names().len()), (800, 206));
    near(largest_difference(&made, &wanted), 0.0, 1e-7, "the expected submission");
    let scores = said["submissions"][0]["scores"].as_array().expect("scores on the labels");
    let of = |rows: &str| {
        let found = scores.iter().find(|it| it["rows"] == rows).unwrap_or_else(|| panic!("{rows} in {said}"));
        found["score"].as_f64().expect("a score")
    };
    near(of("Public"), 0.11442819, ROUNDING, "public score");
    near(of("Private"), 0.11527583, ROUNDING, "private score");
}

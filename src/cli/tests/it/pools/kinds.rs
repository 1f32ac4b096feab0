//! Kinds of weights on real predictions: what they gain where labels were seen, and what is left of it where not.

use super::Pool;

/// The winners searched one set of weights per target and did not submit it: where a target has few positives they fit
/// its noise. Drawn together, the sets are no worse than one for all.
#[test]
fn moa_by_target() {
    let yaml = "
metric: {name: log_loss, clip: 1e-15}
truth: DATA/train_targets_scored.parquet
id: sig_id
targets: \"*\"
folds: {file: DATA/folds.csv.gz, column: fold}
groups: {file: DATA/train_drug.parquet, column: drug_id}";
    let Some(pool) = Pool::open("moa_by_target", "moa", yaml) else { return };
    pool.import_folder("oof", &[]);
    let global = pool.search(&[]);
    let alone = pool.search(&["--granularity", "per-target", "--lambda", "0"]);
    assert!(alone.score() < global.score(), "206 x 4 weights fit the rows they are chosen on better");
    let chosen = pool.search(&["--granularity", "per-target"]);
    assert!(chosen.score() <= global.score() + 1e-12 && chosen.score() >= alone.score() - 1e-9);
    let gain = &chosen.0["gain_interval"]["over_global_weights"];
    assert!(gain["high"].as_f64().is_some_and(|high| high >= 0.0), "worse than one set of weights: {gain}");
    assert!(chosen.number("nested_score") <= alone.number("nested_score") + 1e-9);
    assert_eq!(chosen.0["weights"].as_object().map(serde_json::Map::len), Some(206));
}

/// 84 models on 404 rows: the more the weights may do, the better they look and the worse they are.
#[test]
fn boston_overfits() {
    let yaml = "
metric: mse
truth: DATA/target.npy
id: row
targets: \"*\"";
    let Some(pool) = Pool::open("boston_overfits", "boston-automl", yaml) else { return };
    pool.import_folder("oof", &["--rows", "truth"]);
    let simplex = pool.search(&["--exclude", "model_84"]);
    let free = pool.search(&["--exclude", "model_84", "--domain", "free"]);
    assert!(free.score() < 0.8 * simplex.score(), "{} {}", free.score(), simplex.score());
    assert!(free.number("nested_score") > simplex.number("nested_score"));
    assert!(simplex.number("nested_score") > simplex.score());
    let few = pool.search(&["--exclude", "model_84", "--max-members", "4"]);
    assert_eq!(few.weights().values().filter(|weight| **weight != 0.0).count(), 4);
    // The first four of nine, fitted again: little is lost.
    assert!(few.score() < 1.02 * simplex.score() && few.score() > simplex.score(), "{}", few.score());
    assert!(few.score() - few.number("gap") <= simplex.score() + 1e-9);
}

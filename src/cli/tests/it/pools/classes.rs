//! Pools of class probabilities.

use super::{Pool, ROUNDING, largest_difference, near, scores, table};
use blend_core::TableSource;
use blend_store::IdSpec;

#[test]
fn hurricane_damage() {
    let yaml = "
metric: {name: multiclass_log_loss, clip: 1e-15, renormalize: true}
truth: DATA/labels.csv
id: row
targets: [damage]";
    let Some(pool) = Pool::open("hurricane_damage", "hurricane-damage", yaml) else { return };
    assert_eq!(pool.import_folder("oof", &["--rows", "truth"]).len(), 30);
    pool.check_scores(&scores(&pool.data, "log_loss"), 1e-7);
    let found = pool.quick(&[]);
    found.check_baselines(("7_Xgboost_GoldenFeatures", 1.15717712), 1.16432796);
    found.check_certified(1.12340924);
    let weights = "6_Default_RandomForest_SelectedFeatures 0.234, \
                   4_Default_Xgboost_categorical_mix_GoldenFeatures 0.191, \
                   4_Default_Xgboost_categorical_mix_GoldenFeatures_RandomFeature 0.128, \
                   4_Default_Xgboost_categorical_mix 0.128, 7_Xgboost_GoldenFeatures 0.128, 20_RandomForest 0.085, \
                   8_Xgboost 0.064, 17_Xgboost_GoldenFeatures 0.043";
    pool.check_greedy("60", 1.12342488, weights, &[]);
}

/// The same models judged by the places of the true class.
#[test]
fn hurricane_places() {
    let yaml = "
metric: METRIC
truth: DATA/labels.csv
id: row
targets: [damage]";
    let test = "hurricane_places";
    let map = yaml.replace("METRIC", "{name: map_at_k, k: 3}");
    let Some(pool) = Pool::open(test, "hurricane-damage", &map) else { return };
    pool.import_folder("oof", &["--rows", "truth"]);
    pool.check_scores(&scores(&pool.data, "map_at_3"), ROUNDING);
    let found = pool.quick(&[]);
    assert_eq!(found.single_best().0, "8_Xgboost");
    near(found.single_best().1, 0.69566441, ROUNDING, "single best");
    assert!(found.score() >= 0.71452703 - ROUNDING, "{} is below a greedy selection's", found.score());

    let accuracy = yaml.replace("METRIC", "accuracy");
    let pool = Pool::open(test, "hurricane-damage", &accuracy).expect("it was there");
    let classes = ["--rows", "truth", "--output", "class_probabilities"];
    pool.import_folder("oof", &classes);
    pool.check_scores(&scores(&pool.data, "accuracy"), ROUNDING);
}

#[test]
fn plasticc() {
    let yaml = "
metric:
  name: multiclass_log_loss
  clip: 1e-15
  aggregation: class_mean
  class_weights: {15: 2, 64: 2}
truth: DATA/labels.csv
id: object_id
targets: [target]";
    let Some(pool) = Pool::open("plasticc", "plasticc", yaml) else { return };
    let models = pool.import_folder("oof", &[]);
    assert_eq!(models.len(), 14);
    pool.check_scores(&scores(&pool.data, "weighted_log_loss"), 1e-7);
    let base: Vec<String> = models.into_iter().filter(|model| !model.starts_with("stack")).collect();
    let base = base.join(",");
    let members = ["--members", &base];
    let found = pool.quick(&members);
    found.check_baselines(("joao_lgb1", 0.50679617), 0.50588612);
    found.check_certified(0.47618058);
    let weights = "joao_lgb1 0.489, lgb_v10_pass_56017 0.200, joao_lgb3 0.156, lgb_v10_aug_h09_55795 0.111, \
                   joao_lgb2 0.044";
    pool.check_greedy("50", 0.47618376, weights, &members);
    let weights = "stack_joao_49013 0.490, stack_nik_50549 0.408, joao_lgb1 0.102";
    pool.check_greedy("50", 0.44359895, weights, &[]);
}

#[test]
fn spooky_author() {
    let yaml = "
metric: {name: multiclass_log_loss, clip: 1e-15, renormalize: true}
truth: DATA/labels.csv
id: id
targets: [author]
sample_submission: sample_submission.csv";
    let Some(pool) = Pool::open("spooky_author", "spooky-author", yaml) else { return };
    // The pool has the ids of the test rows and no sample submission.
    let ids = std::fs::read_to_string(pool.data.join("test_ids.csv")).expect("ids");
    let lines = ids.lines().skip(1).map(|id| format!("{id},0.4,0.3,0.3\n"));
    let sample: String = std::iter::once("id,EAP,HPL,MWS\n".to_owned()).chain(lines).collect();
    pool.workspace.write("models/pool/sample_submission.csv", sample);
    for (model, path) in super::files(&pool.data.join("oof")) {
        let test = pool.data.join("test").join(path.file_name().expect("a name"));
        pool.import(&model, &[path], &["--test", &test.display().to_string()]);
    }
    pool.check_scores(&scores(&pool.data, "log_loss"), 1e-7);
    let found = pool.quick(&[]);
    found.check_baselines(("transformer_run2", 0.35188469), 0.28949892);
    found.check_certified(0.26953888);
    let weights = "transformer_run1 0.171722, logreg_tfidf 0.066776, transformer_run2 0.250438, \
                   transformer_run3 0.246656, transformer_run4 0.264409";
    found.check_weights(weights, 2e-4);
    let weights = "transformer_run4 0.267, transformer_run3 0.250, transformer_run2 0.250, transformer_run1 0.167, \
                   logreg_tfidf 0.067";
    pool.check_greedy("60", 0.26954369, weights, &[]);
    let geometric = pool.quick(&["--space", "log"]);
    near(geometric.number("equal_weights"), 0.28022366, ROUNDING, "geometric mean");
    assert_eq!(geometric.0["stop"], "certified");

    // The README's weights, which at six decimals sum to 1.000001: as far from one as a recipe may not be.
    let weights = [
        ("transformer_run1", 0.171722),
        ("logreg_tfidf", 0.066776),
        ("transformer_run2", 0.250438),
        ("transformer_run3", 0.246656),
        ("transformer_run4", 0.264409),
    ];
    let weights = weights.map(|(model, weight)| (model, (weight / 1.000_001).to_string()));
    let weights: Vec<(&str, &str)> = weights.iter().map(|(model, weight)| (*model, weight.as_str())).collect();
    let (_, made) = pool.submit("by_hand", "linear", &weights, &[]);
    let wanted = table(&pool.data.join("expected_submission_convex.csv.gz"), IdSpec::FirstColumn);
    assert_eq!(made.n_rows(), 8_392);
    near(largest_difference(&made, &wanted), 0.0, 1e-6, "the expected submission");
}

#[test]
fn digits() {
    let yaml = "
metric: {name: multiclass_log_loss, clip: 1e-15, renormalize: true}
truth: DATA/train_labels.csv
id: id
targets: [target]
folds: {file: DATA/train_labels.csv, column: fold}";
    let Some(pool) = Pool::open("digits", "demo-small/digits", yaml) else { return };
    super::import_demo(&pool, 5);
    let found = pool.search(&[]);
    found.check_baselines(("knn", 0.11369361), 0.19708463);
    assert_eq!(found.0["stop"], "certified");
    assert!(found.score() <= 0.07292509);
    pool.check_greedy("40", 0.07292509, "knn 0.975, logreg 0.025", &[]);
}

//! A pool of directions: which vectors are averaged, and how the submission's angles come out.

use super::{Pool, ROUNDING, near, scores, table};
use blend_core::{TableSource, truth::direction};
use blend_store::{IdSpec, Table};

#[test]
fn icecube_toy() {
    let yaml = "
metric: angular_error
truth: DATA/train_truth.csv
id: event_id
decode: {azimuth: azimuth, zenith: zenith}
folds: {file: DATA/train_truth.csv, column: fold}
sample_submission: DATA/sample_submission.csv";
    let Some(pool) = Pool::open("icecube_toy", "icecube-toy", yaml) else { return };
    for (model, path) in super::files(&pool.data.join("oof")) {
        let test = pool.data.join("test").join(path.file_name().expect("a name"));
        let said = pool.import(&model, &[path], &["--test", &test.display().to_string()]);
        assert_eq!((said["output"].as_str(), &said["test"]["rows"]), (Some("vector"), &2_400.into()));
    }
    pool.check_scores(&scores(&pool.data, "cv"), 1e-7);

    // README: local search from the greedy weights.
    let unit = pool.quick(&["--space", "unit_vector"]);
    unit.check_baselines(("robust_line_fit", 1.03060013), 1.05483662);
    unit.check_no_worse(1.02836087, 1e-4);
    let raw = pool.quick(&["--space", "vector"]);
    near(raw.number("equal_weights"), 1.06682525, ROUNDING, "mean of raw vectors");
    raw.check_no_worse(1.02879477, 1e-4);

    let weights = "robust_line_fit 0.783, ridge 0.087, mlp128_relu3 0.065, deepset 0.065";
    pool.check_greedy("60", 1.02836457, weights, &["--space", "unit_vector"]);
    let weights = "robust_line_fit 0.720, ridge 0.180, deepset 0.060, mlp128_relu3 0.040";
    pool.check_greedy("60", 1.02879572, weights, &["--space", "vector"]);

    // The expected submission is of weights that the README rounds to three decimals, 1.001 in sum.
    let weights =
        [("robust_line_fit", 0.779), ("ridge", 0.083), ("mlp128_relu3", 0.069), ("deepset", 0.065), ("mlp64", 0.005)];
    let weights = weights.map(|(model, weight)| (model, (weight / 1.001).to_string()));
    let weights: Vec<(&str, &str)> = weights.iter().map(|(model, weight)| (*model, weight.as_str())).collect();
    let labels = pool.data.join("test_truth.csv");
    let (said, made) =
        pool.submit("by_hand", "unit_vector", &weights, &["--labels", labels.to_str().expect("a path in UTF-8")]);
    let wanted = table(&pool.data.join("expected_submission_local_search.csv"), IdSpec::FirstColumn);
    let apart = largest_angle(&made, &wanted);
    assert!(apart < 2e-3, "{apart} rad");
    let scores = said["submissions"][0]["scores"].as_array().expect("scores on the labels");
    for (rows, wanted) in [("Public", 1.03044764), ("Private", 1.03326363)] {
        let found = scores.iter().find(|it| it["rows"] == rows).unwrap_or_else(|| panic!("{rows} in {said}"));
        near(found["score"].as_f64().expect("a score"), wanted, 3e-5, rows);
    }
}

/// The largest angle between the directions of two submissions.
fn largest_angle(got: &Table, wanted: &Table) -> f64 {
    let vectors = |table: &Table| -> Vec<[f64; 3]> {
        let azimuth = table.numbers("azimuth").expect("azimuth");
        let zenith = table.numbers("zenith").expect("zenith");
        azimuth.iter().zip(&zenith).map(|(&az, &ze)| direction(az, ze)).collect()
    };
    let (got_vectors, wanted_vectors) = (vectors(got), vectors(wanted));
    let order = wanted.rows().find_in(got.rows());
    let cosine = |a: &[f64; 3], b: &[f64; 3]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    let pairs = order.iter().zip(&wanted_vectors);
    let angles = pairs.map(|(row, b)| cosine(&got_vectors[row.expect("the id") as usize], b).clamp(-1.0, 1.0).acos());
    angles.fold(0.0, f64::max)
}

//! A search by each metric that no other test searches by: it ends, is no worse than the baselines, writes a recipe.

use crate::{
    support::Workspace,
    toy::{self, MODELS},
};
use serde_json::Value;
use std::fmt::Write as _;

const ROWS: usize = 120;

/// What a metric judges.
#[derive(Clone, Copy)]
enum Kind {
    /// 0 or 1, from a probability.
    Binary,
    /// One of three classes, from the probability of each.
    Classes,
    /// A number above zero, from a number.
    Number,
}

/// Noise in (-0.5, 0.5) that differs between models.
fn noise(model: usize, row: usize) -> f64 {
    ((row * (37 + 16 * model) + model * 53) % 101) as f64 / 101.0 - 0.5
}

/// What a row is worth, in (0, 1).
fn worth(row: usize) -> f64 {
    0.005 + ((row * 29) % 97) as f64 / 97.0
}

/// What a model takes a row's worth for: the first two err apart, the third hardly knows.
fn guess(model: usize, row: usize) -> f64 {
    (0.5 + (worth(row) - 0.5) * [0.9, 0.8, 0.3][model] + 0.6 * noise(model, row)).clamp(0.02, 0.98)
}

fn truth(kind: Kind, row: usize) -> String {
    match kind {
        Kind::Binary => u8::from(worth(row) > 0.6).to_string(),
        Kind::Classes => ["low", "mid", "top"][(worth(row) * 2.99) as usize].to_owned(),
        Kind::Number => (10.0 * worth(row)).to_string(),
    }
}

fn prediction(kind: Kind, model: usize, row: usize) -> String {
    let guess = guess(model, row);
    match kind {
        Kind::Binary => guess.to_string(),
        Kind::Number => (10.0 * guess).to_string(),
        Kind::Classes => {
            // Near a class's middle its probability is high.
            let near = [1.0 / 6.0, 0.5, 5.0 / 6.0].map(|middle: f64| (-20.0 * (guess - middle).powi(2)).exp());
            let sum: f64 = near.iter().sum();
            near.map(|share| (share / sum).to_string()).join(",")
        }
    }
}

fn lines(head: &str, value: impl Fn(usize) -> String) -> String {
    let mut text = format!("id,{head}\n");
    for row in 0..ROWS {
        let _ = writeln!(text, "r{row},{}", value(row));
    }
    text
}

fn workspace(metric: &str, kind: Kind) -> Workspace {
    let workspace = Workspace::new();
    workspace.write(
        "models/toy/competition.yaml",
        format!(
            "competition: toy\nmetric: {metric}\ntruth: train.csv\nid: id\ntargets: [y]\n\
             folds: {{file: folds.csv, column: fold}}\n"
        ),
    );
    workspace.write("models/toy/train.csv", lines("y", |row| truth(kind, row)));
    workspace.write("models/toy/folds.csv", lines("fold", |row| (row % 4).to_string()));
    let (head, output) = match kind {
        Kind::Binary => ("y", "probability"),
        Kind::Classes => ("low,mid,top", "class_probabilities"),
        Kind::Number => ("y", "value"),
    };
    for (i, model) in MODELS.iter().enumerate() {
        let oof = workspace.write(format!("in/{model}.csv"), lines(head, |row| prediction(kind, i, row)));
        let import = ["import", model, "--oof", &oof.display().to_string(), "--output", output];
        toy::run(&workspace, &import).expect(0);
    }
    workspace
}

#[test]
fn every_metric_can_be_searched_by() {
    // Whether a higher score is better.
    let cases = [
        ("f1", Kind::Binary, true),
        ("accuracy", Kind::Binary, true),
        ("accuracy", Kind::Classes, true),
        ("balanced_accuracy", Kind::Binary, true),
        ("balanced_accuracy", Kind::Classes, true),
        ("ndcg_at_k", Kind::Classes, true),
        ("top_k_accuracy", Kind::Classes, true),
        ("{name: pinball, quantile: 0.9}", Kind::Number, false),
        ("mape", Kind::Number, false),
        ("smape", Kind::Number, false),
        ("spearman", Kind::Number, true),
        ("pearson", Kind::Number, true),
    ];
    for (metric, kind, higher) in cases {
        let workspace = workspace(metric, kind);
        let found = toy::run(&workspace, &["--json", "search"]).expect(0).json();
        let number = |value: &Value| value.as_f64().unwrap_or_else(|| panic!("{metric}: no number in {found}"));
        let loss = |value: &Value| if higher { -number(value) } else { number(value) };
        let score = loss(&found["score"]);
        assert!(score <= loss(&found["equal_weights"]) + 1e-12, "{metric}: worse than equal weights: {found}");
        assert!(score <= loss(&found["single_best"]["score"]) + 1e-12, "{metric}: worse than the single best: {found}");
        assert!(number(&found["nested_score"]).is_finite(), "{metric}");
        let weights = found["weights"].as_object().expect("weights");
        let sum: f64 = weights.values().map(&number).sum();
        assert!((sum - 1.0).abs() < 1e-9 && weights.values().all(|weight| number(weight) >= 0.0), "{metric}: {found}");
        let recipe = String::from_utf8(workspace.read("blends/toy/best_cv.yaml")).expect("text");
        assert!(recipe.contains("blend: best_cv") && recipe.contains("score: "), "{metric}: {recipe}");
    }
}

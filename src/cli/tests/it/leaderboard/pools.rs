//! Cases whose test labels are known: hidden from the program, compared with what it predicts.

use super::{
    contest::{Contest, Part, Said, spec},
    exact::{DRAWS, random_blends},
};
use crate::support::near;
use blend_core::{
    output::OutputKind,
    space::SpaceName::{self, *},
};

/// One of the small demo sets, with every model's score.
pub(super) fn demo(
    test: &str,
    name: &str,
    metric: &str,
    columns: &[&str],
    kind: OutputKind,
    public_rows: &str,
) -> Option<Contest> {
    let contest = unscored(test, name, metric, columns, kind, public_rows, "f64")?;
    contest.record_scores(5);
    Some(contest)
}

/// One of the small demo sets before anything was scored.
fn unscored(
    test: &str,
    name: &str,
    metric: &str,
    columns: &[&str],
    kind: OutputKind,
    public_rows: &str,
    dtype: &str,
) -> Option<Contest> {
    let yaml = format!(
        "truth: DATA/train_labels.csv
id: id
targets: {}
folds: {{file: DATA/train_labels.csv, column: fold}}
sample_submission: sample.csv
leaderboard: {{decimals: 5, public_rows: {public_rows}}}",
        if columns.len() == 12 { "\"*\"".to_owned() } else { "[target]".to_owned() }
    );
    let mut contest = Contest::open(test, &format!("demo-small/{name}"), spec(metric), kind, "test_labels.csv", &yaml)?;
    contest.sample("id", &columns.iter().map(|it| (*it).to_owned()).collect::<Vec<_>>());
    let mut models: Vec<String> = std::fs::read_dir(&contest.data)
        .expect("folder")
        .filter_map(|entry| entry.expect("entry").file_name().to_str().map(str::to_owned))
        .filter_map(|name| Some(name.strip_prefix("oof_")?.strip_suffix(".csv")?.to_owned()))
        .collect();
    models.sort();
    for model in models {
        let [oof, test] = ["oof", "sub"].map(|split| contest.data.join(format!("{split}_{model}.csv")));
        contest.import(&model, Some(&oof), &test, &["--dtype", dtype]);
    }
    Some(contest)
}

pub(super) const MARKED: &str = "{file: DATA/test_labels.csv, column: usage, equals: Public}";

/// Names of the twelve assays.
const ASSAYS: [&str; 12] = [
    "NR-AR",
    "NR-AR-LBD",
    "NR-AhR",
    "NR-Aromatase",
    "NR-ER",
    "NR-ER-LBD",
    "NR-PPAR-gamma",
    "SR-ARE",
    "SR-ATAD5",
    "SR-HSE",
    "SR-MMP",
    "SR-p53",
];

const CLASSES: [&str; 10] =
    ["class_0", "class_1", "class_2", "class_3", "class_4", "class_5", "class_6", "class_7", "class_8", "class_9"];

/// The demo sets whose metrics have a canonical space.
pub(super) fn demo_sets(public_rows: &str) -> Vec<(&'static str, SpaceName, Contest)> {
    let sets: [(&str, &str, &[&str], OutputKind, SpaceName); 5] = [
        ("tox21-12", "log_loss", &ASSAYS, OutputKind::Probability, Logit),
        ("breast-cancer", "log_loss", &["target"], OutputKind::Probability, Logit),
        ("digits", "multiclass_log_loss", &CLASSES, OutputKind::ClassProbabilities, Log),
        ("diabetes", "rmse", &["target"], OutputKind::Value, Linear),
        ("diabetes", "rmsle", &["target"], OutputKind::Value, Log1p),
    ];
    sets.into_iter()
        .filter_map(|(name, metric, columns, kind, space)| {
            let contest = demo("demo_sets", name, metric, columns, kind, public_rows)?;
            Some((if metric == "rmsle" { "diabetes, RMSLE" } else { name }, space, contest))
        })
        .collect()
}

/// The blend that a search finds scores what was predicted, and no worse than the single best and equal weights.
fn best(contest: &Contest, space: SpaceName) {
    let said = contest.json(&["search", "--target", "lb"]);
    assert_eq!(said["stop"], "certified", "{said}");
    let predicted = Said::of(&said["predicted_public"]);
    assert_eq!(predicted.method, "exact");
    let actual = contest.actual(&contest.blend(space, &contest.weights(&said)), Part::Public);
    near(predicted.score, actual, predicted.bound + 1e-9, "predicted");
    for other in [&said["equal_weights"], &said["single_best"]["score"]] {
        assert!(predicted.score <= other.as_f64().expect("a score") + 1e-9, "{said}");
    }
}

#[test]
fn blends_of_the_demo_sets_are_predicted_exactly() {
    for (_, space, contest) in demo_sets(MARKED) {
        best(&contest, space);
        random_blends(&contest, space, "close", DRAWS);
    }
}

#[test]
fn scored_files_tell_of_the_models_that_they_hold() {
    // Models are stored in single precision; what was scored are the files that they came from, and blends of them.
    for (metric, space) in [("rmse", Linear), ("mse", Linear), ("rmsle", Log1p)] {
        let test = "scored_files_tell_of_the_models_that_they_hold";
        let contest = unscored(test, "diabetes", metric, &["target"], OutputKind::Value, MARKED, "f32");
        let Some(contest) = contest else { return };
        let (blended, own) = contest.models.split_at(3);
        for model in own {
            let file = contest.data.join(format!("sub_{model}.csv"));
            let values = contest.blend(Linear, &[(model.clone(), 1.0)]);
            let score = format!("{:.5}", contest.actual(&values, Part::Public));
            contest.json(&["lb", "add", &file.display().to_string(), &score]);
        }
        for (i, model) in blended.iter().enumerate() {
            let values = contest.blend(space, &[(model.clone(), 0.4), (own[i].clone(), 0.6)]);
            let rows = contest.rows.iter().zip(values.column(0));
            let text: String = rows.map(|(id, value)| format!("{id},{value}\n")).collect();
            let file = contest.workspace.write(format!("in/blend{i}.csv"), format!("id,target\n{text}"));
            let score = format!("{:.5}", contest.actual(&values, Part::Public));
            contest.json(&["lb", "add", &file.display().to_string(), &score]);
        }
        let said = contest.json(&["search", "--target", "lb"]);
        assert_eq!(said["weights"].as_object().map(serde_json::Map::len), Some(6), "{said}");
        assert_eq!(said["stop"], "certified", "{said}");
        let predicted = Said::of(&said["predicted_public"]);
        let actual = contest.actual(&contest.blend(space, &contest.weights(&said)), Part::Public);
        near(predicted.score, actual, predicted.bound + 5.0 * predicted.error, metric);
        let (largest, inside) = random_blends(&contest, space, "close", 40);
        assert!(inside >= 0.9, "{metric}: {inside} within two standard errors, largest error {largest:e}");
    }
}

#[test]
fn two_finals() {
    let kind = OutputKind::Probability;
    let Some(contest) = demo("two_finals", "breast-cancer", "log_loss", &["target"], kind, MARKED) else { return };
    contest.json(&["search", "--target", "lb"]);
    // The three that a leaderboard knows of, and the two finals.
    for target in ["cv", "pooled"] {
        contest.json(&["search", "--target", target, "--no-nested"]);
    }
    let said = contest.json(&["select"]);
    assert_eq!(said["finals"].as_array().map(Vec::len), Some(2), "{said}");
    assert_eq!(said["candidates"].as_array().map(Vec::len), Some(3), "{said}");
    for pair in said["pairs"].as_array().expect("pairs") {
        let chance = pair["first_beats_second"].as_f64().expect("a chance");
        assert!((0.0..=1.0).contains(&chance), "{pair}");
    }
}

#[test]
fn what_contradicts_itself_is_refused() {
    let kind = OutputKind::Value;
    let test = "what_contradicts_itself_is_refused";
    let Some(contest) = demo(test, "diabetes", "rmse", &["target"], kind, "5000") else { return };
    let said = contest.run(&["search", "--target", "lb"]).expect(2).stderr;
    assert!(said.contains("5000 public rows, but only 133 test rows") && said.contains("hint:"), "{said}");
    let yaml = contest.workspace.path("models/c/competition.yaml");
    let text = std::fs::read_to_string(&yaml).expect("yaml");
    std::fs::write(&yaml, text.replace("5000", &MARKED.replace("DATA", &contest.data.display().to_string())))
        .expect("write");
    let before = contest.workspace.read("submissions/c/ledger.jsonl");
    let model = contest.models[0].clone();
    // No labels give one model a tenth of the error that another one has.
    let weights = format!("blend: half\ncompetition: c\nmembers: {{{model}: 0.5, {}: 0.5}}\n", contest.models[1]);
    contest.workspace.write("blends/c/half.yaml", weights);
    let said = contest.run(&["lb", "add", "half", "2.5"]).expect(3).stderr;
    assert!(said.contains("no labels give") && said.contains("nothing was recorded"), "{said}");
    assert_eq!(contest.workspace.read("submissions/c/ledger.jsonl"), before);
    // What was predicted is no alarm, what was not is one.
    let predicted = contest.json(&["lb", "predict", "half"]);
    let predicted = Said::of(&predicted["predictions"][0]["predicted_public"]);
    let said = contest.json(&["lb", "add", "half", &format!("{:.5}", predicted.score)]);
    assert_eq!(said["alarm"], false, "{said}");
    assert!(said["gain"]["standard_error"].as_f64().is_some_and(|it| it > 0.0), "{said}");
}

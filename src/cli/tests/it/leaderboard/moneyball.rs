//! Real public scores: 40 of 147 submissions, on 243 of 453 rows that nobody knows, absolute errors, no out-of-fold rows.

use super::contest::Said;
use crate::support::{Workspace, shared, table};
use blend_core::TableSource;
use blend_store::IdSpec;
use serde_json::Value;
use std::path::PathBuf;

const COMPETITION: &str = "\
competition: c
metric: mae
id: ID
targets: [W]
sample_submission: sample.csv
leaderboard: {decimals: 5, public_rows: 243}
";

struct Ball {
    workspace: Workspace,
    data: PathBuf,
    scored: Vec<String>,
}

impl Ball {
    fn open(test: &str) -> Option<Self> {
        let data = shared(test, "moneyball-lb")?;
        let workspace = Workspace::new();
        workspace.write("models/c/competition.yaml", COMPETITION);
        workspace.copy(data.join("submissions/notemporal.csv"), "models/c/sample.csv");
        let scores = table(&data.join("scores.csv"), IdSpec::Column("submission".to_owned()));
        let public = scores.numbers("public_lb_mae").expect("scores");
        let names = scores.rows().iter().map(std::borrow::Cow::into_owned);
        let scored: Vec<String> = names.zip(public).filter(|(_, it)| !it.is_nan()).map(|(name, _)| name).collect();
        assert_eq!(scored.len(), 40);
        let ball = Self { workspace, data, scored };
        for name in &ball.scored {
            let file = ball.data.join("submissions").join(format!("{name}.csv")).display().to_string();
            ball.workspace.blend(&["import", name, "--test", &file]).expect(0);
        }
        Some(ball)
    }

    fn run(&self, code: i32, arguments: &[&str]) -> Value {
        self.workspace.blend(&[&["--json"], arguments].concat()).expect(code).json()
    }
}

#[test]
fn real_scores_with_a_contradiction() {
    let Some(ball) = Ball::open("real_scores_with_a_contradiction") else { return };
    let file = ball.data.join("scores.csv").display().to_string();
    // The source gives one file two scores under two names: both are recorded, and named.
    let said = ball.run(1, &["lb", "import", &file]);
    assert_eq!((said["recorded"].as_u64(), said["without_score"].as_u64()), (Some(40), Some(107)), "{said}");
    let conflicts = said["conflicts"].as_array().expect("conflicts");
    assert_eq!(conflicts.len(), 1, "{said}");
    let names: Vec<&str> = conflicts[0]["names"].as_array().expect("names").iter().filter_map(Value::as_str).collect();
    assert!(names.contains(&"blend_micro_a") && names.contains(&"blend_micro_i"), "{names:?}");
    let scores: Vec<f64> =
        conflicts[0]["scores"].as_array().expect("scores").iter().filter_map(|it| it["score"].as_f64()).collect();
    assert_eq!(scores, [2.99176, 3.0]);

    let found = ball.run(0, &["search", "--target", "lb"]);
    let left: Vec<&str> = found["left_out"].as_array().expect("left out").iter().filter_map(Value::as_str).collect();
    assert!(left.len() == 1 && left[0].contains("blend_micro_a"), "{left:?}");
    let predicted = Said::of(&found["predicted_public"]);
    assert_eq!(predicted.method, "moment_matched");
    let single = found["single_best"]["score"].as_f64().expect("a score");
    assert!(predicted.score <= single + 1e-9 && predicted.score > 2.5, "{} {single}", predicted.score);
    assert!(predicted.error > 0.001 && predicted.error < 0.2, "{}", predicted.error);
    assert!(found["weights"].get("blend_micro_a").is_none(), "{found}");
    let n_files = found["scored_files"].as_u64().expect("files");

    // A correction line settles it.
    ball.run(0, &["lb", "add", "blend_micro_a", "2.99176", "--correct"]);
    let found = ball.run(0, &["search", "--target", "lb"]);
    assert_eq!(found["scored_files"], n_files + 1);
    assert_eq!(found["left_out"].as_array().map(Vec::len), Some(0));
}

#[test]
fn every_scored_file_is_predicted_from_the_others() {
    let Some(ball) = Ball::open("every_scored_file_is_predicted_from_the_others") else { return };
    let file = ball.data.join("scores.csv").display().to_string();
    ball.run(1, &["lb", "import", &file]);
    ball.run(0, &["lb", "add", "blend_micro_a", "2.99176", "--correct"]);
    let text = String::from_utf8(ball.workspace.read("submissions/c/ledger.jsonl")).expect("text");
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let mut contents: Vec<String> = Vec::new();
    for line in &lines {
        let content = line["content"].as_str().expect("content").to_owned();
        if !contents.contains(&content) {
            contents.push(content);
        }
    }
    let (mut inside, mut worst) = (0, 0.0_f64);
    for content in &contents {
        // The ledger without every line of one content.
        let of = |line: &Value| line["content"].as_str() == Some(content);
        let others: String = lines.iter().filter(|line| !of(line)).map(|line| format!("{line}\n")).collect();
        ball.workspace.write("submissions/c/ledger.jsonl", others);
        let last = lines.iter().rev().find(|line| of(line)).expect("a line");
        let (model, actual) = (last["model"].as_str().expect("a model"), last["public"].as_f64().expect("a score"));
        let said = ball.run(0, &["lb", "predict", model]);
        let said = Said::of(&said["predictions"][0]["predicted_public"]);
        let off = (said.score - actual).abs();
        inside += usize::from(off <= 2.0 * said.error.hypot(3e-6));
        worst = worst.max(off);
    }
    let share = inside as f64 / contents.len() as f64;
    assert!(share >= 0.9, "{inside} of {} within two standard errors, worst {worst:.4}", contents.len());
}

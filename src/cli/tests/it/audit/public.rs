//! Public scores of the ledger, held against OOF scores.

use super::small::{self, Kind, MODELS};
use crate::{support::Workspace, toy::run};
use serde_json::Value;

/// Severity and model of what the check `public` found.
fn found(workspace: &Workspace) -> Vec<(String, String)> {
    let audit = run(workspace, &["audit", "--json"]).json();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let findings = audit["findings"].as_array().expect("findings");
    findings.iter().filter(|it| it["check"] == "public").map(|it| (text(&it["severity"]), text(&it["model"]))).collect()
}

#[test]
fn public_scores_of_the_ledger_are_held_against_oof_scores() {
    let workspace = small::imported(Kind::Targets);
    let audit = run(&workspace, &["audit", "--json"]).json();
    // All models lose a little on the leaderboard, one of them much more.
    for (at, model) in audit["models"].as_array().expect("models").iter().enumerate() {
        let name = model["model"].as_str().expect("a name");
        let loss = if name == MODELS[3] { 0.2 } else { 0.01 + 0.001 * at as f64 };
        let public = model["score"].as_f64().expect("a score") + loss;
        run(&workspace, &["lb", "add", name, &format!("{public:.5}")]);
    }
    let outlier = [("warning".to_owned(), MODELS[3].to_owned())];
    assert_eq!(found(&workspace), outlier);
    // Two scores for one file, the second of them far off as well; then the correction.
    run(&workspace, &["lb", "add", MODELS[1], "0.99999"]);
    let torn = ["fault", "warning"].map(|severity| (severity.to_owned(), MODELS[1].to_owned()));
    assert_eq!(found(&workspace), [&torn[..], &outlier[..]].concat());
    run(&workspace, &["audit"]).expect(1);
    let known = audit["models"][1]["score"].as_f64().expect("a score") + 0.011;
    run(&workspace, &["lb", "add", MODELS[1], &format!("{known:.5}"), "--correct"]).expect(0);
    assert_eq!(found(&workspace), outlier);
    // The page says it beside the model.
    run(&workspace, &["report", "-o", "page.html"]).expect(0);
    let page = String::from_utf8(workspace.read("page.html")).expect("text");
    assert!(page.contains("worse by") && page.contains("than the other models let expect"));
}

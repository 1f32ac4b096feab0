//! The tables of `docs/leaderboard.md`: `scripts/bench/leaderboard.sh` runs this and prints them.

use super::{
    contest::{Contest, Part, Said},
    exact::{MARKED as TOXCAST, random_blends, toxcast},
    pools::{MARKED, demo_sets},
};
use blend_core::space::SpaceName::{self, Linear};
use serde_json::Value;
use std::fmt::Write as _;

/// The private score of what a search found.
fn private(contest: &Contest, said: &Value) -> f64 {
    let space: SpaceName = said["space"].as_str().expect("a space").parse().expect("a space");
    contest.actual(&contest.blend(space, &contest.weights(said)), Part::Private)
}

fn row(name: &str, contest: &Contest, canonical: SpaceName, exact: (f64, f64)) -> String {
    let lb = contest.json(&["search", "--target", "lb"]);
    let cv = contest.json(&["search", "--target", "cv", "--no-nested"]);
    let pooled = contest.json(&["search", "--target", "pooled"]);
    let n = contest.models.len() as f64;
    let equal: Vec<(String, f64)> = contest.models.iter().map(|model| (model.clone(), 1.0 / n)).collect();
    let single = cv["single_best"]["model"].as_str().expect("a model").to_owned();
    let said = Said::of(&lb["predicted_public"]);
    let actual = contest.actual(&contest.blend(canonical, &contest.weights(&lb)), Part::Public);
    format!(
        "| {name} | {} | {:.6} | {actual:.6} | {:.1e} | {:.0} % | {:.5} | {:.5} | {:.5} | {:.5} | {:.5} |",
        said.method,
        said.score,
        exact.0,
        100.0 * exact.1,
        private(contest, &lb),
        private(contest, &cv),
        private(contest, &pooled),
        contest.actual(&contest.blend(Linear, &equal), Part::Private),
        contest.actual(&contest.blend(Linear, &[(single, 1.0)]), Part::Private),
    )
}

#[test]
#[ignore = "prints tables: scripts/bench/leaderboard.sh"]
#[allow(clippy::print_stdout)] // that is what it is for
fn tables() {
    let mut text = "| case | method | best LB predicted | actual | largest error of 200 | within 2 se | private: best LB | best CV | pooled | equal | single best |\n|---|---|---|---|---|---|---|---|---|---|---|\n".to_owned();
    if let Some(contest) = toxcast("bench", TOXCAST) {
        let exact = random_blends(&contest, SpaceName::Logit, "exact");
        let _ = writeln!(text, "{}", row("toxcast-moa-like", &contest, SpaceName::Logit, exact));
    }
    if let Some(contest) = toxcast("bench", "220") {
        let found = random_blends(&contest, SpaceName::Logit, "identity");
        let _ = writeln!(text, "{}", row("the same, public rows unknown", &contest, SpaceName::Logit, found));
    }
    for (name, space, contest) in demo_sets(MARKED) {
        let exact = random_blends(&contest, space, "exact");
        let _ = writeln!(text, "{}", row(name, &contest, space, exact));
    }
    println!("{text}");
    println!("{}", splits());
}

/// Random public parts of one case: how often pooling is no worse than CV on what is private.
fn splits() -> String {
    let mut text = "| public | pooled no worse than best CV | best LB no worse than best CV | mean private: best CV | pooled | best LB |\n|---|---|---|---|---|---|\n".to_owned();
    let Some((_, space, mut contest)) = demo_sets(MARKED).into_iter().find(|(name, ..)| *name == "tox21-12") else {
        return text;
    };
    let yaml = contest.workspace.path("models/c/competition.yaml");
    let before = std::fs::read_to_string(&yaml).expect("yaml");
    let marked = MARKED.replace("DATA", &contest.data.display().to_string());
    std::fs::write(&yaml, before.replace(&marked, "public.csv")).expect("write");
    let cv = contest.json(&["search", "--target", "cv", "--no-nested", "--space", space.name()]);
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut unit = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 11) as f64 / (1u64 << 53) as f64
    };
    for share in [0.10, 0.25, 0.50] {
        let (mut pooled_wins, mut lb_wins, mut sums) = (0, 0, [0.0; 3]);
        for _ in 0..100 {
            contest.public = contest.public.iter().map(|_| unit() < share).collect();
            let ids: String = contest
                .rows
                .iter()
                .zip(&contest.public)
                .filter(|(_, public)| **public)
                .map(|(id, _)| format!("{id}\n"))
                .collect();
            contest.workspace.write("models/c/public.csv", format!("id\n{ids}"));
            let _ = std::fs::remove_file(contest.workspace.path("submissions/c/ledger.jsonl"));
            contest.record_scores(5);
            let lb = private(&contest, &contest.json(&["search", "--target", "lb"]));
            let pooled = private(&contest, &contest.json(&["search", "--target", "pooled"]));
            let cv = private(&contest, &cv);
            pooled_wins += u32::from(pooled <= cv + 1e-9);
            lb_wins += u32::from(lb <= cv + 1e-9);
            [cv, pooled, lb].iter().zip(&mut sums).for_each(|(score, sum)| *sum += score / 100.0);
        }
        let _ = writeln!(
            text,
            "| {:.0} % | {pooled_wins} of 100 | {lb_wins} of 100 | {:.5} | {:.5} | {:.5} |",
            100.0 * share,
            sums[0],
            sums[1],
            sums[2]
        );
    }
    text
}

//! The tables of `docs/leaderboard.md`: `scripts/bench/leaderboard.sh` runs this and prints them.

use super::{
    cases::more,
    contest::{Contest, Part, Said},
    exact::{DRAWS, MARKED as TOXCAST, random_blends, toxcast},
    pools::{MARKED, demo_sets},
};
use blend_core::space::SpaceName::{self, Logit};
use serde_json::Value;

const HEAD: &str = "\
| case | method | best LB predicted | actual | largest error of 200 | within 2 se | private: best LB | best CV | pooled | \
equal | single best |
|---|---|---|---|---|---|---|---|---|---|---|
";

const SPLITS_HEAD: &str = "
| public | pooled no worse than best CV | best LB no worse than best CV | mean private: best CV | pooled | best LB |
|---|---|---|---|---|---|";

/// The score of what a search found, in the space that it says.
fn score(contest: &Contest, said: &Value, part: Part) -> f64 {
    let space: SpaceName = said["space"].as_str().expect("a space").parse().expect("a space");
    contest.actual(&contest.blend(space, &contest.weights(said)), part)
}

fn row(name: &str, contest: &Contest, space: SpaceName, method: &str) -> String {
    let (largest, inside) = random_blends(contest, space, method, DRAWS);
    let lb = contest.json(&["search", "--target", "lb", "--space", space.name()]);
    let cv = contest.json(&["search", "--target", "cv", "--no-nested"]);
    let pooled = contest.json(&["search", "--target", "pooled", "--space", space.name()]);
    let single = cv["single_best"]["model"].as_str().expect("a model").to_owned();
    let said = Said::of(&lb["predicted_public"]);
    let alone = |weights: &[(String, f64)]| contest.actual(&contest.blend(contest.averaged(), weights), Part::Private);
    format!(
        "| {name} | {} | {:.6} | {:.6} | {largest:.1e} | {:.0} % | {:.5} | {:.5} | {:.5} | {:.5} | {:.5} |",
        said.method,
        said.score,
        score(contest, &lb, Part::Public),
        100.0 * inside,
        score(contest, &lb, Part::Private),
        score(contest, &cv, Part::Private),
        score(contest, &pooled, Part::Private),
        alone(&contest.equal()),
        alone(&[(single, 1.0)]),
    )
}

#[test]
#[ignore = "prints tables: scripts/bench/leaderboard.sh"]
#[allow(clippy::print_stdout)] // that is what it is for
fn tables() {
    print!("{HEAD}");
    if let Some(contest) = toxcast("bench", TOXCAST) {
        println!("{}", row("toxcast-moa-like", &contest, Logit, "exact"));
    }
    if let Some(contest) = toxcast("bench", "220") {
        println!("{}", row("the same, public rows unknown", &contest, Logit, "identity"));
    }
    for (name, space, contest) in demo_sets(MARKED) {
        println!("{}", row(name, &contest, space, "close"));
    }
    for (name, space, method, contest) in more("bench") {
        println!("{}", row(name, &contest, space, method));
    }
    println!("{SPLITS_HEAD}");
    let Some((mut contest, cv)) = splittable() else { return };
    for share in [0.10, 0.25, 0.50] {
        let Splits { pooled_no_worse, lb_no_worse, means: [best_cv, pooled, best_lb] } =
            splits(&mut contest, &cv, share, 100);
        println!(
            "| {:.0} % | {pooled_no_worse} of 100 | {lb_no_worse} of 100 | {best_cv:.5} | {pooled:.5} | {best_lb:.5} |",
            100.0 * share
        );
    }
}

/// What `n` random public parts of one case came to.
struct Splits {
    pooled_no_worse: u32,
    lb_no_worse: u32,
    /// Mean private scores of best CV, pooled and best LB.
    means: [f64; 3],
}

/// A case whose public rows stand in a file of their own, and its best CV.
fn splittable() -> Option<(Contest, Value)> {
    let (_, space, contest) = demo_sets(MARKED).into_iter().find(|(name, ..)| *name == "tox21-12")?;
    let yaml = contest.workspace.path("models/c/competition.yaml");
    let before = std::fs::read_to_string(&yaml).expect("yaml");
    let marked = MARKED.replace("DATA", &contest.data.display().to_string());
    std::fs::write(&yaml, before.replace(&marked, "public.csv")).expect("write");
    let cv = contest.json(&["search", "--target", "cv", "--no-nested", "--space", space.name()]);
    Some((contest, cv))
}

/// Draws public parts of `share` of the rows: how often pooling is no worse than CV on what is private.
fn splits(contest: &mut Contest, cv: &Value, share: f64, n: u32) -> Splits {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64 ^ share.to_bits();
    let mut unit = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 11) as f64 / (1u64 << 53) as f64
    };
    let mut found = Splits { pooled_no_worse: 0, lb_no_worse: 0, means: [0.0; 3] };
    for _ in 0..n {
        contest.public = contest.public.iter().map(|_| unit() < share).collect();
        let rows = contest.rows.iter().zip(&contest.public);
        let ids: String = rows.filter(|(_, public)| **public).map(|(id, _)| format!("{id}\n")).collect();
        contest.workspace.write("models/c/public.csv", format!("id\n{ids}"));
        let _ = std::fs::remove_file(contest.workspace.path("submissions/c/ledger.jsonl"));
        contest.record_scores(5);
        let lb = contest.json(&["search", "--target", "lb"]);
        let pooled = contest.json(&["search", "--target", "pooled"]);
        let [cv, pooled, lb] = [cv, &pooled, &lb].map(|said| score(contest, said, Part::Private));
        found.pooled_no_worse += u32::from(pooled <= cv + 1e-9);
        found.lb_no_worse += u32::from(lb <= cv + 1e-9);
        [cv, pooled, lb].iter().zip(&mut found.means).for_each(|(score, mean)| *mean += score / f64::from(n));
    }
    found
}

#[test]
fn pooling_is_safer_than_the_leaderboard_alone() {
    let Some((mut contest, cv)) = splittable() else { return };
    let found = splits(&mut contest, &cv, 0.1, 8);
    let [best_cv, pooled, best_lb] = found.means;
    // A tenth of 500 rows: what is best on it is not best on the rest, and pooling knows.
    assert!(pooled < best_lb && pooled < best_cv + 2e-4, "{:?}", found.means);
    assert!(found.pooled_no_worse >= found.lb_no_worse, "{} {}", found.pooled_no_worse, found.lb_no_worse);
}

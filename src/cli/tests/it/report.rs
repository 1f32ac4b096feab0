//! The report: one page, the same for the same facts, that shows hostile names as names, works in a browser and asks
//! for nothing.

mod browser;

use crate::{
    support::{Workspace, shared},
    toy::{self, MODELS, refused, run},
};
use browser::{browser, open};
use std::fmt::Write as _;

const HOSTILE: [&str; 3] =
    ["</script><script>document.title='taken'</script>", "<img src=http://127.0.0.1:9/x onerror=alert(1)>", "a&b\"'`c"];

/// A competition of three targets with hostile names and six models, one of them far off.
fn hostile() -> Workspace {
    let workspace = Workspace::new();
    let quoted: Vec<String> = HOSTILE.iter().map(|name| format!("\"{}\"", name.replace('"', "\"\""))).collect();
    let header = format!("id,{}\n", quoted.join(","));
    let table = |cell: &dyn Fn(usize, usize) -> String| {
        let mut text = header.clone();
        for row in 0..90 {
            let cells: Vec<String> = (0..3).map(|target| cell(row, target)).collect();
            let _ = writeln!(text, "r{row:02},{}", cells.join(","));
        }
        text
    };
    let label = |row: usize, target: usize| u8::from((row * 7 + target * 5).is_multiple_of(3 + target));
    workspace.write(
        "models/hostile/competition.yaml",
        "competition: hostile\nmetric: log_loss\ntruth: data/train.csv\nid: id\nfolds: {file: data/folds.csv, column: fold}\n\
         groups: {file: data/groups.csv, column: group}\n",
    );
    workspace.write("models/hostile/data/train.csv", table(&|row, target| label(row, target).to_string()));
    let mut folds = "id,fold\n".to_owned();
    (0..90).for_each(|row| {
        let _ = writeln!(folds, "r{row:02},{}", row % 3);
    });
    workspace.write("models/hostile/data/folds.csv", folds);
    let mut groups = "id,group\n".to_owned();
    (0..90).for_each(|row| {
        let _ = writeln!(groups, "r{row:02},<i>{}", row / 30);
    });
    workspace.write("models/hostile/data/groups.csv", groups);
    for model in 0..6 {
        let value = |row: usize, target: usize| {
            let noise = toy::probability(model, row * 3 + target) - 0.5;
            let truth = f64::from(label(row, target)) - 0.5;
            (0.5 + truth * (0.9 - 0.1 * model as f64) + noise * 0.2).clamp(0.02, 0.98).to_string()
        };
        let file = workspace.write(format!("in/m{model}.csv"), table(&value));
        run(&workspace, &["import", &format!("m{model}"), "--oof", &file.display().to_string()]).expect(0);
    }
    workspace.write(
        "models/hostile/m1/model.yaml",
        "model: m1\noutput: probability\nclaimed: {score: 0.5, scope: \"<b>all</b> & </title>\"}\n",
    );
    run(&workspace, &["search"]).expect(0);
    workspace
}

fn page(workspace: &Workspace, path: &str) -> String {
    String::from_utf8(workspace.read(path)).expect("text")
}

/// The text of one section.
#[track_caller]
fn section<'a>(page: &'a str, id: &str) -> &'a str {
    let rest = page.split(&format!("<section id=\"{id}\"")).nth(1).unwrap_or_else(|| panic!("no section `{id}`"));
    rest.split("</section>").next().unwrap_or_default()
}

/// Every element that is opened is closed, in order, and every attribute is quoted or bare.
#[track_caller]
fn well_formed(page: &str) {
    const EMPTY: [&str; 5] = ["meta", "link", "input", "br", "!doctype"];
    let mut open: Vec<String> = Vec::new();
    let mut rest = page;
    while let Some(at) = rest.find('<') {
        rest = &rest[at + 1..];
        let mut quote = None;
        let end = rest
            .char_indices()
            .find(|&(_, c)| {
                match quote {
                    Some(open) if open == c => quote = None,
                    None if c == '"' => quote = Some(c),
                    _ => {}
                }
                quote.is_none() && c == '>'
            })
            .map_or_else(|| panic!("an open tag at {:.60}", rest), |(at, _)| at);
        let tag = &rest[..end];
        rest = &rest[end + 1..];
        let name = tag.trim_start_matches('/').split([' ', '/']).next().unwrap_or_default().to_owned();
        if tag.starts_with('/') {
            assert_eq!(open.pop().as_deref(), Some(name.as_str()), "closed before {:.60}", rest);
        } else if !tag.ends_with('/') && !EMPTY.contains(&name.as_str()) {
            if name == "script" || name == "style" {
                let close = rest.find(&format!("</{name}>")).expect("an end");
                rest = &rest[close..];
            }
            open.push(name);
        }
    }
    assert_eq!(open, Vec::<String>::new(), "left open");
}

#[test]
fn one_page_the_same_for_the_same_facts() {
    let workspace = toy::imported();
    run(&workspace, &["search"]).expect(0);
    let said = run(&workspace, &["report", "--json"]).expect(0).json();
    assert_eq!(said["report"], "submissions/toy/report.html");
    let first = page(&workspace, "submissions/toy/report.html");
    assert_eq!(said["bytes"], first.len());
    well_formed(&first);
    for (threads, name) in [("1", "one.html"), ("2", "two.html")] {
        let people = run(&workspace, &["report", "--threads", threads, "-o", name]).expect(0);
        assert!(people.stdout.starts_with(&format!("wrote {name} (")), "{}", people.stdout);
        assert!(page(&workspace, name) == first, "another page on {threads} threads");
    }
    for model in MODELS {
        assert!(section(&first, "models").contains(&format!(">{model}</th>")), "{model}");
    }
    assert!(section(&first, "weights").contains("best_cv") && section(&first, "weights").contains("class=\"bar"));
    assert!(section(&first, "folds").contains("class=\"dots"));
    assert!(section(&first, "correlation").contains("h1v1h-1z"));
    assert!(section(&first, "calibration").contains("part the labels without an error"), "the toy models do");
    assert!(section(&first, "without").contains("class=\"bar"));
    assert!(
        section(&first, "diversity").contains("the sum is exact")
            && section(&first, "diversity").contains("class=\"bar")
    );
    assert_eq!(section(&first, "drift").matches("<tr").count(), 2, "a header and the one output");
    assert!(section(&first, "groups").contains("There are no groups to look at"));
    assert!(section(&first, "provenance").contains("fold map"));
    assert!(!first.contains("NaN") && !first.contains("inf%"), "a number that is none");
}

#[test]
fn an_audit_writes_the_same_page() {
    let workspace = toy::imported();
    run(&workspace, &["search"]).expect(0);
    run(&workspace, &["report"]).expect(0);
    run(&workspace, &["audit", "--html", "audit.html"]).expect(0);
    assert!(page(&workspace, "audit.html") == page(&workspace, "submissions/toy/report.html"));
}

#[test]
fn what_is_not_known_is_said() {
    let workspace = toy::competition();
    run(&workspace, &["report", "-o", "empty.html"]).expect(0);
    let empty = page(&workspace, "empty.html");
    well_formed(&empty);
    let wanted = [
        ("models", "There are no models yet"),
        ("weights", "There is no recipe yet"),
        ("folds", "There are no folds to compare"),
        ("correlation", "nothing to correlate"),
        ("targets", "No model can be judged"),
        ("groups", "There are no groups to look at"),
        ("diversity", "needs two models"),
        ("drift", "No model has both"),
        ("calibration", "No model can be judged"),
        ("without", "Leaving one out needs two models"),
        ("search", "No trace was given"),
        ("ledger", "The ledger is empty"),
    ];
    for (id, words) in wanted {
        let section = section(&empty, id);
        assert!(section.contains(words), "{id}: {section}");
        assert!(!section.contains("<svg"), "{id} draws nothing");
    }
    let imported = toy::imported();
    run(&imported, &["report"]).expect(0);
    let page = page(&imported, "submissions/toy/report.html");
    assert!(section(&page, "targets").contains("There is one target"));
    assert!(page.contains("There is no blend yet."));
}

#[test]
fn a_recipe_that_no_longer_fits_is_said_to_be_so() {
    let workspace = toy::imported();
    run(&workspace, &["search"]).expect(0);
    workspace.write("blends/toy/torn.yaml", "blend: torn\ncompetition: toy\nmembers: [\n");
    workspace.write("blends/toy/gone.yaml", "blend: gone\ncompetition: toy\nmembers:\n  nobody: 1.0\n");
    let other = toy::csv('r', 0..toy::TRAIN_ROWS, |row| (0.1 + 0.8 * f64::from(toy::label(row))).to_string());
    let other = workspace.write("in/other.csv", other);
    run(&workspace, &["import", "ada", "--oof", &other.display().to_string(), "--force"]).expect(0);
    run(&workspace, &["report"]).expect(0);
    let page = page(&workspace, "submissions/toy/report.html");
    let weights = section(&page, "weights");
    assert!(weights.contains("outputs have changed since"), "{weights}");
    assert!(weights.contains("there is no model <code>nobody</code>"), "{weights}");
    assert!(weights.contains("torn"), "{weights}");
}

#[test]
fn a_recipe_is_judged_with_what_was_fitted_after_it() {
    let workspace = toy::imported();
    run(&workspace, &["search", "--calibrate", "affine"]).expect(0);
    run(&workspace, &["report"]).expect(0);
    let page = page(&workspace, "submissions/toy/report.html");
    let weights = section(&page, "weights");
    assert!(!weights.contains("outputs have changed since"), "{weights}");
}

/// What a leaderboard search records is a predicted public score, which no out-of-fold score has to be.
#[test]
fn a_leaderboard_searchs_recipe_is_not_held_against_other_rows() {
    let workspace = toy::imported();
    let yaml = String::from_utf8(workspace.read("models/toy/competition.yaml")).expect("text");
    workspace.write("models/toy/competition.yaml", yaml + "leaderboard: {decimals: 5, public_rows: all}\n");
    for (model, score) in MODELS.into_iter().zip(["0.51234", "0.52345", "0.53456"]) {
        run(&workspace, &["lb", "add", model, score]).expect(0);
    }
    run(&workspace, &["search", "--target", "lb"]).expect(0);
    run(&workspace, &["report"]).expect(0);
    let page = page(&workspace, "submissions/toy/report.html");
    let weights = section(&page, "weights");
    assert!(weights.contains("best_lb") && weights.contains("Predicted public score"), "{weights}");
    assert!(!weights.contains("outputs have changed since"), "{weights}");
}

#[test]
fn a_recipe_holds_how_far_its_weights_are_known() {
    let workspace = toy::imported();
    let said = run(&workspace, &["search", "--json"]).expect(0).json();
    let recipe = String::from_utf8(workspace.read("blends/toy/best_cv.yaml")).expect("text");
    let line = recipe.lines().find(|line| line.trim_start().starts_with("weights_interval: ")).expect("intervals");
    let drawn: Vec<_> = said["weights"].as_object().expect("weights").iter().collect();
    let drawn: Vec<_> = drawn.into_iter().filter(|(_, weight)| weight.as_f64() != Some(0.0)).collect();
    for (model, weight) in &drawn {
        let spread = &said["weights_spread"][model.as_str()];
        let (low, high) = (spread["low"].as_f64().expect("low"), spread["high"].as_f64().expect("high"));
        assert!(weight.as_f64().is_some_and(|weight| low <= weight && weight <= high), "{model}: {spread}");
        assert!(line.contains(&format!("{model}: [{low:?}, {high:?}]")), "{line}");
    }
    run(&workspace, &["report"]).expect(0);
    let weights = section(&page(&workspace, "submissions/toy/report.html"), "weights").to_owned();
    assert_eq!(weights.matches("class=\"whisk\"").count(), drawn.len(), "an interval for each weight");
    assert!(weights.contains("95 % bootstrap intervals"));
    // A recipe from before there were intervals is read as it is.
    workspace.write("blends/toy/best_cv.yaml", recipe.replace(&format!("{line}\n"), ""));
    run(&workspace, &["report"]).expect(0);
    let weights = section(&page(&workspace, "submissions/toy/report.html"), "weights").to_owned();
    assert!(!weights.contains("class=\"whisk\"") && weights.contains("carry no intervals"), "{weights}");
}

#[test]
fn what_a_search_said_is_drawn() {
    let workspace = toy::imported();
    let mut said = run(&workspace, &["search", "--json"]).expect(0).json();
    let members = said["weights"].as_object().expect("weights").clone();
    said["weights_spread"] = members
        .iter()
        .map(|(model, weight)| {
            let weight = weight.as_f64().expect("a number");
            (model.clone(), serde_json::json!({"low": weight * 0.9, "high": weight * 1.1}))
        })
        .collect();
    let score = said["score"].as_f64().expect("a score");
    said["leave_one_out"] = serde_json::json!({"ada": {"score": score + 0.0125}});
    let said = workspace.write("said.json", said.to_string());
    let trace = workspace.write("trace.csv", "phase,score,gap\nsearch,0.5,0.1\nsearch,0.4,0.01\nsearch,0.39,0.001\n");
    let [said, trace] = [said, trace].map(|path| path.display().to_string());
    run(&workspace, &["report", "--search", &said, "--trace", &trace]).expect(0);
    let page = page(&workspace, "submissions/toy/report.html");
    well_formed(&page);
    let weights = section(&page, "weights");
    let drawn = members.values().filter(|weight| weight.as_f64() != Some(0.0)).count();
    assert_eq!(weights.matches("class=\"whisk\"").count(), drawn, "an interval for each weight");
    assert!(weights.contains("95 % bootstrap intervals"));
    assert!(section(&page, "without").contains("+0.012500"), "{}", section(&page, "without"));
    assert!(section(&page, "search").contains("certified gap") && section(&page, "search").contains("3 iterations"));
}

#[test]
fn refusals() {
    let workspace = toy::imported();
    refused(&workspace, 4, &["report", "--trace", "nowhere.csv"], &["cannot read the trace"]);
    let trace = workspace.write("trace.csv", "a,b\n1,2\n");
    refused(&workspace, 3, &["report", "--trace", &trace.display().to_string()], &["trace.csv:1", "`score`"]);
    let said = workspace.write("said.json", "{\"blend\": \"best_cv\", \"competition\": \"toy\", \"score\": 0.5}");
    refused(
        &workspace,
        3,
        &["report", "--search", &said.display().to_string()],
        &["is not the one that wrote the recipe"],
    );
    workspace.write("said.json", "{");
    refused(&workspace, 3, &["report", "--search", &said.display().to_string()], &["this is no JSON"]);
    workspace.write("file", "");
    refused(&workspace, 4, &["report", "-o", "file/report.html"], &["cannot create the folder"]);
}

#[test]
fn hostile_names_are_names() {
    let workspace = hostile();
    run(&workspace, &["report"]).expect(0);
    let page = page(&workspace, "submissions/hostile/report.html");
    well_formed(&page);
    assert!(!page.contains("<script>document.title") && !page.contains("<img") && !page.contains("<b>all"));
    assert!(section(&page, "targets").contains("&lt;/script&gt;&lt;script&gt;document.title"));
    assert_eq!(section(&page, "targets").matches("<tr").count(), 4, "a header and three targets");
    let groups = section(&page, "groups");
    assert_eq!(groups.matches("<tr").count(), 4, "a header and three groups");
    assert!(groups.contains("&lt;i&gt;2") && groups.contains("data-v=\"30\""), "{groups}");
}

/// What a reader does: sorts, filters, looks at the heat map.
const READER: &str = r#"
var models = document.getElementById("model-table"), names = function () {
  return Array.prototype.filter.call(models.tBodies[0].rows, function (row) { return !row.hidden; }).map(function (row) { return row.cells[0].textContent; });
};
var said = {title: document.title, first: names(), sheet: getComputedStyle(document.body).backgroundColor};
var buttons = models.querySelectorAll("th button");
buttons[0].click(); said.byName = names();
buttons[0].click(); said.byNameDown = names();
said.sort = models.querySelector("th[aria-sort]").getAttribute("aria-sort");
buttons[1].click(); said.byScore = names();
said.scores = Array.prototype.map.call(models.tBodies[0].rows, function (row) { return Number(row.cells[1].dataset.v); });
var input = document.querySelector("input[data-filters=model-table]");
input.value = "M3"; input.dispatchEvent(new Event("input")); said.filtered = names();
said.count = document.getElementById("model-table-count").textContent;
input.value = ""; input.dispatchEvent(new Event("input")); said.unfiltered = names();
var map = document.querySelector("figure[data-heat] svg"), box = map.getBoundingClientRect();
map.dispatchEvent(new PointerEvent("pointermove", {clientX: box.left + 1, clientY: box.bottom - 1}));
said.pair = document.querySelector(".say").textContent;
var before = map.innerHTML, choice = document.querySelector("figure[data-heat] select");
choice.selectedIndex = 2; choice.dispatchEvent(new Event("change"));
said.redrawn = before !== map.innerHTML;
choice.selectedIndex = 0; choice.dispatchEvent(new Event("change"));
said.drawnAlike = before === map.innerHTML;
said.invisible = Array.prototype.filter.call(document.querySelectorAll("section svg"), function (svg) {
  var box = svg.getBoundingClientRect();
  return !svg.closest("details") && (box.width < 20 || box.height < 8);
}).length;
return said;
"#;

#[test]
fn a_browser_shows_sorts_and_filters_and_asks_for_nothing() {
    let Some(browser) = browser("a_browser_shows_sorts_and_filters_and_asks_for_nothing") else { return };
    let workspace = hostile();
    run(&workspace, &["report"]).expect(0);
    let page = page(&workspace, "submissions/hostile/report.html");
    // With the policy, and without it: then nothing but the page itself keeps it from asking.
    let policy = page.split("<meta http-equiv=").nth(1).and_then(|rest| rest.split('>').next()).expect("a policy");
    let free = page.replace(&format!("<meta http-equiv={policy}>"), "");
    assert!(free.len() < page.len());
    for page in [&page, &free] {
        let all = open(&browser, page, &[390, 820, 1400], READER, &[]);
        assert_eq!(all.len(), 3);
        for it in &all {
            assert_eq!(it["wrong"], serde_json::json!([]), "{it:#}");
            assert_eq!(it["asked"], serde_json::json!([]), "{it:#}");
            assert_eq!(it["needs"], it["width"], "nothing sticks out at {}", it["width"]);
            let said = &it["said"];
            assert_eq!(said["title"], "hostile: report");
            let sorted = serde_json::json!(["m0", "m1", "m2", "m3", "m4", "m5"]);
            assert_eq!(said["byName"], sorted);
            assert_eq!(said["byNameDown"], serde_json::json!(["m5", "m4", "m3", "m2", "m1", "m0"]));
            assert_eq!(said["sort"], "descending");
            let scores: Vec<f64> = serde_json::from_value(said["scores"].clone()).expect("scores");
            assert!(scores.len() == 6 && scores.windows(2).all(|pair| pair[0] <= pair[1]), "{scores:?}");
            assert_eq!(said["first"], said["byScore"], "the best come first");
            assert_eq!((&said["filtered"], &said["count"]), (&serde_json::json!(["m3"]), &"1 of 6".into()));
            assert_eq!(said["unfiltered"], said["byScore"]);
            assert!(
                said["pair"].as_str().is_some_and(|pair| pair.contains(" and ") && pair.contains(": ")),
                "{said:#}"
            );
            assert_eq!((&said["redrawn"], &said["drawnAlike"]), (&true.into(), &true.into()), "{said:#}");
            assert_eq!((&said["invisible"], &said["sheet"]), (&0.into(), &"rgb(255, 255, 255)".into()));
        }
    }
    let dark = open(&browser, &page, &[820], READER, &["--blink-settings=preferredColorScheme=0"]);
    assert_eq!(dark[0]["said"]["sheet"], "rgb(22, 22, 22)", "dark where the reader wants it");
}

#[test]
fn the_browser_would_tell() {
    let Some(browser) = browser("the_browser_would_tell") else { return };
    let workspace = toy::imported();
    run(&workspace, &["report"]).expect(0);
    let page = page(&workspace, "submissions/toy/report.html");
    let planted = page
        .replacen("<footer>", "<img src=\"http://127.0.0.1:9/x.png\"><p style=\"min-width:3000px\">wide</p><footer>", 1)
        .replacen("\"use strict\";", "\"use strict\";setTimeout(function () { nobody(); }, 0);", 1);
    let it = &open(&browser, &planted, &[820], "return 0;", &[])[0];
    let wrong = it["wrong"].to_string();
    assert!(wrong.contains("reached for: http://127.0.0.1:9") && wrong.contains("nobody"), "{wrong}");
    assert!(it["needs"].as_u64() > it["width"].as_u64(), "{it:#}");
}

/// A page about real predictions: six models on 206 targets, 91 models on two.
#[test]
fn big_pools_stay_small() {
    for (name, yaml, targets, bytes) in [
        (
            "toxcast-moa-like",
            "metric: {name: log_loss, clip: 1e-15}\ntruth: DATA/train_targets.parquet\nid: id\ntargets: \"*\"\n\
             folds: {file: DATA/folds.csv, column: fold}\n",
            206,
            400_000,
        ),
        (
            "commonlit-ess",
            "metric: mcrmse\ntruth: DATA/labels.parquet\nid: student_id\ntargets: [content, wording]\n",
            2,
            1_000_000,
        ),
    ] {
        let Some(data) = shared("big_pools_stay_small", name) else { return };
        let workspace = Workspace::new();
        let yaml = yaml.replace("DATA", &data.display().to_string());
        workspace.write("models/pool/competition.yaml", format!("competition: pool\n{yaml}"));
        for entry in std::fs::read_dir(data.join("oof")).expect("a folder") {
            let file = entry.expect("an entry").path();
            let model = file.file_stem().expect("a name").to_string_lossy().into_owned();
            let oof = file.display().to_string();
            // Runs that failed are refused, and are none of the report's business.
            run(&workspace, &["--allow-outside", "import", &model, "--oof", &oof]);
        }
        run(&workspace, &["--allow-outside", "report"]).expect(0);
        let page = page(&workspace, "submissions/pool/report.html");
        well_formed(&page);
        assert_eq!(section(&page, "targets").matches("<tr").count(), targets + 1, "{name}: a header and the targets");
        assert!(page.len() < bytes, "{name}: {} bytes", page.len());
        assert!(section(&page, "calibration").contains("<circle"), "{name}");
        if let Some(browser) = browser("big_pools_stay_small") {
            let all = open(&browser, &page, &[390, 1400], "return 0;", &[]);
            assert!(
                all.iter().all(|it| it["wrong"] == serde_json::json!([]) && it["needs"] == it["width"]),
                "{name}: {all:#?}"
            );
        }
    }
}

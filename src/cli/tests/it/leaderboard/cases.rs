//! More competitions whose test labels are known to the test: pools without test labels, whose out-of-fold rows are
//! split by a hash of their ids; directions; the demo that ships with the program.

use super::{
    contest::{Contest, Part, Said, spec},
    exact::random_blends,
};
use crate::{
    digits::{MODELS, engines, predict, workspace},
    support::{Workspace, shared, table},
};
use blend_core::{
    TableSource,
    metric::MetricSpec,
    output::OutputKind,
    space::SpaceName::{self, Linear, Log, NormalScore, UnitVector},
};
use blend_store::IdSpec;
use std::fmt::Write as _;

/// A number in [0, 1) that depends on the id alone (FNV-1a, then the finalizer of MurmurHash3).
fn unit(id: &str) -> f64 {
    let mut hash = id.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |h, b| (h ^ u64::from(b)).wrapping_mul(0x100_0000_01b3));
    hash = (hash ^ (hash >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    hash = (hash ^ (hash >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    ((hash ^ (hash >> 33)) >> 11) as f64 / (1u64 << 53) as f64
}

/// A pool of out-of-fold rows that are split into training rows, public and private test rows.
struct Pool<'a> {
    folder: &'a str,
    labels: &'a str,
    /// The label's column, and its values in the order of the outputs.
    target: (&'a str, &'a [&'a str]),
    outputs: &'a [&'a str],
    models: &'a [&'a str],
    spec: MetricSpec,
    kind: OutputKind,
    /// The share of the pool's rows that is looked at.
    share: f64,
}

impl Pool<'_> {
    fn contest(self, test: &str, known: bool) -> Option<Contest> {
        let data = shared(test, self.folder)?;
        let workspace = Workspace::new();
        let labels = table(&data.join(self.labels), IdSpec::FirstColumn);
        let texts = labels.texts(self.target.0).expect("labels");
        let (mut train, mut hidden, mut n_public) = ("id,target,fold\n".to_owned(), "id,target,usage\n".to_owned(), 0);
        for (row, text) in texts.iter().enumerate() {
            let id = labels.rows().id(row).to_string();
            let place = unit(&id) / self.share;
            let label = self.target.1.iter().position(|it| it == text).expect("a label");
            // 60 % are training rows, 12 % public, 28 % private.
            let _ = match place {
                it if it < 0.6 => writeln!(train, "{id},{label},{}", (it * 1e6) as u64 % 5),
                it if it < 0.72 => {
                    n_public += 1;
                    writeln!(hidden, "{id},{label},Public")
                }
                it if it < 1.0 => writeln!(hidden, "{id},{label},Private"),
                _ => Ok(()),
            };
        }
        workspace.write("models/c/train.csv", train);
        let hidden = workspace.write("models/c/hidden.csv", hidden);
        let public =
            if known { "{file: hidden.csv, column: usage, equals: Public}".to_owned() } else { n_public.to_string() };
        let yaml = format!(
            "truth: train.csv\nid: id\ntargets: [target]\nfolds: {{file: train.csv, column: fold}}\n\
             sample_submission: sample.csv\nleaderboard: {{decimals: 5, public_rows: {public}}}"
        );
        let rows = table(&hidden, IdSpec::FirstColumn);
        let mut contest = Contest::of(workspace, data, self.spec, self.kind, &rows, &yaml);
        let columns = self.outputs.iter().map(|it| (*it).to_owned()).collect::<Vec<_>>();
        contest.sample("id", &columns);
        for model in self.models {
            let all = table(&contest.data.join("oof").join(format!("{model}.parquet")), IdSpec::FirstColumn);
            let names = all.names();
            let values: Vec<Vec<f64>> = names.iter().map(|name| all.numbers(name).expect("numbers")).collect();
            let header = format!("id,{}\n", self.outputs.join(","));
            let (mut oof, mut test) = (header.clone(), header);
            for row in 0..all.n_rows() {
                let id = all.rows().id(row).to_string();
                let place = unit(&id) / self.share;
                if place < 1.0 {
                    let text = if place < 0.6 { &mut oof } else { &mut test };
                    let cells: Vec<String> = values.iter().map(|column| (column[row] as f32).to_string()).collect();
                    let _ = writeln!(text, "{id},{}", cells.join(","));
                }
            }
            let [oof, test] = [("oof", oof), ("test", test)]
                .map(|(split, text)| contest.workspace.write(format!("in/{split}_{model}.csv"), text));
            contest.import(model, Some(&oof), &test, &[]);
        }
        contest.record_scores(5);
        Some(contest)
    }
}

pub(super) fn spooky(test: &str) -> Option<Contest> {
    let pool = Pool {
        folder: "spooky-author",
        labels: "labels.csv",
        target: ("author", &["EAP", "HPL", "MWS"]),
        outputs: &["class_0", "class_1", "class_2"],
        models: &[
            "transformer_run1",
            "logreg_tfidf",
            "transformer_run2",
            "transformer_run3",
            "transformer_run4",
            "combined_run5",
        ],
        spec: spec("multiclass_log_loss"),
        kind: OutputKind::ClassProbabilities,
        share: 1.0,
    };
    pool.contest(test, true)
}

/// Three close relatives judged by AUC.
pub(super) fn leads(test: &str, share: f64) -> Option<Contest> {
    let pool = Pool {
        folder: "av-jobathon",
        labels: "labels.csv.gz",
        target: ("Response", &["0", "1"]),
        outputs: &["target"],
        models: &["catboost_1200", "catboost_1300", "catboost_1400"],
        spec: spec("auc"),
        kind: OutputKind::Probability,
        share,
    };
    pool.contest(test, false)
}

/// Directions, judged by their angles.
pub(super) fn icecube(test: &str) -> Option<Contest> {
    let yaml = "truth: DATA/train_truth.csv
id: event_id
decode: {azimuth: azimuth, zenith: zenith}
space: unit_vector
folds: {file: DATA/train_truth.csv, column: fold}
sample_submission: DATA/sample_submission.csv
leaderboard: {decimals: 5, public_rows: {file: DATA/test_truth.csv, column: usage, equals: Public}}";
    let spec = spec("angular_error");
    let mut contest = Contest::open(test, "icecube-toy", spec, OutputKind::Vector, "test_truth.csv", yaml)?;
    for model in [
        "deepset",
        "extra_trees",
        "knn25",
        "line_fit",
        "mlp128_relu3",
        "mlp64",
        "principal_axis",
        "ridge",
        "robust_line_fit",
    ] {
        let [oof, test] = ["oof", "test"].map(|split| contest.data.join(split).join(format!("{model}.parquet")));
        contest.import(model, Some(&oof), &test, &[]);
    }
    contest.record_scores(5);
    Some(contest)
}

/// The demo that ships with the program, with the outputs of its graphs. The embedded engine has no trees.
pub(super) fn shipped_digits() -> Contest {
    let engine = engines().pop().expect("an engine");
    let models: Vec<&str> =
        MODELS.iter().copied().filter(|model| *model != "boosted" || engine[0] == "--ort-lib").collect();
    let workspace = workspace(&models);
    predict(&workspace, &engine, &["-q"]).expect(0);
    let [from, to] = ["models/digits", "models/c"].map(|folder| workspace.path(folder));
    std::fs::rename(from, &to).expect("a folder of another name");
    let spec = MetricSpec { renormalize: None, ..spec("multiclass_log_loss") };
    let yaml = "truth: data/train.csv
id: id
targets: [target]
folds: {file: data/train.csv, column: fold}
sample_submission: data/sample_submission.csv
leaderboard: {decimals: 5, public_rows: {file: data/test_labels.csv, column: usage, equals: Public}}";
    let labels = table(&to.join("data/test_labels.csv"), IdSpec::FirstColumn);
    let mut contest = Contest::of(workspace, to, spec, OutputKind::ClassProbabilities, &labels, yaml);
    contest.models = models.into_iter().map(str::to_owned).collect();
    contest.record_scores(5);
    contest
}

/// Cases beside the demo sets, each with the space of its best LB and what predicts scores there.
pub(super) fn more(test: &str) -> Vec<(&'static str, SpaceName, &'static str, Contest)> {
    let mut all = vec![("digits (shipped)", Log, "close", shipped_digits())];
    all.extend(spooky(test).map(|contest| ("spooky-author, split", Log, "close", contest)));
    all.extend(icecube(test).map(|contest| ("icecube-toy", UnitVector, "noise_matched", contest)));
    all.extend(leads(test, 0.3).map(|contest| ("av-jobathon, split", NormalScore, "binormal", contest)));
    let breast =
        super::pools::demo(test, "breast-cancer", "auc", &["target"], OutputKind::Probability, super::pools::MARKED);
    all.extend(breast.map(|contest| ("breast-cancer, AUC", NormalScore, "binormal", contest)));
    let diabetes = super::pools::demo(test, "diabetes", "mae", &["target"], OutputKind::Value, super::pools::MARKED);
    all.extend(diabetes.map(|contest| ("diabetes, MAE", Linear, "noise_matched", contest)));
    all
}

/// Draws of weights: the bench takes more.
const FEW: usize = 40;

#[track_caller]
fn check_best(contest: &Contest, space: SpaceName) {
    let said = contest.json(&["search", "--target", "lb", "--space", space.name()]);
    assert_eq!(said["stop"], "certified", "{said}");
    let predicted = Said::of(&said["predicted_public"]);
    let actual = contest.actual(&contest.blend(space, &contest.weights(&said)), Part::Public);
    assert_eq!(predicted.method, "exact");
    assert!((predicted.score - actual).abs() <= predicted.bound + 1e-9, "{} {actual}", predicted.score);
    let (_, inside) = random_blends(contest, space, "close", FEW);
    assert!(inside >= 0.9, "{inside}");
}

#[test]
fn the_shipped_digits() {
    check_best(&shipped_digits(), Log);
}

#[test]
fn spooky_author_split_by_hash() {
    let Some(contest) = spooky("spooky_author_split_by_hash") else { return };
    check_best(&contest, Log);
}

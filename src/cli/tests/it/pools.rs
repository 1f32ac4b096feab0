//! Pools of real predictions: what the program says of them is what others computed from the same files, with other
//! tools and in float64. The reference numbers in these tests are those of the pools' own READMEs.

mod binary;
mod classes;
mod directions;
mod kinds;
mod regression;

use crate::support::{Output, Workspace, largest_difference, near, shared, table};
use blend_core::TableSource;
use blend_store::{IdSpec, Table, feather};
use serde_json::Value;
use std::{
    collections::BTreeMap,
    ffi::OsStr,
    fmt::Debug,
    path::{Path, PathBuf},
};

/// READMEs give scores to eight decimals.
const ROUNDING: f64 = 1e-8;
/// Weights in READMEs have three decimals.
const WEIGHT_ROUNDING: f64 = 6e-4;

/// A workspace with one competition, `pool`, over a folder of the shared data.
struct Pool {
    workspace: Workspace,
    data: PathBuf,
}

impl Pool {
    /// The competition that `yaml` describes; it says `DATA` for the folder of the pool. `None` where the shared data
    /// is absent.
    fn open(test: &str, name: &str, yaml: &str) -> Option<Self> {
        let data = shared(test, name)?;
        let workspace = Workspace::new();
        let yaml = yaml.replace("DATA", &data.display().to_string());
        workspace.write("models/pool/competition.yaml", format!("competition: pool\n{}\n", yaml.trim()));
        Some(Self { workspace, data })
    }

    fn run(&self, arguments: &[impl AsRef<OsStr> + Debug]) -> Output {
        let mut all = vec![OsStr::new("--allow-outside")];
        all.extend(arguments.iter().map(AsRef::as_ref));
        self.workspace.blend(&all)
    }

    fn json(&self, arguments: &[&str]) -> Value {
        let mut all = vec!["--json"];
        all.extend(arguments);
        self.run(&all).expect(0).json()
    }

    /// Imports one model; `files` are its OOF files.
    fn import(&self, model: &str, files: &[PathBuf], more: &[&str]) -> Value {
        let mut all: Vec<&OsStr> = ["--json", "import", model, "--oof"].map(OsStr::new).to_vec();
        all.extend(files.iter().map(|file| file.as_os_str()));
        all.extend(more.iter().map(OsStr::new));
        self.run(&all).expect(0).json()
    }

    /// Imports every file of a folder of the pool as the model of its name.
    fn import_folder(&self, folder: &str, more: &[&str]) -> Vec<String> {
        let files = files(&self.data.join(folder));
        for (model, path) in &files {
            self.import(model, std::slice::from_ref(path), more);
        }
        files.into_keys().collect()
    }

    /// The audit says the scores that the pool's table of scores says.
    #[track_caller]
    fn check_scores(&self, wanted: &BTreeMap<String, f64>, tolerance: f64) {
        // Real pools have real faults, so the audit may well end with 1; scores it tells in any case.
        let output = self.run(&["--json", "audit"]);
        assert!(output.code <= 1, "{}", output.stderr);
        let audit = output.json();
        let models = audit["models"].as_array().expect("models");
        assert_eq!(models.len(), wanted.len());
        for model in models {
            let name = model["model"].as_str().expect("a name");
            let score = model["score"].as_f64().unwrap_or_else(|| panic!("{name} has no score"));
            near(score, wanted[name], tolerance, name);
        }
    }

    fn search(&self, more: &[&str]) -> Found {
        let mut all = vec!["search", "--target", "cv", "--force"];
        all.extend(more);
        Found(self.json(&all))
    }

    /// A search without honest scores, which are other tests' business.
    fn quick(&self, more: &[&str]) -> Found {
        let mut all = vec!["--no-nested"];
        all.extend(more);
        self.search(&all)
    }

    /// `search --solver greedy` makes the picks of the README.
    #[track_caller]
    fn check_greedy(&self, picks: &str, score: f64, weights: &str, more: &[&str]) -> Found {
        let mut all = vec!["--solver", "greedy", "--max-picks", picks, "--name", "greedy"];
        all.extend(more);
        let found = self.quick(&all);
        near(found.score(), score, ROUNDING, "greedy");
        found.check_weights(weights, WEIGHT_ROUNDING);
        found
    }

    /// A recipe as a person writes it, and the submission made from it.
    fn submit(&self, blend: &str, space: &str, weights: &[(&str, &str)], more: &[&str]) -> (Value, Table) {
        let members: String =
            weights.iter().map(|(model, weight)| format!("  {model}: {{weight: {weight}}}\n")).collect();
        self.workspace.write(
            format!("blends/pool/{blend}.yaml"),
            format!("blend: {blend}\ncompetition: pool\nspace: {space}\ndomain: simplex\nmembers:\n{members}"),
        );
        let mut all = vec!["submit", blend];
        all.extend(more);
        let said = self.json(&all);
        let file = self.workspace.path(format!("submissions/pool/{blend}.csv"));
        (said, table(&file, IdSpec::FirstColumn))
    }

    /// What was stored of a model, in the order of its ids.
    fn stored(&self, model: &str, split: &str) -> blend_store::Outputs {
        let path = self.workspace.path(format!("models/pool/{model}/{split}.feather"));
        let outputs = feather::open(&path).expect("stored outputs");
        outputs.verify(&path).expect("the recorded content");
        outputs
    }
}

/// What a search said.
struct Found(Value);

impl Found {
    fn number(&self, key: &str) -> f64 {
        self.0[key].as_f64().unwrap_or_else(|| panic!("no `{key}` in {}", self.0))
    }

    fn score(&self) -> f64 {
        self.number("score")
    }

    fn single_best(&self) -> (&str, f64) {
        let it = &self.0["single_best"];
        (it["model"].as_str().expect("a model"), it["score"].as_f64().expect("a score"))
    }

    fn weights(&self) -> BTreeMap<&str, f64> {
        let all = self.0["weights"].as_object().expect("weights");
        all.iter().map(|(model, weight)| (model.as_str(), weight.as_f64().expect("a weight"))).collect()
    }

    /// Proven optimal to a gap below 1e-9, and no worse than `reference`; much better would be another metric.
    #[track_caller]
    fn check_certified(&self, reference: f64) {
        assert_eq!(self.0["stop"], "certified", "{}", self.0);
        assert!(self.number("gap") < 1e-9, "gap {}", self.number("gap"));
        self.check_no_worse(reference, 2e-5);
        near(self.weights().values().sum(), 1.0, 1e-9, "sum of weights");
    }

    /// A score that is lower than `reference` (which is rounded), by at most `most`.
    #[track_caller]
    fn check_no_worse(&self, reference: f64, most: f64) {
        let score = self.score();
        assert!(score <= reference + ROUNDING, "{score} is worse than {reference}");
        assert!(score >= reference - most, "{score} is better than {reference} by more than can be");
    }

    #[track_caller]
    fn check_baselines(&self, (model, single): (&str, f64), equal: f64) {
        assert_eq!(self.single_best().0, model);
        near(self.single_best().1, single, ROUNDING, "single best");
        near(self.number("equal_weights"), equal, ROUNDING, "equal weights");
    }

    /// Weights as a README writes them, `a 0.333, b 0.667`: these, and no others.
    #[track_caller]
    fn check_weights(&self, wanted: &str, tolerance: f64) {
        let wanted: BTreeMap<&str, f64> = wanted
            .split(", ")
            .map(|part| part.split_once(' ').expect("a model and a weight"))
            .map(|(model, weight)| (model, weight.parse().expect("a number")))
            .collect();
        for (model, weight) in self.weights() {
            near(weight, wanted.get(model).copied().unwrap_or(0.0), tolerance, model);
        }
    }

    /// Weights of a greedy selection as whole numbers of picks.
    #[track_caller]
    fn check_picks(&self, wanted: &[(&str, u32)]) {
        let picks: u32 = wanted.iter().map(|(_, n)| n).sum();
        let wanted: BTreeMap<&str, f64> = wanted.iter().map(|(model, n)| (*model, f64::from(*n))).collect();
        for (model, weight) in self.weights() {
            let n = wanted.get(model).copied().unwrap_or(0.0);
            near(weight * f64::from(picks), n, 1e-9, model);
        }
    }
}

/// Files of a folder by their names without extensions.
fn files(folder: &Path) -> BTreeMap<String, PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    entries
        .map(|entry| entry.expect("an entry").path())
        .map(|path| {
            let name = path.file_name().expect("a name").to_string_lossy().into_owned();
            let stem = name.split('.').next().expect("a stem").to_owned();
            (stem, path)
        })
        .collect()
}

/// A column of the pool's table of scores, by model.
fn scores(folder: &Path, column: &str) -> BTreeMap<String, f64> {
    let table = table(&folder.join("scores.csv"), IdSpec::Column("model".to_owned()));
    let values = table.numbers(column).expect("a column of scores");
    table.rows().iter().map(std::borrow::Cow::into_owned).zip(values).collect()
}

/// Imports the models of a demo set, whose files hold six decimals, and checks their scores.
#[track_caller]
fn import_demo(pool: &Pool, models: usize) {
    let mut n = 0;
    for (file, path) in files(&pool.data) {
        if let Some(model) = file.strip_prefix("oof_") {
            let test = pool.data.join(format!("sub_{model}.csv"));
            pool.import(model, &[path], &["--dtype", "f64", "--test", &test.display().to_string()]);
            n += 1;
        }
    }
    assert_eq!(n, models);
    pool.check_scores(&scores(&pool.data, "cv"), ROUNDING);
}

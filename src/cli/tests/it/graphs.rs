//! Real graphs through `blend predict`: what others computed with them comes out, on either engine.

use crate::support::{Workspace, largest_difference, near, shared, skipped, table};
use blend_store::{IdSpec, Table};
use serde_json::Value;
use std::path::{Path, PathBuf};

/// What engines and rounding may differ by.
const TOLERANCE: f64 = 1e-5;

/// A competition with graphs, and where the outputs lie that they have to reproduce.
struct Case {
    test: &'static str,
    workspace: Workspace,
    data: PathBuf,
    models: &'static [&'static str],
}

impl Case {
    /// `competition` and `output` are lines of YAML for the competition and for every model; the folder of the data is
    /// `DATA` in the former.
    fn open(
        test: &'static str,
        name: &str,
        competition: &str,
        output: &str,
        models: &'static [&'static str],
    ) -> Option<Self> {
        let data = shared(test, name)?;
        let workspace = Workspace::new();
        let place = data.display().to_string();
        let competition = competition.trim().replace("DATA", &place);
        workspace.write("models/pool/competition.yaml", format!("competition: pool\n{competition}\n"));
        for model in models {
            // Graphs have to lie in their model's folder.
            for fold in 0..3 {
                let graph = data.join(format!("onnx/{model}_fold{fold}.onnx"));
                workspace.copy(graph, format!("models/pool/{model}/fold{fold}.onnx"));
            }
            workspace.write(
                format!("models/pool/{model}/model.yaml"),
                format!(
                    "model: {model}\n{output}\n\
                     stages:\n\
                     - name: main\n  \
                       graphs: fold{{fold}}.onnx\n  \
                       inputs: {{INPUT: {{table: features}}}}\n\
                     tables:\n  \
                       features: {{train: {place}/train_features.parquet, test: {place}/test_features.parquet}}\n",
                )
                .replace("INPUT", input_of(model)),
            );
        }
        Some(Self { test, workspace, data, models })
    }

    fn run(&self, arguments: &[&str]) -> crate::support::Output {
        let mut all = vec!["--allow-outside", "--json", "predict"];
        all.extend(arguments);
        self.workspace.blend(&all)
    }

    fn predict(&self, arguments: &[&str]) -> Value {
        self.run(arguments).expect(0).json()
    }

    fn stored(&self, model: &str, split: &str) -> PathBuf {
        self.workspace.path(format!("models/pool/{model}/{split}.feather"))
    }

    /// All outputs as they are stored now.
    fn outputs(&self, models: &[&str]) -> Vec<[Table; 2]> {
        let read = |model: &str, split: &str| table(&self.stored(model, split), IdSpec::FirstColumn);
        models.iter().map(|model| ["oof", "test"].map(|split| read(model, split))).collect()
    }

    /// The stored outputs are those of the pool, which `file` finds by split and model.
    #[track_caller]
    fn check(&self, models: &[&str], file: impl Fn(&str, &str) -> PathBuf) -> Vec<[Table; 2]> {
        let outputs = self.outputs(models);
        for (model, splits) in models.iter().zip(&outputs) {
            for (split, got) in ["oof", "test"].iter().zip(splits) {
                let wanted = table(&file(split, model), IdSpec::FirstColumn);
                let what = format!("{split} of {model}");
                near(largest_difference(got, &wanted), 0.0, TOLERANCE, &what);
            }
        }
        outputs
    }

    /// All models on both engines: the pool's outputs, and each other's.
    fn check_both(&self, file: impl Fn(&str, &str) -> PathBuf) {
        let said = self.predict(&["--engine", "rten"]);
        assert_eq!(said["models"].as_array().map(Vec::len), Some(self.models.len()));
        let embedded = self.check(self.models, &file);
        let Some(library) = library(self.test) else { return };
        let said = self.predict(&["--engine", "ort", "--ort-lib", &library, "--force"]);
        assert!(said["models"].as_array().expect("models").iter().all(|model| model["skipped"] == false), "{said}");
        let outputs = self.check(self.models, &file);
        for (model, (a, b)) in self.models.iter().zip(embedded.iter().zip(&outputs)) {
            for (a, b) in a.iter().zip(b) {
                near(largest_difference(a, b), 0.0, TOLERANCE, model);
            }
        }
    }
}

/// What the exporters called the graphs' only input.
fn input_of(model: &str) -> &'static str {
    if ["ridge", "knn25", "extra_trees"].contains(&model) { "X" } else { "features" }
}

/// The library of ONNX Runtime that the repository's own workspace finds; loud where there is none.
fn library(test: &str) -> Option<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let root = root.to_str().expect("a path in UTF-8");
    // A code of 1 is the doctor's word that a library is there and does not load.
    let report = Workspace::new().blend(&["-C", root, "--json", "doctor"]).json();
    let path = report["library"]["path"].as_str().map(str::to_owned);
    if path.is_none() {
        skipped(test, "there is no ONNX Runtime here, only the embedded engine; `blend runtime install`");
    }
    path
}

#[test]
fn toxcast() {
    let competition = "
metric: log_loss
truth: DATA/train_targets.parquet
id: id
folds: {file: DATA/folds.csv, column: fold}";
    let models = &["logistic", "mlp128", "mlp192x64_tanh", "naive_bayes", "prior", "svd_ridge"];
    let output = "output: probability\naverage: probability";
    let Some(case) = Case::open("graphs::toxcast", "toxcast-moa-like", competition, output, models) else { return };
    case.check_both(|split, model| case.data.join(split).join(format!("{model}.parquet")));
}

const TOX21: &str = "
metric: log_loss
truth: DATA/train_labels.csv
id: id
folds: {file: DATA/train_labels.csv, column: fold}";
const TOX21_MODELS: &[&str] = &["linear", "mlp24", "mlp48x16"];

#[test]
fn tox21() {
    let output = "output: probability\naverage: probability";
    let Some(case) = Case::open("graphs::tox21", "demo-small/tox21-12", TOX21, output, TOX21_MODELS) else { return };
    case.check_both(|split, model| {
        let split = if split == "oof" { "oof" } else { "sub" };
        case.data.join(format!("{split}_{model}.csv"))
    });
}

const ICECUBE: &str = "
metric: angular_error
truth: DATA/train_truth.csv
id: event_id
decode: {azimuth: azimuth, zenith: zenith}
folds: {file: DATA/train_truth.csv, column: fold}
sample_submission: DATA/sample_submission.csv";

/// Networks of vectors: any engine runs them.
#[test]
fn icecube_networks() {
    let models = &["mlp64", "mlp128_relu3"];
    let output = "output: vector\naverage: raw";
    let Some(case) = Case::open("graphs::icecube_networks", "icecube-toy", ICECUBE, output, models) else { return };
    rename_tables(&case);
    case.check_both(|split, model| case.data.join(split).join(format!("{model}.parquet")));
}

/// Trees, neighbors and a linear model as scikit-learn exports them: the embedded engine has not their operators, and
/// says what to do.
#[test]
fn icecube_classic() {
    let models = &["ridge", "knn25", "extra_trees"];
    let output = "output: vector\naverage: raw";
    let Some(case) = Case::open("graphs::icecube_classic", "icecube-toy", ICECUBE, output, models) else { return };
    rename_tables(&case);
    let refused = case.run(&["extra_trees", "--engine", "rten"]);
    assert!((3..=4).contains(&refused.code), "{}: {}", refused.code, refused.stderr);
    assert!(refused.stderr.contains("blend runtime install"), "{}", refused.stderr);
    assert!(!case.stored("extra_trees", "oof").exists());
    let Some(library) = library(case.test) else { return };
    case.predict(&["--engine", "ort", "--ort-lib", &library]);
    case.check(case.models, |split, model| case.data.join(split).join(format!("{model}.parquet")));
}

/// Sequences as arrays of three dimensions, one of several in a packed file that has ids.
#[test]
fn icecube_sequences() {
    let (models, output) = (&["deepset"], "output: vector\naverage: raw");
    let Some(case) = Case::open("graphs::icecube_sequences", "icecube-toy", ICECUBE, output, models) else { return };
    let data = case.data.display();
    case.workspace.write(
        "models/pool/deepset/model.yaml",
        format!(
            "model: deepset\n{output}\n\
             stages:\n\
             - name: main\n  \
               graphs: fold{{fold}}.onnx\n  \
               inputs: {{x: {{table: x}}, mask: {{table: mask}}}}\n\
             tables:\n  \
               x: {{train: {data}/seq_train.npz, test: {data}/seq_test.npz, array: x}}\n  \
               mask: {{train: {data}/seq_train.npz, test: {data}/seq_test.npz, array: mask}}\n",
        ),
    );
    case.check_both(|split, model| case.data.join(split).join(format!("{model}.parquet")));
}

/// This pool calls its tables the other way round.
fn rename_tables(case: &Case) {
    for model in case.models {
        let path = format!("models/pool/{model}/model.yaml");
        let text = String::from_utf8(case.workspace.read(&path)).expect("text");
        let text = text.replace("train_features", "features_train").replace("test_features", "features_test");
        case.workspace.write(path, text);
    }
}

/// The same bytes on any number of threads, nothing done twice, and the same fingerprints when it is.
#[test]
fn threads_and_reruns() {
    let output = "output: probability\naverage: probability";
    let test = "graphs::threads_and_reruns";
    let Some(case) = Case::open(test, "demo-small/tox21-12", TOX21, output, TOX21_MODELS) else { return };
    let mut engines = vec![vec!["--engine", "rten"]];
    let library = library(test);
    if let Some(library) = &library {
        engines.push(vec!["--engine", "ort", "--ort-lib", library]);
    }
    let bytes = || -> Vec<Vec<u8>> {
        let files = TOX21_MODELS.iter().flat_map(|model| ["oof", "test"].map(|split| case.stored(model, split)));
        files.map(|path| std::fs::read(path).expect("stored outputs")).collect()
    };
    let prints = |said: &Value, skipped: bool| -> Vec<String> {
        let models = said["models"].as_array().expect("models");
        assert_eq!(models.len(), TOX21_MODELS.len());
        assert!(models.iter().all(|model| model["skipped"] == skipped), "{said}");
        models.iter().flat_map(|model| ["oof", "test"].map(|split| model[split].to_string())).collect()
    };
    for engine in &engines {
        let on = |more: &[&str]| case.predict(&[engine.as_slice(), more].concat());
        let first = prints(&on(&["--threads", "1", "--force"]), false);
        let one = bytes();
        assert_eq!(prints(&on(&["--threads", "2", "--force"]), false), first, "{engine:?}");
        assert!(bytes() == one, "two threads wrote other bytes than one ({engine:?})");
        assert_eq!(prints(&on(&[]), true), first, "{engine:?}");
        // Another cut into batches is another order of work, and the same numbers within rounding.
        let before = case.outputs(TOX21_MODELS);
        on(&["--batch-size", "37", "--force"]);
        for (a, b) in before.iter().flatten().zip(case.outputs(TOX21_MODELS).iter().flatten()) {
            near(largest_difference(a, b), 0.0, TOLERANCE, "batches of 37");
        }
        assert!(first.iter().all(|print| print.contains("blake3:")));
    }
}

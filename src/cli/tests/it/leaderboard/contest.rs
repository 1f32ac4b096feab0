//! A competition whose test labels are known to the test and hidden from the program: public scores are rounded and
//! recorded, predictions are compared with what the labels say.

use crate::support::{Output, Workspace, near, shared, table};
use blend_core::{
    Block, Fingerprint, ModelId, Predictions, RowIndex, RowSet, TableSource, Test,
    judge::{self, Preparation},
    metric::{self, Metric, MetricSpec},
    output::{Encoding, OutputKind},
    pool::Pool,
    space::SpaceName,
    truth::{LabelValues, Labels, direction},
};
use blend_store::{IdSpec, Table, feather};
use serde_json::Value;
use std::{
    fmt::Write as _,
    path::{Path, PathBuf},
};

/// The competition, always called `c`.
pub(super) struct Contest {
    pub(super) workspace: Workspace,
    pub(super) data: PathBuf,
    pub(super) metric: Box<dyn Metric>,
    pub(super) preparation: Preparation,
    pub(super) kind: OutputKind,
    pub(super) rows: RowIndex,
    pub(super) labels: Labels,
    /// Which test rows are public.
    pub(super) public: Vec<bool>,
    pub(super) models: Vec<String>,
}

/// Which part of the test rows a score is computed on.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    Public,
    Private,
}

impl Contest {
    /// `yaml` says `DATA` for the folder of the shared data `name`; `labels` is a table of the test rows' labels with a
    /// column `usage`.
    pub(super) fn open(
        test: &str,
        name: &str,
        spec: MetricSpec,
        kind: OutputKind,
        labels: &str,
        yaml: &str,
    ) -> Option<Self> {
        let data = shared(test, name)?;
        let labels = table(&data.join(labels), IdSpec::FirstColumn);
        let yaml = yaml.replace("DATA", &data.display().to_string());
        Some(Self::of(Workspace::new(), data, spec, kind, &labels, &yaml))
    }

    /// The competition that `yaml` describes, whose test labels are in a table with a column `usage`.
    pub(super) fn of(
        workspace: Workspace,
        data: PathBuf,
        spec: MetricSpec,
        kind: OutputKind,
        table: &Table,
        yaml: &str,
    ) -> Self {
        let usage = table.texts("usage").expect("usage");
        let public: Vec<bool> = usage.iter().map(|it| it == "Public").collect();
        let names: Vec<String> =
            table.names().into_iter().filter(|name| !["usage", "fold"].contains(&name.as_str())).collect();
        let mut columns = names.iter().map(|name| table.numbers(name).expect("labels"));
        let values = match spec.name.as_str() {
            "multiclass_log_loss" => {
                let labels: Vec<u32> = columns.next().expect("labels").into_iter().map(|y| y as u32).collect();
                let n = labels.iter().max().expect("labels") + 1;
                LabelValues::Class { labels, names: (0..n).map(|c| c.to_string()).collect() }
            }
            "auc" => {
                LabelValues::Binary(columns.map(|it| it.into_iter().map(|y| u8::from(y > 0.5)).collect()).collect())
            }
            "angular_error" => {
                let angles: [Vec<f64>; 2] = ["azimuth", "zenith"].map(|name| table.numbers(name).expect("angles"));
                LabelValues::Directions(angles[0].iter().zip(&angles[1]).map(|(&az, &ze)| direction(az, ze)).collect())
            }
            _ => LabelValues::Real(columns.collect()),
        };
        let labels = Labels { values, weights: None };
        let all = format!("competition: c\nmetric: {}\n{}\n", written(&spec), yaml.trim());
        workspace.write("models/c/competition.yaml", all);
        let preparation = Preparation {
            clip: spec.clip.unwrap_or(judge::DEFAULT_CLIP),
            renormalize: spec.renormalize.unwrap_or(false),
        };
        let metric = metric::build(&spec).expect("a metric");
        let (rows, models) = (table.rows().clone(), Vec::new());
        Self { workspace, data, metric, preparation, kind, rows, labels, public, models }
    }

    /// The space in which a member's weight of one leaves its values alone.
    pub(super) fn alone(&self) -> SpaceName {
        if self.kind == OutputKind::Vector { SpaceName::Vector } else { SpaceName::Linear }
    }

    /// The space in which plain means are taken: directions are of length one there.
    pub(super) fn averaged(&self) -> SpaceName {
        if self.kind == OutputKind::Vector { SpaceName::UnitVector } else { SpaceName::Linear }
    }

    /// Equal weights.
    pub(super) fn equal(&self) -> Vec<(String, f64)> {
        self.models.iter().map(|model| (model.clone(), 1.0 / self.models.len() as f64)).collect()
    }

    /// Writes the sample submission, with ids in the order of the labels.
    pub(super) fn sample(&self, id: &str, columns: &[String]) {
        let mut text = format!("{id},{}\n", columns.join(","));
        let zeros = ",0".repeat(columns.len());
        self.rows.iter().for_each(|row| {
            let _ = writeln!(text, "{row}{zeros}");
        });
        self.workspace.write("models/c/sample.csv", text);
    }

    pub(super) fn run(&self, arguments: &[&str]) -> Output {
        self.workspace.blend(&[&["--allow-outside"], arguments].concat())
    }

    #[track_caller]
    pub(super) fn json(&self, arguments: &[&str]) -> Value {
        self.run(&[&["--json"], arguments].concat()).expect(0).json()
    }

    #[track_caller]
    pub(super) fn import(&mut self, model: &str, oof: Option<&Path>, test: &Path, more: &[&str]) {
        let test = test.display().to_string();
        let oof = oof.map(|path| path.display().to_string());
        let mut all = vec!["import", model, "--test", &test];
        if let Some(oof) = &oof {
            all.extend(["--oof", oof.as_str()]);
        }
        all.extend(more);
        self.json(&all);
        self.models.push(model.to_owned());
    }

    fn positions(&self, part: Part) -> Vec<usize> {
        (0..self.public.len()).filter(|&row| self.public[row] == (part == Part::Public)).collect()
    }

    /// The score of values of all test rows, shape `(n_outputs, n_rows)`, on a part of them.
    pub(super) fn actual(&self, values: &Block, part: Part) -> f64 {
        let rows = self.positions(part);
        let bound = self.metric.bind(self.labels.select(&rows)).expect("labels");
        judge::score(&*bound, &values.select(&rows))
    }

    /// A model's stored test outputs.
    pub(super) fn stored(&self, model: &str) -> Predictions<Test> {
        let path = self.workspace.path(format!("models/c/{model}/test.feather"));
        let outputs = feather::open(&path).expect("stored outputs");
        let values = outputs.in_order(&path, &self.rows).expect("the test rows");
        let model = ModelId::new(model).expect("a name");
        let encoding = Encoding::plain(self.kind);
        let columns = outputs.columns.clone().into();
        Predictions::unchecked(model, self.rows.clone(), columns, encoding, values, Fingerprint::of(b"x"))
            .expect("shape")
    }

    /// The blend of models, as `submit` would write it.
    pub(super) fn blend(&self, space: SpaceName, weights: &[(String, f64)]) -> Block {
        let members: Vec<_> = weights.iter().map(|(model, weight)| (self.stored(model), *weight)).collect();
        let members: Vec<_> = members.iter().map(|(member, weight)| (member, *weight)).collect();
        Pool::new(&members, space, self.preparation).whole(&RowSet::all(self.rows.len()))
    }

    /// Records every model's public score, rounded to `decimals`.
    pub(super) fn record_scores(&self, decimals: i32) {
        let unit = 10f64.powi(decimals);
        let mut csv = "model,public\n".to_owned();
        for model in &self.models {
            let actual = self.actual(&self.blend(self.alone(), &[(model.clone(), 1.0)]), Part::Public);
            let _ = writeln!(csv, "{model},{:.*}", decimals as usize, (actual * unit).round() / unit);
        }
        let path = self.workspace.write("scores.csv", csv).display().to_string();
        assert_eq!(self.json(&["lb", "import", &path])["recorded"], self.models.len());
    }

    /// Weights that a search said.
    pub(super) fn weights(&self, said: &Value) -> Vec<(String, f64)> {
        let all = said["weights"].as_object().expect("weights");
        let weights = all.iter().map(|(model, weight)| (model.clone(), weight.as_f64().expect("a weight")));
        weights.filter(|(_, weight)| *weight != 0.0).collect()
    }

    /// `n` blends with weights drawn from the simplex, written as recipes `r0`, `r1`, ...
    pub(super) fn random_recipes(&self, n: usize, space: SpaceName) -> Vec<Vec<(String, f64)>> {
        let mut state = 88_172_645_463_325_252_u64;
        let mut unit = move || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 11) as f64 / (1u64 << 53) as f64
        };
        let drawn: Vec<Vec<(String, f64)>> = (0..n)
            .map(|_| {
                let raw: Vec<f64> = self.models.iter().map(|_| -(1.0 - unit()).ln()).collect();
                let total: f64 = raw.iter().sum();
                self.models.iter().cloned().zip(raw.iter().map(|w| w / total)).collect()
            })
            .collect();
        for (i, weights) in drawn.iter().enumerate() {
            let mut text = format!("blend: r{i}\ncompetition: c\nspace: {}\ndomain: simplex\nmembers:\n", space.name());
            for (model, weight) in weights {
                let _ = writeln!(text, "  {model}: {weight:?}");
            }
            self.workspace.write(format!("blends/c/r{i}.yaml"), text);
        }
        drawn
    }
}

/// The metric as YAML.
fn written(spec: &MetricSpec) -> String {
    let clip = spec.clip.map_or_else(String::new, |clip| format!(", clip: {clip:e}"));
    let renormalize = spec.renormalize.map_or_else(String::new, |it| format!(", renormalize: {it}"));
    format!("{{name: {}{clip}{renormalize}}}", spec.name)
}

/// A metric with the options of the pools' READMEs.
pub(super) fn spec(name: &str) -> MetricSpec {
    let log = name.ends_with("log_loss");
    MetricSpec {
        name: name.to_owned(),
        clip: log.then_some(1e-15),
        renormalize: (name == "multiclass_log_loss").then_some(true),
        ..MetricSpec::default()
    }
}

/// A predicted score of `lb predict` or `search`.
pub(super) struct Said {
    pub(super) score: f64,
    pub(super) error: f64,
    pub(super) bound: f64,
    pub(super) method: String,
}

impl Said {
    pub(super) fn of(value: &Value) -> Self {
        let number = |value: &Value| value.as_f64().unwrap_or_else(|| panic!("no number in {value}"));
        Self {
            score: number(&value["score"]),
            error: number(&value["standard_error"]),
            bound: number(&value["parts"]["rounding_bound"]),
            method: value["method"].as_str().expect("a method").to_owned(),
        }
    }
}

/// Stored test predictions are what was scored.
#[track_caller]
pub(super) fn check_reference(contest: &Contest, model: &str, public: f64, private: f64) {
    let values = contest.blend(SpaceName::Linear, &[(model.to_owned(), 1.0)]);
    near(contest.actual(&values, Part::Public), public, 1e-7, model);
    near(contest.actual(&values, Part::Private), private, 1e-7, model);
}

//! What the page shows, as plain numbers and texts: whoever gathers them knows nothing of HTML, and the page knows
//! nothing of files.

use super::text::many;

/// What a part of the page shows, or the sentence that says why there is nothing to show.
pub(crate) type Known<T> = Result<T, String>;

/// Everything on the page. Scores are in the metric's unit; models are numbered as in `models`.
#[derive(Debug, Clone)]
pub(crate) struct Facts {
    /// Name of the competition.
    pub(crate) competition: String,
    pub(crate) metric: Metric,
    /// Name of the scope and its rows, where there is a truth.
    pub(crate) scope: Option<(String, usize)>,
    /// Labels of the folds, ascending.
    pub(crate) folds: Vec<String>,
    pub(crate) models: Vec<Model>,
    /// What the audit found, the worst first.
    pub(crate) findings: Vec<Finding>,
    pub(crate) blends: Vec<Blend>,
    /// The blend that the summary is about, in `blends`.
    pub(crate) lead: Option<usize>,
    pub(crate) correlations: Known<Vec<Matrix>>,
    pub(crate) targets: Known<Vec<Part>>,
    pub(crate) groups: Known<Vec<Part>>,
    pub(crate) diversity: Known<Diversity>,
    pub(crate) drift: Known<Drifts>,
    pub(crate) calibration: Known<Vec<Calibration>>,
    pub(crate) trace: Known<Trace>,
    /// Of one blend or of several.
    pub(crate) without: Known<Vec<Leaving>>,
    pub(crate) ledger: Known<Vec<Entry>>,
    pub(crate) provenance: Provenance,
}

/// The metric.
#[derive(Debug, Clone)]
pub(crate) struct Metric {
    /// With its options.
    pub(crate) label: String,
    pub(crate) higher_is_better: bool,
}

impl Metric {
    /// How much better `a` is than `b`, positive where `a` wins.
    pub(crate) fn gain(&self, a: f64, b: f64) -> f64 {
        if self.higher_is_better { a - b } else { b - a }
    }

    /// `lower is better`.
    pub(crate) fn orientation(&self) -> &'static str {
        if self.higher_is_better { "higher is better" } else { "lower is better" }
    }
}

/// A base model.
#[derive(Debug, Clone, Default)]
pub(crate) struct Model {
    pub(crate) name: String,
    /// What its numbers are.
    pub(crate) output: String,
    /// Pooled over all rows of the scope.
    pub(crate) score: Option<f64>,
    /// In the order of [`Facts::folds`].
    pub(crate) folds: Vec<Option<f64>>,
    /// The score its authors state.
    pub(crate) claimed: Option<f64>,
    /// Public score, where it was submitted alone.
    pub(crate) public: Option<f64>,
}

/// Something the audit found.
#[derive(Debug, Clone)]
pub(crate) struct Finding {
    pub(crate) check: String,
    /// `fault`, `warning` or `note`.
    pub(crate) severity: &'static str,
    pub(crate) model: Option<String>,
    pub(crate) place: String,
    pub(crate) cause: String,
    pub(crate) hint: String,
    /// The reason for which it is accepted.
    pub(crate) accepted: Option<String>,
}

/// A recipe.
#[derive(Debug, Clone, Default)]
pub(crate) struct Blend {
    pub(crate) name: String,
    pub(crate) space: String,
    pub(crate) domain: String,
    /// The solver, or "by hand".
    pub(crate) by: String,
    /// Members with a weight: model and weight, with its 95 % bootstrap interval where one is known.
    pub(crate) weights: Vec<Weight>,
    /// Weights differ by target or group: those above are their means.
    pub(crate) varies: bool,
    /// What the search recorded of the rows that it chose the weights on, where these were out-of-fold rows.
    pub(crate) recorded: Option<f64>,
    /// What the search recorded, whatever it judged.
    pub(crate) found: Option<f64>,
    /// Judged now, on the stored outputs.
    pub(crate) score: Option<f64>,
    pub(crate) folds: Vec<Option<f64>>,
    pub(crate) nested: Option<f64>,
    pub(crate) equal_weights: Option<f64>,
    pub(crate) single_best: Option<(String, f64)>,
    /// 95 % interval of the gain over the single best.
    pub(crate) gain: Option<(f64, f64)>,
    /// Why the search ended, in words.
    pub(crate) stop: Option<String>,
    pub(crate) public: Option<f64>,
    /// Predicted public score and its standard error.
    pub(crate) predicted: Option<(f64, Option<f64>)>,
    /// Why it cannot be judged now.
    pub(crate) problem: Option<String>,
}

/// A weight and how far it moves when rows are drawn again.
#[derive(Debug, Clone, Default)]
pub(crate) struct Weight {
    pub(crate) model: String,
    pub(crate) weight: f64,
    pub(crate) interval: Option<(f64, f64)>,
}

/// Correlations of all pairs of the models named, shape `(n, n)`.
#[derive(Debug, Clone)]
pub(crate) struct Matrix {
    /// What was correlated, as `Pearson, out-of-fold`.
    pub(crate) title: String,
    pub(crate) names: Vec<String>,
    /// Row by row; `None` where a model does not vary.
    pub(crate) values: Vec<Option<f64>>,
}

impl Matrix {
    pub(crate) fn get(&self, a: usize, b: usize) -> Option<f64> {
        self.values[a * self.names.len() + b]
    }
}

/// One target or group of rows: how hard it is and who predicts it best.
#[derive(Debug, Clone, Default)]
pub(crate) struct Part {
    pub(crate) name: String,
    /// Positive labels of a target, where labels are 0 and 1; rows of a group.
    pub(crate) count: Option<usize>,
    /// One per model of [`Facts::models`].
    pub(crate) models: Vec<Option<f64>>,
    /// The lead blend's.
    pub(crate) blend: Option<f64>,
}

/// The equal-weights blend taken apart.
#[derive(Debug, Clone, Default)]
pub(crate) struct Diversity {
    /// The metric that is taken apart.
    pub(crate) metric: String,
    pub(crate) space: String,
    pub(crate) mean_member: f64,
    pub(crate) blend: f64,
    /// How much better the blend is than the mean member.
    pub(crate) gain: f64,
    pub(crate) members: Vec<MemberShare>,
}

/// One member's part of it.
#[derive(Debug, Clone, Default)]
pub(crate) struct MemberShare {
    pub(crate) model: String,
    pub(crate) score: f64,
    /// How far it is from the blend, in the metric's unit; only where the decomposition is exact.
    pub(crate) diversity: Option<f64>,
    /// Its weight times its score less its diversity: these sum to the blend's score.
    pub(crate) share: Option<f64>,
}

/// Test outputs against OOF outputs.
#[derive(Debug, Clone, Default)]
pub(crate) struct Drifts {
    /// Models that have both.
    pub(crate) models: Vec<String>,
    pub(crate) outputs: Vec<Drifted>,
    /// What the distance of two samples of one distribution stays below 99 % of the time.
    pub(crate) noise: f64,
}

/// One output's distances, one per model of [`Drifts::models`].
#[derive(Debug, Clone, Default)]
pub(crate) struct Drifted {
    pub(crate) name: String,
    /// Kolmogorov-Smirnov.
    pub(crate) distances: Vec<f64>,
    /// Population stability index.
    pub(crate) indices: Vec<f64>,
}

/// How often what is predicted happens, or the mean truth where values are predicted.
#[derive(Debug, Clone, Default)]
pub(crate) struct Calibration {
    /// A model or a blend.
    pub(crate) name: String,
    pub(crate) is_blend: bool,
    pub(crate) scale: Meaning,
    pub(crate) bins: Vec<Bin>,
    /// Slope and intercept of the logistic recalibration; 1 and 0 where it is perfect.
    pub(crate) line: Option<(f64, f64)>,
}

/// What is predicted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Meaning {
    #[default]
    Probability,
    Value,
    /// Standard deviations of each target from its mean.
    Standardized,
}

/// Cells with like predictions.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Bin {
    /// Mean prediction.
    pub(crate) predicted: f64,
    /// Share of positive labels, or mean truth.
    pub(crate) observed: f64,
    /// Cells, or the sum of their weights.
    pub(crate) mass: f64,
}

/// Iterations of a search.
#[derive(Debug, Clone, Default)]
pub(crate) struct Trace {
    /// Where it was read.
    pub(crate) file: String,
    pub(crate) steps: Vec<Step>,
}

/// One iteration: the best score so far and, where it is known, the most that can still be gained.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Step {
    pub(crate) score: f64,
    pub(crate) gap: Option<f64>,
}

/// What a blend loses without each of its models.
#[derive(Debug, Clone, Default)]
pub(crate) struct Leaving {
    /// Which blend, and what becomes of the other weights, as the end of a sentence.
    pub(crate) of: String,
    pub(crate) models: Vec<Without>,
    /// In how many parts of the rows (folds) the loss was looked at; 0 where in none.
    pub(crate) parts: usize,
}

/// What a blend loses without one model.
#[derive(Debug, Clone, Default)]
pub(crate) struct Without {
    pub(crate) model: String,
    /// In the metric's unit; positive where the blend is worse without it.
    pub(crate) loss: f64,
    /// In how many parts of the rows it is worse without it.
    pub(crate) worse_in: usize,
}

/// A line of the ledger.
#[derive(Debug, Clone, Default)]
pub(crate) struct Entry {
    pub(crate) name: String,
    pub(crate) when: String,
    /// CV score of the recipe or the model it was made of.
    pub(crate) cv: Option<f64>,
    pub(crate) predicted: Option<(f64, Option<f64>)>,
    pub(crate) public: Option<f64>,
    pub(crate) private: Option<f64>,
    /// Two scores for one file, a correction: in words.
    pub(crate) remark: String,
    /// Whether it is a blend.
    pub(crate) is_blend: bool,
}

/// Where the numbers came from.
#[derive(Debug, Clone, Default)]
pub(crate) struct Provenance {
    /// The program and its version.
    pub(crate) program: String,
    /// What, file, fingerprint.
    pub(crate) files: Vec<(String, String, String)>,
    /// One line for each model.
    pub(crate) models: Vec<Made>,
}

/// How a model's outputs were made.
#[derive(Debug, Clone, Default)]
pub(crate) struct Made {
    pub(crate) model: String,
    pub(crate) how: String,
    pub(crate) engine: String,
    pub(crate) graphs: usize,
    pub(crate) seconds: Option<f64>,
    pub(crate) oof: String,
    pub(crate) test: String,
}

impl Facts {
    /// The lead blend.
    pub(crate) fn lead(&self) -> Option<&Blend> {
        self.lead.and_then(|lead| self.blends.get(lead))
    }

    /// Models in the order of their scores, the best first; those without one at the end.
    pub(crate) fn by_score(&self) -> Vec<usize> {
        let mut order: Vec<usize> = (0..self.models.len()).collect();
        let loss = |model: usize| self.models[model].score.map_or(f64::INFINITY, |score| -self.metric.gain(score, 0.0));
        order.sort_by(|&a, &b| loss(a).total_cmp(&loss(b)));
        order
    }

    /// The best single model with its score.
    pub(crate) fn single_best(&self) -> Option<(&str, f64)> {
        let best = &self.models[*self.by_score().first()?];
        Some((&best.name, best.score?))
    }

    /// Findings that were not accepted.
    pub(crate) fn open(&self) -> impl Iterator<Item = &Finding> + Clone {
        self.findings.iter().filter(|finding| finding.accepted.is_none())
    }

    /// `2 faults, 1 note`; nothing where there is nothing.
    pub(crate) fn tally<'a>(findings: impl Iterator<Item = &'a Finding> + Clone) -> String {
        let parts: Vec<String> = ["fault", "warning", "note"]
            .into_iter()
            .filter_map(|severity| {
                let count = findings.clone().filter(|finding| finding.severity == severity).count();
                (count > 0).then(|| many(count, severity))
            })
            .collect();
        parts.join(", ")
    }
}

//! Everything there is to see of a pool of models, computed once: what audits and reports show.

use crate::{
    block::Block,
    calibration::{Calibration, calibration},
    compare::{Relations, relations},
    drift::{self, Drift, drift},
    ensemble::{Contribution, Diversity, contributions, diversity},
    id::ModelId,
    judge::{self, Bound},
    metric::Metric,
    prediction::{Oof, PredictionMatrix, Predictions, Test},
    scope::RowSet,
    score::Direction,
    space::SpaceName,
    truth::{Labels, Truth},
};
use rayon::prelude::*;

/// What a pool is surveyed on.
pub struct Ground<'a> {
    /// How predictions are judged.
    pub metric: &'a dyn Metric,
    /// Space of the equal-weights blend.
    pub space: SpaceName,
    /// The labels.
    pub truth: &'a Truth,
    /// The rows that count.
    pub rows: &'a RowSet,
    /// Parts of the rows: folds.
    pub folds: Option<Parts>,
    /// Parts of the rows: groups, where there are few enough to look at each.
    pub groups: Option<Parts>,
}

/// Named parts of the rows that count.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parts {
    /// Names, in order.
    pub names: Vec<String>,
    /// The part of each row that counts, as its position in `names`.
    pub of: Vec<u32>,
}

/// What there is to see. Lists follow `models`, or name their own.
#[derive(Debug, Clone, PartialEq)]
pub struct Survey {
    /// Models whose OOF outputs can be judged, no two with the same outputs.
    pub models: Vec<ModelId>,
    /// Which way scores are better.
    pub direction: Direction,
    /// Names of the targets, where they are independent columns and there are several.
    pub targets: Vec<String>,
    /// Names of the folds.
    pub folds: Vec<String>,
    /// Names of the groups.
    pub groups: Vec<String>,
    /// Rows of each group.
    pub group_rows: Vec<usize>,
    /// Scores, one per model.
    pub scores: Vec<Scores>,
    /// How alike OOF predictions are; `None` for fewer than two models.
    pub oof: Option<Relations>,
    /// The equal-weights blend taken apart; `None` for fewer than two models, or where they cannot be averaged.
    pub diversity: Option<Diversity>,
    /// What each adds to the equal-weights blend, where there is one.
    pub contributions: Option<Vec<Contribution>>,
    /// In how many parts contributions were compared.
    pub n_parts: usize,
    /// Calibration, where it has a meaning.
    pub calibration: Vec<Option<Calibration>>,
    /// How alike test predictions are, of the models that have them.
    pub test: Option<(Vec<ModelId>, Relations)>,
    /// Names of the outputs.
    pub outputs: Vec<String>,
    /// How far test outputs are distributed from OOF outputs, one per output, of the models that have both.
    pub drift: Vec<(ModelId, Vec<Drift>)>,
    /// What such a distance of two samples of one distribution stays below 99 % of the time.
    pub drift_noise: f64,
}

impl Survey {
    /// How far the model's test outputs are distributed from its OOF outputs, one per output.
    #[must_use]
    pub fn drift_of(&self, model: &ModelId) -> Option<&[Drift]> {
        self.drift.iter().find(|(other, _)| other == model).map(|(_, drift)| drift.as_slice())
    }
}

/// One model's scores, in the metric's unit; `None` where the metric is undefined on a part.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Scores {
    /// Over all rows that count (pooled OOF).
    pub overall: Option<f64>,
    /// Per fold.
    pub folds: Vec<Option<f64>>,
    /// Per target.
    pub targets: Vec<Option<f64>>,
    /// Per group.
    pub groups: Vec<Option<f64>>,
}

impl Scores {
    /// Mean and standard deviation (of the folds, with n - 1) of the folds' scores, where there are any.
    #[must_use]
    pub fn over_folds(&self) -> Option<(f64, f64)> {
        let scores: Vec<f64> = self.folds.iter().flatten().copied().collect();
        let n = scores.len() as f64;
        let mean = scores.iter().sum::<f64>() / n;
        let squares = scores.iter().map(|score| (score - mean) * (score - mean)).sum::<f64>();
        (!scores.is_empty()).then(|| (mean, libm::sqrt(squares / (n - 1.0).max(1.0))))
    }
}

/// Parts where no folds are known: enough to tell a steady gain from an accident.
const DEFAULT_PARTS: u32 = 5;

/// Looks at everything. The matrix is over the truth's rows.
#[must_use]
pub fn survey(ground: &Ground<'_>, oof: &PredictionMatrix<Oof>, test: Option<&PredictionMatrix<Test>>) -> Survey {
    let labels = ground.truth.on(ground.rows);
    let whole = ground.metric.bind(labels.clone()).ok();
    let members = oof.members();
    let models: Vec<ModelId> = members.iter().map(|member| member.model().clone()).collect();
    let several = members.len() > 1;
    let weights = vec![1.0 / members.len() as f64; members.len()];
    let enters = |member: &Predictions<Oof>| ground.space.get().info().accepts.contains(&member.encoding().kind);
    let parts: Vec<u32> = match &ground.folds {
        Some(folds) if folds.names.len() > 1 => folds.of.clone(),
        _ => (0..ground.rows.len() as u32).map(|row| row % DEFAULT_PARTS).collect(),
    };
    let blended = whole
        .as_deref()
        .filter(|bound| several && bound.n_outputs() == oof.columns().len() && members.iter().all(enters));
    let contributions = blended.map(|bound| contributions(oof, ground.rows, bound, &weights, ground.space, &parts));
    let diversity = blended.and_then(|_| diversity(oof, ground.rows, ground.metric, &labels, &weights, ground.space));
    let (targets, scores) = scores(ground, oof, &labels, whole.as_deref());
    let names = |parts: &Option<Parts>| parts.as_ref().map_or_else(Vec::new, |parts| parts.names.clone());
    let group_rows = ground.groups.as_ref().map_or_else(Vec::new, |groups| {
        let mut rows = vec![0; groups.names.len()];
        groups.of.iter().for_each(|&group| rows[group as usize] += 1);
        rows
    });
    Survey {
        models,
        direction: ground.metric.info().direction,
        targets,
        folds: names(&ground.folds),
        groups: names(&ground.groups),
        group_rows,
        scores,
        oof: several.then(|| relations(oof, ground.rows)),
        diversity,
        contributions,
        n_parts: parts.iter().max().map_or(0, |last| *last as usize + 1),
        calibration: members.par_iter().map(|member| calibration(member, ground.rows, &labels)).collect(),
        test: test.filter(|test| test.members().len() > 1).map(|test| {
            let models = test.members().iter().map(|member| member.model().clone()).collect();
            (models, relations(test, &RowSet::all(test.rows().len())))
        }),
        outputs: oof.columns().to_vec(),
        drift: test.map_or_else(Vec::new, |test| drifts(oof, ground.rows, test)),
        drift_noise: test.map_or(0.0, |test| drift::noise(ground.rows.len(), test.rows().len())),
    }
}

/// Of the models that have both.
fn drifts(oof: &PredictionMatrix<Oof>, rows: &RowSet, test: &PredictionMatrix<Test>) -> Vec<(ModelId, Vec<Drift>)> {
    let of = |oof: &Predictions<Oof>| {
        let test = test.members().iter().find(|test| test.model() == oof.model())?;
        let alike = test.columns() == oof.columns();
        alike.then(|| (oof.model().clone(), drift(oof, rows, test)))
    };
    oof.members().par_iter().filter_map(of).collect()
}

/// A metric bound to the labels of some of the rows; `None` where it is undefined there.
struct Part {
    rows: Vec<usize>,
    bound: Option<Box<dyn Bound>>,
}

fn parts(metric: &dyn Metric, labels: &Labels, parts: &Option<Parts>) -> Vec<Part> {
    let Some(parts) = parts else { return Vec::new() };
    let mut rows = vec![Vec::new(); parts.names.len()];
    parts.of.iter().enumerate().for_each(|(row, &part)| rows[part as usize].push(row));
    rows.into_par_iter()
        .map(|rows| {
            let bound = if rows.is_empty() { None } else { metric.bind(labels.select(&rows)).ok() };
            Part { rows, bound }
        })
        .collect()
}

/// The scores of predictions that are not under audit themselves, as a blend's; one per member.
#[must_use]
pub fn scores_of(ground: &Ground<'_>, oof: &PredictionMatrix<Oof>) -> Vec<Scores> {
    let labels = ground.truth.on(ground.rows);
    let whole = ground.metric.bind(labels.clone()).ok();
    scores(ground, oof, &labels, whole.as_deref()).1
}

/// Names of the targets, and every model's scores.
fn scores(
    ground: &Ground<'_>,
    oof: &PredictionMatrix<Oof>,
    labels: &Labels,
    whole: Option<&dyn Bound>,
) -> (Vec<String>, Vec<Scores>) {
    let folds = parts(ground.metric, labels, &ground.folds);
    let groups = parts(ground.metric, labels, &ground.groups);
    // Labels bound column by column, where columns are targets.
    let targets: Vec<Option<Box<dyn Bound>>> = (0..labels.n_outputs())
        .filter(|_| labels.n_outputs() > 1)
        .map_while(|target| labels.target(target))
        .map(|labels| ground.metric.bind(labels).ok())
        .collect();
    // Shares of classes have columns, but a score of one of them alone has no meaning.
    let targets = if targets.iter().any(Option::is_some) { targets } else { Vec::new() };
    let names = ground.truth.names().iter().take(targets.len()).cloned().collect();
    let score = |bound: &Option<Box<dyn Bound>>, block: &Block| {
        let bound = bound.as_deref().filter(|bound| bound.n_outputs() == block.n_outputs())?;
        Some(judge::score(bound, block))
    };
    let set = ground.rows;
    let ends: Vec<usize> = (0..set.n_blocks()).map(|block| set.offset(block) + set.block(block).len()).collect();
    let scores = oof
        .members()
        .iter()
        .map(|member| {
            let natural = member.natural(ground.rows);
            let of = |part: &Part| score(&part.bound, &natural.select(&part.rows));
            // The blocks of a search's score, so that both say the same to the last bit.
            let overall = |bound| {
                judge::score_blocks(bound, &ends, |block, out| member.read_natural(block, set.block(block), out))
            };
            Scores {
                overall: whole.filter(|bound| bound.n_outputs() == natural.n_outputs()).map(overall),
                folds: folds.par_iter().map(of).collect(),
                groups: groups.par_iter().map(of).collect(),
                targets: targets
                    .par_iter()
                    .enumerate()
                    .map(|(target, bound)| score(bound, &natural.output(target)))
                    .collect(),
            }
        })
        .collect();
    (names, scores)
}

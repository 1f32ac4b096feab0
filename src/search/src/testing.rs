//! Made-up problems for the laws: truth, and members that know it up to noise.

use crate::{
    constraints::Constraints,
    drive::{Tick, Watch},
    objective::{Objective, cv},
    random::Random,
    search::{Control, Problem},
    solver::Task,
};
use blend_core::{
    Domain, Fingerprint, ModelId, Oof, OutputKind, PredictionMatrix, Predictions, RowIndex, RowSet, Scope, Truth,
    judge::Bound,
    metric::{self, Metric, MetricSpec},
    output::Encoding,
    source::OwnedBlocks,
    space::SpaceName::{self, *},
    truth::{LabelValues, Labels},
};
use std::sync::{Arc, atomic::AtomicBool};

pub(crate) const DOMAINS: [Domain; 5] =
    [Domain::Simplex, Domain::Box, Domain::Nonnegative, Domain::Affine, Domain::Free];

/// Metric, space, kind of label.
pub(crate) const KINDS: [(&str, SpaceName, Label); 33] = [
    ("log_loss", Linear, Label::Binary),
    ("log_loss", Logit, Label::Binary),
    ("log_loss", Linear, Label::Soft),
    ("log_loss", Logit, Label::Soft),
    ("multiclass_log_loss", Linear, Label::Class),
    ("multiclass_log_loss", Log, Label::Class),
    ("multiclass_log_loss", Linear, Label::Shares),
    ("multiclass_log_loss", Log, Label::Shares),
    ("multiclass_log_loss", Linear, Label::SharesOfLogits),
    ("kl_divergence", Linear, Label::Shares),
    ("mse", Linear, Label::Number),
    ("rmse", Linear, Label::Number),
    ("r2", Linear, Label::Number),
    ("mcrmse", Linear, Label::Number),
    ("mae", Linear, Label::Number),
    ("rmsle", Linear, Label::Positive),
    ("angular_error", Vector, Label::Direction),
    ("angular_error", UnitVector, Label::Direction),
    ("auc", Linear, Label::Binary),
    ("auc", Rank, Label::Binary),
    ("mse", Rank, Label::Soft),
    ("auc", NormalScore, Label::Binary),
    ("rmsle", Log1p, Label::Positive),
    ("pinball", Linear, Label::Number),
    ("mape", Linear, Label::Number),
    ("smape", Linear, Label::Number),
    ("pearson", Linear, Label::Number),
    ("spearman", Linear, Label::Number),
    ("c_index", Linear, Label::Survival),
    ("qwk", Linear, Label::Grade),
    ("f1", Linear, Label::Binary),
    ("mcc", Linear, Label::Class),
    ("map_at_k", Linear, Label::Class),
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Label {
    Binary,
    Soft,
    Class,
    Shares,
    SharesOfLogits,
    Number,
    Positive,
    Direction,
    Grade,
    Survival,
}

/// What makes a problem hard.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Shape {
    pub(crate) n_members: usize,
    pub(crate) n_rows: usize,
    /// Every seventh row is out of scope, and holds NaN.
    pub(crate) holes: bool,
    pub(crate) weights: bool,
    /// The second member is the first one again.
    pub(crate) duplicate: bool,
    /// The last member is a constant.
    pub(crate) constant: bool,
    pub(crate) seed: u64,
}

pub(crate) struct World {
    pub(crate) members: PredictionMatrix<Oof>,
    pub(crate) truth: Truth,
    pub(crate) scope: Scope,
    pub(crate) metric: Box<dyn Metric>,
    pub(crate) space: SpaceName,
    pub(crate) name: String,
}

pub(crate) fn normal(random: &mut Random) -> f64 {
    (0..12).map(|_| random.unit()).sum::<f64>() - 6.0
}

fn sigmoid(x: f64) -> f64 {
    blend_core::num::sigmoid(x)
}

fn softmax(x: [f64; 3]) -> [f64; 3] {
    let e = x.map(blend_core::num::exp);
    e.map(|x| x / (e[0] + e[1] + e[2]))
}

impl World {
    pub(crate) fn new((metric, space, label): (&str, SpaceName, Label), shape: Shape) -> Self {
        let Shape { n_members, n_rows, seed, .. } = shape;
        let mut random = Random::new(seed);
        let n_outputs = match label {
            Label::Binary | Label::Soft | Label::Number | Label::Positive | Label::Grade => 2,
            Label::Survival => 1,
            _ => 3,
        };
        // One latent row, then labels and what each member makes of it.
        let mut latent = vec![vec![0.0; n_rows]; n_outputs];
        latent.iter_mut().flatten().for_each(|x| *x = 1.5 * normal(&mut random));
        let row = |i: usize| [latent[0][i], latent[1 % n_outputs][i], latent[n_outputs - 1][i]];
        let values = match label {
            Label::Binary => LabelValues::Binary(
                latent
                    .iter()
                    .map(|c| c.iter().map(|&x| u8::from(random.unit() < sigmoid(x - 1.0))).collect())
                    .collect(),
            ),
            Label::Soft => LabelValues::Real(latent.iter().map(|c| c.iter().map(|&x| sigmoid(x)).collect()).collect()),
            Label::Class => LabelValues::Class {
                labels: (0..n_rows)
                    .map(|i| {
                        let (p, r) = (softmax(row(i)), random.unit());
                        if r < p[0] { 0 } else { 1 + u32::from(r >= p[0] + p[1]) }
                    })
                    .collect(),
                names: ["a", "b", "c"].map(str::to_owned).to_vec(),
            },
            Label::Shares | Label::SharesOfLogits => {
                let rows: Vec<[f64; 3]> = (0..n_rows).map(|i| softmax(row(i))).collect();
                LabelValues::Real((0..3).map(|c| rows.iter().map(|p| p[c]).collect()).collect())
            }
            Label::Number => LabelValues::Real(latent.iter().map(|c| c.iter().map(|x| 5.0 + x).collect()).collect()),
            Label::Grade => LabelValues::Real(
                latent.iter().map(|c| c.iter().map(|x| (4.0 + x).round().clamp(2.0, 6.0)).collect()).collect(),
            ),
            Label::Survival => LabelValues::Survival {
                time: latent[0].iter().map(|x| 5.0 - x).collect(),
                event: (0..n_rows).map(|_| u8::from(random.unit() < 0.7)).collect(),
                strata: None,
            },
            Label::Positive => LabelValues::Real(latent.iter().map(|c| c.iter().map(|x| x * x).collect()).collect()),
            Label::Direction => LabelValues::Directions(
                (0..n_rows)
                    .map(|i| {
                        let v = row(i);
                        let length = (v[0] * v[0] + v[1] * v[1] + v[2] * v[2]).sqrt();
                        v.map(|x| x / length)
                    })
                    .collect(),
            ),
        };
        let weights = shape.weights.then(|| (0..n_rows).map(|_| 0.2 + random.unit()).collect());
        let rows = RowIndex::positions(n_rows).unwrap();
        let names: Arc<[String]> = (0..n_outputs).map(|t| format!("t{t}")).collect();
        let keep: Vec<bool> = (0..n_rows).map(|i| !shape.holes || i % 7 != 3).collect();
        let scope = Scope { name: "scope".to_owned(), rows: RowSet::from_mask(&keep).unwrap() };
        let kind = match label {
            Label::Binary | Label::Soft => OutputKind::Probability,
            Label::Class | Label::Shares => OutputKind::ClassProbabilities,
            Label::SharesOfLogits => OutputKind::ClassLogits,
            Label::Number | Label::Positive | Label::Grade | Label::Survival => OutputKind::Value,
            Label::Direction => OutputKind::Vector,
        };
        let mut all: Vec<Vec<Vec<f64>>> = Vec::new();
        for member in 0..n_members {
            let noise = 0.6 + 0.25 * member as f64;
            let mut columns = latent.clone();
            columns.iter_mut().flatten().for_each(|x| *x = 0.8 * *x + noise * normal(&mut random));
            if shape.duplicate && member == 1 {
                columns.clone_from(&all[0]);
            } else {
                if shape.constant && member + 1 == n_members {
                    columns.iter_mut().enumerate().for_each(|(c, column)| column.fill(0.1 * c as f64 + 0.2));
                }
                for i in 0..n_rows {
                    let p = softmax([columns[0][i], columns[1 % n_outputs][i], columns[n_outputs - 1][i]]);
                    for (c, column) in columns.iter_mut().enumerate() {
                        column[i] = match label {
                            Label::Binary | Label::Soft => sigmoid(column[i] - 0.8),
                            Label::Class | Label::Shares => p[c],
                            Label::SharesOfLogits | Label::Direction => column[i],
                            Label::Number => 5.2 + column[i],
                            Label::Grade => 3.6 + 0.9 * column[i],
                            Label::Survival => column[i],
                            Label::Positive => (column[i] * column[i] - 0.2).max(-0.9),
                        };
                    }
                }
            }
            for (i, _) in keep.iter().enumerate().filter(|(_, kept)| !**kept) {
                columns.iter_mut().for_each(|column| column[i] = f64::NAN);
            }
            all.push(columns);
        }
        let predictions = all
            .into_iter()
            .enumerate()
            .map(|(member, columns)| {
                // Every other member is stored in f64.
                let values = if member % 2 == 0 && !shape.duplicate {
                    OwnedBlocks::F32(columns.iter().map(|c| c.iter().map(|&x| x as f32).collect()).collect())
                } else {
                    OwnedBlocks::F64(columns)
                };
                let name = format!("m{member}");
                Predictions::new(
                    ModelId::new(&name).unwrap(),
                    rows.clone(),
                    names.clone(),
                    Encoding::plain(kind),
                    Arc::new(values),
                    Fingerprint::of(name.as_bytes()),
                    &scope.rows,
                )
                .unwrap()
            })
            .collect();
        let truth = Truth::new(rows, names.to_vec(), Labels { values, weights }).unwrap();
        let spec = MetricSpec { name: metric.to_owned(), ..MetricSpec::default() };
        Self {
            members: PredictionMatrix::new(predictions).unwrap(),
            truth,
            scope,
            metric: metric::build(&spec).unwrap(),
            space,
            name: format!("{metric} in {} of {label:?}, {shape:?}", space.name()),
        }
    }

    pub(crate) fn n(&self) -> usize {
        self.members.members().len()
    }

    pub(crate) fn bound(&self) -> Box<dyn Bound> {
        self.metric.bind(self.truth.on(&self.scope.rows)).unwrap()
    }

    pub(crate) fn objective<'a>(&'a self, bound: &'a dyn Bound, domain: Domain) -> Box<dyn Objective + 'a> {
        let members: Vec<&Predictions<Oof>> = self.members.members().iter().collect();
        cv::objective(&members, &self.scope.rows, bound, self.space, domain.sums_to_one())
    }

    pub(crate) fn problem(&self, domain: Domain) -> Problem<'_> {
        Problem {
            members: &self.members,
            truth: &self.truth,
            scope: &self.scope,
            metric: &*self.metric,
            space: self.space,
            domain,
            folds: None,
            groups: None,
        }
    }
}

static NEVER: AtomicBool = AtomicBool::new(false);

fn ignore(_: &Tick) {}

pub(crate) fn watch() -> Watch<'static> {
    Watch { interrupted: &NEVER, deadline: None, tick: &ignore }
}

pub(crate) fn control() -> Control<'static> {
    Control { interrupted: &NEVER, tick: &ignore }
}

pub(crate) fn task<'a>(objective: &'a dyn Objective, constraints: &'a Constraints) -> Task<'a> {
    Task { objective, constraints, start: None, seed: 7, tolerance: 1e-12, max_picks: 30, watch: watch() }
}

/// Allowed weights, anywhere within a domain of which only a part is bounded.
pub(crate) fn feasible(constraints: &Constraints, random: &mut Random) -> Vec<f64> {
    let wild = if random.below(2) == 0 { 1.0 } else { 3.0 };
    let raw: Vec<f64> = (0..constraints.n).map(|_| wild * (random.unit() - 0.3)).collect();
    let mut weights = constraints.mend(&raw);
    if random.below(3) == 0 {
        weights = constraints.corner(random.below(constraints.n));
    }
    weights
}

//! What kinds of weights cost: one set per target at lish-moa's shape (21,948 rows, 206 rare targets, 4 models) at one
//! strength, and with the choice of the strength inside every outer part; 200 models of 10 classes and 1,000 models of a
//! number over 20,000 rows, and six models of 200,000 directions, with everything that is honest about them.
#![allow(clippy::print_stdout, missing_docs)]

use blend_core::{
    Domain, Fingerprint, Folds, ModelId, Oof, OutputKind, PredictionMatrix, Predictions, RowIndex, RowSet, Scope,
    Truth,
    metric::{self, MetricSpec},
    num,
    output::Encoding,
    source::OwnedBlocks,
    space::SpaceName,
    truth::{LabelValues, Labels},
};
use blend_search::{Control, Options, Parts, Problem, SolverName, random::Random, search};
use std::{
    error::Error,
    sync::{Arc, atomic::AtomicBool},
    time::Instant,
};

fn normal(random: &mut Random) -> f64 {
    (0..12).map(|_| random.unit()).sum::<f64>() - 6.0
}

struct Data {
    members: PredictionMatrix<Oof>,
    truth: Truth,
    folds: Folds,
    metric: &'static str,
    space: SpaceName,
}

/// Columns of every member to a problem of five folds.
fn data(
    metric: &'static str,
    kind: OutputKind,
    labels: LabelValues,
    names: &[String],
    values: Vec<Vec<Vec<f32>>>,
) -> Result<Data, Box<dyn Error>> {
    let n_rows = values[0][0].len();
    let rows = RowIndex::positions(n_rows)?;
    let columns: Arc<[String]> = names.iter().cloned().collect();
    let member = |(member, values): (usize, Vec<Vec<f32>>)| -> Result<Predictions<Oof>, Box<dyn Error>> {
        let name = format!("model-{member}");
        let (model, print) = (ModelId::new(&name)?, Fingerprint::of(name.as_bytes()));
        let values = Arc::new(OwnedBlocks::F32(values));
        let (rows, columns, all) = (rows.clone(), columns.clone(), RowSet::all(n_rows));
        Ok(Predictions::new(model, rows, columns, Encoding::plain(kind), values, print, &all)?)
    };
    let members = values.into_iter().enumerate().map(member).collect::<Result<Vec<_>, _>>()?;
    let folds = Folds::new(rows.clone(), (0..n_rows as i64).map(|row| row % 5).collect())?;
    let (truth_names, space) = match labels {
        LabelValues::Class { .. } => (vec!["class".to_owned()], SpaceName::Linear),
        LabelValues::Directions(_) => (vec!["azimuth".to_owned(), "zenith".to_owned()], SpaceName::UnitVector),
        _ => (names.to_vec(), SpaceName::Linear),
    };
    let truth = Truth::new(rows, truth_names, Labels { values: labels, weights: None })?;
    Ok(Data { members: PredictionMatrix::new(members)?, truth, folds, metric, space })
}

/// Targets of which each is better known to other members.
fn targets(n_members: usize, n_rows: usize, n_targets: usize) -> Result<Data, Box<dyn Error>> {
    let mut random = Random::new(206);
    let mut labels = Vec::new();
    let mut values = vec![Vec::new(); n_members];
    for _ in 0..n_targets {
        let base = -7.2 + 1.2 * normal(&mut random).abs();
        let noise: Vec<f64> = (0..n_members).map(|_| 0.3 + 0.5 * random.unit()).collect();
        let (mut y, mut columns) = (Vec::new(), vec![Vec::new(); n_members]);
        for _ in 0..n_rows {
            let signal = 1.3 * normal(&mut random);
            y.push(u8::from(random.unit() < num::sigmoid(base + signal)));
            for (column, noise) in columns.iter_mut().zip(&noise) {
                column.push(num::sigmoid(base + 0.7 * signal + noise * normal(&mut random)) as f32);
            }
        }
        labels.push(y);
        values.iter_mut().zip(columns).for_each(|(all, column)| all.push(column));
    }
    let names: Vec<String> = (0..n_targets).map(|t| format!("target_{t}")).collect();
    data("log_loss", OutputKind::Probability, LabelValues::Binary(labels), &names, values)
}

fn classes(n_members: usize, n_rows: usize, n_classes: usize) -> Result<Data, Box<dyn Error>> {
    let mut random = Random::new(10);
    let mut labels = Vec::new();
    let mut values = vec![vec![Vec::with_capacity(n_rows); n_classes]; n_members];
    let mut logits = vec![0.0; n_classes];
    for _ in 0..n_rows {
        let class = random.below(n_classes);
        labels.push(class as u32);
        for (member, columns) in values.iter_mut().enumerate() {
            let signal = 1.0 + 0.5 * (member % 7) as f64 / 7.0;
            for (c, logit) in logits.iter_mut().enumerate() {
                *logit = num::exp(signal * f64::from(u8::from(c == class)) + 1.2 * normal(&mut random));
            }
            let total: f64 = logits.iter().sum();
            columns.iter_mut().zip(&logits).for_each(|(column, e)| column.push((e / total) as f32));
        }
    }
    let names: Vec<String> = (0..n_classes).map(|c| format!("c{c}")).collect();
    let labels = LabelValues::Class { labels, names: names.clone() };
    data("multiclass_log_loss", OutputKind::ClassProbabilities, labels, &names, values)
}

fn numbers(n_members: usize, n_rows: usize) -> Result<Data, Box<dyn Error>> {
    let mut random = Random::new(1000);
    let mut y = Vec::new();
    let mut values = vec![vec![Vec::with_capacity(n_rows)]; n_members];
    for _ in 0..n_rows {
        let latent = normal(&mut random);
        y.push(3.0 + latent + 0.3 * normal(&mut random));
        let shared = normal(&mut random);
        for (member, columns) in values.iter_mut().enumerate() {
            let own = 0.3 + 0.6 * (member % 31) as f64 / 31.0;
            columns[0].push((3.0 + latent + 0.3 * shared + own * normal(&mut random)) as f32);
        }
    }
    data("rmse", OutputKind::Value, LabelValues::Real(vec![y]), &["y".to_owned()], values)
}

/// Directions with errors of heavy tails that models share in part.
fn directions(n_members: usize, n_rows: usize) -> Result<Data, Box<dyn Error>> {
    let mut random = Random::new(6);
    let mut truth = Vec::new();
    let mut values = vec![vec![Vec::new(); 3]; n_members];
    for _ in 0..n_rows {
        let unit = |v: [f64; 3]| {
            let length = v.iter().map(|x| x * x).sum::<f64>().sqrt();
            v.map(|x| x / length)
        };
        let mut draw = |size: f64| [0; 3].map(|_| size * normal(&mut random));
        let n = unit(draw(1.0));
        // An event's light decides how well any model can tell.
        let dark = num::exp(0.1 + 1.3 * draw(1.0)[0]);
        let shared = draw(0.8 * dark);
        for (member, columns) in values.iter_mut().enumerate() {
            let own = draw((0.4 + 0.05 * member as f64) * dark);
            let guess = unit([0, 1, 2].map(|i| n[i] + shared[i] + own[i]));
            columns.iter_mut().zip(guess).for_each(|(column, x)| column.push(x as f32));
        }
        truth.push(n);
    }
    let names = ["x", "y", "z"].map(str::to_owned);
    data("angular_error", OutputKind::Vector, LabelValues::Directions(truth), &names, values)
}

fn measure(what: &str, data: &Data, options: &Options) -> Result<(), Box<dyn Error>> {
    let metric = metric::build(&MetricSpec { name: data.metric.to_owned(), ..MetricSpec::default() })?;
    let scope = Scope::all(data.truth.rows().len());
    let problem = Problem {
        members: &data.members,
        truth: &data.truth,
        scope: &scope,
        metric: &*metric,
        space: data.space,
        domain: Domain::Simplex,
        folds: Some(&data.folds),
        groups: None,
    };
    let interrupted = AtomicBool::new(false);
    let started = Instant::now();
    let outcome = search(&problem, options, &Control { interrupted: &interrupted, tick: &|_| {} })?;
    println!(
        "{what}: {:.2} s ({:.3} search, {:.3} honest), {:.1} passes; score {:.7}, nested {:.7}, {:?}",
        started.elapsed().as_secs_f64(),
        outcome.search_seconds,
        outcome.honest_seconds,
        outcome.effort.passes,
        outcome.score,
        outcome.nested.map_or(f64::NAN, |nested| nested.score),
        outcome.stop,
    );
    let used = outcome.weights.values().iter().filter(|weight| **weight != 0.0).count();
    println!(
        "    {used} members with weight, equal weights {:.7}, single best {:.7}",
        outcome.equal_weights, outcome.single_best.1
    );
    if let Some(parts) = outcome.parts {
        println!("    strength {}, nested with one set of weights {:?}", parts.lambda, parts.global_nested);
    }
    Ok(())
}

fn main() -> Result<(), Box<dyn Error>> {
    let wanted = std::env::args().nth(1);
    let runs = |name: &str| wanted.as_deref().is_none_or(|wanted| wanted == name);
    if runs("targets") {
        let data = targets(4, 21_948, 206)?;
        let parts = Some(Parts::Outputs((0..206).collect()));
        let one = Options { parts: parts.clone(), lambda: Some(1.0), honest: false, ..Options::default() };
        measure("206 targets, 4 models, one strength", &data, &one)?;
        measure("206 targets, 4 models, strength chosen, nested", &data, &Options { parts, ..Options::default() })?;
    }
    if runs("classes") {
        measure("200 models, 20,000 rows, 10 classes", &classes(200, 20_000, 10)?, &Options::default())?;
    }
    if runs("greedy") {
        let greedy = || Options { solver: Some(SolverName::Greedy), honest: false, ..Options::default() };
        measure("200 models, 20,000 rows, 100 picks", &classes(200, 20_000, 10)?, &greedy())?;
        measure("6 models, 200,000 directions, 100 picks", &directions(6, 200_000)?, &greedy())?;
    }
    if runs("directions") {
        measure("6 models, 200,000 directions", &directions(6, 200_000)?, &Options::default())?;
    }
    if runs("numbers") {
        measure("1,000 models, 20,000 rows, a number", &numbers(1000, 20_000)?, &Options::default())?;
    }
    Ok(())
}

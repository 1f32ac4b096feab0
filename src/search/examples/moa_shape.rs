//! What a search costs on data of the shape of Kaggle's lish-moa: 21,948 rows, 206 rare binary targets, f32
//! probabilities of 7 and of 12 models, made from a fixed seed.
//!
//! Times are CPU seconds, from Linux's `/proc`.
#![allow(clippy::print_stdout, missing_docs)]

use blend_core::{
    Domain, Fingerprint, Folds, ModelId, Oof, OutputKind, PredictionMatrix, Predictions, RowIndex, RowSet, Scope,
    Truth,
    judge::Bound,
    metric::{self, MetricSpec},
    num,
    output::Encoding,
    source::OwnedBlocks,
    space::SpaceName,
    truth::{LabelValues, Labels},
};
use blend_search::{Control, Options, Problem, objective::cv, random::Random, search};
use std::{
    error::Error,
    sync::{Arc, atomic::AtomicBool},
};

const N_ROWS: usize = 23_814;
const N_SCOPE: usize = 21_948;
const N_TARGETS: usize = 206;
const N_DRUGS: usize = 3_288;

/// A standard normal number, near enough: twelve uniforms.
fn normal(random: &mut Random) -> f64 {
    (0..12).map(|_| random.unit()).sum::<f64>() - 6.0
}

struct Data {
    members: PredictionMatrix<Oof>,
    truth: Truth,
    folds: Folds,
    groups: Vec<u32>,
    scope: Scope,
}

/// Members whose log odds are the truth's signal, a noise they share and one of their own. With `holes` the scope
/// leaves out the rows that lish-moa does not score, spread over the table.
fn data(n_members: usize, holes: bool) -> Result<Data, Box<dyn Error>> {
    let n_rows = if holes { N_ROWS } else { N_SCOPE };
    let mut random = Random::new(2020);
    let rows = RowIndex::positions(n_rows)?;
    let columns: Arc<[String]> = (0..N_TARGETS).map(|t| format!("target_{t}")).collect();
    let mut labels = Vec::with_capacity(N_TARGETS);
    let mut values = vec![Vec::with_capacity(N_TARGETS); n_members];
    for _ in 0..N_TARGETS {
        let base = -7.2 + 1.2 * normal(&mut random).abs();
        let mut y = Vec::with_capacity(n_rows);
        let mut columns = vec![Vec::with_capacity(n_rows); n_members];
        for _ in 0..n_rows {
            let signal = 1.3 * normal(&mut random);
            y.push(u8::from(random.unit() < num::sigmoid(base + signal)));
            let shared = 0.6 * normal(&mut random);
            for (member, column) in columns.iter_mut().enumerate() {
                let own = (0.45 + 0.04 * member as f64) * normal(&mut random);
                column.push(num::sigmoid(base + 0.7 * signal + shared + own) as f32);
            }
        }
        labels.push(y);
        values.iter_mut().zip(columns).for_each(|(all, column)| all.push(column));
    }
    let positives: usize = labels.iter().flatten().map(|&y| usize::from(y)).sum();
    println!("{n_members} members, {:.2} % positive", 100.0 * positives as f64 / (n_rows * N_TARGETS) as f64);
    let predictions = values
        .into_iter()
        .enumerate()
        .map(|(member, values)| {
            let name = format!("model-{member}");
            Predictions::new(
                ModelId::new(&name)?,
                rows.clone(),
                columns.clone(),
                Encoding::plain(OutputKind::Probability),
                Arc::new(OwnedBlocks::F32(values)),
                Fingerprint::of(name.as_bytes()),
                &RowSet::all(n_rows),
            )
            .map_err(Into::into)
        })
        .collect::<Result<Vec<_>, Box<dyn Error>>>()?;
    let mut keep = vec![true; n_rows];
    let mut left_out = n_rows - N_SCOPE;
    while left_out > 0 {
        let row = random.below(n_rows);
        left_out -= usize::from(std::mem::replace(&mut keep[row], false));
    }
    let groups: Vec<u32> = (0..n_rows).map(|_| random.below(N_DRUGS) as u32).collect();
    let folds = Folds::new(rows.clone(), groups.iter().map(|&group| i64::from(group % 5)).collect())?;
    let truth = Truth::new(rows, columns.to_vec(), Labels { values: LabelValues::Binary(labels), weights: None })?;
    let scope = Scope { name: "scored".to_owned(), rows: RowSet::from_mask(&keep)? };
    Ok(Data { members: PredictionMatrix::new(predictions)?, truth, folds, groups, scope })
}

/// CPU seconds of all threads so far.
fn cpu_seconds() -> f64 {
    let tasks = std::fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
    let used = tasks.filter_map(|task| std::fs::read_to_string(task.path().join("schedstat")).ok());
    used.filter_map(|line| line.split(' ').next()?.parse::<f64>().ok()).sum::<f64>() * 1e-9
}

/// The fastest of some runs, in CPU milliseconds.
fn milliseconds(runs: usize, mut work: impl FnMut()) -> f64 {
    (0..runs)
        .map(|_| {
            let started = cpu_seconds();
            work();
            (cpu_seconds() - started) * 1e3
        })
        .fold(f64::INFINITY, f64::min)
}

fn measure(n_members: usize, holes: bool, space: SpaceName) -> Result<(), Box<dyn Error>> {
    let data = data(n_members, holes)?;
    let metric = metric::build(&MetricSpec { name: "log_loss".to_owned(), ..MetricSpec::default() })?;
    let members: Vec<&Predictions<Oof>> = data.members.members().iter().collect();
    let bound: Box<dyn Bound> = metric.bind(data.truth.on(&data.scope.rows))?;
    let objective = cv::objective(&members, &data.scope.rows, &*bound, space, true);
    let weights = vec![1.0 / n_members as f64; n_members];
    println!("  {}, scope {}", space.name(), if holes { "with holes" } else { "of all rows" });
    println!(
        "    value                     {:8.1} ms",
        milliseconds(5, || {
            objective.value(&weights);
        })
    );
    let pass = milliseconds(5, || drop(objective.slope(&weights)));
    println!("    value, gradient           {pass:8.1} ms");
    println!("    value, gradient, Hessian  {:8.1} ms", milliseconds(3, || drop(objective.curve(&weights))));
    let problem = Problem {
        members: &data.members,
        truth: &data.truth,
        scope: &data.scope,
        metric: &*metric,
        space,
        domain: Domain::Simplex,
        folds: Some(&data.folds),
        groups: Some(&data.groups),
    };
    let interrupted = AtomicBool::new(false);
    let control = Control { interrupted: &interrupted, tick: &|_| {} };
    let mut spent = Vec::new();
    for options in [
        Options { honest: false, ..Options::default() },
        Options { replicates: 1, ..Options::default() },
        Options::default(),
    ] {
        let started = cpu_seconds();
        let outcome = search(&problem, &options, &control)?;
        spent.push((cpu_seconds() - started, outcome));
    }
    let outcome = spent[2].1.clone();
    let [search, nested, all] = [0, 1, 2].map(|i| spent[i].0);
    println!(
        "    whole search {all:.2} s CPU, {:.1} x a gradient pass: search {search:.2} s ({:.1} passes), nested {:.2} s ({:.1} passes), intervals {:.2} s",
        all * 1e3 / pass,
        outcome.effort.passes,
        nested - search,
        outcome.honest_effort.passes,
        all - nested,
    );
    println!(
        "    score {:.8}, equal {:.8}, single {:.8}, nested {:.8}, {:?}",
        outcome.score,
        outcome.equal_weights,
        outcome.single_best.1,
        outcome.nested.map_or(f64::NAN, |nested| nested.score),
        outcome.stop,
    );
    println!("    weights {:.4?}", outcome.weights.values());
    Ok(())
}

fn main() -> Result<(), Box<dyn Error>> {
    // A number of members as argument: the linear space alone, for a profiler.
    if let Some(n_members) = std::env::args().nth(1) {
        return measure(n_members.parse()?, false, SpaceName::Linear);
    }
    for n_members in [7, 12] {
        for (holes, space) in [(false, SpaceName::Linear), (true, SpaceName::Linear), (false, SpaceName::Logit)] {
            measure(n_members, holes, space)?;
        }
    }
    Ok(())
}

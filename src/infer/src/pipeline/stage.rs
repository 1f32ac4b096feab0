//! One stage: its graphs over the rows they may see, summed in the graphs' order.

use super::{GraphTime, Progress, Request, Split, SplitRows, Times};
use crate::{
    batch::{Context, Feed, Feeds, Rows, Runner, StageRows},
    engine::Place,
    error::{EngineError, InferError},
    plan::{Graph, StagePlan, folds_of},
    runtime::{Placed, RanOn, Runtime},
    work::ordered,
};
use blend_core::manifest::InputSpec;
use std::{
    collections::BTreeMap,
    ops::Range,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

/// Graphs above this size share one session's threads; smaller ones get a session per worker, with one thread each,
/// which is faster and gives the same bits on any number of threads.
const LARGE_GRAPH: u64 = 128 << 20;

/// The averaged output of a stage.
pub(crate) struct StageOutput {
    pub(crate) train: Option<StageRows>,
    pub(crate) test: Option<StageRows>,
}

/// What all stages of a run share.
pub(crate) struct Setup<'a> {
    runtime: &'a Runtime,
    request: &'a Request<'a>,
    model: &'a str,
    placed: Placed,
    train: Option<&'a SplitRows<'a>>,
    test: Option<&'a SplitRows<'a>>,
    /// Fold labels in the order of the training rows, by seed.
    labels: BTreeMap<Option<i64>, Vec<i64>>,
    rows_done: AtomicU64,
    rows_total: u64,
    notes: Mutex<Vec<String>>,
    on_device: AtomicBool,
    on_cpu: AtomicBool,
}

/// Some batches of one graph: what a worker takes at once.
struct Item {
    graph: usize,
    batches: Range<usize>,
}

/// The rows of a graph and the batches they are cut into, as (position in `rows`, range of rows).
struct Cut {
    rows: Vec<Rows>,
    batches: Vec<(usize, Range<usize>)>,
}

/// Averaged-to-be values of one batch.
struct Part {
    split: Split,
    rows: Arc<[u32]>,
    range: Range<usize>,
    values: Vec<f64>,
    width: usize,
}

/// Sums over graphs, row-major.
#[derive(Default)]
struct Sums {
    width: Option<usize>,
    values: Vec<f64>,
    counts: Vec<u32>,
}

impl<'a> Setup<'a> {
    /// Lines the fold maps up with the training rows and counts the work.
    pub(crate) fn new(
        runtime: &'a Runtime,
        request: &'a Request<'a>,
        model: &'a str,
        placed: Placed,
        plans: &[StagePlan<'_>],
        train: Option<&'a SplitRows<'a>>,
        test: Option<&'a SplitRows<'a>>,
    ) -> Result<Self, InferError> {
        let mut labels = BTreeMap::new();
        if let Some(train) = train {
            for graph in plans.iter().flat_map(|plan| &plan.graphs).filter(|graph| graph.fold.is_some()) {
                if let (false, Some(folds)) = (labels.contains_key(&graph.seed), folds_of(request, graph.seed)) {
                    let order = train.rows.align(folds.rows()).map_err(|source| InferError::Alignment {
                        model: model.to_owned(),
                        what: "the fold map".to_owned(),
                        split: Split::Oof,
                        source: Box::new(source),
                    })?;
                    let all = folds.labels();
                    let aligned = match order {
                        None => all.to_vec(),
                        Some(order) => order.into_iter().map(|row| all[row as usize]).collect(),
                    };
                    labels.insert(graph.seed, aligned);
                }
            }
        }
        let mut setup = Self {
            runtime,
            request,
            model,
            placed,
            train,
            test,
            labels,
            rows_done: AtomicU64::new(0),
            rows_total: 0,
            notes: Mutex::new(Vec::new()),
            on_device: AtomicBool::new(false),
            on_cpu: AtomicBool::new(false),
        };
        let per_graph = |graph: &Graph| {
            let held_out = |label: &&i64| Some(**label) == graph.fold;
            let train = match (setup.train, setup.labels.get(&graph.seed)) {
                (Some(_), Some(labels)) if graph.fold.is_some() => labels.iter().filter(held_out).count(),
                (Some(train), _) => train.rows.len(),
                (None, _) => 0,
            };
            (train + setup.test.map_or(0, |test| test.rows.len())) as u64
        };
        setup.rows_total = plans.iter().flat_map(|plan| &plan.graphs).map(per_graph).sum();
        Ok(setup)
    }

    /// What the runs had to say.
    pub(crate) fn notes(&self) -> Vec<String> {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Where the graphs really ran.
    pub(crate) fn device(&self) -> RanOn {
        match self.placed.place {
            Place::Cpu => RanOn::Cpu,
            Place::Cuda { index, .. } => {
                match (self.on_device.load(Ordering::Relaxed), self.on_cpu.load(Ordering::Relaxed)) {
                    (true, false) => RanOn::Cuda(index),
                    (true, true) => RanOn::Mixed(index),
                    (false, _) => RanOn::Cpu,
                }
            }
        }
    }

    /// Runs a stage, given the outputs of those before it.
    pub(crate) fn run(
        &self,
        plan: &StagePlan<'_>,
        done: &BTreeMap<&str, StageOutput>,
    ) -> Result<(StageOutput, Vec<GraphTime>), InferError> {
        let feeds = |split: Option<&'a SplitRows<'a>>| split.map(|split| self.feeds(plan, split, done)).transpose();
        let (train_feeds, test_feeds) = (feeds(self.train)?, feeds(self.test)?);
        let cuts = self.cuts(plan, &train_feeds);
        let on_cpu = self.placed.place == Place::Cpu;
        let large = plan.graphs.iter().chain(&plan.transforms).any(|graph| graph.bytes > LARGE_GRAPH);
        let threads = self.request.threads.max(1);
        let (workers, intra) = if on_cpu && !large { (threads, 1) } else { (1, threads) };
        let items = items(&cuts, workers);
        let engine = self.runtime.engine();
        let context = |place| Context {
            model: self.model,
            engine,
            threads: intra,
            place,
            plan,
            average: self.request.manifest.average,
        };
        let (context, fallback) = (context(self.placed.place), context(Place::Cpu));
        let times: Times = Mutex::new(vec![(Duration::ZERO, 0); plan.graphs.len()]);

        let work = |state: &mut Option<(usize, _)>, item: usize| {
            let item = &items[item];
            let (start, mut parts, mut n_rows) = (Instant::now(), Vec::new(), 0);
            if state.as_ref().is_none_or(|(graph, _)| *graph != item.graph) {
                // The old session goes first: two at once would double the memory of a worker.
                *state = None;
                *state = Some((item.graph, self.load(&context, &fallback, item.graph)?));
            }
            let Some((_, runner)) = state.as_mut() else { return Err(InferError::Bug("no session".to_owned())) };
            for (which, range) in &cuts[item.graph].batches[item.batches.clone()] {
                if (self.request.cancelled)() {
                    return Err(InferError::Interrupted);
                }
                let Rows { split, rows } = &cuts[item.graph].rows[*which];
                let (feeds, owner) = match split {
                    Split::Oof => (&train_feeds, self.train),
                    Split::Test => (&test_feeds, self.test),
                };
                let (Some(feeds), Some(owner)) = (feeds, owner) else {
                    return Err(InferError::Bug("rows of a split that was not asked for".to_owned()));
                };
                let (values, width) = runner.run(feeds, &rows[range.clone()], &owner.rows)?;
                parts.push(Part { split: *split, rows: Arc::clone(rows), range: range.clone(), values, width });
                n_rows += range.len() as u64;
                let rows_done = self.rows_done.fetch_add(range.len() as u64, Ordering::Relaxed) + range.len() as u64;
                (self.request.progress)(Progress {
                    stage: &plan.stage.name,
                    graph: &plan.graphs[item.graph].name,
                    rows_done,
                    rows_total: self.rows_total,
                });
            }
            let mut times = times.lock().unwrap_or_else(PoisonError::into_inner);
            times[item.graph].0 += start.elapsed();
            times[item.graph].1 += n_rows;
            Ok(parts)
        };
        let (mut train, mut test) = (Sums::default(), Sums::default());
        let commit = |item: usize, parts: Vec<Part>| {
            for part in parts {
                let (sums, owner) = match part.split {
                    Split::Oof => (&mut train, self.train),
                    Split::Test => (&mut test, self.test),
                };
                let n_rows = owner.map_or(0, |owner| owner.rows.len());
                sums.add(&part, n_rows).map_err(|expected| InferError::OutputShape {
                    model: self.model.to_owned(),
                    graph: plan.graphs[items[item].graph].name.clone(),
                    output: plan.stage.output.clone().unwrap_or_default(),
                    expected: format!("{expected} outputs, as the graphs before it").into(),
                    given: vec![part.range.len(), part.width],
                })?;
            }
            Ok(())
        };
        ordered(items.len(), workers, || None, work, commit)?;
        let finish =
            |sums: Sums, owner: Option<&SplitRows<'_>>| owner.map(|owner| self.average(plan, sums, owner)).transpose();
        let output = StageOutput { train: finish(train, self.train)?, test: finish(test, self.test)? };
        let times = times.into_inner().unwrap_or_else(PoisonError::into_inner);
        let times = plan.graphs.iter().zip(times).map(|(graph, (elapsed, rows))| GraphTime {
            stage: plan.stage.name.clone(),
            graph: graph.name.clone(),
            rows,
            seconds: elapsed.as_secs_f64(),
        });
        Ok((output, times.collect()))
    }

    /// A session where the run was placed; on the CPU where the device may be done without.
    fn load<'b>(
        &self,
        context: &'b Context<'b>,
        fallback: &'b Context<'b>,
        graph: usize,
    ) -> Result<Runner<'b>, InferError> {
        match Runner::load(context, graph) {
            Err(InferError::Engine { source: EngineError::Device { device, message }, graph: name, .. })
                if matches!(context.place, Place::Cuda { strict: false, .. }) =>
            {
                self.on_cpu.store(true, Ordering::Relaxed);
                let note = format!("`{name}` ran on the CPU, {device} refused it: {message}");
                self.notes.lock().unwrap_or_else(PoisonError::into_inner).push(note);
                Runner::load(fallback, graph)
            }
            loaded => {
                self.on_device.fetch_or(loaded.is_ok(), Ordering::Relaxed);
                loaded
            }
        }
    }

    fn feeds<'b>(
        &self,
        plan: &'b StagePlan<'_>,
        split: &'b SplitRows<'b>,
        done: &'b BTreeMap<&str, StageOutput>,
    ) -> Result<Feeds<'b>, InferError> {
        let mut feeds = Feeds::new();
        for (input, spec) in &plan.stage.inputs {
            let feed = match spec {
                InputSpec::Table { table, columns } => {
                    let bound = &split.tables[table.as_str()];
                    let own = self.request.manifest.tables.get(table).and_then(|spec| spec.columns.as_deref());
                    Feed::Table { table: bound, columns: bound.columns(columns.as_deref().or(own))? }
                }
                InputSpec::Stage { stage, .. } => {
                    let output = done.get(stage.as_str()).map(|output| match split.split {
                        Split::Oof => output.train.as_ref(),
                        Split::Test => output.test.as_ref(),
                    });
                    let rows =
                        output.flatten().ok_or_else(|| InferError::Bug(format!("stage `{stage}` did not run")))?;
                    Feed::Stage { rows }
                }
            };
            feeds.insert(input.as_str(), feed);
        }
        Ok(feeds)
    }

    /// The rows of every graph, cut into batches. The grid depends on nothing but the rows and the batch size.
    fn cuts(&self, plan: &StagePlan<'_>, train_feeds: &Option<Feeds<'_>>) -> Vec<Cut> {
        // In the order of the first table, which is read front to back then.
        let sorted = |split: &SplitRows<'_>, mut rows: Vec<u32>| -> Arc<[u32]> {
            let first = plan.stage.inputs.values().find_map(|spec| match spec {
                InputSpec::Table { table, .. } => split.tables.get(table.as_str()),
                InputSpec::Stage { .. } => None,
            });
            if let Some(table) = first {
                rows.sort_unstable_by_key(|&row| table.position(row));
            }
            rows.into()
        };
        let all = |split: &SplitRows<'_>| (0..split.rows.len() as u32).collect::<Vec<u32>>();
        let test = self.test.map(|split| sorted(split, all(split)));
        let train = |graph: &Graph, split: &SplitRows<'_>| {
            let labels = self.labels.get(&graph.seed).filter(|_| graph.fold.is_some());
            let wanted = |row: &u32| match labels {
                Some(labels) => Some(labels[*row as usize]) == graph.fold,
                None => train_feeds.iter().flat_map(Feeds::values).all(|feed| match feed {
                    Feed::Stage { rows } => rows.predicted[*row as usize],
                    Feed::Table { .. } => true,
                }),
            };
            sorted(split, all(split).into_iter().filter(wanted).collect())
        };
        let size = self.request.batch_size.unwrap_or(self.request.manifest.batch_size).max(1);
        let cut = |graph: &Graph| {
            // A graph of fixed size runs whole multiples, so that padding is met once per split.
            let size = graph.fixed_rows().map_or(size, |fixed| size.div_ceil(fixed) * fixed);
            let rows: Vec<Rows> = [
                self.train.map(|split| Rows { split: Split::Oof, rows: train(graph, split) }),
                test.clone().map(|rows| Rows { split: Split::Test, rows }),
            ]
            .into_iter()
            .flatten()
            .collect();
            let batches = rows.iter().enumerate().flat_map(|(which, Rows { rows, .. })| {
                let n_rows = rows.len();
                (0..n_rows).step_by(size).map(move |start| (which, start..(start + size).min(n_rows)))
            });
            Cut { batches: batches.collect(), rows }
        };
        plan.graphs.iter().map(cut).collect()
    }

    fn average(&self, plan: &StagePlan<'_>, sums: Sums, owner: &SplitRows<'_>) -> Result<StageRows, InferError> {
        let n_rows = owner.rows.len();
        let width = sums.width.unwrap_or(1);
        let mut values = vec![f32::NAN; n_rows * width];
        let mut predicted = vec![false; n_rows];
        for (row, &count) in sums.counts.iter().enumerate().filter(|(_, count)| **count > 0) {
            predicted[row] = true;
            for output in 0..width {
                let value = (sums.values[row * width + output] / f64::from(count)) as f32;
                if !value.is_finite() {
                    return Err(InferError::NotFinite {
                        model: self.model.to_owned(),
                        graph: plan.stage.graphs.clone(),
                        id: owner.rows.id(row).into_owned(),
                        output,
                        value: f64::from(value),
                    });
                }
                values[row * width + output] = value;
            }
        }
        Ok(StageRows { width, values, predicted })
    }
}

impl Sums {
    /// Adds a batch; gives the expected width where it has another.
    fn add(&mut self, part: &Part, n_rows: usize) -> Result<(), usize> {
        let width = *self.width.get_or_insert(part.width);
        if width != part.width {
            return Err(width);
        }
        if self.counts.is_empty() {
            self.values = vec![0.0; n_rows * width];
            self.counts = vec![0; n_rows];
        }
        for (&row, values) in part.rows[part.range.clone()].iter().zip(part.values.chunks_exact(width)) {
            let row = row as usize;
            self.counts[row] += 1;
            self.values[row * width..(row + 1) * width].iter_mut().zip(values).for_each(|(sum, value)| *sum += value);
        }
        Ok(())
    }
}

/// Batches to workers: a graph at a time where there are many, else each graph in pieces.
fn items(cuts: &[Cut], workers: usize) -> Vec<Item> {
    let pieces = if workers == 1 { 1 } else { (2 * workers).div_ceil(cuts.len().max(1)) };
    let mut items = Vec::new();
    for (graph, cut) in cuts.iter().enumerate() {
        let n = cut.batches.len();
        let size = n.div_ceil(pieces).max(1);
        items.extend((0..n).step_by(size).map(|start| Item { graph, batches: start..(start + size).min(n) }));
    }
    items
}

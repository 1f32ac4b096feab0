//! One stage: its graphs over the rows they may see, summed in the graphs' order.

use super::{setup::Setup, shards};
use crate::{
    batch::{Batch, Context, Feed, Feeds, Rows, Runner, StageRows},
    cut::{self, Cut, Item, Sizes, Wanted},
    engine::Place,
    error::InferError,
    partial::{Keeper, State},
    plan::StagePlan,
    request::{GraphTime, Remote, Shard, Split, SplitRows},
    sums::{Owner, Part, Sums},
    work::ordered,
};
use blend_core::manifest::InputSpec;
use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

/// Graphs above this size share one session's threads; smaller ones get a session per worker, with one thread each,
/// which is faster and gives the same bits on any number of threads.
const LARGE_GRAPH: u64 = 128 << 20;

/// The averaged output of the stages so far, training and test rows of each.
pub(crate) type Done = [[Option<StageRows>; 2]];

/// A stage, ready to run.
pub(crate) struct Job<'a> {
    setup: &'a Setup<'a>,
    at: usize,
    plan: &'a StagePlan<'a>,
    feeds: [Option<Feeds<'a>>; 2],
    context: Context<'a>,
    fallback: Context<'a>,
    workers: usize,
    /// Seconds and rows of each graph.
    times: Mutex<Vec<(Duration, u64)>>,
}

/// What a worker holds on to.
pub(crate) enum Worker<'j> {
    /// A graph's session.
    Here(Option<(usize, Runner<'j>)>),
    /// A process.
    Elsewhere(Option<Box<dyn Remote>>),
}

impl<'a> Job<'a> {
    /// Lines up the inputs of stage number `at` with the output of those before it.
    pub(crate) fn new(setup: &'a Setup<'a>, at: usize, done: &'a Done) -> Result<Self, InferError> {
        let plan = &setup.plans[at];
        let feeds = |split: Option<&'a SplitRows<'a>>| split.map(|split| feeds(setup, plan, split, done)).transpose();
        let large = plan.graphs.iter().chain(&plan.transforms).any(|graph| graph.bytes > LARGE_GRAPH);
        let threads = setup.request.threads.max(1);
        let on_cpu = setup.placed.place == Place::Cpu;
        let (workers, intra) = match setup.request.executor {
            Some(executor) => (executor.workers().max(1), 1),
            None if on_cpu && !large => (threads, 1),
            None => (1, threads),
        };
        let context = |place| Context {
            model: setup.model,
            engine: setup.runtime.engine(),
            threads: intra,
            place,
            plan,
            average: setup.request.manifest.average,
        };
        Ok(Self {
            setup,
            at,
            plan,
            feeds: [feeds(setup.train)?, feeds(setup.test)?],
            context: context(setup.placed.place),
            fallback: context(Place::Cpu),
            workers,
            times: Mutex::new(vec![(Duration::ZERO, 0); plan.graphs.len()]),
        })
    }

    /// The rows of every graph in batches.
    pub(crate) fn cuts(&self) -> Vec<Cut> {
        let sizes = Sizes {
            batch: self.setup.request.batch_size.unwrap_or(self.setup.request.manifest.batch_size).max(1),
            place: self.setup.placed.place,
        };
        let all = |split: &SplitRows<'_>| 0..split.rows.len() as u32;
        let [train_feeds, test_feeds] = &self.feeds;
        let test = self.setup.test.zip(test_feeds.as_ref());
        let test = test.map(|(split, feeds)| (split, feeds, cut::ordered(self.plan, feeds, all(split).collect())));
        let one = |graph| {
            let train = self.setup.train.zip(train_feeds.as_ref()).map(|(split, feeds)| {
                let labels = self.setup.labels_of(self.plan, graph);
                let held_out = |row: &u32| labels.is_none_or(|labels| Some(labels[*row as usize]) == graph.fold);
                let fed = |row: &u32| {
                    feeds.values().all(|feed| match feed {
                        Feed::Stage { rows } => rows.predicted[*row as usize],
                        Feed::Table { .. } | Feed::Events { .. } => true,
                    })
                };
                let rows = all(split).filter(|row| held_out(row) && fed(row)).collect();
                Wanted { split: Split::Oof, rows: cut::ordered(self.plan, feeds, rows), feeds }
            });
            let test =
                test.as_ref().map(|(_, feeds, rows)| Wanted { split: Split::Test, rows: Arc::clone(rows), feeds });
            cut::cut(graph, self.plan, sizes, train.into_iter().chain(test).collect())
        };
        self.plan.graphs.iter().map(one).collect()
    }

    /// Graphs at a time.
    pub(crate) fn workers(&self) -> usize {
        self.workers
    }

    /// Outputs per row, as far as the graphs say.
    fn width(&self) -> usize {
        let dims = |port: &crate::engine::Port| port.dims.as_ref().and_then(|dims| dims.get(1).copied().flatten());
        let ports = self.plan.graphs.iter().flat_map(|graph| &graph.scan.outputs);
        ports.filter_map(dims).max().unwrap_or(1)
    }

    fn owner(&self, split: Split) -> Option<&'a SplitRows<'a>> {
        if split == Split::Oof { self.setup.train } else { self.setup.test }
    }

    /// Runs the graphs that are not in the state yet, and puts the stage's output there.
    pub(crate) fn run<'j>(
        &'j self,
        keeper: &mut Keeper<'_>,
        done: &Done,
        graphs: usize,
        sums: [Sums; 2],
    ) -> Result<([Option<StageRows>; 2], Vec<GraphTime>), InferError> {
        let cuts = self.cuts();
        let items: Vec<Item> =
            cut::items(&cuts, self.workers, self.width()).into_iter().filter(|item| item.graph >= graphs).collect();
        let [mut train, mut test] = sums;
        let commit = |at: usize, parts: Vec<Part>| {
            let item = &items[at];
            for part in parts {
                let sums = if part.split == Split::Oof { &mut train } else { &mut test };
                let n_rows = self.owner(part.split).map_or(0, |owner| owner.rows.len());
                sums.add(&part, n_rows).map_err(|expected| InferError::OutputShape {
                    model: self.setup.model.to_owned(),
                    graph: self.plan.graphs[item.graph].name.clone(),
                    output: self.plan.stage.output.clone().unwrap_or_default(),
                    expected: format!("{expected} outputs, as the graphs before it").into(),
                    given: vec![part.range.len(), part.width],
                })?;
            }
            let is_last = items.get(at + 1).is_none_or(|next| next.graph != item.graph);
            if is_last && item.graph + 1 < self.plan.graphs.len() {
                keeper.keep(done, item.graph + 1, [&train, &test], false)?;
            }
            Ok(())
        };
        let work = |worker: &mut Worker<'j>, item: usize| self.item(worker, &cuts, &items[item]);
        ordered(items.len(), self.workers, || self.worker(), work, commit)?;
        let seeds: std::collections::BTreeSet<_> = self.plan.graphs.iter().map(|graph| graph.seed).collect();
        let finish = |sums: Sums, split: Option<&SplitRows<'_>>, most: usize| {
            split.map(|split| {
                let stage = &self.plan.stage;
                let most = most as u32;
                sums.average(Owner { model: self.setup.model, stage: &stage.name, pattern: &stage.graphs, split, most })
            })
        };
        let output = [
            finish(train, self.setup.train, seeds.len()).transpose()?,
            finish(test, self.setup.test, self.plan.graphs.len()).transpose()?,
        ];
        let times = std::mem::take(&mut *self.times.lock().unwrap_or_else(PoisonError::into_inner));
        let times = self.plan.graphs.iter().zip(times).map(|(graph, (elapsed, rows))| GraphTime {
            stage: self.plan.stage.name.clone(),
            graph: graph.name.clone(),
            rows,
            seconds: elapsed.as_secs_f64(),
        });
        Ok((output, times.collect()))
    }

    /// A worker without a session, or without a process, yet.
    fn worker<'j>(&'j self) -> Worker<'j> {
        if self.setup.request.executor.is_some() { Worker::Elsewhere(None) } else { Worker::Here(None) }
    }

    fn item<'j>(&'j self, worker: &mut Worker<'j>, cuts: &[Cut], item: &Item) -> Result<Vec<Part>, InferError> {
        let start = Instant::now();
        let cut = &cuts[item.graph];
        let parts = match (worker, self.setup.request.executor) {
            (Worker::Elsewhere(remote), Some(executor)) => {
                if (self.setup.request.cancelled)() {
                    return Err(InferError::Interrupted);
                }
                let shard = Shard { stage: self.at, graph: item.graph, batches: item.batches.clone() };
                let values = shards::run(executor, remote, &shard)
                    .map_err(|error| shards::failure(error, self.setup.model, &self.plan.graphs[item.graph].name))?;
                self.setup.ran_elsewhere();
                let batches = &cut.batches[item.batches.clone()];
                let parts = shards::parts(&values, cut, batches)
                    .ok_or_else(|| InferError::Bug("a shard's answer is not as long as its rows".to_owned()))?;
                let n_rows = batches.iter().map(|(_, range)| range.len() as u64).sum();
                self.setup.tell(self.plan, item.graph, n_rows);
                parts
            }
            (Worker::Here(session), _) => self.here(session, cut, item)?,
            (Worker::Elsewhere(_), None) => return Err(InferError::Bug("no executor".to_owned())),
        };
        let mut times = self.times.lock().unwrap_or_else(PoisonError::into_inner);
        times[item.graph].0 += start.elapsed();
        times[item.graph].1 += parts.iter().map(|part| part.range.len() as u64).sum::<u64>();
        Ok(parts)
    }

    /// Runs an item in this process.
    pub(crate) fn here<'j>(
        &'j self,
        session: &mut Option<(usize, Runner<'j>)>,
        cut: &Cut,
        item: &Item,
    ) -> Result<Vec<Part>, InferError> {
        if session.as_ref().is_none_or(|(graph, _)| *graph != item.graph) {
            // The old session goes first: two at once would double the memory of a worker.
            *session = None;
            *session = Some((item.graph, self.setup.load(&self.context, &self.fallback, item.graph)?));
        }
        let Some((_, runner)) = session else { return Err(InferError::Bug("no session".to_owned())) };
        let batches = &cut.batches[item.batches.clone()];
        let mut parts = Vec::with_capacity(batches.len());
        for (which, range) in batches {
            if (self.setup.request.cancelled)() {
                return Err(InferError::Interrupted);
            }
            let Rows { split, rows } = &cut.rows[*which];
            let feeds = &self.feeds[usize::from(*split == Split::Test)];
            let (Some(feeds), Some(owner)) = (feeds, self.owner(*split)) else {
                return Err(InferError::Bug("rows of a split that was not asked for".to_owned()));
            };
            let until = batches.iter().rfind(|(other, _)| other == which).map_or(range.end, |(_, last)| last.end);
            let batch = Batch { split: *split, rows, range: range.clone(), until };
            let (values, width) = runner.run(feeds, &batch, &owner.rows)?;
            parts.push(Part { split: *split, rows: Arc::clone(rows), range: range.clone(), values, width });
            self.setup.tell(self.plan, item.graph, range.len() as u64);
        }
        Ok(parts)
    }
}

fn feeds<'a>(
    setup: &'a Setup<'a>,
    plan: &'a StagePlan<'a>,
    split: &'a SplitRows<'a>,
    done: &'a Done,
) -> Result<Feeds<'a>, InferError> {
    let mut feeds = Feeds::new();
    for (input, spec) in &plan.stage.inputs {
        let feed = match spec {
            InputSpec::Table { table, columns, shape, .. } => {
                let bound = &split.tables[table.as_str()];
                let own = setup.request.manifest.tables.get(table).and_then(|spec| spec.columns.as_deref());
                let columns = bound.columns(columns.as_deref().or(own))?;
                Feed::Table { table: bound, columns, shape: shape.as_deref() }
            }
            InputSpec::Stage { stage, .. } => {
                let at = setup.plans.iter().position(|plan| plan.stage.name == *stage);
                let output = at.and_then(|at| done.get(at));
                let rows = output.and_then(|output| output[usize::from(split.split == Split::Test)].as_ref());
                Feed::Stage { rows: rows.ok_or_else(|| InferError::Bug(format!("stage `{stage}` did not run")))? }
            }
            InputSpec::Events { events, tensor } => Feed::Events { events: &split.events[events.as_str()], tensor },
        };
        feeds.insert(input.as_str(), feed);
    }
    Ok(feeds)
}

/// What an interrupted run had done of the stages of `setup`, in rows.
pub(crate) fn rows_of(setup: &Setup<'_>, state: &State) -> u64 {
    let whole: u64 = setup.plans[..state.done.len()].iter().map(|plan| setup.rows_of(plan)).sum();
    let of_graph = |plan: &StagePlan<'_>| {
        // Of a stage in the middle only the share is known.
        (setup.rows_of(plan) as f64 * state.graphs as f64 / plan.graphs.len().max(1) as f64) as u64
    };
    whole + setup.plans.get(state.done.len()).map_or(0, of_graph)
}

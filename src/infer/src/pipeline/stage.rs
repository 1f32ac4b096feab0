//! One stage: its graphs over the rows they may see, summed in the graphs' order.

use super::{setup::Setup, shards};
use crate::{
    batch::{Context, Runner, StageRows, Values},
    cut::{self, Cut, Item, Sizes, Wanted},
    engine::Place,
    error::InferError,
    feed::{self, Feed, Feeds, Inputs, Rows},
    partial::{Keeper, State},
    plan::StagePlan,
    pool::Pool,
    request::{GraphTime, Remote, Shard, Split, SplitRows},
    sums::{Missing, Owner, Part, Sums},
    work::{Emit, Pieces, ordered},
};
use blend_core::manifest::InputSpec;
use std::{
    ops::Range,
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
    /// Of each device one; workers go round.
    contexts: Vec<Context<'a>>,
    fallback: Context<'a>,
    workers: usize,
    pool: Pool,
    /// Of each graph.
    times: Mutex<Vec<Spent>>,
}

/// What a graph took.
#[derive(Debug, Clone, Copy, Default)]
struct Spent {
    rows: u64,
    all: Duration,
    loading: Duration,
    building: Duration,
    running: Duration,
}

/// A batch, ready to run.
pub(crate) struct Ready {
    /// Which rows of the cut.
    which: usize,
    range: Range<usize>,
    inputs: Inputs,
}

/// Who runs items.
pub(crate) struct Worker<'j> {
    /// Counted from 0.
    number: usize,
    hands: Hands<'j>,
}

/// What a worker holds on to.
enum Hands<'j> {
    /// A graph's session.
    Here(Held<'j>),
    /// A process.
    Elsewhere(Option<Box<dyn Remote>>),
}

/// A graph's session, by the graph's number.
pub(crate) type Held<'j> = Option<(usize, Runner<'j>)>;

impl<'a> Job<'a> {
    /// Lines up the inputs of stage number `at` with the output of those before it.
    pub(crate) fn new(setup: &'a Setup<'a>, at: usize, done: &'a Done) -> Result<Self, InferError> {
        let plan = &setup.plans[at];
        plan.graphs.iter().try_for_each(|graph| feed::check_names(setup.model, plan, graph))?;
        let feeds = |split: Option<&'a SplitRows<'a>>| split.map(|split| feeds(setup, plan, split, done)).transpose();
        let large = plan.graphs.iter().chain(&plan.transforms).any(|graph| graph.bytes > LARGE_GRAPH);
        let threads = setup.request.threads.max(1);
        let places = &setup.placed.places;
        let on_cpu = places[0] == Place::Cpu;
        let (workers, intra) = match setup.request.executor {
            Some(executor) => (executor.workers().max(1), 1),
            None if on_cpu && !large => (threads, 1),
            // Of devices, each has a worker.
            None => (places.len(), threads),
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
            contexts: places.iter().map(|&place| context(place)).collect(),
            fallback: context(Place::Cpu),
            workers,
            pool: Pool::default(),
            times: Mutex::new(vec![Spent::default(); plan.graphs.len()]),
        })
    }

    /// The rows of every graph in batches.
    pub(crate) fn cuts(&self) -> Vec<Cut> {
        let sizes = Sizes {
            batch: self.setup.request.batch_size.unwrap_or(self.setup.request.manifest.batch_size).max(1),
            place: self.setup.placed.places[0],
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

    pub(super) fn set_workers(&mut self, workers: usize) {
        self.workers = workers;
    }

    /// How long a run has to take for a measurement of the number of threads; nothing where that is not free: other
    /// processes, devices, sessions of several threads.
    pub(super) fn worth_measuring(&self) -> Option<Duration> {
        let request = self.setup.request;
        let free = request.executor.is_none() && self.setup.placed.is_cpu() && self.contexts[0].threads == 1;
        request.measure_threads.filter(|_| free)
    }

    pub(super) fn pool(&self) -> &Pool {
        &self.pool
    }

    /// A session of a graph, on the first device.
    pub(super) fn load<'j>(&'j self, graph: usize) -> Result<Runner<'j>, InferError> {
        self.setup.load(&self.contexts[0], &self.fallback, graph)
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

    /// Runs the graphs that are not in the state yet, and adds them to the sums of training and test rows.
    pub(crate) fn run<'j>(
        &'j self,
        cuts: &[Cut],
        keeper: &mut Keeper<'_>,
        done: &Done,
        graphs: usize,
        sums: [Sums; 2],
    ) -> Result<([Sums; 2], Vec<GraphTime>), InferError> {
        let items: Vec<Item> =
            cut::items(cuts, self.workers, self.width()).into_iter().filter(|item| item.graph >= graphs).collect();
        let [mut train, mut test] = sums;
        // What the last graph of all has added to becomes means at once, while it runs the rest.
        let is_last_stage = self.at + 1 == self.setup.plans.len();
        let last_cut = cuts.last().filter(|_| is_last_stage);
        let missing = |split: Split| {
            let rows = last_cut.iter().flat_map(|cut| &cut.rows).filter(|rows| rows.split == split);
            let rows = rows.flat_map(|rows| rows.rows.iter());
            self.owner_of_sums(split).map(|owner| (Missing::new(owner.split.rows.len(), rows), owner))
        };
        let [mut train_missing, mut test_missing] = [Split::Oof, Split::Test].map(missing);
        let commit = |at: usize, parts: Vec<Part>| {
            let item = &items[at];
            for part in parts {
                let (sums, missing) = match part.split {
                    Split::Oof => (&mut train, &mut train_missing),
                    Split::Test => (&mut test, &mut test_missing),
                };
                let n_rows = self.owner(part.split).map_or(0, |owner| owner.rows.len());
                let scratch = self.setup.request.scratch;
                let expected =
                    sums.reserve(n_rows, part.width, scratch).map_err(|source| InferError::scratch(scratch, source))?;
                if expected != part.width {
                    return Err(InferError::OutputShape {
                        model: self.setup.model.to_owned(),
                        graph: self.plan.graphs[item.graph].name.clone(),
                        output: self.plan.stage.output.clone().unwrap_or_default(),
                        expected: format!("{expected} outputs, as the graphs before it").into(),
                        given: vec![part.range.len(), part.width],
                    });
                }
                sums.add(&part);
                if let Some((missing, owner)) =
                    missing.as_mut().filter(|_| is_last_stage && item.graph + 1 == cuts.len())
                {
                    sums.turn(*owner, missing.added(&part.rows[part.range.clone()]))?;
                }
                if let Values::F32(values) = part.values {
                    self.pool.give_back(values);
                }
            }
            let is_last = items.get(at + 1).is_none_or(|next| next.graph != item.graph);
            if is_last && item.graph + 1 < self.plan.graphs.len() {
                keeper.keep(done, item.graph + 1, [&train, &test], false)?;
            }
            Ok(())
        };
        let prepare = |item: usize, emit: &mut Emit<'_, Ready>| self.prepare(cuts, &items[item], emit);
        let work = |worker: &mut Worker<'j>, item: usize, ready: &mut Pieces<'_, Ready, InferError>| {
            self.item(worker, cuts, &items[item], ready)
        };
        ordered(items.len(), self.workers, prepare, |number| self.worker(number), work, commit)?;
        let times = std::mem::take(&mut *self.times.lock().unwrap_or_else(PoisonError::into_inner));
        let times = self.plan.graphs.iter().zip(times).map(|(graph, spent)| GraphTime {
            stage: self.plan.stage.name.clone(),
            graph: graph.name.clone(),
            rows: spent.rows,
            seconds: spent.all.as_secs_f64(),
            load_seconds: spent.loading.as_secs_f64(),
            build_seconds: spent.building.as_secs_f64(),
            run_seconds: spent.running.as_secs_f64(),
        });
        Ok(([train, test], times.collect()))
    }

    /// Who the sums of a split belong to, where it was asked for.
    pub(crate) fn owner_of_sums(&self, split: Split) -> Option<Owner<'_>> {
        let seeds: std::collections::BTreeSet<_> = self.plan.graphs.iter().map(|graph| graph.seed).collect();
        let most = if split == Split::Oof { seeds.len() } else { self.plan.graphs.len() };
        let stage = &self.plan.stage;
        Some(Owner {
            model: self.setup.model,
            stage: &stage.name,
            pattern: &stage.graphs,
            split: self.owner(split)?,
            most: most as u32,
            scratch: self.setup.request.scratch,
        })
    }

    /// A worker without a session, or without a process, yet.
    fn worker<'j>(&'j self, number: usize) -> Worker<'j> {
        let elsewhere = self.setup.request.executor.is_some();
        Worker { number, hands: if elsewhere { Hands::Elsewhere(None) } else { Hands::Here(None) } }
    }

    fn spend(&self, graph: usize, add: impl FnOnce(&mut Spent)) {
        add(&mut self.times.lock().unwrap_or_else(PoisonError::into_inner)[graph]);
    }

    /// Builds the batches of an item one after the other.
    fn prepare(&self, cuts: &[Cut], item: &Item, emit: &mut Emit<'_, Ready>) -> Result<(), InferError> {
        if self.setup.request.executor.is_some() {
            return Ok(());
        }
        let cut = &cuts[item.graph];
        for (which, range) in &cut.batches[item.batches.clone()] {
            if !emit(self.ready(cut, item.graph, *which, range)?) {
                break;
            }
        }
        Ok(())
    }

    fn ready(&self, cut: &Cut, graph: usize, which: usize, range: &Range<usize>) -> Result<Ready, InferError> {
        Ok(Ready { which, range: range.clone(), inputs: self.inputs(cut, graph, which, range)? })
    }

    pub(super) fn inputs(
        &self,
        cut: &Cut,
        graph: usize,
        which: usize,
        range: &Range<usize>,
    ) -> Result<Inputs, InferError> {
        let Rows { split, rows } = &cut.rows[which];
        let (feeds, owner) = self.of(*split)?;
        feed::build(&self.fallback, &self.pool, graph, feeds, &rows[range.clone()], &owner.rows)
    }

    pub(super) fn of(&self, split: Split) -> Result<(&Feeds<'a>, &'a SplitRows<'a>), InferError> {
        let feeds = self.feeds[usize::from(split == Split::Test)].as_ref();
        feeds.zip(self.owner(split)).ok_or_else(|| InferError::Bug("rows of a split that was not asked for".to_owned()))
    }

    fn item<'j>(
        &'j self,
        worker: &mut Worker<'j>,
        cuts: &[Cut],
        item: &Item,
        ready: &mut Pieces<'_, Ready, InferError>,
    ) -> Result<Vec<Part>, InferError> {
        let start = Instant::now();
        let cut = &cuts[item.graph];
        let Worker { number, hands } = worker;
        let parts = match (hands, self.setup.request.executor) {
            (Hands::Elsewhere(remote), Some(executor)) => {
                if (self.setup.request.cancelled)() {
                    return Err(InferError::Interrupted);
                }
                let shard = Shard { stage: self.at, graph: item.graph, batches: item.batches.clone() };
                let values = shards::run(executor, *number, remote, &shard)
                    .map_err(|error| shards::failure(error, self.setup.model, &self.plan.graphs[item.graph].name))?;
                self.setup.ran_elsewhere();
                let batches = &cut.batches[item.batches.clone()];
                let parts = shards::parts(&values, cut, batches)
                    .ok_or_else(|| InferError::Bug("a shard's answer is not as long as its rows".to_owned()))?;
                let n_rows = batches.iter().map(|(_, range)| range.len() as u64).sum();
                self.setup.tell(self.plan, item.graph, n_rows);
                parts
            }
            (Hands::Here(held), _) => self.run_ready(held, *number, cut, item.graph, ready)?,
            (Hands::Elsewhere(_), None) => return Err(InferError::Bug("no executor".to_owned())),
        };
        let n_rows = parts.iter().map(|part| part.range.len() as u64).sum::<u64>();
        self.spend(item.graph, |spent| {
            spent.all += start.elapsed();
            spent.rows += n_rows;
        });
        Ok(parts)
    }

    /// Runs an item in this thread, from building to running.
    pub(crate) fn here<'j>(&'j self, held: &mut Held<'j>, cut: &Cut, item: &Item) -> Result<Vec<Part>, InferError> {
        let batches = &cut.batches[item.batches.clone()];
        let mut ready = batches.iter().map(|(which, range)| self.ready(cut, item.graph, *which, range));
        self.run_ready(held, 0, cut, item.graph, &mut ready)
    }

    fn run_ready<'j>(
        &'j self,
        held: &mut Held<'j>,
        worker: usize,
        cut: &Cut,
        graph: usize,
        ready: &mut dyn Iterator<Item = Result<Ready, InferError>>,
    ) -> Result<Vec<Part>, InferError> {
        if held.as_ref().is_none_or(|(other, _)| *other != graph) {
            // The old session goes first: two at once would double the memory of a worker.
            *held = None;
            let context = &self.contexts[worker % self.contexts.len()];
            let runner = self.setup.load(context, &self.fallback, graph)?;
            self.spend(graph, |spent| spent.loading += runner.loaded_in);
            *held = Some((graph, runner));
        }
        let Some((_, runner)) = held else { return Err(InferError::Bug("no session".to_owned())) };
        let mut parts = Vec::new();
        for ready in ready {
            let Ready { which, range, inputs } = ready?;
            if (self.setup.request.cancelled)() {
                return Err(InferError::Interrupted);
            }
            let Rows { split, rows } = &cut.rows[which];
            let (_, owner) = self.of(*split)?;
            let built_in = inputs.built_in;
            let ran = runner.run(inputs, &rows[range.clone()], &owner.rows, &self.pool)?;
            self.spend(graph, |spent| {
                spent.building += built_in;
                spent.running += ran.ran_in;
            });
            self.setup.tell(self.plan, graph, range.len() as u64);
            parts.push(Part { split: *split, rows: Arc::clone(rows), range, values: ran.values, width: ran.width });
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

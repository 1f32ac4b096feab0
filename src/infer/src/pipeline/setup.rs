//! What all stages of a run share: the rows, which graph may see which, and how far the run is.

use crate::{
    batch::{Context, Runner},
    engine::Place,
    error::{EngineError, InferError},
    plan::{Graph, StagePlan, folds_of},
    request::{Progress, Request, Split, SplitRows},
    runtime::{Placed, RanOn, Runtime},
};
use blend_core::{Fingerprint, fingerprint::Fingerprinter};
use std::{
    collections::BTreeMap,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

pub(crate) struct Setup<'a> {
    pub(super) runtime: &'a Runtime,
    pub(super) request: &'a Request<'a>,
    pub(super) model: &'a str,
    pub(super) placed: Placed,
    pub(super) plans: &'a [StagePlan<'a>],
    pub(super) train: Option<&'a SplitRows<'a>>,
    pub(super) test: Option<&'a SplitRows<'a>>,
    /// Fold labels in the order of the training rows, by the map's fingerprint.
    labels: BTreeMap<Fingerprint, Vec<i64>>,
    rows_done: AtomicU64,
    rows_total: u64,
    notes: Mutex<Vec<String>>,
    on_device: AtomicBool,
    on_cpu: AtomicBool,
}

impl<'a> Setup<'a> {
    /// Lines the fold maps up with the training rows, checks them and counts the work.
    pub(crate) fn new(
        runtime: &'a Runtime,
        request: &'a Request<'a>,
        model: &'a str,
        placed: Placed,
        plans: &'a [StagePlan<'a>],
        [train, test]: [Option<&'a SplitRows<'a>>; 2],
    ) -> Result<Self, InferError> {
        let mut setup = Self {
            runtime,
            request,
            model,
            placed,
            plans,
            train,
            test,
            labels: BTreeMap::new(),
            rows_done: AtomicU64::new(0),
            rows_total: 0,
            notes: Mutex::new(Vec::new()),
            on_device: AtomicBool::new(false),
            on_cpu: AtomicBool::new(false),
        };
        if let Some(train) = train {
            for plan in plans {
                setup.read_labels(plan, train)?;
                setup.check_held_out(plan, train)?;
                setup.note_twins(plan);
            }
        }
        setup.rows_total = plans.iter().map(|plan| setup.rows_of(plan)).sum();
        Ok(setup)
    }

    fn read_labels(&mut self, plan: &StagePlan<'_>, train: &SplitRows<'_>) -> Result<(), InferError> {
        for graph in plan.graphs.iter().filter(|graph| graph.fold.is_some()) {
            let Some(folds) = folds_of(self.request, &plan.stage.name, graph.seed) else { continue };
            if self.labels.contains_key(&folds.fingerprint()) {
                continue;
            }
            let order = train.rows.align(folds.rows()).map_err(|source| InferError::Alignment {
                model: self.model.to_owned(),
                what: "the fold map".to_owned(),
                split: Split::Oof,
                source: Box::new(source),
            })?;
            let all = folds.labels();
            let aligned = match order {
                None => all.to_vec(),
                Some(order) => order.into_iter().map(|row| all[row as usize]).collect(),
            };
            self.labels.insert(folds.fingerprint(), aligned);
        }
        Ok(())
    }

    /// The labels of the training rows that `graph` goes by; `None` where it has no fold.
    pub(super) fn labels_of(&self, plan: &StagePlan<'_>, graph: &Graph) -> Option<&[i64]> {
        graph.fold?;
        let folds = folds_of(self.request, &plan.stage.name, graph.seed)?;
        self.labels.get(&folds.fingerprint()).map(Vec::as_slice)
    }

    /// Every scored row is held out by some graph of the stage.
    fn check_held_out(&self, plan: &StagePlan<'_>, train: &SplitRows<'_>) -> Result<(), InferError> {
        let Some(scored) = self.request.scored else { return Ok(()) };
        if scored.len() != train.rows.len() {
            return Err(InferError::Bug(format!("{} flags for {} rows", scored.len(), train.rows.len())));
        }
        let mut maps: Vec<&[i64]> = plan.graphs.iter().filter_map(|graph| self.labels_of(plan, graph)).collect();
        maps.dedup_by_key(|labels| labels.as_ptr());
        if maps.is_empty() {
            return Ok(());
        }
        let row = (0..scored.len()).find(|&row| scored[row] && maps.iter().all(|labels| labels[row] < 0));
        row.map_or(Ok(()), |row| {
            Err(InferError::NotHeldOut {
                model: self.model.to_owned(),
                stage: plan.stage.name.clone(),
                id: train.rows.id(row).into_owned(),
            })
        })
    }

    /// One file under the names of two folds has seen the rows of at least one of them.
    fn note_twins(&self, plan: &StagePlan<'_>) {
        let mut first: BTreeMap<Fingerprint, &Graph> = BTreeMap::new();
        for graph in plan.graphs.iter().filter(|graph| graph.fold.is_some()) {
            match first.get(&graph.fingerprint) {
                Some(other) if other.fold != graph.fold => {
                    self.note(format!(
                        "`{}` and `{}` are the same graph: it has seen the training rows of one of the two folds",
                        other.name, graph.name
                    ));
                    return;
                }
                _ => drop(first.insert(graph.fingerprint, graph)),
            }
        }
    }

    /// Rows over all graphs of a stage, about: those that an earlier stage did not predict are counted.
    pub(super) fn rows_of(&self, plan: &StagePlan<'_>) -> u64 {
        let of = |graph: &Graph| {
            let held_out = |label: &&i64| Some(**label) == graph.fold;
            let train = match (self.train, self.labels_of(plan, graph)) {
                (Some(_), Some(labels)) => labels.iter().filter(held_out).count(),
                (Some(train), None) => train.rows.len(),
                (None, _) => 0,
            };
            (train + self.test.map_or(0, |test| test.rows.len())) as u64
        };
        plan.graphs.iter().map(of).sum()
    }

    /// The identity of a run: what its sums depend on.
    pub(super) fn key(&self) -> Fingerprint {
        let mut hash = Fingerprinter::new("run");
        let inputs = self.request.partial.as_ref().map(|partial| partial.inputs);
        hash.bytes(inputs.as_ref().map_or(&[], |print| &print.as_bytes()[..]))
            .bytes(self.runtime.engine_name().as_bytes());
        hash.bytes(self.runtime.version().as_bytes()).bytes(&[u8::from(self.placed.is_cpu())]);
        hash.length(self.request.batch_size.unwrap_or(self.request.manifest.batch_size));
        for split in [self.train, self.test] {
            hash.bytes(split.map(|split| split.rows.fingerprint()).as_ref().map_or(&[], |print| &print.as_bytes()[..]));
        }
        for plan in self.plans {
            hash.bytes(plan.stage.name.as_bytes()).length(plan.graphs.len());
            for graph in &plan.graphs {
                let folds = folds_of(self.request, &plan.stage.name, graph.seed).map(blend_core::Folds::fingerprint);
                hash.bytes(graph.name.as_bytes()).bytes(folds.as_ref().map_or(&[], |print| &print.as_bytes()[..]));
            }
            for graph in plan.graphs.iter().chain(&plan.transforms) {
                hash.bytes(graph.fingerprint.as_bytes());
                for (_, print) in &graph.external {
                    hash.bytes(print.as_bytes());
                }
            }
        }
        hash.finish()
    }

    /// Where the graphs really ran.
    pub(crate) fn device(&self) -> RanOn {
        let gpus = self.placed.gpus();
        match (self.on_device.load(Ordering::Relaxed), self.on_cpu.load(Ordering::Relaxed)) {
            (true, false) if !self.placed.is_cpu() => RanOn::Cuda(gpus),
            (true, true) if !self.placed.is_cpu() => RanOn::Mixed(gpus),
            _ => RanOn::Cpu,
        }
    }

    /// What the runs had to say.
    pub(crate) fn notes(&self) -> Vec<String> {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn note(&self, note: String) {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner).push(note);
    }

    /// Another process ran a graph where this run was placed.
    pub(super) fn ran_elsewhere(&self) {
        self.on_device.store(true, Ordering::Relaxed);
    }

    /// Rows that an earlier run did.
    pub(super) fn skip(&self, rows: u64) {
        self.rows_done.fetch_add(rows, Ordering::Relaxed);
    }

    pub(super) fn tell(&self, plan: &StagePlan<'_>, graph: usize, rows: u64) {
        let rows_done = self.rows_done.fetch_add(rows, Ordering::Relaxed) + rows;
        (self.request.progress)(Progress {
            stage: &plan.stage.name,
            graph: &plan.graphs[graph].name,
            rows_done: rows_done.min(self.rows_total),
            rows_total: self.rows_total,
        });
    }

    /// A session where the run was placed; on the CPU where the device may be done without.
    pub(super) fn load<'b>(
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
                self.note(format!("`{name}` ran on the CPU, {device} refused it: {message}"));
                Runner::load(fallback, graph)
            }
            loaded => {
                self.on_device.fetch_or(loaded.is_ok(), Ordering::Relaxed);
                loaded
            }
        }
    }
}

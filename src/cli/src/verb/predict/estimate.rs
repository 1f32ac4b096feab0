//! `--dry-run`: graphs, rows, batches, bytes, and the time that a few measured batches promise.

use super::Shared;
use crate::{
    failure::Failure,
    report::{self, table::TextTable},
};
use blend_core::manifest::Manifest;
use blend_infer::{Estimate, Executor, Request};
use serde_json::{Value, json};

/// Says what the models would cost; `true` where that is more time than there is.
pub(super) fn run(shared: &mut Shared<'_>, models: Vec<Manifest>) -> Result<bool, Failure> {
    let columns = ["model", "stage", ">graphs", ">rows", ">batches", ">outputs", ">load s", ">rows/s", ">seconds"];
    let mut table = TextTable::new(&columns);
    let (mut values, mut seconds) = (Vec::new(), 0.0);
    let dash = || "-".to_owned();
    for manifest in models {
        let name = manifest.model.to_string();
        let prepared = shared.prepare(manifest)?;
        if !shared.it.force && shared.already(&prepared.manifest, &prepared.record, prepared.splits).is_some() {
            let mut cells = vec![name.clone(), "already there".to_owned()];
            cells.resize_with(columns.len(), dash);
            table.row(cells);
            values.push(json!({"model": name, "skipped": true}));
            continue;
        }
        let estimate = measured(shared, &prepared)?;
        for it in &estimate.stages {
            let alone = it.graphs as f64 * it.load_seconds + it.rows as f64 * it.row_seconds;
            let here = alone / it.workers.clamp(1, it.graphs.max(1)) as f64;
            table.row(vec![
                name.clone(),
                it.stage.clone(),
                it.graphs.to_string(),
                it.rows.to_string(),
                it.batches.to_string(),
                it.width.to_string(),
                format!("{:.3}", it.load_seconds),
                format!("{:.0}", it.rows as f64 / here.max(1e-9)),
                format!("{here:.1}"),
            ]);
        }
        for note in &estimate.notes {
            shared.say(note);
        }
        seconds += estimate.seconds;
        values.push(value(&name, &estimate));
    }
    let screen = shared.screen;
    screen.table(table);
    let budget = shared.it.time_budget;
    let late = budget.is_some_and(|budget| seconds > budget.as_secs_f64());
    let bytes: u64 = values.iter().filter_map(|value| value["bytes"].as_u64()).max().unwrap_or(0);
    screen.line(format!("{seconds:.1} s estimated, {:.1} MiB besides the tables", bytes as f64 / f64::from(1 << 20)));
    if let Some(budget) = budget {
        let words = if late { "more than" } else { "within" };
        screen.line(format!("{words} the time budget of {:.0} s", budget.as_secs_f64()));
    }
    screen.object(json!({
        "competition": shared.context.competition.id.as_str(),
        "dry_run": true,
        "models": values,
        "seconds": seconds,
        "time_budget_seconds": budget.map(|budget| budget.as_secs_f64()),
        "within_time_budget": budget.map(|_| !late),
        "notes": shared.notes,
        "peak_rss_bytes": report::peak_rss_bytes(),
    }));
    Ok(late)
}

fn measured(shared: &mut Shared<'_>, prepared: &super::Prepared) -> Result<Estimate, Failure> {
    let inputs = shared.inputs(prepared)?;
    let runtime = shared.runtime()?;
    let competition = shared.context.competition.id.as_str();
    let model = &prepared.manifest.model;
    let local = shared
        .it
        .executor
        .map(|n| super::local::Local::new(n, shared.arguments, shared.it, &shared.gpus, competition, model));
    let estimate = {
        let executor = local.as_ref().map(|local| local as &dyn Executor);
        let request = Request { partial: None, executor, ..shared.request(prepared, &inputs) };
        blend_infer::estimate(&runtime, &request)
    };
    shared.runtime = Some(runtime);
    estimate.map_err(|error| Failure::from(error).at(shared.context.show(&prepared.manifest.folder)))
}

fn value(model: &str, estimate: &Estimate) -> Value {
    json!({
        "model": model,
        "skipped": false,
        "stages": estimate.stages.iter().map(|it| json!({
            "stage": it.stage,
            "graphs": it.graphs,
            "largest_graph_bytes": it.largest,
            "rows": it.rows,
            "batches": it.batches,
            "outputs": it.width,
            "workers": it.workers,
            "load_seconds": it.load_seconds,
            "row_seconds": it.row_seconds,
        })).collect::<Vec<_>>(),
        "bytes": estimate.bytes,
        "seconds": estimate.seconds,
    })
}

//! `blend search`: weights, what proves them, honest scores, and the recipe.

use crate::{
    args::{Arguments, Search, Target},
    context::{Context, Judged},
    failure::{self, Failure},
    labels, leaderboard, outputs,
    report::{
        self, Screen, number, score, small,
        table::{TextTable, bar},
    },
    signals::INTERRUPTED,
};
use blend_core::{
    Blend, BlendName, Domain, Member, ModelId, Oof, PredictionMatrix, Test,
    post::{PostStep, Scale},
    space::{self, SpaceName},
    weights::DOMAINS,
};
use blend_record::{Recipe, SearchBlock, recipe::SingleBest};
use blend_search::{
    Control, Interval, Options, Outcome, Problem, SolverName,
    drive::{Stop, Tick},
    solver,
};
use blend_store::feather;
use serde_json::{Value, json};
use std::{
    io::Write,
    sync::Arc,
    time::{Duration, Instant},
};

/// What was asked for, checked.
pub(crate) struct Asked {
    pub(crate) name: BlendName,
    pub(crate) space: SpaceName,
    pub(crate) domain: Domain,
    pub(crate) options: Options,
}

pub(crate) fn run(arguments: &Arguments, it: &Search, screen: &Screen) -> Result<bool, Failure> {
    if it.target != Target::Cv {
        return leaderboard::search::run(arguments, it, screen);
    }
    let started = Instant::now();
    let context = Context::open(arguments)?;
    let asked = asked(&context, arguments, it)?;
    refuse_foreign(&context, &asked.name, it.force)?;
    let judged = context.judged()?;
    refuse_second_cuts(&context, &judged)?;
    let sample = context.sample()?;
    let names = labels::output_names(&context, Some(&judged.truth), sample.as_ref().map(blend_record::Sample::columns));
    let columns: Arc<[String]> = names.unwrap_or_default().into();
    let models = outputs::chosen(&context, &it.members, |model| outputs::file::<Oof>(&context, model).exists())?;
    let matrix = outputs::oof_matrix(&context, &judged, &models, &columns)?;
    let load_seconds = started.elapsed().as_secs_f64();

    let problem = Problem {
        members: &matrix,
        truth: &judged.truth,
        scope: &judged.scope,
        metric: &*context.metric,
        space: asked.space,
        domain: asked.domain,
        folds: judged.folds.as_ref(),
        groups: judged.groups.as_deref(),
    };
    let live = |tick: &Tick| live_line(screen, tick);
    let control = Control { interrupted: &INTERRUPTED, tick: &live };
    let outcome = blend_search::search(&problem, &asked.options, &control).map_err(|error| {
        let of_truth = matches!(error, blend_search::SearchError::Bind(_));
        let place = context.competition.truth.as_ref().filter(|_| of_truth).unwrap_or(&context.competition.file);
        Failure::from(error).at(context.show(place))
    })?;
    if screen.is_live() {
        let _ = write!(std::io::stderr(), "\r\x1b[K");
    }
    context.refuse_fault()?;
    if let Some(error) = matrix.members().iter().find_map(|member| member.values().latched()) {
        return Err(Failure::new(failure::MACHINE, format!("stored outputs could not be read: {error}"))
            .at(context.show(&context.workspace.competition_folder(&context.competition.id)))
            .hint("check the disk that they lie on"));
    }
    let recipe = recipe(&context, &judged, &asked, &matrix, &outcome)?;
    recipe.write(&context.workspace)?;
    let seconds = Seconds { load: load_seconds, total: started.elapsed().as_secs_f64() };
    report(&context, screen, &asked, &judged, &matrix, &outcome, seconds);
    Ok(false)
}

struct Seconds {
    load: f64,
    total: f64,
}

pub(crate) fn asked(context: &Context, arguments: &Arguments, it: &Search) -> Result<Asked, Failure> {
    let space = match &it.space {
        None => context.space(),
        Some(name) => name.parse().map_err(|()| {
            failure::unknown("space", name, space::CATALOGUE.iter().map(|(_, space)| space.info().name))
                .at(format!("--space {name}"))
        })?,
    };
    let domain: Domain = it
        .domain
        .parse()
        .map_err(|()| failure::unknown("domain", &it.domain, DOMAINS.iter().map(|(name, _)| *name)))
        .map_err(|failure| failure.at(format!("--domain {}", it.domain)))?;
    let solver = it
        .solver
        .as_ref()
        .map(|name| {
            name.parse::<SolverName>().map_err(|()| {
                failure::unknown("solver", name, solver::CATALOGUE.iter().map(|(_, solver)| solver.info().name))
                    .at(format!("--solver {name}"))
            })
        })
        .transpose()?;
    let time_limit = match it.time_limit {
        None => None,
        Some(seconds) => Some(Duration::try_from_secs_f64(seconds).map_err(|_| {
            Failure::usage(format!("{seconds} is no length of time"))
                .at(format!("--time-limit {seconds}"))
                .hint("seconds, as `--time-limit 2.5`")
        })?),
    };
    let name = match &it.name {
        Some(name) => BlendName::new(name).map_err(|error| Failure::from(error).at(format!("--name {name}")))?,
        None => BlendName::new(match it.target {
            Target::Cv => "best_cv",
            Target::Lb => "best_lb",
            Target::Pooled => "best_pooled",
        })?,
    };
    let options = Options {
        solver,
        seed: arguments.seed,
        max_picks: it.max_picks.get(),
        time_limit,
        honest: !it.no_nested,
        ..Options::default()
    };
    Ok(Asked { name, space, domain, options })
}

/// A recipe that no search wrote is replaced only on request.
pub(crate) fn refuse_foreign(context: &Context, name: &BlendName, force: bool) -> Result<(), Failure> {
    let id = &context.competition.id;
    let path = context.workspace.recipe_file(id, name);
    if force || !path.exists() || Recipe::read(&context.workspace, id, name).is_ok_and(|recipe| recipe.is_ours()) {
        return Ok(());
    }
    Err(Failure::usage(format!("recipe `{name}` was not written by a search"))
        .at(context.show(&path))
        .hint("write another one with `--name NAME`, or replace it with `--force`"))
}

/// Thresholds that a competition sets for every blend leave none to be fitted.
fn refuse_second_cuts(context: &Context, judged: &Judged) -> Result<(), Failure> {
    let set = context.competition.post.iter().any(|step| matches!(step, PostStep::Thresholds(_)));
    let fits = || context.metric.bind(judged.truth.on(&judged.scope.rows)).is_ok_and(|bound| bound.cuts().is_some());
    if !set || !fits() {
        return Ok(());
    }
    Err(Failure::usage(format!("a search for {} fits thresholds, and others are set", context.metric.info().name))
        .at(context.show(&context.competition.file))
        .hint("leave `thresholds` out of `post:`; the recipe will have them"))
}

pub(crate) fn live_line(screen: &Screen, tick: &Tick) {
    if !screen.is_live() {
        return;
    }
    let gap = tick.gap.map_or_else(String::new, |gap| format!("  gap {}", small(gap)));
    let line = format!("{} step {}  loss {:.9}{gap}", tick.solver, tick.iteration, tick.loss);
    // A live line that cannot be written is not missed.
    let _ = write!(std::io::stderr(), "\r\x1b[K{line}");
}

fn recipe(
    context: &Context,
    judged: &Judged,
    asked: &Asked,
    matrix: &PredictionMatrix<Oof>,
    outcome: &Outcome,
) -> Result<Recipe, Failure> {
    let id = &context.competition.id;
    let mut members = Vec::new();
    for (member, &weight) in matrix.members().iter().zip(outcome.weights.values()).filter(|(_, w)| **w != 0.0) {
        let path = outputs::file::<Test>(context, member.model());
        let test = if path.exists() {
            Some(feather::open(&path).map_err(|error| Failure::from(error).at(context.show(&path)))?.fingerprint)
        } else {
            None
        };
        members.push(Member { model: member.model().clone(), weight, oof: Some(member.fingerprint()), test });
    }
    let blend = Blend::new(asked.name.clone(), id.clone(), asked.space, asked.domain, members, outcome.post.clone())?;
    let (model, single) = &outcome.single_best;
    Ok(Recipe {
        blend,
        search: Some(SearchBlock {
            target: "cv".to_owned(),
            solver: outcome.solver.name().to_owned(),
            granularity: Some("global".to_owned()),
            seed: asked.options.seed,
            metric: Some(context.metric.label()),
            scope: Some(judged.scope.name.clone()),
            rows: Some(judged.scope.rows.len() as u64),
            score: Some(outcome.score),
            nested_score: outcome.nested.as_ref().map(|nested| nested.score),
            equal_weights: Some(outcome.equal_weights),
            single_best: Some(SingleBest { model: model.clone(), score: *single }),
            gain_interval: outcome.gain_over_single.map(|gain| (gain.low, gain.high)),
            predicted_public: None,
            gap: outcome.gap,
            stop: outcome.stop.name().to_owned(),
            truth: Some(judged.fingerprint),
            folds: judged.folds.as_ref().map(blend_core::Folds::fingerprint),
        }),
    })
}

fn report(
    context: &Context,
    screen: &Screen,
    asked: &Asked,
    judged: &Judged,
    matrix: &PredictionMatrix<Oof>,
    outcome: &Outcome,
    seconds: Seconds,
) {
    let path = context.show(&context.workspace.recipe_file(&context.competition.id, &asked.name));
    if screen.json {
        screen.object(value(context, asked, judged, matrix, outcome, &seconds, &path));
        return;
    }
    let (single, single_score) = &outcome.single_best;
    screen.line(screen.bold(&format!("{}: {}", context.competition.id, asked.name)));
    screen.line(format!(
        "  {} on {} ({} rows), space {}, domain {}, solver {}",
        context.metric.label(),
        judged.scope.name,
        judged.scope.rows.len(),
        asked.space.name(),
        asked.domain.name(),
        outcome.solver.name(),
    ));
    screen.line("");
    let mut table = TextTable::new(&["member", ">alone", ">weight", ""]);
    let models: Vec<&ModelId> = matrix.members().iter().map(blend_core::Predictions::model).collect();
    let mut order: Vec<usize> = (0..models.len()).collect();
    let weights = outcome.weights.values();
    order.sort_by(|&a, &b| weights[b].total_cmp(&weights[a]));
    let shown = order.iter().take_while(|&&i| weights[i] != 0.0).count().max(order.len().min(20));
    for &i in &order[..shown] {
        table.row(vec![
            models[i].to_string(),
            score(outcome.members[i]),
            format!("{:.6}", weights[i]),
            bar(weights[i], 24),
        ]);
    }
    print(screen, &table);
    if shown < order.len() {
        screen.line(screen.dim(&format!("  and {} more without weight", order.len() - shown)));
    }
    screen.line("");
    let mut table = TextTable::new(&["", ">score"]);
    table.row(vec![format!("single best ({single})"), score(*single_score)]);
    table.row(vec!["equal weights".to_owned(), score(outcome.equal_weights)]);
    table.row(vec!["blend, on the rows it was chosen on".to_owned(), score(outcome.score)]);
    if let Some(nested) = &outcome.nested {
        let by = if nested.by == "folds" { "nested by folds" } else { "nested by hash5" };
        table.row(vec![format!("blend, {by}: the honest one"), score(nested.score)]);
    }
    print(screen, &table);
    for line in step_lines(&outcome.post) {
        screen.line(format!("  {line}"));
    }
    screen.line("");
    for (gain, over) in [(outcome.gain_over_equal, "equal weights"), (outcome.gain_over_single, "the single best")] {
        if let Some(gain) = gain {
            screen.line(format!("  {}", gain_sentence(gain, over)));
        }
    }
    screen.line(format!("  {}", stop_sentence(outcome)));
    screen.line(screen.dim(&format!(
        "  {:.0} passes over the data, {} evaluations; {:.2} s ({:.2} load, {:.2} search, {:.2} honest scores); {} memory",
        outcome.effort.passes.ceil(),
        outcome.effort.evaluations,
        seconds.total,
        seconds.load,
        outcome.search_seconds,
        outcome.honest_seconds,
        report::peak_rss_bytes().map_or("unknown".to_owned(), report::bytes),
    )));
    screen.line(format!("wrote {path}"));
}

/// What was fitted beside the weights.
fn step_lines(post: &[PostStep]) -> Vec<String> {
    let list = |values: &[f64]| values.iter().map(|value| score(*value)).collect::<Vec<_>>().join(" ");
    let mut lines = Vec::new();
    for step in post {
        let PostStep::Thresholds(scales) = step else { continue };
        for scale in scales {
            let labels = scale.labels.iter().map(f64::to_string).collect::<Vec<_>>().join(" ");
            lines.push(format!("thresholds {} part the labels {labels}", list(&scale.cuts)));
        }
    }
    lines
}

/// The steps as they stand in a recipe.
fn steps_value(post: &[PostStep]) -> Value {
    let scale = |scale: &Scale| json!({"cuts": scale.cuts, "labels": scale.labels});
    post.iter()
        .map(|step| match step {
            PostStep::Thresholds(scales) => json!({"thresholds": scales.iter().map(scale).collect::<Vec<_>>()}),
            other => json!(other.info().name),
        })
        .collect()
}

fn print(screen: &Screen, table: &TextTable) {
    for (i, line) in table.lines().iter().enumerate() {
        screen.line(if i == 0 { screen.dim(line) } else { line.clone() });
    }
}

/// The gain of the nested prediction, and whether it is more than noise.
fn gain_sentence(gain: Interval, over: &str) -> String {
    let numbers = format!("{:+.6} [{:+.6}, {:+.6}]", gain.gain, gain.low, gain.high);
    if gain.is_noise() {
        format!("not better than {over} beyond noise: {numbers}")
    } else if gain.gain > 0.0 {
        format!("better than {over}: {numbers}")
    } else {
        format!("worse than {over}: {numbers}")
    }
}

fn stop_sentence(outcome: &Outcome) -> String {
    match outcome.stop {
        Stop::Certified { gap } => format!("certified: no allowed weights score better by more than {}", small(gap)),
        Stop::Converged => match outcome.gap {
            Some(gap) => format!("converged; at most {} from the optimum", small(gap)),
            None => "converged; nothing is proven for this metric and space".to_owned(),
        },
        Stop::Budget => "stopped by the time limit: the best so far".to_owned(),
        Stop::Stalled => "stalled: a baseline was not beaten, or steps no longer improved".to_owned(),
        Stop::Interrupted => "interrupted: the best so far".to_owned(),
    }
}

fn value(
    context: &Context,
    asked: &Asked,
    judged: &Judged,
    matrix: &PredictionMatrix<Oof>,
    outcome: &Outcome,
    seconds: &Seconds,
    path: &str,
) -> Value {
    let per_model = |values: &[f64]| -> Value {
        let models = matrix.members().iter().map(|member| member.model().to_string());
        Value::Object(models.zip(values.iter().map(|&value| number(value))).collect())
    };
    let interval = |gain: Option<Interval>| {
        gain.map(|gain| json!({"gain": gain.gain, "low": gain.low, "high": gain.high, "noise": gain.is_noise()}))
    };
    let (single, single_score) = &outcome.single_best;
    json!({
        "blend": asked.name.as_str(),
        "target": "cv",
        "competition": context.competition.id.as_str(),
        "metric": context.metric.label(),
        "scope": judged.scope.name,
        "rows": judged.scope.rows.len(),
        "space": asked.space.name(),
        "domain": asked.domain.name(),
        "granularity": "global",
        "solver": outcome.solver.name(),
        "seed": asked.options.seed,
        "score": number(outcome.score),
        "nested_score": outcome.nested.as_ref().map(|nested| number(nested.score)),
        "nested_by": outcome.nested.as_ref().map(|nested| nested.by),
        "nested_parts": outcome.nested.as_ref().map(|nested| nested.parts.iter().map(|part| json!({
            "part": part.label, "rows": part.n_rows, "score": part.score.map(number), "weights": per_model(&part.weights),
            "post": steps_value(&part.post),
        })).collect::<Vec<_>>()),
        "equal_weights": number(outcome.equal_weights),
        "single_best": {"model": single.as_str(), "score": number(*single_score)},
        "members": per_model(&outcome.members),
        "gain_interval": {
            "over_equal_weights": interval(outcome.gain_over_equal),
            "over_single_best": interval(outcome.gain_over_single),
        },
        "weights": per_model(outcome.weights.values()),
        "post": steps_value(&outcome.post),
        "stop": outcome.stop.name(),
        "gap": outcome.gap.map(number),
        "passes": outcome.effort.passes,
        "evaluations": outcome.effort.evaluations,
        "honest_passes": outcome.honest_effort.passes,
        "seconds": {
            "load": seconds.load,
            "search": outcome.search_seconds,
            "honest": outcome.honest_seconds,
            "total": seconds.total,
        },
        "peak_rss_bytes": report::peak_rss_bytes(),
        "recipe": path,
    })
}

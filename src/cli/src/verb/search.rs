//! `blend search`: weights, what proves them, honest scores, and the recipe.

mod limits;
pub(crate) mod live;
mod report;
pub(crate) mod together;

use crate::{
    args::{Arguments, Calibration, Search, Target},
    context::{Context, Judged},
    failure::{self, Failure},
    labels, leaderboard, outputs, parts,
    report::Screen,
    signals::INTERRUPTED,
};
use blend_core::{
    Blend, BlendName, Domain, Member, ModelId, Oof, PredictionMatrix, Test,
    blend::{Granularity, PartWeights},
    post::PostStep,
    space::{self, SpaceName},
    weights::DOMAINS,
};
use blend_record::{Recipe, SearchBlock, recipe::SingleBest};
use blend_search::{Control, Options, Outcome, Problem, SolverName, drive::Tick, solver};
use blend_store::feather;
use live::Live;
use report::Seconds;
use std::{num::NonZeroUsize, sync::Arc, time::Instant};

/// What was asked for, checked.
pub(crate) struct Asked {
    pub(crate) name: BlendName,
    pub(crate) space: SpaceName,
    pub(crate) domain: Domain,
    pub(crate) options: Options,
    /// What shapes the weights, as it was typed.
    typed: Option<String>,
    /// Where weights differ.
    parts: parts::Asked,
}

pub(crate) fn run(arguments: &Arguments, it: &Search, screen: &Screen) -> Result<bool, Failure> {
    if it.target != Target::Cv {
        return leaderboard::search::run(arguments, it, screen);
    }
    let started = Instant::now();
    let context = Context::open(arguments)?;
    let mut asked = asked(&context, arguments, it)?;
    together::refuse(it, asked.options.solver)?;
    refuse_foreign(&context, &asked.name, it.force)?;
    let judged = context.judged()?;
    refuse_second_cuts(&context, &judged)?;
    let sample = context.sample()?;
    let names = labels::output_names(&context, Some(&judged.truth), sample.as_ref().map(blend_record::Sample::columns));
    let columns: Arc<[String]> = names.unwrap_or_default().into();
    let models = models(&context, it, |model| outputs::file::<Oof>(&context, model).exists())?;
    asked.options.limits = limits::limits(&context, it, &models)?;
    let parts = parts::asked(&context, &it.granularity, &columns, judged.truth.rows(), &judged.scope.rows)?;
    asked.options.parts = parts.parts.clone();
    asked.parts = parts;
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
    let live = Live::new(screen, context.metric.info().direction, it.trace.as_deref())?;
    let tick = |tick: &Tick| live.tick(tick);
    let control = Control { interrupted: &INTERRUPTED, tick: &tick };
    let outcome = blend_search::search(&problem, &asked.options, &control).map_err(|error| match error {
        blend_search::SearchError::Bind(error) => context.unjudged(error),
        error => {
            let typed = limits::place(it, &error);
            Failure::from(error).at(typed.unwrap_or_else(|| context.show(&context.competition.file)))
        }
    })?;
    live.finish()?;
    context.refuse_fault()?;
    if let Some(error) = matrix.members().iter().find_map(|member| member.values().latched()) {
        return Err(Failure::new(failure::MACHINE, format!("stored outputs could not be read: {error}"))
            .at(context.show(&context.workspace.competition_folder(&context.competition.id)))
            .hint("check the disk that they lie on"));
    }
    let recipe = recipe(&context, &judged, &asked, &matrix, &outcome)?;
    recipe.write(&context.workspace)?;
    let seconds = Seconds { load: load_seconds, total: started.elapsed().as_secs_f64() };
    report::report(&context, screen, &asked, &judged, &matrix, &outcome, seconds);
    Ok(false)
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
    let name = match &it.name {
        Some(name) => BlendName::new(name).map_err(|error| Failure::from(error).at(format!("--name {name}")))?,
        None => BlendName::new(match it.target {
            Target::Cv => "best_cv",
            Target::Lb => "best_lb",
            Target::Pooled => "best_pooled",
        })?,
    };
    let lambda = match it.lambda {
        Some(lambda) if lambda.is_nan() || lambda < 0.0 => {
            return Err(Failure::usage(format!("{lambda} is no strength"))
                .at(format!("--lambda {lambda}"))
                .hint("0 or more: 0 leaves every part alone, `inf` gives all the same weights"));
        }
        lambda => lambda,
    };
    let parts = parts::Asked { granularity: Granularity::Global, parts: None, names: Vec::new() };
    let plain = Options::default();
    let options = Options {
        lambda,
        intercept: it.intercept,
        solver,
        seed: arguments.seed,
        max_picks: it.max_picks.map_or(plain.max_picks, NonZeroUsize::get),
        time_limit: it.time_limit,
        honest: !it.no_nested,
        calibrate: it.calibrate.map(|how| match how {
            Calibration::Temperature => blend_search::Calibrate::Temperature,
            Calibration::Affine => blend_search::Calibrate::Affine,
        }),
        honest_budget: it.honest_budget,
        ..plain
    };
    Ok(Asked { name, space, domain, options, typed: limits::typed(it), parts })
}

/// The models that are searched: those that are named or, of all, those that `has` holds for.
pub(crate) fn models(context: &Context, it: &Search, has: impl Fn(&ModelId) -> bool) -> Result<Vec<ModelId>, Failure> {
    let mut models = outputs::chosen(context, &it.members, has)?;
    for name in &it.exclude {
        let model = context.workspace.model(&context.competition.id, name)?;
        models.retain(|other| *other != model);
    }
    if models.is_empty() && !it.exclude.is_empty() {
        return Err(Failure::usage("no model is left to search")
            .at(format!("--exclude {}", it.exclude.join(",")))
            .hint("leave fewer of them out"));
    }
    Ok(models)
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

fn recipe(
    context: &Context,
    judged: &Judged,
    asked: &Asked,
    matrix: &PredictionMatrix<Oof>,
    outcome: &Outcome,
) -> Result<Recipe, Failure> {
    let id = &context.competition.id;
    let used = |member: usize| {
        let by_part = outcome.parts.as_ref().is_some_and(|parts| parts.weights.iter().any(|w| w[member] != 0.0));
        outcome.weights.values()[member] != 0.0 || by_part
    };
    let used: Vec<usize> = (0..matrix.members().len()).filter(|&member| used(member)).collect();
    let mut members = Vec::new();
    for &at in &used {
        let (member, weight) = (&matrix.members()[at], outcome.weights.values()[at]);
        let path = outputs::file::<Test>(context, member.model());
        let test = if path.exists() {
            Some(feather::open(&path).map_err(|error| Failure::from(error).at(context.show(&path)))?.fingerprint)
        } else {
            None
        };
        members.push(Member { model: member.model().clone(), weight, oof: Some(member.fingerprint()), test });
    }
    let blend = Blend::new(asked.name.clone(), id.clone(), asked.space, asked.domain, members, outcome.post.clone())?;
    let blend = blend.with_intercept(outcome.intercept.unwrap_or(0.0))?;
    let blend = match &outcome.parts {
        None => blend,
        Some(parts) => {
            let of_part = |(part, weights): (&String, &Vec<f64>)| PartWeights {
                part: part.clone(),
                weights: used.iter().map(|&member| weights[member]).collect(),
            };
            let parts = asked.parts.names.iter().zip(&parts.weights).map(of_part).collect();
            blend.with_parts(asked.parts.granularity.clone(), parts)?
        }
    };
    let (model, single) = &outcome.single_best;
    Ok(Recipe {
        blend,
        search: Some(SearchBlock {
            target: "cv".to_owned(),
            solver: outcome.solver.name().to_owned(),
            granularity: Some(asked.parts.granularity.name().to_owned()),
            lambda: outcome.parts.as_ref().map(|parts| parts.lambda),
            seed: asked.options.seed,
            options: asked.typed.clone(),
            metric: Some(context.metric.label()),
            scope: Some(judged.scope.name.clone()),
            rows: Some(judged.scope.rows.len() as u64),
            score: Some(outcome.score),
            nested_score: outcome.nested.as_ref().map(|nested| nested.score),
            equal_weights: Some(outcome.equal_weights),
            single_best: Some(SingleBest { model: model.clone(), score: *single }),
            gain_interval: outcome.gain_over_single.map(|gain| (gain.low, gain.high)),
            weights_interval: outcome.spread.as_ref().map_or_else(Vec::new, |spread| {
                let of = |&at: &usize| (matrix.members()[at].model().clone(), (spread[at].low, spread[at].high));
                used.iter().map(of).collect()
            }),
            predicted_public: None,
            gap: outcome.gap,
            stop: outcome.stop.name().to_owned(),
            truth: Some(judged.fingerprint),
            folds: judged.folds.as_ref().map(blend_core::Folds::fingerprint),
        }),
    })
}

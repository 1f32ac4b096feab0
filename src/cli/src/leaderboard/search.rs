//! `blend search --target lb|pooled`: weights for the public leaderboard, from test outputs and scores.

use super::{
    TestRows, board,
    values::{of_predictions, of_recipe},
};
use crate::{
    args::{Arguments, Search, Target},
    context::{Context, Judged},
    failure::Failure,
    labels, outputs,
    report::{
        self, Screen, number, score, small,
        table::{TextTable, bar},
    },
    signals::INTERRUPTED,
    verb::search::{Asked, asked, live::Live, models, refuse_foreign, together},
};
use blend_core::{
    Blend, Block, Domain, Member, ModelId, Oof, PredictionMatrix, Test, output::Encoding, space::SpaceName,
};
use blend_record::{
    Recipe, SearchBlock,
    recipe::{PredictedPublic, SingleBest},
};
use blend_search::{
    Control, Problem,
    drive::{Stop, Tick},
    leaderboard::{self, LbOutcome, LbProblem, Method, Predicted, canonical_space},
};
use serde_json::{Value, json};
use std::{sync::Arc, time::Instant};

/// Members with their values as they would be submitted.
struct Members {
    values: Vec<(ModelId, Block)>,
    /// Models that were left out, and why.
    notes: Vec<String>,
}

/// What out-of-fold rows there are of the members.
pub(super) struct Held {
    judged: Judged,
    matrix: PredictionMatrix<Oof>,
}

pub(crate) fn run(arguments: &Arguments, it: &Search, screen: &Screen) -> Result<bool, Failure> {
    let started = Instant::now();
    let context = Context::open(arguments)?;
    let mut asked = asked(&context, arguments, it)?;
    if it.space.is_none() {
        // Where public scores follow from each other exactly.
        asked.space =
            canonical_space(&context.competition.metric).unwrap_or_else(|| space_of_order(&context, asked.space));
    }
    let target = target(it)?;
    refuse_cv_options(it)?;
    together::refuse(it, asked.options.solver)?;
    refuse_foreign(&context, &asked.name, it.force)?;
    let ledger = super::ledger(&context)?;
    let test = TestRows::of(&context)?;
    let known = board::known(&context, &test, &ledger, Vec::new())?;
    known.left_out.iter().for_each(|why| screen.note(format!("left out: {why}")));
    let members = members(&context, &test, &known.lb, it)?;
    members.notes.iter().for_each(|note| screen.note(note));
    let models: Vec<ModelId> = members.values.iter().map(|(model, _)| model.clone()).collect();
    let held = held(&context, &models)?;
    if held.is_none() && it.target == Target::Pooled {
        return Err(Failure::usage("a pooled search needs out-of-fold predictions of its members, and their truth")
            .at(context.show(&context.competition.file))
            .hint("`--target lb` needs none; else import them with `blend import MODEL --oof FILE`"));
    }
    let load_seconds = started.elapsed().as_secs_f64();
    let problem = LbProblem {
        members: &members.values,
        encoding: Encoding::plain(labels::default_kind(&context)),
        lb: &known.lb,
        spec: &context.competition.metric,
        space: asked.space,
        domain: asked.domain,
        oof: held.as_ref().map(|held| problem(&context, asked.space, asked.domain, held)),
        target,
    };
    let live = Live::new(screen, context.metric.info().direction, it.trace.as_deref())?;
    let tick = |tick: &Tick| live.tick(tick);
    let control = Control { interrupted: &INTERRUPTED, tick: &tick };
    let outcome =
        leaderboard::search(&problem, &asked.options, &control).map_err(|error| board::failure(&context, error))?;
    live.finish()?;
    let mut recipe = recipe(&context, &asked, it.target, &models, &outcome)?;
    // What will be written is predicted, post steps and all.
    let follows = matches!(outcome.predicted.method, Method::Exact | Method::Identity | Method::Regression);
    let predicted = match &test.sample {
        Some(_) if follows => {
            let values = of_recipe(&context, &test, &recipe)?;
            board::board(&context, &known.lb)?.predict(&values)
        }
        _ => outcome.predicted,
    };
    if let Some(search) = &mut recipe.search {
        search.predicted_public = Some(PredictedPublic {
            score: predicted.score,
            standard_error: Some(predicted.standard_error),
            method: predicted.method.name().to_owned(),
        });
    }
    recipe.write(&context.workspace)?;
    let seconds = [load_seconds, started.elapsed().as_secs_f64()];
    let said = Said { context: &context, asked: &asked, it, models: &models, outcome: &outcome, predicted, seconds };
    if screen.json {
        screen.object(said.value(&known));
    } else {
        said.print(screen, known.lb.files().len());
    }
    Ok(false)
}

/// The space of AUC's leaderboard form where nothing else is asked for: normal scores, or ranks where there are none.
pub(super) fn space_of_order(context: &Context, otherwise: SpaceName) -> SpaceName {
    if context.competition.metric.name == "auc" && context.competition.space.is_none() {
        return "normal_score".parse().unwrap_or(SpaceName::Rank);
    }
    otherwise
}

/// Public scores say too little for weights that are told apart or chosen among.
fn refuse_cv_options(it: &Search) -> Result<(), Failure> {
    let given = [
        ("--fix", !it.fix.is_empty()),
        ("--bounds", !it.bounds.is_empty()),
        ("--max-members", it.max_members.is_some()),
        ("--min-weight", it.min_weight.is_some()),
        ("--inference-budget", it.inference_budget.is_some()),
        ("--granularity", it.granularity != "global"),
        ("--lambda", it.lambda.is_some()),
        ("--intercept", it.intercept),
        ("--calibrate", it.calibrate.is_some()),
        ("--honest-budget", it.honest_budget.is_some()),
    ];
    let Some((name, _)) = given.into_iter().find(|(_, given)| *given) else { return Ok(()) };
    Err(Failure::usage(format!("{name} goes with `--target cv` alone"))
        .at(name)
        .hint("leave it out; members are left out with `--exclude MODEL`"))
}

/// What a public row is worth.
fn kappa(it: &Search) -> f64 {
    it.kappa.unwrap_or(1.0)
}

fn target(it: &Search) -> Result<leaderboard::Target, Failure> {
    if it.target != Target::Pooled {
        return Ok(leaderboard::Target::Lb);
    }
    let kappa = kappa(it);
    if kappa.is_finite() && kappa >= 0.0 {
        return Ok(leaderboard::Target::Pooled { kappa });
    }
    Err(Failure::usage(format!("a public row cannot be worth {kappa} rows"))
        .at(format!("--kappa {kappa}"))
        .hint("0 is best CV, a large number best LB, 1 counts a public row as a row"))
}

/// The members that are named; else every model whose public score is known or follows from those that are.
fn members(context: &Context, test: &TestRows, lb: &blend_core::PublicLb, it: &Search) -> Result<Members, Failure> {
    let has = |model: &ModelId| {
        outputs::file::<Test>(context, model).exists()
            && (it.target != Target::Pooled || outputs::file::<Oof>(context, model).exists())
    };
    let models = models(context, it, has)?;
    let mut notes = Vec::new();
    let mut values: Vec<(ModelId, Block)> = Vec::new();
    for model in models {
        let matrix = outputs::test_matrix(context, &test.rows, std::slice::from_ref(&model), &test.names)?;
        let own = of_predictions(context, test, &matrix.members()[0])?;
        match values.iter().find(|(_, other)| *other == own) {
            Some((twin, _)) => notes.push(format!("left out: `{model}` has the same test outputs as `{twin}`")),
            None => values.push((model, own)),
        }
    }
    if it.members.is_empty() {
        let canonical = canonical_space(&context.competition.metric).is_some();
        let board = if canonical { Some(board::board(context, lb)?) } else { None };
        let is_known = |values: &Block| match &board {
            Some(board) => board.predict(values).is_told(),
            None => lb.files().iter().any(|file| file.holds(values)),
        };
        let all = std::mem::take(&mut values);
        let (known, guessed): (Vec<_>, Vec<_>) = all.into_iter().partition(|(_, values)| is_known(values));
        values = known;
        if !guessed.is_empty() {
            let names: Vec<&str> = guessed.iter().map(|(model, _)| model.as_str()).collect();
            notes.push(format!(
                "left out, no public score tells of them: {}; `--members` takes them with their scores guessed",
                names.join(", ")
            ));
        }
    }
    if values.is_empty() {
        return Err(Failure::usage("no model's public score is known, nor does one follow from those that are")
            .at(context.show(&context.workspace.ledger_file(&context.competition.id)))
            .hint("record one with `blend lb add MODEL SCORE`, or name members with `--members A,B`"));
    }
    Ok(Members { values, notes })
}

/// Truth and out-of-fold predictions, where every member has them.
pub(super) fn held(context: &Context, models: &[ModelId]) -> Result<Option<Held>, Failure> {
    let has = |model: &ModelId| outputs::file::<Oof>(context, model).exists();
    if context.competition.truth.is_none() || !models.iter().all(has) {
        return Ok(None);
    }
    let judged = context.judged()?;
    let sample = context.sample()?;
    let names = labels::output_names(context, Some(&judged.truth), sample.as_ref().map(blend_record::Sample::columns));
    let columns: Arc<[String]> = names.unwrap_or_default().into();
    let matrix = outputs::oof_matrix(context, &judged, models, &columns)?;
    Ok(Some(Held { judged, matrix }))
}

/// Out-of-fold rows as a search wants them.
pub(super) fn problem<'a>(context: &'a Context, space: SpaceName, domain: Domain, held: &'a Held) -> Problem<'a> {
    Problem {
        members: &held.matrix,
        truth: &held.judged.truth,
        scope: &held.judged.scope,
        metric: &*context.metric,
        space,
        domain,
        folds: held.judged.folds.as_ref(),
        groups: held.judged.groups.as_deref(),
    }
}

fn recipe(
    context: &Context,
    asked: &Asked,
    target: Target,
    models: &[ModelId],
    outcome: &LbOutcome,
) -> Result<Recipe, Failure> {
    let mut members = Vec::new();
    for (model, &weight) in models.iter().zip(outcome.weights.values()).filter(|(_, weight)| **weight != 0.0) {
        let oof = if outputs::file::<Oof>(context, model).exists() {
            Some(outputs::open::<Oof>(context, model)?.outputs.fingerprint)
        } else {
            None
        };
        let test = Some(outputs::open::<Test>(context, model)?.outputs.fingerprint);
        members.push(Member { model: model.clone(), weight, oof, test });
    }
    let id = context.competition.id.clone();
    let blend = Blend::new(asked.name.clone(), id, asked.space, asked.domain, members, Vec::new())?;
    let (model, single) = &outcome.single_best;
    Ok(Recipe {
        blend,
        search: Some(SearchBlock {
            target: name(target).to_owned(),
            solver: outcome.solver.name().to_owned(),
            granularity: Some("global".to_owned()),
            seed: asked.options.seed,
            metric: Some(context.metric.label()),
            scope: Some("public rows".to_owned()),
            score: Some(outcome.pooled.unwrap_or(outcome.predicted.score)),
            equal_weights: Some(outcome.equal_weights.score),
            single_best: Some(SingleBest { model: model.clone(), score: single.score }),
            gap: outcome.gap,
            stop: outcome.stop.name().to_owned(),
            ..SearchBlock::default()
        }),
    })
}

fn name(target: Target) -> &'static str {
    match target {
        Target::Cv => "cv",
        Target::Lb => "lb",
        Target::Pooled => "pooled",
    }
}

/// A predicted score in `--json`.
pub(crate) fn predicted_value(predicted: &Predicted) -> Value {
    json!({
        "score": number(predicted.score),
        "standard_error": number(predicted.standard_error),
        "method": predicted.method.name(),
        "parts": {
            "rounding": number(predicted.parts.rounding),
            "rounding_bound": number(predicted.parts.rounding_bound),
            "public_rows": number(predicted.parts.public_rows),
            "regression": number(predicted.parts.regression),
            "rehearsed": number(predicted.parts.rehearsed),
            "luck": number(predicted.parts.luck),
            "bias": number(predicted.parts.bias),
        },
    })
}

/// What the standard error is made of, in words.
pub(crate) fn parts_sentence(predicted: &Predicted) -> String {
    let parts = &predicted.parts;
    if parts.rehearsed > 0.0 {
        let bias = format!("{:+.1e}", parts.bias);
        let luck = if parts.luck > 0.0 { format!("; members' own luck {}", small(parts.luck)) } else { String::new() };
        return format!("{} over rehearsals on out-of-fold rows, bias {bias}{luck}", small(parts.rehearsed));
    }
    let mut words = vec![format!("rounding {} (at most {})", small(parts.rounding), small(parts.rounding_bound))];
    if parts.public_rows > 0.0 {
        words.push(format!("unknown public rows {}", small(parts.public_rows)));
    }
    if parts.regression > 0.0 {
        words.push(format!("regression {}", small(parts.regression)));
    }
    words.join(", ")
}

/// Everything that is reported.
struct Said<'a> {
    context: &'a Context,
    asked: &'a Asked,
    it: &'a Search,
    models: &'a [ModelId],
    outcome: &'a LbOutcome,
    predicted: Predicted,
    /// Until everything was read, and in all.
    seconds: [f64; 2],
}

impl Said<'_> {
    fn path(&self) -> String {
        self.context.show(&self.context.workspace.recipe_file(&self.context.competition.id, &self.asked.name))
    }

    fn print(&self, screen: &Screen, n_files: usize) {
        let Self { context, asked, outcome, .. } = self;
        screen.line(screen.bold(&format!("{}: {}", context.competition.id, asked.name)));
        screen.line(format!(
            "  public {} from {n_files} scored files, space {}, domain {}, solver {}",
            context.metric.label(),
            asked.space.name(),
            asked.domain.name(),
            outcome.solver.name(),
        ));
        screen.line("");
        let mut table = TextTable::new(&["member", ">public", ">weight", ""]);
        let weights = outcome.weights.values();
        let mut order: Vec<usize> = (0..weights.len()).collect();
        order.sort_by(|&a, &b| weights[b].total_cmp(&weights[a]));
        let shown = order.iter().take_while(|&&i| weights[i] != 0.0).count().max(order.len().min(20));
        for &i in &order[..shown] {
            let alone = score(outcome.members[i].score);
            table.row(vec![
                self.models[i].to_string(),
                alone,
                format!("{:.6}", weights[i]),
                bar(weights[i], screen.bar_width()),
            ]);
        }
        screen.table(table);
        screen.line("");
        let mut table = TextTable::new(&["", ">public score", ">+-"]);
        let mut row = |what: String, it: &Predicted| table.row(vec![what, score(it.score), small(it.standard_error)]);
        row(format!("single best ({})", outcome.single_best.0), &outcome.single_best.1);
        row("equal weights".to_owned(), &outcome.equal_weights);
        row("blend, predicted".to_owned(), &self.predicted);
        screen.table(table);
        if let Some(cv) = outcome.cv {
            screen.line(format!("  its CV on all out-of-fold rows: {}", score(cv)));
        }
        screen.line("");
        let method = match self.predicted.method {
            Method::Exact => "exact: known before it is submitted, up to the rounding of the scores",
            Method::Identity => "by the identity, with all test rows for the public ones, which are not known",
            Method::Regression => "by regression on the scored files",
            Method::MomentMatched => "from moments: absolute errors taken for those of normal residuals",
            Method::Binormal => "binormal: both classes' scores taken for normal",
            Method::NoiseMatched => "CV of members that were blurred until they are as bad as their public scores",
        };
        screen.line(format!("  {method}"));
        screen.line(format!("  standard error: {}", parts_sentence(&self.predicted)));
        screen.line(format!("  {}", self.stop()));
        screen.line(screen.dim(&format!(
            "  {:.0} passes over the data, {} evaluations; {:.2} s",
            outcome.effort.passes.ceil(),
            outcome.effort.evaluations,
            self.seconds[1],
        )));
        screen.line(format!("wrote {}", self.path()));
    }

    fn stop(&self) -> String {
        let what = if self.it.target == Target::Pooled { "pooled" } else { "predicted" };
        match (self.outcome.stop, self.outcome.gap) {
            (Stop::Certified { gap }, _) => {
                format!("certified: no allowed weights have a {what} score better by more than {}", small(gap))
            }
            (Stop::Converged, Some(gap)) => format!("converged; at most {} from the optimum", small(gap)),
            (Stop::Converged, None) => "converged; nothing is proven for this metric and space".to_owned(),
            (Stop::Budget, _) => "stopped by the time limit: the best so far".to_owned(),
            (Stop::Stalled, _) => "stalled: a baseline was not beaten, or steps no longer improved".to_owned(),
            (Stop::Interrupted, _) => "interrupted: the best so far".to_owned(),
        }
    }

    fn value(&self, known: &board::Known) -> Value {
        let Self { context, asked, outcome, .. } = self;
        let per_model = |values: &mut dyn Iterator<Item = Value>| -> Value {
            self.models.iter().map(ToString::to_string).zip(values).collect::<serde_json::Map<_, _>>().into()
        };
        let (single, alone) = &outcome.single_best;
        json!({
            "blend": asked.name.as_str(),
            "target": name(self.it.target),
            "competition": context.competition.id.as_str(),
            "metric": context.metric.label(),
            "scored_files": known.lb.files().len(),
            "left_out": known.left_out,
            "space": asked.space.name(),
            "domain": asked.domain.name(),
            "granularity": "global",
            "solver": outcome.solver.name(),
            "seed": asked.options.seed,
            "kappa": (self.it.target == Target::Pooled).then(|| kappa(self.it)),
            "score": number(outcome.pooled.unwrap_or(outcome.predicted.score)),
            "predicted_public": predicted_value(&self.predicted),
            "cv": outcome.cv.map(number),
            "nested_score": null,
            "gain_interval": null,
            "equal_weights": number(outcome.equal_weights.score),
            "single_best": {"model": single.as_str(), "score": number(alone.score)},
            "members": per_model(&mut outcome.members.iter().map(predicted_value)),
            "weights": per_model(&mut outcome.weights.values().iter().map(|weight| number(*weight))),
            "stop": outcome.stop.name(),
            "gap": outcome.gap.map(number),
            "passes": outcome.effort.passes,
            "evaluations": outcome.effort.evaluations,
            "seconds": {
                "load": self.seconds[0],
                "search": outcome.seconds,
                "honest": 0.0,
                "total": self.seconds[1],
            },
            "peak_rss_bytes": report::peak_rss_bytes(),
            "recipe": self.path(),
        })
    }
}

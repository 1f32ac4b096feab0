//! `blend lb add`: one score.

use super::{
    conflict_values, conflicts,
    show::{ALARM, alarm},
    tell_conflicts,
};
use crate::{
    args::{Arguments, leaderboard::LbAdd},
    context::Context,
    failure::{DATA, Failure},
    leaderboard::{self, Target, TestRows, board, search::predicted_value},
    report::{Screen, score, small},
};
use blend_core::{Score, ScoredFile};
use blend_record::{
    Ledger,
    ledger::{Event, Scored},
};
use serde_json::{Value, json};

pub(crate) fn run(arguments: &Arguments, it: &LbAdd, screen: &Screen) -> Result<bool, Failure> {
    let context = Context::open(arguments)?;
    let public = it.score.as_deref().map(|text| typed(&context, text)).transpose()?;
    if let Some(private) = it.private {
        in_range(&context, private, "--private")?;
    }
    let ledger = leaderboard::ledger(&context)?;
    let test = TestRows::of(&context)?;
    let target = leaderboard::resolve(&context, &test, &ledger, &it.what)?;
    let scored = Scored {
        what: target.what.clone(),
        content: target.content,
        public,
        decimals: it.decimals,
        private: it.private,
        reference: None,
    };
    let what = scored.what.to_string();
    let known = !it.correct && is_known(&context, &ledger, &scored);
    let told = match public.filter(|_| !known) {
        Some(public) => judge(&context, &test, &ledger, &target, it, public)?,
        None => Told::default(),
    };
    if known {
        screen.line(format!("`{what}` already has this score"));
    } else {
        let event = if it.correct { Event::Corrected(scored) } else { Event::Scored(scored) };
        leaderboard::append(&context, &[event])?;
        let given = [public.map(|it| ("public", it)), it.private.map(|it| ("private", it))];
        let given: Vec<String> =
            given.into_iter().flatten().map(|(kind, value)| format!("{kind} {}", score(value))).collect();
        screen.line(format!("recorded `{what}`: {}", given.join(", ")));
    }
    if let Some(Expected { score: predicted, standard_error, method, difference, .. }) = &told.expected {
        screen.line(format!(
            "  predicted {} +- {} ({method}): {difference:+.1} standard errors off",
            score(*predicted),
            small(*standard_error),
        ));
        if difference.abs() > ALARM {
            screen.line(screen.red(&alarm(&what, *difference)));
        }
    }
    if let Some(gain) = &told.gain {
        screen.line(format!("  {}", gain.sentence()));
    }
    let ledger = leaderboard::ledger(&context)?;
    let conflicts = conflicts(&context, &ledger);
    let found = tell_conflicts(screen, &conflicts);
    screen.object(json!({
        "competition": context.competition.id.as_str(),
        "what": what,
        "public": public,
        "private": it.private,
        "recorded": !known,
        "predicted_public": told.expected.as_ref().map(|it| it.value.clone()),
        "difference_in_standard_errors": told.expected.as_ref().map(|it| it.difference),
        "alarm": told.expected.as_ref().map(|it| it.difference.abs() > ALARM),
        "gain": told.gain.as_ref().map(|it| json!({
            "over": it.over, "gain": it.gain, "standard_error": it.standard_error, "noise": it.is_noise(),
        })),
        "conflicts": conflict_values(&conflicts),
    }));
    Ok(found)
}

/// What a new score says beside itself.
#[derive(Default)]
struct Told {
    expected: Option<Expected>,
    gain: Option<Gain>,
}

/// What was predicted.
struct Expected {
    score: f64,
    standard_error: f64,
    method: String,
    /// Predicted less actual score, in standard errors.
    difference: f64,
    /// As `--json` says it.
    value: Value,
}

impl Expected {
    fn new(score: f64, standard_error: f64, method: &str, value: Value, public: f64, half_unit: f64) -> Self {
        let error = standard_error.hypot(half_unit / 3f64.sqrt()).max(f64::MIN_POSITIVE);
        let difference = (score - public) / error;
        Self { score, standard_error, method: method.to_owned(), difference, value }
    }
}

/// A new public score against the best one before it.
struct Gain {
    over: String,
    /// Positive where the new one is better, in the metric's unit.
    gain: f64,
    standard_error: f64,
}

impl Gain {
    /// A gain below its standard error tells nothing (the rule of the Ladder, Blum and Hardt 2015).
    fn is_noise(&self) -> bool {
        self.gain.abs() < self.standard_error
    }

    fn sentence(&self) -> String {
        let numbers = format!("{:+.1e} +- {:.1e}", self.gain, self.standard_error);
        match (self.is_noise(), self.gain > 0.0) {
            (true, _) => format!("no different from the best before, {}, beyond noise: {numbers}", self.over),
            (false, true) => format!("better than the best before, {}: {numbers}", self.over),
            (false, false) => format!("worse than the best before, {}: {numbers}", self.over),
        }
    }
}

/// Looks at a new public score beside those that are known. Errors where no labels could have given it.
fn judge(
    context: &Context,
    test: &TestRows,
    ledger: &Ledger,
    target: &Target,
    it: &LbAdd,
    public: f64,
) -> Result<Told, Failure> {
    let values = &target.values;
    let mut told = Told::default();
    let half_unit = board::half_unit(it.decimals.unwrap_or_else(|| leaderboard::decimals(context)));
    // What is known before says what was to be expected; where nothing is, or no method, there is nothing to say.
    let before = board::known(context, test, ledger, Vec::new()).ok();
    let known = |files: &[ScoredFile]| files.iter().any(|file| file.values == *values);
    let new = !before.as_ref().is_some_and(|before| known(before.lb.files()));
    // What `submit` left in the ledger, for metrics whose scored files say nothing of others.
    if let Some(said) = ledger.made(|made| made.content == target.content).and_then(|made| made.predicted.as_ref())
        && new
    {
        let value = json!({"score": said.score, "standard_error": said.standard_error, "method": said.method});
        told.expected = Some(Expected::new(said.score, said.standard_error, &said.method, value, public, half_unit));
    }
    if let Some(before) = before.as_ref().filter(|_| new)
        && let Ok(board) = board::board(context, &before.lb)
    {
        let it = board.predict(values);
        let value = predicted_value(&it);
        told.expected = Some(Expected::new(it.score, it.standard_error, it.method.name(), value, public, half_unit));
        let direction = context.metric.info().direction;
        let files = before.lb.files();
        let gain = |file: &ScoredFile| direction.gain(Score(public), Score(file.score));
        if let Some(best) = files.iter().reduce(|best, file| if gain(file) < gain(best) { file } else { best }) {
            told.gain = Some(Gain {
                over: best.name.clone(),
                gain: gain(best),
                standard_error: board.paired_standard_error(values, &best.values),
            });
        }
    }
    // The same values with another score are kept and named; another file's score has to be possible.
    if new && !it.correct && board::public_part(context, test).is_ok() {
        let file = ScoredFile { name: it.what.clone(), values: values.clone(), score: public, half_unit };
        if let Ok(all) = board::known(context, test, ledger, vec![file]) {
            match board::board(context, &all.lb) {
                Err(failure) if failure.exit == DATA => {
                    return Err(failure.hint_instead(
                        "nothing was recorded: check the score and what it belongs to; if an older score is wrong, \
                         correct that one with `blend lb add WHAT SCORE --correct`",
                    ));
                }
                _ => {}
            }
        }
    }
    Ok(told)
}

/// Whether the ledger says all of this already.
pub(super) fn is_known(context: &Context, ledger: &Ledger, scored: &Scored) -> bool {
    let standings = ledger.standings(leaderboard::decimals(context));
    let Some(standing) = standings.iter().find(|it| it.content == scored.content) else { return false };
    let named = standing.names.contains(&scored.what);
    let public = scored.public.is_none_or(|public| standing.public.known().is_some_and(|it| it.score == public));
    let private = scored.private.is_none_or(|private| standing.private == Some(private));
    let reference = scored.reference.as_ref().is_none_or(|it| standing.references.contains(it));
    named && public && private && reference
}

/// A score as it was typed.
fn typed(context: &Context, text: &str) -> Result<f64, Failure> {
    let value = text.parse::<f64>().ok().filter(|value| value.is_finite()).ok_or_else(|| {
        Failure::usage(format!("`{text}` is no score")).at("the score").hint("a number, as the leaderboard shows it")
    })?;
    in_range(context, value, "the score")?;
    Ok(value)
}

/// A score that the metric can have.
pub(super) fn in_range(context: &Context, value: f64, place: &str) -> Result<(), Failure> {
    let info = context.metric.info();
    let (low, high) = info.range;
    if (low..=high).contains(&value) {
        return Ok(());
    }
    Err(Failure::usage(format!("{value} is no {}: it lies in [{low}, {high}]", info.name))
        .at(place)
        .hint("scores are in the metric's own unit, never negated"))
}

//! What was submitted and what came back.

use crate::{
    context::Context,
    failure::Failure,
    leaderboard,
    report::html::facts::{Entry, Facts, Known},
};
use blend_record::ledger::{Event, Ledger, PublicState, Standing, What};

/// The ledger, one entry for each content. Public scores of models and recipes are noted in `facts` too.
pub(super) fn read(context: &Context, facts: &mut Facts) -> Result<Known<Vec<Entry>>, Failure> {
    let ledger = leaderboard::ledger(context)?;
    if ledger.lines.is_empty() {
        return Ok(Err(
            "The ledger is empty: `blend submit` notes what it makes, `blend lb add NAME SCORE` what came back."
                .to_owned(),
        ));
    }
    let entries = ledger
        .standings(leaderboard::decimals(context))
        .iter()
        .map(|standing| entry(&ledger, standing, facts))
        .collect();
    Ok(Ok(entries))
}

fn entry(ledger: &Ledger, standing: &Standing, facts: &mut Facts) -> Entry {
    let public = standing.public.known().map(|given| given.score);
    let mut cv = standing.made.as_ref().and_then(|made| made.cv);
    let mut is_blend = standing.made.is_some();
    for name in &standing.names {
        match name {
            What::Model(model) => {
                if let Some(model) = facts.models.iter_mut().find(|it| it.name == model.as_str()) {
                    model.public = public;
                    cv = cv.or(model.score);
                }
            }
            What::Submission(blend) => {
                is_blend = true;
                if let Some(blend) = facts.blends.iter_mut().find(|it| it.name == blend.as_str()) {
                    blend.public = public;
                    cv = cv.or(blend.nested).or(blend.score);
                }
            }
            What::File(_) => {}
        }
    }
    let content = |event: &Event| match event {
        Event::Made(made) => made.content,
        Event::Scored(scored) | Event::Corrected(scored) => scored.content,
    };
    let last = ledger.lines.iter().rev().find(|line| content(&line.event) == standing.content);
    let predicted = standing.made.as_ref().and_then(|made| made.predicted.as_ref());
    Entry {
        name: standing.names.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "),
        when: last.map_or_else(String::new, |line| line.time.get(..10).unwrap_or(&line.time).to_owned()),
        cv,
        predicted: predicted.map(|it| (it.score, Some(it.standard_error))),
        public,
        private: standing.private,
        remark: match &standing.public {
            PublicState::Conflict(given) => {
                let scores: Vec<String> = given.iter().map(|it| format!("{} (line {})", it.score, it.line)).collect();
                format!("scores that cannot all be right: {}", scores.join(", "))
            }
            _ => String::new(),
        },
        is_blend,
    }
}

//! `blend lb import`: the scores of a table.

use super::{add, conflict_values, conflicts, tell_conflicts};
use crate::{
    args::{Arguments, leaderboard::LbImport},
    context::Context,
    failure::{self, Failure},
    leaderboard::{self, TestRows},
    report::Screen,
};
use blend_core::Fingerprint;
use blend_record::{
    Fault, Ledger,
    kaggle::{self, Columns, ScoreRow},
    ledger::{Event, Scored, What},
};
use serde_json::json;
use std::{collections::HashMap, io::Read, path::Path};

pub(crate) fn run(arguments: &Arguments, it: &LbImport, screen: &Screen) -> Result<bool, Failure> {
    let context = Context::open(arguments)?;
    let (place, text) = text_of(&it.file)?;
    let columns = Columns { name: it.name_column.clone(), score: it.score_column.clone() };
    let table = kaggle::parse(&text, &columns).map_err(|error| {
        let exit = error.kind().exit_code();
        Failure { hint: error.hint(), ..Failure::new(exit, error.to_string()) }.at(&place)
    })?;
    let mut ledger = leaderboard::ledger(&context)?;
    let test = TestRows::of(&context)?;
    let (mut recorded, mut known, mut strange, mut unscored) = (Vec::new(), 0, Vec::new(), 0);
    let mut resolved: HashMap<String, (What, Fingerprint)> = HashMap::new();
    for row in &table.rows {
        if !row.complete || (row.public.is_none() && row.private.is_none()) {
            unscored += 1;
            continue;
        }
        let at = |failure: Failure| Failure { place: Some(format!("{place}:{}", row.line)), ..failure };
        for number in [row.public, row.private].into_iter().flatten() {
            add::in_range(&context, number.value, "").map_err(at)?;
        }
        let found = if table.is_kaggle {
            of_kaggle(&ledger, row)
        } else {
            if !resolved.contains_key(&row.name) {
                let target = leaderboard::resolve(&context, &test, &ledger, &row.name).map_err(at)?;
                resolved.insert(row.name.clone(), (target.what, target.content));
            }
            resolved.get(&row.name).cloned()
        };
        let Some((what, content)) = found else {
            strange.push(row);
            continue;
        };
        let scored = Scored {
            what,
            content,
            public: row.public.map(|it| it.value),
            decimals: row
                .public
                .and_then(|it| it.decimals)
                .filter(|decimals| *decimals != leaderboard::decimals(&context)),
            private: row.private.map(|it| it.value),
            reference: row.reference.clone(),
        };
        if add::is_known(&context, &ledger, &scored) || recorded.contains(&Event::Scored(scored.clone())) {
            known += 1;
        } else {
            recorded.push(Event::Scored(scored));
        }
    }
    // All lines were understood before the first is written.
    leaderboard::append(&context, &recorded)?;
    ledger = leaderboard::ledger(&context)?;
    screen.line(format!(
        "{place}: {} scores recorded, {known} known before, {unscored} lines without a score",
        recorded.len()
    ));
    if !strange.is_empty() {
        let lines: Vec<String> = strange.iter().take(8).map(|row| row.line.to_string()).collect();
        let more = if strange.len() > 8 { ", ..." } else { "" };
        screen.line(format!(
            "  {} lines carry no id of ours in their message and were passed over (line {}{more})",
            strange.len(),
            lines.join(", ")
        ));
    }
    let conflicts = conflicts(&context, &ledger);
    let found = tell_conflicts(screen, &conflicts);
    screen.object(json!({
        "competition": context.competition.id.as_str(),
        "table": if table.is_kaggle { "kaggle" } else { "plain" },
        "recorded": recorded.len(),
        "known": known,
        "without_score": unscored,
        "not_ours": strange.iter().map(|row| json!({"line": row.line, "name": row.name})).collect::<Vec<_>>(),
        "conflicts": conflict_values(&conflicts),
    }));
    Ok(found)
}

fn text_of(file: &Path) -> Result<(String, String), Failure> {
    let mut bytes = Vec::new();
    let (place, read) = if file == Path::new("-") {
        ("standard input".to_owned(), std::io::stdin().lock().read_to_end(&mut bytes))
    } else {
        let read = std::fs::File::open(file).and_then(|mut file| file.read_to_end(&mut bytes));
        (file.display().to_string(), read)
    };
    read.map_err(|error| {
        Failure::new(failure::MACHINE, format!("cannot read the table: {error}"))
            .at(&place)
            .hint("check that it is there and that this user may read it")
    })?;
    let text = String::from_utf8(bytes).map_err(|_| {
        Failure::data("the table is not UTF-8").at(&place).hint("save it as UTF-8; nothing was recorded")
    })?;
    Ok((place, text))
}

/// What one of Kaggle's lines is about: by our id in its message, else by Kaggle's number.
fn of_kaggle(ledger: &Ledger, row: &ScoreRow) -> Option<(What, Fingerprint)> {
    if let Some(id) = &row.id
        && let Some(made) = ledger.made(|made| made.csv.short() == *id)
    {
        return Some((What::Submission(made.name.clone()), made.content));
    }
    let reference = row.reference.as_ref()?;
    ledger.lines.iter().rev().find_map(|line| match &line.event {
        Event::Scored(it) | Event::Corrected(it) if it.reference.as_ref() == Some(reference) => {
            Some((it.what.clone(), it.content))
        }
        _ => None,
    })
}

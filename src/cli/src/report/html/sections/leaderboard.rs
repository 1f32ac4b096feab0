//! CV beside public scores, and the ledger they come from.

use super::{
    super::{
        charts::scatter::{FEWEST, Fit, Point, scatter},
        facts::{Entry, Facts},
        table::{Table, cell, number, prose, text, words},
        text::{many, score, signed},
    },
    absent, figure, note,
};

pub(super) fn section(facts: &Facts, out: &mut String) {
    let ledger = match &facts.ledger {
        Ok(ledger) => ledger,
        Err(why) => return absent(out, why),
    };
    let points: Vec<Point> = ledger
        .iter()
        .filter_map(|entry| {
            Some(Point { name: entry.name.clone(), x: entry.cv?, y: entry.public?, is_lead: entry.is_blend })
        })
        .collect();
    let titles = ["CV score", "public score"];
    let says = format!("{} with a CV and a public score.", many(points.len(), "submission"));
    let Some(chart) = scatter(&points, titles, &says) else {
        return absent(
            out,
            "No submission has both a CV score and a public score: `blend lb add NAME SCORE` records one.",
        );
    };
    let band = match Fit::of(&points) {
        Some(_) => "The band is the 95 % prediction interval of a straight line through all points: a next submission \
                    outside it is a surprise."
            .to_owned(),
        None if points.len() < FEWEST => {
            format!("A band needs at least {FEWEST} points, so none is drawn.")
        }
        None => "CV scores do not vary, so no band is drawn.".to_owned(),
    };
    figure(
        out,
        &chart,
        &format!(
            "{says} Both: {}. {band} The axes have different ranges, and do not start at zero.",
            facts.metric.orientation()
        ),
    );
}

pub(super) fn ledger(facts: &Facts, out: &mut String) {
    let ledger = match &facts.ledger {
        Ok(ledger) => ledger,
        Err(why) => return absent(out, why),
    };
    note(
        out,
        "Every submission with what was known and what came back. `z` is actual minus predicted public score in standard \
         errors: beyond 2 the prediction was wrong, or the data changed.",
    );
    let high = facts.metric.higher_is_better;
    let has = |of: fn(&Entry) -> bool| ledger.iter().any(of);
    let (dates, privates, remarks) =
        (has(|it| !it.when.is_empty()), has(|it| it.private.is_some()), has(|it| !it.remark.is_empty()));
    let mut columns = vec![text("submission")];
    if dates {
        columns.push(text("when"));
    }
    columns.extend([
        number("CV").high_first(high),
        number("predicted").high_first(high),
        number("\u{b1} se"),
        number("public").high_first(high),
        number("z").high_first(true),
    ]);
    if privates {
        columns.push(number("private").high_first(high));
    }
    if remarks {
        columns.push(text("remark"));
    }
    let mut table = Table::new("ledger-table", columns);
    for entry in ledger {
        let mut cells = Vec::new();
        if dates {
            cells.push(words(&entry.when));
        }
        let (predicted, error) = entry.predicted.map_or((None, None), |(score, error)| (Some(score), error));
        let z = entry.public.zip(predicted).zip(error).map(|((public, predicted), error)| (public - predicted) / error);
        cells.extend([
            cell(entry.cv, score),
            cell(predicted, score),
            cell(error, score),
            cell(entry.public, score),
            cell(z.filter(|z| z.is_finite()), |z| signed(z, 1)),
        ]);
        if privates {
            cells.push(cell(entry.private, score));
        }
        if remarks {
            cells.push(prose(&entry.remark));
        }
        table.row(if entry.is_blend { "is-blend" } else { "" }, &entry.name, &cells);
    }
    out.push_str(&table.finish("Ledger of submissions"));
}

//! The ledger's public scores as the leaderboard that searches see. What it knows of private scores stays behind.

use super::{TestRows, decimals, resolve};
use crate::{context::Context, failure::Failure};
use blend_core::{Block, PublicLb, PublicPart, RowSet, ScoredFile, TableSource};
use blend_record::{
    Ledger, PublicRows, Recipe,
    ledger::{Predicted as Expected, PublicState, Standing},
};
use blend_search::{
    SearchError,
    leaderboard::{Board, LbError},
};

/// A leaderboard, and what was left out of it and why.
pub(crate) struct Known {
    pub(crate) lb: PublicLb,
    pub(crate) left_out: Vec<String>,
}

/// The rows that public scores are computed on, as competition.yaml tells.
pub(crate) fn public_part(context: &Context, test: &TestRows) -> Result<PublicPart, Failure> {
    let n_rows = test.rows.len();
    let place = context.show(&context.competition.file);
    let wrong = |message: String| Failure::usage(message).at(&place).hint("correct `leaderboard: {public_rows: ...}`");
    let rows = context.competition.leaderboard.as_ref().and_then(|it| it.public_rows.as_ref());
    Ok(match rows {
        None => {
            return Err(Failure::usage("which part of the test rows is public is not said").at(&place).hint(
                "add `leaderboard: {decimals: 5, public_rows: 0.25}`: all, a fraction, a count, or a file of ids",
            ));
        }
        Some(PublicRows::All) => PublicPart::Known(RowSet::all(n_rows)),
        Some(PublicRows::Fraction(fraction)) => {
            let n_public = (fraction * n_rows as f64).round() as usize;
            if n_public == 0 {
                return Err(wrong(format!("a public part of {fraction} is no row of {n_rows} test rows")));
            }
            PublicPart::Unknown { n_public }
        }
        Some(PublicRows::Count(count)) => {
            if *count > n_rows as u64 {
                return Err(wrong(format!("{count} public rows, but only {n_rows} test rows")));
            }
            PublicPart::Unknown { n_public: *count as usize }
        }
        Some(PublicRows::Ids(path)) => {
            let table = context.read(path, "`leaderboard` of competition.yaml", &[])?;
            let unknown = table.rows().find_in(&test.rows).iter().position(Option::is_none);
            if let Some(row) = unknown {
                return Err(Failure::data(format!("public row `{}` is no test row", table.rows().id(row)))
                    .at(context.show(path))
                    .hint("the file names ids of the sample submission"));
            }
            let mask: Vec<bool> = test.rows.find_in(table.rows()).iter().map(Option::is_some).collect();
            PublicPart::Known(RowSet::from_mask(&mask).map_err(|error| wrong(error.to_string()))?)
        }
        Some(PublicRows::Marked(mark)) => {
            let marked = context.marked(mark, &test.rows, "`leaderboard`")?;
            PublicPart::Known(RowSet::from_mask(&marked).map_err(|error| wrong(error.to_string()))?)
        }
    })
}

/// The scored files of a ledger, each content once, with `more` after them.
pub(crate) fn known(
    context: &Context,
    test: &TestRows,
    ledger: &Ledger,
    more: Vec<ScoredFile>,
) -> Result<Known, Failure> {
    let part = public_part(context, test)?;
    let (mut files, mut left_out) = (Vec::new(), Vec::new());
    for standing in ledger.standings(decimals(context)) {
        match &standing.public {
            PublicState::Unknown => {}
            PublicState::Conflict(_) => left_out.push(format!("{}: several scores", super::names(&standing))),
            PublicState::Known(given) => match values(context, test, ledger, &standing) {
                None => left_out.push(format!("{}: its values are not here any more", super::names(&standing))),
                Some(values) => files.push(ScoredFile {
                    name: super::names(&standing),
                    values,
                    score: given.score,
                    half_unit: half_unit(given.decimals.unwrap_or_else(|| decimals(context))),
                }),
            },
        }
    }
    files.extend(more);
    let lb = PublicLb::new(test.rows.len(), part, files).map_err(|error| failure(context, LbError::from(error)))?;
    Ok(Known { lb, left_out })
}

/// Half a unit of the last of so many decimals.
pub(crate) fn half_unit(decimals: u32) -> f64 {
    0.5 * 10f64.powi(-(decimals as i32))
}

/// The values of a scored content, by the first of its names that still leads to them.
pub(crate) fn values(context: &Context, test: &TestRows, ledger: &Ledger, standing: &Standing) -> Option<Block> {
    standing.names.iter().find_map(|what| resolve::of_line(context, test, ledger, what, standing.content))
}

/// What scores say of predictions: the canonical pair of the metric, or absolute errors by their moments.
pub(crate) fn of_metric(context: &Context, lb: &PublicLb) -> Result<Board, LbError> {
    let spec = &context.competition.metric;
    if spec.name == "mae" { Board::moment_matched(lb) } else { Board::new(lb, spec) }
}

/// As [`of_metric`], with the error's place.
pub(crate) fn board(context: &Context, lb: &PublicLb) -> Result<Board, Failure> {
    of_metric(context, lb).map_err(|error| failure(context, error))
}

/// The predicted public score of submitted values as the ledger keeps it: from the scored files, else what the search
/// that made the recipe said. `None` where nothing predicts it.
pub(crate) fn forecast(
    context: &Context,
    test: &TestRows,
    ledger: &Ledger,
    values: &Block,
    recipe: &Recipe,
) -> Option<Expected> {
    let known = known(context, test, ledger, Vec::new()).ok()?;
    match of_metric(context, &known.lb) {
        Ok(board) => {
            let it = board.predict(values);
            Some(Expected { score: it.score, standard_error: it.standard_error, method: it.method.name().to_owned() })
        }
        Err(LbError::NoMethod { .. }) => {
            let said = recipe.search.as_ref()?.predicted_public.as_ref()?;
            Some(Expected { score: said.score, standard_error: said.standard_error?, method: said.method.clone() })
        }
        Err(_) => None,
    }
}

/// The error with its place.
pub(crate) fn failure(context: &Context, error: LbError) -> Failure {
    if let LbError::Search(SearchError::Bind(error)) = error {
        return context.unjudged(error);
    }
    let ledger = context.show(&context.workspace.ledger_file(&context.competition.id));
    let place = match &error {
        LbError::Impossible { .. } | LbError::ImpossiblePair { .. } | LbError::BelowZero(_) => ledger,
        LbError::Board(blend_core::leaderboard::PublicLbError::Empty) => ledger,
        _ => context.show(&context.competition.file),
    };
    Failure::from(error).at(place)
}

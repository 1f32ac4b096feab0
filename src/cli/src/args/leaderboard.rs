//! What can be typed after `blend lb`.

use clap::{Args, Subcommand};
use std::{num::NonZeroUsize, path::PathBuf};

#[derive(Debug, Args)]
pub(crate) struct Lb {
    #[command(subcommand)]
    pub(crate) action: LbAction,
}

#[derive(Debug, Subcommand)]
pub(crate) enum LbAction {
    /// Record a score.
    Add(LbAdd),
    /// Record the scores of a table: what `kaggle competitions submissions COMP -v` prints, or any CSV with a name and
    /// a score.
    Import(LbImport),
    /// Everything that was made and scored: CV, predicted and actual public score, private score.
    Show(LbShow),
    /// The public score that a model, a recipe, a submission or a file would get, before it is sent.
    Predict(LbPredict),
    /// Which files' scores would teach most about the others'.
    Plan(LbPlan),
}

#[derive(Debug, Args)]
pub(crate) struct LbAdd {
    /// A model, a submission, its id (`blend:` and 12 digits), or a file.
    pub(crate) what: String,
    /// The public score, as the leaderboard shows it.
    #[arg(allow_negative_numbers = true, required_unless_present = "private")]
    pub(crate) score: Option<String>,
    /// The private score, once it is known. No search ever sees it.
    #[arg(long, value_name = "SCORE", allow_negative_numbers = true)]
    pub(crate) private: Option<f64>,
    /// Decimals that the score was rounded to, where they are not the competition's.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(0..=15))]
    pub(crate) decimals: Option<u32>,
    /// Scores recorded before were wrong: this one holds.
    #[arg(long)]
    pub(crate) correct: bool,
}

#[derive(Debug, Args)]
pub(crate) struct LbImport {
    /// The table; `-` reads standard input.
    pub(crate) file: PathBuf,
    /// Column that says what was scored.
    #[arg(long, value_name = "COLUMN")]
    pub(crate) name_column: Option<String>,
    /// Column of public scores.
    #[arg(long, value_name = "COLUMN")]
    pub(crate) score_column: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct LbShow {
    /// Print the table as CSV.
    #[arg(long, conflicts_with = "json")]
    pub(crate) csv: bool,
}

#[derive(Debug, Args)]
pub(crate) struct LbPredict {
    /// A model, a recipe, a submission, its id (`blend:` and 12 digits), or a file.
    #[arg(required = true)]
    pub(crate) what: Vec<String>,
}

#[derive(Debug, Args)]
pub(crate) struct LbPlan {
    /// Submissions that are left.
    #[arg(long, value_name = "N", default_value = "5", value_parser = super::count, allow_negative_numbers = true)]
    pub(crate) budget: NonZeroUsize,
}

#[derive(Debug, Args)]
pub(crate) struct Select {
    /// Recipes to choose from; `best_cv`, `best_lb` and `best_pooled` where none is named.
    pub(crate) blends: Vec<String>,
}

//! What can be typed.

pub(crate) mod leaderboard;

use clap::{Args, Parser, Subcommand, ValueEnum};
use std::{num::NonZeroUsize, path::PathBuf, time::Duration};

/// What every verb takes stands below what is a verb's own.
const GLOBAL: &str = "Global options";

/// Ensemble blending and submissions: predict, audit, search, submit, verify.
#[derive(Debug, Parser)]
#[command(name = "blend", version, about, max_term_width = 100)]
pub(crate) struct Arguments {
    /// Folder to start looking for the workspace (a folder with `models/`) from.
    #[arg(short = 'C', global = true, help_heading = GLOBAL, value_name = "DIR", default_value = ".")]
    pub(crate) directory: PathBuf,
    /// Competition; may be left out where there is one, or one says `default: true`.
    #[arg(short, long, global = true, help_heading = GLOBAL, env = "BLEND_COMPETITION", value_name = "NAME")]
    pub(crate) competition: Option<String>,
    /// Print one JSON object on standard output.
    #[arg(long, global = true, help_heading = GLOBAL)]
    pub(crate) json: bool,
    /// No progress, no notes: only the result and errors.
    #[arg(short, long, global = true, help_heading = GLOBAL, conflicts_with = "verbose")]
    pub(crate) quiet: bool,
    /// More of what happens; twice for everything.
    #[arg(short, long, global = true, help_heading = GLOBAL, action = clap::ArgAction::Count)]
    pub(crate) verbose: u8,
    /// Threads; all cores where not given. Results do not depend on it.
    #[arg(long, global = true, help_heading = GLOBAL, value_name = "N", value_parser = count)]
    #[arg(allow_negative_numbers = true)]
    pub(crate) threads: Option<NonZeroUsize>,
    /// Seed of everything random.
    #[arg(long, global = true, help_heading = GLOBAL, value_name = "N", default_value_t = 0)]
    #[arg(allow_negative_numbers = true)]
    pub(crate) seed: u64,
    /// Color on a terminal.
    #[arg(long, global = true, help_heading = GLOBAL, value_name = "WHEN", default_value = "auto")]
    pub(crate) color: Color,
    /// Let YAML files name files outside the workspace.
    #[arg(long, global = true, help_heading = GLOBAL)]
    pub(crate) allow_outside: bool,
    #[command(subcommand)]
    pub(crate) verb: Verb,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Color {
    Auto,
    Always,
    Never,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Write a competition.yaml, checked against the files it names.
    Init(Init),
    /// Store a model's predictions from files: aligned by id, checked, fingerprinted.
    Import(Import),
    /// Run models' ONNX graphs over their inputs and store the outputs.
    Predict(Predict),
    /// What a process of `predict --executor` runs.
    #[command(name = crate::verb::predict::local::VERB, hide = true)]
    PredictShards(Predict),
    /// What there is: models, blends, metrics, spaces, solvers, checks.
    List(List),
    /// Scores of every model, and everything that is wrong with a file.
    Audit(Audit),
    /// Find weights: certificate, honest scores, recipe.
    Search(Search),
    /// Regenerate submissions from recipes and stored outputs.
    Submit(Submit),
    /// Public scores in, predicted public scores out.
    Lb(leaderboard::Lb),
    /// The two finals, and why.
    Select(leaderboard::Select),
    /// Everything there is to know on one HTML page.
    Report(Report),
    /// Re-hash the chain submission, recipe, outputs, graphs, data.
    Verify(Verify),
    /// What inference would run on, and what is missing.
    Doctor(Doctor),
    /// Fetch ONNX Runtime.
    Runtime(Runtime),
}

#[derive(Debug, Args)]
pub(crate) struct Init {
    /// Name of the competition, also of its folder.
    pub(crate) name: String,
    /// Metric; see `blend list metrics`.
    #[arg(long)]
    pub(crate) metric: String,
    /// File of the true values.
    #[arg(long, value_name = "FILE")]
    pub(crate) truth: PathBuf,
    /// Id column; the truth's first column where not given.
    #[arg(long, value_name = "COLUMN")]
    pub(crate) id: Option<String>,
    /// Target columns; all but the id where not given.
    #[arg(long, value_name = "A,B", value_delimiter = ',')]
    pub(crate) targets: Vec<String>,
    /// Fold map: FILE or FILE:COLUMN (column `fold` where not given).
    #[arg(long, value_name = "FILE[:COLUMN]")]
    pub(crate) folds: Option<String>,
    /// Sample submission.
    #[arg(long, value_name = "FILE")]
    pub(crate) sample_submission: Option<PathBuf>,
    /// Default space of searches; see `blend list spaces`.
    #[arg(long)]
    pub(crate) space: Option<String>,
    /// Replace a competition.yaml that is there.
    #[arg(long)]
    pub(crate) force: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Import {
    /// Name of the model, also of its folder.
    pub(crate) model: String,
    /// Out-of-fold predictions; several files are one per fold and together cover every row once.
    #[arg(long, value_name = "FILE", num_args = 1.., required_unless_present = "test")]
    pub(crate) oof: Vec<PathBuf>,
    /// Test predictions.
    #[arg(long, value_name = "FILE")]
    pub(crate) test: Option<PathBuf>,
    /// What the numbers are: probability, logit, `class_probabilities`, `class_logits`, value, rank, vector, label.
    #[arg(long, value_name = "KIND")]
    pub(crate) output: Option<String>,
    /// Row order of files without ids: `truth` (test files: the sample submission's), or a file with the id column.
    #[arg(long, value_name = "truth|FILE")]
    pub(crate) rows: Option<String>,
    /// Columns of the files that hold the outputs, in the competition's order.
    #[arg(long, value_name = "A,B", value_delimiter = ',')]
    pub(crate) columns: Vec<String>,
    /// Stored number format.
    #[arg(long, value_name = "TYPE", default_value = "f32")]
    pub(crate) dtype: Dtype,
    /// Values were predicted on another scale: exp or expm1 brings them back.
    #[arg(long, value_name = "exp|expm1")]
    pub(crate) transform: Option<String>,
    /// Order of a vector's components.
    #[arg(long, value_name = "xyz|yxz")]
    pub(crate) frame: Option<String>,
    /// Replace outputs that were predicted here.
    #[arg(long)]
    pub(crate) force: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Dtype {
    F32,
    F64,
}

/// How inference runs.
#[derive(Debug, Args)]
pub(crate) struct Engine {
    /// Engine: ONNX Runtime or the embedded one; the first that is found where not given.
    #[arg(long, value_name = "ort|rten")]
    pub(crate) engine: Option<EngineName>,
    /// The ONNX Runtime library to load, and no other.
    #[arg(long, value_name = "FILE")]
    pub(crate) ort_lib: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum EngineName {
    Ort,
    Rten,
}

#[derive(Debug, Args)]
pub(crate) struct Predict {
    /// Models; all that have graphs where none is named.
    pub(crate) models: Vec<String>,
    /// What to predict.
    #[arg(long, value_name = "oof,test", value_delimiter = ',')]
    pub(crate) split: Vec<SplitName>,
    /// Where to run: auto, cpu, cuda (every device there is), cuda:N or cuda:N,M.
    #[arg(long, value_name = "DEVICE", default_value = "auto")]
    pub(crate) device: String,
    /// Rows per run of a graph, instead of the model's own.
    #[arg(long, value_name = "N", value_parser = count, allow_negative_numbers = true)]
    pub(crate) batch_size: Option<NonZeroUsize>,
    /// Run again what is already there for the same inputs.
    #[arg(long)]
    pub(crate) force: bool,
    /// Graphs in processes of their own, N at a time: one that crashes does not end the run.
    #[arg(long, value_name = "local:N", value_parser = crate::verb::predict::local::workers)]
    pub(crate) executor: Option<usize>,
    /// Count, measure a few batches, and say what the run would cost; nothing is stored.
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Time there is, as 90s, 30m or 9h: what does not fit is left for the next run; with --dry-run, exit code 1.
    #[arg(long, value_name = "TIME", value_parser = duration, allow_hyphen_values = true)]
    pub(crate) time_budget: Option<Duration>,
    #[command(flatten)]
    pub(crate) engine: Engine,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum SplitName {
    Oof,
    Test,
}

impl SplitName {
    /// As it is typed.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Oof => "oof",
            Self::Test => "test",
        }
    }
}

/// `90`, `90s`, `30m`, `1.5h`.
fn duration(text: &str) -> Result<Duration, String> {
    let (number, unit) = text.split_at(text.trim_end_matches(|c: char| c.is_ascii_alphabetic()).len());
    let number: Option<f64> = number.parse().ok();
    if number.is_some_and(|number| number < 0.0) {
        return Err(NEGATIVE.to_owned());
    }
    let seconds = match unit {
        "" | "s" => 1.0,
        "m" | "min" => 60.0,
        "h" => 3600.0,
        _ if number.is_some() => return Err(format!("`{unit}` is no unit of time: s, m or h")),
        _ => 1.0,
    };
    let number = number.filter(|number| (0.0..1e9).contains(number));
    let wrong = || format!("`{text}` is no time: seconds, or 90s, 30m, 1.5h");
    number.map(|number| Duration::from_secs_f64(number * seconds)).ok_or_else(wrong)
}

/// What is said of a number below zero.
const NEGATIVE: &str = "must not be negative";

/// A whole number above zero. The words of the standard library are about types.
pub(crate) fn count(text: &str) -> Result<NonZeroUsize, String> {
    match text.parse::<usize>() {
        Ok(number) => NonZeroUsize::new(number).ok_or_else(|| "must be 1 or more".to_owned()),
        Err(_) if text.parse::<f64>().is_ok_and(|number| number < 0.0) => Err(NEGATIVE.to_owned()),
        Err(_) => Err("must be a whole number, 1 or more".to_owned()),
    }
}

/// A number that is not below zero.
fn not_negative(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(number) if number < 0.0 => Err(NEGATIVE.to_owned()),
        Ok(number) => Ok(number),
        Err(_) => Err("must be a number".to_owned()),
    }
}

#[derive(Debug, Args)]
pub(crate) struct List {
    /// What to list.
    #[arg(default_value = "models")]
    pub(crate) what: Listed,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Listed {
    Models,
    Blends,
    Metrics,
    Spaces,
    Solvers,
    Checks,
}

#[derive(Debug, Args)]
pub(crate) struct Audit {
    /// Models; all where none is named.
    pub(crate) models: Vec<String>,
    /// Accept what a check finds, in this run; `allow:` in a model.yaml accepts it for good, with the reason. See `blend
    /// list checks`.
    #[arg(long, value_name = "CHECK")]
    pub(crate) allow: Vec<String>,
    /// Scores of what to show: models, or folds, targets or groups by model.
    #[arg(long, value_name = "WHAT", default_value = "models")]
    pub(crate) by: AuditBy,
    /// Order of the rows: `name`, `score` (of models: the best first; else: the worst first), or a model's name.
    #[arg(long, value_name = "KEY", default_value = "name")]
    pub(crate) sort: String,
    /// Also write the page of `blend report`.
    #[arg(long, value_name = "FILE")]
    pub(crate) html: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum AuditBy {
    Models,
    Folds,
    Targets,
    Groups,
}

#[derive(Debug, Args)]
pub(crate) struct Search {
    /// What the blend is best at.
    #[arg(long, default_value = "cv")]
    pub(crate) target: Target,
    /// Scale of averaging; the competition's where not given. See `blend list spaces`.
    #[arg(long)]
    pub(crate) space: Option<String>,
    /// Allowed weights: simplex, box, nonnegative, affine, free.
    #[arg(long, default_value = "simplex")]
    pub(crate) domain: String,
    /// Solver; the one that suits where not given. See `blend list solvers`.
    #[arg(long)]
    pub(crate) solver: Option<String>,
    /// Members; all models with out-of-fold outputs where not given.
    #[arg(long, value_name = "A,B", value_delimiter = ',')]
    pub(crate) members: Vec<String>,
    /// Models to leave out.
    #[arg(long, value_name = "A,B", value_delimiter = ',')]
    pub(crate) exclude: Vec<String>,
    /// Give a model its weight; the others are searched. May be repeated.
    #[arg(long, value_name = "MODEL=WEIGHT")]
    pub(crate) fix: Vec<String>,
    /// Lowest and highest weight of all models, or of one; either end may be left out. May be repeated.
    #[arg(long, value_name = "[MODEL=]LOW:HIGH", allow_hyphen_values = true)]
    pub(crate) bounds: Vec<String>,
    /// Also search a number that is added to the blend; for domains without a sum (box, nonnegative, free).
    #[arg(long)]
    pub(crate) intercept: bool,
    /// Most models with a weight.
    #[arg(long, value_name = "N", value_parser = count, allow_negative_numbers = true)]
    pub(crate) max_members: Option<NonZeroUsize>,
    /// Lowest weight of a model that has one at all.
    #[arg(long, value_name = "WEIGHT", value_parser = not_negative, allow_negative_numbers = true)]
    pub(crate) min_weight: Option<f64>,
    /// Time that the chosen models' inference may take together, by the run records: 30, 90s, 30m or 9h.
    #[arg(long, value_name = "TIME", value_parser = duration, allow_hyphen_values = true)]
    pub(crate) inference_budget: Option<Duration>,
    /// Where weights differ: global, per-target, targets:FILE (columns: target, group) or rows:FILE:COLUMN.
    #[arg(long, value_name = "WHERE", default_value = "global")]
    pub(crate) granularity: String,
    /// How strongly the weights of `--granularity` are drawn together: from 0 (each part alone) up; chosen where not
    /// given.
    #[arg(long, value_name = "STRENGTH", allow_negative_numbers = true)]
    pub(crate) lambda: Option<f64>,
    /// Fit the blend's confidence afterwards, nested scores included.
    #[arg(long, value_name = "temperature|affine")]
    pub(crate) calibrate: Option<Calibration>,
    /// Longest time of nested scores, as 30, 90s, 30m or 9h; what they have not finished by then is cut short, and said
    /// so.
    #[arg(long, value_name = "TIME", value_parser = duration, allow_hyphen_values = true)]
    pub(crate) honest_budget: Option<Duration>,
    /// Write every iteration to a file: CSV where its name ends in .csv, else one JSON object per line.
    #[arg(long, value_name = "FILE")]
    pub(crate) trace: Option<PathBuf>,
    /// Picks of `--solver greedy`; 100 where not given.
    #[arg(long, value_name = "N", value_parser = count, allow_negative_numbers = true)]
    pub(crate) max_picks: Option<NonZeroUsize>,
    /// Longest time of the search proper, as 30, 90s, 30m or 9h; it ends with the best so far. Reading comes before it,
    /// nested scores after it: each of their parts has as long (see `--honest-budget`).
    #[arg(long, value_name = "TIME", value_parser = duration, allow_hyphen_values = true)]
    pub(crate) time_limit: Option<Duration>,
    /// Leave out nested scores and intervals.
    #[arg(long)]
    pub(crate) no_nested: bool,
    /// What a public row is worth in `--target pooled`, in out-of-fold rows; 1 where not given.
    #[arg(long, value_name = "NUMBER", value_parser = not_negative, allow_negative_numbers = true)]
    pub(crate) kappa: Option<f64>,
    /// Name of the recipe; `best_cv`, `best_lb` or `best_pooled` where not given.
    #[arg(long)]
    pub(crate) name: Option<String>,
    /// Replace a recipe that was written by hand.
    #[arg(long)]
    pub(crate) force: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Calibration {
    /// How sure: one number.
    Temperature,
    /// How sure, and which way it leans.
    Affine,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Target {
    /// The cross-validation score.
    Cv,
    /// The public leaderboard's, from the scores in the ledger.
    Lb,
    /// Both, by their numbers of rows.
    Pooled,
}

#[derive(Debug, Args)]
pub(crate) struct Submit {
    /// Blends; `best_cv` where none is named.
    pub(crate) blends: Vec<String>,
    /// Labels of the test rows, known after a contest: also say what the submission would have scored, apart for each
    /// value of the column `usage` where there is one.
    #[arg(long, value_name = "FILE")]
    pub(crate) labels: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct Report {
    /// Where to write the page; `submissions/COMPETITION/report.html` where not given.
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
    /// What `search --json` printed: what is lost without each member, and for older recipes the spread of the weights.
    #[arg(long, value_name = "FILE")]
    pub(crate) search: Vec<PathBuf>,
    /// Iterations that `search --trace` wrote, to be drawn.
    #[arg(long, value_name = "FILE")]
    pub(crate) trace: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct Verify {
    /// Submissions (names or files); all where none is named.
    pub(crate) files: Vec<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Doctor {
    #[command(flatten)]
    pub(crate) engine: Engine,
}

#[derive(Debug, Args)]
pub(crate) struct Runtime {
    #[command(subcommand)]
    pub(crate) action: RuntimeAction,
}

#[derive(Debug, Subcommand)]
pub(crate) enum RuntimeAction {
    /// Fetch ONNX Runtime into the workspace with pip.
    Install {
        /// The CUDA build with its libraries (about 3 GB).
        #[arg(long)]
        gpu: bool,
        /// Python to run pip with.
        #[arg(long, value_name = "PROGRAM", default_value = "python3")]
        python: String,
    },
}

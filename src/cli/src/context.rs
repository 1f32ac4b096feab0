//! A competition as a verb needs it: metric, truth, scope, folds, groups and sample, read and aligned once.

use crate::{
    args::Arguments,
    failure::{self, Failure},
    labels,
};
use blend_core::{
    Fingerprint, Folds, RowIndex, RowSet, Scope, Truth,
    manifest::ColumnFile,
    metric::{self, BindError, GraphSpec, Metric},
    scorer::Outside,
    space::SpaceName,
};
use blend_infer::{MetricGraph, Runtime, Search};
use blend_record::{Competition, Mark, Sample, Workspace, fingerprint_of_file};
use blend_store::{IdSpec, ReadOptions, Table};
use std::{path::Path, sync::Arc};

/// The competition that a command is about.
pub(crate) struct Context {
    pub(crate) workspace: Workspace,
    pub(crate) competition: Competition,
    pub(crate) metric: Box<dyn Metric>,
}

/// What scoring needs.
pub(crate) struct Judged {
    pub(crate) truth: Truth,
    pub(crate) scope: Scope,
    pub(crate) folds: Option<Folds>,
    /// Number of each row's group.
    pub(crate) groups: Option<Vec<u32>>,
    /// Names of the groups by number; empty where there are none.
    pub(crate) group_names: Vec<String>,
    /// The truth file's bytes.
    pub(crate) fingerprint: Fingerprint,
}

impl Context {
    /// Finds the workspace and reads the competition.
    pub(crate) fn open(arguments: &Arguments) -> Result<Self, Failure> {
        let workspace = Workspace::find(&arguments.directory, arguments.allow_outside)?;
        let competition = workspace.pick(arguments.competition.as_deref())?;
        let metric = match &competition.metric.graph {
            Some(graph) => own_metric(&workspace, graph)?,
            None => metric::build(&competition.metric)
                .map_err(|error| failure::of_spec(&error, competition.file.display()))?,
        };
        Ok(Self { workspace, competition, metric })
    }

    /// Refuses scores that a metric could not give after all.
    pub(crate) fn refuse_fault(&self) -> Result<(), Failure> {
        let Some(why) = self.metric.fault() else { return Ok(()) };
        let graph = self.competition.metric.graph.as_ref().map_or(&self.competition.file, |graph| &graph.file);
        Err(Failure::data(format!("the metric has no score for a prediction: {why}"))
            .at(self.show(graph))
            .hint("a metric gives a finite number for any prediction: clip what is taken a logarithm or root of"))
    }

    /// What is said where the metric cannot judge the labels.
    pub(crate) fn unjudged(&self, error: BindError) -> Failure {
        let place = |path: &Path| self.show(path);
        match (&self.competition.metric.graph, &error) {
            (Some(graph), BindError::Undefined { why, .. }) => Failure::data(format!(
                "the metric has no score for the rows of the truth: {why}"
            ))
            .at(place(&graph.file))
            .details("it was asked about predictions near the truth")
            .hint(
                "it takes `truth` and `prediction` and gives a finite score, or a finite loss for each row that \
                         other rows do not change: clip what is taken a logarithm or root of, or divided by",
            ),
            (None, BindError::Undefined { metric, .. }) if self.lacks_strata() => {
                let line = format!("metric: {{name: {metric}, strata: {{file: data/train.csv, column: race}}}}");
                Failure::usage(error.to_string())
                    .at(place(&self.competition.file))
                    .hint(format!("name the column that holds them, as `{line}`"))
            }
            _ => Failure::from(error).at(place(self.competition.truth.as_ref().unwrap_or(&self.competition.file))),
        }
    }

    /// Whether the metric is one of strata, and none are named.
    fn lacks_strata(&self) -> bool {
        self.metric.info().options.contains(&"strata") && self.competition.metric.strata.is_none()
    }

    /// The space of searches: the competition's, else the metric's own.
    pub(crate) fn space(&self) -> SpaceName {
        self.competition.space.unwrap_or(self.metric.info().space)
    }

    /// Reads truth, folds, scope and groups. Errors where the competition has no truth.
    pub(crate) fn judged(&self) -> Result<Judged, Failure> {
        let Some(path) = &self.competition.truth else {
            return Err(Failure::usage(format!("competition `{}` names no truth", self.competition.id))
                .at(self.competition.file.display())
                .hint("add `truth: FILE`: scores and searches need labels"));
        };
        let table = self.read(path, "`truth` of competition.yaml", &labels::text_columns(self))?;
        let rows = blend_core::TableSource::rows(&table).clone();
        let folds = self.folds(&rows)?;
        let scope = self.scope(&rows, folds.as_ref())?;
        let truth = labels::truth(self, &table, &scope)?;
        let (groups, group_names) = match &self.competition.groups {
            Some(file) => {
                let (groups, names) = numbered(&self.texts(file, &rows, "`groups`")?);
                (Some(groups), names)
            }
            None => (None, Vec::new()),
        };
        let fingerprint = file_fingerprint(path)?;
        Ok(Judged { truth, scope, folds, groups, group_names, fingerprint })
    }

    /// Reads a table of the competition by its id column; npy files have none and are taken in their own order.
    pub(crate) fn read(&self, path: &Path, named_by: &str, text: &[String]) -> Result<Table, Failure> {
        let without_ids = path.extension().is_some_and(|extension| extension == "npy");
        let id = if without_ids { IdSpec::Positions } else { IdSpec::Column(self.competition.id_column.clone()) };
        let options = ReadOptions { id, text: text.to_vec(), ..ReadOptions::default() };
        Table::read(path, &options).map_err(|error| unread(error, path, named_by))
    }

    /// A column of a file as text, in the order of `rows`.
    fn texts(&self, file: &ColumnFile, rows: &RowIndex, named_by: &str) -> Result<Vec<String>, Failure> {
        self.texts_of(file, rows, &format!("{named_by} of competition.yaml"))
    }

    /// The group of each of `rows`, by a column of a table that a search or a recipe names.
    pub(crate) fn row_groups(&self, file: &ColumnFile, rows: &RowIndex) -> Result<Vec<String>, Failure> {
        self.texts_of(file, rows, "the granularity of the blend")
    }

    fn texts_of(&self, file: &ColumnFile, rows: &RowIndex, named_by: &str) -> Result<Vec<String>, Failure> {
        let table = self.read(&file.file, named_by, std::slice::from_ref(&file.column))?;
        let texts = table.texts(&file.column).map_err(|error| Failure::from(error).at(file.file.display()))?;
        let positions = positions(rows, &table, &file.file)?;
        Ok(positions.into_iter().map(|row| texts[row as usize].clone()).collect())
    }

    /// A column of a file in the order of `rows`, its values numbered as they first appear.
    pub(crate) fn numbered(&self, file: &ColumnFile, rows: &RowIndex, named_by: &str) -> Result<Vec<u32>, Failure> {
        Ok(numbered(&self.texts(file, rows, named_by)?).0)
    }

    /// A numeric column of a file in the order of `rows`.
    pub(crate) fn numbers(&self, file: &ColumnFile, rows: &RowIndex, named_by: &str) -> Result<Vec<f64>, Failure> {
        let named_by = format!("{named_by} of competition.yaml");
        let table = self.read(&file.file, &named_by, &[])?;
        let numbers = table.numbers(&file.column).map_err(|error| Failure::from(error).at(file.file.display()))?;
        let positions = positions(rows, &table, &file.file)?;
        Ok(positions.into_iter().map(|row| numbers[row as usize]).collect())
    }

    /// The competition's fold map on `rows`.
    fn folds(&self, rows: &RowIndex) -> Result<Option<Folds>, Failure> {
        self.competition.folds.as_ref().map(|file| self.fold_map(file, rows)).transpose()
    }

    /// A fold map on `rows`.
    pub(crate) fn fold_map(&self, file: &ColumnFile, rows: &RowIndex) -> Result<Folds, Failure> {
        let numbers = self.numbers(file, rows, "`folds`")?;
        if let Some(row) = numbers.iter().position(|label| label.fract() != 0.0 || label.abs() > 1e15) {
            return Err(Failure::data(format!(
                "fold label {} of row `{}` is no whole number",
                numbers[row],
                rows.id(row)
            ))
            .at(file.file.display())
            .hint(failure::FOLD_LABELS));
        }
        let labels = numbers.into_iter().map(|label| label as i64).collect();
        Folds::new(rows.clone(), labels).map_err(|error| Failure::from(error).at(file.file.display()))
    }

    fn scope(&self, rows: &RowIndex, folds: Option<&Folds>) -> Result<Scope, Failure> {
        let mut keep = vec![true; rows.len()];
        let mut name = Vec::new();
        if let Some(rule) = &self.competition.scope {
            let marked = self.marked(&rule.mark, rows, "`scope`")?;
            keep.iter_mut().zip(&marked).for_each(|(keep, marked)| *keep = *marked == rule.include);
            name.push(rule.name.clone());
        }
        if let Some(folds) = folds
            && folds.labels().contains(&-1)
        {
            keep.iter_mut().zip(folds.labels()).for_each(|(keep, label)| *keep = *keep && *label >= 0);
            name.push("held-out rows".to_owned());
        }
        if name.is_empty() {
            return Ok(Scope::all(rows.len()));
        }
        let rows = RowSet::from_mask(&keep).map_err(|error| {
            Failure::data(error.to_string()).at(self.competition.file.display()).hint("check `scope` and `folds`")
        })?;
        Ok(Scope { name: name.join(", "), rows })
    }

    /// Which of `rows` a file marks.
    pub(crate) fn marked(&self, mark: &Mark, rows: &RowIndex, named_by: &str) -> Result<Vec<bool>, Failure> {
        let file = ColumnFile { file: mark.file.clone(), column: mark.column.clone() };
        let texts = self.texts(&file, rows, named_by)?;
        let number: Option<f64> = mark.equals.parse().ok();
        let equals = |text: &String| *text == mark.equals || (number.is_some() && text.parse::<f64>().ok() == number);
        let marked: Vec<bool> = texts.iter().map(equals).collect();
        if marked.iter().any(|it| *it) {
            return Ok(marked);
        }
        let mut seen: Vec<&str> = texts.iter().map(String::as_str).collect();
        seen.sort_unstable();
        seen.dedup();
        seen.truncate(8);
        Err(Failure::data(format!("no row has `{}` equal to `{}`", mark.column, mark.equals))
            .at(mark.file.display())
            .hint(format!(
                "the column holds {}; {named_by} of competition.yaml asks for another value",
                seen.join(", ")
            )))
    }

    /// The sample submission.
    pub(crate) fn sample(&self) -> Result<Option<Sample>, Failure> {
        let Some(path) = &self.competition.sample_submission else { return Ok(None) };
        let named_by = "`sample_submission` of competition.yaml";
        let text = blend_store::csv_text(path).map_err(|error| unread(error, path, named_by))?;
        Ok(Some(Sample::new(path, text, file_fingerprint(path)?, &self.competition.id_column)?))
    }

    /// `path` as it reads from the workspace.
    pub(crate) fn show(&self, path: &Path) -> String {
        self.workspace.show(path).display().to_string()
    }
}

/// The failure of reading a file of the competition.
fn unread(error: blend_store::StoreError, path: &Path, named_by: &str) -> Failure {
    let failure = Failure::from(error).at(path.display());
    if path.exists() { failure } else { failure.hint_instead(format!("it is named by {named_by}")) }
}

/// A metric that is a graph of the competition.
fn own_metric(workspace: &Workspace, graph: &GraphSpec) -> Result<Box<dyn Metric>, Failure> {
    let place = workspace.show(&graph.file).display().to_string();
    let runtime = Runtime::open(&Search::from_env(Some(workspace.root()))).map_err(Failure::from)?;
    let loaded = MetricGraph::open(&runtime, &graph.file).map_err(|error| Failure::from(error).at(&place))?;
    let name = graph.file.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let label = format!("graph({name}, {})", loaded.fingerprint().short());
    Ok(Box::new(Outside::new(label, graph.better, graph.classes, Arc::new(loaded))))
}

/// For each of `rows` its position in `table`; errors where one is missing.
fn positions(rows: &RowIndex, table: &Table, path: &Path) -> Result<Vec<u32>, Failure> {
    let found = rows.find_in(blend_core::TableSource::rows(table));
    let missing = found.iter().filter(|it| it.is_none()).count();
    if missing == 0 {
        return Ok(found.into_iter().flatten().collect());
    }
    let first = found.iter().position(Option::is_none).map_or_else(String::new, |row| rows.id(row).into_owned());
    Err(Failure::data("a table does not cover the rows that it is needed for")
        .at(path.display())
        .details(format!("{} rows wanted: {missing} ids missing (first `{first}`)", rows.len()))
        .hint("add those ids where the table was made"))
}

/// Texts to numbers in order of first appearance, and the texts by number.
fn numbered(texts: &[String]) -> (Vec<u32>, Vec<String>) {
    let mut known = std::collections::HashMap::new();
    let mut names = Vec::new();
    let numbers = texts
        .iter()
        .map(|text| {
            *known.entry(text.as_str()).or_insert_with(|| {
                names.push(text.clone());
                names.len() as u32 - 1
            })
        })
        .collect();
    (numbers, names)
}

/// The fingerprint of a file's bytes.
pub(crate) fn file_fingerprint(path: &Path) -> Result<Fingerprint, Failure> {
    fingerprint_of_file(path).map_err(|error| {
        Failure::new(failure::MACHINE, format!("cannot read the file: {error}"))
            .at(path.display())
            .hint("check that it is there and that this user may read it")
    })
}

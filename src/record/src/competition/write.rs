//! A [`Competition`] as YAML, for `blend init`.

use super::{Competition, Mark, PublicRows, Targets};
use crate::{
    workspace::Workspace,
    yaml::{
        parts::{write_column, write_mark, write_names, write_step},
        write::{self, Page},
    },
};
use blend_core::{Direction, manifest::ColumnFile, metric::MetricSpec};
use std::path::{Path, PathBuf};

impl Competition {
    /// The document with short comments: what is absent is shown as a comment, to be filled in. Same value, same
    /// bytes.
    #[must_use]
    pub fn to_yaml(&self, workspace: &Workspace) -> String {
        let folder = self.folder();
        let path = |path: &PathBuf| write::text(&workspace.written(folder, path));
        let column = |it: &ColumnFile| write_column(workspace, folder, it);
        let mut page = Page::default();
        page.comment("what is predicted and how it is judged; paths are relative to this file");
        page.line("competition", Some(write::text(self.id.as_str())));
        page.noted("default", self.default.then(|| "true".into()), "meant where no `-c NAME` is given");
        page.noted("metric", Some(write_metric(workspace, folder, &self.metric)), "blend list metrics");
        page.noted("space", self.space.map(|space| space.name().into()), "default space of searches");
        page.line("truth", self.truth.as_ref().map(path));
        page.line("id", Some(write::text(&self.id_column)));
        page.noted("targets", Some(write_names(&self.targets)), "\"*\": all columns but id; or a list");
        page.line("classes", self.classes.as_ref().map(|names| write_names(&Targets::Named(names.clone()))));
        let decode = self.decode.as_ref().map(|it| {
            write::map([("azimuth", Some(write::text(&it.azimuth))), ("zenith", Some(write::text(&it.zenith)))])
        });
        page.line("decode", decode);
        optional(&mut page, "folds", self.folds.as_ref().map(column), "{file: data/folds.csv, column: fold}");
        page.noted("groups", self.groups.as_ref().map(column), "resampling unit");
        page.noted("weights", self.weights.as_ref().map(column), "weight of each row");
        let scope = self.scope.as_ref().map(|it| {
            let mark = write_mark(workspace, folder, &it.mark.file, &it.mark.column, &it.mark.equals);
            let name = (it.name != default_scope_name(it.include, &it.mark)).then(|| write::text(&it.name));
            write::map([("name", name), (if it.include { "include" } else { "exclude" }, Some(mark))])
        });
        page.line("scope", scope);
        let sample = self.sample_submission.as_ref().map(path);
        optional(&mut page, "sample_submission", sample, "data/sample_submission.csv");
        if !self.post.is_empty() {
            page.items("post", self.post.iter().map(|step| write_step(workspace, folder, step)));
        }
        let leaderboard = self.leaderboard.as_ref().map(|it| {
            let rows = it.public_rows.as_ref().map(|rows| match rows {
                PublicRows::All => "all".into(),
                PublicRows::Fraction(fraction) => write::number(*fraction),
                PublicRows::Count(count) => count.to_string(),
                PublicRows::Ids(file) => path(file),
                PublicRows::Marked(mark) => write_mark(workspace, folder, &mark.file, &mark.column, &mark.equals),
            });
            write::map([("decimals", Some(it.decimals.to_string())), ("public_rows", rows)])
        });
        optional(&mut page, "leaderboard", leaderboard, "{decimals: 5, public_rows: 0.25}");
        page.finish()
    }
}

fn optional(page: &mut Page, key: &str, value: Option<String>, example: &str) {
    match value {
        None => page.comment(&format!("{key}: {example}")),
        value => page.line(key, value),
    }
}

fn write_metric(workspace: &Workspace, folder: &Path, metric: &MetricSpec) -> String {
    if let Some(graph) = &metric.graph {
        let better = if graph.better == Direction::Lower { "lower" } else { "higher" };
        return write::map([
            ("graph", Some(write::text(&workspace.written(folder, &graph.file)))),
            ("better", Some(better.to_owned())),
            ("labels", Some(if graph.classes { "classes" } else { "numbers" }.to_owned())),
        ]);
    }
    let weights: Vec<(&str, Option<String>)> =
        metric.class_weights.iter().map(|(class, weight)| (class.as_str(), Some(write::number(*weight)))).collect();
    let options = [
        ("clip", metric.clip.map(write::number)),
        ("renormalize", metric.renormalize.map(|it| it.to_string())),
        ("aggregation", metric.aggregation.as_deref().map(write::text)),
        ("class_weights", (!weights.is_empty()).then(|| write::map(weights))),
        ("k", metric.k.map(|k| k.to_string())),
        ("quantile", metric.quantile.map(write::number)),
        ("strata", metric.strata.as_ref().map(|strata| write_column(workspace, folder, strata))),
    ];
    let name = write::text(&metric.name);
    if options.iter().all(|(_, value)| value.is_none()) {
        return name;
    }
    write::map([("name", Some(name))].into_iter().chain(options))
}

pub(super) fn default_scope_name(include: bool, mark: &Mark) -> String {
    format!("{} {} {}", mark.column, if include { "=" } else { "!=" }, mark.equals)
}

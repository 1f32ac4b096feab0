//! `blend list`: what there is.

use crate::{
    args::{Arguments, List, Listed},
    context::Context,
    failure::Failure,
    outputs,
    report::{Screen, score, table::TextTable},
};
use blend_core::{Oof, Test, audit, metric, score::Direction, space};
use blend_record::Recipe;
use blend_search::solver;
use serde_json::{Value, json};

pub(crate) fn run(arguments: &Arguments, it: &List, screen: &Screen) -> Result<bool, Failure> {
    let (key, values, table) = match it.what {
        Listed::Models => models(&Context::open(arguments)?)?,
        Listed::Blends => blends(&Context::open(arguments)?)?,
        Listed::Metrics => metrics(),
        Listed::Spaces => spaces(),
        Listed::Solvers => solvers(),
        Listed::Checks => checks(),
    };
    if table.is_empty() {
        screen.line(format!("no {key} yet"));
    } else {
        screen.table(table);
    }
    screen.object(json!({ key: values }));
    Ok(false)
}

type Listing = (&'static str, Vec<Value>, TextTable);

fn models(context: &Context) -> Result<Listing, Failure> {
    let mut table = TextTable::new(&["model", "output", ">graphs", ">seeds", "oof", "test", ">claimed", "note"]);
    let mut values = Vec::new();
    for model in context.workspace.models(&context.competition.id)? {
        let manifest = outputs::manifest_of(context, &model)?;
        let has =
            [outputs::file::<Oof>(context, &model), outputs::file::<Test>(context, &model)].map(|path| path.exists());
        let stages: Vec<&str> = manifest.stages.iter().map(|stage| stage.graphs.as_str()).collect();
        let seeds = manifest.stages.iter().map(|stage| stage.seeds.len()).max().unwrap_or(0);
        let claimed = manifest.claimed.as_ref().map(|claimed| claimed.score);
        let yes = |it: bool| if it { "yes" } else { "-" }.to_owned();
        let absent = outputs::lacks_graphs(&manifest);
        table.row(vec![
            model.to_string(),
            manifest.encoding.kind.name().to_owned(),
            if stages.is_empty() { "imported".to_owned() } else { format!("{} stage(s)", stages.len()) },
            seeds.to_string(),
            yes(has[0]),
            yes(has[1]),
            claimed.map_or("-".to_owned(), |claimed| claimed.to_string()),
            if absent { format!("graphs absent: {}", manifest.how_to_get_graphs()) } else { String::new() },
        ]);
        values.push(json!({
            "model": model.as_str(),
            "output": manifest.encoding.kind.name(),
            "graphs": stages,
            "graphs_absent": absent,
            "export": manifest.export,
            "seeds": seeds,
            "oof": has[0],
            "test": has[1],
            "claimed": claimed,
        }));
    }
    Ok(("models", values, table))
}

fn blends(context: &Context) -> Result<Listing, Failure> {
    let mut table = TextTable::new(&["blend", "space", "domain", ">members", ">score", ">nested", "stop"]);
    let mut values = Vec::new();
    for name in context.workspace.blends(&context.competition.id)? {
        let recipe = Recipe::read(&context.workspace, &context.competition.id, &name)?;
        let found = recipe.search.as_ref();
        let cell = |value: Option<f64>| value.map_or("-".to_owned(), score);
        table.row(vec![
            name.to_string(),
            recipe.blend.space().name().to_owned(),
            recipe.blend.domain().name().to_owned(),
            recipe.blend.members().len().to_string(),
            cell(found.and_then(|found| found.score)),
            cell(found.and_then(|found| found.nested_score)),
            found.map_or("by hand".to_owned(), |found| found.stop.clone()),
        ]);
        values.push(json!({
            "blend": name.as_str(),
            "space": recipe.blend.space().name(),
            "domain": recipe.blend.domain().name(),
            "members": recipe.blend.members().len(),
            "score": found.and_then(|found| found.score),
            "nested_score": found.and_then(|found| found.nested_score),
            "stop": found.map(|found| found.stop.clone()),
        }));
    }
    Ok(("blends", values, table))
}

fn metrics() -> Listing {
    let mut table = TextTable::new(&["metric", "better", "unit", "judges", "formula"]);
    let mut values = Vec::new();
    for (info, _) in metric::CATALOGUE {
        let better = if info.direction == Direction::Lower { "lower" } else { "higher" };
        let options =
            if info.options.is_empty() { String::new() } else { format!(" (options: {})", info.options.join(", ")) };
        table.row(vec![
            info.name.to_owned(),
            better.to_owned(),
            info.unit.to_owned(),
            info.target.words().to_owned(),
            format!("{}{options}", info.formula),
        ]);
        values.push(json!({
            "metric": info.name,
            "better": better,
            "unit": info.unit,
            "range": [crate::report::number(info.range.0), crate::report::number(info.range.1)],
            "optimum": info.optimum,
            "formula": info.formula,
            "source": info.source,
            "judges": info.target.words(),
            "options": info.options,
            "space": info.space.name(),
        }));
    }
    ("metrics", values, table)
}

fn spaces() -> Listing {
    let mut table = TextTable::new(&["space", "for", "formula"]);
    let mut values = Vec::new();
    for (_, space) in space::CATALOGUE {
        let info = space.info();
        table.row(vec![info.name.to_owned(), info.usage.to_owned(), info.formula.to_owned()]);
        let accepts: Vec<&str> = info.accepts.iter().map(|kind| kind.name()).collect();
        values.push(json!({"space": info.name, "for": info.usage, "formula": info.formula, "accepts": accepts}));
    }
    ("spaces", values, table)
}

fn solvers() -> Listing {
    let mut table = TextTable::new(&["solver", "proves", "does"]);
    let mut values = Vec::new();
    for (_, solver) in solver::CATALOGUE {
        let info = solver.info();
        let proves = if info.certifies { "yes" } else { "-" };
        table.row(vec![info.name.to_owned(), proves.to_owned(), info.does.to_owned()]);
        values
            .push(json!({"solver": info.name, "certifies": info.certifies, "does": info.does, "source": info.source}));
    }
    ("solvers", values, table)
}

fn checks() -> Listing {
    let mut table = TextTable::new(&["check", "finds", "does"]);
    let mut values = Vec::new();
    for check in audit::CATALOGUE {
        let severities: Vec<&str> = check.severities.iter().map(|severity| severity.name()).collect();
        table.row(vec![check.name.to_owned(), severities.join(", "), check.does.to_owned()]);
        values.push(json!({"check": check.name, "severities": severities, "does": check.does}));
    }
    ("checks", values, table)
}

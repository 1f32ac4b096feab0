//! An audit as tables that fit the terminal.

use crate::{
    args::{Audit, AuditBy},
    audit::{AuditReport, Audited},
    failure::{self, Failure},
    report::{Screen, score, table::TextTable},
};
use blend_core::{
    ModelId,
    audit::{Finding, Severity},
    calibration::Calibration,
    compare::{Correlations, Relations},
    ensemble::Contribution,
    score::{Loss, Score},
    survey::Survey,
};

pub(crate) fn print(screen: &Screen, it: &AuditReport, asked: &Audit) -> Result<(), Failure> {
    let scope = it.scope.as_ref().map_or("no truth".to_owned(), |(name, rows)| format!("{name} ({rows} rows)"));
    screen.line(screen.bold(&format!("{}: {} on {scope}", it.competition, it.metric)));
    let table = match asked.by {
        AuditBy::Models => models(screen, it, &asked.sort)?,
        by => by_part(screen, it, by, &asked.sort)?,
    };
    screen.table(table);
    findings(screen, it);
    if let Some(survey) = &it.survey {
        blend(screen, survey);
        correlations(screen, &survey.models, survey.oof.as_ref(), "OOF");
        if let Some((models, test)) = &survey.test {
            correlations(screen, models, Some(test), "test");
        }
    }
    Ok(())
}

/// A cell of a table; a dash where there is nothing to show.
fn cell(value: Option<f64>) -> String {
    value.map_or("-".to_owned(), score)
}

/// One row per model. The columns that a narrow terminal has no room for come last in a wide one.
fn models(screen: &Screen, it: &AuditReport, sort: &str) -> Result<TextTable, Failure> {
    let survey = it.survey.as_ref();
    let n_folds = survey.map_or(0, |survey| survey.folds.len());
    let adds = survey.and_then(|survey| survey.contributions.as_ref());
    let calibrated = survey.is_some_and(|survey| survey.calibration.iter().any(Option::is_some));
    let claimed = it.models.iter().any(|model| model.claimed.is_some());
    let wide = screen.width() >= 110;
    let mut titles = vec!["model", ">pooled OOF"];
    if n_folds > 1 {
        titles.extend([">folds", ">spread"]);
        titles.extend(wide.then_some([">lowest", ">highest"]).into_iter().flatten());
    }
    titles.extend(adds.map(|_| ">adds"));
    titles.extend((wide && calibrated).then_some(">slope"));
    titles.extend((wide && claimed).then_some(">claimed"));
    titles.push("findings");
    let mut table = TextTable::new(&titles);
    for model in order(it, sort)? {
        let scores = it.scores(model);
        let of = |known: &dyn Fn(&Survey, usize) -> Option<String>| {
            survey.zip(model.surveyed).and_then(|(survey, at)| known(survey, at)).unwrap_or_else(|| "-".to_owned())
        };
        let mut row = vec![model.model.to_string(), cell(scores.and_then(|scores| scores.overall))];
        if n_folds > 1 {
            let over = scores.and_then(|scores| scores.over_folds());
            row.extend([cell(over.map(|(mean, _)| mean)), cell(over.map(|(_, spread)| spread))]);
            if wide {
                let folds = || scores.into_iter().flat_map(|scores| scores.folds.iter().flatten().copied());
                row.extend([cell(folds().reduce(f64::min)), cell(folds().reduce(f64::max))]);
            }
        }
        if adds.is_some() {
            row.push(of(&|survey, at| Some(gain(survey.contributions.as_ref()?.get(at)?))));
        }
        if wide && calibrated {
            row.push(of(&|survey, at| survey.calibration[at].as_ref().map(slope)));
        }
        if wide && claimed {
            row.push(model.claimed.as_ref().map_or("-".to_owned(), |claimed| claimed.score.to_string()));
        }
        row.push(tally(it.open().filter(|finding| finding.model.as_ref() == Some(&model.model))));
        table.row(row);
    }
    Ok(table.fit(screen.width()))
}

fn gain(it: &Contribution) -> String {
    format!("{:+.1e}", it.gain)
}

fn slope(it: &Calibration) -> String {
    format!("{:.2}", it.slope)
}

/// The models by name, or the best first; those without a score come last.
fn order<'a>(it: &'a AuditReport, sort: &str) -> Result<Vec<&'a Audited>, Failure> {
    let mut models: Vec<&Audited> = it.models.iter().collect();
    match (sort, &it.survey) {
        ("name", _) => {}
        ("score", survey) => models.sort_by_key(|model| {
            let overall = it.scores(model).and_then(|scores| scores.overall);
            survey.as_ref().map(|survey| survey.direction.loss(Score(overall.unwrap_or(f64::NAN))))
        }),
        _ => {
            return Err(
                failure::unknown("order of models", sort, ["name", "score"].into_iter()).at(format!("--sort {sort}"))
            );
        }
    }
    Ok(models)
}

/// One row per fold, target or group; one column per model, as many as there is room for, the best first.
fn by_part(screen: &Screen, it: &AuditReport, by: AuditBy, sort: &str) -> Result<TextTable, Failure> {
    let (title, names): (&str, &[String]) = match (by, &it.survey) {
        (_, None) | (AuditBy::Models, _) => ("model", &[]),
        (AuditBy::Folds, Some(survey)) => ("fold", &survey.folds),
        (AuditBy::Targets, Some(survey)) => ("target", &survey.targets),
        (AuditBy::Groups, Some(survey)) => ("group", &survey.groups),
    };
    if names.is_empty() {
        return Err(Failure::usage(format!("there are no scores by {title}")).at(it.competition.clone()).hint(
            "folds, targets and groups are named in competition.yaml; groups are shown where there are 2 to 60",
        ));
    }
    let all = order(it, "score")?;
    let all: Vec<&Audited> = all.into_iter().filter(|model| it.scores(model).is_some()).collect();
    let of = |model: &Audited, part: usize| {
        let scores = it.scores(model)?;
        match by {
            AuditBy::Folds => scores.folds[part],
            AuditBy::Targets => scores.targets[part],
            _ => scores.groups[part],
        }
    };
    let mut parts: Vec<usize> = (0..names.len()).collect();
    let key = match sort {
        "name" => None,
        "score" => all.first().copied(),
        name => Some(*all.iter().find(|model| model.model.as_str() == name).ok_or_else(|| {
            let known = ["name", "score"].into_iter().chain(all.iter().map(|model| model.model.as_str()));
            failure::unknown("model with scores", name, known).at(format!("--sort {name}"))
        })?),
    };
    if let (Some(model), Some(survey)) = (key, &it.survey) {
        let loss = |part: usize| of(model, part).map(|value| survey.direction.loss(Score(value)));
        parts.sort_by_key(|&part| std::cmp::Reverse(loss(part).unwrap_or(Loss::new(f64::NEG_INFINITY))));
    }
    let widest = names.iter().map(|name| name.chars().count()).max().unwrap_or(0).min(40);
    let room = screen.width().saturating_sub(widest + 4) / 14;
    let shown: Vec<&Audited> = all.iter().copied().take(room.max(1)).collect();
    let titles: Vec<String> = std::iter::once(title.to_owned())
        .chain(shown.iter().map(|model| format!(">{}", super::super::table::shorten(model.model.as_str(), 12))))
        .collect();
    let mut table = TextTable::new(&titles.iter().map(String::as_str).collect::<Vec<_>>());
    for part in parts {
        let name = super::super::table::shorten(&names[part], 40);
        table.row(std::iter::once(name).chain(shown.iter().map(|model| cell(of(model, part)))).collect());
    }
    if shown.len() < all.len() {
        screen.note(format!("{} of {} models, the best first; --json has all", shown.len(), all.len()));
    }
    Ok(table)
}

fn findings(screen: &Screen, it: &AuditReport) {
    for found in &it.findings {
        let finding = &found.finding;
        let head = format!("{}: {}", finding.severity.name(), finding.check);
        let model = finding.model.as_ref().map_or_else(String::new, |model| format!(" in `{model}`"));
        if let Some(reason) = &found.accepted {
            screen.line(screen.dim(&format!("accepted {head}{model}: {} ({reason})", finding.cause)));
            continue;
        }
        let head = if finding.severity == Severity::Fault { screen.red(&head) } else { head };
        screen.line(format!("{head}{model}: {}", finding.cause));
        screen.line(format!("  at   {}", finding.place));
        screen.line(format!("hint: {}", finding.hint));
    }
    screen.line(if it.open().next().is_none() { "no findings".to_owned() } else { tally(it.open()) });
}

/// `2 faults, 1 note`, or `-`.
fn tally<'a>(findings: impl Iterator<Item = &'a Finding> + Clone) -> String {
    let parts: Vec<String> = [Severity::Fault, Severity::Warning, Severity::Note]
        .into_iter()
        .filter_map(|severity| {
            let n = findings.clone().filter(|finding| finding.severity == severity).count();
            (n > 0).then(|| format!("{n} {}{}", severity.name(), if n == 1 { "" } else { "s" }))
        })
        .collect();
    if parts.is_empty() { "-".to_owned() } else { parts.join(", ") }
}

/// What averaging gains.
fn blend(screen: &Screen, survey: &Survey) {
    let Some(diversity) = &survey.diversity else { return };
    screen.line(format!(
        "equal weights in {} space: {} {} = mean member {} less diversity {}",
        diversity.space.name(),
        diversity.metric,
        score(diversity.blend),
        score(diversity.mean_member),
        score(diversity.gain)
    ));
}

fn correlations(screen: &Screen, names: &[ModelId], relations: Option<&Relations>, of: &str) {
    let Some(relations) = relations else { return };
    let mean = |it: &Correlations| it.mean().map_or("-".to_owned(), |mean| format!("{mean:.3}"));
    screen.line(format!(
        "{of} correlation between models: Pearson {}, Spearman {}, Kendall {} on average",
        mean(&relations.pearson),
        mean(&relations.spearman),
        mean(&relations.kendall)
    ));
    let pairs = (0..names.len()).flat_map(|a| (0..a).map(move |b| (a, b)));
    let pearson = |(a, b)| relations.pearson.get(a, b).map(|value| (value, a, b));
    if let Some((value, a, b)) = pairs.filter_map(pearson).max_by(|x, y| x.0.total_cmp(&y.0)) {
        screen.line(format!("  closest: {} and {} ({value:.4})", names[b], names[a]));
    }
}

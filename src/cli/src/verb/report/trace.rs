//! The iterations of a search, from the file that `blend search --trace` wrote.

use crate::{
    context::Context,
    failure::{self, Failure},
    report::html::facts::{Known, Step, Trace},
};
use serde_json::Value;
use std::path::Path;

/// Reads a trace; without a file there is none.
pub(super) fn read(context: &Context, file: Option<&Path>) -> Result<Known<Trace>, Failure> {
    let Some(file) = file else {
        let how = "No trace was given: `blend search --trace FILE` writes one, `blend report --trace FILE` draws it.";
        return Ok(Err(how.to_owned()));
    };
    let text = std::fs::read_to_string(file).map_err(|error| {
        Failure::new(failure::MACHINE, format!("cannot read the trace: {error}"))
            .at(file.display())
            .hint("`blend search --trace FILE` writes one")
    })?;
    let steps = if text.trim_start().starts_with('{') { lines(&text) } else { csv(&text) };
    let steps = steps.map_err(|(line, why)| {
        Failure::data(format!("this is no trace: {why}"))
            .at(format!("{}:{line}", file.display()))
            .hint("give the file that `blend search --trace FILE` wrote")
    })?;
    let path = std::path::absolute(file).unwrap_or_else(|_| file.to_owned());
    Ok(Ok(Trace { file: context.show(&path), steps }))
}

type Steps = Result<Vec<Step>, (usize, &'static str)>;

/// The phase of the search proper; that of nested scores is not drawn.
const SEARCH: &str = "search";

/// An object per line with `phase`, `score` and, where it is known, `gap`. A line without a score yet is passed over.
fn lines(text: &str) -> Steps {
    let mut steps = Vec::new();
    for (at, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let object: Value = serde_json::from_str(line).map_err(|_| (at + 1, "a line is no JSON object"))?;
        if object.get("score").is_none() {
            return Err((at + 1, "a line has no `score`"));
        }
        if object.get("phase").and_then(Value::as_str).is_none_or(|phase| phase == SEARCH)
            && let Some(score) = object["score"].as_f64()
        {
            steps.push(Step { score, gap: object.get("gap").and_then(Value::as_f64) });
        }
    }
    Ok(steps)
}

/// The same as a table; the program writes no cell with a comma in it.
fn csv(text: &str) -> Steps {
    let mut rows = text.lines();
    let header: Vec<&str> = rows.next().unwrap_or_default().split(',').map(str::trim).collect();
    let column = |name: &str| header.iter().position(|it| *it == name);
    let score = column("score").ok_or((1, "its first line names no column `score`"))?;
    let (phase, gap) = (column("phase"), column("gap"));
    let mut steps = Vec::new();
    for (at, row) in rows.enumerate().filter(|(_, row)| !row.trim().is_empty()) {
        let cells: Vec<&str> = row.split(',').map(str::trim).collect();
        if cells.len() != header.len() {
            return Err((at + 2, "a row has another number of cells than the first line"));
        }
        if phase.is_some_and(|phase| cells[phase] != SEARCH) || cells[score].is_empty() {
            continue;
        }
        let score = cells[score].parse().map_err(|_| (at + 2, "a `score` is no number"))?;
        steps.push(Step { score, gap: gap.and_then(|gap| cells[gap].parse().ok()) });
    }
    Ok(steps)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_say_the_same() {
        let table = "seconds,phase,score,gap\n0.1,search,,\n0.2,search,0.5,\n0.3,search,0.4,1e-3\n0.4,honest,9.0,\n";
        let objects = "{\"phase\":\"search\",\"score\":null,\"gap\":null}\n{\"phase\":\"search\",\"score\":0.5,\"gap\":null}\n\
                       {\"phase\":\"search\",\"score\":0.4,\"gap\":1e-3}\n{\"phase\":\"honest\",\"score\":9.0,\"gap\":null}\n";
        for steps in [csv(table).unwrap(), lines(objects).unwrap()] {
            let plain: Vec<_> = steps.iter().map(|it| (it.score, it.gap)).collect();
            assert_eq!(plain, [(0.5, None), (0.4, Some(1e-3))]);
        }
        assert_eq!(csv("a,b\n1,2\n").unwrap_err().0, 1);
        assert_eq!(csv("phase,score\nsearch,x\n").unwrap_err().0, 2);
        assert_eq!(csv("phase,score\nsearch\n").unwrap_err().0, 2);
        assert_eq!(lines("{\"iteration\":1}").unwrap_err().0, 1);
    }
}

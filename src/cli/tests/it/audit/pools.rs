//! What the audit says of real pools: the traps that are known to be in them are found, and next to nothing else is
//! said. The table of `docs/audit.md` is what this test makes; `BLEND_WRITE_DOCS=1` writes it anew.

use crate::support::{Workspace, shared, skipped, table};
use blend_core::TableSource;
use blend_store::IdSpec;
use serde_json::Value;
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    path::{Path, PathBuf},
};

/// A pool, how it is read, and what is known to be wrong with it.
struct Pool {
    /// Folder of the shared data; a second name where one folder is read in two ways.
    folder: &'static str,
    name: &'static str,
    yaml: &'static str,
    /// More arguments of every import.
    import: &'static [&'static str],
    prepare: fn(&Path, &Workspace),
    /// Files of the models: stem to OOF files and test file.
    models: fn(&Path) -> Models,
    /// Known faults as check and model; `*` is any model.
    traps: &'static [(&'static str, &'static str)],
}

type Models = BTreeMap<String, (Vec<PathBuf>, Option<PathBuf>)>;

/// Warnings and faults of an audit, by check, as models (empty where a finding is of none).
type Alarms = BTreeSet<(String, String)>;

fn nothing(_: &Path, _: &Workspace) {}

fn stem(path: &Path) -> String {
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    name.split('.').next().unwrap_or_default().to_owned()
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    let mut all: Vec<PathBuf> =
        std::fs::read_dir(folder).into_iter().flatten().filter_map(|entry| Some(entry.ok()?.path())).collect();
    all.sort();
    all
}

/// `oof/<model>.*` and, where it is there, `test/<model>.*`.
fn in_folders(data: &Path) -> Models {
    let tests = entries(&data.join("test"));
    let test = |model: &str| tests.iter().find(|path| stem(path) == model).cloned();
    entries(&data.join("oof"))
        .into_iter()
        .map(|path| {
            let model = stem(&path);
            let files = if path.is_dir() { entries(&path) } else { vec![path] };
            let test = test(&model);
            (model, (files, test))
        })
        .collect()
}

/// `oof_<model>.csv` and `sub_<model>.csv` of a demo set.
fn in_one_folder(data: &Path) -> Models {
    let all = entries(data).into_iter();
    all.filter_map(|path| {
        let model = stem(&path).strip_prefix("oof_")?.to_owned();
        let test = data.join(format!("sub_{model}.csv"));
        Some((model, (vec![path], Some(test))))
    })
    .collect()
}

fn submissions(data: &Path) -> Models {
    let all = entries(&data.join("submissions")).into_iter();
    all.map(|path| (stem(&path), (Vec::new(), Some(path)))).collect()
}

fn sample(workspace: &Workspace, ids: &Path, columns: &[&str], value: &str) {
    let ids = table(ids, IdSpec::FirstColumn);
    let cells = format!(",{value}").repeat(columns.len());
    let lines = ids.rows().iter().map(|id| format!("{id}{cells}\n"));
    let text: String = std::iter::once(format!("id,{}\n", columns.join(","))).chain(lines).collect();
    workspace.write("models/pool/sample.csv", text);
}

fn demo_sample(data: &Path, workspace: &Workspace) {
    let columns = table(
        &entries(data).into_iter().find(|path| stem(path).starts_with("sub_")).expect("a file"),
        IdSpec::FirstColumn,
    );
    let columns = columns.names();
    sample(workspace, &data.join("test_labels.csv"), &columns.iter().map(String::as_str).collect::<Vec<_>>(), "0.1");
}

fn gridlock(data: &Path, workspace: &Workspace) {
    let array = |name: &str| table(&data.join(name), IdSpec::Positions).numbers("0").expect("one column");
    let (mut truth, mut folds) = ("id,demand\n".to_owned(), "id,fold\n".to_owned());
    for (row, (y, fold)) in array("y_log.npy").into_iter().zip(array("folds.npy")).enumerate() {
        writeln!(truth, "{row},{}", y.exp()).expect("a string");
        writeln!(folds, "{row},{fold}").expect("a string");
    }
    workspace.write("models/pool/truth.csv", truth);
    workspace.write("models/pool/folds.csv", folds);
}

const POOLS: [Pool; 17] = [
    Pool {
        folder: "adult-automl",
        name: "adult-automl",
        yaml: "metric: log_loss\ntruth: DATA/labels.csv.gz\nid: row\ntargets: [target]",
        import: &["--rows", "truth"],
        prepare: nothing,
        models: in_folders,
        traps: &[],
    },
    Pool {
        folder: "aes2-qwk",
        name: "aes2-qwk",
        yaml: "metric: rmse\ntruth: DATA/labels.csv\nid: essay_id\ntargets: [score]\n\
               folds: {file: DATA/labels.csv, column: fold}\ngroups: {file: DATA/labels.csv, column: is_pc2}",
        import: &["--columns", "raw_pred"],
        prepare: nothing,
        models: in_folders,
        traps: &[("leak", "exp302_stage1"), ("groups", "exp302_stage1")],
    },
    Pool {
        folder: "av-jobathon",
        name: "av-jobathon",
        yaml: "metric: auc\ntruth: DATA/labels.csv.gz\nid: ID\ntargets: [Response]\nsample_submission: sample.csv",
        import: &[],
        prepare: |data, workspace| {
            sample(workspace, &data.join("test_only_final_ensemble.parquet"), &["Response"], "0.2");
            let text = String::from_utf8(workspace.read("models/pool/sample.csv")).expect("text");
            workspace.write("models/pool/sample.csv", text.replacen("id,", "ID,", 1));
        },
        models: in_folders,
        traps: &[],
    },
    Pool {
        folder: "boston-automl",
        name: "boston-automl",
        yaml: "metric: mse\ntruth: DATA/target.npy\nid: row\ntargets: \"*\"",
        import: &["--rows", "truth"],
        prepare: nothing,
        models: in_folders,
        traps: &[("few_rows", ""), ("duplicate", "model_84")],
    },
    Pool {
        folder: "commonlit-ess",
        name: "commonlit-ess",
        yaml: "metric: mcrmse\ntruth: DATA/labels.parquet\nid: student_id\ntargets: [content, wording]\n\
               folds: {file: DATA/labels.parquet, column: fold}\ngroups: {file: DATA/labels.parquet, column: prompt_id}",
        import: &[],
        prepare: nothing,
        models: in_folders,
        traps: &[
            ("leak", "model1"),
            ("leak", "model2"),
            ("leak", "model201"),
            ("leak", "model2_201"),
            ("leak", "model236"),
            ("baseline", "model212"),
            ("baseline", "model213"),
            ("row_order", "model213"),
        ],
    },
    Pool {
        folder: "demo-small/breast-cancer",
        name: "demo-small, breast-cancer",
        yaml: "metric: log_loss\ntruth: DATA/train_labels.csv\nid: id\ntargets: [target]\n\
               folds: {file: DATA/train_labels.csv, column: fold}\nsample_submission: sample.csv",
        import: &[],
        prepare: demo_sample,
        models: in_one_folder,
        traps: &[],
    },
    Pool {
        folder: "demo-small/digits",
        name: "demo-small, digits",
        yaml: "metric: {name: multiclass_log_loss, renormalize: true}\ntruth: DATA/train_labels.csv\nid: id\ntargets: [target]\n\
               folds: {file: DATA/train_labels.csv, column: fold}\nsample_submission: sample.csv",
        import: &[],
        prepare: demo_sample,
        models: in_one_folder,
        traps: &[],
    },
    Pool {
        folder: "demo-small/diabetes",
        name: "demo-small, diabetes",
        yaml: "metric: rmse\ntruth: DATA/train_labels.csv\nid: id\ntargets: [target]\n\
               folds: {file: DATA/train_labels.csv, column: fold}\nsample_submission: sample.csv",
        import: &[],
        prepare: demo_sample,
        models: in_one_folder,
        traps: &[],
    },
    Pool {
        folder: "demo-small/tox21-12",
        name: "demo-small, tox21-12",
        yaml: "metric: log_loss\ntruth: DATA/train_labels.csv\nid: id\ntargets: \"*\"\n\
               folds: {file: DATA/train_labels.csv, column: fold}\nsample_submission: sample.csv",
        import: &[],
        prepare: demo_sample,
        models: in_one_folder,
        traps: &[],
    },
    Pool {
        folder: "gridlock-r2",
        name: "gridlock-r2",
        yaml: "metric: r2\ntruth: truth.csv\nid: id\ntargets: [demand]\nfolds: {file: folds.csv, column: fold}",
        import: &["--rows", "truth", "--transform", "exp", "--output", "value"],
        prepare: gridlock,
        models: in_folders,
        traps: &[],
    },
    Pool {
        folder: "gridlock-r2",
        name: "gridlock-r2, without its transform",
        yaml: "metric: r2\ntruth: truth.csv\nid: id\ntargets: [demand]\nfolds: {file: folds.csv, column: fold}",
        import: &["--rows", "truth", "--output", "value"],
        prepare: gridlock,
        models: in_folders,
        traps: &[("baseline", "*")],
    },
    Pool {
        folder: "hurricane-damage",
        name: "hurricane-damage",
        yaml: "metric: {name: multiclass_log_loss, renormalize: true}\ntruth: DATA/labels.csv\nid: row\ntargets: [damage]",
        import: &["--rows", "truth"],
        prepare: nothing,
        models: in_folders,
        traps: &[("saturation", "*"), ("baseline", "*")],
    },
    Pool {
        folder: "icecube-toy",
        name: "icecube-toy",
        yaml: "metric: angular_error\ntruth: DATA/train_truth.csv\nid: event_id\ndecode: {azimuth: azimuth, zenith: zenith}\n\
               folds: {file: DATA/train_truth.csv, column: fold}\nsample_submission: DATA/sample_submission.csv",
        import: &[],
        prepare: nothing,
        models: in_folders,
        traps: &[],
    },
    Pool {
        folder: "icecube-toy",
        name: "icecube-toy, read in the swapped frame",
        yaml: "metric: angular_error\ntruth: DATA/train_truth.csv\nid: event_id\ndecode: {azimuth: azimuth, zenith: zenith}\n\
               folds: {file: DATA/train_truth.csv, column: fold}\nsample_submission: DATA/sample_submission.csv",
        import: &["--frame", "yxz"],
        prepare: nothing,
        models: in_folders,
        traps: &[("frame", "*")],
    },
    Pool {
        folder: "moneyball-lb",
        name: "moneyball-lb",
        yaml: "metric: mae\nid: ID\ntargets: [W]\nsample_submission: sample.csv",
        import: &["--output", "value"],
        prepare: |data, workspace| {
            sample(workspace, &data.join("test_labels.csv"), &["W"], "81");
            let text = String::from_utf8(workspace.read("models/pool/sample.csv")).expect("text");
            workspace.write("models/pool/sample.csv", text.replacen("id,", "ID,", 1));
        },
        models: submissions,
        traps: &[("duplicate", "*")],
    },
    Pool {
        folder: "pawpularity",
        name: "pawpularity",
        yaml: "metric: rmse\ntruth: DATA/labels.csv\nid: Id\ntargets: [Pawpularity]\n\
               folds: {file: DATA/labels.csv, column: fold}",
        import: &[],
        prepare: nothing,
        models: in_folders,
        traps: &[],
    },
    Pool {
        folder: "plasticc",
        name: "plasticc",
        yaml: "metric: {name: multiclass_log_loss, aggregation: class_mean, class_weights: {15: 2, 64: 2}}\n\
               truth: DATA/labels.csv\nid: object_id\ntargets: [target]",
        import: &[],
        prepare: nothing,
        models: in_folders,
        traps: &[],
    },
];

const MORE_POOLS: [Pool; 3] = [
    Pool {
        folder: "spooky-author",
        name: "spooky-author",
        yaml: "metric: {name: multiclass_log_loss, renormalize: true}\ntruth: DATA/labels.csv\nid: id\ntargets: [author]\n\
               sample_submission: sample.csv",
        import: &[],
        prepare: |data, workspace| {
            let ids = std::fs::read_to_string(data.join("test_ids.csv")).expect("ids");
            let lines = ids.lines().skip(1).map(|id| format!("{id},0.4,0.3,0.3\n"));
            let text: String = std::iter::once("id,EAP,HPL,MWS\n".to_owned()).chain(lines).collect();
            workspace.write("models/pool/sample.csv", text);
        },
        models: in_folders,
        traps: &[],
    },
    Pool {
        folder: "toxcast-moa-like",
        name: "toxcast-moa-like",
        yaml: "metric: log_loss\ntruth: DATA/train_targets.parquet\nid: id\ntargets: \"*\"\n\
               folds: {file: DATA/folds.csv, column: fold}\nsample_submission: sample.csv",
        import: &[],
        prepare: |data, workspace| {
            let it = table(&data.join("sample_submission.csv.gz"), IdSpec::FirstColumn);
            let names = it.names();
            sample(
                workspace,
                &data.join("sample_submission.csv.gz"),
                &names.iter().map(String::as_str).collect::<Vec<_>>(),
                "0.5",
            );
        },
        models: in_folders,
        traps: &[("baseline", "mlp192x64_tanh"), ("constant", "prior")],
    },
    Pool {
        folder: "moa",
        name: "moa",
        yaml: "metric: log_loss\ntruth: DATA/train_targets_scored.parquet\nid: sig_id\ntargets: \"*\"\n\
               folds: {file: DATA/folds.csv.gz, column: fold}\ngroups: {file: DATA/train_drug.parquet, column: drug_id}",
        import: &[],
        prepare: nothing,
        models: in_folders,
        traps: &[],
    },
];

/// What the audit says of a pool.
struct Said {
    models: usize,
    alarms: Alarms,
    notes: usize,
}

fn audit(pool: &Pool) -> Option<Said> {
    let data = shared("audit::pools", pool.folder)?;
    let workspace = Workspace::new();
    let yaml = pool.yaml.replace("DATA", &data.display().to_string());
    workspace.write("models/pool/competition.yaml", format!("competition: pool\n{yaml}\n"));
    (pool.prepare)(&data, &workspace);
    let models = (pool.models)(&data);
    for (model, (oof, test)) in &models {
        let mut arguments = vec!["--allow-outside".to_owned(), "import".to_owned(), model.clone()];
        if !oof.is_empty() {
            arguments.push("--oof".to_owned());
            arguments.extend(oof.iter().map(|path| path.display().to_string()));
        }
        if let Some(test) = test {
            arguments.extend(["--test".to_owned(), test.display().to_string()]);
        }
        arguments.extend(pool.import.iter().map(|it| (*it).to_owned()));
        workspace.blend(&arguments).expect(0);
    }
    let output = workspace.blend(&["--allow-outside", "--json", "audit"]);
    assert!(output.code <= 1, "{}: {}", pool.name, output.stderr);
    let object = output.json();
    let text = |it: &Value, key: &str| it[key].as_str().unwrap_or_default().to_owned();
    let findings = object["findings"].as_array().expect("findings");
    let is_note = |it: &&Value| it["severity"] == "note";
    let alarms = findings.iter().filter(|it| !is_note(it)).map(|it| (text(it, "check"), text(it, "model"))).collect();
    Some(Said { models: models.len(), alarms, notes: findings.iter().filter(is_note).count() })
}

/// `check` or `check x 3`, comma by comma; a dash where there is nothing.
fn list<'a>(alarms: impl Iterator<Item = &'a (String, String)>) -> String {
    let mut by_check: BTreeMap<&str, usize> = BTreeMap::new();
    alarms.for_each(|(check, _)| *by_check.entry(check).or_default() += 1);
    let words: Vec<String> = by_check
        .into_iter()
        .map(|(check, n)| if n == 1 { check.to_owned() } else { format!("{check} x {n}") })
        .collect();
    if words.is_empty() { "-".to_owned() } else { words.join(", ") }
}

#[test]
fn traps_are_found_and_clean_pools_are_silent() {
    const BEGIN: &str = "<!-- pools: written by the test audit::pools -->\n";
    const END: &str = "<!-- end of pools -->\n";
    let mut rows = "| pool | models | traps found | traps missed | other warnings and faults | notes |\n\
                    | --- | --: | --- | --- | --- | --: |\n"
        .to_owned();
    let mut missed = Vec::new();
    for pool in POOLS.iter().chain(&MORE_POOLS) {
        let Some(said) = audit(pool) else { return };
        let is_trap =
            |(check, model): &(String, String)| pool.traps.iter().any(|(c, m)| c == check && (*m == "*" || m == model));
        let (hits, others): (Alarms, Alarms) = said.alarms.iter().cloned().partition(is_trap);
        let lost = pool
            .traps
            .iter()
            .filter(|(check, model)| !hits.iter().any(|(c, m)| c == check && (*model == "*" || m == model)));
        let lost: Vec<(String, String)> =
            lost.map(|(check, model)| ((*check).to_owned(), (*model).to_owned())).collect();
        missed.extend(lost.iter().map(|trap| format!("{}: {trap:?}", pool.name)));
        let _ = writeln!(
            rows,
            "| {} | {} | {} | {} | {} | {} |",
            pool.name,
            said.models,
            list(hits.iter()),
            list(lost.iter()),
            list(others.iter()),
            said.notes
        );
        skipped_if_loud(pool, &others);
    }
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/audit.md");
    let text = std::fs::read_to_string(&file).expect("docs/audit.md");
    let (head, rest) = text.split_once(BEGIN).expect("where the table begins");
    let (written, tail) = rest.split_once(END).expect("where it ends");
    if std::env::var_os("BLEND_WRITE_DOCS").is_some() {
        std::fs::write(&file, format!("{head}{BEGIN}{rows}{END}{tail}")).expect("written");
    } else {
        assert_eq!(written, rows, "docs/audit.md says otherwise; BLEND_WRITE_DOCS=1 writes it anew");
    }
    assert!(missed.is_empty(), "missed: {missed:?}");
}

/// With `BLEND_WRITE_DOCS`, what to look at: alarms that are no known traps.
fn skipped_if_loud(pool: &Pool, others: &Alarms) {
    if std::env::var_os("BLEND_WRITE_DOCS").is_some() && !others.is_empty() {
        skipped("audit::pools", &format!("{}: {others:?}", pool.name));
    }
}

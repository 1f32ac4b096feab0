use super::*;
use blend_core::{
    Direction,
    manifest::ColumnFile,
    metric::{GraphSpec, MetricSpec},
    post::{PostStep, Scale},
    space::SpaceName,
};
use blend_record::{Competition, Kind, Leaderboard, Mark, PublicRows, ScopeRule, Targets, competition::Decode};
use proptest::prelude::*;
use std::collections::BTreeMap;

const MOA: &str = r#"# models/moa/competition.yaml
competition: moa
metric: {name: log_loss, clip: 1e-15}       # mean over the columns; `blend list metrics`
space: logit                                # default space of searches
truth: data/train_targets_scored.csv
id: sig_id
targets: "*"                                # all columns but id; or a list
folds: {file: data/folds.csv, column: fold}
groups: {file: data/train_drug.csv, column: drug_id}     # optional: resampling unit
scope: {exclude: {file: data/train_features.csv, column: cp_type, equals: ctl_vehicle}}
sample_submission: data/sample_submission.csv
post: [{zero_rows: {file: data/test_features.csv, column: cp_type, equals: ctl_vehicle}}]
leaderboard: {decimals: 5, public_rows: all}             # all | fraction | count | file of ids
"#;

#[test]
fn the_contracts_document_is_read() {
    let (_folder, workspace) = workspace();
    let it = Competition::parse(&workspace, &moa(), MOA).unwrap();
    let data = workspace.competition_folder(&moa()).join("data");
    assert_eq!(it.metric, MetricSpec { name: "log_loss".into(), clip: Some(1e-15), ..MetricSpec::default() });
    assert_eq!((it.space, it.id_column.as_str(), it.default), (Some(SpaceName::Logit), "sig_id", false));
    assert_eq!(it.truth.as_deref(), Some(&*data.join("train_targets_scored.csv")));
    assert_eq!(it.targets, Targets::All);
    assert_eq!(it.folds, Some(ColumnFile { file: data.join("folds.csv"), column: "fold".into() }));
    let mark = Mark { file: data.join("train_features.csv"), column: "cp_type".into(), equals: "ctl_vehicle".into() };
    assert_eq!(it.scope, Some(ScopeRule { name: "cp_type != ctl_vehicle".into(), include: false, mark }));
    let (file, column, equals) = (data.join("test_features.csv"), "cp_type".into(), "ctl_vehicle".into());
    assert_eq!(it.post, [PostStep::ZeroRows { file, column, equals }]);
    assert_eq!(it.leaderboard, Some(Leaderboard { decimals: 5, public_rows: Some(PublicRows::All) }));
}

#[test]
fn every_key_has_its_other_forms() {
    let (_folder, workspace) = workspace();
    let text = "competition: moa\nmetric: log_loss\nid: 7\ntargets: [b, 1]\ntruth: 5.csv\ndefault: true\n\
        weights: {file: w.csv, column: w}\nscope: {name: late, include: {file: a.csv, column: b, equals: 007}}\n\
        decode: {azimuth: az, zenith: ze}\nclasses: [a, 1, no]\nleaderboard: {public_rows: ROWS}\n\
        post: [min_max, {clip: [0, 1]}, {round: 3}, {thresholds: [0.5, 1.5]}]\n";
    let rows = |written: &str| {
        let text = text.replace("ROWS", written);
        Competition::parse(&workspace, &moa(), &text).map(|it| it.leaderboard.unwrap().public_rows.unwrap())
    };
    let it = Competition::parse(&workspace, &moa(), &text.replace("ROWS", "all")).unwrap();
    assert_eq!(it.targets, Targets::Named(vec!["b".into(), "1".into()]));
    assert_eq!(it.classes, Some(vec!["a".into(), "1".into(), "no".into()]), "names are texts, whatever they look like");
    let scope = it.scope.unwrap();
    assert_eq!((scope.name.as_str(), scope.include, scope.mark.equals.as_str()), ("late", true, "007"));
    assert_eq!(it.decode, Some(Decode { azimuth: "az".into(), zenith: "ze".into() }));
    assert_eq!(it.post[0], PostStep::MinMax);
    assert_eq!(it.post[1], PostStep::Clip { low: 0.0, high: 1.0 });
    assert_eq!(it.post[2..], [PostStep::Round(3), PostStep::Thresholds(vec![Scale::counting(vec![0.5, 1.5])])]);
    assert_eq!(rows("0.25").unwrap(), PublicRows::Fraction(0.25));
    assert_eq!(rows("1000").unwrap(), PublicRows::Count(1000));
    let folder = workspace.competition_folder(&moa());
    assert_eq!(rows("ids.csv").unwrap(), PublicRows::Ids(folder.join("ids.csv")));
    let mark = Mark { file: folder.join("t.csv"), column: "usage".into(), equals: "Public".into() };
    assert_eq!(rows("{file: t.csv, column: usage, equals: Public}").unwrap(), PublicRows::Marked(mark));
}

#[test]
fn thresholds_have_three_forms() {
    let (_folder, workspace) = workspace();
    let labelled = Scale { cuts: vec![1.5, 2.0], labels: vec![1.0, 2.0, 4.0] };
    let always = Scale { cuts: vec![], labels: vec![3.0] };
    for (text, scales) in [
        ("[0.5, 1]", vec![Scale::counting(vec![0.5, 1.0])]),
        ("{cuts: [0.5]}", vec![Scale::counting(vec![0.5])]),
        ("{cuts: [1.5, 2], labels: [1, 2, 4]}", vec![labelled.clone()]),
        ("{cuts: [], labels: [3]}", vec![always.clone()]),
        ("[{cuts: [1.5, 2], labels: [1, 2, 4]}, {cuts: [], labels: [3]}]", vec![labelled, always]),
    ] {
        let text = format!("competition: moa\nmetric: qwk\nid: 7\npost: [{{thresholds: {text}}}]\n");
        let it = Competition::parse(&workspace, &moa(), &text).unwrap();
        assert_eq!(it.post, [PostStep::Thresholds(scales)], "{text}");
        assert_eq!(Competition::parse(&workspace, &moa(), &it.to_yaml(&workspace)).unwrap(), it);
    }
}

#[test]
fn metrics_have_options() {
    let (_folder, workspace) = workspace();
    let strata = ColumnFile { file: workspace.competition_folder(&moa()).join("s.csv"), column: "race".into() };
    let file = workspace.competition_folder(&moa()).join("m.onnx");
    let graph = |better, classes| MetricSpec {
        graph: Some(GraphSpec { file: file.clone(), better, classes }),
        ..MetricSpec::default()
    };
    for (text, spec) in [
        ("{graph: m.onnx}", graph(Direction::Lower, false)),
        ("{graph: m.onnx, better: higher, labels: classes}", graph(Direction::Higher, true)),
        ("{name: map_at_k, k: 5}", MetricSpec { name: "map_at_k".into(), k: Some(5), ..MetricSpec::default() }),
        (
            "{name: pinball, quantile: 0.9}",
            MetricSpec { name: "pinball".into(), quantile: Some(0.9), ..MetricSpec::default() },
        ),
        (
            "{name: stratified_c_index, strata: {file: s.csv, column: race}}",
            MetricSpec { name: "stratified_c_index".into(), strata: Some(strata), ..MetricSpec::default() },
        ),
    ] {
        let text = format!("competition: moa\nmetric: {text}\nid: 7\n");
        let it = Competition::parse(&workspace, &moa(), &text).unwrap();
        assert_eq!(it.metric, spec);
        assert_eq!(Competition::parse(&workspace, &moa(), &it.to_yaml(&workspace)).unwrap(), it);
    }
}

/// The cause of the fault that `extra` makes in an otherwise good document, and where.
fn fault(extra: &str) -> String {
    let (_folder, workspace) = workspace();
    let text = format!("competition: moa\nmetric: log_loss\nid: sig_id\n{extra}\n");
    let error = Competition::parse(&workspace, &moa(), &text).unwrap_err();
    assert_eq!(error.kind(), Kind::Usage);
    let hint = error.hint().unwrap();
    assert!(!hint.is_empty());
    let shown = show(&workspace, &error);
    let lines: Vec<&str> = shown.lines().collect();
    assert_eq!(lines.get(4).map(|line| line.trim_end().chars().last()), Some(Some('^')), "{shown}");
    format!("{} | {}", lines[1].replace("models/moa/competition.yaml:", ""), lines[0])
}

#[test]
fn a_fault_is_shown_with_place_caret_and_form() {
    let (_folder, workspace) = workspace();
    let text = MOA.replace("space: logit ", "spcae: logit ");
    let error = Competition::parse(&workspace, &moa(), &text).unwrap_err();
    let want = "unknown key `spcae`, did you mean `space`?\nmodels/moa/competition.yaml:4:1\n  |\n\
        4 | spcae: logit                                # default space of searches\n  | ^\n\
        the keys here are: competition, default, metric, space, truth, id, targets, folds, groups, weights, scope, \
        sample_submission, post, leaderboard, decode, classes";
    assert_eq!(show(&workspace, &error), want);
    let text = MOA.replace("data/folds.csv", "../../../folds.csv");
    let error = Competition::parse(&workspace, &moa(), &text).unwrap_err();
    let want = "path `../../../folds.csv` leaves the workspace\nmodels/moa/competition.yaml:8:15\n  |\n\
        8 | folds: {file: ../../../folds.csv, column: fold}\n  |               ^\n\
        paths are relative to the YAML file; `--allow-outside` lets them leave the workspace";
    assert_eq!(show(&workspace, &error), want);
}

#[test]
fn every_fault_has_its_words() {
    for (extra, want) in [
        ("space: lgit", "4:8 | unknown space `lgit`, did you mean `logit`?"),
        ("scope: {exlude: {file: a, column: b, equals: c}}", "4:9 | unknown key `exlude`, did you mean `exclude`?"),
        ("scope:\n  exclude: {file: a, colum: b, equals: c}", "5:22 | unknown key `colum`, did you mean `column`?"),
        ("scope: {}", "4:8 | neither `exclude` nor `include` is there"),
        (
            "scope: {include: {file: a, column: b, equals: c}, exclude: {file: a, column: b, equals: c}}",
            "4:8 | `exclude` and `include` stand together",
        ),
        ("truth: /etc/passwd", "4:8 | path `/etc/passwd` leaves the workspace"),
        ("truth: ''", "4:8 | a path is empty"),
        ("truth: [a]", "4:8 | expected a text"),
        ("folds: {file: a}", "4:9 | key `column` is missing"),
        ("folds: a.csv", "4:8 | expected a map"),
        ("id: x", "4:1 | key `id` stands twice"),
        ("default: yes", "4:10 | invalid boolean (true or false expected)"),
        ("targets: foo", "4:10 | `foo` is neither \"*\" nor a list of columns"),
        ("targets: []", "4:10 | the list is empty"),
        ("targets: [a, b, a]", "4:10 | `a` stands twice in the list"),
        ("targets: [a, sig_id]", "4:10 | the id column `sig_id` is no target"),
        ("classes: [a]", "4:10 | one class is nothing to predict"),
        ("decode: {azimuth: a, zenith: a}", "4:9 | azimuth and zenith are the same column"),
        ("post: min_max", "4:7 | expected a list"),
        ("post: [{zero_row: {}}]", "4:9 | unknown step or choice `zero_row`, did you mean `zero_rows`?"),
        ("post: [{clip: [0]}]", "4:8 | 1 values are too few"),
        ("post: [{clip: [0, .nan]}]", "4:19 | NaN is not a number"),
        ("post: [{clip: [1, 0]}]", "4:8 | `clip` goes from 1 up to 0, which is not above it"),
        ("post:\n  - min_max\n  - {round: x}", "6:13 | expected a whole number, 0 or more"),
        ("post: [{round: 16}]", "4:8 | `round` to 16 decimals: a number holds 15"),
        ("post: [{thresholds: [2, 1]}]", "4:8 | `thresholds` are at least one number, ascending"),
        ("post: [{thresholds: []}]", "4:8 | `thresholds` are at least one number, ascending"),
        ("post: [{thresholds: [1, {cuts: [2]}]}]", "4:21 | `thresholds` are all numbers or all maps"),
        ("post: [{thresholds: [a]}]", "4:21 | a threshold is not a number"),
        ("post: [{thresholds: {cuts: [1], labels: [1]}}]", "4:8 | post step thresholds: 1 cuts part 2 labels, not 1"),
        ("post: [{min_max: 1}]", "4:18 | this one takes no value"),
        ("post: [{round: 1, clip: [0, 1]}]", "4:19 | one step in each item of the list"),
        ("leaderboard: {decimals: 99}", "4:25 | 99 decimals: a number holds 15"),
        ("leaderboard: {public_rows: 1.5}", "4:28 | 1.5 is neither a fraction in (0, 1] nor a count"),
        ("leaderboard: {public_rows: -1}", "4:28 | -1 is neither a fraction in (0, 1] nor a count"),
        ("leaderboard: {public_rows: 0}", "4:28 | no public rows at all"),
        (
            "leaderboard: {public_rows: [1]}",
            "4:15 | expected all, a fraction, a count, a file of ids, or a map that marks rows, found sequence",
        ),
        ("truth: [a", "4:8 | expected a text"),
        ("- x", "4:3 | while parsing a block mapping, did not find expected key"),
        ("---\nx: 1", "5:1 | only single YAML document expected but multiple found"),
    ] {
        assert_eq!(fault(extra), want, "{extra}");
    }
}

#[test]
fn metrics_are_looked_up() {
    let (_folder, workspace) = workspace();
    let cause = |metric: &str| {
        let text = format!("competition: moa\nid: id\nmetric: {metric}\n");
        Competition::parse(&workspace, &moa(), &text).unwrap_err().to_string()
    };
    assert_eq!(cause("log_los"), "unknown metric `log_los`, did you mean `log_loss`?");
    assert_eq!(cause("{clip: 1}"), "key `name` is missing");
    assert_eq!(cause("{name: rmse, clip: 0.1}"), "metric rmse takes no option `clip` (it takes none)");
    assert_eq!(cause("{name: log_loss, clip: 0.7}"), "option `clip` of log_loss is 0.7: above 0, below 0.5");
    assert_eq!(cause("{name: log_loss, clip: x}"), "expected a number");
    assert_eq!(cause("{better: lower}"), "`better` and `labels` stand beside `graph`: other metrics know theirs");
    let whole = "a graph is the whole metric: beside it stand `better` and `labels` only";
    assert_eq!(cause("{graph: m.onnx, clip: 0.1}"), whole);
    assert_eq!(cause("{graph: m.onnx, better: lowr}"), "unknown direction `lowr`, did you mean `lower`?");
    assert_eq!(cause("{graph: /m.onnx}"), "path `/m.onnx` leaves the workspace");
    assert_eq!(cause("{nme: x}"), "unknown key `nme`, did you mean `name`?");
    assert_eq!(cause("5"), "expected the name of a metric, or a map with its name and options, found a number");
}

#[test]
fn whole_files_can_be_wrong() {
    let (_folder, workspace) = workspace();
    let file = workspace.competition_file(&moa());
    let absent = Competition::read(&workspace, &moa()).unwrap_err();
    assert_eq!(absent.kind(), Kind::Machine);
    assert_eq!(
        show(&workspace, &absent),
        "file is not there\nmodels/moa/competition.yaml\ncheck its name and its folder"
    );
    put(&file, b"competition: moa\nid: \xff\n");
    let error = Competition::read(&workspace, &moa()).unwrap_err();
    assert_eq!(show(&workspace, &error), "the file is not UTF-8\nmodels/moa/competition.yaml:2:5\nsave it as UTF-8");
    put(&file, "");
    let error = Competition::read(&workspace, &moa()).unwrap_err();
    assert!(show(&workspace, &error).starts_with("unexpected end of file\n"));
    put(&file, "competition: moa\nid: x\n");
    let want = "key `metric` is missing\nmodels/moa/competition.yaml:1:1\n  |\n1 | competition: moa\n  | ^\n\
        `metric` is written `metric: log_loss`, or `metric: {name: log_loss, clip: 1e-15}`; see `blend list metrics`";
    assert_eq!(show(&workspace, &Competition::read(&workspace, &moa()).unwrap_err()), want);
    put(&file, "competition: mao\nid: x\nmetric: rmse\n");
    let error = Competition::read(&workspace, &moa()).unwrap_err();
    assert_eq!(error.to_string(), "`competition: mao` stands where `moa` is expected");
    put(&file, "competition: a b\nid: x\nmetric: rmse\n");
    let error = Competition::read(&workspace, &moa()).unwrap_err();
    let want = "`a b` is not a name: letters, digits, `.`, `_`, `-`, starting with a letter or digit";
    assert_eq!(error.to_string(), want);
}

#[test]
fn what_init_writes_is_pretty_and_reads_back() {
    let (_folder, workspace) = workspace();
    let it =
        Competition::parse(&workspace, &moa(), "competition: moa\nmetric: rmse\nid: id\ntruth: data/t.csv\n").unwrap();
    let want = "# what is predicted and how it is judged; paths are relative to this file\n\
        competition: moa\n\
        metric: rmse                                        # blend list metrics\n\
        truth: data/t.csv\n\
        id: id\n\
        targets: \"*\"                                        # \"*\": all columns but id; or a list\n\
        # folds: {file: data/folds.csv, column: fold}\n\
        # sample_submission: data/sample_submission.csv\n\
        # leaderboard: {decimals: 5, public_rows: 0.25}\n";
    assert_eq!(it.to_yaml(&workspace), want);
    it.write(&workspace).unwrap();
    assert_eq!(Competition::read(&workspace, &moa()).unwrap(), it);
    let whole = Competition::parse(&workspace, &moa(), MOA).unwrap();
    assert_eq!(Competition::parse(&workspace, &moa(), &whole.to_yaml(&workspace)).unwrap(), whole);
}

proptest! {
    #[test]
    fn every_competition_reads_back(
        default: bool,
        targets in proptest::option::of(proptest::collection::hash_set(".{1,8}", 1..5)),
        weights in proptest::collection::btree_map(".{1,8}", 0.1f64..9.0, 0..4),
        texts in [".{1,8}", ".{0,8}", ".{1,8}"],
        numbers in (0u32..=15, 1u64.., 0.0f64..1.0, -1e9f64..0.0, 1e-9f64..1e9),
        which in 0usize..5,
    ) {
        let (_folder, workspace) = workspace();
        let folder = workspace.competition_folder(&moa());
        let [column, equals, name] = texts;
        let mark = Mark { file: folder.join("data/a b.csv"), column: column.clone(), equals };
        let rows = [
            PublicRows::All,
            PublicRows::Fraction(1.0 - numbers.2),
            PublicRows::Count(numbers.1),
            PublicRows::Ids(folder.join("../x.csv")),
            PublicRows::Marked(mark.clone()),
        ];
        let parsed = Competition::parse(&workspace, &moa(), MOA).unwrap();
        let rows = rows[which].clone();
        // `..` is resolved when a path is read.
        let rows = if let PublicRows::Ids(_) = rows { PublicRows::Ids(workspace.root().join("models/x.csv")) } else { rows };
        let it = Competition {
            default,
            metric: MetricSpec {
                name: "multiclass_log_loss".into(),
                class_weights: weights.into_iter().collect::<BTreeMap<_, _>>(),
                ..MetricSpec::default()
            },
            targets: targets.map_or(Targets::All, |names| Targets::Named(names.into_iter().collect())),
            scope: Some(ScopeRule { name, include: default, mark }),
            post: vec![PostStep::Clip { low: numbers.3, high: numbers.4 }, PostStep::MinMax, PostStep::Round(numbers.0)],
            leaderboard: Some(Leaderboard { decimals: numbers.0, public_rows: Some(rows) }),
            ..parsed
        };
        prop_assume!(it.targets != Targets::Named(vec!["sig_id".into()]));
        let back = Competition::parse(&workspace, &moa(), &it.to_yaml(&workspace));
        prop_assert_eq!(back.map_err(|error| show(&workspace, &error)), Ok(it));
    }
}

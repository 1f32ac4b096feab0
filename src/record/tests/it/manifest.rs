use super::*;
use blend_core::{
    OutputKind,
    manifest::{Average, Claimed, ColumnFile, EventTensor, InputSpec, Manifest, Precision, Stage},
    output::{Encoding, Transform},
};
use blend_record::{DocumentError, manifest};

const NN: &str = r#"# models/moa/three-stage-nn/model.yaml
model: three-stage-nn
output: logit                  # what the graph emits: probability | logit | class_probabilities | class_logits | value | rank | vector | label
average: probability           # over seeds and folds: probability | logit | raw; what is averaged is what is stored and what feeds the next stage
# transform: exp | expm1       # values predicted on another scale
# frame: xyz | yxz             # vectors; yxz is the swapped frame of IceCube's 2nd place
claimed: {score: 0.01561, scope: "as stated by the authors"}
stages:                        # chained graphs; every stage's output is averaged over seeds, then feeds the next
  - name: nonscored
    graphs: "stage1/seed{seed}_fold{fold}.onnx"
    inputs: {features: {table: features}}
  - name: scored
    graphs: "stage2/seed{seed}_fold{fold}.onnx"
    inputs: {features: {table: features}, meta: {stage: nonscored, transform: stage2/quantile.onnx}}
seeds: [0, 1, 2, 3, 4]         # seeds and folds may also stand on a stage
folds: {file: ../data/folds.csv, column: fold}       # default: the competition's; "fold_seed{seed}" where each seed has its own map
tables: {features: {train: ../data/features_train.parquet, test: ../data/features_test.parquet, columns: "*"}}
batch_size: 2048
precision: f32                 # f32 | f16 where the graph is
"#;

fn parse(name: &str, text: &str) -> Result<Manifest, String> {
    let (_folder, workspace) = workspace();
    let parsed = manifest::parse(&workspace, &moa(), &model(name), text);
    parsed.map_err(|error: DocumentError| {
        let shown = show(&workspace, &error);
        let lines: Vec<&str> = shown.lines().collect();
        format!("{} | {}", lines[1].rsplit_once("model.yaml:").unwrap().1, lines[0])
    })
}

#[test]
fn the_contracts_document_is_read_and_written() {
    let (_folder, workspace) = workspace();
    let it = manifest::parse(&workspace, &moa(), &model("three-stage-nn"), NN).unwrap();
    let data = workspace.competition_folder(&moa()).join("data");
    assert_eq!(it.folder, workspace.model_folder(&moa(), &model("three-stage-nn")));
    assert_eq!(it.encoding, Encoding::plain(OutputKind::Logit));
    assert_eq!((it.average, it.stored_kind()), (Average::Probability, OutputKind::Probability));
    assert_eq!(it.claimed, Some(Claimed { score: 0.01561, scope: "as stated by the authors".into() }));
    assert_eq!(it.folds, Some(ColumnFile { file: data.join("folds.csv"), column: "fold".into() }));
    assert_eq!((it.batch_size, it.precision), (2048, Precision::F32));
    let table = || InputSpec::table("features");
    let meta = InputSpec::Stage { stage: "nonscored".into(), transform: Some("stage2/quantile.onnx".into()) };
    let scored = Stage {
        name: "scored".into(),
        graphs: "stage2/seed{seed}_fold{fold}.onnx".into(),
        seeds: vec![0, 1, 2, 3, 4],
        inputs: [("features".to_owned(), table()), ("meta".to_owned(), meta)].into(),
        output: None,
        kind: None,
        folds: None,
        folds_fingerprint: None,
    };
    assert_eq!(it.stages[1], scored);
    assert_eq!(it.tables["features"].train, Some(data.join("features_train.parquet")));
    assert_eq!(it.tables["features"].columns, None);
    manifest::write(&workspace, &it).unwrap();
    assert_eq!(manifest::read(&workspace, &moa(), &it.model).unwrap(), it);
}

#[test]
fn an_imported_model_is_short() {
    let (_folder, workspace) = workspace();
    let text = "model: tabnet\noutput: value\naverage: raw\ntransform: expm1\n";
    let it = manifest::parse(&workspace, &moa(), &model("tabnet"), text).unwrap();
    assert_eq!((it.average, it.encoding.transform), (Average::Raw, Some(Transform::Expm1)));
    assert_eq!(it.batch_size, manifest::DEFAULT_BATCH_SIZE);
    assert_eq!(manifest::to_yaml(&workspace, &it), text);
}

#[test]
fn the_average_is_what_suits_the_output() {
    for (output, want) in [
        ("probability", Average::Probability),
        ("class_logits", Average::Probability),
        ("value", Average::Raw),
        ("vector", Average::Raw),
        ("label", Average::Raw),
    ] {
        assert_eq!(parse("m", &format!("model: m\noutput: {output}\n")).unwrap().average, want);
    }
}

#[test]
fn everything_optional_reads_back() {
    let (_folder, workspace) = workspace();
    let text = "model: m\noutput: vector\nframe: yxz\nexport: \"make: all\"\nallowed_domains: [ai.onnx.ml]\nallow: {leak: \"known: it is so\"}\n\
        seeds: [1, 2]\nprecision: f16\nfolds: {file: ../f.csv, column: f}\n\
        tables: {a: {train: a.csv, columns: [x, '1']}, b: {test: b.csv}}\n\
        stages:\n  - {name: one, graphs: g.onnx, inputs: {i: {table: a, columns: [x], shape: [1, 1], transform: p.onnx}}, output: out, kind: value}\n  \
        - {name: two, graphs: 's{seed}.onnx', seeds: [7], inputs: {i: {stage: one}}}\n  \
        - {name: three, graphs: 't{seed}.onnx', inputs: {i: {stage: two}}}\n";
    let it = manifest::parse(&workspace, &moa(), &model("m"), text).unwrap();
    let seeds: Vec<&[i64]> = it.stages.iter().map(|stage| &stage.seeds[..]).collect();
    assert_eq!(seeds, [&[][..], &[7], &[1, 2]]);
    assert_eq!(manifest::parse(&workspace, &moa(), &model("m"), &manifest::to_yaml(&workspace, &it)).unwrap(), it);
}

#[test]
fn a_fold_map_on_the_stages_is_the_models() {
    let stage = |name: &str, folds: &str| format!("  - {{name: {name}, graphs: g.onnx, inputs: {{}}{folds}}}\n");
    let head = "model: m\noutput: value\nstages:\n";
    let folds = ", folds: {file: f.csv, column: f}";
    let it = parse("m", &format!("{head}{}{}", stage("a", folds), stage("b", folds))).unwrap();
    assert_eq!(it.folds.unwrap().column, "f");
    let own = ", folds: {file: f.csv, column: 'g{seed}'}";
    let print = format!("blake3:{}", "0".repeat(64));
    let on_model = format!("folds: {{file: f.csv, column: f, fingerprint: '{print}'}}\n");
    let text = format!("{head}{}{}{on_model}", stage("a", own), stage("b", ""));
    let (_folder, workspace) = workspace();
    let read = |text: &str| manifest::parse(&workspace, &moa(), &model("m"), text).unwrap();
    let it = read(&text);
    assert_eq!(it.stages[0].folds.as_ref().unwrap().column, "g{seed}");
    assert_eq!((&it.stages[1].folds, it.folds.as_ref().unwrap().column.as_str()), (&None, "f"));
    assert_eq!(it.folds_fingerprint.unwrap().to_string(), print);
    assert_eq!(read(&manifest::to_yaml(&workspace, &it)), it);
}

#[test]
fn events_are_read_and_written() {
    let (_folder, workspace) = workspace();
    let text = "model: m\noutput: vector\n\
        events:\n  hits: {train: {pulses: [b1.parquet, b2.parquet], meta: [m1.parquet, m2.parquet]}, \
        test: {pulses: [t.parquet]}, geometry: g.csv, ice: ice.csv, max_pulses: 128, seed: 7, \
        compatibility: icecube-2nd-place, token_budget: 4096}\n\
        stages:\n  - {name: a, graphs: g.onnx, inputs: {pos: {events: hits}, q: {events: hits, tensor: qe}, \
        x: {events: hits, features: [x, time, qe, scattering]}}}\n";
    let it = manifest::parse(&workspace, &moa(), &model("m"), text).unwrap();
    assert_eq!(it.encoding.frame, blend_core::Frame::Yxz);
    assert_eq!(it.stages[0].inputs["pos"], InputSpec::Events { events: "hits".into(), tensor: EventTensor::Position });
    let hits = &it.events["hits"];
    assert_eq!((hits.max_pulses, hits.seed, hits.token_budget), (128, 7, Some(4096)));
    assert_eq!(hits.train.as_ref().unwrap().meta.len(), 2);
    let read = |text: &str| manifest::parse(&workspace, &moa(), &model("m"), text).unwrap();
    assert_eq!(read(&manifest::to_yaml(&workspace, &it)), it);
    let plain = manifest::parse(&workspace, &moa(), &model("m"), &format!("frame: xyz\n{text}")).unwrap();
    assert_eq!(plain.encoding.frame, blend_core::Frame::Xyz);
    assert_eq!(read(&manifest::to_yaml(&workspace, &plain)), plain);
    let events = |events: &str, input: &str| {
        let stages = format!("stages:\n  - {{name: a, graphs: g.onnx, inputs: {{x: {{events: h, {input}}}}}}}\n");
        parse("m", &format!("model: m\noutput: vector\nevents: {{h: {{{events}}}}}\n{stages}")).unwrap_err()
    };
    for (spec, input, want) in [
        ("geometry: g.csv", "tensor: pos", "3:13 | events `h` have neither `train` nor `test`"),
        ("test: {pulses: [a]}, geometry: g, max_pulses: 0", "tensor: pos", "3:60 | `max_pulses` is 0"),
        ("test: {pulses: []}, geometry: g", "tensor: pos", "3:20 | `pulses` is an empty list"),
        ("test: {pulses: [a, b], meta: [c]}, geometry: g", "tensor: pos", "3:20 | 1 files of `meta` for 2 of `pulses`"),
        ("test: {pulses: [a]}, geometry: g", "tensor: poss", "5:63 | unknown tensor `poss`, did you mean `pos`?"),
        ("test: {pulses: [a]}, geometry: g", "features: [x, u]", "5:69 | unknown feature `u`"),
        ("test: {pulses: [a]}, geometry: g", "tensor: ice_properties", "5:43 | input `x` needs `ice` of events `h`"),
        (
            "test: {pulses: [a]}, geometry: g, compatibility: theirs",
            "tensor: pos",
            "3:63 | unknown compatibility `theirs`",
        ),
    ] {
        assert_eq!(events(spec, input), want, "{spec} {input}");
    }
}

#[test]
fn every_fault_has_its_words() {
    let head = "model: m\noutput: logit\ntables: {t: {train: a.csv}}\n";
    let stage = |rest: &str| format!("{head}stages:\n  - {{name: a, {rest}}}\n");
    for (text, want) in [
        ("model: x\noutput: logit\n".into(), "1:8 | `model: x` stands where `m` is expected"),
        ("model: m\noutput: lgit\n".into(), "2:9 | unknown output `lgit`, did you mean `logit`?"),
        ("model: m\n".into(), "1:1 | key `output` is missing"),
        (format!("{head}evens: x\n"), "4:1 | unknown key `evens`, did you mean `events`?"),
        (format!("{head}average: mean\n"), "4:10 | unknown average `mean`"),
        (
            "model: m\noutput: value\naverage: logit\n".into(),
            "3:10 | `average: logit` of `output: value`, which is no probability",
        ),
        (format!("{head}frame: xyz\n"), "4:8 | `frame` stands beside `output: logit`, not a vector"),
        (format!("{head}transform: exp\n"), "4:12 | `transform` stands beside `output: logit`, not a value"),
        ("model: m\noutput: vector\nframe: xzy\n".into(), "3:8 | unknown frame `xzy`, did you mean `xyz`?"),
        (format!("{head}batch_size: 0\n"), "4:13 | `batch_size` is 0"),
        (format!("{head}precision: f64\n"), "4:12 | unknown precision `f64`"),
        (format!("{head}claimed: {{score: .nan}}\n"), "4:18 | NaN is not a number"),
        (
            format!("{head}folds: {{file: f.csv, column: 'fold_{{sed}}'}}\n"),
            "4:30 | column `fold_{sed}` has braces that are not `{seed}`",
        ),
        ("model: m\noutput: logit\ntables: {t: {}}\n".into(), "3:13 | table `t` has neither `train` nor `test`"),
        (stage("graphs: g.onnx"), "5:15 | key `inputs` is missing"),
        (stage("graphs: ../g.onnx, inputs: {}"), "5:23 | `../g.onnx` is no path inside the model's folder"),
        (stage("graphs: /g.onnx, inputs: {}"), "5:23 | `/g.onnx` is no path inside the model's folder"),
        (
            stage("graphs: 'g{sed}.onnx', inputs: {}"),
            "5:23 | `g{sed}.onnx` has braces that are neither `{seed}` nor `{fold}`",
        ),
        (
            stage("graphs: 'g{seed}.onnx', inputs: {}"),
            "5:23 | stage `a` has `{seed}` in `graphs` and there are no `seeds`",
        ),
        (stage("graphs: g.onnx, seeds: [1], inputs: {}"), "5:38 | stage `a` has seeds and no `{seed}` in `graphs`"),
        (stage("graphs: 'g{seed}.onnx', seeds: [1, 1], inputs: {}"), "5:46 | `1` stands twice in the list"),
        (stage("graphs: 'g{seed}.onnx', seeds: [], inputs: {}"), "5:46 | the list is empty"),
        (stage("graphs: g.onnx, inputs: {i: {table: u}}"), "5:51 | unknown table `u`"),
        (stage("graphs: g.onnx, inputs: {i: {stage: a}}"), "5:51 | unknown earlier stage `a`"),
        (
            stage("graphs: g.onnx, inputs: {i: {table: t, stage: a}}"),
            "5:43 | input `i` is neither {table, columns} nor {stage, transform} nor {events, tensor}",
        ),
        (
            stage("graphs: g.onnx, inputs: {i: {table: t, shape: []}}"),
            "5:61 | `shape` is the sizes of a row's tensor, each at least 1",
        ),
        (
            stage("graphs: g.onnx, inputs: {i: {table: t, transform: 'p{fold}.onnx'}}"),
            "5:65 | `p{fold}.onnx` has `{fold}`, which `graphs: g.onnx` has not",
        ),
        (stage("graphs: g.onnx, inputs: {i: {tabel: t}}"), "5:44 | unknown key `tabel`, did you mean `table`?"),
        (stage("graphs: g.onnx, inputs: {}, kind: x"), "5:49 | unknown kind `x`"),
        (
            format!("{}  - {{name: a, graphs: g.onnx, inputs: {{}}}}\n", stage("graphs: g.onnx, inputs: {}")),
            "6:12 | stage `a` stands twice",
        ),
    ] {
        assert_eq!(parse("m", &text).unwrap_err(), want, "{text}");
    }
}

use super::*;
use blend_core::manifest::Precision;
use blend_record::{Kind, RunKind, RunRecord};

#[test]
fn a_record_reads_back() {
    let (_folder, workspace) = workspace();
    let folder = workspace.model_folder(&moa(), &model("nn"));
    let mut it = RunRecord::new(model("nn"), RunKind::Predict);
    it.write(&workspace, &moa()).unwrap();
    assert_eq!(RunRecord::read(&workspace, &moa(), &model("nn")).unwrap(), it);
    it.manifest = Some(print("manifest"));
    it.folds = Some(print("folds"));
    it.graphs.insert(folder.join("s/seed0_fold1.onnx"), print("g"));
    it.data.insert(workspace.root().join("models/moa/data/train.csv"), print("d"));
    it.data.insert("/somewhere/else/x.csv".into(), print("e"));
    (it.oof, it.test) = (Some(print("oof")), Some(print("test")));
    (it.engine, it.library, it.device) = (Some("ort".into()), Some("1.31.1".into()), Some("cpu".into()));
    it.precision = Some(Precision::F16);
    (it.rows, it.seconds, it.rows_per_second) = (Some(7), Some(0.1 + 0.2), Some(1e300));
    it.workers = Some(7);
    it.peak_memory_bytes = Some(u64::MAX);
    it.write(&workspace, &moa()).unwrap();
    assert_eq!(RunRecord::read(&workspace, &moa(), &model("nn")).unwrap(), it);
    let text = std::fs::read_to_string(workspace.run_file(&moa(), &model("nn"))).unwrap();
    assert!(text.contains(&format!("  s/seed0_fold1.onnx: \"{}\"\n", print("g"))), "{text}");
    assert!(text.contains("  ../data/train.csv: ") && text.contains("  \"/somewhere/else/x.csv\": "), "{text}");
    let mut other = RunRecord { oof: None, seconds: None, device: None, ..it.clone() };
    assert!(it.same_inputs(&other));
    other.folds = None;
    assert!(!it.same_inputs(&other));
}

#[test]
fn faults_have_their_words() {
    let (_folder, workspace) = workspace();
    let cause = |text: &str| {
        put(&workspace.run_file(&moa(), &model("nn")), text);
        let error = RunRecord::read(&workspace, &moa(), &model("nn")).unwrap_err();
        assert_eq!(error.kind(), Kind::Usage);
        error.to_string()
    };
    assert_eq!(cause("model: nn\nkind: predicted\n"), "unknown kind `predicted`, did you mean `predict`?");
    assert_eq!(cause("model: nn\nkind: import\nrow: 5\n"), "unknown key `row`, did you mean `rows`?");
    assert_eq!(
        cause("model: nn\nkind: import\noof: x\n"),
        "`x` is no fingerprint: `blake3:` and 64 hexadecimal digits"
    );
}

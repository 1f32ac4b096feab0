use super::*;
use blend_core::{RowIndex, post::PostStep};
use blend_record::{Kind, Provenance, Sample, Submission, SubmissionError};
use std::time::{Duration, Instant};

const ANY: (f64, f64) = (f64::NEG_INFINITY, f64::INFINITY);

fn sample(workspace: &Workspace, text: &str) -> Sample {
    let path = workspace.root().join("models/moa/data/sample.csv");
    put(&path, text);
    Sample::new(&path, text.into(), Fingerprint::of(text.as_bytes()), "id").unwrap()
}

fn rows(ids: &[&str]) -> RowIndex {
    RowIndex::from_texts(ids.iter().copied()).unwrap()
}

#[test]
fn header_ids_and_line_ends_are_the_samples() {
    let (_folder, workspace) = workspace();
    let sample = sample(&workspace, "\u{feff}\"a\",id,b\r\n0,007,0\r\n0,\"x,y\",0\r\n");
    let columns = vec!["a".into(), "b".into()];
    let draft = Submission::new(rows(&["007", "x,y"]), columns, vec![vec![0.5, 1e-15], vec![0.1 + 0.2, 1.0]]);
    let checked = draft.check(&sample, ANY).unwrap();
    let path = workspace.submission_csv(&moa(), &blend("b"));
    let written = checked.write(&path).unwrap();
    let bytes = std::fs::read(&path).unwrap();
    let want = "\u{feff}\"a\",id,b\r\n0.5,007,0.30000000000000004\r\n1e-15,\"x,y\",1\r\n";
    assert_eq!(String::from_utf8(bytes.clone()).unwrap(), want);
    assert_eq!((written, checked.fingerprint()), (Fingerprint::of(&bytes), written));
}

#[test]
fn what_differs_from_the_sample_is_refused() {
    let (_folder, workspace) = workspace();
    let sample = sample(&workspace, "id,a,b\n1,0,0\n2,0,0\n3,0,0");
    let check = |ids: &[&str], columns: &[&str], values: Vec<Vec<f64>>| {
        let columns = columns.iter().map(|name| (*name).to_owned()).collect();
        let error = Submission::new(rows(ids), columns, values).check(&sample, (0.0, 1.0)).unwrap_err();
        assert_eq!(error.kind(), Kind::Data);
        assert!(error.hint().is_some());
        error
    };
    let good = || vec![vec![0.0; 3]; 2];
    let all = ["1", "2", "3"];
    assert_eq!(check(&all, &["a"], good()).to_string(), "1 columns where the sample submission has 2");
    assert_eq!(
        check(&all, &["a", "b"], vec![vec![0.0; 3]; 3]).to_string(),
        "3 columns where the sample submission has 2"
    );
    assert_eq!(check(&all, &["b", "a"], good()).to_string(), "column 1 is `b` where the sample submission has `a`");
    assert_eq!(
        check(&["1", "2", "4"], &["a", "b"], good()).to_string(),
        "ids differ from the sample submission's: 3 rows wanted: 1 ids missing (first `3`), 1 unknown (first `4`)"
    );
    assert_eq!(
        check(&["1", "3", "2"], &["a", "b"], good()).to_string(),
        "ids stand in another order than the sample submission's, first in row 2: `3`, not `2`"
    );
    assert_eq!(
        check(&all, &["a", "b"], vec![vec![0.0; 3], vec![0.0; 2]]).to_string(),
        "column `b` has 2 values for 3 rows"
    );
    assert_eq!(
        check(&all, &["a", "b"], vec![vec![0.0; 3], vec![0.0, 1.5, 0.0]]).to_string(),
        "the value of `2` in column `b` is 1.5, outside [0, 1]"
    );
    let nan = check(&all, &["a", "b"], vec![vec![0.0, 0.0, f64::NAN], vec![0.0; 3]]);
    assert!(matches!(nan, SubmissionError::NotFinite { .. }));
    assert_eq!(nan.to_string(), "the value of `3` in column `a` is NaN");
}

#[test]
fn a_submission_of_moas_size_is_written_at_once() {
    let (_folder, workspace) = workspace();
    let (n_rows, n_outputs) = (3982, 206);
    let columns: Vec<String> = (0..n_outputs).map(|i| format!("target_{i}")).collect();
    let ids: Vec<String> = (0..n_rows).map(|i| format!("id_{i:09x}")).collect();
    let mut text = format!("id,{}\n", columns.join(","));
    ids.iter().for_each(|id| text.push_str(&format!("{id}{}\n", ",0.5".repeat(n_outputs))));
    let sample = sample(&workspace, &text);
    let value = |output: usize, row: usize| 1.0 / (3 + output * n_rows + row) as f64;
    let values = (0..n_outputs).map(|output| (0..n_rows).map(|row| value(output, row)).collect()).collect();
    let checked =
        Submission::new(RowIndex::from_texts(ids).unwrap(), columns, values).check(&sample, (0.0, 1.0)).unwrap();
    let path = workspace.submission_csv(&moa(), &blend("big"));
    let start = Instant::now();
    let first = checked.write(&path).unwrap();
    assert!(start.elapsed() < Duration::from_secs(2), "{:?}", start.elapsed());
    assert_eq!(checked.write(&path).unwrap(), first);
}

#[test]
fn provenance_reads_back_and_never_changes() {
    let (_folder, workspace) = workspace();
    let data = workspace.root().join("models/moa/data");
    let it = Provenance {
        submission: blend("best_cv"),
        competition: moa(),
        csv: print("csv"),
        recipe: print("recipe"),
        competition_file: print("competition"),
        sample: (data.join("sample.csv"), print("sample")),
        members: vec![(model("b"), print("b")), (model("a"), print("a"))],
        data: [(data.join("test.csv"), print("test"))].into(),
        post: vec![PostStep::Clip { low: 0.0, high: 1.0 }, PostStep::Round(3)],
    };
    it.write(&workspace).unwrap();
    let path = workspace.submission_yaml(&moa(), &blend("best_cv"));
    let first = std::fs::read_to_string(&path).unwrap();
    assert!(first.contains("  ../../models/moa/data/test.csv: \"blake3:"), "{first}");
    assert_eq!(Provenance::read(&workspace, &moa(), &blend("best_cv")).unwrap(), it);
    it.write(&workspace).unwrap();
    assert_eq!(std::fs::read_to_string(&path).unwrap(), first);
    put(&path, first.replace("csv: \"blake3", "cvs: \"blake3"));
    let error = Provenance::read(&workspace, &moa(), &blend("best_cv")).unwrap_err();
    assert_eq!(error.to_string(), "unknown key `cvs`, did you mean `csv`?");
}

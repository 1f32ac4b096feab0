//! The same predictions in every format are the same stored bytes.

use crate::{
    support::Workspace,
    toy::{self, TRAIN_ROWS, npy, oof, oof_bytes, probability, refused, run},
};

const OOF: &str = "models/toy/ada/oof.feather";

/// A gzip file of `content`, stored and not compressed.
fn gzip(content: &[u8]) -> Vec<u8> {
    let mut crc = u32::MAX;
    for byte in content {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = if crc & 1 == 1 { (crc >> 1) ^ 0xedb8_8320 } else { crc >> 1 };
        }
    }
    let length = u16::try_from(content.len()).expect("short");
    let mut bytes = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3, 1];
    bytes.extend(length.to_le_bytes());
    bytes.extend((!length).to_le_bytes());
    bytes.extend(content);
    bytes.extend((!crc).to_le_bytes());
    bytes.extend(u32::from(length).to_le_bytes());
    bytes
}

/// Imports files over the good outputs and compares what is stored.
#[track_caller]
fn same(workspace: &Workspace, arguments: &[&str]) {
    let good = workspace.read(OOF);
    workspace.write(OOF, "gone");
    run(workspace, &[&["import", "ada", "--oof"], arguments].concat()).expect(0);
    assert!(workspace.read(OOF) == good, "{arguments:?}");
}

#[test]
fn files_of_every_format() {
    let workspace = toy::imported();
    workspace.write("in/a.csv.gz", gzip(oof(0).as_bytes()));
    same(&workspace, &["in/a.csv.gz"]);
    workspace.write("in/a.npy", npy("<f4", "(60, 1)", &oof_bytes(0)));
    same(&workspace, &["in/a.npy", "--rows", "truth"]);
    same(&workspace, &["in/a.npy", "--rows", "models/toy/data/train.csv"]);
    workspace.write("in/flat.npy", npy("<f4", "(60,)", &oof_bytes(0)));
    same(&workspace, &["in/flat.npy", "--rows", "truth"]);
    let wide: Vec<u8> = (0..TRAIN_ROWS).flat_map(|row| probability(0, row).to_le_bytes()).collect();
    workspace.write("in/wide.npy", npy("<f8", "(60, 1)", &wide));
    same(&workspace, &["in/wide.npy", "--rows", "truth"]);
    let big: Vec<u8> = (0..TRAIN_ROWS).flat_map(|row| (probability(0, row) as f32).to_be_bytes()).collect();
    workspace.write("in/big.npy", npy(">f4", "(60, 1)", &big));
    same(&workspace, &["in/big.npy", "--rows", "truth"]);
    workspace.write("in/a.feather", workspace.read(OOF));
    same(&workspace, &["in/a.feather"]);
    // Windows' line ends, a byte order mark, quotes, another column beside, another name.
    workspace.write("in/windows.csv", oof(0).replace('\n', "\r\n"));
    same(&workspace, &["in/windows.csv"]);
    workspace.write("in/mark.csv", format!("\u{feff}{}", oof(0)));
    same(&workspace, &["in/mark.csv"]);
    workspace.write("in/quoted.csv", oof(0).replace("id,y", "\"id\",\"y\"").replace("r07,", "\"r07\","));
    same(&workspace, &["in/quoted.csv"]);
    let beside = toy::csv('r', 0..TRAIN_ROWS, |row| format!("{row},{}", probability(0, row)));
    workspace.write("in/beside.csv", beside.replace("id,y", "id,fold,y"));
    same(&workspace, &["in/beside.csv"]);
    workspace.write("in/named.csv", oof(0).replace("id,y", "id,prediction"));
    same(&workspace, &["in/named.csv"]);
    workspace.write("in/chosen.csv", beside.replace("id,y", "id,fold,p"));
    same(&workspace, &["in/chosen.csv", "--columns", "p"]);
}

#[test]
fn one_file_per_fold() {
    let workspace = toy::imported();
    for fold in 0..3 {
        let rows = (0..TRAIN_ROWS).rev().filter(|row| row % 3 == fold);
        workspace.write(format!("in/fold{fold}.csv"), toy::csv('r', rows, |row| probability(0, row).to_string()));
    }
    same(&workspace, &["in/fold2.csv", "in/fold0.csv", "in/fold1.csv"]);
    let repeated = ["import", "ada", "--oof", "in/fold2.csv", "--oof", "in/fold0.csv", "--oof", "in/fold1.csv"];
    let good = workspace.read(OOF);
    run(&workspace, &repeated).expect(0);
    assert!(workspace.read(OOF) == good);
    refused(&workspace, 3, &["import", "ada", "--oof", "in/fold0.csv", "in/fold1.csv"], &["20 ids missing", "`r02`"]);
}

#[test]
fn other_scales_say_so() {
    let workspace = toy::imported();
    let logit = |row: usize| (probability(0, row) / (1.0 - probability(0, row))).ln().to_string();
    workspace.write("in/logits.csv", toy::csv('r', 0..TRAIN_ROWS, logit));
    let arguments = ["import", "lee", "--oof", "in/logits.csv", "--output", "logit", "--json"];
    let logits = run(&workspace, &arguments).expect(0).json();
    let import = ["import", "ada", "--oof", "in/ada_oof.csv", "--json"];
    let plain = run(&workspace, &import).expect(0).json();
    let difference = logits["score"].as_f64().expect("a score") - plain["score"].as_f64().expect("a score");
    assert!(difference.abs() < 1e-6, "{difference}");
    assert_eq!(logits["output"], "logit");
    // The manifest remembers, so importing again needs no flag.
    run(&workspace, &["import", "lee", "--oof", "in/logits.csv"]).expect(0);
    let wide = run(&workspace, &["import", "ada", "--oof", "in/ada_oof.csv", "--dtype", "f64"]).expect(0);
    assert_eq!(wide.stderr, "");
}

#[test]
fn a_split_that_is_not_imported_stays() {
    let workspace = toy::imported();
    let test = workspace.read("models/toy/ada/test.feather");
    run(&workspace, &["import", "ada", "--oof", "in/bob_oof.csv"]).expect(0);
    assert!(workspace.read("models/toy/ada/test.feather") == test);
    let record = String::from_utf8(workspace.read("models/toy/ada/run.yaml")).expect("text");
    assert!(record.contains("oof:") && record.contains("test:"), "{record}");
    // Test predictions of a competition without truth.
    let bare = Workspace::new();
    bare.write("models/bare/competition.yaml", "competition: bare\nmetric: log_loss\nid: id\n");
    bare.write("in/test.csv", toy::test(0));
    run(&bare, &["import", "ada", "--test", "in/test.csv"]).expect(0);
    refused(&bare, 2, &["import", "ada", "--oof", "in/test.csv"], &["names no truth"]);
    refused(&bare, 2, &["search"], &["names no truth"]);
    refused(&bare, 2, &["submit"], &["names no sample submission"]);
    run(&bare, &["audit"]).expect(0);
}

/// A sample submission in any format gives the same submission.
#[test]
fn samples_of_every_format() {
    let workspace = toy::imported();
    run(&workspace, &["search"]).expect(0);
    let submission = || {
        run(&workspace, &["submit", "best_cv"]).expect(0);
        run(&workspace, &["verify"]).expect(0);
        workspace.read("submissions/toy/best_cv.csv")
    };
    let wanted = submission();
    let name = |file: &str| {
        workspace.write("models/toy/competition.yaml", toy::COMPETITION.replace("data/sample.csv", file));
    };
    let text = workspace.read("models/toy/data/sample.csv");
    workspace.write("models/toy/data/sample.csv.gz", gzip(&text));
    // Stored outputs are a table with the same ids and columns.
    workspace.write("models/toy/data/sample.feather", workspace.read("models/toy/ada/test.feather"));
    for file in ["data/sample.csv.gz", "data/sample.feather"] {
        name(file);
        assert!(submission() == wanted, "{file}");
    }
    // The chain holds the file as it is, packed.
    workspace.write("models/toy/data/sample.feather", gzip(&text));
    let verify = run(&workspace, &["verify"]).expect(1);
    assert!(verify.stdout.contains("sample submission differs"), "{}", verify.stdout);
    refused(&workspace, 3, &["submit"], &["data/sample.feather", "damaged"]);
    for (file, content, code, words) in [
        ("data/broken.csv.gz", gzip(&text)[..40].to_vec(), 3, &["data/broken.csv.gz", "damaged"][..]),
        ("data/sample.zip", b"PK\x03\x04rest".to_vec(), 3, &["data/sample.zip", "zip archive", "unpack it"]),
        ("data/sample.pkl", text.clone(), 3, &["data/sample.pkl", "pickle"]),
        ("data/sample.npy", npy("<f4", "(20, 1)", &[0; 80]), 2, &["data/sample.npy", "no column `id`"]),
    ] {
        workspace.write(format!("models/toy/{file}"), content);
        name(file);
        refused(&workspace, code, &["submit"], words);
    }
}

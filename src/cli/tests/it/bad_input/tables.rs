//! Tables of predictions that are not what they should be, given to `blend import`.

use crate::{
    support::Workspace,
    toy::{self, TEST_ROWS, TRAIN_ROWS, npy, oof, oof_bytes, oof_with, probability, refused, run},
};

/// Refuses to import `content` as the OOF predictions of a model that has good ones.
#[track_caller]
fn bad_oof(code: i32, name: &str, content: impl AsRef<[u8]>, words: &[&str]) {
    let workspace = toy::imported();
    bad_import(&workspace, code, &[name], content, &[], words);
}

#[track_caller]
fn bad_npy(code: i32, content: impl AsRef<[u8]>, words: &[&str]) {
    let workspace = toy::imported();
    bad_import(&workspace, code, &["bad.npy"], content, &["--rows", "truth"], words);
}

#[track_caller]
fn bad_import(
    workspace: &Workspace,
    code: i32,
    names: &[&str],
    content: impl AsRef<[u8]>,
    more: &[&str],
    words: &[&str],
) {
    for name in names {
        workspace.write(format!("in/{name}"), content.as_ref());
    }
    let paths: Vec<String> = names.iter().map(|name| format!("in/{name}")).collect();
    let mut arguments = vec!["import", "ada", "--oof"];
    arguments.extend(paths.iter().map(String::as_str));
    arguments.extend(more);
    let words = [&[paths[0].as_str()], words].concat();
    refused(workspace, code, &arguments, &words);
}

#[test]
fn rows_that_are_not_those_of_the_truth() {
    let lines = |text: &str, keep: std::ops::Range<usize>| {
        text.lines().enumerate().filter(|(i, _)| *i == 0 || keep.contains(i)).map(|(_, l)| format!("{l}\n")).collect()
    };
    let short: String = lines(&oof(0), 1..58);
    bad_oof(3, "bad.csv", short, &["3 ids missing", "`r57`", "60"]);
    bad_oof(3, "bad.csv", oof(0) + "r60,0.5\n", &["1 unknown", "`r60`"]);
    bad_oof(3, "bad.csv", oof_with(7, "x07,0.5"), &["`r07`", "`x07`"]);
    bad_oof(3, "bad.csv", oof_with(7, "r08,0.5"), &["`r08`"]);
    bad_oof(3, "bad.csv", oof_with(7, ",0.5"), &["`id`", "row 7"]);
    bad_oof(3, "bad.csv", toy::test(0), &["60 ids missing", "`t00`"]);
}

#[test]
fn permuted_rows_are_aligned() {
    let workspace = toy::imported();
    let before = toy::tree(workspace.root());
    // 7 is coprime to the number of rows.
    let order = (0..TRAIN_ROWS).map(|row| row * 7 % TRAIN_ROWS);
    let permuted = toy::csv('r', order, |row| probability(0, row).to_string());
    workspace.write("in/ada_oof.csv", permuted);
    let order = (0..TEST_ROWS).rev();
    workspace.write("in/ada_test.csv", toy::csv('t', order, |row| probability(0, row + 1000).to_string()));
    run(&workspace, &["import", "ada", "--oof", "in/ada_oof.csv", "--test", "in/ada_test.csv"]).expect(0);
    for file in ["models/toy/ada/oof.feather", "models/toy/ada/test.feather"] {
        assert!(workspace.read(file) == before[&workspace.path(file)], "{file} differs");
    }
}

#[test]
fn values_that_are_no_probabilities() {
    for text in ["nan", "NaN", "inf", "-inf", ""] {
        bad_oof(3, "bad.csv", oof_with(7, &format!("r07,{text}")), &["`r07`"]);
    }
    for text in ["1.5", "-0.25", "7", "1e300"] {
        let workspace = toy::imported();
        let wide: &[&str] = if text == "1e300" { &["--dtype", "f64"] } else { &[] };
        bad_import(&workspace, 3, &["bad.csv"], oof_with(7, &format!("r07,{text}")), wide, &["`r07`", "probability"]);
    }
    bad_oof(3, "bad.csv", oof_with(7, "r07,1e300"), &["1e300", "row 7", "--dtype f64"]);
    bad_oof(3, "bad.csv", oof_with(7, "r07,1.5"), &["`r07`", "1.5", "probability", "--output logit"]);
    bad_oof(3, "bad.csv", oof_with(7, "r07,high"), &["`r07`", "`high`", "`y`"]);
}

#[test]
fn test_predictions_are_judged_by_the_sample() {
    let workspace = toy::imported();
    workspace.write("in/bad.csv", toy::csv('t', 0..TEST_ROWS - 1, |_| "0.5".to_owned()));
    let both = ["import", "ada", "--oof", "in/ada_oof.csv", "--test", "in/bad.csv"];
    refused(&workspace, 3, &both, &["in/bad.csv", "1 id", "`t19`", "sample submission"]);
    workspace.write("in/bad.csv", toy::csv('t', 0..TEST_ROWS, |row| if row == 3 { "nan" } else { "0.5" }.to_owned()));
    refused(&workspace, 3, &both, &["in/bad.csv", "`t03`"]);
}

#[test]
fn arrays_of_another_shape() {
    let data = oof_bytes(0);
    bad_npy(3, npy("<f4", "(60, 1)", &data[..200]), &["cut off", "200", "240"]);
    bad_npy(3, npy("<f4", "(1, 60)", &data), &["transposed", "(1, 60)", "(60, 1)", ".T"]);
    bad_npy(3, npy("<f4", "(59, 1)", &data[..236]), &["59 rows", "60"]);
    bad_npy(3, npy("<f4", "(30, 2)", &data), &["2 columns"]);
    bad_npy(3, npy("<f4", "(60, 1)", &[&data[..], b"more"].concat()), &["4 bytes follow"]);
    bad_npy(3, npy("<f4", "(0, 1)", b""), &["no rows"]);
    // A header that promises more than any machine has is refused before anything is allocated.
    bad_npy(3, npy("<f4", "(4000000000000000000, 1)", &data), &["cut off", "16000000000000000000"]);
    bad_npy(3, npy("<f4", "(60,", &data), &["header"]);
    bad_npy(3, npy("<c8", "(30, 1)", &data), &["`<c8`"]);
    bad_npy(3, &npy("<f4", "(60, 1)", &data)[..40], &["header is cut off"]);
    bad_npy(3, b"\x93NUMBY nonsense", &["does not start as an npy file"]);
}

#[test]
fn a_good_array_needs_its_row_order() {
    let workspace = toy::imported();
    let before = workspace.read("models/toy/ada/oof.feather");
    workspace.write("in/good.npy", npy("<f4", "(60, 1)", &oof_bytes(0)));
    refused(&workspace, 2, &["import", "ada", "--oof", "in/good.npy"], &["in/good.npy", "--rows truth"]);
    run(&workspace, &["import", "ada", "--oof", "in/good.npy", "--rows", "truth"]).expect(0);
    assert!(workspace.read("models/toy/ada/oof.feather") == before, "the same numbers in another format");
}

#[test]
fn pickles_are_never_loaded() {
    let pickle = b"\x80\x04\x95\x0b\x00\x00\x00\x00\x00\x00\x00]\x94(K\x01K\x02e.";
    for name in ["bad.pkl", "bad.pickle", "bad.csv", "bad.npy", "bad.feather", "bad.parquet", "bad.npz"] {
        let workspace = toy::imported();
        bad_import(&workspace, 3, &[name], pickle, &["--rows", "truth"], &["pickled", "never loaded", "python3 -c"]);
    }
    bad_npy(3, npy("|O", "(60, 1)", b"\x80\x04]\x94."), &["pickled", "allow_pickle=True"]);
}

#[test]
fn files_without_content() {
    for name in ["bad.csv", "bad.csv.gz", "bad.npy", "bad.npz", "bad.feather", "bad.parquet"] {
        let workspace = toy::imported();
        bad_import(&workspace, 3, &[name], b"", &["--rows", "truth"], &["is empty (0 bytes)"]);
    }
    bad_oof(3, "bad.csv", "id,y\n", &["has no rows"]);
    bad_oof(3, "bad.csv", "\n", &[]);
}

#[test]
fn files_that_are_not_what_their_name_says() {
    let feather = toy::imported().read("models/toy/bob/oof.feather");
    bad_oof(3, "bad.feather", &feather[..feather.len() - 100], &["damaged"]);
    bad_oof(3, "bad.feather", oof(0), &["damaged"]);
    bad_oof(3, "bad.parquet", oof(0), &["damaged"]);
    bad_oof(3, "bad.csv.gz", b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03\x4b\x4c", &["damaged"]);
    bad_oof(3, "bad.npz", b"PK\x03\x04 and no more", &["damaged"]);
    bad_oof(3, "bad.csv", "id,y\nr00,0.5,0.5\nr01,0.5\n", &["damaged"]);
    bad_oof(3, "bad.csv", b"id,y\nr\xff\xfe,0.5\n", &[]);
    bad_oof(3, "bad.csv", "id,y,y\nr00,0.5,0.5\n", &["`y`", "twice"]);
    bad_oof(2, "bad.xlsx", "PK", &["no known table format", ".parquet"]);
}

#[test]
fn columns_that_are_not_the_competition_s() {
    let text = oof(0).replace("id,y", "row,y");
    bad_oof(2, "bad.csv", text, &["no column `id`", "`id:`", "--rows truth"]);
    let two = toy::csv('r', 0..TRAIN_ROWS, |_| "0.5,0.5".to_owned()).replace("id,y", "id,left,right");
    bad_oof(3, "bad.csv", &two, &["left, right", "--columns"]);
    let workspace = toy::imported();
    let import = ["import", "ada", "--oof", "in/bad.csv", "--columns", "left,right"];
    workspace.write("in/bad.csv", &two);
    refused(&workspace, 2, &import, &["2 columns", "1 output", "--columns left,right"]);
    bad_import(&workspace, 2, &["bad.csv"], &two, &["--columns", "middle"], &["`middle`", "left, right"]);
}

#[test]
fn files_of_folds_that_do_not_make_one_whole() {
    let workspace = toy::imported();
    let part = |rows: std::ops::Range<usize>| toy::csv('r', rows, |_| "0.5".to_owned());
    workspace.write("in/one.csv", part(0..30));
    workspace.write("in/two.csv", part(30..59));
    workspace.write("in/three.csv", part(29..60));
    let import = |second| ["import", "ada", "--oof", "in/one.csv", second];
    refused(&workspace, 3, &import("in/two.csv"), &["`r59`", "1 id"]);
    refused(&workspace, 3, &import("in/three.csv"), &["`r29`", "in/one.csv", "in/three.csv"]);
}

#[test]
fn files_that_cannot_be_opened() {
    let workspace = toy::imported();
    refused(&workspace, 4, &["import", "ada", "--oof", "in/nothing.csv"], &["in/nothing.csv", "No such file"]);
    std::fs::create_dir(workspace.path("in/folder.csv")).expect("folder");
    refused(&workspace, 4, &["import", "ada", "--oof", "in/folder.csv"], &["in/folder.csv"]);
    workspace.write("in/bad.npy", npy("<f4", "(60, 1)", &oof_bytes(0)));
    let rows = ["import", "ada", "--oof", "in/bad.npy", "--rows", "in/nothing.csv"];
    refused(&workspace, 4, &rows, &["in/nothing.csv"]);
}

#[test]
fn names_and_choices_that_do_not_exist() {
    let workspace = toy::imported();
    let import = |model, more: &[&'static str]| [&["import", model, "--oof", "in/ada_oof.csv"], more].concat();
    for name in ["../ada", "a/b", ".ada", "a b", "-"] {
        refused(&workspace, 2, &import(name, &[]), &["is not a name"]);
    }
    refused(&workspace, 2, &import("", &[]), &["a name is empty"]);
    refused(&workspace, 2, &import("ada", &["--output", "logits"]), &["`logits`", "`logit`"]);
    refused(&workspace, 2, &import("ada", &["--transform", "exp2"]), &["`exp2`", "exp"]);
    refused(&workspace, 2, &import("ada", &["--frame", "zyx"]), &["`zyx`", "xyz"]);
}

//! Stored outputs that were damaged behind the program's back.

use crate::{
    support::Workspace,
    toy::{self, refused, run},
};

const OOF: &str = "models/toy/bob/oof.feather";
const TEST: &str = "models/toy/bob/test.feather";

fn damaged(file: &str, damage: impl Fn(&mut Vec<u8>)) -> Workspace {
    let workspace = toy::imported();
    run(&workspace, &["search"]).expect(0);
    let mut content = workspace.read(file);
    damage(&mut content);
    workspace.write(file, content);
    workspace
}

/// Flips one bit of the stored values: the lowest of the mantissa of some number.
fn flip(content: &mut [u8]) {
    let needle = (toy::probability(1, 5) as f32).to_le_bytes();
    let at = content.windows(4).position(|bytes| bytes == needle).expect("the value of row 5");
    content[at] ^= 1;
}

#[test]
fn a_flipped_bit_is_found() {
    let workspace = damaged(OOF, |content| flip(content));
    let before = toy::tree(workspace.root());
    let audit = run(&workspace, &["audit"]).expect(1);
    for word in ["fault: readable in `bob`", "bob/oof.feather", "has changed", "blake3:", "hint: "] {
        assert!(audit.stdout.contains(word), "no `{word}` in\n{}", audit.stdout);
    }
    let object = run(&workspace, &["audit", "--json"]).expect(1).json();
    assert_eq!(object["findings"][0]["model"], "bob");
    assert_eq!(object["findings"][0]["place"], OOF);
    toy::unchanged(&workspace, &before);
    refused(&workspace, 3, &["search"], &["bob/oof.feather", "has changed", "blend import bob"]);
    // The others can still be searched.
    run(&workspace, &["search", "--members", "ada,cyd"]).expect(0);
}

#[test]
fn a_feather_that_is_cut_off_or_no_feather() {
    type Damage = dyn Fn(&mut Vec<u8>);
    let damages: [&Damage; 5] = [
        &|content| content.truncate(content.len() - 1),
        &|content| content.truncate(content.len() / 2),
        &|content| content.truncate(4),
        &|content| content.fill(b'x'),
        &Vec::clear,
    ];
    for damage in damages {
        let workspace = damaged(OOF, damage);
        let audit = run(&workspace, &["audit"]).expect(1);
        assert!(audit.stdout.contains("fault: readable in `bob`"), "{}", audit.stdout);
        assert!(audit.stdout.contains("bob/oof.feather"), "{}", audit.stdout);
        refused(&workspace, 3, &["search"], &["bob/oof.feather", "blend import bob"]);
    }
}

/// Whatever a stored file holds, the answer is an error with a place: never a panic, never another code.
#[test]
fn every_kind_of_damage_has_an_answer() {
    let workspace = damaged(OOF, |_| {});
    let whole = workspace.read(OOF);
    let mut state = 1u64;
    for _ in 0..60 {
        let mut content = whole.clone();
        for _ in 0..4 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let at = (state >> 33) as usize % content.len();
            content[at] = (state >> 25) as u8;
        }
        workspace.write(OOF, &content);
        let search = run(&workspace, &["search", "--no-nested"]);
        // Bytes that are padding may change without harm.
        assert!(matches!(search.code, 0 | 3), "exit {} with\n{}", search.code, search.stderr);
        assert!(search.code == 0 || search.stderr.contains("bob/oof.feather"), "{}", search.stderr);
        let audit = run(&workspace, &["audit"]);
        assert!(matches!(audit.code, 0 | 1), "exit {} with\n{}", audit.code, audit.stderr);
    }
}

#[test]
fn damaged_test_outputs_make_no_submission() {
    let workspace = damaged(TEST, |content| content.truncate(content.len() / 2));
    refused(&workspace, 3, &["submit"], &["bob/test.feather", "blend import bob"]);
    assert!(!workspace.path("submissions").exists());
}

#[test]
fn outputs_of_other_rows_or_columns_are_refused() {
    let workspace = toy::imported();
    // Another competition's file in this one's place.
    workspace.write(OOF, workspace.read(TEST));
    run(&workspace, &["audit"]).expect(1);
    refused(&workspace, 3, &["search"], &["bob/oof.feather", "do not line up", "60 ids missing", "blend import bob"]);
}

#[test]
fn a_truth_that_changed_is_what_is_searched_on() {
    let workspace = toy::imported();
    run(&workspace, &["search"]).expect(0);
    let longer = String::from_utf8(workspace.read("models/toy/data/train.csv")).expect("text") + "r60,1\n";
    workspace.write("models/toy/data/train.csv", longer);
    let folds = String::from_utf8(workspace.read("models/toy/data/folds.csv")).expect("text") + "r60,1\n";
    workspace.write("models/toy/data/folds.csv", folds);
    refused(&workspace, 3, &["search"], &["oof.feather", "1 ids missing", "`r60`"]);
}

#[cfg(unix)]
#[test]
fn folders_that_may_not_be_written() {
    use std::os::unix::fs::PermissionsExt;
    let workspace = toy::imported();
    let folder = workspace.path("models/toy/ada");
    let set = |mode| std::fs::set_permissions(&folder, std::fs::Permissions::from_mode(mode)).expect("mode");
    set(0o500);
    // The superuser may write anywhere.
    if std::fs::write(folder.join("probe"), "").is_err() {
        refused(&workspace, 4, &["import", "ada", "--oof", "in/bob_oof.csv"], &["models/toy/ada"]);
    }
    set(0o700);
    // A file in the way of a folder.
    workspace.write("blends", "not a folder");
    refused(&workspace, 4, &["search"], &["blends"]);
}

//! Damage behind the program's back.

use super::small::{self, Kind, predictions};
use crate::{support::Workspace, toy::run};

/// What happens to outputs after they were stored, and to what they were made from.
#[test]
fn damage_behind_the_program_s_back_is_found() {
    type Damage = fn(&Workspace);
    const OOF: &str = "models/c/ada/oof.feather";
    let flip: Damage = |workspace| {
        let mut content = workspace.read(OOF);
        let value = (predictions(Kind::Targets, 0, false)[1][5] as f32).to_le_bytes();
        let at = content.windows(4).position(|bytes| bytes == value).expect("the value");
        content[at] ^= 1;
        workspace.write(OOF, content);
    };
    let claim: Damage = |workspace| {
        let text = String::from_utf8(workspace.read("models/c/ada/model.yaml")).expect("text");
        workspace.write("models/c/ada/model.yaml", text + "claimed: {score: 0.123456, scope: nobody knows}\n");
    };
    let cases: [(&str, Damage, &str, &str); 9] = [
        ("a flipped bit", flip, "readable", "fault"),
        ("a file cut off", |it| drop(it.write(OOF, &it.read(OOF)[..2000])), "readable", "fault"),
        ("no feather", |it| drop(it.write(OOF, "nothing")), "readable", "fault"),
        (
            "another model's outputs",
            |it| drop(it.write(OOF, it.read("models/c/bea/oof.feather"))),
            "duplicate",
            "fault",
        ),
        (
            "test outputs in place of OOF",
            |it| drop(it.write(OOF, it.read("models/c/ada/test.feather"))),
            "alignment",
            "fault",
        ),
        ("an imported file that changed", |it| drop(it.write("in/ada_oof.csv", "id,x,y,z\n")), "stale", "note"),
        (
            "another fold map",
            |it| {
                let text = String::from_utf8(it.read("models/c/folds.csv")).expect("text");
                it.write("models/c/folds.csv", text.replace(",3\n", ",2\n"));
            },
            "folds",
            "warning",
        ),
        ("a claim that nothing explains", claim, "claim", "warning"),
        (
            "a truth with more rows",
            |it| {
                let more = |file: &str, line: &str| {
                    let text = String::from_utf8(it.read(file)).expect("text");
                    it.write(file, text + line);
                };
                more("models/c/train.csv", "r998,1,0,1\n");
                more("models/c/folds.csv", "r998,1\n");
            },
            "alignment",
            "fault",
        ),
    ];
    for (name, damage, check, severity) in cases {
        let workspace = small::imported(Kind::Targets);
        damage(&workspace);
        let audit = run(&workspace, &["audit", "--json"]);
        let audit = audit.json();
        let found = audit["findings"].as_array().expect("findings").iter();
        let hit = found.filter(|it| it["check"] == check && it["severity"] == severity).count();
        assert!(hit > 0, "{name}: no {severity} of {check} in {}", audit["findings"]);
    }
}

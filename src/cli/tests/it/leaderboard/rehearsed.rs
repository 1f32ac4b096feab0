//! Metrics whose public scores no identity gives: predictions with error bars that were rehearsed on out-of-fold rows.

use super::{
    cases::{icecube, leads},
    contest::{Contest, Part, Said},
    exact::random_blends,
    pools::{MARKED, demo},
};
use blend_core::{
    output::OutputKind,
    space::SpaceName::{self, *},
};

/// The best blend's score is within three standard errors of what was predicted, random blends' within two as a rule.
fn check(contest: &Contest, space: SpaceName, method: &str, draws: usize) {
    let found = contest.json(&["search", "--target", "lb", "--space", space.name()]);
    let predicted = Said::of(&found["predicted_public"]);
    assert_eq!(predicted.method, method);
    let actual = contest.actual(&contest.blend(space, &contest.weights(&found)), Part::Public);
    let off = (predicted.score - actual) / predicted.error;
    assert!(off.abs() < 3.0 && predicted.error > 0.0, "{off} standard errors: {} {actual}", predicted.score);
    let (largest, inside) = random_blends(contest, space, method, draws);
    assert!(inside >= 0.9, "{inside} within two standard errors, largest error {largest}");
}

#[test]
fn absolute_errors_by_blurred_rows() {
    let test = "absolute_errors_by_blurred_rows";
    let Some(contest) = demo(test, "diabetes", "mae", &["target"], OutputKind::Value, MARKED) else { return };
    check(&contest, Linear, "noise_matched", 200);
}

#[test]
fn angles_by_blurred_rows() {
    let Some(contest) = icecube("angles_by_blurred_rows") else { return };
    check(&contest, UnitVector, "noise_matched", 20);
}

#[test]
fn auc_by_normal_classes() {
    let test = "auc_by_normal_classes";
    let kind = OutputKind::Probability;
    let Some(contest) = demo(test, "breast-cancer", "auc", &["target"], kind, MARKED) else { return };
    check(&contest, NormalScore, "binormal", 200);
    // A file is no blend that anything is known of.
    let file = contest.data.join("sub_logreg.csv").display().to_string();
    let said = contest.run(&["lb", "predict", &file]).expect(2).stderr;
    assert!(said.contains("out-of-fold rows") && said.contains("hint:"), "{said}");
}

#[test]
fn auc_of_close_relatives() {
    let Some(contest) = leads("auc_of_close_relatives", 0.2) else { return };
    check(&contest, NormalScore, "binormal", 200);
    // Whatever the form is worth, the rehearsal says how much: in other spaces too.
    check(&contest, Linear, "binormal", 40);
}

//! What a metric of labels obeys that cuts numbers, and what stands in for metrics that move in steps.

use super::{Random, cases, close, prediction};
use crate::{
    block::Block,
    judge::score,
    post::{self, PostStep},
    space,
};

/// Where a metric cuts numbers into labels, its own cuts are worth what it says and no others are better.
#[test]
fn fitted_cuts_score_what_they_promise() {
    let mut cut_metrics = std::collections::BTreeSet::new();
    for case in cases() {
        let bound = case.bound();
        let Some(cuts) = bound.cuts() else { continue };
        cut_metrics.insert(case.info.name);
        let mut random = Random(7);
        for round in 0..6 {
            let mut p = prediction(case.kind(), bound.n_outputs(), &mut random);
            if round % 2 == 1 {
                // Ties, which no cut can part; in the last round nothing else.
                let steps = if round == 5 { 0.0 } else { 4.0 };
                p.values_mut().iter_mut().for_each(|x| *x = (*x * steps).floor() / 4.0);
            }
            let cut = |step: PostStep, p: &Block| {
                let mut labels = p.clone();
                post::apply(&step, &mut labels, None);
                score(&*bound, &labels)
            };
            let step = PostStep::Thresholds(cuts.fit(&p));
            step.check().unwrap();
            let fitted = cut(step, &p);
            assert!(close(fitted, cuts.best(&p), 1e-12), "{}: {fitted} and {}", case.name, cuts.best(&p));
            assert!(fitted >= score(&*bound, &p) - 1e-12, "{}: plain labels are better", case.name);
            let labels = cuts.fit(&p).swap_remove(0).labels;
            for _ in 0..40 {
                let mut places: Vec<f64> = (1..labels.len()).map(|_| 6.0 * random.next() - 1.0).collect();
                places.sort_by(f64::total_cmp);
                let other = cut(PostStep::Thresholds(vec![post::Scale { cuts: places, labels: labels.clone() }]), &p);
                assert!(other <= fitted + 1e-12, "{}: {other} > {fitted}", case.name);
            }
            // The same labels whatever grows with the predictions.
            p.values_mut().iter_mut().for_each(|x| *x = 3.0 * *x + 100.0);
            assert!(close(cuts.best(&p), fitted, 1e-12), "{}", case.name);
        }
    }
    assert_eq!(cut_metrics.into_iter().collect::<Vec<_>>(), ["accuracy", "balanced_accuracy", "f1", "mcc", "qwk"]);
}

#[test]
fn surrogates_are_smooth_and_of_the_same_shape() {
    for case in cases() {
        let bound = case.bound();
        let Some(surrogate) = bound.surrogate() else { continue };
        assert!(bound.smooth(space::SpaceName::Linear).is_none(), "{}", case.name);
        assert!(surrogate.smooth(space::SpaceName::Linear).is_some(), "{}", case.name);
        assert_eq!((surrogate.n_rows(), surrogate.n_outputs()), (bound.n_rows(), bound.n_outputs()), "{}", case.name);
    }
}

//! Values computed with scikit-learn 1.9.1 and scipy 1.17.1; `tests/golden.py` of this crate prints them.

use super::{MetricSpec, build};
use crate::{
    block::Block,
    judge::score,
    truth::{LabelValues, Labels, direction},
};

const Y: [[u8; 6]; 2] = [[1, 0, 0, 1, 0, 1], [0, 0, 1, 1, 0, 0]];
const P: [[f64; 6]; 2] = [[0.9, 0.3, 0.45, 0.7, 1e-3, 0.45], [0.2, 0.0, 0.6, 1.0, 0.2, 0.35]];
const SOFT: [[f64; 6]; 2] = [[0.8, 0.3, 0.5, 1.0, 0.05, 0.6], [0.1, 0.0, 0.9, 0.75, 0.2, 0.4]];
const W: [f64; 6] = [1.0, 2.0, 0.5, 1.0, 3.0, 0.25];
const CLASS: [u32; 6] = [0, 1, 2, 1, 0, 1];
const Q: [[f64; 6]; 3] =
    [[0.7, 0.1, 0.2, 0.5, 1.0, 0.0], [0.2, 0.8, 0.3, 0.25, 0.0, 0.9], [0.1, 0.1, 0.5, 0.25, 0.0, 0.1]];
const SHARES: [[f64; 6]; 3] =
    [[0.6, 0.0, 0.2, 0.4, 0.9, 0.1], [0.3, 1.0, 0.2, 0.5, 0.1, 0.8], [0.1, 0.0, 0.6, 0.1, 0.0, 0.1]];
const T: [[f64; 6]; 2] = [[1.0, 2.0, 0.0, 4.0, 3.0, 2.5], [10.0, 12.0, 9.0, 15.5, 11.0, 10.5]];
const V: [[f64; 6]; 2] = [[1.5, 2.0, 0.25, 3.0, 3.5, 2.0], [9.0, 12.5, 9.5, 15.0, 10.0, 11.0]];
const ANGLES: [[f64; 6]; 2] = [[0.1, 3.0, 6.2, 1.5, 4.0, 2.0], [0.2, 1.5, 3.0, 2.0, 0.9, 1.0]];
const ANGLES_P: [[f64; 6]; 2] = [[0.3, 2.5, 0.1, 1.5, 1.0, 2.0], [0.3, 1.4, 2.9, 2.0, 2.0, 1.5]];

fn block(columns: &[[f64; 6]]) -> Block {
    Block::from_columns(&columns.iter().map(|c| c.to_vec()).collect::<Vec<_>>())
}

fn named(name: &str) -> MetricSpec {
    MetricSpec { name: name.to_owned(), ..MetricSpec::default() }
}

fn check(spec: &MetricSpec, values: LabelValues, weights: bool, prediction: &Block, wanted: f64) {
    let labels = Labels { values, weights: weights.then(|| W.to_vec()) };
    let metric = build(spec).unwrap();
    let got = score(&*metric.bind(labels).unwrap(), prediction);
    assert!((got - wanted).abs() <= 1e-12 * wanted.abs(), "{}: {got} instead of {wanted}", metric.label());
}

fn binary() -> LabelValues {
    LabelValues::Binary(Y.iter().map(|y| y.to_vec()).collect())
}

fn real(columns: &[[f64; 6]]) -> LabelValues {
    LabelValues::Real(columns.iter().map(|c| c.to_vec()).collect())
}

fn classes() -> LabelValues {
    LabelValues::Class { labels: CLASS.to_vec(), names: ["a", "b", "c"].map(str::to_owned).to_vec() }
}

#[test]
fn binary_log_loss() {
    let spec = named("log_loss");
    let p = block(&P);
    // sklearn.metrics.log_loss per column over np.clip(p, clip, 1 - clip), averaged.
    check(&spec, binary(), false, &p, 0.3003292702774278);
    check(&spec, binary(), true, &p, 0.18920096897225666);
    check(&MetricSpec { clip: Some(1e-3), ..spec.clone() }, binary(), false, &p, 0.3004960203330249);
    // Each row twice, with weights y and 1 - y.
    check(&spec, real(&SOFT), false, &p, 1.1668279021654728);
}

#[test]
fn multiclass_log_loss() {
    let spec = named("multiclass_log_loss");
    let heavy = [("a", 2.0), ("c", 0.5)].map(|(class, weight)| (class.to_owned(), weight)).into();
    let class_weights = MetricSpec { class_weights: heavy, ..spec.clone() };
    let class_mean = |spec: &MetricSpec| MetricSpec { aggregation: Some("class_mean".to_owned()), ..spec.clone() };
    let q = block(&Q);
    // sklearn.metrics.log_loss, weights as sample_weight.
    check(&spec, classes(), false, &q, 0.4607700920984341);
    check(&spec, classes(), true, &q, 0.33060259701696426);
    check(&class_weights, classes(), false, &q, 0.36996292083324867);
    check(&class_mean(&spec), classes(), false, &q, 0.48102804285331796);
    check(&class_mean(&class_weights), classes(), false, &q, 0.3642422886426707);
    check(&spec, real(&SHARES), false, &q, 1.7433577570164625);
    // Columns scaled by 1, 1/2 and 0.8, clipped, then each row divided by its sum.
    let mut scaled = q;
    scaled.column_mut(1).iter_mut().for_each(|p| *p *= 0.5);
    scaled.column_mut(2).iter_mut().for_each(|p| *p *= 0.8);
    check(&MetricSpec { renormalize: Some(true), ..spec }, classes(), false, &scaled, 0.5466188101829818);
}

#[test]
fn kl_divergence() {
    // scipy.special.rel_entr(y, np.clip(q, 1e-15, 1)).sum(axis=1), averaged.
    check(&named("kl_divergence"), real(&SHARES), false, &block(&Q), 1.1174111754396827);
    check(&named("kl_divergence"), real(&SHARES), true, &block(&Q), 1.3966458649902271);
}

#[test]
fn errors_of_numbers() {
    let v = block(&V);
    // sklearn.metrics: mean_squared_error, its root, root_mean_squared_error (a mean over columns), and so on.
    for (name, weights, wanted) in [
        ("mse", false, 0.40104166666666663),
        ("mse", true, 0.4536290322580645),
        ("rmse", false, 0.6332785063987776),
        ("mcrmse", false, 0.6283639313906262),
        ("mcrmse", true, 0.6589769210909558),
        ("rmsle", false, 0.13236075935093322),
        ("mae", false, 0.5625),
        ("mae", true, 0.5887096774193549),
        ("r2", false, 0.8531599736668861),
        ("r2", true, 0.7729937242731385),
    ] {
        check(&named(name), real(&T), weights, &v, wanted);
    }
    check(&named("rmse"), real(&T[..1]), false, &block(&V[..1]), 0.5496210815947049);
    // Predictions between -1 and 0 are taken as they are.
    let lower = block(&V.map(|column| column.map(|v| v - 0.75)));
    check(&named("rmsle"), real(&T), false, &lower, 0.2927708816916621);
}

#[test]
fn area_under_the_curve() {
    // sklearn.metrics.roc_auc_score(average="macro"); the second column has ties.
    check(&named("auc"), binary(), false, &block(&P), 0.9722222222222222);
    check(&named("auc"), binary(), true, &block(&P), 0.9974747474747474);
}

#[test]
fn angular_error() {
    let vectors = |[azimuth, zenith]: [[f64; 6]; 2]| (0..6).map(move |i| direction(azimuth[i], zenith[i]));
    let truth = || LabelValues::Directions(vectors(ANGLES).collect());
    let columns: Vec<Vec<f64>> = (0..3).map(|i| vectors(ANGLES_P).map(|v| v[i] * 7.0).collect()).collect();
    // numpy arccos of the dot product of unit vectors, averaged.
    check(&named("angular_error"), truth(), false, &Block::from_columns(&columns), 0.6824118832958908);
    check(&named("angular_error"), truth(), true, &Block::from_columns(&columns), 1.2795339500234466);
}

#[test]
fn decisions() {
    // Columns: the mean of scikit-learn's value over columns, probabilities cut at 0.5. Classes: the argmax.
    for (name, columns, columns_weighted, of_classes, of_classes_weighted) in [
        ("accuracy", 0.9166666666666667, 0.9838709677419355, 0.8333333333333334, 0.8709677419354839),
        ("balanced_accuracy", 0.9166666666666666, 0.9722222222222222, 0.8888888888888888, 0.8974358974358975),
        ("f1", 0.9, 0.9705882352941176, 0.8666666666666667, 0.9023569023569024),
        ("mcc", 0.8535533905932737, 0.9610427165387497, 0.7727272727272727, 0.7869296217627295),
    ] {
        check(&named(name), binary(), false, &block(&P), columns);
        check(&named(name), binary(), true, &block(&P), columns_weighted);
        check(&named(name), classes(), false, &block(&Q), of_classes);
        check(&named(name), classes(), true, &block(&Q), of_classes_weighted);
    }
}

#[test]
fn grades() {
    // cohen_kappa_score(weights="quadratic") of the nearest grades.
    let grades = || real(&[[1.0, 2.0, 4.0, 3.0, 1.0, 2.0]]);
    let predicted = block(&[[1.4, 2.6, 3.3, 3.5, 0.6, 4.1]]);
    check(&named("qwk"), grades(), false, &predicted, 0.6037735849056605);
    check(&named("qwk"), grades(), true, &predicted, 0.7633587786259541);
}

#[test]
fn tilted_and_relative_errors() {
    let (v, pinball) = (block(&V), MetricSpec { quantile: Some(0.9), ..named("pinball") });
    check(&pinball, real(&T), false, &v, 0.32291666666666663);
    check(&pinball, real(&T), true, &v, 0.34919354838709676);
    check(&named("pinball"), real(&T), false, &v, 0.5625 / 2.0);
    let moved = T.map(|column| column.map(|y| y + 0.5));
    check(&named("mape"), real(&moved), false, &v, 0.1418715493443754);
    check(&named("mape"), real(&moved), true, &v, 0.10731149402257395);
    check(&named("smape"), real(&T), false, &v, 0.28637106738775325);
}

#[test]
fn correlations() {
    check(&named("pearson"), real(&T), false, &block(&V), 0.9295877555197589);
    check(&named("pearson"), real(&T), true, &block(&V), 0.9078616121798321);
    check(&named("spearman"), real(&T), false, &block(&V), 0.9066739713791017);
    let counts = Labels { values: real(&T), weights: Some(vec![1.0, 2.0, 1.0, 3.0, 1.0, 1.0]) };
    let got = score(&*build(&named("spearman")).unwrap().bind(counts).unwrap(), &block(&V));
    assert!((got - 0.9231758061835749).abs() < 1e-12, "{got}");
}

#[test]
fn items_in_order() {
    let at = |name: &str, k: u32| MetricSpec { k: Some(k), ..named(name) };
    let q = block(&Q);
    check(&at("top_k_accuracy", 1), classes(), false, &q, 0.8333333333333334);
    check(&at("top_k_accuracy", 2), classes(), false, &q, 1.0);
    check(&at("ndcg_at_k", 2), classes(), false, &q, 0.8859108127976215);
    check(&at("ndcg_at_k", 3), classes(), false, &q, 0.9275774794642881);
    let gain = real(&[[3.0, 0.0, 1.0, 0.0, 2.0, 0.0], [0.0, 2.0, 0.0, 1.0, 1.0, 3.0], [1.0, 2.0, 3.0, 0.0, 0.0, 1.0]]);
    check(&at("ndcg_at_k", 2), gain.clone(), false, &q, 0.7757669256902521);
    check(&at("ndcg_at_k", 3), gain.clone(), false, &q, 0.9047205577313413);
    check(&at("ndcg_at_k", 2), gain, true, &q, 0.7817090781150748);
    let relevant = LabelValues::Binary(vec![vec![1, 0, 1, 0, 1, 0], vec![0, 1, 0, 1, 1, 1], vec![1, 1, 1, 0, 0, 1]]);
    check(&at("map_at_k", 3), relevant, false, &q, 0.8333333333333334);
    check(&at("map_at_k", 3), classes(), false, &q, 0.9166666666666666);
}

#[test]
fn survival() {
    const RISK: [f64; 8] = [0.9, 0.4, 0.4, 0.7, 0.1, 0.3, 0.8, 0.4];
    const PAIR_W: [f64; 8] = [1.0, 2.0, 0.5, 1.0, 3.0, 0.25, 1.5, 1.0];
    let check = |name: &str, values: LabelValues, weights: Option<Vec<f64>>, wanted: f64| {
        let bound = build(&named(name)).unwrap().bind(Labels { values, weights }).unwrap();
        let got = score(&*bound, &Block::from_columns(&[RISK.to_vec()]));
        assert!((got - wanted).abs() < 1e-12, "{name}: {got} instead of {wanted}");
    };
    let ascending = LabelValues::Survival { time: (0..8).map(f64::from).collect(), event: vec![1; 8], strata: None };
    check("c_index", ascending, None, 0.5892857142857143);
    let censored = LabelValues::Survival {
        time: vec![2.0, 5.0, 4.0, 5.0, 9.0, 9.0, 3.0, 7.0],
        event: vec![1, 1, 0, 0, 1, 0, 1, 1],
        strata: Some(vec![0, 0, 0, 0, 1, 1, 1, 1]),
    };
    check("c_index", censored.clone(), None, 0.875);
    check("c_index", censored.clone(), Some(PAIR_W.to_vec()), 0.8939929328621908);
    check("stratified_c_index", censored, None, 0.75);
}

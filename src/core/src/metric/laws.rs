//! Every metric of the catalogue obeys these, with every option it takes.
//!
//! The cases are made from what the catalogue says of a metric (labels, options, predictions), so a new metric is
//! tested without a line here. What a smooth form must obey is in [`smooth`], what cuts must in
//! [`cuts`].

mod cuts;
mod smooth;

use super::{BindError, CATALOGUE, Info, Metric, MetricSpec, SpecError, Target, build};
use crate::{
    block::Block,
    judge::{Bound, DEFAULT_CLIP, Judge, score, score_blocks},
    output::OutputKind,
    space,
    truth::{LabelValues, Labels, direction},
};

const N_ROWS: usize = 60;
const N_COLUMNS: usize = 3;

/// Numbers in (0, 1), the same on every run (splitmix64).
struct Random(u64);

impl Random {
    fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (((z ^ (z >> 31)) >> 11) as f64 + 0.5) / (1_u64 << 53) as f64
    }

    fn below(&mut self, n: usize) -> usize {
        (self.next() * n as f64) as usize
    }

    fn columns(&mut self, n: usize, mut value: impl FnMut(f64) -> f64) -> Vec<Vec<f64>> {
        (0..n).map(|_| (0..N_ROWS).map(|_| value(self.next())).collect()).collect()
    }
}

/// A metric with options, bound to labels.
struct Case {
    name: String,
    info: &'static Info,
    metric: Box<dyn Metric>,
    labels: Labels,
    /// How far the score of a perfect prediction may be from the optimum.
    clip: f64,
}

impl Case {
    fn bind(&self, labels: Labels) -> Box<dyn Bound> {
        self.metric.bind(labels).unwrap_or_else(|error| panic!("{}: {error}", self.name))
    }

    fn bound(&self) -> Box<dyn Bound> {
        self.bind(self.labels.clone())
    }

    fn kind(&self) -> OutputKind {
        self.info.predictions[0]
    }

    /// What the labels themselves are as a prediction.
    fn perfect(&self) -> Block {
        let columns: Vec<Vec<f64>> = match &self.labels.values {
            LabelValues::Binary(columns) => columns.iter().map(|c| c.iter().map(|&y| f64::from(y)).collect()).collect(),
            LabelValues::Real(columns) => columns.clone(),
            LabelValues::Class { labels, names } => (0..names.len())
                .map(|class| labels.iter().map(|&y| f64::from(u8::from(y as usize == class))).collect())
                .collect(),
            LabelValues::Directions(v) => (0..3).map(|i| v.iter().map(|v| v[i]).collect()).collect(),
            LabelValues::Survival { time, .. } => vec![time.iter().map(|time| -time).collect()],
        };
        Block::from_columns(&columns)
    }

    /// Whether the labels are certain; a log loss of shares has their entropy as its lowest value.
    fn is_certain(&self) -> bool {
        match (&self.labels.values, self.info.target) {
            (LabelValues::Real(columns), Target::Binary | Target::Classes) => {
                columns.iter().flatten().all(|y| *y == 0.0 || *y == 1.0)
            }
            _ => true,
        }
    }
}

/// A legal prediction of `kind`.
fn prediction(kind: OutputKind, n_outputs: usize, random: &mut Random) -> Block {
    let columns = match kind {
        OutputKind::Vector => random.columns(n_outputs, |x| 2.0 * x - 1.0),
        OutputKind::Value | OutputKind::Rank => random.columns(n_outputs, |x| 6.0 * x - 0.9),
        _ => random.columns(n_outputs, |x| 0.01 + 0.98 * x),
    };
    let mut block = Block::from_columns(&columns);
    if kind == OutputKind::ClassProbabilities {
        space::normalize_rows(&mut block);
    }
    block
}

/// Labels of every form that a kind of target allows, the plainest first.
fn labels(target: Target, random: &mut Random) -> Vec<LabelValues> {
    let mut shares = random.columns(4, |x| if x < 0.2 { 0.0 } else { x });
    shares[0].iter_mut().for_each(|x| *x += 0.01);
    let mut shares = Block::from_columns(&shares);
    space::normalize_rows(&mut shares);
    let shares = LabelValues::Real((0..4).map(|c| shares.column(c).to_vec()).collect());
    // Every class is there, and both labels of every column.
    let class: Vec<u32> = (0..N_ROWS).map(|row| if row < 4 { row as u32 } else { random.below(4) as u32 }).collect();
    let names = ["a", "b", "c", "d"].map(str::to_owned).to_vec();
    let hot = (0..4).map(|c| class.iter().map(|&y| u8::from(y == c)).collect()).collect();
    let class = LabelValues::Class { labels: class, names };
    let mut binary: Vec<Vec<u8>> = (0..N_COLUMNS)
        .map(|_| (0..N_ROWS).map(|row| u8::from(row == 0 || (row > 1 && random.next() < 0.3))).collect())
        .collect();
    match target {
        Target::Binary => {
            let one = LabelValues::Binary(vec![binary[0].clone()]);
            let soft = LabelValues::Real(random.columns(N_COLUMNS, |x| if x < 0.1 { 0.0 } else { x }));
            binary[1].reverse();
            vec![LabelValues::Binary(binary), one, soft]
        }
        Target::Classes => vec![class, LabelValues::Binary(hot), shares],
        Target::Shares => vec![shares, class, LabelValues::Binary(hot)],
        Target::Number => vec![
            LabelValues::Real(random.columns(N_COLUMNS, |x| 6.0 * x - 2.0)),
            LabelValues::Real(random.columns(1, |x| 1e3 * x)),
            LabelValues::Binary(binary),
        ],
        Target::NonNegative => vec![
            LabelValues::Real(random.columns(N_COLUMNS, |x| 6.0 * x - 0.9)),
            LabelValues::Real(random.columns(1, |x| if x < 0.5 { 0.0 } else { 1e6 * x })),
        ],
        Target::Nonzero => vec![
            LabelValues::Real(random.columns(N_COLUMNS, |x| if x < 0.3 { x - 2.0 } else { x })),
            LabelValues::Real(random.columns(1, |x| 1e3 + x)),
        ],
        Target::Grade => vec![
            LabelValues::Real(random.columns(N_COLUMNS, |x| (6.0 * x).floor() - 2.0)),
            LabelValues::Real(random.columns(1, |x| (3.0 * x).floor() * 2.0)),
            LabelValues::Binary(binary),
        ],
        Target::Labels => vec![LabelValues::Binary(binary), class, LabelValues::Binary(hot)],
        Target::Relevance => {
            let mut graded = random.columns(5, |x| (4.0 * x).floor());
            graded[1].iter_mut().for_each(|y| *y += 1.0);
            let several = random.columns(5, |x| f64::from(u8::from(x < 0.4)));
            let with_one = |column: usize, row: usize| u8::from(several[column][row] == 1.0 || row % 5 == column);
            let several = (0..5).map(|column| (0..N_ROWS).map(|row| with_one(column, row)).collect()).collect();
            vec![class, LabelValues::Binary(several), LabelValues::Real(graded)]
        }
        Target::Survival => {
            let time = random.columns(1, |x| 40.0 * x).swap_remove(0);
            let event: Vec<u8> = (0..N_ROWS).map(|_| u8::from(random.next() < 0.6)).collect();
            let strata = (0..N_ROWS).map(|row| row as u32 % 3).collect();
            vec![
                LabelValues::Survival { time: time.clone(), event: event.clone(), strata: Some(strata) },
                LabelValues::Survival { time, event, strata: None },
            ]
        }
        Target::Direction => {
            let angle = |random: &mut Random| direction(random.next() * 6.0, random.next() * 3.0);
            vec![LabelValues::Directions((0..N_ROWS).map(|_| angle(random)).collect())]
        }
    }
}

/// Every combination of the options that a metric takes.
fn specs(info: &Info) -> Vec<MetricSpec> {
    let mut specs = vec![MetricSpec { name: info.name.to_owned(), ..MetricSpec::default() }];
    for option in info.options {
        let with: fn(&mut MetricSpec) = match *option {
            "clip" => |spec| spec.clip = Some(1e-3),
            "renormalize" => |spec| spec.renormalize = Some(true),
            "aggregation" => |spec| spec.aggregation = Some("class_mean".to_owned()),
            "k" => |spec| spec.k = Some(1),
            "quantile" => |spec| spec.quantile = Some(0.9),
            // It says which column of which file the labels' strata are: nothing that a law could vary.
            "strata" => continue,
            "class_weights" => |spec| spec.class_weights = [("b".to_owned(), 2.5), ("d".to_owned(), 0.0)].into(),
            unknown => panic!("{}: no law knows the option {unknown}", info.name),
        };
        for mut spec in specs.clone() {
            with(&mut spec);
            specs.push(spec);
        }
    }
    specs
}

/// All metrics with all options on all labels that they take, with and without weights.
fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for (info, _) in CATALOGUE {
        let mut random = Random(info.name.len() as u64);
        let forms = labels(info.target, &mut random);
        for spec in specs(info) {
            for (form, values) in forms.iter().enumerate() {
                for weights in [None, Some((0..N_ROWS).map(|_| 0.1 + 3.0 * random.next()).collect::<Vec<f64>>())] {
                    let metric = build(&spec).unwrap();
                    let labels = Labels { values: values.clone(), weights };
                    // A metric may refuse a form of labels, or an option on one, but never the plainest.
                    if form > 0 && metric.bind(labels.clone()).is_err() {
                        continue;
                    }
                    let weighted = if labels.weights.is_some() { ", weighted" } else { "" };
                    let name = format!("{}, labels {form}{weighted}", metric.label());
                    let clip = spec.clip.unwrap_or(DEFAULT_CLIP);
                    cases.push(Case { name, info, metric, labels, clip });
                }
            }
        }
    }
    assert!(cases.len() > 100);
    cases
}

fn close(a: f64, b: f64, tolerance: f64) -> bool {
    (a - b).abs() <= tolerance * (1.0 + a.abs().max(b.abs()))
}

/// The rows at `positions` of a block.
fn select(block: &Block, positions: &[usize]) -> Block {
    let mut out = Block::new(block.n_outputs(), positions.len());
    for output in 0..block.n_outputs() {
        for (row, &position) in positions.iter().enumerate() {
            out.set(output, row, block.get(output, position));
        }
    }
    out
}

#[test]
fn a_perfect_prediction_attains_the_optimum() {
    for case in cases() {
        let bound = case.bound();
        let mut random = Random(1);
        let perfect = score(&*bound, &case.perfect());
        if case.is_certain() {
            // Angles are known to the square root of nothing: a rounding of the components is one of the angle.
            let tolerance = 1e-12 + 8.0 * case.clip;
            assert!((perfect - case.info.optimum).abs() <= tolerance, "{}: {perfect}", case.name);
        }
        let loss = |value: f64| bound.direction().loss(crate::score::Score(value)).value();
        for _ in 0..20 {
            let other = score(&*bound, &prediction(case.kind(), bound.n_outputs(), &mut random));
            assert!(loss(perfect) <= loss(other) + 8.0 * case.clip, "{}: {perfect} and {other}", case.name);
        }
    }
}

#[test]
fn shape_and_direction_are_the_catalogue_s() {
    for case in cases() {
        let bound = case.bound();
        assert_eq!(bound.n_rows(), N_ROWS, "{}", case.name);
        assert_eq!(bound.n_outputs(), case.labels.n_outputs(), "{}", case.name);
        assert_eq!(bound.direction(), case.info.direction, "{}", case.name);
    }
}

#[test]
fn scores_stay_in_range_and_are_never_nan() {
    for case in cases() {
        let bound = case.bound();
        let n_outputs = bound.n_outputs();
        let mut random = Random(2);
        let (low, high) = case.info.range;
        for _ in 0..20 {
            let value = score(&*bound, &prediction(case.kind(), n_outputs, &mut random));
            // Clipping lifts probabilities a little above a sum of one.
            let slack = 1e-12 + n_outputs as f64 * case.clip;
            assert!(value >= low - slack && value <= high + slack, "{}: {value}", case.name);
        }
        let extremes: &[f64] = match case.kind() {
            OutputKind::Probability | OutputKind::ClassProbabilities => &[0.0, 1.0, -0.0, 1e-300, 1.0 - 1e-16, 5e-324],
            _ => &[0.0, -1.0, -0.0, 1e-300, 1e300, -1e300, f64::MAX, -f64::MAX, 5e-324],
        };
        for &extreme in extremes {
            let mut block = Block::new(n_outputs, N_ROWS);
            block.fill(extreme);
            assert!(!score(&*bound, &block).is_nan(), "{} at {extreme}", case.name);
        }
        // Damaged predictions have no score worth having, but asking for it comes to an end.
        let mut damaged = prediction(case.kind(), n_outputs, &mut random);
        damaged.set(0, 5, f64::NAN);
        let _ = score(&*bound, &damaged);
        for _ in 0..20 {
            let columns = random.columns(n_outputs, |x| extremes[(x * extremes.len() as f64) as usize]);
            assert!(!score(&*bound, &Block::from_columns(&columns)).is_nan(), "{} at {columns:?}", case.name);
        }
    }
}

#[test]
fn rows_may_be_permuted() {
    for case in cases() {
        let mut random = Random(3);
        let mut order: Vec<usize> = (0..N_ROWS).collect();
        (1..N_ROWS).for_each(|i| order.swap(i, random.below(i + 1)));
        let bound = case.bound();
        let p = prediction(case.kind(), bound.n_outputs(), &mut random);
        let permuted = case.bind(case.labels.select(&order));
        let (a, b) = (score(&*bound, &p), score(&*permuted, &select(&p, &order)));
        assert!(close(a, b, 1e-12), "{}: {a} and {b}", case.name);
    }
}

#[test]
fn a_weight_of_two_is_the_row_twice() {
    for case in cases().into_iter().filter(|case| case.labels.weights.is_none()) {
        let mut random = Random(4);
        let twice: Vec<usize> = (0..N_ROWS).flat_map(|row| vec![row; 1 + row % 2]).collect();
        let weights = (0..N_ROWS).map(|row| 1.0 + (row % 2) as f64).collect();
        let weighted = case.bind(Labels { weights: Some(weights), ..case.labels.clone() });
        let repeated = case.bind(case.labels.select(&twice));
        let p = prediction(case.kind(), weighted.n_outputs(), &mut random);
        let (a, b) = (score(&*weighted, &p), score(&*repeated, &select(&p, &twice)));
        assert!(close(a, b, 1e-12), "{}: {a} and {b}", case.name);
        // A metric of all rows counts the rows of a bootstrap replicate in the same way.
        if let Judge::Whole(whole) = case.bound().judge() {
            let counts: Vec<u32> = (0..N_ROWS).map(|row| 1 + (row % 2) as u32).collect();
            assert!(close(a, whole.score(&p, Some(&counts)), 1e-12), "{}", case.name);
        }
    }
}

#[test]
fn rows_that_are_judged_alone_do_not_see_the_others() {
    for case in cases().into_iter().filter(|case| case.bound().judges_rows_alone()) {
        let mut random = Random(6);
        let bound = case.bound();
        let p = prediction(case.kind(), bound.n_outputs(), &mut random);
        let rows: Vec<usize> = (0..N_ROWS).filter(|row| row % 3 != 1).collect();
        let few = case.bind(case.labels.select(&rows));
        let (Judge::Additive(whole), Judge::Additive(part)) = (bound.judge(), few.judge()) else {
            panic!("{} judges rows alone and needs them all at once", case.name);
        };
        let (mut all, mut some) = (Block::new(whole.n_terms(), N_ROWS), Block::new(part.n_terms(), rows.len()));
        whole.terms(0, &p, &mut all);
        part.terms(0, &select(&p, &rows), &mut some);
        assert_eq!(select(&all, &rows), some, "{}", case.name);
        let weights = whole.row_weights().map(|weights| rows.iter().map(|&row| weights[row]).collect::<Vec<_>>());
        assert_eq!(weights.as_deref(), part.row_weights(), "{}", case.name);
    }
}

#[test]
fn block_by_block_is_the_whole() {
    for case in cases() {
        let mut random = Random(5);
        let bound = case.bound();
        let p = prediction(case.kind(), bound.n_outputs(), &mut random);
        let whole = score(&*bound, &p);
        for ends in [vec![60], vec![1, 60], vec![7, 7, 30, 59, 60, 60], (1..=N_ROWS).collect::<Vec<_>>()] {
            let parts = score_blocks(&*bound, &ends, |block, out| {
                let start = if block == 0 { 0 } else { ends[block - 1] };
                *out = select(&p, &(start..ends[block]).collect::<Vec<_>>());
            });
            assert!(close(whole, parts, 1e-13), "{} in {ends:?}: {whole} and {parts}", case.name);
        }
    }
}

#[test]
fn labels_of_another_kind_are_refused() {
    for (info, _) in CATALOGUE {
        let metric = build(&MetricSpec { name: info.name.to_owned(), ..MetricSpec::default() }).unwrap();
        for other in [Target::Binary, Target::Classes, Target::Number, Target::Direction, Target::Survival] {
            let values = labels(other, &mut Random(6)).swap_remove(0);
            let fits = match &values {
                // (Three random columns: some rows have no relevant item at all.)
                LabelValues::Binary(_) => matches!(
                    info.target,
                    Target::Binary | Target::Number | Target::NonNegative | Target::Grade | Target::Labels
                ),
                LabelValues::Class { .. } => {
                    matches!(info.target, Target::Classes | Target::Shares | Target::Labels | Target::Relevance)
                }
                // Numbers from -2 to 4: no shares, no labels 0 or 1, not above -1, not whole.
                LabelValues::Real(_) => matches!(info.target, Target::Number | Target::Nonzero),
                LabelValues::Directions(_) => info.target == Target::Direction,
                LabelValues::Survival { .. } => info.target == Target::Survival,
            };
            let bound = metric.bind(Labels { values, weights: None });
            assert_eq!(bound.is_ok(), fits, "{} and {other:?}", info.name);
        }
    }
}

#[test]
fn degenerate_truth_is_refused() {
    let refused = |spec: MetricSpec, values: LabelValues| {
        let metric = build(&spec).unwrap();
        let result = metric.bind(Labels { values, weights: None });
        assert!(matches!(result, Err(BindError::Undefined { .. })), "{}", metric.label());
    };
    let named = |name: &str| MetricSpec { name: name.to_owned(), ..MetricSpec::default() };
    let classes =
        |labels: Vec<u32>| LabelValues::Class { labels, names: vec!["a".to_owned(), "b".to_owned(), "c".to_owned()] };
    refused(named("auc"), LabelValues::Binary(vec![vec![0, 1, 1], vec![0, 0, 0]]));
    refused(named("auc"), LabelValues::Binary(vec![vec![1, 1, 1]]));
    // The mean of three 0.1 is not 0.1.
    refused(named("r2"), LabelValues::Real(vec![vec![0.1, 0.1, 0.1]]));
    refused(named("r2"), LabelValues::Real(vec![vec![0.5]]));
    refused(named("r2"), LabelValues::Real(vec![vec![0.5, 1e200]]));
    refused(named("rmsle"), LabelValues::Real(vec![vec![0.0, -1.0]]));
    refused(named("log_loss"), LabelValues::Real(vec![vec![0.0, 1.5]]));
    for name in ["multiclass_log_loss", "kl_divergence"] {
        refused(named(name), LabelValues::Real(vec![vec![0.5, 1.5], vec![0.5, -0.5]]));
        refused(named(name), LabelValues::Real(vec![vec![0.5, 0.2], vec![0.5, 0.2]]));
        refused(named(name), LabelValues::Real(vec![vec![1.0, 1.0]]));
        refused(named(name), LabelValues::Binary(vec![vec![1, 0], vec![1, 1]]));
        refused(named(name), classes(vec![0, 3]));
    }
    for name in ["mcc", "balanced_accuracy"] {
        refused(named(name), LabelValues::Binary(vec![vec![1, 1, 1]]));
        refused(named(name), LabelValues::Binary(vec![vec![0, 0, 0]]));
        refused(named(name), classes(vec![1, 1]));
    }
    for name in ["accuracy", "f1", "mcc", "top_k_accuracy", "map_at_k", "ndcg_at_k"] {
        refused(named(name), classes(vec![0, 3]));
    }
    refused(named("f1"), LabelValues::Binary(vec![vec![0, 0, 0]]));
    refused(named("qwk"), LabelValues::Real(vec![vec![2.0, 2.0]]));
    refused(named("qwk"), LabelValues::Real(vec![vec![2.0, 2.5]]));
    refused(named("qwk"), LabelValues::Real(vec![vec![0.0, 1e6]]));
    refused(named("mape"), LabelValues::Real(vec![vec![1.0, 0.0]]));
    refused(named("pearson"), LabelValues::Real(vec![vec![0.1, 0.1, 0.1]]));
    refused(named("spearman"), LabelValues::Real(vec![vec![0.1, 0.1, 0.1]]));
    refused(named("map_at_k"), LabelValues::Binary(vec![vec![1, 0], vec![0, 0]]));
    refused(named("ndcg_at_k"), LabelValues::Real(vec![vec![1.0, -1.0], vec![2.0, 3.0]]));
    let survival = |event: Vec<u8>, strata: Option<Vec<u32>>| LabelValues::Survival {
        time: vec![1.0, 2.0, 2.0, 3.0],
        event,
        strata,
    };
    refused(named("c_index"), survival(vec![0, 0, 0, 1], None));
    refused(named("stratified_c_index"), survival(vec![1, 1, 1, 1], None));
    refused(named("stratified_c_index"), survival(vec![1, 1, 1, 1], Some(vec![0, 1, 1, 0])));
    let weights = |weights: &[(&str, f64)]| MetricSpec {
        class_weights: weights.iter().map(|(name, weight)| ((*name).to_owned(), *weight)).collect(),
        ..named("multiclass_log_loss")
    };
    refused(weights(&[("z", 1.0)]), classes(vec![0, 1, 2]));
    refused(weights(&[("a", 0.0)]), classes(vec![0, 0]));
    refused(weights(&[("a", 2.0)]), LabelValues::Real(vec![vec![0.5], vec![0.5]]));
}

#[test]
fn what_no_metric_takes_is_refused() {
    let unknown = MetricSpec { name: "logloss".to_owned(), ..MetricSpec::default() };
    assert_eq!(build(&unknown).err(), Some(SpecError::Unknown("logloss".to_owned())));
    let strata = crate::manifest::ColumnFile { file: "strata.csv".into(), column: "stratum".to_owned() };
    for (info, _) in CATALOGUE {
        let plain = MetricSpec { name: info.name.to_owned(), ..MetricSpec::default() };
        for (option, spec) in [
            ("clip", MetricSpec { clip: Some(1e-6), ..plain.clone() }),
            ("renormalize", MetricSpec { renormalize: Some(false), ..plain.clone() }),
            ("aggregation", MetricSpec { aggregation: Some("row_mean".to_owned()), ..plain.clone() }),
            ("class_weights", MetricSpec { class_weights: [("a".to_owned(), 1.0)].into(), ..plain.clone() }),
            ("k", MetricSpec { k: Some(2), ..plain.clone() }),
            ("quantile", MetricSpec { quantile: Some(0.5), ..plain.clone() }),
            ("strata", MetricSpec { strata: Some(strata.clone()), ..plain.clone() }),
        ] {
            let refused = matches!(build(&spec), Err(SpecError::Option { option: named, .. }) if named == option);
            assert_eq!(refused, !info.options.contains(&option), "{} {option}", info.name);
        }
        let bad = |spec: MetricSpec| assert!(matches!(build(&spec), Err(SpecError::Value { .. })), "{spec:?}");
        if info.options.contains(&"clip") {
            for clip in [0.0, -1e-15, 0.5, 1.0, f64::NAN, f64::INFINITY] {
                bad(MetricSpec { clip: Some(clip), ..plain.clone() });
            }
        }
        if info.options.contains(&"aggregation") {
            bad(MetricSpec { aggregation: Some("mean".to_owned()), ..plain.clone() });
        }
        if info.options.contains(&"k") {
            bad(MetricSpec { k: Some(0), ..plain.clone() });
        }
        if info.options.contains(&"quantile") {
            for quantile in [0.0, 1.0, -0.1, f64::NAN] {
                bad(MetricSpec { quantile: Some(quantile), ..plain.clone() });
            }
        }
        if info.options.contains(&"class_weights") {
            for weight in [-1.0, f64::NAN, f64::INFINITY] {
                bad(MetricSpec { class_weights: [("a".to_owned(), weight)].into(), ..plain.clone() });
            }
        }
    }
    // 1 - clip must be below 1, or a wrong label of 0 has no finite loss.
    let spec = MetricSpec { name: "log_loss".to_owned(), clip: Some(1e-17), ..MetricSpec::default() };
    assert!(matches!(build(&spec), Err(SpecError::Value { .. })));
}

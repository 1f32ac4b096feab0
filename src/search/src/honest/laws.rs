//! Laws of the honest scores: a held-out part never reaches its own weights, pooled scores are what they say, intervals
//! hold the truth as often as they promise.

use super::{bootstrap::gains, nested::Nested, row_scores::RowScores};
use crate::{
    random::Random,
    search::{Control, Options, search},
    solver::SolverName,
    testing::{Label, Shape, World, control, normal},
};
use blend_core::{
    Block, Domain, Folds, Scope, Truth, judge,
    metric::{self, Metric, MetricSpec},
    pool::Pool,
    post,
    space::SpaceName::{self, Linear, Log, Logit, Rank, Vector},
    truth::{LabelValues, Labels},
};

const SHAPE: Shape =
    Shape { n_members: 3, n_rows: 240, holes: true, weights: true, duplicate: false, constant: false, seed: 9 };

const KINDS: [(&str, SpaceName, Label); 8] = [
    ("log_loss", Linear, Label::Binary),
    ("log_loss", Logit, Label::Binary),
    ("rmse", Linear, Label::Number),
    ("auc", Rank, Label::Binary),
    ("angular_error", Vector, Label::Direction),
    ("qwk", Linear, Label::Grade),
    ("f1", Linear, Label::Binary),
    ("c_index", Linear, Label::Survival),
];

fn options(solver: Option<SolverName>) -> Options {
    Options { solver, replicates: 50, ..Options::default() }
}

fn folds(world: &World) -> Folds {
    let labels = (0..world.truth.rows().len()).map(|row| (row / 5 % 3) as i64).collect();
    Folds::new(world.truth.rows().clone(), labels).unwrap()
}

fn nested(world: &World, truth: &Truth, folds: Option<&Folds>, solver: Option<SolverName>) -> Nested {
    let problem = crate::Problem { truth, folds, ..world.problem(Domain::Simplex) };
    search(&problem, &options(solver), &control()).unwrap().nested.unwrap()
}

/// Other labels in one fold.
fn changed(truth: &Truth, folds: &Folds, fold: i64) -> Truth {
    let Labels { mut values, weights } = truth.labels().clone();
    let inside = |row: &usize| folds.labels()[*row] == fold;
    match &mut values {
        LabelValues::Binary(columns) => columns.iter_mut().for_each(|column| {
            (0..column.len()).filter(inside).for_each(|row| column[row] = u8::from(row % 2 == 0));
        }),
        LabelValues::Real(columns) => columns.iter_mut().for_each(|column| {
            (0..column.len()).filter(inside).for_each(|row| column[row] = 5.0 - column[row]);
        }),
        LabelValues::Directions(all) => (0..all.len()).filter(inside).for_each(|row| all[row] = [0.0, 0.0, 1.0]),
        LabelValues::Class { labels, .. } => (0..labels.len()).filter(inside).for_each(|row| labels[row] = 0),
        LabelValues::Survival { time, .. } => (0..time.len()).filter(inside).for_each(|row| time[row] = -time[row]),
    }
    Truth::new(truth.rows().clone(), truth.names().to_vec(), Labels { values, weights }).unwrap()
}

#[test]
fn a_held_out_part_never_reaches_its_own_weights() {
    for kind in KINDS {
        let world = World::new(kind, SHAPE);
        let folds = folds(&world);
        for solver in [None, Some(SolverName::Greedy)] {
            let before = nested(&world, &world.truth, Some(&folds), solver);
            let after = nested(&world, &changed(&world.truth, &folds, 1), Some(&folds), solver);
            assert_eq!(before.by, "folds");
            let bits = |nested: &Nested, part: usize| -> Vec<u64> {
                nested.parts[part].weights.iter().map(|w| w.to_bits()).collect()
            };
            assert!(before.parts[1].post == after.parts[1].post, "{}", world.name);
            // Weights that are certified may start from where the labels of all rows put them, and forget it.
            if world.bound().smooth(world.space).is_some() && solver.is_none() && kind.0 != "angular_error" {
                let pairs = before.parts[1].weights.iter().zip(&after.parts[1].weights);
                let apart = pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
                assert!(apart < 1e-5, "{}: {apart}", world.name);
            } else {
                assert_eq!(bits(&before, 1), bits(&after, 1), "{}", world.name);
            }
            assert_ne!(bits(&before, 0), bits(&after, 0), "{}", world.name);
        }
    }
}

#[test]
fn parts_searched_side_by_side_equal_parts_searched_alone() {
    let kinds = [
        ("log_loss", Linear, Label::Binary),
        ("log_loss", Logit, Label::Soft),
        ("multiclass_log_loss", Linear, Label::Class),
        ("multiclass_log_loss", Log, Label::Class),
        ("kl_divergence", Linear, Label::Shares),
        ("rmse", Linear, Label::Number),
        ("mse", Linear, Label::Number),
        ("r2", Linear, Label::Number),
        ("mcrmse", Linear, Label::Number),
    ];
    for (kind, holes) in kinds.into_iter().flat_map(|kind| [(kind, true), (kind, false)]) {
        let world = World::new(kind, Shape { n_rows: 700, holes, weights: holes, ..SHAPE });
        let folds = folds(&world);
        for part in &nested(&world, &world.truth, Some(&folds), None).parts {
            let train = world.scope.rows.filter(|row| folds.labels()[row] != part.label).unwrap();
            let scope = Scope { name: "train".to_owned(), rows: train };
            let problem = crate::Problem { scope: &scope, ..world.problem(Domain::Simplex) };
            let alone = Options { honest: false, ..options(None) };
            let optimum = search(&problem, &alone, &control()).unwrap();
            let bound = world.metric.bind(world.truth.on(&scope.rows)).unwrap();
            let weighted: Vec<_> = world.members.members().iter().zip(part.weights.iter().copied()).collect();
            let blend = Pool::new(&weighted, world.space, bound.preparation()).whole(&scope.rows);
            let score = judge::score(&*bound, &blend);
            assert!((score - optimum.score).abs() < 2e-8, "{}: {score} {}", world.name, optimum.score);
        }
    }
}

#[test]
fn the_pooled_score_is_that_of_every_row_with_its_parts_weights() {
    for kind in KINDS {
        let world = World::new(kind, SHAPE);
        let folds = folds(&world);
        let nested = nested(&world, &world.truth, Some(&folds), None);
        let bound = world.bound();
        let positions: Vec<usize> = world.scope.rows.iter().collect();
        let mut whole = Block::new(bound.n_outputs(), positions.len());
        for part in &nested.parts {
            let inside = world.scope.rows.filter(|row| folds.labels()[row] == part.label).unwrap();
            let weighted: Vec<_> = world.members.members().iter().zip(part.weights.iter().copied()).collect();
            let mut blend = Pool::new(&weighted, world.space, bound.preparation()).whole(&inside);
            part.post.iter().for_each(|step| post::apply(step, &mut blend, None));
            let part_bound = world.metric.bind(world.truth.on(&inside)).unwrap();
            let score = judge::score(&*part_bound, &blend);
            assert!((score - part.score.unwrap()).abs() < 1e-12, "{}", world.name);
            assert_eq!(part.n_rows, inside.len());
            for (i, row) in inside.iter().enumerate() {
                let at = positions.binary_search(&row).unwrap();
                (0..whole.n_outputs()).for_each(|output| whole.set(output, at, blend.get(output, i)));
            }
        }
        let score = judge::score(&*bound, &whole);
        assert!((score - nested.score).abs() < 1e-12, "{}: {score} {}", world.name, nested.score);
    }
}

#[test]
fn parts_are_hashed_where_there_are_no_folds() {
    let world = World::new(KINDS[0], SHAPE);
    let one = Folds::new(world.truth.rows().clone(), vec![0; world.truth.rows().len()]).unwrap();
    for folds in [None, Some(&one)] {
        let nested = nested(&world, &world.truth, folds, None);
        assert_eq!((nested.by, nested.parts.len()), ("hash5", 5));
        assert_eq!(nested.parts.iter().map(|part| part.n_rows).sum::<usize>(), world.scope.rows.len());
    }
    // A group is never torn apart.
    let groups: Vec<u32> = (0..world.truth.rows().len() as u32).map(|row| row / 20).collect();
    let problem = crate::Problem { groups: Some(&groups), ..world.problem(Domain::Simplex) };
    let (labels, _) = super::nested::labels(&problem);
    let rows: Vec<usize> = world.scope.rows.iter().collect();
    for (i, &row) in rows.iter().enumerate() {
        let first = rows.iter().position(|&other| groups[other] == groups[row]).unwrap();
        assert_eq!(labels[i], labels[first]);
    }
}

#[test]
fn a_part_without_a_score_of_its_own_still_counts() {
    // r2 has no value on a part whose labels are all equal.
    let world = World::new(("r2", Linear, Label::Number), SHAPE);
    let folds = folds(&world);
    let Labels { mut values, weights } = world.truth.labels().clone();
    let LabelValues::Real(columns) = &mut values else { panic!() };
    for column in columns {
        (0..column.len()).filter(|&row| folds.labels()[row] == 2).for_each(|row| column[row] = 4.0);
    }
    let truth = Truth::new(world.truth.rows().clone(), world.truth.names().to_vec(), Labels { values, weights });
    let world = World { truth: truth.unwrap(), ..world };
    let nested = nested(&world, &world.truth, Some(&folds), None);
    assert_eq!(nested.parts[2].score, None);
    let bound = world.bound();
    let mut rows = RowScores::empty(&*bound);
    let positions: Vec<usize> = world.scope.rows.iter().collect();
    for part in &nested.parts {
        let weighted: Vec<_> = world.members.members().iter().zip(part.weights.iter().copied()).collect();
        let pool = Pool::new(&weighted, world.space, bound.preparation());
        let all = RowScores::of(&*bound, &pool, &world.scope.rows, true);
        let (RowScores::Terms(all), RowScores::Terms(rows)) = (all, &mut rows) else { panic!() };
        for (i, _) in positions.iter().enumerate().filter(|(_, row)| folds.labels()[**row] == part.label) {
            (0..2).for_each(|term| rows.set(term, i, all.get(term, i)));
        }
    }
    assert!((rows.score(&*bound) - nested.score).abs() < 1e-12);
}

#[test]
fn an_interrupted_search_still_answers() {
    let world = World::new(KINDS[0], SHAPE);
    let interrupted = std::sync::atomic::AtomicBool::new(true);
    let control = Control { interrupted: &interrupted, tick: &|_| {} };
    let outcome = search(&world.problem(Domain::Simplex), &options(None), &control).unwrap();
    assert_eq!(outcome.stop, crate::drive::Stop::Interrupted);
    assert!(outcome.nested.is_none() && outcome.score.is_finite());
}

/// Terms of a metric that is the mean of one term.
fn terms(values: Vec<f64>) -> RowScores {
    RowScores::Terms(Block::from_columns(&[values]))
}

fn mean_of(n_rows: usize) -> Box<dyn judge::Bound> {
    let metric: Box<dyn Metric> = metric::build(&MetricSpec { name: "mse".into(), ..MetricSpec::default() }).unwrap();
    metric.bind(Labels { values: LabelValues::Real(vec![vec![0.0; n_rows]]), weights: None }).unwrap()
}

#[test]
fn intervals_hold_the_true_gain_as_often_as_they_promise() {
    const ROWS: usize = 150;
    let bound = mean_of(ROWS);
    let mut random = Random::new(4);
    let units: Vec<u32> = (0..ROWS as u32).collect();
    let held = (0..200)
        .filter(|&trial| {
            let other: Vec<f64> = (0..ROWS).map(|_| 5.0 + normal(&mut random)).collect();
            let own = other.iter().map(|x| x - 0.1 + 0.5 * normal(&mut random)).collect();
            let interval = gains(&*bound, &terms(own), &[&terms(other)], &units, 200, trial)[0];
            assert!(interval.low <= interval.gain && interval.gain <= interval.high);
            interval.low <= 0.1 && 0.1 <= interval.high
        })
        .count();
    assert!((180..=198).contains(&held), "{held} of 200");
}

#[test]
fn rows_of_a_group_are_drawn_together() {
    const ROWS: usize = 400;
    let bound = mean_of(ROWS);
    let mut random = Random::new(4);
    // Ten rows of a group say the same: by rows the interval would be too narrow by the root of ten.
    let groups: Vec<u32> = (0..ROWS as u32).map(|row| row / 10).collect();
    let effects: Vec<f64> = (0..ROWS / 10).map(|_| normal(&mut random)).collect();
    let own: Vec<f64> = groups.iter().map(|&group| 9.0 + effects[group as usize]).collect();
    let (own, other) = (terms(own), terms(vec![9.0; ROWS]));
    let width = |units: &[u32]| {
        let interval = gains(&*bound, &own, &[&other], units, 1000, 1)[0];
        interval.high - interval.low
    };
    let ratio = width(&groups) / width(&(0..ROWS as u32).collect::<Vec<_>>());
    assert!((2.6..3.8).contains(&ratio), "{ratio}");
    assert!(gains(&*bound, &own, &[&other], &[0; ROWS], 10, 1).is_empty());
}

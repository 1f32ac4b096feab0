//! Laws of what is said about single weights and members: spread, leaving one out, few members, calibration.

use crate::{
    Budget, Calibrate, Limits,
    constraints::Constraints,
    drive::Stop,
    random::Random,
    search::{Options, search},
    solver::{SolverName, solve},
    testing::{Label, Shape, World, control, task},
};
use blend_core::{
    Domain, Truth,
    post::PostStep,
    space::SpaceName::{self, Linear, Log, Logit},
    truth::{LabelValues, Labels},
};

const SHAPE: Shape =
    Shape { n_members: 5, n_rows: 300, holes: true, weights: true, duplicate: false, constant: false, seed: 21 };

const KINDS: [(&str, SpaceName, Label); 6] = [
    ("log_loss", Linear, Label::Binary),
    ("log_loss", Logit, Label::Binary),
    ("multiclass_log_loss", Linear, Label::Class),
    ("multiclass_log_loss", Log, Label::Class),
    ("rmse", Linear, Label::Number),
    ("mcrmse", Linear, Label::Number),
];

fn options() -> Options {
    Options { replicates: 200, ..Options::default() }
}

#[test]
fn one_step_spreads_are_those_of_real_replicates() {
    for kind in KINDS {
        let world = World::new(kind, Shape { weights: false, n_members: 3, ..SHAPE });
        let outcome = search(&world.problem(Domain::Simplex), &options(), &control()).unwrap();
        let spread = outcome.spread.unwrap();
        // Fitted again on rows drawn with replacement: a row drawn twice has weight 2, one not drawn 0.
        let mut random = Random::new(77);
        let n = world.truth.rows().len();
        let fits: Vec<Vec<f64>> = (0..60)
            .map(|_| {
                let mut counts = vec![0.0; n];
                (0..n).for_each(|_| counts[random.below(n)] += 1.0);
                // (No weight is no weight to a truth.)
                counts.iter_mut().for_each(|count: &mut f64| *count = count.max(1e-9));
                let labels = Labels { weights: Some(counts), ..world.truth.labels().clone() };
                let truth = Truth::new(world.truth.rows().clone(), world.truth.names().to_vec(), labels).unwrap();
                let drawn = World { truth, ..World::new(kind, Shape { weights: false, n_members: 3, ..SHAPE }) };
                let bound = drawn.bound();
                let objective = drawn.objective(&*bound, Domain::Simplex);
                let constraints = Constraints::of(Domain::Simplex, 3);
                solve(SolverName::suited_to(&*objective), &task(&*objective, &constraints)).weights
            })
            .collect();
        for (member, spread) in spread.iter().enumerate() {
            let mean = fits.iter().map(|w| w[member]).sum::<f64>() / 60.0;
            let real = (fits.iter().map(|w| (w[member] - mean).powi(2)).sum::<f64>() / 60.0).sqrt();
            let context = format!("{} member {member}: {spread:?} {real}", world.name);
            assert!(
                (spread.deviation / real.max(0.01) - 1.0).abs() < 0.5 || (spread.deviation - real).abs() < 0.02,
                "{context}"
            );
            let weight = outcome.weights.values()[member];
            assert!(spread.low - 1e-9 <= weight && weight <= spread.high + 1e-9, "{context} {weight}");
        }
    }
}

#[test]
fn without_a_member_the_others_are_searched_again() {
    for kind in KINDS {
        let world = World::new(kind, SHAPE);
        let outcome = search(&world.problem(Domain::Simplex), &options(), &control()).unwrap();
        let bound = world.bound();
        let objective = world.objective(&*bound, Domain::Simplex);
        let constraints = Constraints::of(Domain::Simplex, world.n());
        for (member, without) in outcome.without.iter().enumerate() {
            let Some(without) = without else {
                assert_eq!(outcome.weights.values()[member], 0.0);
                continue;
            };
            let face = constraints.without(member).unwrap();
            let direct = solve(SolverName::suited_to(&*objective), &task(&*objective, &face));
            assert!(without.refitted);
            assert!(without.score >= outcome.score - 1e-12, "{}", world.name);
            assert!((without.score - direct.loss).abs() < 1e-7, "{}: {without:?} {}", world.name, direct.loss);
        }
    }
}

/// The best loss over all sets of members that obey the limits.
fn exhaustive(world: &World, limits: &Limits) -> f64 {
    let bound = world.bound();
    let objective = world.objective(&*bound, Domain::Simplex);
    let all = Constraints::of(Domain::Simplex, world.n());
    (1_u32..1 << world.n())
        .filter_map(|set| {
            let members: Vec<usize> = (0..world.n()).filter(|&i| set >> i & 1 == 1).collect();
            let cost = |budget: &Budget| members.iter().map(|&i| budget.seconds[i]).sum::<f64>();
            if limits.max_members.is_some_and(|most| members.len() > most)
                || limits.budget.as_ref().is_some_and(|budget| cost(budget) > budget.limit)
            {
                return None;
            }
            let part = crate::objective::part::Part::new(&*objective, members.clone());
            let face = all.select(&members);
            let face = limits.min_weight.map_or(Some(face.clone()), |least| face.at_least(least))?;
            Some(solve(SolverName::Newton, &task(&part, &face)).loss)
        })
        .fold(f64::INFINITY, f64::min)
}

#[test]
fn few_members_are_the_best_few() {
    let budget = Budget { seconds: vec![5.0, 2.0, 2.0, 1.0, 1.0], limit: 4.0 };
    for kind in KINDS.into_iter().filter(|(metric, _, _)| *metric != "rmse") {
        let world = World::new(kind, SHAPE);
        for limits in [
            Limits { max_members: Some(1), ..Limits::default() },
            Limits { max_members: Some(2), ..Limits::default() },
            Limits { max_members: Some(4), ..Limits::default() },
            Limits { min_weight: Some(0.15), ..Limits::default() },
            Limits { min_weight: Some(0.25), max_members: Some(3), ..Limits::default() },
            Limits { budget: Some(budget.clone()), ..Limits::default() },
        ] {
            let options = Options { limits: limits.clone(), ..options() };
            let outcome = search(&world.problem(Domain::Simplex), &options, &control()).unwrap();
            let best = exhaustive(&world, &limits);
            let context = format!("{} {limits:?}: {outcome:?}", world.name);
            assert!(limits.allow(outcome.weights.values()), "{context}");
            assert!((outcome.score - best).abs() < 1e-8 * best.abs().max(1.0), "{best} {context}");
            if let Some(gap) = outcome.gap {
                assert!(best >= outcome.score - gap - 1e-9, "{best} {context}");
            }
            // What no set proves is not called proven.
            if matches!(outcome.stop, Stop::Certified { .. }) {
                let free = search(&world.problem(Domain::Simplex), &Options::default(), &control()).unwrap();
                assert_eq!(free.weights, outcome.weights, "{context}");
            }
            let nested = outcome.nested.unwrap();
            assert!(nested.parts.iter().all(|part| limits.allow(&part.weights)), "{context}");
        }
    }
    let world = World::new(KINDS[0], SHAPE);
    let limits = Limits { budget: Some(Budget { limit: 0.5, ..budget }), ..Limits::default() };
    let refused = search(&world.problem(Domain::Simplex), &Options { limits, ..options() }, &control());
    assert_eq!(refused.unwrap_err(), crate::SearchError::NoSet);
}

#[test]
fn a_calibration_sets_confidence_right_and_counts_in_the_nested_score() {
    for (kind, how) in [
        (("log_loss", Linear, Label::Binary), Calibrate::Temperature),
        (("log_loss", Linear, Label::Binary), Calibrate::Affine),
        (("multiclass_log_loss", Linear, Label::Class), Calibrate::Temperature),
        (("multiclass_log_loss", Linear, Label::Class), Calibrate::Affine),
        (("rmse", Linear, Label::Number), Calibrate::Affine),
    ] {
        let world = World::new(kind, SHAPE);
        let problem = world.problem(Domain::Simplex);
        let plain = search(&problem, &options(), &control()).unwrap();
        let outcome = search(&problem, &Options { calibrate: Some(how), ..options() }, &control()).unwrap();
        assert_eq!(plain.weights, outcome.weights);
        let [PostStep::Calibrate(fitted)] = &outcome.post[..] else { panic!("{} {:?}", world.name, outcome.post) };
        assert!(outcome.score < plain.score, "{}", world.name);
        assert_ne!(plain.nested.unwrap().score.to_bits(), outcome.nested.unwrap().score.to_bits());
        // No slope and shift next to the fitted ones are better.
        let bound = world.bound();
        let score = |slope: f64, shift: f64| {
            let mut near = fitted.clone();
            near.slope *= slope;
            *near.shift.last_mut().unwrap() += shift;
            let step = [PostStep::Calibrate(near)];
            let blend = crate::fit::blended(&problem, &*bound, outcome.weights.values(), &world.scope.rows, &step);
            blend_core::judge::score(&*bound, &blend)
        };
        assert!((score(1.0, 0.0) - outcome.score).abs() < 1e-12);
        assert!(score(1.01, 0.0) >= outcome.score && score(0.99, 0.0) >= outcome.score, "{}", world.name);
        if how == Calibrate::Affine {
            assert!(score(1.0, 0.01) >= outcome.score && score(1.0, -0.01) >= outcome.score, "{}", world.name);
        }
    }
    let world = World::new(("auc", Linear, Label::Binary), SHAPE);
    let options = Options { calibrate: Some(Calibrate::Affine), ..options() };
    assert!(search(&world.problem(Domain::Simplex), &options, &control()).is_err());
}

#[test]
fn a_calibration_sees_nothing_of_the_part_it_is_judged_on() {
    let world = World::new(KINDS[0], SHAPE);
    let labels = (0..world.truth.rows().len()).map(|row| (row / 5 % 3) as i64).collect();
    let folds = blend_core::Folds::new(world.truth.rows().clone(), labels).unwrap();
    let run = |truth: &Truth| {
        let problem = crate::Problem { truth, folds: Some(&folds), ..world.problem(Domain::Simplex) };
        let options = Options { calibrate: Some(Calibrate::Affine), ..options() };
        search(&problem, &options, &control()).unwrap().nested.unwrap()
    };
    let Labels { mut values, weights } = world.truth.labels().clone();
    let LabelValues::Binary(columns) = &mut values else { panic!() };
    let inside: Vec<usize> = (0..folds.labels().len()).filter(|&row| folds.labels()[row] == 1).collect();
    columns.iter_mut().for_each(|column| inside.iter().for_each(|&row| column[row] = 1 - column[row]));
    let truth =
        Truth::new(world.truth.rows().clone(), world.truth.names().to_vec(), Labels { values, weights }).unwrap();
    let (before, after) = (run(&world.truth), run(&truth));
    assert_eq!(before.parts[1].weights, after.parts[1].weights);
    // With all labels of a part turned over, the losses of its two labels change places.
    assert!(after.parts[1].score.unwrap() > before.parts[1].score.unwrap());
}

//! Laws of weights by part: the ends of the grid are what they say, nothing of a held-out part reaches its choice, and
//! threads change nothing.

use super::Parts;
use crate::{
    drive::Stop,
    search::{Options, Outcome, search},
    solver::{SolverName, solve},
    testing::{Label, Shape, World, control, task},
};
use blend_core::{
    Domain, Folds, Oof, Predictions,
    space::SpaceName::{self, Linear, Logit, Rank},
    truth::{LabelValues, Labels},
};

const SHAPE: Shape =
    Shape { n_members: 3, n_rows: 360, holes: true, weights: false, duplicate: false, constant: false, seed: 12 };

const KINDS: [(&str, SpaceName, Label); 5] = [
    ("log_loss", Linear, Label::Binary),
    ("log_loss", Logit, Label::Binary),
    ("mse", Linear, Label::Number),
    ("mcrmse", Linear, Label::Number),
    ("mae", Linear, Label::Number),
];

fn folds(world: &World) -> Folds {
    let labels = (0..world.truth.rows().len()).map(|row| (row / 4 % 4) as i64).collect();
    Folds::new(world.truth.rows().clone(), labels).unwrap()
}

fn run(world: &World, parts: Parts, lambda: Option<f64>, honest: bool) -> Outcome {
    let folds = folds(world);
    let problem = crate::Problem { folds: Some(&folds), ..world.problem(Domain::Simplex) };
    let options = Options { parts: Some(parts), lambda, honest, replicates: 50, ..Options::default() };
    search(&problem, &options, &control()).unwrap()
}

#[test]
fn alone_a_target_has_its_own_optimum_and_drawn_together_all_have_one() {
    for kind in KINDS {
        let world = World::new(kind, SHAPE);
        let alone = run(&world, Parts::Outputs(vec![0, 1]), Some(0.0), false);
        let parts = alone.parts.unwrap();
        for (output, weights) in parts.weights.iter().enumerate() {
            let one = of_target(&world, output);
            let bound = one.bound();
            let objective = one.objective(&*bound, Domain::Simplex);
            let constraints = crate::constraints::Constraints::of(Domain::Simplex, 3);
            let found = solve(SolverName::suited_to(&*objective), &task(&*objective, &constraints));
            let own = objective.value(weights);
            let slack = if kind.0 == "mae" { 1e-4 } else { 1e-9 };
            assert!(own <= found.loss + slack * found.loss, "{}: {own} {}", world.name, found.loss);
        }
        let together = run(&world, Parts::Outputs(vec![0, 1]), Some(f64::INFINITY), false);
        let plain =
            search(&world.problem(Domain::Simplex), &Options { honest: false, ..Options::default() }, &control());
        let plain = plain.unwrap();
        let all = together.parts.unwrap();
        assert!(all.weights.iter().all(|weights| weights == plain.weights.values()), "{}", world.name);
        assert!((together.score - plain.score).abs() < 1e-12, "{}", world.name);
        let between = run(&world, Parts::Outputs(vec![0, 1]), Some(1.0), false);
        assert!(alone.score <= between.score + 1e-4 && between.score <= together.score + 1e-9, "{}", world.name);
        if kind.0 != "mae" {
            assert!(matches!(between.stop, Stop::Certified { .. }), "{}: {:?}", world.name, between.stop);
        }
    }
}

/// One target of a world.
fn of_target(world: &World, output: usize) -> World {
    let bound = SHAPE;
    let one = World::new(("mse", Linear, Label::Number), bound);
    let labels = world.truth.labels().target(output).unwrap();
    let names = vec![world.truth.names()[output].clone()];
    let truth = blend_core::Truth::new(world.truth.rows().clone(), names.clone(), labels).unwrap();
    let columns: std::sync::Arc<[String]> = names.into();
    let members = world
        .members
        .members()
        .iter()
        .map(|member| {
            let rows = world.truth.rows().len();
            let slice = (0..rows).map(|row| {
                member.values().slice(row / blend_core::BLOCK_ROWS, output).get(row % blend_core::BLOCK_ROWS)
            });
            let values = blend_core::source::OwnedBlocks::F64(vec![slice.collect()]);
            let (model, rows) = (member.model().clone(), member.rows().clone());
            let values = std::sync::Arc::new(values);
            Predictions::<Oof>::unchecked(model, rows, columns.clone(), member.encoding(), values, member.fingerprint())
                .unwrap()
        })
        .collect();
    let spec = blend_core::metric::MetricSpec { name: world.metric.info().name.to_owned(), ..Default::default() };
    World {
        members: blend_core::PredictionMatrix::new(members).unwrap(),
        truth,
        metric: blend_core::metric::build(&spec).unwrap(),
        space: world.space,
        ..one
    }
}

#[test]
fn the_choice_is_made_inside_each_outer_part() {
    for kind in &KINDS[..4] {
        let world = World::new(*kind, SHAPE);
        let before = run(&world, Parts::Outputs(vec![0, 1]), None, true);
        let folds = folds(&world);
        let Labels { mut values, weights } = world.truth.labels().clone();
        let inside = |row: &usize| folds.labels()[*row] == 1;
        match &mut values {
            LabelValues::Binary(columns) => columns.iter_mut().for_each(|column| {
                (0..column.len()).filter(inside).for_each(|row| column[row] = u8::from(row % 2 == 0));
            }),
            LabelValues::Real(columns) => columns.iter_mut().for_each(|column| {
                (0..column.len()).filter(inside).for_each(|row| column[row] = 5.0 - column[row]);
            }),
            _ => unreachable!(),
        }
        let truth = blend_core::Truth::new(
            world.truth.rows().clone(),
            world.truth.names().to_vec(),
            Labels { values, weights },
        );
        let other = World { truth: truth.unwrap(), ..World::new(*kind, SHAPE) };
        let after = run(&other, Parts::Outputs(vec![0, 1]), None, true);
        let (a, b) = (before.parts.unwrap(), after.parts.unwrap());
        assert_eq!(a.nested_lambdas[1], b.nested_lambdas[1], "{}", world.name);
        let (a, b) = (before.nested.unwrap(), after.nested.unwrap());
        assert_eq!(a.parts[1].weights, b.parts[1].weights, "{}", world.name);
        assert_ne!(a.parts[0].weights, b.parts[0].weights, "{}", world.name);
    }
}

#[test]
fn groups_of_rows_have_weights_of_their_own() {
    let world = World::new(("multiclass_log_loss", Linear, Label::Class), Shape { n_rows: 600, ..SHAPE });
    let part: Vec<u32> = (0..600).map(|row| (row / 30 % 2) as u32).collect();
    let alone = run(&world, Parts::Rows(part.clone()), Some(0.0), true);
    let parts = alone.parts.as_ref().unwrap();
    for (group, weights) in parts.weights.iter().enumerate() {
        let rows = world.scope.rows.filter(|row| part[row] as usize == group).unwrap();
        let scope = blend_core::Scope { name: "group".into(), rows };
        let problem = crate::Problem { scope: &scope, ..world.problem(Domain::Simplex) };
        let own = search(&problem, &Options { honest: false, ..Options::default() }, &control()).unwrap();
        assert!(own.weights.values().iter().zip(weights).all(|(a, b)| (a - b).abs() < 1e-5), "{own:?} {weights:?}");
    }
    let nested = alone.nested.unwrap();
    assert!(nested.score > alone.score && parts.global_nested.is_some());
}

#[test]
fn what_has_no_parts_is_refused() {
    for kind in
        [("auc", Linear, Label::Binary), ("mse", Rank, Label::Soft), ("multiclass_log_loss", Linear, Label::Class)]
    {
        let world = World::new(kind, SHAPE);
        let outputs = world.members.columns().len() as u32;
        let options = Options { parts: Some(Parts::Outputs((0..outputs).collect())), ..Options::default() };
        assert!(search(&world.problem(Domain::Simplex), &options, &control()).is_err(), "{}", world.name);
    }
}

#[test]
fn threads_do_not_change_a_bit_of_any_part() {
    let world = World::new(KINDS[0], Shape { n_rows: 5_000, ..SHAPE });
    let [one, two] = [1, 2].map(|n| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(n).build().unwrap();
        let mut outcome = pool.install(|| run(&world, Parts::Outputs(vec![0, 1]), None, true));
        (outcome.search_seconds, outcome.solve_seconds, outcome.honest_seconds) = (0.0, 0.0, 0.0);
        format!("{outcome:?}")
    });
    assert_eq!(one, two);
}

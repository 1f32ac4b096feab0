//! Laws of every solver, on made-up problems over metrics, spaces and domains.

mod bounded;
mod wide;

use super::{CATALOGUE, SolverName, alone, lowest, solve};
use crate::{
    constraints::Constraints,
    drive::{Stop, Watch},
    honest::row_scores::fitted_step,
    objective::Move,
    random::Random,
    testing::{DOMAINS, KINDS, Label, Shape, World, feasible, task, watch},
};
use blend_core::{Domain, Oof, Predictions, Weights, judge, pool::Pool, post, space::SpaceName};
use rayon::prelude::*;
use std::{
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    time::{Duration, Instant},
};

const SMALL: Shape =
    Shape { n_members: 4, n_rows: 130, holes: true, weights: false, duplicate: false, constant: false, seed: 1 };

fn shapes() -> Vec<Shape> {
    vec![
        SMALL,
        Shape { weights: true, seed: 2, ..SMALL },
        Shape { duplicate: true, constant: true, seed: 3, ..SMALL },
        Shape { n_members: 1, seed: 4, ..SMALL },
        Shape { n_members: 6, n_rows: 5, holes: false, seed: 5, ..SMALL },
    ]
}

/// The loss of the blend as it is written.
fn written(world: &World, bound: &dyn judge::Bound, weights: &[f64]) -> f64 {
    let weighted: Vec<(&Predictions<Oof>, f64)> = world.members.members().iter().zip(weights.iter().copied()).collect();
    let pool = Pool::new(&weighted, world.space, bound.preparation());
    let mut blend = pool.whole(&world.scope.rows);
    if let Some(step) = fitted_step(bound, &pool, &world.scope.rows) {
        post::apply(&step, &mut blend, None);
    }
    bound.direction().loss(blend_core::Score(judge::score(bound, &blend))).value()
}

/// Runs a law on every world, and fails with all that broke it.
fn for_all(worlds: &[World], law: impl Fn(&World) + Sync) {
    let broken: Vec<&str> = worlds
        .par_iter()
        .filter(|world| std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| law(world))).is_err())
        .map(|world| world.name.as_str())
        .collect();
    assert!(broken.is_empty(), "{} worlds: {broken:#?}", broken.len());
}

fn undefined(world: &World) -> bool {
    world.metric.bind(world.truth.on(&world.scope.rows)).is_err()
}

/// Every (kind, shape), as a world whose metric is defined.
fn worlds(shapes: &[Shape]) -> Vec<World> {
    KINDS
        .iter()
        .flat_map(|&kind| shapes.iter().map(move |&shape| World::new(kind, shape)))
        .filter(|world| !undefined(world))
        .collect()
}

#[test]
fn the_loss_is_the_oriented_score_of_the_written_blend() {
    let long = Shape { n_rows: 9_000, weights: true, seed: 6, ..SMALL };
    for_all(&worlds(&[SMALL, Shape { weights: true, seed: 2, ..SMALL }, long]), |world| {
        let bound = world.bound();
        for domain in DOMAINS {
            let objective = world.objective(&*bound, domain);
            let constraints = Constraints::of(domain, world.n());
            let mut random = Random::new(11);
            for _ in 0..if world.truth.rows().len() < 1000 { 4 } else { 1 } {
                let weights = feasible(&constraints, &mut random);
                let (value, other) = (objective.value(&weights), written(world, &*bound, &weights));
                assert!(!value.is_nan(), "{}", world.name);
                // Outside the loss's domain, and where the written blend is clipped, the two differ by design.
                if value.is_finite() && domain.sums_to_one() && domain.is_compact() {
                    assert!((value - other).abs() <= 1e-9 * other.abs().max(1.0), "{}: {value} {other}", world.name);
                }
                // (Ranks tie, and rounding breaks ties.)
                if world.n() > 1 && world.space.get().info().row_local {
                    let moves = [(Some(0), Some(1)), (None, Some(1))].map(|(from, to)| Move { from, to, amount: 0.01 });
                    for (step, loss) in moves.iter().zip(objective.moved(&weights, &moves)) {
                        let value = objective.value(&step.of(&weights));
                        let close = (loss - value).abs() <= 1e-9 * value.abs().max(1.0);
                        assert!(close || loss == value, "{}: {loss} {value}", world.name);
                    }
                }
                let toward = objective.toward(&weights, 0.25);
                for (member, &loss) in toward.iter().enumerate() {
                    let mut moved: Vec<f64> = weights.iter().map(|w| 0.75 * w).collect();
                    moved[member] += 0.25;
                    let value = objective.value(&moved);
                    let close = (loss - value).abs() <= 1e-9 * value.abs().max(1.0);
                    assert!(close || loss == value, "{}: {loss} {value}", world.name);
                }
            }
        }
    });
}

#[test]
fn derivatives_are_those_of_the_loss() {
    let long = Shape { n_rows: 5_000, n_members: 5, weights: true, seed: 6, ..SMALL };
    for_all(&worlds(&[SMALL, Shape { weights: true, seed: 2, ..SMALL }, long]), |world| {
        let bound = world.bound();
        let exact = world.objective(&*bound, Domain::Free);
        let smooth = exact.smoothed(0.1);
        let objective = smooth.as_deref().unwrap_or(&*exact);
        // Inside the domain of every loss: positive weights with a sum below one.
        let weights: Vec<f64> = (0..world.n()).map(|i| (0.1 + 0.02 * i as f64) * 4.0 / world.n() as f64).collect();
        let (Some(slope), Some(curve)) = (objective.slope(&weights), objective.curve(&weights)) else {
            assert!(objective.slope(&weights).is_none() && objective.curve(&weights).is_none());
            return;
        };
        let value = objective.value(&weights);
        let close = |a: f64, b: f64, scale: f64| (a - b).abs() <= scale;
        assert!(close(slope.value, value, 1e-12 * value.abs().max(1.0)), "{}", world.name);
        assert!(close(curve.value, value, 1e-12 * value.abs().max(1.0)), "{}", world.name);
        let size = slope.gradient.iter().fold(1e-3_f64, |m, g| m.max(g.abs()));
        for i in 0..world.n() {
            let at = |step: f64| {
                let mut moved = weights.clone();
                moved[i] += step;
                moved
            };
            let (up, down) = (at(1e-5), at(-1e-5));
            let finite = (objective.value(&up) - objective.value(&down)) / 2e-5;
            assert!(close(slope.gradient[i], finite, 1e-5 * size), "{}: {} {finite}", world.name, slope.gradient[i]);
            assert!(close(slope.gradient[i], curve.gradient[i], 1e-12 * size), "{}", world.name);
            for j in 0..world.n() {
                let cell = curve.hessian[i * world.n() + j];
                assert!(cell.to_bits() == curve.hessian[j * world.n() + i].to_bits(), "{}", world.name);
                if objective.is_convex() {
                    let (up, down) = (objective.slope(&up).unwrap(), objective.slope(&down).unwrap());
                    let finite = (up.gradient[j] - down.gradient[j]) / 2e-5;
                    let size = curve.hessian.iter().fold(1e-3_f64, |m, h| m.max(h.abs()));
                    assert!(close(cell, finite, 1e-4 * size), "{}: {cell} {finite}", world.name);
                }
            }
        }
    });
}

#[test]
fn answers_are_allowed_and_never_worse_than_a_baseline() {
    for_all(&worlds(&shapes()), |world| {
        let bound = world.bound();
        // The plain shape in every domain, the odd ones in some.
        let plain = world.n() == 4 && !world.name.contains("true, seed");
        for (i, domain) in DOMAINS.into_iter().enumerate() {
            if !plain && (i + world.n()) % 3 != 0 && domain != Domain::Simplex {
                continue;
            }
            let objective = world.objective(&*bound, domain);
            let constraints = Constraints::of(domain, world.n());
            let task = task(&*objective, &constraints);
            let losses = alone(&*objective);
            let baseline = losses[lowest(&losses)].min(objective.value(&constraints.equal()));
            // Mean absolute errors are flat between their kinks, where steps may stall.
            let kinked = ["mae", "mape", "pinball"].iter().any(|name| world.name.starts_with(name));
            let stalls = kinked && !domain.is_compact();
            let mut lowest_found = f64::INFINITY;
            let mut proofs = Vec::new();
            for (name, solver) in CATALOGUE {
                let patient = matches!(name, SolverName::Local | SolverName::NelderMead | SolverName::Multistart);
                if solver.fits(&task).is_err() || patient && !plain && domain != Domain::Simplex {
                    continue;
                }
                let context = format!("{} on {domain:?}: {}", solver.info().name, world.name);
                let found = solve(name, &task);
                assert!(found.weights.iter().all(|w| w.is_finite()) && !found.loss.is_nan(), "{context}: {found:?}");
                assert!(Weights::new(domain, found.weights.clone()).is_ok(), "{context}: {:?}", found.weights);
                let value = objective.value(&found.weights);
                assert!((value - found.loss).abs() <= 1e-12 * value.abs().max(1.0), "{context}: {value} {found:?}");
                let slack = found.gap.unwrap_or(0.0).max(1e-13 * baseline.abs());
                assert!(found.loss <= baseline + slack, "{context}: {} > {baseline}", found.loss);
                lowest_found = lowest_found.min(found.loss);
                if let Stop::Certified { gap } = found.stop {
                    assert!(objective.is_convex() && solver.info().certifies, "{context}");
                    assert!(domain.is_compact() || name == SolverName::Quadratic, "{context}");
                    assert!((0.0..=1e-9 * value.abs().max(1.0)).contains(&gap), "{context}: {gap}");
                }
                if let Some(gap) = found.gap {
                    proofs.push((found.loss - gap, context));
                } else if name == SolverName::Newton && objective.is_convex() && found.stop == Stop::Converged {
                    proofs.push((found.loss - 1e-8 * found.loss.abs().max(1.0), context));
                } else if name == SolverName::Newton && objective.is_convex() && !stalls && found.loss > 1e-6 {
                    // (More members than rows can drive a loss to zero with weights that grow for ever.)
                    panic!("{context}: {found:?}");
                }
            }
            // What is proven is true of every other solver's answer and of random weights.
            let mut random = Random::new(5);
            for _ in 0..40 {
                lowest_found = lowest_found.min(objective.value(&feasible(&constraints, &mut random)));
            }
            for (bound, context) in proofs {
                // (The root of a mean square near zero multiplies the rounding of its Gram matrix.)
                let slack = 1e-13 * lowest_found.abs().max(1.0);
                assert!(lowest_found >= bound - slack, "{context}: {lowest_found} < {bound}");
            }
        }
    });
}

#[test]
fn threads_do_not_change_a_bit() {
    let many = Shape { n_rows: 5_200, seed: 8, ..SMALL };
    let pools = [1, 2].map(|n| rayon::ThreadPoolBuilder::new().num_threads(n).build().unwrap());
    for &kind in &KINDS {
        let world = World::new(kind, many);
        let bound = world.bound();
        let objective = world.objective(&*bound, Domain::Simplex);
        let constraints = Constraints::of(Domain::Simplex, world.n());
        let task = super::Task { max_picks: 4, ..task(&*objective, &constraints) };
        let slow = SolverName::suited_to(&*objective) == SolverName::Local;
        for (name, solver) in CATALOGUE {
            // (Nelder-Mead asks for nothing but values, one at a time and often.)
            let idle = name == SolverName::Multistart && objective.is_convex();
            if solver.fits(&task).is_err()
                || idle
                || name == SolverName::NelderMead
                || slow && name != SolverName::Greedy
            {
                continue;
            }
            let [one, two] = pools.each_ref().map(|pool| pool.install(|| solve(name, &task)));
            assert_eq!(format!("{one:?}"), format!("{two:?}"), "{} {}", solver.info().name, world.name);
        }
    }
}

#[test]
fn interruption_deadline_and_picks_are_respected() {
    let interrupted = AtomicBool::new(true);
    for world in worlds(&[SMALL]) {
        let bound = world.bound();
        for domain in [Domain::Simplex, Domain::Free] {
            let objective = world.objective(&*bound, domain);
            let constraints = Constraints::of(domain, world.n());
            let plain = task(&*objective, &constraints);
            let expired = Watch { deadline: Some(Instant::now() - Duration::from_secs(1)), ..watch() };
            let stopped = Watch { interrupted: &interrupted, ..watch() };
            for (name, solver) in CATALOGUE {
                let baseline = matches!(name, SolverName::Equal | SolverName::SingleBest);
                if solver.fits(&plain).is_err() || baseline {
                    continue;
                }
                let context = format!("{} on {domain:?}: {}", solver.info().name, world.name);
                for (watch, wanted) in [(stopped, Stop::Interrupted), (expired, Stop::Budget)] {
                    let found = solve(name, &super::Task { watch, ..plain });
                    assert_eq!(found.stop, wanted, "{context}");
                    assert!(found.loss.is_finite() && Weights::new(domain, found.weights).is_ok(), "{context}");
                }
                // A tick may set the flag: then little more is asked.
                let (flag, ticks) = (AtomicBool::new(false), AtomicU64::new(0));
                let tick = |_: &crate::drive::Tick| {
                    flag.store(true, Ordering::Relaxed);
                    ticks.fetch_add(1, Ordering::Relaxed);
                };
                let _ = solve(
                    name,
                    &super::Task { watch: Watch { interrupted: &flag, deadline: None, tick: &tick }, ..plain },
                );
                assert!(ticks.into_inner() <= 2, "{context}");
            }
            let picks = SolverName::Greedy.get().run(&super::Task { max_picks: 3, ..plain });
            let whole = picks.weights.iter().all(|w| [1.0, 2.0, 3.0].iter().any(|n| (n * w).fract().abs() < 1e-12));
            assert!(whole, "{:?}", picks.weights);
        }
    }
}

#[test]
fn blends_outside_the_simplex_stay_probabilities() {
    for seed in 0..4 {
        let shape = Shape { n_rows: 40, n_members: 6, seed, ..SMALL };
        let world = World::new(("log_loss", SpaceName::Linear, Label::Binary), shape);
        let bound = world.bound();
        for domain in DOMAINS {
            let objective = world.objective(&*bound, domain);
            let constraints = Constraints::of(domain, world.n());
            let found = solve(SolverName::Newton, &task(&*objective, &constraints));
            let weighted: Vec<_> = world.members.members().iter().zip(found.weights.iter().copied()).collect();
            let blend = Pool::new(&weighted, world.space, bound.preparation()).whole(&world.scope.rows);
            assert!(blend.values().iter().all(|u| *u > 0.0 && *u < 1.0), "{domain:?} {found:?}");
        }
    }
}

#[test]
fn saturated_members_do_not_leave_the_domain() {
    // All members say exactly 0 or 1: their mean, rounded, must not lie beyond the clip.
    let shape = Shape { n_members: 9, n_rows: 200, ..SMALL };
    let mut world = World::new(("log_loss", SpaceName::Linear, Label::Binary), shape);
    let members = world.members.members().iter().enumerate().map(|(member, old)| {
        let columns = (0..2).map(|t| (0..200).map(|i| f32::from(u8::from((i + t) % 3 == 0))).collect()).collect();
        Predictions::new(
            old.model().clone(),
            old.rows().clone(),
            old.columns().clone(),
            old.encoding(),
            std::sync::Arc::new(blend_core::source::OwnedBlocks::F32(columns)),
            blend_core::Fingerprint::of(&[member as u8]),
            &world.scope.rows,
        )
        .unwrap()
    });
    world.members = blend_core::PredictionMatrix::new(members.collect()).unwrap();
    let bound = world.bound();
    let objective = world.objective(&*bound, Domain::Simplex);
    let constraints = Constraints::of(Domain::Simplex, 9);
    let mut random = Random::new(2);
    for _ in 0..50 {
        let value = objective.value(&feasible(&constraints, &mut random));
        assert!(value.is_finite());
    }
    assert!(solve(SolverName::Newton, &task(&*objective, &constraints)).loss.is_finite());
}

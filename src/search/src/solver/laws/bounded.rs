//! Laws of searches whose weights have bounds of their own.

use super::{SMALL, for_all};
use crate::{
    constraints::Constraints,
    drive::Stop,
    random::Random,
    solver::{CATALOGUE, SolverName, solve},
    testing::{DOMAINS, KINDS, World, feasible, task},
};
use blend_core::Weights;

/// One weight is given, one has a ceiling, one a floor, one none of its own.
const BOUNDS: [(f64, f64); 4] = [(0.2, 0.2), (-0.3, 0.3), (0.05, 1.2), (-0.3, 1.2)];

#[test]
fn bounded_answers_keep_their_bounds_and_their_proofs() {
    let worlds: Vec<World> = KINDS.iter().map(|&kind| World::new(kind, SMALL)).collect();
    for_all(&worlds, |world| {
        let bound = world.bound();
        for domain in DOMAINS {
            let objective = world.objective(&*bound, domain);
            let constraints = Constraints::within(domain, &BOUNDS).unwrap();
            assert!(constraints.is_compact() && !constraints.is_plain());
            let task = task(&*objective, &constraints);
            assert!(SolverName::Greedy.get().fits(&task).is_err());
            for name in [SolverName::Newton, SolverName::Quadratic, SolverName::Local, SolverName::Multistart] {
                let (_, solver) = CATALOGUE[name as usize];
                let slow = name == SolverName::Local && objective.is_convex();
                if solver.fits(&task).is_err() || slow || name == SolverName::Multistart && objective.is_convex() {
                    continue;
                }
                let found = solve(name, &task);
                let context = format!("{} on {domain:?}: {found:?}", solver.info().name);
                assert!(constraints.allow(&found.weights), "{context}");
                assert!(Weights::new(domain, found.weights.clone()).is_ok(), "{context}");
                assert_eq!(found.weights[0], 0.2, "{context}");
                if let Stop::Certified { gap } = found.stop {
                    let mut random = Random::new(3);
                    for _ in 0..200 {
                        let other = objective.value(&feasible(&constraints, &mut random));
                        assert!(other >= found.loss - gap - 1e-13 * other.abs().max(1.0), "{context}: {other}");
                    }
                } else {
                    // Only what is convex, and stays inside the loss's own domain, is proven.
                    let walled = world.name.contains("_loss in linear") || world.name.contains("kl_divergence");
                    let proven = objective.is_convex() && objective.smoothed(1.0).is_none() && !walled;
                    assert!(!proven, "{context}");
                }
            }
        }
    });
}

#[test]
fn wide_bounds_change_nothing() {
    for &kind in KINDS.iter().filter(|(metric, _, _)| matches!(*metric, "log_loss" | "mse" | "mcrmse")) {
        let world = World::new(kind, SMALL);
        let bound = world.bound();
        for domain in DOMAINS {
            let objective = world.objective(&*bound, domain);
            let own = Constraints::of(domain, world.n());
            let wide = Constraints::within(domain, &[(f64::NEG_INFINITY, f64::INFINITY); 4]).unwrap();
            assert_eq!(own, wide);
            // A face of the simplex is the simplex of its members.
            let Some(face) = own.without(1) else { continue };
            if domain.sums_to_one() && domain.is_compact() {
                let name = SolverName::suited_to(&*objective);
                let found = solve(name, &task(&*objective, &face));
                assert_eq!(found.weights[1], 0.0);
                let smaller = World::new(kind, SMALL);
                let members = [0, 2, 3].map(|member| smaller.members.members()[member].clone()).to_vec();
                let smaller = World { members: blend_core::PredictionMatrix::new(members).unwrap(), ..smaller };
                let part = smaller.objective(&*bound, domain);
                let alone = solve(name, &task(&*part, &own.select(&[0, 2, 3])));
                assert!((alone.loss - found.loss).abs() < 1e-11, "{}: {alone:?} {found:?}", world.name);
            }
        }
    }
}

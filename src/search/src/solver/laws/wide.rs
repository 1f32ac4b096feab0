//! Laws of many members, searched a few at a time, and of blends that are no means, searched between walls.

use super::SMALL;
use crate::{
    constraints::Constraints,
    drive::Stop,
    solver::{SolverName, solve, suit_faces},
    testing::{Label, Shape, World, task},
};
use blend_core::{Domain, space::SpaceName::Linear};

#[test]
fn many_members_are_certified_a_few_at_a_time() {
    for kind in [("multiclass_log_loss", Linear, Label::Class), ("log_loss", Linear, Label::Soft)] {
        for (weights, n_rows) in [(false, 9_000), (true, 400)] {
            let world = World::new(kind, Shape { n_members: 40, n_rows, weights, seed: 14, ..SMALL });
            let bound = world.bound();
            let objective = world.objective(&*bound, Domain::Simplex);
            let constraints = Constraints::of(Domain::Simplex, 40);
            assert!(suit_faces(&*objective, &constraints), "{}", world.name);
            let found = solve(SolverName::Newton, &task(&*objective, &constraints));
            assert!(matches!(found.stop, Stop::Certified { .. }), "{}: {found:?}", world.name);
            // All members at once find nothing better, and the gap is that of all of them.
            let slope = objective.slope(&found.weights).unwrap();
            let gap = constraints.gap(&found.weights, &slope.gradient);
            assert!(gap <= 1e-9 * found.loss.max(1.0), "{}: {gap} {found:?}", world.name);
            let bounds: Vec<(f64, f64)> = (0..40).map(|member| (0.0, if member == 0 { 0.999 } else { 1.0 })).collect();
            let at_once = Constraints::within(Domain::Simplex, &bounds).unwrap();
            assert!(!suit_faces(&*objective, &at_once));
            let other = solve(SolverName::Newton, &task(&*objective, &at_once));
            assert!((found.loss - other.loss).abs() < 1e-9, "{}: {found:?} {other:?}", world.name);
        }
    }
}

#[test]
fn a_wider_domain_is_never_worse() {
    let kinds = [
        ("log_loss", Linear, Label::Binary),
        ("log_loss", Linear, Label::Soft),
        ("multiclass_log_loss", Linear, Label::Class),
        ("kl_divergence", Linear, Label::Shares),
    ];
    for kind in kinds {
        let world = World::new(kind, Shape { n_members: 6, n_rows: 300, ..SMALL });
        let bound = world.bound();
        let best = |domain: Domain| {
            let objective = world.objective(&*bound, domain);
            let constraints = Constraints::of(domain, 6);
            let found = solve(SolverName::Newton, &task(&*objective, &constraints));
            assert!(matches!(found.stop, Stop::Certified { .. } | Stop::Converged), "{}: {found:?}", world.name);
            found.loss
        };
        let [simplex, affine, unit_box, nonnegative, free] =
            [Domain::Simplex, Domain::Affine, Domain::Box, Domain::Nonnegative, Domain::Free].map(best);
        for (narrow, wide) in
            [(simplex, affine), (simplex, unit_box), (unit_box, nonnegative), (nonnegative, free), (affine, free)]
        {
            assert!(wide <= narrow + 1e-7, "{}: {wide} > {narrow}", world.name);
        }
    }
}

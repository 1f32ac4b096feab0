//! Laws of what is compared: the nested score is of the search that was run, and both sides of a gain are judged alike.

use crate::{
    Limits,
    drive::{Phase, Stop, Tick},
    search::{Control, Options, search},
    solver::SolverName,
    testing::{Label, Shape, World, control},
};
use blend_core::{
    Domain,
    space::SpaceName::{Linear, Rank},
};
use std::{
    sync::{Mutex, atomic::AtomicBool},
    time::Duration,
};

const SHAPE: Shape =
    Shape { n_members: 5, n_rows: 300, holes: true, weights: false, duplicate: false, constant: false, seed: 12 };

#[test]
fn parts_have_the_time_that_the_search_had() {
    for kind in [("log_loss", Linear, Label::Binary), ("auc", Rank, Label::Binary)] {
        let world = World::new(kind, SHAPE);
        let options = Options { time_limit: Some(Duration::ZERO), replicates: 20, ..Options::default() };
        let outcome = search(&world.problem(Domain::Simplex), &options, &control()).unwrap();
        assert_eq!(outcome.stop, Stop::Budget);
        // Away from the optimum no step of a model says anything of the weights.
        assert_eq!(outcome.spread_by, Some("jackknife"));
        for (spread, weight) in outcome.spread.unwrap().iter().zip(outcome.weights.values()) {
            assert!(spread.low <= *weight && *weight <= spread.high, "{spread:?} {weight}");
        }
        assert!(outcome.without.iter().flatten().all(|without| !without.refitted));
        // No time to search leaves the baselines, in the parts as in the whole.
        for part in outcome.nested.unwrap().parts {
            let (most, least) = part.weights.iter().fold((0.0_f64, 1.0_f64), |(m, l), w| (m.max(*w), l.min(*w)));
            assert!(most == 1.0 || most - least < 1e-12, "{:?}", part.weights);
        }
    }
}

#[test]
fn parts_fall_back_as_the_search_does() {
    // Members of which one is far better than the mean of all.
    let world = World::new(("log_loss", Linear, Label::Binary), Shape { n_members: 3, ..SHAPE });
    for solver in [SolverName::Equal, SolverName::SingleBest] {
        let options = Options { solver: Some(solver), replicates: 20, ..Options::default() };
        let outcome = search(&world.problem(Domain::Simplex), &options, &control()).unwrap();
        let kind = |weights: &[f64]| weights.iter().filter(|w| **w != 0.0).count();
        let parts = outcome.nested.unwrap().parts;
        let same = parts.iter().filter(|part| kind(&part.weights) == kind(outcome.weights.values())).count();
        assert!(same * 2 > parts.len(), "{parts:?} {:?}", outcome.weights);
    }
}

#[test]
fn cuts_are_chosen_alike_on_both_sides_of_a_gain() {
    let mut judged = 0;
    for (metric, label) in [("mcc", Label::Binary), ("f1", Label::Binary), ("qwk", Label::Grade)] {
        let world = World::new((metric, Linear, label), SHAPE);
        let problem = world.problem(Domain::Simplex);
        for solver in [SolverName::Equal, SolverName::SingleBest] {
            let options = Options { solver: Some(solver), replicates: 50, ..Options::default() };
            let outcome = search(&problem, &options, &control()).unwrap();
            let parts = &outcome.nested.as_ref().unwrap().parts;
            if parts.iter().any(|part| part.weights != outcome.weights.values()) {
                continue;
            }
            // The blend is the baseline itself: nothing is gained and nothing lost.
            let equal = outcome.weights.values().iter().all(|w| *w == outcome.weights.values()[0]);
            let gain = if equal { outcome.gain_over_equal } else { outcome.gain_over_single }.unwrap();
            assert_eq!((gain.gain, gain.low, gain.high), (0.0, 0.0, 0.0), "{metric}");
            judged += 1;
        }
    }
    assert!(judged > 0, "no search ended at a baseline in every part");
}

#[test]
fn every_search_says_how_far_its_weights_are_known_and_what_members_are_worth() {
    let kinds = [("mcc", Linear, Label::Binary), ("auc", Rank, Label::Binary), ("qwk", Linear, Label::Grade)];
    for kind in kinds {
        let world = World::new(kind, SHAPE);
        let options = Options { replicates: 20, ..Options::default() };
        let outcome = search(&world.problem(Domain::Simplex), &options, &control()).unwrap();
        assert_eq!(outcome.spread_by, Some("jackknife"));
        for (spread, weight) in outcome.spread.unwrap().iter().zip(outcome.weights.values()) {
            assert!(0.0 <= spread.low && spread.low <= *weight && *weight <= spread.high && spread.high <= 1.0);
        }
        let worth = outcome.without.iter().zip(outcome.weights.values());
        assert!(worth.clone().count() == 5 && worth.into_iter().all(|(it, weight)| it.is_some() == (*weight != 0.0)));
    }
    let world = World::new(("log_loss", Linear, Label::Binary), SHAPE);
    let options = Options { solver: Some(SolverName::Greedy), replicates: 20, ..Options::default() };
    let outcome = search(&world.problem(Domain::Simplex), &options, &control()).unwrap();
    assert_eq!(outcome.spread_by, Some("jackknife"));
}

#[test]
fn with_limits_the_members_are_chosen_anew_without_one() {
    let world = World::new(("log_loss", Linear, Label::Binary), SHAPE);
    let problem = world.problem(Domain::Simplex);
    let limits = Limits { max_members: Some(2), ..Limits::default() };
    let options = Options { limits, replicates: 20, ..Options::default() };
    let outcome = search(&problem, &options, &control()).unwrap();
    for (member, without) in outcome.without.iter().enumerate() {
        let Some(without) = without else { continue };
        let bounds = (0..5).map(|other| (0.0, if other == member { 0.0 } else { 1.0 })).collect();
        let limits = Limits { max_members: Some(2), bounds, ..Limits::default() };
        let options = Options { limits, honest: false, ..Options::default() };
        let other = search(&problem, &options, &control()).unwrap();
        assert!((without.score - other.score).abs() < 1e-7 && without.refitted, "{} {}", without.score, other.score);
    }
}

#[test]
fn first_steps_and_parts_are_not_shown_as_scores_of_the_search() {
    let world = World::new(("qwk", Linear, Label::Grade), SHAPE);
    let ticks: Mutex<Vec<Tick>> = Mutex::default();
    let interrupted = AtomicBool::new(false);
    let control = Control { interrupted: &interrupted, tick: &|tick| ticks.lock().unwrap().push(tick.clone()) };
    let options = Options { honest: false, ..Options::default() };
    let outcome = search(&world.problem(Domain::Simplex), &options, &control).unwrap();
    let ticks = ticks.into_inner().unwrap();
    assert!(ticks.iter().any(|tick| tick.phase == Phase::Start));
    let best = world.bound().direction().loss(blend_core::Score(outcome.score)).value();
    for tick in ticks.iter().filter(|tick| tick.phase == Phase::Search) {
        assert!(tick.loss >= best - 1e-9, "{tick:?} {best}");
    }
}

/// Of many members what is known comes from those with weight and those next to having some.
#[test]
fn of_many_members_the_few_that_matter_are_told_as_if_there_were_no_others() {
    for kind in [("rmse", Linear, Label::Number), ("multiclass_log_loss", Linear, Label::Class)] {
        let world = World::new(kind, Shape { n_members: 70, n_rows: 400, ..SHAPE });
        let problem = world.problem(Domain::Simplex);
        let options = Options { replicates: 60, ..Options::default() };
        let outcome = search(&problem, &options, &control()).unwrap();
        let (weights, spread) = (outcome.weights.values(), outcome.spread.unwrap());
        assert_eq!((spread.len(), outcome.without.len(), outcome.spread_by), (70, 70, Some("bootstrap")));
        assert!(spread.iter().zip(weights).any(|(it, weight)| it.deviation > 0.0 && *weight > 0.0));
        let kept = (0..70).filter(|&member| weights[member] != 0.0);
        for member in kept.step_by(3) {
            let bounds = (0..70).map(|other| (0.0, if other == member { 0.0 } else { 1.0 })).collect();
            let limits = Limits { bounds, ..Limits::default() };
            let options = Options { limits, honest: false, ..Options::default() };
            let other = search(&problem, &options, &control()).unwrap().score;
            let without = outcome.without[member].unwrap();
            assert!((without.score - other).abs() < 1e-7 && without.refitted, "{member}: {} {other}", without.score);
        }
    }
}

//! What a board says of public scores, against the scores themselves: labels are made up here, so they are known.

use super::{Board, LbError, LbProblem, Method, Target, search};
use crate::{
    drive::Stop,
    random::Random,
    search::Options,
    testing::{Label, Shape, World, control},
};
use blend_core::{
    Block, Domain, Predictions, PublicLb, PublicPart, RowSet, ScoredFile, judge,
    metric::MetricSpec,
    output::Encoding,
    pool::Pool,
    space::SpaceName::{self, *},
    truth::LabelValues,
};

/// A world whose rows are the test rows of a leaderboard.
struct Contest {
    world: World,
    values: Vec<Block>,
    public: RowSet,
    spec: MetricSpec,
    decimals: u32,
    /// What labels that are numbers are multiplied by.
    size: f64,
}

const CANONICAL: [(&str, SpaceName, Label); 7] = [
    ("log_loss", Logit, Label::Binary),
    ("log_loss", Logit, Label::Soft),
    ("multiclass_log_loss", Log, Label::Class),
    ("kl_divergence", Log, Label::Shares),
    ("mse", Linear, Label::Number),
    ("rmse", Linear, Label::Number),
    ("rmsle", Log1p, Label::Positive),
];

impl Contest {
    fn new(kind: (&str, SpaceName, Label), n_rows: usize, share: f64, seed: u64) -> Self {
        let shape = Shape { n_members: 5, n_rows, seed, ..Shape::default() };
        let world = World::new(kind, shape);
        let set = RowSet::all(n_rows);
        let natural = |member: &Predictions<blend_core::Oof>| {
            let mut whole = Block::new(member.columns().len(), n_rows);
            let mut part = Block::default();
            for block in 0..set.n_blocks() {
                member.read_natural(block, set.block(block), &mut part);
                whole.put(set.offset(block), &part);
            }
            whole
        };
        let values = world.members.members().iter().map(natural).collect();
        let mut random = Random::new(seed ^ 99);
        let mask: Vec<bool> = (0..n_rows).map(|row| row == 0 || random.unit() < share).collect();
        let public = RowSet::from_mask(&mask).unwrap();
        let spec = MetricSpec { name: kind.0.to_owned(), ..MetricSpec::default() };
        Self { world, values, public, spec, decimals: 5, size: 1.0 }
    }

    fn actual(&self, values: &Block) -> f64 {
        let mut labels = self.world.truth.on(&self.public);
        if let LabelValues::Real(columns) = &mut labels.values {
            columns.iter_mut().flatten().for_each(|y| *y *= self.size);
        }
        let bound = self.world.metric.bind(labels).unwrap();
        judge::score(&*bound, &values.select(&self.public.iter().collect::<Vec<_>>()))
    }

    fn scored(&self, name: String, values: &Block) -> ScoredFile {
        let unit = 10f64.powi(self.decimals as i32);
        let score = (self.actual(values) * unit).round() / unit;
        ScoredFile { name, values: values.clone(), score, half_unit: 0.5 / unit }
    }

    fn lb(&self, known: bool, more: &[Block]) -> PublicLb {
        let part = if known {
            PublicPart::Known(self.public.clone())
        } else {
            PublicPart::Unknown { n_public: self.public.len() }
        };
        let files = self.values.iter().chain(more).enumerate().map(|(i, it)| self.scored(format!("f{i}"), it));
        PublicLb::new(self.public.n_total(), part, files.collect()).unwrap()
    }

    fn blend(&self, space: SpaceName, weights: &[f64]) -> Block {
        let weighted: Vec<_> = self.world.members.members().iter().zip(weights.iter().copied()).collect();
        Pool::new(&weighted, space, judge::Preparation::default()).whole(&RowSet::all(self.public.n_total()))
    }
}

fn simplex(n: usize, random: &mut Random) -> Vec<f64> {
    let raw: Vec<f64> = (0..n).map(|_| -blend_core::num::ln(random.unit())).collect();
    let total: f64 = raw.iter().sum();
    raw.iter().map(|w| w / total).collect()
}

#[test]
fn a_canonical_blend_is_predicted_to_the_rounding() {
    for kind in CANONICAL {
        let contest = Contest::new(kind, 700, 0.3, 11);
        let board = Board::new(&contest.lb(true, &[]), &contest.spec).unwrap();
        let mut random = Random::new(5);
        for _ in 0..40 {
            let blend = contest.blend(kind.1, &simplex(5, &mut random));
            let predicted = board.predict(&blend);
            let error = (predicted.score - contest.actual(&blend)).abs();
            assert_eq!(predicted.method, Method::Exact, "{kind:?}: {predicted:?}");
            assert!(error <= predicted.parts.rounding_bound * 1.01 + 1e-9, "{kind:?}: {error:e} of {predicted:?}");
            // Roots of mean squares: half a unit times a member's score over the blend's.
            assert!(
                predicted.parts.rounding_bound < if kind.0.starts_with("rms") { 2e-5 } else { 6e-6 },
                "{kind:?}: {predicted:?}"
            );
        }
    }
}

#[test]
fn weights_of_any_sum_are_predicted_for_log_losses() {
    for kind in &CANONICAL[..3] {
        let contest = Contest::new(*kind, 500, 0.4, 3);
        let board = Board::new(&contest.lb(true, &[]), &contest.spec).unwrap();
        let blend = contest.blend(kind.1, &[0.9, 0.6, -0.2, 0.3, 0.1]);
        let predicted = board.predict(&blend);
        let error = (predicted.score - contest.actual(&blend)).abs();
        assert!(error <= 2.1 * 5.1e-6, "{kind:?}: {error:e}, {predicted:?}");
    }
}

#[test]
fn unknown_public_rows_and_other_spaces_stay_within_their_errors() {
    // What is off, in standard errors, over many draws of public rows and labels.
    for (kind, space, method) in [
        (CANONICAL[0], Logit, Method::Identity),
        (CANONICAL[0], Linear, Method::Regression),
        (CANONICAL[2], Log, Method::Identity),
        (CANONICAL[2], Linear, Method::Regression),
        (CANONICAL[5], Linear, Method::Identity),
    ] {
        let (mut inside, mut all) = (0, 0);
        for seed in 0..30 {
            let contest = Contest::new(kind, 600, 0.25, 100 + seed);
            let board = Board::new(&contest.lb(false, &[]), &contest.spec).unwrap();
            let mut random = Random::new(seed);
            for _ in 0..5 {
                let blend = contest.blend(space, &simplex(5, &mut random));
                let predicted = board.predict(&blend);
                assert_eq!(predicted.method, method, "{kind:?} {predicted:?}");
                assert!(predicted.parts.public_rows > 0.0);
                let off = (predicted.score - contest.actual(&blend)).abs() / predicted.standard_error;
                inside += u32::from(off <= 2.0);
                all += 1;
            }
        }
        assert!(f64::from(inside) >= 0.85 * f64::from(all), "{kind:?} in {space:?}: {inside} of {all}");
    }
}

#[test]
fn blends_that_were_scored_are_equations() {
    // One member was never scored; a blend with it was.
    let contest = Contest::new(CANONICAL[0], 600, 0.5, 8);
    let blend = contest.blend(Logit, &[0.3, 0.0, 0.0, 0.0, 0.7]);
    let files = [&contest.values[0], &contest.values[1], &blend];
    let files = files.iter().enumerate().map(|(i, it)| contest.scored(format!("f{i}"), it)).collect();
    let lb = PublicLb::new(600, PublicPart::Known(contest.public.clone()), files).unwrap();
    let predicted = Board::new(&lb, &contest.spec).unwrap().predict(&contest.values[4]);
    assert_eq!(predicted.method, Method::Exact);
    // 1/0.7 of one score and 0.3/0.7 of another.
    let error = (predicted.score - contest.actual(&contest.values[4])).abs();
    assert!(error <= 5e-6 * 13.0 / 7.0 * 1.01, "{error:e}");
    assert!((predicted.parts.rounding_bound / (5e-6 * 13.0 / 7.0) - 1.0).abs() < 0.01, "{predicted:?}");
}

#[test]
fn blends_of_stored_members_are_equations_of_squares() {
    // What is stored is what was sent, in single precision; what was scored are blends of it, and one file.
    for (kind, size) in
        [(CANONICAL[4], 1.0), (CANONICAL[5], 1.0), (CANONICAL[6], 1.0), (CANONICAL[4], 150.0), (CANONICAL[5], 150.0)]
    {
        let mut contest = Contest::new(kind, 600, 0.5, 8);
        contest.size = size;
        let stored = |x: f64| f64::from((x * size) as f32);
        contest.values.iter_mut().flat_map(|values| values.values_mut()).for_each(|x| *x = stored(*x));
        let mixed = |weights: [f64; 5]| {
            let enter = |values: &Block| {
                let mut values = values.clone();
                let numbers = Encoding::plain(blend_core::OutputKind::Value);
                kind.1.get().enter(numbers, judge::Preparation::default(), &mut values);
                values
            };
            let entered: Vec<Block> = contest.values.iter().map(enter).collect();
            let mut blend = super::identity::mix(&entered, &weights);
            kind.1.get().leave(&mut blend);
            // A file has some digits, and not all.
            blend.values_mut().iter_mut().for_each(|x| *x = (*x * 1e6).round() / 1e6);
            blend
        };
        let files = [
            mixed([1.0, 0.0, 0.0, 0.0, 0.0]),
            mixed([0.5, 0.5, 0.0, 0.0, 0.0]),
            mixed([0.2, 0.3, 0.5, 0.0, 0.0]),
            mixed([0.2, 0.2, 0.2, 0.4, 0.0]),
            mixed([0.2; 5]),
            mixed([0.1, 0.2, 0.4, 0.2, 0.1]),
        ];
        let files = files.iter().enumerate().map(|(i, it)| contest.scored(format!("f{i}"), it)).collect();
        let lb = PublicLb::new(600, PublicPart::Known(contest.public.clone()), files).unwrap();
        let board = Board::new(&lb, &contest.spec).unwrap();
        for values in contest.values.iter().chain(&[mixed([0.05, 0.15, 0.25, 0.35, 0.2])]) {
            let predicted = board.predict(values);
            let error = (predicted.score - contest.actual(values)).abs();
            assert!(predicted.is_told(), "{kind:?} {size}: {predicted:?}");
            let allowed = predicted.parts.rounding_bound + 5.0 * predicted.parts.regression;
            assert!(error <= allowed, "{kind:?} {size}: {error:e} of {predicted:?}");
            // Digits that are missing of large numbers can be more than five decimals of a score.
            if size == 1.0 {
                assert_eq!(predicted.method, Method::Exact, "{kind:?}: {predicted:?}");
            }
        }
    }
}

#[test]
fn the_best_is_certified_and_truly_best() {
    for kind in CANONICAL {
        let mut contest = Contest::new(kind, 800, 0.5, 21);
        contest.decimals = 9;
        let lb = contest.lb(true, &[]);
        let names = contest.world.members.members().iter().map(|member| member.model().clone());
        let members: Vec<_> = names.zip(contest.values.iter().cloned()).collect();
        let problem = LbProblem {
            members: &members,
            encoding: Encoding::plain(contest.world.members.members()[0].encoding().kind),
            lb: &lb,
            spec: &contest.spec,
            space: kind.1,
            domain: Domain::Simplex,
            oof: None,
            target: Target::Lb,
        };
        let found = search(&problem, &Options::default(), &control()).unwrap();
        assert!(matches!(found.stop, Stop::Certified { gap } if gap < 1e-9), "{kind:?}: {found:?}");
        let actual = contest.actual(&contest.blend(kind.1, found.weights.values()));
        assert!((actual - found.predicted.score).abs() < 2e-9, "{kind:?}: {actual} {found:?}");
        let mut random = Random::new(1);
        for _ in 0..200 {
            let other = contest.actual(&contest.blend(kind.1, &simplex(5, &mut random)));
            assert!(other >= actual - 5e-9, "{kind:?}: {other} is better than {actual}");
        }
        assert!(found.single_best.1.score >= found.predicted.score - 1e-9);
        assert!(found.equal_weights.score >= found.predicted.score - 1e-9);
    }
}

#[test]
fn pooling_goes_from_cv_to_lb() {
    for kind in [CANONICAL[0], CANONICAL[4], CANONICAL[5], CANONICAL[6]] {
        pooling(kind);
    }
}

fn pooling(kind: (&str, SpaceName, Label)) {
    let contest = Contest::new(kind, 400, 0.5, 4);
    let lb = contest.lb(true, &[]);
    let names = contest.world.members.members().iter().map(|member| member.model().clone());
    let members: Vec<_> = names.zip(contest.values.iter().cloned()).collect();
    // Other rows of the same members stand for out-of-fold ones.
    let oof = contest.world.problem(Domain::Simplex);
    let run = |target| {
        let problem = LbProblem {
            members: &members,
            encoding: Encoding::plain(contest.world.members.members()[0].encoding().kind),
            lb: &lb,
            spec: &contest.spec,
            space: kind.1,
            domain: Domain::Simplex,
            oof: Some(oof),
            target,
        };
        search(&problem, &Options::default(), &control()).unwrap()
    };
    let pooled = |kappa| run(Target::Pooled { kappa });
    let (cv, middle, lb_only) = (pooled(0.0), pooled(1.0), run(Target::Lb));
    let almost = pooled(1e9);
    for found in [&cv, &middle, &lb_only] {
        assert!(matches!(found.stop, Stop::Certified { .. }), "{kind:?}: {found:?}");
    }
    for (a, b) in almost.weights.values().iter().zip(lb_only.weights.values()) {
        assert!((a - b).abs() < 1e-3, "{:?} {:?}", almost.weights, lb_only.weights);
    }
    let [cv, middle, lb_only] = [&cv, &middle, &lb_only].map(|it| (it.cv.unwrap(), it.predicted.score));
    assert!(cv.0 <= middle.0 + 1e-12 && middle.0 <= lb_only.0 + 1e-12, "{cv:?} {middle:?} {lb_only:?}");
    assert!(cv.1 >= middle.1 - 1e-9 && middle.1 >= lb_only.1 - 1e-9, "{cv:?} {middle:?} {lb_only:?}");
}

#[test]
fn scores_that_cannot_be_are_refused() {
    let with = |kind, change: &dyn Fn(&mut Vec<ScoredFile>)| {
        let contest = Contest::new(kind, 300, 0.5, 6);
        let lb = contest.lb(true, &[]);
        let mut files = lb.files().to_vec();
        change(&mut files);
        let lb = PublicLb::new(lb.n_rows(), lb.part().clone(), files).unwrap();
        Board::new(&lb, &contest.spec).err()
    };
    for kind in CANONICAL {
        assert_eq!(with(kind, &|_| {}), None);
    }
    let (binary, classes, rmse) = (CANONICAL[0], CANONICAL[2], CANONICAL[5]);
    for kind in [binary, classes] {
        assert!(matches!(with(kind, &|files| files[1].score = 1e-4), Some(LbError::Impossible { .. })), "{kind:?}");
        assert!(matches!(with(kind, &|files| files[1].score = 90.0), Some(LbError::Impossible { .. })), "{kind:?}");
    }
    let pair = with(rmse, &|files| files[1].score += 9.0);
    assert!(matches!(pair, Some(LbError::ImpossiblePair { .. })), "{pair:?}");
    // Each score is possible, and each pair, but not all of them together.
    let all = with(rmse, &|files| files.iter_mut().for_each(|file| file.score *= 0.45));
    assert!(matches!(all, Some(LbError::BelowZero(_))), "{all:?}");
}

#[test]
fn boards_have_the_same_bits_on_any_number_of_threads() {
    let contest = Contest::new(CANONICAL[2], 5000, 0.5, 6);
    let lb = contest.lb(false, &[]);
    let run = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| Board::new(&lb, &contest.spec).unwrap().predict(&contest.blend(Linear, &[0.2; 5])))
    };
    let one = run(1);
    for threads in [2, 16] {
        let other = run(threads);
        assert_eq!(one.score.to_bits(), other.score.to_bits());
        assert_eq!(one.standard_error.to_bits(), other.standard_error.to_bits());
    }
}

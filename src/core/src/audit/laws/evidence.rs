//! A small world with labels, in which models are honest estimates of known rates, and faults that only show beside
//! labels, other models or records.

use super::{File, N_ROWS, clean, context, counts, id, names, noise, store};
use crate::{
    audit::{Changed, Evidence, Finding, FoldMap, Judgement, Part, Public, Severity, State, run},
    fingerprint::Fingerprint,
    folds::Folds,
    id::ModelId,
    manifest::Claimed,
    metric::{self, MetricSpec},
    num,
    output::{Encoding, OutputKind},
    prediction::{PredictionMatrix, Predictions, Split},
    rows::RowIndex,
    scope::RowSet,
    source::OwnedBlocks,
    space::SpaceName,
    survey::{Ground, Parts, survey},
    truth::{LabelValues, Labels, Truth},
};
use std::{collections::BTreeSet, sync::Arc};

const MODELS: [&str; 6] = ["ada", "bea", "cyd", "dot", "eve", "fay"];

struct World {
    files: Vec<File>,
    labels: LabelValues,
    metric: &'static str,
    counts: fn(usize) -> bool,
    claims: Vec<(&'static str, f64)>,
    public: Vec<(&'static str, f64)>,
    changed: Vec<Changed>,
    fold_maps: Vec<FoldMap>,
    zero_rows: Option<Vec<bool>>,
}

fn model(name: &str) -> ModelId {
    ModelId::new(name).unwrap()
}

/// Log odds that a row's label is drawn from.
fn log_odds(part: Part, column: usize, row: usize) -> f64 {
    5.0 * (noise(if part == Part::Oof { 200 } else { 201 }, column, row) - 0.5)
}

fn label(column: usize, row: usize) -> u8 {
    u8::from(counts(row) && noise(202, column, row) < num::sigmoid(log_odds(Part::Oof, column, row)))
}

/// An estimate of the rates with an error of its own; rows that do not count are known to be 0.
fn estimate(name: &'static str, number: usize, part: Part) -> File {
    let mut file = clean(name, number, OutputKind::Probability, part);
    for (c, column) in file.values.iter_mut().enumerate() {
        for (row, p) in column.iter_mut().enumerate() {
            let error = 2.0 * (noise(210 + 2 * number + usize::from(part == Part::Oof), c, row) - 0.5);
            *p = num::sigmoid(log_odds(part, c, row) + error);
            if part == Part::Oof && !counts(row) {
                *p = 0.01;
            }
        }
    }
    file
}

fn binary() -> World {
    let names = MODELS.iter().copied().chain(["bad"]).enumerate();
    let columns = (0..3).map(|c| (0..N_ROWS).map(|row| label(c, row)).collect()).collect();
    World {
        files: names.flat_map(|(i, name)| [estimate(name, i, Part::Oof), estimate(name, i, Part::Test)]).collect(),
        labels: LabelValues::Binary(columns),
        metric: "log_loss",
        counts,
        claims: Vec::new(),
        public: Vec::new(),
        changed: Vec::new(),
        fold_maps: Vec::new(),
        zero_rows: None,
    }
}

/// Directions that models know with an error of their own.
fn directions() -> World {
    let truth = |row: usize| {
        crate::truth::direction(std::f64::consts::TAU * noise(300, 0, row), std::f64::consts::PI * noise(300, 1, row))
    };
    let names = MODELS.iter().copied().chain(["bad"]).enumerate();
    let file = |(i, name)| {
        let mut file = clean(name, i, OutputKind::Vector, Part::Oof);
        for (c, column) in file.values.iter_mut().enumerate() {
            column.iter_mut().enumerate().for_each(|(row, x)| *x = truth(row)[c] + noise(310 + i, c, row) - 0.5);
        }
        file
    };
    let labels = LabelValues::Directions((0..N_ROWS).map(truth).collect());
    World { files: names.map(file).collect(), labels, metric: "angular_error", ..binary() }
}

impl World {
    fn bad(&mut self, part: Part) -> &mut File {
        self.files.iter_mut().find(|file| file.name == "bad" && file.part == part).unwrap()
    }

    /// The complete files of a part as predictions.
    fn matrix<S: Split>(&self, part: Part, rows: &RowIndex, set: &RowSet) -> PredictionMatrix<S> {
        let files = self.files.iter().filter(|file| file.part == part);
        let mut members: Vec<Predictions<S>> = Vec::new();
        for file in files {
            let values = Arc::new(OwnedBlocks::F64(file.values.clone()));
            let encoding = Encoding::plain(file.kind);
            let print = Fingerprint::of(format!("{} {}", file.content, part.name()).as_bytes());
            let columns: Arc<[String]> = file.columns.clone().into();
            if !members.iter().any(|member| member.fingerprint() == print) {
                members.push(
                    Predictions::new(model(file.name), rows.clone(), columns, encoding, values, print, set).unwrap(),
                );
            }
        }
        PredictionMatrix::new(members).unwrap()
    }

    fn findings(&self) -> Vec<Finding> {
        let rows = |part| RowIndex::from_texts((0..N_ROWS).map(|row| id(part, row))).unwrap();
        let (oof_rows, test_rows) = (rows(Part::Oof), rows(Part::Test));
        let spec = MetricSpec { name: self.metric.to_owned(), ..MetricSpec::default() };
        let metric = metric::build(&spec).unwrap();
        let labels = Labels { values: self.labels.clone(), weights: None };
        let names = ["x", "y", "z"].map(str::to_owned).to_vec();
        let truth = Truth::new(oof_rows.clone(), names, labels).unwrap();
        let set = RowSet::all(N_ROWS).filter(self.counts).unwrap();
        let folds = Folds::new(oof_rows.clone(), (0..N_ROWS as i64).map(|row| row % 4).collect()).unwrap();
        let part = |n: u32| Parts {
            names: (0..n).map(|name| name.to_string()).collect(),
            of: set.iter().map(|row| row as u32 % n).collect(),
        };
        let space = if self.metric == "log_loss" { SpaceName::Linear } else { SpaceName::UnitVector };
        let ground =
            Ground { metric: &*metric, space, truth: &truth, rows: &set, folds: Some(part(4)), groups: Some(part(2)) };
        let oof = self.matrix(Part::Oof, &oof_rows, &set);
        let has_tests = self.files.iter().any(|file| file.part == Part::Test);
        let test = has_tests.then(|| self.matrix(Part::Test, &test_rows, &RowSet::all(N_ROWS)));
        let survey = survey(&ground, &oof, test.as_ref());
        let own = |name: &str| {
            let at = survey.models.iter().position(|it| it.as_str() == name).unwrap();
            survey.scores[at].overall.unwrap()
        };
        let claim = |(name, factor): &(&'static str, f64)| {
            (model(name), Claimed { score: (own(name) * factor * 1e6).round() / 1e6, scope: String::new() })
        };
        let public = |(name, more): &(&'static str, f64)| Public {
            model: model(name),
            score: own(name) + 0.02 + more,
            rounding: 5e-6,
        };
        let evidence = Evidence {
            judgement: Some(Judgement::new(&*metric, &spec, &truth, &set, Some(&folds)).unwrap()),
            survey: Some(&survey),
            claims: self.claims.iter().map(claim).collect(),
            public: self.public.iter().map(public).collect(),
            changed: self.changed.clone(),
            fold_maps: self.fold_maps.clone(),
            zero_rows: self.zero_rows.clone(),
        };
        let wanted = context(vec![]);
        let oof = super::Wanted { scope: set.clone(), ..wanted.wanted(Part::Oof).unwrap().clone() };
        let stored = self.files.iter().cloned().map(|file| store(file, None)).collect();
        let it = super::Context::new(Some(oof), wanted.wanted(Part::Test).cloned(), stored);
        run(&it.with(evidence))
    }
}

fn planted(mut world: World, damage: impl FnOnce(&mut World)) -> Vec<Finding> {
    damage(&mut world);
    world.findings()
}

#[test]
fn a_clean_world_is_silent() {
    assert_eq!(directions().findings(), []);
    let findings = planted(binary(), |world| {
        world.claims = vec![("ada", 1.0), ("bad", 1.0)];
        // Public scores that are off by as much as scores are.
        world.public =
            MODELS.iter().copied().chain(["bad"]).enumerate().map(|(i, name)| (name, 1e-3 * i as f64)).collect();
        world.zero_rows = Some((0..N_ROWS).map(|row| row % 9 == 0).collect());
        let print = Fingerprint::of(b"map");
        world.fold_maps =
            vec![FoldMap { model: model("bad"), place: String::new(), recorded: print, competition: print, own: true }];
    });
    assert_eq!(findings, []);
}

#[test]
fn a_model_that_knows_nothing_has_no_frame() {
    for seed in 0..20 {
        let findings = planted(directions(), |world| {
            for (c, column) in world.bad(Part::Oof).values.iter_mut().enumerate() {
                column.iter_mut().enumerate().for_each(|(row, x)| *x = noise(900 + seed, c, row) - 0.5);
            }
        });
        assert!(findings.iter().all(|finding| finding.check != "frame"), "{findings:?}");
    }
}

#[test]
fn what_is_not_known_is_not_checked() {
    let stored = binary().files.into_iter().map(|file| store(file, None)).collect();
    assert_eq!(run(&context(stored).with(Evidence::default())), []);
}

/// Plants a fault for every check that needs evidence; adds the checks that named theirs.
pub(super) fn plant(found: &mut BTreeSet<String>) {
    use Severity::{Fault, Note, Warning};
    let (oof, test) = (Part::Oof, Part::Test);
    let counted = (0..N_ROWS).filter(|row| counts(*row)).count();
    let mut named = BTreeSet::from(["redundant".to_owned(), "few_rows".to_owned()]);
    let mut law = |world: World, damage: &dyn Fn(&mut World), check, severity, count, words: &[&str]| {
        named.insert(names(&planted(world, damage), check, severity, count, words));
    };

    let changed = |what, state| {
        move |world: &mut World| {
            let place = "models/c/bad/graph.onnx".to_owned();
            world.changed = vec![Changed { model: model("bad"), what, place, state }];
        }
    };
    law(
        binary(),
        &changed("graph", State::Differs),
        "stale",
        Fault,
        1,
        &["bad/graph.onnx", "the graph changed since", "predict bad"],
    );
    law(binary(), &changed("graph", State::Absent), "stale", Warning, 1, &["cannot be found"]);
    law(binary(), &changed("imported file", State::SourceDiffers), "stale", Note, 1, &["imported file has changed"]);
    let map = |own| {
        move |world: &mut World| {
            let place = "models/c/bad/run.yaml".to_owned();
            let prints = [Fingerprint::of(b"a"), Fingerprint::of(b"b")];
            world.fold_maps =
                vec![FoldMap { model: model("bad"), place, recorded: prints[0], competition: prints[1], own }];
        }
    };
    law(binary(), &map(false), "folds", Warning, 1, &["bad/run.yaml", "made with fold map", "changed since"]);
    law(binary(), &map(true), "folds", Note, 1, &["may be blended"]);

    let values = |part: Part, change: fn(usize, usize, f64) -> f64| {
        move |world: &mut World| {
            for (c, column) in world.bad(part).values.iter_mut().enumerate() {
                column.iter_mut().enumerate().for_each(|(row, x)| *x = change(c, row, *x));
            }
        }
    };
    let twin = |world: &mut World| {
        let own = world.files[0].values.clone();
        let nearly = |(c, column): (usize, Vec<f64>)| {
            column.iter().enumerate().map(|(row, p)| p + 0.002 * noise(400, c, row)).collect()
        };
        world.bad(oof).values = own.into_iter().enumerate().map(nearly).collect();
    };
    let alike = planted(binary(), twin);
    let of = |check: &str| alike.iter().find(|finding| finding.check == check).expect("found").clone();
    assert!(of("redundant").cause.contains("`ada`, `bad` are alike"), "{alike:?}");
    assert_eq!((of("redundant").severity, of("redundant").count), (Note, 2));

    let random = values(oof, |c, row, _| 0.02 + 0.96 * noise(401, c, row));
    law(binary(), &random, "hurts", Note, 4, &["better by", "each of 4 parts"]);
    law(binary(), &random, "baseline", Warning, counted, &["worse than a constant"]);
    law(binary(), &random, "row_order", Warning, N_ROWS, &["unrelated to the truth", "another order"]);
    let timid = values(oof, |c, row, _| 0.5 + 0.05 * (noise(401, c, row) - 0.5));
    law(binary(), &timid, "row_order", Note, N_ROWS, &["hardly different from row to row", "stopped early"]);
    let inverted = values(oof, |_, _, p| 1.0 - p);
    law(binary(), &inverted, "baseline", Fault, counted, &["worse than a constant", "inverted", "import 1 - p"]);
    let sharpened = values(oof, |_, _, p| num::sigmoid(4.0 * num::ln(p / (1.0 - p))));
    law(binary(), &sharpened, "calibration", Note, 10, &["too sure of itself", "slope 0."]);
    let flattened = values(oof, |_, _, p| num::sigmoid(0.3 * num::ln(p / (1.0 - p))));
    law(binary(), &flattened, "calibration", Note, 10, &["too timid"]);

    let wrong = values(oof, |c, row, p| if row % 500 == 1 && label(c, row) == 1 { 0.0 } else { p });
    let n_wrong = (0..3).flat_map(|c| (0..N_ROWS).map(move |row| (c, row)));
    let n_wrong = n_wrong.filter(|(c, row)| row % 500 == 1 && label(*c, *row) == 1 && counts(*row)).count();
    assert!(n_wrong > 1);
    law(
        binary(),
        &wrong,
        "saturation",
        Warning,
        n_wrong,
        &["0 where the label says the opposite", "certain and wrong"],
    );
    let cut = |world: &mut World| {
        world.bad(test).kind = OutputKind::Logit;
        world.bad(test).values.iter_mut().flatten().for_each(|p| *p = num::ln(*p / (1.0 - *p)).clamp(-9.0, 1.5));
    };
    let n_cut = {
        let mut world = binary();
        cut(&mut world);
        world.bad(test).values.iter().flatten().filter(|x| **x == 1.5).count()
    };
    law(binary(), &cut, "saturation", Warning, n_cut, &["1.5 is the extreme", "cut off"]);
    let halved = values(test, |_, _, p| f64::from_bits(p.to_bits() & !((1 << 42) - 1)));
    law(binary(), &halved, "saturation", Note, N_ROWS, &["half precision"]);

    let filled = values(oof, |_, row, p| if (40..43).contains(&row) { 0.0 } else { p });
    law(binary(), &filled, "zero_rows", Fault, 3, &["row `oof_40`", "0 in all 3 outputs"]);
    let half_marked = |world: &mut World| {
        world.zero_rows = Some((0..N_ROWS).map(|row| row < 10).collect());
        world.bad(test).values.iter_mut().for_each(|column| column[..4].fill(0.0));
    };
    law(binary(), &half_marked, "zero_rows", Note, 6, &["6 rows of 10", "row `test_4`"]);

    let swapped = |world: &mut World| world.bad(oof).values.swap(0, 2);
    law(binary(), &swapped, "columns", Fault, 2, &["`x` and `z` look exchanged", "--columns"]);
    let turned = |world: &mut World| world.bad(oof).values.swap(0, 1);
    law(directions(), &turned, "frame", Fault, counted, &["read as (y, x, z)", "frame: yxz"]);
    let mirrored = values(oof, |c, _, x| if c == 2 { -x } else { x });
    law(directions(), &mirrored, "frame", Fault, counted, &["read as (x, y, -z)", "cos ze"]);

    let labels = values(oof, |c, row, _| f64::from(label(c, row)));
    law(binary(), &labels, "leak", Fault, 1, &["the predictions are the labels"]);
    let seen = values(oof, |c, row, p| 0.6 * p + 0.4 * f64::from(label(c, row)));
    law(binary(), &seen, "leak", Warning, 1, &["far ahead of the other 6 models"]);
    let one_fold = values(oof, |c, row, p| if row % 4 == 2 { 0.5 * p + 0.5 * f64::from(label(c, row)) } else { p });
    let in_fold = planted(binary(), one_fold);
    assert!(in_fold.iter().any(|it| it.check == "leak" && it.cause.contains("fold 2 scores")), "{in_fold:?}");
    let groups = values(oof, |c, row, p| {
        if row % 2 == 0 { 0.5 * p + 0.5 * f64::from(label(c, row)) } else { 0.5 * p + 0.5 * noise(402, c, row) }
    });
    law(
        binary(),
        &groups,
        "groups",
        Warning,
        (0..N_ROWS).filter(|row| counts(*row) && row % 2 == 1).count(),
        &["group `1`"],
    );

    let with_public = |more: f64| {
        move |world: &mut World| {
            world.public = MODELS.iter().copied().enumerate().map(|(i, name)| (name, 1e-3 * i as f64)).collect();
            world.public.push(("bad", more));
        }
    };
    law(binary(), &with_public(0.1), "public", Warning, 1, &["worse by", "the other models let expect"]);
    let twice = |world: &mut World| {
        with_public(0.0)(world);
        world.bad(test).content = "ada";
    };
    law(binary(), &twice, "public", Fault, 2, &["`ada` has the same test outputs"]);

    let claimed = |factor: f64| move |world: &mut World| world.claims = vec![("bad", factor)];
    law(binary(), &claimed(0.75), "claim", Note, 1, &["the sum over 3 columns divided by 4"]);
    let share = counted as f64 / N_ROWS as f64;
    law(binary(), &claimed(share), "claim", Note, 1, &["those outside the scope with no loss"]);
    law(binary(), &claimed(0.75 * share), "claim", Note, 1, &["with no loss, the sum over 3 columns divided by 4"]);
    law(binary(), &claimed(0.611), "claim", Warning, 1, &["none of", "other conventions"]);

    let shifted = values(test, |_, _, p| num::sigmoid(num::ln(p / (1.0 - p)) + 2.0));
    law(binary(), &shifted, "drift", Warning, 3, &["distributed otherwise than the OOF outputs", "test.feather"]);

    let reversed =
        |part: Part| move |world: &mut World| world.bad(part).values.iter_mut().for_each(|column| column.reverse());
    law(binary(), &reversed(oof), "row_order", Fault, N_ROWS, &["unrelated", "in reverse", "by id", "--rows FILE"]);
    law(binary(), &reversed(test), "row_order", Fault, N_ROWS, &["test.feather", "in reverse"]);
    let by_text = |world: &mut World| {
        let mut order: Vec<usize> = (0..N_ROWS).collect();
        order.sort_by_key(|row| id(oof, *row));
        for column in &mut world.bad(oof).values {
            *column = order.iter().map(|&row| column[row]).collect();
        }
    };
    law(binary(), &by_text, "row_order", Fault, N_ROWS, &["ids sorted as text"]);
    let moved_ids = |world: &mut World| world.bad(oof).ids.rotate_left(1234);
    law(binary(), &moved_ids, "row_order", Fault, N_ROWS, &["by position, whatever their ids say"]);

    let few = |world: &mut World| world.counts = |row| row % 170 == 1;
    let few = planted(binary(), few);
    let few = few.iter().find(|finding| finding.check == "few_rows").expect("found");
    assert_eq!((few.severity, few.count, few.model.as_ref()), (Warning, 7, None));
    assert!(few.cause.contains("30 rows for 7 models"), "{few:?}");
    found.extend(named);
}

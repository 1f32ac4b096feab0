//! Every check of the catalogue obeys these: silent on clean data, it names what was planted, and what it says has a
//! place, a cause and a hint.

use super::{CATALOGUE, Context, Finding, Part, Severity, Stored, Wanted, run};
use crate::{
    fingerprint::Fingerprint,
    id::ModelId,
    output::{Encoding, OutputKind},
    rows::RowIndex,
    scope::RowSet,
    source::{BlockSource, OwnedBlocks, Slice},
};
use std::{collections::BTreeSet, sync::Arc};

/// Checks that need more than the files.
mod evidence;

const N_ROWS: usize = 5000;

/// One model's file before it is stored.
#[derive(Clone)]
struct File {
    name: &'static str,
    part: Part,
    ids: Vec<String>,
    columns: Vec<String>,
    kind: OutputKind,
    values: Vec<Vec<f64>>,
    content: &'static str,
}

/// A number in (0, 1) that looks random.
fn noise(model: usize, column: usize, row: usize) -> f64 {
    // splitmix64
    let seed = ((model * 16 + column) * 65_536 + row) as u64;
    let mut z = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    (((z ^ (z >> 31)) >> 11) as f64 + 0.5) / (1_u64 << 53) as f64
}

fn id(part: Part, row: usize) -> String {
    format!("{}_{row}", part.name())
}

/// Every eleventh row does not count.
fn counts(row: usize) -> bool {
    row % 11 != 3
}

fn clean(name: &'static str, model: usize, kind: OutputKind, part: Part) -> File {
    let mut values: Vec<Vec<f64>> = (0..3).map(|c| (0..N_ROWS).map(|row| noise(model, c, row)).collect()).collect();
    let sum = |row: usize| -> f64 { (0..3).map(|c| noise(model, c, row)).sum() };
    let encode = |x: f64, row: usize| match kind {
        OutputKind::Probability => x,
        OutputKind::ClassProbabilities => x / sum(row),
        OutputKind::Label => (6.0 * x).floor(),
        _ => 8.0 * x - 4.0,
    };
    values.iter_mut().for_each(|column| column.iter_mut().enumerate().for_each(|(row, x)| *x = encode(*x, row)));
    if part == Part::Oof {
        // What does not count may be anything.
        (0..N_ROWS).filter(|row| !counts(*row)).for_each(|row| values[1][row] = f64::NAN);
    }
    let ids = (0..N_ROWS).map(|row| id(part, row)).collect();
    let columns = ["x", "y", "z"].map(str::to_owned).to_vec();
    File { name, part, ids, columns, kind, values, content: name }
}

fn store(file: File, source: Option<Arc<dyn BlockSource>>) -> Stored {
    Stored {
        model: ModelId::new(file.name).unwrap(),
        part: file.part,
        place: format!("models/c/{}/{}.feather", file.name, file.part.name()),
        rows: RowIndex::from_texts(file.ids).unwrap(),
        columns: file.columns,
        encoding: Encoding::plain(file.kind),
        values: source.unwrap_or_else(|| Arc::new(OwnedBlocks::F64(file.values))),
        fingerprint: Fingerprint::of(format!("{} {}", file.content, file.part.name()).as_bytes()),
    }
}

fn context(stored: Vec<Stored>) -> Context<'static> {
    let wanted = |part: Part, scope: RowSet| Wanted {
        rows: RowIndex::from_texts((0..N_ROWS).map(|row| id(part, row))).unwrap(),
        scope,
        columns: ["x", "y", "z"].map(str::to_owned).into(),
    };
    let in_scope = RowSet::all(N_ROWS).filter(counts).unwrap();
    Context::new(Some(wanted(Part::Oof, in_scope)), Some(wanted(Part::Test, RowSet::all(N_ROWS))), stored)
}

/// One clean model of every kind, both parts.
fn clean_files() -> Vec<File> {
    let kinds = [
        ("good-p", OutputKind::Probability),
        ("good-c", OutputKind::ClassProbabilities),
        ("good-l", OutputKind::Logit),
        ("good-cl", OutputKind::ClassLogits),
        ("good-v", OutputKind::Value),
        ("good-n", OutputKind::Vector),
        ("good-b", OutputKind::Label),
        ("good-r", OutputKind::Rank),
    ];
    let files = kinds.into_iter().enumerate();
    files
        .flat_map(|(i, (name, kind))| [clean(name, 2 * i, kind, Part::Oof), clean(name, 2 * i + 1, kind, Part::Test)])
        .collect()
}

/// What is found in a damaged copy of a clean model beside all the clean ones.
fn planted(kind: OutputKind, part: Part, damage: impl FnOnce(&mut File)) -> Vec<Finding> {
    let mut file = clean("bad", 100, kind, part);
    damage(&mut file);
    let files = clean_files().into_iter().chain([file]);
    run(&context(files.map(|file| store(file, None)).collect()))
}

/// That the first finding is `check`'s about `bad`, says the words, and that every finding can be acted on.
#[track_caller]
fn names(findings: &[Finding], check: &str, severity: Severity, count: usize, words: &[&str]) -> String {
    for finding in findings {
        let entry = CATALOGUE.iter().find(|entry| entry.name == finding.check).expect("a check of the catalogue");
        assert!(entry.severities.contains(&finding.severity), "{finding:?}");
        assert_eq!(finding.model.as_ref().map(ModelId::as_str), Some("bad"), "{finding:?}");
        assert!(finding.place.starts_with("models/c/bad/"), "{finding:?}");
        assert!(!finding.cause.is_empty() && !finding.hint.is_empty() && finding.count > 0, "{finding:?}");
    }
    let found = findings.iter().find(|f| f.check == check).unwrap_or_else(|| panic!("not found: {findings:?}"));
    assert_eq!((found.severity, found.count), (severity, count), "{found:?}");
    let text = format!("{} {} {}", found.place, found.cause, found.hint);
    words.iter().for_each(|word| assert!(text.contains(word), "`{word}` is not in: {text}"));
    check.to_owned()
}

/// The row that is number `i` among those that count.
fn counted(i: usize) -> usize {
    (0..N_ROWS).filter(|row| counts(*row)).nth(i).unwrap()
}

#[test]
fn clean_data_is_silent() {
    let findings = run(&context(clean_files().into_iter().map(|file| store(file, None)).collect()));
    assert_eq!(findings, []);
    // Where nothing is known of a part, every row counts.
    let files = clean_files().into_iter().filter(|file| file.part == Part::Test);
    assert_eq!(run(&Context::new(None, None, files.map(|file| store(file, None)).collect())), []);
    assert_eq!(run(&Context::new(None, None, vec![])), []);
}

#[test]
fn each_planted_fault_is_named_and_every_check_has_one() {
    use OutputKind::{ClassLogits, ClassProbabilities, Label, Logit, Probability, Value, Vector};
    use Severity::{Fault, Note, Warning};
    let (oof, test) = (Part::Oof, Part::Test);
    let mut found = BTreeSet::new();
    let mut law = |kind, part, damage: fn(&mut File), check, severity, count, words: &[&str]| {
        found.insert(names(&planted(kind, part, damage), check, severity, count, words));
    };

    let swap: fn(&mut File) = |f| f.columns.swap(0, 1);
    law(Vector, oof, swap, "shape", Fault, 2, &["column `y`", "another order", "`x` is wanted"]);
    let rename: fn(&mut File) = |f| f.columns[2] = "w".to_owned();
    law(Value, test, rename, "shape", Fault, 2, &["1 missing (first `z`)", "1 unknown (first `w`)"]);
    let drop_column: fn(&mut File) = |f| drop((f.columns.pop(), f.values.pop()));
    law(Vector, oof, drop_column, "shape", Fault, 2, &["2 columns for vectors"]);
    let twice: fn(&mut File) = |f| {
        f.columns.push("x".to_owned());
        f.values.push(f.values[0].iter().map(|x| x * x).collect());
    };
    law(Value, oof, twice, "shape", Fault, 1, &["3 columns wanted, 4 there", "stands twice"]);
    let short: fn(&mut File) = |f| f.values.iter_mut().for_each(|c| c.truncate(N_ROWS - 100));
    law(Value, oof, short, "shape", Fault, 100, &["4,900 rows of values for 5,000 ids"]);
    let unnamed: fn(&mut File) = |f| drop(f.values.pop());
    law(Value, oof, unnamed, "shape", Fault, 1, &["2 columns of values under 3 names"]);

    fn lose(f: &mut File, row: usize) {
        f.ids.remove(row);
        for column in &mut f.values {
            column.remove(row);
        }
    }
    let lost: fn(&mut File) = |f| lose(f, 7);
    law(Probability, oof, lost, "alignment", Fault, 1, &["oof.feather, row `oof_7`", "1 row of the truth missing"]);
    let lost_beyond: fn(&mut File) = |f| lose(f, 3);
    law(Probability, oof, lost_beyond, "alignment", Note, 1, &["none of which counts"]);
    let reordered: fn(&mut File) = |f| {
        f.ids.reverse();
        f.values.iter_mut().for_each(|c| c.reverse());
    };
    law(Probability, oof, reordered, "alignment", Note, 5000, &["another order than the truth", "lined up by id"]);
    let extra: fn(&mut File) = |f| f.ids[3] = "stranger".to_owned();
    law(Value, oof, extra, "alignment", Fault, 1, &["row `stranger`", "the truth does not have"]);
    let exchanged: fn(&mut File) = |f| f.ids = (0..N_ROWS).map(|row| id(Part::Test, row)).collect();
    law(Value, oof, exchanged, "alignment", Fault, 5000, &["all ids are those of the test rows", "exchanged"]);
    let numbered: fn(&mut File) = |f| f.ids = (0..N_ROWS).map(|row| row.to_string()).collect();
    law(Value, test, numbered, "alignment", Fault, 5000, &["ids as `0`, wanted as `test_0`", "--rows"]);

    let holes: fn(&mut File) = |f| {
        f.values[2][counted(4500)] = f64::NAN;
        f.values[2][counted(4501)] = f64::INFINITY;
        f.values[0][counted(9)] = f64::NEG_INFINITY;
    };
    let words = ["column `x`, row `oof_9`", "-inf", "3 values in 2 columns"];
    let words = words.map(|word| word.replace("oof_9", &id(oof, counted(9))));
    law(Logit, oof, holes, "finite", Fault, 3, &words.each_ref().map(String::as_str));

    let logits: fn(&mut File) = |f| f.values.iter_mut().flatten().for_each(|p| *p = 9.0 * *p - 6.0);
    let planted_logits = planted(Probability, test, logits);
    assert!(planted_logits[0].cause.contains("looks like logits"), "{planted_logits:?}");
    assert!(planted_logits[0].hint.contains("output: logit"));
    let percent: fn(&mut File) = |f| f.values.iter_mut().flatten().for_each(|p| *p *= 100.0);
    let planted_percent = planted(Probability, oof, percent);
    assert!(planted_percent[0].cause.contains("looks like percent"), "{planted_percent:?}");
    let one_over: fn(&mut File) = |f| f.values[1][0] = 1.001;
    law(
        ClassProbabilities,
        test,
        one_over,
        "range",
        Fault,
        1,
        &["column `y`, row `test_0`", "1.001 is no probability"],
    );
    let rounding: fn(&mut File) = |f| f.values[1][0] = 1.0 + 1e-7;
    assert_eq!(planted(Probability, test, rounding), []);
    let unbalanced: fn(&mut File) = |f| f.values[1][17] *= 0.5;
    law(ClassProbabilities, test, unbalanced, "range", Warning, 1, &["row `test_17`", "sum to"]);
    let squashed: fn(&mut File) = |f| f.values.iter_mut().flatten().for_each(|x| *x = (*x + 4.0) / 8.0);
    law(Logit, test, squashed, "range", Warning, 15_000, &["probabilities given as logits", "output: probability"]);
    law(ClassLogits, test, squashed, "range", Warning, 15_000, &["output: class_probabilities"]);
    let pointless: fn(&mut File) = |f| f.values.iter_mut().for_each(|c| c[5] = 0.0);
    law(Vector, test, pointless, "range", Warning, 1, &["row `test_5`", "length zero"]);
    let half: fn(&mut File) = |f| f.values[0][6] = 2.5;
    law(Label, test, half, "range", Warning, 1, &["row `test_6`", "2.5 is no label"]);

    let flat: fn(&mut File) = |f| f.values[1].fill(0.25);
    law(Probability, test, flat, "constant", Warning, 1, &["column `y`", "0.25 in all 5,000 rows", "1 of 3 columns"]);
    let all_flat: fn(&mut File) = |f| f.values.iter_mut().for_each(|c| c.fill(0.5));
    law(Probability, test, all_flat, "constant", Warning, 3, &["every column has one value"]);

    // Copies of the clean models 0 (probabilities), 8 (values).
    let copy: fn(&mut File) = |f| *f = File { name: "bad", ..clean("good-p", 0, Probability, Part::Oof) };
    law(Probability, oof, copy, "duplicate", Fault, 4545, &["same outputs as `good-p`", "keep one of"]);
    let rounded: fn(&mut File) = |f| {
        f.values = clean("", 0, Probability, Part::Oof).values;
        f.values.iter_mut().flatten().for_each(|x| *x = f64::from(*x as f32));
    };
    law(Probability, oof, rounded, "duplicate", Warning, 4545, &["same values as `good-p`", "within rounding"]);
    let as_logits: fn(&mut File) = |f| {
        f.values = clean("", 1, Probability, Part::Test).values;
        f.values.iter_mut().flatten().for_each(|p| *p = crate::num::ln(*p / (1.0 - *p)));
    };
    law(Logit, test, as_logits, "duplicate", Warning, 5000, &["same values as `good-p`"]);
    let shuffled_copy: fn(&mut File) = |f| {
        f.values = clean("", 0, Probability, Part::Oof).values;
        f.ids.rotate_left(1234);
        f.values.iter_mut().for_each(|c| c.rotate_left(1234));
    };
    law(Probability, oof, shuffled_copy, "duplicate", Warning, 4545, &["same values as `good-p`"]);
    let scaled: fn(&mut File) = |f| {
        f.values = clean("", 8, Value, Part::Oof).values;
        f.values.iter_mut().flatten().for_each(|x| *x = 3.0 - 0.5 * *x);
    };
    law(Value, oof, scaled, "duplicate", Note, 3, &["`good-v` on another scale"]);
    let nearly: fn(&mut File) = |f| {
        f.values = clean("", 8, Value, Part::Oof).values;
        f.values.iter_mut().flatten().enumerate().for_each(|(i, x)| *x += 0.002 * noise(7, 7, i));
    };
    assert_eq!(planted(Value, oof, nearly), []);

    let broken = store(clean("bad", 100, Value, oof), Some(Arc::new(Broken)));
    let findings = run(&context(clean_files().into_iter().map(|file| store(file, None)).chain([broken]).collect()));
    found.insert(names(&findings, "readable", Fault, 1, &["input/output error at byte 4096"]));

    evidence::plant(&mut found);

    let all: BTreeSet<String> = CATALOGUE.iter().map(|check| check.name.to_owned()).collect();
    assert_eq!(found, all, "every check has a planted fault");
}

/// A disk that fails: zeros and a latched error.
struct Broken;

impl BlockSource for Broken {
    fn n_rows(&self) -> usize {
        N_ROWS
    }
    fn n_outputs(&self) -> usize {
        3
    }
    fn slice(&self, _block: usize, _output: usize) -> Slice<'_> {
        Slice::F64(&[0.0; crate::BLOCK_ROWS])
    }
    fn value_bytes(&self) -> usize {
        8
    }
    fn latched(&self) -> Option<String> {
        Some("input/output error at byte 4096".to_owned())
    }
}

#[test]
fn faults_come_first_and_parts_are_kept_apart() {
    let findings = planted(OutputKind::Value, Part::Oof, |f| {
        f.ids.reverse();
        f.values.iter_mut().for_each(|c| c.reverse());
        f.values[0][N_ROWS - 1] = f64::NAN;
    });
    assert_eq!(findings.iter().map(|f| f.severity).collect::<Vec<_>>(), [Severity::Fault, Severity::Note]);
    // The value last in the file belongs to the first row that is wanted.
    assert!(findings[0].place.contains("row `oof_0`"), "{findings:?}");
    assert_eq!(Severity::Fault.name(), "fault");
}

use super::*;
use blend_core::{
    Blend, Domain, Member,
    blend::{Granularity, PartWeights},
    manifest::ColumnFile,
    post::{Calibration, Link, PostStep},
    space::SpaceName,
};
use blend_record::{
    Recipe, SearchBlock,
    recipe::{PredictedPublic, SingleBest},
};
use proptest::prelude::*;

fn parse(text: &str) -> Result<Recipe, String> {
    let (_folder, workspace) = workspace();
    Recipe::parse(&workspace, &moa(), &blend("best_cv"), text).map_err(|error| {
        let shown = show(&workspace, &error);
        let lines: Vec<&str> = shown.lines().collect();
        format!("{} | {}", lines[1].rsplit_once("best_cv.yaml:").unwrap().1, lines[0])
    })
}

fn weights(recipe: &Recipe) -> Vec<(&str, f64)> {
    recipe.blend.members().iter().map(|member| (member.model.as_str(), member.weight)).collect()
}

const HEAD: &str = "blend: best_cv\ncompetition: moa\n";

#[test]
fn the_contracts_document_is_read() {
    let text = format!(
        "# blends/moa/best_cv.yaml: written by `search`, or by hand\nblend: best_cv\ncompetition: moa\nspace: linear\n\
         domain: simplex\nmembers:                       # or `formula: ...`\n  \
         three-stage-nn: {{weight: 0.9191423, oof: \"{}\", test: \"{}\"}}\n  two-heads-v2: {{weight: 0.0808577}}\n\
         post: []                       # zero_rows, clip: [a, b], round: n, min_max, thresholds: [...]\n\
         search: {{target: cv, solver: newton, seed: 0, score: 0.0151070, nested_score: 0.01512, \
         equal_weights: 0.0153, gap: 2e-12, stop: certified}}\n",
        print("oof"),
        print("test"),
    );
    let it = parse(&text).unwrap();
    assert_eq!(weights(&it), [("three-stage-nn", 0.9191423), ("two-heads-v2", 0.0808577)]);
    assert_eq!((it.blend.space(), it.blend.domain()), (SpaceName::Linear, Domain::Simplex));
    assert_eq!(it.blend.members()[0].oof, Some(print("oof")));
    assert_eq!(it.blend.members()[1].test, None);
    let search = it.search.as_ref().unwrap();
    assert_eq!((search.score, search.gap, search.stop.as_str()), (Some(0.015107), Some(2e-12), "certified"));
    assert!(it.is_ours());
}

#[test]
fn a_recipe_by_hand_is_short() {
    let it = parse(&format!("{HEAD}members:\n  b: 0.25\n  a: {{weight: 0.75}}\n  c: 0\n")).unwrap();
    assert_eq!(weights(&it), [("b", 0.25), ("a", 0.75), ("c", 0.0)], "in the order written");
    assert!(!it.is_ours());
    let it = parse(&format!("{HEAD}domain: free\nspace: logit\nformula: 0.9*(0.37*three-stage-nn + 0.1*b) + 0.1*c\n"))
        .unwrap();
    assert_eq!(weights(&it), [("three-stage-nn", 0.37 * 0.9), ("b", 0.1 * 0.9), ("c", 0.1)]);
}

#[test]
fn the_bytes_are_fixed() {
    let (_folder, workspace) = workspace();
    let member =
        |name: &str, weight, oof: Option<&str>| Member { model: model(name), weight, oof: oof.map(print), test: None };
    let members = vec![member("b", 1.0 - 0.1 - 0.2, Some("x")), member("0", 0.1 + 0.2, None)];
    let post = vec![
        PostStep::ZeroRows {
            file: workspace.root().join("models/moa/data/t.csv"),
            column: "cp type".into(),
            equals: "1".into(),
        },
        PostStep::MinMax,
    ];
    let blend = Blend::new(blend("best_cv"), moa(), SpaceName::UnitVector, Domain::Affine, members, post).unwrap();
    let search = SearchBlock {
        target: "cv".into(),
        solver: "newton".into(),
        score: Some(1.0),
        gap: Some(2e-12),
        stop: "certified".into(),
        single_best: Some(SingleBest { model: model("b"), score: 0.5 }),
        weights_interval: vec![(model("b"), (0.5, 0.9)), (model("0"), (0.0, 1e-5))],
        ..SearchBlock::default()
    };
    let it = Recipe { blend, search: Some(search) };
    let want = format!(
        "blend: best_cv\ncompetition: moa\nspace: unit_vector\ndomain: affine\nmembers:\n  \
         b: {{weight: 0.7, oof: \"{}\"}}\n  \"0\": {{weight: 0.30000000000000004}}\npost:\n  \
         - {{zero_rows: {{file: ../../models/moa/data/t.csv, column: \"cp type\", equals: \"1\"}}}}\n  - min_max\n\
         search:\n  target: cv\n  solver: newton\n  seed: 0\n  score: 1.0\n  single_best: {{model: b, score: 0.5}}\n  \
         weights_interval: {{b: [0.5, 0.9], \"0\": [0.0, 1.0e-5]}}\n  gap: 2.0e-12\n  stop: certified\n",
        print("x")
    );
    assert_eq!(it.to_yaml(&workspace), want.replace("0.7,", &format!("{:?},", 1.0 - 0.1 - 0.2)));
    it.write(&workspace).unwrap();
    assert_eq!(Recipe::read(&workspace, &moa(), it.blend.name()).unwrap(), it);
}

#[test]
fn every_fault_has_its_words() {
    for (text, want) in [
        ("blend: x\ncompetition: moa\nmembers: {a: 1}".into(), "1:8 | `blend: x` stands where `best_cv` is expected"),
        (
            "blend: best_cv\ncompetition: m\nmembers: {a: 1}".into(),
            "2:14 | `competition: m` stands where `moa` is expected",
        ),
        (format!("{HEAD}member: {{a: 1}}"), "3:1 | unknown key `member`, did you mean `members`?"),
        (HEAD.into(), "1:1 | key `members` is missing"),
        (format!("{HEAD}members: {{a: 1}}\nformula: a"), "4:10 | `members` and `formula` stand together"),
        (format!("{HEAD}members: {{}}"), "3:10 | a blend needs at least one member"),
        (format!("{HEAD}members: [a]"), "3:10 | expected a map"),
        (format!("{HEAD}members:\n  a: 0.5\n  a: 0.5"), "5:3 | key `a` stands twice"),
        (
            format!("{HEAD}members: {{a b: 1}}"),
            "3:11 | `a b` is not a name: letters, digits, `.`, `_`, `-`, starting with a letter or digit",
        ),
        (format!("{HEAD}members: {{a: half}}"), "3:14 | weight `half` of `a` is not a number"),
        (format!("{HEAD}members: {{a: [1]}}"), "3:11 | expected a weight, or a map with `weight`, found sequence"),
        (format!("{HEAD}members: {{a: {{weigth: 1}}}}"), "3:15 | unknown key `weigth`, did you mean `weight`?"),
        (
            format!("{HEAD}members: {{a: {{weight: 1, oof: 'blake3:12'}}}}"),
            "3:31 | `blake3:12` is no fingerprint: `blake3:` and 64 hexadecimal digits",
        ),
        (
            format!(
                "{HEAD}members:\n  a: {{weight: 0.5, oof: \"{0}\"}}\n  b: {{weight: 0.5, oof: \"{0}\"}}",
                print("x")
            ),
            &*format!("4:3 | members `a` and `b` have the same outputs ({})", print("x")),
        ),
        (
            format!("{HEAD}members: {{a: 0.5, b: 0.4}}"),
            "3:10 | the weights sum to 0.9, not to 1 as domain `simplex` wants",
        ),
        (
            format!("{HEAD}domain: box\nmembers: {{a: 0.5, b: 1.4}}"),
            "4:10 | the weight of `b` is 1.4, outside [0, 1] of domain `box`",
        ),
        (format!("{HEAD}members: {{a: {{weight: .nan}}}}"), "3:10 | the weight of `a` is NaN, not a number"),
        (format!("{HEAD}domain: simplx\nmembers: {{a: 1}}"), "3:9 | unknown domain `simplx`, did you mean `simplex`?"),
        (format!("{HEAD}space: x\nmembers: {{a: 1}}"), "3:8 | unknown space `x`"),
        (format!("{HEAD}members: {{a: 1}}\nsearch: {{target: cv}}"), "4:10 | key `solver` is missing"),
        (
            format!("{HEAD}members: {{a: 1}}\npost: [{{clip: [1, 1]}}]"),
            "4:8 | `clip` goes from 1 up to 1, which is not above it",
        ),
    ] {
        assert_eq!(parse(&text).unwrap_err(), want, "{text}");
    }
}

#[test]
fn a_formulas_fault_is_shown_where_it_stands() {
    for (formula, want) in [
        ("0.5*a + 0.5*a", "3:22 | `a` stands twice, first in column 5"),
        ("'0.5*a ? b'", "3:17 | `?` does not belong in a formula"),
        ("a - b", "3:12 | nothing is subtracted: negative weights are written under `members`"),
        ("a + -0.2*b", "3:14 | nothing is subtracted: negative weights are written under `members`"),
        ("a*b", "3:12 | members are added, not multiplied: only numbers stand before `*`"),
        ("a*(b + c)", "3:12 | members are added, not multiplied: only numbers stand before `*`"),
        ("a/2", "3:11 | nothing is divided: write `0.5*a` for half of it"),
        ("0.5 + a", "3:10 | a number stands alone: it multiplies no member"),
        ("0.5*(a + b", "3:14 | `(` is never closed"),
        ("0.5*(a b)", "3:17 | `+`, `*` or `)` is missing before `b`"),
        ("a b", "3:12 | `b` does not belong here"),
        ("a)", "3:11 | `)` does not belong here"),
        ("a +", "3:13 | a number, a name or `(` is missing"),
        ("a + * b", "3:14 | a number, a name or `(` is missing before `*`"),
        ("''", "3:11 | a number, a name or `(` is missing"),
        ("1e999*a", "3:10 | `1e999` is too large for a number"),
        ("1e200*1e200*a", "3:22 | the weight of `a` is too large for a number"),
        ("_a", "3:10 | `_a` is not a name: letters, digits, `.`, `_`, `-`, starting with a letter or digit"),
    ] {
        assert_eq!(parse(&format!("{HEAD}formula: {formula}\n")).unwrap_err(), want, "{formula}");
    }
    let deep = format!("{HEAD}formula: {}a{}\n", "(".repeat(70), ")".repeat(70));
    assert_eq!(parse(&deep).unwrap_err(), "3:74 | parentheses are nested deeper than 64");
    let folded = format!("{HEAD}formula: >\n  0.5*a +\n  0.5*a\n");
    assert_eq!(parse(&folded).unwrap_err(), "4:3 | `a` stands twice, first in column 5 (character 13 of the formula)");
}

proptest! {
    #[test]
    fn every_recipe_reads_back_bit_for_bit(
        members in proptest::collection::btree_map("[a-z0-9][a-zA-Z0-9._-]{0,9}", any::<u64>(), 1..8),
        bits in [any::<u64>(); 5],
        seed: u64,
        words in [".{0,9}", ".{0,9}"],
    ) {
        let (_folder, workspace) = workspace();
        let finite = |bits: u64| Some(f64::from_bits(bits)).filter(|it| it.is_finite()).unwrap_or(0.1);
        let members: Vec<Member> = members
            .iter()
            .map(|(name, bits)| Member {
                model: model(name),
                weight: finite(*bits),
                oof: (bits % 2 == 0).then(|| print(&format!("oof {name}"))),
                test: (bits % 3 == 0).then(|| print(&format!("test {name}"))),
            })
            .collect();
        let single_best = SingleBest { model: members[0].model.clone(), score: finite(bits[0]) };
        let shift = vec![finite(bits[1]); if seed % 3 == 0 { 1 } else { 3 }];
        let post = vec![PostStep::Calibrate(Calibration { link: Link::Softmax, slope: 1.5, shift })];
        let n = members.len();
        let blend = Blend::new(blend("best_cv"), moa(), SpaceName::Log, Domain::Free, members, post).unwrap();
        let [target, stop] = words;
        let part = |part: &str, bits: u64| PartWeights { part: part.to_owned(), weights: vec![finite(bits); n] };
        let file = workspace.competition_folder(&moa()).join("data/length.csv");
        let granularity = match seed % 4 {
            0 => Granularity::PerTarget,
            1 => Granularity::Targets(vec![("g h".into(), vec![target.clone() + "t", "u".into()])]),
            2 => Granularity::Rows(ColumnFile { file, column: "a b".into() }),
            _ => Granularity::Global,
        };
        let blend = if granularity == Granularity::Global {
            blend.with_intercept(finite(bits[2])).unwrap()
        } else {
            blend.with_parts(granularity, vec![part("1", bits[3]), part(&(stop.clone() + "!"), bits[4])]).unwrap()
        };
        let members_interval = vec![(single_best.model.clone(), (finite(bits[0]), finite(bits[3])))];
        let search = SearchBlock {
            target,
            stop: stop.clone(),
            solver: "s".into(),
            seed,
            granularity: Some(stop.clone()),
            lambda: Some(finite(bits[0])),
            options: Some(stop.clone()),
            metric: Some(stop.clone()),
            scope: Some(stop.clone()),
            rows: Some(seed),
            score: Some(finite(bits[1])),
            nested_score: None,
            equal_weights: Some(finite(bits[2])),
            single_best: Some(single_best),
            gain_interval: Some((finite(bits[3]), finite(bits[4]))),
            weights_interval: members_interval,
            predicted_public: Some(PredictedPublic { score: finite(bits[2]), standard_error: None, method: stop }),
            gap: Some(f64::INFINITY),
            truth: Some(print("t")),
            folds: Some(print("f")),
        };
        let it = Recipe { blend, search: Some(search) };
        let text = it.to_yaml(&workspace);
        let back = Recipe::parse(&workspace, &moa(), it.blend.name(), &text).map_err(|error| show(&workspace, &error));
        prop_assert_eq!(back.as_ref(), Ok(&it));
        let bits = |recipe: &Recipe| recipe.blend.weights().iter().map(|it| it.to_bits()).collect::<Vec<_>>();
        prop_assert_eq!(bits(&back.unwrap()), bits(&it));
    }
}

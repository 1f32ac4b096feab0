//! `blends/<competition>/<name>.yaml`: a blend on disk, with what the search that found it says of it.

mod parts;

use crate::{
    error::DocumentError,
    formula,
    publish::publish,
    workspace::Workspace,
    yaml::{
        At, Doc, Form,
        parts::{Expected, Finite, POST_FORM, PostRaw, ScalarOr, write_step},
        text_of,
        write::{self, Page},
    },
};
use blend_core::{
    Blend, BlendName, CompetitionId, Domain, Fingerprint, Member, ModelId, blend::BlendError, space::SpaceName,
    weights::DOMAINS,
};
use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, Visitor},
};
use std::{fmt, marker::PhantomData, path::Path};

/// A blend and, where a search wrote it, what that search found.
#[derive(Debug, Clone, PartialEq)]
pub struct Recipe {
    /// Space, domain, members, weights, post steps.
    pub blend: Blend,
    /// What the search says; absent in a recipe written by hand.
    pub search: Option<SearchBlock>,
}

/// What a search says of its result. Nothing in it changes from run to run; scores are in the metric's unit.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct SearchBlock {
    /// `cv`, `lb` or `pooled`.
    pub target: String,
    /// Name of the solver.
    pub solver: String,
    /// `global`, `per_target`, ...
    pub granularity: Option<String>,
    /// How strongly weights of parts were drawn together.
    pub lambda: Option<f64>,
    /// Seed of everything random in it.
    pub seed: u64,
    /// What narrowed the weights or followed the blend, as it was typed.
    pub options: Option<String>,
    /// The metric with its options.
    pub metric: Option<String>,
    /// Name of the scope.
    pub scope: Option<String>,
    /// Rows judged.
    pub rows: Option<u64>,
    /// Score of the weights on the rows they were fitted on.
    pub score: Option<f64>,
    /// Score of the same search on rows that it did not see.
    pub nested_score: Option<f64>,
    /// Score of equal weights.
    pub equal_weights: Option<f64>,
    /// The best model alone.
    pub single_best: Option<SingleBest>,
    /// Bootstrap interval of the gain over the single best.
    pub gain_interval: Option<(f64, f64)>,
    /// Bootstrap interval of each member's weight; empty where the search has none.
    pub weights_interval: Vec<(ModelId, (f64, f64))>,
    /// Predicted public score, of a leaderboard search.
    pub predicted_public: Option<PredictedPublic>,
    /// How far the score can still be from the optimum, in the metric's unit.
    pub gap: Option<f64>,
    /// Why the search ended: `certified`, `budget`, `interrupted`, ...
    pub stop: String,
    /// Fingerprint of the truth searched on.
    pub truth: Option<Fingerprint>,
    /// Fingerprint of the fold map.
    pub folds: Option<Fingerprint>,
}

/// The best model alone.
#[derive(Debug, Clone, PartialEq)]
pub struct SingleBest {
    /// The model.
    pub model: ModelId,
    /// Its score.
    pub score: f64,
}

/// A predicted public score.
#[derive(Debug, Clone, PartialEq)]
pub struct PredictedPublic {
    /// The score.
    pub score: f64,
    /// Its standard error, where the method has one.
    pub standard_error: Option<f64>,
    /// How it was predicted.
    pub method: String,
}

const FORM: Form = Form(&[
    ("blend", "`blend: NAME`, the file's name"),
    ("competition", "`competition: NAME`, the folder's name"),
    ("space", "`space: linear`; see `blend list spaces`"),
    ("domain", "`domain: simplex`, box, nonnegative, affine or free"),
    ("members", "as lines `NAME: 0.36` or `NAME: {weight: 0.36}`"),
    ("formula", "`formula: 0.9*(0.4*a + 0.6*b) + 0.1*c`: sums of numbers times models, each model once"),
    ("intercept", "`intercept: 0.01`, added on the scale of the space"),
    ("granularity", parts::GRANULARITY_FORM),
    ("weights", parts::WEIGHTS_FORM),
    ("post", POST_FORM),
    ("search", "by `blend search`; leave it out in a recipe written by hand"),
]);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    blend: At<String>,
    competition: At<String>,
    space: Option<At<String>>,
    domain: Option<At<String>>,
    members: Option<At<Members>>,
    formula: Option<At<String>>,
    intercept: Option<At<Finite>>,
    granularity: Option<At<ScalarOr<parts::GranularityRaw>>>,
    weights: Option<At<parts::WeightsRaw>>,
    #[serde(default)]
    post: Vec<At<PostRaw>>,
    search: Option<SearchRaw>,
}

/// A map in the order written.
struct Ordered<T>(Vec<(At<String>, T)>);

type Members = Ordered<At<ScalarOr<MemberRaw>>>;

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Ordered<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct It<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for It<T> {
            type Value = Ordered<T>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("models with their weights")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Ordered<T>, A::Error> {
                let mut pairs = vec![];
                while let Some(pair) = map.next_entry()? {
                    pairs.push(pair);
                }
                Ok(Ordered(pairs))
            }
        }
        deserializer.deserialize_map(It(PhantomData))
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct MemberRaw {
    weight: At<f64>,
    oof: Option<At<String>>,
    test: Option<At<String>>,
}

impl Expected for MemberRaw {
    const EXPECTED: &'static str = "a weight, or a map with `weight`";
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SearchRaw {
    target: String,
    solver: String,
    granularity: Option<String>,
    lambda: Option<f64>,
    seed: u64,
    options: Option<String>,
    metric: Option<String>,
    scope: Option<String>,
    rows: Option<u64>,
    score: Option<f64>,
    nested_score: Option<f64>,
    equal_weights: Option<f64>,
    single_best: Option<SingleBestRaw>,
    gain_interval: Option<(Finite, Finite)>,
    weights_interval: Option<Ordered<(Finite, Finite)>>,
    predicted_public: Option<PredictedRaw>,
    gap: Option<f64>,
    stop: String,
    truth: Option<At<String>>,
    folds: Option<At<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SingleBestRaw {
    model: At<String>,
    score: f64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PredictedRaw {
    score: f64,
    standard_error: Option<f64>,
    method: String,
}

impl Recipe {
    /// Reads and checks `blends/<competition>/<name>.yaml`.
    pub fn read(workspace: &Workspace, competition: &CompetitionId, name: &BlendName) -> Result<Self, DocumentError> {
        Self::parse(workspace, competition, name, &text_of(&workspace.recipe_file(competition, name))?)
    }

    /// Checks `text` as the recipe `name`.
    pub fn parse(
        workspace: &Workspace,
        competition: &CompetitionId,
        name: &BlendName,
        text: &str,
    ) -> Result<Self, DocumentError> {
        let file = workspace.recipe_file(competition, name);
        let doc = Doc { workspace, file: &file, text, form: &FORM };
        check(&doc, competition, name, doc.parse()?)
    }

    /// Whether a search wrote it, so that a search may write over it.
    #[must_use]
    pub fn is_ours(&self) -> bool {
        self.search.is_some()
    }

    /// Writes it to its place, whole or not at all.
    pub fn write(&self, workspace: &Workspace) -> Result<(), DocumentError> {
        let path = workspace.recipe_file(self.blend.competition(), self.blend.name());
        Ok(publish(&path, self.to_yaml(workspace).as_bytes())?)
    }

    /// The document: fixed key order, shortest floats that read back to the same bits. Same value, same bytes.
    #[must_use]
    pub fn to_yaml(&self, workspace: &Workspace) -> String {
        let blend = &self.blend;
        let path = workspace.recipe_file(blend.competition(), blend.name());
        let folder = path.parent().unwrap_or(Path::new(""));
        let mut page = Page::default();
        page.line("blend", Some(write::text(blend.name().as_str())));
        page.line("competition", Some(write::text(blend.competition().as_str())));
        page.line("space", Some(blend.space().name().into()));
        page.line("domain", Some(blend.domain().name().into()));
        let fingerprint = |it: Option<Fingerprint>| it.map(|it| write::text(&it.to_string()));
        page.block(
            "members",
            blend.members().iter().map(|member| {
                let weight = Some(write::number(member.weight));
                let pairs = [("weight", weight), ("oof", fingerprint(member.oof)), ("test", fingerprint(member.test))];
                (member.model.to_string(), write::map(pairs))
            }),
        );
        page.line("intercept", (blend.intercept() != 0.0).then(|| write::number(blend.intercept())));
        page.line("granularity", parts::write_granularity(workspace, folder, blend.granularity()));
        if !blend.parts().is_empty() {
            page.block("weights", parts::write_weights(blend));
        }
        page.items("post", blend.post().iter().map(|step| write_step(workspace, folder, step)));
        if let Some(search) = &self.search {
            let pairs = search.pairs().into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?)));
            page.block("search", pairs);
        }
        page.finish()
    }
}

impl SearchBlock {
    fn pairs(&self) -> [(&'static str, Option<String>); 20] {
        let number = |it: Option<f64>| it.map(write::number);
        let text = |it: &Option<String>| it.as_deref().map(write::text);
        let fingerprint = |it: Option<Fingerprint>| it.map(|it| write::text(&it.to_string()));
        let single_best = self.single_best.as_ref().map(|it| {
            write::map([("model", Some(write::text(it.model.as_str()))), ("score", Some(write::number(it.score)))])
        });
        let interval = |(low, high): (f64, f64)| write::list([low, high].map(write::number));
        let of_weights = self.weights_interval.iter().map(|(model, it)| (model.as_str(), Some(interval(*it))));
        let weights_interval = (!self.weights_interval.is_empty()).then(|| write::map(of_weights));
        let predicted_public = self.predicted_public.as_ref().map(|it| {
            write::map([
                ("score", Some(write::number(it.score))),
                ("standard_error", number(it.standard_error)),
                ("method", Some(write::text(&it.method))),
            ])
        });
        [
            ("target", Some(write::text(&self.target))),
            ("solver", Some(write::text(&self.solver))),
            ("granularity", text(&self.granularity)),
            ("lambda", number(self.lambda)),
            ("seed", Some(self.seed.to_string())),
            ("options", text(&self.options)),
            ("metric", text(&self.metric)),
            ("scope", text(&self.scope)),
            ("rows", self.rows.map(|rows| rows.to_string())),
            ("score", number(self.score)),
            ("nested_score", number(self.nested_score)),
            ("equal_weights", number(self.equal_weights)),
            ("single_best", single_best),
            ("gain_interval", self.gain_interval.map(interval)),
            ("weights_interval", weights_interval),
            ("predicted_public", predicted_public),
            ("gap", number(self.gap)),
            ("stop", Some(write::text(&self.stop))),
            ("truth", fingerprint(self.truth)),
            ("folds", fingerprint(self.folds)),
        ]
    }
}

/// Raw to checked.
fn check(doc: &Doc<'_>, competition: &CompetitionId, name: &BlendName, raw: Raw) -> Result<Recipe, DocumentError> {
    doc.name_of_place("blend", &raw.blend, name)?;
    doc.name_of_place("competition", &raw.competition, competition)?;
    let space = raw.space.as_ref().map_or(Ok(SpaceName::Linear), |at| doc.space(at))?;
    let domain = raw.domain.as_ref().map_or(Ok(Domain::Simplex), |at| doc.choice("domain", at, &DOMAINS))?;
    let (members, at) = match (raw.members, raw.formula) {
        (Some(raw), None) => (check_members(doc, &raw.value)?, raw.referenced),
        (None, Some(formula)) => (check_formula(doc, &formula)?, formula.referenced),
        (Some(_), Some(formula)) => {
            return Err(doc.fault(formula.referenced, "`members` and `formula` stand together"));
        }
        (None, None) => return Err(doc.missing(raw.blend.referenced.line() as usize, 1, "members")),
    };
    let post = doc.post(&raw.post)?;
    let blend =
        Blend::new(name.clone(), competition.clone(), space, domain, members.clone(), post).map_err(|error| {
            let message = match &error {
                // A position says little to whoever wrote names.
                BlendError::Weights(error) => name_members(error, &members, domain),
                other => other.to_string(),
            };
            doc.fault(at, message)
        })?;
    let blend = parts::check(doc, blend, raw.granularity.as_ref(), raw.weights.as_ref())?;
    let blend = match &raw.intercept {
        None => blend,
        Some(at) => blend.with_intercept(at.value.0).map_err(|error| doc.fault(at.referenced, error.to_string()))?,
    };
    Ok(Recipe { blend, search: raw.search.map(|raw| check_search(doc, raw)).transpose()? })
}

fn name_members(error: &blend_core::weights::WeightsError, members: &[Member], domain: Domain) -> String {
    use blend_core::weights::WeightsError;
    match error {
        WeightsError::NotFinite { index, value } => {
            format!("the weight of `{}` is {value}, not a number", members[*index].model)
        }
        WeightsError::OutOfBounds { index, value, low, high } => {
            let model = &members[*index].model;
            format!("the weight of `{model}` is {value}, outside [{low}, {high}] of domain `{}`", domain.name())
        }
        WeightsError::Sum { sum } => format!("the weights sum to {sum}, not to 1 as domain `{}` wants", domain.name()),
        other => other.to_string(),
    }
}

fn check_members(doc: &Doc<'_>, raw: &Members) -> Result<Vec<Member>, DocumentError> {
    let fingerprint = |it: &Option<At<String>>| it.as_ref().map(|it| doc.fingerprint(it)).transpose();
    let member = |(name, raw): &(At<String>, At<ScalarOr<MemberRaw>>)| {
        let model = doc.name(name)?;
        Ok(match &raw.value {
            ScalarOr::Number(weight) => Member { model, weight: *weight, oof: None, test: None },
            ScalarOr::Count(weight) => Member { model, weight: *weight as f64, oof: None, test: None },
            ScalarOr::Map(raw) => {
                Member { model, weight: raw.weight.value, oof: fingerprint(&raw.oof)?, test: fingerprint(&raw.test)? }
            }
            ScalarOr::Text(text) => {
                return Err(doc.fault(raw.referenced, format!("weight `{text}` of `{model}` is not a number")));
            }
        })
    };
    raw.0.iter().map(member).collect()
}

fn check_formula(doc: &Doc<'_>, formula: &At<String>) -> Result<Vec<Member>, DocumentError> {
    let members = formula::parse(&formula.value).map_err(|error| {
        let line = formula.referenced.line() as usize;
        let start = formula.referenced.column() as usize;
        // Where the formula stands in the line as it is, quoted or not, the caret goes to the very character.
        let rest = doc.text.lines().nth(line.wrapping_sub(1)).unwrap_or_default().chars().skip(start.saturating_sub(1));
        let rest: String = rest.collect();
        let quote = usize::from(rest.starts_with(['"', '\'']));
        let (column, message) = if rest[quote..].starts_with(&formula.value) {
            (start + quote + error.at, error.message)
        } else {
            (start, format!("{} (character {} of the formula)", error.message, error.at + 1))
        };
        doc.fault_in(line, column, message, doc.form_of("formula"))
    })?;
    Ok(members.into_iter().map(|(model, weight)| Member { model, weight, oof: None, test: None }).collect())
}

fn check_search(doc: &Doc<'_>, raw: SearchRaw) -> Result<SearchBlock, DocumentError> {
    let fingerprint = |it: &Option<At<String>>| it.as_ref().map(|it| doc.fingerprint(it)).transpose();
    let single_best =
        |raw: SingleBestRaw| Ok::<_, DocumentError>(SingleBest { model: doc.name(&raw.model)?, score: raw.score });
    let intervals = |raw: Ordered<(Finite, Finite)>| {
        let interval = |(model, (low, high)): (At<String>, (Finite, Finite))| Ok((doc.name(&model)?, (low.0, high.0)));
        raw.0.into_iter().map(interval).collect::<Result<_, DocumentError>>()
    };
    Ok(SearchBlock {
        target: raw.target,
        solver: raw.solver,
        granularity: raw.granularity,
        lambda: raw.lambda,
        seed: raw.seed,
        options: raw.options,
        metric: raw.metric,
        scope: raw.scope,
        rows: raw.rows,
        score: raw.score,
        nested_score: raw.nested_score,
        equal_weights: raw.equal_weights,
        single_best: raw.single_best.map(single_best).transpose()?,
        gain_interval: raw.gain_interval.map(|(low, high)| (low.0, high.0)),
        weights_interval: raw.weights_interval.map_or_else(|| Ok(Vec::new()), intervals)?,
        predicted_public: raw.predicted_public.map(|raw| PredictedPublic {
            score: raw.score,
            standard_error: raw.standard_error,
            method: raw.method,
        }),
        gap: raw.gap,
        stop: raw.stop,
        truth: fingerprint(&raw.truth)?,
        folds: fingerprint(&raw.folds)?,
    })
}

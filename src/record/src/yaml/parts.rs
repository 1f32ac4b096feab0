//! Pieces that several documents share: a number that must be finite, `"*"` or a list, a column of a file, marked
//! rows, post steps.

use super::{At, Doc, write};
use crate::{
    competition::{Mark, Targets},
    error::DocumentError,
    workspace::Workspace,
};
use blend_core::{
    manifest::ColumnFile,
    post::{Calibration, PostStep, Scale, calibrate::LINKS},
    space::{self, SpaceName},
};
use serde::{
    Deserialize, Deserializer,
    de::{self, MapAccess, SeqAccess, Visitor, value::MapAccessDeserializer, value::SeqAccessDeserializer},
};
use std::{fmt, marker::PhantomData, path::Path};

/// A number that is neither NaN nor infinite.
#[derive(Clone, Copy)]
pub(crate) struct Finite(pub(crate) f64);

impl<'de> Deserialize<'de> for Finite {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = f64::deserialize(deserializer)?;
        if value.is_finite() { Ok(Self(value)) } else { Err(de::Error::custom(format!("{value} is not a number"))) }
    }
}

/// A scalar or a map: `log_loss` or `{name: log_loss}`, `0.36` or `{weight: 0.36}`.
pub(crate) enum ScalarOr<M> {
    Text(String),
    Number(f64),
    Count(u64),
    Map(M),
}

/// What the two ways of a [`ScalarOr`] are called in a fault.
pub(crate) trait Expected {
    const EXPECTED: &'static str;
}

impl<'de, M: Deserialize<'de> + Expected> Deserialize<'de> for ScalarOr<M> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct It<M>(PhantomData<M>);
        impl<'de, M: Deserialize<'de> + Expected> Visitor<'de> for It<M> {
            type Value = ScalarOr<M>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(M::EXPECTED)
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Self::Value, E> {
                Ok(ScalarOr::Text(text.to_owned()))
            }
            fn visit_f64<E: de::Error>(self, number: f64) -> Result<Self::Value, E> {
                Ok(ScalarOr::Number(number))
            }
            fn visit_u64<E: de::Error>(self, count: u64) -> Result<Self::Value, E> {
                Ok(ScalarOr::Count(count))
            }
            fn visit_i64<E: de::Error>(self, count: i64) -> Result<Self::Value, E> {
                Ok(u64::try_from(count).map_or(ScalarOr::Number(count as f64), ScalarOr::Count))
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
                M::deserialize(MapAccessDeserializer::new(map)).map(ScalarOr::Map)
            }
        }
        deserializer.deserialize_any(It(PhantomData))
    }
}

/// `"*"` or a list of names.
pub(crate) enum Names {
    Text(String),
    List(Vec<String>),
}

impl<'de> Deserialize<'de> for Names {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct It;
        impl<'de> Visitor<'de> for It {
            type Value = Names;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("\"*\" or a list of columns")
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Names, E> {
                Ok(Names::Text(text.to_owned()))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<Names, A::Error> {
                Vec::deserialize(SeqAccessDeserializer::new(list)).map(Names::List)
            }
        }
        deserializer.deserialize_any(It)
    }
}

/// `{file: data/folds.csv, column: fold}`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ColumnRaw {
    file: At<String>,
    pub(crate) column: At<String>,
}

/// `{file: data/train_features.csv, column: cp_type, equals: ctl_vehicle}`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct MarkRaw {
    file: At<String>,
    column: String,
    equals: String,
}

/// `[1.5, 2.5]`, `{cuts: [1.5, 2.5], labels: [1, 2, 3]}`, or a list of such maps, one per output.
pub(crate) struct Scales(Vec<Scale>);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ScaleRaw {
    cuts: Vec<Finite>,
    labels: Option<Vec<Finite>>,
}

impl Expected for ScaleRaw {
    const EXPECTED: &'static str = "a number, or a map with `cuts`";
}

impl ScaleRaw {
    fn scale(self) -> Scale {
        let numbers = |raw: Vec<Finite>| raw.into_iter().map(|it| it.0).collect();
        let cuts = numbers(self.cuts);
        match self.labels {
            Some(labels) => Scale { cuts, labels: numbers(labels) },
            None => Scale::counting(cuts),
        }
    }
}

impl<'de> Deserialize<'de> for Scales {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct It;
        impl<'de> Visitor<'de> for It {
            type Value = Scales;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("ascending numbers, a map with `cuts` and `labels`, or a list of such maps")
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Scales, A::Error> {
                Ok(Scales(vec![ScaleRaw::deserialize(MapAccessDeserializer::new(map))?.scale()]))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Scales, A::Error> {
                let (mut cuts, mut scales) = (Vec::new(), Vec::new());
                while let Some(item) = list.next_element::<ScalarOr<ScaleRaw>>()? {
                    match item {
                        ScalarOr::Number(cut) if cut.is_finite() => cuts.push(cut),
                        ScalarOr::Count(cut) => cuts.push(cut as f64),
                        ScalarOr::Map(raw) => scales.push(raw.scale()),
                        _ => return Err(de::Error::custom("a threshold is not a number")),
                    }
                }
                match (cuts.is_empty(), scales.is_empty()) {
                    (_, true) => Ok(Scales(vec![Scale::counting(cuts)])),
                    (true, false) => Ok(Scales(scales)),
                    (false, false) => Err(de::Error::custom("`thresholds` are all numbers or all maps")),
                }
            }
        }
        deserializer.deserialize_any(It)
    }
}

/// One post step.
#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum PostRaw {
    ZeroRows(MarkRaw),
    Clip((Finite, Finite)),
    Round(u32),
    MinMax,
    Thresholds(Scales),
    Calibrate(CalibrateRaw),
}

/// `{link: logit, slope: 1.08, shift: -0.02}`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct CalibrateRaw {
    link: String,
    slope: Finite,
    shift: OneOrMore,
}

/// A number or a list of numbers.
#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMore {
    One(Finite),
    More(Vec<Finite>),
}

/// The accepted form of `post`.
pub(crate) const POST_FORM: &str = "as a list of steps: `- {zero_rows: {file: F, column: C, equals: V}}`, \
    `- {clip: [0.0, 1.0]}`, `- {round: 4}`, `- min_max`, `- {thresholds: [0.5, 1.5]}`, \
    `- {thresholds: {cuts: [0.5, 1.5], labels: [1, 2, 3]}}`, `- {calibrate: {link: logit, slope: 1.1, shift: 0.0}}`";

impl Doc<'_> {
    pub(crate) fn space(&self, text: &At<String>) -> Result<SpaceName, DocumentError> {
        self.choice("space", text, &space::CATALOGUE.map(|(space, it)| (it.info().name, space)))
    }

    pub(crate) fn column(&self, raw: &ColumnRaw) -> Result<ColumnFile, DocumentError> {
        Ok(ColumnFile { file: self.path(&raw.file)?, column: raw.column.value.clone() })
    }

    pub(crate) fn mark(&self, raw: &MarkRaw) -> Result<Mark, DocumentError> {
        Ok(Mark { file: self.path(&raw.file)?, column: raw.column.clone(), equals: raw.equals.clone() })
    }

    /// `"*"` or names, each once.
    pub(crate) fn names(&self, raw: &At<Names>) -> Result<Targets, DocumentError> {
        match &raw.value {
            Names::Text(text) if text == "*" => Ok(Targets::All),
            Names::Text(text) => {
                Err(self.fault(raw.referenced, format!("`{text}` is neither \"*\" nor a list of columns")))
            }
            Names::List(names) => self.distinct(names, raw.referenced).map(|()| Targets::Named(names.clone())),
        }
    }

    /// A list with at least one name, each once.
    pub(crate) fn distinct(&self, names: &[String], at: serde_yaml::Location) -> Result<(), DocumentError> {
        if names.is_empty() {
            return Err(self.fault(at, "the list is empty"));
        }
        match names.iter().enumerate().find(|(i, name)| names[..*i].contains(name)) {
            Some((_, twice)) => Err(self.fault(at, format!("`{twice}` stands twice in the list"))),
            None => Ok(()),
        }
    }

    pub(crate) fn post(&self, raw: &[At<PostRaw>]) -> Result<Vec<PostStep>, DocumentError> {
        raw.iter().map(|step| self.post_step(step)).collect()
    }

    fn post_step(&self, raw: &At<PostRaw>) -> Result<PostStep, DocumentError> {
        let fault =
            |message: String| Err(self.fault_as(raw.referenced, message, format!("`post` is written {POST_FORM}")));
        Ok(match &raw.value {
            PostRaw::ZeroRows(mark) => {
                let Mark { file, column, equals } = self.mark(mark)?;
                PostStep::ZeroRows { file, column, equals }
            }
            PostRaw::Clip((low, high)) if low.0 >= high.0 => {
                return fault(format!("`clip` goes from {} up to {}, which is not above it", low.0, high.0));
            }
            PostRaw::Clip((low, high)) => PostStep::Clip { low: low.0, high: high.0 },
            PostRaw::Round(decimals) if *decimals > 15 => {
                return fault(format!("`round` to {decimals} decimals: a number holds 15"));
            }
            PostRaw::Round(decimals) => PostStep::Round(*decimals),
            PostRaw::MinMax => PostStep::MinMax,
            PostRaw::Thresholds(Scales(scales)) => {
                if let [scale] = &scales[..]
                    && scale.counts()
                    && (scale.cuts.is_empty() || scale.cuts.windows(2).any(|pair| pair[0] >= pair[1]))
                {
                    return fault("`thresholds` are at least one number, ascending".into());
                }
                let step = PostStep::Thresholds(scales.clone());
                if let Err(error) = step.check() {
                    return fault(error.to_string());
                }
                step
            }
            PostRaw::Calibrate(CalibrateRaw { link, slope, shift }) => {
                let Some((_, link)) = LINKS.iter().find(|(name, _)| name == link) else {
                    return fault(format!("`{link}` is no link: identity, logit or softmax"));
                };
                let shift = match shift {
                    OneOrMore::One(shift) => vec![shift.0],
                    OneOrMore::More(shifts) => shifts.iter().map(|shift| shift.0).collect(),
                };
                let step = PostStep::Calibrate(Calibration { link: *link, slope: slope.0, shift });
                match step.check() {
                    Ok(()) => step,
                    Err(error) => return fault(format!("`calibrate` with {}", error.why)),
                }
            }
        })
    }
}

/// `{file: ..., column: ...}` for a file in `folder`.
pub(crate) fn write_column(workspace: &Workspace, folder: &Path, it: &ColumnFile) -> String {
    let file = write::text(&workspace.written(folder, &it.file));
    write::map([("file", Some(file)), ("column", Some(write::text(&it.column)))])
}

/// `{file: ..., column: ..., equals: ...}` for a file in `folder`.
pub(crate) fn write_mark(workspace: &Workspace, folder: &Path, file: &Path, column: &str, equals: &str) -> String {
    let file = write::text(&workspace.written(folder, file));
    write::map([("file", Some(file)), ("column", Some(write::text(column))), ("equals", Some(write::text(equals)))])
}

/// A step as it stands in a list.
pub(crate) fn write_step(workspace: &Workspace, folder: &Path, step: &PostStep) -> String {
    let (name, value) = match step {
        PostStep::ZeroRows { file, column, equals } => {
            ("zero_rows", write_mark(workspace, folder, file, column, equals))
        }
        PostStep::Clip { low, high } => ("clip", write::list([write::number(*low), write::number(*high)])),
        PostStep::Round(decimals) => ("round", decimals.to_string()),
        PostStep::MinMax => return "min_max".into(),
        PostStep::Thresholds(scales) => ("thresholds", write_scales(scales)),
        PostStep::Calibrate(Calibration { link, slope, shift }) => {
            let link = LINKS.iter().find(|(_, known)| known == link).map(|(name, _)| (*name).to_owned());
            let shift = match shift[..] {
                [shift] => write::number(shift),
                ref shifts => write::list(shifts.iter().map(|shift| write::number(*shift))),
            };
            ("calibrate", write::map([("link", link), ("slope", Some(write::number(*slope))), ("shift", Some(shift))]))
        }
    };
    write::map([(name, Some(value))])
}

/// The shortest of the forms that say it.
fn write_scales(scales: &[Scale]) -> String {
    let numbers = |values: &[f64]| write::list(values.iter().map(|value| write::number(*value)));
    let full = |it: &Scale| write::map([("cuts", Some(numbers(&it.cuts))), ("labels", Some(numbers(&it.labels)))]);
    match scales {
        [it] if it.counts() && !it.cuts.is_empty() => numbers(&it.cuts),
        [it] => full(it),
        all => write::list(all.iter().map(full)),
    }
}

/// `"*"` or `[a, b]`.
pub(crate) fn write_names(names: &Targets) -> String {
    match names {
        Targets::All => "\"*\"".into(),
        Targets::Named(names) => write::list(names.iter().map(|name| write::text(name))),
    }
}

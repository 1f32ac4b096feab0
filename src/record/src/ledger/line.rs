//! One line of the ledger as JSON.

use super::{Event, Made, Predicted, Scored, What};
use blend_core::{BlendName, Fingerprint, ModelId};
use serde::{Deserialize, Serialize};

/// The mirror of a line. Keys that a later version adds are passed over.
#[derive(Serialize, Deserialize, Default)]
struct Raw {
    event: String,
    time: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    model: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    submission: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<String>,
    /// `blend:` and 12 digits of the csv file's fingerprint: what stands in the message to the leaderboard.
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    public: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    decimals: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    private: Option<f64>,
    #[serde(rename = "ref", skip_serializing_if = "Option::is_none")]
    reference: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cv: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    predicted: Option<PredictedRaw>,
    content: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    csv: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    recipe: Option<String>,
}

#[derive(Serialize, Deserialize)]
struct PredictedRaw {
    score: f64,
    standard_error: f64,
    method: String,
}

/// What a line turned out to be.
pub(super) enum Parsed {
    /// Empty.
    Nothing,
    /// The beginning of a line.
    Torn,
    /// Time and event.
    Line(String, Event),
    /// Whole and wrong.
    Damaged(String),
}

pub(super) fn parse(text: &[u8]) -> Parsed {
    if text.trim_ascii().is_empty() {
        return Parsed::Nothing;
    }
    match serde_json::from_slice::<Raw>(text) {
        Ok(raw) => {
            let time = raw.time.clone();
            check(raw).map_or_else(Parsed::Damaged, |event| Parsed::Line(time, event))
        }
        // Only what begins like a line of ours and then ends too early was cut off.
        Err(error) if error.is_eof() && text.starts_with(b"{") => Parsed::Torn,
        Err(error) => Parsed::Damaged(error.to_string()),
    }
}

/// Raw to checked.
fn check(raw: Raw) -> Result<Event, String> {
    let fingerprint = |text: &str| text.parse::<Fingerprint>().map_err(|error| error.to_string());
    let name = |error: blend_core::id::NameError| error.to_string();
    let content = fingerprint(&raw.content)?;
    let scored = |raw: &Raw| {
        let what = match (&raw.model, &raw.submission, &raw.file) {
            (Some(model), None, None) => What::Model(ModelId::new(model).map_err(name)?),
            (None, Some(submission), None) => What::Submission(BlendName::new(submission).map_err(name)?),
            (None, None, Some(file)) => What::File(file.into()),
            _ => return Err("one of `model`, `submission` and `file` says what was scored".to_owned()),
        };
        Ok(Scored {
            what,
            content,
            public: raw.public,
            decimals: raw.decimals,
            private: raw.private,
            reference: raw.reference.clone(),
        })
    };
    match raw.event.as_str() {
        "scored" => scored(&raw).map(Event::Scored),
        "corrected" => scored(&raw).map(Event::Corrected),
        "made" => {
            let missing = |key: &str| format!("`{key}` is missing");
            Ok(Event::Made(Made {
                name: BlendName::new(raw.submission.as_deref().ok_or_else(|| missing("submission"))?).map_err(name)?,
                csv: fingerprint(raw.csv.as_deref().ok_or_else(|| missing("csv"))?)?,
                content,
                recipe: raw.recipe.ok_or_else(|| missing("recipe"))?,
                cv: raw.cv,
                predicted: raw.predicted.map(|it| Predicted {
                    score: it.score,
                    standard_error: it.standard_error,
                    method: it.method,
                }),
            }))
        }
        other => Err(format!("an event `{other}` is none of: made, scored, corrected")),
    }
}

/// The line without its end.
pub(super) fn write(time: &str, event: &Event) -> String {
    let raw = match event {
        Event::Made(made) => Raw {
            event: "made".to_owned(),
            submission: Some(made.name.to_string()),
            id: Some(format!("blend:{}", made.csv.short())),
            content: made.content.to_string(),
            csv: Some(made.csv.to_string()),
            recipe: Some(made.recipe.clone()),
            cv: made.cv.filter(|cv| cv.is_finite()),
            predicted: made.predicted.as_ref().map(|it| PredictedRaw {
                score: it.score,
                standard_error: it.standard_error,
                method: it.method.clone(),
            }),
            ..Raw::default()
        },
        Event::Scored(scored) => of_score("scored", scored),
        Event::Corrected(scored) => of_score("corrected", scored),
    };
    // Texts and finite numbers always have a JSON.
    serde_json::to_string(&Raw { time: time.to_owned(), ..raw }).unwrap_or_default()
}

fn of_score(event: &str, scored: &Scored) -> Raw {
    let mut raw = Raw {
        event: event.to_owned(),
        content: scored.content.to_string(),
        public: scored.public,
        decimals: scored.decimals,
        private: scored.private,
        reference: scored.reference.clone(),
        ..Raw::default()
    };
    match &scored.what {
        What::Model(model) => raw.model = Some(model.to_string()),
        What::Submission(name) => raw.submission = Some(name.to_string()),
        // With `/` on every machine: a ledger is committed.
        What::File(path) => raw.file = Some(path.to_string_lossy().replace('\\', "/")),
    }
    raw
}

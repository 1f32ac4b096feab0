//! Tables of scores: what `kaggle competitions submissions COMP -v` prints, in its old and new forms, and any other CSV
//! with a name and a score.
//!
//! Columns are found by the header's names, and whatever stands before the header (warnings of the command line tool)
//! is passed over. A file name says nothing of which submission it is: Kaggle's lines are matched by our id in the
//! message, or by Kaggle's own number.

use crate::error::{Fault, Kind};

/// A table of scores.
#[derive(Debug, Clone, PartialEq)]
pub struct ScoreTable {
    /// Whether it is Kaggle's: then a line that cannot be matched is someone else's business and no error.
    pub is_kaggle: bool,
    /// Its lines.
    pub rows: Vec<ScoreRow>,
}

/// A line of it.
#[derive(Debug, Clone, PartialEq)]
pub struct ScoreRow {
    /// Its number in the file, counted from 1.
    pub line: u64,
    /// What it calls the submission: of Kaggle's lines, the file name.
    pub name: String,
    /// The 12 digits of `blend:...` in the message.
    pub id: Option<String>,
    /// Kaggle's number.
    pub reference: Option<String>,
    /// Whether scoring ended well, as far as the table says; a line without a status did.
    pub complete: bool,
    /// The public score.
    pub public: Option<Number>,
    /// The private score.
    pub private: Option<Number>,
}

/// A score as it was written.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Number {
    /// The score.
    pub value: f64,
    /// Decimals that the text has, where they can be trusted to be the leaderboard's: where the table keeps final
    /// zeros, a shorter number was rounded more.
    pub decimals: Option<u32>,
}

/// Why a text is no table of scores.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ScoreTableError {
    /// No line that could be a header.
    #[error("no header with a name and a score")]
    NoHeader,
    /// A column that was asked for is not there.
    #[error("no column is called `{0}`")]
    NoColumn(String),
    /// A cell in a column of scores that is none.
    #[error("`{text}` in line {line} is no score")]
    NotANumber {
        /// Counted from 1.
        line: u64,
        /// The cell.
        text: String,
    },
    /// A line that is no CSV.
    #[error("line {0} is no CSV")]
    Csv(u64),
}

impl Fault for ScoreTableError {
    fn kind(&self) -> Kind {
        match self {
            Self::NoColumn(_) => Kind::Usage,
            _ => Kind::Data,
        }
    }

    fn hint(&self) -> Option<String> {
        Some(
            match self {
                Self::NoHeader | Self::NoColumn(_) => {
                    "name the columns of the table with `--name-column C` and `--score-column C`"
                }
                Self::NotANumber { .. } | Self::Csv(_) => "correct the line; nothing was recorded",
            }
            .to_owned(),
        )
    }
}

/// Columns that are named on the command line.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Columns {
    /// The column that says what was scored.
    pub name: Option<String>,
    /// The column of public scores.
    pub score: Option<String>,
}

/// Names of columns, in lower case and without `_`, `-` and spaces; earlier ones are preferred.
const NAMES: [&str; 6] = ["blend", "model", "submission", "name", "filename", "file"];
const PUBLIC: [&str; 5] = ["publicscore", "public", "publiclb", "lb", "score"];
const PRIVATE: [&str; 3] = ["privatescore", "private", "privatelb"];

/// Positions of the columns of a header.
struct Places {
    name: usize,
    public: usize,
    private: Option<usize>,
    message: Option<usize>,
    reference: Option<usize>,
    status: Option<usize>,
}

impl Places {
    fn find(header: &[String], columns: &Columns) -> Option<Self> {
        let plain: Vec<String> = header
            .iter()
            .map(|name| name.trim_matches('\u{feff}').to_lowercase().replace(['_', '-', ' '], ""))
            .collect();
        let one_of = |known: &[&str]| known.iter().find_map(|name| plain.iter().position(|it| it == name));
        let named = |name: &String| header.iter().position(|it| it.trim() == name);
        let name = columns.name.as_ref().map_or_else(|| one_of(&NAMES), named)?;
        // `public_lb_mae`: a metric's name may follow.
        let public = columns
            .score
            .as_ref()
            .map_or_else(|| one_of(&PUBLIC).or_else(|| plain.iter().position(|it| it.starts_with("public"))), named)?;
        let message = one_of(&["description", "message"]);
        (name != public).then(|| Self {
            name,
            public,
            private: one_of(&PRIVATE),
            message,
            reference: one_of(&["ref"]),
            status: one_of(&["status"]),
        })
    }

    fn is_kaggle(&self) -> bool {
        self.message.is_some() && self.status.is_some()
    }
}

/// Reads a table of scores.
pub fn parse(text: &str, columns: &Columns) -> Result<ScoreTable, ScoreTableError> {
    // What Kaggle's program prints in place of an empty table.
    if text.contains("No submissions found") {
        return Ok(ScoreTable { is_kaggle: true, rows: Vec::new() });
    }
    let mut before = 0;
    for line in text.split_inclusive('\n') {
        let header = fields(line);
        if let Some(places) = Places::find(&header, columns) {
            let lines_before = text[..before].matches('\n').count() as u64;
            return rows(&text[before..], lines_before, &places);
        }
        before += line.len();
    }
    let header: Vec<String> = text.lines().find(|line| line.contains(',')).map(fields).unwrap_or_default();
    let absent = [&columns.name, &columns.score].into_iter().flatten().find(|name| !header.contains(name));
    Err(absent.map_or(ScoreTableError::NoHeader, |name| ScoreTableError::NoColumn(name.clone())))
}

fn fields(line: &str) -> Vec<String> {
    let mut reader = csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(line.as_bytes());
    let first = reader.records().next().and_then(Result::ok);
    first.map_or_else(Vec::new, |record| record.iter().map(|field| field.trim().to_owned()).collect())
}

fn rows(text: &str, lines_before: u64, places: &Places) -> Result<ScoreTable, ScoreTableError> {
    let mut reader = csv::ReaderBuilder::new().flexible(true).from_reader(text.as_bytes());
    let mut rows = Vec::new();
    let line_of = |position: Option<&csv::Position>| {
        let byte = position.map_or(0, |position| position.byte() as usize);
        // A record begins behind the line ends that the library skips.
        let start = byte + text[byte..].bytes().take_while(|byte| matches!(byte, b'\n' | b'\r')).count();
        lines_before + text[..start].matches('\n').count() as u64 + 1
    };
    for record in reader.records() {
        let record = record.map_err(|error| ScoreTableError::Csv(line_of(error.position())))?;
        let line = line_of(record.position());
        let cell = |place: usize| record.get(place).map(str::trim).unwrap_or_default();
        let optional = |place: Option<usize>| place.map(cell).filter(|text| !text.is_empty());
        let status = optional(places.status).unwrap_or("complete").to_lowercase();
        rows.push(ScoreRow {
            line,
            name: cell(places.name).to_owned(),
            id: optional(places.message).and_then(id_in),
            reference: optional(places.reference).map(str::to_owned),
            // `complete`, and `SubmissionStatus.COMPLETE` of later versions.
            complete: status.rsplit('.').next() == Some("complete"),
            public: number(cell(places.public), line)?,
            private: optional(places.private).map_or(Ok(None), |text| number(text, line))?,
        });
    }
    // Without final zeros a short number may be a long one.
    let decimals = |number: &Option<Number>| number.and_then(|it| it.decimals);
    let longest = rows.iter().filter_map(|row| decimals(&row.public)).max();
    let keeps_zeros = rows.iter().any(|row| decimals(&row.public) == longest && ends_in_zero(row.public));
    for row in &mut rows {
        for number in [&mut row.public, &mut row.private].into_iter().flatten() {
            number.decimals = number.decimals.filter(|_| keeps_zeros && !places.is_kaggle());
        }
    }
    Ok(ScoreTable { is_kaggle: places.is_kaggle(), rows })
}

/// Whether the last decimal of a number with decimals is zero.
fn ends_in_zero(number: Option<Number>) -> bool {
    number.is_some_and(|it| match it.decimals {
        None | Some(0) => false,
        Some(decimals) => {
            let text = format!("{:.*}", decimals as usize, it.value);
            text.ends_with('0')
        }
    })
}

/// A score; nothing where the cell says that there is none.
fn number(text: &str, line: u64) -> Result<Option<Number>, ScoreTableError> {
    if matches!(text.to_lowercase().as_str(), "" | "none" | "nan" | "null" | "-" | "n/a") {
        return Ok(None);
    }
    let value = text.parse::<f64>().ok().filter(|value| value.is_finite());
    let value = value.ok_or_else(|| ScoreTableError::NotANumber { line, text: text.to_owned() })?;
    Ok(Some(Number { value, decimals: decimals_of(text) }))
}

/// Digits after the point of a number as it is written; `None` with an exponent.
#[must_use]
pub fn decimals_of(text: &str) -> Option<u32> {
    if text.contains(['e', 'E']) {
        return None;
    }
    Some(text.split_once('.').map_or(0, |(_, digits)| digits.len() as u32))
}

/// The 12 digits after `blend:` in a message.
fn id_in(message: &str) -> Option<String> {
    message.match_indices("blend:").find_map(|(at, word)| {
        let digits: String = message[at + word.len()..].chars().take_while(char::is_ascii_hexdigit).collect();
        (digits.len() == 12).then(|| digits.to_lowercase())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> ScoreTable {
        parse(text, &Columns::default()).unwrap()
    }

    const NEW: &str = "\
Warning: Looks like you're using an outdated API Version, please consider updating
Next Page Token = abc,def
ref,fileName,date,description,status,publicScore,privateScore
48123457,submission.csv,2026-11-21 09:08:07.123456,\"blend:0123456789ab cv=0.01511, \"\"cv\"\"\",SubmissionStatus.COMPLETE,0.01823,0.01612
48123456,submission.csv,2026-11-20 09:08:07,notebook,SubmissionStatus.COMPLETE,,
48123455,submission.csv,2026-11-20 09:08:07,blend:0123456789AC,SubmissionStatus.ERROR,,
48123454,submission.csv,2026-11-20 09:08:07,blend:0123456789ad,SubmissionStatus.COMPLETE,None,None
";

    #[test]
    fn kaggles_table_new() {
        let table = read(NEW);
        assert!(table.is_kaggle);
        assert_eq!(table.rows.len(), 4);
        let first = &table.rows[0];
        assert_eq!(
            (first.line, first.id.as_deref(), first.reference.as_deref()),
            (4, Some("0123456789ab"), Some("48123457"))
        );
        assert_eq!(first.public, Some(Number { value: 0.01823, decimals: None }));
        assert_eq!(first.private.map(|it| it.value), Some(0.01612));
        assert!(first.complete && table.rows[1].complete && !table.rows[2].complete);
        assert_eq!(table.rows[1].id, None);
        assert_eq!(table.rows[2].id.as_deref(), Some("0123456789ac"));
        assert!(table.rows.iter().skip(1).all(|row| row.public.is_none()));
    }

    #[test]
    fn kaggles_table_old() {
        let table = read(
            "fileName,date,description,status,publicScore,privateScore\r\n\
             a.csv,2020-11-20 09:08:07,blend:0123456789ab,complete,0.0183,0.0161\r\n",
        );
        assert!(table.is_kaggle && table.rows[0].complete);
        assert_eq!(table.rows[0].reference, None);
        assert_eq!(table.rows[0].public.map(|it| it.value), Some(0.0183));
        assert_eq!(
            read("Using competition: moa\nNo submissions found\n"),
            ScoreTable { is_kaggle: true, rows: vec![] }
        );
    }

    #[test]
    fn any_table_with_a_name_and_a_score() {
        let table = read("submission,public_lb_mae,mae_true_labels\na,2.97530,1\nb,,2\nc,3.02,3\n");
        assert!(!table.is_kaggle);
        let numbers: Vec<_> = table.rows.iter().map(|row| (row.name.as_str(), row.public)).collect();
        let number = |value, decimals| Some(Number { value, decimals: Some(decimals) });
        assert_eq!(numbers, [("a", number(2.97530, 5)), ("b", None), ("c", number(3.02, 2))]);
        // Final zeros are dropped here, so 3.02 may be 3.02000.
        let table = read("Name,LB\na,2.9753\nb,3.02\n");
        assert_eq!(table.rows[1].public, Some(Number { value: 3.02, decimals: None }));
        let columns = Columns { name: Some("who".into()), score: Some("what".into()) };
        let table = parse("score,who,what\n1,a,0.5\n", &columns).unwrap();
        assert_eq!((table.rows[0].name.as_str(), table.rows[0].public.map(|it| it.value)), ("a", Some(0.5)));
    }

    #[test]
    fn what_is_no_table_is_said() {
        assert_eq!(parse("", &Columns::default()), Err(ScoreTableError::NoHeader));
        assert_eq!(parse("a,b\n1,2\n", &Columns::default()), Err(ScoreTableError::NoHeader));
        let columns = Columns { score: Some("publik".into()), ..Columns::default() };
        assert_eq!(parse("model,public\na,1\n", &columns), Err(ScoreTableError::NoColumn("publik".into())));
        let error = parse("model,public\na,1\nb,much\n", &Columns::default()).unwrap_err();
        assert_eq!(error, ScoreTableError::NotANumber { line: 3, text: "much".into() });
    }
}

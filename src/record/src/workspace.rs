//! The folder that holds `models/`, `blends/` and `submissions/`, and what lies where in it.

use crate::{
    competition::Competition,
    error::{DocumentError, Fault, Kind, did_you_mean},
};
use blend_core::id::{BlendName, CompetitionId, ModelId, NameError};
use std::{
    fs, io,
    path::{Component, Path, PathBuf},
    str::FromStr,
};

/// A workspace: a folder with `models/`; `blends/` and `submissions/` appear when something is written there.
#[derive(Debug, Clone)]
pub struct Workspace {
    root: PathBuf,
    allow_outside: bool,
}

/// Why there is no workspace, or not what was asked for in it.
#[derive(Debug, thiserror::Error)]
pub enum WorkspaceError {
    /// No folder with `models/` here or above.
    #[error("no workspace: neither this folder nor one above it holds `models/`")]
    NotFound {
        /// Where the search began.
        from: PathBuf,
    },
    /// No `models/*/competition.yaml`.
    #[error("the workspace has no competition yet")]
    NoCompetition {
        /// The workspace.
        root: PathBuf,
    },
    /// Several, and none was chosen.
    #[error("there are {} competitions and none has `default: true`: {}", names.len(), names.join(", "))]
    Ambiguous {
        /// Their names.
        names: Vec<String>,
    },
    /// Several say that they are the default.
    #[error("`default: true` stands in {} competitions: {}", names.len(), names.join(", "))]
    TwoDefaults {
        /// Their names.
        names: Vec<String>,
    },
    /// A name that nothing has.
    #[error("unknown {what} `{name}`{}", did_you_mean(name, known.iter().map(String::as_str)))]
    Unknown {
        /// Competition, model or blend.
        what: &'static str,
        /// What was asked for.
        name: String,
        /// What there is.
        known: Vec<String>,
        /// Where it was looked for, from the root.
        folder: String,
    },
    /// A text that cannot be a name.
    #[error(transparent)]
    Name(#[from] NameError),
    /// A document in it is faulty.
    #[error(transparent)]
    Document(#[from] DocumentError),
}

impl Fault for WorkspaceError {
    fn kind(&self) -> Kind {
        match self {
            Self::Document(error) => error.kind(),
            _ => Kind::Usage,
        }
    }

    fn place(&self) -> Option<String> {
        match self {
            Self::NotFound { from: path } | Self::NoCompetition { root: path } => Some(path.display().to_string()),
            Self::Document(error) => error.place(),
            Self::Ambiguous { .. } | Self::TwoDefaults { .. } => Some("models".into()),
            Self::Unknown { folder, .. } => Some(folder.clone()),
            Self::Name(_) => None,
        }
    }

    fn snippet(&self) -> Option<String> {
        match self {
            Self::Document(error) => error.snippet(),
            _ => None,
        }
    }

    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::NotFound { .. } => "go to one, name one with `-C DIR`, or make one with `blend init NAME`".into(),
            Self::NoCompetition { .. } => "make one with `blend init NAME`".into(),
            Self::Ambiguous { .. } => "pick one with `-c NAME` or `BLEND_COMPETITION`".into(),
            Self::TwoDefaults { .. } => "leave it in one of them, or pick one with `-c NAME`".into(),
            Self::Unknown { known, .. } if known.is_empty() => "there is none yet".into(),
            Self::Unknown { known, .. } => format!("there are: {}", known.join(", ")),
            Self::Name(_) => "it also names a folder or a file: choose another".into(),
            Self::Document(error) => return error.hint(),
        })
    }
}

/// A path in a YAML file that leaves the workspace.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PathError {
    /// Nothing was written.
    #[error("a path is empty")]
    Empty,
    /// Outside by what is written.
    #[error("path `{0}` leaves the workspace")]
    Outside(String),
    /// Inside by what is written, outside through a link.
    #[error("path `{written}` leaves the workspace through a link to {}", real.display())]
    Link {
        /// What is written.
        written: String,
        /// Where it leads.
        real: PathBuf,
    },
}

impl Workspace {
    /// The workspace at `root`, which need not exist yet. `allow_outside` lets YAML files name files elsewhere.
    pub fn at(root: &Path, allow_outside: bool) -> io::Result<Self> {
        Ok(Self { root: normal(&std::path::absolute(root)?), allow_outside })
    }

    /// The nearest folder with `models/`, from `from` upwards.
    pub fn find(from: &Path, allow_outside: bool) -> Result<Self, WorkspaceError> {
        let not_found = || WorkspaceError::NotFound { from: from.to_owned() };
        let start = Self::at(from, allow_outside).map_err(|_| not_found())?;
        let root = start.root.ancestors().find(|folder| folder.join("models").is_dir()).ok_or_else(not_found)?;
        Ok(Self { root: root.to_owned(), allow_outside })
    }

    /// The folder itself, absolute.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// `path` as it reads from the root, for messages; unchanged where it lies elsewhere.
    #[must_use]
    pub fn show<'a>(&self, path: &'a Path) -> &'a Path {
        path.strip_prefix(&self.root).unwrap_or(path)
    }

    /// `models/<competition>`.
    #[must_use]
    pub fn competition_folder(&self, competition: &CompetitionId) -> PathBuf {
        self.root.join("models").join(competition.as_str())
    }

    /// `models/<competition>/competition.yaml`.
    #[must_use]
    pub fn competition_file(&self, competition: &CompetitionId) -> PathBuf {
        self.competition_folder(competition).join("competition.yaml")
    }

    /// `models/<competition>/<model>`.
    #[must_use]
    pub fn model_folder(&self, competition: &CompetitionId, model: &ModelId) -> PathBuf {
        self.competition_folder(competition).join(model.as_str())
    }

    /// `models/<competition>/<model>/model.yaml`.
    #[must_use]
    pub fn manifest_file(&self, competition: &CompetitionId, model: &ModelId) -> PathBuf {
        self.model_folder(competition, model).join("model.yaml")
    }

    /// `models/<competition>/<model>/oof.feather`.
    #[must_use]
    pub fn oof_file(&self, competition: &CompetitionId, model: &ModelId) -> PathBuf {
        self.model_folder(competition, model).join("oof.feather")
    }

    /// `models/<competition>/<model>/test.feather`.
    #[must_use]
    pub fn test_file(&self, competition: &CompetitionId, model: &ModelId) -> PathBuf {
        self.model_folder(competition, model).join("test.feather")
    }

    /// `models/<competition>/<model>/run.yaml`.
    #[must_use]
    pub fn run_file(&self, competition: &CompetitionId, model: &ModelId) -> PathBuf {
        self.model_folder(competition, model).join("run.yaml")
    }

    /// `blends/<competition>/<name>.yaml`.
    #[must_use]
    pub fn recipe_file(&self, competition: &CompetitionId, blend: &BlendName) -> PathBuf {
        self.root.join("blends").join(competition.as_str()).join(format!("{blend}.yaml"))
    }

    /// `submissions/<competition>/<name>.csv`.
    #[must_use]
    pub fn submission_csv(&self, competition: &CompetitionId, blend: &BlendName) -> PathBuf {
        self.submission_folder(competition).join(format!("{blend}.csv"))
    }

    /// `submissions/<competition>/<name>.yaml`.
    #[must_use]
    pub fn submission_yaml(&self, competition: &CompetitionId, blend: &BlendName) -> PathBuf {
        self.submission_folder(competition).join(format!("{blend}.yaml"))
    }

    /// `submissions/<competition>/ledger.jsonl`.
    #[must_use]
    pub fn ledger_file(&self, competition: &CompetitionId) -> PathBuf {
        self.submission_folder(competition).join("ledger.jsonl")
    }

    fn submission_folder(&self, competition: &CompetitionId) -> PathBuf {
        self.root.join("submissions").join(competition.as_str())
    }

    /// The competitions, sorted: folders of `models/` with a `competition.yaml`.
    pub fn competitions(&self) -> Result<Vec<CompetitionId>, WorkspaceError> {
        names(&self.root.join("models"), |entry| {
            entry.join("competition.yaml").is_file().then(|| file_name(entry)).flatten()
        })
    }

    /// The competition called `name`; without a name the only one, or the one with `default: true`.
    pub fn pick(&self, name: Option<&str>) -> Result<Competition, WorkspaceError> {
        let known = self.competitions()?;
        let texts = || known.iter().map(ToString::to_string).collect::<Vec<_>>();
        if let Some(name) = name {
            return match known.iter().find(|id| id.as_str() == name) {
                Some(id) => Ok(Competition::read(self, id)?),
                None => Err(WorkspaceError::Unknown {
                    what: "competition",
                    name: name.into(),
                    known: texts(),
                    folder: "models".into(),
                }),
            };
        }
        match &known[..] {
            [] => Err(WorkspaceError::NoCompetition { root: self.root.clone() }),
            [only] => Ok(Competition::read(self, only)?),
            several => {
                // A faulty file of another competition must not stop work on the default one.
                let read = several.iter().filter_map(|id| Competition::read(self, id).ok());
                let mut defaults: Vec<Competition> = read.filter(|competition| competition.default).collect();
                match defaults.len() {
                    0 => Err(WorkspaceError::Ambiguous { names: texts() }),
                    1 => Ok(defaults.remove(0)),
                    _ => {
                        Err(WorkspaceError::TwoDefaults { names: defaults.iter().map(|c| c.id.to_string()).collect() })
                    }
                }
            }
        }
    }

    /// The models of a competition, sorted: folders with a `model.yaml` or with stored outputs.
    pub fn models(&self, competition: &CompetitionId) -> Result<Vec<ModelId>, WorkspaceError> {
        names(&self.competition_folder(competition), |entry| {
            let is_model = ["model.yaml", "oof.feather", "test.feather"].iter().any(|file| entry.join(file).is_file());
            is_model.then(|| file_name(entry)).flatten()
        })
    }

    /// The blends of a competition, sorted: recipes under `blends/`.
    pub fn blends(&self, competition: &CompetitionId) -> Result<Vec<BlendName>, WorkspaceError> {
        stems(&self.root.join("blends").join(competition.as_str()), "yaml")
    }

    /// The written submissions of a competition, sorted: `.csv` files under `submissions/`.
    pub fn submissions(&self, competition: &CompetitionId) -> Result<Vec<BlendName>, WorkspaceError> {
        stems(&self.submission_folder(competition), "csv")
    }

    /// The model called `name`, which must be there.
    pub fn model(&self, competition: &CompetitionId, name: &str) -> Result<ModelId, WorkspaceError> {
        one_of("model", name, &self.models(competition)?, format!("models/{competition}"))
    }

    /// The blend called `name`, which must have a recipe.
    pub fn blend(&self, competition: &CompetitionId, name: &str) -> Result<BlendName, WorkspaceError> {
        one_of("blend", name, &self.blends(competition)?, format!("blends/{competition}"))
    }

    /// The file that `written` in the YAML file `yaml` means: relative to that file's folder, inside the workspace
    /// unless files elsewhere are allowed. `..` is resolved as written, links by what they lead to.
    pub fn resolve(&self, yaml: &Path, written: &str) -> Result<PathBuf, PathError> {
        if written.is_empty() {
            return Err(PathError::Empty);
        }
        let path = join(yaml, written);
        if self.allow_outside {
            return Ok(path);
        }
        if !path.starts_with(&self.root) {
            return Err(PathError::Outside(written.into()));
        }
        // What is not there yet is judged by the part that is.
        let real = path.ancestors().find_map(|part| fs::canonicalize(part).ok());
        let root = path.ancestors().find(|part| *part == self.root).and_then(|root| fs::canonicalize(root).ok());
        match (real, root) {
            (Some(real), Some(root)) if !real.starts_with(&root) => {
                Err(PathError::Link { written: written.into(), real })
            }
            _ => Ok(path),
        }
    }

    /// Errors where `path`, named by `named_by` (as "`truth` of competition.yaml"), is not there.
    pub fn require(&self, path: &Path, named_by: &str) -> Result<(), DocumentError> {
        match fs::metadata(path) {
            Ok(_) => Ok(()),
            Err(source) => Err(DocumentError::reading(path, source).named_by(named_by)),
        }
    }

    /// How `path` is written in a YAML file in `folder`: relative to it with `/` where it lies in the workspace,
    /// absolute elsewhere.
    #[must_use]
    pub fn written(&self, folder: &Path, path: &Path) -> String {
        let absolute = |path: &Path| std::path::absolute(path).map_or_else(|_| path.to_owned(), |path| normal(&path));
        let (folder, path) = (absolute(folder), absolute(path));
        if !path.starts_with(&self.root) || !folder.starts_with(&self.root) {
            return path.to_string_lossy().into_owned();
        }
        let common = folder.components().zip(path.components()).take_while(|(a, b)| a == b).count();
        let up = folder.components().skip(common).map(|_| "..".to_owned());
        let down = path.components().skip(common).map(|part| part.as_os_str().to_string_lossy().into_owned());
        let parts: Vec<String> = up.chain(down).collect();
        if parts.is_empty() { ".".into() } else { parts.join("/") }
    }
}

/// `written` beside `yaml`, with `.` and `..` resolved as written.
pub(crate) fn join(yaml: &Path, written: &str) -> PathBuf {
    let joined = yaml.parent().unwrap_or(Path::new("")).join(written);
    normal(&std::path::absolute(&joined).unwrap_or(joined))
}

/// An absolute path without `.` and `..`.
fn normal(path: &Path) -> PathBuf {
    let mut out = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir => {
                out.pop();
            }
            part => out.push(part),
        }
    }
    out
}

fn file_name(path: &Path) -> Option<String> {
    path.file_name()?.to_str().map(str::to_owned)
}

fn stems<T: FromStr<Err = NameError> + Ord>(folder: &Path, extension: &str) -> Result<Vec<T>, WorkspaceError> {
    names(folder, |entry| {
        let is_one = entry.is_file() && entry.extension().is_some_and(|it| it == extension);
        is_one.then(|| entry.file_stem()?.to_str().map(str::to_owned)).flatten()
    })
}

/// The names that `of` gives for the entries of `folder`, sorted. A folder that is not there has none; what is no
/// name (`.git`) is no entry.
fn names<T: FromStr<Err = NameError> + Ord>(
    folder: &Path,
    of: impl Fn(&Path) -> Option<String>,
) -> Result<Vec<T>, WorkspaceError> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(vec![]),
        Err(source) => return Err(DocumentError::reading(folder, source).into()),
    };
    let mut found = vec![];
    for entry in entries {
        let entry = entry.map_err(|source| DocumentError::reading(folder, source))?;
        found.extend(of(&entry.path()).and_then(|name| name.parse().ok()));
    }
    found.sort();
    Ok(found)
}

fn one_of<T: Clone + ToString + FromStr<Err = NameError>>(
    what: &'static str,
    name: &str,
    known: &[T],
    folder: String,
) -> Result<T, WorkspaceError> {
    known.iter().find(|it| it.to_string() == name).cloned().ok_or_else(|| WorkspaceError::Unknown {
        what,
        name: name.into(),
        known: known.iter().map(ToString::to_string).collect(),
        folder,
    })
}

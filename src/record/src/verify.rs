//! The chain submission -> recipe -> outputs -> graphs, data: what each record says, and what is there now.

use crate::{
    error::DocumentError,
    provenance::Provenance,
    publish::fingerprint_of_file,
    recipe::Recipe,
    run::{RunKind, RunRecord},
    workspace::Workspace,
};
use blend_core::{BlendName, CompetitionId, Fingerprint, ModelId};
use std::{
    collections::HashMap,
    path::{Path, PathBuf},
};

/// One statement of a record about a file, and the truth of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// What the file is.
    pub kind: LinkKind,
    /// The model that it belongs to.
    pub model: Option<ModelId>,
    /// The file.
    pub path: PathBuf,
    /// What the record says; absent where the record itself is not there.
    pub recorded: Option<Fingerprint>,
    /// The record.
    pub recorded_in: PathBuf,
    /// What is there now; absent where the file is not, or cannot be read.
    pub actual: Option<Fingerprint>,
}

/// What a file in the chain is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LinkKind {
    /// The submission's csv file.
    Submission,
    /// The recipe.
    Recipe,
    /// `competition.yaml`.
    Competition,
    /// The sample submission.
    Sample,
    /// A table.
    Data,
    /// `oof.feather`.
    Oof,
    /// `test.feather`.
    Test,
    /// `run.yaml`.
    RunRecord,
    /// `model.yaml`.
    Manifest,
    /// A graph.
    Graph,
    /// A file that outputs were imported from. It may be gone: the outputs are kept.
    Source,
}

/// How a link stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LinkState {
    /// As recorded.
    Same,
    /// There, with other content.
    Differs,
    /// Not there.
    Absent,
}

impl LinkKind {
    /// How it is called in a report.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Submission => "submission",
            Self::Recipe => "recipe",
            Self::Competition => "competition.yaml",
            Self::Sample => "sample submission",
            Self::Data => "data",
            Self::Oof => "OOF outputs",
            Self::Test => "test outputs",
            Self::RunRecord => "run record",
            Self::Manifest => "model.yaml",
            Self::Graph => "graph",
            Self::Source => "imported file",
        }
    }
}

impl Link {
    /// How it stands.
    #[must_use]
    pub fn state(&self) -> LinkState {
        match (self.recorded, self.actual) {
            (_, None) => LinkState::Absent,
            (Some(recorded), Some(actual)) if recorded != actual => LinkState::Differs,
            _ => LinkState::Same,
        }
    }

    /// Whether the chain is broken here. An imported file that is gone breaks nothing.
    #[must_use]
    pub fn is_fault(&self) -> bool {
        match self.state() {
            LinkState::Same => false,
            LinkState::Differs => true,
            LinkState::Absent => self.kind != LinkKind::Source,
        }
    }
}

/// Walks chains. Every file is hashed once, however often it is named.
pub struct Verifier<'a, F> {
    workspace: &'a Workspace,
    competition: &'a CompetitionId,
    outputs: F,
    /// By file, and whether its values were hashed or its bytes: stored outputs that feed another model are known by both.
    seen: HashMap<(PathBuf, bool), Option<Fingerprint>>,
    links: Vec<Link>,
}

impl<'a, F: FnMut(&Path) -> Option<Fingerprint>> Verifier<'a, F> {
    /// `outputs` gives the fingerprint of stored outputs (by ids and values, not by bytes), `None` where they are not
    /// there or damaged.
    pub fn new(workspace: &'a Workspace, competition: &'a CompetitionId, outputs: F) -> Self {
        Self { workspace, competition, outputs, seen: HashMap::new(), links: vec![] }
    }

    /// The links found so far, in the order of the chain.
    #[must_use]
    pub fn finish(self) -> Vec<Link> {
        self.links
    }

    /// A submission with everything behind it. Errors where its provenance is absent or faulty.
    pub fn submission(&mut self, name: &BlendName) -> Result<(), DocumentError> {
        let workspace = self.workspace;
        let from = workspace.submission_yaml(self.competition, name);
        let record = Provenance::read(workspace, self.competition, name)?;
        self.link(LinkKind::Submission, None, workspace.submission_csv(self.competition, name), record.csv, &from);
        self.link(LinkKind::Recipe, None, workspace.recipe_file(self.competition, name), record.recipe, &from);
        let recipe_stands = self.links.last().is_some_and(|link| link.state() == LinkState::Same);
        let competition = workspace.competition_file(self.competition);
        self.link(LinkKind::Competition, None, competition, record.competition_file, &from);
        self.link(LinkKind::Sample, None, record.sample.0, record.sample.1, &from);
        for (path, print) in record.data {
            self.link(LinkKind::Data, None, path, print, &from);
        }
        for (model, print) in &record.members {
            self.link(LinkKind::Test, Some(model), workspace.test_file(self.competition, model), *print, &from);
        }
        match self.recipe(name) {
            // A recipe that was changed or lost is already on the list; what it says now is another chain.
            Err(_) if !recipe_stands => record.members.iter().try_for_each(|(model, _)| self.model(model)),
            result => result,
        }
    }

    /// A recipe with the outputs that it names and everything behind them.
    pub fn recipe(&mut self, name: &BlendName) -> Result<(), DocumentError> {
        let from = self.workspace.recipe_file(self.competition, name);
        let recipe = Recipe::read(self.workspace, self.competition, name)?;
        for member in recipe.blend.members() {
            let model = &member.model;
            let oof = self.workspace.oof_file(self.competition, model);
            let test = self.workspace.test_file(self.competition, model);
            for (kind, path, print) in [(LinkKind::Oof, oof, member.oof), (LinkKind::Test, test, member.test)] {
                if let Some(print) = print {
                    self.link(kind, Some(model), path, print, &from);
                }
            }
            self.model(model)?;
        }
        Ok(())
    }

    /// A model: its outputs, and what its run record says that they were made from.
    pub fn model(&mut self, model: &ModelId) -> Result<(), DocumentError> {
        let workspace = self.workspace;
        let from = workspace.run_file(self.competition, model);
        let record = match RunRecord::read(workspace, self.competition, model) {
            Err(DocumentError::Absent { path, .. }) => {
                self.links.push(Link {
                    kind: LinkKind::RunRecord,
                    model: Some(model.clone()),
                    recorded: None,
                    recorded_in: path.clone(),
                    path,
                    actual: None,
                });
                return Ok(());
            }
            record => record?,
        };
        let places = [
            (LinkKind::Oof, workspace.oof_file(self.competition, model), record.oof),
            (LinkKind::Test, workspace.test_file(self.competition, model), record.test),
            (LinkKind::Manifest, workspace.manifest_file(self.competition, model), record.manifest),
        ];
        for (kind, path, print) in places {
            if let Some(print) = print {
                self.link(kind, Some(model), path, print, &from);
            }
        }
        for (path, print) in record.graphs {
            self.link(LinkKind::Graph, Some(model), path, print, &from);
        }
        let data = if record.kind == RunKind::Import { LinkKind::Source } else { LinkKind::Data };
        for (path, print) in record.data {
            self.link(data, Some(model), path, print, &from);
        }
        Ok(())
    }

    fn link(
        &mut self,
        kind: LinkKind,
        model: Option<&ModelId>,
        path: PathBuf,
        recorded: Fingerprint,
        recorded_in: &Path,
    ) {
        let by_values = matches!(kind, LinkKind::Oof | LinkKind::Test);
        let key = (path.clone(), by_values);
        let actual = match self.seen.get(&key) {
            Some(known) => *known,
            None => {
                let found = if by_values { (self.outputs)(&path) } else { fingerprint_of_file(&path).ok() };
                self.seen.insert(key, found);
                found
            }
        };
        let recorded_in = recorded_in.to_owned();
        self.links.push(Link { kind, model: model.cloned(), path, recorded: Some(recorded), recorded_in, actual });
    }
}

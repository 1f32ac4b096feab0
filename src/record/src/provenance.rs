//! `submissions/<competition>/<name>.yaml`: what a submission was made from. No times, no host: same inputs, same
//! bytes.

use crate::{
    error::DocumentError,
    publish::publish,
    run::{read_files, write_files},
    workspace::{Workspace, join},
    yaml::{
        At, Doc, Form,
        parts::{POST_FORM, PostRaw, write_step},
        text_of,
        write::{self, Page},
    },
};
use blend_core::{BlendName, CompetitionId, Fingerprint, ModelId, post::PostStep};
use serde::Deserialize;
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

/// What a submission was made from. Paths are absolute; in the file they are relative to it.
#[derive(Debug, Clone, PartialEq)]
pub struct Provenance {
    /// The submission, the recipe's name too.
    pub submission: BlendName,
    /// The competition.
    pub competition: CompetitionId,
    /// Fingerprint of the csv file.
    pub csv: Fingerprint,
    /// Fingerprint of the recipe.
    pub recipe: Fingerprint,
    /// Fingerprint of `competition.yaml`.
    pub competition_file: Fingerprint,
    /// The sample submission.
    pub sample: (PathBuf, Fingerprint),
    /// Each member with the fingerprint of its test outputs, in the recipe's order.
    pub members: Vec<(ModelId, Fingerprint)>,
    /// Other files that were read, as for post steps.
    pub data: BTreeMap<PathBuf, Fingerprint>,
    /// All post steps in the order they ran.
    pub post: Vec<PostStep>,
}

const FORM: Form = Form(&[
    ("submission", "by `blend submit`"),
    ("competition", "by `blend submit`"),
    ("csv", "by `blend submit`"),
    ("recipe", "by `blend submit`"),
    ("competition_file", "by `blend submit`"),
    ("sample_submission", "`{file: PATH, fingerprint: \"blake3:...\"}`"),
    ("members", "as a list of `- {model: NAME, test: \"blake3:...\"}`"),
    ("data", "as lines `PATH: \"blake3:...\"`"),
    ("post", POST_FORM),
]);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    submission: At<String>,
    competition: At<String>,
    csv: At<String>,
    recipe: At<String>,
    competition_file: At<String>,
    sample_submission: FileRaw,
    members: Vec<MemberRaw>,
    #[serde(default)]
    data: BTreeMap<String, At<String>>,
    #[serde(default)]
    post: Vec<At<PostRaw>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FileRaw {
    file: String,
    fingerprint: At<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct MemberRaw {
    model: At<String>,
    test: At<String>,
}

impl Provenance {
    /// Reads and checks the provenance of a written submission.
    pub fn read(workspace: &Workspace, competition: &CompetitionId, name: &BlendName) -> Result<Self, DocumentError> {
        let file = workspace.submission_yaml(competition, name);
        let text = text_of(&file)?;
        let doc = Doc { workspace, file: &file, text: &text, form: &FORM };
        check(&doc, competition, name, doc.parse()?)
    }

    /// Writes it beside the csv file, whole or not at all.
    pub fn write(&self, workspace: &Workspace) -> Result<(), DocumentError> {
        let file = workspace.submission_yaml(&self.competition, &self.submission);
        let folder = file.parent().unwrap_or(Path::new(""));
        Ok(publish(&file, self.to_yaml(workspace, folder).as_bytes())?)
    }

    fn to_yaml(&self, workspace: &Workspace, folder: &Path) -> String {
        let fingerprint = |it: &Fingerprint| Some(write::text(&it.to_string()));
        let (sample, print) = &self.sample;
        let sample = Some(write::text(&workspace.written(folder, sample)));
        let members = self.members.iter().map(|(model, test)| {
            write::map([("model", Some(write::text(model.as_str()))), ("test", fingerprint(test))])
        });
        let mut page = Page::default();
        page.line("submission", Some(write::text(self.submission.as_str())));
        page.line("competition", Some(write::text(self.competition.as_str())));
        page.line("csv", fingerprint(&self.csv));
        page.line("recipe", fingerprint(&self.recipe));
        page.line("competition_file", fingerprint(&self.competition_file));
        page.line("sample_submission", Some(write::map([("file", sample), ("fingerprint", fingerprint(print))])));
        page.items("members", members);
        page.block("data", write_files(workspace, folder, &self.data));
        page.items("post", self.post.iter().map(|step| write_step(workspace, folder, step)));
        page.finish()
    }
}

fn check(doc: &Doc<'_>, competition: &CompetitionId, name: &BlendName, raw: Raw) -> Result<Provenance, DocumentError> {
    doc.name_of_place("submission", &raw.submission, name)?;
    doc.name_of_place("competition", &raw.competition, competition)?;
    let member = |raw: &MemberRaw| Ok((doc.name(&raw.model)?, doc.fingerprint(&raw.test)?));
    Ok(Provenance {
        submission: name.clone(),
        competition: competition.clone(),
        csv: doc.fingerprint(&raw.csv)?,
        recipe: doc.fingerprint(&raw.recipe)?,
        competition_file: doc.fingerprint(&raw.competition_file)?,
        sample: (join(doc.file, &raw.sample_submission.file), doc.fingerprint(&raw.sample_submission.fingerprint)?),
        members: raw.members.iter().map(member).collect::<Result<_, DocumentError>>()?,
        data: read_files(doc, &raw.data)?,
        post: doc.post(&raw.post)?,
    })
}

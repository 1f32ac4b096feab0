use super::*;
use blend_record::{Competition, Kind, Recipe, WorkspaceError, manifest};

fn competition(workspace: &Workspace, name: &str, rest: &str) {
    let id = CompetitionId::new(name).unwrap();
    put(&workspace.competition_file(&id), format!("competition: {name}\nmetric: rmse\nid: id\n{rest}"));
}

#[test]
fn a_workspace_is_found_upwards() {
    let (folder, workspace) = workspace();
    let deep = folder.path().join("blends/moa");
    std::fs::create_dir_all(&deep).unwrap();
    let found = Workspace::find(&deep.canonicalize().unwrap(), false).unwrap();
    assert_eq!(found.root(), workspace.root());
    let elsewhere = tempfile::tempdir().unwrap();
    let error = Workspace::find(elsewhere.path(), false).unwrap_err();
    assert_eq!(error.to_string(), "no workspace: neither this folder nor one above it holds `models/`");
    assert_eq!(error.kind(), Kind::Usage);
    assert!(error.hint().unwrap().contains("blend init NAME"));
}

#[test]
fn a_competition_is_picked() {
    let (_folder, workspace) = workspace();
    let pick = |name| workspace.pick(name).map(|it| it.id.to_string()).map_err(|error| show(&workspace, &error));
    assert!(matches!(workspace.pick(None), Err(WorkspaceError::NoCompetition { .. })));
    competition(&workspace, "moa", "");
    assert_eq!(pick(None).unwrap(), "moa", "the only one");
    competition(&workspace, "otto", "");
    let want = "there are 2 competitions and none has `default: true`: moa, otto\nmodels\n\
        pick one with `-c NAME` or `BLEND_COMPETITION`";
    assert_eq!(pick(None).unwrap_err(), want);
    assert_eq!(pick(Some("otto")).unwrap(), "otto");
    let want = "unknown competition `oto`, did you mean `otto`?\nmodels\nthere are: moa, otto";
    assert_eq!(pick(Some("oto")).unwrap_err(), want);
    assert_eq!(pick(Some("../x")).unwrap_err(), "unknown competition `../x`\nmodels\nthere are: moa, otto");
    competition(&workspace, "otto", "default: true\n");
    assert_eq!(pick(None).unwrap(), "otto");
    competition(&workspace, "moa", "faulty");
    assert_eq!(pick(None).unwrap(), "otto", "another competition's fault is in nobody's way");
    assert!(pick(Some("moa")).is_err());
    competition(&workspace, "moa", "default: true\n");
    let want = "`default: true` stands in 2 competitions: moa, otto\nmodels\n\
        leave it in one of them, or pick one with `-c NAME`";
    assert_eq!(pick(None).unwrap_err(), want);
}

#[test]
fn models_and_blends_are_listed() {
    let (_folder, workspace) = workspace();
    let texts = |names: Vec<ModelId>| names.iter().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(texts(workspace.models(&moa()).unwrap()), [""; 0]);
    for path in ["nn/model.yaml", "imported/test.feather", "a b/model.yaml", "data/train.csv", ".git/model.yaml"] {
        put(&workspace.competition_folder(&moa()).join(path), "");
    }
    assert_eq!(texts(workspace.models(&moa()).unwrap()), ["imported", "nn"]);
    assert_eq!(workspace.model(&moa(), "nn").unwrap(), model("nn"));
    let error = workspace.model(&moa(), "nm").unwrap_err();
    assert_eq!(show(&workspace, &error), "unknown model `nm`, did you mean `nn`?\nmodels/moa\nthere are: imported, nn");
    let error = workspace.blend(&moa(), "best").unwrap_err();
    assert_eq!(show(&workspace, &error), "unknown blend `best`\nblends/moa\nthere is none yet");
    put(&workspace.recipe_file(&moa(), &blend("best_cv")), "");
    put(&workspace.recipe_file(&moa(), &blend("a")).with_extension("txt"), "");
    assert_eq!(workspace.blends(&moa()).unwrap(), [blend("best_cv")]);
    put(&workspace.submission_csv(&moa(), &blend("best_cv")), "");
    put(&workspace.ledger_file(&moa()), "");
    assert_eq!(workspace.submissions(&moa()).unwrap(), [blend("best_cv")]);
}

#[test]
fn paths_stay_inside() {
    let (_folder, workspace) = workspace();
    let yaml = workspace.competition_file(&moa());
    let resolve =
        |workspace: &Workspace, written: &str| workspace.resolve(&yaml, written).map_err(|error| error.to_string());
    let data = workspace.root().join("models/moa/data/x.csv");
    assert_eq!(resolve(&workspace, "data/x.csv"), Ok(data.clone()));
    assert_eq!(resolve(&workspace, "./../moa/./data/x.csv"), Ok(data.clone()));
    assert_eq!(resolve(&workspace, data.to_str().unwrap()), Ok(data.clone()));
    assert_eq!(resolve(&workspace, "../../../x.csv"), Err("path `../../../x.csv` leaves the workspace".into()));
    assert_eq!(resolve(&workspace, "/etc/passwd"), Err("path `/etc/passwd` leaves the workspace".into()));
    assert_eq!(resolve(&workspace, ""), Err("a path is empty".into()));
    let open = Workspace::at(workspace.root(), true).unwrap();
    assert_eq!(resolve(&open, "/etc/passwd"), Ok("/etc/passwd".into()));
}

#[cfg(unix)]
#[test]
fn links_do_not_lead_outside() {
    let (_folder, workspace) = workspace();
    let elsewhere = tempfile::tempdir().unwrap();
    let target = elsewhere.path().canonicalize().unwrap();
    put(&target.join("x.csv"), "");
    let folder = workspace.competition_folder(&moa());
    std::fs::create_dir_all(&folder).unwrap();
    std::os::unix::fs::symlink(&target, folder.join("data")).unwrap();
    let yaml = workspace.competition_file(&moa());
    for written in ["data/x.csv", "data/not-there/y.csv"] {
        let error = workspace.resolve(&yaml, written).unwrap_err().to_string();
        assert!(
            error.starts_with(&format!("path `{written}` leaves the workspace through a link to {}", target.display()))
        );
    }
    let open = Workspace::at(workspace.root(), true).unwrap();
    assert!(open.resolve(&yaml, "data/x.csv").is_ok());
}

#[test]
fn paths_are_written_relative_to_the_file() {
    let (_folder, workspace) = workspace();
    let root = workspace.root();
    let written = |folder: &str, path: &str| workspace.written(&root.join(folder), &root.join(path));
    assert_eq!(written("models/moa", "models/moa/data/x.csv"), "data/x.csv");
    assert_eq!(written("blends/moa", "models/moa/data/x.csv"), "../../models/moa/data/x.csv");
    assert_eq!(written("models/moa", "models/moa"), ".");
    assert_eq!(written("models/moa", "/elsewhere/x.csv"), "/elsewhere/x.csv");
    assert_eq!(workspace.show(&root.join("a/b")), Path::new("a/b"));
}

#[test]
fn a_file_that_yaml_names_must_be_there() {
    let (_folder, workspace) = workspace();
    let path = workspace.root().join("models/moa/data/train.csv");
    let error = workspace.require(&path, "`truth` of competition.yaml").unwrap_err();
    assert_eq!(error.kind(), Kind::Machine);
    let want = "file is not there\nmodels/moa/data/train.csv\nit is named by `truth` of competition.yaml";
    assert_eq!(show(&workspace, &error), want);
    put(&path, "");
    assert!(workspace.require(&path, "").is_ok());
}

#[test]
fn the_repositorys_own_documents_are_read() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let workspace = Workspace::at(&root, false).unwrap();
    for competition in workspace.competitions().unwrap() {
        Competition::read(&workspace, &competition).unwrap_or_else(|error| panic!("{}", show(&workspace, &error)));
        for model in workspace.models(&competition).unwrap() {
            manifest::read(&workspace, &competition, &model)
                .unwrap_or_else(|error| panic!("{}", show(&workspace, &error)));
        }
        for blend in workspace.blends(&competition).unwrap() {
            Recipe::read(&workspace, &competition, &blend)
                .unwrap_or_else(|error| panic!("{}", show(&workspace, &error)));
        }
    }
}

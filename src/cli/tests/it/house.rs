//! The house stands as it was drawn: who depends on whom, how long files are, and that every file on a shelf is in its
//! catalogue.

use cargo_metadata::{DependencyKind, MetadataCommand};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Normal dependencies of every room.
fn dependencies() -> BTreeMap<String, BTreeSet<String>> {
    let manifest = root().join("Cargo.toml");
    let metadata = MetadataCommand::new()
        .manifest_path(manifest)
        .no_deps()
        .other_options(["--offline".to_owned()])
        .exec()
        .expect("cargo metadata");
    metadata
        .packages
        .iter()
        .map(|package| {
            let normal = package.dependencies.iter().filter(|it| it.kind == DependencyKind::Normal);
            (package.name.to_string(), normal.map(|it| it.rename.clone().unwrap_or(it.name.clone())).collect())
        })
        .collect()
}

#[test]
fn rooms_depend_in_one_direction() {
    let all = dependencies();
    let ours =
        |room: &str| -> BTreeSet<String> { all[room].iter().filter(|name| all.contains_key(*name)).cloned().collect() };
    assert!(ours("blend-core").is_empty());
    for room in ["blend-search", "blend-store", "blend-infer", "blend-record"] {
        assert_eq!(ours(room), BTreeSet::from(["blend-core".to_owned()]), "{room}");
    }
    assert_eq!(ours("blend").len(), 5);
    assert_eq!(all.len(), 6, "six rooms");
}

#[test]
fn foreign_crates_stay_in_their_room() {
    let all = dependencies();
    for (krate, home) in [
        ("argmin", "blend-search"),
        ("polars", "blend-store"),
        ("ort", "blend-infer"),
        ("rten", "blend-infer"),
        ("serde_yaml", "blend-record"),
        ("csv", "blend-record"),
        ("clap", "blend"),
    ] {
        let users: Vec<&String> = all.iter().filter(|(_, uses)| uses.contains(krate)).map(|(room, _)| room).collect();
        assert_eq!(users, [home], "{krate}");
    }
}

fn files(folder: &Path, extension: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("folder") {
        let path = entry.expect("entry").path();
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        if path.is_dir() && name != "target" && !name.starts_with('.') {
            found.extend(files(&path, extension));
        } else if path.extension().is_some_and(|it| it == extension) {
            found.push(path);
        }
    }
    found
}

#[test]
fn no_file_is_too_long() {
    for extension in ["rs", "py", "sh"] {
        for path in files(&root(), extension) {
            let lines = fs::read_to_string(&path).expect("text").lines().count();
            assert!(lines <= 600, "{} has {lines} lines", path.display());
        }
    }
}

#[test]
fn every_file_on_a_shelf_is_in_its_catalogue() {
    // Files that serve a shelf without being on it.
    let helpers = ["mod", "laws", "golden", "context"];
    for shelf in ["core/src/metric", "core/src/space", "core/src/post", "core/src/audit", "search/src/solver"] {
        let folder = root().join("src").join(shelf);
        let catalogue = fs::read_to_string(folder.join("mod.rs")).expect("mod.rs");
        let list = catalogue.split("pub const CATALOGUE").nth(1).expect("a catalogue");
        let list = list.split("];").next().expect("an end");
        for entry in fs::read_dir(&folder).expect("shelf") {
            let path = entry.expect("entry").path();
            let name = path.file_stem().map(|it| it.to_string_lossy().into_owned()).unwrap_or_default();
            if path.is_dir() || helpers.contains(&name.as_str()) {
                continue;
            }
            assert!(list.contains(&format!("{name}::")), "{shelf}/{name}.rs is not in the catalogue");
        }
    }
}

/// Names of the files of a room that are compiled for its tests only: declared as `#[cfg(test)] mod name;`.
fn test_modules(sources: &[PathBuf]) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for path in sources {
        let text = fs::read_to_string(path).expect("text");
        for after in text.split("#[cfg(test)]\n").skip(1) {
            let line = after.lines().next().unwrap_or_default();
            if let Some(name) = line.strip_prefix("mod ").and_then(|rest| rest.strip_suffix(';')) {
                names.insert(format!("{name}.rs"));
            }
        }
    }
    names
}

#[test]
fn only_the_door_prints() {
    for room in ["core", "search", "store", "infer", "record"] {
        let sources = files(&root().join("src").join(room).join("src"), "rs");
        let tests = test_modules(&sources);
        for path in sources {
            let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
            if tests.contains(&name) {
                continue;
            }
            let text = fs::read_to_string(&path).expect("text");
            // A file's own tests are its last item.
            let code = text.split("\nmod tests {").next().unwrap_or_default();
            for word in ["println!", "eprintln!", "process::exit"] {
                assert!(!code.contains(word), "{} has {word}", path.display());
            }
        }
    }
}

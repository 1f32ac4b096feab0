//! The places where a library of ONNX Runtime may lie, in order.

use super::{Origin, Search};
use std::path::{Path, PathBuf};

/// Folders deep into a `.ort/` that are looked through.
const MAX_DEPTH: usize = 8;

/// The libraries to try, in order. A named library ends the list: it is that one or none.
pub(crate) fn candidates(search: &Search) -> Vec<(Origin, PathBuf)> {
    for (origin, named) in [(Origin::Option, &search.library), (Origin::Variable, &search.env_library)] {
        if let Some(path) = named {
            return vec![(origin, named_library(path))];
        }
    }
    let mut found: Vec<(Origin, PathBuf)> = Vec::new();
    if let Some(workspace) = &search.workspace {
        found.extend(below(&workspace.join(".ort"), 0).into_iter().map(|path| (Origin::Workspace, path)));
    }
    let program = search.exe.as_deref().and_then(Path::parent).and_then(Path::parent);
    let roots = program.into_iter().map(|root| (Origin::Program, root));
    let roots = roots.chain(search.environments.iter().map(|root| (Origin::Environment, root.as_path())));
    for (origin, root) in roots {
        found.extend(site_packages(root).into_iter().map(|path| (origin, path)));
    }
    if search.system {
        found.extend(system_names().map(|name| (Origin::System, PathBuf::from(name))));
    }
    let mut once: Vec<(Origin, PathBuf)> = Vec::new();
    for candidate in found {
        if !once.iter().any(|(_, path)| *path == candidate.1) {
            once.push(candidate);
        }
    }
    once
}

/// A folder stands for the library in it; a relative path is relative to the current folder; a bare name that is not
/// there is left to the system's loader.
fn named_library(path: &Path) -> PathBuf {
    if path.components().count() == 1 && !path.has_root() && !path.exists() {
        return path.to_owned();
    }
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    if absolute.is_dir() {
        return below(&absolute, 0).into_iter().next().unwrap_or(absolute);
    }
    absolute
}

/// Libraries of `<root>/lib/python*/site-packages/onnxruntime/capi`, newest Python first.
fn site_packages(root: &Path) -> Vec<PathBuf> {
    let mut pythons = entries(&root.join("lib"));
    pythons.retain(|path| file_name(path).starts_with("python"));
    pythons.sort_by_key(|path| std::cmp::Reverse(numbers(&file_name(path))));
    pythons.iter().flat_map(|python| libraries(&python.join("site-packages/onnxruntime/capi"))).collect()
}

/// Libraries in `folder` and below, links to folders not followed.
fn below(folder: &Path, depth: usize) -> Vec<PathBuf> {
    let mut found = libraries(folder);
    if depth < MAX_DEPTH {
        let is_folder = |path: &PathBuf| std::fs::symlink_metadata(path).is_ok_and(|metadata| metadata.is_dir());
        found.extend(entries(folder).into_iter().filter(is_folder).flat_map(|path| below(&path, depth + 1)));
    }
    found
}

/// Libraries directly in `folder`, highest version first.
fn libraries(folder: &Path) -> Vec<PathBuf> {
    let mut found = entries(folder);
    found.retain(|path| is_library(&file_name(path)) && path.is_file());
    found.sort_by_key(|path| std::cmp::Reverse(numbers(&file_name(path))));
    found
}

/// `libonnxruntime.so`, `libonnxruntime.so.1.31.1`, `libonnxruntime.1.31.1.dylib`; not its `_providers_` libraries.
fn is_library(name: &str) -> bool {
    let Some(rest) = name.strip_prefix("libonnxruntime.") else { return false };
    rest == "so" || rest.starts_with("so.") || rest == "dylib" || rest.ends_with(".dylib")
}

fn system_names() -> impl Iterator<Item = &'static str> {
    let names: &[&str] = if cfg!(target_os = "macos") {
        &["libonnxruntime.dylib"]
    } else {
        &["libonnxruntime.so", "libonnxruntime.so.1"]
    };
    names.iter().copied()
}

/// The entries of a folder in order of name; none where it cannot be read.
fn entries(folder: &Path) -> Vec<PathBuf> {
    let mut paths: Vec<PathBuf> =
        std::fs::read_dir(folder).map(|dir| dir.flatten().map(|entry| entry.path()).collect()).unwrap_or_default();
    paths.sort();
    paths
}

fn file_name(path: &Path) -> String {
    path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

/// The numbers in a name: `python3.12` is newer than `python3.9`.
fn numbers(name: &str) -> Vec<u64> {
    name.split(|c: char| !c.is_ascii_digit()).filter_map(|part| part.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn touch(path: &Path) {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, b"").unwrap();
    }

    fn scratch(name: &str) -> PathBuf {
        let folder = std::env::temp_dir().join(format!("blend-find-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(&folder).unwrap();
        folder
    }

    #[test]
    fn places_are_tried_in_order() {
        let root = scratch("order");
        let workspace = root.join("ws/.ort/onnxruntime/capi/libonnxruntime.so.1.31.1");
        let beside = root.join("ws/.ort/onnxruntime/capi/libonnxruntime_providers_shared.so");
        let program = root.join("env/lib/python3.12/site-packages/onnxruntime/capi/libonnxruntime.so.1.30.0");
        let older = root.join("env/lib/python3.9/site-packages/onnxruntime/capi/libonnxruntime.so.1.24.0");
        let venv = root.join("venv/lib/python3.11/site-packages/onnxruntime/capi/libonnxruntime.so.1.29.0");
        [&workspace, &beside, &program, &older, &venv].into_iter().for_each(|path| touch(path));
        let mut search = Search {
            workspace: Some(root.join("ws")),
            exe: Some(root.join("env/bin/blend")),
            environments: vec![root.join("venv"), root.join("env")],
            system: true,
            ..Search::default()
        };
        let found = candidates(&search);
        assert_eq!(
            found[..4],
            [
                (Origin::Workspace, workspace.clone()),
                (Origin::Program, program),
                (Origin::Program, older),
                (Origin::Environment, venv),
            ]
        );
        assert!(found[4..].iter().all(|(origin, _)| *origin == Origin::System) && found.len() > 4);
        search.env_library = Some(root.join("nowhere.so"));
        assert_eq!(candidates(&search), [(Origin::Variable, root.join("nowhere.so"))]);
        search.library = Some(root.join("ws/.ort"));
        assert_eq!(candidates(&search), [(Origin::Option, workspace)]);
        std::fs::remove_dir_all(root).unwrap();
    }

    #[test]
    fn nothing_anywhere_is_an_empty_list() {
        let search = Search { workspace: Some("/nonexistent".into()), ..Search::default() };
        assert!(candidates(&search).is_empty());
    }
}

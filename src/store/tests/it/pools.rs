//! Every table of a folder of real pools, where there is one: `BLEND_SHARED`, or `shared/data` beside the checkout.

use blend_core::TableSource;
use blend_store::{IdSpec, ReadOptions, StoreError, Table};
use std::{
    path::{Path, PathBuf},
    time::Instant,
};

fn pools() -> Option<PathBuf> {
    let beside = || Some(Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(3)?.join("shared/data"));
    std::env::var_os("BLEND_SHARED").map(PathBuf::from).or_else(beside).filter(|folder| folder.is_dir())
}

fn files(folder: &Path, out: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, out);
        } else {
            out.push(path);
        }
    }
}

#[test]
#[allow(clippy::print_stderr)]
fn every_table_of_the_pools_is_read() {
    let Some(folder) = pools() else {
        eprintln!("SKIPPED: no folder of pools; set BLEND_SHARED to one");
        return;
    };
    let mut paths = Vec::new();
    files(&folder, &mut paths);
    paths.sort();
    let ends = [".csv", ".csv.gz", ".parquet", ".feather", ".npy", ".npz"];
    paths.retain(|path| ends.iter().any(|end| path.to_string_lossy().ends_with(end)));
    let start = Instant::now();
    let (mut n_cells, mut wrong) = (0, Vec::new());
    for path in &paths {
        let read = Instant::now();
        let options = ReadOptions { id: IdSpec::Positions, ..ReadOptions::default() };
        let result = match Table::read(path, &options) {
            Err(StoreError::AmbiguousArray { known, .. }) => known
                .into_iter()
                .map(|array| Table::read(path, &ReadOptions { array: Some(array), ..options.clone() }))
                // Tensors of three dimensions, and single values, are no tables.
                .filter(
                    |result| !matches!(result, Err(StoreError::Corrupt { what, .. }) if what.contains("it has shape")),
                )
                .collect::<Result<Vec<_>, _>>(),
            result => result.map(|table| vec![table]),
        };
        match result {
            Ok(tables) => n_cells += tables.iter().map(|table| table.n_rows() * table.columns().len()).sum::<usize>(),
            Err(error) => wrong.push(format!("{error}")),
        }
        if read.elapsed().as_millis() > 300 {
            eprintln!("{:?} {}", read.elapsed(), path.display());
        }
    }
    eprintln!("{} files, {n_cells} cells, {:?}", paths.len(), start.elapsed());
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

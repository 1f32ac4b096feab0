"""The contests' own files to what the manifests name: coded tables, UMAP coordinates, fold maps, events."""

import os
import shutil
from pathlib import Path

import numpy as np
import pandas as pd

from . import cells, folds
from .preprocess import RankGauss
from .systems import HEADS_SEEDS

CONTROL = "ctl_vehicle"
NONSCORED = 331
VALIDATION = range(655, 660)  # the second place's hold-out


def coded(frame: pd.DataFrame, columns: cells.Columns = cells.FULL) -> pd.DataFrame:
    """The features of the contest as numbers, in the order of the graphs."""
    table = frame[["sig_id", *columns.names()]].copy()
    table["cp_type"] = (frame["cp_type"] != CONTROL).astype(np.float32)
    table["cp_time"] = frame["cp_time"].astype(np.float32)
    table["cp_dose"] = (frame["cp_dose"] == "D2").astype(np.float32)
    return table.astype({name: np.float32 for name in columns.names()})


def fold_maps(treated: np.ndarray, scored: np.ndarray, nonscored: np.ndarray, drugs: np.ndarray | None) -> dict[str, np.ndarray]:
    """Every map of `systems`, -1 where a row trains all networks of its model."""
    from sklearn.model_selection import KFold

    rows = np.flatnonzero(treated)

    def spread(fold: np.ndarray) -> np.ndarray:
        out = np.full(len(treated), -1)
        out[rows] = fold
        return out

    maps = {}
    for n_folds in (5, 10):
        maps[f"nonscored_{n_folds}"] = spread(folds.stratified(nonscored[rows], n_folds))
        maps[f"scored_{n_folds}"] = spread(folds.stratified(scored[rows], n_folds))
    for seed in HEADS_SEEDS:
        fold = np.empty(len(rows), np.int64)
        for at, (_, held_out) in enumerate(KFold(10, shuffle=True, random_state=seed).split(rows)):
            fold[held_out] = at
        maps[f"kfold_seed{seed}"] = spread(fold)
    maps["all_10"] = folds.stratified(scored, 10, seed=1120)
    if drugs is not None:
        maps["drug_5"] = spread(folds.by_drug(drugs[rows], scored[rows]))
    return maps


def umap_tables(train: np.ndarray, test: np.ndarray, columns: cells.Columns) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """`umap70`: fitted on raw rows of train and test; `umap20`: on ranks of the training rows."""
    try:
        from umap import UMAP
    except ImportError:
        raise SystemExit("UMAP coordinates need a package more: python -m pip install umap-learn") from None
    genes = columns.genes

    def fitted(n_genes: int, n_cells: int, on: np.ndarray, parts: tuple[np.ndarray, ...]) -> tuple[np.ndarray, ...]:
        maps = [UMAP(n_components=n, random_state=0, n_jobs=1).fit(on[:, part])
                for n, part in ((n_genes, slice(genes)), (n_cells, slice(genes, None)))]
        place = lambda x: [maps[0].transform(x[:, :genes]), maps[1].transform(x[:, genes:])]  # noqa: E731
        return tuple(np.concatenate(place(x), axis=1) for x in parts)

    ranks = RankGauss(columns.measured)
    ranked = ranks.fit(np.concatenate([train, test]))
    both = (ranked[: len(train)], ranked[len(train) :])
    return {"umap70": fitted(45, 25, np.concatenate([train, test]), (train, test)), "umap20": fitted(15, 5, both[0], both)}


def linear_tables(train: np.ndarray, test: np.ndarray, columns: cells.Columns) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Principal components in the place of UMAP coordinates, eight of each table: for tables that are made up anyway."""
    from sklearn.decomposition import PCA

    fitted = PCA(8, random_state=0).fit(train[:, : columns.genes])
    both = tuple(fitted.transform(x[:, : columns.genes]) for x in (train, test))
    return {"umap70": both, "umap20": both}


def moa(raw: Path, out: Path, columns: cells.Columns = cells.FULL, coordinates=umap_tables) -> None:
    """From train_features.csv, test_features.csv, train_targets_scored.csv, train_targets_nonscored.csv and, for the
    model with drug folds, train_drug.csv."""
    out.mkdir(parents=True, exist_ok=True)
    read = lambda name: pd.read_csv(raw / name)  # noqa: E731
    frames = {split: read(f"{split}_features.csv") for split in ("train", "test")}
    scored, nonscored = read("train_targets_scored.csv"), read("train_targets_nonscored.csv")
    drugs = read("train_drug.csv") if (raw / "train_drug.csv").exists() else None
    key = frames["train"][["sig_id"]]
    aligned = lambda frame: key.merge(frame, on="sig_id", how="left", validate="one_to_one").iloc[:, 1:].to_numpy()  # noqa: E731
    # Those of the 402 that occur; in tables cut from the contest's, as many.
    frequent = np.argsort(-nonscored.iloc[:, 1:].to_numpy().sum(axis=0), kind="stable")[:NONSCORED]
    nonscored = nonscored[["sig_id", *nonscored.columns[1:][np.sort(frequent)]]]
    treated = (frames["train"]["cp_type"] != CONTROL).to_numpy()
    maps = fold_maps(treated, aligned(scored), aligned(nonscored), None if drugs is None else aligned(drugs)[:, 0])
    pd.concat([key, pd.DataFrame(maps)], axis=1).to_csv(out / "folds.csv", index=False)
    nonscored.to_parquet(out / "targets_nonscored.parquet", index=False)
    tables = {split: coded(frame, columns) for split, frame in frames.items()}
    measured = {split: table.iloc[:, 1 + cells.CODES :].to_numpy() for split, table in tables.items()}
    for split, table in tables.items():
        table.to_parquet(out / f"features_{split}.parquet", index=False)
    for name, arrays in coordinates(measured["train"], measured["test"], columns).items():
        for split, array in zip(("train", "test"), arrays):
            frame = pd.DataFrame(array.astype(np.float32), columns=[f"u{at}" for at in range(array.shape[1])])
            frame.insert(0, "sig_id", frames[split]["sig_id"])
            frame.to_parquet(out / f"{name}_{split}.parquet", index=False)


def linked(source: Path, target: Path) -> None:
    """The same file under another name; a copy where the file system cannot."""
    if target.exists() and target.samefile(source):
        return
    target.unlink(missing_ok=True)
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)


def icecube(raw: Path, out: Path) -> None:
    """From train/batch_655 to 659, test/, train_meta.parquet, sensor_geometry.csv, ice_transparency.txt and
    sample_submission.parquet: the hold-out of the second place as the truth, the test events as they are."""
    out.mkdir(parents=True, exist_ok=True)
    for batch in VALIDATION:
        linked(raw / "train" / f"batch_{batch}.parquet", out / f"batch_{batch}.parquet")
    for path in sorted((raw / "test").glob("batch_*.parquet")):
        linked(path, out / path.name)
    linked(raw / "sensor_geometry.csv", out / "sensor_geometry.csv")
    meta = pd.read_parquet(raw / "train_meta.parquet", filters=[("batch_id", "in", list(VALIDATION))])
    truth = meta[["event_id", "azimuth", "zenith"]].assign(fold=0)
    truth.to_csv(out / "truth.csv", index=False)
    ice = pd.read_csv(raw / "ice_transparency.txt", sep=r"\s+")
    ice.columns = ["depth", "scattering_len", "absorption_len"]
    ice.to_csv(out / "ice_transparency.csv", index=False)
    sample = pd.read_parquet(raw / "sample_submission.parquet")
    sample[["event_id", "azimuth", "zenith"]].to_csv(out / "sample_submission.csv", index=False)

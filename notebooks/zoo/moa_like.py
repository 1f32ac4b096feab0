"""Made-up measurements for real labels: files in the layout of the MoA contest, whose own features cannot be had.

Every target pushes a few hidden pathways, every drug has an effect of its own that its rows share (which is why folds by
drug are harder), dose and time scale both; genes mix the pathways, cell viabilities fall with a hidden toxicity; noise
has heavy tails and values end at 10, as in the contest. What models score on this says nothing about the contest.
"""

from pathlib import Path

import numpy as np
import pandas as pd

from . import cells, contest_files

PATHWAYS = 40


def measurements(
    positive: np.ndarray, drug: np.ndarray, control: np.ndarray, columns: cells.Columns, seed: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Features (n, genes + cells), hours and dose codes of rows with labels `positive` (n, targets) and drugs (n,)."""
    random = np.random.default_rng(seed)
    n, n_targets = positive.shape
    pushes = random.normal(size=(n_targets, PATHWAYS)) * (random.random((n_targets, PATHWAYS)) < 0.12) * 2.0
    own = random.normal(size=(drug.max() + 1, PATHWAYS)) * 0.45
    hours, dose = random.choice([24, 48, 72], n), random.integers(0, 2, n)
    strength = (0.7 + 0.3 * dose) * (0.8 + 0.1 * (hours / 24 - 1)) * random.lognormal(0, 0.25, n)
    state = np.where(control[:, None], 0, (positive @ pushes + own[drug]) * strength[:, None])
    state = state + 0.5 * random.standard_t(5, (n, PATHWAYS))
    mixing = random.normal(size=(PATHWAYS, columns.genes)) * (random.random((PATHWAYS, columns.genes)) < 0.3) * 0.6
    genes = np.tanh(state / 3) * 3 @ mixing + 0.8 * random.standard_t(4, (n, columns.genes))
    toxic = np.maximum(state @ (random.normal(size=PATHWAYS) / PATHWAYS**0.5), 0)
    viabilities = -toxic[:, None] * random.uniform(0.5, 1.5, columns.cells) + 0.7 * random.standard_t(4, (n, columns.cells))
    return np.clip(np.round(np.concatenate([genes, viabilities], axis=1), 4), -10, 10), hours, dose


def write(labels: Path, out: Path, rows: int | None = None, seed: int = 7) -> None:
    """The contest's files, and `umap*.parquet` in a linear stand-in, from a folder with the real label tables
    (`train_targets_scored.parquet`, `train_targets_nonscored.parquet`, `train_drug.parquet`). A sixth of the drugs,
    and of the vehicle's rows, becomes the test set. The labels are the contest's: keep what this writes to yourself."""
    columns = cells.SMALL
    out.mkdir(parents=True, exist_ok=True)
    tables = [pd.read_parquet(labels / f"train_{name}.parquet") for name in ("targets_scored", "targets_nonscored", "drug")]
    if rows is not None:
        chosen = np.sort(np.random.default_rng(seed).permutation(len(tables[0]))[:rows])
        tables = [tables[0].iloc[chosen]] + [tables[0][["sig_id"]].iloc[chosen].merge(it, on="sig_id") for it in tables[1:]]
    scored, nonscored, drugs = (it.reset_index(drop=True) for it in tables)
    nonscored = scored[["sig_id"]].merge(nonscored, on="sig_id", validate="one_to_one")
    drugs = scored[["sig_id"]].merge(drugs, on="sig_id", validate="one_to_one")
    names, drug = np.unique(drugs["drug_id"], return_inverse=True)
    control = drug == np.bincount(drug).argmax()  # the vehicle is the most frequent "drug", with all labels 0
    positive = np.concatenate([scored.iloc[:, 1:], nonscored.iloc[:, 1:]], axis=1).astype(np.float64)
    features, hours, dose = measurements(positive, drug, control, columns, seed)
    frame = pd.DataFrame(features, columns=columns.names()[cells.CODES :])
    codes = {"cp_type": np.where(control, "ctl_vehicle", "trt_cp"), "cp_time": hours, "cp_dose": np.where(dose == 1, "D2", "D1")}
    frame = pd.concat([scored[["sig_id"]], pd.DataFrame(codes), frame], axis=1)
    draw = np.random.default_rng(seed + 1)
    in_test = np.where(control, draw.random(len(drug)), draw.random(len(names))[drug]) < 1 / 6
    parts = {"train": np.flatnonzero(~in_test), "test": np.flatnonzero(in_test)}
    for split, at in parts.items():
        frame.iloc[at].to_csv(out / f"{split}_features.csv", index=False)
    for name, table in (("targets_scored", scored), ("targets_nonscored", nonscored), ("drug", drugs)):
        table.iloc[parts["train"]].to_csv(out / f"train_{name}.csv", index=False)
    scored.iloc[parts["test"]].to_csv(out / "test_labels.csv", index=False)
    sample = pd.DataFrame(0.5, index=parts["test"], columns=scored.columns[1:])
    sample.insert(0, "sig_id", scored["sig_id"].iloc[parts["test"]])
    sample.to_csv(out / "sample_submission.csv", index=False)
    contest_files.moa(out, out, columns, contest_files.linear_tables)

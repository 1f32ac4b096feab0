"""Build the competition's tables from scikit-learn's copy of the UCI digits."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.datasets import load_digits
from sklearn.model_selection import StratifiedKFold, train_test_split

SPLIT_SEED = 20
FOLDS = 5
CLASSES = 10
TEST_ROWS = 540
PIXELS = [f"pixel_{i:02d}" for i in range(64)]


@dataclass(frozen=True)
class Digits:
    """Everything training and scoring need, in the row order of the CSV files."""

    train_ids: np.ndarray
    train_x: np.ndarray  # float32 [rows, 64], raw intensities 0..16
    train_y: np.ndarray
    fold: np.ndarray
    test_ids: np.ndarray
    test_x: np.ndarray
    test_y: np.ndarray
    test_public: np.ndarray  # bool


def write_tables(folder: Path) -> None:
    """Split the images and write the five CSV files into `folder`.

    An id is the image's position in the source data set, so a row can always be
    traced back to its image.
    """
    source = load_digits()
    images = source.data.astype(int)
    labels = source.target.astype(int)
    ids = np.array([f"d{i + 1:04d}" for i in range(len(labels))])

    train, test = train_test_split(
        np.arange(len(labels)),
        test_size=TEST_ROWS,
        stratify=labels,
        random_state=SPLIT_SEED,
    )
    train = np.sort(train)  # test rows stay shuffled: readers must join by id

    fold = np.empty(len(train), dtype=int)
    splitter = StratifiedKFold(FOLDS, shuffle=True, random_state=SPLIT_SEED)
    for k, (_, held_out) in enumerate(splitter.split(train, labels[train])):
        fold[held_out] = k

    _, private = train_test_split(
        np.arange(len(test)),
        test_size=0.7,
        stratify=labels[test],
        random_state=SPLIT_SEED,
    )
    usage = np.full(len(test), "Public", dtype=object)
    usage[private] = "Private"

    folder.mkdir(parents=True, exist_ok=True)

    def write(name: str, frame: pd.DataFrame) -> None:
        frame.to_csv(folder / name, index=False, lineterminator="\n")

    def features(rows: np.ndarray) -> pd.DataFrame:
        frame = pd.DataFrame(images[rows], columns=PIXELS)
        frame.insert(0, "id", ids[rows])
        return frame

    write("train.csv", pd.DataFrame({"id": ids[train], "target": labels[train], "fold": fold}))
    write("train_features.csv", features(train))
    write("test_features.csv", features(test))
    write("test_labels.csv", pd.DataFrame({"id": ids[test], "target": labels[test], "usage": usage}))
    sample = pd.DataFrame({"id": ids[test]} | {f"class_{c}": 0.1 for c in range(CLASSES)})
    write("sample_submission.csv", sample)


def read_tables(folder: Path) -> Digits:
    """Read the CSV files back, so that training sees exactly what `blend` sees."""
    train = pd.read_csv(folder / "train.csv")
    train_x = pd.read_csv(folder / "train_features.csv").set_index("id")
    test_x = pd.read_csv(folder / "test_features.csv").set_index("id")
    labels = pd.read_csv(folder / "test_labels.csv").set_index("id")

    labels = labels.loc[test_x.index]
    return Digits(
        train_ids=train["id"].to_numpy(),
        train_x=train_x.loc[train["id"], PIXELS].to_numpy(np.float32),
        train_y=train["target"].to_numpy(np.int64),
        fold=train["fold"].to_numpy(np.int64),
        test_ids=test_x.index.to_numpy(),
        test_x=test_x[PIXELS].to_numpy(np.float32),
        test_y=labels["target"].to_numpy(np.int64),
        test_public=(labels["usage"] == "Public").to_numpy(),
    )

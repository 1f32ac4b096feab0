"""What has no formula for a new row or column, and so cannot be part of a graph's arithmetic: t-SNE places of features and UMAP
coordinates of rows. Both are fitted once and kept as arrays, here for made-up measurements; `layout.ipynb` tells how."""

from pathlib import Path

import numpy as np

from . import cells, moa_like
from .deepinsight import LogScale, layout

SHIPPED = Path(__file__).parent / "arrays" / "layout.npz"
SIZE = 32  # pixels of a side
ROWS, DRUGS, TARGETS = 600, 80, 40


def made_up(seed: int = 5) -> tuple[np.ndarray, np.ndarray]:
    """Measurements of the small table, (rows, genes + cells), and the drug of every row; drug 0 is the vehicle."""
    random = np.random.default_rng(seed)
    drug = random.integers(0, DRUGS, ROWS)
    positive = (random.random((DRUGS, TARGETS)) < 0.05)[drug].astype(np.float64)
    positive[drug == 0] = 0
    measured, _, _ = moa_like.measurements(positive, drug, drug == 0, cells.SMALL, seed)
    return measured.astype(np.float32), drug


def places(measured: np.ndarray) -> np.ndarray:
    """Pixels of the features, (columns, 2): those that behave alike lie close together."""
    return layout(LogScale(measured.shape[1]).fit(measured), SIZE)


def coordinates(measured: np.ndarray) -> np.ndarray:
    """UMAP coordinates of the rows, (rows, 2)."""
    from umap import UMAP

    return UMAP(n_components=2, random_state=0).fit_transform(measured).astype(np.float32)


def ship(path: Path = SHIPPED) -> None:
    """Fits both anew."""
    measured, _ = made_up()
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(path, places=places(measured).astype(np.uint8), coordinates=coordinates(measured))


def shipped() -> tuple[np.ndarray, np.ndarray]:
    """Pixels of the features and coordinates of the rows."""
    with np.load(SHIPPED) as arrays:
        return arrays["places"].astype(np.int64), arrays["coordinates"]

"""DeepInsight (Sharma et al. 2019): a row of a table drawn as an image, features that behave alike close together.

Where a feature lies is found once per fold by t-SNE and kept as an array; drawing the image is part of the graph, so
that nobody has to store gigabytes of images.
"""

import numpy as np
import torch
from torch import nn

from . import cells
from .layers import Island


class LogScale(Island):
    """The paper's second norm: logarithms above each feature's smallest training value, all divided by one number."""

    def __init__(self, columns: int):
        super().__init__()
        self.register_buffer("low", torch.zeros(columns))
        self.register_buffer("high", torch.ones(()))

    def fit(self, x: np.ndarray) -> np.ndarray:
        low = x.min(axis=0)
        self.low.copy_(torch.from_numpy(low))
        scaled = np.log(np.maximum(x, low) + np.abs(low) + 1)
        self.high.copy_(torch.tensor(scaled.max()))
        return np.clip(scaled / scaled.max(), 0, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        scaled = torch.log(torch.maximum(x, self.low) + self.low.abs() + 1)
        return (scaled / self.high).clamp(0, 1)


def unit_codes(features: torch.Tensor) -> torch.Tensor:
    """Type and dose as they are, times 24, 48, 72 as 0, 1/2, 1."""
    time = (features[:, 1:2] - cells.TIMES[0]) / (cells.TIMES[-1] - cells.TIMES[0])
    return torch.cat([features[:, 0:1], time, features[:, 2:]], dim=1)


def layout(x: np.ndarray, size: int, seed: int = 1120, perplexity: float = 5.0) -> np.ndarray:
    """Pixels of the columns of `x`, (columns, 2) in 0..size: t-SNE by cosine distance, turned so that its smallest
    bounding rectangle is upright."""
    from scipy.spatial import ConvexHull
    from sklearn.manifold import TSNE

    tsne = TSNE(metric="cosine", perplexity=perplexity, method="exact", init="random", random_state=seed)
    points = tsne.fit_transform(x.T.astype(np.float64)).astype(np.float64)
    corners = points[ConvexHull(points).vertices]
    edges = np.roll(corners, -1, axis=0) - corners
    angles = np.arctan2(edges[:, 1], edges[:, 0])  # a smallest rectangle has a side on the hull
    turns = [np.array([[np.cos(a), -np.sin(a)], [np.sin(a), np.cos(a)]]) for a in angles]
    turn = min(turns, key=lambda turn: np.prod(np.ptp(corners @ turn, axis=0)))
    turned = points @ turn
    unit = (turned - turned.min(axis=0)) / np.ptp(turned, axis=0)
    return np.minimum((unit * size).astype(int), size - 1)


class Draw(Island):
    """(n, columns) to (n, 3, size, size): mean, smallest and largest of the features that share a pixel, else 0."""

    def __init__(self, columns: int, size: int):
        super().__init__()
        self.size = size
        # Two gathers: features to lit pixels (each padded to `most` by its first feature), lit pixels to the image.
        self.register_buffer("members", torch.arange(columns)[:, None])
        self.register_buffer("shares", torch.ones(columns, 1))
        self.register_buffer("lit", torch.full((size * size,), columns))
        side = int(np.ceil(columns**0.5))
        at = np.arange(columns)
        self.place(np.stack([at // side, at % side], axis=1) * (size // side))

    def place(self, pixels: np.ndarray) -> None:
        """Says where each column lies."""
        flat = pixels[:, 0] * self.size + pixels[:, 1]
        used, slot, counts = np.unique(flat, return_inverse=True, return_counts=True)
        most = int(counts.max())
        members = np.zeros((len(used), most), np.int64)
        shares = np.zeros((len(used), most), np.float32)
        for at in range(len(used)):
            inside = np.flatnonzero(slot == at)
            members[at] = np.pad(inside, (0, most - len(inside)), constant_values=inside[0])
            shares[at, : len(inside)] = 1 / len(inside)
        lit = np.full(self.size * self.size, len(used), np.int64)
        lit[used] = np.arange(len(used))
        self.members, self.shares, self.lit = map(torch.from_numpy, (members, shares, lit))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        shared = x[:, self.members]
        values = [(shared * self.shares).sum(2), shared.amin(2), shared.amax(2)]
        channels = torch.stack([nn.functional.pad(value, (0, 1)) for value in values], dim=1)
        return channels[:, :, self.lit].reshape(-1, 3, self.size, self.size)


class Image(nn.Module):
    """The table of the contest to images."""

    def __init__(self, columns: cells.Columns, size: int):
        super().__init__()
        self.scale = LogScale(columns.table)
        self.draw = Draw(columns.table, size)

    def fit(self, features: np.ndarray, rows: int = 4000, seed: int = 1120) -> None:
        """`rows`: at most so many training rows place the features."""
        coded = unit_codes(torch.from_numpy(features.astype(np.float32))).numpy()
        scaled = self.scale.fit(coded)
        chosen = np.random.default_rng(seed).permutation(len(scaled))[:rows]
        self.draw.place(layout(scaled[chosen], self.draw.size, seed))

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        return self.draw(self.scale(unit_codes(features)))


def head(inputs: int, hidden: int, outputs: int, dropout: float) -> nn.Sequential:
    """What takes the place of the pretrained classifier."""
    return nn.Sequential(nn.Linear(inputs, hidden), nn.ELU(), nn.Dropout(dropout), nn.Linear(hidden, outputs))

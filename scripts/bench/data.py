"""What lies in the bench's workspace: the problems as a user of numpy holds them, and the score that judges weights.

Every problem has `names`, `with_gradient()` (value and gradient at weights), `columns()` (models as flat columns,
labels and a loss: what the selections take), `score(weights)` and `bound(weights)`, how much is at most left to gain.
"""

import functools
import json
import pathlib

import numpy as np


def opened(workspace, shape):
    """`moa-N`: lish-moa's shape with its first N models; `classes` and `directions`: the shapes of `shapes.py`."""
    if shape.startswith("moa-"):
        return Pool(workspace, int(shape.removeprefix("moa-")))
    return {"classes": Classes, "directions": Directions}[shape](workspace)


def folder_of(workspace, competition):
    return pathlib.Path(workspace) / "models" / competition / "data"


class Likelihood:
    """A mean of negative logarithms of one number per cell, which is linear in the weights."""

    likelihood: np.ndarray  # models x cells, float64: the probability that each model gives to what was true

    def with_gradient(self):
        """Value and gradient by numpy: a product per model, one logarithm and one division per cell."""
        likelihood = self.likelihood

        def both(weights):
            blend = np.maximum(weights @ likelihood, 1e-15)
            value = -np.log(blend).mean()
            np.divide(-1 / blend.size, blend, out=blend)
            return value, likelihood @ blend

        return both

    def columns(self):
        likelihood = self.likelihood
        return list(likelihood), np.ones(likelihood.shape[1]), lambda _, p: -np.log(np.maximum(p, 1e-15)).mean()

    def bound(self, weights):
        """The loss is convex: on the simplex the slope toward the best corner bounds what is left to gain."""
        slope = self.with_gradient()(weights)[1]
        return float(weights @ slope - slope.min())


class Pool(Likelihood):
    """The first `n` models and the labels of lish-moa's shape."""

    def __init__(self, workspace, n):
        folder = folder_of(workspace, "moa")
        self.names = json.loads((folder / "problem.json").read_text())["models"][:n]
        self.truth = np.load(folder / "truth.npy")
        self.files = [folder / f"{name}.npy" for name in self.names]

    @functools.cached_property
    def oof(self):
        """Models x rows x targets in float64, as the winners held them."""
        return self.read()

    def read(self):
        oof = np.empty((len(self.files), *self.truth.shape))
        for into, file in zip(oof, self.files):
            into[:] = np.load(file)
        return oof

    @functools.cached_property
    def likelihood(self):
        """The probability that each model gives to what was true, one row per model.

        On the simplex the blend's likelihood is the blend of these, so that one logarithm per cell is enough. It is
        the fastest form of the problem for a user of numpy, and the methods with a gradient get it ready-made.
        """
        oof = self.read().reshape(len(self.files), -1)
        truth = self.truth.ravel() == 0
        for row in oof:
            np.subtract(1, row, out=row, where=truth)
        return oof

    def score(self, weights):
        return log_loss(np.tensordot(weights, self.oof, axes=1), self.truth)


class Classes(Likelihood):
    """Of every row the true class's probability is all that the loss reads, while weights sum to one."""

    def __init__(self, workspace):
        folder = folder_of(workspace, "classes")
        self.names = json.loads((folder / "problem.json").read_text())["models"]
        self.file = folder / "likelihood.npy"

    @functools.cached_property
    def likelihood(self):
        return np.load(self.file).astype(np.float64)

    def score(self, weights):
        return float(-np.log(np.maximum(weights @ self.likelihood, 1e-15)).mean())


class Directions:
    """Unit vectors and the mean angle between their weighted sum and the truth. Not convex: no bound is known."""

    def __init__(self, workspace):
        folder = folder_of(workspace, "directions")
        self.names = json.loads((folder / "problem.json").read_text())["models"]
        angles = np.load(folder / "truth.npy")
        self.truth = direction(angles[:, 0], angles[:, 1])
        self.files = [folder / f"{name}.npy" for name in self.names]

    @functools.cached_property
    def vectors(self):
        """Models x rows x 3, float64, of length 1."""
        vectors = np.stack([np.load(file) for file in self.files]).astype(np.float64)
        return vectors / np.linalg.norm(vectors, axis=2, keepdims=True)

    def with_gradient(self):
        """Value and gradient by numpy. The models' products with the truth are made once, outside of the search."""
        vectors = self.vectors
        toward = np.einsum("krc,rc->kr", vectors, self.truth)
        flat = vectors.reshape(len(vectors), -1)

        def both(weights):
            blend = (weights @ flat).reshape(-1, 3)
            along = weights @ toward
            square = np.einsum("rc,rc->r", blend, blend)
            across = np.sqrt(np.maximum(square - along * along, 1e-30))  # |v x n|
            value = np.arctan2(across, along).mean()
            # d angle / dv = (v (v.n) / |v|^2 - n) / |v x n|
            across *= len(along)
            turn = (along / (square * across))[:, None] * blend
            return value, flat @ turn.ravel() - toward @ (1 / across)

        return both

    def columns(self):
        return list(self.vectors.reshape(len(self.files), -1)), self.truth.ravel(), fast_mean_angle

    def score(self, weights):
        return mean_angle(self.truth.ravel(), np.tensordot(weights, self.vectors, axes=1).ravel())

    def bound(self, weights):
        return float("nan")


def mean_angle(truth, blend):
    truth, blend = truth.reshape(-1, 3), blend.reshape(-1, 3)
    across = np.linalg.norm(np.cross(truth, blend), axis=1)
    return float(np.arctan2(across, np.einsum("rc,rc->r", truth, blend)).mean())


def fast_mean_angle(truth, blend):
    """The same to about 1e-8 for truths of length 1, without the cross product that numpy is slow at."""
    truth, blend = truth.reshape(-1, 3), blend.reshape(-1, 3)
    along = np.einsum("rc,rc->r", truth, blend)
    across = np.sqrt(np.maximum(np.einsum("rc,rc->r", blend, blend) - along * along, 0))
    return float(np.arctan2(across, along).mean())


def direction(azimuth, zenith):
    """The unit vector of two angles in radians, rows x 3."""
    return np.stack([np.cos(azimuth) * np.sin(zenith), np.sin(azimuth) * np.sin(zenith), np.cos(zenith)], axis=1)


def log_loss(blend, truth):
    """Kaggle's metric in float64: every column has all rows, so the mean over cells is the mean over columns."""
    p = np.clip(blend, 1e-15, 1 - 1e-15)
    return float(np.where(truth == 1, -np.log(p), -np.log(1 - p)).mean())

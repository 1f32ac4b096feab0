"""What lies in the bench's workspace, and the one score that all weights are judged by."""

import json
import pathlib

import numpy as np


class Pool:
    """The first `n` models and the labels."""

    def __init__(self, workspace, n):
        folder = pathlib.Path(workspace) / "models" / "moa" / "data"
        self.names = json.loads((folder / "problem.json").read_text())["models"][:n]
        self.truth = np.load(folder / "truth.npy")
        self.files = [folder / f"{name}.npy" for name in self.names]

    def oof(self):
        """Models x rows x targets in float64, as the winners held them."""
        oof = np.empty((len(self.files), *self.truth.shape))
        for into, file in zip(oof, self.files):
            into[:] = np.load(file)
        return oof

    def likelihood(self):
        """The probability that each model gives to what was true, one row per model.

        On the simplex the blend's likelihood is the blend of these, so that one logarithm per cell is enough. It is
        the fastest form of the problem for a user of numpy, and the methods with a gradient get it ready-made.
        """
        oof = self.oof().reshape(len(self.files), -1)
        truth = self.truth.ravel() == 0
        for row in oof:
            np.subtract(1, row, out=row, where=truth)
        return oof


def log_loss(blend, truth):
    """Kaggle's metric in float64: every column has all rows, so the mean over cells is the mean over columns."""
    p = np.clip(blend, 1e-15, 1 - 1e-15)
    return float(np.where(truth == 1, -np.log(p), -np.log(1 - p)).mean())

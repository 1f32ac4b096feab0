"""Preprocessing as modules: fitted on arrays, kept as buffers, exported inside the graph.

Every module has `fit(x)`, which returns what it makes of `x`, and a `forward` that does the same in the graph. Means,
projections and quantiles are fitted in 64 bits and stored in 32.
"""

import numpy as np
import torch
from torch import nn

from .layers import Island

SMALLEST = 1e-7  # of a probability that goes through the inverse normal


def inverse_normal(p: torch.Tensor, q: torch.Tensor) -> torch.Tensor:
    """The normal quantile of `p`, given q = 1 - p too, both at least `SMALLEST`.

    Algorithm AS 241, PPND7 (Wichura, Applied Statistics 37, 1988): relative error about 1e-7. The two-sided argument
    keeps the upper tail as exact as the lower.
    """
    center = 0.5 * (p - q)
    r = 0.180625 - center * center
    inner = center * (((59.109374720 * r + 159.29113202) * r + 50.434271938) * r + 3.3871327179)
    inner = inner / (((67.187563600 * r + 78.757757664) * r + 17.895169469) * r + 1.0)
    r = torch.sqrt(-torch.log(torch.minimum(p, q))) - 1.6
    outer = (((0.17023821103 * r + 1.3067284816) * r + 2.7568153900) * r + 1.4234372777)
    outer = outer / ((0.12021132975 * r + 0.73700164250) * r + 1.0)
    return torch.where(center.abs() <= 0.425, inner, torch.where(center < 0, -outer, outer))


class RankGauss(Island):
    """Every column through its own quantiles to a normal distribution, as scikit-learn's `QuantileTransformer`."""

    def __init__(self, columns: int, n_quantiles: int = 100):
        super().__init__()
        self.columns, self.n_quantiles = columns, n_quantiles
        self.width = 1 << n_quantiles.bit_length()  # knots are padded with infinity, so that a binary search needs no end
        knots = torch.full((columns, self.width), torch.inf)
        knots[:, :n_quantiles] = torch.linspace(-3, 3, n_quantiles)
        self.register_buffer("knots", knots)

    def fit(self, x: np.ndarray) -> np.ndarray:
        quantiles = np.nanpercentile(x, np.linspace(0, 100, self.n_quantiles), axis=0)
        quantiles = np.maximum.accumulate(quantiles)  # interpolation may round downwards
        self.knots[:, : self.n_quantiles] = torch.from_numpy(quantiles.T.astype(np.float32))
        return applied(self, x)

    def below(self, x: torch.Tensor, start: torch.Tensor, equal_too: bool) -> torch.Tensor:
        """Knots of its own column that are below each value: a binary search without branches."""
        flat = self.knots.reshape(-1)
        found = torch.zeros_like(x, dtype=torch.int64)
        step = self.width // 2
        while step:
            knot = flat[start + found + (step - 1)]
            found = found + step * (knot <= x if equal_too else knot < x).long()
            step //= 2
        return found

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        last = self.n_quantiles - 1
        start = torch.arange(self.columns, device=x.device) * self.width
        flat = self.knots.reshape(-1)
        upper = self.below(x, start, equal_too=True) - 1  # the last knot that is not above, -1 for none
        lower = self.below(x, start, equal_too=False)  # the first knot that is not below, last + 1 for none
        left, right = upper.clamp(0, last), lower.clamp(0, last)
        low, high = flat[start + left], flat[start + right]
        between = left < right
        share = torch.where(between, (x - low) / torch.where(between, high - low, torch.ones_like(low)), 0.5)
        # On a knot, and on several equal ones, the middle of them; at an end of the column all the way.
        position = left.float() + share * (right - left).float()
        rest = (last - right).float() + (1 - share) * (right - left).float()
        lowest, highest = x <= self.knots[:, 0], x >= self.knots[:, last]
        position = torch.where(lowest, 0.0, torch.where(highest, float(last), position))
        rest = torch.where(lowest, float(last), torch.where(highest, 0.0, rest))
        p, q = (position / last).clamp(SMALLEST, 1), (rest / last).clamp(SMALLEST, 1)
        return inverse_normal(p, q)


class Standard(Island):
    """Every column less its mean, divided by its standard deviation (by 1 where that is 0)."""

    def __init__(self, columns: int):
        super().__init__()
        self.register_buffer("mean", torch.zeros(columns))
        self.register_buffer("scale", torch.ones(columns))

    def fit(self, x: np.ndarray) -> np.ndarray:
        deviation = x.std(axis=0, dtype=np.float64)
        self.mean.copy_(torch.from_numpy(x.mean(axis=0, dtype=np.float64)))
        self.scale.copy_(torch.from_numpy(np.where(deviation > 1e-12, deviation, 1.0)))
        return applied(self, x)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return (x - self.mean) / self.scale


class Projection(Island):
    """(x - mean) @ weight: what principal components and factor analysis amount to."""

    def __init__(self, columns: int, components: int):
        super().__init__()
        self.register_buffer("mean", torch.zeros(columns))
        self.register_buffer("weight", torch.zeros(columns, components))

    def _set(self, mean: np.ndarray, weight: np.ndarray) -> None:
        self.mean.copy_(torch.from_numpy(mean))
        self.weight.copy_(torch.from_numpy(weight))

    def fit_principal(self, x: np.ndarray, seed: int = 0) -> np.ndarray:
        from sklearn.decomposition import PCA

        fitted = PCA(self.weight.shape[1], random_state=seed).fit(x)
        self._set(fitted.mean_, fitted.components_.T)
        return applied(self, x)

    def fit_factors(self, x: np.ndarray, seed: int = 0) -> np.ndarray:
        """Factor analysis; the posterior mean of the factors is linear (Bishop 2006, equation 12.48)."""
        from sklearn.decomposition import FactorAnalysis

        fitted = FactorAnalysis(self.weight.shape[1], random_state=seed).fit(x)
        scaled = fitted.components_ / fitted.noise_variance_
        covariance = np.linalg.inv(np.eye(len(scaled)) + scaled @ fitted.components_.T)
        self._set(fitted.mean_, scaled.T @ covariance)
        return applied(self, x)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return (x - self.mean) @ self.weight


class Clusters(Island):
    """One-hot of the nearest of k centers."""

    def __init__(self, columns: int, k: int):
        super().__init__()
        self.register_buffer("centers", torch.zeros(k, columns))

    def fit(self, x: np.ndarray, seed: int = 0) -> np.ndarray:
        from sklearn.cluster import KMeans

        fitted = KMeans(len(self.centers), random_state=seed, n_init=1).fit(x)
        self.centers.copy_(torch.from_numpy(fitted.cluster_centers_))
        return applied(self, x)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        centers = self.centers
        distance = (centers * centers).sum(1) - 2 * (x @ centers.T)
        return one_hot(distance.argmin(1, keepdim=True), range(len(centers)))


def one_hot(column: torch.Tensor, values) -> torch.Tensor:
    """(n, 1) to (n, len(values)): 1 where the column has the value."""
    return (column == torch.tensor(list(values), dtype=column.dtype, device=column.device)).float()


def row_statistics(x: torch.Tensor, names: tuple[str, ...]) -> torch.Tensor:
    """Sum, mean, std, skew and kurtosis of every row, as pandas defines them: unbiased, excess kurtosis,
    0 for rows whose values are equal up to rounding."""
    n = x.shape[1]
    mean = x.mean(1, keepdim=True)
    centered = x - mean
    square = centered * centered
    second, third, fourth = (power.mean(1, keepdim=True) for power in (square, square * centered, square * square))
    varies = (second > 1e-9 * (1 + mean * mean)).float()
    second = second * varies + (1 - varies)
    excess = fourth / (second * second) - 3
    found = {
        "sum": x.sum(1, keepdim=True),
        "mean": mean,
        "std": varies * torch.sqrt(second * (n / (n - 1))),
        "skew": varies * third / (second * torch.sqrt(second)) * ((n * (n - 1)) ** 0.5 / (n - 2)),
        "kurtosis": varies * ((n + 1) * excess + 6) * ((n - 1) / ((n - 2) * (n - 3))),
    }
    return torch.cat([found[name] for name in names], dim=1)


@torch.no_grad()
def applied(module: nn.Module, *inputs: np.ndarray, batch: int = 4096) -> np.ndarray:
    """What a module makes of arrays, in batches, in eval mode, where its arrays lie; its own mode is kept."""
    training = module.training
    module.eval()
    device = next((tensor.device for tensor in (*module.buffers(), *module.parameters())), torch.device("cpu"))
    parts = [
        module(*(torch.from_numpy(np.ascontiguousarray(x[at : at + batch], np.float32)).to(device) for x in inputs)).cpu().numpy()
        for at in range(0, len(inputs[0]), batch)
    ]
    module.train(training)
    return np.concatenate(parts)

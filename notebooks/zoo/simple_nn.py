"""One network of three layers on many derived columns, with the row's own statistics among them.

The older variant reads its columns one too far to the right and so never sees the first gene; `shifted` keeps that, for
whoever has its weights. It also knows which of 60 clusters a row is in. The newer one does neither, and was trained on
folds that keep a drug together.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from . import cells
from .cells import Columns, codes
from .layers import NormedMlp
from .preprocess import Clusters, Projection, RankGauss, row_statistics

STATISTICS = ("sum", "mean", "std", "kurtosis", "skew")


@dataclass(frozen=True)
class Config:
    columns: Columns = cells.FULL
    factors: tuple[int, int] = (90, 50)
    clusters: tuple[int, int] | None = (45, 15)
    shifted: bool = True
    scored: int = 206
    hidden: int = 2048

    @property
    def numeric(self) -> int:
        return self.columns.measured + sum(self.factors) - self.shifted

    @property
    def width(self) -> int:
        return self.numeric + sum(self.clusters or ()) + 3 * len(STATISTICS) + cells.N_CODES


OLD = Config()
NEW = Config(clusters=None, shifted=False)
SMALL_OLD = Config(cells.SMALL, factors=(12, 6), clusters=(9, 5), hidden=192)
SMALL_NEW = Config(cells.SMALL, factors=(12, 6), clusters=None, shifted=False, hidden=192)


class Derived(nn.Module):
    """Ranks, factors, ranks again, clusters, statistics, indicators."""

    def __init__(self, config: Config):
        super().__init__()
        self.config = config
        columns = config.columns
        self.ranks = RankGauss(columns.measured)
        self.gene_factors = Projection(columns.genes, config.factors[0])
        self.cell_factors = Projection(columns.cells, config.factors[1])
        self.again = RankGauss(config.numeric)
        if config.clusters:
            self.gene_clusters = Clusters(columns.genes, config.clusters[0])
            self.cell_clusters = Clusters(columns.cells, config.clusters[1])

    def fit(self, features: np.ndarray) -> None:
        genes = self.config.columns.genes
        ranks = self.ranks.fit(features[:, cells.CODES :])
        factors = [self.gene_factors.fit_factors(ranks[:, :genes]), self.cell_factors.fit_factors(ranks[:, genes:])]
        numeric = np.concatenate([ranks, *factors], axis=1)[:, int(self.config.shifted) :]
        numeric = self.again.fit(numeric)
        if self.config.clusters:
            self.gene_clusters.fit(numeric[:, :genes])
            self.cell_clusters.fit(numeric[:, genes : self.config.columns.measured])

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        columns = self.config.columns
        ranks = self.ranks(columns.measurements(features))
        genes, viabilities = columns.split(ranks)
        numeric = torch.cat([ranks, self.gene_factors(genes), self.cell_factors(viabilities)], dim=1)
        if self.config.shifted:
            numeric = numeric[:, 1:]
        numeric = self.again(numeric)
        # In the shifted variant the "genes" end with the first cell line, and the "cells" with the first factor.
        genes, viabilities = columns.split(numeric)
        parts = [numeric]
        if self.config.clusters:
            parts += [self.gene_clusters(genes), self.cell_clusters(viabilities)]
        both = torch.cat([genes, viabilities], dim=1)
        parts += [row_statistics(x, STATISTICS) for x in (genes, viabilities, both)]
        return torch.cat([*parts, codes(features)], dim=1)


class SimpleNn(nn.Module):
    """Logits of the scored targets."""

    def __init__(self, config: Config = OLD):
        super().__init__()
        self.derived = Derived(config)
        self.net = NormedMlp(config.width, config.hidden, config.scored, (0.0, 0.25, 0.25))

    def prepare(self, inputs: dict[str, np.ndarray], labels: np.ndarray) -> None:
        self.derived.fit(inputs["features"])

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        return self.net(self.derived(features))

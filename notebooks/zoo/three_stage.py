"""Three networks in a chain: non-scored targets first, then scored ones with the first stage's help, then a
refinement of the second stage's probabilities alone.

Stage 1 sees 1,087 columns: 872 measurements by rank, 140 factors and 70 UMAP coordinates of the raw measurements, 5
indicators. UMAP has no closed form for new rows, so its coordinates come as a table of their own.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from . import cells
from .cells import Columns, codes
from .layers import NormedMlp
from .preprocess import Projection, RankGauss

DROPOUTS = (0.15, 0.3, 0.25)


@dataclass(frozen=True)
class Config:
    columns: Columns = cells.FULL
    factors: tuple[int, int] = (90, 50)
    umap: int = 70
    nonscored: int = 331
    scored: int = 206
    hidden: int = 2048
    last_hidden: int = 1024

    @property
    def width(self) -> int:
        return self.columns.measured + sum(self.factors) + self.umap + cells.N_CODES


FULL = Config()
SMALL = Config(cells.SMALL, factors=(12, 6), umap=8, hidden=192, last_hidden=96)


class Wide(nn.Module):
    """The columns of stages 1 and 2."""

    def __init__(self, config: Config):
        super().__init__()
        self.columns = config.columns
        self.ranks = RankGauss(config.columns.measured)
        self.gene_factors = Projection(config.columns.genes, config.factors[0])
        self.cell_factors = Projection(config.columns.cells, config.factors[1])

    def fit(self, features: np.ndarray) -> None:
        measured = features[:, cells.CODES :]
        self.ranks.fit(measured)
        self.gene_factors.fit_factors(measured[:, : self.columns.genes])
        self.cell_factors.fit_factors(measured[:, self.columns.genes :])

    def forward(self, features: torch.Tensor, umap: torch.Tensor) -> torch.Tensor:
        measured = self.columns.measurements(features)
        genes, viabilities = self.columns.split(measured)
        factors = [self.gene_factors(genes), self.cell_factors(viabilities)]
        return torch.cat([self.ranks(measured), *factors, umap, codes(features)], dim=1)


class NonScored(nn.Module):
    """Stage 1: logits of the non-scored targets."""

    def __init__(self, config: Config = FULL):
        super().__init__()
        self.wide = Wide(config)
        self.net = NormedMlp(config.width, config.hidden, config.nonscored, DROPOUTS)

    def prepare(self, inputs: dict[str, np.ndarray], labels: np.ndarray) -> None:
        self.wide.fit(inputs["features"])

    def forward(self, features: torch.Tensor, umap: torch.Tensor) -> torch.Tensor:
        return self.net(self.wide(features, umap))


class Scored(nn.Module):
    """Stage 2: logits of the scored targets; `meta` are the probabilities of stage 1, averaged over its networks."""

    def __init__(self, config: Config = FULL):
        super().__init__()
        self.wide = Wide(config)
        self.meta = RankGauss(config.nonscored)
        self.net = NormedMlp(config.width + config.nonscored, config.hidden, config.scored, DROPOUTS)

    def prepare(self, inputs: dict[str, np.ndarray], labels: np.ndarray) -> None:
        self.wide.fit(inputs["features"])
        self.meta.fit(inputs["meta"])

    def forward(self, features: torch.Tensor, umap: torch.Tensor, meta: torch.Tensor) -> torch.Tensor:
        return self.net(torch.cat([self.wide(features, umap), self.meta(meta)], dim=1))


class Refined(nn.Module):
    """Stage 3: logits of the scored targets from the probabilities of stage 2."""

    def __init__(self, config: Config = FULL):
        super().__init__()
        self.meta = RankGauss(config.scored)
        self.net = NormedMlp(config.scored, config.last_hidden, config.scored, DROPOUTS)

    def prepare(self, inputs: dict[str, np.ndarray], labels: np.ndarray) -> None:
        self.meta.fit(inputs["meta"])

    def forward(self, meta: torch.Tensor) -> torch.Tensor:
        return self.net(self.meta(meta))

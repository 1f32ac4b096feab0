"""A network for the non-scored targets, then TabNet for the scored ones with the first stage's help."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from . import cells
from .cells import Columns, codes
from .layers import NormedMlp
from .preprocess import Clusters, Projection, RankGauss, row_statistics
from .tabnet import Shape, TabNet

STATISTICS = ("mean", "std", "kurtosis", "skew")


@dataclass(frozen=True)
class Config:
    columns: Columns = cells.FULL
    components: tuple[int, int] = (50, 15)
    umap: int = 20
    kept: int = 949  # columns whose variance is above 0.5
    factors: tuple[int, int] = (90, 50)
    clusters: tuple[int, int] = (35, 5)
    nonscored: int = 331
    scored: int = 206
    hidden: int = 2048
    shape: Shape = Shape()

    @property
    def first(self) -> int:
        return self.kept + cells.N_CODES

    @property
    def second(self) -> int:
        derived = sum(self.factors) + sum(self.clusters) + 3 * len(STATISTICS)
        return 2 + self.columns.measured + derived + self.nonscored


FULL = Config()
SMALL = Config(
    cells.SMALL, components=(10, 5), umap=8, kept=140, factors=(12, 6), clusters=(7, 3), hidden=192,
    shape=Shape(decide=16, attend=16),
)


class NonScored(nn.Module):
    """Stage 1: logits of the non-scored targets."""

    def __init__(self, config: Config = FULL):
        super().__init__()
        self.columns = config.columns
        self.ranks = RankGauss(config.columns.measured)
        self.gene_components = Projection(config.columns.genes, config.components[0])
        self.cell_components = Projection(config.columns.cells, config.components[1])
        self.register_buffer("kept", torch.arange(config.kept))
        self.net = NormedMlp(config.first, config.hidden, config.nonscored, (0.2, 0.25), nn.ReLU)

    def prepare(self, inputs: dict[str, np.ndarray], labels: np.ndarray) -> None:
        """Keeps the columns that vary most, as many as a threshold of 0.5 left of the contest's."""
        features, umap = inputs["features"], inputs["umap"]
        genes = self.columns.genes
        ranks = self.ranks.fit(features[:, cells.CODES :])
        parts = [self.gene_components.fit_principal(ranks[:, :genes]), self.cell_components.fit_principal(ranks[:, genes:])]
        variance = np.concatenate([ranks, *parts, umap], axis=1).var(axis=0)
        self.kept.copy_(torch.from_numpy(np.sort(np.argsort(-variance, kind="stable")[: len(self.kept)])))

    def forward(self, features: torch.Tensor, umap: torch.Tensor) -> torch.Tensor:
        ranks = self.ranks(self.columns.measurements(features))
        genes, viabilities = self.columns.split(ranks)
        wide = torch.cat([ranks, self.gene_components(genes), self.cell_components(viabilities), umap], dim=1)
        return self.net(torch.cat([wide[:, self.kept], codes(features)], dim=1))


class Derived(nn.Module):
    """Ranks, factors, clusters and statistics of stage 2."""

    def __init__(self, config: Config):
        super().__init__()
        self.columns = config.columns
        self.ranks = RankGauss(config.columns.measured)
        self.gene_factors = Projection(config.columns.genes, config.factors[0])
        self.cell_factors = Projection(config.columns.cells, config.factors[1])
        self.gene_clusters = Clusters(config.columns.genes, config.clusters[0])
        self.cell_clusters = Clusters(config.columns.cells, config.clusters[1])

    def fit(self, features: np.ndarray) -> None:
        ranks = self.ranks.fit(features[:, cells.CODES :])
        genes, viabilities = ranks[:, : self.columns.genes], ranks[:, self.columns.genes :]
        self.gene_factors.fit_factors(genes)
        self.cell_factors.fit_factors(viabilities)
        self.gene_clusters.fit(genes)
        self.cell_clusters.fit(viabilities)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        ranks = self.ranks(self.columns.measurements(features))
        genes, viabilities = self.columns.split(ranks)
        parts = [ranks, self.gene_factors(genes), self.cell_factors(viabilities)]
        parts += [self.gene_clusters(genes), self.cell_clusters(viabilities)]
        return torch.cat(parts + [row_statistics(x, STATISTICS) for x in (genes, viabilities, ranks)], dim=1)


class Coded(nn.Module):
    """TabNet over embeddings of time and dose, then all other columns."""

    def __init__(self, config: Config):
        super().__init__()
        self.time = nn.Embedding(len(cells.TIMES), 1)
        self.dose = nn.Embedding(len(cells.DOSES), 1)
        self.tabnet = TabNet(config.second, config.scored, config.shape)

    def forward(self, indicators: torch.Tensor, columns: torch.Tensor) -> torch.Tensor:
        # An embedding of an indicator is a product: no integer input is needed.
        indicators = indicators.to(self.time.weight.dtype)
        time = indicators[:, : len(cells.TIMES)] @ self.time.weight
        dose = indicators[:, len(cells.TIMES) :] @ self.dose.weight
        return self.tabnet(torch.cat([time.float(), dose.float(), columns], dim=1))


class Scored(nn.Module):
    """Stage 2: logits of the scored targets; time and dose come as embeddings of their codes."""

    def __init__(self, config: Config = FULL):
        super().__init__()
        self.derived = Derived(config)
        self.meta = RankGauss(config.nonscored)
        self.net = Coded(config)

    def prepare(self, inputs: dict[str, np.ndarray], labels: np.ndarray) -> None:
        self.derived.fit(inputs["features"])
        self.meta.fit(inputs["meta"])

    def forward(self, features: torch.Tensor, meta: torch.Tensor) -> torch.Tensor:
        return self.net(codes(features), torch.cat([self.derived(features), self.meta(meta)], dim=1))

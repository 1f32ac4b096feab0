"""A network with two inputs: all columns, and those few that tell treated rows with a known mechanism from the rest.

Residual paths by concatenation, Keras style: every dense layer sees batch-normed outputs of several earlier ones. The
graph emits probabilities.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from . import cells
from .cells import Columns, codes
from .preprocess import Projection, Standard


@dataclass(frozen=True)
class Config:
    columns: Columns = cells.FULL
    components: tuple[int, int] = (2, 100)
    with_codes: bool = False
    chosen: tuple[int, int] = (347, 100)
    scored: int = 206
    wide: int = 512
    narrow: int = 256

    @property
    def first(self) -> int:
        return self.columns.measured + 2 + sum(self.components) + cells.N_CODES * self.with_codes

    @property
    def second(self) -> int:
        return sum(self.chosen)


V1 = Config()
V2 = Config(components=(50, 50), with_codes=True)
SMALL_V1 = Config(cells.SMALL, components=(2, 20), chosen=(40, 24), wide=96, narrow=64)
SMALL_V2 = Config(cells.SMALL, components=(12, 12), with_codes=True, chosen=(40, 24), wide=96, narrow=64)


def dense(inputs: int, outputs: int, activation: type[nn.Module], dropout: float = 0.0) -> nn.Sequential:
    """Batch norm as Keras has it (epsilon 0.001, momentum 0.99), dropout, a linear layer, its activation."""
    norm = nn.BatchNorm1d(inputs, eps=1e-3, momentum=0.01)
    return nn.Sequential(norm, nn.Dropout(dropout), nn.Linear(inputs, outputs), activation())


class Net(nn.Module):
    def __init__(self, config: Config):
        super().__init__()
        first, second, wide, narrow, out = config.first, config.second, config.wide, config.narrow, config.scored
        self.own = nn.Sequential(dense(first, wide, nn.ELU, 0.2), dense(wide, narrow, nn.ELU))
        self.one = dense(narrow + second, wide, nn.ReLU, 0.3)
        self.two = nn.Sequential(dense(narrow + second + wide, wide, nn.ELU), dense(wide, narrow, nn.ReLU))
        self.three = dense(wide + narrow, narrow, nn.ELU)
        self.three_too = dense(wide + 2 * narrow, narrow, nn.ReLU)
        self.four = nn.Sequential(dense(4 * narrow, narrow, nn.SELU), dense(narrow, out, nn.SELU))
        self.out = dense(out, out, nn.Identity)

    def forward(self, first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
        dtype = self.out[2].weight.dtype
        first, second = first.to(dtype), second.to(dtype)
        own = self.own(first)
        one = self.one(torch.cat([own, second], 1))
        two = self.two(torch.cat([own, second, one], 1))
        three = self.three(torch.cat([one, two], 1))
        three_too = self.three_too(torch.cat([one, two, three], 1))
        four = self.four(torch.cat([own, two, three, three_too], 1))
        return self.out(four).float()


class Heads(nn.Module):
    """The two inputs; everything here is fitted on the training rows of one fold."""

    def __init__(self, config: Config):
        super().__init__()
        self.config = config
        columns = config.columns
        self.gene_components = Projection(columns.genes, config.components[0])
        self.cell_components = Projection(columns.cells, config.components[1])
        self.first = Standard(columns.measured + 2)
        self.second = Standard(config.second)
        chosen = [*range(config.chosen[0]), *range(columns.genes, columns.genes + config.chosen[1])]
        self.register_buffer("chosen", torch.tensor(chosen))

    def fit(self, features: np.ndarray, labels: np.ndarray) -> None:
        """Chooses the columns of the second input by a t-test between rows with and without a positive label."""
        genes = self.config.columns.genes
        measured = features[:, cells.CODES :]
        positive = labels.any(axis=1)
        with_label, without = measured[positive], measured[~positive]
        spread = with_label.var(axis=0) / len(with_label) + without.var(axis=0) / len(without)
        t = np.abs(with_label.mean(axis=0) - without.mean(axis=0)) / np.sqrt(spread + 1e-12)
        n_genes, n_cells = self.config.chosen
        best = np.concatenate([np.argsort(-t[:genes])[:n_genes], genes + np.argsort(-t[genes:])[:n_cells]])
        self.chosen.copy_(torch.from_numpy(np.sort(best)))
        self.gene_components.fit_principal(measured[:, :genes])
        self.cell_components.fit_principal(measured[:, genes:])
        means = [measured[:, part].mean(axis=1, keepdims=True) for part in (slice(genes), slice(genes, None))]
        self.first.fit(np.concatenate([measured, *means], axis=1))
        self.second.fit(measured[:, np.sort(best)])

    def forward(self, features: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        measured = self.config.columns.measurements(features)
        genes, viabilities = self.config.columns.split(measured)
        scaled = self.first(torch.cat([measured, genes.mean(1, keepdim=True), viabilities.mean(1, keepdim=True)], 1))
        parts = [scaled, self.gene_components(genes), self.cell_components(viabilities)]
        if self.config.with_codes:
            parts.append(codes(features))
        return torch.cat(parts, 1), self.second(measured[:, self.chosen])


class TwoHeads(nn.Module):
    """Probabilities of the scored targets; logits while it is trained."""

    def __init__(self, config: Config = V1):
        super().__init__()
        self.heads = Heads(config)
        self.net = Net(config)

    def prepare(self, inputs: dict[str, np.ndarray], labels: np.ndarray) -> None:
        self.heads.fit(inputs["features"], labels)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        logits = self.net(*self.heads(features))
        return logits if self.training else torch.sigmoid(logits)

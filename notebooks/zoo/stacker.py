"""TabNet over what other models predict: their out-of-fold probabilities train it, their test probabilities feed it."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from .preprocess import RankGauss
from .tabnet import Shape, TabNet


@dataclass(frozen=True)
class Config:
    members: int = 4
    scored: int = 206
    shape: Shape = Shape()


FULL = Config()
SMALL = Config(members=2, shape=Shape(decide=16, attend=16))


class Stacker(nn.Module):
    """Logits of the scored targets; one input for each member, (n, scored) probabilities."""

    def __init__(self, config: Config = FULL):
        super().__init__()
        self.ranks = RankGauss(config.members * config.scored)
        self.net = TabNet(config.members * config.scored, config.scored, config.shape)

    def prepare(self, inputs: dict[str, np.ndarray], labels: np.ndarray) -> None:
        self.ranks.fit(np.concatenate(list(inputs.values()), axis=1))

    def forward(self, *members: torch.Tensor) -> torch.Tensor:
        return self.net(self.ranks(torch.cat(members, dim=1)))

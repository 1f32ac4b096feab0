"""A multilayer perceptron: it does not know which pixels are neighbors."""

from torch import nn

from .layers import NormedLinear, Scale


class Mlp(nn.Sequential):
    def __init__(self, hidden: int = 32, dropout: float = 0.1):
        super().__init__(
            Scale(),
            NormedLinear(64, hidden),
            nn.ReLU(),
            nn.Dropout(dropout),
            NormedLinear(hidden, hidden),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(hidden, 10),
        )

"""A TabNet-style network: each step looks at a few pixels through a sparse mask."""

import torch
from torch import nn

from .layers import GhostBatchNorm, NormedLinear, Scale

PIXELS = 64
RANK = torch.arange(1, PIXELS + 1, dtype=torch.float32)  # a constant, so no Shape or Range in the graph
HALF = 0.5**0.5  # keeps the variance of a residual sum where it was


def sparsemax(scores: torch.Tensor) -> torch.Tensor:
    """Project each row onto the simplex; most entries become exactly zero.

    Written with TopK, CumSum and comparisons, all of them standard ONNX operators.
    """
    ordered, _ = torch.topk(scores, PIXELS, dim=1)
    running = torch.cumsum(ordered, dim=1)
    kept = (1 + RANK * ordered > running).float()
    threshold = ((kept * ordered).sum(dim=1, keepdim=True) - 1) / kept.sum(dim=1, keepdim=True)
    return torch.relu(scores - threshold)


class Gated(nn.Module):
    """Linear layer, ghost batch norm, gated linear unit."""

    def __init__(self, inputs: int, width: int, shared: nn.Linear | None = None):
        super().__init__()
        self.width = width
        self.layer = NormedLinear(inputs, 2 * width, GhostBatchNorm)
        if shared is not None:
            self.layer.linear = shared  # weights shared between steps, statistics not

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.layer(x)
        return x[:, : self.width] * torch.sigmoid(x[:, self.width :])


class FeatureTransformer(nn.Module):
    """The feature transformer of one step: one shared block, one of its own."""

    def __init__(self, width: int, shared: nn.Linear):
        super().__init__()
        self.first = Gated(PIXELS, width, shared)
        self.second = Gated(width, width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        first = self.first(x)
        return (first + self.second(first)) * HALF


class TabNet(nn.Module):
    def __init__(self, decide: int = 12, attend: int = 12, steps: int = 3, relaxation: float = 1.6):
        super().__init__()
        self.decide, self.relaxation = decide, relaxation
        width = decide + attend
        shared = nn.Linear(PIXELS, 2 * width, bias=False)
        self.scale = Scale()
        self.start = FeatureTransformer(width, shared)
        self.masks = nn.ModuleList(NormedLinear(attend, PIXELS, GhostBatchNorm) for _ in range(steps))
        self.steps = nn.ModuleList(FeatureTransformer(width, shared) for _ in range(steps))
        self.head = nn.Linear(decide, 10)

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        x = self.scale(pixels)
        attention = self.start(x)[:, self.decide :]
        budget = torch.ones(1, PIXELS)  # how much of each pixel later steps may still use
        decisions = []
        for mask_layer, step in zip(self.masks, self.steps):
            mask = sparsemax(budget * mask_layer(attention))
            budget = budget * (self.relaxation - mask)
            features = step(mask * x)
            decisions.append(torch.relu(features[:, : self.decide]))
            attention = features[:, self.decide :]
        return self.head(sum(decisions))

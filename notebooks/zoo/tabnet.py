"""TabNet (Arik and Pfister 2021) with entmax masks, in the arrangement of the pytorch-tabnet package.

Sorting, running sums and comparisons make the mask, all of them standard ONNX operators.
"""

from dataclasses import dataclass

import torch
from torch import nn

from .layers import Island

HALF = 0.5**0.5  # keeps the variance of a residual sum where it was


class GhostBatchNorm(nn.BatchNorm1d):
    """Batch norm over small virtual batches: noisier statistics, more regularization."""

    def __init__(self, width: int, virtual_batch: int, momentum: float = 0.02):
        super().__init__(width, momentum=momentum)
        self.virtual_batch = virtual_batch

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if not self.training:
            return super().forward(x)
        chunks = max(1, x.shape[0] // self.virtual_batch)
        return torch.cat([super(GhostBatchNorm, self).forward(chunk) for chunk in x.tensor_split(chunks)])


class Entmax(Island):
    """1.5-entmax of every row: exact, by the sorted algorithm of Peters, Niculae and Martins (2019), algorithm 2."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = x.float() / 2
        x = x - x.amax(1, keepdim=True)
        ordered, _ = torch.topk(x, self.width(x), dim=1)
        rank = torch.cumsum(torch.ones_like(ordered), dim=1)
        mean = torch.cumsum(ordered, dim=1) / rank
        spread = rank * (torch.cumsum(ordered * ordered, dim=1) / rank - mean * mean)
        # Not 0: there the root has no finite slope, and one such row would turn every weight into NaN.
        threshold = mean - torch.sqrt(((1 - spread) / rank).clamp_min(1e-14))
        support = (threshold <= ordered).sum(1, keepdim=True) - 1
        return torch.relu(x - threshold.gather(1, support)) ** 2

    @staticmethod
    def width(x: torch.Tensor) -> int:
        return int(x.shape[1])  # a constant of the graph


class Gated(nn.Module):
    """Linear layer, ghost batch norm, gated linear unit."""

    def __init__(self, inputs: int, width: int, virtual_batch: int, shared: nn.Linear | None = None):
        super().__init__()
        self.width = width
        self.linear = shared if shared is not None else nn.Linear(inputs, 2 * width, bias=False)
        self.norm = GhostBatchNorm(2 * width, virtual_batch)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.norm(self.linear(x))
        return x[:, : self.width] * torch.sigmoid(x[:, self.width :])


class FeatureTransformer(nn.Module):
    """Two gated layers that all steps share, two of its own; statistics are never shared."""

    def __init__(self, inputs: int, width: int, virtual_batch: int, shared: nn.ModuleList):
        super().__init__()
        self.first = Gated(inputs, width, virtual_batch, shared[0])
        own = [Gated(width, width, virtual_batch) for _ in range(2)]
        self.rest = nn.ModuleList([Gated(width, width, virtual_batch, shared[1]), *own])

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.first(x)
        for layer in self.rest:
            x = (x + layer(x)) * HALF
        return x


@dataclass(frozen=True)
class Shape:
    decide: int = 32
    attend: int = 32
    steps: int = 1
    relaxation: float = 1.3
    virtual_batch: int = 128


class TabNet(nn.Module):
    """Logits; also keeps `mask`, how much each step looked at each column, while it trains."""

    def __init__(self, inputs: int, outputs: int, shape: Shape = Shape()):
        super().__init__()
        self.shape = shape
        width, batch = shape.decide + shape.attend, shape.virtual_batch
        self.norm = nn.BatchNorm1d(inputs, momentum=0.01)
        shared = nn.ModuleList([nn.Linear(inputs, 2 * width, bias=False), nn.Linear(width, 2 * width, bias=False)])
        self.start = FeatureTransformer(inputs, width, batch, shared)
        self.steps = nn.ModuleList(FeatureTransformer(inputs, width, batch, shared) for _ in range(shape.steps))
        self.looks = nn.ModuleList(
            nn.Sequential(nn.Linear(shape.attend, inputs, bias=False), GhostBatchNorm(inputs, batch))
            for _ in range(shape.steps)
        )
        self.entmax = Entmax()
        self.head = nn.Linear(shape.decide, outputs, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.norm(x.to(self.norm.weight.dtype))
        attention = self.start(x)[:, self.shape.decide :]
        budget = torch.ones_like(x)  # how much of each column later steps may still use
        decisions = []
        for look, step in zip(self.looks, self.steps):
            mask = self.entmax(budget * look(attention)).to(x.dtype)
            budget = budget * (self.shape.relaxation - mask)
            features = step(mask * x)
            decisions.append(torch.relu(features[:, : self.shape.decide]))
            attention = features[:, self.shape.decide :]
        return self.head(sum(decisions)).float()

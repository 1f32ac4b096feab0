"""EfficientNet-B3 (Tan and Le 2019) as TensorFlow pads it, over DeepInsight images.

Parameter names and shapes are those of the usual PyTorch ports, block by block, so that a table of names is all that
pretrained weights need.
"""

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from . import cells
from .deepinsight import Image, head

# expansion, kernel, stride, channels, repeats of B0's seven stages
STAGES = (
    (1, 3, 1, 16, 1), (6, 3, 2, 24, 2), (6, 5, 2, 40, 2), (6, 3, 2, 80, 3), (6, 5, 1, 112, 3), (6, 5, 2, 192, 4),
    (6, 3, 1, 320, 1),
)


@dataclass(frozen=True)
class Config:
    columns: cells.Columns = cells.FULL
    size: int = 300
    width: float = 1.2
    depth: float = 1.4
    stages: int = 7
    hidden: int = 512
    scored: int = 206
    dropout: float = 0.3
    drop_path: float = 0.2
    momentum: float = 0.01  # of the running statistics


FULL = Config()
# Trained for some thousand steps at most: statistics that remember a hundred would be those of an earlier network.
SMALL = Config(cells.SMALL, size=32, width=0.3, depth=0.5, stages=4, hidden=96, drop_path=0.0, momentum=0.1)


def rounded(channels: float, width: float) -> int:
    """A multiple of 8 near channels * width, never less than 90 % of it."""
    wanted = channels * width
    nearest = max(8, int(wanted + 4) // 8 * 8)
    return nearest if nearest >= 0.9 * wanted else nearest + 8


class Conv(nn.Conv2d):
    """Padding as TensorFlow's SAME: what is odd goes to the right and below. Sizes are those of the first run."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1):
        super().__init__(inputs, outputs, kernel, stride, groups=groups, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        pads: list[int] = []
        for size, kernel, stride in zip(reversed(x.shape[2:]), reversed(self.kernel_size), reversed(self.stride)):
            total = max((math.ceil(int(size) / stride) - 1) * stride + kernel - int(size), 0)
            pads += [total // 2, total - total // 2]
        return super().forward(F.pad(x, pads) if any(pads) else x)


def norm(channels: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(channels, eps=1e-3)


class Squeeze(nn.Module):
    """Squeeze and excitation."""

    def __init__(self, channels: int, reduced: int):
        super().__init__()
        self.reduce = nn.Conv2d(channels, reduced, 1)
        self.expand = nn.Conv2d(reduced, channels, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        mean = x.mean((2, 3), keepdim=True)
        return x * torch.sigmoid(self.expand(F.silu(self.reduce(mean))))


class Block(nn.Module):
    """Inverted residual: widen, convolve channel by channel, weigh channels, narrow."""

    def __init__(self, inputs: int, outputs: int, expansion: int, kernel: int, stride: int, drop: float):
        super().__init__()
        self.drop, self.residual = drop, stride == 1 and inputs == outputs
        middle = inputs * expansion
        widen = [Conv(inputs, middle, 1), norm(middle), nn.SiLU()] if expansion > 1 else []
        self.layers = nn.Sequential(
            *widen,
            Conv(middle, middle, kernel, stride, groups=middle), norm(middle), nn.SiLU(),
            Squeeze(middle, max(1, inputs // 4)),
            Conv(middle, outputs, 1), norm(outputs),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out = self.layers(x)
        if not self.residual:
            return out
        if self.training and self.drop > 0:
            keep = 1 - self.drop
            out = out * torch.bernoulli(x.new_full((len(x), 1, 1, 1), keep)) / keep
        return x + out


class Trunk(nn.Module):
    """(n, 3, size, size) to (n, features)."""

    def __init__(self, config: Config):
        super().__init__()
        stem = rounded(32, config.width)
        stages = STAGES[: config.stages]
        repeats = [math.ceil(n * config.depth) for *_, n in stages]
        blocks: list[nn.Module] = []
        channels = stem
        for (expansion, kernel, stride, wanted, _), n in zip(stages, repeats):
            outputs = rounded(wanted, config.width)
            for at in range(n):
                drop = config.drop_path * len(blocks) / sum(repeats)
                blocks.append(Block(channels, outputs, expansion, kernel, stride if at == 0 else 1, drop))
                channels = outputs
        self.features = rounded(1280, config.width)
        self.stem = nn.Sequential(Conv(3, stem, 3, 2), norm(stem), nn.SiLU())
        self.blocks = nn.Sequential(*blocks)
        self.last = nn.Sequential(Conv(channels, self.features, 1), norm(self.features), nn.SiLU())
        for module in self.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.momentum = config.momentum

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.last(self.blocks(self.stem(x))).mean((2, 3))


class EfficientNet(nn.Module):
    """Logits of the scored targets from the table of the contest."""

    def __init__(self, config: Config = FULL):
        super().__init__()
        self.image = Image(config.columns, config.size)
        self.trunk = Trunk(config)
        self.dropout = nn.Dropout(config.dropout)
        self.head = head(self.trunk.features, config.hidden, config.scored, 0.0)

    def prepare(self, inputs: dict[str, np.ndarray], labels: np.ndarray) -> None:
        self.image.fit(inputs["features"])

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        image = self.image(features).to(self.head[0].weight.dtype)
        return self.head(self.dropout(self.trunk(image))).float()

"""ResNeSt-50 in its fast form with two splits of two groups (Zhang et al. 2020), over DeepInsight images."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from . import cells
from .deepinsight import Image, head


@dataclass(frozen=True)
class Config:
    columns: cells.Columns = cells.FULL
    size: int = 224
    layers: tuple[int, ...] = (3, 4, 6, 3)
    planes: int = 64
    stem: int = 32
    radix: int = 2
    groups: int = 2
    group_width: int = 40
    hidden: int = 512
    scored: int = 206
    dropout: float = 0.0


V1 = Config()
V2 = Config(dropout=0.2)
SMALL_V1 = Config(cells.SMALL, size=32, layers=(1, 1), planes=16, stem=8, hidden=96)
SMALL_V2 = Config(cells.SMALL, size=32, layers=(1, 1), planes=16, stem=8, hidden=96, dropout=0.2)


class SplitAttention(nn.Module):
    """A grouped convolution to `radix` splits; a softmax over the splits weighs each channel of each."""

    def __init__(self, channels: int, radix: int, groups: int):
        super().__init__()
        self.channels, self.radix, self.groups = channels, radix, groups
        inner = max(channels * radix // 4, 32)
        self.conv = nn.Conv2d(channels, channels * radix, 3, padding=1, groups=groups * radix, bias=False)
        self.norm = nn.BatchNorm2d(channels * radix)
        self.reduce = nn.Conv2d(channels, inner, 1, groups=groups)
        self.inner_norm = nn.BatchNorm2d(inner)
        self.expand = nn.Conv2d(inner, channels * radix, 1, groups=groups)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = torch.relu(self.norm(self.conv(x)))
        splits = torch.split(x, self.channels, dim=1)
        gap = sum(splits).mean((2, 3), keepdim=True)
        scores = self.expand(torch.relu(self.inner_norm(self.reduce(gap))))
        shares = scores.reshape(-1, self.groups, self.radix, self.channels // self.groups).transpose(1, 2)
        shares = torch.softmax(shares, dim=1).reshape(-1, self.radix * self.channels, 1, 1)
        return sum(share * split for share, split in zip(torch.split(shares, self.channels, dim=1), splits))


class Bottleneck(nn.Module):
    """Narrow, halve by averaging where the block has a stride, split attention, widen."""

    def __init__(self, inputs: int, planes: int, stride: int, config: Config):
        super().__init__()
        width = planes * config.group_width // 64 * config.groups
        pool = [nn.AvgPool2d(3, stride, padding=1)] if stride > 1 else []
        self.layers = nn.Sequential(
            nn.Conv2d(inputs, width, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU(),
            *pool, SplitAttention(width, config.radix, config.groups),
            nn.Conv2d(width, 4 * planes, 1, bias=False), nn.BatchNorm2d(4 * planes),
        )
        self.short = nn.Identity()
        if stride > 1 or inputs != 4 * planes:
            shrink = [nn.AvgPool2d(stride, stride, ceil_mode=True, count_include_pad=False)] if stride > 1 else []
            conv = nn.Conv2d(inputs, 4 * planes, 1, bias=False)
            self.short = nn.Sequential(*shrink, conv, nn.BatchNorm2d(4 * planes))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.relu(self.layers(x) + self.short(x))


class Trunk(nn.Module):
    """(n, 3, size, size) to (n, features)."""

    def __init__(self, config: Config):
        super().__init__()
        stem = config.stem
        self.stem = nn.Sequential(
            nn.Conv2d(3, stem, 3, 2, 1, bias=False), nn.BatchNorm2d(stem), nn.ReLU(),
            nn.Conv2d(stem, stem, 3, 1, 1, bias=False), nn.BatchNorm2d(stem), nn.ReLU(),
            nn.Conv2d(stem, 2 * stem, 3, 1, 1, bias=False), nn.BatchNorm2d(2 * stem), nn.ReLU(),
            nn.MaxPool2d(3, 2, 1),
        )
        blocks: list[nn.Module] = []
        channels = 2 * stem
        for level, n in enumerate(config.layers):
            planes = config.planes << level
            for at in range(n):
                blocks.append(Bottleneck(channels, planes, 2 if at == 0 and level > 0 else 1, config))
                channels = 4 * planes
        self.blocks = nn.Sequential(*blocks)
        self.features = channels

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.blocks(self.stem(x)).mean((2, 3))


class ResNeSt(nn.Module):
    """Logits of the scored targets from the table of the contest."""

    def __init__(self, config: Config = V1):
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

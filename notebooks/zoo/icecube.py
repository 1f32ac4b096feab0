"""The transformer over pulses: Fourier features, four blocks that know the space-time interval of every pair of pulses,
then plain blocks with a class token, whose last state is the direction.

The output is a raw vector in the frame of its training (x and y swapped against the official one in the published
checkpoints); its length is the concentration of a von Mises-Fisher distribution, so summing raw vectors lets confident
models speak louder. Masks are finite: padding weighs exp(-10,000), which is 0, and no row can become NaN.
"""

import math
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional as F

from .layers import Exact, Island, Norm

AWAY = -1e4  # added to a logit that must not count; fits 16 bits
LIGHT = 3e4 / 500 * 0.3  # units of length that light in vacuum travels in a unit of time


@dataclass(frozen=True)
class Config:
    dim: int = 768
    base: int = 192
    depth: int = 12
    head: int = 32
    sandwich: int = 4
    relative: int = 1  # of the sandwich blocks, how many see the relative bias
    max_pulses: int = 192


B32 = Config()
B64 = Config(head=64)
B4REL = Config(relative=4)
SMALL_B32 = Config(dim=48, base=24, depth=2, head=8, sandwich=2, max_pulses=64)
SMALL_B64 = Config(dim=48, base=24, depth=2, head=16, sandwich=2, max_pulses=64)
SMALL_B4REL = Config(dim=48, base=24, depth=1, head=8, sandwich=3, relative=3, max_pulses=64)


class Fourier(Island):
    """sin and cos of x at frequencies from 1 down to 1/10,000; with `scaled`, times a learned number."""

    def __init__(self, dim: int, scaled: bool = False):
        super().__init__()
        half = dim // 2
        self.register_buffer("frequencies", torch.exp(torch.arange(half) * (-math.log(10_000.0) / half)))
        self.scale = nn.Parameter(torch.tensor(dim**-0.5)) if scaled else None

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        angles = x.float()[..., None] * self.frequencies
        waves = torch.cat([torch.sin(angles), torch.cos(angles)], dim=-1)
        return waves if self.scale is None else waves * self.scale


class Extractor(nn.Module):
    """Every pulse to `dim` numbers: waves of place, charge, time and of the event's length, and the auxiliary flag."""

    def __init__(self, base: int, dim: int, scaled: bool = False):
        super().__init__()
        self.place, self.charge, self.time = (Fourier(base, scaled) for _ in range(3))
        self.length = Fourier(base // 2, scaled)
        self.flag = nn.Embedding(2, base // 2)
        self.project = nn.Sequential(nn.Linear(6 * base, 6 * base), nn.LayerNorm(6 * base), nn.GELU(), nn.Linear(6 * base, dim))

    def forward(self, pos, time, charge, auxiliary, count) -> torch.Tensor:
        dtype = self.flag.weight.dtype
        decades = torch.log10(count.clamp_min(1).float())
        length = self.length(decades)[:, None, :] * torch.ones_like(time)[..., None]
        waves = [self.place(4096 * pos).flatten(-2), self.charge(1024 * charge), self.time(4096 * time)]
        columns = [wave.to(dtype) for wave in waves] + [self.flag(auxiliary), length.to(dtype)]
        return self.project(torch.cat(columns, dim=-1)).float()


class Interval(Island):
    """The space-time interval of every pair of pulses, signed and clipped, as waves: (B, L, L, head)."""

    def __init__(self, head: int):
        super().__init__()
        self.waves = Fourier(head)

    def forward(self, pos: torch.Tensor, time: torch.Tensor) -> torch.Tensor:
        apart = pos[:, :, None, :] - pos[:, None, :, :]
        later = LIGHT * (time[:, :, None] - time[:, None, :])
        x, y, z = apart[..., 0], apart[..., 1], apart[..., 2]
        squared = x * x + y * y + z * z - later * later
        distance = torch.sign(squared) * torch.sqrt(squared.abs())
        return self.waves(1024 * distance.clamp(-4, 4))


class Relative(nn.Module):
    """The bias between pairs that all heads of a block share."""

    def __init__(self, head: int):
        super().__init__()
        self.interval = Interval(head)
        self.project = nn.Linear(head, head)

    def forward(self, pos: torch.Tensor, time: torch.Tensor) -> torch.Tensor:
        return self.project(self.interval(pos, time).to(self.project.weight.dtype))


def mlp(dim: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(dim, 4 * dim), nn.GELU(), nn.Linear(4 * dim, dim))


class RelativeBlock(nn.Module):
    """Pre-norm attention where a pair's bias moves both who is looked at and what is seen."""

    def __init__(self, dim: int, head: int):
        super().__init__()
        self.head, self.heads = head, dim // head
        self.norm_attention, self.norm_forward = Norm(dim), Norm(dim)
        self.queries, self.keys, self.values = (nn.Linear(dim, dim, bias=False) for _ in range(3))
        self.merge = nn.Linear(dim, dim)
        self.mlp = mlp(dim)

    def attend(self, x: torch.Tensor, bias: torch.Tensor, relative: torch.Tensor | None) -> torch.Tensor:
        length = x.shape[1]
        split = lambda part: part.reshape(-1, length, self.heads, self.head)  # noqa: E731
        queries, keys, values = split(self.queries(x)) * self.head**-0.5, split(self.keys(x)), split(self.values(x))
        logits = queries.transpose(1, 2) @ keys.permute(0, 2, 3, 1)
        if relative is not None:
            logits = logits + (queries @ relative.transpose(2, 3)).transpose(1, 2)
        shares = torch.softmax(logits + bias, dim=-1)
        seen = (shares @ values.transpose(1, 2)).transpose(1, 2)
        if relative is not None:
            seen = seen + shares.transpose(1, 2) @ relative
        return self.merge(seen.reshape(-1, length, self.heads * self.head))

    def forward(self, x: torch.Tensor, bias: torch.Tensor, relative: torch.Tensor | None) -> torch.Tensor:
        x = x + self.attend(self.norm_attention(x).to(bias.dtype), bias, relative).float()
        return x + self.mlp(self.norm_forward(x).to(bias.dtype)).float()


class Block(nn.Module):
    """Pre-norm attention with a learned strength of each channel on both branches."""

    def __init__(self, dim: int, heads: int):
        super().__init__()
        self.heads, self.head = heads, dim // heads
        self.norm_attention, self.norm_forward = Norm(dim), Norm(dim)
        self.mix = nn.Linear(dim, 3 * dim)
        self.merge = nn.Linear(dim, dim)
        self.mlp = mlp(dim)
        self.strength = nn.ParameterList(nn.Parameter(torch.ones(dim)) for _ in range(2))

    def attend(self, x: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
        length = x.shape[1]
        mixed = self.mix(x).reshape(-1, length, 3, self.heads, self.head)
        queries, keys, values = (mixed[:, :, part].transpose(1, 2) for part in range(3))
        logits = (queries * self.head**-0.5) @ keys.transpose(2, 3)
        seen = torch.softmax(logits + bias, dim=-1) @ values
        return self.merge(seen.transpose(1, 2).reshape(-1, length, self.heads * self.head))

    def forward(self, x: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
        x = x + (self.strength[0] * self.attend(self.norm_attention(x).to(bias.dtype), bias)).float()
        return x + (self.strength[1] * self.mlp(self.norm_forward(x).to(bias.dtype))).float()


class Body(nn.Module):
    """Everything behind the extractor. The state of a pulse has 32 bits, what is added to it may have 16."""

    def __init__(self, config: Config):
        super().__init__()
        dim, heads = config.dim, config.dim // config.head
        self.n_relative = config.relative
        self.relative = Relative(config.head)
        self.sandwich = nn.ModuleList(RelativeBlock(dim, config.head) for _ in range(config.sandwich))
        self.token = nn.Parameter(torch.empty(1, dim).uniform_(-(dim**-0.5), dim**-0.5))
        self.blocks = nn.ModuleList(Block(dim, heads) for _ in range(config.depth))
        self.head = Exact(dim, 3)

    def forward(self, x: torch.Tensor, pos: torch.Tensor, time: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        real = mask.to(self.token.dtype)
        # Away where exactly one of a pair is padding: padding looks at padding, so that every row has somewhere to look.
        bias = AWAY * (real[:, None, :, None] - real[:, None, None, :]).abs()
        relative = self.relative(pos, time)
        for at, block in enumerate(self.sandwich):
            x = block(x, bias, relative if at < self.n_relative else None)
        x = torch.cat([self.token.float() * torch.ones_like(x[:, :1]), x], dim=1)
        bias = AWAY * (1 - F.pad(real, (1, 0), value=1.0))[:, None, None, :]
        for block in self.blocks:
            x = block(x, bias)
        return self.head(x[:, 0])


class DeepIce(nn.Module):
    """Raw direction of every event."""

    def __init__(self, config: Config = B32):
        super().__init__()
        self.extract = Extractor(config.base, config.dim)
        self.body = Body(config)

    def forward(self, pos, time, charge, auxiliary, mask, L0) -> torch.Tensor:  # noqa: N803, the contest's name
        return self.body(self.extract(pos, time, charge, auxiliary, L0), pos, time, mask)

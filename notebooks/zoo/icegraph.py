"""The transformer with a graph encoder (DynEdge, Abbasi et al. 2022) beside its Fourier features.

Events stay padded: neighbors come from a masked matrix of distances and TopK, means are masked sums, so that no operator
outside the standard is needed.
"""

from dataclasses import dataclass

import torch
from torch import nn

from .icecube import Body, Config as Transformer, Extractor
from .layers import Island

NEIGHBORS = 8
FAR = 1e9  # squared distance of what is no neighbor
WIDTHS = ((128, 256), (336, 256), (336, 256), (336, 256))
NODE = 9  # x, y, z, time, auxiliary, qe, charge, scattering, absorption
EVENT = NODE + 5  # their means, homophily of x, y, z, time, log10 of the length


@dataclass(frozen=True)
class Config:
    transformer: Transformer
    with_time: bool  # whether the first graph's distances count time
    widths: tuple[tuple[int, int], ...] = WIDTHS
    after: int = 336
    readout: int = 128  # an output layer that the published checkpoints carry and never use


S = Config(Transformer(dim=384, base=128, depth=8, head=32), with_time=False)
B = Config(Transformer(head=64, relative=4), with_time=True)
SMALL_S = Config(
    Transformer(dim=48, base=24, depth=1, head=8, sandwich=2, max_pulses=64), with_time=False,
    widths=((24, 32), (32, 32)), after=32, readout=16,
)
SMALL_B = Config(
    Transformer(dim=48, base=24, depth=2, head=16, sandwich=2, relative=2, max_pulses=64), with_time=True,
    widths=((24, 32), (32, 32)), after=32, readout=16,
)


def neighbors(x: torch.Tensor, mask: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Rows of the k nearest other pulses of the same event, in the flattened batch, and which of them exist.

    Both (B, L, k). Equal distances go to the lower index, as ONNX's TopK has it.
    """
    # Column by column: the same sums in every engine, so that equal distances stay equal.
    squared = sum((x[:, :, None, at] - x[:, None, :, at]) ** 2 for at in range(int(x.shape[2])))
    length = x.shape[1]
    here = torch.arange(length, device=x.device)
    itself = here[:, None] == here[None, :]
    squared = torch.where(itself | ~mask[:, None, :] | ~mask[:, :, None], torch.full_like(squared, FAR), squared)
    # Room for k even where an event has fewer pulses.
    squared = nn.functional.pad(squared, (0, NEIGHBORS), value=FAR)
    if torch.onnx.is_in_onnx_export():
        nearest, index = torch.topk(squared, NEIGHBORS, dim=2, largest=False)
    else:
        nearest, index = torch.sort(squared, dim=2, stable=True)
        nearest, index = nearest[:, :, :NEIGHBORS], index[:, :, :NEIGHBORS]
    exists = nearest < FAR / 2
    start = torch.arange(x.shape[0], device=x.device)[:, None, None] * length
    return torch.where(exists, index, torch.zeros_like(index)) + start, exists


def rows(x: torch.Tensor, index: torch.Tensor) -> torch.Tensor:
    """x (B, L, n) at rows of the flattened batch: (B, L, k, n)."""
    return x.flatten(0, 1)[index]


class EdgeConv(nn.Module):
    """The sum over neighbors of a network of the node and how the neighbor differs from it."""

    def __init__(self, inputs: int, hidden: int, outputs: int):
        super().__init__()
        self.inputs = inputs
        self.first = nn.Linear(2 * inputs, hidden)
        self.norm = nn.LayerNorm(hidden)
        self.second = nn.Linear(hidden, outputs)
        self.last = nn.LayerNorm(outputs)
        self.activation = nn.GELU()

    def forward(self, x: torch.Tensor, index: torch.Tensor, exists: torch.Tensor) -> torch.Tensor:
        # The first layer is linear in the node and in its neighbor: once per node, not once per edge.
        own, other = self.first.weight[:, : self.inputs], self.first.weight[:, self.inputs :]
        node, neighbor = x @ (own - other).T + self.first.bias, x @ other.T
        hidden = self.activation(self.norm(node[:, :, None] + rows(neighbor, index)))
        messages = self.activation(self.last(self.second(hidden)))
        return (messages * exists[..., None].float()).sum(2)


def dense(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(inputs, outputs), nn.LayerNorm(outputs), nn.GELU())


class DynEdge(Island):
    """Graph features of every pulse; neighbors are found anew after each convolution."""

    def __init__(self, config: Config, outputs: int):
        super().__init__()
        self.place = 4 if config.with_time else 3
        width = NODE + EVENT
        self.convolutions = nn.ModuleList()
        total = width
        for hidden, out in config.widths:
            self.convolutions.append(EdgeConv(width, hidden, out))
            width, total = out, total + out
        self.after = nn.Sequential(dense(total, config.after), dense(config.after, outputs))
        self.readout = dense(outputs, config.readout)

    def forward(self, nodes: torch.Tensor, mask: torch.Tensor, count: torch.Tensor) -> torch.Tensor:
        real = mask[..., None].float()
        n = real.sum(1).clamp_min(1)
        index, exists = neighbors(nodes[:, :, : self.place], mask)
        edge = exists[..., None].float()
        same = (rows(nodes[:, :, :4], index) == nodes[:, :, None, :4]).float()
        homophily = (same * edge).sum((1, 2)) / edge.sum((1, 2)).clamp_min(1)
        decades = torch.log10(count.clamp_min(1).float())[:, None]
        event = torch.cat([(nodes * real).sum(1) / n, homophily, decades], dim=1)
        x = torch.cat([nodes, event[:, None] * torch.ones_like(real)], dim=2) * real
        seen = [x]
        for at, convolution in enumerate(self.convolutions):
            if at > 0:
                index, exists = neighbors(x[:, :, :3], mask)
            x = convolution(x, index, exists)
            seen.append(x)
        return self.after(torch.cat(seen, dim=2)) * real


class DeepIceGraph(nn.Module):
    """Raw direction of every event: half of a pulse's numbers are Fourier features, half come from the graph."""

    def __init__(self, config: Config = S):
        super().__init__()
        half = config.transformer.dim // 2
        self.extract = Extractor(config.transformer.base, half, scaled=True)
        self.graph = DynEdge(config, half)
        self.body = Body(config.transformer)

    def forward(self, pos, time, charge, auxiliary, qe, ice_properties, mask, L0) -> torch.Tensor:  # noqa: N803
        flags = torch.stack([auxiliary, qe], dim=2).float()
        nodes = torch.cat([pos, time[..., None], flags, charge[..., None], ice_properties], dim=2)
        waves = self.extract(pos, time, charge, auxiliary, L0)
        graph = self.graph(nodes, mask, L0)
        return self.body(torch.cat([waves, graph], dim=2), pos, time, mask)

"""A transformer over sixteen patches of 2x2 pixels; its graph emits logits."""

import torch
from torch import nn

from .layers import Scale

PATCHES = 16


class Block(nn.Module):
    """Pre-norm attention and feed-forward, written out so that only plain
    operators reach the graph."""

    def __init__(self, width: int, heads: int, dropout: float):
        super().__init__()
        self.heads, self.depth = heads, width // heads
        self.norm_attention = nn.LayerNorm(width)
        self.queries = nn.Linear(width, width)
        self.keys = nn.Linear(width, width)
        self.values = nn.Linear(width, width)
        self.merge = nn.Linear(width, width)
        self.norm_forward = nn.LayerNorm(width)
        self.forward_net = nn.Sequential(
            nn.Linear(width, 2 * width), nn.GELU(), nn.Dropout(dropout), nn.Linear(2 * width, width)
        )
        self.dropout = nn.Dropout(dropout)

    def split(self, x: torch.Tensor) -> torch.Tensor:
        return x.reshape(-1, PATCHES, self.heads, self.depth).transpose(1, 2)

    def attend(self, x: torch.Tensor) -> torch.Tensor:
        queries = self.split(self.queries(x)) * self.depth**-0.5
        weights = torch.softmax(queries @ self.split(self.keys(x)).transpose(2, 3), dim=3)
        mixed = self.dropout(weights) @ self.split(self.values(x))
        return self.merge(mixed.transpose(1, 2).reshape(-1, PATCHES, self.heads * self.depth))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = x + self.dropout(self.attend(self.norm_attention(x)))
        return x + self.dropout(self.forward_net(self.norm_forward(x)))


class Transformer(nn.Module):
    def __init__(self, width: int = 32, heads: int = 4, depth: int = 2, dropout: float = 0.1):
        super().__init__()
        self.scale = Scale()
        self.embed = nn.Linear(4, width)
        self.position = nn.Parameter(torch.randn(PATCHES, width) * 0.1)
        self.blocks = nn.Sequential(*(Block(width, heads, dropout) for _ in range(depth)))
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, 10)

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        grid = self.scale(pixels).reshape(-1, 4, 2, 4, 2)  # patch row, row in it, patch column, column in it
        patches = grid.transpose(2, 3).reshape(-1, PATCHES, 4)
        tokens = self.blocks(self.embed(patches) + self.position)
        return self.head(self.norm(tokens).mean(dim=1))

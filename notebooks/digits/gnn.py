"""A graph network: pixels are nodes, the eight pixels around each its neighbors.

Two kinds of edges, straight and diagonal, each with its own weights. A message
does not know its direction, which is what sets this apart from a convolution;
nodes learn where they are from their coordinates instead. How much of a message
arrives depends on the node that receives it.
"""

import torch
from torch import nn

from .layers import Scale


def adjacency() -> tuple[torch.Tensor, torch.Tensor]:
    """Straight and diagonal neighbors, [64, 64] each; every row sums to one."""
    index = torch.arange(64)
    row, column = index // 8, index % 8
    down = (row[:, None] - row[None, :]).abs()
    across = (column[:, None] - column[None, :]).abs()
    straight = (down + across == 1).float()
    diagonal = ((down == 1) & (across == 1)).float()
    return straight / straight.sum(1, keepdim=True), diagonal / diagonal.sum(1, keepdim=True)


def coordinates() -> torch.Tensor:
    """[64, 4]: where each node is, linear and squared, in -1..1."""
    line = torch.linspace(-1, 1, 8)
    row, column = line.repeat_interleave(8), line.repeat(8)
    return torch.stack([row, column, row**2, column**2], dim=1)


class MessagePassing(nn.Module):
    def __init__(self, width: int, dropout: float):
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.own = nn.Linear(width, width)
        self.straight = nn.Linear(width, width, bias=False)
        self.diagonal = nn.Linear(width, width, bias=False)
        self.gate = nn.Linear(width, width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, nodes: torch.Tensor, straight: torch.Tensor, diagonal: torch.Tensor) -> torch.Tensor:
        x = self.norm(nodes)
        messages = straight @ self.straight(x) + diagonal @ self.diagonal(x)
        update = torch.relu(self.own(x) + torch.sigmoid(self.gate(x)) * messages)
        return nodes + self.dropout(update)


class Gnn(nn.Module):
    def __init__(self, width: int = 32, rounds: int = 3, dropout: float = 0.1):
        super().__init__()
        self.scale = Scale()
        self.intensity = nn.Linear(1, width, bias=False)
        straight, diagonal = adjacency()
        self.register_buffer("straight", straight)
        self.register_buffer("diagonal", diagonal)
        self.register_buffer("coordinates", coordinates())
        self.place = nn.Linear(4, width)
        self.rounds = nn.ModuleList(MessagePassing(width, dropout) for _ in range(rounds))
        self.attention = nn.Linear(width, 4)
        self.head = nn.Sequential(nn.LayerNorm(4 * width), nn.Dropout(dropout), nn.Linear(4 * width, 10))

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        lit = self.scale(pixels).reshape(-1, 64, 1)
        nodes = torch.relu(self.intensity(lit) + self.place(self.coordinates))
        for step in self.rounds:
            nodes = step(nodes, self.straight, self.diagonal)
        # Four attention heads each read one summary out of the graph.
        shares = torch.softmax(self.attention(nodes), dim=1)
        summary = shares.transpose(1, 2) @ nodes
        return self.head(summary.reshape(-1, self.head[2].in_features))

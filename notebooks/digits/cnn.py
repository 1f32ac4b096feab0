"""A small convolutional network, trained on slightly moved and turned images."""

import math

import torch
from torch import nn
from torch.nn import functional as F

from .layers import Scale


class Cnn(nn.Module):
    def __init__(self, width: int = 6, dropout: float = 0.1):
        super().__init__()

        def block(inputs: int, outputs: int) -> list[nn.Module]:
            # The exporter folds each of these batch norms into its convolution.
            return [nn.Conv2d(inputs, outputs, 3, padding=1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU()]

        self.scale = Scale()
        self.features = nn.Sequential(
            *block(1, width),
            *block(width, 2 * width),
            nn.MaxPool2d(2),
            *block(2 * width, 2 * width),
            nn.MaxPool2d(2),
        )
        self.head = nn.Sequential(nn.Dropout(dropout), nn.Linear(2 * width * 4, 10))

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        image = self.scale(pixels).reshape(-1, 1, 8, 8)
        return self.head(self.features(image).reshape(-1, self.head[1].in_features))


def augment(pixels: torch.Tensor, noise: torch.Generator) -> torch.Tensor:
    """Turn each image by up to 12 degrees and move it by up to 0.8 of a pixel."""
    rows = pixels.shape[0]
    angle = (torch.rand(rows, generator=noise) * 2 - 1) * math.radians(12)
    # `affine_grid` measures in half images: four pixels are 1.
    move = (torch.rand(rows, 2, generator=noise) * 2 - 1) * (0.8 / 4)
    cos, sin = torch.cos(angle), torch.sin(angle)
    turn = torch.stack([torch.stack([cos, -sin], 1), torch.stack([sin, cos], 1)], 1)
    grid = F.affine_grid(torch.cat([turn, move[:, :, None]], 2), [rows, 1, 8, 8], align_corners=False)
    moved = F.grid_sample(pixels.reshape(rows, 1, 8, 8), grid, align_corners=False)
    return moved.reshape(rows, 64)

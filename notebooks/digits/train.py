"""Fit one model on one set of rows. Nothing here ever sees the held-out fold.

Every network trains for a fixed number of epochs: stopping early on the held-out
fold would leak it, and stopping on a split of the rest would waste rows.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from .cnn import Cnn, augment
from .gnn import Gnn
from .mlp import Mlp
from .tabnet import TabNet
from .transformer import Transformer

Augment = Callable[[torch.Tensor, torch.Generator], torch.Tensor]


@dataclass(frozen=True)
class Recipe:
    build: Callable[[], nn.Module]
    epochs: int
    rate: float
    decay: float = 0.01
    batch: int = 64
    smoothing: float = 0.0
    augment: Augment | None = None


RECIPES = {
    "mlp": Recipe(Mlp, epochs=40, rate=4e-3, decay=0.05),
    "cnn": Recipe(Cnn, epochs=22, rate=6e-3, augment=augment),
    "transformer": Recipe(Transformer, epochs=40, rate=6e-3, decay=0.05, smoothing=0.02),
    "gnn": Recipe(Gnn, epochs=40, rate=6e-3, decay=0.05),
    "tabnet": Recipe(TabNet, epochs=60, rate=2.5e-2, smoothing=0.02),
}


def fit(recipe: Recipe, pixels: np.ndarray, labels: np.ndarray, seed: int) -> nn.Module:
    """Train with AdamW and a one-cycle learning rate; return the net in eval mode."""
    torch.manual_seed(seed)
    net = recipe.build().train()
    noise = torch.Generator().manual_seed(seed)
    x, y = torch.from_numpy(pixels), torch.from_numpy(labels)
    steps = len(y) // recipe.batch  # the few rows left over change with each shuffle
    optimizer = torch.optim.AdamW(net.parameters(), lr=recipe.rate, weight_decay=recipe.decay)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, max_lr=recipe.rate, total_steps=steps * recipe.epochs, pct_start=0.2
    )
    for _ in range(recipe.epochs):
        order = torch.randperm(len(y), generator=noise)
        for step in range(steps):
            rows = order[step * recipe.batch : (step + 1) * recipe.batch]
            batch = x[rows] if recipe.augment is None else recipe.augment(x[rows], noise)
            loss = F.cross_entropy(net(batch), y[rows], label_smoothing=recipe.smoothing)
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(net.parameters(), 1.0)
            optimizer.step()
            schedule.step()
    return net.eval()


@torch.no_grad()
def scores(net: nn.Module, pixels: np.ndarray) -> np.ndarray:
    return net(torch.from_numpy(pixels)).double().numpy()


def softmax(logits: np.ndarray) -> np.ndarray:
    shifted = np.exp(logits - logits.max(axis=1, keepdims=True))
    return shifted / shifted.sum(axis=1, keepdims=True)


def log_loss(labels: np.ndarray, probabilities: np.ndarray, clip: float = 1e-15) -> float:
    """In float64, rows as they are: no renormalization."""
    chosen = probabilities[np.arange(len(labels)), labels].astype(np.float64)
    return float(-np.log(np.clip(chosen, clip, 1 - clip)).mean())

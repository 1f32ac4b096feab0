"""Fit one network on one set of simulated events. Nothing here ever sees the held-out fold.

A fixed number of epochs: stopping early on the held-out fold would leak it. The grid of strings looks the same after a
turn by 60 degrees and in a mirror, so every batch is turned and mirrored at random.
"""

import copy
import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from .layers import Norm
from .losses import angle, von_mises_fisher
from .pulses import Tensors


@dataclass(frozen=True)
class Plan:
    epochs: int
    batch: int = 64
    rate: float = 2.5e-3
    decay: float = 0.05
    angular: float = 0.5  # share of the mean angle in the loss of the last third
    memory: float = 0.998  # of the running mean of the weights


def turned(batch: dict[str, torch.Tensor], target: torch.Tensor, random: np.random.Generator):
    """Events and directions turned about the vertical by a multiple of 60 degrees, half of them mirrored."""
    turn = random.integers(6) * math.pi / 3
    mirror = float(random.choice([-1.0, 1.0]))
    matrix = torch.tensor([
        [math.cos(turn), -mirror * math.sin(turn), 0.0], [math.sin(turn), mirror * math.cos(turn), 0.0], [0.0, 0.0, 1.0],
    ])
    return batch | {"pos": batch["pos"] @ matrix.T}, target @ matrix.T


def groups(net: nn.Module, decay: float) -> list[dict]:
    """Weights decay; biases, norms, embeddings and strengths do not."""
    weights = {p for m in net.modules() if isinstance(m, nn.Linear) and not isinstance(m, Norm) for p in [m.weight]}
    rest = [p for p in net.parameters() if p not in weights]
    return [{"params": list(weights), "weight_decay": decay}, {"params": rest, "weight_decay": 0.0}]


def fit(net: nn.Module, tensors: Tensors, rows: np.ndarray, names: list[str], plan: Plan, seed: int) -> nn.Module:
    """The running mean of the trained weights, in eval mode."""
    random = np.random.default_rng(seed)
    optimizer = torch.optim.AdamW(groups(net, plan.decay), lr=plan.rate, eps=1e-7)
    total = plan.epochs * math.ceil(len(rows) / plan.batch)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, plan.rate, total, pct_start=0.1)
    mean = copy.deepcopy(net)
    step = 0
    net.train()
    for _ in range(plan.epochs):
        for chosen in tensors.batches(rows, plan.batch, random):
            batch, target = turned(tensors.batch(chosen, names), torch.from_numpy(tensors.target[chosen]), random)
            raw = net(*(batch[name] for name in names))
            loss = von_mises_fisher(raw, target)
            if step > total * 2 / 3:
                loss = loss + plan.angular * angle(raw, target)
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(net.parameters(), 3.0)
            optimizer.step()
            schedule.step()
            step += 1
            memory = min(plan.memory, (1 + step) / (10 + step))
            with torch.no_grad():
                for slow, fast in zip(mean.parameters(), net.parameters()):
                    slow.lerp_(fast, 1 - memory)
    return mean.eval()


@torch.no_grad()
def predict(net: nn.Module, tensors: Tensors, rows: np.ndarray, names: list[str], batch: int = 256) -> np.ndarray:
    """Raw vectors of `rows`, (n, 3), in their order."""
    out = np.zeros((len(rows), 3), np.float32)
    places = np.empty(len(tensors.n), np.int64)
    places[rows] = np.arange(len(rows))
    for chosen in tensors.batches(rows, batch):
        out[places[chosen]] = net(*tensors.batch(chosen, names).values()).numpy()
    return out

"""A model's networks to its folder: graphs, checked, and the manifest."""

from dataclasses import replace
from pathlib import Path

import torch
from torch import nn

from . import export, manifests
from .preprocess import Clusters, Projection
from .systems import SYSTEMS, Stage, System


def system(name: str) -> System:
    if name not in SYSTEMS:
        raise SystemExit(f"unknown model `{name}`; there are {', '.join(SYSTEMS)}")
    return SYSTEMS[name]


def networks(stage: Stage) -> list[tuple[int | None, int]]:
    """Seed and fold of every network of a stage."""
    return [(seed, fold) for seed in stage.seeds or (None,) for fold in range(stage.n_folds)]


def stem(seed: int | None, fold: int) -> str:
    return f"fold{fold}" if seed is None else f"seed{seed}_fold{fold}"


def randomized(net: nn.Module, seed: int) -> nn.Module:
    """Random statistics and fitted arrays, so that nothing in a graph is 0 or 1 by accident."""
    random = torch.Generator().manual_seed(seed)
    normal = lambda like: torch.randn(like.shape, generator=random)  # noqa: E731
    for module in net.modules():
        if isinstance(module, Projection):
            module.weight.copy_(normal(module.weight) * len(module.weight) ** -0.5)
        elif isinstance(module, Clusters):
            module.centers.copy_(normal(module.centers))
        elif isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.running_mean.copy_(0.1 * normal(module.running_mean))
            module.running_var.copy_(0.5 + torch.rand(module.running_var.shape, generator=random))
    return net.eval()


def random_network(stage: Stage, config: object, seed: int) -> nn.Module:
    """The same for the same seed."""
    torch.manual_seed(seed)
    return randomized(stage.build(config), seed)


def export_system(
    name: str, folder: Path, size: str, precision: str, weights: Path | None, random: int | None, only: int | None
) -> None:
    """Writes all graphs of a model, or the first `only` of every stage; a graph that strays from its network is an
    error."""
    it = system(name)
    config = getattr(it, size)
    for stage in it.stages:
        for at, (seed, fold) in enumerate(networks(stage)[:only]):
            if weights is None:
                net = random_network(stage, config, (random or 0) + at)
            else:
                state = torch.load(weights / stage.name / f"{stem(seed, fold)}.pt", weights_only=True)
                net = export.restored(stage.build(config), state).eval()
            path = folder / stage.name / f"{stem(seed, fold)}.onnx"
            worst = export.written(path, net, stage, config, it.output, precision)
            print(f"{path}: {path.stat().st_size / 2**20:.1f} MiB, within {worst:.1e} of the network", flush=True)
    (folder / "model.yaml").write_text(manifests.text(replace(it, full=config)))

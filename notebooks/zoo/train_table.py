"""Training of the MoA models: every network on the rows that its fold leaves, stage after stage.

Preprocessing is fitted on a network's own training rows (the winners fitted much of it on training and test rows
together). Later stages see earlier ones as `blend predict` makes them: out of fold for training rows, averaged over seeds.
A fixed number of epochs: a held-out fold chooses nothing.
"""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import nn
from torch.nn import functional as F

from .build import networks, stem, system
from .export import restored
from .layers import n_parameters
from .losses import smoothed
from .preprocess import applied
from .systems import Earlier, Stage, System


@dataclass(frozen=True)
class Plan:
    epochs: int
    batch: int
    rate: float
    decay: float = 1e-5
    smoothing: float = 1e-3
    swap: tuple[float, float] = (0.0, 0.0)  # share of rows, and of their columns, that take values of other rows
    clip_labels: tuple[float, float] | None = None


_IMAGES = dict(smoothing=1e-3, decay=1e-6, swap=(0.1, 0.15))
PLANS = {
    ("three_stage", "nonscored"): Plan(24, 128, 5e-3),
    ("three_stage", "scored"): Plan(24, 128, 5e-3),
    ("three_stage", "refined"): Plan(20, 128, 5e-3, smoothing=0.0, clip_labels=(0.0005, 0.9995)),
    ("two_stage", "nonscored"): Plan(24, 128, 5e-3),
    ("two_stage", "scored"): Plan(150, 1024, 2e-2, smoothing=1e-3),
    ("simple_nn", "main"): Plan(25, 128, 1e-2),
    ("two_heads", "main"): Plan(40, 128, 1e-3),
    ("efficientnet", "main"): Plan(30, 48, 3.52e-4, **_IMAGES),
    ("resnest", "main"): Plan(30, 128, 3.52e-4, **_IMAGES),
    ("stacker", "main"): Plan(60, 1024, 2e-2),
}
SMALL_EPOCHS, SMALL_BATCH = 6, 128  # at most, of the small configurations


@dataclass(frozen=True)
class Data:
    """The training rows: inputs by table, labels by stage output, fold maps by column."""

    ids: np.ndarray
    tables: dict[str, np.ndarray]
    scored: np.ndarray
    nonscored: np.ndarray
    folds: pd.DataFrame

    @classmethod
    def read(cls, folder: Path, names: tuple[str, ...]) -> "Data":
        """What `zoo tables` wrote, and the contest's scored targets; other tables are other models' stored outputs."""
        def table(path: Path) -> pd.DataFrame:
            return (pd.read_feather if path.suffix == ".feather" else pd.read_parquet)(path)

        scored = pd.read_csv(folder / "train_targets_scored.csv")
        key = scored[["sig_id"]]

        def aligned(frame: pd.DataFrame) -> np.ndarray:
            merged = key.merge(frame, on="sig_id", how="left", validate="one_to_one").iloc[:, 1:]
            return merged.to_numpy(np.float32)

        def path(name: str) -> Path:
            own = folder / f"{name}_train.parquet"
            return own if own.exists() else folder.parent / name / "oof.feather"

        return cls(
            key["sig_id"].to_numpy(), {name: aligned(table(path(name))) for name in names}, aligned(scored),
            aligned(pd.read_parquet(folder / "targets_nonscored.parquet")),
            key.merge(pd.read_csv(folder / "folds.csv"), on="sig_id", validate="one_to_one"),
        )

    def labels(self, stage: Stage) -> np.ndarray:
        return self.nonscored if stage.name == "nonscored" else self.scored

    def fold(self, stage: Stage, seed: int | None) -> np.ndarray:
        return self.folds[stage.folds.replace("{seed}", str(seed))].to_numpy()


def swapped(x: torch.Tensor, swap: tuple[float, float]) -> torch.Tensor:
    """Some columns of some rows from other rows of the batch."""
    if swap[0] == 0:
        return x
    chosen = (torch.rand(len(x), 1, device=x.device) < swap[0]) & (torch.rand_like(x) < swap[1])
    return torch.where(chosen, x[torch.randperm(len(x), device=x.device)], x)


def start_at_rates(net: nn.Module, labels: np.ndarray) -> None:
    """Biases of the last layer so that an untrained network predicts about how frequent each label is."""
    rates = np.clip(labels.mean(axis=0), 1e-4, 1 - 1e-4)
    biases = [bias for name, bias in net.named_parameters() if name.endswith("bias") and bias.shape == rates.shape]
    if biases:
        with torch.no_grad():
            biases[-1].copy_(torch.from_numpy(np.log(rates / (1 - rates))))


@torch.no_grad()
def learner(net: nn.Module, tensors: list[torch.Tensor], batch: int = 4096) -> tuple[nn.Module, list[torch.Tensor]]:
    """What of a network learns, and what that part is given. Where it is all in `net.net`, the preprocessing before it
    runs here, once, and not for every batch of every epoch."""
    inner = getattr(net, "net", None)
    if inner is None or n_parameters(inner) != n_parameters(net):
        return net, tensors
    given: list[tuple[torch.Tensor, ...]] = []
    hook = inner.register_forward_pre_hook(lambda _, inputs: given.append(inputs))
    net.eval()
    for at in range(0, len(tensors[0]), batch):
        net(*(x[at : at + batch] for x in tensors))
    hook.remove()
    return inner, [torch.cat(parts) for parts in zip(*given)]


def fit(net: nn.Module, inputs: dict[str, np.ndarray], labels: np.ndarray, plan: Plan, epochs: int, seed: int, device: str) -> nn.Module:
    """A network whose preprocessing is fitted, trained on all rows given."""
    torch.manual_seed(seed)
    start_at_rates(net, labels)
    net = net.to(device)
    learning, tensors = learner(net, [torch.from_numpy(x).to(device) for x in inputs.values()])
    net.train()
    target = torch.from_numpy(labels).to(device)
    target = target.clamp(*plan.clip_labels) if plan.clip_labels else smoothed(target, plan.smoothing)
    steps = max(1, len(labels) // plan.batch)
    optimizer = torch.optim.AdamW(net.parameters(), lr=plan.rate, weight_decay=plan.decay)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, plan.rate, epochs * steps, pct_start=0.1, div_factor=25)
    for _ in range(epochs):
        # Near-equal batches: a plain split could leave a last batch of one row.
        for chosen in torch.randperm(len(labels), device=device).tensor_split(steps):
            batch = [tensors[0][chosen], *(x[chosen] for x in tensors[1:])]
            batch[0] = swapped(batch[0], plan.swap)
            loss = F.binary_cross_entropy_with_logits(learning(*batch), target[chosen])
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(net.parameters(), 10.0)
            optimizer.step()
            schedule.step()
    return net.eval()


def probabilities(net: nn.Module, inputs: dict[str, np.ndarray], output: str) -> np.ndarray:
    out = applied(net, *inputs.values(), batch=256)
    return out if output == "probability" else 1 / (1 + np.exp(-out.astype(np.float64)))


def log_loss(p: np.ndarray, y: np.ndarray) -> float:
    """Mean binary log loss over all cells, probabilities clipped at 1e-15 as the contest does."""
    p = np.clip(p.astype(np.float64), 1e-15, 1 - 1e-15)
    return float(-(y * np.log(p) + (1 - y) * np.log(1 - p)).mean())


def stage_inputs(stage: Stage, config: object, data: Data, earlier: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {
        name: earlier[it.stage] if isinstance(it, Earlier) else data.tables[it.name]
        for name, it in stage.inputs(config).items()
    }


def train_stage(
    it: System, stage: Stage, config: object, data: Data, earlier: dict[str, np.ndarray], folder: Path, epochs: int,
    only: int | None, device: str,
) -> np.ndarray:
    """Trains and saves all networks of a stage; their out-of-fold probabilities, averaged over seeds. Rows that no trained
    network holds out get the mean of all."""
    inputs = stage_inputs(stage, config, data, earlier)
    labels = data.labels(stage)
    plan = PLANS[it.family, stage.name]
    if config == it.small:
        plan = replace(plan, batch=min(plan.batch, SMALL_BATCH))
    total, count = np.zeros(labels.shape), np.zeros((len(labels), 1))
    fitted: dict[bytes, dict[str, torch.Tensor]] = {}
    for seed, fold in networks(stage)[:only]:
        path = folder / stage.name / f"{stem(seed, fold)}.pt"
        held_out = data.fold(stage, seed) == fold
        torch.manual_seed(1000 * (seed or 0) + fold)
        net = stage.build(config)
        if path.exists():
            net = restored(net, torch.load(path, weights_only=True)).eval()
        else:
            rows = {name: x[~held_out] for name, x in inputs.items()}
            key = held_out.tobytes()
            if key not in fitted:  # seeds with the same folds share what is fitted
                net.prepare(rows, labels[~held_out])
                fitted[key] = {name: buffer.clone() for name, buffer in net.named_buffers() if "norm" not in name}
            restored(net, net.state_dict() | fitted[key])
            net = fit(net, rows, labels[~held_out], plan, epochs, 1000 * (seed or 0) + fold, device).cpu()
            path.parent.mkdir(parents=True, exist_ok=True)
            torch.save(net.state_dict(), path)
        p = probabilities(net, {name: x[held_out] for name, x in inputs.items()}, it.output)
        total[held_out] += p
        count[held_out] += 1
        loss = log_loss(p, labels[held_out])
        print(f"{it.name} {stage.name} {path.stem}: {held_out.sum()} held-out rows, log loss {loss:.6f}", flush=True)
    mean = total.sum(0) / max(count.sum(), 1)
    return np.where(count > 0, total / np.maximum(count, 1), mean).astype(np.float32)


def train(name: str, data: Path, weights: Path, size: str = "full", only: int | None = None, device: str = "cpu") -> float:
    """Trains a model and saves its weights; networks that are saved already are read. The out-of-fold log loss of the
    last stage on the rows of its map."""
    it = system(name)
    if it.competition != "moa":
        raise SystemExit(f"{name} is no model of the MoA contest; `zoo neutrino` trains small forms of the others")
    config = getattr(it, size)
    if size == "small":
        torch.set_num_threads(1)  # small matrices: a second thread costs more than it brings
    read = Data.read(data, it.tables)
    earlier: dict[str, np.ndarray] = {}
    for stage in it.stages:
        epochs = PLANS[it.family, stage.name].epochs
        epochs = min(epochs, SMALL_EPOCHS) if size == "small" else epochs
        earlier[stage.name] = train_stage(it, stage, config, read, earlier, weights, epochs, only, device)
    last = it.stages[-1]
    inside = read.fold(last, last.seeds[0] if last.seeds else None) >= 0
    loss = log_loss(earlier[last.name][inside], read.scored[inside])
    print(f"{name}: log loss {loss:.6f} on {inside.sum():,} rows", flush=True)
    return loss

"""`models/neutrino`: a simulated contest with small forms of the five IceCube models, from events to graphs."""

import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from . import export, linefit, manifests
from .pulses import Tensors
from .simulate import Detector, Events, detector, simulate
from .systems import SYSTEMS, Stage, pulses
from .train_events import Plan, fit, predict

FOLDS = 3
EPOCHS = {"b-32": 5, "b-64": 3, "b-4-rel": 3, "s-gnn": 3, "b-gnn": 3}
MODELS = tuple(EPOCHS)
LINE = Stage("main", lambda config: linefit.LineFit(), pulses("pos", "time", "charge", "auxiliary", "mask"), (), "fold", 1, lambda it: 3)
MAX_PULSES = 64


@dataclass(frozen=True)
class Size:
    """How much is simulated and trained; `extra` events train every fold and are not shipped."""

    train: int = 3000
    test: int = 1500
    extra: int = 7000
    epochs: int | None = None  # of every model, in the place of its own


FULL = Size()
FAST = Size(train=300, test=150, extra=300, epochs=1)


@dataclass(frozen=True)
class Contest:
    """Events of both splits, their ids, the fold of every training event."""

    size: Size
    at: Detector
    train: Events
    test: Events
    train_ids: np.ndarray
    test_ids: np.ndarray
    fold: np.ndarray
    public: np.ndarray

    @classmethod
    def make(cls, size: Size) -> "Contest":
        random = np.random.default_rng(2023)
        ids = random.choice(1_000_000, size.train + size.test, replace=False)
        return cls(
            size, detector(), simulate(size.train, 1), simulate(size.test, 2), ids[: size.train], ids[size.train :],
            random.permutation(np.arange(size.train) % FOLDS), random.random(size.test) < 0.4,
        )


def angles(direction: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Azimuth in [0, 2 pi) and zenith of unit vectors."""
    azimuth = np.mod(np.arctan2(direction[:, 1], direction[:, 0]), 2 * np.pi)
    return azimuth, np.arccos(np.clip(direction[:, 2], -1, 1))


def write_data(contest: Contest, folder: Path) -> None:
    """Everything of the contest but its models."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, events, ids in (("train", contest.train, contest.train_ids), ("test", contest.test, contest.test_ids)):
        frame = pd.DataFrame({
            "event_id": np.repeat(ids, events.counts()).astype(np.int32),
            "sensor_id": events.sensor.astype(np.int16),
            "time": events.time.astype(np.int32),
            "charge": events.charge.astype(np.float32),
            "auxiliary": events.auxiliary,
        })
        frame.to_parquet(folder / f"pulses_{name}.parquet", index=False, compression="zstd")
    labels = [angles(events.direction) for events in (contest.train, contest.test)]
    table = lambda ids, pair: {"event_id": ids, "azimuth": pair[0], "zenith": pair[1]}  # noqa: E731
    written = {"index": False, "float_format": "%.6f"}
    pd.DataFrame(table(contest.train_ids, labels[0]) | {"fold": contest.fold}).to_csv(folder / "train.csv", **written)
    usage = np.where(contest.public, "Public", "Private")
    pd.DataFrame(table(contest.test_ids, labels[1]) | {"usage": usage}).to_csv(folder / "test_labels.csv", **written)
    ones = np.ones(len(contest.test_ids))
    pd.DataFrame(table(contest.test_ids, (ones, ones))).to_csv(folder / "sample_submission.csv", index=False, float_format="%g")
    at = contest.at
    sensors = {"sensor_id": np.arange(len(at.qe))} | {axis: at.position[:, i] for i, axis in enumerate("xyz")} | {"qe": at.qe}
    pd.DataFrame(sensors).to_csv(folder / "sensor_geometry.csv", index=False, float_format="%.2f")
    ice = {"depth": at.depth, "scattering_len": at.scattering, "absorption_len": at.absorption}
    pd.DataFrame(ice).to_csv(folder / "ice.csv", index=False, float_format="%.2f")


class Builder:
    """Trains, exports and checks; what is there already is not trained again."""

    def __init__(self, contest: Contest, root: Path, states: Path):
        self.contest, self.root, self.states = contest, root, states
        size = contest.size
        extra = simulate(size.extra, 3)
        both = Events(
            np.concatenate([contest.train.start, contest.train.start[-1] + extra.start[1:]]),
            *(np.concatenate([getattr(contest.train, name), getattr(extra, name)])
              for name in ("sensor", "time", "charge", "auxiliary", "direction")),
        )
        ids = np.concatenate([contest.train_ids, 1_000_000 + np.arange(size.extra)])
        self.train = Tensors(contest.at, both, ids, MAX_PULSES)
        self.test = Tensors(contest.at, contest.test, contest.test_ids, MAX_PULSES)
        self.fold = np.concatenate([contest.fold, np.full(size.extra, -1)])

    def network(self, model: str, fold: int) -> torch.nn.Module:
        system = SYSTEMS[model]
        stage, config = system.stages[0], system.small
        torch.manual_seed(1000 * MODELS.index(model) + fold)
        net = stage.build(config)
        path = self.states / f"{model}_fold{fold}.pt"
        if path.exists():
            net.load_state_dict(torch.load(path, weights_only=True))
            return net.eval()
        rows = np.flatnonzero(self.fold != fold)
        started = time.perf_counter()
        plan = Plan(self.contest.size.epochs or EPOCHS[model])
        net = fit(net, self.train, rows, list(stage.inputs(config)), plan, seed=fold)
        print(f"{model} fold {fold}: trained in {time.perf_counter() - started:.0f} s", flush=True)
        path.parent.mkdir(parents=True, exist_ok=True)
        torch.save(net.state_dict(), path)
        return net

    def model(self, model: str) -> pd.DataFrame:
        """Graphs of one model, and what its networks predict: one frame of OOF and test rows."""
        system = SYSTEMS[model]
        stage, config = system.stages[0], system.small
        names, columns = list(stage.inputs(config)), [f"{model}_{axis}" for axis in "xyz"]
        oof = np.zeros((len(self.contest.fold), 3), np.float32)
        test = np.zeros((len(self.contest.test_ids), 3), np.float64)
        worst = 0.0
        for fold in range(FOLDS):
            net = self.network(model, fold)
            path = self.root / model / "main" / f"fold{fold}.onnx"
            worst = max(worst, export.written(path, net, stage, config, "vector"))
            held_out = np.flatnonzero(self.contest.fold == fold)
            oof[held_out] = predict(net, self.train, held_out, names)
            test += predict(net, self.test, np.arange(len(test)), names) / FOLDS
        print(f"{model}: graphs within {worst:.1e} of the networks", flush=True)
        manifests.write_events(self.root / model, model, system, stage.inputs(config), MAX_PULSES)
        return pd.DataFrame(np.concatenate([oof, test]).astype(np.float32), columns=columns)

    def line(self) -> pd.DataFrame:
        """The line fit: the same graph for every fold, since nothing is trained."""
        net, inputs = linefit.LineFit(), LINE.inputs(None)
        graph = export.graph_of(net, inputs, "vector")
        for fold in range(FOLDS):
            export.save(graph, self.root / "line-fit" / "main" / f"fold{fold}.onnx")
        export.check(self.root / "line-fit/main/fold0.onnx", net, LINE, None, "vector")
        manifests.write_events(self.root / "line-fit", "line-fit", None, inputs, MAX_PULSES)
        parts = [
            predict(net, tensors, np.arange(n), list(inputs))
            for tensors, n in ((self.train, len(self.contest.fold)), (self.test, len(self.contest.test_ids)))
        ]
        return pd.DataFrame(np.concatenate(parts), columns=[f"line-fit_{axis}" for axis in "xyz"])


def build(root: Path, states: Path, size: Size = FULL, models: tuple[str, ...] = MODELS) -> pd.DataFrame:
    """Everything under `root`; returns the recorded outputs, OOF rows first, then test rows."""
    torch.set_num_threads(1)  # sums in one order, whatever the number of cores
    contest = Contest.make(size)
    write_data(contest, root / "data")
    builder = Builder(contest, root, states)
    frames = [builder.line()] + [builder.model(model) for model in models]
    ids = np.concatenate([contest.train_ids, contest.test_ids]).astype(np.int32)
    recorded = pd.concat([pd.DataFrame({"event_id": ids}), *frames], axis=1)
    recorded.to_parquet(root / "data" / "recorded.parquet", index=False, compression="zstd")
    scores(contest, recorded, ["line-fit", *models]).to_csv(root / "reference_scores.csv", index=False, float_format="%.6f")
    return recorded


def scores(contest: Contest, recorded: pd.DataFrame, models: list[str]) -> pd.DataFrame:
    """Mean angular error of every model and of the mean of all raw vectors: out of fold, public, private."""
    n = len(contest.fold)
    truth = np.concatenate([contest.train.direction, contest.test.direction])
    parts = {"oof": np.arange(n), "public": n + np.flatnonzero(contest.public), "private": n + np.flatnonzero(~contest.public)}
    vectors = {model: recorded[[f"{model}_{axis}" for axis in "xyz"]].to_numpy(np.float64) for model in models}
    vectors["equal weights"] = sum(vectors.values()) / len(models)
    lines = []
    for model, raw in vectors.items():
        unit = raw / np.linalg.norm(raw, axis=1, keepdims=True)
        error = np.arccos(np.clip((unit * truth).sum(1), -1, 1))
        lines.append({"model": model} | {part: error[rows].mean() for part, rows in parts.items()})
    return pd.DataFrame(lines)

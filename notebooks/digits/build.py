"""Train every model on every fold, export it, check it, and score the graphs."""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import onnx
import pandas as pd
import torch

from . import boosted, export, logreg, train
from .data import FOLDS, Digits

SEEDS = {"mlp": (0, 1)}  # every other model has one seed and no seed in its file names
LOGITS = {"transformer"}
MODELS = ("mlp", "cnn", "transformer", "gnn", "tabnet", "logreg", "boosted")


@dataclass(frozen=True)
class Outputs:
    """A model's probabilities in float64, the shape in which `blend` averages them."""

    oof: np.ndarray
    test: np.ndarray


def graph_path(root: Path, model: str, seed: int, fold: int) -> Path:
    stem = f"seed{seed}_fold{fold}" if model in SEEDS else f"fold{fold}"
    return root / model / f"{stem}.onnx"


def train_one(
    model: str, x: np.ndarray, y: np.ndarray, seed: int, epochs: int | None = None
) -> tuple[onnx.ModelProto, Callable[[np.ndarray], np.ndarray]]:
    """Fit one model; return its graph and what the framework itself predicts. `epochs`: of a network, in the place of
    its recipe's."""
    if model == "logreg":
        fitted = logreg.fit(x, y)
        return logreg.to_onnx(fitted), fitted.probabilities
    if model == "boosted":
        trees = boosted.fit(x, y, seed)
        return boosted.to_onnx(trees), trees.predict_proba
    recipe = train.RECIPES[model]
    net = train.fit(recipe if epochs is None else replace(recipe, epochs=epochs), x, y, seed)
    if model in LOGITS:
        return export.net_to_onnx(net, "logits"), lambda pixels: train.scores(net, pixels)
    return (
        export.net_to_onnx(net, "probabilities"),
        lambda pixels: train.softmax(train.scores(net, pixels)),
    )


def build_model(root: Path, digits: Digits, model: str, epochs: int | None = None) -> str:
    """Write all graphs of one model; return a line that says how it went."""
    started, worst, size = time.perf_counter(), 0.0, 0
    everything = np.concatenate([digits.train_x, digits.test_x])
    for seed in SEEDS.get(model, (0,)):
        for fold in range(FOLDS):
            rows = digits.fold != fold  # graph k never sees fold k
            graph, predict = train_one(
                model, digits.train_x[rows], digits.train_y[rows], 10 * seed + fold, epochs
            )
            path = graph_path(root, model, seed, fold)
            export.save(graph, path)
            worst = max(worst, export.check(path, everything, predict(everything)))
            size = max(size, path.stat().st_size)
    seconds = time.perf_counter() - started
    return f"{model:<12} {seconds:4.0f} s   largest graph {size / 1024:4.0f} KiB   largest difference {worst:.0e}"


def build_all(root: Path, digits: Digits, epochs: int | None = None) -> None:
    torch.set_num_threads(1)  # sums in one order, whatever the number of cores
    for model in MODELS:
        print(build_model(root, digits, model, epochs), flush=True)


def predict_model(root: Path, digits: Digits, model: str) -> Outputs:
    """Each row's out-of-fold prediction, and the test mean over all graphs."""
    seeds = SEEDS.get(model, (0,))
    oof = np.zeros((len(digits.train_y), 10))
    test = np.zeros((len(digits.test_y), 10))
    for seed in seeds:
        for fold in range(FOLDS):
            path = graph_path(root, model, seed, fold)

            def probabilities(pixels: np.ndarray) -> np.ndarray:
                output = export.run(path, pixels).astype(np.float64)
                return train.softmax(output) if model in LOGITS else output

            held_out = digits.fold == fold
            oof[held_out] += probabilities(digits.train_x[held_out]) / len(seeds)
            test += probabilities(digits.test_x) / (len(seeds) * FOLDS)
    return Outputs(oof, test)


def score(digits: Digits, outputs: Outputs) -> dict[str, float]:
    public = digits.test_public
    return {
        "oof_log_loss": train.log_loss(digits.train_y, outputs.oof),
        "public": train.log_loss(digits.test_y[public], outputs.test[public]),
        "private": train.log_loss(digits.test_y[~public], outputs.test[~public]),
    }


def score_all(digits: Digits, outputs: dict[str, Outputs]) -> pd.DataFrame:
    """One row a model, and `equal_weights`: the arithmetic mean of all of them."""
    mean = Outputs(
        np.mean([o.oof for o in outputs.values()], axis=0),
        np.mean([o.test for o in outputs.values()], axis=0),
    )
    table = {model: score(digits, o) for model, o in (outputs | {"equal_weights": mean}).items()}
    return pd.DataFrame(table).T.rename_axis("model")


def write_scores(root: Path, scores: pd.DataFrame) -> None:
    scores.to_csv(root / "reference_scores.csv", float_format="%.10f", lineterminator="\n")

"""Multinomial logistic regression on pixels and products of neighboring pixels."""

from dataclasses import dataclass

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from sklearn.linear_model import LogisticRegression

from .layers import BRIGHTEST


def pairs() -> tuple[np.ndarray, np.ndarray]:
    """Every pair of touching pixels once: right, down, and both diagonals."""
    grid = np.arange(64).reshape(8, 8)
    touching = [
        (grid[:, :-1], grid[:, 1:]),
        (grid[:-1, :], grid[1:, :]),
        (grid[:-1, :-1], grid[1:, 1:]),
        (grid[:-1, 1:], grid[1:, :-1]),
    ]
    first = np.concatenate([a.ravel() for a, _ in touching])
    second = np.concatenate([b.ravel() for _, b in touching])
    return first.astype(np.int64), second.astype(np.int64)


def expand(pixels: np.ndarray) -> np.ndarray:
    first, second = pairs()
    x = pixels / np.float32(BRIGHTEST)
    return np.concatenate([x, x[:, first] * x[:, second]], axis=1)


@dataclass
class LogReg:
    weight: np.ndarray  # [features, 10]
    bias: np.ndarray

    def probabilities(self, pixels: np.ndarray) -> np.ndarray:
        scores = expand(pixels).astype(np.float64) @ self.weight + self.bias
        scores = np.exp(scores - scores.max(axis=1, keepdims=True))
        return scores / scores.sum(axis=1, keepdims=True)


def fit(pixels: np.ndarray, labels: np.ndarray, strength: float = 10.0) -> LogReg:
    model = LogisticRegression(C=strength, max_iter=2000, tol=1e-6)
    model.fit(expand(pixels).astype(np.float64), labels)
    return LogReg(model.coef_.T.copy(), model.intercept_.copy())


def to_onnx(model: LogReg) -> onnx.ModelProto:
    """Plain operators only: two Gathers make the products, one Gemm the scores."""
    first, second = pairs()
    constants = {
        "scale": np.array(1 / BRIGHTEST, np.float32),
        "first": first,
        "second": second,
        "weight": model.weight.astype(np.float32),
        "bias": model.bias.astype(np.float32),
    }
    nodes = [
        helper.make_node("Mul", ["pixels", "scale"], ["scaled"]),
        helper.make_node("Gather", ["scaled", "first"], ["left"], axis=1),
        helper.make_node("Gather", ["scaled", "second"], ["right"], axis=1),
        helper.make_node("Mul", ["left", "right"], ["products"]),
        helper.make_node("Concat", ["scaled", "products"], ["features"], axis=1),
        helper.make_node("Gemm", ["features", "weight", "bias"], ["scores"]),
        helper.make_node("Softmax", ["scores"], ["probabilities"], axis=1),
    ]
    graph = helper.make_graph(
        nodes,
        "logreg",
        [helper.make_tensor_value_info("pixels", TensorProto.FLOAT, ["batch", 64])],
        [helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["batch", 10])],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)

"""Turn a trained net into an ONNX graph, and check the graph against the net."""

import copy
import io
import warnings
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch
from torch import nn

from .layers import fold_norms

OPSET = 17


class Probabilities(nn.Module):
    def __init__(self, net: nn.Module):
        super().__init__()
        self.net = net

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        return torch.softmax(self.net(pixels), dim=1)


def net_to_onnx(net: nn.Module, output: str) -> onnx.ModelProto:
    """Export `net` with one input, `pixels`, and one output of the given name,
    `logits` or `probabilities`; the batch size stays open."""
    net = copy.deepcopy(net).eval()
    fold_norms(net)
    if output == "probabilities":
        net = Probabilities(net)
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # notices about tracing; `check` is the judge
        torch.onnx.export(
            net.eval(),
            (torch.zeros(3, 64),),
            buffer,
            input_names=["pixels"],
            output_names=[output],
            dynamic_axes={"pixels": {0: "batch"}, output: {0: "batch"}},
            opset_version=OPSET,
            dynamo=False,
        )
    return onnx.load_from_string(buffer.getvalue())


def save(graph: onnx.ModelProto, path: Path) -> None:
    """Strip what would differ from one machine to the next, verify, write."""
    graph.doc_string = ""
    graph.graph.doc_string = ""
    for node in graph.graph.node:
        node.doc_string = ""
    onnx.checker.check_model(graph, full_check=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(graph.SerializeToString(deterministic=True))


def run(path: Path, pixels: np.ndarray) -> np.ndarray:
    """The graph's output in ONNX Runtime, on one thread so that runs repeat."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    return session.run(None, {"pixels": pixels})[0]


def check(path: Path, pixels: np.ndarray, expected: np.ndarray, tolerance: float = 1e-5) -> float:
    """The largest difference between the graph and `expected`; too large is an error.

    Runs once on all rows and once on a single one, which an accidentally fixed
    batch size would not survive.
    """
    difference = float(np.abs(run(path, pixels) - expected).max())
    single = float(np.abs(run(path, pixels[:1]) - expected[:1]).max())
    worst = max(difference, single)
    if not worst <= tolerance:
        raise ValueError(f"{path.name} differs from its model by {worst:.2e}, more than {tolerance:.0e}")
    return worst

"""Networks to ONNX graphs, and graphs against their networks."""

import copy
import io
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import torch
from torch import nn

from .layers import fold_norms, halve
from .systems import Input, Pulses, Stage

OPSET = 17
# Largest difference between a graph and its network, of probabilities and of raw vectors relative to their length.
TOLERANCE = {"f32": 1e-5, "f16": 2e-3}

# Of every tensor over pulses: type, and how many numbers a pulse has (0: one number of an event).
PULSE_TENSORS = {
    "pos": (torch.float32, 3), "time": (torch.float32, 1), "charge": (torch.float32, 1), "auxiliary": (torch.int64, 1),
    "qe": (torch.int64, 1), "ice_properties": (torch.float32, 2), "mask": (torch.bool, 1), "L0": (torch.int64, 0),
}


def events(counts: list[int], length: int, seed: int = 0) -> dict[str, torch.Tensor]:
    """Made-up events with so many pulses, padded to `length`, in the units of the graphs."""
    random = torch.Generator().manual_seed(seed)
    shape = (len(counts), length)
    mask = torch.arange(length)[None, :] < torch.tensor(counts)[:, None]
    draw = lambda *more: torch.randn(*shape, *more, generator=random)  # noqa: E731
    # Sensors on a grid, so that several pulses of an event share one and distances are equal.
    pos = torch.round(draw(3) * 4) / 8
    tensors = {
        "pos": pos, "time": (0.05 + 0.03 * draw()).sort(dim=1).values, "charge": 0.2 * draw(),
        "auxiliary": (draw() > 0).long(), "qe": (draw() > 1).long(), "ice_properties": draw(2),
    }
    for name, tensor in tensors.items():
        real = mask.reshape(*shape, *[1] * (tensor.dim() - 2))
        tensors[name] = torch.where(real, tensor, torch.zeros_like(tensor))
    return tensors | {"mask": mask, "L0": torch.tensor(counts) * 2}


def example(inputs: dict[str, Input], n: int, seed: int = 0) -> dict[str, torch.Tensor]:
    """Made-up inputs of `n` rows."""
    if any(isinstance(it, Pulses) for it in inputs.values()):
        made = events([12 + 5 * at for at in range(n)], 12 + 5 * n, seed)
        return {name: made[it.tensor] for name, it in inputs.items()}
    random = torch.Generator().manual_seed(seed)
    tensors = {}
    for name, it in inputs.items():
        if name == "features":
            x = torch.randn(n, it.width, generator=random)
            x[:, 0], x[:, 1], x[:, 2] = (x[:, 0] > -1).float(), 24.0 * (1 + torch.arange(n) % 3), (x[:, 2] > 0).float()
        elif name == "umap":
            x = torch.randn(n, it.width, generator=random)
        else:
            x = torch.rand(n, it.width, generator=random)
        tensors[name] = x
    return tensors


class Half(nn.Module):
    """A 16-bit network whose graph still takes and gives 32-bit numbers."""

    def __init__(self, net: nn.Module):
        super().__init__()
        self.net = halve(net)

    def forward(self, *inputs: torch.Tensor) -> torch.Tensor:
        return self.net(*inputs).float()


def graph_of(net: nn.Module, inputs: dict[str, Input], output: str, precision: str = "f32") -> onnx.ModelProto:
    """The graph of a network, its batch size and the number of pulses open."""
    net = copy.deepcopy(net).eval()
    fold_norms(net)
    if precision == "f16":
        net = Half(net)
    tensors = example(inputs, 3)
    axes = {name: {0: "batch"} for name in [*inputs, output]}
    for name, it in inputs.items():
        if isinstance(it, Pulses) and tensors[name].dim() > 1:
            axes[name][1] = "pulses"
    buffer = io.BytesIO()
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # notices about tracing; the comparison is the judge
        torch.onnx.export(
            net.eval(), tuple(tensors.values()), buffer, input_names=list(tensors), output_names=[output],
            dynamic_axes=axes, opset_version=OPSET, dynamo=False,
        )
    graph = onnx.load_from_string(buffer.getvalue())
    return stripped(graph)


def stripped(graph: onnx.ModelProto) -> onnx.ModelProto:
    """Without what would differ from one machine to the next."""
    graph.doc_string = graph.graph.doc_string = ""
    for node in graph.graph.node:
        node.doc_string = ""
        del node.metadata_props[:]
    onnx.checker.check_model(graph, full_check=True)
    return graph


def save(graph: onnx.ModelProto, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(graph.SerializeToString(deterministic=True))


def session(path: Path | bytes, threads: int = 1) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def run(graph: onnxruntime.InferenceSession, inputs: dict[str, torch.Tensor]) -> np.ndarray:
    known = {it.name for it in graph.get_inputs()}  # an input that nothing uses is no input of the graph
    return graph.run(None, {name: x.numpy() for name, x in inputs.items() if name in known})[0]


@torch.no_grad()
def difference(graph: onnxruntime.InferenceSession, net: nn.Module, output: str, inputs: dict[str, torch.Tensor]) -> float:
    """The largest difference between graph and network: of probabilities, or of vectors relative to their length."""
    wanted = net.eval()(*inputs.values()).double().numpy()
    got = run(graph, inputs).astype(np.float64)
    if got.shape != wanted.shape or not np.isfinite(got).all():
        return float("inf")
    if output == "vector":
        length = np.linalg.norm(wanted, axis=1, keepdims=True)
        return float((np.abs(got - wanted) / length).max())
    if output == "logit":
        got, wanted = (1 / (1 + np.exp(-x)) for x in (got, wanted))
    return float(np.abs(got - wanted).max())


def check(path: Path, net: nn.Module, stage: Stage, config: Any, output: str, precision: str = "f32") -> float:
    """The largest difference on made-up inputs of five rows and of one; too large is an error."""
    graph = session(path)
    worst = max(difference(graph, net, output, example(stage.inputs(config), n, seed=7)) for n in (5, 1))
    if not worst <= TOLERANCE[precision]:
        raise ValueError(f"{path} differs from its network by {worst:.2e}, more than {TOLERANCE[precision]:.0e}")
    return worst


def written(path: Path, net: nn.Module, stage: Stage, config: Any, output: str, precision: str = "f32") -> float:
    """Saves the graph of a network and compares the two: the largest difference."""
    save(graph_of(net, stage.inputs(config), output, precision), path)
    return check(path, net, stage, config, output, precision)


def restored(net: nn.Module, state: dict[str, torch.Tensor]) -> nn.Module:
    """The network with what training saved; arrays that were fitted may have other sizes than those built."""
    own = dict(net.named_buffers())
    for name, tensor in state.items():
        if name in own and own[name].shape != tensor.shape:
            owner, _, last = name.rpartition(".")
            setattr(net.get_submodule(owner), last, tensor.clone())
    net.load_state_dict(state)
    return net

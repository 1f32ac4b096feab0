"""How fast the graphs are at full size: ONNX Runtime on the processor, random weights, best of three runs."""

import tempfile
import time
from pathlib import Path

import torch

from . import build, export
from .layers import n_parameters
from .systems import SYSTEMS, Stage

ROWS = {"efficientnet": 16, "resnest": 16}  # rows of a run; other tables 1,024
EVENTS, LENGTH = 4, 192
TEST_SETS = {"moa": 16_000, "icecube": 1_000_000}


def inputs_of(stage: Stage, config: object, family: str, vector: bool) -> dict[str, torch.Tensor]:
    wanted = stage.inputs(config)
    if not vector:
        return export.example(wanted, ROWS.get(family, 1024))
    made = export.events([LENGTH] * EVENTS, LENGTH)
    return {name: made[name] for name in wanted}


def rate(stage: Stage, config: object, family: str, output: str, threads: int, precision: str) -> tuple[int, float]:
    """Parameters, and rows or events a second of one network."""
    net = build.random_network(stage, config, 0)
    inputs = inputs_of(stage, config, family, output == "vector")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "graph.onnx"
        export.save(export.graph_of(net, stage.inputs(config), output, precision), path)
        session = export.session(path, threads)
    seconds = []
    for _ in range(4):
        started = time.perf_counter()
        export.run(session, inputs)
        seconds.append(time.perf_counter() - started)
    return n_parameters(net), len(next(iter(inputs.values()))) / min(seconds[1:])


def run(names: list[str], threads: int, precision: str) -> None:
    print("| model | stage | parameters | a second, one network | networks | hours for the contest's test set |")
    print("|---|---|---:|---:|---:|---:|")
    for system in (build.system(name) for name in names or SYSTEMS):
        for stage in system.stages:
            parameters, speed = rate(stage, system.full, system.family, system.output, threads, precision)
            networks = len(build.networks(stage))
            hours = TEST_SETS[system.competition] * networks / speed / 3600
            print(f"| {system.name} | {stage.name} | {parameters:,} | {speed:,.1f} | {networks} | {hours:,.2f} |", flush=True)

"""How fast the graphs are at full size: ONNX Runtime on one core, random weights, the better of two runs after a first.

Processor time, not the clock: what else runs on the machine does not count.
"""

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


def rate(stage: Stage, config: object, family: str, output: str, precision: str) -> tuple[int, float]:
    """Parameters, and rows or events per second of one core, of one network."""
    net = build.random_network(stage, config, 0)
    inputs = inputs_of(stage, config, family, output == "vector")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "graph.onnx"
        export.save(export.graph_of(net, stage.inputs(config), output, precision), path)
        session = export.session(path, threads=1)
    seconds = []
    for _ in range(3):
        started = time.process_time()
        export.run(session, inputs)
        seconds.append(time.process_time() - started)
    return n_parameters(net), len(next(iter(inputs.values()))) / min(seconds[1:])


def run(names: list[str], precision: str) -> None:
    print("| model | stage | parameters | per core and second, one network | networks | core hours for the test set |")
    print("|---|---|---:|---:|---:|---:|")
    for system in (build.system(name) for name in names or SYSTEMS):
        for stage in system.stages:
            parameters, speed = rate(stage, system.full, system.family, system.output, precision)
            networks = len(build.networks(stage))
            hours = TEST_SETS[system.competition] * networks / speed / 3600
            print(f"| {system.name} | {stage.name} | {parameters:,} | {speed:,.1f} | {networks} | {hours:,.2f} |", flush=True)

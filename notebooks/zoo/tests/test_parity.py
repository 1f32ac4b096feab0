"""Every family at full size, random weights: PyTorch against ONNX Runtime, on ordinary and on odd inputs."""

import tempfile
import unittest
from pathlib import Path

import torch

from zoo import build, export
from zoo.systems import SYSTEMS

# One system of each architecture; the others differ in seeds and folds only.
TABLES = (
    "three-stage-nn-5f", "two-stage-tabnet", "simple-nn-old", "simple-nn-new", "two-heads-v1", "two-heads-v2",
    "efficientnet-b3", "resnest-v2", "supervised-tabnet",
)
EVENTS = ("b-32", "b-64", "b-4-rel", "s-gnn", "b-gnn")

# Pulses of each event and the padding: one pulse; as many as the longest events have; fewer than there are neighbors
# beside an event that is all padding; no room for neighbors at all.
ODD_EVENTS = (([1], 1), ([768], 768), ([1, 24, 5, 0], 24), ([3, 2], 3))


def odd_rows(inputs: dict[str, torch.Tensor]) -> list[dict[str, torch.Tensor]]:
    """All zeros; values far outside of everything fitted; exactly on knots."""
    def filled(value: float) -> dict[str, torch.Tensor]:
        return {name: torch.full_like(x[:2], value if name in ("features", "umap") else min(max(value, 0), 1)) for name, x in inputs.items()}
    return [filled(0.0), filled(60.0), filled(-60.0), filled(3.0)]


class Parity(unittest.TestCase):
    def compare(self, name: str, precision: str) -> None:
        system = SYSTEMS[name]
        for at, stage in enumerate(system.stages):
            net = build.random_network(stage, system.full, 11 + at)
            wanted = stage.inputs(system.full)
            with tempfile.TemporaryDirectory() as folder:
                path = Path(folder) / "graph.onnx"
                export.save(export.graph_of(net, wanted, system.output, precision), path)
                session = export.session(path)
            cases = [export.example(wanted, n, seed=7) for n in (5, 1)]
            if system.output == "vector":
                made = [export.events(counts, length, seed=3) for counts, length in ODD_EVENTS]
                cases += [{key: case[key] for key in wanted} for case in made]
            else:
                # Sums over a row of extremes reach thousands, which 16 bits hold to three digits only.
                cases += odd_rows(cases[0]) if precision == "f32" else odd_rows(cases[0])[:1]
            for number, case in enumerate(cases):
                worst = export.difference(session, net, system.output, case)
                self.assertLessEqual(worst, export.TOLERANCE[precision], f"{name} {stage.name} {precision}, case {number}")

    def test_tables_f32(self):
        for name in TABLES:
            with self.subTest(name):
                self.compare(name, "f32")

    def test_tables_f16(self):
        for name in TABLES:
            with self.subTest(name):
                self.compare(name, "f16")

    def test_events_f32(self):
        for name in EVENTS:
            with self.subTest(name):
                self.compare(name, "f32")

    def test_events_f16(self):
        for name in EVENTS:
            with self.subTest(name):
                self.compare(name, "f16")

    def test_a_graph_of_other_weights_is_refused(self):
        system = SYSTEMS["two-heads-v1"]
        stage = system.stages[0]
        net, other = (build.random_network(stage, system.small, seed) for seed in (0, 1))
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "graph.onnx"
            export.save(export.graph_of(other, stage.inputs(system.small), system.output), path)
            with self.assertRaisesRegex(ValueError, "differs from its network"):
                export.check(path, net, stage, system.small, system.output)


class Padding(unittest.TestCase):
    """What pads an event, and what stands beside it in a batch, does not change its direction."""

    @torch.no_grad()
    def test_events_are_alone(self):
        for name in EVENTS:
            system = SYSTEMS[name]
            stage = system.stages[0]
            net = build.random_network(stage, system.small, 5)
            names = list(stage.inputs(system.small))
            together = export.events([7, 20, 1], 33, seed=9)
            raw = net(*(together[key] for key in names))
            for event, count in enumerate((7, 20, 1)):
                alone = [together[key][event : event + 1] for key in names]
                alone = [x[:, :count] if x.dim() > 1 else x for x in alone]
                self.assertLess((net(*alone)[0] - raw[event]).norm() / raw[event].norm(), 1e-5, f"{name} {event}")


if __name__ == "__main__":
    unittest.main()

"""Full-size networks have the sizes that were published or can be counted from what was."""

import unittest
from dataclasses import replace

from zoo import efficientnet, icecube, icegraph, resnest, simple_nn, stacker, three_stage, two_heads, two_stage
from zoo.build import networks
from zoo.layers import n_parameters
from zoo.systems import SYSTEMS


class Sizes(unittest.TestCase):
    def test_three_stages(self):
        self.assertEqual((three_stage.FULL.width, three_stage.FULL.width + 331), (1087, 1418))
        counts = [n_parameters(stage.build(three_stage.FULL)) for stage in SYSTEMS["three-stage-nn-5f"].stages]
        self.assertEqual([round(count / 1e6, 2) for count in counts], [7.12, 7.54, 1.48])

    def test_two_stages(self):
        self.assertEqual((two_stage.FULL.first, two_stage.FULL.second), (954, 1397))
        self.assertEqual(round(n_parameters(two_stage.NonScored()) / 1e6, 2), 2.64)

    def test_simple(self):
        self.assertEqual((simple_nn.OLD.width, simple_nn.NEW.width), (1091, 1032))
        counts = [n_parameters(simple_nn.SimpleNn(config)) for config in (simple_nn.OLD, simple_nn.NEW)]
        self.assertEqual([round(count / 1e6, 2) for count in counts], [6.87, 6.75])

    def test_two_heads(self):
        self.assertEqual([(c.first, c.second) for c in (two_heads.V1, two_heads.V2)], [(976, 447), (979, 447)])
        self.assertEqual(round(n_parameters(two_heads.TwoHeads()) / 1e6, 2), 2.58)

    def test_images(self):
        # The published B3 has 12,233,232 parameters, 1,537,000 of them in the classifier that is replaced here.
        trunk = n_parameters(efficientnet.Trunk(efficientnet.FULL))
        self.assertEqual(trunk + 1000 * 1537, 12_233_232)
        self.assertEqual(n_parameters(efficientnet.EfficientNet()), trunk + 1536 * 512 + 512 + 512 * 206 + 206)
        # The pretrained ResNeSt file has 108.1 MB: parameters and running statistics at four bytes, classifier included.
        trunk = resnest.Trunk(resnest.V1)
        numbers = n_parameters(trunk) + sum(buffer.numel() for buffer in trunk.buffers()) + 2049 * 1000
        self.assertEqual(round(4 * numbers / 1e6, 1), 108.1)

    def test_icecube(self):
        published = {
            "b-32": 115_635_555, "b-64": 115_638_659, "b-4-rel": 115_635_555, "s-gnn": 23_299_735, "b-gnn": 116_547_703,
        }
        for name, count in published.items():
            stage = SYSTEMS[name].stages[0]
            self.assertEqual(n_parameters(stage.build(SYSTEMS[name].full)), count, name)
        # Two commands in the authors' instructions make other sizes than those that their ensemble loads.
        narrow = replace(icegraph.B, transformer=replace(icegraph.B.transformer, base=128))
        self.assertEqual(n_parameters(icegraph.DeepIceGraph(narrow)), 115_661_751)
        self.assertEqual(round(n_parameters(icecube.DeepIce(replace(icecube.B32, dim=384, base=128))) / 1e6, 1), 29.3)
        for config, unused in ((icegraph.S, 24_960), (icegraph.B, 49_536)):
            self.assertEqual(n_parameters(icegraph.DynEdge(config, config.transformer.dim // 2).readout), unused)

    def test_numbers_of_networks(self):
        counts = {name: sum(len(networks(stage)) for stage in system.stages) for name, system in SYSTEMS.items()}
        published = {
            "three-stage-nn-5f": 75, "three-stage-nn-10f": 150, "two-stage-tabnet": 80, "simple-nn-old": 30, "simple-nn-new": 30,
            "two-heads-v1": 70, "two-heads-v2": 70, "efficientnet-b3": 10, "resnest-v1": 10, "resnest-v2": 10,
        }
        for name, count in published.items():
            self.assertEqual(counts[name], count, name)
        best_lb = ("three-stage-nn-5f", "two-stage-tabnet", "simple-nn-old", "simple-nn-new", "two-heads-v1", "efficientnet-b3", "resnest-v2")
        best_cv = ("three-stage-nn-10f", "two-heads-v2", "efficientnet-b3", "resnest-v1", "resnest-v2")
        self.assertEqual([sum(counts[name] for name in names) for names in (best_lb, best_cv)], [305, 250])

    def test_small_ones_are_small(self):
        for name, system in SYSTEMS.items():
            for stage in system.stages:
                self.assertLess(n_parameters(stage.build(system.small)), 400_000, f"{name} {stage.name}")
        self.assertLess(n_parameters(stacker.Stacker(stacker.FULL)), 400_000)


if __name__ == "__main__":
    unittest.main()

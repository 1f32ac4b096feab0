"""The simulated contest: events, losses, and that tensors are those of `blend predict`."""

import unittest

import numpy as np
import torch
from scipy.special import iv

from zoo import linefit, losses, pulses, simulate, train_events
from zoo.systems import SYSTEMS


class Simulated(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.at = simulate.detector()
        cls.events = simulate.simulate(300, 4)

    def test_the_same_for_the_same_seed(self):
        again = simulate.simulate(300, 4)
        for name in ("start", "sensor", "time", "charge", "auxiliary", "direction"):
            np.testing.assert_array_equal(getattr(again, name), getattr(self.events, name))
        self.assertFalse(np.array_equal(simulate.simulate(300, 5).direction, self.events.direction))

    def test_events_are_physical(self):
        events = self.events
        self.assertTrue((np.diff(events.start) >= 4).all())
        self.assertTrue(((events.sensor >= 0) & (events.sensor < len(self.at.qe))).all())
        self.assertTrue((events.charge > 0).all())
        np.testing.assert_allclose(np.linalg.norm(events.direction, axis=1), 1)
        for first, last in zip(events.start, events.start[1:]):
            self.assertTrue((np.diff(events.time[first:last]) >= 0).all())

    def test_the_detector_looks_the_same_turned_and_mirrored(self):
        places = {tuple(place) for place in np.round(self.at.position, 0)}
        cos, sin = 0.5, 3**0.5 / 2
        for matrix in ([[cos, -sin, 0], [sin, cos, 0], [0, 0, 1]], [[1, 0, 0], [0, -1, 0], [0, 0, 1]]):
            moved = self.at.position @ np.array(matrix).T
            # Rounded to metres: a module may fall on either side of a half.
            near = [any((a, b, c) in places for a in (np.floor(x), np.ceil(x)) for b in (np.floor(y), np.ceil(y)) for c in (np.floor(z), np.ceil(z))) for x, y, z in moved]
            self.assertTrue(all(near))

    def test_light_knows_the_direction(self):
        tensors = pulses.Tensors(self.at, self.events, np.arange(300), 64)
        names = ["pos", "time", "charge", "auxiliary", "mask"]
        raw = train_events.predict(linefit.LineFit(), tensors, np.arange(300), names)
        error = losses.angle(torch.from_numpy(raw), torch.from_numpy(tensors.target))
        self.assertLess(float(error), 1.1)  # chance is pi / 2

    def test_training_helps(self):
        system = SYSTEMS["b-32"]
        stage = system.stages[0]
        names = list(stage.inputs(system.small))
        events = simulate.simulate(3500, 6)
        tensors = pulses.Tensors(self.at, events, np.arange(3500), 64)
        torch.manual_seed(0)
        rows, held_out = np.arange(3000), np.arange(3000, 3500)
        net = train_events.fit(stage.build(system.small), tensors, rows, names, train_events.Plan(epochs=6), seed=0)
        raw = train_events.predict(net, tensors, held_out, names)
        self.assertLess(float(losses.angle(torch.from_numpy(raw), torch.from_numpy(tensors.target[held_out]))), 1.25)  # chance is pi / 2


class Choice(unittest.TestCase):
    def test_good_pulses_first(self):
        auxiliary = np.arange(100) % 4 != 0
        chosen = pulses.kept(17, auxiliary, 40)
        self.assertEqual((len(chosen), (~auxiliary[chosen]).sum()), (40, 25))
        self.assertTrue(set(pulses.kept(17, auxiliary, 10)) <= set(chosen))
        np.testing.assert_array_equal(pulses.kept(17, auxiliary, 100), np.arange(100))

    def test_splitmix(self):
        # First outputs of splitmix64 from state 0 (its authors' reference code).
        state = np.array([0, 0x9E3779B97F4A7C15], np.uint64)
        self.assertEqual([hex(x) for x in pulses.mix(state)], ["0xe220a8397b1dcdaf", "0x6e789e6aa1b965f4"])


class Losses(unittest.TestCase):
    def test_von_mises_fisher(self):
        random = np.random.default_rng(1)
        target = random.normal(size=(6, 3))
        target /= np.linalg.norm(target, axis=1, keepdims=True)
        raw = random.normal(size=(6, 3)) * np.array([0.1, 0.5, 1, 3, 10, 40])[:, None]
        kappa = np.linalg.norm(raw, axis=1)
        # -log of kappa^(1/2) / ((2 pi)^(3/2) I_(1/2)(kappa)) exp(kappa mu x), less log(4 pi).
        constant = 0.5 * np.log(kappa) - 1.5 * np.log(2 * np.pi) - np.log(iv(0.5, kappa))
        wanted = -(constant + (raw * target).sum(1)).mean() - np.log(4 * np.pi)
        got = losses.von_mises_fisher(torch.from_numpy(raw), torch.from_numpy(target))
        self.assertAlmostEqual(float(got), wanted, places=10)

    def test_angle(self):
        target = torch.eye(3, dtype=torch.float64)
        self.assertAlmostEqual(float(losses.angle(2 * target, target)), 0.0, places=3)
        self.assertAlmostEqual(float(losses.angle(-target, target)), np.pi, places=3)
        self.assertAlmostEqual(float(losses.angle(target.roll(1, 0), target)), np.pi / 2, places=6)


if __name__ == "__main__":
    unittest.main()

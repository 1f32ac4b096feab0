"""Events to tensors, number for number as `blend predict` makes them."""

import numpy as np
import torch

from .simulate import TOP, Detector, Events

LENGTH, TIME, DECADES = 500.0, (1e4, 3e4), 3.0


def scaled(values: np.ndarray) -> np.ndarray:
    """Less the median, divided by the interquartile range."""
    low, median, high = np.percentile(values, [25, 50, 75])
    return (values - median) / ((high - low) or 1.0)


def mix(x: np.ndarray) -> np.ndarray:
    """The finalizer of splitmix64."""
    x = x + np.uint64(0x9E3779B97F4A7C15)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


def kept(event: int, auxiliary: np.ndarray, limit: int, seed: int = 0) -> np.ndarray:
    """Positions of the pulses that an event keeps: those of good quality first, among equals a draw that depends on the
    event's id and the seed alone."""
    n = len(auxiliary)
    if n <= limit:
        return np.arange(n)
    with np.errstate(over="ignore"):
        start = mix(np.uint64(seed) ^ mix(np.uint64(event)))
        draw = mix(start + np.arange(n, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15))
    return np.sort(np.lexsort((draw, auxiliary))[:limit])


class Tensors:
    """All events as padded arrays: what a graph takes, by name."""

    def __init__(self, at: Detector, events: Events, ids: np.ndarray, max_pulses: int):
        z = at.position[:, 2] / LENGTH
        depth = (at.depth - TOP) / LENGTH
        ice = np.stack([np.interp(z, depth, scaled(lengths)) for lengths in (at.scattering, at.absorption)], axis=1)
        counts = events.counts()
        self.n = np.minimum(counts, max_pulses)
        shape = (len(events), int(self.n.max()))
        self.pos, self.time, self.charge = np.zeros((*shape, 3), np.float32), *np.zeros((2, *shape), np.float32)
        self.auxiliary, self.qe = np.zeros((2, *shape), np.int64)
        self.ice_properties = np.zeros((*shape, 2), np.float32)
        self.L0 = counts.astype(np.int64)
        self.target = events.direction.astype(np.float32)
        for row, (first, last) in enumerate(zip(events.start, events.start[1:])):
            at_pulse = first + kept(int(ids[row]), events.auxiliary[first:last], max_pulses)
            sensor, n = events.sensor[at_pulse], len(at_pulse)
            self.pos[row, :n] = at.position[sensor] / LENGTH
            self.time[row, :n] = (events.time[at_pulse] - TIME[0]) / TIME[1]
            self.charge[row, :n] = np.log10(events.charge[at_pulse].astype(np.float32).astype(np.float64)) / DECADES
            self.auxiliary[row, :n] = events.auxiliary[at_pulse]
            self.qe[row, :n] = at.qe[sensor]
            self.ice_properties[row, :n] = ice[sensor]

    def batch(self, rows: np.ndarray, names) -> dict[str, torch.Tensor]:
        """The tensors of some events, cut to the longest of them."""
        length = int(self.n[rows].max())
        made = {"L0": torch.from_numpy(self.L0[rows]), "mask": torch.arange(length)[None] < torch.from_numpy(self.n[rows])[:, None]}
        for name in names:
            if name not in made:
                made[name] = torch.from_numpy(np.ascontiguousarray(getattr(self, name)[rows, :length]))
        return {name: made[name] for name in names}

    def batches(self, rows: np.ndarray, size: int, random: np.random.Generator | None = None) -> list[np.ndarray]:
        """Batches of events of like length; shuffled where there is a generator."""
        noise = random.uniform(0, 6, len(rows)) if random is not None else 0
        order = rows[np.argsort(self.n[rows] + noise, kind="stable")]
        parts = [order[at : at + size] for at in range(0, len(order), size)]
        if random is not None:
            random.shuffle(parts)
        return parts

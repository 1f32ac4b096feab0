"""A detector of strings in layered ice, and what a neutrino's light leaves in it.

Not real data and no replacement for them: enough of the physics that reconstructing a direction is a real problem. Muon
tracks shine at the Cherenkov angle all along, cascades shine from one point and forwards; ice absorbs and scatters by
depth, with a dusty layer; scattered light comes late; modules have noise. Lengths in metres, times in ns.
"""

from dataclasses import dataclass

import numpy as np

SPACING, VERTICAL, MODULES, RINGS = 110.0, 24.0, 24, 3
SPEED = 0.299792458
INDEX = 1.33
TANGENT = (INDEX**2 - 1) ** 0.5  # of the Cherenkov angle
SINE = TANGENT / INDEX
START, WINDOW = 9600.0, 5600.0
TOP = 1950.0  # depth of z = 0


@dataclass(frozen=True)
class Detector:
    """Sensors by id: `position` (n, 3), `qe` (n,) 0 or 1; ice by depth: `depth`, `scattering`, `absorption`."""

    position: np.ndarray
    qe: np.ndarray
    depth: np.ndarray
    scattering: np.ndarray
    absorption: np.ndarray

    def ice(self, z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        depth = TOP - z
        return np.interp(depth, self.depth, self.scattering), np.interp(depth, self.depth, self.absorption)


def detector() -> Detector:
    """Strings on a triangular grid, symmetric under turns by 60 degrees; the seven inner ones are more sensitive."""
    places = []
    for a in range(-RINGS, RINGS + 1):
        for b in range(-RINGS, RINGS + 1):
            if abs(a + b) <= RINGS:
                places.append((SPACING * (a + b / 2), SPACING * b * 3**0.5 / 2))
    strings = np.array(sorted(places, key=lambda place: (round(np.hypot(*place), 6), np.arctan2(place[1], place[0]))))
    z = VERTICAL * (np.arange(MODULES)[::-1] - (MODULES - 1) / 2)
    position = np.concatenate([np.repeat(strings, MODULES, axis=0), np.tile(z, len(strings))[:, None]], axis=1)
    qe = (np.hypot(position[:, 0], position[:, 1]) < 1.5 * SPACING).astype(np.int64)
    depth = np.arange(1600.0, 2301.0, 10.0)
    dust = np.exp(-(((depth - 2010.0) / 35.0) ** 2))
    ripple = np.sin(depth / 41.0) + 0.6 * np.sin(depth / 17.0)
    scattering = (30.0 + 0.03 * (depth - 1600.0) + 4.0 * ripple) * (1 - 0.75 * dust)
    absorption = (110.0 + 0.12 * (depth - 1600.0) + 12.0 * ripple) * (1 - 0.7 * dust)
    return Detector(np.round(position, 2), qe, depth, np.round(scattering, 2), np.round(absorption, 2))


@dataclass(frozen=True)
class Events:
    """Pulses of all events, one after the other, in order of time; those of event i are `start[i]` to `start[i + 1]`."""

    start: np.ndarray
    sensor: np.ndarray
    time: np.ndarray
    charge: np.ndarray
    auxiliary: np.ndarray
    direction: np.ndarray  # (n, 3): where the particle comes from

    def __len__(self) -> int:
        return len(self.direction)

    def counts(self) -> np.ndarray:
        return np.diff(self.start)


def isotropic(random: np.random.Generator) -> np.ndarray:
    z, angle = random.uniform(-1, 1), random.uniform(0, 2 * np.pi)
    flat = (1 - z * z) ** 0.5
    return np.array([flat * np.cos(angle), flat * np.sin(angle), z])


def light(at: Detector, random: np.random.Generator, way: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Expected photons of every sensor, their earliest time, and by how much scattering spreads them."""
    track = random.random() < 0.6
    vertex = random.uniform(-1, 1, 3) * (0.8 * SPACING * RINGS, 0.8 * SPACING * RINGS, 0.45 * VERTICAL * MODULES)
    strength = 10 ** (random.uniform(0.6, 2.0) if track else random.uniform(1.0, 2.4))
    apart = at.position - vertex
    along = apart @ way
    if track:
        aside = np.linalg.norm(apart - along[:, None] * way, axis=1)
        path, time = aside / SINE, (along + aside * TANGENT) / SPEED
        source = vertex[2] + (along - aside / TANGENT) * way[2]
        bright = strength / (1 + path / 8) / 4
    else:
        path = np.linalg.norm(apart, axis=1) + 1.0
        time, source = path * INDEX / SPEED, np.full(len(path), vertex[2])
        forward = along / path
        bright = strength * (0.25 + np.exp(-4 * (forward - 1 / INDEX) ** 2)) / (1 + (path / 15) ** 1.5)
    scattering, absorption = (0.5 * (a + b) for a, b in zip(at.ice(at.position[:, 2]), at.ice(source)))
    expected = bright * np.exp(-path / (1 / (1 / absorption + 0.25 / scattering))) * (1 + 0.35 * at.qe)
    return expected, START + 900 + time, 8 + 1.2 * path * np.sqrt(path / scattering) / 5


def event(at: Detector, random: np.random.Generator) -> tuple[np.ndarray, ...] | None:
    """Sensor, time, charge, auxiliary and direction of one event; nothing where too little was seen."""
    comes_from = isotropic(random)
    expected, first, spread = light(at, random, -comes_from)
    photons = random.poisson(expected)
    hit = np.flatnonzero(photons)
    if len(hit) < 4:
        return None
    sensor, time, charge = [], [], []
    for part in range(3):  # a bright sensor has up to three pulses
        lit = hit[photons[hit] > 2 * part]
        share = np.where(part == 2, photons[lit] - 2 * part, np.minimum(photons[lit] - 2 * part, 2))
        late = random.gamma(0.6 + 0.7 * part, spread[lit]) / np.sqrt(np.maximum(share, 1))
        sensor.append(lit)
        time.append(first[lit] + late + random.normal(0, 3, len(lit)))
        charge.append(share * random.gamma(8, 1 / 8, len(lit)))
    n_noise = random.poisson(7)
    sensor.append(random.integers(0, len(at.position), n_noise))
    time.append(random.uniform(START, START + WINDOW, n_noise))
    charge.append(random.gamma(3, 0.25, n_noise))
    sensor, time, charge = (np.concatenate(parts) for parts in (sensor, time, charge))
    inside = (time >= START) & (time < START + WINDOW)
    sensor, time, charge = sensor[inside], np.round(time[inside]), np.maximum(charge[inside], 0.05)
    order = np.lexsort((sensor, time))
    sensor, time, charge = sensor[order], time[order], charge[order]
    # Good quality: a module at most two away on the same string saw something within a microsecond.
    near = (np.abs(sensor[:, None] - sensor[None, :]) <= 2) & (sensor[:, None] // MODULES == sensor[None, :] // MODULES)
    near &= (sensor[:, None] != sensor[None, :]) & (np.abs(time[:, None] - time[None, :]) <= 1000)
    return sensor, time, np.round(charge, 3), ~near.any(axis=1), comes_from


def simulate(n: int, seed: int) -> Events:
    """`n` events; the same for the same seed."""
    at, random = detector(), np.random.default_rng(seed)
    made = []
    while len(made) < n:
        one = event(at, random)
        if one is not None:
            made.append(one)
    columns = [np.concatenate([one[part] for one in made]) for part in range(4)]
    start = np.concatenate([[0], np.cumsum([len(one[0]) for one in made])])
    return Events(start, columns[0], columns[1], columns[2], columns[3], np.array([one[4] for one in made]))

"""Makes two more problems from fixed seeds: 200 models of 10 classes, and 6 models of directions, IceCube's shape.

`classes`: 20,000 rows; 20 families of models that share errors, near copies, models that hardly know a thing, one in
ten overconfident: an optimum keeps few. `directions`: 200,000 events, heavy-tailed errors that are partly shared.
Of the 200 models' numbers only what `blend import` stores stays, and the true class's probabilities for the peers.
"""

import json
import pathlib
import subprocess
import sys

import numpy as np
from data import direction

VERSION = 1  # raise it when a problem changes: what lies in the folder is then made again
FOLDS = 5
CLASS_ROWS, CLASSES, CLASS_MODELS, FAMILIES = 20_000, 10, 200, 20
EVENTS = 200_000
# Per model of directions: size of its own error, and of the share of the common one.
DIRECTION_MODELS = {
    "b-32": (1.00, 1.00),
    "b-64": (0.95, 1.00),
    "b-4-rel": (1.05, 0.95),
    "s-gnn": (1.20, 1.00),
    "b-gnn": (1.10, 0.97),
    "line-fit": (1.45, 1.05),
}


def start(workspace, competition, lines, truth_header, truth_rows):
    """The competition's folder with labels and folds, anew."""
    folder = workspace / "models" / competition
    data = folder / "data"
    data.mkdir(parents=True, exist_ok=True)
    common = "truth: data/truth.csv\nid: id\nfolds: {file: data/truth.csv, column: fold}\n"
    (folder / "competition.yaml").write_text(f"competition: {competition}\n{lines}{common}")
    rows = (f"{row},{truth},{row % FOLDS}\n" for row, truth in enumerate(truth_rows))
    (data / "truth.csv").write_text(f"id,{truth_header},fold\n" + "".join(rows))
    return data


def store(blend, workspace, competition, name, file, output):
    command = [blend, "import", name, "-C", workspace, "-c", competition, "--oof", file, "--rows", "truth", "--force"]
    subprocess.run([*command, "--output", output, "--quiet"], check=True, stdout=subprocess.DEVNULL)


def classes(blend, workspace):
    random = np.random.default_rng(200)
    shape = (CLASS_ROWS, CLASSES)
    truth = random.integers(CLASSES, size=CLASS_ROWS)
    lines = "metric: {name: multiclass_log_loss, clip: 1e-15}\nspace: linear\ntargets: [class]\n"
    data = start(workspace, "classes", lines, "class", truth)
    known = np.zeros(shape, np.float32)
    known[np.arange(CLASS_ROWS), truth] = 1
    hard = 0.62 * random.standard_normal(shape, dtype=np.float32)
    families = [random.uniform(0.45, 0.8) * random.standard_normal(shape, dtype=np.float32) for _ in range(FAMILIES)]
    names, likelihood = [], np.empty((CLASS_MODELS, CLASS_ROWS), np.float32)
    before = None
    for model in range(CLASS_MODELS):
        size = random.uniform(0.25, 1.1)
        signal = random.uniform(0.85, 1.05) if model % 10 else 0.35
        own = size * random.standard_normal(shape, dtype=np.float32)
        evidence = signal * known + hard + families[model % FAMILIES] + own
        if model % 7 == 3:
            evidence = before + 0.1 * random.standard_normal(shape, dtype=np.float32)
        before = evidence
        # Gaussian evidence is calibrated when it is scaled by signal / variance.
        confidence = 1.6 if model % 10 == 4 else random.uniform(0.85, 1.2)
        odds = np.exp(confidence * signal / (evidence - signal * known).var() * evidence)
        odds /= odds.sum(axis=1, keepdims=True)
        name = f"model-{model:03d}"
        file = data / "made.npy"
        np.save(file, odds)
        store(blend, workspace, "classes", name, file, "class_probabilities")
        likelihood[model] = odds[np.arange(CLASS_ROWS), truth]
        names.append(name)
    file.unlink()
    np.save(data / "likelihood.npy", likelihood)
    return names


def directions(blend, workspace):
    random = np.random.default_rng(6)
    azimuth = random.uniform(0, 2 * np.pi, EVENTS)
    zenith = np.arccos(random.uniform(-1, 1, EVENTS))
    lines = (
        "metric: angular_error\nspace: unit_vector\ntargets: [azimuth, zenith]\n"
        "decode: {azimuth: azimuth, zenith: zenith}\n"
    )
    rows = (f"{a!r},{z!r}" for a, z in zip(azimuth.tolist(), zenith.tolist()))
    data = start(workspace, "directions", lines, "azimuth,zenith", rows)
    np.save(data / "truth.npy", np.stack([azimuth, zenith], axis=1))
    truth = direction(azimuth, zenith)
    # An event's light decides how well any model can tell: from a degree to nothing.
    dark = np.exp(0.1 + 1.3 * random.standard_normal((EVENTS, 1)))
    common = random.standard_normal((EVENTS, 3))
    for name, (own, shared) in DIRECTION_MODELS.items():
        guess = truth + dark * (0.8 * shared * common + 0.45 * own * random.standard_t(4, (EVENTS, 3)))
        guess /= np.linalg.norm(guess, axis=1, keepdims=True)
        np.save(data / f"{name}.npy", guess.astype(np.float32))
        store(blend, workspace, "directions", name, data / f"{name}.npy", "vector")
    return list(DIRECTION_MODELS)


def main():
    blend, workspace = sys.argv[1], pathlib.Path(sys.argv[2])
    for make in (classes, directions):
        stamp = workspace / "models" / make.__name__ / "data" / "problem.json"
        # What another build stored, this one may not read: the program's age belongs to what was made.
        made = [VERSION, np.__version__, pathlib.Path(blend).stat().st_mtime_ns]
        if not (stamp.exists() and json.loads(stamp.read_text())["made"] == made):
            print(f"making {make.__name__} in {workspace}/models ...", file=sys.stderr)
            names = make(blend, workspace)
            stamp.write_text(json.dumps({"made": made, "models": names}))


if __name__ == "__main__":
    main()

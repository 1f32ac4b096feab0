"""Makes the problem that the winners of Kaggle's lish-moa had, from a fixed seed: same shape, same sparsity.

Their stored predictions are not published, so the labels and the models are drawn here. What matters to a search
is kept: 21,948 rows x 206 rare binary targets, models of different strength whose errors are partly shared, a best
blend that gains a little over equal weights, and models that deserve no weight at all.
"""

import json
import pathlib
import subprocess
import sys

import numpy as np

ROWS, TARGETS, DRUGS, FOLDS = 21_948, 206, 3_288, 5
MOST_POSITIVES = 470  # log-uniform from 1 to this makes 0.35 % of all cells positive
SEED = 1120
VERSION = 1  # raise it when the problem changes: what lies in the folder is then made again

# Per model: share of the truth it sees, family whose error it shares, size of its own error, overconfidence,
# and the model that it is a noisier copy of. Copies are what an optimum gives no weight.
MODELS = [
    # name, signal, family, own error, confidence, copy of
    ("three-stage-nn", 1.00, 0, 0.50, 1.00, None),
    ("two-heads-v2", 0.88, 1, 0.60, 0.95, None),
    ("effnet-b3", 0.86, 2, 0.70, 0.90, None),
    ("resnest-v1", 0.88, 2, 0.65, 1.00, None),
    ("resnest-v2", 0.92, 2, 0.55, 1.00, None),
    ("simple-nn-old", 0.00, 0, 0.60, 1.10, "three-stage-nn"),
    ("simple-nn-new", 0.90, 1, 0.65, 1.00, None),
    ("tabnet", 0.00, 1, 0.80, 1.20, "two-heads-v2"),
    ("two-heads-v1", 0.82, 1, 0.75, 1.00, None),
    ("two-stage-nn", 0.94, 0, 0.60, 1.00, None),
    ("resnest-copy", 0.00, 2, 0.70, 1.15, "resnest-v2"),
    ("stacker", 0.80, 0, 0.90, 1.25, None),
]
FAMILIES = 3
SIGNAL, SHARED, FAMILY = 2.15, 0.55, 0.45


def labels(random, signal):
    """For each target its number of positives, placed by the odds that the signal gives a row (Gumbel's trick)."""
    counts = np.rint(np.exp(np.linspace(0, np.log(MOST_POSITIVES), TARGETS))).astype(int)
    random.shuffle(counts)
    noisy = signal + random.gumbel(size=signal.shape).astype(np.float32)
    truth = np.zeros(signal.shape, np.uint8)
    for target, count in enumerate(counts):
        truth[np.argpartition(-noisy[:, target], count)[:count], target] = 1
    return truth


def calibrated(logits, truth):
    """Probabilities whose mean per target is the share of positives, as trained models have it."""
    share = truth.mean(axis=0)
    shift = np.log(share) - logits.mean(axis=0)
    for _ in range(8):
        mean = (1 / (1 + np.exp(-(logits + shift)))).mean(axis=0)
        shift += np.log(share / mean)
    return (1 / (1 + np.exp(-(logits + shift)))).astype(np.float32)


def generate(folder):
    random = np.random.default_rng(SEED)

    def normal():
        return random.standard_normal((ROWS, TARGETS), dtype=np.float32)

    signal = SIGNAL * normal()
    truth = labels(random, signal)
    shared = SHARED * normal()
    family = [FAMILY * normal() for _ in range(FAMILIES)]
    np.save(folder / "truth.npy", truth)
    made = {}
    for name, strength, group, own, confidence, copied in MODELS:
        seen = strength * signal + shared + family[group] if copied is None else made[copied]
        made[name] = seen + own * normal()
        np.save(folder / f"{name}.npy", calibrated(0.8 * confidence * made[name], truth))
    write_tables(folder, random, truth)


def write_tables(folder, random, truth):
    """Labels, folds and drugs as the competition has them: CSV by id. A drug's rows stay in one fold."""
    ids = [f"id_{row:09x}" for row in range(ROWS)]
    drug = random.integers(DRUGS, size=ROWS)
    fold_of = random.integers(FOLDS, size=DRUGS)
    header = ",".join(["sig_id", *(f"target_{t:03d}" for t in range(TARGETS))])
    lines = (f"{id},{','.join(map(str, row))}\n" for id, row in zip(ids, truth.tolist()))
    (folder / "targets.csv").write_text(header + "\n" + "".join(lines))
    lines = (f"{id},d{d:04d},{fold_of[d]}\n" for id, d in zip(ids, drug))
    (folder / "folds.csv").write_text("sig_id,drug_id,fold\n" + "".join(lines))


def import_models(blend, workspace, data):
    """Stores the models as a user would: one competition, one `blend import` per model."""
    (workspace / "models" / "moa" / "competition.yaml").write_text(
        "competition: moa\n"
        "metric: {name: log_loss, clip: 1e-15}\n"
        "space: linear\n"
        "truth: data/targets.csv\n"
        "id: sig_id\n"
        'targets: "*"\n'
        "folds: {file: data/folds.csv, column: fold}\n"
        "groups: {file: data/folds.csv, column: drug_id}\n"
    )
    for name, *_ in MODELS:
        subprocess.run(
            [blend, "import", name, "-C", workspace, "-c", "moa", "--oof", data / f"{name}.npy", "--rows", "truth", "--quiet"],
            check=True,
            stdout=subprocess.DEVNULL,
        )


def main():
    blend, workspace = sys.argv[1], pathlib.Path(sys.argv[2])
    data = workspace / "models" / "moa" / "data"
    stamp = data / "problem.json"
    wanted = json.dumps({"version": VERSION, "seed": SEED, "numpy": np.__version__, "models": [model[0] for model in MODELS]})
    if not (stamp.exists() and stamp.read_text() == wanted):
        data.mkdir(parents=True, exist_ok=True)
        generate(data)
        stamp.write_text(wanted)
    # Always anew: another build may store otherwise.
    import_models(blend, workspace, data)


if __name__ == "__main__":
    main()

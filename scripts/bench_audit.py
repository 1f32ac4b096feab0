"""What an audit costs, ours beside pandas and scipy, in CPU seconds on data of the shape of Kaggle's lish-moa.

    python bench_audit.py BLEND EXAMPLE FOLDER

BLEND is the program, EXAMPLE the built example `relations` of the core room, FOLDER gets the data. 21,948 rows, 206 rare
binary targets, f32 probabilities of 12 models, from a fixed seed. Correlations are those between all pairs of models,
target by target, as the winners computed them: `DataFrame.corr` over the models' columns of one target. pandas takes all
targets but for Kendall, of which it takes the first TAU_TARGETS and is given the rest by proportion. Then whole audits,
of that pool and of one with many models, and what the report's page takes beyond the audit.
"""

import json
import os
import pathlib
import subprocess
import sys
import time

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np
import pandas as pd

N_MODELS, N_TARGETS, N_ROWS = 12, 206, 21_948
TAU_TARGETS = 4
WANTED = {"pearson": 20, "spearman": 20, "kendall": 10}
MANY_MODELS, MANY_ROWS, FEW_TARGETS = 91, 7_165, 2
PAGE_SECONDS = 2  # what the page may take beyond the audit


def make(n_models=N_MODELS, n_targets=N_TARGETS, n_rows=N_ROWS, base=-7.2):
    """Labels, shape (n_targets, n_rows), and probabilities, shape (n_models, n_targets, n_rows)."""
    random = np.random.default_rng(2020)
    labels = np.empty((n_targets, n_rows), np.uint8)
    values = np.empty((n_models, n_targets, n_rows), np.float32)
    for target in range(n_targets):
        middle = base + 1.2 * abs(random.normal())
        signal = 1.3 * random.normal(size=n_rows)
        labels[target] = random.random(n_rows) < 1 / (1 + np.exp(-middle - signal))
        labels[target, target] = 1  # a target without a positive has no correlation with anything
        shared = 0.6 * random.normal(size=n_rows)
        for model in range(n_models):
            own = (0.45 + 0.04 * (model % 12)) * random.normal(size=n_rows)
            values[model, target] = 1 / (1 + np.exp(-middle - signal - shared - own))
    return labels, values


def peers(values):
    """CPU seconds and mean correlation by method."""
    upper = np.triu_indices(N_MODELS, 1)
    for method in WANTED:
        n_targets = TAU_TARGETS if method == "kendall" else N_TARGETS
        start = time.process_time()
        means = [pd.DataFrame(values[:, t].T).corr(method=method).to_numpy()[upper].mean() for t in range(n_targets)]
        yield method, (time.process_time() - start) * N_TARGETS / n_targets, np.array(means)


def ours(example, values, n_targets, folder):
    file = folder / f"values_{n_targets}.f32"
    np.ascontiguousarray(values[:, :n_targets]).tofile(file)
    said = subprocess.run([example, file, str(N_MODELS), str(n_targets)], check=True, capture_output=True, text=True)
    file.unlink()
    return {it["method"]: it for it in map(json.loads, said.stdout.splitlines())}


def store(blend, labels, values, folder):
    """A workspace with the models and a searched blend, unless it is there."""
    if (folder / "blends" / "moa" / "best_cv.yaml").exists():
        return
    data = folder / "models" / "moa"
    data.mkdir(parents=True, exist_ok=True)
    n_targets, n_rows = labels.shape
    names = [f"target_{t}" for t in range(n_targets)]
    ids = [f"id_{row:05}" for row in range(n_rows)]
    pd.DataFrame(labels.T, index=pd.Index(ids, name="id"), columns=names).to_csv(data / "truth.csv")
    pd.DataFrame({"id": ids, "fold": np.arange(n_rows) % 5}).to_csv(data / "folds.csv", index=False)
    (data / "competition.yaml").write_text(
        'competition: moa\nmetric: log_loss\ntruth: truth.csv\nid: id\ntargets: "*"\n'
        "folds: {file: folds.csv, column: fold}\n"
    )
    for model, value in enumerate(values):
        np.save(folder / "values.npy", value.T)
        arguments = ["import", f"m{model:02}", "--oof", folder / "values.npy", "--rows", "truth"]
        subprocess.run([blend, "-C", folder, "-q", *arguments], check=True, stdout=subprocess.DEVNULL)
    subprocess.run([blend, "-C", folder, "-q", "search"], check=True, stdout=subprocess.DEVNULL)


def seconds(*command):
    """CPU and wall-clock seconds of a program."""
    before = os.times()
    done = subprocess.run(command, stdout=subprocess.DEVNULL)
    after = os.times()
    if done.returncode not in (0, 1):  # 1: done, and something was found
        sys.exit(f"exit code {done.returncode} from {' '.join(map(str, command))}")
    return after.children_user - before.children_user + after.children_system - before.children_system, after.elapsed - before.elapsed


def whole(blend, labels, values, folder):
    """Prints what an audit takes, and the page about it; whether the page takes too long."""
    store(blend, labels, values, folder)
    cpu, wall = seconds(blend, "-C", folder, "--json", "audit")
    both_cpu, both_wall = seconds(blend, "-C", folder, "--json", "report", "-o", folder / "report.html")
    size = (folder / "report.html").stat().st_size / 1e6
    n_models, n_targets, n_rows = values.shape
    print(f"a whole audit of {n_models} models, {n_rows:,} rows, {n_targets} targets: {cpu:.1f} CPU seconds, {wall:.1f} s")
    print(
        f"  the report beyond it: {both_cpu - cpu:.1f} CPU seconds, {both_wall - wall:.1f} s (at most {PAGE_SECONDS} wanted); "
        f"{size:.2f} MB"
    )
    return both_cpu - cpu > PAGE_SECONDS


def main():
    blend, example, folder = sys.argv[1], sys.argv[2], pathlib.Path(sys.argv[3]).resolve()
    folder.mkdir(parents=True, exist_ok=True)
    labels, values = make()
    all_targets = ours(example, values, N_TARGETS, folder)
    few = ours(example, values, TAU_TARGETS, folder)
    print(f"correlations of {N_MODELS} models, {N_ROWS:,} rows, {N_TARGETS} targets, in CPU seconds")
    print(f"  {'method':10}{'blend':>10}{'pandas':>10}{'times':>8}{'wanted':>8}")
    short = False
    for method, theirs, means in peers(values):
        it = all_targets[method]
        mean = few[method]["mean"] if method == "kendall" else it["mean"]
        if abs(mean - means.mean()) > 1e-6:
            sys.exit(f"{method}: {mean} is not {means.mean()} of pandas")
        times = theirs / it["cpu"]
        short |= times < WANTED[method]
        print(f"  {method:10}{it['cpu']:10.3f}{theirs:10.2f}{times:8.1f}{WANTED[method]:8}")
    short |= whole(blend, labels, values, folder)
    many = folder / "many"
    many.mkdir(exist_ok=True)
    short |= whole(blend, *make(MANY_MODELS, FEW_TARGETS, MANY_ROWS, base=-1.5), many)
    sys.exit("a target was missed" if short else 0)


if __name__ == "__main__":
    main()

"""The winners' problem with 7 and with 12 models: `blend search` and its peers, side by side in one run.

`bench.py BLEND WORKSPACE [MOA_SHAPE]`. Every method runs in a process of its own. Other programs may share the
machine, so CPU seconds count and ratios of them. We and the nearest rivals run several times in turn, and the least
of each time counts.
"""

import json
import os
import pathlib
import re
import subprocess
import sys

import report
from measure import run

HERE = pathlib.Path(__file__).parent
SIZES = (7, 12)
ROUNDS = 2
OURS = {
    "blend, weights only, 1 thread": ["--no-nested", "--threads", "1"],
    "blend, weights only": ["--no-nested"],
    "blend, 1 thread": ["--threads", "1"],
    "blend": [],
}
# The nearest rivals run in turn with us; what takes long, once.
RIVALS = {
    "L-BFGS, softmax, tol 1e-9": "lbfgs-softmax-1e-9",
    "L-BFGS, softmax, tol 1e-10": "lbfgs-softmax-1e-10",
}
ONCE = {
    "L-BFGS, softmax, tol 1e-15": "lbfgs-softmax-1e-15",
    "SLSQP, gradient, tol 1e-10": "slsqp-gradient-1e-10",
    "winners' SLSQP, no gradient": "winners-slsqp",
    "winners' Optuna TPE, 3,000 ~": "optuna-tpe",
}
# One thread in BLAS: more of them finish sooner and burn more CPU, and CPU is what is compared.
ONE_THREAD = {name: "1" for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")}


def ours(blend, workspace, competition, members, flags):
    command = [blend, "-C", workspace, "-c", competition, "search", "--target", "cv", "--json"]
    command += ["--members", ",".join(members), *flags]
    taken = run(command)
    said = json.loads(taken.out)
    seconds = said["seconds"]
    solved, searched = (seconds["load"] + seconds[until] for until in ("solve", "search"))
    return {
        "weights": [said["weights"][member] for member in members],
        # As of the peers: until the weights are found. Members and baselines are judged after it.
        "cpu": taken.cpu_between(seconds["load"], solved),
        "wall": seconds["solve"],
        "total_cpu": taken.cpu,
        "total_wall": taken.wall,
        "peak": taken.peak,
        "phases": {
            "load": taken.cpu_between(0, seconds["load"]),
            "weights": taken.cpu_between(seconds["load"], solved),
            "judging members and baselines": taken.cpu_between(solved, searched),
            "honest": taken.cpu_between(searched, searched + seconds["honest"]),
        },
        "said": said,
    }


def peer(method, workspace, shape, python=sys.executable):
    taken = run([python, HERE / "peers.py", method, workspace, shape], environment=ONE_THREAD)
    said = json.loads(taken.out)
    scale = said["scale"]
    # What a scaled search did not take, it takes once: imports and loading.
    rest = {"total_cpu": taken.cpu - said["cpu"], "total_wall": taken.wall - said["wall"]}
    return {
        "weights": said["weights"],
        "cpu": said["cpu"] * scale,
        "wall": said["wall"] * scale,
        "total_cpu": rest["total_cpu"] + said["cpu"] * scale,
        "total_wall": rest["total_wall"] + said["wall"] * scale,
        "peak": taken.peak,
        "evaluations": said["evaluations"],
    }


def warm_read(workspace, members):
    """Reading the members' stored outputs once more after they were read: the least that any search can take."""
    files = [workspace / "models" / "moa" / member / "oof.feather" for member in members]
    read = ["sh", "-c", 'cat "$@" > /dev/null', "cat", *files]
    return min((run(read) for _ in range(1 + ROUNDS)), key=lambda taken: taken.cpu)


def gradient_passes(example):
    """Milliseconds of one value-and-gradient pass by number of models, from the example that times the kernels."""
    passes = {}
    if example is None:
        return passes
    # One thread: more of them wait for each other, and what they wait counts in part.
    environment = dict(os.environ, RAYON_NUM_THREADS="1")
    with subprocess.Popen([example], stdout=subprocess.PIPE, text=True, env=environment) as child:
        for line in child.stdout:
            if found := re.match(r"\s*(\d+) members", line):
                n = int(found[1])
            elif found := re.match(r"\s*value, gradient\s+([\d.]+) ms", line):
                # The first of a size is the one in linear space over all rows.
                passes.setdefault(n, float(found[1]))
            if all(size in passes for size in SIZES):
                child.kill()  # what it goes on to measure is not asked for here
                break
    return passes


def least(old, new):
    """The run whose search took less CPU, with the least of both runs' times."""
    if old is None:
        return new
    best = min(old, new, key=lambda result: result["cpu"])
    return best | {key: min(old[key], new[key]) for key in ("cpu", "wall", "total_cpu", "total_wall")}


def main():
    blend, workspace = sys.argv[1], pathlib.Path(sys.argv[2])
    example = sys.argv[3] if len(sys.argv) > 3 else None
    names = json.loads((workspace / "models" / "moa" / "data" / "problem.json").read_text())["models"]
    passes = gradient_passes(example)
    everything = {}
    for n in SIZES:
        members = names[:n]
        results = {}
        for turn in range(ROUNDS):
            print(f"{n} models, round {turn + 1} of {ROUNDS} ...", file=sys.stderr)
            for name, flags in OURS.items():
                results[name] = least(results.get(name), ours(blend, workspace, "moa", members, flags))
            for name, method in RIVALS.items():
                results[name] = least(results.get(name), peer(method, workspace, f"moa-{n}"))
        for name, method in ONCE.items():
            print(f"{n} models, {name} ...", file=sys.stderr)
            results[name] = peer(method, workspace, f"moa-{n}")
        results["equal weights"] = {"weights": [1 / n] * n}
        weights = json.dumps({name: result["weights"] for name, result in results.items()})
        verdicts = json.loads(run([sys.executable, HERE / "score.py", workspace, f"moa-{n}"], stdin=weights).out)
        for name, verdict in verdicts.items():
            results[name] |= verdict
        everything[n] = report.Size(n, results, list(OURS), warm_read(workspace, members), passes.get(n))
        (workspace / "results.json").write_text(json.dumps({n: s.results for n, s in everything.items()}, indent=1))
    for size in everything.values():
        report.show(size)


if __name__ == "__main__":
    main()

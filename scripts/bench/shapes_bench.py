"""200 models of 10 classes, and six models of directions: `blend search` and its peers, side by side in one run.

`shapes_bench.py BLEND WORKSPACE [PYTHON]`, where PYTHON has AutoGluon and hillclimbers. CPU seconds of the searches, in
turns, the least of each; what the peers with a gradient prepare is not counted against them.
"""

import dataclasses
import json
import pathlib
import sys

import report
from bench import HERE, least, ours, peer
from measure import run

ROUNDS = 3
LEAN, GREEDY = "blend, weights only, 1 thread", "blend, greedy, 100 picks, 1 thread"
OURS = {
    LEAN: ["--no-nested", "--threads", "1"],
    GREEDY: ["--no-nested", "--threads", "1", "--solver", "greedy", "--max-picks", "100"],
}
RIVALS = {
    "SLSQP, gradient, tol 1e-10": "slsqp-gradient-1e-10",
    "SLSQP, gradient, tol 1e-12": "slsqp-gradient-1e-12",
    "L-BFGS, softmax, tol 1e-9": "lbfgs-softmax-1e-9",
    "L-BFGS, softmax, tol 1e-10": "lbfgs-softmax-1e-10",
}
ONCE = {"L-BFGS, softmax, tol 1e-15": "lbfgs-softmax-1e-15", "trust-constr, gradient": "trust-constr"}
AUTOGLUON = "AutoGluon's selection, 100 picks"
SELECTIONS = {AUTOGLUON: "autogluon", "hillclimbers": "hillclimbers"}


@dataclasses.dataclass
class Shape:
    name: str
    title: str
    numbers: int  # of one model that the loss reads
    convex: bool
    ratio: float  # the fastest peer's CPU over ours that is asked for


SHAPES = [
    Shape("classes", "200 models, 20,000 rows x 10 classes, multiclass log loss", 20_000, True, 15),
    Shape("directions", "6 models, 200,000 directions, mean angle, unit vectors", 600_000, False, 8),
]


def measure(shape, blend, workspace, selections):
    stamp = workspace / "models" / shape.name / "data" / "problem.json"
    members = json.loads(stamp.read_text())["models"]
    results = {}
    for turn in range(ROUNDS):
        print(f"{shape.name}, round {turn + 1} of {ROUNDS} ...", file=sys.stderr)
        for name, flags in OURS.items():
            results[name] = least(results.get(name), ours(blend, workspace, shape.name, members, flags))
        for name, method in RIVALS.items():
            results[name] = least(results.get(name), peer(method, workspace, shape.name))
    for name, method in ONCE.items():
        print(f"{shape.name}, {name} ...", file=sys.stderr)
        results[name] = peer(method, workspace, shape.name)
    for name, method in SELECTIONS.items() if selections else ():
        print(f"{shape.name}, {name} ...", file=sys.stderr)
        results[name] = peer(method, workspace, shape.name, selections)
    results["equal weights"] = {"weights": [1 / len(members)] * len(members)}
    weights = json.dumps({name: result["weights"] for name, result in results.items()})
    verdicts = json.loads(run([sys.executable, HERE / "score.py", workspace, shape.name], stdin=weights).out)
    return {name: result | verdicts[name] for name, result in results.items()}


def show(shape, results):
    optimum = min(result["score"] for result in results.values())
    lean = results[LEAN]
    rows = []
    for name, result in sorted(results.items(), key=lambda item: (item[0] not in OURS, item[1].get("cpu", 0))):
        kept = sum(weight > 1e-9 for weight in result["weights"])
        line = [name, f"{result['score']:.12f}", f"{result['score'] - optimum:.1e}", str(kept)]
        if "cpu" in result:
            line += [f"{result[key]:.3f}" for key in ("cpu", "wall")]
            line += [f"{result['total_cpu']:.2f}", f"{result['cpu'] / lean['cpu']:.2f}"]
        rows.append(line)
    what = "optimum" if shape.convex else "best that any found"
    print(f"\n{shape.title}; {what} {optimum:.15f}\n")
    report.table(["method", "score", "gap", "kept", "search CPU s", "wall s", "whole CPU s", "CPU / ours"], rows)
    print(
        "\nsearch = until the weights are found, without loading and without preparing the peers' arrays (of classes the "
        "true one's probability); ours prepares them in it."
    )
    said, phases = lean["said"], lean["phases"]
    judging = "judging members and baselines"
    print(f"our {judging}: {phases[judging]:.3f} CPU s beside it")
    per_pass = lean["cpu"] / said["passes"]
    read = len(lean["weights"]) * shape.numbers * 4
    rate, memory = read / per_pass / 1e9, report.bandwidth(read)
    print(
        f"our search: {said['solver']}, {said['passes']:.1f} passes, stop {said['stop']}; with Hessians and all else "
        f"{1e3 * per_pass:.1f} ms of CPU a pass, {rate:.2f} GB/s of predictions, {report.bound_by(rate, memory)}"
    )
    print()
    promises(shape, results, optimum)


def promises(shape, results, optimum):
    lean = results[LEAN]
    if shape.convex:
        sound = lean["said"]["stop"] == "certified" and lean["bound"] <= report.REACHED
        told = f"certified optimum: stop {lean['said']['stop']}, by numpy at most {lean['bound']:.1e} away"
        report.verdict(sound, told)
    else:
        gap = lean["score"] - optimum
        told = f"{gap:.1e} from the best that any found (not convex: nothing proves it); at most 1e-8"
        report.verdict(gap <= report.REACHED, told)
    peers = {
        name: result
        for name, result in results.items()
        if name not in OURS and "cpu" in result and report.reaches(result, optimum)
    }
    if peers:
        name, fastest = min(peers.items(), key=lambda item: item[1]["cpu"])
        ratio = fastest["cpu"] / lean["cpu"]
        told = f"search: {report.part(ratio)} the CPU of the fastest peer within 1e-8 ({name})"
        report.verdict(ratio >= shape.ratio, f"{told}; at most 1/{shape.ratio}")
    else:
        report.verdict(True, "search: no peer came within 1e-8")
    if AUTOGLUON in results:
        greedy, other = results[GREEDY], results[AUTOGLUON]
        moved = max(abs(a - b) for a, b in zip(greedy["weights"], other["weights"]))
        ratio = other["cpu"] / greedy["cpu"]
        same = "the same picks" if moved < 1e-9 else f"other picks (weights differ by up to {moved:.1e})"
        told = f"greedy: {report.part(ratio)} the CPU of AutoGluon's, {same}; at most 1/20"
        report.verdict(moved < 1e-9 and ratio >= 20, told)


def main():
    blend, workspace = sys.argv[1], pathlib.Path(sys.argv[2])
    selections = sys.argv[3] if len(sys.argv) > 3 else None
    everything = {shape.name: measure(shape, blend, workspace, selections) for shape in SHAPES}
    (workspace / "shapes.json").write_text(json.dumps(everything, indent=1))
    for shape in SHAPES:
        show(shape, everything[shape.name])


if __name__ == "__main__":
    main()

"""Every MoA model in its small form, on the contest's real labels and made-up measurements (`moa_like`): two contests over the
same rows, one with rows spread over the folds, one with drugs kept whole.

Later stages are fitted without leakage. A row that trains a network is seen through earlier networks that know neither its
own labels nor those of the fold that the network will be judged on: for a chain of three stages and five folds that takes
25, 15 and 5 networks, of which five each are exported. What this writes holds the contest's labels: keep it to yourself.
"""

import json
import os
import subprocess
import time
import zlib
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import onnxruntime
import pandas as pd
import torch

from . import export, manifests, moa_like
from .build import system
from .contest_files import linked
from .systems import SYSTEMS, Earlier, Stage, System, Table
from .train_table import PLANS, SMALL_BATCH, Data, fit, log_loss, probabilities

CONTESTS = {"moa-plain": "scored_5", "moa-drug": "drug_5"}  # and the column of their fold maps
FOLDS = 5
# The others are one of these in small form: five and ten folds, or with and without the last dropout.
MODELS = (
    "simple-nn-old", "simple-nn-new", "two-heads-v1", "two-heads-v2", "three-stage-nn-10f", "two-stage-tabnet", "efficientnet-b3",
    "resnest-v2", "supervised-tabnet",
)
# By family and stage: few where one network costs much or a chain needs many, more where the last layer has no bias that could
# start at the labels' rates.
EPOCHS = {
    ("simple_nn", "main"): 8, ("two_heads", "main"): 8, ("three_stage", "nonscored"): 3, ("three_stage", "scored"): 3,
    ("three_stage", "refined"): 3, ("two_stage", "nonscored"): 5, ("two_stage", "scored"): 25, ("efficientnet", "main"): 2,
    ("resnest", "main"): 3, ("stacker", "main"): 5,
}
# Of the networks whose full forms start from weights that were trained on photographs: these start from nothing.
RATES = {"efficientnet": 2e-3, "resnest": 3e-3}
COMPETITION = """\
# Made-up measurements, real labels of lish-moa (not for redistribution): python -m zoo moa
competition: {name}
metric: {{name: log_loss, clip: 1e-15}}
truth: data/train_targets_scored.csv
id: sig_id
targets: "*"
folds: {{file: data/folds.csv, column: {column}}}
groups: {{file: data/train_drug.csv, column: drug_id}}
scope: {{exclude: {{file: data/train_features.csv, column: cp_type, equals: ctl_vehicle}}}}
sample_submission: data/sample_submission.csv
post: [{{zero_rows: {{file: data/test_features.csv, column: cp_type, equals: ctl_vehicle}}}}]
leaderboard: {{decimals: 5}}
"""


def small(name: str, contest: str) -> System:
    """A model in its small form: one seed, the folds of the contest at every stage."""
    it = system(name)
    stages = tuple(replace(stage, seeds=(), folds=CONTESTS[contest], n_folds=FOLDS) for stage in it.stages)
    return replace(it, competition=contest, full=it.small, stages=stages, claim=None)


@dataclass
class CrossFit:
    """The networks of a contest, each trained once: `without` are the folds that it never saw."""

    contest: str
    data: Data
    states: Path
    epochs: int | None = None
    known: dict[tuple, object] = field(default_factory=dict)

    @property
    def fold(self) -> np.ndarray:
        """Of every row; -1 for those of the vehicle, which train nothing, as in most of the winners' models."""
        return self.data.folds[CONTESTS[self.contest]].to_numpy()

    def inputs(self, it: System, stage: Stage, without: frozenset[int]) -> dict[str, np.ndarray]:
        """What feeds a stage. Nothing in a row of another fold depends on a label of `without` or of the row's fold."""
        def rows(source) -> np.ndarray:
            match source:
                case Earlier(stage=earlier):
                    return self.out(it, next(other for other in it.stages if other.name == earlier), without)
                case Table(name=member) if member in SYSTEMS:
                    other = small(member, self.contest)
                    return self.out(other, other.stages[-1], without)
                case Table(name=table):
                    return self.data.tables[table]

        return {name: rows(source) for name, source in stage.inputs(it.small).items()}

    def network(self, it: System, stage: Stage, without: frozenset[int]) -> torch.nn.Module:
        """Trained on the treated rows of all folds but `without`."""
        key = (it.name, stage.name, without)
        if key not in self.known:
            self.known[key] = self.load_or_fit(it, stage, without)
        return self.known[key]

    def load_or_fit(self, it: System, stage: Stage, without: frozenset[int]) -> torch.nn.Module:
        label = "_".join(map(str, sorted(without)))
        path = self.states / it.name / stage.name / f"without{label}.pt"
        if path.exists():
            return export.restored(stage.build(it.small), torch.load(path, weights_only=True)["state"]).eval()
        inputs = self.inputs(it, stage, without)  # trains earlier networks, whose time is their own
        started = time.process_time()
        rows = (self.fold >= 0) & ~np.isin(self.fold, list(without))
        labels = self.data.labels(stage)[rows]
        plan = PLANS[it.family, stage.name]
        plan = replace(plan, batch=min(plan.batch, SMALL_BATCH), rate=RATES.get(it.family, plan.rate))
        epochs = min(EPOCHS[it.family, stage.name], self.epochs or plan.epochs)
        seed = zlib.crc32(f"{it.name} {stage.name} {label}".encode())
        torch.manual_seed(seed)
        net = stage.build(it.small)
        taken = {name: x[rows] for name, x in inputs.items()}
        net.prepare(taken, labels)
        net = fit(net, taken, labels, plan, epochs, seed, "cpu")
        seconds = time.process_time() - started
        path.parent.mkdir(parents=True, exist_ok=True)
        torch.save({"state": net.state_dict(), "seconds": seconds}, path)
        print(f"{self.contest} {it.name} {stage.name} without {label}: {seconds:.1f} s", flush=True)
        return net

    def seconds(self, name: str) -> list[float]:
        """Of processor time that every network of a model took to train, those included that only later stages needed."""
        return [torch.load(path, weights_only=True)["seconds"] for path in sorted((self.states / name).rglob("*.pt"))]

    def out(self, it: System, stage: Stage, without: frozenset[int]) -> np.ndarray:
        """Probabilities of every row outside of `without`, by the network that saw neither those folds nor the row's; 0
        elsewhere."""
        key = (it.name, stage.name, without, "out")
        if key not in self.known:
            inputs = self.inputs(it, stage, without)
            found = np.zeros((len(self.fold), stage.outputs(it.small)), np.float32)
            for fold in sorted(set(range(FOLDS)) - without):
                rows = self.fold == fold
                net = self.network(it, stage, without | {fold})
                found[rows] = probabilities(net, {name: x[rows] for name, x in inputs.items()}, it.output)
            self.known[key] = found
        return self.known[key]


def write_model(crossfit: CrossFit, it: System, folder: Path) -> float:
    """Graphs of one model, compared with their networks, and its manifest: its out-of-fold log loss."""
    loss = log_loss(crossfit.out(it, it.stages[-1], frozenset())[crossfit.fold >= 0], crossfit.data.scored[crossfit.fold >= 0])
    for stage in it.stages:
        for fold in range(FOLDS):
            net = crossfit.network(it, stage, frozenset({fold}))
            export.written(folder / stage.name / f"fold{fold}.onnx", net, stage, it.small, it.output)
    (folder / "model.yaml").write_text(manifests.text(it, f"a small form of {it.id}, {it.name}", "python -m zoo moa"))
    return loss


def write_data(labels: Path, root: Path, rows: int | None) -> None:
    """Both contests over one set of files."""
    first = root / "models" / next(iter(CONTESTS)) / "data"
    if not (first / "folds.csv").exists():
        moa_like.write(labels, first, rows)
    for name, column in CONTESTS.items():
        folder = root / "models" / name
        (folder / "data").mkdir(parents=True, exist_ok=True)
        for path in first.iterdir():
            linked(path, folder / "data" / path.name)
        (folder / "competition.yaml").write_text(COMPETITION.format(name=name, column=column))


def searched(blend: Path, root: Path, contest: str) -> dict:
    """What the program makes of a contest's graphs: outputs, weights, their scores."""
    library = sorted((Path(onnxruntime.__file__).parent / "capi").glob("libonnxruntime.*"))
    environment = os.environ | ({"ORT_DYLIB_PATH": str(library[0])} if library else {})

    def run(*arguments: str) -> str:
        command = [str(blend.resolve()), "-C", str(root), "-c", contest, *arguments]
        return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=environment).stdout

    run("-q", "predict")
    found = json.loads(run("--json", "search"))
    run("-q", "submit", "best_cv")
    return found


def run(labels: Path, root: Path, contests: list[str], models: list[str], blend: Path | None, rows: int | None, epochs: int | None) -> None:
    """Data, networks, graphs and, where the program is given, its search; prints a line for every model and blend."""
    torch.set_num_threads(1)  # sums in one order, whatever the number of cores
    write_data(labels, root, rows)
    for name in ("models", "blends", "submissions"):
        (root / name).mkdir(exist_ok=True)
    lines = []
    for contest in contests:
        data = Data.read(root / "models" / contest / "data", ("features", "umap70", "umap20"))
        crossfit = CrossFit(contest, data, root / "weights" / contest, epochs)
        losses = {}
        for name in models:
            losses[name] = write_model(crossfit, small(name, contest), root / "models" / contest / name)
            print(f"{contest} {name}: out-of-fold log loss {losses[name]:.6f}", flush=True)
        for name, loss in losses.items():
            seconds = crossfit.seconds(name)
            lines.append((contest, name, len(seconds), f"{sum(seconds):.0f}", f"{loss:.6f}"))
        if blend is not None:
            found = searched(blend, root, contest)
            scores = {"equal weights": found["equal_weights"], "searched": found["score"], "searched, nested": found["nested_score"]}
            lines += [(contest, label, "", "", f"{score:.6f}") for label, score in scores.items()]
    table = pd.DataFrame(lines, columns=["contest", "model", "networks", "seconds", "log loss"])
    table.to_csv(root / "scores.csv", index=False)
    print(table.to_string(index=False))

"""`model.yaml` of every system: the same facts that the exporter works by."""

from pathlib import Path

from .systems import SYSTEMS, Earlier, Input, Pulses, Stage, System, Table, pattern

# What a table is called on disk; other tables are the stored outputs of other models.
FILES = {name: f"../data/{name}_{{split}}.parquet" for name in ("features", "umap70", "umap20")}
ICECUBE_EVENTS = """\
events:
  hits:
    train: {pulses: [../data/batch_655.parquet, ../data/batch_656.parquet, ../data/batch_657.parquet, ../data/batch_658.parquet, ../data/batch_659.parquet]}
    test: {pulses: [../data/batch_661.parquet]}
    geometry: ../data/sensor_geometry.csv
    ice: ../data/ice_transparency.csv
    max_pulses: 192
    compatibility: icecube-2nd-place
"""
NEUTRINO_EVENTS = """\
events:
  hits:
    train: {{pulses: [../data/pulses_train.parquet]}}
    test: {{pulses: [../data/pulses_test.parquet]}}
    geometry: ../data/sensor_geometry.csv
    ice: ../data/ice.csv
    max_pulses: {max_pulses}
"""


def command(system: System) -> str:
    """What makes the graphs."""
    return f"python -m zoo export {system.name} --weights WEIGHTS"


def fed(it: Input) -> str:
    match it:
        case Table(name=name):
            return f"{{table: {name}}}"
        case Earlier(stage=stage):
            return f"{{stage: {stage}}}"
        case Pulses(tensor=tensor):
            return f"{{events: hits, tensor: {tensor}}}"


def stage_lines(stage: Stage, inputs: dict[str, Input], graphs: str, folds: str | None) -> list[str]:
    lines = [f"  - name: {stage.name}", f'    graphs: "{graphs}"']
    if stage.seeds:
        lines.append(f"    seeds: [{', '.join(map(str, stage.seeds))}]")
    if folds:
        lines.append(f"    folds: {folds}")
    return lines + ["    inputs:"] + [f"      {name}: {fed(it)}" for name, it in inputs.items()]


def text(system: System, origin: str = "", made_by: str = "") -> str:
    """The manifest of a system at its full size; `origin` and `made_by` take the place of what is said by default about
    where it comes from and what makes its graphs."""
    vector = system.output == "vector"
    number = f"{system.n_networks} graph{'s' * (system.n_networks > 1)}"
    lines = [
        f"# {origin or f'{system.id}: {number}, see docs/{system.competition}.md'}",
        f"model: {system.name}", f"output: {system.output}", f"average: {'raw' if vector else 'probability'}",
        f"export: {made_by or command(system)}",
    ]
    if system.claim:
        lines.append(f'claimed: {{score: {system.claim[0]:.8g}, scope: "{system.claim[1]}"}}')
    lines.append("stages:")
    for stage in system.stages:
        folds = None if vector else f'{{file: ../data/folds.csv, column: "{stage.folds}"}}'
        lines += stage_lines(stage, stage.inputs(system.full), pattern(stage), folds)
    if system.tables:
        lines.append("tables:")
        for name in system.tables:
            own = FILES.get(name, f"../{name}/{{split}}.feather")
            splits = ("train", "test") if name in FILES else ("oof", "test")
            files = [own.format(split=split) for split in splits]
            lines.append(f'  {name}: {{train: {files[0]}, test: {files[1]}, columns: "*"}}')
    lines.append(f"batch_size: {system.batch_size}")
    return "\n".join(lines) + "\n" + (ICECUBE_EVENTS if vector else "")


def write_all(root: Path) -> None:
    """Manifests of all systems under `root`, the workspace's `models/`."""
    for system in SYSTEMS.values():
        folder = root / system.competition / system.name
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "model.yaml").write_text(text(system))


def write_events(folder: Path, model: str, system: System | None, inputs: dict[str, Input], max_pulses: int) -> None:
    """The manifest of a model of the simulated contest."""
    folder.mkdir(parents=True, exist_ok=True)
    origin = f"# a small form of {system.id}, {system.name}" if system else "# nothing is trained: the same graph three times"
    lines = [origin, f"model: {model}", "output: vector", "average: raw", "stages:", "  - name: main"]
    lines += ['    graphs: "main/fold{fold}.onnx"', "    inputs:"]
    lines += [f"      {name}: {fed(it)}" for name, it in inputs.items()]
    lines.append("batch_size: 256")
    (folder / "model.yaml").write_text("\n".join(lines) + "\n" + NEUTRINO_EVENTS.format(max_pulses=max_pulses))

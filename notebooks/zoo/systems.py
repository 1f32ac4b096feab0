"""Every base model of the two solutions: its stages, seeds, folds and what its authors say of it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import nn

from . import efficientnet, icecube, icegraph, resnest, simple_nn, stacker, three_stage, two_heads, two_stage


@dataclass(frozen=True)
class Table:
    """Columns of a table, (n, width)."""

    name: str
    width: int


@dataclass(frozen=True)
class Earlier:
    """The averaged probabilities of an earlier stage, (n, width)."""

    stage: str
    width: int


@dataclass(frozen=True)
class Pulses:
    """A tensor over the pulses of events, by the name that it has in `model.yaml`."""

    tensor: str


Input = Table | Earlier | Pulses


@dataclass(frozen=True)
class Stage:
    """Graphs with the same inputs; `folds` is the column of the fold file."""

    name: str
    build: Callable[[Any], nn.Module]
    inputs: Callable[[Any], dict[str, Input]]
    seeds: tuple[int, ...]
    folds: str
    n_folds: int
    outputs: Callable[[Any], int]


@dataclass(frozen=True)
class System:
    """A base model; `claims` are a score and what it was measured on."""

    id: str
    name: str
    family: str
    competition: str
    output: str
    full: Any
    small: Any
    stages: tuple[Stage, ...]
    claim: tuple[float, str] | None = None
    tables: tuple[str, ...] = ("features",)
    batch_size: int = 2048

    @property
    def n_networks(self) -> int:
        return sum(max(1, len(stage.seeds)) * stage.n_folds for stage in self.stages)


def pattern(stage: Stage) -> str:
    """Where the graphs of a stage lie in the model's folder."""
    return f"{stage.name}/" + ("seed{seed}_" if stage.seeds else "") + "fold{fold}.onnx"


TREATED = "OOF log loss of the 21,948 treated rows, 206 targets"
FEATURES, UMAP_70, UMAP_20 = "features", "umap70", "umap20"
CNN_SEEDS = (1120,)
HEADS_SEEDS = (23, 228, 1488, 1998, 2208, 2077, 404)
SIMPLE_SEEDS = (940, 1513, 1269, 1392, 1119, 1303)


def table_inputs(config: Any) -> dict[str, Input]:
    return {"features": Table(FEATURES, config.columns.table)}


def with_umap(config: Any) -> dict[str, Input]:
    return table_inputs(config) | {"umap": Table(UMAP_70, config.umap)}


def with_little_umap(config: Any) -> dict[str, Input]:
    return table_inputs(config) | {"umap": Table(UMAP_20, config.umap)}


def scored(config: Any) -> int:
    return config.scored


def three_stages(folds: int) -> tuple[Stage, ...]:
    seeds = (0, 1, 2, 3, 4)
    nonscored = lambda config: with_umap(config) | {"meta": Earlier("nonscored", config.nonscored)}  # noqa: E731
    refined = lambda config: {"meta": Earlier("scored", config.scored)}  # noqa: E731
    return (
        Stage("nonscored", three_stage.NonScored, with_umap, seeds, f"nonscored_{folds}", folds, lambda it: it.nonscored),
        Stage("scored", three_stage.Scored, nonscored, seeds, f"scored_{folds}", folds, scored),
        Stage("refined", three_stage.Refined, refined, seeds, f"scored_{folds}", folds, scored),
    )


def one_stage(build: Callable[[Any], nn.Module], seeds: tuple[int, ...], folds: str, n_folds: int) -> tuple[Stage, ...]:
    return (Stage("main", build, table_inputs, seeds, folds, n_folds, scored),)


TABNET = (
    Stage(
        "nonscored", two_stage.NonScored, with_little_umap, (0, 1, 2, 3, 4), "nonscored_10", 10, lambda it: it.nonscored,
    ),
    Stage(
        "scored", two_stage.Scored, lambda it: table_inputs(it) | {"meta": Earlier("nonscored", it.nonscored)}, (0, 1, 2),
        "scored_10", 10, scored,
    ),
)

STACKED = ("three-stage-nn-10f", "simple-nn-old", "efficientnet-b3", "resnest-v2")


def stacked(config: stacker.Config) -> dict[str, Input]:
    return {f"member{at}": Table(STACKED[at], config.scored) for at in range(config.members)}


def pulses(*names: str) -> Callable[[Any], dict[str, Input]]:
    return lambda config: {name: Pulses(name) for name in names}


PLAIN = pulses("pos", "time", "charge", "auxiliary", "mask", "L0")
GRAPH = pulses("pos", "time", "charge", "auxiliary", "qe", "ice_properties", "mask", "L0")


def direction(build: Callable[[Any], nn.Module], inputs: Callable[[Any], dict[str, Input]]) -> tuple[Stage, ...]:
    return (Stage("main", build, inputs, (), "fold", 1, lambda config: 3),)


def moa(id: str, name: str, family: str, full: Any, small: Any, stages: tuple[Stage, ...], score: float | None, **more):
    claim = None if score is None else (score, more.pop("scope", TREATED))
    return System(id, name, family, "moa", more.pop("output", "logit"), full, small, stages, claim, **more)


def ice(id: str, name: str, family: str, full: Any, small: Any, stages: tuple[Stage, ...]) -> System:
    return System(id, name, family, "icecube", "vector", full, small, stages, None, (), 32)


_NN_TABLES = (FEATURES, UMAP_70)
_THREE = (three_stage.FULL, three_stage.SMALL)
_HEADS_1, _HEADS_2 = (two_heads.V1, two_heads.SMALL_V1), (two_heads.V2, two_heads.SMALL_V2)

SYSTEMS = {
    it.name: it
    for it in (
        moa("M1", "three-stage-nn-5f", "three_stage", *_THREE, three_stages(5), 0.015606, tables=_NN_TABLES),
        moa("M2", "three-stage-nn-10f", "three_stage", *_THREE, three_stages(10), 0.015461, tables=_NN_TABLES),
        moa("M3", "two-stage-tabnet", "two_stage", two_stage.FULL, two_stage.SMALL, TABNET, 0.016234,
            tables=(FEATURES, UMAP_20)),
        moa("M4", "simple-nn-old", "simple_nn", simple_nn.OLD, simple_nn.SMALL_OLD,
            one_stage(simple_nn.SimpleNn, SIMPLE_SEEDS, "scored_5", 5), 0.015846),
        moa("M5", "simple-nn-new", "simple_nn", simple_nn.NEW, simple_nn.SMALL_NEW,
            one_stage(simple_nn.SimpleNn, SIMPLE_SEEDS, "drug_5", 5), 0.01564,
            scope="as stated by the authors, other folds: all 23,814 rows, sum over 206 targets divided by 207"),
        moa("M6", "two-heads-v1", "two_heads", *_HEADS_1, one_stage(two_heads.TwoHeads, HEADS_SEEDS, "kfold_seed{seed}", 10),
            0.015887, output="probability"),
        moa("M7", "two-heads-v2", "two_heads", *_HEADS_2, one_stage(two_heads.TwoHeads, HEADS_SEEDS, "kfold_seed{seed}", 10),
            0.015660, output="probability"),
        moa("M8", "efficientnet-b3", "efficientnet", efficientnet.FULL, efficientnet.SMALL,
            one_stage(efficientnet.EfficientNet, CNN_SEEDS, "all_10", 10), 0.016016, batch_size=128),
        moa("M9", "resnest-v1", "resnest", resnest.V1, resnest.SMALL_V1,
            one_stage(resnest.ResNeSt, CNN_SEEDS, "all_10", 10), 0.015819, batch_size=128),
        moa("M10", "resnest-v2", "resnest", resnest.V2, resnest.SMALL_V2,
            one_stage(resnest.ResNeSt, CNN_SEEDS, "all_10", 10), 0.015756, batch_size=128),
        moa("M11", "simple-nn-old-10f", "simple_nn", simple_nn.OLD, simple_nn.SMALL_OLD,
            one_stage(simple_nn.SimpleNn, SIMPLE_SEEDS, "scored_10", 10), 0.015741),
        moa("M11", "nonscored-nn-new", "three_stage", *_THREE, (
            Stage("nonscored", three_stage.NonScored, with_umap, (0, 1, 2, 3, 4), "drug_5", 5, lambda it: it.nonscored),
            Stage("scored", three_stage.Scored,
                  lambda it: with_umap(it) | {"meta": Earlier("nonscored", it.nonscored)}, (0, 1, 2, 3, 4), "drug_5", 5, scored),
        ), 0.016976, tables=_NN_TABLES),
        moa("M11", "supervised-tabnet", "stacker", stacker.FULL, stacker.SMALL,
            (Stage("main", stacker.Stacker, stacked, (0, 1, 2), "scored_10", 10, scored),), 0.0149396,
            scope="in the file's name: all 23,814 rows, controls included", tables=STACKED),
        ice("I1", "b-32", "icecube", icecube.B32, icecube.SMALL_B32, direction(icecube.DeepIce, PLAIN)),
        ice("I2", "b-64", "icecube", icecube.B64, icecube.SMALL_B64, direction(icecube.DeepIce, PLAIN)),
        ice("I3", "b-4-rel", "icecube", icecube.B4REL, icecube.SMALL_B4REL, direction(icecube.DeepIce, PLAIN)),
        ice("I4", "s-gnn", "icegraph", icegraph.S, icegraph.SMALL_S, direction(icegraph.DeepIceGraph, GRAPH)),
        ice("I5", "b-gnn", "icegraph", icegraph.B, icegraph.SMALL_B, direction(icegraph.DeepIceGraph, GRAPH)),
    )
}

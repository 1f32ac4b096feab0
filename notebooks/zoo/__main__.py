"""`python -m zoo`: what there is, and what makes it."""

import argparse
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def listing(_: argparse.Namespace) -> None:
    from .layers import n_parameters
    from .systems import SYSTEMS

    print(f"{'':4} {'model':20} {'family':13} {'networks':>8}  parameters of its stages, full size")
    for system in SYSTEMS.values():
        counts = ", ".join(f"{n_parameters(stage.build(system.full)):,}" for stage in system.stages)
        print(f"{system.id:4} {system.name:20} {system.family:13} {system.n_networks:8}  {counts}", flush=True)


def export(it: argparse.Namespace) -> None:
    from . import build

    folder = it.out or ROOT / "models" / build.system(it.name).competition / it.name
    build.export_system(it.name, folder, it.config, it.precision, it.weights, it.random, it.only)


def train(it: argparse.Namespace) -> None:
    from . import train_table

    train_table.train(it.name, it.data, it.weights, it.config, it.only, it.device)


def tables(it: argparse.Namespace) -> None:
    from . import contest_files

    {"moa": contest_files.moa, "icecube": contest_files.icecube}[it.contest](it.raw, it.out or ROOT / "models" / it.contest / "data")


def moa_like(it: argparse.Namespace) -> None:
    from . import moa_like as generator

    generator.write(it.labels, it.out, it.rows)


def moa(it: argparse.Namespace) -> None:
    from . import moa_small

    moa_small.run(it.labels, it.out, it.contests, it.models or list(moa_small.MODELS), it.blend, it.rows, it.epochs)


def per_target(it: argparse.Namespace) -> None:
    from . import per_target as recipe

    recipe.write(it.table, it.out or ROOT / "blends" / "moa" / "winners_per_target.yaml")


def manifests(it: argparse.Namespace) -> None:
    from .manifests import write_all

    write_all(it.out or ROOT / "models")


def neutrino(it: argparse.Namespace) -> None:
    from . import neutrino as contest

    size = contest.FAST if it.fast else contest.FULL
    out = it.out or ROOT / "models" / "neutrino"
    contest.build(out, it.states, size)
    print((out / "reference_scores.csv").read_text(), end="")


def bench(it: argparse.Namespace) -> None:
    from . import bench as throughput

    throughput.run(it.names, it.precision)


def main() -> None:
    parser = argparse.ArgumentParser(prog="zoo", description=__doc__)
    verbs = parser.add_subparsers(required=True, metavar="VERB")

    def verb(name: str, run, text: str) -> argparse.ArgumentParser:
        it = verbs.add_parser(name, help=text, description=text)
        it.set_defaults(run=run)
        return it

    verb("list", listing, "the models, their networks and sizes")

    it = verb("export", export, "graphs and model.yaml of a model")
    it.add_argument("name", help="as `list` says")
    it.add_argument("--config", choices=("full", "small"), default="full")
    it.add_argument("--precision", choices=("f32", "f16"), default="f32")
    source = it.add_mutually_exclusive_group(required=True)
    source.add_argument("--weights", type=Path, help="folder with STAGE/seedS_foldK.pt, as `train` leaves them")
    source.add_argument("--random", type=int, metavar="SEED", help="random weights: to measure, not to predict")
    it.add_argument("--only", type=int, metavar="N", help="the first N graphs of every stage")
    it.add_argument("--out", type=Path, help="the model's folder; models/CONTEST/MODEL where absent")

    it = verb("train", train, "train a model of the MoA contest on prepared tables")
    it.add_argument("name", help="as `list` says")
    it.add_argument("--data", type=Path, required=True, help="folder that `tables moa` wrote")
    it.add_argument("--weights", type=Path, required=True, help="where the weights go")
    it.add_argument("--config", choices=("full", "small"), default="full")
    it.add_argument("--device", default="cpu", help="cpu or cuda")
    it.add_argument("--only", type=int, metavar="N", help="the first N networks of every stage")

    it = verb("tables", tables, "the contest's files to the tables, folds and events that the manifests name")
    it.add_argument("contest", choices=("moa", "icecube"))
    it.add_argument("--raw", type=Path, required=True, help="folder with the contest's files")
    it.add_argument("--out", type=Path, help="models/CONTEST/data where absent")

    it = verb("moa-like", moa_like, "made-up measurements for the contest's real labels, in the layout of its files")
    it.add_argument("--labels", type=Path, required=True, help="folder with the label tables as parquet")
    it.add_argument("--out", type=Path, required=True)
    it.add_argument("--rows", type=int, help="a random part of the rows")

    it = verb("moa", moa, "train, export and blend small forms of the MoA models on real labels and made-up measurements")
    it.add_argument("--labels", type=Path, required=True, help="folder with the label tables as parquet")
    it.add_argument("--out", type=Path, required=True, help="a workspace of its own; weights that are there are not trained again")
    it.add_argument("--contests", nargs="+", default=["moa-plain", "moa-drug"], choices=("moa-plain", "moa-drug"))
    it.add_argument("--models", nargs="+", default=None, help="as `list` says; where absent one of each form")
    it.add_argument("--blend", type=Path, help="the program: predicts with the graphs and searches weights")
    it.add_argument("--rows", type=int, help="a random part of the rows")
    it.add_argument("--epochs", type=int, help="at most, of every network")

    it = verb("per-target", per_target, "the winners' weights for each target, as a recipe")
    it.add_argument("--table", type=Path, required=True, help="CSV: target, then their four weights")
    it.add_argument("--out", type=Path, help="blends/moa/winners_per_target.yaml where absent")

    it = verb("manifests", manifests, "model.yaml of every model at full size")
    it.add_argument("--out", type=Path, help="models/ where absent")

    it = verb("neutrino", neutrino, "simulate, train and export the contest models/neutrino")
    it.add_argument("--fast", action="store_true", help="few events, one epoch: only to see that it runs")
    it.add_argument("--out", type=Path, help="models/neutrino where absent")
    it.add_argument("--states", type=Path, default=Path("neutrino-weights"), help="weights; what is there is not trained again")

    it = verb("bench", bench, "rows or events per core and second through ONNX Runtime, full size, random weights")
    it.add_argument("names", nargs="*")
    it.add_argument("--precision", choices=("f32", "f16"), default="f32")

    it = parser.parse_args()
    it.run(it)


if __name__ == "__main__":
    main()

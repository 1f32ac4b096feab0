"""Training on tables: every family learns, exports what it learned, and never sees a held-out row."""

import re
import tempfile
import unittest
from dataclasses import replace
from pathlib import Path
from unittest import mock

import numpy as np
import pandas as pd
import torch

from zoo import build, moa_like, moa_small, train_table
from zoo.systems import SYSTEMS

FAMILIES = ("three-stage-nn-5f", "two-stage-tabnet", "simple-nn-old", "simple-nn-new", "two-heads-v2", "efficientnet-b3", "resnest-v2")
ROWS, SCORED, NONSCORED = 500, 206, 402


def label_tables(folder: Path) -> None:
    """Made-up labels in the layout of the contest's: a drug's rows share theirs, one drug is the vehicle."""
    random = np.random.default_rng(3)
    drug = np.where(np.arange(ROWS) % 9 == 0, 0, 1 + random.integers(0, 80, ROWS))
    ids = [f"id_{at:06}" for at in range(ROWS)]
    for name, n in (("scored", SCORED), ("nonscored", NONSCORED)):
        of_drug = random.random((81, n)) < 0.02
        of_drug[0] = False
        table = pd.DataFrame(of_drug[drug].astype(np.int8), columns=[f"{name}_{at}" for at in range(n)])
        table.insert(0, "sig_id", ids)
        table.to_parquet(folder / f"train_targets_{name}.parquet")
    pd.DataFrame({"sig_id": ids, "drug_id": [f"drug{at}" for at in drug]}).to_parquet(folder / "train_drug.parquet")


class Training(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.root = Path(cls.folder.name)
        label_tables(cls.root)
        cls.data = cls.root / "data"
        moa_like.write(cls.root, cls.data)

    @classmethod
    def tearDownClass(cls):
        cls.folder.cleanup()

    def train(self, name: str, weights: Path, data: Path | None = None) -> float:
        epochs = 30 if name == "two-stage-tabnet" else 2  # its last layer has no bias to start from
        with mock.patch.object(train_table, "SMALL_EPOCHS", epochs), mock.patch("builtins.print"):
            return train_table.train(name, data or self.data, weights, "small", only=1)

    def test_controls_train_only(self):
        maps = pd.read_csv(self.data / "folds.csv")
        control = pd.read_csv(self.data / "train_features.csv")["cp_type"] == "ctl_vehicle"
        self.assertTrue(((maps["scored_5"] == -1) == control).all())
        self.assertTrue((maps["all_10"] >= 0).all())
        # Drugs of few rows lie in one fold.
        drugs = pd.read_csv(self.data / "train_drug.csv")["drug_id"][~control]
        self.assertTrue((maps["drug_5"][~control].groupby(drugs).nunique() == 1).all())

    def test_every_family(self):
        for name in FAMILIES:
            with self.subTest(name):
                weights, out = self.root / "weights" / name, self.root / "graphs" / name
                loss = self.train(name, weights)
                self.assertLess(loss, 0.2)  # 2 % of the labels are 1: the rate alone gives 0.098
                with mock.patch("builtins.print"):
                    build.export_system(name, out, "small", "f32", weights, None, 1)  # compares graph and network
                self.assertTrue((out / "model.yaml").exists())
                self.assertEqual(len(list(out.glob("*/*.onnx"))), len(SYSTEMS[name].stages))

    def test_the_stacker_reads_stored_outputs(self):
        """What `blend predict` leaves in the members' folders, beside the contest's `data`."""
        it, random = SYSTEMS["supervised-tabnet"], np.random.default_rng(4)
        scored = pd.read_csv(self.data / "train_targets_scored.csv")
        for member in it.tables:
            (self.root / member).mkdir()
            made = scored.copy()
            made[scored.columns[1:]] = random.random((len(scored), SCORED)).astype(np.float32)
            made.iloc[::-1].to_feather(self.root / member / "oof.feather")  # in another order: rows are found by id
        read = train_table.Data.read(self.data, it.tables)
        last = pd.read_feather(self.root / it.tables[-1] / "oof.feather")
        np.testing.assert_array_equal(read.tables[it.tables[-1]][::-1], last.iloc[:, 1:].to_numpy())
        self.train(it.name, self.root / "weights" / it.name)
        out = self.root / "graphs" / it.name
        with mock.patch("builtins.print"):
            build.export_system(it.name, out, "small", "f32", self.root / "weights" / it.name, None, 1)
        # The small form has two members, and so has its manifest.
        self.assertEqual(re.findall(r"^      (\w+): \{table: (.*)\}$", (out / "model.yaml").read_text(), re.MULTILINE),
                         [(f"member{at}", it.tables[at]) for at in range(it.small.members)])

    def test_labels_of_held_out_rows_change_nothing(self):
        for name in ("two-heads-v2", "simple-nn-old"):
            stage = SYSTEMS[name].stages[0]
            seed, fold = build.networks(stage)[0]
            other = self.root / f"other-{name}"
            other.mkdir()
            for path in self.data.iterdir():
                (other / path.name).write_bytes(path.read_bytes())
            scored = pd.read_csv(other / "train_targets_scored.csv")
            held_out = pd.read_csv(other / "folds.csv")[stage.folds.replace("{seed}", str(seed))] == fold
            scored.loc[held_out, scored.columns[1:]] = 1 - scored.loc[held_out, scored.columns[1:]]
            scored.to_csv(other / "train_targets_scored.csv", index=False)
            states = []
            for data in (self.data, other):
                weights = self.root / f"leak-{name}-{data.name}"
                self.train(name, weights, data)
                states.append(torch.load(weights / stage.name / f"{build.stem(seed, fold)}.pt", weights_only=True))
            for key, tensor in states[0].items():
                self.assertTrue(torch.equal(tensor, states[1][key]), f"{name} {key}")


class Chains(unittest.TestCase):
    """`zoo moa`: a network knows nothing of the labels of its held-out fold, not even through the stages before it."""

    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.root = Path(cls.folder.name)
        label_tables(cls.root)
        moa_small.write_data(cls.root, cls.root, None)
        cls.data = train_table.Data.read(cls.root / "models/moa-drug/data", ("features", "umap70", "umap20"))

    @classmethod
    def tearDownClass(cls):
        cls.folder.cleanup()

    def last_network(self, model: str, flipped: int | None) -> tuple[dict[str, torch.Tensor], np.ndarray]:
        """Weights of the last stage's network without fold 0, and what it says of that fold, after the labels of the fold
        `flipped` were turned around."""
        rows = (self.data.folds["drug_5"] == flipped).to_numpy()
        scored, nonscored = (np.where(rows[:, None], 1 - labels, labels) for labels in (self.data.scored, self.data.nonscored))
        data = replace(self.data, scored=scored, nonscored=nonscored)
        crossfit = moa_small.CrossFit("moa-drug", data, self.root / f"weights{flipped}", epochs=1)
        it = moa_small.small(model, "moa-drug")
        net = crossfit.network(it, it.stages[-1], frozenset({0}))
        rows = crossfit.fold == 0
        seen = {name: x[rows] for name, x in crossfit.inputs(it, it.stages[-1], frozenset()).items()}
        return net.state_dict(), train_table.probabilities(net, seen, it.output)

    @mock.patch("builtins.print")
    def test_labels_of_held_out_rows_change_nothing(self, _):
        for model in ("three-stage-nn-10f", "two-stage-tabnet", "supervised-tabnet"):
            with self.subTest(model):
                state, p = self.last_network(model, None)
                same, p_same = self.last_network(model, 0)
                self.assertTrue(all(torch.equal(tensor, same[name]) for name, tensor in state.items()))
                other, _ = self.last_network(model, 1)
                self.assertFalse(all(torch.equal(tensor, other[name]) for name, tensor in state.items()))
                self.assertTrue(np.isfinite(p).all())
                np.testing.assert_array_equal(p, p_same)

    def test_every_model_has_a_small_form_of_its_family(self):
        families = {it.family for it in SYSTEMS.values() if it.competition == "moa"}
        self.assertEqual({SYSTEMS[name].family for name in moa_small.MODELS}, families)


if __name__ == "__main__":
    unittest.main()

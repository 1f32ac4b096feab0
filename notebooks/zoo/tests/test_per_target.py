"""The winners' table of weights becomes a recipe that says the same, to us and to the program."""

import os
import subprocess
import tempfile
import unittest
from pathlib import Path

import numpy as np
import pandas as pd

from zoo import per_target
from zoo.per_target import MEMBERS, recipe

PROGRAM = Path(os.environ.get("BLEND", Path(__file__).resolve().parents[3] / "target/debug/blend")).resolve()
SHARED = Path(os.environ.get("BLEND_SHARED", Path(__file__).resolve().parents[4] / "shared/data"))
PUBLISHED = SHARED / "moa/winner_per_target_weights.csv"
TABLE = pd.DataFrame({"target": ["a_inhibitor", "5-b"], "w0": [0.25, 3e-17], "w1": [0.0, 0.4], "w2": [0.75, 0.0], "w3": [1e-16, 0.6]})


class Recipe(unittest.TestCase):
    def test_weights_are_those_of_the_table(self):
        text = recipe(TABLE)
        self.assertIn('  "a_inhibitor": {three-stage-nn-5f: 0.25, efficientnet-b3: 0.75}\n', text)
        self.assertIn('  "5-b": {simple-nn-old: 0.4, resnest-v2: 0.6}\n', text)
        self.assertIn("granularity: per_target\nmembers:\n  three-stage-nn-5f: 0.125\n", text)

    def test_other_tables_are_refused(self):
        for weights in ([[0.5, 0.5, 0.5, 0.5]], [[0.5, 0.5, 0.0]]):
            with self.assertRaisesRegex(ValueError, f"wanted {len(MEMBERS)} weights"):
                recipe(pd.DataFrame(np.array(weights)).assign(target="a").iloc[:, ::-1])


@unittest.skipUnless(PROGRAM.exists(), f"SKIPPED: {PROGRAM} is not built; `make build` or BLEND=PROGRAM")
class Applied(unittest.TestCase):
    """A workspace where each member says 1 for one row and 0 elsewhere, so that the submission holds the weights."""

    def blend(self, *arguments: str) -> str:
        done = subprocess.run([PROGRAM, "-C", self.root, "-c", "moa", *arguments], capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout

    def workspace(self, table: pd.DataFrame) -> pd.DataFrame:
        """The submission of the table's recipe."""
        targets, ids = list(table["target"]), [f"id_{at}" for at in range(len(MEMBERS))]
        with tempfile.TemporaryDirectory() as folder:
            self.root = Path(folder)
            models = self.root / "models/moa"
            (models / "data").mkdir(parents=True)
            (self.root / "blends/moa").mkdir(parents=True)
            (self.root / "submissions").mkdir()
            (models / "competition.yaml").write_text(
                "competition: moa\nmetric: {name: log_loss, clip: 1e-15}\nid: sig_id\nsample_submission: data/sample.csv\n"
            )
            rows = pd.DataFrame(0.0, index=pd.Index(ids, name="sig_id"), columns=targets)
            (rows + 0.5).to_csv(models / "data/sample.csv")
            for at, member in enumerate(MEMBERS):
                (models / member).mkdir()
                (models / member / "model.yaml").write_text(f"model: {member}\noutput: probability\n")
                own = rows.copy()
                own.iloc[at] = 1.0
                own.to_csv(self.root / f"{member}.csv")
                self.blend("import", member, "--test", str(self.root / f"{member}.csv"))
            table.to_csv(self.root / "table.csv", index=False)
            per_target.write(self.root / "table.csv", self.root / "blends/moa/winners_per_target.yaml")
            self.assertIn("winners_per_target", self.blend("list", "blends"))
            self.blend("submit", "winners_per_target")
            return pd.read_csv(self.root / "submissions/moa/winners_per_target.csv", index_col="sig_id")

    def test_the_program_reads_the_same_weights(self):
        random = np.random.default_rng(2)
        weights = random.dirichlet(np.full(len(MEMBERS), 0.3), 20)
        many = pd.DataFrame(weights, columns=[f"w{at}" for at in range(len(MEMBERS))])
        many.insert(0, "target", [f"target {at}: odd, {{name}}" if at % 2 else f"target_{at}" for at in range(20)])
        for table in (TABLE, many):
            got = self.workspace(table)
            self.assertEqual(list(got.columns), list(table["target"]))
            np.testing.assert_allclose(got.to_numpy().T, table.iloc[:, 1:].to_numpy(), atol=1e-8)

    @unittest.skipUnless(PUBLISHED.exists(), f"SKIPPED: {PUBLISHED} is absent")
    def test_the_winners_own_table(self):
        table = pd.read_csv(PUBLISHED)
        got = self.workspace(table)
        self.assertEqual(got.shape, (len(MEMBERS), 206))
        np.testing.assert_allclose(got.to_numpy().T, table.iloc[:, 1:].to_numpy(), atol=1e-6)


if __name__ == "__main__":
    unittest.main()

"""The manifests in the workspace are those that the exporter would write."""

import unittest
from pathlib import Path

from zoo.manifests import text
from zoo.systems import SYSTEMS

MODELS = Path(__file__).resolve().parents[3] / "models"


class Manifests(unittest.TestCase):
    def test_they_are_up_to_date(self):
        for name, system in SYSTEMS.items():
            written = (MODELS / system.competition / name / "model.yaml").read_text()
            self.assertEqual(written, text(system), f"python -m zoo manifests writes {name} anew")

    def test_nothing_else_lies_there(self):
        for competition in ("moa", "icecube"):
            found = {path.parent.name for path in (MODELS / competition).glob("*/model.yaml")}
            self.assertEqual(found, {name for name, it in SYSTEMS.items() if it.competition == competition})


if __name__ == "__main__":
    unittest.main()

"""The winners' table of weights becomes a recipe that says the same."""

import unittest

import numpy as np
import pandas as pd

from zoo.per_target import MEMBERS, recipe


class Recipe(unittest.TestCase):
    def test_weights_are_those_of_the_table(self):
        table = pd.DataFrame({"target": ["a_inhibitor", "5-b"], "w0": [0.25, 3e-17], "w1": [0.0, 0.4], "w2": [0.75, 0.0], "w3": [1e-16, 0.6]})
        text = recipe(table)
        self.assertIn('  "a_inhibitor": {three-stage-nn-5f: 0.25, efficientnet-b3: 0.75}\n', text)
        self.assertIn('  "5-b": {simple-nn-old: 0.4, resnest-v2: 0.6}\n', text)
        self.assertIn("granularity: per_target\nmembers:\n  three-stage-nn-5f: 0.125\n", text)

    def test_other_tables_are_refused(self):
        for weights in ([[0.5, 0.5, 0.5, 0.5]], [[0.5, 0.5, 0.0]]):
            with self.assertRaisesRegex(ValueError, f"wanted {len(MEMBERS)} weights"):
                recipe(pd.DataFrame(np.array(weights)).assign(target="a").iloc[:, ::-1])


if __name__ == "__main__":
    unittest.main()

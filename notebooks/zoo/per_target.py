"""The winners' search with a weight for each target: their published table to a recipe.

The table is theirs (a pickle in their repository, 206 rows of four weights); here is only what reads it.
"""

from pathlib import Path

import numpy as np
import pandas as pd

# The order of the published columns.
MEMBERS = ("three-stage-nn-5f", "simple-nn-old", "efficientnet-b3", "resnest-v2")
SMALLEST = 1e-9  # below, a solver's zero
HEAD = """\
# The winners' search with one problem for each target (SLSQP, 0.68 min), CV 0.0150437506, never submitted: 53 targets have
# twenty positives or fewer. Weights below {smallest:g} are written as none; members carry the mean over targets.
blend: winners_per_target
competition: moa
space: linear
domain: simplex
granularity: per_target
"""


def recipe(table: pd.DataFrame) -> str:
    """`table`: target, then one column of weights for each member."""
    weights = table.iloc[:, 1:].to_numpy(np.float64)
    if weights.shape[1] != len(MEMBERS) or not np.allclose(weights.sum(axis=1), 1, atol=1e-6):
        raise ValueError(f"wanted {len(MEMBERS)} weights for each target that sum to 1, not {weights.shape[1]} columns")
    weights = np.where(weights < SMALLEST, 0, weights)
    weights = weights / weights.sum(axis=1, keepdims=True)
    lines = ["members:"] + [f"  {name}: {float(weight)!r}" for name, weight in zip(MEMBERS, weights.mean(axis=0))] + ["weights:"]
    for target, row in zip(table.iloc[:, 0], weights):
        pairs = ", ".join(f"{name}: {float(weight)!r}" for name, weight in zip(MEMBERS, row) if weight > 0)
        lines.append(f'  "{target}": {{{pairs}}}')
    return HEAD.format(smallest=SMALLEST) + "\n".join(lines) + "\n"


def write(table: Path, out: Path) -> None:
    out.write_text(recipe(pd.read_csv(table)))

"""The table of the MoA contest: cp_type, cp_time, cp_dose, then genes and cell viabilities, all as numbers.

`cp_type` is 1 for treated rows, `cp_time` 24, 48 or 72 hours, `cp_dose` 0 for D1 and 1 for D2.
"""

from dataclasses import dataclass

import torch

from .preprocess import one_hot

CODES = 3  # columns before the first gene
TIMES, DOSES = (24.0, 48.0, 72.0), (0.0, 1.0)
N_CODES = len(TIMES) + len(DOSES)


@dataclass(frozen=True)
class Columns:
    """How many genes and cell lines a table has."""

    genes: int = 772
    cells: int = 100

    @property
    def measured(self) -> int:
        return self.genes + self.cells

    @property
    def table(self) -> int:
        return CODES + self.measured

    def names(self) -> list[str]:
        measured = [f"g-{at}" for at in range(self.genes)] + [f"c-{at}" for at in range(self.cells)]
        return ["cp_type", "cp_time", "cp_dose", *measured]

    def measurements(self, features: torch.Tensor) -> torch.Tensor:
        return features[:, CODES:]

    def split(self, measured: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return measured[:, : self.genes], measured[:, self.genes : self.measured]


FULL = Columns()
SMALL = Columns(genes=96, cells=24)


def codes(features: torch.Tensor) -> torch.Tensor:
    """(n, 5): time and dose as indicators."""
    return torch.cat([one_hot(features[:, 1:2], TIMES), one_hot(features[:, 2:3], DOSES)], dim=1)
